/* build.c - a partition's new history and views below a cut. */
#include "batch-worker/build.h"

#include "base/check.h"
#include "base/mem.h"
#include "intake/logged.h"
#include "storage/sorter.h"

#include <inttypes.h>
#include <stdlib.h>

enum { DECODE_CHUNK = 1 << 20 };

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

/* ---- the log ---- */

typedef struct compaction {
    build_t *build;
    sorter_t *sorter;
    arena_t *arena; /* of one record */
} compaction_t;

static status_t write_gathered (compaction_t *self, error_t *error)
{
    if (sorter_rows (self->sorter) == 0)
        return STATUS_OK;
    run_info_t info;
    const char *path = build_run_path (self->build);
    status_t status =
        sorter_write (self->sorter, self->build->fs, path, &self->build->schema, &info, error);
    if (status != STATUS_OK)
        return status;
    build_add_run (self->build, path, &info);
    sorter_clear (self->sorter);
    return STATUS_OK;
}

/* All but those that are to be erased. */
static void add_others (compaction_t *self, const batch_t *batch, size_t from, size_t to)
{
    uint32_t *rows = arena_alloc (self->arena, (to - from) * sizeof *rows);
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        int erasure = eraser_find (&self->build->eraser, batch, i);
        if (erasure < 0)
            rows[count++] = (uint32_t)i;
        else
            self->build->task->erased[erasure]++;
    }
    sorter_add_picked (self->sorter, batch, rows, count);
}

static status_t gather_record (compaction_t *self, const log_record_t *record, error_t *error)
{
    const build_order_t *order = self->build->order;
    batch_t batch;
    arena_reset (self->arena);
    status_t status = logged_batch (&self->build->log, record, self->arena, &batch, error);
    if (status != STATUS_OK)
        return error_prefix (error, "log %s/%u, offset %" PRIu64, self->build->log.name,
                             order->partition, record->offset);
    /* offsets in a record go up by one */
    size_t from = 0, to = batch.rows;
    while (from < to && batch.offset[from] < order->from)
        from++;
    while (to > from && batch.offset[to - 1] >= order->cut)
        to--;
    if (self->build->eraser.count > 0)
        add_others (self, &batch, from, to);
    else
        sorter_add (self->sorter, &batch, from, to);
    task_progress (self->build->task, to - from);
    uint64_t bytes = sorter_bytes (self->sorter) + arena_held (self->arena);
    return bytes < task_gathers (self->build->task->setting.memory_limit)
               ? STATUS_OK
               : write_gathered (self, error);
}

static status_t gather_log (compaction_t *self, log_reader_t *reader, error_t *error)
{
    for (;;) {
        log_record_t record;
        status_t status = task_go_on (self->build->task, error);
        if (status == STATUS_OK)
            status = log_reader_next (reader, &record, error);
        if (status == STATUS_END)
            return write_gathered (self, error);
        if (status == STATUS_OK && record.kind == LOG_KIND_EVENTS)
            status = gather_record (self, &record, error);
        if (status != STATUS_OK)
            return status;
    }
}

status_t build_compact (build_t *self, error_t *error)
{
    const build_order_t *order = self->order;
    if (order->from == order->cut)
        return STATUS_OK;
    task_t *task = self->task;
    log_identity_t identity =
        logged_identity (&self->log, task->setting.cluster_id, order->partition);
    const char *dir = logged_dir (task->arena, "log", self->log.name, order->partition);
    log_reader_t *reader;
    status_t status =
        log_reader_open (self->fs, dir, &identity, order->from, order->cut, &reader, error);
    if (status != STATUS_OK)
        return error_prefix (error, "log %s/%u", self->log.name, order->partition);
    compaction_t compaction = { .build = self,
                                .sorter = sorter_new (self->schema.types, self->schema.columns,
                                                      task->setting.kept),
                                .arena = arena_new (DECODE_CHUNK) };
    status = gather_log (&compaction, reader, error);
    sorter_destroy (&compaction.sorter);
    arena_destroy (&compaction.arena);
    log_reader_destroy (&reader);
    return status;
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
    eraser_release (&self.eraser);
    return status;
}
