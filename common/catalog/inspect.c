/* inspect.c - a catalog looked at from outside, copied, and begun anew from a copy. */
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "catalog/store.h"

#include <inttypes.h>
#include <string.h>

enum {
    IMAGE_MAX = 1 << 30, /* bytes of a catalog that is read whole */
    LIVE_TRIES = 10,
    LOCK_WAIT_MS = 5000,
    CHUNK = 1 << 20,  /* bytes copied at a time */
    TERM_STEP = 1000, /* what may have been given since the copy was made: terms, … */
    /* … numbers of recomputes and of blocks of tasks; those of cuts that were made while logs were
     * copied are in these, and a number that comes again would be taken for that cut; … */
    NUMBER_STEP = 1 << 20,
    EPOCH_STEP = 1000 /* … and epochs */
};

/* ---- the file's bytes ---- */

/* Does the journal hold a transaction that has not ended? Its header is zero when it has. */
static status_t journal_is_hot (fs_t *fs, const char *path, bool *hot, error_t *error)
{
    char *journal = mem_format ("%s-journal", path);
    uint8_t head[8] = { 0 };
    static const uint8_t none[8];
    size_t got = 0;
    file_t *file;
    status_t status = fs_open (fs, journal, FS_READ, &file, error);
    if (status == STATUS_OK)
        status = fs_read (fs, file, 0, head, sizeof head, &got, error);
    fs_close (fs, &file);
    *hot = got == sizeof head && memcmp (head, none, sizeof head) != 0;
    mem_free (journal);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static status_t read_file (fs_t *fs, const char *path, buf_t *bytes, error_t *error)
{
    file_t *file;
    uint64_t size = 0;
    buf_clear (bytes);
    status_t status = fs_open (fs, path, FS_READ, &file, error);
    if (status == STATUS_OK)
        status = fs_size (fs, file, &size, error);
    if (status == STATUS_OK && size > IMAGE_MAX)
        status = error_set (error, STATUS_TOO_LARGE, "%s has over %d bytes", path, IMAGE_MAX);
    if (status == STATUS_OK && size > 0)
        status = fs_read_all (fs, file, 0, buf_extend (bytes, (size_t)size), (size_t)size, error);
    fs_close (fs, &file);
    return status;
}

/* Opened for writing once, which takes back what was not finished. */
static status_t recover (fs_t *fs, const char *path, error_t *error)
{
    bool hot;
    status_t status = journal_is_hot (fs, path, &hot, error);
    if (status != STATUS_OK || !hot)
        return status;
    database_t database = { .path = path, .fs = fs, .vfs = disk_vfs_new (fs) };
    status = database_open (&database, error);
    if (status == STATUS_OK)
        status = database_peek (&database, error);
    if (status == STATUS_OK) {
        (void)database_number (&database, "SELECT count(*) FROM sqlite_schema", 0);
        status = database_commit (&database, error);
    }
    database_close (&database);
    disk_vfs_destroy (&database.vfs);
    return status;
}

/* Under the lock of the database nobody is in a transaction; one that a crash ended in the middle
 * is taken back by the next coordinator, which may not have come yet. */
static status_t read_live (fs_t *fs, const char *path, buf_t *bytes, error_t *error)
{
    char *name = mem_format ("%s.lock", path);
    file_t *lock = NULL;
    bool hot = true;
    status_t status = STATUS_OK;
    for (int i = 0; i < LIVE_TRIES && status == STATUS_OK && hot; i++) {
        status = recover (fs, path, error);
        if (status == STATUS_OK)
            status = fs_open (fs, name, FS_WRITE, &lock, error);
        if (status == STATUS_OK)
            status = fs_lock (fs, lock, LOCK_WAIT_MS, error);
        if (status == STATUS_OK)
            status = journal_is_hot (fs, path, &hot, error);
        if (status == STATUS_OK && !hot)
            status = read_file (fs, path, bytes, error);
        fs_close (fs, &lock);
    }
    mem_free (name);
    if (status == STATUS_OK && hot)
        status = error_set (error, STATUS_BUSY,
                            "the catalog %s is left in the middle of transactions again and again",
                            path);
    return status;
}

/* ---- opening ---- */

static status_t check_version (catalog_t *self, error_t *error)
{
    database_t *database = &self->database;
    status_t status = database_read (database, error);
    if (status != STATUS_OK)
        return status;
    uint64_t version = database_number (database, "PRAGMA user_version", 0);
    if (!database_failed (database) && version != SCHEMA_VERSION)
        (void)database_refuse (database, version == 0 ? STATUS_CORRUPT : STATUS_VERSION,
                               "%s has schema %" PRIu64 ", this program knows %d", self->path,
                               version, SCHEMA_VERSION);
    return database_commit (database, error);
}

status_t catalog_open_reading (fs_t *fs, const char *path, bool live, catalog_t **catalog,
                               error_t *error)
{
    *catalog = NULL;
    buf_t bytes;
    buf_init (&bytes, IMAGE_MAX);
    status_t status = live ? STATUS_OK : recover (fs, path, error);
    if (status == STATUS_OK)
        status = live ? read_live (fs, path, &bytes, error) : read_file (fs, path, &bytes, error);
    catalog_t *self = mem_zero (1, sizeof *self);
    self->magic = CATALOG_MAGIC;
    self->path = mem_string (path);
    self->database.path = self->path;
    self->database.fs = fs;
    self->database.vfs = disk_vfs_new (fs);
    if (status == STATUS_OK && bytes.size < 512)
        status = error_set (error, STATUS_CORRUPT, "the catalog %s is cut off: %zu bytes", path,
                            bytes.size);
    if (status == STATUS_OK)
        status = database_open_image (&self->database, bytes.data, bytes.size, error);
    if (status == STATUS_OK)
        status = check_version (self, error);
    buf_release (&bytes);
    if (status == STATUS_OK)
        *catalog = self;
    else
        catalog_close (&self);
    return status;
}

/* ---- what it says ---- */

status_t catalog_identity (catalog_t *self, arena_t *arena, const char **cluster,
                           uint32_t *partitions, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    *cluster = "";
    status_t status = database_read (database, error);
    if (status != STATUS_OK)
        return status;
    statement_t named = statement_of (database, "SELECT text FROM meta WHERE name = 'cluster'");
    while (statement_row (&named))
        *cluster = column_string (&named, arena);
    *partitions = (uint32_t)database_number (
        database, "SELECT number FROM meta WHERE name = 'partitions'", 0);
    return database_commit (database, error);
}

status_t catalog_check (catalog_t *self, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    status_t status = database_read (database, error);
    if (status != STATUS_OK)
        return status;
    arena_t *arena = arena_new (1024);
    statement_t check = statement_of (database, "PRAGMA integrity_check(1)");
    while (statement_row (&check)) {
        const char *said = column_string (&check, arena);
        if (strcmp (said, "ok") != 0)
            database_damaged (database, said);
    }
    arena_destroy (&arena);
    return database_commit (database, error);
}

status_t catalog_logs (catalog_t *self, arena_t *arena, const char ***names, size_t *count,
                       error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *names = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    statement_t all = statement_of (
        &self->database, "SELECT name FROM object WHERE kind IN ('log', 'key') UNION SELECT log "
                         "FROM manifest UNION SELECT log FROM control UNION SELECT log FROM "
                         "recompute ORDER BY 1");
    while (statement_row (&all)) {
        *names = rows_grow (arena, *names, *count, sizeof **names);
        (*names)[(*count)++] = column_string (&all, arena);
    }
    return database_commit (&self->database, error);
}

/* ---- copying ---- */

static status_t copy_bytes (fs_t *fs, file_t *from, file_t *to, error_t *error)
{
    uint8_t *chunk = mem_alloc (CHUNK);
    uint64_t at = 0;
    size_t got = CHUNK;
    status_t status = STATUS_OK;
    while (status == STATUS_OK && got == CHUNK) {
        status = fs_read (fs, from, at, chunk, CHUNK, &got, error);
        if (status == STATUS_OK && got > 0)
            status = fs_write (fs, to, at, chunk, got, error);
        at += got;
    }
    mem_free (chunk);
    return status;
}

static status_t copy_file (fs_t *fs, const char *path, const char *to, error_t *error)
{
    file_t *source = NULL;
    file_t *copy = NULL;
    status_t status = fs_open (fs, path, FS_READ, &source, error);
    if (status == STATUS_OK)
        status = fs_open (fs, to, FS_CREATE, &copy, error);
    if (status == STATUS_OK)
        status = copy_bytes (fs, source, copy, error);
    if (status == STATUS_OK)
        status = fs_sync (fs, copy, error);
    fs_close (fs, &source);
    fs_close (fs, &copy);
    if (status != STATUS_OK)
        return status;
    const char *slash = strrchr (to, '/');
    char *parent = slash ? mem_string_n (to, (size_t)(slash - to)) : mem_string (".");
    status = fs_sync_dir (fs, parent, error);
    mem_free (parent);
    return status;
}

/* Between transactions the file is all there is. This one writes nothing: it is there to see that
 * nobody else has become the coordinator. */
status_t catalog_copy (catalog_t *self, const char *to, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    status_t status = database_begin (database, error);
    if (status == STATUS_OK) {
        status = copy_file (disk_vfs_fs (database->vfs), self->path, to, error);
        if (status != STATUS_OK)
            (void)database_refuse (database, status, "%s", error->text);
    }
    return database_commit (database, error);
}

/* ---- restoring ---- */

/* The last is for logs of other keys: what their sources hold beyond what they have got is
 * forwarded again, and until then answers say that they are not complete ("forwarded" is
 * coordinator/state.h's).
 */
static const char *const begin_anew[] = {
    "DELETE FROM included WHERE number < (SELECT max(number) FROM manifest AS m WHERE m.log = "
    "included.log)",
    "DELETE FROM part WHERE number < (SELECT max(number) FROM manifest AS m WHERE m.log = "
    "part.log)",
    "DELETE FROM run WHERE number < (SELECT max(number) FROM manifest AS m WHERE m.log = run.log)",
    "DELETE FROM excluded WHERE number < (SELECT max(number) FROM manifest AS m WHERE m.log = "
    "excluded.log)",
    "DELETE FROM layer WHERE number < (SELECT max(number) FROM manifest AS m WHERE m.log = "
    "layer.log)",
    "DELETE FROM view_file WHERE number < (SELECT max(number) FROM manifest AS m WHERE m.log = "
    "view_file.log)",
    "DELETE FROM manifest WHERE number < (SELECT max(number) FROM manifest AS m WHERE m.log = "
    "manifest.log)",
    "DELETE FROM control WHERE id = 'forwarded'",
};

static void raise (database_t *database, const char *name, uint64_t by)
{
    statement_t up =
        statement_of (database, "UPDATE meta SET number = number + ?1 WHERE name = ?2");
    bind_uint (&up, by);
    bind_string (&up, name);
    statement_run (&up);
}

static void leave_partition (database_t *database, uint32_t partition, uint64_t epoch)
{
    statement_t put = statement_of (
        database, "INSERT INTO assignment VALUES (?1, ?2, '', 0, '') ON CONFLICT (partition) DO "
                  "UPDATE SET epoch = max(epoch, ?2) + ?3, node = '', incarnation = 0, endpoint = "
                  "''");
    bind_uint (&put, partition);
    bind_uint (&put, epoch);
    bind_uint (&put, EPOCH_STEP);
    statement_run (&put);
}

status_t catalog_restored (fs_t *fs, const char *path, const uint64_t *epochs, uint32_t partitions,
                           error_t *error)
{
    database_t database = { .path = path, .fs = fs, .vfs = disk_vfs_new (fs) };
    status_t status = database_open (&database, error);
    if (status == STATUS_OK)
        status = database_begin_any (&database, error);
    if (status == STATUS_OK) {
        for (size_t i = 0; i < sizeof begin_anew / sizeof begin_anew[0]; i++)
            database_run (&database, begin_anew[i]);
        raise (&database, "term", TERM_STEP);
        raise (&database, "task", NUMBER_STEP);
        raise (&database, "recompute", NUMBER_STEP);
        for (uint32_t p = 0; p < partitions; p++)
            leave_partition (&database, p, epochs[p]);
        status = database_commit (&database, error);
    }
    database_close (&database);
    disk_vfs_destroy (&database.vfs);
    return status;
}
