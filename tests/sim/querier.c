/* Somebody who asks: about now, the past, the far future; and in the end about everything. */
#include "tests/sim/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/service.h"
#include "tests/sim/world.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* Since its start, that a cluster in which nothing goes wrong may take to answer completely. */
#define CALM_AFTER (10 * TIME_SECOND)

enum { KEYS_ASKED_MAX = 3, FINAL_TIMES = 4 };

struct sim_querier {
    sim_t *sim;
    sim_client_t *client;
    arena_t *scratch;
    unsigned steps; /* that have been taken */
    bool asked_all;
    int64_t since;         /* of the first question */
    unsigned asked_second; /* answers of version 2 to who named none */
    unsigned waiting;      /* questions of querier_ask_all without a complete answer */
};

typedef struct question_sent {
    sim_querier_t *querier;
    const sim_node_t *node;
    sim_question_t asked;
    bool hurried;   /* with a deadline that may be too early */
    bool any;       /* of whichever version is active: its view is known from the answer */
    int64_t offset; /* of the as-of from now, in the end */
} question_sent_t;

/* It lives as long as the run: nobody may be there any more to give it back. */
static question_sent_t *new_question (sim_querier_t *self)
{
    return arena_zero (check_arena (sim_check (self->sim)), 1, sizeof (question_sent_t));
}

/* A key that is asked for, at some time. */
static void add_key (sim_querier_t *self, sim_question_t *asked, text_t key, int64_t as_of)
{
    CHECK (asked->keys_count < ASKED_KEYS_MAX);
    asked->as_ofs[asked->keys_count] = as_of;
    asked->keys[asked->keys_count++] = arena_text (check_arena (sim_check (self->sim)), key);
}

static void write_key (const keyed_log_t *log, const value_t *values, wire_writer_t *writer)
{
    wire_open_map (writer);
    for (size_t i = 0; i < log->key_count; i++) {
        wire_key (writer, log->stream->fields[log->key[i]].name);
        wire_put_value (writer, &values[log->key[i]]);
    }
    wire_close (writer);
}

/* ---- while things happen ---- */

/* A view that came later: a serving node need not know it yet, and its key's history may be on the
 * way. */
static bool is_later (size_t view)
{
    return !data_has_view (view, 0);
}

/* Nothing goes wrong in this run, and the cluster has had time to start. */
static bool is_calm (const sim_querier_t *self)
{
    return sim_knobs (self->sim)->calm && sim_now (self->sim) - self->since > CALM_AFTER;
}

/* Which version was answered, where none was named. In the end it must be the newest. */
static void take_version (question_sent_t *question, const message_t *reply)
{
    sim_querier_t *self = question->querier;
    if (!question->any || !reply || reply->kind != MESSAGE_GET_OK)
        return;
    text_t version = wire_text (reply->body, "version");
    bool second = text_is (version, "v2");
    question->asked.view = DATA_CHANGES + second;
    if (!second && !text_is (version, "v1"))
        sim_fail (self->sim, "changes is answered with version " TEXT_FORMAT, TEXT_ARGS (version));
    if (question->asked.settled && second != data_has_view (DATA_CHANGES + 1, self->steps))
        sim_fail (self->sim, "in the end changes is answered with version " TEXT_FORMAT,
                  TEXT_ARGS (version));
    self->asked_second += second;
}

static void answered (void *arg, const message_t *reply)
{
    question_sent_t *question = arg;
    sim_querier_t *self = question->querier;
    bool complete = true;
    take_version (question, reply);
    size_t view = question->asked.view;
    if (reply && reply->kind == MESSAGE_GET_OK)
        check_answer (sim_check (self->sim), &question->asked, reply->body, &complete);
    else if (reply && is_later (view) && client_status (reply) == STATUS_NOT_FOUND)
        return;
    else
        complete = !client_may_retry (self->sim, "a query", reply);
    if (!complete && is_calm (self) && !question->hurried && !is_later (view))
        sim_fail (self->sim, "nothing went wrong, and an answer of %s is not complete",
                  check_data (sim_check (self->sim))->view_name[view]);
}

/* As-of times of all kinds. */
static int64_t some_as_of (sim_t *sim)
{
    int64_t wall = sim_wall (sim);
    switch (sim_chosen (sim, 0, 6)) {
    case 0:
        return wall - (int64_t)sim_chosen (sim, 0, 2 * (uint64_t)TIME_HOUR);
    case 1:
        return wall - (int64_t)sim_chosen (sim, 0, 40 * (uint64_t)TIME_DAY);
    case 2:
        return wall + (int64_t)sim_chosen (sim, 0, 10 * (uint64_t)TIME_DAY);
    case 3:
        return wall + (int64_t)sim_chosen (sim, 0, 10 * (uint64_t)TIME_MINUTE);
    case 4: /* whole seconds, at which events stand exactly */
        wall -= (int64_t)sim_chosen (sim, 0, 120) * TIME_SECOND;
        return wall - wall % TIME_SECOND;
    default:
        return wall - (int64_t)sim_chosen (sim, 0, 10 * (uint64_t)TIME_SECOND);
    }
}

/* ---- a service ---- */

typedef struct pair_sent {
    sim_querier_t *querier;
    service_question_t asked;
    bool hurried;
} pair_sent_t;

static void pair_answered (void *arg, const message_t *reply)
{
    const pair_sent_t *pair = arg;
    sim_querier_t *self = pair->querier;
    bool complete = true;
    if (reply && reply->kind == MESSAGE_GET_OK)
        service_check (sim_check (self->sim), self->sim, &pair->asked, reply->body, &complete);
    else
        complete = !client_may_retry (self->sim, "a query", reply);
    if (!complete && is_calm (self) && !pair->hurried)
        sim_fail (self->sim, "nothing went wrong, and an answer of a service is not complete");
}

/* Pairs of users, now and then one with himself. */
static void write_pairs (sim_querier_t *self, pair_sent_t *pair, wire_writer_t *writer)
{
    const sim_data_t *data = check_data (sim_check (self->sim));
    arena_t *arena = check_arena (sim_check (self->sim));
    size_t count = sim_chosen (self->sim, 1, KEYS_ASKED_MAX);
    arena_reset (self->scratch);
    wire_field_list (writer, "keys");
    for (size_t i = 0; i < count; i++) {
        value_t mine[DATA_FIELDS_MAX], yours[DATA_FIELDS_MAX];
        text_t my_key, your_key;
        data_key (data, self->sim, 0, self->scratch, mine, &my_key);
        data_key (data, self->sim, 0, self->scratch, yours, &your_key);
        uint32_t user = data->log[0].key[0];
        wire_open_map (writer);
        wire_key (writer, "mine");
        wire_put_value (writer, &mine[user]);
        wire_key (writer, "yours");
        wire_put_value (writer, &yours[user]);
        wire_close (writer);
        service_question_add (&pair->asked, arena_text (arena, my_key),
                              arena_text (arena, your_key));
    }
    wire_close (writer);
}

static void ask_pairs (sim_querier_t *self, const sim_node_t *node)
{
    pair_sent_t *pair = arena_zero (check_arena (sim_check (self->sim)), 1, sizeof (pair_sent_t));
    wire_writer_t *writer = client_begin (self->client, MESSAGE_GET);
    pair->querier = self;
    pair->hurried = sim_chance (self->sim, 0.5);
    service_question_init (&pair->asked);
    wire_field_string (writer, "view", "pair");
    write_pairs (self, pair, writer);
    if (sim_chance (self->sim, 0.4)) {
        int64_t as_of = some_as_of (self->sim);
        wire_field_int (writer, "as_of", as_of);
        for (size_t r = 0; r < SERVICE_ROLES; r++)
            for (size_t i = 0; i < pair->asked.role[r].keys_count; i++)
                pair->asked.role[r].as_ofs[i] = as_of;
    }
    for (size_t r = 0; r < SERVICE_ROLES; r++)
        check_floor (sim_check (self->sim), &pair->asked.role[r].floor);
    if (pair->hurried)
        wire_field_uint (writer, "deadline_ms", sim_chosen (self->sim, 50, 3000));
    client_ask (self->client, node, 4 * TIME_SECOND, pair_answered, pair);
}

/* ---- a view ---- */

/* Some of those that the view has had from the start. */
static void write_features (sim_querier_t *self, sim_question_t *asked, wire_writer_t *writer)
{
    const sim_data_t *data = check_data (sim_check (self->sim));
    size_t count = data_features (data, asked->view, 0);
    text_t *features = arena_zero (check_arena (sim_check (self->sim)), count, sizeof *features);
    wire_field_list (writer, "features");
    for (size_t i = 0; i < count; i++)
        if (i == 0 || sim_chance (self->sim, 0.3)) {
            features[asked->features_count++] = data->view[asked->view]->names[i];
            wire_put_text (writer, data->view[asked->view]->names[i]);
        }
    wire_close (writer);
    asked->features = features;
}

static void write_keys (sim_querier_t *self, sim_question_t *asked, wire_writer_t *writer)
{
    const sim_data_t *data = check_data (sim_check (self->sim));
    size_t log = data->view_log[asked->view];
    arena_reset (self->scratch);
    wire_field_list (writer, "keys");
    size_t keys = sim_chosen (self->sim, 1, KEYS_ASKED_MAX);
    for (size_t i = 0; i < keys; i++) {
        value_t values[DATA_FIELDS_MAX];
        text_t key;
        data_key (data, self->sim, log, self->scratch, values, &key);
        write_key (&data->log[log], values, writer);
        add_key (self, asked, key, INT64_MIN);
    }
    wire_close (writer);
}

static void write_times (sim_querier_t *self, sim_question_t *asked, wire_writer_t *writer)
{
    if (sim_chance (self->sim, 0.3)) {
        wire_field_list (writer, "as_ofs");
        for (size_t i = 0; i < asked->keys_count; i++) {
            asked->as_ofs[i] = some_as_of (self->sim);
            wire_put_int (writer, asked->as_ofs[i]);
        }
        wire_close (writer);
    } else if (sim_chance (self->sim, 0.5)) {
        int64_t as_of = some_as_of (self->sim);
        for (size_t i = 0; i < asked->keys_count; i++)
            asked->as_ofs[i] = as_of;
        wire_field_int (writer, "as_of", as_of);
    }
    if (!sim_chance (self->sim, 0.2))
        return;
    wire_field_bool (writer, "before", true);
    for (size_t i = 0; i < asked->keys_count; i++)
        if (asked->as_ofs[i] != INT64_MIN)
            asked->as_ofs[i]--;
}

static void write_question (sim_querier_t *self, question_sent_t *question, wire_writer_t *writer)
{
    sim_question_t *asked = &question->asked;
    wire_field_string (writer, "view",
                       question->any ? "changes"
                                     : check_data (sim_check (self->sim))->view_name[asked->view]);
    write_keys (self, asked, writer);
    write_times (self, asked, writer);
    if (sim_chance (self->sim, 0.3))
        write_features (self, asked, writer);
    if (question->hurried)
        wire_field_uint (writer, "deadline_ms", sim_chosen (self->sim, 50, 3000));
    if (sim_chance (self->sim, 0.1))
        wire_field_bool (writer, "refuse_incomplete", true);
}

/* Those that came later are asked for more often: much happens around them. */
static size_t some_view (sim_querier_t *self)
{
    bool later = self->steps & (STEP_VIEW | STEP_KEY | STEP_MEANING) && sim_chance (self->sim, 0.3);
    for (;;) {
        size_t view = sim_chosen (self->sim, 0, DATA_VIEWS - 1);
        if (data_has_view (view, self->steps) && (!later || is_later (view)))
            return view;
    }
}

static void ask (sim_t *sim, void *arg)
{
    sim_querier_t *self = arg;
    if (sim_finished (sim) || self->asked_all)
        return;
    size_t node = sim_chosen (sim, 0, sim_count (sim, ROLE_SERVING) - 1);
    int64_t next = sim_now (sim) + (int64_t)sim_chosen (sim, 10, 300) * TIME_MS;
    sim_at (sim, next, ask, self);
    if (sim_chance (sim, 0.2)) {
        ask_pairs (self, sim_node (sim, ROLE_SERVING, node));
        return;
    }
    question_sent_t *question = new_question (self);
    question->querier = self;
    question->asked.view = some_view (self);
    if (question->asked.view >= DATA_CHANGES && sim_chance (sim, 0.4)) {
        question->any = true;
        question->asked.view = DATA_CHANGES; /* both have the same keys and features */
    }
    check_floor (sim_check (sim), &question->asked.floor);
    question->hurried = sim_chance (sim, 0.5);
    write_question (self, question, client_begin (self->client, MESSAGE_GET));
    client_ask (self->client, sim_node (sim, ROLE_SERVING, node), 4 * TIME_SECOND, answered,
                question);
}

/* ---- everything, in the end ---- */

static void ask_again (sim_t *sim, void *arg);

static void answered_finally (void *arg, const message_t *reply)
{
    question_sent_t *question = arg;
    sim_querier_t *self = question->querier;
    bool complete = false;
    take_version (question, reply);
    if (reply && reply->kind == MESSAGE_GET_OK)
        check_answer (sim_check (self->sim), &question->asked, reply->body, &complete);
    else if (!client_may_retry (self->sim, "a query", reply))
        complete = true; /* the run has failed */
    if (complete) {
        self->waiting--;
        return;
    }
    sim_at (self->sim, sim_now (self->sim) + 200 * TIME_MS, ask_again, question);
}

static void ask_finally (question_sent_t *question)
{
    sim_querier_t *self = question->querier;
    sim_question_t *asked = &question->asked;
    const sim_data_t *data = check_data (sim_check (self->sim));
    size_t log = data->view_log[asked->view];
    int64_t as_of = sim_wall (self->sim) + question->offset;
    asked->keys_count = 0;
    check_floor (sim_check (self->sim), &asked->floor);
    wire_writer_t *writer = client_begin (self->client, MESSAGE_GET);
    wire_field_string (writer, "view", question->any ? "changes" : data->view_name[asked->view]);
    wire_field_int (writer, "as_of", as_of);
    wire_field_list (writer, "keys");
    arena_reset (self->scratch);
    value_t values[DATA_FIELDS_MAX];
    text_t key;
    for (size_t i = 0; data_key_at (data, log, i, self->scratch, values, &key); i++) {
        write_key (&data->log[log], values, writer);
        add_key (self, asked, key, as_of);
    }
    wire_close (writer);
    client_ask (self->client, question->node, 4 * TIME_SECOND, answered_finally, question);
}

static void ask_again (sim_t *sim, void *arg)
{
    if (!sim_finished (sim))
        ask_finally (arg);
}

void querier_ask_all (sim_querier_t *self)
{
    static const int64_t offsets[FINAL_TIMES] = { 0, -30 * TIME_MINUTE, 10 * TIME_MINUTE,
                                                  3 * TIME_DAY };
    self->asked_all = true;
    for (size_t n = 0; n < sim_count (self->sim, ROLE_SERVING); n++)
        for (size_t view = 0; view < DATA_VIEWS; view++)
            for (size_t t = 0; t < FINAL_TIMES && data_has_view (view, self->steps); t++) {
                question_sent_t *question = new_question (self);
                *question = (question_sent_t){ .querier = self,
                                               .node = sim_node (self->sim, ROLE_SERVING, n),
                                               .asked = { .view = view, .settled = true },
                                               .any = view >= DATA_CHANGES && t % 2 == 1,
                                               .offset = offsets[t] };
                self->waiting++;
                ask_finally (question);
            }
}

unsigned querier_seconds (const sim_querier_t *self)
{
    return self->asked_second;
}

bool querier_is_done (const sim_querier_t *self)
{
    return self->asked_all && self->waiting == 0;
}

sim_querier_t *querier_new (sim_t *sim)
{
    sim_querier_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    self->client = client_new (sim, "querier");
    self->scratch = arena_new (4096);
    return self;
}

void querier_destroy (sim_querier_t **self_p)
{
    sim_querier_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    client_destroy (&self->client);
    arena_destroy (&self->scratch);
    mem_free (self);
}

void querier_start (sim_querier_t *self)
{
    self->since = sim_now (self->sim);
    ask (self->sim, self);
}

void querier_steps (sim_querier_t *self, unsigned steps)
{
    self->steps = steps;
}
