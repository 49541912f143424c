/* SPAN: rows, and the least and the greatest event time.
 *
 * Partial: varint of rows, zigzag varint of the least time in µs, varint of how much later the
 * greatest is. */
#include "aggregate/exact_number.h"
#include "aggregate/state_ops.h"

#include "base/check.h"
#include "base/timestamp.h"

typedef struct span {
    uint64_t rows;
    int64_t least;
    int64_t greatest;
} span_t;

static size_t span_size (state_spec_t spec)
{
    (void)spec;
    return sizeof (span_t);
}

static size_t span_partial_max (state_spec_t spec)
{
    (void)spec;
    return 9 + 10 + 10;
}

static void span_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(span_t *)acc = (span_t){ 0 };
}

static bool take (span_t *self, const span_t *other)
{
    bool first = self->rows == 0;
    if (!rows_add (&self->rows, other->rows))
        return false;
    if (first || other->least < self->least)
        self->least = other->least;
    if (first || other->greatest > self->greatest)
        self->greatest = other->greatest;
    return true;
}

static void span_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    (void)spec, (void)value;
    CHECK (place != NULL);
    (void)take (acc, &(span_t){ 1, place->time, place->time });
}

static void span_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    const span_t *other = from;
    if (other->rows > 0)
        (void)take (acc, other);
}

static bool span_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    reader_t reader = reader_of (partial.data, partial.size);
    span_t other = { .rows = partial_read_varint (&reader) };
    other.least = partial_read_zigzag (&reader);
    uint64_t later = partial_read_varint (&reader);
    if (reader.bad || reader_left (&reader) != 0 || other.rows == 0 ||
        (other.rows == 1 && later != 0) || later > (uint64_t)INT64_MAX - (uint64_t)other.least)
        return false;
    other.greatest = (int64_t)((uint64_t)other.least + later);
    return take (acc, &other);
}

static void span_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const span_t *self = acc;
    buf_put_varint (out, self->rows);
    buf_put_zigzag (out, self->least);
    buf_put_varint (out, (uint64_t)self->greatest - (uint64_t)self->least);
}

static bool span_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const span_t *)acc)->rows == 0;
}

static status_t span_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                            const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec;
    const span_t *self = acc;
    bool age = aggregate == AGGREGATE_AGE;
    if (self->rows < (age ? 1 : 2))
        return STATUS_OK;
    int64_t to = age ? context->as_of : self->greatest;
    int64_t from = age ? self->greatest : self->least;
    uint128_t divisor = (uint128_t)(age ? 1 : self->rows - 1) * TIME_SECOND;
    exact_number_t number;
    double result;
    exact_number_of_int128 (&number, (int128_t)to - from);
    if (!exact_number_round_quotient (&number, divisor, &result))
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

const state_ops_t state_ops_SPAN = {
    .size = span_size,
    .partial_max = span_partial_max,
    .init = span_init,
    .release = span_init,
    .reset = span_init,
    .add = span_add,
    .merge = span_merge,
    .merge_partial = span_merge_partial,
    .encode = span_encode,
    .is_empty = span_is_empty,
    .final = span_final,
};
