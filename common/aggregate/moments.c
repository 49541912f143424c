/* MOMENTS: rows, their exact sum, and the exact sum of their squares.
 *
 * Partial over int64: varint of rows, zigzag varint of the sum (up to 128 bits), one byte with the
 * size of the sum of squares and that many bytes of it, least first, the last not 0. Over float64:
 * the rows as in float_rows.h, then sum and sum of squares of the finite ones as in exact_sum.h. */
#include "aggregate/exact_number.h"
#include "aggregate/float_rows.h"
#include "aggregate/int_rows.h"
#include "aggregate/state_ops.h"

#include "base/check.h"

enum { SQUARES_LIMBS = 3, SQUARES_BYTES = 8 * SQUARES_LIMBS };

typedef struct int_moments {
    uint64_t rows;
    uint64_t squares[SQUARES_LIMBS]; /* least first: below 2^(126 + 63) */
    int128_t sum;
} int_moments_t;

typedef struct float_moments {
    float_rows_t rows;
    exact_sum_t sum;
    exact_sum_t squares;
} float_moments_t;

static size_t moments_size (state_spec_t spec)
{
    return spec.input == TYPE_INT64     ? sizeof (int_moments_t)
           : spec.input == TYPE_FLOAT64 ? sizeof (float_moments_t)
                                        : 0;
}

static size_t moments_partial_max (state_spec_t spec)
{
    return spec.input == TYPE_FLOAT64
               ? FLOAT_ROWS_MAX + EXACT_SUM_OF_FLOATS_MAX + EXACT_SUM_OF_SQUARES_MAX
               : 9 + 19 + 25;
}

static void moments_init (state_spec_t spec, void *acc)
{
    if (spec.input == TYPE_INT64) {
        *(int_moments_t *)acc = (int_moments_t){ 0 };
    } else {
        float_moments_t *self = acc;
        self->rows = (float_rows_t){ 0 };
        exact_sum_init (&self->sum);
        exact_sum_init (&self->squares);
    }
}

static void moments_release (state_spec_t spec, void *acc)
{
    if (spec.input == TYPE_FLOAT64) {
        exact_sum_release (&((float_moments_t *)acc)->sum);
        exact_sum_release (&((float_moments_t *)acc)->squares);
    }
}

static void moments_reset (state_spec_t spec, void *acc)
{
    if (spec.input == TYPE_INT64) {
        *(int_moments_t *)acc = (int_moments_t){ 0 };
    } else {
        float_moments_t *self = acc;
        self->rows = (float_rows_t){ 0 };
        exact_sum_reset (&self->sum);
        exact_sum_reset (&self->squares);
    }
}

static void squares_add (uint64_t *squares, const uint64_t *more)
{
    uint128_t carry = 0;
    for (unsigned i = 0; i < SQUARES_LIMBS; i++) {
        carry += (uint128_t)squares[i] + more[i];
        squares[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static void add_int (int_moments_t *self, int64_t value)
{
    uint128_t square = (uint128_t)((int128_t)value * value);
    (void)rows_add (&self->rows, 1);
    self->sum = int128_add (self->sum, value);
    squares_add (self->squares, (uint64_t[]){ (uint64_t)square, (uint64_t)(square >> 64), 0 });
}

/* At most INT_NARROW_ROWS numbers, all narrow. */
static void add_narrow_ints (int_moments_t *self, const int64_t *values, size_t count)
{
    uint64_t squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (uint64_t)(values[i] * values[i]);
    (void)rows_add (&self->rows, count);
    self->sum = int128_add (self->sum, ints_sum_some (values, count));
    squares_add (self->squares, (uint64_t[]){ squares, 0, 0 });
}

static void add_wide_ints (int_moments_t *self, const int64_t *values, size_t count)
{
    int128_t sum = 0;
    uint128_t low = 0;  /* of squares: sums of their low words … */
    uint128_t high = 0; /* … and of their high ones: neither wraps, as they are few */
    for (size_t i = 0; i < count; i++) {
        uint128_t square = (uint128_t)((int128_t)values[i] * values[i]);
        sum += values[i];
        low += (uint64_t)square;
        high += (uint64_t)(square >> 64);
    }
    high += low >> 64;
    (void)rows_add (&self->rows, count);
    self->sum = int128_add (self->sum, sum);
    squares_add (self->squares,
                 (uint64_t[]){ (uint64_t)low, (uint64_t)high, (uint64_t)(high >> 64) });
}

static void add_ints (int_moments_t *self, const int64_t *values, size_t count)
{
    for (size_t some; count > 0; values += some, count -= some) {
        some = count < INT_NARROW_ROWS ? count : INT_NARROW_ROWS;
        if (ints_are_narrow (values, some))
            add_narrow_ints (self, values, some);
        else
            add_wide_ints (self, values, some);
    }
}

static void add_floats (float_moments_t *self, const double *values, size_t count)
{
    size_t finite = exact_sum_add_floats_and_squares (&self->sum, &self->squares, values, count);
    float_rows_add_some (&self->rows, values, count, finite);
}

static void add_float (float_moments_t *self, double value)
{
    if (float_rows_add (&self->rows, value))
        return;
    exact_sum_add_float (&self->sum, value);
    exact_sum_add_float_product (&self->squares, value, value);
}

static void moments_add (state_spec_t spec, void *acc, const value_t *value,
                         const row_place_t *place)
{
    (void)place;
    if (spec.input == TYPE_INT64)
        add_int (acc, value->i);
    else
        add_float (acc, value->f);
}

static bool moments_add_rows (state_spec_t spec, void *acc, const state_rows_t *rows)
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
        near_sums_add_with_squares (&sums, &near, values + rows->start[i], suffix_count (rows, i));
        uint8_t *to = suffix_varint (suffix_begin (rows), count << 1); /* as float_rows_encode */
        to = near_sums_put (&sums, &near, to);
        suffix_end (rows, i, near_sums_put_squares (&sums, &near, to));
    }
    return true;
}

static uint8_t *put_int_squares (uint8_t *to, const uint64_t *squares)
{
    unsigned size = squares[2] != 0   ? 24 - (unsigned)__builtin_clzll (squares[2]) / 8
                    : squares[1] != 0 ? 16 - (unsigned)__builtin_clzll (squares[1]) / 8
                    : squares[0] != 0 ? 8 - (unsigned)__builtin_clzll (squares[0]) / 8
                                      : 0;
    to[0] = (uint8_t)size;
    memcpy (to + 1, squares, SQUARES_BYTES);
    return to + 1 + size;
}

static bool put_int_suffixes (state_suffixes_t *rows)
{
    const int64_t *values = rows->values;
    int_moments_t all = { 0 };
    for (size_t i = rows->ranges; i-- > 0;) {
        if (suffix_count (rows, i) == 0) {
            suffix_same (rows, i);
            continue;
        }
        add_ints (&all, values + rows->start[i], suffix_count (rows, i));
        uint8_t *to = suffix_int128 (suffix_varint (suffix_begin (rows), all.rows), all.sum);
        suffix_end (rows, i, put_int_squares (to, all.squares));
    }
    return true;
}

static bool moments_put_suffixes (state_spec_t spec, state_suffixes_t *rows)
{
    return spec.input == TYPE_INT64 ? put_int_suffixes (rows) : put_float_suffixes (rows);
}

static void moments_merge (state_spec_t spec, void *acc, const void *from)
{
    if (spec.input == TYPE_INT64) {
        int_moments_t *self = acc;
        const int_moments_t *other = from;
        if (rows_add (&self->rows, other->rows)) {
            self->sum = int128_add (self->sum, other->sum);
            squares_add (self->squares, other->squares);
        }
    } else {
        float_moments_t *self = acc;
        const float_moments_t *other = from;
        if (float_rows_merge (&self->rows, &other->rows)) {
            exact_sum_merge (&self->sum, &other->sum);
            exact_sum_merge (&self->squares, &other->squares);
        }
    }
}

/* Reads size and bytes; bad when not canonical. */
static void squares_read (reader_t *reader, uint64_t *squares)
{
    uint8_t size = reader_u8 (reader);
    const uint8_t *bytes = size <= SQUARES_BYTES ? reader_bytes (reader, size) : NULL;
    memset (squares, 0, SQUARES_BYTES);
    if (size == 0)
        return;
    if (bytes == NULL || bytes[size - 1] == 0) {
        reader->bad = true;
        return;
    }
    for (unsigned i = 0; i < size; i++)
        squares[i / 8] |= (uint64_t)bytes[i] << 8 * (i % 8);
}

/* Is it at most rows * 2^126, as squares of int64s are? */
static bool squares_fit (const uint64_t *squares, uint64_t rows)
{
    const uint64_t most[SQUARES_LIMBS] = { 0, rows << 62, rows >> 2 };
    for (unsigned i = SQUARES_LIMBS; i-- > 0;)
        if (squares[i] != most[i])
            return squares[i] < most[i];
    return true;
}

static bool merge_int_partial (int_moments_t *self, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    uint64_t rows = partial_read_varint (&reader);
    int128_t sum = partial_read_int128 (&reader);
    uint64_t squares[SQUARES_LIMBS];
    squares_read (&reader, squares);
    if (reader.bad || reader_left (&reader) != 0 || rows == 0 || rows > STATE_ROWS_MAX ||
        sum < (int128_t)INT64_MIN * (int128_t)rows || sum > (int128_t)INT64_MAX * (int128_t)rows ||
        !squares_fit (squares, rows) || !rows_add (&self->rows, rows))
        return false;
    self->sum = int128_add (self->sum, sum);
    squares_add (self->squares, squares);
    return true;
}

static bool merge_float_partial (float_moments_t *self, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    float_rows_t rows = float_rows_read (&reader);
    if (reader.bad)
        return false;
    if (float_rows_count_finite (&rows) == 0)
        return reader_left (&reader) == 2 && reader.at[0] == 0 && reader.at[1] == 0 &&
               float_rows_merge (&self->rows, &rows);
    return exact_sum_merge_encoded (&self->sum, &reader, EXACT_RANGE_FLOATS) &&
           exact_sum_merge_encoded (&self->squares, &reader, EXACT_RANGE_SQUARES) &&
           reader_left (&reader) == 0 && float_rows_merge (&self->rows, &rows);
}

static bool moments_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    return spec.input == TYPE_INT64 ? merge_int_partial (acc, partial)
                                    : merge_float_partial (acc, partial);
}

static void moments_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    if (spec.input == TYPE_FLOAT64) {
        const float_moments_t *self = acc;
        float_rows_encode (&self->rows, out);
        exact_sum_encode (&self->sum, out);
        exact_sum_encode (&self->squares, out);
        return;
    }
    const int_moments_t *self = acc;
    buf_put_varint (out, self->rows);
    partial_put_int128 (out, self->sum);
    uint8_t bytes[SQUARES_BYTES], size = 0;
    for (uint8_t i = 0; i < SQUARES_BYTES; i++) {
        bytes[i] = (uint8_t)(self->squares[i / 8] >> 8 * (i % 8));
        if (bytes[i] != 0)
            size = (uint8_t)(i + 1);
    }
    buf_put_u8 (out, size);
    buf_put (out, bytes, size);
}

static uint64_t rows_of (state_spec_t spec, const void *acc)
{
    return spec.input == TYPE_INT64 ? ((const int_moments_t *)acc)->rows
                                    : ((const float_moments_t *)acc)->rows.rows;
}

static bool moments_is_empty (state_spec_t spec, const void *acc)
{
    return rows_of (spec, acc) == 0;
}

/* rows^2 times the population's variance, exactly; false when no rows can have it. */
static bool dispersion (state_spec_t spec, const void *acc, exact_number_t *out)
{
    exact_number_t sum, squares;
    if (spec.input == TYPE_INT64) {
        const int_moments_t *self = acc;
        exact_number_of_int128 (&sum, self->sum);
        exact_number_of_limbs (&squares, self->squares, SQUARES_LIMBS);
    } else {
        const float_moments_t *self = acc;
        exact_number_of_sum (&sum, &self->sum);
        exact_number_of_sum (&squares, &self->squares);
    }
    return exact_number_dispersion (out, rows_of (spec, acc), &sum, &squares);
}

static status_t moments_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                               const final_context_t *context, value_t *value, error_t *error)
{
    (void)context;
    uint64_t rows = rows_of (spec, acc);
    bool sample = aggregate == AGGREGATE_VARIANCE || aggregate == AGGREGATE_STDDEV;
    bool root = aggregate == AGGREGATE_STDDEV || aggregate == AGGREGATE_STDDEV_POP;
    if (rows < (sample ? 2 : 1))
        return STATUS_OK;
    if (spec.input == TYPE_FLOAT64 && !float_rows_finite (&((const float_moments_t *)acc)->rows)) {
        final_float (value, (double)NAN);
        return STATUS_OK;
    }
    exact_number_t number;
    if (!dispersion (spec, acc, &number))
        return final_no_rows (aggregate, error);
    uint128_t divisor = (uint128_t)rows * (sample ? rows - 1 : rows);
    double result;
    if (!(root ? exact_number_round_root (&number, divisor, &result)
               : exact_number_round_quotient (&number, divisor, &result)))
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

const state_ops_t state_ops_MOMENTS = {
    .size = moments_size,
    .partial_max = moments_partial_max,
    .init = moments_init,
    .release = moments_release,
    .reset = moments_reset,
    .add = moments_add,
    .add_rows = moments_add_rows,
    .put_suffixes = moments_put_suffixes,
    .merge = moments_merge,
    .merge_partial = moments_merge_partial,
    .encode = moments_encode,
    .is_empty = moments_is_empty,
    .final = moments_final,
};
