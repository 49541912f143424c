#include "coordinator/changes.h"
#include "feature/plan.h"
#include "feature/schema.h"
#include "feature/yaml_tree.h"

#include <string.h>

enum { PROBLEM_MAX = 8192 }; /* bytes of an error's text on the wire */

bool definitions_is_told (const catalog_object_t *object)
{
    return strcmp (object->kind, "stream") == 0 || strcmp (object->kind, "view") == 0 ||
           strcmp (object->kind, "service") == 0;
}

/* ---- from the catalog ---- */

void definitions_unload (coordinator_core_t *self)
{
    definitions_destroy (&self->definitions);
    mem_free (self->plans);
    self->plans = NULL;
    arena_destroy (&self->objects_arena);
    self->objects = NULL;
    self->objects_count = 0;
}

static void set_versions (definitions_t *definitions, const catalog_object_t *objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        definitions_set_version (definitions, objects[i].kind, text_of (objects[i].name),
                                 objects[i].version);
}

static uint64_t (*hash_plans (const definitions_t *definitions))[SOURCES_MAX]
{
    uint64_t (*plans)[SOURCES_MAX] = mem_zero (definitions->views_count, sizeof *plans);
    for (size_t v = 0; v < definitions->views_count; v++)
        for (size_t s = 0; s < definitions->views[v].sources_count; s++) {
            plan_t *plan = plan_new_over (&definitions->views[v], s);
            plans[v][s] = plan->hash;
            plan_destroy (&plan);
        }
    return plans;
}

static const catalog_object_t *find_object (const catalog_object_t *objects, size_t count,
                                            const char *kind, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp (objects[i].kind, kind) == 0 && strcmp (objects[i].name, name) == 0)
            return &objects[i];
    return NULL;
}

/* The numbers of fields; an earlier version, which did not keep them, never changed any. */
static status_t set_fields (definitions_t *definitions, const catalog_object_t *objects,
                            size_t count, error_t *error)
{
    arena_t *arena = arena_new (1 << 12);
    schema_t *schema = arena_zero (arena, 1, sizeof *schema);
    status_t status = STATUS_OK;
    for (size_t s = 0; s < definitions->streams_count && status == STATUS_OK; s++) {
        stream_t *stream = &definitions->streams[s];
        const catalog_object_t *log = find_object (objects, count, "log", stream->log_name);
        if (!log || log->text[0] == '\0')
            continue;
        status = schema_read (text_of (log->text), arena, schema, error);
        if (status == STATUS_OK)
            status = schema_take (schema, definitions, stream, error);
    }
    arena_destroy (&arena);
    return status;
}

static status_t read_objects (const catalog_object_t *objects, size_t count,
                              definitions_t **definitions, error_t *error)
{
    definition_file_t *files = mem_zero (count, sizeof *files);
    size_t told = 0;
    for (size_t i = 0; i < count; i++)
        if (definitions_is_told (&objects[i]))
            files[told++] = (definition_file_t){ objects[i].name, text_of (objects[i].text) };
    status_t status = definitions_read (files, told, definitions, error);
    mem_free (files);
    if (status == STATUS_OK)
        status = set_fields (*definitions, objects, count, error);
    if (status != STATUS_OK) {
        definitions_destroy (definitions);
        return error_prefix (error, "definitions in the catalog");
    }
    set_versions (*definitions, objects, count);
    return STATUS_OK;
}

status_t definitions_load (coordinator_core_t *self, error_t *error)
{
    arena_t *arena = arena_new (1 << 16);
    catalog_object_t *objects;
    size_t count;
    definitions_t *definitions = NULL;
    status_t status = catalog_objects (self->catalog, arena, &objects, &count, error);
    if (status == STATUS_OK)
        status = read_objects (objects, count, &definitions, error);
    if (status == STATUS_OK)
        status = logs_refresh (self, definitions, objects, count, error);
    if (status != STATUS_OK) {
        definitions_destroy (&definitions);
        arena_destroy (&arena); /* what was in force stays so, with its logs */
        return status;
    }
    definitions_unload (self);
    self->objects_arena = arena;
    self->objects = objects;
    self->objects_count = count;
    self->definitions = definitions;
    self->plans = hash_plans (definitions);
    self->version = catalog_definitions_version (self->catalog);
    return STATUS_OK;
}

/* ---- what comes from outside, together with what is there ---- */

/* Is a definition of that kind and name in one of the trees? */
static bool is_defined (const tree_node_t *const *trees, size_t count, const catalog_object_t *it)
{
    const char *section = strcmp (it->kind, "stream") == 0 ? "streams"
                          : strcmp (it->kind, "view") == 0 ? "views"
                                                           : "services";
    for (size_t i = 0; i < count; i++) {
        if (!trees[i] || trees[i]->kind != TREE_MAP)
            continue;
        const tree_node_t *names = tree_get (trees[i], section);
        if (names && names->kind == TREE_MAP && tree_get (names, it->name))
            return true;
    }
    return false;
}

typedef struct files {
    definition_file_t *list;
    size_t count;
    arena_t *arena;
} files_t;

/* Adds the stored definitions that the new files do not define anew. What is wrong with the new
 * files is told when they are read in earnest. */
static void add_stored (coordinator_core_t *self, files_t *files)
{
    size_t count = files->count;
    const tree_node_t **trees = arena_zero (files->arena, count, sizeof (tree_node_t *));
    mistakes_t mistakes;
    mistakes_init (&mistakes, files->arena);
    for (size_t i = 0; i < count; i++)
        trees[i] = tree_read (&files->list[i], (uint32_t)i, files->arena, &mistakes);
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (!definitions_is_told (object) || is_defined (trees, count, object))
            continue;
        char *name = mem_format ("(stored %s %s)", object->kind, object->name);
        files->list[files->count++] =
            (definition_file_t){ .name = arena_string (files->arena, text_of (name)),
                                 .text = text_of (object->text) };
        mem_free (name);
    }
}

static files_t files_of (coordinator_core_t *self, const wire_value_t *body, arena_t *arena)
{
    wire_list_t given = wire_list (body, "files");
    files_t files = { .arena = arena };
    files.list = arena_zero (arena, given.count + self->objects_count, sizeof *files.list);
    for (uint32_t i = 0; i < given.count; i++)
        files.list[files.count++] = (definition_file_t){
            .name = arena_string (arena, wire_text (&given.items[i], "name")),
            .text = wire_text (&given.items[i], "text"),
        };
    if (!wire_bool (body, "prune", false))
        add_stored (self, &files);
    return files;
}

/* ---- applying ---- */

/* The catalog has another version: makes the rest follow. */
static void follow (coordinator_core_t *self)
{
    error_t error;
    if (definitions_load (self, &error) != STATUS_OK) {
        (void)core_failed (self, &error);
        return;
    }
    env_log (self->env, LOG_INFO, "definitions version %" PRIu64, self->version);
    nodes_poke_all (self);
}

/* Before the keys themselves go: one without a beginning begins again. */
static status_t forget_keys (coordinator_core_t *self, const changes_t *changes, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < self->objects_count && status == STATUS_OK; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (strcmp (object->kind, KIND_KEY) == 0 &&
            !find_object (changes->objects, changes->objects_count, KIND_KEY, object->name))
            status = keys_forget (self, object->name, error);
    }
    return status;
}

static status_t store (coordinator_core_t *self, const changes_t *changes, const char *message,
                       error_t *error)
{
    uint64_t version;
    status_t status = core_writable (self, error);
    if (status == STATUS_OK)
        status = forget_keys (self, changes, error);
    if (status != STATUS_OK)
        return status;
    status = catalog_apply (self->catalog, self->version, self->env->clock_us (self->env), message,
                            changes->objects, changes->objects_count, &version, error);
    return status == STATUS_OK ? STATUS_OK : core_failed (self, error);
}

static void tell_changes (coordinator_core_t *self, const peer_t *from, const message_t *message,
                          uint64_t version, const changes_t *changes)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, message_reply (message->kind), message->id);
    wire_field_uint (writer, "version", version);
    wire_field_list (writer, "changes");
    for (size_t i = 0; i < changes->count; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "kind", changes->list[i].kind);
        wire_field_string (writer, "name", changes->list[i].name);
        wire_field_string (writer, "change", changes->list[i].change);
        if (changes->list[i].detail)
            wire_field_string (writer, "detail", changes->list[i].detail);
        wire_close (writer);
    }
    wire_close (writer);
    core_reply (self, from, message->id);
}

/* All lines of what is wrong, which an error_t would cut. */
static void tell_mistakes (coordinator_core_t *self, const peer_t *from, uint64_t id,
                           const buf_t *lines, const error_t *error)
{
    text_t all = { (const char *)lines->data, (uint32_t)lines->size };
    if (all.size == 0 || all.size > PROBLEM_MAX || !text_is_utf8 (all)) {
        core_reply_error (self, from, id, error);
        return;
    }
    wire_begin (self->writer, MESSAGE_ERROR, id);
    wire_field_string (self->writer, "status", status_word (error->status));
    wire_field_text (self->writer, "text", all);
    core_reply (self, from, id);
}

void definitions_change (coordinator_core_t *self, const peer_t *from, const message_t *message,
                         definitions_t *next, arena_t *arena)
{
    const wire_value_t *body = message->body;
    changes_t changes;
    error_t error;
    status_t status = changes_find (self, next, arena, &changes, &error);
    bool dry = wire_bool (body, "dry_run", false);
    uint64_t version = self->version + changes.any;
    if (status == STATUS_OK && changes.any && !dry) {
        const char *why = arena_string (arena, wire_text (body, "message"));
        status = store (self, &changes, why, &error);
    }
    if (status != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    tell_changes (self, from, message, version, &changes);
    if (changes.any && !dry)
        follow (self);
}

void definitions_apply (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    arena_t *arena = arena_new (1 << 16);
    files_t files = files_of (self, message->body, arena);
    definitions_t *next = NULL;
    error_t error;
    buf_t lines;
    buf_init (&lines, 1 << 16);
    if (definitions_check (files.list, files.count, &next, &lines, &error) == STATUS_OK)
        definitions_change (self, from, message, next, arena);
    else
        tell_mistakes (self, from, message->id, &lines, &error);
    buf_release (&lines);
    definitions_destroy (&next);
    arena_destroy (&arena);
}

/* ---- deleting ---- */

static status_t nothing_to_delete (const definitions_t *definitions, text_t name, error_t *error)
{
    const char *nearest = definitions_nearest_answer (definitions, name);
    if (!nearest)
        nearest = definitions_nearest_stream (definitions, name);
    return error_set (error, STATUS_NOT_FOUND,
                      "there is no view, service or stream \"" TEXT_FORMAT "\"%s%s%s",
                      TEXT_ARGS (name), nearest ? "; did you mean " : "", nearest ? nearest : "",
                      nearest ? "?" : "");
}

/* What kind of definition is to go: nothing else may need it. */
static status_t check_delete (coordinator_core_t *self, text_t name, const char **kind,
                              error_t *error)
{
    const definitions_t *definitions = self->definitions;
    const view_t *view = definitions_view (definitions, name);
    const stream_t *stream = definitions_stream (definitions, name);
    *kind = view ? "view" : definitions_service (definitions, name) ? "service" : "stream";
    for (size_t i = 0; view && i < definitions->services_count; i++)
        if (service_reads (&definitions->services[i], view->name))
            return error_set (error, STATUS_INVALID, "service %s needs view %s; delete it first",
                              definitions->services[i].name, view->name);
    if (strcmp (*kind, "stream") != 0)
        return STATUS_OK;
    if (!stream)
        return nothing_to_delete (definitions, name, error);
    for (size_t i = 0; i < definitions->views_count; i++)
        if (view_source_of (&definitions->views[i], stream->name) >= 0)
            return error_set (error, STATUS_INVALID, "stream %s has views (%s); delete them first",
                              stream->name, definitions->views[i].name);
    return STATUS_OK;
}

/* Everything but the one that is to go. */
static status_t read_without (coordinator_core_t *self, text_t name, const char *kind,
                              definitions_t **next, error_t *error)
{
    definition_file_t *files = mem_zero (self->objects_count, sizeof *files);
    size_t count = 0;
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        bool of_kind = strcmp (object->kind, kind) == 0;
        if (definitions_is_told (object) && !(of_kind && text_is (name, object->name)))
            files[count++] = (definition_file_t){ object->name, text_of (object->text) };
    }
    status_t status = definitions_read (files, count, next, error);
    mem_free (files);
    return status;
}

void definitions_delete (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    text_t name = wire_text (message->body, "name");
    arena_t *arena = arena_new (1 << 16);
    definitions_t *next = NULL;
    changes_t changes;
    error_t error;
    const char *kind;
    status_t status = check_delete (self, name, &kind, &error);
    if (status == STATUS_OK)
        status = read_without (self, name, kind, &next, &error);
    if (status == STATUS_OK)
        status = changes_find (self, next, arena, &changes, &error);
    if (status == STATUS_OK)
        status = store (self, &changes, "delete", &error);
    if (status == STATUS_OK) {
        follow (self);
        wire_begin (self->writer, MESSAGE_DELETE_OK, message->id);
        wire_field_uint (self->writer, "version", catalog_definitions_version (self->catalog));
        core_reply (self, from, message->id);
    } else {
        core_reply_error (self, from, message->id, &error);
    }
    definitions_destroy (&next);
    arena_destroy (&arena);
}

/* ---- telling ---- */

static void tell_fields (coordinator_core_t *self, const catalog_object_t *object)
{
    const stream_t *stream = strcmp (object->kind, "stream") == 0
                                 ? definitions_stream (self->definitions, text_of (object->name))
                                 : NULL;
    const catalog_object_t *log =
        stream ? find_object (self->objects, self->objects_count, "log", stream->log_name) : NULL;
    if (log && log->text[0] != '\0')
        wire_field_string (self->writer, "fields", log->text);
}

void definitions_tell (coordinator_core_t *self, const peer_t *from, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_DEFINITIONS_OK, id);
    wire_field_uint (writer, "version", self->version);
    wire_field_list (writer, "objects");
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (!definitions_is_told (object))
            continue;
        wire_open_map (writer);
        wire_field_string (writer, "kind", object->kind);
        wire_field_string (writer, "name", object->name);
        wire_field_uint (writer, "version", object->version);
        wire_field_string (writer, "text", object->text);
        tell_fields (self, object);
        wire_close (writer);
    }
    wire_close (writer);
    core_reply (self, from, id);
}
