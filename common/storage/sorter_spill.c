/* sorter_spill.c - a sorter's rows that are on the disk, by parts: those that fit into memory are
 * sorted when they are given; larger ones become pieces, each sorted, which are merged. */
#include "base/check.h"
#include "base/mem.h"
#include "storage/sorter_state.h"

enum {
    ITEM_BYTES = 2 * sizeof (sort_item_t), /* that sorting takes of a row */
};

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

/* Bytes of rows in memory, about. */
static size_t bytes_here (const sorter_t *self, size_t rows)
{
    return rows > 0 ? rows * (parts_bytes (&self->parts) / self->parts.rows) : 0;
}

static size_t part_bytes (const sorter_t *self, size_t part)
{
    const shelf_t *shelf = &self->spilled->shelf[part];
    size_t bytes = bytes_here (self, self->parts.part[part].rows);
    for (size_t i = 0; i < shelf->count; i++)
        bytes += shelf->stretches[i].list.bytes;
    return bytes;
}

void spilled_release (sorter_t *self)
{
    spilled_t *spilled = self->spilled;
    if (spilled == NULL)
        return;
    for (size_t part = 0; part < PARTS_MAX; part++)
        clear_shelf (&spilled->shelf[part]);
    parts_release (&spilled->loaded);
    spill_destroy (&spilled->spill);
    mem_free (spilled);
    self->spilled = NULL;
}

/* ---- putting ---- */

/* Rows that are to be put, together. */
typedef struct putting {
    spill_t *spill;
    spill_list_t *list;
    size_t count;
    const uint8_t *rows[PACKED_TILE];
} putting_t;

static status_t put_rows (putting_t *self, error_t *error)
{
    size_t count = self->count;
    self->count = 0;
    return spill_put (self->spill, self->list, self->rows, count, error);
}

static status_t end_putting (putting_t *self, error_t *error)
{
    status_t status = put_rows (self, error);
    return status == STATUS_OK ? spill_end (self->spill, self->list, error) : status;
}

static inline status_t put_row (putting_t *self, const uint8_t *row, error_t *error)
{
    self->rows[self->count++] = row;
    return self->count == PACKED_TILE ? put_rows (self, error) : STATUS_OK;
}

/* Items [from, to), in order. */
static status_t put_items (sorter_t *self, size_t from, size_t to, spill_list_t *list,
                           error_t *error)
{
    putting_t putting = { .spill = self->spilled->spill, .list = list };
    status_t status = STATUS_OK;
    for (size_t i = from; status == STATUS_OK && i < to; i++) {
        const uint8_t *row = sorter_row (self, i);
        __builtin_prefetch (row);
        status = put_row (&putting, row, error);
    }
    return status == STATUS_OK ? end_putting (&putting, error) : status;
}

static status_t put_unsorted (sorter_t *self, size_t part, spill_list_t *list, error_t *error)
{
    putting_t putting = { .spill = self->spilled->spill, .list = list };
    uint32_t chunk = PARTS_BEGIN;
    const uint8_t *row;
    size_t size;
    status_t status = STATUS_OK;
    while (status == STATUS_OK && (size = parts_rows_at (&self->parts, part, &chunk, &row)) > 0)
        for (const uint8_t *end = row + size; status == STATUS_OK && row < end;) {
            const uint8_t *here = row;
            row += packed_size (&self->packed, row);
            status = put_row (&putting, here, error);
        }
    return status == STATUS_OK ? end_putting (&putting, error) : status;
}

/* Would so many rows of a part not fit by themselves, or are they too many to be sorted at once? */
static bool is_large (const sorter_t *self, size_t rows)
{
    return rows > SORTER_ITEMS_KEPT ||
           bytes_here (self, rows) + rows * ITEM_BYTES > self->aside.memory;
}

/* One that would not fit by itself is sorted now, while it is in memory. */
static status_t put_part (sorter_t *self, size_t part, error_t *error)
{
    shelf_t *shelf = &self->spilled->shelf[part];
    size_t rows = self->parts.part[part].rows;
    if (rows == 0)
        return STATUS_OK;
    if (!is_large (self, rows))
        return put_unsorted (self, part, open_stretch (shelf), error);
    sorter_sort_part (self, &self->parts, part);
    return put_items (self, 0, rows, add_stretch (shelf, true), error);
}

static status_t begin (sorter_t *self, error_t *error)
{
    spill_t *spill;
    CHECK (self->aside.fs != NULL);
    if (self->spilled != NULL)
        return STATUS_OK;
    status_t status = spill_new (self->aside.fs, self->aside.path, &self->packed, &spill, error);
    if (status != STATUS_OK)
        return status;
    self->spilled = mem_zero (1, sizeof *self->spilled);
    self->spilled->spill = spill;
    parts_init (&self->spilled->loaded, &self->packed, self->kept);
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

/* The rest of the part that is being given. */
static status_t put_current (sorter_t *self, error_t *error)
{
    giving_t *giving = self->giving;
    if (giving->pieces != NULL) {
        size_t left = pieces_in_memory (giving->pieces);
        if (left == 0)
            return STATUS_OK;
        size_t rows = self->parts.part[giving->part].rows;
        status_t status = put_items (self, rows - left, rows, &giving->left, error);
        return status == STATUS_OK ? pieces_leave_memory (giving->pieces, &giving->left, error)
                                   : status;
    }
    if (giving->from_disk || giving->at == giving->rows)
        return STATUS_OK;
    size_t part = giving->few ? 0 : giving->part;
    spill_list_t *list = add_stretch (&self->spilled->shelf[part], true);
    status_t status = giving->few ? few_put (self, giving->at, list, error)
                                  : put_items (self, giving->at, giving->rows, list, error);
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
            status = put_unsorted (self, part, open_stretch (&self->spilled->shelf[part]), error);
    giving->stays = 2;
    return status;
}

status_t sorter_spill (sorter_t *self, error_t *error)
{
    if (sorter_held (self) == 0)
        return STATUS_OK;
    status_t status = begin (self, error);
    if (status == STATUS_OK)
        status = self->giving == NULL ? put_all (self, error) : put_later (self, error);
    gathered_clear (&self->few);
    parts_drop (&self->parts);
    return status;
}

/* ---- large parts ---- */

bool sorter_has_large (const sorter_t *self)
{
    if (self->few.rows > 0) /* there is no telling which they are before they are parted */
        return few_bytes (self) > self->aside.memory;
    return is_large (self, self->parts.largest);
}

status_t sorter_spill_large (sorter_t *self, error_t *error)
{
    CHECK (self->giving == NULL);
    status_t status = begin (self, error);
    few_part (self);
    for (size_t part = 0; status == STATUS_OK && part < PARTS_MAX; part++) {
        if (!is_large (self, self->parts.part[part].rows))
            continue;
        status = put_part (self, part, error);
        parts_drop_part (&self->parts, part);
    }
    return status;
}

/* ---- loading ---- */

static size_t count_rows (const packed_t *packed, const uint8_t *row, size_t size)
{
    size_t rows = 0;
    for (const uint8_t *end = row + size; row < end; row += packed_size (packed, row))
        rows++;
    return rows;
}

/* Blocks [from, to) of a list, whose rows are counted if they are not all of them. */
static status_t load_blocks (sorter_t *self, size_t part, const spill_list_t *list, size_t from,
                             size_t to, error_t *error)
{
    bool all = from == 0 && to == list->count;
    size_t count = all ? list->rows : 0;
    for (size_t i = from; i < to; i++) {
        const spill_block_t *block = &list->blocks[i];
        uint8_t *rows = parts_room (&self->spilled->loaded, part, block->size);
        status_t status = spill_read (self->spilled->spill, block, rows, error);
        if (status != STATUS_OK)
            return status;
        count += all ? 0 : count_rows (&self->packed, rows, block->size);
    }
    parts_add_rows (&self->spilled->loaded, part, count);
    return STATUS_OK;
}

/* Rows that are still in memory come last. */
static void load_rest (sorter_t *self, size_t part)
{
    uint32_t chunk = PARTS_BEGIN;
    const uint8_t *rows;
    size_t size;
    parts_t *loaded = &self->spilled->loaded;
    if (self->parts.part[part].rows == 0)
        return;
    while ((size = parts_rows_at (&self->parts, part, &chunk, &rows)) > 0)
        memcpy (parts_room (loaded, part, size), rows, size);
    parts_add_rows (loaded, part, self->parts.part[part].rows);
}

static status_t load_part (sorter_t *self, size_t part, error_t *error)
{
    const shelf_t *shelf = &self->spilled->shelf[part];
    parts_drop (&self->spilled->loaded);
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < shelf->count; i++) {
        const spill_list_t *list = &shelf->stretches[i].list;
        status = load_blocks (self, part, list, 0, list->count, error);
    }
    if (status != STATUS_OK)
        return status;
    load_rest (self, part);
    sorter_sort_part (self, &self->spilled->loaded, part);
    return STATUS_OK;
}

/* ---- pieces ---- */

/* As many blocks from `from` on as fit to be sorted, one at least: the end of them. */
static size_t blocks_that_fit (const sorter_t *self, const spill_list_t *list, size_t from)
{
    size_t row_bytes = list->bytes / list->rows;
    size_t bytes = 0;
    size_t to = from;
    while (to < list->count &&
           (to == from || (bytes + list->blocks[to].size) / row_bytes * (row_bytes + ITEM_BYTES) <=
                              self->aside.memory))
        bytes += list->blocks[to++].size;
    return to;
}

/* Sorts an unsorted stretch into pieces. */
static status_t sort_stretch (sorter_t *self, size_t part, const spill_list_t *list,
                              shelf_t *sorted, error_t *error)
{
    parts_t *loaded = &self->spilled->loaded;
    status_t status = STATUS_OK;
    for (size_t from = 0, to; status == STATUS_OK && from < list->count; from = to) {
        to = blocks_that_fit (self, list, from);
        parts_drop (loaded);
        status = load_blocks (self, part, list, from, to, error);
        if (status != STATUS_OK)
            break;
        sorter_sort_part (self, loaded, part);
        status = put_items (self, 0, loaded->part[part].rows, add_stretch (sorted, true), error);
    }
    return status;
}

/* Makes every stretch of the shelf a piece. */
static status_t sort_shelf (sorter_t *self, size_t part, shelf_t *shelf, error_t *error)
{
    shelf_t sorted = { .count = 0 };
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < shelf->count; i++) {
        stretch_t *stretch = &shelf->stretches[i];
        if (stretch->sorted) {
            *add_stretch (&sorted, true) = stretch->list;
            stretch->list = (spill_list_t){ .count = 0 };
        } else {
            status = sort_stretch (self, part, &stretch->list, &sorted, error);
        }
    }
    clear_shelf (shelf);
    *shelf = sorted;
    return status;
}

static status_t open_pieces (sorter_t *self, const shelf_t *shelf, size_t from, size_t to,
                             const pieces_memory_t *memory, pieces_t **pieces, error_t *error)
{
    const spill_list_t **lists = mem_alloc ((to - from) * sizeof *lists);
    for (size_t i = from; i < to; i++)
        lists[i - from] = &shelf->stretches[i].list;
    status_t status =
        pieces_new (self->spilled->spill, &self->packed, lists, to - from, memory, pieces, error);
    mem_free (lists);
    return status;
}

/* Neighbours become one, so that rows that are equal in all stay in the order in which they came.
 */
static status_t merge_pieces (sorter_t *self, const shelf_t *shelf, size_t from, size_t to,
                              spill_list_t *merged, error_t *error)
{
    const uint8_t *rows[PACKED_TILE];
    size_t count = 1;
    spill_t *spill = self->spilled->spill;
    pieces_t *pieces;
    pieces_memory_t none = { .count = 0 };
    status_t status = open_pieces (self, shelf, from, to, &none, &pieces, error);
    while (status == STATUS_OK && count > 0) {
        status = pieces_next (pieces, rows, PACKED_TILE, &count, error);
        if (status == STATUS_OK)
            status = spill_put (spill, merged, rows, count, error);
    }
    pieces_destroy (&pieces);
    return status == STATUS_OK ? spill_end (spill, merged, error) : status;
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

/* Rows of the part that are in memory are the last piece. */
static status_t begin_pieces (sorter_t *self, size_t part, pieces_t **pieces, error_t *error)
{
    shelf_t *shelf = &self->spilled->shelf[part];
    status_t status = sort_shelf (self, part, shelf, error);
    if (status == STATUS_OK)
        status = merge_shelf (self, shelf, error);
    if (status != STATUS_OK)
        return status;
    pieces_memory_t memory = { .parts = &self->parts, .count = self->parts.part[part].rows };
    if (memory.count > 0)
        sorter_sort_part (self, &self->parts, part);
    memory.items = self->items;
    return open_pieces (self, shelf, 0, shelf->count, &memory, pieces, error);
}

status_t spilled_begin (sorter_t *self, size_t part, pieces_t **pieces, error_t *error)
{
    spilled_t *spilled = self->spilled;
    *pieces = NULL;
    spilled->loaded.skip = self->parts.skip;
    if (part_bytes (self, part) + spilled_rows (self, part) * ITEM_BYTES <= self->aside.memory)
        return load_part (self, part, error);
    return begin_pieces (self, part, pieces, error);
}
