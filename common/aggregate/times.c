/* TIMES: rows, and their event times while they are few.
 *
 * Partial: varint of rows; while these are at most TIMES_MAX, the times in µs, ascending: zigzag
 * varint of the first, and varints of how much later each of the others is than the one before. */
#include "aggregate/exact_number.h"
#include "aggregate/state_ops.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

enum { TIMES_MAX = AGGREGATE_TIMES_MAX, TIMES_FIRST = 8 };

typedef struct times {
    uint64_t rows;
    int64_t *time; /* owned: `rows` of them, ascending; none are kept over TIMES_MAX */
    uint32_t capacity;
} times_t;

static size_t times_size (state_spec_t spec)
{
    (void)spec;
    return sizeof (times_t);
}

static size_t times_partial_max (state_spec_t spec)
{
    (void)spec;
    return 9 + 10 * TIMES_MAX;
}

static void times_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(times_t *)acc = (times_t){ 0 };
}

static void times_release (state_spec_t spec, void *acc)
{
    mem_free (((times_t *)acc)->time);
    times_init (spec, acc);
}

static void times_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    ((times_t *)acc)->rows = 0;
}

/* Adds `more` times, ascending; NULL when they are too many to be kept. */
static bool take (times_t *self, const int64_t *time, uint64_t more)
{
    uint64_t had = self->rows;
    if (!rows_add (&self->rows, more))
        return false;
    if (self->rows > TIMES_MAX)
        return true;
    CHECK (time != NULL || more == 0);
    if (self->rows > self->capacity) {
        uint32_t capacity = self->capacity == 0 ? TIMES_FIRST : 2 * self->capacity;
        while (capacity < self->rows)
            capacity *= 2;
        self->time = mem_resize (self->time, capacity, sizeof *self->time);
        self->capacity = capacity;
    }
    /* From the end, so that nothing is overwritten before it was moved. */
    for (uint64_t to = self->rows; more > 0;)
        self->time[--to] =
            had > 0 && self->time[had - 1] > time[more - 1] ? self->time[--had] : time[--more];
    return true;
}

static void times_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    (void)spec, (void)value;
    CHECK (place != NULL);
    (void)take (acc, &place->time, 1);
}

static void times_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    const times_t *other = from;
    (void)take (acc, other->time, other->rows);
}

static bool times_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    reader_t reader = reader_of (partial.data, partial.size);
    uint64_t rows = partial_read_varint (&reader);
    if (reader.bad || rows == 0)
        return false;
    if (rows > TIMES_MAX)
        return reader_left (&reader) == 0 && take (acc, NULL, rows);
    int64_t time[TIMES_MAX];
    time[0] = partial_read_zigzag (&reader);
    for (uint64_t i = 1; i < rows; i++) {
        uint64_t later = partial_read_varint (&reader);
        if (later > (uint64_t)INT64_MAX - (uint64_t)time[i - 1])
            return false;
        time[i] = (int64_t)((uint64_t)time[i - 1] + later);
    }
    return !reader.bad && reader_left (&reader) == 0 && take (acc, time, rows);
}

static void times_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const times_t *self = acc;
    buf_put_varint (out, self->rows);
    if (self->rows > TIMES_MAX)
        return;
    buf_put_zigzag (out, self->time[0]);
    for (uint64_t i = 1; i < self->rows; i++)
        buf_put_varint (out, (uint64_t)self->time[i] - (uint64_t)self->time[i - 1]);
}

static bool times_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const times_t *)acc)->rows == 0;
}

static size_t times_memory (state_spec_t spec, const void *acc)
{
    (void)spec;
    const times_t *self = acc;
    return self->capacity * sizeof *self->time;
}

/* The sample's standard deviation of the gaps between neighbouring times. */
static status_t times_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                             const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec, (void)context;
    const times_t *self = acc;
    if (self->rows < 3)
        return STATUS_OK;
    if (self->rows > TIMES_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%s: of %llu events; at most %d have an answer",
                          aggregate_info (aggregate)->word, (unsigned long long)self->rows,
                          TIMES_MAX);
    uint64_t gaps = self->rows - 1;
    uint128_t squares = 0; /* at most the square of their sum, which is below 2^64 */
    for (uint64_t i = 0; i < gaps; i++) {
        uint64_t gap = (uint64_t)self->time[i + 1] - (uint64_t)self->time[i];
        squares += (uint128_t)gap * gap;
    }
    uint64_t limbs[2] = { (uint64_t)squares, (uint64_t)(squares >> 64) };
    exact_number_t sum, sum_of_squares, dispersion;
    exact_number_of_int128 (&sum, (int128_t)self->time[gaps] - self->time[0]);
    exact_number_of_limbs (&sum_of_squares, limbs, 2);
    bool positive = exact_number_dispersion (&dispersion, gaps, &sum, &sum_of_squares);
    CHECK (positive);
    uint128_t divisor = (uint128_t)(gaps * (gaps - 1)) * ((uint64_t)TIME_SECOND * TIME_SECOND);
    double result;
    if (!exact_number_round_root (&dispersion, divisor, &result))
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

const state_ops_t state_ops_TIMES = {
    .size = times_size,
    .partial_max = times_partial_max,
    .init = times_init,
    .release = times_release,
    .reset = times_reset,
    .add = times_add,
    .merge = times_merge,
    .merge_partial = times_merge_partial,
    .encode = times_encode,
    .is_empty = times_is_empty,
    .memory = times_memory,
    .final = times_final,
};
