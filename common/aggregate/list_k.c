/* FIRST_K, LAST_K, MIN_K, MAX_K: the k values at the least or greatest places, or the k least or
 * greatest values, each as often as rows have it. Partial: as in kept_rows.h. */
#include "aggregate/kept_rows.h"

#include "base/check.h"

typedef struct list_k {
    kept_shape_t shape;
    kept_rows_t rows;
} list_k_t;

static kept_shape_t shape_of (state_spec_t spec)
{
    kept_shape_t shape = kept_shape (spec, (uint16_t)spec.param);
    shape.placed = spec.kind == STATE_FIRST_K || spec.kind == STATE_LAST_K;
    shape.descending = spec.kind == STATE_LAST_K || spec.kind == STATE_MAX_K;
    return shape;
}

static size_t list_size (state_spec_t spec)
{
    bool possible =
        held_value_is_type (spec.input) && spec.param >= 1 && spec.param <= KEPT_ROWS_MAX;
    return possible ? sizeof (list_k_t) : 0;
}

static size_t list_partial_max (state_spec_t spec)
{
    kept_shape_t shape = shape_of (spec);
    return kept_rows_partial_max (&shape);
}

static void list_init (state_spec_t spec, void *acc)
{
    *(list_k_t *)acc = (list_k_t){ .shape = shape_of (spec) };
}

static void list_release (state_spec_t spec, void *acc)
{
    (void)spec;
    list_k_t *self = acc;
    kept_rows_release (&self->rows, &self->shape);
}

static void list_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    ((list_k_t *)acc)->rows.count = 0;
}

static void list_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    (void)spec;
    list_k_t *self = acc;
    kept_row_t row = { .value = { held_value_form (value) } };
    if (self->shape.placed) {
        CHECK (place != NULL);
        row.place = *place;
    }
    kept_rows_add (&self->rows, &self->shape, &row);
}

static void list_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    list_k_t *self = acc;
    kept_rows_merge (&self->rows, &self->shape, &((const list_k_t *)from)->rows);
}

static bool list_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    list_k_t *self = acc;
    return kept_rows_merge_partial (&self->rows, &self->shape, partial);
}

static void list_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const list_k_t *self = acc;
    kept_rows_encode (&self->rows, &self->shape, out);
}

static bool list_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const list_k_t *)acc)->rows.count == 0;
}

static size_t list_memory (state_spec_t spec, const void *acc)
{
    (void)spec;
    const list_k_t *self = acc;
    return kept_rows_memory (&self->rows, &self->shape);
}

static status_t list_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                            const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec, (void)aggregate, (void)error;
    const list_k_t *self = acc;
    if (self->rows.count == 0)
        return STATUS_OK;
    CHECK (context->arena != NULL);
    value_t *items = arena_alloc (context->arena, self->rows.count * sizeof *items);
    for (uint16_t i = 0; i < self->rows.count; i++) {
        kept_row_t row;
        kept_rows_get (&self->rows, &self->shape, i, &row);
        items[i] = row.value[0];
    }
    value_list_t *list = arena_alloc (context->arena, sizeof *list);
    *list = (value_list_t){ self->rows.count, items };
    value->null = false;
    value->list = list;
    return STATUS_OK;
}

#define LIST_K_OPS                                                                                 \
    {                                                                                              \
        .size = list_size, .partial_max = list_partial_max, .init = list_init,                     \
        .release = list_release, .reset = list_reset, .add = list_add, .merge = list_merge,        \
        .merge_partial = list_merge_partial, .encode = list_encode, .is_empty = list_is_empty,     \
        .memory = list_memory, .final = list_final                                                 \
    }
const state_ops_t state_ops_FIRST_K = LIST_K_OPS;
const state_ops_t state_ops_LAST_K = LIST_K_OPS;
const state_ops_t state_ops_MIN_K = LIST_K_OPS;
const state_ops_t state_ops_MAX_K = LIST_K_OPS;
