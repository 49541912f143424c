#include "tests/bench/arrivals.h"

#include "base/mem.h"
#include "base/random.h"
#include "tests/bench/measure.h"
#include "tests/bench/talk.h"

#include <math.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { ASKERS = 8, ITEMS = ASKERS + 2 };

struct arrivals {
    asker_t *asker[ASKERS]; /* in turn: as of several clients, each with few under way */
    size_t turn;
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
    for (size_t i = 0; i < ASKERS; i++)
        self->asker[i] = side_asker (side, i);
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

/* Asks what is due, before `until`. What finds as many under way as there are questions is asked
 * later, and was due when it was due. */
static void ask_due (arrivals_t *self, int64_t until_ns)
{
    while (self->next_due <= measure_now_ns () && self->next_due < until_ns &&
           self->under_way < self->most) {
        size_t number = asker_ask (self->asker[self->turn++ % ASKERS]);
        self->due[number] = (struct due){ self->next_due, self->tag };
        self->under_way++;
        self->next_due += gap (self);
    }
}

/* Takes an answer of one asker, if it has one. */
static bool take (arrivals_t *self, asker_t *asker)
{
    size_t number;
    taken_t taken = asker_take (asker, false, &number);
    if (taken == TAKEN_NONE)
        return false;
    self->under_way--;
    if (taken == TAKEN_ANSWER)
        self->answered (self->arg, measure_now_ns () - self->due[number].at, self->due[number].tag);
    return true;
}

static void take_all (arrivals_t *self)
{
    for (size_t i = 0; i < ASKERS; i++)
        while (take (self, self->asker[i]))
            ;
}

static void set_timer (arrivals_t *self, int64_t at)
{
    struct itimerspec when = { .it_value = { at / 1000000000, at % 1000000000 } };
    if (timerfd_settime (self->timer, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        measure_fail ("the timer cannot be set");
}

/* What there is to wait for, the askers last. */
static void put_items (const arrivals_t *self, int file, zmq_pollitem_t items[ITEMS])
{
    items[0] = (zmq_pollitem_t){ .fd = file, .events = ZMQ_POLLIN };
    items[1] = (zmq_pollitem_t){ .fd = self->timer, .events = ZMQ_POLLIN };
    for (size_t i = 0; i < ASKERS; i++)
        items[2 + i] = asker_item (self->asker[i]);
}

void arrivals_run (arrivals_t *self, int64_t until_ns, int file)
{
    zmq_pollitem_t items[ITEMS];
    put_items (self, file, items);
    int skipped = file >= 0 ? 0 : 1;
    if (self->next_due == 0)
        self->next_due = measure_now_ns () + gap (self);
    for (;;) {
        ask_due (self, until_ns);
        take_all (self);
        if (measure_now_ns () >= until_ns)
            return;
        bool is_full = self->under_way == self->most;
        set_timer (self, is_full || self->next_due > until_ns ? until_ns : self->next_due);
        (void)zmq_poll (items + skipped, ITEMS - skipped, -1);
        if (file >= 0 && items[0].revents != 0)
            return;
    }
}

void arrivals_finish (arrivals_t *self)
{
    zmq_pollitem_t items[ITEMS];
    put_items (self, -1, items);
    while (self->under_way > 0) {
        if (zmq_poll (items + 2, ASKERS, TALK_PATIENCE_MS) == 0)
            measure_fail ("no answer within %d ms", TALK_PATIENCE_MS);
        take_all (self);
    }
    self->next_due = 0;
}
