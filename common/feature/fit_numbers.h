/* fit_numbers.h - one column of numbers of a training set, and what is fitted to it. */
#ifndef WEIR_FEATURE_FIT_NUMBERS_H
#define WEIR_FEATURE_FIT_NUMBERS_H

#include "aggregate/exact_sum.h"
#include "base/status.h"
#include "feature/preprocess.h"

typedef struct fit_numbers {
    preprocess_t steps; /* what is asked for, and then with its numbers */
    uint64_t nulls;
    uint64_t count;      /* of values that are not null */
    exact_sum_t sum;     /* of the values */
    exact_sum_t clipped; /* of the values as they are clipped … */
    exact_sum_t squares; /* … and of their squares */
    double least, greatest;
    double *held; /* all values, when quartiles are wanted; owned */
    size_t held_count;
    size_t held_capacity;
} fit_numbers_t;

void fit_numbers_init (fit_numbers_t *self, const preprocess_t *steps);
void fit_numbers_release (fit_numbers_t *self);

/* Are quartiles wanted, for which values are held? */
bool fit_numbers_holds (const fit_numbers_t *self);
/* Lets go of what is held. */
void fit_numbers_drop (fit_numbers_t *self);
/* Bytes that are held once there is room for one more. */
size_t fit_numbers_memory (const fit_numbers_t *self);

/* A finite number, or null (NULL) … */
void fit_numbers_add (fit_numbers_t *self, const double *value);
/* … of which only quartiles are to be found; and nothing but them. */
void fit_numbers_hold (fit_numbers_t *self, double value);

/* Sets the numbers of `steps`, when all values are there. RANGE: values are too far apart. */
MUST_CHECK status_t fit_numbers_finish (fit_numbers_t *self, error_t *error);

#endif
