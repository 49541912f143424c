#include "storage/sorter.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/sort.h"

#define SORTER_MAGIC UINT32_C (0x50e7e401)

/* What a row begins with, before its cells. */
enum {
    AT_INGEST_TIME = 0,
    AT_OFFSET = 8,
    AT_ROW = 16,
    AT_KEY_SIZE = 20, /* two bytes */
    AT_NULLS = 22,    /* a bit for each column, these in one word with what is before: */
    NULLS_IN_WORD = 16,

    ALIGNMENT = 8,                 /* of a row; places count in this */
    SLOT_BITS = 22,                /* of a place in a slot of memory */
    SLOT = ALIGNMENT << SLOT_BITS, /* bytes: 32 MiB, more than any row */
    SMALL = 2 << 20, /* bytes up to which the first slot grows; and those of a large page */
    SMALLEST = 16 << 10,
    LINE = 64,         /* bytes that memory comes in */
    FETCHED_LINES = 8, /* of a row, at most, ahead of picking it */
    TILE = 256,        /* rows that are copied a column at a time, which fit the nearest cache */
    TEXT_CELL = 4,     /* bytes: a string's size; its bytes stand behind the key */
    ROOM_MIN = 64,     /* rows */
};

struct sorter {
    uint32_t magic;
    size_t columns;
    type_t *types;
    size_t *cell;    /* where a column's cell is in a row */
    bool *has_nulls; /* a column */
    size_t fixed;    /* bytes of a row before its key */
    uint8_t **slots; /* memory of rows, one behind the other in each */
    size_t slots_count;
    size_t small;       /* bytes that the only slot has; 0: all have SLOT */
    size_t slot;        /* the one that is being filled … */
    size_t used;        /* … and bytes of it */
    sort_item_t *items; /* of the rows, in the order in which they came; sorted, at the end */
    sort_item_t *spare; /* scratch of the sorting */
    size_t rows;
    size_t room;      /* of items */
    size_t skip;      /* bytes that all keys begin with … */
    bool skips;       /* … which is known when there were rows */
    bool stale;       /* some items' prefixes were taken before it became less */
    bool in_position; /* rows came by offset and row, of which the last ones are … */
    uint64_t last_offset;
    uint32_t last_row;
};

/* ---- making and ending ---- */

static size_t cell_size (type_t type)
{
    return type == TYPE_STRING ? TEXT_CELL : type_size (type);
}

sorter_t *sorter_new (const type_t *types, size_t columns)
{
    CHECK (columns <= BLOCK_COLUMNS_MAX);
    sorter_t *self = mem_zero (1, sizeof *self);
    self->magic = SORTER_MAGIC;
    self->columns = columns;
    self->types = mem_zero (columns, sizeof *self->types);
    self->cell = mem_zero (columns, sizeof *self->cell);
    self->has_nulls = mem_zero (columns, sizeof *self->has_nulls);
    self->fixed = (AT_NULLS + (columns + 7) / 8 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (size_t c = 0; c < columns; c++) {
        CHECK (type_is_field (types[c]));
        self->types[c] = types[c];
        self->cell[c] = self->fixed;
        self->fixed += cell_size (types[c]);
    }
    sorter_clear (self);
    return self;
}

void sorter_destroy (sorter_t **self_p)
{
    sorter_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, SORTER_MAGIC);
    mem_free (self->types);
    mem_free (self->cell);
    mem_free (self->has_nulls);
    for (size_t i = 0; i < self->slots_count; i++)
        mem_free (self->slots[i]);
    mem_free (self->slots);
    mem_free (self->items);
    mem_free (self->spare);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

void sorter_clear (sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    memset (self->has_nulls, 0, self->columns * sizeof *self->has_nulls);
    self->slot = 0;
    self->used = 0;
    self->rows = 0;
    self->stale = false;
    self->in_position = true;
    self->last_offset = 0;
    self->last_row = 0;
}

size_t sorter_rows (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    return self->rows;
}

size_t sorter_bytes (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    size_t bytes = self->rows * (sizeof *self->items + sizeof *self->spare);
    if (self->small > 0)
        return bytes + self->used;
    return bytes + self->slot * SLOT + (self->used + SMALL - 1) / SMALL * SMALL;
}

/* ---- adding ---- */

/* Rows that are added together. */
typedef struct tile {
    const batch_t *batch;
    size_t count;
    uint32_t row[TILE]; /* of the batch */
    uint64_t at[TILE];  /* the row's place */
    uint8_t *to[TILE];
    uint8_t *text[TILE]; /* where the row's next string goes */
} tile_t;

static inline void copy_text (uint8_t *to, text_t text)
{
    if (text.size > 16)
        memcpy (to, text.data, text.size);
    else if (text.size >= 8) { /* two halves that overlap, as most keys are of 9 bytes */
        uint64_t first;
        uint64_t last;
        memcpy (&first, text.data, 8);
        memcpy (&last, text.data + text.size - 8, 8);
        memcpy (to, &first, 8);
        memcpy (to + text.size - 8, &last, 8);
    } else {
        for (uint32_t i = 0; i < text.size; i++)
            to[i] = (uint8_t)text.data[i];
    }
}

static inline bool is_valid (const column_t *column, size_t row)
{
    return column->valid == NULL || column->valid[row] != 0;
}

static void add_slot (sorter_t *self, uint8_t *slot)
{
    self->slots = mem_resize (self->slots, self->slots_count + 1, sizeof *self->slots);
    self->slots[self->slots_count++] = slot;
}

/* Memory that has been there before the rows were cleared is taken again. */
static void next_slot (sorter_t *self)
{
    self->slot++;
    self->used = 0;
    if (self->slot == self->slots_count)
        add_slot (self, mem_alloc_large (SLOT));
}

/* Room for `more` bytes while there is one small slot, which becomes one as the others are when it
 * is full: a sorter of few rows takes little. */
static void grow_small (sorter_t *self, size_t more)
{
    if (self->slots_count == 0) {
        add_slot (self, mem_alloc (SMALLEST));
        self->small = SMALLEST;
    }
    size_t least = self->used + more;
    if (least <= self->small || self->small == 0)
        return;
    if (least <= SMALL) {
        self->small = 2 * self->small > least ? 2 * self->small : least;
        self->slots[0] = mem_resize (self->slots[0], self->small, 1);
        return;
    }
    uint8_t *slot = mem_alloc_large (SLOT);
    memcpy (slot, self->slots[0], self->used);
    mem_free (self->slots[0]);
    self->slots[0] = slot;
    self->small = 0;
}

/* Room for the tile's rows; where each of them goes. */
static void place_rows (sorter_t *self, tile_t *tile)
{
    size_t size[TILE];
    const batch_t *batch = tile->batch;
    for (size_t i = 0; i < tile->count; i++)
        size[i] = self->fixed + batch->key[tile->row[i]].size;
    for (size_t c = 0; c < self->columns; c++) {
        const column_t *column = &batch->column[c];
        if (column->type != TYPE_STRING)
            continue;
        for (size_t i = 0; i < tile->count; i++)
            size[i] += is_valid (column, tile->row[i]) ? column->s[tile->row[i]].size : 0;
    }
    size_t total = 0;
    for (size_t i = 0; i < tile->count; i++) {
        size[i] = (size[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        CHECK (size[i] <= SLOT);
        total += size[i];
    }
    grow_small (self, total);
    for (size_t i = 0; i < tile->count; i++) {
        if (self->small == 0 && size[i] > SLOT - self->used)
            next_slot (self);
        tile->at[i] = (uint64_t)self->slot << SLOT_BITS | self->used / ALIGNMENT;
        tile->to[i] = self->slots[self->slot] + self->used;
        self->used += size[i];
    }
}

static void put_heads (const sorter_t *self, tile_t *tile)
{
    const batch_t *batch = tile->batch;
    for (size_t i = 0; i < tile->count; i++) {
        size_t row = tile->row[i];
        uint8_t *to = tile->to[i];
        /* the row, the key's size, and the first columns' nulls, which are not set yet */
        uint64_t word = batch->row[row] | (uint64_t)batch->key[row].size << 32;
        memcpy (to + AT_INGEST_TIME, &batch->ingest_time[row], sizeof (int64_t));
        memcpy (to + AT_OFFSET, &batch->offset[row], sizeof (uint64_t));
        memcpy (to + AT_ROW, &word, sizeof word);
        if (self->columns > NULLS_IN_WORD)
            memset (to + AT_NULLS, 0, (self->columns + 7) / 8);
        copy_text (to + self->fixed, batch->key[row]);
        tile->text[i] = to + self->fixed + batch->key[row].size;
    }
}

static void put_nulls (sorter_t *self, tile_t *tile, size_t c)
{
    const uint8_t *valid = tile->batch->column[c].valid;
    for (size_t i = 0; valid != NULL && i < tile->count; i++) {
        if (valid[tile->row[i]] != 0)
            continue;
        uint8_t *byte = tile->to[i] + AT_NULLS + c / 8;
        *byte = (uint8_t)(*byte | 1 << c % 8);
        self->has_nulls[c] = true;
    }
}

static void put_texts (const column_t *column, tile_t *tile, size_t cell)
{
    for (size_t i = 0; i < tile->count; i++) {
        text_t text = { NULL, 0 };
        if (is_valid (column, tile->row[i]))
            text = column->s[tile->row[i]];
        memcpy (tile->to[i] + cell, &text.size, TEXT_CELL);
        copy_text (tile->text[i], text);
        tile->text[i] += text.size;
    }
}

static void put_column (sorter_t *self, tile_t *tile, size_t c)
{
    const column_t *column = &tile->batch->column[c];
    size_t cell = self->cell[c];
    CHECK (column->type == self->types[c]);
    put_nulls (self, tile, c);
    if (column->type == TYPE_STRING) {
        put_texts (column, tile, cell);
    } else if (type_size (column->type) == sizeof (unscaled_t)) {
        for (size_t i = 0; i < tile->count; i++)
            memcpy (tile->to[i] + cell, &column->d[tile->row[i]], sizeof (unscaled_t));
    } else {
        for (size_t i = 0; i < tile->count; i++)
            memcpy (tile->to[i] + cell, &column->i[tile->row[i]], sizeof (int64_t));
    }
}

static inline const uint8_t *row_at (const sorter_t *self, uint64_t at)
{
    return self->slots[at >> SLOT_BITS] + (at & ((UINT64_C (1) << SLOT_BITS) - 1)) * ALIGNMENT;
}

/* The key of the row at a place. */
static text_t key_at (const void *arg, uint64_t at)
{
    const sorter_t *self = arg;
    const uint8_t *row = row_at (self, at);
    uint16_t size;
    memcpy (&size, row + AT_KEY_SIZE, sizeof size);
    return (text_t){ (const char *)row + self->fixed, size };
}

/* What all keys begin with has an end where the tile's do not. A prefix that goes past a key's end
 * would serve too, but none of short keys should. */
static void shorten_skip (sorter_t *self, const tile_t *tile)
{
    text_t first = key_at (self, 0);
    if (!self->skips)
        self->skip = first.size > sizeof (uint64_t) ? first.size - sizeof (uint64_t) : 0;
    self->skips = true;
    size_t skip = self->skip;
    for (size_t i = 0; i < tile->count; i++)
        skip = sort_common (tile->batch->key[tile->row[i]], first, skip);
    self->stale = self->stale || (skip < self->skip && self->rows > 0);
    self->skip = skip;
}

static void put_items (sorter_t *self, const tile_t *tile)
{
    const batch_t *batch = tile->batch;
    size_t room = self->rows + tile->count;
    if (room > self->room) {
        self->room += self->room / 2;
        self->room = self->room > room ? self->room : room;
        self->room = self->room > ROOM_MIN ? self->room : ROOM_MIN;
        self->items = mem_resize (self->items, self->room, sizeof *self->items);
    }
    for (size_t i = 0; i < tile->count; i++) {
        size_t row = tile->row[i];
        uint64_t offset = batch->offset[row];
        self->in_position = self->in_position &&
                            (offset > self->last_offset ||
                             (offset == self->last_offset && batch->row[row] >= self->last_row));
        self->last_offset = offset;
        self->last_row = batch->row[row];
        self->items[self->rows++] =
            (sort_item_t){ sort_prefix (batch->key[row], self->skip), batch->event_time[row],
                           sort_place (tile->at[i], batch->key[row].size) };
    }
}

static void add_tile (sorter_t *self, tile_t *tile)
{
    place_rows (self, tile);
    put_heads (self, tile);
    for (size_t c = 0; c < self->columns; c++)
        put_column (self, tile, c);
    shorten_skip (self, tile);
    put_items (self, tile);
}

static void check_batch (const sorter_t *self, const batch_t *batch)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    CHECK (batch->columns == self->columns);
    CHECK (batch->key != NULL);
}

void sorter_add (sorter_t *self, const batch_t *batch, size_t from, size_t to)
{
    check_batch (self, batch);
    CHECK (from <= to && to <= batch->rows);
    tile_t tile = { .batch = batch };
    while (from < to) {
        for (tile.count = 0; tile.count < TILE && from < to; tile.count++)
            tile.row[tile.count] = (uint32_t)from++;
        add_tile (self, &tile);
    }
}

void sorter_add_picked (sorter_t *self, const batch_t *batch, const uint32_t *which, size_t count)
{
    check_batch (self, batch);
    tile_t tile = { .batch = batch };
    for (size_t at = 0; at < count; at += tile.count) {
        tile.count = count - at < TILE ? count - at : TILE;
        memcpy (tile.row, which + at, tile.count * sizeof *which);
        add_tile (self, &tile);
    }
}

/* ---- sorting ---- */

static int compare_positions (const void *arg, uint64_t a, uint64_t b)
{
    const sorter_t *self = arg;
    const uint8_t *x = row_at (self, a);
    const uint8_t *y = row_at (self, b);
    uint64_t offset[2];
    uint32_t row[2];
    memcpy (&offset[0], x + AT_OFFSET, sizeof offset[0]);
    memcpy (&offset[1], y + AT_OFFSET, sizeof offset[1]);
    memcpy (&row[0], x + AT_ROW, sizeof row[0]);
    memcpy (&row[1], y + AT_ROW, sizeof row[1]);
    if (offset[0] != offset[1])
        return offset[0] < offset[1] ? -1 : 1;
    return (row[0] > row[1]) - (row[0] < row[1]);
}

static void sort_rows (sorter_t *self)
{
    if (self->stale)
        for (size_t i = 0; i < self->rows; i++)
            self->items[i].prefix =
                sort_prefix (key_at (self, sort_at (&self->items[i])), self->skip);
    self->spare = mem_resize (self->spare, self->room, sizeof *self->spare);
    sort_rows_t rows = { .key = key_at,
                         .compare = self->in_position ? NULL : compare_positions,
                         .arg = self,
                         .skip = self->skip };
    sort_items (self->items, self->spare, self->rows, &rows);
}

/* ---- giving out ---- */

/* Rows in order as a batch, a tile at a time, while those of the next one are fetched. */
typedef struct picker {
    const sorter_t *self;
    batch_t batch;
    size_t lines; /* of a row that are fetched */
    size_t count; /* of the tile */
    const uint8_t *from[TILE];
    const char *text[TILE]; /* the row's next string */
} picker_t;

static void fetch_rows (const picker_t *picker, size_t from)
{
    const sorter_t *self = picker->self;
    size_t to = self->rows - from < TILE ? self->rows : from + TILE;
    for (size_t i = from; i < to; i++) {
        const uint8_t *row = row_at (self, sort_at (&self->items[i]));
        for (size_t line = 0; line < picker->lines; line++)
            __builtin_prefetch (row + line * LINE);
    }
}

static inline bool same_text (text_t a, text_t b)
{
    if (a.size != b.size)
        return false;
    if (a.size < 8 || a.size > 16)
        return text_equal (a, b);
    uint64_t x[2];
    uint64_t y[2];
    memcpy (&x[0], a.data, 8);
    memcpy (&x[1], a.data + a.size - 8, 8);
    memcpy (&y[0], b.data, 8);
    memcpy (&y[1], b.data + b.size - 8, 8);
    return x[0] == y[0] && x[1] == y[1];
}

/* Rows of one key share its bytes, by which they are told as such quickly later. */
static void pick_heads (picker_t *picker, size_t from, size_t at)
{
    const sorter_t *self = picker->self;
    const batch_t *batch = &picker->batch;
    for (size_t i = 0; i < picker->count; i++) {
        const sort_item_t *item = &self->items[from + i];
        const uint8_t *row = row_at (self, sort_at (item));
        picker->from[i] = row;
        batch->event_time[at + i] = item->time;
        memcpy (&batch->ingest_time[at + i], row + AT_INGEST_TIME, sizeof (int64_t));
        memcpy (&batch->offset[at + i], row + AT_OFFSET, sizeof (uint64_t));
        memcpy (&batch->row[at + i], row + AT_ROW, sizeof (uint32_t));
        text_t key = { (const char *)row + self->fixed, sort_size (item) };
        picker->text[i] = key.data + key.size;
        if (at + i > 0 && same_text (key, batch->key[at + i - 1]))
            key = batch->key[at + i - 1];
        batch->key[at + i] = key;
    }
}

static void pick_column (picker_t *picker, size_t c, size_t at)
{
    const sorter_t *self = picker->self;
    column_t *column = &picker->batch.column[c];
    size_t cell = self->cell[c];
    for (size_t i = 0; self->has_nulls[c] && i < picker->count; i++)
        column->valid[at + i] = (picker->from[i][AT_NULLS + c / 8] >> c % 8 & 1) == 0;
    if (column->type == TYPE_STRING) {
        for (size_t i = 0; i < picker->count; i++) {
            text_t *text = &column->s[at + i];
            memcpy (&text->size, picker->from[i] + cell, TEXT_CELL);
            text->data = picker->text[i];
            picker->text[i] += text->size;
        }
    } else if (type_size (column->type) == sizeof (unscaled_t)) {
        for (size_t i = 0; i < picker->count; i++)
            memcpy (&column->d[at + i], picker->from[i] + cell, sizeof (unscaled_t));
    } else {
        for (size_t i = 0; i < picker->count; i++)
            memcpy (&column->i[at + i], picker->from[i] + cell, sizeof (int64_t));
    }
}

/* Fills the batch with the rows from `from` on. */
static void pick_batch (picker_t *picker, size_t from)
{
    size_t left = picker->self->rows - from;
    size_t rows = left < RUN_BLOCK_ROWS_MAX ? left : RUN_BLOCK_ROWS_MAX;
    for (size_t at = 0; at < rows; at += picker->count) {
        picker->count = rows - at < TILE ? rows - at : TILE;
        fetch_rows (picker, from + at + picker->count);
        pick_heads (picker, from + at, at);
        for (size_t c = 0; c < picker->self->columns; c++)
            pick_column (picker, c, at);
    }
    picker->batch.rows = rows;
}

static status_t write_rows (const sorter_t *self, run_writer_t *writer, error_t *error)
{
    arena_t *arena = arena_new (1 << 20);
    picker_t picker = { .self = self };
    picker.batch = batch_new (arena, self->types, self->columns, RUN_BLOCK_ROWS_MAX);
    for (size_t c = 0; c < self->columns; c++)
        memset (picker.batch.column[c].valid, 1, RUN_BLOCK_ROWS_MAX);
    if (self->rows > 0)
        picker.lines = ((self->slot * SLOT + self->used) / self->rows + LINE - 1) / LINE;
    picker.lines = picker.lines < FETCHED_LINES ? picker.lines : FETCHED_LINES;
    fetch_rows (&picker, 0);
    status_t status = STATUS_OK;
    for (size_t at = 0; status == STATUS_OK && at < self->rows; at += picker.batch.rows) {
        pick_batch (&picker, at);
        status = run_writer_add (writer, &picker.batch, 0, picker.batch.rows, error);
    }
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
    sort_rows (self);
    status = write_rows (self, writer, error);
    if (status == STATUS_OK)
        status = run_writer_finish (writer, info, error);
    info->schema = *schema;
    run_writer_destroy (&writer);
    return status;
}
