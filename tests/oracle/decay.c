/* Decay as docs/aggregates.md defines it: weights rounded to float64s, everything else exact. */
#include "tests/oracle/found.h"

#include <math.h>
#include <string.h>

enum {
    PLACES = 400,     /* binary places of what is worked out below */
    HALF_LIVES = 128, /* that count */
    FAR = 5000,       /* half-lives after which nothing is left */
    REMEMBERED = 1 << 14,
};

/* ln 2 = sum over k of 1 / (k 2^k), in units of 2^-PLACES. */
static void set_ln_2 (mpz_t out)
{
    mpz_t term;
    mpz_init (term);
    mpz_set_ui (out, 0);
    for (unsigned k = 1; k <= PLACES; k++) {
        mpz_set_ui (term, 1);
        mpz_mul_2exp (term, term, PLACES - k);
        mpz_fdiv_q_ui (term, term, k);
        mpz_add (out, out, term);
    }
    mpz_clear (term);
}

/* e^x = sum over k of x^k / k!, likewise; 0 <= x < 1. */
static void set_exponential (mpz_t out, const mpz_t x)
{
    mpz_t term;
    mpz_init_set_ui (term, 1);
    mpz_mul_2exp (term, term, PLACES);
    mpz_set (out, term);
    for (unsigned k = 1; mpz_sgn (term) > 0; k++) {
        mpz_mul (term, term, x);
        mpz_fdiv_q_2exp (term, term, PLACES);
        mpz_fdiv_q_ui (term, term, k);
        mpz_add (out, out, term);
    }
    mpz_clear (term);
}

/* The float64 nearest to 2^(rest / half_life), 0 <= rest < half_life. */
static double find_weight (int64_t rest, int64_t half_life)
{
    static bool known;
    static mpz_t ln_2;
    if (!known) {
        mpz_init (ln_2);
        set_ln_2 (ln_2);
        known = true;
    }
    mpz_t exponent, life, power;
    mpz_init (power);
    mpz_init_set_si (exponent, rest);
    mpz_init_set_si (life, half_life);
    mpz_mul (exponent, exponent, ln_2);
    mpz_fdiv_q (exponent, exponent, life);
    set_exponential (power, exponent);
    /* Half a unit of 2^-52 more, and what is below the unit away. */
    mpz_set_ui (exponent, 1);
    mpz_mul_2exp (exponent, exponent, PLACES - 53);
    mpz_add (power, power, exponent);
    mpz_fdiv_q_2exp (power, power, PLACES - 52);
    double weight = ldexp ((double)mpz_get_ui (power), -52);
    mpz_clears (exponent, life, power, NULL);
    return weight;
}

/* As find_weight. The same events are asked about again and again, and a weight takes long. */
static double weight_of (int64_t rest, int64_t half_life)
{
    static struct {
        int64_t rest, half_life; /* 0: nothing is remembered here */
        double weight;
    } remembered[REMEMBERED];
    size_t at = (size_t)(((uint64_t)rest ^ (uint64_t)half_life) * 0x9e3779b97f4a7c15u >> 50);
    if (remembered[at].half_life != half_life || remembered[at].rest != rest) {
        remembered[at].rest = rest;
        remembered[at].half_life = half_life;
        remembered[at].weight = find_weight (rest, half_life);
    }
    return remembered[at].weight;
}

/* time = *index * half_life + rest; the weight is the float64 nearest to 2^(rest / half_life). */
static void weigh (int64_t time, int64_t half_life, mpz_t index, mpq_t weight)
{
    int64_t rest = time % half_life;
    if (rest < 0)
        rest += half_life;
    mpz_set_si (index, time / half_life - (time % half_life < 0));
    mpq_set_d (weight, weight_of (rest, half_life));
}

typedef struct decay {
    mpz_t newest;  /* half-life of the newest event */
    mpq_t sum;     /* of weight * x, and … */
    mpq_t weights; /* … of weights, times 2^(half-life - the newest) */
    bool nan, infinity, minus_infinity;
} decay_t;

static void find_newest (const found_t *found, int64_t half_life, decay_t *decay)
{
    int64_t newest = found->events[0]->time;
    for (size_t i = 0; i < found->count; i++)
        newest = found->events[i]->time > newest ? found->events[i]->time : newest;
    mpq_t weight;
    mpq_init (weight);
    weigh (newest, half_life, decay->newest, weight);
    mpq_clear (weight);
}

static void add_number (decay_t *decay, const value_t *value, const mpq_t weight)
{
    if (!found_is_finite (value)) {
        decay->nan = decay->nan || isnan (value->f);
        decay->infinity = decay->infinity || value->f == INFINITY;
        decay->minus_infinity = decay->minus_infinity || value->f == -INFINITY;
        return;
    }
    mpq_t number;
    mpq_init (number);
    found_set (number, value);
    mpq_mul (number, number, weight);
    mpq_add (decay->sum, decay->sum, number);
    mpq_clear (number);
}

static void add_events (const found_t *found, int64_t half_life, decay_t *decay)
{
    mpz_t index;
    mpq_t weight;
    mpz_init (index);
    mpq_init (weight);
    for (size_t i = 0; i < found->count; i++) {
        weigh (found->events[i]->time, half_life, index, weight);
        mpz_sub (index, decay->newest, index);
        if (mpz_cmp_ui (index, HALF_LIVES) >= 0)
            continue;
        mpq_div_2exp (weight, weight, mpz_get_ui (index));
        mpq_add (decay->weights, decay->weights, weight);
        if (found->feature->field >= 0)
            add_number (decay, found_value (found, i), weight);
    }
    mpz_clear (index);
    mpq_clear (weight);
}

/* The sum at the newest half-life, as it is at as_of. */
static status_t until (mpq_t sum, const decay_t *decay, int64_t half_life, int64_t as_of,
                       value_t *out)
{
    mpz_t index;
    mpq_t weight;
    mpz_init (index);
    mpq_init (weight);
    weigh (as_of, half_life, index, weight);
    mpz_sub (index, index, decay->newest);
    mpq_div (sum, sum, weight);
    bool gone = mpz_cmp_ui (index, FAR) > 0;
    if (gone)
        *out = found_float (0);
    else
        mpq_div_2exp (sum, sum, mpz_get_ui (index));
    mpz_clear (index);
    mpq_clear (weight);
    return gone ? STATUS_OK : found_round (sum, out);
}

static status_t answer (const found_t *found, decay_t *decay, value_t *out)
{
    const char *word = found->feature->aggregate;
    int64_t half_life = found->feature->parameter;
    if (decay->nan || (decay->infinity && decay->minus_infinity))
        *out = found_float (NAN);
    else if (decay->infinity || decay->minus_infinity)
        *out = found_float (decay->infinity ? INFINITY : -INFINITY);
    else if (strcmp (word, "decayed_count") == 0)
        return until (decay->weights, decay, half_life, found->as_of, out);
    else if (strcmp (word, "decayed_sum") == 0)
        return until (decay->sum, decay, half_life, found->as_of, out);
    else {
        mpq_div (decay->sum, decay->sum, decay->weights);
        return found_round (decay->sum, out);
    }
    return STATUS_OK;
}

status_t found_decay (const found_t *found, value_t *out)
{
    const char *word = found->feature->aggregate;
    bool of_rows = strcmp (word, "decayed_count") == 0;
    if (!of_rows && strcmp (word, "decayed_sum") != 0 && strcmp (word, "decayed_mean") != 0)
        return STATUS_INVALID;
    if (found->count == 0) {
        if (of_rows)
            *out = found_float (0);
        return STATUS_OK;
    }
    decay_t decay = { 0 };
    mpz_init (decay.newest);
    mpq_inits (decay.sum, decay.weights, NULL);
    find_newest (found, found->feature->parameter, &decay);
    add_events (found, found->feature->parameter, &decay);
    status_t status = answer (found, &decay, out);
    mpz_clear (decay.newest);
    mpq_clears (decay.sum, decay.weights, NULL);
    return status;
}
