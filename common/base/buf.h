/* buf.h - a growing byte buffer with a stated maximum, and a bounds-checked reader.
 *
 * Both are sticky: after a write past the maximum, or a read past the end, the object stays `bad`
 * and later calls do nothing (reads give 0), so that a codec checks once at its end.
 * All integers are little-endian. */
#ifndef WEIR_BASE_BUF_H
#define WEIR_BASE_BUF_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t max; /* bytes */
    bool bad;   /* something did not fit below max */
} buf_t;

void buf_init (buf_t *buf, size_t max);
void buf_release (buf_t *buf); /* idempotent */
void buf_clear (buf_t *buf);   /* size 0, not bad; keeps the memory */

/* Puts a part of a size that is not known yet, as buf_put_text would: begin leaves one byte for the
 * size, which nearly always is enough, and returns where the part begins; end, given that, moves
 * the part if it is not. */
size_t buf_part_begin (buf_t *buf);
void buf_part_end (buf_t *buf, size_t part);

/* Room for `size` more bytes behind the last, of which buf_grew then takes as many as were filled;
 * or NULL when they do not fit below max, which does not make the buffer bad. */
uint8_t *buf_make_room (buf_t *buf, size_t size); /* when there is none yet */
static inline uint8_t *buf_room (buf_t *buf, size_t size)
{
    size_t most = buf->capacity < buf->max ? buf->capacity : buf->max;
    if (__builtin_expect (buf->bad || !buf->data || buf->size > most || size > most - buf->size, 0))
        return buf_make_room (buf, size);
    return buf->data + buf->size;
}
static inline void buf_grew (buf_t *buf, size_t size)
{
    buf->size += size;
}

enum { VARINT_SIZE_MAX = 10 };
/* LEB128, where there is room for it; returns where it ends. */
static inline uint8_t *varint_put (uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}
static inline uint64_t zigzag_of (int64_t value)
{
    return ((uint64_t)value << 1) ^ (0 - ((uint64_t)value >> 63));
}

static inline int64_t of_zigzag (uint64_t bits)
{
    return (int64_t)((bits >> 1) ^ (0 - (bits & 1)));
}

/* `size` more bytes to be filled by the caller, or NULL when they do not fit. */
uint8_t *buf_extend (buf_t *buf, size_t size);
void buf_put (buf_t *buf, const void *data, size_t size);
void buf_put_u8 (buf_t *buf, uint8_t value);
void buf_put_u16 (buf_t *buf, uint16_t value);
void buf_put_u32 (buf_t *buf, uint32_t value);
void buf_put_u64 (buf_t *buf, uint64_t value);
void buf_put_i64 (buf_t *buf, int64_t value);
void buf_put_f64 (buf_t *buf, double value);          /* the IEEE bits */
void buf_put_varint (buf_t *buf, uint64_t value);     /* LEB128 */
void buf_put_zigzag (buf_t *buf, int64_t value);      /* zigzag, then LEB128 */
void buf_put_text (buf_t *buf, text_t text);          /* varint size, then bytes */
void buf_put_string (buf_t *buf, const char *string); /* the bytes only, as buf_put */
void buf_printf (buf_t *buf, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

/* Ends with a NUL that is not counted in size, and returns the data as a string. */
const char *buf_string (buf_t *buf);

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad; /* something past the end, or not well formed, was asked for */
} reader_t;

reader_t reader_of (const void *data, size_t size);
size_t reader_left (const reader_t *reader);
const uint8_t *reader_bytes (reader_t *reader, size_t size); /* borrowed; NULL when bad */
uint8_t reader_u8 (reader_t *reader);
uint16_t reader_u16 (reader_t *reader);
uint32_t reader_u32 (reader_t *reader);
uint64_t reader_u64 (reader_t *reader);
int64_t reader_i64 (reader_t *reader);
double reader_f64 (reader_t *reader);
uint64_t reader_long_varint (reader_t *reader); /* refuses more than 10 bytes or bits past 64 */
static inline uint64_t reader_varint (reader_t *reader)
{
    if (__builtin_expect (!reader->bad && reader->at < reader->end && *reader->at < 0x80, 1))
        return *reader->at++;
    return reader_long_varint (reader);
}
int64_t reader_zigzag (reader_t *reader);
text_t reader_text (reader_t *reader); /* borrowed from the reader's bytes */

#endif
