/* log.c - fuzzes a log's reader, and the search for its end, over one segment file in memory: bytes
 * as they come, and with the checksums of header and records made right wherever the bytes say that
 * they are. */
#include "base/buf.h"
#include "storage/log_cursor.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static const log_identity_t identity = { 1, "s.k", 2 };

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

static status_t memory_list (fs_t *fs, const char *path, void (*each) (void *arg, const char *name),
                             void *arg, error_t *error)
{
    (void)fs;
    (void)path;
    (void)error;
    each (arg, "00000000000000000000-0000000001.seg");
    return STATUS_OK;
}

static const fs_ops_t memory_ops = {
    .open = memory_open,
    .close = memory_close,
    .read = memory_read,
    .size = memory_size,
    .list = memory_list,
};

/* ---- right checksums ---- */

/* Writes a right header, and seals whatever is at the places where records begin. The magic, offset
 * and synced of a record are made right when its kind's highest bit is clear. */
static void seal (uint8_t *bytes, size_t size)
{
    if (size < LOG_SEGMENT_HEADER)
        return;
    log_segment_header_t header = { .id = { 0, 1 } };
    uint64_t seed;
    memcpy (&header.begun, bytes + 64, sizeof header.begun);
    header.begun =
        LOG_SEGMENT_HEADER + header.begun % size / LOG_RECORD_ALIGNMENT * LOG_RECORD_ALIGNMENT;
    log_segment_encode (&identity, &header, bytes, &seed);
    uint64_t offset = 0;
    for (size_t at = LOG_SEGMENT_HEADER; at + LOG_RECORD_HEADER <= size;) {
        uint64_t synced;
        memcpy (&synced, bytes + at + 32, sizeof synced);
        if ((bytes[at + 11] & 0x80) == 0) {
            memcpy (bytes + at, "wrec", 4);
            memcpy (bytes + at + 16, &offset, sizeof offset);
            bytes[at + 6] = bytes[at + 7] = 0;
            synced = at;
        }
        uint64_t extent = log_record_extent (log_record_size (bytes + at));
        if (extent > size - at)
            return;
        log_record_seal (bytes + at, seed, at, synced);
        uint32_t count;
        memcpy (&count, bytes + at + 12, sizeof count);
        offset += count;
        at += (size_t)extent;
    }
}

/* ---- reading ---- */

static void find_end (fs_t *fs)
{
    error_t error;
    log_cursor_t cursor;
    log_record_t record;
    status_t status = log_cursor_init (&cursor, fs, "log", &identity, (log_segment_id_t){ 0, 1 },
                                       LOG_SEGMENT_OPEN, &error);
    while (status == STATUS_OK)
        status = log_cursor_next (&cursor, &record, &error);
    if (status == STATUS_CORRUPT && cursor.file != NULL)
        status = log_cursor_check_torn (&cursor, &error);
    log_cursor_release (&cursor);
}

static void read_log (const uint8_t *data, size_t size)
{
    memory_fs_t fs = { .fs.ops = &memory_ops, .data = data, .size = size };
    log_reader_t *reader;
    log_record_t record;
    error_t error;
    uint64_t sum = 0;
    if (log_reader_open (&fs.fs, "log", &identity, 1, UINT64_MAX, &reader, &error) == STATUS_OK)
        while (log_reader_next (reader, &record, &error) == STATUS_OK)
            sum += XXH3_64bits (record.payload, record.size);
    log_reader_destroy (&reader);
    find_end (&fs.fs);
    if (sum == 1) /* the payloads have been read */
        abort ();
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    read_log (data, size);
    uint8_t *sealed = malloc (size + 1);
    if (sealed == NULL)
        return 0;
    if (size > 0)
        memcpy (sealed, data, size);
    seal (sealed, size);
    read_log (sealed, size);
    free (sealed);
    return 0;
}
