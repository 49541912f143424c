#include "base/check.h"
#include "catalog/store.h"

#include <inttypes.h>

/* ---- writing ---- */

static void bind_place (statement_t *self, const catalog_manifest_t *manifest, uint32_t partition,
                        size_t place)
{
    bind_string (self, manifest->log);
    bind_uint (self, manifest->number);
    bind_uint (self, partition);
    bind_uint (self, place);
}

static void put_runs (database_t *database, const catalog_manifest_t *manifest,
                      const catalog_part_t *part)
{
    for (size_t i = 0; i < part->runs_count; i++) {
        const catalog_run_t *run = &part->runs[i];
        statement_t put =
            statement_of (database, "INSERT INTO run VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        bind_place (&put, manifest, part->partition, i);
        bind_string (&put, run->path);
        bind_uint (&put, run->size);
        bind_uint (&put, run->rows);
        bind_uint (&put, run->offset);
        statement_run (&put);
    }
    for (size_t i = 0; i < part->excluded_count; i++) {
        statement_t put =
            statement_of (database, "INSERT INTO excluded VALUES (?1, ?2, ?3, ?4, ?5)");
        bind_place (&put, manifest, part->partition, i);
        bind_uint (&put, part->excluded[i]);
        statement_run (&put);
    }
}

static void put_views (database_t *database, const catalog_manifest_t *manifest,
                       const catalog_part_t *part)
{
    for (size_t i = 0; i < part->views_count; i++) {
        const catalog_view_file_t *view = &part->views[i];
        statement_t put = statement_of (
            database, "INSERT INTO view_file VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
        bind_place (&put, manifest, part->partition, i);
        bind_string (&put, view->view);
        bind_uint (&put, view->version);
        bind_uint (&put, view->plan);
        bind_string (&put, view->path);
        bind_uint (&put, view->size);
        statement_run (&put);
    }
}

static void put_layers (database_t *database, const catalog_manifest_t *manifest,
                        const catalog_part_t *part)
{
    size_t runs = 0, views = 0;
    for (size_t i = 0; i < part->layers_count; i++) {
        const catalog_layer_t *layer = &part->layers[i];
        statement_t put = statement_of (
            database, "INSERT INTO layer VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
        bind_place (&put, manifest, part->partition, i);
        bind_uint (&put, layer->cut);
        bind_int (&put, layer->clock);
        bind_int (&put, layer->latest);
        bind_uint (&put, layer->runs_count);
        bind_uint (&put, layer->views_count);
        statement_run (&put);
        runs += layer->runs_count;
        views += layer->views_count;
    }
    CHECK (runs == part->runs_count && views == part->views_count);
}

static void put_parts (database_t *database, const catalog_manifest_t *manifest)
{
    for (size_t i = 0; i < manifest->parts_count; i++) {
        const catalog_part_t *part = &manifest->parts[i];
        statement_t put = statement_of (database, "INSERT INTO part VALUES (?1, ?2, ?3, ?4, ?5)");
        bind_string (&put, manifest->log);
        bind_uint (&put, manifest->number);
        bind_uint (&put, part->partition);
        bind_uint (&put, part->cut);
        bind_int (&put, part->clock);
        statement_run (&put);
        put_runs (database, manifest, part);
        put_views (database, manifest, part);
        put_layers (database, manifest, part);
    }
}

static void put_manifest (database_t *database, const catalog_manifest_t *manifest, int64_t time)
{
    statement_t put = statement_of (database, "INSERT INTO manifest VALUES (?1, ?2, ?3, ?4)");
    bind_string (&put, manifest->log);
    bind_uint (&put, manifest->number);
    bind_string (&put, manifest->dataset);
    bind_int (&put, time);
    statement_run (&put);
    for (size_t i = 0; i < manifest->loads_count; i++) {
        statement_t load = statement_of (database, "INSERT INTO included VALUES (?1, ?2, ?3, ?4)");
        bind_string (&load, manifest->log);
        bind_uint (&load, manifest->number);
        bind_uint (&load, i);
        bind_string (&load, manifest->loads[i]);
        statement_run (&load);
    }
    put_parts (database, manifest);
}

static uint64_t current_number (database_t *database, const char *log)
{
    statement_t last =
        statement_of (database, "SELECT coalesce(max(number), 0) FROM manifest WHERE log = ?1");
    bind_string (&last, log);
    if (!statement_row (&last))
        return 0;
    uint64_t number = column_uint (&last);
    statement_end (&last);
    return number;
}

static void set_load_states (database_t *database, const char *const *ids, size_t count,
                             const char *state)
{
    for (size_t i = 0; i < count; i++) {
        statement_t set = statement_of (database, "UPDATE load SET state = ?1 WHERE id = ?2");
        bind_string (&set, state);
        bind_string (&set, ids[i]);
        statement_run (&set);
    }
}

static void set_published (database_t *database, uint64_t recompute, uint64_t number, int64_t time)
{
    statement_t set =
        statement_of (database, "UPDATE recompute SET state = 'published', finished = ?1, manifest "
                                "= ?2 WHERE id = ?3");
    bind_int (&set, time);
    bind_uint (&set, number);
    bind_uint (&set, recompute);
    statement_run (&set);
}

status_t catalog_publish (catalog_t *self, const catalog_manifest_t *manifest, uint64_t recompute,
                          const char *const *visible, size_t visible_count,
                          const char *const *unloaded, size_t unloaded_count, int64_t time,
                          error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    status_t status = database_begin (database, error);
    if (status == STATUS_OK) {
        uint64_t current = current_number (database, manifest->log);
        if (current + 1 != manifest->number)
            (void)database_refuse (database, STATUS_STALE,
                                   "%s has manifest %" PRIu64 ", %" PRIu64 " cannot follow",
                                   manifest->log, current, manifest->number);
        put_manifest (database, manifest, time);
        set_load_states (database, visible, visible_count, "visible");
        set_load_states (database, unloaded, unloaded_count, "unloaded");
        set_published (database, recompute, manifest->number, time);
    }
    return database_commit (database, error);
}

static const char *const manifest_tables[] = {
    "DELETE FROM manifest WHERE log = ?1 AND number < ?2",
    "DELETE FROM included WHERE log = ?1 AND number < ?2",
    "DELETE FROM part WHERE log = ?1 AND number < ?2",
    "DELETE FROM run WHERE log = ?1 AND number < ?2",
    "DELETE FROM excluded WHERE log = ?1 AND number < ?2",
    "DELETE FROM view_file WHERE log = ?1 AND number < ?2",
    "DELETE FROM layer WHERE log = ?1 AND number < ?2",
};

status_t catalog_drop_manifests (catalog_t *self, const char *log, uint64_t number, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    status_t status = database_begin (database, error);
    if (status == STATUS_OK) {
        uint64_t current = current_number (database, log);
        if (number > current)
            number = current;
        for (size_t i = 0; i < sizeof manifest_tables / sizeof manifest_tables[0]; i++) {
            statement_t drop = statement_of (database, manifest_tables[i]);
            bind_string (&drop, log);
            bind_uint (&drop, number);
            statement_run (&drop);
        }
    }
    return database_commit (database, error);
}

/* ---- reading ---- */

static statement_t rows_of (database_t *database, const char *sql,
                            const catalog_manifest_t *manifest)
{
    statement_t rows = statement_of (database, sql);
    bind_string (&rows, manifest->log);
    bind_uint (&rows, manifest->number);
    return rows;
}

/* The part that a row of `partition` belongs to; NULL (and a failed read) when there is none. */
static catalog_part_t *part_of (database_t *database, catalog_manifest_t *manifest,
                                uint32_t partition)
{
    for (size_t i = 0; i < manifest->parts_count; i++)
        if (manifest->parts[i].partition == partition)
            return &manifest->parts[i];
    (void)database_refuse (database, STATUS_CORRUPT,
                           "manifest %" PRIu64 " of %s names a partition that it does not have",
                           manifest->number, manifest->log);
    return NULL;
}

static void read_parts (database_t *database, catalog_manifest_t *manifest, arena_t *arena)
{
    statement_t rows = rows_of (database,
                                "SELECT partition, cut, clock FROM part WHERE log = ?1 AND number "
                                "= ?2 ORDER BY partition",
                                manifest);
    while (statement_row (&rows)) {
        manifest->parts =
            rows_grow (arena, manifest->parts, manifest->parts_count, sizeof *manifest->parts);
        catalog_part_t *part = &manifest->parts[manifest->parts_count++];
        part->partition = (uint32_t)column_uint (&rows);
        part->cut = column_uint (&rows);
        part->clock = column_int (&rows);
    }
}

static void read_runs (database_t *database, catalog_manifest_t *manifest, arena_t *arena)
{
    statement_t rows = rows_of (database,
                                "SELECT partition, path, size, rows, at FROM run WHERE log = ?1 "
                                "AND number = ?2 ORDER BY partition, place",
                                manifest);
    while (statement_row (&rows)) {
        catalog_part_t *part = part_of (database, manifest, (uint32_t)column_uint (&rows));
        if (!part) {
            statement_end (&rows);
            return;
        }
        part->runs = rows_grow (arena, part->runs, part->runs_count, sizeof *part->runs);
        catalog_run_t *run = &part->runs[part->runs_count++];
        run->path = column_string (&rows, arena);
        run->size = column_uint (&rows);
        run->rows = column_uint (&rows);
        run->offset = column_uint (&rows);
    }
}

static void read_excluded (database_t *database, catalog_manifest_t *manifest, arena_t *arena)
{
    statement_t rows = rows_of (database,
                                "SELECT partition, at FROM excluded WHERE log = ?1 AND number = "
                                "?2 ORDER BY partition, place",
                                manifest);
    while (statement_row (&rows)) {
        catalog_part_t *part = part_of (database, manifest, (uint32_t)column_uint (&rows));
        if (!part) {
            statement_end (&rows);
            return;
        }
        part->excluded =
            rows_grow (arena, part->excluded, part->excluded_count, sizeof *part->excluded);
        part->excluded[part->excluded_count++] = column_uint (&rows);
    }
}

static void read_views (database_t *database, catalog_manifest_t *manifest, arena_t *arena)
{
    statement_t rows = rows_of (database,
                                "SELECT partition, view, version, plan, path, size FROM view_file "
                                "WHERE log = ?1 AND number = ?2 ORDER BY partition, place",
                                manifest);
    while (statement_row (&rows)) {
        catalog_part_t *part = part_of (database, manifest, (uint32_t)column_uint (&rows));
        if (!part) {
            statement_end (&rows);
            return;
        }
        part->views = rows_grow (arena, part->views, part->views_count, sizeof *part->views);
        catalog_view_file_t *view = &part->views[part->views_count++];
        view->view = column_string (&rows, arena);
        view->version = (uint32_t)column_uint (&rows);
        view->plan = column_uint (&rows);
        view->path = column_string (&rows, arena);
        view->size = column_uint (&rows);
    }
}

static void read_layers (database_t *database, catalog_manifest_t *manifest, arena_t *arena)
{
    statement_t rows = rows_of (database,
                                "SELECT partition, cut, clock, latest, runs, views FROM layer "
                                "WHERE log = ?1 AND number = ?2 ORDER BY partition, place",
                                manifest);
    while (statement_row (&rows)) {
        catalog_part_t *part = part_of (database, manifest, (uint32_t)column_uint (&rows));
        if (!part) {
            statement_end (&rows);
            return;
        }
        part->layers = rows_grow (arena, part->layers, part->layers_count, sizeof *part->layers);
        catalog_layer_t *layer = &part->layers[part->layers_count++];
        layer->cut = column_uint (&rows);
        layer->clock = column_int (&rows);
        layer->latest = column_int (&rows);
        layer->runs_count = column_uint (&rows);
        layer->views_count = column_uint (&rows);
    }
}

/* A manifest from before version 3 of the schema has a base of everything alone. */
static void check_layers (database_t *database, catalog_manifest_t *manifest, arena_t *arena)
{
    for (size_t p = 0; p < manifest->parts_count; p++) {
        catalog_part_t *part = &manifest->parts[p];
        size_t runs = 0, views = 0;
        if (part->layers_count == 0) {
            part->layers = arena_zero (arena, 1, sizeof *part->layers);
            part->layers[part->layers_count++] = (catalog_layer_t){
                .cut = part->cut,
                .clock = part->clock,
                .latest = INT64_MIN,
                .runs_count = part->runs_count,
                .views_count = part->views_count,
            };
        }
        bool good = true;
        for (size_t i = 0; i < part->layers_count && good; i++) {
            const catalog_layer_t *layer = &part->layers[i];
            good = layer->runs_count <= part->runs_count - runs &&
                   layer->views_count <= part->views_count - views;
            runs += layer->runs_count;
            views += layer->views_count;
        }
        if (!good || runs != part->runs_count || views != part->views_count)
            (void)database_refuse (database, STATUS_CORRUPT,
                                   "manifest %" PRIu64 " of %s has other files than its layers",
                                   manifest->number, manifest->log);
    }
}

static void read_head (database_t *database, catalog_manifest_t *manifest, arena_t *arena)
{
    statement_t head =
        rows_of (database, "SELECT dataset FROM manifest WHERE log = ?1 AND number = ?2", manifest);
    while (statement_row (&head))
        manifest->dataset = column_string (&head, arena);
    statement_t loads =
        rows_of (database, "SELECT id FROM included WHERE log = ?1 AND number = ?2 ORDER BY place",
                 manifest);
    while (statement_row (&loads)) {
        manifest->loads =
            rows_grow (arena, manifest->loads, manifest->loads_count, sizeof *manifest->loads);
        manifest->loads[manifest->loads_count++] = column_string (&loads, arena);
    }
}

status_t catalog_manifest (catalog_t *self, const char *log, arena_t *arena,
                           catalog_manifest_t *manifest, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    *manifest = (catalog_manifest_t){ .log = arena_string (arena, text_of (log)), .dataset = "" };
    status_t status = database_read (database, error);
    if (status != STATUS_OK)
        return status;
    manifest->number = current_number (database, log);
    read_head (database, manifest, arena);
    read_parts (database, manifest, arena);
    read_runs (database, manifest, arena);
    read_excluded (database, manifest, arena);
    read_views (database, manifest, arena);
    read_layers (database, manifest, arena);
    check_layers (database, manifest, arena);
    return database_commit (database, error);
}

status_t catalog_cuts (catalog_t *self, const char *log, arena_t *arena, catalog_cut_t **rows,
                       size_t *count, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *rows = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    statement_t all =
        statement_of (&self->database, "SELECT number, partition, cut FROM part WHERE log = ?1 "
                                       "ORDER BY number, partition");
    bind_string (&all, log);
    while (statement_row (&all)) {
        *rows = rows_grow (arena, *rows, *count, sizeof **rows);
        catalog_cut_t *row = &(*rows)[(*count)++];
        row->manifest = column_uint (&all);
        row->partition = (uint32_t)column_uint (&all);
        row->cut = column_uint (&all);
    }
    return database_commit (&self->database, error);
}

status_t catalog_paths (catalog_t *self, const char *log, uint64_t number, arena_t *arena,
                        const char ***paths, size_t *count, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    *paths = NULL;
    *count = 0;
    status_t status = database_read (&self->database, error);
    if (status != STATUS_OK)
        return status;
    statement_t all =
        statement_of (&self->database, "SELECT path FROM run WHERE log = ?1 AND number >= ?2 UNION "
                                       "SELECT path FROM view_file WHERE log = ?1 AND number >= "
                                       "?2 ORDER BY 1");
    bind_string (&all, log);
    bind_uint (&all, number);
    while (statement_row (&all)) {
        *paths = rows_grow (arena, *paths, *count, sizeof **paths);
        (*paths)[(*count)++] = column_string (&all, arena);
    }
    return database_commit (&self->database, error);
}
