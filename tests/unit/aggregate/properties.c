/* Order and grouping change no bit, and every answer is the reference's. */
#include "reference.h"

#include "aggregate/state_ops.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const final_context_t of_all = { .window = INT64_MAX };

/* Some as-of, window and fraction, chosen by the seed. */
static final_context_t context_of (uint64_t seed, const row_t *rows, size_t count, arena_t *arena)
{
    static const double fractions[] = { 0.0, 0.25, 0.5, 0.95, 1.0, 1.0 / 3, 5e-324, 0.999 };
    static const int64_t windows[] = { INT64_MAX, TIME_DAY, 7 * TIME_DAY, 1, 3 * TIME_SECOND };
    int64_t newest = count > 0 ? rows[0].place.time : 0;
    for (size_t i = 0; i < count; i++)
        newest = rows[i].place.time > newest ? rows[i].place.time : newest;
    int64_t ahead = (int64_t)(seed * seed * UINT64_C (0x9e3779b97f4a7c15) >> (seed % 40 + 24));
    return (final_context_t){
        .as_of = newest > INT64_MAX - ahead ? INT64_MAX : newest + ahead,
        .window = windows[seed % 5],
        .parameter = { .type = TYPE_FLOAT64, .f = fractions[seed % 8] },
        .arena = arena,
    };
}

enum { ROUNDS = 12, ROWS_MAX = 40, PARTS_MAX = 6 };

static const char *say (state_spec_t spec, profile_t profile, uint64_t seed)
{
    static char text[128];
    snprintf (text, sizeof text, "kind %d over %s, %s, %lld, profile %d, seed %llu", (int)spec.kind,
              type_word (spec.input), type_word (spec.second), (long long)spec.param, (int)profile,
              (unsigned long long)seed);
    return text;
}

/* The rows cut into parts, each added up by itself, and the parts merged two by two in random
 * order, each time through accumulators or through partials. */
static void *merge_tree (state_spec_t spec, random_t *random, const row_t *rows, size_t count)
{
    void *part[PARTS_MAX];
    size_t parts = 1 + (size_t)random_below (random, PARTS_MAX), from = 0;
    for (size_t i = 0; i < parts; i++) {
        size_t to = i + 1 == parts ? count : from + (size_t)random_below (random, count - from + 1);
        part[i] = accumulator_new (spec);
        accumulator_add (spec, part[i], rows + from, to - from);
        from = to;
    }
    for (; parts > 1; parts--) {
        size_t a = (size_t)random_below (random, parts - 1);
        if (random_chance (random, 0.5)) {
            state_merge (spec, part[a], part[parts - 1]);
        } else {
            buf_t bytes;
            error_t error;
            buf_init (&bytes, AGGREGATE_PARTIAL_MAX);
            text_t partial = accumulator_partial (spec, part[parts - 1], &bytes);
            cr_assert_eq (state_merge_partial (spec, part[a], partial, &error), STATUS_OK, "%s",
                          error.text);
            buf_release (&bytes);
        }
        accumulator_destroy (spec, &part[parts - 1]);
    }
    return part[0];
}

static void check_finals (state_spec_t spec, const void *acc, const row_t *rows, size_t count,
                          const final_context_t *around, const char *what)
{
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
        aggregate_t aggregate = (aggregate_t)i;
        const aggregate_info_t *info = aggregate_info (aggregate);
        if (!spec_is_of (spec, aggregate))
            continue;
        value_t value;
        error_t error;
        final_context_t asked = *around, *context = &asked;
        asked.parameter = spec_parameter (aggregate, &around->parameter);
        answer_t expected = reference_answer (aggregate, spec, rows, count, context);
        status_t status = state_final (spec, acc, aggregate, context, &value, &error);
        cr_assert_eq (status,
                      expected.too_large ? STATUS_TOO_LARGE
                      : expected.range   ? STATUS_RANGE
                                         : STATUS_OK,
                      "%s of %s: status %s", info->word, what, status_word (status));
        if (status == STATUS_OK)
            cr_assert (value_equal (&value, &expected.value),
                       "%s of %s: %d %.17g (%lld), expected %d %.17g (%lld)", info->word, what,
                       value.null, value.f, (long long)value.i, expected.value.null,
                       expected.value.f, (long long)expected.value.i);
    }
}

static void check_rows (state_spec_t spec, profile_t profile, uint64_t seed, size_t most)
{
    random_t random;
    random_seed (&random, seed);
    arena_t *arena = arena_new (1 << 16);
    size_t count = (size_t)random_below (&random, most + 1);
    row_t *rows = rows_random (&random, arena, spec, profile, count);
    const char *what = say (spec, profile, seed);
    final_context_t context = context_of (seed, rows, count, arena);
    buf_t one, other;
    buf_init (&one, AGGREGATE_PARTIAL_MAX);
    buf_init (&other, AGGREGATE_PARTIAL_MAX);

    void *acc = accumulator_new (spec);
    accumulator_add (spec, acc, rows, count);
    text_t partial = accumulator_partial (spec, acc, &one);
    cr_assert_eq (partial.size == 0, count == 0, "%s", what);
    cr_assert_eq (state_is_empty (spec, acc), count == 0, "%s", what);
    cr_assert (state_is_large (spec) || partial.size <= AGGREGATE_SMALL_MAX, "%s", what);
    cr_assert (partial.size <= state_partial_max (spec), "%s: %u bytes", what, partial.size);
    check_finals (spec, acc, rows, count, &context, what);

    for (int i = 0; i < 4; i++) {
        rows_shuffle (&random, rows, count);
        void *tree = merge_tree (spec, &random, rows, count);
        cr_assert (text_equal (partial, accumulator_partial (spec, tree, &other)), "%s", what);
        check_finals (spec, tree, rows, count, &context, what);
        accumulator_destroy (spec, &tree);
    }
    /* An accumulator that has been used is as good as new. */
    state_reset (spec, acc);
    cr_assert (state_is_empty (spec, acc), "%s", what);
    accumulator_add (spec, acc, rows, count);
    cr_assert (text_equal (partial, accumulator_partial (spec, acc, &other)), "%s", what);
    accumulator_destroy (spec, &acc);
    buf_release (&one);
    buf_release (&other);
    arena_destroy (&arena);
}

Test (aggregate, order_and_grouping_change_no_bit_and_answers_are_the_reference)
{
    for (state_spec_t spec = { 0 }; spec_next (&spec);)
        for (unsigned profile = 0; profile < PROFILE_COUNT; profile++)
            for (uint64_t seed = 0; seed < ROUNDS; seed++)
                check_rows (spec, (profile_t)profile, seed, seed < 4 ? 3 : ROWS_MAX);
}

Test (aggregate, carries_and_registers_of_many_rows_are_kept)
{
    static const state_spec_t specs[] = {
        { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
        { .kind = STATE_MOMENTS, .input = TYPE_FLOAT64 },
        { .kind = STATE_MOMENTS, .input = TYPE_INT64 },
        { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 },
        { .kind = STATE_DISTINCT_HLL, .input = TYPE_FLOAT64 },
        { .kind = STATE_POWERS, .input = TYPE_FLOAT64 },
        { .kind = STATE_TIMES, .input = TYPE_NONE },
        { .kind = STATE_QUANTILES, .input = TYPE_FLOAT64 },
        { .kind = STATE_QUANTILES, .input = TYPE_INT64 },
        { .kind = STATE_DECAY, .input = TYPE_FLOAT64, .param = TIME_DAY }
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (unsigned profile = 0; profile < PROFILE_COUNT; profile++)
            for (uint64_t seed = 100; seed < 102; seed++)
                check_rows (specs[i], (profile_t)profile, seed, 6000);
}

Test (aggregate, a_place_given_twice_still_has_one_answer)
{
    state_spec_t spec = { .kind = STATE_FIRST, .input = TYPE_INT64 };
    row_t rows[] = { { .value = { .type = TYPE_INT64, .i = 7 }, .place = { 5, 5, 5 } },
                     { .value = { .type = TYPE_INT64, .i = 3 }, .place = { 5, 5, 5 } } };
    for (int first = 0; first < 2; first++) {
        spec.kind = first ? STATE_FIRST : STATE_LAST;
        for (int swap = 0; swap < 2; swap++) {
            void *acc = accumulator_new (spec);
            accumulator_add (spec, acc, &rows[swap], 1);
            accumulator_add (spec, acc, &rows[1 - swap], 1);
            value_t value;
            error_t error;
            cr_assert_eq (state_final (spec, acc, first ? AGGREGATE_FIRST : AGGREGATE_LAST, &of_all,
                                       &value, &error),
                          STATUS_OK);
            cr_assert_eq (value.i, first ? 3 : 7);
            accumulator_destroy (spec, &acc);
        }
    }
}

Test (aggregate, strings_over_the_limit_are_cut_between_characters)
{
    state_spec_t spec = { .kind = STATE_MAX, .input = TYPE_STRING };
    char *bytes = mem_alloc (STRING_VALUE_MAX + 10);
    memset (bytes, 'a', STRING_VALUE_MAX + 10);
    memcpy (bytes + STRING_VALUE_MAX - 1, "\xc3\xa9", 2); /* an é across the limit */
    value_t value = { .type = TYPE_STRING, .s = { bytes, STRING_VALUE_MAX + 10 } };
    void *acc = accumulator_new (spec);
    state_add (spec, acc, &value, NULL);
    value_t kept;
    error_t error;
    cr_assert_eq (state_final (spec, acc, AGGREGATE_MAX, &of_all, &kept, &error), STATUS_OK);
    cr_assert_eq (kept.s.size, STRING_VALUE_MAX - 1);
    accumulator_destroy (spec, &acc);
    mem_free (bytes);
}

/* The rows as columns, half the time with nulls and filtered rows among them; `kept` gets those
 * that count. */
static state_rows_t rows_as_columns (state_spec_t spec, random_t *random, arena_t *arena,
                                     const row_t *rows, size_t count, row_t *kept,
                                     size_t *kept_count)
{
    column_t *lane = arena_zero (arena, 2, sizeof *lane);
    uint8_t *filter = arena_zero (arena, count + 1, sizeof *filter);
    int64_t *time = arena_zero (arena, count + 1, sizeof *time);
    uint64_t *offset = arena_zero (arena, count + 1, sizeof *offset);
    uint32_t *row = arena_zero (arena, count + 1, sizeof *row);
    unsigned inputs = state_inputs (spec);
    bool whole = random_chance (random, 0.5);
    for (unsigned k = 0; k < inputs; k++)
        lane[k] = column_new (arena, state_input_type (spec, k), count + 1);
    for (size_t i = 0; i < count; i++) {
        time[i] = rows[i].place.time;
        offset[i] = rows[i].place.offset;
        row[i] = rows[i].place.row;
        filter[i] = whole || random_chance (random, 0.8);
        bool all = filter[i] != 0;
        for (unsigned k = 0; k < inputs; k++) {
            bool valid = whole || random_chance (random, 0.8);
            if (valid)
                column_set (&lane[k], i, k == 0 ? &rows[i].value : &rows[i].second);
            all = all && valid;
        }
        if (all)
            kept[(*kept_count)++] = rows[i];
    }
    return (state_rows_t){ .lane = { &lane[0], &lane[1] },
                           .whole = whole,
                           .filter = whole ? NULL : filter,
                           .time = time,
                           .offset = state_reads_position (spec) ? offset : NULL,
                           .row = state_reads_position (spec) ? row : NULL,
                           .to = count };
}

static void check_together (state_spec_t spec, profile_t profile, uint64_t seed)
{
    random_t random;
    random_seed (&random, seed);
    arena_t *arena = arena_new (1 << 16);
    size_t count = (size_t)random_below (&random, ROWS_MAX);
    row_t *rows = rows_random (&random, arena, spec, profile, count);
    row_t *kept = arena_zero (arena, count + 1, sizeof *kept);
    size_t kept_count = 0;
    state_rows_t tail = rows_as_columns (spec, &random, arena, rows, count, kept, &kept_count);
    state_rows_t head = tail;
    head.to = tail.from = (size_t)random_below (&random, count + 1);
    const char *what = say (spec, profile, seed);
    buf_t one, other;
    buf_init (&one, AGGREGATE_PARTIAL_MAX);
    buf_init (&other, AGGREGATE_PARTIAL_MAX);
    void *expected = accumulator_new (spec);
    void *acc = accumulator_new (spec);
    accumulator_add (spec, expected, kept, kept_count);
    bool any = state_add_rows (spec, acc, &head);
    any |= state_add_rows (spec, acc, &tail);
    cr_assert_eq (any, kept_count > 0, "%s", what);
    cr_assert (text_equal (accumulator_partial (spec, expected, &one),
                           accumulator_partial (spec, acc, &other)),
               "%s", what);
    accumulator_destroy (spec, &expected);
    accumulator_destroy (spec, &acc);
    buf_release (&one);
    buf_release (&other);
    arena_destroy (&arena);
}

Test (aggregate, rows_added_together_are_as_rows_added_one_by_one)
{
    for (state_spec_t spec = { 0 }; spec_next (&spec);)
        for (unsigned profile = 0; profile < PROFILE_COUNT; profile++)
            for (uint64_t seed = 200; seed < 206; seed++)
                check_together (spec, (profile_t)profile, seed);
}

/* The text at a place, or the empty one. */
static text_t text_at (const buf_t *out, uint32_t place)
{
    if (place == 0)
        return (text_t){ NULL, 0 };
    cr_assert_leq (place, out->size);
    reader_t reader = reader_of (out->data + place - 1, out->size - (place - 1));
    text_t text = reader_text (&reader);
    cr_assert (!reader.bad);
    return text;
}

/* Any exponents within a distance of 11, any mantissas and signs, and zeros. */
static void floats_of_similar_size (random_t *random, row_t *rows, size_t count)
{
    uint64_t base = 1 + random_below (random, 2046 - 11);
    uint64_t distance = random_below (random, 12);
    bool whole = random_chance (random, 0.5); /* few bits of the mantissa */
    bool positive = random_chance (random, 0.5);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = (base + random_below (random, distance + 1)) << 52 |
                        random_next (random) >> 12 >> (whole ? 48 : 0) << (whole ? 48 : 0);
        if (random_chance (random, 0.1))
            bits = 0;
        bits |= (uint64_t)(!positive && random_chance (random, 0.5)) << 63;
        memcpy (&rows[i].value.f, &bits, sizeof bits);
    }
}

/* Were the suffixes of the rows put? Then they must be the partials of what is from each range on.
 */
static bool check_suffixes (state_spec_t spec, profile_t profile, uint64_t seed, bool near)
{
    random_t random;
    random_seed (&random, seed);
    arena_t *arena = arena_new (1 << 16);
    size_t count = 1 + (size_t)random_below (&random, ROWS_MAX);
    row_t *rows = rows_random (&random, arena, spec, profile, count);
    if (near)
        floats_of_similar_size (&random, rows, count);
    row_t *kept = arena_zero (arena, count + 1, sizeof *kept);
    size_t kept_count = 0;
    state_rows_t columns = rows_as_columns (spec, &random, arena, rows, count, kept, &kept_count);
    uint32_t *start = arena_zero (arena, count + 1, sizeof *start);
    uint32_t *place = arena_zero (arena, count, sizeof *place);
    state_suffixes_t suffixes = { .start = start, .place = place };
    start[0] = (uint32_t)random_below (&random, count);
    while (start[suffixes.ranges] < count) {
        size_t left = count - start[suffixes.ranges];
        start[suffixes.ranges + 1] =
            start[suffixes.ranges] + 1 + (uint32_t)random_below (&random, left < 8 ? left : 8);
        suffixes.ranges++;
    }
    buf_t out, one;
    buf_init (&out, 1 << 20);
    buf_init (&one, AGGREGATE_PARTIAL_MAX);
    buf_put_u8 (&out, 0); /* something is there */
    suffixes.out = &out;
    bool put = state_put_suffixes (spec, &columns, &suffixes);
    cr_assert (put || out.size == 1);
    void *acc = accumulator_new (spec);
    for (size_t i = suffixes.ranges; put && i-- > 0;) {
        columns.from = start[i];
        columns.to = start[i + 1];
        (void)state_add_rows (spec, acc, &columns);
        cr_assert (text_equal (accumulator_partial (spec, acc, &one), text_at (&out, place[i])),
                   "%s, range %zu of %zu", say (spec, profile, seed), i, suffixes.ranges);
        cr_assert (i + 1 == suffixes.ranges || place[i] == place[i + 1] ||
                   !text_equal (text_at (&out, place[i]), text_at (&out, place[i + 1])));
    }
    accumulator_destroy (spec, &acc);
    buf_release (&out);
    buf_release (&one);
    arena_destroy (&arena);
    return put;
}

/* Is there a quick way for all rows of such a state that are finite and of one size? */
static bool has_suffixes (state_spec_t spec)
{
    if (spec.by != TYPE_NONE || spec.rows > 0)
        return false;
    bool number = spec.input == TYPE_INT64 || spec.input == TYPE_FLOAT64;
    switch (spec.kind) {
    case STATE_COUNT:
        return true;
    case STATE_SUM:
    case STATE_MOMENTS:
        return number;
    case STATE_MIN:
    case STATE_MAX:
        return number || spec.input == TYPE_BOOL || spec.input == TYPE_TIMESTAMP;
    default:
        return false;
    }
}

Test (aggregate, suffixes_put_together_are_those_of_rows_added_range_by_range)
{
    for (state_spec_t spec = { 0 }; spec_next (&spec);)
        for (unsigned profile = 0; profile < PROFILE_COUNT; profile++)
            for (uint64_t seed = 300; seed < 308; seed++) {
                bool put = check_suffixes (spec, (profile_t)profile, seed, false);
                bool any_bits = spec.input == TYPE_FLOAT64 && spec.kind != STATE_COUNT;
                cr_assert (put == has_suffixes (spec) || (any_bits && !put), "%s",
                           say (spec, (profile_t)profile, seed));
            }
}

Test (aggregate, suffixes_of_floats_of_similar_size_are_put_together)
{
    const state_kind_t kinds[] = { STATE_SUM, STATE_MOMENTS, STATE_MIN, STATE_MAX };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (uint64_t seed = 0; seed < 400; seed++)
            cr_assert (check_suffixes ((state_spec_t){ .kind = kinds[k], .input = TYPE_FLOAT64 },
                                       PROFILE_ORDINARY, seed, true));
}

/* Windows of ascending ends, with gaps and empty ones among them. */
static void random_windows (random_t *random, arena_t *arena, size_t rows, state_windows_t *windows)
{
    windows->count = 1 + random_below (random, 40);
    size_t *from = arena_alloc (arena, windows->count * sizeof *from);
    size_t *to = arena_alloc (arena, windows->count * sizeof *to);
    size_t low = 0, high = 0;
    for (size_t k = 0; k < windows->count; k++) {
        low += random_below (random, 4);
        low = low < rows ? low : rows;
        high = (high > low ? high : low) + random_below (random, 5);
        high = high < rows ? high : rows;
        from[k] = low;
        to[k] = high;
    }
    windows->from = from;
    windows->to = to;
    windows->values = arena_zero (arena, windows->count, sizeof *windows->values);
}

/* Were values of windows told? Then they must be those of states of their rows. */
static bool check_windows (state_spec_t spec, aggregate_t aggregate, profile_t profile,
                           uint64_t seed, bool near)
{
    random_t random;
    random_seed (&random, seed);
    arena_t *arena = arena_new (1 << 16);
    size_t count = 1 + (size_t)random_below (&random, ROWS_MAX);
    row_t *rows = rows_random (&random, arena, spec, profile, count);
    if (near)
        floats_of_similar_size (&random, rows, count);
    row_t *kept = arena_zero (arena, count + 1, sizeof *kept);
    size_t kept_count = 0;
    state_rows_t columns = rows_as_columns (spec, &random, arena, rows, count, kept, &kept_count);
    state_windows_t windows;
    random_windows (&random, arena, count, &windows);
    bool told = state_final_windows (spec, aggregate, &columns, &windows);
    void *acc = accumulator_new (spec);
    for (size_t k = 0; told && k < windows.count; k++) {
        value_t expected;
        error_t error;
        const final_context_t context = { .window = TIME_HOUR };
        state_reset (spec, acc);
        columns.from = windows.from[k];
        columns.to = windows.to[k];
        (void)state_add_rows (spec, acc, &columns);
        cr_assert_eq (state_final (spec, acc, aggregate, &context, &expected, &error), STATUS_OK);
        cr_assert (value_equal (&windows.values[k], &expected), "%s, window %zu",
                   say (spec, profile, seed), k);
    }
    accumulator_destroy (spec, &acc);
    arena_destroy (&arena);
    return told;
}

Test (aggregate, values_of_windows_told_together_are_those_of_their_rows)
{
    size_t told = 0;
    for (state_spec_t spec = { 0 }; spec_next (&spec);)
        for (unsigned aggregate = 1; aggregate < AGGREGATE_COUNT_OF; aggregate++)
            for (unsigned profile = 0; profile < PROFILE_COUNT; profile++)
                for (uint64_t seed = 0; seed < 4 && spec_is_of (spec, aggregate); seed++)
                    told += check_windows (spec, aggregate, (profile_t)profile, seed, false);
    cr_expect_gt (told, 100);
    told = 0;
    for (uint64_t seed = 0; seed < 400; seed++)
        told += check_windows ((state_spec_t){ .kind = STATE_SUM, .input = TYPE_FLOAT64 },
                               AGGREGATE_SUM, PROFILE_ORDINARY, seed, true);
    cr_expect_gt (told, 100, "%zu", told); /* those in which no row is null or filtered */
}
