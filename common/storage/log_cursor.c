#include "storage/log_cursor.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum {
    SKIP = 4 << 10,   /* bytes read for a header that may be passed, with those of small records */
    WINDOW = 1 << 18, /* bytes read at a time, when a record is not larger */
    PROBE = 16 << 10, /* bytes in which a record is looked for */
    READS_MAX = 3,    /* of a record that looks damaged, before it is believed */
};

typedef struct skip {
    uint8_t bytes[SKIP];
    uint64_t at;
    size_t size;
} skip_t;

status_t log_cursor_init (log_cursor_t *self, fs_t *fs, const char *dir,
                          const log_identity_t *identity, log_segment_id_t id, uint64_t limit,
                          error_t *error)
{
    *self = (log_cursor_t){ .fs = fs, .limit = limit };
    self->path = log_segment_path (dir, id, false);
    self->at = self->flush = LOG_SEGMENT_HEADER;
    self->offset = self->flush_offset = id.first;
    log_segment_header_t header;
    status_t status =
        log_segment_open (fs, dir, identity, id, &self->file, &header, &self->seed, error);
    if (status == STATUS_OK)
        self->begun = header.begun;
    return status;
}

void log_cursor_release (log_cursor_t *self)
{
    if (self->file != NULL)
        fs_close (self->fs, &self->file);
    mem_free (self->path);
    mem_free (self->window);
    *self = (log_cursor_t){ 0 };
}

/* Brings the bytes from `at` on, `need` of them or fewer when the file ends, into the window. */
static status_t load (log_cursor_t *self, uint64_t at, size_t need, size_t *got, error_t *error)
{
    uint64_t window_end = self->window_at + self->window_size;
    if (at >= self->window_at && at <= window_end && window_end - at >= need) {
        *got = need;
        return STATUS_OK;
    }
    size_t size = need > WINDOW ? need : WINDOW;
    if (self->limit != LOG_SEGMENT_OPEN && self->limit - at < size)
        size = (size_t)(self->limit - at);
    if (size > self->window_capacity) {
        self->window = mem_resize (self->window, size, 1);
        self->window_capacity = size;
    }
    self->window_at = at;
    self->window_size = 0;
    status_t status =
        fs_read (self->fs, self->file, at, self->window, size, &self->window_size, error);
    if (status != STATUS_OK)
        return error_prefix (error, "%s", self->path);
    *got = self->window_size < need ? self->window_size : need;
    return STATUS_OK;
}

static status_t damaged (const log_cursor_t *self, const char *what, error_t *error)
{
    return error_set (error, STATUS_CORRUPT, "%s: byte %" PRIu64 ": %s", self->path, self->at,
                      what);
}

/* Checks what a valid record's header says against where it stands. */
static status_t check_header (log_cursor_t *self, const log_record_header_t *header, error_t *error)
{
    if (log_kind_word (header->record.kind) == NULL)
        return error_set (error, STATUS_VERSION,
                          "%s: byte %" PRIu64 ": a record of unknown kind %d", self->path, self->at,
                          (int)header->record.kind);
    if (header->record.offset != self->offset)
        return damaged (self, "the record has another offset than its place", error);
    if (header->synced != self->at && header->synced != self->flush)
        return damaged (self, "the record belongs to no flush", error);
    return STATUS_OK;
}

static status_t read_record (log_cursor_t *self, log_record_header_t *header, error_t *error)
{
    size_t got;
    status_t status = load (self, self->at, LOG_RECORD_HEADER, &got, error);
    if (status != STATUS_OK)
        return status;
    if (got == 0 && self->limit == LOG_SEGMENT_OPEN && self->at >= self->begun)
        return STATUS_END;
    if (got < LOG_RECORD_HEADER)
        return damaged (self, "the file ends inside a record", error);
    if (!log_record_decode (self->window + (self->at - self->window_at), self->seed, self->at,
                            header))
        return damaged (self, "no valid record here", error);
    status = check_header (self, header, error);
    if (status != STATUS_OK)
        return status;
    size_t extent = (size_t)log_record_extent (header->record.size);
    status = load (self, self->at, extent, &got, error);
    if (status != STATUS_OK)
        return status;
    if (got < extent)
        return damaged (self, "the file ends inside a record", error);
    const uint8_t *payload = self->window + (self->at - self->window_at) + LOG_RECORD_HEADER;
    if (log_record_hash (payload, header->record.size, self->seed, self->at) !=
        header->payload_hash)
        return damaged (self, "the record's checksum is wrong", error);
    for (size_t i = header->record.size; i < extent - LOG_RECORD_HEADER; i++)
        if (payload[i] != 0)
            return damaged (self, "the record's padding is not zero", error);
    header->record.payload = payload;
    return STATUS_OK;
}

/* The next record is the one after this. */
static void passed (log_cursor_t *self, const log_record_header_t *header)
{
    if (header->synced == self->at) {
        self->flush = self->at;
        self->flush_offset = header->record.offset;
    }
    self->at += log_record_extent (header->record.size);
    self->offset = header->record.offset + header->record.count;
    if (self->at == self->begun) { /* what follows was written when this was durable */
        self->flush = self->at;
        self->flush_offset = self->offset;
    }
}

status_t log_cursor_next (log_cursor_t *self, log_record_t *record, error_t *error)
{
    if (self->at >= self->limit)
        return STATUS_END;
    log_record_header_t header;
    status_t status = STATUS_CORRUPT;
    for (int reads = 0; reads < READS_MAX && status == STATUS_CORRUPT; reads++) {
        status = read_record (self, &header, error);
        if (status ==
            STATUS_CORRUPT) /* damage on the way from the disk goes away when read again */
            self->window_size = 0;
    }
    if (status != STATUS_OK)
        return status;
    *record = header.record;
    passed (self, &header);
    return STATUS_OK;
}

/* The header at `at`, from the bytes that were read last when it is among them. */
static bool peek (log_cursor_t *self, skip_t *skip, log_record_header_t *header)
{
    error_t error;
    uint64_t ahead = self->at - skip->at;
    if (ahead > skip->size || skip->size - ahead < LOG_RECORD_HEADER) {
        skip->at = self->at;
        ahead = 0;
        if (fs_read (self->fs, self->file, self->at, skip->bytes, sizeof skip->bytes, &skip->size,
                     &error) != STATUS_OK ||
            skip->size < LOG_RECORD_HEADER) {
            skip->size = 0;
            return false;
        }
    }
    return log_record_decode (skip->bytes + ahead, self->seed, self->at, header) &&
           check_header (self, header, &error) == STATUS_OK;
}

uint64_t log_cursor_find (const log_cursor_t *self, uint64_t from, uint64_t to,
                          log_record_header_t *header)
{
    size_t size =
        to - from < WINDOW - LOG_RECORD_HEADER ? (size_t)(to - from) + LOG_RECORD_HEADER : WINDOW;
    uint8_t *window = mem_alloc (size);
    uint64_t found = UINT64_MAX;
    size_t got = size;
    error_t ignored;
    for (; found == UINT64_MAX && from < to && got == size; from += size - LOG_RECORD_HEADER) {
        if (fs_read (self->fs, self->file, from, window, size, &got, &ignored) != STATUS_OK)
            break;
        for (size_t i = 0; i + LOG_RECORD_HEADER <= got && found == UINT64_MAX;
             i += LOG_RECORD_ALIGNMENT)
            if (from + i < to && log_record_decode (window + i, self->seed, from + i, header))
                found = from + i;
    }
    mem_free (window);
    return found;
}
_Static_assert((WINDOW - LOG_RECORD_HEADER) % LOG_RECORD_ALIGNMENT == 0, "windows are aligned");

void log_cursor_place (log_cursor_t *self, uint64_t at, const log_record_header_t *header)
{
    self->at = at;
    self->offset = self->flush_offset = header->record.offset;
    self->flush = header->synced;
}

/* Halves what is between the cursor and where `offset` must be, while that is much. */
static void skip_by_halves (log_cursor_t *self, uint64_t offset)
{
    error_t ignored;
    log_record_header_t header;
    uint64_t end = self->limit; /* records that begin from here on are not wanted, or not known */
    if (end == LOG_SEGMENT_OPEN && fs_size (self->fs, self->file, &end, &ignored) != STATUS_OK)
        return;
    while (end > self->at && end - self->at > 4 * PROBE) {
        uint64_t middle =
            self->at + (end - self->at) / 2 / LOG_RECORD_ALIGNMENT * LOG_RECORD_ALIGNMENT;
        uint64_t found = log_cursor_find (self, middle, middle + PROBE, &header);
        if (found == UINT64_MAX) /* inside a large record */
            found = log_cursor_find (self, middle, end - middle < WINDOW ? end : middle + WINDOW,
                                     &header);
        if (found != UINT64_MAX && header.record.offset <= offset &&
            header.record.offset >= self->offset)
            log_cursor_place (self, found, &header);
        else
            end = middle;
    }
}

void log_cursor_skip (log_cursor_t *self, uint64_t offset)
{
    if (self->offset >= offset)
        return;
    skip_by_halves (self, offset);
    skip_t skip = { .at = self->at };
    log_record_header_t header;
    while (self->at < self->limit && self->offset < offset && peek (self, &skip, &header) &&
           header.record.offset + header.record.count <= offset)
        passed (self, &header);
}

/* Is there, in the window from byte `at` on, a record that was written when `bad` was durable? */
static bool window_has_later_flush (const log_cursor_t *self, uint64_t bad)
{
    log_record_header_t header;
    for (size_t i = 0; i + LOG_RECORD_HEADER <= self->window_size; i += LOG_RECORD_ALIGNMENT)
        if (log_record_decode (self->window + i, self->seed, self->window_at + i, &header) &&
            header.synced > bad)
            return true;
    return false;
}

status_t log_cursor_check_torn (log_cursor_t *self, error_t *error)
{
    CHECK (self->limit == LOG_SEGMENT_OPEN);
    if (self->at < self->begun)
        return damaged (self, "damaged, and was durable before the segment got its name", error);
    for (uint64_t at = self->at;; at += WINDOW - LOG_RECORD_HEADER) {
        size_t got;
        self->window_size = 0;
        status_t status = load (self, at, WINDOW, &got, error);
        if (status != STATUS_OK)
            return status;
        if (window_has_later_flush (self, self->at))
            return damaged (
                self, "damaged, and a record further on was written when this was durable", error);
        if (got < WINDOW)
            return STATUS_OK;
    }
}
