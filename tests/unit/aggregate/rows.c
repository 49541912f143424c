#include "rows.h"

#include "base/decimal.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include <criterion/criterion.h>
#include <math.h>

static double float_of (uint64_t bits)
{
    double value;
    memcpy (&value, &bits, sizeof value);
    return value;
}

static double random_finite (random_t *random)
{
    for (;;) {
        double value = float_of (random_next (random));
        if (isfinite (value))
            return value;
    }
}

static double random_float (random_t *random, profile_t profile, size_t row)
{
    static const double specials[] = { NAN, INFINITY, -INFINITY };
    uint64_t sign = random_next (random) << 63;
    switch (profile) {
    case PROFILE_SMALL:
        return (double)(int64_t)random_below (random, 21) - 10;
    case PROFILE_ORDINARY:
        return (double)(int64_t)random_below (random, 2000000) / 100.0 - 7000;
    case PROFILE_TINY:
        return float_of (sign | random_next (random) >> (random_below (random, 50) + 10));
    case PROFILE_HUGE:
        return float_of (sign | (uint64_t)(2046 - random_below (random, 3)) << 52 |
                         random_next (random) >> 12);
    case PROFILE_CANCELLATION: {
        double large = ldexp (1.0 + (double)(row / 2), 1000 - 40 * (int)(row / 2 % 50));
        return row % 2 == 0 ? large : random_chance (random, 0.9) ? -large : random_unit (random);
    }
    case PROFILE_NOT_FINITE:
        return random_chance (random, 0.1) ? specials[random_below (random, 3)]
                                           : random_finite (random);
    case PROFILE_ANY:
    default:
        return random_finite (random);
    }
}

static int64_t random_int (random_t *random, profile_t profile)
{
    switch (profile) {
    case PROFILE_SMALL:
        return (int64_t)random_below (random, 21) - 10;
    case PROFILE_ORDINARY:
        return (int64_t)random_below (random, 2000000) - 700000;
    case PROFILE_TINY:
        return (int64_t)random_below (random, 3) - 1;
    case PROFILE_HUGE:
        return random_chance (random, 0.5) ? INT64_MAX - (int64_t)random_below (random, 2)
                                           : INT64_MIN + (int64_t)random_below (random, 2);
    case PROFILE_CANCELLATION:
        return random_chance (random, 0.5) ? INT64_MAX : -INT64_MAX;
    default:
        return (int64_t)random_next (random) >> random_below (random, 64);
    }
}

static text_t random_text (random_t *random, arena_t *arena, profile_t profile)
{
    uint64_t most = profile == PROFILE_HUGE ? STRING_VALUE_MAX : profile == PROFILE_TINY ? 1 : 12;
    size_t size = (size_t)random_below (random, most + 1);
    char *data = arena_alloc (arena, size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = profile == PROFILE_ANY ? (char)random_next (random)
                                         : (char)('a' + (int)random_below (random, 3));
    return (text_t){ data, (uint32_t)size };
}

/* Up to 38 digits. */
static int128_t random_unscaled (random_t *random, profile_t profile)
{
    int128_t most = decimal_power (DECIMAL_DIGITS_MAX) - 1;
    switch (profile) {
    case PROFILE_HUGE:
        return random_chance (random, 0.5) ? most - (int128_t)random_below (random, 2)
                                           : -most + (int128_t)random_below (random, 2);
    case PROFILE_CANCELLATION:
        return random_chance (random, 0.5) ? most : -most;
    case PROFILE_ANY:
    case PROFILE_NOT_FINITE: {
        int128_t value = (int128_t)((uint128_t)random_next (random) << 64 | random_next (random));
        return value % decimal_power ((unsigned)random_below (random, DECIMAL_DIGITS_MAX + 1));
    }
    default:
        return random_int (random, profile);
    }
}

static value_t random_value (random_t *random, arena_t *arena, type_t type, profile_t profile,
                             size_t row)
{
    value_t value = { .type = type };
    if (type == TYPE_STRING)
        value.s = random_text (random, arena, profile);
    else if (type == TYPE_FLOAT64)
        value.f = value_float (random_float (random, profile, row));
    else if (type_is_decimal (type))
        value.d = random_unscaled (random, profile);
    else if (type == TYPE_BOOL)
        value.i = (int64_t)random_below (random, 2);
    else
        value.i = random_int (random, profile);
    return value;
}

static int64_t random_time (random_t *random, profile_t profile, size_t row)
{
    static const int64_t start = INT64_C (1700000000) * TIME_SECOND;
    switch (profile) {
    case PROFILE_ORDINARY:
        return start + (int64_t)random_below (random, 30 * TIME_DAY);
    case PROFILE_ANY:
        return (int64_t)random_next (random) >> random_below (random, 64);
    case PROFILE_HUGE:
        return random_chance (random, 0.5) ? INT64_MAX - (int64_t)random_below (random, 2)
                                           : INT64_MIN + (int64_t)random_below (random, 2);
    case PROFILE_CANCELLATION:
        return start + (int64_t)(row % 1000) * TIME_HOUR;
    case PROFILE_NOT_FINITE:
        return start + (int64_t)random_below (random, 300 * TIME_DAY);
    default:
        return (int64_t)random_below (random, 4);
    }
}

row_t *rows_random (random_t *random, arena_t *arena, state_spec_t spec, profile_t profile,
                    size_t count)
{
    row_t *rows = arena_zero (arena, count + 1, sizeof *rows);
    bool constant = profile == PROFILE_CONSTANT;
    /* of two inputs, one may be constant and the other not */
    bool second_constant = constant && random_chance (random, 0.5);
    for (size_t i = 0; i < count; i++) {
        rows[i].value = i > 0 && constant ? rows[0].value
                                          : random_value (random, arena, spec.input, profile, i);
        rows[i].second = i > 0 && second_constant
                             ? rows[0].second
                             : random_value (random, arena, spec.second, profile, i);
        rows[i].place = (row_place_t){ .time = random_time (random, profile, i),
                                       .offset = random_below (random, 3),
                                       .row = (uint32_t)i };
    }
    rows_shuffle (random, rows, count);
    return rows;
}

void rows_shuffle (random_t *random, row_t *rows, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)random_below (random, i);
        row_t row = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = row;
    }
}

void *accumulator_new (state_spec_t spec)
{
    void *acc = mem_alloc (state_size (spec));
    state_init (spec, acc);
    return acc;
}

void accumulator_destroy (state_spec_t spec, void **acc_p)
{
    state_release (spec, *acc_p);
    mem_free (*acc_p);
    *acc_p = NULL;
}

void accumulator_add (state_spec_t spec, void *acc, const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        value_t inputs[] = { rows[i].value, rows[i].second };
        state_add (spec, acc, spec.input == TYPE_NONE ? NULL : inputs, &rows[i].place);
    }
}

text_t accumulator_partial (state_spec_t spec, const void *acc, buf_t *out)
{
    buf_clear (out);
    state_encode (spec, acc, out);
    cr_assert (!out->bad);
    return (text_t){ (const char *)out->data, (uint32_t)out->size };
}

bool spec_is_of (state_spec_t spec, aggregate_t aggregate)
{
    return aggregate_info (aggregate)->state == spec.kind &&
           aggregate_takes (aggregate, spec.input, spec.second);
}

static bool takes (state_spec_t spec, parameter_kind_t *parameter)
{
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
        *parameter = aggregate_info ((aggregate_t)i)->parameter;
        if (spec_is_of (spec, (aggregate_t)i))
            return true;
    }
    return false;
}

enum { SPECS_MAX = 1000, TYPES = 16 };
static state_spec_t specs[SPECS_MAX];
static size_t specs_count;

static void specs_add (state_spec_t spec)
{
    static const int64_t counts[] = { 1, 3, 20 }, durations[] = { 1, 3, TIME_DAY, INT64_MAX };
    parameter_kind_t parameter;
    if (!takes (spec, &parameter))
        return;
    size_t some = parameter == PARAMETER_STATE_K          ? 3
                  : parameter == PARAMETER_STATE_DURATION ? 4
                                                          : 1;
    for (size_t i = 0; i < some; i++) {
        cr_assert_lt (specs_count, SPECS_MAX);
        error_t error;
        specs[specs_count] = spec;
        specs[specs_count].param = parameter == PARAMETER_STATE_K          ? counts[i]
                                   : parameter == PARAMETER_STATE_DURATION ? durations[i]
                                                                           : 0;
        specs_count += state_spec_check (specs[specs_count], &error) == STATUS_OK;
    }
}

/* Each type once: those of the table, for decimals three, and nothing more. */
static type_t type_of (unsigned number)
{
    switch (number) {
    case TYPE_DECIMAL:
        return type_decimal (2);
    case TYPES - 2:
        return type_decimal (0);
    case TYPES - 1:
        return type_decimal (DECIMAL_DIGITS_MAX);
    default:
        return (type_t)number;
    }
}

static void specs_make (void)
{
    static const state_kind_t kinds[] = {
#define X(name, number, large) STATE_##name,
        STATE_TABLE (X)
#undef X
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (unsigned input = 0; input < TYPES; input++)
            for (unsigned second = 0; second < TYPES; second++)
                specs_add ((state_spec_t){
                    .kind = kinds[k], .input = type_of (input), .second = type_of (second) });
}

bool spec_next (state_spec_t *spec)
{
    if (specs_count == 0)
        specs_make ();
    size_t next = 0;
    for (size_t i = 0; i < specs_count; i++)
        if (state_spec_equal (specs[i], *spec))
            next = i + 1;
    if (next == specs_count)
        return false;
    *spec = specs[next];
    return true;
}

value_t spec_parameter (aggregate_t aggregate, const value_t *fraction)
{
    if (aggregate_info (aggregate)->parameter == PARAMETER_FRACTION)
        return *fraction;
    return (value_t){ .type = TYPE_INT64, .i = 3 };
}
