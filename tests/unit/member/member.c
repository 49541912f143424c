/* Beats, leases, orders and definitions, with a coordinator that is played by the test. */
#include "member/member.h"
#include "base/timestamp.h"
#include "member/routes.h"
#include "tests/rig/env.h"
#include "tests/rig/payments.h"

#include <criterion/criterion.h>

#define LEASE (6 * TIME_SECOND)

typedef struct fixture {
    rig_env_t rig;
    member_t *member;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
    peer_t coordinator;
    unsigned orders; /* times that orders were handed over */
    uint64_t ordered_routes;
    unsigned models;
    rig_message_t *held; /* that the message decoded last borrows from */
} fixture_t;

static void fill_beat (void *core, wire_writer_t *beat)
{
    (void)core;
    wire_field_list (beat, "datasets");
    wire_close (beat);
}

static void take_orders (void *core, const wire_value_t *orders)
{
    fixture_t *self = core;
    self->orders++;
    self->ordered_routes = wire_uint (orders, "routes", 0);
}

static void take_model (void *core, model_t *model)
{
    fixture_t *self = core;
    self->models++;
    cr_assert_eq (model, member_model (self->member));
}

static const member_ops_t ops = { fill_beat, take_orders, take_model };

static void setup (fixture_t *self)
{
    *self = (fixture_t){ .coordinator = peer_of_endpoint ("tcp://coordinator") };
    rig_env_init (&self->rig, NULL, 1);
    member_options_t options = { .node = "n1",
                                 .kind = "speed",
                                 .cluster = "c",
                                 .endpoint = "tcp://n1",
                                 .coordinator = self->coordinator };
    self->member = member_new (&self->rig.env, &options, &ops, self);
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
}

static void teardown (fixture_t *self)
{
    rig_message_free (&self->held);
    member_destroy (&self->member);
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    rig_env_release (&self->rig);
}

/* The next message that was sent, which must be of that kind. */
static message_t sent (fixture_t *self, message_kind_t kind)
{
    message_t message;
    error_t error;
    rig_message_free (&self->held);
    self->held = rig_env_take (&self->rig);
    cr_assert_not_null (self->held, "no %s was sent", message_word (kind));
    cr_assert (peer_equal (&self->held->to, &self->coordinator));
    status_t status =
        wire_decode (self->decoder, self->held->data, self->held->size, &message, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    cr_assert_str_eq (message_word (message.kind), message_word (kind));
    return message;
}

static bool silent (const fixture_t *self)
{
    return self->rig.sent == NULL;
}

/* Gives the member what stands in the writer, as from `peer`. */
static bool give (fixture_t *self, const peer_t *peer)
{
    const void *data;
    size_t size;
    message_t message;
    error_t error;
    cr_assert (wire_end (self->writer, &data, &size));
    status_t status = wire_decode (self->decoder, data, size, &message, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    return member_receive (self->member, peer, &message);
}

static void write_orders (fixture_t *self, uint64_t id, uint64_t definitions, uint64_t routes)
{
    wire_begin (self->writer, MESSAGE_BEAT_OK, id);
    wire_field_uint (self->writer, "lease_us", LEASE);
    wire_field_uint (self->writer, "definitions", definitions);
    wire_field_uint (self->writer, "routes", routes);
    wire_field_list (self->writer, "datasets");
    wire_close (self->writer);
}

static void answer_beat (fixture_t *self, uint64_t id, uint64_t definitions, uint64_t routes)
{
    write_orders (self, id, definitions, routes);
    cr_assert (give (self, &self->coordinator));
}

static uint64_t beat (fixture_t *self)
{
    member_tick (self->member);
    return sent (self, MESSAGE_BEAT).id;
}

Test (member, beats_at_once_saying_who_it_is)
{
    fixture_t f;
    setup (&f);
    int64_t next = member_tick (f.member);
    message_t message = sent (&f, MESSAGE_BEAT);
    cr_expect (text_is (wire_text (message.body, "node"), "n1"));
    cr_expect (text_is (wire_text (message.body, "kind"), "speed"));
    cr_expect (text_is (wire_text (message.body, "cluster"), "c"));
    cr_expect (text_is (wire_text (message.body, "endpoint"), "tcp://n1"));
    cr_expect_eq (wire_uint (message.body, "incarnation", 0), member_incarnation (f.member));
    cr_expect_eq (wire_uint (message.body, "definitions", 9), 0);
    cr_expect_gt (next, f.rig.boot);
    member_tick (f.member);
    cr_expect (silent (&f), "one beat is enough until the next is due");
    teardown (&f);
}

Test (member, a_lease_runs_from_the_sending_of_the_beat)
{
    fixture_t f;
    setup (&f);
    uint64_t id = beat (&f);
    cr_assert_not (member_leased (f.member));
    int64_t sent_at = f.rig.boot;
    rig_env_pass (&f.rig, TIME_SECOND);
    answer_beat (&f, id, 0, 0);
    cr_assert (member_leased (f.member));
    rig_env_pass (&f.rig, sent_at + LEASE - f.rig.boot - 1);
    cr_assert (member_leased (f.member));
    rig_env_pass (&f.rig, 1);
    cr_assert_not (member_leased (f.member));
    teardown (&f);
}

Test (member, a_lease_begins_anew_when_the_one_before_had_run_out)
{
    fixture_t f;
    setup (&f);
    answer_beat (&f, beat (&f), 0, 0);
    uint64_t first = member_lapses (f.member);
    rig_env_pass (&f.rig, LEASE - 1);
    answer_beat (&f, beat (&f), 0, 0);
    cr_assert_eq (member_lapses (f.member), first);
    rig_env_pass (&f.rig, LEASE);
    cr_assert_not (member_leased (f.member));
    answer_beat (&f, beat (&f), 0, 0);
    cr_assert (member_leased (f.member));
    cr_assert_eq (member_lapses (f.member), first + 1);
    teardown (&f);
}

Test (member, beats_six_times_in_a_lease)
{
    fixture_t f;
    setup (&f);
    answer_beat (&f, beat (&f), 0, 0);
    int64_t due = member_tick (f.member);
    cr_assert_eq (due, f.rig.boot + LEASE / 6);
    rig_env_pass (&f.rig, LEASE / 6 - 1);
    member_tick (f.member);
    cr_assert (silent (&f));
    rig_env_pass (&f.rig, 1);
    beat (&f);
    teardown (&f);
}

Test (member, orders_that_were_overtaken_are_not_taken)
{
    fixture_t f;
    setup (&f);
    uint64_t first = beat (&f);
    rig_env_pass (&f.rig, TIME_SECOND);
    uint64_t second = beat (&f);
    answer_beat (&f, second, 0, 8);
    cr_assert_eq (f.ordered_routes, 8);
    answer_beat (&f, first, 0, 7);
    cr_assert_eq (f.orders, 1);
    cr_assert_eq (f.ordered_routes, 8);
    cr_assert (member_leased (f.member));
    teardown (&f);
}

Test (member, an_answer_counts_once)
{
    fixture_t f;
    setup (&f);
    uint64_t id = beat (&f);
    answer_beat (&f, id, 0, 1);
    answer_beat (&f, id, 0, 2);
    answer_beat (&f, id + 1, 0, 3);
    cr_assert_eq (f.orders, 1);
    cr_assert_eq (f.ordered_routes, 1);
    teardown (&f);
}

Test (member, only_the_coordinator_gives_orders)
{
    fixture_t f;
    setup (&f);
    peer_t stranger = peer_of_endpoint ("tcp://stranger");
    write_orders (&f, beat (&f), 0, 1);
    cr_assert_not (give (&f, &stranger));
    cr_assert_eq (f.orders, 0);
    cr_assert_not (member_leased (f.member));
    teardown (&f);
}

Test (member, a_lease_that_cannot_be_is_no_lease)
{
    fixture_t f;
    setup (&f);
    uint64_t id = beat (&f);
    wire_begin (f.writer, MESSAGE_BEAT_OK, id);
    wire_field_uint (f.writer, "lease_us", UINT64_MAX);
    wire_field_uint (f.writer, "definitions", 0);
    wire_field_uint (f.writer, "routes", 0);
    wire_field_list (f.writer, "datasets");
    wire_close (f.writer);
    cr_assert (give (&f, &f.coordinator));
    cr_assert_not (member_leased (f.member));
    cr_assert_eq (f.orders, 0);
    teardown (&f);
}

Test (member, a_poke_or_news_brings_the_next_beat_forward)
{
    fixture_t f;
    setup (&f);
    answer_beat (&f, beat (&f), 0, 0);
    wire_begin (f.writer, MESSAGE_POKE, 0);
    cr_assert (give (&f, &f.coordinator));
    int64_t due = member_tick (f.member);
    cr_assert_lt (due, f.rig.boot + LEASE / 6);
    rig_env_pass (&f.rig, due - f.rig.boot);
    answer_beat (&f, beat (&f), 0, 0);
    member_beat_soon (f.member);
    due = member_tick (f.member);
    rig_env_pass (&f.rig, due - f.rig.boot);
    beat (&f);
    teardown (&f);
}

/* News with every message, and a coordinator that takes long to answer: its answers must still be
 * those of beats that are remembered. */
Test (member, a_slow_coordinator_is_not_flooded_and_the_lease_is_kept)
{
    fixture_t f;
    setup (&f);
    answer_beat (&f, beat (&f), 0, 0);
    struct {
        uint64_t id;
        int64_t at;
    } under_way[1024];
    size_t first = 0;
    size_t count = 0;
    for (int i = 0; i < 20000; i++) {
        rig_env_pass (&f.rig, TIME_MS);
        member_beat_soon (f.member);
        member_tick (f.member);
        if (!silent (&f)) {
            cr_assert_lt (count, sizeof under_way / sizeof under_way[0]);
            under_way[count].id = sent (&f, MESSAGE_BEAT).id;
            under_way[count++].at = f.rig.boot + LEASE / 3;
        }
        while (first < count && under_way[first].at <= f.rig.boot)
            answer_beat (&f, under_way[first++].id, 0, 0);
        cr_assert (member_leased (f.member), "after %d ms", i);
    }
    cr_assert_lt (count, 120);
    cr_assert_gt (f.orders, 20);
    teardown (&f);
}

static void give_definitions (fixture_t *self, uint64_t id, uint64_t version)
{
    wire_begin (self->writer, MESSAGE_DEFINITIONS_OK, id);
    payments_write_definitions (self->writer, version);
    cr_assert (give (self, &self->coordinator));
}

Test (member, fetches_definitions_that_orders_speak_of_until_it_has_them)
{
    fixture_t f;
    setup (&f);
    answer_beat (&f, beat (&f), 1, 0);
    member_tick (f.member);
    uint64_t lost = sent (&f, MESSAGE_DEFINITIONS).id;
    member_tick (f.member);
    cr_assert (silent (&f));
    rig_env_pass (&f.rig, TIME_SECOND / 2);
    int64_t due = member_tick (f.member);
    uint64_t id = sent (&f, MESSAGE_DEFINITIONS).id;
    cr_assert_gt (due, f.rig.boot);
    give_definitions (&f, lost, 1);
    cr_assert_eq (f.models, 0, "an answer to an older question");
    give_definitions (&f, id, 1);
    cr_assert_eq (f.models, 1);
    cr_assert_eq (member_model (f.member)->version, 1);
    give_definitions (&f, id, 2);
    cr_assert_eq (f.models, 1);
    rig_env_pass (&f.rig, TIME_SECOND / 50);
    member_tick (f.member);
    message_t message = sent (&f, MESSAGE_BEAT);
    cr_assert_eq (wire_uint (message.body, "definitions", 0), 1, "told at once");
    answer_beat (&f, message.id, 2, 0);
    member_tick (f.member);
    give_definitions (&f, sent (&f, MESSAGE_DEFINITIONS).id, 2);
    cr_assert_eq (f.models, 2);
    teardown (&f);
}

Test (member, definitions_that_it_does_not_understand_are_asked_for_again_later)
{
    fixture_t f;
    setup (&f);
    answer_beat (&f, beat (&f), 1, 0);
    member_tick (f.member);
    wire_begin (f.writer, MESSAGE_DEFINITIONS_OK, sent (&f, MESSAGE_DEFINITIONS).id);
    wire_field_uint (f.writer, "version", 1);
    wire_field_list (f.writer, "objects");
    wire_open_map (f.writer);
    wire_field_string (f.writer, "kind", "view");
    wire_field_string (f.writer, "name", "v");
    wire_field_uint (f.writer, "version", 1);
    wire_field_string (f.writer, "text", "views:\n  v: {from: the_future}\n");
    wire_close (f.writer);
    wire_close (f.writer);
    cr_assert (give (&f, &f.coordinator));
    cr_assert_eq (f.models, 0);
    cr_assert_eq (f.rig.warnings, 1);
    member_tick (f.member);
    cr_assert (silent (&f), "not in a loop");
    rig_env_pass (&f.rig, TIME_SECOND / 2);
    member_tick (f.member);
    sent (&f, MESSAGE_DEFINITIONS);
    teardown (&f);
}

Test (member, an_error_to_a_beat_is_the_members_and_others_are_not)
{
    fixture_t f;
    setup (&f);
    uint64_t id = beat (&f);
    wire_begin (f.writer, MESSAGE_ERROR, id + 1);
    wire_field_string (f.writer, "status", "busy");
    wire_field_string (f.writer, "text", "later");
    cr_assert_not (give (&f, &f.coordinator));
    wire_begin (f.writer, MESSAGE_ERROR, id);
    wire_field_string (f.writer, "status", "busy");
    wire_field_string (f.writer, "text", "later");
    cr_assert (give (&f, &f.coordinator));
    teardown (&f);
}

Test (model, has_the_plans_and_versions_that_the_coordinator_gave)
{
    model_t *model = payments_model (2);
    const plan_t *plan = model_plan (model, text_of ("spend"), 0);
    cr_assert_not_null (plan);
    cr_assert_eq (plan->version, 2);
    cr_assert_eq (plan->features_count, PAYMENTS_FEATURES);
    cr_assert_eq (model_plan (model, text_of ("visits"), 0)->version, 1);
    cr_assert_null (model_plan (model, text_of ("spen"), 0));
    keyed_log_t log;
    cr_assert (model_log (model, text_of (PAYMENTS_LOG), &log));
    cr_assert_str_eq (log.stream->name, "payments");
    cr_assert (log.primary);
    cr_assert_not (model_log (model, text_of ("payments"), &log));
    model_t *second = model_ref (model);
    model_unref (&model);
    cr_assert_null (model);
    cr_assert_not_null (model_plan (second, text_of ("spend"), 0));
    model_unref (&second);
}

/* ---- several coordinators ---- */

typedef struct three {
    fixture_t f;
    peer_t peers[3];
} three_t;

static void setup_three (three_t *self)
{
    setup (&self->f);
    member_destroy (&self->f.member);
    self->peers[0] = self->f.coordinator;
    self->peers[1] = peer_of_endpoint ("tcp://second");
    self->peers[2] = peer_of_endpoint ("tcp://third");
    member_options_t options = { .node = "n1",
                                 .kind = "speed",
                                 .cluster = "c",
                                 .endpoint = "tcp://n1",
                                 .coordinator = self->peers[0],
                                 .standbys = self->peers + 1,
                                 .standbys_count = 2 };
    self->f.member = member_new (&self->f.rig.env, &options, &ops, &self->f);
}

/* To whom the beat goes that is sent now, a bit each; its id. */
static unsigned beaten (three_t *self, uint64_t *id)
{
    unsigned to = 0;
    rig_message_t *message;
    member_tick (self->f.member);
    while ((message = rig_env_take (&self->f.rig)) != NULL) {
        message_kind_t kind;
        cr_assert (wire_peek (message->data, message->size, &kind, id));
        cr_assert_eq (kind, MESSAGE_BEAT);
        for (unsigned i = 0; i < 3; i++)
            to |= peer_equal (&message->to, &self->peers[i]) ? 1U << i : 0;
        rig_message_free (&message);
    }
    return to;
}

static void answer_in_term (three_t *self, unsigned from, uint64_t id, uint64_t term)
{
    write_orders (&self->f, id, 0, term);
    wire_field_uint (self->f.writer, "term", term);
    cr_assert (give (&self->f, &self->peers[from]));
}

static void refer (three_t *self, unsigned from, uint64_t id, const char *leader)
{
    wire_begin (self->f.writer, MESSAGE_ERROR, id);
    wire_field_string (self->f.writer, "status", "unavailable");
    wire_field_string (self->f.writer, "text", "stands by");
    wire_field_string (self->f.writer, "leader", leader);
    cr_assert (give (&self->f, &self->peers[from]));
}

Test (member, beats_to_all_coordinators_when_the_one_that_led_does_not_answer)
{
    three_t t;
    uint64_t id;
    setup_three (&t);
    cr_expect_eq (beaten (&t, &id), 1);
    answer_in_term (&t, 0, id, 1);
    rig_env_pass (&t.f.rig, TIME_SECOND);
    cr_expect_eq (beaten (&t, &id), 1);
    rig_env_pass (&t.f.rig, TIME_SECOND);
    cr_expect_eq (beaten (&t, &id), 7);
    answer_in_term (&t, 2, id, 2);
    cr_expect (peer_equal (member_coordinator (t.f.member), &t.peers[2]));
    rig_env_pass (&t.f.rig, TIME_SECOND);
    cr_expect_eq (beaten (&t, &id), 4);
    teardown (&t.f);
}

Test (member, follows_no_orders_of_a_term_that_is_over)
{
    three_t t;
    uint64_t first, second;
    setup_three (&t);
    (void)beaten (&t, &first);
    rig_env_pass (&t.f.rig, TIME_SECOND);
    (void)beaten (&t, &second);
    answer_in_term (&t, 1, first, 5);
    cr_expect_eq (t.f.orders, 1);
    rig_env_pass (&t.f.rig, LEASE - TIME_SECOND - 1);
    cr_expect (member_leased (t.f.member));
    answer_in_term (&t, 0, second, 4); /* a later beat, and an earlier leader */
    cr_expect_eq (t.f.orders, 1);
    cr_expect_eq (t.f.ordered_routes, 5);
    cr_expect (peer_equal (member_coordinator (t.f.member), &t.peers[1]));
    rig_env_pass (&t.f.rig, 1);
    cr_expect_not (member_leased (t.f.member), "it lengthened the lease");
    teardown (&t.f);
}

Test (member, goes_to_the_leader_that_one_which_stands_by_names_if_it_knows_it)
{
    three_t t;
    uint64_t id;
    setup_three (&t);
    (void)beaten (&t, &id);
    refer (&t, 0, id, "tcp://evil");
    cr_expect (peer_equal (member_coordinator (t.f.member), &t.peers[0]));
    refer (&t, 1, id, "tcp://third"); /* it was not taken for the leader */
    cr_expect (peer_equal (member_coordinator (t.f.member), &t.peers[0]));
    refer (&t, 0, id, "tcp://second");
    cr_expect (peer_equal (member_coordinator (t.f.member), &t.peers[1]));
    rig_env_pass (&t.f.rig, 10 * TIME_MS);
    cr_expect_eq (beaten (&t, &id), 2);
    teardown (&t.f);
}

Test (member, a_stranger_s_orders_are_not_followed)
{
    three_t t;
    uint64_t id;
    setup_three (&t);
    (void)beaten (&t, &id);
    peer_t stranger = peer_of_endpoint ("tcp://evil");
    write_orders (&t.f, id, 0, 0);
    cr_expect_not (give (&t.f, &stranger));
    cr_expect_eq (t.f.orders, 0);
    teardown (&t.f);
}
