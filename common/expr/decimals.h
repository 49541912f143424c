/* decimals.h - decimals in expressions (private). */
#ifndef WEIR_EXPR_DECIMALS_H
#define WEIR_EXPR_DECIMALS_H

#include "expr/tree.h"

/* Of two decimals of any scales, the result's as the types say (docs/expressions.md). */
kernel_t eval_add_decimal, eval_subtract_decimal, eval_multiply_decimal, eval_remainder_decimal;
kernel_t eval_negate_decimal;

/* Rounded where digits are dropped; those that make a decimal give null past node->precision digits
 * (0: 38). */
kernel_t eval_int_to_decimal, eval_rescale, eval_float_to_decimal, eval_string_to_decimal;
kernel_t eval_decimal_to_float, eval_decimal_to_int, eval_decimal_to_bool;

kernel_t decimal_call_abs, decimal_call_sign, decimal_call_floor, decimal_call_ceil,
    decimal_call_trunc, decimal_call_round;

/* What a function's kernel is for decimals: itself, when it is for all types. */
kernel_t *decimal_kernel (kernel_t *kernel);

/* From a number's type to one that holds more numbers: float64, or a decimal. */
kernel_t *widen_find (type_t from, type_t to);

#endif
