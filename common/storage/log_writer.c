#include "storage/log_writer.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

enum { CARRY_CHUNK = 1 << 20 }; /* bytes of copied records that are written at a time */

log_writer_t *log_writer_new (fs_t *fs, const char *dir, const log_identity_t *identity,
                              uint64_t epoch, uint64_t segment_size)
{
    log_writer_t *self = mem_zero (1, sizeof *self);
    self->fs = fs;
    self->dir = mem_string (dir);
    self->name = mem_string (identity->name);
    self->identity = *identity;
    self->identity.name = self->name;
    self->epoch = epoch;
    self->segment_size = segment_size;
    return self;
}

void log_writer_destroy (log_writer_t **self_p)
{
    log_writer_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    fs_close (self->fs, &self->file);
    mem_free (self->dir);
    mem_free (self->name);
    mem_free (self);
}

static status_t write_at_end (log_writer_t *self, const void *data, size_t size, error_t *error)
{
    status_t status = fs_write (self->fs, self->file, self->size, data, size, error);
    if (status == STATUS_OK)
        self->size += size;
    return status;
}

static status_t write_header (log_writer_t *self, log_segment_id_t previous, uint64_t previous_size,
                              uint64_t carried, error_t *error)
{
    log_segment_header_t header = { self->id, previous, previous_size,
                                    LOG_SEGMENT_HEADER + carried };
    uint8_t bytes[LOG_SEGMENT_HEADER];
    log_segment_encode (&self->identity, &header, bytes, &self->seed);
    self->size = 0;
    status_t status = write_at_end (self, bytes, sizeof bytes, error);
    self->synced = self->size;
    return status;
}

/* Copies records until offset `end`: all of them in one flush of the new segment. */
static status_t write_carried (log_writer_t *self, log_cursor_t *carry, uint64_t end,
                               error_t *error)
{
    buf_t chunk;
    buf_init (&chunk, CARRY_CHUNK + LOG_PAYLOAD_MAX + LOG_RECORD_OVERHEAD);
    status_t status = STATUS_OK;
    while (carry->offset < end && status == STATUS_OK) {
        log_record_t record;
        status = log_cursor_next (carry, &record, error);
        if (status == STATUS_END)
            status = error_set (error, STATUS_CORRUPT, "%s: it became shorter", carry->path);
        if (status != STATUS_OK)
            break;
        uint64_t at = self->size + chunk.size;
        uint8_t *bytes = buf_extend (&chunk, (size_t)log_record_extent (record.size));
        CHECK (bytes != NULL);
        log_record_encode (&record, bytes);
        log_record_seal (bytes, self->seed, at, self->synced);
        if (chunk.size >= CARRY_CHUNK || carry->offset >= end) {
            status = write_at_end (self, chunk.data, chunk.size, error);
            buf_clear (&chunk);
        }
    }
    buf_release (&chunk);
    return status;
}

/* Gives the finished file its name. */
static status_t publish (log_writer_t *self, const char *temporary, error_t *error)
{
    char *path = log_segment_path (self->dir, self->id, false);
    status_t status = fs_sync (self->fs, self->file, error);
    if (status == STATUS_OK)
        status = fs_rename (self->fs, temporary, path, error);
    if (status == STATUS_OK)
        status = fs_sync_dir (self->fs, self->dir, error);
    self->synced = self->size;
    mem_free (path);
    return status;
}

status_t log_writer_begin (log_writer_t *self, uint64_t first, log_segment_id_t previous,
                           uint64_t previous_size, log_cursor_t *carry, uint64_t end,
                           uint64_t carried, error_t *error)
{
    fs_close (self->fs, &self->file);
    self->id = (log_segment_id_t){ first, self->epoch };
    char *temporary = log_segment_path (self->dir, self->id, true);
    status_t status = fs_open (self->fs, temporary, FS_CREATE, &self->file, error);
    if (status == STATUS_OK)
        status = write_header (self, previous, previous_size, carried, error);
    if (status == STATUS_OK && carry != NULL)
        status = write_carried (self, carry, end, error);
    if (status == STATUS_OK && self->size != LOG_SEGMENT_HEADER + carried)
        status = error_set (error, STATUS_CORRUPT, "%s: it reads otherwise", carry->path);
    if (status == STATUS_OK)
        status = publish (self, temporary, error);
    if (status != STATUS_OK)
        error_prefix (error, "beginning %s", temporary);
    mem_free (temporary);
    return status;
}

/* Writes the records that fit in the segment, or one that does not fit in any, up to that which
 * begins the next; `*used` is their size. */
static status_t write_some (log_writer_t *self, uint8_t *records, size_t size, uint64_t begins,
                            size_t *used, error_t *error)
{
    *used = 0;
    while (*used < size) {
        uint64_t at = self->size + *used;
        uint64_t extent = log_record_extent (log_record_size (records + *used));
        bool next =
            at + extent > self->segment_size || log_record_offset (records + *used) == begins;
        if (at > LOG_SEGMENT_HEADER && next)
            break;
        *used += (size_t)log_record_seal (records + *used, self->seed, at, self->synced);
    }
    if (*used == 0)
        return STATUS_OK;
    status_t status = write_at_end (self, records, *used, error);
    if (status == STATUS_OK)
        status = fs_sync (self->fs, self->file, error);
    self->synced = self->size;
    return status;
}

status_t log_writer_flush (log_writer_t *self, uint8_t *records, size_t size, uint64_t begins,
                           log_chain_t *begun, error_t *error)
{
    CHECK (self->file != NULL);
    status_t status = STATUS_OK;
    for (size_t done = 0; status == STATUS_OK && done < size;) {
        size_t used;
        status = write_some (self, records + done, size - done, begins, &used, error);
        done += used;
        if (status == STATUS_OK && done < size) {
            status = log_writer_begin (self, log_record_offset (records + done), self->id,
                                       self->size, NULL, 0, 0, error);
            log_chain_add (begun, self->id, LOG_SEGMENT_OPEN);
        }
    }
    if (status != STATUS_OK)
        fs_close (self->fs, &self->file);
    return status;
}
