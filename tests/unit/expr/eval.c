#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define RESULT(text, wanted) cr_assert_str_eq (result (text), wanted, "%s: %s", text, result (text))

Test (eval, three_valued_logic_is_that_of_sql)
{
    static const char *const words[] = { "false", "null", "true" };
    /* with false 0, null 1, true 2: and is the lesser, or the greater, not 2 - x */
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            char text[64];
            snprintf (text, sizeof text, "%s and %s", words[a], words[b]);
            RESULT (text, words[a < b ? a : b]);
            snprintf (text, sizeof text, "%s or %s", words[a], words[b]);
            RESULT (text, words[a > b ? a : b]);
        }
        char text[64];
        snprintf (text, sizeof text, "not %s", words[a]);
        RESULT (text, words[2 - a]);
    }
    RESULT ("flag and ok", "null");
    RESULT ("flag or ok", "true");
    RESULT ("not flag and ok", "false");
    RESULT ("not ok", "null");
}

Test (eval, null_goes_through_operators_and_stops_at_is)
{
    RESULT ("i + null", "null");
    RESULT ("-null", "null");
    RESULT ("null = null", "null");
    RESULT ("merchant = s", "null");
    RESULT ("merchant <> s", "null");
    RESULT ("merchant is null", "true");
    RESULT ("merchant is not null", "false");
    RESULT ("s is null", "false");
    RESULT ("null is null", "true");
    RESULT ("merchant is distinct from s", "true");
    RESULT ("merchant is distinct from null", "false");
    RESULT ("merchant is not distinct from null", "true");
    RESULT ("s is distinct from null", "true");
    RESULT ("s is distinct from 'abc'", "false");
    RESULT ("null is distinct from null", "false");
    RESULT ("gap + d", "null");
    RESULT ("ts - seen", "null");
    RESULT ("coalesce(merchant, s)", "'abc'");
    RESULT ("coalesce(merchant, null, 'z')", "'z'");
    RESULT ("coalesce(merchant)", "null");
    RESULT ("coalesce(null, i)", "7");
    RESULT ("coalesce(null, i, 1.5)", "7.0");
    RESULT ("lower(merchant)", "null");
    RESULT ("lower(null)", "null");
    RESULT ("sqrt(null)", "null");
    RESULT ("starts_with(merchant, 'a')", "null");
    RESULT ("starts_with(s, merchant)", "null");
    RESULT ("null", "null");
}

Test (eval, in_is_null_when_nothing_is_equal_and_something_unknown)
{
    RESULT ("i in (1, 7)", "true");
    RESULT ("i in (1, 2)", "false");
    RESULT ("i in (1, null)", "null");
    RESULT ("i in (7, null)", "true");
    RESULT ("i in (null, 7)", "true");
    RESULT ("i not in (1, null)", "null");
    RESULT ("i not in (1, 2)", "true");
    RESULT ("merchant in ('a', 'b')", "null");
    RESULT ("null in (1, 2)", "null");
    RESULT ("i in (7.0)", "true");
    RESULT ("amount in (2, 2.5)", "true");
    RESULT ("s in ('x', lower('ABC'))", "true");
    RESULT ("f in (f)", "true");
}

Test (eval, what_has_no_result_is_null)
{
    RESULT ("9223372036854775807 + 1", "null");
    RESULT ("-9223372036854775808 - 1", "null");
    RESULT ("9223372036854775807 * 2", "null");
    RESULT ("-(-9223372036854775808)", "null");
    RESULT ("abs(-9223372036854775808)", "null");
    RESULT ("-9223372036854775808 % -1", "0");
    RESULT ("i % 0", "null");
    RESULT ("i / 0", "null");
    RESULT ("i / 0.0", "null");
    RESULT ("amount % 0", "null");
    RESULT ("f / 0", "null");
    RESULT ("d / 0s", "null");
    RESULT ("sqrt(-1)", "null");
    RESULT ("time '9999-12-31' + 9223372036854775807us", "null");
}

Test (eval, arithmetic_gives_the_documented_types_and_values)
{
    RESULT ("i / 2", "3.5");
    RESULT ("-7 % 3", "-1");
    RESULT ("-7.5 % 2", "-1.5");
    RESULT ("i + 0.5", "7.5");
    RESULT ("0 * -1.5", "0.0");
    RESULT ("-amount", "-2.5");
    RESULT ("1e308 * 10", "Infinity");
    RESULT ("1e308 * 10 - 1e308 * 10", "NaN");
    RESULT ("abs(-2.5)", "2.5");
    RESULT ("abs(-3)", "3");
    RESULT ("abs(0s - d)", "2000000");
    RESULT ("floor(-2.5)", "-3.0");
    RESULT ("floor(-0.0)", "0.0");
    RESULT ("floor(i)", "7");
    RESULT ("sqrt(i + 2)", "3.0");
    RESULT ("ts - 1s", "9000000");
    RESULT ("ts - time '1970-01-01T00:00:01Z'", "9000000");
    RESULT ("ts + d > ts", "true");
    RESULT ("d * 3", "6000000");
    RESULT ("(d + 1s) / 2s", "1.5");
    RESULT ("1w / 1d", "7.0");
    RESULT ("lower('ABCÉz')", "'abcÉz'");
    RESULT ("upper('abcéZ')", "'ABCéZ'");
    RESULT ("starts_with(s, 'ab')", "true");
    RESULT ("starts_with(s, 'abcd')", "false");
    RESULT ("starts_with(s, '')", "true");
}

Test (eval, nan_is_equal_to_itself_and_above_all)
{
    RESULT ("f = f", "true");
    RESULT ("f <> f", "false");
    RESULT ("f > 1e308", "true");
    RESULT ("f > 1e308 * 10", "true");
    RESULT ("1e308 * 10 < f", "true");
    RESULT ("f > i", "true");
    RESULT ("i >= f", "false");
    RESULT ("f is distinct from f", "false");
    RESULT ("f is distinct from amount", "true");
}

Test (eval, an_int64_and_a_float64_compare_exactly)
{
    RESULT ("9007199254740993 = 9007199254740992.0", "false");
    RESULT ("9007199254740993 > 9007199254740992.0", "true");
    RESULT ("9007199254740992 = 9007199254740992.0", "true");
    RESULT ("9223372036854775807 = 9223372036854775808.0", "false");
    RESULT ("9223372036854775807 < 9223372036854775808.0", "true");
    RESULT ("9223372036854775808.0 > 9223372036854775807", "true");
    RESULT ("-9223372036854775808 = -9223372036854775808.0", "true");
    RESULT ("-9223372036854775808 > -9223372036854777856.0", "true");
    RESULT ("i < 7.5", "true");
    RESULT ("-7 > -7.5", "true");
    RESULT ("7.5 <= i", "false");
    RESULT ("9007199254740993 in (9007199254740992.0)", "false");
    RESULT ("9007199254740993 is distinct from 9007199254740992.0", "true");
}

Test (eval, strings_compare_as_bytes)
{
    RESULT ("'B' < 'a'", "true");
    RESULT ("'a' < 'ab'", "true");
    RESULT ("'' < 'a'", "true");
    RESULT ("'z' < 'é'", "true");
    RESULT ("'it''s' = 'it''s'", "true");
    RESULT ("'a' <> 'b'", "true");
}

Test (eval, no_rows_give_an_empty_column)
{
    arena_t *arena = arena_new (1024);
    column_t columns[FIELD_COUNT];
    for (size_t k = 0; k < FIELD_COUNT; k++)
        columns[k] = column_new (arena, field_types[k], 0);
    expr_t *expr = parse ("lower(s) in ('x', upper(merchant))");
    column_t column = expr_eval (expr, columns, 0, arena);
    cr_assert_eq (column.type, TYPE_BOOL);
    expr_destroy (&expr);
    arena_destroy (&arena);
}

Test (eval, the_result_is_a_column_of_its_own)
{
    arena_t *arena = arena_new (1024);
    column_t columns[FIELD_COUNT];
    for (size_t k = 0; k < FIELD_COUNT; k++)
        columns[k] = column_new (arena, field_types[k], 3);
    static const char *const texts[] = { "i", "5", "coalesce(i)" };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        expr_t *expr = parse (texts[k]);
        column_t column = expr_eval (expr, columns, 3, arena);
        cr_assert_neq (column.i, columns[FIELD_i].i);
        cr_assert_eq (column.valid[2], k == 1);
        cr_assert_eq (column.i[2], k == 1 ? 5 : 0);
        expr_destroy (&expr);
    }
    arena_destroy (&arena);
}
