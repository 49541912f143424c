/* Sorting, and rows gathered until they are a sorted run, against a plain sort. */
#include "storage/rows.h"
#include "storage/sort.h"
#include "storage/sorter.h"
#include "tests/unit/storage/run_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static error_t error;

static const batch_t *sorting; /* for compare_rows */

static int compare_rows (const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    int order = rows_compare (sorting, *x, sorting, *y);
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

static uint32_t *plain_order (const batch_t *batch, arena_t *arena)
{
    uint32_t *order = arena_alloc (arena, batch->rows * sizeof *order);
    for (size_t i = 0; i < batch->rows; i++)
        order[i] = (uint32_t)i;
    sorting = batch;
    qsort (order, batch->rows, sizeof *order, compare_rows);
    return order;
}

/* What keys of a batch are like. */
typedef enum keys {
    KEYS_FEW,
    KEYS_RANDOM,
    KEYS_NUMBERS,
    KEYS_LONG,
    KEYS_NESTED,
    KEYS_BIT,
    KEYS_ONE
} keys_t;
enum { KINDS_OF_KEYS = KEYS_ONE + 1 };

/* Zero bytes at the end count: "a" comes before "a\0". */
static text_t nested_key (random_t *random, arena_t *arena)
{
    size_t size = random_below (random, 40);
    char *bytes = arena_zero (arena, size + 1, 1);
    if (size > 0)
        bytes[random_below (random, size)] = (char)random_below (random, 3);
    return (text_t){ bytes, (uint32_t)size };
}

/* Many that differ after `alike` bytes; at most 256 of them. */
static text_t long_key (random_t *random, arena_t *arena, size_t alike)
{
    char *bytes = arena_alloc (arena, alike + 12);
    memset (bytes, 'k', alike + 12);
    bytes[alike] = (char)random_below (random, 16);
    bytes[alike + 11] = (char)random_below (random, 16);
    return (text_t){ bytes, (uint32_t)(alike + 12) };
}

/* One of two that differ in that bit, from the highest of the first byte on. */
static text_t bit_key (random_t *random, arena_t *arena, size_t bit)
{
    char *bytes = arena_zero (arena, 9, 1);
    if (random_chance (random, 0.5))
        bytes[bit / 8] = (char)(0x80 >> bit % 8);
    return (text_t){ bytes, 9 };
}

static text_t number_key (random_t *random, arena_t *arena, uint64_t numbers)
{
    uint64_t number = UINT64_C (1) << 63 | random_below (random, numbers);
    char *bytes = arena_alloc (arena, 9);
    bytes[0] = 2;
    for (size_t i = 0; i < 8; i++)
        bytes[1 + i] = (char)(number >> (56 - 8 * i));
    return (text_t){ bytes, 9 };
}

/* For rows [from, to). */
static void set_keys_of (random_t *random, arena_t *arena, batch_t *batch, keys_t keys, size_t from,
                         size_t to)
{
    size_t alike = random_below (random, 100);
    uint64_t numbers = UINT64_C (1) << random_below (random, 40);
    size_t bit = random_below (random, 3) == 0 ? 0 : random_below (random, 72);
    for (size_t i = from; i < to; i++) {
        if (keys == KEYS_RANDOM)
            batch->key[i] = random_text (random, arena);
        else if (keys == KEYS_NUMBERS)
            batch->key[i] = number_key (random, arena, numbers);
        else if (keys == KEYS_LONG)
            batch->key[i] = long_key (random, arena, alike);
        else if (keys == KEYS_NESTED)
            batch->key[i] = nested_key (random, arena);
        else if (keys == KEYS_BIT)
            batch->key[i] = bit_key (random, arena, bit);
        else if (keys == KEYS_ONE)
            batch->key[i] = batch->key[0];
    }
}

static void set_keys (random_t *random, arena_t *arena, batch_t *batch, keys_t keys)
{
    set_keys_of (random, arena, batch, keys, 0, batch->rows);
}

/* Times and positions that are often equal, or that go up but for some that are late. */
static void set_places (random_t *random, batch_t *batch)
{
    uint64_t times = random_below (random, 5) + 1;
    bool in_position = random_chance (random, 0.5);
    bool in_time = random_chance (random, 0.5);
    for (size_t i = 0; i < batch->rows; i++) {
        batch->offset[i] = in_position ? i / 3 : batch->offset[i] % 3;
        batch->row[i] = in_position ? (uint32_t)i % 3 : batch->row[i] % 3;
        if (in_time)
            batch->event_time[i] = (int64_t)(1000 + i - random_below (random, 2) * (i % 50));
        else if (random_chance (random, 0.5))
            batch->event_time[i] = (int64_t)random_below (random, times);
    }
}

/* What follows from something else, as in a log, up to some row: places from those before, a column
 * of times from the event times, keys from a column of numbers. */
static void set_followers (random_t *random, arena_t *arena, batch_t *batch)
{
    size_t until =
        random_chance (random, 0.5) ? batch->rows : random_below (random, batch->rows + 1);
    uint64_t numbers = UINT64_C (1) << random_below (random, 30);
    bool places = random_chance (random, 0.5);
    bool key = false;
    for (size_t i = 0; places && i < until; i++) {
        batch->offset[i] = 100 + i;
        batch->row[i] = 0;
    }
    for (size_t c = 0; c < batch->columns; c++) {
        column_t *column = &batch->column[c];
        bool time = column->type == TYPE_TIMESTAMP && random_chance (random, 0.7);
        bool integer = column->type == TYPE_INT64 || column->type == TYPE_TIMESTAMP;
        for (size_t i = 0; time && i < until; i++)
            column->i[i] = batch->event_time[i];
        for (size_t i = 0; !time && !key && integer && i < until; i++) {
            uint8_t *bytes = arena_alloc (arena, KEY_NUMBER_SIZE);
            column->i[i] = (int64_t)(random_below (random, numbers) - numbers / 2);
            key_put_number (bytes, column->type, column->i[i]);
            batch->key[i] = (text_t){ (const char *)bytes, KEY_NUMBER_SIZE };
        }
        key |= integer && !time;
    }
}

Test (run_sort, sorting_a_batch_is_stable_and_in_order)
{
    random_t random;
    random_seed (&random, 1);
    for (int round = 0; round < 300; round++) {
        arena_t *arena = arena_new (1 << 16);
        size_t rows = random_below (&random, round % 10 == 0 ? 5000 : 200);
        batch_t batch = random_batch (&random, arena, NULL, 0, rows);
        set_keys (&random, arena, &batch, (keys_t)random_below (&random, KINDS_OF_KEYS));
        set_places (&random, &batch);
        uint32_t *expected = plain_order (&batch, arena);
        uint32_t *order = arena_alloc (arena, rows * sizeof *order);
        sort_batch (&batch, order);
        cr_assert_eq (memcmp (order, expected, rows * sizeof *order), 0, "round %d", round);
        arena_destroy (&arena);
    }
}

/* How rows are put on the disk. */
typedef struct spills {
    fs_t *fs;       /* NULL: never */
    double chance;  /* behind each part that is added; else large ones may be */
    size_t longest; /* rows of a part; 0: any */
} spills_t;

static const spills_t IN_MEMORY = { .chance = 0 };

/* Adds all rows, in parts, the picked ones of a part through a list. */
static void add_rows (random_t *random, sorter_t *sorter, const batch_t *batch, arena_t *arena,
                      const spills_t *spills)
{
    uint32_t *which = arena_alloc (arena, batch->rows * sizeof *which);
    for (size_t i = 0; i < batch->rows; i++)
        which[i] = (uint32_t)i;
    for (size_t at = 0; at < batch->rows;) {
        size_t most = batch->rows - at;
        if (spills->longest > 0 && spills->longest < most)
            most = spills->longest;
        size_t end = at + 1 + random_below (random, most);
        if (random_chance (random, 0.5))
            sorter_add (sorter, batch, at, end);
        else
            sorter_add_picked (sorter, batch, which + at, end - at);
        if (random_chance (random, spills->chance))
            cr_assert_eq (sorter_spill (sorter, &error), STATUS_OK, "%s", error.text);
        else if (spills->fs != NULL && sorter_has_large (sorter) && random_chance (random, 0.7))
            cr_assert_eq (sorter_spill_large (sorter, &error), STATUS_OK, "%s", error.text);
        at = end;
    }
    cr_assert_eq (sorter_rows (sorter), batch->rows);
}

static text_t file_of (run_fixture_t *fixture, const char *name)
{
    file_t *file;
    uint64_t size;
    cr_assert_eq (fs_open (fixture->fs, name, FS_READ, &file, &error), STATUS_OK);
    cr_assert_eq (fs_size (fixture->fs, file, &size, &error), STATUS_OK);
    char *bytes = arena_alloc (fixture->arena, size);
    cr_assert_eq (fs_read_all (fixture->fs, file, 0, bytes, size, &error), STATUS_OK);
    fs_close (fixture->fs, &file);
    return (text_t){ bytes, (uint32_t)size };
}

static batch_t sorted_of (const batch_t *batch, arena_t *arena)
{
    uint32_t *order = plain_order (batch, arena);
    rows_place_t *places = arena_alloc (arena, batch->rows * sizeof *places);
    for (size_t i = 0; i < batch->rows; i++)
        places[i] = (rows_place_t){ 0, order[i] };
    return batch->rows > 0 ? rows_pick (batch, places, batch->rows, arena) : *batch;
}

/* The run that the rows are when they are sorted plainly and added in parts of any size. */
static text_t plain_run (run_fixture_t *fixture, const char *name, const batch_t *batch)
{
    batch_t sorted = sorted_of (batch, fixture->arena);
    run_fixture_write (fixture, name, &sorted);
    return file_of (fixture, name);
}

static void expect_same_run_of (run_fixture_t *fixture, sorter_t *sorter, const batch_t *batch,
                                const spills_t *spills)
{
    run_info_t info;
    size_t rows = batch->rows;
    add_rows (&fixture->random, sorter, batch, fixture->arena, spills);
    cr_assert_eq (sorter_write (sorter, fixture->fs, "got", &fixture->schema, &info, &error),
                  STATUS_OK, "%s", error.text);
    cr_assert_eq (info.rows, rows);
    text_t got = file_of (fixture, "got");
    cr_assert_eq (info.size, got.size);
    cr_assert (text_equal (got, plain_run (fixture, "expected", batch)));
    cr_assert_eq (fs_remove (fixture->fs, "got", &error), STATUS_OK);
    cr_assert_eq (fs_remove (fixture->fs, "expected", &error), STATUS_OK);
}

static void expect_same_run (run_fixture_t *fixture, sorter_t *sorter, size_t rows)
{
    random_t *random = &fixture->random;
    batch_t batch = random_batch (random, fixture->arena, fixture->types, fixture->columns, rows);
    set_keys (random, fixture->arena, &batch, (keys_t)random_below (random, KINDS_OF_KEYS));
    set_places (random, &batch);
    if (random_chance (random, 0.5))
        set_followers (random, fixture->arena, &batch);
    expect_same_run_of (fixture, sorter, &batch, &IN_MEMORY);
}

Test (run_sort, a_sorter_writes_the_bytes_that_sorted_rows_are)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        sorter_t *sorter = sorter_new (fixture.types, fixture.columns, NULL);
        for (int round = 0; round < 3; round++) {
            bool large = seed % 20 == 0;
            expect_same_run (&fixture, sorter, random_below (&fixture.random, large ? 20000 : 600));
            sorter_clear (sorter);
            cr_assert_eq (sorter_rows (sorter), 0);
        }
        sorter_destroy (&sorter);
        run_fixture_release (&fixture);
    }
}

/* Rows are apart by their keys from some megabytes on, as the first of them have keys; those that
 * come later may have others. */
Test (run_sort, many_rows_are_the_same_run_whatever_keys_come_later)
{
    enum { ROWS = 90000 };
    kept_t *kept = kept_new (2);
    for (uint64_t seed = 0; seed < 12; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        random_t *random = &fixture.random;
        sorter_t *sorter = sorter_new (fixture.types, fixture.columns, kept);
        for (int round = 0; round < 2; round++) {
            batch_t batch =
                random_batch (random, fixture.arena, fixture.types, fixture.columns, ROWS);
            for (size_t from = 0, to; from < ROWS; from = to) {
                to = from == 0 ? ROWS * 5 / 6 : ROWS;
                set_keys_of (random, fixture.arena, &batch,
                             (keys_t)random_below (random, KINDS_OF_KEYS), from, to);
            }
            set_places (random, &batch);
            if (random_chance (random, 0.5))
                set_followers (random, fixture.arena, &batch);
            expect_same_run_of (&fixture, sorter, &batch, &IN_MEMORY);
            sorter_clear (sorter);
        }
        sorter_destroy (&sorter);
        run_fixture_release (&fixture);
    }
    cr_assert_gt (kept_idle (kept), 0, "no sorter had rows enough to part");
    kept_unref (&kept);
}

/* Gives the rows, and asks for the memory at times; what was given before the newest batch stays.
 */
static void give_rows (run_fixture_t *fixture, sorter_t *sorter, const batch_t *sorted)
{
    batch_t got[2];
    size_t rows = 0, before = 0;
    run_writer_t *writer;
    cr_assert_eq (run_writer_new (fixture->fs, "got", &fixture->schema, &writer, &error),
                  STATUS_OK);
    for (unsigned turn = 0;; turn = 1 - turn) {
        status_t status = sorter_next (sorter, &got[turn], &error);
        for (size_t i = 0; i < before; i++)
            cr_assert_eq (rows_compare (&got[1 - turn], i, sorted, rows - before + i), 0);
        if (status == STATUS_END)
            break;
        cr_assert_eq (status, STATUS_OK, "%s", error.text);
        before = got[turn].rows;
        rows += before;
        if (random_chance (&fixture->random, 0.3))
            cr_assert_eq (sorter_spill (sorter, &error), STATUS_OK, "%s", error.text);
        cr_assert_eq (run_writer_add (writer, &got[turn], 0, before, &error), STATUS_OK);
    }
    cr_assert_eq (run_writer_finish (writer, NULL, &error), STATUS_OK);
    run_writer_destroy (&writer);
}

/* Rows that were all in memory, or not, when the first were given. */
Test (run_sort, rows_are_the_same_when_their_memory_is_asked_for_meanwhile, .timeout = 120)
{
    kept_t *kept = kept_new (4);
    for (uint64_t seed = 0; seed < 24; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        random_t *random = &fixture.random;
        size_t rows = random_below (random, 60000);
        spills_t spills = { fixture.fs, seed % 2 == 0 ? 0 : 0.5, rows / 3 + 1 };
        batch_t batch = random_batch (random, fixture.arena, fixture.types, fixture.columns, rows);
        set_keys (random, fixture.arena, &batch, (keys_t)random_below (random, KINDS_OF_KEYS));
        set_places (random, &batch);
        if (random_chance (random, 0.5))
            set_followers (random, fixture.arena, &batch);
        sorter_t *sorter = sorter_new (fixture.types, fixture.columns, kept);
        sorter_set_aside (sorter, fixture.fs, "aside", (size_t)1 << random_below (random, 26));
        add_rows (random, sorter, &batch, fixture.arena, &spills);
        batch_t sorted = sorted_of (&batch, fixture.arena);
        give_rows (&fixture, sorter, &sorted);
        sorter_destroy (&sorter);
        run_fixture_write (&fixture, "expected", &sorted);
        cr_assert (text_equal (file_of (&fixture, "got"), file_of (&fixture, "expected")));
        run_fixture_release (&fixture);
    }
    kept_unref (&kept);
}

/* Whatever is put on the disk, in how many steps, and whatever memory is left for giving. */
Test (run_sort, rows_that_were_on_the_disk_are_the_same_run, .timeout = 120)
{
    kept_t *kept = kept_new (4);
    for (uint64_t seed = 0; seed < 120; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        random_t *random = &fixture.random;
        sorter_t *sorter = sorter_new (fixture.types, fixture.columns, kept);
        sorter_set_aside (sorter, fixture.fs, "aside", (size_t)1 << random_below (random, 26));
        for (int round = 0; round < 2; round++) {
            size_t rows = random_below (random, seed % 12 == 0 ? 60000 : 700);
            spills_t spills = { fixture.fs, (double)(1 + random_below (random, 10)) / 10,
                                1 + random_below (random, rows / 4 + 1) };
            batch_t batch =
                random_batch (random, fixture.arena, fixture.types, fixture.columns, rows);
            for (size_t from = 0, to; from < rows; from = to) {
                to = from == 0 && rows > 8 ? rows * 5 / 8 : rows;
                set_keys_of (random, fixture.arena, &batch,
                             (keys_t)random_below (random, KINDS_OF_KEYS), from, to);
            }
            set_places (random, &batch);
            if (random_chance (random, 0.5))
                set_followers (random, fixture.arena, &batch);
            expect_same_run_of (&fixture, sorter, &batch, &spills);
            sorter_clear (sorter);
        }
        sorter_destroy (&sorter);
        run_fixture_release (&fixture);
    }
    kept_unref (&kept);
}

/* How a key that most rows have comes. */
typedef struct hot {
    size_t late;  /* rows by which one may be behind its time */
    double other; /* keys that begin as it does, of each row … */
    size_t from;  /* … from this one on */
    bool only;    /* … and none of its own any more */
    bool number;
    bool in_position;
    bool large; /* then its rows take more memory together than there is */
} hot_t;

static void set_hot (random_t *random, arena_t *arena, batch_t *batch, const hot_t *hot)
{
    text_t key = number_key (random, arena, 1000);
    char *longer = arena_alloc (arena, 11);
    memcpy (longer, key.data, key.size);
    longer[9] = longer[10] = 'x';
    for (size_t i = 0; i < batch->rows; i++) {
        batch->key[i] = random_chance (random, 0.9) ? key : number_key (random, arena, 1000);
        if (!hot->number)
            batch->key[i] = (text_t){ longer, batch->key[i].data == key.data ? 10 : 5 };
        if (!hot->number && i >= hot->from && (hot->only || random_chance (random, hot->other)))
            batch->key[i].size = 11;
        batch->event_time[i] = (int64_t)(i / 2 + hot->late - random_below (random, hot->late + 1));
        batch->offset[i] = hot->in_position ? i / 3 : random_below (random, 5);
        batch->row[i] = hot->in_position ? (uint32_t)(i % 3) : 0;
    }
}

/* When their memory is asked for. */
typedef struct asked {
    double adding; /* behind some that are added */
    double giving; /* behind each batch */
} asked_t;

static size_t writes;
static const fs_ops_t *uncounted;

static status_t count_write (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                             error_t *why)
{
    writes++;
    return uncounted->write (fs, file, at, data, size, why);
}

static void count_writes (fs_t *fs)
{
    static fs_ops_t counted;
    uncounted = fs->ops;
    counted = *fs->ops;
    counted.write = count_write;
    fs->ops = &counted;
}

static void add_hot (run_fixture_t *fixture, sorter_t *sorter, const batch_t *batch, double spills)
{
    enum { SOME = 10000 };
    for (size_t at = 0; at < batch->rows; at += SOME) {
        sorter_add (sorter, batch, at, at + SOME < batch->rows ? at + SOME : batch->rows);
        if (random_chance (&fixture->random, spills))
            cr_assert_eq (sorter_spill (sorter, &error), STATUS_OK, "%s", error.text);
    }
}

static void expect_sorted (run_fixture_t *fixture, sorter_t *sorter, const batch_t *sorted,
                           double spills)
{
    for (size_t rows = 0; rows < sorted->rows;) {
        batch_t got;
        cr_assert_eq (sorter_next (sorter, &got, &error), STATUS_OK, "%s", error.text);
        for (size_t i = 0; i < got.rows; i++) {
            cr_assert_eq (rows_compare (&got, i, sorted, rows + i), 0, "row %zu", rows + i);
            cr_assert_eq (got.column[0].i[i], sorted->column[0].i[rows + i]);
        }
        rows += got.rows;
        if (random_chance (&fixture->random, spills))
            cr_assert_eq (sorter_spill (sorter, &error), STATUS_OK, "%s", error.text);
    }
    cr_assert (sorter_is_done (sorter));
}

/* Its rows are sorted a step at a time where they come nearly in time, whatever else there is, and
 * wherever they are: then nothing is written any more once they are given. */
Test (run_sort, rows_of_a_hot_key_are_the_same_run_in_steps, .timeout = 120)
{
    enum { ROWS = 300000, MEMORY = 24 << 20 };
    static const type_t types[] = { TYPE_INT64, TYPE_FLOAT64 };
    static const asked_t asked[] = { { 0, 0 }, { 0, 0.1 }, { 0.2, 0 }, { 0.1, 0.1 }, { 1, 0 } };
    static const hot_t cases[] = {
        { .late = 0, .number = true, .in_position = true },
        { .late = 5000, .number = true, .in_position = true },
        { .late = 20000, .number = true },
        { .late = 300, .in_position = true },
        { .late = 50, .number = false },
        { .late = 10, .other = 0.001, .in_position = true, .large = true },
        { .late = 10, .other = 0.001, .from = ROWS * 3 / 4, .large = true },
        { .late = 10, .from = ROWS / 3, .only = true, .large = true },
        { .late = 10 * ROWS, .number = true, .large = true },
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        for (size_t a = 0; a < sizeof asked / sizeof asked[0]; a++) {
            run_fixture_t fixture;
            run_fixture_init (&fixture, c);
            batch_t batch = random_batch (&fixture.random, fixture.arena, types, 2, ROWS);
            set_hot (&fixture.random, fixture.arena, &batch, &cases[c]);
            batch_t sorted = sorted_of (&batch, fixture.arena);
            sorter_t *sorter = sorter_new (types, 2, NULL);
            count_writes (fixture.fs);
            sorter_set_aside (sorter, fixture.fs, "aside", MEMORY);
            add_hot (&fixture, sorter, &batch, asked[a].adding);
            if (asked[a].adding == 0)
                cr_expect_eq (sorter_has_large (sorter), cases[c].large, "case %zu", c);
            writes = 0;
            expect_sorted (&fixture, sorter, &sorted, asked[a].giving);
            if (asked[a].adding > 0 && asked[a].giving == 0)
                cr_expect_eq (writes > 0, cases[c].large, "case %zu", c);
            sorter_destroy (&sorter);
            run_fixture_release (&fixture);
        }
    }
}

/* A merge borrows the batch before the newest one. */
Test (run_sort, a_sorter_gives_batches_that_live_until_the_call_after_the_next_one)
{
    enum { ROWS = 3 * RUN_BLOCK_ROWS_MAX + 5 };
    run_fixture_t fixture;
    run_fixture_init (&fixture, 3);
    batch_t batch = run_fixture_sorted (&fixture, ROWS, false);
    sorter_t *sorter = sorter_new (fixture.types, fixture.columns, NULL);
    sorter_add (sorter, &batch, 0, ROWS);
    batch_t got[2];
    size_t rows = 0, before = 0;
    for (unsigned turn = 0;; turn = 1 - turn) {
        cr_assert_eq (sorter_is_done (sorter), rows == ROWS);
        status_t status = sorter_next (sorter, &got[turn], &error);
        for (size_t i = 0; i < before; i++)
            cr_assert_eq (rows_compare (&got[1 - turn], i, &batch, rows - before + i), 0);
        if (status == STATUS_END)
            break;
        cr_assert_eq (status, STATUS_OK);
        before = got[turn].rows;
        rows += before;
    }
    cr_assert_eq (rows, ROWS);
    sorter_destroy (&sorter);
    run_fixture_release (&fixture);
}

/* Blocks end by their strings' size as well. */
Test (run_sort, rows_of_long_strings_are_the_same_blocks)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 7);
    fixture.types[0] = TYPE_STRING;
    fixture.columns = 1;
    fixture.schema.columns = 1;
    enum { ROWS = 9000, LONGEST = 3000 };
    batch_t batch = random_batch (&fixture.random, fixture.arena, fixture.types, 1, ROWS);
    char *bytes = arena_alloc (fixture.arena, LONGEST);
    memset (bytes, 'x', LONGEST);
    for (size_t i = 0; i < ROWS; i++)
        if (batch.column[0].valid[i])
            batch.column[0].s[i] =
                (text_t){ bytes, (uint32_t)random_below (&fixture.random, LONGEST) };
    sorter_t *sorter = sorter_new (fixture.types, 1, NULL);
    add_rows (&fixture.random, sorter, &batch, fixture.arena, &IN_MEMORY);
    run_info_t info;
    cr_assert_eq (sorter_write (sorter, fixture.fs, "got", &fixture.schema, &info, &error),
                  STATUS_OK, "%s", error.text);
    cr_assert_gt (info.blocks, 2);
    cr_assert (text_equal (file_of (&fixture, "got"), plain_run (&fixture, "expected", &batch)));
    sorter_destroy (&sorter);
    run_fixture_release (&fixture);
}

/* A sorter that is full for its user has to be within what the user counts with. */
Test (run_sort, a_sorter_counts_what_its_rows_take)
{
    run_fixture_t fixture;
    run_fixture_init (&fixture, 11);
    enum { ROWS = 1000 };
    batch_t batch =
        random_batch (&fixture.random, fixture.arena, fixture.types, fixture.columns, ROWS);
    size_t least = 0;
    for (size_t i = 0; i < ROWS; i++) {
        least += 2 * sizeof (sort_item_t) + 8 + 8 + 8 + 4 + batch.key[i].size;
        for (size_t c = 0; c < fixture.columns; c++)
            least += batch.column[c].type == TYPE_STRING ? batch.column[c].s[i].size
                                                         : type_size (batch.column[c].type);
    }
    sorter_t *sorter = sorter_new (fixture.types, fixture.columns, NULL);
    sorter_add (sorter, &batch, 0, ROWS);
    cr_assert_geq (sorter_bytes (sorter), least);
    cr_assert_leq (sorter_bytes (sorter), least + ROWS * (size_t)(30 + 5 * fixture.columns));
    sorter_destroy (&sorter);
    run_fixture_release (&fixture);
}
