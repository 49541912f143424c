/* `by` and `rows`: what is kept, and that order and grouping change no bit of it. */
#include "reference.h"
#include "wide.h"

#include "base/key.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char *say (state_spec_t spec, const wide_profile_t *profile, uint64_t seed)
{
    static char text[200];
    snprintf (text, sizeof text, "kind %d over %s, by %s, %u rows, profile %d, %zu keys, seed %llu",
              (int)spec.kind, type_word (spec.input), type_word (spec.by), spec.rows,
              (int)profile->values, profile->keys, (unsigned long long)seed);
    return text;
}

/* ---- the reference ---- */

static uint64_t plain_hash (const value_t *value)
{
    buf_t key;
    buf_init (&key, 1 << 14);
    key_put (&key, value);
    uint64_t hash = key_hash ((text_t){ (const char *)key.data, (uint32_t)key.size });
    buf_release (&key);
    return hash;
}

static int by_hash (const void *left, const void *right)
{
    const value_t *a = left, *b = right;
    uint64_t a_hash = plain_hash (a), b_hash = plain_hash (b);
    if (a_hash != b_hash)
        return a_hash < b_hash ? -1 : 1;
    return wide_is_less (b, a) - wide_is_less (a, b);
}

static int by_value (const void *left, const void *right)
{
    return wide_is_less (right, left) - wide_is_less (left, right);
}

static int newest_first (const void *left, const void *right)
{
    const wide_t *a = left, *b = right;
    if (a->place.time != b->place.time)
        return a->place.time < b->place.time ? 1 : -1;
    if (a->place.offset != b->place.offset)
        return a->place.offset < b->place.offset ? 1 : -1;
    return (a->place.row < b->place.row) - (a->place.row > b->place.row);
}

static size_t decimal_bytes (int128_t number)
{
    size_t size = 1;
    uint128_t zigzag = (uint128_t)(number < 0 ? -number - 1 : number) * 2 + (number < 0);
    for (; zigzag >= 0x80; zigzag >>= 7)
        size++;
    return size;
}

/* Bytes of a key in a partial: its varint, and for a string what follows it. */
static size_t key_bytes (const value_t *key)
{
    if (type_is_decimal (key->type))
        return decimal_bytes (key->d);
    uint64_t number =
        key->type == TYPE_STRING ? key->s.size : (uint64_t)key->i << 1 ^ (uint64_t)(key->i >> 63);
    size_t size = 1;
    for (; number >= 0x80; number >>= 7)
        size++;
    return key->type == TYPE_STRING    ? size + key->s.size
           : key->type == TYPE_FLOAT64 ? 8
           : key->type == TYPE_BOOL    ? 1
                                       : size;
}

/* The distinct keys of the rows that are kept, ascending by value; is one left out? */
static bool kept_keys (const wide_t *rows, size_t count, uint32_t cap, value_t *keys, size_t *kept)
{
    size_t distinct = 0, bytes = 0;
    for (size_t i = 0; i < count; i++)
        keys[i] = rows[i].value[0];
    qsort (keys, count, sizeof *keys, by_hash);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || by_hash (&keys[i], &keys[i - 1]) != 0)
            keys[distinct++] = keys[i];
    for (*kept = 0; *kept < distinct && *kept < cap; (*kept)++) {
        bytes += key_bytes (&keys[*kept]);
        if (bytes > 65536)
            break;
    }
    qsort (keys, *kept, sizeof *keys, by_value);
    return *kept < distinct;
}

/* Of rows without nulls and without `by`. */
static answer_t plain_answer (state_spec_t spec, aggregate_t aggregate, const wide_t *rows,
                              size_t count, unsigned input, const final_context_t *context)
{
    row_t *narrow = mem_zero (count + 1, sizeof *narrow);
    for (size_t i = 0; i < count; i++)
        narrow[i] = (row_t){ .value = rows[i].value[input],
                             .second = rows[i].value[input + 1],
                             .place = rows[i].place };
    spec.by = TYPE_NONE;
    spec.rows = 0;
    answer_t answer = reference_answer (aggregate, spec, narrow, count, context);
    mem_free (narrow);
    return answer;
}

static answer_t map_answer (state_spec_t spec, aggregate_t aggregate, const wide_t *rows,
                            size_t count, const final_context_t *context)
{
    answer_t answer = { .value = { .type = TYPE_MAP, .null = count == 0 } };
    if (count == 0)
        return answer;
    value_t *keys = arena_zero (context->arena, count, sizeof *keys);
    value_t *values = arena_zero (context->arena, count, sizeof *values);
    value_map_t *map = arena_zero (context->arena, 1, sizeof *map);
    wide_t *of_key = mem_zero (count, sizeof *of_key);
    map->capped = kept_keys (rows, count, state_keys_max (spec), keys, &map->count);
    map->keys = keys;
    map->values = values;
    map->total = count;
    for (size_t i = 0; i < map->count; i++) {
        size_t found = 0;
        for (size_t r = 0; r < count; r++)
            if (value_equal (&rows[r].value[0], &keys[i]))
                of_key[found++] = rows[r];
        answer_t inner = plain_answer (spec, aggregate, of_key, found, 1, context);
        answer.range |= inner.range;
        values[i] = inner.value;
    }
    mem_free (of_key);
    answer.value.map = map;
    return answer;
}

/* What the aggregate of these rows is, nulls among them. */
static answer_t wrapped_answer (state_spec_t spec, aggregate_t aggregate, const wide_t *rows,
                                size_t count, const final_context_t *context)
{
    wide_t *kept = mem_zero (count + 1, sizeof *kept);
    size_t whole = 0;
    memcpy (kept, rows, count * sizeof *kept);
    if (spec.rows > 0) {
        qsort (kept, count, sizeof *kept, newest_first);
        count = count < spec.rows ? count : spec.rows;
    }
    for (size_t i = 0; i < count; i++) {
        bool null = false;
        for (unsigned k = 0; k < state_inputs (spec); k++)
            null |= kept[i].value[k].null;
        if (!null)
            kept[whole++] = kept[i];
    }
    answer_t answer = spec.by != TYPE_NONE
                          ? map_answer (spec, aggregate, kept, whole, context)
                          : plain_answer (spec, aggregate, kept, whole, 0, context);
    mem_free (kept);
    return answer;
}

/* ---- properties ---- */

static void check (state_spec_t spec, aggregate_t aggregate, const wide_profile_t *profile,
                   uint64_t seed, size_t count)
{
    random_t random;
    random_seed (&random, seed);
    arena_t *arena = arena_new (1 << 16);
    value_t fraction = { .type = TYPE_FLOAT64, .f = 0.95 };
    final_context_t context = { .as_of = 40,
                                .window = TIME_DAY,
                                .parameter = spec_parameter (aggregate, &fraction),
                                .arena = arena };
    wide_t *rows = wide_random (&random, arena, spec, profile, count);
    const char *what = say (spec, profile, seed);
    answer_t expected = wrapped_answer (spec, aggregate, rows, count, &context);
    status_t status;
    value_t value;
    void *held =
        wide_check (spec, aggregate, &context, &random, rows, count, what, &status, &value);
    cr_assert_eq (status, expected.range ? STATUS_RANGE : STATUS_OK, "%s: %s of %s",
                  status_word (status), aggregate_info (aggregate)->word, what);
    cr_assert (status != STATUS_OK || value_equal (&value, &expected.value), "%s of %s",
               aggregate_info (aggregate)->word, what);
    accumulator_destroy (spec, &held);
    arena_destroy (&arena);
}

/* An aggregate of each kind of which the reference knows the answer. */
static aggregate_t aggregate_of (state_spec_t spec, uint64_t seed)
{
    aggregate_t found = AGGREGATE_NONE;
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++)
        if (spec_is_of (spec, (aggregate_t)i) && (found == AGGREGATE_NONE || seed % 3 == 0))
            found = (aggregate_t)i;
    return found;
}

static void check_wrapped (type_t by, uint16_t newest)
{
    for (state_spec_t spec = { 0 }; spec_next (&spec);) {
        state_spec_t wrapped = spec;
        wrapped.by = by;
        wrapped.rows = newest;
        error_t error;
        if (state_spec_check (wrapped, &error) != STATUS_OK)
            continue;
        for (uint64_t seed = 0; seed < 8; seed++) {
            wide_profile_t profile = { (profile_t)(seed % PROFILE_COUNT), 1 + seed, 0.1 };
            check (wrapped, aggregate_of (spec, seed), &profile, seed, seed < 2 ? seed : 9 * seed);
        }
    }
}

Test (by, of_every_kind_and_key_is_the_reference_whatever_the_order)
{
    check_wrapped (type_decimal (2), 0);
    for (type_t by = TYPE_BOOL; by <= TYPE_TIMESTAMP; by++)
        check_wrapped (by, 0);
}

Test (rows, of_every_kind_are_the_reference_whatever_the_order)
{
    check_wrapped (TYPE_NONE, 1);
    check_wrapped (TYPE_NONE, 5);
    check_wrapped (TYPE_NONE, 200);
}

Test (rows, with_a_key_are_the_reference_whatever_the_order)
{
    check_wrapped (TYPE_STRING, 1);
    check_wrapped (TYPE_INT64, 20);
    check_wrapped (TYPE_FLOAT64, 200);
}

Test (by, more_keys_than_the_cap_keep_the_same_ones_whatever_the_order)
{
    static const state_spec_t specs[] = {
        { .kind = STATE_COUNT, .by = TYPE_INT64 },
        { .kind = STATE_SUM, .input = TYPE_INT64, .by = TYPE_STRING },
        { .kind = STATE_SUM, .input = TYPE_FLOAT64, .by = TYPE_FLOAT64 },
        { .kind = STATE_LAST, .input = TYPE_STRING, .by = TYPE_TIMESTAMP },
        { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64, .by = TYPE_INT64 },
        { .kind = STATE_COUNT, .by = TYPE_INT64, .rows = 1000 },
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (uint64_t seed = 0; seed < 3; seed++)
            check (specs[i], aggregate_of (specs[i], 0), &(wide_profile_t){ PROFILE_ANY, 4000, 0 },
                   seed, seed == 0 ? 1010 : 3000);
}

Test (by, keys_of_many_bytes_are_capped_by_them)
{
    state_spec_t spec = { .kind = STATE_COUNT, .by = TYPE_STRING };
    for (uint64_t seed = 0; seed < 4; seed++)
        check (spec, AGGREGATE_COUNT, &(wide_profile_t){ PROFILE_HUGE, 60, 0 }, seed, 120);
}

Test (by, the_number_of_keys_follows_from_the_size_of_a_state)
{
    static const struct {
        state_spec_t spec;
        uint32_t keys;
    } cases[] = {
        { { .kind = STATE_COUNT, .by = TYPE_INT64 }, 1000 },
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64, .by = TYPE_INT64 }, 1000 },
        { { .kind = STATE_MOMENTS, .input = TYPE_FLOAT64, .by = TYPE_STRING }, 1000 },
        { { .kind = STATE_MIN, .input = TYPE_STRING, .by = TYPE_INT64 }, 223 },
        { { .kind = STATE_LAST, .input = TYPE_STRING, .by = TYPE_INT64, .rows = 9 }, 222 },
        { { .kind = STATE_DISTINCT_HLL, .input = TYPE_STRING, .by = TYPE_BOOL }, 297 },
        { { .kind = STATE_DISTINCT_SET, .input = TYPE_STRING, .by = TYPE_BOOL }, 18 },
        { { .kind = STATE_MIN_K, .input = TYPE_INT64, .by = TYPE_BOOL, .param = 91 }, 1000 },
        { { .kind = STATE_MIN_K, .input = TYPE_INT64, .by = TYPE_BOOL, .param = 1000 }, 91 },
        { { .kind = STATE_LAST_K, .input = TYPE_INT64, .by = TYPE_BOOL, .param = 26 }, 1000 },
        { { .kind = STATE_LAST_K, .input = TYPE_INT64, .by = TYPE_BOOL, .param = 1000 }, 26 },
        { { .kind = STATE_LAST_K, .input = TYPE_STRING, .by = TYPE_BOOL, .param = 22 }, 10 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq (state_keys_max (cases[i].spec), cases[i].keys, "case %zu: %u", i,
                      state_keys_max (cases[i].spec));
}

Test (wrappers, that_could_be_too_large_are_refused_with_the_reason)
{
    static const struct {
        state_spec_t spec;
        const char *reason;
    } cases[] = {
        { { .kind = STATE_COUNT, .rows = 1001 }, "at most 1000" },
        { { .kind = STATE_LAST, .input = TYPE_STRING, .rows = 255 }, "at most 254" },
        { { .kind = STATE_LAST, .input = TYPE_STRING, .by = TYPE_STRING, .rows = 255 },
          "at most 127" },
        { { .kind = STATE_SUM, .input = TYPE_STRING }, "cannot be over string" },
        { { .kind = (state_kind_t)200 }, "no state of kind 200" },
        { { .kind = STATE_COUNT, .by = TYPE_MAP }, "map cannot be a key" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error_t error;
        cr_assert_eq (state_spec_check (cases[i].spec, &error), STATUS_INVALID, "case %zu", i);
        cr_expect_not_null (strstr (error.text, cases[i].reason), "case %zu: %s", i, error.text);
    }
    error_t error;
    state_spec_t most = { .kind = STATE_LAST, .input = TYPE_STRING, .rows = 254 };
    cr_assert_eq (state_spec_check (most, &error), STATUS_OK);
}

Test (rows, of_one_place_are_told_apart_by_their_values)
{
    state_spec_t spec = { .kind = STATE_SUM, .input = TYPE_INT64, .rows = 2 };
    for (int turn = 0; turn < 3; turn++) {
        arena_t *arena = arena_new (1 << 12);
        final_context_t context = { .window = INT64_MAX, .arena = arena };
        void *acc = accumulator_new (spec);
        for (int i = 0; i < 3; i++)
            state_add (spec, acc, &(value_t){ .type = TYPE_INT64, .i = (i + turn) % 3 },
                       &(row_place_t){ 7, 7, 7 });
        value_t value;
        error_t error;
        cr_assert_eq (state_final (spec, acc, AGGREGATE_SUM, &context, &value, &error), STATUS_OK);
        cr_assert_eq (value.i, 3);
        accumulator_destroy (spec, &acc);
        arena_destroy (&arena);
    }
}

/* What is told of the memory of a state is about as much as it keeps, with or without wrappers. */
Test (wrappers, memory_follows_what_is_kept)
{
    static const state_spec_t wraps[] = {
        { .rows = 0 }, { .by = TYPE_INT64 }, { .by = TYPE_STRING }, { .rows = 200 }
    };
    enum { ROWS = 3000 };
    size_t checked = 0;
    random_t random;
    random_seed (&random, 16);
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX);
    for (state_spec_t spec = { 0 }; spec_next (&spec);) {
        for (size_t i = 0; i < sizeof wraps / sizeof *wraps; i++) {
            error_t error;
            state_spec_t wrapped = spec;
            wrapped.by = wraps[i].by;
            wrapped.rows = wraps[i].rows;
            if (state_spec_check (wrapped, &error) != STATUS_OK)
                continue;
            arena_t *arena = arena_new (1 << 16);
            wide_profile_t profile = { PROFILE_ANY, 500, 0 };
            wide_t *rows = wide_random (&random, arena, wrapped, &profile, ROWS);
            void *acc = accumulator_new (wrapped);
            cr_assert_eq (state_memory (wrapped, acc), 0);
            wide_add (wrapped, acc, rows, ROWS);
            size_t kept = accumulator_partial (wrapped, acc, &out).size;
            size_t memory = state_memory (wrapped, acc);
            bool large = kept > 2 * AGGREGATE_SMALL_MAX && wrapped.kind != STATE_DISTINCT_HLL;
            cr_assert (!large || (memory >= kept / 4 && memory <= 100 * kept),
                       "%s: %zu bytes are kept in %zu", say (wrapped, &profile, 0), kept, memory);
            checked += large;
            accumulator_destroy (wrapped, &acc);
            arena_destroy (&arena);
        }
    }
    cr_assert_gt (checked, 50);
    buf_release (&out);
}

Test (wrappers, damaged_partials_are_refused_or_are_canonical)
{
    static const state_spec_t wraps[] = { { .by = TYPE_INT64 },
                                          { .by = TYPE_STRING },
                                          { .by = TYPE_FLOAT64 },
                                          { .rows = 30 },
                                          { .by = TYPE_BOOL, .rows = 7 } };
    random_t random;
    random_seed (&random, 6);
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX);
    for (state_spec_t spec = { 0 }; spec_next (&spec);) {
        for (size_t i = 0; i < sizeof wraps / sizeof *wraps; i++) {
            error_t error;
            state_spec_t wrapped = spec;
            wrapped.by = wraps[i].by;
            wrapped.rows = wraps[i].rows;
            if (state_spec_check (wrapped, &error) != STATUS_OK)
                continue;
            arena_t *arena = arena_new (1 << 16);
            wide_profile_t profile = { PROFILE_ORDINARY, 4, 0.1 };
            wide_t *rows = wide_random (&random, arena, wrapped, &profile, 12);
            void *acc = accumulator_new (wrapped);
            wide_add (wrapped, acc, rows, 12);
            text_t partial = accumulator_partial (wrapped, acc, &out);
            cr_assert (wide_take_bytes (wrapped, out.data, partial.size));
            wide_damage (wrapped, &random, partial, 60);
            accumulator_destroy (wrapped, &acc);
            arena_destroy (&arena);
        }
    }
    buf_release (&out);
}

Test (wrappers, partials_have_the_documented_bytes)
{
    static const struct {
        state_spec_t spec;
        const char *bytes;
        size_t size;
    } cases[] = {
        /* 2 rows of key 5 (zigzag 10): 2 rows, nothing left out, 1 key, a partial of 1 byte */
        { { .kind = STATE_COUNT, .by = TYPE_INT64 }, "\x04\x01\x0a\x01\x02", 5 },
        /* of (time 4, offset 2, row 1) and (3, 2, 0) the newest, both with key and value */
        { { .kind = STATE_SUM, .input = TYPE_INT64, .by = TYPE_INT64, .rows = 9 },
          "\x02\x08\x02\x01\x03\x0a\x0e\x01\x02\x00\x01\x0a",
          12 },
        { { .kind = STATE_COUNT, .rows = 9 }, "\x02\x08\x02\x01\x01\x02\x00", 7 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        state_spec_t spec = cases[i].spec;
        value_t values[] = { { .type = TYPE_INT64, .i = 5 }, { .type = TYPE_INT64, .i = 7 } };
        void *acc = accumulator_new (spec);
        const value_t *inputs = state_inputs (spec) > 0 ? values : NULL;
        state_add (spec, acc, inputs, &(row_place_t){ 4, 2, 1 });
        values[1].null = state_takes_nulls (spec);
        state_add (spec, acc, inputs, &(row_place_t){ 3, 2, 0 });
        buf_t out;
        buf_init (&out, AGGREGATE_PARTIAL_MAX);
        text_t partial = accumulator_partial (spec, acc, &out);
        text_t expected = { cases[i].bytes, (uint32_t)cases[i].size };
        cr_expect (text_equal (partial, expected), "case %zu", i);
        buf_release (&out);
        accumulator_destroy (spec, &acc);
    }
}

Test (wrappers, partials_that_no_rows_make_are_refused)
{
    static const state_spec_t by = { .kind = STATE_COUNT, .by = TYPE_INT64 };
    static const state_spec_t rows = { .kind = STATE_COUNT, .rows = 2 };
    static const state_spec_t values = { .kind = STATE_SUM, .input = TYPE_INT64, .rows = 2 };
    static const struct {
        state_spec_t spec;
        const char *bytes;
        size_t size;
    } cases[] = {
        { by, "\x02\x00", 2 },                                    /* no key, and nothing left out */
        { by, "\x02\x02\x0a\x01\x01\x0c\x01\x01", 8 },            /* 2 keys of 1 row */
        { by, "\x04\x01\x0a\x00", 4 },                            /* a key without a state */
        { by, "\x04\x02\x0a\x01\x01\x0a\x01\x01", 8 },            /* a key twice */
        { by, "\x05\x0c\x01\x0a\x01\x01", 6 },                    /* left out, though it fits */
        { by, "\x03\x0c\x00", 3 },                                /* likewise, the first of all */
        { by, "\x02\x01\x0a\x02\x01\x00", 6 },                    /* a state that is none */
        { rows, "\x03\x08\x02\x01\x01\x02\x00\x00\x02\x00", 10 }, /* 3 of 2 rows */
        { rows, "\x02\x08\x02\x01\x00\x03\x00", 7 },              /* not newest first */
        { rows, "\x00", 1 },
        { values, "\x01\x08\x02\x01\x02", 5 }, /* a value that there is not */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect (!wide_take_bytes (cases[i].spec, (const uint8_t *)cases[i].bytes, cases[i].size),
                   "case %zu", i);
}
