/* series.h - the events of one key in time order, when they are many: a tree.
 *
 * It is a B+-tree whose leaves hold rows and whose nodes, leaves included, can cache the
 * partial of each slot over all rows below them. A cache is filled at the second query that needs
 * the node whole, and is void as soon as a row comes in below. Rule held throughout: when a node's
 * cache is CACHE_NONE, no ancestor's is CACHE_FILLED; so a new row marks upwards only as far as the
 * first CACHE_NONE. */
#ifndef WEIR_TIMELINE_SERIES_H
#define WEIR_TIMELINE_SERIES_H

#include "timeline/leaf.h"

enum {
    LEAF_CACHE_MIN = 16, /* rows: with fewer, adding them is as cheap as merging partials */
    NODE_FANOUT = 16,
    CACHE_CLASSES = 32, /* block sizes of caches: powers of two */
};

typedef struct series {
    node_t *root;
    leaf_t *last; /* where appended rows go */
    int64_t last_time;
} series_t;

/* What all series of a timeline share: row layout, memory, and room to compute in. */
typedef struct series_store {
    row_layout_t layout;
    slab_t slab;    /* pieces of keys that have few rows, leaves and nodes */
    arena_t *arena; /* strings and caches */
    row_strings_t strings;
    leaf_pool_t pool;
    void *free_cache[CACHE_CLASSES];
    void *build; /* a set of slot accumulators, for filling caches */
    buf_t partial;
    buf_t partials;
} series_store_t;

/* `self` stays where it is. */
void series_store_init (series_store_t *self, const plan_t *plan);
void series_store_release (series_store_t *self);
size_t series_store_memory (const series_store_t *self);

/* Bytes that leaves and nodes of a series take that has so many rows, which came in order. */
double series_footprint (size_t row_size, size_t rows);

/* An empty series, which is soon to have so many rows. */
void series_begin (series_store_t *store, series_t *self, size_t rows);

/* Room for a row of that time. The row that is then written there begins with the time. */
uint8_t *series_insert (series_store_t *store, series_t *self, int64_t time);

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

/* The time of the last row at or before that time; INT64_MIN: there is none. */
int64_t series_latest (const series_store_t *store, const series_t *self, int64_t time);

/* Appends to row[*count] where the series' rows are, in time order, of which there is then room for
 * `most`. False: they are more. */
bool series_rows (const series_store_t *store, const series_t *self, const uint8_t **row,
                  size_t *count, size_t most);

/* Adds rows [from, to) of those from `first` on, whatever the range's times are. */
void series_add_rows (const series_range_t *range, const uint8_t *first, size_t from, size_t to);

#endif
