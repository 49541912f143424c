/* approx_quantile by sorting the numbers: the row of that rank, and what stands for its bucket. */
#include "tests/oracle/found.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IN_POWER = 64, POWERS = 48 };

static int compare_numbers (const void *left, const void *right)
{
    const value_t *a = left;
    const value_t *b = right;
    if (a->type == TYPE_INT64)
        return (a->i > b->i) - (a->i < b->i);
    if (isnan (a->f) || isnan (b->f))
        return isnan (a->f) - isnan (b->f);
    return (a->f > b->f) - (a->f < b->f);
}

/* A long double holds an int64 exactly. */
static long double number_of (const value_t *value)
{
    return value->type == TYPE_FLOAT64 ? (long double)value->f : (long double)value->i;
}

static bool has_bucket (const value_t *value)
{
    return found_is_finite (value) && number_of (value) != 0;
}

/* Buckets from the one that begins at 1; 64 to each power of 2. *end: the number nearest to zero of
 * that bucket, without its sign. */
static long bucket_of (const value_t *value, long double *end)
{
    long double size = fabsl (number_of (value)), step = 1;
    long power = 0;
    for (; size >= 2 * step; step *= 2)
        power++;
    for (; size < step; step /= 2)
        power--;
    long within = (long)floorl ((size / step - 1) * IN_POWER);
    *end = step + step / IN_POWER * (long double)within;
    return power * IN_POWER + within;
}

/* The greatest bucket of magnitude decides which is the least that is told apart. */
static long least_bucket (const value_t *numbers, size_t count, long double *end)
{
    long double own_end;
    long greatest = 0;
    bool any = false;
    const value_t *largest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!has_bucket (&numbers[i]))
            continue;
        long bucket = bucket_of (&numbers[i], &own_end);
        if (!any || bucket > greatest) {
            greatest = bucket;
            largest = &numbers[i];
        }
        any = true;
    }
    bucket_of (largest, &own_end);
    long within = ((greatest % IN_POWER) + IN_POWER) % IN_POWER;
    /* One bucket above 48 powers of 2 below. */
    long double power = own_end / (1 + (long double)within / IN_POWER);
    within++;
    *end = ldexpl (power, -POWERS) * (1 + (long double)within / IN_POWER);
    return greatest - (long)POWERS * IN_POWER + 1;
}

static double stands_for (const value_t *numbers, size_t count, const value_t *chosen)
{
    long double least_end, end, own_end;
    long least = least_bucket (numbers, count, &least_end), bucket = bucket_of (chosen, &end);
    if (bucket < least) {
        bucket = least;
        end = least_end;
    }
    bool all_at_end = true;
    for (size_t i = 0; i < count; i++) {
        if (!has_bucket (&numbers[i]) || (number_of (&numbers[i]) < 0) != (number_of (chosen) < 0))
            continue;
        long own = bucket_of (&numbers[i], &own_end);
        if (own == bucket || (own < least && bucket == least))
            all_at_end = all_at_end && fabsl (number_of (&numbers[i])) == end;
    }
    long within = ((bucket % IN_POWER) + IN_POWER) % IN_POWER;
    long double width = end / (IN_POWER + (long double)within);
    double size = (double)(all_at_end ? end : end + width / 2);
    return number_of (chosen) < 0 ? -size : size;
}

status_t found_quantile (const found_t *found, value_t *out)
{
    bool median = strcmp (found->feature->aggregate, "approx_median") == 0;
    if (!median && strcmp (found->feature->aggregate, "approx_quantile") != 0)
        return STATUS_INVALID;
    if (found->count == 0)
        return STATUS_OK;
    value_t *numbers = mem_zero (found->count, sizeof *numbers);
    for (size_t i = 0; i < found->count; i++)
        numbers[i] = *found_value (found, i);
    qsort (numbers, found->count, sizeof *numbers, compare_numbers);
    double fraction = median ? 0.5 : found->feature->fraction;
    value_t chosen = numbers[(size_t)floor (fraction * (double)(found->count - 1))];
    if (has_bucket (&chosen))
        *out = found_float (stands_for (numbers, found->count, &chosen));
    else
        *out = found_float (found_is_finite (&chosen) ? 0.0 : chosen.f);
    mem_free (numbers);
    return STATUS_OK;
}
