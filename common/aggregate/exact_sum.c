/* exact_sum.c - the superaccumulator: adding, merging, and its absolute value. */
#include "aggregate/exact_integer.h"

#include "base/check.h"
#include "base/mem.h"

void exact_sum_init (exact_sum_t *self)
{
    self->spill = NULL;
    self->capacity = 0;
    exact_sum_reset (self);
}

void exact_sum_release (exact_sum_t *self)
{
    mem_free (self->spill);
    exact_sum_init (self);
}

void exact_sum_reset (exact_sum_t *self)
{
    self->low = 0;
    self->span = 0;
    self->pending = 0;
}

/* The integer becomes chunks. */
static void to_chunks (exact_sum_t *self)
{
    int128_t value = exact_sum_integer (self);
    unsigned at = self->low;
    exact_sum_reset (self);
    exact_sum_add_scaled (self, 8 * at, value);
}

/* ---- chunks ---- */

/* Moves the chunks held to a spill of at least `span` chunks. */
static void spill (exact_sum_t *self, unsigned span)
{
    unsigned capacity = 2u * EXACT_SUM_INLINE;
    while (capacity < span)
        capacity *= 2;
    capacity = capacity < EXACT_SUM_CHUNKS ? capacity : EXACT_SUM_CHUNKS;
    bool first = self->spill == NULL;
    self->spill = mem_resize (self->spill, capacity, sizeof *self->spill);
    self->capacity = (uint16_t)capacity;
    if (first)
        memcpy (self->spill, self->inlined, self->span * sizeof *self->spill);
}

/* Makes chunks [low, high) held. Chunks that were not are 0. */
static void hold (exact_sum_t *self, unsigned low, unsigned high)
{
    CHECK (high <= EXACT_SUM_CHUNKS);
    if (self->span == 0) {
        self->low = (uint16_t)low;
        if (high - low <= EXACT_SUM_INLINE) { /* as a sum mostly begins */
            int64_t *chunk = exact_sum_chunks (self);
            for (unsigned i = 0; i < high - low; i++)
                chunk[i] = 0;
            self->span = (uint16_t)(high - low);
            return;
        }
    } else {
        unsigned end = (unsigned)self->low + self->span;
        low = low < self->low ? low : self->low;
        high = high > end ? high : end;
    }
    unsigned span = high - low;
    unsigned below = self->low - low;
    if (span > (self->spill != NULL ? self->capacity : EXACT_SUM_INLINE))
        spill (self, span);
    int64_t *to = exact_sum_chunks (self);
    memmove (to + below, to, self->span * sizeof *to);
    memset (to, 0, below * sizeof *to);
    memset (to + below + self->span, 0, (span - below - self->span) * sizeof *to);
    self->low = (uint16_t)low;
    self->span = (uint16_t)span;
}

/* Brings every chunk but the last into [0, 2^32) and the last into [-2^31, 2^31). */
static void propagate (exact_sum_t *self)
{
    self->pending = 0;
    if (self->span == 0)
        return;
    int64_t *chunk = exact_sum_chunks (self);
    unsigned last = self->span - 1u;
    int64_t carry = 0;
    for (unsigned i = 0; i < last; i++) {
        int64_t value = chunk[i] + carry;
        chunk[i] = value & UINT32_MAX;
        carry = value >> 32;
    }
    int64_t value = chunk[last] + carry;
    while (value != (int32_t)value) {
        hold (self, self->low, (unsigned)self->low + self->span + 1);
        chunk = exact_sum_chunks (self);
        chunk[last++] = value & UINT32_MAX;
        value >>= 32;
    }
    chunk[last] = value;
}

void exact_sum_reach (exact_sum_t *self, unsigned low, unsigned high)
{
    if (exact_sum_is_integer (self))
        to_chunks (self);
    if (self->pending >= EXACT_SUM_PENDING_MAX)
        propagate (self);
    if (self->span == 0 || low < self->low || high > (unsigned)self->low + self->span)
        hold (self, low, high);
}

/* Adds +-magnitude * 2^(bit - EXACT_SUM_ONE_BIT). */
static void add_at (exact_sum_t *self, unsigned bit, uint128_t magnitude, bool negative)
{
    if (magnitude == 0)
        return;
    unsigned index = bit >> 5;
    unsigned shift = bit & 31;
    uint128_t rest = magnitude >> (32 - shift);
    uint64_t low = (uint64_t)rest;
    uint64_t high = (uint64_t)(rest >> 64);
    unsigned bits = high != 0  ? 128 - (unsigned)__builtin_clzll (high)
                    : low != 0 ? 64 - (unsigned)__builtin_clzll (low)
                               : 0;
    unsigned pieces = 1 + (bits + 31) / 32;
    if (__builtin_expect ((uint64_t)(index - self->low) + pieces > self->span ||
                              self->pending >= EXACT_SUM_PENDING_MAX,
                          0))
        exact_sum_reach (self, index, index + pieces);
    int64_t *chunk = exact_sum_chunks (self) + (index - self->low);
    int64_t sign = negative ? -1 : 0;
    uint32_t piece[] = { (uint32_t)(magnitude << shift), (uint32_t)low, (uint32_t)(low >> 32),
                         (uint32_t)high, (uint32_t)(high >> 32) };
    for (unsigned i = 0; i < pieces; i++)
        chunk[i] += ((int64_t)piece[i] ^ sign) - sign;
    self->pending = (uint16_t)(self->pending + 1);
}

/* Splits a finite number into mantissa * 2^(exponent - 1075); says whether it is negative. */
static bool split (double value, uint64_t *mantissa, unsigned *exponent)
{
    uint64_t bits;
    memcpy (&bits, &value, sizeof bits);
    *exponent = (unsigned)(bits >> 52) & 0x7ffu;
    CHECK (*exponent != 0x7ff);
    *mantissa = bits & (((uint64_t)1 << 52) - 1);
    if (*exponent == 0)
        *exponent = 1;
    else
        *mantissa |= (uint64_t)1 << 52;
    return bits >> 63 != 0;
}

void exact_sum_add_float_product (exact_sum_t *self, double a, double b)
{
    uint64_t mantissa_a, mantissa_b;
    unsigned exponent_a, exponent_b;
    bool negative_a = split (a, &mantissa_a, &exponent_a);
    bool negative_b = split (b, &mantissa_b, &exponent_b);
    add_at (self, exponent_a + exponent_b + EXACT_SUM_ONE_BIT - 2 * 1075,
            (uint128_t)mantissa_a * mantissa_b, negative_a != negative_b);
}

exact_term_t exact_term_of_float (double value)
{
    exact_term_t term = { 0 };
    unsigned exponent;
    term.negative = split (value, &term.limb[0], &exponent);
    term.exponent = (int)exponent - 1075;
    return term;
}

exact_term_t exact_term_of_int (int64_t value)
{
    return (exact_term_t){ .negative = value < 0,
                           .limb = { value < 0 ? 0 - (uint64_t)value : (uint64_t)value } };
}

exact_term_t exact_term_product (const exact_term_t *a, const exact_term_t *b)
{
    exact_term_t product = { .negative = a->negative != b->negative,
                             .exponent = a->exponent + b->exponent };
    if ((a->limb[1] | a->limb[2] | a->limb[3] | b->limb[1] | b->limb[2] | b->limb[3]) == 0) {
        uint128_t magnitude = (uint128_t)a->limb[0] * b->limb[0];
        product.limb[0] = (uint64_t)magnitude;
        product.limb[1] = (uint64_t)(magnitude >> 64);
        return product;
    }
    for (unsigned i = 0; i < EXACT_TERM_LIMBS; i++) {
        uint64_t carry = 0;
        for (unsigned j = 0; a->limb[i] != 0 && i + j < EXACT_TERM_LIMBS; j++) {
            uint128_t sum = (uint128_t)a->limb[i] * b->limb[j] + product.limb[i + j] + carry;
            product.limb[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        CHECK (carry == 0);
    }
    return product;
}

void exact_sum_add_term (exact_sum_t *self, const exact_term_t *term)
{
    unsigned bit = (unsigned)(term->exponent + EXACT_SUM_ONE_BIT);
    unsigned count = EXACT_TERM_LIMBS;
    while (count > 2 && term->limb[count - 1] == 0)
        count--;
    if (count == 2) {
        add_at (self, bit, (uint128_t)term->limb[1] << 64 | term->limb[0], term->negative);
        return;
    }
    unsigned index = bit >> 5;
    unsigned shift = bit & 31;
    unsigned bits = shift + 64 * count - (unsigned)__builtin_clzll (term->limb[count - 1]);
    unsigned pieces = (bits + 31) / 32;
    if (__builtin_expect ((uint64_t)(index - self->low) + pieces > self->span ||
                              self->pending >= EXACT_SUM_PENDING_MAX,
                          0))
        exact_sum_reach (self, index, index + pieces);
    int64_t *chunk = exact_sum_chunks (self) + (index - self->low);
    int64_t sign = term->negative ? -1 : 0;
    uint64_t carried = 0; /* bits of lower limbs that belong to the next chunk */
    for (unsigned i = 0; i < pieces; i++) {
        uint64_t word = i < 2 * count ? (uint32_t)(term->limb[i / 2] >> 32 * (i % 2)) : 0;
        carried |= word << shift;
        chunk[i] += ((int64_t)(uint32_t)carried ^ sign) - sign;
        carried >>= 32;
    }
    self->pending = (uint16_t)(self->pending + 1);
}

void exact_sum_add_scaled (exact_sum_t *self, unsigned bit, int128_t value)
{
    uint128_t magnitude = value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
    add_at (self, bit, magnitude, value < 0);
}

void exact_sum_add_int128 (exact_sum_t *self, int128_t value)
{
    exact_sum_add_scaled (self, EXACT_SUM_ONE_BIT, value);
}

void exact_sum_add_int_product (exact_sum_t *self, int64_t a, int64_t b)
{
    exact_sum_add_int128 (self, (int128_t)a * b);
}

void exact_sum_merge (exact_sum_t *self, const exact_sum_t *from)
{
    if (from->span == 0) {
        if (exact_sum_is_integer (from) &&
            (self->span > 0 || !exact_sum_add_integer (self, exact_sum_integer (from), from->low)))
            exact_sum_add_scaled (self, 8u * from->low, exact_sum_integer (from));
        return;
    }
    if (exact_sum_is_integer (self))
        to_chunks (self);
    /* The chunks of `from` may be as far from propagated as its own additions made them. */
    if (self->pending + from->pending + 1 > EXACT_SUM_PENDING_MAX)
        propagate (self);
    exact_sum_reach (self, from->low, (unsigned)from->low + from->span);
    const int64_t *source = from->spill != NULL ? from->spill : from->inlined;
    int64_t *chunk = exact_sum_chunks (self) + (from->low - self->low);
    for (unsigned i = 0; i < from->span; i++)
        chunk[i] += source[i];
    self->pending = (uint16_t)(self->pending + from->pending + 1);
    if (self->pending > EXACT_SUM_PENDING_MAX)
        propagate (self);
}

void exact_sum_merge_shifted (exact_sum_t *self, const exact_sum_t *from, int shift)
{
    exact_magnitude_t magnitude;
    exact_sum_magnitude (from, &magnitude);
    for (unsigned i = 0; i < magnitude.count; i++) {
        exact_term_t term = { .negative = magnitude.negative,
                              .exponent =
                                  32 * ((int)magnitude.low + (int)i) - EXACT_SUM_ONE_BIT + shift,
                              .limb = { magnitude.chunk[i] } };
        exact_sum_add_term (self, &term);
    }
}

bool exact_sum_is_zero (const exact_sum_t *self)
{
    exact_magnitude_t magnitude;
    exact_sum_magnitude (self, &magnitude);
    return magnitude.count == 0;
}

/* Drops zero chunks at both ends. */
static void trim (exact_magnitude_t *self)
{
    unsigned count = self->count;
    while (count > 0 && self->chunk[count - 1] == 0)
        count--;
    unsigned zeros = 0;
    while (zeros < count && self->chunk[zeros] == 0)
        zeros++;
    if (zeros > 0)
        memmove (self->chunk, self->chunk + zeros, (count - zeros) * sizeof *self->chunk);
    self->low = count == 0 ? 0 : (uint16_t)(self->low + zeros);
    self->count = (uint16_t)(count - zeros);
}

static void integer_magnitude (const exact_sum_t *self, exact_magnitude_t *out)
{
    int128_t value = exact_sum_integer (self);
    uint128_t magnitude = value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
    unsigned shift = 8 * (self->low % 4u);
    out->negative = value < 0;
    out->low = self->low / 4;
    out->count = 0;
    for (magnitude <<= shift; magnitude != 0; magnitude >>= 32)
        out->chunk[out->count++] = (uint32_t)magnitude;
    trim (out);
}
_Static_assert(EXACT_INTEGER_BITS + 24 <= 128, "moved to the chunk that it begins in, it fits");

void exact_sum_magnitude (const exact_sum_t *self, exact_magnitude_t *out)
{
    if (exact_sum_is_integer (self)) {
        integer_magnitude (self, out);
        return;
    }
    const int64_t *chunk = self->spill != NULL ? self->spill : self->inlined;
    unsigned count = 0;
    int64_t carry = 0;
    for (; count < self->span; count++) {
        int64_t value = chunk[count] + carry;
        out->chunk[count] = (uint32_t)value;
        carry = value >> 32;
    }
    for (; carry != 0 && carry != -1; carry >>= 32)
        out->chunk[count++] = (uint32_t)carry;
    out->low = self->low;
    out->negative = carry < 0;
    if (out->negative) {
        /* The chunks say 2^(32 count) + sum: take them from 2^(32 count). */
        uint64_t up = 1;
        for (unsigned i = 0; i < count; i++) {
            up += (uint32_t)~out->chunk[i];
            out->chunk[i] = (uint32_t)up;
            up >>= 32;
        }
        if (up != 0)
            out->chunk[count++] = 1;
    }
    out->count = (uint16_t)count;
    trim (out);
}
