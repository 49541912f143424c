/* mixed.c - queries on schedule while other things go on: whoever starts it says on stdin, a line
 * each, what goes on, and gets the latencies of each.
 *
 *   rest | recompute | publish   what goes on from now on; publish is part of the recompute
 *   round                        prints the figures of what went on since the last one
 *   end
 *
 * A question belongs to what went on when it was due, or when it was answered if that is further
 * down the list: a stall that began at rest is the recompute's if that ended it. */
#include "base/mem.h"
#include "base/random.h"
#include "base/scheduling.h"
#include "tests/bench/arrivals.h"
#include "tests/bench/hdr/hdr.h"
#include "tests/bench/measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REST, RECOMPUTE, PUBLISH, PHASES };

static const char *const PHASE[PHASES] = {
    [REST] = "rest", [RECOMPUTE] = "recompute", [PUBLISH] = "publish"
};

typedef struct bench {
    side_t *side;
    arrivals_t *arrivals;
    hdr_t *latency[PHASES]; /* of a round … */
    hdr_t *all[PHASES];     /* … and of all */
    unsigned phase;
} bench_t;

/* What is published is part of the recompute. */
static void record (void *arg, int64_t latency_ns, unsigned tag)
{
    bench_t *self = arg;
    unsigned phase = tag > self->phase ? tag : self->phase;
    hdr_record (self->latency[phase], latency_ns);
    if (phase == PUBLISH)
        hdr_record (self->latency[RECOMPUTE], latency_ns);
}

static void print_phase (const bench_t *self, unsigned phase)
{
    const hdr_t *latency = self->latency[phase];
    printf ("%s_asked %llu\n", PHASE[phase], (unsigned long long)hdr_count (latency));
    printf ("%s_p50_us %.9g\n", PHASE[phase], (double)hdr_quantile (latency, 0.5) / 1e3);
    printf ("%s_p99_us %.9g\n", PHASE[phase], (double)hdr_quantile (latency, 0.99) / 1e3);
    printf ("%s_max_us %.9g\n", PHASE[phase], (double)hdr_max (latency) / 1e3);
}

/* A round in which one of them was over before anything was asked compares nothing. */
static void end_round (bench_t *self)
{
    bool whole = true;
    arrivals_finish (self->arrivals);
    for (unsigned phase = 0; phase < PHASES; phase++)
        whole = whole && hdr_count (self->latency[phase]) > 0;
    for (unsigned phase = 0; phase < PHASES; phase++) {
        if (whole)
            print_phase (self, phase);
        hdr_add (self->all[phase], self->latency[phase]);
        hdr_clear (self->latency[phase]);
    }
    printf ("rounds_left_out %d\n", !whole);
    printf ("refused %llu\n", (unsigned long long)side_refused (self->side));
    fflush (stdout);
}

/* Obeys one line; false at the end. */
static bool obey (bench_t *self, const char *line)
{
    if (strcmp (line, "end") == 0)
        return false;
    if (strcmp (line, "round") == 0) {
        end_round (self);
        return true;
    }
    for (unsigned phase = 0; phase < PHASES; phase++)
        if (strcmp (line, PHASE[phase]) == 0) {
            self->phase = phase;
            arrivals_tag (self->arrivals, phase);
            return true;
        }
    measure_fail ("\"%s\" is none of rest, recompute, publish, round, end", line);
}

/* A line of stdin without its end, which must be there soon; end of file is "end". */
static void read_line (char *line, size_t size)
{
    size_t used = 0;
    for (;;) {
        ssize_t got = read (STDIN_FILENO, line + used, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || used + 1 == size) {
            (void)snprintf (line, size, "end");
            return;
        }
        if (line[used] == '\n')
            break;
        used++;
    }
    line[used] = 0;
}

static void prepare (bench_t *self, int argc, char **argv)
{
    random_t random;
    buf_t names;
    uint64_t seed = measure_number (argc, argv, "seed", 1);
    buf_init (&names, 1 << 16);
    random_seed (&random, seed);
    questions_t questions = questions_draw (measure_option (argc, argv, "view", "spend"),
                                            measure_number (argc, argv, "keys", 1),
                                            measure_number (argc, argv, "users", 100000), &random);
    size_t size =
        side_check (self->side, &questions, measure_number (argc, argv, "features", 12), &names);
    side_prepare (self->side, &questions, size, &names);
    self->arrivals = arrivals_new (self->side, (double)measure_number (argc, argv, "rate", 1000),
                                   seed, record, self);
    for (unsigned phase = 0; phase < PHASES; phase++) {
        self->latency[phase] = hdr_new ();
        self->all[phase] = hdr_new ();
    }
    mem_free (questions.user);
    buf_release (&names);
}

static void finish (bench_t *self, const char *directory)
{
    for (unsigned phase = 0; phase < PHASES; phase++) {
        char path[512];
        (void)snprintf (path, sizeof path, "%s/mixed-%s.hgrm", directory ? directory : "",
                        PHASE[phase]);
        if (directory != NULL && !hdr_write (self->all[phase], path))
            measure_fail ("cannot write %s", path);
        hdr_destroy (&self->latency[phase]);
        hdr_destroy (&self->all[phase]);
    }
    arrivals_destroy (&self->arrivals);
    side_destroy (&self->side);
}

int main (int argc, char **argv)
{
    static bench_t self;
    const char *endpoint = measure_option (argc, argv, "get", NULL);
    if (endpoint == NULL)
        measure_fail ("usage: mixed --get=ENDPOINT [--rate=N] [--view=NAME] [--features=N] "
                      "[--keys=N] [--users=N] [--histograms=DIRECTORY]");
    self.side = side_new ("get", SIDE_WEIR, endpoint, NULL);
    prepare (&self, argc, argv);
    scheduling_short_turns ();  /* it measures the nodes, on whose processors it is */
    measure_print ("ready", 1); /* lines are read from now on */
    char line[32];
    do {
        arrivals_run (self.arrivals, INT64_MAX, STDIN_FILENO);
        read_line (line, sizeof line);
    } while (obey (&self, line));
    arrivals_finish (self.arrivals);
    finish (&self, measure_option (argc, argv, "histograms", NULL));
    return 0;
}
