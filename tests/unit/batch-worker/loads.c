/* Loads whose pieces are read apart: with any number of threads they give what one reader of the
 * whole file gives, the same bytes each time. */
#include "tests/unit/batch-worker/worker.h"

#include "storage/posix_fs.h"
#include "tests/rig/scratch.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 9, LINES_MAX = 2500, TEXT_MAX = 8 << 20, TABLE_MAX = 100 };

static const unsigned threads[] = { 1, 2, 3, 8 };
enum { CREWS = sizeof threads / sizeof threads[0] };

/* ---- files ---- */

static void put_csv_row (random_t *random, buf_t *out)
{
    buf_printf (out, "u%d,", (int)random_below (random, WORKER_USERS));
    if (random_below (random, 5) > 0)
        buf_printf (out, "%d.%d", (int)random_below (random, 1000),
                    (int)random_below (random, 100));
    switch (random_below (random, 6)) {
    case 0:
        buf_put_string (out, ",\"a\nnote, of lines\r\n\n\"");
        break;
    case 1:
        buf_put_string (out, ",\"a \"\"note\"\"\"");
        break;
    case 2:
        buf_printf (out, ",%.*s", (int)random_below (random, 60),
                    "a rather long note without anything that has to be in quotes");
        break;
    default:
        buf_put_string (out, ",n");
    }
    buf_printf (out, ",%" PRId64 "%s", CLOCK - (int64_t)random_below (random, 1000000),
                random_below (random, 4) ? "\n" : "\r\n");
}

static void put_json_row (random_t *random, buf_t *out)
{
    buf_printf (out, "{\"user\":\"u%d\",\"ts\":%" PRId64, (int)random_below (random, WORKER_USERS),
                CLOCK - (int64_t)random_below (random, 1000000));
    if (random_below (random, 3) > 0)
        buf_printf (out, ",\"amount\":%d.5", (int)random_below (random, 1000));
    if (random_below (random, 3) > 0)
        buf_put_string (out, ", \"note\": \"\\u00e9\\n\"");
    buf_put_string (out, random_below (random, 8) ? "}\n" : "}\r\n");
}

static void put_bad_row (random_t *random, text_format_t format, buf_t *out)
{
    static const char *const csv[] = {
        "u1,x,n,5\n",
        "u1,1\n",
        "u1,1,a\"b,5\n",
        "\n",
        "\"u1\"2,1,n,5\n",
        "u1,1,\"n,5\n",
        "u1,1,\xff,5\n",
        "u1,1,n,99999999999999999\n",
        "\r",
        ",,,\n",
    };
    static const char *const json[] = {
        "{\"user\":\"u1\"}\n", "{\"user\":1,\"ts\":5}\n", "[]\n", "\n", "{\"ts\":5,\"x\":1}\n",
        "{\"user\":\n",        "{\"ts\":5,\"ts\":5}\n",
    };
    if (format == FORMAT_CSV)
        buf_put_string (out, csv[random_below (random, sizeof csv / sizeof csv[0])]);
    else
        buf_put_string (out, json[random_below (random, sizeof json / sizeof json[0])]);
}

/* A record that takes more than a piece or a buffer; or is too long. */
static void put_long_row (random_t *random, text_format_t format, buf_t *out)
{
    size_t size = random_below (random, 2) ? TEXT_LINE_MAX + 5 : 40000;
    buf_put_string (out,
                    format == FORMAT_CSV ? "u1,1,\"" : "{\"user\":\"u1\",\"ts\":5,\"note\":\"");
    for (size_t i = 0; i < size; i++)
        buf_put_u8 (out, i % 1000 == 7 && format == FORMAT_CSV ? '\n' : 'x');
    buf_put_string (out, format == FORMAT_CSV ? "\",5\n" : "\"}\n");
}

static void make_file (random_t *random, text_format_t format, buf_t *out)
{
    size_t lines = (size_t)random_below (random, LINES_MAX);
    uint64_t bad_in = (const uint64_t[]){ 0, 500, 20, 4 }[random_below (random, 4)];
    bool has_long = random_below (random, 3) == 0;
    if (format == FORMAT_CSV)
        buf_put_string (out, "user,amount,note,ts\n");
    for (size_t i = 0; i < lines; i++) {
        if (has_long && random_below (random, 800) == 0)
            put_long_row (random, format, out);
        if (bad_in > 0 && random_below (random, bad_in) == 0)
            put_bad_row (random, format, out);
        else if (format == FORMAT_CSV)
            put_csv_row (random, out);
        else
            put_json_row (random, out);
    }
    if (lines > 0 && random_below (random, 3) == 0)
        out->size--;
    cr_assert_not (out->bad);
}

/* ---- what one reader makes of it ---- */

/* Rows as text, one a line, in the order of their numbers; what is refused; the first reason. */
typedef struct expected {
    buf_t rows;
    buf_t refused;
    size_t refused_count;
    char reason[ERROR_TEXT_MAX];
} expected_t;

static void put_hex (text_t text, buf_t *out)
{
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < text.size; i++) {
        buf_put_u8 (out, (uint8_t)digits[(uint8_t)text.data[i] >> 4]);
        buf_put_u8 (out, (uint8_t)digits[text.data[i] & 15]);
    }
}

static void put_row (const batch_t *batch, size_t r, uint64_t number, buf_t *out)
{
    buf_printf (out, "%08" PRIu64 " %" PRId64, number, batch->event_time[r]);
    for (size_t c = 0; c < batch->columns; c++) {
        value_t value = column_get (&batch->column[c], r);
        buf_put_u8 (out, ' ');
        if (value.null)
            buf_put_u8 (out, '-');
        else if (value.type == TYPE_STRING)
            put_hex (value.s, out);
        else
            buf_printf (out, "%" PRIx64, (uint64_t)value.i);
    }
    buf_put_u8 (out, '\n');
}

static void expect_refused (expected_t *self, text_t record, const char *reason)
{
    if (self->refused_count++ == 0)
        (void)snprintf (self->reason, sizeof self->reason, "%s", reason);
    buf_put (&self->refused, record.data, record.size);
    buf_put_u8 (&self->refused, '\n');
}

static void take_table (const worker_t *worker, expected_t *self, text_format_t format,
                        const text_reader_t *reader, const raw_table_t *table, uint64_t first)
{
    intake_rules_t rules = { .now = CLOCK,
                             .max_ahead = 5 * TIME_MINUTE,
                             .ingest_is_event_time = true };
    arena_t *arena = arena_new (1 << 16);
    int32_t map[TEXT_COLUMNS_MAX];
    intake_result_t result;
    error_t error;
    if (format == FORMAT_NDJSON)
        intake_map_names (worker->stream, table->columns, table->columns_count, (text_t){ 0 }, map);
    else
        cr_assert_eq (intake_map_columns (worker->stream, table->columns, table->columns_count,
                                          (text_t){ 0 }, map, &error),
                      STATUS_OK);
    intake_convert (worker->stream, table, map, &rules, arena, &result);
    for (size_t i = 0; i < result.refused_count; i++) {
        char reason[ERROR_TEXT_MAX];
        (void)snprintf (reason, sizeof reason, "row %" PRIu64 ", %s", first + result.refused[i].row,
                        result.refused[i].reason);
        expect_refused (self, text_reader_record (reader, result.refused[i].row), reason);
    }
    for (size_t r = 0; r < result.batch.rows; r++)
        put_row (&result.batch, r, first - 1 + result.raw_row[r], &self->rows);
    arena_destroy (&arena);
}

static bool feed (const worker_t *worker, expected_t *self, text_format_t format,
                  text_reader_t *reader, const char *data, size_t size, size_t *taken)
{
    uint64_t bad_row, first;
    error_t error;
    raw_table_t table;
    bool more = false;
    status_t status = text_reader_feed (reader, data, size, taken, &bad_row, &error);
    while (text_reader_table (reader, &table, &first)) {
        take_table (worker, self, format, reader, &table, first);
        text_reader_next (reader);
        more = true;
    }
    if (status == STATUS_OK)
        return more;
    cr_assert_gt (bad_row, 0);
    expect_refused (self, text_reader_bad (reader), error.text);
    return true;
}

static void read_as_one (const worker_t *worker, expected_t *self, text_format_t format,
                         const buf_t *text)
{
    size_t taken;
    *self = (expected_t){ .refused_count = 0 };
    buf_init (&self->rows, 64 << 20);
    buf_init (&self->refused, 16 << 20);
    if (format == FORMAT_CSV)
        buf_put_string (&self->refused, "user,amount,note,ts\n");
    text_reader_t *reader = text_reader_new (format, TABLE_MAX);
    for (size_t at = 0; at < text->size; at += taken)
        (void)feed (worker, self, format, reader, (const char *)text->data + at,
                    text->size - at < 1000 ? text->size - at : 1000, &taken);
    while (feed (worker, self, format, reader, NULL, 0, &taken))
        ;
    text_reader_destroy (&reader);
    cr_assert_not (self->rows.bad);
    cr_assert_not (self->refused.bad);
}

static void expected_release (expected_t *self)
{
    buf_release (&self->rows);
    buf_release (&self->refused);
}

/* ---- what a load makes of it ---- */

static int compare_lines (const void *a, const void *b)
{
    return strcmp (*(char *const *)a, *(char *const *)b);
}

/* The lines, sorted: rows by their numbers. */
static void sort_lines (buf_t *text)
{
    size_t count = 0, at = 0;
    char *copy = strdup (buf_string (text));
    char **lines = calloc (text->size + 1, sizeof *lines);
    for (char *line = strtok (copy, "\n"); line; line = strtok (NULL, "\n"))
        lines[count++] = line;
    qsort (lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++) {
        memcpy (text->data + at, lines[i], strlen (lines[i]));
        at += strlen (lines[i]);
        text->data[at++] = '\n';
    }
    free (lines);
    free (copy);
}

static void put_run (worker_t *worker, const struct output_run *item, buf_t *out)
{
    run_options_t options = { .offset_override = RUN_OFFSET_AS_WRITTEN };
    run_t *run = NULL;
    run_cursor_t *cursor = NULL;
    batch_t batch;
    error_t error;
    cr_assert_eq (run_open (worker->fs, item->path, &options, &run, &error), STATUS_OK, "%s",
                  error.text);
    columns_t columns = stream_columns (worker->stream, worker->arena);
    cr_assert_eq (run_cursor_new_as (run, &columns, NULL, &cursor, &error), STATUS_OK);
    while (run_cursor_next (cursor, &batch, &error) == STATUS_OK)
        for (size_t r = 0; r < batch.rows; r++)
            put_row (&batch, r, batch.row[r], out);
    run_cursor_destroy (&cursor);
    run_destroy (&run);
}

static void expect_as_one (worker_t *worker, const expected_t *expected, const outputs_t *outputs,
                           text_format_t format)
{
    buf_t rows;
    buf_init (&rows, 64 << 20);
    for (size_t i = 0; i < outputs->runs_count; i++)
        put_run (worker, &outputs->runs[i], &rows);
    sort_lines (&rows);
    cr_expect_str_eq (outputs->status, "ok", "%s", outputs->error);
    cr_expect_eq (outputs->refused, expected->refused_count);
    cr_assert_eq (rows.size, expected->rows.size);
    cr_expect_eq (memcmp (rows.data, expected->rows.data, rows.size), 0);
    buf_release (&rows);
    cr_assert_eq (outputs->rejects[0] != '\0', expected->refused_count > 0);
    if (expected->refused_count == 0)
        return;
    text_t rejects = worker_read (worker, outputs->rejects);
    cr_expect_eq (rejects.size, expected->refused.size, "%u", format);
    cr_expect_eq (memcmp (rejects.data, expected->refused.data, expected->refused.size), 0);
}

/* Runs are called by task, and are otherwise the same. */
static void expect_same_runs (worker_t *worker, const outputs_t *a, const outputs_t *b)
{
    cr_assert_eq (a->runs_count, b->runs_count);
    for (size_t i = 0; i < a->runs_count; i++) {
        text_t one = worker_read (worker, a->runs[i].path);
        text_t other = worker_read (worker, b->runs[i].path);
        cr_expect_eq (a->runs[i].partition, b->runs[i].partition);
        cr_assert (text_equal (one, other), "run %zu of %zu differs", i, a->runs_count);
    }
}

typedef struct fixture {
    worker_t worker;
    scratch_t scratch;
    fs_t *fs;
} fixture_t;

static void fixture_init (fixture_t *self, uint64_t seed)
{
    error_t error;
    worker_init (&self->worker, seed, 1 << 20);
    scratch_make (&self->scratch);
    cr_assert_eq (posix_fs_open (self->scratch.path, &self->fs, &error), STATUS_OK, "%s",
                  error.text);
}

static void fixture_release (fixture_t *self)
{
    worker_release (&self->worker);
    posix_fs_destroy (&self->fs);
    scratch_remove (&self->scratch);
}

/* Returns how many runs there are. */
static size_t load_with_all_crews (worker_t *worker, fs_t *fs, text_format_t format,
                                   uint64_t memory, const expected_t *expected)
{
    outputs_t outputs[CREWS];
    for (size_t i = 0; i < CREWS; i++) {
        char id[32];
        (void)snprintf (id, sizeof id, "load%zu", i);
        load_wish_t wish = { .task = worker->next_task++,
                             .attempt = 1,
                             .path = "in",
                             .id = id,
                             .format = format == FORMAT_CSV ? "csv" : "ndjson",
                             .skip = true };
        worker_restart_on (worker, fs, memory, threads[i]);
        outputs[i] = worker_load (worker, &wish);
        expect_as_one (worker, expected, &outputs[i], format);
        expect_same_runs (worker, &outputs[0], &outputs[i]);
        if (expected->refused_count == 0)
            continue;
        wish.task = worker->next_task++;
        wish.skip = false;
        outputs_t strict = worker_load (worker, &wish);
        cr_expect_str_eq (strict.status, "invalid");
        cr_expect_not_null (strstr (strict.error, expected->reason), "%s\nbut expected\n%s",
                            strict.error, expected->reason);
    }
    return outputs[0].runs_count;
}

static void hold (text_format_t format, uint64_t seed)
{
    for (uint64_t i = 0; i < FILES; i++) {
        fixture_t fixture;
        expected_t expected;
        buf_t text;
        fixture_init (&fixture, seed + i);
        worker_t *worker = &fixture.worker;
        buf_init (&text, TEXT_MAX);
        make_file (&worker->random, format, &text);
        read_as_one (worker, &expected, format, &text);
        worker_restart_on (worker, fixture.fs, 1 << 20, 1);
        worker_write (worker, "in", (text_t){ (const char *)text.data, (uint32_t)text.size });
        /* a crew has a thread for each 16 MiB */
        uint64_t memory = (const uint64_t[]){ 1, 256 << 20, 128 << 20 }[i % 3];
        (void)load_with_all_crews (worker, fixture.fs, format, memory, &expected);
        expected_release (&expected);
        buf_release (&text);
        fixture_release (&fixture);
    }
}

Test (loads, of_csv_are_the_same_with_any_number_of_threads)
{
    hold (FORMAT_CSV, 100);
}

Test (loads, of_ndjson_are_the_same_with_any_number_of_threads)
{
    hold (FORMAT_NDJSON, 200);
}

/* Runs are cut by what memory there is, and not by who reads. */
Test (loads, spill_at_the_same_rows_with_any_number_of_threads)
{
    fixture_t fixture;
    expected_t expected;
    buf_t text;
    fixture_init (&fixture, 300);
    worker_t *worker = &fixture.worker;
    buf_init (&text, 32 << 20);
    buf_put_string (&text, "user,amount,note,ts\n");
    while (text.size < 8 << 20)
        put_csv_row (&worker->random, &text);
    read_as_one (worker, &expected, FORMAT_CSV, &text);
    worker_restart_on (worker, fixture.fs, 1 << 20, 1);
    worker_write (worker, "in", (text_t){ (const char *)text.data, (uint32_t)text.size });
    size_t runs = load_with_all_crews (worker, fixture.fs, FORMAT_CSV, 32 << 20, &expected);
    cr_expect_gt (runs, PARTITIONS);
    expected_release (&expected);
    buf_release (&text);
    fixture_release (&fixture);
}
