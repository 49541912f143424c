#include "client/cli/payments.h"

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <string.h>

enum {
    MERCHANTS = 200,
    PER_MILLE_LATE = 40,     /* by seconds or minutes */
    PER_MILLE_VERY_LATE = 5, /* by hours */
    PER_MILLE_FRAUD = 400,   /* of the events in the burst */
    PER_MILLE_DECLINED = 45,
    PER_MILLE_REFUNDED = 20,
    PER_MILLE_NO_MERCHANT = 5,
    BURST_MINUTES = 20,
};

#define ZIPF_ONE (UINT64_C (1) << 32) /* the weight of the user who pays most */

/* Payments per hour of the day, UTC, in parts of nothing in particular. */
static const uint8_t rhythm[24] = { 6,  4,  3,  2,  2,  4,  10, 20, 32, 40, 44, 50,
                                    58, 52, 46, 44, 48, 56, 64, 60, 48, 34, 22, 12 };

struct payments {
    payments_options_t options;
    random_t random;
    uint64_t *users; /* running sums of weights: user k has 1 / (k + 1) */
    uint64_t merchants[MERCHANTS];
    uint64_t made;
    unsigned __int128 weight; /* of the whole time: µs times rhythm */
    unsigned __int128 passed; /* up to `hour` */
    int64_t hour;             /* µs: the part of an hour that arrivals are in begins here */
    int64_t fraud_from;       /* µs */
    uint64_t fraud_user;
};

/* The end of the part of an hour, within the options' time, that begins at `time`. */
static int64_t hour_end (const payments_t *self, int64_t time)
{
    int64_t end = (floor_divide (time, TIME_HOUR) + 1) * TIME_HOUR;
    return end < self->options.until ? end : self->options.until;
}

static uint64_t hour_rhythm (int64_t time)
{
    return rhythm[floor_divide (time, TIME_HOUR) - floor_divide (time, TIME_DAY) * 24];
}

static void sum_weights (uint64_t *sums, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t weight = ZIPF_ONE / (i + 1);
        sum += weight > 0 ? weight : 1;
        sums[i] = sum;
    }
}

static uint64_t pick (random_t *random, const uint64_t *sums, uint64_t count)
{
    uint64_t at = random_below (random, sums[count - 1]);
    uint64_t low = 0, high = count - 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (at < sums[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

payments_t *payments_new (const payments_options_t *options)
{
    CHECK (options->users > 0);
    CHECK (options->users <= PAYMENTS_USERS_MAX);
    CHECK (options->from < options->until);
    payments_t *self = mem_zero (1, sizeof *self);
    self->options = *options;
    random_seed (&self->random, options->seed);
    self->users = mem_alloc (options->users * sizeof *self->users);
    sum_weights (self->users, options->users);
    sum_weights (self->merchants, MERCHANTS);
    self->hour = options->from;
    for (int64_t at = options->from; at < options->until; at = hour_end (self, at))
        self->weight += (unsigned __int128)(hour_end (self, at) - at) * hour_rhythm (at);
    int64_t span = options->until - options->from;
    self->fraud_from = options->from + span / 10 * 7;
    self->fraud_user = options->users / 2 + random_below (&self->random, options->users / 2 + 1);
    if (self->fraud_user >= options->users)
        self->fraud_user = options->users - 1;
    return self;
}

void payments_destroy (payments_t **self_p)
{
    payments_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    mem_free (self->users);
    mem_free (self);
}

/* ---- one event ---- */

typedef struct payment {
    uint64_t user;
    uint64_t merchant;
    int64_t cents;
    const char *status;
    int64_t time;
    bool has_merchant;
} payment_t;

static bool per_mille (payments_t *self, uint64_t chance)
{
    return random_below (&self->random, 1000) < chance;
}

/* Arrivals go through the time's weight in equal steps, each at a random place of its own step. */
static int64_t next_arrival (payments_t *self)
{
    uint64_t part = random_next (&self->random) >> 32;
    unsigned __int128 step = self->weight / self->options.events;
    unsigned __int128 rest = self->weight % self->options.events;
    unsigned __int128 at =
        step * self->made + rest * self->made / self->options.events + ((step * part) >> 32);
    for (;;) {
        int64_t end = hour_end (self, self->hour);
        unsigned __int128 here = (unsigned __int128)(end - self->hour) * hour_rhythm (self->hour);
        if (at < self->passed + here || end == self->options.until)
            break;
        self->passed += here;
        self->hour = end;
    }
    int64_t time = self->hour + (int64_t)((at - self->passed) / hour_rhythm (self->hour));
    return time < self->options.until ? time : self->options.until - 1;
}

/* How long an event was on its way. */
static int64_t next_delay (payments_t *self)
{
    uint64_t chance = random_below (&self->random, 1000);
    uint64_t most = 2 * TIME_SECOND;
    if (chance < PER_MILLE_VERY_LATE)
        most = 6 * TIME_HOUR;
    else if (chance < PER_MILLE_VERY_LATE + PER_MILLE_LATE)
        most = 10 * TIME_MINUTE;
    return (int64_t)random_below (&self->random, most);
}

/* Mostly small: the product of two draws. */
static int64_t next_cents (payments_t *self)
{
    uint64_t small = 1 + random_below (&self->random, 400);
    uint64_t factor = 1 + random_below (&self->random, 40);
    return (int64_t)(small * factor + random_below (&self->random, 100));
}

static void fill (payments_t *self, payment_t *payment)
{
    payment->user = pick (&self->random, self->users, self->options.users);
    payment->merchant = pick (&self->random, self->merchants, MERCHANTS);
    payment->has_merchant = !per_mille (self, PER_MILLE_NO_MERCHANT);
    payment->cents = next_cents (self);
    payment->status = "ok";
    uint64_t chance = random_below (&self->random, 1000);
    if (chance < PER_MILLE_DECLINED) {
        payment->status = "declined";
    } else if (chance < PER_MILLE_DECLINED + PER_MILLE_REFUNDED) {
        payment->status = "refunded";
        payment->cents = -payment->cents;
    }
}

/* Somebody tries a stolen card with small sums, and then with large ones. */
static void maybe_fraud (payments_t *self, payment_t *payment)
{
    int64_t into = payment->time - self->fraud_from;
    bool chosen = per_mille (self, PER_MILLE_FRAUD);
    uint64_t large = 40000 + random_below (&self->random, 60000);
    if (into < 0 || into >= BURST_MINUTES * TIME_MINUTE || !chosen)
        return;
    payment->user = self->fraud_user;
    payment->merchant = MERCHANTS - 1;
    payment->has_merchant = true;
    payment->cents = into < BURST_MINUTES / 4 * TIME_MINUTE ? 100 : (int64_t)large;
    payment->status = "ok";
}

/* ---- as text ---- */

static void put_cents (buf_t *out, int64_t cents)
{
    uint64_t size = (uint64_t)(cents < 0 ? -cents : cents);
    buf_printf (out, "%s%" PRIu64 ".%02u", cents < 0 ? "-" : "", size / 100,
                (unsigned)(size % 100));
}

/* RFC 3339 with ms. */
static void put_time (buf_t *out, int64_t time)
{
    time_format (out, time);
    CHECK (out->size > 4);
    out->size -= 4; /* the µs and the Z */
    buf_put_u8 (out, 'Z');
}

static void put_csv (const payments_t *self, const payment_t *payment, buf_t *out)
{
    buf_printf (out, "p%" PRIu64 "-%" PRIu64 ",u%" PRIu64 ",", self->options.seed, self->made,
                payment->user + 1);
    if (payment->has_merchant)
        buf_printf (out, "m%" PRIu64, payment->merchant + 1);
    buf_put_u8 (out, ',');
    put_cents (out, payment->cents);
    buf_printf (out, ",%s,", payment->status);
    put_time (out, payment->time);
    buf_put_u8 (out, '\n');
}

static void put_ndjson (const payments_t *self, const payment_t *payment, buf_t *out)
{
    buf_printf (out, "{\"payment_id\":\"p%" PRIu64 "-%" PRIu64 "\",\"user_id\":\"u%" PRIu64 "\",",
                self->options.seed, self->made, payment->user + 1);
    if (payment->has_merchant)
        buf_printf (out, "\"merchant\":\"m%" PRIu64 "\",", payment->merchant + 1);
    buf_put_string (out, "\"amount\":");
    put_cents (out, payment->cents);
    buf_printf (out, ",\"status\":\"%s\",\"ts\":\"", payment->status);
    put_time (out, payment->time);
    buf_put_string (out, "\"}\n");
}

static void put (const payments_t *self, const payment_t *payment, buf_t *out)
{
    if (self->options.format == FORMAT_CSV)
        put_csv (self, payment, out);
    else
        put_ndjson (self, payment, out);
}

void payments_header (const payments_t *self, buf_t *out)
{
    if (self->options.format == FORMAT_CSV)
        buf_put_string (out, "payment_id,user_id,merchant,amount,status,ts\n");
}

bool payments_next (payments_t *self, buf_t *out)
{
    if (self->made == self->options.events)
        return false;
    payment_t payment = { .time = next_arrival (self) - next_delay (self) };
    if (payment.time < self->options.from)
        payment.time = self->options.from;
    fill (self, &payment);
    maybe_fraud (self, &payment);
    self->made++;
    put (self, &payment, out);
    return true;
}

void payments_next_at (payments_t *self, int64_t time, buf_t *out)
{
    payment_t payment = { .time = time };
    fill (self, &payment);
    self->made++;
    put (self, &payment, out);
}
