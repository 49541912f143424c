/* Advice: what is right but probably not meant. */
#include "feature/advice.h"

#include <criterion/criterion.h>

#define STREAM                                                                                     \
    "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, a: float64, t: timestamp}\n" \
    "views:\n  v:\n    from: s\n"

static void expect_advice (const char *yaml, int64_t every, const char *expected)
{
    definition_file_t file = { "f.yaml", text_of (yaml) };
    definitions_t *definitions = NULL;
    error_t error;
    cr_assert_eq (definitions_read (&file, 1, &definitions, &error), STATUS_OK, "%s", error.text);
    buf_t lines;
    buf_init (&lines, 1 << 16);
    size_t count = definitions_advise (definitions, every, &lines);
    cr_expect_str_eq (buf_string (&lines), expected);
    size_t newlines = 0;
    for (const char *at = expected; *at; at++)
        newlines += *at == '\n';
    cr_expect_eq (count, newlines);
    buf_release (&lines);
    definitions_destroy (&definitions);
}

Test (advice, is_silent_where_all_is_well)
{
    expect_advice (STREAM "    request: {r: int64}\n    features:\n      n: count() over 1h, 1d\n"
                          "      s: sum(a) over 1h default 0\n      m: mean(a) over 1h\n"
                          "    derived: {d: n_1h + r}\n",
                   10 * TIME_MINUTE, "");
}

Test (advice, tells_a_default_that_never_stands_for_anything)
{
    expect_advice (STREAM "    features:\n      n: count() over 1h default 0\n"
                          "      d: approx_count_distinct(a) default 1\n",
                   0,
                   "view v: n_1h is never null, so its default has no effect\n"
                   "view v: d is never null, so its default has no effect\n");
}

Test (advice, tells_features_that_are_the_same)
{
    expect_advice (STREAM "    features:\n      x: sum(a) over 24h\n      y: sum( a ) over 1d\n"
                          "      z: sum(a) over 1d default 0\n      w: mean(a) over 1d\n",
                   0, "view v: x_24h and y_1d are the same; one of them is enough\n");
}

Test (advice, tells_a_map_by_the_key_itself)
{
    expect_advice (STREAM "    features:\n      x: sum(a) by k\n      y: sum(a) by lower(k)\n", 0,
                   "view v: x is a map by k, which is in the view's key: it has one entry at most; "
                   "leave `by k` out\n");
}

Test (advice, tells_a_value_of_the_request_that_nothing_uses)
{
    expect_advice (STREAM "    request: {r: int64, q: int64}\n    features:\n      n: count()\n"
                          "    derived: {d: n + q}\n",
                   0, "view v: no derived feature uses the request's r\n");
}

Test (advice, tells_a_horizon_that_recomputes_do_not_keep_up_with)
{
    expect_advice (STREAM "    horizon: 15m\n    features:\n      n: count()\n", 10 * TIME_MINUTE,
                   "view v: its horizon is 15m, which is less than two recomputes are apart: "
                   "towards the end of it answers are read from history; 20m is enough\n");
    expect_advice (STREAM "    horizon: 20m\n    features:\n      n: count()\n", 10 * TIME_MINUTE,
                   "");
}
