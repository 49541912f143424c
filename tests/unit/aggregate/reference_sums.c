/* skew, kurtosis, covariance, correlation and slope, from how far each number is from the mean. */
#include "reference.h"

#include <math.h>

/* Of two numbers: the sums of the powers of the distances from their means. */
typedef struct central {
    mpq_t xx, yy, xy, xxx, xxxx;
} central_t;

static void set (mpq_t number, aggregate_t aggregate, const row_t *row, bool second)
{
    value_t time = { .type = TYPE_INT64, .i = row->place.time };
    if (aggregate == AGGREGATE_SLOPE)
        reference_set (number, second ? &row->value : &time);
    else
        reference_set (number,
                       second && row->second.type != TYPE_NONE ? &row->second : &row->value);
}

static void mean (mpq_t out, aggregate_t aggregate, const row_t *rows, size_t count, bool second)
{
    mpq_t number;
    mpq_init (number);
    mpq_set_ui (out, 0, 1);
    for (size_t i = 0; i < count; i++) {
        set (number, aggregate, &rows[i], second);
        mpq_add (out, out, number);
    }
    mpq_set_ui (number, count, 1);
    mpq_div (out, out, number);
    mpq_clear (number);
}

static void add_product (mpq_t sum, const mpq_t a, const mpq_t b)
{
    mpq_t product;
    mpq_init (product);
    mpq_mul (product, a, b);
    mpq_add (sum, sum, product);
    mpq_clear (product);
}

static void central_add (central_t *self, const mpq_t x, const mpq_t y)
{
    mpq_t square;
    mpq_init (square);
    mpq_mul (square, x, x);
    mpq_add (self->xx, self->xx, square);
    add_product (self->yy, y, y);
    add_product (self->xy, x, y);
    add_product (self->xxx, square, x);
    add_product (self->xxxx, square, square);
    mpq_clear (square);
}

static void central_of (central_t *self, aggregate_t aggregate, const row_t *rows, size_t count)
{
    mpq_t mean_x, mean_y, x, y;
    mpq_inits (mean_x, mean_y, x, y, NULL);
    mpq_inits (self->xx, self->yy, self->xy, self->xxx, self->xxxx, NULL);
    mean (mean_x, aggregate, rows, count, false);
    mean (mean_y, aggregate, rows, count, true);
    for (size_t i = 0; i < count; i++) {
        set (x, aggregate, &rows[i], false);
        set (y, aggregate, &rows[i], true);
        mpq_sub (x, x, mean_x);
        mpq_sub (y, y, mean_y);
        central_add (self, x, y);
    }
    mpq_clears (mean_x, mean_y, x, y, NULL);
}

/* numerator / (the integer) */
static void divide (mpq_t numerator, uint64_t integer)
{
    mpq_t divisor;
    mpq_init (divisor);
    mpq_set_ui (divisor, integer, 1);
    mpq_div (numerator, numerator, divisor);
    mpq_clear (divisor);
}

static void scale (mpq_t number, uint64_t integer)
{
    mpz_mul_ui (mpq_numref (number), mpq_numref (number), integer);
    mpq_canonicalize (number);
}

/* With the sign of `sign`, the root of a fraction that is not negative. */
static answer_t signed_root (const mpq_t square, int sign)
{
    answer_t answer = reference_rounded_root (square);
    answer.value.f = sign < 0 ? value_float (-answer.value.f) : answer.value.f;
    return answer;
}

/* G1 = n sqrt (n - 1) / (n - 2) * sum (x - m)^3 / (sum (x - m)^2)^(3/2): its square, and sign. */
static answer_t skew (central_t *of, uint64_t n)
{
    int sign = mpq_sgn (of->xxx);
    mpq_t below;
    mpq_init (below);
    mpq_mul (below, of->xx, of->xx);
    mpq_mul (below, below, of->xx);
    mpq_mul (of->xxx, of->xxx, of->xxx);
    mpq_div (of->xxx, of->xxx, below);
    scale (of->xxx, n);
    scale (of->xxx, n);
    scale (of->xxx, n - 1);
    divide (of->xxx, n - 2);
    divide (of->xxx, n - 2);
    mpq_clear (below);
    return signed_root (of->xxx, sign);
}

/* As pandas has it: n (n + 1) (n - 1) / ((n - 2) (n - 3)) * sum (x - m)^4 / (sum (x - m)^2)^2
 * - 3 (n - 1)^2 / ((n - 2) (n - 3)). */
static answer_t kurtosis (central_t *of, uint64_t n)
{
    mpq_t adjust;
    mpq_init (adjust);
    mpq_mul (of->xx, of->xx, of->xx);
    mpq_div (of->xxxx, of->xxxx, of->xx);
    scale (of->xxxx, n * (n + 1));
    scale (of->xxxx, n - 1);
    mpq_set_ui (adjust, 3 * (n - 1) * (n - 1), 1);
    mpq_sub (of->xxxx, of->xxxx, adjust);
    divide (of->xxxx, (n - 2) * (n - 3));
    mpq_clear (adjust);
    return reference_rounded (of->xxxx);
}

static answer_t correlation (central_t *of)
{
    int sign = mpq_sgn (of->xy);
    if (mpq_sgn (of->xx) == 0 || mpq_sgn (of->yy) == 0)
        return reference_null ();
    mpq_mul (of->xy, of->xy, of->xy);
    mpq_div (of->xy, of->xy, of->xx);
    mpq_div (of->xy, of->xy, of->yy);
    return signed_root (of->xy, sign);
}

static answer_t slope (central_t *of)
{
    if (mpq_sgn (of->xx) == 0)
        return reference_null ();
    mpq_div (of->xy, of->xy, of->xx);
    scale (of->xy, UINT64_C (86400000000));
    return reference_rounded (of->xy);
}

static bool all_finite (const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((rows[i].value.type == TYPE_FLOAT64 && !isfinite (rows[i].value.f)) ||
            (rows[i].second.type == TYPE_FLOAT64 && !isfinite (rows[i].second.f)))
            return false;
    return true;
}

static answer_t of_central (aggregate_t aggregate, central_t *of, size_t count)
{
    switch (aggregate) {
    case AGGREGATE_SKEW:
        return mpq_sgn (of->xx) == 0 ? reference_null () : skew (of, count);
    case AGGREGATE_KURTOSIS:
        return mpq_sgn (of->xx) == 0 ? reference_null () : kurtosis (of, count);
    case AGGREGATE_CORRELATION:
        return correlation (of);
    case AGGREGATE_SLOPE:
        return slope (of);
    default:
        divide (of->xy, aggregate == AGGREGATE_COVARIANCE ? count - 1 : count);
        return reference_rounded (of->xy);
    }
}

answer_t reference_of_sums (aggregate_t aggregate, const row_t *rows, size_t count)
{
    size_t least = aggregate == AGGREGATE_SKEW             ? 3
                   : aggregate == AGGREGATE_KURTOSIS       ? 4
                   : aggregate == AGGREGATE_COVARIANCE_POP ? 1
                                                           : 2;
    if (count < least)
        return reference_null ();
    if (!all_finite (rows, count))
        return reference_float (NAN);
    central_t of;
    central_of (&of, aggregate, rows, count);
    answer_t answer = of_central (aggregate, &of, count);
    mpq_clears (of.xx, of.yy, of.xy, of.xxx, of.xxxx, NULL);
    return answer;
}
