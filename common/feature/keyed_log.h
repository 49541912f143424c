/* keyed_log.h - a stream's events by one entity key.
 *
 * A stream has a keyed log for its own key (the *primary* one, that events are sent to) and one for
 * each other key that views of it have (*re-keyed*: events are forwarded to it). A log is named by
 * its stream and its key's fields in the order written, "payments/user_id", "legs/origin,airline",
 * "ticks/_" without any; the name is its directory below log/, history/ and views/, and says all
 * about it that the stream's definition does not. */
#ifndef WEIR_FEATURE_KEYED_LOG_H
#define WEIR_FEATURE_KEYED_LOG_H

#include "feature/definition.h"

enum {
    KEYED_LOGS_MAX = 16,      /* of a stream, its own included */
    LOG_KEY_NAMES_MAX = 191,  /* bytes of a key's names together, commas included */
    KEYED_LOG_NAME_MAX = 255, /* bytes, as log segments have it */
};
_Static_assert(NAME_MAX_SIZE + 1 + LOG_KEY_NAMES_MAX <= KEYED_LOG_NAME_MAX,
               "a log can be named by its stream and key");

/* By value; borrows the stream. */
typedef struct keyed_log {
    const stream_t *stream;
    char name[KEYED_LOG_NAME_MAX + 1];
    uint32_t key[KEY_FIELDS_MAX]; /* indexes of the key's fields */
    size_t key_count;             /* 0: one global entity */
    bool primary;
    uint64_t fingerprint; /* of stream and key: equal means stored rows mean the same */
} keyed_log_t;

/* The log of these fields of a stream whose fields are known. False when its name is too long. */
bool keyed_log_make (const stream_t *stream, const uint32_t *key, size_t key_count,
                     keyed_log_t *log);

/* The log of that name, whether a view is over it or not. False when it is no log of a stream here.
 */
bool keyed_log_find (const definitions_t *definitions, text_t name, keyed_log_t *log);

/* Is that the name of a log of the stream? */
bool keyed_log_is_of (text_t name, const char *stream);

/* Appends the key of one row of a batch with the stream's columns. False (nothing appended) when
 * the event belongs to no entity: a field of the key is null or, in a re-keyed log, the key is
 * longer than KEY_SIZE_MAX. Such an event is kept in the primary log under the empty key, is not in
 * re-keyed ones, and is in no view. */
bool keyed_log_key (const keyed_log_t *self, const batch_t *batch, size_t row, buf_t *out);

#endif
