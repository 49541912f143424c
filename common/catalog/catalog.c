#include "base/check.h"
#include "base/mem.h"
#include "catalog/schema.h"
#include "catalog/store.h"

#include <inttypes.h>
#include <string.h>

static const char *const schema[] = { CATALOG_SCHEMA };

void *rows_grow (arena_t *arena, void *rows, size_t count, size_t size)
{
    /* Room doubles at every power of two, so that the arena holds at most twice what is used. */
    if (count == 0 || (count & (count - 1)) != 0)
        return count == 0 ? arena_zero (arena, 1, size) : rows;
    char *larger = arena_zero (arena, 2 * count, size);
    memcpy (larger, rows, count * size);
    return larger;
}

/* ---- opening ---- */

void meta_put (database_t *database, const char *name, uint64_t number, const char *text)
{
    statement_t put = statement_of (
        database, "INSERT OR REPLACE INTO meta (name, number, text) VALUES (?1, ?2, ?3)");
    bind_string (&put, name);
    bind_uint (&put, number);
    bind_string (&put, text);
    statement_run (&put);
}

static void create (catalog_t *self, const char *cluster, uint32_t partitions)
{
    database_t *database = &self->database;
    for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++)
        database_run (database, schema[i]);
    meta_put (database, "cluster", 0, cluster);
    meta_put (database, "partitions", partitions, "");
    meta_put (database, "term", 0, "");
    meta_put (database, "definitions", 0, "");
    meta_put (database, "task", 0, "");
    meta_put (database, "recompute", 0, "");
    meta_put (database, "settled", 0, "");
    database_run (database, "PRAGMA user_version = 4");
    _Static_assert(SCHEMA_VERSION == 4, "the number in the statement above");
}

/* What an earlier version of this program made becomes what this one needs. */
static void upgrade (catalog_t *self, uint64_t from)
{
    database_t *database = &self->database;
    if (from < 3) {
        database_run (database, CATALOG_SCHEMA_FORGET);
        database_run (database, CATALOG_SCHEMA_LAYER);
        database_run (database, CATALOG_SCHEMA_FULL);
    }
    if (from < 4)
        upgrade_versions (database);
    database_run (database, "PRAGMA user_version = 4");
}

/* Is it the catalog of this cluster? */
static void compare (catalog_t *self, const char *cluster, uint32_t partitions)
{
    database_t *database = &self->database;
    statement_t named = statement_of (database, "SELECT text FROM meta WHERE name = 'cluster'");
    if (statement_row (&named)) {
        arena_t *arena = arena_new (1024);
        const char *stored = column_string (&named, arena);
        if (strcmp (stored, cluster) != 0)
            (void)database_refuse (database, STATUS_INVALID,
                                   "%s is the catalog of cluster \"%s\", not of \"%s\"", self->path,
                                   stored, cluster);
        arena_destroy (&arena);
        statement_end (&named);
    }
    uint64_t stored =
        database_number (database, "SELECT number FROM meta WHERE name = 'partitions'", 0);
    if (stored != partitions)
        (void)database_refuse (database, STATUS_INVALID,
                               "the cluster was made with %" PRIu64
                               " partitions, which cannot be changed (now %" PRIu32 ")",
                               stored, partitions);
}

/* Damage is found before anything is built on it. A catalog is small. */
static void look_for_damage (database_t *database)
{
    statement_t check = statement_of (database, "PRAGMA quick_check(1)");
    if (!statement_row (&check))
        return;
    arena_t *arena = arena_new (1024);
    const char *said = column_string (&check, arena);
    if (strcmp (said, "ok") != 0)
        database_damaged (database, said);
    arena_destroy (&arena);
    statement_end (&check);
}

static void establish (catalog_t *self, const char *cluster, uint32_t partitions)
{
    database_t *database = &self->database;
    look_for_damage (database);
    uint64_t version = database_number (database, "PRAGMA user_version", 0);
    if (version > SCHEMA_VERSION)
        (void)database_refuse (database, STATUS_VERSION,
                               "%s was written by a newer version of weir (schema %" PRIu64
                               ", this program knows %d)",
                               self->path, version, SCHEMA_VERSION);
    else if (version == 0)
        create (self, cluster, partitions);
    else
        compare (self, cluster, partitions);
    if (version > 0 && version < SCHEMA_VERSION)
        upgrade (self, version);
    self->definitions =
        database_number (database, "SELECT number FROM meta WHERE name = 'definitions'", 0);
}

status_t catalog_open (fs_t *fs, const char *path, const char *cluster, uint32_t partitions,
                       catalog_t **catalog, error_t *error)
{
    *catalog = NULL;
    const char *slash = strrchr (path, '/');
    if (slash) {
        char *parent = mem_string_n (path, (size_t)(slash - path));
        status_t made = fs_make_dir (fs, parent, error);
        mem_free (parent);
        if (made != STATUS_OK)
            return made;
    }
    catalog_t *self = mem_zero (1, sizeof *self);
    self->magic = CATALOG_MAGIC;
    self->path = mem_string (path);
    self->database.path = self->path;
    self->database.fs = fs;
    self->database.vfs = disk_vfs_new (fs);
    status_t status = database_open (&self->database, error);
    if (status == STATUS_OK)
        status = database_begin_any (&self->database, error);
    if (status == STATUS_OK) {
        establish (self, cluster, partitions);
        status = database_commit (&self->database, error);
    }
    if (status == STATUS_OK)
        *catalog = self;
    else
        catalog_close (&self);
    return status;
}

void catalog_close (catalog_t **self_p)
{
    catalog_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_close (&self->database);
    disk_vfs_destroy (&self->database.vfs);
    mem_free (self->path);
    self->magic = 0;
    mem_free (self);
}

uint64_t catalog_term (const catalog_t *self)
{
    return self->database.term;
}

/* ---- partitions ---- */

status_t catalog_assignments (catalog_t *self, arena_t *arena, catalog_assignment_t **rows,
                              size_t *count, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *rows = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    statement_t all =
        statement_of (&self->database, "SELECT partition, epoch, node, incarnation, endpoint FROM "
                                       "assignment ORDER BY partition");
    while (statement_row (&all)) {
        *rows = rows_grow (arena, *rows, *count, sizeof **rows);
        catalog_assignment_t *row = &(*rows)[(*count)++];
        row->partition = (uint32_t)column_uint (&all);
        row->epoch = column_uint (&all);
        row->node = column_string (&all, arena);
        row->incarnation = column_uint (&all);
        row->endpoint = column_string (&all, arena);
    }
    return database_commit (&self->database, error);
}

static void assign (database_t *database, const catalog_assignment_t *row)
{
    statement_t put =
        statement_of (database, "INSERT INTO assignment VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT "
                                "(partition) DO UPDATE SET epoch = ?2, node = ?3, incarnation = "
                                "?4, endpoint = ?5 WHERE epoch < ?2 RETURNING 1");
    bind_uint (&put, row->partition);
    bind_uint (&put, row->epoch);
    bind_string (&put, row->node);
    bind_uint (&put, row->incarnation);
    bind_string (&put, row->endpoint);
    bool done = statement_row (&put);
    statement_run (&put);
    if (!done)
        (void)database_refuse (database, STATUS_STALE,
                               "partition %" PRIu32 " has an epoch of %" PRIu64 " or higher",
                               row->partition, row->epoch);
}

status_t catalog_assign (catalog_t *self, const catalog_assignment_t *rows, size_t count,
                         error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    status_t status = database_begin (&self->database, error);
    if (status == STATUS_OK)
        for (size_t i = 0; i < count; i++)
            assign (&self->database, &rows[i]);
    return database_commit (&self->database, error);
}

status_t catalog_next_task (catalog_t *self, uint64_t *number, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    status_t status = database_begin (&self->database, error);
    if (status == STATUS_OK) {
        database_run (&self->database, "UPDATE meta SET number = number + 1 WHERE name = 'task'");
        *number =
            database_number (&self->database, "SELECT number FROM meta WHERE name = 'task'", 0);
    }
    return database_commit (&self->database, error);
}
