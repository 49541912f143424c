/* DECAY: for each half-life, by its index floor (time / half-life): the sum of the weights of its
 * rows, and the exact sum of weight * x. A row weighs 2^(part of its half-life that is over), in
 * [1, 2], as decay_weight.h gives it. Without an input there are weights only.
 *
 * Only the HALF_LIVES indexes up to the newest are kept; what that is depends on the rows alone.
 * Weights are in units of 2^-52.
 *
 * Partial: zigzag varint of the newest index; then for each index that has rows, the newest first:
 * varint of the indexes left out since the one before (with an input: 8 times that, plus 1 when
 * there is a NaN, 2 when +infinity, 4 when -infinity), the sum of weights as a zigzag varint, and
 * with an input the sum over the finite ones as in exact_sum.h. */
#include "aggregate/decay_weight.h"
#include "aggregate/number_term.h"
#include "aggregate/state_ops.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    HALF_LIVES = AGGREGATE_DECAY_MAX,
    SOME_NAN = 1,
    SOME_INFINITY = 2,
    SOME_MINUS_INFINITY = 4,
    SPECIALS = 8,
    BUCKETS_FIRST = 4,
};
/* Of fewer than 2^63 rows that weigh at most 2 each. */
#define WEIGHTS_MAX ((uint128_t)STATE_ROWS_MAX << (DECAY_WEIGHT_BITS + 1))

typedef struct bucket {
    int64_t index;
    unsigned specials;
    uint128_t weights;
    exact_sum_t sum;
} bucket_t;

typedef struct decay {
    bucket_t *bucket; /* owned: `count` of them, by ascending index; then spare ones */
    uint32_t count;
    uint32_t made; /* whose sum is initialised */
    uint32_t capacity;
} decay_t;

static bool takes_numbers (state_spec_t spec)
{
    return spec.input != TYPE_NONE;
}

static size_t decay_size (state_spec_t spec)
{
    return spec.param > 0 && (number_is_type (spec.input) || spec.input == TYPE_NONE)
               ? sizeof (decay_t)
               : 0;
}

static exact_range_t range_of (state_spec_t spec)
{
    exact_range_t range = number_range (spec.input, 1, TYPE_INT64, 0, true);
    return (exact_range_t){ range.lowest - DECAY_WEIGHT_BITS, range.highest + 1, true };
}

static size_t decay_partial_max (state_spec_t spec)
{
    size_t sum = takes_numbers (spec) ? number_encoded_max (range_of (spec)) : 0;
    return 10 + HALF_LIVES * (2 + 19 + sum); /* skipped and specials, weights, the sum */
}

static void decay_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(decay_t *)acc = (decay_t){ 0 };
}

static void decay_release (state_spec_t spec, void *acc)
{
    decay_t *self = acc;
    for (uint32_t i = 0; i < self->made; i++)
        exact_sum_release (&self->bucket[i].sum);
    mem_free (self->bucket);
    decay_init (spec, acc);
}

static void decay_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    ((decay_t *)acc)->count = 0;
}

/* A new bucket at that place. */
static void insert (decay_t *self, uint32_t at, int64_t index)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? BUCKETS_FIRST : 2 * self->capacity;
        self->bucket = mem_resize (self->bucket, self->capacity, sizeof *self->bucket);
    }
    if (self->count == self->made)
        exact_sum_init (&self->bucket[self->made++].sum);
    bucket_t spare = self->bucket[self->count];
    memmove (self->bucket + at + 1, self->bucket + at, (self->count - at) * sizeof *self->bucket);
    spare.index = index;
    spare.specials = 0;
    spare.weights = 0;
    exact_sum_reset (&spare.sum);
    self->bucket[at] = spare;
    self->count++;
}

/* Is `index` among those kept when `newest` is there too? */
static bool is_kept (int64_t index, int64_t newest)
{
    return index >= newest || (uint64_t)newest - (uint64_t)index < HALF_LIVES;
}

static void drop_oldest (decay_t *self)
{
    bucket_t oldest = self->bucket[0];
    self->count--;
    memmove (self->bucket, self->bucket + 1, self->count * sizeof *self->bucket);
    self->bucket[self->count] = oldest;
}

/* The bucket of that index; NULL when it is too old. */
static bucket_t *reach (decay_t *self, int64_t index)
{
    uint32_t at = self->count;
    while (at > 0 && self->bucket[at - 1].index > index)
        at--;
    if (at > 0 && self->bucket[at - 1].index == index)
        return &self->bucket[at - 1];
    if (self->count > 0 && !is_kept (index, self->bucket[self->count - 1].index))
        return NULL;
    while (at == self->count && self->count > 0 && !is_kept (self->bucket[0].index, index)) {
        drop_oldest (self);
        at--;
    }
    insert (self, at, index);
    return &self->bucket[at];
}

/* time = index * half_life + *part. */
static int64_t index_of (int64_t time, int64_t half_life, uint64_t *part)
{
    int64_t index = time / half_life, rest = time % half_life;
    if (rest < 0) {
        index--;
        rest += half_life;
    }
    *part = (uint64_t)rest;
    return index;
}

static unsigned special_of (const value_t *value)
{
    return number_is_finite (value) ? 0
           : isnan (value->f)       ? SOME_NAN
           : value->f > 0           ? SOME_INFINITY
                                    : SOME_MINUS_INFINITY;
}

static void decay_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    CHECK (place != NULL);
    uint64_t part;
    bucket_t *bucket = reach (acc, index_of (place->time, spec.param, &part));
    if (bucket == NULL)
        return;
    uint64_t weight = decay_weight (part, (uint64_t)spec.param);
    bucket->weights += weight;
    if (!takes_numbers (spec))
        return;
    unsigned special = special_of (value);
    bucket->specials |= special;
    if (special != 0)
        return;
    exact_term_t number = number_term (value);
    exact_term_t by = { .exponent = -DECAY_WEIGHT_BITS, .limb = { weight } };
    exact_term_t product = exact_term_product (&number, &by);
    exact_sum_add_term (&bucket->sum, &product);
}

static void decay_merge (state_spec_t spec, void *acc, const void *from)
{
    const decay_t *other = from;
    for (uint32_t i = other->count; i-- > 0;) {
        const bucket_t *source = &other->bucket[i];
        bucket_t *bucket = reach (acc, source->index);
        if (bucket == NULL)
            return; /* the rest is older */
        bucket->weights += source->weights;
        bucket->specials |= source->specials;
        if (takes_numbers (spec))
            exact_sum_merge (&bucket->sum, &source->sum);
    }
}

/* Reads a bucket and adds it; `scratch` takes what is too old. */
static bool merge_bucket (state_spec_t spec, decay_t *self, bucket_t *scratch, int64_t index,
                          unsigned specials, reader_t *reader)
{
    int128_t weights = partial_read_int128 (reader);
    if (reader->bad || weights < (int128_t)1 << DECAY_WEIGHT_BITS ||
        (uint128_t)weights > WEIGHTS_MAX)
        return false;
    bucket_t *bucket = reach (self, index);
    if (bucket == NULL)
        bucket = scratch;
    bucket->weights += (uint128_t)weights;
    bucket->specials |= specials;
    return (bucket->weights <= WEIGHTS_MAX || bucket == scratch) &&
           (!takes_numbers (spec) ||
            exact_sum_merge_encoded (&bucket->sum, reader, range_of (spec)));
}

static bool decay_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    int64_t newest = partial_read_zigzag (&reader);
    uint64_t back = 0; /* from the newest */
    bucket_t scratch = { 0 };
    exact_sum_init (&scratch.sum);
    bool good = !reader.bad && reader_left (&reader) > 0;
    for (bool first = true; good && reader_left (&reader) > 0; first = false) {
        uint64_t header = partial_read_varint (&reader);
        unsigned specials = takes_numbers (spec) ? (unsigned)(header % SPECIALS) : 0;
        uint64_t skipped = takes_numbers (spec) ? header / SPECIALS : header;
        good = !reader.bad && skipped < HALF_LIVES && !(first && skipped > 0) &&
               (specials == 0 || spec.input == TYPE_FLOAT64);
        back += first ? 0 : skipped + 1;
        good = good && back < HALF_LIVES && back <= (uint64_t)newest - (uint64_t)INT64_MIN &&
               merge_bucket (spec, acc, &scratch, (int64_t)((uint64_t)newest - back), specials,
                             &reader);
    }
    exact_sum_release (&scratch.sum);
    return good;
}

static void decay_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    const decay_t *self = acc;
    for (uint32_t i = self->count; i-- > 0;) {
        const bucket_t *bucket = &self->bucket[i];
        uint64_t skipped = 0;
        if (i + 1 == self->count)
            buf_put_zigzag (out, bucket->index);
        else
            skipped = (uint64_t)bucket[1].index - (uint64_t)bucket->index - 1;
        buf_put_varint (out,
                        takes_numbers (spec) ? SPECIALS * skipped + bucket->specials : skipped);
        partial_put_int128 (out, (int128_t)bucket->weights);
        if (takes_numbers (spec))
            exact_sum_encode (&bucket->sum, out);
    }
}

static bool decay_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const decay_t *)acc)->count == 0;
}

static size_t decay_memory (state_spec_t spec, const void *acc)
{
    (void)spec;
    const decay_t *self = acc;
    return self->capacity * sizeof *self->bucket;
}

/* The sums of all half-lives, each times 2^(its index - the newest). */
static void add_up (const decay_t *self, bool of_weights, exact_number_t *out)
{
    int64_t newest = self->bucket[self->count - 1].index;
    exact_sum_t total, weights;
    exact_sum_init (&total);
    exact_sum_init (&weights);
    for (uint32_t i = 0; i < self->count; i++) {
        const bucket_t *bucket = &self->bucket[i];
        int shift = (int)(bucket->index - newest);
        if (of_weights) {
            exact_sum_reset (&weights);
            exact_sum_add_int128 (&weights, (int128_t)bucket->weights);
            exact_sum_merge_shifted (&total, &weights, shift - DECAY_WEIGHT_BITS);
        } else {
            exact_sum_merge_shifted (&total, &bucket->sum, shift);
        }
    }
    exact_number_of_sum (out, &total);
    exact_sum_release (&total);
    exact_sum_release (&weights);
}

/* Total / 2^((as_of - start of the newest half-life) / half-life). */
static bool decayed (state_spec_t spec, const decay_t *self, const exact_number_t *total,
                     int64_t as_of, double *result)
{
    uint64_t part;
    int64_t index = index_of (as_of, spec.param, &part);
    uint64_t weight = decay_weight (part, (uint64_t)spec.param);
    exact_number_t by;
    exact_number_of_limbs (&by, &weight, 1);
    int128_t exponent = (int128_t)self->bucket[self->count - 1].index - index + DECAY_WEIGHT_BITS;
    int64_t bounded = exponent < INT64_MIN   ? INT64_MIN
                      : exponent > INT64_MAX ? INT64_MAX
                                             : (int64_t)exponent;
    return exact_number_round_ratio (total, &by, bounded, result);
}

static double not_finite_sum (unsigned specials)
{
    if ((specials & SOME_NAN) != 0 || specials == (SOME_INFINITY | SOME_MINUS_INFINITY))
        return (double)NAN;
    return specials == SOME_INFINITY ? (double)INFINITY : -(double)INFINITY;
}

static status_t decay_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                             const final_context_t *context, value_t *value, error_t *error)
{
    const decay_t *self = acc;
    if (self->count == 0) {
        if (aggregate == AGGREGATE_DECAYED_COUNT)
            final_float (value, 0.0);
        return STATUS_OK;
    }
    unsigned specials = 0;
    for (uint32_t i = 0; i < self->count; i++)
        specials |= self->bucket[i].specials;
    if (specials != 0) {
        final_float (value, not_finite_sum (specials));
        return STATUS_OK;
    }
    exact_number_t total, weights;
    double result;
    bool fits;
    add_up (self, aggregate == AGGREGATE_DECAYED_COUNT, &total);
    if (aggregate == AGGREGATE_DECAYED_MEAN) {
        add_up (self, true, &weights);
        fits = exact_number_round_ratio (&total, &weights, 0, &result);
    } else {
        fits = decayed (spec, self, &total, context->as_of, &result);
    }
    if (!fits)
        return final_float_range (aggregate, error);
    final_float (value, result);
    return STATUS_OK;
}

const state_ops_t state_ops_DECAY = {
    .size = decay_size,
    .partial_max = decay_partial_max,
    .init = decay_init,
    .release = decay_release,
    .reset = decay_reset,
    .add = decay_add,
    .merge = decay_merge,
    .merge_partial = decay_merge_partial,
    .encode = decay_encode,
    .is_empty = decay_is_empty,
    .memory = decay_memory,
    .final = decay_final,
};
