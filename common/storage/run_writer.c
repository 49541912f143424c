#include "base/check.h"
#include "base/mem.h"
#include "storage/rows.h"
#include "storage/run_format.h"

#include <xxhash.h>

#define RUN_WRITER_MAGIC UINT32_C (0x5257b91c)

enum {
    PENDING_TEXT_MAX = 4 << 20, /* bytes of strings from which a block is written early */
    ARENA_CHUNK = 1 << 20,
};

struct run_writer {
    uint32_t magic;
    fs_t *fs;
    file_t *file;
    char *path;
    char *log;
    type_t types[BLOCK_COLUMNS_MAX];
    bool finished;
    run_info_t info;
    uint64_t at;         /* where the next block goes */
    arena_t *arena;      /* strings of the pending rows */
    arena_t *shape;      /* arrays of the pending batch */
    batch_t pending;     /* RUN_BLOCK_ROWS_MAX rows of room; .rows of them used */
    size_t pending_text; /* bytes */
    text_t last_text;    /* the string copied last, in the arena */
    batch_t last;        /* one row: the one added last */
    uint8_t last_key[KEY_SIZE_MAX];
    bool any;
    buf_t block;
    buf_t index;
};

/* ---- making and ending ---- */

static status_t write_header (run_writer_t *self, error_t *error)
{
    const run_schema_t *schema = &self->info.schema;
    buf_t out;
    buf_init (&out, RUN_HEADER_MAX);
    buf_put_u32 (&out, RUN_MAGIC);
    buf_put_u16 (&out, RUN_VERSION);
    buf_put_u16 (&out, (uint16_t)schema->columns);
    buf_put_u64 (&out, schema->fingerprint);
    buf_put_u32 (&out, schema->partition);
    buf_put_u32 (&out, schema->partitions);
    buf_put_u16 (&out, (uint16_t)schema->log.size);
    buf_put_u16 (&out, 0);
    buf_put (&out, schema->log.data, schema->log.size);
    for (size_t i = 0; i < schema->columns; i++)
        buf_put_u8 (&out, (uint8_t)schema->types[i]);
    buf_put_u64 (&out, XXH3_64bits (out.data, out.size));
    CHECK (!out.bad);
    status_t status = fs_write (self->fs, self->file, 0, out.data, out.size, error);
    self->at = out.size;
    buf_release (&out);
    return status;
}

status_t run_writer_new (fs_t *fs, const char *path, const run_schema_t *schema,
                         run_writer_t **writer, error_t *error)
{
    CHECK (schema->log.size >= 1 && schema->log.size <= RUN_NAME_MAX);
    CHECK (schema->columns <= BLOCK_COLUMNS_MAX);
    CHECK (schema->partition < schema->partitions);
    *writer = NULL;
    file_t *file;
    status_t status = fs_open (fs, path, FS_CREATE, &file, error);
    if (status != STATUS_OK)
        return error_prefix (error, "creating run %s", path);
    run_writer_t *self = mem_zero (1, sizeof *self);
    self->magic = RUN_WRITER_MAGIC;
    self->fs = fs;
    self->file = file;
    self->path = mem_string (path);
    self->log = mem_string_n (schema->log.data, schema->log.size);
    if (schema->columns > 0)
        memcpy (self->types, schema->types, schema->columns * sizeof *schema->types);
    self->info.schema = *schema;
    self->info.schema.log.data = self->log;
    self->info.schema.types = self->types;
    self->arena = arena_new (ARENA_CHUNK);
    self->shape = arena_new (ARENA_CHUNK);
    self->pending = batch_new (self->shape, self->types, schema->columns, RUN_BLOCK_ROWS_MAX);
    self->pending.rows = 0;
    self->last = batch_new (self->shape, NULL, 0, 1);
    buf_init (&self->block, BLOCK_SIZE_MAX);
    buf_init (&self->index, RUN_INDEX_MAX);
    status = write_header (self, error);
    if (status != STATUS_OK) {
        run_writer_destroy (&self);
        return error_prefix (error, "creating run %s", path);
    }
    *writer = self;
    return STATUS_OK;
}

void run_writer_destroy (run_writer_t **self_p)
{
    run_writer_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, RUN_WRITER_MAGIC);
    fs_close (self->fs, &self->file);
    if (!self->finished) {
        error_t ignored; /* what an attempt leaves behind is swept by its name later */
        status_t status = fs_remove (self->fs, self->path, &ignored);
        (void)status;
    }
    arena_destroy (&self->arena);
    arena_destroy (&self->shape);
    buf_release (&self->block);
    buf_release (&self->index);
    mem_free (self->path);
    mem_free (self->log);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

/* ---- blocks ---- */

void run_offset_bounds (const uint64_t *offsets, size_t count, uint64_t *min, uint64_t *max)
{
    *min = offsets[0];
    *max = offsets[0];
    for (size_t i = 1; i < count; i++) {
        *min = offsets[i] < *min ? offsets[i] : *min;
        *max = offsets[i] > *max ? offsets[i] : *max;
    }
}

static void put_index_entry (buf_t *index, const run_block_t *block)
{
    buf_put_u64 (index, block->at);
    buf_put_u32 (index, block->size);
    buf_put_u32 (index, block->rows);
    buf_put_i64 (index, block->min_time);
    buf_put_i64 (index, block->max_time);
    buf_put_u64 (index, block->min_offset);
    buf_put_u64 (index, block->max_offset);
    buf_put_u64 (index, block->checksum);
    buf_put_u16 (index, (uint16_t)block->first_key.size);
    buf_put_u16 (index, (uint16_t)block->last_key.size);
    buf_put (index, block->first_key.data, block->first_key.size);
    buf_put (index, block->last_key.data, block->last_key.size);
}

static void widen (run_info_t *info, const run_block_t *block)
{
    bool first = info->rows == 0;
    if (first || block->min_time < info->min_time)
        info->min_time = block->min_time;
    if (first || block->max_time > info->max_time)
        info->max_time = block->max_time;
    if (first || block->min_offset < info->min_offset)
        info->min_offset = block->min_offset;
    if (first || block->max_offset > info->max_offset)
        info->max_offset = block->max_offset;
    info->rows += block->rows;
    info->blocks++;
}

/* Writes the block in self->block, which holds rows [from, to) of `batch`. */
static status_t put_block (run_writer_t *self, const batch_t *batch, size_t from, size_t to,
                           error_t *error)
{
    block_header_t header;
    status_t status = block_header_read (self->block.data, self->block.size, &header, error);
    CHECK (status == STATUS_OK);
    run_block_t block = { .at = self->at,
                          .size = (uint32_t)header.size,
                          .rows = header.rows,
                          .min_time = header.min_time,
                          .max_time = header.max_time,
                          .checksum = block_checksum (self->block.data, self->block.size),
                          .first_key = header.first_key,
                          .last_key = header.last_key };
    run_offset_bounds (batch->offset + from, to - from, &block.min_offset, &block.max_offset);
    put_index_entry (&self->index, &block);
    if (self->index.bad || self->info.blocks == RUN_BLOCKS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "run %s: its index is over its limit",
                          self->path);
    status = fs_write (self->fs, self->file, self->at, self->block.data, self->block.size, error);
    if (status != STATUS_OK)
        return error_prefix (error, "writing run %s", self->path);
    self->at += block.size;
    widen (&self->info, &block);
    return STATUS_OK;
}

/* Writes the rows as one block, or as halves when they are too large for one. */
static status_t write_rows (run_writer_t *self, const batch_t *batch, size_t from, size_t to,
                            error_t *error)
{
    buf_clear (&self->block);
    status_t status = block_encode (batch, from, to, &self->block, error);
    if (status == STATUS_TOO_LARGE && to - from > 1) {
        size_t middle = from + (to - from) / 2;
        status = write_rows (self, batch, from, middle, error);
        if (status == STATUS_OK)
            status = write_rows (self, batch, middle, to, error);
        return status;
    }
    if (status != STATUS_OK)
        return error_prefix (error, "writing run %s", self->path);
    return put_block (self, batch, from, to, error);
}

static status_t flush (run_writer_t *self, error_t *error)
{
    if (self->pending.rows == 0)
        return STATUS_OK;
    status_t status = write_rows (self, &self->pending, 0, self->pending.rows, error);
    self->pending.rows = 0;
    self->pending_text = 0;
    self->last_text = (text_t){ 0 };
    arena_reset (self->arena);
    return status;
}

/* ---- rows ---- */

/* A copy in the arena. Keys repeat, so that the copy made last often does. */
static text_t keep_text (run_writer_t *self, text_t text)
{
    self->pending_text += text.size;
    if (!text_equal (text, self->last_text))
        self->last_text = arena_text (self->arena, text);
    return self->last_text;
}

static void keep_cell (run_writer_t *self, size_t which, const column_t *from, size_t row)
{
    column_t *to = &self->pending.column[which];
    size_t at = self->pending.rows;
    to->valid[at] = from->valid == NULL || from->valid[row] != 0;
    if (to->type != TYPE_STRING)
        to->i[at] = from->i[row];
    else
        to->s[at] = to->valid[at] ? arena_text (self->arena, from->s[row]) : (text_t){ 0 };
    if (to->type == TYPE_STRING)
        self->pending_text += to->s[at].size;
}

static void keep_row (run_writer_t *self, const batch_t *batch, size_t row)
{
    batch_t *to = &self->pending;
    size_t at = to->rows;
    to->event_time[at] = batch->event_time[row];
    to->ingest_time[at] = batch->ingest_time[row];
    to->offset[at] = batch->offset[row];
    to->row[at] = batch->row[row];
    to->key[at] = keep_text (self, batch->key[row]);
    for (size_t i = 0; i < to->columns; i++)
        keep_cell (self, i, &batch->column[i], row);
    to->rows++;
}

/* Remembers the row that later ones must not come before. */
static void remember (run_writer_t *self, const batch_t *batch, size_t row)
{
    text_t key = batch->key[row];
    CHECK (key.size <= KEY_SIZE_MAX);
    if (key.size > 0)
        memcpy (self->last_key, key.data, key.size);
    self->last.key[0] = (text_t){ (const char *)self->last_key, key.size };
    self->last.event_time[0] = batch->event_time[row];
    self->last.offset[0] = batch->offset[row];
    self->last.row[0] = batch->row[row];
    self->any = true;
}

static void check_batch (const run_writer_t *self, const batch_t *batch)
{
    CHECK_OBJECT (self, RUN_WRITER_MAGIC);
    CHECK (!self->finished);
    CHECK (batch->key != NULL);
    CHECK (batch->columns == self->pending.columns);
    for (size_t i = 0; i < batch->columns; i++)
        CHECK (batch->column[i].type == self->types[i]);
}

/* `order` NULL is the rows from `first` on. */
static status_t add_rows (run_writer_t *self, const batch_t *batch, const uint32_t *order,
                          size_t first, size_t count, error_t *error)
{
    check_batch (self, batch);
    size_t before = 0;
    for (size_t i = 0; i < count; i++) {
        size_t row = order != NULL ? order[i] : first + i;
        CHECK (row < batch->rows);
        if (batch->key[row].size > KEY_SIZE_MAX)
            return error_set (error, STATUS_INVALID, "a key of %u bytes (at most %d)",
                              batch->key[row].size, KEY_SIZE_MAX);
        bool in_order = i > 0 ? rows_compare (batch, before, batch, row) <= 0
                              : !self->any || rows_compare (&self->last, 0, batch, row) <= 0;
        CHECK (in_order);
        keep_row (self, batch, row);
        before = row;
        if (self->pending.rows == RUN_BLOCK_ROWS_MAX || self->pending_text >= PENDING_TEXT_MAX) {
            status_t status = flush (self, error);
            if (status != STATUS_OK)
                return status;
        }
    }
    if (count > 0)
        remember (self, batch, before);
    return STATUS_OK;
}

status_t run_writer_add (run_writer_t *self, const batch_t *batch, size_t from, size_t to,
                         error_t *error)
{
    CHECK (from <= to && to <= batch->rows);
    return add_rows (self, batch, NULL, from, to - from, error);
}

status_t run_writer_add_order (run_writer_t *self, const batch_t *batch, const uint32_t *order,
                               size_t count, error_t *error)
{
    CHECK (order != NULL || count == 0);
    return add_rows (self, batch, order, 0, count, error);
}

/* ---- the end ---- */

static void put_footer (const run_writer_t *self, buf_t *out)
{
    const run_info_t *info = &self->info;
    buf_put_u64 (out, info->rows);
    buf_put_i64 (out, info->min_time);
    buf_put_i64 (out, info->max_time);
    buf_put_u64 (out, info->min_offset);
    buf_put_u64 (out, info->max_offset);
    buf_put_u64 (out, self->at);
    buf_put_u64 (out, self->index.size);
    buf_put_u64 (out, XXH3_64bits (self->index.data, self->index.size));
    buf_put_u32 (out, info->blocks);
    buf_put_u16 (out, RUN_VERSION);
    buf_put_u16 (out, 0);
    buf_put_u64 (out, XXH3_64bits (out->data, out->size));
    buf_put_u32 (out, RUN_FOOTER_MAGIC);
    CHECK (out->size == RUN_FOOTER_SIZE && !out->bad);
}

static status_t sync_with_directory (run_writer_t *self, error_t *error)
{
    status_t status = fs_sync (self->fs, self->file, error);
    if (status != STATUS_OK)
        return status;
    fs_close (self->fs, &self->file);
    const char *slash = strrchr (self->path, '/');
    if (slash == NULL)
        return fs_sync_dir (self->fs, ".", error);
    char *directory = mem_string_n (self->path, (size_t)(slash - self->path));
    status = fs_sync_dir (self->fs, directory, error);
    mem_free (directory);
    return status;
}

status_t run_writer_finish (run_writer_t *self, run_info_t *info, error_t *error)
{
    CHECK_OBJECT (self, RUN_WRITER_MAGIC);
    CHECK (!self->finished);
    status_t status = flush (self, error);
    if (status != STATUS_OK)
        return status;
    buf_t footer;
    buf_init (&footer, RUN_FOOTER_SIZE);
    put_footer (self, &footer);
    if (self->index.size > 0)
        status =
            fs_write (self->fs, self->file, self->at, self->index.data, self->index.size, error);
    self->at += self->index.size;
    if (status == STATUS_OK)
        status = fs_write (self->fs, self->file, self->at, footer.data, footer.size, error);
    self->info.size = self->at + footer.size;
    buf_release (&footer);
    if (status == STATUS_OK)
        status = sync_with_directory (self, error);
    if (status != STATUS_OK)
        return error_prefix (error, "finishing run %s", self->path);
    self->finished = true;
    if (info != NULL)
        *info = self->info;
    return STATUS_OK;
}
