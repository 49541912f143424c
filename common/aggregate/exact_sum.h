/* exact_sum.h - exact sums of float64s, of integers and of products: a superaccumulator.
 *
 * After R. M. Neal, "Fast exact summation using small and large superaccumulators" (2015). The sum
 * is held as signed 64-bit chunks; chunk i counts multiples of 2^(32 i - 4352). Adding a float64
 * touches two neighbouring chunks and does not propagate carries: chunks have room for
 * EXACT_SUM_PENDING_MAX additions, after which carries are propagated once. Only the chunks between
 * the lowest and the highest one touched are held: inside the object while they are few, in a heap
 * block as large as they need after that. Making, clearing, merging and encoding cost no more than
 * the chunks in use. While nothing but short encodings is merged, the sum is a single integer of
 * 128 bits times a power of two: a query merges a few of them and rounds what comes out.
 *
 * Addition is exact, hence commutative and associative; the encoding depends on the sum alone.
 * Every sum of below 2^63 terms, each a float64, an int128, or a product of up to four float64s or
 * int64s, is in range. */
#ifndef WEIR_AGGREGATE_EXACT_SUM_H
#define WEIR_AGGREGATE_EXACT_SUM_H

#include "aggregate/partial.h"

#include <stddef.h>
#include <string.h>

enum {
    EXACT_SUM_CHUNKS = 268,         /* 2^-4352 up to 2^4224 */
    EXACT_SUM_INLINE = 14,          /* chunks inside the object: 448 bits */
    EXACT_SUM_ONE_BIT = 4352,       /* bit of the grid that counts ones */
    EXACT_SUM_PENDING_MAX = 1 << 9, /* additions between two propagations */
    /* bytes of an encoding: header, position, magnitude */
    EXACT_SUM_ENCODED_MAX = 2 + 2 + 4 * EXACT_SUM_CHUNKS,
    EXACT_SUM_OF_SQUARES_MAX = 2 + 2 + 544, /* of products of two float64s */
    EXACT_SUM_OF_FLOATS_MAX = 2 + 2 + 286,  /* of what is not a product */
    EXACT_TERM_LIMBS = 4,                   /* of a product of four 64-bit numbers */
};
_Static_assert(EXACT_SUM_ONE_BIT >= 4 * 1074, "fourth powers of the least subnormals fit");
_Static_assert(32 * EXACT_SUM_CHUNKS - EXACT_SUM_ONE_BIT >= 4 * 1024 + 63 + 1,
               "sums of 2^63 fourth powers of the greatest float64s are on the grid");
/* One addition changes a chunk by less than 2^52, from below 2^32 after a propagation. */
_Static_assert((uint64_t)EXACT_SUM_PENDING_MAX << 52 <= (uint64_t)1 << 62, "chunks cannot wrap");

typedef struct exact_sum {
    int64_t *spill; /* owned: `capacity` chunks; NULL while the inlined ones do */
    uint16_t low;  /* grid index of the first chunk held; of an integer: the grid's byte it is at */
    uint16_t span; /* chunks held */
    uint16_t pending;  /* additions since carries were propagated; 1 without chunks: an integer is
                          held in the first two of `inlined` */
    uint16_t capacity; /* of the spill */
    int64_t inlined[EXACT_SUM_INLINE];
} exact_sum_t;

/* Where the bits of a sum can be: [lowest, highest) are powers of two. What lies outside cannot be
 * a sum of such terms, and decoding refuses it. */
typedef struct exact_range {
    int lowest;
    int highest;
    bool is_signed;
} exact_range_t;
#define EXACT_RANGE_FLOATS  ((exact_range_t){ -1074, 1024 + 63, true })
#define EXACT_RANGE_SQUARES ((exact_range_t){ -2148, 2048 + 63, false })

/* +-(the integer of the limbs, least first) * 2^exponent: a finite number, or a product of some. */
typedef struct exact_term {
    bool negative;
    int exponent;
    uint64_t limb[EXACT_TERM_LIMBS];
} exact_term_t;

/* The absolute value of a sum in 32-bit chunks of the same grid, trimmed of zero chunks at both
 * ends; count 0 is zero. */
typedef struct exact_magnitude {
    bool negative;
    uint16_t low;
    uint16_t count;
    uint32_t chunk[EXACT_SUM_CHUNKS + 4];
} exact_magnitude_t;

/* Zero. End with exact_sum_release. */
void exact_sum_init (exact_sum_t *self);
void exact_sum_release (exact_sum_t *self);
/* Zero again, keeping memory. */
void exact_sum_reset (exact_sum_t *self);

/* Makes chunks [low, high) held and room for one more addition. Slow path of the additions. */
void exact_sum_reach (exact_sum_t *self, unsigned low, unsigned high);

static inline int64_t *exact_sum_chunks (exact_sum_t *self)
{
    return self->spill != NULL ? self->spill : self->inlined;
}

/* Adds a finite number. */
static inline void exact_sum_add_float (exact_sum_t *self, double value)
{
    uint64_t bits;
    memcpy (&bits, &value, sizeof bits);
    unsigned exponent = (unsigned)(bits >> 52) & 0x7ffu;
    uint64_t mantissa = bits & (((uint64_t)1 << 52) - 1);
    if (__builtin_expect (exponent == 0, 0)) {
        if (mantissa == 0)
            return;
        exponent = 1;
    } else {
        mantissa |= (uint64_t)1 << 52;
    }
    unsigned bit = exponent + (EXACT_SUM_ONE_BIT - 1075);
    unsigned index = bit >> 5;
    unsigned shift = bit & 31;
    if (__builtin_expect ((uint64_t)(index - self->low) + 1 >= self->span ||
                              self->pending >= EXACT_SUM_PENDING_MAX,
                          0))
        exact_sum_reach (self, index, index + 2);
    int64_t *chunk = exact_sum_chunks (self) + (index - self->low);
    int64_t sign = -(int64_t)(bits >> 63);
    chunk[0] += ((int64_t)(uint32_t)(mantissa << shift) ^ sign) - sign;
    chunk[1] += ((int64_t)(mantissa >> (32 - shift)) ^ sign) - sign;
    self->pending = (uint16_t)(self->pending + 1);
}

/* Adds those of the numbers that are finite; how many they are. The second adds their squares to
 * another sum too. Neighbours of similar size are added at a common exponent first, so that this is
 * quicker than one by one, and the same. */
size_t exact_sum_add_floats (exact_sum_t *self, const double *values, size_t count);
size_t exact_sum_add_floats_and_squares (exact_sum_t *self, exact_sum_t *squares,
                                         const double *values, size_t count);

/* The finite number itself, and the product of two terms that together have at most
 * EXACT_TERM_LIMBS limbs that are not 0. */
exact_term_t exact_term_of_float (double value);
exact_term_t exact_term_of_int (int64_t value);
exact_term_t exact_term_product (const exact_term_t *a, const exact_term_t *b);
void exact_sum_add_term (exact_sum_t *self, const exact_term_t *term);

/* Adds the exact product of two finite numbers. */
void exact_sum_add_float_product (exact_sum_t *self, double a, double b);

/* Adds an integer; the exact product of two. */
void exact_sum_add_int128 (exact_sum_t *self, int128_t value);
void exact_sum_add_int_product (exact_sum_t *self, int64_t a, int64_t b);

/* Adds all of `from`. */
void exact_sum_merge (exact_sum_t *self, const exact_sum_t *from);

/* Adds all of `from` times 2^shift; what comes out must be on the grid. */
void exact_sum_merge_shifted (exact_sum_t *self, const exact_sum_t *from, int shift);

bool exact_sum_is_zero (const exact_sum_t *self);

/* The nearest float64 (ties to even) of most sums, the quick way. False, with *out unset, for a sum
 * that is wide, very small or too large: exact_number_round tells of any. */
bool exact_sum_round (const exact_sum_t *self, double *out);

/* The sum, carries propagated. */
void exact_sum_magnitude (const exact_sum_t *self, exact_magnitude_t *out);

/* Appends the canonical encoding: varint of 2 * size + sign (1: negative), and unless the sum is 0,
 * zigzag varint of p and `size` bytes, least first, neither the first nor the last of them 0: the
 * sum is their integer times 2^(8 p). */
void exact_sum_encode (const exact_sum_t *self, buf_t *out);

/* Reads an encoding and adds it. False, with nothing added, when it is not canonical or not in
 * `range`. */
bool exact_sum_merge_encoded (exact_sum_t *self, reader_t *reader, exact_range_t range);

#endif
