/* packed.h - rows as one piece of memory each, with key and strings behind the cells.
 *
 * What a batch has in an array for every column would be fetched from as many places when rows are
 * picked in another order. */
#ifndef WEIR_STORAGE_PACKED_H
#define WEIR_STORAGE_PACKED_H

#include "base/value.h"

enum {
    PACKED_ALIGNMENT = 8, /* of a row, and of its size */
    PACKED_TILE = 256,    /* rows that are copied a column at a time, which fit the nearest cache */

    /* what a row begins with, before its cells */
    PACKED_INGEST_TIME = 0,
    PACKED_EVENT_TIME = 8,
    PACKED_OFFSET = 16,
    PACKED_ROW = 24,
    PACKED_KEY_SIZE = 28, /* two bytes */
    PACKED_NULLS = 30,    /* a bit for each column */
};

/* Where things are in rows of some columns. */
typedef struct packed {
    size_t columns;
    type_t *types;
    size_t *cell;    /* where a column's cell is in a row */
    bool *has_nulls; /* a column, in any row since packed_clear */
    size_t *strings; /* cells of strings: their sizes, four bytes */
    size_t strings_count;
    size_t fixed; /* bytes of a row before its key */
} packed_t;

/* Rows that are packed together, of one batch. */
typedef struct packed_tile {
    const batch_t *batch;
    size_t count;
    uint32_t row[PACKED_TILE];  /* of the batch */
    size_t size[PACKED_TILE];   /* bytes: packed_measure */
    uint8_t *to[PACKED_TILE];   /* where the row goes */
    uint8_t *text[PACKED_TILE]; /* where its next string goes */
} packed_tile_t;

/* For these columns (0 to BLOCK_COLUMNS_MAX; copied). */
void packed_init (packed_t *self, const type_t *types, size_t columns);
void packed_release (packed_t *self);
void packed_clear (packed_t *self);

/* A batch of these columns with room for rows, all in the arena. Nothing of it is set but that rows
 * are valid, which stays so of columns that have no nulls. */
batch_t packed_batch (const packed_t *self, arena_t *arena, size_t rows);

/* Fills in what the tile's rows take. */
void packed_measure (const packed_t *self, packed_tile_t *tile);
/* Copies the rows to where they go, with all that belongs to them. */
void packed_put (packed_t *self, packed_tile_t *tile);

static inline text_t packed_key (const packed_t *self, const uint8_t *row)
{
    uint16_t size;
    memcpy (&size, row + PACKED_KEY_SIZE, sizeof size);
    return (text_t){ (const char *)row + self->fixed, size };
}

static inline int64_t packed_time (const uint8_t *row)
{
    int64_t time;
    memcpy (&time, row + PACKED_EVENT_TIME, sizeof time);
    return time;
}

/* Bytes that the row takes. */
static inline size_t packed_size (const packed_t *self, const uint8_t *row)
{
    size_t size = self->fixed + packed_key (self, row).size;
    for (size_t i = 0; i < self->strings_count; i++) {
        uint32_t text;
        memcpy (&text, row + self->strings[i], sizeof text);
        size += text;
    }
    return (size + PACKED_ALIGNMENT - 1) / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
}

/* The order of two rows by offset, then row: negative, 0 or positive. */
int packed_compare (const uint8_t *a, const uint8_t *b);

/* Puts `count` rows (at most PACKED_TILE) into the batch from row `at` on; strings and keys stay
 * where they are, those of neighbours with equal keys in one place. Columns that have nulls get
 * their `valid`; that of others is left alone. */
void packed_pick (const packed_t *self, const uint8_t *const *rows, size_t count, batch_t *batch,
                  size_t at);

#endif
