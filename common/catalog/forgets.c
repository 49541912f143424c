#include "base/check.h"
#include "catalog/store.h"

status_t catalog_put_forget (catalog_t *self, const catalog_forget_t *forget, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    status_t status = database_begin (&self->database, error);
    if (status == STATUS_OK) {
        statement_t put = statement_of (&self->database,
                                        "INSERT OR REPLACE INTO forget VALUES (?1, ?2, ?3, ?4, ?5, "
                                        "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
        bind_string (&put, forget->id);
        bind_string (&put, forget->stream);
        bind_int (&put, forget->before);
        bind_string (&put, forget->message);
        bind_string (&put, forget->state);
        bind_int (&put, forget->created);
        bind_int (&put, forget->finished);
        bind_uint (&put, forget->rows);
        bind_uint (&put, forget->files);
        bind_uint (&put, forget->scanned);
        bind_string (&put, forget->error);
        bind_string (&put, forget->datasets);
        bind_string (&put, forget->after);
        statement_run (&put);
    }
    return database_commit (&self->database, error);
}

static void read_forget (statement_t *row, arena_t *arena, catalog_forget_t *forget)
{
    forget->id = column_string (row, arena);
    forget->stream = column_string (row, arena);
    forget->before = column_int (row);
    forget->message = column_string (row, arena);
    forget->state = column_string (row, arena);
    forget->created = column_int (row);
    forget->finished = column_int (row);
    forget->rows = column_uint (row);
    forget->files = column_uint (row);
    forget->scanned = column_uint (row);
    forget->error = column_string (row, arena);
    forget->datasets = column_string (row, arena);
    forget->after = column_string (row, arena);
}

status_t catalog_forgets (catalog_t *self, arena_t *arena, catalog_forget_t **rows, size_t *count,
                          error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *rows = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    statement_t all = statement_of (
        &self->database,
        "SELECT id, stream, before, message, state, created, finished, "
        "rows, files, scanned, error, datasets, after FROM forget ORDER BY created, id");
    while (statement_row (&all)) {
        *rows = rows_grow (arena, *rows, *count, sizeof **rows);
        read_forget (&all, arena, &(*rows)[(*count)++]);
    }
    return database_commit (&self->database, error);
}

status_t catalog_drop_forget (catalog_t *self, const char *id, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    status_t status = database_begin (&self->database, error);
    if (status == STATUS_OK) {
        statement_t drop = statement_of (&self->database, "DELETE FROM forget WHERE id = ?1");
        bind_string (&drop, id);
        statement_run (&drop);
    }
    return database_commit (&self->database, error);
}
