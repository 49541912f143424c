/* What the coordinator wants of a node, whole, in every answer to a beat. */
#include "coordinator/skews.h"
#include "coordinator/state.h"

#include <string.h>

static void write_control (coordinator_core_t *self, const char *kind, const char *id, bool segment)
{
    wire_open_map (self->writer);
    wire_field_string (self->writer, "id", id);
    wire_field_string (self->writer, "kind", kind);
    if (segment)
        wire_field_bool (self->writer, "segment", true);
    wire_close (self->writer);
}

/* Control records that the log shall have in this partition and is not known to have. */
static void write_controls (coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    wire_field_list (self->writer, "controls");
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        const load_log_t *of_log = load_log (load, log->name);
        if (load->state != LOAD_COMMITTING || !of_log || of_log->places[partition].known ||
            forgets_hold_load (self, load))
            continue;
        char *id = mem_format ("load-%s", load->row.id);
        write_control (self, "load", id, false);
        mem_free (id);
    }
    forgets_write_controls (self, log, partition);
    const recompute_t *recompute = recompute_running (self, log->name);
    if (recompute && recompute->state == RECOMPUTE_CUTTING && !recompute->cuts[partition].known &&
        !recompute->behind[partition]) {
        char *id = mem_format ("cut-%" PRIu64, recompute->id);
        /* what is to be erased is parted from what stays */
        write_control (self, "cut", id, forgets_hold_key (self, log->stream));
        mem_free (id);
    }
    wire_close (self->writer);
}

static void write_marks (coordinator_core_t *self, const log_t *log)
{
    bool any = false;
    for (uint32_t p = 0; p < self->options.partitions; p++)
        any = any || log->marks[p] > 0;
    if (!any)
        return;
    wire_field_list (self->writer, "marks");
    for (uint32_t p = 0; p < self->options.partitions; p++)
        wire_put_uint (self->writer, log->marks[p]);
    wire_close (self->writer);
}

static void write_partition (coordinator_core_t *self, partition_t *partition)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_uint (writer, "partition", partition->number);
    wire_field_uint (writer, "epoch", partition->epoch);
    wire_field_list (writer, "logs");
    for (size_t i = 0; i < self->logs_count; i++) {
        const log_t *log = self->logs[i];
        if (log->dropped || !log->begun)
            continue;
        wire_open_map (writer);
        wire_field_string (writer, "log", log->name);
        wire_field_uint (writer, "base", log_base (log, partition->number));
        write_controls (self, log, partition->number);
        write_marks (self, log);
        wire_close (writer);
    }
    wire_close (writer);
    wire_close (writer);
}

static void write_partitions (coordinator_core_t *self, const node_t *node)
{
    wire_field_list (self->writer, "partitions");
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        partition_t *partition = &self->partitions[p];
        if (!partition_listed (partition, node))
            continue;
        write_partition (self, partition);
        partition->leased_until = core_lease_end (self);
    }
    wire_close (self->writer);
}

void orders_write_run (coordinator_core_t *self, const catalog_run_t *run, uint64_t offset)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_string (writer, "path", run->path);
    wire_field_uint (writer, "size", run->size);
    wire_field_uint (writer, "rows", run->rows);
    if (offset != UINT64_MAX)
        wire_field_uint (writer, "offset", offset);
    wire_close (writer);
}

void orders_write_runs (coordinator_core_t *self, const catalog_run_t *runs, size_t count,
                        const catalog_part_t *part)
{
    wire_field_list (self->writer, "runs");
    for (size_t i = 0; i < count; i++)
        orders_write_run (self, &runs[i], runs[i].offset);
    wire_close (self->writer);
    wire_field_list (self->writer, "excluded");
    for (size_t i = 0; i < part->excluded_count; i++)
        wire_put_uint (self->writer, part->excluded[i]);
    wire_close (self->writer);
}

void orders_begin_build (coordinator_core_t *self, const char *log, const catalog_part_t *part,
                         uint64_t from)
{
    wire_writer_t *writer = self->writer;
    wire_field_map (writer, "build");
    wire_field_string (writer, "log", log);
    wire_field_uint (writer, "partition", part->partition);
    wire_field_uint (writer, "from", from);
    wire_field_uint (writer, "cut", part->cut);
    wire_field_int (writer, "clock", part->clock);
}

static void write_build (coordinator_core_t *self, const recompute_t *recompute, uint32_t partition)
{
    wire_writer_t *writer = self->writer;
    const build_t *build = &recompute->builds[partition];
    orders_begin_build (self, recompute->log, &build->part, build->from);
    orders_write_runs (self, build->inputs, build->inputs_count, &build->part);
    if (build->kept > 0) /* what is told of below the new layer */
        wire_field_int (writer, "latest", build->part.layers[build->kept - 1].latest);
    forgets_write_build (self, recompute, partition);
    wire_close (writer);
}

static void write_load (coordinator_core_t *self, const load_t *task)
{
    wire_writer_t *writer = self->writer;
    const catalog_load_t *load = &task->row;
    wire_field_map (writer, "load");
    wire_field_string (writer, "stream", load->stream);
    wire_field_string (writer, "path", load->path);
    wire_field_string (writer, "id", load->id);
    wire_field_string (writer, "format", load->format);
    wire_field_bool (writer, "skip", load->skip);
    wire_field_int (writer, "clock", load->created);
    if (load->ingest_time[0] != '\0')
        wire_field_string (writer, "ingest_time", load->ingest_time);
    wire_field_list (writer, "logs");
    for (size_t i = 0; i < task->logs_count; i++)
        wire_put_string (writer, task->logs[i].name);
    wire_close (writer);
    wire_close (writer);
    if (load_is_history (task))
        keys_write_history (self, task);
}

static const char *const kind_words[TASK_KINDS] = {
    [TASK_BUILD] = "build",   [TASK_FOLD] = "fold",      [TASK_LOAD] = "load",
    [TASK_VERIFY] = "verify", [TASK_TRAINING] = "train", [TASK_SKEW] = "skew"
};

static void write_tasks (coordinator_core_t *self, const node_t *node)
{
    wire_writer_t *writer = self->writer;
    wire_field_list (writer, "tasks");
    for (size_t i = 0; i < self->tasks_count; i++) {
        const task_t *task = self->tasks[i];
        const attempt_t *attempt = task_at (task, node);
        if (!attempt)
            continue;
        wire_open_map (writer);
        wire_field_uint (writer, "task", task->id);
        wire_field_uint (writer, "attempt", attempt->number);
        wire_field_string (writer, "kind", kind_words[task_kind (task)]);
        wire_field_uint (writer, "definitions", task->definitions);
        if (task->recompute && schedule_is_urgent (self, task->recompute->log))
            wire_field_bool (writer, "urgent", true);
        if (task->load)
            write_load (self, task->load);
        else if (task->forget)
            forget_write_verify (self, task);
        else if (task->training)
            training_write (self, task);
        else if (task->skew)
            skew_write (self, task);
        else if (task->fold)
            folds_write (self, task->fold);
        else
            write_build (self, task->recompute, task->partition);
        wire_close (writer);
    }
    wire_close (writer);
}

static void write_datasets (coordinator_core_t *self, const node_t *node)
{
    wire_field_list (self->writer, "datasets");
    for (size_t i = 0; node->role == ROLE_SERVING && i < self->logs_count; i++) {
        if (self->logs[i]->dropped || !self->logs[i]->begun)
            continue;
        wire_open_map (self->writer);
        wire_field_string (self->writer, "log", self->logs[i]->name);
        wire_field_uint (self->writer, "manifest", self->logs[i]->manifest.number);
        if (!log_is_filled (self, self->logs[i]))
            wire_field_bool (self->writer, "filling", true);
        wire_close (self->writer);
    }
    wire_close (self->writer);
}

/* What the latest reports say, for the metrics of serving nodes. */
static void write_skew (coordinator_core_t *self)
{
    uint64_t mismatches, alerts;
    if (!skews_totals (self, &mismatches, &alerts))
        return;
    wire_field_map (self->writer, "skew");
    wire_field_uint (self->writer, "mismatches", mismatches);
    wire_field_uint (self->writer, "alerts", alerts);
    wire_close (self->writer);
}

void orders_write (coordinator_core_t *self, const node_t *node, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_BEAT_OK, id);
    wire_field_uint (writer, "lease_us", (uint64_t)self->options.lease);
    /* what was told to be applied, also while it cannot be read back: nobody refuses a row for good
     * under what is in force here until then */
    wire_field_uint (writer, "definitions", catalog_definitions_version (self->catalog));
    wire_field_uint (writer, "routes", self->routes_version);
    wire_field_uint (writer, "term", catalog_term (self->catalog));
    if (node->role == ROLE_SPEED)
        write_partitions (self, node);
    if (node->role == ROLE_BATCH)
        write_tasks (self, node);
    write_datasets (self, node);
    if (node->role == ROLE_SERVING)
        write_skew (self);
    core_reply (self, &node->peer, id);
}
