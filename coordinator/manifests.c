#include "coordinator/state.h"

#include <string.h>

/* ---- logs ---- */

log_t *log_named (const coordinator_core_t *self, text_t name)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (text_is (name, self->logs[i]->name))
            return self->logs[i];
    return NULL;
}

static void keep (coordinator_core_t *self, log_t *log, uint64_t number)
{
    log->kept = mem_resize (log->kept, log->kept_count + 1, sizeof *log->kept);
    log->kept[log->kept_count++] = (kept_t){
        .number = number,
        .cuts = mem_zero (self->options.partitions, sizeof (uint64_t)),
    };
}

static void drop_kept (log_t *log, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mem_free (log->kept[i].cuts);
    log->kept_count -= count;
    if (log->kept_count > 0)
        memmove (log->kept, log->kept + count, log->kept_count * sizeof *log->kept);
}

void log_destroy (log_t **self_p)
{
    log_t *log = *self_p;
    *self_p = NULL;
    if (!log)
        return;
    drop_kept (log, log->kept_count);
    mem_free (log->kept);
    arena_destroy (&log->arena);
    mem_free (log->name);
    mem_free (log->stream);
    mem_free (log->forwarded);
    mem_free (log->marks);
    mem_free (log->held);
    mem_free (log->folds); /* none is there */
    stuck_release (log);
    mem_free (log);
}

/* Manifests that were kept, from the catalog. A log without any stands at manifest 0. */
static status_t read_kept (coordinator_core_t *self, log_t *log, error_t *error)
{
    arena_t *arena = arena_new (4096);
    catalog_cut_t *cuts;
    size_t count;
    status_t status = catalog_cuts (self->catalog, log->name, arena, &cuts, &count, error);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        if (log->kept_count == 0 || log->kept[log->kept_count - 1].number != cuts[i].manifest)
            keep (self, log, cuts[i].manifest);
        if (cuts[i].partition < self->options.partitions)
            log->kept[log->kept_count - 1].cuts[cuts[i].partition] = cuts[i].cut;
    }
    arena_destroy (&arena);
    if (status == STATUS_OK && log->kept_count == 0)
        keep (self, log, 0);
    return status;
}

bool log_has_load (const log_t *self, const char *id)
{
    for (size_t i = 0; i < self->manifest.loads_count; i++)
        if (strcmp (self->manifest.loads[i], id) == 0)
            return true;
    return false;
}

static status_t log_read (coordinator_core_t *self, const keyed_log_t *keyed, log_t **out,
                          error_t *error)
{
    log_t *log = mem_zero (1, sizeof *log);
    log->name = mem_string (keyed->name);
    log->stream = mem_string (keyed->stream->name);
    log->primary = keyed->primary;
    log->begun = keyed->primary;
    log->forwarded = mem_zero (self->options.partitions, sizeof *log->forwarded);
    log->marks = mem_zero (self->options.partitions, sizeof *log->marks);
    log->partitions = self->options.partitions;
    log->stuck = mem_zero (log->partitions, sizeof *log->stuck);
    log->folds = mem_zero (log->partitions, sizeof *log->folds);
    log->arena = arena_new (1 << 14);
    log->started = core_now (self);
    log->sweep = true;
    status_t status =
        catalog_manifest (self->catalog, log->name, log->arena, &log->manifest, error);
    if (status == STATUS_OK)
        status = read_kept (self, log, error);
    if (status == STATUS_OK && log->manifest.parts_count != 0 &&
        log->manifest.parts_count != self->options.partitions)
        status =
            error_set (error, STATUS_CORRUPT, "the manifest of %s lacks partitions", log->name);
    if (status == STATUS_OK)
        *out = log;
    else
        log_destroy (&log);
    return status;
}

/* A log that is not known yet, among those of `self`. */
static status_t want_log (coordinator_core_t *self, const keyed_log_t *keyed, error_t *error)
{
    log_t *log = NULL;
    if (log_named (self, text_of (keyed->name)))
        return STATUS_OK;
    status_t status = log_read (self, keyed, &log, error);
    if (status != STATUS_OK)
        return status;
    log->dropped = true; /* until all are read */
    self->logs = mem_resize (self->logs, self->logs_count + 1, sizeof (log_t *));
    self->logs[self->logs_count++] = log;
    return STATUS_OK;
}

/* What the catalog has of how logs of other keys came about: of those from place `from` on. A
 * stream that comes back finds its logs as they were. */
static status_t read_begun (coordinator_core_t *self, size_t from, error_t *error)
{
    if (from == self->logs_count)
        return STATUS_OK;
    arena_t *arena = arena_new (1 << 14);
    catalog_control_t *rows;
    size_t count;
    status_t status = catalog_controls (self->catalog, arena, &rows, &count, error);
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        for (size_t l = from; l < self->logs_count; l++) {
            log_t *log = self->logs[l];
            if (strcmp (log->name, rows[i].log) != 0 ||
                rows[i].partition >= self->options.partitions)
                continue;
            if (strcmp (rows[i].id, CONTROL_FORWARDED) == 0) {
                log->forwarded[rows[i].partition] = true;
            } else if (strcmp (rows[i].id, CONTROL_BEGIN) == 0) {
                log->marks[rows[i].partition] = rows[i].offset;
                log->begun = true;
            }
        }
    arena_destroy (&arena);
    return status;
}

static void take_wanted (coordinator_core_t *self, const keyed_log_t *wanted, size_t count)
{
    for (size_t i = 0; i < self->logs_count; i++)
        self->logs[i]->dropped = true;
    for (size_t i = 0; i < count; i++) {
        log_t *log = log_named (self, text_of (wanted[i].name));
        log->dropped = false;
        log->primary = wanted[i].primary;
        core_set (&log->stream, wanted[i].stream->name);
    }
}

/* Those of streams, of views, and those that are kept up though no view is over them. Owners stop
 * waiting for a log that their orders leave out: so none goes before all that are new are read. */
status_t logs_refresh (coordinator_core_t *self, const definitions_t *all,
                       const catalog_object_t *objects, size_t objects_count, error_t *error)
{
    size_t most = all->streams_count + SOURCES_MAX * all->views_count + objects_count;
    keyed_log_t *wanted = mem_zero (most, sizeof *wanted);
    size_t count = 0;
    for (size_t i = 0; i < all->streams_count; i++)
        count += keyed_log_find (all, text_of (all->streams[i].log_name), &wanted[count]);
    for (size_t i = 0; i < all->views_count; i++)
        for (size_t s = 0; s < all->views[i].sources_count; s++)
            count +=
                keyed_log_find (all, text_of (all->views[i].sources[s].log_name), &wanted[count]);
    for (size_t i = 0; i < objects_count; i++)
        if (strcmp (objects[i].kind, KIND_KEY) == 0)
            count += keyed_log_find (all, text_of (objects[i].name), &wanted[count]);
    size_t known = self->logs_count;
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = want_log (self, &wanted[i], error);
    if (status == STATUS_OK)
        status = read_begun (self, known, error);
    if (status == STATUS_OK)
        take_wanted (self, wanted, count);
    while (status != STATUS_OK && self->logs_count > known)
        log_destroy (&self->logs[--self->logs_count]);
    mem_free (wanted);
    return status;
}

void log_take_manifest (coordinator_core_t *self, log_t *log, arena_t **arena,
                        const catalog_manifest_t *manifest)
{
    arena_destroy (&log->arena);
    log->arena = *arena;
    *arena = NULL;
    log->manifest = *manifest;
    keep (self, log, manifest->number);
    for (size_t i = 0; i < manifest->parts_count; i++)
        log->kept[log->kept_count - 1].cuts[manifest->parts[i].partition] = manifest->parts[i].cut;
    log->sweep = true;
}

uint64_t log_base (const log_t *self, uint32_t partition)
{
    uint64_t base = self->kept[0].cuts[partition];
    return self->held && self->held[partition] < base ? self->held[partition] : base;
}

/* ---- what may go ---- */

/* What the node stands on: one that has not heard of the log yet would begin at manifest 0, unless
 * it is to hear of it no more. */
static uint64_t stands_on (const node_t *node, const log_t *log)
{
    for (size_t d = 0; d < node->datasets_count; d++)
        if (strcmp (node->datasets[d].log, log->name) == 0)
            return node->datasets[d].manifest;
    return log->dropped ? UINT64_MAX : 0;
}

/* The least manifest that a live serving node stands on, or the current one. */
static uint64_t least_served (const coordinator_core_t *self, const log_t *log)
{
    uint64_t least = log->manifest.number;
    for (size_t i = 0; i < self->nodes_count; i++) {
        const node_t *node = self->nodes[i];
        if (node->role != ROLE_SERVING || !node_alive (self, node))
            continue;
        uint64_t manifest = stands_on (node, log);
        least = manifest < least ? manifest : least;
    }
    return least;
}

bool log_is_served (const coordinator_core_t *self, const log_t *log)
{
    return least_served (self, log) == log->manifest.number;
}

/* Drops what nobody stands on, in the catalog first: bases never go back, over a restart neither.
 * A node that reports one which is dropped had lost its lease, and refreshes before it answers. */
static void drop_unserved (coordinator_core_t *self, log_t *log)
{
    uint64_t least = least_served (self, log);
    size_t count = 0;
    while (count + 1 < log->kept_count && log->kept[count].number < least)
        count++;
    if (count == 0)
        return;
    error_t error;
    uint64_t below = log->kept[count].number;
    if (log->kept[count - 1].number > 0 &&
        catalog_drop_manifests (self->catalog, log->name, below, &error) != STATUS_OK) {
        (void)core_failed (self, &error);
        return;
    }
    drop_kept (log, count);
    log->sweep = true;
    nodes_poke (self, ROLE_SPEED);
}

static void mark_trimmed (coordinator_core_t *self, recompute_t *recompute)
{
    const log_t *log = log_named (self, text_of (recompute->log));
    /* after a restart, manifest 0 is kept no more even if a node still stands on it */
    if (log && (log->kept[0].number < recompute->manifest ||
                least_served (self, log) < recompute->manifest))
        return;
    error_t error;
    char *cut = mem_format ("cut-%" PRIu64, recompute->id);
    recompute->state = RECOMPUTE_TRIMMED;
    status_t status = recompute_store (self, recompute, &error);
    if (status == STATUS_OK)
        status = catalog_forget_control (self->catalog, recompute->log, cut, &error);
    if (status != STATUS_OK)
        (void)core_failed (self, &error);
    mem_free (cut);
}

void manifests_settle (coordinator_core_t *self)
{
    /* Serving nodes that were promised something before a restart have not all beaten yet. */
    if (core_now (self) < self->promised)
        return;
    for (size_t i = 0; i < self->logs_count && !self->doubtful; i++)
        drop_unserved (self, self->logs[i]);
    for (size_t i = 0; i < self->recomputes_count && !self->doubtful; i++)
        if (self->recomputes[i]->state == RECOMPUTE_PUBLISHED)
            mark_trimmed (self, self->recomputes[i]);
}

/* ---- telling ---- */

/* Loads that are on their way: their rows come in with a later dataset, though their record is
 * below the cut of this one. */
static void write_absent (coordinator_core_t *self, const log_t *log, const catalog_part_t *part)
{
    wire_field_list (self->writer, "absent");
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        const load_log_t *of_log = load_log (load, log->name);
        bool comes = load->state == LOAD_COMMITTING || load->state == LOAD_WAITING;
        const placed_t *place = comes && of_log ? &of_log->places[part->partition] : NULL;
        if (place && place->known && place->offset < part->cut && !log_has_load (log, load->row.id))
            wire_put_uint (self->writer, place->offset);
    }
    wire_close (self->writer);
}

static void write_part (coordinator_core_t *self, const log_t *log, const catalog_part_t *part)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_uint (writer, "partition", part->partition);
    wire_field_uint (writer, "cut", part->cut);
    wire_field_int (writer, "clock", part->clock);
    orders_write_runs (self, part->runs, part->runs_count, part);
    wire_field_list (writer, "views");
    for (size_t i = 0; i < part->views_count; i++) {
        const catalog_view_file_t *view = &part->views[i];
        wire_open_map (writer);
        wire_field_string (writer, "view", view->view);
        wire_field_uint (writer, "version", view->version);
        wire_field_uint (writer, "plan", view->plan);
        wire_field_string (writer, "path", view->path);
        wire_close (writer);
    }
    wire_close (writer);
    wire_field_list (writer, "layers");
    for (size_t i = 0; i < part->layers_count; i++) {
        wire_open_map (writer);
        wire_field_uint (writer, "cut", part->layers[i].cut);
        wire_field_uint (writer, "runs", part->layers[i].runs_count);
        wire_field_uint (writer, "views", part->layers[i].views_count);
        wire_close (writer);
    }
    wire_close (writer);
    write_absent (self, log, part);
    wire_close (writer);
}

/* Entities that it lacks, though its cut is past their events. */
static void write_forgets (wire_writer_t *writer, const catalog_manifest_t *manifest)
{
    wire_field_list (writer, "forgets");
    for (size_t i = 0; i < manifest->loads_count; i++)
        if (strncmp (manifest->loads[i], "forget-", 7) == 0)
            wire_put_string (writer, manifest->loads[i] + 7);
    wire_close (writer);
}

void manifests_dataset (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    text_t name = wire_text (message->body, "log");
    const log_t *log = log_named (self, name);
    error_t error;
    if (!log || log->dropped) {
        (void)error_set (&error, STATUS_NOT_FOUND, "there is no log " TEXT_FORMAT,
                         TEXT_ARGS (name));
        core_reply_error (self, from, message->id, &error);
        return;
    }
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_DATASET_OK, message->id);
    wire_field_string (writer, "log", log->name);
    wire_field_uint (writer, "manifest", log->manifest.number);
    wire_field_string (writer, "id", log->manifest.dataset);
    wire_field_list (writer, "partitions");
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        catalog_part_t empty = { .partition = p };
        write_part (self, log, log->manifest.number > 0 ? &log->manifest.parts[p] : &empty);
    }
    wire_close (writer);
    write_forgets (writer, &log->manifest);
    /* no task has written its files under newer ones */
    wire_field_uint (writer, "definitions", self->version);
    core_reply (self, from, message->id);
}
