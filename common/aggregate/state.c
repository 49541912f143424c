#include "aggregate/by.h"
#include "aggregate/decimal_sums.h"
#include "aggregate/kept_rows.h"
#include "aggregate/state_ops.h"

#include "base/check.h"

static const struct kind {
    const char *name;
    const state_ops_t *ops;
    bool large;
} KINDS[] = {
#define X(name, number, large) [STATE_##name] = { #name, &state_ops_##name, large },
    STATE_TABLE (X)
#undef X
};

/* Over decimals some kinds are states of their own. */
static const state_ops_t *const DECIMAL_OPS[] = {
    [STATE_SUM] = &state_ops_decimal_SUM,
    [STATE_MOMENTS] = &state_ops_decimal_MOMENTS,
};

enum { DECIMAL_KINDS = sizeof DECIMAL_OPS / sizeof *DECIMAL_OPS };

static const struct kind *kind_of (state_kind_t kind)
{
    CHECK ((size_t)kind < sizeof KINDS / sizeof *KINDS);
    CHECK (KINDS[kind].ops != NULL);
    return &KINDS[kind];
}

/* Inlined, because it is asked for each cell of a key several times. */
static inline __attribute__ ((always_inline)) const state_ops_t *ops_of (state_spec_t spec)
{
    const struct kind *kind = kind_of (spec.kind);
    if (spec.rows > 0)
        return &state_ops_rows;
    if (spec.by != TYPE_NONE)
        return &state_ops_by;
    bool decimals = type_is_decimal (spec.input) && (size_t)spec.kind < DECIMAL_KINDS;
    return decimals && DECIMAL_OPS[spec.kind] != NULL ? DECIMAL_OPS[spec.kind] : kind->ops;
}

bool state_reads_position (state_spec_t spec)
{
    switch (spec.kind) {
    case STATE_COUNT:
    case STATE_SUM:
    case STATE_MIN:
    case STATE_MAX:
    case STATE_MOMENTS:
        return spec.rows > 0;
    default:
        return true;
    }
}

bool state_is_large (state_spec_t spec)
{
    return spec.rows > 0 || spec.by != TYPE_NONE || kind_of (spec.kind)->large;
}

size_t state_partial_max (state_spec_t spec)
{
    const state_ops_t *ops = ops_of (spec);
    if (ops->partial_max != NULL)
        return ops->partial_max (spec);
    return state_is_large (spec) ? AGGREGATE_PARTIAL_MAX : AGGREGATE_SMALL_MAX;
}

static status_t check_rows (state_spec_t spec, error_t *error)
{
    if (spec.rows > KEPT_ROWS_MAX)
        return error_set (error, STATUS_INVALID, "%u rows are too many: at most %d", spec.rows,
                          KEPT_ROWS_MAX);
    size_t row = state_partial_max (spec) / spec.rows;
    size_t most = AGGREGATE_PARTIAL_MAX / row;
    return spec.rows <= most ? STATUS_OK
                             : error_set (error, STATUS_INVALID,
                                          "%u rows are too many with strings among their values: "
                                          "at most %zu",
                                          spec.rows, most);
}

status_t state_spec_check (state_spec_t spec, error_t *error)
{
    if ((size_t)spec.kind >= sizeof KINDS / sizeof *KINDS || KINDS[spec.kind].ops == NULL)
        return error_set (error, STATUS_INVALID, "there is no state of kind %u", spec.kind);
    state_spec_t plain = spec;
    plain.rows = 0;
    plain.by = TYPE_NONE;
    if (ops_of (plain)->size (plain) == 0)
        return error_set (error, STATUS_INVALID, "a state of kind %s cannot be over %s%s",
                          kind_of (spec.kind)->name, type_word (spec.input),
                          spec.param != 0 ? " with this parameter" : "");
    if (state_partial_max (plain) > AGGREGATE_PARTIAL_MAX)
        return error_set (error, STATUS_INVALID, "a state of %zu bytes is too large: at most %d",
                          state_partial_max (plain), AGGREGATE_PARTIAL_MAX);
    if (spec.by != TYPE_NONE && !held_value_is_type (spec.by))
        return error_set (error, STATUS_INVALID, "a value of type %s cannot be a key",
                          type_word (spec.by));
    if (spec.by != TYPE_NONE && state_keys_max (spec) < BY_KEYS_MIN)
        return error_set (error, STATUS_INVALID,
                          "a state of up to %zu bytes for each key is too large for `by`",
                          state_partial_max (plain));
    return spec.rows > 0 ? check_rows (spec, error) : STATUS_OK;
}

size_t state_size (state_spec_t spec)
{
    size_t size = ops_of (spec)->size (spec);
    CHECK (size > 0);
    return (size + 15) & ~(size_t)15;
}

void state_init (state_spec_t spec, void *acc)
{
    ops_of (spec)->init (spec, acc);
}

void state_release (state_spec_t spec, void *acc)
{
    ops_of (spec)->release (spec, acc);
}

void state_reset (state_spec_t spec, void *acc)
{
    ops_of (spec)->reset (spec, acc);
}

void state_add (state_spec_t spec, void *acc, const value_t *inputs, const row_place_t *place)
{
    CHECK (inputs == NULL || !inputs->null || state_takes_nulls (spec));
    ops_of (spec)->add (spec, acc, inputs, place);
}

static bool add_one_by_one (const state_ops_t *ops, state_spec_t spec, void *acc,
                            const state_rows_t *rows)
{
    bool any = false;
    unsigned inputs = state_inputs (spec);
    for (size_t i = rows->from; i < rows->to; i++) {
        if (!state_row_counts (spec, rows, i))
            continue;
        value_t value[STATE_INPUTS_MAX];
        row_place_t place = { .time = rows->time[i] };
        if (rows->offset != NULL) {
            place.offset = rows->offset[i];
            place.row = rows->row[i];
        }
        for (unsigned k = 0; k < inputs; k++)
            value[k] = column_get (rows->lane[k], i);
        ops->add (spec, acc, inputs > 0 ? value : NULL, &place);
        any = true;
    }
    return any;
}

bool state_add_rows (state_spec_t spec, void *acc, const state_rows_t *rows)
{
    CHECK (rows->from <= rows->to);
    for (unsigned i = 0; i < state_inputs (spec); i++)
        CHECK (rows->lane[i]->type == state_input_type (spec, i));
    const state_ops_t *ops = ops_of (spec);
    return ops->add_rows != NULL ? ops->add_rows (spec, acc, rows)
                                 : add_one_by_one (ops, spec, acc, rows);
}

bool state_put_suffixes (state_spec_t spec, const state_rows_t *rows, state_suffixes_t *suffixes)
{
    const state_ops_t *ops = ops_of (spec);
    return ops->put_suffixes != NULL && suffixes_put (ops, spec, rows, suffixes);
}

bool state_final_windows (state_spec_t spec, aggregate_t aggregate, const state_rows_t *rows,
                          const state_windows_t *windows)
{
    const state_ops_t *ops = ops_of (spec);
    CHECK (windows->count > 0);
    return ops->final_windows != NULL && ops->final_windows (spec, aggregate, rows, windows);
}

void state_merge (state_spec_t spec, void *acc, const void *from)
{
    ops_of (spec)->merge (spec, acc, from);
}

status_t state_merge_partial (state_spec_t spec, void *acc, text_t partial, error_t *error)
{
    if (partial.size == 0 || ops_of (spec)->merge_partial (spec, acc, partial))
        return STATUS_OK;
    return error_set (
        error, STATUS_CORRUPT, "these %u bytes are not a partial state of kind %s over %s%s%s",
        partial.size, kind_of (spec.kind)->name, type_word (spec.input),
        spec.by != TYPE_NONE ? ", by key" : "", spec.rows > 0 ? ", of the newest rows" : "");
}

void state_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    const state_ops_t *ops = ops_of (spec);
    if (!ops->is_empty (spec, acc))
        ops->encode (spec, acc, out);
}

bool state_is_empty (state_spec_t spec, const void *acc)
{
    return ops_of (spec)->is_empty (spec, acc);
}

size_t state_memory (state_spec_t spec, const void *acc)
{
    const state_ops_t *ops = ops_of (spec);
    return ops->memory != NULL ? ops->memory (spec, acc) : 0;
}

status_t state_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                      const final_context_t *context, value_t *value, error_t *error)
{
    const aggregate_info_t *info = aggregate_info (aggregate);
    CHECK (info->state == spec.kind);
    type_t output = info->output != TYPE_NONE ? info->output : spec.input;
    *value = (value_t){ .type = spec.by != TYPE_NONE ? TYPE_MAP : output, .null = true };
    return ops_of (spec)->final (spec, acc, aggregate, context, value, error);
}

status_t final_float_range (aggregate_t aggregate, error_t *error)
{
    return error_set (error, STATUS_RANGE, "%s: the exact result is past the largest float64",
                      aggregate_info (aggregate)->word);
}

status_t final_no_rows (aggregate_t aggregate, error_t *error)
{
    return error_set (error, STATUS_CORRUPT, "%s: the stored sums are not of any rows",
                      aggregate_info (aggregate)->word);
}
