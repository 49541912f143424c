/* Who owns what: leases, incarnations, release, and random misfortunes. */
#include "tests/rig/cases.h"
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

static void start (cluster_t *cluster, uint64_t seed)
{
    cluster_init (cluster, seed, 0);
    cluster_apply (cluster, payments_definitions);
}

static uint64_t epoch_of (cluster_t *cluster, uint32_t partition)
{
    return cluster_log_number (cluster, partition, "epoch");
}

Test (partitions, the_first_worker_gets_all_at_once)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *speed = cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, 20 * TIME_MS);
    cr_assert_eq (actor_serves (&cluster, speed), PARTITIONS);
    cluster_release (&cluster);
}

static uint32_t serving_listed (cluster_t *cluster)
{
    call_begin (cluster, MESSAGE_ROUTES);
    message_t reply = call_end (cluster);
    return wire_list (reply.body, "serving").count;
}

Test (partitions, routes_name_a_serving_node_once_it_has_definitions)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *serving = cluster_add (&cluster, "q1", "serving");
    for (int steps = 0; serving->definitions == 0 && steps < 20; steps++)
        cluster_run (&cluster, 1);
    cr_assert_eq (serving->definitions, 1); /* heard of, not told yet */
    cr_assert_eq (serving_listed (&cluster), 0);
    cluster_run (&cluster, LEASE / 2);
    cr_assert_eq (serving_listed (&cluster), 1);
    cluster_release (&cluster);
}

Test (partitions, routes_name_a_serving_node_of_a_cluster_without_definitions)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    cluster_add (&cluster, "q1", "serving");
    cluster_run (&cluster, 20 * TIME_MS);
    cr_assert_eq (serving_listed (&cluster), 1);
    cluster_release (&cluster);
}

Test (partitions, a_second_worker_gets_its_half_by_release)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *first = cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, LEASE);
    actor_t *second = cluster_add (&cluster, "s2", "speed");
    cluster_run (&cluster, 50 * TIME_MS);
    cr_assert_eq (actor_serves (&cluster, first), PARTITIONS / 2);
    cr_assert_eq (actor_serves (&cluster, second), PARTITIONS / 2);
    uint64_t sum = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        sum += epoch_of (&cluster, p);
    cr_assert_eq (sum, PARTITIONS + PARTITIONS / 2); /* only those that moved have a new epoch */
    cluster_release (&cluster);
}

Test (partitions, of_a_dead_worker_go_on_when_its_lease_has_ended_and_not_before)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *first = cluster_add (&cluster, "s1", "speed");
    actor_t *second = cluster_add (&cluster, "s2", "speed");
    cluster_run (&cluster, LEASE);
    cr_assert_eq (actor_serves (&cluster, second), PARTITIONS / 2);
    first->cut_off = true;
    while (cluster.rig.boot < first->lease_until) {
        cluster_run (&cluster, STEP);
        cr_assert_eq (actor_serves (&cluster, second), PARTITIONS / 2);
    }
    cluster_run (&cluster, LEASE / 3);
    cr_assert_eq (actor_serves (&cluster, second), PARTITIONS);
    first->cut_off = false; /* and it gets some again */
    cluster_run (&cluster, LEASE);
    cr_assert_eq (actor_serves (&cluster, first), PARTITIONS / 2);
    cluster_release (&cluster);
}

Test (partitions, a_worker_that_was_started_again_serves_again_soon)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *speed = cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, LEASE);
    actor_restart (&cluster, speed);
    cluster_run (&cluster, LEASE / 5);
    cr_assert_eq (actor_serves (&cluster, speed), PARTITIONS);
    cr_assert_eq (epoch_of (&cluster, 0), 2);
    cluster_release (&cluster);
}

Test (partitions, workers_and_coordinator_started_again_serve_again_soon)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *first = cluster_add (&cluster, "s1", "speed");
    actor_t *second = cluster_add (&cluster, "s2", "speed");
    cluster_run (&cluster, LEASE);
    cluster_restart (&cluster);
    actor_restart (&cluster, first);
    actor_restart (&cluster, second);
    cluster_run (&cluster, LEASE / 5);
    cr_assert_eq (actor_serves (&cluster, first) + actor_serves (&cluster, second), PARTITIONS);
    cluster_release (&cluster);
}

Test (partitions, stay_where_they_are_when_the_coordinator_starts_again)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *first = cluster_add (&cluster, "s1", "speed");
    actor_t *second = cluster_add (&cluster, "s2", "speed");
    cluster_run (&cluster, 2 * LEASE);
    uint64_t epochs[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++)
        epochs[p] = epoch_of (&cluster, p);
    uint64_t routes = first->routes;
    cluster_restart (&cluster);
    cluster_run (&cluster, 2 * LEASE);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq (epoch_of (&cluster, p), epochs[p]);
    cr_assert_eq (actor_serves (&cluster, first), PARTITIONS / 2);
    cr_assert_eq (actor_serves (&cluster, second), PARTITIONS / 2);
    cr_assert_gt (first->routes, routes); /* versions go up over restarts */
    cluster_release (&cluster);
}

Test (partitions, of_an_owner_that_is_gone_after_a_restart_wait_for_the_lease)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *first = cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, LEASE);
    first->cut_off = true; /* it may go on until its lease ends */
    cluster_restart (&cluster);
    actor_t *second = cluster_add (&cluster, "s2", "speed");
    cluster_run (&cluster, LEASE - 20 * TIME_MS);
    cr_assert_eq (actor_serves (&cluster, second), 0);
    cluster_run (&cluster, LEASE / 3);
    cr_assert_eq (actor_serves (&cluster, second), PARTITIONS);
    cluster_release (&cluster);
}

Test (partitions, that_failed_go_to_another_worker_with_a_higher_epoch)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *first = cluster_add (&cluster, "s1", "speed");
    actor_t *second = cluster_add (&cluster, "s2", "speed");
    cluster_run (&cluster, LEASE);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        first->partitions[p].failed = first->partitions[p].held;
    first->fail_to_open = true;
    cluster_run (&cluster, LEASE / 3);
    cr_assert_eq (actor_serves (&cluster, second), PARTITIONS);
    first->fail_to_open = false;
    cluster_run (&cluster, 11 * TIME_SECOND); /* it is not trusted for a while */
    cr_assert_eq (actor_serves (&cluster, first), PARTITIONS / 2);
    cluster_release (&cluster);
}

Test (partitions, that_fail_at_the_only_worker_are_tried_ever_more_slowly)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *speed = cluster_add (&cluster, "s1", "speed");
    speed->fail_to_open = true;
    cluster_run (&cluster, 5 * TIME_SECOND);
    cr_assert_lt (epoch_of (&cluster, 0), 10);
    speed->fail_to_open = false;
    cluster_run (&cluster, 10 * TIME_SECOND);
    cr_assert_eq (actor_serves (&cluster, speed), PARTITIONS);
    cluster_release (&cluster);
}

static void write_beat (cluster_t *cluster, const char *node, const char *endpoint,
                        uint64_t incarnation, const char *in_cluster)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_BEAT);
    wire_field_string (writer, "node", node);
    wire_field_string (writer, "kind", "speed");
    wire_field_uint (writer, "incarnation", incarnation);
    wire_field_string (writer, "cluster", in_cluster);
    wire_field_string (writer, "endpoint", endpoint);
    wire_field_uint (writer, "definitions", 0);
}

Test (partitions, a_second_node_of_the_same_name_is_refused)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *speed = cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, LEASE);
    for (int i = 0; i < 3; i++) {
        write_beat (&cluster, "s1", "tcp://elsewhere", 999, "test");
        message_t reply = call_end (&cluster);
        cr_assert_eq (reply.kind, MESSAGE_ERROR);
        cr_assert (text_is (wire_text (reply.body, "status"), "exists"));
    }
    cr_assert_eq (actor_serves (&cluster, speed), PARTITIONS);
    cluster_release (&cluster);
}

Test (partitions, an_old_message_of_an_ended_process_changes_nothing)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *speed = cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, LEASE);
    uint64_t before = speed->incarnation;
    actor_restart (&cluster, speed);
    cluster_run (&cluster, LEASE);
    uint64_t epoch = epoch_of (&cluster, 0);
    write_beat (&cluster, "s1", speed->endpoint, before, "test");
    message_t reply = call_end (&cluster);
    cr_assert_eq (reply.kind, MESSAGE_ERROR);
    cr_assert (text_is (wire_text (reply.body, "status"), "fenced"));
    /* one of which nothing is known is not answered, but poked, however many of its beats come late
     */
    for (int i = 0; i < 3; i++) {
        write_beat (&cluster, "s1", speed->endpoint, 12345, "test");
        reply = call_end (&cluster);
        cr_assert_eq (reply.kind, MESSAGE_POKE);
        cr_assert (wire_has (reply.body, "mark"));
    }
    cluster_run (&cluster, LEASE);
    cr_assert_eq (actor_serves (&cluster, speed), PARTITIONS);
    cr_assert_eq (epoch_of (&cluster, 0), epoch);
    cluster_release (&cluster);
}

Test (partitions, a_node_of_another_cluster_is_refused)
{
    cluster_t cluster;
    start (&cluster, 1);
    write_beat (&cluster, "s1", "tcp://s1", 1, "other");
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_ERROR);
    cluster_release (&cluster);
}

/* ---- random misfortunes ---- */

static actor_t *some_actor (cluster_t *cluster)
{
    return &cluster->actors[random_below (&cluster->random, cluster->actors_count)];
}

static void misfortune (cluster_t *cluster)
{
    actor_t *actor = some_actor (cluster);
    switch (random_below (&cluster->random, 9)) {
    case 0:
        actor->cut_off = !actor->cut_off;
        break;
    case 1:
        if (!actor->cut_off)
            actor_restart (cluster, actor);
        break;
    case 2:
        cluster_restart (cluster);
        break;
    case 3:
        for (uint32_t p = 0; p < PARTITIONS; p++)
            actor->partitions[p].failed = actor->partitions[p].held;
        break;
    case 4:
        cluster->loss = random_chance (&cluster->random, 0.5) ? 0.3 : 0;
        break;
    case 5:
        cluster_send (cluster, random_below (&cluster->random, 4));
        break;
    case 6:
        actor->lazy = !actor->lazy;
        break;
    case 7:
        sim_disk_set_faults (
            cluster->disk,
            &(sim_disk_faults_t){ .sync_error = random_chance (&cluster->random, 0.3) ? 0.2 : 0,
                                  .no_space = random_chance (&cluster->random, 0.2) ? 0.3 : 0 });
        break;
    default:
        call_begin (cluster, MESSAGE_RECOMPUTE);
        (void)call_end (cluster);
        break;
    }
}

static void misfortunes_end (cluster_t *cluster)
{
    cluster->loss = 0;
    sim_disk_set_faults (cluster->disk, &(sim_disk_faults_t){ 0 });
    for (size_t i = 0; i < cluster->actors_count; i++) {
        cluster->actors[i].cut_off = false;
        cluster->actors[i].lazy = false;
    }
}

static bool all_done (cluster_t *cluster)
{
    call_begin (cluster, MESSAGE_RECOMPUTES);
    message_t reply = call_end (cluster);
    wire_list_t list = wire_list (reply.body, "recomputes");
    for (uint32_t i = 0; i < list.count; i++) {
        text_t state = wire_text (&list.items[i], "state");
        if (!text_is (state, "trimmed") && !text_is (state, "failed"))
            return false;
    }
    return true;
}

Test (partitions, have_one_owner_at_most_whatever_happens_and_all_ends_well)
{
    for (uint64_t seed = 0; seed < cases (40); seed++) {
        cluster_t cluster;
        start (&cluster, seed);
        cluster_add (&cluster, "s1", "speed");
        cluster_add (&cluster, "s2", "speed");
        cluster_add (&cluster, "s3", "speed");
        cluster_add (&cluster, "b1", "batch");
        cluster_add (&cluster, "b2", "batch");
        cluster_add (&cluster, "v1", "serving");
        for (int i = 0; i < 60; i++) {
            cluster_run (&cluster, (int64_t)random_below (&cluster.random, 300) * TIME_MS);
            misfortune (&cluster);
        }
        misfortunes_end (&cluster);
        cluster_until (&cluster, all_done, 60 * TIME_SECOND, "the end of all recomputes");
        cluster_run (&cluster, 15 * TIME_SECOND);
        size_t served = 0;
        for (size_t i = 0; i < 3; i++) {
            served += actor_serves (&cluster, &cluster.actors[i]);
            cr_assert_geq (actor_serves (&cluster, &cluster.actors[i]), 1, "seed %" PRIu64, seed);
        }
        cr_assert_eq (served, PARTITIONS, "seed %" PRIu64, seed);
        cluster_release (&cluster);
    }
}
