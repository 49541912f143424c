#include "tests/oracle/oracle.h"

#include "tests/oracle/distinct.h"
#include "tests/oracle/exact.h"
#include "tests/oracle/found.h"
#include "tests/oracle/parts.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- order ---- */

/* false < true, numbers by value with NaN above all, strings by bytes. */
static int compare_values (const value_t *a, const value_t *b)
{
    if (a->type == TYPE_STRING) {
        uint32_t common = a->s.size < b->s.size ? a->s.size : b->s.size;
        int order = common == 0 ? 0 : memcmp (a->s.data, b->s.data, common);
        return order != 0 ? order : (a->s.size > b->s.size) - (a->s.size < b->s.size);
    }
    if (a->type == TYPE_FLOAT64) {
        if (isnan (a->f) || isnan (b->f))
            return isnan (a->f) - isnan (b->f);
        return (a->f > b->f) - (a->f < b->f);
    }
    if (type_is_decimal (a->type))
        return (a->d > b->d) - (a->d < b->d);
    return (a->i > b->i) - (a->i < b->i);
}

/* Where an event stands: (time, offset, row). */
static int compare_places (const oracle_event_t *a, const oracle_event_t *b)
{
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static int compare_keys (text_t a, text_t b)
{
    uint32_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp (a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_events (const void *left, const void *right)
{
    const oracle_event_t *a = left;
    const oracle_event_t *b = right;
    int order = compare_keys (a->key, b->key);
    return order != 0 ? order : compare_places (a, b);
}

void oracle_sort (oracle_event_t *events, size_t count)
{
    if (count > 0)
        qsort (events, count, sizeof *events, compare_events);
}

/* How many of the events of one key, sorted, are at or before `time`. */
static size_t time_place (const oracle_event_t *events, size_t count, int64_t time)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (events[middle].time <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const oracle_event_t *oracle_of_window (const oracle_event_t *events, size_t count, int64_t window,
                                        int64_t as_of, size_t *found)
{
    size_t first = window == ORACLE_LIFETIME ? 0 : time_place (events, count, as_of - window);
    *found = time_place (events, count, as_of) - first;
    return events + first;
}

/* The first event whose key is at or (`after`) above `key`. */
static size_t key_place (const oracle_event_t *events, size_t count, text_t key, bool after)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_keys (events[middle].key, key);
        if (order < 0 || (order == 0 && after))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const oracle_event_t *oracle_of_key (const oracle_event_t *events, size_t count, text_t key,
                                     size_t *found)
{
    size_t first = key_place (events, count, key, false);
    *found = key_place (events, count, key, true) - first;
    return events + first;
}

/* ---- which events ---- */

static bool filter_holds (const oracle_filter_t *filter, const oracle_event_t *event)
{
    const value_t *value = &event->values[filter->field];
    if (filter->op == ORACLE_NULL)
        return value->null;
    if (filter->op == ORACLE_NOT_NULL)
        return !value->null;
    if (value->null)
        return filter->op == ORACLE_DISTINCT;
    int order = compare_values (value, &filter->literal);
    switch (filter->op) {
    case ORACLE_EQ:
        return order == 0;
    case ORACLE_LT:
        return order < 0;
    case ORACLE_LE:
        return order <= 0;
    case ORACLE_GT:
        return order > 0;
    case ORACLE_GE:
        return order >= 0;
    default:
        return order != 0;
    }
}

static bool takes_two (const char *word)
{
    return strcmp (word, "covariance") == 0 || strcmp (word, "covariance_pop") == 0 ||
           strcmp (word, "correlation") == 0;
}

/* In the window, through the filters, and with an input that is not null? */
static bool counts (const oracle_feature_t *feature, const oracle_event_t *event, int64_t as_of)
{
    if (event->time > as_of)
        return false;
    if (feature->window != ORACLE_LIFETIME && event->time <= as_of - feature->window)
        return false;
    for (size_t i = 0; i < feature->filters_count; i++)
        if (!filter_holds (&feature->filters[i], event))
            return false;
    if (takes_two (feature->aggregate) && event->values[feature->second].null)
        return false;
    return feature->field < 0 || !event->values[feature->field].null;
}

bool oracle_counts (const oracle_feature_t *feature, const oracle_event_t *event, int64_t as_of)
{
    return counts (feature, event, as_of);
}

int oracle_compare_values (const value_t *a, const value_t *b)
{
    return compare_values (a, b);
}

static int compare_nullable (const value_t *a, const value_t *b)
{
    return a->null || b->null ? (int)b->null - (int)a->null : compare_values (a, b);
}

int oracle_compare_rows (const oracle_feature_t *feature, const oracle_event_t *a,
                         const oracle_event_t *b)
{
    const int32_t fields[] = { (int32_t)feature->by - 1, feature->field, feature->second };
    size_t count = strncmp (feature->aggregate, "co", 2) == 0 ? 3 : 2; /* covariance, correlation */
    if (strncmp (feature->aggregate, "count", 5) == 0)
        count = 2;
    int order = compare_places (a, b);
    for (size_t i = 0; i < count && order == 0; i++)
        if (fields[i] >= 0)
            order = compare_nullable (&a->values[fields[i]], &b->values[fields[i]]);
    return order;
}

int oracle_compare_places (const oracle_event_t *a, const oracle_event_t *b)
{
    return compare_places (a, b);
}

/* ---- sums ---- */

typedef struct tally {
    exact_t exact; /* of the finite */
    mpz_t sum;     /* of decimals: in units of the last digit … */
    mpz_t squares; /* … and in those of its square */
    uint64_t nans;
    uint64_t infinities;
    uint64_t minus_infinities;
    uint64_t rows; /* all of them */
    type_t type;
} tally_t;

static void set_unscaled (mpz_t out, __int128 value)
{
    unsigned __int128 magnitude =
        value < 0 ? 0 - (unsigned __int128)value : (unsigned __int128)value;
    mpz_import (out, 1, -1, sizeof magnitude, 0, 0, &magnitude);
    if (value < 0)
        mpz_neg (out, out);
}

static void add_decimal (tally_t *self, __int128 unscaled)
{
    mpz_t value;
    mpz_init (value);
    set_unscaled (value, unscaled);
    mpz_add (self->sum, self->sum, value);
    mpz_addmul (self->squares, value, value);
    mpz_clear (value);
}

static void tally_add (tally_t *self, const value_t *value)
{
    self->type = value->type;
    self->rows++;
    if (type_is_decimal (value->type))
        add_decimal (self, value->d);
    else if (value->type != TYPE_FLOAT64)
        exact_add_int (&self->exact, value->i);
    else if (isnan (value->f))
        self->nans++;
    else if (isinf (value->f) && value->f > 0)
        self->infinities++;
    else if (isinf (value->f))
        self->minus_infinities++;
    else
        exact_add_float (&self->exact, value->f);
}

static value_t float_of (double value)
{
    return (value_t){ .type = TYPE_FLOAT64, .f = value };
}

static bool all_finite (const tally_t *tally)
{
    return tally->nans == 0 && tally->infinities == 0 && tally->minus_infinities == 0;
}

static value_t not_finite_sum (const tally_t *tally)
{
    if (tally->nans > 0 || (tally->infinities > 0 && tally->minus_infinities > 0))
        return float_of (value_float (NAN));
    return float_of (tally->infinities > 0 ? INFINITY : -INFINITY);
}

static status_t int_sum (const tally_t *tally, value_t *out)
{
    mpz_t sum;
    mpz_init (sum);
    exact_sum (&tally->exact, sum);
    mpz_fdiv_q_2exp (sum, sum, EXACT_SUM_SCALE); /* integers: nothing is cut off */
    bool fits = mpz_fits_slong_p (sum);
    if (fits)
        *out = (value_t){ .type = TYPE_INT64, .i = mpz_get_si (sum) };
    mpz_clear (sum);
    return fits ? STATUS_OK : STATUS_RANGE;
}

static status_t decimal_sum (const tally_t *tally, value_t *out)
{
    mpz_t limit;
    mpz_init (limit);
    mpz_ui_pow_ui (limit, 10, 38);
    bool fits = mpz_cmpabs (tally->sum, limit) < 0;
    mpz_clear (limit);
    if (!fits)
        return STATUS_RANGE;
    unsigned __int128 magnitude = 0;
    mpz_export (&magnitude, NULL, -1, sizeof magnitude, 0, 0, tally->sum);
    *out = (value_t){ .type = tally->type };
    out->d = mpz_sgn (tally->sum) < 0 ? -(__int128)magnitude : (__int128)magnitude;
    return STATUS_OK;
}

/* Times the unit of the last digit's inverse, 10^scale, to a power. */
static void multiply_by_unit (const tally_t *tally, unsigned power, mpz_t divisor)
{
    mpz_t unit;
    mpz_init (unit);
    mpz_ui_pow_ui (unit, 10, power * type_scale (tally->type));
    mpz_mul (divisor, divisor, unit);
    mpz_clear (unit);
}

static status_t sum_or_mean (const tally_t *tally, bool mean, value_t *out)
{
    if (!all_finite (tally)) {
        *out = not_finite_sum (tally);
        return STATUS_OK;
    }
    if (!mean && tally->type == TYPE_INT64)
        return int_sum (tally, out);
    bool decimals = type_is_decimal (tally->type);
    if (!mean && decimals)
        return decimal_sum (tally, out);
    mpz_t sum, divisor;
    mpz_inits (sum, divisor, NULL);
    mpz_set_ui (divisor, mean ? tally->rows : 1);
    if (decimals) {
        mpz_set (sum, tally->sum);
        multiply_by_unit (tally, 1, divisor);
    } else {
        exact_sum (&tally->exact, sum);
        mpz_mul_2exp (divisor, divisor, EXACT_SUM_SCALE);
    }
    double value;
    bool fits = exact_round (sum, divisor, &value);
    mpz_clears (sum, divisor, NULL);
    if (fits)
        *out = float_of (value);
    return fits ? STATUS_OK : STATUS_RANGE;
}

/* (n S2 - S1^2) / (n (n - 1)), or / n^2 of a population. */
static status_t spread (const tally_t *tally, bool population, bool root, value_t *out)
{
    if (!all_finite (tally)) {
        *out = float_of (value_float (NAN));
        return STATUS_OK;
    }
    mpz_t sum, squares, divisor;
    mpz_inits (sum, squares, divisor, NULL);
    uint64_t n = tally->rows;
    bool decimals = type_is_decimal (tally->type);
    if (decimals) {
        mpz_set (sum, tally->sum);
        mpz_set (squares, tally->squares);
    } else {
        exact_sum (&tally->exact, sum);
        exact_squares (&tally->exact, squares);
    }
    mpz_mul (sum, sum, sum);
    mpz_mul_ui (squares, squares, n);
    mpz_sub (squares, squares, sum);
    mpz_set_ui (divisor, n);
    mpz_mul_ui (divisor, divisor, population ? n : n - 1);
    if (decimals)
        multiply_by_unit (tally, 2, divisor);
    else
        mpz_mul_2exp (divisor, divisor, EXACT_SQUARES_SCALE);
    double value;
    bool fits =
        root ? exact_round_root (squares, divisor, &value) : exact_round (squares, divisor, &value);
    mpz_clears (sum, squares, divisor, NULL);
    if (fits)
        *out = float_of (value);
    return fits ? STATUS_OK : STATUS_RANGE;
}

/* ---- the aggregates ---- */

typedef struct matching {
    const oracle_feature_t *feature;
    const oracle_event_t *events;
    size_t count;
    int64_t as_of;
} matching_t;

static uint64_t count_of (const matching_t *matching)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < matching->count; i++)
        rows += counts (matching->feature, &matching->events[i], matching->as_of);
    return rows;
}

static status_t number_of (const matching_t *matching, value_t *out)
{
    const char *word = matching->feature->aggregate;
    bool deviation = strcmp (word, "stddev") == 0;
    bool deviation_pop = strcmp (word, "stddev_pop") == 0;
    bool sample = deviation || strcmp (word, "variance") == 0;
    tally_t *tally = mem_zero (1, sizeof *tally);
    mpz_inits (tally->sum, tally->squares, NULL);
    for (size_t i = 0; i < matching->count; i++)
        if (counts (matching->feature, &matching->events[i], matching->as_of))
            tally_add (tally, &matching->events[i].values[matching->feature->field]);
    bool of_sum = strcmp (word, "sum") == 0;
    bool mean = strcmp (word, "mean") == 0;
    status_t status = STATUS_OK; /* and null, of too few rows */
    if (tally->rows >= (sample ? 2 : 1))
        status = of_sum || mean ? sum_or_mean (tally, mean, out)
                                : spread (tally, !sample, deviation || deviation_pop, out);
    mpz_clears (tally->sum, tally->squares, NULL);
    mem_free (tally);
    return status;
}

static value_t chosen_of (const matching_t *matching)
{
    const char *word = matching->feature->aggregate;
    const oracle_event_t *best = NULL;
    for (size_t i = 0; i < matching->count; i++) {
        const oracle_event_t *event = &matching->events[i];
        if (!counts (matching->feature, event, matching->as_of))
            continue;
        int32_t field = matching->feature->field;
        bool better = best == NULL;
        if (best != NULL && strcmp (word, "min") == 0)
            better = compare_values (&event->values[field], &best->values[field]) < 0;
        else if (best != NULL && strcmp (word, "max") == 0)
            better = compare_values (&event->values[field], &best->values[field]) > 0;
        else if (best != NULL && strcmp (word, "first") == 0)
            better = oracle_compare_rows (matching->feature, event, best) < 0;
        else if (best != NULL)
            better = oracle_compare_rows (matching->feature, event, best) > 0;
        best = better ? event : best;
    }
    return best == NULL ? (value_t){ .null = true } : best->values[matching->feature->field];
}

static value_t distinct_of (const matching_t *matching)
{
    distinct_registers_t *registers = mem_zero (1, sizeof *registers);
    for (size_t i = 0; i < matching->count; i++)
        if (counts (matching->feature, &matching->events[i], matching->as_of))
            distinct_add (registers, &matching->events[i].values[matching->feature->field]);
    value_t value = { .type = TYPE_INT64, .i = distinct_estimate (registers) };
    mem_free (registers);
    return value;
}

static bool is_one_of (const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp (word, *words) == 0)
            return true;
    return false;
}

/* What is made of a list of the events that count. */
static status_t value_of_found (const matching_t *matching, value_t *out)
{
    static status_t (*const parts[]) (const found_t *found,
                                      value_t *out) = { found_ends, found_powers, found_times,
                                                        found_decay, found_quantile };
    found_t found = { .feature = matching->feature, .as_of = matching->as_of };
    found.events = mem_zero (matching->count + 1, sizeof *found.events);
    for (size_t i = 0; i < matching->count; i++)
        if (counts (matching->feature, &matching->events[i], matching->as_of))
            found.events[found.count++] = &matching->events[i];
    status_t status = STATUS_INVALID;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == STATUS_INVALID; i++)
        status = parts[i](&found, out);
    mem_free (found.events);
    return status;
}

static status_t other_of (const matching_t *matching, value_t *out)
{
    status_t status = value_of_found (matching, out);
    return status != STATUS_INVALID ? status
                                    : oracle_collection (matching->feature, matching->events,
                                                         matching->count, matching->as_of, out);
}

status_t oracle_value (const oracle_feature_t *feature, const oracle_event_t *events, size_t count,
                       int64_t as_of, value_t *out)
{
    static const char *const numbers[] = { "sum",    "mean",       "variance", "variance_pop",
                                           "stddev", "stddev_pop", NULL };
    static const char *const choices[] = { "min", "max", "first", "last", NULL };
    matching_t matching = { feature, events, count, as_of };
    *out = (value_t){ .null = true };
    if (feature->delay > 0) {
        oracle_feature_t earlier = *feature;
        earlier.delay = 0;
        return oracle_value (&earlier, events, count, as_of - feature->delay, out);
    }
    if (feature->rows > 0 || feature->by > 0)
        return oracle_grouped (feature, events, count, as_of, out);
    if (strcmp (feature->aggregate, "count") == 0)
        *out = (value_t){ .type = TYPE_INT64, .i = (int64_t)count_of (&matching) };
    else if (strcmp (feature->aggregate, "approx_count_distinct") == 0)
        *out = distinct_of (&matching);
    else if (is_one_of (feature->aggregate, numbers))
        return number_of (&matching, out);
    else if (is_one_of (feature->aggregate, choices))
        *out = chosen_of (&matching);
    else
        return other_of (&matching, out);
    return STATUS_OK;
}

static bool agree_all (const value_t *a, size_t a_count, const value_t *b, size_t b_count)
{
    bool agree = a_count == b_count;
    for (size_t i = 0; agree && i < a_count; i++)
        agree = oracle_agree (&a[i], &b[i]);
    return agree;
}

bool oracle_agree (const value_t *a, const value_t *b)
{
    if (a->null || b->null)
        return a->null && b->null;
    if (a->type != b->type)
        return false;
    if (a->type == TYPE_FLOAT64)
        return memcmp (&a->f, &b->f, sizeof a->f) == 0;
    if (a->type == TYPE_LIST)
        return agree_all (a->list->items, a->list->count, b->list->items, b->list->count);
    if (a->type == TYPE_MAP)
        return a->map->capped == b->map->capped && a->map->total == b->map->total &&
               agree_all (a->map->keys, a->map->count, b->map->keys, b->map->count) &&
               agree_all (a->map->values, a->map->count, b->map->values, b->map->count);
    return compare_values (a, b) == 0;
}
