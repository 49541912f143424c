/* fsck_files.c - runs, batch views and files of loads. */
#include "fsck/fsck_state.h"

#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "batchview/batchview.h"
#include "storage/run_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { CHUNK = 1 << 20 };

#define FROM_BACKUP                                                                                \
    "take the file from a backup: `weir backup --verify` says whether it is whole there"

typedef struct file_check {
    fsck_t *fsck;
    const stored_file_t *file;
} file_check_t;

bool fsck_file_exists (fs_t *fs, const char *path)
{
    file_t *file = NULL;
    error_t error;
    status_t status = fs_open (fs, path, FS_READ, &file, &error);
    fs_close (fs, &file);
    return status != STATUS_NOT_FOUND;
}

static const char *holds_of (const stored_file_t *file, char *text, size_t size)
{
    switch (file->kind) {
    case STORED_RUN:
        snprintf (text, size, "%" PRIu64 " events of the history of %s/%" PRIu32 "%s%s", file->rows,
                  file->log, file->partition, file->load ? ", of load " : "",
                  file->load ? file->load->id : "");
        break;
    case STORED_VIEW:
        snprintf (text, size, "the batch view %s of %s/%" PRIu32, file->view->view, file->log,
                  file->partition);
        break;
    case STORED_INCOMING:
        snprintf (text, size, "the copy of %s that is being loaded into %s", file->load->name,
                  file->load->stream);
        break;
    case STORED_REJECTS:
        snprintf (text, size, "the rows of %s that were refused", file->load->name);
        break;
    }
    return text;
}

static const char *remedy_of (const stored_file_t *file, fsck_kind_t kind)
{
    switch (file->kind) {
    case STORED_RUN:
        return file->load || file->offset != UINT64_MAX
                   ? "take the file from a backup, or unload the load and load its file again"
                   : FROM_BACKUP;
    case STORED_VIEW:
        return kind == FSCK_MISSING
                   ? "start the cluster, and wait for a recompute"
                   : "with --repair it is removed; the cluster builds it again from the history";
    case STORED_INCOMING:
        return "the load will fail: load the file again";
    default:
        return "none is needed";
    }
}

static void tell (const file_check_t *self, fsck_kind_t kind, const char *what)
{
    char holds[512];
    const stored_file_t *file = self->file;
    fsck_tell (self->fsck,
               (fsck_finding_t){ .kind = kind,
                                 .path = file->path,
                                 .log = file->log,
                                 .partition = file->partition,
                                 .what = what,
                                 .holds = holds_of (file, holds, sizeof holds),
                                 .remedy = remedy_of (file, kind) },
               file->kind == STORED_VIEW && kind != FSCK_MISSING);
}

static void tell_error (const file_check_t *self, const error_t *error)
{
    tell (self, FSCK_DAMAGED, error->text);
}

/* A file that went while the cluster runs, because nothing needs it any more. */
static bool is_gone (const file_check_t *self)
{
    if (!self->fsck->options->live)
        return false;
    catalog_t *catalog = NULL;
    inventory_t *inventory = NULL;
    error_t error;
    bool gone =
        catalog_open_reading (self->fsck->fs, "catalog.db", true, &catalog, &error) == STATUS_OK &&
        inventory_read (catalog, self->fsck->fs, &inventory, &error) == STATUS_OK &&
        !inventory_file (inventory, self->file->path);
    inventory_destroy (&inventory);
    catalog_close (&catalog);
    return gone;
}

/* ---- runs ---- */

static void run_damaged (void *arg, const run_damage_t *damage)
{
    const file_check_t *self = arg;
    buf_t holds;
    buf_init (&holds, 1 << 16);
    buf_printf (&holds, "%" PRIu64 " events of %s/%" PRIu32 ", keys ", damage->rows,
                self->file->log, self->file->partition);
    key_describe (damage->first_key, &holds);
    buf_put_string (&holds, " to ");
    key_describe (damage->last_key, &holds);
    buf_put_string (&holds, ", event times ");
    time_format (&holds, damage->min_time);
    buf_put_string (&holds, " to ");
    time_format (&holds, damage->max_time);
    if (self->file->offset == UINT64_MAX && !self->file->load)
        buf_printf (&holds, ", offsets %" PRIu64 " to %" PRIu64, damage->min_offset,
                    damage->max_offset);
    fsck_tell (self->fsck,
               (fsck_finding_t){ .kind = FSCK_DAMAGED,
                                 .path = self->file->path,
                                 .has_place = true,
                                 .byte = damage->byte,
                                 .bytes = damage->bytes,
                                 .log = self->file->log,
                                 .partition = self->file->partition,
                                 .what = damage->what,
                                 .holds = buf_string (&holds),
                                 .remedy = remedy_of (self->file, FSCK_DAMAGED) },
               false);
    buf_release (&holds);
}

static void run_progress (void *arg, uint64_t bytes)
{
    const file_check_t *self = arg;
    fsck_progress (self->fsck, self->file->path, bytes);
}

/* Is it the run that the catalog means? */
static void compare_run (const file_check_t *self, const run_info_t *info)
{
    const stored_file_t *file = self->file;
    char what[512];
    if (!text_is (info->schema.log, file->log) || info->schema.partition != file->partition ||
        info->schema.partitions != self->fsck->inventory->partitions)
        snprintf (what, sizeof what,
                  "it is a run of " TEXT_FORMAT ", partition %" PRIu32 " of %" PRIu32,
                  TEXT_ARGS (info->schema.log), info->schema.partition, info->schema.partitions);
    else if (info->rows != file->rows || info->size != file->size)
        snprintf (what, sizeof what,
                  "it has %" PRIu64 " events in %" PRIu64 " bytes, and the catalog's has %" PRIu64
                  " in %" PRIu64,
                  info->rows, info->size, file->rows, file->size);
    else if (file->part && file->offset == UINT64_MAX && info->rows > 0 &&
             info->max_offset >= file->part->cut)
        snprintf (what, sizeof what,
                  "it has an event at offset %" PRIu64 ", which is not below the cut %" PRIu64,
                  info->max_offset, file->part->cut);
    else
        return;
    tell (self, FSCK_DISAGREES, what);
}

static void check_run (const file_check_t *self)
{
    fsck_t *fsck = self->fsck;
    run_options_t options = { .offset_override = self->file->offset };
    run_t *run;
    error_t error;
    status_t status = run_open (fsck->fs, self->file->path, &options, &run, &error);
    if (status == STATUS_NOT_FOUND) {
        if (!is_gone (self))
            tell (self, FSCK_MISSING, "the history has it, and it is not there");
        return;
    }
    fsck->summary->files++;
    if (status != STATUS_OK) {
        tell_error (self, &error);
        return;
    }
    file_check_t check = *self;
    run_watch_t watch = { run_damaged, run_progress, &check };
    fsck->summary->events += run_info (run)->rows;
    if (run_check (run, &watch))
        compare_run (self, run_info (run));
    run_destroy (&run);
}

/* ---- batch views ---- */

static void compare_view (const file_check_t *self, const batchview_info_t *info)
{
    const stored_file_t *file = self->file;
    char what[512];
    if (strcmp (info->view, file->view->view) != 0 || info->version != file->view->version ||
        info->partition != file->partition || info->plan_hash != file->view->plan)
        snprintf (what, sizeof what,
                  "it is version %" PRIu32 " of the view %s, partition %" PRIu32
                  ", and the catalog's is version %" PRIu32 " of %s%s",
                  info->version, info->view, info->partition, file->view->version, file->view->view,
                  info->plan_hash != file->view->plan ? " with other features" : "");
    else if (info->cut != file->cut)
        snprintf (what, sizeof what, "it is of the cut %" PRIu64 ", and the catalog's of %" PRIu64,
                  info->cut, file->cut);
    else
        return;
    tell (self, FSCK_DISAGREES, what);
}

static void check_view (const file_check_t *self)
{
    fsck_t *fsck = self->fsck;
    batchview_t *view;
    error_t error;
    status_t status = batchview_open (fsck->fs, self->file->path, &view, &error);
    if (status == STATUS_NOT_FOUND) {
        if (!is_gone (self))
            tell (self, FSCK_MISSING,
                  "it is not there; the cluster builds it again from the history");
        return;
    }
    fsck->summary->files++;
    fsck_progress (fsck, self->file->path, self->file->size);
    if (status != STATUS_OK) {
        tell_error (self, &error);
        return;
    }
    compare_view (self, batchview_info (view));
    batchview_unref (&view);
}

/* ---- files of loads ---- */

/* The hex XXH3-128 of the content is what a load's id begins with. */
static status_t hash_content (const file_check_t *self, file_t *file, char hex[33], error_t *error)
{
    XXH3_state_t *state = XXH3_createState ();
    uint8_t *chunk = mem_alloc (CHUNK);
    uint64_t at = 0;
    size_t got = CHUNK;
    status_t status = STATUS_OK;
    CHECK (state != NULL);
    CHECK (XXH3_128bits_reset (state) == XXH_OK);
    while (status == STATUS_OK && got == CHUNK) {
        status = fs_read (self->fsck->fs, file, at, chunk, CHUNK, &got, error);
        if (status == STATUS_OK)
            CHECK (XXH3_128bits_update (state, chunk, got) == XXH_OK);
        at += got;
        fsck_progress (self->fsck, self->file->path, got);
    }
    XXH128_hash_t hash = XXH3_128bits_digest (state);
    snprintf (hex, 33, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64, (uint64_t)hash.low64);
    XXH3_freeState (state);
    mem_free (chunk);
    return status;
}

static void check_incoming (const file_check_t *self)
{
    fsck_t *fsck = self->fsck;
    file_t *file = NULL;
    error_t error;
    char hex[33] = "";
    status_t status = fs_open (fsck->fs, self->file->path, FS_READ, &file, &error);
    if (status == STATUS_NOT_FOUND) {
        if (self->file->kind == STORED_INCOMING && !is_gone (self))
            tell (self, FSCK_MISSING, "a load needs it, and it is not there");
        return;
    }
    fsck->summary->files++;
    if (status == STATUS_OK && self->file->kind == STORED_INCOMING)
        status = hash_content (self, file, hex, &error);
    fs_close (fsck->fs, &file);
    if (status != STATUS_OK)
        tell_error (self, &error);
    else if (self->file->kind == STORED_INCOMING &&
             strncmp (self->file->load->id, hex, strlen (hex)) != 0)
        tell (self, FSCK_DAMAGED, "its content is not the one that was to be loaded");
}

void fsck_files (fsck_t *self)
{
    for (size_t i = 0; i < self->inventory->files_count; i++) {
        file_check_t check = { self, &self->inventory->files[i] };
        if (self->catalog_behind && !fsck_file_exists (self->fs, check.file->path))
            continue; /* a later catalog may not have needed it */
        switch (check.file->kind) {
        case STORED_RUN:
            check_run (&check);
            break;
        case STORED_VIEW:
            check_view (&check);
            break;
        case STORED_INCOMING:
        case STORED_REJECTS:
            check_incoming (&check);
            break;
        }
    }
}
