#include "speed-worker/retired.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdatomic.h>

enum { RETIRED_MAGIC = 0x52455449 };

/* On the job's thread only `epochs` and `left` are touched: references to a model are counted on
 * the core's. */
typedef struct retiring {
    job_t job; /* first */
    struct retiring *next;
    epochs_t *epochs;
    model_t *model;
    retired_why_t why;
    size_t bytes;       /* at first … */
    atomic_size_t left; /* … and now */
} retiring_t;

struct retired {
    uint32_t magic;
    env_t *env;
    uint32_t lane;
    bool closed;
    retiring_t *jobs; /* under way */
    uint64_t trimmed; /* bytes that have gone */
};

retired_t *retired_new (env_t *env, uint32_t lane)
{
    retired_t *self = mem_zero (1, sizeof *self);
    self->magic = RETIRED_MAGIC;
    self->env = env;
    self->lane = lane;
    return self;
}

void retired_destroy (retired_t **self_p)
{
    retired_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, RETIRED_MAGIC);
    self->magic = 0;
    mem_free (self);
}

void retired_close (retired_t *self)
{
    CHECK_OBJECT (self, RETIRED_MAGIC);
    self->closed = true;
}

static void retiring_run (job_t *job)
{
    retiring_t *self = (retiring_t *)job;
    bool more;
    do {
        more = epochs_destroy_some (&self->epochs);
        atomic_store (&self->left, epochs_memory (self->epochs));
    } while (more);
}

static void retiring_discard (job_t *job)
{
    retiring_t *self = (retiring_t *)job;
    epochs_destroy (&self->epochs);
    model_unref (&self->model);
    mem_free (self);
}

void retired_take (retired_t *self, epochs_t **epochs, model_t *model, retired_why_t why)
{
    CHECK_OBJECT (self, RETIRED_MAGIC);
    if (*epochs == NULL)
        return;
    if (self->closed) {
        epochs_destroy (epochs);
        return;
    }
    retiring_t *job = mem_zero (1, sizeof *job);
    job->job = (job_t){
        .run = retiring_run, .discard = retiring_discard, .lane = self->lane, .behind = true
    };
    job->epochs = *epochs;
    job->model = model_ref (model);
    job->why = why;
    job->bytes = epochs_memory (*epochs);
    atomic_init (&job->left, job->bytes);
    job->next = self->jobs;
    self->jobs = job;
    *epochs = NULL;
    self->env->submit (self->env, &job->job);
}

bool retired_job_done (retired_t *self, job_t *job)
{
    CHECK_OBJECT (self, RETIRED_MAGIC);
    for (retiring_t **at = &self->jobs; *at; at = &(*at)->next) {
        retiring_t *done = *at;
        if (&done->job != job)
            continue;
        *at = done->next;
        if (done->why == RETIRED_TRIMMED)
            self->trimmed += done->bytes;
        job->discard (job);
        return true;
    }
    return false;
}

void retired_measure (const retired_t *self, memory_t *memory)
{
    CHECK_OBJECT (self, RETIRED_MAGIC);
    memory->trimmed += self->trimmed;
    for (const retiring_t *job = self->jobs; job; job = job->next) {
        size_t left = atomic_load (&job->left);
        memory->views += left;
        if (job->why == RETIRED_TRIMMED)
            memory->trimmed += job->bytes - left;
    }
}
