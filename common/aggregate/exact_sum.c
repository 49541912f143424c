#include "aggregate/exact_sum.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>

enum { ONE_BYTE = EXACT_SUM_ONE_BIT / 8, GRID_BYTES = EXACT_SUM_CHUNKS * 4 };

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

/* ---- as one integer ----
 *
 * Below 2^INTEGER_BITS, so that two can be added; of bytes, so that what encodings say fits. */

enum { INTEGER_BITS = 104 };

static inline bool is_integer (const exact_sum_t *self)
{
    return self->span == 0 && self->pending != 0;
}

static inline int128_t integer_of (const exact_sum_t *self)
{
    int128_t value;
    memcpy (&value, self->inlined, sizeof value);
    return value;
}

static inline void integer_set (exact_sum_t *self, int128_t value, unsigned at)
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
static inline bool integer_add (exact_sum_t *self, int128_t value, unsigned at)
{
    if (self->pending == 0) {
        integer_set (self, value, at);
        return true;
    }
    int128_t held = integer_of (self);
    unsigned apart = at > self->low ? at - self->low : self->low - at;
    if (apart > 0) {
        int128_t *upper = at > self->low ? &value : &held;
        if (integer_bits (*upper) + 8 * apart > INTEGER_BITS)
            return false;
        *upper = integer_moved (*upper, apart);
        at = at < self->low ? at : self->low;
    }
    int128_t sum = held + value;
    if (sum >> INTEGER_BITS != 0 && sum >> INTEGER_BITS != -1)
        return false;
    integer_set (self, sum, at);
    return true;
}

static void add_signed_at (exact_sum_t *self, unsigned bit, int128_t value);

/* The integer becomes chunks. */
static void to_chunks (exact_sum_t *self)
{
    int128_t value = integer_of (self);
    unsigned at = self->low;
    exact_sum_reset (self);
    add_signed_at (self, 8 * at, value);
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
    if (is_integer (self))
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

/* Adds value * 2^(bit - EXACT_SUM_ONE_BIT). */
static void add_signed_at (exact_sum_t *self, unsigned bit, int128_t value)
{
    uint128_t magnitude = value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
    add_at (self, bit, magnitude, value < 0);
}

void exact_sum_add_int128 (exact_sum_t *self, int128_t value)
{
    add_signed_at (self, EXACT_SUM_ONE_BIT, value);
}

/* ---- many numbers ---- */

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
    add_signed_at (sum, self->base + EXACT_SUM_ONE_BIT - 1075, (int128_t)self->sum);
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

void exact_sum_add_int_product (exact_sum_t *self, int64_t a, int64_t b)
{
    exact_sum_add_int128 (self, (int128_t)a * b);
}

void exact_sum_merge (exact_sum_t *self, const exact_sum_t *from)
{
    if (from->span == 0) {
        if (is_integer (from) &&
            (self->span > 0 || !integer_add (self, integer_of (from), from->low)))
            add_signed_at (self, 8u * from->low, integer_of (from));
        return;
    }
    if (is_integer (self))
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
    int128_t value = integer_of (self);
    uint128_t magnitude = value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
    unsigned shift = 8 * (self->low % 4u);
    out->negative = value < 0;
    out->low = self->low / 4;
    out->count = 0;
    for (magnitude <<= shift; magnitude != 0; magnitude >>= 32)
        out->chunk[out->count++] = (uint32_t)magnitude;
    trim (out);
}
_Static_assert(INTEGER_BITS + 24 <= 128, "moved to the chunk that it begins in, it fits");

void exact_sum_magnitude (const exact_sum_t *self, exact_magnitude_t *out)
{
    if (is_integer (self)) {
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

enum {
    NARROW_CHUNKS = 4, /* that a sum has at most to be encoded as one number of NARROW_WORDS */
    NARROW_WORDS = NARROW_CHUNKS / 2 + 1,
    NARROW_ROOM = 1 + 2 + 8 * NARROW_WORDS, /* bytes of such an encoding */
};

/* The sum as one number of whole words times 2^(8 at) of the grid, and whether it was negated. */
static bool narrow_words (const exact_sum_t *self, uint64_t word[NARROW_WORDS], unsigned *at)
{
    if (is_integer (self)) {
        int128_t value = integer_of (self);
        uint128_t magnitude = value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
        word[0] = (uint64_t)magnitude;
        word[1] = (uint64_t)(magnitude >> 64);
        word[2] = 0;
        *at = self->low;
        return value < 0;
    }
    int64_t carry = 0;
    uint32_t digit[NARROW_CHUNKS];
    for (unsigned i = 0; i < NARROW_CHUNKS; i++) {
        int64_t value = (i < self->span ? self->inlined[i] : 0) + carry;
        digit[i] = (uint32_t)value;
        carry = value >> 32;
    }
    uint64_t sign = carry < 0 ? UINT64_MAX : 0;
    uint128_t low = (uint128_t)digit[0] | (uint128_t)digit[1] << 32 | (uint128_t)digit[2] << 64 |
                    (uint128_t)digit[3] << 96;
    low = (low ^ ((uint128_t)sign << 64 | sign)) + (sign & 1);
    word[0] = (uint64_t)low;
    word[1] = (uint64_t)(low >> 64);
    word[2] = ((uint64_t)carry ^ sign) + (sign != 0 && low == 0);
    *at = 4u * self->low;
    return sign != 0;
}

/* As exact_sum_encode. False: the sum is not so narrow, or is near the end of the buffer. */
static bool encode_narrow (const exact_sum_t *self, buf_t *out)
{
    if (self->span > NARROW_CHUNKS || self->spill != NULL)
        return false;
    uint8_t *to = buf_room (out, NARROW_ROOM);
    uint64_t word[2 * NARROW_WORDS] = { 0 };
    if (to == NULL)
        return false;
    unsigned at;
    bool negative = narrow_words (self, word, &at);
    if ((word[0] | word[1] | word[2]) == 0) {
        *to = 0;
        buf_grew (out, 1);
        return true;
    }
    unsigned first = word[0] != 0 ? 0 : word[1] != 0 ? 1 : 2;
    unsigned last = word[2] != 0 ? 2 : word[1] != 0 ? 1 : 0;
    unsigned skip = 8 * first + (unsigned)__builtin_ctzll (word[first]) / 8;
    unsigned size = 8 * last + 8 - (unsigned)__builtin_clzll (word[last]) / 8 - skip;
    int place = (int)at + (int)skip - ONE_BYTE;
    unsigned zigzag = place < 0 ? 2 * (unsigned)-place - 1 : 2 * (unsigned)place;
    unsigned wide = zigzag >= 0x80;
    to[0] = (uint8_t)(size << 1 | negative);
    to[1] = (uint8_t)(zigzag | wide << 7);
    to[2] = (uint8_t)(zigzag >> 7);
    memcpy (to + 2 + wide, (const uint8_t *)word + skip, 8 * NARROW_WORDS);
    buf_grew (out, 2 + wide + size);
    return true;
}
_Static_assert(8 * NARROW_WORDS << 1 < 0x80, "the size is one byte");
_Static_assert(2 * GRID_BYTES < 1 << 14, "the place is at most two");

void exact_sum_encode (const exact_sum_t *self, buf_t *out)
{
    if (encode_narrow (self, out))
        return;
    exact_magnitude_t magnitude;
    exact_sum_magnitude (self, &magnitude);
    unsigned count = magnitude.count;
    if (count == 0) {
        buf_put_u8 (out, 0);
        return;
    }
    unsigned skip = (unsigned)__builtin_ctz (magnitude.chunk[0]) / 8;
    unsigned unused = (unsigned)__builtin_clz (magnitude.chunk[count - 1]) / 8;
    unsigned size = 4 * count - skip - unused;
    buf_put_varint (out, size << 1 | (magnitude.negative ? 1u : 0u));
    buf_put_zigzag (out, 4 * (int)magnitude.low + (int)skip - ONE_BYTE);
    uint8_t *bytes = buf_extend (out, size);
    if (bytes == NULL)
        return;
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(magnitude.chunk[(skip + i) / 4] >> 8 * ((skip + i) % 4));
}

/* The canonical form and the range, for `size` > 0 bytes that stand for integer * 2^(8 place). */
static bool is_canonical (const uint8_t *bytes, unsigned size, int place, bool negative,
                          exact_range_t range)
{
    if (bytes[0] == 0 || bytes[size - 1] == 0 || (negative && !range.is_signed))
        return false;
    int lowest = 8 * place + __builtin_ctz (bytes[0]);
    int highest = 8 * (place + (int)size) - (__builtin_clz (bytes[size - 1]) - 24);
    return lowest >= range.lowest && highest <= range.highest;
}

/* The integer of up to 8 bytes, least first. */
static inline uint64_t word_of (const uint8_t *bytes, unsigned size)
{
    if (size >= 4) {
        uint32_t low, high;
        memcpy (&low, bytes, sizeof low);
        memcpy (&high, bytes + size - sizeof high, sizeof high);
        return low | (uint64_t)high << 8 * (size - 4);
    }
    unsigned middle = size / 2;
    unsigned last = size - 1;
    return bytes[0] | (uint64_t)bytes[middle] << 8 * middle | (uint64_t)bytes[last] << 8 * last;
}

bool exact_sum_merge_encoded (exact_sum_t *self, reader_t *reader, exact_range_t range)
{
    uint64_t header = partial_read_varint (reader);
    if (reader->bad || header > 2 * GRID_BYTES + 1 || header == 1)
        return false;
    if (header == 0)
        return true;
    unsigned size = (unsigned)header >> 1;
    bool negative = (header & 1) != 0;
    int64_t place = partial_read_zigzag (reader);
    const uint8_t *bytes = reader_bytes (reader, size);
    if (reader->bad || place < -ONE_BYTE || place > GRID_BYTES - ONE_BYTE - (int)size ||
        !is_canonical (bytes, size, (int)place, negative, range))
        return false;

    unsigned at = (unsigned)(place + ONE_BYTE);
    if (self->span == 0 && size <= 8) {
        int128_t value = word_of (bytes, size);
        if (integer_add (self, negative ? -value : value, at))
            return true;
    }
    exact_sum_reach (self, at / 4, (at + size - 1) / 4 + 1);
    int64_t *chunk = exact_sum_chunks (self) + (at / 4 - self->low);
    int64_t sign = negative ? -1 : 0;
    unsigned end = size + at % 4;
    for (unsigned i = at % 4, next; i < end; i = next) {
        next = (i / 4 + 1) * 4 < end ? (i / 4 + 1) * 4 : end;
        uint32_t word = 0;
        for (unsigned j = i; j < next; j++)
            word |= (uint32_t)*bytes++ << 8 * (j % 4);
        chunk[i / 4] += ((int64_t)word ^ sign) - sign;
    }
    self->pending = (uint16_t)(self->pending + 1);
    return true;
}

/* ---- rounding ---- */

bool exact_sum_round (const exact_sum_t *self, double *out)
{
    uint64_t word[NARROW_WORDS];
    if (self->span > NARROW_CHUNKS || self->spill != NULL)
        return false;
    unsigned at;
    bool negative = narrow_words (self, word, &at);
    uint128_t magnitude = (uint128_t)word[1] << 64 | word[0];
    if (word[2] != 0)
        return false;
    double value = (double)magnitude; /* to nearest, ties to even */
    if (magnitude != 0) {
        int exponent = 8 * (int)at - EXACT_SUM_ONE_BIT;
        int64_t bits;
        memcpy (&bits, &value, sizeof bits);
        int64_t scaled = (bits >> 52) + exponent;
        if (scaled < 1 || scaled > 2046) /* not a normal number: that is rounded elsewhere */
            return false;
        bits += (int64_t)exponent * ((int64_t)1 << 52);
        memcpy (&value, &bits, sizeof value);
    }
    *out = negative ? 0.0 - value : value;
    return true;
}
