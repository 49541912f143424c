/* The files of what was stored, as bytes. */
#include "tests/unit/fsck/stored.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static error_t error;

static void ok (status_t status)
{
    if (status == STATUS_OK)
        return;
    fprintf (stderr, "%s\n", error.text);
    abort ();
}

typedef struct walk {
    fs_t *fs;
    arena_t *arena;
    const char *directory;
    char **files;
    size_t count;
} walk_t;

static void visit (void *arg, const char *name)
{
    walk_t *self = arg;
    const char *above = self->directory;
    char *path = strcmp (above, ".") == 0 ? mem_string (name) : mem_format ("%s/%s", above, name);
    error_t ignored;
    self->directory = arena_string (self->arena, text_of (path));
    if (fs_list (self->fs, path, visit, self, &ignored) != STATUS_OK) {
        self->files = mem_resize (self->files, self->count + 1, sizeof (char *));
        self->files[self->count++] = arena_string (self->arena, text_of (path));
    }
    self->directory = above;
    mem_free (path);
}

static int compare (const void *a, const void *b)
{
    return strcmp (*(char *const *)a, *(char *const *)b);
}

char **stored_files (fs_t *fs, arena_t *arena, size_t *count)
{
    walk_t walk = { fs, arena, ".", NULL, 0 };
    ok (fs_list (fs, ".", visit, &walk, &error));
    char **files = arena_zero (arena, walk.count + 1, sizeof (char *));
    if (walk.count > 0) {
        memcpy (files, walk.files, walk.count * sizeof (char *));
        qsort (files, walk.count, sizeof *files, compare);
    }
    mem_free (walk.files);
    *count = walk.count;
    return files;
}

text_t stored_read (fs_t *fs, arena_t *arena, const char *path)
{
    file_t *file;
    uint64_t size;
    ok (fs_open (fs, path, FS_READ, &file, &error));
    ok (fs_size (fs, file, &size, &error));
    char *data = arena_alloc (arena, size + 1);
    ok (fs_read_all (fs, file, 0, data, size, &error));
    fs_close (fs, &file);
    return (text_t){ data, (uint32_t)size };
}

void stored_write (fs_t *fs, const char *path, text_t content)
{
    ok (fs_replace (fs, path, content.data, content.size, &error));
}
