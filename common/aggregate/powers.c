/* POWERS: rows, and the exact sums of their first four powers.
 *
 * Partial: the rows as in float_rows.h (over int64 all are finite), then the sums of x, x^2, x^3
 * and x^4 of the finite ones as in exact_sum.h. */
#include "aggregate/float_rows.h"
#include "aggregate/number_term.h"
#include "aggregate/state_ops.h"

enum { POWERS = 4 };

typedef struct powers {
    float_rows_t rows;
    exact_sum_t sum[POWERS];
} powers_t;

static size_t powers_size (state_spec_t spec)
{
    return number_is_type (spec.input) ? sizeof (powers_t) : 0;
}

static exact_range_t range_of (state_spec_t spec, unsigned sum)
{
    return number_range (spec.input, (int)sum + 1, TYPE_INT64, 0, sum % 2 == 0);
}

static size_t powers_partial_max (state_spec_t spec)
{
    size_t size = FLOAT_ROWS_MAX;
    for (unsigned i = 0; i < POWERS; i++)
        size += number_encoded_max (range_of (spec, i));
    return size;
}

static void powers_init (state_spec_t spec, void *acc)
{
    (void)spec;
    powers_t *self = acc;
    self->rows = (float_rows_t){ 0 };
    for (unsigned i = 0; i < POWERS; i++)
        exact_sum_init (&self->sum[i]);
}

static void powers_release (state_spec_t spec, void *acc)
{
    (void)spec;
    powers_t *self = acc;
    self->rows = (float_rows_t){ 0 };
    for (unsigned i = 0; i < POWERS; i++)
        exact_sum_release (&self->sum[i]);
}

static void powers_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    powers_t *self = acc;
    self->rows = (float_rows_t){ 0 };
    for (unsigned i = 0; i < POWERS; i++)
        exact_sum_reset (&self->sum[i]);
}

static void powers_add (state_spec_t spec, void *acc, const value_t *value,
                        const row_place_t *place)
{
    (void)place;
    powers_t *self = acc;
    if (float_rows_add (&self->rows, spec.input == TYPE_FLOAT64 ? value->f : 0.0))
        return;
    exact_term_t number = number_term (value);
    exact_term_t square = exact_term_product (&number, &number);
    exact_term_t cube = exact_term_product (&square, &number);
    exact_term_t fourth = exact_term_product (&square, &square);
    number_add (&self->sum[0], value);
    number_add_product (&self->sum[1], value, value);
    exact_sum_add_term (&self->sum[2], &cube);
    exact_sum_add_term (&self->sum[3], &fourth);
}

static void powers_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    powers_t *self = acc;
    const powers_t *other = from;
    if (!float_rows_merge (&self->rows, &other->rows))
        return;
    for (unsigned i = 0; i < POWERS; i++)
        exact_sum_merge (&self->sum[i], &other->sum[i]);
}

static bool powers_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    powers_t *self = acc;
    reader_t reader = reader_of (partial.data, partial.size);
    float_rows_t rows = float_rows_read (&reader);
    if (reader.bad || (spec.input == TYPE_INT64 && !float_rows_finite (&rows)))
        return false;
    for (unsigned i = 0; i < POWERS; i++)
        if (!number_merge_encoded (&self->sum[i], &reader, float_rows_count_finite (&rows),
                                   range_of (spec, i)))
            return false;
    return reader_left (&reader) == 0 && float_rows_merge (&self->rows, &rows);
}

static void powers_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const powers_t *self = acc;
    float_rows_encode (&self->rows, out);
    for (unsigned i = 0; i < POWERS; i++)
        exact_sum_encode (&self->sum[i], out);
}

static bool powers_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const powers_t *)acc)->rows.rows == 0;
}

/* What both results are made of: rows n, sums S1 ... S4, and the dispersion D2 = n S2 - S1^2. */
typedef struct work {
    uint64_t n;
    exact_number_t sum[POWERS + 1]; /* [0] is not used */
    exact_number_t dispersion;
} work_t;

/* n^2 S3 - 3 n S1 S2 + 2 S1^3, n^2 times the third central sum. */
static void third_central (const work_t *work, exact_number_t *out)
{
    exact_number_t a = work->sum[3], b, c;
    exact_number_scale (&a, work->n);
    exact_number_scale (&a, work->n);
    exact_number_multiply (&b, &work->sum[1], &work->sum[2]);
    exact_number_scale (&b, work->n);
    exact_number_scale (&b, 3);
    exact_number_subtract (&c, &a, &b);
    exact_number_multiply (&a, &work->sum[1], &work->sum[1]);
    exact_number_multiply (&b, &a, &work->sum[1]);
    exact_number_scale (&b, 2);
    exact_number_add (out, &c, &b);
}

/* n^3 S4 - 4 n^2 S1 S3 + 6 n S1^2 S2 - 3 S1^4, n^3 times the fourth central sum. */
static void fourth_central (const work_t *work, exact_number_t *out)
{
    exact_number_t a = work->sum[4], b, c, square;
    for (int i = 0; i < 3; i++)
        exact_number_scale (&a, work->n);
    exact_number_multiply (&b, &work->sum[1], &work->sum[3]);
    exact_number_scale (&b, work->n);
    exact_number_scale (&b, work->n);
    exact_number_scale (&b, 4);
    exact_number_subtract (&c, &a, &b);
    exact_number_multiply (&square, &work->sum[1], &work->sum[1]);
    exact_number_multiply (&b, &square, &work->sum[2]);
    exact_number_scale (&b, work->n);
    exact_number_scale (&b, 6);
    exact_number_add (&a, &c, &b);
    exact_number_multiply (&b, &square, &square);
    exact_number_scale (&b, 3);
    exact_number_subtract (out, &a, &b);
}

/* sqrt (n (n - 1)) / (n - 2) * D3 / D2^(3/2): sqrt (n (n - 1) D3^2 / ((n - 2)^2 D2^3)). */
static bool skew (const work_t *work, double *result)
{
    exact_number_t third, above, below, square;
    third_central (work, &third);
    exact_number_multiply (&above, &third, &third);
    exact_number_scale (&above, work->n);
    exact_number_scale (&above, work->n - 1);
    above.negative = third.negative;
    exact_number_multiply (&square, &work->dispersion, &work->dispersion);
    exact_number_multiply (&below, &square, &work->dispersion);
    exact_number_scale (&below, work->n - 2);
    exact_number_scale (&below, work->n - 2);
    return exact_number_round_ratio_root (&above, &below, result);
}

/* (n - 1) ((n + 1) D4 - 3 (n - 1) D2^2) / ((n - 2) (n - 3) D2^2). */
static bool kurtosis (const work_t *work, double *result)
{
    exact_number_t fourth, square, scaled, above;
    fourth_central (work, &fourth);
    exact_number_scale (&fourth, work->n + 1);
    exact_number_multiply (&square, &work->dispersion, &work->dispersion);
    scaled = square;
    exact_number_scale (&scaled, work->n - 1);
    exact_number_scale (&scaled, 3);
    exact_number_subtract (&above, &fourth, &scaled);
    exact_number_scale (&above, work->n - 1);
    exact_number_scale (&square, work->n - 2);
    exact_number_scale (&square, work->n - 3);
    return exact_number_round_ratio (&above, &square, 0, result);
}

static status_t powers_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                              const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec, (void)context;
    const powers_t *self = acc;
    uint64_t rows = self->rows.rows;
    if (rows < (aggregate == AGGREGATE_SKEW ? 3 : 4))
        return STATUS_OK;
    if (!float_rows_finite (&self->rows)) {
        final_float (value, (double)NAN);
        return STATUS_OK;
    }
    work_t work = { .n = rows };
    for (unsigned i = 0; i < POWERS; i++)
        exact_number_of_sum (&work.sum[i + 1], &self->sum[i]);
    if (!exact_number_dispersion (&work.dispersion, rows, &work.sum[1], &work.sum[2]))
        return final_no_rows (aggregate, error);
    if (work.dispersion.count == 0)
        return STATUS_OK;
    double result;
    if (!(aggregate == AGGREGATE_SKEW ? skew (&work, &result) : kurtosis (&work, &result)))
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

const state_ops_t state_ops_POWERS = {
    .size = powers_size,
    .partial_max = powers_partial_max,
    .init = powers_init,
    .release = powers_release,
    .reset = powers_reset,
    .add = powers_add,
    .merge = powers_merge,
    .merge_partial = powers_merge_partial,
    .encode = powers_encode,
    .is_empty = powers_is_empty,
    .final = powers_final,
};
