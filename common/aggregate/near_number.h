/* near_number.h - the first 106 bits of an exact number, as two doubles.
 *
 * Nearly every quotient and root can be rounded once from so many bits: what is left out would have
 * to lie within 2^-96 of it from a tie to change the result. near_round says when it may, and the
 * caller divides in full (Ziv, "Fast evaluation of elementary mathematical functions with correctly
 * rounded last bit", ACM TOMS 17, 1991).
 *
 * Errors, relative: each number is cut at 2^-105; a quotient's low part is off by what three
 * roundings and a second-order term make of 2^-51, less than 9 * 2^-105 in all; a root has half of
 * its operand's and two roundings. All together stay below 2^-101. */
#ifndef WEIR_AGGREGATE_NEAR_NUMBER_H
#define WEIR_AGGREGATE_NEAR_NUMBER_H

#include "base/check.h"
#include "base/value.h"

#include <math.h>
#include <string.h>

/* (high + low) * 2^exponent: high above 1/4 and below 2, |low| at most 2^-51 of it. */
typedef struct near_number {
    double high;
    double low;
    long exponent;
} near_number_t;

/* The first 128 bits, the first of them set. */
static inline uint128_t near_first_bits (const uint64_t *limb, unsigned count)
{
    unsigned zeros = (unsigned)__builtin_clzll (limb[count - 1]);
    uint128_t bits = (uint128_t)limb[count - 1] << 64;
    bits |= count > 1 ? limb[count - 2] : 0;
    bits <<= zeros;
    if (zeros > 0 && count > 2)
        bits |= limb[count - 3] >> (64 - zeros);
    return bits;
}

/* The integer of the limbs, least first, the last not 0, times 2^exponent; count > 0. */
static inline near_number_t near_number (const uint64_t *limb, unsigned count, long exponent)
{
    const uint64_t mantissa = (UINT64_C (1) << 53) - 1;
    CHECK (count > 0 && limb[count - 1] != 0);
    uint128_t bits = near_first_bits (limb, count);
    return (near_number_t){
        .high = (double)(int64_t)(uint64_t)(bits >> 75) * 0x1p-53,
        .low = (double)(int64_t)((uint64_t)(bits >> 22) & mantissa) * 0x1p-106,
        .exponent = exponent + 64L * count - __builtin_clzll (limb[count - 1]),
    };
}

/* fma gives what a rounded quotient, or root, leaves of the high part without an error. */
static inline near_number_t near_quotient (near_number_t a, near_number_t b)
{
    double quotient = a.high / b.high;
    double rest = fma (-quotient, b.high, a.high);
    return (near_number_t){ .high = quotient,
                            .low = (rest + (a.low - quotient * b.low)) / b.high,
                            .exponent = a.exponent - b.exponent };
}

static inline near_number_t near_root (near_number_t a)
{
    if (a.exponent % 2 != 0) {
        a.high /= 2;
        a.low /= 2;
        a.exponent++;
    }
    double root = sqrt (a.high);
    double rest = fma (-root, root, a.high);
    return (near_number_t){ .high = root,
                            .low = (rest + a.low) / (2 * root),
                            .exponent = a.exponent / 2 };
}

/* 2^exponent, which is a normal number. */
static inline double near_power_of_two (long exponent)
{
    uint64_t bits = (uint64_t)(1023 + exponent) << 52;
    double power;
    memcpy (&power, &bits, sizeof power);
    return power;
}

/* The float64 that is nearest to what `a` stands for. False: its bits cannot tell, or it is near an
 * end of the range. */
static inline bool near_round (near_number_t a, double *out)
{
    double error = a.high * 0x1p-96;
    double least = a.high + (a.low - error), most = a.high + (a.low + error);
    if (least != most || a.exponent < -1000 || a.exponent > 1000)
        return false;
    *out = least * near_power_of_two (a.exponent);
    return true;
}

#endif
