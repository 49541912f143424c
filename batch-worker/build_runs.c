/* build_runs.c - runs of a partition: opened and checked, read as one, merged into fewer. */
#include "batch-worker/build.h"

#include "base/check.h"
#include "base/mem.h"
#include "batch-worker/tiers.h"

#include <stdlib.h>

enum { MERGE_ARENA_CHUNK = 1 << 20 };

static status_t check_run (const build_t *self, const run_t *run, error_t *error)
{
    const run_schema_t *found = &run_info (run)->schema;
    const run_schema_t *expected = &self->schema;
    if (!text_equal (found->log, expected->log) || found->partition != expected->partition ||
        found->partitions != expected->partitions)
        return error_set (error, STATUS_CORRUPT, "it is of " TEXT_FORMAT ", partition %u of %u",
                          TEXT_ARGS (found->log), found->partition, found->partitions);
    return STATUS_OK;
}

status_t build_open_cursor (build_t *self, const run_t *run, const uint64_t *wanted,
                            run_cursor_t **cursor, error_t *error)
{
    return run_cursor_new_as (run, &self->columns, wanted, cursor, error);
}

status_t build_open_run (build_t *self, const task_run_t *item, run_t **run, error_t *error)
{
    run_options_t options = { .offset_override = item->offset };
    status_t status = run_open (self->fs, item->path, &options, run, error);
    if (status != STATUS_OK)
        return status;
    status = check_run (self, *run, error);
    if (status != STATUS_OK) {
        run_destroy (run);
        return error_prefix (error, "run %s", item->path);
    }
    return STATUS_OK;
}

/* ---- as one ---- */

static bool is_kept (void *arg, size_t source, uint64_t offset)
{
    (void)source;
    return !build_excludes (arg, offset);
}

static status_t open_source (build_t *build, const task_run_t *item, const uint64_t *wanted,
                             run_sources_t *sources, merge_source_t *input, error_t *error)
{
    if (build_is_fresh (build, item)) {
        *input = build_fresh_source (build, wanted);
        return STATUS_OK;
    }
    size_t i = sources->count++;
    status_t status = build_open_run (build, item, &sources->runs[i], error);
    if (status == STATUS_OK)
        status = build_open_cursor (build, sources->runs[i], wanted, &sources->cursors[i], error);
    if (status != STATUS_OK)
        return status;
    if (wanted != NULL) /* not all columns: for views, and none looks at an ingest time */
        run_cursor_leave (sources->cursors[i], BLOCK_LEAVE_INGEST_TIME);
    *input = merge_run (sources->cursors[i]);
    return STATUS_OK;
}

status_t run_sources_open (build_t *build, const task_run_t *items, size_t count,
                           const uint64_t *wanted, run_sources_t *sources, error_t *error)
{
    *sources = (run_sources_t){ .count = 0 };
    sources->runs = mem_zero (count, sizeof (run_t *));
    sources->cursors = mem_zero (count, sizeof (run_cursor_t *));
    merge_source_t *inputs = mem_zero (count, sizeof *inputs);
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = open_source (build, &items[i], wanted, sources, &inputs[i], error);
    merge_options_t options = { .keep = build->order->excluded_count > 0 ? is_kept : NULL,
                                .arg = &build->task->build };
    if (status == STATUS_OK)
        status = merge_new (inputs, count, &options, &sources->merge, error);
    mem_free (inputs);
    return status;
}

void run_sources_release (run_sources_t *self)
{
    merge_destroy (&self->merge);
    for (size_t i = 0; i < self->count; i++) {
        run_cursor_destroy (&self->cursors[i]);
        run_destroy (&self->runs[i]);
    }
    mem_free (self->cursors);
    mem_free (self->runs);
    *self = (run_sources_t){ .count = 0 };
}

/* ---- merging ---- */

static status_t copy_rows (build_t *self, run_sources_t *sources, run_writer_t *writer,
                           error_t *error)
{
    arena_t *arena = arena_new (MERGE_ARENA_CHUNK);
    status_t status = STATUS_OK;
    while (status == STATUS_OK) {
        batch_t batch;
        arena_reset (arena);
        status = merge_next (sources->merge, arena, &batch, error);
        if (status == STATUS_OK)
            status = run_writer_add (writer, &batch, 0, batch.rows, error);
        if (status == STATUS_OK)
            status = task_go_on (self->task, error);
    }
    arena_destroy (&arena);
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t merge_into (build_t *self, run_sources_t *sources, const char *path,
                            run_info_t *info, error_t *error)
{
    run_writer_t *writer;
    status_t status = run_writer_new (self->fs, path, &self->schema, &writer, error);
    if (status != STATUS_OK)
        return status;
    status = copy_rows (self, sources, writer, error);
    if (status == STATUS_OK)
        status = run_writer_finish (writer, info, error);
    run_writer_destroy (&writer);
    return status;
}

/* The first `count` runs are no more. */
static void forget_first (build_t *self, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (build_is_fresh (self, &self->runs.items[i]))
            build_fresh_release (self);
        else
            task_forget (self->task, self->runs.items[i].path); /* if this task wrote it */
    self->runs.count -= count;
    memmove (self->runs.items, self->runs.items + count,
             self->runs.count * sizeof *self->runs.items);
}

/* The first `count` runs become one, at the end of the list. */
static status_t merge_first (build_t *self, size_t count, error_t *error)
{
    run_sources_t sources;
    run_info_t info;
    const char *path = build_run_path (self);
    status_t status = run_sources_open (self, self->runs.items, count, NULL, &sources, error);
    if (status == STATUS_OK)
        status = merge_into (self, &sources, path, &info, error);
    run_sources_release (&sources);
    if (status != STATUS_OK)
        return status;
    forget_first (self, count);
    build_add_run (self, path, &info);
    return STATUS_OK;
}

static int compare_rows (const void *a, const void *b)
{
    const task_run_t *x = a;
    const task_run_t *y = b;
    if (x->rows != y->rows)
        return x->rows < y->rows ? -1 : 1;
    return strcmp (x->path, y->path);
}

/* How many of the runs, smallest first, become one. A delta's all do: its rows have come to be in a
 * layer of twice as many, or are new. */
static size_t merge_width (build_t *self)
{
    const task_runs_t *runs = &self->runs;
    qsort (runs->items, runs->count, sizeof *runs->items, compare_rows);
    if (self->order->delta)
        return runs->count;
    uint64_t *rows = mem_zero (runs->count, sizeof *rows);
    for (size_t i = 0; i < runs->count; i++)
        rows[i] = runs->items[i].rows;
    size_t width = tiers_merged (rows, runs->count);
    mem_free (rows);
    return width;
}

/* Merges some of the `count` smallest, smallest first, so that at most as many are left of them as
 * are merged at once. */
static status_t merge_many (build_t *self, size_t *count, error_t *error)
{
    uint64_t fits = self->task->setting.memory_limit / SOURCE_BYTES;
    size_t most = fits < 2 ? 2 : fits > FAN_IN_MAX ? FAN_IN_MAX : (size_t)fits;
    task_runs_t *runs = &self->runs;
    while (*count > most) {
        size_t width = *count - most + 1 < most ? *count - most + 1 : most;
        status_t status = merge_first (self, width, error);
        if (status != STATUS_OK)
            return status;
        task_run_t merged = runs->items[runs->count - 1]; /* is one of those that go on */
        memmove (runs->items + 1, runs->items, (runs->count - 1) * sizeof *runs->items);
        runs->items[0] = merged;
        *count -= width - 1;
        qsort (runs->items, *count, sizeof *runs->items, compare_rows);
    }
    return STATUS_OK;
}

status_t build_merge (build_t *self, error_t *error)
{
    if (self->runs.count < 2)
        return STATUS_OK;
    kept_trim (self->task->setting.kept); /* merging has the memory that was sorted in */
    status_t status =
        build_fresh_yield (self, (self->runs.count - 1) * (uint64_t)SOURCE_BYTES, error);
    if (status != STATUS_OK)
        return status;
    size_t count = merge_width (self);
    status = merge_many (self, &count, error);
    if (status != STATUS_OK || count < 2)
        return status;
    self->merges = count == self->runs.count;
    return self->merges ? STATUS_OK : merge_first (self, count, error);
}

status_t build_merge_begin (build_t *self, run_writer_t **writer, error_t *error)
{
    self->merged_path = build_run_path (self);
    return run_writer_new (self->fs, self->merged_path, &self->schema, writer, error);
}

status_t build_merge_end (build_t *self, run_writer_t *writer, error_t *error)
{
    run_info_t info;
    status_t status = run_writer_finish (writer, &info, error);
    if (status != STATUS_OK)
        return status;
    forget_first (self, self->runs.count);
    build_add_run (self, self->merged_path, &info);
    return STATUS_OK;
}
