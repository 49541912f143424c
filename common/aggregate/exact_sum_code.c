/* exact_sum_code.c - sums as canonical bytes, and most of them rounded. */
#include "aggregate/exact_integer.h"

enum { ONE_BYTE = EXACT_SUM_ONE_BIT / 8, GRID_BYTES = EXACT_SUM_CHUNKS * 4 };

enum {
    NARROW_CHUNKS = 4, /* that a sum has at most to be encoded as one number of NARROW_WORDS */
    NARROW_WORDS = NARROW_CHUNKS / 2 + 1,
    NARROW_ROOM = 1 + 2 + 8 * NARROW_WORDS, /* bytes of such an encoding */
};

/* The sum as one number of whole words times 2^(8 at) of the grid, and whether it was negated. */
static bool narrow_words (const exact_sum_t *self, uint64_t word[NARROW_WORDS], unsigned *at)
{
    if (exact_sum_is_integer (self)) {
        int128_t value = exact_sum_integer (self);
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
        if (exact_sum_add_integer (self, negative ? -value : value, at))
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
