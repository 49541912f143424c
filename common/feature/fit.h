/* fit.h - the numbers of `preprocess` that a training set gives.
 *
 * Each column of the set that a service wants numbers of is given value by value. What comes out is
 * exact, rounded once, and depends on the values alone: mean and standard deviation (of the
 * population) from exact sums, quartiles from the values in order, between two of them on a
 * straight line. Steps are fitted to what the steps before make of the values: nulls are left out,
 * unless they are imputed; then what stands for them counts in a scale.
 *
 * Values are held for quartiles alone, 8 bytes each, up to a limit; columns that are over it wait
 * for another pass over the set. */
#ifndef WEIR_FEATURE_FIT_H
#define WEIR_FEATURE_FIT_H

#include "feature/definition.h"

enum { FIT_COUNTED_MAX = 10000 }; /* categories that are told apart, to say how many there are */

typedef struct fit fit_t;

/* For a service with features that take fitted numbers. It is borrowed. `memory`: bytes that may be
 * held. */
fit_t *fit_new (const service_t *service, size_t memory);
void fit_destroy (fit_t **self_p);

/* The features that want numbers, which are the columns that must be given. Borrowed. */
size_t fit_columns (const fit_t *self);
const service_feature_t *fit_column (const fit_t *self, size_t column);

/* Is the column needed in this pass? All are in the first. */
bool fit_wants (const fit_t *self, size_t column);
/* A value of the column, of the feature's type. INVALID: it is not finite, or cannot be a category;
 * TOO_LARGE: one column alone is over the limit. */
MUST_CHECK status_t fit_add (fit_t *self, size_t column, const value_t *value, error_t *error);

/* Ends a pass over all rows. *again: another one over the same rows has to follow. INVALID names a
 * column that nothing can be fitted to. */
MUST_CHECK status_t fit_end_pass (fit_t *self, bool *again, error_t *error);

/* Sets what was fitted, after the last pass, in place of what the same service had; `arena` is for
 * its categories and outputs. TOO_LARGE when it answers too many features then. */
MUST_CHECK status_t fit_set (const fit_t *self, service_t *service, arena_t *arena, error_t *error);

/* Of a column: rows that were null, and rows that were not. */
void fit_counts (const fit_t *self, size_t column, uint64_t *nulls, uint64_t *values);

#endif
