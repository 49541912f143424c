/* log_model.h - what a log should hold, kept beside it by the log's tests. */
#ifndef WEIR_TESTS_STORAGE_LOG_MODEL_H
#define WEIR_TESTS_STORAGE_LOG_MODEL_H

#include "base/random.h"
#include "storage/log.h"
#include "tests/sim/disk/disk.h"

typedef struct log_model {
    log_record_t *record; /* payloads are the model's */
    size_t count;
    size_t capacity;
    size_t durable; /* of these, flushed with success, or found by an owner */
} log_model_t;

extern const log_identity_t model_identity;
#define MODEL_DIR "log/payments.user_id/3"

void model_release (log_model_t *self);
uint64_t model_end (const log_model_t *self, size_t count); /* one past the first `count` records */

/* Opens the log at `epoch` and expects it to work. */
log_t *model_open (fs_t *fs, uint64_t epoch, const log_limits_t *limits);

/* Appends a record with a payload of random bytes, up to `size_max`, to both. */
status_t model_append (log_model_t *self, log_t *log, random_t *random, size_t size_max);

/* Flushes what is pending (OK when there is nothing) and notes what is durable. */
status_t model_flush (log_model_t *self, log_t *log, error_t *error);

/* Expects the reader to give exactly the model's records that hold anything in [from, to). */
void model_check_read (const log_model_t *self, fs_t *fs, uint64_t from, uint64_t to);

/* Expects `log`, just opened, to hold a prefix of the model with all that is durable, and forgets
 * the rest. */
void model_check_recovered (log_model_t *self, fs_t *fs, const log_t *log);

/* Forgets the records that are not durable: their owner has gone. */
void model_forget_pending (log_model_t *self);

/* Runs a job of the log's to its end. */
void model_run (job_t *job);

/* The path of a segment, and the number of segments there. */
const char *model_segment (uint64_t first, uint64_t epoch);
size_t model_segments (fs_t *fs);

#endif
