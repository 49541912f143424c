/* query.c - the same queries asked of weir, of the floor (a ZeroMQ echo, direct or behind a relay,
 * with messages of the same sizes) and of Redis, in slices in turn.
 *
 *   --cases=VIEW:FEATURES:KEYS[:many],…   what is asked; figures are named KEYSxFEATURES_SIDE_…
 *
 * A round is, for each case and side: one asked at a time (latency). For cases of many, then: with
 * --clients, ever more at a time, each on a connection of its own (throughput), and with
 * --open-rate a Poisson stream of questions whose latency counts from when each was due. */
#include "base/mem.h"
#include "base/random.h"
#include "tests/bench/arrivals.h"
#include "tests/bench/hdr/hdr.h"
#include "tests/bench/measure.h"
#include "tests/bench/side.h"
#include "tests/bench/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES_MAX = 6, CASES_MAX = SIDE_SETS_MAX, COUNTS_MAX = 16, TURNS = 2, NAMES_MAX = 1 << 16 };

/* Slices of clients in a round: the shorter they are, the less the machine changes between two that
 * are compared. */
enum { TURNS_OF_CLIENTS = 4 };

/* option, kind, and is it asked by many at a time and on schedule? */
#define SIDES(X)                                                                                   \
    X ("get", SIDE_WEIR, true)                                                                     \
    X ("redis", SIDE_REDIS, true)                                                                  \
    X ("relay-tcp", SIDE_FLOOR, true)                                                              \
    X ("relay-ipc", SIDE_FLOOR, false)                                                             \
    X ("echo-tcp", SIDE_FLOOR, false)                                                              \
    X ("echo-ipc", SIDE_FLOOR, false)

/* Times of one side and case. */
typedef struct times {
    hdr_t *closed, *open;         /* of a round … */
    hdr_t *all_closed, *all_open; /* … and of all */
} times_t;

typedef struct case_of {
    char view[64];
    char name[48]; /* KEYSxFEATURES */
    size_t features, keys;
    bool of_many;
    times_t times[SIDES_MAX];
} case_t;

typedef struct bench {
    side_t *side[SIDES_MAX];
    bool by_many[SIDES_MAX];
    size_t sides;
    case_t cases[CASES_MAX];
    size_t cases_count;
    size_t counts[COUNTS_MAX]; /* of clients */
    size_t counts_count;
    double open_rate;
    double seconds; /* of one slice */
    uint64_t seed;
} bench_t;

/* ---- slices ---- */

/* One at a time. */
static void slice_latency (const bench_t *self, side_t *side, hdr_t *latency)
{
    asker_t *asker = side_asker (side, 0);
    size_t number;
    int64_t end = measure_now_ns () + (int64_t)(self->seconds * 1e9);
    for (int64_t start = measure_now_ns (); start < end;) {
        (void)asker_ask (asker);
        if (asker_take (asker, true, &number) != TAKEN_ANSWER)
            measure_fail ("%s refused a question that was alone", side_name (side));
        int64_t now = measure_now_ns ();
        if (latency != NULL)
            hdr_record (latency, now - start);
        start = now;
    }
}

static void print_of (const case_t *of, const side_t *side, const char *what, double value)
{
    char name[160];
    (void)snprintf (name, sizeof name, "%s_%s_%s", of->name, side_name (side), what);
    measure_print (name, value);
}

static void print_times (const case_t *of, const side_t *side, const char *prefix,
                         const hdr_t *latency)
{
    char name[32];
    (void)snprintf (name, sizeof name, "%sp50_us", prefix);
    print_of (of, side, name, (double)hdr_quantile (latency, 0.5) / 1e3);
    (void)snprintf (name, sizeof name, "%sp99_us", prefix);
    print_of (of, side, name, (double)hdr_quantile (latency, 0.99) / 1e3);
}

typedef struct client {
    asker_t *asker;
    int64_t asked_at; /* 0: nothing is under way */
} client_t;

/* What is counted: while every client has a question under way. */
typedef struct count {
    client_t *clients;
    zmq_pollitem_t *items;
    size_t clients_count;
    hdr_t *latency;
    uint64_t done; /* answered and not refused */
} count_t;

/* Takes the answers of those clients that have one and, if they are to `go_on`, asks their next
 * questions. */
static void serve_clients (count_t *self, bool go_on)
{
    size_t number;
    if (zmq_poll (self->items, (int)self->clients_count, TALK_PATIENCE_MS) == 0)
        measure_fail ("no answer within %d ms", TALK_PATIENCE_MS);
    for (size_t i = 0; i < self->clients_count; i++) {
        client_t *client = &self->clients[i];
        if (self->items[i].revents == 0)
            continue;
        taken_t taken = asker_take (client->asker, false, &number);
        if (taken == TAKEN_NONE)
            continue;
        int64_t now = measure_now_ns ();
        if (taken == TAKEN_ANSWER) {
            hdr_record (self->latency, now - client->asked_at);
            self->done++;
        }
        client->asked_at = go_on ? now : 0;
        if (go_on)
            (void)asker_ask (client->asker);
    }
}

static bool any_under_way (const count_t *self)
{
    for (size_t i = 0; i < self->clients_count; i++)
        if (self->clients[i].asked_at != 0)
            return true;
    return false;
}

/* All ask, and each has had an answer before any is counted. */
static void begin_clients (count_t *self, side_t *side)
{
    for (size_t i = 0; i < self->clients_count; i++) {
        client_t *client = &self->clients[i];
        client->asker = side_asker (side, i);
        self->items[i] = asker_item (client->asker);
        client->asked_at = measure_now_ns ();
        (void)asker_ask (client->asker);
    }
    int64_t begun = measure_now_ns ();
    for (size_t i = 0; i < self->clients_count; i++)
        while (self->clients[i].asked_at <= begun)
            serve_clients (self, true);
    hdr_clear (self->latency);
    self->done = 0;
}

static void print_count (const case_t *of, side_t *side, const count_t *self, double seconds,
                         int64_t used)
{
    char name[48];
    size_t count = self->clients_count;
    (void)snprintf (name, sizeof name, "c%zu_per_s", count);
    print_of (of, side, name, (double)self->done / seconds);
    (void)snprintf (name, sizeof name, "c%zu_cpu_us", count);
    if (used > 0)
        print_of (of, side, name, (double)used / 1e3 / (double)self->done);
    (void)snprintf (name, sizeof name, "c%zu_", count);
    print_times (of, side, name, self->latency);
    (void)snprintf (name, sizeof name, "c%zu_refused", count);
    print_of (of, side, name, (double)side_refused (side));
}

/* `count` clients with one question under way each. */
static void slice_clients (const bench_t *self, const case_t *of, side_t *side, size_t count)
{
    count_t counted = { .clients = mem_zero (count, sizeof *counted.clients),
                        .items = mem_zero (count, sizeof *counted.items),
                        .clients_count = count,
                        .latency = hdr_new () };
    begin_clients (&counted, side);
    int64_t used = side_cpu_ns (side);
    int64_t start = measure_now_ns ();
    int64_t end = start + (int64_t)(self->seconds * 1e9 / TURNS_OF_CLIENTS);
    while (measure_now_ns () < end)
        serve_clients (&counted, true);
    if (counted.done == 0)
        measure_fail ("%s refused all questions of %zu clients", side_name (side), count);
    print_count (of, side, &counted, measure_since (start), side_cpu_ns (side) - used);
    while (any_under_way (&counted))
        serve_clients (&counted, false);
    hdr_destroy (&counted.latency);
    mem_free (counted.clients);
    mem_free (counted.items);
}

static void record (void *arg, int64_t latency_ns, unsigned tag)
{
    (void)tag;
    hdr_record (arg, latency_ns);
}

/* Questions that are due at random times. */
static void slice_open (const bench_t *self, side_t *side, hdr_t *latency)
{
    arrivals_t *arrivals = arrivals_new (side, self->open_rate, self->seed, record, latency);
    arrivals_run (arrivals, measure_now_ns () + (int64_t)(self->seconds * 2e9), -1);
    arrivals_finish (arrivals);
    arrivals_destroy (&arrivals);
}

/* ---- rounds ---- */

/* Side `i` of a round in which another begins than in the one before. */
static size_t turn (const bench_t *self, uint64_t round, size_t i)
{
    return (round + i) % self->sides;
}

static void use_case (const bench_t *self, size_t number)
{
    for (size_t i = 0; i < self->sides; i++)
        side_use (self->side[i], number);
}

static void round_of_many (const bench_t *self, case_t *of, uint64_t round)
{
    for (unsigned t = 0; t < TURNS_OF_CLIENTS; t++)
        for (size_t i = 0; i < self->sides; i++) {
            size_t s = turn (self, round + t, i);
            for (size_t c = 0; c < self->counts_count && self->by_many[s]; c++)
                slice_clients (self, of, self->side[s], self->counts[c]);
        }
    for (size_t i = 0; i < self->sides && self->open_rate > 0; i++) {
        size_t s = turn (self, round, i);
        if (!self->by_many[s])
            continue;
        slice_open (self, self->side[s], of->times[s].open);
        if (hdr_count (of->times[s].open) == 0)
            measure_fail ("%s answered nothing that was asked on schedule",
                          side_name (self->side[s]));
        print_times (of, self->side[s], "open_", of->times[s].open);
        print_of (of, self->side[s], "open_refused", (double)side_refused (self->side[s]));
        hdr_add (of->times[s].all_open, of->times[s].open);
        hdr_clear (of->times[s].open);
    }
}

static void round_of (bench_t *self, uint64_t round)
{
    for (unsigned t = 0; t < TURNS; t++)
        for (size_t c = 0; c < self->cases_count; c++) {
            use_case (self, c);
            for (size_t i = 0; i < self->sides; i++) {
                size_t s = turn (self, round, i);
                slice_latency (self, self->side[s], self->cases[c].times[s].closed);
            }
        }
    for (size_t c = 0; c < self->cases_count; c++)
        for (size_t s = 0; s < self->sides; s++) {
            times_t *times = &self->cases[c].times[s];
            print_times (&self->cases[c], self->side[s], "", times->closed);
            hdr_add (times->all_closed, times->closed);
            hdr_clear (times->closed);
        }
    for (size_t c = 0; c < self->cases_count; c++) {
        use_case (self, c);
        if (self->cases[c].of_many)
            round_of_many (self, &self->cases[c], round);
    }
    self->seed++;
}

/* ---- sides, cases, and what is kept ---- */

static void add_side (bench_t *self, int argc, char **argv, const char *name, side_kind_t kind,
                      bool by_many)
{
    char option[32];
    (void)snprintf (option, sizeof option, "%s-pids", name);
    const char *endpoint = measure_option (argc, argv, name, NULL);
    if (endpoint == NULL)
        return;
    self->by_many[self->sides] = by_many;
    self->side[self->sides++] =
        side_new (name, kind, endpoint, measure_option (argc, argv, option, NULL));
}

/* Asks what the case is about, and prepares its questions for all sides. */
static void prepare_case (bench_t *self, case_t *of, uint64_t users, random_t *random)
{
    char name[96];
    buf_t names;
    buf_init (&names, NAMES_MAX);
    questions_t questions = questions_draw (of->view, of->keys, users, random);
    size_t size = side_check (self->side[0], &questions, of->features, &names);
    for (size_t i = 0; i < self->sides; i++) {
        side_prepare (self->side[i], &questions, size, &names);
        of->times[i] = (times_t){ hdr_new (), hdr_new (), hdr_new (), hdr_new () };
    }
    (void)snprintf (name, sizeof name, "%s_request_bytes", of->name);
    measure_print (name, (double)side_request_size (self->side[0]));
    (void)snprintf (name, sizeof name, "%s_reply_bytes", of->name);
    measure_print (name, (double)size);
    mem_free (questions.user);
    buf_release (&names);
}

static void read_cases (bench_t *self, const char *text)
{
    while (*text != 0) {
        case_t *of = &self->cases[self->cases_count];
        int used = 0, many = 0;
        if (self->cases_count == CASES_MAX ||
            sscanf (text, "%63[a-zA-Z0-9_]:%zu:%zu%n", of->view, &of->features, &of->keys, &used) !=
                3 ||
            of->keys == 0)
            measure_fail ("--cases=VIEW:FEATURES:KEYS[:many],…: at most %d", CASES_MAX);
        if (sscanf (text + used, ":many%n", &many) == 0 && many > 0)
            of->of_many = true;
        (void)snprintf (of->name, sizeof of->name, "%zux%zu", of->keys, of->features);
        text += used + many;
        text += *text == ',';
        self->cases_count++;
    }
}

static void read_counts (bench_t *self, const char *text)
{
    while (*text != 0) {
        char *end;
        unsigned long count = strtoul (text, &end, 10);
        if (end == text || (*end != 0 && *end != ',') || count == 0 || count > SIDE_ASKERS_MAX ||
            self->counts_count == COUNTS_MAX)
            measure_fail ("--clients=1,2,4: at most %d numbers of 1 to %d", COUNTS_MAX,
                          SIDE_ASKERS_MAX);
        self->counts[self->counts_count++] = count;
        text = *end == ',' ? end + 1 : end;
    }
}

static void write_text (const hdr_t *latency, const char *directory, const char *label,
                        const char *side, const char *what)
{
    char path[512];
    (void)snprintf (path, sizeof path, "%s/query-%s%s-%s.hgrm", directory, label, what, side);
    if (directory != NULL && hdr_count (latency) > 0 && !hdr_write (latency, path))
        measure_fail ("cannot write %s", path);
}

static void finish (bench_t *self, const char *directory)
{
    for (size_t c = 0; c < self->cases_count; c++)
        for (size_t s = 0; s < self->sides; s++) {
            times_t *times = &self->cases[c].times[s];
            write_text (times->all_closed, directory, self->cases[c].name,
                        side_name (self->side[s]), "");
            write_text (times->all_open, directory, self->cases[c].name, side_name (self->side[s]),
                        "-open");
            hdr_destroy (&times->closed);
            hdr_destroy (&times->open);
            hdr_destroy (&times->all_closed);
            hdr_destroy (&times->all_open);
        }
    for (size_t s = 0; s < self->sides; s++)
        side_destroy (&self->side[s]);
}

int main (int argc, char **argv)
{
    static bench_t self;
    random_t random;
#define X(name, kind, by_many) add_side (&self, argc, argv, name, kind, by_many);
    SIDES (X)
#undef X
    if (self.sides == 0 || side_kind (self.side[0]) != SIDE_WEIR)
        measure_fail ("usage: query --get=ENDPOINT [--get-pids=N,N] [--relay-tcp=ENDPOINT] "
                      "[--redis=ENDPOINT …] --cases=VIEW:FEATURES:KEYS[:many],… [--users=N] "
                      "[--clients=N,N] [--open-rate=N] [--slice-ms=N] [--rounds=N] "
                      "[--histograms=DIRECTORY]");
    read_cases (&self, measure_option (argc, argv, "cases", "spend:12:1"));
    read_counts (&self, measure_option (argc, argv, "clients", ""));
    self.open_rate = (double)measure_number (argc, argv, "open-rate", 0);
    self.seconds = (double)measure_number (argc, argv, "slice-ms", 250) / 1e3;
    random_seed (&random, measure_number (argc, argv, "seed", 1));
    for (size_t c = 0; c < self.cases_count; c++)
        prepare_case (&self, &self.cases[c], measure_number (argc, argv, "users", 100000), &random);
    use_case (&self, 0);
    for (size_t s = 0; s < self.sides; s++)
        slice_latency (&self, self.side[s], NULL);
    uint64_t rounds = measure_number (argc, argv, "rounds", 5);
    for (uint64_t i = 0; i < rounds; i++)
        round_of (&self, i);
    finish (&self, measure_option (argc, argv, "histograms", NULL));
    return 0;
}
