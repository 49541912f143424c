#include "storage/sorter.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/parts.h"

#define SORTER_MAGIC UINT32_C (0x50e7e401)

enum {
    LINE = 64,         /* bytes that memory comes in */
    FETCHED_LINES = 8, /* of a row, at most, ahead of picking it */
    GIVEN_CHUNK = 1 << 20,
};

/* How far rows have been given. */
typedef struct giving {
    arena_t *arena;
    batch_t batch[2]; /* in turns: what was given stays while the next one is filled */
    unsigned turn;
    size_t room;   /* rows of a batch */
    size_t filled; /* rows of the one whose turn it is */
    size_t lines;  /* of a row that are fetched */
    size_t part;   /* that is sorted … */
    size_t rows;   /* … its rows … */
    size_t at;     /* … and those that were picked */
    size_t given;  /* rows of all parts */
} giving_t;

struct sorter {
    uint32_t magic;
    packed_t packed;
    parts_t parts;
    sort_item_t *items; /* of a part; the second half is scratch of the sorting */
    size_t room;
    bool in_position; /* rows came by offset and row, of which the last ones are … */
    uint64_t last_offset;
    uint32_t last_row;
    giving_t *giving; /* NULL: no row was given yet */
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

static void end_giving (sorter_t *self)
{
    if (self->giving != NULL)
        arena_destroy (&self->giving->arena);
    mem_free (self->giving);
    self->giving = NULL;
}

void sorter_destroy (sorter_t **self_p)
{
    sorter_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, SORTER_MAGIC);
    end_giving (self);
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
    end_giving (self);
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

static void fetch_rows (const sorter_t *self, size_t from, size_t to)
{
    size_t lines = self->giving->lines;
    for (size_t i = from; i < to; i++) {
        const uint8_t *row = parts_row (&self->parts, sort_at (&self->items[i]));
        for (size_t line = 0; line < lines; line++)
            __builtin_prefetch (row + line * LINE);
    }
}

/* Nothing of it is read before rows were picked into it. */
static batch_t new_batch (const sorter_t *self, arena_t *arena, size_t rows)
{
    const packed_t *packed = &self->packed;
    batch_t batch = { .rows = rows, .columns = packed->columns };
    batch.column = arena_zero (arena, packed->columns, sizeof *batch.column);
    for (size_t c = 0; c < packed->columns; c++) {
        column_t *column = &batch.column[c];
        column->type = packed->types[c];
        column->data = arena_alloc (arena, rows * type_size (column->type));
        column->valid = arena_alloc (arena, rows);
        memset (column->valid, 1, rows); /* stays so without nulls */
    }
    batch.event_time = arena_alloc (arena, rows * sizeof *batch.event_time);
    batch.ingest_time = arena_alloc (arena, rows * sizeof *batch.ingest_time);
    batch.offset = arena_alloc (arena, rows * sizeof *batch.offset);
    batch.row = arena_alloc (arena, rows * sizeof *batch.row);
    batch.key = arena_alloc (arena, rows * sizeof *batch.key);
    return batch;
}

static void begin_giving (sorter_t *self)
{
    size_t rows = self->parts.rows;
    giving_t *giving = mem_zero (1, sizeof *giving);
    self->giving = giving;
    giving->arena = arena_new (GIVEN_CHUNK);
    giving->room = rows < RUN_BLOCK_ROWS_MAX ? rows : RUN_BLOCK_ROWS_MAX;
    if (rows > 0)
        giving->lines = (parts_bytes (&self->parts) / rows + LINE - 1) / LINE;
    giving->lines = giving->lines < FETCHED_LINES ? giving->lines : FETCHED_LINES;
    for (size_t i = 0; i < (rows > giving->room ? 2 : 1); i++) {
        batch_t *batch = &giving->batch[i];
        *batch = new_batch (self, giving->arena, giving->room);
    }
    giving->rows = self->parts.part[0].rows;
    if (giving->rows > 0)
        sort_part (self, 0);
    fetch_rows (self, 0, giving->rows < PACKED_TILE ? giving->rows : PACKED_TILE);
}

/* Sorts the next part that has rows; false: there is none. */
static bool next_part (sorter_t *self)
{
    giving_t *giving = self->giving;
    do {
        if (giving->part == PARTS_MAX - 1)
            return false;
        giving->rows = self->parts.part[++giving->part].rows;
    } while (giving->rows == 0);
    giving->at = 0;
    sort_part (self, giving->part);
    fetch_rows (self, 0, giving->rows < PACKED_TILE ? giving->rows : PACKED_TILE);
    return true;
}

/* A tile at a time, while the rows of the next one are fetched: those of a part that keys told
 * nothing of are many. */
static void pick_tile (sorter_t *self)
{
    giving_t *giving = self->giving;
    const uint8_t *tile[PACKED_TILE];
    size_t rows = giving->rows;
    size_t at = giving->at;
    size_t room = giving->room - giving->filled;
    size_t count = rows - at < PACKED_TILE ? rows - at : PACKED_TILE;
    count = count < room ? count : room;
    size_t ahead = at + count + PACKED_TILE;
    fetch_rows (self, at + count, ahead < rows ? ahead : rows);
    for (size_t i = 0; i < count; i++)
        tile[i] = parts_row (&self->parts, sort_at (&self->items[at + i]));
    packed_pick (&self->packed, tile, count, &giving->batch[giving->turn], giving->filled);
    giving->filled += count;
    giving->at += count;
}

status_t sorter_next (void *sorter, batch_t *batch, error_t *error)
{
    sorter_t *self = sorter;
    CHECK_OBJECT (self, SORTER_MAGIC);
    if (self->giving == NULL)
        begin_giving (self);
    giving_t *giving = self->giving;
    while (giving->filled < giving->room && (giving->at < giving->rows || next_part (self)))
        pick_tile (self);
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
    return self->giving != NULL && self->giving->given == self->parts.rows;
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
