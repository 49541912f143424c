#include "storage/log_trim.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

/* ---- segments that were not finished ---- */

typedef struct leftovers {
    char **path;
    size_t count;
    size_t capacity;
    const char *dir;
    uint64_t epoch;
    uint64_t below;
} leftovers_t;

static void add_leftover (void *arg, const char *name)
{
    leftovers_t *self = arg;
    char segment[LOG_SEGMENT_NAME];
    log_segment_id_t id;
    if (strlen (name) != sizeof segment - 1 + 4 || strcmp (name + sizeof segment - 1, ".tmp") != 0)
        return;
    memcpy (segment, name, sizeof segment - 1);
    segment[sizeof segment - 1] = '\0';
    if (!log_segment_parse_name (segment, &id) || id.epoch > self->epoch || id.first >= self->below)
        return;
    if (self->count == self->capacity) {
        self->capacity = self->capacity * 2 + 8;
        self->path = mem_resize (self->path, self->capacity, sizeof *self->path);
    }
    self->path[self->count++] = mem_format ("%s/%s", self->dir, name);
}

status_t log_remove_leftovers (fs_t *fs, const char *dir, uint64_t epoch, uint64_t below,
                               error_t *error)
{
    leftovers_t found = { .dir = dir, .epoch = epoch, .below = below };
    status_t status = fs_list (fs, dir, add_leftover, &found, error);
    for (size_t i = 0; i < found.count; i++) {
        if (status == STATUS_OK)
            status = fs_remove (fs, found.path[i], error);
        mem_free (found.path[i]);
    }
    mem_free (found.path);
    return status;
}

/* ---- trimming ---- */

static status_t remove_segment (log_trim_t *self, log_segment_id_t id, error_t *error)
{
    char *path = log_segment_path (self->dir, id, false);
    fs_forget (self->fs, path);
    status_t status = fs_remove (self->fs, path, error);
    mem_free (path);
    return status;
}

static bool in_chain (const log_trim_t *self, log_segment_id_t id)
{
    for (size_t i = 0; i < self->chain.count; i++)
        if (self->chain.link[i].id.first == id.first && self->chain.link[i].id.epoch == id.epoch)
            return true;
    return false;
}

/* Segments that earlier owners began after they had been replaced. */
static status_t remove_void (log_trim_t *self, error_t *error)
{
    log_chain_t all = { 0 };
    status_t status = log_chain_list (self->fs, self->dir, &all, error);
    for (size_t i = 0; status == STATUS_OK && i < all.count; i++) {
        log_segment_id_t id = all.link[i].id;
        if (id.epoch < self->epoch && id.first < self->below && !in_chain (self, id))
            status = remove_segment (self, id, error);
    }
    log_chain_release (&all);
    return status;
}

static void trim_run (job_t *job)
{
    log_trim_t *self = (log_trim_t *)job;
    CHECK_OBJECT (self, LOG_TRIM_MAGIC);
    CHECK (!self->ran);
    error_clear (&self->error);
    status_t status = remove_void (self, &self->error);
    /* One that was replaced while it began a segment may have made it after our log was opened. */
    if (status == STATUS_OK)
        status =
            log_remove_leftovers (self->fs, self->dir, self->epoch - 1, self->below, &self->error);
    while (status == STATUS_OK && self->removed < self->removable) {
        status = remove_segment (self, self->chain.link[self->removed].id, &self->error);
        if (status == STATUS_OK)
            status = fs_sync_dir (self->fs, self->dir, &self->error);
        if (status == STATUS_OK)
            self->removed++;
    }
    self->error.status = status;
    self->ran = true;
}

static void trim_discard (job_t *job)
{
    log_trim_t *self = (log_trim_t *)job;
    log_trim_destroy (&self);
}

log_trim_t *log_trim_new (fs_t *fs, const char *dir, const log_chain_t *chain, size_t removable,
                          uint64_t below, uint64_t epoch)
{
    CHECK (removable < chain->count);
    log_trim_t *self = mem_zero (1, sizeof *self);
    self->magic = LOG_TRIM_MAGIC;
    self->job.run = trim_run;
    self->job.discard = trim_discard;
    self->fs = fs;
    self->dir = mem_string (dir);
    self->epoch = epoch;
    self->below = below;
    self->removable = removable;
    for (size_t i = 0; i < chain->count; i++)
        log_chain_add (&self->chain, chain->link[i].id, LOG_SEGMENT_OPEN);
    return self;
}

void log_trim_destroy (log_trim_t **self_p)
{
    log_trim_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, LOG_TRIM_MAGIC);
    log_chain_release (&self->chain);
    mem_free (self->dir);
    self->magic = 0;
    mem_free (self);
}

job_t *log_trim_job (log_trim_t *trim)
{
    CHECK_OBJECT (trim, LOG_TRIM_MAGIC);
    return &trim->job;
}
