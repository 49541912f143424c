/* log_segment.h - segment files: names, headers and records as bytes.
 * Private to the log; docs/formats.md is the contract. */
#ifndef WEIR_STORAGE_LOG_SEGMENT_H
#define WEIR_STORAGE_LOG_SEGMENT_H

#include "storage/log.h"

enum {
    LOG_SEGMENT_VERSION = 2,
    LOG_SEGMENT_HEADER = 512, /* bytes; one sector */
    LOG_RECORD_HEADER = 56,   /* bytes */
    LOG_RECORD_ALIGNMENT = 8, /* of a record's place in the file */
    LOG_SEGMENT_NAME = 36,    /* 20 digits, "-", 10 digits, ".seg", NUL */
};

_Static_assert(LOG_RECORD_OVERHEAD == LOG_RECORD_HEADER + LOG_RECORD_ALIGNMENT - 1, "overhead");

#define LOG_SEGMENT_OPEN UINT64_MAX /* the size that counts of a segment that is not fenced */

typedef struct log_segment_id {
    uint64_t first; /* offset */
    uint64_t epoch;
} log_segment_id_t;

typedef struct log_segment_header {
    log_segment_id_t id;
    log_segment_id_t previous;
    uint64_t previous_size; /* bytes of the previous segment that count; 0: there is none */
    uint64_t begun;         /* bytes that were durable when the segment got its name */
} log_segment_header_t;

void log_segment_name (log_segment_id_t id, char name[LOG_SEGMENT_NAME]);
/* False when `name` is not exactly what log_segment_name makes. */
bool log_segment_parse_name (const char *name, log_segment_id_t *id);

/* `dir`/name, with ".tmp" after it when `temporary`; the caller frees. */
char *log_segment_path (const char *dir, log_segment_id_t id, bool temporary);

/* The header's bytes, and the seed that every record of the segment is hashed with. */
void log_segment_encode (const log_identity_t *identity, const log_segment_header_t *header,
                         uint8_t bytes[LOG_SEGMENT_HEADER], uint64_t *seed);
/* Checks everything that can be checked in one header. The message does not name the file. */
MUST_CHECK status_t log_segment_decode (const uint8_t bytes[LOG_SEGMENT_HEADER],
                                        const log_identity_t *identity, log_segment_id_t id,
                                        log_segment_header_t *header, uint64_t *seed,
                                        error_t *error);
/* Opens a segment for reading and decodes its header. */
MUST_CHECK status_t log_segment_open (fs_t *fs, const char *dir, const log_identity_t *identity,
                                      log_segment_id_t id, file_t **file,
                                      log_segment_header_t *header, uint64_t *seed, error_t *error);

/* Bytes that a record with `size` bytes of payload takes in the file. */
uint64_t log_record_extent (uint32_t size);
/* Writes a record without what depends on its place to log_record_extent bytes. */
void log_record_encode (const log_record_t *record, uint8_t *bytes);
/* Payload size and first offset of an encoded record. */
uint32_t log_record_size (const uint8_t *bytes);
uint64_t log_record_offset (const uint8_t *bytes);
/* Fills in the rest: it goes at byte `at` of the segment with `seed`, of which the first `synced`
 * bytes are durable. Returns its extent. */
uint64_t log_record_seal (uint8_t *bytes, uint64_t seed, uint64_t at, uint64_t synced);

/* What a record's header says. */
typedef struct log_record_header {
    log_record_t record; /* without payload; the kind may be unknown */
    uint64_t synced;
    uint64_t payload_hash;
} log_record_header_t;

/* Do these LOG_RECORD_HEADER bytes, which stand at byte `at`, hold a record's header? */
bool log_record_decode (const uint8_t *bytes, uint64_t seed, uint64_t at,
                        log_record_header_t *header);

/* The hash that log_record_seal stores of a payload. */
uint64_t log_record_hash (const uint8_t *payload, uint32_t size, uint64_t seed, uint64_t at);

#endif
