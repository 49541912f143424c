/* Rows by other keys than the stream's: of loads, and of the history that a new key is given. */
#include "tests/unit/batch-worker/worker.h"

#include "intake/logged.h"
#include "storage/run.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 64 << 20, TINY = 1, ROWS_MAX = 4096, NOTE = 2 };

static const char *const others[] = { "pay/note", "pay/_" };

typedef struct row {
    uint64_t number;
    int64_t time;
    char key[64];
    uint32_t partition;
} row_t;

typedef struct rows {
    row_t items[ROWS_MAX];
    size_t count;
} rows_t;

static int compare_rows (const void *a, const void *b)
{
    const row_t *x = a;
    const row_t *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return memcmp (x, y, sizeof *x);
}

static bool is_of (const struct output_run *run, const char *log)
{
    char prefix[128];
    (void)snprintf (prefix, sizeof prefix, "history/%s/", log);
    return strncmp (run->path, prefix, strlen (prefix)) == 0;
}

/* How the rows of a primary run are numbered; NULL: by their row alone, as those of a load are. */
typedef struct numbering {
    uint64_t first;
    uint64_t load; /* the one load's offset … */
    uint64_t rows; /* … and rows */
    uint64_t excluded;
} numbering_t;

static void add_batch (worker_t *worker, const keyed_log_t *log, const batch_t *batch,
                       const numbering_t *numbering, rows_t *rows)
{
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    (void)worker;
    for (size_t r = 0; r < batch->rows; r++) {
        buf_clear (&key);
        if (!keyed_log_key (log, batch, r, &key))
            continue;
        if (numbering && batch->offset[r] == numbering->excluded)
            continue;
        cr_assert_lt (rows->count, ROWS_MAX);
        row_t *row = &rows->items[rows->count++];
        *row = (row_t){ .number = batch->row[r], .time = batch->event_time[r] };
        if (numbering)
            row->number += numbering->first + batch->offset[r] +
                           (batch->offset[r] > numbering->load ? numbering->rows : 0);
        if (key.size > 0)
            memcpy (row->key, key.data, key.size < sizeof row->key ? key.size : sizeof row->key);
        text_t text = { (const char *)key.data, (uint32_t)key.size };
        row->partition = key_partition (key_hash (text), PARTITIONS);
    }
    buf_release (&key);
}

/* The rows of one run as rows of `log`. */
static void read_run (worker_t *worker, const struct output_run *item, const keyed_log_t *log,
                      const numbering_t *numbering, rows_t *rows)
{
    run_options_t options = { .offset_override = item->offset };
    run_t *run;
    batch_t batch;
    error_t error;
    status_t status = run_open (worker->fs, item->path, &options, &run, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    run_cursor_t *cursor = run_cursor_new (run, NULL);
    while ((status = run_cursor_next (cursor, &batch, &error)) == STATUS_OK)
        add_batch (worker, log, &batch, numbering, rows);
    cr_assert_eq (status, STATUS_END, "%s", error.text);
    run_cursor_destroy (&cursor);
    run_destroy (&run);
}

static void expect_same (rows_t *got, rows_t *expected)
{
    qsort (got->items, got->count, sizeof (row_t), compare_rows);
    qsort (expected->items, expected->count, sizeof (row_t), compare_rows);
    cr_assert_eq (got->count, expected->count);
    cr_assert_gt (got->count, 0);
    cr_assert_eq (memcmp (got->items, expected->items, got->count * sizeof (row_t)), 0);
}

/* What a task wrote for a log, each row where its key belongs and written at offset 0. */
static void read_outputs (worker_t *worker, const outputs_t *outputs, const char *name,
                          rows_t *rows)
{
    keyed_log_t log;
    cr_assert (keyed_log_find (worker->definitions, text_of (name), &log));
    for (size_t i = 0; i < outputs->runs_count; i++) {
        const struct output_run *run = &outputs->runs[i];
        if (!is_of (run, name))
            continue;
        size_t before = rows->count;
        read_run (worker, run, &log, NULL, rows);
        for (size_t r = before; r < rows->count; r++)
            cr_assert_eq (rows->items[r].partition, run->partition);
    }
}

static void expect_load (uint64_t seed, uint64_t memory_limit)
{
    static rows_t got;
    static rows_t expected;
    worker_t worker;
    worker_init (&worker, seed, memory_limit);
    worker_file (&worker, "incoming/a.csv", FORMAT_CSV, 30, 0);
    load_wish_t wish = { .task = worker.next_task++,
                         .attempt = 1,
                         .path = "incoming/a.csv",
                         .id = "abc",
                         .format = "csv",
                         .other_logs = others,
                         .other_logs_count = 2 };
    outputs_t outputs = worker_load (&worker, &wish);
    cr_assert_str_eq (outputs.status, "ok", "%s", outputs.error);
    cr_expect_eq (outputs.rows, 30);
    for (size_t l = 0; l < 2; l++) {
        keyed_log_t log;
        got.count = expected.count = 0;
        cr_assert (keyed_log_find (worker.definitions, text_of (others[l]), &log));
        for (size_t i = 0; i < outputs.runs_count; i++)
            if (is_of (&outputs.runs[i], worker.stream->log_name))
                read_run (&worker, &outputs.runs[i], &log, NULL, &expected);
        read_outputs (&worker, &outputs, others[l], &got);
        expect_same (&got, &expected);
    }
    worker_release (&worker);
}

Test (keys, rows_of_a_load_are_written_by_every_key)
{
    for (uint64_t seed = 30; seed < 33; seed++)
        expect_load (seed, seed == 30 ? TINY : LARGE);
}

/* ---- history ---- */

typedef struct history_wish {
    uint64_t task;
    const char *log;
    const outputs_t *built;
    const numbering_t *numbering;
} history_wish_t;

static void put_history_part (wire_writer_t *writer, const history_wish_t *wish, uint32_t p)
{
    const outputs_t *built = &wish->built[p];
    const numbering_t *numbering = &wish->numbering[p];
    wire_open_map (writer);
    wire_field_uint (writer, "partition", p);
    wire_field_uint (writer, "first", numbering->first);
    wire_field_list (writer, "runs");
    for (size_t i = 0; i < built->runs_count; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "path", built->runs[i].path);
        wire_field_uint (writer, "size", built->runs[i].size);
        wire_field_uint (writer, "rows", built->runs[i].rows);
        if (built->runs[i].offset != RUN_OFFSET_AS_WRITTEN)
            wire_field_uint (writer, "offset", built->runs[i].offset);
        wire_close (writer);
    }
    wire_close (writer);
    wire_field_list (writer, "excluded");
    if (numbering->excluded != UINT64_MAX)
        wire_put_uint (writer, numbering->excluded);
    wire_close (writer);
    wire_field_list (writer, "loads");
    wire_open_map (writer);
    wire_field_uint (writer, "offset", numbering->load);
    wire_field_uint (writer, "rows", numbering->rows);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
}

static void put_history (worker_t *self, wire_writer_t *writer, const void *arg)
{
    const history_wish_t *wish = arg;
    (void)self;
    wire_open_map (writer);
    wire_field_uint (writer, "task", wish->task);
    wire_field_uint (writer, "attempt", 1);
    wire_field_string (writer, "kind", "load");
    wire_field_uint (writer, "definitions", 1);
    wire_field_map (writer, "load");
    wire_field_string (writer, "stream", "pay");
    wire_field_string (writer, "path", "");
    wire_field_string (writer, "id", "k1");
    wire_field_string (writer, "format", "history");
    wire_field_bool (writer, "skip", false);
    wire_field_int (writer, "clock", CLOCK);
    wire_field_list (writer, "logs");
    wire_put_string (writer, wish->log);
    wire_close (writer);
    wire_close (writer);
    wire_field_list (writer, "history");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        put_history_part (writer, wish, p);
    wire_close (writer);
    wire_close (writer);
}

/* Events are sent and loaded, all partitions are built; what is given to the new key has every row
 * of the dataset that has the key, in the order of their places. */
static void expect_history (uint64_t seed, uint64_t memory_limit, bool unloaded)
{
    static rows_t got;
    static rows_t expected;
    static outputs_t built[PARTITIONS];
    numbering_t numbering[PARTITIONS];
    worker_t worker;
    keyed_log_t log;
    worker_init (&worker, seed, memory_limit);
    worker_send (&worker, 40);
    worker_file (&worker, "incoming/a.csv", FORMAT_CSV, 60, 0);
    load_wish_t load = { worker.next_task++, 1, "incoming/a.csv", "abc", "csv", false, NULL, 0 };
    outputs_t loaded = worker_load (&worker, &load);
    cr_assert_str_eq (loaded.status, "ok", "%s", loaded.error);
    uint64_t first = 0;
    got.count = expected.count = 0;
    cr_assert (keyed_log_find (worker.definitions, text_of (others[0]), &log));
    uint64_t commit[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++)
        commit[p] = worker_control (&worker, p, LOG_KIND_LOAD_COMMIT, 0);
    worker_send (&worker, 40);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        struct output_run runs[16];
        build_wish_t wish = { .task = worker.next_task++,
                              .attempt = 1,
                              .partition = p,
                              .cut = worker_control (&worker, p, LOG_KIND_CUT, -1),
                              .clock = CLOCK,
                              .runs = runs };
        for (size_t i = 0; i < loaded.runs_count; i++)
            if (loaded.runs[i].partition == p && wish.runs_count < 16) {
                runs[wish.runs_count] = loaded.runs[i];
                runs[wish.runs_count++].offset = commit[p];
            }
        built[p] = worker_build (&worker, &wish);
        cr_assert_str_eq (built[p].status, "ok", "%s", built[p].error);
        numbering[p] = (numbering_t){ .first = first,
                                      .load = commit[p],
                                      .rows = 60,
                                      .excluded = unloaded ? commit[p] : UINT64_MAX };
        first += wish.cut + 60;
        for (size_t i = 0; i < built[p].runs_count; i++)
            read_run (&worker, &built[p].runs[i], &log, &numbering[p], &expected);
    }
    history_wish_t wish = { worker.next_task++, others[0], built, numbering };
    worker_order (&worker, put_history, &wish);
    worker_run (&worker);
    uint64_t task;
    outputs_t outputs;
    cr_assert (worker_reported (&worker, &task, &outputs, true));
    cr_assert_str_eq (outputs.status, "ok", "%s", outputs.error);
    read_outputs (&worker, &outputs, others[0], &got);
    expect_same (&got, &expected);
    worker_release (&worker);
}

Test (keys, a_new_one_gets_all_rows_of_the_dataset_in_their_order)
{
    expect_history (40, LARGE, false);
    expect_history (41, TINY, false);
    expect_history (42, LARGE, true);
}
