#include "storage/posix_fs.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { POSIX_FS_MAGIC = 0x50465331, FILE_RIGHTS = 0640, DIR_RIGHTS = 0750, LOCK_AGAIN_MS = 1 };

typedef struct posix_fs {
    fs_t fs;
    uint32_t magic;
    int root; /* the directory's descriptor */
} posix_fs_t;

struct file {
    uint32_t magic;
    int descriptor;
    char path[]; /* for messages */
};

enum { FILE_MAGIC = 0x46494c45 };

static posix_fs_t *posix_of (fs_t *fs)
{
    posix_fs_t *self = (posix_fs_t *)fs;
    CHECK_OBJECT (self, POSIX_FS_MAGIC);
    return self;
}

static int descriptor_of (const file_t *file)
{
    CHECK_OBJECT (file, FILE_MAGIC);
    return file->descriptor;
}

/* openat that does not give up for a signal. */
static int open_at (int directory, const char *path, int flags, mode_t rights)
{
    int descriptor;
    do {
        descriptor = openat (directory, path, flags | O_CLOEXEC, rights);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

static status_t do_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file, error_t *error)
{
    static const int flags[] = {
        [FS_READ] = O_RDONLY,
        [FS_WRITE] = O_RDWR | O_CREAT,
        [FS_CREATE] = O_RDWR | O_CREAT | O_EXCL,
    };
    int descriptor = open_at (posix_of (fs)->root, path, flags[mode], FILE_RIGHTS);
    if (descriptor < 0)
        return error_set_errno (error, errno, "opening %s", path);
    size_t size = strlen (path) + 1;
    file_t *self = mem_alloc (sizeof *self + size);
    self->magic = FILE_MAGIC;
    self->descriptor = descriptor;
    memcpy (self->path, path, size);
    *file = self;
    return STATUS_OK;
}

static void do_close (fs_t *fs, file_t *file)
{
    (void)fs;
    /* What had to last was synced, and Linux closes the descriptor also when it says EINTR. */
    (void)close (descriptor_of (file));
    file->magic = 0;
    mem_free (file);
}

static status_t do_read (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size, size_t *got,
                         error_t *error)
{
    (void)fs;
    CHECK (at <= INT64_MAX && size <= INT64_MAX - at);
    size_t done = 0;
    while (done < size) {
        ssize_t step =
            pread (descriptor_of (file), (char *)data + done, size - done, (off_t)(at + done));
        if (step < 0 && errno == EINTR)
            continue;
        if (step < 0)
            return error_set_errno (error, errno, "reading %s", file->path);
        if (step == 0)
            break;
        done += (size_t)step;
    }
    *got = done;
    return STATUS_OK;
}

static status_t do_write (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                          error_t *error)
{
    (void)fs;
    CHECK (at <= INT64_MAX && size <= INT64_MAX - at);
    size_t done = 0;
    while (done < size) {
        ssize_t step = pwrite (descriptor_of (file), (const char *)data + done, size - done,
                               (off_t)(at + done));
        if (step < 0 && errno == EINTR)
            continue;
        /* Nothing written without a reason: saying so beats trying for ever. */
        if (step <= 0)
            return error_set_errno (error, step < 0 ? errno : EIO, "writing %s", file->path);
        done += (size_t)step;
    }
    return STATUS_OK;
}

static status_t do_sync (fs_t *fs, file_t *file, error_t *error)
{
    (void)fs;
    if (fdatasync (descriptor_of (file)) != 0)
        return error_set_errno (error, errno, "syncing %s", file->path);
    return STATUS_OK;
}

static status_t do_size (fs_t *fs, file_t *file, uint64_t *size, error_t *error)
{
    (void)fs;
    struct stat about;
    if (fstat (descriptor_of (file), &about) != 0)
        return error_set_errno (error, errno, "asking for the size of %s", file->path);
    *size = (uint64_t)about.st_size;
    return STATUS_OK;
}

static status_t do_truncate (fs_t *fs, file_t *file, uint64_t size, error_t *error)
{
    (void)fs;
    CHECK (size <= INT64_MAX);
    int failed;
    do {
        failed = ftruncate (descriptor_of (file), (off_t)size);
    } while (failed && errno == EINTR);
    if (failed)
        return error_set_errno (error, errno, "setting the size of %s", file->path);
    return STATUS_OK;
}

static status_t do_map (fs_t *fs, file_t *file, size_t size, const void **data, error_t *error)
{
    (void)fs;
    void *mapped = mmap (NULL, size, PROT_READ, MAP_SHARED, descriptor_of (file), 0);
    if (mapped == MAP_FAILED)
        return error_set_errno (error, errno, "mapping %s", file->path);
    *data = mapped;
    return STATUS_OK;
}

static void do_unmap (fs_t *fs, const void *data, size_t size)
{
    (void)fs;
    union {
        const void *given;
        void *mapped;
    } address = { .given = data };
    int failed = munmap (address.mapped, size);
    CHECK (!failed);
}

static status_t do_rename (fs_t *fs, const char *from, const char *to, error_t *error)
{
    int root = posix_of (fs)->root;
    if (renameat (root, from, root, to) != 0)
        return error_set_errno (error, errno, "renaming %s to %s", from, to);
    return STATUS_OK;
}

static status_t do_link (fs_t *fs, const char *from, const char *to, error_t *error)
{
    int root = posix_of (fs)->root;
    if (linkat (root, from, root, to, 0) == 0)
        return STATUS_OK;
    int code = errno;
    error_set_errno (error, code, "linking %s to %s", from, to);
    if (code == EXDEV || code == EPERM || code == EMLINK || code == EOPNOTSUPP || code == ENOSYS)
        error->status = STATUS_INVALID;
    return error->status;
}

/* A piece at a time: all of a large file at once keeps everything else off a processor for
 * milliseconds. */
static void do_forget (fs_t *fs, const char *path)
{
    enum { PIECE = 1 << 20 };
    struct stat file;
    int root = posix_of (fs)->root;
    if (fstatat (root, path, &file, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG (file.st_mode) ||
        file.st_nlink > 1 || file.st_size <= PIECE)
        return;
    int descriptor = open_at (root, path, O_RDONLY | O_NOFOLLOW, 0);
    for (off_t at = 0; descriptor >= 0 && at < file.st_size; at += PIECE) {
        scheduling_give_way ();
        (void)posix_fadvise (descriptor, at, PIECE, POSIX_FADV_DONTNEED);
    }
    if (descriptor >= 0)
        (void)close (descriptor);
}

static status_t do_remove (fs_t *fs, const char *path, error_t *error)
{
    if (unlinkat (posix_of (fs)->root, path, 0) != 0)
        return error_set_errno (error, errno, "removing %s", path);
    return STATUS_OK;
}

static status_t do_make_dir (fs_t *fs, const char *path, error_t *error)
{
    int root = posix_of (fs)->root;
    if (mkdirat (root, path, DIR_RIGHTS) == 0)
        return STATUS_OK;
    int code = errno;
    struct stat there;
    if (code == EEXIST && fstatat (root, path, &there, 0) == 0 && !S_ISDIR (there.st_mode))
        code = ENOTDIR;
    return error_set_errno (error, code, "making the directory %s", path);
}

static status_t sync_dir_at (int directory, const char *path, error_t *error)
{
    int descriptor = open_at (directory, path, O_RDONLY | O_DIRECTORY, 0);
    if (descriptor < 0)
        return error_set_errno (error, errno, "opening the directory %s", path);
    int code = fsync (descriptor) == 0 ? 0 : errno;
    (void)close (descriptor);
    return code ? error_set_errno (error, code, "syncing the directory %s", path) : STATUS_OK;
}

static status_t do_sync_dir (fs_t *fs, const char *path, error_t *error)
{
    return sync_dir_at (posix_of (fs)->root, path, error);
}

static status_t do_list (fs_t *fs, const char *path, void (*each) (void *arg, const char *name),
                         void *arg, error_t *error)
{
    int descriptor = open_at (posix_of (fs)->root, path, O_RDONLY | O_DIRECTORY, 0);
    DIR *directory = descriptor < 0 ? NULL : fdopendir (descriptor);
    int code = directory ? 0 : errno;
    if (!directory && descriptor >= 0)
        (void)close (descriptor);
    while (directory) {
        errno = 0;
        const struct dirent *entry = readdir (directory);
        if (!entry) {
            code = errno;
            break;
        }
        if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
            each (arg, entry->d_name);
    }
    if (directory)
        (void)closedir (directory);
    return code ? error_set_errno (error, code, "listing %s", path) : STATUS_OK;
}

static status_t do_free_space (fs_t *fs, uint64_t *bytes, error_t *error)
{
    struct statvfs space;
    if (fstatvfs (posix_of (fs)->root, &space) != 0)
        return error_set_errno (error, errno, "asking for the free space");
    *bytes = (uint64_t)space.f_bavail * space.f_frsize;
    return STATUS_OK;
}

/* A lock of a file without a name would keep nobody else out. */
static status_t check_name (file_t *file, error_t *error)
{
    struct stat about;
    if (fstat (descriptor_of (file), &about) != 0)
        return error_set_errno (error, errno, "asking about %s", file->path);
    if (about.st_nlink > 0)
        return STATUS_OK;
    (void)flock (descriptor_of (file), LOCK_UN);
    return error_set (error, STATUS_STALE, "%s was removed", file->path);
}

/* No lock of the kernel's can be waited for with a limit, so it is asked for again and again. */
static status_t do_lock (fs_t *fs, file_t *file, int wait_ms, error_t *error)
{
    (void)fs;
    for (int waited_ms = 0;; waited_ms += LOCK_AGAIN_MS) {
        if (flock (descriptor_of (file), LOCK_EX | LOCK_NB) == 0)
            return check_name (file, error);
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set_errno (error, errno, "locking %s", file->path);
        if (waited_ms >= wait_ms)
            return error_set (error, STATUS_BUSY, "%s is locked by another process", file->path);
        (void)poll (NULL, 0, LOCK_AGAIN_MS);
    }
}

static void do_unlock (fs_t *fs, file_t *file)
{
    (void)fs;
    CHECK (flock (descriptor_of (file), LOCK_UN) == 0);
}

static const fs_ops_t posix_ops = {
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
    .link = do_link,
    .remove = do_remove,
    .forget = do_forget,
    .make_dir = do_make_dir,
    .sync_dir = do_sync_dir,
    .list = do_list,
    .free_space = do_free_space,
    .lock = do_lock,
    .unlock = do_unlock,
};

/* The directory above `path`; the caller frees it. */
static char *path_above (const char *path)
{
    size_t size = strlen (path);
    while (size > 0 && path[size - 1] == '/')
        size--;
    while (size > 0 && path[size - 1] != '/')
        size--;
    while (size > 1 && path[size - 1] == '/')
        size--;
    return size > 0 ? mem_string_n (path, size) : mem_string (".");
}

status_t posix_fs_open (const char *root, fs_t **fs, error_t *error)
{
    *fs = NULL;
    if (mkdir (root, DIR_RIGHTS) == 0) {
        char *above = path_above (root);
        status_t status = sync_dir_at (AT_FDCWD, above, error);
        mem_free (above);
        if (status != STATUS_OK)
            return status;
    } else if (errno != EEXIST) {
        return error_set_errno (error, errno, "making the directory %s", root);
    }
    int descriptor = open_at (AT_FDCWD, root, O_RDONLY | O_DIRECTORY, 0);
    if (descriptor < 0)
        return error_set_errno (error, errno, "opening the directory %s", root);
    posix_fs_t *self = mem_zero (1, sizeof *self);
    self->fs.ops = &posix_ops;
    self->magic = POSIX_FS_MAGIC;
    self->root = descriptor;
    *fs = &self->fs;
    return STATUS_OK;
}

void posix_fs_destroy (fs_t **self_p)
{
    if (!*self_p)
        return;
    posix_fs_t *self = posix_of (*self_p);
    (void)close (self->root);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

/* statfs and the device of `root`, or of the nearest directory above it that exists. Answers an
 * errno value. */
static int statfs_above (const char *root, struct statfs *found, dev_t *device)
{
    char *path = mem_string (root);
    int code;
    for (;;) {
        struct stat status = { 0 };
        code = statfs (path, found) == 0 && stat (path, &status) == 0 ? 0 : errno;
        *device = status.st_dev;
        if (code != ENOENT || strcmp (path, ".") == 0 || strcmp (path, "/") == 0)
            break;
        char *above = path_above (path);
        mem_free (path);
        path = above;
    }
    mem_free (path);
    return code;
}

/* FUSE has one number for sshfs and for a local NTFS disk; only the table of mounts tells them
 * apart. Is `device` a kind known to be on a local disk? */
static bool fuse_is_local (dev_t device)
{
    FILE *mounts = fopen ("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t capacity = 0;
    bool local = false;
    while (mounts && getline (&line, &capacity, mounts) >= 0) {
        unsigned high, low;
        char kind[64];
        const char *rest = strstr (line, " - ");
        if (sscanf (line, "%*u %*u %u:%u", &high, &low) == 2 && rest &&
            sscanf (rest, " - %63s", kind) == 1 && makedev (high, low) == device)
            local = strcmp (kind, "fuseblk") == 0 || strcmp (kind, "fuse.fuse-overlayfs") == 0;
    }
    mem_free (line);
    if (mounts)
        fclose (mounts);
    return local;
}

/* The name of a network filesystem by its number in statfs(2), or NULL. */
static const char *network_name (uint32_t number)
{
    static const struct {
        uint32_t number;
        const char *name;
    } networks[] = {
        { 0x6969, "NFS" },        { 0x517b, "SMB" },
        { 0xff534d42, "CIFS" },   { 0xfe534d42, "SMB" },
        { 0x01021997, "9P" },     { 0x00c36400, "Ceph" },
        { 0x5346414f, "AFS" },    { 0x6b414653, "AFS" },
        { 0x73757245, "Coda" },   { 0x564c, "NCP" },
        { 0x0bd00bd0, "Lustre" }, { 0x19830326, "BeeGFS" },
        { 0x47504653, "GPFS" },   { 0x786f4256, "a shared folder of a virtual machine" },
        { 0x65735546, "FUSE" },
    };
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        if (networks[i].number == number)
            return networks[i].name;
    }
    return NULL;
}

status_t posix_fs_refuse_network (const char *root, error_t *error)
{
    struct statfs found;
    dev_t device;
    int code = statfs_above (root, &found, &device);
    if (code != 0)
        return error_set_errno (error, code, "asking which filesystem %s is on", root);
    const char *name = network_name ((uint32_t)found.f_type);
    if (!name || (strcmp (name, "FUSE") == 0 && fuse_is_local (device)))
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "%s is on a network filesystem (%s), where locks and syncs cannot be relied "
                      "on: choose a directory on a disk of this machine",
                      root, name);
}

/* Says who has the lock, as far as the file tells. */
static status_t refuse_lock (fs_t *fs, file_t *lock, error_t *error)
{
    char owner[16] = "";
    size_t got;
    error_t ignored;
    if (fs_read (fs, lock, 0, owner, sizeof owner - 1, &got, &ignored) != STATUS_OK)
        owner[0] = '\0';
    owner[strspn (owner, "0123456789")] = '\0';
    return error_set (error, STATUS_BUSY, "%s is held by another process%s%s", lock->path,
                      owner[0] ? ", id " : "", owner);
}

static status_t write_owner (fs_t *fs, file_t *lock, error_t *error)
{
    char text[16];
    int size = snprintf (text, sizeof text, "%d\n", (int)getpid ());
    status_t status = fs_truncate (fs, lock, 0, error);
    return status == STATUS_OK ? fs_write (fs, lock, 0, text, (size_t)size, error) : status;
}

static status_t take_lock (fs_t *fs, const char *name, int flags, file_t **lock, error_t *error)
{
    status_t status = fs_open (fs, name, FS_WRITE, lock, error);
    if (status != STATUS_OK)
        return status;
    int failed;
    do {
        failed = flock ((*lock)->descriptor, LOCK_EX | flags);
    } while (failed && errno == EINTR);
    if (failed && errno == EWOULDBLOCK)
        status = refuse_lock (fs, *lock, error);
    else if (failed)
        status = error_set_errno (error, errno, "locking %s", name);
    else
        status = write_owner (fs, *lock, error);
    if (status != STATUS_OK)
        fs_close (fs, lock);
    return status;
}

status_t posix_fs_lock (fs_t *fs, const char *name, file_t **lock, error_t *error)
{
    return take_lock (fs, name, LOCK_NB, lock, error);
}

status_t posix_fs_lock_wait (fs_t *fs, const char *name, file_t **lock, error_t *error)
{
    return take_lock (fs, name, 0, lock, error);
}
