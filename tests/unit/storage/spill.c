/* Rows put aside on a disk that fails, or gives other bytes than were written. */
#include "storage/spill.h"
#include "storage/sorter.h"
#include "tests/unit/storage/run_fixture.h"

#include <criterion/criterion.h>

static error_t error;

/* The fixture's filesystem with faults. */
typedef struct faulty {
    fs_ops_t ops;
    const fs_ops_t *real;
    size_t writes_left; /* then there is no room */
    size_t reads_left;  /* then a bit is another one */
    bool keeps_names;   /* removing fails */
} faulty_t;

static faulty_t faulty;

static status_t faulty_write (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                              error_t *why)
{
    if (faulty.writes_left == 0)
        return error_set (why, STATUS_NO_SPACE, "no room");
    faulty.writes_left--;
    return faulty.real->write (fs, file, at, data, size, why);
}

static status_t faulty_read (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size,
                             size_t *got, error_t *why)
{
    status_t status = faulty.real->read (fs, file, at, data, size, got, why);
    if (faulty.reads_left == 0 && *got > 0)
        ((uint8_t *)data)[*got / 2] ^= 4;
    else
        faulty.reads_left--;
    return status;
}

static status_t faulty_remove (fs_t *fs, const char *path, error_t *why)
{
    if (faulty.keeps_names)
        return error_set (why, STATUS_IO, "the name stays");
    return faulty.real->remove (fs, path, why);
}

static void make_faulty (run_fixture_t *fixture)
{
    faulty = (faulty_t){ .ops = *fixture->fs->ops,
                         .real = fixture->fs->ops,
                         .writes_left = SIZE_MAX,
                         .reads_left = SIZE_MAX };
    faulty.ops.write = faulty_write;
    faulty.ops.read = faulty_read;
    faulty.ops.remove = faulty_remove;
    fixture->fs->ops = &faulty.ops;
}

static void be_well (run_fixture_t *fixture)
{
    fixture->fs->ops = faulty.real;
}

static void count_name (void *arg, const char *name)
{
    *(size_t *)arg += strcmp (name, "aside") == 0;
}

static size_t count_names (run_fixture_t *fixture)
{
    size_t count = 0;
    cr_assert_eq (fs_list (fixture->fs, ".", count_name, &count, &error), STATUS_OK);
    return count;
}

enum { ROWS = 3000, TIMES = 5 };

/* Rows of one key, in order of their times from `from` on. */
static batch_t rows_of_one_key (run_fixture_t *fixture, size_t from)
{
    batch_t batch = run_fixture_sorted (fixture, ROWS, false);
    for (size_t i = 0; i < ROWS; i++) {
        batch.key[i] = (text_t){ "one", 3 };
        batch.event_time[i] = (int64_t)(from + i);
    }
    return batch;
}

/* Some rows are put aside, others not; then all are given. */
static status_t spill_and_give (run_fixture_t *fixture, bool one_key, size_t memory, size_t *given)
{
    sorter_t *sorter = sorter_new (fixture->types, fixture->columns, NULL);
    sorter_set_aside (sorter, fixture->fs, "aside", memory);
    status_t status = STATUS_OK;
    *given = 0;
    for (size_t i = 0; status == STATUS_OK && i < TIMES; i++) {
        batch_t batch = one_key ? rows_of_one_key (fixture, i * ROWS)
                                : run_fixture_sorted (fixture, ROWS, false);
        sorter_add (sorter, &batch, 0, ROWS);
        if (i < TIMES - 1)
            status = sorter_spill (sorter, &error);
    }
    while (status == STATUS_OK) {
        batch_t batch;
        status = sorter_next (sorter, &batch, &error);
        *given += status == STATUS_OK ? batch.rows : 0;
    }
    sorter_destroy (&sorter);
    return status;
}

Test (spill, has_no_name)
{
    run_fixture_t fixture;
    size_t given;
    run_fixture_init (&fixture, 1);
    for (size_t memory = 1; memory < 1 << 24; memory *= 32) {
        bool one_key = memory % 64 == 0;
        cr_expect_eq (spill_and_give (&fixture, one_key, memory, &given), STATUS_END, "%s",
                      error.text);
        cr_expect_eq (given, TIMES * ROWS);
        cr_expect_eq (count_names (&fixture), 0);
    }
    run_fixture_release (&fixture);
}

/* Wherever the disk fails: the error is told, and nothing stays. */
Test (spill, without_room_is_an_error)
{
    for (size_t memory = 1; memory < 1 << 24; memory *= 256)
        for (size_t writes = 0;; writes++) {
            run_fixture_t fixture;
            size_t given;
            run_fixture_init (&fixture, 2);
            make_faulty (&fixture);
            faulty.writes_left = writes;
            status_t status = spill_and_give (&fixture, memory > 1, memory, &given);
            be_well (&fixture);
            cr_expect_eq (count_names (&fixture), 0);
            run_fixture_release (&fixture);
            if (status == STATUS_END)
                break;
            cr_assert_eq (status, STATUS_NO_SPACE, "%s", error.text);
            cr_expect_not_null (strstr (error.text, "aside"), "%s", error.text);
            writes += writes / 8;
        }
}

Test (spill, of_other_bytes_is_corrupt)
{
    for (size_t memory = 1; memory < 1 << 24; memory *= 256)
        for (size_t reads = 0;; reads++) {
            run_fixture_t fixture;
            size_t given;
            run_fixture_init (&fixture, 3);
            make_faulty (&fixture);
            faulty.reads_left = reads;
            status_t status = spill_and_give (&fixture, memory > 1, memory, &given);
            be_well (&fixture);
            run_fixture_release (&fixture);
            if (status == STATUS_END) {
                cr_assert_gt (reads, 0);
                break;
            }
            cr_assert_eq (status, STATUS_CORRUPT, "%s", error.text);
            cr_assert_lt (given, TIMES * ROWS);
            reads += reads / 8;
        }
}

Test (spill, whose_name_stays_is_an_error)
{
    run_fixture_t fixture;
    size_t given;
    run_fixture_init (&fixture, 4);
    make_faulty (&fixture);
    faulty.keeps_names = true;
    cr_expect_eq (spill_and_give (&fixture, false, 1 << 20, &given), STATUS_IO);
    be_well (&fixture);
    run_fixture_release (&fixture);
}

Test (spill, never_takes_a_file_that_is_there)
{
    run_fixture_t fixture;
    size_t given;
    run_fixture_init (&fixture, 5);
    batch_t batch = run_fixture_sorted (&fixture, 10, false);
    run_fixture_write (&fixture, "aside", &batch);
    cr_expect_eq (spill_and_give (&fixture, false, 1 << 20, &given), STATUS_EXISTS);
    cr_expect_eq (count_names (&fixture), 1);
    run_fixture_release (&fixture);
}

/* Of a list, and then of another one. */
Test (spill, blocks_have_the_times_of_all_that_is_in_them)
{
    enum { TILE = SPILL_BLOCK / 3 };
    static const coded_times_t times[] = { { 5, 9 }, { 3, 7 }, { 4, 8 }, { 20, 30 }, { 25, 26 } };
    static uint8_t tile[SPILL_BLOCK + 1];
    run_fixture_t fixture;
    spill_t *spill;
    spill_list_t list[2] = { { .count = 0 }, { .count = 0 } };
    run_fixture_init (&fixture, 7);
    cr_assert_eq (spill_new (fixture.fs, "aside", &spill, &error), STATUS_OK);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        cr_assert_eq (spill_put (spill, &list[0], tile, TILE, 1, times[i], &error), STATUS_OK);
    cr_assert_eq (spill_end (spill, &list[0], &error), STATUS_OK);
    coded_times_t large = { 1, 2 };
    cr_assert_eq (spill_put (spill, &list[1], tile, sizeof tile, 1, large, &error), STATUS_OK);
    cr_assert_eq (list[0].count, 2);
    cr_assert_eq (list[1].count, 1);
    cr_expect_eq (list[0].blocks[0].times.least, 3);
    cr_expect_eq (list[0].blocks[0].times.most, 9);
    cr_expect_eq (list[0].blocks[1].times.least, 20);
    cr_expect_eq (list[0].blocks[1].times.most, 30);
    cr_expect_eq (list[1].blocks[0].times.least, 1);
    cr_expect_eq (list[1].blocks[0].times.most, 2);
    spill_list_release (&list[0]);
    spill_list_release (&list[1]);
    spill_destroy (&spill);
    run_fixture_release (&fixture);
}

/* A row that is larger than a block is one by itself; others go on before and behind it. */
Test (spill, takes_rows_larger_than_a_block)
{
    enum { LARGE = SPILL_BLOCK + 1000, EVERY = 100 };
    static const type_t types[] = { TYPE_STRING };
    run_fixture_t fixture;
    run_fixture_init (&fixture, 6);
    for (size_t memory = 1; memory < 1 << 24; memory *= 256) {
        sorter_t *sorter = sorter_new (types, 1, NULL);
        sorter_set_aside (sorter, fixture.fs, "aside", memory);
        char *text = arena_alloc (fixture.arena, LARGE);
        memset (text, 'x', LARGE);
        batch_t batch = random_batch (&fixture.random, fixture.arena, types, 1, ROWS);
        for (size_t i = 0; i < ROWS; i++) {
            batch.column[0].valid[i] = 1;
            batch.column[0].s[i] = (text_t){ text, i % EVERY == 0 ? LARGE : (uint32_t)(i % 50) };
        }
        sorter_add (sorter, &batch, 0, ROWS);
        cr_assert_eq (sorter_spill (sorter, &error), STATUS_OK, "%s", error.text);
        size_t large = 0;
        size_t given = 0;
        batch_t some;
        status_t status;
        while ((status = sorter_next (sorter, &some, &error)) == STATUS_OK)
            for (size_t i = 0; i < some.rows; i++, given++) {
                text_t cell = some.column[0].s[i];
                large += cell.size == LARGE;
                cr_assert (cell.size == 0 || memcmp (cell.data, text, cell.size) == 0);
            }
        cr_assert_eq (status, STATUS_END, "%s", error.text);
        cr_expect_eq (given, ROWS);
        cr_expect_eq (large, ROWS / EVERY);
        sorter_destroy (&sorter);
    }
    run_fixture_release (&fixture);
}
