#include "base/scheduling.h"

#include "base/check.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SHORT_TURN = 100000 }; /* ns: the least that the system gives */

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
        set (SCHED_BATCH, own > nice ? own : nice, 0);
}
