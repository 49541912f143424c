/* Numbers: what IEEE 754 and libm give exactly or correctly rounded. A strict kernel is called with
 * its result's valid bits set to those of all arguments; arguments that are null hold 0. */
#include "base/value.h"
#include "expr/tree.h"

#include <math.h>

#define INLINE static inline __attribute__ ((always_inline))

typedef bool apply_int_t (int64_t value, int64_t *result);
typedef double apply_float_t (double value);

INLINE void set_int (column_t *out, size_t row, bool ok, int64_t value)
{
    ok = ok && out->valid[row];
    out->valid[row] = ok;
    out->i[row] = ok ? value : 0;
}

INLINE void set_float (column_t *out, size_t row, bool ok, double value)
{
    ok = ok && out->valid[row];
    out->valid[row] = ok;
    out->f[row] = ok ? value_float (value) : 0.0;
}

/* int64 and duration by `apply_int`, float64 by `apply_float`. */
INLINE void each (const call_t *call, column_t *out, apply_int_t *apply_int,
                  apply_float_t *apply_float)
{
    const vector_t *a = call->args[0];
    if (out->type == TYPE_FLOAT64) {
        for (size_t r = 0; r < call->rows; r++)
            set_float (out, r, true, apply_float (a->column.f[r * a->step]));
        return;
    }
    for (size_t r = 0; r < call->rows; r++) {
        int64_t value = 0;
        bool ok = apply_int (a->column.i[r * a->step], &value);
        set_int (out, r, ok, value);
    }
}

INLINE bool same_int (int64_t value, int64_t *result)
{
    *result = value;
    return true;
}

INLINE bool sign_int (int64_t value, int64_t *result)
{
    *result = (value > 0) - (value < 0);
    return true;
}

INLINE double sign_float (double value)
{
    return isnan (value) ? value : (double)((value > 0.0) - (value < 0.0));
}

void call_abs (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows && out->type == TYPE_FLOAT64; r++)
        out->f[r] = fabs (a->column.f[r * a->step]);
    for (size_t r = 0; r < call->rows && out->type != TYPE_FLOAT64; r++) {
        int64_t value = a->column.i[r * a->step];
        bool least = value == INT64_MIN; /* the one whose opposite there is not */
        out->valid[r] &= !least;
        out->i[r] = least ? 0 : value < 0 ? -value : value;
    }
}

void call_sign (const call_t *call, column_t *out)
{
    each (call, out, sign_int, sign_float);
}

void call_floor (const call_t *call, column_t *out)
{
    each (call, out, same_int, floor);
}

void call_ceil (const call_t *call, column_t *out)
{
    each (call, out, same_int, ceil);
}

void call_trunc (const call_t *call, column_t *out)
{
    each (call, out, same_int, trunc);
}

void call_sqrt (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        double value = a->column.f[r * a->step];
        set_float (out, r, !(value < 0.0), sqrt (value < 0.0 ? 0.0 : value));
    }
}

void call_mod (const call_t *call, column_t *out)
{
    if (out->type == TYPE_FLOAT64)
        eval_remainder_float (call, out);
    else
        eval_remainder_int (call, out);
}

void call_pi (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++)
        set_float (out, r, true, 0x1.921fb54442d18p+1);
}

void call_is_nan (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        set_int (out, r, true, isnan (a->column.f[r * a->step]));
}

void call_is_finite (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        set_int (out, r, true, isfinite (a->column.f[r * a->step]));
}

/* ---- rounding to decimal digits ---- */

enum { DIGITS_MAX = 22 }; /* 10^22 is the largest power of ten that is a float64 */

static const double powers[DIGITS_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* A magnitude to `digits` after the point. Scaled is value * power, and rest what that product
 * lacks, so that their sum is exact; from 2^53 on the digits asked for are finer than the value. */
static double round_after_point (double value, int64_t digits)
{
    double power = powers[digits];
    double scaled = value * power;
    if (!(scaled < 0x1p53))
        return value;
    double rest = fma (value, power, -scaled);
    double whole = floor (scaled);
    double above = scaled - whole; /* exact, and so is what it is above a half, but for tiny ones */
    return (above - 0.5 + rest >= 0.0 ? whole + 1.0 : whole) / power;
}

/* A magnitude to the multiple of 10^digits. The remainder and its complement are exact. */
static double round_before_point (double value, int64_t digits)
{
    double power = powers[digits];
    double over = fmod (value, power);
    return 2.0 * over >= power ? value + (power - over) : value - over;
}

static double round_float (double value, int64_t digits)
{
    if (!isfinite (value))
        return value;
    double size = fabs (value);
    size = digits >= 0 ? round_after_point (size, digits) : round_before_point (size, -digits);
    return copysign (size, value);
}

static bool round_int (int64_t value, int64_t digits, int64_t *result)
{
    *result = value;
    if (digits >= 0)
        return true;
    __int128 power = 1;
    for (int64_t i = digits; i < 0; i++)
        power *= 10;
    __int128 over = value % power; /* with the sign of value */
    __int128 rounded = value - over;
    if (2 * (over < 0 ? -over : over) >= power)
        rounded += value < 0 ? -power : power;
    *result = (int64_t)rounded;
    return rounded == *result;
}

/* Ties go away from zero. */
void call_round (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        int64_t digits = 0;
        if (call->count == 2)
            digits = call->args[1]->column.i[r * call->args[1]->step];
        bool ok = digits >= -DIGITS_MAX && digits <= DIGITS_MAX;
        digits = ok ? digits : 0;
        if (out->type == TYPE_FLOAT64) {
            set_float (out, r, ok, round_float (a->column.f[r * a->step], digits));
        } else {
            int64_t value;
            ok = round_int (a->column.i[r * a->step], digits, &value) && ok;
            set_int (out, r, ok, value);
        }
    }
}
