/* Gathered rows coded in tiles, and back: the same rows, and few bytes where they are alike. */
#include "storage/coded.h"
#include "base/mem.h"
#include "tests/unit/block/random_batch.h"

#include <criterion/criterion.h>
#include <math.h>

enum { COLUMNS = 40 };

static random_t random_state;

/* Rows that follow from something else, as those of a log, or not. */
static void make_followers (batch_t *batch, arena_t *arena, double chance)
{
    bool places = random_chance (&random_state, chance);
    bool key = false;
    for (size_t i = 0; places && i < batch->rows; i++) {
        batch->offset[i] = 1000 + i;
        batch->row[i] = 0;
    }
    for (size_t c = 0; c < batch->columns; c++) {
        column_t *column = &batch->column[c];
        if (column->type == TYPE_TIMESTAMP && random_chance (&random_state, chance))
            memcpy (column->i, batch->event_time, batch->rows * sizeof *column->i);
        else if (column->type == TYPE_INT64 && !key && random_chance (&random_state, chance))
            for (size_t i = 0; i < batch->rows; i++) {
                uint8_t *bytes = arena_alloc (arena, KEY_NUMBER_SIZE);
                key_put_number (bytes, column->type, column->i[i]);
                batch->key[i] = (text_t){ (const char *)bytes, KEY_NUMBER_SIZE };
                key = true;
            }
        if (random_chance (&random_state, 0.5))
            memset (column->valid, 1, batch->rows);
    }
}

static void expect_cell (const column_t *a, const column_t *b, size_t row)
{
    bool valid = a->valid == NULL || a->valid[row];
    cr_assert_eq (valid, b->valid == NULL || b->valid[row]);
    if (!valid)
        return;
    if (a->type == TYPE_STRING)
        cr_assert (text_equal (a->s[row], b->s[row]));
    else if (type_is_decimal (a->type))
        cr_assert_eq (memcmp (&a->d[row], &b->d[row], sizeof a->d[row]), 0);
    else
        cr_assert_eq (a->i[row], b->i[row]);
}

/* All rows of `got` beside rows which[0..) of the batch. */
static void expect_rows (const gathered_t *got, const batch_t *batch, const uint32_t *which,
                         arena_t *arena)
{
    arena_t *texts = arena_new (1 << 12);
    batch_t picked = gathered_batch (got, arena, got->rows + 1);
    uint32_t *all = arena_alloc (arena, got->rows * sizeof *all);
    for (size_t i = 0; i < got->rows; i++)
        all[i] = (uint32_t)i;
    gathered_pick (got, all, got->rows, &picked, 0, texts);
    for (size_t i = 0; i < got->rows; i++) {
        size_t row = which[i];
        cr_assert (text_equal (picked.key[i], batch->key[row]), "row %zu", i);
        cr_assert_eq (picked.event_time[i], batch->event_time[row]);
        cr_assert_eq (picked.ingest_time[i], batch->ingest_time[row]);
        cr_assert_eq (picked.offset[i], batch->offset[row]);
        cr_assert_eq (picked.row[i], batch->row[row]);
        for (size_t c = 0; c < batch->columns; c++) {
            column_t from = batch->column[c];
            column_t to = picked.column[c];
            from.data = (char *)from.data + row * type_size (from.type);
            from.valid = from.valid != NULL ? from.valid + row : NULL;
            to.data = (char *)to.data + i * type_size (to.type);
            to.valid += i;
            expect_cell (&from, &to, 0);
        }
    }
    arena_destroy (&texts);
}

/* Codes rows which[0..count) in tiles of `most`, and takes them back behind `got`. */
static size_t there_and_back (const gathered_t *rows, const uint32_t *which, size_t count,
                              size_t most, gathered_t *got)
{
    coded_t coded;
    size_t total = 0;
    coded_init (&coded, rows);
    for (size_t at = 0, tile; at < count; at += tile) {
        tile = count - at < most ? count - at : most;
        size_t room = coded_room (rows, which + at, tile);
        uint8_t *bytes = mem_alloc (room);
        size_t size = coded_put (rows, which + at, tile, bytes);
        cr_assert_leq (size + CODED_MORE, room);
        cr_assert_eq (coded_take (&coded, bytes, size, got), size);
        mem_free (bytes);
        total += size;
    }
    coded_release (&coded);
    return total;
}

static uint32_t *random_rows (arena_t *arena, size_t rows, size_t count)
{
    uint32_t *which = arena_alloc (arena, count * sizeof *which);
    for (size_t i = 0; i < count; i++)
        which[i] = (uint32_t)random_below (&random_state, rows);
    return which;
}

/* Also of several that come one after the other, in which other things follow from one another. */
Test (coded, tiles_give_back_any_rows)
{
    random_seed (&random_state, 1);
    for (int round = 0; round < 300; round++) {
        arena_t *arena = arena_new (1 << 16);
        type_t types[COLUMNS];
        size_t columns = random_types (&random_state, types, round % 4 == 0 ? COLUMNS : 4);
        gathered_t rows, got;
        gathered_init (&rows, types, columns);
        gathered_init (&got, types, columns);
        for (int more = 0; more < 3; more++) {
            size_t count = 1 + random_below (&random_state, 700);
            batch_t batch = random_batch (&random_state, arena, types, columns, count);
            uint32_t *all = arena_alloc (arena, count * sizeof *all);
            make_followers (&batch, arena, 0.8);
            for (size_t i = 0; i < count; i++)
                all[i] = (uint32_t)i;
            gathered_add (&rows, &batch, all, count);
            size_t some = 1 + random_below (&random_state, 1000);
            uint32_t *which = random_rows (arena, count, some);
            size_t before = got.rows;
            there_and_back (&rows, which, some, 1 + random_below (&random_state, CODED_ROWS), &got);
            cr_assert_eq (got.rows, before + some);
            if (before == 0)
                expect_rows (&got, &batch, which, arena);
            if (random_chance (&random_state, 0.5))
                gathered_next (&got);
            gathered_next (&rows);
        }
        gathered_release (&rows);
        gathered_release (&got);
        arena_destroy (&arena);
    }
}

/* Keys that are numbers of a column, and then others, are whole keys together. */
Test (coded, tiles_of_other_keys_go_behind_one_another)
{
    static const type_t types[] = { TYPE_INT64, TYPE_INT64 };
    enum { ROWS = 100 };
    random_seed (&random_state, 2);
    arena_t *arena = arena_new (1 << 16);
    gathered_t rows, got;
    gathered_init (&rows, types, 2);
    gathered_init (&got, types, 2);
    batch_t batch = random_batch (&random_state, arena, types, 2, 3 * ROWS);
    uint32_t which[3 * ROWS];
    for (size_t i = 0; i < 3 * ROWS; i++)
        which[i] = (uint32_t)i;
    for (size_t part = 0; part < 3; part++) {
        for (size_t i = part * ROWS; part > 0 && i < (part + 1) * ROWS; i++) {
            uint8_t *bytes = arena_alloc (arena, KEY_NUMBER_SIZE);
            key_put_number (bytes, TYPE_INT64, batch.column[part - 1].i[i]);
            batch.key[i] = (text_t){ (const char *)bytes, KEY_NUMBER_SIZE };
        }
        gathered_next (&rows);
        gathered_add (&rows, &batch, which + part * ROWS, ROWS);
        there_and_back (&rows, which, ROWS, ROWS, &got);
    }
    expect_rows (&got, &batch, which, arena);
    gathered_release (&rows);
    gathered_release (&got);
    arena_destroy (&arena);
}

/* As a range of keys comes from the log: a key that stands twice, a time that stands three times.
 */
Test (coded, tiles_of_a_range_of_keys_are_small)
{
    static const type_t types[] = { TYPE_INT64, TYPE_FLOAT64, TYPE_TIMESTAMP };
    enum { ROWS = CODED_ROWS };
    random_seed (&random_state, 3);
    arena_t *arena = arena_new (1 << 16);
    gathered_t rows, got;
    batch_t batch = random_batch (&random_state, arena, types, 3, ROWS);
    int64_t time = 1700000000000000;
    uint32_t which[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t *bytes = arena_alloc (arena, KEY_NUMBER_SIZE);
        time += (int64_t)random_below (&random_state, 100000);
        which[i] = (uint32_t)i;
        batch.event_time[i] = batch.ingest_time[i] = batch.column[2].i[i] = time;
        batch.offset[i] = 1000000 + 256 * i;
        batch.row[i] = 0;
        batch.column[1].f[i] = (double)random_below (&random_state, 60000) / 100;
        batch.column[0].i[i] = (int64_t)(5000000 + random_below (&random_state, 20000));
        key_put_number (bytes, TYPE_INT64, batch.column[0].i[i]);
        batch.key[i] = (text_t){ (const char *)bytes, KEY_NUMBER_SIZE };
        for (size_t c = 0; c < 3; c++)
            batch.column[c].valid = NULL;
    }
    gathered_init (&rows, types, 3);
    gathered_init (&got, types, 3);
    gathered_add (&rows, &batch, which, ROWS);
    size_t size = there_and_back (&rows, which, ROWS, ROWS, &got);
    cr_assert_lt (size, ROWS * 13, "%zu bytes a row", size / ROWS);
    expect_rows (&got, &batch, which, arena);
    gathered_release (&rows);
    gathered_release (&got);
    arena_destroy (&arena);
}

/* Those that a whole number and a scale tell, and those that these would tell wrongly. */
Test (coded, floats_give_back_all_bits)
{
    static const type_t types[] = { TYPE_FLOAT64 };
    static const double wrong[] = { -0.0,    0.1 + 0.2, 1e300,  -1e-300,
                                    1.0 / 3, 1e9,       5e-324, 1073741823.99 };
    enum { ROWS = 100 };
    random_seed (&random_state, 4);
    for (size_t round = 0; round < 200; round++) {
        arena_t *arena = arena_new (1 << 16);
        double scale = (double[]){ 1, 10, 100, 1000, 10000, 3 }[round % 6];
        gathered_t rows, got;
        batch_t batch = random_batch (&random_state, arena, types, 1, ROWS);
        uint32_t which[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            which[i] = (uint32_t)i;
            batch.column[0].f[i] = ((double)random_below (&random_state, 200000) - 1e5) / scale;
        }
        if (round % 3 == 2)
            batch.column[0].f[random_below (&random_state, ROWS)] =
                round % 2 == 0 ? wrong[round / 6 % 8] : (double)NAN;
        gathered_init (&rows, types, 1);
        gathered_init (&got, types, 1);
        gathered_add (&rows, &batch, which, ROWS);
        there_and_back (&rows, which, ROWS, ROWS, &got);
        expect_rows (&got, &batch, which, arena);
        gathered_release (&rows);
        gathered_release (&got);
        arena_destroy (&arena);
    }
}
