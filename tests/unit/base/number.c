#include "base/number.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool parses_int (const char *text, int64_t expected)
{
    int64_t value;
    return number_parse_int (text_of (text), &value) && value == expected;
}

static bool refuses_int (const char *text)
{
    int64_t value;
    return !number_parse_int (text_of (text), &value);
}

Test (number, integers_are_read_to_the_last_one)
{
    cr_assert (parses_int ("0", 0));
    cr_assert (parses_int ("-0", 0));
    cr_assert (parses_int ("+12", 12));
    cr_assert (parses_int ("007", 7));
    cr_assert (parses_int ("9223372036854775807", INT64_MAX));
    cr_assert (parses_int ("-9223372036854775808", INT64_MIN));
    cr_assert (refuses_int ("9223372036854775808"));
    cr_assert (refuses_int ("-9223372036854775809"));
    cr_assert (refuses_int ("99999999999999999999"));
}

Test (number, what_is_not_an_integer_is_refused)
{
    static const char *const texts[] = { "", "-", "+", " 1", "1 ", "1.0", "0x10", "1e3", "--1" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert (refuses_int (texts[i]), "%s", texts[i]);
    cr_assert_not (number_parse_int ((text_t){ "1\0", 2 }, &(int64_t){ 0 }));
    cr_assert_not (number_parse_int ((text_t){ NULL, 0 }, &(int64_t){ 0 }));
}

static bool parses_float (const char *text, double expected)
{
    double value;
    if (!number_parse_float (text_of (text), &value))
        return false;
    return (isnan (value) && isnan (expected)) || memcmp (&value, &expected, sizeof value) == 0;
}

Test (number, floats_are_read_in_every_spelling)
{
    cr_assert (parses_float ("1", 1));
    cr_assert (parses_float ("-1.5", -1.5));
    cr_assert (parses_float ("+.5", 0.5));
    cr_assert (parses_float ("5.", 5));
    cr_assert (parses_float ("1E3", 1000));
    cr_assert (parses_float ("1e-3", 0.001));
    cr_assert (parses_float ("-0", -0.0));
    cr_assert (parses_float ("1e400", INFINITY));
    cr_assert (parses_float ("NaN", NAN));
    cr_assert (parses_float ("-nan", NAN));
    cr_assert (parses_float ("Infinity", INFINITY));
    cr_assert (parses_float ("-INF", -INFINITY));
    cr_assert (parses_float ("9007199254740993", 9007199254740992.0));
    cr_assert (parses_float ("2.2250738585072011e-308", 0x0.fffffffffffffp-1022));
}

/* Short texts take a way of their own; strtod is the judge. */
Test (number, short_decimals_are_correctly_rounded)
{
    random_t random;
    random_seed (&random, 12);
    for (int i = 0; i < 100000; i++) {
        char text[64];
        int digits = (int)random_below (&random, 19) + 1, size = 0;
        int point = (int)random_below (&random, 20);
        for (int j = 0; j < digits; j++) {
            if (j == point)
                text[size++] = '.';
            text[size++] = (char)('0' + random_below (&random, 10));
        }
        text[size] = '\0';
        cr_assert (parses_float (text, strtod (text, NULL)), "%s", text);
    }
}

Test (number, long_decimals_are_correctly_rounded)
{
    char text[2000] = "0.";
    memset (text + 2, '0', 1500);
    strcpy (text + 1502, "1e1501");
    cr_assert (parses_float (text, 1));
}

Test (number, what_is_not_a_float_is_refused)
{
    static const char *const texts[] = { "",   ".",   "-",     "e5",      "1e",    "1e+", " 1",
                                         "1 ", "0x1", "1.2.3", "infinit", "nan()", "1,5", "1d" };
    double value;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert_not (number_parse_float (text_of (texts[i]), &value), "%s", texts[i]);
    cr_assert_not (number_parse_float ((text_t){ "1\0", 2 }, &value));
}

static const char *formatted (buf_t *out, double value)
{
    buf_clear (out);
    number_format_float (out, value);
    return buf_string (out);
}

Test (number, floats_are_printed_for_people)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        { 12.5, "12.5" },
        { 3, "3.0" },
        { 1e300, "1e+300" },
        { 0, "0.0" },
        { -0.0, "-0.0" },
        { 0.1, "0.1" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 100, "100.0" },
        { 1e15, "1000000000000000.0" },
        { 1e16, "1e+16" },
        { 123456789012345680.0, "1.2345678901234568e+17" },
        { 1e-4, "0.0001" },
        { 1.25e-5, "1.25e-05" },
        { 5e-324, "5e-324" },
        { DBL_MAX, "1.7976931348623157e+308" },
        { 0x1p-44, "5.684341886080802e-14" },
        { DBL_MIN, "2.2250738585072014e-308" },
        { NAN, "NaN" },
        { INFINITY, "Infinity" },
        { -INFINITY, "-Infinity" },
        { -1234.5678, "-1234.5678" },
    };
    buf_t out;
    buf_init (&out, 100);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_str_eq (formatted (&out, cases[i].value), cases[i].text);
    buf_release (&out);
}

/* Of any bits, of numbers with few decimals, and of powers of two, where spacing changes. */
static double any_float (random_t *random)
{
    uint64_t bits = random_next (random);
    double value;
    switch (random_below (random, 5)) {
    case 0:
        return (double)(int64_t)(bits >> random_below (random, 64)) / 100;
    case 3:
        return (double)(bits >> random_below (random, 64)) / pow (10, (double)(bits % 9));
    case 1:
        return ldexp (1, (int)random_below (random, 2098) - 1074);
    case 2:
        bits &= UINT64_MAX >> 12; /* subnormal */
        break;
    default:
        break;
    }
    memcpy (&value, &bits, sizeof value);
    return value;
}

static int digits_of (const char *text)
{
    int digits = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9') {
            digits += digits > 0 || *text != '0';
            zeros = *text == '0' ? zeros + 1 : 0;
        }
    }
    return digits > zeros ? digits - zeros : 1;
}

/* Does no decimal with fewer digits, just below or above, read back as `value`? */
static bool is_shortest (double value, int digits)
{
    char text[64];
    if (digits == 1)
        return true;
    snprintf (text, sizeof text, "%.*e", digits - 2, value);
    if (strtod (text, NULL) == value)
        return false;
    /* the neighbours of the nearest one */
    char *mark = strchr (text, 'e');
    double unit = pow (10, atoi (mark + 1) - (digits - 2));
    for (int step = -1; step <= 1; step += 2) {
        snprintf (text, sizeof text, "%.*e", digits - 2, value + step * unit);
        if (strtod (text, NULL) == value)
            return false;
    }
    return true;
}

Test (number, floats_read_back_and_are_shortest)
{
    random_t random;
    random_seed (&random, 11);
    buf_t out;
    buf_init (&out, 100);
    for (int i = 0; i < 100000; i++) {
        double value = any_float (&random), back;
        const char *text = formatted (&out, value);
        cr_assert (number_parse_float (text_of (text), &back), "%s", text);
        if (isnan (value))
            continue;
        cr_assert_eq (memcmp (&back, &value, sizeof value), 0, "%a was printed as %s", value, text);
        if (isfinite (value) && value != 0 && !is_shortest (value, digits_of (text)))
            cr_assert_fail ("%a was printed as %s", value, text);
    }
    buf_release (&out);
}

Test (number, the_locale_does_not_matter)
{
    if (!setlocale (LC_ALL, "de_DE.UTF-8") && !setlocale (LC_ALL, "fr_FR.UTF-8"))
        cr_skip_test ("no locale with a decimal comma is installed");
    buf_t out;
    buf_init (&out, 100);
    cr_assert_str_eq (formatted (&out, 0.1), "0.1");
    cr_assert (parses_float ("2.5", 2.5));
    buf_release (&out);
}

Test (number, json_strings_are_escaped_and_repaired)
{
    buf_t out;
    buf_init (&out, 200);
    number_format_json_string (
        &out, (text_t){ "a\"\\/\b\f\n\r\t\0\x1f\x7f\xe2\x82\xac\xff\xe2\x82", 18 });
    cr_assert_str_eq (buf_string (&out), "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\xe2\x82\xac"
                                         "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    buf_clear (&out);
    number_format_json_string (&out, (text_t){ NULL, 0 });
    cr_assert_str_eq (buf_string (&out), "\"\"");
    buf_release (&out);
}
