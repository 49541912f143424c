#include "block/column.h"

#include "base/check.h"
#include "base/decimal.h"
#include "block/ints.h"
#include "block/keys.h"
#include "block/texts.h"

#include <math.h>

enum { SCALED_POWER_MAX = 9 };

static const double powers_of_ten[SCALED_POWER_MAX + 1] = { 1e0, 1e1, 1e2, 1e3, 1e4,
                                                            1e5, 1e6, 1e7, 1e8, 1e9 };

#define EXACT_INTEGER_MAX 9007199254740992.0 /* 2^53 */
#define NAN_BITS          INT64_C (0x7ff8000000000000)

static int64_t bits_of (double value)
{
    int64_t bits;
    memcpy (&bits, &value, sizeof bits);
    return bits;
}

static double from_bits (int64_t bits)
{
    double value;
    memcpy (&value, &bits, sizeof value);
    return value;
}

/* ---- bitmaps ---- */

static void put_bitmap (buf_t *out, const uint8_t *bytes, size_t count)
{
    uint8_t *at = buf_extend (out, (count + 7) / 8);
    if (at == NULL)
        return;
    memset (at, 0, (count + 7) / 8);
    for (size_t i = 0; i < count; i++)
        at[i / 8] = (uint8_t)(at[i / 8] | ((bytes[i] != 0) << (i % 8)));
}

/* Bits to bytes of 0 or 1, and how many are 1. False at a short input or set bits past the last. */
static bool get_bitmap (reader_t *in, uint8_t *bytes, size_t count, size_t *ones)
{
    const uint8_t *at = reader_bytes (in, (count + 7) / 8);
    if (at == NULL)
        return false;
    *ones = 0;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (at[i / 8] >> (i % 8)) & 1;
        *ones += bytes[i];
    }
    return count % 8 == 0 || at[count / 8] >> (count % 8) == 0;
}

/* ---- bools ---- */

static encoding_t bools_encode (buf_t *out, const int64_t *values, size_t count,
                                const scratch_t *scratch)
{
    uint8_t *bytes = (uint8_t *)scratch->a;
    size_t ones = 0;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = values[i] != 0;
        ones += bytes[i];
    }
    if (count == 0)
        return ENCODING_PLAIN;
    if (ones == 0 || ones == count) {
        buf_put_u8 (out, ones == count);
        return ENCODING_CONSTANT;
    }
    put_bitmap (out, bytes, count);
    return ENCODING_BITMAP;
}

static bool bools_decode (reader_t *in, encoding_t encoding, int64_t *values, size_t count,
                          const scratch_t *scratch)
{
    uint8_t *bytes = (uint8_t *)scratch->a;
    if (encoding == ENCODING_PLAIN)
        return count == 0;
    if (encoding == ENCODING_CONSTANT) {
        uint8_t value = reader_u8 (in);
        for (size_t i = 0; i < count; i++)
            values[i] = value;
        return value <= 1;
    }
    size_t ones;
    if (encoding != ENCODING_BITMAP || !get_bitmap (in, bytes, count, &ones))
        return false;
    for (size_t i = 0; i < count; i++)
        values[i] = bytes[i];
    return true;
}

/* ---- floats ---- */

/* The value as an integer over 10^power when that gives back the same bits. */
static bool scaled_of (int64_t bits, unsigned power, int64_t *scaled)
{
    double product = from_bits (bits) * powers_of_ten[power];
    if (!(fabs (product) < EXACT_INTEGER_MAX))
        return false;
    *scaled = llrint (product);
    return bits_of ((double)*scaled / powers_of_ten[power]) == bits;
}

/* Numbers with a few decimals, as most amounts are, become integers. A power that a value needs
 * does for all values before it as well, unless they leave 2^53. */
static bool find_scale (const int64_t *bits, size_t count, int64_t *scaled, unsigned *power_p)
{
    unsigned power = 0;
    size_t again = 0; /* values that were scaled by a lower power */
    for (size_t i = 0; i < count; i++)
        while (!scaled_of (bits[i], power, &scaled[i])) {
            if (power++ == SCALED_POWER_MAX)
                return false;
            again = i;
        }
    *power_p = power;
    for (size_t i = 0; i < again; i++)
        if (!scaled_of (bits[i], power, &scaled[i]))
            return false;
    return true;
}

/* `bits` is scratch->c. */
static encoding_t floats_encode (buf_t *out, const int64_t *bits, size_t count,
                                 const scratch_t *scratch)
{
    size_t start = out->size;
    unsigned power;
    if (count > 1 && find_scale (bits, count, scratch->a, &power)) {
        buf_put_u8 (out, (uint8_t)power);
        ints_put (out, scratch->a, count, scratch);
        if (!out->bad && out->size - start < count * 6)
            return ENCODING_SCALED;
        if (!out->bad)
            out->size = start;
    }
    return ints_encode (out, bits, count, scratch);
}

static bool floats_decode (reader_t *in, encoding_t encoding, double *values, size_t count,
                           const scratch_t *scratch)
{
    if (encoding == ENCODING_SCALED) {
        unsigned power = reader_u8 (in);
        if (power > SCALED_POWER_MAX || !ints_get (in, scratch->c, count, scratch))
            return false;
        const int64_t *scaled = scratch->c; /* which no store of the loop changes */
        double divisor = powers_of_ten[power];
        for (size_t i = 0; i < count; i++)
            values[i] = (double)scaled[i] / divisor;
        return true;
    }
    if (!ints_decode (in, encoding, scratch->c, count, scratch))
        return false;
    bool canonical = true;
    for (size_t i = 0; i < count; i++) {
        values[i] = from_bits (scratch->c[i]);
        canonical &=
            scratch->c[i] != INT64_MIN && (!isnan (values[i]) || scratch->c[i] == NAN_BITS);
    }
    return canonical;
}

/* ---- times ---- */

/* `values` are neither scratch->a nor b, and of all rows. Times that follow the event time, as the
 * field that it is read from and most ingest times do, are stored as the distance to it. */
static encoding_t times_encode (buf_t *out, const int64_t *values, size_t count,
                                const scratch_t *scratch)
{
    for (size_t i = 0; i < count; i++)
        scratch->a[i] = (int64_t)((uint64_t)values[i] - (uint64_t)scratch->event_time[i]);
    /* nothing is smaller than one distance for more than a few rows */
    bool one = count > sizeof (int64_t) && ints_are_equal (scratch->a, count) &&
               !ints_are_equal (values, count);
    bool looks = scratch->effort != EFFORT_QUICK;
    if (!one && (!looks || ints_estimate (scratch->a, count, scratch) >=
                               ints_estimate (values, count, scratch)))
        return ints_encode (out, values, count, scratch);
    ints_put (out, scratch->a, count, scratch);
    return ENCODING_FROM_TIME;
}

static bool times_decode (reader_t *in, int64_t *values, size_t count, const scratch_t *scratch)
{
    const int64_t *event_time = scratch->event_time;
    if (reader_left (in) == 1 + sizeof (int64_t) && *in->at == ENCODING_CONSTANT) {
        (void)reader_u8 (in); /* as for most ingest times: one pass is enough */
        uint64_t distance = reader_u64 (in);
        for (size_t i = 0; i < count; i++)
            values[i] = (int64_t)((uint64_t)event_time[i] + distance);
        return true;
    }
    if (!ints_get (in, values, count, scratch))
        return false;
    for (size_t i = 0; i < count; i++)
        values[i] = (int64_t)((uint64_t)values[i] + (uint64_t)event_time[i]);
    return true;
}

/* ---- decimals ---- */

/* What is not null as int64s in scratch->c when all are; else as high halves in scratch->b and low
 * halves in scratch->c. */
static size_t gather_decimals (const column_t *column, const uint8_t *valid, size_t from, size_t to,
                               const scratch_t *scratch, bool *wide)
{
    size_t count = 0;
    *wide = false;
    for (size_t i = from; i < to; i++) {
        if (valid != NULL && valid[i] == 0)
            continue;
        int128_t value = column->d[i];
        *wide |= value != (int64_t)value;
        scratch->b[count] = (int64_t)(value >> 64);
        scratch->c[count++] = (int64_t)value;
    }
    return count;
}

static encoding_t decimals_encode (buf_t *out, const column_t *column, const uint8_t *valid,
                                   size_t from, size_t to, const scratch_t *scratch)
{
    bool wide;
    size_t count = gather_decimals (column, valid, from, to, scratch, &wide);
    if (!wide)
        return ints_encode (out, scratch->c, count, scratch);
    ints_put (out, scratch->b, count, scratch);
    ints_put (out, scratch->c, count, scratch);
    return ENCODING_WIDE;
}

static bool decimals_decode (reader_t *in, encoding_t encoding, unscaled_t *values, size_t count,
                             const scratch_t *scratch)
{
    if (encoding != ENCODING_WIDE) {
        if (!ints_decode (in, encoding, scratch->c, count, scratch))
            return false;
        for (size_t i = 0; i < count; i++)
            values[i] = scratch->c[i];
        return true;
    }
    if (!ints_get (in, scratch->b, count, scratch) || !ints_get (in, scratch->c, count, scratch))
        return false;
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        values[i] = (int128_t)((uint128_t)(int128_t)scratch->b[i] << 64 | (uint64_t)scratch->c[i]);
        fits &= decimal_fits (values[i]);
    }
    return fits;
}

/* ---- columns ---- */

/* What is stored of a float, as value_float says. */
static inline int64_t stored_bits (double value)
{
    if (isnan (value))
        return NAN_BITS;
    return value == 0 ? 0 : bits_of (value);
}

/* What is not null, one after the other: where it is, or in scratch->c. */
static const int64_t *gather_numbers (const column_t *column, const uint8_t *valid, size_t from,
                                      size_t to, const scratch_t *scratch, size_t *count_p)
{
    size_t count = 0;
    *count_p = to - from;
    if (valid == NULL && column->type != TYPE_FLOAT64)
        return column->i + from;
    for (size_t i = from; i < to; i++)
        if (valid == NULL || valid[i] != 0)
            scratch->c[count++] =
                column->type == TYPE_FLOAT64 ? stored_bits (column->f[i]) : column->i[i];
    *count_p = count;
    return scratch->c;
}

static encoding_t strings_encode (buf_t *out, const column_t *column, const uint8_t *valid,
                                  size_t from, size_t to, const scratch_t *scratch)
{
    if (valid == NULL && keys_put_field (out, TYPE_STRING, column->s + from, to - from, scratch))
        return ENCODING_OF_KEY;
    if (valid == NULL)
        return texts_encode (out, column->s + from, to - from, scratch);
    text_t *texts = scratch->texts + (to - from); /* the second half */
    size_t count = 0;
    for (size_t i = from; i < to; i++)
        if (valid[i] != 0)
            texts[count++] = column->s[i];
    return texts_encode (out, texts, count, scratch);
}

void column_encode (buf_t *out, const column_t *column, size_t from, size_t to,
                    const scratch_t *scratch, column_entry_t *entry)
{
    *entry = (column_entry_t){ .type = (uint8_t)column->type };
    const uint8_t *valid = column->valid;
    if (valid != NULL && memchr (valid + from, 0, to - from) == NULL)
        valid = NULL;
    if (valid != NULL) {
        entry->flags |= COLUMN_FLAG_NULLS;
        put_bitmap (out, valid + from, to - from);
    }
    encoding_t encoding;
    if (column->type == TYPE_STRING) {
        encoding = strings_encode (out, column, valid, from, to, scratch);
    } else if (type_is_decimal (column->type)) {
        encoding = decimals_encode (out, column, valid, from, to, scratch);
    } else {
        size_t count;
        const int64_t *values = gather_numbers (column, valid, from, to, scratch, &count);
        if (column->type == TYPE_BOOL)
            encoding = bools_encode (out, values, count, scratch);
        else if (column->type == TYPE_FLOAT64)
            encoding = floats_encode (out, values, count, scratch);
        else if (valid == NULL && keys_put_field (out, column->type, values, count, scratch))
            encoding = ENCODING_OF_KEY;
        else if (column->type == TYPE_TIMESTAMP && valid == NULL && scratch->event_time != NULL)
            encoding = times_encode (out, values, count, scratch);
        else
            encoding = ints_encode (out, values, count, scratch);
    }
    entry->encoding = (uint8_t)encoding;
}

/* Moves the `count` values at the beginning of the column to the rows where they belong. */
static void spread (column_t *column, size_t rows, size_t count)
{
    for (size_t i = rows; i-- > 0;) {
        bool here = column->valid[i] != 0;
        count -= here;
        if (column->type == TYPE_STRING)
            column->s[i] = here ? column->s[count] : (text_t){ NULL, 0 };
        else if (type_is_decimal (column->type))
            column->d[i] = here ? column->d[count] : 0;
        else
            column->i[i] = here ? column->i[count] : 0; /* a float's 0 has the same bits */
    }
}

static bool column_is_of_key (type_t type)
{
    return type == TYPE_STRING || type == TYPE_INT64 || type == TYPE_TIMESTAMP;
}

bool column_decode (reader_t *in, const column_entry_t *entry, size_t rows,
                    const scratch_t *scratch, column_t *column)
{
    size_t count = rows;
    encoding_t encoding = (encoding_t)entry->encoding;
    if ((entry->flags & COLUMN_FLAG_NULLS) == 0)
        memset (column->valid, 1, rows);
    else if (!get_bitmap (in, column->valid, rows, &count))
        return false;
    if (count == 0 && encoding != ENCODING_PLAIN)
        return false;
    bool good;
    if (encoding == ENCODING_OF_KEY)
        good = count == rows && column_is_of_key (column->type) &&
               keys_get_field (in, column->type, column->data, count, scratch);
    else if (column->type == TYPE_STRING)
        good = texts_decode (in, encoding, column->s, count, scratch);
    else if (type_is_decimal (column->type))
        good = decimals_decode (in, encoding, column->d, count, scratch);
    else if (column->type == TYPE_BOOL)
        good = bools_decode (in, encoding, column->i, count, scratch);
    else if (column->type == TYPE_FLOAT64)
        good = floats_decode (in, encoding, column->f, count, scratch);
    else if (encoding == ENCODING_FROM_TIME)
        good = column->type == TYPE_TIMESTAMP && count == rows && scratch->event_time != NULL &&
               times_decode (in, column->i, count, scratch);
    else
        good = ints_decode (in, encoding, column->i, count, scratch);
    if (!good || in->bad || reader_left (in) > 0)
        return false;
    if (count < rows)
        spread (column, rows, count);
    return true;
}
