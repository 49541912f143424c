/* A state for each value of a key: what `by` puts around a kind.
 *
 * Partial: varint of 2 * rows + (1 when keys were left out), then in that case the first key left
 * out, as a value; varint of the number of keys; and for each, in the order of key_map.h, the key
 * as a value, varint of the size of its state's partial, and that partial. */
#include "aggregate/by.h"
#include "aggregate/partial.h"
#include "aggregate/sorted_items.h"
#include "aggregate/state_ops.h"

#include "base/check.h"

_Static_assert(BY_KEY_BYTES_MAX + BY_STATES_BYTES_MAX + BY_KEYS_MAX * 3 + 2 * 10 +
                       STRING_VALUE_MAX + 2 <=
                   AGGREGATE_PARTIAL_MAX,
               "a full map fits a partial");

static state_spec_t inner_of (state_spec_t spec)
{
    spec.by = TYPE_NONE;
    return spec;
}

uint32_t state_keys_max (state_spec_t spec)
{
    spec.rows = 0;
    size_t fit = BY_STATES_BYTES_MAX / state_partial_max (inner_of (spec));
    return fit < BY_KEYS_MAX ? (uint32_t)fit : BY_KEYS_MAX;
}

static size_t by_size (state_spec_t spec)
{
    (void)spec;
    return sizeof (by_t);
}

static size_t by_partial_max (state_spec_t spec)
{
    (void)spec;
    return AGGREGATE_PARTIAL_MAX;
}

static void by_init (state_spec_t spec, void *acc)
{
    *(by_t *)acc = (by_t){
        .shape = key_shape (spec.by, inner_of (spec), state_keys_max (spec), BY_KEY_BYTES_MAX),
    };
}

static void by_release (state_spec_t spec, void *acc)
{
    (void)spec;
    by_t *self = acc;
    key_map_release (&self->map, &self->shape);
    self->rows = 0;
}

static void by_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    by_t *self = acc;
    key_map_reset (&self->map, &self->shape);
    self->rows = 0;
}

static void by_add (state_spec_t spec, void *acc, const value_t *inputs, const row_place_t *place)
{
    (void)spec;
    by_t *self = acc;
    const value_t *key = inputs;
    value_t form;
    if (!held_value_is_form (key)) {
        form = held_value_form (key);
        key = &form;
    }
    (void)rows_add (&self->rows, 1);
    void *state = key_map_take (&self->map, &self->shape, key);
    state_spec_t inner = self->shape.inner;
    if (state != NULL)
        state_add (inner, state, state_inputs (inner) > 0 ? inputs + 1 : NULL, place);
}

static void by_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    by_t *self = acc;
    const by_t *other = from;
    const key_shape_t *shape = &self->shape;
    (void)rows_add (&self->rows, other->rows);
    if (other->map.cut) {
        value_t edge = held_value_get (shape->key, &other->map.edge);
        key_map_cut (&self->map, shape, other->map.edge_hash, &edge);
    }
    key_weave_t weave = key_weave_begin (&self->map, shape, other->map.count);
    for (uint32_t i = 0; i < other->map.count; i++) {
        value_t key = key_map_key (&other->map, shape, i);
        void *state = key_weave_take (&self->map, shape, &weave, other->map.index[i].hash, &key);
        if (state == NULL)
            break; /* all that follow are left out as well */
        state_merge (shape->inner, state, key_map_state (&other->map, shape, i));
    }
    key_weave_end (&self->map, shape, &weave);
}

/* ---- partials ---- */

typedef struct by_head {
    uint64_t rows;
    uint64_t keys;
    bool cut;
    uint64_t edge_hash;
    value_t edge;
} by_head_t;

/* The next key. */
static value_t read_key (const by_t *self, reader_t *reader, uint64_t *hash)
{
    value_t key = held_value_read (self->shape.key, reader);
    if (!reader->bad)
        *hash = held_value_hash (&key);
    return key;
}

static bool read_head (const by_t *self, reader_t *reader, by_head_t *head)
{
    uint64_t rows = partial_read_varint (reader);
    *head = (by_head_t){ .rows = rows >> 1, .cut = (rows & 1) != 0 };
    if (head->cut)
        head->edge = read_key (self, reader, &head->edge_hash);
    head->keys = partial_read_varint (reader);
    /* A key has a row at least, and so has what was left out. */
    return !reader->bad && head->keys <= self->shape.keys_max && head->keys + head->cut > 0 &&
           head->rows >= head->keys + head->cut;
}

/* The rows in a good partial, if that is easily told: at least 1. */
static uint64_t rows_of (state_spec_t inner, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    return inner.kind == STATE_COUNT ? partial_read_varint (&reader) : 1;
}

/* Reads the keys and adds what is kept of them; *bytes of keys. */
static bool weave_keys (by_t *self, reader_t *reader, const by_head_t *head, key_weave_t *weave,
                        uint32_t *bytes)
{
    const key_shape_t *shape = &self->shape;
    value_t key, before = { 0 };
    uint64_t hash = 0, hash_before = 0, rows = 0;
    error_t error;
    for (uint64_t i = 0; i < head->keys; i++) {
        key = read_key (self, reader, &hash);
        uint64_t size = partial_read_varint (reader);
        if (reader->bad || size == 0 || size > reader_left (reader))
            return false;
        if (i > 0 && key_order (hash_before, &before, hash, &key) >= 0)
            return false;
        if (!key_map_fits (shape, (uint32_t)i, *bytes, held_value_size (&key)))
            return false;
        *bytes += held_value_size (&key);
        text_t partial = { (const char *)reader_bytes (reader, (size_t)size), (uint32_t)size };
        void *state = key_weave_take (&self->map, shape, weave, hash, &key);
        if (state == NULL)
            state = key_map_scratch (&self->map, shape);
        if (state_merge_partial (shape->inner, state, partial, &error) != STATUS_OK)
            return false;
        if (!rows_add (&rows, rows_of (shape->inner, partial)))
            return false;
        before = key;
        hash_before = hash;
    }
    if (rows > head->rows - head->cut ||
        (shape->inner.kind == STATE_COUNT && !head->cut && rows != head->rows))
        return false;
    return !head->cut || head->keys == 0 ||
           key_order (hash, &key, head->edge_hash, &head->edge) < 0;
}

static bool by_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    by_t *self = acc;
    reader_t reader = reader_of (partial.data, partial.size);
    by_head_t head;
    if (!read_head (self, &reader, &head) || !rows_add (&self->rows, head.rows))
        return false;
    if (head.cut)
        key_map_cut (&self->map, &self->shape, head.edge_hash, &head.edge);
    uint32_t bytes = 0;
    key_weave_t weave = key_weave_begin (&self->map, &self->shape, (uint32_t)head.keys);
    bool good = weave_keys (self, &reader, &head, &weave, &bytes);
    key_weave_end (&self->map, &self->shape, &weave);
    bool edge_fits =
        good && head.cut &&
        key_map_fits (&self->shape, (uint32_t)head.keys, bytes, held_value_size (&head.edge));
    return good && !edge_fits && reader_left (&reader) == 0;
}

static void by_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const by_t *self = acc;
    const key_shape_t *shape = &self->shape;
    buf_put_varint (out, self->rows << 1 | self->map.cut);
    if (self->map.cut)
        held_value_encode (shape->key, &self->map.edge, out);
    buf_put_varint (out, self->map.count);
    for (uint32_t i = 0; i < self->map.count; i++) {
        value_t key = key_map_key (&self->map, shape, i);
        held_value_put (&key, out);
        size_t part = buf_part_begin (out);
        state_encode (shape->inner, key_map_state (&self->map, shape, i), out);
        buf_part_end (out, part);
    }
}

static bool by_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const by_t *)acc)->rows == 0;
}

static size_t by_memory (state_spec_t spec, const void *acc)
{
    (void)spec;
    const by_t *self = acc;
    return key_map_memory (&self->map, &self->shape);
}

/* ---- the map ---- */

static status_t by_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                          const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec;
    const by_t *self = acc;
    if (self->rows == 0)
        return STATUS_OK;
    CHECK (context->arena != NULL);
    uint32_t count = self->map.count;
    item_t *items = arena_alloc (context->arena, count * sizeof *items);
    value_t *keys = arena_alloc (context->arena, count * sizeof *keys);
    value_t *values = arena_alloc (context->arena, count * sizeof *values);
    for (uint32_t i = 0; i < count; i++)
        items[i] = (item_t){ .key = key_map_key (&self->map, &self->shape, i),
                             .state = key_map_state (&self->map, &self->shape, i) };
    items_sort (context->arena, items, count, item_compare_keys);
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = items[i].key;
        status_t status =
            state_final (self->shape.inner, items[i].state, aggregate, context, &values[i], error);
        if (status != STATUS_OK)
            return status;
    }
    value_map_t *map = arena_alloc (context->arena, sizeof *map);
    *map = (value_map_t){ count, keys, values, self->map.cut, self->rows };
    value->null = false;
    value->map = map;
    return STATUS_OK;
}

const state_ops_t state_ops_by = {
    .size = by_size,
    .partial_max = by_partial_max,
    .init = by_init,
    .release = by_release,
    .reset = by_reset,
    .add = by_add,
    .merge = by_merge,
    .merge_partial = by_merge_partial,
    .encode = by_encode,
    .is_empty = by_is_empty,
    .memory = by_memory,
    .final = by_final,
};
