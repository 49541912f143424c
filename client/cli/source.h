/* source.h - the file of rows that a command reads: a path or stdin, CSV or NDJSON. */
#ifndef WEIR_CLI_SOURCE_H
#define WEIR_CLI_SOURCE_H

#include "intake/intake.h"

#include <stdio.h>

typedef struct source {
    int fd;
    const char *path; /* "-" is stdin */
    text_format_t format;
    uint8_t *data; /* of the size below; what was read and not yet taken is in [at, size) */
    size_t at;
    size_t size;
    bool ended;
    uint64_t bytes; /* read so far */
    uint64_t total; /* 0 when not known */
    /* What to do before a read that may block; NULL: nothing. */
    status_t (*idle) (void *arg, error_t *error);
    void *idle_arg;
    bool is_live; /* what a pipe gave is a table when it is quiet, and not only when it is full */
} source_t;

enum { SOURCE_CHUNK = 1 << 18 };

/* `format` is "csv", "ndjson" or NULL: by the path's ending, and else by the first byte. INVALID of
 * a file that is packed, or Parquet, with what to do. */
MUST_CHECK status_t source_open (source_t *source, const char *path, const char *format,
                                 error_t *error);
void source_close (source_t *source);

/* Reads more, once what was read is taken: size stays `at` at the end of the input. CANCELLED when
 * interrupt_came while a pipe was quiet. */
MUST_CHECK status_t source_fill (source_t *source, error_t *error);

/* Feeds `reader` until it has a table, *bad_row is set (INVALID), or the input ends (END). Where a
 * batch ends is by chance of a source that is live. */
MUST_CHECK status_t source_table (source_t *source, text_reader_t *reader, raw_table_t *table,
                                  uint64_t *first_row, uint64_t *bad_row, error_t *error);

const char *format_word (text_format_t format);

/* A reason without the number of the row at its beginning, which is told before it. */
const char *reason_in_row (uint64_t row, const char *reason);

#endif
