/* series.h - the events of one key in time order: one array while few, a tree when many.
 *
 * The tree is a B+-tree whose leaves hold rows and whose nodes, leaves included, can cache the
 * partial of each slot over all rows below them. A cache is filled at the second query that needs
 * the node whole, and is void as soon as a row comes in below. Rule held throughout: when a node's
 * cache is CACHE_NONE, no ancestor's is CACHE_FILLED; so a new row marks upwards only as far as the
 * first CACHE_NONE. */
#ifndef WEIR_TIMELINE_SERIES_H
#define WEIR_TIMELINE_SERIES_H

#include "timeline/row.h"

enum {
    LEAF_ROWS = 64,
    LEAF_CLASSES = 7,    /* capacities of the leaf of a small series: 1, 2, 4 ... LEAF_ROWS */
    LEAF_CACHE_MIN = 16, /* rows: with fewer, adding them is as cheap as merging partials */
    NODE_FANOUT = 32,
    CACHE_CLASSES = 32, /* block sizes of caches: powers of two */
};
_Static_assert(1 << (LEAF_CLASSES - 1) == LEAF_ROWS, "the last class is a full leaf");

typedef struct node node_t;
typedef struct leaf leaf_t;
typedef struct inner inner_t;

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
    void *free_leaf[LEAF_CLASSES];
    void *free_cache[CACHE_CLASSES];
    void *build; /* a set of slot accumulators, for filling caches */
    buf_t partial;
    buf_t partials;
} series_store_t;

void series_store_init (series_store_t *self, const plan_t *plan);
void series_store_release (series_store_t *self);
size_t series_store_memory (const series_store_t *self);

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

/* Few rows in one array: the cheapest way to answer is a row and cell at a time. */
bool series_is_tiny (const series_t *self);
/* The rows of a tiny series; *count of them, layout.size bytes each. */
const row_t *series_rows (const series_t *self, size_t *count);

#endif
