/* load.c - a file becomes sorted runs, a few for every partition that it has rows of. */
#include "batch-worker/load.h"

#include "base/mem.h"

/* Each thread has a reader, a sort and the blocks of a run that it writes. */
enum { THREAD_BYTES = 16 << 20 };

static status_t find_stream (load_t *self, error_t *error)
{
    task_t *task = self->task;
    self->stream = definitions_stream (task->model->definitions, task->load.stream);
    if (self->stream == NULL)
        return error_set (error, STATUS_NOT_FOUND, "there is no stream '" TEXT_FORMAT "'",
                          TEXT_ARGS (task->load.stream));
    return STATUS_OK;
}

static unsigned crew_of (const task_setting_t *setting)
{
    uint64_t fit = setting->memory_limit / THREAD_BYTES;
    uint64_t threads = setting->threads < CREW_MAX ? setting->threads : CREW_MAX;
    threads = fit < threads ? fit : threads;
    return threads > 0 ? (unsigned)threads : 1;
}

status_t task_load (task_t *task, error_t *error)
{
    load_t self = { .task = task, .fs = task->setting.fs };
    status_t status = find_stream (&self, error);
    if (status != STATUS_OK)
        return status;
    self.crew = crew_new (crew_of (&task->setting));
    status = load_runs_prepare (&self, error);
    if (status == STATUS_OK)
        status = task->load.from_history ? load_read_history (&self, error)
                                         : load_read_file (&self, error);
    load_rejects_release (&self);
    load_runs_release (&self);
    crew_destroy (&self.crew);
    return status;
}
