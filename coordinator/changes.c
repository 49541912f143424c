#include "coordinator/changes.h"
#include "feature/schema.h"
#include "feature/stream_scope.h"

#include <stdio.h>
#include <string.h>

const catalog_object_t *changes_stored (const coordinator_core_t *self, const char *kind,
                                        const char *name)
{
    for (size_t i = 0; i < self->objects_count; i++)
        if (strcmp (self->objects[i].kind, kind) == 0 && strcmp (self->objects[i].name, name) == 0)
            return &self->objects[i];
    return NULL;
}

fate_t *changes_fate (const coordinator_core_t *self, const changes_t *changes,
                      const catalog_object_t *object)
{
    return &changes->fates[object - self->objects];
}

void changes_set_fate (const coordinator_core_t *self, changes_t *changes,
                       const catalog_object_t *object, fate_t fate)
{
    fate_t *had = changes_fate (self, changes, object);
    changes->again = changes->again || *had != fate;
    *had = fate;
}

bool changes_replaced (const changes_t *changes, const char *stream)
{
    for (size_t i = 0; i < changes->count; i++)
        if (strcmp (changes->list[i].kind, "stream") == 0 &&
            strcmp (changes->list[i].name, stream) == 0 && changes->list[i].replaced)
            return true;
    return false;
}

void changes_add_version (changes_t *self, const char *kind, const char *name, uint32_t version,
                          version_state_t state, uint64_t meaning, const char *text)
{
    changes_add (self, (catalog_object_t){ .kind = kind,
                                           .name = name,
                                           .version = version,
                                           .meaning = meaning,
                                           .text = text,
                                           .state = version_state_word (state),
                                           .created = self->now,
                                           .author = self->request->author,
                                           .message = self->request->message });
}

void changes_keep_version (changes_t *self, const catalog_object_t *object, uint64_t meaning,
                           const char *text)
{
    catalog_object_t kept = *object;
    kept.meaning = meaning;
    kept.text = text;
    changes_add (self, kept);
}

void changes_add (changes_t *self, catalog_object_t object)
{
    self->objects[self->objects_count++] = object;
}

void changes_note (changes_t *self, const char *kind, const char *name, const char *change,
                   const char *detail)
{
    self->list[self->count++] =
        (change_t){ .kind = kind, .name = name, .change = change, .detail = detail };
    self->any = self->any || strcmp (change, "same") != 0;
}

void changes_note_same (const coordinator_core_t *core, changes_t *self,
                        const catalog_object_t *newest)
{
    const char *detail = NULL;
    if (object_state (newest) == VERSION_LIVE && version_unfitted (core, newest) == 0) {
        buf_t text;
        buf_init (&text, 512);
        buf_printf (&text,
                    "the files define %s@v%" PRIu32
                    ", which is not the active one: `weir promote %s@v%" PRIu32 "` makes it so",
                    newest->name, newest->version, newest->name, newest->version);
        detail = changes_text (self, &text);
    }
    changes_note (self, newest->kind, newest->name, "same", detail);
}

void changes_note_altered (changes_t *self, const char *kind, const char *name, const char *detail,
                           const char *before, const char *after)
{
    changes_note (self, kind, name, "alter", detail);
    self->list[self->count - 1].before = arena_string (self->arena, text_of (before));
    self->list[self->count - 1].after = arena_string (self->arena, text_of (after));
}

const char *changes_text (changes_t *self, buf_t *text)
{
    const char *kept =
        arena_string (self->arena, (text_t){ (const char *)text->data, (uint32_t)text->size });
    buf_release (text);
    return kept;
}

/* ---- streams ---- */

bool changes_has_loads (const coordinator_core_t *self, const char *log)
{
    for (size_t i = 0; i < self->loads_count; i++)
        if (strcmp (self->loads[i]->row.log, log) == 0 && self->loads[i]->state != LOAD_FAILED)
            return true;
    return false;
}

/* Was anything ever kept in the log? */
usage_t changes_usage_of (const coordinator_core_t *self, const char *log_name)
{
    const log_t *log = log_named (self, text_of (log_name));
    if (!log)
        return UNUSED;
    if (log->manifest.number > 0 || changes_has_loads (self, log_name))
        return USED;
    usage_t usage = UNUSED;
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const held_log_t *held = partition_log (&self->partitions[p], log_name);
        if (!held || self->partitions[p].state != HELD_SERVING)
            usage = UNKNOWN;
        else if (held->end > held->controls_count)
            return USED;
    }
    return usage;
}

/* What the log's rows have so far; *past says whether there can be any. */
static status_t past_fields (coordinator_core_t *self, const stream_t *next, arena_t *arena,
                             schema_t *schema, bool *past, error_t *error)
{
    const catalog_object_t *log = changes_stored (self, KIND_LOG, next->log_name);
    const stream_t *present = definitions_stream (self->definitions, text_of (next->name));
    *past = true;
    if (log && log->text[0] != '\0')
        return schema_read (text_of (log->text), arena, schema, error);
    if (present && strcmp (present->log_name, next->log_name) == 0) {
        schema_of (present, schema);
        return STATUS_OK;
    }
    /* of a deleted stream, an earlier version kept no more than the fingerprint */
    if (log && log->meaning != next->fingerprint)
        return error_set (error, STATUS_INVALID,
                          "stream %s: a stream of that name and key was deleted, and its events, "
                          "which are still kept, had other fields; choose another name",
                          next->name);
    *past = log != NULL;
    schema_of (next, schema);
    return STATUS_OK;
}

usage_t changes_usage_of_deleted (const catalog_object_t *log)
{
    return log && log->version > 0 ? USED : UNUSED;
}

/* The rows that are kept cannot be read under the new definition: it must be that there are none.
 */
static status_t check_unused (const stream_t *next, usage_t usage, const char *refusal,
                              error_t *error)
{
    if (usage == USED)
        return error_set (error, STATUS_INVALID, "stream %s: %s", next->name, refusal);
    if (usage == UNKNOWN)
        return error_set (error, STATUS_UNAVAILABLE,
                          "stream %s: %s. That holds only while there are events, and not all "
                          "speed workers can say that; try again when all partitions are served",
                          next->name, refusal);
    return STATUS_OK;
}

static status_t alter_stream (coordinator_core_t *self, const catalog_object_t *object,
                              const stream_t *next, const evolution_t *evolution,
                              changes_t *changes, error_t *error)
{
    const stream_t *present = definitions_stream (self->definitions, text_of (next->name));
    bool other_key = strcmp (present->log_name, next->log_name) != 0;
    const char *refusal =
        other_key ? "its key cannot change, nor what its fields are called (`column` and `alias` "
                    "say what sources call them): events that are kept are ordered and placed by "
                    "it; define a stream of another name"
                  : evolution->refusal;
    const char *detail = "what events mean stays the same";
    if (refusal) {
        status_t status =
            check_unused (next, changes_usage_of (self, present->log_name), refusal, error);
        if (status != STATUS_OK)
            return status;
        detail = "fields, key or time change; it has no events yet";
    } else if (evolution->detail[0] != '\0') {
        detail = evolution->detail;
    }
    changes_note_altered (changes, "stream", next->name, detail, object->text, next->text);
    changes->list[changes->count - 1].widened = !refusal && evolution->widened;
    changes->list[changes->count - 1].replaced = refusal != NULL;
    return STATUS_OK;
}

static status_t add_stream (coordinator_core_t *self, const stream_t *next, bool past,
                            const evolution_t *evolution, changes_t *changes, error_t *error)
{
    const catalog_object_t *log = changes_stored (self, KIND_LOG, next->log_name);
    usage_t usage = changes_usage_of_deleted (log);
    if (past && evolution->refusal) {
        status_t status = check_unused (next, usage, evolution->refusal, error);
        if (status != STATUS_OK)
            return error_prefix (error, "a stream of that name and key was deleted, and its events "
                                        "are still kept");
    }
    changes_note (changes, "stream", next->name, "add",
                  usage == USED ? "with the events of the deleted stream of that name" : NULL);
    return STATUS_OK;
}

static void add_log (changes_t *changes, const stream_t *next, const schema_t *schema)
{
    buf_t text;
    buf_init (&text, 1 << 16);
    schema_format (schema, &text);
    CHECK (!text.bad);
    changes_add (changes, (catalog_object_t){ .kind = KIND_LOG,
                                              .name = next->log_name,
                                              .version = 1,
                                              .meaning = next->fingerprint,
                                              .text = changes_text (changes, &text) });
}

static status_t next_stream (coordinator_core_t *self, definitions_t *definitions, stream_t *next,
                             changes_t *changes, error_t *error)
{
    const catalog_object_t *object = changes_stored (self, "stream", next->name);
    schema_t *past = arena_zero (changes->arena, 2, sizeof *past);
    schema_t *schema = past + 1;
    bool has_past;
    evolution_t evolution;
    changes_add (changes, (catalog_object_t){ .kind = "stream",
                                              .name = next->name,
                                              .version = 1,
                                              .meaning = next->fingerprint,
                                              .text = next->text });
    status_t status = past_fields (self, next, changes->arena, past, &has_past, error);
    if (status != STATUS_OK)
        return status;
    schema_evolve (past, next, changes->arena, schema, &evolution);
    add_log (changes, next, schema);
    if (!object)
        status = add_stream (self, next, has_past, &evolution, changes, error);
    else if (strcmp (object->text, next->text) != 0)
        status = alter_stream (self, object, next, &evolution, changes, error);
    else
        changes_note (changes, "stream", next->name, "same", NULL);
    return status == STATUS_OK ? schema_take (schema, definitions, next, error) : status;
}

/* ---- what is not there any more ---- */

static void removed_stream (coordinator_core_t *self, const catalog_object_t *object,
                            changes_t *changes)
{
    const stream_t *stream = definitions_stream (self->definitions, text_of (object->name));
    bool unused = changes_usage_of (self, stream->log_name) == UNUSED;
    changes_note (changes, "stream", object->name, "remove",
                  unused ? NULL
                         : "its events are kept; a stream of the same name finds them again");
}

static bool has_log (const definitions_t *definitions, const char *log)
{
    for (size_t i = 0; i < definitions->streams_count; i++)
        if (strcmp (definitions->streams[i].log_name, log) == 0)
            return true;
    return false;
}

/* Logs of streams that go, or that get another key, are remembered with their fields. */
static void keep_logs (coordinator_core_t *self, const definitions_t *next, changes_t *changes)
{
    for (size_t i = 0; i < self->definitions->streams_count; i++) {
        const stream_t *stream = &self->definitions->streams[i];
        if (has_log (next, stream->log_name))
            continue;
        schema_t *schema = arena_zero (changes->arena, 1, sizeof *schema);
        const catalog_object_t *log = changes_stored (self, KIND_LOG, stream->log_name);
        schema_of (stream, schema);
        add_log (changes, stream, schema);
        catalog_object_t *kept = &changes->objects[changes->objects_count - 1];
        if (log && log->text[0] != '\0')
            kept->text = log->text; /* it knows the next number */
        kept->version = changes_usage_of (self, stream->log_name) != UNUSED;
    }
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (strcmp (object->kind, KIND_LOG) == 0 && !has_log (next, object->name) &&
            !has_log (self->definitions, object->name))
            changes_add (changes, *object);
    }
}

static bool is_told (const changes_t *changes, const char *kind, const char *name)
{
    for (size_t i = 0; i < changes->count; i++)
        if (strcmp (changes->list[i].kind, kind) == 0 && strcmp (changes->list[i].name, name) == 0)
            return true;
    return false;
}

/* Its name goes, with all of its versions; told once. */
static void removed_version (const definitions_t *next, const catalog_object_t *object,
                             changes_t *changes)
{
    text_t name = text_of (object->name);
    bool view = strcmp (object->kind, "view") == 0;
    if (view ? definitions_view (next, name) != NULL : definitions_service (next, name) != NULL)
        return;
    if (!is_told (changes, object->kind, object->name))
        changes_note (changes, object->kind, object->name, "remove", NULL);
}

/* Is the name's active version among those that `changes` have? */
static bool has_active (const changes_t *changes, const catalog_object_t *of)
{
    for (size_t i = 0; i < changes->objects_count; i++) {
        const catalog_object_t *object = &changes->objects[i];
        if (strcmp (object->kind, of->kind) == 0 && strcmp (object->name, of->name) == 0 &&
            object_state (object) == VERSION_ACTIVE)
            return true;
    }
    return false;
}

/* A version that the catalog has, as it is from now on. */
static void rest_of_version (const coordinator_core_t *self, const definitions_t *next,
                             const catalog_object_t *object, changes_t *changes)
{
    catalog_object_t kept = *object;
    fate_t fate = *changes_fate (self, changes, object);
    if (object_is_retired (object)) {
        changes_add (changes, kept);
    } else if (fate == FATE_GOES || fate == FATE_RENEWED) {
        kept.state = version_state_word (VERSION_RETIRED);
        removed_version (next, object, changes);
        changes_add (changes, kept);
    } else if (fate == FATE_STAYS) {
        const view_t *view =
            strcmp (object->kind, "view") == 0
                ? definitions_view_version (next, text_of (object->name), object->version)
                : NULL;
        kept.meaning = view ? view->meaning : kept.meaning;
        /* a newer one may be active at once, if it reads only what is there */
        if (object_state (object) == VERSION_ACTIVE && has_active (changes, object))
            kept.state = version_state_word (VERSION_LIVE);
        changes_add (changes, kept);
        if (!is_told (changes, object->kind, object->name))
            changes_note (changes, object->kind, object->name, "same", NULL);
    }
}

status_t changes_rest (coordinator_core_t *self, const definitions_t *next, changes_t *changes,
                       error_t *error)
{
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (strcmp (object->kind, "stream") == 0 &&
            !definitions_stream (next, text_of (object->name)))
            removed_stream (self, object, changes);
        else if (object_is_version (object))
            rest_of_version (self, next, object, changes);
    }
    keep_logs (self, next, changes);
    size_t texts = 0;
    for (size_t i = 0; i < changes->objects_count; i++)
        if (!object_is_retired (&changes->objects[i]))
            texts += strlen (changes->objects[i].text);
    if (texts > TEXTS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "all definitions together are over %d MiB",
                          TEXTS_MAX >> 20);
    return STATUS_OK;
}

status_t changes_views (coordinator_core_t *self, definitions_t *next, changes_t *changes,
                        error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < next->streams_count && status == STATUS_OK; i++)
        status = next_stream (self, next, &next->streams[i], changes, error);
    if (status == STATUS_OK)
        status = changes_keys (self, next, changes, error);
    if (status == STATUS_OK)
        status = changes_number_views (self, next, changes, error);
    return status;
}
