/* fsck_orphans.c - files that nobody needs. Only when no node runs: a task's are not known before
 * it is done. */
#include "fsck/fsck_state.h"

#include "base/mem.h"

#include <string.h>

enum { DEPTH_MAX = 8 };

typedef struct place {
    fsck_t *fsck;
    const char *directory;
    int depth;
} place_t;

static void look (void *arg, const char *name);

/* A directory is looked into; false: it is a file. */
static bool look_into (fsck_t *self, const char *path, int depth)
{
    place_t place = { self, path, depth };
    error_t error;
    return fs_list (self->fs, path, look, &place, &error) == STATUS_OK;
}

static void look (void *arg, const char *name)
{
    const place_t *place = arg;
    fsck_t *self = place->fsck;
    char *path = mem_format ("%s/%s", place->directory, name);
    bool known = inventory_knows (self->inventory, path);
    if (!known && (place->depth >= DEPTH_MAX || !look_into (self, path, place->depth + 1)))
        fsck_tell (self,
                   (fsck_finding_t){ .kind = FSCK_ORPHAN,
                                     .path = path,
                                     .what = "nothing refers to it",
                                     .remedy = "the coordinator, or --repair, removes it" },
                   true);
    mem_free (path);
}

void fsck_orphans (fsck_t *self)
{
    static const char *const directories[] = { "history", "views", "incoming", "backups",
                                               "training" };
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        (void)look_into (self, directories[i], 0);
}
