/* Rot: a bit of a stored file is another one from now on. What then must hold is that nobody takes
 * it for good: the partition, the recompute or the answer says so, or a copy is made anew. When
 * faults stop, the disk is mended, and everything must heal. */
#include "tests/sim/world.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_MAX_SIZE = 512, FILES_MAX = 4096, DEPTH_MAX = 6 };

typedef struct walk {
    fs_t *fs;
    char *paths[FILES_MAX];
    size_t count;
    char **found; /* the names of the directory that is being read */
    size_t found_count;
} walk_t;

static void take_name (void *arg, const char *name)
{
    walk_t *walk = arg;
    walk->found = mem_resize (walk->found, walk->found_count + 1, sizeof *walk->found);
    walk->found[walk->found_count++] = mem_string (name);
}

/* All files below a directory; names come in byte order. */
static void walk_dir (walk_t *walk, const char *dir, unsigned depth)
{
    error_t error;
    walk->found = NULL;
    walk->found_count = 0;
    status_t status = fs_list (walk->fs, dir, take_name, walk, &error);
    char **names = walk->found;
    size_t count = walk->found_count;
    for (size_t i = 0; i < count; i++) {
        char path[PATH_MAX_SIZE];
        snprintf (path, sizeof path, "%.200s/%.200s", dir, names[i]);
        mem_free (names[i]);
        bool file = strchr (strrchr (path, '/'), '.') != NULL;
        if (status == STATUS_OK && file && walk->count < FILES_MAX)
            walk->paths[walk->count++] = mem_string (path);
        else if (status == STATUS_OK && !file && depth < DEPTH_MAX)
            walk_dir (walk, path, depth + 1);
    }
    mem_free (names);
}

static bool is_segment (const char *path)
{
    size_t size = strlen (path);
    return size > 4 && strcmp (path + size - 4, ".seg") == 0;
}

/* The epoch in a segment's name. */
static const char *epoch_of (const char *path)
{
    return strrchr (path, '-') + 1;
}

/* The newest segment of a log, or one that a power cut may make the newest: of its last flush
 * nobody can tell whether it rotted or was never written whole (docs/formats.md). Only what was
 * durable when it got its name is damaged. A segment that begins later may be an older owner's. */
static bool is_newest (sim_disk_t *disk, const walk_t *walk, size_t place)
{
    const char *path = walk->paths[place];
    size_t dir = (size_t)(strrchr (path, '/') - path);
    for (size_t i = 0; i < walk->count; i++) {
        const char *other = walk->paths[i];
        if (strncmp (other, path, dir + 1) != 0 || !is_segment (other))
            continue;
        int order = strcmp (epoch_of (other), epoch_of (path));
        bool later = order > 0 || (order == 0 && i > place);
        if (later && sim_disk_name_is_durable (disk, other))
            return false;
    }
    return true;
}

/* What of a segment was durable when it got its name, as its header said before anything rotted. */
static uint64_t begun_size (sim_t *self, const char *path)
{
    enum { BEGUN_AT = 64, HEADER = 512 };
    fs_t *fs = sim_disk_fs (sim_disk (self));
    file_t *file = NULL;
    uint64_t size = HEADER;
    error_t error;
    sim_disk_calm (self, true);
    if (fs_open (fs, path, FS_READ, &file, &error) == STATUS_OK &&
        fs_read_all (fs, file, BEGUN_AT, &size, sizeof size, &error) != STATUS_OK)
        size = HEADER;
    fs_close (fs, &file);
    sim_disk_calm (self, false);
    return size;
}

void rot_somewhere (sim_t *self, random_t *random)
{
    static const char *const roots[] = { "log", "history", "views" };
    walk_t walk = { .fs = sim_disk_fs (sim_disk (self)) };
    sim_disk_calm (self, true);
    walk_dir (&walk, roots[random_below (random, 3)], 0);
    sim_disk_calm (self, false);
    uint64_t choice = random_next (random);
    uint64_t place = random_next (random);
    if (walk.count > 0) {
        size_t chosen = choice % walk.count;
        uint64_t size = sim_disk_durable_size (sim_disk (self), walk.paths[chosen]);
        if (is_segment (walk.paths[chosen]) && is_newest (sim_disk (self), &walk, chosen) &&
            size > 0) {
            uint64_t begun = begun_size (self, walk.paths[chosen]);
            size = begun < size ? begun : size;
        }
        if (size > 0) {
            uint64_t bit = place % (size * 8);
            sim_log (self, "%s: bit %" PRIu64 " rots", walk.paths[chosen], bit);
            sim_disk_rot (sim_disk (self), walk.paths[chosen], bit);
        }
    }
    for (size_t i = 0; i < walk.count; i++)
        mem_free (walk.paths[i]);
}
