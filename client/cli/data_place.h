/* data_place.h - a data directory that a command works on itself, beside or without its nodes. */
#ifndef WEIR_CLI_DATA_PLACE_H
#define WEIR_CLI_DATA_PLACE_H

#include "base/fs.h"

enum { DATA_LOCKS_MAX = 256 };

typedef struct data_place {
    fs_t *fs;
    file_t *cluster;               /* CLUSTER_LOCK, held so that none starts meanwhile … */
    file_t *locks[DATA_LOCKS_MAX]; /* … and those of nodes */
    size_t locks_count;
    bool running; /* at least one node runs or starts */
} data_place_t;

/* Opens the directory, which must be there. When no node runs, nodes that are started wait until
 * the place is released, also those that never ran here; when one does no lock is held, and others
 * may start at any time. NOT_FOUND with what to do. */
MUST_CHECK status_t data_place_open (data_place_t *self, const char *directory, error_t *error);
void data_place_release (data_place_t *self); /* idempotent */

#endif
