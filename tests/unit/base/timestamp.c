#include "base/timestamp.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>

static int64_t parsed (const char *text)
{
    error_t error;
    int64_t time;
    status_t status = time_parse (text_of (text), NULL, UNIT_MS, &time, &error);
    cr_assert_eq (status, STATUS_OK, "%s: %s", text, error.text);
    return time;
}

Test (timestamp, forms_of_time_are_read)
{
    const int64_t second = INT64_C (1767323045) * TIME_SECOND; /* 2026-01-02T03:04:05Z */
    cr_assert_eq (parsed ("2026-01-02T03:04:05Z"), second);
    cr_assert_eq (parsed ("2026-01-02t03:04:05z"), second);
    cr_assert_eq (parsed ("2026-01-02T03:04:05.678+01:00"), second - TIME_HOUR + 678 * TIME_MS);
    cr_assert_eq (parsed ("2026-01-02 03:04:05-00:30"), second + 30 * TIME_MINUTE);
    cr_assert_eq (parsed ("2026-01-02 03:04:05"), second);
    cr_assert_eq (parsed ("2026-01-02T03:04:05.1234569"), second + 123456);
    cr_assert_eq (parsed ("2026-01-02"),
                  second - 3 * TIME_HOUR - 4 * TIME_MINUTE - 5 * TIME_SECOND);
    cr_assert_eq (parsed ("1767323045000"), second);
    cr_assert_eq (parsed ("-1"), -TIME_MS);
    cr_assert_eq (parsed ("9999-12-31T23:59:59.999999Z"), TIME_EVENT_MAX);
    cr_assert_eq (parsed ("1970-01-01T00:00:00Z"), TIME_EVENT_MIN);
    cr_assert_eq (parsed ("2024-02-29"), parsed ("2024-03-01") - TIME_DAY);
}

Test (timestamp, a_leap_second_is_the_last_microsecond_before_it)
{
    cr_assert_eq (parsed ("2016-12-31T23:59:60Z"), parsed ("2017-01-01T00:00:00Z") - 1);
    cr_assert_eq (parsed ("2016-12-31T23:59:60.5Z"), parsed ("2017-01-01T00:00:00Z") - 1);
}

Test (timestamp, what_is_not_a_time_is_refused)
{
    static const char *const texts[] = {
        "",
        "x",
        "2026", /* an integer */
        "2026-1-2",
        "2026-13-01",
        "2026-00-01",
        "2026-02-29",
        "2026-01-32",
        "2026-01-00",
        "2026-01-02T",
        "2026-01-02T03:04",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:00Z",
        "2026-01-02T03:04:61Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05+1:00",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+01:60",
        "2026-01-02T03:04:05Z ",
        " 2026-01-02",
        "2026-01-02Z",
        "2026/01/02",
        "-",
        "1.5",
        "2026-01-02_03:04:05",
        "12026-01-02",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        error_t error;
        int64_t time;
        status_t status = time_parse (text_of (texts[i]), NULL, UNIT_S, &time, &error);
        if (i == 2)
            cr_assert_eq (time, 2026 * TIME_SECOND);
        else
            cr_assert_eq (status, STATUS_INVALID, "%s", texts[i]);
    }
    error_t error;
    int64_t time;
    cr_assert_eq (time_parse (text_of ("99999999999999999999"), NULL, UNIT_US, &time, &error),
                  STATUS_RANGE);
    cr_assert_eq (time_parse ((text_t){ "2026-01-02\0", 11 }, NULL, UNIT_S, &time, &error),
                  STATUS_INVALID);
    cr_assert_eq (time_parse ((text_t){ "2026-01-02\0"
                                        "03:04:05",
                                        19 },
                              NULL, UNIT_S, &time, &error),
                  STATUS_INVALID);
}

Test (timestamp, integers_have_a_unit)
{
    error_t error;
    int64_t time;
    time_unit_t unit;
    cr_assert (time_unit_from_word (text_of ("ns"), &unit));
    cr_assert_eq (time_from_integer (-1, unit, &time, &error), STATUS_OK);
    cr_assert_eq (time, -1, "rounds towards minus infinity");
    cr_assert_eq (time_from_integer (1999, unit, &time, &error), STATUS_OK);
    cr_assert_eq (time, 1);
    cr_assert (time_unit_from_word (text_of ("s"), &unit));
    cr_assert_eq (time_from_integer (INT64_MAX / TIME_SECOND, unit, &time, &error), STATUS_OK);
    cr_assert_eq (time_from_integer (INT64_MAX / TIME_SECOND + 1, unit, &time, &error),
                  STATUS_RANGE);
    cr_assert_not (time_unit_from_word (text_of ("m"), &unit));
}

/* µs of the year 0 and of the year 10000. */
static const int64_t year_0 = INT64_C (-62167219200) * TIME_SECOND;
static const int64_t year_10000 = TIME_EVENT_MAX + 1;

Test (timestamp, formatted_times_are_read_back)
{
    random_t random;
    random_seed (&random, 21);
    buf_t out;
    buf_init (&out, 100);
    for (int i = 0; i < 100000; i++) {
        int64_t time = year_0 + (int64_t)random_below (&random, (uint64_t)(year_10000 - year_0));
        buf_clear (&out);
        time_format (&out, time);
        cr_assert_eq (out.size, strlen ("2026-01-02T03:04:05.000000Z"));
        cr_assert_eq (parsed (buf_string (&out)), time);
    }
    buf_release (&out);
}

Test (timestamp, times_sort_as_their_texts)
{
    random_t random;
    random_seed (&random, 22);
    buf_t a, b;
    buf_init (&a, 100);
    buf_init (&b, 100);
    for (int i = 0; i < 20000; i++) {
        int64_t time =
            year_0 + (int64_t)random_below (&random, (uint64_t)(year_10000 - year_0 - 1));
        buf_clear (&a);
        buf_clear (&b);
        time_format (&a, time);
        time_format (&b, time + 1);
        cr_assert (strcmp (buf_string (&a), buf_string (&b)) < 0);
    }
    buf_release (&a);
    buf_release (&b);
}

static void format_is (int64_t time, const char *expected)
{
    buf_t out;
    buf_init (&out, 100);
    time_format (&out, time);
    cr_assert_str_eq (buf_string (&out), expected);
    buf_release (&out);
}

Test (timestamp, years_of_other_than_four_digits_are_printed_as_integers)
{
    format_is (0, "1970-01-01T00:00:00.000000Z");
    format_is (-1, "1969-12-31T23:59:59.999999Z");
    format_is (year_0, "0000-01-01T00:00:00.000000Z");
    format_is (year_0 - 1, "-62167219200000001");
    format_is (year_10000, "253402300800000000");
    format_is (INT64_MIN, "-9223372036854775808");
    format_is (INT64_MAX, "9223372036854775807");
}

static void argument_is (const char *text, int64_t now, int64_t expected)
{
    error_t error;
    int64_t time;
    cr_assert_eq (time_parse_argument (text_of (text), now, &time, &error), STATUS_OK, "%s: %s",
                  text, error.text);
    cr_assert_eq (time, expected, "%s", text);
}

Test (timestamp, arguments_may_be_relative_to_now)
{
    argument_is ("now", 1000, 1000);
    argument_is ("-1h", 2 * TIME_HOUR, TIME_HOUR);
    argument_is ("+90s", 0, 90 * TIME_SECOND);
    argument_is ("-5", 1000, -5 * TIME_MS);
    argument_is ("1970-01-02", 0, TIME_DAY);
    error_t error;
    int64_t time;
    cr_assert_eq (time_parse_argument (text_of ("-1x"), 0, &time, &error), STATUS_INVALID);
    cr_assert_eq (time_parse_argument (text_of ("yesterday"), 0, &time, &error), STATUS_INVALID);
    cr_assert_not_null (strstr (error.text, "now"));
    cr_assert_eq (time_parse_argument (text_of ("+1w"), INT64_MAX, &time, &error), STATUS_RANGE);
    cr_assert_eq (time_parse_argument (text_of ("9223372036854775807"), 0, &time, &error),
                  STATUS_RANGE);
}

Test (timestamp, durations_are_read_back_and_shortest)
{
    random_t random;
    random_seed (&random, 23);
    buf_t out;
    buf_init (&out, 100);
    for (int i = 0; i < 50000; i++) {
        static const char *const words[] = { "us", "ms", "s", "m", "h", "d", "w" };
        static const int64_t units[] = { TIME_US,   TIME_MS,  TIME_SECOND, TIME_MINUTE,
                                         TIME_HOUR, TIME_DAY, TIME_WEEK };
        int64_t duration =
            (int64_t)random_below (&random, 10000) * units[random_below (&random, 7)];
        int64_t back;
        error_t error;
        buf_clear (&out);
        duration_format (&out, duration);
        const char *text = buf_string (&out);
        status_t status = duration_parse (text_of (text), &back, &error);
        if (duration == 0) {
            cr_assert_eq (status, STATUS_INVALID);
            continue;
        }
        cr_assert_eq (status, STATUS_OK);
        cr_assert_eq (back, duration, "%s", text);
        for (int unit = 0; unit < 7; unit++) {
            char other[64];
            snprintf (other, sizeof other, "%lld%s", (long long)(duration / units[unit]),
                      words[unit]);
            if (duration % units[unit] == 0)
                cr_assert_leq (strlen (text), strlen (other));
        }
    }
    buf_clear (&out);
    duration_format (&out, INT64_C (604800000000));
    buf_put_u8 (&out, ' ');
    duration_format (&out, INT64_MIN);
    cr_assert_str_eq (buf_string (&out), "1w -9223372036854775808us");
    buf_release (&out);
}

Test (timestamp, what_is_not_a_duration_is_refused)
{
    static const char *const texts[] = { "",    "h",  "1",     "0s",   "-1h", "+1h",
                                         "1 h", "1H", "1h30m", "1.5h", "1y",  "us" };
    error_t error;
    int64_t duration;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert_eq (duration_parse (text_of (texts[i]), &duration, &error), STATUS_INVALID, "%s",
                      texts[i]);
    cr_assert_eq (duration_parse (text_of ("15250285w"), &duration, &error), STATUS_RANGE);
    cr_assert_eq (duration_parse (text_of ("99999999999999999999us"), &duration, &error),
                  STATUS_RANGE);
}

Test (timestamp, the_ends_of_int64_print_as_microseconds)
{
    buf_t out;
    buf_init (&out, 64);
    time_format (&out, INT64_MIN);
    cr_expect_str_eq (buf_string (&out), "-9223372036854775808");
    buf_clear (&out);
    time_format (&out, INT64_MAX);
    cr_expect_str_eq (buf_string (&out), "9223372036854775807");
    buf_release (&out);
}
