#include "storage/run.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "storage/rows.h"
#include "storage/run_format.h"

#include <xxhash.h>

#define RUN_OBJECT_MAGIC UINT32_C (0x52756eb1)

/* The footer, as far as run_info does not hold it. */
typedef struct footer {
    uint64_t index_at;
    uint64_t index_size;
    uint64_t index_checksum;
} footer_t;

static status_t corrupt (const run_t *self, error_t *error, const char *what)
{
    return error_set (error, STATUS_CORRUPT, "run %s: %s", self->path, what);
}

/* ---- opening ---- */

static status_t check_version (const run_t *self, uint16_t version, uint16_t most, error_t *error)
{
    if (version >= RUN_VERSION && version <= most)
        return STATUS_OK;
    return error_set (error, STATUS_VERSION, "run %s: version %u, this program reads up to %u",
                      self->path, version, most);
}

/* Numbers of fields, each once. `bytes` is NULL when they are not told: 0, 1, 2, … */
static bool take_ids (run_t *self, const uint8_t *bytes)
{
    size_t columns = self->info.schema.columns;
    reader_t in = reader_of (bytes, bytes == NULL ? 0 : 2 * columns);
    self->info.schema.ids = self->ids;
    for (size_t i = 0; i < columns; i++) {
        self->ids[i] = bytes == NULL ? (uint16_t)i : reader_u16 (&in);
        for (size_t k = 0; k < i; k++)
            if (self->ids[k] == self->ids[i])
                return false;
    }
    return true;
}

static status_t parse_header (run_t *self, size_t size, error_t *error)
{
    run_schema_t *schema = &self->info.schema;
    reader_t in = reader_of (self->header, size);
    if (reader_u32 (&in) != RUN_MAGIC)
        return corrupt (self, error, "it does not begin as a run does");
    uint16_t version = reader_u16 (&in);
    if (in.bad)
        return corrupt (self, error, "it ends in its header");
    status_t status = check_version (self, version, RUN_VERSION_IDS, error);
    if (status != STATUS_OK)
        return status;
    schema->columns = reader_u16 (&in);
    schema->fingerprint = reader_u64 (&in);
    schema->partition = reader_u32 (&in);
    schema->partitions = reader_u32 (&in);
    schema->log.size = reader_u16 (&in);
    uint16_t zero = reader_u16 (&in);
    if (in.bad || zero != 0 || schema->columns > BLOCK_COLUMNS_MAX || schema->log.size == 0 ||
        schema->log.size > RUN_NAME_MAX || schema->partition >= schema->partitions)
        return corrupt (self, error, "the header is not sound");
    schema->log.data = (const char *)reader_bytes (&in, schema->log.size);
    const uint8_t *types = reader_bytes (&in, schema->columns);
    const uint8_t *ids =
        version == RUN_VERSION_IDS ? reader_bytes (&in, 2 * schema->columns) : NULL;
    self->header_size = size - reader_left (&in);
    uint64_t checksum = reader_u64 (&in);
    if (in.bad || checksum != XXH3_64bits (self->header, self->header_size))
        return corrupt (self, error, "the header's checksum is wrong");
    self->header_size += RUN_CHECKSUM_SIZE;
    for (size_t i = 0; i < schema->columns; i++) {
        if (!type_is_field ((type_t)types[i]))
            return corrupt (self, error, "a column's type is not one of a field");
        self->types[i] = (type_t)types[i];
    }
    schema->types = self->types;
    if (!take_ids (self, ids))
        return corrupt (self, error, "two columns are of one field");
    return STATUS_OK;
}

static status_t read_header (run_t *self, error_t *error)
{
    size_t size = self->info.size < RUN_HEADER_MAX ? (size_t)self->info.size : RUN_HEADER_MAX;
    self->header = mem_alloc (size);
    status_t status = fs_read_all (self->fs, self->file, 0, self->header, size, error);
    if (status != STATUS_OK)
        return error_prefix (error, "run %s", self->path);
    return parse_header (self, size, error);
}

static status_t read_footer (run_t *self, footer_t *footer, error_t *error)
{
    uint8_t bytes[RUN_FOOTER_SIZE];
    if (self->info.size < self->header_size + RUN_FOOTER_SIZE)
        return corrupt (self, error, "it ends before its footer");
    uint64_t at = self->info.size - RUN_FOOTER_SIZE;
    status_t status = fs_read_all (self->fs, self->file, at, bytes, sizeof bytes, error);
    if (status != STATUS_OK)
        return error_prefix (error, "run %s", self->path);
    reader_t in = reader_of (bytes, sizeof bytes);
    self->info.rows = reader_u64 (&in);
    self->info.min_time = reader_i64 (&in);
    self->info.max_time = reader_i64 (&in);
    self->info.min_offset = reader_u64 (&in);
    self->info.max_offset = reader_u64 (&in);
    footer->index_at = reader_u64 (&in);
    footer->index_size = reader_u64 (&in);
    footer->index_checksum = reader_u64 (&in);
    self->info.blocks = reader_u32 (&in);
    uint16_t version = reader_u16 (&in);
    uint16_t zero = reader_u16 (&in);
    uint64_t checksum = reader_u64 (&in);
    if (reader_u32 (&in) != RUN_FOOTER_MAGIC)
        return corrupt (self, error, "it does not end as a run does");
    if (checksum != XXH3_64bits (bytes, RUN_FOOTER_SIZE - RUN_CHECKSUM_SIZE - 4))
        return corrupt (self, error, "the footer's checksum is wrong");
    status = check_version (self, version, RUN_VERSION, error);
    if (status != STATUS_OK)
        return status;
    if (zero != 0 || footer->index_size > RUN_INDEX_MAX || footer->index_at > at ||
        footer->index_at < self->header_size || at - footer->index_at != footer->index_size ||
        self->info.blocks > footer->index_size / RUN_ENTRY_FIXED)
        return corrupt (self, error, "the footer is not sound");
    return STATUS_OK;
}

static void read_entry (reader_t *in, run_block_t *block)
{
    block->at = reader_u64 (in);
    block->size = reader_u32 (in);
    block->rows = reader_u32 (in);
    block->min_time = reader_i64 (in);
    block->max_time = reader_i64 (in);
    block->min_offset = reader_u64 (in);
    block->max_offset = reader_u64 (in);
    block->checksum = reader_u64 (in);
    uint16_t first_size = reader_u16 (in);
    uint16_t last_size = reader_u16 (in);
    block->first_key = (text_t){ (const char *)reader_bytes (in, first_size), first_size };
    block->last_key = (text_t){ (const char *)reader_bytes (in, last_size), last_size };
}

static bool entry_is_sound (const run_block_t *block)
{
    return block->rows >= 1 && block->rows <= RUN_BLOCK_ROWS_MAX &&
           block->size >= RUN_CHECKSUM_SIZE && block->size <= BLOCK_SIZE_MAX &&
           block->min_time <= block->max_time && block->min_time >= TIME_EVENT_MIN &&
           block->max_time <= TIME_EVENT_MAX && block->min_offset <= block->max_offset &&
           block->first_key.size <= KEY_SIZE_MAX && block->last_key.size <= KEY_SIZE_MAX &&
           text_compare (block->first_key, block->last_key) <= 0;
}

/* Entries that are sound, follow one another without gap in file and keys, and add up to the
 * footer's totals. */
static bool parse_index (run_t *self, const footer_t *footer)
{
    reader_t in = reader_of (self->index, footer->index_size);
    uint64_t at = self->header_size;
    run_info_t sum = { 0 };
    for (size_t i = 0; i < self->info.blocks; i++) {
        run_block_t *block = &self->blocks[i];
        read_entry (&in, block);
        if (in.bad || block->at != at || !entry_is_sound (block))
            return false;
        if (i > 0 && text_compare (block[-1].last_key, block->first_key) > 0)
            return false;
        at += block->size;
        sum.min_time = i == 0 || block->min_time < sum.min_time ? block->min_time : sum.min_time;
        sum.max_time = i == 0 || block->max_time > sum.max_time ? block->max_time : sum.max_time;
        sum.min_offset =
            i == 0 || block->min_offset < sum.min_offset ? block->min_offset : sum.min_offset;
        sum.max_offset =
            i == 0 || block->max_offset > sum.max_offset ? block->max_offset : sum.max_offset;
        sum.rows += block->rows;
    }
    return reader_left (&in) == 0 && at == footer->index_at && sum.rows == self->info.rows &&
           sum.min_time == self->info.min_time && sum.max_time == self->info.max_time &&
           sum.min_offset == self->info.min_offset && sum.max_offset == self->info.max_offset;
}

static status_t read_index (run_t *self, error_t *error)
{
    footer_t footer = { 0 };
    status_t status = read_footer (self, &footer, error);
    if (status != STATUS_OK)
        return status;
    self->index = mem_alloc (footer.index_size);
    self->blocks = mem_zero (self->info.blocks, sizeof *self->blocks);
    status =
        fs_read_all (self->fs, self->file, footer.index_at, self->index, footer.index_size, error);
    if (status != STATUS_OK)
        return error_prefix (error, "run %s", self->path);
    if (XXH3_64bits (self->index, footer.index_size) != footer.index_checksum)
        return corrupt (self, error, "the index's checksum is wrong");
    if (!parse_index (self, &footer))
        return corrupt (self, error, "the index is not sound");
    return STATUS_OK;
}

static status_t apply_override (run_t *self, uint64_t override, error_t *error)
{
    self->offset_override = override;
    if (override == RUN_OFFSET_AS_WRITTEN || self->info.rows == 0)
        return STATUS_OK;
    if (self->info.min_offset != self->info.max_offset)
        return error_set (error, STATUS_INVALID,
                          "run %s: one offset for rows that have several would lose their order",
                          self->path);
    self->info.min_offset = override;
    self->info.max_offset = override;
    return STATUS_OK;
}

status_t run_open (fs_t *fs, const char *path, const run_options_t *options, run_t **run,
                   error_t *error)
{
    *run = NULL;
    file_t *file;
    status_t status = fs_open (fs, path, FS_READ, &file, error);
    if (status != STATUS_OK)
        return error_prefix (error, "opening run %s", path);
    run_t *self = mem_zero (1, sizeof *self);
    self->magic = RUN_OBJECT_MAGIC;
    self->fs = fs;
    self->file = file;
    self->path = mem_string (path);
    status = fs_size (fs, file, &self->info.size, error);
    if (status == STATUS_OK)
        status = read_header (self, error);
    if (status == STATUS_OK)
        status = read_index (self, error);
    if (status == STATUS_OK)
        status = apply_override (
            self, options != NULL ? options->offset_override : RUN_OFFSET_AS_WRITTEN, error);
    if (status != STATUS_OK)
        run_destroy (&self);
    *run = self;
    return status;
}

void run_destroy (run_t **self_p)
{
    run_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, RUN_OBJECT_MAGIC);
    fs_close (self->fs, &self->file);
    mem_free (self->path);
    mem_free (self->header);
    mem_free (self->index);
    mem_free (self->blocks);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

const run_info_t *run_info (const run_t *self)
{
    CHECK_OBJECT (self, RUN_OBJECT_MAGIC);
    return &self->info;
}

/* ---- blocks ---- */

/* Is the decoded block the one that the index speaks of? */
static bool matches_index (const run_t *self, const run_block_t *block,
                           const block_header_t *header, const batch_t *batch)
{
    if (header->rows != block->rows || !header->has_keys ||
        header->columns != self->info.schema.columns || header->min_time != block->min_time ||
        header->max_time != block->max_time || !text_equal (header->first_key, block->first_key) ||
        !text_equal (header->last_key, block->last_key))
        return false;
    for (size_t i = 0; i < header->columns; i++)
        if (header->type[i] != self->types[i])
            return false;
    uint64_t min_offset;
    uint64_t max_offset;
    if (batch->offset == NULL)
        return true;
    run_offset_bounds (batch->offset, batch->rows, &min_offset, &max_offset);
    return min_offset == block->min_offset && max_offset == block->max_offset;
}

status_t run_read_block (const run_t *self, size_t which, arena_t *arena, const uint64_t *wanted,
                         unsigned leave, batch_t *batch, error_t *error)
{
    CHECK_OBJECT (self, RUN_OBJECT_MAGIC);
    CHECK (which < self->info.blocks);
    const run_block_t *block = &self->blocks[which];
    uint8_t *bytes = arena_alloc (arena, block->size);
    status_t status = fs_read_all (self->fs, self->file, block->at, bytes, block->size, error);
    if (status == STATUS_OK && block_checksum (bytes, block->size) != block->checksum)
        status = error_set (error, STATUS_CORRUPT, "it is not the block that the index names");
    block_header_t header;
    if (status == STATUS_OK)
        status = block_header_read (bytes, block->size, &header, error);
    batch_t result;
    if (status == STATUS_OK)
        status = block_decode_some (bytes, block->size, arena, wanted, leave, &result, error);
    if (status == STATUS_OK && !matches_index (self, block, &header, &result))
        status = error_set (error, STATUS_CORRUPT, "it is not as the index says");
    if (status != STATUS_OK)
        return error_prefix (error, "run %s, block %zu", self->path, which);
    if (self->offset_override != RUN_OFFSET_AS_WRITTEN && result.offset != NULL)
        for (size_t i = 0; i < result.rows; i++)
            result.offset[i] = self->offset_override;
    *batch = result;
    return STATUS_OK;
}

static bool is_ordered (const batch_t *batch)
{
    for (size_t i = 1; i < batch->rows; i++)
        if (rows_compare (batch, i - 1, batch, i) > 0)
            return false;
    return true;
}

status_t run_verify (const run_t *self, error_t *error)
{
    CHECK_OBJECT (self, RUN_OBJECT_MAGIC);
    arena_t *arenas[2] = { arena_new (1 << 20), arena_new (1 << 20) };
    batch_t batches[2];
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < self->info.blocks; i++) {
        batch_t *batch = &batches[i % 2];
        const batch_t *before = &batches[1 - i % 2];
        arena_reset (arenas[i % 2]);
        status = run_read_block (self, i, arenas[i % 2], NULL, 0, batch, error);
        if (status != STATUS_OK)
            break;
        if (!is_ordered (batch) || (i > 0 && rows_compare (before, before->rows - 1, batch, 0) > 0))
            status = corrupt (self, error, "its rows are not in order");
    }
    arena_destroy (&arenas[0]);
    arena_destroy (&arenas[1]);
    return status;
}
