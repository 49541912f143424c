/* build_log.c - the log's new rows: gathered, sorted, and given in order to whoever writes runs and
 * views. */
#include "batch-worker/build.h"

#include "base/mem.h"
#include "intake/logged.h"

#include <inttypes.h>
#include <math.h>

enum { DECODE_CHUNK = 1 << 20 };

/* ---- gathering ---- */

/* Puts what is in memory on the disk, or what is large of it. There has to be room for it: how much
 * it is becomes known here. */
static status_t put_aside (build_t *build, bool all, error_t *error)
{
    const task_setting_t *setting = &build->task->setting;
    sorter_t *sorter = build->fresh.sorter;
    build->fresh.aside = true;
    status_t status = fs_require (build->fs, sorter_bytes (sorter), setting->disk_reserve / 2,
                                  setting->data, error);
    if (status != STATUS_OK)
        return status;
    return all ? sorter_spill (sorter, error) : sorter_spill_large (sorter, error);
}

/* When rows do not all fit, the first that are put aside are few, so that the last ones, which stay
 * in memory, are many; and a third is for what is read back, and for the views of many keys. */
static status_t make_room (build_t *self, uint64_t bytes, error_t *error)
{
    enum { BACK = 3, FEW = 8, STAY = 10 }; /* an eighth at least; nine tenths stay */
    enum { ROW = 256 };                    /* bytes, about */
    enum { PARTED = 16 << 20 };            /* bytes that ranges take without a row, and more */
    uint64_t most = task_gathers (self->task->setting.memory_limit);
    uint64_t less = most - most / BACK;
    const sorter_t *sorter = self->fresh.sorter;
    uint64_t rows = sorter_held (sorter);
    /* where there is little memory, ranges take all of it when there is hardly a row in each */
    bool hardly = bytes < PARTED && rows < less / ROW;
    if (rows == 0 || hardly || bytes < less / FEW)
        return STATUS_OK;
    double all = sorter_bytes_of (sorter, self->order->cut - self->order->from);
    if (bytes < most && !self->fresh.aside && all <= (double)most)
        return STATUS_OK;
    double stay = (double)(less - less / STAY);
    bool full =
        bytes >= less || (!self->fresh.aside && (double)bytes >= fmod (all - stay, (double)less));
    if (full)
        return put_aside (self, true, error);
    return sorter_has_large (sorter) ? put_aside (self, false, error) : STATUS_OK;
}

/* A run of few events beside those before it is merged with others before long, and then written
 * in few bytes. */
static bool is_small (const build_order_t *order)
{
    enum { FEW = 16 };
    return order->cut - order->from <= order->from / FEW;
}

/* What was gathered is one of the layer's runs from now on. */
static void end_gathering (build_t *build)
{
    enum { IN_CACHE = 2048 }; /* rows that are there until they are in run and views */
    task_run_t run = { .rows = sorter_rows (build->fresh.sorter),
                       .offset = RUN_OFFSET_AS_WRITTEN,
                       .partition = build->order->partition };
    if (run.rows == 0) {
        sorter_destroy (&build->fresh.sorter);
        return;
    }
    if (is_small (build->order))
        sorter_gives (build->fresh.sorter, IN_CACHE);
    run.path = build_run_path (build);
    build->fresh.path = run.path;
    task_runs_add (&build->runs, &run);
}

/* Rows [from, to) without those that are to be erased. */
static size_t pick_others (build_t *self, const batch_t *batch, size_t from, size_t to,
                           uint32_t *rows)
{
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        int erasure = eraser_find (&self->eraser, batch, i);
        if (erasure < 0)
            rows[count++] = (uint32_t)i;
        else
            self->task->erased[erasure]++;
    }
    return count;
}

static void gather_rows (build_t *self, const batch_t *batch, size_t from, size_t to,
                         arena_t *arena)
{
    fresh_t *fresh = &self->fresh;
    int64_t latest = fresh->latest;
    int64_t clock = self->order->clock;
    uint32_t *rows = arena_alloc (arena, (to - from) * sizeof *rows);
    size_t count = to - from;
    bool all = self->eraser.count == 0;
    if (!all)
        count = pick_others (self, batch, from, to, rows);
    for (size_t i = 0; i < count; i++) {
        int64_t time = batch->event_time[all ? from + i : rows[i]];
        latest = time > latest && time <= clock ? time : latest;
    }
    fresh->latest = latest;
    if (all)
        sorter_add (fresh->sorter, batch, from, to);
    else
        sorter_add_picked (fresh->sorter, batch, rows, count);
    task_progress (self->task, to - from);
}

static status_t gather_record (build_t *self, const log_record_t *record, arena_t *arena,
                               error_t *error)
{
    const build_order_t *order = self->order;
    batch_t batch;
    arena_reset (arena);
    status_t status = logged_batch (&self->log, record, arena, &batch, error);
    if (status != STATUS_OK)
        return error_prefix (error, "log %s/%u, offset %" PRIu64, self->log.name, order->partition,
                             record->offset);
    /* offsets in a record go up by one */
    size_t from = 0, to = batch.rows;
    while (from < to && batch.offset[from] < order->from)
        from++;
    while (to > from && batch.offset[to - 1] >= order->cut)
        to--;
    gather_rows (self, &batch, from, to, arena);
    uint64_t bytes = sorter_bytes (self->fresh.sorter) + arena_held (arena);
    return make_room (self, bytes, error);
}

static status_t gather_log (build_t *self, log_reader_t *reader, error_t *error)
{
    arena_t *arena = arena_new (DECODE_CHUNK); /* of one record */
    status_t status = STATUS_OK;
    while (status == STATUS_OK) {
        log_record_t record;
        status = task_go_on (self->task, error);
        if (status == STATUS_OK)
            status = log_reader_next (reader, &record, error);
        if (status == STATUS_OK && record.kind == LOG_KIND_EVENTS)
            status = gather_record (self, &record, arena, error);
    }
    arena_destroy (&arena);
    return status == STATUS_END ? STATUS_OK : status;
}

/* Where rows go that do not fit into memory. */
static void set_aside (build_t *self)
{
    task_t *task = self->task;
    const char *dir = logged_dir (task->arena, "history", self->log.name, self->order->partition);
    const char *path =
        task_format (task, "%s/%" PRIu64 "-%" PRIu64 "-aside.tmp", dir, task->id, task->attempt);
    sorter_set_aside (self->fresh.sorter, self->fs, path, task_gives (task->setting.memory_limit));
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
    self->fresh.sorter = sorter_new (self->schema.types, self->schema.columns, task->setting.kept);
    sorter_expect (self->fresh.sorter, order->cut - order->from);
    set_aside (self);
    status = gather_log (self, reader, error);
    log_reader_destroy (&reader);
    if (status == STATUS_OK)
        end_gathering (self);
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
    fresh_t *fresh = &self->fresh;
    status_t status = run_writer_new (self->fs, fresh->path, &self->schema, &fresh->writer, error);
    if (status == STATUS_OK && is_small (self->order))
        run_writer_quick (fresh->writer);
    return status;
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

status_t build_fresh_yield (build_t *self, uint64_t used, error_t *error)
{
    const sorter_t *sorter = self->fresh.sorter;
    if (sorter == NULL || sorter_held (sorter) == 0 ||
        used + sorter_bytes (sorter) <= self->task->setting.memory_limit)
        return STATUS_OK;
    return put_aside (self, true, error);
}

void build_fresh_release (build_t *self)
{
    run_writer_destroy (&self->fresh.writer);
    sorter_destroy (&self->fresh.sorter);
}
