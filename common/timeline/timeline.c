#include "timeline/timeline.h"

#include "base/check.h"
#include "base/mem.h"
#include "timeline/series.h"

#include <stdlib.h>
#include <string.h>

enum {
    TIMELINE_MAGIC = 0x71e1107e,
    TABLE_MIN = 16, /* entries */
    NEAR = 192,     /* bytes */
    RANGES_CHUNK = 1024,
};

/* An entry of the open-addressing table; empty when series is NULL. */
typedef struct entry {
    uint64_t hash;
    series_t *series;
} entry_t;

/* The cells of one window among the slots of one delay. */
typedef struct range {
    int64_t delay;
    int64_t window;
    uint32_t *cells;
    uint32_t cells_count;
    uint32_t *slots; /* those with this window or a longer one, ascending */
    uint32_t slots_count;
} range_t;

struct timeline {
    unsigned magic;
    const plan_t *plan;
    series_store_t store;
    entry_t *table;
    size_t table_size; /* a power of two */
    size_t keys;
    size_t events;
    void *running;  /* a set of slot accumulators: what the windows so far hold */
    range_t *range; /* by delay, then window ascending */
    size_t ranges;
    arena_t *arena; /* owns the ranges */
};

static int range_compare (const void *a, const void *b)
{
    const range_t *left = a, *right = b;
    if (left->delay != right->delay)
        return left->delay < right->delay ? -1 : 1;
    return (left->window > right->window) - (left->window < right->window);
}

static uint32_t *numbers_copy (arena_t *arena, const uint32_t *numbers, size_t count)
{
    uint32_t *copy = arena_alloc (arena, count * sizeof *copy);
    if (count > 0)
        memcpy (copy, numbers, count * sizeof *copy);
    return copy;
}

/* Fills in what belongs to a (delay, window). */
static void range_fill (const plan_t *plan, range_t *range, arena_t *arena)
{
    uint32_t cells[FEATURES_MAX], slots[FEATURES_MAX];
    CHECK (plan->cells_count <= FEATURES_MAX);
    for (uint32_t i = 0; i < plan->cells_count; i++) { /* by slot */
        const plan_cell_t *cell = &plan->cells[i];
        if (plan->slots[cell->slot].delay != range->delay)
            continue;
        if (cell->window == range->window)
            cells[range->cells_count++] = i;
        bool known = range->slots_count > 0 && slots[range->slots_count - 1] == cell->slot;
        if (cell->window >= range->window && !known)
            slots[range->slots_count++] = cell->slot;
    }
    range->cells = numbers_copy (arena, cells, range->cells_count);
    range->slots = numbers_copy (arena, slots, range->slots_count);
}

static void ranges_init (timeline_t *self)
{
    const plan_t *plan = self->plan;
    self->arena = arena_new (RANGES_CHUNK);
    self->range = arena_zero (self->arena, plan->cells_count, sizeof *self->range);
    for (size_t i = 0; i < plan->cells_count; i++)
        self->range[i] = (range_t){ .delay = plan->slots[plan->cells[i].slot].delay,
                                    .window = plan->cells[i].window };
    qsort (self->range, plan->cells_count, sizeof *self->range, range_compare);
    for (size_t i = 0; i < plan->cells_count; i++)
        if (self->ranges == 0 ||
            range_compare (&self->range[self->ranges - 1], &self->range[i]) != 0)
            self->range[self->ranges++] = self->range[i];
    for (size_t i = 0; i < self->ranges; i++)
        range_fill (plan, &self->range[i], self->arena);
}

timeline_t *timeline_new (const plan_t *plan)
{
    timeline_t *self = mem_zero (1, sizeof *self);
    self->magic = TIMELINE_MAGIC;
    self->plan = plan;
    series_store_init (&self->store, plan);
    self->table_size = TABLE_MIN;
    self->table = mem_zero (self->table_size, sizeof *self->table);
    self->running = mem_alloc (plan->slots_size);
    plan_slots_init (plan, self->running);
    ranges_init (self);
    return self;
}

void timeline_destroy (timeline_t **self_p)
{
    timeline_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    *self_p = NULL;
    self->magic = 0;
    plan_slots_release (self->plan, self->running);
    mem_free (self->running);
    arena_destroy (&self->arena);
    mem_free (self->table);
    series_store_release (&self->store);
    mem_free (self);
}

/* The entry of the key, or the empty one where it belongs. */
static entry_t *table_find (const timeline_t *self, uint64_t hash, text_t key)
{
    size_t mask = self->table_size - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        entry_t *entry = &self->table[at];
        if (entry->series == NULL)
            return entry;
        if (entry->hash == hash && text_equal (entry->series->key, key))
            return entry;
    }
}

static void table_grow (timeline_t *self)
{
    entry_t *old = self->table;
    size_t old_size = self->table_size;
    self->table_size *= 2;
    self->table = mem_zero (self->table_size, sizeof *self->table);
    size_t mask = self->table_size - 1;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].series == NULL)
            continue;
        size_t at = old[i].hash & mask;
        while (self->table[at].series != NULL)
            at = (at + 1) & mask;
        self->table[at] = old[i];
    }
    mem_free (old);
}

static series_t *series_of (timeline_t *self, uint64_t hash, text_t key)
{
    entry_t *entry = table_find (self, hash, key);
    if (entry->series != NULL)
        return entry->series;
    if ((self->keys + 1) * 10 > self->table_size * 7) {
        table_grow (self);
        entry = table_find (self, hash, key);
    }
    series_t *series = arena_zero (self->store.arena, 1, sizeof *series);
    series->key = arena_text (self->store.arena, key);
    *entry = (entry_t){ hash, series };
    self->keys++;
    return series;
}

/* ---- memory that is asked for ahead ----
 *
 * Keys lie anywhere, and from one to its rows there are some steps through memory. Each is taken
 * for all keys before the next one, so that they wait together and not one after the other. */

typedef struct fetched {
    uint64_t hash[TIMELINE_FETCHED];
    const series_t *series[TIMELINE_FETCHED]; /* NULL: it is not at the entry that was looked at */
} fetched_t;

static void fetch_series (const timeline_t *self, const text_t *keys, size_t count,
                          fetched_t *fetched)
{
    const entry_t *entry[TIMELINE_FETCHED];
    for (size_t i = 0; i < count; i++) {
        fetched->hash[i] = key_hash (keys[i]);
        entry[i] = &self->table[fetched->hash[i] & (self->table_size - 1)];
        __builtin_prefetch (entry[i]);
    }
    for (size_t i = 0; i < count; i++) {
        fetched->series[i] = entry[i]->hash == fetched->hash[i] ? entry[i]->series : NULL;
        if (fetched->series[i] == NULL)
            continue;
        /* its key and first row were put behind it when it was made, and are mostly near */
        for (size_t at = 0; at < NEAR; at += 64)
            __builtin_prefetch ((const uint8_t *)fetched->series[i] + at);
    }
}

/* Where rows are added. */
static void fetch_ends (const timeline_t *self, const fetched_t *fetched, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fetched->series[i] == NULL)
            continue;
        __builtin_prefetch (fetched->series[i]->key.data);
        __builtin_prefetch (fetched->series[i]->last);
    }
    for (size_t i = 0; i < count; i++)
        if (fetched->series[i] != NULL)
            leaf_prefetch_end (&self->store.pool, fetched->series[i]->last);
}

/* All rows of keys that have a single leaf. */
static void fetch_rows (const timeline_t *self, const fetched_t *fetched, size_t count)
{
    const block_t *block[TIMELINE_FETCHED];
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (fetched->series[i] == NULL)
            continue;
        __builtin_prefetch (fetched->series[i]->key.data);
        __builtin_prefetch (fetched->series[i]->root);
    }
    for (size_t i = 0; i < count; i++) {
        const node_t *root = fetched->series[i] != NULL ? fetched->series[i]->root : NULL;
        if (root != NULL && root->height == 0)
            block[left++] = &((const leaf_t *)root)->first;
    }
    for (size_t number = 0; left > 0; number++) {
        size_t on = 0;
        for (size_t i = 0; i < left; i++) {
            const block_t *next = block[i]->next;
            if (next == NULL)
                continue;
            leaf_prefetch_block (&self->store.pool, next, number + 1);
            block[on++] = next;
        }
        left = on;
    }
}

void timeline_fetch (const timeline_t *self, const text_t *keys, size_t count)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    fetched_t fetched;
    for (size_t from = 0; from < count; from += TIMELINE_FETCHED) {
        size_t part = count - from < TIMELINE_FETCHED ? count - from : TIMELINE_FETCHED;
        fetch_series (self, keys + from, part, &fetched);
        fetch_rows (self, &fetched, part);
    }
}

/* ---- adding ---- */

void timeline_add (timeline_t *self, const projection_t *rows)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    fetched_t fetched;
    for (size_t from = 0; from < rows->rows; from += TIMELINE_FETCHED) {
        size_t count = rows->rows - from < TIMELINE_FETCHED ? rows->rows - from : TIMELINE_FETCHED;
        fetch_series (self, rows->key + from, count, &fetched);
        fetch_ends (self, &fetched, count);
        for (size_t i = 0; i < count; i++) {
            series_t *series = series_of (self, fetched.hash[i], rows->key[from + i]);
            series_insert (&self->store, series, rows, from + i);
        }
    }
    self->events += rows->rows;
}

/* ---- answers ---- */

/* Every row into every cell that contains it. */
static void merge_tiny (timeline_t *self, const row_t *const *rows, size_t count, int64_t as_of,
                        answer_t *answer)
{
    const plan_t *plan = self->plan;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t cell = 0; cell < plan->cells_count; cell++) {
            uint32_t slot = plan->cells[cell].slot;
            if (window_contains (plan->cells[cell].window, as_of - plan->slots[slot].delay,
                                 rows[i]->time))
                row_fold (&self->store.layout, rows[i], slot, answer_cell (answer, cell));
        }
    }
}

/* Adds what `running` holds to the cells of one window. */
static void merge_window (timeline_t *self, const range_t *range, answer_t *answer)
{
    const plan_t *plan = self->plan;
    for (uint32_t i = 0; i < range->cells_count; i++) {
        const plan_slot_t *slot = &plan->slots[plan->cells[range->cells[i]].slot];
        void *running = (uint8_t *)self->running + slot->place;
        if (!state_is_empty (slot->spec, running))
            state_merge (slot->spec, answer_cell (answer, range->cells[i]), running);
    }
}

void timeline_merge (timeline_t *self, text_t key, int64_t as_of, answer_t *answer)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    CHECK (answer_plan (answer)->hash == self->plan->hash);
    const series_t *series = table_find (self, key_hash (key), key)->series;
    if (series == NULL)
        return;
    const row_t *rows[SERIES_TINY_ROWS];
    size_t count = series_tiny_rows (&self->store, series, rows);
    if (count > 0) {
        merge_tiny (self, rows, count, as_of, answer);
        return;
    }
    /* All windows of a delay end at the same time, so each one is the shorter one before it and a
     * piece to its left. A slot has one delay, so `running` serves all of them. */
    plan_slots_reset (self->plan, self->running);
    int64_t right = as_of;
    for (size_t i = 0; i < self->ranges; i++) {
        const range_t *at = &self->range[i];
        if (i == 0 || at->delay != self->range[i - 1].delay)
            right = as_of - at->delay;
        int64_t left = at->window == WINDOW_LIFETIME ? INT64_MIN : as_of - at->delay - at->window;
        series_range_t range = { .store = &self->store,
                                 .left = left,
                                 .right = right,
                                 .accs = self->running,
                                 .slots = at->slots,
                                 .slots_count = at->slots_count };
        series_add_range (&range, series);
        merge_window (self, at, answer);
        right = left;
    }
}

size_t timeline_keys (const timeline_t *self)
{
    return self->keys;
}

size_t timeline_events (const timeline_t *self)
{
    return self->events;
}

size_t timeline_memory (const timeline_t *self)
{
    return sizeof *self + series_store_memory (&self->store) +
           self->table_size * sizeof *self->table + self->plan->slots_size +
           arena_held (self->arena);
}

double timeline_key_size (size_t key_bytes)
{
    /* The table doubles at 7/10: between 0.35 and 0.7 entries are used for one. Over table sizes,
     * 1 / load is 1 / 0.505 on the (logarithmic) average. */
    double table = sizeof (entry_t) / 0.505;
    return table + (double)arena_footprint (sizeof (series_t)) +
           (double)arena_footprint (key_bytes + 1);
}
