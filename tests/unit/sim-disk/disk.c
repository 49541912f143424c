#include "tests/sim/disk/disk.h"

#include "base/fs_below.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static error_t error;

#define OK(call) cr_assert_eq ((call), STATUS_OK, "%s", error.text)

static file_t *create (fs_t *fs, const char *path)
{
    file_t *file = NULL;
    OK (fs_open (fs, path, FS_CREATE, &file, &error));
    return file;
}

static bool exists (fs_t *fs, const char *path)
{
    file_t *file = NULL;
    status_t status = fs_open (fs, path, FS_READ, &file, &error);
    fs_close (fs, &file);
    return status == STATUS_OK;
}

static void join (void *arg, const char *name)
{
    strcat ((char *)arg, name);
    strcat ((char *)arg, " ");
}

Test (sim_disk, behaves_like_a_filesystem_while_all_is_well)
{
    sim_disk_t *disk = sim_disk_new (1, 100000);
    fs_t *fs = sim_disk_fs (disk);
    file_t *file = NULL;
    cr_assert_eq (fs_open (fs, "a/b", FS_WRITE, &file, &error), STATUS_NOT_FOUND);
    OK (fs_make_dir (fs, "a/d", &error));
    OK (fs_make_dir (fs, "a/d", &error));
    file = create (fs, "a/b");
    OK (fs_write (fs, file, 10, "hello", 5, &error));
    uint64_t size;
    OK (fs_size (fs, file, &size, &error));
    cr_assert_eq (size, 15);
    char bytes[20];
    size_t got;
    OK (fs_read (fs, file, 8, bytes, sizeof bytes, &got, &error));
    cr_assert_eq (got, 7);
    cr_assert_eq (memcmp (bytes, "\0\0hello", 7), 0);
    const void *map;
    OK (fs_map (fs, file, 15, &map, &error));
    OK (fs_truncate (fs, file, 3, &error));
    cr_assert_eq (memcmp ((const char *)map + 10, "hello", 5), 0);
    fs_unmap (fs, &map, 15);
    fs_close (fs, &file);
    cr_assert_eq (fs_open (fs, "a/b", FS_CREATE, &file, &error), STATUS_EXISTS);
    OK (fs_rename (fs, "a/b", "a/c", &error));
    char names[100] = "";
    OK (fs_list (fs, "a", join, names, &error));
    cr_assert_str_eq (names, "c d ");
    uint64_t space;
    OK (fs_free_space (fs, &space, &error));
    cr_assert_eq (space, 100000 - 3);
    OK (fs_remove (fs, "a/c", &error));
    OK (fs_remove (fs, "a/c", &error));
    OK (fs_free_space (fs, &space, &error));
    cr_assert_eq (space, 100000 - 3, "the durable name still holds the file");
    OK (fs_sync_dir (fs, "a", &error));
    cr_assert_not (exists (fs, "a/c"));
    cr_assert_eq (fs_list (fs, "z", join, names, &error), STATUS_NOT_FOUND);
    sim_disk_destroy (&disk);
    cr_assert_null (disk);
}

Test (sim_disk, a_full_disk_refuses_writes)
{
    sim_disk_t *disk = sim_disk_new (1, 1000);
    fs_t *fs = sim_disk_fs (disk);
    file_t *file = create (fs, "x");
    char bytes[600] = { 1 };
    OK (fs_write (fs, file, 0, bytes, sizeof bytes, &error));
    OK (fs_write (fs, file, 0, bytes, sizeof bytes, &error));
    cr_assert_eq (fs_write (fs, file, 600, bytes, sizeof bytes, &error), STATUS_NO_SPACE);
    fs_close (fs, &file);
    sim_disk_destroy (&disk);
}

/* What was synced, content and name, survives any crash. */
Test (sim_disk, a_crash_keeps_what_was_synced)
{
    random_t random;
    random_seed (&random, 7);
    for (int round = 0; round < 200; round++) {
        sim_disk_t *disk = sim_disk_new ((uint64_t)round, 0);
        fs_t *fs = sim_disk_fs (disk);
        file_t *file = create (fs, "f");
        uint8_t bytes[3000];
        memset (bytes, 1, sizeof bytes);
        OK (fs_write (fs, file, 0, bytes, sizeof bytes, &error));
        OK (fs_sync (fs, file, &error));
        OK (fs_sync_dir (fs, ".", &error));
        memset (bytes, 2, sizeof bytes);
        OK (fs_write (fs, file, 3000, bytes, sizeof bytes, &error));
        sim_disk_crash (disk, &random);
        size_t got;
        cr_assert_eq (fs_read (fs, file, 0, bytes, 1, &got, &error), STATUS_IO, "a stale file");
        fs_close (fs, &file);
        OK (fs_open (fs, "f", FS_READ, &file, &error));
        OK (fs_read_all (fs, file, 0, bytes, sizeof bytes, &error));
        for (size_t i = 0; i < sizeof bytes; i++)
            cr_assert_eq (bytes[i], 1);
        fs_close (fs, &file);
        sim_disk_destroy (&disk);
    }
}

/* Counts, over many crashes, the ways in which a 512-byte sector and the size can come out. */
Test (sim_disk, unsynced_writes_tear_at_sectors)
{
    random_t random;
    random_seed (&random, 8);
    int torn = 0;
    int zero_tail = 0;
    int lost = 0;
    for (int round = 0; round < 300; round++) {
        sim_disk_t *disk = sim_disk_new ((uint64_t)round, 0);
        fs_t *fs = sim_disk_fs (disk);
        file_t *file = create (fs, "f");
        OK (fs_sync_dir (fs, ".", &error));
        uint8_t bytes[2048];
        memset (bytes, 3, sizeof bytes);
        OK (fs_write (fs, file, 0, bytes, sizeof bytes, &error));
        fs_close (fs, &file);
        sim_disk_crash (disk, &random);
        OK (fs_open (fs, "f", FS_READ, &file, &error));
        size_t got;
        OK (fs_read (fs, file, 0, bytes, sizeof bytes, &got, &error));
        bool gap = false;
        for (size_t i = 0; i < got; i++) {
            cr_assert (bytes[i] == 3 || bytes[i] == 0);
            cr_assert (i % 512 == 0 || bytes[i] == bytes[i - 1], "torn inside a sector");
            torn += gap && bytes[i] == 3;
            gap = gap || bytes[i] == 0;
        }
        zero_tail += got > 0 && bytes[got - 1] == 0;
        lost += got == 0;
        fs_close (fs, &file);
        sim_disk_destroy (&disk);
    }
    cr_assert_gt (torn, 0);
    cr_assert_gt (zero_tail, 0);
    cr_assert_gt (lost, 0);
}

Test (sim_disk, an_unsynced_rename_happens_whole_or_not)
{
    random_t random;
    random_seed (&random, 9);
    int happened = 0;
    for (int round = 0; round < 100; round++) {
        sim_disk_t *disk = sim_disk_new ((uint64_t)round, 0);
        fs_t *fs = sim_disk_fs (disk);
        file_t *file = create (fs, "old");
        fs_close (fs, &file);
        OK (fs_sync_dir (fs, ".", &error));
        OK (fs_rename (fs, "old", "new", &error));
        file = create (fs, "other");
        fs_close (fs, &file);
        sim_disk_crash (disk, &random);
        cr_assert_neq (exists (fs, "old"), exists (fs, "new"));
        happened += exists (fs, "new");
        sim_disk_destroy (&disk);
    }
    cr_assert (happened > 10 && happened < 90, "%d", happened);
}

Test (sim_disk, a_failed_sync_shows_what_it_lost_until_the_crash)
{
    random_t random;
    random_seed (&random, 10);
    int lost = 0;
    for (int round = 0; round < 50; round++) {
        sim_disk_t *disk = sim_disk_new ((uint64_t)round, 0);
        fs_t *fs = sim_disk_fs (disk);
        file_t *file = create (fs, "f");
        OK (fs_sync_dir (fs, ".", &error));
        OK (fs_write (fs, file, 0, "x", 1, &error));
        sim_disk_set_faults (disk, &(sim_disk_faults_t){ .sync_error = 1 });
        cr_assert_eq (fs_sync (fs, file, &error), STATUS_IO);
        sim_disk_set_faults (disk, &(sim_disk_faults_t){ 0 });
        OK (fs_sync (fs, file, &error));
        uint64_t size;
        OK (fs_size (fs, file, &size, &error));
        cr_assert_eq (size, 1);
        fs_close (fs, &file);
        sim_disk_crash (disk, &random);
        OK (fs_open (fs, "f", FS_READ, &file, &error));
        OK (fs_size (fs, file, &size, &error));
        lost += size == 0;
        fs_close (fs, &file);
        sim_disk_destroy (&disk);
    }
    cr_assert (lost > 5 && lost < 45, "%d", lost);
}

Test (sim_disk, a_process_dies_at_its_own_crash_point)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    fs_t *other = sim_disk_mount (disk);
    file_t *file = create (other, "f");
    cr_assert_eq (sim_disk_calls (other), 1);
    sim_disk_fail_after (other, 1);
    OK (fs_write (other, file, 0, "ab", 2, &error));
    cr_assert_eq (fs_write (other, file, 0, "cd", 2, &error), STATUS_IO);
    cr_assert_eq (fs_sync (other, file, &error), STATUS_IO);
    cr_assert_eq (sim_disk_open_files (disk), 1);
    fs_close (other, &file);
    cr_assert_eq (sim_disk_open_files (disk), 0);
    char bytes[2];
    OK (fs_open (fs, "f", FS_READ, &file, &error));
    OK (fs_read_all (fs, file, 0, bytes, 2, &error));
    cr_assert_eq (memcmp (bytes, "ab", 2), 0);
    fs_close (fs, &file);
    sim_disk_destroy (&disk);
}

Test (sim_disk, settle_and_rot)
{
    random_t random;
    random_seed (&random, 11);
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    OK (fs_make_dir (fs, "d", &error));
    file_t *file = create (fs, "d/f");
    OK (fs_write (fs, file, 0, "ab", 2, &error));
    fs_close (fs, &file);
    sim_disk_settle (disk);
    sim_disk_rot (disk, "d/f", 9);
    for (int i = 0; i < 10; i++)
        sim_disk_crash (disk, &random);
    char bytes[2];
    OK (fs_open (fs, "d/f", FS_READ, &file, &error));
    OK (fs_read_all (fs, file, 0, bytes, 2, &error));
    cr_assert_eq (bytes[0], 'a');
    cr_assert_eq (bytes[1], 'b' ^ 2);
    fs_close (fs, &file);
    sim_disk_destroy (&disk);
}

Test (sim_disk, the_same_seed_gives_the_same_faults)
{
    uint64_t failed[2] = { 0, 0 };
    for (int run = 0; run < 2; run++) {
        sim_disk_t *disk = sim_disk_new (42, 0);
        fs_t *fs = sim_disk_fs (disk);
        file_t *file = create (fs, "f");
        sim_disk_faults_t faults = { .write_error = 0.2, .no_space = 0.2, .sync_error = 0.3 };
        sim_disk_set_faults (disk, &faults);
        for (int i = 0; i < 64; i++) {
            status_t status = i % 3 == 0 ? fs_sync (fs, file, &error)
                                         : fs_write (fs, file, (uint64_t)i, "x", 1, &error);
            failed[run] = failed[run] * 31 + (uint64_t)status;
        }
        fs_close (fs, &file);
        sim_disk_destroy (&disk);
    }
    cr_assert_eq (failed[0], failed[1]);
    cr_assert_neq (failed[0], 0);
}

Test (sim_disk, two_names_of_one_file_are_the_same_bytes_and_go_one_by_one)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    file_t *file = create (fs, "a");
    OK (fs_write (fs, file, 0, "x", 1, &error));
    OK (fs_link (fs, "a", "b", &error));
    cr_assert_eq (fs_link (fs, "a", "b", &error), STATUS_EXISTS);
    cr_assert_eq (fs_link (fs, "none", "c", &error), STATUS_NOT_FOUND);
    OK (fs_write (fs, file, 0, "y", 1, &error));
    fs_close (fs, &file);
    OK (fs_remove (fs, "a", &error));
    OK (fs_open (fs, "b", FS_READ, &file, &error));
    char byte;
    OK (fs_read_all (fs, file, 0, &byte, 1, &error));
    cr_assert_eq (byte, 'y');
    fs_close (fs, &file);
    cr_assert_not (exists (fs, "a"));
    sim_disk_destroy (&disk);
}

Test (sim_disk, a_link_lasts_once_its_directory_is_synced)
{
    int lost = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        sim_disk_t *disk = sim_disk_new (seed, 0);
        fs_t *fs = sim_disk_fs (disk);
        random_t random;
        random_seed (&random, seed);
        OK (fs_make_dir (fs, "d", &error));
        file_t *file = create (fs, "a");
        OK (fs_sync (fs, file, &error));
        fs_close (fs, &file);
        OK (fs_sync_dir (fs, ".", &error));
        OK (fs_link (fs, "a", "d/synced", &error));
        OK (fs_sync_dir (fs, "d", &error));
        OK (fs_link (fs, "a", "d/unsynced", &error));
        sim_disk_crash (disk, &random);
        cr_assert (exists (fs, "d/synced"));
        lost += !exists (fs, "d/unsynced");
        sim_disk_destroy (&disk);
    }
    cr_assert (lost > 0 && lost < 40);
}

Test (sim_disk, a_directory_can_be_a_filesystem_of_its_own)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    fs_t *below = fs_below_new (fs, "home/data");
    OK (fs_make_dir (fs, "home/data", &error));
    OK (fs_make_dir (below, "x", &error));
    OK (fs_replace (below, "x/one", "1", 1, &error));
    OK (fs_link (below, "x/one", "two", &error));
    cr_assert (exists (fs, "home/data/x/one"));
    cr_assert (exists (fs, "home/data/two"));
    OK (fs_rename (below, "two", "three", &error));
    OK (fs_remove (below, "x/one", &error));
    char names[100] = "";
    OK (fs_list (below, ".", join, names, &error));
    cr_assert_str_eq (names, "three x ");
    cr_assert_not (exists (fs, "home/data/x/one"));
    OK (fs_sync_dir (below, ".", &error));
    fs_below_destroy (&below);
    sim_disk_destroy (&disk);
}
