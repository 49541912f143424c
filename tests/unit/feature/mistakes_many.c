/* Mistakes that are many, long, or in several files. */
#include "tests/unit/feature/mistakes.h"

#include <criterion/criterion.h>
#include <stdio.h>

static status_t read_text (const char *text, buf_t *lines, error_t *error)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    status_t status = definitions_check (&file, 1, &definitions, lines, error);
    definitions_destroy (&definitions);
    return status;
}

Test (mistakes, of_all_kinds_are_invalid_when_one_of_them_is)
{
    error_t error;
    cr_assert_eq (read_text ("streams:\n  s:\n    id: a\nview: {}\n", NULL, &error),
                  STATUS_INVALID);
}

Test (mistakes, are_told_up_to_twenty_and_the_rest_are_counted)
{
    buf_t yaml, lines;
    buf_init (&yaml, 1 << 16);
    buf_init (&lines, 1 << 16);
    buf_put_string (&yaml, STREAM "views:\n  v:\n    from: payments\n    features:\n");
    for (int i = 0; i < 30; i++)
        buf_printf (&yaml, "      f%d: smu(amount)\n", i);
    error_t error;
    cr_assert_eq (read_text (buf_string (&yaml), &lines, &error), STATUS_INVALID);
    size_t count = 0;
    for (const char *at = buf_string (&lines); (at = strchr (at, '\n')) != NULL; at++)
        count++;
    cr_expect_eq (count, 20, "%s", buf_string (&lines));
    cr_expect_not_null (strstr (buf_string (&lines), "f.yaml:34:12: unknown aggregate"));
    cr_expect_not_null (strstr (buf_string (&lines), "\n(and 10 more)"));
    cr_expect_not_null (strstr (error.text, "more)"), "an error_t has whole lines: %s", error.text);
    buf_release (&yaml);
    buf_release (&lines);
}

Test (mistakes, in_several_files_come_in_the_order_of_files_and_lines)
{
    definition_file_t files[] = {
        { "a.yaml", text_of ("views:\n  v:\n    from: s\n    features:\n      x: count()\n"
                             "  w:\n    from: t\n    features:\n      x: cuont()\n") },
        { "b.yaml", text_of ("views:\n  v: {}\nstreams:\n  s: 3\n") },
    };
    definitions_t *definitions = NULL;
    error_t error;
    cr_assert_eq (definitions_read (files, 2, &definitions, &error), STATUS_INVALID);
    cr_expect_str_eq (error.text,
                      "a.yaml:7:11: there is no stream 't'\n"
                      "b.yaml:2:3: the view 'v' is already defined at a.yaml:2:3\n"
                      "b.yaml:4:6: expected a stream (a mapping), found a text\n"
                      "(features of 2 views were not checked because of mistakes above)");
}

Test (mistakes, in_a_long_word_are_cut_to_one_line)
{
    buf_t yaml;
    buf_init (&yaml, 1 << 16);
    buf_put_string (&yaml, "views:\n  \"");
    for (int i = 0; i < 500; i++)
        buf_put_string (&yaml, "\303\251");
    buf_put_string (&yaml, "\\nb\": {}\n");
    error_t error;
    cr_assert_eq (read_text (buf_string (&yaml), NULL, &error), STATUS_INVALID);
    cr_expect (strlen (error.text) < 200 && strchr (error.text, '\n') == NULL, "%s", error.text);
    cr_expect (text_is_utf8 (text_of (error.text)));
    buf_release (&yaml);
}

Test (mistakes, in_size_are_told_before_they_cost_time)
{
    buf_t yaml;
    buf_init (&yaml, 4 << 20);
    error_t error;
    buf_put_string (&yaml, "streams:\n");
    for (int i = 0; i < 2049; i++)
        buf_printf (&yaml, "  a%d: b\n", i);
    cr_assert_eq (read_text (buf_string (&yaml), NULL, &error), STATUS_INVALID);
    cr_expect_str_eq (error.text, "f.yaml:2050:3: the list or mapping is too long (at most 2048)");
    buf_clear (&yaml);
    for (int i = 0; i < DEFINITION_FILE_MAX; i++)
        buf_put_u8 (&yaml, '\n');
    definitions_t *definitions = NULL;
    definition_file_t file = { "f.yaml", { (const char *)yaml.data, DEFINITION_FILE_MAX } };
    cr_expect_eq (definitions_read (&file, 1, &definitions, &error), STATUS_OK);
    definitions_destroy (&definitions);
    buf_put_u8 (&yaml, '\n');
    cr_assert_eq (read_text (buf_string (&yaml), NULL, &error), STATUS_INVALID);
    cr_expect_str_eq (error.text,
                      "f.yaml:1:1: the file is too large (at most 1048576 bytes); split it");
    buf_release (&yaml);
}

Test (mistakes, an_aggregate_that_is_like_no_other_is_told_all_there_are)
{
    size_t count;
    const char *const *words = aggregate_words (&count);
    buf_t said;
    buf_init (&said, ERROR_TEXT_MAX);
    buf_printf (&said, "f.yaml:15:10: unknown aggregate 'xyzzy_quux_plugh'; this version has ");
    for (size_t i = 0; i < count; i++)
        buf_printf (&said, "%s%s", i > 0 ? ", " : "", words[i]);
    mistake_case_t unknown = {
        VIEW "    from: payments\n    features:\n      x: xyzzy_quux_plugh(amount, 0.95)\n",
        buf_string (&said)
    };
    cr_assert (!said.bad);
    mistake_check (&unknown, STATUS_INVALID);
    buf_release (&said);
}
