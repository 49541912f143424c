/* copying.h - files from one place to another, hashed on the way. For this library's own files. */
#ifndef WEIR_BACKUP_COPYING_H
#define WEIR_BACKUP_COPYING_H

#include "backup/backup.h"
#include "backup/listing.h"

/* Where work stands. */
typedef struct work {
    fs_t *fs;
    const backup_watch_t *watch;
    uint64_t done; /* bytes */
    uint64_t total;
    char made[1024]; /* the directory that was made last */
} work_t;

/* `bytes` more are done: tells it, and answers whether to go on. */
MUST_CHECK status_t work_step (work_t *self, const char *path, uint64_t bytes, error_t *error);

/* The hash of the first `size` bytes of a file; UINT64_MAX: all, and how many these are goes to
 * *found. CORRUPT when there are fewer. */
MUST_CHECK status_t work_hash (work_t *self, const char *path, uint64_t size, uint64_t *found,
                               listed_hash_t *hash, error_t *error);

/* Copies the first `size` bytes (UINT64_MAX: all) to a new file, makes it durable (its name not),
 * and tells the hash of what was read. The directories above are made. A file that is there is
 * replaced. */
MUST_CHECK status_t work_copy (work_t *self, const char *from, const char *to, uint64_t size,
                               uint64_t *copied, listed_hash_t *hash, error_t *error);

/* Makes the directory that a file goes into, durably. */
MUST_CHECK status_t work_make_directory (work_t *self, const char *path, error_t *error);

/* The directory of a path; the caller frees it. */
char *work_directory (const char *path);

/* Is there no file below the directory, which may not be there, but for those of these names in it?
 * NULL: none. */
bool work_has_only (fs_t *fs, const char *directory, const char *const *names);
/* Removes all files below it, as far as it can, but for those of these names in it. */
void work_clear (fs_t *fs, const char *directory, const char *const *names);

/* Makes the directory and takes the lock of a file in it, which is made if it is not there, for
 * whoever works on the directory: closed when that ends. BUSY when somebody else has it. */
MUST_CHECK status_t work_hold (fs_t *fs, const char *directory, const char *name, file_t **lock,
                               error_t *error);

#endif
