/* Packed rows as differences, and back: the same bytes, and few where rows are alike. */
#include "storage/packed_deltas.h"
#include "base/mem.h"
#include "tests/unit/block/random_batch.h"

#include <criterion/criterion.h>

/* Rows that are packed, anywhere in memory. */
typedef struct rows {
    packed_t packed;
    packed_deltas_t deltas;
    arena_t *arena;
    const uint8_t **row;
    size_t *size;
    size_t count;
    size_t total;
} rows_t;

static rows_t pack (const type_t *types, size_t columns, const batch_t *batch)
{
    rows_t self = { .arena = arena_new (1 << 16), .count = batch->rows };
    packed_init (&self.packed, types, columns);
    packed_deltas_init (&self.deltas, &self.packed);
    self.row = arena_zero (self.arena, batch->rows, sizeof *self.row);
    self.size = arena_zero (self.arena, batch->rows, sizeof *self.size);
    packed_tile_t tile = { .batch = batch, .count = 1 };
    for (size_t i = 0; i < batch->rows; i++) {
        tile.row[0] = (uint32_t)i;
        packed_measure (&self.packed, &tile);
        tile.to[0] = arena_alloc (self.arena, tile.size[0]);
        memset (tile.to[0], 0xa5, tile.size[0]);
        packed_put (&self.packed, &tile);
        self.row[i] = tile.to[0];
        self.size[i] = tile.size[0];
        self.total += tile.size[0];
    }
    return self;
}

static void release (rows_t *self)
{
    packed_deltas_release (&self->deltas);
    packed_release (&self->packed);
    arena_destroy (&self->arena);
}

/* Encodes the rows in tiles of `most` at most, and back; returns the bytes that they took. */
static size_t there_and_back (const rows_t *self, size_t most)
{
    size_t room = packed_deltas_room (&self->deltas, self->total) * (self->count / most + 1);
    uint8_t *coded = mem_alloc (room);
    uint8_t *back = mem_alloc (self->total + 1);
    size_t filled = 0;
    for (size_t at = 0, count; at < self->count; at += count) {
        size_t total = 0;
        count = self->count - at < most ? self->count - at : most;
        for (size_t i = at; i < at + count; i++)
            total += self->size[i];
        size_t took = packed_deltas_encode (&self->deltas, self->row + at, self->size + at, count,
                                            coded + filled);
        cr_assert_leq (took, total + 5);
        filled += took;
    }
    memset (back, 0x5a, self->total + 1);
    packed_deltas_decode (&self->deltas, coded, filled, back, self->total);
    const uint8_t *row = back;
    for (size_t i = 0; i < self->count; i++) {
        cr_assert_arr_eq (row, self->row[i], self->size[i], "row %zu of %zu", i, self->count);
        row += self->size[i];
    }
    cr_assert_eq (*row, 0x5a);
    mem_free (back);
    mem_free (coded);
    return filled;
}

Test (packed_deltas, give_back_any_rows)
{
    enum { COLUMNS = 40 };
    random_t random;
    random_seed (&random, 1);
    for (int round = 0; round < 400; round++) {
        arena_t *arena = arena_new (1 << 16);
        type_t types[COLUMNS];
        size_t columns = random_types (&random, types, round % 4 == 0 ? COLUMNS : 4);
        size_t count = 1 + random_below (&random, 300);
        batch_t batch = random_batch (&random, arena, types, columns, count);
        rows_t rows = pack (types, columns, &batch);
        there_and_back (&rows, 1 + random_below (&random, PACKED_DELTAS_TILE));
        there_and_back (&rows, PACKED_DELTAS_TILE);
        release (&rows);
        arena_destroy (&arena);
    }
}

Test (packed_deltas, give_back_rows_of_no_columns)
{
    random_t random;
    random_seed (&random, 2);
    arena_t *arena = arena_new (1 << 16);
    batch_t batch = random_batch (&random, arena, NULL, 0, 200);
    rows_t rows = pack (NULL, 0, &batch);
    there_and_back (&rows, PACKED_DELTAS_TILE);
    release (&rows);
    arena_destroy (&arena);
}

/* Of one row in a few: what is behind the first words of a key is copied. */
Test (packed_deltas, give_back_long_strings)
{
    static const type_t types[] = { TYPE_STRING, TYPE_INT64, TYPE_STRING };
    random_t random;
    random_seed (&random, 3);
    arena_t *arena = arena_new (1 << 16);
    batch_t batch = random_batch (&random, arena, types, 3, 300);
    for (size_t i = 0; i < batch.rows; i++) {
        uint32_t size = (uint32_t)random_below (&random, i % 7 == 0 ? 5000 : 20);
        char *text = arena_alloc (arena, size + 1);
        for (uint32_t at = 0; at < size; at++)
            text[at] = (char)random_below (&random, 256);
        batch.column[2 * (i % 2)].s[i] = (text_t){ text, size };
    }
    rows_t rows = pack (types, 3, &batch);
    for (size_t most = 1; most <= PACKED_DELTAS_TILE; most *= 2)
        there_and_back (&rows, most);
    release (&rows);
    arena_destroy (&arena);
}

/* As a key's rows come from the log: a key that stands twice, a time that stands three times. */
Test (packed_deltas, take_little_of_a_key_in_order_of_time)
{
    static const type_t types[] = { TYPE_INT64, TYPE_FLOAT64, TYPE_TIMESTAMP };
    enum { ROWS = 4096 };
    random_t random;
    random_seed (&random, 4);
    arena_t *arena = arena_new (1 << 16);
    batch_t batch = random_batch (&random, arena, types, 3, ROWS);
    int64_t time = 1700000000000000;
    for (size_t i = 0; i < ROWS; i++) {
        time += (int64_t)random_below (&random, 100000);
        batch.key[i] = text_of ("123456789");
        batch.event_time[i] = batch.ingest_time[i] = time;
        batch.offset[i] = 1000000 + i;
        batch.row[i] = (uint32_t)i % 500;
        for (size_t c = 0; c < 3; c++)
            batch.column[c].valid = NULL;
        batch.column[0].i[i] = 123456789;
        batch.column[1].f[i] = (double)random_below (&random, 100000) / 100;
        batch.column[2].i[i] = time;
    }
    rows_t rows = pack (types, 3, &batch);
    cr_expect_eq (rows.total, (size_t)64 * ROWS);
    cr_expect_lt (there_and_back (&rows, PACKED_DELTAS_TILE), rows.total / 4);
    release (&rows);
    arena_destroy (&arena);
}
