/* The error of approx_count_distinct, and its answers pinned for ever. */
#include "rows.h"

#include <criterion/criterion.h>
#include <math.h>

static const final_context_t of_all = { .window = INT64_MAX };

static const state_spec_t spec = { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 };

static int64_t estimate (const void *acc)
{
    value_t value;
    error_t error;
    cr_assert_eq (state_final (spec, acc, AGGREGATE_APPROX_COUNT_DISTINCT, &of_all, &value, &error),
                  STATUS_OK);
    cr_assert (!value.null);
    return value.i;
}

static void add (void *acc, int64_t number)
{
    state_add (spec, acc, &(value_t){ .type = TYPE_INT64, .i = number }, NULL);
}

Test (distinct, error_stays_within_the_stated_bound)
{
    double squares = 0;
    int measured = 0;
    for (int64_t set = 0; set < 20; set++) {
        void *acc = accumulator_new (spec);
        int64_t next = 1;
        for (int64_t i = 1; i <= 200000; i++) {
            add (acc, set << 32 | i);
            if (i != next)
                continue;
            double error = (double)(estimate (acc) - i) / (double)i;
            cr_assert (fabs (error) < 0.065, "%lld of set %lld: %.4f", (long long)i, (long long)set,
                       error);
            squares += error * error;
            measured++;
            next = i * 3 / 2 + 1;
        }
        accumulator_destroy (spec, &acc);
    }
    cr_assert (sqrt (squares / measured) < 0.0163);
}

Test (distinct, repeats_change_nothing)
{
    void *acc = accumulator_new (spec);
    for (int i = 0; i < 5000; i++)
        add (acc, i % 10);
    cr_assert_eq (estimate (acc), 10);
    accumulator_destroy (spec, &acc);
}

Test (distinct, answers_are_the_same_in_every_build)
{
    static const struct {
        int64_t values, answer;
    } pinned[] = { { 1, 1 }, { 100, 101 }, { 1000, 1012 }, { 2000, 2009 }, { 100000, 98899 } };
    for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++) {
        void *acc = accumulator_new (spec);
        for (int64_t j = 0; j < pinned[i].values; j++)
            add (acc, j);
        cr_expect_eq (estimate (acc), pinned[i].answer, "%lld values: %lld",
                      (long long)pinned[i].values, (long long)estimate (acc));
        accumulator_destroy (spec, &acc);
    }
}
