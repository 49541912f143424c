/* exact_number.h - exact sums and what is made of them, rounded once.
 *
 * A number of fixed maximum size on the stack, in limbs of 64 bits. Rounding is to nearest, ties to
 * even, with gradual underflow, as IEEE 754 has it for a single operation. */
#ifndef WEIR_AGGREGATE_EXACT_NUMBER_H
#define WEIR_AGGREGATE_EXACT_NUMBER_H

#include "aggregate/exact_sum.h"

enum { EXACT_NUMBER_LIMBS = 2 * (EXACT_SUM_CHUNKS / 2 + 4) };

/* +-(sum of limb[i] * 2^(64 (base + i))). The highest limb is not 0; count 0 is zero. */
typedef struct exact_number {
    bool negative;
    int base;
    unsigned count;
    uint64_t limb[EXACT_NUMBER_LIMBS];
} exact_number_t;

void exact_number_of_sum (exact_number_t *self, const exact_sum_t *sum);
void exact_number_of_int128 (exact_number_t *self, int128_t value);
/* `count` limbs, least first; high ones may be 0. */
void exact_number_of_limbs (exact_number_t *self, const uint64_t *limbs, unsigned count);

/* Arithmetic without rounding. What comes out must fit EXACT_NUMBER_LIMBS: products of up to six
 * sums of float64s, three of their squares, two of their third powers, one of their fourth powers
 * do, with four counts of rows beside them. `out` may be neither a nor b. */
void exact_number_add (exact_number_t *out, const exact_number_t *a, const exact_number_t *b);
void exact_number_subtract (exact_number_t *out, const exact_number_t *a, const exact_number_t *b);
void exact_number_multiply (exact_number_t *out, const exact_number_t *a, const exact_number_t *b);
void exact_number_scale (exact_number_t *self, uint64_t factor);

/* rows * squares - sum^2, which is rows^2 times the variance of the population. False when it is
 * negative, as no sums of real rows are, or too wide. */
bool exact_number_dispersion (exact_number_t *self, uint64_t rows, const exact_number_t *sum,
                              const exact_number_t *squares);

/* The nearest float64 of the number, of number / divisor, and of sqrt (number / divisor); divisor >
 * 0, and the number under the root not negative. False, with *out unset, when that is past the
 * largest float64. Zero gives 0.0. */
bool exact_number_round (const exact_number_t *self, double *out);
bool exact_number_round_quotient (const exact_number_t *self, uint128_t divisor, double *out);
bool exact_number_round_root (const exact_number_t *self, uint128_t divisor, double *out);

/* The nearest float64 of a / b * 2^exponent, and of a's sign times sqrt (|a| / b); b > 0. Likewise
 * false past the largest float64. */
bool exact_number_round_ratio (const exact_number_t *a, const exact_number_t *b, int64_t exponent,
                               double *out);
bool exact_number_round_ratio_root (const exact_number_t *a, const exact_number_t *b, double *out);

#endif
