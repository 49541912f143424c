/* The simulator itself: its time, its network, and that a seed is a run. */
#include "tests/sim/world.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct listener {
    sim_node_t *node;
    uint64_t ids[512]; /* of the messages that came, in order */
    size_t count;
    peer_t from; /* of the latest */
} listener_t;

static void take (void *arg, const peer_t *from, const void *data, size_t size)
{
    listener_t *self = arg;
    message_kind_t kind;
    uint64_t id;
    cr_assert (wire_peek (data, size, &kind, &id));
    cr_assert_lt (self->count, 512);
    self->ids[self->count++] = id;
    self->from = *from;
}

static void send_ping (sim_node_t *from, const peer_t *to, uint64_t id)
{
    wire_writer_t *writer = wire_writer_new ();
    const void *data;
    size_t size;
    wire_begin (writer, MESSAGE_PING, id);
    cr_assert (wire_end (writer, &data, &size));
    from->env.send (&from->env, to, data, size);
    wire_writer_destroy (&writer);
}

static void run_for (sim_t *sim, int64_t time)
{
    int64_t end = sim_now (sim) + time;
    while (sim_now (sim) < end && !sim_failed (sim))
        sim_step (sim);
    cr_assert_not (sim_failed (sim), "%s", sim_failure (sim));
}

typedef struct pair {
    sim_t *sim;
    listener_t one;
    listener_t other;
} pair_t;

static sim_t *sim_of (uint64_t seed, int64_t active)
{
    sim_setup_t setup = { .seed = seed };
    knobs_choose (&setup.knobs, seed, false, active);
    return sim_new (&setup);
}

static pair_t *pair_new (uint64_t seed)
{
    pair_t *pair = mem_zero (1, sizeof *pair);
    pair->sim = sim_of (seed, TIME_MINUTE);
    pair->one.node = sim_client_node (pair->sim, "one", take, &pair->one);
    pair->other.node = sim_client_node (pair->sim, "other", take, &pair->other);
    return pair;
}

static void pair_destroy (pair_t *pair)
{
    sim_destroy (&pair->sim);
    mem_free (pair);
}

Test (network, loses_nothing_and_keeps_order_after_the_faults)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        pair_t *pair = pair_new (seed);
        sim_heal (pair->sim);
        peer_t to = peer_of_endpoint (pair->other.node->endpoint);
        for (uint64_t id = 1; id <= 100; id++)
            send_ping (pair->one.node, &to, id);
        run_for (pair->sim, 50 * TIME_MS);
        cr_expect_eq (pair->other.count, 100, "seed %lu: %zu", seed, pair->other.count);
        for (size_t i = 0; i < pair->other.count && !sim_knobs (pair->sim)->reorder; i++)
            cr_expect_eq (pair->other.ids[i], i + 1);
        pair_destroy (pair);
    }
}

Test (network, loses_and_doubles_messages_while_faults_last)
{
    size_t lost = 0, doubled = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        pair_t *pair = pair_new (seed);
        peer_t to = peer_of_endpoint (pair->other.node->endpoint);
        for (uint64_t id = 1; id <= 200; id++)
            send_ping (pair->one.node, &to, id);
        while (sim_now (pair->sim) < 200 * TIME_MS)
            sim_step (pair->sim);
        unsigned seen[201] = { 0 };
        for (size_t i = 0; i < pair->other.count; i++)
            seen[pair->other.ids[i]]++;
        for (uint64_t id = 1; id <= 200; id++) {
            lost += seen[id] == 0;
            doubled += seen[id] == 2;
        }
        pair_destroy (pair);
    }
    cr_expect_gt (lost, 0);
    cr_expect_gt (doubled, 0);
}

Test (network, replies_reach_the_process_that_asked_and_no_later_one)
{
    pair_t *pair = pair_new (1);
    sim_heal (pair->sim);
    peer_t to = peer_of_endpoint (pair->other.node->endpoint);
    send_ping (pair->one.node, &to, 7);
    run_for (pair->sim, 50 * TIME_MS);
    cr_assert_eq (pair->other.count, 1);
    cr_assert (pair->other.from.incoming);
    send_ping (pair->other.node, &pair->other.from, 8);
    run_for (pair->sim, 50 * TIME_MS);
    cr_assert_eq (pair->one.count, 1);
    cr_expect (peer_equal (&pair->one.from, &to)); /* as it was addressed */
    pair->one.node->incarnation++;
    send_ping (pair->other.node, &pair->other.from, 9);
    run_for (pair->sim, 50 * TIME_MS);
    cr_expect_eq (pair->one.count, 1);
    pair_destroy (pair);
}

Test (network, a_cut_pair_hears_nothing_until_it_is_joined)
{
    pair_t *pair = pair_new (2);
    peer_t to = peer_of_endpoint (pair->other.node->endpoint);
    net_cut (sim_net (pair->sim), pair->one.node, pair->other.node, false, TIME_HOUR);
    send_ping (pair->one.node, &to, 1);
    while (sim_now (pair->sim) < 100 * TIME_MS)
        sim_step (pair->sim);
    cr_expect_eq (pair->other.count, 0);
    sim_heal (pair->sim);
    send_ping (pair->one.node, &to, 2);
    run_for (pair->sim, 50 * TIME_MS);
    cr_expect_eq (pair->other.count, 1);
    pair_destroy (pair);
}

typedef struct call {
    int64_t at;
    int *order;
    int number;
} call_t;

static int64_t last_time;
static int last_number;

static void called (sim_t *sim, void *arg)
{
    const call_t *call = arg;
    if (sim_finished (sim))
        return;
    cr_expect_eq (sim_now (sim), call->at);
    cr_expect_geq (call->at, last_time);
    cr_expect (call->at > last_time || call->number > last_number);
    last_time = call->at;
    last_number = call->number;
}

Test (time, runs_events_in_their_order)
{
    static call_t calls[1000];
    sim_t *sim = sim_of (3, TIME_MINUTE);
    random_t random;
    random_seed (&random, 1);
    last_time = -1;
    for (int i = 0; i < 1000; i++) {
        calls[i] = (call_t){ .at = (int64_t)random_below (&random, 300), .number = i };
        sim_at (sim, calls[i].at, called, &calls[i]);
    }
    while (sim_now (sim) < TIME_MS)
        sim_step (sim);
    cr_expect_eq (last_time, 299);
    sim_destroy (&sim);
}

static uint64_t trace_of (uint64_t seed)
{
    sim_t *sim = sim_of (seed, 10 * TIME_SECOND);
    cr_expect (sim_run (sim), "seed %lu: %s", seed, sim_failure (sim));
    uint64_t trace = sim_trace (sim);
    sim_destroy (&sim);
    return trace;
}

Test (seed, is_a_run)
{
    for (uint64_t seed = 0; seed < 4; seed++)
        cr_expect_eq (trace_of (seed), trace_of (seed), "seed %lu", seed);
    cr_expect_neq (trace_of (0), trace_of (1));
}
