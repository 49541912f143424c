/* Command lines. */
#include "client/cli/options.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct given {
    const char *name;
    const char *time;
    const char *request[OPTION_WORDS_MAX + 1];
    bool yes;
    bool wait;
    size_t operands;
    error_t error;
} given_t;

static status_t parse (given_t *given, const char **words)
{
    const option_spec_t specs[] = {
        { 'n', "name", "NAME", "", &given->name, NULL },
        { 0, "as-of", "TIME", "", &given->time, NULL },
        { 'r', "request", "NAME=VALUE...", "", given->request, NULL },
        { 'y', "yes", NULL, "", NULL, &given->yes },
        { 'w', "wait", NULL, "", NULL, &given->wait },
    };
    size_t count = 0;
    while (words[count])
        count++;
    *given = (given_t){ 0 };
    return options_parse (specs, 5, words, count, &given->operands, &given->error);
}

Test (options, stand_anywhere_and_operands_keep_their_order)
{
    given_t given;
    const char *words[] = { "a", "--yes", "b", "--name", "x", "-", "--as-of=-1h", "c", NULL };
    cr_assert_eq (parse (&given, words), STATUS_OK);
    cr_expect_str_eq (given.name, "x");
    cr_expect_str_eq (given.time, "-1h");
    cr_expect (given.yes);
    cr_expect_not (given.wait);
    cr_assert_eq (given.operands, 4);
    const char *const operands[] = { "a", "b", "-", "c" };
    for (size_t i = 0; i < 4; i++)
        cr_expect_str_eq (words[i], operands[i]);
}

Test (options, of_one_letter_stand_together_and_take_values)
{
    given_t given;
    const char *words[] = { "-yw", "-nx", NULL };
    cr_assert_eq (parse (&given, words), STATUS_OK);
    cr_expect (given.yes && given.wait);
    cr_expect_str_eq (given.name, "x");
    const char *more[] = { "-wn", "y", NULL };
    cr_assert_eq (parse (&given, more), STATUS_OK);
    cr_expect_str_eq (given.name, "y");
    cr_expect (given.wait);
}

Test (options, that_may_be_repeated_keep_all_values_in_order)
{
    given_t given;
    const char *words[] = { "--request", "a=1", "-rb=2", "x", "--request=c", NULL };
    cr_assert_eq (parse (&given, words), STATUS_OK);
    cr_expect_str_eq (given.request[0], "a=1");
    cr_expect_str_eq (given.request[1], "b=2");
    cr_expect_str_eq (given.request[2], "c");
    cr_expect_null (given.request[3]);
    cr_expect_eq (given.operands, 1);
    const char *many[OPTION_WORDS_MAX + 2] = { NULL };
    for (size_t i = 0; i <= OPTION_WORDS_MAX; i++)
        many[i] = "-rx";
    cr_expect_eq (parse (&given, many), STATUS_INVALID);
    cr_expect_str_eq (given.error.text, "--request is given too often (at most 64 times)");
}

Test (options, take_a_value_that_looks_like_an_option)
{
    given_t given;
    const char *words[] = { "--as-of", "-1h", "--", "--yes", NULL };
    cr_assert_eq (parse (&given, words), STATUS_OK);
    cr_expect_str_eq (given.time, "-1h");
    cr_expect_not (given.yes);
    cr_expect_eq (given.operands, 1);
    cr_expect_str_eq (words[0], "--yes");
}

static void expect_refused (const char *word, const char *said)
{
    given_t given;
    const char *words[] = { word, NULL };
    cr_assert_eq (parse (&given, words), STATUS_INVALID, "%s", word);
    cr_expect (strstr (given.error.text, said), "%s: %s", word, given.error.text);
}

Test (options, that_are_wrong_are_refused_with_the_nearest)
{
    expect_refused ("--nmae", "did you mean --name?");
    expect_refused ("--wiat=3", "did you mean --wait?");
    expect_refused ("--zzzzzz", "no option --zzzzzz");
    expect_refused ("-q", "no option -q");
    expect_refused ("--yes=no", "takes no value");
    expect_refused ("--name", "needs a value");
    expect_refused ("-n", "needs a value");
}
