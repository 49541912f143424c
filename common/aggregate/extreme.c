/* MIN, MAX: the least or greatest value in the order of value_compare.
 *
 * Partial: the value as in held_value.h. */
#include "aggregate/held_value.h"
#include "aggregate/state_ops.h"

typedef struct extreme {
    held_value_t value;
    bool present;
} extreme_t;

static size_t extreme_size (state_spec_t spec)
{
    return held_value_is_type (spec.input) ? sizeof (extreme_t) : 0;
}

static size_t extreme_partial_max (state_spec_t spec)
{
    return held_value_size_max (spec.input);
}

static void extreme_init (state_spec_t spec, void *acc)
{
    (void)spec;
    extreme_t *self = acc;
    held_value_init (&self->value);
    self->present = false;
}

static void extreme_release (state_spec_t spec, void *acc)
{
    extreme_t *self = acc;
    held_value_release (spec.input, &self->value);
    self->present = false;
}

static void extreme_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    ((extreme_t *)acc)->present = false;
}

/* Takes a value in its stored form. */
static void take (state_spec_t spec, extreme_t *self, const value_t *value)
{
    if (self->present) {
        int order = held_value_order (spec.input, &self->value, value);
        if (spec.kind == STATE_MIN ? order >= 0 : order <= 0)
            return;
    }
    held_value_set (&self->value, value);
    self->present = true;
}

static void extreme_add (state_spec_t spec, void *acc, const value_t *value,
                         const row_place_t *place)
{
    (void)place;
    if (held_value_is_form (value)) {
        take (spec, acc, value);
    } else {
        value_t form = held_value_form (value);
        take (spec, acc, &form);
    }
}

/* The extreme of numbers in their order, one of equal ones. False: one is NaN, and none is said.
 * Four are looked for side by side, as each has to wait for the one before it. */
#define EXTREME_OF(name, number_t, better)                                                         \
    static bool name (const number_t *values, size_t count, value_t *best)                         \
    {                                                                                              \
        number_t found[4] = { values[0], values[0], values[0], values[0] };                        \
        bool is_nan = false;                                                                       \
        size_t i = 0;                                                                              \
        for (; i + 4 <= count; i += 4) {                                                           \
            const number_t *at = values + i;                                                       \
            is_nan |= (at[0] != at[0]) | (at[1] != at[1]) | (at[2] != at[2]) | (at[3] != at[3]);   \
            found[0] = at[0] better found[0] ? at[0] : found[0];                                   \
            found[1] = at[1] better found[1] ? at[1] : found[1];                                   \
            found[2] = at[2] better found[2] ? at[2] : found[2];                                   \
            found[3] = at[3] better found[3] ? at[3] : found[3];                                   \
        }                                                                                          \
        for (; i < count; i++) {                                                                   \
            is_nan |= values[i] != values[i];                                                      \
            found[0] = values[i] better found[0] ? values[i] : found[0];                           \
        }                                                                                          \
        found[0] = found[1] better found[0] ? found[1] : found[0];                                 \
        found[2] = found[3] better found[2] ? found[3] : found[2];                                 \
        found[0] = found[2] better found[0] ? found[2] : found[0];                                 \
        memcpy (&best->i, &found[0], sizeof found[0]);                                             \
        return !is_nan;                                                                            \
    }
EXTREME_OF (least_int, int64_t, <)
EXTREME_OF (greatest_int, int64_t, >)
EXTREME_OF (least_float, double, <)
EXTREME_OF (greatest_float, double, >)
#undef EXTREME_OF

static bool extreme_of (state_spec_t spec, const void *values, size_t count, value_t *best)
{
    if (spec.input == TYPE_FLOAT64)
        return spec.kind == STATE_MIN ? least_float (values, count, best)
                                      : greatest_float (values, count, best);
    return spec.kind == STATE_MIN ? least_int (values, count, best)
                                  : greatest_int (values, count, best);
}

/* Of narrow numbers the extreme of the rows is found first, and taken once. */
static bool extreme_add_rows (state_spec_t spec, void *acc, const state_rows_t *rows)
{
    bool any = false;
    if (spec.input == TYPE_STRING || type_is_decimal (spec.input)) {
        for (size_t i = rows->from; i < rows->to; i++) {
            if (!state_row_counts (spec, rows, i))
                continue;
            value_t value = column_get (rows->lane[0], i);
            extreme_add (spec, acc, &value, NULL);
            any = true;
        }
        return any;
    }
    numbers_t numbers;
    numbers.at = rows->from;
    while (numbers_next (&numbers, spec, rows)) {
        any = true;
        value_t best = { .type = spec.input };
        if (extreme_of (spec, numbers.values, numbers.count, &best)) {
            extreme_add (spec, acc, &best, NULL);
            continue;
        }
        for (size_t i = 0; i < numbers.count; i++) {
            best.i = ((const int64_t *)numbers.values)[i]; /* a float's bits */
            extreme_add (spec, acc, &best, NULL);
        }
    }
    return any;
}

/* As held_value_put of the value in its stored form. */
static inline uint8_t *suffix_float (uint8_t *to, double value)
{
    value += 0.0; /* -0.0 becomes 0.0 */
    memcpy (to, &value, sizeof value);
    return to + sizeof value;
}

static inline uint8_t *suffix_int (uint8_t *to, int64_t value)
{
    return suffix_varint (to, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static inline uint8_t *suffix_bool (uint8_t *to, int64_t value)
{
    *to = value != 0;
    return to + 1;
}

/* False: one is NaN, which is above all numbers. */
#define PUT_SUFFIXES(name, number_t, better, put)                                                  \
    static bool name (state_suffixes_t *suffixes)                                                  \
    {                                                                                              \
        const number_t *values = suffixes->values;                                                 \
        number_t best = 0;                                                                         \
        bool any = false, is_nan = false;                                                          \
        for (size_t i = suffixes->ranges; i-- > 0;) {                                              \
            size_t from = suffixes->start[i], to = suffixes->start[i + 1];                         \
            number_t found = any || from == to ? best : values[from];                              \
            for (size_t k = from; k < to; k++) {                                                   \
                is_nan |= values[k] != values[k];                                                  \
                found = values[k] better found ? values[k] : found;                                \
            }                                                                                      \
            if (from == to || (any && !(found better best))) {                                     \
                suffix_same (suffixes, i);                                                         \
                continue;                                                                          \
            }                                                                                      \
            any = true;                                                                            \
            best = found;                                                                          \
            suffix_end (suffixes, i, put (suffix_begin (suffixes), best));                         \
        }                                                                                          \
        return !is_nan;                                                                            \
    }
PUT_SUFFIXES (put_least_ints, int64_t, <, suffix_int)
PUT_SUFFIXES (put_greatest_ints, int64_t, >, suffix_int)
PUT_SUFFIXES (put_least_bools, int64_t, <, suffix_bool)
PUT_SUFFIXES (put_greatest_bools, int64_t, >, suffix_bool)
PUT_SUFFIXES (put_least_floats, double, <, suffix_float)
PUT_SUFFIXES (put_greatest_floats, double, >, suffix_float)
#undef PUT_SUFFIXES

static bool extreme_put_suffixes (state_spec_t spec, state_suffixes_t *suffixes)
{
    bool least = spec.kind == STATE_MIN;
    if (spec.input == TYPE_STRING || type_is_decimal (spec.input))
        return false;
    if (spec.input == TYPE_FLOAT64)
        return least ? put_least_floats (suffixes) : put_greatest_floats (suffixes);
    if (spec.input == TYPE_BOOL)
        return least ? put_least_bools (suffixes) : put_greatest_bools (suffixes);
    return least ? put_least_ints (suffixes) : put_greatest_ints (suffixes);
}

static void extreme_merge (state_spec_t spec, void *acc, const void *from)
{
    const extreme_t *other = from;
    if (!other->present)
        return;
    value_t value = held_value_get (spec.input, &other->value);
    take (spec, acc, &value);
}

/* A partial of a float that is a number and not 0, as most are. False: it is something else. */
static inline bool merge_number (state_spec_t spec, extreme_t *self, text_t partial)
{
    double value;
    if (partial.size != sizeof value)
        return false;
    memcpy (&value, partial.data, sizeof value);
    double held = self->value.f;
    if (!(value > 0 || value < 0) || (self->present && held != held))
        return false;
    if (!self->present || (spec.kind == STATE_MIN ? value < held : value > held))
        self->value.f = value;
    self->present = true;
    return true;
}

static bool extreme_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    if (spec.input == TYPE_FLOAT64 && merge_number (spec, acc, partial))
        return true;
    reader_t reader = reader_of (partial.data, partial.size);
    value_t value = held_value_read (spec.input, &reader);
    if (reader.bad || reader_left (&reader) != 0)
        return false;
    take (spec, acc, &value);
    return true;
}

static void extreme_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    held_value_encode (spec.input, &((const extreme_t *)acc)->value, out);
}

static bool extreme_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return !((const extreme_t *)acc)->present;
}

static size_t extreme_memory (state_spec_t spec, const void *acc)
{
    return held_value_memory (spec.input, &((const extreme_t *)acc)->value);
}

static status_t extreme_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                               const final_context_t *context, value_t *value, error_t *error)
{
    (void)context;
    (void)aggregate, (void)error;
    const extreme_t *self = acc;
    if (self->present)
        *value = held_value_get (spec.input, &self->value);
    return STATUS_OK;
}

#define EXTREME_OPS                                                                                \
    {                                                                                              \
        .size = extreme_size, .partial_max = extreme_partial_max, .init = extreme_init,            \
        .release = extreme_release, .reset = extreme_reset, .add = extreme_add,                    \
        .add_rows = extreme_add_rows, .put_suffixes = extreme_put_suffixes,                        \
        .merge = extreme_merge, .merge_partial = extreme_merge_partial, .encode = extreme_encode,  \
        .is_empty = extreme_is_empty, .memory = extreme_memory, .final = extreme_final             \
    }
const state_ops_t state_ops_MIN = EXTREME_OPS;
const state_ops_t state_ops_MAX = EXTREME_OPS;
