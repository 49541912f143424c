#include "storage/run_check.h"

#include "base/check.h"
#include "storage/rows.h"
#include "storage/run_format.h"

static void tell (const run_block_t *block, const error_t *error, const run_watch_t *watch)
{
    watch->damage (watch->arg, &(run_damage_t){ .status = error->status,
                                                .byte = block->at,
                                                .bytes = block->size,
                                                .what = error->text,
                                                .rows = block->rows,
                                                .first_key = block->first_key,
                                                .last_key = block->last_key,
                                                .min_time = block->min_time,
                                                .max_time = block->max_time,
                                                .min_offset = block->min_offset,
                                                .max_offset = block->max_offset });
}

/* In order, and after the last row of the block before when that could be read. */
static bool in_order (const batch_t *before, const batch_t *batch)
{
    if (before->rows > 0 && rows_compare (before, before->rows - 1, batch, 0) > 0)
        return false;
    for (size_t i = 1; i < batch->rows; i++)
        if (rows_compare (batch, i - 1, batch, i) > 0)
            return false;
    return true;
}

bool run_check (const run_t *run, const run_watch_t *watch)
{
    arena_t *arenas[2] = { arena_new (1 << 20), arena_new (1 << 20) };
    batch_t batches[2] = { { .rows = 0 }, { .rows = 0 } };
    bool good = true;
    for (size_t i = 0; i < run->info.blocks; i++) {
        batch_t *batch = &batches[i % 2];
        error_t error;
        arena_reset (arenas[i % 2]);
        *batch = (batch_t){ .rows = 0 };
        status_t status = run_read_block (run, i, arenas[i % 2], NULL, 0, batch, &error);
        if (status == STATUS_OK && !in_order (&batches[1 - i % 2], batch))
            status = error_set (&error, STATUS_CORRUPT, "its rows are not in order");
        if (status != STATUS_OK) {
            good = false;
            *batch = (batch_t){ .rows = 0 };
            tell (&run->blocks[i], &error, watch);
        }
        if (watch->progress)
            watch->progress (watch->arg, run->blocks[i].size);
    }
    arena_destroy (&arenas[0]);
    arena_destroy (&arenas[1]);
    return good;
}
