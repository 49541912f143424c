/* run.c - fuzzes run_open, run_verify, cursors and key lookup over a file in memory: bytes as they
 * come, and with the checksums of header, footer, index and blocks made right wherever the bytes
 * say that they are. */
#include "storage/run.h"

#include <stdlib.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* ---- a filesystem of one file that is only read ---- */

typedef struct memory_fs {
    fs_t fs;
    const uint8_t *data;
    size_t size;
} memory_fs_t;

static status_t memory_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file,
                             error_t *error)
{
    (void)path;
    (void)mode;
    (void)error;
    *file = (file_t *)fs;
    return STATUS_OK;
}

static void memory_close (fs_t *fs, file_t *file)
{
    (void)fs;
    (void)file;
}

static status_t memory_read (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size,
                             size_t *got, error_t *error)
{
    const memory_fs_t *self = (memory_fs_t *)fs;
    (void)file;
    (void)error;
    size_t left = at < self->size ? self->size - (size_t)at : 0;
    *got = size < left ? size : left;
    if (*got > 0)
        memcpy (data, self->data + at, *got);
    return STATUS_OK;
}

static status_t memory_size (fs_t *fs, file_t *file, uint64_t *size, error_t *error)
{
    (void)file;
    (void)error;
    *size = ((memory_fs_t *)fs)->size;
    return STATUS_OK;
}

static const fs_ops_t memory_ops = {
    .open = memory_open, .close = memory_close, .read = memory_read, .size = memory_size
};

/* ---- right checksums ---- */

enum { HEADER_FIXED = 28, FOOTER_SIZE = 84, ENTRY_FIXED = 60 };

static uint64_t load (const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    memcpy (&value, at, size);
    return value;
}

static void seal_at (uint8_t *bytes, size_t from, size_t to)
{
    uint64_t checksum = XXH3_64bits (bytes + from, to - from);
    memcpy (bytes + to, &checksum, sizeof checksum);
}

static void seal_blocks (uint8_t *bytes, uint64_t index_at, uint64_t index_end)
{
    while (index_at < index_end && index_end - index_at >= ENTRY_FIXED) {
        uint8_t *entry = bytes + index_at;
        uint64_t at = load (entry, 8);
        uint64_t size = load (entry + 8, 4);
        if (size >= 8 && at <= index_end && size <= index_end - at) {
            seal_at (bytes, at, at + size - 8);
            memcpy (entry + 48, bytes + at + size - 8, 8);
        }
        index_at += ENTRY_FIXED + load (entry + 56, 2) + load (entry + 58, 2);
    }
}

static void seal (uint8_t *bytes, size_t size)
{
    if (size < HEADER_FIXED + FOOTER_SIZE)
        return;
    uint8_t *footer = bytes + size - FOOTER_SIZE;
    uint64_t index_at = load (footer + 40, 8);
    uint64_t index_end = size - FOOTER_SIZE;
    if (index_at <= index_end) {
        uint64_t index_size = index_end - index_at;
        memcpy (footer + 48, &index_size, sizeof index_size);
        seal_blocks (bytes, index_at, index_end);
        uint64_t checksum = XXH3_64bits (bytes + index_at, index_size);
        memcpy (footer + 56, &checksum, sizeof checksum);
    }
    seal_at (bytes, size - FOOTER_SIZE, size - 12);
    size_t header = HEADER_FIXED + load (bytes + 24, 2) + load (bytes + 6, 2);
    if (header + 8 <= size)
        seal_at (bytes, 0, header);
}

/* ---- reading ---- */

static void read_run (const uint8_t *data, size_t size, uint64_t offset_override)
{
    memory_fs_t fs = { .fs.ops = &memory_ops, .data = data, .size = size };
    run_options_t options = { .offset_override = offset_override };
    run_t *run;
    error_t error;
    if (run_open (&fs.fs, "run", &options, &run, &error) != STATUS_OK)
        return;
    status_t status = run_verify (run, &error);
    run_cursor_t *cursor = run_cursor_new (run, NULL);
    arena_t *arena = arena_new (1 << 16);
    batch_t batch;
    while (run_cursor_next (cursor, &batch, &error) == STATUS_OK) {
        batch_t rows;
        arena_reset (arena);
        status = run_key_rows (run, batch.key[batch.rows / 2], arena, NULL, &rows, &error);
    }
    status = run_cursor_seek_key (cursor, text_of ("key"), &error);
    if (status == STATUS_OK)
        status = run_cursor_next (cursor, &batch, &error);
    arena_destroy (&arena);
    run_cursor_destroy (&cursor);
    run_destroy (&run);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    read_run (data, size, RUN_OFFSET_AS_WRITTEN);
    uint8_t *sealed = malloc (size + 1);
    if (sealed == NULL)
        return 0;
    if (size > 0)
        memcpy (sealed, data, size);
    seal (sealed, size);
    read_run (sealed, size, RUN_OFFSET_AS_WRITTEN);
    read_run (sealed, size, 7);
    free (sealed);
    return 0;
}
