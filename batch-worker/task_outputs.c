/* What a task has made, as the coordinator is told of it. */
#include "batch-worker/skew.h"

#include "base/check.h"
#include "storage/run.h"

static void put_run (wire_writer_t *writer, const task_run_t *run)
{
    wire_open_map (writer);
    wire_field_string (writer, "path", run->path);
    wire_field_uint (writer, "size", run->size);
    wire_field_uint (writer, "rows", run->rows);
    if (run->offset != RUN_OFFSET_AS_WRITTEN)
        wire_field_uint (writer, "offset", run->offset);
    wire_close (writer);
}

static void put_left_out (const task_t *self, wire_writer_t *writer)
{
    if (self->left_out_count == 0)
        return;
    wire_field_list (writer, "left_out");
    for (size_t i = 0; i < self->left_out_count; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "view", self->left_out[i].view);
        wire_field_uint (writer, "version", self->left_out[i].version);
        wire_field_string (writer, "reason", self->left_out[i].reason);
        wire_close (writer);
    }
    wire_close (writer);
}

static void put_built (const task_t *self, wire_writer_t *writer)
{
    put_left_out (self, writer);
    wire_field_int (writer, "latest", self->latest);
    wire_field_list (writer, "runs");
    for (size_t i = 0; i < self->runs.count; i++)
        put_run (writer, &self->runs.items[i]);
    wire_close (writer);
    wire_field_list (writer, "views");
    for (size_t i = 0; i < self->views_count; i++) {
        const task_view_t *view = &self->views[i];
        wire_open_map (writer);
        wire_field_string (writer, "view", view->plan->view);
        wire_field_uint (writer, "version", view->plan->version);
        wire_field_uint (writer, "plan", view->plan->hash);
        wire_field_string (writer, "path", view->path);
        wire_field_uint (writer, "size", view->size);
        wire_close (writer);
    }
    wire_close (writer);
}

/* The runs of one log in one partition, if there are any. */
static void put_loaded_part (const task_t *self, wire_writer_t *writer, const char *log,
                             uint32_t partition)
{
    bool open = false;
    for (size_t i = 0; i < self->runs.count; i++) {
        const task_run_t *run = &self->runs.items[i];
        if (run->partition != partition || strcmp (run->log, log) != 0)
            continue;
        if (!open) {
            wire_open_map (writer);
            wire_field_string (writer, "log", log);
            wire_field_uint (writer, "partition", partition);
            wire_field_list (writer, "runs");
            open = true;
        }
        put_run (writer, run);
    }
    if (open) {
        wire_close (writer);
        wire_close (writer);
    }
}

static void put_loaded (const task_t *self, wire_writer_t *writer)
{
    wire_field_list (writer, "loaded");
    for (size_t l = 0; l < self->load.logs_count; l++)
        for (uint32_t p = 0; p < self->setting.partitions; p++)
            put_loaded_part (self, writer, self->load.logs[l], p);
    wire_close (writer);
}

/* One run, and how many rows it has. */
static void put_trained (const task_t *self, wire_writer_t *writer)
{
    wire_field_list (writer, "runs");
    for (size_t i = 0; i < self->runs.count; i++)
        put_run (writer, &self->runs.items[i]);
    wire_close (writer);
}

static void put_verified (const task_t *self, wire_writer_t *writer)
{
    wire_field_uint (writer, "files", self->files);
    if (self->found != NULL)
        wire_field_string (writer, "found", self->found);
}

static void put_skewed (const task_t *self, wire_writer_t *writer)
{
    const task_skewed_t *skewed = &self->skewed;
    wire_field_map (writer, "skew");
    wire_field_string (writer, "report", skewed->report);
    wire_field_uint (writer, "compared", skewed->compared);
    wire_field_uint (writer, "mismatches", skewed->mismatches);
    wire_field_uint (writer, "late", skewed->late);
    wire_field_list (writer, "alerts");
    for (size_t i = 0; i < skewed->alerts_count; i++)
        wire_put_string (writer, skewed->alerts[i]);
    wire_close (writer);
    wire_close (writer);
}

void task_put_outputs (const task_t *self, wire_writer_t *writer)
{
    CHECK_OBJECT (self, TASK_MAGIC);
    if (self->erased_count > 0) {
        wire_field_list (writer, "erased");
        for (size_t i = 0; i < self->erased_count; i++)
            wire_put_uint (writer, self->erased[i]);
        wire_close (writer);
    }
    if (self->kind == TASK_BUILD)
        put_built (self, writer);
    else if (self->kind == TASK_TRAIN)
        put_trained (self, writer);
    else if (self->kind == TASK_VERIFY)
        put_verified (self, writer);
    else if (self->kind == TASK_SKEW)
        put_skewed (self, writer);
    else
        put_loaded (self, writer);
    wire_field_uint (writer, "rows", self->rows);
    wire_field_uint (writer, "refused", self->refused);
    if (self->rejects != NULL)
        wire_field_string (writer, "rejects", self->rejects);
}
