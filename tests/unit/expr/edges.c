/* Single functions over values chosen to lie at their edges, against the naive evaluation: what
 * random trees of everything seldom come to. */
#include "base/mem.h"
#include "base/timestamp.h"
#include "naive.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 4000 };

typedef struct edges {
    random_t random;
    arena_t *arena;
    column_t columns[FIELD_COUNT];
} edges_t;

static void begin (edges_t *self, uint64_t seed)
{
    random_seed (&self->random, seed);
    self->arena = arena_new (1 << 20);
    for (size_t k = 0; k < FIELD_COUNT; k++)
        self->columns[k] = column_new (self->arena, field_types[k], ROWS);
}

static void end (edges_t *self)
{
    arena_destroy (&self->arena);
}

static void set (edges_t *self, field_t field, size_t row, value_t value)
{
    value.type = field_types[field];
    column_set (&self->columns[field], row, &value);
}

/* `op` applied to `count` fields. */
static void compare (edges_t *self, const char *op, bool call, size_t count, const field_t *fields)
{
    tree_t children[TREE_CHILDREN_MAX] = { 0 };
    tree_t tree = { .op = op, .count = count, .call = call };
    for (size_t k = 0; k < count; k++) {
        children[k] = (tree_t){ .op = "field", .type = field_types[fields[k]], .field = fields[k] };
        tree.child[k] = &children[k];
    }
    buf_t text;
    buf_init (&text, 4096);
    write_tree (&text, &tree);
    expr_t *expr = parse (buf_string (&text));
    tree.type = expr_type (expr);
    column_t got = expr_eval (expr, self->columns, ROWS, self->arena);
    for (size_t r = 0; r < ROWS; r++) {
        value_t wanted = naive (&tree, self->columns, r, self->arena);
        value_t cell = column_get (&got, r);
        wanted.type = tree.type;
        if (!cell.null && !wanted.null && value_equal (&cell, &wanted))
            continue;
        cr_assert (cell.null && wanted.null, "%s, row %zu: %a, %a, %lld, '%.*s', '%.*s'",
                   buf_string (&text), r, self->columns[FIELD_amount].f[r],
                   self->columns[FIELD_f].f[r], (long long)self->columns[FIELD_i].i[r],
                   TEXT_ARGS (self->columns[FIELD_s].s[r]),
                   TEXT_ARGS (self->columns[FIELD_merchant].s[r]));
    }
    buf_release (&text);
    expr_destroy (&expr);
}

#define COMPARE(self, op, call, ...)                                                               \
    compare (self, op, call, sizeof ((field_t[]){ __VA_ARGS__ }) / sizeof (field_t),               \
             (field_t[]){ __VA_ARGS__ })

/* A number that a rounding to decimals is likely to be wrong about. */
static double decimal_tie (random_t *random)
{
    char text[64];
    snprintf (text, sizeof text, "%llu.%0*llu5", (unsigned long long)random_below (random, 5000),
              (int)random_below (random, 12), (unsigned long long)random_below (random, 1000));
    double value = strtod (text, NULL);
    if (random_chance (random, 0.3)) /* a tie that there is in binary */
        value = ldexp ((double)random_below (random, 1 << 20), -(int)random_below (random, 12));
    if (random_chance (random, 0.3))
        value = ldexp (value, (int)random_below (random, 120) - 60);
    if (random_chance (random, 0.2))
        value *= 100000;
    if (random_chance (random, 0.3))
        value = nextafter (value, random_chance (random, 0.5) ? 0 : INFINITY);
    return random_chance (random, 0.5) ? value : value_float (-value);
}

Test (edges, decimals_are_rounded_by_their_exact_value)
{
    edges_t edges;
    begin (&edges, 31);
    for (size_t r = 0; r < ROWS; r++) {
        int64_t digits = (int64_t)random_below (&edges.random, 50) - 25;
        int64_t fives = (int64_t)random_next (&edges.random) >> random_below (&edges.random, 60);
        if (random_chance (&edges.random, 0.7))
            digits = (int64_t)random_below (&edges.random, 10) - 4;
        if (random_chance (&edges.random, 0.5))
            fives = (int64_t)random_below (&edges.random, 2000) * 5 - 5000;
        set (&edges, FIELD_amount, r, (value_t){ .f = decimal_tie (&edges.random) });
        set (&edges, FIELD_i, r, (value_t){ .i = digits });
        set (&edges, FIELD_j, r, (value_t){ .i = fives });
    }
    COMPARE (&edges, "round", true, FIELD_amount, FIELD_i);
    COMPARE (&edges, "round", true, FIELD_j, FIELD_i);
    COMPARE (&edges, "round", true, FIELD_amount);
    COMPARE (&edges, "floor", true, FIELD_amount);
    COMPARE (&edges, "ceil", true, FIELD_amount);
    COMPARE (&edges, "trunc", true, FIELD_amount);
    end (&edges);
}

/* Of any size, near 0 and 1, at the ends of the range, subnormal. */
static double any_size (random_t *random)
{
    double part = (double)random_below (random, UINT64_C (1) << 53) * 0x1p-53;
    double value;
    switch (random_below (random, 7)) {
    case 0:
        value = ldexp (part, (int)random_below (random, 2100) - 1060);
        break;
    case 1:
        value = 1 + ldexp (part, -(int)random_below (random, 60));
        break;
    case 2:
        value = 700 + 60 * part;
        break;
    case 3:
        value = (double)random_below (random, 5000) * 0x1p-1074;
        break;
    case 4:
        value = (double)random_below (random, 1200);
        break;
    case 5:
        value = 1020 + 60 * part;
        break;
    default:
        value = random_value (random, TYPE_FLOAT64).f;
        break;
    }
    return value_float (random_chance (random, 0.5) ? value : -value);
}

Test (edges, transcendental_functions_are_correctly_rounded_subnormals_too)
{
    static const char *const functions[] = { "acos", "asin",  "atan",  "cos",  "exp", "expm1",
                                             "ln",   "log10", "log1p", "log2", "sin", "tan" };
    edges_t edges;
    begin (&edges, 32);
    for (size_t r = 0; r < ROWS; r++) {
        set (&edges, FIELD_amount, r, (value_t){ .f = any_size (&edges.random) });
        set (&edges, FIELD_f, r, (value_t){ .f = any_size (&edges.random) });
        if (random_chance (&edges.random, 0.3)) /* a power that is subnormal */
            set (&edges, FIELD_amount, r, (value_t){ .f = 2.0 });
    }
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        COMPARE (&edges, functions[k], true, FIELD_amount);
    COMPARE (&edges, "exp", true, FIELD_f);
    COMPARE (&edges, "pow", true, FIELD_amount, FIELD_f);
    COMPARE (&edges, "atan2", true, FIELD_amount, FIELD_f);
    end (&edges);
}

/* Of few letters, so that parts are found; characters of one to four bytes. */
static text_t few_letters (edges_t *self, const char *const *letters, size_t count, size_t most)
{
    buf_t buf;
    buf_init (&buf, 1000);
    for (size_t size = random_below (&self->random, most + 1); size > 0; size--)
        buf_put_string (&buf, letters[random_below (&self->random, count)]);
    text_t text = arena_text (self->arena, (text_t){ (const char *)buf.data, (uint32_t)buf.size });
    buf_release (&buf);
    return text;
}

Test (edges, patterns_match_as_a_plain_matcher_says)
{
    static const char *const letters[] = { "a", "é", "🙂", "%", "_", "\\" };
    edges_t edges;
    begin (&edges, 33);
    for (size_t r = 0; r < ROWS; r++) {
        text_t text = few_letters (&edges, letters, 3 + random_below (&edges.random, 4), 6);
        text_t pattern = few_letters (&edges, letters, 6, 7);
        set (&edges, FIELD_s, r, (value_t){ .s = text });
        set (&edges, FIELD_merchant, r, (value_t){ .s = pattern });
    }
    COMPARE (&edges, "like", false, FIELD_s, FIELD_merchant);
    COMPARE (&edges, "not like", false, FIELD_s, FIELD_merchant);
    end (&edges);
}

Test (edges, parts_of_strings_are_counted_in_characters)
{
    static const char *const letters[] = { "a", "b", "é", "🙂", " " };
    edges_t edges;
    begin (&edges, 34);
    for (size_t r = 0; r < ROWS; r++) {
        size_t kinds = 2 + random_below (&edges.random, 4);
        set (&edges, FIELD_s, r, (value_t){ .s = few_letters (&edges, letters, kinds, 9) });
        set (&edges, FIELD_merchant, r, (value_t){ .s = few_letters (&edges, letters, kinds, 2) });
        value_t i = random_value (&edges.random, TYPE_INT64);
        value_t j = random_value (&edges.random, TYPE_INT64);
        set (&edges, FIELD_i, r, i);
        set (&edges, FIELD_j, r, j);
    }
    COMPARE (&edges, "length", true, FIELD_s);
    COMPARE (&edges, "substring", true, FIELD_s, FIELD_i);
    COMPARE (&edges, "substring", true, FIELD_s, FIELD_i, FIELD_j);
    COMPARE (&edges, "left", true, FIELD_s, FIELD_i);
    COMPARE (&edges, "right", true, FIELD_s, FIELD_i);
    COMPARE (&edges, "trim", true, FIELD_s);
    COMPARE (&edges, "trim", true, FIELD_s, FIELD_merchant);
    COMPARE (&edges, "ltrim", true, FIELD_s, FIELD_merchant);
    COMPARE (&edges, "rtrim", true, FIELD_s, FIELD_merchant);
    COMPARE (&edges, "contains", true, FIELD_s, FIELD_merchant);
    COMPARE (&edges, "starts_with", true, FIELD_s, FIELD_merchant);
    COMPARE (&edges, "ends_with", true, FIELD_s, FIELD_merchant);
    COMPARE (&edges, "position", true, FIELD_s, FIELD_merchant);
    COMPARE (&edges, "split_part", true, FIELD_s, FIELD_merchant, FIELD_i);
    COMPARE (&edges, "replace", true, FIELD_s, FIELD_merchant, FIELD_s);
    end (&edges);
}

Test (edges, a_string_over_the_limit_is_null)
{
    const char *doubled = "s || s";
    arena_t *arena = arena_new (1 << 16);
    column_t columns[FIELD_COUNT];
    for (size_t k = 0; k < FIELD_COUNT; k++)
        columns[k] = column_new (arena, field_types[k], 2);
    char *bytes = mem_zero (8193, 1);
    memset (bytes, 'x', 8193);
    column_set (&columns[FIELD_s], 0, &(value_t){ .type = TYPE_STRING, .s = { bytes, 8192 } });
    column_set (&columns[FIELD_s], 1, &(value_t){ .type = TYPE_STRING, .s = { bytes, 8193 } });
    expr_t *expr = parse (doubled);
    column_t got = expr_eval (expr, columns, 2, arena);
    cr_assert (got.valid[0] && got.s[0].size == 16384);
    cr_assert (!got.valid[1] && got.s[1].size == 0);
    expr_destroy (&expr);
    expr = parse ("replace(s, 'x', 'yy')");
    got = expr_eval (expr, columns, 2, arena);
    cr_assert (got.valid[0] && got.s[0].size == 16384);
    cr_assert (!got.valid[1]);
    expr_destroy (&expr);
    mem_free (bytes);
    arena_destroy (&arena);
}

/* µs of what the C library's clock shows, as if it were UTC. */
static int64_t clock_at (int64_t utc)
{
    time_t seconds = utc / TIME_SECOND;
    struct tm shown;
    localtime_r (&seconds, &shown);
    return timegm (&shown) * TIME_SECOND;
}

/* Minute by minute. */
static int64_t first_showing (int64_t local)
{
    int64_t utc = local - 27 * TIME_HOUR;
    while (clock_at (utc) < local)
        utc += TIME_MINUTE;
    return utc;
}

static int64_t day_of (int64_t utc)
{
    time_t seconds = utc / TIME_SECOND;
    struct tm shown;
    localtime_r (&seconds, &shown);
    shown.tm_hour = shown.tm_min = shown.tm_sec = 0;
    return timegm (&shown) * TIME_SECOND;
}

Test (edges, days_begin_when_the_clock_first_shows_them)
{
    static const char *const zones[] = { "Europe/Berlin", "America/Sao_Paulo", "America/Havana",
                                         "Asia/Beirut",   "Pacific/Apia",      "Asia/Amman" };
    random_t random;
    random_seed (&random, 35);
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        setenv ("TZ", zones[z], 1);
        tzset ();
        char *text = mem_format ("date_trunc('day', ts, '%s')", zones[z]);
        expr_t *expr = parse (text);
        for (int round = 0; round < 60; round++) {
            arena_t *arena = arena_new (1 << 12);
            column_t columns[FIELD_COUNT];
            for (size_t k = 0; k < FIELD_COUNT; k++)
                columns[k] = column_new (arena, field_types[k], 1);
            /* near a change of the clock */
            int64_t utc = (int64_t)random_below (&random, 2000000000) * TIME_SECOND;
            int64_t later = utc + 200 * TIME_DAY;
            while (later - utc > TIME_MINUTE) {
                int64_t middle = utc + (later - utc) / 2;
                bool same = clock_at (middle) - middle == clock_at (utc) - utc;
                *(same ? &utc : &later) = middle / TIME_SECOND * TIME_SECOND;
            }
            utc += (int64_t)random_below (&random, 2 * TIME_DAY) - TIME_DAY;
            if (utc < 0)
                continue;
            column_set (&columns[FIELD_ts], 0, &(value_t){ .type = TYPE_TIMESTAMP, .i = utc });
            column_t got = expr_eval (expr, columns, 1, arena);
            cr_assert (got.valid[0]);
            cr_assert_eq (got.i[0], first_showing (day_of (utc)), "%s: %lld gives %lld", zones[z],
                          (long long)utc, (long long)got.i[0]);
            arena_destroy (&arena);
        }
        expr_destroy (&expr);
        mem_free (text);
    }
}
