/* Distributions beside what the page says of them, computed one value at a time. */
#include "skew/distribution.h"

#include "base/mem.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

enum { MOST = 400, MEMORY = 64 << 20 };

typedef struct side {
    double numbers[MOST];
    bool nulls[MOST];
    size_t count;
} side_t;

/* ---- the oracle: nothing is sorted ---- */

static size_t values_of (const side_t *side)
{
    size_t count = 0;
    for (size_t i = 0; i < side->count; i++)
        count += !side->nulls[i];
    return count;
}

static size_t not_above (const side_t *side, double number)
{
    size_t count = 0;
    for (size_t i = 0; i < side->count; i++)
        count += !side->nulls[i] && side->numbers[i] <= number;
    return count;
}

/* The least of the values that at least a share rank / of is not above. */
static double plain_quantile (const side_t *side, size_t rank, size_t of)
{
    double least = (double)INFINITY;
    size_t needed = values_of (side) * rank;
    for (size_t i = 0; i < side->count; i++)
        if (!side->nulls[i] && side->numbers[i] < least &&
            not_above (side, side->numbers[i]) * of >= needed)
            least = side->numbers[i];
    return least;
}

static double plain_ks (const side_t *sides)
{
    double greatest = 0;
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < sides[s].count; i++) {
            double at = sides[s].numbers[i];
            if (sides[s].nulls[i])
                continue;
            double apart = fabs ((double)not_above (&sides[0], at) / (double)values_of (&sides[0]) -
                                 (double)not_above (&sides[1], at) / (double)values_of (&sides[1]));
            greatest = apart > greatest ? apart : greatest;
        }
    return greatest;
}

static size_t between (const side_t *side, double above, double to)
{
    size_t count = 0;
    for (size_t i = 0; i < side->count; i++)
        count += !side->nulls[i] && side->numbers[i] > above && side->numbers[i] <= to;
    return count;
}

static double term (double training, double serving)
{
    return (serving - training) * log (serving / training);
}

static double plain_psi (const side_t *sides)
{
    double edges[11] = { -(double)INFINITY };
    size_t bins = 0;
    for (size_t i = 1; i < 10; i++) {
        double edge = plain_quantile (&sides[0], i, 10);
        if (bins == 0 || edge > edges[bins])
            edges[++bins] = edge;
    }
    edges[++bins] = (double)INFINITY;
    double psi = 0;
    for (size_t b = 0; b < bins; b++) {
        double shares[2];
        for (int s = 0; s < 2; s++)
            shares[s] = ((double)between (&sides[s], edges[b], edges[b + 1]) + 0.5) /
                        ((double)values_of (&sides[s]) + 0.5 * (double)bins);
        psi += term (shares[0], shares[1]);
    }
    return psi;
}

/* ---- numbers ---- */

static void make_side (random_t *random, side_t *side, double shift, double nulls)
{
    side->count = 1 + random_below (random, MOST);
    bool coarse = random_chance (random, 0.5);
    for (size_t i = 0; i < side->count; i++) {
        double number = (random_unit (random) + random_unit (random)) * 10 + shift;
        side->numbers[i] = coarse ? floor (number) : number;
        side->nulls[i] = i > 0 && random_chance (random, nulls);
    }
}

static void add_side (distribution_t *all, distribution_side_t at, const side_t *side, bool back)
{
    error_t error;
    for (size_t i = 0; i < side->count; i++) {
        size_t k = back ? side->count - 1 - i : i;
        value_t value = { .type = TYPE_FLOAT64, .null = side->nulls[k], .f = side->numbers[k] };
        cr_assert_eq (distribution_add (all, at, &value, &error), STATUS_OK);
    }
}

static void check_side (const side_t *side, const distribution_summary_t *found)
{
    long double sum = 0;
    size_t count = values_of (side);
    for (size_t i = 0; i < side->count; i++)
        sum += side->nulls[i] ? 0 : (long double)side->numbers[i];
    cr_assert_eq (found->count, side->count);
    cr_assert_eq (found->nulls, side->count - count);
    cr_assert_float_eq (found->mean, (double)(sum / (long double)count), 1e-13);
    for (int i = 0; i < DISTRIBUTION_QUANTILES; i++)
        cr_assert_eq (found->quantiles[i],
                      plain_quantile (side, (size_t)lround (distribution_quantiles[i] * 100), 100));
}

static distribution_result_t compare_sides (const side_t *sides, bool back)
{
    distribution_result_t result;
    distribution_t *all = distribution_new (DISTRIBUTION_NUMBERS, MEMORY);
    add_side (all, SIDE_TRAINING, &sides[0], back);
    add_side (all, SIDE_SERVING, &sides[1], back);
    distribution_finish (all, &result);
    distribution_destroy (&all);
    return result;
}

Test (distributions, of_numbers_are_what_they_are_one_by_one)
{
    static side_t sides[2];
    for (uint64_t seed = 1; seed <= 60; seed++) {
        random_t random;
        random_seed (&random, seed);
        make_side (&random, &sides[0], 0, 0.1);
        make_side (&random, &sides[1], seed % 3 == 0 ? 4 : 0, 0.3);
        distribution_result_t result = compare_sides (sides, false);
        cr_assert (result.compared);
        for (int s = 0; s < 2; s++)
            check_side (&sides[s], &result.sides[s]);
        cr_assert_float_eq (result.ks, plain_ks (sides), 1e-15, "seed %lu", seed);
        cr_assert_float_eq (result.psi, plain_psi (sides), 1e-12, "seed %lu: %g %g", seed,
                            result.psi, plain_psi (sides));
        distribution_result_t back = compare_sides (sides, true);
        cr_assert_eq (memcmp (&result, &back, sizeof result), 0, "the order makes a difference");
    }
}

/* 1 to 10 beside 6 to 15, by hand: half of each is on its own. */
Test (distributions, of_an_example)
{
    static side_t sides[2] = { { .count = 10 }, { .count = 10 } };
    for (int i = 0; i < 10; i++) {
        sides[0].numbers[i] = i + 1;
        sides[1].numbers[i] = i + 6;
    }
    distribution_result_t result = compare_sides (sides, false);
    cr_assert_float_eq (result.ks, 0.5, 1e-15);
    cr_assert_float_eq (result.sides[0].mean, 5.5, 1e-15);
    cr_assert_float_eq (result.sides[1].quantiles[3], 10, 1e-15);
    /* bins: five of 1.5/15 against 0.5/15, four of 1.5 against 1.5, one of 1.5 against 6.5 - 0.5 */
    double expected = 5 * term (1.5 / 15, 0.5 / 15) + term (1.5 / 15, 6.5 / 15);
    cr_assert_float_eq (result.psi, expected, 1e-12, "%g, not %g", result.psi, expected);
}

Test (distributions, of_what_is_not_finite)
{
    static side_t sides[2] = { { .count = 3 }, { .count = 3 } };
    sides[0].numbers[0] = (double)NAN;
    sides[0].numbers[1] = 4;
    sides[0].numbers[2] = 2;
    sides[1].numbers[0] = (double)INFINITY;
    sides[1].numbers[1] = -(double)INFINITY;
    sides[1].numbers[2] = (double)NAN;
    distribution_result_t result = compare_sides (sides, false);
    cr_assert_eq (result.sides[0].mean, 3);
    cr_assert (isnan (result.sides[0].quantiles[6]));
    cr_assert_not (result.sides[1].has_numbers);
    cr_assert_float_eq (result.ks, 1.0 / 3, 1e-15);
    cr_assert (isfinite (result.psi));
}

Test (distributions, of_nothing)
{
    distribution_result_t result;
    error_t error;
    distribution_t *all = distribution_new (DISTRIBUTION_NUMBERS, MEMORY);
    value_t null = { .type = TYPE_FLOAT64, .null = true };
    value_t one = { .type = TYPE_FLOAT64, .f = 1 };
    cr_assert_eq (distribution_add (all, SIDE_SERVING, &null, &error), STATUS_OK);
    cr_assert_eq (distribution_add (all, SIDE_TRAINING, &one, &error), STATUS_OK);
    distribution_finish (all, &result);
    cr_assert_not (result.compared);
    cr_assert_eq (result.null_rate, 1);
    cr_assert_eq (result.psi, 0);
    distribution_destroy (&all);
}

/* ---- words ---- */

static void add_word (distribution_t *all, distribution_side_t side, unsigned word, size_t times)
{
    char name[16];
    error_t error;
    snprintf (name, sizeof name, "w%03u", word);
    value_t value = { .type = TYPE_STRING, .s = text_of (name) };
    for (size_t i = 0; i < times; i++)
        cr_assert_eq (distribution_add (all, side, &value, &error), STATUS_OK);
}

/* The hundred that are most frequent in training have a bin each, and all others have one. */
Test (distributions, of_words)
{
    enum { WORDS = 150 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_t random;
        random_seed (&random, seed);
        size_t counts[2][WORDS], totals[2] = { 0, 0 }, distinct[2] = { 0, 0 };
        unsigned words = 1 + (unsigned)random_below (&random, WORDS);
        distribution_t *all = distribution_new (DISTRIBUTION_WORDS, MEMORY);
        for (unsigned w = 0; w < words; w++)
            for (int s = 0; s < 2; s++) {
                counts[s][w] = random_below (&random, w == 0 ? 100 : 6) + (w == 0);
                add_word (all, (distribution_side_t)s, w, counts[s][w]);
                totals[s] += counts[s][w];
                distinct[s] += counts[s][w] > 0;
            }
        double bins[2][101] = { { 0 } };
        size_t used = 0, others = 0;
        for (unsigned w = 0; w < words; w++) {
            size_t before = 0;
            for (unsigned k = 0; k < words; k++)
                before += counts[0][k] > counts[0][w] || (counts[0][k] == counts[0][w] && k < w);
            bool own = counts[0][w] > 0 && before < 100;
            others += own ? 0 : counts[0][w] + counts[1][w];
            for (int s = 0; s < 2; s++)
                bins[s][own ? used : 100] += (double)counts[s][w];
            used += own;
        }
        double psi = 0, n = (double)(used + (others > 0));
        for (size_t b = 0; b < 101; b++)
            if (b < used || (b == 100 && others > 0))
                psi += term ((bins[0][b] + 0.5) / ((double)totals[0] + n / 2),
                             (bins[1][b] + 0.5) / ((double)totals[1] + n / 2));
        distribution_result_t result;
        distribution_finish (all, &result);
        cr_assert_float_eq (result.psi, psi, 1e-12, "seed %lu", seed);
        cr_assert_eq (result.sides[0].distinct, distinct[0]);
        cr_assert_eq (result.sides[1].distinct, distinct[1]);
        distribution_destroy (&all);
    }
}

Test (distributions, say_when_memory_is_not_enough)
{
    error_t error;
    status_t status = STATUS_OK;
    distribution_t *all = distribution_new (DISTRIBUTION_NUMBERS, 1 << 20);
    value_t value = { .type = TYPE_INT64, .i = 7 };
    for (int i = 0; i < 200000 && status == STATUS_OK; i++)
        status = distribution_add (all, (distribution_side_t)(i & 1), &value, &error);
    cr_assert_eq (status, STATUS_TOO_LARGE);
    distribution_destroy (&all);
    status = STATUS_OK;
    all = distribution_new (DISTRIBUTION_WORDS, 1 << 20);
    for (int i = 0; i < 200000 && status == STATUS_OK; i++) {
        char name[16];
        snprintf (name, sizeof name, "%d", i);
        value = (value_t){ .type = TYPE_STRING, .s = text_of (name) };
        status = distribution_add (all, SIDE_SERVING, &value, &error);
    }
    cr_assert_eq (status, STATUS_TOO_LARGE);
    distribution_destroy (&all);
}
