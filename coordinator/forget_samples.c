/* Samples of answers (docs/skew.md), which may have an entity that is erased. A serving node that
 * lives and keeps any removes its own when it takes a dataset without the entity, or when its first
 * dataset lacks any, and is waited for. What others have kept goes here. */
#include "coordinator/forgets.h"

#include <string.h>

#define SAMPLES_DIR "samples"

typedef struct names {
    arena_t *arena;
    const char **items;
    size_t count;
} names_t;

static void add_name (void *arg, const char *name)
{
    names_t *self = arg;
    if (self->count % 64 == 0)
        self->items = mem_resize (self->items, self->count + 64, sizeof (char *));
    self->items[self->count++] = arena_string (self->arena, text_of (name));
}

/* One that is not there has nothing in it. */
static status_t list (fs_t *fs, const char *path, names_t *names, error_t *error)
{
    status_t status = fs_list (fs, path, add_name, names, error);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static status_t empty (fs_t *fs, arena_t *arena, const char *node, error_t *error)
{
    char *directory = mem_format (SAMPLES_DIR "/%s", node);
    names_t files = { .arena = arena };
    status_t status = list (fs, directory, &files, error);
    for (size_t i = 0; i < files.count && status == STATUS_OK; i++) {
        char *path = mem_format ("%s/%s", directory, files.items[i]);
        status = fs_remove (fs, path, error);
        mem_free (path);
    }
    if (status == STATUS_OK && files.count > 0)
        status = fs_sync_dir (fs, directory, error);
    mem_free (files.items);
    mem_free (directory);
    return status;
}

static bool keeps_own (const coordinator_core_t *self, const node_t *node)
{
    return node && node->role == ROLE_SERVING && node->samples && node_alive (self, node);
}

const char *forget_samples_wait (const coordinator_core_t *self)
{
    for (size_t i = 0; i < self->nodes_count; i++)
        if (keeps_own (self, self->nodes[i]) && self->nodes[i]->stale_sample)
            return self->nodes[i]->name;
    return NULL;
}

status_t forget_samples (coordinator_core_t *self, error_t *error)
{
    arena_t *arena = arena_new (1 << 14);
    names_t nodes = { .arena = arena };
    status_t status = list (self->env->fs, SAMPLES_DIR, &nodes, error);
    for (size_t i = 0; i < nodes.count && status == STATUS_OK; i++)
        if (!keeps_own (self, node_named (self, nodes.items[i])))
            status = empty (self->env->fs, arena, nodes.items[i], error);
    mem_free (nodes.items);
    arena_destroy (&arena);
    return status;
}
