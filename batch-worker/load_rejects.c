/* load_rejects.c - records that were refused, as they were, for the user to mend and load again. */
#include "batch-worker/load.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>

enum { REJECTS_BUFFER = 1 << 18 }; /* bytes written at once */

struct rejects {
    const char *path; /* of this attempt, until it is whole */
    file_t *file;
    uint64_t at;
    buf_t buffer;
};

static status_t write_buffer (load_t *self, error_t *error)
{
    rejects_t *rejects = self->rejects;
    status_t status = fs_write (self->fs, rejects->file, rejects->at, rejects->buffer.data,
                                rejects->buffer.size, error);
    rejects->at += rejects->buffer.size;
    buf_clear (&rejects->buffer);
    return status;
}

static status_t put_line (load_t *self, text_t line, error_t *error)
{
    buf_t *buffer = &self->rejects->buffer;
    buf_put (buffer, line.data, line.size);
    buf_put_u8 (buffer, '\n');
    CHECK (!buffer->bad);
    return buffer->size < REJECTS_BUFFER ? STATUS_OK : write_buffer (self, error);
}

static status_t begin (load_t *self, text_t header, error_t *error)
{
    task_t *task = self->task;
    const char *path =
        task_format (task, "incoming/%" PRIu64 "-%" PRIu64 ".rejects.tmp", task->id, task->attempt);
    status_t status = fs_make_dir (self->fs, "incoming", error);
    if (status != STATUS_OK)
        return status;
    self->rejects = mem_zero (1, sizeof *self->rejects);
    self->rejects->path = path;
    buf_init (&self->rejects->buffer, REJECTS_BUFFER + 2 * TEXT_LINE_MAX);
    status = fs_open (self->fs, path, FS_CREATE, &self->rejects->file, error);
    if (status != STATUS_OK)
        return status;
    task_wrote (task, path);
    return task->load.format == FORMAT_CSV ? put_line (self, header, error) : STATUS_OK;
}

status_t load_reject (load_t *self, text_t header, text_t record, error_t *error)
{
    status_t status = self->rejects == NULL ? begin (self, header, error) : STATUS_OK;
    return status == STATUS_OK ? put_line (self, record, error) : status;
}

/* The attempts of a load refuse the same rows, so that the last one to rename does no harm; but one
 * that nobody waits for any more may come after an erasure. */
status_t load_rejects_close (load_t *self, error_t *error)
{
    if (self->rejects == NULL)
        return STATUS_OK;
    const char *path = task_format (self->task, "incoming/%s.rejects", self->task->load.id);
    status_t status = write_buffer (self, error);
    if (status == STATUS_OK)
        status = fs_sync (self->fs, self->rejects->file, error);
    fs_close (self->fs, &self->rejects->file);
    if (status == STATUS_OK)
        status = task_go_on (self->task, error);
    if (status == STATUS_OK)
        status = fs_rename (self->fs, self->rejects->path, path, error);
    if (status == STATUS_OK)
        status = fs_sync_dir (self->fs, "incoming", error);
    self->task->rejects = path;
    return status;
}

void load_rejects_release (load_t *self)
{
    if (self->rejects == NULL)
        return;
    fs_close (self->fs, &self->rejects->file);
    buf_release (&self->rejects->buffer);
    mem_free (self->rejects);
    self->rejects = NULL;
}
