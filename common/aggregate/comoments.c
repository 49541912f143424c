/* COMOMENTS: rows of two numbers a and b, and the exact sums of a, b, a^2, ab and b^2.
 * TREND: the same where a is the row's event time in µs, without the sum of b^2.
 *
 * Partial: varint of 2 * rows + (1 when some are not finite), in that case the varint of how many;
 * then the sums over the finite ones, in the order above, as in exact_sum.h. */
#include "aggregate/number_term.h"
#include "aggregate/state_ops.h"

#include "base/timestamp.h"

enum { SUM_A, SUM_B, SUM_AA, SUM_AB, SUM_BB, SUMS };

typedef struct comoments {
    uint64_t rows;
    uint64_t not_finite; /* rows of which a number is not */
    exact_sum_t sum[SUMS];
} comoments_t;

static unsigned sums_of (state_spec_t spec)
{
    return spec.kind == STATE_TREND ? SUM_BB : SUMS;
}

static type_t type_of_a (state_spec_t spec)
{
    return spec.kind == STATE_TREND ? TYPE_INT64 : spec.input;
}

static type_t type_of_b (state_spec_t spec)
{
    return spec.kind == STATE_TREND ? spec.input : spec.second;
}

static size_t comoments_size (state_spec_t spec)
{
    return number_is_type (type_of_a (spec)) && number_is_type (type_of_b (spec))
               ? sizeof (comoments_t)
               : 0;
}

static exact_range_t range_of (state_spec_t spec, unsigned sum)
{
    int a = sum == SUM_AA ? 2 : sum == SUM_A || sum == SUM_AB;
    int b = sum == SUM_BB ? 2 : sum == SUM_B || sum == SUM_AB;
    return number_range (type_of_a (spec), a, type_of_b (spec), b, a != 2 && b != 2);
}

static size_t comoments_partial_max (state_spec_t spec)
{
    size_t size = 10 + 9;
    for (unsigned i = 0; i < sums_of (spec); i++)
        size += number_encoded_max (range_of (spec, i));
    return size;
}

static void comoments_init (state_spec_t spec, void *acc)
{
    (void)spec;
    comoments_t *self = acc;
    self->rows = self->not_finite = 0;
    for (unsigned i = 0; i < SUMS; i++)
        exact_sum_init (&self->sum[i]);
}

static void comoments_release (state_spec_t spec, void *acc)
{
    (void)spec;
    comoments_t *self = acc;
    self->rows = self->not_finite = 0;
    for (unsigned i = 0; i < SUMS; i++)
        exact_sum_release (&self->sum[i]);
}

static void comoments_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    comoments_t *self = acc;
    self->rows = self->not_finite = 0;
    for (unsigned i = 0; i < SUMS; i++)
        exact_sum_reset (&self->sum[i]);
}

static void comoments_add (state_spec_t spec, void *acc, const value_t *values,
                           const row_place_t *place)
{
    comoments_t *self = acc;
    bool trend = spec.kind == STATE_TREND;
    (void)rows_add (&self->rows, 1);
    if (!number_is_finite (&values[0]) || (!trend && !number_is_finite (&values[1]))) {
        self->not_finite++;
        return;
    }
    const value_t time = { .type = TYPE_INT64, .i = place->time };
    const value_t *a = trend ? &time : &values[0];
    const value_t *b = trend ? &values[0] : &values[1];
    number_add (&self->sum[SUM_A], a);
    number_add (&self->sum[SUM_B], b);
    number_add_product (&self->sum[SUM_AA], a, a);
    number_add_product (&self->sum[SUM_AB], a, b);
    if (!trend)
        number_add_product (&self->sum[SUM_BB], b, b);
}

static void comoments_merge (state_spec_t spec, void *acc, const void *from)
{
    comoments_t *self = acc;
    const comoments_t *other = from;
    if (!rows_add (&self->rows, other->rows))
        return;
    self->not_finite += other->not_finite; /* at most the rows */
    for (unsigned i = 0; i < sums_of (spec); i++)
        exact_sum_merge (&self->sum[i], &other->sum[i]);
}

static bool comoments_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    comoments_t *self = acc;
    reader_t reader = reader_of (partial.data, partial.size);
    uint64_t header = partial_read_varint (&reader);
    uint64_t rows = header >> 1;
    uint64_t not_finite = (header & 1) != 0 ? partial_read_varint (&reader) : 0;
    bool may = spec.input == TYPE_FLOAT64 || spec.second == TYPE_FLOAT64;
    if (reader.bad || rows == 0 || not_finite > rows ||
        ((header & 1) != 0 && (not_finite == 0 || !may)))
        return false;
    for (unsigned i = 0; i < sums_of (spec); i++)
        if (!number_merge_encoded (&self->sum[i], &reader, rows - not_finite, range_of (spec, i)))
            return false;
    if (reader_left (&reader) != 0 || !rows_add (&self->rows, rows))
        return false;
    self->not_finite += not_finite;
    return true;
}

static void comoments_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    const comoments_t *self = acc;
    buf_put_varint (out, self->rows << 1 | (self->not_finite > 0));
    if (self->not_finite > 0)
        buf_put_varint (out, self->not_finite);
    for (unsigned i = 0; i < sums_of (spec); i++)
        exact_sum_encode (&self->sum[i], out);
}

static bool comoments_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const comoments_t *)acc)->rows == 0;
}

/* n sum(xy) - sum(x) sum(y). */
static void dispersion (const comoments_t *self, unsigned x, unsigned y, unsigned xy,
                        exact_number_t *out)
{
    exact_number_t a, b, products, product;
    exact_number_of_sum (&a, &self->sum[x]);
    exact_number_of_sum (&b, &self->sum[y]);
    exact_number_of_sum (&products, &self->sum[xy]);
    exact_number_scale (&products, self->rows);
    exact_number_multiply (&product, &a, &b);
    exact_number_subtract (out, &products, &product);
}

static status_t final_covariance (const comoments_t *self, aggregate_t aggregate, value_t *value,
                                  error_t *error)
{
    exact_number_t together;
    dispersion (self, SUM_A, SUM_B, SUM_AB, &together);
    uint64_t others = aggregate == AGGREGATE_COVARIANCE ? self->rows - 1 : self->rows;
    double result;
    if (!exact_number_round_quotient (&together, (uint128_t)self->rows * others, &result))
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

/* Together / sqrt (of a * of b); null when either is 0. */
static status_t final_correlation (const comoments_t *self, aggregate_t aggregate, value_t *value,
                                   error_t *error)
{
    exact_number_t together, of_a, of_b, above, below;
    dispersion (self, SUM_A, SUM_A, SUM_AA, &of_a);
    dispersion (self, SUM_B, SUM_B, SUM_BB, &of_b);
    if (of_a.count == 0 || of_b.count == 0)
        return STATUS_OK;
    if (of_a.negative || of_b.negative)
        return final_no_rows (aggregate, error);
    dispersion (self, SUM_A, SUM_B, SUM_AB, &together);
    exact_number_multiply (&above, &together, &together);
    above.negative = together.negative;
    exact_number_multiply (&below, &of_a, &of_b);
    double result;
    if (!exact_number_round_ratio_root (&above, &below, &result))
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

/* Together / of the time, per day; null when all times are equal. */
static status_t final_slope (const comoments_t *self, aggregate_t aggregate, value_t *value,
                             error_t *error)
{
    exact_number_t together, of_time;
    dispersion (self, SUM_A, SUM_A, SUM_AA, &of_time);
    if (of_time.count == 0)
        return STATUS_OK;
    if (of_time.negative)
        return final_no_rows (aggregate, error);
    dispersion (self, SUM_A, SUM_B, SUM_AB, &together);
    exact_number_scale (&together, TIME_DAY);
    double result;
    if (!exact_number_round_ratio (&together, &of_time, 0, &result))
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

static status_t comoments_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                                 const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec, (void)context;
    const comoments_t *self = acc;
    if (self->rows < (aggregate == AGGREGATE_COVARIANCE_POP ? 1 : 2))
        return STATUS_OK;
    if (self->not_finite > 0) {
        final_float (value, (double)NAN);
        return STATUS_OK;
    }
    return aggregate == AGGREGATE_SLOPE         ? final_slope (self, aggregate, value, error)
           : aggregate == AGGREGATE_CORRELATION ? final_correlation (self, aggregate, value, error)
                                                : final_covariance (self, aggregate, value, error);
}

#define COMOMENTS_OPS                                                                              \
    {                                                                                              \
        .size = comoments_size, .partial_max = comoments_partial_max, .init = comoments_init,      \
        .release = comoments_release, .reset = comoments_reset, .add = comoments_add,              \
        .merge = comoments_merge, .merge_partial = comoments_merge_partial,                        \
        .encode = comoments_encode, .is_empty = comoments_is_empty, .final = comoments_final       \
    }
const state_ops_t state_ops_COMOMENTS = COMOMENTS_OPS;
const state_ops_t state_ops_TREND = COMOMENTS_OPS;
