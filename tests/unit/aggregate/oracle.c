/* Every aggregate is what the oracle says, which shares no code with it. */
#include "rows.h"

#include "base/mem.h"
#include "base/timestamp.h"
#include "tests/oracle/oracle.h"

#include <criterion/criterion.h>

enum { ROUNDS = 10, ROWS_MAX = 60 };

static const double fractions[] = { 0.0, 0.1, 0.5, 0.95, 1.0 };

static void check (state_spec_t spec, aggregate_t aggregate, const void *acc,
                   const oracle_event_t *events, size_t count, uint64_t seed, const char *what,
                   arena_t *arena)
{
    const aggregate_info_t *info = aggregate_info (aggregate);
    int64_t as_of = INT64_MIN;
    for (size_t i = 0; i < count; i++)
        as_of = events[i].time > as_of ? events[i].time : as_of;
    as_of += as_of < INT64_MAX / 2 ? (int64_t)(seed * TIME_HOUR) : 0;
    value_t parameter = { .type = TYPE_NONE };
    if (info->parameter == PARAMETER_FRACTION)
        parameter = (value_t){ .type = TYPE_FLOAT64, .f = fractions[seed % 5] };
    else if (info->parameter == PARAMETER_FINAL_K)
        parameter = (value_t){ .type = TYPE_INT64, .i = 1 + (int64_t)seed };
    else if (info->parameter != PARAMETER_NONE)
        parameter = (value_t){ .type = TYPE_INT64, .i = spec.param };
    oracle_feature_t feature = { .aggregate = info->word,
                                 .field = spec.input == TYPE_NONE ? -1 : 0,
                                 .second = 1,
                                 .window = ORACLE_LIFETIME,
                                 .parameter = parameter.i,
                                 .arena = arena,
                                 .fraction =
                                     info->parameter == PARAMETER_FRACTION ? parameter.f : 0 };
    final_context_t context = {
        .as_of = as_of, .window = INT64_MAX, .parameter = parameter, .arena = arena
    };
    value_t value, expected;
    error_t error;
    status_t status = state_final (spec, acc, aggregate, &context, &value, &error);
    status_t should = oracle_value (&feature, events, count, as_of, &expected);
    cr_assert_eq (status, should, "%s over %s, %s: status %s, the oracle has %s", info->word,
                  type_word (spec.input), what, status_word (status), status_word (should));
    cr_assert (status != STATUS_OK || oracle_agree (&value, &expected),
               "%s over %s, %s, seed %llu: %d %.17g (%lld), the oracle has %d %.17g (%lld)",
               info->word, type_word (spec.input), what, (unsigned long long)seed, value.null,
               value.f, (long long)value.i, expected.null, expected.f, (long long)expected.i);
}

static void check_rows (state_spec_t spec, profile_t profile, uint64_t seed)
{
    random_t random;
    random_seed (&random, seed);
    arena_t *arena = arena_new (1 << 16);
    size_t count = seed < 5 ? seed : (size_t)random_below (&random, ROWS_MAX);
    row_t *rows = rows_random (&random, arena, spec, profile, count);
    oracle_event_t *events = arena_zero (arena, count + 1, sizeof *events);
    for (size_t i = 0; i < count; i++) {
        value_t *values = arena_zero (arena, 2, sizeof *values);
        values[0] = rows[i].value;
        values[1] = rows[i].second;
        events[i] = (oracle_event_t){ .time = rows[i].place.time,
                                      .offset = rows[i].place.offset,
                                      .row = rows[i].place.row,
                                      .values = values };
    }
    void *acc = accumulator_new (spec);
    accumulator_add (spec, acc, rows, count);
    static const char *const names[] = { "small", "ordinary",     "any",        "tiny",
                                         "huge",  "cancellation", "not finite", "constant" };
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++)
        if (spec_is_of (spec, (aggregate_t)i))
            check (spec, (aggregate_t)i, acc, events, count, seed, names[profile], arena);
    accumulator_destroy (spec, &acc);
    arena_destroy (&arena);
}

/* Sessions are worked out with times as events have them, of the years 1970 to 9999. */
static bool has_real_times (profile_t profile)
{
    return profile != PROFILE_ANY && profile != PROFILE_HUGE;
}

Test (oracle, agrees_on_every_aggregate_input_and_profile)
{
    for (state_spec_t spec = { 0 }; spec_next (&spec);)
        for (unsigned profile = 0; profile < PROFILE_COUNT; profile++)
            for (uint64_t seed = 0; seed < ROUNDS; seed++)
                if (spec.kind != STATE_SESSIONS || has_real_times ((profile_t)profile))
                    check_rows (spec, (profile_t)profile, seed);
}
