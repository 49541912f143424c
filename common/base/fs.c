#include "base/fs.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

bool fs_is_path (text_t path)
{
    uint32_t part = 0; /* where it begins */
    if (path.size > FS_PATH_MAX || (path.size > 0 && memchr (path.data, '\0', path.size)))
        return false;
    for (uint32_t at = 0; at <= path.size; at++) {
        if (at < path.size && path.data[at] != '/')
            continue;
        text_t name = { path.data + part, at - part };
        if (name.size == 0 || text_is (name, ".") || text_is (name, ".."))
            return false;
        part = at + 1;
    }
    return true;
}

static bool is_path (const char *path)
{
    return fs_is_path (text_of (path));
}

static bool is_dir_path (const char *path)
{
    return strcmp (path, ".") == 0 || is_path (path);
}

/* The directory that `path` is in, "." for the root; the caller frees it. */
static char *parent_of (const char *path)
{
    const char *slash = strrchr (path, '/');
    return slash ? mem_string_n (path, (size_t)(slash - path)) : mem_string (".");
}

status_t fs_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file, error_t *error)
{
    CHECK (is_path (path));
    *file = NULL;
    return fs->ops->open (fs, path, mode, file, error);
}

void fs_close (fs_t *fs, file_t **file_p)
{
    if (*file_p)
        fs->ops->close (fs, *file_p);
    *file_p = NULL;
}

status_t fs_read (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size, size_t *got,
                  error_t *error)
{
    *got = 0;
    return fs->ops->read (fs, file, at, data, size, got, error);
}

status_t fs_read_all (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size, error_t *error)
{
    size_t got;
    status_t status = fs_read (fs, file, at, data, size, &got, error);
    if (status != STATUS_OK)
        return status;
    if (got < size)
        return error_set (error, STATUS_CORRUPT,
                          "the file ends early: %zu of %zu bytes at offset %llu", got, size,
                          (unsigned long long)at);
    return STATUS_OK;
}

status_t fs_write (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                   error_t *error)
{
    return fs->ops->write (fs, file, at, data, size, error);
}

status_t fs_sync (fs_t *fs, file_t *file, error_t *error)
{
    return fs->ops->sync (fs, file, error);
}

status_t fs_size (fs_t *fs, file_t *file, uint64_t *size, error_t *error)
{
    *size = 0;
    return fs->ops->size (fs, file, size, error);
}

status_t fs_truncate (fs_t *fs, file_t *file, uint64_t size, error_t *error)
{
    return fs->ops->truncate (fs, file, size, error);
}

/* What fs_map gives for no bytes, which mmap refuses. */
static const char no_bytes[1];

status_t fs_map (fs_t *fs, file_t *file, size_t size, const void **data, error_t *error)
{
    *data = NULL;
    uint64_t held;
    status_t status = fs_size (fs, file, &held, error);
    if (status != STATUS_OK)
        return status;
    /* Touching a page past the end would be a signal, not an error. */
    if (held < size)
        return error_set (error, STATUS_CORRUPT, "the file ends early: %llu of %zu bytes",
                          (unsigned long long)held, size);
    if (size == 0) {
        *data = no_bytes;
        return STATUS_OK;
    }
    return fs->ops->map (fs, file, size, data, error);
}

void fs_unmap (fs_t *fs, const void **data_p, size_t size)
{
    if (*data_p && size > 0)
        fs->ops->unmap (fs, *data_p, size);
    *data_p = NULL;
}

status_t fs_rename (fs_t *fs, const char *from, const char *to, error_t *error)
{
    CHECK (is_path (from));
    CHECK (is_path (to));
    return fs->ops->rename (fs, from, to, error);
}

status_t fs_link (fs_t *fs, const char *from, const char *to, error_t *error)
{
    CHECK (is_path (from));
    CHECK (is_path (to));
    if (!fs->ops->link)
        return error_set (error, STATUS_INVALID, "linking %s: this filesystem has no links", from);
    return fs->ops->link (fs, from, to, error);
}

void fs_forget (fs_t *fs, const char *path)
{
    CHECK (is_path (path));
    if (fs->ops->forget)
        fs->ops->forget (fs, path);
}

status_t fs_remove (fs_t *fs, const char *path, error_t *error)
{
    CHECK (is_path (path));
    status_t status = fs->ops->remove (fs, path, error);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* Makes one directory and its name durable. An old one is synced too: who made it may have stopped
 * before its sync. */
static status_t make_one_dir (fs_t *fs, const char *path, error_t *error)
{
    status_t status = fs->ops->make_dir (fs, path, error);
    if (status != STATUS_OK && status != STATUS_EXISTS)
        return status;
    char *parent = parent_of (path);
    status = fs_sync_dir (fs, parent, error);
    mem_free (parent);
    return status;
}

status_t fs_make_dir (fs_t *fs, const char *path, error_t *error)
{
    CHECK (is_path (path));
    char *prefix = mem_string (path);
    status_t status = STATUS_OK;
    for (char *slash = strchr (prefix, '/'); slash && status == STATUS_OK;
         slash = strchr (slash + 1, '/')) {
        *slash = '\0';
        status = make_one_dir (fs, prefix, error);
        *slash = '/';
    }
    mem_free (prefix);
    return status == STATUS_OK ? make_one_dir (fs, path, error) : status;
}

status_t fs_sync_dir (fs_t *fs, const char *path, error_t *error)
{
    CHECK (is_dir_path (path));
    return fs->ops->sync_dir (fs, path, error);
}

typedef struct names {
    char **name;
    size_t count;
    size_t capacity;
} names_t;

static void collect_name (void *arg, const char *name)
{
    names_t *names = arg;
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 16;
        names->name = mem_resize (names->name, names->capacity, sizeof *names->name);
    }
    names->name[names->count++] = mem_string (name);
}

static int compare_names (const void *a, const void *b)
{
    return strcmp (*(char *const *)a, *(char *const *)b);
}

status_t fs_list (fs_t *fs, const char *path, void (*each) (void *arg, const char *name), void *arg,
                  error_t *error)
{
    CHECK (is_dir_path (path));
    names_t names = { 0 };
    status_t status = fs->ops->list (fs, path, collect_name, &names, error);
    if (names.count > 0)
        qsort (names.name, names.count, sizeof *names.name, compare_names);
    for (size_t i = 0; i < names.count; i++) {
        if (status == STATUS_OK)
            each (arg, names.name[i]);
        mem_free (names.name[i]);
    }
    mem_free (names.name);
    return status;
}

status_t fs_free_space (fs_t *fs, uint64_t *bytes, error_t *error)
{
    *bytes = 0;
    return fs->ops->free_space (fs, bytes, error);
}

/* In GiB, or MiB. */
static double in_units (uint64_t bytes, bool large)
{
    return (double)bytes / (large ? 1 << 30 : 1 << 20);
}

status_t fs_require (fs_t *fs, uint64_t bytes, uint64_t reserve, const char *where, error_t *error)
{
    uint64_t free;
    status_t status = fs_free_space (fs, &free, error);
    if (status != STATUS_OK || (free >= reserve && free - reserve >= bytes))
        return status;
    bool large = bytes >= 1 << 30;
    const char *unit = large ? "GiB" : "MiB";
    return error_set (
        error, STATUS_NO_SPACE,
        "the disk is full: it needs about %.1f %s, %.1f %s are free in %s, and %.1f %s "
        "have to stay free",
        in_units (bytes, large), unit, in_units (free, large), unit, where,
        in_units (reserve, large), unit);
}

static status_t write_new (fs_t *fs, const char *path, const void *data, size_t size,
                           error_t *error)
{
    file_t *file;
    status_t status = fs_open (fs, path, FS_WRITE, &file, error);
    if (status == STATUS_OK)
        status = fs_truncate (fs, file, 0, error);
    if (status == STATUS_OK)
        status = fs_write (fs, file, 0, data, size, error);
    if (status == STATUS_OK)
        status = fs_sync (fs, file, error);
    fs_close (fs, &file);
    return status;
}

status_t fs_replace (fs_t *fs, const char *path, const void *data, size_t size, error_t *error)
{
    CHECK (is_path (path));
    char *fresh = mem_format ("%s.tmp", path);
    char *parent = parent_of (path);
    status_t status = write_new (fs, fresh, data, size, error);
    if (status == STATUS_OK)
        status = fs_rename (fs, fresh, path, error);
    if (status == STATUS_OK) {
        status = fs_sync_dir (fs, parent, error);
    } else {
        error_t ignored; /* a leftover is overwritten by the next attempt */
        (void)!fs_remove (fs, fresh, &ignored);
    }
    mem_free (parent);
    mem_free (fresh);
    return status;
}

status_t fs_lock (fs_t *fs, file_t *file, int wait_ms, error_t *error)
{
    if (!fs->ops->lock)
        return error_set (error, STATUS_UNSUPPORTED, "this filesystem has no locks");
    return fs->ops->lock (fs, file, wait_ms, error);
}

void fs_unlock (fs_t *fs, file_t *file)
{
    fs->ops->unlock (fs, file);
}
