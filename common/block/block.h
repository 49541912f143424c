/* block.h - a batch of events as one checksummed, columnar, compressed piece of bytes.
 *
 * The log's records and the runs' pieces are blocks. The format is described in docs/formats.md. A
 * block tells its own types, so that it is read without the stream's definition. */
#ifndef WEIR_BLOCK_BLOCK_H
#define WEIR_BLOCK_BLOCK_H

#include "base/key.h"
#include "base/status.h"
#include "base/value.h"

enum {
    BLOCK_VERSION = 1,
    BLOCK_ROWS_MAX = 65536,
    BLOCK_COLUMNS_MAX = 256,
    BLOCK_SIZE_MAX = 16 << 20, /* bytes of a block; its column bodies before they are packed too */
    BLOCK_CELLS_MAX = BLOCK_SIZE_MAX / 8,        /* rows * columns */
    BLOCK_WANTED_WORDS = BLOCK_COLUMNS_MAX / 64, /* enough for any set of wanted columns */
};

/* What a block says of itself before any column is read. */
typedef struct block_header {
    size_t size; /* bytes of the whole block */
    uint32_t rows;
    uint32_t columns; /* the stream's columns; times, position and key are not counted */
    bool has_keys;
    int64_t min_time; /* event time, µs; 0 when there are no rows */
    int64_t max_time;
    text_t first_key; /* of the first and last row; borrowed; empty without keys */
    text_t last_key;
    uint8_t type[BLOCK_COLUMNS_MAX]; /* type_t of each column */
} block_header_t;

/* Appends rows [from, to) of `batch` to `out` as one block. A batch whose `key` is NULL makes a
 * block without keys. Columns have a field's type (not NONE or DURATION); a column's `valid` may be
 * NULL, which is all valid; what stands in a null cell does not matter. Floats are stored as
 * value_float gives them.
 *
 * TOO_LARGE when the rows go over a limit above or `out` has no room: split the rows and try again.
 * INVALID for an event time outside 1970 to 9999 or a key over KEY_SIZE_MAX. On an error `out` has
 * the size that it had; it may be `bad` if its own maximum was the limit. */
MUST_CHECK status_t block_encode (const batch_t *batch, size_t from, size_t to, buf_t *out,
                                  error_t *error);

/* The same in fewer bytes, for blocks that are kept: with encodings that take longer to find and to
 * read, and zstd in place of LZ4. */
MUST_CHECK status_t block_encode_dense (const batch_t *batch, size_t from, size_t to, buf_t *out,
                                        error_t *error);

/* The same in the least time, for blocks that are soon written anew: integers are packed in as many
 * bits as the largest of them takes. */
MUST_CHECK status_t block_encode_quick (const batch_t *batch, size_t from, size_t to, buf_t *out,
                                        error_t *error);

/* Reads one whole block of exactly `size` bytes into a batch that lives in `arena` (`data` may go
 * afterwards).
 *
 * `wanted` is a bit set over the stream's columns, bit c % 64 of word c / 64, with a word for every
 * 64 columns begun; NULL is all. A column that is not wanted has type TYPE_NONE, valid NULL and
 * data NULL, and costs nothing; batch->columns counts it all the same. event_time, ingest_time,
 * offset and row are always there. key is NULL when the block was written without keys.
 *
 * CORRUPT when the checksum or anything in the structure is wrong, VERSION for another version. The
 * batch is untouched on an error; the arena may have grown by no more than a good block of the
 * limits above would have made it. */
MUST_CHECK status_t block_decode (const void *data, size_t size, arena_t *arena,
                                  const uint64_t *wanted, batch_t *batch, error_t *error);

/* Parts of rows that a reader can do without: they are not decoded then, and NULL in the batch. */
enum {
    BLOCK_LEAVE_INGEST_TIME = 1,
    BLOCK_LEAVE_POSITION = 2, /* offset and row */
};

/* As block_decode, without what `leave` has bits of. */
MUST_CHECK status_t block_decode_some (const void *data, size_t size, arena_t *arena,
                                       const uint64_t *wanted, unsigned leave, batch_t *batch,
                                       error_t *error);

/* Reads the header of the block that `data` begins with; `size` may be more than the block, and may
 * be less as long as it holds the header. It checks the header's structure, but no checksum:
 * block_decode does. CORRUPT, VERSION. */
MUST_CHECK status_t block_header_read (const void *data, size_t size, block_header_t *header,
                                       error_t *error);

/* The checksum that stands in a block of `size` bytes (at least 8), as it is. */
uint64_t block_checksum (const void *data, size_t size);

/* Puts column `column` into a bit set for block_decode. */
static inline void block_want (uint64_t *wanted, size_t column)
{
    wanted[column / 64] |= UINT64_C (1) << (column % 64);
}

#endif
