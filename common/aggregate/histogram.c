/* HISTOGRAM: how many rows have each value, of which histogram, top_k and mode are made. It is
 * `count() by value`, in memory and in bytes. */
#include "aggregate/by.h"
#include "aggregate/sorted_items.h"
#include "aggregate/state_ops.h"

#include "base/check.h"

static state_spec_t counts_of (state_spec_t spec)
{
    return (state_spec_t){ .kind = STATE_COUNT, .by = spec.input };
}

static size_t histogram_size (state_spec_t spec)
{
    return held_value_is_type (spec.input) ? state_ops_by.size (counts_of (spec)) : 0;
}

static size_t histogram_partial_max (state_spec_t spec)
{
    return state_ops_by.partial_max (counts_of (spec));
}

static void histogram_init (state_spec_t spec, void *acc)
{
    state_ops_by.init (counts_of (spec), acc);
}

static void histogram_release (state_spec_t spec, void *acc)
{
    state_ops_by.release (counts_of (spec), acc);
}

static void histogram_reset (state_spec_t spec, void *acc)
{
    state_ops_by.reset (counts_of (spec), acc);
}

static void histogram_add (state_spec_t spec, void *acc, const value_t *value,
                           const row_place_t *place)
{
    state_ops_by.add (counts_of (spec), acc, value, place);
}

static void histogram_merge (state_spec_t spec, void *acc, const void *from)
{
    state_ops_by.merge (counts_of (spec), acc, from);
}

static bool histogram_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    return state_ops_by.merge_partial (counts_of (spec), acc, partial);
}

static void histogram_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    state_ops_by.encode (counts_of (spec), acc, out);
}

static bool histogram_is_empty (state_spec_t spec, const void *acc)
{
    return state_ops_by.is_empty (counts_of (spec), acc);
}

static size_t histogram_memory (state_spec_t spec, const void *acc)
{
    return state_ops_by.memory (counts_of (spec), acc);
}

/* ---- what is most frequent ---- */

static int compare_frequency (const item_t *a, const item_t *b)
{
    if (a->rows != b->rows)
        return a->rows > b->rows ? -1 : 1;
    return item_compare_keys (a, b);
}

/* The values, the most frequent first, and of equally frequent ones the least. */
static item_t *by_frequency (const by_t *self, arena_t *arena)
{
    item_t *items = arena_alloc (arena, self->map.count * sizeof *items);
    for (uint32_t i = 0; i < self->map.count; i++)
        items[i] = (item_t){ .key = key_map_key (&self->map, &self->shape, i),
                             .rows = count_rows (key_map_state (&self->map, &self->shape, i)) };
    items_sort (arena, items, self->map.count, compare_frequency);
    return items;
}

static void final_list (const item_t *items, size_t count, arena_t *arena, value_t *value)
{
    value_t *keys = arena_alloc (arena, count * sizeof *keys);
    for (size_t i = 0; i < count; i++)
        keys[i] = items[i].key;
    value_list_t *list = arena_alloc (arena, sizeof *list);
    *list = (value_list_t){ count, keys };
    value->null = false;
    value->list = list;
}

static status_t histogram_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                                 const final_context_t *context, value_t *value, error_t *error)
{
    const by_t *self = acc;
    if (aggregate == AGGREGATE_HISTOGRAM)
        return state_ops_by.final (counts_of (spec), acc, AGGREGATE_COUNT, context, value, error);
    if (self->rows == 0)
        return STATUS_OK;
    if (self->map.cut)
        return error_set (error, STATUS_RANGE,
                          "%s: more than %u distinct values, or %d KiB of them: which are the most "
                          "frequent of them all is not known",
                          aggregate_info (aggregate)->word, self->shape.keys_max,
                          BY_KEY_BYTES_MAX >> 10);
    CHECK (context->arena != NULL);
    const item_t *items = by_frequency (self, context->arena);
    if (aggregate == AGGREGATE_MODE) {
        *value = items[0].key;
        return STATUS_OK;
    }
    CHECK (context->parameter.type == TYPE_INT64);
    CHECK (context->parameter.i >= 1);
    size_t most = (size_t)context->parameter.i;
    final_list (items, self->map.count < most ? self->map.count : most, context->arena, value);
    return STATUS_OK;
}

const state_ops_t state_ops_HISTOGRAM = {
    .size = histogram_size,
    .partial_max = histogram_partial_max,
    .init = histogram_init,
    .release = histogram_release,
    .reset = histogram_reset,
    .add = histogram_add,
    .merge = histogram_merge,
    .merge_partial = histogram_merge_partial,
    .encode = histogram_encode,
    .is_empty = histogram_is_empty,
    .memory = histogram_memory,
    .final = histogram_final,
};
