/* memory_file.h - a filesystem that is one file in memory: to open bytes, and to keep bytes. */
#ifndef WEIR_TESTS_BATCHVIEW_MEMORY_FILE_H
#define WEIR_TESTS_BATCHVIEW_MEMORY_FILE_H

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"

#include <string.h>

typedef struct memory_file {
    fs_t fs; /* first: the file is its own fs */
    buf_t bytes;
    bool exists;
} memory_file_t;

static inline status_t memory_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file,
                                    error_t *error)
{
    memory_file_t *self = (memory_file_t *)fs;
    if (mode == FS_READ && !self->exists)
        return error_set (error, STATUS_NOT_FOUND, "%s is not there", path);
    if (mode == FS_CREATE && self->exists)
        return error_set (error, STATUS_EXISTS, "%s is there", path);
    self->exists = true;
    *file = (file_t *)fs;
    return STATUS_OK;
}

static inline void memory_close (fs_t *fs, file_t *file)
{
    (void)fs;
    (void)file;
}

static inline status_t memory_write (fs_t *fs, file_t *file, uint64_t at, const void *data,
                                     size_t size, error_t *error)
{
    (void)file;
    memory_file_t *self = (memory_file_t *)fs;
    if (at > self->bytes.size)
        return error_set (error, STATUS_IO, "a gap");
    size_t over = self->bytes.size - at;
    if (over < size && buf_extend (&self->bytes, size - over) == NULL)
        return error_set (error, STATUS_NO_SPACE, "full");
    if (size > 0)
        memcpy (self->bytes.data + at, data, size);
    return STATUS_OK;
}

static inline status_t memory_sync (fs_t *fs, file_t *file, error_t *error)
{
    (void)fs;
    (void)file;
    (void)error;
    return STATUS_OK;
}

static inline status_t memory_size (fs_t *fs, file_t *file, uint64_t *size, error_t *error)
{
    (void)file;
    (void)error;
    *size = ((memory_file_t *)fs)->bytes.size;
    return STATUS_OK;
}

/* A copy of exactly `size` bytes, so that a sanitizer sees a read past them. */
static inline status_t memory_map (fs_t *fs, file_t *file, size_t size, const void **data,
                                   error_t *error)
{
    (void)file;
    (void)error;
    void *copy = mem_alloc (size);
    memcpy (copy, ((memory_file_t *)fs)->bytes.data, size);
    *data = copy;
    return STATUS_OK;
}

static inline void memory_unmap (fs_t *fs, const void *data, size_t size)
{
    (void)fs;
    (void)size;
    void *copy;
    memcpy (&copy, &data, sizeof copy);
    mem_free (copy);
}

static inline status_t memory_remove (fs_t *fs, const char *path, error_t *error)
{
    (void)path;
    (void)error;
    memory_file_t *self = (memory_file_t *)fs;
    self->exists = false;
    buf_clear (&self->bytes);
    return STATUS_OK;
}

static const fs_ops_t memory_file_ops = {
    .open = memory_open,
    .close = memory_close,
    .write = memory_write,
    .sync = memory_sync,
    .size = memory_size,
    .map = memory_map,
    .unmap = memory_unmap,
    .remove = memory_remove,
};

static inline void memory_file_init (memory_file_t *self)
{
    *self = (memory_file_t){ .fs = { &memory_file_ops } };
    buf_init (&self->bytes, (size_t)1 << 32);
}

static inline void memory_file_release (memory_file_t *self)
{
    buf_release (&self->bytes);
}

#endif
