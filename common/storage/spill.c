#include "storage/spill.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/packed_deltas.h"

#include <xxhash.h>

#define SPILL_MAGIC UINT32_C (0x5b171001)

struct spill {
    uint32_t magic;
    fs_t *fs;
    file_t *file;
    char *path; /* that it had, for messages */
    packed_deltas_t deltas;
    const packed_t *packed;
    uint64_t at;
    uint8_t *buffer; /* the block that is being filled, as it will be in the file … */
    size_t room;
    size_t filled;
    size_t size;    /* … and bytes of its rows */
    uint8_t *coded; /* one that is being read, as large */
};

void spill_list_release (spill_list_t *self)
{
    mem_free (self->blocks);
    *self = (spill_list_t){ .count = 0 };
}

status_t spill_new (fs_t *fs, const char *path, const packed_t *packed, spill_t **spill,
                    error_t *error)
{
    *spill = NULL;
    file_t *file;
    status_t status = fs_open (fs, path, FS_CREATE, &file, error);
    if (status != STATUS_OK)
        return error_prefix (error, "rows put aside");
    status = fs_remove (fs, path, error);
    if (status != STATUS_OK) {
        fs_close (fs, &file);
        return error_prefix (error, "rows put aside");
    }
    spill_t *self = mem_zero (1, sizeof *self);
    self->magic = SPILL_MAGIC;
    self->fs = fs;
    self->file = file;
    self->path = mem_string (path);
    packed_deltas_init (&self->deltas, packed);
    self->packed = packed;
    self->room = packed_deltas_room (&self->deltas, SPILL_BLOCK);
    self->buffer = mem_alloc (self->room);
    self->coded = mem_alloc (self->room);
    *spill = self;
    return STATUS_OK;
}

void spill_destroy (spill_t **self_p)
{
    spill_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, SPILL_MAGIC);
    fs_close (self->fs, &self->file);
    packed_deltas_release (&self->deltas);
    mem_free (self->buffer);
    mem_free (self->coded);
    mem_free (self->path);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

/* ---- putting ---- */

static void add_block (spill_list_t *list, const spill_block_t *block)
{
    if (list->count == list->room) {
        list->room = list->room > 0 ? 2 * list->room : 4;
        list->blocks = mem_resize (list->blocks, list->room, sizeof *list->blocks);
    }
    list->blocks[list->count++] = *block;
    list->bytes += block->size;
    list->largest = block->size > list->largest ? block->size : list->largest;
}

/* `bytes`, as they are written, are rows of `size` bytes. */
static status_t write_block (spill_t *self, spill_list_t *list, const uint8_t *bytes,
                             size_t written, size_t size, error_t *error)
{
    spill_block_t block = {
        .at = self->at, .size = size, .written = written, .checksum = XXH3_64bits (bytes, written)
    };
    status_t status = fs_write (self->fs, self->file, self->at, bytes, written, error);
    if (status != STATUS_OK)
        return error_prefix (error, "rows put aside in %s", self->path);
    self->at += written;
    add_block (list, &block);
    return STATUS_OK;
}

status_t spill_end (spill_t *self, spill_list_t *list, error_t *error)
{
    CHECK_OBJECT (self, SPILL_MAGIC);
    if (self->filled == 0)
        return STATUS_OK;
    size_t written = self->filled;
    size_t size = self->size;
    self->filled = 0;
    self->size = 0;
    return write_block (self, list, self->buffer, written, size, error);
}

/* Rows that may be a tile, by their number and by their bytes; one at least. */
static size_t measure_tile (const spill_t *self, const uint8_t *const *rows, size_t count,
                            size_t *sizes, size_t *total)
{
    size_t fit = 0;
    *total = 0;
    while (fit < count && fit < PACKED_DELTAS_TILE) {
        sizes[fit] = packed_size (self->packed, rows[fit]);
        if (fit > 0 && *total + sizes[fit] > SPILL_BLOCK)
            break;
        *total += sizes[fit++];
    }
    return fit;
}

/* A row that is larger than a block is one by itself, as it is. */
status_t spill_put (spill_t *self, spill_list_t *list, const uint8_t *const *rows, size_t count,
                    error_t *error)
{
    CHECK_OBJECT (self, SPILL_MAGIC);
    size_t sizes[PACKED_DELTAS_TILE];
    size_t total;
    for (size_t i = 0, fit; i < count; i += fit) {
        fit = measure_tile (self, rows + i, count - i, sizes, &total);
        status_t status = STATUS_OK;
        if (self->size + total > SPILL_BLOCK ||
            self->filled + packed_deltas_room (&self->deltas, total) > self->room)
            status = spill_end (self, list, error);
        if (status == STATUS_OK && total > SPILL_BLOCK)
            status = write_block (self, list, rows[i], total, total, error);
        if (status != STATUS_OK)
            return status;
        list->rows += fit;
        if (total > SPILL_BLOCK)
            continue;
        self->filled +=
            packed_deltas_encode (&self->deltas, rows + i, sizes, fit, self->buffer + self->filled);
        self->size += total;
    }
    return STATUS_OK;
}

/* ---- reading ---- */

status_t spill_read (spill_t *self, const spill_block_t *block, void *to, error_t *error)
{
    CHECK_OBJECT (self, SPILL_MAGIC);
    bool is_coded = block->size <= SPILL_BLOCK;
    uint8_t *bytes = is_coded ? self->coded : to;
    size_t size = block->written;
    status_t status = fs_read_all (self->fs, self->file, block->at, bytes, size, error);
    if (status == STATUS_OK && XXH3_64bits (bytes, size) != block->checksum)
        status = error_set (error, STATUS_CORRUPT, "its checksum is wrong");
    if (status != STATUS_OK)
        return error_prefix (error, "rows put aside in %s, byte %llu", self->path,
                             (unsigned long long)block->at);
    if (is_coded)
        packed_deltas_decode (&self->deltas, bytes, size, to, block->size);
    return STATUS_OK;
}
