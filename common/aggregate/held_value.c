#include "aggregate/held_value.h"

#include "aggregate/partial.h"
#include "base/mem.h"

enum { STRING_CAPACITY_MIN = 32 };

bool held_value_is_type (type_t type)
{
    return type > TYPE_NONE && type < 32 && (AGGREGATE_ORDERED >> type & 1u) != 0;
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
    else
        value.i = self->i;
    return value;
}

void held_value_encode (type_t type, const held_value_t *self, buf_t *out)
{
    value_t value = held_value_get (type, self);
    if (type == TYPE_STRING)
        buf_put_text (out, value.s);
    else if (type == TYPE_FLOAT64)
        buf_put_f64 (out, value.f);
    else if (type == TYPE_BOOL)
        buf_put_u8 (out, value.i != 0);
    else
        buf_put_zigzag (out, value.i);
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
    } else if (type == TYPE_BOOL) {
        value.i = reader_u8 (reader);
        reader->bad = reader->bad || value.i > 1;
    } else {
        value.i = partial_read_zigzag (reader);
    }
    return value;
}
