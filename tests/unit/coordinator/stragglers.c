/* Tasks that take much longer than their peers are given to a second worker, too. */
#include "coordinator/state.h"
#include "tests/unit/coordinator/actor.h"
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <inttypes.h>

static uint64_t waited_for;

static bool is_trimmed (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "trimmed") == 0;
}

typedef struct pair {
    actor_t *quick;
    actor_t *slow; /* lists its tasks, and finishes none */
} pair_t;

/* Two batch workers, and a first recompute, by which others are measured. */
static pair_t start (cluster_t *cluster, bool measured)
{
    cluster_init (cluster, 1, 0);
    cluster_apply (cluster, payments_definitions);
    (void)cluster_add (cluster, "s1", "speed");
    pair_t pair = { .quick = cluster_add (cluster, "b1", "batch"),
                    .slow = cluster_add (cluster, "b2", "batch") };
    (void)cluster_add (cluster, "v1", "serving");
    cluster_run (cluster, 2 * LEASE);
    cluster_send (cluster, 5);
    if (measured) {
        waited_for = cluster_recompute (cluster);
        cluster_until (cluster, is_trimmed, TIME_SECOND, "the trim");
        cluster_send (cluster, 5);
    }
    pair.slow->lazy = true;
    waited_for = cluster_recompute (cluster);
    cluster_run (cluster, 200 * TIME_MS);
    cr_assert_eq (pair.slow->tasks_count, PARTITIONS / 2);
    return pair;
}

/* Which of its attempts a published run is of. */
static uint64_t attempt_of (const char *path)
{
    const char *name = strrchr (path, '/') + 1;
    return strtoull (strchr (name, '-') + 1, NULL, 10);
}

/* How many partitions stand on a new file that the second attempt of a task wrote. */
static size_t second_attempts (const cluster_t *cluster)
{
    const catalog_manifest_t *manifest = &cluster->core->logs[0]->manifest;
    size_t count = 0;
    for (size_t p = 0; p < manifest->parts_count; p++) {
        const catalog_part_t *part = &manifest->parts[p];
        count += attempt_of (part->runs[part->runs_count - 1].path) == 2;
    }
    return count;
}

Test (stragglers, are_passed_by_a_copy_at_a_worker_that_has_nothing_to_do)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    int64_t took = cluster_until (&cluster, is_trimmed, 4 * TIME_SECOND, "the copies");
    cr_assert_geq (took, SLOW_LEAST - 400 * TIME_MS);
    cr_assert_eq (cluster.core->tasks_copied, PARTITIONS / 2);
    cr_assert_eq (second_attempts (&cluster), PARTITIONS / 2);
    cluster_run (&cluster, LEASE);
    cr_assert_eq (pair.slow->tasks_count, 0); /* its orders list them no more */
    cluster_release (&cluster);
}

/* A thread that is in a slow call cannot be taken from it: what it has been given up on is in the
 * way of what else it would be given. */
Test (stragglers, that_go_on_when_they_are_given_up_get_nothing_else)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    pair.slow->stubborn = true;
    (void)cluster_until (&cluster, is_trimmed, 4 * TIME_SECOND, "the copies");
    cluster_run (&cluster, LEASE);
    cr_assert_eq (pair.slow->tasks_count, PARTITIONS / 2);
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    (void)cluster_until (&cluster, is_trimmed, 2 * LEASE, "a recompute by the other");
    cr_assert_eq (cluster.core->tasks_copied, PARTITIONS / 2);
    pair.slow->stubborn = false;
    cluster_run (&cluster, LEASE);
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    cluster_run (&cluster, 200 * TIME_MS);
    cr_assert_eq (pair.slow->tasks_count, PARTITIONS / 2); /* its share */
    cluster_release (&cluster);
}

Test (stragglers, that_end_after_all_count_when_they_are_first)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    pair.quick->lazy = true;
    cluster_run (&cluster, 4 * TIME_SECOND);
    cr_assert_eq (pair.quick->tasks_count, 1); /* with one, it is not idle any more */
    pair.slow->lazy = false;
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the first attempts");
    cr_assert_eq (second_attempts (&cluster), 0);
    cluster_run (&cluster, LEASE);
    cr_assert_eq (pair.quick->tasks_count, 0);
    uint64_t manifest = cluster_manifest (&cluster);
    pair.quick->lazy = false;
    cluster_run (&cluster, LEASE);
    cr_assert_eq (cluster_manifest (&cluster), manifest);
    cluster_release (&cluster);
}

Test (stragglers, are_none_while_nothing_says_what_is_usual)
{
    cluster_t cluster;
    (void)start (&cluster, false);
    cluster_run (&cluster, 10 * TIME_SECOND);
    cr_assert_eq (cluster.core->tasks_copied, 0); /* two have finished: too few */
    cluster_release (&cluster);
}

Test (stragglers, are_measured_by_their_size)
{
    cluster_t cluster;
    (void)start (&cluster, true);
    /* what took the others some ms may take this much longer */
    for (size_t i = 0; i < cluster.core->tasks_count; i++)
        cluster.core->tasks[i]->size = UINT64_C (20) * 1000 * 1000 * 1000;
    cluster_run (&cluster, 10 * TIME_SECOND);
    cr_assert_eq (cluster.core->tasks_copied, 0);
    cluster_release (&cluster);
}

Test (stragglers, get_no_third_copy)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    pair.quick->lazy = true;
    actor_t *third = cluster_add (&cluster, "b3", "batch");
    actor_t *fourth = cluster_add (&cluster, "b4", "batch");
    third->lazy = fourth->lazy = true;
    cluster_run (&cluster, 30 * TIME_SECOND);
    cr_assert_eq (cluster.core->tasks_copied, PARTITIONS / 2);
    for (size_t i = 0; i < cluster.core->tasks_count; i++)
        cr_assert_eq (cluster.core->tasks[i]->last, 2);
    cluster_release (&cluster);
}

/* A worker's death says nothing of its tasks. */
Test (stragglers, get_another_copy_when_the_first_was_lost_with_its_worker)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    pair.quick->lazy = true;
    cluster_run (&cluster, 4 * TIME_SECOND);
    cr_assert_eq (cluster.core->tasks_copied, 1);
    pair.quick->lazy = false;
    actor_restart (&cluster, pair.quick);
    cluster_until (&cluster, is_trimmed, 3 * LEASE, "other copies");
    cr_assert_eq (cluster.core->tasks_copied, 1 + PARTITIONS / 2);
    cluster_release (&cluster);
}

/* … but may come of them: copies that end their workers are made ever more rarely. */
Test (stragglers, are_copied_ever_more_rarely_when_that_ends_the_worker)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    pair.quick->lazy = true;
    for (int64_t time = 0; time < 40 * TIME_SECOND; time += 500 * TIME_MS) {
        cluster_run (&cluster, 500 * TIME_MS);
        if (pair.quick->tasks_count > 0)
            actor_restart (&cluster, pair.quick);
        pair.quick->lazy = true;
    }
    uint64_t copies = cluster.core->tasks_copied / (PARTITIONS / 2);
    cr_assert (copies == 5 || copies == 6, "%lu", (unsigned long)copies); /* at 3, 3, 6, 12, 24 s */
    cluster_release (&cluster);
}

/* Of a task that always fails, after it was copied each time, some attempt is the last. */
Test (stragglers, that_fail_after_their_copy_was_made_end)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    pair.quick->lazy = true;
    actor_t *third = cluster_add (&cluster, "b3", "batch");
    third->lazy = true;
    cluster_run (&cluster, 4 * TIME_SECOND);
    uint64_t copies = cluster.core->tasks_copied;
    cr_assert_geq (copies, 2);
    pair.slow->fails_with = "corrupt";
    pair.slow->lazy = false;
    cluster_run (&cluster, 10 * TIME_SECOND);
    cr_assert_eq (cluster.core->tasks_copied, copies); /* copies are not copied */
    cluster_release (&cluster);
}

/* The copy's failure is not the task's. */
Test (stragglers, go_on_alone_when_their_copy_fails)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    pair.quick->fails_with = "corrupt";
    cluster_run (&cluster, 5 * TIME_SECOND);
    cr_assert_eq (cluster.core->tasks_copied, PARTITIONS / 2);
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "building");
    cluster_run (&cluster, 20 * TIME_SECOND); /* again at 6, 12 and 24 s */
    cr_assert_eq (cluster.core->tasks_copied, 4 * (PARTITIONS / 2));
    cr_assert_str_eq (cluster_recompute_state (&cluster, waited_for), "building");
    pair.slow->lazy = false;
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the first attempts");
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

/* A worker that was stopped goes on, and has written what nobody waits for any more. */
Test (stragglers, leave_no_files_when_they_end_after_their_copy)
{
    cluster_t cluster;
    pair_t pair = start (&cluster, true);
    played_task_t task = pair.slow->tasks[0];
    cluster_until (&cluster, is_trimmed, 4 * TIME_SECOND, "the copies");
    cluster_run (&cluster, LEASE);
    char directory[128], path[192];
    (void)snprintf (directory, sizeof directory, "history/" PAYMENTS "/%u", task.partition);
    (void)snprintf (path, sizeof path, "%s/%" PRIu64 "-%" PRIu64 "-0.run", directory, task.task,
                    task.attempt);
    size_t files = files_in (&cluster, directory);
    cluster_put_file (&cluster, path);
    cr_assert_eq (files_in (&cluster, directory), files + 1);
    wire_writer_t *writer = call_begin (&cluster, MESSAGE_TASK_DONE);
    wire_field_uint (writer, "task", task.task);
    wire_field_uint (writer, "attempt", task.attempt);
    wire_field_string (writer, "status", "ok");
    wire_field_map (writer, "outputs");
    wire_close (writer);
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_TASK_DONE_OK);
    cluster_run (&cluster, LEASE);
    cr_assert_eq (files_in (&cluster, directory), files);
    cluster_release (&cluster);
}
