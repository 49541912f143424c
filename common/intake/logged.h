/* logged.h - events as they stand in the log, back as a batch. */
#ifndef WEIR_INTAKE_LOGGED_H
#define WEIR_INTAKE_LOGGED_H

#include "feature/keyed_log.h"
#include "storage/columns.h"
#include "storage/log.h"
#include "storage/payload.h"

/* Decodes an EVENTS record of a primary log into a batch with offsets and keys; the batch lives in
 * `arena`, *payload borrows from the record. The batch has the stream's columns, whatever they were
 * when the record was written. A record without accepted events gives a batch of no rows. CORRUPT
 * when the record is damaged, STALE when it was written under newer definitions (columns.h). */
MUST_CHECK status_t logged_events (const keyed_log_t *log, const log_record_t *record,
                                   arena_t *arena, events_payload_t *payload, batch_t *batch,
                                   error_t *error);

/* The same of a re-keyed log: offsets in the batch are those of this log. */
MUST_CHECK status_t logged_forwarded (const keyed_log_t *log, const log_record_t *record,
                                      arena_t *arena, forwarded_payload_t *payload, batch_t *batch,
                                      error_t *error);

/* The batch of an EVENTS record of either kind of log. */
MUST_CHECK status_t logged_batch (const keyed_log_t *log, const log_record_t *record,
                                  arena_t *arena, batch_t *batch, error_t *error);

/* A batch of one definition of a stream as one of a later one, in `arena`; it borrows. STALE when
 * that is not later. */
MUST_CHECK status_t stream_batch_as (const stream_t *from, const stream_t *to, const batch_t *batch,
                                     arena_t *arena, batch_t *as, error_t *error);

/* Fills batch->key, into `arena`. */
void batch_set_keys (const keyed_log_t *log, batch_t *batch, arena_t *arena);

/* The columns of the stream's rows, in `arena`. */
columns_t stream_columns (const stream_t *stream, arena_t *arena);

/* What an identity in log segments is for this log; borrows its name. */
log_identity_t logged_identity (const keyed_log_t *log, uint64_t cluster, uint32_t partition);

/* The directory of a partition of a log, "log/payments/user_id/3"; of its history and its views. A
 * string in `arena`. */
char *logged_dir (arena_t *arena, const char *root, const char *log_name, uint32_t partition);

#endif
