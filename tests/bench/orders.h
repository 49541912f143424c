/* orders.h - what a coordinator would send to a batch worker, made here: definitions and builds.
 *
 * A benchmark makes tasks on one thread; they may run on others. Failures end the program. */
#ifndef WEIR_TESTS_BENCH_ORDERS_H
#define WEIR_TESTS_BENCH_ORDERS_H

#include "batch-worker/task.h"
#include "storage/log.h"

/* A disk on which nothing is synced: files count for a benchmark once they are written. */
typedef struct orders {
    fs_t *fs;
    fs_ops_t ops;
    kept_t *kept; /* memory that tasks sort in, as a batch worker has it */
    wire_writer_t *writer;
    wire_decoder_t *decoder;
    model_t *model;
    const stream_t *stream;
    keyed_log_t log; /* of the stream's own key */
    error_t error;
} orders_t;

/* Files are below `directory`. The texts are YAML of one stream and of one view over it. */
void orders_init (orders_t *self, const char *directory, const char *stream, const char *view);
void orders_release (orders_t *self);

/* Ends the program unless the status is OK; the reason is in self->error. */
void orders_must (orders_t *self, status_t status, const char *what);

/* Builds the views of one partition. */
typedef struct orders_build {
    uint64_t task; /* its number, which is in the names of its files */
    uint32_t partition;
    uint32_t partitions;
    uint64_t from; /* offsets [from, cut) of the log are not in the runs */
    uint64_t cut;
    int64_t clock;          /* µs */
    uint64_t memory;        /* bytes that it may use */
    const task_run_t *runs; /* that come in; only path, size and rows are told */
    size_t runs_count;
    const int64_t *latest; /* of the layers that stay below a delta; NULL: it is a base */
} orders_build_t;

task_t *orders_task (orders_t *self, const orders_build_t *build);

/* Loads a file into the log of the stream's own key, in all partitions. */
typedef struct orders_load {
    uint64_t task;
    const char *path; /* below the directory */
    const char *format;
    uint32_t partitions;
    int64_t clock; /* µs */
    uint64_t memory;
    unsigned threads;
} orders_load_t;

task_t *orders_load_task (orders_t *self, const orders_load_t *load);

/* The log of a partition while events are written to it as a speed worker would. */
typedef struct orders_log {
    orders_t *orders;
    log_t *log;
} orders_log_t;

void orders_log_open (orders_log_t *self, orders_t *orders, uint32_t partition);
/* Appends a batch without keys as one record. */
void orders_log_append (orders_log_t *self, const batch_t *batch);
void orders_log_close (orders_log_t *self); /* flushes first */

#endif
