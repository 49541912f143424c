/* `preprocess` with numbers that are fitted: how it is written before and after, what is answered
 * then, and which numbers hold for another definition. */
#include "base/mem.h"
#include "feature/outcome.h"
#include "feature/service_plan.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* What `preprocess` has begins at line 20. */
#define BEFORE                                                                                     \
    "streams:\n"                                                                                   \
    "  s:\n"                                                                                       \
    "    key: k\n"                                                                                 \
    "    time: t\n"                                                                                \
    "    fields: {k: string, a: float64, t: timestamp}\n"                                          \
    "views:\n"                                                                                     \
    "  v:\n"                                                                                       \
    "    from: s\n"                                                                                \
    "    features:\n"                                                                              \
    "      n: count()\n"                                                                           \
    "      each: count() by k\n"                                                                   \
    "services:\n"                                                                                  \
    "  x:\n"                                                                                       \
    "    views: v\n"                                                                               \
    "    request: {i: int64, f: float64, w: string, b: bool, d: 'decimal(9,2)', t: timestamp}\n"   \
    "    features: [i, f, w, b, d, t, e, r, \"v:each\", \"v:n\"]\n"                                \
    "    derived:\n"                                                                               \
    "      e: r * 2\n"                                                                             \
    "      r: f + v.n\n"

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

#define STEPS BEFORE "    preprocess:\n"

Test (preprocess, has_mistakes_in_what_is_fitted_told)
{
    static const mistake_case_t cases[] = {
        { STEPS "      f: {impute: mode}\n",
          "f.yaml:21:19: 'mode' is no number; write impute: 0, impute: median or impute: mean" },
        { STEPS "      f: {impute: {median: x}}\n",
          "f.yaml:21:28: 'x' is no number; write impute: 0, impute: median or impute: mean" },
        { STEPS "      f: {impute: {median: 1, mean: 2}}\n",
          "f.yaml:21:19: expected a number, as in impute: 0, impute: median or impute: mean" },
        { STEPS "      f: {scale: {standard: {mean: 1}}}\n",
          "f.yaml:21:29: `scale` takes mean and stddev, min and max, or median and iqr, as in "
          "scale: {mean: 35, stddev: 10}; or standard, minmax or robust, of which `weir fit` finds "
          "the numbers" },
        { STEPS "      f: {scale: {minmax: {mean: 1, stddev: 2}}}\n",
          "f.yaml:21:27: `scale` takes mean and stddev, min and max, or median and iqr, as in "
          "scale: {mean: 35, stddev: 10}; or standard, minmax or robust, of which `weir fit` finds "
          "the numbers" },
        { STEPS "      f: {scale: {standard: {mean: 1, stddev: -1}}}\n",
          "f.yaml:21:29: `scale`: stddev must be above 0, and not too far" },
        { STEPS "      f: {scale: {minmax: {min: -1e308, max: 1e308}}}\n",
          "f.yaml:21:27: `scale`: max must be above min, and not too far" },
        { STEPS "      f: {encode: one_hot}\n",
          "f.yaml:21:19: 'f' is a float64; what is encoded is a string, bool or int64" },
        { STEPS "      t: {encode: one_hot}\n",
          "f.yaml:21:7: 't' is a timestamp: numbers are preprocessed, and string, bool and int64 "
          "encoded" },
        { STEPS "      \"v:each\": {encode: one_hot}\n",
          "f.yaml:21:7: 'v:each' is a map: numbers are preprocessed, and string, bool and int64 "
          "encoded" },
        { STEPS "      b: {impute: 0}\n",
          "f.yaml:21:7: 'b' is a bool; it takes encode, as in encode: one_hot" },
        { STEPS "      w: {encode: onehot}\n",
          "f.yaml:21:19: `encode` is one_hot or ordinal; did you mean 'one_hot'?" },
        { STEPS "      i: {encode: ordinal, clip: [1, 2]}\n",
          "f.yaml:21:19: what is encoded is not clipped and not scaled" },
        { STEPS "      i: {encode: ordinal, impute: mean}\n",
          "f.yaml:21:36: expected a value of the feature's type, int64" },
        { STEPS "      w: {encode: {one_hot: a}}\n",
          "f.yaml:21:29: expected a list of categories (1 to 100)" },
        { STEPS "      w: {encode: {one_hot: []}}\n",
          "f.yaml:21:29: expected a list of categories (1 to 100)" },
        { STEPS "      w: {encode: {one_hot: [a, b, a]}}\n",
          "f.yaml:21:29: a category is listed twice" },
        { STEPS "      i: {encode: {one_hot: [1, x]}}\n",
          "f.yaml:21:33: expected a value of the feature's type, int64" },
        { STEPS "      w: {encode: {one_hot: [\"a\\tb\"]}}\n",
          "f.yaml:21:30: a category has no control characters" },
        { STEPS "      b: {encode: {one_hot: [1]}}\n",
          "f.yaml:21:30: expected a value of the feature's type, bool" },
        { BEFORE "    fitted: {on: " HASH ", rows: 3}\n",
          "f.yaml:20:13: no feature has numbers that were fitted, so that `fitted` says nothing; "
          "leave it out" },
        { STEPS "      f: {impute: {mean: 3}}\n    fitted: {on: x, rows: 3}\n",
          "f.yaml:22:18: `fitted` has `on`, the SHA-256 of a training set as 64 small hexadecimal "
          "digits, and `rows`" },
        { STEPS "      f: {impute: {mean: 3}}\n    fitted: {on: " HASH ", rows: 0}\n",
          "f.yaml:22:90: `rows` must be a whole number from 1 to 9223372036854775807, not '0'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        definition_file_t file = { "f.yaml", text_of (cases[i].yaml) };
        definitions_t *definitions = NULL;
        error_t error;
        status_t status = definitions_read (&file, 1, &definitions, &error);
        cr_expect_eq (status, STATUS_INVALID, "%s", cases[i].yaml);
        cr_expect_str_eq (error.text, cases[i].lines);
        definitions_destroy (&definitions);
    }
}

static const char unfitted[] = "    preprocess:\n"
                               "      i:\n"
                               "        impute: 5\n"
                               "        encode: ordinal\n"
                               "      f:\n"
                               "        impute: median\n"
                               "        clip:\n"
                               "          - -1.0\n"
                               "          - 10.0\n"
                               "        scale: standard\n"
                               "      w:\n"
                               "        impute: other\n"
                               "        encode: one_hot\n"
                               "      b:\n"
                               "        encode: one_hot\n"
                               "      d:\n"
                               "        scale: minmax\n"
                               "      r:\n"
                               "        impute: mean\n"
                               "        scale: robust\n";

static const char fitted[] = "    preprocess:\n"
                             "      i:\n"
                             "        impute: 5\n"
                             "        encode:\n"
                             "          ordinal:\n"
                             "            - -3\n"
                             "            - 5\n"
                             "            - 20\n"
                             "      f:\n"
                             "        impute:\n"
                             "          median: 3.5\n"
                             "        clip:\n"
                             "          - -1.0\n"
                             "          - 10.0\n"
                             "        scale:\n"
                             "          standard:\n"
                             "            mean: 0.1\n"
                             "            stddev: 0.30000000000000004\n"
                             "      w:\n"
                             "        impute: other\n"
                             "        encode:\n"
                             "          one_hot:\n"
                             "            - \"\"\n"
                             "            - \"a: b\xc3\xa9\"\n"
                             "            - other\n"
                             "      b:\n"
                             "        encode:\n"
                             "          one_hot:\n"
                             "            - false\n"
                             "            - true\n"
                             "      d:\n"
                             "        scale:\n"
                             "          minmax:\n"
                             "            min: 7.0\n"
                             "            max: 7.0\n"
                             "      r:\n"
                             "        impute:\n"
                             "          mean: 1e+300\n"
                             "        scale:\n"
                             "          robust:\n"
                             "            median: 0.0\n"
                             "            iqr: 0.5\n"
                             "    fitted:\n"
                             "      on: " HASH "\n"
                             "      rows: 12\n";

/* A service with that after what comes before. */
static definitions_t *read_steps (const char *steps)
{
    char *text = mem_format ("%s%s", BEFORE, steps);
    definitions_t *definitions = read_text (text);
    mem_free (text);
    return definitions;
}

static bool ends_with (const char *text, const char *end)
{
    size_t size = strlen (text), length = strlen (end);
    return size >= length && strcmp (text + size - length, end) == 0;
}

Test (preprocess, is_one_canonical_text_before_and_after_it_is_fitted)
{
    definitions_t *before = read_steps (unfitted);
    definitions_t *after = read_steps (fitted);
    cr_expect (ends_with (before->services[0].text, unfitted), "%s", before->services[0].text);
    cr_expect (ends_with (after->services[0].text, fitted), "%s", after->services[0].text);
    cr_expect_eq (service_unfitted (&before->services[0]), 6);
    cr_expect_eq (service_unfitted (&after->services[0]), 0);
    cr_expect_neq (service_meaning (&before->services[0]), service_meaning (&after->services[0]));
    for (size_t i = 0; i < before->services[0].features_count; i++)
        cr_expect (preprocess_same_kind (&before->services[0].features[i].preprocess,
                                         &after->services[0].features[i].preprocess));
    definitions_destroy (&before);
    definitions_destroy (&after);
}

Test (preprocess, means_the_same_whatever_it_was_fitted_to)
{
    definitions_t *a = read_steps (
        "    preprocess: {f: {impute: {mean: 3}}}\n    fitted: {on: " HASH ", rows: 3}\n");
    definitions_t *b = read_steps ("    preprocess: {f: {impute: {mean: 3}}}\n");
    definitions_t *c = read_steps ("    preprocess: {f: {impute: {mean: 4}}}\n");
    definitions_t *d = read_steps ("    preprocess: {w: {encode: {one_hot: [b, a]}}}\n");
    definitions_t *e = read_steps ("    preprocess: {w: {encode: {one_hot: [a, b]}}}\n");
    cr_expect_eq (service_meaning (&a->services[0]), service_meaning (&b->services[0]));
    cr_expect_neq (service_meaning (&a->services[0]), service_meaning (&c->services[0]));
    cr_expect_str_eq (d->services[0].text, e->services[0].text, "categories are in order");
    definitions_destroy (&a);
    definitions_destroy (&b);
    definitions_destroy (&c);
    definitions_destroy (&d);
    definitions_destroy (&e);
}

/* ---- what is answered ---- */

static value_t number (double value)
{
    return (value_t){ .type = TYPE_FLOAT64, .f = value };
}

/* One entity's request: i, f, w, b, d. */
typedef struct entity {
    value_t i, f, w, b, d;
} entity_t;

static value_t null_of (type_t type)
{
    return (value_t){ .type = type, .null = true };
}

static entity_t entity_of (int64_t i, double f, const char *w, bool b, int64_t d)
{
    return (entity_t){ { .type = TYPE_INT64, .i = i },
                       number (f),
                       { .type = TYPE_STRING, .s = text_of (w) },
                       { .type = TYPE_BOOL, .i = b },
                       { .type = type_decimal (2), .d = d } };
}

/* All outcomes of the plan for one entity of which the view has counted two events. */
static const outcome_t *answers (const service_plan_t *plan, const entity_t *entity,
                                 outcome_task_t **task, arena_t *arena)
{
    value_t *request = arena_zero (arena, 7, sizeof *request);
    outcome_t *inputs = arena_zero (arena, 2, sizeof *inputs);
    request[0] = (value_t){ .type = TYPE_STRING, .s = text_of ("u") }; /* the key's */
    request[1] = entity->i;
    request[2] = entity->f;
    request[3] = entity->w;
    request[4] = entity->b;
    request[5] = entity->d;
    request[6] = null_of (TYPE_TIMESTAMP);
    for (size_t i = 0; i < 2; i++)
        inputs[i].value = strcmp (plan->plan->features[i].name, "v:n") == 0
                              ? (value_t){ .type = TYPE_INT64, .i = 2 }
                              : null_of (TYPE_MAP);
    outcome_key_t *key = arena_zero (arena, 1, sizeof *key);
    *key = (outcome_key_t){ .as_of = 0, .request = request, .inputs = inputs };
    *task = outcome_task_new (plan->plan, plan->outputs, plan->outputs_count, arena);
    return outcome_compute (*task, key, 1, arena);
}

static void expect_numbers (const service_t *service, const entity_t *entity,
                            const double *expected)
{
    service_plan_t *plan = service_plan_new (service);
    arena_t *arena = arena_new (4096);
    outcome_task_t *task;
    const outcome_t *outcomes = answers (plan, entity, &task, arena);
    size_t at = 0;
    for (size_t i = 0; i < service->outputs_count; i++) {
        const service_output_t *output = &service->outputs[i];
        const outcome_t *outcome = outcome_of (task, outcomes, 0, i);
        if (!service->features[output->feature].is_preprocessed)
            continue;
        cr_expect_eq (output->type.type, TYPE_FLOAT64);
        cr_expect_null (outcome->error);
        cr_expect_eq (outcome->value.type, TYPE_FLOAT64);
        cr_expect_eq (outcome->value.null, (bool)isnan (expected[at]), "%s", output->name);
        cr_expect (outcome->value.null || outcome->value.f == expected[at], "%s: %g, not %g",
                   output->name, outcome->value.f, expected[at]);
        at++;
    }
    arena_destroy (&arena);
    service_plan_destroy (&plan);
}

Test (preprocess, answers_what_was_fitted)
{
    static const char *const names[] = { "i",       "f",       "w=",     "w=a: b\xc3\xa9",
                                         "w=other", "b=false", "b=true", "d",
                                         "t",       "e",       "r",      "v:each",
                                         "v:n" };
    const double none = (double)NAN;
    definitions_t *definitions = read_steps (fitted);
    const service_t *service = &definitions->services[0];
    cr_assert_eq (service->outputs_count, sizeof names / sizeof *names);
    for (size_t i = 0; i < service->outputs_count; i++)
        cr_expect_str_eq (service->outputs[i].name, names[i]);
    entity_t entity = entity_of (20, 20, "a: b\xc3\xa9", true, 950);
    expect_numbers (
        service, &entity,
        (double[]){ 2, (10 - 0.1) / 0.30000000000000004, 0, 1, 0, 0, 1, 2.5, (22.0 - 0) / 0.5 });
    entity = entity_of (-3, -4, "no such", false, 700);
    expect_numbers (
        service, &entity,
        (double[]){ 0, (-1 - 0.1) / 0.30000000000000004, 0, 0, 0, 1, 0, 0, (-2.0 - 0) / 0.5 });
    entity = entity_of (4, 0.1, "", false, 700);
    expect_numbers (service, &entity, (double[]){ -1, 0, 1, 0, 0, 1, 0, 0, (2.1 - 0) / 0.5 });
    entity = (entity_t){ null_of (TYPE_INT64), null_of (TYPE_FLOAT64), null_of (TYPE_STRING),
                         null_of (TYPE_BOOL), null_of (type_decimal (2)) };
    expect_numbers (
        service, &entity,
        (double[]){ 1, (3.5 - 0.1) / 0.30000000000000004, 0, 0, 1, 0, 0, none, 1e300 / 0.5 });
    definitions_destroy (&definitions);
}

Test (preprocess, answers_null_and_never_a_raw_number_before_it_is_fitted)
{
    definitions_t *definitions = read_steps (unfitted);
    const service_t *service = &definitions->services[0];
    service_plan_t *plan = service_plan_new (service);
    arena_t *arena = arena_new (4096);
    outcome_task_t *task;
    entity_t entity = entity_of (20, 20, "a", true, 950);
    const outcome_t *outcomes = answers (plan, &entity, &task, arena);
    cr_assert_eq (plan->outputs_count, service->features_count);
    for (size_t i = 0; i < service->outputs_count; i++) {
        const outcome_t *outcome = outcome_of (task, outcomes, 0, i);
        char *reason = mem_format ("%s: not fitted yet in x@v1: weir fit x --on TRAINING_SET",
                                   service->outputs[i].name);
        bool is_refused = service->features[i].is_preprocessed;
        cr_expect_eq (outcome->error != NULL, is_refused, "%s", service->outputs[i].name);
        if (is_refused) {
            cr_expect_str_eq (outcome->error, reason);
            cr_expect (outcome->value.null);
            cr_expect_eq (outcome->value.type, TYPE_FLOAT64);
        }
        mem_free (reason);
    }
    const outcome_t *derived = outcome_of (task, outcomes, 0, 6);
    cr_expect_eq (derived->value.f, 44, "what is derived sees what is not preprocessed");
    service_plan_destroy (&plan);

    plan = service_plan_new_raw (service);
    cr_assert_eq (plan->outputs_count, service->features_count);
    outcomes = answers (plan, &entity, &task, arena);
    for (size_t i = 0; i < service->features_count; i++)
        cr_expect_eq (outcome_of (task, outcomes, 0, i)->value.type,
                      service->features[i].type.type);
    cr_expect_eq (outcome_of (task, outcomes, 0, 0)->value.i, 20);
    cr_expect (text_is (outcome_of (task, outcomes, 0, 2)->value.s, "a"));
    cr_expect_eq (outcome_of (task, outcomes, 0, 7)->value.f, 22);
    arena_destroy (&arena);
    service_plan_destroy (&plan);
    definitions_destroy (&definitions);
}

Test (preprocess, answers_no_more_features_than_a_service_may)
{
    buf_t text;
    error_t error;
    definitions_t *definitions = NULL;
    buf_init (&text, 1 << 20);
    buf_put_string (&text, BEFORE "    preprocess:\n");
    for (int f = 0; f < 2; f++) {
        buf_printf (&text, "      %s:\n        encode:\n          one_hot:\n", f == 0 ? "i" : "w");
        for (int i = 0; i < 100; i++)
            buf_printf (&text, "            - %d\n", i);
    }
    definitions = read_text (buf_string (&text));
    cr_expect_eq (definitions->services[0].outputs_count, 208);
    cr_expect_str_eq (definitions->services[0].outputs[1].name, "i=1", "numbers as numbers");
    cr_expect_str_eq (definitions->services[0].outputs[102].name, "w=1");
    cr_expect_str_eq (definitions->services[0].outputs[103].name, "w=10", "texts as texts");
    definitions_destroy (&definitions);
    buf_clear (&text);
    buf_put_string (&text, "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, t: "
                           "timestamp}\nviews:\n  v:\n    from: s\n    features: {n: count()}\n"
                           "services:\n  x:\n    views: v\n    request: {a: int64, b: int64, c: "
                           "int64, d: int64, e: int64, f: int64}\n    features: [a, b, c, d, e, "
                           "f]\n    preprocess:\n");
    for (int f = 0; f < 6; f++) {
        buf_printf (&text, "      %c:\n        encode:\n          one_hot:\n", 'a' + f);
        for (int i = 0; i < 100; i++)
            buf_printf (&text, "            - %d\n", i);
    }
    definition_file_t file = { "f.yaml", text_of (buf_string (&text)) };
    cr_expect_eq (definitions_read (&file, 1, &definitions, &error), STATUS_INVALID);
    cr_expect_str_eq (error.text,
                      "f.yaml:11:3: the service 'x' answers 600 features, each category "
                      "that is encoded as one_hot counted (at most 500)");
    buf_release (&text);
}

Test (preprocess, has_no_more_categories_than_its_text_can_be_read_back_with)
{
    for (int features = 50; features <= 51; features++) {
        buf_t text;
        error_t error;
        definitions_t *definitions = NULL;
        buf_init (&text, 1 << 20);
        buf_put_string (&text,
                        "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, t: "
                        "timestamp}\nviews:\n  v:\n    from: s\n    features: {n: count()}\n"
                        "services:\n  x:\n    views: v\n    request:\n");
        for (int f = 0; f < features; f++)
            buf_printf (&text, "      f%d: string\n", f);
        buf_put_string (&text, "    features:\n");
        for (int f = 0; f < features; f++)
            buf_printf (&text, "      - f%d\n", f);
        buf_put_string (&text, "    preprocess:\n");
        for (int f = 0; f < features; f++) {
            buf_printf (&text, "      f%d:\n        encode:\n          ordinal:\n", f);
            for (int i = 0; i < 100; i++)
                buf_printf (&text, "            - %d\n", i);
        }
        definition_file_t file = { "f.yaml", text_of (buf_string (&text)) };
        status_t status = definitions_read (&file, 1, &definitions, &error);
        cr_expect_eq (status, features == 50 ? STATUS_OK : STATUS_INVALID);
        cr_expect (features == 50 || strstr (error.text, "5100 categories in all (at most 5000)"));
        definitions_destroy (&definitions);
        buf_release (&text);
    }
}

/* ---- numbers that hold for another definition ---- */

/* The service's text with the numbers that `from` has for it. */
static void take (const char *from, const char *to, const char *expected)
{
    definitions_t *a = read_steps (from);
    definitions_t *b = read_steps (to);
    error_t error;
    cr_assert_eq (service_take_fitted (&b->services[0], &a->services[0], b->arena, &error),
                  STATUS_OK);
    definitions_t *c = read_steps (expected);
    cr_expect_eq (service_meaning (&b->services[0]), service_meaning (&c->services[0]), "%s", to);
    cr_expect_eq (b->services[0].fitted_on == NULL, c->services[0].fitted_on == NULL);
    cr_expect_eq (b->services[0].outputs_count, c->services[0].outputs_count);
    definitions_destroy (&a);
    definitions_destroy (&b);
    definitions_destroy (&c);
}

Test (preprocess, keeps_numbers_while_nothing_else_is_asked_for)
{
#define FITTED "    fitted: {on: " HASH ", rows: 12}\n"
    take (fitted, unfitted, fitted);
    take ("    preprocess: {w: {encode: {one_hot: [a, b]}}}\n" FITTED,
          "    preprocess: {w: {encode: one_hot}}\n",
          "    preprocess: {w: {encode: {one_hot: [a, b]}}}\n" FITTED);
    /* other steps, and other numbers that are given */
    take ("    preprocess: {f: {clip: [0, 1], scale: {standard: {mean: 1, stddev: 2}}}}\n" FITTED,
          "    preprocess: {f: {clip: [0, 2], scale: standard}}\n",
          "    preprocess: {f: {clip: [0, 2], scale: standard}}\n");
    take ("    preprocess: {f: {scale: {standard: {mean: 1, stddev: 2}}}}\n" FITTED,
          "    preprocess: {f: {scale: robust}}\n", "    preprocess: {f: {scale: robust}}\n");
    take ("    preprocess: {f: {scale: {mean: 1, stddev: 2}}}\n",
          "    preprocess: {f: {scale: standard}}\n", "    preprocess: {f: {scale: standard}}\n");
    /* one of two */
    take ("    preprocess: {f: {impute: {mean: 1}}, r: {impute: {mean: 2}}}\n" FITTED,
          "    preprocess: {f: {impute: mean}, r: {impute: median}}\n",
          "    preprocess: {f: {impute: {mean: 1}}, r: {impute: median}}\n" FITTED);
    /* those that are written hold */
    take ("    preprocess: {f: {impute: {mean: 1}}}\n" FITTED,
          "    preprocess: {f: {impute: {mean: 3}}}\n",
          "    preprocess: {f: {impute: {mean: 3}}}\n");
}

Test (preprocess, drops_numbers_of_a_feature_that_is_another_one_now)
{
    static const char steps[] = "    preprocess: {e: {impute: mean}, f: {impute: mean}}\n";
    definitions_t *a = read_steps ("    preprocess: {e: {impute: {mean: 1}}, f: {impute: {mean: "
                                   "2}}}\n");
    const char *at = strstr (BEFORE, "r: f + v.n");
    char *text = mem_format ("%.*sr: f - v.n\n%s", (int)(at - BEFORE), BEFORE, steps);
    definitions_t *b = read_text (text);
    error_t error;
    cr_assert_eq (service_take_fitted (&b->services[0], &a->services[0], b->arena, &error),
                  STATUS_OK);
    const service_t *service = &b->services[0];
    cr_expect_eq (service_unfitted (service), 1, "e reads r, which is another one");
    cr_expect (service->features[1].preprocess.has_impute);
    cr_expect_not (service->features[6].preprocess.has_impute);
    mem_free (text);
    definitions_destroy (&a);
    definitions_destroy (&b);
}

/* The feature of `to` whose numbers cannot be found in rows of `from`; NULL. */
static char *other_to_fit (const char *from, const char *to)
{
    definitions_t *a = read_text (from);
    definitions_t *b = read_text (to);
    const char *other = service_other_to_fit (&b->services[0], &a->services[0]);
    char *copy = other ? mem_string (other) : NULL;
    definitions_destroy (&a);
    definitions_destroy (&b);
    return copy;
}

Test (preprocess, is_fitted_to_rows_of_another_definition_only_if_the_features_are_the_same)
{
    static const char steps[] = "    preprocess: {e: {impute: mean}, f: {impute: mean}}\n";
    const char *at = strstr (BEFORE, "r: f + v.n");
    char *with = mem_format ("%s%s", BEFORE, steps);
    char *changed = mem_format ("%.*sr: f - v.n\n%s", (int)(at - BEFORE), BEFORE, steps);
    char *steps_changed =
        mem_format ("%s    preprocess: {e: {clip: [0, 1], scale: robust}}\n", BEFORE);
    char *not_read = mem_format ("%.*sr: f - v.n\n    preprocess: {f: {impute: mean}}\n",
                                 (int)(at - BEFORE), BEFORE);
    cr_expect_null (other_to_fit (with, with));
    cr_expect_null (other_to_fit (BEFORE, with), "what is preprocessed is no matter");
    cr_expect_null (other_to_fit (with, steps_changed));
    cr_expect_null (other_to_fit (with, not_read), "r is not fitted, nor what reads it");
    char *other = other_to_fit (with, changed);
    cr_expect_str_eq (other, "e", "it reads r");
    mem_free (other);
    mem_free (not_read);
    mem_free (steps_changed);
    mem_free (changed);
    mem_free (with);
}

/* ---- what identifies it ---- */

static bool hash_of (const char *steps, char hash[PREPROCESS_HASH_DIGITS + 1])
{
    char *text = mem_format (BEFORE "%s", steps);
    definitions_t *definitions = read_text (text);
    bool any = service_preprocess_hash (&definitions->services[0], hash);
    definitions_destroy (&definitions);
    mem_free (text);
    return any;
}

Test (preprocess, is_identified_by_its_steps_and_numbers_alone)
{
    char hash[PREPROCESS_HASH_DIGITS + 1], other[PREPROCESS_HASH_DIGITS + 1];
    cr_expect_not (hash_of ("", hash), "there is none");
    cr_expect_not (hash_of (unfitted, hash), "numbers are lacking");
    cr_assert (hash_of (fitted, hash));
    char *text = mem_string_n (fitted, (size_t)(strstr (fitted, "    fitted:") - fitted));
    cr_assert (hash_of (text, other));
    cr_expect_str_eq (other, hash, "what they were fitted to means nothing");
    mem_free (text);
    text = mem_string (fitted);
    *strstr (text, "3.5") = '4';
    cr_assert (hash_of (text, other));
    cr_expect_str_neq (other, hash);
    mem_free (text);
    cr_assert (hash_of ("    preprocess:\n      f: {clip: [-1, 10]}\n", hash), "given numbers");
    cr_assert (hash_of ("    preprocess:\n      f:\n        clip: [-1.0, 10.0]\n", other));
    cr_expect_str_eq (other, hash, "however they are written");
    /* printf '    preprocess:\n      f:\n        clip:\n          - -1.0\n          - 10.0\n' |
     * sha256sum */
    cr_expect_str_eq (hash, "c22b733dadb90813a1b6bffd1b44c1032470a4ae32ed628974dd655f3ab3ef5e");
}
