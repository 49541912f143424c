#include "base/check.h"
#include "base/mem.h"
#include "storage/log_chain.h"
#include "storage/log_cursor.h"

#include <inttypes.h>
#include <string.h>

enum { READER_MAGIC = 0x106ea0e1 };

struct log_reader {
    uint32_t magic;
    fs_t *fs;
    char *dir;
    char *name;
    log_identity_t identity;
    uint64_t from;
    uint64_t to;
    uint64_t next; /* offset to go on from */
    log_chain_t chain;
    size_t link; /* of the chain, the one that the cursor reads */
    log_cursor_t cursor;
};

static status_t open_link (log_reader_t *self, size_t link, error_t *error)
{
    const log_chain_link_t *at = &self->chain.link[link];
    log_cursor_release (&self->cursor);
    self->link = link;
    status_t status = log_cursor_init (&self->cursor, self->fs, self->dir, &self->identity, at->id,
                                       at->size, error);
    if (status == STATUS_OK) /* who asks for offsets from `from` on knows that they are durable */
        log_cursor_skip (&self->cursor, self->next);
    return status;
}

/* Finds the segment that holds `next`, as the directory is now, and the record there. */
static status_t seek (log_reader_t *self, error_t *error)
{
    log_chain_release (&self->chain);
    status_t status =
        log_chain_load (self->fs, self->dir, &self->identity, self->next, &self->chain, error);
    if (status != STATUS_OK)
        return status;
    if (self->chain.count == 0)
        return error_set (error, STATUS_NOT_FOUND, "%s: there is no log here", self->dir);
    if (self->chain.link[0].id.first > self->next)
        return error_set (error, STATUS_NOT_FOUND,
                          "%s: offset %" PRIu64 " has been trimmed, the log begins at %" PRIu64,
                          self->dir, self->next, self->chain.link[0].id.first);
    return open_link (self, 0, error);
}

status_t log_reader_open (fs_t *fs, const char *dir, const log_identity_t *identity, uint64_t from,
                          uint64_t to, log_reader_t **reader, error_t *error)
{
    *reader = NULL;
    if (strlen (identity->name) > LOG_NAME_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%s: the log's name is over %d bytes", dir,
                          LOG_NAME_MAX);
    log_reader_t *self = mem_zero (1, sizeof *self);
    self->magic = READER_MAGIC;
    self->fs = fs;
    self->dir = mem_string (dir);
    self->name = mem_string (identity->name);
    self->identity = *identity;
    self->identity.name = self->name;
    self->from = self->next = from;
    self->to = to;
    status_t status = seek (self, error);
    if (status == STATUS_OK)
        *reader = self;
    else
        log_reader_destroy (&self);
    return status;
}

void log_reader_destroy (log_reader_t **self_p)
{
    log_reader_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, READER_MAGIC);
    log_cursor_release (&self->cursor);
    log_chain_release (&self->chain);
    mem_free (self->dir);
    mem_free (self->name);
    self->magic = 0;
    mem_free (self);
}

/* The next record of the chain as it was when last looked at; END after its last one. */
static status_t next_in_chain (log_reader_t *self, log_record_t *record, error_t *error)
{
    for (;;) {
        status_t status = log_cursor_next (&self->cursor, record, error);
        if (status != STATUS_END || self->link + 1 == self->chain.count)
            return status;
        uint64_t end = self->cursor.offset;
        if (end != self->chain.link[self->link + 1].id.first)
            return error_set (
                error, STATUS_CORRUPT,
                "%s: byte %" PRIu64 ": it ends at offset %" PRIu64 ", the next begins at %" PRIu64,
                self->cursor.path, self->cursor.at, end, self->chain.link[self->link + 1].id.first);
        status = open_link (self, self->link + 1, error);
        if (status != STATUS_OK)
            return status;
    }
}

/* As next_in_chain, past records that end before `next`. */
static status_t next_wanted (log_reader_t *self, log_record_t *record, error_t *error)
{
    status_t status;
    do
        status = next_in_chain (self, record, error);
    while (status == STATUS_OK && record->offset + record->count <= self->next);
    return status;
}

status_t log_reader_next (log_reader_t *self, log_record_t *record, error_t *error)
{
    CHECK_OBJECT (self, READER_MAGIC);
    if (self->next >= self->to)
        return STATUS_END;
    status_t status = next_wanted (self, record, error);
    if (status == STATUS_END || status == STATUS_CORRUPT || status == STATUS_NOT_FOUND) {
        /* The log may have got another segment, or another owner, since the chain was read. */
        status = seek (self, error);
        if (status == STATUS_OK)
            status = next_wanted (self, record, error);
    }
    if (status == STATUS_END)
        return error_set (error, STATUS_CORRUPT,
                          "%s: byte %" PRIu64 ": the log ends at offset %" PRIu64
                          ", before %" PRIu64,
                          self->cursor.path, self->cursor.at, self->cursor.offset, self->to);
    if (status == STATUS_OK)
        self->next = record->offset + record->count;
    return status;
}
