/* What is made of event times alone. */
#include "tests/oracle/found.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000 * 1000, TIMES_MOST = 4096 };

static int compare_times (const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;
    return (*a > *b) - (*a < *b);
}

/* *seconds = to - from */
static void between (int64_t from, int64_t to, mpq_t seconds)
{
    mpq_t start, unit;
    mpq_inits (start, unit, NULL);
    mpq_set_si (seconds, to, 1);
    mpq_set_si (start, from, 1);
    mpq_sub (seconds, seconds, start);
    mpq_set_ui (unit, SECOND, 1);
    mpq_div (seconds, seconds, unit);
    mpq_clears (start, unit, NULL);
}

/* Mean and variance of the sample of gaps between neighbours. */
static void gaps_of (const int64_t *times, size_t count, mpq_t mean, mpq_t variance)
{
    mpq_t gap, gaps;
    mpq_inits (gap, gaps, NULL);
    for (size_t i = 1; i < count; i++) {
        between (times[i - 1], times[i], gap);
        mpq_add (mean, mean, gap);
    }
    mpq_set_ui (gaps, count - 1, 1);
    mpq_div (mean, mean, gaps);
    for (size_t i = 1; i < count; i++) {
        between (times[i - 1], times[i], gap);
        mpq_sub (gap, gap, mean);
        mpq_mul (gap, gap, gap);
        mpq_add (variance, variance, gap);
    }
    if (count > 2) {
        mpq_set_ui (gaps, count - 2, 1);
        mpq_div (variance, variance, gaps);
    }
    mpq_clears (gap, gaps, NULL);
}

static status_t interarrival (const found_t *found, bool deviation, value_t *out)
{
    if (found->count < (deviation ? 3 : 2))
        return STATUS_OK;
    if (deviation && found->count > TIMES_MOST)
        return STATUS_TOO_LARGE;
    int64_t *times = mem_zero (found->count, sizeof *times);
    for (size_t i = 0; i < found->count; i++)
        times[i] = found->events[i]->time;
    qsort (times, found->count, sizeof *times, compare_times);
    mpq_t mean, variance;
    mpq_inits (mean, variance, NULL);
    gaps_of (times, found->count, mean, variance);
    status_t status = deviation ? found_round_root (variance, out) : found_round (mean, out);
    mpq_clears (mean, variance, NULL);
    mem_free (times);
    return status;
}

static status_t age (const found_t *found, value_t *out)
{
    if (found->count == 0)
        return STATUS_OK;
    int64_t last = found->events[0]->time;
    for (size_t i = 0; i < found->count; i++)
        last = found->events[i]->time > last ? found->events[i]->time : last;
    mpq_t seconds;
    mpq_init (seconds);
    between (last, found->as_of, seconds);
    status_t status = found_round (seconds, out);
    mpq_clear (seconds);
    return status;
}

static status_t rate (const found_t *found, value_t *out)
{
    if (found->feature->window == ORACLE_LIFETIME)
        return STATUS_OK;
    mpq_t events, seconds;
    mpq_inits (events, seconds, NULL);
    mpq_set_ui (events, found->count, 1);
    between (0, found->feature->window, seconds);
    mpq_div (events, events, seconds);
    status_t status = found_round (events, out);
    mpq_clears (events, seconds, NULL);
    return status;
}

status_t found_times (const found_t *found, value_t *out)
{
    const char *word = found->feature->aggregate;
    if (strcmp (word, "rate") == 0)
        return rate (found, out);
    if (strcmp (word, "age") == 0)
        return age (found, out);
    if (strcmp (word, "interarrival_mean") == 0)
        return interarrival (found, false, out);
    if (strcmp (word, "interarrival_stddev") == 0)
        return interarrival (found, true, out);
    return STATUS_INVALID;
}
