/* Versions become active, are promoted, retired, annotated and told. */
#include "coordinator/versions.h"

#include <string.h>

enum {
    ANNOTATIONS_MAX = 64, /* of a version */
    LABEL_MAX = 63,       /* bytes */
    VALUE_MAX = 1024,     /* bytes */
    /* a reply that tells of versions, but for its last one */
    PAGE_BYTES = 4 << 20,
    PAGE_VERSIONS = 1024,
};
/* the last one's text, what is said of it, and why it was made: each with its author and numbers */
_Static_assert(PAGE_BYTES + 2 * DEFINITION_FILE_MAX +
                       ANNOTATIONS_MAX * (LABEL_MAX + VALUE_MAX + 2 * WIRE_NAME_MAX) + (64 << 10) <
                   WIRE_MESSAGE_MAX,
               "any version fits into a page");

/* The objects as they are, to be changed and put back. */
static catalog_object_t *copy_objects (const coordinator_core_t *self)
{
    catalog_object_t *copy = mem_zero (self->objects_count, sizeof *copy);
    if (self->objects_count > 0)
        memcpy (copy, self->objects, self->objects_count * sizeof *copy);
    return copy;
}

static void set_state (catalog_object_t *object, version_state_t state)
{
    object->state = version_state_word (state);
}

/* Makes it what is answered when no version is named. */
static void make_active (catalog_object_t *objects, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp (objects[i].kind, objects[at].kind) == 0 &&
            strcmp (objects[i].name, objects[at].name) == 0 &&
            object_state (&objects[i]) == VERSION_ACTIVE)
            set_state (&objects[i], VERSION_LIVE);
    set_state (&objects[at], VERSION_ACTIVE);
}

/* ---- becoming active ---- */

/* Is there a newer one that is complete? One that waits to be fitted is not. */
static bool has_newer (const coordinator_core_t *self, const catalog_object_t *objects, size_t at)
{
    size_t count = self->objects_count;
    for (size_t i = 0; i < count; i++)
        if (strcmp (objects[i].kind, objects[at].kind) == 0 &&
            strcmp (objects[i].name, objects[at].name) == 0 &&
            objects[i].version > objects[at].version &&
            object_state (&objects[i]) <= VERSION_LIVE &&
            !version_waits_for_fit (self, objects, count, &objects[i]))
            return true;
    return false;
}

static void finish (const coordinator_core_t *self, catalog_object_t *objects, size_t at)
{
    if (has_newer (self, objects, at) ||
        version_waits_for_fit (self, objects, self->objects_count, &objects[at]))
        set_state (&objects[at], VERSION_LIVE);
    else
        make_active (objects, self->objects_count, at);
}

static bool is_building (const catalog_object_t *object, const char *kind)
{
    return strcmp (object->kind, kind) == 0 && object_state (object) == VERSION_BUILDING;
}

/* Do all versions of views that the service reads answer? `objects` say so of views. */
static bool reads_what_answers (const coordinator_core_t *self, const catalog_object_t *objects,
                                const catalog_object_t *object)
{
    const service_t *service =
        definitions_service_version (self->definitions, text_of (object->name), object->version);
    if (!service)
        return false;
    for (size_t i = 0; i < self->objects_count; i++)
        if (is_building (&objects[i], "view") &&
            service_reads (service, objects[i].name, objects[i].version))
            return false;
    return true;
}

/* Views first, and with them, at once, the services that waited for nothing else. Appends what was
 * done to `said`. */
static size_t finish_all (const coordinator_core_t *self, catalog_object_t *objects, buf_t *said)
{
    size_t finished = 0;
    for (int services = 0; services < 2; services++)
        for (size_t i = 0; i < self->objects_count; i++) {
            catalog_object_t *object = &objects[i];
            if (!is_building (object, services ? "service" : "view"))
                continue;
            version_progress_t progress =
                version_progress (self, object->kind, object->name, object->version);
            if (services ? !reads_what_answers (self, objects, object) : progress.waits[0] != '\0')
                continue;
            finish (self, objects, i);
            buf_printf (said, "%s%s@v%" PRIu32, finished++ > 0 ? ", " : "", object->name,
                        object->version);
        }
    return finished;
}

void versions_settle (coordinator_core_t *self)
{
    bool any = false;
    for (size_t i = 0; i < self->objects_count; i++)
        any = any || is_building (&self->objects[i], "view") ||
              is_building (&self->objects[i], "service");
    /* serving nodes that were promised something before a restart have not all beaten yet */
    if (!any || core_now (self) < self->promised)
        return;
    catalog_object_t *objects = copy_objects (self);
    buf_t said;
    error_t error;
    buf_init (&said, 1 << 12);
    if (finish_all (self, objects, &said) > 0) {
        env_log (self->env, LOG_INFO, "complete: %s", said.bad ? "many" : buf_string (&said));
        char *message = mem_format ("complete: %s", said.bad ? "many" : buf_string (&said));
        /* what failed is tried again when the catalog can be written */
        (void)!definitions_replace (self, objects, self->objects_count, message, &error);
        mem_free (message);
    }
    buf_release (&said);
    mem_free (objects);
}

/* ---- promoting and retiring ---- */

/* Is there any version of the name, retired ones included? */
static status_t check_told (const coordinator_core_t *self, text_t name, error_t *error)
{
    for (size_t i = 0; i < self->objects_count; i++)
        if (object_is_version (&self->objects[i]) && text_is (name, self->objects[i].name))
            return STATUS_OK;
    const char *nearest = definitions_nearest_answer (self->definitions, name);
    return error_set (error, STATUS_NOT_FOUND,
                      "there is no view or service \"" TEXT_FORMAT "\"%s%s%s", TEXT_ARGS (name),
                      nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static status_t find_version (const coordinator_core_t *self, const wire_value_t *body, size_t *at,
                              error_t *error)
{
    text_t name = wire_text (body, "name");
    uint64_t version = wire_uint (body, "version", 0);
    const catalog_object_t *object =
        version <= UINT32_MAX ? versions_find (self, name, (uint32_t)version) : NULL;
    if (!object && check_told (self, name, error) != STATUS_OK)
        return error->status;
    if (!object)
        return error_set (error, STATUS_NOT_FOUND,
                          "there is no " TEXT_FORMAT "@v%" PRIu64 "; `weir versions " TEXT_FORMAT
                          "` lists all",
                          TEXT_ARGS (name), version, TEXT_ARGS (name));
    *at = (size_t)(object - self->objects);
    return STATUS_OK;
}

static status_t check_promote (const coordinator_core_t *self, const catalog_object_t *object,
                               error_t *error)
{
    version_state_t state = object_state (object);
    if (state == VERSION_RETIRED)
        return error_set (error, STATUS_INVALID,
                          "%s@v%" PRIu32 " is retired; apply its definition again, which makes a "
                          "new version of it",
                          object->name, object->version);
    if (version_waits_for_fit (self, self->objects, self->objects_count, object))
        return error_set (error, STATUS_INVALID,
                          "%s@v%" PRIu32 " lacks the numbers of %zu of its features, which would "
                          "be null in answers; `weir fit %s --on TRAINING_SET` gives the newest "
                          "version its numbers, in a version that becomes active",
                          object->name, object->version, version_unfitted (self, object),
                          object->name);
    if (state != VERSION_BUILDING)
        return STATUS_OK;
    version_progress_t progress =
        version_progress (self, object->kind, object->name, object->version);
    return error_set (error, STATUS_INVALID,
                      "%s@v%" PRIu32 " is still being built (%zu of %zu partitions, it waits for "
                      "%s), and becomes active by itself",
                      object->name, object->version, progress.done, progress.total,
                      progress.waits[0] != '\0' ? progress.waits : "nothing more");
}

static status_t check_retire (const coordinator_core_t *self, const catalog_object_t *object,
                              error_t *error)
{
    if (object_state (object) == VERSION_RETIRED)
        return STATUS_OK; /* it is asked for again */
    if (object_state (object) == VERSION_ACTIVE)
        return error_set (error, STATUS_INVALID,
                          "%s@v%" PRIu32 " is the active version; promote another one first, or "
                          "delete %s altogether",
                          object->name, object->version, object->name);
    bool view = strcmp (object->kind, "view") == 0;
    for (size_t i = 0; view && i < self->definitions->services_count; i++) {
        const service_t *service = &self->definitions->services[i];
        if (service_reads (service, object->name, object->version))
            return error_set (error, STATUS_INVALID,
                              "%s@v%" PRIu32 " needs %s@v%" PRIu32 "; retire that first",
                              service->name, service->version, object->name, object->version);
    }
    return STATUS_OK;
}

static void reply_version (coordinator_core_t *self, const peer_t *from, uint64_t id,
                           message_kind_t kind, status_t status, const error_t *error)
{
    if (status != STATUS_OK) {
        core_reply_error (self, from, id, error);
        return;
    }
    wire_begin (self->writer, kind, id);
    wire_field_uint (self->writer, "version", self->version);
    core_reply (self, from, id);
}

static status_t set_one (coordinator_core_t *self, size_t at, version_state_t state,
                         const char *what, error_t *error)
{
    if (object_state (&self->objects[at]) == state)
        return STATUS_OK;
    catalog_object_t *objects = copy_objects (self);
    char *message = mem_format ("%s %s@v%" PRIu32, what, objects[at].name, objects[at].version);
    if (state == VERSION_ACTIVE)
        make_active (objects, self->objects_count, at);
    else
        set_state (&objects[at], state);
    status_t status = definitions_replace (self, objects, self->objects_count, message, error);
    mem_free (message);
    mem_free (objects);
    return status;
}

void versions_promote (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    size_t at = 0;
    error_t error;
    status_t status = find_version (self, message->body, &at, &error);
    if (status == STATUS_OK)
        status = check_promote (self, &self->objects[at], &error);
    if (status == STATUS_OK)
        status = set_one (self, at, VERSION_ACTIVE, "promote", &error);
    reply_version (self, from, message->id, MESSAGE_PROMOTE_OK, status, &error);
}

void versions_retire (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    size_t at = 0;
    error_t error;
    status_t status = find_version (self, message->body, &at, &error);
    if (status == STATUS_OK)
        status = check_retire (self, &self->objects[at], &error);
    if (status == STATUS_OK)
        status = set_one (self, at, VERSION_RETIRED, "retire", &error);
    reply_version (self, from, message->id, MESSAGE_RETIRE_OK, status, &error);
}

/* ---- annotating ---- */

static bool is_of (const catalog_annotation_t *annotation, const catalog_object_t *object)
{
    return annotation->version == object->version && strcmp (annotation->kind, object->kind) == 0 &&
           strcmp (annotation->name, object->name) == 0;
}

/* Is there room for them beside those that there are? */
static status_t check_room (coordinator_core_t *self, const catalog_annotation_t *rows,
                            size_t count, arena_t *arena, error_t *error)
{
    catalog_annotation_t *there;
    size_t there_count, total = 0;
    status_t status = catalog_annotations (self->catalog, arena, &there, &there_count, error);
    if (status != STATUS_OK)
        return core_failed (self, error);
    for (size_t k = 0; k < count; k++)
        total += rows[k].value[0] != '\0';
    for (size_t i = 0; i < there_count; i++) {
        bool again = false;
        for (size_t k = 0; k < count; k++)
            again = again || strcmp (there[i].label, rows[k].label) == 0;
        const catalog_object_t of = { rows->kind, rows->name, rows->version, 0, "", "", 0, "", "" };
        total += !again && is_of (&there[i], &of);
    }
    return total <= ANNOTATIONS_MAX
               ? STATUS_OK
               : error_set (error, STATUS_TOO_LARGE,
                            "%s@v%" PRIu32 " would have over %d annotations; an empty value takes "
                            "one away",
                            rows->name, rows->version, ANNOTATIONS_MAX);
}

static status_t annotate (coordinator_core_t *self, const wire_value_t *body, arena_t *arena,
                          error_t *error)
{
    size_t at = 0;
    wire_list_t given = wire_list (body, "annotations");
    status_t status = find_version (self, body, &at, error);
    if (status != STATUS_OK || given.count == 0)
        return status;
    if (given.count > ANNOTATIONS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "over %d annotations", ANNOTATIONS_MAX);
    catalog_annotation_t *rows = arena_zero (arena, given.count, sizeof *rows);
    for (uint32_t i = 0; i < given.count; i++) {
        text_t label = wire_text (&given.items[i], "name");
        text_t value = wire_text (&given.items[i], "value");
        if (label.size == 0 || label.size > LABEL_MAX || value.size > VALUE_MAX ||
            !text_is_utf8 (value))
            return error_set (error, STATUS_INVALID,
                              "an annotation has a name of up to %d bytes and a text of up to %d",
                              LABEL_MAX, VALUE_MAX);
        rows[i] = (catalog_annotation_t){ self->objects[at].kind,
                                          self->objects[at].name,
                                          self->objects[at].version,
                                          arena_string (arena, label),
                                          arena_string (arena, value),
                                          self->env->clock_us (self->env),
                                          arena_string (arena, wire_text (body, "author")) };
    }
    status = core_writable (self, error);
    if (status == STATUS_OK)
        status = check_room (self, rows, given.count, arena, error);
    if (status == STATUS_OK &&
        (status = catalog_annotate (self->catalog, rows, given.count, error)) != STATUS_OK)
        status = core_failed (self, error);
    return status;
}

void versions_annotate (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    error_t error;
    arena_t *arena = arena_new (4096);
    if (annotate (self, message->body, arena, &error) == STATUS_OK) {
        wire_begin (self->writer, MESSAGE_ANNOTATE_OK, message->id);
        core_reply (self, from, message->id);
    } else {
        core_reply_error (self, from, message->id, &error);
    }
    arena_destroy (&arena);
}

/* ---- telling ---- */

/* Is it complete, and kept from being active by what `weir fit` finds alone? */
static bool is_to_be_fitted (const coordinator_core_t *self, const catalog_object_t *object)
{
    return object_state (object) == VERSION_LIVE &&
           versions_newest (self, object->kind, object->name) == object &&
           version_waits_for_fit (self, self->objects, self->objects_count, object);
}

typedef struct annotations {
    catalog_annotation_t *list;
    size_t count;
} annotations_t;

/* What it waits for, if it does. */
static void write_progress (coordinator_core_t *self, const catalog_object_t *object)
{
    bool building = object_state (object) == VERSION_BUILDING;
    if (!building && !is_to_be_fitted (self, object))
        return;
    version_progress_t progress =
        version_progress (self, object->kind, object->name, object->version);
    if (building) {
        wire_field_uint (self->writer, "done", progress.done);
        wire_field_uint (self->writer, "total", progress.total);
    }
    wire_field_string (self->writer, "waits", progress.waits);
}

static void write_view_features (wire_writer_t *writer, const view_t *view)
{
    for (size_t i = 0; i < view->features_count; i++)
        wire_put_string (writer, view->features[i].name);
    for (size_t i = 0; i < view->derived_count; i++)
        wire_put_string (writer, view->derived[i].name);
}

/* What a version answers, and what identifies its preprocessing. Of one that is retired the text
 * alone is left. */
static void write_features (coordinator_core_t *self, const catalog_object_t *object, bool named)
{
    text_t name = text_of (object->name);
    const view_t *view = definitions_view_version (self->definitions, name, object->version);
    const service_t *service =
        definitions_service_version (self->definitions, name, object->version);
    char hash[PREPROCESS_HASH_DIGITS + 1];
    if (object_is_retired (object) || (!view && !service))
        return;
    wire_field_list (self->writer, "features");
    if (view)
        write_view_features (self->writer, view);
    for (size_t i = 0; service && i < service->outputs_count; i++)
        wire_put_string (self->writer, service->outputs[i].name);
    wire_close (self->writer);
    if (named && service && service_preprocess_hash (service, hash))
        wire_field_string (self->writer, "preprocess", hash);
}

static void write_version (coordinator_core_t *self, const catalog_object_t *object,
                           const annotations_t *annotations, bool text)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_string (writer, "kind", object->kind);
    wire_field_string (writer, "name", object->name);
    wire_field_uint (writer, "version", object->version);
    wire_field_string (writer, "state", version_state_word (object_state (object)));
    wire_field_int (writer, "created", object->created);
    wire_field_string (writer, "author", object->author ? object->author : "");
    wire_field_string (writer, "message", object->message ? object->message : "");
    write_progress (self, object);
    write_features (self, object, text);
    if (text)
        wire_field_string (writer, "text", object->text);
    wire_field_list (writer, "annotations");
    for (size_t i = 0; i < annotations->count; i++) {
        const catalog_annotation_t *annotation = &annotations->list[i];
        if (!is_of (annotation, object))
            continue;
        wire_open_map (writer);
        wire_field_string (writer, "name", annotation->label);
        wire_field_string (writer, "value", annotation->value);
        wire_field_int (writer, "time", annotation->time);
        wire_field_string (writer, "author", annotation->author);
        wire_close (writer);
    }
    wire_close (writer);
    wire_close (writer);
}

/* Is it behind the one that `after` names, in the order in which the catalog has them? */
static bool is_after (const catalog_object_t *object, const wire_value_t *after)
{
    if (!after)
        return true;
    int order = text_compare (text_of (object->kind), wire_text (after, "kind"));
    if (order == 0)
        order = text_compare (text_of (object->name), wire_text (after, "name"));
    return order != 0 ? order > 0 : object->version > wire_uint (after, "version", 0);
}

/* One page of what is asked for. */
static void write_page (coordinator_core_t *self, const wire_value_t *body,
                        const annotations_t *annotations)
{
    bool named = wire_has (body, "name"), more = false;
    const wire_value_t *after = wire_map (body, "after");
    size_t count = 0;
    wire_field_list (self->writer, "versions");
    for (size_t i = 0; i < self->objects_count && !more; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (!object_is_version (object) || !is_after (object, after) ||
            (named ? !text_is (wire_text (body, "name"), object->name)
                   : object_is_retired (object)))
            continue;
        more = count == PAGE_VERSIONS || wire_written (self->writer) >= PAGE_BYTES;
        if (!more)
            write_version (self, object, annotations, named);
        count++;
    }
    wire_close (self->writer);
    if (more)
        wire_field_bool (self->writer, "more", true);
}

void versions_tell (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    text_t name = wire_text (message->body, "name");
    bool named = wire_has (message->body, "name");
    annotations_t annotations = { NULL, 0 };
    error_t error;
    arena_t *arena = arena_new (4096);
    status_t status = named ? check_told (self, name, &error) : STATUS_OK;
    if (status == STATUS_OK)
        status = catalog_annotations (self->catalog, arena, &annotations.list, &annotations.count,
                                      &error);
    if (status != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        arena_destroy (&arena);
        return;
    }
    wire_begin (self->writer, MESSAGE_VERSIONS_OK, message->id);
    write_page (self, message->body, &annotations);
    core_reply (self, from, message->id);
    arena_destroy (&arena);
}

static bool is_being_built (const coordinator_core_t *self, const catalog_object_t *object)
{
    (void)self;
    return object_is_version (object) && object_state (object) == VERSION_BUILDING;
}

/* Those that are so, as a field; none when there are none. */
static void write_list (coordinator_core_t *self, const char *field,
                        bool (*is_so) (const coordinator_core_t *self,
                                       const catalog_object_t *object))
{
    const annotations_t none = { NULL, 0 };
    bool any = false;
    for (size_t i = 0; i < self->objects_count; i++) {
        if (!is_so (self, &self->objects[i]))
            continue;
        if (!any)
            wire_field_list (self->writer, field);
        any = true;
        write_version (self, &self->objects[i], &none, false);
    }
    if (any)
        wire_close (self->writer);
}

void versions_write_waiting (coordinator_core_t *self)
{
    write_list (self, "building", is_being_built);
    write_list (self, "unfitted", is_to_be_fitted);
}
