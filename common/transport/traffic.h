/* traffic.h - what those who connected to us hold of our memory, and an end to who holds too much.
 *
 * ZeroMQ bounds the size of a frame and the number of messages in a queue, but neither the frames
 * of one message, which it keeps until the last has come, nor the bytes of a queue. So the kernel
 * is asked how many bytes came and went over each connection, and that is compared with what was
 * received from it and sent to it here. A connection that has brought much more than it was a
 * message is cut; one that does not read its answers gets no more of them. TCP only: a local socket
 * does not count bytes, and is for whom its file's mode lets in. */
#ifndef WEIR_TRANSPORT_TRAFFIC_H
#define WEIR_TRANSPORT_TRAFFIC_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRAFFIC_CONNECTIONS_MAX = 4096,    /* to us; over it those that never said anything go first */
    TRAFFIC_UNFINISHED_MAX = 32 << 20, /* bytes of a message that has no end, when none wait */
    TRAFFIC_IN_MAX = 256 << 20,        /* bytes held for all connections that were not yet taken */
    TRAFFIC_UNREAD_MAX = 64 << 20,     /* bytes that one connection has not read */
    TRAFFIC_OUT_MAX = 256 << 20,       /* and all together */
    TRAFFIC_LOOK_MS = 100,
};

typedef struct traffic traffic_t;

/* For who listens at `endpoint`; `secured` says that frames are encrypted. NULL unless it is tcp.
 */
traffic_t *traffic_new (const char *endpoint, bool secured);
void traffic_destroy (traffic_t **self_p);

/* Bytes of a frame on the wire. */
size_t traffic_frame (const traffic_t *self, size_t size);

/* A message of so many bytes on the wire was taken from the peer that a ROUTER calls `id`, over the
 * connection `fd`. */
void traffic_received (traffic_t *self, text_t id, int fd, size_t bytes);

/* Counts a message that is to go to the peer; false: it has too much unread, and it must not. */
bool traffic_send (traffic_t *self, text_t id, size_t bytes);

/* Does no whole message wait to be taken? */
typedef bool traffic_drained_fn (void *context);

/* Looks at all connections when it is time; returns ms until the next time. `is_drained` is asked
 * where one holds too much, and after that was counted: then all of it is unfinished. */
int traffic_look (traffic_t *self, traffic_drained_fn *is_drained, void *context);

size_t traffic_connections (const traffic_t *self);
size_t traffic_held (const traffic_t *self);  /* bytes, in both directions, as of the last look */
uint64_t traffic_cut (const traffic_t *self); /* connections that were */

#endif
