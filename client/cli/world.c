#include "client/cli/world.h"

#include "base/buf.h"
#include "base/mem.h"
#include "storage/posix_fs.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTORS = 16 };

status_t world_open (world_t *self, error_t *error)
{
    *self = (world_t){ .arena = arena_new (1024) };
    return posix_fs_open ("/", &self->fs, error);
}

void world_release (world_t *self)
{
    posix_fs_destroy (&self->fs);
    arena_destroy (&self->arena);
}

/* Without empty parts, "." and "..", as far as that can be done by looking at the text. */
static void append_parts (buf_t *out, const char *path)
{
    while (*path) {
        size_t size = strcspn (path, "/");
        if (size == 2 && memcmp (path, "..", 2) == 0) {
            while (out->size > 0 && out->data[out->size - 1] != '/')
                out->size--;
            out->size -= out->size > 0;
        } else if (size > 0 && !(size == 1 && path[0] == '.')) {
            if (out->size > 0)
                buf_put_string (out, "/");
            buf_put (out, path, size);
        }
        path += size;
        path += *path == '/';
    }
}

/* The longest part of the path that is there, with its links followed, and the rest as given. */
const char *world_path (world_t *self, const char *path)
{
    char *head = mem_string (path);
    char *real = realpath (head, NULL);
    size_t kept = strlen (head);
    while (!real && kept > 0) {
        while (kept > 0 && head[kept - 1] == '/')
            kept--;
        while (kept > 0 && head[kept - 1] != '/')
            kept--;
        head[kept] = '\0';
        real = realpath (kept > 0 ? head : ".", NULL);
    }
    buf_t out;
    buf_init (&out, 1 << 16);
    append_parts (&out, real ? real : "");
    append_parts (&out, path + kept);
    const char *copy =
        arena_string (self->arena, (text_t){ (const char *)out.data, (uint32_t)out.size });
    buf_release (&out);
    mem_free (real);
    mem_free (head);
    if (self->paths_count < WORLD_PATHS_MAX && copy[0] != '\0')
        self->paths[self->paths_count++] = copy;
    return copy;
}

void world_explain (const world_t *self, error_t *error)
{
    for (size_t i = 0; i < self->paths_count; i++) {
        size_t size = strlen (self->paths[i]);
        for (char *at = error->text; (at = strstr (at, self->paths[i])) != NULL; at += size) {
            size_t used = strlen (error->text) + 1;
            /* within a word it is a part of something else, or has its slash */
            if ((at > error->text && at[-1] != ' ' && at[-1] != '"') || used == sizeof error->text)
                continue;
            memmove (at + 1, at, used - (size_t)(at - error->text));
            *at++ = '/';
        }
    }
}

static int remove_directory (const char *path, const struct stat *about, int kind,
                             struct FTW *place)
{
    (void)about;
    (void)place;
    if (kind == FTW_DP)
        (void)rmdir (path); /* not when there is something in it */
    return 0;
}

void world_remove_empty (const char *path)
{
    (void)nftw (path, remove_directory, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}
