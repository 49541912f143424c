/* backup.c - taking one. What goes first, and why: docs/backup.md. */
#include "backup/backup.h"

#include "backup/copying.h"
#include "base/check.h"
#include "base/fs_below.h"
#include "base/mem.h"
#include "fsck/fsck.h"
#include "storage/log_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PRODUCERS "producers" /* where `weir send` keeps how far it is (docs/commands.md) */

enum { TRIES = 10 }; /* of a log that is trimmed while it is copied */

/* A file that is in the backup, of those that change: a segment, how far a sent file is. */
typedef struct taken {
    char *path;    /* below the data directory */
    uint64_t size; /* bytes of it; UINT64_MAX: none, it went before it was copied */
} taken_t;

typedef struct backup {
    const backup_order_t *order;
    work_t work;
    fs_t *data; /* the directory that is copied … */
    fs_t *copy; /* … and the one that it becomes */
    cluster_file_t cluster;
    inventory_t *inventory;
    listing_t *base; /* of the earlier backup; NULL without one */
    listing_t *listing;
    taken_t *taken;
    size_t taken_count;
    listed_hash_t catalog_hash;
    uint64_t copied; /* bytes that are not shared */
    uint64_t events;
    error_t found; /* the first thing that a check of the backup found */
} backup_t;

/* ---- one file ---- */

static char *from_of (const backup_t *self, const char *path)
{
    return mem_format ("%s/%s", self->order->data, path);
}

static char *to_of (const backup_t *self, const char *path)
{
    return mem_format ("%s/data/%s", self->order->target, path);
}

/* INVALID: it cannot be linked, and is to be copied. */
static status_t try_link (backup_t *self, const char *from, const char *to, error_t *error)
{
    status_t status = work_make_directory (&self->work, to, error);
    return status == STATUS_OK ? fs_link (self->order->fs, from, to, error) : status;
}

static status_t copy_whole (backup_t *self, const char *path, uint64_t size, listed_hash_t *hash,
                            error_t *error)
{
    char *from = from_of (self, path);
    char *to = to_of (self, path);
    uint64_t copied = 0;
    status_t status = work_copy (&self->work, from, to, size, &copied, hash, error);
    self->copied += copied;
    mem_free (from);
    mem_free (to);
    return status;
}

/* A file that never changes: shared with the directory, else with the earlier backup, else copied.
 */
static status_t take_immutable (backup_t *self, const char *path, uint64_t size, error_t *error)
{
    char *from = from_of (self, path);
    char *to = to_of (self, path);
    const listed_file_t *before = self->base ? listing_file (self->base, path) : NULL;
    status_t status = STATUS_INVALID;
    if (!self->order->copy)
        status = try_link (self, from, to, error);
    if (status == STATUS_INVALID && before && before->size == size) {
        char *shared = mem_format ("%s/data/%s", self->order->base, path);
        status = try_link (self, shared, to, error);
        mem_free (shared);
        if (status != STATUS_OK)
            status = STATUS_INVALID;
    }
    listed_hash_t hash;
    if (status == STATUS_INVALID)
        status = copy_whole (self, path, UINT64_MAX, &hash, error);
    else if (status == STATUS_OK)
        status = work_step (&self->work, path, size, error);
    mem_free (from);
    mem_free (to);
    return status;
}

/* ---- logs ---- */

static taken_t *taken_of (backup_t *self, const char *path)
{
    for (size_t i = 0; i < self->taken_count; i++)
        if (strcmp (self->taken[i].path, path) == 0)
            return &self->taken[i];
    self->taken = mem_resize (self->taken, self->taken_count + 1, sizeof *self->taken);
    self->taken[self->taken_count] = (taken_t){ mem_string (path), UINT64_MAX };
    return &self->taken[self->taken_count++];
}

/* Those bytes that count; again when there are others than the last time. Always a copy: an owner
 * that has been replaced may still write behind them. */
static status_t take_piece (backup_t *self, const char *dir, const log_piece_t *piece,
                            error_t *error)
{
    char *path = mem_format ("%s/%s", dir, piece->name);
    taken_t *taken = taken_of (self, path);
    status_t status = STATUS_OK;
    if (taken->size != piece->size) {
        listed_hash_t hash;
        status = copy_whole (self, path, piece->size, &hash, error);
        if (status == STATUS_OK)
            taken->size = piece->size;
    }
    mem_free (path);
    return status;
}

static status_t take_pieces (backup_t *self, const char *dir, const log_identity_t *identity,
                             error_t *error)
{
    log_piece_t *pieces = NULL;
    size_t count = 0;
    status_t status = log_pieces (self->data, dir, identity, &pieces, &count, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = take_piece (self, dir, &pieces[i], error);
    mem_free (pieces);
    return status;
}

static bool has_directory (fs_t *fs, const char *path)
{
    error_t ignored;
    return fs_sync_dir (fs, path, &ignored) != STATUS_NOT_FOUND;
}

static status_t take_log (backup_t *self, const stored_log_t *log, error_t *error)
{
    status_t status = STATUS_OK;
    for (uint32_t p = 0; p < self->inventory->partitions && status == STATUS_OK; p++) {
        log_identity_t identity = { self->cluster.id, log->name, p };
        char *dir = mem_format ("log/%s/%" PRIu32, log->name, p);
        status = has_directory (self->data, dir) ? STATUS_NOT_FOUND : STATUS_OK;
        for (int i = 0; i < TRIES && status == STATUS_NOT_FOUND; i++)
            status = take_pieces (self, dir, &identity, error);
        mem_free (dir);
    }
    return status;
}

static status_t take_logs (backup_t *self, bool primary, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < self->inventory->logs_count && status == STATUS_OK; i++)
        if (self->inventory->logs[i].primary == primary)
            status = take_log (self, &self->inventory->logs[i], error);
    return status;
}

static bool has_other_keys (const backup_t *self)
{
    for (size_t i = 0; i < self->inventory->logs_count; i++)
        if (!self->inventory->logs[i].primary)
            return true;
    return false;
}

/* ---- files that are being sent ---- */

typedef struct names {
    char **name;
    size_t count;
} names_t;

static void note_name (void *arg, const char *name)
{
    names_t *names = arg;
    size_t size = strlen (name);
    if (size > 4 && strcmp (name + size - 4, ".tmp") == 0)
        return;
    names->name = mem_resize (names->name, names->count + 1, sizeof *names->name);
    names->name[names->count++] = mem_string (name);
}

/* How far `weir send` is in files, before everything else: what is acknowledged there is durable in
 * a log, and so in the backup. What came later is sent again after a restore, under the same
 * numbers, and taken once. One that is replaced meanwhile is copied as it was or is. */
static status_t take_producers (backup_t *self, error_t *error)
{
    names_t names = { .count = 0 };
    status_t status = fs_list (self->data, PRODUCERS, note_name, &names, error);
    if (status == STATUS_NOT_FOUND)
        status = STATUS_OK;
    for (size_t i = 0; i < names.count; i++) {
        char *path = mem_format (PRODUCERS "/%s", names.name[i]);
        listed_hash_t hash;
        if (status == STATUS_OK)
            status = copy_whole (self, path, UINT64_MAX, &hash, error);
        if (status == STATUS_OK)
            taken_of (self, path)->size = 0;
        else if (status == STATUS_NOT_FOUND)
            status = STATUS_OK; /* removed, to send all of it again */
        mem_free (path);
        mem_free (names.name[i]);
    }
    mem_free (names.name);
    return status;
}

/* ---- all that goes in ---- */

static status_t take_files (backup_t *self, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < self->inventory->files_count && status == STATUS_OK; i++) {
        const stored_file_t *file = &self->inventory->files[i];
        status = take_immutable (self, file->path, file->size, error);
        if (status == STATUS_NOT_FOUND && file->kind == STORED_REJECTS)
            status = STATUS_OK; /* nobody needs them but people, who may have removed them */
    }
    return status;
}

static status_t take_catalog (backup_t *self, error_t *error)
{
    char *from = from_of (self, self->order->catalog);
    char *to = to_of (self, "catalog.db");
    uint64_t size = 0;
    status_t status =
        work_copy (&self->work, from, to, UINT64_MAX, &size, &self->catalog_hash, error);
    if (status == STATUS_OK)
        status = cluster_file_write (self->copy, &self->cluster, error);
    self->copied += size;
    mem_free (from);
    mem_free (to);
    return status;
}

static status_t read_order (backup_t *self, error_t *error)
{
    catalog_t *catalog = NULL;
    status_t status = cluster_file_read (self->data, &self->cluster, error);
    if (status == STATUS_OK)
        status = catalog_open_reading (self->data, self->order->catalog, false, &catalog, error);
    if (status == STATUS_OK)
        status = inventory_read (catalog, self->data, &self->inventory, error);
    if (status == STATUS_OK && self->order->base)
        status = listing_read (self->order->fs, self->order->base, &self->base, error);
    if (status == STATUS_OK && self->base && self->base->cluster.id != self->cluster.id)
        status = error_set (error, STATUS_INVALID,
                            "%s is a backup of another cluster (\"%s\"): its files only have the "
                            "same names",
                            self->order->base, self->base->cluster.name);
    catalog_close (&catalog);
    for (size_t i = 0; status == STATUS_OK && i < self->inventory->files_count; i++)
        self->work.total += 2 * self->inventory->files[i].size; /* taken, and read again */
    return status;
}

/* ---- what came of it ---- */

static void found_wrong (void *arg, const fsck_finding_t *finding)
{
    backup_t *self = arg;
    if (finding->kind == FSCK_ORPHAN || self->found.status != STATUS_OK)
        return;
    bool missing = finding->kind == FSCK_MISSING;
    (void)error_set (&self->found, missing ? STATUS_NOT_FOUND : STATUS_CORRUPT,
                     "%s, byte %" PRIu64 ": %s%s%s", finding->path, finding->byte, finding->what,
                     finding->holds[0] != '\0' ? "; it holds " : "", finding->holds);
}

static void found_position (void *arg, const char *log, uint32_t partition, uint64_t start,
                            uint64_t end)
{
    backup_t *self = arg;
    (void)start;
    if (self->listing)
        listing_add_position (self->listing, log, partition, end);
}

static void check_progress (void *arg, const char *path, uint64_t done, uint64_t total)
{
    const backup_t *self = arg;
    if (self->work.watch && self->work.watch->progress)
        self->work.watch->progress (self->work.watch->arg, path, done, total);
}

/* All that fsck looks at, in the copy. */
static status_t check_copy (backup_t *self, error_t *error)
{
    fsck_options_t options = { .snapshot = true,
                               .found = found_wrong,
                               .progress = check_progress,
                               .log = found_position,
                               .arg = self };
    fsck_summary_t summary;
    status_t status = fsck_run (self->copy, &options, &summary, error);
    self->events = summary.events;
    if (self->found.status != STATUS_OK) {
        *error = self->found;
        return error->status;
    }
    return status;
}

static status_t list_file (backup_t *self, const char *path, error_t *error)
{
    char *to = to_of (self, path);
    listed_hash_t hash;
    uint64_t size;
    status_t status = work_hash (&self->work, to, UINT64_MAX, &size, &hash, error);
    if (status == STATUS_OK)
        listing_add_file (self->listing, path, size, hash);
    if (status == STATUS_OK && strcmp (path, "catalog.db") == 0 &&
        memcmp (&hash, &self->catalog_hash, sizeof hash) != 0)
        status = error_set (error, STATUS_CORRUPT, "%s does not read back as it was written", to);
    mem_free (to);
    return status;
}

static status_t list_all (backup_t *self, error_t *error)
{
    status_t status = list_file (self, CLUSTER_FILE, error);
    if (status == STATUS_OK)
        status = list_file (self, "catalog.db", error);
    for (size_t i = 0; i < self->taken_count && status == STATUS_OK; i++)
        if (self->taken[i].size != UINT64_MAX)
            status = list_file (self, self->taken[i].path, error);
    for (size_t i = 0; i < self->inventory->files_count && status == STATUS_OK; i++) {
        const stored_file_t *file = &self->inventory->files[i];
        status = list_file (self, file->path, error);
        if (status == STATUS_NOT_FOUND && file->kind == STORED_REJECTS)
            status = STATUS_OK;
    }
    return status;
}

/* The names of all files that are in it. */
static status_t sync_names (backup_t *self, error_t *error)
{
    char *before = mem_string ("");
    status_t status = STATUS_OK;
    for (size_t i = 0; i < self->listing->files_count && status == STATUS_OK; i++) {
        char *directory = work_directory (self->listing->files[i].path);
        if (strcmp (directory, before) != 0)
            status = fs_sync_dir (self->copy, directory, error);
        mem_free (before);
        before = directory;
    }
    mem_free (before);
    return status;
}

static status_t finish (backup_t *self, error_t *error)
{
    const backup_order_t *order = self->order;
    status_t status = order->watch.taken ? order->watch.taken (order->watch.arg, error) : STATUS_OK;
    self->listing = listing_new ();
    self->listing->cluster = self->cluster;
    self->listing->time = order->time;
    if (status == STATUS_OK)
        status = check_copy (self, error);
    if (status == STATUS_OK)
        status = list_all (self, error);
    if (status == STATUS_OK)
        status = sync_names (self, error);
    if (status == STATUS_OK)
        status = listing_write (self->listing, order->fs, order->target, error);
    char *marker = mem_format ("%s/%s", order->target, BACKUP_UNFINISHED);
    if (status == STATUS_OK)
        status = fs_remove (order->fs, marker, error);
    if (status == STATUS_OK)
        status = fs_sync_dir (order->fs, order->target, error);
    mem_free (marker);
    return status;
}

/* ---- the whole ---- */

/* What a backup that is not finished consists of. */
static const char *const unfinished_names[] = {
    BACKUP_UNFINISHED, BACKUP_FILE, BACKUP_FILE ".tmp", "data", NULL,
};
static const char *const mark_name[] = { BACKUP_UNFINISHED, NULL };

static void remove_name (const backup_order_t *order, const char *name)
{
    error_t ignored;
    char *path = mem_format ("%s/%s", order->target, name);
    (void)!fs_remove (order->fs, path, &ignored);
    mem_free (path);
}

/* What there is of one, but for the mark. Its list first, for good: then it is no backup, whatever
 * stays. */
static void clear_target (const backup_order_t *order)
{
    error_t ignored;
    char *data = mem_format ("%s/data", order->target);
    remove_name (order, BACKUP_FILE);
    remove_name (order, BACKUP_FILE ".tmp");
    (void)!fs_sync_dir (order->fs, order->target, &ignored);
    work_clear (order->fs, data, NULL);
    mem_free (data);
}

/* Our mark, which is empty; a file of the same name may be anybody's. */
static bool has_mark (const backup_order_t *order)
{
    char *path = mem_format ("%s/%s", order->target, BACKUP_UNFINISHED);
    file_t *file = NULL;
    uint64_t size = 1;
    error_t ignored;
    bool marked = fs_open (order->fs, path, FS_READ, &file, &ignored) == STATUS_OK &&
                  fs_size (order->fs, file, &size, &ignored) == STATUS_OK && size == 0;
    fs_close (order->fs, &file);
    mem_free (path);
    return marked;
}

static status_t refuse_target (const backup_order_t *order, error_t *error)
{
    char *list = mem_format ("%s/%s", order->target, BACKUP_FILE);
    bool done = fsck_file_exists (order->fs, list);
    mem_free (list);
    return error_set (error, STATUS_EXISTS, "%s %s: choose another directory", order->target,
                      done ? "is a backup already" : "is not empty");
}

/* Takes the directory into use: `mark` says so, and is locked until it is closed. */
static status_t prepare_target (const backup_order_t *order, file_t **mark, error_t *error)
{
    fs_t *fs = order->fs;
    bool unfinished = has_mark (order);
    *mark = NULL;
    if (!work_has_only (fs, order->target, unfinished ? unfinished_names : NULL))
        return refuse_target (order, error);
    status_t status = work_hold (fs, order->target, BACKUP_UNFINISHED, mark, error);
    if (status == STATUS_OK && !unfinished && !work_has_only (fs, order->target, mark_name)) {
        remove_name (order, BACKUP_UNFINISHED); /* somebody made one while we looked */
        fs_close (fs, mark);
        return refuse_target (order, error);
    }
    if (status == STATUS_OK && unfinished)
        clear_target (order);
    return status;
}

/* Nothing stays that looks like a backup. The mark goes when it is the last. */
static void give_up_target (const backup_order_t *order)
{
    error_t ignored;
    clear_target (order);
    if (!work_has_only (order->fs, order->target, mark_name))
        return;
    remove_name (order, BACKUP_UNFINISHED);
    (void)!fs_sync_dir (order->fs, order->target, &ignored);
}

/* How far files were sent; the catalog; sources, as far back as targets may still need them; what
 * never changes; targets; and then sources as far as any target has got. */
static status_t take_all (backup_t *self, error_t *error)
{
    status_t status = read_order (self, error);
    if (status == STATUS_OK)
        status = take_producers (self, error);
    if (status == STATUS_OK)
        status = take_catalog (self, error);
    if (status == STATUS_OK && has_other_keys (self))
        status = take_logs (self, true, error);
    if (status == STATUS_OK)
        status = take_files (self, error);
    if (status == STATUS_OK)
        status = take_logs (self, false, error);
    if (status == STATUS_OK)
        status = take_logs (self, true, error);
    return status == STATUS_OK ? finish (self, error) : status;
}

static void release (backup_t *self)
{
    for (size_t i = 0; i < self->taken_count; i++)
        mem_free (self->taken[i].path);
    mem_free (self->taken);
    listing_destroy (&self->listing);
    listing_destroy (&self->base);
    inventory_destroy (&self->inventory);
    fs_below_destroy (&self->data);
    fs_below_destroy (&self->copy);
}

status_t backup_make (const backup_order_t *order, backup_summary_t *summary, error_t *error)
{
    *summary = (backup_summary_t){ .time = order->time };
    file_t *mark;
    status_t status = prepare_target (order, &mark, error);
    summary->begun = status != STATUS_EXISTS && status != STATUS_BUSY;
    if (status != STATUS_OK)
        return status;
    char *inside = mem_format ("%s/data", order->target);
    backup_t self = { .order = order,
                      .work = { .fs = order->fs, .watch = &order->watch },
                      .data = fs_below_new (order->fs, order->data),
                      .copy = fs_below_new (order->fs, inside) };
    mem_free (inside);
    status = take_all (&self, error);
    for (size_t i = 0; status == STATUS_OK && i < self.listing->files_count; i++) {
        summary->files++;
        summary->bytes += self.listing->files[i].size;
    }
    summary->copied = self.copied;
    summary->events = self.events;
    release (&self);
    if (status != STATUS_OK)
        give_up_target (order);
    fs_close (order->fs, &mark);
    return status;
}

/* ---- looking at one again ---- */

static status_t verify_file (work_t *work, const char *directory, const listed_file_t *file,
                             error_t *error)
{
    char *path = mem_format ("%s/data/%s", directory, file->path);
    listed_hash_t hash;
    uint64_t size = 0;
    status_t status = work_hash (work, path, UINT64_MAX, &size, &hash, error);
    if (status == STATUS_NOT_FOUND)
        status = error_set (error, STATUS_CORRUPT, "%s is missing from the backup", path);
    else if (status == STATUS_OK && size != file->size)
        status = error_set (error, STATUS_CORRUPT, "%s has %" PRIu64 " bytes, not %" PRIu64, path,
                            size, file->size);
    else if (status == STATUS_OK && memcmp (&hash, &file->hash, sizeof hash) != 0)
        status = error_set (error, STATUS_CORRUPT,
                            "%s is damaged: its content is not what the backup was made of", path);
    mem_free (path);
    return status;
}

status_t backup_verify (fs_t *fs, const char *directory, const backup_watch_t *watch,
                        backup_summary_t *summary, error_t *error)
{
    *summary = (backup_summary_t){ .files = 0 };
    listing_t *listing;
    status_t status = listing_read (fs, directory, &listing, error);
    if (status != STATUS_OK)
        return status;
    work_t work = { .fs = fs, .watch = watch };
    for (size_t i = 0; i < listing->files_count; i++)
        work.total += listing->files[i].size;
    for (size_t i = 0; i < listing->files_count && status == STATUS_OK; i++) {
        status = verify_file (&work, directory, &listing->files[i], error);
        summary->files++;
        summary->bytes += listing->files[i].size;
    }
    summary->time = listing->time;
    listing_destroy (&listing);
    char *inside = mem_format ("%s/data", directory);
    backup_t self = { .copy = fs_below_new (fs, inside), .work = work };
    if (status == STATUS_OK)
        status = check_copy (&self, error);
    summary->events = self.events;
    fs_below_destroy (&self.copy);
    mem_free (inside);
    return status;
}
