#include "block/texts.h"

#include "base/mem.h"
#include "block/ints.h"
#include "block/keys.h"

#include <xxhash.h>

/* ---- writing ---- */

/* The sizes, then the bytes of all. */
static void put_list (buf_t *out, const text_t *texts, size_t count, int64_t *sizes,
                      const scratch_t *scratch)
{
    for (size_t i = 0; i < count; i++)
        sizes[i] = texts[i].size;
    ints_put (out, sizes, count, scratch);
    for (size_t i = 0; i < count; i++)
        buf_put (out, texts[i].data, texts[i].size);
}

static size_t list_size (const text_t *texts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += texts[i].size + 1;
    return size;
}

/* Runs of equal texts: their lengths in scratch->a, the texts in scratch->texts. */
static size_t find_runs (const text_t *texts, size_t count, const scratch_t *scratch)
{
    size_t runs = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !text_equal (texts[i], texts[i - 1])) {
            scratch->a[runs] = 0;
            scratch->texts[runs++] = texts[i];
        }
        scratch->a[runs - 1]++;
    }
    return runs;
}

/* The distinct texts in scratch->texts, in the order in which they appear, and each row's number
 * among them in scratch->b. 0 when more than `limit` are distinct. */
static size_t find_distinct (const text_t *texts, size_t count, size_t limit,
                             const scratch_t *scratch)
{
    size_t slots = 64;
    while (slots < limit * 2)
        slots *= 2;
    uint32_t *table = mem_zero (slots, sizeof *table); /* number + 1, or 0 for a free slot */
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && text_equal (texts[i], texts[i - 1])) { /* as in sorted keys, mostly */
            scratch->b[i] = scratch->b[i - 1];
            continue;
        }
        size_t slot = XXH3_64bits (texts[i].data, texts[i].size) & (slots - 1);
        while (table[slot] != 0 && !text_equal (scratch->texts[table[slot] - 1], texts[i]))
            slot = (slot + 1) & (slots - 1);
        if (table[slot] == 0) {
            if (distinct == limit) {
                distinct = 0;
                break;
            }
            scratch->texts[distinct] = texts[i];
            table[slot] = (uint32_t)++distinct;
        }
        scratch->b[i] = table[slot] - 1;
    }
    mem_free (table);
    return distinct;
}

static size_t codes_size (size_t count, size_t distinct)
{
    size_t width = distinct < 2 ? 0 : 64 - (size_t)__builtin_clzll (distinct - 1);
    return count * width / 8 + 20;
}

encoding_t texts_encode (buf_t *out, const text_t *texts, size_t count, const scratch_t *scratch)
{
    if (count == 0)
        return ENCODING_PLAIN;
    size_t runs = find_runs (texts, count, scratch);
    if (runs == 1) {
        buf_put (out, texts[0].data, texts[0].size);
        return ENCODING_CONSTANT;
    }
    size_t plain = list_size (texts, count);
    size_t in_runs = list_size (scratch->texts, runs) + runs + 20;
    size_t limit = count / 2 < runs ? count / 2 : runs;
    size_t distinct = find_distinct (texts, count, limit, scratch);
    size_t coded = SIZE_MAX;
    if (distinct > 0)
        coded = list_size (scratch->texts, distinct) + codes_size (count, distinct);
    if (coded < plain && coded < in_runs) {
        buf_put_varint (out, distinct);
        ints_put (out, scratch->b, count, scratch);
        put_list (out, scratch->texts, distinct, scratch->a, scratch);
        return ENCODING_DICTIONARY;
    }
    if (in_runs < plain) {
        runs = find_runs (texts, count, scratch);
        buf_put_varint (out, runs);
        ints_put (out, scratch->a, runs, scratch);
        put_list (out, scratch->texts, runs, scratch->a, scratch);
        return ENCODING_RUNS;
    }
    put_list (out, texts, count, scratch->a, scratch);
    return ENCODING_PLAIN;
}

/* ---- reading ---- */

static bool get_list (reader_t *in, text_t *texts, size_t count, int64_t *sizes,
                      const scratch_t *scratch)
{
    if (!ints_get (in, sizes, count, scratch))
        return false;
    size_t left = reader_left (in);
    const char *at = (const char *)reader_bytes (in, left);
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] < 0 || (uint64_t)sizes[i] > left)
            return false;
        texts[i] = (text_t){ at, (uint32_t)sizes[i] };
        at += sizes[i];
        left -= (size_t)sizes[i];
    }
    return left == 0;
}

static bool get_constant (reader_t *in, text_t *texts, size_t count)
{
    size_t size = reader_left (in);
    const char *bytes = (const char *)reader_bytes (in, size);
    for (size_t i = 0; i < count; i++)
        texts[i] = (text_t){ bytes, (uint32_t)size };
    return count > 0;
}

static bool get_runs (reader_t *in, text_t *texts, size_t count, const scratch_t *scratch)
{
    uint64_t runs = reader_varint (in);
    if (in->bad || runs > count)
        return false;
    if (!ints_get (in, scratch->a, runs, scratch) ||
        !get_list (in, scratch->texts, runs, scratch->b, scratch))
        return false;
    size_t at = 0;
    for (size_t i = 0; i < runs; i++) {
        int64_t length = scratch->a[i];
        if (length < 1 || (uint64_t)length > count - at)
            return false;
        for (size_t end = at + (size_t)length; at < end; at++)
            texts[at] = scratch->texts[i];
    }
    return at == count;
}

static bool get_dictionary (reader_t *in, text_t *texts, size_t count, const scratch_t *scratch)
{
    uint64_t distinct = reader_varint (in);
    if (in->bad || distinct > count)
        return false;
    if (!ints_get (in, scratch->b, count, scratch) ||
        !get_list (in, scratch->texts, distinct, scratch->a, scratch))
        return false;
    for (size_t i = 0; i < count; i++) {
        if ((uint64_t)scratch->b[i] >= distinct)
            return false;
        texts[i] = scratch->texts[scratch->b[i]];
    }
    return true;
}

bool texts_decode (reader_t *in, encoding_t encoding, text_t *texts, size_t count,
                   const scratch_t *scratch)
{
    switch (encoding) {
    case ENCODING_PLAIN:
        if (count == 0)
            return reader_left (in) == 0;
        return get_list (in, texts, count, scratch->a, scratch);
    case ENCODING_CONSTANT:
        return get_constant (in, texts, count);
    case ENCODING_RUNS:
        return get_runs (in, texts, count, scratch);
    case ENCODING_DICTIONARY:
        return get_dictionary (in, texts, count, scratch);
    case ENCODING_NUMBERED:
        return keys_decode_numbered (in, texts, count, scratch);
    default:
        return false;
    }
}
