#include "backup/copying.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>
#include <xxhash.h>

enum { CHUNK = 1 << 20, DEPTH_MAX = 16 };

status_t work_step (work_t *self, const char *path, uint64_t bytes, error_t *error)
{
    const backup_watch_t *watch = self->watch;
    self->done += bytes;
    if (self->done > self->total)
        self->total = self->done;
    if (watch && watch->progress)
        watch->progress (watch->arg, path, self->done, self->total);
    return watch && watch->go_on ? watch->go_on (watch->arg, error) : STATUS_OK;
}

char *work_directory (const char *path)
{
    const char *slash = strrchr (path, '/');
    return slash ? mem_string_n (path, (size_t)(slash - path)) : mem_string (".");
}

status_t work_make_directory (work_t *self, const char *path, error_t *error)
{
    char *directory = work_directory (path);
    status_t status = STATUS_OK;
    if (strcmp (directory, self->made) != 0) {
        self->made[0] = '\0';
        status = fs_make_dir (self->fs, directory, error);
        if (status == STATUS_OK && strlen (directory) < sizeof self->made)
            memcpy (self->made, directory, strlen (directory) + 1);
    }
    mem_free (directory);
    return status;
}

/* Reads `from`, hashing, and writes to `to` unless that is NULL. */
static status_t pass_bytes (work_t *self, const char *path, file_t *from, file_t *to, uint64_t size,
                            uint64_t *found, listed_hash_t *hash, error_t *error)
{
    uint8_t *chunk = mem_alloc (CHUNK);
    XXH3_state_t *state = XXH3_createState ();
    uint64_t at = 0;
    status_t status = STATUS_OK;
    CHECK (state != NULL);
    CHECK (XXH3_128bits_reset (state) == XXH_OK);
    while (status == STATUS_OK && at < size) {
        size_t want = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        size_t got;
        status = fs_read (self->fs, from, at, chunk, want, &got, error);
        if (status != STATUS_OK || got == 0)
            break;
        CHECK (XXH3_128bits_update (state, chunk, got) == XXH_OK);
        if (to)
            status = fs_write (self->fs, to, at, chunk, got, error);
        if (status == STATUS_OK)
            status = work_step (self, path, got, error);
        at += got;
    }
    XXH128_hash_t sum = XXH3_128bits_digest (state);
    *hash = (listed_hash_t){ sum.high64, sum.low64 };
    *found = at;
    XXH3_freeState (state);
    mem_free (chunk);
    if (status == STATUS_OK && size != UINT64_MAX && at < size)
        status = error_set (error, STATUS_CORRUPT, "%s: it ends early, at byte %llu of %llu", path,
                            (unsigned long long)at, (unsigned long long)size);
    return status;
}

status_t work_hash (work_t *self, const char *path, uint64_t size, uint64_t *found,
                    listed_hash_t *hash, error_t *error)
{
    file_t *file = NULL;
    status_t status = fs_open (self->fs, path, FS_READ, &file, error);
    if (status == STATUS_OK)
        status = pass_bytes (self, path, file, NULL, size, found, hash, error);
    fs_close (self->fs, &file);
    return status;
}

status_t work_copy (work_t *self, const char *from, const char *to, uint64_t size, uint64_t *copied,
                    listed_hash_t *hash, error_t *error)
{
    file_t *source = NULL;
    file_t *target = NULL;
    status_t status = fs_open (self->fs, from, FS_READ, &source, error);
    if (status == STATUS_OK)
        status = work_make_directory (self, to, error);
    if (status == STATUS_OK) /* one that is there may be a link: it is not written to */
        status = fs_remove (self->fs, to, error);
    if (status == STATUS_OK)
        status = fs_open (self->fs, to, FS_CREATE, &target, error);
    if (status == STATUS_OK)
        status = pass_bytes (self, from, source, target, size, copied, hash, error);
    if (status == STATUS_OK)
        status = fs_sync (self->fs, target, error);
    fs_close (self->fs, &source);
    fs_close (self->fs, &target);
    return status;
}

/* ---- directories ---- */

typedef struct visit {
    fs_t *fs;
    const char *directory;
    int depth;
    bool remove;
    const char *const *keep; /* names in the uppermost directory; NULL: none */
    bool found;
} visit_t;

static bool is_kept (const visit_t *self, const char *name)
{
    for (const char *const *keep = self->keep; keep && *keep; keep++)
        if (strcmp (name, *keep) == 0)
            return true;
    return false;
}

static void look (void *arg, const char *name)
{
    visit_t *self = arg;
    if (is_kept (self, name))
        return;
    char *path = mem_format ("%s/%s", self->directory, name);
    visit_t inner = { self->fs, path, self->depth + 1, self->remove, NULL, false };
    error_t ignored;
    bool is_directory =
        self->depth < DEPTH_MAX && fs_list (self->fs, path, look, &inner, &ignored) == STATUS_OK;
    if (!is_directory && self->remove)
        (void)!fs_remove (self->fs, path, &ignored);
    if (is_directory && self->remove)
        (void)!fs_sync_dir (self->fs, path, &ignored);
    self->found = self->found || !is_directory || inner.found;
    mem_free (path);
}

bool work_has_only (fs_t *fs, const char *directory, const char *const *names)
{
    visit_t visit = { fs, directory, 0, false, names, false };
    error_t error;
    status_t status = fs_list (fs, directory, look, &visit, &error);
    return (status == STATUS_OK && !visit.found) || status == STATUS_NOT_FOUND;
}

void work_clear (fs_t *fs, const char *directory, const char *const *names)
{
    visit_t visit = { fs, directory, 0, true, names, false };
    error_t ignored;
    if (fs_list (fs, directory, look, &visit, &ignored) == STATUS_OK)
        (void)!fs_sync_dir (fs, directory, &ignored);
}

status_t work_hold (fs_t *fs, const char *directory, const char *name, file_t **lock,
                    error_t *error)
{
    char *path = mem_format ("%s/%s", directory, name);
    *lock = NULL;
    status_t status = fs_make_dir (fs, directory, error);
    if (status == STATUS_OK)
        status = fs_open (fs, path, FS_WRITE, lock, error);
    if (status == STATUS_OK)
        status = fs_lock (fs, *lock, 0, error);
    if (status == STATUS_BUSY || status == STATUS_STALE) /* it has just ended */
        status = error_set (error, STATUS_BUSY,
                            "another program is at work on %s: wait for its end", directory);
    if (status == STATUS_UNSUPPORTED)
        status = STATUS_OK;
    if (status == STATUS_OK)
        status = fs_sync_dir (fs, directory, error);
    if (status != STATUS_OK)
        fs_close (fs, lock);
    mem_free (path);
    return status;
}
