/* Backups that are being taken, and nodes of another data directory. */
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <string.h>

static uint64_t waited_for;

static bool is_trimmed (cluster_t *cluster)
{
    return strcmp (cluster_recompute_state (cluster, waited_for), "trimmed") == 0;
}

static void start (cluster_t *cluster)
{
    cluster_init (cluster, 7, 0);
    (void)cluster_add (cluster, "s1", "speed");
    (void)cluster_add (cluster, "b1", "batch");
    (void)cluster_add (cluster, "v1", "serving");
    cluster_run (cluster, 2 * LEASE);
    cluster_apply (cluster, payments_definitions);
    cluster_run (cluster, 2 * LEASE);
}

static void recompute (cluster_t *cluster)
{
    cluster_send (cluster, 5);
    waited_for = cluster_recompute (cluster);
    cluster_until (cluster, is_trimmed, TIME_SECOND, "the trim");
    cluster_run (cluster, LEASE);
}

static message_t ask (cluster_t *cluster, uint64_t id, bool end)
{
    wire_writer_t *writer = call_begin (cluster, MESSAGE_BACKUP);
    if (id != 0)
        wire_field_uint (writer, "id", id);
    if (end)
        wire_field_bool (writer, "end", true);
    return call_end (cluster);
}

static bool is_there (cluster_t *cluster, const char *path)
{
    file_t *file = NULL;
    error_t error;
    status_t status = fs_open (sim_disk_fs (cluster->disk), path, FS_READ, &file, &error);
    fs_close (sim_disk_fs (cluster->disk), &file);
    return status == STATUS_OK;
}

Test (backups, bases_stay_and_recomputes_go_on_until_it_ends)
{
    cluster_t cluster;
    char path[512];
    start (&cluster);
    recompute (&cluster);
    uint64_t base = cluster_log_number (&cluster, 0, "base");
    message_t told = ask (&cluster, 0, false);
    cr_assert_eq (told.kind, MESSAGE_BACKUP_OK);
    uint64_t id = wire_uint (told.body, "id", 0);
    wire_copy (told.body, "catalog", path, sizeof path);
    cr_assert (is_there (&cluster, path));
    recompute (&cluster); /* is told trimmed all the same */
    cr_assert_eq (cluster_log_number (&cluster, 0, "base"), base);
    cr_assert_eq (ask (&cluster, id, false).kind, MESSAGE_BACKUP_OK);
    cr_assert_eq (ask (&cluster, id, true).kind, MESSAGE_BACKUP_OK);
    cluster_run (&cluster, LEASE);
    cr_assert_gt (cluster_log_number (&cluster, 0, "base"), base);
    cr_assert_not (is_there (&cluster, path));
    cr_assert_eq (ask (&cluster, id, false).kind, MESSAGE_ERROR);
    cluster_release (&cluster);
}

Test (backups, one_that_nobody_renews_is_given_up)
{
    cluster_t cluster;
    start (&cluster);
    recompute (&cluster);
    uint64_t base = cluster_log_number (&cluster, 0, "base");
    uint64_t id = wire_uint (ask (&cluster, 0, false).body, "id", 0);
    recompute (&cluster);
    cluster_run (&cluster, 31 * TIME_SECOND);
    cr_assert_gt (cluster_log_number (&cluster, 0, "base"), base);
    cr_assert_eq (ask (&cluster, id, false).kind, MESSAGE_ERROR);
    cluster_release (&cluster);
}

Test (backups, after_a_restart_nothing_of_them_is_left)
{
    cluster_t cluster;
    char path[512];
    start (&cluster);
    message_t told = ask (&cluster, 0, false);
    uint64_t id = wire_uint (told.body, "id", 0);
    wire_copy (told.body, "catalog", path, sizeof path);
    cluster_restart (&cluster);
    cluster_run (&cluster, 4 * LEASE);
    cr_assert_eq (ask (&cluster, id, false).kind, MESSAGE_ERROR);
    cr_assert_not (is_there (&cluster, path));
    cr_assert_eq (ask (&cluster, 0, false).kind, MESSAGE_BACKUP_OK);
    cluster_release (&cluster);
}
