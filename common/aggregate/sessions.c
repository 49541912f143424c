/* SESSIONS: the maximal chains of events of which each is at most the gap after the one before.
 *
 * A chain is known by its first and last time. The union of two sets of chains is made by joining
 * those that overlap or are at most the gap apart: an event between others, or near their ends,
 * only ever makes a chain longer or joins two, so chains commute and associate. What is capped must
 * not shrink when rows are added, as the number of chains may; so it is the number of *cells* that
 * hold events, cell c being the times from c * gap to (c + 1) * gap. A chain leaves no cell out,
 * and no two chains share one, so the cells follow from the chains. Over the cap the state is
 * nothing but that.
 *
 * Partial: varint of the number of chains; for the first a zigzag varint of its first time, for
 * each other a varint of how much more than the gap + 1 it is after the last time of the one
 * before; then a varint of last time - first time. Over the cap a varint of 0 alone. */
#include "aggregate/exact_number.h"
#include "aggregate/partial.h"
#include "aggregate/state_ops.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

enum {
    CELLS_MAX = 10000,
    FIRST_CAPACITY = 4,
    FEW = 4, /* chains that are taken one by one */
};
#define GAP_MAX (3650 * TIME_DAY)
_Static_assert(GAP_MAX < INT64_MAX / (2 * CELLS_MAX), "two full states span less than an int64");

typedef struct chain {
    int64_t first;
    int64_t last;
} chain_t;

typedef struct sessions {
    chain_t *chain; /* owned; ascending, more than the gap apart */
    chain_t *spare; /* owned; what a weave writes */
    uint32_t count;
    uint32_t capacity;
    uint32_t spare_capacity;
    bool too_many;  /* and no chains */
    uint64_t cells; /* at most; when that is over the cap they are counted */
} sessions_t;

static size_t sessions_size (state_spec_t spec)
{
    return spec.param >= 1 && spec.param <= GAP_MAX ? sizeof (sessions_t) : 0;
}

static size_t sessions_partial_max (state_spec_t spec)
{
    (void)spec;
    return 2 + CELLS_MAX * (10 + 9);
}

static void sessions_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(sessions_t *)acc = (sessions_t){ 0 };
}

static void sessions_release (state_spec_t spec, void *acc)
{
    mem_free (((sessions_t *)acc)->chain);
    mem_free (((sessions_t *)acc)->spare);
    sessions_init (spec, acc);
}

static void sessions_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    sessions_t *self = acc;
    self->count = 0;
    self->cells = 0;
    self->too_many = false;
}

static void take_too_many (sessions_t *self)
{
    self->count = 0;
    self->cells = 0;
    self->too_many = true;
}

/* ---- chains ---- */

static int64_t cell_of (int64_t time, int64_t gap)
{
    return time / gap - (time % gap < 0);
}

static uint64_t cells_of (chain_t chain, int64_t gap)
{
    return (uint64_t)cell_of (chain.last, gap) - (uint64_t)cell_of (chain.first, gap) + 1;
}

/* Is `later` more than the gap after `earlier`? */
static bool is_apart (int64_t earlier, int64_t later, int64_t gap)
{
    return later > earlier && (uint64_t)later - (uint64_t)earlier > (uint64_t)gap;
}

/* How many chains end more than the gap before the time. Mostly it is at or after the last one. */
static uint32_t chains_before (const sessions_t *self, int64_t time, int64_t gap)
{
    uint32_t low = 0;
    uint32_t high = self->count;
    if (high > 0 && time >= self->chain[high - 1].first)
        return high - !is_apart (self->chain[high - 1].last, time, gap);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (is_apart (self->chain[middle].last, time, gap))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Room for `more` chains after those that there are. */
static void make_room (sessions_t *self, uint32_t more)
{
    uint32_t needed = self->count + more;
    if (needed <= self->capacity)
        return;
    uint32_t doubled = self->capacity == 0 ? FIRST_CAPACITY : 2 * self->capacity;
    self->capacity = doubled > needed ? doubled : needed;
    self->chain = mem_resize (self->chain, self->capacity, sizeof *self->chain);
}

static void check_cells (sessions_t *self, int64_t gap)
{
    if (self->cells <= CELLS_MAX)
        return;
    self->cells = 0;
    for (uint32_t i = 0; i < self->count; i++)
        self->cells += cells_of (self->chain[i], gap);
    if (self->cells > CELLS_MAX)
        take_too_many (self);
}

/* Joins the chain with all that it touches. */
static void take_chain (sessions_t *self, chain_t chain, int64_t gap)
{
    if (self->too_many)
        return;
    uint32_t from = chains_before (self, chain.first, gap);
    uint32_t to = from;
    for (; to < self->count && !is_apart (chain.last, self->chain[to].first, gap); to++) {
        const chain_t *joined = &self->chain[to];
        self->cells -= cells_of (*joined, gap);
        chain.first = joined->first < chain.first ? joined->first : chain.first;
        chain.last = joined->last > chain.last ? joined->last : chain.last;
    }
    if (to == from)
        make_room (self, 1);
    if (to != from + 1)
        memmove (self->chain + from + 1, self->chain + to,
                 (self->count - to) * sizeof *self->chain);
    self->chain[from] = chain;
    self->count = self->count - (to - from) + 1;
    self->cells += cells_of (chain, gap);
    check_cells (self, gap);
}

/* Joins with `count` chains of another state, in one pass over both. They may stand in the room
 * after the own ones. */
static void weave (sessions_t *self, const chain_t *other, uint32_t count, int64_t gap)
{
    if (self->spare_capacity < self->count + count) {
        self->spare_capacity = self->count + count;
        self->spare = mem_resize (self->spare, self->spare_capacity, sizeof *self->spare);
    }
    uint32_t own_at = 0;
    uint32_t other_at = 0;
    uint32_t out = 0;
    while (own_at < self->count || other_at < count) {
        bool own = other_at == count ||
                   (own_at < self->count && self->chain[own_at].first <= other[other_at].first);
        chain_t next = own ? self->chain[own_at++] : other[other_at++];
        chain_t *last = &self->spare[out - (out > 0)];
        if (out == 0 || is_apart (last->last, next.first, gap))
            self->spare[out++] = next;
        else if (next.last > last->last)
            last->last = next.last;
    }
    chain_t *chain = self->chain;
    uint32_t capacity = self->capacity;
    self->chain = self->spare;
    self->capacity = self->spare_capacity;
    self->spare = chain;
    self->spare_capacity = capacity;
    self->count = out;
}

/* Joins with the chains of another state that has so many cells; they may stand likewise. */
static void take_chains (sessions_t *self, const chain_t *other, uint32_t count, uint64_t cells,
                         int64_t gap)
{
    if (count > FEW) {
        weave (self, other, count, gap);
        self->cells += cells;
        check_cells (self, gap);
        return;
    }
    chain_t few[FEW];
    memcpy (few, other, count * sizeof *few);
    for (uint32_t i = 0; i < count && !self->too_many; i++)
        take_chain (self, few[i], gap);
}

static void sessions_add (state_spec_t spec, void *acc, const value_t *value,
                          const row_place_t *place)
{
    (void)value;
    CHECK (place != NULL);
    take_chain (acc, (chain_t){ place->time, place->time }, spec.param);
}

static void sessions_merge (state_spec_t spec, void *acc, const void *from)
{
    sessions_t *self = acc;
    const sessions_t *other = from;
    if (other->too_many)
        take_too_many (self);
    if (!self->too_many && other->count > 0)
        take_chains (self, other->chain, other->count, other->cells, spec.param);
}

/* ---- partials ---- */

/* Moves the time by as much as the next varint and `more` say, if there is such a time. */
static int64_t read_later (reader_t *reader, int64_t time, uint64_t more)
{
    uint64_t most = (uint64_t)INT64_MAX - (uint64_t)time;
    uint64_t step = partial_read_varint (reader);
    reader->bad = reader->bad || more > most || step > most - more;
    return reader->bad ? time : (int64_t)((uint64_t)time + step + more);
}

/* Reads the chains into the room after the own ones; *cells of them. */
static bool read_chains (sessions_t *self, reader_t *reader, uint64_t count, int64_t gap,
                         uint64_t *cells)
{
    chain_t chain = { 0 };
    for (uint64_t i = 0; i < count; i++) {
        chain.first = i == 0 ? partial_read_zigzag (reader)
                             : read_later (reader, chain.last, (uint64_t)gap + 1);
        chain.last = read_later (reader, chain.first, 0);
        if (reader->bad || (uint64_t)chain.last - (uint64_t)chain.first > CELLS_MAX * (uint64_t)gap)
            return false;
        *cells += cells_of (chain, gap);
        if (*cells > CELLS_MAX)
            return false;
        self->chain[self->count + i] = chain;
    }
    return true;
}

static bool sessions_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    sessions_t *self = acc;
    reader_t reader = reader_of (partial.data, partial.size);
    uint64_t count = partial_read_varint (&reader);
    uint64_t cells = 0;
    if (reader.bad || count > CELLS_MAX || 2 * count > reader_left (&reader))
        return false;
    make_room (self, (uint32_t)count);
    if (!read_chains (self, &reader, count, spec.param, &cells) || reader_left (&reader) != 0)
        return false;
    if (count == 0)
        take_too_many (self);
    else if (!self->too_many)
        take_chains (self, self->chain + self->count, (uint32_t)count, cells, spec.param);
    return true;
}

static void sessions_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    const sessions_t *self = acc;
    buf_put_varint (out, self->count);
    for (uint32_t i = 0; i < self->count; i++) {
        const chain_t *chain = &self->chain[i];
        if (i == 0)
            buf_put_zigzag (out, chain->first);
        else
            buf_put_varint (out, (uint64_t)chain->first - (uint64_t)self->chain[i - 1].last -
                                     (uint64_t)spec.param - 1);
        buf_put_varint (out, (uint64_t)(chain->last - chain->first));
    }
}

static bool sessions_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    const sessions_t *self = acc;
    return !self->too_many && self->count == 0;
}

static size_t sessions_memory (state_spec_t spec, const void *acc)
{
    (void)spec;
    const sessions_t *self = acc;
    return ((size_t)self->capacity + self->spare_capacity) * sizeof *self->chain;
}

/* ---- answers ---- */

/* µs, of which `rows` are taken the mean, as seconds. */
static status_t final_seconds (int64_t duration, uint64_t rows, aggregate_t aggregate,
                               value_t *value, error_t *error)
{
    exact_number_t number;
    double seconds;
    exact_number_of_int128 (&number, duration);
    if (!exact_number_round_quotient (&number, (uint128_t)rows * TIME_SECOND, &seconds))
        return final_float_range (aggregate, error);
    final_float (value, seconds);
    return STATUS_OK;
}

static status_t sessions_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                                const final_context_t *context, value_t *value, error_t *error)
{
    (void)context, (void)spec;
    const sessions_t *self = acc;
    if (self->too_many)
        return error_set (
            error, STATUS_RANGE,
            "%s: events in more than %d stretches of the gap's length are too many to "
            "tell sessions apart; a shorter window or a longer gap has fewer",
            aggregate_info (aggregate)->word, CELLS_MAX);
    int64_t longest = 0;
    int64_t total = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        int64_t duration = self->chain[i].last - self->chain[i].first;
        longest = duration > longest ? duration : longest;
        total += duration;
    }
    if (aggregate == AGGREGATE_SESSION_COUNT)
        final_int (value, self->count);
    else if (self->count > 0 && aggregate == AGGREGATE_SESSION_DURATION_MEAN)
        return final_seconds (total, self->count, aggregate, value, error);
    else if (self->count > 0)
        return final_seconds (aggregate == AGGREGATE_SESSION_DURATION_MAX ? longest : total, 1,
                              aggregate, value, error);
    return STATUS_OK;
}

const state_ops_t state_ops_SESSIONS = {
    .size = sessions_size,
    .partial_max = sessions_partial_max,
    .init = sessions_init,
    .release = sessions_release,
    .reset = sessions_reset,
    .add = sessions_add,
    .merge = sessions_merge,
    .merge_partial = sessions_merge_partial,
    .encode = sessions_encode,
    .is_empty = sessions_is_empty,
    .memory = sessions_memory,
    .final = sessions_final,
};
