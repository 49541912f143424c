/* found.h - the events that count for a feature, and what is made of them; parts of oracle_value.
 */
#ifndef WEIR_ORACLE_FOUND_H
#define WEIR_ORACLE_FOUND_H

#include "tests/oracle/oracle.h"

#include <gmp.h>

/* The events in the window that passed the filters and whose inputs are not null. */
typedef struct found {
    const oracle_feature_t *feature;
    const oracle_event_t **events; /* owned */
    size_t count;
    int64_t as_of;
} found_t;

/* The first input of event i, and the second. */
const value_t *found_value (const found_t *found, size_t i);
const value_t *found_second (const found_t *found, size_t i);

/* A finite number, exactly. Is it one? */
bool found_is_finite (const value_t *value);
void found_set (mpq_t number, const value_t *value);

/* *out becomes the float64 nearest to the number, or to the root of its size with its sign; RANGE
 * past the largest. */
status_t found_round (const mpq_t number, value_t *out);
status_t found_round_root (const mpq_t number, value_t *out);
value_t found_float (double value);

/* Each is null of too few events, and INVALID for words that it does not know. */

/* skew, kurtosis, covariance, covariance_pop, correlation, slope (powers.c) */
status_t found_powers (const found_t *found, value_t *out);
/* rate, age, interarrival_mean, interarrival_stddev (times.c) */
status_t found_times (const found_t *found, value_t *out);
/* decayed_sum, decayed_mean, decayed_count (decay.c) */
status_t found_decay (const found_t *found, value_t *out);
/* approx_quantile, approx_median (quantile.c) */
status_t found_quantile (const found_t *found, value_t *out);
/* range, any, all (found.c) */
status_t found_ends (const found_t *found, value_t *out);

#endif
