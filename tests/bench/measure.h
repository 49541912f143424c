/* measure.h - what the benchmarks share: time, samples and how a figure is printed.
 *
 * A figure is a line "name value" on stdout; bench.py takes the medians of several rounds of them.
 */
#ifndef WEIR_TESTS_BENCH_MEASURE_H
#define WEIR_TESTS_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC, and of CPU time of the whole process. */
int64_t measure_now_ns (void);
int64_t measure_cpu_ns (void);
/* Seconds since a time of measure_now_ns. */
double measure_since (int64_t start_ns);

/* A growing set of numbers. */
typedef struct samples {
    double *value;
    size_t count;
    size_t capacity;
} samples_t;

void samples_add (samples_t *self, double value);
/* The value at or below which a share `quantile` (0 to 1) lies; there must be samples. Sorts. */
double samples_quantile (samples_t *self, double quantile);
void samples_release (samples_t *self);

/* "name value" on stdout, flushed. */
void measure_print (const char *name, double value);

/* Ends the program with a sentence when a step has failed. */
void measure_fail (const char *format, ...) __attribute__ ((format (printf, 1, 2), noreturn));

/* The value of --NAME=VALUE among the arguments, or `otherwise`. */
const char *measure_option (int argc, char **argv, const char *name, const char *otherwise);
uint64_t measure_number (int argc, char **argv, const char *name, uint64_t otherwise);

#endif
