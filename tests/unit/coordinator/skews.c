/* Looks at answers that serving kept: their tasks, what is told of them, and what stays. */
#include "coordinator/skews.h"
#include "coordinator/state.h"
#include "tests/unit/coordinator/actor.h"
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COPY "incoming/00000000000000000000000000000001"
#define SPEND(feature)                                                                             \
    "views:\n  spend:\n    from: payments\n    features:\n      total: " feature " over 1h\n"
#define OTHER "views:\n  counts:\n    from: payments\n    features:\n      n: count() over 1h\n"

static uint64_t current; /* the look that is asked about */
static const char *waited_for;

typedef struct told {
    message_kind_t kind;
    char status[32]; /* of an error */
    char state[16];
    char error[512];
    char report[256];
    uint64_t done;
    uint64_t total;
} told_t;

static told_t take (message_t reply)
{
    told_t told = { .kind = reply.kind };
    if (reply.kind == MESSAGE_ERROR) {
        wire_copy (reply.body, "status", told.status, sizeof told.status);
        wire_copy (reply.body, "text", told.error, sizeof told.error);
        return told;
    }
    cr_assert_eq (reply.kind, MESSAGE_SKEW_OK);
    current = wire_uint (reply.body, "id", 0);
    wire_copy (reply.body, "state", told.state, sizeof told.state);
    if (wire_has (reply.body, "error"))
        wire_copy (reply.body, "error", told.error, sizeof told.error);
    if (wire_has (reply.body, "report"))
        wire_copy (reply.body, "report", told.report, sizeof told.report);
    told.done = wire_uint (reply.body, "done", 0);
    told.total = wire_uint (reply.body, "total", 0);
    return told;
}

static told_t begin_with (cluster_t *self, const char *name, const char *training)
{
    wire_writer_t *writer = call_begin (self, MESSAGE_SKEW);
    wire_field_string (writer, "name", name);
    wire_field_int (writer, "since", 7 * TIME_SECOND);
    if (training)
        wire_field_string (writer, "training", training);
    return take (call_end (self));
}

static told_t begin (cluster_t *self, const char *name)
{
    return begin_with (self, name, NULL);
}

static told_t ask (cluster_t *self)
{
    wire_field_uint (call_begin (self, MESSAGE_SKEW), "id", current);
    return take (call_end (self));
}

static bool is_over (cluster_t *self)
{
    return strcmp (ask (self).state, "running") != 0;
}

static told_t look (cluster_t *self, const char *name)
{
    told_t told = begin (self, name);
    cr_assert_str_eq (told.state, "running", "%s", told.error);
    cluster_until (self, is_over, 2 * TIME_SECOND, "the look");
    return ask (self);
}

/* What the status says of a name's latest report; false: nothing. */
typedef struct latest {
    bool there;
    uint64_t compared;
    uint64_t mismatches;
    uint64_t late;
    size_t alerts;
    int64_t time;
} latest_t;

static latest_t latest (cluster_t *self, const char *name)
{
    call_begin (self, MESSAGE_STATUS);
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_STATUS_OK);
    wire_list_t list = wire_list (reply.body, "skew");
    latest_t found = { 0 };
    for (uint32_t i = 0; i < list.count; i++) {
        const wire_value_t *item = &list.items[i];
        if (!text_is (wire_text (item, "name"), name))
            continue;
        cr_assert_not (found.there, "%s is told twice", name);
        found = (latest_t){ .there = true,
                            .compared = wire_uint (item, "compared", 0),
                            .mismatches = wire_uint (item, "mismatches", 0),
                            .late = wire_uint (item, "late", 0),
                            .alerts = wire_list (item, "alerts").count,
                            .time = wire_int (item, "time", 0) };
    }
    return found;
}

/* The same totals stand in the coordinator's metrics and in the orders of serving nodes. */
static void assert_totals (cluster_t *self, uint64_t mismatches, uint64_t alerts)
{
    cluster_run (self, LEASE);
    call_begin (self, MESSAGE_METRICS);
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_METRICS_OK);
    const wire_value_t *values = wire_map (reply.body, "values");
    cr_assert_eq (wire_uint (values, "skew_mismatches", 99), mismatches);
    cr_assert_eq (wire_uint (values, "skew_alerts", 99), alerts);
    for (size_t i = 0; i < self->actors_count; i++) {
        const actor_t *actor = &self->actors[i];
        if (strcmp (actor->kind, "serving") != 0) {
            cr_assert_not (actor->skew_told);
            continue;
        }
        cr_assert_eq (actor->skew_mismatches, mismatches);
        cr_assert_eq (actor->skew_alerts, alerts);
    }
}

static bool is_there (cluster_t *self, const char *path)
{
    file_t *file = NULL;
    error_t error;
    status_t status = fs_open (sim_disk_fs (self->disk), path, FS_READ, &file, &error);
    fs_close (sim_disk_fs (self->disk), &file);
    return status == STATUS_OK;
}

static bool copy_is_gone (cluster_t *self)
{
    return !is_there (self, COPY);
}

/* The batch worker. */
static actor_t *start (cluster_t *self)
{
    cluster_init (self, 5, 0);
    (void)cluster_add (self, "s1", "speed");
    (void)cluster_add (self, "v1", "serving");
    (void)cluster_add (self, "b1", "batch");
    cluster_run (self, 2 * LEASE);
    cluster_apply (self, payments_definitions);
    cluster_run (self, 2 * LEASE);
    return &self->actors[2];
}

static bool is_published (cluster_t *self)
{
    return cluster_manifest (self) > 0;
}

/* ---- what there is to do, and what comes of it ---- */

Test (skews, are_tasks_over_the_latest_history)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    cluster_send (&cluster, 5);
    (void)cluster_recompute (&cluster);
    cluster_until (&cluster, is_published, TIME_SECOND, "the dataset");
    worker->keeps_skews = true;
    cr_assert_str_eq (begin_with (&cluster, "spend", COPY).state, "running");
    cluster_run (&cluster, LEASE);
    cr_assert_eq (worker->tasks_count, 1);
    const played_task_t *task = &worker->tasks[0];
    cr_assert (task->skew);
    cr_assert_str_eq (task->name, "spend");
    cr_assert_str_eq (task->training, COPY);
    cr_assert_eq (task->since, 7 * TIME_SECOND);
    cr_assert_str_eq (task->log, PAYMENTS);
    cr_assert_eq (task->parts, PARTITIONS);
    cr_assert_eq (task->runs, PARTITIONS);
    cr_assert_eq (task->manifest, cluster_manifest (&cluster));
    cr_assert_eq (task->cut, cluster_log_number (&cluster, PARTITIONS - 1, "cut"));
    cr_assert_eq (task->removed, 0);
    told_t told = ask (&cluster);
    cr_assert_str_eq (told.state, "running");
    cr_assert_eq (told.done, 5); /* as the worker says */
    cr_assert_eq (told.total, 10);
    cluster_release (&cluster);
}

Test (skews, tell_their_report_to_who_asked_and_its_numbers_to_all)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    cr_assert_not (latest (&cluster, "spend").there);
    cluster_run (&cluster, LEASE);
    cr_assert_not (cluster.actors[1].skew_told, "there is no report");
    cluster_put_file (&cluster, COPY);
    worker->report = "{\"answers\": 9}";
    worker->compared = 8;
    worker->mismatches = 3;
    worker->late = 2;
    worker->alerts = 4;
    int64_t begun = cluster.rig.clock;
    (void)begin_with (&cluster, "spend", COPY);
    cluster_until (&cluster, is_over, TIME_SECOND, "the look");
    told_t told = ask (&cluster);
    cr_assert_str_eq (told.state, "done");
    cr_assert_str_eq (told.report, worker->report);
    cr_assert_str_empty (told.error);
    latest_t found = latest (&cluster, "spend");
    cr_assert (found.there);
    cr_assert_eq (found.compared, 8);
    cr_assert_eq (found.mismatches, 3);
    cr_assert_eq (found.late, 2);
    cr_assert_eq (found.alerts, 4);
    cr_assert_eq (found.time, begun);
    assert_totals (&cluster, 3, 4);
    cr_assert (cluster.actors[1].skew_told);
    cluster_until (&cluster, copy_is_gone, TIME_SECOND, "the sweep of the training set's copy");
    cr_assert_str_eq (ask (&cluster).report, worker->report, "as often as it is asked for");
    cluster_release (&cluster);
}

/* Nobody has to ask: a cron job that has gone has its report in the status. */
Test (skews, that_nobody_asks_about_go_on)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->keeps_skews = true;
    worker->mismatches = 1;
    (void)begin (&cluster, "spend");
    cluster_run (&cluster, 100 * LEASE);
    cr_assert_eq (worker->tasks_count, 1);
    worker->keeps_skews = false;
    assert_totals (&cluster, 1, 0);
    cluster_release (&cluster);
}

Test (skews, of_a_worker_that_vanishes_are_another_ones)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->keeps_skews = true;
    (void)begin (&cluster, "spend");
    cluster_run (&cluster, LEASE / 2);
    cr_assert_eq (worker->tasks_count, 1);
    (void)cluster_add (&cluster, "b2", "batch");
    worker->cut_off = true;
    cluster_until (&cluster, is_over, 4 * TIME_SECOND, "the other worker");
    cr_assert_str_eq (ask (&cluster).state, "done");
    cluster_release (&cluster);
}

static message_t unload (cluster_t *self, const char *id)
{
    wire_field_string (call_begin (self, MESSAGE_UNLOAD), "id", id);
    return call_end (self);
}

static bool load_is_visible (cluster_t *self)
{
    return strcmp (cluster_load_state (self, waited_for), "visible") == 0;
}

static bool load_is_undone (cluster_t *self)
{
    return strcmp (cluster_load_state (self, waited_for), "unloaded") == 0;
}

static played_task_t ordered (cluster_t *self, actor_t *worker)
{
    worker->keeps_skews = true;
    (void)begin (self, "spend");
    cluster_run (self, LEASE);
    cr_assert_eq (worker->tasks_count, 1);
    played_task_t task = worker->tasks[0];
    worker->keeps_skews = false;
    cluster_until (self, is_over, TIME_SECOND, "the look");
    return task;
}

/* Where loads stand has to be known to tell what an answer had of them, and from which dataset on
 * rows are gone, to tell what nothing can be said of. */
Test (skews, know_where_loads_stand_and_which_went)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    cluster_send (&cluster, 5);
    waited_for = cluster_load (&cluster, 'a');
    cluster_until (&cluster, load_is_visible, TIME_SECOND, "the load");
    played_task_t task = ordered (&cluster, worker);
    cr_assert_eq (task.manifest, 1);
    cr_assert_eq (task.loads, PARTITIONS);
    cr_assert_eq (task.removed, 0);
    cr_assert_eq (unload (&cluster, waited_for).kind, MESSAGE_UNLOAD_OK);
    cluster_until (&cluster, load_is_undone, TIME_SECOND, "the unload");
    cr_assert_eq (ordered (&cluster, worker).removed, 2);
    cluster_send (&cluster, 5);
    (void)cluster_recompute (&cluster);
    cluster_run (&cluster, 2 * LEASE);
    task = ordered (&cluster, worker);
    cr_assert_eq (task.manifest, 3);
    cr_assert_eq (task.removed, 2, "it went with the second");
    cluster_restart (&cluster);
    cluster_run (&cluster, 4 * LEASE);
    task = ordered (&cluster, worker);
    cr_assert_eq (task.manifest, 3);
    cr_assert_eq (task.removed, 3, "it is not known any more: the latest");
    cluster_release (&cluster);
}

/* ---- what fails ---- */

Test (skews, fail_with_the_worker_that_says_why)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    cluster_put_file (&cluster, COPY);
    worker->fails_with = "invalid";
    (void)begin_with (&cluster, "spend", COPY);
    cluster_until (&cluster, is_over, TIME_SECOND, "the failure");
    told_t told = ask (&cluster);
    cr_assert_str_eq (told.state, "failed");
    cr_assert_str_eq (told.error, "it did not work");
    cr_assert_str_empty (told.report);
    cluster_until (&cluster, copy_is_gone, TIME_SECOND, "the sweep of the training set's copy");
    cr_assert_not (latest (&cluster, "spend").there, "it is no report");
    cluster_release (&cluster);
}

/* A run may go to a later dataset while it is read: then there is another order. */
Test (skews, are_tried_again_when_that_may_help)
{
    static const char *const passing[] = { "not-found", "io", "no-space" };
    for (size_t i = 0; i < 3; i++) {
        cluster_t cluster;
        actor_t *worker = start (&cluster);
        worker->fails_with = passing[i];
        (void)begin (&cluster, "spend");
        cluster_run (&cluster, LEASE / 3);
        told_t told = ask (&cluster);
        cr_assert_str_eq (told.state, "running");
        cr_assert_str_eq (told.error, "it did not work", "what it waits for is told");
        worker->fails_with = NULL;
        cluster_until (&cluster, is_over, 60 * TIME_SECOND, "another attempt");
        cr_assert_str_eq (ask (&cluster).state, "done");
        cluster_release (&cluster);
    }
}

Test (skews, end_when_it_does_not_help)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->fails_with = "not-found";
    (void)begin (&cluster, "spend");
    cluster_until (&cluster, is_over, 60 * TIME_SECOND, "the last attempt");
    cr_assert_str_eq (ask (&cluster).state, "failed");
    cluster_release (&cluster);
}

Test (skews, of_which_nothing_is_told_have_failed)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->tells_nothing = true;
    told_t told = look (&cluster, "spend");
    cr_assert_str_eq (told.state, "failed");
    cr_assert_str_eq (told.error, "the task told nothing");
    cluster_release (&cluster);
}

Test (skews, refuse_what_is_not_theirs)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->keeps_skews = true;
    static const struct {
        const char *name, *training, *status, *says;
    } cases[] = {
        { "spent", NULL, "not-found", "no view or service 'spent'; did you mean 'spend'?" },
        { "spend@v7", NULL, "not-found", "no view or service 'spend@v7'" },
        { "payments", NULL, "not-found", "no view or service 'payments'" },
        { "spend", "history/payments/user_id/0/1-1-0.run", "invalid", "copied below incoming/" },
        { "spend", "incoming", "invalid", "copied below incoming/" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        told_t told = begin_with (&cluster, cases[i].name, cases[i].training);
        cr_assert_eq (told.kind, MESSAGE_ERROR);
        cr_assert_str_eq (told.status, cases[i].status);
        cr_assert_not_null (strstr (told.error, cases[i].says), "%s", told.error);
    }
    current = 7;
    told_t told = ask (&cluster);
    cr_assert_str_eq (told.status, "not-found");
    cr_assert_not_null (strstr (told.error, "it is not known any more"), "%s", told.error);
    cluster_run (&cluster, LEASE);
    cr_assert_eq (worker->tasks_count, 0);
    cluster_release (&cluster);
}

Test (skews, are_not_more_at_a_time_than_allowed)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->keeps_skews = true;
    for (size_t i = 0; i < SKEWS_UNDER_WAY; i++)
        cr_assert_str_eq (begin (&cluster, "spend").state, "running");
    told_t told = begin (&cluster, "spend");
    cr_assert_str_eq (told.status, "busy");
    cr_assert_not_null (strstr (told.error, "8 looks at answers are under way"), "%s", told.error);
    worker->keeps_skews = false;
    cluster_until (&cluster, is_over, 2 * TIME_SECOND, "the last look");
    cr_assert_str_eq (begin (&cluster, "spend").state, "running");
    cluster_release (&cluster);
}

/* ---- reports that stay ---- */

Test (skews, the_latest_report_of_each_name_counts)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    cluster_apply (&cluster, OTHER);
    cluster_run (&cluster, LEASE);
    worker->mismatches = 3;
    worker->alerts = 1;
    (void)look (&cluster, "spend");
    worker->mismatches = 2;
    (void)look (&cluster, "counts");
    assert_totals (&cluster, 5, 2);
    worker->mismatches = 1;
    worker->alerts = 0;
    (void)look (&cluster, "spend");
    assert_totals (&cluster, 3, 1);
    cr_assert_eq (latest (&cluster, "spend").mismatches, 1);
    worker->fails_with = "invalid"; /* which says nothing of the answers */
    (void)look (&cluster, "spend");
    assert_totals (&cluster, 3, 1);
    worker->fails_with = NULL;
    worker->mismatches = 0;
    (void)look (&cluster, "spend");
    (void)look (&cluster, "counts");
    assert_totals (&cluster, 0, 0);
    cr_assert (cluster.actors[1].skew_told, "that there are none");
    cluster_release (&cluster);
}

Test (skews, keep_as_many_alerts_as_a_worker_tells)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->alerts = SKEW_ALERTS_KEPT;
    cr_assert_str_eq (look (&cluster, "spend").state, "done");
    assert_totals (&cluster, 0, SKEW_ALERTS_KEPT);
    cr_assert_eq (latest (&cluster, "spend").alerts, SKEW_ALERTS_KEPT);
    cluster_release (&cluster);
}

/* One that is watched once a week beside one that is watched each minute. */
Test (skews, of_one_name_do_not_push_out_the_report_of_another)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    cluster_apply (&cluster, OTHER);
    cluster_run (&cluster, LEASE);
    worker->mismatches = 3;
    (void)look (&cluster, "counts");
    uint64_t first = current;
    worker->mismatches = 0;
    for (size_t i = 0; i < 2 * SKEWS_MAX; i++) {
        worker->fails_with = i % 4 == 3 ? "invalid" : NULL;
        (void)look (&cluster, "spend");
    }
    cr_assert_eq (latest (&cluster, "counts").mismatches, 3);
    assert_totals (&cluster, 3, 0);
    cr_assert (latest (&cluster, "spend").there);
    cr_assert_leq (cluster.core->skews_count, SKEWS_MAX);
    uint64_t last = current;
    current = first;
    cr_assert_str_eq (ask (&cluster).state, "done");
    current = last;
    cr_assert_eq (ask (&cluster).kind, MESSAGE_SKEW_OK);
    cluster_release (&cluster);
}

/* An alert of what is not there any more would last for ever: nobody can look at it again. */
Test (skews, of_what_was_deleted_alert_nobody)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    cluster_apply (&cluster, OTHER);
    cluster_run (&cluster, LEASE);
    worker->mismatches = 3;
    (void)look (&cluster, "counts");
    worker->mismatches = 2;
    (void)look (&cluster, "spend");
    assert_totals (&cluster, 5, 0);
    wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", "counts");
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_DELETE_OK);
    assert_totals (&cluster, 2, 0);
    cr_assert_not (latest (&cluster, "counts").there);
    cluster_release (&cluster);
}

/* Its parts are none: the worker says that it does not know the view. */
Test (skews, of_what_is_deleted_meanwhile_fail)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    cluster_apply (&cluster, OTHER);
    cluster_run (&cluster, LEASE);
    worker->keeps_skews = true;
    (void)begin (&cluster, "counts");
    wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", "counts");
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_DELETE_OK);
    worker->fails_with = "not-found";
    worker->keeps_skews = false;
    cluster_until (&cluster, is_over, 60 * TIME_SECOND, "the failure");
    cr_assert_str_eq (ask (&cluster).state, "failed");
    cluster_release (&cluster);
}

/* ---- the coordinator ---- */

/* Reports are in its memory; and none of those of before is taken for one that is new. */
Test (skews, are_not_known_after_a_restart)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->mismatches = 3;
    (void)look (&cluster, "spend");
    uint64_t done = current;
    worker->keeps_skews = true;
    (void)begin (&cluster, "spend");
    uint64_t running = current;
    cluster_run (&cluster, LEASE);
    cr_assert_eq (worker->tasks_count, 1);
    cluster_restart (&cluster);
    cluster_run (&cluster, 4 * LEASE);
    cr_assert_eq (worker->tasks_count, 0, "it is given up");
    cr_assert_not (latest (&cluster, "spend").there);
    cr_assert_not (cluster.actors[1].skew_told);
    (void)begin (&cluster, "spend");
    cr_assert_neq (current, done);
    cr_assert_neq (current, running);
    current = running;
    cr_assert_not_null (strstr (ask (&cluster).error, "ask anew"));
    cluster_release (&cluster);
}

static bool can_write (cluster_t *self)
{
    return !self->core->doubtful;
}

/* What is under way goes with the tasks, which are made again from the catalog, and says so;
 * reports stay. */
Test (skews, end_when_the_catalog_fails_and_reports_stay)
{
    cluster_t cluster;
    actor_t *worker = start (&cluster);
    worker->mismatches = 3;
    (void)look (&cluster, "spend");
    worker->keeps_skews = true;
    cluster_put_file (&cluster, COPY);
    (void)begin_with (&cluster, "spend", COPY);
    sim_disk_fail_after (cluster.rig.env.fs, 0);
    wire_field_bool (call_begin (&cluster, MESSAGE_RECOMPUTE), "full", false);
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_ERROR);
    told_t told = begin (&cluster, "spend");
    cr_assert_str_eq (told.status, "unavailable", "%s", told.error);
    sim_disk_fail_after (cluster.rig.env.fs, SIM_DISK_NEVER);
    cluster_until (&cluster, can_write, 10 * TIME_SECOND, "the catalog");
    told = ask (&cluster);
    cr_assert_str_eq (told.state, "failed");
    cr_assert_not_null (strstr (told.error, "could not write for a while"), "%s", told.error);
    cluster_until (&cluster, copy_is_gone, TIME_SECOND, "the sweep of the training set's copy");
    assert_totals (&cluster, 3, 0);
    worker->keeps_skews = false;
    worker->mismatches = 1;
    cr_assert_str_eq (look (&cluster, "spend").state, "done");
    assert_totals (&cluster, 1, 0);
    cluster_release (&cluster);
}
