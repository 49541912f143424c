/* Lists, sets, histograms and sessions. */
#include "reference.h"
#include "wide.h"

#include "base/mem.h"
#include "base/timestamp.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* The answer of the aggregate over random rows is the reference's. */
static status_t check (state_spec_t spec, aggregate_t aggregate, int64_t parameter,
                       profile_t profile, uint64_t seed, size_t count)
{
    random_t random;
    random_seed (&random, seed);
    arena_t *arena = arena_new (1 << 16);
    final_context_t context = { .window = INT64_MAX,
                                .parameter = { .type = TYPE_INT64, .i = parameter },
                                .arena = arena };
    const char *word = aggregate_info (aggregate)->word;
    char what[200];
    snprintf (what, sizeof what, "%s over %s, profile %d, seed %llu", word, type_word (spec.input),
              (int)profile, (unsigned long long)seed);
    wide_profile_t wide = { profile, 1, 0.1 };
    wide_t *rows = wide_random (&random, arena, spec, &wide, count);
    row_t *narrow = mem_zero (count + 1, sizeof *narrow);
    size_t whole = 0;
    for (size_t i = 0; i < count; i++)
        if (spec.input == TYPE_NONE || !rows[i].value[0].null)
            narrow[whole++] = (row_t){ .value = rows[i].value[0], .place = rows[i].place };
    answer_t expected = reference_answer (aggregate, spec, narrow, whole, &context);
    mem_free (narrow);
    status_t status;
    value_t value;
    void *held =
        wide_check (spec, aggregate, &context, &random, rows, count, what, &status, &value);
    cr_assert_eq (status, expected.range ? STATUS_RANGE : STATUS_OK, "%s", what);
    cr_assert (status != STATUS_OK || value_equal (&value, &expected.value), "%s", what);
    accumulator_destroy (spec, &held);
    arena_destroy (&arena);
    return status;
}

static int64_t parameter_of (aggregate_t aggregate, uint64_t seed)
{
    static const int64_t some[] = { 1, 2, 5, 30, 1000 };
    parameter_kind_t kind = aggregate_info (aggregate)->parameter;
    return kind == PARAMETER_NONE ? 0 : some[seed % (kind == PARAMETER_STATE_DURATION ? 4 : 5)];
}

Test (collections, order_and_grouping_change_no_bit_and_answers_are_the_reference)
{
    for (unsigned i = AGGREGATE_FIRST_K; i <= AGGREGATE_SESSION_DURATION_TOTAL; i++) {
        for (type_t type = TYPE_NONE; type <= TYPE_TIMESTAMP; type++) {
            for (uint64_t seed = 0; seed < 40 && aggregate_takes ((aggregate_t)i, type, TYPE_NONE);
                 seed++) {
                int64_t parameter = parameter_of ((aggregate_t)i, seed / PROFILE_COUNT);
                state_spec_t spec = aggregate_spec ((aggregate_t)i, type, TYPE_NONE, parameter);
                error_t error;
                if (state_spec_check (spec, &error) != STATUS_OK) {
                    cr_assert (type == TYPE_STRING && parameter == 1000, "%s", error.text);
                    continue;
                }
                status_t status = check (spec, (aggregate_t)i, parameter,
                                         (profile_t)(seed % PROFILE_COUNT), seed, seed * 3);
                cr_assert (status == STATUS_OK || type == TYPE_STRING);
            }
        }
    }
}

Test (collections, of_more_distinct_values_than_the_cap_are_an_error_and_say_what_to_do)
{
    static const struct {
        state_spec_t spec;
        aggregate_t aggregate;
        size_t good, bad; /* rows of random bits */
        profile_t profile;
    } cases[] = {
        { { .kind = STATE_DISTINCT_SET, .input = TYPE_FLOAT64 },
          AGGREGATE_COUNT_DISTINCT,
          4096,
          6000,
          PROFILE_ANY },
        { { .kind = STATE_DISTINCT_SET, .input = TYPE_STRING },
          AGGREGATE_COUNT_DISTINCT,
          10,
          80,
          PROFILE_HUGE },
        { { .kind = STATE_HISTOGRAM, .input = TYPE_FLOAT64 },
          AGGREGATE_TOP_K,
          1000,
          1300,
          PROFILE_ANY },
        { { .kind = STATE_HISTOGRAM, .input = TYPE_STRING }, AGGREGATE_MODE, 10, 80, PROFILE_HUGE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        status_t good =
            check (cases[i].spec, cases[i].aggregate, 3, cases[i].profile, 9, cases[i].good);
        status_t bad =
            check (cases[i].spec, cases[i].aggregate, 3, cases[i].profile, 9, cases[i].bad);
        cr_expect_eq (good, STATUS_OK, "case %zu", i);
        cr_expect_eq (bad, STATUS_RANGE, "case %zu", i);
    }
    state_spec_t spec = { .kind = STATE_DISTINCT_SET, .input = TYPE_INT64 };
    void *acc = accumulator_new (spec);
    error_t error;
    value_t value;
    final_context_t context = { .window = INT64_MAX };
    for (int64_t i = 0; i < 4097; i++) {
        if (i == 4096) {
            cr_assert_eq (
                state_final (spec, acc, AGGREGATE_COUNT_DISTINCT, &context, &value, &error),
                STATUS_OK);
            cr_assert_eq (value.i, 4096);
        }
        state_add (spec, acc, &(value_t){ .type = TYPE_INT64, .i = i }, NULL);
    }
    cr_assert_eq (state_final (spec, acc, AGGREGATE_COUNT_DISTINCT, &context, &value, &error),
                  STATUS_RANGE);
    cr_assert_not_null (strstr (error.text, "approx_count_distinct"));
    accumulator_destroy (spec, &acc);
}

Test (collections, a_capped_histogram_says_so_and_of_how_many_rows_it_is)
{
    state_spec_t spec = { .kind = STATE_HISTOGRAM, .input = TYPE_INT64 };
    arena_t *arena = arena_new (1 << 16);
    final_context_t context = { .window = INT64_MAX, .arena = arena };
    void *acc = accumulator_new (spec);
    for (int64_t i = 0; i < 6000; i++)
        state_add (spec, acc, &(value_t){ .type = TYPE_INT64, .i = i % 1500 }, NULL);
    value_t value;
    error_t error;
    cr_assert_eq (state_final (spec, acc, AGGREGATE_HISTOGRAM, &context, &value, &error),
                  STATUS_OK);
    cr_assert (value.map->capped);
    cr_assert_eq (value.map->count, 1000);
    cr_assert_eq (value.map->total, 6000);
    for (size_t i = 0; i < value.map->count; i++)
        cr_assert_eq (value.map->values[i].i, 4);
    accumulator_destroy (spec, &acc);
    arena_destroy (&arena);
}

/* ---- sessions ---- */

static void add_time (state_spec_t spec, void *acc, int64_t time)
{
    state_add (spec, acc, NULL, &(row_place_t){ .time = time });
}

static status_t session_count (state_spec_t spec, const void *acc, int64_t *sessions)
{
    value_t value;
    error_t error;
    final_context_t context = { .window = INT64_MAX };
    status_t status = state_final (spec, acc, AGGREGATE_SESSION_COUNT, &context, &value, &error);
    *sessions = value.i;
    return status;
}

Test (sessions, end_where_the_gap_is_exceeded_and_only_there)
{
    state_spec_t spec = { .kind = STATE_SESSIONS, .param = 10 };
    static const struct {
        int64_t times[4];
        int64_t sessions;
    } cases[] = {
        { { 0, 10, 20, 30 }, 1 },
        { { 0, 11, 21, 31 }, 2 },
        { { -11, 0, 11, 22 }, 4 },
        { { -5, 5, 15, 26 }, 2 },
        { { INT64_MIN, INT64_MIN + 10, INT64_MAX - 10, INT64_MAX }, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *acc = accumulator_new (spec);
        for (unsigned k = 0; k < 4; k++)
            add_time (spec, acc, cases[i].times[(3 * k + 1) % 4]);
        int64_t sessions;
        cr_assert_eq (session_count (spec, acc, &sessions), STATUS_OK);
        cr_expect_eq (sessions, cases[i].sessions, "case %zu: %lld", i, (long long)sessions);
        accumulator_destroy (spec, &acc);
    }
}

Test (sessions, one_long_session_and_many_short_ones_meet_the_same_cap)
{
    state_spec_t spec = { .kind = STATE_SESSIONS, .param = 10 };
    for (int64_t step = 5; step <= 30; step += 25) {
        void *acc = accumulator_new (spec);
        int64_t cells = 0, sessions;
        for (int64_t time = 0; cells <= 10000; time += step) {
            cells = step < 10 ? time / 10 + 1 : time / 30 + 1;
            add_time (spec, acc, time);
            status_t status = session_count (spec, acc, &sessions);
            cr_assert_eq (status, cells <= 10000 ? STATUS_OK : STATUS_RANGE);
            cr_assert (status != STATUS_OK || sessions == (step < 10 ? 1 : cells));
        }
        accumulator_destroy (spec, &acc);
    }
}

Test (sessions, over_the_cap_are_so_whatever_the_order)
{
    state_spec_t spec = { .kind = STATE_SESSIONS, .param = 3 };
    for (uint64_t seed = 0; seed < 4; seed++) {
        random_t random;
        random_seed (&random, seed);
        size_t count = 20000;
        wide_t *rows = mem_zero (count, sizeof *rows);
        size_t cells = 0;
        uint8_t *met = mem_zero (12000 + 500 * seed, 1);
        for (size_t i = 0; i < count; i++) {
            rows[i].place.time = (int64_t)random_below (&random, 3 * (12000 + 500 * seed));
            cells += !met[rows[i].place.time / 3];
            met[rows[i].place.time / 3] = 1;
        }
        mem_free (met);
        final_context_t context = { .window = INT64_MAX };
        value_t value;
        status_t status;
        void *held = wide_check (spec, AGGREGATE_SESSION_COUNT, &context, &random, rows, count,
                                 "many sessions", &status, &value);
        cr_assert_eq (status, cells > 10000 ? STATUS_RANGE : STATUS_OK, "%zu cells", cells);
        cr_assert_eq (status == STATUS_OK, seed < 2); /* there are both */
        accumulator_destroy (spec, &held);
        mem_free (rows);
    }
}

/* ---- bytes ---- */

static const state_spec_t all[] = {
    { .kind = STATE_FIRST_K, .input = TYPE_STRING, .param = 5 },
    { .kind = STATE_LAST_K, .input = TYPE_INT64, .param = 7 },
    { .kind = STATE_MIN_K, .input = TYPE_BOOL, .param = 20 },
    { .kind = STATE_MAX_K, .input = TYPE_FLOAT64, .param = 3 },
    { .kind = STATE_DISTINCT_SET, .input = TYPE_STRING },
    { .kind = STATE_DISTINCT_SET, .input = TYPE_TIMESTAMP },
    { .kind = STATE_HISTOGRAM, .input = TYPE_STRING },
    { .kind = STATE_HISTOGRAM, .input = TYPE_INT64 },
    { .kind = STATE_SESSIONS, .param = 1 },
    { .kind = STATE_SESSIONS, .param = 3650 * TIME_DAY },
};

Test (collections, damaged_and_random_partials_are_refused_or_are_canonical)
{
    random_t random;
    random_seed (&random, 8);
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (size_t count = 1; count < 60; count *= 3) {
            arena_t *arena = arena_new (1 << 16);
            wide_profile_t profile = { PROFILE_SMALL, 1, 0 };
            wide_t *rows = wide_random (&random, arena, all[i], &profile, count);
            void *acc = accumulator_new (all[i]);
            wide_add (all[i], acc, rows, count);
            text_t partial = accumulator_partial (all[i], acc, &out);
            cr_assert (wide_take_bytes (all[i], out.data, partial.size));
            wide_damage (all[i], &random, partial, 300);
            accumulator_destroy (all[i], &acc);
            arena_destroy (&arena);
        }
        for (int round = 0; round < 4000; round++) {
            uint8_t bytes[24];
            size_t size = 1 + (size_t)random_below (&random, sizeof bytes);
            for (size_t k = 0; k < size; k++)
                bytes[k] = (uint8_t)(random_next (&random) >> random_below (&random, 8));
            wide_take_bytes (all[i], bytes, size);
        }
    }
    buf_release (&out);
}

Test (collections, partials_have_the_documented_bytes)
{
    static const struct {
        state_spec_t spec;
        const char *bytes;
        size_t size;
    } cases[] = {
        /* rows at (4, 2, 1) with 5 and (3, 2, 0) with 7 */
        { { .kind = STATE_FIRST_K, .input = TYPE_INT64, .param = 9 },
          "\x02\x06\x02\x00\x0e\x01\x02\x01\x0a",
          9 },
        { { .kind = STATE_LAST_K, .input = TYPE_INT64, .param = 1 }, "\x01\x08\x02\x01\x0a", 5 },
        { { .kind = STATE_MIN_K, .input = TYPE_INT64, .param = 9 }, "\x02\x0a\x0e", 3 },
        { { .kind = STATE_MAX_K, .input = TYPE_INT64, .param = 9 }, "\x02\x0e\x0a", 3 },
        /* XXH3-64 of the key of 7 is 0x477a..., of 5 0x9f6b... */
        { { .kind = STATE_DISTINCT_SET, .input = TYPE_INT64 }, "\x02\x0e\x0a", 3 },
        { { .kind = STATE_HISTOGRAM, .input = TYPE_INT64 }, "\x04\x02\x0e\x01\x01\x0a\x01\x01", 8 },
        { { .kind = STATE_SESSIONS, .param = 1 }, "\x01\x06\x01", 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        state_spec_t spec = cases[i].spec;
        void *acc = accumulator_new (spec);
        bool of_rows = spec.input == TYPE_NONE;
        value_t values[] = { { .type = TYPE_INT64, .i = 5 }, { .type = TYPE_INT64, .i = 7 } };
        state_add (spec, acc, of_rows ? NULL : &values[0], &(row_place_t){ 4, 2, 1 });
        state_add (spec, acc, of_rows ? NULL : &values[1], &(row_place_t){ 3, 2, 0 });
        buf_t out;
        buf_init (&out, AGGREGATE_PARTIAL_MAX);
        text_t partial = accumulator_partial (spec, acc, &out);
        text_t expected = { cases[i].bytes, (uint32_t)cases[i].size };
        cr_expect (text_equal (partial, expected), "case %zu", i);
        buf_release (&out);
        accumulator_destroy (spec, &acc);
    }
}

Test (collections, partials_that_no_rows_make_are_refused)
{
    static const state_spec_t min = { .kind = STATE_MIN_K, .input = TYPE_INT64, .param = 2 };
    static const state_spec_t set = { .kind = STATE_DISTINCT_SET, .input = TYPE_BOOL };
    static const state_spec_t sessions = { .kind = STATE_SESSIONS, .param = 5 };
    static const state_spec_t map = { .kind = STATE_HISTOGRAM, .input = TYPE_BOOL };
    static const struct {
        state_spec_t spec;
        const char *bytes;
        size_t size;
    } cases[] = {
        { min, "\x00", 1 },
        { min, "\x02\x0e\x0a", 3 },     /* not ascending */
        { min, "\x03\x02\x02\x02", 4 }, /* 3 of 2 */
        { set, "\x02\x00\x00", 3 },
        { set, "\x00\x00", 2 },
        { map, "\x06\x01\x00\x01\x02", 5 },      /* 3 rows, 2 of them counted */
        { map, "\x04\x01\x00\x01\x03", 5 },      /* 2 rows, 3 counted */
        { sessions, "\x02\x00\x00", 3 },         /* a session that ends early */
        { sessions, "\x01\x00\xd0\x86\x03", 5 }, /* 50000 µs are 10001 cells */
        { sessions, "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 },
        { sessions, "\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00", 14 },
        /* all times that there are */
        { sessions,
          "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff"
          "\x01",
          21 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect (!wide_take_bytes (cases[i].spec, (const uint8_t *)cases[i].bytes, cases[i].size),
                   "case %zu", i);
    cr_assert (wide_take_bytes (sessions, (const uint8_t *)"\x01\x00\xcf\x86\x03", 5));
}

Test (collections, with_parameters_out_of_range_are_refused)
{
    static const state_spec_t cases[] = {
        { .kind = STATE_MIN_K, .input = TYPE_INT64, .param = 0 },
        { .kind = STATE_MIN_K, .input = TYPE_INT64, .param = 1001 },
        { .kind = STATE_FIRST_K, .input = TYPE_STRING, .param = 255 },
        { .kind = STATE_SESSIONS, .param = 0 },
        { .kind = STATE_SESSIONS, .param = 3650 * TIME_DAY + 1 },
        { .kind = STATE_HISTOGRAM, .input = TYPE_STRING, .by = TYPE_STRING },
        { .kind = STATE_SESSIONS, .param = 1, .by = TYPE_STRING },
        { .kind = STATE_FIRST_K, .input = TYPE_STRING, .param = 23, .by = TYPE_STRING },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error_t error;
        cr_expect_eq (state_spec_check (cases[i], &error), STATUS_INVALID, "case %zu", i);
    }
}
