#include "base/fs.h"
#include "base/check.h"
#include "base/env.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* An fs that writes down what was asked of it, fails the call named in `failing`, and whose one
 * file has `size` bytes. */
typedef struct recorder {
    fs_t fs;
    char calls[1000];
    const char *failing;
    status_t failure;
    uint64_t size;
} recorder_t;

static status_t record (fs_t *fs, const char *call, const char *path, error_t *error)
{
    recorder_t *self = (recorder_t *)fs;
    size_t used = strlen (self->calls);
    snprintf (self->calls + used, sizeof self->calls - used, "%s %s;", call, path);
    if (self->failing && strcmp (self->failing, call) == 0)
        return error_set (error, self->failure, "as asked");
    return STATUS_OK;
}

static status_t do_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file, error_t *error)
{
    (void)mode;
    *file = (file_t *)fs;
    return record (fs, "open", path, error);
}

static void do_close (fs_t *fs, file_t *file)
{
    error_t error;
    (void)file;
    record (fs, "close", "", &error);
}

static status_t do_read (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size, size_t *got,
                         error_t *error)
{
    (void)file;
    uint64_t left = at < ((recorder_t *)fs)->size ? ((recorder_t *)fs)->size - at : 0;
    *got = size < left ? size : left;
    memset (data, 'x', *got);
    return record (fs, "read", "", error);
}

static status_t do_write (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                          error_t *error)
{
    (void)file, (void)at, (void)data, (void)size;
    return record (fs, "write", "", error);
}

static status_t do_sync (fs_t *fs, file_t *file, error_t *error)
{
    (void)file;
    return record (fs, "sync", "", error);
}

static status_t do_size (fs_t *fs, file_t *file, uint64_t *size, error_t *error)
{
    (void)file, (void)error;
    *size = ((recorder_t *)fs)->size;
    return STATUS_OK;
}

static status_t do_truncate (fs_t *fs, file_t *file, uint64_t size, error_t *error)
{
    (void)file, (void)size;
    return record (fs, "truncate", "", error);
}

static status_t do_map (fs_t *fs, file_t *file, size_t size, const void **data, error_t *error)
{
    (void)file, (void)size;
    *data = fs;
    return record (fs, "map", "", error);
}

static void do_unmap (fs_t *fs, const void *data, size_t size)
{
    error_t error;
    (void)data, (void)size;
    record (fs, "unmap", "", &error);
}

static status_t do_rename (fs_t *fs, const char *from, const char *to, error_t *error)
{
    (void)from;
    return record (fs, "rename", to, error);
}

static status_t do_remove (fs_t *fs, const char *path, error_t *error)
{
    return record (fs, "remove", path, error);
}

static status_t do_make_dir (fs_t *fs, const char *path, error_t *error)
{
    return record (fs, "make_dir", path, error);
}

static status_t do_sync_dir (fs_t *fs, const char *path, error_t *error)
{
    return record (fs, "sync_dir", path, error);
}

static status_t do_list (fs_t *fs, const char *path, void (*each) (void *arg, const char *name),
                         void *arg, error_t *error)
{
    each (arg, "b");
    each (arg, "\xc3\xa4");
    each (arg, "a");
    each (arg, "B");
    return record (fs, "list", path, error);
}

static const fs_ops_t recorder_ops = {
    .open = do_open,
    .close = do_close,
    .read = do_read,
    .write = do_write,
    .sync = do_sync,
    .size = do_size,
    .truncate = do_truncate,
    .map = do_map,
    .unmap = do_unmap,
    .rename = do_rename,
    .remove = do_remove,
    .make_dir = do_make_dir,
    .list = do_list,
    .sync_dir = do_sync_dir,
};

static recorder_t recorder (const char *failing, status_t failure)
{
    return (recorder_t){ .fs.ops = &recorder_ops, .failing = failing, .failure = failure };
}

Test (fs, replace_is_durable_step_by_step)
{
    recorder_t disk = recorder (NULL, STATUS_OK);
    error_t error;
    cr_assert_eq (fs_replace (&disk.fs, "a/b", "x", 1, &error), STATUS_OK);
    cr_assert_str_eq (disk.calls, "open a/b.tmp;truncate ;write ;sync ;close ;rename a/b;"
                                  "sync_dir a;");
}

Test (fs, replace_that_fails_leaves_the_old_file_and_no_new_one)
{
    static const char *const steps[] = { "truncate", "write", "sync", "rename" };
    for (size_t i = 0; i < 4; i++) {
        recorder_t disk = recorder (steps[i], STATUS_NO_SPACE);
        error_t error;
        cr_assert_eq (fs_replace (&disk.fs, "b", "x", 1, &error), STATUS_NO_SPACE);
        cr_assert_not_null (strstr (disk.calls, "close ;"));
        cr_assert_not_null (strstr (disk.calls, "remove b.tmp;"));
        cr_assert_eq (strstr (disk.calls, "rename") != NULL, i == 3);
    }
}

Test (fs, replace_whose_name_did_not_reach_the_disk_fails)
{
    recorder_t disk = recorder ("sync_dir", STATUS_IO);
    error_t error;
    cr_assert_eq (fs_replace (&disk.fs, "b", "x", 1, &error), STATUS_IO);
}

Test (fs, make_dir_makes_parents_and_syncs_what_holds_their_names)
{
    recorder_t disk = recorder ("make_dir", STATUS_EXISTS);
    error_t error;
    cr_assert_eq (fs_make_dir (&disk.fs, "a/b/c", &error), STATUS_OK);
    cr_assert_str_eq (disk.calls, "make_dir a;sync_dir .;make_dir a/b;sync_dir a;make_dir a/b/c;"
                                  "sync_dir a/b;");
    disk = recorder ("make_dir", STATUS_NO_SPACE);
    cr_assert_eq (fs_make_dir (&disk.fs, "a/b", &error), STATUS_NO_SPACE);
}

Test (fs, removing_what_is_not_there_is_fine)
{
    recorder_t disk = recorder ("remove", STATUS_NOT_FOUND);
    error_t error;
    cr_assert_eq (fs_remove (&disk.fs, "a", &error), STATUS_OK);
    disk = recorder ("remove", STATUS_IO);
    cr_assert_eq (fs_remove (&disk.fs, "a", &error), STATUS_IO);
}

static void append_name (void *arg, const char *name)
{
    strcat (strcat (arg, name), ",");
}

Test (fs, lists_are_in_byte_order)
{
    char names[100] = "";
    recorder_t disk = recorder (NULL, STATUS_OK);
    error_t error;
    cr_assert_eq (fs_list (&disk.fs, ".", append_name, names, &error), STATUS_OK);
    cr_assert_str_eq (names, "B,a,b,\xc3\xa4,");
    disk = recorder ("list", STATUS_IO);
    names[0] = '\0';
    cr_assert_eq (fs_list (&disk.fs, "a", append_name, names, &error), STATUS_IO);
    cr_assert_str_eq (names, "");
}

Test (fs, files_that_end_early_are_corrupt)
{
    recorder_t disk = recorder (NULL, STATUS_OK);
    disk.size = 10;
    error_t error;
    file_t *file;
    char data[11];
    const void *mapped;
    cr_assert_eq (fs_open (&disk.fs, "a", FS_READ, &file, &error), STATUS_OK);
    cr_assert_eq (fs_read_all (&disk.fs, file, 0, data, 10, &error), STATUS_OK);
    cr_assert_eq (fs_read_all (&disk.fs, file, 1, data, 10, &error), STATUS_CORRUPT);
    cr_assert_eq (fs_map (&disk.fs, file, 11, &mapped, &error), STATUS_CORRUPT);
    cr_assert_null (mapped);
    cr_assert_eq (fs_map (&disk.fs, file, 0, &mapped, &error), STATUS_OK);
    cr_assert_not_null (mapped);
    fs_unmap (&disk.fs, &mapped, 0);
    cr_assert_null (mapped);
    cr_assert_null (strstr (disk.calls, "map"));
    fs_close (&disk.fs, &file);
    fs_close (&disk.fs, &file);
    cr_assert_null (file);
}

static void refused_path (const char *path)
{
    recorder_t disk = recorder (NULL, STATUS_OK);
    error_t error;
    (void)!fs_remove (&disk.fs, path, &error);
}

Test (fs, an_absolute_path_is_a_bug, .signal = SIGABRT)
{
    refused_path ("/etc/passwd");
}

Test (fs, a_path_upwards_is_a_bug, .signal = SIGABRT)
{
    refused_path ("a/../../b");
}

Test (fs, an_empty_part_is_a_bug, .signal = SIGABRT)
{
    refused_path ("a//b");
}

Test (check, what_holds_has_no_effect)
{
    CHECK (1 + 1 == 2);
}

static char logged[4096];

static void keep_line (env_t *env, log_level_t level, const char *text)
{
    (void)env, (void)level;
    strcpy (logged, text);
}

Test (env, a_log_line_is_one_line_however_hostile_and_long)
{
    env_t env = { .log = keep_line };
    env_log (&env, LOG_WARNING, "peer said '%s' %d times", "x\nerror: forged\x1b[2J", 3);
    cr_assert_str_eq (logged, "peer said 'x error: forged [2J' 3 times");
    env_log (&env, LOG_INFO, "%5000d", 1);
    cr_assert_eq (strlen (logged), 2047);
}

Test (env, peers_are_equal_by_bytes_and_direction)
{
    peer_t a = peer_of_endpoint ("tcp://a:1"), b = peer_of_endpoint ("tcp://a:1");
    memset (b.bytes + b.size, 0x5a, PEER_SIZE_MAX - b.size);
    cr_assert (peer_equal (&a, &b));
    b.incoming = 1;
    cr_assert_not (peer_equal (&a, &b));
    b = peer_of_endpoint ("tcp://a:2");
    cr_assert_not (peer_equal (&a, &b));
}

Test (env, an_endpoint_that_does_not_fit_is_a_bug, .signal = SIGABRT)
{
    char endpoint[PEER_SIZE_MAX + 2];
    memset (endpoint, 'a', sizeof endpoint - 1);
    endpoint[sizeof endpoint - 1] = '\0';
    peer_of_endpoint (endpoint);
}
