#include "tests/bench/arrivals.h"

#include "base/mem.h"
#include "base/random.h"
#include "tests/bench/measure.h"

#include <math.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct arrivals {
    asker_t *asker;
    double per_second;
    random_t random;
    arrivals_fn *answered;
    void *arg;
    int timer;        /* polls wait in whole milliseconds, this does not */
    int64_t next_due; /* 0: not running */
    size_t most, under_way;
    unsigned tag;
    struct due {
        int64_t at;
        unsigned tag;
    } due[SIDE_UNDER_WAY_MAX]; /* of each question under way */
};

arrivals_t *arrivals_new (side_t *side, double per_second, uint64_t seed, arrivals_fn *answered,
                          void *arg)
{
    arrivals_t *self = mem_zero (1, sizeof *self);
    self->asker = side_asker (side, 0);
    self->per_second = per_second;
    self->most = side_requests (side);
    self->answered = answered;
    self->arg = arg;
    random_seed (&self->random, seed);
    self->timer = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (self->timer < 0)
        measure_fail ("no timer");
    return self;
}

void arrivals_destroy (arrivals_t **self_p)
{
    if (*self_p == NULL)
        return;
    close ((*self_p)->timer);
    mem_free (*self_p);
    *self_p = NULL;
}

void arrivals_tag (arrivals_t *self, unsigned tag)
{
    self->tag = tag;
}

static int64_t gap (arrivals_t *self)
{
    return (int64_t)(-log (1 - random_unit (&self->random)) / self->per_second * 1e9);
}

/* Asks what is due. What finds as many under way as there are questions is asked later, and was due
 * when it was due. */
static void ask_due (arrivals_t *self)
{
    while (self->next_due <= measure_now_ns () && self->under_way < self->most) {
        size_t number = asker_ask (self->asker);
        self->due[number] = (struct due){ self->next_due, self->tag };
        self->under_way++;
        self->next_due += gap (self);
    }
}

static bool take (arrivals_t *self, bool wait)
{
    size_t number;
    if (!asker_take (self->asker, wait, &number))
        return false;
    self->under_way--;
    self->answered (self->arg, measure_now_ns () - self->due[number].at, self->due[number].tag);
    return true;
}

static void set_timer (arrivals_t *self, int64_t at)
{
    struct itimerspec when = { .it_value = { at / 1000000000, at % 1000000000 } };
    if (timerfd_settime (self->timer, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        measure_fail ("the timer cannot be set");
}

void arrivals_run (arrivals_t *self, int64_t until_ns, int file)
{
    zmq_pollitem_t items[] = { asker_item (self->asker),
                               { .fd = self->timer, .events = ZMQ_POLLIN },
                               { .fd = file, .events = ZMQ_POLLIN } };
    if (self->next_due == 0)
        self->next_due = measure_now_ns () + gap (self);
    while (measure_now_ns () < until_ns) {
        ask_due (self);
        while (self->under_way > 0 && take (self, false))
            ;
        if (self->under_way == self->most)
            set_timer (self, until_ns);
        else
            set_timer (self, self->next_due < until_ns ? self->next_due : until_ns);
        (void)zmq_poll (items, file >= 0 ? 3 : 2, -1);
        if (file >= 0 && items[2].revents != 0)
            return;
    }
}

void arrivals_finish (arrivals_t *self)
{
    while (self->under_way > 0)
        (void)take (self, true);
    self->next_due = 0;
}
