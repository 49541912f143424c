/* guard.h - lets in whom the keyring accepts: a ZAP handler (RFC 27) on a transport's own thread.
 *
 * libzmq asks it in every CURVE handshake whether the client's key is accepted. What it answers as
 * the user's id is the key itself, so that the role is looked up anew for every message: a key that
 * is no longer accepted has no role from then on, over connections made before too. */
#ifndef WEIR_TRANSPORT_GUARD_H
#define WEIR_TRANSPORT_GUARD_H

#include "transport/keyring.h"

#define GUARD_DOMAIN "weir"

/* Binds the handler of a ZeroMQ context, before any socket listens. NULL when it cannot. */
void *guard_open (void *context);
void guard_close (void *guard);

/* Answers what has been asked. */
void guard_answer (void *guard, const keyring_t *keyring);

/* The role that a message's sender has now, NONE where no handler was asked; `message` is a
 * zmq_msg_t. */
peer_role_t guard_role (void *message, const keyring_t *keyring);

/* Makes a socket that will be bound one that talks to accepted keys only, or one that will be
 * connected one that talks to `server` only. */
void guard_server (void *socket, const keyring_t *keyring);
void guard_client (void *socket, const keyring_t *keyring, const char *server);

#endif
