/* approx_quantile by sorting: which bucket the row of that rank is in, and what stands for it. */
#include "reference.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { BUCKETS = 64, SPAN = 48 * BUCKETS };

static int compare_values (const void *left, const void *right)
{
    const value_t *a = left, *b = right;
    return reference_is_less (b, a) - reference_is_less (a, b);
}

/* Finite, not zero: 64 * exponent + 64ths above the power of 2. */
static long bucket_of (long double number, bool *at_end)
{
    int exponent;
    long double part = frexpl (fabsl (number), &exponent) * 2 * BUCKETS - BUCKETS;
    *at_end = part == floorl (part);
    return (long)(exponent - 1) * BUCKETS + (long)floorl (part);
}

static bool is_special (const value_t *value)
{
    return value->type == TYPE_FLOAT64 && !isfinite (value->f);
}

static long double number_of (const value_t *value)
{
    return value->type == TYPE_FLOAT64 ? (long double)value->f : (long double)value->i;
}

answer_t reference_of_quantiles (const row_t *rows, size_t count, double fraction)
{
    value_t *sorted = mem_zero (count, sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = rows[i].value;
    qsort (sorted, count, sizeof *sorted, compare_values);
    value_t chosen = sorted[(size_t)floor (fraction * (double)(count - 1))];

    bool end;
    long top = INT32_MIN;
    for (size_t i = 0; i < count; i++)
        if (!is_special (&sorted[i]) && number_of (&sorted[i]) != 0)
            top = bucket_of (number_of (&sorted[i]), &end) > top
                      ? bucket_of (number_of (&sorted[i]), &end)
                      : top;
    if (is_special (&chosen) || number_of (&chosen) == 0) {
        mem_free (sorted);
        return reference_float (is_special (&chosen) ? chosen.f : 0.0);
    }
    long lowest = top - SPAN + 1, bucket = bucket_of (number_of (&chosen), &end);
    bucket = bucket < lowest ? lowest : bucket;
    bool all_at_end = true;
    for (size_t i = 0; i < count; i++) {
        long double number = number_of (&sorted[i]);
        if (is_special (&sorted[i]) || number == 0 || (number < 0) != (number_of (&chosen) < 0))
            continue;
        long own = bucket_of (number, &end);
        if (own == bucket || (own < lowest && bucket == lowest))
            all_at_end = all_at_end && end && own >= lowest;
    }
    long exponent = bucket >= 0 ? bucket / BUCKETS : -((BUCKETS - 1 - bucket) / BUCKETS);
    long double part = (long double)(bucket - exponent * BUCKETS) + (all_at_end ? 0.0L : 0.5L);
    double size = (double)ldexpl (1 + part / BUCKETS, (int)exponent);
    mem_free (sorted);
    return reference_float (number_of (&chosen) < 0 ? -size : size);
}
