/* decimal_sums.h - the states SUM and MOMENTS over decimals. */
#ifndef WEIR_AGGREGATE_DECIMAL_SUMS_H
#define WEIR_AGGREGATE_DECIMAL_SUMS_H

#include "aggregate/state_ops.h"

extern const state_ops_t state_ops_decimal_SUM;
extern const state_ops_t state_ops_decimal_MOMENTS;

#endif
