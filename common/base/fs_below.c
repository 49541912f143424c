#include "base/fs_below.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum { BELOW_MAGIC = 0x46424c57 };

typedef struct fs_below {
    fs_t fs; /* first */
    uint32_t magic;
    fs_t *under;
    char *path; /* NULL: the root */
} fs_below_t;

static fs_below_t *below_of (fs_t *fs)
{
    fs_below_t *self = (fs_below_t *)fs;
    CHECK_OBJECT (self, BELOW_MAGIC);
    return self;
}

static fs_t *under_of (fs_t *fs)
{
    return below_of (fs)->under;
}

/* The same place as the filesystem under this one knows it; the caller frees it. */
static char *place_of (fs_t *fs, const char *path)
{
    const fs_below_t *self = below_of (fs);
    if (!self->path)
        return mem_string (path);
    return strcmp (path, ".") == 0 ? mem_string (self->path)
                                   : mem_format ("%s/%s", self->path, path);
}

static status_t below_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file,
                            error_t *error)
{
    char *place = place_of (fs, path);
    status_t status = under_of (fs)->ops->open (under_of (fs), place, mode, file, error);
    mem_free (place);
    return status;
}

static void below_close (fs_t *fs, file_t *file)
{
    under_of (fs)->ops->close (under_of (fs), file);
}

static status_t below_read (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size,
                            size_t *got, error_t *error)
{
    return under_of (fs)->ops->read (under_of (fs), file, at, data, size, got, error);
}

static status_t below_write (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                             error_t *error)
{
    return under_of (fs)->ops->write (under_of (fs), file, at, data, size, error);
}

static status_t below_sync (fs_t *fs, file_t *file, error_t *error)
{
    return under_of (fs)->ops->sync (under_of (fs), file, error);
}

static status_t below_size (fs_t *fs, file_t *file, uint64_t *size, error_t *error)
{
    return under_of (fs)->ops->size (under_of (fs), file, size, error);
}

static status_t below_truncate (fs_t *fs, file_t *file, uint64_t size, error_t *error)
{
    return under_of (fs)->ops->truncate (under_of (fs), file, size, error);
}

static status_t below_map (fs_t *fs, file_t *file, size_t size, const void **data, error_t *error)
{
    return under_of (fs)->ops->map (under_of (fs), file, size, data, error);
}

static void below_unmap (fs_t *fs, const void *data, size_t size)
{
    under_of (fs)->ops->unmap (under_of (fs), data, size);
}

static status_t below_rename (fs_t *fs, const char *from, const char *to, error_t *error)
{
    char *place = place_of (fs, from);
    char *target = place_of (fs, to);
    status_t status = under_of (fs)->ops->rename (under_of (fs), place, target, error);
    mem_free (place);
    mem_free (target);
    return status;
}

static status_t below_link (fs_t *fs, const char *from, const char *to, error_t *error)
{
    char *place = place_of (fs, from);
    char *target = place_of (fs, to);
    status_t status = fs_link (under_of (fs), place, target, error);
    mem_free (place);
    mem_free (target);
    return status;
}

static status_t below_remove (fs_t *fs, const char *path, error_t *error)
{
    char *place = place_of (fs, path);
    status_t status = under_of (fs)->ops->remove (under_of (fs), place, error);
    mem_free (place);
    return status;
}

static status_t below_make_dir (fs_t *fs, const char *path, error_t *error)
{
    char *place = place_of (fs, path);
    status_t status = under_of (fs)->ops->make_dir (under_of (fs), place, error);
    mem_free (place);
    return status;
}

static status_t below_sync_dir (fs_t *fs, const char *path, error_t *error)
{
    char *place = place_of (fs, path);
    status_t status = under_of (fs)->ops->sync_dir (under_of (fs), place, error);
    mem_free (place);
    return status;
}

static void below_forget (fs_t *fs, const char *path)
{
    char *place = place_of (fs, path);
    fs_forget (under_of (fs), place);
    mem_free (place);
}

static status_t below_list (fs_t *fs, const char *path, void (*each) (void *arg, const char *name),
                            void *arg, error_t *error)
{
    char *place = place_of (fs, path);
    status_t status = under_of (fs)->ops->list (under_of (fs), place, each, arg, error);
    mem_free (place);
    return status;
}

static status_t below_free_space (fs_t *fs, uint64_t *bytes, error_t *error)
{
    return under_of (fs)->ops->free_space (under_of (fs), bytes, error);
}

static status_t below_lock (fs_t *fs, file_t *file, int wait_ms, error_t *error)
{
    return fs_lock (under_of (fs), file, wait_ms, error);
}

static void below_unlock (fs_t *fs, file_t *file)
{
    fs_unlock (under_of (fs), file);
}

static const fs_ops_t below_ops = {
    .open = below_open,
    .close = below_close,
    .read = below_read,
    .write = below_write,
    .sync = below_sync,
    .size = below_size,
    .truncate = below_truncate,
    .map = below_map,
    .unmap = below_unmap,
    .rename = below_rename,
    .link = below_link,
    .remove = below_remove,
    .forget = below_forget,
    .make_dir = below_make_dir,
    .sync_dir = below_sync_dir,
    .list = below_list,
    .free_space = below_free_space,
    .lock = below_lock,
    .unlock = below_unlock,
};

fs_t *fs_below_new (fs_t *fs, const char *path)
{
    fs_below_t *self = mem_zero (1, sizeof *self);
    self->fs.ops = &below_ops;
    self->magic = BELOW_MAGIC;
    self->under = fs;
    self->path = strcmp (path, ".") == 0 ? NULL : mem_string (path);
    return &self->fs;
}

void fs_below_destroy (fs_t **self_p)
{
    if (!*self_p)
        return;
    fs_below_t *self = below_of (*self_p);
    mem_free (self->path);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}
