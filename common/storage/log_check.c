#include "storage/log_check.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/log_chain.h"
#include "storage/log_cursor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A segment in the order of the log. */
typedef struct link {
    log_segment_id_t id;
    uint64_t size; /* that counts */
    bool damaged;  /* its header is: nothing of it can be read */
    bool certain;  /* a header leads to it; else it is only the next lower one that is there */
} link_t;

typedef struct log_checker {
    fs_t *fs;
    const char *dir;
    const log_identity_t *identity;
    bool live;
    const log_watch_t *watch;
    log_extent_t *extent;
    log_chain_t all; /* that are there, by (epoch, first) */
    link_t *links;   /* newest first */
    size_t links_count;
} log_checker_t;

static void tell_damage (log_checker_t *self, const log_damage_t *damage)
{
    self->extent->damages++;
    if (self->watch->damage)
        self->watch->damage (self->watch->arg, damage);
}

static void tell_unused (log_checker_t *self, const char *path)
{
    if (self->watch->unused)
        self->watch->unused (self->watch->arg, path);
}

/* ---- which segments ---- */

static bool is_listed (const log_chain_t *all, log_segment_id_t id, size_t *at)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->link[i].id.first == id.first && all->link[i].id.epoch == id.epoch) {
            *at = i;
            return true;
        }
    return false;
}

static void add_link (log_checker_t *self, log_segment_id_t id, uint64_t size, bool certain)
{
    self->links[self->links_count++] = (link_t){ .id = id, .size = size, .certain = certain };
}

static void header_damaged (log_checker_t *self, link_t *link, const error_t *error)
{
    char *path = log_segment_path (self->dir, link->id, false);
    uint64_t next =
        self->links_count > 1 ? self->links[self->links_count - 2].id.first : UINT64_MAX;
    link->damaged = true;
    tell_damage (self, &(log_damage_t){ .status = error->status,
                                        .path = path,
                                        .what = error->text,
                                        .from = link->id.first,
                                        .to = next });
    mem_free (path);
}

/* From the newest segment to the oldest, over headers that are damaged too. */
static void walk (log_checker_t *self)
{
    size_t at = self->all.count - 1;
    uint64_t size = LOG_SEGMENT_OPEN;
    bool certain = true;
    for (;;) {
        log_segment_id_t id = self->all.link[at].id;
        add_link (self, id, size, certain);
        link_t *link = &self->links[self->links_count - 1];
        file_t *file = NULL;
        log_segment_header_t header = { 0 };
        uint64_t seed;
        error_t error;
        status_t status = log_segment_open (self->fs, self->dir, self->identity, id, &file, &header,
                                            &seed, &error);
        fs_close (self->fs, &file);
        if (status == STATUS_NOT_FOUND && self->live && self->links_count > 1) {
            self->links_count--; /* trimmed since it was listed */
            return;
        }
        if (status != STATUS_OK) {
            header_damaged (self, link, &error);
            if (at == 0)
                return;
            at--;
            size = LOG_SEGMENT_OPEN;
            certain = false;
            continue;
        }
        self->extent->before[0] = '\0';
        if (header.previous_size == 0)
            return;
        size = header.previous_size;
        certain = true;
        if (!is_listed (&self->all, header.previous, &at)) {
            log_segment_name (header.previous, self->extent->before);
            return;
        }
    }
}

static void tell_void_segments (log_checker_t *self)
{
    for (size_t i = 0; i < self->all.count; i++) {
        bool counts = false;
        for (size_t k = 0; k < self->links_count && !counts; k++)
            counts = self->links[k].id.first == self->all.link[i].id.first &&
                     self->links[k].id.epoch == self->all.link[i].id.epoch;
        if (counts)
            continue;
        char *path = log_segment_path (self->dir, self->all.link[i].id, false);
        tell_unused (self, path);
        mem_free (path);
    }
}

static void look_for_leftover (void *arg, const char *name)
{
    log_checker_t *self = arg;
    size_t size = strlen (name);
    if (size < 4 || strcmp (name + size - 4, ".tmp") != 0)
        return;
    char *path = mem_format ("%s/%s", self->dir, name);
    tell_unused (self, path);
    mem_free (path);
}

/* ---- one segment ---- */

/* Goes on at the next record behind the damage at the cursor. `to` is where the log goes on if
 * there is none. False when there is none. */
static bool skip_damage (log_checker_t *self, log_cursor_t *cursor, const error_t *error,
                         uint64_t to)
{
    log_record_header_t header;
    uint64_t next =
        log_cursor_find (cursor, cursor->at + LOG_RECORD_ALIGNMENT, cursor->limit, &header);
    bool more = next != UINT64_MAX && next < cursor->limit;
    tell_damage (self, &(log_damage_t){ .status = error->status,
                                        .path = cursor->path,
                                        .byte = cursor->at,
                                        .bytes = more ? next - cursor->at : 0,
                                        .what = error->text,
                                        .from = cursor->offset,
                                        .to = more ? header.record.offset : to });
    if (!more)
        return false;
    log_cursor_place (cursor, next, &header);
    return true;
}

/* After a record that cannot be read in the last segment: is it the torn end? A segment that is
 * being written may have it by now. */
static bool is_torn_end (log_cursor_t *cursor, const error_t *error)
{
    if (cursor->limit != LOG_SEGMENT_OPEN || error->status != STATUS_CORRUPT)
        return false;
    error_t torn;
    return log_cursor_check_torn (cursor, &torn) == STATUS_OK;
}

static uint64_t scan_records (log_checker_t *self, log_cursor_t *cursor, uint64_t next_first,
                              bool *whole)
{
    bool again = self->live;
    *whole = true;
    for (;;) {
        log_record_t record;
        error_t error;
        uint64_t byte = cursor->at;
        status_t status = log_cursor_next (cursor, &record, &error);
        if (status == STATUS_OK) {
            again = self->live;
            if (self->watch->record)
                self->watch->record (self->watch->arg, cursor->path, byte, &record);
            continue;
        }
        if (status == STATUS_END || is_torn_end (cursor, &error))
            return cursor->offset;
        if (again && cursor->limit == LOG_SEGMENT_OPEN) {
            again = false; /* what was written since the read may make it whole */
            continue;
        }
        *whole = false;
        if (!skip_damage (self, cursor, &error, next_first))
            return cursor->offset;
    }
}

static uint64_t counted_size (log_checker_t *self, const log_cursor_t *cursor)
{
    uint64_t size = cursor->limit;
    error_t ignored;
    if (size == LOG_SEGMENT_OPEN && fs_size (self->fs, cursor->file, &size, &ignored) != STATUS_OK)
        size = 0;
    return size;
}

static void scan_link (log_checker_t *self, const link_t *link, const link_t *next)
{
    log_cursor_t cursor;
    error_t error;
    uint64_t next_first = next ? next->id.first : UINT64_MAX;
    status_t status = log_cursor_init (&cursor, self->fs, self->dir, self->identity, link->id,
                                       link->size, &error);
    if (status != STATUS_OK) {
        if (!(status == STATUS_NOT_FOUND && self->live))
            tell_damage (self, &(log_damage_t){ .status = status,
                                                .path = cursor.path,
                                                .what = error.text,
                                                .from = link->id.first,
                                                .to = next_first });
        log_cursor_release (&cursor);
        return;
    }
    bool whole;
    if (self->watch->segment)
        self->watch->segment (self->watch->arg, cursor.path, counted_size (self, &cursor));
    uint64_t end = scan_records (self, &cursor, next_first, &whole);
    if (end > self->extent->end)
        self->extent->end = end;
    if (whole && next && next->certain && link->size != LOG_SEGMENT_OPEN && end != next_first) {
        (void)error_set (&error, STATUS_CORRUPT, "it ends at offset %" PRIu64, end);
        tell_damage (self, &(log_damage_t){ .status = STATUS_CORRUPT,
                                            .path = cursor.path,
                                            .byte = cursor.at,
                                            .what = error.text,
                                            .from = end,
                                            .to = next_first });
    }
    log_cursor_release (&cursor);
}

/* ---- all ---- */

static void scan (log_checker_t *self)
{
    log_extent_t *extent = self->extent;
    extent->exists = true;
    extent->epoch = self->all.link[self->all.count - 1].id.epoch;
    self->links = mem_zero (self->all.count, sizeof *self->links);
    walk (self);
    extent->segments = self->links_count;
    extent->start = extent->end = self->links[self->links_count - 1].id.first;
    for (size_t i = self->links_count; i-- > 0;)
        if (!self->links[i].damaged)
            scan_link (self, &self->links[i], i > 0 ? &self->links[i - 1] : NULL);
    tell_void_segments (self);
    mem_free (self->links);
}

status_t log_check (fs_t *fs, const char *dir, const log_identity_t *identity, bool live,
                    const log_watch_t *watch, log_extent_t *extent, error_t *error)
{
    *extent = (log_extent_t){ .exists = false };
    log_checker_t self = {
        .fs = fs, .dir = dir, .identity = identity, .live = live, .watch = watch, .extent = extent
    };
    status_t status = log_chain_list (fs, dir, &self.all, error);
    if (status == STATUS_OK && self.all.count > 0)
        scan (&self);
    if (status == STATUS_OK)
        status = fs_list (fs, dir, look_for_leftover, &self, error);
    log_chain_release (&self.all);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* ---- for copying ---- */

/* Where the whole records of the last segment end. */
static status_t whole_size (fs_t *fs, const char *dir, const log_identity_t *identity,
                            log_segment_id_t id, uint64_t *size, error_t *error)
{
    log_cursor_t cursor;
    status_t status = log_cursor_init (&cursor, fs, dir, identity, id, LOG_SEGMENT_OPEN, error);
    while (status == STATUS_OK) {
        log_record_t record;
        status = log_cursor_next (&cursor, &record, error);
    }
    if (status == STATUS_CORRUPT && cursor.file)
        status = log_cursor_check_torn (&cursor, error);
    *size = cursor.at;
    log_cursor_release (&cursor);
    return status == STATUS_END ? STATUS_OK : status;
}

status_t log_pieces (fs_t *fs, const char *dir, const log_identity_t *identity,
                     log_piece_t **pieces, size_t *count, error_t *error)
{
    log_chain_t chain;
    *pieces = NULL;
    *count = 0;
    status_t status = log_chain_load (fs, dir, identity, 0, &chain, error);
    uint64_t last = 0;
    if (status == STATUS_OK && chain.count > 0)
        status = whole_size (fs, dir, identity, chain.link[chain.count - 1].id, &last, error);
    if (status == STATUS_OK && chain.count > 0) {
        *pieces = mem_zero (chain.count, sizeof **pieces);
        *count = chain.count;
        for (size_t i = 0; i < chain.count; i++) {
            log_piece_t *piece = &(*pieces)[i];
            log_segment_name (chain.link[i].id, piece->name);
            piece->last = i + 1 == chain.count;
            piece->size = piece->last ? last : chain.link[i].size;
        }
    }
    log_chain_release (&chain);
    return status;
}
