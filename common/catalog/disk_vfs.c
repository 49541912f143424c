#include "catalog/disk_vfs.h"

#include "base/check.h"
#include "base/mem.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum { VFS_MAGIC = 0x56465344, SECTOR_SIZE = 4096, VFS_PATH_MAX = 512 };

struct disk_vfs {
    uint32_t magic;
    sqlite3_vfs vfs; /* pAppData is the disk_vfs */
    fs_t *fs;
    error_t problem;
    char name[32];
};

typedef struct disk_file {
    sqlite3_file base; /* first: it is what SQLite holds */
    disk_vfs_t *disk;
    file_t *file;
    char *path;
    bool created; /* the directory has to be synced with the first sync */
    bool remove;  /* when closed */
} disk_file_t;

/* Keeps the first error and turns it into SQLite's. */
static int refuse (disk_vfs_t *self, const error_t *error, int code)
{
    if (self->problem.status == STATUS_OK)
        self->problem = *error;
    return error->status == STATUS_NO_SPACE ? SQLITE_FULL : code;
}

static int sync_directory (disk_vfs_t *self, const char *path)
{
    error_t error;
    const char *slash = strrchr (path, '/');
    char *parent = slash ? mem_string_n (path, (size_t)(slash - path)) : mem_string (".");
    status_t status = fs_sync_dir (self->fs, parent, &error);
    mem_free (parent);
    return status == STATUS_OK ? SQLITE_OK : refuse (self, &error, SQLITE_IOERR_DIR_FSYNC);
}

/* ---- a file ---- */

static int file_close (sqlite3_file *base)
{
    disk_file_t *self = (disk_file_t *)base;
    error_t error;
    int code = SQLITE_OK;
    fs_close (self->disk->fs, &self->file);
    if (self->remove && fs_remove (self->disk->fs, self->path, &error) != STATUS_OK)
        code = refuse (self->disk, &error, SQLITE_IOERR_DELETE);
    mem_free (self->path);
    self->path = NULL;
    return code;
}

static int file_read (sqlite3_file *base, void *data, int size, sqlite3_int64 at)
{
    disk_file_t *self = (disk_file_t *)base;
    error_t error;
    size_t got;
    if (fs_read (self->disk->fs, self->file, (uint64_t)at, data, (size_t)size, &got, &error) !=
        STATUS_OK)
        return refuse (self->disk, &error, SQLITE_IOERR_READ);
    if (got == (size_t)size)
        return SQLITE_OK;
    memset ((char *)data + got, 0, (size_t)size - got); /* as SQLite asks for */
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write (sqlite3_file *base, const void *data, int size, sqlite3_int64 at)
{
    disk_file_t *self = (disk_file_t *)base;
    error_t error;
    if (fs_write (self->disk->fs, self->file, (uint64_t)at, data, (size_t)size, &error) !=
        STATUS_OK)
        return refuse (self->disk, &error, SQLITE_IOERR_WRITE);
    return SQLITE_OK;
}

static int file_truncate (sqlite3_file *base, sqlite3_int64 size)
{
    disk_file_t *self = (disk_file_t *)base;
    error_t error;
    if (fs_truncate (self->disk->fs, self->file, (uint64_t)size, &error) != STATUS_OK)
        return refuse (self->disk, &error, SQLITE_IOERR_TRUNCATE);
    return SQLITE_OK;
}

static int file_sync (sqlite3_file *base, int flags)
{
    (void)flags;
    disk_file_t *self = (disk_file_t *)base;
    error_t error;
    if (fs_sync (self->disk->fs, self->file, &error) != STATUS_OK)
        return refuse (self->disk, &error, SQLITE_IOERR_FSYNC);
    if (!self->created)
        return SQLITE_OK;
    int code = sync_directory (self->disk, self->path);
    if (code == SQLITE_OK)
        self->created = false;
    return code;
}

static int file_size (sqlite3_file *base, sqlite3_int64 *size)
{
    disk_file_t *self = (disk_file_t *)base;
    error_t error;
    uint64_t bytes;
    if (fs_size (self->disk->fs, self->file, &bytes, &error) != STATUS_OK)
        return refuse (self->disk, &error, SQLITE_IOERR_FSTAT);
    *size = (sqlite3_int64)bytes;
    return SQLITE_OK;
}

static int file_lock (sqlite3_file *base, int level)
{
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static int file_locked (sqlite3_file *base, int *locked)
{
    (void)base;
    *locked = 0;
    return SQLITE_OK;
}

static int file_control (sqlite3_file *base, int operation, void *argument)
{
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size (sqlite3_file *base)
{
    (void)base;
    return SECTOR_SIZE;
}

static int file_traits (sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_locked,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
};

/* ---- the disk ---- */

/* Opens what is there, or creates it when asked to; *created says which. */
static status_t open_or_create (fs_t *fs, const char *path, bool create, file_t **file,
                                bool *created, error_t *error)
{
    *created = false;
    status_t status = fs_open (fs, path, FS_READ, file, error);
    if (status == STATUS_OK) {
        fs_close (fs, file);
        return fs_open (fs, path, FS_WRITE, file, error);
    }
    if (status != STATUS_NOT_FOUND || !create)
        return status;
    *created = true;
    return fs_open (fs, path, FS_WRITE, file, error);
}

static int vfs_open (sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
                     int *flags_out)
{
    disk_vfs_t *self = vfs->pAppData;
    CHECK_OBJECT (self, VFS_MAGIC);
    disk_file_t *file = (disk_file_t *)base;
    *file = (disk_file_t){ .disk = self };
    if (!path) /* a temporary file: temp_store=MEMORY keeps SQLite from it */
        return SQLITE_CANTOPEN;
    error_t error;
    bool create = (flags & SQLITE_OPEN_CREATE) != 0;
    if (open_or_create (self->fs, path, create, &file->file, &file->created, &error) != STATUS_OK)
        return refuse (self, &error, SQLITE_CANTOPEN);
    file->path = mem_string (path);
    file->remove = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    file->base.pMethods = &file_methods;
    if (flags_out)
        *flags_out = flags;
    return SQLITE_OK;
}

static int vfs_delete (sqlite3_vfs *vfs, const char *path, int sync)
{
    disk_vfs_t *self = vfs->pAppData;
    error_t error;
    if (fs_remove (self->fs, path, &error) != STATUS_OK)
        return refuse (self, &error, SQLITE_IOERR_DELETE);
    return sync ? sync_directory (self, path) : SQLITE_OK;
}

static int vfs_access (sqlite3_vfs *vfs, const char *path, int flags, int *answer)
{
    (void)flags;
    disk_vfs_t *self = vfs->pAppData;
    error_t error;
    file_t *file;
    *answer = 0;
    status_t status = fs_open (self->fs, path, FS_READ, &file, &error);
    if (status == STATUS_NOT_FOUND)
        return SQLITE_OK;
    if (status != STATUS_OK)
        return refuse (self, &error, SQLITE_IOERR_ACCESS);
    fs_close (self->fs, &file);
    *answer = 1;
    return SQLITE_OK;
}

static int vfs_full_path (sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    int length = snprintf (out, (size_t)size, "%s", path);
    return length >= 0 && length < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

/* SQLite asks once a process, for nonces; what they are does not matter for what is stored. */
static int vfs_randomness (sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    memset (out, 0x5a, (size_t)size);
    return size;
}

static int vfs_sleep (sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

/* Times come from callers; no statement asks SQLite for one. */
static int vfs_time (sqlite3_vfs *vfs, double *julian_day)
{
    (void)vfs;
    *julian_day = 2440587.5;
    return SQLITE_OK;
}

static int vfs_last_error (sqlite3_vfs *vfs, int size, char *out)
{
    disk_vfs_t *self = vfs->pAppData;
    if (size > 0)
        (void)snprintf (out, (size_t)size, "%s", self->problem.text);
    return 0;
}

disk_vfs_t *disk_vfs_new (fs_t *fs)
{
    CHECK (sqlite3_initialize () == SQLITE_OK);
    disk_vfs_t *self = mem_zero (1, sizeof *self);
    self->magic = VFS_MAGIC;
    self->fs = fs;
    (void)snprintf (self->name, sizeof self->name, "weir-%p", (void *)self);
    self->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof (disk_file_t),
        .mxPathname = VFS_PATH_MAX,
        .zName = self->name,
        .pAppData = self,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
    };
    CHECK (sqlite3_vfs_register (&self->vfs, 0) == SQLITE_OK);
    return self;
}

void disk_vfs_destroy (disk_vfs_t **self_p)
{
    disk_vfs_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, VFS_MAGIC);
    sqlite3_vfs_unregister (&self->vfs);
    self->magic = 0;
    mem_free (self);
}

const char *disk_vfs_name (const disk_vfs_t *self)
{
    return self->name;
}

fs_t *disk_vfs_fs (const disk_vfs_t *self)
{
    CHECK_OBJECT (self, VFS_MAGIC);
    return self->fs;
}

const error_t *disk_vfs_problem (const disk_vfs_t *self)
{
    return &self->problem;
}

void disk_vfs_forget (disk_vfs_t *self)
{
    error_clear (&self->problem);
}
