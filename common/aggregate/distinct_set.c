/* DISTINCT_SET: the distinct values themselves, up to a cap; above it nothing but that there are
 * too many, which no order of rows changes: a set that is over the cap has no part that would bring
 * it back under.
 *
 * Partial: varint of the number of values, then the values in the order of key_map.h; of too many,
 * a varint of 0 alone. */
#include "aggregate/key_map.h"
#include "aggregate/partial.h"
#include "aggregate/state_ops.h"

enum { DISTINCT_MAX = 4096, DISTINCT_BYTES_MAX = 48 << 10 };

typedef struct distinct {
    key_shape_t shape;
    key_map_t map;
    bool too_many; /* the map is empty */
} distinct_t;

static size_t distinct_size (state_spec_t spec)
{
    return held_value_is_type (spec.input) ? sizeof (distinct_t) : 0;
}

static size_t distinct_partial_max (state_spec_t spec)
{
    (void)spec;
    return 2 + DISTINCT_BYTES_MAX;
}

static void distinct_init (state_spec_t spec, void *acc)
{
    *(distinct_t *)acc = (distinct_t){
        .shape = key_shape (spec.input, (state_spec_t){ 0 }, DISTINCT_MAX, DISTINCT_BYTES_MAX),
    };
}

static void distinct_release (state_spec_t spec, void *acc)
{
    (void)spec;
    distinct_t *self = acc;
    key_map_release (&self->map, &self->shape);
    self->too_many = false;
}

static void distinct_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    distinct_t *self = acc;
    key_map_reset (&self->map, &self->shape);
    self->too_many = false;
}

/* After keys were taken. */
static void notice_cut (distinct_t *self)
{
    if (!self->map.cut)
        return;
    key_map_reset (&self->map, &self->shape);
    self->too_many = true;
}

static void distinct_add (state_spec_t spec, void *acc, const value_t *value,
                          const row_place_t *place)
{
    (void)spec, (void)place;
    distinct_t *self = acc;
    if (self->too_many)
        return;
    value_t form = held_value_form (value);
    (void)key_map_take (&self->map, &self->shape, &form);
    notice_cut (self);
}

static void take_too_many (distinct_t *self)
{
    key_map_reset (&self->map, &self->shape);
    self->too_many = true;
}

static void distinct_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    distinct_t *self = acc;
    const distinct_t *other = from;
    if (other->too_many)
        take_too_many (self);
    if (self->too_many)
        return;
    key_weave_t weave = key_weave_begin (&self->map, &self->shape, other->map.count);
    for (uint32_t i = 0; i < other->map.count; i++) {
        value_t value = key_map_key (&other->map, &self->shape, i);
        uint64_t hash = other->map.index[i].hash;
        if (key_weave_take (&self->map, &self->shape, &weave, hash, &value) == NULL)
            break;
    }
    key_weave_end (&self->map, &self->shape, &weave);
    notice_cut (self);
}

static bool weave_values (distinct_t *self, reader_t *reader, uint64_t count)
{
    bool good = true;
    uint32_t bytes = 0;
    value_t before = { 0 };
    uint64_t hash_before = 0;
    key_weave_t weave = key_weave_begin (&self->map, &self->shape, (uint32_t)count);
    for (uint64_t i = 0; good && i < count; i++) {
        value_t value = held_value_read (self->shape.key, reader);
        uint64_t hash = reader->bad ? 0 : held_value_hash (&value);
        uint32_t size = reader->bad ? 0 : held_value_size (&value);
        good = !reader->bad && key_map_fits (&self->shape, (uint32_t)i, bytes, size) &&
               (i == 0 || key_order (hash_before, &before, hash, &value) < 0);
        if (good && !self->too_many)
            (void)key_weave_take (&self->map, &self->shape, &weave, hash, &value);
        bytes += size;
        before = value;
        hash_before = hash;
    }
    key_weave_end (&self->map, &self->shape, &weave);
    return good;
}

static bool distinct_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    distinct_t *self = acc;
    reader_t reader = reader_of (partial.data, partial.size);
    uint64_t count = partial_read_varint (&reader);
    if (reader.bad || count > DISTINCT_MAX)
        return false;
    if (count == 0)
        take_too_many (self);
    bool good = count == 0 || weave_values (self, &reader, count);
    notice_cut (self);
    return good && reader_left (&reader) == 0;
}

static void distinct_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const distinct_t *self = acc;
    buf_put_varint (out, self->map.count);
    for (uint32_t i = 0; i < self->map.count; i++) {
        value_t value = key_map_key (&self->map, &self->shape, i);
        held_value_put (&value, out);
    }
}

static bool distinct_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    const distinct_t *self = acc;
    return !self->too_many && self->map.count == 0;
}

static size_t distinct_memory (state_spec_t spec, const void *acc)
{
    (void)spec;
    const distinct_t *self = acc;
    return key_map_memory (&self->map, &self->shape);
}

static status_t distinct_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                                const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec, (void)context;
    const distinct_t *self = acc;
    if (self->too_many)
        return error_set (error, STATUS_RANGE,
                          "%s: more than %d distinct values, or %d KiB of them; "
                          "approx_count_distinct has no such limit",
                          aggregate_info (aggregate)->word, DISTINCT_MAX, DISTINCT_BYTES_MAX >> 10);
    final_int (value, self->map.count);
    return STATUS_OK;
}

const state_ops_t state_ops_DISTINCT_SET = {
    .size = distinct_size,
    .partial_max = distinct_partial_max,
    .init = distinct_init,
    .release = distinct_release,
    .reset = distinct_reset,
    .add = distinct_add,
    .merge = distinct_merge,
    .merge_partial = distinct_merge_partial,
    .encode = distinct_encode,
    .is_empty = distinct_is_empty,
    .memory = distinct_memory,
    .final = distinct_final,
};
