/* The grammar of features in docs/definitions.md and the parser allow the same texts. Expressions,
 * which docs/expressions.md has, are a few samples here. */
#include "base/mem.h"
#include "base/random.h"
#include "feature/feature_text.h"
#include "tests/unit/expr/abnf.h"
#include "tests/unit/expr/page.h"

#include <criterion/criterion.h>

static const char *const samples[] = { "amount", "n", "ok", "word", "7", "0.5", "'x'", "true" };
enum { SAMPLES = sizeof samples / sizeof *samples, FIELDS = 4 };

static const char more_rules[] = "integer   = 1*DIGIT\n"
                                 "float     = 1*DIGIT \".\" 1*DIGIT\n"
                                 "duration  = integer unit\n"
                                 "unit      = %s\"s\" / %s\"m\" / %s\"h\" / %s\"d\"\n";

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    static const type_t types[FIELDS] = { TYPE_FLOAT64, TYPE_INT64, TYPE_BOOL, TYPE_STRING };
    (void)arg;
    for (uint32_t i = 0; i < FIELDS; i++) {
        if (text_is (name, samples[i])) {
            *column = i;
            return types[i];
        }
    }
    return TYPE_NONE;
}

/* The page's rules, with the aggregates that there are and the samples for expressions. */
static abnf_t *read_grammar (void)
{
    static const char *const none[] = { "x", NULL };
    page_t *page = page_read ("docs/definitions.md");
    const char *rules = page_block (page, "abnf");
    const char *aggregate = strstr (rules, "\naggregate = name");
    cr_assert_not_null (aggregate);
    const char *rest = strchr (aggregate + 1, '\n');
    buf_t all;
    buf_init (&all, 1 << 16);
    buf_put (&all, rules, (size_t)(aggregate + 1 - rules));
    size_t count;
    const char *const *words = aggregate_words (&count);
    for (size_t i = 0; i < count; i++)
        buf_printf (&all, "%s%%s\"%s\"", i == 0 ? "aggregate = " : " / ", words[i]);
    buf_put_string (&all, rest);
    for (size_t i = 0; i < SAMPLES; i++)
        buf_printf (&all, "%s%%s\"%s\"", i == 0 ? "\nexpression = " : " / ", samples[i]);
    buf_printf (&all, "\n%s", more_rules);
    abnf_t *abnf = abnf_read (buf_string (&all), none, none);
    buf_release (&all);
    page_destroy (&page);
    return abnf;
}

typedef enum verdict { GOOD, NO_SENTENCE, NO_SENSE } verdict_t;

/* Does the message say that the text is no feature, whatever its words mean? */
static bool is_syntax (const char *message)
{
    static const char *const beginnings[] = { "expected ",
                                              "a window needs a unit",
                                              "unexpected character",
                                              "a number must not run",
                                              "a feature begins",
                                              "a feature is one aggregate" };
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        if (strncmp (message, beginnings[i], strlen (beginnings[i])) == 0)
            return true;
    }
    return strstr (message, " belongs before ") != NULL ||
           strstr (message, " is given twice") != NULL;
}

static verdict_t judge (const char *text, error_t *error)
{
    const expr_scope_t scope = { .lookup = lookup };
    arena_t *arena = arena_new (4096);
    feature_text_t feature;
    size_t at = 0;
    status_t status = feature_text_read (text_of (text), &scope, arena, &feature, &at, error);
    arena_destroy (&arena);
    return status == STATUS_OK ? GOOD : is_syntax (error->text) ? NO_SENTENCE : NO_SENSE;
}

Test (grammar, the_parser_takes_what_the_page_allows)
{
    abnf_t *abnf = read_grammar ();
    random_t random;
    random_seed (&random, 81);
    size_t good = 0;
    for (int round = 0; round < 20000; round++) {
        buf_t text;
        error_t error;
        buf_init (&text, 1 << 16);
        abnf_write (abnf, &random, &text);
        verdict_t verdict = judge (buf_string (&text), &error);
        cr_assert_neq (verdict, NO_SENTENCE, "%s: %s", buf_string (&text), error.text);
        good += verdict == GOOD;
        buf_release (&text);
    }
    cr_assert_gt (good, 200u, "%zu", good);
    abnf_destroy (&abnf);
}

/* Words in an order that makes sense now and then; with a beginning that often does. */
static void put_soup (random_t *random, buf_t *out)
{
    static const char *const beginnings[] = { "sum(amount) ",
                                              "count() ",
                                              "last(word) ",
                                              "covariance(amount, n) ",
                                              "approx_quantile(n, 0.5) ",
                                              "decayed_count(7d) ",
                                              "",
                                              "sum(" };
    static const char *const words[] = {
        "where ", "by ",      "over ",     "delay ",    "default ",    "amount ", "n ",
        "ok ",    "word ",    "7d ",       "24h ",      "7 ",          "rows ",   "in ",
        ", ",     "0.5 ",     "lifetime ", "( ",        ") ",          "true ",   "7s ",
        "count ", "over 7d ", "by n ",     "where ok ", "over 5 rows "
    };
    buf_put_string (out, beginnings[random_below (random, sizeof beginnings / sizeof *beginnings)]);
    for (size_t count = random_below (random, 6); count > 0; count--)
        buf_put_string (out, words[random_below (random, sizeof words / sizeof *words)]);
}

Test (grammar, the_page_allows_what_the_parser_takes)
{
    abnf_t *abnf = read_grammar ();
    random_t random;
    random_seed (&random, 82);
    size_t counts[3] = { 0 };
    for (int round = 0; round < 20000; round++) {
        buf_t text;
        error_t error;
        buf_init (&text, ABNF_TEXT_MAX + 1);
        put_soup (&random, &text);
        if (!text.bad && text.size <= ABNF_TEXT_MAX) {
            verdict_t verdict = judge (buf_string (&text), &error);
            bool allowed =
                abnf_matches (abnf, (text_t){ (const char *)text.data, (uint32_t)text.size });
            cr_assert (verdict != GOOD || allowed, "%s", buf_string (&text));
            cr_assert (verdict != NO_SENTENCE || !allowed, "%s: %s", buf_string (&text),
                       error.text);
            counts[verdict]++;
        }
        buf_release (&text);
    }
    cr_assert_gt (counts[GOOD], 500u, "%zu", counts[GOOD]);
    cr_assert_gt (counts[NO_SENTENCE], 5000u, "%zu", counts[NO_SENTENCE]);
    abnf_destroy (&abnf);
}
