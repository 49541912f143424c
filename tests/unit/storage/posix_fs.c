#include "storage/posix_fs.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static fs_t *disk;

static void set_up (void)
{
    error_t error;
    strcpy (directory, "/tmp/posix_fs_XXXXXX");
    cr_assert_not_null (mkdtemp (directory));
    cr_assert_eq (posix_fs_open (directory, &disk, &error), STATUS_OK);
}

static void tear_down (void)
{
    posix_fs_destroy (&disk);
    posix_fs_destroy (&disk);
    char *command = mem_format ("rm -rf '%s'", directory);
    cr_assert_eq (system (command), 0);
    mem_free (command);
}

TestSuite (posix_fs, .init = set_up, .fini = tear_down);

static file_t *opened (const char *path, fs_mode_t mode)
{
    error_t error;
    file_t *file;
    status_t status = fs_open (disk, path, mode, &file, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    return file;
}

Test (posix_fs, what_is_written_is_read_and_mapped)
{
    enum { SIZE = 1 << 20 };
    error_t error;
    file_t *file = opened ("f", FS_CREATE);
    char *data = mem_alloc (SIZE), *back = mem_alloc (SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 / 3);
    cr_assert_eq (fs_write (disk, file, 10, data, SIZE, &error), STATUS_OK);
    cr_assert_eq (fs_sync (disk, file, &error), STATUS_OK);
    uint64_t size;
    cr_assert_eq (fs_size (disk, file, &size, &error), STATUS_OK);
    cr_assert_eq (size, SIZE + 10);
    cr_assert_eq (fs_read_all (disk, file, 10, back, SIZE, &error), STATUS_OK);
    cr_assert_eq (memcmp (data, back, SIZE), 0);
    size_t got;
    cr_assert_eq (fs_read (disk, file, SIZE, back, SIZE, &got, &error), STATUS_OK);
    cr_assert_eq (got, 10, "what is left at the end");
    const void *mapped;
    cr_assert_eq (fs_map (disk, file, SIZE + 10, &mapped, &error), STATUS_OK);
    fs_close (disk, &file);
    cr_assert_eq (fs_remove (disk, "f", &error), STATUS_OK);
    cr_assert_eq (memcmp ((const char *)mapped + 10, data, SIZE), 0, "outlives file and name");
    fs_unmap (disk, &mapped, SIZE + 10);
    mem_free (data);
    mem_free (back);
}

Test (posix_fs, modes_of_opening)
{
    error_t error;
    file_t *file;
    cr_assert_eq (fs_open (disk, "f", FS_READ, &file, &error), STATUS_NOT_FOUND);
    cr_assert_not_null (strstr (error.text, "opening f: No such file"));
    file = opened ("f", FS_WRITE);
    cr_assert_eq (fs_write (disk, file, 0, "abc", 3, &error), STATUS_OK);
    fs_close (disk, &file);
    cr_assert_eq (fs_open (disk, "f", FS_CREATE, &file, &error), STATUS_EXISTS);
    cr_assert_null (file);
    file = opened ("f", FS_WRITE);
    uint64_t size;
    cr_assert_eq (fs_size (disk, file, &size, &error), STATUS_OK);
    cr_assert_eq (size, 3, "FS_WRITE keeps what is there");
    cr_assert_eq (fs_truncate (disk, file, 1, &error), STATUS_OK);
    cr_assert_eq (fs_size (disk, file, &size, &error), STATUS_OK);
    cr_assert_eq (size, 1);
    fs_close (disk, &file);
    file = opened ("f", FS_READ);
    cr_assert_eq (fs_write (disk, file, 0, "x", 1, &error), STATUS_IO);
    fs_close (disk, &file);
}

static void append_name (void *arg, const char *name)
{
    strcat (strcat (arg, name), ",");
}

static void list_is (const char *path, const char *expected)
{
    error_t error;
    char names[200] = "";
    cr_assert_eq (fs_list (disk, path, append_name, names, &error), STATUS_OK);
    cr_assert_str_eq (names, expected);
}

Test (posix_fs, directories_are_made_listed_and_files_renamed)
{
    error_t error;
    cr_assert_eq (fs_make_dir (disk, "a/b/c", &error), STATUS_OK);
    cr_assert_eq (fs_make_dir (disk, "a/b/c", &error), STATUS_OK);
    cr_assert_eq (fs_replace (disk, "a/b/f", "one", 3, &error), STATUS_OK);
    cr_assert_eq (fs_replace (disk, "a/b/f", "two!", 4, &error), STATUS_OK);
    list_is ("a/b", "c,f,");
    list_is (".", "a,");
    cr_assert_eq (fs_rename (disk, "a/b/f", "g", &error), STATUS_OK);
    list_is (".", "a,g,");
    file_t *file = opened ("g", FS_READ);
    char data[4];
    cr_assert_eq (fs_read_all (disk, file, 0, data, 4, &error), STATUS_OK);
    cr_assert_eq (memcmp (data, "two!", 4), 0);
    fs_close (disk, &file);
    cr_assert_eq (fs_remove (disk, "g", &error), STATUS_OK);
    cr_assert_eq (fs_remove (disk, "g", &error), STATUS_OK);
    list_is (".", "a,");
    cr_assert_eq (fs_list (disk, "nowhere", append_name, NULL, &error), STATUS_NOT_FOUND);
}

Test (posix_fs, a_second_name_is_the_same_file)
{
    error_t error;
    cr_assert_eq (fs_replace (disk, "one", "1", 1, &error), STATUS_OK);
    cr_assert_eq (fs_link (disk, "one", "two", &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (fs_link (disk, "one", "two", &error), STATUS_EXISTS);
    cr_assert_eq (fs_link (disk, "none", "three", &error), STATUS_NOT_FOUND);
    cr_assert_eq (fs_remove (disk, "one", &error), STATUS_OK);
    file_t *file = opened ("two", FS_READ);
    char byte;
    cr_assert_eq (fs_read_all (disk, file, 0, &byte, 1, &error), STATUS_OK);
    cr_assert_eq (byte, '1');
    fs_close (disk, &file);
}

Test (posix_fs, a_file_in_the_place_of_a_directory_is_an_error)
{
    error_t error;
    cr_assert_eq (fs_replace (disk, "f", "", 0, &error), STATUS_OK);
    cr_assert_eq (fs_make_dir (disk, "f", &error), STATUS_IO);
    cr_assert_eq (fs_make_dir (disk, "f/g", &error), STATUS_IO);
}

Test (posix_fs, free_space_is_told)
{
    error_t error;
    uint64_t bytes;
    cr_assert_eq (fs_free_space (disk, &bytes, &error), STATUS_OK);
    cr_assert_gt (bytes, 0);
}

Test (posix_fs, the_root_is_made_but_not_its_parents)
{
    error_t error;
    fs_t *other;
    char *path = mem_format ("%s/new", directory);
    char *deep = mem_format ("%s/no/parent", directory);
    cr_assert_eq (posix_fs_open (path, &other, &error), STATUS_OK);
    list_is (".", "new,");
    posix_fs_destroy (&other);
    cr_assert_eq (posix_fs_open (deep, &other, &error), STATUS_NOT_FOUND);
    cr_assert_null (other);
    mem_free (deep);
    mem_free (path);
}

Test (posix_fs, a_lock_is_held_by_one_until_it_is_closed)
{
    error_t error;
    file_t *lock, *other;
    cr_assert_eq (posix_fs_lock (disk, "lock", &lock, &error), STATUS_OK);
    cr_assert_eq (posix_fs_lock (disk, "lock", &other, &error), STATUS_BUSY);
    cr_assert_null (other);
    char *owner = mem_format ("lock is held by another process, id %d", (int)getpid ());
    cr_assert_str_eq (error.text, owner);
    mem_free (owner);
    fs_close (disk, &lock);
    cr_assert_eq (posix_fs_lock (disk, "lock", &lock, &error), STATUS_OK);
    fs_close (disk, &lock);
}

Test (posix_fs, the_lock_of_a_process_that_died_is_free)
{
    error_t error;
    file_t *lock;
    pid_t child = fork ();
    cr_assert_geq (child, 0);
    if (child == 0)
        _exit (posix_fs_lock (disk, "lock", &lock, &error) == STATUS_OK ? 0 : 1);
    int result;
    cr_assert_eq (waitpid (child, &result, 0), child);
    cr_assert_eq (result, 0);
    cr_assert_eq (posix_fs_lock (disk, "lock", &lock, &error), STATUS_OK);
    fs_close (disk, &lock);
}

Test (posix_fs, a_file_is_locked_by_one_handle_at_a_time)
{
    error_t error;
    file_t *one, *two;
    cr_assert_eq (fs_open (disk, "f", FS_WRITE, &one, &error), STATUS_OK);
    cr_assert_eq (fs_open (disk, "f", FS_WRITE, &two, &error), STATUS_OK);
    cr_assert_eq (fs_lock (disk, one, 0, &error), STATUS_OK);
    cr_assert_eq (fs_lock (disk, two, 5, &error), STATUS_BUSY);
    fs_unlock (disk, one);
    cr_assert_eq (fs_lock (disk, two, 0, &error), STATUS_OK);
    cr_assert_eq (fs_lock (disk, one, 0, &error), STATUS_BUSY);
    fs_close (disk, &two); /* lets go of it */
    cr_assert_eq (fs_lock (disk, one, 0, &error), STATUS_OK);
    fs_close (disk, &one);
}

/* Who has a file open that somebody removed, and who makes another, would both have a lock. */
Test (posix_fs, a_file_that_was_removed_is_not_locked)
{
    error_t error;
    file_t *one, *two;
    cr_assert_eq (fs_open (disk, "f", FS_WRITE, &one, &error), STATUS_OK);
    cr_assert_eq (fs_lock (disk, one, 0, &error), STATUS_OK);
    fs_unlock (disk, one);
    cr_assert_eq (fs_remove (disk, "f", &error), STATUS_OK);
    cr_assert_eq (fs_open (disk, "f", FS_WRITE, &two, &error), STATUS_OK);
    cr_assert_eq (fs_lock (disk, two, 0, &error), STATUS_OK);
    cr_assert_eq (fs_lock (disk, one, 0, &error), STATUS_STALE);
    fs_close (disk, &one);
    cr_assert_eq (fs_open (disk, "f", FS_WRITE, &one, &error), STATUS_OK);
    cr_assert_eq (fs_lock (disk, one, 0, &error), STATUS_BUSY);
    fs_close (disk, &one);
    fs_close (disk, &two);
}

/* A process that is stopped keeps its lock; one that is killed does not. */
Test (posix_fs, a_lock_outlasts_a_stop_and_not_a_death)
{
    error_t error;
    file_t *file;
    int ready[2];
    char byte;
    cr_assert_eq (pipe (ready), 0);
    pid_t child = fork ();
    cr_assert_geq (child, 0);
    if (child == 0) {
        bool locked = fs_open (disk, "f", FS_WRITE, &file, &error) == STATUS_OK &&
                      fs_lock (disk, file, 0, &error) == STATUS_OK;
        if (locked && write (ready[1], "x", 1) == 1)
            raise (SIGSTOP);
        _exit (1);
    }
    cr_assert_eq (read (ready[0], &byte, 1), 1);
    int result;
    cr_assert_eq (waitpid (child, &result, WUNTRACED), child);
    cr_assert (WIFSTOPPED (result));
    cr_assert_eq (fs_open (disk, "f", FS_WRITE, &file, &error), STATUS_OK);
    cr_assert_eq (fs_lock (disk, file, 20, &error), STATUS_BUSY);
    cr_assert_eq (kill (child, SIGKILL), 0);
    cr_assert_eq (waitpid (child, &result, 0), child);
    cr_assert_eq (fs_lock (disk, file, 0, &error), STATUS_OK);
    fs_close (disk, &file);
    close (ready[0]);
    close (ready[1]);
}

Test (posix_fs, a_local_disk_is_not_a_network)
{
    error_t error;
    char *missing = mem_format ("%s/not/there/yet", directory);
    cr_assert_eq (posix_fs_refuse_network ("/dev/shm", &error), STATUS_OK);
    cr_assert_eq (posix_fs_refuse_network (missing, &error),
                  posix_fs_refuse_network (directory, &error));
    mem_free (missing);
}
