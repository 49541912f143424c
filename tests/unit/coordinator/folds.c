/* Layers that become one in tasks of their own, while recomputes go on above them. */
#include "coordinator/state.h"
#include "tests/unit/coordinator/actor.h"
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>

static uint64_t waited_for;

static bool is_trimmed (cluster_t *self)
{
    return strcmp (cluster_recompute_state (self, waited_for), "trimmed") == 0;
}

static log_t *log_of (const cluster_t *self)
{
    return self->core->logs[0];
}

static void recompute (cluster_t *cluster, uint64_t events)
{
    cluster_send (cluster, events);
    waited_for = cluster_recompute (cluster);
    cluster_until (cluster, is_trimmed, 2 * TIME_SECOND, "the trim");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_leq (log_of (cluster)->manifest.parts[p].layers_count, 9);
}

static size_t folds (const cluster_t *self)
{
    size_t count = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        count += log_of (self)->folds[p] != NULL;
    return count;
}

static bool has_none (cluster_t *self)
{
    return folds (self) == 0;
}

/* Every partition should fold, and a worker has the fold of the first. */
static actor_t *start (cluster_t *cluster)
{
    cluster_init (cluster, 1, 0);
    cluster_apply (cluster, payments_definitions);
    (void)cluster_add (cluster, "s1", "speed");
    actor_t *batch = cluster_add (cluster, "b1", "batch");
    (void)cluster_add (cluster, "v1", "serving");
    batch->keeps_folds = true;
    cluster_run (cluster, 2 * LEASE);
    for (unsigned i = 0; folds (cluster) == 0 && i < 12; i++)
        recompute (cluster, 1);
    cr_assert_eq (folds (cluster), PARTITIONS);
    cluster_run (cluster, LEASE);
    size_t pinned = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        pinned += folds_pinned (log_of (cluster), p) > 0;
    cr_assert_eq (pinned, 1, "a worker has %zu folds", pinned);
    cr_assert_gt (folds_pinned (log_of (cluster), 0), 0);
    return batch;
}

Test (folds, keep_no_recompute_waiting)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster);
    log_t *log = log_of (&cluster);
    size_t pinned = folds_pinned (log, 0);
    char lowest[256];
    (void)snprintf (lowest, sizeof lowest, "%s", log->manifest.parts[0].runs[0].path);
    for (unsigned i = 0; i < 6; i++) {
        recompute (&cluster, 1);
        cr_assert_geq (log->manifest.parts[0].layers_count, pinned);
        cr_assert_eq (folds_pinned (log, 0), pinned);
    }
    cr_assert_str_eq (log->manifest.parts[0].runs[0].path, lowest);
    batch->keeps_folds = false;
    uint64_t manifest = cluster_manifest (&cluster);
    size_t layers[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++)
        layers[p] = log->manifest.parts[p].layers_count;
    cluster_until (&cluster, has_none, 2 * EARLY_INTERVAL, "all folds in a manifest");
    cr_assert_eq (cluster_manifest (&cluster), manifest + 1); /* of all of them */
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_lt (log->manifest.parts[p].layers_count, layers[p], "partition %u", p);
    cluster_run (&cluster, 2 * EARLY_INTERVAL);
    cr_assert_eq (cluster_manifest (&cluster), manifest + 1); /* and then there is peace */
    cluster_release (&cluster);
}

/* What is made but not in a manifest yet is in nobody's way, and is not taken for old. */
Test (folds, wait_for_the_next_publish)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster);
    log_t *log = log_of (&cluster);
    size_t layers = log->manifest.parts[0].layers_count;
    batch->keeps_folds = false;
    cluster_run (&cluster, LEASE);
    cr_assert (folds_made (log, 0));
    sweep_soon (cluster.core);
    cluster_run (&cluster, LEASE);
    recompute (&cluster, 1);
    cr_assert_eq (folds (&cluster), 0);
    cr_assert_leq (log->manifest.parts[0].layers_count, layers);
    for (size_t i = 0; i < log->manifest.parts[0].runs_count; i++) {
        uint64_t size;
        file_t *file;
        error_t error;
        cr_assert_eq (fs_open (cluster.rig.env.fs, log->manifest.parts[0].runs[i].path, FS_READ,
                               &file, &error),
                      STATUS_OK, "%s", error.text);
        cr_assert_eq (fs_size (cluster.rig.env.fs, file, &size, &error), STATUS_OK);
        fs_close (cluster.rig.env.fs, &file);
    }
    cluster_release (&cluster);
}

Test (folds, end_when_all_layers_go)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster);
    waited_for = cluster_recompute_full (&cluster);
    batch->keeps_folds = false;
    cluster_until (&cluster, is_trimmed, 2 * TIME_SECOND, "bases");
    cr_assert_eq (folds (&cluster), 0);
    cluster_run (&cluster, 2 * EARLY_INTERVAL);
    cr_assert_eq (cluster.core->tasks_count, 0);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq (log_of (&cluster)->manifest.parts[p].layers_count, 1);
    cluster_release (&cluster);
}

Test (folds, are_planned_anew_after_a_restart)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster);
    cluster_restart (&cluster);
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_eq (folds (&cluster), 0);
    recompute (&cluster, 1);
    cr_assert_eq (folds (&cluster), PARTITIONS);
    batch->keeps_folds = false;
    cluster_until (&cluster, has_none, 2 * EARLY_INTERVAL, "all folds in a manifest");
    cluster_release (&cluster);
}

Test (folds, that_cannot_be_read_leave_what_is_new_in_its_place)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster);
    log_t *log = log_of (&cluster);
    /* what a fold is made of above the base, of which recomputes read nothing */
    (void)snprintf (cluster.damaged, sizeof cluster.damaged, "%s",
                    log->manifest.parts[0].runs[1].path);
    actor_restart (&cluster, batch);
    batch->keeps_folds = false;
    cluster_run (&cluster, 2 * LEASE);
    cr_assert_null (log->folds[0]);
    cr_assert_not_null (log->stuck[0].reason);
    uint64_t cut = log->manifest.parts[0].cut;
    recompute (&cluster, 1);
    cr_assert_gt (log->manifest.parts[0].cut, cut);
    cluster_release (&cluster);
}

/* What has nothing to do with a layer keeps deltas from nothing. */
Test (folds, that_fail_otherwise_are_begun_later)
{
    cluster_t cluster;
    actor_t *batch = start (&cluster);
    log_t *log = log_of (&cluster);
    batch->fails_with = "limit";
    batch->keeps_folds = false;
    cluster_run (&cluster, LEASE);
    batch->fails_with = NULL;
    batch->keeps_folds = true;
    cr_assert_eq (folds (&cluster), 0);
    cr_assert_null (log->stuck[0].reason);
    recompute (&cluster, 1);
    cr_assert_eq (folds (&cluster), 0);
    cluster_run (&cluster, 3 * RETRY_LAST);
    recompute (&cluster, 1);
    cr_assert_eq (folds (&cluster), PARTITIONS);
    cluster_release (&cluster);
}

/* Old files go while a fold takes long, and its own stay. */
Test (folds, keep_no_old_files)
{
    cluster_t cluster;
    (void)start (&cluster);
    log_t *log = log_of (&cluster);
    for (unsigned i = 0; i < 4; i++)
        recompute (&cluster, 1);
    sweep_soon (cluster.core);
    cluster_run (&cluster, 2 * LEASE);
    uint64_t fold = 0; /* the number of its task */
    for (size_t i = 0; i < cluster.core->tasks_count; i++)
        if (cluster.core->tasks[i]->fold == log->folds[0])
            fold = cluster.core->tasks[i]->id;
    cr_assert_gt (fold, 0);
    cr_assert_gt (log->swept_least, fold);
    cluster_release (&cluster);
}

Test (folds, of_a_stream_that_is_deleted_end)
{
    cluster_t cluster;
    (void)start (&cluster);
    log_of (&cluster)->dropped = true;
    cluster_run (&cluster, LEASE);
    cr_assert_eq (folds (&cluster), 0);
    cr_assert_eq (cluster.core->tasks_count, 0);
    cluster_release (&cluster);
}
