/* Derived features: what they may need, in which order, and what they come to. */
#include "feature/outcome.h"

#include <criterion/criterion.h>

static definitions_t *read_text (const char *text)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, text);
    return definitions;
}

static const char yaml[] = "streams:\n"
                           "  s:\n"
                           "    key: []\n"
                           "    time: t\n"
                           "    fields: {a: float64, b: int64, t: timestamp}\n"
                           "views:\n"
                           "  v:\n"
                           "    from: s\n"
                           "    request: {r: float64, word: string}\n"
                           "    features:\n"
                           "      n: count() over 1h, 7d\n"
                           "      total: sum(b) over 7d\n"
                           "      last: last(t)\n"
                           "      none: sum(a) where false\n"
                           "    derived:\n"
                           "      late: share * 100\n"
                           "      share: n_1h / n_7d\n"
                           "      days: (now - last) / 1d\n"
                           "      ratio: {expr: r / n_7d, default: -1}\n"
                           "      half: total_7d / 2\n"
                           "      more: half + share\n"
                           "      told: coalesce(word, 'nothing')\n"
                           "      one: 1 + 0\n";

typedef struct world {
    definitions_t *definitions;
    plan_t *plan;
    arena_t *arena;
    answer_t *answers[2];
} world_t;

#define AS_OF (10 * TIME_DAY)

/* The first answer has three events, one of them in the last hour; the second has a sum that does
 * not fit. */
static world_t world_new (void)
{
    world_t world = { .definitions = read_text (yaml), .arena = arena_new (4096) };
    world.plan = plan_new (&world.definitions->views[0]);
    static const type_t types[] = { TYPE_FLOAT64, TYPE_INT64, TYPE_TIMESTAMP };
    static const int64_t times[] = { AS_OF - 2 * TIME_DAY, AS_OF - TIME_DAY, AS_OF - TIME_MINUTE };
    for (size_t k = 0; k < 2; k++) {
        batch_t batch = batch_new (world.arena, types, 3, 3);
        for (size_t r = 0; r < 3; r++) {
            value_t time = { .type = TYPE_TIMESTAMP, .i = times[r] };
            value_t b = { .type = TYPE_INT64, .i = k == 0 ? 5 : INT64_MAX };
            batch.event_time[r] = times[r];
            column_set (&batch.column[1], r, &b);
            column_set (&batch.column[2], r, &time);
        }
        projection_t rows = plan_project (world.plan, &batch, world.arena);
        world.answers[k] = answer_new (world.plan);
        for (size_t r = 0; r < 3; r++)
            answer_add_row (world.answers[k], AS_OF, &rows, r);
    }
    return world;
}

static void world_release (world_t *world)
{
    answer_destroy (&world->answers[0]);
    answer_destroy (&world->answers[1]);
    plan_destroy (&world->plan);
    definitions_destroy (&world->definitions);
    arena_destroy (&world->arena);
}

static uint32_t index_of (const world_t *world, const char *name)
{
    int index = plan_feature_index (world->plan, text_of (name));
    cr_assert_geq (index, 0, "%s", name);
    return (uint32_t)index;
}

/* One feature of one answer, asked for alone. */
static outcome_t outcome_alone (world_t *world, size_t answer, const char *name,
                                const value_t *request)
{
    uint32_t feature = index_of (world, name);
    outcome_task_t *task = outcome_task_new (world->plan, &feature, 1, world->arena);
    outcome_key_t key = { .answer = world->answers[answer], .as_of = AS_OF, .request = request };
    return *outcome_of (task, outcome_compute (task, &key, 1, world->arena), 0, 0);
}

Test (derived, features_come_after_the_others_and_have_their_types)
{
    world_t world = world_new ();
    static const struct {
        const char *name;
        type_t type;
    } expected[] = {
        { "n_1h", TYPE_INT64 },     { "n_7d", TYPE_INT64 },   { "total_7d", TYPE_INT64 },
        { "last", TYPE_TIMESTAMP }, { "none", TYPE_FLOAT64 }, { "late", TYPE_FLOAT64 },
        { "share", TYPE_FLOAT64 },  { "days", TYPE_FLOAT64 }, { "ratio", TYPE_FLOAT64 },
        { "half", TYPE_FLOAT64 },   { "more", TYPE_FLOAT64 }, { "told", TYPE_STRING },
        { "one", TYPE_INT64 },
    };
    cr_assert_eq (world.plan->features_count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < world.plan->features_count; i++) {
        cr_expect_str_eq (world.plan->features[i].name, expected[i].name);
        cr_expect_eq (world.plan->features[i].type.type, expected[i].type, "%s", expected[i].name);
    }
    world_release (&world);
}

Test (derived, features_are_computed_from_features_request_and_now)
{
    world_t world = world_new ();
    value_t request[] = { { .type = TYPE_FLOAT64, .f = 6 },
                          { .type = TYPE_STRING, .s = text_of ("hello") } };
    cr_expect_eq (outcome_alone (&world, 0, "share", request).value.f, 1.0 / 3);
    cr_expect_eq (outcome_alone (&world, 0, "late", request).value.f, 1.0 / 3 * 100);
    cr_expect_eq (outcome_alone (&world, 0, "days", request).value.f, 1.0 / 1440);
    cr_expect_eq (outcome_alone (&world, 0, "ratio", request).value.f, 2.0);
    cr_expect_eq (outcome_alone (&world, 0, "more", request).value.f, 7.5 + 1.0 / 3);
    cr_expect_eq (outcome_alone (&world, 0, "one", request).value.i, 1);
    cr_expect (text_is (outcome_alone (&world, 0, "told", request).value.s, "hello"));
    world_release (&world);
}

Test (derived, features_take_what_a_request_lacks_as_null)
{
    world_t world = world_new ();
    cr_expect_eq (outcome_alone (&world, 0, "ratio", NULL).value.f, -1.0, "its default");
    cr_expect (text_is (outcome_alone (&world, 0, "told", NULL).value.s, "nothing"));
    world_release (&world);
}

Test (derived, features_fail_when_one_that_they_need_does)
{
    world_t world = world_new ();
    cr_expect_not_null (outcome_alone (&world, 1, "total_7d", NULL).error);
    outcome_t half = outcome_alone (&world, 1, "half", NULL);
    cr_expect (half.value.null);
    cr_expect_str_eq (half.error, "half: it needs total_7d, which could not be computed");
    cr_expect_str_eq (outcome_alone (&world, 1, "more", NULL).error,
                      "more: it needs half, which could not be computed");
    cr_expect_null (outcome_alone (&world, 1, "share", NULL).error, "the others do not");
    world_release (&world);
}

Test (derived, features_of_many_keys_are_those_of_each)
{
    world_t world = world_new ();
    uint32_t features[16];
    size_t count = 0;
    for (size_t i = world.plan->features_count; i-- > 0;)
        features[count++] = (uint32_t)i;
    features[count++] = index_of (&world, "share"); /* one twice */
    outcome_task_t *task = outcome_task_new (world.plan, features, count, world.arena);
    value_t request[] = { { .type = TYPE_FLOAT64, .f = 0.25 },
                          { .type = TYPE_STRING, .null = true } };
    outcome_key_t keys[] = {
        { .answer = world.answers[0], .as_of = AS_OF, .request = NULL },
        { .answer = world.answers[1], .as_of = AS_OF + TIME_DAY, .request = request },
        { .answer = world.answers[0], .as_of = AS_OF + 1, .request = request }
    };
    const outcome_t *together = outcome_compute (task, keys, 3, world.arena);
    for (size_t k = 0; k < 3; k++) {
        const outcome_t *one = outcome_compute (task, &keys[k], 1, world.arena);
        for (size_t i = 0; i < count; i++) {
            const outcome_t *got = outcome_of (task, together, k, i);
            const outcome_t *alone = outcome_of (task, one, 0, i);
            cr_expect (value_equal (&got->value, &alone->value), "%s",
                       world.plan->features[features[i]].name);
            cr_expect_eq (got->error == NULL, alone->error == NULL);
        }
    }
    world_release (&world);
}

Test (derived, features_and_requests_read_back_from_the_canonical_text)
{
    definitions_t *first = read_text (yaml);
    buf_t text;
    buf_init (&text, 1 << 16);
    buf_put_string (&text, first->streams[0].text);
    buf_put_string (&text, first->views[0].text);
    definitions_t *second = read_text (buf_string (&text));
    cr_expect_str_eq (second->views[0].text, first->views[0].text);
    cr_expect_not_null (strstr (first->views[0].text, "    request:\n"
                                                      "      r: float64\n"
                                                      "      word: string\n"));
    cr_expect_not_null (strstr (first->views[0].text,
                                "      share: n_1h / n_7d\n"
                                "      days: \"(now - last) / 86400000000us\"\n"
                                "      ratio:\n"
                                "        expr: r / n_7d\n"
                                "        default: \"-1\"\n"));
    buf_release (&text);
    definitions_destroy (&first);
    definitions_destroy (&second);
}

/* ---- ttl ---- */

/* What features come to `after` the only event, of a view that has them for an hour. */
static outcome_t after_event (int64_t after, bool partial, const char *name, arena_t *arena)
{
    static const char text[] = "streams:\n  s:\n    key: []\n    time: t\n"
                               "    fields: {b: int64, t: timestamp}\n"
                               "views:\n  v:\n    from: s\n    ttl: 1h\n    features:\n"
                               "      n: count()\n      total: sum(b)\n"
                               "      kept: {expr: sum(b), default: -1}\n"
                               "    derived:\n      twice: total * 2\n"
                               "      told: coalesce(total, 7)\n";
    static const type_t types[] = { TYPE_INT64, TYPE_TIMESTAMP };
    definitions_t *definitions = read_text (text);
    plan_t *plan = plan_new (&definitions->views[0]);
    int index = plan_feature_index (plan, text_of (name));
    uint32_t feature = (uint32_t)index;
    cr_assert_geq (index, 0);
    batch_t batch = batch_new (arena, types, 2, 1);
    value_t b = { .type = TYPE_INT64, .i = 5 };
    batch.event_time[0] = AS_OF;
    column_set (&batch.column[0], 0, &b);
    projection_t rows = plan_project (plan, &batch, arena);
    answer_t *answer = answer_new (plan);
    answer_add_row (answer, AS_OF + after, &rows, 0);
    outcome_task_t *task = outcome_task_new (plan, &feature, 1, arena);
    outcome_key_t key = { .answer = answer, .as_of = AS_OF + after, .partial = partial };
    outcome_t outcome = *outcome_of (task, outcome_compute (task, &key, 1, arena), 0, 0);
    answer_destroy (&answer);
    plan_destroy (&plan);
    definitions_destroy (&definitions);
    return outcome;
}

Test (derived, aggregates_are_null_once_the_latest_event_is_older_than_the_ttl)
{
    arena_t *arena = arena_new (4096);
    static const struct {
        int64_t after;
        const char *feature;
        bool null;
        int64_t value;
    } expected[] = {
        { 0, "n", false, 1 },
        { TIME_HOUR, "n", false, 1 },
        { TIME_HOUR + 1, "n", true, 0 },
        { -1, "n", true, 0 }, /* it has no event yet */
        { TIME_HOUR, "total", false, 5 },
        { TIME_HOUR + 1, "total", true, 0 },
        { TIME_HOUR + 1, "kept", false, -1 },
        { TIME_HOUR, "twice", false, 10 },
        { TIME_HOUR + 1, "twice", true, 0 },
        { TIME_HOUR + 1, "told", false, 7 },
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        outcome_t got = after_event (expected[i].after, false, expected[i].feature, arena);
        cr_expect_null (got.error);
        cr_expect_eq (got.value.null, expected[i].null, "%zu", i);
        if (!expected[i].null)
            cr_expect_eq (got.value.i, expected[i].value, "%zu: %ld", i, got.value.i);
    }
    outcome_t got = after_event (TIME_HOUR + 1, true, "n", arena);
    cr_expect (!got.value.null && got.value.i == 1, "later events may be missing");
    arena_destroy (&arena);
}
