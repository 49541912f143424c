/* listing.h - the file BACKUP: what a backup consists of (docs/formats.md). */
#ifndef WEIR_BACKUP_LISTING_H
#define WEIR_BACKUP_LISTING_H

#include "base/arena.h"
#include "base/fs.h"
#include "storage/cluster_file.h"

enum { LISTING_MAX = 256 << 20 }; /* bytes of the file */

typedef struct listed_hash {
    uint64_t high;
    uint64_t low;
} listed_hash_t;

typedef struct listed_file {
    const char *path; /* below data/ */
    uint64_t size;
    listed_hash_t hash; /* XXH3-128 */
} listed_file_t;

/* Below which offset of a partition's log everything is in the backup. */
typedef struct listed_position {
    const char *log;
    uint32_t partition;
    uint64_t offset;
} listed_position_t;

typedef struct listing {
    arena_t *arena; /* of all strings */
    cluster_file_t cluster;
    int64_t time; /* µs */
    listed_file_t *files;
    size_t files_count;
    listed_position_t *positions;
    size_t positions_count;
} listing_t;

listing_t *listing_new (void);
void listing_destroy (listing_t **self_p);
void listing_add_file (listing_t *self, const char *path, uint64_t size, listed_hash_t hash);
void listing_add_position (listing_t *self, const char *log, uint32_t partition, uint64_t offset);
/* The file of that path, or NULL. */
const listed_file_t *listing_file (const listing_t *self, const char *path);

/* Writes it as `directory`/BACKUP, durably. */
MUST_CHECK status_t listing_write (const listing_t *self, fs_t *fs, const char *directory,
                                   error_t *error);
/* Reads it; NOT_FOUND when it is no backup, CORRUPT, VERSION. */
MUST_CHECK status_t listing_read (fs_t *fs, const char *directory, listing_t **listing,
                                  error_t *error);

#endif
