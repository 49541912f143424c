#include "block/ints.h"

#include "base/check.h"
#include "block/ranks.h"
#include "block/tokens.h"

enum {
    PACKED_WIDTH_MAX = 56, /* bits: with a shift of 7 at most, a value lies in one 8-byte load */
    PACKED_HEAD = 17,      /* base, scale, width */
    TOKENS_COUNT_MIN = 64, /* fewer values do not repay the table of how often each token comes */
    ROWS_PER_RANK = 32,    /* at least, of which a dictionary has one */
    STEPS_WORTH_BITS = 2,  /* by which a difference has to be shorter than a value */
};

/* What the choice of an encoding rests on. */
typedef struct shape {
    int64_t min;
    int64_t max;
    uint64_t scale; /* every value is min + n * scale; at least 1 */
    size_t runs;
    size_t step_bits;  /* of all differences to the value before, each by itself */
    size_t delta_size; /* bytes of DELTA; not found out where it cannot be least */
} shape_t;

/* An encoding, and the bytes that it takes, about. */
typedef struct choice {
    encoding_t encoding;
    size_t size;
    tokens_form_t form; /* of TOKENS */
} choice_t;

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

/* A number that divides others or not, which a multiplication tells (Granlund and Montgomery,
 * "Division by invariant integers using multiplication", 1994). */
typedef struct divisor {
    uint64_t low_bits; /* that have to be 0 */
    uint64_t inverse;  /* of the odd part */
    uint64_t most;     /* that the odd part goes into */
    unsigned twos;
} divisor_t;

static divisor_t divisor_of (uint64_t number)
{
    unsigned twos = (unsigned)__builtin_ctzll (number);
    uint64_t odd = number >> twos;
    return (divisor_t){ (UINT64_C (1) << twos) - 1, ints_inverse_of_odd (odd), UINT64_MAX / odd,
                        twos };
}

static inline bool divides (const divisor_t *self, uint64_t number)
{
    return (number & self->low_bits) == 0 && (number >> self->twos) * self->inverse <= self->most;
}

/* The largest number that divides all distances from the least value; at least 1. */
static uint64_t scale_of (const int64_t *values, size_t count, int64_t min)
{
    uint64_t scale = 0;
    divisor_t divisor = { 0 };
    for (size_t i = 0; i < count && scale != 1; i++) {
        uint64_t above = (uint64_t)values[i] - (uint64_t)min;
        if (above == 0 || (scale != 0 && divides (&divisor, above)))
            continue;
        scale = greatest_divisor (above, scale);
        divisor = divisor_of (scale);
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

/* Of values that are looked at for the least and the largest alone. */
static shape_t shape_of_span (const int64_t *values, size_t count)
{
    shape_t shape = { .min = values[0], .max = values[0], .scale = 1, .delta_size = SIZE_MAX };
    for (size_t i = 1; i < count; i++) {
        shape.min = values[i] < shape.min ? values[i] : shape.min;
        shape.max = values[i] > shape.max ? values[i] : shape.max;
    }
    return shape;
}

/* Of values that are not looked at for runs and steps. */
static shape_t shape_of_leaf (const int64_t *values, size_t count)
{
    shape_t shape = shape_of_span (values, count);
    if (shape.min != shape.max)
        shape.scale = scale_of (values, count, shape.min);
    return shape;
}

/* A difference takes a byte at least: DELTA is not looked at where PACKED takes no more. */
static shape_t shape_of (const int64_t *values, size_t count, effort_t effort)
{
    if (effort == EFFORT_QUICK)
        return shape_of_span (values, count);
    shape_t shape = { .min = values[0], .max = values[0], .runs = 1, .scale = 1 };
    shape.delta_size = SIZE_MAX;
    if (count > 1 && ints_are_equal (values, count))
        return shape;
    for (size_t i = 1; i < count; i++) {
        int64_t value = values[i];
        shape.min = value < shape.min ? value : shape.min;
        shape.max = value > shape.max ? value : shape.max;
        shape.runs += value != values[i - 1];
        shape.step_bits += bit_width (zigzag ((uint64_t)value - (uint64_t)values[i - 1]));
    }
    shape.scale = scale_of (values, count, shape.min);
    if (effort == EFFORT_LOG && PACKED_HEAD + packed_size (count, packed_width (&shape)) > count)
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
uint64_t ints_inverse_of_odd (uint64_t odd)
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
    uint64_t inverse = ints_inverse_of_odd (shape->scale >> twos);
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
    ints_put (out, scratch->a, runs, scratch);
    ints_put (out, scratch->b, runs, scratch);
}

static void find_steps (const int64_t *values, size_t count, int64_t *steps)
{
    for (size_t i = 1; i < count; i++)
        steps[i - 1] = (int64_t)((uint64_t)values[i] - (uint64_t)values[i - 1]);
}

/* Of those that every block may have. */
static choice_t choose_plainly (const shape_t *shape, size_t count)
{
    if (shape->min == shape->max && count > 1)
        return (choice_t){ .encoding = ENCODING_CONSTANT, .size = 8 };
    choice_t best = { .encoding = ENCODING_PLAIN, .size = count * 8 };
    unsigned width = packed_width (shape);
    size_t packed = PACKED_HEAD + packed_size (count, width);
    if (width <= PACKED_WIDTH_MAX && packed < best.size)
        best = (choice_t){ .encoding = ENCODING_PACKED, .size = packed };
    if (shape->delta_size < best.size)
        best = (choice_t){ .encoding = ENCODING_DELTA, .size = shape->delta_size };
    return best;
}

/* Values on both sides of 0 lie around it, mostly. */
static tokens_form_t form_of (const shape_t *shape)
{
    int64_t scale = (int64_t)shape->scale;
    if (shape->min < 0 && shape->max > 0 && scale > 0 && shape->min % scale == 0)
        return (tokens_form_t){ .scale = shape->scale, .zigzag = true };
    return (tokens_form_t){ .base = shape->min, .scale = shape->scale };
}

/* What is read from tokens takes longer: it has to be worth it. */
static choice_t choose_leaf (const int64_t *values, size_t count, const shape_t *shape,
                             effort_t effort)
{
    choice_t best = choose_plainly (shape, count);
    if (effort != EFFORT_DENSE || best.encoding == ENCODING_CONSTANT || count < TOKENS_COUNT_MIN)
        return best;
    choice_t tokens = { .encoding = ENCODING_TOKENS, .form = form_of (shape) };
    if (!tokens_fit (shape->min, shape->max, &tokens.form))
        return best;
    tokens.size = tokens_estimate (values, count, &tokens.form);
    return tokens.size < best.size - best.size / 32 ? tokens : best;
}

/* Differences are looked at where they are shorter on average; they are in scratch->d then. */
static choice_t choose (const int64_t *values, size_t count, const shape_t *shape,
                        const scratch_t *scratch)
{
    choice_t best = choose_leaf (values, count, shape, scratch->effort);
    if (scratch->effort != EFFORT_DENSE || count < TOKENS_COUNT_MIN ||
        best.encoding == ENCODING_CONSTANT ||
        shape->step_bits / count + STEPS_WORTH_BITS >= best.size * 8 / count)
        return best;
    find_steps (values, count, scratch->d);
    shape_t steps_shape = shape_of_leaf (scratch->d, count - 1);
    choice_t steps = choose_leaf (scratch->d, count - 1, &steps_shape, EFFORT_DENSE);
    if (steps.size + 9 < best.size)
        best = (choice_t){ .encoding = ENCODING_STEPS, .size = steps.size + 9 };
    return best;
}

size_t ints_estimate (const int64_t *values, size_t count, const scratch_t *scratch)
{
    if (count == 0)
        return 0;
    shape_t shape = shape_of (values, count, scratch->effort);
    return choose (values, count, &shape, scratch).size;
}

static void put_leaf (buf_t *out, const int64_t *values, size_t count, const shape_t *shape,
                      const choice_t *choice, const scratch_t *scratch)
{
    if (choice->encoding == ENCODING_CONSTANT)
        buf_put_i64 (out, values[0]);
    else if (choice->encoding == ENCODING_DELTA)
        put_delta (out, values, count);
    else if (choice->encoding == ENCODING_PACKED)
        put_packed (out, values, count, shape);
    else if (choice->encoding == ENCODING_TOKENS)
        tokens_put (out, values, count, &choice->form, scratch->tokens);
    else
        buf_put (out, values, count * sizeof values[0]);
}

void ints_put_alone (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch)
{
    shape_t shape = { 0 };
    choice_t choice = { .encoding = ENCODING_PLAIN };
    if (count > 0) {
        shape = scratch->effort == EFFORT_DENSE ? shape_of_leaf (values, count)
                                                : shape_of (values, count, scratch->effort);
        choice = choose_leaf (values, count, &shape, scratch->effort);
    }
    buf_put_u8 (out, (uint8_t)choice.encoding);
    if (count > 0)
        put_leaf (out, values, count, &shape, &choice, scratch);
}

/* The first value, and the differences that are in scratch->d. */
static void put_steps (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch)
{
    buf_put_i64 (out, values[0]);
    ints_put_alone (out, scratch->d, count - 1, scratch);
}

/* Appends a dictionary when the values are few and it takes less than `most` bytes. */
static bool put_dictionary (buf_t *out, const int64_t *values, size_t count, size_t most,
                            const scratch_t *scratch)
{
    size_t limit = count / ROWS_PER_RANK < RANKS_MAX ? count / ROWS_PER_RANK : RANKS_MAX;
    size_t distinct = ranks_find (values, count, limit, scratch->a, scratch->b);
    if (distinct < 2)
        return false;
    shape_t shape = shape_of_leaf (scratch->a, count);
    choice_t choice = choose_leaf (scratch->a, count, &shape, EFFORT_DENSE);
    if (choice.size + distinct * sizeof (int64_t) >= most - most / 32)
        return false;
    buf_put_varint (out, distinct);
    buf_put_u8 (out, (uint8_t)choice.encoding);
    put_leaf (out, scratch->a, count, &shape, &choice, scratch);
    ints_put (out, scratch->b, distinct, scratch);
    return true;
}

static encoding_t encode (buf_t *out, const int64_t *values, size_t count, bool may_nest,
                          const scratch_t *scratch)
{
    if (count == 0)
        return ENCODING_PLAIN;
    shape_t shape = shape_of (values, count, scratch->effort);
    choice_t choice = choose (values, count, &shape, scratch);
    may_nest = may_nest && scratch->effort != EFFORT_QUICK;
    if (may_nest && choice.encoding != ENCODING_CONSTANT && shape.runs < count / 2) {
        size_t width = packed_width (&shape);
        /* lengths are small numbers: a byte each; values no worse than their full width */
        size_t estimate = 2 * PACKED_HEAD + shape.runs * (8 + width) / 8;
        if (estimate < choice.size) {
            put_runs (out, values, count, scratch);
            return ENCODING_RUNS;
        }
    }
    if (may_nest && scratch->effort == EFFORT_DENSE && choice.encoding != ENCODING_CONSTANT &&
        put_dictionary (out, values, count, choice.size, scratch))
        return ENCODING_DICTIONARY;
    if (choice.encoding == ENCODING_STEPS) {
        find_steps (values, count, scratch->d); /* what a dictionary tried may stand there */
        put_steps (out, values, count, scratch);
    } else {
        put_leaf (out, values, count, &shape, &choice, scratch);
    }
    return choice.encoding;
}

encoding_t ints_encode (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch)
{
    return encode (out, values, count, true, scratch);
}

void ints_put (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch)
{
    size_t at = out->size;
    buf_put_u8 (out, 0);
    encoding_t encoding = encode (out, values, count, false, scratch);
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

/* The number of a varint of up to eight bytes, least first, all others 0. */
static inline uint64_t number_of (uint64_t bytes)
{
    uint64_t sevens = bytes & UINT64_C (0x7f7f7f7f7f7f7f7f);
    sevens =
        (sevens & UINT64_C (0x007f007f007f007f)) | (sevens & UINT64_C (0x7f007f007f007f00)) >> 1;
    sevens =
        (sevens & UINT64_C (0x00003fff00003fff)) | (sevens & UINT64_C (0x3fff00003fff0000)) >> 2;
    return (sevens & UINT64_C (0x0fffffff)) | (sevens & UINT64_C (0x0fffffff00000000)) >> 4;
}

static inline uint64_t unzigzag (uint64_t coded)
{
    return (coded >> 1) ^ (0 - (coded & 1));
}

/* Two at a time, as long as there are both in eight bytes: without branches on how many each has,
 * which there is no telling of times. Returns how many were read. */
static size_t get_pairs (reader_t *in, int64_t *values, size_t count, uint64_t *before)
{
    const uint8_t *at = in->at;
    uint64_t value = *before;
    size_t i = 0;
    for (; i + 2 <= count && in->end - at >= 8; i += 2) {
        uint64_t bytes;
        memcpy (&bytes, at, sizeof bytes);
        uint64_t ends = ~bytes & UINT64_C (0x8080808080808080);
        uint64_t second = ends & (ends - 1);
        if (second == 0)
            break;
        unsigned first_bits = (unsigned)__builtin_ctzll (ends) + 1;
        unsigned bits = (unsigned)__builtin_ctzll (second) + 1;
        bytes &= UINT64_MAX >> (64 - bits);
        value += unzigzag (number_of (bytes & ((UINT64_C (1) << first_bits) - 1)));
        values[i] = (int64_t)value;
        value += unzigzag (number_of (bytes >> first_bits));
        values[i + 1] = (int64_t)value;
        at += bits / 8;
    }
    in->at = at;
    *before = value;
    return i;
}

static bool get_delta (reader_t *in, int64_t *values, size_t count)
{
    uint64_t before = 0;
    for (size_t i = 0; i < count;) {
        size_t pairs = get_pairs (in, values + i, count - i, &before);
        i += pairs;
        if (i == count)
            break;
        uint64_t coded = 0;
        unsigned shift = 0;
        uint8_t byte;
        do {
            if (in->at == in->end || shift > 63)
                return false;
            byte = *in->at++;
            if (shift == 63 && byte > 1)
                return false;
            coded |= (uint64_t)(byte & 0x7f) << shift;
            shift += 7;
        } while (byte >= 0x80);
        before += unzigzag (coded);
        values[i++] = (int64_t)before;
    }
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
    if (!ints_get (in, scratch->a, runs, scratch) || !ints_get (in, scratch->b, runs, scratch))
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

/* One of those that are made of no other sequence. */
static bool get_leaf (reader_t *in, encoding_t encoding, int64_t *values, size_t count,
                      const scratch_t *scratch)
{
    switch (encoding) {
    case ENCODING_PLAIN:
        return get_plain (in, values, count);
    case ENCODING_CONSTANT:
        return get_constant (in, values, count);
    case ENCODING_DELTA:
        return get_delta (in, values, count);
    case ENCODING_PACKED:
        return get_packed (in, values, count);
    case ENCODING_TOKENS:
        return tokens_get (in, values, count, scratch->tokens);
    default:
        return false;
    }
}

static bool get_steps (reader_t *in, int64_t *values, size_t count, const scratch_t *scratch)
{
    if (count == 0)
        return false;
    uint64_t value = reader_u64 (in);
    encoding_t encoding = (encoding_t)reader_u8 (in);
    if (in->bad || !get_leaf (in, encoding, values + 1, count - 1, scratch))
        return false;
    values[0] = (int64_t)value;
    for (size_t i = 1; i < count; i++) {
        value += (uint64_t)values[i];
        values[i] = (int64_t)value;
    }
    return true;
}

static bool get_dictionary (reader_t *in, int64_t *values, size_t count, const scratch_t *scratch)
{
    uint64_t distinct = reader_varint (in);
    if (in->bad || distinct > count || !ints_get (in, values, count, scratch) ||
        !ints_get (in, scratch->a, distinct, scratch))
        return false;
    const int64_t *of_rank = scratch->a;
    for (size_t i = 0; i < count; i++) {
        if ((uint64_t)values[i] >= distinct)
            return false;
        values[i] = of_rank[values[i]];
    }
    return true;
}

bool ints_decode (reader_t *in, encoding_t encoding, int64_t *values, size_t count,
                  const scratch_t *scratch)
{
    if (encoding == ENCODING_RUNS)
        return get_runs (in, values, count, scratch);
    if (encoding == ENCODING_DICTIONARY)
        return get_dictionary (in, values, count, scratch);
    if (encoding == ENCODING_STEPS)
        return get_steps (in, values, count, scratch);
    return get_leaf (in, encoding, values, count, scratch);
}

bool ints_get (reader_t *in, int64_t *values, size_t count, const scratch_t *scratch)
{
    encoding_t encoding = (encoding_t)reader_u8 (in);
    return !in->bad && encoding != ENCODING_RUNS && encoding != ENCODING_DICTIONARY &&
           ints_decode (in, encoding, values, count, scratch);
}
