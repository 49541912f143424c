/* forgets.h - erasing an entity: accepted → placing → erasing → erased (docs/coordination.md).
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_FORGETS_H
#define WEIR_COORDINATOR_FORGETS_H

#include "coordinator/state.h"

enum {
    FORGETS_PENDING_MAX = 256, /* that are not erased yet */
    FORGETS_MAX = 10000,       /* remembered; the oldest that are over are dropped */
    FORGETS_TOLD_MAX = 1000,   /* in one message, the newest */
    FORGET_ID_SIZE = 16,       /* hex digits */
};

typedef enum forget_state {
    FORGET_ASKED,    /* its key is being written: never answered, and never in memory */
    FORGET_ACCEPTED, /* what was begun before it goes first */
    FORGET_PLACING,  /* its record is on its way into every log */
    FORGET_ERASING,  /* recomputes leave it out, old files go, and it is looked for */
    FORGET_CLEARED,  /* nothing is left, and its key is going */
    FORGET_ERASED,
    FORGET_FAILED /* the stream was deleted, or its key is lost */
} forget_state_t;

/* A forget in one of the stream's keyed logs. */
typedef struct forget_log {
    const char *name;
    bool primary;
    placed_t *places;    /* per partition; in the primary only the entity's own */
    uint64_t manifest;   /* the first known without it; 0 */
    const char *dataset; /* of that */
    uint64_t bound;      /* tasks from this number on never read what held it */
    bool again;          /* something was found: another recompute trims and sweeps once more */
    bool *verified;      /* per partition */
    task_t **tasks;      /* per partition, while it is looked for */
} forget_log_t;

struct forget {
    arena_t *arena;
    catalog_forget_t row;
    forget_state_t state;
    const char *control; /* "forget-<id>" */
    text_t key;          /* encoded; empty when it is over */
    const char *shown;   /* as users write it, "" when it is over */
    bool damaged;        /* its file is not what was written, or not there */
    uint32_t partition;  /* of the stream's own log */
    forget_log_t *logs;  /* from PLACING on */
    size_t logs_count;
    int64_t retry_at; /* boot µs */
    char waits[160];  /* for what, while it is erased; "" */
};

forget_t *forget_new (void);
void forget_destroy (forget_t **self_p);
/* The logs that it has to be in: all that the stream has. */
void forget_add_logs (coordinator_core_t *self, forget_t *forget);
/* What it has in a log, or NULL. */
forget_log_t *forget_log (const forget_t *self, const char *log);

/* Erased or failed: nothing is to be done for it any more. */
bool forget_is_over (const forget_t *self);
/* It is one of the core's from now on. */
void forget_add (coordinator_core_t *self, forget_t *forget);
/* The texts are copied. */
void forget_copy_row (forget_t *forget, const catalog_forget_t *row);
/* One that nobody was told is accepted goes, with its key. */
MUST_CHECK status_t forget_drop_asked (coordinator_core_t *self, const char *id, error_t *error);

/* Durably in that state, first in the catalog. */
MUST_CHECK status_t forget_store (coordinator_core_t *self, forget_t *forget, forget_state_t state,
                                  error_t *error);
/* Nothing is left of it: its key goes, and it is over. */
MUST_CHECK status_t forget_finish (coordinator_core_t *self, forget_t *forget, error_t *error);

/* ---- forget_asked.c ---- */
/* FORGET_ID_SIZE digits of lower-case hex? */
bool forget_is_id (text_t id);

/* ---- forget_order.c ---- */
/* Was the load begun before it? */
bool forget_comes_after (const forget_t *self, const load_t *load);
/* Has it its place wherever it needs one in the log; with `below`, under the cuts of all
 * partitions? */
bool forget_is_placed (const coordinator_core_t *self, const forget_t *forget,
                       const forget_log_t *log, const placed_t *below);

/* ---- forget_erase.c ---- */
/* Goes on with one that is ERASING. */
void erase_go_on (coordinator_core_t *self, forget_t *forget);

/* ---- forget_samples.c ---- */
/* A serving node that has still to remove what it has kept of answers; NULL: there is none. */
const char *forget_samples_wait (const coordinator_core_t *self);
/* What nodes that do not live, or keep none any more, have kept of answers goes. */
MUST_CHECK status_t forget_samples (coordinator_core_t *self, error_t *error);

/* ---- forget_file.c: the key, which the catalog never holds ---- */

/* Durably in forgets/<id>, whole or not at all. */
MUST_CHECK status_t forget_file_write (coordinator_core_t *self, const forget_t *forget,
                                       error_t *error);
/* Fills key and shown. NOT_FOUND, CORRUPT, or VERSION when there is no such file. */
MUST_CHECK status_t forget_file_read (coordinator_core_t *self, forget_t *forget, error_t *error);
/* The names of all files that there are, in `arena`; the list is the caller's. */
MUST_CHECK status_t forget_files (coordinator_core_t *self, arena_t *arena, const char ***names,
                                  size_t *count, error_t *error);
/* Durably gone. One that is not there is fine. */
MUST_CHECK status_t forget_file_remove (coordinator_core_t *self, const char *id, error_t *error);
#endif
