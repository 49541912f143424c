/* The bytes of partials: their layout, and what is refused. */
#include "rows.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <math.h>

static const final_context_t of_all = { .window = INT64_MAX,
                                        .parameter = { .type = TYPE_FLOAT64, .f = 0.95 } };

/* Gives the bytes to a fresh accumulator; if they are taken, they must come out as they went in,
 * and everything else that one can do with the state must end. */
static bool take_bytes (state_spec_t spec, const uint8_t *data, size_t size)
{
    error_t error;
    /* in memory of just that size, so that reading past it is noticed */
    char *copy = mem_alloc (size);
    memcpy (copy, data, size);
    text_t partial = { copy, (uint32_t)size };
    void *acc = accumulator_new (spec);
    status_t status = state_merge_partial (spec, acc, partial, &error);
    cr_assert (status == STATUS_OK || status == STATUS_CORRUPT);
    if (status == STATUS_OK) {
        buf_t out;
        buf_init (&out, AGGREGATE_PARTIAL_MAX);
        cr_assert (text_equal (partial, accumulator_partial (spec, acc, &out)), "kind %d over %s",
                   (int)spec.kind, type_word (spec.input));
        buf_release (&out);
        void *twice = accumulator_new (spec);
        state_merge (spec, twice, acc);
        state_merge (spec, twice, acc);
        final_context_t context = of_all;
        context.arena = arena_new (1 << 14);
        for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
            value_t value;
            if (spec_is_of (spec, (aggregate_t)i)) {
                context.parameter = spec_parameter ((aggregate_t)i, &of_all.parameter);
                status_t final =
                    state_final (spec, twice, (aggregate_t)i, &context, &value, &error);
                cr_assert (final == STATUS_OK || final == STATUS_RANGE ||
                           final == STATUS_TOO_LARGE || final == STATUS_CORRUPT);
            }
        }
        arena_destroy (&context.arena);
        accumulator_destroy (spec, &twice);
    }
    accumulator_destroy (spec, &acc);
    mem_free (copy);
    return status == STATUS_OK;
}

Test (partials, random_bytes_are_refused_or_are_canonical)
{
    random_t random;
    random_seed (&random, 1);
    for (state_spec_t spec = { 0 }; spec_next (&spec);) {
        unsigned taken = 0;
        for (int round = 0; round < 4000; round++) {
            uint8_t bytes[40];
            size_t size = 1 + (size_t)random_below (&random, sizeof bytes);
            for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t)(random_next (&random) >> random_below (&random, 8));
            size = random_chance (&random, 0.5) ? 1 + size % 6 : size;
            taken += take_bytes (spec, bytes, size);
        }
        cr_assert (taken < 4000);
    }
}

Test (partials, damaged_partials_are_refused_or_are_canonical)
{
    random_t random;
    random_seed (&random, 2);
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX);
    for (state_spec_t spec = { 0 }; spec_next (&spec);) {
        for (unsigned profile = 0; profile < PROFILE_COUNT; profile++) {
            arena_t *arena = arena_new (1 << 16);
            size_t count = profile == PROFILE_ANY && state_is_large (spec) ? 4000 : 9;
            row_t *rows = rows_random (&random, arena, spec, (profile_t)profile, count);
            void *acc = accumulator_new (spec);
            accumulator_add (spec, acc, rows, count);
            text_t partial = accumulator_partial (spec, acc, &out);
            cr_assert (take_bytes (spec, out.data, partial.size));
            for (int round = 0; round < 60; round++) {
                uint8_t *copy = mem_alloc (partial.size + 2u);
                memcpy (copy, out.data, partial.size);
                for (uint64_t flips = 1 + random_below (&random, 3); flips > 0; flips--)
                    copy[random_below (&random, partial.size)] ^=
                        (uint8_t)(1u << random_below (&random, 8));
                take_bytes (spec, copy, partial.size);
                take_bytes (spec, copy, 1 + (size_t)random_below (&random, partial.size));
                copy[partial.size] = (uint8_t)random_below (&random, 2);
                take_bytes (spec, copy, partial.size + 1u);
                mem_free (copy);
            }
            accumulator_destroy (spec, &acc);
            arena_destroy (&arena);
        }
    }
    buf_release (&out);
}

static void check_float_partial (state_kind_t kind, const double *values, size_t count,
                                 const char *expected, size_t size)
{
    state_spec_t spec = { .kind = kind, .input = TYPE_FLOAT64 };
    void *acc = accumulator_new (spec);
    for (size_t i = 0; i < count; i++) {
        value_t value = { .type = TYPE_FLOAT64, .f = values[i] };
        state_add (spec, acc, &value, &(row_place_t){ -1, 200, (uint32_t)i });
    }
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX);
    text_t partial = accumulator_partial (spec, acc, &out);
    cr_assert_eq (partial.size, size, "kind %d: %u bytes", (int)kind, partial.size);
    cr_assert (memcmp (partial.data, expected, size) == 0, "kind %d", (int)kind);
    buf_release (&out);
    accumulator_destroy (spec, &acc);
}

Test (partials, of_floats_have_the_documented_bytes)
{
    static const double values[] = { 3.0, -1.5 };
    static const double specials[] = { NAN, INFINITY };
    check_float_partial (STATE_COUNT, values, 2, "\x02", 1);
    /* 1.5 is 0x180 / 2^8: two bytes from 2^-8 on */
    check_float_partial (STATE_SUM, values, 2, "\x04\x04\x01\x80\x01", 5);
    /* 11.25 is 0xb40 / 2^8 */
    check_float_partial (STATE_MOMENTS, values, 2, "\x04\x04\x01\x80\x01\x04\x01\x40\x0b", 9);
    check_float_partial (STATE_SUM, specials, 2, "\x05\x01\x01\x00\x00", 5);
    check_float_partial (STATE_MIN, values, 2, "\0\0\0\0\0\0\xf8\xbf", 8);
    check_float_partial (STATE_LAST, values, 2, "\x01\xc8\x01\x01\0\0\0\0\0\0\xf8\xbf", 12);
}

Test (partials, of_integers_have_the_documented_bytes)
{
    static const int64_t values[] = { 8, -300 };
    static const struct {
        state_kind_t kind;
        const char *bytes;
        size_t size;
    } cases[] = { { STATE_SUM, "\x02\xc7\x04", 3 },                     /* -292 is 583 */
                  { STATE_MOMENTS, "\x02\xc7\x04\x03\xd0\x5f\x01", 7 }, /* 90064 is 0x15fd0 */
                  { STATE_MAX, "\x10", 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        state_spec_t spec = { .kind = cases[i].kind, .input = TYPE_INT64 };
        void *acc = accumulator_new (spec);
        for (size_t j = 0; j < 2; j++)
            state_add (spec, acc, &(value_t){ .type = TYPE_INT64, .i = values[j] }, NULL);
        buf_t out;
        buf_init (&out, AGGREGATE_PARTIAL_MAX);
        text_t partial = accumulator_partial (spec, acc, &out);
        text_t expected = { cases[i].bytes, (uint32_t)cases[i].size };
        cr_expect (text_equal (partial, expected), "case %zu", i);
        buf_release (&out);
        accumulator_destroy (spec, &acc);
    }
}

Test (partials, of_decimals_have_the_documented_bytes)
{
    static const struct {
        state_kind_t kind;
        const char *bytes;
        size_t size;
    } cases[] = { { STATE_SUM, "\x02\x05\x24\x01", 4 },                     /* -292 is -0x124 */
                  { STATE_MOMENTS, "\x02\x05\x24\x01\x06\xd0\x5f\x01", 8 }, /* 90064 */
                  { STATE_MAX, "\x10", 1 },
                  { STATE_LAST, "\x00\x01\x00\xd7\x04", 5 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        state_spec_t spec = { .kind = cases[i].kind, .input = type_decimal (2) };
        void *acc = accumulator_new (spec);
        for (uint64_t j = 0; j < 2; j++) {
            value_t value = { .type = spec.input, .d = j == 0 ? 8 : -300 };
            state_add (spec, acc, &value, &(row_place_t){ .offset = j });
        }
        buf_t out;
        buf_init (&out, AGGREGATE_PARTIAL_MAX);
        text_t partial = accumulator_partial (spec, acc, &out);
        text_t expected = { cases[i].bytes, (uint32_t)cases[i].size };
        cr_expect (text_equal (partial, expected), "case %zu", i);
        buf_release (&out);
        accumulator_destroy (spec, &acc);
    }
}

Test (partials, of_sketches_have_the_documented_bytes)
{
    state_spec_t spec = { .kind = STATE_DISTINCT_HLL, .input = TYPE_BOOL };
    /* XXH3-64 of the keys: false 5ed93512..., true 82452dc3... So register 0x5ed with rank 1, and
     * 0x824 with rank 2. */
    text_t expected = text_of ("\x01\xc1\xf6\x05\x82\x9b\x02");
    void *acc = accumulator_new (spec);
    for (int64_t i = 0; i < 2; i++)
        state_add (spec, acc, &(value_t){ .type = TYPE_BOOL, .i = i }, NULL);
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX);
    text_t partial = accumulator_partial (spec, acc, &out);
    cr_expect (text_equal (partial, expected));
    buf_release (&out);
    accumulator_destroy (spec, &acc);
}

#define DECIMAL_2 (type_t) (DECIMAL_TYPE_BASE + 2)

Test (partials, that_no_rows_make_are_refused)
{
    static const struct {
        state_spec_t spec;
        const char *bytes;
        size_t size;
    } cases[] = {
        { { .kind = STATE_COUNT, .input = TYPE_NONE }, "\x00", 1 }, /* no rows */
        { { .kind = STATE_COUNT, .input = TYPE_NONE },
          "\x82\x00",
          2 }, /* a longer varint than needed */
        { { .kind = STATE_COUNT, .input = TYPE_NONE }, "\x01\x01", 2 }, /* bytes after the end */
        { { .kind = STATE_COUNT, .input = TYPE_NONE },
          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
          10 }, /* 2^64-1 */
        { { .kind = STATE_SUM, .input = TYPE_INT64 }, "\x00\x00", 2 },
        { { .kind = STATE_SUM, .input = TYPE_INT64 },
          "\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02",
          11 },                                                               /* 2^63 */
        { { .kind = STATE_SUM, .input = DECIMAL_2 }, "\x00\x00", 2 },         /* no rows */
        { { .kind = STATE_SUM, .input = DECIMAL_2 }, "\x01\x01", 2 },         /* minus zero */
        { { .kind = STATE_SUM, .input = DECIMAL_2 }, "\x01\x04\x01\x00", 4 }, /* a zero too many */
        { { .kind = STATE_SUM, .input = DECIMAL_2 }, "\x01\x02\x01\x00", 4 }, /* a byte too many */
        { { .kind = STATE_SUM, .input = DECIMAL_2 }, "\x01\x04\x01", 3 },     /* one too few */
        { { .kind = STATE_SUM, .input = DECIMAL_2 },                          /* one row of 10^38 */
          "\x01\x20\x00\x00\x00\x00\x40\x22\x8a\x09\x7a\xc4\x86\x5a\xa8\x4c\x3b\x4b",
          18 },
        { { .kind = STATE_MOMENTS, .input = DECIMAL_2 }, "\x01\x02\x02\x03\x04", 5 }, /* negative */
        { { .kind = STATE_MAX, .input = DECIMAL_2 },                                  /* 10^38 */
          "\x80\x80\x80\x80\x80\x90\x91\x8a\x93\xe8\xa3\xec\xd0\x96\xd4\xcc\xf6\xac\x02",
          19 },
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 }, "\x02\x01", 2 }, /* minus zero */
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
          "\x02\x04\x00\x00\x01",
          5 }, /* a first byte of 0 */
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
          "\x02\x04\x00\x01\x00",
          5 }, /* a last byte of 0 */
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
          "\x03\x00\x00\x00\x00",
          5 }, /* says NaN, has none */
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
          "\x03\x01\x01\x00\x00",
          5 }, /* 2 of 1 row not finite */
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
          "\x03\x01\x00\x00\x02\x00\x01",
          7 }, /* NaN, and a sum */
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
          "\x02\x02\x8d\x02\x01",
          5 }, /* below 2^-1074 */
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
          "\x02\x02\x90\x02\x01",
          5 }, /* above 2^1087 */
        { { .kind = STATE_MOMENTS, .input = TYPE_FLOAT64 },
          "\x02\x00\x03\x00\x01",
          5 }, /* negative squares */
        { { .kind = STATE_MOMENTS, .input = TYPE_INT64 }, "\x01\x02\x02\x01\x00", 5 },
        { { .kind = STATE_MOMENTS, .input = TYPE_INT64 },
          "\x01\x02\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x41",
          19 },
        { { .kind = STATE_SUM, .input = TYPE_FLOAT64 },
          "\x03\x01\x00\x00",
          4 }, /* ends before its sum */
        { { .kind = STATE_MOMENTS, .input = TYPE_FLOAT64 },
          "\x03\x01\x00\x00\x00",
          5 }, /* one sum of two */
        { { .kind = STATE_MIN, .input = TYPE_FLOAT64 }, "\0\0\0\0\0\0\0\x80", 8 }, /* -0.0 */
        { { .kind = STATE_MIN, .input = TYPE_FLOAT64 },
          "\x01\0\0\0\0\0\xf8\x7f",
          8 }, /* another NaN */
        { { .kind = STATE_MIN, .input = TYPE_BOOL }, "\x02", 1 },
        { { .kind = STATE_MIN, .input = TYPE_STRING }, "\x02z", 2 },
        { { .kind = STATE_FIRST, .input = TYPE_BOOL },
          "\x00\x00\x80\x80\x80\x80\x10\x00",
          8 }, /* row 2^32 */
        { { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 }, "\x01", 1 },
        { { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 }, "\x03\x01", 2 },
        { { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 }, "\x01\x36", 2 }, /* rank 54 */
        { { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 }, "\x01\x40", 2 }, /* rank 0 */
        { { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 },
          "\x01\x81\x80\x10",
          4 }, /* register 4096 */
        { { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 }, "\x02\x01", 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect (!take_bytes (cases[i].spec, (const uint8_t *)cases[i].bytes, cases[i].size),
                   "case %zu", i);
}

Test (partials, of_too_many_rows_together_are_refused)
{
    state_spec_t spec = { .kind = STATE_COUNT, .input = TYPE_NONE };
    static const char most[] = "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"; /* 2^63 - 1 */
    void *acc = accumulator_new (spec);
    error_t error;
    value_t value;
    cr_assert_eq (state_merge_partial (spec, acc, text_of (most), &error), STATUS_OK);
    cr_assert_eq (state_final (spec, acc, AGGREGATE_COUNT, &of_all, &value, &error), STATUS_OK);
    cr_assert_eq (value.i, INT64_MAX);
    cr_assert_eq (state_merge_partial (spec, acc, text_of ("\x01"), &error), STATUS_CORRUPT);
    accumulator_destroy (spec, &acc);
}

Test (partials, dense_sketches_of_few_registers_are_refused)
{
    state_spec_t spec = { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 };
    uint8_t bytes[3073] = { 2 };
    cr_assert (!take_bytes (spec, bytes, sizeof bytes));
    memset (bytes + 1, 0xf3, 3072); /* ranks over 53 */
    cr_assert (!take_bytes (spec, bytes, sizeof bytes));
    memset (bytes + 1, 0x41, 3072); /* ranks 1, 5, 20, 16 */
    cr_assert (take_bytes (spec, bytes, sizeof bytes));
    cr_assert (!take_bytes (spec, bytes, sizeof bytes - 1));
}
