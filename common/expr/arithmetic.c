/* Arithmetic. All nodes here are strict: kernels begin with the arguments' valid bits and clear
 * those of the rows that have no result. */
#include "base/value.h"
#include "expr/tree.h"

#include <math.h>

#define INLINE static inline __attribute__ ((always_inline))

typedef bool apply_int_t (int64_t a, int64_t b, int64_t *result);
typedef bool apply_float_t (double a, double b, double *result);

INLINE bool add_int (int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_add_overflow (a, b, result);
}

INLINE bool subtract_int (int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_sub_overflow (a, b, result);
}

INLINE bool multiply_int (int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_mul_overflow (a, b, result);
}

INLINE bool remainder_int (int64_t a, int64_t b, int64_t *result)
{
    if (b == 0)
        return false;
    *result = b == -1 ? 0 : a % b; /* INT64_MIN % -1 traps */
    return true;
}

INLINE bool add_float (double a, double b, double *result)
{
    *result = a + b;
    return true;
}

INLINE bool subtract_float (double a, double b, double *result)
{
    *result = a - b;
    return true;
}

INLINE bool multiply_float (double a, double b, double *result)
{
    *result = a * b;
    return true;
}

INLINE bool divide_float (double a, double b, double *result)
{
    *result = a / b;
    return b != 0.0;
}

INLINE bool remainder_float (double a, double b, double *result)
{
    *result = fmod (a, b);
    return b != 0.0;
}

/* value_float, called only for the values that it may change. */
INLINE double canonical (double value)
{
    return isnan (value) || value == 0.0 ? value_float (value) : value;
}

INLINE void each_int (const call_t *call, column_t *out, apply_int_t *apply)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    for (size_t r = 0; r < call->rows; r++) {
        int64_t value = 0;
        bool ok = apply (a->column.i[r * a->step], b->column.i[r * b->step], &value);
        ok = ok && out->valid[r];
        out->valid[r] = ok;
        out->i[r] = ok ? value : 0;
    }
}

INLINE void set_float (column_t *out, size_t row, bool ok, double value)
{
    ok = ok && out->valid[row];
    out->valid[row] = ok;
    out->f[row] = ok ? canonical (value) : 0.0;
}

INLINE void each_float (const call_t *call, column_t *out, apply_float_t *apply)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    for (size_t r = 0; r < call->rows; r++) {
        double value = 0.0;
        bool ok = apply (a->column.f[r * a->step], b->column.f[r * b->step], &value);
        set_float (out, r, ok, value);
    }
}

#define INT_KERNEL(name)                                                                           \
    void eval_##name (const call_t *call, column_t *out)                                           \
    {                                                                                              \
        each_int (call, out, name);                                                                \
    }
#define FLOAT_KERNEL(name)                                                                         \
    void eval_##name (const call_t *call, column_t *out)                                           \
    {                                                                                              \
        each_float (call, out, name);                                                              \
    }

INT_KERNEL (add_int)
INT_KERNEL (subtract_int)
INT_KERNEL (multiply_int)
INT_KERNEL (remainder_int)
FLOAT_KERNEL (add_float)
FLOAT_KERNEL (subtract_float)
FLOAT_KERNEL (multiply_float)
FLOAT_KERNEL (divide_float)
FLOAT_KERNEL (remainder_float)

/* int64 / int64 and duration / duration: both rounded to float64, then divided. */
void eval_divide_int (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    for (size_t r = 0; r < call->rows; r++) {
        double value = 0.0;
        bool ok = divide_float ((double)a->column.i[r * a->step], (double)b->column.i[r * b->step],
                                &value);
        set_float (out, r, ok, value);
    }
}

void eval_negate_int (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        int64_t value;
        bool ok = subtract_int (0, a->column.i[r * a->step], &value) && out->valid[r];
        out->valid[r] = ok;
        out->i[r] = ok ? value : 0;
    }
}

void eval_negate_float (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        set_float (out, r, true, -a->column.f[r * a->step]);
}

void eval_widen (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        set_float (out, r, true, (double)a->column.i[r * a->step]);
}
