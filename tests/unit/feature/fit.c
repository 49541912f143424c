/* What is fitted to a training set, against integers and fractions of the oracle, with ==. */
#include "feature/fit.h"
#include "base/mem.h"
#include "base/random.h"
#include "feature/outcome.h"
#include "feature/service_plan.h"
#include "tests/oracle/exact.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 400, MUCH = 1 << 20 };

static definitions_t *read_steps (const char *steps)
{
    char *text = mem_format ("streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, t: "
                             "timestamp}\nviews:\n  v:\n    from: s\n    features: {n: count()}\n"
                             "services:\n  x:\n    views: v\n    request: {f: float64, g: float64, "
                             "i: int64, d: 'decimal(9,2)', w: string, b: bool}\n    features: [f, "
                             "g, i, d, w, b]\n    preprocess:\n%s",
                             steps);
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, text);
    mem_free (text);
    return definitions;
}

/* ---- the oracle: quartiles by sorting and fractions ---- */

typedef struct numbers {
    double values[2 * ROWS_MAX];
    size_t count;
} numbers_t;

static int compare (const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* 2^1074 times the number, an integer. */
static void scaled (double value, mpz_t out)
{
    exact_t *one = calloc (1, sizeof *one);
    exact_add_float (one, value);
    exact_sum (one, out);
    free (one);
}

/* 4 * 2^1074 times the value a part k / 4 of the way up. */
static void quartile (const numbers_t *numbers, unsigned k, mpz_t out)
{
    numbers_t sorted = *numbers;
    mpz_t low, high;
    mpz_inits (low, high, NULL);
    qsort (sorted.values, sorted.count, sizeof *sorted.values, compare);
    size_t at = (sorted.count - 1) * k / 4, part = (sorted.count - 1) * k % 4;
    scaled (sorted.values[at], low);
    scaled (sorted.values[part > 0 ? at + 1 : at], high);
    mpz_mul_ui (low, low, 4 - part);
    mpz_mul_ui (high, high, part);
    mpz_add (out, low, high);
    mpz_clears (low, high, NULL);
}

static double rounded (const mpz_t number, unsigned long divisor)
{
    mpz_t scale;
    double out = 0;
    mpz_init_set_ui (scale, divisor);
    mpz_mul_2exp (scale, scale, EXACT_SUM_SCALE);
    cr_assert (exact_round (number, scale, &out));
    mpz_clear (scale);
    return out;
}

static double oracle_quartile (const numbers_t *numbers, unsigned k)
{
    mpz_t four;
    mpz_init (four);
    quartile (numbers, k, four);
    double out = rounded (four, 4);
    mpz_clear (four);
    return out;
}

static double oracle_range (const numbers_t *numbers)
{
    mpz_t first, third;
    mpz_inits (first, third, NULL);
    quartile (numbers, 1, first);
    quartile (numbers, 3, third);
    mpz_sub (third, third, first);
    double out = rounded (third, 4);
    mpz_clears (first, third, NULL);
    return out;
}

static double oracle_mean (const numbers_t *numbers)
{
    exact_t *exact = calloc (1, sizeof *exact);
    mpz_t sum;
    mpz_init (sum);
    for (size_t i = 0; i < numbers->count; i++)
        exact_add_float (exact, numbers->values[i]);
    exact_sum (exact, sum);
    double out = rounded (sum, numbers->count);
    mpz_clear (sum);
    free (exact);
    return out;
}

static double oracle_deviation (const numbers_t *numbers)
{
    exact_t *exact = calloc (1, sizeof *exact);
    mpz_t sum, squares, scale;
    double out = 0;
    mpz_inits (sum, squares, scale, NULL);
    for (size_t i = 0; i < numbers->count; i++)
        exact_add_float (exact, numbers->values[i]);
    exact_sum (exact, sum);
    exact_squares (exact, squares);
    mpz_mul_ui (squares, squares, numbers->count); /* n * squares - sum^2, over n^2 */
    mpz_submul (squares, sum, sum);
    mpz_set_ui (scale, numbers->count);
    mpz_mul (scale, scale, scale);
    mpz_mul_2exp (scale, scale, EXACT_SQUARES_SCALE);
    cr_assert (exact_round_root (squares, scale, &out));
    mpz_clears (sum, squares, scale, NULL);
    free (exact);
    return out;
}

static double clipped (double value)
{
    return value < -2 ? -2 : value > 40 ? 40 : value;
}

/* ---- rows ---- */

typedef struct rows {
    value_t values[ROWS_MAX];
    size_t count;
} rows_t;

static rows_t some_rows (random_t *random, size_t count, unsigned null_percent, bool wild)
{
    rows_t rows = { .count = count };
    for (size_t i = 0; i < count; i++) {
        double value = (double)random_below (random, 2000) / 16 - 20;
        if (wild)
            value = ldexp (value, (int)random_below (random, 1200) - 600);
        bool null = i > 0 && random_below (random, 100) < null_percent;
        rows.values[i] =
            (value_t){ .type = TYPE_FLOAT64, .null = null, .f = null ? 0 : value_float (value) };
    }
    return rows;
}

/* All rows as two of the columns, in as many passes as it takes; how many that were. */
static size_t fit_rows (fit_t *fit, const rows_t *rows)
{
    bool again = true;
    size_t passes = 0;
    error_t error;
    for (; again; passes++) {
        for (size_t r = 0; r < rows->count; r++)
            for (size_t c = 0; c < fit_columns (fit); c++)
                if (fit_wants (fit, c))
                    cr_assert_eq (fit_add (fit, c, &rows->values[r], &error), STATUS_OK, "%s",
                                  error.text);
        cr_assert_eq (fit_end_pass (fit, &again, &error), STATUS_OK, "%s", error.text);
    }
    return passes;
}

static const preprocess_t *fitted (const definitions_t *definitions, size_t feature)
{
    return &definitions->services[0].features[feature].preprocess;
}

static void check_numbers (const rows_t *rows, const char *impute, bool clips, size_t memory,
                           size_t passes)
{
    char *steps = mem_format ("      f: {impute: %s%s, scale: standard}\n"
                              "      g: {impute: %s%s, scale: robust}\n",
                              impute, clips ? ", clip: [-2, 40]" : "", impute,
                              clips ? ", clip: [-2, 40]" : "");
    definitions_t *definitions = read_steps (steps);
    fit_t *fit = fit_new (&definitions->services[0], memory);
    numbers_t raw = { .count = 0 }, used;
    error_t error;
    cr_expect_eq (fit_rows (fit, rows), passes);
    cr_assert_eq (fit_set (fit, &definitions->services[0], definitions->arena, &error), STATUS_OK);
    for (size_t i = 0; i < rows->count; i++)
        if (!rows->values[i].null)
            raw.values[raw.count++] = rows->values[i].f;
    double imputed = strcmp (impute, "median") == 0 ? oracle_quartile (&raw, 2)
                     : strcmp (impute, "mean") == 0 ? oracle_mean (&raw)
                                                    : atof (impute);
    used = raw;
    while (used.count < rows->count)
        used.values[used.count++] = imputed;
    for (size_t i = 0; i < used.count && clips; i++)
        used.values[i] = clipped (used.values[i]);
    for (size_t f = 0; f < 2; f++)
        cr_expect_eq (fitted (definitions, f)->imputed.f, imputed, "%s: %.17g, not %.17g", steps,
                      fitted (definitions, f)->imputed.f, imputed);
    const double *standard = fitted (definitions, 0)->scaled_by;
    const double *robust = fitted (definitions, 1)->scaled_by;
    cr_expect_eq (standard[0], oracle_mean (&used), "%s", steps);
    cr_expect_eq (standard[1], oracle_deviation (&used), "%s", steps);
    cr_expect_eq (robust[0], oracle_quartile (&used, 2), "%s", steps);
    cr_expect_eq (robust[1], oracle_range (&used), "%s", steps);
    fit_destroy (&fit);
    definitions_destroy (&definitions);
    mem_free (steps);
}

Test (fit, finds_the_nearest_float64_of_every_number)
{
    static const char *const imputes[] = { "median", "mean", "7.25" };
    random_t random;
    random_seed (&random, 11);
    for (unsigned round = 0; round < 60; round++) {
        size_t count = 1 + random_below (&random, round % 2 ? 9 : ROWS_MAX);
        rows_t rows = some_rows (&random, count, round % 3 * 30, round % 4 == 3);
        for (size_t i = 0; i < 3; i++) {
            check_numbers (&rows, imputes[i], false, MUCH, 1);
            check_numbers (&rows, imputes[i], true, MUCH, 1);
        }
    }
}

/* Room for one column at a time, of two that want quartiles with `median`. */
Test (fit, goes_over_the_rows_again_for_what_it_has_no_room_for)
{
    random_t random;
    random_seed (&random, 12);
    rows_t rows = some_rows (&random, ROWS_MAX, 20, false);
    check_numbers (&rows, "median", true, 8 * 1024, 2);
    check_numbers (&rows, "mean", true, 8 * 1024, 1);
}

Test (fit, says_when_one_column_alone_is_too_much)
{
    definitions_t *definitions = read_steps ("      f: {impute: median}\n");
    fit_t *fit = fit_new (&definitions->services[0], 8 * 1023);
    const value_t value = { .type = TYPE_FLOAT64, .f = 1 };
    error_t error;
    cr_expect_eq (fit_add (fit, 0, &value, &error), STATUS_TOO_LARGE);
    cr_expect_str_eq (error.text, "its quartiles need more than 0 MiB; allow more, as in --memory "
                                  "4096");
    fit_destroy (&fit);
    definitions_destroy (&definitions);
}

/* "f" alone is fitted, to these values; the status, and *steps what came of it. */
static status_t fit_values (const char *steps, const value_t *values, size_t count,
                            preprocess_t *out, error_t *error)
{
    definitions_t *definitions = read_steps (steps);
    fit_t *fit = fit_new (&definitions->services[0], MUCH);
    status_t status = STATUS_OK;
    bool again = false;
    size_t feature = (size_t)(fit_column (fit, 0) - definitions->services[0].features);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = fit_add (fit, 0, &values[i], error);
    if (status == STATUS_OK)
        status = fit_end_pass (fit, &again, error);
    if (status == STATUS_OK)
        status = fit_set (fit, &definitions->services[0], definitions->arena, error);
    *out = *fitted (definitions, feature);
    out->categories = NULL; /* they go */
    fit_destroy (&fit);
    definitions_destroy (&definitions);
    return status;
}

static value_t number (double value)
{
    return (value_t){ .type = TYPE_FLOAT64, .f = value };
}

Test (fit, keeps_that_values_are_all_the_same)
{
    static const char *const scales[] = { "standard", "minmax", "robust" };
    const value_t values[] = { number (0.1), number (0.1), number (0.1) };
    for (size_t i = 0; i < 3; i++) {
        char *steps = mem_format ("      f: {scale: %s}\n", scales[i]);
        preprocess_t out;
        error_t error;
        cr_assert_eq (fit_values (steps, values, 3, &out, &error), STATUS_OK);
        cr_expect_eq (out.scaled_by[0], 0.1);
        cr_expect_eq (out.scaled_by[1], i == 1 ? 0.1 : 0.0);
        mem_free (steps);
    }
}

Test (fit, takes_whole_numbers_and_decimals_as_the_answer_does)
{
    preprocess_t out;
    error_t error;
    const value_t wholes[] = { { .type = TYPE_INT64, .i = INT64_MAX },
                               { .type = TYPE_INT64, .i = 3 } };
    cr_assert_eq (fit_values ("      i: {scale: minmax}\n", wholes, 2, &out, &error), STATUS_OK);
    cr_expect_eq (out.scaled_by[0], 3);
    cr_expect_eq (out.scaled_by[1], (double)INT64_MAX);
    const value_t decimals[] = { { .type = type_decimal (2), .d = 110 },
                                 { .type = type_decimal (2), .d = -7 } };
    cr_assert_eq (fit_values ("      d: {scale: minmax}\n", decimals, 2, &out, &error), STATUS_OK);
    cr_expect_eq (out.scaled_by[0], -0.07);
    cr_expect_eq (out.scaled_by[1], 1.1);
}

Test (fit, refuses_what_nothing_can_be_fitted_to)
{
    preprocess_t out;
    error_t error;
    value_t values[] = { number (1), number ((double)NAN) };
    cr_expect_eq (fit_values ("      f: {scale: minmax}\n", values, 2, &out, &error),
                  STATUS_INVALID);
    cr_expect_str_eq (error.text,
                      "NaN: numbers are fitted to finite values alone; leave such rows out");
    values[1] = number (-(double)INFINITY);
    cr_expect_eq (fit_values ("      f: {impute: mean}\n", values, 2, &out, &error),
                  STATUS_INVALID);
    values[0] = values[1] = (value_t){ .type = TYPE_FLOAT64, .null = true };
    cr_expect_eq (fit_values ("      f: {impute: mean}\n", values, 2, &out, &error),
                  STATUS_INVALID);
    cr_expect_str_eq (error.text, "f: null in all 2 rows; nothing can be fitted to that");
    values[0] = number (-1.7e308);
    values[1] = number (1.7e308);
    cr_expect_eq (fit_values ("      f: {scale: minmax}\n", values, 2, &out, &error), STATUS_RANGE);
    cr_expect_str_eq (error.text, "f: the values are too far apart for a float64; clip them, as in "
                                  "clip: [0, 100]");
    cr_expect_eq (fit_values ("      f: {scale: standard}\n", values, 2, &out, &error), STATUS_OK);
    cr_expect_eq (out.scaled_by[1], 1.7e308);
}

/* ---- categories ---- */

static status_t fit_texts (size_t count, size_t size, const char *steps, buf_t *text,
                           error_t *error)
{
    definitions_t *definitions = read_steps (steps);
    fit_t *fit = fit_new (&definitions->services[0], MUCH);
    status_t status = STATUS_OK;
    bool again = false;
    for (size_t i = 0; i < 2 * count && status == STATUS_OK; i++) {
        char word[256];
        (void)snprintf (word, sizeof word, "%0*zu", (int)size, (i * 7919) % count);
        value_t value = { .type = TYPE_STRING, .s = text_of (word) };
        status = fit_add (fit, 0, &value, error);
    }
    value_t null = { .type = TYPE_STRING, .null = true };
    if (status == STATUS_OK)
        status = fit_add (fit, 0, &null, error);
    if (status == STATUS_OK)
        status = fit_end_pass (fit, &again, error);
    if (status == STATUS_OK)
        status = fit_set (fit, &definitions->services[0], definitions->arena, error);
    fit_destroy (&fit);
    const preprocess_t *out = fitted (definitions, 4);
    for (size_t i = 0; status == STATUS_OK && i < out->categories_count; i++) {
        buf_put_string (text, i > 0 ? " " : "");
        category_format (&out->categories[i], text);
    }
    definitions_destroy (&definitions);
    return status;
}

Test (fit, finds_categories_in_order_and_says_how_many_are_too_many)
{
    error_t error;
    buf_t text;
    buf_init (&text, 1 << 16);
    cr_assert_eq (fit_texts (11, 1, "      w: {encode: one_hot}\n", &text, &error), STATUS_OK);
    cr_expect_str_eq (buf_string (&text), "0 1 10 2 3 4 5 6 7 8 9");
    buf_clear (&text);
    cr_assert_eq (fit_texts (3, 1, "      w: {encode: ordinal, impute: '15'}\n", &text, &error),
                  STATUS_OK);
    cr_expect_str_eq (buf_string (&text), "0 1 15 2", "what stands for null is one of them");
    cr_expect_eq (fit_texts (100, 127, "      w: {encode: ordinal}\n", &text, &error), STATUS_OK);
    cr_expect_eq (fit_texts (101, 1, "      w: {encode: ordinal}\n", &text, &error),
                  STATUS_TOO_LARGE);
    cr_expect_str_eq (error.text, "w: 101 different values, and at most 100 can be encoded; leave "
                                  "the feature out, or derive one with fewer from it");
    cr_expect_eq (fit_texts (20000, 1, "      w: {encode: ordinal}\n", &text, &error),
                  STATUS_TOO_LARGE);
    cr_expect_eq (strncmp (error.text, "w: more than 10000 different", 28), 0, "%s", error.text);
    cr_expect_eq (fit_texts (2, 128, "      w: {encode: ordinal}\n", &text, &error),
                  STATUS_INVALID);
    cr_expect_str_eq (error.text, "a category has at most 127 bytes");
    buf_release (&text);
}
