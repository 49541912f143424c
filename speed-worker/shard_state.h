/* shard_state.h - the inside of a shard, for shard*.c only. */
#ifndef WEIR_SPEED_WORKER_SHARD_STATE_H
#define WEIR_SPEED_WORKER_SHARD_STATE_H

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "intake/logged.h"
#include "speed-worker/lanes.h"
#include "speed-worker/replay.h"
#include "speed-worker/shard.h"

enum {
    SHARD_MAGIC = 0x53484152,
    WAITERS_MAX = 8,              /* repeats of one batch that wait for it */
    PENDING_CHUNK = 16 << 10,     /* bytes of a batch's arena, at first */
    FORGET_CHUNK = 2 << 10,       /* of a forget's */
    PENDING_BYTES_MAX = 32 << 20, /* of batches that wait for the disk */
    REBUILD_KEPT_MAX = 64 << 20,  /* bytes of batches kept aside for a rebuild */
    FORWARD_BYTES_MAX = 64 << 20, /* bytes of batches that wait for logs of other keys */
};

#define REBUILD_RETRY (TIME_SECOND) /* after a rebuild that failed */

/* A record that has been appended, until its flush is durable (and, during a rebuild, until the new
 * views have it, and until the logs of other keys have its events). */
typedef struct pending {
    struct pending *next;
    struct pending *later; /* of those that are not with other keys' logs yet */
    uint32_t holders;
    uint32_t forwards; /* that are not done with it: then those who wait are told */
    log_kind_t kind;
    uint64_t offset;
    uint32_t count;
    arena_t *arena; /* NULL for a control record but a FORGET */
    model_t *model; /* whose stream the batch is of; NULL for a control record */
    batch_t batch;
    outcome_t outcome;
    waiter_t waiters[WAITERS_MAX];
    size_t waiters_count;
    char id[CONTROL_ID_MAX + 1];
    int64_t clock;
    text_t key;      /* of a FORGET, in the arena */
    int64_t before;  /* of it, too */
    uint32_t source; /* of a re-keyed log: what the partition has … */
    uint64_t mark;   /* … below this is in */
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
    keyed_log_t keyed;
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
    uint64_t trimmed; /* the latest trim went up to there */
    uint64_t position;
    uint64_t *marks;          /* of a re-keyed log, per source; NULL of another */
    uint64_t *appended_marks; /* the same of what is appended */
    forward_t **forwards;     /* to the other keys' logs */
    size_t forwards_count;
    uint32_t forwards_made;
    char **wanted; /* names of the logs that forwards go to, while opening too */
    size_t wanted_count;
    bool forwards_unknown;  /* there are more, which the definitions here do not have */
    pending_t *unforwarded; /* durable, and some log of another key lacks them; by offset */
    pending_t **unforwarded_last;
    size_t forward_bytes;
    uint64_t gone_flushed;   /* bytes: of batches that became durable … */
    uint64_t gone_forwarded; /* … and of those that other keys' logs have */
    buf_t payload;           /* scratch for records */
    buf_t block;
};

/* Does it raise a mark of a re-keyed log? */
static inline bool pending_has_mark (const pending_t *self)
{
    return self->kind == LOG_KIND_EVENTS || self->kind == LOG_KIND_FORGET;
}

void pending_push (pending_list_t *list, pending_t *pending);
pending_t *pending_pop (pending_list_t *list); /* NULL when empty */
/* One holder less; the last one frees it. A new one has one holder. */
void pending_release (pending_t **self_p);
pending_t *pending_new (log_kind_t kind);
size_t pending_size (const pending_t *self); /* bytes */

/* Tells a waiter that it did not happen, or that nobody knows. */
void shard_tell_error (shard_t *self, const waiter_t *waiter, status_t status, const char *reason);

/* The batch as a block without keys, which stands in the shard's scratch until the next one. */
MUST_CHECK status_t shard_encode_block (shard_t *self, const batch_t *batch, text_t *block,
                                        error_t *error);

/* Appends self->payload as a record that waits for its flush. */
MUST_CHECK status_t shard_write_record (shard_t *self, pending_t *pending, int64_t now,
                                        error_t *error);

/* ---- shard_forward.c ---- */
/* A durable record goes to the other keys' logs; true: those who wait for it are told later. */
bool shard_forward (shard_t *self, pending_t *pending);
/* Is the record at that offset, or an older one, not with all logs of other keys yet? */
bool shard_forward_lags (const shard_t *self, uint64_t offset);
/* All logs of other keys hold what is below; UINT64_MAX when there are none. */
uint64_t shard_forward_low (const shard_t *self);
/* The shard serves from now on: nothing is acknowledged before its forwards are there. */
void shard_forward_begin (shard_t *self);
void shard_forward_end (shard_t *self, const char *reason);
/* The shard has another model. */
void shard_forward_set_model (shard_t *self);
/* True when the job was one of the forwards'. */
bool shard_forward_job_done (shard_t *self, job_t *job);

/* Tells those who wait for a durable record. */
void shard_answer_waiters (shard_t *self, const pending_t *pending);

/* Are the views, or those that are being built, unable to take events as they are checked now? */
bool shard_views_misread (const shard_t *self);

/* Ownership of this shard ends: the log failed. */
void shard_fail (shard_t *self, const error_t *error);

#endif
