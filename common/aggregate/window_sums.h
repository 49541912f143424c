/* window_sums.h - the sums of windows of numbers: what comes in is added and what goes out is
 * subtracted, in integers, so that nothing is rounded before the end. */
#ifndef WEIR_AGGREGATE_WINDOW_SUMS_H
#define WEIR_AGGREGATE_WINDOW_SUMS_H

#include "aggregate/aggregate.h"

/* As state_final_windows has it, of rows that all count. False when a sum does not fit an int64; of
 * floats, when their exponents are far apart, or some are subnormal, infinite or NaN. */
bool window_sums_of_ints (const int64_t *numbers, const state_windows_t *windows);
bool window_sums_of_floats (const double *numbers, const state_windows_t *windows);

#endif
