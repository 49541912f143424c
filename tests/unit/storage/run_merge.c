#include "storage/merge.h"
#include "storage/rows.h"
#include "tests/unit/storage/run_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static error_t error;

enum { SOURCES = 6 };

/* A batch in memory given piece by piece; a piece is freed when the contract lets it be. */
typedef struct pieces {
    const batch_t *batch;
    size_t at;
    size_t most;
    random_t *random;
    arena_t *arena[2];
    unsigned turn;
} pieces_t;

static status_t next_piece (void *arg, batch_t *batch, error_t *end)
{
    pieces_t *self = arg;
    if (self->at == self->batch->rows)
        return error_set (end, STATUS_END, "no more");
    size_t left = self->batch->rows - self->at;
    size_t rows = 1 + random_below (self->random, left < self->most ? left : self->most);
    arena_t **arena = &self->arena[self->turn];
    arena_destroy (arena);
    *arena = arena_new (4096);
    self->turn = 1 - self->turn;
    batch_t slice = rows_slice (self->batch, self->at, self->at + rows, *arena);
    *batch = rows_copy (&slice, *arena);
    self->at += rows;
    return STATUS_OK;
}

static bool keep_some (void *arg, size_t source, uint64_t offset)
{
    uint64_t modulus = *(uint64_t *)arg;
    return modulus == 0 || (offset + source) % modulus == 0;
}

/* All kept rows of all sources in the order of a plain sort. */
typedef struct expected {
    const batch_t *batches;
    rows_place_t *places;
    size_t rows;
} expected_t;

static const batch_t *sorting; /* the batches, for compare_places */

static int compare_places (const void *a, const void *b)
{
    const rows_place_t *x = a;
    const rows_place_t *y = b;
    int order = rows_compare (&sorting[x->batch], x->row, &sorting[y->batch], y->row);
    if (order != 0)
        return order;
    if (x->batch != y->batch)
        return x->batch < y->batch ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static expected_t expect (run_fixture_t *fixture, const batch_t *batches, size_t count,
                          uint64_t modulus)
{
    expected_t expected = { .batches = batches };
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += batches[i].rows;
    expected.places = arena_alloc (fixture->arena, rows * sizeof *expected.places);
    for (size_t i = 0; i < count; i++)
        for (size_t row = 0; row < batches[i].rows; row++)
            if (keep_some (&modulus, i, batches[i].offset[row]))
                expected.places[expected.rows++] = (rows_place_t){ (uint32_t)i, (uint32_t)row };
    sorting = batches;
    qsort (expected.places, expected.rows, sizeof *expected.places, compare_places);
    return expected;
}

static void expect_merged (merge_t *merge, const expected_t *expected, size_t most)
{
    arena_t *arena = arena_new (4096);
    size_t at = 0;
    batch_t got;
    status_t status;
    while ((status = merge_next (merge, arena, &got, &error)) == STATUS_OK) {
        cr_assert_gt (got.rows, 0);
        cr_assert_leq (got.rows, most);
        cr_assert_leq (at + got.rows, expected->rows);
        for (size_t i = 0; i < got.rows; i++) {
            rows_place_t place = expected->places[at + i];
            cr_assert (rows_are_equal (&expected->batches[place.batch], place.row, &got, i));
        }
        at += got.rows;
        arena_reset (arena);
    }
    cr_assert_eq (status, STATUS_END, "%s", error.text);
    cr_assert_eq (at, expected->rows);
    arena_destroy (&arena);
}

Test (run_merge, merging_is_sorting_all_rows)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        fixture.key_padding =
            (uint32_t)(seed % 3) * 15; /* keys that differ in the first 16 bytes or not */
        random_t *random = &fixture.random;
        batch_t batches[SOURCES];
        pieces_t pieces[SOURCES];
        merge_source_t sources[SOURCES];
        size_t count = random_below (random, SOURCES + 1);
        for (size_t i = 0; i < count; i++) {
            batches[i] = run_fixture_sorted (&fixture, random_below (random, 300), false);
            pieces[i] = (pieces_t){ .batch = &batches[i],
                                    .most = 1 + random_below (random, 40),
                                    .random = random };
            sources[i] = (merge_source_t){ next_piece, &pieces[i] };
        }
        uint64_t modulus = random_below (random, 30);
        merge_options_t options = { .chunk_rows = random_below (random, 20),
                                    .keep = modulus == 0 ? NULL : keep_some,
                                    .arg = &modulus };
        expected_t expected = expect (&fixture, batches, count, modulus);
        merge_t *merge;
        cr_assert_eq (merge_new (sources, count, &options, &merge, &error), STATUS_OK);
        size_t most = options.chunk_rows == 0 ? MERGE_CHUNK_ROWS : options.chunk_rows;
        expect_merged (merge, &expected, most);
        merge_destroy (&merge);
        for (size_t i = 0; i < count; i++) {
            arena_destroy (&pieces[i].arena[0]);
            arena_destroy (&pieces[i].arena[1]);
        }
        run_fixture_release (&fixture);
    }
}

Test (run_merge, runs_and_a_batch_in_memory_merge)
{
    for (uint64_t seed = 1000; seed < 1010; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        batch_t batches[3];
        run_t *runs[2];
        run_cursor_t *cursors[2];
        merge_source_t sources[3];
        for (size_t i = 0; i < 2; i++) {
            const char *name = i == 0 ? "a" : "b";
            size_t rows = random_below (&fixture.random, 20000);
            batches[i] = run_fixture_sorted (&fixture, rows, false);
            run_fixture_write (&fixture, name, &batches[i]);
            runs[i] = run_fixture_open (&fixture, name, RUN_OFFSET_AS_WRITTEN);
            cursors[i] = run_cursor_new (runs[i], NULL);
            sources[i] = merge_run (cursors[i]);
        }
        batches[2] = run_fixture_sorted (&fixture, 1000, false);
        merge_memory_t memory = { .batch = &batches[2] };
        sources[2] = merge_batch (&memory);
        uint64_t modulus = seed % 3 * 7;
        merge_options_t options = { .keep = keep_some, .arg = &modulus };
        expected_t expected = expect (&fixture, batches, 3, modulus);
        merge_t *merge;
        cr_assert_eq (merge_new (sources, 3, &options, &merge, &error), STATUS_OK);
        expect_merged (merge, &expected, MERGE_CHUNK_ROWS);
        merge_destroy (&merge);
        for (size_t i = 0; i < 2; i++) {
            run_cursor_destroy (&cursors[i]);
            run_destroy (&runs[i]);
        }
        run_fixture_release (&fixture);
    }
}

Test (run_merge, sources_of_other_columns_are_refused)
{
    arena_t *arena = arena_new (4096);
    type_t types[] = { TYPE_INT64, TYPE_STRING };
    batch_t batches[] = { batch_new (arena, types, 1, 1), batch_new (arena, types, 2, 1),
                          batch_new (arena, types + 1, 1, 1) };
    for (size_t other = 1; other < 3; other++) {
        merge_memory_t memory[] = { { .batch = &batches[0] }, { .batch = &batches[other] } };
        merge_source_t sources[] = { merge_batch (&memory[0]), merge_batch (&memory[1]) };
        merge_t *merge;
        cr_assert_eq (merge_new (sources, 2, NULL, &merge, &error), STATUS_CORRUPT);
        cr_assert_null (merge);
    }
    arena_destroy (&arena);
}

static status_t fail_then (void *arg, batch_t *batch, error_t *failure)
{
    const batch_t **left = arg;
    if (*left == NULL)
        return error_set (failure, STATUS_IO, "the disk is gone");
    *batch = **left;
    *left = NULL;
    return STATUS_OK;
}

Test (run_merge, a_failing_source_fails_the_merge)
{
    arena_t *arena = arena_new (4096);
    batch_t batch = batch_new (arena, NULL, 0, 1);
    const batch_t *left = &batch;
    merge_source_t source = { fail_then, &left };
    merge_t *merge;
    cr_assert_eq (merge_new (&source, 1, NULL, &merge, &error), STATUS_OK);
    cr_assert_eq (merge_next (merge, arena, &batch, &error), STATUS_IO);
    merge_destroy (&merge);
    cr_assert_eq (merge_new (&source, 1, NULL, &merge, &error), STATUS_IO);
    arena_destroy (&arena);
}
