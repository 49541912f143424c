#include "node/jobs.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    MAGIC = 0x4a4f4253,
    BUCKETS = 256,
};

typedef struct queue {
    job_t *first;
    job_t *last;
} queue_t;

/* Exists while it has a job that waits or runs. */
typedef struct lane lane_t;
struct lane {
    uint32_t number;
    queue_t waiting;
    lane_t *next_ready;
    lane_t *next_in_bucket; /* also links the lanes that are kept for later */
};

/* Lanes that a thread may take a job from, for some of the threads. */
typedef struct ready {
    pthread_cond_t changed;
    lane_t *first;
    lane_t *last;
} ready_t;

struct jobs {
    uint32_t magic;
    int event;
    unsigned thread_count;
    pthread_t threads[2 * JOBS_THREADS_MAX];
    int nice;              /* of those for what nobody waits for */
    pthread_mutex_t mutex; /* guards all below */
    bool stopping;
    lane_t *buckets[BUCKETS];
    lane_t *spare;
    ready_t usual;
    ready_t behind;
    queue_t finished;
};

static void queue_put (queue_t *queue, job_t *job)
{
    job->next = NULL;
    if (queue->last)
        queue->last->next = job;
    else
        queue->first = job;
    queue->last = job;
}

static job_t *queue_take (queue_t *queue)
{
    job_t *job = queue->first;
    if (!job)
        return NULL;
    queue->first = job->next;
    if (!queue->first)
        queue->last = NULL;
    job->next = NULL;
    return job;
}

static void lock (jobs_t *self)
{
    CHECK (pthread_mutex_lock (&self->mutex) == 0);
}

static void unlock (jobs_t *self)
{
    CHECK (pthread_mutex_unlock (&self->mutex) == 0);
}

/* ---- lanes; called with the lock held ---- */

static lane_t **bucket_of (jobs_t *self, uint32_t number)
{
    return &self->buckets[(number * UINT32_C (0x9e3779b1)) >> 24];
}

static lane_t *find_lane (jobs_t *self, uint32_t number)
{
    lane_t *lane = *bucket_of (self, number);
    while (lane && lane->number != number)
        lane = lane->next_in_bucket;
    return lane;
}

static lane_t *add_lane (jobs_t *self, uint32_t number)
{
    lane_t *lane = self->spare;
    if (lane)
        self->spare = lane->next_in_bucket;
    else
        lane = mem_alloc (sizeof *lane);
    lane_t **bucket = bucket_of (self, number);
    *lane = (lane_t){ .number = number, .next_in_bucket = *bucket };
    *bucket = lane;
    return lane;
}

static void remove_lane (jobs_t *self, lane_t *lane)
{
    lane_t **at = bucket_of (self, lane->number);
    while (*at != lane)
        at = &(*at)->next_in_bucket;
    *at = lane->next_in_bucket;
    lane->next_in_bucket = self->spare;
    self->spare = lane;
}

static void make_ready (jobs_t *self, lane_t *lane)
{
    ready_t *ready = lane->waiting.first->behind ? &self->behind : &self->usual;
    lane->next_ready = NULL;
    if (ready->last)
        ready->last->next_ready = lane;
    else
        ready->first = lane;
    ready->last = lane;
    CHECK (pthread_cond_signal (&ready->changed) == 0);
}

static lane_t *take_ready (ready_t *self)
{
    lane_t *lane = self->first;
    self->first = lane->next_ready;
    if (!self->first)
        self->last = NULL;
    return lane;
}

/* ---- threads ---- */

static void wake (jobs_t *self)
{
    uint64_t one = 1;
    ssize_t written;
    do {
        written = write (self->event, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    CHECK (written == sizeof one);
}

/* Runs one job of a lane that is ready; the lock is held before and after. */
static void run_one (jobs_t *self, ready_t *ready)
{
    lane_t *lane = take_ready (ready);
    job_t *job = queue_take (&lane->waiting);
    unlock (self);
    job->run (job);
    lock (self);
    bool was_empty = self->finished.first == NULL;
    queue_put (&self->finished, job);
    if (lane->waiting.first)
        make_ready (self, lane);
    else
        remove_lane (self, lane);
    if (was_empty)
        wake (self);
}

static void work (jobs_t *self, ready_t *ready)
{
    lock (self);
    while (!self->stopping) {
        if (ready->first)
            run_one (self, ready);
        else
            CHECK (pthread_cond_wait (&ready->changed, &self->mutex) == 0);
    }
    unlock (self);
}

static void *work_usual (void *arg)
{
    jobs_t *self = arg;
    work (self, &self->usual);
    return NULL;
}

static void *work_behind (void *arg)
{
    jobs_t *self = arg;
    scheduling_behind (self->nice);
    work (self, &self->behind);
    return NULL;
}

/* Signals are for the thread of the event loop. An errno value. */
static int start_threads (jobs_t *self, unsigned threads)
{
    sigset_t all, before;
    int code = 0;
    sigfillset (&all);
    CHECK (pthread_sigmask (SIG_SETMASK, &all, &before) == 0);
    while (code == 0 && self->thread_count < 2 * threads) {
        code = pthread_create (&self->threads[self->thread_count], NULL,
                               self->thread_count < threads ? work_usual : work_behind, self);
        self->thread_count += code == 0;
    }
    CHECK (pthread_sigmask (SIG_SETMASK, &before, NULL) == 0);
    return code;
}

status_t jobs_new (unsigned threads, int nice, jobs_t **jobs, error_t *error)
{
    CHECK (threads >= 1 && threads <= JOBS_THREADS_MAX);
    *jobs = NULL;
    int event = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return error_set_errno (error, errno, "cannot make an eventfd");
    jobs_t *self = mem_zero (1, sizeof *self);
    self->magic = MAGIC;
    self->event = event;
    self->nice = nice;
    CHECK (pthread_mutex_init (&self->mutex, NULL) == 0);
    CHECK (pthread_cond_init (&self->usual.changed, NULL) == 0);
    CHECK (pthread_cond_init (&self->behind.changed, NULL) == 0);
    int code = start_threads (self, threads);
    if (code != 0) {
        jobs_destroy (&self);
        return error_set_errno (error, code, "cannot start %u threads", threads);
    }
    *jobs = self;
    return STATUS_OK;
}

void jobs_stop (jobs_t *self)
{
    CHECK_OBJECT (self, MAGIC);
    lock (self);
    self->stopping = true;
    CHECK (pthread_cond_broadcast (&self->usual.changed) == 0);
    CHECK (pthread_cond_broadcast (&self->behind.changed) == 0);
    unlock (self);
    while (self->thread_count > 0)
        CHECK (pthread_join (self->threads[--self->thread_count], NULL) == 0);
}

static void discard_all (queue_t *queue)
{
    for (job_t *job = queue_take (queue); job; job = queue_take (queue))
        job->discard (job);
}

static void free_lanes (lane_t *lane)
{
    while (lane) {
        lane_t *next = lane->next_in_bucket;
        discard_all (&lane->waiting);
        mem_free (lane);
        lane = next;
    }
}

void jobs_destroy (jobs_t **self_p)
{
    jobs_t *self = *self_p;
    if (!self)
        return;
    jobs_stop (self);
    discard_all (&self->finished);
    for (size_t i = 0; i < BUCKETS; i++)
        free_lanes (self->buckets[i]);
    free_lanes (self->spare);
    close (self->event);
    CHECK (pthread_cond_destroy (&self->usual.changed) == 0);
    CHECK (pthread_cond_destroy (&self->behind.changed) == 0);
    CHECK (pthread_mutex_destroy (&self->mutex) == 0);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

/* ---- the core's side ---- */

void jobs_submit (jobs_t *self, job_t *job)
{
    CHECK_OBJECT (self, MAGIC);
    lock (self);
    lane_t *lane = find_lane (self, job->lane);
    bool is_idle = lane == NULL;
    if (is_idle)
        lane = add_lane (self, job->lane);
    queue_put (&lane->waiting, job);
    if (is_idle)
        make_ready (self, lane);
    unlock (self);
}

job_t *jobs_finished (jobs_t *self)
{
    CHECK_OBJECT (self, MAGIC);
    lock (self);
    job_t *job = queue_take (&self->finished);
    unlock (self);
    return job;
}

int jobs_fd (const jobs_t *self)
{
    CHECK_OBJECT (self, MAGIC);
    return self->event;
}

void jobs_acknowledge (jobs_t *self)
{
    CHECK_OBJECT (self, MAGIC);
    uint64_t count;
    if (read (self->event, &count, sizeof count) < 0)
        CHECK (errno == EAGAIN || errno == EINTR);
}
