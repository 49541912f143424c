/* Every class of mistake in definitions: its place, its words and what is suggested. */
#include "tests/unit/feature/mistakes.h"

#include <criterion/criterion.h>

void mistake_check (const mistake_case_t *at, status_t expected)
{
    definition_file_t file = { "f.yaml", text_of (at->yaml) };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_null (definitions, "accepted:\n%s", at->yaml);
    cr_expect_str_eq (error.text, at->lines, "for\n%s\nexpected\n%s\ngot\n%s", at->yaml, at->lines,
                      error.text);
    cr_expect_eq (status, expected, "%s: %s", at->lines, status_word (status));
}

#define CHECK_CASES(cases, status)                                                                 \
    for (size_t c = 0; c < sizeof (cases) / sizeof *(cases); c++)                                  \
    mistake_check (&(cases)[c], (status))

#define ALIASES_16 "a1, a2, a3, a4, a5, a6, a7, a8, b1, b2, b3, b4, b5, b6, b7, b8"

Test (mistakes, in_yaml_are_told_with_place_and_hint)
{
    static const mistake_case_t cases[] = {
        { "views: !x {}\n",
          "f.yaml:1:8: tags (!name) are not taken; a text that begins with ! must be in quotes" },
        { "views: &x {}\n", "f.yaml:1:8: anchors (&name) are not taken; a text that begins with & "
                            "must be in quotes" },
        { "views: *x\n", "f.yaml:1:8: aliases (*name) are not taken; a text that begins with * "
                         "must be in quotes" },
        { "views: {}\nviews: {}\n", "f.yaml:2:1: 'views' is given twice; the first is at line 1" },
        { "views: {}\n---\nviews: {}\n",
          "f.yaml:2:1: a file holds one document; put what follows `---` in another file" },
        { "views:\n\tx: 1\n",
          "f.yaml:2:1: this is not YAML: found character that cannot start any token; indent with "
          "blanks, not tabs; a text that begins with @, ` or % must be in quotes" },
        { "views: [\n", "f.yaml:2:1: this is not YAML: did not find expected node content" },
        { "views: \"a\n",
          "f.yaml:2:1: this is not YAML: found unexpected end of stream; a quote is not closed" },
        { "[a]: b\n", "f.yaml:1:1: a key must be a name, not a list or mapping; texts that begin "
                      "with [ or { must be in quotes" },
        { "? [a]\n: b\n", "f.yaml:1:3: a key must be a name, not a list or mapping; texts that "
                          "begin with [ or { must be in quotes" },
        { "views: {a: {b: [c, [d, [e, [f, [g, [h, [i, [j, [k, [l, [m, [n, [o, [p, "
          "[q]]]]]]]]]]]]]]]}}\n",
          "f.yaml:1:68: lists and mappings are nested too deeply (at most 16)" },
        { VIEW "    from: payments\n    features: {spend: sum(amount) over 1h, 7d}\n",
          "f.yaml:14:44: '7d' has no value; inside { } and [ ] a comma ends a text: write one "
          "entry per line (block style), or put the text in quotes" },
        { "streams:\n  s:\n    fields:\n      a: {type: decimal(12,2)}\n",
          "f.yaml:4:28: '2)' has no value; inside { } and [ ] a comma ends a text: write one entry "
          "per line (block style), or put the text in quotes" },
        { VIEW "    from: payments\n    features: {p: sum(amount) where n in (1, 2) over 1h}\n",
          "f.yaml:14:46: '2) over 1h' has no value; inside { } and [ ] a comma ends a text: write "
          "one entry per line (block style), or put the text in quotes" },
        { VIEW "    from: payments\n    features: {p: sum(amount) where user_id in ('a', 'b')}\n",
          "f.yaml:14:54: 'b' has no value; inside { } and [ ] a comma ends a text: write one entry "
          "per line (block style), or put the text in quotes\n"
          "f.yaml:14:57: this is not YAML: did not find expected ',' or '}'; inside { } and [ ] a "
          "comma ends a text: write one entry per line (block style), or put the text in quotes" },
        { VIEW "    from: payments\n    where: user_id = 'a: b'\n",
          "f.yaml:14:24: this is not YAML: mapping values are not allowed in this context; ': ' "
          "inside a text begins a mapping: put the whole text in quotes" },
        { VIEW "    from: payments\n    where: user_id = 'a #1'\n    features:\n      x: count()\n",
          "f.yaml:14:22: the string has no closing quote; in YAML ' #' begins a comment: put the "
          "whole text in quotes" },
        { VIEW "    from: payments\n    where: 'a' = user_id\n    features:\n      x: count()\n",
          "f.yaml:14:16: this is not YAML: did not find expected key; check the indentation; a "
          "text that begins with a quote must be in quotes as a whole, \"'a' = b\"" },
        { VIEW
          "    from: payments\n    features:\n      x: count() where user_id = 'a #1' over 7d\n",
          "f.yaml:15:34: the string has no closing quote; in YAML ' #' begins a comment: put the "
          "whole text in quotes" },
        { "streams\n", "f.yaml:1:1: expected a file of definitions (a mapping), found a text" },
        { "a\x01: b\n", "f.yaml:1:2: this is not YAML: control characters are not allowed" },
        { "a\xff: b\n", "f.yaml:1:1: the file is not UTF-8 text" },
    };
    CHECK_CASES (cases, STATUS_INVALID);
}

Test (mistakes, in_streams_are_told_with_place_and_suggestion)
{
    static const mistake_case_t cases[] = {
        { "stream: {}\n",
          "f.yaml:1:1: unknown key 'stream' in a file of definitions; did you mean 'streams'?" },
        { "streams: 3\n", "f.yaml:1:10: expected the streams by name (a mapping), found a text" },
        { "streams:\n  s: 3\n", "f.yaml:2:6: expected a stream (a mapping), found a text" },
        { "streams:\n  9s: {}\n", "f.yaml:2:3: '9s' cannot be the name of a stream; names are "
                                  "letters, digits and _, and begin with a letter" },
        { "streams:\n  a__b: {}\n",
          "f.yaml:2:3: 'a__b' cannot be the name of a stream; names have no __" },
        { "streams:\n  a-b: {}\n", "f.yaml:2:3: 'a-b' cannot be the name of a stream; names are "
                                   "letters, digits and _, and begin with a letter" },
        { "streams:\n  over: {}\n",
          "f.yaml:2:3: 'over' is a reserved word; it cannot be the name of a stream" },
        { "streams:\n  s: {}\n", "f.yaml:2:6: the stream 's' needs `fields`" },
        { "streams:\n  s:\n    feilds: {a: string}\n",
          "f.yaml:3:5: unknown key 'feilds' in a stream; did you mean 'fields'?\n"
          "f.yaml:3:5: the stream 's' needs `fields`" },
        { "streams:\n  s:\n    fields: {}\n", "f.yaml:3:13: the stream 's' has no fields" },
        { "streams:\n  s:\n    fields:\n      a: strng\n",
          "f.yaml:4:10: unknown type 'strng'; did you mean 'string'?" },
        { "streams:\n  s:\n    fields:\n      a: integer\n",
          "f.yaml:4:10: unknown type 'integer'; did you mean 'int64'?" },
        { "streams:\n  s:\n    fields:\n      a: duration\n",
          "f.yaml:4:10: unknown type 'duration'; types are bool, int64, float64, decimal(12,2), "
          "string, timestamp" },
        { "streams:\n  s:\n    fields:\n      a: blob\n",
          "f.yaml:4:10: unknown type 'blob'; types are bool, int64, float64, decimal(12,2), "
          "string, "
          "timestamp" },
        { "streams:\n  s:\n    fields:\n      time: timestamp\n",
          "f.yaml:4:7: 'time' is a reserved word; name the field otherwise, with `column: time`" },
        { "streams:\n  s:\n    fields:\n      a: {required: true}\n",
          "f.yaml:4:10: the field 'a' needs a `type`" },
        { "streams:\n  s:\n    fields:\n      a: {type: string, requird: true}\n",
          "f.yaml:4:25: unknown key 'requird' in a field; did you mean 'required'?" },
        { "streams:\n  s:\n    fields:\n      a: {type: string, required: yes}\n",
          "f.yaml:4:35: `required` must be true or false, not 'yes'" },
        { "streams:\n  s:\n    fields:\n      a: {type: string, unit: ms}\n",
          "f.yaml:4:31: `unit` is for timestamps, and 'a' is string" },
        { "streams:\n  s:\n    fields:\n      a: {type: timestamp, unit: min}\n",
          "f.yaml:4:34: `unit` must be s, ms, us or ns, not 'min'" },
        { "streams:\n  s:\n    fields:\n      a: {type: int64, zone: UTC}\n",
          "f.yaml:4:30: `zone` is for timestamps, and 'a' is int64" },
        { "streams:\n  s:\n    fields:\n      a: {type: timestamp, zone: Mars/Base}\n",
          "f.yaml:4:34: the system knows no time zone 'Mars/Base'; zones are named as in "
          "America/New_York" },
        { "streams:\n  s:\n    fields:\n      a: string\n      b: {type: string, column: a}\n",
          "f.yaml:5:7: 'a' and 'b' are both read from the column 'a'" },
        { "streams:\n  s:\n    fields:\n      a: {type: string, alias: a}\n",
          "f.yaml:4:32: 'a' is the field's own name" },
        { "streams:\n  s:\n    fields:\n      a: {type: string, alias: b}\n      b: string\n",
          "f.yaml:4:10: the alias 'b' of 'a' is taken by the field 'b'" },
        { "streams:\n  s:\n    fields:\n      a: {type: string, alias: [x, y]}\n"
          "      b: {type: string, column: y}\n",
          "f.yaml:4:10: the alias 'y' of 'a' is taken by the field 'b'" },
        { "streams:\n  s:\n    fields:\n      a: {type: string, alias: {x: y}}\n",
          "f.yaml:4:32: expected a former name, or a list of them, found a mapping" },
        { "streams:\n  s:\n    fields:\n      a: {type: string, alias: [" ALIASES_16 ", q]}\n",
          "f.yaml:4:97: the list is too long (at most 16)" },
        { "streams:\n  s:\n    fields:\n      a: [string]\n",
          "f.yaml:4:10: expected a type, found a list" },
        { "streams:\n  s:\n    fields:\n      a: string\n      t: timestamp\n",
          "f.yaml:3:5: the stream 's' needs a `key`: the field that names the entity, or [] for "
          "one global entity\n"
          "f.yaml:3:5: the stream 's' needs `time`: the field that says when an event happened" },
        { "streams:\n  s:\n    key: b\n    time: a\n    fields:\n      a: string\n",
          "f.yaml:3:10: 's' has no field 'b'\n"
          "f.yaml:4:11: the time's field must be a timestamp, and 'a' is string" },
        { "streams:\n  s:\n    key: [a, a]\n    time: t\n    fields:\n      a: string\n      t: "
          "{type: timestamp, required: false}\n",
          "f.yaml:3:14: 'a' is in the key twice\n"
          "f.yaml:7:38: the time's field is always required; leave this out" },
        { "streams:\n  s:\n    key: {a: b}\n    time: x\n    unknown: keep\n    fields:\n      a: "
          "string\n",
          "f.yaml:5:14: `unknown` must be refuse or ignore, not 'keep'" },
        { "streams:\n  s:\n    key: usr_id\n    time: ts\n    fields:\n      user_id: string\n     "
          " ts: timestamp\n",
          "f.yaml:3:10: 's' has no field 'usr_id'; did you mean 'user_id'?" },
        { STREAM "  payments: {}\n",
          "f.yaml:11:3: 'payments' is given twice; the first is at line 2" },
    };
    CHECK_CASES (cases, STATUS_INVALID);
}

Test (mistakes, in_views_are_told_with_place_and_suggestion)
{
    static const mistake_case_t cases[] = {
        { VIEW "    features:\n      x: count()\n",
          "f.yaml:13:5: the view 'v' needs `from`: a stream's name" },
        { VIEW "    from: paymets\n    features:\n      x: count()\n",
          "f.yaml:13:11: there is no stream 'paymets'; did you mean 'payments'?\n"
          "(features of 1 view were not checked because of mistakes above)" },
        { VIEW "    from: payments\n", "f.yaml:13:5: the view 'v' needs `features`" },
        { VIEW "    from: payments\n    features: {}\n",
          "f.yaml:14:15: the view 'v' has no features" },
        { VIEW
          "    from: payments\n    feature:\n      x: count()\n    features:\n      x: count()\n",
          "f.yaml:14:5: unknown key 'feature' in a view; did you mean 'features'?" },
        { VIEW "    from: payments\n    horizon: 3 days\n    features:\n      x: count()\n",
          "f.yaml:14:14: `horizon` must be a duration such as 90s, 10m or 7d, not '3 days'" },
        { VIEW "    from: payments\n    horizon: 1s\n    features:\n      x: count()\n",
          "f.yaml:14:14: `horizon` is '1s'; it must be 1m to 3650d" },
        { VIEW "    from: payments\n    ttl: 10ms\n    features:\n      x: count()\n",
          "f.yaml:14:10: `ttl` is '10ms'; it must be 1s to 3650d" },
        { VIEW "    from: payments\n    where: amount\n    features:\n      x: count()\n",
          "f.yaml:14:12: `where` takes a bool, and this is float64" },
        { VIEW "    from: payments\n    where: amont > 0\n    features:\n      x: count()\n",
          "f.yaml:14:12: unknown field 'amont'; did you mean 'amount'?" },
        { VIEW "    from: payments\n    where: amount > \n    features:\n      x: count()\n",
          "f.yaml:14:20: expected a value, found the end" },
        { VIEW "    from: payments\n    where: >-\n      amount > 0\n      and amont < 3\n    "
               "features:\n      x: count()\n",
          "f.yaml:16:11: unknown field 'amont'; did you mean 'amount'?" },
        { VIEW "    from: payments\n    where: \"user_id = '\\u00e9' and amont < 3\"\n    "
               "features:\n      x: count()\n",
          "f.yaml:14:36: unknown field 'amont'; did you mean 'amount'?" },
        { VIEW "    from: payments\n    where: 'user_id = ''x'' and amont < 3'\n    features:\n    "
               "  x: count()\n",
          "f.yaml:14:33: unknown field 'amont'; did you mean 'amount'?" },
        { VIEW "    from: payments\n    features:\n      x: smu(amount)\n",
          "f.yaml:15:10: unknown aggregate 'smu'; did you mean 'sum'?" },
        { VIEW "    from: payments\n    features:\n      x: total(amount)\n",
          "f.yaml:15:10: unknown aggregate 'total'; did you mean 'sum'?" },
        { VIEW "    from: payments\n    features:\n      x: amount\n",
          "f.yaml:15:10: a feature begins with an aggregate, as in sum(amount) over 7d; found "
          "'amount'" },
        { VIEW "    from: payments\n    features:\n      x: 3\n",
          "f.yaml:15:10: a feature begins with an aggregate, as in sum(amount) over 7d; found "
          "'3'" },
        { VIEW "    from: payments\n    features:\n      x: sum\n",
          "f.yaml:15:13: expected '(' after 'sum', found the end" },
        { VIEW "    from: payments\n    features:\n      x: last\303\251(n)\n",
          "f.yaml:15:14: expected '(' after 'last', found '\303\251'" },
        { "streams:\n  s:\n    fields:\n      a: decimal\n      b: decimal(39,2)\n"
          "      c: decimal(2,3)\n      d: decimal(12;2)\n",
          "f.yaml:4:10: 'decimal' is no decimal type: decimal(12,2) has 12 digits, 2 of them after "
          "the point; at most 38\n"
          "f.yaml:5:10: 'decimal(39,2)' is no decimal type: decimal(12,2) has 12 digits, 2 of them "
          "after the point; at most 38\n"
          "f.yaml:6:10: 'decimal(2,3)' is no decimal type: decimal(12,2) has 12 digits, 2 of them "
          "after the point; at most 38\n"
          "f.yaml:7:10: 'decimal(12;2)' is no decimal type: decimal(12,2) has 12 digits, 2 of them "
          "after the point; at most 38" },
        { VIEW "    from: payments\n    features:\n      x: sum()\n",
          "f.yaml:15:14: sum needs an expression: sum(amount), for example" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount, n)\n",
          "f.yaml:15:22: sum takes no further argument" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount\n",
          "f.yaml:15:20: expected ')' after the arguments of sum(…), found the end" },
        { VIEW "    from: payments\n    features:\n      x: sum(user_id)\n",
          "f.yaml:15:14: sum takes int64, float64 or decimal, and this is string" },
        { VIEW "    from: payments\n    features:\n      x: skew(cast(n as decimal(9,2)))\n",
          "f.yaml:15:15: skew takes int64 or float64, and this is decimal(38,2); cast(x as "
          "float64) "
          "rounds it" },
        { VIEW "    from: payments\n    features:\n      x: min(cast(n as decimal(9,2))) default "
               "0.005\n",
          "f.yaml:15:47: this default has no exact value as decimal(38,2)" },
        { VIEW "    from: payments\n    features:\n      x: last(null)\n",
          "f.yaml:15:15: last takes bool, int64, float64, string, timestamp or decimal, and this "
          "is "
          "null" },
        { VIEW "    from: payments\n    features:\n      x: sum(amont) over 7d\n",
          "f.yaml:15:14: unknown field 'amont'; did you mean 'amount'?" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) where n over 7d\n",
          "f.yaml:15:28: `where` takes a bool, and this is int64" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) over\n",
          "f.yaml:15:26: expected a window, as in over 1h, 7d, 100 rows, lifetime; found the end" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) over 7\n",
          "f.yaml:15:27: a window needs a unit, as in 30m, 24h, 7d or 100 rows" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) over 7x\n",
          "f.yaml:15:27: a number must not run into a name; the units of a duration are us, ms, s, "
          "m, h, d and w" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) over 10ms\n",
          "f.yaml:15:27: a window is from 1s to 3650d, or lifetime; found '10ms'" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) over 4000d\n",
          "f.yaml:15:27: a window is from 1s to 3650d, or lifetime; found '4000d'" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) over 7d 1h\n",
          "f.yaml:15:30: expected ',' and another window, `delay`, `default` or the end, found "
          "'1h'" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) over 7d where ok\n",
          "f.yaml:15:30: `where` belongs before `over`; the order is where, by, over, delay, "
          "default" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) 7d\n",
          "f.yaml:15:22: expected `where`, `by`, `over`, `delay`, `default` or the end, found "
          "'7d'" },
        { VIEW "    from: payments\n    features:\n      x: sum(amount) over 7d, 7d\n",
          "f.yaml:15:31: the window is given twice: both make 'x_7d'" },
        { VIEW
          "    from: payments\n    features:\n      x_7d: count()\n      x: sum(amount) over 7d\n",
          "f.yaml:16:27: this makes a feature 'x_7d', and so does 'x_7d' at line 15; rename one" },
        { VIEW "    from: payments\n    features:\n      x: count()\n      x: count()\n",
          "f.yaml:16:7: 'x' is given twice; the first is at line 15" },
        { VIEW "    from: payments\n    features:\n      lifetime: count()\n",
          "f.yaml:15:7: 'lifetime' is a reserved word; it cannot be the name of a feature" },
        { VIEW "    from: payments\n    features:\n      x: {description: nothing}\n",
          "f.yaml:15:10: the feature 'x' needs `expr`" },
        { VIEW "    from: payments\n    features:\n      x: {exp: count()}\n",
          "f.yaml:15:10: the feature 'x' needs `expr`\n"
          "f.yaml:15:11: unknown key 'exp' in a feature; did you mean 'expr'?" },
        { VIEW "    from: payments\n    features:\n      x: [count()]\n",
          "f.yaml:15:10: expected a feature, as in sum(amount) over 7d, found a list" },
        { VIEW "    from: payments\n    features:\n      x:\n",
          "f.yaml:15:9: expected a feature, as in sum(amount) over 7d, found nothing" },
        { VIEW "    from: payments\n    features:\n      "
               "a23456789012345678901234567890123456789012345678901234567890: count() over 3650d\n",
          "f.yaml:15:82: the feature's name "
          "'a23456789012345678901234567890123456789012345678901234567890_3650d' is too long (at "
          "most 63 letters)" },
    };
    CHECK_CASES (cases, STATUS_INVALID);
}

/* A feature x whose text is given, and what is said of it at column 10 + its offset. */
#define FEATURE(text, said)                                                                        \
    {                                                                                              \
        VIEW "    from: payments\n    features:\n      x: " text "\n", "f.yaml:15:" said           \
    }

Test (mistakes, in_arguments_say_what_the_aggregate_takes)
{
    static const mistake_case_t cases[] = {
        FEATURE ("covariance(amount)", "27: covariance needs two expressions: covariance(amount, "
                                       "price), for example; found ')'"),
        FEATURE ("covariance()", "21: covariance needs an expression: covariance(amount, price), "
                                 "for example"),
        FEATURE ("covariance(amount, ok)",
                 "29: covariance takes int64 or float64, and this is bool"),
        FEATURE ("covariance(amount, n, n)", "32: covariance takes no further argument"),
        FEATURE ("covariance(amount, nn)", "29: unknown field 'nn'"),
        FEATURE ("approx_quantile(amount)",
                 "32: approx_quantile needs a fraction between 0 and 1 as its last argument, as in "
                 "approx_quantile(amount, 0.95); found ')'"),
        FEATURE ("approx_quantile()", "26: approx_quantile needs an expression: "
                                      "approx_quantile(amount, 0.95), for example"),
        FEATURE ("approx_quantile(amount, 1.5)",
                 "34: approx_quantile needs a fraction between 0 and 1 as its last argument, as in "
                 "approx_quantile(amount, 0.95); found '1.5'"),
        FEATURE ("approx_quantile(amount, -0.5)",
                 "34: approx_quantile needs a fraction between 0 and 1 as its last argument, as in "
                 "approx_quantile(amount, 0.95); found '-'"),
        FEATURE ("approx_quantile(amount, n)",
                 "34: approx_quantile needs a fraction between 0 and 1 as its last argument, as in "
                 "approx_quantile(amount, 0.95); found 'n'"),
        FEATURE ("approx_quantile(amount, 0.5 n)", "38: expected ')' after the arguments of "
                                                   "approx_quantile(…), found 'n'"),
        FEATURE ("decayed_sum(amount, 7)",
                 "30: decayed_sum needs a duration from 1s to 3650d as its last argument, as in "
                 "decayed_sum(amount, 7d); found '7'"),
        FEATURE ("decayed_sum(amount, 4000d)",
                 "30: decayed_sum needs a duration from 1s to 3650d as its last argument, as in "
                 "decayed_sum(amount, 7d); found '4000d'"),
        FEATURE ("decayed_count()",
                 "24: decayed_count needs a duration from 1s to 3650d as its last argument, as in "
                 "decayed_count(7d); found ')'"),
        FEATURE ("decayed_count(amount, 7d)",
                 "24: decayed_count needs a duration from 1s to 3650d as its last argument, as in "
                 "decayed_count(7d); found 'amount'"),
        FEATURE ("age(amount)", "14: age takes nothing: write age(); found 'amount'"),
        FEATURE ("median(amount)", "10: unknown aggregate 'median'; did you mean "
                                   "'approx_median'?"),
    };
    CHECK_CASES (cases, STATUS_INVALID);
}

Test (mistakes, in_clauses_say_where_they_belong_and_what_they_take)
{
    static const mistake_case_t cases[] = {
        FEATURE ("sum(amount) by n where ok",
                 "27: `where` belongs before `by`; the order is where, by, over, delay, default"),
        FEATURE ("sum(amount) over 7d by n",
                 "30: `by` belongs before `over`; the order is where, by, over, delay, default"),
        FEATURE ("sum(amount) delay 7d over 7d",
                 "31: `over` belongs before `delay`; the order is where, by, over, delay, default"),
        FEATURE ("sum(amount) default 0 delay 7d", "32: `delay` belongs before `default`; the "
                                                   "order is where, by, over, delay, default"),
        FEATURE ("sum(amount) where ok where ok", "31: `where` is given twice"),
        FEATURE ("sum(amount) over 7d over 1h", "30: `over` is given twice"),
        FEATURE ("sum(amount) default 0 default 1", "32: `default` is given twice"),
        FEATURE ("sum(amount) by n 7d",
                 "27: expected `over`, `delay`, `default` or the end, found '7d'"),
        FEATURE ("sum(amount) over 7d delay 1h x", "39: expected `default` or the end, found 'x'"),
        FEATURE ("sum(amount) default 0 x", "32: expected the end, found 'x'"),
        FEATURE ("sum(amount) by null", "25: `by` takes a field, or an expression of a field's "
                                        "type, and this is null"),
        FEATURE ("sum(amount) by ts - ts", "25: `by` takes a field, or an expression of a field's "
                                           "type, and this is duration"),
        FEATURE ("sum(amount) by nn", "25: unknown field 'nn'"),
        FEATURE ("sum(amount) over 0 rows", "27: a window has 1 to 1000 rows; found '0'"),
        FEATURE ("sum(amount) over 1001 rows", "27: a window has 1 to 1000 rows; found '1001'"),
        FEATURE ("sum(amount) over 5 rows in", "36: expected a duration, as in 5 rows in 7d; found "
                                               "the end"),
        FEATURE ("sum(amount) over 5 rows in lifetime",
                 "37: expected a duration, as in 5 rows in 7d; found 'lifetime'"),
        FEATURE ("sum(amount) over 5 rows in 10ms",
                 "37: a window is from 1s to 3650d, or lifetime; found '10ms'"),
        FEATURE (
            "histogram(n) by user_id over 1h",
            "26: histogram: a state of up to 1048576 bytes for each key is too large for `by`"),
        FEATURE ("COUNT() over 1h", "10: unknown aggregate 'COUNT'; did you mean 'count'?"),
        FEATURE ("count(*) over 1h",
                 "16: expected a value, found '*'; all events are counted by count()"),
        FEATURE ("count(distinct user_id)",
                 "16: expected a value, found 'distinct'; different values are counted by "
                 "count_distinct(x) and approx_count_distinct(x)"),
        FEATURE ("sum(amount) ovr 1h", "22: expected `where`, `by`, `over`, `delay`, `default` or "
                                       "the end, found 'ovr'; did you mean `over`?"),
        FEATURE ("sum(amount) group by user_id", "22: expected `where`, `by`, `over`, `delay`, "
                                                 "`default` or the end, found 'group'; did you "
                                                 "mean `by`?"),
        FEATURE ("sum(amount) over 1h dely 7d",
                 "30: expected ',' and another window, `delay`, `default` or the end, found "
                 "'dely'; did you mean `delay`?"),
        FEATURE ("sum(amount) over lifetme", "27: expected a window, as in over 1h, 7d, 100 rows, "
                                             "lifetime; found 'lifetme'; did you mean lifetime?"),
        FEATURE ("sum(amount) where ok && ok",
                 "31: unexpected character; both at once is written 'and'"),
        FEATURE ("min(user_id) over 1h, 1000 rows",
                 "32: min: 1000 rows are too many with strings among their values: at most 254"),
        FEATURE ("sum(amount) over 7d delay", "35: `delay` takes a duration from 1s to 3650d, as "
                                              "in over 7d delay 7d; found the end"),
        FEATURE ("sum(amount) over 7d delay 7", "36: `delay` takes a duration from 1s to 3650d, as "
                                                "in over 7d delay 7d; found '7'"),
        FEATURE ("sum(amount) over 7d delay 4000d", "36: `delay` takes a duration from 1s to "
                                                    "3650d, as in over 7d delay 7d; found '4000d'"),
        FEATURE ("sum(amount) over 7d default", "37: expected a value, found the end"),
        FEATURE ("sum(amount) default n", "30: 'n' is no constant, and no field can be read here"),
        FEATURE ("sum(amount) default 'a'",
                 "30: the feature is float64, so its default must be, and this is string"),
        FEATURE ("sum(amount) default null",
                 "30: without `default` it is null already: leave this out"),
        FEATURE ("sum(amount) default 1 / 0", "30: this has no value"),
        FEATURE ("sum(n) default 1.5",
                 "25: the feature is int64, so its default must be, and this is float64"),
        FEATURE ("last(ts) default 3", "27: the feature is timestamp, so its default must be, and "
                                       "this is int64; write time '2026-01-02T00:00:00Z'"),
        FEATURE ("sum(amount) by n default 0", "35: `default` stands for a single value that is "
                                               "null, and this feature is a map"),
        FEATURE ("sum(amount) / count()",
                 "22: a feature is one aggregate; arithmetic on features stands in the view's "
                 "`derived`, as in share: spend_1h / spend_7d"),
        FEATURE ("{expr: count() default 0, default: 1}",
                 "45: the default is given twice: `expr` has one as well"),
        FEATURE ("{expr: sum(n), default: x}",
                 "34: 'x' is no constant, and no field can be read here"),
        FEATURE ("{expr: sum(n), default: ''}", "34: expected a value, found nothing"),
        FEATURE ("{expr: count(), owner: ''}", "33: expected an owner, found nothing"),
        FEATURE ("{expr: count(), tags: {a: b}}",
                 "32: expected a tag, or a list of tags, found a mapping"),
        FEATURE ("{expr: count(), tags: [a, b, a]}", "39: the tag 'a' is given twice"),
        FEATURE ("{expr: count(), tags: "
                 "a234567890123456789012345678901234567890123456789012345678901234}",
                 "32: the tag is too long (at most 63 bytes)"),
    };
    CHECK_CASES (cases, STATUS_INVALID);
}

/* A view with the features n_7d and spend_1h, spend_7d; what follows stands from line 17 on. */
#define DERIVED(text, said)                                                                        \
    {                                                                                              \
        VIEW "    from: payments\n    features:\n      n: count() over 7d\n      spend: "          \
             "sum(amount) over 1h, 7d\n" text "\n",                                                \
            "f.yaml:" said                                                                         \
    }

Test (mistakes, in_derived_features_and_requests_are_told_with_place_and_suggestion)
{
    static const mistake_case_t cases[] = {
        DERIVED ("    derived: 3", "17:14: expected the derived features by name (a mapping), "
                                   "found a text"),
        DERIVED ("    derived: {n_7d: 1 + 1}",
                 "17:15: this makes a feature 'n_7d', and so does 'n' at line 15; rename one"),
        DERIVED ("    derived: {now: 1 + 1}",
                 "17:15: 'now' is a reserved word; it cannot be the name of a derived feature"),
        DERIVED ("    derived: {x: spend_7 / 2}",
                 "17:18: unknown feature 'spend_7'; did you mean 'spend_7d'?"),
        DERIVED ("    derived: {x: 2 * spend}",
                 "17:22: there is no feature 'spend' without a window, but spend_1h, spend_7d"),
        DERIVED ("    derived: {x: amount / spend_7d}",
                 "17:18: 'amount' is a field of the events; derived features are computed from "
                 "features, values of the request and now"),
        DERIVED ("    derived: {x: zebra + 1}", "17:18: unknown feature 'zebra'"),
        DERIVED ("    derived: {x: a.b + 1}", "17:18: unknown feature 'a.b'"),
        DERIVED ("    derived: {x: spend_7d + 'a'}",
                 "17:27: '+' cannot combine float64 and string"),
        DERIVED ("    derived: {x: ''}",
                 "17:18: expected an expression, as in spend_1h / spend_7d, "
                 "found nothing"),
        DERIVED ("    derived: {x: {description: a}}",
                 "17:18: the derived feature 'x' needs `expr`"),
        DERIVED ("    derived: {x: {expr: n_7d, over: 7d}}",
                 "17:31: unknown key 'over' in a derived feature; it takes expr, description, "
                 "owner, tags, default"),
        DERIVED ("    derived: {x: {expr: n_7d, default: a}}",
                 "17:40: 'a' is no constant, and no field can be read here"),
        DERIVED ("    derived: {x: null}", "17:18: this is null, always"),
        DERIVED ("    derived: {x: now - now}",
                 "17:18: this is a duration, which no feature can be; divide it by one, as in (now "
                 "- last_seen) / 1d"),
        DERIVED ("    derived: {x: x + 1}", "17:15: 'x' would be computed from itself: x needs x"),
        DERIVED ("    derived:\n      d: a + 1\n      a: b + 1\n      b: n_7d + c\n      c: a * 2\n"
                 "      e: n_7d",
                 "19:7: 'a' would be computed from itself: a needs b, b needs c, c needs a"),
        DERIVED ("    derived: {a: b + 1, b: zebra}", "17:28: unknown feature 'zebra'"),
        DERIVED ("    request: 3", "17:14: expected the values of a request by name (a mapping), "
                                   "found a text"),
        DERIVED ("    request: {n_7d: int64}",
                 "17:15: 'n_7d' is a feature of the view as well; rename one of them"),
        DERIVED ("    request: {over: int64}", "17:15: 'over' is a reserved word; it cannot be the "
                                               "name of a value of a request"),
        DERIVED ("    request: {a: integer}",
                 "17:18: unknown type 'integer'; did you mean 'int64'?"),
        DERIVED ("    request: {a: {type: int64, required: true}}",
                 "17:32: unknown key 'required' in a value of a request; it takes type, unit, "
                 "zone, description"),
        DERIVED ("    request: {a: int64}\n    derived: {a: n_7d}",
                 "18:15: 'a' is a value of the request as well; rename one of them"),
        DERIVED ("    request: {a: integer}\n    derived: {b: zebra}",
                 "17:18: unknown type 'integer'; did you mean 'int64'?\n"
                 "(derived features of 1 view were not checked because of mistakes above)"),
    };
    CHECK_CASES (cases, STATUS_INVALID);
}

Test (mistakes, what_this_version_does_not_support_is_said_and_never_ignored)
{
    static const mistake_case_t cases[] = {
        { "streams:\n  s:\n    id: a\n    dedupe: 7d\n    key: []\n    time: t\n    fields:\n      "
          "t: timestamp\n",
          "f.yaml:3:5: this version does not support `id` in a stream\n"
          "f.yaml:4:5: this version does not support `dedupe` in a stream" },
    };
    CHECK_CASES (cases, STATUS_UNSUPPORTED);
}
