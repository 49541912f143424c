/* key.h - entity keys as bytes.
 *
 * The fields of a key are encoded one after the other: a type byte (type_t), then for a string its
 * bytes with 0x00 written as 0x00 0xff and a final 0x00 0x00; for BOOL, INT64 and TIMESTAMP 8 bytes
 * big-endian with the sign bit flipped, for a decimal 16 such bytes; for FLOAT64 the IEEE bits
 * big-endian with the sign bit flipped when it was clear and all bits flipped when it was set. Keys
 * therefore sort as bytes in the order of value_compare, field by field, and no key is the
 * beginning of another. The key of a global stream (`key: []`) is empty.
 */
#ifndef WEIR_BASE_KEY_H
#define WEIR_BASE_KEY_H

#include "base/value.h"

enum {
    KEY_FIELDS_MAX = 8,
    KEY_SIZE_MAX = 1024, /* encoded bytes; a longer key is refused */
    KEY_STRING_MORE = 3, /* bytes of a string without zero bytes, beside its own */
    KEY_NUMBER_SIZE = 9, /* of a field that is a BOOL, INT64, TIMESTAMP or FLOAT64 */
};

/* Appends one field. It must not be null. */
void key_put (buf_t *out, const value_t *value);

/* The same for a field of KEY_NUMBER_SIZE into as many bytes, from a column's cell (a float's
 * bits), for keys that are made by the thousand. */
void key_put_number (uint8_t *out, type_t type, int64_t cell);

/* The same for a BOOL, INT64 or TIMESTAMP. */
static inline void key_put_integer (uint8_t *out, type_t type, int64_t cell)
{
    uint64_t bits = __builtin_bswap64 ((uint64_t)cell ^ UINT64_C (1) << 63);
    out[0] = (uint8_t)type;
    memcpy (out + 1, &bits, sizeof bits);
}

/* Is the key what key_put_integer puts? */
static inline bool key_is_integer (text_t key, type_t type, int64_t cell)
{
    uint64_t bits;
    if (key.size != KEY_NUMBER_SIZE || (uint8_t)key.data[0] != (uint8_t)type)
        return false;
    memcpy (&bits, key.data + 1, sizeof bits);
    return __builtin_bswap64 (bits) == ((uint64_t)cell ^ UINT64_C (1) << 63);
}

/* key_put_number for a string, into size + KEY_STRING_MORE bytes. False, with any bytes there: it
 * has a zero byte, which takes more. */
bool key_put_plain_string (uint8_t *out, text_t text);

/* Reads the fields of `key` into values[0..count). Strings are copied to `arena`. False when the
 * bytes are not the encoding of exactly `count` fields of `types`. */
bool key_get (text_t key, const type_t *types, size_t count, arena_t *arena, value_t *values);

/* Appends the fields of a key for people, commas between: strings as JSON has them. Bytes that are
 * no key end it with "?". */
void key_describe (text_t key, buf_t *out);

/* XXH3-64 of the bytes. The same on every node and for ever: it places keys. */
uint64_t key_hash (text_t key);

/* The partition of a hash, 0 to partitions - 1, from its high 32 bits (multiply-shift). */
uint32_t key_partition (uint64_t hash, uint32_t partitions);

#endif
