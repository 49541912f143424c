#include "block/tokens.h"

#include "base/check.h"
#include "block/ints.h"
#include "block/pack.h"

enum {
    TOKEN_DIRECT = 16, /* numbers below are their own tokens */
    TOKEN_DIRECT_BITS = 4,
    TOKEN_STEPS_BITS = 2, /* each doubling has four tokens */
    NUMBER_BITS_MAX = 60, /* so that 57 bits are open at most: one 8-byte load, shifted by 7 */
    TOKENS = TOKEN_DIRECT + ((NUMBER_BITS_MAX - TOKEN_DIRECT_BITS) << TOKEN_STEPS_BITS),
    TOKENS_HEAD = 25, /* form, two sizes */
    FRAME_HEAD = 16,  /* about what zstd takes by itself */
    SAMPLE = 1024,    /* values that an estimate looks at, about */
};

_Static_assert(TOKENS == 0xf0, "a byte is no token when its four high bits are set");

/* What a token says: the least number, and which bits of the number it leaves open. */
typedef struct token_meaning {
    uint64_t least;
    uint64_t mask;
    uint64_t bits;
} token_meaning_t;

#define DIRECT(n)                                                                                  \
    {                                                                                              \
        n, 0, 0                                                                                    \
    }
#define DIRECTS(n) DIRECT (n), DIRECT (n + 1), DIRECT (n + 2), DIRECT (n + 3)
#define PART(high, n)                                                                              \
    {                                                                                              \
        (UINT64_C (4) + n) << (high - 2), (UINT64_C (1) << (high - 2)) - 1, high - 2               \
    }
#define DOUBLING(high) PART (high, 0), PART (high, 1), PART (high, 2), PART (high, 3)
#define DOUBLINGS(high)                                                                            \
    DOUBLING (high), DOUBLING (high + 1), DOUBLING (high + 2), DOUBLING (high + 3),                \
        DOUBLING (high + 4), DOUBLING (high + 5), DOUBLING (high + 6), DOUBLING (high + 7)

static const token_meaning_t meaning[TOKENS] = { DIRECTS (0),    DIRECTS (4),    DIRECTS (8),
                                                 DIRECTS (12),   DOUBLINGS (4),  DOUBLINGS (12),
                                                 DOUBLINGS (20), DOUBLINGS (28), DOUBLINGS (36),
                                                 DOUBLINGS (44), DOUBLINGS (52) };

static inline uint8_t token_of (uint64_t number)
{
    unsigned high = 63 - (unsigned)__builtin_clzll (number | (TOKEN_DIRECT - 1));
    /* 16 tokens are as many as four doublings would have, so that the first one's begin there */
    unsigned of_doubling = (high << TOKEN_STEPS_BITS) + ((number >> (high - TOKEN_STEPS_BITS)) & 3);
    return (uint8_t)(number < TOKEN_DIRECT ? number : of_doubling);
}

/* ---- values as numbers ---- */

/* What is divided by the scale can be, without a rest: a multiplication does it. */
typedef struct divider {
    uint64_t base;
    uint64_t inverse; /* of the odd part */
    unsigned twos;
    bool zigzag;
} divider_t;

static divider_t divider_of (const tokens_form_t *form)
{
    unsigned twos = (unsigned)__builtin_ctzll (form->scale);
    return (divider_t){ .base = (uint64_t)form->base,
                        .inverse = ints_inverse_of_odd (form->scale >> twos),
                        .twos = twos,
                        .zigzag = form->zigzag };
}

bool tokens_fit (int64_t min, int64_t max, const tokens_form_t *form)
{
    if (!form->zigzag)
        return ((uint64_t)max - (uint64_t)min) / form->scale >> NUMBER_BITS_MAX == 0;
    int64_t most = INT64_C (1) << (NUMBER_BITS_MAX - 2);
    return min > -most && max < most;
}

static inline uint64_t number_of (const divider_t *self, int64_t value)
{
    if (!self->zigzag)
        return (((uint64_t)value - self->base) >> self->twos) * self->inverse;
    uint64_t number = (uint64_t)(value >> self->twos) * self->inverse;
    return (number << 1) ^ (0 - (number >> 63));
}

/* ---- writing ---- */

/* 256 times the logarithm to base 2, within 2. Integers, so that every machine chooses the same. */
static uint64_t log2_256 (uint64_t value)
{
    unsigned high = 63 - (unsigned)__builtin_clzll (value);
    uint64_t rest = high >= 8 ? value >> (high - 8) & 255 : value << (8 - high) & 255;
    return high * 256 + rest + (rest * (256 - rest) * 88 >> 16);
}

size_t tokens_estimate (const int64_t *values, size_t count, const tokens_form_t *form)
{
    uint32_t often[256] = { 0 };
    divider_t divider = divider_of (form);
    size_t step = count / SAMPLE + 1;
    size_t sample = (count + step - 1) / step;
    for (size_t i = 0; i < count; i += step)
        often[token_of (number_of (&divider, values[i]))]++;
    uint64_t bits_256 = 0;
    size_t used = 0;
    for (unsigned token = 0; token < TOKENS; token++) {
        if (often[token] == 0)
            continue;
        used++;
        uint64_t each = log2_256 (sample) - log2_256 (often[token]) + 256 * meaning[token].bits;
        bits_256 += often[token] * each;
    }
    return TOKENS_HEAD + FRAME_HEAD + used / 2 + bits_256 / (256 * 8) * count / sample;
}

/* The tokens, packed if that helps, with their size before them. */
static void put_tokens (buf_t *out, const uint8_t *tokens, size_t count)
{
    size_t at = out->size;
    buf_put_u32 (out, 0);
    uint32_t size = (uint32_t)count;
    if (count > 1 && pack_zstd (out, tokens, count, count - 1))
        size = (uint32_t)(out->size - at - sizeof size);
    else
        buf_put (out, tokens, count);
    if (!out->bad)
        memcpy (out->data + at, &size, sizeof size);
}

/* The open bits, with their size before them, and the tokens into `tokens`. */
static void put_open_bits (buf_t *out, const int64_t *values, size_t count,
                           const tokens_form_t *form, uint8_t *tokens)
{
    size_t start = out->size;
    size_t room = sizeof (uint32_t) + (count + 1) * sizeof (uint64_t);
    uint8_t *at = buf_extend (out, room);
    if (at == NULL)
        return;
    divider_t divider = divider_of (form);
    uint8_t *bytes = at + sizeof (uint32_t);
    uint64_t pending = 0;
    uint64_t bits = 0; /* of it, at most 7: with 57 more they fill it, and are written at once */
    for (size_t i = 0; i < count; i++) {
        uint64_t number = number_of (&divider, values[i]);
        uint8_t token = token_of (number);
        tokens[i] = token;
        pending |= (number & meaning[token].mask) << bits;
        bits += meaning[token].bits;
        memcpy (bytes, &pending, sizeof pending);
        bytes += bits >> 3;
        pending = bits == 64 ? 0 : pending >> (bits & 56);
        bits &= 7;
    }
    memcpy (bytes, &pending, sizeof pending);
    bytes += (bits + 7) / 8;
    uint32_t size = (uint32_t)(bytes - at - (ptrdiff_t)sizeof size);
    memcpy (at, &size, sizeof size);
    out->size = start + sizeof size + size;
}

void tokens_put (buf_t *out, const int64_t *values, size_t count, const tokens_form_t *form,
                 uint8_t *tokens)
{
    buf_put_u8 (out, form->zigzag);
    buf_put_i64 (out, form->base);
    buf_put_u64 (out, form->scale);
    put_open_bits (out, values, count, form, tokens);
    put_tokens (out, tokens, count);
}

/* ---- reading ---- */

/* A byte is none when its four high bits are set. */
static bool are_tokens (const uint8_t *bytes, size_t count)
{
    uint64_t none = 0;
    for (size_t i = 0; i < count; i += 8) {
        uint64_t eight = 0;
        memcpy (&eight, bytes + i, count - i < 8 ? count - i : 8);
        none |= eight & eight << 1 & eight << 2 & eight << 3;
    }
    return (none & UINT64_C (0x8080808080808080)) == 0;
}

static bool get_tokens (reader_t *in, uint8_t *tokens, size_t count)
{
    uint32_t size = reader_u32 (in);
    const uint8_t *packed = reader_bytes (in, size);
    if (packed == NULL || size > count)
        return false;
    if (size == count)
        memcpy (tokens, packed, count);
    else if (!unpack_zstd (packed, size, tokens, count))
        return false;
    return are_tokens (tokens, count);
}

/* Where numbers come from: their bits, and what of them is read. */
typedef struct bits {
    const uint8_t *bytes;
    size_t size;
    size_t at; /* bits */
} bits_t;

enum {
    LOAD = sizeof (uint64_t), /* bytes that a number is read from */
    AT_ONCE = 4,              /* numbers between two looks at where the bytes end */
};

/* The number, from an 8-byte load. */
static inline uint64_t next_number (bits_t *bits, uint8_t token)
{
    uint64_t word;
    memcpy (&word, bits->bytes + (bits->at >> 3), sizeof word);
    uint64_t number = meaning[token].least + ((word >> (bits->at & 7)) & meaning[token].mask);
    bits->at += meaning[token].bits;
    return number;
}

static inline int64_t value_of (const tokens_form_t *form, uint64_t number)
{
    if (form->zigzag)
        number = (number >> 1) ^ (0 - (number & 1));
    return (int64_t)((uint64_t)form->base + form->scale * number);
}

/* Reads values while loads stay inside the bytes; returns how many. */
static inline __attribute__ ((always_inline)) size_t
get_inside (bits_t *bits, int64_t *values, size_t count, const uint8_t *tokens, tokens_form_t form)
{
    const size_t most = AT_ONCE * NUMBER_BITS_MAX;
    bits_t here = *bits;
    size_t end = here.size >= LOAD ? 8 * (here.size - LOAD + 1) : 0; /* bits: loads begin before */
    size_t end_of_many = end > most ? end - most : 0;
    size_t i = 0;
    for (; i + AT_ONCE <= count && here.at < end_of_many; i += AT_ONCE) {
        values[i] = value_of (&form, next_number (&here, tokens[i]));
        values[i + 1] = value_of (&form, next_number (&here, tokens[i + 1]));
        values[i + 2] = value_of (&form, next_number (&here, tokens[i + 2]));
        values[i + 3] = value_of (&form, next_number (&here, tokens[i + 3]));
    }
    for (; i < count && here.at < end; i++)
        values[i] = value_of (&form, next_number (&here, tokens[i]));
    *bits = here;
    return i;
}

/* The last of the bytes are read where zeros are behind them. */
static inline __attribute__ ((always_inline)) void
get_values (bits_t *bits, int64_t *values, size_t count, const uint8_t *tokens, tokens_form_t form)
{
    size_t done = get_inside (bits, values, count, tokens, form);
    size_t byte = bits->at >> 3;
    uint8_t last[3 * LOAD] = { 0 };
    if (done == count || byte > bits->size)
        return;
    bits_t rest = { .bytes = last, .size = sizeof last, .at = bits->at & 7 };
    memcpy (last, bits->bytes + byte, bits->size - byte);
    done += get_inside (&rest, values + done, count - done, tokens + done, form);
    bits->at = done == count ? 8 * byte + rest.at : SIZE_MAX; /* more bits than there are */
}

bool tokens_get (reader_t *in, int64_t *values, size_t count, uint8_t *tokens)
{
    uint8_t zigzag = reader_u8 (in);
    int64_t base = reader_i64 (in);
    uint64_t scale = reader_u64 (in);
    bits_t bits = { .size = reader_u32 (in) };
    bits.bytes = reader_bytes (in, bits.size);
    if (in->bad || zigzag > 1 || !get_tokens (in, tokens, count))
        return false;
    if (zigzag == 0) /* each loop knows its form */
        get_values (&bits, values, count, tokens, (tokens_form_t){ base, scale, false });
    else if (base == 0 && scale == 1)
        get_values (&bits, values, count, tokens, (tokens_form_t){ 0, 1, true });
    else
        get_values (&bits, values, count, tokens, (tokens_form_t){ base, scale, true });
    return bits.at / 8 + (bits.at % 8 != 0) == bits.size;
}
