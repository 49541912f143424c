/* calls.c - what a process asks of the disk through its mount, with the faults that are injected.
 */
#include "tests/sim/disk/state.h"

#include "base/mem.h"

#include <string.h>

static void sim_unlock (fs_t *fs, file_t *handle);

/* ---- one call ---- */

/* Counts the call, and fails it when the process is dead or with chance `fault`. */
static status_t call (mount_t *mount, double fault, const char *what, const char *path,
                      error_t *error)
{
    if (mount->calls == mount->stops_at) {
        mount->stops_at = SIM_DISK_NEVER;
        mount->stop (mount->stop_arg);
    }
    if (mount->calls++ >= mount->dies_at)
        return error_set (error, STATUS_IO, "%s %s: the process has died", what, path);
    if (fault > 0 && random_chance (&mount->disk->random, fault))
        return error_set (error, STATUS_IO, "%s %s: injected fault", what, path);
    return STATUS_OK;
}

static status_t call_file (mount_t *mount, file_t *handle, double fault, const char *what,
                           sim_file_t **file, error_t *error)
{
    *file = (sim_file_t *)handle;
    CHECK_OBJECT (*file, FILE_MAGIC);
    status_t status = call (mount, fault, what, (*file)->path, error);
    if (status == STATUS_OK && (*file)->crashes != mount->disk->crashes)
        status = error_set (error, STATUS_IO, "%s %s: opened before a crash", what, (*file)->path);
    return status;
}

/* ---- paths ---- */

/* The directory that holds `path`, or NULL; its last part goes to `name` (empty for the root). */
static node_t *parent_of (sim_disk_t *disk, const char *path, char name[PATH_MAXIMUM])
{
    CHECK (strlen (path) < PATH_MAXIMUM);
    CHECK (path[0] != '/');
    node_t *node = disk->root;
    name[0] = '\0';
    if (strcmp (path, ".") == 0)
        return node;
    for (;;) {
        size_t size = strcspn (path, "/");
        CHECK (size > 0);
        memcpy (name, path, size);
        name[size] = '\0';
        CHECK (strcmp (name, "..") != 0);
        if (path[size] == '\0')
            return node;
        node = node_find (node, name);
        if (node == NULL || !node->directory)
            return NULL;
        path += size + 1;
    }
}

node_t *sim_disk_node (sim_disk_t *disk, const char *path)
{
    char name[PATH_MAXIMUM];
    node_t *parent = parent_of (disk, path, name);
    return parent == NULL || name[0] == '\0' ? parent : node_find (parent, name);
}

/* ---- files ---- */

static status_t find_or_create (mount_t *mount, const char *path, fs_mode_t mode, node_t **node,
                                error_t *error)
{
    sim_disk_t *disk = mount->disk;
    char name[PATH_MAXIMUM];
    node_t *parent = parent_of (disk, path, name);
    if (parent == NULL)
        return error_set (error, STATUS_NOT_FOUND, "open %s: no such directory", path);
    *node = name[0] == '\0' ? parent : node_find (parent, name);
    if (*node != NULL && mode == FS_CREATE)
        return error_set (error, STATUS_EXISTS, "open %s: it exists", path);
    if (*node != NULL && (*node)->directory)
        return error_set (error, STATUS_IO, "open %s: a directory", path);
    if (*node != NULL)
        return STATUS_OK;
    if (mode == FS_READ)
        return error_set (error, STATUS_NOT_FOUND, "open %s: no such file", path);
    if (random_chance (&disk->random, disk->faults.no_space))
        return error_set (error, STATUS_NO_SPACE, "open %s: injected disk full", path);
    node_t *created = node_new (false, &disk->used);
    node_link (parent, name, created, disk->coin++, false);
    *node = created;
    node_release (&created);
    return STATUS_OK;
}

static status_t sim_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file, error_t *error)
{
    mount_t *mount = mount_of (fs);
    node_t *node = NULL;
    status_t status = call (mount, mount->disk->faults.name_error, "open", path, error);
    if (status == STATUS_OK)
        status = find_or_create (mount, path, mode, &node, error);
    if (status != STATUS_OK)
        return status;
    sim_file_t *opened = mem_zero (1, sizeof *opened);
    opened->magic = FILE_MAGIC;
    opened->writable = mode != FS_READ;
    opened->crashes = mount->disk->crashes;
    opened->node = node_retain (node);
    opened->path = mem_string (path);
    mount->disk->open_files++;
    *file = (file_t *)opened;
    return STATUS_OK;
}

static void sim_close (fs_t *fs, file_t *handle)
{
    mount_t *mount = mount_of (fs);
    sim_file_t *file = (sim_file_t *)handle;
    CHECK_OBJECT (file, FILE_MAGIC);
    CHECK (mount->disk->open_files > 0);
    mount->disk->open_files--;
    sim_unlock (fs, handle);
    file->magic = 0;
    node_release (&file->node);
    mem_free (file->path);
    mem_free (file);
}

static void flip_bit (sim_disk_t *disk, uint8_t *data, size_t size)
{
    if (size == 0 || !random_chance (&disk->random, disk->faults.bit_flip))
        return;
    uint64_t bit = random_below (&disk->random, (uint64_t)size * 8);
    data[bit / 8] = (uint8_t)(data[bit / 8] ^ (1U << (bit % 8)));
}

static status_t sim_read (fs_t *fs, file_t *handle, uint64_t at, void *data, size_t size,
                          size_t *got, error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_file_t *file;
    status_t status =
        call_file (mount, handle, mount->disk->faults.read_error, "read", &file, error);
    if (status != STATUS_OK)
        return status;
    const content_t *content = &file->node->now;
    uint64_t left = at < content->size ? content->size - at : 0;
    *got = left < size ? (size_t)left : size;
    if (*got > 0)
        memcpy (data, content->data + at, *got);
    flip_bit (mount->disk, data, *got);
    return STATUS_OK;
}

static uint64_t limit_of (const sim_disk_t *disk)
{
    return disk->hidden ? disk->capacity : disk->limit;
}

static status_t check_room (sim_disk_t *disk, const sim_file_t *file, uint64_t end, error_t *error)
{
    uint64_t size = file->node->now.size;
    uint64_t limit = limit_of (disk);
    if (end > size && (disk->used > limit || end - size > limit - disk->used))
        return error_set (error, STATUS_NO_SPACE, "write %s: disk full", file->path);
    return STATUS_OK;
}

static status_t sim_write (fs_t *fs, file_t *handle, uint64_t at, const void *data, size_t size,
                           error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_disk_t *disk = mount->disk;
    sim_file_t *file;
    status_t status = call_file (mount, handle, 0, "write", &file, error);
    if (status != STATUS_OK)
        return status;
    if (!file->writable || at > UINT64_MAX - size)
        return error_set (error, STATUS_IO, "write %s: not open for this", file->path);
    bool io = random_chance (&disk->random, disk->faults.write_error);
    bool full = random_chance (&disk->random, disk->faults.no_space);
    if (io || full) {
        size_t part = (size_t)random_below (&disk->random, (uint64_t)size + 1);
        error_t ignored;
        if (check_room (disk, file, at + part, &ignored) == STATUS_OK)
            node_write (file->node, at, data, part);
        return error_set (error, io ? STATUS_IO : STATUS_NO_SPACE, "write %s: injected fault",
                          file->path);
    }
    status = check_room (disk, file, at + size, error);
    if (status == STATUS_OK)
        node_write (file->node, at, data, size);
    return status;
}

static status_t sim_sync (fs_t *fs, file_t *handle, error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_disk_t *disk = mount->disk;
    sim_file_t *file;
    status_t status = call_file (mount, handle, 0, "sync", &file, error);
    if (status != STATUS_OK)
        return status;
    if (random_chance (&disk->random, disk->faults.sync_error)) {
        node_sync_failed (file->node, &disk->random);
        return error_set (error, STATUS_IO, "sync %s: injected fault", file->path);
    }
    node_sync (file->node);
    return STATUS_OK;
}

static status_t sim_size (fs_t *fs, file_t *handle, uint64_t *size, error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_file_t *file;
    status_t status =
        call_file (mount, handle, mount->disk->faults.read_error, "size", &file, error);
    if (status == STATUS_OK)
        *size = file->node->now.size;
    return status;
}

static status_t sim_truncate (fs_t *fs, file_t *handle, uint64_t size, error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_file_t *file;
    status_t status =
        call_file (mount, handle, mount->disk->faults.write_error, "truncate", &file, error);
    if (status == STATUS_OK && !file->writable)
        status = error_set (error, STATUS_IO, "truncate %s: not open for this", file->path);
    if (status == STATUS_OK)
        status = check_room (mount->disk, file, size, error);
    if (status == STATUS_OK)
        node_truncate (file->node, size);
    return status;
}

static status_t sim_map (fs_t *fs, file_t *handle, size_t size, const void **data, error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_file_t *file;
    status_t status =
        call_file (mount, handle, mount->disk->faults.read_error, "map", &file, error);
    if (status != STATUS_OK)
        return status;
    const content_t *content = &file->node->now;
    if (size == 0 || size > content->size)
        return error_set (error, STATUS_IO, "map %s: %zu bytes of a file of %llu", file->path, size,
                          (unsigned long long)content->size);
    uint8_t *copy = mem_alloc (size);
    memcpy (copy, content->data, size);
    flip_bit (mount->disk, copy, size);
    sim_disk_t *disk = mount->disk;
    disk->maps = mem_resize (disk->maps, disk->maps_count + 1, sizeof *disk->maps);
    disk->maps[disk->maps_count++] = (mapped_t){ node_retain (file->node), copy };
    *data = copy;
    return STATUS_OK;
}

static void sim_unmap (fs_t *fs, const void *data, size_t size)
{
    sim_disk_t *disk = mount_of (fs)->disk;
    size_t at = 0;
    (void)size;
    while (at < disk->maps_count && disk->maps[at].data != data)
        at++;
    CHECK (at < disk->maps_count);
    node_release (&disk->maps[at].node);
    mem_free (disk->maps[at].data);
    disk->maps[at] = disk->maps[--disk->maps_count];
}

/* ---- names ---- */

static status_t sim_rename (fs_t *fs, const char *from, const char *to, error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_disk_t *disk = mount->disk;
    status_t status = call (mount, disk->faults.name_error, "rename", from, error);
    if (status != STATUS_OK)
        return status;
    char from_name[PATH_MAXIMUM];
    char to_name[PATH_MAXIMUM];
    node_t *from_parent = parent_of (disk, from, from_name);
    node_t *to_parent = parent_of (disk, to, to_name);
    node_t *node = from_parent == NULL ? NULL : node_find (from_parent, from_name);
    if (node == NULL || to_parent == NULL)
        return error_set (error, STATUS_NOT_FOUND, "rename %s to %s: no such name", from, to);
    node_t *replaced = node_find (to_parent, to_name);
    if (to_name[0] == '\0' || (replaced != NULL && (replaced->directory || node->directory)))
        return error_set (error, STATUS_EXISTS, "rename %s to %s: it exists", from, to);
    if (strncmp (to, from, strlen (from)) == 0 && to[strlen (from)] == '/')
        return error_set (error, STATUS_IO, "rename %s to %s: into itself", from, to);
    if (strcmp (from, to) == 0)
        return STATUS_OK;
    uint64_t coin = disk->coin++;
    node_retain (node);
    node_link (from_parent, from_name, NULL, coin, false);
    node_link (to_parent, to_name, node, coin, false);
    node_release (&node);
    return STATUS_OK;
}

static status_t sim_link (fs_t *fs, const char *from, const char *to, error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_disk_t *disk = mount->disk;
    status_t status = call (mount, disk->faults.name_error, "link", from, error);
    if (status != STATUS_OK)
        return status;
    char to_name[PATH_MAXIMUM];
    node_t *to_parent = parent_of (disk, to, to_name);
    node_t *node = sim_disk_node (disk, from);
    if (node == NULL || to_parent == NULL)
        return error_set (error, STATUS_NOT_FOUND, "link %s to %s: no such name", from, to);
    if (node->directory)
        return error_set (error, STATUS_INVALID, "link %s to %s: a directory", from, to);
    if (to_name[0] == '\0' || node_find (to_parent, to_name) != NULL)
        return error_set (error, STATUS_EXISTS, "link %s to %s: it exists", from, to);
    node_link (to_parent, to_name, node, disk->coin++, false);
    return STATUS_OK;
}

static status_t sim_remove (fs_t *fs, const char *path, error_t *error)
{
    mount_t *mount = mount_of (fs);
    sim_disk_t *disk = mount->disk;
    status_t status = call (mount, disk->faults.name_error, "remove", path, error);
    if (status != STATUS_OK)
        return status;
    char name[PATH_MAXIMUM];
    node_t *parent = parent_of (disk, path, name);
    node_t *node = parent == NULL || name[0] == '\0' ? parent : node_find (parent, name);
    if (node == NULL)
        return STATUS_OK;
    if (node->directory)
        return error_set (error, STATUS_IO, "remove %s: a directory", path);
    node_link (parent, name, NULL, disk->coin++, false);
    return STATUS_OK;
}

static status_t sim_make_dir (fs_t *fs, const char *path, error_t *error)
{
    mount_t *mount = mount_of (fs);
    status_t status = call (mount, mount->disk->faults.name_error, "mkdir", path, error);
    if (status != STATUS_OK)
        return status;
    char name[PATH_MAXIMUM];
    node_t *parent = parent_of (mount->disk, path, name);
    if (parent == NULL)
        return error_set (error, STATUS_NOT_FOUND, "mkdir %s: no such directory", path);
    node_t *there = name[0] == '\0' ? parent : node_find (parent, name);
    if (there != NULL)
        return error_set (error, there->directory ? STATUS_EXISTS : STATUS_IO,
                          "mkdir %s: it exists", path);
    node_t *created = node_new (true, &mount->disk->used);
    node_link (parent, name, created, mount->disk->coin++, false);
    node_release (&created);
    return STATUS_OK;
}

static status_t find_dir (mount_t *mount, const char *what, const char *path, node_t **node,
                          error_t *error)
{
    *node = sim_disk_node (mount->disk, path);
    if (*node == NULL)
        return error_set (error, STATUS_NOT_FOUND, "%s %s: no such directory", what, path);
    if (!(*node)->directory)
        return error_set (error, STATUS_IO, "%s %s: not a directory", what, path);
    return STATUS_OK;
}

static status_t sim_sync_dir (fs_t *fs, const char *path, error_t *error)
{
    mount_t *mount = mount_of (fs);
    node_t *node;
    status_t status = call (mount, mount->disk->faults.name_error, "sync", path, error);
    if (status == STATUS_OK)
        status = find_dir (mount, "sync", path, &node, error);
    if (status == STATUS_OK)
        node_sync_names (node);
    return status;
}

static status_t sim_list (fs_t *fs, const char *path, void (*each) (void *arg, const char *name),
                          void *arg, error_t *error)
{
    mount_t *mount = mount_of (fs);
    node_t *node;
    status_t status = call (mount, mount->disk->faults.read_error, "list", path, error);
    if (status == STATUS_OK)
        status = find_dir (mount, "list", path, &node, error);
    if (status != STATUS_OK)
        return status;
    size_t count = node->names.count; /* copied: `each` may change the directory */
    char **names = mem_zero (count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = mem_string (node->names.name[i].name);
    for (size_t i = 0; i < count; i++) {
        each (arg, names[i]);
        mem_free (names[i]);
    }
    mem_free (names);
    return STATUS_OK;
}

static status_t sim_free_space (fs_t *fs, uint64_t *bytes, error_t *error)
{
    mount_t *mount = mount_of (fs);
    status_t status = call (mount, mount->disk->faults.read_error, "statfs", "", error);
    if (status == STATUS_OK)
        *bytes = limit_of (mount->disk) > mount->disk->used
                     ? limit_of (mount->disk) - mount->disk->used
                     : 0;
    return status;
}

/* Time does not pass during a call, so nobody is waited for. */
static status_t sim_lock (fs_t *fs, file_t *handle, int wait_ms, error_t *error)
{
    sim_file_t *file;
    (void)wait_ms;
    status_t status = call_file (mount_of (fs), handle, 0, "lock", &file, error);
    if (status != STATUS_OK)
        return status;
    CHECK (file->node->locked_by != file);
    char name[PATH_MAXIMUM];
    node_t *parent = parent_of (mount_of (fs)->disk, file->path, name);
    if (parent == NULL || node_find (parent, name) != file->node)
        return error_set (error, STATUS_STALE, "%s was removed", file->path);
    if (file->node->locked_by != NULL)
        return error_set (error, STATUS_BUSY, "%s is locked by another process", file->path);
    file->node->locked_by = file;
    return STATUS_OK;
}

static void sim_unlock (fs_t *fs, file_t *handle)
{
    (void)fs;
    sim_file_t *file = (sim_file_t *)handle;
    CHECK_OBJECT (file, FILE_MAGIC);
    if (file->node->locked_by == file)
        file->node->locked_by = NULL;
}

const fs_ops_t sim_disk_calls_ops = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .size = sim_size,
    .truncate = sim_truncate,
    .map = sim_map,
    .unmap = sim_unmap,
    .rename = sim_rename,
    .link = sim_link,
    .remove = sim_remove,
    .make_dir = sim_make_dir,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .free_space = sim_free_space,
    .lock = sim_lock,
    .unlock = sim_unlock,
};
