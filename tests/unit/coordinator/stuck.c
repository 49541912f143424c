/* Partitions that cannot be built: the others go on, they are told, and tried again. */
#include "coordinator/state.h"
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <inttypes.h>

static uint64_t waited_for;
static const char *load;

static bool is_trimmed (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "trimmed") == 0;
}

static bool has_failed (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "failed") == 0;
}

static bool is_waiting (cluster_t *self)
{
    return strcmp (cluster_load_state (self, load), "waiting") == 0;
}

static bool is_visible (cluster_t *self)
{
    return strcmp (cluster_load_state (self, load), "visible") == 0;
}

static const log_t *the_log (const cluster_t *cluster)
{
    return cluster->core->logs[0];
}

static const catalog_part_t *part (const cluster_t *cluster, uint32_t partition)
{
    return &the_log (cluster)->manifest.parts[partition];
}

/* All have been built once, up to 5. */
static void start (cluster_t *cluster, int64_t every)
{
    cluster_init (cluster, 1, every);
    cluster_apply (cluster, payments_definitions);
    (void)cluster_add (cluster, "s1", "speed");
    (void)cluster_add (cluster, "b1", "batch");
    (void)cluster_add (cluster, "v1", "serving");
    cluster_run (cluster, 2 * LEASE);
    cluster_send (cluster, 5);
    waited_for = cluster_recompute (cluster);
    cluster_until (cluster, is_trimmed, TIME_SECOND, "the trim");
    cluster_send (cluster, 2);
}

Test (stuck, leave_the_others_to_go_on)
{
    cluster_t cluster;
    start (&cluster, 0);
    cluster.damaged_logs[2] = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        cr_assert_eq (part (&cluster, p)->cut, p == 2 ? 5 : 8);
        cr_assert_eq (cluster_log_number (&cluster, p, "base"), p == 2 ? 5 : 8);
        cr_assert_eq (cluster_log_number (&cluster, p, "events"), p == 2 ? 2 : 0);
    }
    cluster.damaged_logs[2] = false;
    waited_for = cluster_recompute (&cluster); /* who asks wants it tried at once */
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cr_assert_gt (part (&cluster, 2)->cut, 8);
    cr_assert_null (the_log (&cluster)->stuck[2].reason);
    cluster_release (&cluster);
}

Test (stuck, are_told_with_their_place)
{
    cluster_t cluster;
    start (&cluster, 0);
    cluster.damaged_logs[2] = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    call_begin (&cluster, MESSAGE_STATUS);
    const wire_value_t *body = call_end (&cluster).body;
    wire_list_t recomputes = wire_list (body, "recomputes");
    text_t error = wire_text (&recomputes.items[recomputes.count - 1], "error");
    cr_assert (text_is (error, "partition 2 stays as it was: block 3 is damaged"), TEXT_FORMAT,
               TEXT_ARGS (error));
    cr_assert_eq (the_log (&cluster)->stuck[2].failures, 1);
    cr_assert_str_eq (the_log (&cluster)->stuck[2].reason, "block 3 is damaged");
    cluster_release (&cluster);
}

Test (stuck, with_a_damaged_layer_get_what_is_new_above_it)
{
    cluster_t cluster;
    start (&cluster, 0);
    (void)snprintf (cluster.damaged, sizeof cluster.damaged, "%s",
                    part (&cluster, 1)->runs[0].path);
    for (size_t layers = 2; layers <= 4; layers++) {
        waited_for = cluster_recompute_full (&cluster);
        cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
        cr_assert_str_eq (part (&cluster, 1)->runs[0].path, cluster.damaged);
        cr_assert_eq (part (&cluster, 1)->cut, part (&cluster, 0)->cut);
        cr_assert_eq (part (&cluster, 0)->layers_count, 1);
        cr_assert_eq (part (&cluster, 1)->layers_count,
                      2); /* one above it is built anew each time */
        cr_assert (the_log (&cluster)->stuck[1].reason);
        cluster_send (&cluster, 9);
    }
    cluster.damaged[0] = '\0';
    waited_for = cluster_recompute_full (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cr_assert_eq (part (&cluster, 1)->layers_count, 1);
    cr_assert_null (the_log (&cluster)->stuck[1].reason);
    cluster_release (&cluster);
}

/* In all partitions or in none. */
Test (stuck, keep_loads_waiting_and_nothing_else)
{
    cluster_t cluster;
    start (&cluster, TIME_SECOND);
    cluster.damaged_logs[3] = true;
    load = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_waiting, TIME_SECOND, "the load to be placed");
    cluster_run (&cluster, 12 * TIME_SECOND);
    cr_assert (is_waiting (&cluster));
    cr_assert_eq (part (&cluster, 3)->cut, 5);
    cr_assert_gt (part (&cluster, 0)->cut, 5);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (size_t i = 0; i < part (&cluster, p)->runs_count; i++)
            cr_assert_null (strstr (part (&cluster, p)->runs[i].path, "-load-"));
    cluster.damaged_logs[3] = false;
    cluster_until (&cluster, is_visible, 60 * TIME_SECOND, "the load");
    cr_assert_gt (part (&cluster, 3)->cut, 5);
    cr_assert_null (the_log (&cluster)->stuck[3].reason);
    cluster_release (&cluster);
}

/* A load whose own file is damaged says nothing of the partition, which has it not yet. */
Test (stuck, are_not_those_of_a_damaged_load)
{
    cluster_t cluster;
    start (&cluster, 0);
    load = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_waiting, TIME_SECOND, "the load to be placed");
    (void)snprintf (cluster.damaged, sizeof cluster.damaged, "%s",
                    cluster.core->loads[0]->logs[0].parts[2].runs[0].path);
    cluster_run (&cluster, 5 * TIME_SECOND);
    cr_assert (is_waiting (&cluster));
    cr_assert_not_null (cluster.core->loads[0]->damaged.reason);
    cr_assert_null (the_log (&cluster)->stuck[2].reason);
    char first[33];
    (void)snprintf (first, sizeof first, "%s", load); /* its text is written over by the next */
    load = cluster_load (&cluster, 'b');
    cluster_until (&cluster, is_visible, 60 * TIME_SECOND, "another load");
    load = first;
    cr_assert (is_waiting (&cluster));
    cluster.damaged[0] = '\0';
    cluster_until (&cluster, is_visible, 60 * TIME_SECOND, "the load");
    cluster_release (&cluster);
}

/* A load comes in above a layer that cannot be read. */
Test (stuck, with_a_damaged_layer_keep_no_loads_waiting)
{
    cluster_t cluster;
    start (&cluster, 0);
    (void)snprintf (cluster.damaged, sizeof cluster.damaged, "%s",
                    part (&cluster, 1)->runs[0].path);
    waited_for = cluster_recompute_full (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    load = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    cluster_release (&cluster);
}

/* What goes needs every layer to be written anew, which fails; what comes in needs not. */
Test (stuck, with_an_unload_under_way_keep_no_loads_waiting)
{
    cluster_t cluster;
    start (&cluster, TIME_SECOND);
    load = cluster_load (&cluster, 'a');
    cluster_until (&cluster, is_visible, TIME_SECOND, "the load");
    (void)snprintf (cluster.damaged, sizeof cluster.damaged, "%s",
                    part (&cluster, 1)->runs[0].path);
    wire_field_string (call_begin (&cluster, MESSAGE_UNLOAD), "id", load);
    cr_assert_eq (call_end (&cluster).kind, MESSAGE_UNLOAD_OK);
    cluster_run (&cluster, 2 * TIME_SECOND);
    cr_assert_str_eq (cluster_load_state (&cluster, load), "unloading");
    char first[33];
    (void)snprintf (first, sizeof first, "%s", load); /* its text is written over by the next */
    load = cluster_load (&cluster, 'b');
    cluster_until (&cluster, is_visible, 60 * TIME_SECOND, "another load");
    cr_assert_str_eq (cluster_load_state (&cluster, first), "unloading");
    cluster_release (&cluster);
}

Test (stuck, are_tried_ever_more_rarely)
{
    static const int64_t seconds[] = { 10, 20, 40, 80 };
    cluster_t cluster;
    start (&cluster, TIME_SECOND);
    cluster.damaged_logs[2] = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    for (unsigned i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        int64_t took = 0;
        for (; the_log (&cluster)->stuck[2].failures == i + 1; took += 100 * TIME_MS)
            cluster_run (&cluster, 100 * TIME_MS);
        cr_assert_eq (the_log (&cluster)->stuck[2].failures, i + 2);
        cr_assert_geq (took, seconds[i] * TIME_SECOND - TIME_SECOND);
        cr_assert_leq (took, seconds[i] * TIME_SECOND + TIME_SECOND);
    }
    cr_assert_lt (cluster_manifest (&cluster), 10); /* what is new in it makes no recompute due */
    cluster_release (&cluster);
}

Test (stuck, are_tried_under_new_definitions)
{
    cluster_t cluster;
    start (&cluster, 0);
    cluster.damaged_logs[2] = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cluster.damaged_logs[2] = false;
    cluster_run (&cluster, TIME_SECOND);
    cr_assert (the_log (&cluster)->stuck[2].reason);
    cluster_apply (&cluster, "views:\n  other:\n    from: payments\n    features:\n"
                             "      n: count() over 1h\n");
    cluster_run (&cluster, TIME_SECOND);
    cr_assert_null (the_log (&cluster)->stuck[2].reason);
    cr_assert_gt (part (&cluster, 2)->cut, 5);
    cluster_release (&cluster);
}

Test (stuck, all_at_once_fail_the_recompute)
{
    cluster_t cluster;
    start (&cluster, 0);
    memset (cluster.damaged_logs, 1, sizeof cluster.damaged_logs);
    uint64_t manifest = cluster_manifest (&cluster);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, has_failed, TIME_SECOND, "the failure");
    cr_assert_eq (cluster_manifest (&cluster), manifest);
    cluster_release (&cluster);
}

/* Before anything was published, too. */
Test (stuck, in_the_first_recompute_are_empty_in_it)
{
    cluster_t cluster;
    cluster_init (&cluster, 1, 0);
    cluster_apply (&cluster, payments_definitions);
    (void)cluster_add (&cluster, "s1", "speed");
    (void)cluster_add (&cluster, "b1", "batch");
    (void)cluster_add (&cluster, "v1", "serving");
    cluster_run (&cluster, 2 * LEASE);
    cluster_send (&cluster, 5);
    cluster.damaged_logs[2] = true;
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cr_assert_eq (part (&cluster, 2)->cut, 0);
    cr_assert_eq (part (&cluster, 0)->cut, 5);
    cluster_restart (&cluster); /* what the catalog has of it can be read */
    cluster.damaged_logs[2] = false;
    cluster_run (&cluster, 2 * LEASE);
    waited_for = cluster_recompute (&cluster);
    cluster_until (&cluster, is_trimmed, TIME_SECOND, "the trim");
    cr_assert_gt (part (&cluster, 2)->cut, 0);
    cluster_release (&cluster);
}
