/* Entities that are erased: from the question to the look that finds nothing. */
#include "tests/unit/coordinator/actor.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#define ID "0123456789abcdef"

static const char by_amount[] = "views:\n"
                                "  same:\n"
                                "    from: payments\n"
                                "    key: amount\n"
                                "    features:\n"
                                "      n: count()\n";

static char state[32];

static const char *forget_state (cluster_t *self)
{
    wire_field_string (call_begin (self, MESSAGE_FORGETS), "id", ID);
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_FORGETS_OK);
    wire_list_t found = wire_list (reply.body, "forgets");
    cr_assert_eq (found.count, 1);
    wire_copy (&found.items[0], "state", state, sizeof state);
    bool over = strcmp (state, "erased") == 0;
    cr_expect_eq (wire_has (&found.items[0], "key"), !over, "%s", state);
    cr_expect_eq (wire_has (&found.items[0], "files"), over);
    if (over) {
        /* what the played builds of all partitions say */
        cr_expect_eq (wire_uint (&found.items[0], "rows", 0), 2 * PARTITIONS);
        cr_expect_eq (wire_uint (&found.items[0], "files", 0), 3);
        cr_expect_eq (wire_uint (&found.items[0], "scanned", 0), 7);
        cr_expect_eq (wire_list (&found.items[0], "datasets").count, 1);
    }
    return state;
}

static bool is_erasing (cluster_t *self)
{
    return strcmp (forget_state (self), "erasing") == 0;
}

static bool is_erased (cluster_t *self)
{
    return strcmp (forget_state (self), "erased") == 0;
}

static void start (cluster_t *cluster, uint64_t seed)
{
    cluster_init (cluster, seed, 0);
    cluster_apply (cluster, payments_definitions);
    cluster_add (cluster, "s1", "speed");
    cluster_add (cluster, "v1", "serving");
    cluster_add (cluster, "b1", "batch");
    cluster_run (cluster, 2 * LEASE);
    cluster_send (cluster, 4);
}

static message_t ask (cluster_t *cluster, const char *stream, const char *id, const char *field,
                      const char *other)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_FORGET);
    wire_field_string (writer, "stream", stream);
    wire_field_string (writer, "id", id);
    wire_field_map (writer, "key");
    if (field)
        wire_field_string (writer, field, "u1");
    if (other)
        wire_field_string (writer, other, "x");
    wire_close (writer);
    return call_end (cluster);
}

static void forget (cluster_t *cluster)
{
    cr_assert_eq (ask (cluster, "payments", ID, "user_id", NULL).kind, MESSAGE_FORGET_OK);
}

static bool file_is_there (cluster_t *cluster, const char *path)
{
    file_t *file;
    error_t error;
    bool there = fs_open (cluster->rig.env.fs, path, FS_READ, &file, &error) == STATUS_OK;
    fs_close (cluster->rig.env.fs, &file);
    return there;
}

static bool key_is_kept (cluster_t *cluster)
{
    return file_is_there (cluster, "forgets/" ID);
}

Test (forgets, are_erased_when_nothing_is_left_and_the_key_goes_last)
{
    cluster_t cluster;
    start (&cluster, 1);
    forget (&cluster);
    cr_assert (key_is_kept (&cluster));
    cluster_until (&cluster, is_erased, 20 * TIME_SECOND, "the erasure");
    cr_assert (!key_is_kept (&cluster));
    cr_assert_eq (cluster_manifest (&cluster), 1);
    cluster_release (&cluster);
}

Test (forgets, wait_for_segments_of_the_log_and_for_serving_nodes)
{
    for (int what = 0; what < 2; what++) {
        cluster_t cluster;
        start (&cluster, 1);
        actor_t *serving = &cluster.actors[1];
        cluster.keeps_segments = what == 0;
        serving->stays = what == 1;
        forget (&cluster);
        cluster_run (&cluster, 20 * LEASE);
        cr_assert (is_erasing (&cluster), "%s", state);
        cr_assert (key_is_kept (&cluster));
        cluster.keeps_segments = serving->stays = false;
        cluster_until (&cluster, is_erased, 20 * TIME_SECOND, "the erasure");
        cluster_release (&cluster);
    }
}

static void put_file (cluster_t *cluster, const char *path)
{
    file_t *file;
    error_t error;
    fs_t *fs = cluster->rig.env.fs;
    cr_assert_eq (fs_make_dir (fs, "incoming", &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (fs_open (fs, path, FS_CREATE, &file, &error), STATUS_OK, "%s", error.text);
    fs_close (fs, &file);
}

#define SAMPLE_FILE(node) "samples/" node "/00000000000000000001.sample"

/* Who lives and keeps answers removes its own, and says when it has. */
Test (forgets, wait_for_nodes_that_have_to_remove_their_samples)
{
    cluster_t cluster;
    start (&cluster, 1);
    actor_t *serving = &cluster.actors[1];
    serving->has_sample = serving->sample_stale = true;
    cluster_put_file (&cluster, SAMPLE_FILE ("v1"));
    forget (&cluster);
    cluster_run (&cluster, 20 * LEASE);
    cr_assert (is_erasing (&cluster), "%s", state);
    serving->sample_stale = false;
    cluster_until (&cluster, is_erased, 20 * TIME_SECOND, "the erasure");
    cr_assert (file_is_there (&cluster, SAMPLE_FILE ("v1")), "what it has now is its own");
    cluster_release (&cluster);
}

/* Nobody else removes what they kept before: those that are gone, and those that have been told to
 * keep none since. */
Test (forgets, remove_samples_of_nodes_that_are_gone_or_keep_none)
{
    for (int what = 0; what < 3; what++) {
        cluster_t cluster;
        start (&cluster, 1);
        actor_t *serving = &cluster.actors[1];
        serving->has_sample = what != 1;
        cluster_put_file (&cluster, SAMPLE_FILE ("v1"));
        cluster_put_file (&cluster, SAMPLE_FILE ("v9"));
        if (what == 2)
            serving->there = false;
        forget (&cluster);
        cluster_until (&cluster, is_erased, 20 * TIME_SECOND, "the erasure");
        cr_assert_not (file_is_there (&cluster, SAMPLE_FILE ("v9")));
        cr_assert_eq (file_is_there (&cluster, SAMPLE_FILE ("v1")), what == 0, "%d", what);
        cluster_release (&cluster);
    }
}

/* Rows that a load refused whose worker died, and what others have in that place. */
Test (forgets, take_with_them_what_a_dead_worker_had_of_refused_rows)
{
    static const char *const stay[] = { "incoming/7-00000000.csv", "incoming/7-1.tmp",
                                        "incoming/.rejects.tmp",
                                        "incoming/99999999-1.rejects.tmp" };
    cluster_t cluster;
    start (&cluster, 1);
    put_file (&cluster, "incoming/7-1.rejects.tmp");
    for (size_t i = 0; i < sizeof stay / sizeof stay[0]; i++)
        put_file (&cluster, stay[i]);
    forget (&cluster);
    cluster_until (&cluster, is_erased, 20 * TIME_SECOND, "the erasure");
    cr_assert (!file_is_there (&cluster, "incoming/7-1.rejects.tmp"));
    for (size_t i = 0; i < sizeof stay / sizeof stay[0]; i++)
        cr_assert (file_is_there (&cluster, stay[i]), "%s", stay[i]);
    cluster_release (&cluster);
}

Test (forgets, are_not_told_while_a_look_finds_something)
{
    cluster_t cluster;
    start (&cluster, 1);
    cluster.left = 1;
    forget (&cluster);
    cluster_run (&cluster, 40 * LEASE);
    cr_assert (is_erasing (&cluster), "%s", state);
    cr_assert (key_is_kept (&cluster));
    cluster.left = 0;
    cluster_until (&cluster, is_erased, 60 * TIME_SECOND, "the erasure");
    cluster_release (&cluster);
}

/* A file that no manifest has, from before; of each partition. */
static const char *old_file (uint32_t partition)
{
    static char path[64];
    (void)snprintf (path, sizeof path, "history/" PAYMENTS "/%u/0-1-0.run", partition);
    return path;
}

/* Also when a directory was not synced at the first try, and when the coordinator ended between. */
Test (forgets, are_told_when_no_crash_brings_an_old_file_back)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        cluster_t cluster;
        start (&cluster, seed);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            cluster_put_file (&cluster, old_file (p));
        forget (&cluster);
        int64_t end = cluster.rig.boot + 60 * TIME_SECOND;
        while (!is_erased (&cluster)) {
            cr_assert_lt (cluster.rig.boot, end);
            cluster_run (&cluster, (int64_t)random_below (&cluster.random, 60) * TIME_MS);
            sim_disk_set_faults (cluster.disk, &(sim_disk_faults_t){ .name_error = 0.2 });
            cluster_run (&cluster, (int64_t)random_below (&cluster.random, 60) * TIME_MS);
            sim_disk_set_faults (cluster.disk, &(sim_disk_faults_t){ 0 });
        }
        cluster_restart (&cluster);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            cr_expect (!file_is_there (&cluster, old_file (p)), "%s of seed %" PRIu64, old_file (p),
                       seed);
        cluster_release (&cluster);
    }
}

Test (forgets, of_a_restarted_coordinator_go_on)
{
    for (int64_t after = 0; after < 12; after++) {
        cluster_t cluster;
        start (&cluster, (uint64_t)after);
        forget (&cluster);
        cluster_run (&cluster, after * after * 10 * TIME_MS);
        cluster_restart (&cluster);
        cluster_until (&cluster, is_erased, 60 * TIME_SECOND, "the erasure");
        cluster_restart (&cluster);
        cr_assert (is_erased (&cluster));
        cr_assert (!key_is_kept (&cluster));
        cluster_release (&cluster);
    }
}

/* Where a record stands in a played log; -1: it does not. */
static int64_t place_of (const played_log_t *log, const char *id)
{
    for (size_t i = 0; i < log->controls_count; i++)
        if (strcmp (log->controls[i].id, id) == 0)
            return (int64_t)log->controls[i].offset;
    return -1;
}

static size_t count_logs (const cluster_t *self)
{
    size_t count = 0;
    while (count < LOGS_PLAYED && self->logs[0][count].name[0] != '\0')
        count++;
    return count;
}

static const char *load;

static bool load_is_visible (cluster_t *self)
{
    return strcmp (cluster_load_state (self, load), "visible") == 0;
}

/* What it brings is new: it is erased in no log. */
Test (forgets, go_before_loads_that_are_asked_for_later)
{
    cluster_t cluster;
    start (&cluster, 1);
    cluster_apply (&cluster, by_amount);
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_eq (count_logs (&cluster), 2);
    cluster.places_no_forgets = true;
    forget (&cluster);
    load = cluster_load (&cluster, 'a');
    cluster_run (&cluster, 5 * LEASE);
    cr_assert_str_eq (cluster_load_state (&cluster, load), "committing");
    char control[64];
    (void)snprintf (control, sizeof control, "load-%s", load);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (size_t l = 0; l < 2; l++)
            cr_assert_eq (place_of (&cluster.logs[p][l], control), -1);
    cluster.places_no_forgets = false;
    cluster_until (&cluster, load_is_visible, 20 * TIME_SECOND, "the load");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (size_t l = 0; l < 2; l++)
            cr_assert_gt (place_of (&cluster.logs[p][l], control),
                          place_of (&cluster.logs[p][l], "forget-" ID));
    cluster_release (&cluster);
}

/* Its history, which is that of the dataset, would bring the entity back. */
Test (forgets, go_before_a_key_that_is_new)
{
    cluster_t cluster;
    start (&cluster, 1);
    cluster.places_no_forgets = true;
    forget (&cluster);
    cluster_run (&cluster, LEASE);
    cluster_apply (&cluster, by_amount);
    cluster_run (&cluster, 5 * LEASE);
    cr_assert_eq (count_logs (&cluster), 1);
    cluster.places_no_forgets = false;
    while (!is_erased (&cluster)) {
        cr_assert_eq (count_logs (&cluster), 1);
        cluster_run (&cluster, STEP);
    }
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_eq (count_logs (&cluster), 2);
    cluster_release (&cluster);
}

Test (forgets, that_are_asked_for_again_are_the_same)
{
    cluster_t cluster;
    start (&cluster, 1);
    forget (&cluster);
    forget (&cluster);
    cluster_until (&cluster, is_erased, 20 * TIME_SECOND, "the erasure");
    forget (&cluster);
    cr_assert (is_erased (&cluster));
    cr_assert_eq (cluster_manifest (&cluster), 1);
    cluster_release (&cluster);
}

Test (forgets, of_what_is_no_entity_are_refused)
{
    static const struct {
        const char *stream, *id, *field, *other;
    } wrong[] = {
        { "payment", ID, "user_id", NULL },
        { "payments", "12", "user_id", NULL },
        { "payments", "0123456789ABCDEF", "user_id", NULL },
        { "payments", ID, NULL, NULL },
        { "payments", ID, "merchant", NULL },
        { "payments", ID, "user_id", "merchant" },
    };
    cluster_t cluster;
    start (&cluster, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_eq (
            ask (&cluster, wrong[i].stream, wrong[i].id, wrong[i].field, wrong[i].other).kind,
            MESSAGE_ERROR, "%zu", i);
    cr_expect (!key_is_kept (&cluster));
    cluster_release (&cluster);
}

/* As of a coordinator that slept while it wrote them, and another went on. */
Test (forgets, whose_keys_nobody_needs_go_when_the_next_coordinator_leads)
{
    static const char *const go[] = { "forgets/00000000000000aa", "forgets/00000000000000bb.tmp" };
    static const char *const stay[] = { "forgets/" ID, "forgets/readme",
                                        "forgets/00000000000000aab" };
    cluster_t cluster;
    start (&cluster, 1);
    cluster.places_no_forgets = true;
    forget (&cluster);
    for (size_t i = 0; i < 2; i++)
        cluster_put_file (&cluster, go[i]);
    for (size_t i = 1; i < 3; i++)
        cluster_put_file (&cluster, stay[i]);
    cluster_restart (&cluster);
    for (size_t i = 0; i < 2; i++)
        cr_assert (!file_is_there (&cluster, go[i]), "%s", go[i]);
    for (size_t i = 0; i < 3; i++)
        cr_assert (file_is_there (&cluster, stay[i]), "%s", stay[i]);
    cluster.places_no_forgets = false;
    cluster_until (&cluster, is_erased, 20 * TIME_SECOND, "the erasure");
    cluster_put_file (&cluster, "forgets/" ID);
    cluster_restart (&cluster);
    cr_assert (!key_is_kept (&cluster));
    cluster_release (&cluster);
}
