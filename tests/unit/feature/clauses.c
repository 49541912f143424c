/* A feature's clauses: their canonical text, the names they make, and what long forms tell. */
#include "feature/definition.h"
#include "feature/feature_text.h"
#include "feature/plan.h"
#include "feature/stream_scope.h"

#include <criterion/criterion.h>

static const char stream[] =
    "streams:\n"
    "  s:\n"
    "    key: k\n"
    "    time: t\n"
    "    fields: {k: string, a: float64, b: int64, ok: bool, t: timestamp}\n";

static definitions_t *read_text (const char *text)
{
    definition_file_t files[] = { { "s.yaml", text_of (stream) }, { "v.yaml", text_of (text) } };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (files, 2, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, text);
    return definitions;
}

static const char *canonical (const char *text, const expr_scope_t *scope, arena_t *arena,
                              feature_text_t *feature)
{
    size_t at = 0;
    error_t error;
    status_t status = feature_text_read (text_of (text), scope, arena, feature, &at, &error);
    cr_assert_eq (status, STATUS_OK, "%s: %zu: %s", text, at, error.text);
    buf_t out;
    buf_init (&out, EXPR_TEXT_MAX);
    feature_text_format (feature, &out);
    const char *copy = arena_string (arena, text_of (buf_string (&out)));
    buf_release (&out);
    return copy;
}

Test (clauses, have_one_canonical_text_which_reads_back)
{
    static const char *const cases[][2] = {
        { "count()", "count()" },
        { "SUM", NULL },
        { "sum( a+1 )WHERE ok BY k  OVER 07d , 100 ROWS,5 rows IN 1h DELAY 7d",
          "sum(a + 1) where ok by k over 07d, 100 rows, 5 rows in 1h delay 7d" },
        { "sum(a) delay 7d DEFAULT -1", "sum(a) delay 7d default -1" },
        { "count() by b % 10", "count() by b % 10" },
        { "last(k) default 'it''s'", "last(k) default 'it''s'" },
        { "last(t) default time '2026-01-02'",
          "last(t) default time '2026-01-02T00:00:00.000000Z'" },
        { "max(ok) default false over 7d", NULL },
        { "max(ok) over 7d default false", "max(ok) over 7d default false" },
        { "covariance( a ,b ) over 1h", "covariance(a, b) over 1h" },
        { "approx_quantile(a,0.50)", "approx_quantile(a, 0.5)" },
        { "approx_quantile(a, 1)", "approx_quantile(a, 1.0)" },
        { "decayed_sum(a, 60m) over 7d", "decayed_sum(a, 1h) over 7d" },
        { "decayed_count( 90s )", "decayed_count(90s)" },
        { "AVG(a)", NULL },
        { "avg(a)", "mean(a)" },
        { "age() where ok", "age() where ok" },
        { "rate(a) over 1h", "rate(a) over 1h" },
        { "rate() over 1h", "rate() over 1h" },
        { "mean(b) over lifetime default 3", "mean(b) over lifetime default 3" },
        { "last(cast(a as decimal(38,20))) default 123456789012345678.1",
          "last(cast(a as decimal(38,20))) default 123456789012345678.10000000000000000000" },
        { "last(cast(a as decimal(9,0))) default -7", "last(cast(a as decimal(9,0))) default -7" },
    };
    definitions_t *definitions = read_text ("");
    stream_scope_t scope;
    stream_scope_init (&scope, &definitions->streams[0]);
    arena_t *arena = arena_new (4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        feature_text_t feature;
        size_t at;
        error_t error;
        if (cases[i][1] == NULL) {
            cr_expect_neq (feature_text_read (text_of (cases[i][0]), &scope.scope, arena, &feature,
                                              &at, &error),
                           STATUS_OK);
            continue;
        }
        const char *once = canonical (cases[i][0], &scope.scope, arena, &feature);
        cr_expect_str_eq (once, cases[i][1]);
        cr_expect_str_eq (canonical (once, &scope.scope, arena, &feature), once);
    }
    arena_destroy (&arena);
    definitions_destroy (&definitions);
}

Test (clauses, are_read_into_the_feature)
{
    definitions_t *definitions = read_text ("");
    stream_scope_t scope;
    stream_scope_init (&scope, &definitions->streams[0]);
    arena_t *arena = arena_new (4096);
    feature_text_t feature;
    (void)canonical ("sum(b) where ok by k over 100 rows, 1h, 5 rows in 7d delay 30m", &scope.scope,
                     arena, &feature);
    cr_expect_str_eq (feature.filter, "ok");
    cr_expect_str_eq (feature.by, "k");
    cr_expect_eq (feature.by_type, TYPE_STRING);
    cr_assert_eq (feature.windows_count, 3);
    cr_expect_str_eq (feature.windows[0].suffix, "100rows");
    cr_expect_eq (feature.windows[0].rows, 100);
    cr_expect_eq (feature.windows[0].window, WINDOW_LIFETIME);
    cr_expect_str_eq (feature.windows[1].suffix, "1h");
    cr_expect_eq (feature.windows[1].rows, 0);
    cr_expect_str_eq (feature.windows[2].suffix, "5rows_7d");
    cr_expect_eq (feature.windows[2].rows, 5);
    cr_expect_eq (feature.windows[2].window, 7 * TIME_DAY);
    cr_expect_eq (feature.delay, 30 * TIME_MINUTE);
    cr_expect_str_eq (feature.delay_written, "30m");
    buf_t type;
    buf_init (&type, RESULT_TYPE_TEXT_MAX);
    result_type_format (&feature.type, &type);
    cr_expect_str_eq (buf_string (&type), "map<string,int64>");
    buf_release (&type);
    (void)canonical ("mean(b) default 2", &scope.scope, arena, &feature);
    cr_expect_eq (feature.default_value.type, TYPE_FLOAT64, "an integer is widened");
    cr_expect_eq (feature.default_value.f, 2.0);
    (void)canonical ("sum(cast(a as decimal(9,2))) default - 0.5", &scope.scope, arena, &feature);
    cr_expect_eq (feature.default_value.type, type_decimal (2));
    cr_expect (feature.default_value.d == -50);
    arena_destroy (&arena);
    definitions_destroy (&definitions);
}

Test (clauses, of_the_long_form_are_kept_in_the_canonical_text)
{
    static const char text[] = "views:\n"
                               "  v:\n"
                               "    from: s\n"
                               "    key: k\n"
                               "    features:\n"
                               "      n:\n"
                               "        expr: \"last(k) over 1h, 7d default 'it''s #1'\"\n"
                               "        description: \"what: it is\"\n"
                               "        owner: risk team\n"
                               "        tags:\n"
                               "          - a\n"
                               "          - \"#b\"\n"
                               "      m:\n"
                               "        expr: sum(a)\n"
                               "        tags:\n"
                               "          - single\n"
                               "      z: sum(b) default 3\n";
    definitions_t *first =
        read_text ("views:\n  v:\n    from: s\n    features:\n"
                   "      n: {expr: \"last(k) over 1h, 7d\", default: \"it's #1\", description: "
                   "'what: it is', owner: risk team, tags: [a, '#b']}\n"
                   "      m: {expr: sum(a), tags: single}\n"
                   "      z: {expr: sum(b), default: 3}\n");
    cr_expect_str_eq (first->views[0].text, text);
    definitions_t *second = read_text (first->views[0].text);
    cr_expect_str_eq (second->views[0].text, text);
    for (size_t i = 0; i < 2; i++) {
        const feature_t *feature = &second->views[0].features[i];
        cr_expect_str_eq (feature->about.description, "what: it is");
        cr_expect_str_eq (feature->about.owner, "risk team");
        cr_assert_eq (feature->about.tags_count, 2);
        cr_expect_str_eq (feature->about.tags[1], "#b");
        cr_expect (text_is (feature->default_value.s, "it's #1"));
    }
    plan_t *plan = plan_new (&second->views[0]);
    definitions_destroy (&second);
    cr_expect (text_is (plan->features[1].default_value.s, "it's #1"), "it is the plan's own");
    plan_destroy (&plan);
    definitions_destroy (&first);
}

Test (clauses, that_only_tell_change_no_meaning)
{
    static const char *const texts[] = {
        "views:\n  v:\n    from: s\n    features:\n      n: count() over 1h\n",
        "views:\n  v:\n    from: s\n    features:\n      n: {expr: count() over 1h, owner: a, "
        "tags: "
        "[b], description: c, default: 0}\n    request: {r: int64}\n    derived: {d: n_1h + r}\n",
    };
    plan_t *plans[2];
    uint64_t meanings[2];
    for (size_t i = 0; i < 2; i++) {
        definitions_t *definitions = read_text (texts[i]);
        plans[i] = plan_new (&definitions->views[0]);
        meanings[i] = definitions->views[0].meaning;
        definitions_destroy (&definitions);
    }
    cr_expect_eq (meanings[0], meanings[1]);
    cr_expect_eq (plans[0]->hash, plans[1]->hash, "layers exchange partials as before");
    plan_destroy (&plans[0]);
    plan_destroy (&plans[1]);
}
