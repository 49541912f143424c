/* Services: what they are written as, every mistake in them, and what they come to. */
#include "base/mem.h"
#include "feature/outcome.h"
#include "feature/service_plan.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* 24 lines; what a service has begins at line 27. */
#define VIEWS                                                                                      \
    "streams:\n"                                                                                   \
    "  s:\n"                                                                                       \
    "    key: k\n"                                                                                 \
    "    time: t\n"                                                                                \
    "    fields: {k: string, a: float64, b: int64, t: timestamp}\n"                                \
    "views:\n"                                                                                     \
    "  spend:\n"                                                                                   \
    "    from: s\n"                                                                                \
    "    request: {amount: float64}\n"                                                             \
    "    features:\n"                                                                              \
    "      spent: sum(a) over 1h, 7d\n"                                                            \
    "      n: count()\n"                                                                           \
    "      each: count() by b\n"                                                                   \
    "    derived:\n"                                                                               \
    "      more: spent_7d + amount\n"                                                              \
    "  global:\n"                                                                                  \
    "    from: s\n"                                                                                \
    "    key: []\n"                                                                                \
    "    features: {n: count()}\n"                                                                 \
    "  by_b:\n"                                                                                    \
    "    from: s\n"                                                                                \
    "    key: b\n"                                                                                 \
    "    features:\n"                                                                              \
    "      n: count()\n"

#define SERVICE                                                                                    \
    VIEWS "services:\n"                                                                            \
          "  x:\n"

#define ROLES                                                                                      \
    SERVICE "    views:\n"                                                                         \
            "      one: spend\n"                                                                   \
            "      two: {view: spend@v2, key: {k: other}}\n"                                       \
            "      global:\n"

static definitions_t *read_text (const char *text)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, text);
    return definitions;
}

typedef struct mistake_case {
    const char *yaml;
    const char *lines;
} mistake_case_t;

static void check_cases (const mistake_case_t *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        definition_file_t file = { "f.yaml", text_of (cases[i].yaml) };
        definitions_t *definitions = NULL;
        error_t error;
        status_t status = definitions_read (&file, 1, &definitions, &error);
        cr_assert_eq (status, STATUS_INVALID, "accepted:\n%s", cases[i].yaml);
        cr_expect_str_eq (error.text, cases[i].lines, "for\n%s\nexpected\n%s\ngot\n%s",
                          cases[i].yaml, cases[i].lines, error.text);
    }
}

#define CHECK_CASES(cases) check_cases ((cases), sizeof (cases) / sizeof *(cases))

#define REST "\n(the rest of 1 service was not checked because of mistakes above)"

Test (services, have_mistakes_in_their_views_told)
{
    static const mistake_case_t cases[] = {
        { SERVICE "    features: [\"spend:n\"]\n",
          "f.yaml:27:5: the service 'x' needs `views`: those that it reads, by role" },
        { SERVICE "    views: {}\n", "f.yaml:27:12: the service 'x' reads no view" },
        { SERVICE "    views: spnd\n",
          "f.yaml:27:12: there is no view 'spnd'; did you mean 'spend'?" REST },
        { SERVICE "    views: [spend, spend]\n",
          "f.yaml:27:20: there are two roles 'spend'; give them names, as in sender: {view: spend, "
          "key: …}" REST },
        { SERVICE "    views: [spend@2]\n",
          "f.yaml:27:13: 'spend@2': a version of a view is written spend@v2" REST },
        { SERVICE "    views:\n      one: {veiw: spend}\n",
          "f.yaml:28:13: unknown key 'veiw' in a role; did you mean 'view'?" REST },
        { SERVICE "    views:\n      where: spend\n",
          "f.yaml:28:7: 'where' is a reserved word; it cannot be the name of a role" REST },
        { SERVICE "    views:\n      one: [spend]\n",
          "f.yaml:28:12: expected a view's name, or {view: NAME, key: …}, found a list" REST },
        { SERVICE "    views:\n      one: {view: spend, key: other}\n",
          "f.yaml:28:31: expected fields of the view's key, and how the request calls them (a "
          "mapping), found a text" REST },
        { SERVICE "    views:\n      one: {view: spend, key: {kk: other}}\n",
          "f.yaml:28:32: 'kk' is not a field of the key of 'spend', which has k" REST },
        { SERVICE "    views:\n      one: {view: global, key: {k: other}}\n",
          "f.yaml:28:33: 'k' is not a field of the key of 'global', which has none: it is "
          "global" REST },
        { SERVICE "    views:\n      one: {view: spend, key: {k: a-b}}\n",
          "f.yaml:28:35: 'a-b' cannot be the name of a field of the key; names are letters, digits "
          "and _, and begin with a letter" REST },
        { SERVICE "    views:\n      one: spend\n      two: {view: by_b, key: {b: k}}\n",
          "f.yaml:29:34: 'k' is int64 here and string for a role before; give one of them another "
          "name, as in key: {b: other_b}" REST },
        /* the views' own mistakes come first */
        { "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, t: timestamp}\nviews:\n"
          "  v:\n    from: s\n    features: {n: cout()}\nservices:\n  x:\n    views: v\n"
          "    features: [\"v:m\"]\n",
          "f.yaml:9:19: unknown aggregate 'cout'; did you mean 'count'?" REST },
    };
    CHECK_CASES (cases);
}

Test (services, have_mistakes_in_what_they_answer_told)
{
    static const mistake_case_t cases[] = {
        { ROLES, "f.yaml:27:5: the service 'x' needs `features`: a list of what it answers, in "
                 "their order, as in [\"sender:spent_7d\", ratio]" },
        { ROLES "    features: []\n",
          "f.yaml:31:15: the service 'x' needs `features`: a list of what it answers, in their "
          "order, as in [\"sender:spent_7d\", ratio]" },
        { ROLES "    features:\n      - one:spent\n",
          "f.yaml:32:13: the view 'spend' has no feature 'spent' without a window, but spent_1h, "
          "spent_7d" },
        { ROLES "    features:\n      - one:spend_7d\n",
          "f.yaml:32:13: the view 'spend' has no feature 'spend_7d'; did you mean 'spent_7d'?" },
        { ROLES "    features:\n      - twoo:n\n",
          "f.yaml:32:9: there is no role 'twoo'; did you mean 'two'?" },
        { ROLES "    features:\n      - one:n\n      - one:n\n",
          "f.yaml:33:9: 'one:n' is listed twice" },
        { ROLES "    features:\n      - one.n\n",
          "f.yaml:32:9: in `features` this is written one:n" },
        { ROLES "    features:\n      - one\n",
          "f.yaml:32:9: 'one' is a role; name one of its features, as in one:spent_1h" },
        { ROLES "    features:\n      - spent_7d\n",
          "f.yaml:32:9: 'spent_7d' is a feature of the role 'one': write one:spent_7d" },
        { ROLES "    features:\n      - other\n",
          "f.yaml:32:9: 'other' is a field of the key, which an answer says anyway" },
        { ROLES "    request: {amount: float64}\n    features:\n      - amont\n",
          "f.yaml:33:9: unknown feature 'amont'; did you mean 'amount'?" },
        { ROLES "    features:\n      - {feature: \"one:n\", defualt: 0}\n",
          "f.yaml:32:28: unknown key 'defualt' in a feature of a service; did you mean "
          "'default'?" },
        { ROLES "    features:\n      - {default: 0}\n",
          "f.yaml:32:9: this needs `feature`: a feature's name" },
        { ROLES "    features:\n      - {feature: \"one:n\", default: many}\n",
          "f.yaml:32:37: 'many' is no constant, and no field can be read here" },
        { ROLES "    features:\n      - {feature: \"one:each\", default: 0}\n",
          "f.yaml:32:40: a map has no default" },
        { ROLES "    features:\n      - {feature: d, default: 0}\n    derived: {d: one.n}\n",
          "f.yaml:32:31: 'd' is derived: give it its default where it is defined, under "
          "`derived`" },
        { ROLES "    as_of: befor\n    features: [\"one:n\"]\n",
          "f.yaml:31:12: `as_of` is at or before: do events at exactly that time count? Not "
          "'befor'; did you mean 'before'?" REST },
        { ROLES "    features: [\"one:n\"]\n    feature: 1\n",
          "f.yaml:32:5: unknown key 'feature' in a service; did you mean 'features'?" REST },
    };
    CHECK_CASES (cases);
}

Test (services, have_mistakes_in_derived_features_and_requests_told)
{
    static const mistake_case_t cases[] = {
        { ROLES "    features: [d]\n    derived: {d: one.spent}\n",
          "f.yaml:32:18: the view 'spend' has no feature 'spent' without a window, but spent_1h, "
          "spent_7d" REST },
        { ROLES "    features: [d]\n    derived: {d: 2 * tow.n}\n",
          "f.yaml:32:22: there is no role 'tow'; did you mean 'two'?" REST },
        { ROLES "    features: [d]\n    derived: {d: n + 1}\n",
          "f.yaml:32:18: 'n' is a feature of the role 'one': write one.n" REST },
        { ROLES "    features: [d]\n    derived: {d: one + 1}\n",
          "f.yaml:32:18: 'one' is a role; name one of its features, as in one.spent_1h" REST },
        { ROLES "    features: [d]\n    derived: {d: one.each}\n",
          "f.yaml:32:18: 'one.each' is a map, which expressions cannot take" REST },
        { ROLES "    features: [d]\n    derived:\n      d: e\n      e: one.n + d\n",
          "f.yaml:33:7: 'd' would be computed from itself: d needs e, e needs d" REST },
        { ROLES "    features: [d]\n    derived: {d: othr}\n",
          "f.yaml:32:18: unknown feature 'othr'; did you mean 'other'?" REST },
        { ROLES "    features: [d]\n    derived: {d: now - now}\n",
          "f.yaml:32:18: this is a duration, which no feature can be; divide it by one, as in (now "
          "- last_seen) / 1d" REST },
        { ROLES "    features: [k]\n    derived: {k: one.n}\n",
          "f.yaml:32:15: 'k' is a field of the key as well; rename one of them" REST },
        { ROLES "    request: {k: string}\n    features: [\"one:n\"]\n",
          "f.yaml:31:15: 'k' is a field of the key, which expressions may read, as well; rename "
          "one of them" REST },
        { ROLES "    request: {amount: int64}\n    features: [\"one:n\"]\n",
          "f.yaml:31:14: 'amount' is int64 here, and the view 'spend', which takes a value of that "
          "name of a request as well, takes float64\n"
          "f.yaml:31:14: 'amount' is int64 here, and the view 'spend', which takes a value of that "
          "name of a request as well, takes float64" REST },
        { ROLES "    request: {r: integer}\n    features: [\"one:n\"]\n",
          "f.yaml:31:18: unknown type 'integer'; did you mean 'int64'?" REST },
    };
    CHECK_CASES (cases);
}

#define STEPS                                                                                      \
    ROLES "    request: {w: string}\n    features: [\"one:n\", \"two:n\", w]\n    preprocess:\n"

Test (services, have_mistakes_in_what_is_preprocessed_told)
{
    static const mistake_case_t cases[] = {
        { STEPS "      one:m: {impute: 0}\n",
          "f.yaml:34:7: 'one:m' is not among the service's `features`; did you mean 'one:n'?" },
        { STEPS "      w: {impute: 0}\n",
          "f.yaml:34:7: 'w' is a string; it takes encode, as in encode: one_hot" },
        { STEPS "      one:n: {}\n",
          "f.yaml:34:14: this does nothing; it takes impute, clip and scale, or encode" },
        { STEPS "      one:n: {inpute: 0}\n",
          "f.yaml:34:15: unknown key 'inpute' in what is preprocessed; did you mean 'impute'?" },
        { STEPS "      one:n: {impute: zero}\n",
          "f.yaml:34:23: 'zero' is no number; write impute: 0, impute: median or impute: mean" },
        { STEPS "      one:n: {impute: inf}\n",
          "f.yaml:34:23: 'inf' is no number; write impute: 0, impute: median or impute: mean" },
        { STEPS "      one:n: {clip: 3}\n",
          "f.yaml:34:21: `clip` takes the least and the greatest, as in clip: [0, 100]" },
        { STEPS "      one:n: {clip: [3, 1]}\n", "f.yaml:34:21: `clip`: the least comes first" },
        { STEPS "      one:n: {scale: 3}\n", "f.yaml:34:22: `scale` is standard, minmax or robust, "
                                             "or two numbers, as in scale: {mean: "
                                             "35, stddev: 10}; not '3'" },
        { STEPS "      one:n: {scale: standart}\n",
          "f.yaml:34:22: `scale` is standard, minmax or robust, or two numbers, as in scale: "
          "{mean: "
          "35, stddev: 10}; not 'standart'; did you mean 'standard'?" },
        { STEPS "      one:n: {scale: {mean: 3, max: 1}}\n",
          "f.yaml:34:22: `scale` takes mean and stddev, min and max, or median and iqr, as in "
          "scale: {mean: 35, stddev: 10}; or standard, minmax or robust, of which `weir fit` finds "
          "the numbers" },
        { STEPS "      one:n: {scale: {mean: 3, stddev: 0}}\n",
          "f.yaml:34:22: `scale`: stddev must be above 0, and not too far" },
        { STEPS "      one:n: {scale: {max: 1, min: 1}}\n",
          "f.yaml:34:22: `scale`: max must be above min, and not too far" },
        { ROLES "    features: [{feature: \"one:n\", default: 3}]\n    preprocess: {\"one:n\": "
                "{clip: [0, 1]}}\n",
          "f.yaml:32:18: 'one:n' has a default as well; write it here, as in impute: 3" },
    };
    CHECK_CASES (cases);
}

Test (services, share_their_names_with_views)
{
    static const mistake_case_t cases[] = {
        { VIEWS "services:\n  spend:\n    views: global\n    features: [\"global:n\"]\n",
          "f.yaml:26:3: 'spend' is the name of the view at f.yaml:7:3; views and services share "
          "their names: rename one of them" },
        { VIEWS "services:\n  a-b: {}\n",
          "f.yaml:26:3: 'a-b' cannot be the name of a service; names are letters, digits and _, "
          "and begin with a letter" },
    };
    CHECK_CASES (cases);
}

#define WHOLE                                                                                      \
    SERVICE "    description: 'what, it: is'\n"                                                    \
            "    owner: risk\n"                                                                    \
            "    tags: [a, b c]\n"                                                                 \
            "    as_of: before\n"                                                                  \
            "    views:\n"                                                                         \
            "      one: spend\n"                                                                   \
            "      two: {view: spend@v2, key: {k: other}}\n"                                       \
            "      global:\n"                                                                      \
            "    request:\n"                                                                       \
            "      amount: {type: float64, description: of it}\n"                                  \
            "      word: string\n"                                                                 \
            "    features:\n"                                                                      \
            "      - two:more\n"                                                                   \
            "      - {feature: \"one:spent_1h\", default: 0}\n"                                    \
            "      - one:each\n"                                                                   \
            "      - amount\n"                                                                     \
            "      - {feature: word, default: 'it''s'}\n"                                          \
            "      - late\n"                                                                       \
            "    derived:\n"                                                                       \
            "      late: {expr: ratio * 100, default: -1}\n"                                       \
            "      ratio: one.spent_7d / (two.spent_7d + global.n)\n"                              \
            "      same: k = other and now > time '2020-01-01T00:00:00Z'\n"

static const char canonical[] = "services:\n"
                                "  x:\n"
                                "    description: \"what, it: is\"\n"
                                "    owner: risk\n"
                                "    tags:\n"
                                "      - a\n"
                                "      - b c\n"
                                "    as_of: before\n"
                                "    views:\n"
                                "      one:\n"
                                "        view: spend\n"
                                "      two:\n"
                                "        view: spend@v2\n"
                                "        key:\n"
                                "          k: other\n"
                                "      global:\n"
                                "        view: global\n"
                                "    request:\n"
                                "      amount:\n"
                                "        type: float64\n"
                                "        description: of it\n"
                                "      word: string\n"
                                "    features:\n"
                                "      - \"two:more\"\n"
                                "      - feature: \"one:spent_1h\"\n"
                                "        default: 0\n"
                                "      - \"one:each\"\n"
                                "      - amount\n"
                                "      - feature: word\n"
                                "        default: it's\n"
                                "      - late\n"
                                "    derived:\n"
                                "      late:\n"
                                "        expr: ratio * 100\n"
                                "        default: \"-1\"\n"
                                "      ratio: one.spent_7d / (two.spent_7d + global.n)\n"
                                "      same: ";

Test (services, have_one_canonical_text_that_reads_back)
{
    definitions_t *first = read_text (WHOLE);
    const service_t *service = definitions_service (first, text_of ("x"));
    cr_assert_not_null (service);
    cr_expect_eq (strncmp (service->text, canonical, strlen (canonical)), 0, "%s", service->text);
    char *again = mem_format ("%s%s", VIEWS, service->text);
    definitions_t *second = read_text (again);
    cr_expect_str_eq (second->services[0].text, service->text);
    cr_expect_eq (service_meaning (&second->services[0]), service_meaning (service));
    mem_free (again);
    definitions_destroy (&first);
    definitions_destroy (&second);
}

/* Whether a service of which `from` stands as `to` means the same. */
static bool same_meaning (const char *from, const char *to)
{
    const char *at = strstr (WHOLE, from);
    cr_assert_not_null (at, "%s", from);
    char *other = mem_format ("%.*s%s%s", (int)(at - WHOLE), WHOLE, to, at + strlen (from));
    definitions_t *first = read_text (WHOLE);
    definitions_t *second = read_text (other);
    bool same = service_meaning (&first->services[0]) == service_meaning (&second->services[0]);
    definitions_destroy (&first);
    definitions_destroy (&second);
    mem_free (other);
    return same;
}

Test (services, mean_another_thing_when_what_they_answer_changes)
{
    cr_expect (same_meaning ("owner: risk", "owner: other"));
    cr_expect (same_meaning ("description: of it", "description: else"));
    cr_expect (same_meaning ("ratio * 100", "ratio*100"));
    cr_expect_not (same_meaning ("as_of: before", "as_of: at"));
    cr_expect_not (same_meaning ("      - amount\n", ""));
    cr_expect_not (same_meaning ("default: 0}", "default: 1}"));
    cr_expect_not (same_meaning ("ratio * 100", "ratio * 10"));
    cr_expect_not (same_meaning ("spend@v2", "spend@v1"));
}

/* ---- what they come to ---- */

static value_t number (double value)
{
    return (value_t){ .type = TYPE_FLOAT64, .f = value };
}

static value_t text (const char *value)
{
    return (value_t){ .type = TYPE_STRING, .s = text_of (value) };
}

static const value_t null_number = { .type = TYPE_FLOAT64, .null = true };

/* The input of that name among what an entity's roles came to. */
static outcome_t *input_of (const service_t *service, outcome_t *inputs, const char *name)
{
    for (size_t i = 0; i < service->inputs_count; i++)
        if (strcmp (service->inputs[i].name, name) == 0)
            return &inputs[i];
    cr_assert (false, "%s is not read", name);
    return NULL;
}

Test (services, come_to_what_their_roles_and_requests_give)
{
    definitions_t *definitions = read_text (WHOLE);
    const service_t *service = &definitions->services[0];
    service_plan_t *compiled = service_plan_new (service);
    arena_t *arena = arena_new (4096);
    outcome_t *inputs = arena_zero (arena, 2 * service->inputs_count, sizeof *inputs);
    outcome_t *second = inputs + service->inputs_count;
    for (int e = 0; e < 2; e++) {
        outcome_t *of = e == 0 ? inputs : second;
        input_of (service, of, "two:more")->value = number (8);
        input_of (service, of, "one:spent_1h")->value = e == 0 ? null_number : number (3);
        input_of (service, of, "one:each")->value = (value_t){ .type = TYPE_MAP, .null = true };
        input_of (service, of, "one:spent_7d")->value = number (12);
        input_of (service, of, "two:spent_7d")->value = number (2);
        input_of (service, of, "global:n")->value = (value_t){ .type = TYPE_INT64, .i = 2 };
    }
    input_of (service, second, "two:spent_7d")->error = "two:spent_7d: too large";
    /* the key's fields come first */
    value_t request[2][4] = {
        { text ("u"), text ("u"), number (5), text ("w") },
        { text ("u"), text ("v"), null_number, { .type = TYPE_STRING, .null = true } }
    };
    outcome_key_t keys[] = { { .as_of = TIME_DAY, .request = request[0], .inputs = inputs },
                             { .as_of = TIME_DAY, .request = request[1], .inputs = second } };
    outcome_task_t *task =
        outcome_task_new (compiled->plan, compiled->outputs, compiled->outputs_count, arena);
    cr_assert_eq (outcome_task_keys (task), 1, "there is a map in it");
    const outcome_t *outcomes = outcome_compute (task, keys, 2, arena);
    cr_expect_eq (outcome_of (task, outcomes, 0, 0)->value.f, 8);
    cr_expect_eq (outcome_of (task, outcomes, 0, 1)->value.f, 0, "the default");
    cr_expect_eq (outcome_of (task, outcomes, 1, 1)->value.f, 3);
    cr_expect_eq (outcome_of (task, outcomes, 0, 3)->value.f, 5);
    cr_expect (outcome_of (task, outcomes, 1, 3)->value.null);
    cr_expect (text_is (outcome_of (task, outcomes, 0, 4)->value.s, "w"));
    cr_expect (text_is (outcome_of (task, outcomes, 1, 4)->value.s, "it's"));
    cr_expect_eq (outcome_of (task, outcomes, 0, 5)->value.f, 300);
    const outcome_t *failed = outcome_of (task, outcomes, 1, 5);
    cr_expect (failed->value.null);
    cr_expect_str_eq (failed->error, "late: it needs ratio, which could not be computed");
    service_plan_destroy (&compiled);
    arena_destroy (&arena);
    definitions_destroy (&definitions);
}

#define STEPPED                                                                                    \
    SERVICE "    views: {one: spend}\n    request: {x: float64, i: int64}\n"                       \
            "    features: [a, b, c, d, x, i, \"one:n\"]\n"                                        \
            "    derived: {a: x, b: x, c: x, d: x}\n"                                              \
            "    preprocess:\n"                                                                    \
            "      a: {impute: 7}\n"                                                               \
            "      b: {clip: [-1.5, 10]}\n"                                                        \
            "      c: {scale: {mean: 35, stddev: 10}}\n"                                           \
            "      d: {scale: {max: 3, min: -1}, impute: 1e3, clip: [0, 5]}\n"                     \
            "      i: {scale: {median: 1, iqr: 4}}\n"                                              \
            "      one:n: {impute: 0}\n"

/* The service's values for a request's x. */
static void expect_steps (const service_plan_t *compiled, value_t x, const value_t *expected)
{
    arena_t *arena = arena_new (4096);
    outcome_t input = { .value = { .type = TYPE_INT64, .i = 2 } };
    value_t request[] = { text ("u"), x, { .type = TYPE_INT64, .i = 3 } };
    outcome_key_t key = { .as_of = TIME_DAY, .request = request, .inputs = &input };
    outcome_task_t *task =
        outcome_task_new (compiled->plan, compiled->outputs, compiled->outputs_count, arena);
    const outcome_t *outcomes = outcome_compute (task, &key, 1, arena);
    for (size_t i = 0; i < compiled->outputs_count; i++) {
        const value_t *got = &outcome_of (task, outcomes, 0, i)->value;
        cr_expect_eq (got->type, TYPE_FLOAT64);
        cr_expect (value_equal (got, &expected[i]), "%zu: %g, not %g", i, got->f, expected[i].f);
    }
    arena_destroy (&arena);
}

Test (services, preprocess_numbers_with_those_that_are_given)
{
    definitions_t *definitions = read_text (STEPPED);
    const service_t *service = &definitions->services[0];
    service_plan_t *compiled = service_plan_new (service);
    for (size_t i = 0; i < service->outputs_count; i++)
        cr_expect_eq (service->outputs[i].type.type, TYPE_FLOAT64);
    const value_t i = number ((3.0 - 1.0) / 4.0), n = number (2);
    expect_steps (compiled, number (20),
                  (value_t[]){ number (20), number (10), number ((20.0 - 35.0) / 10.0),
                               number ((5.0 + 1.0) / 4.0), number (20), i, n });
    expect_steps (compiled, number (-2),
                  (value_t[]){ number (-2), number (-1.5), number ((-2.0 - 35.0) / 10.0),
                               number (1.0 / 4.0), number (-2), i, n });
    /* null stays null where nothing is imputed; what is, is clipped and scaled */
    expect_steps (compiled, null_number,
                  (value_t[]){ number (7), null_number, null_number, number ((5.0 + 1.0) / 4.0),
                               null_number, i, n });
    char *again = mem_format ("%s%s", VIEWS, service->text);
    definitions_t *second = read_text (again);
    cr_expect_str_eq (second->services[0].text, service->text);
    cr_expect_eq (service_meaning (&second->services[0]), service_meaning (service));
    mem_free (again);
    definitions_destroy (&second);
    service_plan_destroy (&compiled);
    definitions_destroy (&definitions);
}

Test (services, need_of_their_roles_what_is_asked_for)
{
    definitions_t *definitions = read_text (WHOLE);
    service_plan_t *compiled = service_plan_new (&definitions->services[0]);
    arena_t *arena = arena_new (4096);
    bool *needed = arena_zero (arena, compiled->plan->features_count, sizeof *needed);
    outcome_task_t *task = outcome_task_new (compiled->plan, &compiled->outputs[5], 1, arena);
    outcome_task_plain (task, needed);
    size_t count = 0;
    for (size_t i = 0; i < compiled->plan->features_count; i++) {
        count += needed[i];
        cr_expect (!needed[i] || strchr (compiled->plan->features[i].name, ':') != NULL);
    }
    cr_expect_eq (count, 3, "those of ratio");
    service_plan_destroy (&compiled);
    arena_destroy (&arena);
    definitions_destroy (&definitions);
}
