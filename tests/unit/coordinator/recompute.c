/* Recomputes from their cut to their trim, with workers and a coordinator that fail on the way. */
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

static uint64_t waited_for;
static uint64_t manifest_wanted;

static bool is_trimmed (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "trimmed") == 0;
}

static bool has_failed (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "failed") == 0;
}

static bool is_published (cluster_t *self)
{
    return cluster_manifest (self) >= manifest_wanted;
}

static bool is_building (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "building") == 0;
}

static bool is_cutting (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "cutting") == 0;
}

typedef struct trio {
    actor_t *speed;
    actor_t *batch;
    actor_t *serving;
} trio_t;

/* Definitions, a node of each kind, and time to settle. */
static trio_t start (cluster_t *cluster, uint64_t seed, int64_t every)
{
    cluster_init (cluster, seed, every);
    cluster_apply (cluster, payments_definitions);
    trio_t trio = { .speed = cluster_add (cluster, "s1", "speed"),
                    .batch = cluster_add (cluster, "b1", "batch"),
                    .serving = cluster_add (cluster, "v1", "serving") };
    cluster_run (cluster, 2 * LEASE);
    cr_assert_eq (actor_serves (cluster, trio.speed), PARTITIONS);
    return trio;
}

Test (recompute, goes_from_request_to_trim_within_tens_of_milliseconds)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    int64_t took = cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cr_assert_lt (took, 30 * TIME_MS);
    cr_assert_eq (cluster_manifest (&cluster), 1);
    cr_assert_eq (trio.serving->datasets[0], 1);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        cr_assert_eq (cluster_log_number (&cluster, p, "cut"), 5);
        cr_assert_eq (cluster_log_number (&cluster, p, "base"), 5);
        cr_assert_eq (cluster_log_number (&cluster, p, "events"), 0);
    }
    cluster_release (&cluster);
}

Test (recompute, builds_from_the_cut_before)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cluster_send (&cluster, 15); /* twice the 7 that each base is played to have: none waits */
    trio.batch->lazy = true;
    cluster_recompute (&cluster);
    cluster_run (&cluster, 50 * TIME_MS);
    cr_assert_eq (trio.batch->tasks_count, PARTITIONS);
    for (size_t i = 0; i < trio.batch->tasks_count; i++) {
        cr_assert_eq (trio.batch->tasks[i].from, 5);
        cr_assert_eq (trio.batch->tasks[i].cut, 21);
        cr_assert_eq (trio.batch->tasks[i].runs, 1);
    }
    cluster_release (&cluster);
}

Test (recompute, comes_by_the_schedule_when_there_is_something_new)
{
    cluster_t cluster;
    (void)start (&cluster, 1, TIME_SECOND);
    cluster_run (&cluster, 3 * TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 0);
    cluster_send (&cluster, 3);
    manifest_wanted = 1;
    cluster_until (&cluster, is_published, TIME_SECOND, "the schedule");
    cluster_run (&cluster, 3 * TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 1); /* cuts alone are nothing new */
    cluster_send (&cluster, 1);
    manifest_wanted = 2;
    cluster_until (&cluster, is_published, 2 * TIME_SECOND, "the schedule");
    cluster_release (&cluster);
}

Test (recompute, comes_early_when_memory_is_short)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 1000 * TIME_SECOND);
    trio.speed->memory_limit = 1000000;
    trio.speed->memory = 790000;
    cluster_send (&cluster, 3);
    cluster_run (&cluster, 10 * TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 0);
    trio.speed->memory = 810000;
    cluster_run (&cluster, 10 * TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 1);
    cluster_release (&cluster);
}

/* Only what makes room has an equal share of the processors. */
Test (recompute, is_urgent_while_memory_is_short)
{
    for (int is_short = 0; is_short < 2; is_short++) {
        cluster_t cluster;
        trio_t trio = start (&cluster, 1, 0);
        trio.speed->memory_limit = 1000000;
        trio.speed->memory = is_short ? 810000 : 790000;
        trio.batch->lazy = true;
        cluster_send (&cluster, 3);
        cluster_run (&cluster, LEASE); /* it says so with a beat */
        waited_for = cluster_recompute (&cluster);
        cluster_until (&cluster, is_building, TIME_SECOND, "the build");
        cluster_run (&cluster, 20 * TIME_MS);
        cr_assert_eq (trio.batch->tasks_count, PARTITIONS);
        for (size_t i = 0; i < PARTITIONS; i++)
            cr_expect_eq (trio.batch->tasks[i].urgent, is_short);
        cluster_release (&cluster);
    }
}

Test (recompute, a_new_view_without_a_file_brings_one)
{
    cluster_t cluster;
    (void)start (&cluster, 1, 0);
    cluster_send (&cluster, 3);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cluster_apply (&cluster, "views:\n  other:\n    from: payments\n    features:\n"
                             "      n: count() over 1h\n");
    manifest_wanted = 2;
    cluster_until (&cluster, is_published, TIME_SECOND, "a file of the view");
    cluster_run (&cluster, 5 * TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 2); /* once, although the played worker makes none */
    cluster_release (&cluster);
}

Test (recompute, a_worker_that_vanishes_loses_its_tasks_to_another)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    trio.batch->lazy = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_building, TIME_SECOND, "the build");
    cluster_run (&cluster, 20 * TIME_MS);
    cr_assert_eq (trio.batch->tasks_count, PARTITIONS);
    uint64_t attempt = trio.batch->tasks[0].attempt;
    trio.batch->there = false;
    actor_t *other = cluster_add (&cluster, "b2", "batch");
    other->lazy = true;
    cluster_run (&cluster, LEASE / 2);
    cr_assert_eq (other->tasks_count, 0); /* the lease of the first is still good */
    cluster_run (&cluster, LEASE);
    cr_assert_eq (other->tasks_count, PARTITIONS);
    cr_assert_eq (other->tasks[0].attempt, attempt + 1);
    other->lazy = false;
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cluster_release (&cluster);
}

Test (recompute, a_worker_that_was_started_again_gets_its_tasks_as_new_attempts)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    trio.batch->lazy = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_building, TIME_SECOND, "the build");
    cluster_run (&cluster, 20 * TIME_MS);
    actor_restart (&cluster, trio.batch);
    int64_t took = cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cr_assert_lt (took, LEASE / 2);
    cluster_release (&cluster);
}

Test (recompute, a_worker_that_forgets_its_tasks_gets_them_again)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    trio.batch->lazy = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_building, TIME_SECOND, "the build");
    cluster_run (&cluster, LEASE);
    cr_assert_eq (trio.batch->tasks[0].attempt, 1);
    trio.batch->forgetful = true;
    cluster_run (&cluster, LEASE);
    cr_assert_gt (trio.batch->tasks[0].attempt, 1);
    cluster_release (&cluster);
}

static void say_corrupt (cluster_t *cluster, const played_task_t *task, uint64_t attempt)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_TASK_DONE);
    wire_field_uint (writer, "task", task->task);
    wire_field_uint (writer, "attempt", attempt);
    wire_field_string (writer, "status", "corrupt");
    cr_assert_eq (call_end (cluster).kind, MESSAGE_TASK_DONE_OK);
}

/* Neither one from before nor one that was never given. */
Test (recompute, an_attempt_that_was_given_up_counts_no_more)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    cluster_send (&cluster, 5);
    trio.batch->lazy = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_building, TIME_SECOND, "the build");
    cluster_run (&cluster, 20 * TIME_MS);
    played_task_t first = trio.batch->tasks[0];
    actor_restart (&cluster, trio.batch);
    trio.batch->lazy = true;
    cluster_run (&cluster, LEASE);
    size_t at = 0;
    while (at < trio.batch->tasks_count && trio.batch->tasks[at].task != first.task)
        at++;
    cr_assert_lt (at, trio.batch->tasks_count);
    const played_task_t *again = &trio.batch->tasks[at];
    cr_assert_gt (again->attempt, first.attempt);
    say_corrupt (&cluster, again, first.attempt);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "building");
    say_corrupt (&cluster, again, again->attempt + 1);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "building");
    trio.batch->lazy = false;
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cr_assert_eq (cluster_log_number (&cluster, first.partition, "cut"), 5);
    cluster_release (&cluster);
}

Test (recompute, a_corrupt_input_fails_it_with_the_reason)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    trio.batch->fails_with = "corrupt";
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, has_failed, TIME_SECOND, "the failure");
    cr_assert_eq (cluster_manifest (&cluster), 0);
    trio.batch->fails_with = NULL;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cluster_release (&cluster);
}

Test (recompute, a_full_disk_of_a_worker_is_tried_again)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    trio.batch->fails_with = "no-space";
    waited_for = cluster_recompute (&cluster);
    cluster_run (&cluster, 200 * TIME_MS);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "building");
    trio.batch->fails_with = NULL;
    cluster_until (&cluster, is_trimmed, 10 * TIME_SECOND, "the trim");
    cluster_release (&cluster);
}

Test (recompute, files_outside_of_the_partition_are_refused)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    trio.batch->lazy = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_building, TIME_SECOND, "the build");
    cluster_run (&cluster, 20 * TIME_MS);
    wire_writer_t *writer = call_begin (&cluster, MESSAGE_TASK_DONE);
    wire_field_uint (writer, "task", trio.batch->tasks[0].task);
    wire_field_uint (writer, "attempt", trio.batch->tasks[0].attempt);
    wire_field_string (writer, "status", "ok");
    wire_field_map (writer, "outputs");
    wire_field_list (writer, "runs");
    wire_open_map (writer);
    wire_field_string (writer, "path", "history/" PAYMENTS "/1/0-1-0.run");
    wire_field_uint (writer, "size", 1);
    wire_field_uint (writer, "rows", 1);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_TASK_DONE_OK);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "failed");
    cluster_release (&cluster);
}

Test (recompute, a_serving_node_holds_the_trim_up_until_it_moves_on)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    trio.serving->stays = true;
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    cluster_run (&cluster, 5 * LEASE);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "published");
    cr_assert_eq (cluster_log_number (&cluster, 0, "base"), 5);
    trio.serving->stays = false;
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cr_assert_eq (cluster_log_number (&cluster, 0, "base"), 11);
    cluster_release (&cluster);
}

Test (recompute, a_serving_node_that_dies_holds_nothing_up)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    cluster_run (&cluster, LEASE);
    trio.serving->stays = true;
    cluster_run (&cluster, LEASE);
    waited_for = cluster_recompute (&cluster);
    cluster_run (&cluster, LEASE);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "published");
    trio.serving->cut_off = true;
    cluster_run (&cluster, LEASE / 2);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "published");
    cluster_until (&cluster, is_trimmed, LEASE, "the trim");
    trio.serving->cut_off = false; /* it stands on what is gone; bases never go back for it */
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "trimmed");
    cluster_release (&cluster);
}

static size_t names;

static void count_name (void *arg, const char *name)
{
    (void)arg;
    (void)name;
    names++;
}

static size_t files_in (cluster_t *cluster, const char *directory)
{
    error_t error;
    names = 0;
    cr_assert_eq (fs_list (cluster->rig.env.fs, directory, count_name, NULL, &error), STATUS_OK);
    return names;
}

Test (recompute, removes_files_that_nobody_stands_on)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    for (size_t layers = 1; layers <= 2;
         layers++) { /* what is played has 7 rows, more than is new */
        cluster_send (&cluster, 2);
        waited_for = cluster_recompute (&cluster);
        cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
        cluster_run (&cluster, 10 * TIME_MS);
        cr_assert_eq (files_in (&cluster, "history/" PAYMENTS "/1"), layers);
        cr_assert_eq (files_in (&cluster, "views/" PAYMENTS "/1"), layers);
    }
    waited_for = cluster_recompute_full (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cluster_run (&cluster, 10 * TIME_MS);
    cr_assert_eq (files_in (&cluster, "history/" PAYMENTS "/1"), 1);
    cr_assert_eq (files_in (&cluster, "views/" PAYMENTS "/1"), 1);
    /* what a failed attempt left goes with the next publish, and so does what a restart left */
    trio.batch->lazy = true;
    cluster_send (&cluster, 2);
    cluster_recompute (&cluster);
    cluster_run (&cluster, 50 * TIME_MS);
    cluster_restart (&cluster);
    cluster_run (&cluster, 3 * LEASE);
    cr_assert_eq (files_in (&cluster, "history/" PAYMENTS "/1"), 1);
    cluster_release (&cluster);
}

Test (recompute, of_nothing_new_is_no_work)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    trio.batch->lazy = true; /* what it was given, it would not do */
    for (uint64_t manifest = 2; manifest <= 3; manifest++) {
        waited_for = cluster_recompute (&cluster);
        cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
        cr_assert_eq (cluster_manifest (&cluster), manifest);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            cr_assert_eq (cluster_log_number (&cluster, p, "cut"), 5 + (manifest - 1));
    }
    cluster_send (&cluster, 1);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_building, TIME_SECOND, "a task");
    cluster_run (&cluster, LEASE);
    cr_assert (is_building (&cluster));
    cluster_release (&cluster);
}

/* The coordinator is restarted at the first moment at which `when` holds. */
static void restart_when (bool (*when) (cluster_t *self), int64_t later)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        cluster_t cluster;
        trio_t trio = start (&cluster, seed, 0);
        cluster_send (&cluster, 5);
        trio.batch->lazy = when == is_building;
        waited_for = cluster_recompute (&cluster);
        if (when)
            cluster_until (&cluster, when, TIME_SECOND, "the state");
        cluster_run (&cluster, later);
        trio.batch->lazy = false;
        cluster_restart (&cluster);
        cluster_until (&cluster, is_trimmed, 10 * TIME_SECOND, "the trim");
        cr_assert_eq (cluster_manifest (&cluster), 1);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            cr_assert_eq (cluster_log_number (&cluster, p, "cut"), 5); /* cut once */
        cluster_release (&cluster);
    }
}

Test (recompute, goes_on_after_a_restart_while_queued)
{
    restart_when (NULL, 0);
}

Test (recompute, goes_on_after_a_restart_while_cutting)
{
    for (int64_t later = 0; later < 6; later++)
        restart_when (is_cutting, later * STEP);
}

Test (recompute, goes_on_after_a_restart_while_building)
{
    for (int64_t later = 0; later < 6; later++)
        restart_when (is_building, later * STEP);
}

Test (recompute, goes_on_after_a_restart_when_published)
{
    manifest_wanted = 1;
    restart_when (is_published, 0);
}

Test (recompute, a_full_disk_of_the_catalog_stops_nothing_for_good)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        cluster_t cluster;
        trio_t trio = start (&cluster, seed, 0);
        sim_disk_set_faults (cluster.disk, &(sim_disk_faults_t){ .no_space = 1 });
        call_begin (&cluster, MESSAGE_RECOMPUTE);
        message_t reply = call_end (&cluster);
        cr_assert_eq (reply.kind, MESSAGE_ERROR);
        cr_assert (text_is (wire_text (reply.body, "status"), "no-space"));
        cluster_run (&cluster, 5 * LEASE);
        cr_assert_eq (actor_serves (&cluster, trio.speed), PARTITIONS); /* leases go on */
        sim_disk_set_faults (cluster.disk, &(sim_disk_faults_t){ 0 });
        cluster_run (&cluster, TIME_SECOND);
        waited_for = cluster_recompute (&cluster);
        cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
        cluster_release (&cluster);
    }
}

/* A node may be unable to read any file; the next one that is built is read no better. */
Test (recompute, of_what_is_damaged_each_time_comes_ever_more_rarely)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    cluster_send (&cluster, 5);
    trio.serving->damaged = true;
    (void)cluster_recompute (&cluster);
    cluster_run (&cluster, TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 2); /* at once */
    cluster_run (&cluster, 9 * TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 2);
    cluster_run (&cluster, 21 * TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 4); /* 10 s after the first, and 20 s after that */
    cluster_run (&cluster, 30 * TIME_SECOND);
    cr_assert_eq (cluster_manifest (&cluster), 4);
    cluster_release (&cluster);
}

static bool tells_why (cluster_t *self)
{
    call_begin (self, MESSAGE_RECOMPUTES);
    wire_list_t list = wire_list (call_end (self).body, "recomputes");
    text_t error = wire_text (&list.items[list.count - 1], "error");
    return text_is (error, "partition 0, of nobody, is not cut: it waits for an owner");
}

Test (recompute, that_cannot_cut_says_why)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1, 0);
    trio.speed->there = false;
    cluster_run (&cluster, 2 * LEASE);
    waited_for = cluster_recompute (&cluster);
    cluster_run (&cluster, TIME_SECOND / 2);
    cr_assert (is_cutting (&cluster));
    cr_assert_not (tells_why (&cluster)); /* it has only begun */
    cluster_run (&cluster, TIME_SECOND);
    cr_assert (tells_why (&cluster));
    cluster_release (&cluster);
}

/* What the latest recompute is told to wait for. */
static void last_error (cluster_t *self, char text[512])
{
    call_begin (self, MESSAGE_RECOMPUTES);
    wire_list_t list = wire_list (call_end (self).body, "recomputes");
    wire_copy (&list.items[list.count - 1], "error", text, 512);
}

Test (recompute, that_is_behind_another_says_so)
{
    cluster_t cluster;
    char text[512], expected[512];
    trio_t trio = start (&cluster, 1, 0);
    cluster_send (&cluster, 5);
    trio.batch->cut_off = true;
    cluster_run (&cluster, 2 * LEASE);
    uint64_t first = cluster_recompute (&cluster);
    cluster_run (&cluster, TIME_SECOND / 2);
    last_error (&cluster, text);
    cr_assert_str_eq (text, "no batch worker is alive: start one, as `weir up -d` does");
    cr_assert_neq (cluster_recompute_full (&cluster), first);
    last_error (&cluster, text);
    (void)snprintf (expected, sizeof expected,
                    "recompute %" PRIu64 " of the log goes first, and waits: no batch worker is "
                    "alive: start one, as `weir up -d` does",
                    first);
    cr_assert_str_eq (text, expected);
    cluster_release (&cluster);
}
