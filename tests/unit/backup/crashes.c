/* Backups and restores that are cut off at any call. */
#include "tests/unit/backup/house.h"

#include "base/fs_below.h"
#include "tests/rig/cases.h"
#include "tests/unit/fsck/stored.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test (backup, cut_off_anywhere_it_leaves_a_whole_backup_or_none, .timeout = 300)
{
    size_t whole = 0;
    size_t none = 0;
    for (uint64_t at = 0; at < 2600; at += cases_apart (13)) {
        house_t house = house_new (at % 3);
        backup_order_t order = order_of (&house, "safe");
        backup_summary_t summary;
        order.copy = at % 2 == 0;
        order.fs = sim_disk_mount (house.disk);
        sim_disk_fail_after (order.fs, at);
        status_t made = backup_make (&order, &summary, &error);
        sim_disk_crash (house.disk, &house.random);
        status_t status = backup_verify (house.fs, "safe", NULL, &summary, &error);
        cr_assert (status == STATUS_OK || status == STATUS_NOT_FOUND, "at %llu: %s",
                   (unsigned long long)at, error.text);
        cr_assert (made != STATUS_OK || status == STATUS_OK, "at %llu", (unsigned long long)at);
        whole += status == STATUS_OK;
        none += status != STATUS_OK;
        order.fs = house.fs;
        status_t again = backup_make (&order, &summary, &error);
        cr_assert_eq (again, status == STATUS_OK && made == STATUS_OK ? STATUS_EXISTS : again);
        cr_assert (again == STATUS_OK || again == STATUS_EXISTS, "at %llu: %s",
                   (unsigned long long)at, error.text);
        OK (backup_verify (house.fs, "safe", NULL, &summary, &error));
        expect_whole (house.fs, "data");
        house_release (&house);
    }
    cr_assert (whole > 0 && none > 0, "%zu whole, %zu none", whole, none);
}

Test (backup, a_restore_that_is_cut_off_leaves_nothing_to_start_from, .timeout = 300)
{
    house_t house = house_new (1);
    backup_order_t order = order_of (&house, "safe");
    backup_summary_t summary;
    OK (backup_make (&order, &summary, &error));
    sim_disk_settle (house.disk);
    size_t done = 0;
    for (uint64_t at = 0; at < 700; at += 7) {
        char target[32];
        cluster_file_t cluster;
        fs_t *dying = sim_disk_mount (house.disk);
        snprintf (target, sizeof target, "new-%llu", (unsigned long long)at);
        fs_t *below = fs_below_new (house.fs, target);
        sim_disk_fail_after (dying, at);
        status_t made = backup_restore (dying, "safe", target, 7, NULL, &summary, &error);
        sim_disk_crash (house.disk, &house.random);
        status_t status = cluster_file_read (below, &cluster, &error);
        cr_assert (made != STATUS_OK || status == STATUS_OK);
        if (status == STATUS_OK)
            expect_whole (house.fs, target);
        done += status == STATUS_OK;
        fs_below_destroy (&below);
    }
    cr_assert (done > 0 && done < 100, "%zu", done);
    OK (backup_verify (house.fs, "safe", NULL, &summary, &error));
    house_release (&house);
}

static status_t stop_soon (void *arg, error_t *stopped)
{
    int *steps = arg;
    return ++*steps < 10 ? STATUS_OK : error_set (stopped, STATUS_CANCELLED, "stopped");
}

Test (backup, a_restore_that_fails_removes_what_it_made_and_one_that_was_cut_off_begins_anew,
      .timeout = 300)
{
    house_t house = house_new (1);
    backup_order_t order = order_of (&house, "safe");
    backup_summary_t summary;
    OK (backup_make (&order, &summary, &error));
    sim_disk_settle (house.disk);
    size_t anew = 0;
    for (uint64_t at = 20; at < 400; at += 20) {
        char target[32];
        snprintf (target, sizeof target, "new-%llu", (unsigned long long)at);
        fs_t *below = fs_below_new (house.fs, target);
        fs_t *dying = sim_disk_mount (house.disk);
        sim_disk_fail_after (dying, at);
        status_t made = backup_restore (dying, "safe", target, 7, NULL, &summary, &error);
        sim_disk_crash (house.disk, &house.random);
        bool unfinished = cluster_file_is_unfinished (below);
        fs_below_destroy (&below);
        if (made != STATUS_OK && !unfinished)
            continue; /* before it had begun */
        if (unfinished)
            OK (backup_restore (house.fs, "safe", target, 7, NULL, &summary, &error));
        anew += unfinished;
        expect_whole (house.fs, target);
        cr_assert_eq (backup_restore (house.fs, "safe", target, 7, NULL, &summary, &error),
                      STATUS_EXISTS, "what is whole is in the way");
        expect_whole (house.fs, target);
    }
    cr_assert (anew > 0);

    int steps = 0;
    backup_watch_t watch = { .go_on = stop_soon, .arg = &steps };
    cr_assert_eq (backup_restore (house.fs, "safe", "new", 7, &watch, &summary, &error),
                  STATUS_CANCELLED);
    arena_t *arena = arena_new (1 << 16);
    fs_t *below = fs_below_new (house.fs, "new");
    size_t count = 0;
    (void)stored_files (below, arena, &count);
    cr_assert_eq (count, 0, "%zu files stay", count);
    fs_below_destroy (&below);
    arena_destroy (&arena);
    house_release (&house);
}
