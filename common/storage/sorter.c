#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"
#include "storage/sorter_state.h"

#define SORTER_MAGIC UINT32_C (0x50e7e401)

enum {
    GIVEN_CHUNK = 1 << 20,
    TILE = 256, /* rows that are added at a time: they fit the nearest cache */
};

/* ---- making and ending ---- */

sorter_t *sorter_new (const type_t *types, size_t columns, kept_t *kept)
{
    sorter_t *self = mem_zero (1, sizeof *self);
    self->magic = SORTER_MAGIC;
    self->kept = kept;
    self->gives = RUN_BLOCK_ROWS_MAX;
    gathered_init (&self->few, types, columns);
    coded_init (&self->coded, &self->few);
    buf_init (&self->few_kept, SIZE_MAX);
    parts_init (&self->parts, kept);
    sorter_clear (self);
    return self;
}

static void end_giving (sorter_t *self)
{
    giving_t *giving = self->giving;
    if (giving == NULL)
        return;
    pieces_destroy (&giving->pieces);
    steps_end (&giving->steps);
    if (giving->stays > 0)
        gathered_release (&giving->lent);
    arena_destroy (&giving->texts[0]);
    arena_destroy (&giving->texts[1]);
    arena_destroy (&giving->arena);
    mem_free (giving);
    self->giving = NULL;
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
    coded_release (&self->coded);
    mem_free (self->order);
    mem_free (self->prefix);
    mem_free (self->tile);
    buf_release (&self->few_kept);
    parts_release (&self->parts);
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
    gathered_clear (&self->few);
    parts_clear (&self->parts);
    self->row_bytes = 0;
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
    size_t few = few_bytes (self);
    size_t largest = self->parts.largest * self->row_bytes;
    return parts_bytes (&self->parts) + (few > largest ? few : largest);
}

double sorter_bytes_of (const sorter_t *self, size_t rows)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    size_t held = self->parts.rows > 0 ? self->parts.rows : self->few.rows;
    double times = (double)rows / (double)held;
    double few = (double)few_bytes (self);
    if (self->parts.rows == 0)
        return few * times;
    double largest = (double)(self->parts.largest * self->row_bytes) * times;
    return (double)parts_bytes (&self->parts) * times + (few > largest ? few : largest);
}

size_t sorter_held (const sorter_t *self)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    bool has_few = self->giving == NULL || self->giving->few;
    return (has_few ? self->few.rows : 0) + self->parts.rows;
}

/* ---- adding ---- */

static void look_at_positions (sorter_t *self, const batch_t *batch, const uint32_t *which,
                               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t row = which[i];
        self->in_position =
            self->in_position &&
            (batch->offset[row] > self->last_offset ||
             (batch->offset[row] == self->last_offset && batch->row[row] >= self->last_row));
        self->last_offset = batch->offset[row];
        self->last_row = batch->row[row];
    }
}

static void add_tile (sorter_t *self, const batch_t *batch, const uint32_t *which, size_t count)
{
    scheduling_give_way ();
    look_at_positions (self, batch, which, count);
    if (few_are_many (self))
        few_part (self);
    gathered_add (&self->few, batch, which, count);
    self->rows += count;
}

static void check_batch (const sorter_t *self, const batch_t *batch)
{
    CHECK_OBJECT (self, SORTER_MAGIC);
    CHECK (self->giving == NULL);
    CHECK (batch->columns == self->few.columns);
    CHECK (batch->key != NULL);
}

void sorter_add (sorter_t *self, const batch_t *batch, size_t from, size_t to)
{
    uint32_t which[TILE];
    check_batch (self, batch);
    CHECK (from <= to && to <= batch->rows);
    while (from < to) {
        size_t count = 0;
        while (count < TILE && from < to)
            which[count++] = (uint32_t)from++;
        add_tile (self, batch, which, count);
    }
}

void sorter_add_picked (sorter_t *self, const batch_t *batch, const uint32_t *which, size_t count)
{
    check_batch (self, batch);
    for (size_t at = 0; at < count; at += TILE)
        add_tile (self, batch, which + at, count - at < TILE ? count - at : TILE);
}

/* ---- giving out ---- */

static void begin_giving (sorter_t *self)
{
    giving_t *giving = mem_zero (1, sizeof *giving);
    if (self->parts.parted)
        few_part (self);
    self->giving = giving;
    giving->arena = arena_new (GIVEN_CHUNK);
    giving->texts[0] = arena_new (GIVEN_CHUNK);
    giving->texts[1] = arena_new (GIVEN_CHUNK);
    giving->room = self->rows < self->gives ? self->rows : self->gives;
    giving->few = self->few.rows > 0;
    for (size_t i = 0; i < (self->rows > giving->room ? 2 : 1); i++)
        giving->batch[i] = gathered_batch (&self->few, giving->arena, giving->room);
}

/* Begins the next part that has rows, if there is one, or its next step. */
static status_t next_part (sorter_t *self, error_t *error)
{
    giving_t *giving = self->giving;
    if (steps_left (&giving->steps))
        return steps_next (self, error);
    steps_end (&giving->steps);
    pieces_destroy (&giving->pieces);
    giving->rows = 0;
    giving->at = 0;
    giving->from_disk = self->spilled != NULL;
    giving->few = giving->few && giving->next == 0;
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
    if (steps_begin (self))
        return steps_next (self, error);
    if (self->spilled != NULL)
        return spilled_begin (self, giving->part, &giving->pieces, error);
    gathered_next (&self->few);
    spilled_take_memory (self, giving->part);
    few_sort (self);
    return STATUS_OK;
}

/* Copies texts [from, to) that lie where other rows come to lie. Equal neighbours that share their
 * bytes still do. */
static void keep_texts (text_t *texts, size_t from, size_t to, arena_t *arena)
{
    size_t total = 0;
    for (size_t i = from; i < to; i++)
        total += texts[i].size;
    char *at = arena_alloc (arena, total);
    text_t shared = from > 0 ? texts[from - 1] : (text_t){ NULL, 0 }; /* as it lies now … */
    const char *kept = shared.data;                                   /* … and its copy */
    for (size_t i = from; i < to; i++) {
        if (texts[i].data != shared.data || texts[i].size != shared.size) {
            shared = texts[i];
            kept = at;
            text_copy (at, shared);
            at += shared.size;
        }
        texts[i].data = kept;
    }
}

/* The next rows, up to `most`. */
static status_t next_rows (sorter_t *self, size_t most, pieces_rows_t *rows, error_t *error)
{
    giving_t *giving = self->giving;
    if (giving->pieces != NULL)
        return pieces_next (giving->pieces, most, rows, error);
    size_t left = giving->rows - giving->at;
    *rows = (pieces_rows_t){ &self->few, self->order + giving->at, left < most ? left : most };
    return STATUS_OK;
}

static status_t pick_rows (sorter_t *self, error_t *error)
{
    giving_t *giving = self->giving;
    batch_t *batch = &giving->batch[giving->turn];
    arena_t *texts = giving->texts[giving->turn];
    size_t from = giving->filled;
    pieces_rows_t rows;
    status_t status = next_rows (self, giving->room - from, &rows, error);
    if (status != STATUS_OK)
        return status;
    CHECK (rows.count > 0);
    gathered_pick (rows.rows, rows.which, rows.count, batch, from, texts);
    giving->filled += rows.count;
    giving->at += rows.count;
    if (giving->few)
        return STATUS_OK;
    if (!gathered_copies_keys (rows.rows))
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
    if (giving->stays > 0 && --giving->stays == 0)
        gathered_release (&giving->lent);
    arena_reset (giving->texts[giving->turn]);
    giving->batch[giving->turn].keys = 0;
    while (status == STATUS_OK && giving->filled < giving->room) {
        if (giving->at == giving->rows)
            status = next_part (self, error);
        if (status == STATUS_OK && giving->rows == 0)
            break;
        if (status == STATUS_OK)
            status = pick_rows (self, error);
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
