/* exact_integer.h - an exact sum while it is a single integer: what its files share.
 *
 * The integer is below 2^EXACT_INTEGER_BITS, so that two can be added, and at a whole byte of the
 * grid, as encodings are. */
#ifndef WEIR_AGGREGATE_EXACT_INTEGER_H
#define WEIR_AGGREGATE_EXACT_INTEGER_H

#include "aggregate/exact_sum.h"

enum { EXACT_INTEGER_BITS = 104 };

static inline bool exact_sum_is_integer (const exact_sum_t *self)
{
    return self->span == 0 && self->pending != 0;
}

static inline int128_t exact_sum_integer (const exact_sum_t *self)
{
    int128_t value;
    memcpy (&value, self->inlined, sizeof value);
    return value;
}

static inline void exact_sum_set_integer (exact_sum_t *self, int128_t value, unsigned at)
{
    memcpy (self->inlined, &value, sizeof value);
    self->low = (uint16_t)at;
    self->pending = value != 0;
}

static inline unsigned integer_bits (int128_t value)
{
    uint128_t magnitude = value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
    uint64_t high = (uint64_t)(magnitude >> 64);
    return high != 0                  ? 128 - (unsigned)__builtin_clzll (high)
           : (uint64_t)magnitude != 0 ? 64 - (unsigned)__builtin_clzll ((uint64_t)magnitude)
                                      : 0;
}

/* value * 2^(8 places) */
static inline int128_t integer_moved (int128_t value, unsigned places)
{
    return (int128_t)((uint128_t)value << 8 * places);
}

/* Adds value * 2^(8 at) of the grid to a sum without chunks. False, with nothing done: they would
 * not be one integer. */
static inline bool exact_sum_add_integer (exact_sum_t *self, int128_t value, unsigned at)
{
    if (self->pending == 0) {
        exact_sum_set_integer (self, value, at);
        return true;
    }
    int128_t held = exact_sum_integer (self);
    unsigned apart = at > self->low ? at - self->low : self->low - at;
    if (apart > 0) {
        int128_t *upper = at > self->low ? &value : &held;
        if (integer_bits (*upper) + 8 * apart > EXACT_INTEGER_BITS)
            return false;
        *upper = integer_moved (*upper, apart);
        at = at < self->low ? at : self->low;
    }
    int128_t sum = held + value;
    if (sum >> EXACT_INTEGER_BITS != 0 && sum >> EXACT_INTEGER_BITS != -1)
        return false;
    exact_sum_set_integer (self, sum, at);
    return true;
}

/* Adds value * 2^(bit - EXACT_SUM_ONE_BIT), as chunks. */
void exact_sum_add_scaled (exact_sum_t *self, unsigned bit, int128_t value);

#endif
