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
    statement_t all =
        statement_of (&self->database,
                      "SELECT kind, name, version, meaning, text FROM object ORDER BY kind, name");
    while (statement_row (&all)) {
        *objects = rows_grow (arena, *objects, *count, sizeof **objects);
        catalog_object_t *object = &(*objects)[(*count)++];
        object->kind = column_string (&all, arena);
        object->name = column_string (&all, arena);
        object->version = (uint32_t)column_uint (&all);
        object->meaning = column_uint (&all);
        object->text = column_string (&all, arena);
    }
    status = database_commit (&self->database, error);
    if (status == STATUS_OK)
        self->definitions = version; /* an apply that failed in doubt may have been done */
    return status;
}

static void put_object (database_t *database, const catalog_object_t *object)
{
    statement_t put = statement_of (database, "INSERT INTO object VALUES (?1, ?2, ?3, ?4, ?5)");
    bind_string (&put, object->kind);
    bind_string (&put, object->name);
    bind_uint (&put, object->version);
    bind_uint (&put, object->meaning);
    bind_string (&put, object->text);
    statement_run (&put);
}

/* What was in force until now goes into the history under its version. */
static void keep_history (database_t *database, uint64_t version)
{
    statement_t keep =
        statement_of (database, "INSERT INTO history SELECT ?1, kind, name, version, meaning, text "
                                "FROM object");
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
