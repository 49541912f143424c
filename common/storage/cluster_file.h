/* cluster_file.h - the file `cluster` of a data directory: whose it is (docs/formats.md). */
#ifndef WEIR_STORAGE_CLUSTER_FILE_H
#define WEIR_STORAGE_CLUSTER_FILE_H

#include "base/fs.h"

#define CLUSTER_FILE "cluster"
/* Held by a node from before it reads the file until it has its own lock, and by who works on the
 * directory without nodes: so none starts meanwhile. */
#define CLUSTER_LOCK "cluster.lock"

enum { CLUSTER_NAME_MAX = 255 }; /* bytes */

typedef struct cluster_file {
    char name[CLUSTER_NAME_MAX + 1];
    uint64_t id;    /* random, never 0; stands in every segment of a log */
    uint64_t place; /* random: another one in every directory that was restored from a backup; 0 in
                       those of an earlier version */
    uint32_t partitions;
} cluster_file_t;

/* NOT_FOUND without one; INVALID for a directory that a restore into was not finished; CORRUPT,
 * VERSION. */
MUST_CHECK status_t cluster_file_read (fs_t *fs, cluster_file_t *file, error_t *error);
/* Writes it, durably, in the place of the one that is there. */
MUST_CHECK status_t cluster_file_write (fs_t *fs, const cluster_file_t *file, error_t *error);

/* Marks the directory as one that is being restored: no node starts on it until cluster_file_write.
 */
MUST_CHECK status_t cluster_file_write_unfinished (fs_t *fs, error_t *error);

/* Has the directory that mark? */
bool cluster_file_is_unfinished (fs_t *fs);

#endif
