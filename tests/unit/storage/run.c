#include "storage/run.h"

#include "storage/rows.h"
#include "tests/unit/storage/run_fixture.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

static error_t error;

enum { ROUNDS = 60 };

static size_t some_rows (random_t *random)
{
    static const size_t sizes[] = { 0, 1, 50, 500, RUN_BLOCK_ROWS_MAX, 20000 };
    size_t size = sizes[random_below (random, 6)];
    return size > 1 && random_chance (random, 0.7) ? random_below (random, size) : size;
}

/* Reads all that the cursor gives and compares it with the rows from `from` on. */
static void expect_rows_from (run_cursor_t *cursor, const batch_t *batch, size_t from)
{
    batch_t got;
    status_t status;
    while ((status = run_cursor_next (cursor, &got, &error)) == STATUS_OK) {
        cr_assert_gt (got.rows, 0);
        cr_assert_leq (from + got.rows, batch->rows);
        for (size_t i = 0; i < got.rows; i++)
            cr_assert (rows_are_equal (batch, from + i, &got, i), "row %zu", from + i);
        from += got.rows;
    }
    cr_assert_eq (status, STATUS_END, "%s", error.text);
    cr_assert_eq (from, batch->rows);
}

Test (run, a_cursor_gives_what_was_written)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        fixture.quick = seed % 3 == 0;
        batch_t batch = run_fixture_sorted (&fixture, some_rows (&fixture.random), false);
        run_fixture_write (&fixture, "runs/a", &batch);
        run_t *run = run_fixture_open (&fixture, "runs/a", RUN_OFFSET_AS_WRITTEN);
        cr_assert_eq (run_verify (run, &error), STATUS_OK, "%s", error.text);
        uint64_t wanted[BLOCK_WANTED_WORDS] = { random_next (&fixture.random) };
        run_cursor_t *cursor = run_cursor_new (run, seed % 2 == 0 ? NULL : wanted);
        expect_rows_from (cursor, &batch, 0);
        run_cursor_destroy (&cursor);
        run_destroy (&run);
        run_fixture_release (&fixture);
    }
}

Test (run, what_a_cursor_leaves_out_changes_nothing_else)
{
    for (uint64_t seed = 600; seed < 600 + ROUNDS; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        batch_t batch = run_fixture_sorted (&fixture, some_rows (&fixture.random), false);
        run_fixture_write (&fixture, "a", &batch);
        run_t *run = run_fixture_open (&fixture, "a", RUN_OFFSET_AS_WRITTEN);
        run_cursor_t *cursor = run_cursor_new (run, NULL);
        unsigned leave = (unsigned)random_below (&fixture.random, 4);
        run_cursor_leave (cursor, leave);
        size_t row = 0;
        batch_t part;
        while (run_cursor_next (cursor, &part, &error) == STATUS_OK) {
            cr_assert_eq (part.ingest_time == NULL, (leave & BLOCK_LEAVE_INGEST_TIME) != 0);
            cr_assert_eq (part.offset == NULL, (leave & BLOCK_LEAVE_POSITION) != 0);
            cr_assert_eq (part.row == NULL, part.offset == NULL);
            cr_assert_leq (row + part.rows, batch.rows);
            batch_t whole = part; /* with what was left out, as it was written */
            whole.ingest_time = part.ingest_time ? part.ingest_time : batch.ingest_time + row;
            whole.offset = part.offset ? part.offset : batch.offset + row;
            whole.row = part.row ? part.row : batch.row + row;
            for (size_t i = 0; i < part.rows; i++)
                cr_assert (rows_are_equal (&batch, row + i, &whole, i));
            row += part.rows;
        }
        cr_assert_eq (row, batch.rows);
        run_cursor_destroy (&cursor);
        run_destroy (&run);
        run_fixture_release (&fixture);
    }
}

Test (run, info_tells_what_it_is_a_run_of)
{
    for (uint64_t seed = 100; seed < 120; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        batch_t batch = run_fixture_sorted (&fixture, some_rows (&fixture.random), false);
        run_fixture_write (&fixture, "a", &batch);
        run_t *run = run_fixture_open (&fixture, "a", RUN_OFFSET_AS_WRITTEN);
        const run_info_t *info = run_info (run);
        cr_assert (text_is (info->schema.log, "payments/user_id"));
        cr_assert_eq (info->schema.fingerprint, fixture.schema.fingerprint);
        cr_assert_eq (info->schema.partition, 3);
        cr_assert_eq (info->schema.partitions, 8);
        cr_assert_eq (info->schema.columns, fixture.columns);
        for (size_t i = 0; i < fixture.columns; i++)
            cr_assert_eq (info->schema.types[i], fixture.types[i]);
        cr_assert_eq (info->rows, batch.rows);
        int64_t min_time = batch.rows > 0 ? INT64_MAX : 0;
        int64_t max_time = 0;
        uint64_t min_offset = batch.rows > 0 ? UINT64_MAX : 0;
        uint64_t max_offset = 0;
        for (size_t i = 0; i < batch.rows; i++) {
            min_time = batch.event_time[i] < min_time ? batch.event_time[i] : min_time;
            max_time = batch.event_time[i] > max_time ? batch.event_time[i] : max_time;
            min_offset = batch.offset[i] < min_offset ? batch.offset[i] : min_offset;
            max_offset = batch.offset[i] > max_offset ? batch.offset[i] : max_offset;
        }
        cr_assert_eq (info->min_time, min_time);
        cr_assert_eq (info->max_time, max_time);
        cr_assert_eq (info->min_offset, min_offset);
        cr_assert_eq (info->max_offset, max_offset);
        run_destroy (&run);
        run_fixture_release (&fixture);
    }
}

static text_t some_key (run_fixture_t *fixture)
{
    char *key = arena_alloc (fixture->arena, 32);
    int size = snprintf (key, 32, "k%llu", (unsigned long long)random_below (&fixture->random, 33));
    return (text_t){ key, (uint32_t)size };
}

Test (run, the_rows_of_a_key_are_those_of_a_linear_search)
{
    for (uint64_t seed = 200; seed < 200 + ROUNDS; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        batch_t batch = run_fixture_sorted (&fixture, some_rows (&fixture.random), false);
        run_fixture_write (&fixture, "a", &batch);
        run_t *run = run_fixture_open (&fixture, "a", RUN_OFFSET_AS_WRITTEN);
        for (int i = 0; i < 10; i++) {
            text_t key = some_key (&fixture);
            batch_t got;
            cr_assert_eq (run_key_rows (run, key, fixture.arena, NULL, &got, &error), STATUS_OK);
            size_t found = 0;
            for (size_t row = 0; row < batch.rows; row++)
                if (text_equal (batch.key[row], key)) {
                    cr_assert_lt (found, got.rows);
                    cr_assert (rows_are_equal (&batch, row, &got, found++));
                }
            cr_assert_eq (found, got.rows);
        }
        run_destroy (&run);
        run_fixture_release (&fixture);
    }
}

Test (run, seeking_goes_to_the_first_row_not_before_the_key)
{
    for (uint64_t seed = 300; seed < 300 + ROUNDS; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        batch_t batch = run_fixture_sorted (&fixture, some_rows (&fixture.random), false);
        run_fixture_write (&fixture, "a", &batch);
        run_t *run = run_fixture_open (&fixture, "a", RUN_OFFSET_AS_WRITTEN);
        run_cursor_t *cursor = run_cursor_new (run, NULL);
        for (int i = 0; i < 4; i++) {
            text_t key = some_key (&fixture);
            cr_assert_eq (run_cursor_seek_key (cursor, key, &error), STATUS_OK);
            size_t from = 0;
            while (from < batch.rows && text_compare (batch.key[from], key) < 0)
                from++;
            expect_rows_from (cursor, &batch, from);
        }
        run_cursor_destroy (&cursor);
        run_destroy (&run);
        run_fixture_release (&fixture);
    }
}

Test (run, a_batch_outlives_one_call_of_its_cursor)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 7);
    batch_t batch = run_fixture_sorted (&fixture, 3 * RUN_BLOCK_ROWS_MAX, false);
    run_fixture_write (&fixture, "a", &batch);
    run_t *run = run_fixture_open (&fixture, "a", RUN_OFFSET_AS_WRITTEN);
    run_cursor_t *cursor = run_cursor_new (run, NULL);
    batch_t first;
    batch_t second;
    cr_assert_eq (run_cursor_next (cursor, &first, &error), STATUS_OK);
    cr_assert_eq (run_cursor_next (cursor, &second, &error), STATUS_OK);
    for (size_t i = 0; i < first.rows; i++)
        cr_assert (rows_are_equal (&batch, i, &first, i));
    run_cursor_destroy (&cursor);
    run_destroy (&run);
    run_fixture_release (&fixture);
}

Test (run, an_override_stands_in_for_the_offset_of_every_row)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 8);
    batch_t batch = run_fixture_sorted (&fixture, 10000, true);
    run_fixture_write (&fixture, "a", &batch);
    run_t *run = run_fixture_open (&fixture, "a", 4711);
    cr_assert_eq (run_info (run)->min_offset, 4711);
    cr_assert_eq (run_info (run)->max_offset, 4711);
    for (size_t i = 0; i < batch.rows; i++)
        batch.offset[i] = 4711;
    cr_assert_eq (run_verify (run, &error), STATUS_OK, "%s", error.text);
    run_cursor_t *cursor = run_cursor_new (run, NULL);
    expect_rows_from (cursor, &batch, 0);
    batch_t got;
    cr_assert_eq (run_key_rows (run, batch.key[0], fixture.arena, NULL, &got, &error), STATUS_OK);
    for (size_t i = 0; i < got.rows; i++)
        cr_assert (rows_are_equal (&batch, i, &got, i));
    run_cursor_destroy (&cursor);
    run_destroy (&run);
    run_fixture_release (&fixture);
}

Test (run, an_override_of_several_offsets_is_refused)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 9);
    batch_t batch = run_fixture_sorted (&fixture, 10, true);
    batch.offset[9] = 1;
    run_fixture_write (&fixture, "a", &batch);
    run_t *run;
    run_options_t options = { .offset_override = 5 };
    cr_assert_eq (run_open (fixture.fs, "a", &options, &run, &error), STATUS_INVALID);
    cr_assert_null (run);
    run_fixture_release (&fixture);
}

Test (run, rows_too_large_for_one_block_go_into_several)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 10);
    type_t types[] = { TYPE_STRING, TYPE_STRING };
    fixture.schema.types = types;
    fixture.schema.columns = 2;
    batch_t batch = batch_new (fixture.arena, types, 2, 12);
    char *large = arena_alloc (fixture.arena, 3 << 20);
    for (size_t i = 0; i < 3 << 20; i++)
        large[i] = (char)random_next (&fixture.random);
    for (size_t i = 0; i < batch.rows; i++) {
        batch.column[i % 2].valid[i] = 1;
        batch.column[i % 2].s[i] = (text_t){ large, (uint32_t)((3 << 20) - i) };
        batch.key[i] = text_of ("one");
    }
    run_fixture_write (&fixture, "a", &batch);
    run_t *run = run_fixture_open (&fixture, "a", RUN_OFFSET_AS_WRITTEN);
    cr_assert_gt (run_info (run)->blocks, 2);
    batch_t got;
    cr_assert_eq (run_key_rows (run, batch.key[0], fixture.arena, NULL, &got, &error), STATUS_OK);
    cr_assert_eq (got.rows, 12);
    for (size_t i = 0; i < got.rows; i++)
        cr_assert (rows_are_equal (&batch, i, &got, i));
    run_destroy (&run);
    run_fixture_release (&fixture);
}

Test (run, a_writer_given_up_leaves_no_file)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 11);
    batch_t batch = run_fixture_sorted (&fixture, 10, false);
    run_writer_t *writer;
    cr_assert_eq (run_writer_new (fixture.fs, "a", &fixture.schema, &writer, &error), STATUS_OK);
    cr_assert_eq (run_writer_add (writer, &batch, 0, 10, &error), STATUS_OK);
    run_writer_destroy (&writer);
    cr_assert_null (writer);
    run_writer_destroy (&writer);
    run_t *run;
    cr_assert_eq (run_open (fixture.fs, "a", NULL, &run, &error), STATUS_NOT_FOUND);
    run_fixture_release (&fixture);
}

Test (run, a_name_that_is_taken_is_left_alone)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 12);
    batch_t batch = run_fixture_sorted (&fixture, 10, false);
    run_fixture_write (&fixture, "a", &batch);
    run_writer_t *writer;
    cr_assert_eq (run_writer_new (fixture.fs, "a", &fixture.schema, &writer, &error),
                  STATUS_EXISTS);
    cr_assert_null (writer);
    run_t *run = run_fixture_open (&fixture, "a", RUN_OFFSET_AS_WRITTEN);
    run_destroy (&run);
    run_fixture_release (&fixture);
}

Test (run, rows_out_of_order_are_a_bug, .signal = SIGABRT)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 13);
    batch_t batch = run_fixture_sorted (&fixture, 2, false);
    batch.key[0] = text_of ("b");
    batch.key[1] = text_of ("a");
    run_writer_t *writer;
    cr_assert_eq (run_writer_new (fixture.fs, "a", &fixture.schema, &writer, &error), STATUS_OK);
    status_t status = run_writer_add (writer, &batch, 0, 2, &error);
    (void)status;
}

/* ---- damage ---- */

static buf_t read_file (run_fixture_t *fixture, const char *name)
{
    file_t *file;
    uint64_t size;
    cr_assert_eq (fs_open (fixture->fs, name, FS_READ, &file, &error), STATUS_OK);
    cr_assert_eq (fs_size (fixture->fs, file, &size, &error), STATUS_OK);
    buf_t bytes;
    buf_init (&bytes, SIZE_MAX / 4);
    cr_assert_eq (fs_read_all (fixture->fs, file, 0, buf_extend (&bytes, size), size, &error),
                  STATUS_OK);
    fs_close (fixture->fs, &file);
    return bytes;
}

static status_t open_and_verify (run_fixture_t *fixture, const char *name)
{
    run_t *run;
    status_t status = run_open (fixture->fs, name, NULL, &run, &error);
    if (status == STATUS_OK)
        status = run_verify (run, &error);
    run_destroy (&run);
    return status;
}

Test (run, every_changed_byte_is_found)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 14);
    batch_t batch = run_fixture_sorted (&fixture, 60, false);
    run_fixture_write (&fixture, "a", &batch);
    buf_t bytes = read_file (&fixture, "a");
    file_t *file;
    cr_assert_eq (fs_open (fixture.fs, "a", FS_WRITE, &file, &error), STATUS_OK);
    for (size_t at = 0; at < bytes.size; at++) {
        uint8_t changed = (uint8_t)(bytes.data[at] ^ (1 << random_below (&fixture.random, 8)));
        cr_assert_eq (fs_write (fixture.fs, file, at, &changed, 1, &error), STATUS_OK);
        status_t status = open_and_verify (&fixture, "a");
        cr_assert (status == STATUS_CORRUPT || status == STATUS_VERSION, "byte %zu: %s", at,
                   status_word (status));
        cr_assert_eq (fs_write (fixture.fs, file, at, &bytes.data[at], 1, &error), STATUS_OK);
    }
    cr_assert_eq (open_and_verify (&fixture, "a"), STATUS_OK);
    fs_close (fixture.fs, &file);
    buf_release (&bytes);
    run_fixture_release (&fixture);
}

Test (run, every_truncation_is_found)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 15);
    batch_t batch = run_fixture_sorted (&fixture, 60, false);
    run_fixture_write (&fixture, "a", &batch);
    file_t *file;
    uint64_t size;
    cr_assert_eq (fs_open (fixture.fs, "a", FS_WRITE, &file, &error), STATUS_OK);
    cr_assert_eq (fs_size (fixture.fs, file, &size, &error), STATUS_OK);
    while (size-- > 0) {
        cr_assert_eq (fs_truncate (fixture.fs, file, size, &error), STATUS_OK);
        cr_assert_eq (open_and_verify (&fixture, "a"), STATUS_CORRUPT);
    }
    fs_close (fixture.fs, &file);
    run_fixture_release (&fixture);
}
