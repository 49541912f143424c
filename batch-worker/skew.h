/* skew.h - answers that serving kept, computed again where they stood, and training's values beside
 * serving's (docs/skew.md). The parts of a task of kind `skew`; for this library's own files. */
#ifndef WEIR_BATCH_WORKER_SKEW_H
#define WEIR_BATCH_WORKER_SKEW_H

#include "batch-worker/task.h"
#include "feature/outcome.h"
#include "skew/distribution.h"
#include "skew/sample_files.h"

enum {
    SKEW_LOGS_MAX = (int)ROLES_MAX * (int)SOURCES_MAX,
    SKEW_SHOWN_MAX = 10,       /* mismatches that are told one by one */
    SKEW_REPORT_MAX = 1 << 20, /* bytes */
    SKEW_ALERTS_MAX = 100,     /* that are told */
};

/* ---- the order ---- */

/* A partition of a dataset. */
typedef struct skew_part {
    uint64_t cut;
    task_runs_t runs;
    uint64_t *excluded; /* ascending */
    size_t excluded_count;
    uint64_t *loads; /* offsets of the records of all loads, ascending */
    size_t loads_count;
} skew_part_t;

typedef struct skew_log {
    text_t name;
    uint64_t manifest;  /* that the dataset is of */
    uint64_t removed;   /* the latest with which rows of an earlier one went; 0: none ever did */
    skew_part_t *parts; /* by partition */
} skew_log_t;

typedef struct skew_order {
    text_t name;          /* of the view or service */
    int64_t since;        /* answers that were given from then on */
    const char *training; /* a CSV; NULL: none */
    skew_log_t *logs;
    size_t logs_count;
} skew_order_t;

/* ---- what is looked at ---- */

/* A view that is read. */
typedef struct skew_role {
    uint32_t number; /* of the service's role */
    const view_t *view;
    plan_t *const *plans;
    size_t plans_count;
    uint32_t *features; /* of the view, that are needed … */
    uint32_t *inputs;   /* … and which input of the service each is; of a view, the feature */
    size_t features_count;
} skew_role_t;

/* The view or service as it is now. */
typedef struct skew_target {
    const service_t *service; /* NULL: it is a view */
    const plan_t *plan;       /* that the features are of */
    uint32_t version;
    size_t keys_count;
    size_t request_count;
    skew_role_t *roles;
    size_t roles_count;
    size_t inputs_count;  /* per entity: of the service, or all features of the view */
    outcome_task_t *task; /* of a service */
    uint32_t *outputs;    /* the plan's feature for each place of an answer */
    size_t outputs_count;
} skew_target_t;

typedef struct skew_entry {
    const sample_shape_t *shape;
    const sample_block_t *block;
    sample_answer_t answer;
    bool removed; /* rows went since, that its dataset may have had */
} skew_entry_t;

typedef struct skew_counts {
    uint64_t answers; /* of the view or service, in the time */
    uint64_t compared;
    uint64_t mismatches;
    uint64_t late;       /* the same at their positions, and another now */
    uint64_t removed;    /* another, and rows that they may have stood on are gone */
    uint64_t incomplete; /* these and the next are not compared */
    uint64_t ahead;      /* they stand past the dataset */
    uint64_t versions;   /* of another version */
    uint64_t damaged;    /* that do not fit what they say they are of */
    uint64_t torn;       /* bytes in segments that are no answers */
} skew_counts_t;

/* A mismatch that is told. */
typedef struct skew_shown {
    const char *json;
} skew_shown_t;

/* What is known of a feature's values. */
typedef struct skew_spread {
    bool in_training;
    const char *problem; /* why they are not compared; NULL: they are */
    distribution_result_t result;
} skew_spread_t;

typedef struct skew {
    task_t *task;
    const skew_order_t *order;
    skew_target_t target;
    skew_counts_t counts;
    const char *shown[SKEW_SHOWN_MAX]; /* mismatches, as JSON */
    size_t shown_count;
    skew_spread_t *spreads; /* per output; NULL: no training set */
    const char *alerts[SKEW_ALERTS_MAX];
    size_t alerts_count;
    uint64_t alerts_all;
    const sample_shape_t *shape; /* that was asked about last … */
    bool is_version;             /* … and what was said */
    /* answers that are looked at together */
    arena_t *arena;
    sample_block_t **blocks;
    size_t blocks_count;
    skew_entry_t *entries;
    size_t entries_count;
} skew_t;

/* ---- skew.c ---- */
MUST_CHECK status_t task_skew (task_t *task, error_t *error);

/* ---- skew_order.c ---- */
/* From SKEW_TASK and its SKEW_PARTs. */
MUST_CHECK status_t skew_order_read (task_t *task, const wire_value_t *order, wire_list_t parts,
                                     error_t *error);
void skew_order_release (skew_order_t *self, uint32_t partitions);
/* The log of that name, or NULL. */
const skew_log_t *skew_log_named (const skew_order_t *self, text_t name);

/* ---- skew_target.c ---- */
/* What the order is about, in the arena. NOT_FOUND. */
MUST_CHECK status_t skew_bind (skew_t *self, error_t *error);
/* Is the shape of the same name, version and views, over the same keys? */
bool skew_is_version (skew_t *self, const sample_shape_t *shape);
/* The place among the outputs of a feature's name; -1: it is none of them. */
int skew_output (const skew_target_t *self, text_t name);

/* ---- skew_walk.c ---- */
/* What the entries come to: outcomes[entry * outputs_count + place], in the arena. With `stands`,
 * where they stood; else as of all that there is now. */
MUST_CHECK status_t skew_compute (skew_t *self, bool stands, const outcome_t **outcomes,
                                  error_t *error);

/* ---- skew_compare.c ---- */
/* Computes the entries again, counts what differs, and begins anew. */
MUST_CHECK status_t skew_compare (skew_t *self, error_t *error);

/* ---- skew_spread.c ---- */
/* The distributions of all features. */
MUST_CHECK status_t skew_spreads (skew_t *self, error_t *error);

/* ---- skew_report.c ---- */
/* Appends a value as `weir get --json` does. */
void skew_put_value (buf_t *out, const value_t *value);
/* The whole report as JSON, in the task's arena, and the alerts. */
MUST_CHECK status_t skew_report (skew_t *self, error_t *error);

/* Calls `each` with every answer of the order's name and time, until it fails. The block goes with
 * the call unless the callee sets *keep. */
typedef status_t skew_each_f (skew_t *self, sample_block_t *block, const sample_answer_t *answer,
                              bool *keep, error_t *error);
MUST_CHECK status_t skew_each (skew_t *self, skew_each_f *each, error_t *error);

#endif
