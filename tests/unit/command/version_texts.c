/* How two texts of definitions differ: all lines, and those alone that do. */
#include "client/cli/version_texts.h"

#include <criterion/criterion.h>

static const char before[] = "views:\n  v:\n    from: s\n    ttl: 1d\n    features:\n"
                             "      n: count()\n      m:\n        expr: sum(a)\n"
                             "        owner: x\n      l: last(a)\n";
static const char after[] = "views:\n  v:\n    from: s\n    features:\n"
                            "      n: count()\n      m:\n        expr: max(a)\n"
                            "        owner: x\n      l: last(a)\n      k: first(a)\n";

static void expect_changes (const char *a, const char *b, size_t most, const char *expected)
{
    buf_t out;
    buf_init (&out, 1 << 16);
    version_texts_changes (text_of (a), text_of (b), 2, most, &out);
    cr_expect_str_eq (buf_string (&out), expected);
    buf_release (&out);
}

Test (version_texts, have_all_lines_with_what_happens_to_them)
{
    buf_t out;
    buf_init (&out, 1 << 16);
    cr_expect (version_texts_compare (text_of (before), text_of (after), &out));
    cr_expect_str_eq (buf_string (&out),
                      "  views:\n    v:\n      from: s\n-     ttl: 1d\n      features:\n"
                      "        n: count()\n        m:\n-         expr: sum(a)\n"
                      "+         expr: max(a)\n          owner: x\n        l: last(a)\n"
                      "+       k: first(a)\n");
    buf_clear (&out);
    cr_expect_not (version_texts_compare (text_of (before), text_of (before), &out));
    buf_release (&out);
}

Test (version_texts, have_changes_below_what_they_stand_under)
{
    expect_changes (before, after, 100,
                    "    views:\n      v:\n  -     ttl: 1d\n        features:\n          m:\n"
                    "  -         expr: sum(a)\n  +         expr: max(a)\n"
                    "  +       k: first(a)\n");
    expect_changes (before, before, 100, "");
    expect_changes ("", "a: 1\n", 100, "  + a: 1\n");
}

Test (version_texts, have_so_many_changes_and_the_number_of_others)
{
    expect_changes (before, after, 3,
                    "    views:\n      v:\n  -     ttl: 1d\n    … 5 more lines\n");
}
