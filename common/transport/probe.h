/* probe.h - does anybody listen at an endpoint? */
#ifndef WEIR_TRANSPORT_PROBE_H
#define WEIR_TRANSPORT_PROBE_H

#include <stdbool.h>

/* Connects and hangs up. False only when it is certain that nobody does: ZeroMQ itself goes on
 * trying in silence, and takes a local socket's path over from whoever listens there. */
bool endpoint_may_answer (const char *endpoint);

#endif
