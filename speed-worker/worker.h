/* worker.h - the inside of the speed worker's core, for its own files only. */
#ifndef WEIR_SPEED_WORKER_WORKER_H
#define WEIR_SPEED_WORKER_WORKER_H

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "member/member.h"
#include "member/routes.h"
#include "speed-worker/core.h"
#include "speed-worker/pressure.h"
#include "speed-worker/request.h"
#include "speed-worker/shard.h"
#include "speed-worker/space.h"

enum { SPEED_MAGIC = 0x53504545 };

#define SEND_TIMEOUT (5 * TIME_SECOND)

/* A partition that the orders give us, with a shard per keyed log. */
typedef struct partition {
    uint32_t number;
    uint64_t epoch;
    shard_t **shards;
    size_t shards_count;
    size_t ordered; /* logs in the latest orders; those not in `shards` wait for definitions */
    bool failed;    /* one of its logs did: nothing is done for it any more under this epoch */
} partition_t;

/* name, what it counts */
#define SPEED_METRICS(X)                                                                           \
    X (messages_refused)                                                                           \
    X (batches_received)                                                                           \
    X (appends)                                                                                    \
    X (appends_repeated)                                                                           \
    X (rows_accepted)                                                                              \
    X (rows_refused)                                                                               \
    X (forwards_taken)                                                                             \
    X (queries)                                                                                    \
    X (queries_refused)                                                                            \
    X (busy)                                                                                       \
    X (no_space)

typedef struct speed_metrics {
#define X(name) uint64_t name;
    SPEED_METRICS (X)
#undef X
} speed_metrics_t;

struct speed_core {
    uint32_t magic;
    env_t *env;
    speed_options_t options;
    member_t *member;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
    partition_t **partitions; /* per partition; NULL: not ours */
    uint64_t *let_go; /* per partition, the last epoch that was ours and is not any more … */
    bool *asked_back; /* … and whether the latest orders have it */
    routes_t *routes;
    request_table_t *requests;
    uint64_t next_id; /* of our own requests to the coordinator */
    arena_t *scratch; /* for one message */
    pressure_t pressure;
    space_t *space;
    retired_t *retired;
    size_t caught_up; /* forwards that are, as of the last tick */
    speed_metrics_t metrics;
};

/* ---- orders.c ---- */
void orders_take (void *core, const wire_value_t *orders);
void orders_fill_beat (void *core, wire_writer_t *beat);
void orders_model (void *core, model_t *model);
void partition_destroy (partition_t **self_p);
/* One of its shards failed: the others end too. */
void partition_fail (partition_t *self, const shard_t *failed);
/* The shard, or NULL when the partition is not ours or the log not opened. */
shard_t *worker_shard (speed_core_t *self, const char *log_name, uint32_t partition);

/* ---- ingest.c ---- */
void ingest_send (speed_core_t *self, const peer_t *from, const message_t *message);
void ingest_append (speed_core_t *self, const peer_t *from, const message_t *message);
void ingest_append_answered (speed_core_t *self, const message_t *message);
void ingest_tell (void *core, const waiter_t *waiter, const char *log_name, uint32_t partition,
                  status_t status, const char *reason, const outcome_t *outcome, uint64_t position);
bool ingest_leased (void *core);
bool ingest_current (void *core);
/* What is held, as of a moment ago. */
const pressure_t *worker_pressure (speed_core_t *self);
/* True when a batch of producers, that has not been decoded yet, is refused for want of room; it
 * has been told then. What is refused costs little. */
bool ingest_refused (speed_core_t *self, const peer_t *from, message_kind_t kind, uint64_t id,
                     size_t size);
int64_t ingest_expire (speed_core_t *self, int64_t now);

/* ---- forwarding.c ---- */
bool forwarding_send (void *core, const forward_message_t *message);
void forwarding_take (speed_core_t *self, const peer_t *from, const message_t *message);
/* False: it is not the answer to a `forward`. */
bool forwarding_answered (speed_core_t *self, const message_t *message);
/* The mark, or why not, for whoever asked. */
void forwarding_tell (speed_core_t *self, const waiter_t *waiter, status_t status,
                      const char *reason, uint64_t mark);

/* ---- query.c ---- */
void query_answer (speed_core_t *self, const peer_t *from, const message_t *message);

/* ---- core.c ---- */
/* Ends the message in self->writer and sends it. */
void worker_send (speed_core_t *self, const peer_t *to);
void worker_send_error (speed_core_t *self, const peer_t *to, uint64_t id, const error_t *error);

#endif
