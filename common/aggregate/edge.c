/* FIRST, LAST: the value at the least or greatest place, a place being (time, offset, row).
 *
 * No two rows of a key in one log have one place. Of two logs' rows, in a view of several streams,
 * the lesser value counts as the earlier one, so that the answer does not depend on the order.
 * Partial: zigzag varint of the time in µs, varint of the offset, varint of the row, then the value
 * as in held_value.h. */
#include "aggregate/held_value.h"
#include "aggregate/partial.h"
#include "aggregate/state_ops.h"

#include "base/check.h"

typedef struct edge {
    row_place_t place;
    held_value_t value;
    bool present;
} edge_t;

static size_t edge_size (state_spec_t spec)
{
    return held_value_is_type (spec.input) ? sizeof (edge_t) : 0;
}

static size_t edge_partial_max (state_spec_t spec)
{
    return ROW_PLACE_MAX + held_value_size_max (spec.input);
}

static void edge_init (state_spec_t spec, void *acc)
{
    (void)spec;
    edge_t *self = acc;
    held_value_init (&self->value);
    self->present = false;
}

static void edge_release (state_spec_t spec, void *acc)
{
    edge_t *self = acc;
    held_value_release (spec.input, &self->value);
    self->present = false;
}

static void edge_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    ((edge_t *)acc)->present = false;
}

/* Takes a value in its stored form. */
static void take (state_spec_t spec, edge_t *self, const value_t *value, const row_place_t *place)
{
    if (self->present) {
        int order = row_place_compare (place, &self->place);
        if (order == 0)
            order = held_value_order (spec.input, &self->value, value);
        if (spec.kind == STATE_FIRST ? order >= 0 : order <= 0)
            return;
    }
    held_value_set (&self->value, value);
    self->place = *place;
    self->present = true;
}

static void edge_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    CHECK (place != NULL);
    if (held_value_is_form (value)) {
        take (spec, acc, value, place);
    } else {
        value_t form = held_value_form (value);
        take (spec, acc, &form, place);
    }
}

static void edge_merge (state_spec_t spec, void *acc, const void *from)
{
    const edge_t *other = from;
    if (!other->present)
        return;
    value_t value = held_value_get (spec.input, &other->value);
    take (spec, acc, &value, &other->place);
}

static bool edge_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    int64_t time = partial_read_zigzag (&reader);
    uint64_t offset = partial_read_varint (&reader);
    uint64_t row = partial_read_varint (&reader);
    value_t value = held_value_read (spec.input, &reader);
    if (reader.bad || reader_left (&reader) != 0 || row > UINT32_MAX)
        return false;
    take (spec, acc, &value, &(row_place_t){ time, offset, (uint32_t)row });
    return true;
}

static void edge_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    const edge_t *self = acc;
    buf_put_zigzag (out, self->place.time);
    buf_put_varint (out, self->place.offset);
    buf_put_varint (out, self->place.row);
    held_value_encode (spec.input, &self->value, out);
}

static bool edge_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return !((const edge_t *)acc)->present;
}

static size_t edge_memory (state_spec_t spec, const void *acc)
{
    return held_value_memory (spec.input, &((const edge_t *)acc)->value);
}

static status_t edge_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                            const final_context_t *context, value_t *value, error_t *error)
{
    (void)context;
    (void)aggregate, (void)error;
    const edge_t *self = acc;
    if (self->present)
        *value = held_value_get (spec.input, &self->value);
    return STATUS_OK;
}

#define EDGE_OPS                                                                                   \
    {                                                                                              \
        .size = edge_size, .partial_max = edge_partial_max, .init = edge_init,                     \
        .release = edge_release, .reset = edge_reset, .add = edge_add, .merge = edge_merge,        \
        .merge_partial = edge_merge_partial, .encode = edge_encode, .is_empty = edge_is_empty,     \
        .memory = edge_memory, .final = edge_final                                                 \
    }
const state_ops_t state_ops_FIRST = EDGE_OPS;
const state_ops_t state_ops_LAST = EDGE_OPS;
