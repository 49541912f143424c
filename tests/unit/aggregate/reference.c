#include "reference.h"

#include "base/decimal.h"
#include "base/key.h"
#include "base/mem.h"

#include <math.h>
#include <mpfr.h>
#include <xxhash.h>

enum { ROOT_PRECISION = 16000 };

/* Takes a number to float64, having been rounded to 53 bits as `ternary` says. */
static bool finish (mpfr_t number, int ternary, double *out)
{
    ternary = mpfr_check_range (number, ternary, MPFR_RNDN);
    mpfr_subnormalize (number, ternary, MPFR_RNDN);
    *out = mpfr_get_d (number, MPFR_RNDN);
    return isfinite (*out);
}

static void begin_float64 (void)
{
    mpfr_set_emin (-1073);
    mpfr_set_emax (1024);
}

static void end_float64 (void)
{
    mpfr_set_emin (mpfr_get_emin_min ());
    mpfr_set_emax (mpfr_get_emax_max ());
}

bool reference_round (const mpq_t number, double *out)
{
    mpfr_t rounded;
    mpfr_init2 (rounded, 53);
    begin_float64 ();
    bool fits = finish (rounded, mpfr_set_q (rounded, number, MPFR_RNDN), out);
    end_float64 ();
    mpfr_clear (rounded);
    return fits;
}

bool reference_round_root (const mpq_t number, double *out)
{
    mpfr_t root, rounded;
    mpfr_init2 (root, ROOT_PRECISION);
    mpfr_init2 (rounded, 53);
    mpfr_set_q (root, number, MPFR_RNDN);
    mpfr_sqrt (root, root, MPFR_RNDN);
    begin_float64 ();
    bool fits = finish (rounded, mpfr_set (rounded, root, MPFR_RNDN), out);
    end_float64 ();
    mpfr_clear (root);
    mpfr_clear (rounded);
    return fits;
}

static void set_decimal (mpq_t number, const value_t *value)
{
    char bytes[DECIMAL_TEXT_MAX + 1] = "";
    text_t text = decimal_text (value->d, 0, bytes);
    memmove (bytes, text.data, text.size);
    bytes[text.size] = '\0';
    mpz_set_str (mpq_numref (number), bytes, 10);
    mpz_ui_pow_ui (mpq_denref (number), 10, type_scale (value->type));
    mpq_canonicalize (number);
}

/* The number in units of the last digit, when it has at most 38 digits. */
static answer_t decimal_answer (mpq_t sum, type_t type)
{
    answer_t answer = { .value = { .type = type } };
    mpz_t unscaled, limit;
    mpz_inits (unscaled, limit, NULL);
    mpz_ui_pow_ui (unscaled, 10, type_scale (type));
    mpz_mul (unscaled, unscaled, mpq_numref (sum));
    mpz_divexact (unscaled, unscaled, mpq_denref (sum));
    mpz_ui_pow_ui (limit, 10, 38);
    answer.range = mpz_cmpabs (unscaled, limit) >= 0;
    char text[128];
    if (!answer.range)
        answer.range = decimal_parse (text_of (mpz_get_str (text, 10, unscaled)), 38, 0,
                                      &answer.value.d) != DECIMAL_GOOD;
    mpz_clears (unscaled, limit, NULL);
    return answer;
}

void reference_set (mpq_t number, const value_t *value)
{
    if (value->type == TYPE_FLOAT64)
        mpq_set_d (number, value->f);
    else if (type_is_decimal (value->type))
        set_decimal (number, value);
    else
        mpq_set_si (number, value->i, 1);
}

/* Sum and sum of squares. */
static void add_up (const row_t *rows, size_t count, mpq_t sum, mpq_t squares)
{
    mpq_t number;
    mpq_init (number);
    for (size_t i = 0; i < count; i++) {
        reference_set (number, &rows[i].value);
        mpq_add (sum, sum, number);
        mpq_mul (number, number, number);
        mpq_add (squares, squares, number);
    }
    mpq_clear (number);
}

answer_t reference_float (double value)
{
    return (answer_t){ .value = { .type = TYPE_FLOAT64, .f = value_float (value) } };
}

answer_t reference_null (void)
{
    return (answer_t){ .value = { .type = TYPE_FLOAT64, .null = true } };
}

answer_t reference_rounded (const mpq_t number)
{
    answer_t answer = reference_float (0.0);
    answer.range = !reference_round (number, &answer.value.f);
    answer.value.f = value_float (answer.value.f);
    return answer;
}

answer_t reference_rounded_root (const mpq_t number)
{
    answer_t answer = reference_float (0.0);
    answer.range = !reference_round_root (number, &answer.value.f);
    return answer;
}

/* sum and mean of finite numbers */
static answer_t sum_answer (aggregate_t aggregate, type_t input, mpq_t sum, size_t count)
{
    answer_t answer = reference_float (0.0);
    if (aggregate == AGGREGATE_SUM && input == TYPE_INT64) {
        answer.value.type = TYPE_INT64;
        answer.range = !mpz_fits_slong_p (mpq_numref (sum));
        answer.value.i = answer.range ? 0 : mpz_get_si (mpq_numref (sum));
        return answer;
    }
    if (aggregate == AGGREGATE_SUM && type_is_decimal (input))
        return decimal_answer (sum, input);
    if (aggregate == AGGREGATE_MEAN) {
        mpq_t rows;
        mpq_init (rows);
        mpq_set_ui (rows, count, 1);
        mpq_div (sum, sum, rows);
        mpq_clear (rows);
    }
    answer.range = !reference_round (sum, &answer.value.f);
    return answer;
}

/* sum over (x - mean)^2 / divisor = (squares - sum^2 / n) / divisor */
static answer_t variance_answer (aggregate_t aggregate, mpq_t sum, mpq_t squares, size_t count)
{
    bool sample = aggregate == AGGREGATE_VARIANCE || aggregate == AGGREGATE_STDDEV;
    mpq_t rows, divisor;
    mpq_init (rows);
    mpq_init (divisor);
    mpq_set_ui (rows, count, 1);
    mpq_set_ui (divisor, sample ? count - 1 : count, 1);
    mpq_mul (sum, sum, sum);
    mpq_div (sum, sum, rows);
    mpq_sub (squares, squares, sum);
    mpq_div (squares, squares, divisor);
    mpq_clear (rows);
    mpq_clear (divisor);
    answer_t answer = reference_float (0.0);
    answer.range = aggregate == AGGREGATE_STDDEV || aggregate == AGGREGATE_STDDEV_POP
                       ? !reference_round_root (squares, &answer.value.f)
                       : !reference_round (squares, &answer.value.f);
    return answer;
}

/* The sum of these, when not all are finite. */
static double special_sum (const row_t *rows, size_t count)
{
    bool up = false, down = false;
    for (size_t i = 0; i < count; i++) {
        if (isnan (rows[i].value.f))
            return NAN;
        up = up || rows[i].value.f == INFINITY;
        down = down || rows[i].value.f == -INFINITY;
    }
    return up && down ? NAN : up ? INFINITY : -INFINITY;
}

static answer_t number_answer (aggregate_t aggregate, type_t input, const row_t *rows, size_t count)
{
    bool finite = true;
    for (size_t i = 0; input == TYPE_FLOAT64 && i < count; i++)
        finite = finite && isfinite (rows[i].value.f);
    bool of_sum = aggregate == AGGREGATE_SUM || aggregate == AGGREGATE_MEAN;
    if (!finite)
        return reference_float (value_float (of_sum ? special_sum (rows, count) : (double)NAN));
    mpq_t sum, squares;
    mpq_init (sum);
    mpq_init (squares);
    add_up (rows, count, sum, squares);
    answer_t answer = of_sum ? sum_answer (aggregate, input, sum, count)
                             : variance_answer (aggregate, sum, squares, count);
    mpq_clear (sum);
    mpq_clear (squares);
    return answer;
}

static bool is_before (const row_place_t *a, const row_place_t *b)
{
    return a->time < b->time ||
           (a->time == b->time &&
            (a->offset < b->offset || (a->offset == b->offset && a->row < b->row)));
}

bool reference_is_less (const value_t *a, const value_t *b)
{
    if (a->type == TYPE_FLOAT64)
        return isnan (b->f) ? !isnan (a->f) : a->f < b->f;
    if (type_is_decimal (a->type))
        return a->d < b->d;
    if (a->type != TYPE_STRING)
        return a->i < b->i;
    uint32_t common = a->s.size < b->s.size ? a->s.size : b->s.size;
    int order = common == 0 ? 0 : memcmp (a->s.data, b->s.data, common);
    return order < 0 || (order == 0 && a->s.size < b->s.size);
}

static answer_t chosen_answer (aggregate_t aggregate, const row_t *rows, size_t count)
{
    const row_t *best = &rows[0];
    for (const row_t *row = rows; row < rows + count; row++) {
        bool better = aggregate == AGGREGATE_MIN     ? reference_is_less (&row->value, &best->value)
                      : aggregate == AGGREGATE_MAX   ? reference_is_less (&best->value, &row->value)
                      : aggregate == AGGREGATE_FIRST ? is_before (&row->place, &best->place)
                                                     : is_before (&best->place, &row->place);
        best = better ? row : best;
    }
    return (answer_t){ .value = best->value };
}

/* Registers one by one, and Ertl's estimate with the series as they are written in the paper. */
static int64_t distinct_estimate (const row_t *rows, size_t count)
{
    int ranks[4096] = { 0 };
    for (size_t i = 0; i < count; i++) {
        buf_t key;
        buf_init (&key, 1 << 16);
        key_put (&key, &rows[i].value);
        uint64_t hash = XXH3_64bits (key.data, key.size);
        buf_release (&key);
        int rank = 1;
        for (uint64_t bit = UINT64_C (1) << 51; bit != 0 && (hash & bit) == 0; bit >>= 1)
            rank++;
        int *held = &ranks[hash >> 52];
        *held = rank > *held ? rank : *held;
    }
    double count_of[54] = { 0 };
    for (int i = 0; i < 4096; i++)
        count_of[ranks[i]]++;
    double empty = count_of[0] / 4096, sigma = empty;
    for (int k = 1; k < 100; k++)
        sigma += pow (empty, ldexp (1, k)) * ldexp (1, k - 1);
    double full = 1 - count_of[53] / 4096, tau = 1 - full;
    for (int k = 1; k < 100; k++)
        tau -= (1 - pow (full, ldexp (1, -k))) * (1 - pow (full, ldexp (1, -k))) * ldexp (1, -k);
    double sum = 4096 * sigma + 4096 * tau / 3 * ldexp (1, -52);
    for (int k = 1; k <= 52; k++)
        sum += count_of[k] * ldexp (1, -k);
    return llround (4096.0 * 4096.0 / (2 * log (2)) / sum);
}

static answer_t range_answer (type_t input, const row_t *rows, size_t count)
{
    const value_t *least = &rows[0].value, *greatest = least;
    for (size_t i = 0; i < count; i++) {
        least = reference_is_less (&rows[i].value, least) ? &rows[i].value : least;
        greatest = reference_is_less (greatest, &rows[i].value) ? &rows[i].value : greatest;
    }
    if (input == TYPE_FLOAT64 && (!isfinite (least->f) || !isfinite (greatest->f)))
        return reference_float (greatest->f - least->f);
    mpq_t distance, from;
    mpq_init (distance);
    mpq_init (from);
    reference_set (distance, greatest);
    reference_set (from, least);
    mpq_sub (distance, distance, from);
    answer_t answer = sum_answer (AGGREGATE_SUM, input, distance, count);
    mpq_clear (distance);
    mpq_clear (from);
    return answer;
}

static answer_t truth_answer (bool any, const row_t *rows, size_t count)
{
    answer_t answer = { .value = { .type = TYPE_BOOL, .i = any ? 0 : 1 } };
    for (size_t i = 0; i < count; i++)
        if (rows[i].value.i == (any ? 1 : 0))
            answer.value.i = any ? 1 : 0;
    return answer;
}

/* Of one row or more. */
static answer_t some_answer (aggregate_t aggregate, state_spec_t spec, const row_t *rows,
                             size_t count, const final_context_t *context)
{
    switch (aggregate) {
    case AGGREGATE_ANY:
    case AGGREGATE_ALL:
        return truth_answer (aggregate == AGGREGATE_ANY, rows, count);
    case AGGREGATE_APPROX_QUANTILE:
        return reference_of_quantiles (rows, count, context->parameter.f);
    case AGGREGATE_APPROX_MEDIAN:
        return reference_of_quantiles (rows, count, 0.5);
    default:
        break;
    }
    switch (spec.kind) {
    case STATE_SUM:
    case STATE_MOMENTS:
        return number_answer (aggregate, spec.input, rows, count);
    case STATE_RANGE:
        return range_answer (spec.input, rows, count);
    case STATE_POWERS:
    case STATE_COMOMENTS:
    case STATE_TREND:
        return reference_of_sums (aggregate, rows, count);
    case STATE_SPAN:
    case STATE_TIMES:
    case STATE_DECAY:
        return reference_of_times (aggregate, spec, rows, count, context);
    case STATE_FIRST_K:
    case STATE_LAST_K:
    case STATE_MIN_K:
    case STATE_MAX_K:
    case STATE_DISTINCT_SET:
    case STATE_HISTOGRAM:
    case STATE_SESSIONS:
        return reference_of_collections (aggregate, spec, rows, count, context);
    default:
        return chosen_answer (aggregate, rows, count);
    }
}

static answer_t rate_answer (size_t count, int64_t window)
{
    if (window == INT64_MAX)
        return reference_null ();
    mpq_t rate;
    mpq_init (rate);
    mpz_set_ui (mpq_numref (rate), count);
    mpz_mul_ui (mpq_numref (rate), mpq_numref (rate), 1000000);
    mpz_set_si (mpq_denref (rate), window);
    mpq_canonicalize (rate);
    answer_t answer = reference_rounded (rate);
    mpq_clear (rate);
    return answer;
}

answer_t reference_answer (aggregate_t aggregate, state_spec_t spec, const row_t *rows,
                           size_t count, const final_context_t *context)
{
    const aggregate_info_t *info = aggregate_info (aggregate);
    bool sample = aggregate == AGGREGATE_VARIANCE || aggregate == AGGREGATE_STDDEV;
    answer_t answer = { .value.type = info->output != TYPE_NONE ? info->output : spec.input };
    bool counts = aggregate == AGGREGATE_COUNT_DISTINCT || aggregate == AGGREGATE_SESSION_COUNT;
    if (aggregate == AGGREGATE_COUNT || (counts && count == 0))
        answer.value.i = (int64_t)count;
    else if (aggregate == AGGREGATE_RATE)
        answer = rate_answer (count, context->window);
    else if (aggregate == AGGREGATE_APPROX_COUNT_DISTINCT)
        answer.value.i = count == 0 ? 0 : distinct_estimate (rows, count);
    else if (aggregate == AGGREGATE_DECAYED_COUNT && count == 0)
        answer = reference_float (0.0);
    else if (count < (sample ? 2 : 1))
        answer.value.null = true;
    else
        answer = some_answer (aggregate, spec, rows, count, context);
    return answer;
}
