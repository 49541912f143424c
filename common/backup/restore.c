/* restore.c - a data directory from a backup. */
#include "backup/backup.h"
#include "backup/copying.h"
#include "base/check.h"
#include "base/fs_below.h"
#include "base/mem.h"
#include "catalog/catalog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct restore {
    work_t work;
    const char *backup;
    const char *data;
    listing_t *listing;
    fs_t *target;
    uint64_t *epochs; /* per partition: the highest of any segment */
} restore_t;

/* "log/pay/user/3/00000000000000000000-0000000001.seg" is of partition 3 and epoch 1. */
static void note_epoch (restore_t *self, const char *path)
{
    const char *name = strrchr (path, '/');
    if (strncmp (path, "log/", 4) != 0 || !name || strlen (name) != 36 || name[21] != '-')
        return;
    const char *partition = name;
    while (partition > path && partition[-1] != '/')
        partition--;
    uint64_t number = strtoull (partition, NULL, 10);
    uint64_t epoch = strtoull (name + 22, NULL, 10);
    if (number < self->listing->cluster.partitions && epoch > self->epochs[number])
        self->epochs[number] = epoch;
}

static status_t copy_file (restore_t *self, const listed_file_t *file, error_t *error)
{
    char *from = mem_format ("%s/data/%s", self->backup, file->path);
    char *to = mem_format ("%s/%s", self->data, file->path);
    listed_hash_t hash;
    uint64_t size;
    status_t status = work_copy (&self->work, from, to, UINT64_MAX, &size, &hash, error);
    if (status == STATUS_NOT_FOUND)
        status = error_set (error, STATUS_CORRUPT, "%s is missing from the backup", from);
    else if (status == STATUS_OK &&
             (size != file->size || memcmp (&hash, &file->hash, sizeof hash) != 0))
        status = error_set (error, STATUS_CORRUPT,
                            "%s is damaged: its content is not what the backup was made of", from);
    char *directory = work_directory (to);
    if (status == STATUS_OK)
        status = fs_sync_dir (self->work.fs, directory, error);
    mem_free (directory);
    mem_free (from);
    mem_free (to);
    note_epoch (self, file->path);
    return status;
}

static status_t copy_all (restore_t *self, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < self->listing->files_count; i++)
        self->work.total += self->listing->files[i].size;
    for (size_t i = 0; i < self->listing->files_count && status == STATUS_OK; i++)
        if (strcmp (self->listing->files[i].path, CLUSTER_FILE) != 0)
            status = copy_file (self, &self->listing->files[i], error);
    return status;
}

/* From here on it is another directory than the one that was backed up. */
static status_t begin_anew (restore_t *self, uint64_t place, error_t *error)
{
    cluster_file_t cluster = self->listing->cluster;
    cluster.place = place;
    status_t status =
        catalog_restored (self->target, "catalog.db", self->epochs, cluster.partitions, error);
    return status == STATUS_OK ? cluster_file_write (self->target, &cluster, error) : status;
}

/* What there may be of a restore that was not finished, and goes last. */
static const char *const mark_names[] = { CLUSTER_FILE, CLUSTER_FILE ".tmp", CLUSTER_LOCK, NULL };
static const char *const lock_name[] = { CLUSTER_LOCK, NULL };

/* Takes the directory into use: it is marked, and `lock` keeps away nodes, which wait, and other
 * commands. */
static status_t prepare (restore_t *self, file_t **lock, error_t *error)
{
    fs_t *fs = self->work.fs;
    *lock = NULL;
    status_t status = STATUS_OK;
    bool usable =
        cluster_file_is_unfinished (self->target) || work_has_only (fs, self->data, lock_name);
    if (usable)
        status = work_hold (fs, self->data, CLUSTER_LOCK, lock, error);
    if (status != STATUS_OK)
        return status;
    bool unfinished = cluster_file_is_unfinished (self->target); /* nobody makes it so any more */
    if (!usable || (!unfinished && !work_has_only (fs, self->data, lock_name))) {
        fs_close (fs, lock);
        return error_set (error, STATUS_EXISTS,
                          "%s is not empty: restore into a new directory, and move the old one "
                          "away yourself if this is to be its name",
                          self->data);
    }
    if (unfinished) /* an earlier restore's, and of no use */
        work_clear (fs, self->data, mark_names);
    return cluster_file_write_unfinished (self->target, error);
}

/* The mark that it is not whole goes after all else, if that went. */
static void give_up (restore_t *self)
{
    work_clear (self->work.fs, self->data, mark_names);
    if (work_has_only (self->work.fs, self->data, mark_names))
        work_clear (self->work.fs, self->data, NULL);
}

status_t backup_restore (fs_t *fs, const char *backup, const char *data, uint64_t place,
                         const backup_watch_t *watch, backup_summary_t *summary, error_t *error)
{
    CHECK (place != 0);
    *summary = (backup_summary_t){ .files = 0 };
    restore_t self = { .work = { .fs = fs, .watch = watch },
                       .backup = backup,
                       .data = data,
                       .target = fs_below_new (fs, data) };
    status_t status = listing_read (fs, backup, &self.listing, error);
    if (status == STATUS_OK)
        self.epochs = mem_zero (self.listing->cluster.partitions, sizeof *self.epochs);
    file_t *lock = NULL;
    if (status == STATUS_OK) {
        status = prepare (&self, &lock, error);
        summary->begun = status != STATUS_EXISTS && status != STATUS_BUSY;
    }
    if (status == STATUS_OK)
        status = copy_all (&self, error);
    if (status == STATUS_OK)
        status = begin_anew (&self, place, error);
    if (lock && status != STATUS_OK)
        give_up (&self);
    fs_close (fs, &lock);
    if (status == STATUS_OK) {
        summary->files = self.listing->files_count;
        summary->bytes = summary->copied = self.work.done;
        summary->time = self.listing->time;
    }
    mem_free (self.epochs);
    listing_destroy (&self.listing);
    fs_below_destroy (&self.target);
    return status;
}
