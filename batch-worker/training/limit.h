/* limit.h - which events of a log count for a row that stands at a position of it: those that an
 * answer had which said so (docs/training.md, Positions). */
#ifndef WEIR_TRAINING_LIMIT_H
#define WEIR_TRAINING_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offsets, ascending. Borrowed. */
typedef struct offsets {
    const uint64_t *items;
    size_t count;
} offsets_t;

static inline bool offsets_have (const offsets_t *self, uint64_t offset)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->items[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->count && self->items[low] == offset;
}

/* Where a row stands. */
typedef struct training_limit {
    uint64_t position; /* events that were sent count below it … */
    uint64_t cut;     /* … and rows of loads whose record is below this, at most `position` … */
    offsets_t absent; /* … but of these loads */
} training_limit_t;

/* `loads`: offsets of the records of all loads. */
static inline bool training_limit_counts (const training_limit_t *self, const offsets_t *loads,
                                          uint64_t offset)
{
    if (offset < self->cut)
        return self->absent.count == 0 || !offsets_have (&self->absent, offset);
    return offset < self->position && !offsets_have (loads, offset);
}

#endif
