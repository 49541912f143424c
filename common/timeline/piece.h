/* piece.h - a key and all its rows in one piece of memory, while they are few.
 *
 * Rows stand in time order without gaps. A piece that is full is left for a larger one; a key with
 * more than PIECE_ROWS rows, or with rows too large for a piece, has a tree (series.h), whose root
 * stands in the rows' place and never moves. */
#ifndef WEIR_TIMELINE_PIECE_H
#define WEIR_TIMELINE_PIECE_H

#include "timeline/series.h"

enum {
    PIECE_ROWS = 128,
    PIECE_TREE = 0, /* a capacity that says so */
};

typedef struct piece {
    uint16_t key_size;
    uint8_t rows;
    uint8_t capacity; /* rows there is room for, or PIECE_TREE */
    uint8_t bytes[];  /* the key, then rows, or aligned to 8 a series_t */
} piece_t;

/* A piece of that key with no row yet. */
piece_t *piece_new (series_store_t *store, text_t key);

/* A larger one, or one with a tree, in the place of one that is full. */
piece_t *piece_grow (piece_t *self, series_store_t *store);

/* The same piece elsewhere; it has no tree. */
piece_t *piece_move (piece_t *self, series_store_t *store);

/* What it was taken from the slab with, a row having so many bytes. */
size_t piece_size (const piece_t *self, size_t row_size);

static inline bool piece_is_full (const piece_t *self)
{
    return self->rows == self->capacity && self->capacity != PIECE_TREE;
}

static inline text_t piece_key (const piece_t *self)
{
    return (text_t){ (const char *)self->bytes, self->key_size };
}

static inline uint8_t *piece_rows (const piece_t *self)
{
    return (uint8_t *)(uintptr_t)self->bytes + self->key_size;
}

/* NULL: it has none. */
static inline series_t *piece_tree (const piece_t *self)
{
    uintptr_t at = ((uintptr_t)self->bytes + self->key_size + 7) & ~(uintptr_t)7;
    return self->capacity == PIECE_TREE ? (series_t *)at : NULL;
}

/* Room for a row of that time, which is then written there, in a piece that is not full: behind
 * others of its time. */
uint8_t *piece_insert (piece_t *self, const row_layout_t *layout, int64_t time);

/* Bytes of memory that a key takes that has so many rows, which came in order, with its tree if it
 * has one, but without strings. */
double piece_footprint (size_t row_size, size_t key_size, size_t rows);

/* Fetches what a row is added to, when the beginning of the piece is there. */
static inline void piece_prefetch_end (const piece_t *self, size_t row_size)
{
    const uint8_t *end = piece_rows (self) + self->rows * row_size;
    const uint8_t *at = piece_is_full (self) || self->rows == 0 ? self->bytes : end - row_size;
    for (; at < end + row_size; at += 64)
        __builtin_prefetch (at, 1);
}

/* Fetches all its rows, likewise. */
static inline void piece_prefetch (const piece_t *self, size_t row_size)
{
    const uint8_t *end = piece_rows (self) + self->rows * row_size;
    for (const uint8_t *at = self->bytes; at < end; at += 64)
        __builtin_prefetch (at);
}

#endif
