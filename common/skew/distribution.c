#include "skew/distribution.h"

#include "aggregate/exact_number.h"
#include "aggregate/exact_sum.h"
#include "base/check.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "skew/categories.h"

#include <math.h>
#include <stdlib.h>

enum { DISTRIBUTION_OBJECT = 0x44495354, NUMBERS_LEAST = 1024 };

const double distribution_quantiles[DISTRIBUTION_QUANTILES] = { 0.01, 0.05, 0.25, 0.5,
                                                                0.75, 0.95, 0.99 };

typedef struct numbers {
    double *items;
    size_t count;
    size_t capacity;
} numbers_t;

struct distribution {
    uint32_t magic;
    distribution_kind_t kind;
    size_t memory;
    uint64_t counts[SIDES];
    uint64_t nulls[SIDES];
    numbers_t numbers[SIDES];
    categories_t *categories;
};

distribution_kind_t distribution_kind_of (type_t type)
{
    type_t family = type_family (type);
    if (family == TYPE_BOOL || family == TYPE_STRING)
        return DISTRIBUTION_WORDS;
    return family == TYPE_LIST || family == TYPE_MAP ? DISTRIBUTION_PRESENCE : DISTRIBUTION_NUMBERS;
}

distribution_t *distribution_new (distribution_kind_t kind, size_t memory)
{
    distribution_t *self = mem_zero (1, sizeof *self);
    self->magic = DISTRIBUTION_OBJECT;
    self->kind = kind;
    self->memory = memory;
    if (kind == DISTRIBUTION_WORDS)
        self->categories = categories_new (memory);
    return self;
}

void distribution_destroy (distribution_t **self_p)
{
    distribution_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, DISTRIBUTION_OBJECT);
    for (int s = 0; s < SIDES; s++)
        mem_free (self->numbers[s].items);
    categories_destroy (&self->categories);
    self->magic = 0;
    mem_free (self);
}

/* ---- adding ---- */

static status_t too_large (const distribution_t *self, error_t *error)
{
    return error_set (error, STATUS_TOO_LARGE, "its values take more than %zu MiB",
                      self->memory >> 20);
}

static double number_of (const value_t *value)
{
    switch (type_family (value->type)) {
    case TYPE_FLOAT64:
        return value_float (value->f);
    case TYPE_DECIMAL:
        return decimal_to_float (value->d, type_scale (value->type));
    default:
        return (double)value->i;
    }
}

static status_t add_number (distribution_t *self, numbers_t *numbers, double number, error_t *error)
{
    if (numbers->count == numbers->capacity) {
        size_t capacity = numbers->capacity + numbers->capacity / 2;
        capacity = capacity > NUMBERS_LEAST ? capacity : NUMBERS_LEAST;
        size_t all = self->numbers[0].capacity + self->numbers[1].capacity;
        if ((all - numbers->capacity + capacity) * sizeof (double) > self->memory)
            return too_large (self, error);
        numbers->items = mem_resize (numbers->items, capacity, sizeof (double));
        numbers->capacity = capacity;
    }
    numbers->items[numbers->count++] = number;
    return STATUS_OK;
}

status_t distribution_add (distribution_t *self, distribution_side_t side, const value_t *value,
                           error_t *error)
{
    CHECK_OBJECT (self, DISTRIBUTION_OBJECT);
    self->counts[side]++;
    if (value->null) {
        self->nulls[side]++;
        return STATUS_OK;
    }
    if (self->kind == DISTRIBUTION_NUMBERS)
        return add_number (self, &self->numbers[side], number_of (value), error);
    if (self->kind == DISTRIBUTION_PRESENCE)
        return STATUS_OK;
    text_t text = value->type == TYPE_BOOL ? text_of (value->i != 0 ? "true" : "false") : value->s;
    return categories_add (self->categories, side, text) ? STATUS_OK : too_large (self, error);
}

/* ---- numbers ---- */

/* NaN is above all others. */
static int compare (double a, double b)
{
    if (isnan (a) || isnan (b))
        return isnan (a) - isnan (b);
    return (a > b) - (a < b);
}

static int compare_numbers (const void *a, const void *b)
{
    return compare (*(const double *)a, *(const double *)b);
}

/* The least value that a share of `rank` / `of` of the values is not above. */
static double quantile (const numbers_t *sorted, uint64_t rank, uint64_t of)
{
    uint64_t at = ((uint64_t)sorted->count * rank + of - 1) / of;
    return sorted->items[at > 0 ? at - 1 : 0];
}

/* Rounded once: the mean of numbers is always one. */
static double mean_of (const exact_sum_t *sum, size_t count)
{
    exact_number_t number;
    double mean = 0;
    exact_number_of_sum (&number, sum);
    bool fits = exact_number_round_quotient (&number, count, &mean);
    CHECK (fits);
    return mean;
}

static void summarise (const numbers_t *sorted, distribution_summary_t *summary)
{
    exact_sum_t sum;
    exact_sum_init (&sum);
    size_t finite = exact_sum_add_floats (&sum, sorted->items, sorted->count);
    summary->has_numbers = finite > 0;
    if (finite > 0)
        summary->mean = mean_of (&sum, finite);
    exact_sum_release (&sum);
    for (int i = 0; i < DISTRIBUTION_QUANTILES && sorted->count > 0; i++)
        summary->quantiles[i] =
            quantile (sorted, (uint64_t)lround (100 * distribution_quantiles[i]), 100);
}

/* Bin i holds what is above edge i - 1 and not above edge i; edges that are the same are one. */
static size_t edges_of (const numbers_t *training, double edges[DISTRIBUTION_BINS])
{
    size_t count = 0;
    for (uint64_t i = 1; i < DISTRIBUTION_BINS; i++) {
        double edge = quantile (training, i, DISTRIBUTION_BINS);
        if (count == 0 || compare (edges[count - 1], edge) < 0)
            edges[count++] = edge;
    }
    return count;
}

static void count_bins (const numbers_t *sorted, const double *edges, size_t edges_count,
                        uint64_t bins[DISTRIBUTION_BINS])
{
    size_t bin = 0;
    for (size_t i = 0; i < sorted->count; i++) {
        while (bin < edges_count && compare (sorted->items[i], edges[bin]) > 0)
            bin++;
        bins[bin]++;
    }
}

double distribution_psi (const uint64_t *training, const uint64_t *serving, size_t bins)
{
    uint64_t totals[SIDES] = { 0, 0 };
    double psi = 0;
    for (size_t i = 0; i < bins; i++) {
        totals[SIDE_TRAINING] += training[i];
        totals[SIDE_SERVING] += serving[i];
    }
    for (size_t i = 0; i < bins; i++) {
        double half = (double)bins / 2;
        double t = ((double)training[i] + 0.5) / ((double)totals[SIDE_TRAINING] + half);
        double s = ((double)serving[i] + 0.5) / ((double)totals[SIDE_SERVING] + half);
        psi += (s - t) * log (s / t);
    }
    return psi;
}

static double psi_of_numbers (const numbers_t *numbers)
{
    double edges[DISTRIBUTION_BINS];
    uint64_t bins[SIDES][DISTRIBUTION_BINS] = { { 0 } };
    size_t count = edges_of (&numbers[SIDE_TRAINING], edges);
    for (int s = 0; s < SIDES; s++)
        count_bins (&numbers[s], edges, count, bins[s]);
    return distribution_psi (bins[SIDE_TRAINING], bins[SIDE_SERVING], count + 1);
}

/* The greatest distance of the two shares that are not above some value. */
static double ks_of (const numbers_t *a, const numbers_t *b)
{
    double greatest = 0;
    for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
        double at = compare (a->items[i], b->items[k]) <= 0 ? a->items[i] : b->items[k];
        while (i < a->count && compare (a->items[i], at) <= 0)
            i++;
        while (k < b->count && compare (b->items[k], at) <= 0)
            k++;
        double apart = fabs ((double)i / (double)a->count - (double)k / (double)b->count);
        greatest = apart > greatest ? apart : greatest;
    }
    return greatest;
}

static void finish_numbers (distribution_t *self, distribution_result_t *result)
{
    for (int s = 0; s < SIDES; s++) {
        numbers_t *numbers = &self->numbers[s];
        if (numbers->count > 1)
            qsort (numbers->items, numbers->count, sizeof (double), compare_numbers);
        summarise (numbers, &result->sides[s]);
    }
    if (!result->compared)
        return;
    result->psi = psi_of_numbers (self->numbers);
    result->ks = ks_of (&self->numbers[SIDE_TRAINING], &self->numbers[SIDE_SERVING]);
}

/* ---- all ---- */

void distribution_finish (distribution_t *self, distribution_result_t *result)
{
    CHECK_OBJECT (self, DISTRIBUTION_OBJECT);
    *result = (distribution_result_t){ .compared = true };
    for (int s = 0; s < SIDES; s++) {
        distribution_summary_t *side = &result->sides[s];
        side->count = self->counts[s];
        side->nulls = self->nulls[s];
        if (side->count > 0)
            side->null_rate = (double)side->nulls / (double)side->count;
        result->compared = result->compared && side->count > side->nulls;
    }
    if (result->sides[0].count > 0 && result->sides[1].count > 0)
        result->null_rate =
            result->sides[SIDE_SERVING].null_rate - result->sides[SIDE_TRAINING].null_rate;
    if (self->kind == DISTRIBUTION_NUMBERS)
        finish_numbers (self, result);
    if (self->kind == DISTRIBUTION_WORDS)
        categories_finish (self->categories, result);
}
