/* sorter_few.c - a sorter's rows while they are few: as columns, until they are given or parted. */
#include "base/check.h"
#include "base/mem.h"
#include "storage/sorter_state.h"

enum {
    FEW_BYTES = 4 << 20, /* of rows, packed */
    SAMPLE = 8192,       /* rows whose keys are looked at to part the others */
};

size_t few_bytes (const sorter_t *self)
{
    const gathered_t *few = &self->few;
    size_t sorting = 2 * sizeof (uint64_t) + 2 * sizeof (sort_item_t) + sizeof *self->order;
    return gathered_bytes (few) + few->rows * sorting;
}

bool few_add (sorter_t *self, const packed_tile_t *tile)
{
    size_t size = self->few_size;
    for (size_t i = 0; i < tile->count; i++)
        size += tile->size[i];
    if (size > FEW_BYTES)
        return false;
    gathered_add (&self->few, tile->batch, tile->row, tile->count);
    self->few_size = size;
    return true;
}

void sorter_expect (sorter_t *self, size_t rows)
{
    size_t most = FEW_BYTES / self->packed.fixed;
    if (self->few.rows == 0)
        gathered_expect (&self->few, rows < most ? rows : most);
}

void few_give_back (sorter_t *self)
{
    gathered_release (&self->few);
    gathered_init (&self->few, self->packed.types, self->packed.columns);
    mem_free (self->order);
    self->order = NULL;
    self->few_size = 0;
}

/* ---- sorting ---- */

static text_t key_at (const void *arg, uint64_t at)
{
    return gathered_key (arg, at);
}

static int compare_places (const void *arg, uint64_t a, uint64_t b)
{
    return gathered_compare (arg, a, b);
}

void few_sort (sorter_t *self)
{
    const gathered_t *few = &self->few;
    size_t skip = gathered_skip (few);
    uint64_t *prefix = mem_alloc (2 * few->rows * sizeof *prefix);
    for (size_t i = 0; i < few->rows; i++)
        prefix[i] = gathered_prefix (few, i, skip);
    sort_rows_t rows = { key_at, self->in_position ? NULL : compare_places, few, skip };
    mem_free (self->order);
    self->order = mem_alloc (few->rows * sizeof *self->order);
    sort_times_t times = { few->words + GATHERED_EVENT_TIME, few->step };
    sort_order (prefix, &times, few->rows, &rows, self->order);
    mem_free (prefix);
    self->parts.skip = skip;
}

/* ---- packing ---- */

/* Rows that are on their way to where they are packed. */
typedef struct moving {
    arena_t *arena;
    arena_t *texts;
    batch_t batch;
    packed_tile_t tile;
} moving_t;

static void moving_init (moving_t *self, const packed_t *packed)
{
    self->arena = arena_new (1 << 16);
    self->texts = arena_new (1 << 16);
    self->batch = packed_batch (packed, self->arena, PACKED_TILE);
    self->tile.batch = &self->batch;
    for (size_t i = 0; i < PACKED_TILE; i++)
        self->tile.row[i] = (uint32_t)i;
}

static void moving_release (moving_t *self)
{
    arena_destroy (&self->arena);
    arena_destroy (&self->texts);
}

static void take_tile (moving_t *self, const sorter_t *sorter, const uint32_t *which, size_t count)
{
    self->batch.keys = 0;
    self->batch.rows = self->tile.count = count;
    arena_reset (self->texts);
    gathered_pick (&sorter->few, which, count, &self->batch, 0, self->texts);
    packed_measure (&sorter->packed, &self->tile);
}

/* Where parts begin, by the keys of some. */
static void part_by_few (sorter_t *self)
{
    const gathered_t *few = &self->few;
    uint64_t *sample = mem_alloc (SAMPLE * sizeof *sample);
    size_t step = (few->rows + SAMPLE - 1) / SAMPLE;
    size_t skip = few->rows > 0 ? gathered_skip (few) : 0;
    size_t count = 0;
    for (size_t i = 0; i < few->rows; i += step)
        sample[count++] = gathered_prefix (few, i, skip);
    CHECK (count <= SAMPLE);
    parts_part (&self->parts, sample, count, skip);
    mem_free (sample);
}

void few_part (sorter_t *self)
{
    if (self->parts.parted)
        return;
    part_by_few (self);
    moving_t moving;
    moving_init (&moving, &self->packed);
    uint32_t which[PACKED_TILE];
    size_t rows = self->few.rows;
    for (size_t at = 0, count; at < rows; at += count) {
        count = rows - at < PACKED_TILE ? rows - at : PACKED_TILE;
        for (size_t i = 0; i < count; i++)
            which[i] = (uint32_t)(at + i);
        take_tile (&moving, self, which, count);
        parts_place (&self->parts, &moving.tile);
        packed_put (&self->packed, &moving.tile);
    }
    moving_release (&moving);
    few_give_back (self);
}

status_t few_put (sorter_t *self, size_t from, spill_list_t *list, error_t *error)
{
    const uint8_t *put[PACKED_TILE];
    moving_t moving;
    moving_init (&moving, &self->packed);
    arena_t *packed = arena_new (1 << 16);
    status_t status = STATUS_OK;
    for (size_t at = from, count; status == STATUS_OK && at < self->few.rows; at += count) {
        count = self->few.rows - at < PACKED_TILE ? self->few.rows - at : PACKED_TILE;
        take_tile (&moving, self, self->order + at, count);
        arena_reset (packed);
        for (size_t i = 0; i < count; i++)
            put[i] = moving.tile.to[i] = arena_alloc (packed, moving.tile.size[i]);
        packed_put (&self->packed, &moving.tile);
        status = spill_put (self->spilled->spill, list, put, count, error);
    }
    if (status == STATUS_OK)
        status = spill_end (self->spilled->spill, list, error);
    arena_destroy (&packed);
    moving_release (&moving);
    return status;
}
