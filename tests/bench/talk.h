/* talk.h - sockets of load generators and of the floor: plain ZeroMQ, set as the nodes set theirs.
 */
#ifndef WEIR_TESTS_BENCH_TALK_H
#define WEIR_TESTS_BENCH_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

enum {
    TALK_PATIENCE_MS = 20000,
    FIRST_USER = 100000, /* of the events that are sent: over 2^16, so that all take 5 bytes */
};

/* Sockets of one context for the whole program, closed at its end by the system. */
void *talk_bind (int type, const char *endpoint);
void *talk_connect (int type, const char *endpoint);

/* Connects to a node: with the secret key in the file that WEIR_BENCH_KEY names and the node's
 * public key in the one that WEIR_BENCH_SERVER does, when these are set. */
void *talk_connect_node (int type, const char *endpoint);

/* Sends one frame; ends the program when that fails. */
void talk_send (void *socket, const void *data, size_t size, int flags);

/* Waits for one message and leaves its last frame in *message, which is initialised. Ends the
 * program after TALK_PATIENCE_MS. */
void talk_receive (void *socket, zmq_msg_t *message);
/* The same without waiting: false when there is none. */
bool talk_receive_now (void *socket, zmq_msg_t *message);

/* ---- the floor: client -> relay -> echo -> relay -> client (floor.c) ---- */

/* What its messages begin with; the rest is padding. */
typedef struct floor_head {
    uint32_t reply_size; /* bytes that the echo answers with, at least sizeof (floor_head_t) */
    uint32_t slot;       /* the relay's */
    uint64_t id;         /* the client's */
} floor_head_t;

#endif
