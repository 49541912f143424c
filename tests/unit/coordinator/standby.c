/* Two coordinators on one catalog: one leads, and never do both act. While time passes, the cluster
 * checks that no partition has two owners (cluster.h). */
#include "tests/rig/cases.h"
#include "tests/unit/coordinator/cluster.h"

#include "catalog/catalog.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#define HOLD (LEASE / 2) /* of a proof */

static uint64_t waited_for;

static bool is_trimmed (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "trimmed") == 0;
}

/* What `core` says to a question, as from a client; the kind of its answer. */
static message_kind_t ask (cluster_t *self, coordinator_core_t *core, rig_env_t *rig,
                           message_kind_t kind, char *leader, size_t size)
{
    const void *data;
    size_t bytes;
    message_t message;
    error_t error;
    message_kind_t found = MESSAGE_NONE;
    wire_begin (self->writer, kind, self->next_id++);
    cr_assert (wire_end (self->writer, &data, &bytes));
    peer_t peer = rig_incoming ("asker");
    rig_env_forget (rig);
    coordinator_core_receive (core, &peer, data, bytes);
    rig_message_t *sent;
    while ((sent = rig_env_take (rig)) != NULL) {
        if (peer_equal (&sent->to, &peer)) {
            cr_assert_eq (wire_decode (self->decoder, sent->data, sent->size, &message, &error),
                          STATUS_OK, "%s", error.text);
            found = message.kind;
            if (leader)
                wire_copy (message.body, "leader", leader, size);
        }
        rig_message_free (&sent);
    }
    return found;
}

static bool leads (cluster_t *self, bool second)
{
    return ask (self, second ? self->second.core : self->core,
                second ? &self->second.rig : &self->rig, MESSAGE_ROUTES, NULL,
                0) == MESSAGE_ROUTES_OK;
}

static bool second_leads (cluster_t *self)
{
    return leads (self, true);
}

typedef struct four {
    actor_t *speed;
    actor_t *other;
    actor_t *batch;
    actor_t *serving;
} four_t;

static four_t start (cluster_t *cluster, uint64_t seed)
{
    cluster_init (cluster, seed, 0);
    cluster_apply (cluster, payments_definitions);
    four_t four = { .speed = cluster_add (cluster, "s1", "speed"),
                    .other = cluster_add (cluster, "s2", "speed"),
                    .batch = cluster_add (cluster, "b1", "batch"),
                    .serving = cluster_add (cluster, "v1", "serving") };
    cluster_run (cluster, 2 * LEASE);
    cluster_add_second (cluster);
    cluster_run (cluster, LEASE);
    return four;
}

static size_t served (const cluster_t *cluster, const four_t *four)
{
    return actor_serves (cluster, four->speed) + actor_serves (cluster, four->other);
}

Test (standby, stands_by_as_long_as_the_leader_is_there)
{
    cluster_t cluster;
    four_t four = start (&cluster, 1);
    char leader[64];
    cluster_run (&cluster, 20 * LEASE);
    cr_assert (leads (&cluster, false));
    cr_assert_eq (ask (&cluster, cluster.second.core, &cluster.second.rig, MESSAGE_STATUS, leader,
                       sizeof leader),
                  MESSAGE_ERROR);
    cr_assert_str_eq (leader, "tcp://coordinator");
    cr_assert_eq (ask (&cluster, cluster.second.core, &cluster.second.rig, MESSAGE_PING, NULL, 0),
                  MESSAGE_PING_OK);
    cr_assert_eq (
        ask (&cluster, cluster.second.core, &cluster.second.rig, MESSAGE_METRICS, NULL, 0),
        MESSAGE_METRICS_OK);
    cr_assert_eq (served (&cluster, &four), PARTITIONS);
    cluster_release (&cluster);
}

Test (standby, takes_over_when_the_leader_has_died_before_leases_end)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        cluster_t cluster;
        four_t four = start (&cluster, seed);
        uint64_t epoch = cluster_log_number (&cluster, 0, "epoch");
        cluster_run (&cluster, (int64_t)random_below (&cluster.random, 200) * TIME_MS);
        cluster_end (&cluster, false);
        int64_t took = cluster_until (&cluster, second_leads, LEASE, "the take-over");
        cr_assert_geq (took, HOLD - HOLD / 4, "it did not wait"); /* since the latest renewal */
        cr_assert_lt (took, LEASE * 5 / 6);
        for (int64_t passed = 0; passed < 3 * LEASE; passed += TIME_MS) {
            cluster_run (&cluster, TIME_MS);
            cr_assert_eq (served (&cluster, &four), PARTITIONS, "an owner's lease ended");
        }
        cr_assert_eq (cluster_log_number (&cluster, 0, "epoch"), epoch);
        cluster_release (&cluster);
    }
}

Test (standby, does_not_wait_for_a_leader_that_has_resigned)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    cluster_apply (&cluster, payments_definitions);
    cluster_end (&cluster, false);
    cluster.options.resigns = true;
    error_t error;
    cr_assert_eq (coordinator_core_new (&cluster.rig.env, &cluster.options, &cluster.core, &error),
                  STATUS_OK);
    cluster_add_second (&cluster);
    cluster_run (&cluster, LEASE);
    cluster_end (&cluster, false);
    cr_assert_leq (cluster_until (&cluster, second_leads, LEASE, "the take-over"), HOLD / 4);
    cluster_release (&cluster);
}

/* The classic hole: it wakes, and a beat is what it hears first. */
Test (standby, a_leader_that_was_stopped_answers_nothing_when_it_wakes)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        cluster_t cluster;
        four_t four = start (&cluster, seed);
        cluster.stopped = true;
        cluster_until (&cluster, second_leads, 2 * LEASE, "the take-over");
        four.speed->cut_off = true; /* its partitions go to the other */
        cluster_run (&cluster, 3 * LEASE);
        cr_assert_eq (actor_serves (&cluster, four.other), PARTITIONS);
        four.speed->cut_off = false;
        four.speed->term = 0; /* also a node that has not heard of the other must be safe */
        cluster.second.stopped = true;
        cluster.stopped = false;
        cr_assert_not (leads (&cluster, false));
        cluster_run (&cluster, LEASE / 2); /* the cluster checks that nobody has two owners */
        cr_assert_eq (actor_serves (&cluster, four.speed), 0);
        cluster.second.stopped = false;
        cluster_run (&cluster, 6 * LEASE);
        cr_assert_eq (served (&cluster, &four), PARTITIONS);
        cluster_release (&cluster);
    }
}

/* A proof of before it was stopped does not outlast it, whoever took over or nobody did. */
Test (standby, a_leader_that_was_stopped_goes_on_when_nobody_took_over)
{
    cluster_t cluster;
    four_t four = start (&cluster, 1);
    cluster_end (&cluster, true);
    uint64_t epoch = cluster_log_number (&cluster, 0, "epoch");
    cluster.stopped = true;
    cluster_run (&cluster, 10 * LEASE); /* every lease has ended by far */
    cr_assert_eq (served (&cluster, &four), 0);
    cluster.stopped = false;
    cluster_run (&cluster, LEASE / 4);
    cr_assert_eq (served (&cluster, &four), PARTITIONS);
    cr_assert_eq (cluster_log_number (&cluster, 0, "epoch"), epoch,
                  "partitions moved because nobody could be heard");
    cluster_release (&cluster);
}

Test (standby, a_node_that_died_while_the_leader_was_stopped_is_found_out)
{
    cluster_t cluster;
    four_t four = start (&cluster, 1);
    cluster_end (&cluster, true);
    cluster.stopped = true;
    cluster_run (&cluster, 10 * LEASE);
    cluster.stopped = false;
    four.speed->cut_off = true;
    cluster_run (&cluster, 3 * LEASE);
    cr_assert_eq (actor_serves (&cluster, four.other), PARTITIONS);
    cluster_release (&cluster);
}

/* The longest lease that may run from before counts, also over several take-overs. */
Test (standby, waits_out_leases_that_were_longer_than_its_own)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    cluster_apply (&cluster, payments_definitions);
    actor_t *first = cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_eq (actor_serves (&cluster, first), PARTITIONS);
    actor_t *other = cluster_add (&cluster, "s2", "speed");
    other->cut_off = true;
    cluster_run (&cluster, LEASE);
    for (int i = 0; i < 3; i++) { /* its settings were changed: leases are a third */
        cluster.options.lease = LEASE / 3;
        cluster_restart (&cluster);
        cluster_run (&cluster, 2 * TIME_MS);
    }
    other->cut_off = false;
    first->cut_off = true; /* its lease, of the length of before, runs on */
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_eq (actor_serves (&cluster, other), PARTITIONS);
    cluster_release (&cluster);
}

/* A lease is the node's, not the partition's: what the one before gave it is good for all that it
 * has, also after an answer that gives less. */
Test (standby, an_answer_with_a_shorter_lease_takes_nothing_back)
{
    for (unsigned moved = 0; moved < 2; moved++) {
        cluster_t cluster;
        cluster_init (&cluster, 1, 0);
        cluster_apply (&cluster, payments_definitions);
        actor_t *first = cluster_add (&cluster, "s1", "speed");
        cluster_run (&cluster, 2 * LEASE);
        actor_t *other = cluster_add (&cluster, "s2", "speed");
        other->cut_off = !moved;
        cluster_run (&cluster, LEASE);
        first->next_beat = cluster.rig.boot;
        cluster_run (&cluster, 2 * TIME_MS);
        cluster.options.lease = LEASE / 3; /* its settings were changed */
        cluster_restart (&cluster);
        if (moved)
            actor_restart (&cluster, other); /* what it had goes to the first */
        for (int i = 0; i < 3; i++) {
            first->next_beat = cluster.rig.boot;
            if (moved && i < 2)
                other->next_beat = cluster.rig.boot;
            cluster_run (&cluster, 3 * TIME_MS);
        }
        other->cut_off = false;
        first->cut_off = true;
        cluster_run (&cluster, 3 * LEASE);
        cr_assert_eq (actor_serves (&cluster, other), PARTITIONS);
        cluster_release (&cluster);
    }
}

static catalog_leader_t leader_of (cluster_t *self)
{
    catalog_t *catalog;
    catalog_leader_t leader;
    error_t error;
    fs_t *fs = sim_disk_fs (self->disk);
    cr_assert_eq (catalog_open_reading (fs, "catalog.db", true, &catalog, &error), STATUS_OK, "%s",
                  error.text);
    cr_assert_eq (catalog_leader (catalog, &leader, &error), STATUS_OK, "%s", error.text);
    catalog_close (&catalog);
    return leader;
}

/* The second one, whose leases are shorter, takes over and its disk fails from that call on, and
 * goes on a little later. Returns how many calls it had made before (*before) and after that
 * millisecond. */
static uint64_t take_over_with_a_bad_disk (uint64_t calls, uint64_t *before)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    cluster_apply (&cluster, payments_definitions);
    (void)cluster_add (&cluster, "s1", "speed");
    cluster.options.lease = LEASE / 3;
    cluster_add_second (&cluster);
    cluster_run (&cluster, LEASE);
    uint64_t term = leader_of (&cluster).term;
    fs_t *fs = cluster.second.rig.env.fs;
    cluster_end (&cluster, false);
    uint64_t first = sim_disk_calls (fs);
    sim_disk_fail_after (fs, calls);
    do {
        *before = sim_disk_calls (fs) - first;
        cluster_run (&cluster, TIME_MS);
    } while (leader_of (&cluster).term == term && *before < calls);
    uint64_t after = sim_disk_calls (fs) - first;
    sim_disk_fail_after (fs, SIM_DISK_NEVER);
    for (int64_t passed = 0; passed < LEASE; passed += 50 * TIME_MS) {
        cr_assert_eq (leader_of (&cluster).lease, LEASE, "%" PRIu64 " calls", calls);
        cluster_run (&cluster, 50 * TIME_MS);
    }
    cluster_run (&cluster, 2 * LEASE);
    cr_assert (second_leads (&cluster));
    cr_assert_eq (leader_of (&cluster).lease, LEASE / 3);
    cluster_release (&cluster);
    return after;
}

/* Also when it cannot read the catalog at first: leases of before run on. */
Test (standby, tells_of_longer_leases_until_it_has_waited_for_them)
{
    uint64_t before;
    uint64_t ignored;
    uint64_t after = take_over_with_a_bad_disk (SIM_DISK_NEVER, &before);
    cr_assert_gt (after, before + 10);
    for (uint64_t calls = before; calls <= after; calls += cases_apart (3))
        (void)take_over_with_a_bad_disk (calls, &ignored);
}

Test (standby, goes_on_with_what_the_leader_had_begun)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        cluster_t cluster;
        (void)start (&cluster, seed);
        cluster_send (&cluster, 5);
        waited_for = cluster_recompute (&cluster);
        cluster_run (&cluster, (int64_t)seed * TIME_MS); /* cutting, building, published … */
        cluster_end (&cluster, false);
        cluster_until (&cluster, is_trimmed, 6 * LEASE, "the trim");
        cr_assert_eq (cluster_manifest (&cluster), 1);
        cluster_release (&cluster);
    }
}

Test (standby, the_status_tells_who_leads_and_who_stands_by)
{
    cluster_t cluster;
    (void)start (&cluster, 1);
    call_begin (&cluster, MESSAGE_STATUS);
    message_t reply = call_end (&cluster);
    wire_list_t nodes = wire_list (reply.body, "nodes");
    unsigned coordinators = 0;
    for (uint32_t i = 0; i < nodes.count; i++) {
        const msgpack_object_map *map = &nodes.items[i].via.map;
        for (uint32_t f = 0; f < map->size; f++)
            if (map->ptr[f].val.type == MSGPACK_OBJECT_STR &&
                text_is ((text_t){ map->ptr[f].val.via.str.ptr, map->ptr[f].val.via.str.size },
                         "coordinator") &&
                map->ptr[f].key.via.str.size == 4)
                coordinators++; /* its kind */
    }
    cr_assert_eq (coordinators, 3); /* the kinds of both, and the name of the first */
    cluster_release (&cluster);
}

/* ---- stopped within a transaction ---- */

typedef struct stop {
    cluster_t *cluster;
    bool asking;   /* the apply is under way */
    bool came;     /* in it */
    bool replaced; /* the second one led meanwhile */
} stop_t;

static void while_stopped (void *arg)
{
    stop_t *stop = arg;
    if (!stop->asking)
        return;
    stop->came = true;
    stop->cluster->stopped = true;
    cluster_run (stop->cluster, 4 * LEASE);
    stop->replaced = leads (stop->cluster, true);
    stop->cluster->stopped = false;
}

/* The leader is stopped before that call of the disk, in an apply; false when it does not come to
 * that. */
static bool stop_in_an_apply (uint64_t calls, unsigned *replaced)
{
    cluster_t cluster;
    four_t four = start (&cluster, calls);
    stop_t stop = { .cluster = &cluster };
    char text[512];
    (void)snprintf (text, sizeof text, "%s      n: count()\n", payments_definitions);
    sim_disk_stop_after (sim_disk_fs (cluster.disk), calls, while_stopped, &stop);
    wire_writer_t *writer = call_begin (&cluster, MESSAGE_APPLY);
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "test.yaml");
    wire_field_string (writer, "text", text);
    wire_close (writer);
    wire_close (writer);
    stop.asking = true;
    message_t reply = call_end (&cluster);
    stop.asking = false;
    bool told = reply.kind == MESSAGE_APPLY_OK;
    cr_assert (!leads (&cluster, false) || !leads (&cluster, true));
    cluster_run (&cluster, 3 * LEASE);
    cr_assert (leads (&cluster, false) != leads (&cluster, true));
    call_begin (&cluster, MESSAGE_DEFINITIONS);
    uint64_t version = wire_uint (call_end (&cluster).body, "version", 0);
    cr_assert (!told || version == 2, "what was answered is not there");
    cr_assert_eq (served (&cluster, &four), PARTITIONS);
    *replaced += stop.replaced;
    cluster_release (&cluster);
    return stop.came;
}

Test (standby, a_leader_stopped_within_a_transaction_keeps_it_or_was_never_in_it)
{
    uint64_t calls = 0;
    unsigned replaced = 0;
    while (stop_in_an_apply (calls, &replaced))
        calls++;
    cr_assert_geq (calls, 10);
    cr_assert (replaced > 0 && replaced < calls, "%u of %" PRIu64, replaced, calls);
}

/* What it was in the middle of is rolled back or done, and another goes on. */
static bool die_in_an_apply (uint64_t calls)
{
    cluster_t cluster;
    four_t four = start (&cluster, calls);
    uint64_t before = sim_disk_calls (sim_disk_fs (cluster.disk));
    sim_disk_fail_after (sim_disk_fs (cluster.disk), calls);
    call_begin (&cluster, MESSAGE_RECOMPUTE);
    (void)call_end (&cluster);
    bool died = sim_disk_calls (sim_disk_fs (cluster.disk)) > before + calls;
    cluster_end (&cluster, false);
    cluster_until (&cluster, second_leads, LEASE, "the take-over");
    cluster_run (&cluster, LEASE);
    cr_assert_eq (served (&cluster, &four), PARTITIONS);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, LEASE, "the trim");
    cluster_release (&cluster);
    return died;
}

Test (standby, a_leader_that_dies_within_a_transaction_is_replaced)
{
    uint64_t calls = 0;
    while (die_in_an_apply (calls))
        calls++;
    cr_assert_geq (calls, 5);
}

/* ---- whatever happens ---- */

static void misfortune (cluster_t *cluster)
{
    actor_t *actor = &cluster->actors[random_below (&cluster->random, cluster->actors_count)];
    switch (random_below (&cluster->random, 10)) {
    case 0:
        actor->cut_off = !actor->cut_off;
        break;
    case 1:
        if (!actor->cut_off)
            actor_restart (cluster, actor);
        break;
    case 2:
    case 3:
        cluster->stopped = !cluster->stopped;
        break;
    case 4:
    case 5:
        cluster->second.stopped = !cluster->second.stopped;
        break;
    case 6:
        if (cluster->second.core)
            cluster_end (cluster, true);
        cluster_add_second (cluster);
        break;
    case 7:
        cluster->loss = random_chance (&cluster->random, 0.5) ? 0.3 : 0;
        break;
    case 8:
        cluster_send (cluster, random_below (&cluster->random, 4));
        break;
    default:
        call_begin (cluster, MESSAGE_RECOMPUTE);
        (void)call_end (cluster);
        break;
    }
}

Test (standby, partitions_have_one_owner_at_most_whoever_leads)
{
    for (uint64_t seed = 0; seed < cases (60); seed++) {
        cluster_t cluster;
        four_t four = start (&cluster, seed);
        for (int i = 0; i < 60; i++) {
            cluster_run (&cluster, (int64_t)random_below (&cluster.random, 500) * TIME_MS);
            misfortune (&cluster);
        }
        cluster.loss = 0;
        cluster.stopped = cluster.second.stopped = false;
        for (size_t i = 0; i < cluster.actors_count; i++)
            cluster.actors[i].cut_off = false;
        cluster_run (&cluster, 15 * TIME_SECOND);
        cr_assert_eq (served (&cluster, &four), PARTITIONS, "seed %" PRIu64, seed);
        cr_assert (leads (&cluster, false) != leads (&cluster, true));
        cluster_release (&cluster);
    }
}
