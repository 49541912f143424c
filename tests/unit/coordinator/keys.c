/* Further keys of a stream: their logs, where they begin, and the history that a new one gets. */
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define OTHER "payments/amount"

static const char by_amount[] = "views:\n"
                                "  same:\n"
                                "    from: payments\n"
                                "    key: amount\n"
                                "    features:\n"
                                "      n: count()\n";

static actor_t *speed;
static actor_t *serving;
static actor_t *batch;
static const char *waited_for;

static void start (cluster_t *cluster, uint64_t seed)
{
    cluster_init (cluster, seed, 0);
    cluster_apply (cluster, payments_definitions);
    speed = cluster_add (cluster, "s1", "speed");
    serving = cluster_add (cluster, "v1", "serving");
    batch = cluster_add (cluster, "b1", "batch");
    cluster_run (cluster, 2 * LEASE);
}

static message_t apply (cluster_t *cluster, const char *text)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_APPLY);
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "test.yaml");
    wire_field_string (writer, "text", text);
    wire_close (writer);
    wire_close (writer);
    return call_end (cluster);
}

static void assert_refused (message_t reply, const char *status, const char *reason)
{
    char text[1024];
    cr_assert_eq (reply.kind, MESSAGE_ERROR);
    wire_copy (reply.body, "text", text, sizeof text);
    cr_assert (text_is (wire_text (reply.body, "status"), status), "%s", text);
    cr_assert_not_null (strstr (text, reason), "%s", text);
}

/* What a serving node is told of the other key's log: -1 nothing, 1 that it is filling. */
static int filling (void)
{
    for (size_t i = 0; i < serving->datasets_count; i++)
        if (strcmp (serving->dataset_log[i], OTHER) == 0)
            return serving->filling[i];
    return -1;
}

static bool is_filled (cluster_t *self)
{
    (void)self;
    return filling () == 0;
}

static bool is_visible (cluster_t *self)
{
    return strcmp (cluster_load_state (self, waited_for), "visible") == 0;
}

static bool is_published (cluster_t *self)
{
    return cluster_manifest (self) == 1;
}

static bool has_history_task (cluster_t *self)
{
    (void)self;
    for (size_t i = 0; i < batch->tasks_count; i++)
        if (batch->tasks[i].history > 0)
            return true;
    return false;
}

static message_t unload (cluster_t *cluster, const char *id)
{
    wire_field_string (call_begin (cluster, MESSAGE_UNLOAD), "id", id);
    return call_end (cluster);
}

Test (keys, a_log_is_filling_until_all_partitions_have_forwarded_what_they_held)
{
    cluster_t cluster;
    start (&cluster, 1);
    speed->keeps_back = true;
    cluster_apply (&cluster, by_amount);
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_eq (filling (), 1);
    cluster_restart (&cluster);
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_eq (filling (), 1);
    speed->keeps_back = false;
    cluster_until (&cluster, is_filled, TIME_SECOND, "the log to be filled");
    speed->keeps_back = true; /* once is enough, over a restart too */
    cluster_restart (&cluster);
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_eq (filling (), 0);
    cluster_release (&cluster);
}

Test (keys, a_load_goes_to_all_of_them_and_is_visible_with_the_last)
{
    cluster_t cluster;
    start (&cluster, 2);
    cluster_apply (&cluster, by_amount);
    cluster_run (&cluster, 2 * LEASE);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, 5 * TIME_SECOND, "the load");
    wire_field_string (call_begin (&cluster, MESSAGE_DATASET), "log", OTHER);
    message_t reply = call_end (&cluster);
    cr_assert_eq (wire_uint (reply.body, "manifest", 0), 1);
    wire_list_t parts = wire_list (reply.body, "partitions");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq (wire_list (&parts.items[p], "runs").count, 1);
    cr_assert_eq (unload (&cluster, waited_for).kind, MESSAGE_UNLOAD_OK);
    cluster_run (&cluster, 5 * TIME_SECOND);
    cr_assert_str_eq (cluster_load_state (&cluster, waited_for), "unloaded");
    cluster_release (&cluster);
}

Test (keys, a_new_one_begins_at_the_dataset_and_gets_what_is_below)
{
    cluster_t cluster;
    start (&cluster, 3);
    cluster_send (&cluster, 7);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    uint64_t cut[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cut[p] = cluster_log_number (&cluster, p, "cut");
    batch->lazy = true;
    cluster_apply (&cluster, by_amount);
    cluster_until (&cluster, has_history_task, TIME_SECOND, "the task");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq (speed->marks[p], cut[p]);
    /* that dataset stays until its rows are written; the partitions have forwarded all */
    cr_assert_eq (filling (), 1);
    (void)cluster_recompute (&cluster);
    cluster_run (&cluster, TIME_SECOND);
    cr_assert (is_published (&cluster));
    cluster_restart (&cluster);
    cluster_until (&cluster, has_history_task, 5 * TIME_SECOND, "the task again");
    cr_assert (is_published (&cluster));
    batch->lazy = false;
    cluster_until (&cluster, is_filled, 5 * TIME_SECOND, "the log to be filled");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq (speed->marks[p], cut[p]);
    cluster_run (&cluster, 5 * TIME_SECOND);
    cr_assert_gt (cluster_manifest (&cluster), 1);
    assert_refused (unload (&cluster, waited_for), "invalid", "older than the key of " OTHER);
    cluster_release (&cluster);
}

Test (keys, a_history_that_could_not_be_written_is_tried_again)
{
    cluster_t cluster;
    start (&cluster, 4);
    cluster_send (&cluster, 7);
    (void)cluster_recompute (&cluster);
    cluster_until (&cluster, is_published, TIME_SECOND, "the dataset");
    batch->fails_with = "corrupt";
    cluster_apply (&cluster, by_amount);
    cluster_run (&cluster, 3 * TIME_SECOND);
    cr_assert_eq (filling (), 1);
    batch->fails_with = NULL;
    cluster_until (&cluster, is_filled, 60 * TIME_SECOND, "the log to be filled");
    cluster_release (&cluster);
}

Test (keys, a_new_one_waits_for_loads_that_are_under_way)
{
    cluster_t cluster;
    start (&cluster, 5);
    batch->lazy = true;
    waited_for = cluster_load (&cluster, 'a');
    cluster_run (&cluster, LEASE);
    assert_refused (apply (&cluster, by_amount), "unavailable", "load aaaa");
    batch->lazy = false;
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    cr_assert_eq (apply (&cluster, by_amount).kind, MESSAGE_APPLY_OK);
    cluster_release (&cluster);
}

Test (keys, one_that_was_used_is_kept_up_and_its_fields_do_not_change)
{
    static const char renamed[] = "streams:\n"
                                  "  payments:\n"
                                  "    key: user_id\n"
                                  "    time: ts\n"
                                  "    fields:\n"
                                  "      user_id: string\n"
                                  "      price: {type: float64, alias: amount}\n"
                                  "      ts: timestamp\n"
                                  "views:\n"
                                  "  spend:\n"
                                  "    from: payments\n"
                                  "    features:\n"
                                  "      total: sum(price) over 1h\n";
    cluster_t cluster;
    start (&cluster, 6);
    cluster_apply (&cluster, by_amount);
    cluster_send (&cluster, 3);
    cluster_run (&cluster, 2 * LEASE);
    wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", "same");
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_DELETE_OK);
    cluster_restart (&cluster);
    cluster_run (&cluster, 2 * LEASE);
    wire_field_string (call_begin (&cluster, MESSAGE_DATASET), "log", OTHER);
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_DATASET_OK);
    assert_refused (apply (&cluster, renamed), "invalid", "kept by the key amount");
    cr_assert_eq (apply (&cluster, by_amount).kind, MESSAGE_APPLY_OK);
    cluster_release (&cluster);
}

Test (keys, of_a_stream_are_bounded_with_those_that_were_used_before)
{
    cluster_t cluster;
    char text[4096] =
        "streams:\n  s:\n    key: []\n    time: ts\n    fields:\n      ts: timestamp\n";
    size_t size = strlen (text);
    for (int i = 0; i < 17; i++)
        size += (size_t)snprintf (text + size, sizeof text - size, "      f%d: int64\n", i);
    cluster_init (&cluster, 7, 0);
    cluster_apply (&cluster, text);
    for (int i = 0; i < 16; i++) { /* nobody can say that the stream has no events */
        char view[128];
        (void)snprintf (view, sizeof view,
                        "views:\n  v: {from: s, key: f%d, features: {n: count()}}\n", i);
        if (i == 15)
            assert_refused (apply (&cluster, view), "invalid", "would have 17 keys");
        else
            cluster_apply (&cluster, view);
        wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", "v");
        cr_assert_eq (call_end (&cluster).kind, i < 15 ? MESSAGE_DELETE_OK : MESSAGE_ERROR);
    }
    cluster_release (&cluster);
}

/* Is the log in the latest orders for every partition? */
static bool is_listed (const cluster_t *cluster, const char *log)
{
    size_t count = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (size_t i = 0; i < LOGS_PLAYED; i++)
            count += speed->partitions[p].listed[i] && strcmp (cluster->logs[p][i].name, log) == 0;
    return count == PARTITIONS;
}

/* An owner that does not find it in its orders acknowledges without it. */
Test (keys, a_log_stays_in_all_orders_when_an_apply_cannot_be_read_back)
{
    static const char newer[] = "views:\n"
                                "  all:\n" /* before the other one */
                                "    from: payments\n"
                                "    key: []\n"
                                "    features:\n"
                                "      n: count()\n";
    unsigned doubted = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        cluster_t cluster;
        start (&cluster, seed);
        cluster_apply (&cluster, by_amount);
        cluster_run (&cluster, 2 * LEASE);
        cr_assert (is_listed (&cluster, OTHER));
        sim_disk_set_faults (cluster.disk, &(sim_disk_faults_t){ .read_error = 0.2 });
        bool answered = apply (&cluster, newer).kind == MESSAGE_APPLY_OK;
        sim_disk_set_faults (cluster.disk, &(sim_disk_faults_t){ 0 });
        for (int i = 0; i < 10; i++) {
            cluster_run (&cluster, LEASE / 10);
            cr_assert (is_listed (&cluster, PAYMENTS) && is_listed (&cluster, OTHER), "seed %llu",
                       (unsigned long long)seed);
            /* what was told to be applied is: no row is refused for good without it */
            cr_assert (!answered || speed->definitions == 3);
            doubted += i == 0 && answered && !is_listed (&cluster, "payments/_");
        }
        cluster_run (&cluster, 2 * TIME_SECOND);
        cr_assert (!answered || is_listed (&cluster, "payments/_"));
        cluster_release (&cluster);
    }
    cr_assert_gt (doubted, 0);
}

/* Where it began is in the catalog, and its history is in it. */
Test (keys, a_log_of_a_stream_that_comes_back_over_a_restart_does_not_begin_again)
{
    cluster_t cluster;
    start (&cluster, 8);
    cluster_apply (&cluster, by_amount);
    cluster_send (&cluster, 7);
    cluster_run (&cluster, 2 * LEASE);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, 5 * TIME_SECOND, "the load");
    cr_assert_eq (filling (), 0);
    static const char *const names[] = { "same", "spend", "payments" };
    for (size_t i = 0; i < 3; i++) {
        wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", names[i]);
        cr_assert_eq (call_end (&cluster).kind, MESSAGE_DELETE_OK);
    }
    cluster_run (&cluster, 2 * LEASE);
    cluster_restart (&cluster);
    cluster_run (&cluster, 2 * LEASE);
    batch->lazy = true; /* a history would be seen */
    cluster_apply (&cluster, payments_definitions);
    cluster_apply (&cluster, by_amount);
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_not (has_history_task (&cluster));
    cr_assert_eq (filling (), 0);
    cluster_release (&cluster);
}

static void delete (cluster_t *cluster, const char *name)
{
    wire_field_string (call_begin (cluster, MESSAGE_DELETE), "name", name);
    cr_assert_eq (call_end (cluster).kind, MESSAGE_DELETE_OK, "%s", name);
}

/* A history that was cut short by the end of its stream is what the log lacks when it is back. */
Test (keys, a_history_waits_for_a_stream_that_was_deleted_to_come_back)
{
    static const char *const names[] = { "same", "spend", "payments" };
    for (int restart = 0; restart < 2; restart++) {
        cluster_t cluster;
        start (&cluster, 9);
        cluster_send (&cluster, 7);
        (void)cluster_recompute (&cluster);
        cluster_until (&cluster, is_published, TIME_SECOND, "the dataset");
        batch->lazy = true;
        cluster_apply (&cluster, by_amount);
        cluster_until (&cluster, has_history_task, TIME_SECOND, "the task");
        for (size_t i = 0; i < 3; i++)
            delete (&cluster, names[i]);
        cluster_run (&cluster, 2 * LEASE);
        cr_assert_not (has_history_task (&cluster));
        if (restart)
            cluster_restart (&cluster);
        cluster_run (&cluster, 2 * LEASE);
        cluster_apply (&cluster, payments_definitions);
        cluster_apply (&cluster, by_amount);
        cluster_run (&cluster, 2 * LEASE);
        cr_assert (has_history_task (&cluster));
        cr_assert_eq (filling (), 1);
        batch->lazy = false;
        cluster_until (&cluster, is_filled, 5 * TIME_SECOND, "the log to be filled");
        cluster_release (&cluster);
    }
}

/* Nothing was in it, and what was sent since did not go to it: it is a new one. */
Test (keys, a_key_that_went_while_there_were_no_events_gets_the_history_when_it_is_back)
{
    static const char without[] = "streams:\n"
                                  "  payments:\n"
                                  "    key: user_id\n"
                                  "    time: ts\n"
                                  "    fields:\n"
                                  "      user_id: string\n"
                                  "      ts: timestamp\n";
    for (int restart = 0; restart < 2; restart++) {
        cluster_t cluster;
        start (&cluster, 10);
        cluster_apply (&cluster, by_amount);
        cluster_until (&cluster, is_filled, TIME_SECOND, "the log to be filled");
        delete (&cluster, "same");
        delete (&cluster, "spend");
        cluster_apply (&cluster, without);
        cluster_run (&cluster, 2 * LEASE);
        cr_assert_not (is_listed (&cluster, OTHER));
        if (restart)
            cluster_restart (&cluster);
        cluster_apply (&cluster, payments_definitions);
        cluster_send (&cluster, 7);
        cluster_run (&cluster, 2 * LEASE);
        (void)cluster_recompute (&cluster);
        cluster_until (&cluster, is_published, 5 * TIME_SECOND, "the dataset");
        uint64_t cut = cluster_log_number (&cluster, 0, "cut");
        batch->lazy = true;
        cluster_apply (&cluster, by_amount);
        cluster_until (&cluster, has_history_task, 5 * TIME_SECOND, "the task");
        cr_assert_eq (speed->marks[0], cut);
        cr_assert_eq (filling (), 1);
        batch->lazy = false;
        cluster_until (&cluster, is_filled, 5 * TIME_SECOND, "the log to be filled");
        cluster_release (&cluster);
    }
}
