#include "tests/unit/backup/house.h"

#include "backup/listing.h"
#include "base/fs_below.h"
#include "base/mem.h"
#include "fsck/fsck.h"
#include "tests/unit/fsck/stored.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static uint64_t position_of (fs_t *fs, const char *directory, const char *log, uint32_t partition)
{
    listing_t *listing;
    uint64_t offset = UINT64_MAX;
    OK (listing_read (fs, directory, &listing, &error));
    for (size_t i = 0; i < listing->positions_count; i++)
        if (strcmp (listing->positions[i].log, log) == 0 &&
            listing->positions[i].partition == partition)
            offset = listing->positions[i].offset;
    listing_destroy (&listing);
    return offset;
}

Test (backup, what_is_restored_is_whole_and_another_directory_of_the_same_cluster)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        house_t house = house_new (seed);
        backup_order_t order = order_of (&house, "safe/one");
        backup_summary_t summary;
        order.copy = seed % 2 == 1;
        OK (backup_make (&order, &summary, &error));
        cr_assert (order.copy ? summary.copied == summary.bytes || summary.copied > 0
                              : summary.copied < summary.bytes);
        OK (backup_verify (house.fs, "safe/one", NULL, &summary, &error));
        OK (backup_restore (house.fs, "safe/one", "again", 99, NULL, &summary, &error));
        expect_whole (house.fs, "again");
        fs_t *again = fs_below_new (house.fs, "again");
        cluster_file_t before;
        cluster_file_t after;
        OK (cluster_file_read (house.data, &before, &error));
        OK (cluster_file_read (again, &after, &error));
        cr_assert_eq (before.id, after.id);
        cr_assert_eq (after.place, 99);
        catalog_t *old = NULL;
        catalog_t *catalog = NULL;
        arena_t *arena = arena_new (4096);
        catalog_assignment_t *rows;
        size_t count;
        OK (catalog_open (house.data, "catalog.db", "shop", STORED_PARTITIONS, &old, &error));
        OK (catalog_open (again, "catalog.db", "shop", STORED_PARTITIONS, &catalog, &error));
        catalog_leader_t led;
        catalog_leader_t leads;
        OK (catalog_leader (old, &led, &error));
        OK (catalog_leader (catalog, &leads, &error));
        cr_assert_gt (leads.term, led.term);
        OK (catalog_assignments (catalog, arena, &rows, &count, &error));
        cr_assert_eq (count, STORED_PARTITIONS);
        for (size_t i = 0; i < count; i++)
            cr_assert (rows[i].epoch > 3 && rows[i].node[0] == '\0');
        /* more than a busy cluster gives while a backup is taken: its logs may have their cuts */
        catalog_recompute_t recompute = {
            .log = STORED_LOG, .reason = "", .state = "queued", .error = ""
        };
        uint64_t task;
        OK (catalog_lead (catalog, &leads, &led, &error));
        OK (catalog_put_recompute (catalog, &recompute, &error));
        OK (catalog_next_task (catalog, &task, &error));
        cr_assert (recompute.id > 1000000 && task > 1000000);
        arena_destroy (&arena);
        catalog_close (&old);
        catalog_close (&catalog);
        fs_below_destroy (&again);
        house_release (&house);
    }
}

/* Is that what a file has in it? */
static bool says (fs_t *fs, const char *path, const char *text)
{
    char bytes[16];
    uint64_t size = 0;
    file_t *file = NULL;
    OK (fs_open (fs, path, FS_READ, &file, &error));
    OK (fs_size (fs, file, &size, &error));
    cr_assert_leq (size, sizeof bytes);
    OK (fs_read_all (fs, file, 0, bytes, size, &error));
    fs_close (fs, &file);
    return size == strlen (text) && memcmp (bytes, text, size) == 0;
}

Test (backup, how_far_files_were_sent_is_in_it)
{
    house_t house = house_new (7);
    const char *sent = "data/producers/payments-01";
    OK (fs_make_dir (house.fs, "data/producers", &error));
    OK (fs_replace (house.fs, sent, "done", 4, &error));
    OK (fs_replace (house.fs, "data/producers/payments-02.tmp", "do", 2, &error));
    backup_order_t order = order_of (&house, "safe");
    backup_summary_t summary;
    OK (backup_make (&order, &summary, &error));
    OK (fs_replace (house.fs, sent, "more", 4, &error)); /* the backup is not linked to it */
    OK (backup_verify (house.fs, "safe", NULL, &summary, &error));
    OK (backup_restore (house.fs, "safe", "again", 99, NULL, &summary, &error));
    cr_assert (says (house.fs, "again/producers/payments-01", "done"));
    cr_assert (!fsck_file_exists (house.fs, "again/producers/payments-02.tmp"));
    expect_whole (house.fs, "again");
    house_release (&house);
}

Test (backup, a_directory_that_is_in_use_is_left_alone)
{
    house_t house = house_new (1);
    backup_order_t order = order_of (&house, "safe");
    backup_summary_t summary;
    OK (backup_make (&order, &summary, &error));
    cr_assert_eq (backup_make (&order, &summary, &error), STATUS_EXISTS);
    OK (backup_verify (house.fs, "safe", NULL, &summary, &error));
    cr_assert_eq (backup_restore (house.fs, "safe", "data", 1, NULL, &summary, &error),
                  STATUS_EXISTS);
    expect_whole (house.fs, "data");
    cr_assert_eq (backup_restore (house.fs, "data", "new", 1, NULL, &summary, &error),
                  STATUS_NOT_FOUND);
    cr_assert_eq (backup_verify (house.fs, "data", NULL, &summary, &error), STATUS_NOT_FOUND);
    house_release (&house);
}

static status_t stop_at_once (void *arg, error_t *stopped)
{
    (void)arg;
    return error_set (stopped, STATUS_CANCELLED, "stopped");
}

/* Who asked removes the empty directories that are left of what was: none of anybody else's. */
Test (backup, what_fails_says_whether_the_directory_was_touched)
{
    house_t house = house_new (1);
    backup_order_t order = order_of (&house, "safe");
    backup_summary_t summary;
    order.watch = (backup_watch_t){ .go_on = stop_at_once };
    cr_assert_eq (backup_make (&order, &summary, &error), STATUS_CANCELLED);
    cr_assert (summary.begun);
    order.watch = (backup_watch_t){ .go_on = NULL };
    OK (backup_make (&order, &summary, &error));
    cr_assert (summary.begun);
    cr_assert_eq (backup_make (&order, &summary, &error), STATUS_EXISTS);
    cr_assert_not (summary.begun);

    cr_assert_eq (backup_restore (house.fs, "none", "new", 1, NULL, &summary, &error),
                  STATUS_NOT_FOUND);
    cr_assert_not (summary.begun);
    cr_assert_eq (backup_restore (house.fs, "safe", "data", 1, NULL, &summary, &error),
                  STATUS_EXISTS);
    cr_assert_not (summary.begun);
    backup_watch_t watch = { .go_on = stop_at_once };
    cr_assert_eq (backup_restore (house.fs, "safe", "new", 1, &watch, &summary, &error),
                  STATUS_CANCELLED);
    cr_assert (summary.begun);
    house_release (&house);
}

/* A second command while the first is at work: in a terminal that was lost, say. */
typedef struct second {
    backup_order_t order;
    int done;
    status_t backup;
    status_t restore;
} second_t;

static status_t try_as_well (void *arg, error_t *ignored)
{
    second_t *self = arg;
    backup_summary_t summary;
    if (++self->done != 5)
        return STATUS_OK;
    self->backup = backup_make (&self->order, &summary, ignored);
    cr_assert_not (summary.begun);
    self->restore =
        backup_restore (self->order.fs, "one", self->order.target, 2, NULL, &summary, ignored);
    cr_assert_not (summary.begun);
    return STATUS_OK;
}

Test (backup, of_two_into_one_directory_the_second_is_refused)
{
    house_t house = house_new (1);
    backup_order_t order = order_of (&house, "one");
    backup_summary_t summary;
    OK (backup_make (&order, &summary, &error));
    second_t second = { .order = order_of (&house, "two") };
    order = second.order;
    order.watch = (backup_watch_t){ .go_on = try_as_well, .arg = &second };
    OK (backup_make (&order, &summary, &error));
    cr_assert_eq (second.backup, STATUS_BUSY);
    cr_assert_eq (second.restore, STATUS_EXISTS);
    OK (backup_verify (house.fs, "two", NULL, &summary, &error));

    second = (second_t){ .order = order_of (&house, "again") };
    backup_watch_t watch = { .go_on = try_as_well, .arg = &second };
    OK (backup_restore (house.fs, "one", "again", 1, &watch, &summary, &error));
    cr_assert_eq (second.backup, STATUS_EXISTS);
    cr_assert_eq (second.restore, STATUS_BUSY);
    expect_whole (house.fs, "again");
    house_release (&house);
}

/* Only what a backup leaves is cleared away, and only where a backup left it. */
Test (backup, files_of_others_are_in_the_way_whatever_they_are_called)
{
    house_t house = house_new (1);
    backup_order_t order = order_of (&house, "books");
    backup_summary_t summary;
    arena_t *arena = arena_new (4096);
    OK (fs_make_dir (house.fs, "books", &error));
    stored_write (house.fs, "books/" BACKUP_UNFINISHED, text_of ("chapters"));
    cr_assert_eq (backup_make (&order, &summary, &error), STATUS_EXISTS);
    stored_write (house.fs, "books/" BACKUP_UNFINISHED, text_of (""));
    stored_write (house.fs, "books/first", text_of ("a book"));
    cr_assert_eq (backup_make (&order, &summary, &error), STATUS_EXISTS);
    cr_assert (text_is (stored_read (house.fs, arena, "books/first"), "a book"));
    arena_destroy (&arena);
    house_release (&house);
}

Test (backup, damage_in_a_backup_is_found_and_not_restored, .timeout = 120)
{
    house_t house = house_new (2);
    backup_order_t order = order_of (&house, "safe");
    backup_summary_t summary;
    order.copy = true;
    OK (backup_make (&order, &summary, &error));
    arena_t *arena = arena_new (1 << 16);
    fs_t *below = fs_below_new (house.fs, "safe");
    size_t count;
    char **files = stored_files (below, arena, &count);
    for (int i = 0; i < 100; i++) {
        const char *path = files[random_below (&house.random, count)];
        char full[600];
        char target[32];
        text_t content = stored_read (below, arena, path);
        snprintf (full, sizeof full, "safe/%s", path);
        snprintf (target, sizeof target, "new-%d", i);
        if (content.size == 0)
            continue;
        uint64_t bit = random_below (&house.random, 8 * (uint64_t)content.size);
        sim_disk_rot (house.disk, full, bit);
        cr_assert_neq (backup_verify (house.fs, "safe", NULL, &summary, &error), STATUS_OK, "%s",
                       full);
        cr_assert (strstr (error.text, path) != NULL || strcmp (path, BACKUP_FILE) == 0, "%s: %s",
                   path, error.text);
        cr_assert (strcmp (path, "data/cluster") == 0 ||
                   backup_restore (house.fs, "safe", target, 7, NULL, &summary, &error) !=
                       STATUS_OK);
        sim_disk_rot (house.disk, full, bit);
    }
    OK (backup_verify (house.fs, "safe", NULL, &summary, &error));
    fs_below_destroy (&below);
    arena_destroy (&arena);
    house_release (&house);
}

Test (backup, what_is_damaged_does_not_go_into_a_backup, .timeout = 120)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        house_t house = house_new (seed % 5);
        backup_order_t order = order_of (&house, "safe");
        backup_summary_t summary;
        arena_t *arena = arena_new (1 << 16);
        size_t count;
        char full[600];
        char **files = stored_files (house.data, arena, &count);
        size_t which = random_below (&house.random, count);
        while (!strstr (files[which], ".run") && !strstr (files[which], ".view"))
            which = (which + 1) % count;
        text_t content = stored_read (house.data, arena, files[which]);
        snprintf (full, sizeof full, "data/%s", files[which]);
        order.copy = seed % 2 == 0;
        sim_disk_rot (house.disk, full, random_below (&house.random, 8 * (uint64_t)content.size));
        cr_assert_eq (backup_make (&order, &summary, &error), STATUS_CORRUPT, "%s", full);
        cr_assert_not_null (strstr (error.text, files[which]), "%s: %s", full, error.text);
        cr_assert_eq (backup_verify (house.fs, "safe", NULL, &summary, &error), STATUS_NOT_FOUND);
        arena_destroy (&arena);
        house_release (&house);
    }
}

/* Somebody who sends while the backup is taken, and asks to stop it. */
typedef struct sender {
    house_t *house;
    uint64_t calls;
    uint64_t stop_at;
} sender_t;

static status_t send_meanwhile (void *arg, error_t *stopped)
{
    sender_t *self = arg;
    if (++self->calls == self->stop_at)
        return error_set (stopped, STATUS_CANCELLED, "stopped");
    if (self->calls % 5 == 0)
        stored_append (self->house->data, &self->house->random,
                       (uint32_t)random_below (&self->house->random, STORED_PARTITIONS),
                       1 + (uint32_t)random_below (&self->house->random, 20));
    return STATUS_OK;
}

Test (backup, it_has_all_that_was_there_when_it_began_while_more_comes, .timeout = 120)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        house_t house = house_new (seed);
        sender_t sender = { .house = &house };
        backup_order_t order = order_of (&house, "safe");
        backup_summary_t summary;
        OK (backup_make (&order, &summary, &error));
        uint64_t before = position_of (house.fs, "safe", STORED_LOG, 0);
        order.target = "later";
        order.watch = (backup_watch_t){ .go_on = send_meanwhile, .arg = &sender };
        OK (backup_make (&order, &summary, &error));
        cr_assert_gt (sender.calls, 20);
        cr_assert_geq (position_of (house.fs, "later", STORED_LOG, 0), before);
        OK (backup_verify (house.fs, "later", NULL, &summary, &error));
        OK (backup_restore (house.fs, "later", "again", 5, NULL, &summary, &error));
        expect_whole (house.fs, "again");
        house_release (&house);
    }
}

Test (backup, one_that_is_stopped_leaves_none)
{
    house_t house = house_new (3);
    for (uint64_t at = 1; at < 100; at += 9) {
        sender_t sender = { .house = &house, .stop_at = at };
        backup_order_t order = order_of (&house, "safe");
        backup_summary_t summary;
        order.watch = (backup_watch_t){ .go_on = send_meanwhile, .arg = &sender };
        if (backup_make (&order, &summary, &error) == STATUS_OK)
            break;
        cr_assert_eq (error.status, STATUS_CANCELLED, "%s", error.text);
        cr_assert_eq (backup_verify (house.fs, "safe", NULL, &summary, &error), STATUS_NOT_FOUND);
        arena_t *arena = arena_new (4096);
        fs_t *below = fs_below_new (house.fs, "safe");
        size_t count;
        (void)stored_files (below, arena, &count);
        cr_assert_leq (count, 8); /* directories, which this disk cannot remove */
        fs_below_destroy (&below);
        arena_destroy (&arena);
    }
    house_release (&house);
}

/* An owner whose last trim was under way when the backup began: it takes the first segment away
 * when that has been seen, and is about to be copied. */
static struct {
    const fs_ops_t *ops;
    char path[256];
    int opened;
} trim;

static status_t open_or_trim (fs_t *fs, const char *path, fs_mode_t mode, file_t **file,
                              error_t *why)
{
    if (strcmp (path, trim.path) == 0 && ++trim.opened == 2)
        OK (trim.ops->remove (fs, path, &error));
    return trim.ops->open (fs, path, mode, file, why);
}

static void note_first (void *arg, const char *name)
{
    (void)arg;
    if (trim.path[0] == '\0')
        snprintf (trim.path, sizeof trim.path, "data/log/" STORED_LOG "/0/%s", name);
}

Test (backup, a_log_that_is_trimmed_while_it_is_copied_is_taken_as_it_is_then)
{
    house_t house = house_new (3);
    backup_order_t order = order_of (&house, "safe");
    backup_summary_t summary;
    OK (fs_list (house.data, "log/" STORED_LOG "/0", note_first, NULL, &error));
    trim.ops = house.fs->ops;
    fs_ops_t ops = *house.fs->ops;
    ops.open = open_or_trim;
    house.fs->ops = &ops;
    OK (backup_make (&order, &summary, &error));
    house.fs->ops = trim.ops;
    cr_assert_geq (trim.opened, 2);
    OK (backup_verify (house.fs, "safe", NULL, &summary, &error));
    OK (backup_restore (house.fs, "safe", "again", 5, NULL, &summary, &error));
    expect_whole (house.fs, "again");
    house_release (&house);
}

static status_t was_not_held (void *arg, error_t *reason)
{
    (void)arg;
    return error_set (reason, STATUS_STALE, "nobody held it");
}

/* What was copied may not belong together then, however whole it looks. */
Test (backup, one_of_files_that_were_not_held_is_none)
{
    house_t house = house_new (3);
    backup_order_t order = order_of (&house, "safe");
    backup_summary_t summary;
    order.watch = (backup_watch_t){ .taken = was_not_held };
    cr_assert_eq (backup_make (&order, &summary, &error), STATUS_STALE);
    cr_assert_eq (backup_verify (house.fs, "safe", NULL, &summary, &error), STATUS_NOT_FOUND);
    order.watch = (backup_watch_t){ .taken = NULL };
    OK (backup_make (&order, &summary, &error));
    house_release (&house);
}

Test (backup, a_second_one_shares_what_has_not_changed)
{
    house_t house = house_new (4);
    backup_order_t order = order_of (&house, "one");
    backup_summary_t first;
    backup_summary_t second;
    order.copy = true;
    OK (backup_make (&order, &first, &error));
    order.target = "two";
    order.base = "one";
    OK (backup_make (&order, &second, &error));
    cr_assert_lt (second.copied, first.copied);
    OK (backup_verify (house.fs, "two", NULL, &second, &error));
    house_release (&house);
}

/* Files of two clusters may have the same names and sizes. */
Test (backup, nothing_is_shared_with_a_backup_of_another_cluster)
{
    house_t house = house_new (4);
    backup_order_t order = order_of (&house, "one");
    backup_summary_t summary;
    cluster_file_t cluster;
    OK (backup_make (&order, &summary, &error));
    listing_t *listing;
    OK (listing_read (house.fs, "one", &listing, &error));
    listing->cluster.id++;
    OK (listing_write (listing, house.fs, "one", &error));
    listing_destroy (&listing);
    order.target = "two";
    order.base = "one";
    cr_assert_eq (backup_make (&order, &summary, &error), STATUS_INVALID);
    cr_assert_eq (listing_read (house.fs, "two", &listing, &error), STATUS_NOT_FOUND);
    OK (cluster_file_read (house.data, &cluster, &error)); /* which is left as it is */
    house_release (&house);
}
