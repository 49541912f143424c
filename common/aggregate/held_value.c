#include "aggregate/held_value.h"

#include "aggregate/partial.h"
#include "base/check.h"
#include "base/decimal.h"
#include "base/key.h"
#include "base/mem.h"

enum {
    STRING_CAPACITY_MIN = 32,
    KEY_BYTES_MAX = 2 + 2 * STRING_VALUE_MAX + 2, /* an encoded value (base/key.h) */
};

bool held_value_is_type (type_t type)
{
    return type_is_field (type) && (AGGREGATE_ORDERED & type_bit (type)) != 0;
}

void held_value_init (held_value_t *self)
{
    memset (self, 0, sizeof *self);
}

void held_value_release (type_t type, held_value_t *self)
{
    if (type == TYPE_STRING)
        mem_free (self->s.data);
    held_value_init (self);
}

value_t held_value_form (const value_t *value)
{
    value_t form = *value;
    if (form.type == TYPE_FLOAT64) {
        form.f = value_float (form.f);
    } else if (form.type == TYPE_STRING && form.s.size > STRING_VALUE_MAX) {
        uint32_t size = STRING_VALUE_MAX;
        while (size > 0 && ((unsigned char)form.s.data[size] & 0xc0) == 0x80)
            size--;
        form.s.size = size;
    }
    return form;
}

uint64_t held_value_hash (const value_t *value)
{
    uint8_t bytes[KEY_BYTES_MAX];
    bool is_long = value->type == TYPE_STRING && value->s.size > STRING_VALUE_MAX;
    buf_t key = { .data = bytes, .capacity = sizeof bytes, .max = sizeof bytes };
    if (is_long)
        buf_init (&key, 4 + 2 * (size_t)value->s.size);
    value_t form = *value;
    if (form.type == TYPE_FLOAT64)
        form.f = value_float (form.f);
    key_put (&key, &form);
    CHECK (!key.bad);
    uint64_t hash = key_hash ((text_t){ (const char *)key.data, (uint32_t)key.size });
    if (is_long)
        buf_release (&key);
    return hash;
}

void held_value_set (held_value_t *self, const value_t *value)
{
    if (value->type == TYPE_STRING) {
        uint32_t size = value->s.size;
        if (size > self->s.capacity) {
            uint32_t capacity = size > STRING_CAPACITY_MIN ? size : STRING_CAPACITY_MIN;
            self->s.data = mem_resize (self->s.data, capacity, 1);
            self->s.capacity = capacity;
        }
        if (size > 0)
            memcpy (self->s.data, value->s.data, size);
        self->s.size = size;
    } else if (value->type == TYPE_FLOAT64) {
        self->f = value->f;
    } else if (type_is_decimal (value->type)) {
        self->d = value->d;
    } else {
        self->i = value->i;
    }
}

value_t held_value_get (type_t type, const held_value_t *self)
{
    value_t value = { .type = type };
    if (type == TYPE_STRING)
        value.s = (text_t){ self->s.data, self->s.size };
    else if (type == TYPE_FLOAT64)
        value.f = self->f;
    else if (type_is_decimal (type))
        value.d = self->d;
    else
        value.i = self->i;
    return value;
}

void held_value_encode (type_t type, const held_value_t *self, buf_t *out)
{
    value_t value = held_value_get (type, self);
    held_value_put (&value, out);
}

void held_value_put (const value_t *value, buf_t *out)
{
    if (value->type == TYPE_STRING)
        buf_put_text (out, value->s);
    else if (value->type == TYPE_FLOAT64)
        buf_put_f64 (out, value->f);
    else if (type_is_decimal (value->type))
        partial_put_int128 (out, value->d);
    else if (value->type == TYPE_BOOL)
        buf_put_u8 (out, value->i != 0);
    else
        buf_put_zigzag (out, value->i);
}

static uint32_t varint_size (uint64_t number)
{
    return number == 0 ? 1 : (uint32_t)(63 - __builtin_clzll (number)) / 7 + 1;
}

/* Of partial_put_int128. */
static uint32_t int128_size (int128_t number)
{
    uint128_t raw = (uint128_t)number << 1 ^ (number < 0 ? ~(uint128_t)0 : 0);
    uint32_t size = 1;
    for (; raw >= 0x80; raw >>= 7)
        size++;
    return size;
}

uint32_t held_value_size (const value_t *value)
{
    if (value->type == TYPE_STRING)
        return varint_size (value->s.size) + value->s.size;
    if (value->type == TYPE_FLOAT64)
        return sizeof value->f;
    if (value->type == TYPE_BOOL)
        return 1;
    if (type_is_decimal (value->type))
        return int128_size (value->d);
    return varint_size ((uint64_t)value->i << 1 ^ (value->i < 0 ? UINT64_MAX : 0));
}

uint32_t held_value_size_max (type_t type)
{
    return type == TYPE_STRING      ? 2 + STRING_VALUE_MAX
           : type == TYPE_FLOAT64   ? 8
           : type_is_decimal (type) ? 19
                                    : 10;
}

static bool is_stored_form (double value)
{
    double form = value_float (value);
    return memcmp (&form, &value, sizeof form) == 0;
}

value_t held_value_read (type_t type, reader_t *reader)
{
    value_t value = { .type = type };
    if (type == TYPE_STRING) {
        uint64_t size = partial_read_varint (reader);
        const uint8_t *bytes =
            size <= STRING_VALUE_MAX ? reader_bytes (reader, (size_t)size) : NULL;
        if (size > STRING_VALUE_MAX)
            reader->bad = true;
        else
            value.s = (text_t){ (const char *)bytes, (uint32_t)size };
    } else if (type == TYPE_FLOAT64) {
        value.f = reader_f64 (reader);
        reader->bad = reader->bad || !is_stored_form (value.f);
    } else if (type_is_decimal (type)) {
        value.d = partial_read_int128 (reader);
        reader->bad = reader->bad || !decimal_fits (value.d);
    } else if (type == TYPE_BOOL) {
        value.i = reader_u8 (reader);
        reader->bad = reader->bad || value.i > 1;
    } else {
        value.i = partial_read_zigzag (reader);
    }
    return value;
}
