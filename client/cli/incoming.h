/* incoming.h - copies of files below <data>/incoming/, for batch workers to read. */
#ifndef WEIR_CLI_INCOMING_H
#define WEIR_CLI_INCOMING_H

#include "client/cli/source.h"

typedef struct incoming {
    char id[33];    /* hex XXH3-128 of the content */
    char path[128]; /* below the data directory, as the `load` message says it */
    uint64_t bytes;
    int fd; /* of the copy, locked: somebody still has to say what becomes of it */
} incoming_t;

/* Copies all of the source below `data`, durably, under a name that nobody else has, showing
 * progress. What an interrupted copy leaves is removed. After an OK, incoming_release is called
 * when the cluster has taken the copy, or it was removed. NO_SPACE, before it begins, unless
 * `reserve` bytes of the disk will stay free. */
MUST_CHECK status_t incoming_copy (const char *data, uint64_t reserve, source_t *source,
                                   incoming_t *incoming, error_t *error);
/* Removes the copy: nobody will read it. */
void incoming_remove (const char *data, const incoming_t *incoming);
/* From now on the copy is the cluster's, or nobody's. */
void incoming_release (incoming_t *incoming);

/* Removes what commands left that were killed: copies that nobody holds and that no load will read.
 * `wanted` says whether one may: a load of the content with that hash waits or is being read. It is
 * asked while the copy is held, after whoever made it can have handed it over. */
typedef bool incoming_wanted_f (void *arg, const char *hash);
void incoming_clean (const char *data, incoming_wanted_f *wanted, void *arg);

/* The XXH3-128 of a file's content as hex. */
MUST_CHECK status_t content_hash (const char *path, char hex[33], error_t *error);

/* Copies a file, replacing `to`. */
MUST_CHECK status_t copy_file (const char *from, const char *to, error_t *error);

#endif
