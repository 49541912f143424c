#include "tests/oracle/found.h"

#include "tests/oracle/exact.h"

#include <math.h>
#include <string.h>

const value_t *found_value (const found_t *found, size_t i)
{
    return &found->events[i]->values[found->feature->field];
}

const value_t *found_second (const found_t *found, size_t i)
{
    return &found->events[i]->values[found->feature->second];
}

bool found_is_finite (const value_t *value)
{
    return value->type != TYPE_FLOAT64 || isfinite (value->f);
}

void found_set (mpq_t number, const value_t *value)
{
    if (value->type == TYPE_FLOAT64)
        mpq_set_d (number, value->f);
    else
        mpq_set_si (number, value->i, 1);
}

value_t found_float (double value)
{
    return (value_t){ .type = TYPE_FLOAT64, .f = value_float (value) };
}

status_t found_round (const mpq_t number, value_t *out)
{
    double value;
    if (!exact_round (mpq_numref (number), mpq_denref (number), &value))
        return STATUS_RANGE;
    *out = found_float (value);
    return STATUS_OK;
}

status_t found_round_root (const mpq_t number, value_t *out)
{
    double value;
    mpz_t size;
    mpz_init (size);
    mpz_abs (size, mpq_numref (number));
    bool fits = exact_round_root (size, mpq_denref (number), &value);
    mpz_clear (size);
    if (!fits)
        return STATUS_RANGE;
    *out = found_float (mpq_sgn (number) < 0 ? -value : value);
    return STATUS_OK;
}

static value_t truth (const found_t *found, bool any)
{
    size_t true_ones = 0;
    for (size_t i = 0; i < found->count; i++)
        true_ones += found_value (found, i)->i != 0;
    return (value_t){ .type = TYPE_BOOL, .i = any ? true_ones > 0 : true_ones == found->count };
}

static status_t int_range (const found_t *found, value_t *out)
{
    __int128 least = INT64_MAX, greatest = INT64_MIN;
    for (size_t i = 0; i < found->count; i++) {
        int64_t value = found_value (found, i)->i;
        least = value < least ? value : least;
        greatest = value > greatest ? value : greatest;
    }
    if (greatest - least > INT64_MAX)
        return STATUS_RANGE;
    *out = (value_t){ .type = TYPE_INT64, .i = (int64_t)(greatest - least) };
    return STATUS_OK;
}

static status_t decimal_range (const found_t *found, value_t *out)
{
    const value_t *least = found_value (found, 0), *greatest = least;
    for (size_t i = 0; i < found->count; i++) {
        const value_t *value = found_value (found, i);
        least = value->d < least->d ? value : least;
        greatest = value->d > greatest->d ? value : greatest;
    }
    unsigned __int128 distance = (unsigned __int128)greatest->d - (unsigned __int128)least->d;
    unsigned __int128 limit = 1;
    for (int digit = 0; digit < 38; digit++)
        limit *= 10;
    if (distance >= limit)
        return STATUS_RANGE;
    *out = (value_t){ .type = least->type, .d = (__int128)distance };
    return STATUS_OK;
}

static status_t float_range (const found_t *found, value_t *out)
{
    double least = INFINITY, greatest = -INFINITY;
    bool finite = true;
    for (size_t i = 0; i < found->count; i++) {
        double value = found_value (found, i)->f;
        if (isnan (value)) {
            *out = found_float (NAN);
            return STATUS_OK;
        }
        finite = finite && isfinite (value);
        least = value < least ? value : least;
        greatest = value > greatest ? value : greatest;
    }
    double distance = greatest - least;
    if (finite && isinf (distance))
        return STATUS_RANGE;
    *out = found_float (distance);
    return STATUS_OK;
}

status_t found_ends (const found_t *found, value_t *out)
{
    const char *word = found->feature->aggregate;
    bool any = strcmp (word, "any") == 0;
    bool range = strcmp (word, "range") == 0;
    if (!any && !range && strcmp (word, "all") != 0)
        return STATUS_INVALID;
    if (found->count == 0)
        return STATUS_OK;
    if (range && type_is_decimal (found_value (found, 0)->type))
        return decimal_range (found, out);
    if (range)
        return found_value (found, 0)->type == TYPE_INT64 ? int_range (found, out)
                                                          : float_range (found, out);
    *out = truth (found, any);
    return STATUS_OK;
}
