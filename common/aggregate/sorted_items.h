/* sorted_items.h - the items of a list or map that is being made, brought into order in an arena.
 */
#ifndef WEIR_AGGREGATE_SORTED_ITEMS_H
#define WEIR_AGGREGATE_SORTED_ITEMS_H

#include "base/arena.h"
#include "base/value.h"

typedef struct item {
    value_t key; /* not null */
    union {
        const void *state;
        uint64_t rows;
    };
} item_t;

/* Sorts in O(n log n), by merging. No two items are equal. */
void items_sort (arena_t *arena, item_t *items, size_t count,
                 int (*compare) (const item_t *a, const item_t *b));

/* By key, ascending. */
int item_compare_keys (const item_t *a, const item_t *b);

/* A copy of the value with all that it borrows in the arena. */
value_t value_in_arena (arena_t *arena, const value_t *value);

#endif
