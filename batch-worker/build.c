/* build.c - a partition's new history and views below a cut. */
#include "batch-worker/build.h"

#include "base/check.h"
#include "base/mem.h"
#include "intake/logged.h"

#include <inttypes.h>
#include <stdlib.h>

const char *build_run_path (build_t *self)
{
    task_t *task = self->task;
    const char *dir = logged_dir (task->arena, "history", self->log.name, self->order->partition);
    return task_format (task, "%s/%" PRIu64 "-%" PRIu64 "-%u.run", dir, task->id, task->attempt,
                        self->runs_written++);
}

void build_add_run (build_t *self, const char *path, const run_info_t *info)
{
    task_wrote (self->task, path);
    task_run_t run = { .path = path,
                       .size = info->size,
                       .rows = info->rows,
                       .offset = RUN_OFFSET_AS_WRITTEN,
                       .partition = self->order->partition };
    task_runs_add (&self->runs, &run);
}

static int compare_offset (const void *key, const void *item)
{
    const uint64_t *a = key;
    const uint64_t *b = item;
    return (*a > *b) - (*a < *b);
}

bool build_excludes (const build_order_t *order, uint64_t offset)
{
    return order->excluded_count > 0 && bsearch (&offset, order->excluded, order->excluded_count,
                                                 sizeof offset, compare_offset) != NULL;
}

/* ---- the whole ---- */

/* Runs of loads that are excluded as a whole are not the partition's any more. */
static void take_runs (build_t *self)
{
    for (size_t i = 0; i < self->order->runs.count; i++) {
        const task_run_t *run = &self->order->runs.items[i];
        bool gone =
            run->offset != RUN_OFFSET_AS_WRITTEN && build_excludes (self->order, run->offset);
        if (!gone)
            task_runs_add (&self->runs, run);
    }
}

static void set_total (build_t *self)
{
    uint64_t total = 2 * (self->order->cut - self->order->from); /* compacted, then in views */
    for (size_t i = 0; i < self->runs.count; i++)
        total += self->runs.items[i].rows;
    atomic_store (&self->task->total, total);
}

status_t build_of_log (build_t *self, error_t *error)
{
    task_t *task = self->task;
    if (!model_log (task->model, self->order->log, &self->log))
        return error_set (error, STATUS_NOT_FOUND, "there is no log '" TEXT_FORMAT "'",
                          TEXT_ARGS (self->order->log));
    self->columns = stream_columns (self->log.stream, task->arena);
    self->schema = (run_schema_t){ .log = text_of (self->log.name),
                                   .fingerprint = self->log.fingerprint,
                                   .partition = self->order->partition,
                                   .partitions = task->setting.partitions,
                                   .types = self->columns.types,
                                   .ids = self->columns.ids,
                                   .columns = self->columns.count };
    return STATUS_OK;
}

static status_t prepare (build_t *self, error_t *error)
{
    task_t *task = self->task;
    status_t status = build_of_log (self, error);
    if (status == STATUS_OK)
        status = eraser_init (&self->eraser, task->model, &self->log, self->order->forgets,
                              self->order->forgets_count, error);
    if (status != STATUS_OK)
        return status;
    take_runs (self);
    set_total (self);
    return fs_make_dir (self->fs,
                        logged_dir (task->arena, "history", self->log.name, self->order->partition),
                        error);
}

status_t task_build (task_t *task, error_t *error)
{
    build_t self = { .task = task, .order = &task->build, .fs = task->setting.fs };
    status_t status = prepare (&self, error);
    if (status == STATUS_OK)
        status = build_erase (&self, error);
    if (status == STATUS_OK)
        status = build_compact (&self, error);
    if (status == STATUS_OK)
        status = build_merge (&self, error);
    if (status == STATUS_OK && (self.runs.count > 0 || !self.order->delta))
        status = build_views (&self, error);
    task->runs = self.runs;
    build_fresh_release (&self);
    eraser_release (&self.eraser);
    return status;
}
