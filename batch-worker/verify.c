/* verify.c - whether anything is left of an erased entity: every file of a partition is looked at.
 *
 * Runs are read, row by row. A segment of the log holds offsets from the one in its name on, so one
 * that begins at or below the record is what still may hold it; so may a view file with a cut
 * there. Files that later tasks than the erasure's are writing just now are not theirs. */
#include "batch-worker/build.h"

#include "base/check.h"
#include "base/mem.h"
#include "batchview/batchview.h"
#include "intake/logged.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct look {
    build_t build; /* of whom the runs are opened */
    task_t *task;
    eraser_t eraser;
    const char *dir; /* that is being listed */
    const char **names;
    size_t count;
    uint64_t found;
} look_t;

static void add_name (void *arg, const char *name)
{
    look_t *self = arg;
    if (self->count % 64 == 0)
        self->names = mem_resize (self->names, self->count + 64, sizeof (char *));
    self->names[self->count++] = arena_string (self->task->arena, text_of (name));
}

static status_t list (look_t *self, const char *root, error_t *error)
{
    self->dir =
        logged_dir (self->task->arena, root, self->build.log.name, self->task->verify.partition);
    self->count = 0;
    status_t status = fs_list (self->build.fs, self->dir, add_name, self, error);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static void found (look_t *self, const char *path, uint64_t rows)
{
    self->found += rows;
    if (rows > 0 && self->task->found == NULL)
        self->task->found = task_format (self->task, "%s", path);
}

static bool ends_with (const char *name, const char *end)
{
    size_t size = strlen (name);
    return size >= strlen (end) && strcmp (name + size - strlen (end), end) == 0;
}

/* Did a task write it that never read what held the entity? */
static bool is_later (const look_t *self, const char *name)
{
    return strtoull (name, NULL, 10) >= self->task->verify.before_task;
}

/* ---- runs ---- */

static const task_run_t *listed (const look_t *self, const char *path)
{
    const task_runs_t *runs = &self->task->verify.runs;
    for (size_t i = 0; i < runs->count; i++)
        if (strcmp (runs->items[i].path, path) == 0)
            return &runs->items[i];
    return NULL;
}

static status_t read_run (look_t *self, const task_run_t *item, run_t *run, error_t *error)
{
    uint64_t wanted[BLOCK_WANTED_WORDS] = { 0 };
    run_cursor_t *cursor = NULL;
    uint64_t rows = 0;
    eraser_wanted (&self->eraser, wanted);
    status_t status = build_open_cursor (&self->build, run, wanted, &cursor, error);
    while (status == STATUS_OK) {
        batch_t batch;
        status = run_cursor_next (cursor, &batch, error);
        for (size_t i = 0; status == STATUS_OK && i < batch.rows; i++)
            rows += eraser_find (&self->eraser, &batch, i) >= 0;
        if (status == STATUS_OK)
            self->task->rows += batch.rows;
        if (status == STATUS_OK)
            status = task_go_on (self->task, error);
    }
    run_cursor_destroy (&cursor);
    found (self, item->path, rows);
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t look_at_run (look_t *self, const char *name, error_t *error)
{
    const char *path = task_format (self->task, "%s/%s", self->dir, name);
    const task_run_t *item = listed (self, path);
    /* as they are written, rows of a load say nothing of when they came */
    if (!item && is_later (self, name) && strstr (name, "-load-"))
        return STATUS_OK;
    task_run_t other = { .path = path, .offset = RUN_OFFSET_AS_WRITTEN };
    run_t *run = NULL;
    status_t status = build_open_run (&self->build, item ? item : &other, &run, error);
    if (status == STATUS_OK) {
        self->task->files++;
        status = read_run (self, item ? item : &other, run, error);
    } else if (!item && (is_later (self, name) || status == STATUS_NOT_FOUND)) {
        status = STATUS_OK; /* it is being written, or was removed meanwhile */
    }
    run_destroy (&run);
    return status;
}

static status_t look_at_runs (look_t *self, error_t *error)
{
    status_t status = list (self, "history", error);
    for (size_t i = 0; i < self->count && status == STATUS_OK; i++)
        if (ends_with (self->names[i], ".run"))
            status = look_at_run (self, self->names[i], error);
    return status;
}

/* ---- views, and the log ---- */

static status_t look_at_view (look_t *self, const char *name, error_t *error)
{
    const char *path = task_format (self->task, "%s/%s", self->dir, name);
    batchview_t *view = NULL;
    status_t status = batchview_open (self->build.fs, path, &view, error);
    if (status == STATUS_OK) {
        self->task->files++;
        found (self, path, batchview_info (view)->cut <= self->task->verify.erasure.offset);
    } else if (is_later (self, name) || status == STATUS_NOT_FOUND) {
        status = STATUS_OK;
    }
    batchview_unref (&view);
    return status;
}

static status_t look_at_views (look_t *self, error_t *error)
{
    status_t status = list (self, "views", error);
    for (size_t i = 0; i < self->count && status == STATUS_OK; i++) {
        if (ends_with (self->names[i], ".view"))
            status = look_at_view (self, self->names[i], error);
        if (status == STATUS_OK)
            status = task_go_on (self->task, error);
    }
    return status;
}

static status_t look_at_log (look_t *self, error_t *error)
{
    status_t status = list (self, "log", error);
    for (size_t i = 0; i < self->count && status == STATUS_OK; i++) {
        self->task->files++;
        found (self, task_format (self->task, "%s/%s", self->dir, self->names[i]),
               strtoull (self->names[i], NULL, 10) <= self->task->verify.erasure.offset);
    }
    return status;
}

status_t task_verify (task_t *task, error_t *error)
{
    build_order_t order = { .log = task->verify.log, .partition = task->verify.partition };
    look_t self = { .task = task };
    self.build = (build_t){ .task = task, .order = &order, .fs = task->setting.fs };
    status_t status = build_of_log (&self.build, error);
    if (status == STATUS_OK)
        status = eraser_init (&self.eraser, task->model, &self.build.log, &task->verify.erasure, 1,
                              error);
    if (status == STATUS_OK)
        status = look_at_log (&self, error);
    if (status == STATUS_OK)
        status = look_at_runs (&self, error);
    if (status == STATUS_OK)
        status = look_at_views (&self, error);
    task->erased = arena_zero (task->arena, 1, sizeof *task->erased);
    task->erased[0] = self.found;
    task->erased_count = 1;
    eraser_release (&self.eraser);
    mem_free (self.names);
    return status;
}
