/* series.h - the events of one key in time order: one leaf while few, a tree when many.
 *
 * The tree is a B+-tree whose leaves hold rows and whose nodes, leaves included, can cache the
 * partial of each slot over all rows below them. A cache is filled at the second query that needs
 * the node whole, and is void as soon as a row comes in below. Rule held throughout: when a node's
 * cache is CACHE_NONE, no ancestor's is CACHE_FILLED; so a new row marks upwards only as far as the
 * first CACHE_NONE. */
#ifndef WEIR_TIMELINE_SERIES_H
#define WEIR_TIMELINE_SERIES_H

#include "timeline/leaf.h"

enum {
    LEAF_CACHE_MIN = 16, /* rows: with fewer, adding them is as cheap as merging partials */
    NODE_FANOUT = 32,
    CACHE_CLASSES = 32, /* block sizes of caches: powers of two */
    SERIES_TINY_ROWS = 4,
};

typedef struct series {
    text_t key; /* in the arena */
    node_t *root;
    leaf_t *last; /* where appended rows go */
    int64_t last_time;
} series_t;

/* What all series of a timeline share: row layout, memory, and room to compute in. */
typedef struct series_store {
    row_layout_t layout;
    arena_t *arena;
    leaf_pool_t pool;
    void *free_cache[CACHE_CLASSES];
    void *build; /* a set of slot accumulators, for filling caches */
    buf_t partial;
    buf_t partials;
} series_store_t;

void series_store_init (series_store_t *self, const plan_t *plan);
void series_store_release (series_store_t *self);
size_t series_store_memory (const series_store_t *self);

/* Bytes that a node above the leaves takes in the arena. */
size_t series_inner_size (void);

/* Adds a projected row to the series, which starts as all zero but its key. */
void series_insert (series_store_t *store, series_t *self, const projection_t *rows, size_t at);

/* Adds all rows with left < time <= right to some slots, ascending, of a set of accumulators. */
typedef struct series_range {
    series_store_t *store;
    int64_t left;
    int64_t right;
    void *accs;
    const uint32_t *slots;
    uint32_t slots_count;
} series_range_t;

void series_add_range (const series_range_t *range, const series_t *self);

/* The rows of a series that has few, the cheapest way to answer being a row and cell at a time; how
 * many. 0: it has more than SERIES_TINY_ROWS. */
size_t series_tiny_rows (const series_store_t *store, const series_t *self,
                         const row_t *rows[SERIES_TINY_ROWS]);

#endif
