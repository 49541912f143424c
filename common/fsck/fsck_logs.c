/* fsck_logs.c - every log of the catalog: its records, and what they, the catalog and the logs of
 * other keys say of one another. */
#include "fsck/fsck_state.h"

#include "base/check.h"
#include "base/mem.h"
#include "block/block.h"
#include "storage/dedupe.h"
#include "storage/payload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SCRATCH = 1 << 20 };

typedef struct log_pass {
    fsck_t *fsck;
    found_log_t *found;
    dedupe_t *producers;
    arena_t *scratch;
    uint64_t *marks; /* as the records have told so far */
    bool *marked;    /* per source */
} log_pass_t;

static char *dir_of (const found_log_t *found)
{
    return mem_format ("log/%s/%" PRIu32, found->log->name, found->partition);
}

/* ---- what is told ---- */

static void tell_at (const log_pass_t *self, fsck_kind_t kind, const char *path, uint64_t byte,
                     const char *what, const char *holds)
{
    fsck_tell (self->fsck,
               (fsck_finding_t){ .kind = kind,
                                 .path = path,
                                 .has_place = true,
                                 .byte = byte,
                                 .log = self->found->log->name,
                                 .partition = self->found->partition,
                                 .what = what,
                                 .holds = holds,
                                 .remedy = "restore the latest backup: events since then are lost "
                                           "unless they are sent again" },
               false);
}

static void on_segment (void *arg, const char *path, uint64_t size)
{
    log_pass_t *self = arg;
    self->fsck->summary->files++;
    fsck_progress (self->fsck, path, size);
}

/* Offsets that a published batch view covers are in the history as well. */
static const char *what_is_lost (const log_pass_t *self, const log_damage_t *damage, char *text,
                                 size_t size)
{
    const found_log_t *found = self->found;
    uint64_t cut = stored_log_cut (found->log, found->partition);
    char until[64] = "on";
    if (damage->from == damage->to)
        return "no event";
    if (damage->to != UINT64_MAX)
        snprintf (until, sizeof until, "to %" PRIu64, damage->to - 1);
    if (damage->to <= cut)
        snprintf (text, size,
                  "offsets %" PRIu64 " %s of %s/%" PRIu32 ", all below the cut %" PRIu64
                  ": the history has their events",
                  damage->from, until, found->log->name, found->partition, cut);
    else
        snprintf (text, size,
                  "offsets %" PRIu64 " %s of %s/%" PRIu32 "; the history has those below %" PRIu64,
                  damage->from, until, found->log->name, found->partition, cut);
    return text;
}

static void on_damage (void *arg, const log_damage_t *damage)
{
    const log_pass_t *self = arg;
    char holds[512];
    bool foreign = damage->status == STATUS_INVALID;
    tell_at (self, foreign ? FSCK_DISAGREES : FSCK_DAMAGED, damage->path, damage->byte,
             damage->what, what_is_lost (self, damage, holds, sizeof holds));
}

static void on_unused (void *arg, const char *path)
{
    const log_pass_t *self = arg;
    if (self->fsck->options->live)
        return;
    fsck_tell (self->fsck,
               (fsck_finding_t){ .kind = FSCK_ORPHAN,
                                 .path = path,
                                 .log = self->found->log->name,
                                 .partition = self->found->partition,
                                 .what =
                                     "it is not part of the log: an owner that was replaced, or "
                                     "did not come to its end, left it",
                                 .remedy = "none is needed: it goes when the log is trimmed" },
               false);
}

/* ---- records ---- */

static void bad_record (const log_pass_t *self, const char *path, uint64_t byte,
                        const log_record_t *record, const error_t *error)
{
    char holds[128];
    snprintf (holds, sizeof holds, "offsets %" PRIu64 " to %" PRIu64, record->offset,
              record->offset + record->count - 1);
    tell_at (self, FSCK_DAMAGED, path, byte, error->text, holds);
}

/* Has the record before told how far the log has got of the source? After damage nothing need go on
 * from what came before. */
static bool is_told (const log_pass_t *self, uint32_t source)
{
    return self->marked[source] && self->found->extent.damages == 0;
}

static status_t check_block (log_pass_t *self, text_t block, uint32_t accepted, error_t *error)
{
    batch_t batch;
    self->fsck->summary->events += accepted;
    if (accepted == 0)
        return STATUS_OK;
    arena_reset (self->scratch);
    status_t status = block_decode (block.data, block.size, self->scratch, NULL, &batch, error);
    if (status == STATUS_OK && batch.rows != accepted)
        status = error_set (error, STATUS_CORRUPT, "a record of %" PRIu32 " events has %zu",
                            accepted, batch.rows);
    return status;
}

/* What the log has of a source goes on from what it had. */
static status_t take_range (log_pass_t *self, uint32_t source, uint64_t from, uint64_t to,
                            error_t *error)
{
    if (source >= self->fsck->inventory->partitions)
        return error_set (error, STATUS_CORRUPT, "it is of a source that there is not");
    if (is_told (self, source) && from < self->marks[source])
        return error_set (error, STATUS_CORRUPT,
                          "it has offset %" PRIu64 " of source %" PRIu32
                          ", and the log had all below %" PRIu64 " already",
                          from, source, self->marks[source]);
    self->marks[source] = to;
    self->marked[source] = true;
    return STATUS_OK;
}

static status_t check_forwarded (log_pass_t *self, text_t bytes, error_t *error)
{
    forwarded_payload_t payload;
    status_t status = forwarded_payload_decode (bytes, &payload, error);
    if (status == STATUS_OK)
        status = take_range (self, payload.source, payload.from, payload.to, error);
    return status == STATUS_OK ? check_block (self, payload.block, payload.accepted, error)
                               : status;
}

static status_t check_events (log_pass_t *self, text_t bytes, error_t *error)
{
    if (!self->found->log->primary)
        return check_forwarded (self, bytes, error);
    events_payload_t payload;
    status_t status = events_payload_decode (bytes, &payload, error);
    return status == STATUS_OK ? check_block (self, payload.block, payload.accepted, error)
                               : status;
}

static status_t add_control (log_pass_t *self, const log_record_t *record, text_t id,
                             error_t *error)
{
    found_log_t *found = self->found;
    for (size_t i = 0; i < found->controls_count; i++)
        if (text_is (id, found->controls[i].id))
            return error_set (error, STATUS_CORRUPT,
                              "the control record " TEXT_FORMAT
                              " is there twice: at offset %" PRIu64 " too",
                              TEXT_ARGS (id), found->controls[i].offset);
    found->controls =
        mem_resize (found->controls, found->controls_count + 1, sizeof *found->controls);
    found_control_t *control = &found->controls[found->controls_count++];
    snprintf (control->id, sizeof control->id, TEXT_FORMAT, TEXT_ARGS (id));
    control->offset = record->offset;
    return STATUS_OK;
}

static status_t check_marks (log_pass_t *self, text_t bytes, error_t *error)
{
    uint32_t partitions = self->fsck->inventory->partitions;
    uint64_t *marks = mem_zero (partitions, sizeof *marks);
    status_t status = marks_decode (bytes, marks, partitions, error);
    for (uint32_t s = 0; s < partitions && status == STATUS_OK; s++) {
        if (is_told (self, s) && marks[s] != self->marks[s])
            status = error_set (error, STATUS_CORRUPT,
                                "it says that the log has all of source %" PRIu32 " below %" PRIu64
                                ", and the records before it that it has all below %" PRIu64,
                                s, marks[s], self->marks[s]);
        self->marks[s] = marks[s];
        self->marked[s] = true;
    }
    mem_free (marks);
    return status;
}

static status_t check_control (log_pass_t *self, const log_record_t *record, text_t bytes,
                               error_t *error)
{
    control_payload_t payload;
    status_t status = control_payload_decode (bytes, &payload, error);
    if (status == STATUS_OK && record->kind == LOG_KIND_CUT)
        status = self->found->log->primary
                     ? dedupe_decode (payload.producers, self->producers, error)
                     : check_marks (self, payload.producers, error);
    return status == STATUS_OK ? add_control (self, record, payload.id, error) : status;
}

static status_t check_forget (log_pass_t *self, const log_record_t *record, text_t bytes,
                              error_t *error)
{
    forget_payload_t payload;
    status_t status = forget_payload_decode (bytes, &payload, error);
    if (status == STATUS_OK && payload.forwarded == self->found->log->primary)
        status = error_set (error, STATUS_CORRUPT, "it is a forget of another log");
    if (status == STATUS_OK && payload.forwarded)
        status = take_range (self, payload.source, payload.from, payload.to, error);
    return status == STATUS_OK ? add_control (self, record, payload.id, error) : status;
}

static void on_record (void *arg, const char *path, uint64_t byte, const log_record_t *record)
{
    log_pass_t *self = arg;
    text_t bytes = { (const char *)record->payload, record->size };
    error_t error;
    status_t status = STATUS_OK;
    if (record->kind == LOG_KIND_EVENTS)
        status = check_events (self, bytes, &error);
    else if (record->kind == LOG_KIND_CUT || record->kind == LOG_KIND_LOAD_COMMIT)
        status = check_control (self, record, bytes, &error);
    else if (record->kind == LOG_KIND_FORGET)
        status = check_forget (self, record, bytes, &error);
    if (status != STATUS_OK)
        bad_record (self, path, byte, record, &error);
}

/* ---- one log against the catalog ---- */

/* The segments from the published cut on must be there. */
static void check_start (const log_pass_t *self, const char *dir)
{
    const found_log_t *found = self->found;
    uint64_t cut = stored_log_cut (found->log, found->partition);
    if (self->fsck->options->live) /* a later cut may have let it be trimmed */
        return;
    if (!found->extent.exists || found->extent.start <= cut || found->extent.before[0] == '\0')
        return;
    char *path = mem_format ("%s/%s", dir, found->extent.before);
    char what[256];
    snprintf (what, sizeof what,
              "the log begins at offset %" PRIu64 ", after the cut %" PRIu64 " of the dataset",
              found->extent.start, cut);
    tell_at (self, FSCK_MISSING, path, 0, what, "the events between");
    mem_free (path);
}

/* Does the catalog tell of a record of this log? Other rows are no records. */
static bool is_record_of (const catalog_control_t *row, const found_log_t *found)
{
    bool record = strncmp (row->id, "cut-", 4) == 0 || strncmp (row->id, "load-", 5) == 0 ||
                  strncmp (row->id, "forget-", 7) == 0;
    return record && row->partition == found->partition && strcmp (row->log, found->log->name) == 0;
}

/* What the catalog has been told was durable is there. */
static void check_end (const log_pass_t *self, const char *dir)
{
    const found_log_t *found = self->found;
    const inventory_t *inventory = self->fsck->inventory;
    uint64_t needed = stored_log_cut (found->log, found->partition);
    for (size_t i = 0; i < inventory->controls_count; i++) {
        const catalog_control_t *row = &inventory->controls[i];
        if (is_record_of (row, found) && row->offset + 1 > needed)
            needed = row->offset + 1;
    }
    if (found->extent.end >= needed || found->extent.damages > 0)
        return;
    char what[256];
    snprintf (what, sizeof what, "the log ends at offset %" PRIu64 ", and once went to %" PRIu64,
              found->extent.end, needed);
    tell_at (self, FSCK_MISSING, dir, 0, what, "all from there on: a segment, or the end of one");
}

static const found_control_t *control_of (const found_log_t *found, const char *id)
{
    for (size_t i = 0; i < found->controls_count; i++)
        if (strcmp (found->controls[i].id, id) == 0)
            return &found->controls[i];
    return NULL;
}

/* Where the catalog says that control records stand, if the log still goes back there. */
static void check_controls (const log_pass_t *self)
{
    const found_log_t *found = self->found;
    const inventory_t *inventory = self->fsck->inventory;
    for (size_t i = 0; i < inventory->controls_count; i++) {
        const catalog_control_t *row = &inventory->controls[i];
        if (!is_record_of (row, found) || row->offset < found->extent.start ||
            row->offset >= found->extent.end || found->extent.damages > 0)
            continue;
        const found_control_t *control = control_of (found, row->id);
        if (control && control->offset == row->offset)
            continue;
        char what[512];
        snprintf (what, sizeof what,
                  "it says that %s stands at offset %" PRIu64 " of %s/%" PRIu32
                  ", and the log has it not there",
                  row->id, row->offset, row->log, row->partition);
        fsck_tell (self->fsck,
                   (fsck_finding_t){ .kind = FSCK_DISAGREES,
                                     .path = "catalog.db",
                                     .log = row->log,
                                     .partition = row->partition,
                                     .what = what,
                                     .remedy = "restore the latest backup" },
                   false);
    }
}

static void check_log (fsck_t *self, found_log_t *found)
{
    uint32_t partitions = self->inventory->partitions;
    log_pass_t pass = { .fsck = self,
                        .found = found,
                        .producers = dedupe_new (),
                        .scratch = arena_new (SCRATCH),
                        .marks = mem_zero (partitions, sizeof (uint64_t)),
                        .marked = mem_zero (partitions, sizeof (bool)) };
    log_watch_t watch = { on_segment, on_record, on_damage, on_unused, &pass };
    log_identity_t identity = { self->cluster.id, found->log->name, found->partition };
    char *dir = dir_of (found);
    error_t error;
    if (log_check (self->fs, dir, &identity, self->options->live, &watch, &found->extent, &error) ==
        STATUS_OK) {
        check_start (&pass, dir);
        check_end (&pass, dir);
        check_controls (&pass);
        if (self->options->log)
            self->options->log (self->options->arg, found->log->name, found->partition,
                                found->extent.start, found->extent.end);
    } else {
        tell_at (&pass, FSCK_DAMAGED, dir, 0, error.text, "all of the log");
    }
    for (uint32_t s = 0; s < partitions && !found->log->primary; s++) {
        found->marks[s] = pass.marked[s] ? pass.marks[s] : found->log->begin[s];
        found->has_marks = true;
    }
    mem_free (dir);
    mem_free (pass.marks);
    mem_free (pass.marked);
    arena_destroy (&pass.scratch);
    dedupe_destroy (&pass.producers);
}

/* ---- the logs of a stream against one another ---- */

static found_log_t *found_of (fsck_t *self, const stored_log_t *log, uint32_t partition)
{
    return &self->found[(size_t)(log - self->inventory->logs) * self->inventory->partitions +
                        partition];
}

/* A re-keyed log has nothing that its source has not, and the source all that it still lacks. */
static void check_mark (fsck_t *self, const found_log_t *target, found_log_t *source)
{
    uint64_t mark = target->marks[source->partition];
    log_pass_t pass = { .fsck = self, .found = source };
    char what[512];
    char *dir = dir_of (source);
    if (source->extent.damages == 0 && target->extent.damages == 0 && mark > source->extent.end) {
        snprintf (what, sizeof what,
                  "the log ends at offset %" PRIu64 ", and %s/%" PRIu32
                  " has got all of it below %" PRIu64,
                  source->extent.end, target->log->name, target->partition, mark);
        tell_at (&pass, FSCK_MISSING, dir, 0, what,
                 "all from there on: a segment, or the end of one");
    } else if (!self->options->live && target->extent.damages == 0 && source->extent.exists &&
               source->extent.start > mark && source->extent.before[0] != '\0') {
        char *path = mem_format ("%s/%s", dir, source->extent.before);
        snprintf (what, sizeof what,
                  "the log begins at offset %" PRIu64 ", and %s/%" PRIu32
                  " has not got what came from %" PRIu64 " on",
                  source->extent.start, target->log->name, target->partition, mark);
        tell_at (&pass, FSCK_MISSING, path, 0, what, "the events between");
        mem_free (path);
    }
    mem_free (dir);
}

static void compare_marks (fsck_t *self)
{
    uint32_t partitions = self->inventory->partitions;
    for (size_t l = 0; l < self->inventory->logs_count; l++) {
        const stored_log_t *log = &self->inventory->logs[l];
        const stored_log_t *primary = inventory_primary (self->inventory, log);
        for (uint32_t p = 0; p < partitions && !log->primary && primary; p++)
            for (uint32_t s = 0; s < partitions; s++)
                check_mark (self, found_of (self, log, p), found_of (self, primary, s));
    }
}

void fsck_logs (fsck_t *self)
{
    uint32_t partitions = self->inventory->partitions;
    size_t count = self->inventory->logs_count * partitions;
    self->found = mem_zero (count, sizeof *self->found);
    /* Re-keyed logs first: while a cluster runs, what they have got is in their sources later on
     * too. */
    for (int primary = 0; primary < 2; primary++)
        for (size_t l = 0; l < self->inventory->logs_count; l++)
            for (uint32_t p = 0; p < partitions; p++) {
                const stored_log_t *log = &self->inventory->logs[l];
                found_log_t *found = found_of (self, log, p);
                if (log->primary != (primary == 1))
                    continue;
                found->log = log;
                found->partition = p;
                found->marks = mem_zero (partitions, sizeof *found->marks);
                check_log (self, found);
            }
    compare_marks (self);
}

void fsck_logs_release (fsck_t *self)
{
    size_t count = self->inventory ? self->inventory->logs_count * self->inventory->partitions : 0;
    for (size_t i = 0; self->found && i < count; i++) {
        mem_free (self->found[i].marks);
        mem_free (self->found[i].controls);
    }
    mem_free (self->found);
}
