/* log_check.h - everything that is in a log's directory, looked at whole: for weir fsck and
 * backups.
 *
 * Where an owner stops at the first damage, this goes on behind it and says what is lost. */
#ifndef WEIR_STORAGE_LOG_CHECK_H
#define WEIR_STORAGE_LOG_CHECK_H

#include "storage/log.h"

/* Damaged bytes, and the offsets that they may have held. */
typedef struct log_damage {
    status_t
        status; /* CORRUPT, IO, INVALID (another log's), VERSION, NOT_FOUND (it is not there) */
    const char *path;
    uint64_t byte;  /* where it begins … */
    uint64_t bytes; /* … and how far it goes; 0: to the end of the file */
    const char *what;
    uint64_t from; /* offsets [from, to) cannot be read; equal: none */
    uint64_t to;   /* UINT64_MAX: and what may have come after */
} log_damage_t;

/* What is called while it is read; any may be NULL. Everything is borrowed for the call. */
typedef struct log_watch {
    /* A segment that counts begins; `size` bytes of it count (of the last, as many as there are).
     */
    void (*segment) (void *arg, const char *path, uint64_t size);
    /* A valid record, in the order of offsets. */
    void (*record) (void *arg, const char *path, uint64_t byte, const log_record_t *record);
    void (*damage) (void *arg, const log_damage_t *damage);
    /* A file that does not count: a segment that no header leads to, or one that was not finished.
     */
    void (*unused) (void *arg, const char *path);
    void *arg;
} log_watch_t;

typedef struct log_extent {
    bool exists;    /* there is a segment */
    uint64_t start; /* offsets [start, end), damage apart */
    uint64_t end;
    uint64_t epoch; /* of the newest segment */
    size_t segments;
    uint64_t damages;
    char before[64]; /* name of the segment that came before the first one and is not there; "" when
                        the log begins at offset 0 */
} log_extent_t;

/* Reads all of the log. With `live` it may be written, trimmed and taken over meanwhile. Fails only
 * when the directory cannot be listed. A log without a directory is one without a segment. */
MUST_CHECK status_t log_check (fs_t *fs, const char *dir, const log_identity_t *identity, bool live,
                               const log_watch_t *watch, log_extent_t *extent, error_t *error);

/* A segment's part in the log at this moment. */
typedef struct log_piece {
    char name[64];
    uint64_t size; /* bytes that count; of the last one, those of whole records */
    bool last;     /* it may be growing */
} log_piece_t;

/* The segments that are the log now, oldest first, for copying: `pieces` is the caller's to free.
 * The last one is read, to find where its whole records end. NOT_FOUND (and to be tried again) when
 * the log was trimmed meanwhile. */
MUST_CHECK status_t log_pieces (fs_t *fs, const char *dir, const log_identity_t *identity,
                                log_piece_t **pieces, size_t *count, error_t *error);

#endif
