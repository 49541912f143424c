/* disk_vfs.h - SQLite's view of the disk: a VFS whose files are files of an fs_t.
 *
 * No locks and no shared memory: one process uses the database, through one connection at a time.
 * SQLite is told that a disk does not damage neighbours of what it writes (both disks keep that).
 */
#ifndef WEIR_CATALOG_DISK_VFS_H
#define WEIR_CATALOG_DISK_VFS_H

#include "base/fs.h"
#include "base/status.h"

typedef struct disk_vfs disk_vfs_t;

/* Registers a VFS of its own with SQLite; `fs` outlives it. */
disk_vfs_t *disk_vfs_new (fs_t *fs);
/* Every connection over it must be closed. */
void disk_vfs_destroy (disk_vfs_t **self_p);

/* What sqlite3_open_v2 takes. */
const char *disk_vfs_name (const disk_vfs_t *self);

/* What it is over. */
fs_t *disk_vfs_fs (const disk_vfs_t *self);

/* The first thing that the disk refused since the last disk_vfs_forget; status OK when nothing.
 * SQLite's own codes say less. */
const error_t *disk_vfs_problem (const disk_vfs_t *self);
void disk_vfs_forget (disk_vfs_t *self);

#endif
