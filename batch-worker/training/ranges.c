#include "batch-worker/training/ranges.h"

#include "base/check.h"
#include "base/mem.h"
#include "batch-worker/training/fold.h"

enum { RANGES_MAGIC = 0x72616e67, LEVELS = 8 };

/* A slot's partial. */
typedef struct node {
    uint8_t *bytes; /* NULL: not made */
    uint32_t size;
} node_t;

static uint8_t NOTHING[1]; /* the bytes of the empty partial */

/* Ingest times, or offsets; least above most: not made. */
typedef struct span {
    int64_t least;
    int64_t most;
} span_t;

/* The nodes of a level, from number `first` on. */
typedef struct level {
    uint64_t first;
    size_t count;
    size_t capacity;
    node_t *nodes; /* slots_count each */
    span_t *spans;
} level_t;

struct ranges {
    uint32_t magic;
    const plan_t *plan;
    size_t memory;
    size_t used; /* bytes of partials */
    level_t levels[LEVELS];
    uint8_t *scratch[LEVELS]; /* a set of slot accumulators each */
    buf_t partial;
    bool by_offset;
    offsets_t loads;
};

ranges_t *ranges_new (const plan_t *plan, size_t memory)
{
    ranges_t *self = mem_zero (1, sizeof *self);
    self->magic = RANGES_MAGIC;
    self->plan = plan;
    self->memory = memory;
    buf_init (&self->partial, AGGREGATE_PARTIAL_MAX);
    return self;
}

static void forget (ranges_t *self, node_t *node)
{
    if (node->bytes != NULL && node->bytes != NOTHING)
        mem_free (node->bytes);
    self->used -= node->size;
    *node = (node_t){ .bytes = NULL };
}

/* Forgets the level's first `count` nodes. */
static void drop (ranges_t *self, level_t *level, size_t count)
{
    size_t slots = self->plan->slots_count;
    for (size_t i = 0; i < count * slots; i++)
        forget (self, &level->nodes[i]);
    level->first += count;
    level->count -= count;
    if (count == 0 || level->count == 0)
        return;
    memmove (level->nodes, level->nodes + count * slots,
             level->count * slots * sizeof *level->nodes);
    memmove (level->spans, level->spans + count, level->count * sizeof *level->spans);
}

void ranges_clear (ranges_t *self)
{
    CHECK_OBJECT (self, RANGES_MAGIC);
    for (size_t l = 0; l < LEVELS; l++) {
        drop (self, &self->levels[l], self->levels[l].count);
        self->levels[l].first = 0;
    }
}

void ranges_destroy (ranges_t **self_p)
{
    ranges_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    ranges_clear (self);
    for (size_t l = 0; l < LEVELS; l++) {
        mem_free (self->levels[l].nodes);
        mem_free (self->levels[l].spans);
        if (self->scratch[l] != NULL)
            plan_slots_release (self->plan, self->scratch[l]);
        mem_free (self->scratch[l]);
    }
    buf_release (&self->partial);
    self->magic = 0;
    mem_free (self);
}

static uint64_t node_size (size_t level)
{
    uint64_t size = RANGES_LEAF;
    for (size_t l = 0; l < level; l++)
        size *= RANGES_FANOUT;
    return size;
}

void ranges_let_go (ranges_t *self, uint64_t number)
{
    CHECK_OBJECT (self, RANGES_MAGIC);
    for (size_t l = 0; l < LEVELS; l++) {
        level_t *level = &self->levels[l];
        uint64_t first = number / node_size (l);
        if (first <= level->first)
            continue;
        uint64_t gone = first - level->first;
        drop (self, level, gone < level->count ? (size_t)gone : level->count);
        level->first = first;
    }
}

/* Makes room for a node; returns its index. */
static size_t reach (ranges_t *self, level_t *level, uint64_t number)
{
    CHECK (number >= level->first);
    size_t slots = self->plan->slots_count;
    size_t at = (size_t)(number - level->first);
    if (at >= level->capacity) {
        size_t capacity = level->capacity * 2 > at + 1 ? level->capacity * 2 : at + 1;
        level->nodes = mem_resize (level->nodes, capacity * slots, sizeof *level->nodes);
        level->spans = mem_resize (level->spans, capacity, sizeof *level->spans);
        level->capacity = capacity;
    }
    for (; level->count <= at; level->count++) {
        memset (level->nodes + level->count * slots, 0, slots * sizeof *level->nodes);
        level->spans[level->count] = (span_t){ .least = INT64_MAX, .most = INT64_MIN };
    }
    return at;
}

static void *scratch_of (ranges_t *self, size_t level, uint32_t slot)
{
    const plan_t *plan = self->plan;
    if (self->scratch[level] == NULL) {
        self->scratch[level] = mem_alloc (plan->slots_size);
        plan_slots_init (plan, self->scratch[level]);
    }
    return self->scratch[level] + plan->slots[slot].place;
}

static void merge_node (const ranges_t *self, uint32_t slot, void *acc, const node_t *node)
{
    error_t error;
    text_t partial = { (const char *)node->bytes, node->size };
    status_t status = state_merge_partial (self->plan->slots[slot].spec, acc, partial, &error);
    CHECK (status == STATUS_OK);
}

static void keep (ranges_t *self, node_t *node)
{
    CHECK (!self->partial.bad);
    node->size = (uint32_t)self->partial.size;
    node->bytes = NOTHING;
    if (node->size == 0)
        return;
    node->bytes = mem_alloc (node->size);
    memcpy (node->bytes, self->partial.data, node->size);
    self->used += node->size;
}

/* The partial of a whole node, made if it is not there. */
static const node_t *node_of (ranges_t *self, size_t l, uint64_t number, uint32_t slot,
                              const event_rows_t *events)
{
    size_t slots = self->plan->slots_count;
    state_spec_t spec = self->plan->slots[slot].spec;
    size_t at = reach (self, &self->levels[l], number) * slots + slot;
    if (self->levels[l].nodes[at].bytes != NULL)
        return &self->levels[l].nodes[at];
    void *acc = scratch_of (self, l, slot);
    state_reset (spec, acc);
    if (l == 0)
        fold_range (self->plan, slot, acc, events, number * RANGES_LEAF,
                    (number + 1) * RANGES_LEAF);
    for (uint64_t c = 0; l > 0 && c < RANGES_FANOUT; c++)
        merge_node (self, slot, acc,
                    node_of (self, l - 1, number * RANGES_FANOUT + c, slot, events));
    buf_clear (&self->partial);
    state_encode (spec, acc, &self->partial);
    node_t *node = &self->levels[l].nodes[at];
    keep (self, node);
    return node;
}

/* What is too much is made again when it is needed. */
static void trim (ranges_t *self)
{
    for (size_t l = 0; self->used > self->memory && l < LEVELS; l++)
        for (size_t i = 0; i < self->levels[l].count * self->plan->slots_count; i++)
            forget (self, &self->levels[l].nodes[i]);
}

/* The largest node that begins or ends at the number and has at most `room` events: its level, or
 * -1. */
static int level_at (uint64_t number, uint64_t room)
{
    int level = -1;
    uint64_t size = RANGES_LEAF;
    while (level + 1 < LEVELS && number % size == 0 && size <= room) {
        level++;
        size *= RANGES_FANOUT;
    }
    return level;
}

static uint64_t leaf_end (uint64_t number, uint64_t to)
{
    uint64_t end = (number / RANGES_LEAF + 1) * RANGES_LEAF;
    return end < to ? end : to;
}

void ranges_add (ranges_t *self, uint32_t slot, void *acc, const event_rows_t *events,
                 uint64_t from, uint64_t to)
{
    CHECK_OBJECT (self, RANGES_MAGIC);
    while (from < to) {
        int level = level_at (from, to - from);
        if (level < 0) {
            uint64_t end = leaf_end (from, to);
            fold_range (self->plan, slot, acc, events, from, end);
            from = end;
            continue;
        }
        uint64_t size = node_size ((size_t)level);
        merge_node (self, slot, acc, node_of (self, (size_t)level, from / size, slot, events));
        from += size;
    }
    trim (self);
}

/* ---- what is known ---- */

/* Up to where: an ingest time, or a limit. */
typedef struct known {
    int64_t ingest;
    const training_limit_t *limit;
    const offsets_t *loads;
} known_t;

static void widen (span_t *span, int64_t least, int64_t most)
{
    span->least = least < span->least ? least : span->least;
    span->most = most > span->most ? most : span->most;
}

static span_t span_of (ranges_t *self, size_t l, uint64_t number, const event_rows_t *events)
{
    size_t at = reach (self, &self->levels[l], number);
    span_t span = self->levels[l].spans[at];
    if (span.least <= span.most)
        return span;
    size_t row = l == 0 ? event_row (events, number * RANGES_LEAF) : 0;
    for (size_t i = row; l == 0 && i < row + RANGES_LEAF; i++) {
        int64_t measure =
            self->by_offset ? (int64_t)events->rows.offset[i] : events->rows.ingest[i];
        widen (&span, measure, measure);
    }
    for (uint64_t c = 0; l > 0 && c < RANGES_FANOUT; c++) {
        span_t child = span_of (self, l - 1, number * RANGES_FANOUT + c, events);
        widen (&span, child.least, child.most);
    }
    self->levels[l].spans[at] = span;
    return span;
}

static bool is_known (const known_t *self, const event_rows_t *events, size_t row)
{
    return self->limit ? training_limit_counts (self->limit, self->loads, events->rows.offset[row])
                       : events->rows.ingest[row] <= self->ingest;
}

/* All of the span, or nothing of it? */
static bool knows_all (const known_t *self, const span_t *span)
{
    if (!self->limit)
        return span->most <= self->ingest;
    uint64_t end = self->loads->count == 0 ? self->limit->position : self->limit->cut;
    return self->limit->absent.count == 0 && (uint64_t)span->most < end;
}

static bool knows_none (const known_t *self, const span_t *span)
{
    return self->limit ? (uint64_t)span->least >= self->limit->position
                       : span->least > self->ingest;
}

/* Of at most a leaf's events, stretches of known ones together. */
static void fold_known (const ranges_t *self, uint32_t slot, void *acc, const event_rows_t *events,
                        uint64_t from, uint64_t to, const known_t *known)
{
    size_t row = event_row (events, from);
    uint64_t count = to - from;
    for (uint64_t at = 0, end; at < count; at = end + 1) {
        while (at < count && !is_known (known, events, row + at))
            at++;
        for (end = at; end < count && is_known (known, events, row + end); end++)
            ;
        fold_range (self->plan, slot, acc, events, from + at, from + end);
    }
}

static void add_known (ranges_t *self, uint32_t slot, void *acc, const event_rows_t *events,
                       uint64_t from, uint64_t to, const known_t *known)
{
    while (from < to) {
        int level = level_at (from, to - from);
        span_t span = { 0 };
        /* the largest node that is all known, or all unknown */
        for (; level >= 0; level--) {
            span = span_of (self, (size_t)level, from / node_size ((size_t)level), events);
            if (knows_all (known, &span) || knows_none (known, &span))
                break;
        }
        uint64_t end = level < 0 ? leaf_end (from, to) : from + node_size ((size_t)level);
        if (level < 0)
            fold_known (self, slot, acc, events, from, end, known);
        else if (knows_all (known, &span))
            ranges_add (self, slot, acc, events, from, end);
        from = end;
    }
}

void ranges_add_known (ranges_t *self, uint32_t slot, void *acc, const event_rows_t *events,
                       uint64_t from, uint64_t to, int64_t known)
{
    CHECK_OBJECT (self, RANGES_MAGIC);
    CHECK (!self->by_offset);
    add_known (self, slot, acc, events, from, to, &(known_t){ .ingest = known });
}

static uint64_t latest_known (ranges_t *self, const event_rows_t *events, uint64_t from,
                              uint64_t to, const known_t *known)
{
    while (from < to) {
        int level = level_at (to, to - from);
        for (; level >= 0; level--) { /* the largest node of which nothing is known */
            uint64_t size = node_size ((size_t)level);
            span_t span = span_of (self, (size_t)level, to / size - 1, events);
            if (knows_none (known, &span))
                break;
        }
        if (level >= 0) {
            to -= node_size ((size_t)level);
            continue;
        }
        uint64_t begin = (to - 1) / RANGES_LEAF * RANGES_LEAF;
        for (begin = begin > from ? begin : from; to > begin; to--)
            if (is_known (known, events, event_row (events, to - 1)))
                return to;
    }
    return 0;
}

uint64_t ranges_latest_known (ranges_t *self, const event_rows_t *events, uint64_t from,
                              uint64_t to, int64_t known)
{
    CHECK_OBJECT (self, RANGES_MAGIC);
    CHECK (!self->by_offset);
    return latest_known (self, events, from, to, &(known_t){ .ingest = known });
}

uint64_t ranges_latest_limited (ranges_t *self, const event_rows_t *events, uint64_t from,
                                uint64_t to, const training_limit_t *limit)
{
    CHECK_OBJECT (self, RANGES_MAGIC);
    CHECK (self->by_offset);
    return latest_known (self, events, from, to,
                         &(known_t){ .limit = limit, .loads = &self->loads });
}

void ranges_by_offset (ranges_t *self, offsets_t loads)
{
    CHECK_OBJECT (self, RANGES_MAGIC);
    self->by_offset = true;
    self->loads = loads;
}

void ranges_add_limited (ranges_t *self, uint32_t slot, void *acc, const event_rows_t *events,
                         uint64_t from, uint64_t to, const training_limit_t *limit)
{
    CHECK_OBJECT (self, RANGES_MAGIC);
    CHECK (self->by_offset);
    add_known (self, slot, acc, events, from, to,
               &(known_t){ .limit = limit, .loads = &self->loads });
}

size_t ranges_memory (const ranges_t *self)
{
    size_t size = self->used;
    for (size_t l = 0; l < LEVELS; l++)
        size += self->levels[l].capacity *
                (self->plan->slots_count * sizeof (node_t) + sizeof (span_t));
    return size;
}
