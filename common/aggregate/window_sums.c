#include "aggregate/window_sums.h"

#include <string.h>

bool window_sums_of_ints (const int64_t *numbers, const state_windows_t *windows)
{
    int128_t sum = 0;
    for (size_t k = 0, low = windows->from[0], high = low; k < windows->count; k++) {
        size_t from = windows->from[k];
        size_t to = windows->to[k];
        if (from >= high) { /* the windows have nothing in common */
            low = high = from;
            sum = 0;
        }
        for (; high < to; high++)
            sum += numbers[high];
        for (; low < from; low++)
            sum -= numbers[low];
        if (sum != (int64_t)sum)
            return false;
        windows->values[k] =
            (value_t){ .type = TYPE_INT64, .null = from >= to, .i = from < to ? (int64_t)sum : 0 };
    }
    return true;
}

/* ---- floats ---- */

enum {
    NARROW = 64 - 53, /* exponents so far apart make integers of 64 bits */
    SPREAD = 48,      /* … of 101, and 2^20 of them have room in 128 */
    ROWS_MAX = 1 << 20,
    NEAR_ROWS = 512,
    LEAST_BASE = 53,  /* below it, a sum in units of 2^(base - 1075) may be subnormal */
    MOST_BASE = 1900, /* above it, it may be too large for a float64 */
};
_Static_assert(53 + SPREAD + 20 < 127, "sums fit");
_Static_assert(MOST_BASE - 1075 + 127 < 1023, "what fits 128 bits is no infinity");

/* The least exponent of the numbers but zeros, and how far above it the greatest is. False: they
 * are not summed here. */
static bool find_base (const double *numbers, size_t count, unsigned *base, unsigned *spread)
{
    unsigned least = MOST_BASE;
    unsigned most = LEAST_BASE;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy (&bits, &numbers[i], sizeof bits);
        unsigned exponent = (unsigned)(bits >> 52) & 0x7ffu;
        unsigned other = bits << 1 == 0 ? MOST_BASE : exponent;
        least = other < least ? other : least;
        most = exponent > most ? exponent : most;
    }
    *base = least;
    *spread = most > least ? most - least : 0;
    return least >= LEAST_BASE && *spread <= SPREAD;
}

/* The number in units of 2^(base - 1075); `narrow` is a constant where it is called. */
static inline int128_t integer_of (const double *number, unsigned base, bool narrow)
{
    const uint64_t one = (uint64_t)1 << 52;
    uint64_t bits;
    memcpy (&bits, number, sizeof bits);
    unsigned exponent = (unsigned)(bits >> 52) & 0x7ffu;
    uint64_t mantissa = (bits & (one - 1)) | (exponent != 0 ? one : 0);
    unsigned shift = (exponent - base) & 63; /* of 0, which stays so, any */
    uint128_t magnitude = narrow ? (uint128_t)(mantissa << shift) : (uint128_t)mantissa << shift;
    return bits >> 63 ? -(int128_t)magnitude : (int128_t)magnitude;
}

/* To the nearest, ties to even; 2^(base - 1075) is a normal number, and so is the product. */
static inline double rounded (int128_t sum, unsigned base)
{
    uint64_t bits = (uint64_t)(base - LEAST_BASE + 1) << 52;
    double unit;
    memcpy (&unit, &bits, sizeof unit);
    return (double)sum * unit;
}
_Static_assert(1023 - 1075 + LEAST_BASE == 1, "the exponent of a unit");

static inline value_t sum_value (int128_t sum, bool none, unsigned base)
{
    value_t value = { .type = TYPE_FLOAT64, .null = none };
    if (!none)
        value.f = rounded (sum, base);
    return value;
}

/* `narrow` is a constant where it is called. */
static inline __attribute__ ((always_inline)) void
slide (const double *numbers, const state_windows_t *windows, unsigned base, bool narrow)
{
    int128_t sum = 0;
    for (size_t k = 0, low = windows->from[0], high = low; k < windows->count; k++) {
        size_t from = windows->from[k];
        size_t to = windows->to[k];
        if (from >= high) {
            low = high = from;
            sum = 0;
        }
        for (; high < to; high++)
            sum += integer_of (&numbers[high], base, narrow);
        for (; low < from; low++)
            sum -= integer_of (&numbers[low], base, narrow);
        windows->values[k] = sum_value (sum, from >= to, base);
    }
}

/* The same by the sums of the first numbers, of so few that all these sums stay near. */
static void subtract (const double *numbers, const state_windows_t *windows, size_t rows,
                      unsigned base)
{
    size_t first = windows->from[0];
    int128_t sums[NEAR_ROWS + 1];
    sums[0] = 0;
    for (size_t i = 0; i < rows; i++)
        sums[i + 1] = sums[i] + integer_of (&numbers[first + i], base, false);
    for (size_t k = 0; k < windows->count; k++) {
        size_t from = windows->from[k];
        size_t to = windows->to[k];
        bool none = from >= to;
        windows->values[k] =
            sum_value (none ? 0 : sums[to - first] - sums[from - first], none, base);
    }
}

bool window_sums_of_floats (const double *numbers, const state_windows_t *windows)
{
    size_t first = windows->from[0];
    size_t rows = windows->to[windows->count - 1] - first;
    unsigned base, spread;
    if (windows->to[windows->count - 1] <= first)
        rows = 0;
    if (rows > ROWS_MAX || !find_base (numbers + first, rows, &base, &spread))
        return false;
    if (rows <= NEAR_ROWS)
        subtract (numbers, windows, rows, base);
    else if (spread <= NARROW)
        slide (numbers, windows, base, true);
    else
        slide (numbers, windows, base, false);
    return true;
}
