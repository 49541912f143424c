#include "client/cli/data_place.h"

#include "backup/backup.h"
#include "base/mem.h"
#include "storage/cluster_file.h"
#include "storage/posix_fs.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void take_lock (void *arg, const char *name)
{
    data_place_t *self = arg;
    size_t size = strlen (name);
    if (size < 5 || strcmp (name + size - 5, ".lock") != 0)
        return;
    char *path = mem_format ("nodes/%s", name);
    file_t *lock = NULL;
    error_t error;
    if (self->locks_count == DATA_LOCKS_MAX ||
        posix_fs_lock (self->fs, path, &lock, &error) != STATUS_OK)
        self->running = true;
    else
        self->locks[self->locks_count++] = lock;
    mem_free (path);
}

/* Those of nodes first: a node that starts waits for the cluster's, and finding its own taken it
 * would take itself for running already. */
static void give_back_locks (data_place_t *self)
{
    for (size_t i = 0; i < self->locks_count; i++)
        fs_close (self->fs, &self->locks[i]);
    self->locks_count = 0;
    fs_close (self->fs, &self->cluster);
}

status_t data_place_open (data_place_t *self, const char *directory, error_t *error)
{
    struct stat about;
    *self = (data_place_t){ .fs = NULL };
    if (stat (directory, &about) != 0 || !S_ISDIR (about.st_mode))
        return error_set (error, STATUS_NOT_FOUND, "there is no directory %s", directory);
    char *cluster = mem_format ("%s/" CLUSTER_FILE, directory);
    bool is_data = access (cluster, F_OK) == 0;
    mem_free (cluster);
    char *backup = mem_format ("%s/" BACKUP_FILE, directory);
    bool is_backup = access (backup, F_OK) == 0;
    mem_free (backup);
    if (!is_data && is_backup)
        return error_set (
            error, STATUS_INVALID,
            "%s is a backup, and no data directory: `weir backup --verify %s` reads it", directory,
            directory);
    if (!is_data)
        return error_set (error, STATUS_NOT_FOUND,
                          "%s is no data directory: there is no file \"" CLUSTER_FILE "\" in it",
                          directory);
    status_t status = posix_fs_open (directory, &self->fs, error);
    if (status != STATUS_OK)
        return status;
    error_t ignored; /* where nothing can be written no node can start */
    if (posix_fs_lock (self->fs, CLUSTER_LOCK, &self->cluster, &ignored) == STATUS_BUSY)
        self->running = true; /* one is starting, or another command is at work */
    else
        status = fs_list (self->fs, "nodes", take_lock, self, error);
    if (status == STATUS_NOT_FOUND) /* no node ever ran here */
        status = STATUS_OK;
    if (self->running)
        give_back_locks (self);
    if (status != STATUS_OK)
        data_place_release (self);
    return status;
}

void data_place_release (data_place_t *self)
{
    if (!self->fs)
        return;
    give_back_locks (self);
    posix_fs_destroy (&self->fs);
}
