/* Views of several streams: their logs, their files, their versions. */
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char refunds[] = "streams:\n"
                              "  refunds:\n"
                              "    key: id\n"
                              "    time: at\n"
                              "    fields: {id: int64, user_id: string, amount: float64, at: "
                              "timestamp}\n";

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

#define BESIDE ", which is served as before until all of history is in it"
#define FIRST  "; version 1 is served as before until all of history is in it"

static void assert_detail (message_t reply, const char *name, const char *expected)
{
    cr_assert_eq (reply.kind, MESSAGE_APPLY_OK, TEXT_FORMAT,
                  TEXT_ARGS (wire_text (reply.body, "text")));
    wire_list_t changes = wire_list (reply.body, "changes");
    for (uint32_t i = 0; i < changes.count; i++) {
        char detail[512];
        if (!text_is (wire_text (&changes.items[i], "name"), name))
            continue;
        wire_copy (&changes.items[i], "detail", detail, sizeof detail);
        cr_assert_str_eq (detail, expected);
        return;
    }
    cr_assert_fail ("nothing is told of %s", name);
}

static bool is_ordered (const actor_t *serving, const char *log)
{
    for (size_t i = 0; i < serving->datasets_count; i++)
        if (strcmp (serving->dataset_log[i], log) == 0)
            return true;
    return false;
}

Test (unions, have_a_log_of_every_stream_and_keep_the_streams)
{
    cluster_t cluster;
    cluster_init (&cluster, 90, 0);
    cluster_apply (&cluster, payments_definitions);
    cluster_apply (&cluster, refunds);
    cluster_add (&cluster, "s1", "speed");
    actor_t *serving = cluster_add (&cluster, "v1", "serving");
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_not (is_ordered (serving, "refunds/user_id"));
    cluster_apply (&cluster, "views:\n  moves:\n    from: [payments, refunds]\n"
                             "    features:\n      total: sum(amount) over 1h\n");
    cluster_run (&cluster, 2 * LEASE);
    for (int restarted = 0; restarted < 2; restarted++) {
        cr_assert (is_ordered (serving, "payments/user_id"));
        cr_assert (is_ordered (serving, "refunds/id"));
        cr_assert (is_ordered (serving, "refunds/user_id"));
        cluster_restart (&cluster);
        cluster_run (&cluster, 2 * LEASE);
    }
    wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", "refunds");
    message_t reply = call_end (&cluster);
    char text[512];
    cr_assert_eq (reply.kind, MESSAGE_ERROR);
    wire_copy (reply.body, "text", text, sizeof text);
    cr_assert_str_eq (text, "stream refunds has views (moves); delete them first");
    cluster_release (&cluster);
}

Test (unions, are_of_another_version_when_their_streams_or_what_these_mean_change)
{
    cluster_t cluster;
    cluster_init (&cluster, 91, 0);
    cluster_apply (&cluster, payments_definitions);
    cluster_apply (&cluster, refunds);
    cluster_apply (&cluster, "views:\n  moves:\n    from: [payments, refunds]\n"
                             "    features:\n      total: sum(amount) over 1h\n");
    assert_detail (apply (&cluster, "views:\n  moves:\n    from: payments\n    features:\n"
                                    "      total: sum(amount) over 1h\n"),
                   "moves", "its stream, key or filter changes; version 2 follows 1" BESIDE);
    assert_detail (apply (&cluster, "views:\n  moves:\n    from: [payments, refunds]\n"
                                    "    features:\n      total: sum(amount) over 1h\n"
                                    "      n: count()\n"),
                   "moves", "its stream, key or filter changes, +n; version 3 follows 2" FIRST);
    assert_detail (apply (&cluster, "views:\n  moves:\n    from: [payments, refunds]\n"
                                    "    features:\n      total: max(amount) over 1h\n"
                                    "      n: count()\n"),
                   "moves", "total_1h means something else; version 4 follows 3" FIRST);
    /* a stream that a view shares cannot lose what it shares, by whatever name */
    message_t reply =
        apply (&cluster, "streams:\n  refunds:\n    key: id\n    time: at\n    fields: {id: int64, "
                         "user_id: string, amount: int64, at: timestamp}\n");
    char text[512];
    cr_assert_eq (reply.kind, MESSAGE_ERROR);
    wire_copy (reply.body, "text", text, sizeof text);
    cr_assert_not_null (strstr (text, "'amount' is float64 in 'payments', and int64 in 'refunds'"),
                        "%s", text);
    cluster_release (&cluster);
}
