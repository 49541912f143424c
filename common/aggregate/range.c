/* RANGE: the least and the greatest number, for the distance between them.
 *
 * Partial: the least, then the greatest, as in held_value.h. */
#include "aggregate/held_value.h"
#include "aggregate/number_term.h"
#include "aggregate/state_ops.h"

#include "base/decimal.h"

typedef struct range {
    held_value_t least;
    held_value_t greatest;
    bool present;
} range_t;

static size_t range_size (state_spec_t spec)
{
    return number_is_type (spec.input) || type_is_decimal (spec.input) ? sizeof (range_t) : 0;
}

static size_t range_partial_max (state_spec_t spec)
{
    return 2 * held_value_size_max (spec.input);
}

static void range_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(range_t *)acc = (range_t){ 0 };
}

/* Takes two values in their stored form, the lesser one first. */
static void take (state_spec_t spec, range_t *self, const value_t *least, const value_t *greatest)
{
    if (!self->present || held_value_order (spec.input, &self->least, least) < 0)
        held_value_set (&self->least, least);
    if (!self->present || held_value_order (spec.input, &self->greatest, greatest) > 0)
        held_value_set (&self->greatest, greatest);
    self->present = true;
}

static void range_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    (void)place;
    value_t form = held_value_form (value);
    take (spec, acc, &form, &form);
}

static void range_merge (state_spec_t spec, void *acc, const void *from)
{
    const range_t *other = from;
    if (!other->present)
        return;
    value_t least = held_value_get (spec.input, &other->least);
    value_t greatest = held_value_get (spec.input, &other->greatest);
    take (spec, acc, &least, &greatest);
}

static bool range_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    value_t least = held_value_read (spec.input, &reader);
    value_t greatest = held_value_read (spec.input, &reader);
    if (reader.bad || reader_left (&reader) != 0 || value_compare (&least, &greatest) > 0)
        return false;
    take (spec, acc, &least, &greatest);
    return true;
}

static void range_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    const range_t *self = acc;
    held_value_encode (spec.input, &self->least, out);
    held_value_encode (spec.input, &self->greatest, out);
}

static bool range_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return !((const range_t *)acc)->present;
}

static status_t final_decimal (const range_t *self, value_t *value, error_t *error)
{
    int128_t distance;
    if (__builtin_sub_overflow (self->greatest.d, self->least.d, &distance) ||
        !decimal_fits (distance))
        return error_set (error, STATUS_RANGE, "range: the exact result has more than %d digits",
                          DECIMAL_DIGITS_MAX);
    value->null = false;
    value->d = distance;
    return STATUS_OK;
}

static status_t range_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                             const final_context_t *context, value_t *value, error_t *error)
{
    (void)context;
    const range_t *self = acc;
    if (!self->present)
        return STATUS_OK;
    if (spec.input == TYPE_INT64) {
        int64_t distance;
        if (__builtin_sub_overflow (self->greatest.i, self->least.i, &distance))
            return error_set (error, STATUS_RANGE, "range: the exact result does not fit an int64");
        final_int (value, distance);
        return STATUS_OK;
    }
    if (type_is_decimal (spec.input))
        return final_decimal (self, value, error);
    double distance = self->greatest.f - self->least.f;
    if (isinf (distance) && isfinite (self->greatest.f) && isfinite (self->least.f))
        return final_float_range (aggregate, error);
    final_float (value, distance);
    return STATUS_OK;
}

const state_ops_t state_ops_RANGE = {
    .size = range_size,
    .partial_max = range_partial_max,
    .init = range_init,
    .release = range_init,
    .reset = range_init,
    .add = range_add,
    .merge = range_merge,
    .merge_partial = range_merge_partial,
    .encode = range_encode,
    .is_empty = range_is_empty,
    .final = range_final,
};
