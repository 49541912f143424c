/* log_writer.h - the file that a log's owner writes to, and its rotation. Private to the log.
 *
 * It is used by log_open, and then by one flush at a time, which may be in another thread. */
#ifndef WEIR_STORAGE_LOG_WRITER_H
#define WEIR_STORAGE_LOG_WRITER_H

#include "storage/log_chain.h"
#include "storage/log_cursor.h"

typedef struct log_writer {
    fs_t *fs;
    char *dir;
    char *name;
    log_identity_t identity; /* its name is `name` */
    uint64_t epoch;
    uint64_t segment_size;
    file_t *file; /* NULL before the first segment, and after a failure */
    log_segment_id_t id;
    uint64_t seed;
    uint64_t size;   /* bytes written */
    uint64_t synced; /* of these, bytes durable before the flush under way */
} log_writer_t;

log_writer_t *log_writer_new (fs_t *fs, const char *dir, const log_identity_t *identity,
                              uint64_t epoch, uint64_t segment_size);
void log_writer_destroy (log_writer_t **self_p);

/* Begins the segment with first offset `first` after `previous`, of which `previous_size` bytes
 * count (0: there is none). Records of `carry`, when it is not NULL, are copied into it up to
 * offset `end`: `carried` bytes. It gets its name when all of this is durable. */
MUST_CHECK status_t log_writer_begin (log_writer_t *self, uint64_t first, log_segment_id_t previous,
                                      uint64_t previous_size, log_cursor_t *carry, uint64_t end,
                                      uint64_t carried, error_t *error);

/* Seals, writes and syncs `size` bytes of encoded records, beginning segments as they fill, and one
 * with the record at offset `begins`; each is added to `begun`. After a failure the writer cannot
 * be used any more. */
MUST_CHECK status_t log_writer_flush (log_writer_t *self, uint8_t *records, size_t size,
                                      uint64_t begins, log_chain_t *begun, error_t *error);

#endif
