/* suffixes.h - partials of the rows from each range on, put in one pass: what the kinds share that
 * have a quick way to do so (state_put_suffixes). */
#ifndef WEIR_AGGREGATE_SUFFIXES_H
#define WEIR_AGGREGATE_SUFFIXES_H

#include "aggregate/aggregate.h"
#include "aggregate/exact_sum.h"

#include <string.h>

enum {
    SUFFIX_ROOM = 80, /* bytes that a text may take, with what is written behind its end */
    SUFFIX_ROWS_MAX = 1 << 20,
};

/* A kind is given rows that all count: range i is numbers [start[i], start[i + 1]) of `values`,
 * which are int64_t or double (NULL: the state has no input), and may be empty. There is room for
 * SUFFIX_ROOM bytes of each range at `to`; what is at `origin` has place 1. */

/* How many rows range `i` has. */
static inline size_t suffix_count (const state_suffixes_t *self, size_t i)
{
    return self->start[i + 1] - self->start[i];
}

static inline size_t suffix_all (const state_suffixes_t *self)
{
    return self->start[self->ranges] - self->start[0];
}

/* Where the next partial begins: behind the byte that is its size. */
static inline uint8_t *suffix_begin (const state_suffixes_t *self)
{
    return self->to + 1;
}

/* The partial has been written up to `end`: it is that of range `i`. */
static inline void suffix_end (state_suffixes_t *self, size_t i, uint8_t *end)
{
    self->to[0] = (uint8_t)(end - self->to - 1);
    self->latest = (uint32_t)(self->to - self->origin) + 1;
    self->place[i] = self->latest;
    self->to = end;
}

/* Range `i` changes nothing. */
static inline void suffix_same (state_suffixes_t *self, size_t i)
{
    self->place[i] = self->latest;
}

/* As buf_put_varint, and partial_put_int128. */
static inline uint8_t *suffix_varint (uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)((unsigned)value | 0x80u);
    *to++ = (uint8_t)value;
    return to;
}

static inline uint8_t *suffix_int128 (uint8_t *to, int128_t value)
{
    uint128_t raw = (uint128_t)value << 1 ^ (value < 0 ? ~(uint128_t)0 : 0);
    for (; raw > UINT64_MAX; raw >>= 7)
        *to++ = (uint8_t)((unsigned)raw | 0x80u);
    return suffix_varint (to, (uint64_t)raw);
}

/* ---- floats of similar size ---- */

/* Numbers of exponents so near to each other that they are integers of 64 bits times one power of
 * two. */
typedef struct near_floats {
    unsigned base; /* least exponent; 1 to 2046 */
    bool plain;    /* all are above 0 */
} near_floats_t;

enum { NEAR_BITS = 11 }; /* that exponents differ by at most */
_Static_assert(53 + NEAR_BITS <= 64, "a mantissa can be moved so far");

/* False: they are not so, or some are subnormal, infinite or NaN. Zeros are near to all. */
bool near_floats_find (near_floats_t *self, const double *values, size_t count);

/* Sums in units of 2^(base - 1075), and of its square. */
typedef struct near_sums {
    uint128_t sum; /* modulo 2^128 */
    uint64_t squares[3];
} near_sums_t;

/* Adds numbers, of which all are plain, or not; `with_squares` says whether to add these too. Those
 * two are constants where it is called. */
static inline __attribute__ ((always_inline)) void
near_sums_add_as (near_sums_t *self, unsigned base, const double *values, size_t count, bool plain,
                  bool with_squares)
{
    const uint64_t one = (uint64_t)1 << 52;
    near_sums_t here = *self; /* which nothing else points to */
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy (&bits, &values[i], sizeof bits);
        unsigned exponent = (unsigned)(bits >> 52) & 0x7ffu;
        uint64_t number = (bits & (one - 1)) | (plain || exponent != 0 ? one : 0);
        number <<= (exponent - base) & 63;
        if (with_squares) {
            uint128_t square = (uint128_t)number * number;
            uint128_t low = ((uint128_t)here.squares[1] << 64 | here.squares[0]) + square;
            here.squares[2] += low < square;
            here.squares[0] = (uint64_t)low;
            here.squares[1] = (uint64_t)(low >> 64);
        }
        uint64_t sign = plain ? 0 : 0 - (bits >> 63);
        here.sum += ((uint128_t)sign << 64 | (number ^ sign)) + (sign & 1);
    }
    *self = here;
}

static inline void near_sums_add (near_sums_t *self, const near_floats_t *near,
                                  const double *values, size_t count)
{
    if (near->plain)
        near_sums_add_as (self, near->base, values, count, true, false);
    else
        near_sums_add_as (self, near->base, values, count, false, false);
}

static inline void near_sums_add_with_squares (near_sums_t *self, const near_floats_t *near,
                                               const double *values, size_t count)
{
    if (near->plain)
        near_sums_add_as (self, near->base, values, count, true, true);
    else
        near_sums_add_as (self, near->base, values, count, false, true);
}

/* What stands before the bytes of a sum: their number, and where on the grid the first is. */
static inline uint8_t *suffix_head (uint8_t *to, unsigned size, bool negative, int byte)
{
    int place = byte - EXACT_SUM_ONE_BIT / 8;
    unsigned zigzag = (unsigned)place << 1 ^ (unsigned)(place >> 31);
    unsigned wide = zigzag >= 0x80;
    to[0] = (uint8_t)(size << 1 | negative);
    to[1] = (uint8_t)(zigzag | wide << 7);
    to[2] = (uint8_t)(zigzag >> 7);
    return to + 2 + wide;
}

/* Puts magnitude * 2^(bit - EXACT_SUM_ONE_BIT) as exact_sum_encode does; three limbs, least first,
 * of which the last is below 2^56. */
uint8_t *near_floats_put (uint8_t *to, const uint64_t limb[3], bool negative, unsigned bit);

/* Puts the sum, and that of squares, likewise. */
static inline uint8_t *near_sums_put (const near_sums_t *self, const near_floats_t *near,
                                      uint8_t *to)
{
    bool negative = self->sum >> 127 != 0;
    uint128_t magnitude = negative ? 0 - self->sum : self->sum;
    unsigned bit = near->base + EXACT_SUM_ONE_BIT - 1075;
    uint128_t moved = magnitude << bit % 8; /* nothing is lost: it is of 84 bits at most */
    uint64_t low = (uint64_t)moved, high = (uint64_t)(moved >> 64);
    if (__builtin_expect (low == 0, 0)) {
        const uint64_t limb[] = { (uint64_t)magnitude, (uint64_t)(magnitude >> 64), 0 };
        return near_floats_put (to, limb, negative, bit);
    }
    unsigned zeros = (unsigned)__builtin_ctzll (low) & 56;
    low = low >> zeros | high << 1 << (63 - zeros);
    high >>= zeros;
    unsigned size = high != 0 ? 16 - (unsigned)__builtin_clzll (high) / 8
                              : 8 - (unsigned)__builtin_clzll (low) / 8;
    to = suffix_head (to, size, negative, (int)(bit + zeros) / 8);
    memcpy (to, &low, sizeof low);
    memcpy (to + 8, &high, sizeof high);
    return to + size;
}

static inline uint8_t *near_sums_put_squares (const near_sums_t *self, const near_floats_t *near,
                                              uint8_t *to)
{
    return near_floats_put (to, self->squares, false,
                            2 * near->base + EXACT_SUM_ONE_BIT - 2 * 1075);
}

#endif
