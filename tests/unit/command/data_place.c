/* data_place.c - a command at work on a data directory keeps no node from starting on it for good.
 */
#include "client/cli/data_place.h"
#include "storage/cluster_file.h"
#include "storage/posix_fs.h"
#include "tests/rig/scratch.h"

#include <criterion/criterion.h>

static error_t error;
static scratch_t scratch;
static fs_t *fs; /* of the nodes */

static void set_up (void)
{
    const cluster_file_t file = { .name = "shop", .id = 1, .place = 2, .partitions = 4 };
    scratch_make (&scratch);
    cr_assert_eq (posix_fs_open (scratch.path, &fs, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (cluster_file_write (fs, &file, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (fs_make_dir (fs, "nodes", &error), STATUS_OK, "%s", error.text);
}

static void tear_down (void)
{
    posix_fs_destroy (&fs);
    scratch_remove (&scratch);
}

TestSuite (data_place, .init = set_up, .fini = tear_down, .timeout = 60);

static file_t *take (const char *name)
{
    file_t *lock;
    cr_assert_eq (posix_fs_lock (fs, name, &lock, &error), STATUS_OK, "%s: %s", name, error.text);
    return lock;
}

static bool is_free (const char *name)
{
    file_t *lock;
    if (posix_fs_lock (fs, name, &lock, &error) != STATUS_OK)
        return false;
    fs_close (fs, &lock);
    return true;
}

/* A node ran here once. */
static void leave (const char *name)
{
    file_t *lock = take (name);
    fs_close (fs, &lock);
}

static data_place_t open_place (void)
{
    data_place_t place;
    cr_assert_eq (data_place_open (&place, scratch.path, &error), STATUS_OK, "%s", error.text);
    return place;
}

Test (data_place, keeps_nodes_waiting_where_none_runs)
{
    leave ("nodes/coordinator.lock");
    leave ("nodes/serving.lock");
    data_place_t place = open_place ();
    cr_assert (!place.running);
    cr_assert (!is_free (CLUSTER_LOCK));
    cr_assert (!is_free ("nodes/coordinator.lock"));
    data_place_release (&place);
    cr_assert (is_free (CLUSTER_LOCK));
    cr_assert (is_free ("nodes/coordinator.lock"));
}

Test (data_place, holds_nothing_where_one_runs)
{
    leave ("nodes/coordinator.lock"); /* was killed, and is started again while we look */
    file_t *serving = take ("nodes/serving.lock");
    data_place_t place = open_place ();
    cr_assert (place.running);
    cr_assert (is_free (CLUSTER_LOCK));
    cr_assert (is_free ("nodes/coordinator.lock"));
    data_place_release (&place);
    fs_close (fs, &serving);
}

Test (data_place, takes_no_lock_of_a_node_that_starts)
{
    leave ("nodes/coordinator.lock");
    file_t *starting = take (CLUSTER_LOCK);
    data_place_t place = open_place ();
    cr_assert (place.running);
    cr_assert (is_free ("nodes/coordinator.lock"));
    data_place_release (&place);
    fs_close (fs, &starting);
}
