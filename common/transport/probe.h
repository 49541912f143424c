/* probe.h - does anybody listen at an endpoint, and with keys?
 *
 * ZeroMQ itself goes on trying in silence, takes a local socket's path over from whoever listens
 * there, and does not say that the other side wants keys where we have none. So a probe connects by
 * itself, hangs up, and tells. Without an address to try it tells that there may be somebody. */
#ifndef WEIR_TRANSPORT_PROBE_H
#define WEIR_TRANSPORT_PROBE_H

#include <stdbool.h>

typedef enum probed {
    PROBED_NOT_YET,   /* it goes on, by itself: look again */
    PROBED_NOBODY,    /* it is certain that nobody listens there */
    PROBED_SOMEBODY,  /* or it is not certain */
    PROBED_WANTS_KEY, /* who listens there takes only connections with keys (CURVE) */
} probed_t;

/* Looks at one endpoint, again and again if wanted, without waiting: but for the resolver, when the
 * endpoint has the name of a host and it was not looked up yet, or leads to nobody any more. */
typedef struct probe probe_t;

probe_t *probe_new (const char *endpoint);
void probe_destroy (probe_t **self_p);

/* Begins anew. With `greet` it greets whoever listens as ZeroMQ does (RFC 23, ZMTP 3.0), to learn
 * whether keys are wanted; without, that is not told. */
void probe_begin (probe_t *self, bool greet);
/* What is known; the last answer again when it has ended. Ends within a second for each address. */
probed_t probe_look (probe_t *self);

/* Both wait, for a second at most for each address: */

/* False only when it is certain that nobody listens. */
bool endpoint_may_answer (const char *endpoint);
/* True when who listens there takes only connections with keys. False when that is not certain
 * within half a second. */
bool endpoint_wants_key (const char *endpoint);

#endif
