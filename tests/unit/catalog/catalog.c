#include "catalog/catalog.h"

#include "base/mem.h"
#include "tests/rig/cases.h"
#include "tests/sim/disk/disk.h"
#include "tests/unit/catalog/model.h"

#include <criterion/criterion.h>
#include <string.h>

static error_t error;

#define OK(call) cr_assert_eq ((call), STATUS_OK, "%s", error.text)

/* A catalog on a disk that fails, and one that is told the same and never does. */
typedef struct twins {
    sim_disk_t *disk;
    sim_disk_t *safe_disk;
    catalog_t *catalog;
    catalog_t *safe;
    char *before; /* what the safe one held before the last step */
    char *after;
} twins_t;

static twins_t twins_new (uint64_t seed)
{
    twins_t self = { .disk = sim_disk_new (seed, 0), .safe_disk = sim_disk_new (seed, 0) };
    OK (model_open (sim_disk_fs (self.safe_disk), &self.safe, &error));
    self.before = model_dump (self.safe);
    self.after = mem_string (self.before);
    return self;
}

static void twins_release (twins_t *self)
{
    catalog_close (&self->catalog);
    catalog_close (&self->safe);
    mem_free (self->before);
    mem_free (self->after);
    cr_assert_eq (sim_disk_open_files (self->disk), 0);
    sim_disk_destroy (&self->disk);
    sim_disk_destroy (&self->safe_disk);
}

static void step_safe (twins_t *self, uint64_t seed)
{
    OK (model_step (self->safe, seed, &error));
    mem_free (self->before);
    self->before = self->after;
    self->after = model_dump (self->safe);
}

/* Does the catalog hold what the safe one does after the step, or before it (as may be when the
 * step failed)? When it does not have the step, the step is done again on it. */
static void agree (twins_t *self, uint64_t seed, bool failed)
{
    char *held = model_dump (self->catalog);
    bool has = strcmp (held, self->after) == 0;
    cr_assert (has || (failed && strcmp (held, self->before) == 0),
               "holds:\n%s\nbefore:\n%s\nafter:\n%s", held, self->before, self->after);
    mem_free (held);
    if (has)
        return;
    OK (model_step (self->catalog, seed, &error));
    held = model_dump (self->catalog);
    cr_assert_str_eq (held, self->after);
    mem_free (held);
}

/* Opens, crashing as often as it takes. */
static void open_again (twins_t *self, random_t *random)
{
    fs_t *fs = sim_disk_fs (self->disk);
    for (;;) {
        bool crash = random_chance (random, 0.5);
        if (crash)
            sim_disk_fail_after (fs, random_below (random, 60));
        if (model_open (fs, &self->catalog, &error) == STATUS_OK)
            break;
        cr_assert (crash, "%s", error.text);
        sim_disk_crash (self->disk, random);
    }
    sim_disk_fail_after (fs, SIM_DISK_NEVER);
}

Test (catalog, a_crash_loses_nothing_that_was_answered_and_halves_nothing)
{
    for (uint64_t seed = 0; seed < cases (60); seed++) {
        random_t random;
        random_seed (&random, seed);
        twins_t twins = twins_new (seed);
        open_again (&twins, &random);
        for (int step = 0; step < 40; step++) {
            uint64_t what = random_next (&random);
            bool crash = random_chance (&random, 0.5);
            if (crash)
                sim_disk_fail_after (sim_disk_fs (twins.disk), random_below (&random, 40));
            status_t status = model_step (twins.catalog, what, &error);
            cr_assert (crash || status == STATUS_OK, "%s", error.text);
            step_safe (&twins, what);
            if (crash) {
                catalog_close (&twins.catalog);
                sim_disk_crash (twins.disk, &random);
                open_again (&twins, &random);
            }
            agree (&twins, what, status != STATUS_OK);
        }
        twins_release (&twins);
    }
}

/* One run of calls, cut off at every possible place in turn. */
Test (catalog, every_crash_point_of_a_publish_is_harmless)
{
    for (uint64_t at = 0; at < 200; at += cases_apart (1)) {
        random_t random;
        random_seed (&random, at);
        twins_t twins = twins_new (at);
        fs_t *fs = sim_disk_fs (twins.disk);
        OK (model_open (fs, &twins.catalog, &error));
        for (uint64_t what = 0; what < 12; what++) {
            OK (model_step (twins.catalog, what, &error));
            step_safe (&twins, what);
        }
        sim_disk_settle (twins.disk);
        sim_disk_fail_after (fs, at);
        uint64_t last = 12;
        status_t status = STATUS_OK;
        for (; last < 24; last++) {
            status = model_step (twins.catalog, last, &error);
            step_safe (&twins, last);
            if (status != STATUS_OK)
                break;
        }
        catalog_close (&twins.catalog);
        sim_disk_crash (twins.disk, &random);
        OK (model_open (fs, &twins.catalog, &error));
        agree (&twins, last, status != STATUS_OK);
        twins_release (&twins);
    }
}

static void fail_and_go_on (const sim_disk_faults_t *faults, uint64_t seeds)
{
    uint64_t failures = 0;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        random_t random;
        random_seed (&random, seed);
        twins_t twins = twins_new (seed);
        OK (model_open (sim_disk_fs (twins.disk), &twins.catalog, &error));
        for (int step = 0; step < 60; step++) {
            uint64_t what = random_next (&random);
            sim_disk_set_faults (twins.disk, faults);
            status_t status = model_step (twins.catalog, what, &error);
            cr_assert (status == STATUS_OK || status == STATUS_IO || status == STATUS_NO_SPACE,
                       "%s", error.text);
            failures += status != STATUS_OK;
            sim_disk_set_faults (twins.disk, &(sim_disk_faults_t){ 0 });
            step_safe (&twins, what);
            agree (&twins, what, status != STATUS_OK);
            if (random_chance (&random, 0.2)) {
                catalog_close (&twins.catalog);
                sim_disk_crash (twins.disk, &random);
                OK (model_open (sim_disk_fs (twins.disk), &twins.catalog, &error));
                agree (&twins, what, false);
            }
        }
        twins_release (&twins);
    }
    cr_assert_gt (failures, seeds);
}

Test (catalog, goes_on_after_a_disk_that_failed_for_a_while)
{
    sim_disk_faults_t faults = {
        .read_error = 0.002, .write_error = 0.01, .name_error = 0.01, .sync_error = 0.1
    };
    fail_and_go_on (&faults, cases (40));
}

Test (catalog, goes_on_after_a_full_disk)
{
    sim_disk_faults_t faults = { .no_space = 0.05 };
    fail_and_go_on (&faults, cases (20));
}

Test (catalog, a_full_disk_is_told_with_what_to_do)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    catalog_t *catalog;
    OK (model_open (sim_disk_fs (disk), &catalog, &error));
    sim_disk_set_faults (disk, &(sim_disk_faults_t){ .no_space = 1 });
    uint64_t number;
    cr_assert_eq (catalog_next_task (catalog, &number, &error), STATUS_NO_SPACE);
    cr_assert_not_null (strstr (error.text, "free some space"), "%s", error.text);
    sim_disk_set_faults (disk, &(sim_disk_faults_t){ 0 });
    OK (catalog_next_task (catalog, &number, &error));
    catalog_close (&catalog);
    sim_disk_destroy (&disk);
}

Test (catalog, a_second_coordinator_fences_the_first)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    catalog_t *first;
    catalog_t *second;
    OK (model_open (sim_disk_fs (disk), &first, &error));
    OK (model_open (sim_disk_fs (disk), &second, &error));
    cr_assert_eq (catalog_term (second), catalog_term (first) + 1);
    uint64_t number;
    cr_assert_eq (catalog_next_task (first, &number, &error), STATUS_FENCED);
    OK (catalog_next_task (second, &number, &error));
    cr_assert_eq (number, 1);
    catalog_close (&first);
    catalog_close (&second);
    sim_disk_destroy (&disk);
}

/* What it says of the leader. */
static catalog_leader_t leader_of (catalog_t *catalog)
{
    catalog_leader_t leader;
    OK (catalog_leader (catalog, &leader, &error));
    return leader;
}

Test (catalog, nothing_is_written_by_who_does_not_lead)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    catalog_t *catalog;
    uint64_t number;
    OK (catalog_open (sim_disk_fs (disk), "c.db", "one", 4, &catalog, &error));
    cr_assert_eq (catalog_term (catalog), 0);
    cr_assert_eq (leader_of (catalog).term, 0);
    cr_assert_eq (catalog_next_task (catalog, &number, &error), STATUS_FENCED);
    cr_assert_eq (catalog_renew (catalog, 1, &error), STATUS_FENCED);
    cr_assert_eq (catalog_resign (catalog, &error), STATUS_FENCED);
    catalog_close (&catalog);
    cr_assert_eq (sim_disk_open_files (disk), 0);
    sim_disk_destroy (&disk);
}

Test (catalog, who_leads_is_told_and_replaced_only_by_who_has_seen_its_latest_renewal)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    catalog_t *first, *second;
    const catalog_leader_t us = { .name = "two", .endpoint = "tcp://two", .lease = 7 };
    uint64_t version;
    OK (model_open (fs, &first, &error));
    OK (catalog_open (fs, "meta/catalog.db", "test", MODEL_PARTITIONS, &second, &error));
    catalog_leader_t seen = leader_of (second);
    cr_assert_eq (seen.term, 1);
    cr_assert_str_eq (seen.name, "model");
    cr_assert_str_eq (seen.endpoint, "tcp://model");
    cr_assert_eq (seen.lease, 1);
    cr_assert (!seen.watched && !seen.resigned);
    OK (catalog_watch (second, seen.term, &error));
    cr_assert (leader_of (first).watched);
    OK (catalog_renew (first, 1, &error));
    cr_assert_eq (catalog_lead (second, &seen, &us, &error), STATUS_STALE);
    cr_assert_eq (catalog_watch (second, seen.term + 1, &error), STATUS_STALE);
    OK (catalog_apply (first, 0, 1, "", NULL, 0, &version, &error));
    OK (catalog_resign (first, &error));
    seen = leader_of (second);
    cr_assert (seen.resigned);
    OK (catalog_lead (second, &seen, &us, &error));
    cr_assert_eq (catalog_term (second), 2);
    cr_assert_eq (catalog_definitions_version (second), version); /* of when it leads */
    seen = leader_of (first);
    cr_assert_eq (seen.term, 2);
    cr_assert_str_eq (seen.name, "two");
    cr_assert (!seen.watched && !seen.resigned);
    cr_assert_eq (catalog_renew (first, 1, &error), STATUS_FENCED);
    OK (catalog_renew (second, 1, &error));
    catalog_close (&first);
    catalog_close (&second);
    sim_disk_destroy (&disk);
}

Test (catalog, a_process_stopped_in_a_transaction_keeps_the_others_out_until_it_dies)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *stopped = sim_disk_mount (disk);
    catalog_t *catalog;
    file_t *lock;
    catalog_leader_t leader;
    uint64_t number;
    OK (model_open (sim_disk_fs (disk), &catalog, &error));
    OK (fs_open (stopped, "meta/catalog.db.lock", FS_WRITE, &lock, &error));
    OK (fs_lock (stopped, lock, 0, &error));
    cr_assert_eq (catalog_next_task (catalog, &number, &error), STATUS_BUSY);
    cr_assert_eq (catalog_leader (catalog, &leader, &error), STATUS_BUSY);
    cr_assert_not_null (strstr (error.text, "in the middle of a transaction"), "%s", error.text);
    fs_close (stopped, &lock);
    OK (catalog_next_task (catalog, &number, &error));
    cr_assert_eq (number, 1);
    catalog_close (&catalog);
    sim_disk_destroy (&disk);
}

/* Somebody tidied up, and another process made a new file for the lock. */
Test (catalog, a_lock_that_was_removed_keeps_nobody_apart_and_is_taken_anew)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *other = sim_disk_mount (disk);
    catalog_t *catalog;
    file_t *lock;
    uint64_t number;
    OK (model_open (sim_disk_fs (disk), &catalog, &error));
    OK (catalog_next_task (catalog, &number, &error));
    OK (fs_remove (other, "meta/catalog.db.lock", &error));
    OK (fs_open (other, "meta/catalog.db.lock", FS_WRITE, &lock, &error));
    OK (fs_lock (other, lock, 0, &error));
    cr_assert_eq (catalog_next_task (catalog, &number, &error), STATUS_BUSY);
    fs_close (other, &lock);
    OK (fs_remove (other, "meta/catalog.db.lock", &error));
    OK (catalog_next_task (catalog, &number, &error));
    catalog_close (&catalog);
    cr_assert_eq (sim_disk_open_files (disk), 0);
    sim_disk_destroy (&disk);
}

/* Two that have it open read what the other wrote, and never half of it. */
Test (catalog, what_one_process_wrote_another_reads)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    catalog_t *writer, *reader;
    OK (model_open (sim_disk_fs (disk), &writer, &error));
    OK (catalog_open (sim_disk_mount (disk), "meta/catalog.db", "test", MODEL_PARTITIONS, &reader,
                      &error));
    for (uint64_t what = 0; what < 60; what++) {
        OK (model_step (writer, what, &error));
        char *ours = model_dump (writer);
        char *theirs = model_dump (reader);
        cr_assert_str_eq (theirs, ours);
        mem_free (ours);
        mem_free (theirs);
    }
    catalog_close (&writer);
    catalog_close (&reader);
    sim_disk_destroy (&disk);
}

Test (catalog, who_leads_can_be_read_while_the_disk_is_full)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    catalog_t *catalog;
    uint64_t number;
    OK (model_open (sim_disk_fs (disk), &catalog, &error));
    sim_disk_set_faults (disk, &(sim_disk_faults_t){ .no_space = 1 });
    cr_assert_eq (catalog_next_task (catalog, &number, &error), STATUS_NO_SPACE);
    for (int i = 0; i < 3; i++)
        cr_assert_eq (leader_of (catalog).term, 1);
    sim_disk_set_faults (disk, &(sim_disk_faults_t){ 0 });
    OK (catalog_next_task (catalog, &number, &error));
    catalog_close (&catalog);
    sim_disk_destroy (&disk);
}

Test (catalog, another_cluster_or_number_of_partitions_is_refused)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    catalog_t *catalog;
    OK (catalog_open (fs, "c.db", "one", 4, &catalog, &error));
    catalog_close (&catalog);
    cr_assert_eq (catalog_open (fs, "c.db", "two", 4, &catalog, &error), STATUS_INVALID);
    cr_assert_null (catalog);
    cr_assert_eq (catalog_open (fs, "c.db", "one", 5, &catalog, &error), STATUS_INVALID);
    OK (catalog_open (fs, "c.db", "one", 4, &catalog, &error));
    catalog_close (&catalog);
    cr_assert_eq (sim_disk_open_files (disk), 0);
    sim_disk_destroy (&disk);
}

Test (catalog, a_file_that_is_no_catalog_is_refused)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    char bytes[8192];
    memset (bytes, 'x', sizeof bytes);
    OK (fs_replace (fs, "c.db", bytes, sizeof bytes, &error));
    catalog_t *catalog;
    cr_assert_eq (catalog_open (fs, "c.db", "one", 4, &catalog, &error), STATUS_CORRUPT);
    cr_assert_eq (sim_disk_open_files (disk), 0);
    sim_disk_destroy (&disk);
}

Test (catalog, an_epoch_never_goes_back)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    catalog_t *catalog;
    OK (model_open (sim_disk_fs (disk), &catalog, &error));
    catalog_assignment_t rows[] = { { .partition = 0, .epoch = 5, .node = "a", .endpoint = "e" },
                                    { .partition = 1, .epoch = 5, .node = "a", .endpoint = "e" } };
    OK (catalog_assign (catalog, rows, 2, &error));
    rows[0].epoch = 6;
    cr_assert_eq (catalog_assign (catalog, rows, 2, &error), STATUS_STALE);
    arena_t *arena = arena_new (1024);
    catalog_assignment_t *held;
    size_t count;
    OK (catalog_assignments (catalog, arena, &held, &count, &error));
    cr_assert_eq (count, 2);
    cr_assert_eq (held[0].epoch, 5);
    arena_destroy (&arena);
    catalog_close (&catalog);
    sim_disk_destroy (&disk);
}

Test (catalog, changes_based_on_an_old_picture_are_refused)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    catalog_t *catalog;
    OK (model_open (sim_disk_fs (disk), &catalog, &error));
    uint64_t version;
    OK (catalog_apply (catalog, 0, 1, "first", NULL, 0, &version, &error));
    cr_assert_eq (version, 1);
    cr_assert_eq (catalog_apply (catalog, 0, 1, "second", NULL, 0, &version, &error), STATUS_STALE);
    catalog_manifest_t manifest = { .log = "a/b", .number = 2, .dataset = "d" };
    cr_assert_eq (catalog_publish (catalog, &manifest, 1, NULL, 0, NULL, 0, 1, &error),
                  STATUS_STALE);
    manifest.number = 1;
    OK (catalog_publish (catalog, &manifest, 1, NULL, 0, NULL, 0, 1, &error));
    cr_assert_eq (catalog_publish (catalog, &manifest, 1, NULL, 0, NULL, 0, 1, &error),
                  STATUS_STALE);
    catalog_close (&catalog);
    sim_disk_destroy (&disk);
}
