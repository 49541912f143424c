/* int_rows.h - sums of many int64s, exact, two at a time: vectors of the compiler's, which every
 * x86-64 and ARM64 has. */
#ifndef WEIR_AGGREGATE_INT_ROWS_H
#define WEIR_AGGREGATE_INT_ROWS_H

#include "base/value.h"

#include <string.h>

typedef uint64_t int_pair_t __attribute__ ((vector_size (16)));

enum { INT_ROWS_MAX = 1 << 30 }; /* that are summed at once */

static inline int_pair_t int_pair (const int64_t *values)
{
    int_pair_t pair;
    memcpy (&pair, values, sizeof pair);
    return pair;
}

/* The sum of at most INT_ROWS_MAX numbers. Moved by 2^63 they are not negative, and the sums of
 * their halves fit 64 bits. */
static inline int128_t ints_sum_some (const int64_t *values, size_t count)
{
    const int_pair_t half = { UINT64_C (1) << 63, UINT64_C (1) << 63 };
    int_pair_t low = { 0, 0 }, high = { 0, 0 };
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        int_pair_t a = int_pair (values + i) ^ half, b = int_pair (values + i + 2) ^ half;
        low += (a & UINT32_MAX) + (b & UINT32_MAX);
        high += (a >> 32) + (b >> 32);
    }
    int128_t sum =
        (int128_t)low[0] + low[1] + ((int128_t)high[0] << 32) + ((int128_t)high[1] << 32);
    sum -= (int128_t)i << 63;
    for (size_t left = count % 4; left > 0; left--)
        sum += values[count - left];
    return sum;
}

static inline int128_t ints_sum (const int64_t *values, size_t count)
{
    int128_t sum = 0;
    for (; count > INT_ROWS_MAX; values += INT_ROWS_MAX, count -= INT_ROWS_MAX)
        sum += ints_sum_some (values, INT_ROWS_MAX);
    return sum + ints_sum_some (values, count);
}

enum { INT_NARROW_BITS = 26 }; /* with the sign: sums of so many squares fit 63 bits: */
enum { INT_NARROW_ROWS = 2048 };
_Static_assert(2 * (INT_NARROW_BITS - 1) + 11 < 63,
               "squares of narrow numbers are summed in 64 bits");

/* Are they all in [-2^25, 2^25)? */
static inline bool ints_are_narrow (const int64_t *values, size_t count)
{
    const uint64_t middle = UINT64_C (1) << (INT_NARROW_BITS - 1);
    int_pair_t wide = { 0, 0 };
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        wide |= (int_pair (values + i) + middle) | (int_pair (values + i + 2) + middle);
    uint64_t all = wide[0] | wide[1];
    for (size_t left = count % 4; left > 0; left--)
        all |= (uint64_t)values[count - left] + middle;
    return all >> INT_NARROW_BITS == 0;
}

#endif
