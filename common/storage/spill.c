#include "storage/spill.h"

#include "base/check.h"
#include "base/mem.h"

#include <xxhash.h>

#define SPILL_MAGIC UINT32_C (0x5b171001)

struct spill {
    uint32_t magic;
    fs_t *fs;
    file_t *file;
    char *path; /* that it had, for messages */
    uint64_t at;
    uint8_t *buffer; /* the block that is being filled: SPILL_BLOCK bytes … */
    size_t filled;
    size_t rows;         /* … its rows … */
    coded_times_t times; /* … and theirs */
};

void spill_list_release (spill_list_t *self)
{
    mem_free (self->blocks);
    *self = (spill_list_t){ .count = 0 };
}

status_t spill_new (fs_t *fs, const char *path, spill_t **spill, error_t *error)
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
    self->buffer = mem_alloc (SPILL_BLOCK);
    self->times = CODED_NO_TIMES;
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
    mem_free (self->buffer);
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
    list->rows += block->rows;
    list->largest = block->size > list->largest ? block->size : list->largest;
}

static status_t write_block (spill_t *self, spill_list_t *list, const uint8_t *bytes, size_t size,
                             size_t rows, coded_times_t times, error_t *error)
{
    spill_block_t block = { self->at, XXH3_64bits (bytes, size), size, rows, times };
    status_t status = fs_write (self->fs, self->file, self->at, bytes, size, error);
    if (status != STATUS_OK)
        return error_prefix (error, "rows put aside in %s", self->path);
    self->at += size;
    add_block (list, &block);
    return STATUS_OK;
}

status_t spill_end (spill_t *self, spill_list_t *list, error_t *error)
{
    CHECK_OBJECT (self, SPILL_MAGIC);
    if (self->filled == 0)
        return STATUS_OK;
    size_t filled = self->filled;
    size_t rows = self->rows;
    coded_times_t times = self->times;
    self->filled = 0;
    self->rows = 0;
    self->times = CODED_NO_TIMES;
    return write_block (self, list, self->buffer, filled, rows, times, error);
}

status_t spill_put (spill_t *self, spill_list_t *list, const uint8_t *tiles, size_t size,
                    size_t rows, coded_times_t times, error_t *error)
{
    CHECK_OBJECT (self, SPILL_MAGIC);
    if (self->filled + size > SPILL_BLOCK) {
        status_t status = spill_end (self, list, error);
        if (status != STATUS_OK)
            return status;
    }
    if (size > SPILL_BLOCK)
        return write_block (self, list, tiles, size, rows, times, error);
    memcpy (self->buffer + self->filled, tiles, size);
    self->filled += size;
    self->rows += rows;
    coded_times_add (&self->times, times);
    return STATUS_OK;
}

/* ---- reading ---- */

status_t spill_read (spill_t *self, const spill_block_t *block, void *to, error_t *error)
{
    CHECK_OBJECT (self, SPILL_MAGIC);
    status_t status = fs_read_all (self->fs, self->file, block->at, to, block->size, error);
    if (status == STATUS_OK && XXH3_64bits (to, block->size) != block->checksum)
        status = error_set (error, STATUS_CORRUPT, "its checksum is wrong");
    if (status != STATUS_OK)
        return error_prefix (error, "rows put aside in %s, byte %llu", self->path,
                             (unsigned long long)block->at);
    return STATUS_OK;
}
