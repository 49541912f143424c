/* probe.h - does anybody listen at an endpoint, and with keys? */
#ifndef WEIR_TRANSPORT_PROBE_H
#define WEIR_TRANSPORT_PROBE_H

#include <stdbool.h>

/* Connects and hangs up. False only when it is certain that nobody does: ZeroMQ itself goes on
 * trying in silence, and takes a local socket's path over from whoever listens there. */
bool endpoint_may_answer (const char *endpoint);

/* Connects, greets as ZeroMQ does (RFC 23, ZMTP 3.0) and hangs up. True when who listens there
 * takes only connections with keys (CURVE); to others libzmq itself just says nothing. False when
 * that is not certain within half a second. */
bool endpoint_wants_key (const char *endpoint);

#endif
