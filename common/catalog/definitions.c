#include "base/check.h"
#include "catalog/store.h"

#include <inttypes.h>

uint64_t catalog_definitions_version (const catalog_t *self)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    return self->definitions;
}

status_t catalog_objects (catalog_t *self, arena_t *arena, catalog_object_t **objects,
                          size_t *count, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *objects = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    uint64_t version =
        database_number (&self->database, "SELECT number FROM meta WHERE name = 'definitions'", 0);
    statement_t all = statement_of (
        &self->database, "SELECT kind, name, version, meaning, text, state, created, author, "
                         "message FROM object ORDER BY kind, name, version");
    while (statement_row (&all)) {
        *objects = rows_grow (arena, *objects, *count, sizeof **objects);
        catalog_object_t *object = &(*objects)[(*count)++];
        object->kind = column_string (&all, arena);
        object->name = column_string (&all, arena);
        object->version = (uint32_t)column_uint (&all);
        object->meaning = column_uint (&all);
        object->text = column_string (&all, arena);
        object->state = column_string (&all, arena);
        object->created = column_int (&all);
        object->author = column_string (&all, arena);
        object->message = column_string (&all, arena);
    }
    status = database_commit (&self->database, error);
    if (status == STATUS_OK)
        self->definitions = version; /* an apply that failed in doubt may have been done */
    return status;
}

static void put_object (database_t *database, const catalog_object_t *object)
{
    statement_t put =
        statement_of (database, "INSERT INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    bind_string (&put, object->kind);
    bind_string (&put, object->name);
    bind_uint (&put, object->version);
    bind_uint (&put, object->meaning);
    bind_string (&put, object->text);
    bind_string (&put, object->state ? object->state : "");
    bind_int (&put, object->created);
    bind_string (&put, object->author ? object->author : "");
    bind_string (&put, object->message ? object->message : "");
    statement_run (&put);
}

/* What was in force until now goes into the history under its version. What is retired stays an
 * object for ever. */
static void keep_history (database_t *database, uint64_t version)
{
    statement_t keep = statement_of (
        database, "INSERT INTO history SELECT ?1, kind, name, version, meaning, text, "
                  "state FROM object WHERE state != 'retired'");
    bind_uint (&keep, version);
    statement_run (&keep);
}

static void put_version (database_t *database, uint64_t version, int64_t time, const char *message)
{
    statement_t made = statement_of (database, "INSERT INTO application VALUES (?1, ?2, ?3)");
    bind_uint (&made, version);
    bind_int (&made, time);
    bind_string (&made, message);
    statement_run (&made);
    statement_t raise =
        statement_of (database, "UPDATE meta SET number = ?1 WHERE name = 'definitions'");
    bind_uint (&raise, version);
    statement_run (&raise);
}

status_t catalog_apply (catalog_t *self, uint64_t based_on, int64_t time, const char *message,
                        const catalog_object_t *objects, size_t count, uint64_t *version,
                        error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    status_t status = database_begin (database, error);
    if (status == STATUS_OK) {
        uint64_t current =
            database_number (database, "SELECT number FROM meta WHERE name = 'definitions'", 0);
        if (current != based_on)
            (void)database_refuse (database, STATUS_STALE,
                                   "the definitions have changed meanwhile: version %" PRIu64
                                   " instead of %" PRIu64,
                                   current, based_on);
        keep_history (database, current);
        database_run (database, "DELETE FROM object");
        for (size_t i = 0; i < count; i++)
            put_object (database, &objects[i]);
        put_version (database, current + 1, time, message ? message : "");
    }
    status = database_commit (database, error);
    if (status == STATUS_OK)
        *version = self->definitions = based_on + 1;
    return status;
}

/* ---- what users say of versions ---- */

status_t catalog_annotate (catalog_t *self, const catalog_annotation_t *rows, size_t count,
                           error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    status_t status = database_begin (database, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        if (rows[i].value[0] == '\0') {
            statement_t drop =
                statement_of (database, "DELETE FROM annotation WHERE kind = ?1 AND name = ?2 AND "
                                        "version = ?3 AND label = ?4");
            bind_string (&drop, rows[i].kind);
            bind_string (&drop, rows[i].name);
            bind_uint (&drop, rows[i].version);
            bind_string (&drop, rows[i].label);
            statement_run (&drop);
            continue;
        }
        statement_t put = statement_of (
            database, "INSERT OR REPLACE INTO annotation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
        bind_string (&put, rows[i].kind);
        bind_string (&put, rows[i].name);
        bind_uint (&put, rows[i].version);
        bind_string (&put, rows[i].label);
        bind_string (&put, rows[i].value);
        bind_int (&put, rows[i].time);
        bind_string (&put, rows[i].author);
        statement_run (&put);
    }
    return database_commit (database, error);
}

status_t catalog_annotations (catalog_t *self, arena_t *arena, catalog_annotation_t **rows,
                              size_t *count, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *rows = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    statement_t all =
        statement_of (&self->database, "SELECT kind, name, version, label, value, time, author "
                                       "FROM annotation ORDER BY kind, name, version, label");
    while (statement_row (&all)) {
        *rows = rows_grow (arena, *rows, *count, sizeof **rows);
        catalog_annotation_t *row = &(*rows)[(*count)++];
        row->kind = column_string (&all, arena);
        row->name = column_string (&all, arena);
        row->version = (uint32_t)column_uint (&all);
        row->label = column_string (&all, arena);
        row->value = column_string (&all, arena);
        row->time = column_int (&all);
        row->author = column_string (&all, arena);
    }
    return database_commit (&self->database, error);
}
