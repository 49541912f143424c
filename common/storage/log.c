#include "storage/log.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "storage/log_trim.h"
#include "storage/log_writer.h"

#include <inttypes.h>
#include <string.h>

enum { LOG_MAGIC = 0x106a1065, FLUSH_MAGIC = 0x106f1054 };

#define SEGMENT_SIZE (UINT64_C (64) << 20)
#define PENDING_MAX  (UINT64_C (32) << 20)

struct log_flush {
    job_t job; /* first */
    uint32_t magic;
    bool ran;
    log_writer_t *writer;
    buf_t records;
    uint64_t begins; /* offset of the record that begins a segment; UINT64_MAX none */
    uint64_t end;    /* durable offset when it has succeeded */
    log_chain_t begun;
    error_t error;
};

struct log {
    uint32_t magic;
    uint64_t segment_size;
    uint64_t pending_max;
    fs_t *fs;
    char *dir;
    uint64_t epoch;
    log_chain_t chain;    /* ids only */
    log_writer_t *writer; /* NULL while a flush has it */
    log_flush_t *flush;   /* kept for the next; NULL while it is under way */
    bool trimming;
    buf_t pending;   /* encoded records */
    uint64_t begins; /* of these, the one at this offset begins a segment; UINT64_MAX none */
    uint64_t durable;
    uint64_t end;
    error_t failure; /* its status is OK while the log works */
};

/* ---- opening ---- */

/* Where the old owner's last segment ends, as far as can be told. */
typedef struct tail {
    log_segment_id_t id;
    uint64_t size;   /* bytes that are surely durable: those before the last flush */
    uint64_t offset; /* the first after these */
    uint64_t end;    /* the first offset after all valid records … */
    uint64_t stop;   /* … and the byte */
} tail_t;

static status_t scan_link (log_cursor_t *cursor, error_t *error)
{
    status_t status;
    do {
        log_record_t record;
        status = log_cursor_next (cursor, &record, error);
    } while (status == STATUS_OK);
    if (status == STATUS_CORRUPT && cursor->limit == LOG_SEGMENT_OPEN)
        status = log_cursor_check_torn (cursor, error);
    return status == STATUS_END ? STATUS_OK : status;
}

/* Verifies every record of the chain and finds its end. What an earlier owner trims meanwhile goes
 * from the chain. */
static status_t scan_chain (fs_t *fs, const char *dir, const log_identity_t *identity,
                            log_chain_t *chain, tail_t *tail, error_t *error)
{
    *tail = (tail_t){ 0 };
    for (size_t i = 0; i < chain->count; i++) {
        const log_chain_link_t *link = &chain->link[i];
        log_cursor_t cursor;
        status_t status = log_cursor_init (&cursor, fs, dir, identity, link->id, link->size, error);
        if (status == STATUS_NOT_FOUND && i + 1 < chain->count) {
            log_cursor_release (&cursor);
            log_chain_drop (chain, i + 1);
            i = SIZE_MAX; /* on with the one that is the first now */
            continue;
        }
        if (status == STATUS_OK)
            status = scan_link (&cursor, error);
        if (status == STATUS_OK && i + 1 < chain->count &&
            cursor.offset != chain->link[i + 1].id.first)
            status = error_set (error, STATUS_CORRUPT,
                                "%s: it ends at offset %" PRIu64 ", the next begins at %" PRIu64,
                                cursor.path, cursor.offset, chain->link[i + 1].id.first);
        *tail = (tail_t){ link->id, cursor.flush, cursor.flush_offset, cursor.offset, cursor.at };
        log_cursor_release (&cursor);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* Begins our first segment, with a copy of what the old owner may not have made durable. */
static status_t take_over (log_t *self, const log_identity_t *identity, const tail_t *tail,
                           error_t *error)
{
    if (self->chain.count == 0)
        return log_writer_begin (self->writer, 0, (log_segment_id_t){ 0, 0 }, 0, NULL, 0, 0, error);
    log_cursor_t carry;
    status_t status =
        log_cursor_init (&carry, self->fs, self->dir, identity, tail->id, LOG_SEGMENT_OPEN, error);
    if (status == STATUS_OK) {
        carry.at = carry.flush = tail->size;
        carry.offset = carry.flush_offset = tail->offset;
        status = log_writer_begin (self->writer, tail->offset, tail->id, tail->size, &carry,
                                   tail->end, tail->stop - tail->size, error);
    }
    log_cursor_release (&carry);
    return status;
}

static status_t check_epoch (fs_t *fs, const char *dir, uint64_t highest_allowed, uint64_t epoch,
                             error_t *error)
{
    log_chain_t all = { 0 };
    status_t status = log_chain_list (fs, dir, &all, error);
    if (status == STATUS_OK && all.count > 0 && all.link[all.count - 1].id.epoch > highest_allowed)
        status = error_set (error, STATUS_FENCED,
                            "%s: epoch %" PRIu64 " has a segment here, ours is %" PRIu64, dir,
                            all.link[all.count - 1].id.epoch, epoch);
    log_chain_release (&all);
    return status;
}

status_t log_fence_check (fs_t *fs, const char *dir, uint64_t epoch, error_t *error)
{
    return check_epoch (fs, dir, epoch, epoch, error);
}

static status_t open_chain (log_t *self, const log_identity_t *identity, error_t *error)
{
    tail_t tail;
    status_t status = check_epoch (self->fs, self->dir, self->epoch - 1, self->epoch, error);
    if (status == STATUS_OK)
        status = log_remove_leftovers (self->fs, self->dir, self->epoch, UINT64_MAX, error);
    if (status == STATUS_OK)
        status = log_chain_load (self->fs, self->dir, identity, 0, &self->chain, error);
    /* The name that our segment's header refers to may be of an owner whose sync of the directory
     * failed: were ours to survive a power cut without it, all before it would seem trimmed. */
    if (status == STATUS_OK)
        status = fs_sync_dir (self->fs, self->dir, error);
    if (status == STATUS_OK)
        status = scan_chain (self->fs, self->dir, identity, &self->chain, &tail, error);
    if (status == STATUS_OK)
        status = take_over (self, identity, &tail, error);
    if (status == STATUS_OK) /* somebody may have come after us since we looked */
        status = log_fence_check (self->fs, self->dir, self->epoch, error);
    if (status != STATUS_OK)
        return status;
    log_chain_add (&self->chain, self->writer->id, LOG_SEGMENT_OPEN);
    self->durable = self->end = self->chain.count == 1 ? 0 : tail.end;
    return STATUS_OK;
}

static log_flush_t *flush_new (size_t pending_max);

static log_t *log_new (fs_t *fs, const char *dir, const log_identity_t *identity, uint64_t epoch,
                       const log_limits_t *limits)
{
    log_t *self = mem_zero (1, sizeof *self);
    self->magic = LOG_MAGIC;
    self->fs = fs;
    self->dir = mem_string (dir);
    self->epoch = epoch;
    self->segment_size =
        limits != NULL && limits->segment_size > 0 ? limits->segment_size : SEGMENT_SIZE;
    self->pending_max =
        limits != NULL && limits->pending_max > 0 ? limits->pending_max : PENDING_MAX;
    self->begins = UINT64_MAX;
    self->writer = log_writer_new (fs, dir, identity, epoch, self->segment_size);
    size_t buffer_max = (size_t)self->pending_max + LOG_PAYLOAD_MAX + LOG_RECORD_OVERHEAD;
    buf_init (&self->pending, buffer_max);
    self->flush = flush_new (buffer_max);
    return self;
}

status_t log_open (fs_t *fs, const char *dir, const log_identity_t *identity, uint64_t epoch,
                   const log_limits_t *limits, log_t **log, error_t *error)
{
    *log = NULL;
    if (epoch == 0 || epoch > LOG_EPOCH_MAX)
        return error_set (error, STATUS_INVALID, "%s: epoch %" PRIu64 " is not possible", dir,
                          epoch);
    if (strlen (identity->name) > LOG_NAME_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%s: the log's name is over %d bytes", dir,
                          LOG_NAME_MAX);
    status_t status = fs_make_dir (fs, dir, error);
    if (status != STATUS_OK)
        return status;
    log_t *self = log_new (fs, dir, identity, epoch, limits);
    status = open_chain (self, identity, error);
    if (status == STATUS_OK)
        *log = self;
    else
        log_destroy (&self);
    return status;
}

static void flush_destroy (log_flush_t **self_p)
{
    log_flush_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, FLUSH_MAGIC);
    log_writer_destroy (&self->writer);
    log_chain_release (&self->begun);
    buf_release (&self->records);
    self->magic = 0;
    mem_free (self);
}

void log_destroy (log_t **self_p)
{
    log_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, LOG_MAGIC);
    log_writer_destroy (&self->writer);
    flush_destroy (&self->flush);
    log_chain_release (&self->chain);
    buf_release (&self->pending);
    mem_free (self->dir);
    self->magic = 0;
    mem_free (self);
}

/* ---- appending ---- */

static status_t refuse_failed (const log_t *self, error_t *error)
{
    if (self->failure.status == STATUS_OK)
        return STATUS_OK;
    return error_set (error, self->failure.status, "the log has failed: %s", self->failure.text);
}

status_t log_append (log_t *self, log_kind_t kind, const void *payload, size_t size, uint32_t count,
                     int64_t ingest_time, uint64_t *offset, error_t *error)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    CHECK (log_kind_word (kind) != NULL);
    CHECK (count > 0);
    status_t status = refuse_failed (self, error);
    if (status != STATUS_OK)
        return status;
    if (size > LOG_PAYLOAD_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a log record of %zu bytes, over %d", size,
                          LOG_PAYLOAD_MAX);
    if (count > UINT64_MAX - self->end)
        return error_set (error, STATUS_TOO_LARGE, "the log's offsets are used up");
    size_t extent = (size_t)log_record_extent ((uint32_t)size);
    if (self->pending.size > 0 && self->pending.size + extent > self->pending_max)
        return error_set (error, STATUS_BUSY, "%zu bytes wait for the disk", self->pending.size);
    uint8_t *bytes = buf_extend (&self->pending, extent);
    CHECK (bytes != NULL);
    log_record_t record = { kind, count, self->end, ingest_time, payload, (uint32_t)size };
    log_record_encode (&record, bytes);
    *offset = self->end;
    self->end += count;
    return STATUS_OK;
}

void log_begin_segment (log_t *self)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    self->begins = self->end;
}

uint64_t log_start (const log_t *self)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    return self->chain.link[0].id.first;
}

uint64_t log_durable (const log_t *self)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    return self->durable;
}

uint64_t log_end (const log_t *self)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    return self->end;
}

/* The buffer of a flush under way is not ours to look at: it is about as large as the other. */
size_t log_memory (const log_t *self)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    size_t other = self->flush ? self->flush->records.capacity : self->pending.capacity;
    return self->pending.capacity + other;
}

uint64_t log_pending (const log_t *self)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    return self->pending.size;
}

bool log_failed (const log_t *self)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    return self->failure.status != STATUS_OK;
}

/* ---- flushing ---- */

static void flush_run (job_t *job)
{
    log_flush_t *self = (log_flush_t *)job;
    CHECK_OBJECT (self, FLUSH_MAGIC);
    CHECK (!self->ran);
    error_clear (&self->error);
    self->error.status = log_writer_flush (self->writer, self->records.data, self->records.size,
                                           self->begins, &self->begun, &self->error);
    self->ran = true;
}

static void flush_discard (job_t *job)
{
    log_flush_t *self = (log_flush_t *)job;
    flush_destroy (&self);
}

static log_flush_t *flush_new (size_t buffer_max)
{
    log_flush_t *self = mem_zero (1, sizeof *self);
    self->magic = FLUSH_MAGIC;
    self->job.run = flush_run;
    self->job.discard = flush_discard;
    buf_init (&self->records, buffer_max);
    return self;
}

log_flush_t *log_flush_begin (log_t *self)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    if (self->flush == NULL || self->pending.size == 0 || log_failed (self))
        return NULL;
    log_flush_t *flush = self->flush;
    self->flush = NULL;
    flush->writer = self->writer;
    self->writer = NULL;
    flush->ran = false;
    flush->end = self->end;
    flush->begins = self->begins < self->end ? self->begins : UINT64_MAX;
    if (self->begins < self->end)
        self->begins = UINT64_MAX;
    flush->begun.count = 0;
    buf_t empty = flush->records;
    flush->records = self->pending;
    self->pending = empty;
    buf_clear (&self->pending);
    return flush;
}

job_t *log_flush_job (log_flush_t *flush)
{
    CHECK_OBJECT (flush, FLUSH_MAGIC);
    return &flush->job;
}

status_t log_flush_end (log_t *self, log_flush_t **flush_p, error_t *error)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    log_flush_t *flush = *flush_p;
    *flush_p = NULL;
    CHECK_OBJECT (flush, FLUSH_MAGIC);
    CHECK (flush->ran);
    CHECK (self->flush == NULL);
    for (size_t i = 0; i < flush->begun.count; i++)
        log_chain_add (&self->chain, flush->begun.link[i].id, LOG_SEGMENT_OPEN);
    if (flush->error.status == STATUS_OK)
        self->durable = flush->end;
    else
        self->failure = flush->error;
    self->writer = flush->writer;
    flush->writer = NULL;
    self->flush = flush;
    return refuse_failed (self, error);
}

/* ---- trimming ---- */

log_trim_t *log_trim_begin (log_t *self, uint64_t below)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    CHECK (below <= self->durable);
    size_t removable = 0;
    while (removable + 1 < self->chain.count && self->chain.link[removable + 1].id.first <= below)
        removable++;
    if (removable == 0 || self->trimming || log_failed (self))
        return NULL;
    self->trimming = true;
    return log_trim_new (self->fs, self->dir, &self->chain, removable, below, self->epoch);
}

status_t log_trim_end (log_t *self, log_trim_t **trim_p, error_t *error)
{
    CHECK_OBJECT (self, LOG_MAGIC);
    log_trim_t *trim = *trim_p;
    CHECK_OBJECT (trim, LOG_TRIM_MAGIC);
    CHECK (trim->ran);
    CHECK (self->trimming);
    self->trimming = false;
    log_chain_drop (&self->chain, trim->removed);
    status_t status = trim->error.status;
    if (status != STATUS_OK)
        error_set (error, status, "trimming %s: %s", self->dir, trim->error.text);
    log_trim_destroy (trim_p);
    return status;
}
