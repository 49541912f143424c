#include "block/ints.h"

#include "base/check.h"

enum {
    PACKED_WIDTH_MAX = 56, /* bits: with a shift of 7 at most, a value lies in one 8-byte load */
    PACKED_HEAD = 17,      /* base, scale, width */
};

/* What the choice of an encoding rests on. */
typedef struct shape {
    int64_t min;
    int64_t max;
    uint64_t scale; /* every value is min + n * scale; at least 1 */
    size_t runs;
    size_t delta_size; /* bytes of DELTA; not found out where it cannot be least */
} shape_t;

static uint64_t zigzag (uint64_t value)
{
    return (value << 1) ^ (0 - (value >> 63));
}

static size_t varint_size (uint64_t value)
{
    return (size_t)(70 - __builtin_clzll (value | 1)) / 7;
}

static unsigned bit_width (uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll (value);
}

static uint64_t greatest_divisor (uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

bool ints_are_equal (const int64_t *values, size_t count)
{
    size_t i = 1;
    while (i < count && values[i] == values[0])
        i++;
    return i >= count;
}

/* The largest number that divides all distances from the least value; at least 1. */
static uint64_t scale_of (const int64_t *values, size_t count, int64_t min)
{
    uint64_t scale = 0;
    for (size_t i = 0; i < count && scale != 1; i++) {
        uint64_t above = (uint64_t)values[i] - (uint64_t)min;
        if (scale == 0 || above % scale != 0)
            scale = greatest_divisor (above, scale);
    }
    return scale == 0 ? 1 : scale;
}

static size_t delta_size (const int64_t *values, size_t count)
{
    size_t size = varint_size (zigzag ((uint64_t)values[0]));
    for (size_t i = 1; i < count; i++)
        size += varint_size (zigzag ((uint64_t)values[i] - (uint64_t)values[i - 1]));
    return size;
}

static unsigned packed_width (const shape_t *shape)
{
    return bit_width (((uint64_t)shape->max - (uint64_t)shape->min) / shape->scale);
}

static size_t packed_size (size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

/* A difference takes a byte at least: DELTA is not looked at where PACKED takes no more. */
static shape_t shape_of (const int64_t *values, size_t count)
{
    shape_t shape = { .min = values[0], .max = values[0], .runs = 1, .scale = 1 };
    if (count > 1 && ints_are_equal (values, count))
        return shape;
    for (size_t i = 1; i < count; i++) {
        int64_t value = values[i];
        shape.min = value < shape.min ? value : shape.min;
        shape.max = value > shape.max ? value : shape.max;
        shape.runs += value != values[i - 1];
    }
    shape.scale = scale_of (values, count, shape.min);
    shape.delta_size = SIZE_MAX;
    if (PACKED_HEAD + packed_size (count, packed_width (&shape)) > count)
        shape.delta_size = delta_size (values, count);
    return shape;
}

/* ---- writing ---- */

static void put_delta (buf_t *out, const int64_t *values, size_t count)
{
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        buf_put_varint (out, zigzag ((uint64_t)values[i] - before));
        before = (uint64_t)values[i];
    }
}

/* x with x * odd = 1 modulo 2^64: the number is right in its lowest three bits, and each step
 * doubles how many are. */
static uint64_t inverse_of_odd (uint64_t odd)
{
    uint64_t inverse = odd;
    for (int bits = 3; bits < 64; bits *= 2)
        inverse *= 2 - odd * inverse;
    return inverse;
}

/* What is divided by the scale can be, without a rest: a multiplication does it. */
static void put_packed (buf_t *out, const int64_t *values, size_t count, const shape_t *shape)
{
    unsigned width = packed_width (shape);
    buf_put_i64 (out, shape->min);
    buf_put_u64 (out, shape->scale);
    buf_put_u8 (out, (uint8_t)width);
    size_t size = packed_size (count, width);
    uint8_t *at = buf_extend (out, size);
    if (at == NULL)
        return;
    unsigned twos = (unsigned)__builtin_ctzll (shape->scale);
    uint64_t inverse = inverse_of_odd (shape->scale >> twos);
    uint64_t pending = 0;
    unsigned bits = 0; /* of it, below 64 */
    for (size_t i = 0; i < count; i++) {
        uint64_t above = (((uint64_t)values[i] - (uint64_t)shape->min) >> twos) * inverse;
        pending |= above << bits;
        bits += width;
        if (bits >= 64) {
            memcpy (at, &pending, sizeof pending);
            at += sizeof pending;
            bits -= 64;
            pending = above >> (width - bits); /* below 64, as the width is */
        }
    }
    if (bits > 0)
        memcpy (at, &pending, (bits + 7) / 8);
}

static void put_runs (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch)
{
    size_t runs = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || values[i] != values[i - 1]) {
            scratch->a[runs] = 0;
            scratch->b[runs++] = values[i];
        }
        scratch->a[runs - 1]++;
    }
    buf_put_varint (out, runs);
    ints_put (out, scratch->a, runs);
    ints_put (out, scratch->b, runs);
}

/* The cheapest encoding, without RUNS. */
static encoding_t best_leaf (const shape_t *shape, size_t count, size_t *size)
{
    *size = count * 8;
    if (shape->min == shape->max && count > 1) {
        *size = 8;
        return ENCODING_CONSTANT;
    }
    encoding_t best = ENCODING_PLAIN;
    unsigned width = packed_width (shape);
    size_t packed = PACKED_HEAD + packed_size (count, width);
    if (width <= PACKED_WIDTH_MAX && packed < *size) {
        best = ENCODING_PACKED;
        *size = packed;
    }
    if (shape->delta_size < *size) {
        best = ENCODING_DELTA;
        *size = shape->delta_size;
    }
    return best;
}

size_t ints_estimate (const int64_t *values, size_t count)
{
    if (count == 0)
        return 0;
    shape_t shape = shape_of (values, count);
    size_t size;
    encoding_t best = best_leaf (&shape, count, &size);
    (void)best;
    return size;
}

encoding_t ints_encode (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch)
{
    if (count == 0)
        return ENCODING_PLAIN;
    shape_t shape = shape_of (values, count);
    size_t size;
    encoding_t best = best_leaf (&shape, count, &size);
    if (scratch != NULL && best != ENCODING_CONSTANT && shape.runs < count / 2) {
        size_t width = packed_width (&shape);
        /* lengths are small numbers: a byte each; values no worse than their full width */
        size_t estimate = 2 * PACKED_HEAD + shape.runs * (8 + width) / 8;
        if (estimate < size) {
            put_runs (out, values, count, scratch);
            return ENCODING_RUNS;
        }
    }
    if (best == ENCODING_CONSTANT)
        buf_put_i64 (out, values[0]);
    else if (best == ENCODING_DELTA)
        put_delta (out, values, count);
    else if (best == ENCODING_PACKED)
        put_packed (out, values, count, &shape);
    else
        buf_put (out, values, count * sizeof values[0]);
    return best;
}

void ints_put (buf_t *out, const int64_t *values, size_t count)
{
    size_t at = out->size;
    buf_put_u8 (out, 0);
    encoding_t encoding = ints_encode (out, values, count, NULL);
    if (!out->bad)
        out->data[at] = (uint8_t)encoding;
}

/* ---- reading ---- */

static bool get_constant (reader_t *in, int64_t *values, size_t count)
{
    int64_t value = reader_i64 (in);
    for (size_t i = 0; i < count; i++)
        values[i] = value;
    return !in->bad;
}

static bool get_plain (reader_t *in, int64_t *values, size_t count)
{
    const uint8_t *bytes = reader_bytes (in, count * sizeof values[0]);
    if (bytes == NULL)
        return false;
    if (count > 0)
        memcpy (values, bytes, count * sizeof values[0]);
    return true;
}

static bool get_delta (reader_t *in, int64_t *values, size_t count)
{
    uint64_t before = 0;
    const uint8_t *at = in->at;
    const uint8_t *end = in->end;
    for (size_t i = 0; i < count; i++) {
        uint64_t coded = 0;
        unsigned shift = 0;
        uint8_t byte;
        do {
            if (at == end || shift > 63)
                return false;
            byte = *at++;
            if (shift == 63 && byte > 1)
                return false;
            coded |= (uint64_t)(byte & 0x7f) << shift;
            shift += 7;
        } while (byte >= 0x80);
        before += (coded >> 1) ^ (0 - (coded & 1));
        values[i] = (int64_t)before;
    }
    in->at = at;
    return true;
}

static uint64_t load_up_to_8 (const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    memcpy (&value, at, size < 8 ? size : 8);
    return value;
}

static bool get_packed (reader_t *in, int64_t *values, size_t count)
{
    uint64_t base = reader_u64 (in);
    uint64_t scale = reader_u64 (in);
    unsigned width = reader_u8 (in);
    if (in->bad || width > PACKED_WIDTH_MAX)
        return false;
    size_t size = packed_size (count, width);
    const uint8_t *bytes = reader_bytes (in, size);
    if (bytes == NULL)
        return false;
    uint64_t mask = (UINT64_C (1) << width) - 1;
    /* the values whose 8-byte load stays inside the bytes */
    size_t quick = 0;
    if (size >= 8 && width > 0)
        quick = ((size - 8) * 8) / width;
    quick = quick < count ? quick : count;
    for (size_t i = 0; i < quick; i++) {
        uint64_t word;
        memcpy (&word, bytes + ((i * width) >> 3), sizeof word);
        values[i] = (int64_t)(base + scale * ((word >> ((i * width) & 7)) & mask));
    }
    for (size_t i = quick; i < count; i++) {
        size_t at = (i * width) >> 3;
        uint64_t word = at < size ? load_up_to_8 (bytes + at, size - at) : 0;
        values[i] = (int64_t)(base + scale * ((word >> ((i * width) & 7)) & mask));
    }
    return true;
}

static bool get_runs (reader_t *in, int64_t *values, size_t count, const scratch_t *scratch)
{
    uint64_t runs = reader_varint (in);
    if (in->bad || runs > count)
        return false;
    if (!ints_get (in, scratch->a, runs) || !ints_get (in, scratch->b, runs))
        return false;
    size_t at = 0;
    for (size_t i = 0; i < runs; i++) {
        int64_t length = scratch->a[i];
        if (length < 1 || (uint64_t)length > count - at)
            return false;
        for (size_t end = at + (size_t)length; at < end; at++)
            values[at] = scratch->b[i];
    }
    return at == count;
}

bool ints_decode (reader_t *in, encoding_t encoding, int64_t *values, size_t count,
                  const scratch_t *scratch)
{
    switch (encoding) {
    case ENCODING_PLAIN:
        return get_plain (in, values, count);
    case ENCODING_CONSTANT:
        return get_constant (in, values, count);
    case ENCODING_RUNS:
        return scratch != NULL && get_runs (in, values, count, scratch);
    case ENCODING_DELTA:
        return get_delta (in, values, count);
    case ENCODING_PACKED:
        return get_packed (in, values, count);
    case ENCODING_DICTIONARY:
    case ENCODING_BITMAP:
    case ENCODING_SCALED:
    case ENCODING_FROM_TIME:
    case ENCODING_WIDE:
        return false;
    }
    return false;
}

bool ints_get (reader_t *in, int64_t *values, size_t count)
{
    encoding_t encoding = (encoding_t)reader_u8 (in);
    return !in->bad && ints_decode (in, encoding, values, count, NULL);
}
