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

static status_t alter_stream (coordinator_core_t *self, const stream_t *next,
                              const evolution_t *evolution, changes_t *changes, error_t *error)
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
    changes_note (changes, "stream", next->name, "alter", detail);
    changes->list[changes->count - 1].widened = !refusal && evolution->widened;
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
        status = alter_stream (self, next, &evolution, changes, error);
    else
        changes_note (changes, "stream", next->name, "same", NULL);
    return status == STATUS_OK ? schema_take (schema, definitions, next, error) : status;
}

/* ---- views ---- */

static bool same_value (const value_t *a, const value_t *b)
{
    return a->type == b->type && (a->type == TYPE_NONE || value_equal (a, b));
}

/* What a widened field does to the type of a result is no other meaning. */
static bool same_type (type_t present, type_t next)
{
    return present == next || (present == TYPE_INT64 && next == TYPE_FLOAT64);
}

static bool same_default (const value_t *present, const value_t *next)
{
    bool widened = present->type == TYPE_INT64 && next->type == TYPE_FLOAT64;
    return widened ? next->f == (double)present->i : same_value (present, next);
}

/* Do the texts of two features, over two definitions of a stream, mean the same? */
static bool same_over (const stream_t *x, const feature_t *a, const stream_t *y, const feature_t *b,
                       bool types)
{
    return stream_same_meaning (x, a->input, y, b->input, types) &&
           stream_same_meaning (x, a->second, y, b->second, types) &&
           stream_same_meaning (x, a->filter, y, b->filter, types) &&
           stream_same_meaning (x, a->by, y, b->by, types);
}

/* Do two features of the views compute the same? What fields are called now does not matter, and
 * their types only for `types`. That a view is of other streams is told apart from this. */
static bool same_feature (const view_t *present, const feature_t *a, const view_t *next,
                          const feature_t *b, bool types)
{
    bool same = a->aggregate == b->aggregate && a->window == b->window && a->rows == b->rows &&
                a->delay == b->delay && same_value (&a->parameter, &b->parameter) &&
                same_default (&a->default_value, &b->default_value);
    bool any = false;
    for (size_t i = 0; i < next->sources_count; i++) {
        const stream_t *stream = next->sources[i].stream;
        int before = view_source_of (present, stream->name);
        if (before < 0)
            continue;
        any = true;
        same = same && same_over (present->sources[before].stream, a, stream, b, types);
    }
    return any ? same : same && same_over (present->stream, a, next->stream, b, types);
}

static const feature_t *feature_named (const view_t *view, const char *name)
{
    for (size_t i = 0; i < view->features_count; i++)
        if (strcmp (view->features[i].name, name) == 0)
            return &view->features[i];
    return NULL;
}

static const derived_t *derived_named (const view_t *view, const char *name)
{
    for (size_t i = 0; i < view->derived_count; i++)
        if (strcmp (view->derived[i].name, name) == 0)
            return &view->derived[i];
    return NULL;
}

static bool is_named (const view_t *view, const char *name)
{
    return feature_named (view, name) || derived_named (view, name);
}

static void put_new (const char *name, buf_t *detail)
{
    buf_printf (detail, "%s+%s", detail->size ? ", " : "", name);
}

static void put_gone (const view_t *next, const char *name, buf_t *detail)
{
    if (!is_named (next, name))
        buf_printf (detail, "%s-%s", detail->size ? ", " : "", name);
}

static void put_other (const char *name, buf_t *detail, bool *other)
{
    *other = true;
    buf_printf (detail, "%s%s means something else", detail->size ? ", " : "", name);
}

/* Tells features that are new, other or gone; *other says whether one of a name means another
 * thing now. */
static void compare_features (const view_t *present, const view_t *next, buf_t *detail, bool *other)
{
    for (size_t i = 0; i < next->features_count; i++) {
        const feature_t *feature = &next->features[i];
        const feature_t *old = feature_named (present, feature->name);
        if (!is_named (present, feature->name))
            put_new (feature->name, detail);
        else if (!old || !same_feature (present, old, next, feature, false))
            put_other (feature->name, detail, other);
    }
    for (size_t i = 0; i < next->derived_count; i++) {
        const derived_t *derived = &next->derived[i];
        const derived_t *old = derived_named (present, derived->name);
        if (!is_named (present, derived->name))
            put_new (derived->name, detail);
        else if (!old || strcmp (old->expr, derived->expr) != 0 ||
                 !same_type (old->type, derived->type) ||
                 !same_default (&old->default_value, &derived->default_value))
            put_other (derived->name, detail, other);
    }
    for (size_t i = 0; i < present->features_count; i++)
        put_gone (next, present->features[i].name, detail);
    for (size_t i = 0; i < present->derived_count; i++)
        put_gone (next, present->derived[i].name, detail);
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
    changes_note (changes, "view", next->name, "alter", changes_text (changes, &detail));
}

static void next_view (coordinator_core_t *self, view_t *next, changes_t *changes)
{
    const catalog_object_t *object = changes_stored (self, "view", next->name);
    const view_t *present = definitions_view (self->definitions, text_of (next->name));
    uint32_t version = object ? object->version : 1;
    if (!object)
        changes_note (changes, "view", next->name, "add", NULL);
    else if (strcmp (object->text, next->text) == 0 && present->meaning == next->meaning)
        changes_note (changes, "view", next->name, "same", NULL);
    else
        alter_view (present, next, changes, &version);
    next->version = version;
    changes_add (changes, (catalog_object_t){ .kind = "view",
                                              .name = next->name,
                                              .version = version,
                                              .meaning = next->meaning,
                                              .text = next->text });
}

/* How many features of the stream keep what they compute, but over values of another type. */
static size_t count_rebuilt (const coordinator_core_t *self, const definitions_t *definitions,
                             const char *stream)
{
    size_t count = 0;
    for (size_t v = 0; v < definitions->views_count; v++) {
        const view_t *next = &definitions->views[v];
        const view_t *present = definitions_view (self->definitions, text_of (next->name));
        if (!present || view_source_of (next, stream) < 0)
            continue;
        for (size_t i = 0; i < next->features_count; i++) {
            const feature_t *feature = &next->features[i];
            const feature_t *old = feature_named (present, feature->name);
            count += old && same_feature (present, old, next, feature, false) &&
                     (present->meaning != next->meaning ||
                      !same_feature (present, old, next, feature, true));
        }
    }
    return count;
}

/* What a widened field costs is told with its stream. */
static void tell_rebuilt (const coordinator_core_t *self, const definitions_t *definitions,
                          changes_t *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        change_t *change = &changes->list[i];
        if (!change->widened)
            continue;
        size_t count = count_rebuilt (self, definitions, change->name);
        if (count == 0)
            continue;
        buf_t detail;
        buf_init (&detail, 1 << 16);
        buf_printf (&detail, "%s; %zu feature%s rebuilt", change->detail, count,
                    count == 1 ? " is" : "s are");
        change->detail = changes_text (changes, &detail);
    }
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

static void find_removed (coordinator_core_t *self, const definitions_t *next, changes_t *changes)
{
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        text_t name = text_of (object->name);
        if (strcmp (object->kind, "stream") == 0 && !definitions_stream (next, name))
            removed_stream (self, object, changes);
        else if (strcmp (object->kind, "view") == 0 && !definitions_view (next, name))
            changes_note (changes, "view", object->name, "remove", NULL);
        else if (strcmp (object->kind, "service") == 0 && !definitions_service (next, name))
            changes_note (changes, "service", object->name, "remove", NULL);
    }
    keep_logs (self, next, changes);
}

status_t changes_find (coordinator_core_t *self, definitions_t *next, arena_t *arena,
                       changes_t *changes, error_t *error)
{
    size_t most = 2 * next->streams_count + (1 + SOURCES_MAX) * next->views_count +
                  next->services_count + 3 * self->objects_count;
    *changes = (changes_t){ .arena = arena,
                            .list = arena_zero (arena, most, sizeof (change_t)),
                            .objects = arena_zero (arena, most, sizeof (catalog_object_t)) };
    for (size_t i = 0; i < next->streams_count; i++) {
        status_t status = next_stream (self, next, &next->streams[i], changes, error);
        if (status != STATUS_OK)
            return status;
    }
    status_t status = changes_keys (self, next, changes, error);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < next->views_count; i++)
        next_view (self, &next->views[i], changes);
    status = changes_services (self, next, changes, error);
    if (status != STATUS_OK)
        return status;
    tell_rebuilt (self, next, changes);
    find_removed (self, next, changes);
    size_t texts = 0;
    for (size_t i = 0; i < changes->objects_count; i++)
        texts += strlen (changes->objects[i].text);
    if (texts > TEXTS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "all definitions together are over %d MiB",
                          TEXTS_MAX >> 20);
    return STATUS_OK;
}
