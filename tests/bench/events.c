/* events.c - makes up a history of payments, as one file per column, which weir and its peers read.
 *
 *   events --directory=DIR --events=N --keys=K --distribution=uniform|zipf|hot [--seed=1]
 *
 * user_id and ts are int64, amount is float64, in the order of the machine. Events are in order of
 * time over DAYS days, at random distances, with amounts in whole cents. zipf draws the key of rank
 * r with weight r^-1.1; hot gives one key half of all events. The same options give the same bytes.
 */
#include "base/mem.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "tests/bench/measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DAYS = 60,
    CENTS = 100000,  /* amounts are below */
    CHUNK = 1 << 16, /* rows written at once */
};

#define HISTORY_START (INT64_C (1700000000) * TIME_SECOND)
#define ZIPF_EXPONENT 1.1

/* Ranks 1 to n with weight rank^-exponent, by rejection-inversion (Hörmann and Derflinger,
 * "Rejection-inversion to generate variates from monotone discrete distributions", 1996). */
typedef struct zipf {
    double n;
    double first; /* the integral's values at the ends */
    double last;
    double shift; /* below it a rank is taken without a second look */
} zipf_t;

static double weight (double x)
{
    return exp (-ZIPF_EXPONENT * log (x));
}

static double integral (double x)
{
    return expm1 ((1 - ZIPF_EXPONENT) * log (x)) / (1 - ZIPF_EXPONENT);
}

static double integral_inverse (double y)
{
    return exp (log1p (y * (1 - ZIPF_EXPONENT)) / (1 - ZIPF_EXPONENT));
}

static zipf_t zipf_of (uint64_t n)
{
    return (zipf_t){ .n = (double)n,
                     .first = integral (1.5) - 1,
                     .last = integral ((double)n + 0.5),
                     .shift = 2 - integral_inverse (integral (2.5) - weight (2)) };
}

static uint64_t zipf_draw (const zipf_t *self, random_t *random)
{
    for (;;) {
        double at = self->last + random_unit (random) * (self->first - self->last);
        double x = integral_inverse (at);
        double rank = fmin (fmax (floor (x + 0.5), 1), self->n);
        if (rank - x <= self->shift || at >= integral (rank + 0.5) - weight (rank))
            return (uint64_t)rank;
    }
}

typedef enum shape { UNIFORM, ZIPF, HOT } shape_t;

typedef struct source {
    random_t random;
    shape_t shape;
    uint64_t events;
    uint64_t keys;
    zipf_t zipf;
    uint64_t stride; /* keys of neighbouring ranks lie apart */
} source_t;

static uint64_t common_divisor (uint64_t a, uint64_t b)
{
    return b == 0 ? a : common_divisor (b, a % b);
}

static int64_t draw_key (source_t *self)
{
    if (self->shape == ZIPF)
        return (int64_t)(zipf_draw (&self->zipf, &self->random) * self->stride % self->keys);
    if (self->shape == HOT && random_chance (&self->random, 0.5))
        return 0;
    return (int64_t)random_below (&self->random, self->keys);
}

static FILE *create (const char *directory, const char *name)
{
    char path[4096];
    snprintf (path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen (path, "wb");
    if (file == NULL)
        measure_fail ("%s: %m", path);
    return file;
}

static void write_cells (FILE *file, const void *cells, size_t count)
{
    if (fwrite (cells, 8, count, file) != count)
        measure_fail ("a column could not be written: %m");
}

static void make (source_t *self, const char *directory)
{
    static int64_t user[CHUNK], ts[CHUNK];
    static double amount[CHUNK];
    FILE *files[] = { create (directory, "user_id"), create (directory, "amount"),
                      create (directory, "ts") };
    double step = (double)(DAYS * 24 * TIME_HOUR) / (double)self->events;
    for (uint64_t done = 0; done < self->events;) {
        size_t rows = self->events - done < CHUNK ? (size_t)(self->events - done) : CHUNK;
        for (size_t i = 0; i < rows; i++) {
            double place = (double)(done + i) + random_unit (&self->random);
            user[i] = draw_key (self);
            amount[i] = (double)random_below (&self->random, CENTS) / 100;
            ts[i] = HISTORY_START + (int64_t)(place * step);
        }
        write_cells (files[0], user, rows);
        write_cells (files[1], amount, rows);
        write_cells (files[2], ts, rows);
        done += rows;
    }
    for (size_t i = 0; i < 3; i++)
        if (fclose (files[i]) != 0)
            measure_fail ("a column could not be written: %m");
}

int main (int argc, char **argv)
{
    static source_t source;
    const char *shape = measure_option (argc, argv, "distribution", "uniform");
    source.events = measure_number (argc, argv, "events", 1000000);
    source.keys = measure_number (argc, argv, "keys", 10000);
    if (source.events == 0 || source.keys == 0)
        measure_fail ("--events and --keys are at least 1");
    source.shape = strcmp (shape, "zipf") == 0 ? ZIPF : strcmp (shape, "hot") == 0 ? HOT : UNIFORM;
    if (source.shape == UNIFORM && strcmp (shape, "uniform") != 0)
        measure_fail ("--distribution is uniform, zipf or hot");
    source.zipf = zipf_of (source.keys);
    source.stride = source.keys * 5 / 8 | 1;
    while (common_divisor (source.keys, source.stride) != 1)
        source.stride += 2;
    random_seed (&source.random, measure_number (argc, argv, "seed", 1));
    make (&source, measure_option (argc, argv, "directory", "."));
    return 0;
}
