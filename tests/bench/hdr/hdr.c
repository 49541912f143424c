#include "tests/bench/hdr/hdr.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    SUB_BUCKETS = 2048, /* of each bucket, for three digits: the least power of two from 2 × 10^3 */
    HALF = SUB_BUCKETS / 2,
    HALF_BITS = 10,
    BUCKETS = 26, /* the last one ends above HDR_MAX */
    COUNTS = (BUCKETS + 1) * HALF,
    TICKS = 5, /* lines of the text each time that what is left halves */
};

_Static_assert(HALF == 1 << HALF_BITS, "");
_Static_assert(((int64_t)SUB_BUCKETS << (BUCKETS - 1)) > HDR_MAX, "the last bucket is too low");

/* Bucket b > 0 has the values from HALF << b to below SUB_BUCKETS << b, in steps of 1 << b; bucket
 * 0 those below SUB_BUCKETS, in steps of 1. */
struct hdr {
    uint64_t total;
    int64_t max;
    uint64_t count[COUNTS];
};

hdr_t *hdr_new (void)
{
    return mem_zero (1, sizeof (hdr_t));
}

void hdr_destroy (hdr_t **self_p)
{
    mem_free (*self_p);
    *self_p = NULL;
}

static unsigned bucket_of (int64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll ((uint64_t)value | (SUB_BUCKETS - 1));
    return bits - (HALF_BITS + 1);
}

static unsigned index_of (int64_t value)
{
    unsigned bucket = bucket_of (value);
    return (bucket << HALF_BITS) + (unsigned)(value >> bucket);
}

/* The largest value that is counted there. */
static int64_t last_at (unsigned index)
{
    if (index < SUB_BUCKETS)
        return index;
    unsigned bucket = (index >> HALF_BITS) - 1;
    return ((int64_t)(index - (bucket << HALF_BITS) + 1) << bucket) - 1;
}

static double middle_at (unsigned index)
{
    if (index < SUB_BUCKETS)
        return index;
    return (double)(last_at (index) + 1 - (INT64_C (1) << ((index >> HALF_BITS) - 1) >> 1));
}

void hdr_record (hdr_t *self, int64_t value)
{
    value = value < 0 ? 0 : value > HDR_MAX ? HDR_MAX : value;
    self->count[index_of (value)]++;
    self->total++;
    self->max = value > self->max ? value : self->max;
}

void hdr_add (hdr_t *self, const hdr_t *other)
{
    for (unsigned i = 0; i < COUNTS; i++)
        self->count[i] += other->count[i];
    self->total += other->total;
    self->max = other->max > self->max ? other->max : self->max;
}

void hdr_clear (hdr_t *self)
{
    memset (self, 0, sizeof *self);
}

uint64_t hdr_count (const hdr_t *self)
{
    return self->total;
}

int64_t hdr_quantile (const hdr_t *self, double quantile)
{
    uint64_t below = 0, wanted = (uint64_t)ceil (quantile * (double)self->total);
    for (unsigned i = 0; i < COUNTS; i++) {
        below += self->count[i];
        if (below > 0 && below >= wanted)
            return last_at (i);
    }
    return 0;
}

/* The largest value that was recorded, to three digits as all others are. */
int64_t hdr_max (const hdr_t *self)
{
    return self->total > 0 ? last_at (index_of (self->max)) : 0;
}

double hdr_mean (const hdr_t *self)
{
    double sum = 0;
    for (unsigned i = 0; i < COUNTS; i++)
        sum += (double)self->count[i] * middle_at (i);
    return self->total > 0 ? sum / (double)self->total : 0;
}

static double deviation (const hdr_t *self)
{
    double mean = hdr_mean (self), sum = 0;
    for (unsigned i = 0; i < COUNTS; i++) {
        double away = middle_at (i) - mean;
        sum += self->count[i] > 0 ? (double)self->count[i] * away * away : 0;
    }
    return self->total > 0 ? sqrt (sum / (double)self->total) : 0;
}

/* What the next line is to stand for, in percent: a step that halves with each halving of the rest.
 */
static double next_percent (double percent)
{
    double halvings = floor (log2 (100 / (100 - percent))) + 1;
    return percent + 100 / (TICKS * exp2 (halvings));
}

static void write_lines (const hdr_t *self, FILE *file)
{
    uint64_t below = 0;
    double percent = 0;
    fprintf (file, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
             "1/(1-Percentile)");
    for (unsigned i = 0; i < COUNTS && below < self->total; i++) {
        below += self->count[i];
        double found = 100 * (double)below / (double)self->total;
        while (self->count[i] > 0 && percent <= found && percent < 100) {
            fprintf (file, "%12.3f %2.12f %10llu %14.2f\n", (double)last_at (i) / 1e3,
                     percent / 100, (unsigned long long)below, 1 / (1 - percent / 100));
            if (below == self->total)
                break;
            percent = next_percent (percent);
        }
    }
    fprintf (file, "%12.3f %2.12f %10llu\n", (double)hdr_max (self) / 1e3, 1.0,
             (unsigned long long)self->total);
}

bool hdr_write (const hdr_t *self, const char *path)
{
    FILE *file = fopen (path, "w");
    if (file == NULL)
        return false;
    write_lines (self, file);
    fprintf (file, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", hdr_mean (self) / 1e3,
             deviation (self) / 1e3);
    fprintf (file, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)hdr_max (self) / 1e3,
             (unsigned long long)self->total);
    fprintf (file, "#[Buckets = %12d, SubBuckets     = %12d]\n", BUCKETS, SUB_BUCKETS);
    bool written = fflush (file) == 0 && !ferror (file);
    return fclose (file) == 0 && written;
}
