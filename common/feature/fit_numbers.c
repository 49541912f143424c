#include "feature/fit_numbers.h"

#include "aggregate/exact_number.h"
#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { HELD_FIRST = 1024 };

void fit_numbers_init (fit_numbers_t *self, const preprocess_t *steps)
{
    *self = (fit_numbers_t){ .steps = *steps,
                             .least = (double)INFINITY,
                             .greatest = -(double)INFINITY };
    preprocess_forget (&self->steps);
    exact_sum_init (&self->sum);
    exact_sum_init (&self->clipped);
    exact_sum_init (&self->squares);
}

void fit_numbers_release (fit_numbers_t *self)
{
    fit_numbers_drop (self);
    exact_sum_release (&self->sum);
    exact_sum_release (&self->clipped);
    exact_sum_release (&self->squares);
}

static bool fits_scale (const fit_numbers_t *self, scale_kind_t kind)
{
    return self->steps.scale == kind && !self->steps.scale_is_given;
}

bool fit_numbers_holds (const fit_numbers_t *self)
{
    return self->steps.impute == IMPUTE_MEDIAN || fits_scale (self, SCALE_ROBUST);
}

void fit_numbers_drop (fit_numbers_t *self)
{
    mem_free (self->held);
    self->held = NULL;
    self->held_count = self->held_capacity = 0;
}

static size_t next_capacity (const fit_numbers_t *self)
{
    if (self->held_count < self->held_capacity)
        return self->held_capacity;
    return self->held_capacity < HELD_FIRST ? HELD_FIRST
                                            : self->held_capacity + self->held_capacity / 2;
}

size_t fit_numbers_memory (const fit_numbers_t *self)
{
    return next_capacity (self) * sizeof *self->held;
}

void fit_numbers_hold (fit_numbers_t *self, double value)
{
    size_t capacity = next_capacity (self);
    if (capacity > self->held_capacity)
        self->held = mem_resize (self->held, capacity, sizeof *self->held);
    self->held_capacity = capacity;
    self->held[self->held_count++] = value;
}

static double clip (const fit_numbers_t *self, double value)
{
    if (!self->steps.clips)
        return value;
    return value < self->steps.least      ? self->steps.least
           : value > self->steps.greatest ? self->steps.greatest
                                          : value;
}

/* What a scale is fitted to. */
static void add_clipped (fit_numbers_t *self, double value)
{
    if (fits_scale (self, SCALE_STANDARD)) {
        exact_sum_add_float (&self->clipped, value);
        exact_sum_add_float_product (&self->squares, value, value);
    }
    if (value < self->least)
        self->least = value;
    if (value > self->greatest)
        self->greatest = value;
}

void fit_numbers_add (fit_numbers_t *self, const double *value)
{
    self->nulls += value == NULL;
    self->count += value != NULL;
    if (value == NULL)
        return;
    if (self->steps.impute == IMPUTE_MEAN)
        exact_sum_add_float (&self->sum, *value);
    add_clipped (self, clip (self, *value));
}

/* ---- quartiles ---- */

static int compare (const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Values in order, as they are clipped, with `more` others that are all `other`. */
typedef struct ordered {
    const fit_numbers_t *from;
    bool clipped;
    size_t below; /* of the held ones, before the others */
    uint64_t more;
    double other;
} ordered_t;

static double held_at (const ordered_t *self, size_t at)
{
    double value = self->from->held[at];
    return self->clipped ? clip (self->from, value) : value;
}

static double value_at (const ordered_t *self, uint64_t at)
{
    if (at < self->below)
        return held_at (self, (size_t)at);
    return at - self->below < self->more ? self->other : held_at (self, (size_t)(at - self->more));
}

static void place_others (ordered_t *self, uint64_t more, double other)
{
    size_t from = 0, to = self->from->held_count;
    while (more > 0 && from < to) {
        size_t middle = from + (to - from) / 2;
        if (held_at (self, middle) < other)
            from = middle + 1;
        else
            to = middle;
    }
    self->below = from;
    self->more = more;
    self->other = other;
}

/* Four times the quartile, 1 to 3: between the two values next to it on a straight line. */
static void quartile (const ordered_t *self, unsigned number, exact_number_t *out)
{
    uint128_t last = (uint128_t)self->from->held_count + self->more - 1;
    uint64_t at = (uint64_t)(last * number / 4);
    unsigned above = (unsigned)(last * number % 4);
    exact_sum_t sum;
    exact_sum_init (&sum);
    for (unsigned i = 0; i < 4; i++)
        exact_sum_add_float (&sum, value_at (self, at + (i < above)));
    exact_number_of_sum (out, &sum);
    exact_sum_release (&sum);
}

static double median (const ordered_t *self)
{
    exact_number_t four;
    double value = 0;
    quartile (self, 2, &four);
    CHECK (exact_number_round_quotient (&four, 4, &value)); /* it lies between two of them */
    return value_float (value);
}

/* ---- what comes of it ---- */

static double mean_of (const exact_sum_t *sum, uint64_t rows)
{
    exact_number_t number;
    double mean = 0;
    exact_number_of_sum (&number, sum);
    CHECK (exact_number_round_quotient (&number, rows, &mean)); /* it lies between two of them */
    return value_float (mean);
}

static double deviation_of (fit_numbers_t *self, uint64_t rows)
{
    exact_number_t sum, squares;
    double stddev = 0;
    exact_number_of_sum (&sum, &self->clipped);
    exact_number_of_sum (&squares, &self->squares);
    exact_number_t spread;
    CHECK (exact_number_dispersion (&spread, rows, &sum, &squares));
    /* at most half of how far the values are apart */
    CHECK (exact_number_round_root (&spread, (uint128_t)rows * rows, &stddev));
    return stddev;
}

static void find_imputed (fit_numbers_t *self)
{
    preprocess_t *steps = &self->steps;
    ordered_t raw = { .from = self, .below = self->held_count };
    if (steps->impute != IMPUTE_MEDIAN && steps->impute != IMPUTE_MEAN)
        return;
    steps->has_impute = true;
    steps->imputed = (value_t){ .type = TYPE_FLOAT64 };
    steps->imputed.f =
        steps->impute == IMPUTE_MEDIAN ? median (&raw) : mean_of (&self->sum, self->count);
}

static status_t too_far (error_t *error)
{
    return error_set (
        error, STATUS_RANGE,
        "the values are too far apart for a float64; clip them, as in clip: [0, 100]");
}

static status_t find_quartiles (fit_numbers_t *self, uint64_t imputed, error_t *error)
{
    preprocess_t *steps = &self->steps;
    ordered_t ordered = { .from = self, .clipped = true };
    place_others (&ordered, imputed, imputed > 0 ? clip (self, steps->imputed.f) : 0);
    exact_number_t first, third, range;
    quartile (&ordered, 1, &first);
    quartile (&ordered, 3, &third);
    exact_number_subtract (&range, &third, &first);
    steps->scaled_by[0] = median (&ordered);
    return exact_number_round_quotient (&range, 4, &steps->scaled_by[1]) ? STATUS_OK
                                                                         : too_far (error);
}

status_t fit_numbers_finish (fit_numbers_t *self, error_t *error)
{
    preprocess_t *steps = &self->steps;
    if (self->held_count > 0)
        qsort (self->held, self->held_count, sizeof *self->held, compare);
    find_imputed (self);
    if (steps->scale == SCALE_NONE || steps->scale_is_given)
        return STATUS_OK;
    uint64_t imputed = steps->impute != IMPUTE_NONE ? self->nulls : 0;
    for (uint64_t i = 0; i < imputed && !fits_scale (self, SCALE_ROBUST); i++)
        add_clipped (self, clip (self, steps->imputed.f));
    steps->has_scale = true;
    if (steps->scale == SCALE_ROBUST)
        return find_quartiles (self, imputed, error);
    if (steps->scale == SCALE_STANDARD) {
        steps->scaled_by[0] = mean_of (&self->clipped, self->count + imputed);
        steps->scaled_by[1] = deviation_of (self, self->count + imputed);
        return STATUS_OK;
    }
    steps->scaled_by[0] = value_float (self->least);
    steps->scaled_by[1] = value_float (self->greatest);
    return isfinite (self->greatest - self->least) ? STATUS_OK : too_far (error);
}
