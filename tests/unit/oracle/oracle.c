/* The oracle against values worked out by hand, and its rounding against MPFR. */
#include "tests/oracle/oracle.h"
#include "tests/oracle/exact.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <string.h>

enum { ROWS_MAX = 64 };

typedef struct table {
    oracle_event_t events[ROWS_MAX];
    value_t values[ROWS_MAX][2];
    size_t count;
} table_t;

static void add (table_t *table, int64_t time, uint64_t offset, value_t value)
{
    size_t i = table->count++;
    table->values[i][0] = value;
    table->values[i][1] = (value_t){ .type = TYPE_INT64, .i = (int64_t)i };
    table->events[i] =
        (oracle_event_t){ .time = time, .offset = offset, .values = table->values[i] };
}

static value_t number (double value)
{
    return (value_t){ .type = TYPE_FLOAT64, .f = value_float (value) };
}

static value_t integer (int64_t value)
{
    return (value_t){ .type = TYPE_INT64, .i = value };
}

static value_t word (const char *text)
{
    return (value_t){ .type = TYPE_STRING, .s = text_of (text) };
}

static status_t ask (const table_t *table, const char *aggregate, int64_t window, int64_t as_of,
                     value_t *out)
{
    oracle_feature_t feature = { .aggregate = aggregate, .field = 0, .window = window };
    return oracle_value (&feature, table->events, table->count, as_of, out);
}

static void expect (const table_t *table, const char *aggregate, value_t expected)
{
    value_t got;
    cr_expect_eq (ask (table, aggregate, ORACLE_LIFETIME, INT64_MAX / 2, &got), STATUS_OK);
    cr_expect (oracle_agree (&got, &expected), "%s: %d %.17g, expected %.17g", aggregate, got.null,
               got.f, expected.f);
}

static const value_t nothing = { .null = true };

Test (oracle, sums_cancel_without_a_trace)
{
    table_t table = { 0 };
    const double values[] = { 1e100, 1.0, -1e100, 0.1, 0.2, 0.3, 1e-300 };
    for (size_t i = 0; i < 7; i++)
        add (&table, (int64_t)i, i, number (values[i]));
    expect (&table, "sum", number (1.6)); /* as math.fsum */
    expect (&table, "min", number (-1e100));
    expect (&table, "max", number (1e100));
    table.count = 0;
    for (size_t i = 0; i < 10; i++)
        add (&table, 0, i, number (0.1));
    expect (&table, "sum", number (1.0));
    expect (&table, "mean", number (0.1));
    expect (&table, "variance", number (0.0));
}

Test (oracle, spread_of_a_sample_and_of_a_population)
{
    table_t table = { 0 };
    const int64_t values[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
    for (size_t i = 0; i < 8; i++)
        add (&table, 0, i, integer (values[i]));
    expect (&table, "variance_pop", number (4.0));
    expect (&table, "stddev_pop", number (2.0));
    expect (&table, "variance", number (32.0 / 7.0));
    expect (&table, "stddev", number (2.138089935299395));
    expect (&table, "mean", number (5.0));
    expect (&table, "sum", integer (40));
}

Test (oracle, spread_survives_a_large_offset)
{
    table_t table = { 0 };
    for (size_t i = 0; i < 4; i++)
        add (&table, 0, i, number (1e9 + (double)(int[]){ 4, 7, 13, 16 }[i]));
    expect (&table, "variance", number (30.0));
}

Test (oracle, nothing_gives_null_or_zero)
{
    table_t table = { 0 };
    expect (&table, "count", integer (0));
    expect (&table, "approx_count_distinct", integer (0));
    static const char *const words[] = { "sum", "mean", "min", "max", "first", "last", "variance" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        expect (&table, words[i], nothing);
    add (&table, 0, 0, (value_t){ .type = TYPE_FLOAT64, .null = true });
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        expect (&table, words[i], nothing);
    expect (&table, "count", integer (0)); /* of the field */
    oracle_feature_t rows = { .aggregate = "count", .field = -1, .window = ORACLE_LIFETIME };
    value_t got;
    cr_expect_eq (oracle_value (&rows, table.events, table.count, 0, &got), STATUS_OK);
    cr_expect_eq (got.i, 1);
    add (&table, 0, 1, number (3));
    expect (&table, "variance", nothing);
    expect (&table, "variance_pop", number (0));
}

Test (oracle, window_is_open_on_the_left_and_closed_on_the_right)
{
    table_t table = { 0 };
    for (int64_t time = 0; time <= 20; time++)
        add (&table, time, (uint64_t)time, integer (1));
    value_t got;
    cr_expect_eq (ask (&table, "count", 5, 10, &got), STATUS_OK);
    cr_expect_eq (got.i, 5); /* 6 to 10 */
    cr_expect_eq (ask (&table, "count", 5, 3, &got), STATUS_OK);
    cr_expect_eq (got.i, 4);
    cr_expect_eq (ask (&table, "count", ORACLE_LIFETIME, 10, &got), STATUS_OK);
    cr_expect_eq (got.i, 11);
}

Test (oracle, what_is_not_finite)
{
    table_t table = { 0 };
    add (&table, 0, 0, number (1));
    add (&table, 0, 1, number (INFINITY));
    expect (&table, "sum", number (INFINITY));
    expect (&table, "mean", number (INFINITY));
    expect (&table, "variance", number (NAN));
    add (&table, 0, 2, number (-INFINITY));
    expect (&table, "sum", number (NAN));
    expect (&table, "max", number (INFINITY));
    add (&table, 0, 3, number (NAN));
    expect (&table, "max", number (NAN));
    expect (&table, "min", number (-INFINITY));
}

Test (oracle, overflow_is_said)
{
    table_t table = { 0 };
    value_t got;
    add (&table, 0, 0, integer (INT64_MAX));
    add (&table, 0, 1, integer (1));
    cr_expect_eq (ask (&table, "sum", ORACLE_LIFETIME, 0, &got), STATUS_RANGE);
    expect (&table, "mean", number (4611686018427387904.0));
    add (&table, 0, 2, integer (-1));
    expect (&table, "sum", integer (INT64_MAX));
    table.count = 0;
    add (&table, 0, 0, number (DBL_MAX));
    add (&table, 0, 1, number (DBL_MAX));
    cr_expect_eq (ask (&table, "sum", ORACLE_LIFETIME, 0, &got), STATUS_RANGE);
    expect (&table, "mean", number (DBL_MAX));
    cr_expect_eq (ask (&table, "variance", ORACLE_LIFETIME, 0, &got), STATUS_OK);
    add (&table, 0, 2, number (-DBL_MAX));
    cr_expect_eq (ask (&table, "variance", ORACLE_LIFETIME, 0, &got), STATUS_RANGE);
}

Test (oracle, first_and_last_by_time_then_position)
{
    table_t table = { 0 };
    add (&table, 10, 5, word ("b"));
    add (&table, 10, 4, word ("a"));
    add (&table, 11, 1, word ("c"));
    add (&table, 11, 2, word ("d"));
    add (&table, 9, 9, (value_t){ .type = TYPE_STRING, .null = true });
    expect (&table, "first", word ("a"));
    expect (&table, "last", word ("d"));
    expect (&table, "min", word ("a"));
    table.events[3].offset = 1;
    table.events[3].row = 1;
    expect (&table, "last", word ("d"));
}

Test (oracle, filters_follow_sql)
{
    table_t table = { 0 };
    add (&table, 0, 0, integer (1));
    add (&table, 0, 1, integer (2));
    add (&table, 0, 2, (value_t){ .type = TYPE_INT64, .null = true });
    static const struct {
        oracle_op_t op;
        int64_t rows;
    } cases[] = { { ORACLE_EQ, 1 },   { ORACLE_NE, 1 },       { ORACLE_LT, 0 },
                  { ORACLE_LE, 1 },   { ORACLE_GT, 1 },       { ORACLE_GE, 2 },
                  { ORACLE_NULL, 1 }, { ORACLE_NOT_NULL, 2 }, { ORACLE_DISTINCT, 2 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oracle_feature_t feature = { .aggregate = "count",
                                     .field = -1,
                                     .window = ORACLE_LIFETIME,
                                     .filters = { { 0, cases[i].op, integer (1) } },
                                     .filters_count = 1 };
        value_t got;
        cr_expect_eq (oracle_value (&feature, table.events, table.count, 0, &got), STATUS_OK);
        cr_expect_eq (got.i, cases[i].rows, "operator %d", (int)cases[i].op);
    }
}

Test (oracle, distinct_values_are_estimated)
{
    static oracle_event_t events[20000];
    static value_t values[20000];
    static const int64_t sizes[] = { 1, 10, 100, 1000, 10000 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t count = (size_t)sizes[s] * 2;
        for (size_t i = 0; i < count; i++) {
            values[i] = integer ((int64_t)i / 2 * 7919);
            events[i] = (oracle_event_t){ .values = &values[i] };
        }
        oracle_feature_t feature = { .aggregate = "approx_count_distinct",
                                     .window = ORACLE_LIFETIME };
        value_t got;
        cr_expect_eq (oracle_value (&feature, events, count, 0, &got), STATUS_OK);
        double away = fabs ((double)(got.i - sizes[s])) / (double)sizes[s];
        cr_expect (away <= (sizes[s] <= 100 ? 0.01 : 0.05), "%ld for %ld", got.i, sizes[s]);
    }
}

Test (oracle, finds_the_events_of_a_key)
{
    oracle_event_t events[6] = { 0 };
    const char *const keys[] = { "b", "a", "b", "", "ab", "b" };
    for (size_t i = 0; i < 6; i++)
        events[i] = (oracle_event_t){ .key = text_of (keys[i]), .time = 10 - (int64_t)i };
    oracle_sort (events, 6);
    size_t found;
    const oracle_event_t *first = oracle_of_key (events, 6, text_of ("b"), &found);
    cr_assert_eq (found, 3);
    cr_expect_eq (first[0].time, 5);
    cr_expect_eq (first[2].time, 10);
    oracle_of_key (events, 6, text_of ("c"), &found);
    cr_expect_eq (found, 0);
    oracle_of_key (events, 6, text_of (""), &found);
    cr_expect_eq (found, 1);
}

Test (oracle, leaving_out_what_is_not_in_the_window_changes_nothing)
{
    random_t random;
    random_seed (&random, 3);
    table_t table = { 0 };
    for (uint64_t i = 0; i < ROWS_MAX; i++)
        add (&table, (int64_t)random_below (&random, 30), i, integer (1));
    oracle_sort (table.events, table.count);
    for (int64_t as_of = -2; as_of < 34; as_of++)
        for (int64_t window = 1; window < 34; window++) {
            oracle_feature_t feature = { .aggregate = "sum", .window = window };
            size_t found;
            const oracle_event_t *near =
                oracle_of_window (table.events, table.count, window, as_of, &found);
            value_t all, some;
            cr_expect_eq (oracle_value (&feature, table.events, table.count, as_of, &all),
                          STATUS_OK);
            cr_expect_eq (oracle_value (&feature, near, found, as_of, &some), STATUS_OK);
            cr_expect (oracle_agree (&all, &some));
            cr_expect (all.null ? found == 0 : found == (size_t)all.i);
        }
}

/* ---- rounding, against MPFR ---- */

static bool round_by_mpfr (mpfr_t exact, double *out)
{
    mpfr_t rounded;
    mpfr_init2 (rounded, 53);
    mpfr_exp_t low = mpfr_get_emin (), high = mpfr_get_emax ();
    int ternary = mpfr_set (rounded, exact, MPFR_RNDN);
    mpfr_set_emin (-1073);
    mpfr_set_emax (1024);
    ternary = mpfr_check_range (rounded, ternary, MPFR_RNDN);
    mpfr_subnormalize (rounded, ternary, MPFR_RNDN);
    *out = mpfr_get_d (rounded, MPFR_RNDN);
    mpfr_set_emin (low);
    mpfr_set_emax (high);
    mpfr_clear (rounded);
    return isfinite (*out);
}

/* A fraction whose exponent is anywhere in, and a little outside, the range of float64. */
static void random_fraction (random_t *random, mpz_t numerator, mpz_t denominator)
{
    mpz_set_ui (numerator, random_next (random) >> random_below (random, 64));
    mpz_set_ui (denominator, (random_next (random) >> random_below (random, 64)) + 1);
    if (random_chance (random, 0.3)) /* many ties */
        mpz_set_ui (denominator, 1);
    mpz_mul_2exp (numerator, numerator, random_below (random, 1040));
    mpz_mul_2exp (denominator, denominator, random_below (random, 1150));
}

Test (oracle, rounds_fractions_as_mpfr_does)
{
    random_t random;
    random_seed (&random, 1);
    mpz_t numerator, denominator;
    mpz_inits (numerator, denominator, NULL);
    mpq_t fraction;
    mpq_init (fraction);
    mpfr_t exact;
    mpfr_init2 (exact, 4000); /* far more than 53 bits, sticky enough for fractions of 64 bits */
    for (int i = 0; i < 20000; i++) {
        random_fraction (&random, numerator, denominator);
        mpq_set_num (fraction, numerator);
        mpq_set_den (fraction, denominator);
        mpq_canonicalize (fraction);
        double got, expected;
        mpfr_set_q (exact, fraction, MPFR_RNDN);
        bool fits = round_by_mpfr (exact, &expected);
        cr_expect_eq (exact_round (numerator, denominator, &got), fits);
        cr_expect (!fits || got == expected, "%a, expected %a", got, expected);
        mpfr_sqrt (exact, exact, MPFR_RNDN);
        fits = round_by_mpfr (exact, &expected);
        cr_expect_eq (exact_round_root (numerator, denominator, &got), fits);
        cr_expect (!fits || got == expected, "root %a, expected %a", got, expected);
    }
    mpz_clears (numerator, denominator, NULL);
    mpq_clear (fraction);
    mpfr_clear (exact);
}

Test (oracle, sums_floats_of_all_sizes_as_mpfr_does)
{
    random_t random;
    random_seed (&random, 2);
    static exact_t exact;
    mpfr_t sum, squares, square;
    mpfr_inits2 (6000, sum, squares, square, NULL);
    mpz_t total, unit;
    mpz_inits (total, unit, NULL);
    for (int round = 0; round < 300; round++) {
        exact_clear (&exact);
        mpfr_set_zero (sum, 1);
        mpfr_set_zero (squares, 1);
        for (int i = 0; i < 50; i++) {
            uint64_t bits = random_next (&random);
            double value;
            memcpy (&value, &bits, sizeof value);
            if (!isfinite (value))
                continue;
            exact_add_float (&exact, value);
            mpfr_add_d (sum, sum, value, MPFR_RNDN);
            mpfr_set_d (square, value, MPFR_RNDN);
            mpfr_sqr (square, square, MPFR_RNDN);
            mpfr_add (squares, squares, square, MPFR_RNDN);
        }
        double got, expected;
        exact_sum (&exact, total);
        mpz_set_ui (unit, 1);
        mpz_mul_2exp (unit, unit, EXACT_SUM_SCALE);
        cr_expect_eq (exact_round (total, unit, &got), round_by_mpfr (sum, &expected));
        cr_expect_eq (got, expected);
        exact_squares (&exact, total);
        mpz_mul_2exp (unit, unit, EXACT_SQUARES_SCALE - EXACT_SUM_SCALE);
        mpfr_sqrt (squares, squares, MPFR_RNDN);
        cr_expect_eq (exact_round_root (total, unit, &got), round_by_mpfr (squares, &expected));
        cr_expect_eq (got, expected);
    }
    mpfr_clears (sum, squares, square, NULL);
    mpz_clears (total, unit, NULL);
}

static status_t ask_with (const table_t *table, const char *aggregate, value_t parameter,
                          int64_t window, int64_t as_of, value_t *out)
{
    oracle_feature_t feature = {
        .aggregate = aggregate,
        .field = 0,
        .second = 1,
        .window = window,
    };
    if (parameter.type == TYPE_FLOAT64)
        feature.fraction = parameter.f;
    else
        feature.parameter = parameter.i;
    return oracle_value (&feature, table->events, table->count, as_of, out);
}

static void expect_with (const table_t *table, const char *aggregate, value_t parameter,
                         int64_t as_of, value_t expected)
{
    value_t got;
    cr_expect_eq (ask_with (table, aggregate, parameter, ORACLE_LIFETIME, as_of, &got), STATUS_OK);
    cr_expect (oracle_agree (&got, &expected), "%s: %d %.17g, expected %.17g", aggregate, got.null,
               got.f, expected.f);
}

/* As pandas and NumPy have them, which are a few units of the last place off. */
Test (oracle, shapes_of_a_sample_and_its_relation_to_another)
{
    table_t table = { 0 };
    const int64_t values[] = { 2, 8, 0, 4, 1, 9, 9, 0 };
    for (size_t i = 0; i < 8; i++)
        add (&table, (int64_t)i * 86400000000, i, integer (values[i]));
    expect_with (&table, "skew", nothing, INT64_MAX, number (0.33058218040797466));
    expect_with (&table, "kurtosis", nothing, INT64_MAX, number (-2.098602258096087));
    expect_with (&table, "covariance", nothing, INT64_MAX, number (1.0714285714285714));
    expect_with (&table, "covariance_pop", nothing, INT64_MAX, number (0.9375));
    expect_with (&table, "correlation", nothing, INT64_MAX, number (0.10990559500395976));
    expect_with (&table, "slope", nothing, INT64_MAX,
                 number (0.17857142857142858)); /* a day each */
    expect_with (&table, "range", nothing, INT64_MAX, integer (9));
    expect_with (&table, "approx_median", nothing, INT64_MAX, number (2));
    expect_with (&table, "approx_quantile", number (0.9), INT64_MAX, number (9));
    table.count = 2;
    expect_with (&table, "skew", nothing, INT64_MAX, nothing);
    expect_with (&table, "correlation", nothing, INT64_MAX, number (1));
    table.count = 1;
    expect_with (&table, "covariance", nothing, INT64_MAX, nothing);
    expect_with (&table, "covariance_pop", nothing, INT64_MAX, number (0));
    expect_with (&table, "slope", nothing, INT64_MAX, nothing);
}

Test (oracle, times_between_events_and_since)
{
    table_t table = { 0 };
    const int64_t seconds[] = { 10, 20, 50, 11 };
    for (size_t i = 0; i < 4; i++)
        add (&table, seconds[i] * 1000000, i, number (1));
    expect_with (&table, "age", nothing, 60500000, number (10.5));
    expect_with (&table, "interarrival_mean", nothing, 60500000, number (40.0 / 3));
    /* gaps 1, 9, 30: (1 + 81 + 900 - 40^2 / 3) / 2 */
    expect_with (&table, "interarrival_stddev", nothing, 60500000, number (sqrt (1346.0 / 6)));
    value_t got;
    cr_expect_eq (ask_with (&table, "rate", nothing, 40000000, 55000000, &got), STATUS_OK);
    cr_expect_eq (got.f, 2 / 40.0); /* 20 and 50 are after 15 */
    expect_with (&table, "rate", nothing, 60500000, nothing);
    table.count = 0;
    expect_with (&table, "age", nothing, 60500000, nothing);
}

Test (oracle, decay_halves)
{
    table_t table = { 0 };
    add (&table, 0, 0, number (8));
    add (&table, 2000, 1, number (5));
    value_t half_life = integer (1000);
    expect_with (&table, "decayed_sum", half_life, 2000, number (7)); /* 8 / 4 + 5 */
    expect_with (&table, "decayed_sum", half_life, 5000, number (7 / 8.0));
    expect_with (&table, "decayed_count", half_life, 2000, number (1.25));
    expect_with (&table, "decayed_mean", half_life, 5000, number (7 / 1.25));
    expect_with (&table, "decayed_sum", half_life, 2500, number (7 / sqrt (2)));
    table.count = 0;
    expect_with (&table, "decayed_count", half_life, 5000, number (0));
    expect_with (&table, "decayed_sum", half_life, 5000, nothing);
}

Test (oracle, truths)
{
    table_t table = { 0 };
    expect_with (&table, "any", nothing, 10, nothing);
    add (&table, 0, 0, (value_t){ .type = TYPE_BOOL, .i = 1 });
    expect_with (&table, "all", nothing, 10, (value_t){ .type = TYPE_BOOL, .i = 1 });
    add (&table, 0, 1, (value_t){ .type = TYPE_BOOL, .i = 0 });
    expect_with (&table, "all", nothing, 10, (value_t){ .type = TYPE_BOOL, .i = 0 });
    expect_with (&table, "any", nothing, 10, (value_t){ .type = TYPE_BOOL, .i = 1 });
}
