/* stored.h - a small cluster as it lies on a disk when its nodes have stopped: what fsck looks at
 * and what backups are made of. */
#ifndef WEIR_TESTS_FSCK_STORED_H
#define WEIR_TESTS_FSCK_STORED_H

#include "base/random.h"
#include "catalog/catalog.h"
#include "storage/cluster_file.h"

enum { STORED_PARTITIONS = 2 };

#define STORED_CLUSTER_ID UINT64_C (0x5eed)
#define STORED_CLOCK      INT64_C (1767225600000000) /* 2026-01-01 */
#define STORED_LOG        "pay/user"                 /* of the stream's own key */
#define STORED_OTHER      "pay/shop"                 /* re-keyed */

/* Writes all of it below `fs`: two logs of segments under several epochs, cuts, runs, a load's runs
 * among them, batch views, a file that is being loaded, and the catalog. CHECKs. */
void stored_build (fs_t *fs, uint64_t seed);

/* Appends a record of `rows` events to a partition of the primary log, as a new owner. */
void stored_append (fs_t *fs, random_t *random, uint32_t partition, uint32_t rows);

/* All files below `fs`, sorted, in `arena`. */
char **stored_files (fs_t *fs, arena_t *arena, size_t *count);

/* The whole content, in `arena`. */
text_t stored_read (fs_t *fs, arena_t *arena, const char *path);
/* Another one in its place. */
void stored_write (fs_t *fs, const char *path, text_t content);

#endif
