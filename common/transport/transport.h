/* transport.h - a node's sockets: the only user of ZeroMQ.
 *
 * One bound ROUTER, if the node listens, and one DEALER for each endpoint that it sends to, made
 * when first needed. A transport is used by one thread. Sending never blocks; what does not fit
 * into a queue, or has nobody to go to, is dropped and counted: whoever needs an answer asks again.
 * Bytes are not looked at, except for the id of a transport_request. */
#ifndef WEIR_TRANSPORT_TRANSPORT_H
#define WEIR_TRANSPORT_TRANSPORT_H

#include "base/env.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    TRANSPORT_ENDPOINTS_MAX = 128, /* connected to; the one longest not used makes room */
    TRANSPORT_SEND_QUEUE = 1000,   /* messages waiting to go to one peer; more are dropped */
    TRANSPORT_RECEIVE_QUEUE = 64,  /* messages from one peer; then it has to wait */
    TRANSPORT_FDS_MAX = 8,         /* of others, watched by transport_poll */
};

typedef struct transport transport_t;

/* Listens at `listen` ("tcp://127.0.0.1:7600", "ipc://path", or with "*" for a port that is free),
 * or nowhere when it is NULL. EXISTS when somebody listens there, INVALID or IO otherwise; the
 * message says what to do. */
MUST_CHECK status_t transport_new (const char *listen, transport_t **transport, error_t *error);
/* Queued messages are dropped; does not wait. */
void transport_destroy (transport_t **self_p);

/* Where it listens, with the port that was found for "*"; "" when it does not. */
const char *transport_endpoint (const transport_t *self);

/* Waits up to `timeout_ms` (-1 is for ever) until a message came or one of `count` file descriptors
 * can be read. ready[i] says whether fds[i] can. May return early. */
void transport_poll (transport_t *self, int timeout_ms, const int *fds, size_t count, bool *ready);

/* Takes a message that came before the last transport_poll returned, from each peer in turn. False
 * when there is none. The bytes are valid until the next call of any function of this transport.
 * What comes from somebody who connected to us has `from->incoming`; what comes back over our own
 * connection is from the endpoint. */
bool transport_receive (transport_t *self, peer_t *from, const void **data, size_t *size);

/* Sends to an endpoint or answers an incoming peer. The bytes are copied. */
void transport_send (transport_t *self, const peer_t *to, const void *data, size_t size);

/* Sends one message of the weir protocol and waits for the one that comes back under its id,
 * dropping others that come from there. The reply is valid until the next call. UNAVAILABLE when
 * nobody listens at the endpoint, TIMEOUT when no reply came (the request may have been carried
 * out), INVALID when it is no endpoint. Do not mix with transport_send to the same endpoint when
 * the answers to that matter. */
MUST_CHECK status_t transport_request (transport_t *self, const char *endpoint, const void *data,
                                       size_t size, int timeout_ms, const void **reply,
                                       size_t *reply_size, error_t *error);

/* Messages that were dropped: no room, no such peer, or not of a form that we understand. */
uint64_t transport_dropped (const transport_t *self);

#endif
