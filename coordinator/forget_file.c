#include "coordinator/forgets.h"

#include <string.h>
#include <xxhash.h>

#define FORGETS_DIR  "forgets"
#define FORGET_MAGIC UINT64_C (0x7465677266726977) /* "wirfrget" */

enum { FORGET_FILE_VERSION = 1, FORGET_FILE_MAX = 1 << 16 };

static char *path_of (const char *id)
{
    return mem_format (FORGETS_DIR "/%s", id);
}

static void encode (const forget_t *forget, buf_t *out)
{
    buf_put_u64 (out, FORGET_MAGIC);
    buf_put_u32 (out, FORGET_FILE_VERSION);
    buf_put_text (out, forget->key);
    buf_put_text (out, text_of (forget->shown));
    buf_put_u64 (out, XXH3_64bits (out->data, out->size));
}

status_t forget_file_write (coordinator_core_t *self, const forget_t *forget, error_t *error)
{
    char *path = path_of (forget->row.id);
    buf_t bytes;
    buf_init (&bytes, FORGET_FILE_MAX);
    encode (forget, &bytes);
    status_t status = bytes.bad ? error_set (error, STATUS_TOO_LARGE, "the key is too long")
                                : fs_make_dir (self->env->fs, FORGETS_DIR, error);
    if (status == STATUS_OK)
        status = fs_replace (self->env->fs, path, bytes.data, bytes.size, error);
    buf_release (&bytes);
    mem_free (path);
    return status;
}

static status_t decode (forget_t *forget, const void *data, size_t size, error_t *error)
{
    reader_t reader = reader_of (data, size);
    uint64_t magic = reader_u64 (&reader);
    uint32_t version = reader_u32 (&reader);
    text_t key = reader_text (&reader);
    text_t shown = reader_text (&reader);
    uint64_t sum = reader_u64 (&reader);
    if (reader.bad || reader_left (&reader) > 0 || magic != FORGET_MAGIC ||
        sum != XXH3_64bits (data, size - sizeof sum))
        return error_set (error, STATUS_CORRUPT, FORGETS_DIR "/%s is damaged", forget->row.id);
    if (version != FORGET_FILE_VERSION)
        return error_set (error, STATUS_VERSION, FORGETS_DIR "/%s has version %u", forget->row.id,
                          version);
    forget->key = arena_text (forget->arena, key);
    forget->shown = arena_string (forget->arena, shown);
    return STATUS_OK;
}

status_t forget_file_read (coordinator_core_t *self, forget_t *forget, error_t *error)
{
    fs_t *fs = self->env->fs;
    char *path = path_of (forget->row.id);
    file_t *file = NULL;
    uint64_t size = 0;
    void *data = NULL;
    status_t status = fs_open (fs, path, FS_READ, &file, error);
    if (status == STATUS_OK)
        status = fs_size (fs, file, &size, error);
    if (status == STATUS_OK && size > FORGET_FILE_MAX)
        status = error_set (error, STATUS_CORRUPT, "%s is too large", path);
    if (status == STATUS_OK) {
        data = mem_alloc (size + 1);
        status = fs_read_all (fs, file, 0, data, size, error);
    }
    if (status == STATUS_OK)
        status = decode (forget, data, size, error);
    fs_close (fs, &file);
    mem_free (data);
    mem_free (path);
    return status;
}

typedef struct listing {
    arena_t *arena;
    const char **names;
    size_t count;
} listing_t;

static void add_name (void *arg, const char *name)
{
    listing_t *self = arg;
    if (self->count % 64 == 0)
        self->names = mem_resize (self->names, self->count + 64, sizeof (char *));
    self->names[self->count++] = arena_string (self->arena, text_of (name));
}

status_t forget_files (coordinator_core_t *self, arena_t *arena, const char ***names, size_t *count,
                       error_t *error)
{
    listing_t listing = { .arena = arena };
    status_t status = fs_list (self->env->fs, FORGETS_DIR, add_name, &listing, error);
    *names = listing.names;
    *count = listing.count;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

status_t forget_file_remove (coordinator_core_t *self, const char *id, error_t *error)
{
    fs_t *fs = self->env->fs;
    char *path = path_of (id);
    char *temporary = mem_format ("%s.tmp", path); /* of a write that was cut off */
    status_t status = fs_remove (fs, path, error);
    if (status == STATUS_OK)
        status = fs_remove (fs, temporary, error);
    mem_free (temporary);
    mem_free (path);
    if (status != STATUS_OK)
        return status;
    status = fs_sync_dir (fs, FORGETS_DIR, error);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
