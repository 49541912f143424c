/* partial.h - the numbers that partials are made of, in their one canonical form.
 *
 * A canonical varint is LEB128 (7 bits a byte, least first, the high bit on all bytes but the last)
 * whose last byte is not 0 unless it is the only one. Signed numbers are zigzag first: 0, -1, 1, -2
 * become 0, 1, 2, 3. All readers are sticky as in base/buf.h: what is not canonical makes the
 * reader bad. */
#ifndef WEIR_AGGREGATE_PARTIAL_H
#define WEIR_AGGREGATE_PARTIAL_H

#include "base/buf.h"
#include "base/value.h"

#include <stdbool.h>
#include <stdint.h>

/* Rows that a state can hold; a partial of more is refused. */
#define STATE_ROWS_MAX ((uint64_t)INT64_MAX)

/* The slow path of partial_read_varint: any size. */
uint64_t partial_read_long_varint (reader_t *reader);

/* The next varint; bad when it is not canonical. */
static inline uint64_t partial_read_varint (reader_t *reader)
{
    if (!reader->bad && reader->at < reader->end && *reader->at < 0x80)
        return *reader->at++;
    return partial_read_long_varint (reader);
}

/* The next zigzag varint; bad when it is not canonical. */
int64_t partial_read_zigzag (reader_t *reader);

/* A signed number of 128 bits as a zigzag varint of up to 19 bytes, and back. */
void partial_put_int128 (buf_t *out, int128_t value);
enum { INT128_SIZE_MAX = 19 };
uint8_t *partial_int128_put (uint8_t *to, int128_t value); /* where there is room; its end */
int128_t partial_read_int128 (reader_t *reader);

/* Adds `more` rows to `rows`; false, with rows unchanged, past STATE_ROWS_MAX. */
static inline bool rows_add (uint64_t *rows, uint64_t more)
{
    if (more > STATE_ROWS_MAX - *rows)
        return false;
    *rows += more;
    return true;
}

/* The sum modulo 2^128. Only made-up partials can wrap it, and they must not trap. */
static inline int128_t int128_add (int128_t a, int128_t b)
{
    return (int128_t)((uint128_t)a + (uint128_t)b);
}

#endif
