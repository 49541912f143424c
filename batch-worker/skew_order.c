#include "batch-worker/skew.h"

#include "base/mem.h"
#include "storage/run.h"

#include <inttypes.h>
#include <stdlib.h>

static int compare_offsets (const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t *read_offsets (task_t *task, const wire_value_t *map, const char *name,
                               size_t *count)
{
    wire_list_t list = wire_list (map, name);
    uint64_t *offsets = arena_zero (task->arena, list.count + 1, sizeof *offsets);
    *count = list.count;
    for (uint32_t i = 0; i < list.count; i++)
        offsets[i] = wire_item_uint (&list.items[i]);
    if (list.count > 1)
        qsort (offsets, list.count, sizeof *offsets, compare_offsets);
    return offsets;
}

/* The log of a part, which may be the first of it. */
static skew_log_t *log_of (task_t *task, const wire_value_t *map)
{
    skew_order_t *skew = task->skew;
    text_t name = wire_text (map, "log");
    for (size_t i = 0; i < skew->logs_count; i++)
        if (text_equal (skew->logs[i].name, name))
            return &skew->logs[i];
    if (skew->logs_count == SKEW_LOGS_MAX)
        return NULL;
    skew_log_t *log = &skew->logs[skew->logs_count++];
    log->name = arena_text (task->arena, name);
    log->manifest = wire_uint (map, "manifest", 0);
    log->removed = wire_uint (map, "removed", 0);
    log->parts = arena_zero (task->arena, task->setting.partitions, sizeof *log->parts);
    return log;
}

static status_t read_part (task_t *task, const wire_value_t *map, error_t *error)
{
    uint64_t number = wire_uint (map, "partition", UINT64_MAX);
    skew_log_t *log = log_of (task, map);
    if (number >= task->setting.partitions || log == NULL)
        return error_set (error, STATUS_INVALID, "partition %" PRIu64 " of %u", number,
                          task->setting.partitions);
    skew_part_t *part = &log->parts[number];
    part->cut = wire_uint (map, "cut", 0);
    part->excluded = read_offsets (task, map, "excluded", &part->excluded_count);
    part->loads = read_offsets (task, map, "loads", &part->loads_count);
    return task_read_runs (task, wire_list (map, "runs"), &part->runs, error);
}

status_t skew_order_read (task_t *task, const wire_value_t *order, wire_list_t parts,
                          error_t *error)
{
    skew_order_t *skew = arena_zero (task->arena, 1, sizeof *skew);
    text_t training = wire_text (order, "training");
    task->skew = skew;
    skew->name = arena_text (task->arena, wire_text (order, "name"));
    skew->since = wire_int (order, "since", 0);
    skew->logs = arena_zero (task->arena, SKEW_LOGS_MAX, sizeof *skew->logs);
    if (training.size > 0 && !task_path_is_plain (training))
        return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is not the path of a file",
                          TEXT_ARGS (training));
    skew->training = training.size > 0 ? arena_string (task->arena, training) : NULL;
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < parts.count && status == STATUS_OK; i++)
        status = read_part (task, &parts.items[i], error);
    return status;
}

void skew_order_release (skew_order_t *self, uint32_t partitions)
{
    for (size_t l = 0; self != NULL && l < self->logs_count; l++)
        for (uint32_t p = 0; self->logs[l].parts != NULL && p < partitions; p++)
            task_runs_release (&self->logs[l].parts[p].runs);
}

const skew_log_t *skew_log_named (const skew_order_t *self, text_t name)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (text_equal (self->logs[i].name, name))
            return &self->logs[i];
    return NULL;
}
