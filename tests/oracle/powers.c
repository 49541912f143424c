/* Powers of distances from the mean, as textbooks have them, with exact fractions. */
#include "tests/oracle/found.h"

#include <math.h>
#include <string.h>

/* The two numbers of each event: x and y of a covariance; time and x of a slope; else x twice. */
typedef struct pairs {
    size_t count;
    bool finite;
    mpq_t xx, yy, xy, xxx, xxxx; /* sums over products of distances from the means */
} pairs_t;

static bool is_pair (const char *word)
{
    return strncmp (word, "covariance", 10) == 0 || strcmp (word, "correlation") == 0;
}

static value_t number_of (const found_t *found, size_t i, bool second)
{
    const char *word = found->feature->aggregate;
    if (strcmp (word, "slope") == 0 && !second)
        return (value_t){ .type = TYPE_INT64, .i = found->events[i]->time };
    return is_pair (word) && second ? *found_second (found, i) : *found_value (found, i);
}

static void mean_of (const found_t *found, bool second, mpq_t mean)
{
    mpq_t number;
    mpq_init (number);
    mpq_set_ui (mean, 0, 1);
    for (size_t i = 0; i < found->count; i++) {
        value_t value = number_of (found, i, second);
        found_set (number, &value);
        mpq_add (mean, mean, number);
    }
    mpq_set_ui (number, found->count, 1);
    mpq_div (mean, mean, number);
    mpq_clear (number);
}

static void add_product (mpq_t sum, const mpq_t a, const mpq_t b)
{
    mpq_t product;
    mpq_init (product);
    mpq_mul (product, a, b);
    mpq_add (sum, sum, product);
    mpq_clear (product);
}

static void add_distances (const found_t *found, pairs_t *pairs)
{
    mpq_t mean_x, mean_y, x, y, square;
    mpq_inits (mean_x, mean_y, x, y, square, NULL);
    mean_of (found, false, mean_x);
    mean_of (found, true, mean_y);
    for (size_t i = 0; i < found->count; i++) {
        value_t value_x = number_of (found, i, false), value_y = number_of (found, i, true);
        found_set (x, &value_x);
        found_set (y, &value_y);
        mpq_sub (x, x, mean_x);
        mpq_sub (y, y, mean_y);
        mpq_mul (square, x, x);
        add_product (pairs->xx, x, x);
        add_product (pairs->yy, y, y);
        add_product (pairs->xy, x, y);
        add_product (pairs->xxx, square, x);
        add_product (pairs->xxxx, square, square);
    }
    mpq_clears (mean_x, mean_y, x, y, square, NULL);
}

static void times (mpq_t number, uint64_t factor)
{
    mpz_mul_ui (mpq_numref (number), mpq_numref (number), factor);
    mpq_canonicalize (number);
}

static void over (mpq_t number, uint64_t divisor)
{
    mpz_mul_ui (mpq_denref (number), mpq_denref (number), divisor);
    mpq_canonicalize (number);
}

/* The root's square keeps the sign of what is squared. */
static void square_keeping_sign (mpq_t number)
{
    int sign = mpq_sgn (number);
    mpq_mul (number, number, number);
    if (sign < 0)
        mpq_neg (number, number);
}

/* n / ((n - 1) (n - 2)) * sum ((x - m) / s)^3, s being the sample's deviation: so with s^2 = xx /
 * (n - 1), of which the square is n^2 (n - 1) / (n - 2)^2 * xxx^2 / xx^3. */
static status_t skew (pairs_t *pairs, value_t *out)
{
    uint64_t n = pairs->count;
    square_keeping_sign (pairs->xxx);
    for (int i = 0; i < 3; i++)
        mpq_div (pairs->xxx, pairs->xxx, pairs->xx);
    times (pairs->xxx, n);
    times (pairs->xxx, n);
    times (pairs->xxx, n - 1);
    over (pairs->xxx, n - 2);
    over (pairs->xxx, n - 2);
    return found_round_root (pairs->xxx, out);
}

/* n (n + 1) / ((n - 1) (n - 2) (n - 3)) * sum ((x - m) / s)^4 - 3 (n - 1)^2 / ((n - 2) (n - 3)). */
static status_t kurtosis (pairs_t *pairs, value_t *out)
{
    uint64_t n = pairs->count;
    over (pairs->xx, n - 1);
    mpq_div (pairs->xxxx, pairs->xxxx, pairs->xx);
    mpq_div (pairs->xxxx, pairs->xxxx, pairs->xx);
    times (pairs->xxxx, n * (n + 1));
    over (pairs->xxxx, n - 1);
    mpq_set_ui (pairs->xx, 3 * (n - 1) * (n - 1), 1);
    mpq_sub (pairs->xxxx, pairs->xxxx, pairs->xx);
    over (pairs->xxxx, (n - 2) * (n - 3));
    return found_round (pairs->xxxx, out);
}

static status_t correlation (pairs_t *pairs, value_t *out)
{
    square_keeping_sign (pairs->xy);
    mpq_div (pairs->xy, pairs->xy, pairs->xx);
    mpq_div (pairs->xy, pairs->xy, pairs->yy);
    return found_round_root (pairs->xy, out);
}

static status_t answer (const char *word, pairs_t *pairs, value_t *out)
{
    bool constant = mpq_sgn (pairs->xx) == 0;
    if (strcmp (word, "covariance") == 0 || strcmp (word, "covariance_pop") == 0) {
        over (pairs->xy, strcmp (word, "covariance") == 0 ? pairs->count - 1 : pairs->count);
        return found_round (pairs->xy, out);
    }
    if (constant || (strcmp (word, "correlation") == 0 && mpq_sgn (pairs->yy) == 0))
        return STATUS_OK;
    if (strcmp (word, "skew") == 0)
        return skew (pairs, out);
    if (strcmp (word, "kurtosis") == 0)
        return kurtosis (pairs, out);
    if (strcmp (word, "correlation") == 0)
        return correlation (pairs, out);
    mpq_div (pairs->xy, pairs->xy, pairs->xx); /* the slope, per microsecond */
    times (pairs->xy, UINT64_C (24) * 60 * 60 * 1000 * 1000);
    return found_round (pairs->xy, out);
}

status_t found_powers (const found_t *found, value_t *out)
{
    static const struct {
        const char *word;
        size_t least;
    } words[] = { { "skew", 3 },           { "kurtosis", 4 },    { "covariance", 2 },
                  { "covariance_pop", 1 }, { "correlation", 2 }, { "slope", 2 } };
    const char *word = found->feature->aggregate;
    size_t which = 0, count = sizeof words / sizeof *words;
    while (which < count && strcmp (word, words[which].word) != 0)
        which++;
    if (which == count)
        return STATUS_INVALID;
    if (found->count < words[which].least)
        return STATUS_OK;
    for (size_t i = 0; i < found->count; i++)
        if (!found_is_finite (found_value (found, i)) ||
            (is_pair (word) && !found_is_finite (found_second (found, i)))) {
            *out = found_float (NAN);
            return STATUS_OK;
        }
    pairs_t pairs = { .count = found->count };
    mpq_inits (pairs.xx, pairs.yy, pairs.xy, pairs.xxx, pairs.xxxx, NULL);
    add_distances (found, &pairs);
    status_t status = answer (word, &pairs, out);
    mpq_clears (pairs.xx, pairs.yy, pairs.xy, pairs.xxx, pairs.xxxx, NULL);
    return status;
}
