#include "node/jobs.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

enum { LANES = 8, JOBS = 4000 };

TestSuite (jobs, .timeout = 60);

typedef struct counter {
    atomic_uint ran[LANES]; /* jobs of each lane that have run */
    atomic_uint inside[LANES];
    atomic_uint discarded;
    pthread_barrier_t barrier;
} counter_t;

typedef struct task {
    job_t job; /* first */
    counter_t *counter;
    unsigned lane;
    unsigned number; /* in its lane */
} task_t;

static void run_in_order (job_t *job)
{
    task_t *task = (task_t *)job;
    counter_t *counter = task->counter;
    CHECK (atomic_fetch_add (&counter->inside[task->lane], 1) == 0);
    CHECK (atomic_load (&counter->ran[task->lane]) == task->number);
    atomic_fetch_add (&counter->ran[task->lane], 1);
    CHECK (atomic_fetch_sub (&counter->inside[task->lane], 1) == 1);
}

static void run_together (job_t *job)
{
    task_t *task = (task_t *)job;
    pthread_barrier_wait (&task->counter->barrier);
}

static void discard (job_t *job)
{
    task_t *task = (task_t *)job;
    atomic_fetch_add (&task->counter->discarded, 1);
    mem_free (task);
}

static void submit (jobs_t *jobs, counter_t *counter, void (*run) (job_t *), unsigned lane,
                    unsigned number)
{
    task_t *task = mem_zero (1, sizeof *task);
    /* Numbers far apart that share buckets, as those of a core do. */
    task->job = (job_t){ .run = run, .discard = discard, .lane = lane * 65537 };
    task->counter = counter;
    task->lane = lane;
    task->number = number;
    jobs_submit (jobs, &task->job);
}

static task_t *wait_for_one (jobs_t *jobs)
{
    job_t *job = jobs_finished (jobs);
    while (!job) {
        struct pollfd wait = { .fd = jobs_fd (jobs), .events = POLLIN };
        cr_assert_eq (poll (&wait, 1, -1), 1);
        jobs_acknowledge (jobs);
        job = jobs_finished (jobs);
    }
    return (task_t *)job;
}

static jobs_t *start (unsigned threads)
{
    jobs_t *jobs;
    error_t error;
    cr_assert_eq (jobs_new (threads, 10, &jobs, &error), STATUS_OK, "%s", error.text);
    return jobs;
}

Test (jobs, a_lane_runs_and_finishes_in_the_order_of_submission)
{
    static counter_t counter;
    unsigned given[LANES] = { 0 }, taken[LANES] = { 0 };
    random_t random;
    random_seed (&random, 5);
    jobs_t *jobs = start (4);
    for (unsigned in = 0, out = 0; out < JOBS;) {
        if (in < JOBS && random_chance (&random, 0.6)) {
            unsigned lane = (unsigned)random_below (&random, LANES);
            submit (jobs, &counter, run_in_order, lane, given[lane]++);
            in++;
        } else if (out < in) {
            task_t *task = wait_for_one (jobs);
            cr_assert_eq (task->number, taken[task->lane]++);
            mem_free (task);
            out++;
        }
    }
    cr_assert_null (jobs_finished (jobs));
    jobs_destroy (&jobs);
    cr_assert_null (jobs);
    cr_assert_eq (atomic_load (&counter.discarded), 0);
}

Test (jobs, lanes_run_at_the_same_time)
{
    static counter_t counter;
    cr_assert_eq (pthread_barrier_init (&counter.barrier, NULL, 3), 0);
    jobs_t *jobs = start (3);
    for (unsigned lane = 0; lane < 3; lane++)
        submit (jobs, &counter, run_together, lane, 0);
    for (unsigned lane = 0; lane < 3; lane++)
        mem_free (wait_for_one (jobs));
    jobs_destroy (&jobs);
    pthread_barrier_destroy (&counter.barrier);
}

Test (jobs, what_was_not_taken_back_is_discarded_once)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        counter_t counter = { 0 };
        unsigned given[LANES] = { 0 };
        unsigned taken = 0;
        jobs_t *jobs = start (threads);
        for (unsigned i = 0; i < JOBS; i++) {
            submit (jobs, &counter, run_in_order, i % LANES, given[i % LANES]);
            given[i % LANES]++;
            if (i % 100 == 99) {
                mem_free (wait_for_one (jobs));
                taken++;
            }
        }
        jobs_stop (jobs);
        cr_assert_eq (atomic_load (&counter.discarded), 0);
        jobs_destroy (&jobs);
        cr_assert_eq (atomic_load (&counter.discarded) + taken, JOBS);
    }
}

Test (jobs, a_pool_that_was_never_used_stops)
{
    jobs_t *jobs = start (JOBS_THREADS_MAX);
    cr_assert_null (jobs_finished (jobs));
    jobs_acknowledge (jobs);
    jobs_destroy (&jobs);
    jobs_destroy (&jobs);
}

Test (jobs, a_pool_for_which_the_system_has_nothing_says_so)
{
    struct rlimit before, none = { 0, 0 };
    jobs_t *jobs;
    error_t error;
    cr_assert_eq (getrlimit (RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    cr_assert_eq (setrlimit (RLIMIT_NOFILE, &none), 0);
    status_t status = jobs_new (2, 10, &jobs, &error);
    cr_assert_eq (setrlimit (RLIMIT_NOFILE, &before), 0);
    cr_assert_eq (status, STATUS_IO);
    cr_assert_null (jobs);
    cr_assert_not_null (strstr (error.text, "eventfd"), "%s", error.text);
}

/* ---- what nobody waits for ---- */

typedef struct behind {
    job_t job; /* first */
    sem_t *begun;
    sem_t *ends;
    int nice;
} behind_t;

static void hold_up (job_t *job)
{
    behind_t *self = (behind_t *)job;
    self->nice = getpriority (PRIO_PROCESS, 0); /* of the thread */
    CHECK (sem_post (self->begun) == 0);
    CHECK (sem_wait (self->ends) == 0);
}

static void keep (job_t *job)
{
    (void)job;
}

/* Each kind runs while all threads of the other one are busy, and in the order of its lane. */
Test (jobs, that_nobody_waits_for_hold_up_no_others_and_are_not_held_up)
{
    enum { BUSY = 4 };
    sem_t begun, ends;
    for (int behind = 0; behind < 2; behind++) {
        jobs_t *jobs = start (BUSY);
        behind_t busy[BUSY], other = { .begun = &begun, .ends = &ends };
        cr_assert_eq (sem_init (&begun, 0, 0), 0);
        cr_assert_eq (sem_init (&ends, 0, 0), 0);
        for (uint32_t i = 0; i < BUSY; i++) {
            busy[i] = (behind_t){ .begun = &begun, .ends = &ends };
            busy[i].job = (job_t){ .run = hold_up, .discard = keep, .lane = i, .behind = behind };
            jobs_submit (jobs, &busy[i].job);
        }
        for (int i = 0; i < BUSY; i++)
            cr_assert_eq (sem_wait (&begun), 0);
        other.job = (job_t){ .run = hold_up, .discard = keep, .lane = 99, .behind = !behind };
        jobs_submit (jobs, &other.job);
        cr_assert_eq (sem_wait (&begun), 0); /* it runs beside them */
        for (int i = 0; i < BUSY + 1; i++)
            cr_assert_eq (sem_post (&ends), 0);
        for (int i = 0; i < BUSY + 1; i++)
            (void)wait_for_one (jobs);
        int usual = getpriority (PRIO_PROCESS, 0);
        cr_expect_eq (behind ? other.nice : busy[0].nice, usual);
        cr_expect_eq (behind ? busy[3].nice : other.nice, usual > 10 ? usual : 10);
        jobs_destroy (&jobs);
    }
}
