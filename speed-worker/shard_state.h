/* shard_state.h - the inside of a shard, for shard*.c only. */
#ifndef WEIR_SPEED_WORKER_SHARD_STATE_H
#define WEIR_SPEED_WORKER_SHARD_STATE_H

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "speed-worker/replay.h"
#include "speed-worker/shard.h"

enum {
    SHARD_MAGIC = 0x53484152,
    WAITERS_MAX = 8,              /* repeats of one batch that wait for it */
    PENDING_CHUNK = 16 << 10,     /* bytes of a batch's arena, at first */
    PENDING_BYTES_MAX = 32 << 20, /* of batches that wait for the disk */
    REBUILD_KEPT_MAX = 64 << 20,  /* bytes of batches kept aside for a rebuild */
};

#define REBUILD_RETRY (TIME_SECOND) /* after a rebuild that failed */

/* Rebuilds have lanes of their own, so that flushes go on meanwhile. */
#define REBUILD_LANE (UINT32_C (1) << 31)

/* A record that has been appended, until its flush is durable (and, during a rebuild, until the new
 * views have it too). */
typedef struct pending {
    struct pending *next;
    log_kind_t kind;
    uint64_t offset;
    uint32_t count;
    arena_t *arena; /* NULL for a control record */
    model_t *model; /* whose stream the batch is of; NULL for a control record */
    batch_t batch;
    outcome_t outcome;
    waiter_t waiters[WAITERS_MAX];
    size_t waiters_count;
    char id[CONTROL_ID_MAX + 1];
    int64_t clock;
} pending_t;

typedef struct pending_list {
    pending_t *head;
    pending_t **tail;
} pending_list_t;

struct shard {
    uint32_t magic;
    shard_options_t options;
    char *log_name;
    shard_state_t state;
    char reason[ERROR_TEXT_MAX];
    model_t *model; /* of the definitions that appends are checked against */
    const stream_t *stream;
    log_t *log;
    dedupe_t *dedupe;
    realtime_t *realtime;
    model_t *realtime_model; /* the views borrow from it */
    controls_t controls;
    pending_list_t pending;
    size_t pending_bytes;
    log_flush_t *flush;
    log_trim_t *trim;
    bool trim_due;       /* the base rose since the last trim began, or that failed */
    replay_t *replay;    /* opening or rebuilding */
    int64_t rebuild_at;  /* boot µs; not before */
    pending_list_t kept; /* applied while a rebuild was under way */
    size_t kept_bytes;
    uint64_t base;
    uint64_t position;
    uint64_t appended; /* events, since this owner began */
    buf_t payload;     /* scratch for records */
    buf_t block;
};

void pending_push (pending_list_t *list, pending_t *pending);
pending_t *pending_pop (pending_list_t *list); /* NULL when empty */
void pending_destroy (pending_t **self_p);
size_t pending_size (const pending_t *self); /* bytes */

/* Tells a waiter that it did not happen, or that nobody knows. */
void shard_tell_error (shard_t *self, const waiter_t *waiter, status_t status, const char *reason);

/* Are the views, or those that are being built, unable to take events as they are checked now? */
bool shard_views_misread (const shard_t *self);

/* Ownership of this shard ends: the log failed. */
void shard_fail (shard_t *self, const error_t *error);

#endif
