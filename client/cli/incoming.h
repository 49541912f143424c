/* incoming.h - copies of files below <data>/incoming/, for batch workers to read. */
#ifndef WEIR_CLI_INCOMING_H
#define WEIR_CLI_INCOMING_H

#include "client/cli/source.h"

typedef struct incoming {
    char id[33];    /* hex XXH3-128 of the content */
    char path[128]; /* below the data directory, as the `load` message says it */
    uint64_t bytes;
} incoming_t;

/* Copies all of the source below `data`, durably, under a name that nobody else has, showing
 * progress. What an interrupted copy leaves is removed. */
MUST_CHECK status_t incoming_copy (const char *data, source_t *source, incoming_t *incoming,
                                   error_t *error);
/* Removes the copy: nobody will read it. */
void incoming_remove (const char *data, const incoming_t *incoming);

/* The XXH3-128 of a file's content as hex. */
MUST_CHECK status_t content_hash (const char *path, char hex[33], error_t *error);

/* Copies a file, replacing `to`. */
MUST_CHECK status_t copy_file (const char *from, const char *to, error_t *error);

#endif
