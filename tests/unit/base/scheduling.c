#include "base/scheduling.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

static int nice_now (void)
{
    return getpriority (PRIO_PROCESS, 0); /* of the thread */
}

static void *go_behind (void *arg)
{
    int *nice = arg;
    int before = nice_now ();
    scheduling_behind (7);
    nice[0] = nice_now ();
    scheduling_behind (3);
    nice[1] = nice_now ();
    nice[2] = before > 7 ? before : 7;
    nice[3] = sched_getscheduler (0);
    return NULL;
}

static void *keep_share (void *arg)
{
    int *nice = arg;
    nice[0] = nice_now ();
    scheduling_short_turns ();
    nice[1] = nice_now ();
    nice[2] = sched_getscheduler (0);
    return NULL;
}

static void in_a_thread (void *(*body) (void *), int *found)
{
    pthread_t thread;
    cr_assert_eq (pthread_create (&thread, NULL, body, found), 0);
    cr_assert_eq (pthread_join (thread, NULL), 0);
}

Test (scheduling, a_share_gets_smaller_and_never_larger)
{
    int found[4], before = nice_now ();
    in_a_thread (go_behind, found);
    cr_expect_eq (found[0], found[2]);
    cr_expect_eq (found[1], found[2]);
    cr_expect_eq (found[3], SCHED_BATCH);
    cr_expect_eq (nice_now (), before, "another thread's");
}

Test (scheduling, short_turns_are_of_the_same_share)
{
    int found[3];
    in_a_thread (keep_share, found);
    cr_expect_eq (found[1], found[0]);
    cr_expect_eq (found[2], SCHED_OTHER);
}

/* ---- giving way ---- */

static atomic_long ways_given;

int sched_yield (void) /* instead of the C library's */
{
    atomic_fetch_add (&ways_given, 1);
    return 0;
}

static int64_t used_us (void)
{
    struct timespec used = { 0, 0 };
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * 1000000LL + used.tv_nsec / 1000;
}

/* For 100 ms of a processor. */
static void *look_for_others (void *arg)
{
    const bool *behind = arg;
    if (*behind)
        scheduling_behind (0);
    int64_t end = used_us () + 100000;
    while (used_us () < end)
        scheduling_give_way ();
    return NULL;
}

static long ways_given_by (bool behind)
{
    pthread_t thread;
    atomic_store (&ways_given, 0);
    cr_assert_eq (pthread_create (&thread, NULL, look_for_others, &behind), 0);
    cr_assert_eq (pthread_join (thread, NULL), 0);
    return atomic_load (&ways_given);
}

Test (scheduling, who_is_behind_gives_way_after_each_turn)
{
    long given = ways_given_by (true);
    cr_expect_geq (given, 100, "%ld", given);
    cr_expect_leq (given, 400, "%ld, of 250 us", given);
    cr_expect_eq (ways_given_by (false), 0);
}
