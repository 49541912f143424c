#include "storage/sorter.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/parts.h"

#define SORTER_MAGIC UINT32_C (0x50e7e401)

enum {
    LINE = 64,         /* bytes that memory comes in */
    FETCHED_LINES = 8, /* of a row, at most, ahead of picking it */
};

struct sorter {
    uint32_t magic;
    packed_t packed;
    parts_t parts;
    sort_item_t *items; /* of a part; the second half is scratch of the sorting */
    size_t room;
    bool in_position; /* rows came by offset and row, of which the last ones are … */
    uint64_t last_offset;
    uint32_t last_row;
};

/* ---- making and ending ---- */

sorter_t *sorter_new (const type_t *types, size_t columns, kept_t *kept)
{
    sorter_t *self = mem_zero (1, sizeof *self);
    self->magic = SORTER_MAGIC;
    packed_init (&self->packed, types, columns);
    parts_init (&self->parts, &self->packed, kept);
    sorter_clear (self);
    return self;
}

void sorter_destroy (sorter_t **self_p)
{
    sorter_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, SORTER_MAGIC);
    parts_release (&self->parts);
    packed_release (&self->packed);
    mem_free (self->items);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

void sorter_clear (sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    packed_clear (&self->packed);
    parts_clear (&self->parts);
    self->in_position = true;
    self->last_offset = 0;
    self->last_row = 0;
}

size_t sorter_rows (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    return self->parts.rows;
}

size_t sorter_bytes (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    return parts_bytes (&self->parts) + self->parts.largest * 2 * sizeof *self->items;
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
    parts_place (&self->parts, tile);
    packed_put (&self->packed, tile);
    look_at_positions (self, tile);
}

static void check_batch (const sorter_t *self, const batch_t *batch)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
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

/* Rows in order as batches that fill a block. */
typedef struct picker {
    const sorter_t *self;
    run_writer_t *writer;
    batch_t batch;
    size_t filled; /* rows of it */
    size_t lines;  /* of a row that are fetched */
} picker_t;

static text_t key_at (const void *arg, uint64_t at)
{
    const sorter_t *self = arg;
    return packed_key (&self->packed, parts_row (&self->parts, at));
}

static int compare_positions (const void *arg, uint64_t a, uint64_t b)
{
    const sorter_t *self = arg;
    return packed_compare (parts_row (&self->parts, a), parts_row (&self->parts, b));
}

static void sort_part (sorter_t *self, size_t part)
{
    size_t rows = self->parts.part[part].rows;
    if (self->room < rows) {
        mem_free (self->items);
        self->room = self->parts.largest;
        self->items = mem_alloc (2 * self->room * sizeof *self->items);
    }
    parts_items (&self->parts, part, self->items);
    sort_rows_t order = { .key = key_at,
                          .compare = self->in_position ? NULL : compare_positions,
                          .arg = self,
                          .skip = self->parts.skip };
    sort_items (self->items, self->items + self->room, rows, &order);
}

static void fetch_rows (const picker_t *picker, size_t from, size_t to)
{
    const sorter_t *self = picker->self;
    for (size_t i = from; i < to; i++) {
        const uint8_t *row = parts_row (&self->parts, sort_at (&self->items[i]));
        for (size_t line = 0; line < picker->lines; line++)
            __builtin_prefetch (row + line * LINE);
    }
}

static status_t write_filled (picker_t *picker, error_t *error)
{
    picker->batch.rows = picker->filled;
    picker->filled = 0;
    return run_writer_add (picker->writer, &picker->batch, 0, picker->batch.rows, error);
}

/* A tile at a time, while the rows of the next one are fetched: those of a part that keys told
 * nothing of are many. */
static status_t write_part (picker_t *picker, size_t rows, error_t *error)
{
    const sorter_t *self = picker->self;
    const uint8_t *tile[PACKED_TILE];
    status_t status = STATUS_OK;
    fetch_rows (picker, 0, rows < PACKED_TILE ? rows : PACKED_TILE);
    for (size_t at = 0, count; status == STATUS_OK && at < rows; at += count) {
        size_t room = RUN_BLOCK_ROWS_MAX - picker->filled;
        count = rows - at < PACKED_TILE ? rows - at : PACKED_TILE;
        count = count < room ? count : room;
        size_t ahead = at + count + PACKED_TILE;
        fetch_rows (picker, at + count, ahead < rows ? ahead : rows);
        for (size_t i = 0; i < count; i++)
            tile[i] = parts_row (&self->parts, sort_at (&self->items[at + i]));
        packed_pick (&self->packed, tile, count, &picker->batch, picker->filled);
        picker->filled += count;
        if (picker->filled == RUN_BLOCK_ROWS_MAX)
            status = write_filled (picker, error);
    }
    return status;
}

static status_t write_rows (sorter_t *self, run_writer_t *writer, error_t *error)
{
    arena_t *arena = arena_new (1 << 20);
    picker_t picker = { .self = self, .writer = writer };
    picker.batch = batch_new (arena, self->packed.types, self->packed.columns, RUN_BLOCK_ROWS_MAX);
    for (size_t c = 0; c < self->packed.columns; c++)
        memset (picker.batch.column[c].valid, 1, RUN_BLOCK_ROWS_MAX);
    if (self->parts.rows > 0)
        picker.lines = (parts_bytes (&self->parts) / self->parts.rows + LINE - 1) / LINE;
    picker.lines = picker.lines < FETCHED_LINES ? picker.lines : FETCHED_LINES;
    status_t status = STATUS_OK;
    for (size_t part = 0; status == STATUS_OK && part < PARTS_MAX; part++) {
        size_t rows = self->parts.part[part].rows;
        if (rows == 0)
            continue;
        sort_part (self, part);
        status = write_part (&picker, rows, error);
    }
    if (status == STATUS_OK && picker.filled > 0)
        status = write_filled (&picker, error);
    arena_destroy (&arena);
    return status;
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
