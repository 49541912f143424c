/* build_log.c - the log's new rows: gathered, sorted, and given in order to whoever writes runs and
 * views. */
#include "batch-worker/build.h"

#include "base/mem.h"
#include "intake/logged.h"

#include <inttypes.h>

enum {
    DECODE_CHUNK = 1 << 20,
    FRESH_PART = 16, /* of the task's memory, what rows may take while views are made of them */
};

/* ---- gathering ---- */

typedef struct compaction {
    build_t *build;
    sorter_t *sorter;
    arena_t *arena; /* of one record */
} compaction_t;

/* A run of what was gathered. */
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
    self->build->fresh.latest = INT64_MIN; /* the run tells it */
    return STATUS_OK;
}

/* What was gathered last is given to whoever reads the runs, if it is little; else a run of it. */
static status_t end_gathering (compaction_t *self, error_t *error)
{
    build_t *build = self->build;
    uint64_t most = build->task->setting.memory_limit / FRESH_PART;
    if (sorter_rows (self->sorter) == 0 || sorter_bytes (self->sorter) > most)
        return write_gathered (self, error);
    task_run_t run = { .path = build_run_path (build),
                       .rows = sorter_rows (self->sorter),
                       .offset = RUN_OFFSET_AS_WRITTEN,
                       .partition = build->order->partition };
    task_runs_add (&build->runs, &run);
    build->fresh.path = run.path;
    build->fresh.sorter = self->sorter;
    self->sorter = NULL;
    return STATUS_OK;
}

/* Rows [from, to) without those that are to be erased. */
static size_t pick_others (compaction_t *self, const batch_t *batch, size_t from, size_t to,
                           uint32_t *rows)
{
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        int erasure = eraser_find (&self->build->eraser, batch, i);
        if (erasure < 0)
            rows[count++] = (uint32_t)i;
        else
            self->build->task->erased[erasure]++;
    }
    return count;
}

static void gather_rows (compaction_t *self, const batch_t *batch, size_t from, size_t to)
{
    build_t *build = self->build;
    int64_t latest = build->fresh.latest;
    int64_t clock = build->order->clock;
    uint32_t *rows = arena_alloc (self->arena, (to - from) * sizeof *rows);
    size_t count = to - from;
    bool all = build->eraser.count == 0;
    if (!all)
        count = pick_others (self, batch, from, to, rows);
    for (size_t i = 0; i < count; i++) {
        int64_t time = batch->event_time[all ? from + i : rows[i]];
        latest = time > latest && time <= clock ? time : latest;
    }
    build->fresh.latest = latest;
    if (all)
        sorter_add (self->sorter, batch, from, to);
    else
        sorter_add_picked (self->sorter, batch, rows, count);
    task_progress (build->task, to - from);
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
    gather_rows (self, &batch, from, to);
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
            return end_gathering (self, error);
        if (status == STATUS_OK && record.kind == LOG_KIND_EVENTS)
            status = gather_record (self, &record, error);
        if (status != STATUS_OK)
            return status;
    }
}

status_t build_compact (build_t *self, error_t *error)
{
    const build_order_t *order = self->order;
    self->fresh.latest = INT64_MIN;
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

/* ---- giving ---- */

bool build_is_fresh (const build_t *self, const task_run_t *run)
{
    return self->fresh.sorter != NULL && run->path == self->fresh.path;
}

/* What is not wanted is not there, as in batches of a run. */
static void leave_out (fresh_t *self, batch_t *batch)
{
    column_t *columns = self->columns[self->turn];
    self->turn = 1 - self->turn;
    for (size_t c = 0; c < batch->columns; c++) {
        columns[c] = batch->column[c];
        if ((self->wanted[c / 64] >> c % 64 & 1) == 0)
            columns[c] = (column_t){ .type = TYPE_NONE };
    }
    batch->column = columns;
    batch->ingest_time = NULL;
}

static status_t next_fresh (void *self, batch_t *batch, error_t *error)
{
    fresh_t *fresh = self;
    status_t status = sorter_next (fresh->sorter, batch, error);
    if (status == STATUS_OK && fresh->writer != NULL)
        status = sorter_is_done (fresh->sorter)
                     ? run_writer_add_last (fresh->writer, batch, error)
                     : run_writer_add (fresh->writer, batch, 0, batch->rows, error);
    if (status == STATUS_OK && fresh->wanted != NULL)
        leave_out (fresh, batch);
    return status;
}

merge_source_t build_fresh_source (build_t *self, const uint64_t *wanted)
{
    fresh_t *fresh = &self->fresh;
    fresh->wanted = wanted;
    for (size_t i = 0; i < 2; i++)
        fresh->columns[i] =
            arena_zero (self->task->arena, self->columns.count, sizeof *fresh->columns[i]);
    return (merge_source_t){ .next = next_fresh, .self = fresh };
}

status_t build_fresh_begin (build_t *self, error_t *error)
{
    return run_writer_new (self->fs, self->fresh.path, &self->schema, &self->fresh.writer, error);
}

status_t build_fresh_end (build_t *self, error_t *error)
{
    run_info_t info;
    status_t status = run_writer_finish (self->fresh.writer, &info, error);
    if (status != STATUS_OK)
        return status;
    task_wrote (self->task, self->fresh.path);
    for (size_t i = 0; i < self->runs.count; i++)
        if (build_is_fresh (self, &self->runs.items[i]))
            self->runs.items[i].size = info.size;
    return STATUS_OK;
}

void build_fresh_release (build_t *self)
{
    run_writer_destroy (&self->fresh.writer);
    sorter_destroy (&self->fresh.sorter);
}
