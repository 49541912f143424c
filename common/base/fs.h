/* fs.h - the filesystem seam. Everything that weir keeps goes through one of these, so that the
 * simulator can put a disk with faults underneath.
 *
 * Calls block. On an event loop they are made from a job (env.h). Paths are relative to the root
 * that the fs was opened at, with "/" between parts; "..", empty parts and a leading "/" are a bug.
 * The root itself is "." for fs_list and fs_sync_dir.
 * A file is durable after fs_sync; its name (creation, rename, removal) after fs_sync_dir of its
 * directory. After a failed fs_sync nothing may be assumed about what reached the disk: the caller
 * gives the file up. All calls may be made from several threads; one file_t is used by one thread
 * at a time except fs_read, which may be concurrent. */
#ifndef WEIR_BASE_FS_H
#define WEIR_BASE_FS_H

#include "base/status.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

typedef struct fs fs_t;

enum { FS_PATH_MAX = 4096 }; /* bytes */

/* Is it a path for the calls below: relative, without ".", ".." and empty parts, and without NUL?
 * Paths that come from outside must be asked about first. */
bool fs_is_path (text_t path);
typedef struct file file_t; /* opaque to callers; each fs has its own */

typedef enum fs_mode {
    FS_READ,   /* must exist */
    FS_WRITE,  /* read and write, created when missing */
    FS_CREATE, /* read and write, EXISTS when it is there */
} fs_mode_t;

/* What an implementation does; the functions below check paths and do the rest. Simpler than below:
 * `list` gives names in any order, `make_dir` makes one directory and answers EXISTS when it is
 * there, `remove` answers NOT_FOUND, `map` is called with 0 < size <= the file's size. */
typedef struct fs_ops {
    status_t (*open) (fs_t *fs, const char *path, fs_mode_t mode, file_t **file, error_t *error);
    void (*close) (fs_t *fs, file_t *file);
    status_t (*read) (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size, size_t *got,
                      error_t *error);
    status_t (*write) (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                       error_t *error);
    status_t (*sync) (fs_t *fs, file_t *file, error_t *error);
    status_t (*size) (fs_t *fs, file_t *file, uint64_t *size, error_t *error);
    status_t (*truncate) (fs_t *fs, file_t *file, uint64_t size, error_t *error);
    status_t (*map) (fs_t *fs, file_t *file, size_t size, const void **data, error_t *error);
    void (*unmap) (fs_t *fs, const void *data, size_t size);
    status_t (*rename) (fs_t *fs, const char *from, const char *to, error_t *error);
    status_t (*link) (fs_t *fs, const char *from, const char *to, error_t *error);
    status_t (*remove) (fs_t *fs, const char *path, error_t *error);
    void (*forget) (fs_t *fs, const char *path); /* NULL: nothing */
    status_t (*make_dir) (fs_t *fs, const char *path, error_t *error);
    status_t (*sync_dir) (fs_t *fs, const char *path, error_t *error);
    status_t (*list) (fs_t *fs, const char *path, void (*each) (void *arg, const char *name),
                      void *arg, error_t *error);
    status_t (*free_space) (fs_t *fs, uint64_t *bytes, error_t *error);
    status_t (*lock) (fs_t *fs, file_t *file, int wait_ms, error_t *error);
    void (*unlock) (fs_t *fs, file_t *file);
} fs_ops_t;

/* An implementation embeds this first. */
struct fs {
    const fs_ops_t *ops;
};

MUST_CHECK status_t fs_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file,
                             error_t *error);
/* Closes and nulls; NULL is fine. */
void fs_close (fs_t *fs, file_t **file_p);
/* Reads up to `size` bytes; *got is less only at the end of the file. EINTR and short reads are
 * dealt with below. */
MUST_CHECK status_t fs_read (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size,
                             size_t *got, error_t *error);
/* Reads exactly `size` bytes; CORRUPT when the file ends before. */
MUST_CHECK status_t fs_read_all (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size,
                                 error_t *error);
MUST_CHECK status_t fs_write (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                              error_t *error);
/* fdatasync. */
MUST_CHECK status_t fs_sync (fs_t *fs, file_t *file, error_t *error);
MUST_CHECK status_t fs_size (fs_t *fs, file_t *file, uint64_t *size, error_t *error);
MUST_CHECK status_t fs_truncate (fs_t *fs, file_t *file, uint64_t size, error_t *error);
/* Maps the first `size` bytes for reading; valid until fs_unmap, also after the file is closed or
 * removed. */
MUST_CHECK status_t fs_map (fs_t *fs, file_t *file, size_t size, const void **data, error_t *error);
void fs_unmap (fs_t *fs, const void **data_p, size_t size);
MUST_CHECK status_t fs_rename (fs_t *fs, const char *from, const char *to, error_t *error);
/* Gives a file a second name, which must not be there (EXISTS): both are the same bytes from then
 * on, and each is removed on its own. INVALID where it cannot be done (another filesystem, too many
 * names): copy it then. */
MUST_CHECK status_t fs_link (fs_t *fs, const char *from, const char *to, error_t *error);
/* Nobody will read the file any more, which was synced: it is to be removed. Then that is done
 * soon, where the system would drop all of a large file from its cache at once. Advice: does
 * nothing where the file has other names. */
void fs_forget (fs_t *fs, const char *path);
/* Removes a file; one that is not there is OK. */
MUST_CHECK status_t fs_remove (fs_t *fs, const char *path, error_t *error);
/* Makes a directory and its parents, and makes their names durable; OK when it is there. */
MUST_CHECK status_t fs_make_dir (fs_t *fs, const char *path, error_t *error);
MUST_CHECK status_t fs_sync_dir (fs_t *fs, const char *path, error_t *error);
/* Calls `each` for every name in a directory, in byte order, without "." and "..". */
MUST_CHECK status_t fs_list (fs_t *fs, const char *path, void (*each) (void *arg, const char *name),
                             void *arg, error_t *error);
MUST_CHECK status_t fs_free_space (fs_t *fs, uint64_t *bytes, error_t *error);

/* Takes the lock of the file for this handle, for itself alone among all processes and handles, and
 * waits for it up to `wait_ms`: BUSY when somebody else still has it then. It goes with fs_unlock,
 * fs_close, or the end of the process, however that comes; a process that is only stopped keeps it.
 * Locks bind only those who ask for them. A handle that has the lock must not ask again. STALE when
 * the file was removed since it was opened, and others may have the lock of one in its place: open
 * it again. UNSUPPORTED where the filesystem has none. */
MUST_CHECK status_t fs_lock (fs_t *fs, file_t *file, int wait_ms, error_t *error);
void fs_unlock (fs_t *fs, file_t *file);

/* NO_SPACE, saying what is needed and what is free in `where`, unless `bytes` more can be written
 * and `reserve` bytes stay free after that. */
MUST_CHECK status_t fs_require (fs_t *fs, uint64_t bytes, uint64_t reserve, const char *where,
                                error_t *error);

/* Writes a whole small file so that after a crash it is either the old or the new one: a temporary
 * name (`path`.tmp), sync, rename, sync of the directory. */
MUST_CHECK status_t fs_replace (fs_t *fs, const char *path, const void *data, size_t size,
                                error_t *error);

#endif
