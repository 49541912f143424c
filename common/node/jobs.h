/* jobs.h - threads that run the jobs of a core (base/env.h).
 *
 * Jobs of one lane run one after the other in the order in which they were submitted; lanes run
 * concurrently. Jobs that nobody waits for have threads of their own, which leave the processors to
 * others (base/scheduling.h). The queue takes no memory: jobs are linked through job_t, and how
 * many there are is for the core to bound. */
#ifndef WEIR_NODE_JOBS_H
#define WEIR_NODE_JOBS_H

#include "base/env.h"

typedef struct jobs jobs_t;

/* Starts `threads` threads, 1 to JOBS_THREADS_MAX, and as many for what nobody waits for, which go
 * behind by `nice` (0 to SCHEDULING_NICE_MAX). IO when the system gives no more of them, or no
 * descriptor; then *jobs is NULL. */
enum { JOBS_THREADS_MAX = 64 };
MUST_CHECK status_t jobs_new (unsigned threads, int nice, jobs_t **jobs, error_t *error);

/* Discards the jobs that were not taken back, after jobs_stop. */
void jobs_destroy (jobs_t **self_p);

/* Takes the job until jobs_finished or jobs_destroy gives it back. */
void jobs_submit (jobs_t *self, job_t *job);

/* A job that has run, in the order of their ends; NULL when there is none. */
job_t *jobs_finished (jobs_t *self);

/* A descriptor that can be read when a job has run since jobs_acknowledge. */
int jobs_fd (const jobs_t *self);
/* To be called before jobs_finished, so that no end is missed. */
void jobs_acknowledge (jobs_t *self);

/* Waits for the jobs that are running and ends the threads; those in the queue stay there. */
void jobs_stop (jobs_t *self);

#endif
