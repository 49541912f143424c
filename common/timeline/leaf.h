/* leaf.h - up to LEAF_ROWS rows in time order, in blocks that are never moved.
 *
 * A key of one event has one row; the next come in blocks of 1, 2, 4 and then 8 rows, so that no
 * more than a third of a leaf's room is empty (a fifth once there are many) and nothing is copied
 * or given back when it grows. Most events are the latest of their key: they go to the end of the
 * last block, without a walk. */
#ifndef WEIR_TIMELINE_LEAF_H
#define WEIR_TIMELINE_LEAF_H

#include "timeline/row.h"

#include <string.h>

enum {
    LEAF_ROWS = 64,
    LEAF_BLOCKS = 14,
    BLOCK_CLASSES = 4, /* sizes of blocks: 1, 2, 4, 8 rows */
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
};

typedef struct block {
    struct block *next;
    uint8_t rows[];
} block_t;

typedef struct leaf {
    node_t node;
    block_t *tail; /* where the last row is */
    block_t first; /* of one row, which follows the leaf */
} leaf_t;

/* Blocks given back wait here for the next leaf that needs one. */
typedef struct leaf_pool {
    arena_t *arena;
    size_t row_size;
    void *free_block[BLOCK_CLASSES];
} leaf_pool_t;

/* Where each block begins, for finding rows by their number. */
typedef struct leaf_rows {
    uint8_t *block[LEAF_BLOCKS];
    size_t row_size;
} leaf_rows_t;

extern const uint8_t leaf_block_start[LEAF_BLOCKS + 1]; /* the row that a block begins with */
extern const uint8_t leaf_block_of[LEAF_ROWS];          /* the block that a row is in */

leaf_t *leaf_new (leaf_pool_t *pool);

leaf_rows_t leaf_rows (const leaf_pool_t *pool, const leaf_t *leaf);

static inline row_t *leaf_row (const leaf_rows_t *rows, size_t at)
{
    size_t block = leaf_block_of[at];
    return (row_t *)(void *)(rows->block[block] + (at - leaf_block_start[block]) * rows->row_size);
}

/* Rows of the leaf with time <= `time`. */
size_t leaf_count_to (const leaf_rows_t *rows, const leaf_t *leaf, int64_t time);

/* Room for a row of `time` in its place, behind others of its time, in a leaf that is not full;
 * *place is its number. */
row_t *leaf_insert (leaf_pool_t *pool, leaf_t *leaf, int64_t time, size_t *place);

/* Moves the rows from `keep` on, at least one of which stays, to a new leaf. */
leaf_t *leaf_split (leaf_pool_t *pool, leaf_t *leaf, size_t keep);

/* The time of its first row; there must be one. */
int64_t leaf_first_time (const leaf_t *leaf);

/* Bytes that a leaf of that many rows takes, at least one and at most LEAF_ROWS. */
size_t leaf_size (size_t row_size, size_t rows);

/* Fetches the place behind the last row, when the leaf itself has been fetched. */
static inline void leaf_prefetch_end (const leaf_pool_t *pool, const leaf_t *leaf)
{
    size_t last = leaf->node.count > 0 ? leaf->node.count - 1u : 0;
    const uint8_t *end =
        leaf->tail->rows + (last - leaf_block_start[leaf_block_of[last]] + 1) * pool->row_size;
    __builtin_prefetch (end - pool->row_size);
    for (size_t at = 0; at < pool->row_size; at += 64)
        __builtin_prefetch (end + at, 1);
}

/* Fetches a leaf's block: the number that it is. */
static inline void leaf_prefetch_block (const leaf_pool_t *pool, const block_t *block,
                                        size_t number)
{
    size_t rows = (size_t)(leaf_block_start[number + 1] - leaf_block_start[number]);
    size_t size = sizeof *block + rows * pool->row_size;
    for (size_t at = 0; at < size; at += 64)
        __builtin_prefetch ((const uint8_t *)block + at);
    __builtin_prefetch ((const uint8_t *)block + size - 1);
}

/* ---- lists of free blocks: the first word of one is the next ---- */

static inline void *free_take (void **list, arena_t *arena, size_t size)
{
    void *block = *list;
    if (block == NULL)
        return arena_alloc (arena, size);
    memcpy (list, block, sizeof *list);
    return block;
}

static inline void free_give (void **list, void *block)
{
    memcpy (block, list, sizeof *list);
    *list = block;
}

#endif
