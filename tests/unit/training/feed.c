#include "tests/unit/training/feed.h"

#include "base/mem.h"
#include "storage/rows.h"
#include "storage/sort.h"

batch_t feed_sorted (const batch_t *batch, arena_t *arena)
{
    if (batch->rows == 0)
        return *batch;
    uint32_t *order = arena_alloc (arena, batch->rows * sizeof *order);
    rows_place_t *places = arena_alloc (arena, batch->rows * sizeof *places);
    sort_batch (batch, order);
    for (size_t i = 0; i < batch->rows; i++)
        places[i] = (rows_place_t){ 0, order[i] };
    return rows_pick (batch, places, batch->rows, arena);
}

static status_t next_piece (void *arg, batch_t *batch, error_t *error)
{
    feed_t *self = arg;
    arena_destroy (&self->arena);
    if (self->next == self->batch.rows)
        return error_set (error, STATUS_END, "no more rows");
    size_t left = self->batch.rows - self->next;
    size_t rows = 1 + random_below (&self->random, self->most);
    rows = rows < left ? rows : left;
    self->arena = arena_new (4096);
    batch_t slice = rows_slice (&self->batch, self->next, self->next + rows, self->arena);
    *batch = rows_copy (&slice, self->arena);
    self->next += rows;
    self->given++;
    return STATUS_OK;
}

merge_source_t feed_init (feed_t *self, random_t *random, const batch_t *sorted, size_t most)
{
    *self = (feed_t){ .random = *random, .batch = *sorted, .most = most };
    return (merge_source_t){ .next = next_piece, .self = self };
}

void feed_release (feed_t *self)
{
    arena_destroy (&self->arena);
}
