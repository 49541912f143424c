/* recompute.c - a batch worker's build task without a cluster, in events per second of one core: a
 * recompute over sorted history, and the first one, from the log.
 *
 * The work of docs/benchmarks.md: 4 windows x {count, sum, min, max} and count, sum and stddev over
 * the lifetime. Output is written and not synced. */
#include "base/random.h"
#include "base/timestamp.h"
#include "batch-worker/task.h"
#include "block/block.h"
#include "intake/logged.h"
#include "storage/posix_fs.h"
#include "tests/bench/measure.h"

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
    fs_t *fs;
    fs_ops_t ops; /* those of the disk, but for syncs */
    model_t *model;
    const stream_t *stream;
    keyed_log_t keyed;
    random_t random;
    wire_writer_t *writer;
    wire_decoder_t *decoder;
    uint64_t memory; /* bytes that a build may use for sorting */
    uint64_t tasks;
    uint64_t events;
    uint64_t keys;
    error_t error;
} bench_t;

static void must (bench_t *self, status_t status, const char *what)
{
    if (status != STATUS_OK)
        measure_fail ("%s: %s", what, self->error.text);
}

static status_t no_sync (fs_t *fs, file_t *file, error_t *error)
{
    (void)fs;
    (void)file;
    (void)error;
    return STATUS_OK;
}

static status_t no_sync_dir (fs_t *fs, const char *path, error_t *error)
{
    (void)fs;
    (void)path;
    (void)error;
    return STATUS_OK;
}

/* A message that a coordinator would send, as a node sees it. */
static const wire_value_t *sent (bench_t *self)
{
    const void *data;
    size_t size;
    message_t message;
    if (!wire_end (self->writer, &data, &size))
        measure_fail ("a message is too large");
    must (self, wire_decode (self->decoder, data, size, &message, &self->error), "message");
    return message.body;
}

static void make_model (bench_t *self)
{
    static const char *const kinds[] = { "stream", "view" };
    static const char *const names[] = { "payments", "spend" };
    static const char *const texts[] = { stream_text, view_text };
    wire_begin (self->writer, message_reply (MESSAGE_DEFINITIONS), 1);
    wire_field_uint (self->writer, "version", 1);
    wire_field_list (self->writer, "objects");
    for (unsigned i = 0; i < 2; i++) {
        wire_open_map (self->writer);
        wire_field_string (self->writer, "kind", kinds[i]);
        wire_field_string (self->writer, "name", names[i]);
        wire_field_uint (self->writer, "version", 1);
        wire_field_string (self->writer, "text", texts[i]);
        wire_close (self->writer);
    }
    wire_close (self->writer);
    must (self, model_from_message (sent (self), &self->model, &self->error), "definitions");
    if (!model_log (self->model, text_of (self->model->plans[0]->log_name), &self->keyed))
        abort ();
    self->stream = self->keyed.stream;
}

static void bench_init (bench_t *self, int argc, char **argv)
{
    self->events = measure_number (argc, argv, "events", 2000000) / LOG_BATCH_ROWS * LOG_BATCH_ROWS;
    self->keys = measure_number (argc, argv, "keys", 100000);
    self->memory = measure_number (argc, argv, "memory-mib", 512) << 20;
    const char *root = measure_option (argc, argv, "directory", ".");
    must (self, posix_fs_open (root, &self->fs, &self->error), "directory");
    self->ops = *self->fs->ops;
    self->ops.sync = no_sync;
    self->ops.sync_dir = no_sync_dir;
    self->fs->ops = &self->ops;
    self->writer = wire_writer_new ();
    self->decoder = wire_decoder_new ();
    make_model (self);
    random_seed (&self->random, 1);
}

static void bench_release (bench_t *self)
{
    wire_writer_destroy (&self->writer);
    wire_decoder_destroy (&self->decoder);
    model_unref (&self->model);
    posix_fs_destroy (&self->fs);
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

/* ---- the log ---- */

static void append_batch (bench_t *self, log_t *log, arena_t *arena, uint64_t done)
{
    static const type_t types[] = { TYPE_INT64, TYPE_FLOAT64, TYPE_TIMESTAMP };
    batch_t batch = batch_new (arena, types, 3, LOG_BATCH_ROWS);
    int64_t step = (HISTORY_END - HISTORY_START) / (int64_t)self->events;
    for (size_t i = 0; i < LOG_BATCH_ROWS; i++)
        put_event (self, &batch, i, random_below (&self->random, self->keys),
                   HISTORY_START + (int64_t)(done + i) * step);
    batch.key = NULL;
    buf_t block;
    buf_t out;
    buf_init (&block, BLOCK_SIZE_MAX);
    buf_init (&out, BLOCK_SIZE_MAX);
    must (self, block_encode (&batch, 0, batch.rows, &block, &self->error), "block");
    events_payload_t payload = { .sequence = 1, .accepted = LOG_BATCH_ROWS };
    payload.block = (text_t){ (char *)block.data, (uint32_t)block.size };
    events_payload_encode (&payload, &out);
    uint64_t offset;
    must (self,
          log_append (log, LOG_KIND_EVENTS, out.data, out.size, LOG_BATCH_ROWS, HISTORY_END,
                      &offset, &self->error),
          "append");
    buf_release (&block);
    buf_release (&out);
}

static void flush (bench_t *self, log_t *log)
{
    log_flush_t *pending = log_flush_begin (log);
    if (pending == NULL)
        return;
    job_t *job = log_flush_job (pending);
    job->run (job);
    must (self, log_flush_end (log, &pending, &self->error), "flush");
}

static void make_log (bench_t *self, const char *dir)
{
    log_identity_t identity = logged_identity (&self->keyed, 1, 0);
    log_t *log;
    arena_t *arena = arena_new (1 << 20);
    must (self, log_open (self->fs, dir, &identity, 1, NULL, &log, &self->error), "log");
    for (uint64_t done = 0; done < self->events; done += LOG_BATCH_ROWS) {
        append_batch (self, log, arena, done);
        arena_reset (arena);
        if (log_pending (log) > 8 << 20)
            flush (self, log);
    }
    flush (self, log);
    log_destroy (&log);
    arena_destroy (&arena);
}

/* ---- builds ---- */

static void put_runs (bench_t *self, const task_t *before)
{
    wire_field_list (self->writer, "runs");
    for (size_t i = 0; before != NULL && i < before->runs.count; i++) {
        wire_open_map (self->writer);
        wire_field_string (self->writer, "path", before->runs.items[i].path);
        wire_field_uint (self->writer, "size", before->runs.items[i].size);
        wire_field_uint (self->writer, "rows", before->runs.items[i].rows);
        wire_close (self->writer);
    }
    wire_close (self->writer);
}

/* A task that builds from the log, or with `before`, from the runs that it left. */
static task_t *make_task (bench_t *self, const task_t *before)
{
    const task_setting_t setting = {
        .fs = self->fs, .cluster_id = 1, .partitions = 1, .memory_limit = self->memory
    };
    wire_writer_t *writer = self->writer;
    wire_begin (writer, message_reply (MESSAGE_BEAT), 1);
    wire_field_uint (writer, "lease_us", 1);
    wire_field_uint (writer, "definitions", 1);
    wire_field_uint (writer, "routes", 1);
    wire_field_list (writer, "tasks");
    wire_open_map (writer);
    wire_field_uint (writer, "task", ++self->tasks);
    wire_field_uint (writer, "attempt", 1);
    wire_field_string (writer, "kind", "build");
    wire_field_uint (writer, "definitions", 1);
    wire_field_map (writer, "build");
    wire_field_string (writer, "log", self->stream->log_name);
    wire_field_uint (writer, "partition", 0);
    wire_field_uint (writer, "from", before != NULL ? self->events : 0);
    wire_field_uint (writer, "cut", self->events);
    wire_field_int (writer, "clock", HISTORY_END);
    put_runs (self, before);
    wire_field_list (writer, "excluded");
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    wire_field_list (writer, "datasets");
    wire_close (writer);
    wire_list_t tasks = wire_list (sent (self), "tasks");
    return task_new (&setting, self->model, &tasks.items[0]);
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
    must (self, fs_remove (self->fs, path, &self->error), path);
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
    arena_t *arena = arena_new (1024);
    make_log (&bench, logged_dir (arena, "log", bench.stream->log_name, 0));
    arena_destroy (&arena);
    for (uint64_t i = 0; i < rounds; i++)
        round_of (&bench);
    bench_release (&bench);
    return 0;
}
