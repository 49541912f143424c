#include "timeline/timeline.h"

#include "base/check.h"
#include "base/mem.h"
#include "timeline/piece.h"

#include <stdlib.h>
#include <string.h>

enum {
    TIMELINE_MAGIC = 0x71e1107e,
    TABLE_MIN = 16, /* entries */
    NEAR = 128,     /* bytes */
    GLANCED = 8,    /* entries */
    RANGES_CHUNK = 1024,
};

/* An entry of the open-addressing table; empty when piece is NULL. */
typedef struct entry {
    uint64_t hash;
    piece_t *piece;
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
    size_t table_size; /* entries */
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

/* Where the search for a hash begins: by its low half, as the high one has chosen the partition.
 * Entries stand in the order of that, apart from those that found their places taken. */
static size_t table_home (const timeline_t *self, uint64_t hash)
{
    return (size_t)((hash & UINT32_MAX) * self->table_size >> 32);
}

static size_t table_next (const timeline_t *self, size_t at)
{
    return at + 1 < self->table_size ? at + 1 : 0;
}

/* The entry of the key, or the empty one where it belongs. */
static entry_t *table_find (const timeline_t *self, uint64_t hash, text_t key)
{
    for (size_t at = table_home (self, hash);; at = table_next (self, at)) {
        entry_t *entry = &self->table[at];
        if (entry->piece == NULL)
            return entry;
        if (entry->hash == hash && text_equal (piece_key (entry->piece), key))
            return entry;
    }
}

/* To half as many again: it is read and written in order. */
static void table_grow (timeline_t *self)
{
    entry_t *old = self->table;
    size_t old_size = self->table_size;
    self->table_size += self->table_size / 2;
    CHECK (self->table_size <= UINT32_MAX);
    self->table = mem_zero (self->table_size, sizeof *self->table);
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].piece == NULL)
            continue;
        size_t at = table_home (self, old[i].hash);
        while (self->table[at].piece != NULL)
            at = table_next (self, at);
        self->table[at] = old[i];
    }
    mem_free (old);
}

/* The entry of the key, which is made if there is none. */
static entry_t *entry_of (timeline_t *self, uint64_t hash, text_t key)
{
    entry_t *entry = table_find (self, hash, key);
    if (entry->piece != NULL)
        return entry;
    if ((self->keys + 1) * 5 > self->table_size * 4) {
        table_grow (self);
        entry = table_find (self, hash, key);
    }
    *entry = (entry_t){ hash, piece_new (&self->store, key) };
    self->keys++;
    return entry;
}

/* ---- memory that is asked for ahead ----
 *
 * Keys lie anywhere, and from one to its rows there are some steps through memory. Each is taken
 * for all keys before the next one, so that they wait together and not one after the other. */

typedef struct fetched {
    uint64_t hash[TIMELINE_FETCHED];
    const piece_t *piece[TIMELINE_FETCHED]; /* NULL: it was not found at once */
} fetched_t;

/* The piece of a hash, if it is not far from where it belongs. */
static const piece_t *table_glance (const timeline_t *self, uint64_t hash)
{
    size_t at = table_home (self, hash);
    for (size_t i = 0; i < GLANCED; i++, at = table_next (self, at))
        if (self->table[at].hash == hash || self->table[at].piece == NULL)
            return self->table[at].piece;
    return NULL;
}

static void fetch_pieces (const timeline_t *self, const text_t *keys, size_t count,
                          fetched_t *fetched)
{
    for (size_t i = 0; i < count; i++) {
        fetched->hash[i] = key_hash (keys[i]);
        __builtin_prefetch (&self->table[table_home (self, fetched->hash[i])]);
    }
    for (size_t i = 0; i < count; i++) {
        fetched->piece[i] = table_glance (self, fetched->hash[i]);
        for (size_t at = 0; fetched->piece[i] != NULL && at < NEAR; at += 64)
            __builtin_prefetch ((const uint8_t *)fetched->piece[i] + at);
    }
}

/* Where rows are added. */
static void fetch_ends (const timeline_t *self, const fetched_t *fetched, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const piece_t *piece = fetched->piece[i];
        const series_t *tree = piece != NULL ? piece_tree (piece) : NULL;
        if (tree != NULL)
            __builtin_prefetch (tree->last);
        else if (piece != NULL)
            piece_prefetch_end (piece, self->store.layout.size);
    }
    for (size_t i = 0; i < count; i++) {
        const series_t *tree = fetched->piece[i] != NULL ? piece_tree (fetched->piece[i]) : NULL;
        if (tree != NULL && tree->last != NULL)
            leaf_prefetch_end (&self->store.pool, tree->last);
    }
}

/* All rows of keys that have few, and the roots of others. */
static void fetch_rows (const timeline_t *self, const fetched_t *fetched, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const piece_t *piece = fetched->piece[i];
        const series_t *tree = piece != NULL ? piece_tree (piece) : NULL;
        if (tree != NULL)
            __builtin_prefetch (tree->root);
        else if (piece != NULL)
            piece_prefetch (piece, self->store.layout.size);
    }
}

void timeline_fetch (const timeline_t *self, const text_t *keys, size_t count)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    fetched_t fetched;
    for (size_t from = 0; from < count; from += TIMELINE_FETCHED) {
        size_t part = count - from < TIMELINE_FETCHED ? count - from : TIMELINE_FETCHED;
        fetch_pieces (self, keys + from, part, &fetched);
        fetch_rows (self, &fetched, part);
    }
}

/* ---- adding ---- */

/* Has pieces of a size that has become rare stand together. */
static void move_together (timeline_t *self, size_t size)
{
    void *pieces[SLAB_PIECES_MAX];
    uint64_t hash[SLAB_PIECES_MAX];
    size_t count = slab_leave (&self->store.slab, size, pieces);
    for (size_t i = 0; i < count; i++) {
        hash[i] = key_hash (piece_key (pieces[i]));
        __builtin_prefetch (&self->table[table_home (self, hash[i])], 1);
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = table_home (self, hash[i]);
        for (; self->table[at].piece != pieces[i]; at = table_next (self, at))
            CHECK (self->table[at].piece != NULL);
        self->table[at].piece = piece_move (pieces[i], &self->store);
    }
}

/* Where the key's row of that time is written. */
static uint8_t *room_for (timeline_t *self, entry_t *entry, int64_t time)
{
    if (piece_is_full (entry->piece)) {
        size_t size = piece_size (entry->piece, self->store.layout.size);
        entry->piece = piece_grow (entry->piece, &self->store);
        move_together (self, size);
    }
    series_t *tree = piece_tree (entry->piece);
    return tree != NULL ? series_insert (&self->store, tree, time)
                        : piece_insert (entry->piece, &self->store.layout, time);
}

void timeline_add (timeline_t *self, const projection_t *rows)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    fetched_t fetched;
    for (size_t from = 0; from < rows->rows; from += TIMELINE_FETCHED) {
        size_t count = rows->rows - from < TIMELINE_FETCHED ? rows->rows - from : TIMELINE_FETCHED;
        fetch_pieces (self, rows->key + from, count, &fetched);
        fetch_ends (self, &fetched, count);
        for (size_t i = 0; i < count; i++) {
            entry_t *entry = entry_of (self, fetched.hash[i], rows->key[from + i]);
            uint8_t *row = room_for (self, entry, rows->time[from + i]);
            row_pack (&self->store.layout, row, rows, from + i, &self->store.strings);
        }
    }
    self->events += rows->rows;
}

/* ---- answers ---- */

/* Adds the rows of a piece that are in the range. */
static void add_few (const series_range_t *range, const piece_t *piece)
{
    const row_layout_t *layout = &range->store->layout;
    const uint8_t *first = piece_rows (piece);
    if (range->left < range->right)
        series_add_rows (range, first, row_count_to (layout, first, piece->rows, range->left),
                         row_count_to (layout, first, piece->rows, range->right));
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

/* Of a key that is there. */
static int64_t latest_of (const timeline_t *self, const piece_t *piece, int64_t as_of)
{
    const row_layout_t *layout = &self->store.layout;
    const series_t *tree = piece_tree (piece);
    if (tree != NULL)
        return series_latest (&self->store, tree, as_of);
    const uint8_t *first = piece_rows (piece);
    size_t count = row_count_to (layout, first, piece->rows, as_of);
    return count > 0 ? row_time (first + (count - 1) * layout->size) : ANSWER_NEVER;
}

void timeline_merge (timeline_t *self, text_t key, int64_t as_of, answer_t *answer)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    CHECK (answer_plan (answer)->hash == self->plan->hash);
    const piece_t *piece = table_find (self, key_hash (key), key)->piece;
    if (piece == NULL)
        return;
    const series_t *tree = piece_tree (piece);
    answer_saw (answer, latest_of (self, piece, as_of));
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
        if (tree != NULL)
            series_add_range (&range, tree);
        else
            add_few (&range, piece);
        merge_window (self, at, answer);
        right = left;
    }
}

bool timeline_rows (const timeline_t *self, text_t key, uint64_t hash, const uint8_t **row,
                    size_t *count, size_t most)
{
    CHECK_OBJECT (self, TIMELINE_MAGIC);
    const piece_t *piece = table_find (self, hash, key)->piece;
    if (piece == NULL)
        return true;
    const series_t *tree = piece_tree (piece);
    if (tree != NULL)
        return series_rows (&self->store, tree, row, count, most);
    if (piece->rows > most - *count)
        return false;
    const uint8_t *at = piece_rows (piece);
    for (size_t i = 0; i < piece->rows; i++, at += self->store.layout.size)
        row[(*count)++] = at;
    return true;
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

double timeline_key_size (void)
{
    /* The table grows by a half at 4/5: between 0.53 and 0.8 entries are used for one. Over table
     * sizes, 1 / load is 1.54 on the (logarithmic) average. */
    return sizeof (entry_t) * 1.54;
}
