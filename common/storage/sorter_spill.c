/* sorter_spill.c - a sorter's rows that are on the disk, by parts: those that fit into memory are
 * sorted when they are given; larger ones become pieces, each sorted, which are merged. */
#include "base/check.h"
#include "base/mem.h"
#include "storage/sorter_state.h"

/* ---- shelves ---- */

static spill_list_t *add_stretch (shelf_t *shelf, bool sorted)
{
    shelf->stretches = mem_resize (shelf->stretches, shelf->count + 1, sizeof *shelf->stretches);
    stretch_t *stretch = &shelf->stretches[shelf->count++];
    *stretch = (stretch_t){ .sorted = sorted };
    return &stretch->list;
}

/* Where unsorted rows go. */
static spill_list_t *open_stretch (shelf_t *shelf)
{
    if (shelf->count > 0 && !shelf->stretches[shelf->count - 1].sorted)
        return &shelf->stretches[shelf->count - 1].list;
    return add_stretch (shelf, false);
}

static void clear_shelf (shelf_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        spill_list_release (&self->stretches[i].list);
    mem_free (self->stretches);
    *self = (shelf_t){ .count = 0 };
}

size_t spilled_rows (const sorter_t *self, size_t part)
{
    const shelf_t *shelf = &self->spilled->shelf[part];
    size_t rows = self->parts.part[part].rows;
    for (size_t i = 0; i < shelf->count; i++)
        rows += shelf->stretches[i].list.rows;
    return rows;
}

const spill_list_t *spilled_unsorted (const sorter_t *self, size_t part)
{
    const shelf_t *shelf = self->spilled != NULL ? &self->spilled->shelf[part] : NULL;
    return shelf != NULL && shelf->count == 1 && !shelf->stretches[0].sorted
               ? &shelf->stretches[0].list
               : NULL;
}

void spilled_release (sorter_t *self)
{
    spilled_t *spilled = self->spilled;
    if (spilled == NULL)
        return;
    for (size_t part = 0; part < PARTS_MAX; part++)
        clear_shelf (&spilled->shelf[part]);
    mem_free (spilled->block);
    spill_destroy (&spilled->spill);
    mem_free (spilled);
    self->spilled = NULL;
}

/* ---- putting ---- */

/* The part's rows that are in memory, as they lie. */
static status_t put_unsorted (sorter_t *self, size_t part, error_t *error)
{
    const parts_t *parts = &self->parts;
    spill_t *spill = self->spilled->spill;
    spill_list_t *list = open_stretch (&self->spilled->shelf[part]);
    for (uint32_t i = parts->part[part].first; i != PARTS_NONE; i = parts->tiles[i].next) {
        const parts_tiles_t *tiles = &parts->tiles[i];
        status_t status = spill_put (spill, list, parts_at (parts, tiles), tiles->size, tiles->rows,
                                     tiles->times, error);
        if (status != STATUS_OK)
            return status;
    }
    return spill_end (spill, list, error);
}

/* Rows that are in `few` become a piece. */
static status_t put_sorted (sorter_t *self, shelf_t *shelf, error_t *error)
{
    if (self->few.rows == 0)
        return STATUS_OK;
    few_sort (self);
    status_t status = few_put (self, 0, add_stretch (shelf, true), error);
    gathered_next (&self->few);
    return status;
}

/* As many rows of a part as fit, one at least. */
static size_t rows_that_fit (const sorter_t *self)
{
    size_t rows = self->aside.memory / self->row_bytes;
    return rows > 0 ? rows : 1;
}

/* The part's rows that are in memory become pieces, each of as many as fit. */
static status_t sort_memory (sorter_t *self, size_t part, shelf_t *shelf, error_t *error)
{
    const parts_t *parts = &self->parts;
    status_t status = STATUS_OK;
    gathered_next (&self->few);
    for (uint32_t i = parts->part[part].first; status == STATUS_OK && i != PARTS_NONE;) {
        const parts_tiles_t *tiles = &parts->tiles[i];
        if (self->few.rows > 0 && self->few.rows + tiles->rows > rows_that_fit (self)) {
            status = put_sorted (self, shelf, error);
        } else {
            few_take (self, parts_at (parts, tiles), tiles->size);
            i = tiles->next;
        }
    }
    return status == STATUS_OK ? put_sorted (self, shelf, error) : status;
}

bool spilled_is_large (const sorter_t *self, size_t rows)
{
    return rows * self->row_bytes > self->aside.memory;
}

/* One that would not fit by itself is sorted now, while it is in memory. */
static status_t put_part (sorter_t *self, size_t part, error_t *error)
{
    const part_t *of = &self->parts.part[part];
    if (of->rows == 0)
        return STATUS_OK;
    if (spilled_is_large (self, parts_at_once (of)))
        return sort_memory (self, part, &self->spilled->shelf[part], error);
    return put_unsorted (self, part, error);
}

static status_t begin (sorter_t *self, error_t *error)
{
    spill_t *spill;
    CHECK (self->aside.fs != NULL);
    if (self->spilled != NULL)
        return STATUS_OK;
    status_t status = spill_new (self->aside.fs, self->aside.path, &spill, error);
    if (status != STATUS_OK)
        return status;
    self->spilled = mem_zero (1, sizeof *self->spilled);
    self->spilled->spill = spill;
    return STATUS_OK;
}

static status_t put_all (sorter_t *self, error_t *error)
{
    status_t status = STATUS_OK;
    few_part (self);
    for (size_t part = 0; status == STATUS_OK && part < PARTS_MAX; part++)
        status = put_part (self, part, error);
    return status;
}

/* ---- while rows are given ---- */

/* Of a part that is given in steps, what was not looked at yet: each is a block, as it is ahead. */
static status_t put_steps (sorter_t *self, steps_t *steps, error_t *error)
{
    const parts_t *parts = &self->parts;
    spill_t *spill = self->spilled->spill;
    spill_list_t *list = open_stretch (&self->spilled->shelf[self->giving->part]);
    status_t status = STATUS_OK;
    while (status == STATUS_OK && steps->tiles != PARTS_NONE) {
        const parts_tiles_t *tiles = &parts->tiles[steps->tiles];
        status = spill_put (spill, list, parts_at (parts, tiles), tiles->size, tiles->rows,
                            tiles->times, error);
        if (status == STATUS_OK)
            status = spill_end (spill, list, error);
        steps->tiles = tiles->next;
    }
    return status;
}

/* The rest of the part that is being given. Batches may borrow from rows that were few. */
static status_t put_current (sorter_t *self, error_t *error)
{
    giving_t *giving = self->giving;
    bool is_done = giving->at == giving->rows;
    if (giving->steps.least != NULL)
        return put_steps (self, &giving->steps, error);
    if (giving->from_disk || (is_done && !giving->few))
        return STATUS_OK;
    size_t part = giving->few ? 0 : giving->part;
    status_t status = STATUS_OK;
    if (!is_done)
        status = few_put (self, giving->at, add_stretch (&self->spilled->shelf[part], true), error);
    if (giving->few) {
        giving->lent = self->few;
        giving->stays = 2;
        gathered_init_like (&self->few, &giving->lent);
    }
    giving->next = part;
    giving->at = giving->rows = 0;
    giving->few = false;
    return status;
}

/* The others' after it, as they lie. */
static status_t put_later (sorter_t *self, error_t *error)
{
    giving_t *giving = self->giving;
    size_t after = giving->next;
    status_t status = put_current (self, error);
    for (size_t part = after; status == STATUS_OK && part < PARTS_MAX; part++)
        if (self->parts.part[part].rows > 0)
            status = put_unsorted (self, part, error);
    return status;
}

status_t sorter_spill (sorter_t *self, error_t *error)
{
    if (sorter_held (self) == 0)
        return STATUS_OK;
    status_t status = begin (self, error);
    if (status == STATUS_OK)
        status = self->giving == NULL ? put_all (self, error) : put_later (self, error);
    parts_drop (&self->parts);
    if (self->giving != NULL)
        parts_give_back (&self->parts);
    return status;
}

/* ---- large parts ---- */

bool sorter_has_large (const sorter_t *self)
{
    if (!self->parts.parted) /* there is no telling which they are before they are parted */
        return few_bytes (self) > self->aside.memory;
    return spilled_is_large (self, self->parts.largest);
}

status_t sorter_spill_large (sorter_t *self, error_t *error)
{
    CHECK (self->giving == NULL);
    status_t status = begin (self, error);
    if (status == STATUS_OK)
        few_part (self);
    for (size_t part = 0; status == STATUS_OK && part < PARTS_MAX; part++) {
        if (!spilled_is_large (self, parts_at_once (&self->parts.part[part])))
            continue;
        status = put_part (self, part, error);
        parts_drop_part (&self->parts, part);
    }
    return status;
}

/* ---- loading ---- */

status_t spilled_take_block (sorter_t *self, const spill_block_t *block, error_t *error)
{
    spilled_t *spilled = self->spilled;
    if (block->size + CODED_MORE > spilled->room) {
        mem_free (spilled->block);
        spilled->room = block->size + CODED_MORE;
        spilled->room =
            spilled->room < SPILL_BLOCK + CODED_MORE ? SPILL_BLOCK + CODED_MORE : spilled->room;
        spilled->block = mem_alloc (spilled->room);
    }
    status_t status = spill_read (spilled->spill, block, spilled->block, error);
    if (status == STATUS_OK)
        few_take (self, spilled->block, block->size);
    return status;
}

void spilled_take_memory (sorter_t *self, size_t part)
{
    const parts_t *parts = &self->parts;
    for (uint32_t i = parts->part[part].first; i != PARTS_NONE; i = parts->tiles[i].next)
        few_take (self, parts_at (parts, &parts->tiles[i]), parts->tiles[i].size);
}

/* Rows that are still in memory come last. */
static status_t load_part (sorter_t *self, size_t part, error_t *error)
{
    const shelf_t *shelf = &self->spilled->shelf[part];
    gathered_next (&self->few);
    for (size_t i = 0; i < shelf->count; i++) {
        const spill_list_t *list = &shelf->stretches[i].list;
        for (size_t block = 0; block < list->count; block++) {
            status_t status = spilled_take_block (self, &list->blocks[block], error);
            if (status != STATUS_OK)
                return status;
        }
    }
    spilled_take_memory (self, part);
    few_sort (self);
    return STATUS_OK;
}

/* ---- pieces ---- */

/* Sorts an unsorted stretch into pieces, each of as many blocks as fit. */
static status_t sort_stretch (sorter_t *self, const spill_list_t *list, shelf_t *sorted,
                              error_t *error)
{
    status_t status = STATUS_OK;
    gathered_next (&self->few);
    for (size_t i = 0; status == STATUS_OK && i < list->count; i++) {
        const spill_block_t *block = &list->blocks[i];
        if (self->few.rows > 0 && self->few.rows + block->rows > rows_that_fit (self))
            status = put_sorted (self, sorted, error);
        if (status == STATUS_OK)
            status = spilled_take_block (self, block, error);
    }
    return status == STATUS_OK ? put_sorted (self, sorted, error) : status;
}

/* Makes every stretch of the shelf a piece, or some. */
static status_t sort_shelf (sorter_t *self, shelf_t *shelf, error_t *error)
{
    shelf_t sorted = { .count = 0 };
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < shelf->count; i++) {
        stretch_t *stretch = &shelf->stretches[i];
        if (stretch->sorted) {
            *add_stretch (&sorted, true) = stretch->list;
            stretch->list = (spill_list_t){ .count = 0 };
        } else {
            status = sort_stretch (self, &stretch->list, &sorted, error);
        }
    }
    clear_shelf (shelf);
    *shelf = sorted;
    return status;
}

static status_t open_pieces (sorter_t *self, const shelf_t *shelf, size_t from, size_t to,
                             pieces_t **pieces, error_t *error)
{
    const spill_list_t **lists = mem_alloc ((to - from) * sizeof *lists);
    for (size_t i = from; i < to; i++)
        lists[i - from] = &shelf->stretches[i].list;
    status_t status =
        pieces_new (self->spilled->spill, &self->few, lists, to - from, pieces, error);
    mem_free (lists);
    return status;
}

/* Puts rows of pieces behind those in `few`. */
static void take_merged (sorter_t *self, const pieces_rows_t *rows, batch_t *batch, arena_t *texts)
{
    uint32_t which[CODED_ROWS];
    for (size_t i = 0; i < rows->count; i++)
        which[i] = (uint32_t)i;
    arena_reset (texts);
    batch->keys = 0;
    batch->rows = rows->count;
    gathered_pick (rows->rows, rows->which, rows->count, batch, 0, texts);
    gathered_add (&self->few, batch, which, rows->count);
}

static status_t put_merged (sorter_t *self, pieces_t *pieces, spill_list_t *merged, error_t *error)
{
    arena_t *texts = arena_new (1 << 16);
    arena_t *arena = arena_new (1 << 16);
    batch_t batch = gathered_batch (&self->few, arena, CODED_ROWS);
    pieces_rows_t rows = { .count = 1 };
    status_t status = STATUS_OK;
    gathered_next (&self->few);
    while (status == STATUS_OK && rows.count > 0) {
        status = pieces_next (pieces, CODED_ROWS, &rows, error);
        if (status == STATUS_OK && rows.count > 0)
            take_merged (self, &rows, &batch, texts);
        if (status != STATUS_OK || self->few.rows == 0 || (rows.count > 0 && !few_are_many (self)))
            continue;
        few_sort (self);
        status = few_put (self, 0, merged, error);
        gathered_next (&self->few);
    }
    arena_destroy (&arena);
    arena_destroy (&texts);
    return status;
}

/* Neighbours become one, so that rows that are equal in all stay in the order in which they came.
 */
static status_t merge_pieces (sorter_t *self, const shelf_t *shelf, size_t from, size_t to,
                              spill_list_t *merged, error_t *error)
{
    pieces_t *pieces;
    status_t status = open_pieces (self, shelf, from, to, &pieces, error);
    if (status == STATUS_OK)
        status = put_merged (self, pieces, merged, error);
    pieces_destroy (&pieces);
    return status;
}

/* Fewer pieces, so that a block of each fits into memory. */
static status_t merge_shelf (sorter_t *self, shelf_t *shelf, error_t *error)
{
    size_t most = self->aside.memory / SPILL_BLOCK;
    most = most < 2 ? 2 : most;
    status_t status = STATUS_OK;
    while (status == STATUS_OK && shelf->count > most) {
        shelf_t fewer = { .count = 0 };
        for (size_t from = 0; status == STATUS_OK && from < shelf->count; from += most) {
            size_t to = from + most < shelf->count ? from + most : shelf->count;
            status = merge_pieces (self, shelf, from, to, add_stretch (&fewer, true), error);
        }
        clear_shelf (shelf);
        *shelf = fewer;
    }
    return status;
}

/* Rows of the part that are in memory are the last pieces. */
static status_t begin_pieces (sorter_t *self, size_t part, pieces_t **pieces, error_t *error)
{
    shelf_t *shelf = &self->spilled->shelf[part];
    status_t status = sort_shelf (self, shelf, error);
    if (status == STATUS_OK)
        status = sort_memory (self, part, shelf, error);
    if (status == STATUS_OK)
        status = merge_shelf (self, shelf, error);
    if (status != STATUS_OK)
        return status;
    return open_pieces (self, shelf, 0, shelf->count, pieces, error);
}

status_t spilled_begin (sorter_t *self, size_t part, pieces_t **pieces, error_t *error)
{
    *pieces = NULL;
    if (spilled_is_large (self, spilled_rows (self, part)))
        return begin_pieces (self, part, pieces, error);
    return load_part (self, part, error);
}
