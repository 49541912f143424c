/* task.h - one task of the coordinator's as a job: its order, its progress, its outputs.
 *
 * A task is made on the core's thread, runs on another, and comes back. While it runs the core
 * touches nothing of it but the atomics. What it wrote stays only when it succeeds. */
#ifndef WEIR_BATCH_WORKER_TASK_H
#define WEIR_BATCH_WORKER_TASK_H

#include "base/env.h"
#include "base/kept.h"
#include "batch-worker/erase.h"
#include "intake/intake.h"
#include "member/model.h"

#include <stdatomic.h>

/* Of a task's memory, what a compaction gathers rows in; the rest is for what reads and writes
 * them.
 */
static inline uint64_t task_gathers (uint64_t memory_limit)
{
    return memory_limit / 4 * 3;
}

/* What rows that are on the disk may take while they are given, some at a time. */
static inline uint64_t task_gives (uint64_t memory_limit)
{
    return memory_limit / 4;
}

/* Above these an alert is raised (docs/skew.md). */
typedef struct task_thresholds {
    double psi;
    double ks;
    double null_rate; /* of the difference, either way */
} task_thresholds_t;

/* What every task of this worker is given. */
typedef struct task_setting {
    fs_t *fs;
    uint64_t place; /* of the data directory */
    task_thresholds_t thresholds;
    uint64_t cluster_id;
    uint32_t partitions;
    int64_t max_ahead;     /* µs */
    uint64_t memory_limit; /* bytes */
    kept_t *kept;          /* memory that tasks sort in, one after the other; NULL: their own */
    uint64_t disk_reserve; /* bytes */
    const char *data;      /* where that is, for messages; NULL: not said. A task has a copy */
    unsigned threads;      /* that a load may use, with the job's own; 0 is 1 */
} task_setting_t;

/* RUN on the protocol page. */
typedef struct task_run {
    const char *path;
    uint64_t size;
    uint64_t rows;
    uint64_t offset;    /* of all rows; RUN_OFFSET_AS_WRITTEN when they have their own */
    uint32_t partition; /* of a load's output … */
    const char *log;    /* … in this log; NULL in a build, which is of one */
} task_run_t;

typedef struct task_runs {
    task_run_t *items;
    size_t count;
    size_t capacity;
} task_runs_t;

void task_runs_add (task_runs_t *self, const task_run_t *run);
void task_runs_release (task_runs_t *self);

typedef struct task_view {
    const plan_t *plan;
    const char *path;
    uint64_t size;
} task_view_t;

/* A view that has no file of the new layer. */
typedef struct task_left_out {
    const char *view;
    uint32_t version;
    const char *reason;
} task_left_out_t;

typedef struct build_order {
    text_t log;
    uint32_t partition;
    uint64_t from; /* offsets [from, cut) of the log are new */
    uint64_t cut;
    int64_t clock;  /* µs */
    bool delta;     /* files of what is older stay: the new ones go above them */
    int64_t latest; /* covered event time that they tell of; INT64_MIN without */
    task_runs_t runs;
    uint64_t *excluded; /* ascending */
    size_t excluded_count;
    erasure_t *forgets; /* what is left out of what is written */
    size_t forgets_count;
} build_order_t;

/* Is anything left of an erased entity? */
typedef struct verify_order {
    text_t log;
    uint32_t partition;
    uint64_t before_task; /* tasks from this number on never read what held it */
    task_runs_t runs;     /* of the dataset, and of loads that are to come */
    erasure_t erasure;
} verify_order_t;

/* A part of the dataset that a key which is new to a stream is given. */
typedef struct history_part {
    uint32_t partition;
    uint64_t first; /* number of its first row */
    task_runs_t runs;
    uint64_t *excluded; /* ascending */
    size_t excluded_count;
    struct history_load {
        uint64_t offset;
        uint64_t rows;
    } * loads;
    size_t loads_count;
} history_part_t;

typedef struct load_order {
    text_t stream;
    const char *path;
    const char *id;
    text_format_t format;
    bool skip;
    int64_t clock; /* µs */
    text_t ingest_time;
    const char **logs; /* that runs are written for */
    size_t logs_count;
    bool from_history; /* there is no file: the rows are … */
    history_part_t *history;
    size_t history_count;
} load_order_t;

/* What a training set reads of a log in a partition. */
typedef struct train_source {
    text_t log;
    uint64_t position; /* rows from there on are not read */
    task_runs_t runs;
    uint64_t *excluded; /* ascending */
    size_t excluded_count;
} train_source_t;

/* The rows of a training set of one view, under one key, in one partition. */
typedef struct train_order {
    text_t view;
    uint32_t version;
    uint32_t partition;
    const char **features;
    size_t features_count;
    const char **request; /* values of the request that the rows have */
    size_t request_count;
    bool known; /* … and known-at times, in the last column */
    bool before;
    bool all_keys; /* there are no rows: all keys of the view, as of … */
    int64_t as_of;
    const char *spine; /* run of the rows */
    uint64_t rows;
    train_source_t *sources; /* in the order of the view's */
    size_t sources_count;
} train_order_t;

/* What a look at answers came to. */
typedef struct task_skewed {
    const char *report; /* JSON */
    uint64_t compared;
    uint64_t mismatches;
    uint64_t late;
    const char **alerts;
    size_t alerts_count;
} task_skewed_t;

typedef enum task_kind { TASK_BUILD, TASK_LOAD, TASK_VERIFY, TASK_TRAIN, TASK_SKEW } task_kind_t;

/* The kind in an order of a build of runs alone, which nobody waits for. */
#define TASK_FOLD "fold"
/* Of a part of a training set, which is in the way of nobody either. */
#define TASK_TRAIN_WORD "train"
#define TASK_SKEW_WORD  "skew"

enum { TASK_MAGIC = 0x5441534b };

typedef struct task {
    job_t job; /* first */
    uint32_t magic;
    task_setting_t setting;
    uint64_t id;
    uint64_t attempt;
    task_kind_t kind;
    build_order_t build;
    load_order_t load;
    verify_order_t verify;
    train_order_t train;
    struct skew_order *skew; /* skew.h */
    model_t *model;          /* a reference */
    arena_t *arena;          /* strings and lists of the order and of the outputs */

    _Atomic uint64_t done; /* events of a build, bytes of a load */
    _Atomic uint64_t total;
    _Atomic uint64_t taken; /* rows of a load so far */
    _Atomic bool cancelled;

    /* the result: read when the job is done */
    status_t status;
    error_t error;
    task_runs_t runs; /* a build's whole new list; a load's, with partitions */
    int64_t latest;   /* event time that a build covers; INT64_MIN none */
    task_view_t *views;
    size_t views_count;
    task_left_out_t *left_out; /* room for all of the model's views */
    size_t left_out_count;
    uint64_t rows;
    uint64_t refused;
    const char *rejects; /* NULL: none */
    uint64_t *erased;    /* rows of each of the order's forgets; of a verification, those left */
    size_t erased_count;
    uint64_t files;    /* that a verification looked at */
    const char *found; /* where something is left; NULL */
    task_skewed_t skewed;

    const char **written; /* files to be removed when it fails */
    size_t written_count;
    size_t written_capacity;
} task_t;

/* A task from a checked TASK. An order that makes no sense gives a task that fails when it runs.
 * Takes references of the model and of what is kept. */
task_t *task_new (const task_setting_t *setting, model_t *model, const wire_value_t *order);
void task_destroy (task_t **self_p);

/* The path of the run among its inputs that its error names; NULL: it names none. */
const char *task_damaged (const task_t *self);

/* Writes the fields of OUTPUTS into an open map. */
void task_put_outputs (const task_t *self, wire_writer_t *writer);

/* ---- for load and build, on the job's thread ---- */

/* CANCELLED when nobody wants the result any more. Between blocks of work. */
MUST_CHECK status_t task_go_on (task_t *self, error_t *error);
void task_progress (task_t *self, uint64_t more);

/* The file at `path` (in the arena) is an output from now on; task_forget: not any more, and is
 * removed. */
void task_wrote (task_t *self, const char *path);
void task_forget (task_t *self, const char *path);

/* The view gets no file, for that reason. */
void task_left_out (task_t *self, const plan_t *plan, const error_t *reason);

/* A string in the arena. */
const char *task_format (task_t *self, const char *format, ...) PRINTF_LIKE (2, 3);

/* Reads RUNs, whose strings are then in the arena. */
MUST_CHECK status_t task_read_runs (task_t *self, wire_list_t list, task_runs_t *runs,
                                    error_t *error);

/* Is it what the fs takes: parts with "/" between, none empty, "." or ".."? */
bool task_path_is_plain (text_t path);

MUST_CHECK status_t task_build (task_t *self, error_t *error);  /* build.c */
MUST_CHECK status_t task_load (task_t *self, error_t *error);   /* load.c */
MUST_CHECK status_t task_verify (task_t *self, error_t *error); /* verify.c */
MUST_CHECK status_t task_train (task_t *self, error_t *error);  /* train.c */

#endif
