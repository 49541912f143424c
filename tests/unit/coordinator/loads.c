/* Loads from their copy to their rows, and back. */
#include "tests/unit/coordinator/actor.h"
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char *waited_for;

static bool is_visible (cluster_t *self)
{
    return strcmp (cluster_load_state (self, waited_for), "visible") == 0;
}

static bool is_committing (cluster_t *self)
{
    return strcmp (cluster_load_state (self, waited_for), "committing") == 0;
}

static bool is_waiting (cluster_t *self)
{
    return strcmp (cluster_load_state (self, waited_for), "waiting") == 0;
}

static bool is_unloaded (cluster_t *self)
{
    return strcmp (cluster_load_state (self, waited_for), "unloaded") == 0;
}

static bool has_failed (cluster_t *self)
{
    return strcmp (cluster_load_state (self, waited_for), "failed") == 0;
}

static actor_t *start (cluster_t *cluster, uint64_t seed)
{
    cluster_init (cluster, seed, 0);
    cluster_apply (cluster, payments_definitions);
    cluster_add (cluster, "s1", "speed");
    cluster_add (cluster, "v1", "serving");
    actor_t *batch = cluster_add (cluster, "b1", "batch");
    cluster_run (cluster, 2 * LEASE);
    return batch;
}

static bool exists (cluster_t *cluster, const char *path)
{
    file_t *file;
    error_t error;
    bool there = fs_open (cluster->rig.env.fs, path, FS_READ, &file, &error) == STATUS_OK;
    fs_close (cluster->rig.env.fs, &file);
    return there;
}

/* Asks for a load; the reply's kind, and the status of an error in `status`. */
static message_t ask (cluster_t *cluster, const char *path, const char *id, const char *format,
                      bool again)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_LOAD);
    wire_field_string (writer, "stream", "payments");
    wire_field_string (writer, "path", path);
    wire_field_string (writer, "id", id);
    wire_field_string (writer, "name", "payments.csv");
    wire_field_string (writer, "format", format);
    wire_field_bool (writer, "again", again);
    return call_end (cluster);
}

static message_t unload (cluster_t *cluster, const char *id)
{
    wire_field_string (call_begin (cluster, MESSAGE_UNLOAD), "id", id);
    return call_end (cluster);
}

Test (loads, become_visible_with_the_recompute_that_they_bring)
{
    cluster_t cluster;
    (void)start (&cluster, 1);
    cluster_send (&cluster, 4);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    cr_assert_eq (cluster_manifest (&cluster), 1);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        cr_assert_eq (cluster_log_number (&cluster, p, "cut"), 5); /* right after the load */
        cr_assert_eq (cluster_log_number (&cluster, p, "events"), 0);
    }
    cluster_run (&cluster, 2 * LEASE);
    cr_assert (!exists (&cluster, "incoming/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    cluster_release (&cluster);
}

Test (loads, leave_no_copy_behind_when_the_coordinator_ended_before_it_was_removed)
{
    static const char copy[] = "incoming/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    cluster_t cluster;
    (void)start (&cluster, 1);
    cluster_send (&cluster, 4);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    cluster_run (&cluster, 2 * LEASE);
    cluster_put_file (&cluster, copy); /* as if it had not been */
    cluster_restart (&cluster);
    cluster_run (&cluster, 2 * LEASE);
    cr_assert (!exists (&cluster, copy));
    cluster_release (&cluster);
}

Test (loads, are_told_visible_and_undone_when_every_serving_node_has_them_so)
{
    for (int restarts = 0; restarts < 2; restarts++) {
        cluster_t cluster;
        (void)start (&cluster, 1);
        actor_t *serving = &cluster.actors[1];
        serving->stays = true;
        waited_for = cluster_load (&cluster, 'a');
        cluster_run (&cluster, 5 * LEASE);
        if (restarts)
            cluster_restart (&cluster);
        cluster_run (&cluster, 5 * LEASE);
        cr_assert_eq (cluster_manifest (&cluster), 1);
        cr_assert_str_eq (cluster_load_state (&cluster, waited_for), "waiting");
        serving->stays = false;
        cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
        serving->stays = true;
        cr_assert_eq (unload (&cluster, waited_for).kind, MESSAGE_UNLOAD_OK);
        cluster_run (&cluster, 5 * LEASE);
        cr_assert_eq (cluster_manifest (&cluster), 2);
        cr_assert_str_eq (cluster_load_state (&cluster, waited_for), "unloading");
        serving->stays = false;
        cluster_until (&cluster, is_unloaded, TIME_SECOND, "the unload");
        cluster_release (&cluster);
    }
}

Test (loads, the_runs_of_a_load_are_inputs_at_its_place)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster, 1);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_waiting, TIME_SECOND, "the wait");
    batch->lazy = true;
    cluster_run (&cluster, 50 * TIME_MS);
    cr_assert_eq (batch->tasks_count, PARTITIONS);
    for (size_t i = 0; i < batch->tasks_count; i++)
        cr_assert_eq (batch->tasks[i].runs, 1);
    cluster_release (&cluster);
}

Test (loads, of_a_restarted_coordinator_go_on)
{
    bool (*const states[]) (cluster_t *) = { is_committing, is_waiting, is_visible };
    for (size_t i = 0; i < 3; i++)
        for (int later = 0; later < 4; later++) {
            cluster_t cluster;
            (void)start (&cluster, (uint64_t)later);
            waited_for = cluster_load (&cluster, 'a');
            cluster_until (&cluster, states[i], TIME_SECOND, "the state");
            cluster_run (&cluster, later * STEP);
            cluster_restart (&cluster);
            cluster_until (&cluster, is_visible, 10 * TIME_SECOND, "the load");
            cluster_run (&cluster, 2 * LEASE);
            cr_assert_eq (cluster_manifest (&cluster), 1);
            cluster_release (&cluster);
        }
}

Test (loads, the_same_content_twice_is_refused_unless_asked_for)
{
    cluster_t cluster;
    (void)start (&cluster, 1);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    const char *id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    error_t error;
    cr_assert_eq (fs_replace (cluster.rig.env.fs, "incoming/x", "x", 1, &error), STATUS_OK);
    message_t reply = ask (&cluster, "incoming/x", id, "csv", false);
    cr_assert (text_is (wire_text (reply.body, "status"), "exists"));
    reply = ask (&cluster, "incoming/x", id, "csv", true);
    cr_assert (text_is (wire_text (reply.body, "id"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.2"));
    reply = ask (&cluster, "incoming/x", id, "csv", true);
    cr_assert (text_is (wire_text (reply.body, "id"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.3"));
    waited_for = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.2";
    cluster_until (&cluster, is_visible, 3 * TIME_SECOND, "the second load");
    waited_for = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.3";
    cluster_until (&cluster, is_visible, 3 * TIME_SECOND, "the third load");
    cluster_release (&cluster);
}

Test (loads, that_failed_can_be_tried_again)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster, 1);
    batch->fails_with = "invalid";
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, has_failed, TIME_SECOND, "the failure");
    cr_assert_eq (cluster_manifest (&cluster), 0);
    batch->fails_with = NULL;
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    cluster_release (&cluster);
}

Test (loads, that_are_undone_are_left_out_of_the_next_dataset)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster, 1);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    batch->lazy = true;
    cr_assert_eq (unload (&cluster, waited_for).kind, MESSAGE_UNLOAD_OK);
    cluster_run (&cluster, 50 * TIME_MS);
    cr_assert_eq (batch->tasks_count, PARTITIONS);
    for (size_t i = 0; i < batch->tasks_count; i++)
        cr_assert_eq (batch->tasks[i].excluded, 1);
    batch->lazy = false;
    cluster_until (&cluster, is_unloaded, TIME_SECOND, "the unload");
    cr_assert_eq (cluster_manifest (&cluster), 2);
    cr_assert_eq (unload (&cluster, waited_for).kind, MESSAGE_ERROR);
    cluster_release (&cluster);
}

Test (loads, that_nobody_should_have_asked_for_are_refused)
{
    cluster_t cluster;
    (void)start (&cluster, 1);
    const char *id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    error_t error;
    cr_assert_eq (fs_make_dir (cluster.rig.env.fs, "incoming", &error), STATUS_OK);
    cr_assert_eq (fs_replace (cluster.rig.env.fs, "incoming/x", "x", 1, &error), STATUS_OK);
    const char *const paths[] = {
        "incoming/../catalog.db", "catalog.db",      "/etc/passwd", "", "incoming/", "incoming/.",
        "incoming/a/../x",        "incoming/missing"
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        cr_assert_eq (ask (&cluster, paths[i], id, "csv", false).kind, MESSAGE_ERROR, "%s",
                      paths[i]);
    cr_assert_eq (ask (&cluster, "incoming/x", "../x", "csv", false).kind, MESSAGE_ERROR);
    cr_assert_eq (ask (&cluster, "incoming/x", id, "xml", false).kind, MESSAGE_ERROR);
    cr_assert_eq (unload (&cluster, "nothing").kind, MESSAGE_ERROR);
    cr_assert_eq (ask (&cluster, "incoming/x", id, "csv", false).kind, MESSAGE_LOAD_OK);
    cluster_release (&cluster);
}

Test (loads, that_wait_for_a_dataset_fail_when_their_stream_is_deleted)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster, 1);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_waiting, TIME_SECOND, "the dataset to be waited for");
    batch->lazy = true;
    static const char *const names[] = { "spend", "payments" };
    for (size_t i = 0; i < 2; i++) {
        wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", names[i]);
        cr_assert_eq (call_end (&cluster).kind, MESSAGE_DELETE_OK);
    }
    cr_assert (has_failed (&cluster));
    batch->lazy = false;
    cluster_apply (&cluster, payments_definitions);
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_str_eq (cluster_load (&cluster, 'a'), waited_for); /* as any that failed */
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    cluster_release (&cluster);
}
