/* exact_sum_many.c - many numbers at once: neighbours of similar size are added at a common
 * exponent first. */
#include "aggregate/exact_integer.h"

#include <math.h>

enum {
    WINDOW_BITS = 64,      /* exponents that numbers in a window have at most */
    WINDOW_MAX = 1024,     /* numbers */
    WINDOW_NONE = 1 << 16, /* as base: there are no numbers in it */
    EXPONENT_MAX = 0x7fe,  /* of a finite number */
};
_Static_assert(53 + WINDOW_BITS - 1 + 10 < 127, "sums of a window's numbers fit 128 bits");
_Static_assert(2 * (53 + WINDOW_BITS - 1) + 10 < 256, "sums of their squares fit 256 bits");

/* Sums of numbers whose exponents are from `base` on, below base + WINDOW_BITS: multiples of
 * 2^(base - 1075), and of its square. */
typedef struct window {
    unsigned base;
    uint128_t sum; /* modulo 2^128 */
    uint64_t squares[EXACT_TERM_LIMBS];
} window_t;

/* Adds mantissa^2 << 2 shift. */
static inline void window_add_square (window_t *self, uint64_t mantissa, unsigned shift)
{
    uint128_t square = (uint128_t)mantissa * mantissa;
    unsigned limb = 2 * shift / 64;
    unsigned rest = 2 * shift % 64; /* even */
    uint64_t low = (uint64_t)square;
    uint64_t high = (uint64_t)(square >> 64);
    uint64_t *to = self->squares + limb;
    uint128_t carry = (uint128_t)to[0] + (low << rest);
    to[0] = (uint64_t)carry;
    carry = (carry >> 64) + to[1] + (high << rest | low >> 1 >> (63 - rest));
    to[1] = (uint64_t)carry;
    carry = (carry >> 64) + to[2] + (high >> 1 >> (63 - rest));
    to[2] = (uint64_t)carry;
    if (limb == 0)
        to[3] += (uint64_t)(carry >> 64);
}

static void window_flush (window_t *self, exact_sum_t *sum, exact_sum_t *squares)
{
    exact_sum_add_scaled (sum, self->base + EXACT_SUM_ONE_BIT - 1075, (int128_t)self->sum);
    self->sum = 0;
    if (squares == NULL)
        return;
    exact_term_t term = { .exponent = 2 * ((int)self->base - 1075) };
    memcpy (term.limb, self->squares, sizeof term.limb);
    exact_sum_add_term (squares, &term);
    memset (self->squares, 0, sizeof self->squares);
}

/* Makes the window one that has the exponent about in its middle. */
static void window_move (window_t *self, unsigned exponent, exact_sum_t *sum, exact_sum_t *squares)
{
    if (self->base != WINDOW_NONE)
        window_flush (self, sum, squares);
    unsigned base = exponent > WINDOW_BITS / 2 ? exponent - WINDOW_BITS / 2 : 1;
    unsigned last = EXPONENT_MAX + 1 - WINDOW_BITS;
    self->base = base < last ? base : last;
}

/* Up to WINDOW_MAX numbers; squares may be NULL. */
static inline __attribute__ ((always_inline)) size_t
add_some (exact_sum_t *sum, exact_sum_t *squares, const double *values, size_t count)
{
    window_t window = { .base = WINDOW_NONE };
    size_t left_out = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy (&bits, &values[i], sizeof bits);
        unsigned exponent = (unsigned)(bits >> 52) & 0x7ffu;
        uint64_t mantissa = (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52;
        if (__builtin_expect (exponent - window.base >= WINDOW_BITS || exponent == 0, 0)) {
            left_out += exponent > EXPONENT_MAX;
            if (exponent > EXPONENT_MAX || bits << 1 == 0)
                continue;
            mantissa = exponent == 0 ? mantissa ^ (uint64_t)1 << 52 : mantissa;
            exponent += exponent == 0;
            if (exponent - window.base >= WINDOW_BITS)
                window_move (&window, exponent, sum, squares);
        }
        unsigned shift = exponent - window.base;
        uint64_t sign = 0 - (bits >> 63);
        uint64_t low = mantissa << shift;
        uint64_t high = mantissa >> 1 >> (63 - shift);
        window.sum += ((uint128_t)(high ^ sign) << 64 | (low ^ sign)) + (sign & 1);
        if (squares != NULL)
            window_add_square (&window, mantissa, shift);
    }
    if (window.base != WINDOW_NONE)
        window_flush (&window, sum, squares);
    return count - left_out;
}

size_t exact_sum_add_floats (exact_sum_t *self, const double *values, size_t count)
{
    if (count == 1 && isfinite (*values)) {
        exact_sum_add_float (self, *values);
        return 1;
    }
    size_t added = 0;
    for (size_t from = 0; from < count; from += WINDOW_MAX)
        added += add_some (self, NULL, values + from,
                           count - from < WINDOW_MAX ? count - from : WINDOW_MAX);
    return added;
}

size_t exact_sum_add_floats_and_squares (exact_sum_t *self, exact_sum_t *squares,
                                         const double *values, size_t count)
{
    if (count == 1 && isfinite (*values)) {
        exact_sum_add_float (self, *values);
        exact_sum_add_float_product (squares, *values, *values);
        return 1;
    }
    size_t added = 0;
    for (size_t from = 0; from < count; from += WINDOW_MAX)
        added += add_some (self, squares, values + from,
                           count - from < WINDOW_MAX ? count - from : WINDOW_MAX);
    return added;
}
