/* world.h - all files of this machine as one filesystem, for what goes from one place to another.
 */
#ifndef WEIR_CLI_WORLD_H
#define WEIR_CLI_WORLD_H

#include "base/arena.h"
#include "base/fs.h"

enum { WORLD_PATHS_MAX = 8 };

typedef struct world {
    fs_t *fs; /* at the root */
    arena_t *arena;
    const char *paths[WORLD_PATHS_MAX]; /* that were asked for */
    size_t paths_count;
} world_t;

MUST_CHECK status_t world_open (world_t *self, error_t *error);
void world_release (world_t *self);

/* A path as the user gave it, as `fs` takes it; it need not be there. Lives as long as the world.
 */
const char *world_path (world_t *self, const char *path);

/* Paths of world_path in the error's text become those from the root, as people write them. */
void world_explain (const world_t *self, error_t *error);

/* Removes directories below `path`, and itself, that have nothing in them: all of them, so only of
 * a path that was taken into use (backup_summary_t.begun). */
void world_remove_empty (const char *path);

#endif
