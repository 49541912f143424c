/* batch.c - the batch layer's work on a given history, without a cluster: what a coordinator orders
 * and batch workers do, in processes and threads like theirs.
 *
 *   batch --do=log      events → the logs of all partitions
 *   batch --do=build    --from=log: logs → history and views, and the list of runs; --from=runs:
 *                       history → views. --workers processes of --threads threads take partitions
 *                       in turn. Prints figures.
 *   batch --do=answers  views → the features of the keys in --keys, as of the clock, in columns
 *
 *   --directory=DIR     where logs, history and views are
 *   --events=DIR        one file per field of the stream, named so: int64, timestamp (µs) and
 *                       float64 as the machine has them; of a string, uint32 numbers of the lines
 *                       of NAME.words
 *   --stream=FILE --view=FILE   definitions, of one stream and of one view over it
 *   --partitions=N --clock=µs
 */
#include "base/mem.h"
#include "batchview/batchview.h"
#include "intake/logged.h"
#include "tests/bench/columnfile.h"
#include "tests/bench/measure.h"
#include "tests/bench/orders.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOG_BATCH_ROWS = 500,
    PARTITIONS_LIMIT = 1024,
    WORKERS_LIMIT = 64,
    THREADS_LIMIT = 64,
    RUNS_LIMIT = 1 << 16,
};

typedef struct batch_bench {
    orders_t orders;
    arena_t *arena; /* what lives as long as the program */
    const char *directory;
    uint32_t partitions;
    int64_t clock;
} bench_t;

/* ---- files ---- */

static char *path_in (arena_t *arena, const char *directory, const char *name, const char *end)
{
    size_t size = strlen (directory) + strlen (name) + strlen (end) + 2;
    char *path = arena_alloc (arena, size);
    snprintf (path, size, "%s/%s%s", directory, name, end);
    return path;
}

static char *text_file (arena_t *arena, const char *path)
{
    size_t size;
    const void *data = column_map (path, &size);
    return arena_string (arena, (text_t){ data, (uint32_t)size });
}

/* ---- the log ---- */

/* A partition's log, and events that wait until they are as many as a record has. */
typedef struct feed {
    orders_log_t log;
    batch_t batch;
    size_t rows;
    uint64_t events;
} feed_t;

static void append_waiting (feed_t *feed)
{
    if (feed->rows == 0)
        return;
    feed->batch.rows = feed->rows;
    orders_log_append (&feed->log, &feed->batch);
    feed->events += feed->rows;
    feed->rows = 0;
}

static void add_event (bench_t *self, feed_t *feeds, const column_file_t *columns, batch_t *event,
                       buf_t *key, uint64_t row)
{
    const stream_t *stream = self->orders.stream;
    for (size_t c = 0; c < stream->fields_count; c++)
        column_file_cell (&columns[c], row, &event->column[c], 0);
    buf_clear (key);
    if (!keyed_log_key (&self->orders.log, event, 0, key))
        measure_fail ("an event without a key");
    uint64_t hash = key_hash ((text_t){ (const char *)key->data, (uint32_t)key->size });
    feed_t *feed = &feeds[key_partition (hash, self->partitions)];
    size_t at = feed->rows++;
    for (size_t c = 0; c < stream->fields_count; c++) {
        feed->batch.column[c].valid[at] = 1;
        column_copy (&feed->batch.column[c], at, &event->column[c], 0);
    }
    feed->batch.event_time[at] = event->column[stream->time].i[0];
    feed->batch.ingest_time[at] = event->column[stream->time].i[0];
    if (feed->rows == LOG_BATCH_ROWS)
        append_waiting (feed);
}

static void write_counts (bench_t *self, const feed_t *feeds)
{
    const char *path = path_in (self->arena, self->directory, "partitions", "");
    FILE *file = fopen (path, "w");
    if (file == NULL)
        measure_fail ("%s: %m", path);
    for (uint32_t p = 0; p < self->partitions; p++)
        fprintf (file, "%llu\n", (unsigned long long)feeds[p].events);
    if (fclose (file) != 0)
        measure_fail ("%s: %m", path);
}

static void do_log (bench_t *self, const char *events)
{
    const stream_t *stream = self->orders.stream;
    columns_t layout = stream_columns (stream, self->arena);
    column_file_t *columns = arena_zero (self->arena, layout.count, sizeof *columns);
    for (size_t c = 0; c < layout.count; c++) {
        const char *name = stream->fields[c].name;
        columns[c] =
            column_file_open (self->arena, layout.types[c], path_in (self->arena, events, name, ""),
                              path_in (self->arena, events, name, ".words"));
        if (columns[c].rows != columns[0].rows)
            measure_fail ("columns are not of the same length");
    }
    feed_t *feeds = arena_zero (self->arena, self->partitions, sizeof *feeds);
    for (uint32_t p = 0; p < self->partitions; p++) {
        orders_log_open (&feeds[p].log, &self->orders, p);
        feeds[p].batch = batch_new (self->arena, layout.types, layout.count, LOG_BATCH_ROWS);
        feeds[p].batch.key = NULL;
    }
    batch_t event = batch_new (self->arena, layout.types, layout.count, 1);
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    for (uint64_t row = 0; row < columns[0].rows; row++)
        add_event (self, feeds, columns, &event, &key, row);
    buf_release (&key);
    for (uint32_t p = 0; p < self->partitions; p++) {
        append_waiting (&feeds[p]);
        orders_log_close (&feeds[p].log);
    }
    write_counts (self, feeds);
}

/* ---- builds ---- */

/* What a worker tells of itself. */
typedef struct told {
    double cpu_s;
    double kernel_s; /* of it */
    uint64_t peak_bytes;
    uint64_t read_bytes; /* asked of the system, cached or not */
    uint64_t written_bytes;
    uint64_t rows;
    uint64_t run_bytes;
    uint64_t runs;
    uint64_t view_bytes;
} told_t;

/* What workers share. */
typedef struct shared {
    _Atomic uint32_t next; /* partition */
    told_t told[WORKERS_LIMIT];
} shared_t;

typedef struct worker {
    task_t *tasks[PARTITIONS_LIMIT];
    uint32_t partitions;
    shared_t *shared;
} worker_t;

static void *run_tasks (void *argument)
{
    worker_t *worker = argument;
    for (;;) {
        uint32_t p = atomic_fetch_add (&worker->shared->next, 1);
        if (p >= worker->partitions)
            return NULL;
        task_t *task = worker->tasks[p];
        task->job.run (&task->job);
        if (task->status != STATUS_OK)
            measure_fail ("build of partition %u: %s", p, task->error.text);
        if (task->left_out_count > 0)
            measure_fail ("partition %u has no view: %s", p, task->left_out[0].view);
    }
}

static void tell (told_t *told, const worker_t *worker, FILE *runs)
{
    struct rusage usage;
    getrusage (RUSAGE_SELF, &usage);
    told->kernel_s = (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    told->cpu_s =
        (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 + told->kernel_s;
    told->peak_bytes = measure_peak_bytes ();
    told->read_bytes = measure_told ("/proc/self/io", "rchar:", 1);
    told->written_bytes = measure_told ("/proc/self/io", "wchar:", 1);
    for (uint32_t p = 0; p < worker->partitions; p++) {
        const task_t *task = worker->tasks[p];
        told->rows += task->rows;
        for (size_t i = 0; i < task->views_count; i++)
            told->view_bytes += task->views[i].size;
        for (size_t i = 0; task->views_count > 0 && i < task->runs.count; i++) {
            const task_run_t *run = &task->runs.items[i];
            told->run_bytes += run->size;
            told->runs++;
            fprintf (runs, "%u %s %llu %llu\n", p, run->path, (unsigned long long)run->size,
                     (unsigned long long)run->rows);
        }
    }
    if (fflush (runs) != 0)
        measure_fail ("the list of runs: %m");
}

/* The partitions' events, and with `path`, their runs. */
typedef struct inputs {
    uint64_t *events;
    task_run_t *runs; /* by partition */
    size_t runs_count;
} inputs_t;

static inputs_t read_inputs (bench_t *self, bool with_runs)
{
    inputs_t inputs = { .events = arena_zero (self->arena, self->partitions, sizeof (uint64_t)) };
    const char *counts = path_in (self->arena, self->directory, "partitions", "");
    char *text = text_file (self->arena, counts);
    for (uint32_t p = 0; p < self->partitions; p++)
        inputs.events[p] = strtoull (text, &text, 10);
    if (!with_runs)
        return inputs;
    inputs.runs = arena_zero (self->arena, RUNS_LIMIT, sizeof *inputs.runs);
    const char *list = path_in (self->arena, self->directory, "runs", "");
    FILE *file = fopen (list, "r");
    char path[1024];
    unsigned long long size, rows;
    unsigned partition;
    if (file == NULL)
        measure_fail ("%s: %m", list);
    while (fscanf (file, "%u %1023s %llu %llu", &partition, path, &size, &rows) == 4) {
        if (inputs.runs_count == RUNS_LIMIT)
            measure_fail ("%s: too many runs", list);
        inputs.runs[inputs.runs_count++] =
            (task_run_t){ .path = arena_string (self->arena, text_of (path)),
                          .size = size,
                          .rows = rows,
                          .partition = partition };
    }
    fclose (file);
    return inputs;
}

static task_t *make_task (bench_t *self, const inputs_t *inputs, uint32_t partition,
                          uint64_t memory)
{
    orders_build_t build = { .task = (inputs->runs != NULL) * self->partitions + partition + 1,
                             .partition = partition,
                             .partitions = self->partitions,
                             .from = inputs->runs != NULL ? inputs->events[partition] : 0,
                             .cut = inputs->events[partition],
                             .clock = self->clock,
                             .memory = memory };
    task_run_t *runs = arena_zero (self->arena, inputs->runs_count, sizeof *runs);
    for (size_t i = 0; i < inputs->runs_count; i++)
        if (inputs->runs[i].partition == partition)
            runs[build.runs_count++] = inputs->runs[i];
    build.runs = runs;
    return orders_task (&self->orders, &build);
}

/* A worker's process. */
static void be_worker (bench_t *self, shared_t *shared, told_t *told, const inputs_t *inputs,
                       uint64_t threads, uint64_t memory, FILE *runs)
{
    static worker_t worker;
    pthread_t thread[THREADS_LIMIT];
    worker.partitions = self->partitions;
    worker.shared = shared;
    for (uint32_t p = 0; p < self->partitions; p++)
        worker.tasks[p] = make_task (self, inputs, p, memory / threads);
    for (uint64_t i = 0; i < threads; i++)
        if (pthread_create (&thread[i], NULL, run_tasks, &worker) != 0)
            measure_fail ("a thread could not be made");
    for (uint64_t i = 0; i < threads; i++)
        pthread_join (thread[i], NULL);
    tell (told, &worker, runs);
}

static void wait_for_workers (uint64_t workers)
{
    for (uint64_t i = 0; i < workers; i++) {
        int status;
        if (wait (&status) < 0 || !WIFEXITED (status) || WEXITSTATUS (status) != 0)
            measure_fail ("a worker has failed");
    }
}

static void print_told (const shared_t *shared, uint64_t workers, double seconds)
{
    told_t all = { .rows = 0 };
    for (uint64_t i = 0; i < workers; i++) {
        const told_t *told = &shared->told[i];
        all.cpu_s += told->cpu_s;
        all.kernel_s += told->kernel_s;
        all.peak_bytes = told->peak_bytes > all.peak_bytes ? told->peak_bytes : all.peak_bytes;
        all.read_bytes += told->read_bytes;
        all.written_bytes += told->written_bytes;
        all.rows += told->rows;
        all.run_bytes += told->run_bytes;
        all.runs += told->runs;
        all.view_bytes += told->view_bytes;
    }
    printf ("{\"wall_s\": %.6f, \"cpu_s\": %.6f, \"kernel_s\": %.6f, \"peak_bytes\": %llu, "
            "\"read_bytes\": %llu, \"written_bytes\": %llu, \"rows\": %llu, \"run_bytes\": %llu, "
            "\"runs\": %llu, \"view_bytes\": %llu}\n",
            seconds, all.cpu_s, all.kernel_s, (unsigned long long)all.peak_bytes,
            (unsigned long long)all.read_bytes, (unsigned long long)all.written_bytes,
            (unsigned long long)all.rows, (unsigned long long)all.run_bytes,
            (unsigned long long)all.runs, (unsigned long long)all.view_bytes);
}

static void do_build (bench_t *self, bool from_runs, uint64_t workers, uint64_t threads,
                      uint64_t memory)
{
    if (workers < 1 || workers > WORKERS_LIMIT || threads < 1 || threads > THREADS_LIMIT)
        measure_fail ("too many workers or threads, or none");
    shared_t *shared =
        mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        measure_fail ("no memory: %m");
    inputs_t inputs = read_inputs (self, from_runs);
    const char *name = from_runs ? "/dev/null" : path_in (self->arena, self->directory, "runs", "");
    FILE *runs = fopen (name, "w");
    if (runs == NULL || setvbuf (runs, NULL, _IOLBF, 4096) != 0)
        measure_fail ("%s: %m", name);
    int64_t start = measure_now_ns ();
    for (uint64_t i = 0; i < workers; i++) {
        pid_t child = fork ();
        if (child < 0)
            measure_fail ("fork: %m");
        if (child == 0) {
            be_worker (self, shared, &shared->told[i], &inputs, threads, memory, runs);
            _exit (0);
        }
    }
    wait_for_workers (workers);
    double seconds = measure_since (start);
    fclose (runs);
    print_told (shared, workers, seconds);
}

/* ---- answers ---- */

typedef struct open_view {
    batchview_t *view;
    batchview_binding_t *binding;
} open_view_t;

static open_view_t *open_views (bench_t *self, const plan_t *plan, uint32_t base)
{
    orders_t *orders = &self->orders;
    open_view_t *views = arena_zero (self->arena, self->partitions, sizeof *views);
    for (uint32_t p = 0; p < self->partitions; p++) {
        const char *dir = logged_dir (self->arena, "views", orders->stream->log_name, p);
        char name[NAME_MAX_SIZE + 64];
        snprintf (name, sizeof name, "%u-1-%s@v%u.view", base + p + 1, plan->view, plan->version);
        const char *path = path_in (self->arena, dir, name, "");
        orders_must (orders, batchview_open (orders->fs, path, &views[p].view, &orders->error),
                     path);
        views[p].binding = batchview_bind (views[p].view, plan);
    }
    return views;
}

/* A feature's values: 8 bytes each, as the machine has an int64 or a float64, and of all of them a
 * byte each, 1 where there is one. */
typedef struct value_file {
    FILE *cells;
    FILE *valid;
} value_file_t;

static FILE *create_file (const char *path)
{
    FILE *file = fopen (path, "wb");
    if (file == NULL)
        measure_fail ("%s: %m", path);
    return file;
}

static void write_value (value_file_t *file, const value_t *value)
{
    uint64_t bits = 0;
    uint8_t valid = !value->null;
    if (valid)
        memcpy (&bits, value->type == TYPE_FLOAT64 ? (const void *)&value->f : &value->i,
                sizeof bits);
    if (fwrite (&bits, sizeof bits, 1, file->cells) != 1 || fwrite (&valid, 1, 1, file->valid) != 1)
        measure_fail ("an answer could not be written: %m");
}

static void answer_key (bench_t *self, const open_view_t *views, answer_t *answer, text_t key,
                        value_file_t *files, arena_t *arena)
{
    orders_t *orders = &self->orders;
    const plan_t *plan = answer_plan (answer);
    const open_view_t *view = &views[key_partition (key_hash (key), self->partitions)];
    bool exact;
    answer_reset (answer);
    orders_must (orders,
                 batchview_merge (view->view, view->binding, key, self->clock, answer, &exact,
                                  &orders->error),
                 "answer");
    if (!exact)
        measure_fail ("the file cannot answer a key as of the clock");
    for (size_t f = 0; f < plan->features_count; f++) {
        value_t value;
        orders_must (orders, answer_final (answer, f, self->clock, arena, &value, &orders->error),
                     plan->features[f].name);
        write_value (&files[f], &value);
    }
    arena_reset (arena);
}

static void answer_keys (bench_t *self, const open_view_t *views, const plan_t *plan,
                         const column_file_t *keys, value_file_t *files)
{
    const stream_t *stream = self->orders.stream;
    columns_t layout = stream_columns (stream, self->arena);
    batch_t event = batch_new (self->arena, layout.types, layout.count, 1);
    answer_t *answer = answer_new (plan);
    arena_t *arena = arena_new (1 << 16);
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    for (uint64_t row = 0; row < keys->rows; row++) {
        column_file_cell (keys, row, &event.column[stream->key[0]], 0);
        buf_clear (&key);
        if (!keyed_log_key (&self->orders.log, &event, 0, &key))
            measure_fail ("a key that is none");
        answer_key (self, views, answer, (text_t){ (const char *)key.data, (uint32_t)key.size },
                    files, arena);
    }
    buf_release (&key);
    arena_destroy (&arena);
    answer_destroy (&answer);
}

static void do_answers (bench_t *self, const char *events, const char *keys_path, const char *out,
                        uint32_t base)
{
    const stream_t *stream = self->orders.stream;
    const plan_t *plan = self->orders.model->plans[0];
    if (stream->key_count != 1)
        measure_fail ("answers are for keys of one field");
    const field_t *field = &stream->fields[stream->key[0]];
    column_file_t keys = column_file_open (self->arena, field->type, keys_path,
                                           path_in (self->arena, events, field->name, ".words"));
    open_view_t *views = open_views (self, plan, base);
    value_file_t *files = arena_zero (self->arena, plan->features_count, sizeof *files);
    for (size_t f = 0; f < plan->features_count; f++) {
        const char *name = plan->features[f].name;
        files[f] = (value_file_t){ create_file (path_in (self->arena, out, name, "")),
                                   create_file (path_in (self->arena, out, name, ".valid")) };
    }
    answer_keys (self, views, plan, &keys, files);
    for (size_t f = 0; f < plan->features_count; f++)
        if (fclose (files[f].cells) != 0 || fclose (files[f].valid) != 0)
            measure_fail ("an answer could not be written: %m");
    for (uint32_t p = 0; p < self->partitions; p++) {
        batchview_binding_destroy (&views[p].binding);
        batchview_unref (&views[p].view);
    }
}

/* ---- the whole ---- */

static const char *needed (int argc, char **argv, const char *name)
{
    const char *value = measure_option (argc, argv, name, NULL);
    if (value == NULL)
        measure_fail ("--%s=… is missing", name);
    return value;
}

int main (int argc, char **argv)
{
    static bench_t bench;
    const char *what = needed (argc, argv, "do");
    bench.arena = arena_new (1 << 16);
    bench.directory = needed (argc, argv, "directory");
    bench.partitions = (uint32_t)measure_number (argc, argv, "partitions", 8);
    bench.clock = (int64_t)measure_number (argc, argv, "clock", 0);
    if (bench.partitions < 1 || bench.partitions > PARTITIONS_LIMIT)
        measure_fail ("--partitions is 1 to %d", PARTITIONS_LIMIT);
    orders_init (&bench.orders, bench.directory,
                 text_file (bench.arena, needed (argc, argv, "stream")),
                 text_file (bench.arena, needed (argc, argv, "view")));
    bool from_runs = strcmp (measure_option (argc, argv, "from", "log"), "runs") == 0;
    if (strcmp (what, "log") == 0)
        do_log (&bench, needed (argc, argv, "events"));
    else if (strcmp (what, "build") == 0)
        do_build (&bench, from_runs, measure_number (argc, argv, "workers", 1),
                  measure_number (argc, argv, "threads", 2),
                  measure_number (argc, argv, "memory-mib", 512) << 20);
    else if (strcmp (what, "answers") == 0)
        do_answers (&bench, needed (argc, argv, "events"), needed (argc, argv, "keys"),
                    needed (argc, argv, "out"), from_runs ? bench.partitions : 0);
    else
        measure_fail ("--do=log, build or answers");
    orders_release (&bench.orders);
    arena_destroy (&bench.arena);
    return 0;
}
