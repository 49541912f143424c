/* loads.h - bulk loads: loads.c, load_runs.c.
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_LOADS_H
#define WEIR_COORDINATOR_LOADS_H

#include "coordinator/logs.h"

typedef struct task task_t;

typedef enum load_state {
    LOAD_QUEUED,
    LOAD_PARSING,
    LOAD_COMMITTING,
    LOAD_WAITING,
    LOAD_VISIBLE,
    LOAD_FAILED,
    LOAD_UNLOADING,
    LOAD_UNLOADED
} load_state_t;

/* The runs that a load has for one partition. */
typedef struct load_part {
    catalog_run_t *runs;
    size_t runs_count;
} load_part_t;

/* A load in one of the stream's keyed logs. */
typedef struct load_log {
    const char *name;
    uint64_t manifest;  /* with which it became visible, or was undone */
    placed_t *places;   /* per partition */
    load_part_t *parts; /* per partition */
} load_log_t;

typedef struct load {
    arena_t *arena; /* of all but the task */
    catalog_load_t row;
    load_state_t state;
    load_log_t *logs; /* none before it is parsed */
    size_t logs_count;
    task_t *task; /* NULL when none is under way */
    uint64_t bytes_done;
    uint64_t recompute; /* that it waits for; 0 */
    put_off_t damaged;  /* it does not come in while a file of its own cannot be read */
} load_t;

/* ---- loads.c ---- */
void load_asked (coordinator_core_t *self, const peer_t *from, const message_t *message);
void load_unload_asked (coordinator_core_t *self, const peer_t *from, const message_t *message);
load_t *load_find (const coordinator_core_t *self, text_t id);
/* Fails only when the catalog does: the task is to be told of again. */
MUST_CHECK status_t load_parsed (coordinator_core_t *self, task_t *task,
                                 const wire_value_t *outputs, error_t *error);
/* False when the catalog failed. */
bool load_fail (coordinator_core_t *self, load_t *load, const char *reason);
void loads_settle (coordinator_core_t *self);
load_t *load_new (void); /* in no list yet */
/* In the place of a failed one of the same id, or at the end. Takes the load. */
void load_add (coordinator_core_t *self, load_t *load);
/* What it has in a log, or NULL. */
load_log_t *load_log (const load_t *self, const char *log);
/* Adds a log to it, without anything in it. */
load_log_t *load_add_log (load_t *self, const char *log, uint32_t partitions);
/* Do the datasets of all its logs but `except` include it (or, with `out`, leave it out)? */
bool load_settled (const coordinator_core_t *self, const load_t *load, const char *except,
                   bool out);
void load_destroy (load_t **self_p);
const char *load_word (load_state_t state);
/* What users are told: visible, and undone, when every answer from then on is so. */
const char *load_told (const coordinator_core_t *self, const load_t *load);
/* The manifests of its logs are what its answers need to stand on. */
void load_needs_manifests (const coordinator_core_t *self, load_t *load);
bool load_state_of (const char *word, load_state_t *state);

/* What a failed load's error becomes, which may have quoted an entity's values. */
#define LOAD_ERROR_FORGOTTEN "(the reason was removed when an entity was erased)"

/* ---- load_runs.c ---- */
/* The runs of all partitions as the catalog keeps them (JSON), in the load's arena, and back.
 * CORRUPT when the text is not one of ours. */
const char *load_runs_text (const load_t *load, uint32_t partitions);
MUST_CHECK status_t load_runs_read (load_t *load, uint32_t partitions, error_t *error);

#endif
