/* log_trim.h - removing the old end of a log. Private to the log. */
#ifndef WEIR_STORAGE_LOG_TRIM_H
#define WEIR_STORAGE_LOG_TRIM_H

#include "storage/log_chain.h"

enum { LOG_TRIM_MAGIC = 0x106721a0 };

struct log_trim {
    job_t job; /* first */
    uint32_t magic;
    bool ran;
    fs_t *fs;
    char *dir;
    uint64_t epoch;
    uint64_t below;
    log_chain_t chain; /* a copy of the owner's */
    size_t removable;  /* of its links, from the first on */
    size_t removed;    /* of these, gone for good */
    error_t error;
};

/* Removes segments that owners up to `epoch` did not finish, of those that begin below `below`.
 * They are gone for good once the directory is synced. */
MUST_CHECK status_t log_remove_leftovers (fs_t *fs, const char *dir, uint64_t epoch, uint64_t below,
                                          error_t *error);

/* A job that removes the first `removable` links of `chain`, and of what earlier owners left void
 * segments and unfinished ones that begin below `below`. */
log_trim_t *log_trim_new (fs_t *fs, const char *dir, const log_chain_t *chain, size_t removable,
                          uint64_t below, uint64_t epoch);
void log_trim_destroy (log_trim_t **self_p);

#endif
