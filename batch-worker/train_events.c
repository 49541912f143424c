/* train_events.c - the events that a training set reads: runs of a dataset, up to a position. */
#include "batch-worker/train.h"

#include "base/mem.h"
#include "intake/logged.h"

#include <stdlib.h>

enum { COLUMNS_CHUNK = 1 << 12 };

static int compare_offset (const void *key, const void *item)
{
    const uint64_t *a = key;
    const uint64_t *b = item;
    return (*a > *b) - (*a < *b);
}

static bool is_read (void *arg, size_t source, uint64_t offset)
{
    const train_source_t *self = arg;
    (void)source;
    return offset < self->position &&
           (self->excluded_count == 0 || bsearch (&offset, self->excluded, self->excluded_count,
                                                  sizeof offset, compare_offset) == NULL);
}

static status_t check_run (const train_events_t *self, const run_t *run, error_t *error)
{
    const run_schema_t *found = &run_info (run)->schema;
    uint32_t partition = self->task->train.partition;
    if (!text_is (found->log, self->log.name) || found->partition != partition ||
        found->partitions != self->task->setting.partitions)
        return error_set (error, STATUS_CORRUPT, "it is of " TEXT_FORMAT ", partition %u of %u",
                          TEXT_ARGS (found->log), found->partition, found->partitions);
    return STATUS_OK;
}

static status_t open_run (train_events_t *self, const task_run_t *item, bool ingest,
                          const training_place_t *place, merge_source_t *input, error_t *error)
{
    size_t at = self->count;
    run_options_t options = { .offset_override = item->offset };
    status_t status =
        run_open (self->task->setting.fs, item->path, &options, &self->runs[at], error);
    if (status != STATUS_OK)
        return status;
    self->count++;
    status = check_run (self, self->runs[at], error);
    if (status == STATUS_OK)
        status = run_cursor_new_as (self->runs[at], &self->columns, self->wanted,
                                    &self->cursors[at], error);
    if (status != STATUS_OK)
        return error_prefix (error, "run %s", item->path);
    if (!ingest)
        run_cursor_leave (self->cursors[at], BLOCK_LEAVE_INGEST_TIME);
    *input = place != NULL ? training_run_source (&self->passes[at], self->cursors[at], place)
                           : merge_run (self->cursors[at]);
    return STATUS_OK;
}

status_t train_events_open (train_events_t *self, task_t *task, const train_source_t *source,
                            const plan_t *plan, bool ingest, const training_place_t *place,
                            error_t *error)
{
    size_t count = source->runs.count;
    *self = (train_events_t){ .task = task, .source = source, .plan = plan };
    self->arena = arena_new (COLUMNS_CHUNK);
    self->runs = mem_zero (count + 1, sizeof (run_t *));
    self->cursors = mem_zero (count + 1, sizeof (run_cursor_t *));
    self->passes = mem_zero (count + 1, sizeof *self->passes);
    if (!model_log (task->model, source->log, &self->log))
        return error_set (error, STATUS_NOT_FOUND, "no stream here has the log " TEXT_FORMAT,
                          TEXT_ARGS (source->log));
    self->columns = stream_columns (self->log.stream, self->arena);
    memcpy (self->wanted, plan->columns_used, sizeof plan->columns_used);
    merge_source_t *inputs = mem_zero (count + 1, sizeof *inputs);
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = open_run (self, &source->runs.items[i], ingest, place, &inputs[i], error);
    merge_options_t options = { .keep = is_read, .arg = (void *)(uintptr_t)source };
    if (status == STATUS_OK)
        status = merge_new (inputs, count, &options, &self->merge, error);
    mem_free (inputs);
    return status;
}

merge_source_t train_events_source (train_events_t *self)
{
    return training_merge_source (&self->merged, self->merge);
}

void train_events_release (train_events_t *self)
{
    merge_destroy (&self->merge);
    training_merge_release (&self->merged);
    for (size_t i = 0; i < self->count; i++) {
        run_cursor_destroy (&self->cursors[i]);
        run_destroy (&self->runs[i]);
    }
    mem_free (self->runs);
    mem_free (self->cursors);
    mem_free (self->passes);
    arena_destroy (&self->arena);
    *self = (train_events_t){ .count = 0 };
}
