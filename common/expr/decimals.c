/* Decimals: arithmetic, and the functions that take all numbers. Every result is exact or, past 38
 * digits, null. A strict kernel is called with its result's valid bits set to those of all
 * arguments; arguments that are null hold 0. */
#include "expr/decimals.h"
#include "base/check.h"
#include "base/decimal.h"

#include <math.h>

static void set_decimal (column_t *out, size_t row, bool ok, int128_t value)
{
    ok = ok && out->valid[row];
    out->valid[row] = ok;
    out->d[row] = ok ? value : 0;
}

/* ---- operators ---- */

typedef bool apply_two_t (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale,
                          unscaled_t *out);

static void each_two (const call_t *call, column_t *out, apply_two_t *apply)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    unsigned a_scale = type_scale (a->column.type);
    unsigned b_scale = type_scale (b->column.type);
    for (size_t r = 0; r < call->rows; r++) {
        unscaled_t value = 0;
        bool ok =
            apply (a->column.d[r * a->step], a_scale, b->column.d[r * b->step], b_scale, &value);
        set_decimal (out, r, ok, value);
    }
}

static bool subtract (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale, unscaled_t *out)
{
    return decimal_add (a, a_scale, -b, b_scale, out);
}

static bool multiply (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale, unscaled_t *out)
{
    (void)a_scale, (void)b_scale;
    return decimal_multiply (a, b, out);
}

void eval_add_decimal (const call_t *call, column_t *out)
{
    each_two (call, out, decimal_add);
}

void eval_subtract_decimal (const call_t *call, column_t *out)
{
    each_two (call, out, subtract);
}

void eval_multiply_decimal (const call_t *call, column_t *out)
{
    each_two (call, out, multiply);
}

void eval_remainder_decimal (const call_t *call, column_t *out)
{
    each_two (call, out, decimal_remainder);
}

void eval_negate_decimal (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        set_decimal (out, r, true, -a->column.d[r * a->step]);
}

/* ---- functions ---- */

void decimal_call_abs (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        int128_t value = a->column.d[r * a->step];
        set_decimal (out, r, true, value < 0 ? -value : value);
    }
}

void decimal_call_sign (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    int128_t one = decimal_power (type_scale (out->type));
    for (size_t r = 0; r < call->rows; r++) {
        int128_t value = a->column.d[r * a->step];
        set_decimal (out, r, value == 0 || decimal_fits (one),
                     value > 0   ? one
                     : value < 0 ? -one
                                 : 0);
    }
}

static void round_each (const call_t *call, column_t *out, decimal_rounding_t rounding)
{
    const vector_t *a = call->args[0];
    const vector_t *digits = call->count == 2 ? call->args[1] : NULL;
    for (size_t r = 0; r < call->rows; r++) {
        unscaled_t value = 0;
        int64_t places = digits != NULL ? digits->column.i[r * digits->step] : 0;
        bool ok = decimal_round (a->column.d[r * a->step], type_scale (out->type), places, rounding,
                                 &value);
        set_decimal (out, r, ok, value);
    }
}

void decimal_call_floor (const call_t *call, column_t *out)
{
    round_each (call, out, DECIMAL_DOWN);
}

void decimal_call_ceil (const call_t *call, column_t *out)
{
    round_each (call, out, DECIMAL_UP);
}

void decimal_call_trunc (const call_t *call, column_t *out)
{
    round_each (call, out, DECIMAL_TO_ZERO);
}

void decimal_call_round (const call_t *call, column_t *out)
{
    round_each (call, out, DECIMAL_NEAREST);
}

kernel_t *decimal_kernel (kernel_t *kernel)
{
    static const struct {
        kernel_t *any, *decimal;
    } kernels[] = {
        { call_abs, decimal_call_abs },       { call_sign, decimal_call_sign },
        { call_floor, decimal_call_floor },   { call_ceil, decimal_call_ceil },
        { call_trunc, decimal_call_trunc },   { call_round, decimal_call_round },
        { call_mod, eval_remainder_decimal },
    };
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (kernels[i].any == kernel)
            return kernels[i].decimal;
    return kernel;
}

/* ---- to and from the other numbers ---- */

/* The digits that a cast allows; a widening all. */
static int128_t limit_of (const call_t *call)
{
    unsigned precision = call->node->precision;
    return decimal_power (precision > 0 ? precision : DECIMAL_DIGITS_MAX);
}

static void set_limited (column_t *out, size_t row, bool ok, int128_t value, int128_t limit)
{
    set_decimal (out, row, ok && value < limit && value > -limit, value);
}

void eval_int_to_decimal (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    int128_t limit = limit_of (call);
    for (size_t r = 0; r < call->rows; r++) {
        unscaled_t value = 0;
        bool ok = decimal_rescale (a->column.i[r * a->step], 0, type_scale (out->type), &value);
        set_limited (out, r, ok, value, limit);
    }
}

void eval_rescale (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    int128_t limit = limit_of (call);
    unsigned scale = type_scale (a->column.type);
    for (size_t r = 0; r < call->rows; r++) {
        unscaled_t value = 0;
        bool ok = decimal_rescale (a->column.d[r * a->step], scale, type_scale (out->type), &value);
        set_limited (out, r, ok, value, limit);
    }
}

void eval_float_to_decimal (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    int128_t limit = limit_of (call);
    for (size_t r = 0; r < call->rows; r++) {
        unscaled_t value = 0;
        bool ok = decimal_of_float (a->column.f[r * a->step], type_scale (out->type), &value);
        set_limited (out, r, ok, value, limit);
    }
}

void eval_string_to_decimal (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        unscaled_t value = 0;
        bool ok = decimal_parse (a->column.s[r * a->step], call->node->precision,
                                 type_scale (out->type), &value) == DECIMAL_GOOD;
        set_decimal (out, r, ok, value);
    }
}

void eval_decimal_to_float (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    unsigned scale = type_scale (a->column.type);
    for (size_t r = 0; r < call->rows; r++)
        out->f[r] = out->valid[r] ? decimal_to_float (a->column.d[r * a->step], scale) : 0.0;
}

void eval_decimal_to_int (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    unsigned scale = type_scale (a->column.type);
    for (size_t r = 0; r < call->rows; r++) {
        unscaled_t value = 0;
        bool ok = decimal_rescale (a->column.d[r * a->step], scale, 0, &value) &&
                  value == (int64_t)value && out->valid[r];
        out->valid[r] = ok;
        out->i[r] = ok ? (int64_t)value : 0;
    }
}

void eval_decimal_to_bool (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        out->i[r] = out->valid[r] && a->column.d[r * a->step] != 0;
}

kernel_t *widen_find (type_t from, type_t to)
{
    if (to == TYPE_FLOAT64)
        return type_is_decimal (from) ? eval_decimal_to_float : eval_widen;
    CHECK (type_is_decimal (to));
    return type_is_decimal (from) ? eval_rescale : eval_int_to_decimal;
}
