/* shard.h - one keyed log in one partition: the log, its producers and its real-time views.
 *
 * opening → serving → failed. Opening (log, producer table, timelines) and rebuilding for new
 * definitions are jobs; so are flushes and trims. Appends wait in `pending` until their flush is
 * durable; only then are they applied to the views and answered. */
#ifndef WEIR_SPEED_WORKER_SHARD_H
#define WEIR_SPEED_WORKER_SHARD_H

#include "base/env.h"
#include "member/model.h"
#include "speed-worker/forward.h"
#include "speed-worker/outcome.h"
#include "speed-worker/pressure.h"
#include "speed-worker/realtime.h"
#include "speed-worker/retired.h"
#include "storage/log.h"

typedef struct shard shard_t;

typedef enum shard_state { SHARD_OPENING, SHARD_SERVING, SHARD_FAILED } shard_state_t;

/* Whom to tell when an append is durable. */
typedef struct waiter {
    uint64_t request; /* one of ours (request.h), or 0 … */
    peer_t from;      /* … and then this peer's … */
    uint64_t id;      /* … message */
    bool forward;     /* it is a forward.h's question, whose answer is the mark … */
    bool here;        /* … and the source is this worker's, too */
} waiter_t;

typedef struct shard_options {
    env_t *env;
    uint64_t cluster_id;
    uint32_t partition;
    uint32_t partitions;
    uint64_t epoch;
    uint64_t base;         /* timelines start there */
    uint64_t segment_size; /* 0: default */
    uint32_t lane;         /* of its jobs */
    int64_t max_ahead;     /* µs */
    retired_t *retired;    /* takes the views that are not needed any more */
    /* Tells a waiter: `outcome` when status is OK (position: one past the part's last event, or the
     * mark), else why. */
    void (*tell) (void *arg, const waiter_t *waiter, const char *log_name, uint32_t partition,
                  status_t status, const char *reason, const outcome_t *outcome, uint64_t position);
    /* May a durable append be acknowledged at this instant? */
    bool (*leased) (void *arg);
    /* Are the definitions here those that the latest orders told of? */
    bool (*current) (void *arg);
    /* forward.h's send. */
    bool (*forward) (void *arg, const forward_message_t *message);
    void *arg;
} shard_options_t;

/* Starts opening log `log_name`, which `model` has. */
shard_t *shard_new (const shard_options_t *options, const char *log_name, model_t *model);
/* Waiters are told `unavailable`. Jobs under way finish by discard. */
void shard_destroy (shard_t **self_p);

shard_state_t shard_state (const shard_t *self);
const char *shard_reason (const shard_t *self); /* why it failed */
const char *shard_log_name (const shard_t *self);

/* True when the job was one of this shard's, and has been dealt with. */
bool shard_job_done (shard_t *self, job_t *job);

/* Ownership of this shard ends, as if its own log had failed: another log of the partition did. */
void shard_give_up (shard_t *self, const char *reason);

/* Asks other keys' logs, which may be those of another shard, before shard_tick is called for any;
 * returns the boot time at which it is to be called again. */
int64_t shard_ask (shard_t *self);

/* Flushes what is pending, and starts a rebuild that is due. */
void shard_tick (shard_t *self);

/* Definitions changed: rebuilds the views if those of this log did. */
void shard_set_model (shard_t *self, model_t *model);

/* What the orders say, each time: the oldest cut that is still needed. Trims what that allows. */
void shard_set_base (shard_t *self, uint64_t base);

/* A control record as the orders have it. */
typedef struct shard_order {
    text_t id;
    log_kind_t kind; /* CUT, LOAD_COMMIT or FORGET */
    bool segment;    /* of a cut: it begins a segment of the log */
    text_t key; /* of a FORGET, in the partition of the stream's own log that holds the key … */
    int64_t before; /* … events with times below this; INT64_MAX: all */
} shard_order_t;

/* Appends a control record unless the log has one with that id. */
void shard_control (shard_t *self, const shard_order_t *order);

/* One producer's batch as far as it belongs here: rows of `table` with their places in the client's
 * batch. `columns` maps the table's columns to fields. The waiter is told now or later, always
 * once. */
typedef struct shard_append {
    text_t producer;
    uint64_t sequence; /* dedupe_in_window has let it pass */
    bool resumed;      /* its producer may have lost the acknowledgement */
    const struct raw_table *table;
    const int32_t *columns;
    const uint32_t *indexes; /* per row of the table */
} shard_append_t;
void shard_append (shard_t *self, const shard_append_t *append, const waiter_t *waiter);

/* ---- other keys ---- */

/* The re-keyed logs that this shard's events go to, as the latest orders have it. With `more`
 * there are others that the definitions here do not know yet: nothing is appended or trimmed
 * meanwhile. Nor is it when one is left out though the log may have events: what waits for that one
 * waits until it is ordered again. */
void shard_set_forwards (shard_t *self, const text_t *logs, size_t count, bool more);

/* Appends to this re-keyed log what the source has for it. The waiter is told now or later, always
 * once. `message` is borrowed for the call. */
void shard_take_forwarded (shard_t *self, const forward_message_t *message, const waiter_t *waiter);

/* Events of the log come from there on from each partition of the stream's own log. */
void shard_set_marks (shard_t *self, const uint64_t *marks, uint32_t count);

/* The answer to a question of this shard's; false when it is of another. */
bool shard_forward_answered (shard_t *self, uint64_t id, bool good, uint64_t mark);

/* NULL while opening or failed. */
realtime_t *shard_realtime (shard_t *self);
/* One past the last offset that is durable and in the views. */
uint64_t shard_position (const shard_t *self);

/* Writes the log's entry in a HELD list. */
void shard_write_held (shard_t *self, wire_writer_t *beat);

/* Of the logs that it forwards to, how many hold all that was there when that began. */
size_t shard_caught_up (const shard_t *self);

/* How many control records it holds. */
size_t shard_controls (const shard_t *self);

/* Adds what it holds, and what has gone. */
void shard_measure (const shard_t *self, memory_t *memory);
size_t shard_memory (const shard_t *self); /* all of it */

#endif
