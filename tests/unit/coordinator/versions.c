/* Versions of views and services beside each other: when they become active, and what ends them. */
#include "feature/version.h"
#include "tests/unit/coordinator/cluster.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SPEND(feature)                                                                             \
    "views:\n  spend:\n    from: payments\n    features:\n      total: " feature " over 1h\n"
#define MODEL "services:\n  model:\n    views: spend\n    features: [\"spend:total_1h\"]\n"

typedef struct trio {
    actor_t *speed;
    actor_t *batch;
    actor_t *serving;
} trio_t;

/* A version that the cluster tells of; its text is valid until the next call. */
static const wire_value_t *version_of (cluster_t *self, const char *name, uint64_t version)
{
    wire_field_string (call_begin (self, MESSAGE_VERSIONS), "name", name);
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_VERSIONS_OK);
    wire_list_t versions = wire_list (reply.body, "versions");
    for (uint32_t i = 0; i < versions.count; i++)
        if (wire_uint (&versions.items[i], "version", 0) == version)
            return &versions.items[i];
    return NULL;
}

static bool is (cluster_t *self, const char *name, uint64_t version, const char *state)
{
    const wire_value_t *found = version_of (self, name, version);
    return found && text_is (wire_text (found, "state"), state);
}

static message_t apply (cluster_t *self, const char *text)
{
    wire_writer_t *writer = call_begin (self, MESSAGE_APPLY);
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "test.yaml");
    wire_field_string (writer, "text", text);
    wire_close (writer);
    wire_close (writer);
    wire_field_string (writer, "author", "me@here");
    wire_field_string (writer, "message", "because");
    return call_end (self);
}

static message_t ask (cluster_t *self, message_kind_t kind, const char *name, uint64_t version)
{
    wire_writer_t *writer = call_begin (self, kind);
    wire_field_string (writer, "name", name);
    wire_field_uint (writer, "version", version);
    return call_end (self);
}

static void assert_refused (message_t reply, const char *reason)
{
    char text[1024];
    cr_assert_eq (reply.kind, MESSAGE_ERROR);
    wire_copy (reply.body, "text", text, sizeof text);
    cr_assert_not_null (strstr (text, reason), "%s", text);
}

static bool second_is_active (cluster_t *self)
{
    return is (self, "spend", 2, "active");
}

/* A cluster with a history, and a model that reads it. */
static trio_t start (cluster_t *self, uint64_t seed)
{
    cluster_init (self, seed, 0);
    cluster_apply (self, payments_definitions);
    cluster_apply (self, SPEND ("sum(amount)") MODEL);
    trio_t trio = { .speed = cluster_add (self, "s1", "speed"),
                    .batch = cluster_add (self, "b1", "batch"),
                    .serving = cluster_add (self, "v1", "serving") };
    cluster_run (self, 2 * LEASE);
    cluster_send (self, 5);
    (void)cluster_recompute (self);
    cluster_run (self, 2 * LEASE);
    cr_assert_eq (cluster_manifest (self), 1);
    return trio;
}

Test (versions, become_active_with_what_reads_them_when_all_of_history_is_in_them)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 1);
    trio.batch->lazy = true;
    cr_assert_eq (apply (&cluster, SPEND ("max(amount)") MODEL).kind, MESSAGE_APPLY_OK);
    cluster_run (&cluster, 4 * LEASE);
    cr_assert (is (&cluster, "spend", 1, "active"));
    cr_assert (is (&cluster, "spend", 2, "building"));
    cr_assert (is (&cluster, "model", 1, "active"));
    cr_assert (is (&cluster, "model", 2, "building"));
    const wire_value_t *told = version_of (&cluster, "spend", 2);
    cr_assert_eq (wire_uint (told, "done", 9), 0);
    cr_assert_eq (wire_uint (told, "total", 0), PARTITIONS);
    cr_assert (text_is (wire_text (told, "author"), "me@here"));
    cr_assert (text_is (wire_text (told, "message"), "because"));
    assert_refused (ask (&cluster, MESSAGE_PROMOTE, "spend", 2), "is still being built (0 of");
    trio.batch->lazy = false;
    (void)cluster_until (&cluster, second_is_active, 20 * LEASE, "version 2 is active");
    cr_assert (is (&cluster, "spend", 1, "live"));
    cr_assert (is (&cluster, "model", 1, "live"));
    cr_assert (is (&cluster, "model", 2, "active"));
    cluster_restart (&cluster);
    cr_assert (is (&cluster, "spend", 2, "active"));
    cr_assert (is (&cluster, "model", 1, "live"));
    cluster_release (&cluster);
}

Test (versions, wait_for_the_speed_layer)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 2);
    trio.speed->rebuilds = true;
    (void)apply (&cluster, SPEND ("max(amount)"));
    cluster_run (&cluster, 6 * LEASE);
    cr_assert_geq (cluster_manifest (&cluster), 2); /* history is in it */
    cr_assert (is (&cluster, "spend", 2, "building"));
    trio.speed->rebuilds = false;
    (void)cluster_until (&cluster, second_is_active, 20 * LEASE, "version 2 is active");
    cluster_release (&cluster);
}

Test (versions, wait_for_serving_nodes)
{
    cluster_t cluster;
    trio_t trio = start (&cluster, 3);
    trio.serving->stays = true;
    (void)apply (&cluster, SPEND ("max(amount)"));
    cluster_run (&cluster, 6 * LEASE);
    cr_assert_geq (cluster_manifest (&cluster), 2);
    cr_assert (is (&cluster, "spend", 2, "building"));
    trio.serving->stays = false;
    (void)cluster_until (&cluster, second_is_active, 20 * LEASE, "version 2 is active");
    cluster_release (&cluster);
}

Test (versions, are_promoted_and_retired_unless_something_needs_them)
{
    cluster_t cluster;
    (void)start (&cluster, 4);
    (void)apply (&cluster, SPEND ("max(amount)") MODEL);
    (void)cluster_until (&cluster, second_is_active, 20 * LEASE, "version 2 is active");
    assert_refused (ask (&cluster, MESSAGE_RETIRE, "spend", 2), "is the active version");
    assert_refused (ask (&cluster, MESSAGE_RETIRE, "spend", 1), "model@v1 needs spend@v1");
    assert_refused (ask (&cluster, MESSAGE_RETIRE, "spend", 7), "there is no spend@v7");
    cr_assert_eq (ask (&cluster, MESSAGE_PROMOTE, "spend", 1).kind, MESSAGE_PROMOTE_OK);
    cr_assert (is (&cluster, "spend", 1, "active"));
    cr_assert (is (&cluster, "spend", 2, "live"));
    cr_assert_eq (ask (&cluster, MESSAGE_PROMOTE, "spend", 2).kind, MESSAGE_PROMOTE_OK);
    cr_assert_eq (ask (&cluster, MESSAGE_RETIRE, "model", 1).kind, MESSAGE_RETIRE_OK);
    cr_assert_eq (ask (&cluster, MESSAGE_RETIRE, "spend", 1).kind, MESSAGE_RETIRE_OK);
    cr_assert (is (&cluster, "spend", 1, "retired"));
    assert_refused (ask (&cluster, MESSAGE_PROMOTE, "spend", 1), "is retired");
    /* what it meant is another version when it comes back */
    (void)apply (&cluster, SPEND ("sum(amount)") MODEL);
    cr_assert (is (&cluster, "spend", 3, "building"));
    cr_assert (is (&cluster, "spend", 1, "retired"));
    cluster_release (&cluster);
}

Test (versions, numbers_are_not_used_again_after_a_delete)
{
    cluster_t cluster;
    (void)start (&cluster, 5);
    wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", "model");
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_DELETE_OK);
    cr_assert (is (&cluster, "model", 1, "retired"));
    cr_assert_eq (apply (&cluster, MODEL).kind, MESSAGE_APPLY_OK);
    cr_assert (is (&cluster, "model", 2, "active"));
    cluster_release (&cluster);
}

Test (versions, are_bounded)
{
    cluster_t cluster;
    char text[512];
    (void)start (&cluster, 6);
    for (int i = 2; i <= VIEW_VERSIONS_MAX + 1; i++) {
        (void)snprintf (text, sizeof text,
                        "views:\n  spend:\n    from: payments\n    where: amount > %d\n"
                        "    features:\n      total: sum(amount) over 1h\n",
                        i);
        message_t reply = apply (&cluster, text);
        if (i <= VIEW_VERSIONS_MAX)
            cr_assert_eq (reply.kind, MESSAGE_APPLY_OK);
        else
            assert_refused (reply, "retire one that nothing needs");
    }
    cluster_release (&cluster);
}

Test (versions, carry_what_is_said_of_them)
{
    cluster_t cluster;
    (void)start (&cluster, 7);
    for (int i = 0; i < 2; i++) {
        wire_writer_t *writer = call_begin (&cluster, MESSAGE_ANNOTATE);
        wire_field_string (writer, "name", "model");
        wire_field_uint (writer, "version", 1);
        wire_field_list (writer, "annotations");
        wire_open_map (writer);
        wire_field_string (writer, "name", "accuracy");
        wire_field_string (writer, "value", i == 0 ? "0.89" : "");
        wire_close (writer);
        wire_close (writer);
        cr_assert_eq (call_end (&cluster).kind, MESSAGE_ANNOTATE_OK);
        cluster_restart (&cluster);
        wire_list_t said = wire_list (version_of (&cluster, "model", 1), "annotations");
        cr_assert_eq (said.count, i == 0 ? 1 : 0);
        if (i == 0)
            cr_assert (text_is (wire_text (said.items, "value"), "0.89"));
    }
    cluster_release (&cluster);
}

/* ---- versions whose numbers are to be fitted ---- */

#define SCALED(views, scale)                                                                       \
    "services:\n  model:\n    views: {spend: " views "}\n    features: [\"spend:total_1h\"]\n"     \
    "    preprocess: {\"spend:total_1h\": {scale: " scale "}}\n"
#define NUMBERS "{standard: {mean: 1, stddev: 2}}"

static message_t fit (cluster_t *self, uint64_t version, const char *text)
{
    wire_writer_t *writer = call_begin (self, MESSAGE_FIT);
    wire_field_string (writer, "service", "model");
    wire_field_uint (writer, "version", version);
    wire_field_string (writer, "text", text);
    return call_end (self);
}

/* A model that is fitted, as version 2, and a lazy batch worker. */
static trio_t start_fitted (cluster_t *self, uint64_t seed)
{
    trio_t trio = start (self, seed);
    trio.batch->lazy = true;
    cr_assert_eq (apply (self, SCALED ("spend@v1", NUMBERS)).kind, MESSAGE_APPLY_OK);
    cr_assert (is (self, "model", 2, "active"));
    return trio;
}

Test (versions, that_are_complete_and_not_fitted_leave_the_fitted_one_active)
{
    cluster_t cluster;
    trio_t trio = start_fitted (&cluster, 10);
    message_t reply = apply (&cluster, SPEND ("max(amount)") SCALED ("spend", "standard"));
    wire_list_t changes = wire_list (reply.body, "changes");
    char detail[512] = "";
    for (uint32_t i = 0; i < changes.count; i++)
        if (text_is (wire_text (&changes.items[i], "kind"), "service"))
            wire_copy (&changes.items[i], "detail", detail, sizeof detail);
    cr_assert_not_null (strstr (detail, "until all of history is in it and it is fitted"), "%s",
                        detail);
    cr_assert (is (&cluster, "model", 3, "building"));
    trio.batch->lazy = false;
    (void)cluster_until (&cluster, second_is_active, 20 * LEASE, "version 2 is active");
    cr_assert (is (&cluster, "model", 3, "live"));
    cr_assert (is (&cluster, "model", 2, "active"));
    cr_assert_eq (fit (&cluster, 3, SCALED ("spend@v2", NUMBERS)).kind, MESSAGE_FIT_OK);
    cr_assert (is (&cluster, "model", 4, "active"));
    cr_assert (is (&cluster, "model", 2, "live"));
    cluster_release (&cluster);
}

Test (versions, that_are_fitted_while_they_are_built_become_active)
{
    cluster_t cluster;
    trio_t trio = start_fitted (&cluster, 11);
    (void)apply (&cluster, SPEND ("max(amount)") SCALED ("spend", "standard"));
    cr_assert_eq (fit (&cluster, 3, SCALED ("spend@v2", NUMBERS)).kind, MESSAGE_FIT_OK);
    cr_assert (is (&cluster, "model", 4, "building"));
    trio.batch->lazy = false;
    (void)cluster_until (&cluster, second_is_active, 20 * LEASE, "version 2 is active");
    cr_assert (is (&cluster, "model", 2, "live"));
    cr_assert (is (&cluster, "model", 3, "live"));
    cr_assert (is (&cluster, "model", 4, "active"));
    cluster_release (&cluster);
}

/* A newer one that is not fitted does not keep it back. */
Test (versions, become_active_below_one_that_waits_to_be_fitted)
{
    cluster_t cluster;
    trio_t trio = start_fitted (&cluster, 12);
    (void)apply (&cluster, SPEND ("max(amount)") SCALED ("spend", NUMBERS));
    cr_assert (is (&cluster, "model", 3, "building"));
    (void)apply (&cluster, SCALED ("spend@v1", "robust"));
    cr_assert (is (&cluster, "model", 4, "live"));
    trio.batch->lazy = false;
    (void)cluster_until (&cluster, second_is_active, 20 * LEASE, "version 2 is active");
    cr_assert (is (&cluster, "model", 3, "active"));
    cr_assert (is (&cluster, "model", 4, "live"));
    cluster_release (&cluster);
}

/* ---- telling of them, page by page ---- */

enum { LARGE_FEATURES = 200, LARGE_DESCRIPTION = 4000, LARGE_VERSIONS = 21 };

/* A model whose text is of some 800 KiB; all of its versions are more than a message may be. */
static char *large_model (void)
{
    buf_t text;
    char *description = mem_zero (LARGE_DESCRIPTION + 1, 1);
    memset (description, 'x', LARGE_DESCRIPTION);
    buf_init (&text, 4 << 20);
    buf_put_string (&text,
                    "services:\n  model:\n    views: spend\n    features: [f0]\n    derived:\n");
    for (int i = 0; i < LARGE_FEATURES; i++)
        buf_printf (&text, "      f%d: {expr: spend.total_1h + %d, description: %s}\n", i, i,
                    description);
    char *copy = mem_string (buf_string (&text));
    buf_release (&text);
    mem_free (description);
    return copy;
}

typedef struct after {
    char kind[16], name[16];
    uint64_t version;
} after_t;

static message_t ask_page (cluster_t *self, const char *name, const after_t *after)
{
    wire_writer_t *writer = call_begin (self, MESSAGE_VERSIONS);
    if (name)
        wire_field_string (writer, "name", name);
    if (after->kind[0] != '\0') {
        wire_field_map (writer, "after");
        wire_field_string (writer, "kind", after->kind);
        wire_field_string (writer, "name", after->name);
        wire_field_uint (writer, "version", after->version);
        wire_close (writer);
    }
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_VERSIONS_OK);
    return reply;
}

static size_t count_after (cluster_t *self, const char *name, after_t after)
{
    message_t reply = ask_page (self, name, &after);
    cr_expect_not (wire_bool (reply.body, "more", false));
    return wire_list (reply.body, "versions").count;
}

Test (versions, are_told_page_by_page_each_once, .timeout = 120)
{
    cluster_t cluster;
    char *text = large_model ();
    after_t after = { "", "", 0 };
    size_t pages = 0;
    bool more = true;
    (void)start (&cluster, 8);
    for (int i = 0; i < LARGE_VERSIONS - 1; i++) {
        wire_field_string (call_begin (&cluster, MESSAGE_DELETE), "name", "model");
        cr_assert_eq (call_end (&cluster).kind, MESSAGE_DELETE_OK);
        cr_assert_eq (apply (&cluster, text).kind, MESSAGE_APPLY_OK);
    }
    for (; more; pages++) {
        message_t reply = ask_page (&cluster, "model", &after);
        wire_list_t page = wire_list (reply.body, "versions");
        size_t bytes = 0;
        cr_assert_gt (page.count, 0);
        for (uint32_t i = 0; i < page.count; i++) {
            cr_assert_eq (wire_uint (&page.items[i], "version", 0), ++after.version);
            cr_assert_lt (bytes, 4 << 20, "nothing follows when a page is full");
            bytes += wire_text (&page.items[i], "text").size;
        }
        wire_copy (&page.items[0], "kind", after.kind, sizeof after.kind);
        wire_copy (&page.items[0], "name", after.name, sizeof after.name);
        more = wire_bool (reply.body, "more", false);
    }
    cr_assert_eq (after.version, LARGE_VERSIONS);
    cr_assert_gt (pages, 3);
    mem_free (text);
    cluster_release (&cluster);
}

Test (versions, follow_any_place_that_is_named)
{
    cluster_t cluster;
    (void)start (&cluster, 9);
    cr_expect_eq (count_after (&cluster, NULL, (after_t){ "", "", 0 }), 2);
    cr_expect_eq (count_after (&cluster, NULL, (after_t){ "service", "model", 0 }), 2);
    cr_expect_eq (count_after (&cluster, NULL, (after_t){ "service", "model", 1 }), 1);
    cr_expect_eq (count_after (&cluster, NULL, (after_t){ "service", "z", 0 }), 1);
    cr_expect_eq (count_after (&cluster, NULL, (after_t){ "a", "z", UINT64_MAX }), 2);
    cr_expect_eq (count_after (&cluster, NULL, (after_t){ "view", "spend", UINT64_MAX }), 0);
    cr_expect_eq (count_after (&cluster, NULL, (after_t){ "z", "", 0 }), 0);
    cr_expect_eq (count_after (&cluster, "model", (after_t){ "service", "model", 1 }), 0);
    cr_expect_eq (count_after (&cluster, "model", (after_t){ "log", "", 9 }), 1);
    cluster_release (&cluster);
}

Test (versions, say_what_they_answer_and_how_it_is_preprocessed)
{
    cluster_t cluster;
    trio_t trio = start_fitted (&cluster, 20);
    wire_list_t features = wire_list (version_of (&cluster, "spend", 1), "features");
    cr_assert_eq (features.count, 1);
    cr_expect (text_is (wire_item_text (features.items), "total_1h"));
    cr_expect_not (wire_has (version_of (&cluster, "spend", 1), "preprocess"));
    cr_expect_not (wire_has (version_of (&cluster, "model", 1), "preprocess"), "it has none");
    cr_expect_eq (wire_text (version_of (&cluster, "model", 2), "preprocess").size, 64);
    cr_expect_eq (wire_list (version_of (&cluster, "model", 2), "features").count, 1);
    cr_assert_eq (ask (&cluster, MESSAGE_RETIRE, "model", 1).kind, MESSAGE_RETIRE_OK);
    cr_expect_not (wire_has (version_of (&cluster, "model", 1), "features"), "its text is left");
    (void)trio;
    cluster_release (&cluster);
}

/* What is altered is told as it was and as it is to be, by who only looks. */
Test (versions, that_would_be_made_are_told_with_both_texts)
{
    cluster_t cluster;
    (void)start (&cluster, 21);
    wire_writer_t *writer = call_begin (&cluster, MESSAGE_APPLY);
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "test.yaml");
    wire_field_string (writer, "text", SPEND ("max(amount)") MODEL);
    wire_close (writer);
    wire_close (writer);
    wire_field_bool (writer, "dry_run", true);
    message_t reply = call_end (&cluster);
    cr_assert_eq (reply.kind, MESSAGE_APPLY_OK);
    wire_list_t changes = wire_list (reply.body, "changes");
    size_t told = 0;
    for (uint32_t i = 0; i < changes.count; i++) {
        char before[1024], after[1024];
        wire_copy (&changes.items[i], "before", before, sizeof before);
        wire_copy (&changes.items[i], "after", after, sizeof after);
        if (!text_is (wire_text (&changes.items[i], "kind"), "view") ||
            !text_is (wire_text (&changes.items[i], "change"), "alter"))
            continue;
        cr_expect_not_null (strstr (before, "sum(amount)"), "%s", before);
        cr_expect_not_null (strstr (after, "max(amount)"), "%s", after);
        told++;
    }
    cr_expect_eq (told, 1);
    reply = apply (&cluster, SPEND ("max(amount)") MODEL);
    changes = wire_list (reply.body, "changes");
    for (uint32_t i = 0; i < changes.count; i++)
        cr_expect_not (wire_has (&changes.items[i], "before"));
    cluster_release (&cluster);
}

/* The newest is what files define; which one is active is another question. */
Test (versions, that_files_define_and_are_not_active_are_told)
{
    cluster_t cluster;
    (void)start (&cluster, 22);
    (void)apply (&cluster, SPEND ("max(amount)"));
    (void)cluster_until (&cluster, second_is_active, 20 * LEASE, "version 2 is active");
    cr_assert_eq (ask (&cluster, MESSAGE_PROMOTE, "spend", 1).kind, MESSAGE_PROMOTE_OK);
    message_t reply = apply (&cluster, SPEND ("max(amount)"));
    wire_list_t changes = wire_list (reply.body, "changes");
    size_t told = 0;
    for (uint32_t i = 0; i < changes.count; i++) {
        char detail[512];
        if (!text_is (wire_text (&changes.items[i], "name"), "spend"))
            continue;
        wire_copy (&changes.items[i], "detail", detail, sizeof detail);
        cr_expect (text_is (wire_text (&changes.items[i], "change"), "same"));
        cr_expect_not_null (strstr (detail, "`weir promote spend@v2`"), "%s", detail);
        told++;
    }
    cr_expect_eq (told, 1);
    assert_refused (ask (&cluster, MESSAGE_PROMOTE, "spendd", 1), "did you mean spend?");
    assert_refused (ask (&cluster, MESSAGE_PROMOTE, "spend", 9), "there is no spend@v9");
    cluster_release (&cluster);
}
