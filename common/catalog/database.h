/* database.h - statements and transactions on the catalog's one SQLite connection.
 *
 * Statements are sticky: after something failed, the rest of a transaction does nothing, and
 * database_commit tells the first failure. What comes from outside goes in through binds only. */
#ifndef WEIR_CATALOG_DATABASE_H
#define WEIR_CATALOG_DATABASE_H

#include "base/arena.h"
#include "catalog/disk_vfs.h"

#include <sqlite3.h>

typedef struct database {
    disk_vfs_t *vfs;
    fs_t *fs;
    const char *path; /* the catalog's */
    file_t *lock;     /* whoever has locked this file may read and write the database */
    bool locked;
    sqlite3 *handle; /* NULL while closed after a failure */
    error_t failure; /* the first since database_begin or database_read */
    uint64_t term;   /* what a writer must find in the database; 0: it may not write */
    bool doubtful;   /* something failed: what is on the disk has to be found out */
    bool image;      /* it is a copy in memory: nothing is ever on the disk, and there is no lock */
} database_t;

/* Opens the connection (and makes the file when missing). */
MUST_CHECK status_t database_open (database_t *self, error_t *error);
/* Opens bytes of a database as they stand in a file, for reading alone; they are copied. */
MUST_CHECK status_t database_open_image (database_t *self, const void *bytes, size_t size,
                                         error_t *error);
/* Also lets go of the lock. */
void database_close (database_t *self);

/* Starts a transaction that writes; database_commit must follow, whatever this returns. From here
 * to there no other process reads or writes: BUSY when one that is stopped in the middle of a
 * transaction does not let us. The term is checked: FENCED when another process has raised it, or
 * when this one never did. */
MUST_CHECK status_t database_begin (database_t *self, error_t *error);
/* The same without a look at the term, for what anybody may write. */
MUST_CHECK status_t database_begin_any (database_t *self, error_t *error);
/* Makes it durable, or takes it back and answers why. */
MUST_CHECK status_t database_commit (database_t *self, error_t *error);

/* The same for a transaction that only reads; it needs no database_commit when it fails. */
MUST_CHECK status_t database_read (database_t *self, error_t *error);
/* And for one that asks only for what others have written: while this process's own writes are in
 * doubt, because the disk is full say, it goes on reading. */
MUST_CHECK status_t database_peek (database_t *self, error_t *error);

/* Makes the transaction fail with a reason of the caller's. */
status_t database_refuse (database_t *self, status_t status, const char *format, ...)
    PRINTF_LIKE (3, 4);
bool database_failed (const database_t *self);
/* Makes the transaction fail because of what a check of the database said. */
void database_damaged (database_t *self, const char *what);

/* A statement, prepared, bound in order, run or stepped, and gone. */
typedef struct statement {
    database_t *database;
    sqlite3_stmt *handle; /* NULL when preparing failed */
    int bound;
    int column;
} statement_t;

statement_t statement_of (database_t *self, const char *sql);
void bind_uint (statement_t *self, uint64_t value);
void bind_int (statement_t *self, int64_t value);
void bind_string (statement_t *self, const char *value);
/* Steps to the next row; at the end (or on failure) false, and the statement is gone. */
bool statement_row (statement_t *self);
/* Runs one that gives no rows. */
void statement_run (statement_t *self);
/* Ends one that has more rows. */
void statement_end (statement_t *self);

/* The row's columns from left to right. */
uint64_t column_uint (statement_t *self);
int64_t column_int (statement_t *self);
const char *column_string (statement_t *self, arena_t *arena);

/* One number that `sql` selects, or `otherwise` when there is no row. */
uint64_t database_number (database_t *self, const char *sql, uint64_t otherwise);
/* Runs fixed SQL without parameters. */
void database_run (database_t *self, const char *sql);

#endif
