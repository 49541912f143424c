#include "timeline/timeline.h"

#include "base/check.h"
#include "base/mem.h"
#include "timeline/series.h"

#include <string.h>

enum {
    TIMELINE_MAGIC = 0x71e1107e,
    TABLE_MIN = 16,   /* entries */
    ADD_AT_ONCE = 64, /* rows whose table entries are fetched together */
};

/* An entry of the open-addressing table; empty when series is NULL. */
typedef struct entry {
    uint64_t hash;
    series_t *series;
} entry_t;

struct timeline {
    unsigned magic;
    const plan_t *plan;
    series_store_t store;
    entry_t *table;
    size_t table_size; /* a power of two */
    size_t keys;
    size_t events;
    void *running;    /* a set of slot accumulators: what the windows so far hold */
    uint32_t *wanted; /* per slot: 1 + the index of its longest window in plan->windows */
};

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
    self->wanted = mem_zero (plan->slots_count + 1, sizeof *self->wanted);
    for (size_t cell = 0; cell < plan->cells_count; cell++)
        for (uint32_t i = 0; i < plan->windows_count; i++)
            if (plan->windows[i] == plan->cells[cell].window &&
                self->wanted[plan->cells[cell].slot] < i + 1)
                self->wanted[plan->cells[cell].slot] = i + 1;
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
    mem_free (self->wanted);
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

/* Keys lie anywhere, and from a row to its place there are three steps through memory. Each is
 * taken for all rows before the next one, so that they wait together and not one after the other.
 */
static void fetch_places (const timeline_t *self, const text_t *keys, size_t count, uint64_t *hash)
{
    const entry_t *entry[ADD_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        hash[i] = key_hash (keys[i]);
        entry[i] = &self->table[hash[i] & (self->table_size - 1)];
        __builtin_prefetch (entry[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (entry[i]->hash == hash[i] && entry[i]->series != NULL)
            __builtin_prefetch (entry[i]->series);
        else
            entry[i] = NULL;
    for (size_t i = 0; i < count; i++) {
        if (entry[i] == NULL)
            continue;
        __builtin_prefetch (entry[i]->series->key.data);
        __builtin_prefetch (entry[i]->series->last);
    }
}

void timeline_add (timeline_t *self, const projection_t *rows)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    uint64_t hash[ADD_AT_ONCE];
    for (size_t from = 0; from < rows->rows; from += ADD_AT_ONCE) {
        size_t count = rows->rows - from < ADD_AT_ONCE ? rows->rows - from : ADD_AT_ONCE;
        fetch_places (self, rows->key + from, count, hash);
        for (size_t i = 0; i < count; i++) {
            series_t *series = series_of (self, hash[i], rows->key[from + i]);
            series_insert (&self->store, series, rows, from + i);
        }
    }
    self->events += rows->rows;
}

/* Every row into every cell that contains it. */
static void merge_tiny (timeline_t *self, const series_t *series, int64_t as_of, answer_t *answer)
{
    const plan_t *plan = self->plan;
    size_t count = 0;
    const uint8_t *rows = (const uint8_t *)series_rows (series, &count);
    for (size_t i = 0; i < count; i++, rows += self->store.layout.size) {
        const row_t *row = (const row_t *)(const void *)rows;
        for (uint32_t cell = 0; cell < plan->cells_count; cell++)
            if (window_contains (plan->cells[cell].window, as_of, row->time))
                row_fold (&self->store.layout, row, plan->cells[cell].slot,
                          answer_cell (answer, cell));
    }
}

/* Adds what `running` holds to the cells of one window. */
static void merge_window (timeline_t *self, int64_t window, answer_t *answer)
{
    const plan_t *plan = self->plan;
    for (uint32_t cell = 0; cell < plan->cells_count; cell++) {
        const plan_slot_t *slot = &plan->slots[plan->cells[cell].slot];
        void *running = (uint8_t *)self->running + slot->place;
        if (plan->cells[cell].window == window && !state_is_empty (slot->spec, running))
            state_merge (slot->spec, answer_cell (answer, cell), running);
    }
}

void timeline_merge (timeline_t *self, text_t key, int64_t as_of, answer_t *answer)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    CHECK (answer_plan (answer)->hash == self->plan->hash);
    const series_t *series = table_find (self, key_hash (key), key)->series;
    if (series == NULL)
        return;
    if (series_is_tiny (series)) {
        merge_tiny (self, series, as_of, answer);
        return;
    }
    /* All windows end at as_of, so each one is the shorter one before it and a piece to its left.
     */
    plan_slots_reset (self->plan, self->running);
    int64_t right = as_of;
    for (uint32_t i = 0; i < self->plan->windows_count; i++) {
        int64_t window = self->plan->windows[i];
        int64_t left = window == WINDOW_LIFETIME ? INT64_MIN : as_of - window;
        series_range_t range = { &self->store, left, right, self->running, self->wanted, i };
        series_add_range (&range, series);
        merge_window (self, window, answer);
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
           (self->plan->slots_count + 1) * sizeof *self->wanted;
}
