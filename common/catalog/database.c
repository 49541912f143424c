#include "catalog/database.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    LOCK_WAIT_MS = 200, /* transactions take a few milliseconds, mostly of syncs */
    LOCK_TRIES = 3      /* of a lock whose file is removed */
};

static status_t status_of_code (int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return STATUS_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return STATUS_CORRUPT;
    default:
        return STATUS_IO;
    }
}

static void tell_damage (database_t *self, const char *what)
{
    (void)error_set (&self->failure, STATUS_CORRUPT,
                     "the catalog %s is damaged: %s; it is left as it is. `weir fsck` says what "
                     "else is; restore the latest backup with `weir restore`",
                     self->path, what);
    for (char *at = self->failure.text; *at; at++) /* what SQLite says has several lines */
        if (*at == '\n')
            *at = ' ';
}

/* Keeps the first failure, in the words of whoever knows most: the disk, else SQLite. */
static void fail (database_t *self, int code)
{
    self->doubtful = true;
    if (self->failure.status != STATUS_OK)
        return;
    const error_t *problem = disk_vfs_problem (self->vfs);
    status_t status = status_of_code (code);
    if (problem->status != STATUS_OK && status != STATUS_CORRUPT) {
        self->failure = *problem;
        if (status != STATUS_NO_SPACE && problem->status != STATUS_NO_SPACE)
            self->failure.status = STATUS_IO;
    } else {
        (void)error_set (&self->failure, status, "%s",
                         self->handle ? sqlite3_errmsg (self->handle) : sqlite3_errstr (code));
    }
    if (self->failure.status == STATUS_CORRUPT) {
        error_t said = self->failure;
        tell_damage (self, said.text);
    } else if (self->failure.status == STATUS_NO_SPACE)
        (void)error_set (&self->failure, STATUS_NO_SPACE,
                         "the disk of the catalog %s is full; free some space there, and it goes "
                         "on by itself",
                         self->path);
    else
        (void)error_prefix (&self->failure, "the catalog %s", self->path);
}

status_t database_refuse (database_t *self, status_t status, const char *format, ...)
{
    if (self->failure.status != STATUS_OK)
        return self->failure.status;
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start (args, format);
    (void)vsnprintf (text, sizeof text, format, args);
    va_end (args);
    return error_set (&self->failure, status, "%s", text);
}

bool database_failed (const database_t *self)
{
    return self->failure.status != STATUS_OK;
}

void database_damaged (database_t *self, const char *what)
{
    if (self->failure.status == STATUS_OK)
        tell_damage (self, what);
}

/* ---- statements ---- */

statement_t statement_of (database_t *self, const char *sql)
{
    statement_t statement = { .database = self };
    if (database_failed (self))
        return statement;
    int code = sqlite3_prepare_v2 (self->handle, sql, -1, &statement.handle, NULL);
    if (code != SQLITE_OK)
        fail (self, code);
    return statement;
}

void bind_uint (statement_t *self, uint64_t value)
{
    bind_int (self, (int64_t)value);
}

void bind_int (statement_t *self, int64_t value)
{
    if (self->handle)
        CHECK (sqlite3_bind_int64 (self->handle, ++self->bound, value) == SQLITE_OK);
}

void bind_string (statement_t *self, const char *value)
{
    if (self->handle)
        CHECK (sqlite3_bind_text (self->handle, ++self->bound, value, -1, SQLITE_TRANSIENT) ==
               SQLITE_OK);
}

void statement_end (statement_t *self)
{
    sqlite3_finalize (self->handle);
    self->handle = NULL;
}

bool statement_row (statement_t *self)
{
    if (!self->handle)
        return false;
    self->column = 0;
    int code = sqlite3_step (self->handle);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        fail (self->database, code);
    statement_end (self);
    return false;
}

void statement_run (statement_t *self)
{
    while (statement_row (self)) {
    }
}

uint64_t column_uint (statement_t *self)
{
    return (uint64_t)column_int (self);
}

int64_t column_int (statement_t *self)
{
    return sqlite3_column_int64 (self->handle, self->column++);
}

const char *column_string (statement_t *self, arena_t *arena)
{
    int column = self->column++;
    bool is_null = sqlite3_column_type (self->handle, column) == SQLITE_NULL;
    const unsigned char *text = sqlite3_column_text (self->handle, column);
    if (!text && !is_null) /* it had to be copied, and there is no memory */
        fail (self->database, SQLITE_NOMEM);
    uint32_t size = (uint32_t)sqlite3_column_bytes (self->handle, column);
    return arena_string (arena, (text_t){ text ? (const char *)text : "", text ? size : 0 });
}

uint64_t database_number (database_t *self, const char *sql, uint64_t otherwise)
{
    statement_t statement = statement_of (self, sql);
    if (!statement_row (&statement))
        return otherwise;
    uint64_t number = column_uint (&statement);
    statement_end (&statement);
    return number;
}

void database_run (database_t *self, const char *sql)
{
    statement_t statement = statement_of (self, sql);
    statement_run (&statement);
}

/* ---- the lock ---- */

/* SQLite's own locks, with their levels, are left out (disk_vfs.c): one process at a time is in the
 * database, from the beginning of a transaction to its end. So nobody has to give way in the middle
 * of one, and what a process leaves half done when it dies is rolled back by the next one alone. */
static status_t try_lock (database_t *self, error_t *error)
{
    status_t status = STATUS_OK;
    if (!self->lock) {
        char *path = mem_format ("%s.lock", self->path);
        status = fs_open (self->fs, path, FS_WRITE, &self->lock, error);
        mem_free (path);
    }
    return status == STATUS_OK ? fs_lock (self->fs, self->lock, LOCK_WAIT_MS, error) : status;
}

static status_t take_lock (database_t *self, error_t *error)
{
    if (self->locked || self->image)
        return STATUS_OK;
    status_t status = try_lock (self, error);
    for (int i = 0; i < LOCK_TRIES && status == STATUS_STALE; i++) {
        fs_close (self->fs, &self->lock); /* somebody removed the file: there may be another */
        status = try_lock (self, error);
    }
    self->locked = status == STATUS_OK;
    if (status == STATUS_BUSY)
        return error_set (
            error, STATUS_BUSY,
            "another coordinator is in the middle of a transaction of the catalog %s; if "
            "it is stopped, let it go on or end it",
            self->path);
    if (status == STATUS_OK)
        return status;
    (void)error_prefix (error, "the catalog %s", self->path);
    return error->status = status == STATUS_STALE ? STATUS_IO : status;
}

static void leave_lock (database_t *self)
{
    if (self->locked)
        fs_unlock (self->fs, self->lock);
    self->locked = false;
}

/* ---- the connection ---- */

static void disconnect (database_t *self)
{
    if (self->handle)
        CHECK (sqlite3_close (self->handle) == SQLITE_OK);
    self->handle = NULL;
}

/* The rollback journal is kept and ended by zeroing its header: one sector, which a disk writes
 * whole or not at all, where a truncation could be half done. Nothing but a commit writes to the
 * database. */
static const char *const settings[] = {
    "PRAGMA journal_mode = PERSIST", "PRAGMA synchronous = EXTRA", "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",          "PRAGMA cache_spill = OFF",   "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
};

static status_t connect (database_t *self, error_t *error)
{
    CHECK (!self->handle);
    error_clear (&self->failure);
    disk_vfs_forget (self->vfs);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2 (self->path, &self->handle, flags, disk_vfs_name (self->vfs));
    if (code != SQLITE_OK)
        fail (self, code);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        database_run (self, settings[i]);
    if (!database_failed (self))
        return STATUS_OK;
    *error = self->failure;
    disconnect (self);
    return error->status;
}

status_t database_open (database_t *self, error_t *error)
{
    status_t status = take_lock (self, error);
    if (status == STATUS_OK)
        status = connect (self, error);
    leave_lock (self);
    return status;
}

status_t database_open_image (database_t *self, const void *bytes, size_t size, error_t *error)
{
    CHECK (!self->handle);
    error_clear (&self->failure);
    disk_vfs_forget (self->vfs);
    self->image = true;
    int code = sqlite3_open_v2 (":memory:", &self->handle,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                    SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
                                NULL);
    unsigned char *copy = code == SQLITE_OK ? sqlite3_malloc64 (size) : NULL;
    if (copy) {
        memcpy (copy, bytes, size);
        code = sqlite3_deserialize (self->handle, "main", copy, (sqlite3_int64)size,
                                    (sqlite3_int64)size,
                                    SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
    } else if (code == SQLITE_OK) {
        code = SQLITE_NOMEM;
    }
    if (code != SQLITE_OK)
        fail (self, code);
    database_run (self, "PRAGMA trusted_schema = OFF");
    database_run (self, "PRAGMA cell_size_check = ON");
    if (!database_failed (self))
        return STATUS_OK;
    *error = self->failure;
    database_close (self);
    return error->status;
}

void database_close (database_t *self)
{
    disconnect (self);
    self->locked = false;
    fs_close (self->fs, &self->lock);
}

/* Ends what is open; SQLite may have done so itself when a statement failed. */
static void roll_back (database_t *self)
{
    if (!self->handle || sqlite3_get_autocommit (self->handle))
        return;
    if (sqlite3_exec (self->handle, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        self->doubtful = true;
}

/* After a failure: opens again, which rolls back what was half done, and writes something. A sync
 * that failed can have left on the disk another state than the one that reads show; the new
 * transaction settles it, because whatever it read is what it writes down. */
static status_t settle (database_t *self, error_t *error)
{
    if (!self->doubtful || self->image)
        return STATUS_OK;
    disconnect (self);
    status_t status = connect (self, error);
    if (status != STATUS_OK)
        return status;
    database_run (self, "BEGIN IMMEDIATE");
    database_run (self, "UPDATE meta SET number = number + 1 WHERE name = 'settled'");
    database_run (self, "COMMIT");
    if (!database_failed (self)) {
        self->doubtful = false;
        return STATUS_OK;
    }
    *error = self->failure;
    roll_back (self);
    return error->status;
}

static status_t start (database_t *self, bool settled, const char *sql, error_t *error)
{
    error_clear (&self->failure);
    disk_vfs_forget (self->vfs);
    status_t status = take_lock (self, error);
    if (status == STATUS_OK && settled)
        status = settle (self, error);
    else if (status == STATUS_OK && !self->handle)
        status = connect (self, error);
    if (status == STATUS_OK) {
        database_run (self, sql);
        *error = self->failure;
        status = error->status;
    }
    if (status != STATUS_OK) {
        self->failure = *error;
        roll_back (self);
        leave_lock (self);
    }
    return status;
}

status_t database_begin_any (database_t *self, error_t *error)
{
    return start (self, true, "BEGIN IMMEDIATE", error);
}

status_t database_begin (database_t *self, error_t *error)
{
    if (database_begin_any (self, error) != STATUS_OK)
        return error->status;
    uint64_t term = database_number (self, "SELECT number FROM meta WHERE name = 'term'", 0);
    if (self->term == 0)
        (void)database_refuse (self, STATUS_FENCED,
                               "this coordinator does not lead: it may not write the catalog %s",
                               self->path);
    else if (!database_failed (self) && term != self->term)
        (void)database_refuse (self, STATUS_FENCED,
                               "another coordinator has taken over the catalog %s (term %" PRIu64
                               ", this one has %" PRIu64 ")",
                               self->path, term, self->term);
    if (database_failed (self))
        *error = self->failure;
    return self->failure.status;
}

status_t database_read (database_t *self, error_t *error)
{
    return start (self, true, "BEGIN", error);
}

status_t database_peek (database_t *self, error_t *error)
{
    return start (self, false, "BEGIN", error);
}

status_t database_commit (database_t *self, error_t *error)
{
    database_run (self, "COMMIT");
    if (database_failed (self))
        roll_back (self);
    leave_lock (self);
    if (database_failed (self))
        *error = self->failure;
    return self->failure.status;
}
