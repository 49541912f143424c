/* What depends on event times: age, interarrival, decay. */
#include "reference.h"

#include "base/mem.h"

#include <math.h>
#include <mpfr.h>
#include <stdlib.h>

enum { MICROSECONDS = 1000000, TIMES_MOST = 4096, HALF_LIVES = 128, FAR = 10000 };

static int compare_times (const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static int64_t *sorted_times (const row_t *rows, size_t count)
{
    int64_t *times = mem_zero (count, sizeof *times);
    for (size_t i = 0; i < count; i++)
        times[i] = rows[i].place.time;
    qsort (times, count, sizeof *times, compare_times);
    return times;
}

/* to - from, in seconds */
static void seconds_between (mpq_t out, int64_t from, int64_t to)
{
    mpz_t start;
    mpz_init_set_si (start, from);
    mpz_set_si (mpq_numref (out), to);
    mpz_sub (mpq_numref (out), mpq_numref (out), start);
    mpz_set_ui (mpq_denref (out), MICROSECONDS);
    mpq_canonicalize (out);
    mpz_clear (start);
}

/* The mean of the gaps, or their sample's standard deviation. */
static answer_t of_gaps (aggregate_t aggregate, const int64_t *times, size_t count)
{
    bool deviation = aggregate == AGGREGATE_INTERARRIVAL_STDDEV;
    if (count < (deviation ? 3 : 2))
        return reference_null ();
    if (deviation && count > TIMES_MOST)
        return (answer_t){ .too_large = true };
    mpq_t gap, mean, squares, gaps;
    mpq_inits (gap, mean, squares, gaps, NULL);
    mpq_set_ui (gaps, count - 1, 1);
    for (size_t i = 0; i + 1 < count; i++) {
        seconds_between (gap, times[i], times[i + 1]);
        mpq_add (mean, mean, gap);
    }
    mpq_div (mean, mean, gaps);
    answer_t answer = reference_rounded (mean);
    for (size_t i = 0; deviation && i + 1 < count; i++) {
        seconds_between (gap, times[i], times[i + 1]);
        mpq_sub (gap, gap, mean);
        mpq_mul (gap, gap, gap);
        mpq_add (squares, squares, gap);
    }
    if (deviation) {
        mpq_set_ui (gaps, count - 2, 1);
        mpq_div (squares, squares, gaps);
        answer = reference_rounded_root (squares);
    }
    mpq_clears (gap, mean, squares, gaps, NULL);
    return answer;
}

/* ---- decay ---- */

static __int128 index_of (int64_t time, int64_t half_life)
{
    mpz_t index;
    mpz_init_set_si (index, time);
    mpz_fdiv_q_ui (index, index, (unsigned long)half_life);
    int64_t result = mpz_get_si (index);
    mpz_clear (index);
    return result;
}

/* 2^(what is over of the half-life), as the nearest float64. */
static void set_weight (mpq_t weight, int64_t time, int64_t half_life)
{
    mpz_t over;
    mpfr_t exponent, power;
    mpz_init_set_si (over, time);
    mpz_fdiv_r_ui (over, over, (unsigned long)half_life);
    mpfr_init2 (exponent, 500);
    mpfr_init2 (power, 400);
    mpfr_set_z (exponent, over, MPFR_RNDN);
    mpfr_div_ui (exponent, exponent, (unsigned long)half_life, MPFR_RNDN);
    mpfr_exp2 (power, exponent, MPFR_RNDN);
    mpq_set_d (weight, mpfr_get_d (power, MPFR_RNDN));
    mpz_clear (over);
    mpfr_clear (exponent);
    mpfr_clear (power);
}

static void shift (mpq_t number, int64_t exponent)
{
    if (exponent >= 0)
        mpq_mul_2exp (number, number, (mp_bitcnt_t)exponent);
    else
        mpq_div_2exp (number, number, (mp_bitcnt_t)-exponent);
}

typedef struct decay {
    int64_t half_life;
    __int128 newest; /* index of the newest row */
    mpq_t sum;       /* of weight * x, and … */
    mpq_t weights;   /* … of the weights, times 2^(index - newest) */
    bool nan, up, down;
} decay_t;

static void decay_add (decay_t *self, const row_t *row)
{
    __int128 behind = self->newest - index_of (row->place.time, self->half_life);
    if (behind >= HALF_LIVES)
        return;
    mpq_t weight, product;
    mpq_inits (weight, product, NULL);
    set_weight (weight, row->place.time, self->half_life);
    shift (weight, (int64_t)-behind);
    mpq_add (self->weights, self->weights, weight);
    if (row->value.type == TYPE_FLOAT64 && !isfinite (row->value.f)) {
        self->nan = self->nan || isnan (row->value.f);
        self->up = self->up || row->value.f == INFINITY;
        self->down = self->down || row->value.f == -INFINITY;
    } else if (row->value.type != TYPE_NONE) {
        reference_set (product, &row->value);
        mpq_mul (product, product, weight);
        mpq_add (self->sum, self->sum, product);
    }
    mpq_clears (weight, product, NULL);
}

static answer_t decay_answer (decay_t *self, aggregate_t aggregate, int64_t as_of)
{
    if (self->nan || self->up || self->down)
        return reference_float (self->nan || (self->up && self->down) ? NAN
                                : self->up                            ? INFINITY
                                                                      : -INFINITY);
    if (aggregate == AGGREGATE_DECAYED_MEAN) {
        mpq_div (self->sum, self->sum, self->weights);
        return reference_rounded (self->sum);
    }
    mpq_t *total = aggregate == AGGREGATE_DECAYED_COUNT ? &self->weights : &self->sum;
    __int128 ahead = self->newest - index_of (as_of, self->half_life);
    if (mpq_sgn (*total) == 0 || ahead < -FAR)
        return reference_float (0.0);
    if (ahead > FAR)
        return (answer_t){ .range = true };
    mpq_t weight;
    mpq_init (weight);
    set_weight (weight, as_of, self->half_life);
    shift (*total, (int64_t)ahead);
    mpq_div (*total, *total, weight);
    mpq_clear (weight);
    return reference_rounded (*total);
}

static answer_t decayed (aggregate_t aggregate, state_spec_t spec, const row_t *rows, size_t count,
                         int64_t as_of)
{
    decay_t decay = { .half_life = spec.param, .newest = INT64_MIN };
    mpq_inits (decay.sum, decay.weights, NULL);
    for (size_t i = 0; i < count; i++) {
        __int128 index = index_of (rows[i].place.time, spec.param);
        decay.newest = index > decay.newest ? index : decay.newest;
    }
    for (size_t i = 0; i < count; i++)
        decay_add (&decay, &rows[i]);
    answer_t answer = decay_answer (&decay, aggregate, as_of);
    mpq_clears (decay.sum, decay.weights, NULL);
    return answer;
}

answer_t reference_of_times (aggregate_t aggregate, state_spec_t spec, const row_t *rows,
                             size_t count, const final_context_t *context)
{
    if (spec.kind == STATE_DECAY)
        return decayed (aggregate, spec, rows, count, context->as_of);
    int64_t *times = sorted_times (rows, count);
    answer_t answer;
    if (aggregate == AGGREGATE_AGE) {
        mpq_t age;
        mpq_init (age);
        seconds_between (age, times[count - 1], context->as_of);
        answer = reference_rounded (age);
        mpq_clear (age);
    } else {
        answer = of_gaps (aggregate, times, count);
    }
    mem_free (times);
    return answer;
}
