/* Streams that change while they have events, as the coordinator tells of it. */
#include "tests/unit/coordinator/cluster.h"

#include "catalog/catalog.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define STREAM(fields) "streams:\n  payments:\n    key: user_id\n    time: ts\n    fields:\n" fields
#define BEFORE                                                                                     \
    STREAM ("      user_id: string\n      amount: int64\n      fee: float64\n      ts: "           \
            "timestamp\n")
#define VIEW(features) "views:\n  spend:\n    from: payments\n" features
#define FEATURES       "    features:\n      n: count() over 1h\n"

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

static void delete (cluster_t *cluster, const char *name)
{
    wire_field_string (call_begin (cluster, MESSAGE_DELETE), "name", name);
    cr_assert_eq (call_end (cluster).kind, MESSAGE_DELETE_OK);
}

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

static void assert_refused (message_t reply, const char *status, const char *reason)
{
    char text[1024];
    cr_assert_eq (reply.kind, MESSAGE_ERROR);
    wire_copy (reply.body, "text", text, sizeof text);
    cr_assert (text_is (wire_text (reply.body, "status"), status), "%s", text);
    cr_assert_not_null (strstr (text, reason), "%s", text);
}

/* What nodes are told of an object. */
static void assert_told (cluster_t *cluster, const char *name, uint64_t version, const char *fields)
{
    call_begin (cluster, MESSAGE_DEFINITIONS);
    message_t reply = call_end (cluster);
    wire_list_t objects = wire_list (reply.body, "objects");
    for (uint32_t i = 0; i < objects.count; i++) {
        char text[1024];
        if (!text_is (wire_text (&objects.items[i], "name"), name))
            continue;
        wire_copy (&objects.items[i], "fields", text, sizeof text);
        cr_expect_eq (wire_uint (&objects.items[i], "version", 0), version);
        cr_expect_str_eq (text, fields);
        return;
    }
    cr_assert_fail ("no %s is told", name);
}

/* A cluster whose stream has events. */
static void start (cluster_t *cluster, const char *text)
{
    cluster_init (cluster, 1, 0);
    cluster_apply (cluster, text);
    cluster_add (cluster, "s1", "speed");
    cluster_run (cluster, LEASE);
    cluster_send (cluster, 1);
    cluster_run (cluster, LEASE);
}

Test (evolution, is_told_and_kept)
{
    cluster_t cluster;
    start (&cluster, BEFORE VIEW ("    where: fee > 1\n    features:\n      n: count() over 1h\n"
                                  "      s: sum(amount) over 1h, 7d\n      f: sum(fee) over 1h\n"));
    message_t reply = apply (
        &cluster, STREAM ("      channel: string\n      user_id: string\n"
                          "      amount: float64\n      cost: {type: float64, alias: fee}\n"
                          "      ts: timestamp\n")
                      VIEW ("    where: cost > 1\n    features:\n      n: count() over 1h\n"
                            "      s: sum(amount) over 1h, 7d\n      f: sum(cost) over 1h\n"));
    assert_detail (reply, "payments",
                   "field channel added; amount widened to float64; fee renamed to cost; "
                   "2 features are rebuilt");
    reply = apply (&cluster, STREAM ("      channel: string\n      user_id: string\n"
                                     "      amount: float64\n      cost: float64\n"
                                     "      ts: timestamp\n"));
    assert_detail (reply, "payments", "what events mean stays the same");
    static const char fields[] = "next 5\n4 string nullable channel channel\n"
                                 "0 string nullable user_id user_id\n"
                                 "1 float64 nullable amount amount\n"
                                 "2 float64 nullable cost fee\n3 timestamp time ts ts\n";
    assert_told (&cluster, "payments", 1, fields);
    assert_told (&cluster, "spend", 1, "");
    cluster_restart (&cluster);
    assert_told (&cluster, "payments", 1, fields);
    cluster_release (&cluster);
}

Test (evolution, a_filter_over_a_widened_field_makes_a_new_version_of_a_view_that_is_not_named)
{
    cluster_t cluster;
    start (&cluster, BEFORE VIEW ("    where: amount > 1\n" FEATURES));
    message_t reply = apply (&cluster, STREAM ("      user_id: string\n      amount: float64\n"
                                               "      fee: float64\n      ts: timestamp\n"));
    assert_detail (reply, "payments", "amount widened to float64; 1 feature is rebuilt");
    assert_detail (reply, "spend", "its stream, key or filter changes; version 2 follows 1");
    assert_told (&cluster, "spend", 2, "");
    cluster_release (&cluster);
}

Test (evolution, another_ttl_makes_a_version_beside_the_one_there_is)
{
    cluster_t cluster;
    start (&cluster, BEFORE VIEW (FEATURES));
    message_t reply = apply (&cluster, BEFORE VIEW ("    ttl: 1d\n" FEATURES));
    assert_detail (reply, "spend",
                   "its ttl changes; version 2 follows 1, which is served as before until all of "
                   "history is in it");
    reply = apply (&cluster, BEFORE VIEW ("    ttl: 24h\n" FEATURES));
    assert_detail (reply, "spend", "");
    cluster_release (&cluster);
}

Test (evolution, a_widened_field_makes_no_new_version_of_a_view_that_has_defaults_and_is_altered)
{
    cluster_t cluster;
    start (&cluster, BEFORE VIEW ("    features:\n      s: sum(amount) over 1h default 0\n"
                                  "    derived:\n      twice: s_1h * 2\n"));
    message_t reply =
        apply (&cluster, STREAM ("      user_id: string\n      amount: float64\n"
                                 "      fee: float64\n      ts: timestamp\n")
                             VIEW ("    features:\n      s: sum(amount) over 1h default 0\n"
                                   "      n: count() over 1h\n"
                                   "    derived:\n      twice: s_1h * 2\n"));
    assert_detail (reply, "payments", "amount widened to float64; 1 feature is rebuilt");
    assert_detail (reply, "spend", "+n_1h");
    assert_told (&cluster, "spend", 1, "");
    reply = apply (&cluster, VIEW ("    features:\n      s: sum(amount) over 1h default 1\n"
                                   "      n: count() over 1h\n"
                                   "    derived:\n      twice: s_1h * 2\n"));
    assert_detail (
        reply, "spend",
        "s_1h means something else; version 2 follows 1, which is served as before until "
        "all of history is in it");
    cluster_release (&cluster);
}

Test (evolution, what_kept_events_cannot_be_read_under_is_refused_with_the_reason)
{
    cluster_t cluster;
    start (&cluster, BEFORE);
    assert_refused (apply (&cluster, STREAM ("      user_id: string\n      amount: int64\n"
                                             "      ts: timestamp\n")),
                    "invalid", "stream payments: field 'fee' cannot be removed");
    assert_refused (apply (&cluster, STREAM ("      user_id: string\n      amount: string\n"
                                             "      fee: float64\n      ts: timestamp\n")),
                    "invalid", "add a field of another name");
    assert_refused (apply (&cluster, "streams:\n  payments:\n    key: fee\n    time: ts\n"
                                     "    fields:\n      user_id: string\n      amount: int64\n"
                                     "      fee: float64\n      ts: timestamp\n"),
                    "invalid", "its key cannot change");
    cluster_release (&cluster);
}

Test (evolution, nobody_knows_whether_there_are_events_and_yet_a_field_can_be_added)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    cluster_apply (&cluster, BEFORE);
    assert_refused (apply (&cluster, STREAM ("      user_id: string\n      ts: timestamp\n")),
                    "unavailable", "'amount' cannot be removed");
    assert_detail (apply (&cluster, STREAM ("      user_id: string\n      amount: int64\n"
                                            "      fee: float64\n      ts: timestamp\n"
                                            "      more: bool\n")),
                   "payments", "field more added");
    cluster_release (&cluster);
}

/* Takes from the catalog what an earlier version did not keep. */
static void forget_logs (cluster_t *cluster)
{
    catalog_t *catalog;
    catalog_object_t *objects;
    size_t count;
    uint64_t version;
    error_t error;
    arena_t *arena = arena_new (1 << 12);
    cr_assert_eq (catalog_open (sim_disk_fs (cluster->disk), "catalog.db", "test", PARTITIONS,
                                &catalog, &error),
                  STATUS_OK, "%s", error.text);
    catalog_leader_t leader;
    cr_assert_eq (catalog_leader (catalog, &leader, &error), STATUS_OK);
    cr_assert_eq (catalog_lead (catalog, &leader, &leader, &error), STATUS_OK);
    cr_assert_eq (catalog_objects (catalog, arena, &objects, &count, &error), STATUS_OK);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp (objects[i].kind, "log") != 0)
            objects[kept++] = objects[i];
    cr_assert_lt (kept, count);
    cr_assert_eq (catalog_apply (catalog, catalog_definitions_version (catalog), 1, "", objects,
                                 kept, &version, &error),
                  STATUS_OK, "%s", error.text);
    catalog_close (&catalog);
    arena_destroy (&arena);
}

Test (evolution, fields_of_a_catalog_that_has_no_numbers_are_those_of_their_places)
{
    cluster_t cluster;
    start (&cluster, BEFORE);
    forget_logs (&cluster);
    cluster_restart (&cluster);
    assert_told (&cluster, "payments", 1, "");
    cluster_run (&cluster, LEASE);
    assert_detail (apply (&cluster, STREAM ("      more: bool\n      user_id: string\n"
                                            "      amount: float64\n      fee: float64\n"
                                            "      ts: timestamp\n")),
                   "payments", "field more added; amount widened to float64");
    assert_told (&cluster, "payments", 1,
                 "next 5\n4 bool nullable more more\n0 string nullable user_id user_id\n"
                 "1 float64 nullable amount amount\n2 float64 nullable fee fee\n"
                 "3 timestamp time ts ts\n");
    cluster_release (&cluster);
}

/* An event may have come that the coordinator does not know of yet: numbers are not given again. */
Test (evolution, fields_that_an_empty_stream_gives_up_are_never_read_as_others)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    cluster_apply (&cluster, BEFORE);
    cluster_add (&cluster, "s1", "speed");
    cluster_run (&cluster, LEASE);
    static const char other[] = STREAM ("      user_id: string\n      fee: string\n"
                                        "      amount: float64\n      ts: timestamp\n");
    assert_detail (apply (&cluster, other), "payments",
                   "fields, key or time change; it has no events yet");
    assert_told (&cluster, "payments", 1,
                 "next 5\n0 string nullable user_id user_id\n4 string nullable fee fee#4\n"
                 "1 float64 nullable amount amount\n3 timestamp time ts ts\n");
    delete (&cluster, "payments");
    cluster_run (&cluster, LEASE);
    cluster_restart (&cluster);
    apply (&cluster, BEFORE);
    assert_told (&cluster, "payments", 1,
                 "next 7\n0 string nullable user_id user_id\n5 int64 nullable amount amount#5\n"
                 "6 float64 nullable fee fee#6\n3 timestamp time ts ts\n");
    cluster_release (&cluster);
}

Test (evolution, a_deleted_stream_is_defined_again_under_the_same_rules)
{
    cluster_t cluster;
    start (&cluster, BEFORE);
    delete (&cluster, "payments");
    cluster_run (&cluster, LEASE);
    assert_refused (apply (&cluster, STREAM ("      user_id: string\n      ts: timestamp\n")),
                    "invalid",
                    "was deleted, and its events are still kept: stream payments: field");
    assert_detail (apply (&cluster, STREAM ("      user_id: string\n      amount: float64\n"
                                            "      cost: {type: float64, alias: fee}\n"
                                            "      ts: timestamp\n      more: bool\n")),
                   "payments", "with the events of the deleted stream of that name");
    assert_told (&cluster, "payments", 1,
                 "next 5\n0 string nullable user_id user_id\n1 float64 nullable amount amount\n"
                 "2 float64 nullable cost fee\n3 timestamp time ts ts\n"
                 "4 bool nullable more more\n");
    cluster_release (&cluster);
}
