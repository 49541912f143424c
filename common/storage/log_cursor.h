/* log_cursor.h - one segment's records in order. Private to the log. */
#ifndef WEIR_STORAGE_LOG_CURSOR_H
#define WEIR_STORAGE_LOG_CURSOR_H

#include "storage/log_segment.h"

typedef struct log_cursor {
    fs_t *fs;
    file_t *file;
    char *path;
    uint64_t seed;
    uint64_t at;           /* byte of the next record */
    uint64_t offset;       /* that the next record must have */
    uint64_t limit;        /* bytes that count, or LOG_SEGMENT_OPEN */
    uint64_t begun;        /* bytes that were durable when the segment got its name */
    uint64_t flush;        /* byte where the flush of the last record read began */
    uint64_t flush_offset; /* its first offset, unless the cursor was placed */
    uint8_t *window;
    uint64_t window_at;
    size_t window_size;
    size_t window_capacity;
} log_cursor_t;

/* At the segment's first record. Release it also when this fails. */
MUST_CHECK status_t log_cursor_init (log_cursor_t *self, fs_t *fs, const char *dir,
                                     const log_identity_t *identity, log_segment_id_t id,
                                     uint64_t limit, error_t *error);
void log_cursor_release (log_cursor_t *self);

/* The next record, valid until the next call. END at the limit, or at the end of a file without
 * one; CORRUPT, staying in place, for bytes that are no record. */
MUST_CHECK status_t log_cursor_next (log_cursor_t *self, log_record_t *record, error_t *error);

/* Goes past records that end at or below `offset`, which the caller knows to be whole, by their
 * headers alone: by halves first, then from one to the next. It stops at what is no such header,
 * for log_cursor_next to say what that is. */
void log_cursor_skip (log_cursor_t *self, uint64_t offset);

/* The first byte in [from, to) at which a valid record's header stands; UINT64_MAX when there is
 * none, or it cannot be read. `from` is where a record could begin. */
uint64_t log_cursor_find (const log_cursor_t *self, uint64_t from, uint64_t to,
                          log_record_header_t *header);
/* Goes to a header that was found. */
void log_cursor_place (log_cursor_t *self, uint64_t at, const log_record_header_t *header);

/* After CORRUPT in a segment that is not fenced: OK when all from `at` on can be what a crash left
 * of one flush, else CORRUPT. */
MUST_CHECK status_t log_cursor_check_torn (log_cursor_t *self, error_t *error);

#endif
