/* load_history.c - the rows of the stream's own log, for a key that is new to it. */
#include "batch-worker/load.h"

#include "storage/rows.h"

#include <inttypes.h>
#include <stdlib.h>

/* Rows of a load share an offset: room is left for them, so that all keep their order. */
static status_t number_of (const history_part_t *part, uint64_t offset, uint32_t row,
                           uint32_t *number, error_t *error)
{
    uint64_t sum = part->first + offset + row;
    for (size_t i = 0; i < part->loads_count; i++)
        sum += part->loads[i].offset < offset ? part->loads[i].rows : 0;
    if (sum > UINT32_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "the stream has more events than a new key can be given (%" PRIu32 ")",
                          UINT32_MAX);
    *number = (uint32_t)sum;
    return STATUS_OK;
}

static int compare_offset (const void *key, const void *item)
{
    const uint64_t *a = key;
    const uint64_t *b = item;
    return (*a > *b) - (*a < *b);
}

static bool leaves_out (const history_part_t *part, uint64_t offset)
{
    return part->excluded_count > 0 && bsearch (&offset, part->excluded, part->excluded_count,
                                                sizeof offset, compare_offset) != NULL;
}

/* The rows that count, numbered; batch->rows becomes how many they are. Strings are borrowed. */
static status_t take_rows (const history_part_t *part, const batch_t *read, arena_t *arena,
                           batch_t *batch, error_t *error)
{
    rows_place_t *places = arena_alloc (arena, read->rows * sizeof *places);
    size_t count = 0;
    for (size_t r = 0; r < read->rows; r++)
        if (!leaves_out (part, read->offset[r]))
            places[count++] = (rows_place_t){ .row = (uint32_t)r };
    *batch = rows_pick (read, places, count, arena);
    for (size_t r = 0; r < count; r++) {
        status_t status = number_of (part, batch->offset[r], batch->row[r], &batch->row[r], error);
        if (status != STATUS_OK)
            return status;
        batch->offset[r] = 0;
    }
    return STATUS_OK;
}

static status_t gather (load_t *self, const batch_t *batch, arena_t *arena, error_t *error)
{
    load_part_t part = { .batch = *batch };
    const load_part_t *parts[] = { &part };
    load_group (self, &part, arena);
    load_gather (self, parts, 1);
    return load_is_full (self) ? load_spill (self, error) : STATUS_OK;
}

static status_t gather_run (load_t *self, const history_part_t *part, const run_t *run,
                            error_t *error)
{
    arena_t *scratch = arena_new (TEXT_CHUNK); /* of one block */
    arena_t *arena = arena_new (TEXT_CHUNK);
    columns_t columns = stream_columns (self->stream, arena);
    run_cursor_t *cursor = NULL;
    status_t status = run_cursor_new_as (run, &columns, NULL, &cursor, error);
    while (status == STATUS_OK) {
        batch_t read;
        batch_t batch;
        arena_reset (scratch);
        status = run_cursor_next (cursor, &read, error);
        if (status == STATUS_OK)
            status = take_rows (part, &read, scratch, &batch, error);
        if (status == STATUS_OK)
            status = gather (self, &batch, scratch, error);
        if (status == STATUS_OK)
            status = task_go_on (self->task, error);
        if (status == STATUS_OK)
            task_progress (self->task, read.rows);
    }
    run_cursor_destroy (&cursor);
    arena_destroy (&arena);
    arena_destroy (&scratch);
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t read_run (load_t *self, const history_part_t *part, const task_run_t *item,
                          error_t *error)
{
    run_options_t options = { .offset_override = item->offset };
    run_t *run = NULL;
    status_t status = run_open (self->fs, item->path, &options, &run, error);
    if (status != STATUS_OK)
        return status;
    const run_schema_t *found = &run_info (run)->schema;
    if (!text_is (found->log, self->stream->log_name) || found->partition != part->partition)
        status = error_set (error, STATUS_CORRUPT, "it is of " TEXT_FORMAT ", partition %u",
                            TEXT_ARGS (found->log), found->partition);
    else
        status = gather_run (self, part, run, error);
    run_destroy (&run);
    return status == STATUS_OK ? status : error_prefix (error, "run %s", item->path);
}

status_t load_read_history (load_t *self, error_t *error)
{
    const load_order_t *order = &self->task->load;
    uint64_t total = 0;
    for (size_t i = 0; i < order->history_count; i++)
        for (size_t r = 0; r < order->history[i].runs.count; r++)
            total += order->history[i].runs.items[r].rows;
    atomic_store (&self->task->total, total);
    for (size_t i = 0; i < order->history_count; i++)
        for (size_t r = 0; r < order->history[i].runs.count; r++) {
            const history_part_t *part = &order->history[i];
            status_t status = read_run (self, part, &part->runs.items[r], error);
            if (status != STATUS_OK)
                return status;
        }
    return load_spill (self, error);
}
