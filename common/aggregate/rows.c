/* The newest rows with all their inputs, which are given to the inner state when it is finalised:
 * what `rows` puts around a kind. Partial: as in kept_rows.h, with nulls. */
#include "aggregate/kept_rows.h"

#include "aggregate/sorted_items.h"
#include "base/check.h"

typedef struct rows {
    kept_shape_t shape;
    kept_rows_t rows;
} rows_t;

static state_spec_t inner_of (state_spec_t spec)
{
    spec.rows = 0;
    return spec;
}

static kept_shape_t shape_of (state_spec_t spec)
{
    kept_shape_t shape = kept_shape (spec, spec.rows);
    shape.placed = true;
    shape.descending = true;
    shape.nulls = shape.inputs > 0;
    return shape;
}

static size_t rows_size (state_spec_t spec)
{
    (void)spec;
    return sizeof (rows_t);
}

static size_t rows_partial_max (state_spec_t spec)
{
    kept_shape_t shape = shape_of (spec);
    return kept_rows_partial_max (&shape);
}

static void rows_init (state_spec_t spec, void *acc)
{
    *(rows_t *)acc = (rows_t){ .shape = shape_of (spec) };
}

static void rows_release (state_spec_t spec, void *acc)
{
    (void)spec;
    rows_t *self = acc;
    kept_rows_release (&self->rows, &self->shape);
}

static void rows_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    ((rows_t *)acc)->rows.count = 0;
}

static void rows_add_row (state_spec_t spec, void *acc, const value_t *inputs,
                          const row_place_t *place)
{
    (void)spec;
    rows_t *self = acc;
    if (kept_rows_is_late (&self->rows, &self->shape, place))
        return;
    kept_row_t row = { .place = *place };
    for (unsigned i = 0; i < self->shape.inputs; i++)
        row.value[i] = inputs[i].null ? inputs[i] : held_value_form (&inputs[i]);
    kept_rows_add (&self->rows, &self->shape, &row);
}

/* From the last on, so that of rows in order those that are too old cost one comparison. */
static bool rows_add_rows (state_spec_t spec, void *acc, const state_rows_t *rows)
{
    const rows_t *self = acc;
    bool any = false;
    for (size_t i = rows->to; i-- > rows->from;) {
        if (!state_row_counts (spec, rows, i))
            continue;
        any = true;
        row_place_t place = { rows->time[i], rows->offset[i], rows->row[i] };
        if (kept_rows_is_late (&self->rows, &self->shape, &place))
            continue;
        value_t value[STATE_INPUTS_MAX];
        for (unsigned k = 0; k < self->shape.inputs; k++)
            value[k] = column_get (rows->lane[k], i);
        rows_add_row (spec, acc, value, &place);
    }
    return any;
}

static void rows_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    rows_t *self = acc;
    kept_rows_merge (&self->rows, &self->shape, &((const rows_t *)from)->rows);
}

static bool rows_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    rows_t *self = acc;
    return kept_rows_merge_partial (&self->rows, &self->shape, partial);
}

static void rows_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const rows_t *self = acc;
    kept_rows_encode (&self->rows, &self->shape, out);
}

static bool rows_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const rows_t *)acc)->rows.count == 0;
}

static size_t rows_memory (state_spec_t spec, const void *acc)
{
    (void)spec;
    const rows_t *self = acc;
    return kept_rows_memory (&self->rows, &self->shape);
}

/* Gives the rows to the inner state, those with a null to none. */
static void fold (const rows_t *self, state_spec_t inner, void *state)
{
    for (uint16_t i = 0; i < self->rows.count; i++) {
        kept_row_t row;
        bool null = false;
        kept_rows_get (&self->rows, &self->shape, i, &row);
        for (unsigned k = 0; k < self->shape.inputs; k++)
            null |= row.value[k].null;
        if (!null)
            state_add (inner, state, self->shape.inputs > 0 ? row.value : NULL, &row.place);
    }
}

static status_t rows_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                            const final_context_t *context, value_t *value, error_t *error)
{
    CHECK (context->arena != NULL);
    state_spec_t inner = inner_of (spec);
    void *state = arena_alloc (context->arena, state_size (inner));
    state_init (inner, state);
    fold (acc, inner, state);
    status_t status = state_final (inner, state, aggregate, context, value, error);
    if (status == STATUS_OK)
        *value = value_in_arena (context->arena, value); /* it may borrow from the state */
    state_release (inner, state);
    return status;
}

const state_ops_t state_ops_rows = {
    .size = rows_size,
    .partial_max = rows_partial_max,
    .init = rows_init,
    .release = rows_release,
    .reset = rows_reset,
    .add = rows_add_row,
    .add_rows = rows_add_rows,
    .merge = rows_merge,
    .merge_partial = rows_merge_partial,
    .encode = rows_encode,
    .is_empty = rows_is_empty,
    .memory = rows_memory,
    .final = rows_final,
};
