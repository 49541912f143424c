/* SUM and MOMENTS over decimals: rows, the exact sum of their unscaled values, and for MOMENTS that
 * of their squares, as integers wide enough for 2^63 rows of 38 digits.
 *
 * Partial: varint of rows, the sum, and for MOMENTS the sum of squares, each as one byte of 2 *
 * size
 * + sign (1: negative) and `size` bytes of the absolute value, least first, the last not 0; 0 has
 * size and sign 0. */
#include "aggregate/decimal_sums.h"
#include "aggregate/exact_number.h"

#include "base/check.h"
#include "base/decimal.h"

#include <gmp.h>

enum {
    UNSCALED_LIMBS = 2,
    SUM_LIMBS = 3,     /* 2^63 * 10^38 < 2^190 */
    SQUARES_LIMBS = 5, /* 2^63 * 10^76 < 2^316 */
    TENS_LIMBS = 2,
    ROWS_BYTES = 9, /* of a varint below 2^63 */
};

typedef struct decimal_sum {
    uint64_t rows;
    uint64_t sum[SUM_LIMBS]; /* two's complement, least first */
} decimal_sum_t;

typedef struct decimal_moments {
    decimal_sum_t first;
    uint64_t squares[SQUARES_LIMBS];
} decimal_moments_t;

static void limbs_of (uint64_t *limbs, uint128_t value)
{
    limbs[0] = (uint64_t)value;
    limbs[1] = (uint64_t)(value >> 64);
}

static uint128_t magnitude_of (int128_t value)
{
    return value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
}

/* ---- adding ---- */

static void sum_add_value (decimal_sum_t *self, int128_t value)
{
    uint64_t wide[SUM_LIMBS];
    limbs_of (wide, (uint128_t)value);
    wide[SUM_LIMBS - 1] = value < 0 ? UINT64_MAX : 0;
    (void)rows_add (&self->rows, 1);
    (void)mpn_add_n (self->sum, self->sum, wide, SUM_LIMBS);
}

static void squares_add_value (decimal_moments_t *self, int128_t value)
{
    uint64_t limbs[UNSCALED_LIMBS];
    uint64_t square[SQUARES_LIMBS] = { 0 };
    limbs_of (limbs, magnitude_of (value));
    mpn_sqr (square, limbs, UNSCALED_LIMBS);
    (void)mpn_add_n (self->squares, self->squares, square, SQUARES_LIMBS);
}

static bool sum_merge_one (decimal_sum_t *self, const decimal_sum_t *other)
{
    if (!rows_add (&self->rows, other->rows))
        return false;
    (void)mpn_add_n (self->sum, self->sum, other->sum, SUM_LIMBS);
    return true;
}

static bool moments_merge_one (decimal_moments_t *self, const decimal_moments_t *other)
{
    if (!sum_merge_one (&self->first, &other->first))
        return false;
    (void)mpn_add_n (self->squares, self->squares, other->squares, SQUARES_LIMBS);
    return true;
}

/* ---- partials ---- */

/* The absolute value of a sum; is it negative? */
static bool sum_magnitude (const decimal_sum_t *self, uint64_t *magnitude)
{
    bool negative = self->sum[SUM_LIMBS - 1] >> 63 != 0;
    memcpy (magnitude, self->sum, sizeof self->sum);
    if (negative)
        mpn_neg (magnitude, magnitude, SUM_LIMBS);
    return negative;
}

static void put_wide (buf_t *out, const uint64_t *limbs, unsigned count, bool negative)
{
    unsigned size = count * 8;
    while (size > 0 && (uint8_t)(limbs[(size - 1) / 8] >> 8 * ((size - 1) % 8)) == 0)
        size--;
    buf_put_u8 (out, (uint8_t)(2 * size + negative));
    buf_put (out, limbs, size); /* limbs are stored least first too */
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

/* False when it is not canonical, or wider than `count` limbs. */
static bool read_wide (reader_t *reader, uint64_t *limbs, unsigned count, bool *negative)
{
    uint8_t head = reader_u8 (reader);
    unsigned size = head / 2;
    *negative = head % 2 != 0;
    memset (limbs, 0, count * sizeof *limbs);
    if (reader->bad || size > count * 8 || (size == 0 && *negative))
        return false;
    const uint8_t *bytes = reader_bytes (reader, size);
    if (size == 0)
        return true;
    if (bytes == NULL || bytes[size - 1] == 0)
        return false;
    memcpy (limbs, bytes, size);
    return true;
}

static bool read_sum (reader_t *reader, decimal_sum_t *sum)
{
    bool negative;
    uint64_t most[SUM_LIMBS];
    sum->rows = partial_read_varint (reader);
    if (reader->bad || sum->rows == 0 || sum->rows > STATE_ROWS_MAX ||
        !read_wide (reader, sum->sum, SUM_LIMBS, &negative))
        return false;
    limbs_of (most, (uint128_t)decimal_power (DECIMAL_DIGITS_MAX) - 1);
    most[UNSCALED_LIMBS] = mpn_mul_1 (most, most, UNSCALED_LIMBS, sum->rows);
    if (mpn_cmp (sum->sum, most, SUM_LIMBS) > 0)
        return false;
    if (negative)
        mpn_neg (sum->sum, sum->sum, SUM_LIMBS);
    return true;
}

static bool read_squares (reader_t *reader, decimal_moments_t *moments)
{
    bool negative;
    uint64_t one[UNSCALED_LIMBS], most[SQUARES_LIMBS];
    if (!read_wide (reader, moments->squares, SQUARES_LIMBS, &negative) || negative)
        return false;
    limbs_of (one, (uint128_t)decimal_power (DECIMAL_DIGITS_MAX) - 1);
    mpn_sqr (most, one, UNSCALED_LIMBS);
    most[SQUARES_LIMBS - 1] = mpn_mul_1 (most, most, SQUARES_LIMBS - 1, moments->first.rows);
    return mpn_cmp (moments->squares, most, SQUARES_LIMBS) <= 0;
}

static void put_sum (buf_t *out, const decimal_sum_t *self)
{
    uint64_t magnitude[SUM_LIMBS];
    bool negative = sum_magnitude (self, magnitude);
    buf_put_varint (out, self->rows);
    put_wide (out, magnitude, SUM_LIMBS, negative);
}

/* ---- results ---- */

static void number_of_sum (exact_number_t *number, const decimal_sum_t *self)
{
    uint64_t magnitude[SUM_LIMBS];
    bool negative = sum_magnitude (self, magnitude);
    exact_number_of_limbs (number, magnitude, SUM_LIMBS);
    number->negative = negative;
}

/* factor * 10^(scale * power), power 1 or 2. */
static void number_of_divisor (exact_number_t *number, uint128_t factor, unsigned scale,
                               unsigned power)
{
    uint64_t tens[2 * TENS_LIMBS] = { 0 }, by[2], one[TENS_LIMBS];
    uint64_t product[2 * TENS_LIMBS + 2];
    limbs_of (one, (uint128_t)decimal_power (scale));
    if (power == 2)
        mpn_sqr (tens, one, TENS_LIMBS);
    else
        memcpy (tens, one, sizeof one);
    limbs_of (by, factor);
    (void)mpn_mul (product, tens, 2 * TENS_LIMBS, by, 2);
    exact_number_of_limbs (number, product, 2 * TENS_LIMBS + 2);
}

static status_t final_sum (const decimal_sum_t *self, value_t *value, error_t *error)
{
    uint64_t magnitude[SUM_LIMBS];
    bool negative = sum_magnitude (self, magnitude);
    uint128_t low = (uint128_t)magnitude[1] << 64 | magnitude[0];
    if (magnitude[2] != 0 || low >= (uint128_t)decimal_power (DECIMAL_DIGITS_MAX))
        return error_set (error, STATUS_RANGE, "sum: the exact result has more than %d digits",
                          DECIMAL_DIGITS_MAX);
    value->null = false;
    value->d = negative ? -(int128_t)low : (int128_t)low;
    return STATUS_OK;
}

static status_t sum_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                           const final_context_t *context, value_t *value, error_t *error)
{
    (void)context;
    const decimal_sum_t *self = acc;
    if (self->rows == 0)
        return STATUS_OK;
    if (aggregate == AGGREGATE_SUM)
        return final_sum (self, value, error);
    exact_number_t number, divisor;
    double mean;
    number_of_sum (&number, self);
    number_of_divisor (&divisor, self->rows, type_scale (spec.input), 1);
    if (!exact_number_round_ratio (&number, &divisor, 0, &mean))
        return final_float_range (aggregate, error);
    final_float (value, mean);
    return STATUS_OK;
}

static status_t moments_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                               const final_context_t *context, value_t *value, error_t *error)
{
    (void)context;
    const decimal_moments_t *self = acc;
    uint64_t rows = self->first.rows;
    bool sample = aggregate == AGGREGATE_VARIANCE || aggregate == AGGREGATE_STDDEV;
    bool root = aggregate == AGGREGATE_STDDEV || aggregate == AGGREGATE_STDDEV_POP;
    if (rows < (sample ? 2 : 1))
        return STATUS_OK;
    exact_number_t sum, squares, number, divisor;
    number_of_sum (&sum, &self->first);
    exact_number_of_limbs (&squares, self->squares, SQUARES_LIMBS);
    if (!exact_number_dispersion (&number, rows, &sum, &squares))
        return error_set (error, STATUS_CORRUPT, "%s: the stored sums are not of any rows",
                          aggregate_info (aggregate)->word);
    number_of_divisor (&divisor, (uint128_t)rows * (sample ? rows - 1 : rows),
                       type_scale (spec.input), 2);
    double result;
    if (!(root ? exact_number_round_ratio_root (&number, &divisor, &result)
               : exact_number_round_ratio (&number, &divisor, 0, &result)))
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

/* ---- the two states ---- */

static size_t sum_size (state_spec_t spec)
{
    (void)spec;
    return sizeof (decimal_sum_t);
}

static size_t moments_size (state_spec_t spec)
{
    (void)spec;
    return sizeof (decimal_moments_t);
}

static size_t sum_partial_max (state_spec_t spec)
{
    (void)spec;
    return ROWS_BYTES + 1 + SUM_LIMBS * 8;
}

static size_t moments_partial_max (state_spec_t spec)
{
    (void)spec;
    return ROWS_BYTES + 1 + SUM_LIMBS * 8 + 1 + SQUARES_LIMBS * 8;
}

static void sum_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(decimal_sum_t *)acc = (decimal_sum_t){ 0 };
}

static void moments_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(decimal_moments_t *)acc = (decimal_moments_t){ 0 };
}

static void release (state_spec_t spec, void *acc)
{
    (void)spec, (void)acc;
}

static void sum_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    (void)spec, (void)place;
    sum_add_value (acc, value->d);
}

static void moments_add (state_spec_t spec, void *acc, const value_t *value,
                         const row_place_t *place)
{
    (void)spec, (void)place;
    decimal_moments_t *self = acc;
    sum_add_value (&self->first, value->d);
    squares_add_value (self, value->d);
}

static void sum_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    (void)sum_merge_one (acc, from);
}

static void moments_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    (void)moments_merge_one (acc, from);
}

static bool sum_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    decimal_sum_t sum;
    reader_t reader = reader_of (partial.data, partial.size);
    return read_sum (&reader, &sum) && reader_left (&reader) == 0 && sum_merge_one (acc, &sum);
}

static bool moments_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    decimal_moments_t moments;
    reader_t reader = reader_of (partial.data, partial.size);
    return read_sum (&reader, &moments.first) && read_squares (&reader, &moments) &&
           reader_left (&reader) == 0 && moments_merge_one (acc, &moments);
}

static void sum_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    put_sum (out, acc);
}

static void moments_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const decimal_moments_t *self = acc;
    put_sum (out, &self->first);
    put_wide (out, self->squares, SQUARES_LIMBS, false);
}

static bool is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const decimal_sum_t *)acc)->rows == 0;
}
_Static_assert(offsetof (decimal_moments_t, first) == 0, "both begin with the rows");

const state_ops_t state_ops_decimal_SUM = {
    .size = sum_size,
    .partial_max = sum_partial_max,
    .init = sum_init,
    .release = release,
    .reset = sum_init,
    .add = sum_add,
    .merge = sum_merge,
    .merge_partial = sum_merge_partial,
    .encode = sum_encode,
    .is_empty = is_empty,
    .final = sum_final,
};

const state_ops_t state_ops_decimal_MOMENTS = {
    .size = moments_size,
    .partial_max = moments_partial_max,
    .init = moments_init,
    .release = release,
    .reset = moments_init,
    .add = moments_add,
    .merge = moments_merge,
    .merge_partial = moments_merge_partial,
    .encode = moments_encode,
    .is_empty = is_empty,
    .final = moments_final,
};
