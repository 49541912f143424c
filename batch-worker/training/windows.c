#include "batch-worker/training/windows.h"

#include "base/check.h"
#include "base/mem.h"
#include "batch-worker/training/fold.h"
#include "batch-worker/training/ranges.h"

enum {
    WINDOWS_MAGIC = 0x77696e64,
    MERGE_SMALL = 6,  /* events that cost about as much to add as a merge of states … */
    MERGE_LARGE = 64, /* … that may be large */
    TREE_LEAST = 4 * RANGES_LEAF, /* events of which a tree is worth it */
    NO_EDGE = UINT32_MAX,
};

/* An end of windows: the first event later than as-of - distance. */
typedef struct edge {
    int64_t distance;
    bool for_known;                    /* looked for when rows say what they know, alone */
    uint64_t at;                       /* for the row that came last */
    uint64_t number[WINDOWS_ROWS_MAX]; /* for each row of the group */
} edge_t;

typedef struct window {
    uint32_t cell;
    uint32_t slot;
    uint32_t left; /* edges; NO_EDGE: a lifetime */
    uint32_t right;
    uint32_t merge;   /* events that a merge is worth */
    aggregate_t only; /* what all of the cell's features are; NONE: they differ */
    uint64_t taken;   /* of a lifetime: events below are in `state` */
    void *state;      /* of a lifetime */
} window_t;

struct windows {
    uint32_t magic;
    const plan_t *plan;
    edge_t *edges; /* by distance, ascending */
    size_t edges_count;
    window_t *windows;
    size_t count;
    bool lifetimes;
    /* Of a view with a ttl, which answers are asked for the latest event for: */
    bool expires;
    uint32_t now; /* the edge at as-of … */
    uint32_t old; /* … and the one that is the ttl before, which known ones are looked for from */
    int64_t latest;  /* of the events that were let go */
    uint8_t *middle; /* sets of slot accumulators to compute in */
    uint8_t *later;
    ranges_t *ranges;
};

/* ---- windows of the plan ---- */

static uint32_t edge_of (windows_t *self, int64_t distance)
{
    size_t at = 0;
    while (at < self->edges_count &&
           (self->edges[at].distance != distance || self->edges[at].for_known))
        at++;
    if (at == self->edges_count)
        self->edges[self->edges_count++] = (edge_t){ .distance = distance };
    return (uint32_t)at;
}

/* What all features of a cell are, or NONE. */
static aggregate_t only_aggregate (const plan_t *plan, uint32_t cell)
{
    aggregate_t only = AGGREGATE_NONE;
    for (size_t f = 0; f < plan->features_count; f++) {
        const plan_feature_t *feature = &plan->features[f];
        if (feature->derived != NULL || feature->cell != cell)
            continue;
        if (only != AGGREGATE_NONE && feature->aggregate != only)
            return AGGREGATE_NONE;
        only = feature->aggregate;
    }
    return only;
}

static void add_window (windows_t *self, uint32_t cell)
{
    const plan_cell_t *at = &self->plan->cells[cell];
    const plan_slot_t *slot = &self->plan->slots[at->slot];
    bool lifetime = at->window == WINDOW_LIFETIME;
    window_t *window = &self->windows[self->count++];
    *window = (window_t){ .cell = cell,
                          .slot = at->slot,
                          .left = NO_EDGE,
                          .right = edge_of (self, slot->delay),
                          .only = only_aggregate (self->plan, cell),
                          .merge = state_is_large (slot->spec) ? MERGE_LARGE : MERGE_SMALL };
    if (!lifetime) {
        window->left = edge_of (self, slot->delay + at->window);
        return;
    }
    self->lifetimes = true;
    window->state = mem_alloc (state_size (slot->spec));
    state_init (slot->spec, window->state);
}

windows_t *windows_new (const plan_t *plan, const bool *cells, size_t memory)
{
    windows_t *self = mem_zero (1, sizeof *self);
    self->magic = WINDOWS_MAGIC;
    self->plan = plan;
    self->edges = mem_zero (2 * plan->cells_count + 2, sizeof *self->edges);
    self->windows = mem_zero (plan->cells_count + 1, sizeof *self->windows);
    for (uint32_t c = 0; c < plan->cells_count; c++)
        if (cells[c])
            add_window (self, c);
    self->expires = plan->ttl > 0 && self->count > 0;
    self->latest = ANSWER_NEVER;
    if (self->expires) {
        self->now = edge_of (self, 0);
        self->old = (uint32_t)self->edges_count++;
        self->edges[self->old] = (edge_t){ .distance = plan->ttl + 1, .for_known = true };
    }
    self->middle = mem_alloc (plan->slots_size);
    self->later = mem_alloc (plan->slots_size);
    plan_slots_init (plan, self->middle);
    plan_slots_init (plan, self->later);
    self->ranges = ranges_new (plan, memory);
    return self;
}

void windows_destroy (windows_t **self_p)
{
    windows_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, WINDOWS_MAGIC);
    *self_p = NULL;
    for (size_t i = 0; i < self->count; i++) {
        window_t *window = &self->windows[i];
        if (window->state != NULL)
            state_release (self->plan->slots[window->slot].spec, window->state);
        mem_free (window->state);
    }
    plan_slots_release (self->plan, self->middle);
    plan_slots_release (self->plan, self->later);
    ranges_destroy (&self->ranges);
    mem_free (self->middle);
    mem_free (self->later);
    mem_free (self->windows);
    mem_free (self->edges);
    self->magic = 0;
    mem_free (self);
}

void windows_by_offset (windows_t *self, offsets_t loads)
{
    CHECK_OBJECT (self, WINDOWS_MAGIC);
    ranges_by_offset (self->ranges, loads);
}

void windows_clear (windows_t *self)
{
    CHECK_OBJECT (self, WINDOWS_MAGIC);
    for (size_t i = 0; i < self->edges_count; i++)
        self->edges[i].at = 0;
    for (size_t i = 0; self->lifetimes && i < self->count; i++) {
        window_t *window = &self->windows[i];
        window->taken = 0;
        if (window->state != NULL)
            state_reset (self->plan->slots[window->slot].spec, window->state);
    }
    self->latest = ANSWER_NEVER;
    ranges_clear (self->ranges);
}

/* ---- edges ---- */

enum { STEPS = 4 }; /* events that are looked at one after the other */

/* The first of `times` from `at` on, up to `end`, that is later than `time`. */
static inline size_t find_later (const int64_t *times, size_t at, size_t end, int64_t time)
{
    for (size_t i = 0; i < STEPS; i++, at++)
        if (at == end || times[at] > time)
            return at;
    size_t low = at - 1; /* is not later */
    size_t step = STEPS;
    while (low + step < end && times[low + step] <= time) {
        low += step;
        step *= 2;
    }
    size_t high = low + step < end ? low + step : end;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (times[middle] <= time)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static void find_edges (windows_t *self, const event_rows_t *events, const window_row_t *rows,
                        size_t count, bool known)
{
    const int64_t *times = events->rows.time;
    size_t end = event_row (events, events->end);
    for (size_t i = 0; i < self->edges_count; i++) {
        edge_t *edge = &self->edges[i];
        if (edge->for_known && !known)
            continue;
        size_t at = event_row (events, edge->at > events->first ? edge->at : events->first);
        for (size_t k = 0; k < count; k++) {
            at = find_later (times, at, end, rows[k].as_of - edge->distance);
            edge->number[k] = events->first + (at - events->at);
        }
        edge->at = edge->number[count - 1];
    }
}

/* ---- one window of all rows ---- */

/* Adds events to an accumulator in the cheapest way. */
static void add_range (windows_t *self, const window_t *window, void *acc,
                       const event_rows_t *events, uint64_t from, uint64_t to)
{
    if (to - from < TREE_LEAST)
        fold_range (self->plan, window->slot, acc, events, from, to);
    else
        ranges_add (self->ranges, window->slot, acc, events, from, to);
}

static void add_lifetime (windows_t *self, window_t *window, const event_rows_t *events,
                          const window_row_t *rows, size_t count)
{
    state_spec_t spec = self->plan->slots[window->slot].spec;
    const uint64_t *right = self->edges[window->right].number;
    for (size_t k = 0; k < count; k++) {
        if (right[k] > window->taken) {
            fold_range (self->plan, window->slot, window->state, events, window->taken, right[k]);
            window->taken = right[k];
        }
        state_merge (spec, answer_cell (rows[k].answer, window->cell), window->state);
    }
}

/* Rows [from, to) have events in common: those between the last one's left end and the first one's
 * right end. */
static void add_sliding (windows_t *self, const window_t *window, const event_rows_t *events,
                         const window_row_t *rows, size_t from, size_t to)
{
    const plan_slot_t *slot = &self->plan->slots[window->slot];
    const uint64_t *left = self->edges[window->left].number;
    const uint64_t *right = self->edges[window->right].number;
    void *middle = self->middle + slot->place;
    state_reset (slot->spec, middle);
    add_range (self, window, middle, events, left[to - 1], right[from]);
    for (size_t k = to; k-- > from;) {
        if (k + 1 < to)
            add_range (self, window, middle, events, left[k], left[k + 1]);
        state_merge (slot->spec, answer_cell (rows[k].answer, window->cell), middle);
    }
    if (right[to - 1] == right[from])
        return;
    void *later = self->later + slot->place;
    state_reset (slot->spec, later);
    for (size_t k = from + 1; k < to; k++) {
        add_range (self, window, later, events, right[k - 1], right[k]);
        if (right[k] > right[from])
            state_merge (slot->spec, answer_cell (rows[k].answer, window->cell), later);
    }
}

static void add_window_rows (windows_t *self, const window_t *window, const event_rows_t *events,
                             const window_row_t *rows, size_t count)
{
    const uint64_t *left = self->edges[window->left].number;
    const uint64_t *right = self->edges[window->right].number;
    for (size_t from = 0, to; from < count; from = to) {
        uint64_t each = right[from] - left[from];
        for (to = from + 1; to < count && left[to] < right[from]; to++)
            each += right[to] - left[to];
        uint64_t together = right[to - 1] - left[from] + 2 * window->merge * (to - from);
        if (to - from > 1 && together < each) {
            add_sliding (self, window, events, rows, from, to);
            continue;
        }
        for (size_t k = from; k < to; k++)
            if (left[k] < right[k])
                add_range (self, window, answer_cell (rows[k].answer, window->cell), events,
                           left[k], right[k]);
    }
}

/* Windows of which neighbours have most events in common, and that are not long for how many they
 * are, may have a quick way. */
static bool put_finals (const windows_t *self, const window_t *window, const event_rows_t *events,
                        const window_row_t *rows, size_t count)
{
    enum { ROWS_LEAST = 64, ROWS_EACH = 16 };
    const uint64_t *left = self->edges[window->left].number;
    const uint64_t *right = self->edges[window->right].number;
    size_t from[WINDOWS_ROWS_MAX], to[WINDOWS_ROWS_MAX];
    value_t values[WINDOWS_ROWS_MAX];
    if (window->only == AGGREGATE_NONE ||
        right[count - 1] - left[0] > ROWS_LEAST + ROWS_EACH * count)
        return false;
    for (size_t k = 0; k < count; k++) {
        from[k] = event_row (events, left[k]);
        to[k] = event_row (events, right[k]);
    }
    state_rows_t all = fold_rows (self->plan, window->slot, events, left[0], right[count - 1]);
    const state_windows_t windows = { from, to, count, values };
    if (!state_final_windows (self->plan->slots[window->slot].spec, window->only, &all, &windows))
        return false;
    for (size_t k = 0; k < count; k++)
        rows[k].finals[window->cell] = values[k];
    return true;
}

static void add_known (windows_t *self, const window_t *window, const event_rows_t *events,
                       const window_row_t *row, size_t k)
{
    const edge_t *edges = self->edges;
    uint64_t from = window->left == NO_EDGE ? events->first : edges[window->left].number[k];
    uint64_t to = edges[window->right].number[k];
    void *acc = answer_cell (row->answer, window->cell);
    if (row->limit != NULL)
        ranges_add_limited (self->ranges, window->slot, acc, events, from, to, row->limit);
    else
        ranges_add_known (self->ranges, window->slot, acc, events, from, to, row->known);
}

/* Tells each row's answer of the latest event that counts for it; of rows that say what they know,
 * when it is not older than the ttl. */
static void find_latest (windows_t *self, const event_rows_t *events, const window_row_t *rows,
                         size_t count, bool known)
{
    const uint64_t *now = self->edges[self->now].number;
    const uint64_t *old = self->edges[self->old].number;
    for (size_t k = 0; k < count; k++) {
        uint64_t end = now[k];
        if (known && rows[k].limit != NULL)
            end = ranges_latest_limited (self->ranges, events, old[k], end, rows[k].limit);
        else if (known)
            end = ranges_latest_known (self->ranges, events, old[k], end, rows[k].known);
        if (end > events->first)
            answer_saw (rows[k].answer, events->rows.time[event_row (events, end - 1)]);
        else if (!known)
            answer_saw (rows[k].answer, self->latest);
    }
}

bool windows_add (windows_t *self, const event_rows_t *events, const window_row_t *rows,
                  size_t count)
{
    CHECK_OBJECT (self, WINDOWS_MAGIC);
    CHECK (count > 0 && count <= WINDOWS_ROWS_MAX);
    bool known = false;
    bool added = self->expires;
    if (events->end == 0)
        return false;
    bool limited = rows[0].limit != NULL;
    for (size_t k = 0; k < count; k++)
        known |= limited || rows[k].known != WINDOW_ALL_KNOWN;
    CHECK (!known || events->end == events->first ||
           (limited ? events->rows.offset != NULL : events->rows.ingest != NULL));
    find_edges (self, events, rows, count, known);
    if (self->expires)
        find_latest (self, events, rows, count, known);
    for (size_t i = 0; i < self->count; i++) {
        window_t *window = &self->windows[i];
        bool lifetime = window->left == NO_EDGE;
        if (!known && !lifetime && rows[0].finals != NULL &&
            put_finals (self, window, events, rows, count))
            continue;
        added = true;
        for (size_t k = 0; known && k < count; k++)
            add_known (self, window, events, &rows[k], k);
        if (!known && lifetime)
            add_lifetime (self, window, events, rows, count);
        else if (!known)
            add_window_rows (self, window, events, rows, count);
    }
    return added;
}

/* ---- letting go ---- */

uint64_t windows_let_go (windows_t *self, const event_rows_t *events, int64_t as_of, bool known)
{
    CHECK_OBJECT (self, WINDOWS_MAGIC);
    if (known && self->lifetimes)
        return events->first;
    int64_t furthest = 0;
    for (size_t i = 0; i < self->edges_count; i++)
        if (self->edges[i].distance > furthest && (known || !self->edges[i].for_known))
            furthest = self->edges[i].distance;
    size_t row = find_later (events->rows.time, events->at, event_row (events, events->end),
                             as_of - furthest);
    uint64_t number = events->first + (row - events->at);
    for (size_t i = 0; i < self->count; i++) {
        window_t *window = &self->windows[i];
        if (window->left != NO_EDGE || window->taken >= number)
            continue;
        fold_range (self->plan, window->slot, window->state, events, window->taken, number);
        window->taken = number;
    }
    if (number > events->first)
        self->latest = events->rows.time[event_row (events, number - 1)];
    ranges_let_go (self->ranges, number);
    return number;
}

size_t windows_memory (const windows_t *self)
{
    return ranges_memory (self->ranges);
}
