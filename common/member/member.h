/* member.h - a node's side of membership: beats, lease, orders, definitions (docs/coordination.md).
 *
 * Embedded in the cores of speed workers, batch workers and serving nodes. It tells the coordinator
 * what the node holds, hands the orders that come back to the core, keeps the lease, and fetches
 * definitions when theirs have a higher version. */
#ifndef WEIR_MEMBER_MEMBER_H
#define WEIR_MEMBER_MEMBER_H

#include "base/env.h"
#include "member/model.h"
#include "wire/wire.h"

typedef struct member member_t;

typedef struct member_options {
    const char *node; /* unique in the cluster */
    const char *kind; /* "speed", "batch", "serving" */
    const char *cluster;
    uint64_t place;       /* of its data directory (node.h); 0: not known */
    const char *endpoint; /* where others reach it; NULL when nobody does */
    peer_t coordinator;
    const peer_t *standbys; /* other coordinators, one of which may lead instead */
    size_t standbys_count;  /* MEMBER_STANDBYS_MAX at most */
} member_options_t;

enum { MEMBER_STANDBYS_MAX = 15 };

/* What the core does. All are called from within member_receive or member_tick. */
typedef struct member_ops {
    /* Adds the core's own fields to the open body of a beat. */
    void (*fill_beat) (void *core, wire_writer_t *beat);
    /* New orders: the body of a `beat.ok`. */
    void (*orders) (void *core, const wire_value_t *orders);
    /* A new model is in force; the member holds a reference as long as it is. */
    void (*model) (void *core, model_t *model);
} member_ops_t;

/* Options are copied. `env` and `core` outlive the member. */
member_t *member_new (env_t *env, const member_options_t *options, const member_ops_t *ops,
                      void *core);
void member_destroy (member_t **self_p);

/* True when the message was the member's (`beat.ok`, `definitions.ok`, `poke`, or an error to one
 * of its requests), and has been dealt with. Messages not from a coordinator are never its. */
bool member_receive (member_t *self, const peer_t *from, const message_t *message);

/* Sends a beat if one is due; returns the boot time (µs) of the next. */
int64_t member_tick (member_t *self);

/* The coordinator that leads, as far as is known: where questions go. The address stays the same,
 * and what stands there changes when another one is heard of. */
const peer_t *member_coordinator (const member_t *self);
/* Is it one of the coordinators, whoever leads? */
bool member_is_coordinator (const member_t *self, const peer_t *peer);

/* Beat as soon as the one before is answered, not only when the interval is over: something changed
 * that the coordinator waits for, or its orders may have. */
void member_beat_soon (member_t *self);

/* Is the lease good at this instant? Check after the work, before the answer. */
bool member_leased (const member_t *self);
/* How often a lease began anew: for the first time, or after one had run out. While it stays the
 * same, and the lease is good, the coordinator has not taken the node for dead. Grows before the
 * orders that come with such a lease are handed over, or before later ones are. */
uint64_t member_lapses (const member_t *self);

/* The definitions in force; version 0 before the first fetch. Borrowed. */
model_t *member_model (const member_t *self);

/* Are these the definitions that the latest orders speak of? False before the first fetch: who
 * lacks a name then cannot say that there is no such thing. */
bool member_model_current (const member_t *self);

const member_options_t *member_options (const member_t *self);
uint64_t member_incarnation (const member_t *self);

#endif
