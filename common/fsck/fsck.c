#include "fsck/fsck_state.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

#define CATALOG "catalog.db"

const char *fsck_kind_word (fsck_kind_t kind)
{
    static const char *const words[] = {
#define X(name, word) [FSCK_##name] = word,
        FSCK_TABLE (X)
#undef X
    };
    return words[kind];
}

void fsck_tell (fsck_t *self, fsck_finding_t finding, bool removable)
{
    error_t error;
    bool wrong = finding.kind != FSCK_ORPHAN;
    finding.log = finding.log ? finding.log : "";
    finding.holds = finding.holds ? finding.holds : "";
    finding.remedy = finding.remedy ? finding.remedy : "";
    if (removable && self->options->repair && !self->options->live)
        finding.repaired = fs_remove (self->fs, finding.path, &error) == STATUS_OK;
    self->summary->wrong += wrong;
    self->summary->orphans += !wrong;
    self->summary->repaired += finding.repaired;
    if (self->options->found)
        self->options->found (self->options->arg, &finding);
}

void fsck_progress (fsck_t *self, const char *path, uint64_t bytes)
{
    self->done += bytes;
    self->summary->bytes += bytes;
    if (self->options->progress)
        self->options->progress (self->options->arg, path, self->done,
                                 self->total > self->done ? self->total : self->done);
}

/* ---- whose directory it is ---- */

static status_t check_cluster (fsck_t *self, error_t *error)
{
    status_t status = cluster_file_read (self->fs, &self->cluster, error);
    if (status == STATUS_OK)
        self->summary->files++;
    bool missing = status == STATUS_NOT_FOUND && fsck_file_exists (self->fs, CATALOG);
    if (missing || status == STATUS_CORRUPT || status == STATUS_VERSION || status == STATUS_IO)
        fsck_tell (self,
                   (fsck_finding_t){ .kind = missing ? FSCK_MISSING : FSCK_DAMAGED,
                                     .path = CLUSTER_FILE,
                                     .what = error->text,
                                     .holds = "name, id and number of partitions of the cluster",
                                     .remedy = "take it from a backup of this cluster" },
                   false);
    return status;
}

/* The catalog is given to a new owner's epoch before the owner begins a segment under it. */
static void compare_epochs (fsck_t *self)
{
    for (size_t l = 0; l < self->inventory->logs_count; l++)
        for (uint32_t p = 0; p < self->inventory->partitions; p++) {
            const found_log_t *found = &self->found[l * self->inventory->partitions + p];
            uint64_t epoch = inventory_epoch (self->inventory, p);
            if (self->catalog_behind || found->extent.epoch <= epoch || self->options->snapshot)
                continue;
            char *what = mem_format ("it is older than the logs: it last gave partition %" PRIu32
                                     " to an owner under epoch %" PRIu64
                                     ", and %s has a segment of epoch %" PRIu64,
                                     p, epoch, found->log->name, found->extent.epoch);
            self->catalog_behind = true;
            fsck_tell (self,
                       (fsck_finding_t){ .kind = FSCK_DISAGREES,
                                         .path = CATALOG,
                                         .what = what,
                                         .remedy = "put the catalog that belongs to these files in "
                                                   "its place, or restore a whole backup" },
                       false);
            mem_free (what);
        }
}

static void tell_catalog (fsck_t *self, const error_t *error)
{
    bool missing = error->status == STATUS_NOT_FOUND;
    fsck_tell (self,
               (fsck_finding_t){ .kind = missing ? FSCK_MISSING : FSCK_DAMAGED,
                                 .path = CATALOG,
                                 .what = missing ? "there is no catalog" : error->text,
                                 .holds = "definitions, loads, which files are the history and who "
                                          "owns which partition",
                                 .remedy = "restore the latest backup" },
               false);
}

static status_t open_catalog (fsck_t *self, error_t *error)
{
    status_t status =
        catalog_open_reading (self->fs, CATALOG, self->options->live, &self->catalog, error);
    if (status == STATUS_OK)
        status = catalog_check (self->catalog, error);
    if (status == STATUS_OK)
        status = inventory_read (self->catalog, self->fs, &self->inventory, error);
    if (status == STATUS_BUSY)
        return status;
    if (status != STATUS_OK) {
        tell_catalog (self, error);
        return status;
    }
    self->summary->files++;
    if (strcmp (self->inventory->cluster, self->cluster.name) == 0 &&
        self->inventory->partitions == self->cluster.partitions)
        return STATUS_OK;
    status = error_set (error, STATUS_CORRUPT,
                        "it is of the cluster \"%s\" with %u partitions, and the directory of "
                        "\"%s\" with %u",
                        self->inventory->cluster, self->inventory->partitions, self->cluster.name,
                        self->cluster.partitions);
    tell_catalog (self, error);
    return status;
}

static void sum_sizes (fsck_t *self)
{
    for (size_t i = 0; i < self->inventory->files_count; i++)
        self->total += self->inventory->files[i].size;
}

status_t fsck_run (fs_t *fs, const fsck_options_t *options, fsck_summary_t *summary, error_t *error)
{
    *summary = (fsck_summary_t){ .files = 0 };
    fsck_t self = { .fs = fs, .options = options, .summary = summary };
    status_t status = check_cluster (&self, error);
    if (status == STATUS_OK)
        status = open_catalog (&self, error);
    if (status == STATUS_OK) {
        sum_sizes (&self);
        fsck_logs (&self);
        compare_epochs (&self);
        fsck_files (&self);
        if (!options->live && !self.catalog_behind)
            fsck_orphans (&self);
    }
    fsck_logs_release (&self);
    inventory_destroy (&self.inventory);
    catalog_close (&self.catalog);
    return status;
}
