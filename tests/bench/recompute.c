/* recompute.c - a batch worker's build task without a cluster, in events per second of one core: a
 * recompute over sorted history, and the first one, from the log.
 *
 * The work of docs/benchmarks.md: 4 windows x {count, sum, min, max} and count, sum and stddev over
 * the lifetime. Output is written and not synced. */
#include "base/random.h"
#include "base/timestamp.h"
#include "tests/bench/measure.h"
#include "tests/bench/orders.h"

#include <stdio.h>

enum {
    LOG_BATCH_ROWS = 500,
    DAYS = 60, /* of history */
};

#define HISTORY_START (INT64_C (1700000000) * TIME_SECOND)
#define HISTORY_END   (HISTORY_START + DAYS * 24 * TIME_HOUR)

static const char stream_text[] =
    "streams:\n  payments:\n    key: user_id\n    time: ts\n    fields:\n"
    "      user_id: int64\n      amount: float64\n"
    "      ts: {type: timestamp, unit: us}\n";
static const char view_text[] =
    "views:\n  spend:\n    from: payments\n    key: user_id\n    features:\n"
    "      n: count() over 1h, 1d, 7d, 30d, lifetime\n"
    "      total: sum(amount) over 1h, 1d, 7d, 30d, lifetime\n"
    "      least: min(amount) over 1h, 1d, 7d, 30d\n"
    "      most: max(amount) over 1h, 1d, 7d, 30d\n"
    "      spread: stddev(amount) over lifetime\n";

typedef struct bench {
    orders_t orders;
    random_t random;
    uint64_t memory; /* bytes that a build may use for sorting */
    uint64_t tasks;
    uint64_t events;
    uint64_t keys;
} bench_t;

static void bench_init (bench_t *self, int argc, char **argv)
{
    self->events = measure_number (argc, argv, "events", 2000000) / LOG_BATCH_ROWS * LOG_BATCH_ROWS;
    self->keys = measure_number (argc, argv, "keys", 100000);
    self->memory = measure_number (argc, argv, "memory-mib", 512) << 20;
    orders_init (&self->orders, measure_option (argc, argv, "directory", "."), stream_text,
                 view_text);
    random_seed (&self->random, 1);
}

/* Fills one row: an event of `user` at `time`. */
static void put_event (bench_t *self, batch_t *batch, size_t row, uint64_t user, int64_t time)
{
    double amount = (double)random_below (&self->random, 100000) / 100;
    value_t values[] = { { .type = TYPE_INT64, .i = (int64_t)user },
                         { .type = TYPE_FLOAT64, .f = amount },
                         { .type = TYPE_TIMESTAMP, .i = time } };
    for (size_t i = 0; i < 3; i++)
        column_set (&batch->column[i], row, &values[i]);
    batch->event_time[row] = time;
    batch->ingest_time[row] = time;
}

static void append_batch (bench_t *self, orders_log_t *log, arena_t *arena, uint64_t done)
{
    static const type_t types[] = { TYPE_INT64, TYPE_FLOAT64, TYPE_TIMESTAMP };
    batch_t batch = batch_new (arena, types, 3, LOG_BATCH_ROWS);
    int64_t step = (HISTORY_END - HISTORY_START) / (int64_t)self->events;
    for (size_t i = 0; i < LOG_BATCH_ROWS; i++)
        put_event (self, &batch, i, random_below (&self->random, self->keys),
                   HISTORY_START + (int64_t)(done + i) * step);
    batch.key = NULL;
    orders_log_append (log, &batch);
}

static void make_log (bench_t *self)
{
    orders_log_t log;
    arena_t *arena = arena_new (1 << 20);
    orders_log_open (&log, &self->orders, 0);
    for (uint64_t done = 0; done < self->events; done += LOG_BATCH_ROWS) {
        append_batch (self, &log, arena, done);
        arena_reset (arena);
    }
    orders_log_close (&log);
    arena_destroy (&arena);
}

/* A task that builds from the log, or with `before`, from the runs that it left. */
static task_t *make_task (bench_t *self, const task_t *before)
{
    orders_build_t build = { .task = ++self->tasks,
                             .partitions = 1,
                             .from = before != NULL ? self->events : 0,
                             .cut = self->events,
                             .clock = HISTORY_END,
                             .memory = self->memory };
    if (before != NULL) {
        build.runs = before->runs.items;
        build.runs_count = before->runs.count;
    }
    return orders_task (&self->orders, &build);
}

/* Seconds that the task takes. */
static double run_task (task_t *task)
{
    int64_t start = measure_now_ns ();
    task->job.run (&task->job);
    double seconds = measure_since (start);
    if (task->status != STATUS_OK)
        measure_fail ("build: %s", task->error.text);
    return seconds;
}

static void remove_file (bench_t *self, const char *path)
{
    orders_t *orders = &self->orders;
    orders_must (orders, fs_remove (orders->fs, path, &orders->error), path);
}

static void remove_outputs (bench_t *self, const task_t *task, bool runs)
{
    for (size_t i = 0; runs && i < task->runs.count; i++)
        remove_file (self, task->runs.items[i].path);
    for (size_t i = 0; i < task->views_count; i++)
        remove_file (self, task->views[i].path);
}

static void round_of (bench_t *self)
{
    double events = (double)self->events;
    task_t *first = make_task (self, NULL);
    measure_print ("first_recompute_per_s", events / run_task (first));
    task_t *again = make_task (self, first);
    measure_print ("recompute_per_s", events / run_task (again));
    uint64_t run_bytes = 0;
    for (size_t i = 0; i < first->runs.count; i++)
        run_bytes += first->runs.items[i].size;
    measure_print ("history_runs", (double)first->runs.count);
    measure_print ("history_bytes_per_event", (double)run_bytes / events);
    measure_print ("view_bytes_per_event", (double)again->views[0].size / events);
    remove_outputs (self, again, false);
    remove_outputs (self, first, true);
    task_destroy (&again);
    task_destroy (&first);
}

int main (int argc, char **argv)
{
    static bench_t bench;
    uint64_t rounds = measure_number (argc, argv, "rounds", 3);
    bench_init (&bench, argc, argv);
    make_log (&bench);
    for (uint64_t i = 0; i < rounds; i++)
        round_of (&bench);
    orders_release (&bench.orders);
    return 0;
}
