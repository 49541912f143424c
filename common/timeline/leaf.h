/* leaf.h - rows in time order, one after the other in memory: as many as a piece of the slab holds,
 * but at least LEAF_ROWS_MIN and at most LEAF_ROWS_MAX.
 *
 * A leaf that grows is left for a larger one. Most events are the latest of their key: they go
 * behind the last row, without a search. */
#ifndef WEIR_TIMELINE_LEAF_H
#define WEIR_TIMELINE_LEAF_H

#include "timeline/row.h"
#include "timeline/slab.h"

enum {
    LEAF_ROWS_MIN = 8,
    LEAF_ROWS_MAX = 80,
    LEAF_CLASSES = 5, /* room for an eighth of the rows, a quarter, a half, three, and all */
};

typedef struct node node_t;
typedef struct inner inner_t;

/* What leaves and inner nodes of a series' tree have in common. */
struct node {
    inner_t *parent;
    uint8_t *cache; /* per slot: varint size and bytes */
    uint32_t cache_size;
    uint32_t cache_capacity;
    uint16_t count; /* rows or children */
    uint8_t height; /* 0: a leaf */
    uint8_t state;  /* cache_state_t */
    uint8_t size;   /* of a leaf: the class of … */
    uint8_t room;   /* … so many rows */
};

typedef struct leaf {
    node_t node;
    uint8_t rows[];
} leaf_t;

typedef struct leaf_pool {
    const row_layout_t *layout;
    slab_t *slab;              /* what leaves are taken from … */
    arena_t *arena;            /* … or this, if they are too large for it … */
    void *given[LEAF_CLASSES]; /* … and these have been given back */
} leaf_pool_t;

/* How many rows of that size a leaf holds. */
size_t leaf_rows (size_t row_size);

/* An empty leaf with room for so many rows at least. */
leaf_t *leaf_new (leaf_pool_t *pool, size_t rows);

static inline bool leaf_is_full (const leaf_t *leaf)
{
    return leaf->node.count == leaf->node.room;
}

/* Can it not grow? */
static inline bool leaf_is_largest (const leaf_t *leaf)
{
    return leaf->node.size == LEAF_CLASSES - 1;
}

/* The same in a larger one; who points to it is not told. */
leaf_t *leaf_grow (leaf_pool_t *pool, leaf_t *leaf);

static inline uint8_t *leaf_row (const leaf_pool_t *pool, const leaf_t *leaf, size_t at)
{
    return (uint8_t *)(uintptr_t)leaf->rows + at * pool->layout->size;
}

/* Rows of the leaf with time <= `time`. */
static inline size_t leaf_count_to (const leaf_pool_t *pool, const leaf_t *leaf, int64_t time)
{
    return row_count_to (pool->layout, leaf->rows, leaf->node.count, time);
}

/* Room for a row of `time` in its place, behind others of its time, in a leaf that is not full;
 * *place is its number. */
uint8_t *leaf_insert (const leaf_pool_t *pool, leaf_t *leaf, int64_t time, size_t *place);

/* Moves the rows from `keep` on, at least one of which stays, to a new leaf. */
leaf_t *leaf_split (leaf_pool_t *pool, leaf_t *leaf, size_t keep);

/* The time of its first row; there must be one. */
static inline int64_t leaf_first_time (const leaf_t *leaf)
{
    return row_time (leaf->rows);
}

/* Bytes that a leaf takes with room for that many rows, of as many as it can have. */
double leaf_footprint (size_t row_size, size_t rows);

/* Fetches the place behind the last row, when the leaf's beginning has been fetched. */
static inline void leaf_prefetch_end (const leaf_pool_t *pool, const leaf_t *leaf)
{
    size_t size = pool->layout->size;
    const uint8_t *end = leaf_row (pool, leaf, leaf->node.count);
    __builtin_prefetch (end - size);
    for (size_t at = 0; at < size; at += 64)
        __builtin_prefetch (end + at, 1);
}

/* ---- lists of what was given back: the first word of one is the next ---- */

/* From one that is not empty. */
static inline void *free_take (void **list)
{
    void *block = *list;
    memcpy (list, block, sizeof *list);
    return block;
}

static inline void free_give (void **list, void *block)
{
    memcpy (block, list, sizeof *list);
    *list = block;
}

#endif
