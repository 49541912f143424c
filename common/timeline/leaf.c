#include "timeline/leaf.h"

#include "base/check.h"

const uint8_t leaf_block_start[LEAF_BLOCKS + 1] = { 0,  1,  2,  4,  6,  8,  12, 16,
                                                    20, 24, 32, 40, 48, 56, 64 };
const uint8_t leaf_block_of[LEAF_ROWS] = {
    0,  1,  2,  2,  3,  3,  4,  4,  5,  5,  5,  5,  6,  6,  6,  6,  7,  7,  7,  7,  8,  8,
    8,  8,  9,  9,  9,  9,  9,  9,  9,  9,  10, 10, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11,
    11, 11, 11, 11, 12, 12, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13,
};
_Static_assert(LEAF_ROWS == 64, "the tables above");

static size_t block_rows (size_t block)
{
    return (size_t)(leaf_block_start[block + 1] - leaf_block_start[block]);
}

static size_t block_size (size_t row_size, size_t block)
{
    return sizeof (block_t) + block_rows (block) * row_size;
}

static size_t block_class (size_t block)
{
    return (size_t)__builtin_ctzl (block_rows (block));
}

leaf_t *leaf_new (leaf_pool_t *pool)
{
    leaf_t *leaf = arena_alloc (pool->arena, sizeof *leaf + pool->row_size);
    leaf->node = (node_t){ 0 };
    leaf->first.next = NULL;
    leaf->tail = &leaf->first;
    return leaf;
}

leaf_rows_t leaf_rows (const leaf_pool_t *pool, const leaf_t *leaf)
{
    leaf_rows_t rows = { .row_size = pool->row_size };
    const block_t *block = &leaf->first;
    for (size_t i = 0; block != NULL; block = block->next) {
        CHECK (i < LEAF_BLOCKS);
        rows.block[i++] = (uint8_t *)(uintptr_t)block->rows;
    }
    return rows;
}

size_t leaf_count_to (const leaf_rows_t *rows, const leaf_t *leaf, int64_t time)
{
    size_t low = 0;
    size_t high = leaf->node.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (leaf_row (rows, middle)->time <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Room behind the last row. */
static row_t *append (leaf_pool_t *pool, leaf_t *leaf)
{
    size_t at = leaf->node.count++;
    CHECK (at < LEAF_ROWS);
    size_t block = leaf_block_of[at];
    size_t within = at - leaf_block_start[block];
    if (within == 0 && block > 0) {
        block_t *next = free_take (&pool->free_block[block_class (block)], pool->arena,
                                   block_size (pool->row_size, block));
        next->next = NULL;
        leaf->tail->next = next;
        leaf->tail = next;
    }
    return (row_t *)(void *)(leaf->tail->rows + within * pool->row_size);
}

static const row_t *last_row (const leaf_pool_t *pool, const leaf_t *leaf)
{
    size_t at = leaf->node.count - 1u;
    size_t within = at - leaf_block_start[leaf_block_of[at]];
    return (const row_t *)(const void *)(leaf->tail->rows + within * pool->row_size);
}

row_t *leaf_insert (leaf_pool_t *pool, leaf_t *leaf, int64_t time, size_t *place)
{
    size_t count = leaf->node.count;
    *place = count;
    if (count == 0 || last_row (pool, leaf)->time <= time)
        return append (pool, leaf);
    (void)append (pool, leaf);
    leaf_rows_t rows = leaf_rows (pool, leaf);
    leaf->node.count--;
    *place = leaf_count_to (&rows, leaf, time);
    leaf->node.count++;
    for (size_t at = count; at > *place; at--)
        memcpy (leaf_row (&rows, at), leaf_row (&rows, at - 1), pool->row_size);
    return leaf_row (&rows, *place);
}

/* Gives back the blocks behind the one that row `keep` - 1 is in. */
static void cut_off (leaf_pool_t *pool, leaf_t *leaf, size_t keep)
{
    block_t *last = &leaf->first;
    size_t at = 0;
    for (; at < leaf_block_of[keep - 1]; at++)
        last = last->next;
    block_t *block = last->next;
    last->next = NULL;
    leaf->tail = last;
    leaf->node.count = (uint16_t)keep;
    while (block != NULL) {
        block_t *next = block->next;
        free_give (&pool->free_block[block_class (++at)], block);
        block = next;
    }
}

leaf_t *leaf_split (leaf_pool_t *pool, leaf_t *leaf, size_t keep)
{
    CHECK (keep > 0);
    leaf_t *right = leaf_new (pool);
    leaf_rows_t rows = leaf_rows (pool, leaf);
    for (size_t at = keep; at < leaf->node.count; at++)
        memcpy (append (pool, right), leaf_row (&rows, at), pool->row_size);
    cut_off (pool, leaf, keep);
    return right;
}

int64_t leaf_first_time (const leaf_t *leaf)
{
    return ((const row_t *)(const void *)leaf->first.rows)->time;
}

size_t leaf_size (size_t row_size, size_t rows)
{
    CHECK (rows > 0 && rows <= LEAF_ROWS);
    size_t size = arena_footprint (sizeof (leaf_t) + row_size);
    for (size_t block = 1; block < LEAF_BLOCKS && leaf_block_start[block] < rows; block++)
        size += arena_footprint (block_size (row_size, block));
    return size;
}
