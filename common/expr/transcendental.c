/* Functions that libm gives differently on different machines: MPFR rounds them correctly, so that
 * a result has the same bits everywhere. MPFR's flags, exponent range and the constants that it
 * keeps belong to the thread. */
#include "base/check.h"
#include "base/value.h"
#include "expr/tree.h"

#include <math.h>
#include <mpfr.h>
#include <pthread.h>

/* In MPFR's terms (0.5 <= mantissa < 1), what a float64 can hold, subnormals with it. */
enum { PRECISION = 53, EXPONENT_MIN = -1073, EXPONENT_MAX = 1024 };

typedef int one_t (mpfr_ptr result, mpfr_srcptr x, mpfr_rnd_t round);
typedef int two_t (mpfr_ptr result, mpfr_srcptr x, mpfr_srcptr y, mpfr_rnd_t round);
typedef bool has_one_t (double x);
typedef bool has_two_t (double x, double y);

typedef struct range {
    mpfr_exp_t least, most;
} range_t;

/* A thread that ends gives back what MPFR keeps for it: computing logarithms of 2 and the like anew
 * for every call would cost more than a row does. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t used_here;

static void forget_constants (void *unused)
{
    (void)unused;
    mpfr_free_cache2 (MPFR_FREE_LOCAL_CACHE);
}

static void prepare_forgetting (void)
{
    CHECK (mpfr_buildopt_tls_p ());
    CHECK (pthread_key_create (&used_here, forget_constants) == 0);
}

static range_t enter_float64 (void)
{
    CHECK (pthread_once (&once, prepare_forgetting) == 0);
    if (pthread_getspecific (used_here) == NULL)
        CHECK (pthread_setspecific (used_here, &once) == 0);
    range_t before = { mpfr_get_emin (), mpfr_get_emax () };
    CHECK (mpfr_set_emin (EXPONENT_MIN) == 0);
    CHECK (mpfr_set_emax (EXPONENT_MAX) == 0);
    return before;
}

static void leave_float64 (range_t before)
{
    CHECK (mpfr_set_emin (before.least) == 0);
    CHECK (mpfr_set_emax (before.most) == 0);
}

/* `inexact` says on which side of the exact value `result` is: a subnormal is rounded once. */
static void set_result (mpfr_ptr result, int inexact, column_t *out, size_t row)
{
    mpfr_subnormalize (result, inexact, MPFR_RNDN);
    out->f[row] = value_float (mpfr_get_d (result, MPFR_RNDN));
}

static void set_null (column_t *out, size_t row)
{
    out->valid[row] = 0;
    out->f[row] = 0.0;
}

static void each_one (const call_t *call, column_t *out, one_t *apply, has_one_t *has)
{
    const vector_t *a = call->args[0];
    range_t before = enter_float64 ();
    for (size_t r = 0; r < call->rows; r++) {
        double value = a->column.f[r * a->step];
        if (!out->valid[r] || !has (value)) {
            set_null (out, r);
            continue;
        }
        MPFR_DECL_INIT (x, PRECISION);
        MPFR_DECL_INIT (result, PRECISION);
        mpfr_set_d (x, value, MPFR_RNDN);
        set_result (result, apply (result, x, MPFR_RNDN), out, r);
    }
    leave_float64 (before);
}

static void each_two (const call_t *call, column_t *out, two_t *apply, has_two_t *has)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    range_t before = enter_float64 ();
    for (size_t r = 0; r < call->rows; r++) {
        double left = a->column.f[r * a->step];
        double right = b->column.f[r * b->step];
        if (!out->valid[r] || !has (left, right)) {
            set_null (out, r);
            continue;
        }
        MPFR_DECL_INIT (x, PRECISION);
        MPFR_DECL_INIT (y, PRECISION);
        MPFR_DECL_INIT (result, PRECISION);
        mpfr_set_d (x, left, MPFR_RNDN);
        mpfr_set_d (y, right, MPFR_RNDN);
        set_result (result, apply (result, x, y, MPFR_RNDN), out, r);
    }
    leave_float64 (before);
}

/* ---- where a function has a result; NaN gives NaN ---- */

static bool has_any (double x)
{
    (void)x;
    return true;
}

static bool is_positive (double x)
{
    return !(x <= 0.0);
}

static bool is_above_minus_one (double x)
{
    return !(x <= -1.0);
}

static bool is_no_infinity (double x)
{
    return !isinf (x);
}

static bool is_in_unit_interval (double x)
{
    return !(fabs (x) > 1.0);
}

static bool has_any_two (double x, double y)
{
    (void)x;
    (void)y;
    return true;
}

/* Not 1 / 0, and no root of a negative number. */
static bool has_power (double x, double y)
{
    if (x == 0.0)
        return !(y < 0.0);
    return !(x < 0.0 && isfinite (x) && isfinite (y) && y != trunc (y));
}

#define ONE_TABLE(X)                                                                               \
    X (acos, is_in_unit_interval)                                                                  \
    X (asin, is_in_unit_interval)                                                                  \
    X (atan, has_any)                                                                              \
    X (cos, is_no_infinity)                                                                        \
    X (exp, has_any)                                                                               \
    X (expm1, has_any)                                                                             \
    X (log10, is_positive)                                                                         \
    X (log1p, is_above_minus_one)                                                                  \
    X (log2, is_positive)                                                                          \
    X (sin, is_no_infinity)                                                                        \
    X (tan, is_no_infinity)

#define X(name, has)                                                                               \
    void call_##name (const call_t *call, column_t *out)                                           \
    {                                                                                              \
        each_one (call, out, mpfr_##name, has);                                                    \
    }
ONE_TABLE (X)
#undef X

void call_ln (const call_t *call, column_t *out)
{
    each_one (call, out, mpfr_log, is_positive);
}

void call_atan2 (const call_t *call, column_t *out)
{
    each_two (call, out, mpfr_atan2, has_any_two);
}

void call_pow (const call_t *call, column_t *out)
{
    each_two (call, out, mpfr_pow, has_power);
}
