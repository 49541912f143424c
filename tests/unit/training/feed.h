/* feed.h - a sorted batch as a source that gives it in pieces of random sizes, each gone when the
 * next one is asked for. */
#ifndef WEIR_TESTS_TRAINING_FEED_H
#define WEIR_TESTS_TRAINING_FEED_H

#include "base/random.h"
#include "storage/merge.h"

typedef struct feed {
    random_t random;
    batch_t batch;
    size_t most; /* rows of a piece */
    size_t next;
    arena_t *arena; /* of the piece that was given last */
    size_t given;   /* pieces */
} feed_t;

/* Rows in (key, event time, offset, row) order, in `arena`. */
batch_t feed_sorted (const batch_t *batch, arena_t *arena);

merge_source_t feed_init (feed_t *self, random_t *random, const batch_t *sorted, size_t most);
void feed_release (feed_t *self);

#endif
