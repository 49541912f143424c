#include "block/ranks.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_BITS = 10, SLOTS = 1 << SLOTS_BITS };

_Static_assert(SLOTS >= 4 * RANKS_MAX, "a free slot is near");

/* A value: where it first came among the different ones, and how often. */
typedef struct seen {
    int64_t value;
    uint32_t count;
    uint32_t number;
} seen_t;

static int by_count (const void *a, const void *b)
{
    const seen_t *x = a;
    const seen_t *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* The slot that has the value, or the free one where it goes. */
static size_t find_slot (const uint16_t *table, const seen_t *seen, int64_t value)
{
    size_t slot = (uint64_t)value * UINT64_C (0x9e3779b97f4a7c15) >> (64 - SLOTS_BITS);
    while (table[slot] != 0 && seen[table[slot] - 1].value != value)
        slot = (slot + 1) % SLOTS;
    return slot;
}

size_t ranks_find (const int64_t *values, size_t count, size_t most, int64_t *ranks,
                   int64_t *distinct)
{
    CHECK (most <= RANKS_MAX);
    uint16_t table[SLOTS] = { 0 }; /* number + 1, or 0 for a free slot */
    seen_t seen[RANKS_MAX];
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        size_t slot = find_slot (table, seen, values[i]);
        if (table[slot] == 0) {
            if (found == most)
                return 0;
            seen[found] = (seen_t){ values[i], 0, (uint32_t)found };
            table[slot] = (uint16_t)++found;
        }
        seen[table[slot] - 1].count++;
        ranks[i] = table[slot] - 1;
    }
    qsort (seen, found, sizeof *seen, by_count);
    int64_t rank_of[RANKS_MAX];
    for (size_t i = 0; i < found; i++) {
        rank_of[seen[i].number] = (int64_t)i;
        distinct[i] = seen[i].value;
    }
    for (size_t i = 0; i < count; i++)
        ranks[i] = rank_of[ranks[i]];
    return found;
}
