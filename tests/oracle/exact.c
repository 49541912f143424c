#include "tests/oracle/exact.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

/* ---- adding up ---- */

void exact_clear (exact_t *self)
{
    memset (self, 0, sizeof *self);
}

static void add (exact_t *self, int64_t integer, int exponent)
{
    CHECK (exponent >= EXACT_EXPONENT_MIN);
    CHECK (exponent < EXACT_EXPONENT_MIN + EXACT_EXPONENTS);
    exact_bucket_t *bucket = &self->bucket[exponent - EXACT_EXPONENT_MIN];
    uint64_t size = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    unsigned __int128 square = (unsigned __int128)size * size;
    bucket->sum += integer;
    bucket->square_low += (uint64_t)square;
    bucket->square_high += (uint64_t)(square >> 64);
    self->rows++;
}

void exact_add_int (exact_t *self, int64_t value)
{
    add (self, value, 0);
}

void exact_add_float (exact_t *self, double value)
{
    CHECK (isfinite (value));
    uint64_t bits;
    memcpy (&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 52 & 2047);
    int64_t integer = (int64_t)(bits & ((UINT64_C (1) << 52) - 1));
    if (exponent == 0)
        exponent = 1; /* subnormal: as the lowest exponent, without the leading bit */
    else
        integer |= INT64_C (1) << 52;
    add (self, signbit (value) ? -integer : integer, exponent - 1075);
}

static void set_u128 (mpz_t out, unsigned __int128 value)
{
    mpz_set_ui (out, (uint64_t)(value >> 64));
    mpz_mul_2exp (out, out, 64);
    mpz_add_ui (out, out, (uint64_t)value);
}

void exact_sum (const exact_t *self, mpz_t sum)
{
    mpz_t part;
    mpz_init (part);
    mpz_set_ui (sum, 0);
    for (unsigned i = 0; i < EXACT_EXPONENTS; i++) {
        __int128 value = self->bucket[i].sum;
        if (value == 0)
            continue;
        set_u128 (part, value < 0 ? -(unsigned __int128)value : (unsigned __int128)value);
        mpz_mul_2exp (part, part, i);
        if (value < 0)
            mpz_sub (sum, sum, part);
        else
            mpz_add (sum, sum, part);
    }
    mpz_clear (part);
}

void exact_squares (const exact_t *self, mpz_t squares)
{
    mpz_t part;
    mpz_init (part);
    mpz_set_ui (squares, 0);
    for (unsigned i = 0; i < EXACT_EXPONENTS; i++) {
        const exact_bucket_t *bucket = &self->bucket[i];
        if (bucket->square_low == 0 && bucket->square_high == 0)
            continue;
        set_u128 (part, bucket->square_low);
        mpz_mul_2exp (part, part, 2 * i);
        mpz_add (squares, squares, part);
        set_u128 (part, bucket->square_high);
        mpz_mul_2exp (part, part, 2 * i + 64);
        mpz_add (squares, squares, part);
    }
    mpz_clear (part);
}

/* ---- rounding ---- */

static long bits_of (const mpz_t number)
{
    return (long)mpz_sizeinbase (number, 2);
}

/* quotient, rest = numerator / (denominator 2^exponent); divisor is what was divided by, in the
 * rest's unit. */
static void divide (mpz_t quotient, mpz_t rest, mpz_t divisor, const mpz_t numerator,
                    const mpz_t denominator, long exponent)
{
    if (exponent >= 0) {
        mpz_mul_2exp (divisor, denominator, (mp_bitcnt_t)exponent);
        mpz_fdiv_qr (quotient, rest, numerator, divisor);
    } else {
        mpz_set (divisor, denominator);
        mpz_mul_2exp (rest, numerator, (mp_bitcnt_t)-exponent);
        mpz_fdiv_qr (quotient, rest, rest, divisor);
    }
}

static bool round_positive (const mpz_t numerator, const mpz_t denominator, double *out)
{
    mpz_t quotient, rest, divisor;
    mpz_inits (quotient, rest, divisor, NULL);
    long exponent = bits_of (numerator) - bits_of (denominator) - 53;
    exponent = exponent < EXACT_EXPONENT_MIN ? EXACT_EXPONENT_MIN : exponent;
    divide (quotient, rest, divisor, numerator, denominator, exponent);
    if (bits_of (quotient) > 53)
        divide (quotient, rest, divisor, numerator, denominator, ++exponent);
    CHECK (bits_of (quotient) <= 53);
    mpz_mul_2exp (rest, rest, 1);
    int against_half = mpz_cmp (rest, divisor);
    if (against_half > 0 || (against_half == 0 && mpz_odd_p (quotient)))
        mpz_add_ui (quotient, quotient, 1);
    bool fits = exponent <= 971;
    *out = fits ? ldexp (mpz_get_d (quotient), (int)exponent) : HUGE_VAL;
    mpz_clears (quotient, rest, divisor, NULL);
    return isfinite (*out);
}

bool exact_round (const mpz_t numerator, const mpz_t denominator, double *out)
{
    CHECK (mpz_sgn (denominator) > 0);
    *out = 0.0;
    if (mpz_sgn (numerator) == 0)
        return true;
    mpz_t size;
    mpz_init (size);
    mpz_abs (size, numerator);
    bool fits = round_positive (size, denominator, out);
    if (mpz_sgn (numerator) < 0 && *out != 0)
        *out = -*out;
    mpz_clear (size);
    return fits;
}

bool exact_round_root (const mpz_t numerator, const mpz_t denominator, double *out)
{
    CHECK (mpz_sgn (denominator) > 0);
    CHECK (mpz_sgn (numerator) >= 0);
    *out = 0.0;
    if (mpz_sgn (numerator) == 0)
        return true;
    mpz_t scaled, root, rest, divisor;
    mpz_inits (scaled, root, rest, divisor, NULL);
    /* The root of floor(fraction 4^k) has more than the 55 bits at which it could still matter
     * what was cut off; whether anything was is one more bit. */
    long short_of = 130 - (bits_of (numerator) - bits_of (denominator));
    long k = short_of > 0 ? (short_of + 1) / 2 : 0;
    divide (scaled, rest, divisor, numerator, denominator, -2 * k);
    bool cut = mpz_sgn (rest) != 0;
    mpz_sqrtrem (root, rest, scaled);
    cut = cut || mpz_sgn (rest) != 0;
    mpz_mul_2exp (root, root, 1);
    if (cut)
        mpz_add_ui (root, root, 1);
    mpz_set_ui (divisor, 1);
    mpz_mul_2exp (divisor, divisor, (mp_bitcnt_t)(k + 1));
    bool fits = exact_round (root, divisor, out);
    mpz_clears (scaled, root, rest, divisor, NULL);
    return fits;
}
