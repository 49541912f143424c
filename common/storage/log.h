/* log.h - the embedded log: one partition's records, durably ordered, in segment files.
 *
 * A log is a directory that is written by one owner at a time, under a lease whose epoch only ever
 * grows, and read by any number of readers. Payloads are opaque here. docs/formats.md has the
 * format.
 *
 * A record takes one offset or more; offsets are contiguous from 0. What is appended counts once a
 * flush has made it durable, and nobody may be told of it, or read it, before. A failed flush ends
 * ownership: what reached the disk is not known any more, and only a new owner with a new epoch can
 * find out.
 *
 * A new owner scans what is there and starts a segment of its own, whose header says where the
 * segment before it ends. That is the fence: whatever an earlier owner still writes is after that
 * place, or in segments that no header leads to, and is never read.
 *
 * What is found damaged is a torn tail, and is dropped, only when it can be what a crash left of
 * the last flush; every record says how far the file was durable when it was written, so damage
 * below that is CORRUPT. (Rot in the last flush before an unclean end cannot be told from a torn
 * one.) log_start does not say what ought to be there: who knows that an offset is still needed
 * compares it with log_start. */
#ifndef WEIR_STORAGE_LOG_H
#define WEIR_STORAGE_LOG_H

#include "base/env.h"
#include "base/fs.h"
#include "base/status.h"
#include "base/text.h"

#include <stdint.h>

enum {
    LOG_PAYLOAD_MAX = 16 << 20,  /* bytes */
    LOG_NAME_MAX = 255,          /* bytes of an identity's name */
    LOG_SEGMENTS_MAX = 1 << 16,  /* segment files in a directory */
    LOG_RECORD_OVERHEAD = 56 + 7 /* most bytes that a record takes beside its payload */
};

#define LOG_EPOCH_MAX UINT64_C (9999999999) /* ten digits in a file's name */

/* The numbers are stored: never renumber. name, number, word */
#define LOG_KIND_TABLE(X)                                                                          \
    X (EVENTS, 1, "events")                                                                        \
    X (CUT, 2, "cut")                                                                              \
    X (LOAD_COMMIT, 3, "load-commit")                                                              \
    X (UNLOAD, 4, "unload")                                                                        \
    X (DEFINITION, 5, "definition")                                                                \
    X (FORGET, 6, "forget")                                                                        \
    X (FORWARD_MARK, 7, "forward-mark")

typedef enum log_kind {
#define X(name, number, word) LOG_KIND_##name = number,
    LOG_KIND_TABLE (X)
#undef X
} log_kind_t;

/* The kind's word (static), NULL when there is no such kind. */
const char *log_kind_word (log_kind_t kind);

/* Whose log it is. Stands in every segment; a log of another identity is refused. */
typedef struct log_identity {
    uint64_t cluster;
    const char *name; /* "payments.user_id"; at most LOG_NAME_MAX bytes */
    uint32_t partition;
} log_identity_t;

typedef struct log_limits {
    uint64_t segment_size; /* bytes after which a new segment is begun; 0 is 64 MiB. One record may
                              go past it */
    uint64_t pending_max;  /* bytes appended but not yet in a flush; 0 is 32 MiB. One record always
                              fits */
} log_limits_t;

typedef struct log_record {
    log_kind_t kind;
    uint32_t count;      /* offsets that it takes, from `offset` */
    uint64_t offset;     /* of the first */
    int64_t ingest_time; /* µs */
    const uint8_t *payload;
    uint32_t size; /* bytes of payload */
} log_record_t;

/* ---- the owner ---- */

typedef struct log log_t;
typedef struct log_flush log_flush_t;
typedef struct log_trim log_trim_t;

/* Becomes the owner under `epoch` (1 to LOG_EPOCH_MAX, higher than that of any owner before).
 * Makes the directory when it is missing, verifies every record, and begins a segment; records of
 * the last flush of the owner before, whose sync cannot be vouched for, are copied into it. Blocks:
 * call it from a job. `limits` may be NULL. `fs` must outlive the log.
 *
 * FENCED when a segment of this epoch or a higher one exists; CORRUPT, naming file and byte, when
 * stored records are damaged; VERSION for another format; INVALID for another log's files. */
MUST_CHECK status_t log_open (fs_t *fs, const char *dir, const log_identity_t *identity,
                              uint64_t epoch, const log_limits_t *limits, log_t **log,
                              error_t *error);

/* Frees; pending records are lost. A flush or trim that is under way goes on, and frees itself by
 * its job's discard. */
void log_destroy (log_t **self_p);

/* Puts a record at the end. `count` (1 or more) is the number of offsets it takes: the events of an
 * EVENTS record, 1 for any other and for one without events. The payload is copied. Nothing is
 * durable before a flush. BUSY when pending_max would be passed, TOO_LARGE for a payload over
 * LOG_PAYLOAD_MAX, and once the log has failed the status it failed with. */
MUST_CHECK status_t log_append (log_t *self, log_kind_t kind, const void *payload, size_t size,
                                uint32_t count, int64_t ingest_time, uint64_t *offset,
                                error_t *error);

/* The next record that is appended begins a segment, unless it is the first of one anyhow: so that
 * all that stands before it goes with a trim up to there. Of several in one flush, the last does.
 */
void log_begin_segment (log_t *self);

/* Takes everything pending into a flush, or returns NULL when nothing is pending, a flush is under
 * way or the log has failed. The flush is the caller's until log_flush_end; its job (whose lane the
 * caller sets) writes and syncs, in any thread, and touches nothing of the log. One at a time:
 * what is appended meanwhile goes with the next, which is the group commit. */
log_flush_t *log_flush_begin (log_t *self);
job_t *log_flush_job (log_flush_t *flush);

/* Takes back a flush whose job has run. OK: log_durable is now at its end. Otherwise the log has
 * failed for good. */
MUST_CHECK status_t log_flush_end (log_t *self, log_flush_t **flush_p, error_t *error);

uint64_t log_start (const log_t *self);   /* the first offset that is kept */
uint64_t log_durable (const log_t *self); /* one past the last durable offset */
uint64_t log_end (const log_t *self);     /* one past the last appended offset */
size_t log_memory (const log_t *self);    /* bytes of its buffers */
uint64_t log_pending (const log_t *self); /* bytes that wait for a flush to begin */
bool log_failed (const log_t *self);

/* Removes the segments that hold nothing at or above `below`, oldest first, each removal durable
 * before the next, so that a crash leaves a log that starts later; and files of earlier owners that
 * no header leads to, or that they did not finish. Works as a flush does: NULL when there is
 * nothing to remove or a trim is under way. `below` must not be above log_durable. A trim that
 * fails leaves the log usable and may be tried again. Flushes may go on meanwhile. */
log_trim_t *log_trim_begin (log_t *self, uint64_t below);
job_t *log_trim_job (log_trim_t *trim);
MUST_CHECK status_t log_trim_end (log_t *self, log_trim_t **trim_p, error_t *error);

/* FENCED when the directory holds a segment of an epoch above `epoch`. Blocks. */
MUST_CHECK status_t log_fence_check (fs_t *fs, const char *dir, uint64_t epoch, error_t *error);

/* ---- readers ---- */

typedef struct log_reader log_reader_t;

/* Reads the records that hold any offset in [from, to), whole. `to` must not be above what the
 * owner has called durable; the log may be appended to, taken over and trimmed (below what is still
 * to be read) meanwhile. `fs` must outlive the reader. NOT_FOUND when `from` has been trimmed or
 * the log does not exist; else as log_open. */
MUST_CHECK status_t log_reader_open (fs_t *fs, const char *dir, const log_identity_t *identity,
                                     uint64_t from, uint64_t to, log_reader_t **reader,
                                     error_t *error);
void log_reader_destroy (log_reader_t **self_p);

/* The next record; its payload is the reader's until the next call. END at `to`. CORRUPT, naming
 * file and byte, when stored bytes are damaged or the log ends before `to`. */
MUST_CHECK status_t log_reader_next (log_reader_t *self, log_record_t *record, error_t *error);

#endif
