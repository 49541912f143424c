/* build_views.c - all rows of a partition, in order, through the plans of all its log's views. */
#include "batch-worker/build.h"

#include "base/check.h"
#include "base/mem.h"
#include "batchview/batchview.h"
#include "intake/logged.h"

#include <inttypes.h>

enum {
    ROWS_CHUNK = 1 << 20,
    PROJECT_CHUNK = 1 << 20,
    KEYS_MEMORY_LEAST = 8 << 20, /* of the keys being written, however little sorting may have */
};

typedef struct view_output {
    const plan_t *plan;
    const char *path;
    batchview_writer_t *writer; /* NULL: it has no file */
} view_output_t;

typedef struct views {
    build_t *build;
    view_output_t *outputs;
    size_t count;
    uint64_t wanted[BLOCK_WANTED_WORDS];
    bool positions;            /* some view reads them */
    batchview_budget_t budget; /* of what all writers hold of a key */
    int64_t latest;            /* covered event time, at most the clock */
    arena_t *projected;        /* of one chunk */
} views_t;

/* ---- the latest event ---- */

static bool has_excluded (const build_order_t *order, const run_info_t *info)
{
    for (size_t i = 0; i < order->excluded_count; i++)
        if (order->excluded[i] >= info->min_offset && order->excluded[i] <= info->max_offset)
            return true;
    return false;
}

static status_t scan_times (views_t *self, const run_t *run, error_t *error)
{
    static const uint64_t none[BLOCK_WANTED_WORDS];
    const build_order_t *order = self->build->order;
    run_cursor_t *cursor = run_cursor_new (run, none);
    status_t status = STATUS_OK;
    while (status == STATUS_OK) {
        batch_t batch;
        status = run_cursor_next (cursor, &batch, error);
        for (size_t r = 0; status == STATUS_OK && r < batch.rows; r++)
            if (batch.event_time[r] <= order->clock && batch.event_time[r] > self->latest &&
                !build_excludes (order, batch.offset[r]))
                self->latest = batch.event_time[r];
        if (status == STATUS_OK)
            status = task_go_on (self->build->task, error);
    }
    run_cursor_destroy (&cursor);
    return status == STATUS_END ? STATUS_OK : status;
}

/* The footers of runs say it, unless the latest row of one is not covered. */
static status_t find_latest (views_t *self, error_t *error)
{
    const task_runs_t *runs = &self->build->runs;
    const build_order_t *order = self->build->order;
    /* what was covered under a clock that was ahead of this one is later than it may be */
    self->latest = order->latest < order->clock ? order->latest : order->clock;
    if (self->build->fresh.latest > self->latest)
        self->latest = self->build->fresh.latest;
    for (size_t i = 0; i < runs->count; i++) {
        run_t *run;
        if (build_is_fresh (self->build, &runs->items[i]))
            continue;
        status_t status = build_open_run (self->build, &runs->items[i], &run, error);
        if (status != STATUS_OK)
            return status;
        const run_info_t *info = run_info (run);
        bool told =
            info->max_time <= self->build->order->clock && !has_excluded (self->build->order, info);
        if (!told)
            status = scan_times (self, run, error);
        else if (info->rows > 0 && info->max_time > self->latest)
            self->latest = info->max_time;
        run_destroy (&run);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* ---- the files ---- */

static status_t open_view (views_t *self, const plan_t *plan, const char *dir, error_t *error)
{
    task_t *task = self->build->task;
    const build_order_t *order = self->build->order;
    view_output_t *output = &self->outputs[self->count++];
    output->plan = plan;
    output->path = task_format (task, "%s/%" PRIu64 "-%" PRIu64 "-%s@v%" PRIu32 ".view", dir,
                                task->id, task->attempt, plan->view, plan->version);
    batchview_info_t info = { .version = plan->version,
                              .plan_hash = plan->hash,
                              .partition = order->partition,
                              .partitions = task->setting.partitions,
                              .cut = order->cut,
                              .clock_at_cut = order->clock,
                              .latest = self->latest };
    size_t size = strlen (plan->view);
    CHECK (size < sizeof info.view);
    memcpy (info.view, plan->view, size);
    for (size_t c = 0; c < plan->columns; c++)
        if (plan->columns_used[c / 64] >> c % 64 & 1)
            block_want (self->wanted, c);
    self->positions |= plan_reads_positions (plan);
    status_t status =
        batchview_writer_new (self->build->fs, output->path, plan, &info, &output->writer, error);
    if (status == STATUS_OK)
        batchview_writer_budget (output->writer, &self->budget);
    return status == STATUS_OK ? status : error_prefix (error, "batch view %s", output->path);
}

static status_t open_views (views_t *self, error_t *error)
{
    const build_t *build = self->build;
    const model_t *model = build->task->model;
    const char *log_name = build->log.name;
    const char *dir = logged_dir (build->task->arena, "views", log_name, build->order->partition);
    status_t status = fs_make_dir (build->fs, dir, error);
    for (size_t i = 0; status == STATUS_OK && i < model->plans_count; i++)
        if (strcmp (model->plans[i]->log_name, log_name) == 0)
            status = open_view (self, model->plans[i], dir, error);
    return status;
}

/* A view of which some key is too large gets no file: its answers come from history, and the other
 * views of the log are none the worse for it. */
static status_t view_failed (views_t *self, view_output_t *output, status_t status, error_t *error)
{
    if (status != STATUS_TOO_LARGE)
        return error_prefix (error, "batch view %s", output->path);
    task_left_out (self->build->task, output->plan, error);
    batchview_writer_destroy (&output->writer);
    return STATUS_OK;
}

static status_t finish_view (views_t *self, view_output_t *output, error_t *error)
{
    task_t *task = self->build->task;
    uint64_t size;
    if (output->writer == NULL)
        return STATUS_OK;
    status_t status = batchview_writer_finish (output->writer, &size, error);
    if (status != STATUS_OK)
        return view_failed (self, output, status, error);
    task_wrote (task, output->path);
    task->views[task->views_count++] =
        (task_view_t){ .plan = output->plan, .path = output->path, .size = size };
    return STATUS_OK;
}

static status_t finish_views (views_t *self, error_t *error)
{
    const build_t *build = self->build;
    task_t *task = build->task;
    task->views = arena_zero (task->arena, self->count, sizeof *task->views);
    for (size_t i = 0; i < self->count; i++) {
        status_t status = finish_view (self, &self->outputs[i], error);
        if (status != STATUS_OK)
            return status;
    }
    return fs_sync_dir (build->fs,
                        logged_dir (task->arena, "views", build->log.name, build->order->partition),
                        error);
}

/* ---- rows ---- */

static status_t add_rows (views_t *self, const batch_t *batch, error_t *error)
{
    for (size_t i = 0; i < self->count; i++) {
        view_output_t *output = &self->outputs[i];
        if (output->writer == NULL)
            continue;
        arena_reset (self->projected);
        projection_t rows = plan_project (output->plan, batch, self->projected);
        status_t status = batchview_writer_add_all (output->writer, &rows, error);
        if (status != STATUS_OK)
            status = view_failed (self, output, status, error);
        if (status != STATUS_OK)
            return status;
    }
    task_t *task = self->build->task;
    status_t status = build_fresh_yield (self->build, self->budget.used, error);
    if (self->budget.used > self->budget.limit - task_gathers (self->budget.limit))
        kept_trim (task->setting.kept); /* which has the rest of the memory */
    task->rows += batch->rows;
    task_progress (task, batch->rows);
    return status == STATUS_OK ? task_go_on (task, error) : status;
}

static status_t add_source (views_t *self, const merge_source_t *source, error_t *error)
{
    for (;;) {
        batch_t batch;
        status_t status = source->next (source->self, &batch, error);
        if (status == STATUS_END)
            return STATUS_OK;
        if (status == STATUS_OK)
            status = add_rows (self, &batch, error);
        if (status != STATUS_OK)
            return status;
    }
}

/* With `merged`, the rows are written to it as well. */
static status_t add_merged (views_t *self, merge_t *merge, run_writer_t *merged, error_t *error)
{
    arena_t *arena = arena_new (ROWS_CHUNK);
    status_t status = STATUS_OK;
    while (status == STATUS_OK) {
        batch_t batch;
        arena_reset (arena);
        status = merge_next (merge, arena, &batch, error);
        if (status == STATUS_OK && merged != NULL)
            status = run_writer_add (merged, &batch, 0, batch.rows, error);
        if (status == STATUS_OK)
            status = add_rows (self, &batch, error);
    }
    arena_destroy (&arena);
    return status == STATUS_END ? STATUS_OK : status;
}

/* One run that nothing is left out of is read a block at a time. */
static status_t add_single (views_t *self, const task_run_t *item, error_t *error)
{
    if (build_is_fresh (self->build, item)) {
        merge_source_t fresh = build_fresh_source (self->build, self->wanted);
        return add_source (self, &fresh, error);
    }
    run_t *run;
    status_t status = build_open_run (self->build, item, &run, error);
    if (status != STATUS_OK)
        return status;
    run_cursor_t *cursor;
    status = build_open_cursor (self->build, run, self->wanted, &cursor, error);
    if (status == STATUS_OK) {
        run_cursor_leave (cursor,
                          BLOCK_LEAVE_INGEST_TIME | (self->positions ? 0 : BLOCK_LEAVE_POSITION));
        merge_source_t source = merge_run (cursor);
        status = add_source (self, &source, error);
    }
    run_cursor_destroy (&cursor);
    run_destroy (&run);
    return status;
}

static status_t add_together (views_t *self, error_t *error)
{
    build_t *build = self->build;
    const task_runs_t *runs = &build->runs;
    run_sources_t sources;
    run_writer_t *merged = NULL;
    status_t status = run_sources_open (build, runs->items, runs->count,
                                        build->merges ? NULL : self->wanted, &sources, error);
    if (status == STATUS_OK && build->merges)
        status = build_merge_begin (build, &merged, error);
    if (status == STATUS_OK)
        status = add_merged (self, sources.merge, merged, error);
    run_sources_release (&sources);
    if (status == STATUS_OK && build->merges)
        status = build_merge_end (build, merged, error);
    run_writer_destroy (&merged);
    return status;
}

/* Do fresh rows become a run of their own? */
static bool keeps_fresh (const build_t *build)
{
    bool keeps = false;
    for (size_t i = 0; i < build->runs.count && !build->merges; i++)
        keeps |= build_is_fresh (build, &build->runs.items[i]);
    return keeps;
}

static status_t add_all (views_t *self, error_t *error)
{
    build_t *build = self->build;
    const task_runs_t *runs = &build->runs;
    bool keeps = keeps_fresh (build);
    status_t status = keeps ? build_fresh_begin (build, error) : STATUS_OK;
    if (status == STATUS_OK && runs->count == 1 && build->order->excluded_count == 0)
        status = add_single (self, &runs->items[0], error);
    else if (status == STATUS_OK)
        status = add_together (self, error);
    if (status == STATUS_OK && keeps)
        status = build_fresh_end (build, error);
    return status;
}

status_t build_views (build_t *build, error_t *error)
{
    uint64_t limit = build->task->setting.memory_limit;
    views_t self = { .build = build,
                     .budget = { .limit = limit < KEYS_MEMORY_LEAST ? KEYS_MEMORY_LEAST : limit } };
    self.outputs = mem_zero (build->task->model->plans_count, sizeof *self.outputs);
    self.projected = arena_new (PROJECT_CHUNK);
    status_t status = find_latest (&self, error);
    if (status == STATUS_OK)
        status = open_views (&self, error);
    if (status == STATUS_OK)
        status = add_all (&self, error);
    if (status == STATUS_OK)
        status = finish_views (&self, error);
    build->task->latest = self.latest > build->order->latest ? self.latest : build->order->latest;
    for (size_t i = 0; i < self.count; i++)
        batchview_writer_destroy (&self.outputs[i].writer);
    arena_destroy (&self.projected);
    mem_free (self.outputs);
    return status;
}
