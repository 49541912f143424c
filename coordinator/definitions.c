#include "coordinator/changes.h"
#include "feature/plan.h"
#include "feature/schema.h"

#include <string.h>

enum {
    PROBLEM_MAX = 8192,       /* bytes of an error's text on the wire */
    TEXTS_TOLD_MAX = 4 << 20, /* bytes of what is altered, as it was and is to be */
};

bool definitions_is_told (const catalog_object_t *object)
{
    return strcmp (object->kind, "stream") == 0 ||
           (object_is_version (object) && !object_is_retired (object));
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
    definition_version_t *versions = mem_zero (count, sizeof *versions);
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        if (!definitions_is_told (&objects[i]))
            continue;
        files[told] = (definition_file_t){ objects[i].name, text_of (objects[i].text) };
        versions[told++] = (definition_version_t){ objects[i].version, object_state (&objects[i]) };
    }
    definitions_input_t input = { files, versions, told, NULL, NULL };
    status_t status = definitions_check_all (&input, definitions, NULL, error);
    mem_free (versions);
    mem_free (files);
    if (status == STATUS_OK)
        status = set_fields (*definitions, objects, count, error);
    if (status != STATUS_OK) {
        definitions_destroy (definitions);
        return error_prefix (error, "definitions in the catalog");
    }
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

/* The new set, in one transaction. */
static status_t put_objects (coordinator_core_t *self, const catalog_object_t *objects,
                             size_t count, const char *message, error_t *error)
{
    uint64_t version;
    status_t status = catalog_apply (self->catalog, self->version, self->env->clock_us (self->env),
                                     message, objects, count, &version, error);
    return status == STATUS_OK ? STATUS_OK : core_failed (self, error);
}

status_t definitions_replace (coordinator_core_t *self, const catalog_object_t *objects,
                              size_t count, const char *message, error_t *error)
{
    status_t status = core_writable (self, error);
    if (status == STATUS_OK)
        status = put_objects (self, objects, count, message, error);
    if (status == STATUS_OK)
        follow (self);
    return status;
}

static status_t store (coordinator_core_t *self, const changes_t *changes, error_t *error)
{
    status_t status = core_writable (self, error);
    if (status == STATUS_OK)
        status = forget_keys (self, changes, error);
    return status == STATUS_OK ? put_objects (self, changes->objects, changes->objects_count,
                                              changes->request->message, error)
                               : status;
}

/* What it was and what it is to be; `told` is how many bytes such texts have already. */
static void tell_texts (wire_writer_t *writer, const change_t *change, size_t *told)
{
    size_t size = change->before ? strlen (change->before) + strlen (change->after) : 0;
    if (size == 0 || size > TEXTS_TOLD_MAX - *told)
        return;
    *told += size;
    wire_field_string (writer, "before", change->before);
    wire_field_string (writer, "after", change->after);
}

static void tell_changes (coordinator_core_t *self, const peer_t *from, const message_t *message,
                          uint64_t version, const changes_t *changes)
{
    wire_writer_t *writer = self->writer;
    size_t told = 0;
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
        if (wire_bool (message->body, "dry_run", false))
            tell_texts (writer, &changes->list[i], &told);
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

static void apply (coordinator_core_t *self, const peer_t *from, const message_t *message,
                   const changes_t *changes)
{
    error_t error;
    bool dry = wire_bool (message->body, "dry_run", false);
    uint64_t version = self->version + changes->any;
    if (changes->any && !dry && store (self, changes, &error) != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    tell_changes (self, from, message, version, changes);
    if (changes->any && !dry)
        follow (self);
}

void definitions_change (coordinator_core_t *self, const peer_t *from, const message_t *message,
                         const change_request_t *request)
{
    arena_t *arena = arena_new (1 << 16);
    changes_t changes;
    error_t error;
    buf_t lines;
    buf_init (&lines, 1 << 16);
    if (changes_read (self, request, arena, &changes, &lines, &error) == STATUS_OK)
        apply (self, from, message, &changes);
    else
        tell_mistakes (self, from, message->id, &lines, &error);
    buf_release (&lines);
    arena_destroy (&arena);
}

void definitions_apply (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    const wire_value_t *body = message->body;
    arena_t *arena = arena_new (1 << 16);
    wire_list_t given = wire_list (body, "files");
    definition_file_t *files = arena_zero (arena, given.count, sizeof *files);
    for (uint32_t i = 0; i < given.count; i++)
        files[i] = (definition_file_t){
            .name = arena_string (arena, wire_text (&given.items[i], "name")),
            .text = wire_text (&given.items[i], "text"),
        };
    change_request_t request = { .files = files,
                                 .files_count = given.count,
                                 .prune = wire_bool (body, "prune", false),
                                 .author = arena_string (arena, wire_text (body, "author")),
                                 .message = arena_string (arena, wire_text (body, "message")) };
    definitions_change (self, from, message, &request);
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
        if (service_reads (&definitions->services[i], view->name, 0))
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

void definitions_delete (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    change_request_t request = { .removed = wire_text (message->body, "name"),
                                 .author = "",
                                 .message = "delete" };
    arena_t *arena = arena_new (1 << 16);
    changes_t changes;
    error_t error;
    buf_t lines;
    buf_init (&lines, 1 << 16);
    status_t status = check_delete (self, request.removed, &request.removed_kind, &error);
    if (status == STATUS_OK)
        status = changes_read (self, &request, arena, &changes, &lines, &error);
    if (status == STATUS_OK)
        status = store (self, &changes, &error);
    if (status == STATUS_OK) {
        follow (self);
        wire_begin (self->writer, MESSAGE_DELETE_OK, message->id);
        wire_field_uint (self->writer, "version", catalog_definitions_version (self->catalog));
        core_reply (self, from, message->id);
    } else {
        core_reply_error (self, from, message->id, &error);
    }
    buf_release (&lines);
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
        if (object_is_version (object) && object_state (object) != VERSION_ACTIVE)
            wire_field_string (writer, "state", object->state);
        wire_close (writer);
    }
    wire_close (writer);
    core_reply (self, from, id);
}
