#include "timeline/piece.h"

#include "base/check.h"
#include "base/key.h"

enum { HEAD = offsetof (piece_t, bytes), TREE_ROOM = sizeof (series_t) + 7 };

_Static_assert(HEAD + KEY_SIZE_MAX + TREE_ROOM <= SLAB_SIZE_MAX, "a key always has a piece");
_Static_assert(SLAB_UNIT % _Alignof(series_t) == 0, "as pieces are aligned");

/* Rows that pieces are made for: the steps are small, and seldom taken. */
static const uint8_t CAPACITY[] = { 1,  2,  3,  4,  6,  8,  10, 12,  16,        20,
                                    24, 32, 40, 48, 64, 80, 96, 112, PIECE_ROWS };

/* Room for rows in a piece that has as many at least, or PIECE_TREE: there can be none. */
static size_t capacity_for (size_t row_size, size_t key_size, size_t rows)
{
    size_t head = HEAD + key_size;
    size_t most = (SLAB_SIZE_MAX - head) / row_size;
    most = most < PIECE_ROWS ? most : PIECE_ROWS;
    if (rows > most)
        return PIECE_TREE;
    size_t step = 0;
    while (CAPACITY[step] < rows)
        step++;
    size_t capacity = CAPACITY[step] < most ? CAPACITY[step] : most;
    size_t room = (slab_size (head + capacity * row_size) - head) / row_size;
    return room < most ? room : most;
}

static size_t size_of (size_t row_size, size_t key_size, size_t capacity)
{
    return HEAD + key_size + (capacity == PIECE_TREE ? TREE_ROOM : capacity * row_size);
}

static piece_t *piece_with (series_store_t *store, text_t key, size_t rows)
{
    size_t row_size = store->layout.size;
    size_t capacity = capacity_for (row_size, key.size, rows);
    piece_t *self = slab_take (&store->slab, capacity == PIECE_TREE ? SLAB_FIXED : SLAB_MOVING,
                               size_of (row_size, key.size, capacity));
    self->key_size = (uint16_t)key.size;
    self->rows = 0;
    self->capacity = (uint8_t)capacity;
    if (key.size > 0)
        memcpy (self->bytes, key.data, key.size);
    if (capacity == PIECE_TREE)
        series_begin (store, piece_tree (self), rows);
    return self;
}

piece_t *piece_new (series_store_t *store, text_t key)
{
    CHECK (key.size <= KEY_SIZE_MAX);
    return piece_with (store, key, 1);
}

piece_t *piece_grow (piece_t *self, series_store_t *store)
{
    CHECK (piece_is_full (self));
    size_t row_size = store->layout.size;
    const uint8_t *rows = piece_rows (self);
    piece_t *grown = piece_with (store, piece_key (self), self->rows + 1u);
    series_t *tree = piece_tree (grown);
    if (tree == NULL) {
        memcpy (piece_rows (grown), rows, self->rows * row_size);
        grown->rows = self->rows;
    }
    for (size_t i = 0; tree != NULL && i < self->rows; i++, rows += row_size)
        memcpy (series_insert (store, tree, row_time (rows)), rows, row_size);
    slab_give (&store->slab, SLAB_MOVING, self, piece_size (self, row_size));
    return grown;
}

size_t piece_size (const piece_t *self, size_t row_size)
{
    return size_of (row_size, self->key_size, self->capacity);
}

piece_t *piece_move (piece_t *self, series_store_t *store)
{
    CHECK (self->capacity != PIECE_TREE);
    size_t size = piece_size (self, store->layout.size);
    piece_t *moved = slab_take (&store->slab, SLAB_MOVING, size);
    memcpy (moved, self, size);
    slab_give (&store->slab, SLAB_MOVING, self, size);
    return moved;
}

uint8_t *piece_insert (piece_t *self, const row_layout_t *layout, int64_t time)
{
    CHECK (self->rows < self->capacity);
    uint8_t *first = piece_rows (self);
    uint8_t *end = first + self->rows * layout->size;
    uint8_t *place = end;
    if (self->rows > 0 && row_time (end - layout->size) > time)
        place = first + row_count_to (layout, first, self->rows, time) * layout->size;
    if (place < end)
        memmove (place + layout->size, place, (size_t)(end - place));
    self->rows++;
    return place;
}

double piece_footprint (size_t row_size, size_t key_size, size_t rows)
{
    size_t capacity = capacity_for (row_size, key_size, rows);
    double bytes = slab_footprint (size_of (row_size, key_size, capacity));
    return capacity == PIECE_TREE ? bytes + series_footprint (row_size, rows) : bytes;
}
