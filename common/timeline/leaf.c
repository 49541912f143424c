#include "timeline/leaf.h"

#include "base/check.h"

static const uint8_t EIGHTHS[LEAF_CLASSES] = { 1, 2, 4, 6, 8 };

size_t leaf_rows (size_t row_size)
{
    size_t rows = (SLAB_SIZE_MAX - sizeof (leaf_t)) / row_size;
    return rows < LEAF_ROWS_MIN ? LEAF_ROWS_MIN : rows < LEAF_ROWS_MAX ? rows : LEAF_ROWS_MAX;
}

static size_t rows_of (size_t row_size, size_t number)
{
    return leaf_rows (row_size) * EIGHTHS[number] / 8;
}

static size_t class_for (size_t row_size, size_t rows)
{
    size_t number = 0;
    CHECK (rows <= leaf_rows (row_size));
    while (rows_of (row_size, number) < rows)
        number++;
    return number;
}

static size_t size_of (size_t row_size, size_t number)
{
    return sizeof (leaf_t) + rows_of (row_size, number) * row_size;
}

static leaf_t *take (leaf_pool_t *pool, size_t number)
{
    size_t size = size_of (pool->layout->size, number);
    if (size <= SLAB_SIZE_MAX)
        return slab_take (pool->slab, SLAB_FIXED, size);
    return pool->given[number] != NULL ? free_take (&pool->given[number])
                                       : arena_alloc (pool->arena, size);
}

static void give (leaf_pool_t *pool, leaf_t *leaf)
{
    size_t size = size_of (pool->layout->size, leaf->node.size);
    if (size <= SLAB_SIZE_MAX)
        slab_give (pool->slab, SLAB_FIXED, leaf, size);
    else
        free_give (&pool->given[leaf->node.size], leaf);
}

static void set_class (const leaf_pool_t *pool, leaf_t *leaf, size_t number)
{
    leaf->node.size = (uint8_t)number;
    leaf->node.room = (uint8_t)rows_of (pool->layout->size, number);
}

leaf_t *leaf_new (leaf_pool_t *pool, size_t rows)
{
    size_t number = class_for (pool->layout->size, rows);
    leaf_t *leaf = take (pool, number);
    leaf->node = (node_t){ .count = 0 };
    set_class (pool, leaf, number);
    return leaf;
}

leaf_t *leaf_grow (leaf_pool_t *pool, leaf_t *leaf)
{
    CHECK (!leaf_is_largest (leaf));
    leaf_t *grown = take (pool, leaf->node.size + 1u);
    memcpy (grown, leaf, sizeof *leaf + leaf->node.count * pool->layout->size);
    set_class (pool, grown, leaf->node.size + 1u);
    give (pool, leaf);
    return grown;
}

uint8_t *leaf_insert (const leaf_pool_t *pool, leaf_t *leaf, int64_t time, size_t *place)
{
    size_t count = leaf->node.count;
    CHECK (!leaf_is_full (leaf));
    *place = count;
    if (count > 0 && row_time (leaf_row (pool, leaf, count - 1)) > time)
        *place = leaf_count_to (pool, leaf, time);
    uint8_t *row = leaf_row (pool, leaf, *place);
    if (*place < count)
        memmove (row + pool->layout->size, row, (count - *place) * pool->layout->size);
    leaf->node.count++;
    return row;
}

leaf_t *leaf_split (leaf_pool_t *pool, leaf_t *leaf, size_t keep)
{
    CHECK (keep > 0 && keep <= leaf->node.count);
    size_t moved = leaf->node.count - keep;
    leaf_t *right = leaf_new (pool, moved + 1);
    if (moved > 0)
        memcpy (right->rows, leaf_row (pool, leaf, keep), moved * pool->layout->size);
    right->node.count = (uint16_t)moved;
    leaf->node.count = (uint16_t)keep;
    return right;
}

double leaf_footprint (size_t row_size, size_t rows)
{
    size_t size = size_of (row_size, class_for (row_size, rows));
    return size <= SLAB_SIZE_MAX ? slab_footprint (size) : (double)arena_footprint (size);
}
