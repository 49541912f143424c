#include "base/buf.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { CAPACITY_MIN = 64 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are copied as they are");

void buf_init (buf_t *buf, size_t max)
{
    *buf = (buf_t){ .max = max };
}

void buf_release (buf_t *buf)
{
    mem_free (buf->data);
    *buf = (buf_t){ .max = buf->max };
}

void buf_clear (buf_t *buf)
{
    buf->size = 0;
    buf->bad = false;
}

/* Makes room for `capacity` bytes in all, which may be max + 1: a final NUL is beside the limit. */
static void reserve (buf_t *buf, size_t capacity)
{
    if (capacity <= buf->capacity)
        return;
    size_t grown = buf->capacity > SIZE_MAX / 2 ? SIZE_MAX : 2 * buf->capacity;
    if (grown > buf->max)
        grown = buf->max;
    if (grown < capacity)
        grown = capacity;
    if (grown < CAPACITY_MIN)
        grown = CAPACITY_MIN;
    buf->data = mem_resize (buf->data, grown, 1);
    buf->capacity = grown;
}

static uint8_t *extend_slowly (buf_t *buf, size_t size)
{
    if (buf->bad || size > buf->max - buf->size) {
        buf->bad = true;
        return NULL;
    }
    if (size > buf->capacity - buf->size || !buf->data)
        reserve (buf, buf->size + size > 0 ? buf->size + size : 1);
    uint8_t *at = buf->data + buf->size;
    buf->size += size;
    return at;
}

/* The capacity is never over max + 1, but for a final NUL it may be that: max is looked at too. */
static inline uint8_t *extend (buf_t *buf, size_t size)
{
    size_t after = buf->size + size;
    if (__builtin_expect (
            buf->bad || !buf->data || after < size || after > buf->capacity || after > buf->max, 0))
        return extend_slowly (buf, size);
    uint8_t *at = buf->data + buf->size;
    buf->size = after;
    return at;
}

uint8_t *buf_make_room (buf_t *buf, size_t size)
{
    if (buf->bad || size > buf->max - buf->size)
        return NULL;
    if (!buf->data || size > buf->capacity - buf->size)
        reserve (buf, buf->size + size);
    return buf->data + buf->size;
}

uint8_t *buf_extend (buf_t *buf, size_t size)
{
    return extend (buf, size);
}

/* Inlined with a size that is known, the copy is one move. */
static inline void put (buf_t *buf, const void *data, size_t size)
{
    uint8_t *at = extend (buf, size);
    if (at && size > 0)
        memcpy (at, data, size);
}

void buf_put (buf_t *buf, const void *data, size_t size)
{
    put (buf, data, size);
}

void buf_put_u8 (buf_t *buf, uint8_t value)
{
    put (buf, &value, sizeof value);
}

void buf_put_u16 (buf_t *buf, uint16_t value)
{
    put (buf, &value, sizeof value);
}

void buf_put_u32 (buf_t *buf, uint32_t value)
{
    put (buf, &value, sizeof value);
}

void buf_put_u64 (buf_t *buf, uint64_t value)
{
    put (buf, &value, sizeof value);
}

void buf_put_i64 (buf_t *buf, int64_t value)
{
    put (buf, &value, sizeof value);
}

void buf_put_f64 (buf_t *buf, double value)
{
    put (buf, &value, sizeof value);
}

static size_t varint_bytes (uint64_t value, uint8_t bytes[VARINT_SIZE_MAX])
{
    return (size_t)(varint_put (bytes, value) - bytes);
}

void buf_put_varint (buf_t *buf, uint64_t value)
{
    uint8_t bytes[VARINT_SIZE_MAX] = { (uint8_t)value };
    if (value < 0x80)
        put (buf, bytes, 1);
    else
        buf_put (buf, bytes, varint_bytes (value, bytes));
}

size_t buf_part_begin (buf_t *buf)
{
    buf_put_u8 (buf, 0);
    return buf->size;
}

void buf_part_end (buf_t *buf, size_t part)
{
    if (buf->bad)
        return;
    uint8_t bytes[VARINT_SIZE_MAX];
    size_t size = buf->size - part;
    size_t more = varint_bytes (size, bytes) - 1;
    if (more > 0 && buf_extend (buf, more) == NULL)
        return;
    if (more > 0)
        memmove (buf->data + part + more, buf->data + part, size);
    memcpy (buf->data + part - 1, bytes, more + 1);
}

void buf_put_zigzag (buf_t *buf, int64_t value)
{
    buf_put_varint (buf, zigzag_of (value));
}

void buf_put_text (buf_t *buf, text_t text)
{
    buf_put_varint (buf, text.size);
    buf_put (buf, text.data, text.size);
}

void buf_put_string (buf_t *buf, const char *string)
{
    buf_put (buf, string, strlen (string));
}

void buf_printf (buf_t *buf, const char *format, ...)
{
    if (buf->bad)
        return;
    /* The first attempt goes straight to the room that is left; most texts fit there. */
    size_t room = buf->capacity - buf->size;
    char none[1];
    va_list args;
    va_start (args, format);
    int formatted = vsnprintf (room > 0 ? (char *)buf->data + buf->size : none, room, format, args);
    va_end (args);
    CHECK (formatted >= 0);
    size_t size = (size_t)formatted;
    if (size > buf->max - buf->size) {
        buf->bad = true;
        return;
    }
    if (size >= room) {
        reserve (buf, buf->size + size + 1);
        va_start (args, format);
        vsnprintf ((char *)buf->data + buf->size, size + 1, format, args);
        va_end (args);
    }
    buf->size += size;
}

const char *buf_string (buf_t *buf)
{
    reserve (buf, buf->size + 1);
    buf->data[buf->size] = '\0';
    return (const char *)buf->data;
}

reader_t reader_of (const void *data, size_t size)
{
    return (reader_t){ .at = data, .end = size > 0 ? (const uint8_t *)data + size : data };
}

size_t reader_left (const reader_t *reader)
{
    return reader->bad ? 0 : (size_t)(reader->end - reader->at);
}

static inline const uint8_t *bytes_of (reader_t *reader, size_t size)
{
    static const uint8_t nothing[1];
    if (reader->bad || size > (size_t)(reader->end - reader->at)) {
        reader->bad = true;
        return NULL;
    }
    if (size == 0)
        return reader->at ? reader->at : nothing;
    const uint8_t *at = reader->at;
    reader->at += size;
    return at;
}

const uint8_t *reader_bytes (reader_t *reader, size_t size)
{
    return bytes_of (reader, size);
}

/* Copies `size` bytes to `value`, which is left alone when they are not there. */
static inline void take (reader_t *reader, void *value, size_t size)
{
    const uint8_t *at = bytes_of (reader, size);
    if (at)
        memcpy (value, at, size);
}

uint8_t reader_u8 (reader_t *reader)
{
    uint8_t value = 0;
    take (reader, &value, sizeof value);
    return value;
}

uint16_t reader_u16 (reader_t *reader)
{
    uint16_t value = 0;
    take (reader, &value, sizeof value);
    return value;
}

uint32_t reader_u32 (reader_t *reader)
{
    uint32_t value = 0;
    take (reader, &value, sizeof value);
    return value;
}

uint64_t reader_u64 (reader_t *reader)
{
    uint64_t value = 0;
    take (reader, &value, sizeof value);
    return value;
}

int64_t reader_i64 (reader_t *reader)
{
    int64_t value = 0;
    take (reader, &value, sizeof value);
    return value;
}

double reader_f64 (reader_t *reader)
{
    double value = 0;
    take (reader, &value, sizeof value);
    return value;
}

uint64_t reader_long_varint (reader_t *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8 (reader);
        /* the tenth byte has room for one bit and no continuation */
        if (shift == 63 && byte > 1)
            reader->bad = true;
        if (reader->bad)
            return 0;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->bad = true;
    return 0;
}

int64_t reader_zigzag (reader_t *reader)
{
    return of_zigzag (reader_varint (reader));
}

text_t reader_text (reader_t *reader)
{
    uint64_t size = reader_varint (reader);
    if (size > UINT32_MAX)
        reader->bad = true;
    const uint8_t *at = bytes_of (reader, (size_t)size);
    return at ? (text_t){ (const char *)at, (uint32_t)size } : (text_t){ NULL, 0 };
}
