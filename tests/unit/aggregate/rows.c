#include "rows.h"

#include "base/mem.h"

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

static value_t random_value (random_t *random, arena_t *arena, type_t type, profile_t profile,
                             size_t row)
{
    value_t value = { .type = type };
    if (type == TYPE_STRING)
        value.s = random_text (random, arena, profile);
    else if (type == TYPE_FLOAT64)
        value.f = value_float (random_float (random, profile, row));
    else if (type == TYPE_BOOL)
        value.i = (int64_t)random_below (random, 2);
    else
        value.i = random_int (random, profile);
    return value;
}

row_t *rows_random (random_t *random, arena_t *arena, type_t type, profile_t profile, size_t count)
{
    row_t *rows = arena_zero (arena, count + 1, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        rows[i].value = i > 0 && profile == PROFILE_CONSTANT
                            ? rows[0].value
                            : random_value (random, arena, type, profile, i);
        rows[i].place = (row_place_t){ .time = (int64_t)random_below (random, 4),
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
    for (size_t i = 0; i < count; i++)
        state_add (spec, acc, spec.input == TYPE_NONE ? NULL : &rows[i].value, &rows[i].place);
}

text_t accumulator_partial (state_spec_t spec, const void *acc, buf_t *out)
{
    buf_clear (out);
    state_encode (spec, acc, out);
    cr_assert (!out->bad);
    return (text_t){ (const char *)out->data, (uint32_t)out->size };
}

static bool takes (state_kind_t kind, type_t input)
{
    if (kind == STATE_COUNT && input == TYPE_NONE)
        return true;
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
        const aggregate_info_t *info = aggregate_info ((aggregate_t)i);
        if (info->state == kind && input != TYPE_NONE)
            return (info->inputs >> input & 1u) != 0;
    }
    return false;
}

bool spec_next (state_spec_t *spec)
{
    do {
        if (spec->kind == STATE_NONE || spec->input == TYPE_DURATION)
            *spec = (state_spec_t){ .kind = (state_kind_t)(spec->kind + 1) };
        else
            spec->input = (type_t)(spec->input + 1);
        if (spec->kind > STATE_DISTINCT_HLL)
            return false;
    } while (!takes (spec->kind, spec->input));
    return true;
}
