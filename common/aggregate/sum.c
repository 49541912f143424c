/* SUM: rows and their exact sum.
 *
 * Partial over int64: varint of rows, zigzag varint of the sum (up to 128 bits). Over float64: the
 * rows as in float_rows.h, then the sum of the finite ones as in exact_sum.h. */
#include "aggregate/exact_number.h"
#include "aggregate/float_rows.h"
#include "aggregate/int_rows.h"
#include "aggregate/state_ops.h"
#include "aggregate/window_sums.h"

typedef struct int_sum {
    uint64_t rows;
    int128_t sum;
} int_sum_t;

typedef struct float_sum {
    float_rows_t rows;
    exact_sum_t sum;
} float_sum_t;

static size_t sum_size (state_spec_t spec)
{
    return spec.input == TYPE_INT64     ? sizeof (int_sum_t)
           : spec.input == TYPE_FLOAT64 ? sizeof (float_sum_t)
                                        : 0;
}

static size_t sum_partial_max (state_spec_t spec)
{
    return spec.input == TYPE_FLOAT64 ? FLOAT_ROWS_MAX + EXACT_SUM_OF_FLOATS_MAX : 9 + 19;
}

static void sum_init (state_spec_t spec, void *acc)
{
    if (spec.input == TYPE_INT64) {
        *(int_sum_t *)acc = (int_sum_t){ 0 };
    } else {
        float_sum_t *self = acc;
        self->rows = (float_rows_t){ 0 };
        exact_sum_init (&self->sum);
    }
}

static void sum_release (state_spec_t spec, void *acc)
{
    if (spec.input == TYPE_FLOAT64)
        exact_sum_release (&((float_sum_t *)acc)->sum);
}

static void sum_reset (state_spec_t spec, void *acc)
{
    if (spec.input == TYPE_INT64) {
        *(int_sum_t *)acc = (int_sum_t){ 0 };
    } else {
        float_sum_t *self = acc;
        self->rows = (float_rows_t){ 0 };
        exact_sum_reset (&self->sum);
    }
}

static void sum_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    (void)place;
    if (spec.input == TYPE_INT64) {
        int_sum_t *self = acc;
        (void)rows_add (&self->rows, 1);
        self->sum = int128_add (self->sum, value->i);
    } else {
        float_sum_t *self = acc;
        if (!float_rows_add (&self->rows, value->f))
            exact_sum_add_float (&self->sum, value->f);
    }
}

static void add_ints (int_sum_t *self, const int64_t *values, size_t count)
{
    (void)rows_add (&self->rows, count);
    self->sum = int128_add (self->sum, ints_sum (values, count));
}

static void add_floats (float_sum_t *self, const double *values, size_t count)
{
    size_t finite = exact_sum_add_floats (&self->sum, values, count);
    float_rows_add_some (&self->rows, values, count, finite);
}

static bool sum_add_rows (state_spec_t spec, void *acc, const state_rows_t *rows)
{
    numbers_t numbers;
    bool any = false;
    numbers.at = rows->from;
    while (numbers_next (&numbers, spec, rows)) {
        any = true;
        if (spec.input == TYPE_INT64)
            add_ints (acc, numbers.values, numbers.count);
        else
            add_floats (acc, numbers.values, numbers.count);
    }
    return any;
}

static bool put_int_suffixes (state_suffixes_t *rows)
{
    const int64_t *values = rows->values;
    int128_t sum = 0;
    uint64_t count = 0;
    for (size_t i = rows->ranges; i-- > 0;) {
        if (suffix_count (rows, i) == 0) {
            suffix_same (rows, i);
            continue;
        }
        count += suffix_count (rows, i);
        sum += ints_sum (values + rows->start[i], suffix_count (rows, i));
        suffix_end (rows, i, suffix_int128 (suffix_varint (suffix_begin (rows), count), sum));
    }
    return true;
}

static bool put_float_suffixes (state_suffixes_t *rows)
{
    const double *values = rows->values;
    near_floats_t near;
    near_sums_t sums = { 0 };
    uint64_t count = 0;
    if (!near_floats_find (&near, values + rows->start[0], suffix_all (rows)))
        return false;
    for (size_t i = rows->ranges; i-- > 0;) {
        if (suffix_count (rows, i) == 0) {
            suffix_same (rows, i);
            continue;
        }
        count += suffix_count (rows, i);
        near_sums_add (&sums, &near, values + rows->start[i], suffix_count (rows, i));
        uint8_t *to = suffix_varint (suffix_begin (rows), count << 1); /* as float_rows_encode */
        suffix_end (rows, i, near_sums_put (&sums, &near, to));
    }
    return true;
}

static bool sum_put_suffixes (state_spec_t spec, state_suffixes_t *rows)
{
    return spec.input == TYPE_INT64 ? put_int_suffixes (rows) : put_float_suffixes (rows);
}

static bool sum_final_windows (state_spec_t spec, aggregate_t aggregate, const state_rows_t *rows,
                               const state_windows_t *windows)
{
    if (aggregate != AGGREGATE_SUM || !rows->whole)
        return false;
    return spec.input == TYPE_INT64 ? window_sums_of_ints (rows->lane[0]->i, windows)
                                    : window_sums_of_floats (rows->lane[0]->f, windows);
}

static void sum_merge (state_spec_t spec, void *acc, const void *from)
{
    if (spec.input == TYPE_INT64) {
        const int_sum_t *other = from;
        if (rows_add (&((int_sum_t *)acc)->rows, other->rows))
            ((int_sum_t *)acc)->sum = int128_add (((int_sum_t *)acc)->sum, other->sum);
    } else {
        const float_sum_t *other = from;
        if (float_rows_merge (&((float_sum_t *)acc)->rows, &other->rows))
            exact_sum_merge (&((float_sum_t *)acc)->sum, &other->sum);
    }
}

static bool merge_int_partial (int_sum_t *self, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    uint64_t rows = partial_read_varint (&reader);
    int128_t sum = partial_read_int128 (&reader);
    if (reader.bad || reader_left (&reader) != 0 || rows == 0 || rows > STATE_ROWS_MAX ||
        sum < (int128_t)INT64_MIN * (int128_t)rows || sum > (int128_t)INT64_MAX * (int128_t)rows ||
        !rows_add (&self->rows, rows))
        return false;
    self->sum = int128_add (self->sum, sum);
    return true;
}

static bool merge_float_partial (float_sum_t *self, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    float_rows_t rows = float_rows_read (&reader);
    if (reader.bad)
        return false;
    if (float_rows_count_finite (&rows) == 0)
        return reader_left (&reader) == 1 && reader.at[0] == 0 &&
               float_rows_merge (&self->rows, &rows);
    return exact_sum_merge_encoded (&self->sum, &reader, EXACT_RANGE_FLOATS) &&
           reader_left (&reader) == 0 && float_rows_merge (&self->rows, &rows);
}

static bool sum_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    return spec.input == TYPE_INT64 ? merge_int_partial (acc, partial)
                                    : merge_float_partial (acc, partial);
}

static void sum_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    if (spec.input == TYPE_INT64) {
        const int_sum_t *self = acc;
        buf_put_varint (out, self->rows);
        partial_put_int128 (out, self->sum);
    } else {
        const float_sum_t *self = acc;
        float_rows_encode (&self->rows, out);
        exact_sum_encode (&self->sum, out);
    }
}

static bool sum_is_empty (state_spec_t spec, const void *acc)
{
    return (spec.input == TYPE_INT64 ? ((const int_sum_t *)acc)->rows
                                     : ((const float_sum_t *)acc)->rows.rows) == 0;
}

static status_t final_int_sum (const int_sum_t *self, aggregate_t aggregate, value_t *value,
                               error_t *error)
{
    if (aggregate == AGGREGATE_SUM) {
        if (self->sum != (int64_t)self->sum)
            return error_set (error, STATUS_RANGE, "sum: the exact result does not fit an int64");
        final_int (value, (int64_t)self->sum);
        return STATUS_OK;
    }
    exact_number_t number;
    double mean;
    exact_number_of_int128 (&number, self->sum);
    if (!exact_number_round_quotient (&number, self->rows, &mean))
        return final_float_range (aggregate, error);
    final_float (value, mean);
    return STATUS_OK;
}

static status_t final_float_sum (const float_sum_t *self, aggregate_t aggregate, value_t *value,
                                 error_t *error)
{
    double result;
    if (!float_rows_finite (&self->rows)) {
        result = float_rows_sum (&self->rows);
    } else {
        exact_number_t number;
        if (aggregate == AGGREGATE_SUM && exact_sum_round (&self->sum, &result)) {
            final_float (value, result);
            return STATUS_OK;
        }
        exact_number_of_sum (&number, &self->sum);
        bool fits = aggregate == AGGREGATE_SUM
                        ? exact_number_round (&number, &result)
                        : exact_number_round_quotient (&number, self->rows.rows, &result);
        if (!fits)
            return final_float_range (aggregate, error);
    }
    final_float (value, result);
    return STATUS_OK;
}

static status_t sum_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                           const final_context_t *context, value_t *value, error_t *error)
{
    (void)context;
    if (sum_is_empty (spec, acc))
        return STATUS_OK;
    return spec.input == TYPE_INT64 ? final_int_sum (acc, aggregate, value, error)
                                    : final_float_sum (acc, aggregate, value, error);
}

const state_ops_t state_ops_SUM = {
    .size = sum_size,
    .partial_max = sum_partial_max,
    .init = sum_init,
    .release = sum_release,
    .reset = sum_reset,
    .add = sum_add,
    .add_rows = sum_add_rows,
    .put_suffixes = sum_put_suffixes,
    .final_windows = sum_final_windows,
    .merge = sum_merge,
    .merge_partial = sum_merge_partial,
    .encode = sum_encode,
    .is_empty = sum_is_empty,
    .final = sum_final,
};
