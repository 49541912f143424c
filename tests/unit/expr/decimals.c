/* Decimals in expressions against GMP: every operator and function over random values of several
 * scales, near the limits too. */
#include "base/decimal.h"
#include "base/random.h"
#include "expr/expr.h"

#include <criterion/criterion.h>
#include <gmp.h>
#include <math.h>
#include <mpfr.h>
#include <stdio.h>

enum { ROWS = 3000, A, B, C, I, F, COLUMNS = 5 };

static const char *const names[COLUMNS] = { "a", "b", "c", "i", "f" };
static const type_t types[COLUMNS] = { (type_t)(DECIMAL_TYPE_BASE + 2),
                                       (type_t)(DECIMAL_TYPE_BASE + 0),
                                       (type_t)(DECIMAL_TYPE_BASE + 10), TYPE_INT64, TYPE_FLOAT64 };

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    (void)arg;
    for (uint32_t k = 0; k < COLUMNS; k++) {
        *column = k;
        if (text_is (name, names[k]))
            return types[k];
    }
    return TYPE_NONE;
}

static const expr_scope_t scope = { .lookup = lookup, .names = names, .names_count = COLUMNS };

static expr_t *parse_of (const char *text)
{
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    cr_assert_eq (expr_parse (text_of (text), &scope, &expr, &at, &error), STATUS_OK, "%s: %s",
                  text, error.text);
    return expr;
}

/* ---- rows ---- */

typedef struct rows {
    arena_t *arena;
    column_t column[COLUMNS];
} rows_t;

static int128_t random_unscaled (random_t *random)
{
    int128_t value = 0;
    unsigned most = random_chance (random, 0.5) ? 5 : DECIMAL_DIGITS_MAX;
    for (uint64_t digits = random_below (random, most + 1); digits > 0; digits--)
        value =
            10 * value + (int128_t)(random_chance (random, 0.2) ? 9 : random_below (random, 10));
    return random_chance (random, 0.5) ? value : -value;
}

static void rows_init (rows_t *self, uint64_t seed)
{
    random_t random;
    random_seed (&random, seed);
    self->arena = arena_new (1 << 16);
    for (size_t k = 0; k < COLUMNS; k++) {
        self->column[k] = column_new (self->arena, types[k], ROWS);
        for (size_t r = 0; r < ROWS; r++) {
            value_t value = { .type = types[k], .null = random_chance (&random, 0.05) };
            if (type_is_decimal (types[k]))
                value.d = random_unscaled (&random);
            else if (types[k] == TYPE_FLOAT64)
                value.f = value_float (decimal_to_float (random_unscaled (&random), 3));
            else
                value.i = (int64_t)random_next (&random) >> random_below (&random, 64);
            column_set (&self->column[k], r, &value);
        }
    }
}

/* ---- exact numbers ---- */

static void set_value (mpq_t out, const value_t *value)
{
    if (value->type == TYPE_FLOAT64) {
        mpq_set_d (out, value->f);
    } else if (value->type == TYPE_INT64) {
        mpq_set_si (out, value->i, 1);
    } else {
        char bytes[DECIMAL_TEXT_MAX + 1];
        text_t text = decimal_text (value->d, 0, bytes);
        char digits[DECIMAL_TEXT_MAX + 1];
        snprintf (digits, sizeof digits, TEXT_FORMAT, TEXT_ARGS (text));
        mpz_set_str (mpq_numref (out), digits, 10);
        mpz_ui_pow_ui (mpq_denref (out), 10, type_scale (value->type));
        mpq_canonicalize (out);
    }
}

/* The number as a decimal of that scale, which it must have; null past 38 digits. */
static value_t decimal_of (mpq_t number, unsigned scale)
{
    value_t value = { .type = type_decimal (scale) };
    mpz_t unscaled, limit;
    mpz_inits (unscaled, limit, NULL);
    mpz_ui_pow_ui (unscaled, 10, scale);
    mpz_mul (unscaled, unscaled, mpq_numref (number));
    cr_assert (mpz_divisible_p (unscaled, mpq_denref (number)));
    mpz_divexact (unscaled, unscaled, mpq_denref (number));
    mpz_ui_pow_ui (limit, 10, DECIMAL_DIGITS_MAX);
    value.null = mpz_cmpabs (unscaled, limit) >= 0;
    if (!value.null) {
        char digits[64];
        mpz_get_str (digits, 10, unscaled);
        cr_assert_eq (decimal_parse (text_of (digits), DECIMAL_DIGITS_MAX, 0, &value.d),
                      DECIMAL_GOOD);
    }
    mpz_clears (unscaled, limit, NULL);
    return value;
}

typedef enum direction { DOWN, UP, TO_ZERO, NEAREST } direction_t;

/* To a multiple of 10^-digits. */
static void round_number (mpq_t number, long digits, direction_t direction)
{
    mpq_t unit, half;
    mpq_inits (unit, half, NULL);
    mpz_ui_pow_ui (mpq_numref (unit), 10, (unsigned long)labs (digits));
    if (digits > 0)
        mpq_inv (unit, unit);
    mpq_div (number, number, unit);
    mpq_set_si (half, mpq_sgn (number) < 0 ? -1 : 1, 2);
    if (direction == NEAREST)
        mpq_add (number, number, half);
    mpz_t whole;
    mpz_init (whole);
    (direction == DOWN ? mpz_fdiv_q
     : direction == UP ? mpz_cdiv_q
                       : mpz_tdiv_q) (whole, mpq_numref (number), mpq_denref (number));
    mpq_set_z (number, whole);
    mpq_mul (number, number, unit);
    mpz_clear (whole);
    mpq_clears (unit, half, NULL);
}

static double nearest_of (mpq_t number)
{
    mpfr_t rounded;
    mpfr_init2 (rounded, 53);
    mpfr_set_q (rounded, number, MPFR_RNDN);
    double value = mpfr_get_d (rounded, MPFR_RNDN);
    mpfr_clear (rounded);
    return value;
}

/* ---- checks ---- */

/* What an expression of up to two fields must give. */
typedef value_t expected_t (const value_t *x, const value_t *y);

static void check_each (const char *text, size_t first, size_t second, expected_t *expected)
{
    rows_t rows;
    rows_init (&rows, 7 + first * COLUMNS + second);
    expr_t *expr = parse_of (text);
    column_t got = expr_eval (expr, rows.column, ROWS, rows.arena);
    for (size_t r = 0; r < ROWS; r++) {
        value_t x = column_get (&rows.column[first], r);
        value_t y = column_get (&rows.column[second], r);
        value_t value = column_get (&got, r);
        value_t wanted = { .type = value.type, .null = true };
        if (!x.null && !y.null)
            wanted = expected (&x, &y);
        cr_assert_eq (value.type, wanted.type, "%s is %s", text, type_word (value.type));
        cr_assert (value_equal (&value, &wanted), "%s, row %zu", text, r);
        cr_assert (!value.null || !type_is_decimal (value.type) || got.d[r] == 0);
    }
    expr_destroy (&expr);
    arena_destroy (&rows.arena);
}

static void check_pairs (const char *format, bool with_floats, expected_t *expected)
{
    for (size_t first = 0; first < COLUMNS; first++)
        for (size_t second = 0; second < COLUMNS; second++) {
            bool floats = types[first] == TYPE_FLOAT64 || types[second] == TYPE_FLOAT64;
            bool decimals = type_is_decimal (types[first]) || type_is_decimal (types[second]);
            if ((floats && !with_floats) || !decimals)
                continue;
            char text[128];
            snprintf (text, sizeof text, format, names[first], names[second]);
            check_each (text, first, second, expected);
        }
}

/* Null where either is, as the expectations have it. */
#define OF_BOTH(text) "if(%1$s is null or %2$s is null, null, " text ")"

static unsigned scale_of (const value_t *value)
{
    return type_is_decimal (value->type) ? type_scale (value->type) : 0;
}

static unsigned larger_scale (const value_t *x, const value_t *y)
{
    return scale_of (x) > scale_of (y) ? scale_of (x) : scale_of (y);
}

/* At a larger scale, null where it does not fit. */
static value_t at_scale (const value_t *value, unsigned scale)
{
    mpq_t number;
    mpq_init (number);
    set_value (number, value);
    value_t scaled = decimal_of (number, scale);
    mpq_clear (number);
    return scaled;
}

typedef void apply_t (mpq_t out, const mpq_t x, const mpq_t y);

static value_t exactly (const value_t *x, const value_t *y, apply_t *apply, unsigned scale)
{
    mpq_t a, b;
    mpq_inits (a, b, NULL);
    set_value (a, x);
    set_value (b, y);
    apply (a, a, b);
    value_t value = decimal_of (a, scale);
    mpq_clears (a, b, NULL);
    return value;
}

static value_t sum_of (const value_t *x, const value_t *y)
{
    return exactly (x, y, mpq_add, larger_scale (x, y));
}

static value_t difference_of (const value_t *x, const value_t *y)
{
    return exactly (x, y, mpq_sub, larger_scale (x, y));
}

static value_t product_of (const value_t *x, const value_t *y)
{
    return exactly (x, y, mpq_mul, scale_of (x) + scale_of (y));
}

static void remainder_into (mpq_t out, const mpq_t x, const mpq_t y)
{
    mpq_t quotient;
    mpq_init (quotient);
    mpq_div (quotient, x, y);
    round_number (quotient, 0, TO_ZERO);
    mpq_mul (quotient, quotient, y);
    mpq_sub (out, x, quotient);
    mpq_clear (quotient);
}

static value_t remainder_of (const value_t *x, const value_t *y)
{
    mpq_t b;
    mpq_init (b);
    set_value (b, y);
    bool zero = mpq_sgn (b) == 0;
    mpq_clear (b);
    if (zero)
        return (value_t){ .type = type_decimal (larger_scale (x, y)), .null = true };
    return exactly (x, y, remainder_into, larger_scale (x, y));
}

/* As a function takes them: brought to one scale first, where they may not fit. */
static value_t remainder_of_agreed (const value_t *x, const value_t *y)
{
    unsigned scale = larger_scale (x, y);
    if (at_scale (x, scale).null || at_scale (y, scale).null)
        return (value_t){ .type = type_decimal (scale), .null = true };
    return remainder_of (x, y);
}

/* Both rounded, then divided as floats. */
static value_t quotient_of (const value_t *x, const value_t *y)
{
    mpq_t a, b;
    mpq_inits (a, b, NULL);
    set_value (a, x);
    set_value (b, y);
    double divisor = nearest_of (b);
    value_t value = { .type = TYPE_FLOAT64, .null = divisor == 0 };
    value.f = value.null ? 0 : value_float (nearest_of (a) / divisor);
    mpq_clears (a, b, NULL);
    return value;
}

Test (decimals, arithmetic_is_exact_or_null)
{
    check_pairs ("%s + %s", false, sum_of);
    check_pairs ("%s - %s", false, difference_of);
    check_pairs ("%s * %s", false, product_of);
    check_pairs ("%s %% %s", false, remainder_of);
    check_pairs ("mod(%s, %s)", false, remainder_of_agreed);
    check_pairs ("%s / %s", true, quotient_of);
}

static int order_of (const value_t *x, const value_t *y)
{
    mpq_t a, b;
    mpq_inits (a, b, NULL);
    set_value (a, x);
    set_value (b, y);
    int order = mpq_cmp (a, b);
    mpq_clears (a, b, NULL);
    return order;
}

#define COMPARISON(name, condition)                                                                \
    static value_t name (const value_t *x, const value_t *y)                                       \
    {                                                                                              \
        int order = order_of (x, y);                                                               \
        return (value_t){ .type = TYPE_BOOL, .i = (condition) };                                   \
    }
COMPARISON (is_equal, order == 0)
COMPARISON (is_unequal, order != 0)
COMPARISON (is_less, order < 0)
COMPARISON (is_at_most, order <= 0)
COMPARISON (is_greater, order > 0)
COMPARISON (is_at_least, order >= 0)

Test (decimals, comparison_is_by_exact_value)
{
    check_pairs ("%s = %s", true, is_equal);
    check_pairs ("%s <> %s", true, is_unequal);
    check_pairs ("%s < %s", true, is_less);
    check_pairs ("%s <= %s", true, is_at_most);
    check_pairs ("%s > %s", true, is_greater);
    check_pairs ("%s >= %s", true, is_at_least);
    check_pairs (OF_BOTH ("%1$s is distinct from %2$s"), true, is_unequal);
    check_pairs ("%1$s in (%2$s, %2$s)", true, is_equal);
    check_pairs ("%1$s between %2$s and %2$s", true, is_equal);
}

/* ---- of one field ---- */

static value_t rounded (const value_t *x, long digits, direction_t direction, unsigned scale)
{
    mpq_t number;
    mpq_init (number);
    set_value (number, x);
    round_number (number, digits, direction);
    value_t value = decimal_of (number, scale);
    mpq_clear (number);
    return value;
}

#define ROUNDING(name, digits, direction)                                                          \
    static value_t name (const value_t *x, const value_t *y)                                       \
    {                                                                                              \
        (void)y;                                                                                   \
        return rounded (x, (digits), direction, scale_of (x));                                     \
    }
ROUNDING (floor_of, 0, DOWN)
ROUNDING (ceil_of, 0, UP)
ROUNDING (trunc_of, 0, TO_ZERO)
ROUNDING (round_of, 0, NEAREST)
ROUNDING (round_1_of, 1, NEAREST)
ROUNDING (round_5_of, 5, NEAREST)
ROUNDING (round_before_3_of, -3, NEAREST)
ROUNDING (round_before_30_of, -30, NEAREST)

static value_t negative_of (const value_t *x, const value_t *y)
{
    (void)y;
    value_t value = *x;
    value.d = -value.d;
    return value;
}

static value_t magnitude_of (const value_t *x, const value_t *y)
{
    return x->d < 0 ? negative_of (x, y) : *x;
}

static value_t sign_of (const value_t *x, const value_t *y)
{
    (void)y;
    value_t value = { .type = x->type };
    value.d = (x->d > 0 ? 1 : x->d < 0 ? -1 : 0) * decimal_power (type_scale (x->type));
    return value;
}

static void check_decimals (const char *format, expected_t *expected)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        if (!type_is_decimal (types[k]))
            continue;
        char text[128];
        snprintf (text, sizeof text, format, names[k]);
        check_each (text, k, k, expected);
    }
}

Test (decimals, functions_keep_the_scale)
{
    check_decimals ("-%s", negative_of);
    check_decimals ("abs(%s)", magnitude_of);
    check_decimals ("sign(%s)", sign_of);
    check_decimals ("floor(%s)", floor_of);
    check_decimals ("ceil(%s)", ceil_of);
    check_decimals ("trunc(%s)", trunc_of);
    check_decimals ("round(%s)", round_of);
    check_decimals ("round(%s, 1)", round_1_of);
    check_decimals ("round(%s, 5)", round_5_of);
    check_decimals ("round(%s, -3)", round_before_3_of);
    check_decimals ("round(%s, -30)", round_before_30_of);
}

/* ---- casts ---- */

static value_t cast_12_2 (const value_t *x, const value_t *y)
{
    (void)y;
    value_t value = rounded (x, 2, NEAREST, 2);
    if (!value.null && (value.d >= decimal_power (12) || value.d <= -decimal_power (12)))
        value = (value_t){ .type = value.type, .null = true };
    return value;
}

static value_t cast_38_5 (const value_t *x, const value_t *y)
{
    (void)y;
    return rounded (x, 5, NEAREST, 5);
}

static value_t cast_float (const value_t *x, const value_t *y)
{
    (void)y;
    mpq_t number;
    mpq_init (number);
    set_value (number, x);
    value_t value = { .type = TYPE_FLOAT64, .f = value_float (nearest_of (number)) };
    mpq_clear (number);
    return value;
}

static value_t cast_int (const value_t *x, const value_t *y)
{
    (void)y;
    value_t whole = rounded (x, 0, NEAREST, 0);
    bool fits = whole.d == (int64_t)whole.d;
    return (value_t){ .type = TYPE_INT64, .null = !fits, .i = fits ? (int64_t)whole.d : 0 };
}

static value_t same (const value_t *x, const value_t *y)
{
    (void)y;
    return *x;
}

static value_t is_not_zero (const value_t *x, const value_t *y)
{
    (void)y;
    return (value_t){ .type = TYPE_BOOL, .i = x->d != 0 };
}

Test (decimals, casts_are_rounded_once)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        char text[128];
        snprintf (text, sizeof text, "cast(%s as decimal(12,2))", names[k]);
        check_each (text, k, k, cast_12_2);
        snprintf (text, sizeof text, "cast(%s as DECIMAL( 38 , 5 ))", names[k]);
        check_each (text, k, k, cast_38_5);
    }
    check_decimals ("cast(%s as float64)", cast_float);
    check_decimals ("cast(%s as int64)", cast_int);
    check_decimals ("cast(%s as bool)", is_not_zero);
    check_each ("cast(cast(a as string) as decimal(38,2))", 0, 0, same);
    check_each ("cast(cast(c as string) as decimal(38,10))", 2, 2, same);
}

/* ---- choices ---- */

static value_t least_of (const value_t *x, const value_t *y)
{
    unsigned scale = larger_scale (x, y);
    value_t a = at_scale (x, scale), b = at_scale (y, scale);
    return a.null || (!b.null && b.d < a.d) ? b : a;
}

static value_t first_of (const value_t *x, const value_t *y)
{
    value_t a = at_scale (x, larger_scale (x, y));
    return a.null ? at_scale (y, larger_scale (x, y)) : a;
}

static value_t taken_of (const value_t *x, const value_t *y)
{
    return at_scale (x, larger_scale (x, y));
}

Test (decimals, choices_are_at_the_larger_scale)
{
    check_pairs (OF_BOTH ("least(%1$s, %2$s)"), false, least_of);
    check_pairs (OF_BOTH ("coalesce(%1$s, %2$s)"), false, first_of);
    check_pairs (OF_BOTH ("case when true then %1$s else %2$s end"), false, taken_of);
}

/* ---- literals and text ---- */

static void check_text (const char *text, const char *canonical, const char *type)
{
    expr_t *expr = parse_of (text);
    buf_t first, second;
    buf_init (&first, EXPR_TEXT_MAX);
    buf_init (&second, EXPR_TEXT_MAX);
    expr_format (expr, &first);
    cr_expect_str_eq (buf_string (&first), canonical);
    cr_expect_str_eq (type_word (expr_type (expr)), type, "%s", text);
    expr_destroy (&expr);
    expr = parse_of (buf_string (&first));
    expr_format (expr, &second);
    cr_expect_str_eq (buf_string (&second), canonical);
    cr_expect_str_eq (type_word (expr_type (expr)), type, "%s", canonical);
    expr_destroy (&expr);
    buf_release (&first);
    buf_release (&second);
}

Test (decimals, literals_that_meet_one_are_decimals)
{
    check_text ("a>10.50", "a > 10.50", "bool");
    check_text ("a * 1.005", "a * 1.005", "decimal(38,5)");
    check_text ("-0.50 + a", "-0.50 + a", "decimal(38,2)");
    check_text ("1.05e1 - a", "10.5 - a", "decimal(38,2)");
    check_text ("a + 1e3", "a + 1000", "decimal(38,2)");
    check_text ("a < 1e30", "a < 1e+30", "bool");
    check_text ("a in (1.50, 2, i)", "a in (1.50, 2, i)", "bool");
    check_text ("if(a > i, a, 0.125)", "if(a > i, a, 0.125)", "decimal(38,3)");
    check_text ("case when f > 1.50 then 0.10 else a end", "case when f > 1.5 then 0.10 else a end",
                "decimal(38,2)");
    check_text ("case a when 1.50 then 2.50 end", "case a when 1.50 then 2.5 end", "float64");
    check_text ("a + f", "a + f", "float64");
    check_text ("a / 2.50", "a / 2.50", "float64");
    check_text ("pow(a, 2.50)", "pow(a, 2.5)", "float64");
    check_text ("f > 1.50", "f > 1.5", "bool");
    check_text ("a + null", "a + null", "decimal(38,2)");
    check_text ("cast(i as decimal(7,3))", "cast(i as decimal(7,3))", "decimal(38,3)");
    check_text ("cast(0.10 as decimal(7,3))", "cast(0.10 as decimal(7,3))", "decimal(38,3)");
    check_text ("bucketize(a, 1, 1.50, 1e3)", "bucketize(a, 1, 1.50, 1000)", "int64");
    check_text ("hash(a, 1.50)", "hash(a, 1.5)", "int64");
    check_text ("from_unix(a)", "from_unix(a)", "timestamp");
}
