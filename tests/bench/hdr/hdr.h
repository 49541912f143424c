/* hdr.h - how long things took: counts in buckets whose width grows with the value, so that every
 * quantile is right to three digits, in memory and time that do not grow with how many there are.
 *
 * The buckets and the text are those of HdrHistogram by Gil Tene (hdrhistogram.org), whose tools
 * read and plot the files. Its C library is in no Debian 12 package. */
#ifndef WEIR_TESTS_BENCH_HDR_H
#define WEIR_TESTS_BENCH_HDR_H

#include <stdbool.h>
#include <stdint.h>

/* The longest time that is told from longer ones, in nanoseconds: a minute. */
#define HDR_MAX INT64_C (60000000000)

typedef struct hdr hdr_t;

hdr_t *hdr_new (void);
void hdr_destroy (hdr_t **self_p);

/* Counts one value in nanoseconds; below 0 is counted as 0, above HDR_MAX as HDR_MAX. */
void hdr_record (hdr_t *self, int64_t value);
/* Counts all of `other` as well. */
void hdr_add (hdr_t *self, const hdr_t *other);
void hdr_clear (hdr_t *self);

uint64_t hdr_count (const hdr_t *self);
/* The largest value that cannot be told from the one at or below which a share `quantile` (0 to 1)
 * lies; 0 when there are none. */
int64_t hdr_quantile (const hdr_t *self, double quantile);
int64_t hdr_max (const hdr_t *self);
double hdr_mean (const hdr_t *self);

/* Writes HdrHistogram's text of percentiles, in microseconds. False when the file cannot be
 * written; errno says why. */
bool hdr_write (const hdr_t *self, const char *path);

#endif
