#include "base/scheduling.h"

#include "base/check.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ns */
enum {
    SHORT_TURN = 100000,  /* the least that the system gives */
    BEHIND_TURN = 250000, /* longer, so that who asks for short turns need not wait for its end */
};

typedef enum standing { UNKNOWN, USUAL, BEHIND } standing_t;

static _Thread_local standing_t standing; /* which it may have from the thread that started it */
static _Thread_local int64_t turn_seen; /* since when it has not been looked at, monotonic ns … */
static _Thread_local int64_t turn_used; /* … and what the thread had used of a processor then */

/* struct sched_attr of sched_setattr(2), which Debian 12's libc does not have. */
typedef struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* of a turn, ns; 0: the usual */
    uint64_t deadline;
    uint64_t period;
} attributes_t;

static int own_nice (void)
{
    errno = 0;
    int nice = getpriority (PRIO_PROCESS, 0);
    return errno == 0 ? nice : 0;
}

static void set (int policy, int nice, uint64_t turn)
{
    attributes_t attributes = {
        .size = sizeof attributes, .policy = (uint32_t)policy, .nice = nice, .runtime = turn
    };
    (void)syscall (SYS_sched_setattr, 0, &attributes, 0);
}

void scheduling_short_turns (void)
{
    if (sched_getscheduler (0) == SCHED_OTHER)
        set (SCHED_OTHER, own_nice (), SHORT_TURN);
}

void scheduling_behind (int nice)
{
    int policy = sched_getscheduler (0);
    int own = own_nice ();
    CHECK (nice >= 0 && nice <= SCHEDULING_NICE_MAX);
    if (policy == SCHED_OTHER || policy == SCHED_BATCH)
        set (SCHED_BATCH, own > nice ? own : nice, BEHIND_TURN);
    standing = UNKNOWN;
}

static int64_t clock_ns (clockid_t clock)
{
    struct timespec time = { 0, 0 };
    (void)clock_gettime (clock, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

void scheduling_give_way (void)
{
    if (standing == UNKNOWN)
        standing = sched_getscheduler (0) == SCHED_BATCH ? BEHIND : USUAL;
    if (standing == USUAL)
        return;
    int64_t now = clock_ns (CLOCK_MONOTONIC);
    if (now - turn_seen < BEHIND_TURN)
        return;
    turn_seen = now;
    int64_t used = clock_ns (CLOCK_THREAD_CPUTIME_ID); /* dearer, and not of others */
    if (used - turn_used < BEHIND_TURN)
        return;
    turn_used = used;
    (void)sched_yield ();
}
