/* node.h - a node of a cluster, played by a thread: it listens at an endpoint, and answers as a
 * test has it. Nothing of criterion may be called from that thread: what must not be is a CHECK. */
#ifndef WEIR_TESTS_RIG_NODE_H
#define WEIR_TESTS_RIG_NODE_H

#include "transport/transport.h"
#include "wire/wire.h"

#include <pthread.h>
#include <stdatomic.h>

/* How a message is answered: not at all, once, or more often. */
typedef struct rig_reply {
    transport_t *transport;
    wire_writer_t *writer;
    const peer_t *to;
} rig_reply_t;

typedef struct rig_node {
    char endpoint[128]; /* "": one of its own is made when it starts */
    /* Called in the thread with each message that came and is one. */
    void (*answer) (void *arg, const rig_reply_t *reply, const message_t *message);
    void *arg;
    const char *keys, *secret; /* directory and own key, where it has security; or NULL */
    atomic_bool silent;        /* as one that was stopped: what comes is dropped */
    atomic_bool stop;
    pthread_barrier_t listens;
    pthread_t thread;
    bool playing;
} rig_node_t;

/* Plays from now on, at an endpoint of its own or at the one it had, and listens when this returns.
 * `which` tells it from others of the program. */
void rig_node_start (rig_node_t *self, const char *which);
/* Ends, as one that was killed: nobody listens any more. Idempotent. */
void rig_node_stop (rig_node_t *self);

/* Sends the message that was written. */
void rig_reply_send (const rig_reply_t *self);
/* Answers a ping, as a node of that kind. */
void rig_reply_pong (const rig_reply_t *self, const message_t *ping, const char *kind,
                     const char *cluster);

#endif
