#include "block/keyed.h"

#include "block/ints.h"
#include "block/trend.h"

enum { KNOT_BITS = 12 }; /* that a knot takes, about */

static size_t end_of (const scratch_t *scratch, size_t key, size_t count)
{
    return key + 1 < scratch->keys ? scratch->starts[key + 1] : count;
}

/* ---- steps within keys ---- */

/* Each value less the one before, and the first one of a key less `base`, the least of them. False
 * when values fall within a key. */
static bool find_steps (const int64_t *values, size_t count, const scratch_t *scratch,
                        int64_t *base, int64_t *steps)
{
    *base = values[0];
    for (size_t key = 1; key < scratch->keys; key++) {
        int64_t first = values[scratch->starts[key]];
        *base = first < *base ? first : *base;
    }
    for (size_t key = 0; key < scratch->keys; key++) {
        int64_t before = *base;
        for (size_t i = scratch->starts[key]; i < end_of (scratch, key, count); i++) {
            if (values[i] < before)
                return false;
            steps[i] = (int64_t)((uint64_t)values[i] - (uint64_t)before);
            before = values[i];
        }
    }
    return true;
}

encoding_t keyed_times_encode (buf_t *out, const int64_t *values, size_t count,
                               const scratch_t *scratch)
{
    int64_t base;
    if (scratch->effort != EFFORT_DENSE || scratch->keys == 0 ||
        !find_steps (values, count, scratch, &base, scratch->a))
        return ints_encode (out, values, count, scratch);
    buf_put_i64 (out, base);
    ints_put_alone (out, scratch->a, count, scratch);
    return ENCODING_KEY_STEPS;
}

static bool get_steps (reader_t *in, int64_t *values, size_t count, const scratch_t *scratch)
{
    uint64_t base = reader_u64 (in);
    if (in->bad || scratch->keys == 0 || !ints_get (in, values, count, scratch))
        return false;
    for (size_t key = 0; key < scratch->keys; key++) {
        uint64_t value = base;
        size_t end = end_of (scratch, key, count);
        for (size_t i = scratch->starts[key]; i < end; i++) {
            value += (uint64_t)values[i];
            values[i] = (int64_t)value;
        }
    }
    return true;
}

/* ---- trends ---- */

static void put_trend (buf_t *out, const trend_t *trend, const int64_t *off, size_t count,
                       const scratch_t *scratch)
{
    buf_put_u8 (out, (uint8_t)trend->shift);
    buf_put_varint (out, trend->knots);
    ints_put (out, trend->knot, trend->knots, scratch);
    ints_put_alone (out, off, count, scratch);
}

static bool get_trend (reader_t *in, const int64_t *times, int64_t *values, size_t count,
                       const scratch_t *scratch)
{
    trend_t trend;
    trend.shift = reader_u8 (in);
    uint64_t knots = reader_varint (in);
    if (in->bad || times == NULL || knots < 2 || knots > TREND_KNOTS_MAX || knots > count)
        return false;
    trend.knots = knots;
    if (!trend_fits (&trend, times, count) || !ints_get (in, trend.knot, knots, scratch) ||
        !ints_get (in, values, count, scratch))
        return false;
    trend_give (&trend, times, count, values);
    return true;
}

/* ---- positions ---- */

static unsigned bits_of (uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll (value);
}

/* Bits of all, each by itself with its sign: what they take when they are told by their sizes is
 * this and about as much for all. */
static size_t bits_of_all (const int64_t *values, size_t count)
{
    size_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits += bits_of (((uint64_t)values[i] << 1) ^ (0 - ((uint64_t)values[i] >> 63)));
    return bits;
}

static size_t bits_of_span (const int64_t *values, size_t count)
{
    int64_t least = values[0];
    int64_t most = values[0];
    for (size_t i = 1; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    return count * bits_of ((uint64_t)most - (uint64_t)least);
}

encoding_t keyed_positions_encode (buf_t *out, const int64_t *values, const int64_t *times,
                                   size_t count, const scratch_t *scratch)
{
    int64_t *off = scratch->b;
    int64_t *steps = scratch->c;
    int64_t base = 0;
    if (count == 0 || ints_are_equal (values, count))
        return ints_encode (out, values, count, scratch);
    size_t best = bits_of_span (values, count);
    encoding_t encoding = ENCODING_PLAIN;
    if (scratch->keys > 0 && find_steps (values, count, scratch, &base, steps) &&
        bits_of_all (steps, count) < best) {
        best = bits_of_all (steps, count);
        encoding = ENCODING_KEY_STEPS;
    }
    trend_t trend;
    if (trend_find (&trend, times, values, count)) {
        trend_take (&trend, times, values, count, off);
        if (bits_of_all (off, count) + trend.knots * KNOT_BITS < best)
            encoding = ENCODING_TREND;
    }
    if (encoding == ENCODING_PLAIN)
        return ints_encode (out, values, count, scratch);
    if (encoding == ENCODING_TREND) {
        put_trend (out, &trend, off, count, scratch);
    } else {
        buf_put_i64 (out, base);
        ints_put_alone (out, steps, count, scratch);
    }
    return encoding;
}

bool keyed_decode (reader_t *in, encoding_t encoding, const int64_t *times, int64_t *values,
                   size_t count, const scratch_t *scratch)
{
    if (encoding == ENCODING_KEY_STEPS)
        return get_steps (in, values, count, scratch);
    if (encoding == ENCODING_TREND)
        return get_trend (in, times, values, count, scratch);
    return ints_decode (in, encoding, values, count, scratch);
}
