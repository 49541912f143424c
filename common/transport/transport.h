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
#include "transport/keyring.h"

#include <stddef.h>
#include <stdint.h>

enum {
    TRANSPORT_ENDPOINTS_MAX = 128, /* connected to; the one longest not used makes room */
    TRANSPORT_SEND_QUEUE = 1000,   /* messages waiting to go to one peer; more are dropped */
    TRANSPORT_RECEIVE_QUEUE = 16,  /* messages from one peer; then it has to wait */
    TRANSPORT_FDS_MAX = 8,         /* of others, watched by transport_poll */
    TRANSPORT_OWN_FDS = 2 * (TRANSPORT_ENDPOINTS_MAX + 1) + 1, /* transport_descriptors */
};

typedef struct transport transport_t;

/* What came of connections to where we listen, and of messages. A connection that was accepted and
 * is in none of the others is under way, or did not speak ZeroMQ's protocol at all. */
typedef struct transport_counts {
    uint64_t accepted;   /* connections; the next five are kept only where there are keys */
    uint64_t succeeded;  /* handshakes */
    uint64_t refused;    /* handshakes: the key is not accepted */
    uint64_t failed;     /* handshakes: no key, another mechanism, bad cryptography */
    uint64_t broken_off; /* handshakes: the other side hung up */
    uint64_t unmet;      /* handshakes of our own, as a client, that did not succeed */
    uint64_t dropped;    /* messages: no room, no such peer, or not of a form that we understand */
    uint64_t unread;     /* of these, answers to who does not read what it asked for (traffic.h) */
    uint64_t cut;        /* connections that held too much, or were too many */
    uint64_t held;       /* bytes of messages that came or go, as of a moment ago */
    uint64_t present;    /* connections to us, as of a moment ago */
} transport_counts_t;

/* Listens at `listen` ("tcp://127.0.0.1:7600", "ipc://path", or with "*" for a port that is free),
 * or nowhere when it is NULL. EXISTS when somebody listens there, INVALID or IO otherwise; the
 * message says what to do. */
MUST_CHECK status_t transport_new (const char *listen, transport_t **transport, error_t *error);
/* The same with CURVE on every socket: only keys that the keyring accepts get in, and only its
 * nodes are talked to. Takes the keyring; NULL is transport_new. */
MUST_CHECK status_t transport_new_secured (const char *listen, keyring_t **keyring,
                                           transport_t **transport, error_t *error);

/* Goes on with another keyring, which it takes, also when it fails. What is accepted changes at
 * once, for connections made before too; connections to servers that are not trusted any more end.
 * When our own pair has changed, all connections are made anew: it listens with the new pair, and
 * what was under way is lost. May wait for milliseconds. An error says that it does not listen; to
 * be called again then, with NULL for the keyring that it has. */
MUST_CHECK status_t transport_rekey (transport_t *self, keyring_t **keyring, error_t *error);

/* The keyring in use, borrowed until the next rekey; NULL when there is none. */
const keyring_t *transport_keyring (const transport_t *self);
/* Queued messages are dropped; does not wait. */
void transport_destroy (transport_t **self_p);

/* False when it should listen and does not: after a transport_rekey that failed. */
bool transport_listens (const transport_t *self);

/* Where it listens, with the port that was found for "*"; "" when it does not. */
const char *transport_endpoint (const transport_t *self);

/* Waits up to `timeout_ms` (-1 is for ever) until a message came or one of `count` file descriptors
 * can be read. ready[i] says whether fds[i] can. May return early. */
void transport_poll (transport_t *self, int timeout_ms, const int *fds, size_t count, bool *ready);

/* Takes a message that came before the last transport_poll returned, from each peer in turn. False
 * when there is none, or much that is no message: the next poll says. The bytes are valid until the
 * next call of any function of this transport. What comes from somebody who connected to us has
 * `from->incoming` and the role of its key (ROLE_OPEN without a keyring); what comes back over our
 * own connection is from the endpoint. */
bool transport_receive (transport_t *self, peer_t *from, const void **data, size_t *size);

/* Sends to an endpoint or answers an incoming peer. The bytes are copied. */
void transport_send (transport_t *self, const peer_t *to, const void *data, size_t size);

/* Has a connection to this endpoint been lost since this was asked last? What was under way over it
 * is lost too. Known only where there are keys; false otherwise. */
bool transport_broke (transport_t *self, const peer_t *endpoint);

/* What keeps us from talking to an endpoint that was sent to? DENIED when the last handshake with
 * it failed because who listens does not accept our key, or is nobody whom we trust. OK otherwise,
 * and always where there are no keys. What was sent before that is lost. */
MUST_CHECK status_t transport_trouble (const transport_t *self, const peer_t *endpoint,
                                       error_t *error);
/* The error of an endpoint that takes only connections with keys where we have none (probe.h). */
status_t transport_needs_key (const char *endpoint, error_t *error);

/* For who waits elsewhere than in transport_poll: the descriptors that can be read when there is
 * something to do for it, at most `most` of them; and a number that is another one when they are
 * others. Those that are gone were closed. */
size_t transport_descriptors (const transport_t *self, int *fds, size_t most, uint64_t *set);
/* Has something come that no descriptor will tell of any more? To be asked before waiting there. */
bool transport_has_news (transport_t *self);

/* Sends one message of the weir protocol and waits for the one that comes back under its id,
 * dropping others that come from there. The reply is valid until the next call. UNAVAILABLE when
 * nobody listens at the endpoint, TIMEOUT when no reply came (the request may have been carried
 * out), before `timeout_ms` are over when the connection was lost, DENIED when who listens there
 * does not accept our key, is nobody whom we trust, or wants a key and we have none, INVALID when
 * it is no endpoint. Do not mix with transport_send to the same endpoint when the answers to that
 * matter. */
MUST_CHECK status_t transport_request (transport_t *self, const char *endpoint, const void *data,
                                       size_t size, int timeout_ms, const void **reply,
                                       size_t *reply_size, error_t *error);

transport_counts_t transport_counts (const transport_t *self);
/* Messages that were dropped: no room, no such peer, or not of a form that we understand. */
uint64_t transport_dropped (const transport_t *self);

#endif
