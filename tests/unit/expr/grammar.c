/* The grammar of docs/expressions.md and the parser allow the same texts. */
#include "abnf.h"
#include "base/mem.h"
#include "fixture.h"
#include "page.h"

#include <criterion/criterion.h>

/* Fields of every type, and the words that are keywords in their places only. */
static const char *const names[] = { "flag", "i",  "amount",  "s",    "ts", "d",
                                     "like", "as", "between", "cast", "x7", NULL };

static const char *const functions[] = { "abs",   "coalesce", "if",    "hour", "lower",
                                         "round", "pi",       "least", NULL };

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    type_t type = fixture_scope.lookup (arg, name, column);
    return type != TYPE_NONE ? type : text_is (name, "like") ? TYPE_STRING : TYPE_INT64;
}

static const expr_scope_t scope = { .lookup = lookup };

static abnf_t *read_grammar (void)
{
    page_t *page = page_read ("docs/expressions.md");
    abnf_t *abnf = abnf_read (page_block (page, "abnf"), names, functions);
    page_destroy (&page);
    return abnf;
}

/* Does the message say that the text is no sentence, whatever its words mean? */
static bool is_syntax (const char *message)
{
    static const char *const beginnings[] = { "expected ",
                                              "unexpected character",
                                              "comparisons do not chain",
                                              "a number must not run",
                                              "a name begins",
                                              "equality is written",
                                              "strings are written",
                                              "the string has no",
                                              "the string is not UTF-8" };
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        if (strncmp (message, beginnings[i], strlen (beginnings[i])) == 0)
            return true;
    }
    return false;
}

typedef enum verdict { GOOD, NO_SENTENCE, NO_SENSE } verdict_t;

static verdict_t judge (text_t text, error_t *error)
{
    expr_t *expr = NULL;
    size_t at;
    if (expr_parse (text, &scope, &expr, &at, error) == STATUS_OK) {
        expr_destroy (&expr);
        return GOOD;
    }
    return is_syntax (error->text) ? NO_SENTENCE : NO_SENSE;
}

Test (grammar, the_parser_takes_what_the_page_allows)
{
    abnf_t *abnf = read_grammar ();
    random_t random;
    random_seed (&random, 51);
    size_t good = 0, matched = 0;
    for (int round = 0; round < 5000; round++) {
        buf_t buf;
        error_t error;
        buf_init (&buf, 1 << 20);
        abnf_write (abnf, &random, &buf);
        text_t text = { (const char *)buf.data, (uint32_t)buf.size };
        verdict_t verdict = judge (text, &error);
        cr_assert_neq (verdict, NO_SENTENCE, "%s: %s", buf_string (&buf), error.text);
        good += verdict == GOOD;
        if (text.size <= ABNF_TEXT_MAX && round % 5 == 0) {
            cr_assert (abnf_matches (abnf, text), "%s", buf_string (&buf));
            matched++;
        }
        buf_release (&buf);
    }
    cr_assert_gt (good, 200u, "%zu", good);
    cr_assert_gt (matched, 200u, "%zu", matched);
    abnf_destroy (&abnf);
}

/* Words in an order that makes sense now and then. */
static text_t soup (random_t *random, char *text, size_t max)
{
    static const char *const words[] = { "i",
                                         "s",
                                         "flag",
                                         "ts",
                                         "(",
                                         ")",
                                         ",",
                                         " and ",
                                         " or ",
                                         " not ",
                                         "-",
                                         "+",
                                         "*",
                                         "/",
                                         "%",
                                         "=",
                                         "<>",
                                         "!=",
                                         "<",
                                         "<=",
                                         "||",
                                         " is ",
                                         " null ",
                                         " in ",
                                         "in(",
                                         " between ",
                                         " like ",
                                         "case ",
                                         " when ",
                                         " then ",
                                         " else ",
                                         " end ",
                                         "time ",
                                         "'x'",
                                         "'2026-01-01'",
                                         "7d",
                                         "1.5",
                                         "12",
                                         "abs(",
                                         "coalesce(",
                                         "cast(",
                                         " as ",
                                         " int64 ",
                                         " string)",
                                         ".",
                                         "now",
                                         " distinct from ",
                                         "true",
                                         "1e3",
                                         "|",
                                         "'" };
    size_t size = 0;
    for (size_t count = 1 + random_below (random, 9); count > 0; count--) {
        const char *word = words[random_below (random, sizeof words / sizeof *words)];
        if (size + strlen (word) > max)
            break;
        memcpy (text + size, word, strlen (word));
        size += strlen (word);
    }
    return (text_t){ text, (uint32_t)size };
}

/* A text of the grammar with a token or two changed. */
static text_t nearly (const abnf_t *abnf, random_t *random, char *text, size_t max)
{
    buf_t buf;
    buf_init (&buf, 1 << 20);
    do {
        buf_clear (&buf);
        abnf_write (abnf, random, &buf);
    } while (buf.size == 0 || buf.size + 20 > max);
    memcpy (text, buf.data, buf.size);
    size_t size = buf.size;
    buf_release (&buf);
    size_t at = random_below (random, size);
    while (at > 0 && text[at - 1] != ' ') /* where a token begins */
        at--;
    char other[64];
    text_t insert = soup (random, other, 12);
    size_t cut = random_chance (random, 0.5) ? 0 : strcspn (text + at, " ");
    cut = cut < size - at ? cut : size - at;
    memmove (text + at + insert.size, text + at + cut, size - at - cut);
    memcpy (text + at, insert.data, insert.size);
    return (text_t){ text, (uint32_t)(size - cut + insert.size) };
}

Test (grammar, the_page_allows_what_the_parser_takes_and_nothing_that_it_does_not)
{
    abnf_t *abnf = read_grammar ();
    random_t random;
    random_seed (&random, 52);
    size_t counts[3] = { 0 };
    for (int round = 0; round < 8000; round++) {
        char bytes[ABNF_TEXT_MAX + 1] = { 0 };
        text_t text = round % 3 == 0 ? soup (&random, bytes, ABNF_TEXT_MAX)
                                     : nearly (abnf, &random, bytes, ABNF_TEXT_MAX);
        char *exact = mem_string_n (text.data, text.size);
        error_t error;
        verdict_t verdict = judge ((text_t){ exact, text.size }, &error);
        bool allowed = abnf_matches (abnf, text);
        cr_assert (verdict != GOOD || allowed, "%s", exact);
        cr_assert (verdict != NO_SENTENCE || !allowed, "%s: %s", exact, error.text);
        counts[verdict]++;
        mem_free (exact);
    }
    cr_assert_gt (counts[GOOD], 150u, "%zu", counts[GOOD]);
    cr_assert_gt (counts[NO_SENTENCE], 1500u, "%zu", counts[NO_SENTENCE]);
    abnf_destroy (&abnf);
}
