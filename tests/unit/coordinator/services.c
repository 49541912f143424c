/* Services: the versions that they stand on, and what may not change under them. */
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define STREAM                                                                                     \
    "streams:\n  s:\n    key: k\n    time: t\n"                                                    \
    "    fields: {k: string, a: float64, t: timestamp}\n"
#define VIEW(features) "views:\n  v:\n    from: s\n    features:\n" features
#define ALL            VIEW ("      n: count() over 1h\n      m: sum(a) over 1h, 7d\n")
#define SERVICE(rest)  "services:\n  model:\n" rest
#define ONE            SERVICE ("    views: v\n    features: [\"v:n_1h\"]\n")

static message_t apply (cluster_t *cluster, const char *text, bool prune)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_APPLY);
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "test.yaml");
    wire_field_string (writer, "text", text);
    wire_close (writer);
    wire_close (writer);
    wire_field_bool (writer, "prune", prune);
    return call_end (cluster);
}

static void assert_change (message_t reply, const char *kind, const char *name, const char *change,
                           const char *detail)
{
    wire_list_t changes = wire_list (reply.body, "changes");
    for (uint32_t i = 0; i < changes.count; i++) {
        char text[512];
        if (!text_is (wire_text (&changes.items[i], "kind"), kind) ||
            !text_is (wire_text (&changes.items[i], "name"), name))
            continue;
        wire_copy (&changes.items[i], "detail", text, sizeof text);
        cr_assert (text_is (wire_text (&changes.items[i], "change"), change), "%s", text);
        cr_assert_str_eq (text, detail);
        return;
    }
    cr_assert (false, "nothing is told of %s %s", kind, name);
}

static void assert_refused (message_t reply, const char *reason)
{
    char text[1024];
    cr_assert_eq (reply.kind, MESSAGE_ERROR);
    wire_copy (reply.body, "text", text, sizeof text);
    cr_assert_not_null (strstr (text, reason), "%s", text);
}

static message_t fit (cluster_t *cluster, uint64_t version, const char *text)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_FIT);
    wire_field_string (writer, "service", "model");
    wire_field_uint (writer, "version", version);
    wire_field_string (writer, "text", text);
    return call_end (cluster);
}

static message_t delete (cluster_t *cluster, const char *name)
{
    wire_field_string (call_begin (cluster, MESSAGE_DELETE), "name", name);
    return call_end (cluster);
}

/* The service as the catalog has it: its text holds `part`, and its version is this. */
static void assert_stored (cluster_t *cluster, uint64_t version, const char *part)
{
    bool found = false;
    call_begin (cluster, MESSAGE_DEFINITIONS);
    message_t reply = call_end (cluster);
    wire_list_t objects = wire_list (reply.body, "objects");
    for (uint32_t i = 0; i < objects.count; i++) {
        if (!text_is (wire_text (&objects.items[i], "kind"), "service") ||
            wire_uint (&objects.items[i], "version", 0) != version)
            continue;
        char text[1024];
        wire_copy (&objects.items[i], "text", text, sizeof text);
        cr_assert (text_is (wire_text (&objects.items[i], "name"), "model"));
        cr_assert_not_null (strstr (text, part), "%s", text);
        found = true;
    }
    cr_assert (found, "there is no such version of the service");
}

static void start (cluster_t *cluster, const char *text)
{
    cluster_init (cluster, 1, 0);
    message_t reply = apply (cluster, text, false);
    cr_assert_eq (reply.kind, MESSAGE_APPLY_OK);
    assert_change (reply, "service", "model", "add", "");
}

Test (services, stand_on_the_version_that_a_view_has_when_they_are_applied)
{
    cluster_t cluster;
    start (&cluster, STREAM ALL ONE);
    assert_stored (&cluster, 1, "view: v@v1\n");
    assert_change (apply (&cluster, STREAM ALL ONE, false), "service", "model", "same", "");
    assert_change (
        apply (&cluster, SERVICE ("    views: v@v1\n    features: [\"v:n_1h\"]\n"), false),
        "service", "model", "same", "");
    assert_refused (
        apply (&cluster, SERVICE ("    views: v@v2\n    features: [\"v:n_1h\"]\n"), false),
        "the view 'v' has version v1, not v2");
    cluster_release (&cluster);
}

Test (services, have_a_version_that_what_they_answer_raises)
{
    cluster_t cluster;
    start (&cluster, STREAM ALL ONE);
    assert_change (apply (&cluster,
                          SERVICE ("    description: of it\n    views: v\n"
                                   "    features: [\"v:n_1h\"]\n"),
                          false),
                   "service", "model", "alter", "what it answers stays the same");
    assert_stored (&cluster, 1, "description: of it");
    assert_change (
        apply (&cluster, SERVICE ("    views: v\n    features: [\"v:m_1h\", \"v:m_7d\"]\n"), false),
        "service", "model", "alter", "+v:m_1h, +v:m_7d, -v:n_1h; version 2 follows 1");
    assert_change (
        apply (&cluster, SERVICE ("    views: v\n    features: [\"v:m_7d\", \"v:m_1h\"]\n"), false),
        "service", "model", "alter", "what it answers changes; version 3 follows 2");
    assert_stored (&cluster, 3, "v:m_7d");
    cluster_release (&cluster);
}

Test (services, let_their_views_gain_features_and_no_new_version)
{
    cluster_t cluster;
    start (&cluster, STREAM ALL ONE);
    message_t reply =
        apply (&cluster, VIEW ("      n: count() over 1h\n      x: max(a) over 1h\n"), false);
    assert_change (reply, "view", "v", "alter", "+x_1h, -m_1h, -m_7d");
    assert_change (reply, "service", "model", "same", "");
    assert_refused (apply (&cluster, VIEW ("      x: max(a) over 1h\n"), false),
                    "(stored service model):7:12: the view 'v' has no feature 'n_1h'");
    cluster_release (&cluster);
}

Test (services, that_files_do_not_define_go_on_with_the_version_that_they_read)
{
    cluster_t cluster;
    start (&cluster, STREAM ALL ONE);
    message_t reply = apply (&cluster, VIEW ("      n: count(a) over 1h\n"), false);
    assert_change (reply, "service", "model", "same", "");
    assert_change (reply, "view", "v", "alter",
                   "n_1h means something else, -m_1h, -m_7d; version 2 follows 1, which is served "
                   "as before until all of history is in it");
    assert_stored (&cluster, 1, "view: v@v1\n");
    cluster_release (&cluster);
}

Test (services, that_name_no_version_get_a_new_one_with_their_view)
{
    cluster_t cluster;
    start (&cluster, STREAM ALL ONE);
    message_t reply = apply (&cluster, VIEW ("      n: count(a) over 1h\n") ONE, false);
    assert_change (reply, "service", "model", "alter",
                   "v reads v v2 instead of v1; version 2 follows 1, which is served as before "
                   "until all of history is in it");
    assert_stored (&cluster, 1, "view: v@v1\n");
    assert_stored (&cluster, 2, "view: v@v2\n");
    assert_change (apply (&cluster, VIEW ("      n: count(a) over 1h\n") ONE, false), "service",
                   "model", "same", "");
    /* one that names the version stays with it */
    reply = apply (&cluster,
                   VIEW ("      n: max(a) over 1h\n")
                       SERVICE ("    views: v@v2\n    features: [\"v:n_1h\"]\n"),
                   false);
    assert_change (reply, "service", "model", "same", "");
    cluster_release (&cluster);
}

#define STEPS_OF(view, n, m)                                                                       \
    SERVICE ("    views: " view "\n    features: [\"v:n_1h\", \"v:m_1h\"]\n    preprocess:\n"      \
             "      \"v:n_1h\": " n "\n      \"v:m_1h\": " m "\n")
#define STEPS(n, m) STEPS_OF ("v@v1", n, m)

Test (services, get_numbers_and_keep_them_while_nothing_else_is_asked_for)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    assert_change (
        apply (&cluster, STREAM ALL STEPS ("{impute: median}", "{scale: standard}"), false),
        "service", "model", "add",
        "2 features are without numbers: weir fit model --on TRAINING_SET");
    message_t reply = fit (
        &cluster, 1, STEPS ("{impute: {median: 3}}", "{scale: {standard: {mean: 1, stddev: 2}}}"));
    cr_assert_eq (reply.kind, MESSAGE_FIT_OK);
    assert_change (reply, "service", "model", "alter",
                   "what it answers changes; version 2 follows 1");
    assert_stored (&cluster, 2, "stddev: 2.0");
    /* the files do not have them */
    assert_change (apply (&cluster, STEPS ("{impute: median}", "{scale: standard}"), false),
                   "service", "model", "same", "");
    /* nor do other definitions, when a view gains a feature */
    assert_change (apply (&cluster,
                          VIEW ("      n: count() over 1h, 2h\n"
                                "      m: sum(a) over 1h, 7d\n"),
                          false),
                   "service", "model", "same", "");
    assert_change (apply (&cluster, STEPS ("{impute: mean}", "{scale: standard}"), false),
                   "service", "model", "alter",
                   "v:n_1h has to be fitted again; 1 feature is without numbers: weir fit model "
                   "--on TRAINING_SET; version 3 follows 2, which is served as before until it is "
                   "fitted");
    assert_stored (&cluster, 3, "stddev: 2.0");
    assert_stored (&cluster, 3, "impute: mean");
    cluster_release (&cluster);
}

/* Of what comes to mean something else, the numbers were fitted to other values. */
Test (services, have_to_be_fitted_again_when_their_view_means_something_else)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    (void)apply (&cluster, STREAM ALL STEPS_OF ("v", "{impute: median}", "{scale: standard}"),
                 false);
    message_t reply = fit (
        &cluster, 1, STEPS ("{impute: {median: 3}}", "{scale: {standard: {mean: 1, stddev: 2}}}"));
    cr_assert_eq (reply.kind, MESSAGE_FIT_OK);
    assert_stored (&cluster, 2, "median: 3.0");
    reply = apply (&cluster,
                   VIEW ("      n: count(a) over 1h\n      m: sum(a) over 1h, 7d\n")
                       STEPS_OF ("v", "{impute: median}", "{scale: standard}"),
                   false);
    assert_change (
        reply, "service", "model", "alter",
        "v reads v v2 instead of v1, v:n_1h has to be fitted again, v:m_1h has to be fitted again; "
        "2 features are without numbers: weir fit model --on TRAINING_SET; version 3 follows 2, "
        "which is served as before until all of history is in it and it is fitted");
    assert_stored (&cluster, 3, "view: v@v2\n");
    assert_stored (&cluster, 3, "impute: median");
    assert_stored (&cluster, 3, "scale: standard");
    cluster_release (&cluster);
}

/* What is told of a version: its state, and behind a colon what it waits for. */
static void assert_version (cluster_t *cluster, uint64_t version, const char *wanted)
{
    char told[256] = "", waits[200];
    wire_field_string (call_begin (cluster, MESSAGE_VERSIONS), "name", "model");
    wire_list_t versions = wire_list (call_end (cluster).body, "versions");
    for (uint32_t i = 0; i < versions.count; i++) {
        if (wire_uint (&versions.items[i], "version", 0) != version)
            continue;
        wire_copy (&versions.items[i], "waits", waits, sizeof waits);
        (void)snprintf (told, sizeof told, TEXT_FORMAT "%s%s",
                        TEXT_ARGS (wire_text (&versions.items[i], "state")),
                        waits[0] != '\0' ? ": " : "", waits);
    }
    cr_expect_str_eq (told, wanted, "version %d: %s", (int)version, told);
}

/* The versions that `unfitted` of a status lists, 0 none. */
static uint64_t unfitted_version (cluster_t *cluster)
{
    (void)call_begin (cluster, MESSAGE_STATUS);
    wire_list_t unfitted = wire_list (call_end (cluster).body, "unfitted");
    cr_assert_leq (unfitted.count, 1);
    return unfitted.count == 0 ? 0 : wire_uint (unfitted.items, "version", 0);
}

static message_t promote (cluster_t *cluster, uint64_t version)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_PROMOTE);
    wire_field_string (writer, "name", "model");
    wire_field_uint (writer, "version", version);
    return call_end (cluster);
}

#define STANDARD  STEPS ("{impute: median}", "{scale: standard}")
#define ROBUST    STEPS ("{impute: median}", "{scale: robust}")
#define FITTED    STEPS ("{impute: {median: 3}}", "{scale: {standard: {mean: 1, stddev: 2}}}")
#define REFITTED  STEPS ("{impute: {median: 3}}", "{scale: {robust: {median: 1, iqr: 2}}}")
#define WAITS_FOR ": the numbers of 1 feature: weir fit model --on TRAINING_SET"

Test (services, that_are_fitted_stay_active_until_the_next_version_is)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    (void)apply (&cluster, STREAM ALL STANDARD, false);
    assert_version (&cluster, 1, "active"); /* there is nothing better */
    cr_expect_eq (unfitted_version (&cluster), 0);
    (void)fit (&cluster, 1, FITTED);
    (void)apply (&cluster, ROBUST, false);
    for (int restarted = 0; restarted < 2; restarted++) {
        assert_version (&cluster, 2, "active");
        assert_version (&cluster, 3, "live" WAITS_FOR);
        cr_expect_eq (unfitted_version (&cluster), 3);
        assert_refused (promote (&cluster, 3), "model@v3 lacks the numbers of 1 of its features");
        assert_refused (promote (&cluster, 1), "model@v1 lacks the numbers of 2 of its features");
        cluster_restart (&cluster);
    }
    assert_change (apply (&cluster, ROBUST, false), "service", "model", "same", "");
    cr_expect_eq (fit (&cluster, 3, REFITTED).kind, MESSAGE_FIT_OK);
    assert_version (&cluster, 2, "live");
    assert_version (&cluster, 3, "live"); /* its successor is fitted: nothing waits */
    assert_version (&cluster, 4, "active");
    cr_expect_eq (unfitted_version (&cluster), 0);
    cr_expect_eq (promote (&cluster, 2).kind, MESSAGE_PROMOTE_OK);
    cluster_release (&cluster);
}

Test (services, have_the_numbers_again_when_a_change_is_taken_back_before_it_was_fitted)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    (void)apply (&cluster, STREAM ALL STANDARD, false);
    (void)fit (&cluster, 1, FITTED);
    (void)apply (&cluster, ROBUST, false);
    assert_change (apply (&cluster, STANDARD, false), "service", "model", "alter",
                   "what it answers changes; version 4 follows 3");
    assert_version (&cluster, 4, "active");
    assert_stored (&cluster, 4, "stddev: 2.0");
    cluster_release (&cluster);
}

Test (services, that_were_never_fitted_are_followed_at_once)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    (void)apply (&cluster, STREAM ALL STANDARD, false);
    assert_change (apply (&cluster, ROBUST, false), "service", "model", "alter",
                   "2 features are without numbers: weir fit model --on TRAINING_SET; version 2 "
                   "follows 1");
    assert_version (&cluster, 2, "active");
    cr_expect_eq (promote (&cluster, 1).kind, MESSAGE_PROMOTE_OK);
    cluster_release (&cluster);
}

Test (services, take_numbers_and_nothing_else_with_them)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    (void)apply (&cluster, STREAM ALL STEPS ("{impute: median}", "{scale: standard}"), false);
    static const char good[] =
        STEPS ("{impute: {median: 3}}", "{scale: {standard: {mean: 1, stddev: 2}}}");
    assert_refused (fit (&cluster, 2, good),
                    "service model: it has version 1 by now, and the numbers are for version 2; "
                    "fit it again");
    assert_refused (fit (&cluster, 1, STEPS ("{impute: {median: 3}}", "{scale: standard}")),
                    "service model: some of its numbers are missing");
    assert_refused (fit (&cluster, 1, STEPS ("{impute: {mean: 3}}", "{scale: standard}")),
                    "service model: more than its numbers would change; apply that first");
    assert_refused (fit (&cluster, 1, STREAM), "(fitted):2:3: the stream 's' is already defined");
    assert_refused (fit (&cluster, 1, "views:\n  w: {from: s, features: {n: count()}}\n"),
                    "service model: more than its numbers would change; apply that first");
    assert_refused (fit (&cluster, 1, "services:\n  model: 3\n"), "(fitted):2:");
    assert_stored (&cluster, 1, "impute: median");
    cr_assert_eq (fit (&cluster, 1, good).kind, MESSAGE_FIT_OK);
    assert_stored (&cluster, 2, "median: 3.0");
    cluster_release (&cluster);
}

Test (services, keep_their_views_from_being_removed)
{
    cluster_t cluster;
    start (&cluster, STREAM ALL ONE);
    assert_refused (delete (&cluster, "v"), "service model needs view v; delete it first");
    assert_refused (apply (&cluster, STREAM ONE, true), "there is no view 'v'");
    assert_change (apply (&cluster, STREAM ALL, true), "service", "model", "remove", "");
    cr_assert_eq (apply (&cluster, STREAM ALL ONE, false).kind, MESSAGE_APPLY_OK);
    cr_assert_eq (delete (&cluster, "model").kind, MESSAGE_DELETE_OK);
    cr_assert_eq (delete (&cluster, "v").kind, MESSAGE_DELETE_OK);
    assert_refused (delete (&cluster, "model"), "there is no view, service or stream \"model\"");
    cluster_release (&cluster);
}

Test (services, are_there_again_after_a_restart)
{
    cluster_t cluster;
    start (&cluster, STREAM ALL ONE);
    cluster_restart (&cluster);
    assert_stored (&cluster, 1, "view: v@v1\n");
    cluster_release (&cluster);
}
