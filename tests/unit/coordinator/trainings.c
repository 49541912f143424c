/* Training sets: what they are pinned to, whose tasks they become, and what is left of them. */
#include "coordinator/trainings.h"
#include "tests/unit/coordinator/actor.h"
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 3 };

static uint64_t current; /* the set that is asked about */
static uint64_t waited_for;

typedef struct told {
    message_kind_t kind;
    char state[16];
    char error[512];
    char waits[512];
    uint64_t positions[PARTITIONS];
    uint64_t manifest;
    size_t pinned;
    size_t trained;
    char result[256]; /* of the first part */
} told_t;

static told_t take (message_t reply)
{
    told_t told = { .kind = reply.kind };
    if (reply.kind == MESSAGE_ERROR) {
        wire_copy (reply.body, "text", told.error, sizeof told.error);
        return told;
    }
    current = wire_uint (reply.body, "id", 0);
    wire_copy (reply.body, "state", told.state, sizeof told.state);
    if (wire_has (reply.body, "error"))
        wire_copy (reply.body, "error", told.error, sizeof told.error);
    if (wire_has (reply.body, "waits"))
        wire_copy (reply.body, "waits", told.waits, sizeof told.waits);
    wire_list_t pinned = wire_list (reply.body, "pinned");
    wire_list_t trained = wire_list (reply.body, "trained");
    told.pinned = pinned.count;
    told.trained = trained.count;
    if (pinned.count > 0) {
        wire_list_t positions = wire_list (&pinned.items[0], "positions");
        told.manifest = wire_uint (&pinned.items[0], "manifest", 0);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            told.positions[p] = wire_item_uint (&positions.items[p]);
    }
    if (trained.count > 0)
        wire_copy (&trained.items[0], "path", told.result, sizeof told.result);
    return told;
}

static void put_version (wire_writer_t *writer, const told_t *of, uint64_t forgets)
{
    wire_field_list (writer, "version");
    wire_open_map (writer);
    wire_field_string (writer, "log", PAYMENTS);
    wire_field_string (writer, "dataset", "d1");
    wire_field_uint (writer, "manifest", of->manifest);
    wire_field_list (writer, "positions");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        wire_put_uint (writer, of->positions[p]);
    wire_close (writer);
    wire_field_uint (writer, "unloaded", 0);
    wire_field_uint (writer, "forgets", forgets);
    wire_field_list (writer, "without");
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
}

static told_t begin_of (cluster_t *self, const char *view, const told_t *version, uint64_t forgets)
{
    wire_writer_t *writer = call_begin (self, MESSAGE_TRAINING);
    wire_field_list (writer, "views");
    wire_put_string (writer, view);
    wire_close (writer);
    if (version)
        put_version (writer, version, forgets);
    return take (call_end (self));
}

static told_t begin (cluster_t *self, const told_t *version, uint64_t forgets)
{
    return begin_of (self, "spend", version, forgets);
}

static told_t ask (cluster_t *self, bool end)
{
    wire_writer_t *writer = call_begin (self, MESSAGE_TRAINING);
    wire_field_uint (writer, "id", current);
    if (end)
        wire_field_bool (writer, "end", true);
    return take (call_end (self));
}

/* Rows in two partitions, which is what its file says. */
static told_t hand_over (cluster_t *self, uint64_t version, const char *prefix)
{
    char path[2][64];
    for (uint32_t p = 0; p < 2; p++) {
        (void)snprintf (path[p], sizeof path[p], "%s%" PRIu64 "-0-%u.spine", prefix, current, p);
        if (strncmp (prefix, "training/", 9) == 0)
            cluster_put_file (self, path[p]);
    }
    wire_writer_t *writer = call_begin (self, MESSAGE_TRAINING);
    wire_field_uint (writer, "id", current);
    wire_field_list (writer, "spine");
    wire_open_map (writer);
    wire_field_string (writer, "view", "spend");
    wire_field_uint (writer, "version", version);
    wire_field_list (writer, "features");
    wire_put_string (writer, "total_1h");
    wire_close (writer);
    wire_field_list (writer, "request");
    wire_close (writer);
    wire_field_bool (writer, "known", false);
    wire_field_bool (writer, "before", false);
    wire_field_list (writer, "parts");
    for (uint32_t p = 0; p < 2; p++) {
        wire_open_map (writer);
        wire_field_uint (writer, "partition", p);
        wire_field_string (writer, "path", path[p]);
        wire_field_uint (writer, "size", 1);
        wire_field_uint (writer, "rows", ROWS);
        wire_close (writer);
    }
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    return take (call_end (self));
}

static bool is_ready (cluster_t *self)
{
    return strcmp (ask (self, false).state, "ready") == 0;
}

static bool is_done (cluster_t *self)
{
    return strcmp (ask (self, false).state, "done") == 0;
}

static bool is_trimmed (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "trimmed") == 0;
}

static bool is_there (cluster_t *self, const char *path)
{
    file_t *file = NULL;
    error_t error;
    status_t status = fs_open (sim_disk_fs (self->disk), path, FS_READ, &file, &error);
    fs_close (sim_disk_fs (self->disk), &file);
    return status == STATUS_OK;
}

static void count_name (void *arg, const char *name)
{
    (void)name;
    ++*(size_t *)arg;
}

static size_t files_left (cluster_t *self)
{
    size_t count = 0;
    error_t error;
    (void)!fs_list (sim_disk_fs (self->disk), "training", count_name, &count, &error);
    return count;
}

static bool nothing_is_left (cluster_t *self)
{
    return files_left (self) == 0;
}

static void start (cluster_t *self)
{
    cluster_init (self, 5, 0);
    (void)cluster_add (self, "s1", "speed");
    (void)cluster_add (self, "b1", "batch");
    (void)cluster_add (self, "v1", "serving");
    cluster_run (self, 2 * LEASE);
    cluster_apply (self, payments_definitions);
    cluster_run (self, 2 * LEASE);
}

Test (trainings, have_what_was_acknowledged_before)
{
    cluster_t cluster;
    start (&cluster);
    cluster_send (&cluster, 5);
    told_t told = begin (&cluster, NULL, 0);
    cr_assert_str_eq (told.state, "cutting");
    cr_assert_eq (told.pinned, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    told = ask (&cluster, false);
    cr_assert_eq (told.pinned, 1);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_geq (told.positions[p], 5);
    cr_assert_str_eq (hand_over (&cluster, 1, "training/").state, "running");
    cluster_until (&cluster, is_done, TIME_SECOND, "the results");
    told = ask (&cluster, false);
    cr_assert_eq (told.trained, 2);
    cr_assert (is_there (&cluster, told.result));
    cr_assert_eq (ask (&cluster, true).kind, MESSAGE_TRAINING_OK);
    cluster_until (&cluster, nothing_is_left, TIME_SECOND, "the sweep");
    cr_assert_eq (ask (&cluster, false).kind, MESSAGE_ERROR);
    cluster_release (&cluster);
}

/* What it has of before comes to a new key's log by and by, and a recompute of it that began
 * earlier would cut below. */
Test (trainings, of_a_new_key_are_cut_above_what_was_on_its_way)
{
    cluster_t cluster;
    start (&cluster);
    actor_t *speed = &cluster.actors[0];
    speed->keeps_back = true;
    cluster_apply (&cluster, "views:\n"
                             "  same:\n"
                             "    from: payments\n"
                             "    key: amount\n"
                             "    features:\n"
                             "      n: count()\n");
    cluster_run (&cluster, 2 * LEASE);
    told_t told = begin_of (&cluster, "same", NULL, 0);
    cr_assert_str_eq (told.state, "cutting");
    cluster_run (&cluster, 2 * TIME_SECOND);
    told = ask (&cluster, false);
    cr_assert_str_eq (told.state, "cutting");
    cr_assert_not_null (strstr (told.waits, "a view's key is new"));
    uint64_t end[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        played_log_t *log = &cluster.logs[p][1];
        cr_assert_str_eq (log->name, "payments/amount");
        end[p] = log->end += 7;
    }
    speed->keeps_back = false;
    cluster_until (&cluster, is_ready, 2 * TIME_SECOND, "the dataset");
    told = ask (&cluster, false);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_geq (told.positions[p], end[p]);
    cluster_release (&cluster);
}

/* A disk that is full, say. The second one waits behind the first. */
Test (trainings, say_why_their_recompute_does_not_go_on)
{
    cluster_t cluster;
    start (&cluster);
    cluster.actors[1].fails_with = "no-space";
    cluster_send (&cluster, 5);
    (void)begin (&cluster, NULL, 0);
    cluster_run (&cluster, 2 * LEASE);
    told_t told = ask (&cluster, false);
    cr_assert_str_eq (told.state, "cutting");
    cr_assert_neq (told.waits[0], '\0');
    cluster_send (&cluster, 5);
    (void)begin (&cluster, NULL, 0);
    cluster_run (&cluster, LEASE);
    told_t second = ask (&cluster, false);
    cr_assert_str_eq (second.state, "cutting");
    cr_assert_str_eq (second.waits, told.waits);
    cluster.actors[1].fails_with = NULL;
    cluster_until (&cluster, is_ready, 60 * TIME_SECOND, "the dataset");
    cr_assert_str_eq (ask (&cluster, false).waits, "");
    cluster_release (&cluster);
}

/* And what recomputes wait for is not behind its part. */
Test (trainings, of_a_worker_that_vanishes_are_another_ones)
{
    cluster_t cluster;
    start (&cluster);
    actor_t *first = &cluster.actors[1];
    first->keeps_trains = true;
    (void)begin (&cluster, NULL, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    (void)hand_over (&cluster, 1, "training/");
    cluster_run (&cluster, LEASE / 2);
    cr_assert_eq (first->tasks_count, 1, "one at a time");
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "a recompute beside it");
    (void)cluster_add (&cluster, "b2", "batch");
    first->cut_off = true;
    cluster_until (&cluster, is_done, 4 * TIME_SECOND, "the other worker");
    cr_assert_eq (ask (&cluster, false).trained, 2);
    cluster_release (&cluster);
}

Test (trainings, that_nobody_can_make_say_so)
{
    cluster_t cluster;
    start (&cluster);
    (void)begin (&cluster, NULL, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    cluster.actors[1].cut_off = true;
    cluster_run (&cluster, 2 * LEASE);
    (void)hand_over (&cluster, 1, "training/");
    cluster_run (&cluster, LEASE / 2);
    cr_assert_str_eq (ask (&cluster, false).waits,
                      "no batch worker is alive: start one, as `weir up -d` does");
    (void)cluster_add (&cluster, "b2", "batch");
    cluster_until (&cluster, is_done, 4 * TIME_SECOND, "another worker");
    cr_assert_str_eq (ask (&cluster, false).waits, "");
    cluster_release (&cluster);
}

Test (trainings, that_nobody_asks_about_are_given_up)
{
    cluster_t cluster;
    start (&cluster);
    cluster.actors[1].keeps_trains = true;
    (void)begin (&cluster, NULL, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    (void)hand_over (&cluster, 1, "training/");
    cluster_run (&cluster, TRAINING_LEASE - TIME_SECOND);
    cr_assert_str_eq (ask (&cluster, false).state, "running");
    cr_assert_eq (files_left (&cluster), 2);
    cluster_run (&cluster, TRAINING_LEASE + TIME_SECOND);
    cr_assert_eq (ask (&cluster, false).kind, MESSAGE_ERROR);
    cr_assert_eq (cluster.actors[1].tasks_count, 0);
    cr_assert_eq (files_left (&cluster), 0);
    cluster_release (&cluster);
}

#define FIRST  "00000000000000f1"
#define SECOND "00000000000000f2"

static void forget (cluster_t *self, const char *id)
{
    wire_writer_t *writer = call_begin (self, MESSAGE_FORGET);
    wire_field_string (writer, "stream", "payments");
    wire_field_string (writer, "id", id);
    wire_field_map (writer, "key");
    wire_field_string (writer, "user_id", id);
    wire_close (writer);
    cr_assert_eq (call_end (self).kind, MESSAGE_FORGET_OK);
}

static void forget_state (cluster_t *self, const char *id, char state[16])
{
    wire_field_string (call_begin (self, MESSAGE_FORGETS), "id", id);
    message_t reply = call_end (self);
    wire_list_t found = wire_list (reply.body, "forgets");
    cr_assert_eq (found.count, 1);
    wire_copy (&found.items[0], "state", state, 16);
}

/* The set waits for the second, which waits for the new key, which waits for the first: that must
 * not wait for the set. */
Test (trainings, that_wait_for_an_entity_to_be_erased_hold_up_no_other)
{
    static const char by_amount[] = "views:\n"
                                    "  same:\n"
                                    "    from: payments\n"
                                    "    key: amount\n"
                                    "    features:\n"
                                    "      n: count()\n";
    cluster_t cluster;
    char state[16];
    start (&cluster);
    cluster_send (&cluster, 5);
    cluster.places_no_forgets = true;
    forget (&cluster, FIRST);
    cluster_run (&cluster, LEASE);
    cluster_apply (&cluster, by_amount);
    forget (&cluster, SECOND);
    (void)begin (&cluster, NULL, 0);
    cluster_run (&cluster, LEASE);
    forget_state (&cluster, FIRST, state);
    cr_assert_str_eq (state, "placing");
    forget_state (&cluster, SECOND, state);
    cr_assert_str_eq (state, "accepted");
    cr_assert_str_eq (ask (&cluster, false).state, "cutting");
    cluster.places_no_forgets = false;
    cluster_until (&cluster, is_ready, 20 * TIME_SECOND, "both erasures");
    cr_assert_eq (ask (&cluster, false).pinned, 1);
    cluster_release (&cluster);
}

/* As long as there is the set; and a set from before a restart is not known, and its files go. */
Test (trainings, keep_the_files_that_they_read)
{
    cluster_t cluster;
    start (&cluster);
    cluster_send (&cluster, 5);
    (void)begin (&cluster, NULL, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    const training_t *set = cluster.core->trainings[0];
    char path[256];
    (void)snprintf (path, sizeof path, "%s", set->logs[0].parts[0].runs[0].path);
    for (size_t i = 0; i < 3; i++) {
        cluster_send (&cluster, 500);
        waited_for = cluster_recompute_full (&cluster);
        cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
        cluster_run (&cluster, LEASE);
    }
    cr_assert (is_there (&cluster, path));
    (void)hand_over (&cluster, 1, "training/");
    cluster_restart (&cluster);
    cluster_run (&cluster, 3 * LEASE);
    cr_assert_eq (ask (&cluster, false).kind, MESSAGE_ERROR);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, 2 * TIME_SECOND, "the trim");
    cluster_until (&cluster, nothing_is_left, TIME_SECOND, "the sweep");
    cr_assert_not (is_there (&cluster, path));
    cluster_release (&cluster);
}

Test (trainings, are_made_again_of_what_there_is)
{
    cluster_t cluster;
    start (&cluster);
    cluster_send (&cluster, 5);
    (void)begin (&cluster, NULL, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    told_t first = ask (&cluster, true);
    cluster_send (&cluster, 5);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    told_t again = begin (&cluster, &first, 0);
    cr_assert_str_eq (again.state, "ready");
    cr_assert_eq (memcmp (again.positions, first.positions, sizeof first.positions), 0);
    cluster.actors[1].keeps_trains = true;
    (void)hand_over (&cluster, 1, "training/");
    cluster_run (&cluster, LEASE / 2);
    const played_task_t *task = &cluster.actors[1].tasks[0];
    cr_assert (task->train);
    cr_assert_eq (task->cut, first.positions[task->partition]);
    (void)ask (&cluster, true);
    told_t beyond = first;
    beyond.positions[0] += 1000;
    cr_assert (strstr (begin (&cluster, &beyond, 0).error, "there is no dataset"));
    cr_assert (strstr (begin (&cluster, &first, 1).error, "an entity was erased since"));
    cluster_release (&cluster);
}

/* A load with a place below the positions that is in none of the partitions yet. */
Test (trainings, leave_out_a_load_that_was_not_in_yet)
{
    cluster_t cluster;
    start (&cluster);
    actor_t *worker = &cluster.actors[1];
    const char *id = cluster_load (&cluster, 'a');
    cluster_run (&cluster, LEASE);
    cr_assert_str_eq (cluster_load_state (&cluster, id), "visible");
    (void)begin (&cluster, NULL, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    const training_log_t *pin = &cluster.core->trainings[0]->logs[0];
    cr_assert_eq (pin->without_count, 0);
    wire_writer_t *writer = call_begin (&cluster, MESSAGE_TRAINING); /* as of without it */
    wire_field_list (writer, "views");
    wire_put_string (writer, "spend");
    wire_close (writer);
    wire_field_list (writer, "version");
    wire_open_map (writer);
    wire_field_string (writer, "log", PAYMENTS);
    wire_field_string (writer, "dataset", "d1");
    wire_field_uint (writer, "manifest", pin->manifest);
    wire_field_list (writer, "positions");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        wire_put_uint (writer, pin->positions[p]);
    wire_close (writer);
    wire_field_uint (writer, "unloaded", 0);
    wire_field_uint (writer, "forgets", 0);
    wire_field_list (writer, "without");
    wire_put_string (writer, id);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    told_t told = take (call_end (&cluster));
    cr_assert_str_eq (told.state, "ready", "%s", told.error);
    worker->keeps_trains = true;
    (void)hand_over (&cluster, 1, "training/");
    cluster_run (&cluster, LEASE / 2);
    cr_assert_eq (worker->tasks[0].excluded, 1);
    cluster_release (&cluster);
}

Test (trainings, refuse_what_is_not_theirs)
{
    cluster_t cluster;
    start (&cluster);
    wire_writer_t *writer = call_begin (&cluster, MESSAGE_TRAINING);
    wire_field_list (writer, "views");
    wire_put_string (writer, "nothing");
    wire_close (writer);
    cr_assert (strstr (take (call_end (&cluster)).error, "there is no view"));
    (void)begin (&cluster, NULL, 0);
    cr_assert (strstr (hand_over (&cluster, 1, "training/").error, "waits for its dataset"));
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    cr_assert (strstr (hand_over (&cluster, 1, "history/").error, "is no file of training set"));
    (void)begin (&cluster, NULL, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    cr_assert (strstr (hand_over (&cluster, 7, "training/").error, "there is no view spend@v7"));
    for (size_t i = cluster.core->trainings_count; i < TRAININGS_MAX; i++)
        cr_assert_eq (begin (&cluster, NULL, 0).kind, MESSAGE_TRAINING_OK);
    cr_assert (strstr (begin (&cluster, NULL, 0).error, "ask again later"));
    cluster_release (&cluster);
}

Test (trainings, fail_with_the_worker_that_says_why)
{
    cluster_t cluster;
    start (&cluster);
    (void)begin (&cluster, NULL, 0);
    cluster_until (&cluster, is_ready, TIME_SECOND, "the dataset");
    cluster.actors[1].fails_with = "too-large";
    (void)hand_over (&cluster, 1, "training/");
    cluster_run (&cluster, LEASE);
    told_t told = ask (&cluster, false);
    cr_assert_str_eq (told.state, "failed");
    cr_assert (strstr (told.error, "it did not work"));
    cluster_release (&cluster);
}
