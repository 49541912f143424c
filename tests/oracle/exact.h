/* exact.h - sums and sums of squares as integers, and fractions rounded once. */
#ifndef WEIR_ORACLE_EXACT_H
#define WEIR_ORACLE_EXACT_H

#include <gmp.h>
#include <stdbool.h>
#include <stdint.h>

/* Every float64 is an integer below 2^53 times 2^e, e from -1074 to 971. What has the same e is
 * added up as integers. */
enum { EXACT_EXPONENT_MIN = -1074, EXACT_EXPONENTS = 2046 };

typedef struct exact_bucket {
    __int128 sum;
    unsigned __int128 square_low;  /* of the low 64 bits of each square … */
    unsigned __int128 square_high; /* … and of what is above them */
} exact_bucket_t;

typedef struct exact {
    uint64_t rows;
    exact_bucket_t bucket[EXACT_EXPONENTS];
} exact_t;

void exact_clear (exact_t *self);
void exact_add_int (exact_t *self, int64_t value);
void exact_add_float (exact_t *self, double value); /* finite */

/* The sum times 2^1074, and the sum of squares times 2^2148: integers. */
void exact_sum (const exact_t *self, mpz_t sum);
void exact_squares (const exact_t *self, mpz_t squares);

enum { EXACT_SUM_SCALE = 1074, EXACT_SQUARES_SCALE = 2148 };

/* The float64 nearest to numerator / denominator (positive), ties to even, 0.0 for zero. False when
 * that is past the largest. */
bool exact_round (const mpz_t numerator, const mpz_t denominator, double *out);

/* The same of the square root of a fraction that is not negative. */
bool exact_round_root (const mpz_t numerator, const mpz_t denominator, double *out);

#endif
