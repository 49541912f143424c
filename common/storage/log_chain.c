#include "storage/log_chain.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void log_chain_add (log_chain_t *self, log_segment_id_t id, uint64_t size)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity * 2 + 8;
        self->link = mem_resize (self->link, self->capacity, sizeof *self->link);
    }
    self->link[self->count++] = (log_chain_link_t){ id, size };
}

void log_chain_drop (log_chain_t *self, size_t count)
{
    CHECK (count <= self->count);
    self->count -= count;
    memmove (self->link, self->link + count, self->count * sizeof *self->link);
}

void log_chain_release (log_chain_t *self)
{
    mem_free (self->link);
    *self = (log_chain_t){ 0 };
}

static int compare_ids (log_segment_id_t a, log_segment_id_t b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return a.first < b.first ? -1 : a.first > b.first;
}

static int compare_links (const void *a, const void *b)
{
    return compare_ids (((const log_chain_link_t *)a)->id, ((const log_chain_link_t *)b)->id);
}

static void add_name (void *arg, const char *name)
{
    log_chain_t *all = arg;
    log_segment_id_t id;
    if (all->count <= LOG_SEGMENTS_MAX && log_segment_parse_name (name, &id))
        log_chain_add (all, id, LOG_SEGMENT_OPEN);
}

status_t log_chain_list (fs_t *fs, const char *dir, log_chain_t *all, error_t *error)
{
    all->count = 0;
    status_t status = fs_list (fs, dir, add_name, all, error);
    if (status != STATUS_OK)
        return status;
    if (all->count > LOG_SEGMENTS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%s: more than %d segments", dir,
                          LOG_SEGMENTS_MAX);
    if (all->count > 1)
        qsort (all->link, all->count, sizeof *all->link, compare_links);
    return STATUS_OK;
}

static bool listed (const log_chain_t *all, log_segment_id_t id)
{
    log_chain_link_t key = { id, LOG_SEGMENT_OPEN };
    return bsearch (&key, all->link, all->count, sizeof key, compare_links) != NULL;
}

static void reverse (log_chain_t *self)
{
    for (size_t i = 0; i < self->count / 2; i++) {
        log_chain_link_t link = self->link[i];
        self->link[i] = self->link[self->count - 1 - i];
        self->link[self->count - 1 - i] = link;
    }
}

/* Each step goes to a lower id (log_segment_decode sees to it), so that this ends. */
static status_t walk_back (fs_t *fs, const char *dir, const log_identity_t *identity, uint64_t from,
                           const log_chain_t *all, log_chain_t *chain, error_t *error)
{
    log_segment_id_t id = all->link[all->count - 1].id;
    uint64_t size = LOG_SEGMENT_OPEN;
    for (;;) {
        file_t *file = NULL;
        log_segment_header_t header;
        uint64_t seed;
        status_t status = log_segment_open (fs, dir, identity, id, &file, &header, &seed, error);
        fs_close (fs, &file);
        if (status == STATUS_NOT_FOUND && chain->count > 0)
            return STATUS_OK; /* trimmed since it was listed */
        if (status != STATUS_OK)
            return status;
        log_chain_add (chain, id, size);
        if (id.first <= from || header.previous_size == 0 || !listed (all, header.previous))
            return STATUS_OK;
        id = header.previous;
        size = header.previous_size;
    }
}

status_t log_chain_load (fs_t *fs, const char *dir, const log_identity_t *identity, uint64_t from,
                         log_chain_t *chain, error_t *error)
{
    log_chain_t all = { 0 };
    *chain = (log_chain_t){ 0 };
    status_t status = log_chain_list (fs, dir, &all, error);
    if (status == STATUS_OK && all.count > 0)
        status = walk_back (fs, dir, identity, from, &all, chain, error);
    log_chain_release (&all);
    reverse (chain);
    return status;
}
