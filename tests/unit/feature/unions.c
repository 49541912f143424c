/* Views of several streams: what they must share, and that their plans' answers merge into what the
 * oracle makes of all events together. */
#include "base/mem.h"
#include "base/random.h"
#include "feature/answer.h"
#include "feature/plan.h"
#include "tests/oracle/question.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* `back` has what `pay` has, in other places, and its own key; `odd` differs in a type. */
#define STREAMS                                                                                    \
    "streams:\n"                                                                                   \
    "  pay:\n"                                                                                     \
    "    key: user\n"                                                                              \
    "    time: ts\n"                                                                               \
    "    fields: {user: string, n: int64, x: float64, only: int64, ts: timestamp}\n"               \
    "  back:\n"                                                                                    \
    "    key: id\n"                                                                                \
    "    time: at\n"                                                                               \
    "    fields:\n"                                                                                \
    "      at: timestamp\n"                                                                        \
    "      x: float64\n"                                                                           \
    "      id: int64\n"                                                                            \
    "      user: string\n"                                                                         \
    "      n: {expr: id % 4 - 1}\n"                                                                \
    "  odd:\n"                                                                                     \
    "    key: user\n"                                                                              \
    "    time: ts\n"                                                                               \
    "    fields: {user: string, n: float64, ts: timestamp}\n"                                      \
    "views:\n"                                                                                     \
    "  v:\n"

static definitions_t *read_text (const char *text)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    return definitions;
}

static void assert_refused (const char *text, const char *reason)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    cr_assert_neq (definitions_read (&file, 1, &definitions, &error), STATUS_OK, "%s", reason);
    cr_assert_str_eq (error.text, reason);
}

Test (unions, need_what_they_use_in_every_stream)
{
    assert_refused (STREAMS "    from: [pay, back]\n    key: user\n    features:\n"
                            "      a: sum(n + only) over 1h\n",
                    "f.yaml:24:18: 'only' is a field of 'pay', but not of 'back', and a view of "
                    "several streams can use only what all of them have");
    assert_refused (STREAMS "    from: [pay, back, odd]\n    key: user\n    features:\n"
                            "      a: count() where n > 1 over 1h\n",
                    "f.yaml:24:24: 'n' is int64 in 'pay', and float64 in 'odd': a view of several "
                    "streams needs one type");
    assert_refused (STREAMS "    from: [pay, odd]\n    where: x > 1\n    features:\n"
                            "      a: count()\n",
                    "f.yaml:22:12: 'x' is a field of 'pay', but not of 'odd', and a view of "
                    "several streams can use only what all of them have");
    assert_refused (STREAMS "    from: [back, odd]\n    features:\n      a: count()\n",
                    "f.yaml:21:5: the key: 'id' is a field of 'back', but not of 'odd', and a view "
                    "of several streams can use only what all of them have");
    assert_refused (STREAMS "    from: [pay, back]\n    key: n\n    features:\n      a: count()\n",
                    "f.yaml:22:10: 'n' is computed in 'back': a key is of fields that are sent, "
                    "for they say where an event goes");
    assert_refused (STREAMS "    from: [pay, back]\n    key: user\n    features:\n"
                            "      a: sum(usr)\n",
                    "f.yaml:24:14: unknown field 'usr'; did you mean 'user'?");
}

Test (unions, are_of_up_to_eight_streams_each_once)
{
    assert_refused (STREAMS "    from: [pay, pay]\n    features:\n      a: count()\n",
                    "f.yaml:21:17: the view is from 'pay' twice");
    assert_refused (STREAMS "    from: [pay, bakc]\n    features:\n      a: count()\n",
                    "f.yaml:21:17: there is no stream 'bakc'; did you mean 'back'?\n"
                    "(features of 1 view were not checked because of mistakes above)");
    assert_refused (STREAMS "    from: []\n    features:\n      a: count()\n",
                    "f.yaml:21:11: the view 'v' is from no stream");
    assert_refused (STREAMS "    from: [a, b, c, d, e, f, g, h, i]\n    features:\n"
                            "      a: count()\n",
                    "f.yaml:21:36: the list is too long (at most 8)");
}

Test (unions, read_back_from_what_is_kept_of_them)
{
    definitions_t *first =
        read_text (STREAMS "    from: [pay, back]\n    key: user\n    where: x > 0\n"
                           "    features: {a: sum(n)}\n");
    const view_t *view = &first->views[0];
    cr_expect_not_null (strstr (view->text, "    from: [pay, back]\n    key: user\n"));
    char text[4096];
    (void)snprintf (text, sizeof text, "%s%s%s%s", first->streams[0].text,
                    strchr (first->streams[1].text, '\n') + 1,
                    strchr (first->streams[2].text, '\n') + 1, view->text);
    definitions_t *second = read_text (text);
    cr_expect_str_eq (second->views[0].text, view->text);
    cr_expect_eq (second->views[0].meaning, view->meaning);
    definitions_destroy (&second);
    /* one stream, as a list or not, is the same; other streams are another meaning */
    definitions_t *list = read_text (STREAMS "    from: [pay]\n    where: x > 0\n"
                                             "    features: {a: sum(n)}\n");
    definitions_t *alone = read_text (STREAMS "    from: pay\n    where: x > 0\n"
                                              "    features: {a: sum(n)}\n");
    cr_expect_str_eq (list->views[0].text, alone->views[0].text);
    cr_expect_eq (list->views[0].meaning, alone->views[0].meaning);
    cr_expect_neq (list->views[0].meaning, view->meaning);
    /* what is built of a stream is the same whether others are there or not */
    plan_t *a = plan_new_over (view, 0), *b = plan_new (&alone->views[0]);
    cr_expect_eq (a->hash, b->hash);
    plan_destroy (&a);
    plan_destroy (&b);
    definitions_destroy (&list);
    definitions_destroy (&alone);
    definitions_destroy (&first);
}

/* ---- answers ---- */

static const char *const asked[] = {
    "n_1h: count() over 1h",
    "s_1h: sum(x) over 1h",
    "s_lifetime: sum(x) over lifetime",
    "f_1h: first(n) over 1h",
    "l_lifetime: last(x) over lifetime",
    "k_lifetime: last_k(x, 5) over lifetime",
    "e_1h: first_k(n, 3) over 1h",
    "r_3rows: sum(x) over 3 rows",
    "b_4rows: count() by n over 4 rows",
    "p_2rows_delay1m: max(n) over 2 rows delay 1m",
    "c_lifetime: covariance(n, x) over lifetime",
    "m_1h: sum(n) by n over 1h",
};

#define FEATURES                                                                                   \
    "      n: count() over 1h\n      s: sum(x) over 1h, lifetime\n      f: first(n) over 1h\n"     \
    "      l: last(x) over lifetime\n      k: last_k(x, 5) over lifetime\n"                        \
    "      e: first_k(n, 3) over 1h\n      r: sum(x) over 3 rows\n"                                \
    "      b: count() by n over 4 rows\n      p: max(n) over 2 rows delay 1m\n"                    \
    "      c: covariance(n, x) over lifetime\n      m: sum(n) by n over 1h\n"

enum { ROWS = 40, FIELDS = 3 };

typedef struct union_world {
    definitions_t *definitions;
    plan_t *plans[2];
    arena_t *arena;
    oracle_event_t events[2 * ROWS];
    size_t count;
} union_world_t;

/* Rows at few places, so that those of both streams often have the same. */
static projection_t add_rows (union_world_t *self, random_t *random, size_t source)
{
    const stream_t *stream = self->definitions->views[0].sources[source].stream;
    type_t types[FIELDS_MAX];
    for (size_t i = 0; i < stream->fields_count; i++)
        types[i] = stream->fields[i].type;
    batch_t batch = batch_new (self->arena, types, stream->fields_count, ROWS);
    const int fields[FIELDS] = { stream_field (stream, text_of ("user")),
                                 stream_field (stream, text_of ("n")),
                                 stream_field (stream, text_of ("x")) };
    for (size_t r = 0; r < ROWS; r++) {
        value_t *values = arena_zero (self->arena, FIELDS, sizeof *values);
        values[0] = (value_t){ .type = TYPE_STRING, .s = text_of ("u") };
        values[1] = (value_t){ .type = TYPE_INT64,
                               .null = random_chance (random, 0.2),
                               .i = (int64_t)random_below (random, 4) - 1 };
        values[2] = (value_t){ .type = TYPE_FLOAT64,
                               .null = random_chance (random, 0.2),
                               .f = (double)random_below (random, 5) / 4 };
        for (size_t f = 0; f < FIELDS; f++)
            column_set (&batch.column[fields[f]], r, &values[f]);
        batch.key[r] = text_of ("u");
        batch.event_time[r] = (int64_t)random_below (random, 4) * TIME_MINUTE / 2;
        batch.offset[r] = r / 8; /* each place once in a log */
        batch.row[r] = r % 8;
        self->events[self->count++] = (oracle_event_t){ .key = text_of ("u"),
                                                        .time = batch.event_time[r],
                                                        .offset = batch.offset[r],
                                                        .row = batch.row[r],
                                                        .values = values };
    }
    batch_t *kept = arena_zero (self->arena, 1, sizeof *kept);
    *kept = batch;
    return plan_project (self->plans[source], kept, self->arena);
}

static void compare (union_world_t *self, const answer_t *answer, int64_t as_of)
{
    static question_t question;
    error_t error;
    question = (question_t){ 0 };
    cr_assert_eq (question_fields (&question, text_of ("user:string,n:int64,x:float64"), &error),
                  STATUS_OK);
    for (size_t f = 0; f < sizeof asked / sizeof *asked; f++) {
        cr_assert_eq (question_feature (&question, text_of (asked[f]), &error), STATUS_OK);
        oracle_feature_t feature = question.features[f];
        value_t expected, got;
        feature.arena = self->arena;
        cr_assert (text_is (question.names[f], self->plans[0]->features[f].name));
        cr_assert_eq (oracle_value (&feature, self->events, self->count, as_of, &expected),
                      STATUS_OK);
        cr_assert_eq (answer_final (answer, f, as_of, self->arena, &got, &error), STATUS_OK);
        cr_assert (oracle_agree (&got, &expected), "%s", asked[f]);
    }
}

Test (unions, answers_of_the_streams_merge_into_that_of_all_events)
{
    random_t random;
    random_seed (&random, 77);
    for (int round = 0; round < 300; round++) {
        union_world_t world = {
            .definitions = read_text (STREAMS "    from: [pay, back]\n    key: user\n"
                                              "    features:\n" FEATURES),
            .arena = arena_new (1 << 16),
        };
        int64_t as_of = (int64_t)random_below (&random, 6) * TIME_MINUTE / 2;
        buf_t partials;
        buf_init (&partials, ANSWER_ENCODED_MAX);
        for (size_t s = 0; s < 2; s++)
            world.plans[s] = plan_new_over (&world.definitions->views[0], s);
        cr_expect_str_eq (world.plans[0]->log_name, "pay/user");
        cr_expect_str_eq (world.plans[1]->log_name, "back/user");
        cr_expect_neq (world.plans[0]->hash, world.plans[1]->hash);
        answer_t *all = answer_new (world.plans[0]);
        size_t first = random_below (&random, 2);
        for (size_t i = 0; i < 2; i++) {
            size_t s = i ^ first;
            projection_t rows = add_rows (&world, &random, s);
            answer_t *answer = answer_new (world.plans[s]);
            for (size_t r = 0; r < rows.rows; r++)
                answer_add_row (answer, as_of, &rows, r);
            buf_clear (&partials);
            answer_encode (answer, &partials);
            reader_t reader = reader_of (partials.data, partials.size);
            error_t error;
            cr_assert_eq (answer_merge (all, &reader, &error), STATUS_OK);
            answer_destroy (&answer);
        }
        compare (&world, all, as_of);
        answer_destroy (&all);
        buf_release (&partials);
        for (size_t s = 0; s < 2; s++)
            plan_destroy (&world.plans[s]);
        arena_destroy (&world.arena);
        definitions_destroy (&world.definitions);
    }
}
