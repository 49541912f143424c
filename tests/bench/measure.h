/* measure.h - what the benchmarks share: time, options and how a figure is printed.
 *
 * A figure is a line "name value" on stdout; bench.py and online.py take the medians of several
 * rounds of them.
 */
#ifndef WEIR_TESTS_BENCH_MEASURE_H
#define WEIR_TESTS_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds of CLOCK_MONOTONIC, and of CPU time of the whole process. */
int64_t measure_now_ns (void);
int64_t measure_cpu_ns (void);
/* Seconds since a time of measure_now_ns. */
double measure_since (int64_t start_ns);

/* CPU time of other processes, of which `pids` are the numbers with commas between; NULL: none. */
enum { CLOCKS_MAX = 8 };
typedef struct clocks {
    clockid_t clock[CLOCKS_MAX];
    size_t count;
} clocks_t;
clocks_t measure_clocks (const char *pids);
/* Of all of them together, in ns. Ends the program when one has ended. */
int64_t measure_clocks_ns (const clocks_t *clocks);

/* "name value" on stdout, flushed. */
void measure_print (const char *name, double value);

/* A number that a file of /proc tells behind a name, times `unit`; 0 when it does not. */
uint64_t measure_told (const char *path, const char *name, uint64_t unit);
/* The most memory that this program had. What getrusage says is that of whoever began it, too. */
uint64_t measure_peak_bytes (void);

/* Ends the program with a sentence when a step has failed. */
void measure_fail (const char *format, ...) __attribute__ ((format (printf, 1, 2), noreturn));

/* The value of --NAME=VALUE among the arguments, or `otherwise`. */
const char *measure_option (int argc, char **argv, const char *name, const char *otherwise);
uint64_t measure_number (int argc, char **argv, const char *name, uint64_t otherwise);

#endif
