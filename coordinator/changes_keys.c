#include "coordinator/changes.h"

#include <string.h>

/* Is the log kept up now? */
static bool is_kept_up (const coordinator_core_t *self, const char *name)
{
    const log_t *log = log_named (self, text_of (name));
    return log && !log->dropped;
}

static bool has_history (const coordinator_core_t *self, const stream_t *stream)
{
    const log_t *log = log_named (self, text_of (stream->log_name));
    if (!definitions_stream (self->definitions, text_of (stream->name)))
        return changes_usage_of_deleted (changes_stored (self, KIND_LOG, stream->log_name)) == USED;
    return log && (log->manifest.number > 0 || changes_has_loads (self, log->name));
}

/* A key that is new to a stream is given the stream's history (keys.c): all of it must be in the
 * dataset, or still in the log. */
static status_t check_new_key (const coordinator_core_t *self, const view_t *view,
                               const view_source_t *source, error_t *error)
{
    const stream_t *stream = source->stream;
    const char *log_name = source->log_name;
    if (strcmp (log_name, stream->log_name) == 0 || is_kept_up (self, log_name) ||
        changes_stored (self, KIND_KEY, log_name) || !has_history (self, stream))
        return STATUS_OK;
    if (!definitions_stream (self->definitions, text_of (stream->name)))
        return error_set (error, STATUS_INVALID,
                          "view %s: its key is new to stream %s, which comes back with its events; "
                          "apply the stream first, and then the view",
                          view->name, stream->name);
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        if (strcmp (load->row.stream, stream->name) == 0 && !load_is_history (load) &&
            (load->state < LOAD_VISIBLE || load->state == LOAD_UNLOADING))
            return error_set (error, STATUS_UNAVAILABLE,
                              "view %s: its key is new to stream %s, and load %s is %s; apply it "
                              "again when that is done",
                              view->name, stream->name, load->row.id, load->row.state);
    }
    return STATUS_OK;
}

/* What the fields of the stream were before; false when it has no past. */
static bool read_past (const coordinator_core_t *self, const stream_t *next, arena_t *arena,
                       schema_t *schema)
{
    error_t error;
    const stream_t *present = definitions_stream (self->definitions, text_of (next->name));
    const catalog_object_t *log =
        changes_stored (self, KIND_LOG, present ? present->log_name : next->log_name);
    if (log && log->text[0] != '\0')
        return schema_read (text_of (log->text), arena, schema, &error) == STATUS_OK;
    if (present)
        schema_of (present, schema);
    return present != NULL;
}

/* Does the log's key still consist of the same fields, of the same types? Its events are placed and
 * ordered by them. */
static bool same_fields (const definitions_t *next, const char *name, const schema_t *past)
{
    keyed_log_t log;
    if (!keyed_log_find (next, text_of (name), &log) || log.primary)
        return false;
    for (size_t k = 0; k < log.key_count; k++) {
        const field_t *field = &log.stream->fields[log.key[k]];
        size_t i = 0;
        while (i < past->count && strcmp (past->fields[i].name, field->name) != 0)
            i++;
        if (i == past->count || past->fields[i].id != field->id ||
            past->fields[i].type != field->type)
            return false;
    }
    return true;
}

static const stream_t *stream_of_log (const definitions_t *definitions, const char *log)
{
    for (size_t i = 0; i < definitions->streams_count; i++)
        if (keyed_log_is_of (text_of (log), definitions->streams[i].name))
            return &definitions->streams[i];
    return NULL;
}

/* A key that there is: its log goes on. */
static status_t keep_key (coordinator_core_t *self, const definitions_t *next,
                          const catalog_object_t *key, changes_t *changes, error_t *error)
{
    const stream_t *stream = stream_of_log (next, key->name);
    const stream_t *present = stream_of_log (self->definitions, key->name);
    usage_t usage = present ? changes_usage_of (self, present->log_name)
                            : changes_usage_of_deleted (
                                  changes_stored (self, KIND_LOG, stream ? stream->log_name : ""));
    schema_t *past = arena_zero (changes->arena, 1, sizeof *past);
    bool same = !stream || !read_past (self, stream, changes->arena, past) ||
                same_fields (next, key->name, past);
    if (same || usage == UNUSED) {
        if (same)
            changes_add (changes, *key);
        return STATUS_OK;
    }
    return error_set (
        error, usage == UNKNOWN ? STATUS_UNAVAILABLE : STATUS_INVALID,
        "stream %s: events are kept by the key %s as well, whose fields can be neither "
        "renamed nor widened nor left out",
        stream->name, key->name + strlen (stream->name) + 1);
}

static bool has_key (const changes_t *changes, const char *log)
{
    for (size_t i = 0; i < changes->objects_count; i++)
        if (strcmp (changes->objects[i].kind, KIND_KEY) == 0 &&
            strcmp (changes->objects[i].name, log) == 0)
            return true;
    return false;
}

/* Those that are kept up without a view count as well: loads write runs for them too. */
static status_t check_key_count (const definitions_t *next, const changes_t *changes,
                                 error_t *error)
{
    for (size_t s = 0; s < next->streams_count; s++) {
        const char *stream = next->streams[s].name;
        size_t count = 1;
        for (size_t i = 0; i < changes->objects_count; i++)
            count += strcmp (changes->objects[i].kind, KIND_KEY) == 0 &&
                     keyed_log_is_of (text_of (changes->objects[i].name), stream);
        if (count > KEYED_LOGS_MAX)
            return error_set (error, STATUS_INVALID,
                              "stream %s would have %zu keys, those that were used before counted; "
                              "it can have %d",
                              stream, count, KEYED_LOGS_MAX);
    }
    return STATUS_OK;
}

static void add_keys (const view_t *view, changes_t *changes)
{
    for (size_t i = 0; i < view->sources_count; i++) {
        const view_source_t *source = &view->sources[i];
        if (strcmp (source->log_name, source->stream->log_name) != 0 &&
            !has_key (changes, source->log_name))
            changes_add (changes, (catalog_object_t){ .kind = KIND_KEY,
                                                      .name = source->log_name,
                                                      .version = 1,
                                                      .text = "" });
    }
}

status_t changes_keys (coordinator_core_t *self, const definitions_t *next, changes_t *changes,
                       error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < next->views_count; i++)
        for (size_t s = 0; s < next->views[i].sources_count && status == STATUS_OK; s++)
            status = check_new_key (self, &next->views[i], &next->views[i].sources[s], error);
    for (size_t i = 0; i < self->objects_count && status == STATUS_OK; i++)
        if (strcmp (self->objects[i].kind, KIND_KEY) == 0)
            status = keep_key (self, next, &self->objects[i], changes, error);
    for (size_t i = 0; i < next->views_count && status == STATUS_OK; i++)
        add_keys (&next->views[i], changes);
    return status == STATUS_OK ? check_key_count (next, changes, error) : status;
}
