#include "aggregate/exact_number.h"
#include "aggregate/exact_integer.h"
#include "aggregate/near_number.h"

#include "base/check.h"

#include <gmp.h>
#include <math.h>

_Static_assert(sizeof (mp_limb_t) == sizeof (uint64_t) && GMP_NAIL_BITS == 0, "limbs are 64 bits");
_Static_assert(EXACT_SUM_ONE_BIT % 64 == 0, "the grid's limbs start at a multiple of 64 bits");

enum {
    QUOTIENT_BITS = 66,            /* more than 53 and a half bit, so that the rest is sticky */
    ROOT_BITS = 2 * QUOTIENT_BITS, /* of the quotient under a root */
    WORK_LIMBS = EXACT_NUMBER_LIMBS + 8,
    EXPONENT_FAR = 1 << 20,
};

static void trim (exact_number_t *self)
{
    while (self->count > 0 && self->limb[self->count - 1] == 0)
        self->count--;
}

/* `magnitude` times 2^shift in up to three limbs, least first. */
static void put_shifted (exact_number_t *self, uint128_t magnitude, unsigned shift)
{
    uint64_t low = (uint64_t)magnitude, high = (uint64_t)(magnitude >> 64);
    self->limb[0] = low << shift;
    self->limb[1] = shift == 0 ? high : high << shift | low >> (64 - shift);
    self->limb[2] = shift == 0 ? 0 : high >> (64 - shift);
    self->count = 3;
    trim (self);
}

/* A sum of few bits is not taken apart into chunks. */
static void number_of_integer (exact_number_t *self, const exact_sum_t *sum)
{
    int128_t value = exact_sum_integer (sum);
    self->negative = value < 0;
    self->base = sum->low / 8 - EXACT_SUM_ONE_BIT / 64;
    put_shifted (self, value < 0 ? 0 - (uint128_t)value : (uint128_t)value, 8 * (sum->low % 8u));
}

void exact_number_of_sum (exact_number_t *self, const exact_sum_t *sum)
{
    if (exact_sum_is_integer (sum)) {
        number_of_integer (self, sum);
        return;
    }
    exact_magnitude_t magnitude;
    exact_sum_magnitude (sum, &magnitude);
    self->negative = magnitude.negative;
    self->base = magnitude.low / 2 - EXACT_SUM_ONE_BIT / 64;
    unsigned odd = magnitude.low % 2u;
    self->count = (magnitude.count + odd + 1) / 2;
    memset (self->limb, 0, self->count * sizeof *self->limb);
    for (unsigned i = 0; i < magnitude.count; i++)
        self->limb[(i + odd) / 2] |= (uint64_t)magnitude.chunk[i] << 32 * ((i + odd) % 2);
}

void exact_number_of_int128 (exact_number_t *self, int128_t value)
{
    uint128_t magnitude = value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
    uint64_t limbs[2] = { (uint64_t)magnitude, (uint64_t)(magnitude >> 64) };
    exact_number_of_limbs (self, limbs, 2);
    self->negative = value < 0;
}

void exact_number_of_limbs (exact_number_t *self, const uint64_t *limbs, unsigned count)
{
    CHECK (count <= EXACT_NUMBER_LIMBS);
    self->negative = false;
    self->base = 0;
    self->count = count;
    memcpy (self->limb, limbs, count * sizeof *limbs);
    trim (self);
}

/* Writes the limbs of a number that starts `offset` limbs up, with zeros around, to `count` limbs.
 */
static void place (uint64_t *to, unsigned count, const uint64_t *from, unsigned offset,
                   unsigned size)
{
    memset (to, 0, count * sizeof *to);
    memcpy (to + offset, from, size * sizeof *to);
}

/* a + b, the sign of b being as said. */
static void add_signed (exact_number_t *out, const exact_number_t *a, const exact_number_t *b,
                        bool b_negative)
{
    int base = a->count == 0 || (b->count > 0 && b->base < a->base) ? b->base : a->base;
    unsigned a_offset = a->count == 0 ? 0 : (unsigned)(a->base - base);
    unsigned b_offset = b->count == 0 ? 0 : (unsigned)(b->base - base);
    unsigned a_end = a_offset + a->count, b_end = b_offset + b->count;
    unsigned count = a_end > b_end ? a_end : b_end;
    CHECK (count < EXACT_NUMBER_LIMBS);
    uint64_t other[EXACT_NUMBER_LIMBS];
    place (out->limb, count, a->limb, a_offset, a->count);
    place (other, count, b->limb, b_offset, b->count);
    out->base = base;
    out->count = count;
    out->negative = a->negative;
    if (count == 0)
        return;
    if (a->negative == b_negative) {
        out->limb[out->count++] = mpn_add_n (out->limb, out->limb, other, count);
    } else if (mpn_cmp (out->limb, other, count) >= 0) {
        mpn_sub_n (out->limb, out->limb, other, count);
    } else {
        mpn_sub_n (out->limb, other, out->limb, count);
        out->negative = b_negative;
    }
    trim (out);
}

void exact_number_add (exact_number_t *out, const exact_number_t *a, const exact_number_t *b)
{
    add_signed (out, a, b, b->negative);
}

void exact_number_subtract (exact_number_t *out, const exact_number_t *a, const exact_number_t *b)
{
    add_signed (out, a, b, !b->negative);
}

void exact_number_multiply (exact_number_t *out, const exact_number_t *a, const exact_number_t *b)
{
    out->negative = a->negative != b->negative;
    out->base = a->base + b->base;
    out->count = a->count == 0 || b->count == 0 ? 0 : a->count + b->count;
    CHECK (out->count <= EXACT_NUMBER_LIMBS);
    if (out->count == 0)
        return;
    if (a->count >= b->count)
        mpn_mul (out->limb, a->limb, a->count, b->limb, b->count);
    else
        mpn_mul (out->limb, b->limb, b->count, a->limb, a->count);
    trim (out);
}

void exact_number_scale (exact_number_t *self, uint64_t factor)
{
    if (self->count == 0)
        return;
    CHECK (self->count < EXACT_NUMBER_LIMBS);
    self->limb[self->count] = mpn_mul_1 (self->limb, self->limb, self->count, factor);
    self->count++;
    trim (self);
}

bool exact_number_dispersion (exact_number_t *self, uint64_t rows, const exact_number_t *sum,
                              const exact_number_t *squares)
{
    uint64_t scaled[EXACT_NUMBER_LIMBS + 1];
    unsigned scaled_count = 0;
    if (squares->count > 0) {
        scaled[squares->count] = mpn_mul_1 (scaled, squares->limb, squares->count, rows);
        scaled_count = squares->count + 1;
    }
    uint64_t square[EXACT_NUMBER_LIMBS];
    unsigned square_count = 2 * sum->count;
    if (square_count > EXACT_NUMBER_LIMBS)
        return false;
    if (sum->count > 0)
        mpn_sqr (square, sum->limb, sum->count);

    int square_base = 2 * sum->base;
    int base = scaled_count == 0                                  ? square_base
               : square_count == 0 || squares->base < square_base ? squares->base
                                                                  : square_base;
    unsigned scaled_offset = scaled_count == 0 ? 0 : (unsigned)(squares->base - base);
    unsigned square_offset = square_count == 0 ? 0 : (unsigned)(square_base - base);
    unsigned scaled_end = scaled_offset + scaled_count, square_end = square_offset + square_count;
    unsigned count = scaled_end > square_end ? scaled_end : square_end;
    if (count > EXACT_NUMBER_LIMBS)
        return false;
    uint64_t subtrahend[EXACT_NUMBER_LIMBS];
    place (self->limb, count, scaled, scaled_offset, scaled_count);
    place (subtrahend, count, square, square_offset, square_count);
    self->negative = false;
    self->base = base;
    self->count = count;
    if (count > 0 && mpn_sub_n (self->limb, self->limb, subtrahend, count) != 0)
        return false;
    trim (self);
    return true;
}

/* Bits of a trimmed number. */
static long bits_of (const uint64_t *limb, unsigned count)
{
    return count == 0 ? 0 : 64L * count - __builtin_clzll (limb[count - 1]);
}

/* The 64 bits from bit `at` on; beyond the number they are 0. */
static uint64_t bits_at (const uint64_t *limb, unsigned count, long at)
{
    long index = at / 64;
    unsigned shift = (unsigned)(at % 64);
    uint64_t low = index < (long)count ? limb[index] : 0;
    uint64_t high = index + 1 < (long)count ? limb[index + 1] : 0;
    return shift == 0 ? low : low >> shift | high << (64 - shift);
}

/* Is any bit below bit `at` set? */
static bool any_below (const uint64_t *limb, unsigned count, long at)
{
    for (unsigned i = 0; i < count && 64L * i < at; i++) {
        long left = at - 64L * i;
        uint64_t mask = left >= 64 ? UINT64_MAX : ((uint64_t)1 << left) - 1;
        if ((limb[i] & mask) != 0)
            return true;
    }
    return false;
}

/* Rounds the integer of the limbs, plus a bit more than nothing when `sticky`, times 2^exponent.
 * A sticky number has over 53 bits. */
static bool round_limbs (const uint64_t *limb, unsigned count, long exponent, bool sticky,
                         bool negative, double *out)
{
    while (count > 0 && limb[count - 1] == 0)
        count--;
    if (count == 0) {
        CHECK (!sticky);
        *out = 0.0;
        return true;
    }
    long top = exponent + bits_of (limb, count) - 1;
    if (top > 1023)
        return false;
    long unit = top - 52 > -1074 ? top - 52 : -1074; /* exponent of the result's last bit */
    double value;
    if (unit <= exponent) {
        CHECK (!sticky);
        value = ldexp ((double)limb[0], (int)exponent);
    } else {
        long drop = unit - exponent;
        uint64_t kept = bits_at (limb, count, drop);
        bool half = (bits_at (limb, count, drop - 1) & 1) != 0;
        if (half && ((kept & 1) != 0 || sticky || any_below (limb, count, drop - 1)))
            kept++;
        value = ldexp ((double)kept, (int)unit);
    }
    if (isinf (value))
        return false;
    *out = negative ? 0.0 - value : value;
    return true;
}

bool exact_number_round (const exact_number_t *self, double *out)
{
    return round_limbs (self->limb, self->count, 64L * self->base, false, self->negative, out);
}

/* The quotient by the integer of `by` (trimmed), with at least `bits` bits, in units of 2^(64 *
 * *base). Returns its limbs; *rest says that it is a bit more. */
static unsigned divide_by_limbs (const exact_number_t *self, const uint64_t *by, unsigned by_count,
                                 long bits, uint64_t *quotient, int *base, bool *rest)
{
    long have = bits_of (self->limb, self->count) - bits_of (by, by_count);
    unsigned zeros = have < bits ? (unsigned)((bits - have + 63) / 64) : 0;
    unsigned count = self->count + zeros;
    uint64_t work[WORK_LIMBS], remainder[EXACT_NUMBER_LIMBS];
    CHECK (count >= by_count);
    CHECK (count <= WORK_LIMBS);
    place (work, count, self->limb, zeros, self->count);
    mpn_tdiv_qr (quotient, remainder, 0, work, count, by, by_count);
    *rest = mpn_zero_p (remainder, by_count) == 0;
    *base = self->base - (int)zeros;
    count = count - by_count + 1;
    while (count > 0 && quotient[count - 1] == 0)
        count--;
    return count;
}

/* The integer of the limbs, the last not 0, times 2^(64 * base). */
typedef struct divisor {
    const uint64_t *limb;
    unsigned count;
    int base;
} divisor_t;

/* By their first bits; nearly always they tell. */
static bool round_near (const exact_number_t *a, const divisor_t *b, long exponent, bool root,
                        double *out)
{
    near_number_t quotient = near_quotient (near_number (a->limb, a->count, 64L * a->base),
                                            near_number (b->limb, b->count, 64L * b->base));
    quotient.exponent += exponent;
    double result;
    if (!near_round (root ? near_root (quotient) : quotient, &result))
        return false;
    *out = a->negative ? 0.0 - result : result;
    return true;
}

static bool round_ratio (const exact_number_t *a, const divisor_t *b, long exponent, double *out)
{
    *out = 0.0;
    if (a->count == 0 || round_near (a, b, exponent, false, out))
        return true;
    uint64_t quotient[WORK_LIMBS];
    int base;
    bool rest;
    unsigned count = divide_by_limbs (a, b->limb, b->count, QUOTIENT_BITS, quotient, &base, &rest);
    return round_limbs (quotient, count, 64L * (base - b->base) + exponent, rest, a->negative, out);
}

static bool round_ratio_root (const exact_number_t *a, const divisor_t *b, double *out)
{
    *out = 0.0;
    if (a->count == 0 || round_near (a, b, 0, true, out))
        return true;
    uint64_t quotient[WORK_LIMBS], root[WORK_LIMBS / 2 + 1];
    int base;
    bool rest;
    unsigned count = divide_by_limbs (a, b->limb, b->count, ROOT_BITS, quotient, &base, &rest);
    bool inexact = mpn_sqrtrem (root, NULL, quotient, count) != 0;
    return round_limbs (root, (count + 1) / 2, 32L * (base - b->base), rest || inexact, a->negative,
                        out);
}

bool exact_number_round_quotient (const exact_number_t *self, uint128_t divisor, double *out)
{
    CHECK (divisor != 0);
    uint64_t by[2] = { (uint64_t)divisor, (uint64_t)(divisor >> 64) };
    return round_ratio (self, &(divisor_t){ by, by[1] != 0 ? 2 : 1, 0 }, 0, out);
}

bool exact_number_round_root (const exact_number_t *self, uint128_t divisor, double *out)
{
    CHECK (divisor != 0 && !self->negative);
    uint64_t by[2] = { (uint64_t)divisor, (uint64_t)(divisor >> 64) };
    return round_ratio_root (self, &(divisor_t){ by, by[1] != 0 ? 2 : 1, 0 }, out);
}

bool exact_number_round_ratio (const exact_number_t *a, const exact_number_t *b, int64_t exponent,
                               double *out)
{
    CHECK (b->count > 0 && !b->negative);
    /* Beyond these the result is 0 or out of range whatever the quotient is. */
    exponent = exponent < -EXPONENT_FAR ? -EXPONENT_FAR : exponent;
    exponent = exponent > EXPONENT_FAR ? EXPONENT_FAR : exponent;
    return round_ratio (a, &(divisor_t){ b->limb, b->count, b->base }, exponent, out);
}

bool exact_number_round_ratio_root (const exact_number_t *a, const exact_number_t *b, double *out)
{
    CHECK (b->count > 0 && !b->negative);
    return round_ratio_root (a, &(divisor_t){ b->limb, b->count, b->base }, out);
}
