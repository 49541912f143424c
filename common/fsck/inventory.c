#include "fsck/inventory.h"

#include "base/check.h"
#include "base/mem.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- growing lists ---- */

static stored_file_t *add_file (inventory_t *self)
{
    self->files = mem_resize (self->files, self->files_count + 1, sizeof *self->files);
    stored_file_t *file = &self->files[self->files_count++];
    *file = (stored_file_t){ .log = "", .offset = UINT64_MAX };
    return file;
}

/* ---- files of manifests ---- */

static void add_part (inventory_t *self, const stored_log_t *log, const catalog_part_t *part)
{
    for (size_t i = 0; i < part->runs_count; i++) {
        stored_file_t *file = add_file (self);
        file->kind = STORED_RUN;
        file->path = part->runs[i].path;
        file->log = log->name;
        file->partition = part->partition;
        file->size = part->runs[i].size;
        file->rows = part->runs[i].rows;
        file->offset = part->runs[i].offset;
        file->part = part;
    }
    size_t layer = 0, end = 0; /* of the layer's views */
    for (size_t i = 0; i < part->views_count; i++) {
        while (end <= i)
            end += part->layers[layer++].views_count;
        stored_file_t *file = add_file (self);
        file->kind = STORED_VIEW;
        file->path = part->views[i].path;
        file->log = log->name;
        file->partition = part->partition;
        file->size = part->views[i].size;
        file->part = part;
        file->view = &part->views[i];
        file->cut = part->layers[layer - 1].cut;
    }
}

static status_t check_parts (const inventory_t *self, const catalog_manifest_t *manifest,
                             error_t *error)
{
    if (manifest->number == 0)
        return STATUS_OK;
    bool whole = manifest->parts_count == self->partitions;
    for (size_t p = 0; whole && p < manifest->parts_count; p++)
        whole = manifest->parts[p].partition == p;
    return whole ? STATUS_OK
                 : error_set (error, STATUS_CORRUPT,
                              "the catalog's manifest of %s does not have each partition once",
                              manifest->log);
}

static int compare_texts (const void *a, const void *b)
{
    return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* What any kept manifest of the log names. */
static status_t add_older (inventory_t *self, catalog_t *catalog, const char *log, error_t *error)
{
    const char **paths;
    size_t count;
    status_t status = catalog_paths (catalog, log, 0, self->arena, &paths, &count, error);
    if (status != STATUS_OK || count == 0)
        return status;
    self->older = mem_resize (self->older, self->older_count + count, sizeof *self->older);
    memcpy (self->older + self->older_count, paths, count * sizeof *paths);
    self->older_count += count;
    return STATUS_OK;
}

/* ---- logs ---- */

static bool is_object (const catalog_object_t *objects, size_t count, const char *kind,
                       const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp (objects[i].kind, kind) == 0 && strcmp (objects[i].name, name) == 0)
            return true;
    return false;
}

static status_t add_log (inventory_t *self, catalog_t *catalog, const char *name, bool rekeyed,
                         error_t *error)
{
    stored_log_t *log = &self->logs[self->logs_count];
    const char *slash = strchr (name, '/');
    log->name = name;
    log->stream = arena_string (
        self->arena, (text_t){ name, (uint32_t)(slash ? (size_t)(slash - name) : strlen (name)) });
    log->primary = !rekeyed;
    log->begin = arena_zero (self->arena, self->partitions, sizeof *log->begin);
    status_t status = catalog_manifest (catalog, name, self->arena, &log->manifest, error);
    if (status == STATUS_OK)
        status = check_parts (self, &log->manifest, error);
    if (status == STATUS_OK)
        status = add_older (self, catalog, name, error);
    if (status != STATUS_OK)
        return status;
    self->logs_count++;
    for (size_t p = 0; p < log->manifest.parts_count; p++)
        add_part (self, log, &log->manifest.parts[p]);
    return STATUS_OK;
}

/* "begin" rows of the controls (coordinator/state.h). A log that has some is re-keyed. */
static bool has_begin (const inventory_t *self, const char *log)
{
    for (size_t i = 0; i < self->controls_count; i++)
        if (strcmp (self->controls[i].log, log) == 0 && strcmp (self->controls[i].id, "begin") == 0)
            return true;
    return false;
}

static void set_begin (inventory_t *self)
{
    for (size_t i = 0; i < self->controls_count; i++) {
        const catalog_control_t *row = &self->controls[i];
        for (size_t l = 0; l < self->logs_count; l++)
            if (strcmp (row->id, "begin") == 0 && row->partition < self->partitions &&
                strcmp (row->log, self->logs[l].name) == 0)
                self->logs[l].begin[row->partition] = row->offset;
    }
}

static void pass_over (void *arg, const char *name)
{
    (void)arg;
    (void)name;
}

/* Nobody needs what a deleted stream had, and people may remove it. It is there again when a stream
 * of that name is, as long as it is there. */
static bool was_removed (fs_t *fs, const catalog_object_t *objects, size_t count, const char *log)
{
    static const char *const roots[] = { "log", "history", "views" };
    char *stream = mem_string_n (log, strcspn (log, "/"));
    bool removed = !is_object (objects, count, "stream", stream);
    for (size_t i = 0; i < sizeof roots / sizeof roots[0] && removed; i++) {
        char *directory = mem_format ("%s/%s", roots[i], log);
        error_t ignored;
        removed = fs_list (fs, directory, pass_over, NULL, &ignored) == STATUS_NOT_FOUND;
        mem_free (directory);
    }
    mem_free (stream);
    return removed;
}

/* A key that a stream has just got, whose log has not begun, has nothing on the disk. */
static status_t add_logs (inventory_t *self, catalog_t *catalog, fs_t *fs, error_t *error)
{
    catalog_object_t *objects;
    const char **names;
    size_t objects_count;
    size_t count;
    status_t status = catalog_objects (catalog, self->arena, &objects, &objects_count, error);
    if (status == STATUS_OK)
        status = catalog_logs (catalog, self->arena, &names, &count, error);
    if (status != STATUS_OK)
        return status;
    self->logs = arena_zero (self->arena, count + 1, sizeof *self->logs);
    self->removed = arena_zero (self->arena, count + 1, sizeof *self->removed);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        if (!fs_is_path (text_of (names[i]))) /* it is a part of paths */
            return error_set (error, STATUS_CORRUPT, "the catalog names a log \"%s\"", names[i]);
        bool begun = has_begin (self, names[i]);
        bool key = is_object (objects, objects_count, "key", names[i]);
        if (was_removed (fs, objects, objects_count, names[i]))
            self->removed[self->removed_count++] = names[i];
        else if (!key || begun)
            status = add_log (self, catalog, names[i], key || begun, error);
    }
    set_begin (self);
    return status;
}

/* ---- loads ---- */

static status_t load_damaged (const catalog_load_t *load, error_t *error)
{
    return error_set (error, STATUS_CORRUPT, "the catalog's runs of load %s cannot be read",
                      load->id);
}

static bool add_load_run (inventory_t *self, const catalog_load_t *load, const char *log,
                          uint32_t partition, json_t *run)
{
    const char *path;
    json_int_t size;
    json_int_t rows;
    if (json_unpack (run, "[s, I, I]", &path, &size, &rows) != 0)
        return false;
    stored_file_t *file = add_file (self);
    file->kind = STORED_RUN;
    file->path = arena_string (self->arena, text_of (path));
    file->log = arena_string (self->arena, text_of (log));
    file->partition = partition;
    file->size = (uint64_t)size;
    file->rows = (uint64_t)rows;
    file->load = load;
    return true;
}

static bool add_load_log (inventory_t *self, const catalog_load_t *load, const char *log,
                          json_t *parts)
{
    size_t p;
    size_t i;
    json_t *part;
    json_t *run;
    if (json_array_size (parts) != self->partitions)
        return false;
    for (size_t r = 0; r < self->removed_count; r++)
        if (strcmp (self->removed[r], log) == 0)
            return true;
    json_array_foreach (parts, p, part)
    {
        json_array_foreach (part, i, run)
        {
            if (!add_load_run (self, load, log, (uint32_t)p, run))
                return false;
        }
    }
    return true;
}

/* The runs of a load that no manifest has yet (coordinator/load_runs.c writes the text). */
static status_t add_load_runs (inventory_t *self, const catalog_load_t *load, error_t *error)
{
    json_t *logs = json_loads (load->runs, 0, NULL);
    bool good = json_is_object (logs) || json_is_array (logs);
    const char *name;
    json_t *parts;
    if (json_is_array (logs)) /* of when streams had one key */
        good = add_load_log (self, load, load->log, logs);
    json_object_foreach (logs, name, parts)
    {
        good = good && add_load_log (self, load, name, parts);
    }
    json_decref (logs);
    return good ? STATUS_OK : load_damaged (load, error);
}

static bool is_one_of (const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp (word, *words) == 0)
            return true;
    return false;
}

static void add_incoming (inventory_t *self, const catalog_load_t *load, stored_kind_t kind,
                          const char *path, uint64_t size)
{
    stored_file_t *file = add_file (self);
    file->kind = kind;
    file->path = path;
    file->size = size;
    file->load = load;
}

static status_t add_load (inventory_t *self, const catalog_load_t *load, error_t *error)
{
    static const char *const waits_for_file[] = { "queued", "parsing", NULL };
    static const char *const has_runs[] = { "committing", "waiting", NULL };
    if (is_one_of (load->state, waits_for_file) && load->path[0] != '\0')
        add_incoming (self, load, STORED_INCOMING, load->path, load->bytes_total);
    if (load->rejects[0] != '\0')
        add_incoming (self, load, STORED_REJECTS, load->rejects, 0);
    if (is_one_of (load->state, has_runs) && load->runs[0] != '\0')
        return add_load_runs (self, load, error);
    return STATUS_OK;
}

/* ---- all ---- */

static int compare_files (const void *a, const void *b)
{
    return strcmp (((const stored_file_t *)a)->path, ((const stored_file_t *)b)->path);
}

/* By path. A load that waits in one log has its runs in the manifests of others already. */
static status_t sort_files (inventory_t *self, error_t *error)
{
    if (self->files_count > 1)
        qsort (self->files, self->files_count, sizeof *self->files, compare_files);
    if (self->older_count > 1)
        qsort (self->older, self->older_count, sizeof *self->older, compare_texts);
    size_t kept = 0;
    for (size_t i = 0; i < self->files_count; i++) {
        stored_file_t *file = &self->files[i];
        if (!fs_is_path (text_of (file->path)))
            return error_set (error, STATUS_CORRUPT, "the catalog names a file \"%s\"", file->path);
        if (kept == 0 || strcmp (self->files[kept - 1].path, file->path) != 0)
            self->files[kept++] = *file;
        else if (!self->files[kept - 1].part)
            self->files[kept - 1] = *file; /* the manifest says more */
    }
    self->files_count = kept;
    return STATUS_OK;
}

static status_t read_all (inventory_t *self, catalog_t *catalog, fs_t *fs, error_t *error)
{
    status_t status =
        catalog_identity (catalog, self->arena, &self->cluster, &self->partitions, error);
    if (status == STATUS_OK && (self->partitions == 0 || self->partitions > 1024))
        status =
            error_set (error, STATUS_CORRUPT, "the catalog has %u partitions", self->partitions);
    if (status == STATUS_OK)
        status = catalog_assignments (catalog, self->arena, &self->assignments,
                                      &self->assignments_count, error);
    if (status == STATUS_OK)
        status =
            catalog_controls (catalog, self->arena, &self->controls, &self->controls_count, error);
    if (status == STATUS_OK)
        status = catalog_loads (catalog, self->arena, &self->loads, &self->loads_count, error);
    if (status == STATUS_OK)
        status = add_logs (self, catalog, fs, error);
    for (size_t i = 0; i < self->loads_count && status == STATUS_OK; i++)
        status = add_load (self, &self->loads[i], error);
    return status == STATUS_OK ? sort_files (self, error) : status;
}

status_t inventory_read (catalog_t *catalog, fs_t *fs, inventory_t **inventory, error_t *error)
{
    inventory_t *self = mem_zero (1, sizeof *self);
    self->arena = arena_new (1 << 16);
    *inventory = self;
    return read_all (self, catalog, fs, error);
}

void inventory_destroy (inventory_t **self_p)
{
    inventory_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    arena_destroy (&self->arena);
    mem_free (self->files);
    mem_free (self->older);
    mem_free (self);
}

/* ---- questions ---- */

const stored_log_t *inventory_log (const inventory_t *self, const char *name)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (strcmp (self->logs[i].name, name) == 0)
            return &self->logs[i];
    return NULL;
}

const stored_log_t *inventory_primary (const inventory_t *self, const stored_log_t *log)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (self->logs[i].primary && strcmp (self->logs[i].stream, log->stream) == 0)
            return &self->logs[i];
    return NULL;
}

const stored_file_t *inventory_file (const inventory_t *self, const char *path)
{
    stored_file_t key = { .path = path };
    if (self->files_count == 0)
        return NULL;
    return bsearch (&key, self->files, self->files_count, sizeof key, compare_files);
}

bool inventory_knows (const inventory_t *self, const char *path)
{
    return inventory_file (self, path) ||
           (self->older_count > 0 &&
            bsearch (&path, self->older, self->older_count, sizeof *self->older, compare_texts));
}

uint64_t inventory_epoch (const inventory_t *self, uint32_t partition)
{
    for (size_t i = 0; i < self->assignments_count; i++)
        if (self->assignments[i].partition == partition)
            return self->assignments[i].epoch;
    return 0;
}

uint64_t stored_log_cut (const stored_log_t *self, uint32_t partition)
{
    return self->manifest.number > 0 ? self->manifest.parts[partition].cut : 0;
}
