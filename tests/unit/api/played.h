/* played.h - a node of a cluster, played by a thread: a coordinator, a serving node or a speed
 * worker that answers as the protocol says, or as a test wants it. */
#ifndef WEIR_TEST_API_PLAYED_H
#define WEIR_TEST_API_PLAYED_H

#include "base/random.h"
#include "client/include/weir.h"
#include "tests/rig/node.h"

typedef struct played {
    rig_node_t node;
    atomic_uint gets, rows; /* that came */
    atomic_uint pings;
    const char *cluster;            /* NULL: "c" */
    const char *_Atomic get_status; /* gets are answered with this error; NULL: with values */
    const char *_Atomic send_status;
    atomic_uint get_status_times; /* so often, if not 0: then with values */
    atomic_uint damage;           /* of 100 replies to gets so many are changed at random */
    atomic_uint refuse;           /* of a batch the rows divisible by this are refused; 0: none */
    const char *serving[4];       /* what a coordinator tells */
    const char *speed[4];
    atomic_uint routes;
    random_t random;
} played_t;

/* Plays from now on at an endpoint of its own, or at the one it had. */
void played_start (played_t *self, const char *which);
/* Ends, as one that was killed: nobody listens any more. Idempotent. */
void played_stop (played_t *self);

/* A handle that knows the serving nodes and speed workers; NULL: none. */
weir_t *played_open (const played_t *serving, const played_t *other, const played_t *speed);

/* A get of `keys` keys "u0", "u1", …: to be used before the next call. */
const weir_get_t *played_get (size_t keys);

#endif
