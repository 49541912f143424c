#include "base/check.h"
#include "base/mem.h"
#include "storage/sorter_state.h"

#define SORTER_MAGIC UINT32_C (0x50e7e401)

enum {
    LINE = 64,         /* bytes that memory comes in */
    FETCHED_LINES = 8, /* of a row, at most, ahead of picking it */
    GIVEN_CHUNK = 1 << 20,
    ITEMS_FEW = 1 << 16, /* that memory is made for */
};

/* ---- making and ending ---- */

sorter_t *sorter_new (const type_t *types, size_t columns, kept_t *kept)
{
    sorter_t *self = mem_zero (1, sizeof *self);
    self->magic = SORTER_MAGIC;
    self->kept = kept;
    self->gives = RUN_BLOCK_ROWS_MAX;
    packed_init (&self->packed, types, columns);
    gathered_init (&self->few, types, columns);
    parts_init (&self->parts, &self->packed, kept);
    sorter_clear (self);
    return self;
}

static void end_giving (sorter_t *self)
{
    giving_t *giving = self->giving;
    if (giving == NULL)
        return;
    pieces_destroy (&giving->pieces);
    spill_list_release (&giving->left);
    arena_destroy (&giving->texts[0]);
    arena_destroy (&giving->texts[1]);
    arena_destroy (&giving->arena);
    mem_free (giving);
    self->giving = NULL;
}

static void release_items (sorter_t *self)
{
    if (self->items_kept)
        kept_give (self->kept, self->items);
    else
        mem_free (self->items);
    self->items = NULL;
    self->items_kept = false;
    self->room = 0;
}

void sorter_destroy (sorter_t **self_p)
{
    sorter_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, SORTER_MAGIC);
    end_giving (self);
    spilled_release (self);
    gathered_release (&self->few);
    mem_free (self->order);
    parts_release (&self->parts);
    packed_release (&self->packed);
    release_items (self);
    mem_free (self->aside.path);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

void sorter_clear (sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    end_giving (self);
    spilled_release (self);
    packed_clear (&self->packed);
    gathered_clear (&self->few);
    self->few_size = 0;
    parts_clear (&self->parts);
    self->rows = 0;
    self->in_position = true;
    self->last_offset = 0;
    self->last_row = 0;
}

void sorter_set_aside (sorter_t *self, fs_t *fs, const char *path, size_t memory)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    CHECK (self->aside.fs == NULL);
    self->aside = (aside_t){ fs, mem_string (path), memory };
}

void sorter_gives (sorter_t *self, size_t rows)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    CHECK (self->giving == NULL && rows > 0);
    self->gives = rows;
}

size_t sorter_rows (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    return self->rows;
}

size_t sorter_bytes (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    return few_bytes (self) + parts_bytes (&self->parts) +
           self->parts.largest * 2 * sizeof *self->items;
}

size_t sorter_held (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    return self->few.rows + self->parts.rows;
}

/* ---- adding ---- */

static void look_at_positions (sorter_t *self, const packed_tile_t *tile)
{
    const batch_t *batch = tile->batch;
    for (size_t i = 0; i < tile->count; i++) {
        size_t row = tile->row[i];
        uint64_t offset = batch->offset[row];
        self->in_position = self->in_position &&
                            (offset > self->last_offset ||
                             (offset == self->last_offset && batch->row[row] >= self->last_row));
        self->last_offset = offset;
        self->last_row = batch->row[row];
    }
}

static void add_tile (sorter_t *self, packed_tile_t *tile)
{
    packed_measure (&self->packed, tile);
    look_at_positions (self, tile);
    self->rows += tile->count;
    if (!self->parts.parted && few_add (self, tile))
        return;
    few_part (self);
    parts_place (&self->parts, tile);
    packed_put (&self->packed, tile);
}

static void check_batch (const sorter_t *self, const batch_t *batch)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    CHECK (self->giving == NULL);
    CHECK (batch->columns == self->packed.columns);
    CHECK (batch->key != NULL);
}

void sorter_add (sorter_t *self, const batch_t *batch, size_t from, size_t to)
{
    check_batch (self, batch);
    CHECK (from <= to && to <= batch->rows);
    packed_tile_t tile;
    tile.batch = batch;
    while (from < to) {
        for (tile.count = 0; tile.count < PACKED_TILE && from < to; tile.count++)
            tile.row[tile.count] = (uint32_t)from++;
        add_tile (self, &tile);
    }
}

void sorter_add_picked (sorter_t *self, const batch_t *batch, const uint32_t *which, size_t count)
{
    check_batch (self, batch);
    packed_tile_t tile;
    tile.batch = batch;
    for (size_t at = 0; at < count; at += tile.count) {
        tile.count = count - at < PACKED_TILE ? count - at : PACKED_TILE;
        memcpy (tile.row, which + at, tile.count * sizeof *which);
        add_tile (self, &tile);
    }
}

/* ---- giving out ---- */

static text_t key_at (const void *arg, uint64_t at)
{
    const sorter_t *self = arg;
    return packed_key (&self->packed, parts_row (self->sorting, at));
}

static int compare_positions (const void *arg, uint64_t a, uint64_t b)
{
    const sorter_t *self = arg;
    return packed_compare (parts_row (self->sorting, a), parts_row (self->sorting, b));
}

/* Many are in memory that is kept, which does not have to be cleared for each sorter. */
static void make_room (sorter_t *self, const parts_t *parts, size_t rows)
{
    if (rows <= self->room)
        return;
    release_items (self);
    self->items_kept = self->aside.fs != NULL && rows > ITEMS_FEW && rows <= SORTER_ITEMS_KEPT;
    self->room = self->items_kept ? SORTER_ITEMS_KEPT : parts->largest;
    self->items = self->items_kept ? kept_take (self->kept)
                                   : mem_alloc (2 * self->room * sizeof *self->items);
}

void sorter_sort_part (sorter_t *self, const parts_t *parts, size_t part)
{
    size_t rows = parts->part[part].rows;
    make_room (self, parts, rows);
    self->sorting = parts;
    parts_items (parts, part, self->items);
    sort_rows_t order = { .key = key_at,
                          .compare = self->in_position ? NULL : compare_positions,
                          .arg = self,
                          .skip = parts->skip };
    sort_items (self->items, self->items + self->room, rows, &order);
}

static void fetch_rows (const sorter_t *self, size_t from, size_t to)
{
    size_t lines = self->giving->lines;
    for (size_t i = from; i < to; i++) {
        const uint8_t *row = sorter_row (self, i);
        for (size_t line = 0; line < lines; line++)
            __builtin_prefetch (row + line * LINE);
    }
}

static void begin_giving (sorter_t *self)
{
    giving_t *giving = mem_zero (1, sizeof *giving);
    self->giving = giving;
    giving->arena = arena_new (GIVEN_CHUNK);
    giving->texts[0] = arena_new (GIVEN_CHUNK);
    giving->texts[1] = arena_new (GIVEN_CHUNK);
    giving->room = self->rows < self->gives ? self->rows : self->gives;
    if (self->parts.rows > 0)
        giving->lines = (parts_bytes (&self->parts) / self->parts.rows + LINE - 1) / LINE;
    giving->lines = giving->lines < FETCHED_LINES ? giving->lines : FETCHED_LINES;
    for (size_t i = 0; i < (self->rows > giving->room ? 2 : 1); i++)
        giving->batch[i] = packed_batch (&self->packed, giving->arena, giving->room);
}

/* Begins the next part that has rows, if there is one. */
static status_t next_part (sorter_t *self, error_t *error)
{
    giving_t *giving = self->giving;
    pieces_destroy (&giving->pieces);
    spill_list_release (&giving->left);
    giving->rows = 0;
    giving->at = 0;
    giving->from_disk = self->spilled != NULL;
    giving->few = self->few.rows > 0 && giving->next == 0;
    if (giving->few) {
        giving->next = PARTS_MAX;
        giving->rows = self->few.rows;
        few_sort (self);
        return STATUS_OK;
    }
    while (giving->rows == 0 && giving->next < PARTS_MAX) {
        giving->part = giving->next++;
        giving->rows = self->spilled != NULL ? spilled_rows (self, giving->part)
                                             : self->parts.part[giving->part].rows;
    }
    if (giving->rows == 0)
        return STATUS_OK;
    status_t status = STATUS_OK;
    if (self->spilled != NULL)
        status = spilled_begin (self, giving->part, &giving->pieces, error);
    else
        sorter_sort_part (self, &self->parts, giving->part);
    if (status == STATUS_OK && giving->pieces == NULL)
        fetch_rows (self, 0, giving->rows < PACKED_TILE ? giving->rows : PACKED_TILE);
    return status;
}

/* Some of the part's next rows, up to `most`. They are fetched a tile ahead: those of a part that
 * keys told nothing of are many. */
static status_t next_tile (sorter_t *self, const uint8_t **tile, size_t most, size_t *count,
                           error_t *error)
{
    giving_t *giving = self->giving;
    if (giving->pieces != NULL)
        return pieces_next (giving->pieces, tile, most, count, error);
    size_t rows = giving->rows;
    size_t at = giving->at;
    *count = rows - at < most ? rows - at : most;
    size_t ahead = at + *count + PACKED_TILE;
    fetch_rows (self, at + *count, ahead < rows ? ahead : rows);
    for (size_t i = 0; i < *count; i++)
        tile[i] = sorter_row (self, at + i);
    return STATUS_OK;
}

/* Copies the cells of rows [from, to) that lie where other rows are read next. Equal neighbours
 * that share their bytes still do. */
static void keep_texts (text_t *texts, size_t from, size_t to, arena_t *arena)
{
    size_t total = 0;
    for (size_t i = from; i < to; i++)
        total += texts[i].size;
    char *at = arena_alloc (arena, total);
    const char *shared = from > 0 ? texts[from - 1].data : NULL; /* as it lies now … */
    const char *kept = shared;                                   /* … and its copy */
    for (size_t i = from; i < to; i++) {
        if (texts[i].data != shared) {
            shared = texts[i].data;
            kept = at;
            if (texts[i].size > 0)
                memcpy (at, texts[i].data, texts[i].size);
            at += texts[i].size;
        }
        texts[i].data = kept;
    }
}

static status_t pick_tile (sorter_t *self, error_t *error)
{
    giving_t *giving = self->giving;
    batch_t *batch = &giving->batch[giving->turn];
    const uint8_t *tile[PACKED_TILE];
    size_t from = giving->filled;
    size_t room = giving->room - from;
    size_t count = giving->rows - giving->at < room ? giving->rows - giving->at : room;
    if (giving->few) {
        gathered_pick (&self->few, self->order + giving->at, count, batch, from,
                       giving->texts[giving->turn]);
        giving->filled += count;
        giving->at += count;
        return STATUS_OK;
    }
    status_t status =
        next_tile (self, tile, room < PACKED_TILE ? room : PACKED_TILE, &count, error);
    if (status != STATUS_OK)
        return status;
    CHECK (count > 0);
    packed_pick (&self->packed, tile, count, batch, from);
    giving->filled += count;
    giving->at += count;
    if (self->spilled == NULL)
        return STATUS_OK;
    arena_t *texts = giving->texts[giving->turn];
    keep_texts (batch->key, from, giving->filled, texts);
    for (size_t c = 0; c < batch->columns; c++)
        if (batch->column[c].type == TYPE_STRING)
            keep_texts (batch->column[c].s, from, giving->filled, texts);
    return STATUS_OK;
}

status_t sorter_next (void *sorter, batch_t *batch, error_t *error)
{
    sorter_t *self = sorter;
    CHECK_OBJECT (self, SORTER_MAGIC);
    if (self->giving == NULL)
        begin_giving (self);
    giving_t *giving = self->giving;
    status_t status = STATUS_OK;
    if (giving->stays > 0 && --giving->stays == 0) {
        few_give_back (self);
        parts_give_back (&self->parts);
    }
    arena_reset (giving->texts[giving->turn]);
    giving->batch[giving->turn].keys = 0;
    while (status == STATUS_OK && giving->filled < giving->room) {
        if (giving->at == giving->rows)
            status = next_part (self, error);
        if (status == STATUS_OK && giving->rows == 0)
            break;
        if (status == STATUS_OK)
            status = pick_tile (self, error);
    }
    if (status != STATUS_OK)
        return status;
    if (giving->filled == 0)
        return error_set (error, STATUS_END, "no more rows");
    *batch = giving->batch[giving->turn];
    batch->rows = giving->filled;
    giving->given += giving->filled;
    giving->filled = 0;
    giving->turn = 1 - giving->turn;
    return STATUS_OK;
}

bool sorter_is_done (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    return self->giving != NULL && self->giving->given == self->rows;
}

static status_t write_rows (sorter_t *self, run_writer_t *writer, error_t *error)
{
    for (;;) {
        batch_t batch;
        status_t status = sorter_next (self, &batch, error);
        if (status == STATUS_END)
            return STATUS_OK;
        if (status == STATUS_OK)
            status = sorter_is_done (self) ? run_writer_add_last (writer, &batch, error)
                                           : run_writer_add (writer, &batch, 0, batch.rows, error);
        if (status != STATUS_OK)
            return status;
    }
}

status_t sorter_write (sorter_t *self, fs_t *fs, const char *path, const run_schema_t *schema,
                       run_info_t *info, error_t *error)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    run_writer_t *writer;
    status_t status = run_writer_new (fs, path, schema, &writer, error);
    if (status != STATUS_OK)
        return status;
    status = write_rows (self, writer, error);
    if (status == STATUS_OK)
        status = run_writer_finish (writer, info, error);
    info->schema = *schema;
    run_writer_destroy (&writer);
    return status;
}
