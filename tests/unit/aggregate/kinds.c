/* What single kinds promise beyond what holds for all. */
#include "rows.h"

#include "aggregate/decay_weight.h"
#include "aggregate/state_ops.h"
#include "base/timestamp.h"

#include <criterion/criterion.h>
#include <math.h>
#include <mpfr.h>
#include <stdlib.h>

static const state_spec_t decay_of_floats = { .kind = STATE_DECAY,
                                              .input = TYPE_FLOAT64,
                                              .param = TIME_DAY };

static void add_float (state_spec_t spec, void *acc, double number, int64_t time)
{
    value_t value = { .type = TYPE_FLOAT64, .f = number };
    state_add (spec, acc, &value, &(row_place_t){ .time = time });
}

static double answer (state_spec_t spec, const void *acc, aggregate_t aggregate, int64_t as_of)
{
    final_context_t context = { .as_of = as_of, .window = INT64_MAX };
    value_t value;
    error_t error;
    cr_assert_eq (state_final (spec, acc, aggregate, &context, &value, &error), STATUS_OK, "%s",
                  error.text);
    cr_assert (!value.null);
    return value.f;
}

Test (decay, weight_is_the_float64_nearest_to_the_power)
{
    random_t random;
    random_seed (&random, 1);
    mpfr_t exponent, power;
    mpfr_init2 (exponent, 400);
    mpfr_init2 (power, 300);
    for (int round = 0; round < 40000; round++) {
        uint64_t whole = 1 + (random_next (&random) >> 1 >> random_below (&random, 62));
        uint64_t part = random_below (&random, whole);
        part = round % 10 == 0 ? whole - 1 : round % 10 == 1 && whole > 1 ? 1 : part;
        mpfr_set_ui (exponent, part, MPFR_RNDN);
        mpfr_div_ui (exponent, exponent, whole, MPFR_RNDN);
        mpfr_exp2 (power, exponent, MPFR_RNDN);
        mpfr_mul_2ui (power, power, DECAY_WEIGHT_BITS, MPFR_RNDN);
        uint64_t expected = mpfr_get_ui (power, MPFR_RNDN);
        cr_assert_eq (decay_weight (part, whole), expected, "%llu / %llu", (unsigned long long)part,
                      (unsigned long long)whole);
    }
    cr_assert_eq (decay_weight (0, 7), (uint64_t)1 << 52);
    mpfr_clear (exponent);
    mpfr_clear (power);
    mpfr_free_cache ();
}

Test (decay, halves_exactly_in_a_half_life)
{
    void *acc = accumulator_new (decay_of_floats);
    add_float (decay_of_floats, acc, 0.1, 5 * TIME_HOUR);
    add_float (decay_of_floats, acc, 1e10 / 3, 100 * TIME_DAY + 12345);
    double now = answer (decay_of_floats, acc, AGGREGATE_DECAYED_SUM, 200 * TIME_DAY + 7);
    double later = answer (decay_of_floats, acc, AGGREGATE_DECAYED_SUM, 201 * TIME_DAY + 7);
    cr_assert_eq (later, now / 2);
    accumulator_destroy (decay_of_floats, &acc);
}

Test (decay, of_an_event_at_as_of_is_the_event)
{
    void *acc = accumulator_new (decay_of_floats);
    add_float (decay_of_floats, acc, 0.1, 987654321);
    cr_assert_eq (answer (decay_of_floats, acc, AGGREGATE_DECAYED_SUM, 987654321), 0.1);
    cr_assert_eq (answer (decay_of_floats, acc, AGGREGATE_DECAYED_MEAN, 5 * TIME_DAY), 0.1);
    accumulator_destroy (decay_of_floats, &acc);
}

/* Near the end of the half-lives that count, in both orders. */
Test (decay, counts_128_half_lives_up_to_the_newest)
{
    static const int64_t newest = 1000 * TIME_DAY + 3;
    for (int64_t behind = 126; behind <= 129; behind++)
        for (int order = 0; order < 2; order++) {
            void *acc = accumulator_new (decay_of_floats);
            for (int i = 0; i < 2; i++)
                if (i == order)
                    add_float (decay_of_floats, acc, 1.0, newest);
                else
                    add_float (decay_of_floats, acc, 0x1p300, newest - behind * TIME_DAY);
            double sum = answer (decay_of_floats, acc, AGGREGATE_DECAYED_SUM, newest);
            cr_assert_eq (sum, behind < 128 ? ldexp (1, 300 - (int)behind) : 1.0, "%lld behind: %g",
                          (long long)behind, sum);
            accumulator_destroy (decay_of_floats, &acc);
        }
}

static int compare_doubles (const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

Test (quantiles, are_within_one_percent_of_the_row_of_their_rank)
{
    static const state_spec_t spec = { .kind = STATE_QUANTILES, .input = TYPE_FLOAT64 };
    static const double fractions[] = { 0, 0.01, 0.25, 0.5, 0.9, 0.99, 1 };
    enum { ROWS = 3001 };
    static double numbers[ROWS];
    random_t random;
    random_seed (&random, 2);
    for (int round = 0; round < 20; round++) {
        void *acc = accumulator_new (spec);
        uint64_t powers = 1 + (uint64_t)round * 2; /* at most 40 of the 48 that are told apart */
        for (size_t i = 0; i < ROWS; i++) {
            numbers[i] = ldexp (1 + random_unit (&random), (int)random_below (&random, powers));
            numbers[i] = random_chance (&random, 0.3) ? -numbers[i] : numbers[i];
            add_float (spec, acc, numbers[i], 0);
        }
        qsort (numbers, ROWS, sizeof *numbers, compare_doubles);
        for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++) {
            final_context_t context = { .window = INT64_MAX,
                                        .parameter = { .type = TYPE_FLOAT64, .f = fractions[f] } };
            value_t value;
            error_t error;
            cr_assert_eq (
                state_final (spec, acc, AGGREGATE_APPROX_QUANTILE, &context, &value, &error),
                STATUS_OK);
            double exact = numbers[(size_t)(fractions[f] * (ROWS - 1))];
            cr_assert (fabs (value.f - exact) <= 0.01 * fabs (exact), "%g: %g, exactly %g",
                       fractions[f], value.f, exact);
        }
        accumulator_destroy (spec, &acc);
    }
}

Test (quantiles, of_small_integers_are_integers)
{
    static const state_spec_t spec = { .kind = STATE_QUANTILES, .input = TYPE_FLOAT64 };
    void *acc = accumulator_new (spec);
    for (int i = -100; i <= 100; i++)
        add_float (spec, acc, i, 0);
    cr_assert_eq (answer (spec, acc, AGGREGATE_APPROX_MEDIAN, 0), 0.0);
    for (int i = 0; i < 174; i++)
        add_float (spec, acc, 100, 0);
    cr_assert_eq (answer (spec, acc, AGGREGATE_APPROX_MEDIAN, 0), 87.0);
    accumulator_destroy (spec, &acc);
}

Test (times, over_the_cap_are_an_error_that_says_so_whatever_the_order)
{
    static const state_spec_t spec = { .kind = STATE_TIMES };
    final_context_t context = { .window = INT64_MAX };
    buf_t bytes;
    buf_init (&bytes, AGGREGATE_PARTIAL_MAX);
    void *many = accumulator_new (spec), *few = accumulator_new (spec);
    for (int64_t i = 0; i < AGGREGATE_TIMES_MAX; i++)
        state_add (spec, many, NULL, &(row_place_t){ .time = i * i % 1000 });
    state_add (spec, few, NULL, &(row_place_t){ .time = -5 });
    value_t value;
    error_t error;
    cr_assert_eq (state_final (spec, many, AGGREGATE_INTERARRIVAL_STDDEV, &context, &value, &error),
                  STATUS_OK);
    cr_assert (accumulator_partial (spec, many, &bytes).size > AGGREGATE_TIMES_MAX);
    state_merge (spec, few, many);
    cr_assert_eq (state_final (spec, few, AGGREGATE_INTERARRIVAL_STDDEV, &context, &value, &error),
                  STATUS_TOO_LARGE);
    cr_assert_str_eq (error.text,
                      "interarrival_stddev: of 4097 events; at most 4096 have an answer");
    cr_assert_eq (accumulator_partial (spec, few, &bytes).size, 2);
    accumulator_destroy (spec, &many);
    accumulator_destroy (spec, &few);
    buf_release (&bytes);
}

/* ---- partials ---- */

static void check_bytes (state_spec_t spec, const void *acc, const char *bytes, size_t size)
{
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX);
    text_t partial = accumulator_partial (spec, acc, &out);
    text_t expected = { bytes, (uint32_t)size };
    cr_expect (text_equal (partial, expected), "kind %d: %u bytes", (int)spec.kind, partial.size);
    buf_release (&out);
}

/* The rows 3.0 at -1 µs and -1.5 at 1 µs; both with -1.5 as the second input. */
static void check_two (state_spec_t spec, const char *bytes, size_t size)
{
    void *acc = accumulator_new (spec);
    for (int i = 0; i < 2; i++) {
        value_t values[] = { { .type = TYPE_FLOAT64, .f = i == 0 ? 3.0 : -1.5 },
                             { .type = TYPE_FLOAT64, .f = -1.5 } };
        state_add (spec, acc, values, &(row_place_t){ .time = i == 0 ? -1 : 1 });
    }
    check_bytes (spec, acc, bytes, size);
    accumulator_destroy (spec, &acc);
}

Test (partials, of_numbers_and_times_have_the_documented_bytes)
{
    check_two ((state_spec_t){ .kind = STATE_RANGE, .input = TYPE_FLOAT64 },
               "\0\0\0\0\0\0\xf8\xbf\0\0\0\0\0\0\x08\x40", 16);
    /* 1.5 = 0x180 / 2^8, 11.25 = 0xb40 / 2^8, 23.625 = 0x17a0 / 2^8, 86.0625 = 0x5610 / 2^8 */
    check_two ((state_spec_t){ .kind = STATE_POWERS, .input = TYPE_FLOAT64 },
               "\x04\x04\x01\x80\x01\x04\x01\x40\x0b\x04\x01\xa0\x17\x04\x01\x10\x56", 17);
    /* a: 1.5, b: -3, a^2: 11.25, ab: -2.25 = -0x240 / 2^8, b^2: 4.5 = 0x480 / 2^8 */
    check_two (
        (state_spec_t){ .kind = STATE_COMOMENTS, .input = TYPE_FLOAT64, .second = TYPE_FLOAT64 },
        "\x04\x04\x01\x80\x01\x03\x00\x03\x04\x01\x40\x0b\x05\x01\x40\x02\x04\x01\x80\x04", 20);
    /* t: 0, x: 1.5, t^2: 2, tx: -4.5 */
    check_two ((state_spec_t){ .kind = STATE_TREND, .input = TYPE_FLOAT64 },
               "\x04\x00\x04\x01\x80\x01\x02\x00\x02\x05\x01\x80\x04", 13);
    check_two ((state_spec_t){ .kind = STATE_SPAN }, "\x02\x01\x02", 3);
    check_two ((state_spec_t){ .kind = STATE_TIMES }, "\x02\x01\x02", 3);
    /* 1.5 is 32/64 above 2^0: 64 * 1074 + 32 + 1 = 68769, negated as zigzag 137537; 3.0 has the
     * key 68833: 137601 lie between */
    check_two ((state_spec_t){ .kind = STATE_QUANTILES, .input = TYPE_FLOAT64 },
               "\xc1\xb2\x08\x02\x81\xb3\x08\x02", 8);
    /* half-lives of 1 µs: 1, then -1 after one left out; weights 1 = 2^52 / 2^52 as zigzag 2^53 */
    check_two ((state_spec_t){ .kind = STATE_DECAY, .input = TYPE_FLOAT64, .param = 1 },
               "\x02\x00\x80\x80\x80\x80\x80\x80\x80\x10\x05\x01\x80\x01"
               "\x08\x80\x80\x80\x80\x80\x80\x80\x10\x02\x00\x03",
               26);
}

static bool takes (state_spec_t spec, const char *bytes, size_t size)
{
    void *acc = accumulator_new (spec);
    error_t error;
    status_t status = state_merge_partial (spec, acc, (text_t){ bytes, (uint32_t)size }, &error);
    accumulator_destroy (spec, &acc);
    return status == STATUS_OK;
}

#define REFUSED(spec, bytes) cr_expect (!takes ((spec), (bytes), sizeof (bytes) - 1), "%s", #bytes)
#define TAKEN(spec, bytes)   cr_expect (takes ((spec), (bytes), sizeof (bytes) - 1), "%s", #bytes)

Test (partials, of_sums_that_no_rows_make_are_refused)
{
    state_spec_t range = { .kind = STATE_RANGE, .input = TYPE_INT64 };
    TAKEN (range, "\x01\x02");
    REFUSED (range, "\x02\x01"); /* the least above the greatest */
    state_spec_t powers = { .kind = STATE_POWERS, .input = TYPE_INT64 };
    TAKEN (powers, "\x02\x02\x00\x01\x02\x00\x01\x02\x00\x01\x02\x00\x01");
    REFUSED (powers, "\x00\x00\x00\x00\x00");             /* no rows */
    REFUSED (powers, "\x03\x01\x00\x00\x00\x00\x00\x00"); /* a NaN of an int64 */
    REFUSED (powers, "\x02\x02\x01\x01\x02\x00\x01\x02\x00\x01\x02\x00\x01"); /* 1/256 */
    REFUSED (powers, "\x02\x02\x00\x01\x03\x00\x01\x02\x00\x01\x02\x00\x01"); /* a square -1 */
    state_spec_t pair = { .kind = STATE_COMOMENTS, .input = TYPE_INT64, .second = TYPE_FLOAT64 };
    TAKEN (pair, "\x03\x01\x00\x00\x00\x00\x00");
    REFUSED (pair, "\x03\x02\x00\x00\x00\x00\x00");         /* 2 of 1 row not finite */
    REFUSED (pair, "\x03\x00\x00\x00\x00\x00\x00");         /* says one is not finite, has none */
    REFUSED (pair, "\x03\x01\x02\x00\x01\x00\x00\x00\x00"); /* a sum of no finite rows */
    pair.second = TYPE_INT64;
    REFUSED (pair, "\x03\x01\x00\x00\x00\x00\x00");
}

Test (partials, of_times_that_no_rows_have_are_refused)
{
    state_spec_t span = { .kind = STATE_SPAN }, times = { .kind = STATE_TIMES };
    TAKEN (span, "\x02\x00\x05");
    REFUSED (span, "\x01\x00\x05"); /* one row, two times */
    REFUSED (span, "\x00\x00\x00");
    REFUSED (span, "\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01"); /* after the end of time */
    TAKEN (times, "\x02\x00\x05");
    TAKEN (times, "\x81\x20"); /* 4097 rows */
    REFUSED (times, "\x81\x20\x00");
    REFUSED (times, "\x02\x00");
    REFUSED (times, "\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01");
    state_spec_t decay = { .kind = STATE_DECAY, .param = TIME_DAY };
    TAKEN (decay, "\x02\x00\x80\x80\x80\x80\x80\x80\x80\x10");
    REFUSED (decay, "\x02\x01\x80\x80\x80\x80\x80\x80\x80\x10"); /* one left out before the first */
    REFUSED (decay, "\x02\x00\x80\x80\x80\x80\x80\x80\x80\x08"); /* a weight of 1/2 */
    REFUSED (decay, "\x02");
    REFUSED (decay, "\x02\x00\x80\x80\x80\x80\x80\x80\x80\x10"
                    "\x7f\x80\x80\x80\x80\x80\x80\x80\x10"); /* 128 before the newest */
    decay.input = TYPE_INT64;
    REFUSED (decay, "\x02\x01\x80\x80\x80\x80\x80\x80\x80\x10\x00"); /* a NaN of an int64 */
}

Test (partials, of_quantiles_that_no_rows_make_are_refused)
{
    state_spec_t floats = { .kind = STATE_QUANTILES, .input = TYPE_FLOAT64 };
    state_spec_t integers = { .kind = STATE_QUANTILES, .input = TYPE_INT64 };
    TAKEN (floats, "\x00\x02");         /* zero */
    REFUSED (floats, "\x00\x03");       /* which is all there is in its bucket */
    REFUSED (floats, "\x00\x01");       /* no rows */
    TAKEN (floats, "\xc4\xb2\x08\x02"); /* 1.53… */
    TAKEN (integers, "\xc0\xb2\x08\x02");
    REFUSED (integers, "\x02\x02");                     /* 2^-1074 */
    TAKEN (floats, "\x84\xb2\x10\x02");                 /* NaN */
    REFUSED (floats, "\x86\xb2\x10\x02");               /* beyond NaN */
    TAKEN (floats, "\x80\x20\x02\xfe\x17\x02");         /* 3072 keys and all between … */
    REFUSED (floats, "\x80\x20\x02\xff\x17\x02");       /* … and one more */
    REFUSED (floats, "\x02\x02\x00");                   /* a key without a word */
    REFUSED (integers, "\xc0\xb2\x08\x02\x80\x40\x02"); /* 2^127 */
}

/* ---- how large partials are ---- */

/* The widest number of each sign, and the least, at every half-life that is kept; and numbers of
 * all buckets that a sketch tells apart. */
static void add_widest (state_spec_t spec, void *acc)
{
    static const double wide[] = { 0x1.fffffffffffffp1023, 5e-324, 3.0 };
    for (int64_t i = 0; i < 128; i++)
        for (size_t k = 0; k < 3; k++) {
            value_t values[] = { { .type = TYPE_FLOAT64, .f = wide[k] },
                                 { .type = TYPE_FLOAT64, .f = wide[k] } };
            state_add (spec, acc, values, &(row_place_t){ .time = i * TIME_DAY + i * i });
        }
    for (int i = 0; spec.kind == STATE_QUANTILES && i < 2 * 48 * 64; i++)
        add_float (spec, acc,
                   ldexp (i % 2 == 0 ? 64 + i / 2 % 64 : -64 - i / 2 % 64, 970 + i / 128), 0);
}

Test (partials, are_as_large_as_said_at_most_and_nearly_so)
{
    static const state_spec_t specs[] = {
        { .kind = STATE_POWERS, .input = TYPE_FLOAT64 },
        { .kind = STATE_COMOMENTS, .input = TYPE_FLOAT64, .second = TYPE_FLOAT64 },
        { .kind = STATE_TREND, .input = TYPE_FLOAT64 },
        { .kind = STATE_DECAY, .input = TYPE_FLOAT64, .param = TIME_DAY },
        { .kind = STATE_QUANTILES, .input = TYPE_FLOAT64 },
    };
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        void *acc = accumulator_new (specs[i]);
        add_widest (specs[i], acc);
        /* so many rows as can be had by doubling */
        for (int k = 0; k < 50; k++) {
            void *twice = accumulator_new (specs[i]);
            state_merge (specs[i], twice, acc);
            state_merge (specs[i], acc, twice);
            accumulator_destroy (specs[i], &twice);
        }
        size_t size = accumulator_partial (specs[i], acc, &out).size,
               most = state_partial_max (specs[i]);
        cr_expect (size <= most && size >= most * 3 / 4, "kind %d: %zu of %zu bytes",
                   (int)specs[i].kind, size, most);
        accumulator_destroy (specs[i], &acc);
    }
    buf_release (&out);
}
