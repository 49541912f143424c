/* build.h - the steps of a build, which share what is here: compact the log, merge runs, write
 * views. */
#ifndef WEIR_BATCH_WORKER_BUILD_H
#define WEIR_BATCH_WORKER_BUILD_H

#include "batch-worker/task.h"
#include "storage/merge.h"
#include "storage/sorter.h"

enum {
    SOURCE_BYTES = 8 << 20, /* memory that an open cursor may take: two blocks, unpacked */
    FAN_IN_MAX = 64,        /* runs merged at once */
};

/* The log's new rows, which are no run yet: they are given in order, once, while runs and views are
 * written. */
typedef struct fresh {
    sorter_t *sorter;       /* NULL: there are none */
    const char *path;       /* of the run that they are to be; by it they are one of `runs` */
    bool aside;             /* some were put on the disk, since they do not all fit into memory */
    run_writer_t *writer;   /* of that run; NULL: they go into another one, with others */
    int64_t latest;         /* event time of theirs, at most the clock; INT64_MIN: none */
    const uint64_t *wanted; /* columns, as in block_decode */
    column_t *columns[2];   /* of batches that were given, in turns */
    unsigned turn;
} fresh_t;

typedef struct build {
    task_t *task;
    const build_order_t *order;
    fs_t *fs;
    keyed_log_t log;
    columns_t columns;   /* of the stream: as which all rows are read and written */
    run_schema_t schema; /* of what is written */
    eraser_t eraser;     /* of the order's forgets */
    uint32_t runs_written;
    task_runs_t runs; /* the layer's, as they become */
    fresh_t fresh;
    bool merges;             /* they become one while the views are made of them */
    const char *merged_path; /* that one's */
} build_t;

/* The next run's path. */
const char *build_run_path (build_t *self);
/* A run that was written becomes one of the partition's. */
void build_add_run (build_t *self, const char *path, const run_info_t *info);

/* Is the offset one of the unloaded loads'? */
bool build_excludes (const build_order_t *order, uint64_t offset);

/* Opens a run of this partition, which may have the columns of an earlier definition. The error
 * names the file. */
MUST_CHECK status_t build_open_run (build_t *self, const task_run_t *item, run_t **run,
                                    error_t *error);

/* A cursor over it that gives the stream's columns. */
MUST_CHECK status_t build_open_cursor (build_t *self, const run_t *run, const uint64_t *wanted,
                                       run_cursor_t **cursor, error_t *error);

/* Some runs as one stream of rows in order, excluded ones left out. */
typedef struct run_sources {
    size_t count;
    run_t **runs;
    run_cursor_t **cursors;
    merge_t *merge;
} run_sources_t;

/* `wanted` as in block_decode. Release it also after an error. */
MUST_CHECK status_t run_sources_open (build_t *build, const task_run_t *items, size_t count,
                                      const uint64_t *wanted, run_sources_t *sources,
                                      error_t *error);
void run_sources_release (run_sources_t *self);

/* What it is of, and as which rows are read and written: by the order's log and partition. */
MUST_CHECK status_t build_of_log (build_t *self, error_t *error);

/* Runs that hold what is to be erased are written without it (erase.c). */
MUST_CHECK status_t build_erase (build_t *self, error_t *error);
/* Gathers the log [from, cut), what is to be erased left out, as fresh rows. */
MUST_CHECK status_t build_compact (build_t *self, error_t *error);

/* Are the fresh rows what this one of `runs` stands for? */
bool build_is_fresh (const build_t *self, const task_run_t *run);
/* The fresh rows as a source; ask for it once. `wanted` as in block_decode, which outlives it;
 * ingest times are left out with it. */
merge_source_t build_fresh_source (build_t *self, const uint64_t *wanted);
/* For rows that stay a run of their own: it is written while the source gives them. When all were
 * given, it is ended. */
MUST_CHECK status_t build_fresh_begin (build_t *self, error_t *error);
MUST_CHECK status_t build_fresh_end (build_t *self, error_t *error);
/* Puts fresh rows that are in memory on the disk, if others use so many bytes that there is not
 * enough for all. */
MUST_CHECK status_t build_fresh_yield (build_t *self, uint64_t used, error_t *error);
void build_fresh_release (build_t *self);
/* Merges runs into few (tiers.h), a delta's into one. When all are to become one, that is left to
 * build_views, which reads them all anyway (`merges`). */
MUST_CHECK status_t build_merge (build_t *self, error_t *error);
/* The run that all become. It is to be given all rows in order; then it is the only one. */
MUST_CHECK status_t build_merge_begin (build_t *self, run_writer_t **writer, error_t *error);
MUST_CHECK status_t build_merge_end (build_t *self, run_writer_t *writer, error_t *error);
/* One file for every view of the log, over the runs; which become one if they are to. */
MUST_CHECK status_t build_views (build_t *self, error_t *error);

#endif
