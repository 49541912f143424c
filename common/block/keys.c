#include "block/keys.h"

#include "base/arena.h"
#include "block/ints.h"
#include "block/texts.h"

enum { NUMBER_BYTES_MAX = 8, PLACE_MAX = 255 };

size_t keys_find_starts (const text_t *keys, size_t rows, uint32_t *starts)
{
    size_t count = 0;
    for (size_t i = 0; i < rows; i = text_run_end (keys, i, rows))
        starts[count++] = (uint32_t)i;
    return count;
}

static size_t end_of (const scratch_t *scratch, size_t key, size_t count)
{
    return key + 1 < scratch->keys ? scratch->starts[key + 1] : count;
}

static inline uint64_t number_at (const char *bytes)
{
    uint64_t number;
    memcpy (&number, bytes, sizeof number);
    return __builtin_bswap64 (number);
}

/* The number that the last `size` bytes of a text are, 0 to 8. */
static inline uint64_t number_at_end (text_t text, size_t size)
{
    uint64_t number = 0;
    if (text.size >= sizeof number && size > 0)
        return number_at (text.data + text.size - sizeof number) << (64 - 8 * size) >>
               (64 - 8 * size);
    for (size_t i = text.size - size; i < text.size; i++)
        number = number << 8 | (uint8_t)text.data[i];
    return number;
}

/* ---- keys as numbers ---- */

static inline uint64_t word_at (const char *bytes)
{
    uint64_t word;
    memcpy (&word, bytes, sizeof word);
    return word;
}

/* common_prefix of keys of 8 to 16 bytes, as most are: two halves that overlap. */
static size_t common_prefix_of_halves (const text_t *keys, const scratch_t *scratch)
{
    text_t first = keys[0];
    size_t half = first.size - sizeof (uint64_t);
    uint64_t high = 0; /* bits in which any two differ */
    uint64_t low = 0;
    for (size_t key = 1; key < scratch->keys; key++) {
        text_t text = keys[scratch->starts[key]];
        if (text.size != first.size)
            return SIZE_MAX;
        high |= word_at (text.data) ^ word_at (first.data);
        low |= word_at (text.data + half) ^ word_at (first.data + half);
    }
    if (high != 0)
        return (size_t)__builtin_ctzll (high) / 8;
    return low != 0 ? half + (size_t)__builtin_ctzll (low) / 8 : first.size;
}

/* How many bytes all keys begin with, when all are of one size; else that size and more. */
static size_t common_prefix (const text_t *keys, const scratch_t *scratch)
{
    text_t first = keys[0];
    size_t common = first.size;
    if (common >= sizeof (uint64_t) && common <= 2 * sizeof (uint64_t))
        return common_prefix_of_halves (keys, scratch);
    for (size_t key = 1; key < scratch->keys; key++) {
        text_t text = keys[scratch->starts[key]];
        if (text.size != first.size)
            return SIZE_MAX;
        if (memcmp (text.data, first.data, common) == 0)
            continue;
        size_t same = 0;
        while (same < common && text.data[same] == first.data[same])
            same++;
        common = same;
    }
    return common;
}

encoding_t keys_encode (buf_t *out, const text_t *keys, size_t count, const scratch_t *scratch)
{
    size_t runs = scratch->keys;
    size_t prefix = runs > 1 ? common_prefix (keys, scratch) : SIZE_MAX;
    if (prefix == SIZE_MAX || keys[0].size - prefix > NUMBER_BYTES_MAX ||
        runs * keys[0].size > BLOCK_SIZE_MAX)
        return texts_encode (out, keys, count, scratch);
    size_t size = keys[0].size;
    for (size_t key = 0; key < runs; key++) {
        size_t start = scratch->starts[key];
        scratch->a[key] = (int64_t)(end_of (scratch, key, count) - start);
        scratch->b[key] = (int64_t)number_at_end (keys[start], size - prefix);
    }
    buf_put_varint (out, runs);
    ints_put (out, scratch->a, runs, scratch);
    buf_put_varint (out, size);
    buf_put_varint (out, prefix);
    buf_put (out, keys[0].data, prefix);
    ints_put (out, scratch->b, runs, scratch);
    return ENCODING_NUMBERED;
}

/* Numbers to the texts that end in them. False for a number that has more bytes. */
static bool write_texts (const int64_t *numbers, size_t count, text_t prefix, size_t size,
                         char *texts)
{
    size_t bytes = size - prefix.size;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = (uint64_t)numbers[i];
        if (bytes < sizeof number && number >> (8 * bytes) != 0)
            return false;
        memcpy (texts, prefix.data, prefix.size);
        for (size_t at = size; at > prefix.size; number >>= 8)
            texts[--at] = (char)(uint8_t)number;
        texts += size;
    }
    return true;
}

bool keys_decode_numbered (reader_t *in, text_t *texts, size_t count, const scratch_t *scratch)
{
    uint64_t runs = reader_varint (in);
    if (in->bad || runs > count || !ints_get (in, scratch->a, runs, scratch))
        return false;
    uint64_t size = reader_varint (in);
    uint64_t prefix = reader_varint (in);
    if (in->bad || size > KEY_SIZE_MAX || size * runs > BLOCK_SIZE_MAX || prefix >= size ||
        size - prefix > NUMBER_BYTES_MAX)
        return false;
    text_t first = { (const char *)reader_bytes (in, prefix), (uint32_t)prefix };
    if (in->bad || !ints_get (in, scratch->b, runs, scratch))
        return false;
    char *bytes = arena_alloc (scratch->arena, size * runs);
    if (!write_texts (scratch->b, runs, first, size, bytes))
        return false;
    size_t at = 0;
    for (size_t i = 0; i < runs; i++) {
        int64_t length = scratch->a[i];
        if (length < 1 || (uint64_t)length > count - at)
            return false;
        for (size_t end = at + (size_t)length; at < end; at++)
            texts[at] = (text_t){ bytes + i * size, (uint32_t)size };
    }
    return at == count;
}

/* ---- columns that are fields of the key ---- */

/* As base/key.h has it: a byte for the type, then 8 bytes of a number, or a string up to two zero
 * bytes. A string with a zero byte in it stands there otherwise, and is none of a key here. */
static bool number_of_key (text_t key, size_t place, type_t type, int64_t *value)
{
    if (key.size < place + KEY_NUMBER_SIZE || (uint8_t)key.data[place] != (uint8_t)type)
        return false;
    *value = (int64_t)(number_at (key.data + place + 1) ^ (UINT64_C (1) << 63));
    return true;
}

static bool string_of_key (text_t key, size_t place, text_t *value)
{
    if (key.size < place + 3 || (uint8_t)key.data[place] != TYPE_STRING)
        return false;
    const char *from = key.data + place + 1;
    const char *end = memchr (from, 0, key.size - place - 1);
    if (end == NULL || end + 1 == key.data + key.size || end[1] != 0)
        return false;
    *value = (text_t){ from, (uint32_t)(end - from) };
    return true;
}

static bool numbers_are_at (const int64_t *values, size_t count, type_t type, size_t place,
                            const scratch_t *scratch)
{
    for (size_t key = 0; key < scratch->keys; key++) {
        int64_t value;
        size_t i = scratch->starts[key];
        if (!number_of_key (scratch->key[i], place, type, &value))
            return false;
        for (; i < end_of (scratch, key, count); i++)
            if (values[i] != value)
                return false;
    }
    return true;
}

static bool strings_are_at (const text_t *values, size_t count, size_t place,
                            const scratch_t *scratch)
{
    for (size_t key = 0; key < scratch->keys; key++) {
        text_t value;
        size_t i = scratch->starts[key];
        if (!string_of_key (scratch->key[i], place, &value))
            return false;
        for (; i < end_of (scratch, key, count); i++)
            if (!text_equal (values[i], value))
                return false;
    }
    return true;
}

/* A place is found in the first key, in which few bytes are a type's. */
bool keys_put_field (buf_t *out, type_t type, const void *values, size_t count,
                     const scratch_t *scratch)
{
    if (scratch->keys == 0 || (type != TYPE_STRING && type != TYPE_INT64 && type != TYPE_TIMESTAMP))
        return false;
    size_t places = scratch->key[0].size;
    for (size_t place = 0; place < places && place <= PLACE_MAX; place++) {
        if ((uint8_t)scratch->key[0].data[place] != (uint8_t)type)
            continue;
        if (type == TYPE_STRING ? strings_are_at (values, count, place, scratch)
                                : numbers_are_at (values, count, type, place, scratch)) {
            buf_put_u8 (out, (uint8_t)place);
            return true;
        }
    }
    return false;
}

bool keys_get_field (reader_t *in, type_t type, void *values, size_t count,
                     const scratch_t *scratch)
{
    size_t place = reader_u8 (in);
    if (in->bad || scratch->keys == 0)
        return false;
    for (size_t key = 0; key < scratch->keys; key++) {
        size_t from = scratch->starts[key];
        size_t end = end_of (scratch, key, count);
        text_t text;
        int64_t number;
        if (type == TYPE_STRING) {
            if (!string_of_key (scratch->key[from], place, &text))
                return false;
            for (size_t i = from; i < end; i++)
                ((text_t *)values)[i] = text;
        } else {
            if (!number_of_key (scratch->key[from], place, type, &number))
                return false;
            for (size_t i = from; i < end; i++)
                ((int64_t *)values)[i] = number;
        }
    }
    return true;
}
