/* Definitions: what changes, what may not, and versions. */
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>

typedef struct options {
    bool dry_run;
    bool prune;
} options_t;

static message_t apply (cluster_t *cluster, const char *text, options_t options)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_APPLY);
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "test.yaml");
    wire_field_string (writer, "text", text);
    wire_close (writer);
    wire_close (writer);
    wire_field_bool (writer, "dry_run", options.dry_run);
    wire_field_bool (writer, "prune", options.prune);
    return call_end (cluster);
}

static message_t delete (cluster_t *cluster, const char *name)
{
    wire_field_string (call_begin (cluster, MESSAGE_DELETE), "name", name);
    return call_end (cluster);
}

static bool has_change (const message_t *reply, const char *name, const char *change,
                        const char *detail)
{
    wire_list_t changes = wire_list (reply->body, "changes");
    for (uint32_t i = 0; i < changes.count; i++) {
        char text[256];
        wire_copy (&changes.items[i], "detail", text, sizeof text);
        if (text_is (wire_text (&changes.items[i], "name"), name) &&
            text_is (wire_text (&changes.items[i], "change"), change) &&
            strstr (text, detail) != NULL)
            return true;
    }
    return false;
}

static void assert_refused (message_t reply, const char *status, const char *reason)
{
    char text[1024];
    cr_assert_eq (reply.kind, MESSAGE_ERROR);
    wire_copy (reply.body, "text", text, sizeof text);
    cr_assert (text_is (wire_text (reply.body, "status"), status), "%s", text);
    cr_assert_not_null (strstr (text, reason), "%s", text);
}

static uint64_t view_version (cluster_t *cluster, const char *view)
{
    call_begin (cluster, MESSAGE_DEFINITIONS);
    message_t reply = call_end (cluster);
    wire_list_t objects = wire_list (reply.body, "objects");
    uint64_t newest = 0; /* they come in their order */
    for (uint32_t i = 0; i < objects.count; i++)
        if (text_is (wire_text (&objects.items[i], "name"), view))
            newest = wire_uint (&objects.items[i], "version", 0);
    return newest;
}

static uint64_t version (cluster_t *cluster)
{
    call_begin (cluster, MESSAGE_DEFINITIONS);
    return wire_uint (call_end (cluster).body, "version", UINT64_MAX);
}

static void start (cluster_t *cluster)
{
    cluster_init (cluster, 1, 0);
    cr_assert_eq (version (cluster), 0);
    cr_assert_eq (cluster_apply (cluster, payments_definitions), 1);
}

#define VIEW(body) "views:\n  spend:\n    from: payments\n" body

Test (definitions, are_told_as_added_and_then_as_the_same)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    message_t reply = apply (&cluster, payments_definitions, (options_t){ 0 });
    cr_assert (has_change (&reply, "payments", "add", ""));
    cr_assert (has_change (&reply, "spend", "add", ""));
    reply = apply (&cluster, payments_definitions, (options_t){ 0 });
    cr_assert (has_change (&reply, "payments", "same", ""));
    cr_assert (has_change (&reply, "spend", "same", ""));
    cr_assert_eq (wire_uint (reply.body, "version", 0), 1);
    cluster_restart (&cluster);
    cr_assert_eq (version (&cluster), 1);
    cr_assert_eq (view_version (&cluster, "spend"), 1);
    cluster_release (&cluster);
}

Test (definitions, a_dry_run_changes_nothing)
{
    cluster_t cluster;
    start (&cluster);
    message_t reply = apply (&cluster, VIEW ("    features:\n      n: count() over 1h\n"),
                             (options_t){ .dry_run = true });
    cr_assert (has_change (&reply, "spend", "alter", "+n_1h"));
    cr_assert_eq (wire_uint (reply.body, "version", 0), 2);
    cr_assert_eq (version (&cluster), 1);
    cluster_release (&cluster);
}

Test (definitions, a_new_feature_makes_no_new_version_of_the_view)
{
    cluster_t cluster;
    start (&cluster);
    message_t reply = apply (&cluster,
                             VIEW ("    features:\n      total: sum(amount) over 1h\n"
                                   "      n: count() over 1h\n"),
                             (options_t){ 0 });
    cr_assert (has_change (&reply, "spend", "alter", "+n_1h"));
    cr_assert_eq (version (&cluster), 2);
    cr_assert_eq (view_version (&cluster, "spend"), 1);
    cluster_release (&cluster);
}

Test (definitions, a_feature_or_filter_that_means_something_else_makes_one)
{
    cluster_t cluster;
    start (&cluster);
    message_t reply = apply (&cluster, VIEW ("    features:\n      total: max(amount) over 1h\n"),
                             (options_t){ 0 });
    cr_assert (has_change (&reply, "spend", "alter", "total_1h means something else"));
    cr_assert_eq (view_version (&cluster, "spend"), 2);
    cluster_apply (&cluster, VIEW ("    where: amount > 0\n    features:\n"
                                   "      total: max(amount) over 1h\n"));
    cr_assert_eq (view_version (&cluster, "spend"), 3);
    cluster_restart (&cluster);
    cr_assert_eq (view_version (&cluster, "spend"), 3);
    cluster_release (&cluster);
}

Test (definitions, what_is_not_named_stays_unless_pruned)
{
    cluster_t cluster;
    start (&cluster);
    const char *other = "streams:\n  legs:\n    key: id\n    time: ts\n    fields:\n"
                        "      id: string\n      ts: timestamp\n";
    message_t reply = apply (&cluster, other, (options_t){ 0 });
    cr_assert (has_change (&reply, "legs", "add", ""));
    cr_assert (has_change (&reply, "payments", "same", ""));
    reply = apply (&cluster, other, (options_t){ .prune = true });
    cr_assert (has_change (&reply, "spend", "remove", ""));
    cr_assert (has_change (&reply, "payments", "remove", ""));
    cr_assert_eq (view_version (&cluster, "spend"), 0);
    cluster_release (&cluster);
}

Test (definitions, mistakes_are_told_with_their_place)
{
    cluster_t cluster;
    start (&cluster);
    assert_refused (apply (&cluster, VIEW ("    features:\n      total: sum(nothing) over 1h\n"),
                           (options_t){ 0 }),
                    "invalid", "test.yaml:5:");
    cr_assert_eq (version (&cluster), 1);
    cluster_release (&cluster);
}

static const char *const other_fields = "streams:\n"
                                        "  payments:\n"
                                        "    key: user_id\n"
                                        "    time: ts\n"
                                        "    fields:\n"
                                        "      user_id: string\n"
                                        "      amount: int64\n"
                                        "      ts: timestamp\n";

Test (definitions, fields_of_a_stream_change_only_while_it_is_empty)
{
    cluster_t cluster;
    start (&cluster);
    assert_refused (apply (&cluster, other_fields, (options_t){ 0 }), "unavailable",
                    "not all speed workers");
    cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, LEASE);
    cr_assert_eq (apply (&cluster, other_fields, (options_t){ 0 }).kind, MESSAGE_APPLY_OK);
    cr_assert_eq (apply (&cluster, payments_definitions, (options_t){ 0 }).kind, MESSAGE_APPLY_OK);
    cluster_send (&cluster, 1);
    cluster_run (&cluster, LEASE);
    assert_refused (apply (&cluster, other_fields, (options_t){ 0 }), "invalid",
                    "field 'amount' cannot change from float64 to int64");
    cluster_release (&cluster);
}

Test (definitions, events_of_a_deleted_stream_are_never_read_as_something_else)
{
    cluster_t cluster;
    start (&cluster);
    cluster_add (&cluster, "s1", "speed");
    cluster_send (&cluster, 1);
    cluster_run (&cluster, LEASE);
    assert_refused (delete (&cluster, "payments"), "invalid", "has views (spend)");
    cr_assert_eq (delete (&cluster, "spend").kind, MESSAGE_DELETE_OK);
    cr_assert_eq (delete (&cluster, "payments").kind, MESSAGE_DELETE_OK);
    cr_assert_eq (version (&cluster), 3);
    cluster_restart (&cluster);
    assert_refused (apply (&cluster, other_fields, (options_t){ 0 }), "invalid", "was deleted");
    message_t reply = apply (&cluster, payments_definitions, (options_t){ 0 });
    cr_assert (has_change (&reply, "payments", "add", "with the events of the deleted stream"));
    cluster_release (&cluster);
}

Test (definitions, a_name_that_is_not_there_brings_a_guess)
{
    cluster_t cluster;
    start (&cluster);
    assert_refused (delete (&cluster, "spent"), "not-found", "did you mean spend?");
    cluster_release (&cluster);
}

Test (definitions, every_node_is_told_at_once)
{
    cluster_t cluster;
    start (&cluster);
    actor_t *nodes[] = { cluster_add (&cluster, "s1", "speed"),
                         cluster_add (&cluster, "b1", "batch"),
                         cluster_add (&cluster, "v1", "serving") };
    cluster_run (&cluster, LEASE);
    cluster_apply (&cluster, VIEW ("    features:\n      n: count() over 1h\n"));
    cluster_run (&cluster, 3 * TIME_MS);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq (nodes[i]->definitions, 2);
    cluster_release (&cluster);
}

Test (definitions, a_catalog_that_fails_in_the_middle_leaves_old_or_new)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        cluster_t cluster;
        cluster_init (&cluster, seed, 0);
        cluster_apply (&cluster, payments_definitions);
        actor_t *speed = cluster_add (&cluster, "s1", "speed");
        cluster_run (&cluster, LEASE);
        sim_disk_set_faults (cluster.disk, &(sim_disk_faults_t){ .sync_error = 0.5 });
        message_t reply =
            apply (&cluster, VIEW ("    features:\n      n: count() over 1h\n"), (options_t){ 0 });
        bool answered = reply.kind == MESSAGE_APPLY_OK;
        sim_disk_set_faults (cluster.disk, &(sim_disk_faults_t){ 0 });
        cluster_run (&cluster, 2 * TIME_SECOND);
        uint64_t now = version (&cluster);
        cr_assert (now == 2 || (now == 1 && !answered));
        cr_assert_eq (speed->definitions, now);
        cluster_restart (&cluster);
        cr_assert_eq (version (&cluster), now);
        cluster_release (&cluster);
    }
}

/* The apply is told to be done when it stands in the catalog, also when that cannot be read then.
 */
Test (definitions, that_were_applied_are_not_said_not_to_be_there)
{
    bool unread = false;
    for (uint64_t calls = 0; calls < 60; calls++) {
        cluster_t cluster;
        cluster_init (&cluster, 1, 0);
        cluster_run (&cluster, LEASE);
        sim_disk_fail_after (cluster.rig.env.fs, calls);
        bool applied =
            apply (&cluster, payments_definitions, (options_t){ 0 }).kind == MESSAGE_APPLY_OK;
        wire_field_string (call_begin (&cluster, MESSAGE_RECOMPUTE), "stream", "payments");
        message_t reply = call_end (&cluster);
        if (applied && reply.kind == MESSAGE_ERROR) {
            assert_refused (reply, "unavailable", "cannot write just now");
            unread = true;
        }
        sim_disk_fail_after (cluster.rig.env.fs, SIM_DISK_NEVER);
        cluster_release (&cluster);
    }
    cr_assert (unread);
}

Test (definitions, of_derived_features_are_compared_like_others)
{
    cluster_t cluster;
    start (&cluster);
    message_t reply = apply (&cluster,
                             VIEW ("    features:\n      total: sum(amount) over 1h\n"
                                   "    derived:\n      twice: total_1h * 2\n"),
                             (options_t){ 0 });
    cr_assert (has_change (&reply, "spend", "alter", "+twice"));
    cr_assert_eq (view_version (&cluster, "spend"), 1);
    reply = apply (&cluster,
                   VIEW ("    features:\n      total: sum(amount) over 1h\n"
                         "    derived:\n      twice: {expr: total_1h * 2, description: twice}\n"),
                   (options_t){ 0 });
    cr_assert (has_change (&reply, "spend", "alter", "what it computes stays the same"));
    reply = apply (&cluster,
                   VIEW ("    features:\n      total: sum(amount) over 1h\n"
                         "    derived:\n      twice: total_1h * 3\n"),
                   (options_t){ 0 });
    cr_assert (has_change (&reply, "spend", "alter", "twice means something else"));
    cr_assert_eq (view_version (&cluster, "spend"), 2);
    reply = apply (&cluster, VIEW ("    features:\n      total: sum(amount) over 1h default 0\n"),
                   (options_t){ 0 });
    cr_assert (has_change (&reply, "spend", "alter", "total_1h means something else, -twice"));
    cr_assert_eq (view_version (&cluster, "spend"), 3);
    cluster_release (&cluster);
}
