/* posix_fs.h - the filesystem seam (base/fs.h) on the real disk. */
#ifndef WEIR_STORAGE_POSIX_FS_H
#define WEIR_STORAGE_POSIX_FS_H

#include "base/fs.h"

/* Opens the directory `root`, which is made when only it (not its parent) is missing. The caller
 * destroys *fs after every file of it is closed. */
MUST_CHECK status_t posix_fs_open (const char *root, fs_t **fs, error_t *error);
void posix_fs_destroy (fs_t **self_p);

/* INVALID, with what to do about it, when `root` (or the nearest directory above it that exists) is
 * on a network filesystem (NFS, SMB, 9P, Ceph, …, FUSE other than of a local disk): locks, syncs
 * and mapped files cannot be relied on there. */
MUST_CHECK status_t posix_fs_refuse_network (const char *root, error_t *error);

/* Takes the lock file `name`, making it when it is missing, and writes this process's id into it.
 * BUSY when somebody else has it. It is held until fs_close (lock) or the end of the process; the
 * file stays. */
MUST_CHECK status_t posix_fs_lock (fs_t *fs, const char *name, file_t **lock, error_t *error);

/* The same, but waits while somebody else has it: for locks that are held for moments. */
MUST_CHECK status_t posix_fs_lock_wait (fs_t *fs, const char *name, file_t **lock, error_t *error);

#endif
