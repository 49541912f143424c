#include "coordinator/state.h"

#include <stdio.h>
#include <string.h>

/* A stream that was deleted after it was used leaves an object of this kind, named as its log, so
 * that nobody reads its events as something else. Nodes are not told of them. */
#define KIND_LOG "log"

static const catalog_object_t *stored (const coordinator_core_t *self, const char *kind,
                                       const char *name)
{
    for (size_t i = 0; i < self->objects_count; i++)
        if (strcmp (self->objects[i].kind, kind) == 0 && strcmp (self->objects[i].name, name) == 0)
            return &self->objects[i];
    return NULL;
}

static void add_object (changes_t *self, catalog_object_t object)
{
    self->objects[self->objects_count++] = object;
}

static void add_change (changes_t *self, const char *kind, const char *name, const char *change,
                        const char *detail)
{
    self->list[self->count++] = (change_t){ kind, name, change, detail };
    self->any = self->any || strcmp (change, "same") != 0;
}

static const char *detail_of (changes_t *self, buf_t *text)
{
    const char *detail =
        arena_string (self->arena, (text_t){ (const char *)text->data, (uint32_t)text->size });
    buf_release (text);
    return detail;
}

/* ---- streams ---- */

static bool has_loads (const coordinator_core_t *self, const char *log)
{
    for (size_t i = 0; i < self->loads_count; i++)
        if (strcmp (self->loads[i]->row.log, log) == 0 && self->loads[i]->state != LOAD_FAILED)
            return true;
    return false;
}

typedef enum usage { UNUSED, USED, UNKNOWN } usage_t;

/* Was anything ever kept in the log? */
static usage_t usage_of (const coordinator_core_t *self, const char *log_name)
{
    const log_t *log = log_named (self, text_of (log_name));
    if (!log)
        return UNUSED;
    if (log->manifest.number > 0 || has_loads (self, log_name))
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

static status_t alter_stream (coordinator_core_t *self, const stream_t *next, changes_t *changes,
                              error_t *error)
{
    const stream_t *present = definitions_stream (self->definitions, text_of (next->name));
    if (present->fingerprint == next->fingerprint) {
        add_change (changes, "stream", next->name, "alter", "what events mean stays the same");
        return STATUS_OK;
    }
    usage_t usage = usage_of (self, present->log_name);
    if (usage == USED)
        return error_set (error, STATUS_INVALID,
                          "stream %s: its fields, key or time would change, but it has events that "
                          "are kept under the old ones; this version cannot convert them: define "
                          "a stream of another name",
                          next->name);
    if (usage == UNKNOWN)
        return error_set (error, STATUS_UNAVAILABLE,
                          "stream %s: its fields, key or time would change, which can be done only "
                          "while it has no events, and not all speed workers can say that; try "
                          "again when all partitions are served",
                          next->name);
    add_change (changes, "stream", next->name, "alter",
                "fields, key or time change; it has no events yet");
    return STATUS_OK;
}

static status_t add_stream (coordinator_core_t *self, const stream_t *next, changes_t *changes,
                            error_t *error)
{
    const catalog_object_t *left = stored (self, KIND_LOG, next->log_name);
    if (left && left->meaning != next->fingerprint)
        return error_set (error, STATUS_INVALID,
                          "stream %s: a stream of that name and key was deleted, and its events, "
                          "which are still kept, had other fields; choose another name",
                          next->name);
    add_change (changes, "stream", next->name, "add",
                left ? "with the events of the deleted stream of that name" : NULL);
    return STATUS_OK;
}

static status_t next_stream (coordinator_core_t *self, const stream_t *next, changes_t *changes,
                             error_t *error)
{
    const catalog_object_t *object = stored (self, "stream", next->name);
    add_object (changes, (catalog_object_t){ .kind = "stream",
                                             .name = next->name,
                                             .version = 1,
                                             .meaning = next->fingerprint,
                                             .text = next->text });
    if (!object)
        return add_stream (self, next, changes, error);
    if (strcmp (object->text, next->text) != 0)
        return alter_stream (self, next, changes, error);
    add_change (changes, "stream", next->name, "same", NULL);
    return STATUS_OK;
}

/* ---- views ---- */

static bool same_text (const char *a, const char *b)
{
    return a == b || (a && b && strcmp (a, b) == 0);
}

static bool same_feature (const feature_t *a, const feature_t *b)
{
    return a->aggregate == b->aggregate && a->window == b->window &&
           same_text (a->input, b->input) && same_text (a->filter, b->filter);
}

static const feature_t *feature_named (const view_t *view, const char *name)
{
    for (size_t i = 0; i < view->features_count; i++)
        if (strcmp (view->features[i].name, name) == 0)
            return &view->features[i];
    return NULL;
}

/* Tells features that are new, other or gone; *other says whether one of a name means another
 * thing now. */
static void compare_features (const view_t *present, const view_t *next, buf_t *detail, bool *other)
{
    for (size_t i = 0; i < next->features_count; i++) {
        const feature_t *feature = &next->features[i];
        const feature_t *old = feature_named (present, feature->name);
        if (!old)
            buf_printf (detail, "%s+%s", detail->size ? ", " : "", feature->name);
        else if (!same_feature (old, feature)) {
            *other = true;
            buf_printf (detail, "%s%s means something else", detail->size ? ", " : "",
                        feature->name);
        }
    }
    for (size_t i = 0; i < present->features_count; i++)
        if (!feature_named (next, present->features[i].name))
            buf_printf (detail, "%s-%s", detail->size ? ", " : "", present->features[i].name);
}

static void alter_view (const view_t *present, const view_t *next, changes_t *changes,
                        uint32_t *version)
{
    buf_t detail;
    bool other = present->meaning != next->meaning;
    buf_init (&detail, 4096);
    if (other)
        buf_put_string (&detail, "its stream, key or filter changes");
    compare_features (present, next, &detail, &other);
    if (present->horizon != next->horizon)
        buf_printf (&detail, "%sthe horizon changes", detail.size ? ", " : "");
    if (detail.size == 0 && !detail.bad)
        buf_put_string (&detail, "what it computes stays the same");
    if (other) {
        buf_printf (&detail, "; version %" PRIu32 " follows %" PRIu32, *version + 1, *version);
        ++*version;
    }
    add_change (changes, "view", next->name, "alter", detail_of (changes, &detail));
}

static void next_view (coordinator_core_t *self, const view_t *next, changes_t *changes)
{
    const catalog_object_t *object = stored (self, "view", next->name);
    uint32_t version = object ? object->version : 1;
    if (!object)
        add_change (changes, "view", next->name, "add", NULL);
    else if (strcmp (object->text, next->text) == 0)
        add_change (changes, "view", next->name, "same", NULL);
    else
        alter_view (definitions_view (self->definitions, text_of (next->name)), next, changes,
                    &version);
    add_object (changes, (catalog_object_t){ .kind = "view",
                                             .name = next->name,
                                             .version = version,
                                             .meaning = next->meaning,
                                             .text = next->text });
}

/* ---- what is not there any more ---- */

static void removed_stream (coordinator_core_t *self, const catalog_object_t *object,
                            changes_t *changes)
{
    const stream_t *stream = definitions_stream (self->definitions, text_of (object->name));
    bool unused = usage_of (self, stream->log_name) == UNUSED;
    add_change (changes, "stream", object->name, "remove",
                unused ? NULL : "its events are kept; a stream of the same name finds them again");
    if (!unused)
        add_object (changes, (catalog_object_t){ .kind = KIND_LOG,
                                                 .name = stream->log_name,
                                                 .version = 1,
                                                 .meaning = stream->fingerprint,
                                                 .text = "" });
}

static bool has_log (const definitions_t *next, const char *log)
{
    for (size_t i = 0; i < next->streams_count; i++)
        if (strcmp (next->streams[i].log_name, log) == 0)
            return true;
    return false;
}

static void find_removed (coordinator_core_t *self, const definitions_t *next, changes_t *changes)
{
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        text_t name = text_of (object->name);
        if (strcmp (object->kind, "stream") == 0 && !definitions_stream (next, name))
            removed_stream (self, object, changes);
        else if (strcmp (object->kind, "view") == 0 && !definitions_view (next, name))
            add_change (changes, "view", object->name, "remove", NULL);
        else if (strcmp (object->kind, KIND_LOG) == 0 && !has_log (next, object->name))
            add_object (changes, *object);
    }
}

status_t changes_find (coordinator_core_t *self, const definitions_t *next, arena_t *arena,
                       changes_t *changes, error_t *error)
{
    size_t most = next->streams_count + next->views_count + self->objects_count;
    *changes = (changes_t){ .arena = arena,
                            .list = arena_zero (arena, most, sizeof (change_t)),
                            .objects = arena_zero (arena, most, sizeof (catalog_object_t)) };
    for (size_t i = 0; i < next->streams_count; i++) {
        status_t status = next_stream (self, &next->streams[i], changes, error);
        if (status != STATUS_OK)
            return status;
    }
    for (size_t i = 0; i < next->views_count; i++)
        next_view (self, &next->views[i], changes);
    find_removed (self, next, changes);
    size_t texts = 0;
    for (size_t i = 0; i < changes->objects_count; i++)
        texts += strlen (changes->objects[i].text);
    if (texts > TEXTS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "all definitions together are over %d MiB",
                          TEXTS_MAX >> 20);
    return STATUS_OK;
}
