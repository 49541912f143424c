#include "base/check.h"
#include "catalog/store.h"

#include <inttypes.h>

enum { FINISHED_KEPT = 1000 }; /* recomputes that the catalog remembers */

/* ---- recomputes ---- */

static uint64_t next_recompute (database_t *database)
{
    database_run (database, "UPDATE meta SET number = number + 1 WHERE name = 'recompute'");
    return database_number (database, "SELECT number FROM meta WHERE name = 'recompute'", 0);
}

static void put_recompute (database_t *database, uint64_t id, const catalog_recompute_t *recompute)
{
    statement_t put = statement_of (
        database, "INSERT OR REPLACE INTO recompute VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    bind_uint (&put, id);
    bind_string (&put, recompute->log);
    bind_string (&put, recompute->reason);
    bind_string (&put, recompute->state);
    bind_int (&put, recompute->created);
    bind_int (&put, recompute->finished);
    bind_string (&put, recompute->error);
    bind_uint (&put, recompute->manifest);
    bind_uint (&put, recompute->full);
    statement_run (&put);
}

static void forget_old_recomputes (database_t *database, uint64_t below)
{
    statement_t forget =
        statement_of (database, "DELETE FROM recompute WHERE id < ?1 AND state IN ('trimmed', "
                                "'failed')");
    bind_uint (&forget, below);
    statement_run (&forget);
}

status_t catalog_put_recompute (catalog_t *self, catalog_recompute_t *recompute, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    uint64_t id = recompute->id;
    status_t status = database_begin (database, error);
    if (status == STATUS_OK) {
        if (id == 0)
            id = next_recompute (database);
        put_recompute (database, id, recompute);
        if (id > FINISHED_KEPT)
            forget_old_recomputes (database, id - FINISHED_KEPT);
    }
    status = database_commit (database, error);
    if (status == STATUS_OK)
        recompute->id = id;
    return status;
}

status_t catalog_recomputes (catalog_t *self, size_t finished_max, arena_t *arena,
                             catalog_recompute_t **rows, size_t *count, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *rows = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    statement_t all = statement_of (
        &self->database,
        "SELECT id, log, reason, state, created, finished, error, manifest, full FROM recompute "
        "WHERE "
        "state NOT IN ('trimmed', 'failed') OR id IN (SELECT id FROM recompute WHERE state IN "
        "('trimmed', 'failed') ORDER BY id DESC LIMIT ?1) ORDER BY id");
    bind_uint (&all, finished_max);
    while (statement_row (&all)) {
        *rows = rows_grow (arena, *rows, *count, sizeof **rows);
        catalog_recompute_t *row = &(*rows)[(*count)++];
        row->id = column_uint (&all);
        row->log = column_string (&all, arena);
        row->reason = column_string (&all, arena);
        row->state = column_string (&all, arena);
        row->created = column_int (&all);
        row->finished = column_int (&all);
        row->error = column_string (&all, arena);
        row->manifest = column_uint (&all);
        row->full = column_uint (&all) != 0;
    }
    return database_commit (&self->database, error);
}

/* ---- control records ---- */

status_t catalog_put_controls (catalog_t *self, const catalog_control_t *rows, size_t count,
                               error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    status_t status = database_begin (&self->database, error);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        statement_t put = statement_of (
            &self->database, "INSERT OR REPLACE INTO control VALUES (?1, ?2, ?3, ?4, ?5)");
        bind_string (&put, rows[i].log);
        bind_uint (&put, rows[i].partition);
        bind_string (&put, rows[i].id);
        bind_uint (&put, rows[i].offset);
        bind_int (&put, rows[i].clock);
        statement_run (&put);
    }
    return database_commit (&self->database, error);
}

status_t catalog_controls (catalog_t *self, arena_t *arena, catalog_control_t **rows, size_t *count,
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
        "SELECT log, partition, id, place, clock FROM control ORDER BY log, id, partition");
    while (statement_row (&all)) {
        *rows = rows_grow (arena, *rows, *count, sizeof **rows);
        catalog_control_t *row = &(*rows)[(*count)++];
        row->log = column_string (&all, arena);
        row->partition = (uint32_t)column_uint (&all);
        row->id = column_string (&all, arena);
        row->offset = column_uint (&all);
        row->clock = column_int (&all);
    }
    return database_commit (&self->database, error);
}

status_t catalog_forget_control (catalog_t *self, const char *log, const char *id, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    status_t status = database_begin (&self->database, error);
    if (status == STATUS_OK) {
        statement_t forget =
            statement_of (&self->database, "DELETE FROM control WHERE log = ?1 AND id = ?2");
        bind_string (&forget, log);
        bind_string (&forget, id);
        statement_run (&forget);
    }
    return database_commit (&self->database, error);
}

/* ---- loads ---- */

status_t catalog_put_load (catalog_t *self, const catalog_load_t *load, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    status_t status = database_begin (&self->database, error);
    if (status == STATUS_OK) {
        statement_t put =
            statement_of (&self->database, "INSERT OR REPLACE INTO load VALUES (?1, ?2, ?3, ?4, "
                                           "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                                           "?16)");
        bind_string (&put, load->id);
        bind_string (&put, load->stream);
        bind_string (&put, load->log);
        bind_string (&put, load->name);
        bind_string (&put, load->path);
        bind_string (&put, load->format);
        bind_string (&put, load->ingest_time);
        bind_uint (&put, load->skip);
        bind_string (&put, load->state);
        bind_uint (&put, load->rows);
        bind_uint (&put, load->refused);
        bind_uint (&put, load->bytes_total);
        bind_int (&put, load->created);
        bind_string (&put, load->error);
        bind_string (&put, load->rejects);
        bind_string (&put, load->runs);
        statement_run (&put);
    }
    return database_commit (&self->database, error);
}

static void read_load (statement_t *row, arena_t *arena, catalog_load_t *load)
{
    load->id = column_string (row, arena);
    load->stream = column_string (row, arena);
    load->log = column_string (row, arena);
    load->name = column_string (row, arena);
    load->path = column_string (row, arena);
    load->format = column_string (row, arena);
    load->ingest_time = column_string (row, arena);
    load->skip = column_uint (row) != 0;
    load->state = column_string (row, arena);
    load->rows = column_uint (row);
    load->refused = column_uint (row);
    load->bytes_total = column_uint (row);
    load->created = column_int (row);
    load->error = column_string (row, arena);
    load->rejects = column_string (row, arena);
    load->runs = column_string (row, arena);
}

status_t catalog_loads (catalog_t *self, arena_t *arena, catalog_load_t **rows, size_t *count,
                        error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *rows = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    statement_t all =
        statement_of (&self->database, "SELECT id, stream, log, name, path, format, ingest_time, "
                                       "skip, state, rows, refused, bytes_total, created, error, "
                                       "rejects, runs FROM load ORDER BY created, id");
    while (statement_row (&all)) {
        *rows = rows_grow (arena, *rows, *count, sizeof **rows);
        read_load (&all, arena, &(*rows)[(*count)++]);
    }
    return database_commit (&self->database, error);
}
