/* Rows of entities that are to be erased: found, and left out of what a build writes. */
#include "batch-worker/erase.h"

#include "base/check.h"
#include "base/mem.h"
#include "batch-worker/build.h"
#include "block/block.h"

/* ---- told from others ---- */

status_t eraser_init (eraser_t *self, model_t *model, const keyed_log_t *log, const erasure_t *list,
                      size_t count, error_t *error)
{
    *self = (eraser_t){ .list = list, .count = count, .keyed = log->primary };
    buf_init (&self->key, 2 * KEY_SIZE_MAX);
    if (!model_log (model, text_of (log->stream->log_name), &self->own))
        return error_set (error, STATUS_NOT_FOUND, "stream %s has no log of its own",
                          log->stream->name);
    return STATUS_OK;
}

void eraser_release (eraser_t *self)
{
    buf_release (&self->key);
}

void eraser_wanted (const eraser_t *self, uint64_t *wanted)
{
    for (size_t i = 0; i < self->own.key_count; i++)
        block_want (wanted, self->own.key[i]);
}

int eraser_find (eraser_t *self, const batch_t *batch, size_t row)
{
    text_t key = self->keyed ? batch->key[row] : (text_t){ 0 };
    if (!self->keyed) {
        buf_clear (&self->key);
        if (!keyed_log_key (&self->own, batch, row, &self->key))
            return -1;
        key = (text_t){ (const char *)self->key.data, (uint32_t)self->key.size };
    }
    for (size_t i = 0; i < self->count; i++)
        if (batch->offset[row] < self->list[i].offset &&
            batch->event_time[row] < self->list[i].before && text_equal (key, self->list[i].key))
            return (int)i;
    return -1;
}

/* ---- runs without them ---- */

static bool stays (build_t *self, const batch_t *batch, size_t row)
{
    int erasure = eraser_find (&self->eraser, batch, row);
    if (erasure >= 0)
        self->task->erased[erasure]++;
    return erasure < 0 && !build_excludes (self->order, batch->offset[row]);
}

static status_t copy_stretches (build_t *self, run_writer_t *writer, const batch_t *batch,
                                uint64_t *rows, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t from = 0; from < batch->rows && status == STATUS_OK;) {
        size_t to = from;
        while (to < batch->rows && stays (self, batch, to))
            to++;
        if (to > from)
            status = run_writer_add (writer, batch, from, to, error);
        *rows += to - from;
        from = to + 1; /* past the one that goes */
    }
    return status;
}

static status_t copy_run (build_t *self, run_cursor_t *cursor, run_writer_t *writer, uint64_t *rows,
                          error_t *error)
{
    for (;;) {
        batch_t batch;
        status_t status = run_cursor_next (cursor, &batch, error);
        if (status == STATUS_END)
            return STATUS_OK;
        if (status == STATUS_OK)
            status = copy_stretches (self, writer, &batch, rows, error);
        if (status == STATUS_OK)
            status = task_go_on (self->task, error);
        if (status != STATUS_OK)
            return status;
    }
}

/* The run becomes another one, or none when no row stays. */
static status_t rewrite (build_t *self, const run_t *run, error_t *error)
{
    const char *path = build_run_path (self);
    run_cursor_t *cursor = NULL;
    run_writer_t *writer = NULL;
    run_info_t info;
    uint64_t rows = 0;
    status_t status = build_open_cursor (self, run, NULL, &cursor, error);
    if (status == STATUS_OK)
        status = run_writer_new (self->fs, path, &self->schema, &writer, error);
    if (status == STATUS_OK)
        status = copy_run (self, cursor, writer, &rows, error);
    if (status == STATUS_OK && rows > 0)
        status = run_writer_finish (writer, &info, error);
    if (status == STATUS_OK && rows > 0)
        build_add_run (self, path, &info);
    run_writer_destroy (&writer);
    run_cursor_destroy (&cursor);
    return status;
}

static status_t has_some (build_t *self, const run_t *run, bool *has, error_t *error)
{
    uint64_t wanted[BLOCK_WANTED_WORDS] = { 0 };
    run_cursor_t *cursor = NULL;
    *has = false;
    eraser_wanted (&self->eraser, wanted);
    status_t status = build_open_cursor (self, run, wanted, &cursor, error);
    while (status == STATUS_OK && !*has) {
        batch_t batch;
        status = run_cursor_next (cursor, &batch, error);
        for (size_t i = 0; status == STATUS_OK && i < batch.rows && !*has; i++)
            *has = eraser_find (&self->eraser, &batch, i) >= 0;
        if (status == STATUS_OK)
            status = task_go_on (self->task, error);
    }
    run_cursor_destroy (&cursor);
    return status == STATUS_END ? STATUS_OK : status;
}

status_t build_erase (build_t *self, error_t *error)
{
    if (self->eraser.count == 0)
        return STATUS_OK;
    task_runs_t before = self->runs;
    self->runs = (task_runs_t){ 0 };
    status_t status = STATUS_OK;
    for (size_t i = 0; i < before.count && status == STATUS_OK; i++) {
        run_t *run = NULL;
        bool has = false;
        status = build_open_run (self, &before.items[i], &run, error);
        if (status == STATUS_OK)
            status = has_some (self, run, &has, error);
        if (status == STATUS_OK && has)
            status = rewrite (self, run, error);
        else if (status == STATUS_OK)
            task_runs_add (&self->runs, &before.items[i]);
        run_destroy (&run);
    }
    task_runs_release (&before);
    return status;
}
