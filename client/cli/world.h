/* world.h - all files of this machine as one filesystem, for what goes from one place to another.
 */
#ifndef WEIR_CLI_WORLD_H
#define WEIR_CLI_WORLD_H

#include "base/arena.h"
#include "base/fs.h"

typedef struct world {
    fs_t *fs; /* at the root */
    arena_t *arena;
} world_t;

MUST_CHECK status_t world_open (world_t *self, error_t *error);
void world_release (world_t *self);

/* A path as the user gave it, as `fs` takes it; it need not be there. Lives as long as the world.
 */
const char *world_path (world_t *self, const char *path);

/* Removes directories below `path`, and itself, that have nothing in them. */
void world_remove_empty (const char *path);

#endif
