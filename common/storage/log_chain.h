/* log_chain.h - which of a directory's segments are the log. Private to the log.
 *
 * The last segment is the one with the highest epoch and, in that, the highest first offset. From
 * there each header leads to the one before, and says how much of it counts. The log begins where a
 * header leads to a segment that is not there, having been trimmed. All else is void. */
#ifndef WEIR_STORAGE_LOG_CHAIN_H
#define WEIR_STORAGE_LOG_CHAIN_H

#include "storage/log_segment.h"

typedef struct log_chain_link {
    log_segment_id_t id;
    uint64_t size; /* bytes that count; LOG_SEGMENT_OPEN for the last */
} log_chain_link_t;

typedef struct log_chain {
    log_chain_link_t *link; /* oldest first */
    size_t count;
    size_t capacity;
} log_chain_t;

void log_chain_add (log_chain_t *self, log_segment_id_t id, uint64_t size);
/* Without its first `count` links. */
void log_chain_drop (log_chain_t *self, size_t count);
void log_chain_release (log_chain_t *self);

/* The ids of all segment files in `dir`, by (epoch, first), with size LOG_SEGMENT_OPEN. */
MUST_CHECK status_t log_chain_list (fs_t *fs, const char *dir, log_chain_t *all, error_t *error);

/* The chain from the segment that holds offset `from`, or from the start when that is later.
 * Empty when the directory has no segment. Release it also when this fails. */
MUST_CHECK status_t log_chain_load (fs_t *fs, const char *dir, const log_identity_t *identity,
                                    uint64_t from, log_chain_t *chain, error_t *error);

#endif
