/* training.c - a training set of a given history, as batch workers compute it: the spine is the
 * events' own keys and times, in the order in which they are in their files.
 *
 *   training --directory=DIR    where batch.c left history and the list of its runs
 *            --events=DIR       the spine: the files of the stream's key and time (columnfile.h)
 *            --stream=FILE --view=FILE --partitions=N
 *            --out=DIR          for each feature, a file of values (8 bytes each, as the machine
 * has them) and NAME.valid, both in the spine's order
 *            --threads=N --memory-mib=N --before=0|1 --known=0|1
 *
 * Two stages, each shared by the threads: rows are placed and gathered by partition; partitions are
 * sorted and walked. Prints figures. */
#include "batch-worker/training/training.h"
#include "base/mem.h"
#include "batch-worker/training/spine.h"
#include "intake/logged.h"
#include "tests/bench/columnfile.h"
#include "tests/bench/measure.h"
#include "tests/bench/orders.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PARTITIONS_LIMIT = 1024,
    THREADS_LIMIT = 64,
    RUNS_LIMIT = 256,
    STRETCH_BITS = 12, /* 2^ so many rows of the spine are a stretch */
    GATHER_ROWS = 4 << STRETCH_BITS,
    NUMBER_BITS = 32,
};

/* The files of a feature's values, and of whether they are there. */
typedef struct result {
    int cells;
    int valid;
} result_t;

/* What is known of a partition. */
typedef struct part {
    pthread_mutex_t lock;
    spine_t *spine;
    const char *runs[RUNS_LIMIT];
    size_t runs_count;
    uint32_t *at;    /* by stretch: its rows; then where results of the next of them go */
    uint64_t *found; /* results, by stretch */
} part_t;

typedef struct bench {
    orders_t orders;
    arena_t *arena;
    const plan_t *plan;
    column_file_t columns[FIELDS_MAX]; /* of key and time alone */
    uint64_t rows;
    uint32_t partitions;
    part_t *parts;
    result_t *results;
    size_t memory; /* of a partition */
    bool before;
    bool known; /* each row has its own time as known-at time */
    _Atomic uint64_t next_rows;
    _Atomic uint32_t next_part;
    _Atomic size_t next_stretch;
    int64_t cpu_start_ns;
    _Atomic uint64_t answered;
} bench_t;

static char *path_of (bench_t *self, const char *directory, const char *name, const char *end)
{
    char *text = mem_format ("%s/%s%s", directory, name, end);
    char *path = arena_string (self->arena, text_of (text));
    mem_free (text);
    return path;
}

/* ---- stretches ---- */

static size_t width_of (const bench_t *self)
{
    return 1 + self->plan->features_count;
}

static size_t stretches_of (const bench_t *self)
{
    return (size_t)(self->rows >> STRETCH_BITS) + 1;
}

static inline size_t stretch_of (uint64_t word)
{
    return (uint32_t)word >> STRETCH_BITS;
}

/* ---- gathering ---- */

static batch_t read_rows (const bench_t *self, uint64_t from, size_t rows, arena_t *arena)
{
    const stream_t *stream = self->orders.stream;
    batch_t batch = { .rows = rows, .columns = stream->fields_count };
    batch.column = arena_zero (arena, batch.columns, sizeof *batch.column);
    batch.key = arena_zero (arena, rows, sizeof *batch.key);
    batch.event_time = arena_alloc (arena, rows * sizeof *batch.event_time);
    batch.ingest_time = arena_zero (arena, rows, sizeof *batch.ingest_time);
    batch.offset = arena_alloc (arena, rows * sizeof *batch.offset);
    batch.row = arena_zero (arena, rows, sizeof *batch.row);
    for (size_t k = 0; k < stream->key_count; k++) {
        size_t field = stream->key[k];
        column_t *column = &batch.column[field];
        *column = column_new (arena, stream->fields[field].type, rows);
        memset (column->valid, 1, rows);
        for (size_t i = 0; i < rows; i++)
            column_file_cell (&self->columns[field], from + i, column, i);
    }
    memcpy (batch.event_time, self->columns[stream->time].i + from, rows * sizeof (int64_t));
    for (size_t i = 0; i < rows; i++)
        batch.offset[i] = from + i;
    batch_set_keys (&self->orders.log, &batch, arena);
    batch.columns = self->known; /* a spine has no others */
    if (self->known) {
        batch.column[0] = column_new (arena, TYPE_TIMESTAMP, rows);
        memset (batch.column[0].valid, 1, rows);
        memcpy (batch.column[0].i, batch.event_time, rows * sizeof (int64_t));
    }
    return batch;
}

static void gather (bench_t *self, uint64_t from, size_t rows, arena_t *arena)
{
    arena_reset (arena);
    batch_t batch = read_rows (self, from, rows, arena);
    uint32_t *which = arena_alloc (arena, rows * sizeof *which);
    uint32_t *part = arena_alloc (arena, rows * sizeof *part);
    uint32_t *start = arena_zero (arena, self->partitions + 1, sizeof *start);
    for (size_t i = 0; i < rows; i++) {
        part[i] = key_partition (key_hash (batch.key[i]), self->partitions);
        start[part[i] + 1]++;
        self->parts[part[i]].at[stretch_of (from + i)]++; /* which no other thread gathers */
    }
    for (uint32_t p = 0; p < self->partitions; p++)
        start[p + 1] += start[p];
    uint32_t *at = arena_alloc (arena, self->partitions * sizeof *at);
    memcpy (at, start, self->partitions * sizeof *at);
    for (size_t i = 0; i < rows; i++)
        which[at[part[i]]++] = (uint32_t)i;
    for (uint32_t p = 0; p < self->partitions; p++) {
        if (start[p + 1] == start[p])
            continue;
        pthread_mutex_lock (&self->parts[p].lock);
        spine_add (self->parts[p].spine, &batch, which + start[p], start[p + 1] - start[p]);
        pthread_mutex_unlock (&self->parts[p].lock);
    }
}

static void *gather_all (void *argument)
{
    bench_t *self = argument;
    arena_t *arena = arena_new (1 << 20);
    for (;;) {
        uint64_t from = atomic_fetch_add (&self->next_rows, GATHER_ROWS);
        if (from >= self->rows)
            break;
        uint64_t left = self->rows - from;
        gather (self, from, left < GATHER_ROWS ? (size_t)left : GATHER_ROWS, arena);
    }
    arena_destroy (&arena);
    return NULL;
}

/* ---- results ---- */

/* Rows of results are words: the number with a bit for each feature that has a value, then the
 * values. Those of a partition are put with others of the same stretch of the spine, and written
 * when all partitions are done, a stretch after the other, so that each line of memory is written
 * to while it is near. */
static void put_row (const training_rows_t *rows, size_t row, size_t features, uint64_t *to)
{
    uint64_t valid = 0;
    for (size_t f = 0; f < features; f++) {
        const outcome_t *outcome = outcome_of (rows->task, rows->outcomes, row - rows->from, f);
        if (outcome->error != NULL)
            measure_fail ("%s", outcome->error);
        valid |= (uint64_t)!outcome->value.null << f;
        to[1 + f] = outcome->value.null ? 0 : (uint64_t)outcome->value.i; /* a float's bits */
    }
    to[0] = rows->spine->offset[row] | valid << NUMBER_BITS;
}

static void put_rows (const bench_t *self, const part_t *part, const training_rows_t *rows)
{
    size_t width = width_of (self);
    for (size_t r = rows->from; r < rows->to; r++) {
        size_t stretch = stretch_of (rows->spine->offset[r]);
        put_row (rows, r, width - 1, part->found + part->at[stretch]++ * width);
    }
}

/* Cells and validity of a feature's rows of one stretch. */
typedef struct page {
    uint64_t cells[1 << STRETCH_BITS];
    uint8_t valid[1 << STRETCH_BITS];
} page_t;

static void fill_pages (const bench_t *self, const part_t *part, size_t stretch, page_t *pages)
{
    size_t width = width_of (self);
    size_t from = stretch > 0 ? part->at[stretch - 1] : 0;
    const uint64_t *row = part->found + from * width;
    for (size_t i = from; i < part->at[stretch]; i++, row += width) {
        uint32_t at = row[0] & ((1 << STRETCH_BITS) - 1);
        for (size_t f = 0; f < width - 1; f++) {
            pages[f].cells[at] = row[1 + f];
            pages[f].valid[at] = row[0] >> NUMBER_BITS >> f & 1;
        }
    }
}

static void write_at (int fd, const void *data, size_t size, size_t at)
{
    if (pwrite (fd, data, size, (off_t)at) != (ssize_t)size)
        measure_fail ("a result could not be written: %m");
}

static void *write_all (void *argument)
{
    bench_t *self = argument;
    size_t features = self->plan->features_count;
    page_t *pages = mem_zero (features, sizeof *pages);
    for (;;) {
        size_t stretch = atomic_fetch_add (&self->next_stretch, 1);
        uint64_t first = (uint64_t)stretch << STRETCH_BITS;
        if (first >= self->rows)
            break;
        uint64_t left = self->rows - first;
        size_t rows = left < 1 << STRETCH_BITS ? (size_t)left : 1 << STRETCH_BITS;
        for (uint32_t p = 0; p < self->partitions; p++)
            fill_pages (self, &self->parts[p], stretch, pages);
        for (size_t f = 0; f < features; f++) {
            write_at (self->results[f].cells, pages[f].cells, 8 * rows, 8 * first);
            write_at (self->results[f].valid, pages[f].valid, rows, first);
        }
    }
    mem_free (pages);
    return NULL;
}

/* ---- walking ---- */

typedef struct inputs {
    run_t *runs[RUNS_LIMIT];
    run_cursor_t *cursors[RUNS_LIMIT];
    training_run_t of_runs[RUNS_LIMIT];
    merge_source_t sources[RUNS_LIMIT];
    merge_t *merge;
    training_merge_t merged;
    training_place_t place;
} inputs_t;

static merge_source_t open_inputs (bench_t *self, const part_t *part, inputs_t *inputs,
                                   error_t *error)
{
    fs_t *fs = self->orders.fs;
    columns_t columns = { self->plan->column_types, self->plan->column_ids, self->plan->columns };
    unsigned leave = self->known ? 0 : BLOCK_LEAVE_INGEST_TIME;
    if (part->runs_count == 1 && !plan_reads_positions (self->plan))
        leave |= BLOCK_LEAVE_POSITION;
    for (size_t i = 0; i < part->runs_count; i++) {
        if (run_open (fs, part->runs[i], NULL, &inputs->runs[i], error) != STATUS_OK ||
            run_cursor_new_as (inputs->runs[i], &columns, self->plan->columns_used,
                               &inputs->cursors[i], error) != STATUS_OK)
            measure_fail ("%s", error->text);
        run_cursor_leave (inputs->cursors[i], leave);
        inputs->sources[i] =
            training_run_source (&inputs->of_runs[i], inputs->cursors[i], &inputs->place);
    }
    if (part->runs_count == 1)
        return inputs->sources[0];
    if (merge_new (inputs->sources, part->runs_count, NULL, &inputs->merge, error) != STATUS_OK)
        measure_fail ("%s", error->text);
    return training_merge_source (&inputs->merged, inputs->merge);
}

/* Memory of a thread that no partition uses. */
typedef struct room {
    void *data;
    size_t size;
} room_t;

static void *take_room (room_t *room, size_t size)
{
    void *data = room->data;
    if (room->size < size) {
        mem_free (data);
        data = mem_alloc_large (size);
    }
    *room = (room_t){ .data = NULL };
    return data;
}

/* Each stretch's results go after those of the stretches before. */
static void place_results (const bench_t *self, part_t *part, room_t *room)
{
    uint32_t before = 0;
    for (size_t s = 0; s < stretches_of (self); s++) {
        uint32_t rows = part->at[s];
        part->at[s] = before;
        before += rows;
    }
    size_t results = before * width_of (self) * sizeof *part->found;
    size_t spare = spine_spare (part->spine); /* there is nothing in it yet when that is used */
    part->found = take_room (room, results > spare ? results : spare);
}

static void walk (bench_t *self, part_t *part, inputs_t *inputs, room_t *room)
{
    size_t expected = spine_rows (part->spine);
    size_t count = 0;
    error_t error;
    *inputs = (inputs_t){ .merge = NULL };
    place_results (self, part, room);
    training_source_t source = { self->plan, open_inputs (self, part, inputs, &error) };
    training_options_t options = { .sources = &source,
                                   .sources_count = 1,
                                   .spine = spine_source (part->spine, part->found),
                                   .known = self->known ? 0 : TRAINING_NONE,
                                   .before = self->before,
                                   .memory = self->memory,
                                   .place = &inputs->place };
    training_t *training = training_new (&options);
    training_rows_t rows;
    status_t status;
    while ((status = training_next (training, &rows, &error)) == STATUS_OK) {
        if (count + rows.to - rows.from > expected)
            measure_fail ("more rows than the spine has");
        put_rows (self, part, &rows);
        count += rows.to - rows.from;
    }
    if (status != STATUS_END)
        measure_fail ("%s", error.text);
    atomic_fetch_add (&self->answered, count);
    training_destroy (&training);
    merge_destroy (&inputs->merge);
    training_merge_release (&inputs->merged);
    for (size_t i = 0; i < part->runs_count; i++) {
        run_cursor_destroy (&inputs->cursors[i]);
        run_destroy (&inputs->runs[i]);
    }
    room->data = spine_recycle (&part->spine, &room->size);
}

static void *walk_all (void *argument)
{
    bench_t *self = argument;
    inputs_t *inputs = mem_zero (1, sizeof *inputs);
    room_t room = { .data = NULL };
    for (;;) {
        uint32_t p = atomic_fetch_add (&self->next_part, 1);
        if (p >= self->partitions)
            break;
        walk (self, &self->parts[p], inputs, &room);
    }
    mem_free (room.data);
    mem_free (inputs);
    return NULL;
}

static void in_threads (bench_t *self, void *(*each) (void *), uint64_t threads)
{
    pthread_t thread[THREADS_LIMIT];
    for (uint64_t i = 0; i < threads; i++)
        if (pthread_create (&thread[i], NULL, each, self) != 0)
            measure_fail ("a thread could not be made");
    for (uint64_t i = 0; i < threads; i++)
        pthread_join (thread[i], NULL);
}

/* ---- the whole ---- */

static int create_file (const char *path)
{
    int fd = open (path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        measure_fail ("%s: %m", path);
    return fd;
}

static void open_results (bench_t *self, const char *out)
{
    self->results = arena_zero (self->arena, self->plan->features_count, sizeof (result_t));
    for (size_t f = 0; f < self->plan->features_count; f++) {
        const char *name = self->plan->features[f].name;
        self->results[f].cells = create_file (path_of (self, out, name, ""));
        self->results[f].valid = create_file (path_of (self, out, name, ".valid"));
    }
}

static void open_spine (bench_t *self, const char *events)
{
    const stream_t *stream = self->orders.stream;
    uint32_t fields[KEY_FIELDS_MAX + 1] = { (uint32_t)stream->time };
    for (size_t k = 0; k < stream->key_count; k++)
        fields[1 + k] = stream->key[k];
    for (size_t i = 0; i <= stream->key_count; i++) {
        const field_t *field = &stream->fields[fields[i]];
        self->columns[fields[i]] =
            column_file_open (self->arena, field->type, path_of (self, events, field->name, ""),
                              path_of (self, events, field->name, ".words"));
    }
    self->rows = self->columns[stream->time].rows;
    if (self->rows > UINT32_MAX)
        measure_fail ("too many rows");
}

static void list_runs (bench_t *self, const char *directory)
{
    const char *list = path_of (self, directory, "runs", "");
    FILE *file = fopen (list, "r");
    char path[1024];
    unsigned long long size, rows;
    unsigned partition;
    if (file == NULL)
        measure_fail ("%s: %m", list);
    while (fscanf (file, "%u %1023s %llu %llu", &partition, path, &size, &rows) == 4) {
        part_t *part = &self->parts[partition];
        if (partition >= self->partitions || part->runs_count == RUNS_LIMIT)
            measure_fail ("%s: not of these partitions, or too many runs", list);
        part->runs[part->runs_count++] = arena_string (self->arena, text_of (path));
    }
    fclose (file);
}

static void print_figures (const bench_t *self, double seconds)
{
    double cpu = (double)(measure_cpu_ns () - self->cpu_start_ns) / 1e9;
    printf ("{\"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_bytes\": %llu, \"rows\": %llu}\n", seconds,
            cpu, (unsigned long long)measure_peak_bytes (),
            (unsigned long long)atomic_load (&self->answered));
}

static const char *needed (int argc, char **argv, const char *name)
{
    const char *value = measure_option (argc, argv, name, NULL);
    if (value == NULL)
        measure_fail ("--%s=… is missing", name);
    return value;
}

static char *text_file (bench_t *self, const char *path)
{
    size_t size;
    const void *data = column_map (path, &size);
    return arena_string (self->arena, (text_t){ data, (uint32_t)size });
}

int main (int argc, char **argv)
{
    static bench_t bench;
    bench_t *self = &bench;
    const char *directory = needed (argc, argv, "directory");
    const char *out = needed (argc, argv, "out");
    uint64_t threads = measure_number (argc, argv, "threads", 2);
    self->arena = arena_new (1 << 16);
    self->partitions = (uint32_t)measure_number (argc, argv, "partitions", 8);
    self->known = measure_number (argc, argv, "known", 0) != 0;
    self->before = measure_number (argc, argv, "before", 0) != 0;
    self->memory = measure_number (argc, argv, "memory-mib", 512) << 20;
    if (self->partitions < 1 || self->partitions > PARTITIONS_LIMIT || threads < 1 ||
        threads > THREADS_LIMIT)
        measure_fail ("too many partitions or threads, or none");
    orders_init (&self->orders, directory, text_file (self, needed (argc, argv, "stream")),
                 text_file (self, needed (argc, argv, "view")));
    self->plan = self->orders.model->plans[0];
    if (self->plan->features_count > 64 - NUMBER_BITS)
        measure_fail ("at most %d features", 64 - NUMBER_BITS);
    self->memory /= threads;
    self->parts = arena_zero (self->arena, self->partitions, sizeof *self->parts);
    list_runs (self, directory);
    open_spine (self, needed (argc, argv, "events"));
    int64_t start = measure_now_ns ();
    self->cpu_start_ns = measure_cpu_ns ();
    open_results (self, out);
    size_t expected = (size_t)(self->rows / self->partitions * 9 / 8);
    for (uint32_t p = 0; p < self->partitions; p++) {
        pthread_mutex_init (&self->parts[p].lock, NULL);
        self->parts[p].at = mem_zero (stretches_of (self), sizeof *self->parts[p].at);
        self->parts[p].spine = spine_new (&(const type_t){ TYPE_TIMESTAMP }, self->known, expected);
    }
    in_threads (self, gather_all, threads);
    in_threads (self, walk_all, threads);
    in_threads (self, write_all, threads);
    print_figures (self, measure_since (start));
    orders_release (&self->orders);
    arena_destroy (&self->arena);
    return 0;
}
