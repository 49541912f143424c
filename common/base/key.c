#include "base/key.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/number.h"
#include "base/timestamp.h"

#include <endian.h>
#include <xxhash.h>

enum { SHORT_STRING = 16 }; /* bytes that are copied one by one */

static const uint64_t sign_bit = UINT64_C (1) << 63;

/* Bits that sort as unsigned integers in the order of the floats. */
static uint64_t bits_of_float (double value)
{
    uint64_t bits;
    memcpy (&bits, &value, sizeof bits);
    return bits & sign_bit ? ~bits : bits | sign_bit;
}

static double float_of_bits (uint64_t bits)
{
    double value;
    bits = bits & sign_bit ? bits & ~sign_bit : ~bits;
    memcpy (&value, &bits, sizeof value);
    return value;
}

static void put_bits (buf_t *out, uint64_t bits)
{
    uint64_t big_endian = htobe64 (bits);
    buf_put (out, &big_endian, sizeof big_endian);
}

static void put_string (buf_t *out, text_t text)
{
    static const uint8_t escaped_zero[] = { 0x00, 0xff };
    static const uint8_t end[] = { 0x00, 0x00 };
    while (text.size > 0) {
        const char *zero = memchr (text.data, 0, text.size);
        uint32_t run = zero ? (uint32_t)(zero - text.data) : text.size;
        buf_put (out, text.data, run);
        if (zero)
            buf_put (out, escaped_zero, sizeof escaped_zero);
        run += zero != NULL;
        text = (text_t){ text.data + run, text.size - run };
    }
    buf_put (out, end, sizeof end);
}

void key_put_number (uint8_t *out, type_t type, int64_t cell)
{
    uint64_t bits = (uint64_t)cell ^ sign_bit;
    if (type == TYPE_FLOAT64) {
        double value;
        memcpy (&value, &cell, sizeof value);
        bits = bits_of_float (value_float (value));
    }
    bits = htobe64 (bits);
    out[0] = (uint8_t)type;
    memcpy (out + 1, &bits, sizeof bits);
}

bool key_put_plain_string (uint8_t *out, text_t text)
{
    bool zero = false;
    *out++ = TYPE_STRING;
    if (text.size <= SHORT_STRING) {
        for (uint32_t i = 0; i < text.size; i++) {
            out[i] = (uint8_t)text.data[i];
            zero |= text.data[i] == 0;
        }
    } else {
        zero = memchr (text.data, 0, text.size) != NULL;
        memcpy (out, text.data, text.size);
    }
    out[text.size] = 0;
    out[text.size + 1] = 0;
    return !zero;
}

void key_put (buf_t *out, const value_t *value)
{
    uint8_t number[KEY_NUMBER_SIZE];
    CHECK (!value->null);
    switch (type_family (value->type)) {
    case TYPE_BOOL:
    case TYPE_INT64:
    case TYPE_TIMESTAMP:
    case TYPE_FLOAT64:
        key_put_number (number, value->type, value->i);
        buf_put (out, number, sizeof number);
        break;
    case TYPE_DECIMAL:
        CHECK (type_is_decimal (value->type));
        buf_put_u8 (out, (uint8_t)value->type);
        put_bits (out, (uint64_t)(value->d >> 64) ^ sign_bit);
        put_bits (out, (uint64_t)value->d);
        break;
    case TYPE_STRING:
        buf_put_u8 (out, (uint8_t)value->type);
        put_string (out, value->s);
        break;
    case TYPE_NONE:
    case TYPE_DURATION:
    case TYPE_LIST:
    case TYPE_MAP:
        CHECK (type_is_field (value->type));
    }
}

/* Reads up to the final 0x00 0x00. False when it is missing or an escape is wrong. */
static bool get_string (reader_t *in, arena_t *arena, text_t *text)
{
    /* Decoding never makes it longer. */
    char *copy = arena_alloc (arena, reader_left (in) + 1);
    uint32_t size = 0;
    while (!in->bad) {
        uint8_t byte = reader_u8 (in);
        if (byte == 0) {
            uint8_t next = reader_u8 (in);
            if (in->bad || (next != 0x00 && next != 0xff))
                return false;
            if (next == 0x00) {
                *text = (text_t){ copy, size };
                return true;
            }
        }
        copy[size++] = (char)byte;
    }
    return false;
}

static bool get_field (reader_t *in, type_t type, arena_t *arena, value_t *value)
{
    *value = (value_t){ .type = type };
    if (reader_u8 (in) != type)
        return false;
    if (type == TYPE_STRING)
        return get_string (in, arena, &value->s);
    uint64_t bits = be64toh (reader_u64 (in));
    if (in->bad)
        return false;
    if (type == TYPE_FLOAT64) {
        value->f = float_of_bits (bits);
        /* -0.0 and the other NaNs are not what key_put writes */
        return bits_of_float (value_float (value->f)) == bits;
    }
    if (type_is_decimal (type)) {
        uint128_t high = bits ^ sign_bit;
        value->d = (int128_t)(high << 64 | be64toh (reader_u64 (in)));
        return !in->bad && decimal_fits (value->d);
    }
    value->i = (int64_t)(bits ^ sign_bit);
    return type != TYPE_BOOL || value->i == 0 || value->i == 1;
}

bool key_get (text_t key, const type_t *types, size_t count, arena_t *arena, value_t *values)
{
    reader_t in = reader_of (key.data, key.size);
    for (size_t i = 0; i < count; i++) {
        if (!get_field (&in, types[i], arena, &values[i]))
            return false;
    }
    return reader_left (&in) == 0 && !in.bad;
}

uint64_t key_hash (text_t key)
{
    return XXH3_64bits (key.data, key.size);
}

uint32_t key_partition (uint64_t hash, uint32_t partitions)
{
    CHECK (partitions > 0);
    return (uint32_t)(((hash >> 32) * partitions) >> 32);
}

/* ---- for people ---- */

/* The bytes of the first field, its type among them; 0 when there is no whole one. */
static uint32_t field_size (text_t key)
{
    type_t type = (type_t)(uint8_t)key.data[0];
    uint32_t size = type_is_decimal (type) ? 17 : 9;
    if (type == TYPE_STRING) {
        for (size = 1; size + 1 < key.size; size += key.data[size] == 0 ? 2 : 1)
            if (key.data[size] == 0 && key.data[size + 1] == 0)
                return size + 2;
        return 0;
    }
    return type_is_field (type) && size <= key.size ? size : 0;
}

static void describe_value (const value_t *value, buf_t *out)
{
    switch (type_family (value->type)) {
    case TYPE_STRING:
        number_format_json_string (out, value->s);
        break;
    case TYPE_FLOAT64:
        number_format_float (out, value->f);
        break;
    case TYPE_TIMESTAMP:
        time_format (out, value->i);
        break;
    case TYPE_DECIMAL:
        decimal_format (out, value->d, type_scale (value->type));
        break;
    case TYPE_BOOL:
        buf_put_string (out, value->i ? "true" : "false");
        break;
    default:
        buf_printf (out, "%lld", (long long)value->i);
    }
}

void key_describe (text_t key, buf_t *out)
{
    arena_t *arena = arena_new (KEY_SIZE_MAX + 64);
    for (bool first = true; key.size > 0; first = false) {
        uint32_t size = field_size (key);
        type_t type = (type_t)(uint8_t)key.data[0];
        value_t value;
        if (!first)
            buf_put_string (out, ",");
        if (size == 0 || !key_get ((text_t){ key.data, size }, &type, 1, arena, &value)) {
            buf_put_string (out, "?");
            break;
        }
        describe_value (&value, out);
        key = (text_t){ key.data + size, key.size - size };
    }
    arena_destroy (&arena);
}
