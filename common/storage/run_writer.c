#include "base/check.h"
#include "base/mem.h"
#include "storage/rows.h"
#include "storage/run_format.h"
#include "storage/sort.h"

#include <xxhash.h>

#define RUN_WRITER_MAGIC UINT32_C (0x5257b91c)

enum {
    PENDING_TEXT_MAX = 4 << 20, /* bytes of strings from which a block is written early */
    ARENA_CHUNK = 1 << 20,
    WRITTEN_AT_ONCE = 256 << 10, /* bytes, about: each call and each page of its own costs */
};

struct run_writer {
    uint32_t magic;
    fs_t *fs;
    file_t *file;
    char *path;
    char *log;
    type_t types[BLOCK_COLUMNS_MAX];
    uint16_t ids[BLOCK_COLUMNS_MAX];
    bool finished;
    bool quick; /* time matters more than bytes */
    run_info_t info;
    uint64_t at;         /* where the next block goes in the file */
    arena_t *arena;      /* strings of the pending rows */
    arena_t *shape;      /* arrays of the pending batch */
    batch_t pending;     /* RUN_BLOCK_ROWS_MAX rows of room; .rows of them used. Made when needed */
    size_t pending_text; /* bytes */
    batch_t last;        /* one row: the last one of the block before */
    uint8_t last_key[KEY_SIZE_MAX];
    bool any;
    buf_t waiting; /* what comes before it there and is not written yet */
    buf_t index;
};

/* ---- making and ending ---- */

static void put_header (run_writer_t *self)
{
    const run_schema_t *schema = &self->info.schema;
    columns_t columns = { schema->types, schema->ids, schema->columns };
    bool plain = columns_are_plain (&columns);
    buf_t *out = &self->waiting;
    buf_put_u32 (out, RUN_MAGIC);
    buf_put_u16 (out, plain ? RUN_VERSION : RUN_VERSION_IDS);
    buf_put_u16 (out, (uint16_t)schema->columns);
    buf_put_u64 (out, schema->fingerprint);
    buf_put_u32 (out, schema->partition);
    buf_put_u32 (out, schema->partitions);
    buf_put_u16 (out, (uint16_t)schema->log.size);
    buf_put_u16 (out, 0);
    buf_put (out, schema->log.data, schema->log.size);
    for (size_t i = 0; i < schema->columns; i++)
        buf_put_u8 (out, (uint8_t)schema->types[i]);
    for (size_t i = 0; i < schema->columns && !plain; i++)
        buf_put_u16 (out, schema->ids[i]);
    buf_put_u64 (out, XXH3_64bits (out->data, out->size));
    CHECK (!out->bad && out->size <= RUN_HEADER_MAX);
    self->at = out->size;
}

static status_t write_waiting (run_writer_t *self, error_t *error)
{
    const buf_t *waiting = &self->waiting;
    CHECK (!waiting->bad);
    if (waiting->size == 0)
        return STATUS_OK;
    status_t status = fs_write (self->fs, self->file, self->at - waiting->size, waiting->data,
                                waiting->size, error);
    buf_clear (&self->waiting);
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
    for (size_t i = 0; i < schema->columns; i++)
        self->ids[i] = schema->ids != NULL ? schema->ids[i] : (uint16_t)i;
    self->info.schema = *schema;
    self->info.schema.ids = self->ids;
    self->info.schema.log.data = self->log;
    self->info.schema.types = self->types;
    self->arena = arena_new (ARENA_CHUNK);
    self->shape = arena_new (ARENA_CHUNK);
    self->last = batch_new (self->shape, NULL, 0, 1);
    buf_init (&self->waiting, WRITTEN_AT_ONCE + BLOCK_SIZE_MAX);
    buf_init (&self->index, RUN_INDEX_MAX);
    put_header (self);
    *writer = self;
    return STATUS_OK;
}

void run_writer_quick (run_writer_t *self)
{
    CHECK_OBJECT (self, RUN_WRITER_MAGIC);
    CHECK (!self->any);
    self->quick = true;
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
    buf_release (&self->waiting);
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

/* The block that waits last, from `begin` on, holds rows [from, to) of `batch`. */
static status_t put_block (run_writer_t *self, size_t begin, const batch_t *batch, size_t from,
                           size_t to, error_t *error)
{
    block_header_t header;
    const uint8_t *bytes = self->waiting.data + begin;
    size_t size = self->waiting.size - begin;
    status_t status = block_header_read (bytes, size, &header, error);
    CHECK (status == STATUS_OK && header.size == size);
    run_block_t block = { .at = self->at,
                          .size = (uint32_t)header.size,
                          .rows = header.rows,
                          .min_time = header.min_time,
                          .max_time = header.max_time,
                          .checksum = block_checksum (bytes, size),
                          .first_key = header.first_key,
                          .last_key = header.last_key };
    run_offset_bounds (batch->offset + from, to - from, &block.min_offset, &block.max_offset);
    put_index_entry (&self->index, &block);
    if (self->index.bad || self->info.blocks == RUN_BLOCKS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "run %s: its index is over its limit",
                          self->path);
    self->at += block.size;
    widen (&self->info, &block);
    if (self->waiting.size < WRITTEN_AT_ONCE)
        return STATUS_OK;
    status = write_waiting (self, error);
    return status == STATUS_OK ? status : error_prefix (error, "writing run %s", self->path);
}

/* Writes the rows as one block, or as halves when they are too large for one. */
static status_t write_rows (run_writer_t *self, const batch_t *batch, size_t from, size_t to,
                            error_t *error)
{
    size_t begin = self->waiting.size;
    status_t status = self->quick ? block_encode_quick (batch, from, to, &self->waiting, error)
                                  : block_encode_dense (batch, from, to, &self->waiting, error);
    if (status == STATUS_TOO_LARGE && to - from > 1) {
        size_t middle = from + (to - from) / 2;
        status = write_rows (self, batch, from, middle, error);
        if (status == STATUS_OK)
            status = write_rows (self, batch, middle, to, error);
        return status;
    }
    if (status != STATUS_OK)
        return error_prefix (error, "writing run %s", self->path);
    return put_block (self, begin, batch, from, to, error);
}

static status_t flush (run_writer_t *self, error_t *error)
{
    if (self->pending.rows == 0)
        return STATUS_OK;
    status_t status = write_rows (self, &self->pending, 0, self->pending.rows, error);
    self->pending.rows = 0;
    self->pending_text = 0;
    arena_reset (self->arena);
    return status;
}

/* ---- rows ---- */

/* Rows [from, to) of a batch that are to be added. */
typedef struct stretch {
    const batch_t *batch;
    size_t from;
    size_t to;
} stretch_t;

static size_t row_text (const batch_t *batch, size_t row)
{
    size_t size = batch->key[row].size;
    for (size_t i = 0; i < batch->columns; i++)
        if (batch->column[i].type == TYPE_STRING)
            size += batch->column[i].s[row].size;
    return size;
}

static size_t column_text (const text_t *texts, size_t from, size_t to)
{
    size_t size = 0;
    for (size_t i = from; i < to; i++)
        size += texts[i].size;
    return size;
}

/* Bytes of strings and keys of all the rows. */
static size_t stretch_text (const stretch_t *stretch)
{
    const batch_t *batch = stretch->batch;
    size_t size = column_text (batch->key, stretch->from, stretch->to);
    for (size_t i = 0; i < batch->columns; i++)
        if (batch->column[i].type == TYPE_STRING)
            size += column_text (batch->column[i].s, stretch->from, stretch->to);
    return size;
}

/* The part of the stretch that goes in before the block is full, by rows or by strings: one row at
 * least. *text is what its strings take. */
static stretch_t part_that_fits (const run_writer_t *self, const stretch_t *stretch, size_t *text)
{
    stretch_t part = *stretch;
    size_t room = RUN_BLOCK_ROWS_MAX - self->pending.rows;
    if (part.to - part.from > room)
        part.to = part.from + room;
    *text = stretch_text (&part);
    if (self->pending_text + *text < PENDING_TEXT_MAX)
        return part;
    *text = 0;
    size_t row = part.from;
    while (row < part.to && self->pending_text + *text < PENDING_TEXT_MAX)
        *text += row_text (part.batch, row++);
    part.to = row;
    return part;
}

/* Copies, one behind the other in the arena. `valid` NULL is all. Equal neighbours share one copy:
 * keys come in stretches, and are told as equal by it when they are encoded. */
static void keep_texts (run_writer_t *self, const text_t *from, const uint8_t *valid, size_t count,
                        text_t *to)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
        if (valid != NULL && valid[i] == 0)
            to[i] = (text_t){ 0 };
        total += to[i].size;
    }
    char *at = arena_alloc (self->arena, total);
    text_t before = { 0 };
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && text_equal (to[i], before)) {
            to[i] = to[i - 1];
            continue;
        }
        before = to[i];
        if (to[i].size > 0)
            memcpy (at, to[i].data, to[i].size);
        to[i].data = at;
        at += to[i].size;
    }
}

static void keep_column (run_writer_t *self, const stretch_t *part, size_t which)
{
    const column_t *from = &part->batch->column[which];
    column_t *to = &self->pending.column[which];
    size_t at = self->pending.rows;
    size_t count = part->to - part->from;
    for (size_t i = 0; i < count; i++)
        to->valid[at + i] = from->valid == NULL || from->valid[part->from + i] != 0;
    size_t size = type_size (to->type);
    if (to->type == TYPE_STRING)
        keep_texts (self, from->s + part->from, to->valid + at, count, to->s + at);
    else
        memcpy ((uint8_t *)to->data + at * size, (const uint8_t *)from->data + part->from * size,
                count * size);
}

static void make_pending (run_writer_t *self)
{
    self->pending =
        batch_new (self->shape, self->types, self->info.schema.columns, RUN_BLOCK_ROWS_MAX);
    self->pending.rows = 0;
}

static void keep_rows (run_writer_t *self, const stretch_t *part)
{
    if (self->pending.key == NULL)
        make_pending (self);
    const batch_t *from = part->batch;
    const batch_t *to = &self->pending;
    size_t first = part->from;
    size_t count = part->to - first;
    size_t at = to->rows;
    memcpy (to->event_time + at, from->event_time + first, count * sizeof *to->event_time);
    memcpy (to->ingest_time + at, from->ingest_time + first, count * sizeof *to->ingest_time);
    memcpy (to->offset + at, from->offset + first, count * sizeof *to->offset);
    memcpy (to->row + at, from->row + first, count * sizeof *to->row);
    keep_texts (self, from->key + first, NULL, count, to->key + at);
    for (size_t i = 0; i < to->columns; i++)
        keep_column (self, part, i);
    self->pending.rows += count;
}

/* A key of 8 to 16 bytes as two numbers, of halves that overlap. */
typedef struct halves {
    uint64_t high;
    uint64_t low;
} halves_t;

static inline halves_t halves_of (text_t key)
{
    return (halves_t){ sort_prefix (key, 0), sort_prefix (key, key.size - sizeof (uint64_t)) };
}

/* The rows from `from` on that come after the one before by their keys, which are of that size and
 * so compared as numbers, or by time: as most do. Returns the first that is not seen to. */
static size_t skip_later (const batch_t *batch, size_t from, size_t to)
{
    text_t before = batch->key[from - 1];
    if (before.size < sizeof (uint64_t) || before.size > 2 * sizeof (uint64_t))
        return from;
    halves_t last = halves_of (before);
    size_t i = from;
    for (; i < to && batch->key[i].size == before.size; i++) {
        bool later = batch->event_time[i - 1] < batch->event_time[i];
        if (batch->key[i].data != batch->key[i - 1].data) {
            halves_t now = halves_of (batch->key[i]);
            bool same = now.high == last.high && now.low == last.low;
            bool after = now.high != last.high ? now.high > last.high : now.low > last.low;
            later = same ? later : after;
            last = now;
        }
        if (!later)
            break;
    }
    return i;
}

/* CHECKs the order of the rows, the first against the one that was added last. */
static void check_order (const run_writer_t *self, const stretch_t *part)
{
    const batch_t *batch = part->batch;
    if (self->any)
        CHECK (rows_compare (&self->last, 0, batch, part->from) <= 0);
    for (size_t i = part->from + 1; i < part->to; i++) {
        i = skip_later (batch, i, part->to);
        if (i < part->to)
            CHECK (rows_compare (batch, i - 1, batch, i) <= 0);
    }
}

/* Remembers the last row, which later ones must not come before. */
static void remember (run_writer_t *self, const stretch_t *part)
{
    const batch_t *batch = part->batch;
    size_t row = part->to - 1;
    text_t key = batch->key[row];
    if (key.size > 0)
        memcpy (self->last_key, key.data, key.size);
    self->last.key[0] = (text_t){ (const char *)self->last_key, key.size };
    self->last.event_time[0] = batch->event_time[row];
    self->last.offset[0] = batch->offset[row];
    self->last.row[0] = batch->row[row];
    self->any = true;
}

static status_t check_rows (const run_writer_t *self, const stretch_t *stretch, error_t *error)
{
    const batch_t *batch = stretch->batch;
    CHECK_OBJECT (self, RUN_WRITER_MAGIC);
    CHECK (!self->finished);
    CHECK (stretch->from <= stretch->to && stretch->to <= batch->rows);
    CHECK (batch->key != NULL);
    CHECK (batch->columns == self->info.schema.columns);
    for (size_t i = 0; i < batch->columns; i++)
        CHECK (batch->column[i].type == self->types[i]);
    for (size_t i = stretch->from; i < stretch->to; i++)
        if (batch->key[i].size > KEY_SIZE_MAX)
            return error_set (error, STATUS_INVALID, "a key of %u bytes (at most %d)",
                              batch->key[i].size, KEY_SIZE_MAX);
    return STATUS_OK;
}

/* Rows that are a block by themselves are written from where they are. */
static status_t add_part (run_writer_t *self, const stretch_t *part, size_t text, bool last,
                          error_t *error)
{
    check_order (self, part);
    remember (self, part);
    size_t rows = self->pending.rows + part->to - part->from;
    bool full = last || rows == RUN_BLOCK_ROWS_MAX || self->pending_text + text >= PENDING_TEXT_MAX;
    if (full && self->pending.rows == 0)
        return write_rows (self, part->batch, part->from, part->to, error);
    keep_rows (self, part);
    self->pending_text += text;
    return full ? flush (self, error) : STATUS_OK;
}

/* With `last`, no row comes after these. */
static status_t add_rows (run_writer_t *self, const batch_t *batch, size_t from, size_t to,
                          bool last, error_t *error)
{
    stretch_t rest = { batch, from, to };
    status_t status = check_rows (self, &rest, error);
    while (status == STATUS_OK && rest.from < rest.to) {
        size_t text;
        stretch_t part = part_that_fits (self, &rest, &text);
        bool ends = self->quick || (last && part.to == to);
        status = add_part (self, &part, text, ends, error);
        rest.from = part.to;
    }
    return status;
}

status_t run_writer_add (run_writer_t *self, const batch_t *batch, size_t from, size_t to,
                         error_t *error)
{
    return add_rows (self, batch, from, to, false, error);
}

status_t run_writer_add_last (run_writer_t *self, const batch_t *batch, error_t *error)
{
    return add_rows (self, batch, 0, batch->rows, true, error);
}

/* ---- the end ---- */

static void put_footer (const run_writer_t *self, uint64_t index_at, buf_t *out)
{
    const run_info_t *info = &self->info;
    size_t begin = out->size;
    buf_put_u64 (out, info->rows);
    buf_put_i64 (out, info->min_time);
    buf_put_i64 (out, info->max_time);
    buf_put_u64 (out, info->min_offset);
    buf_put_u64 (out, info->max_offset);
    buf_put_u64 (out, index_at);
    buf_put_u64 (out, self->index.size);
    buf_put_u64 (out, XXH3_64bits (self->index.data, self->index.size));
    buf_put_u32 (out, info->blocks);
    buf_put_u16 (out, RUN_VERSION);
    buf_put_u16 (out, 0);
    buf_put_u64 (out, XXH3_64bits (out->data + begin, out->size - begin));
    buf_put_u32 (out, RUN_FOOTER_MAGIC);
    CHECK (out->size - begin == RUN_FOOTER_SIZE && !out->bad);
}

/* Index and footer. */
static status_t write_end (run_writer_t *self, error_t *error)
{
    buf_t *index = &self->index;
    uint64_t index_at = self->at;
    status_t status = STATUS_OK;
    if (index->size <= WRITTEN_AT_ONCE) {
        buf_put (&self->waiting, index->data, index->size);
    } else {
        status = write_waiting (self, error);
        if (status == STATUS_OK)
            status = fs_write (self->fs, self->file, index_at, index->data, index->size, error);
    }
    if (status != STATUS_OK)
        return status;
    put_footer (self, index_at, &self->waiting);
    self->at = self->info.size = index_at + index->size + RUN_FOOTER_SIZE;
    return write_waiting (self, error);
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
    if (status == STATUS_OK)
        status = write_end (self, error);
    if (status == STATUS_OK)
        status = sync_with_directory (self, error);
    if (status != STATUS_OK)
        return error_prefix (error, "finishing run %s", self->path);
    self->finished = true;
    if (info != NULL)
        *info = self->info;
    return STATUS_OK;
}
