#include "storage/packed.h"

#include "base/check.h"
#include "base/mem.h"
#include "block/block.h"

enum {
    NULLS_IN_WORD = 16, /* columns whose nulls are in one word with the row and the key's size */
    TEXT_CELL = 4,      /* bytes: a string's size; its bytes stand behind the key */
};

void packed_init (packed_t *self, const type_t *types, size_t columns)
{
    CHECK (columns <= BLOCK_COLUMNS_MAX);
    *self = (packed_t){ .columns = columns, .fixed = PACKED_NULLS + (columns + 7) / 8 };
    self->types = mem_zero (columns, sizeof *self->types);
    self->cell = mem_zero (columns, sizeof *self->cell);
    self->has_nulls = mem_zero (columns, sizeof *self->has_nulls);
    self->strings = mem_zero (columns, sizeof *self->strings);
    for (size_t c = 0; c < columns; c++) {
        CHECK (type_is_field (types[c]));
        self->types[c] = types[c];
        self->cell[c] = self->fixed;
        if (types[c] == TYPE_STRING)
            self->strings[self->strings_count++] = self->fixed;
        self->fixed += types[c] == TYPE_STRING ? TEXT_CELL : type_size (types[c]);
    }
}

void packed_release (packed_t *self)
{
    mem_free (self->types);
    mem_free (self->cell);
    mem_free (self->has_nulls);
    mem_free (self->strings);
    *self = (packed_t){ .columns = 0 };
}

void packed_clear (packed_t *self)
{
    memset (self->has_nulls, 0, self->columns * sizeof *self->has_nulls);
}

batch_t packed_batch (const packed_t *self, arena_t *arena, size_t rows)
{
    batch_t batch = { .rows = rows, .columns = self->columns };
    batch.column = arena_zero (arena, self->columns, sizeof *batch.column);
    for (size_t c = 0; c < self->columns; c++) {
        column_t *column = &batch.column[c];
        column->type = self->types[c];
        column->data = arena_alloc (arena, rows * type_size (column->type));
        column->valid = arena_alloc (arena, rows);
        memset (column->valid, 1, rows);
    }
    batch.event_time = arena_alloc (arena, rows * sizeof *batch.event_time);
    batch.ingest_time = arena_alloc (arena, rows * sizeof *batch.ingest_time);
    batch.offset = arena_alloc (arena, rows * sizeof *batch.offset);
    batch.row = arena_alloc (arena, rows * sizeof *batch.row);
    batch.key = arena_alloc (arena, rows * sizeof *batch.key);
    batch.key_start = arena_alloc (arena, rows * sizeof *batch.key_start);
    return batch;
}

/* ---- putting ---- */

static inline bool is_valid (const column_t *column, size_t row)
{
    return column->valid == NULL || column->valid[row] != 0;
}

void packed_measure (const packed_t *self, packed_tile_t *tile)
{
    const batch_t *batch = tile->batch;
    for (size_t i = 0; i < tile->count; i++)
        tile->size[i] = self->fixed + batch->key[tile->row[i]].size;
    for (size_t c = 0; c < self->columns; c++) {
        const column_t *column = &batch->column[c];
        if (column->type != TYPE_STRING)
            continue;
        for (size_t i = 0; i < tile->count; i++)
            if (is_valid (column, tile->row[i]))
                tile->size[i] += column->s[tile->row[i]].size;
    }
    for (size_t i = 0; i < tile->count; i++)
        tile->size[i] =
            (tile->size[i] + PACKED_ALIGNMENT - 1) / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
}

static void put_heads (const packed_t *self, packed_tile_t *tile)
{
    const batch_t *batch = tile->batch;
    for (size_t i = 0; i < tile->count; i++) {
        size_t row = tile->row[i];
        uint8_t *to = tile->to[i];
        /* what the row has behind its end is nothing: it may be put aside */
        memset (to + tile->size[i] - PACKED_ALIGNMENT, 0, PACKED_ALIGNMENT);
        /* the row, the key's size, and the first columns' nulls, which are not set yet; what the
         * word has of cells is written after it */
        uint64_t word = batch->row[row] | (uint64_t)batch->key[row].size << 32;
        memcpy (to + PACKED_INGEST_TIME, &batch->ingest_time[row], sizeof (int64_t));
        memcpy (to + PACKED_EVENT_TIME, &batch->event_time[row], sizeof (int64_t));
        memcpy (to + PACKED_OFFSET, &batch->offset[row], sizeof (uint64_t));
        memcpy (to + PACKED_ROW, &word, sizeof word);
        if (self->columns > NULLS_IN_WORD)
            memset (to + PACKED_NULLS, 0, (self->columns + 7) / 8);
        text_copy (to + self->fixed, batch->key[row]);
        tile->text[i] = to + self->fixed + batch->key[row].size;
    }
}

static void put_nulls (packed_t *self, packed_tile_t *tile, size_t c)
{
    const uint8_t *valid = tile->batch->column[c].valid;
    for (size_t i = 0; valid != NULL && i < tile->count; i++) {
        if (valid[tile->row[i]] != 0)
            continue;
        uint8_t *byte = tile->to[i] + PACKED_NULLS + c / 8;
        *byte = (uint8_t)(*byte | 1 << c % 8);
        self->has_nulls[c] = true;
    }
}

static void put_texts (const column_t *column, packed_tile_t *tile, size_t cell)
{
    for (size_t i = 0; i < tile->count; i++) {
        text_t text = { NULL, 0 };
        if (is_valid (column, tile->row[i]))
            text = column->s[tile->row[i]];
        memcpy (tile->to[i] + cell, &text.size, TEXT_CELL);
        text_copy (tile->text[i], text);
        tile->text[i] += text.size;
    }
}

static void put_column (packed_t *self, packed_tile_t *tile, size_t c)
{
    const column_t *column = &tile->batch->column[c];
    size_t cell = self->cell[c];
    CHECK (column->type == self->types[c]);
    put_nulls (self, tile, c);
    if (column->type == TYPE_STRING) {
        put_texts (column, tile, cell);
    } else if (type_size (column->type) == sizeof (unscaled_t)) {
        for (size_t i = 0; i < tile->count; i++)
            memcpy (tile->to[i] + cell, &column->d[tile->row[i]], sizeof (unscaled_t));
    } else {
        for (size_t i = 0; i < tile->count; i++)
            memcpy (tile->to[i] + cell, &column->i[tile->row[i]], sizeof (int64_t));
    }
}

void packed_put (packed_t *self, packed_tile_t *tile)
{
    put_heads (self, tile);
    for (size_t c = 0; c < self->columns; c++)
        put_column (self, tile, c);
}

/* ---- comparing ---- */

int packed_compare (const uint8_t *a, const uint8_t *b)
{
    uint64_t offset[2];
    uint32_t row[2];
    memcpy (&offset[0], a + PACKED_OFFSET, sizeof offset[0]);
    memcpy (&offset[1], b + PACKED_OFFSET, sizeof offset[1]);
    memcpy (&row[0], a + PACKED_ROW, sizeof row[0]);
    memcpy (&row[1], b + PACKED_ROW, sizeof row[1]);
    if (offset[0] != offset[1])
        return offset[0] < offset[1] ? -1 : 1;
    return (row[0] > row[1]) - (row[0] < row[1]);
}

/* ---- picking ---- */

/* Rows of one key share its bytes, by which they are told as such quickly later. */
static void pick_heads (const packed_t *self, const uint8_t *const *rows, size_t count,
                        batch_t *batch, size_t at, const char **text)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *row = rows[i];
        memcpy (&batch->ingest_time[at + i], row + PACKED_INGEST_TIME, sizeof (int64_t));
        memcpy (&batch->event_time[at + i], row + PACKED_EVENT_TIME, sizeof (int64_t));
        memcpy (&batch->offset[at + i], row + PACKED_OFFSET, sizeof (uint64_t));
        memcpy (&batch->row[at + i], row + PACKED_ROW, sizeof (uint32_t));
        text_t key = packed_key (self, row);
        text[i] = key.data + key.size;
        if (at + i > 0 && text_equal (key, batch->key[at + i - 1]))
            key = batch->key[at + i - 1];
        else
            batch->key_start[batch->keys++] = (uint32_t)(at + i);
        batch->key[at + i] = key;
    }
}

static void pick_column (const packed_t *self, const uint8_t *const *rows, size_t count,
                         column_t *column, size_t c, size_t at, const char **text)
{
    size_t cell = self->cell[c];
    for (size_t i = 0; self->has_nulls[c] && i < count; i++)
        column->valid[at + i] = (rows[i][PACKED_NULLS + c / 8] >> c % 8 & 1) == 0;
    if (column->type == TYPE_STRING) {
        for (size_t i = 0; i < count; i++) {
            text_t *to = &column->s[at + i];
            memcpy (&to->size, rows[i] + cell, TEXT_CELL);
            to->data = text[i];
            text[i] += to->size;
        }
    } else if (type_size (column->type) == sizeof (unscaled_t)) {
        for (size_t i = 0; i < count; i++)
            memcpy (&column->d[at + i], rows[i] + cell, sizeof (unscaled_t));
    } else {
        for (size_t i = 0; i < count; i++)
            memcpy (&column->i[at + i], rows[i] + cell, sizeof (int64_t));
    }
}

void packed_pick (const packed_t *self, const uint8_t *const *rows, size_t count, batch_t *batch,
                  size_t at)
{
    const char *text[PACKED_TILE]; /* the row's next string */
    CHECK (count <= PACKED_TILE);
    pick_heads (self, rows, count, batch, at, text);
    for (size_t c = 0; c < self->columns; c++)
        pick_column (self, rows, count, &batch->column[c], c, at, text);
}
