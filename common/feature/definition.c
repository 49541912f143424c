/* definition.c - what can be asked of definitions that have been read. */
#include "feature/definition.h"

#include "base/check.h"
#include "base/mem.h"

void definitions_destroy (definitions_t **self_p)
{
    definitions_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    for (size_t i = 0; i < self->streams_count; i++) {
        for (size_t f = 0; f < self->streams[i].fields_count; f++) {
            zone_destroy (&self->streams[i].fields[f].zone);
            expr_destroy (&self->streams[i].fields[f].computed);
        }
    }
    for (size_t i = 0; i < self->views_count; i++) {
        for (size_t f = 0; f < self->views[i].request_count; f++)
            zone_destroy (&self->views[i].request[f].zone);
    }
    for (size_t i = 0; i < self->services_count; i++) {
        for (size_t f = 0; f < self->services[i].request_count; f++)
            zone_destroy (&self->services[i].request[f].zone);
    }
    arena_t *arena = self->arena; /* holds the definitions themselves */
    arena_destroy (&arena);
}

const stream_t *definitions_stream (const definitions_t *self, text_t name)
{
    for (size_t i = 0; i < self->streams_count; i++) {
        if (text_is (name, self->streams[i].name))
            return &self->streams[i];
    }
    return NULL;
}

/* Is `a` rather what a name stands for? */
static bool is_rather (version_state_t a_state, uint32_t a, version_state_t b_state, uint32_t b)
{
    bool a_active = a_state == VERSION_ACTIVE;
    return a_active != (b_state == VERSION_ACTIVE) ? a_active : a > b;
}

const view_t *definitions_view (const definitions_t *self, text_t name)
{
    const view_t *found = NULL;
    for (size_t i = 0; i < self->views_count; i++) {
        const view_t *view = &self->views[i];
        if (text_is (name, view->name) &&
            (found == NULL || is_rather (view->state, view->version, found->state, found->version)))
            found = view;
    }
    return found;
}

const service_t *definitions_service (const definitions_t *self, text_t name)
{
    const service_t *found = NULL;
    for (size_t i = 0; i < self->services_count; i++) {
        const service_t *service = &self->services[i];
        if (text_is (name, service->name) &&
            (found == NULL ||
             is_rather (service->state, service->version, found->state, found->version)))
            found = service;
    }
    return found;
}

const view_t *definitions_view_version (const definitions_t *self, text_t name, uint32_t version)
{
    const view_t *found = NULL;
    for (size_t i = 0; i < self->views_count; i++) {
        const view_t *view = &self->views[i];
        if (!text_is (name, view->name))
            continue;
        if (version != 0 ? view->version == version
                         : found == NULL || view->version > found->version)
            found = view;
    }
    return found;
}

const service_t *definitions_service_version (const definitions_t *self, text_t name,
                                              uint32_t version)
{
    const service_t *found = NULL;
    for (size_t i = 0; i < self->services_count; i++) {
        const service_t *service = &self->services[i];
        if (!text_is (name, service->name))
            continue;
        if (version != 0 ? service->version == version
                         : found == NULL || service->version > found->version)
            found = service;
    }
    return found;
}

void definitions_put_versions (const definitions_t *self, text_t name, buf_t *out)
{
    const char *between = "";
    for (size_t i = 0; i < self->views_count; i++)
        if (text_is (name, self->views[i].name)) {
            buf_printf (out, "%sv%u", between, self->views[i].version);
            between = ", ";
        }
    for (size_t i = 0; i < self->services_count; i++)
        if (text_is (name, self->services[i].name)) {
            buf_printf (out, "%sv%u", between, self->services[i].version);
            between = ", ";
        }
}

static status_t not_found (const definitions_t *self, text_t name, uint32_t version, error_t *error)
{
    const view_t *view = definitions_view (self, name);
    if (view != NULL || definitions_service (self, name) != NULL) {
        buf_t versions;
        buf_init (&versions, 1 << 14);
        definitions_put_versions (self, name, &versions);
        status_t status =
            error_set (error, STATUS_NOT_FOUND,
                       "%s '" TEXT_FORMAT "' has version %s, not v%u; `weir versions " TEXT_FORMAT
                       "` tells of those that are retired",
                       view != NULL ? "view" : "service", TEXT_ARGS (name), buf_string (&versions),
                       version, TEXT_ARGS (name));
        buf_release (&versions);
        return status;
    }
    const char *nearest = definitions_nearest_answer (self, name);
    return error_set (error, STATUS_NOT_FOUND,
                      "there is no view or service '" TEXT_FORMAT "'%s%s%s", TEXT_ARGS (name),
                      nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                      nearest != NULL ? "'?" : "");
}

status_t definitions_find (const definitions_t *self, text_t name, uint32_t version,
                           const view_t **view, const service_t **service, error_t *error)
{
    *view = version != 0 ? definitions_view_version (self, name, version)
                         : definitions_view (self, name);
    *service = *view != NULL  ? NULL
               : version != 0 ? definitions_service_version (self, name, version)
                              : definitions_service (self, name);
    if (*view == NULL && *service == NULL)
        return not_found (self, name, version, error);
    bool builds =
        *view != NULL ? (*view)->state == VERSION_BUILDING : (*service)->state == VERSION_BUILDING;
    uint32_t found = *view != NULL ? (*view)->version : (*service)->version;
    if (builds)
        return error_set (error, STATUS_UNAVAILABLE,
                          TEXT_FORMAT "@v%u is still being built; `weir versions " TEXT_FORMAT
                                      "` says how far it is",
                          TEXT_ARGS (name), found, TEXT_ARGS (name));
    return STATUS_OK;
}

/* The name as a string in `word` (NAME_MAX_SIZE + 1 bytes); false when it is too long to be one. */
static bool name_word (text_t name, char *word)
{
    if (name.size > NAME_MAX_SIZE)
        return false;
    if (name.size > 0)
        memcpy (word, name.data, name.size);
    word[name.size] = '\0';
    return true;
}

const char *definitions_nearest_view (const definitions_t *self, text_t name)
{
    char word[NAME_MAX_SIZE + 1];
    const char *names[VIEWS_MAX];
    if (!name_word (name, word))
        return NULL;
    for (size_t i = 0; i < self->views_count; i++)
        names[i] = self->views[i].name;
    return text_nearest (word, names, self->views_count);
}

const char *definitions_nearest_stream (const definitions_t *self, text_t name)
{
    char word[NAME_MAX_SIZE + 1];
    const char *names[STREAMS_MAX];
    if (!name_word (name, word))
        return NULL;
    for (size_t i = 0; i < self->streams_count; i++)
        names[i] = self->streams[i].name;
    return text_nearest (word, names, self->streams_count);
}

status_t definitions_no_stream (const definitions_t *self, text_t name, error_t *error)
{
    const char *nearest = definitions_nearest_stream (self, name);
    if (self->streams_count == 0)
        return error_set (error, STATUS_NOT_FOUND,
                          "there are no streams yet: `weir apply` registers those of the project");
    return error_set (error, STATUS_NOT_FOUND, "there is no stream '" TEXT_FORMAT "'%s%s%s",
                      TEXT_ARGS (name), nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

const char *definitions_nearest_answer (const definitions_t *self, text_t name)
{
    char word[NAME_MAX_SIZE + 1];
    const char *names[VIEWS_MAX + SERVICES_MAX];
    size_t count = 0;
    if (!name_word (name, word))
        return NULL;
    for (size_t i = 0; i < self->views_count; i++)
        names[count++] = self->views[i].name;
    for (size_t i = 0; i < self->services_count; i++)
        names[count++] = self->services[i].name;
    return text_nearest (word, names, count);
}

view_t view_over (const view_t *self, size_t source)
{
    CHECK (source < self->sources_count);
    view_t view = *self;
    view.sources = &self->sources[source];
    view.sources_count = 1;
    view.stream = view.sources->stream;
    memcpy (view.key, view.sources->key, sizeof view.key);
    view.log_name = view.sources->log_name;
    view.meaning = view.sources->meaning;
    return view;
}

int view_source_of (const view_t *self, const char *stream)
{
    for (size_t i = 0; i < self->sources_count; i++) {
        if (strcmp (self->sources[i].stream->name, stream) == 0)
            return (int)i;
    }
    return -1;
}

void view_format_sources (const view_t *self, buf_t *out)
{
    for (size_t i = 0; i < self->sources_count; i++)
        buf_printf (out, "%s%s", i > 0 ? ", " : "", self->sources[i].stream->name);
}

const field_t *view_key_field (const view_t *self, size_t k)
{
    CHECK (k < self->key_count);
    return &self->stream->fields[self->key[k]];
}

int view_request_field (const view_t *self, text_t name)
{
    for (size_t i = 0; i < self->request_count; i++) {
        if (text_is (name, self->request[i].name))
            return (int)i;
    }
    return -1;
}

int view_feature (const view_t *self, text_t name)
{
    for (size_t i = 0; i < self->features_count + self->derived_count; i++) {
        if (text_is (name, view_feature_name (self, i)))
            return (int)i;
    }
    return -1;
}

result_type_t view_feature_type (const view_t *self, size_t feature)
{
    if (feature < self->features_count)
        return self->features[feature].type;
    return result_type_single (self->derived[feature - self->features_count].type);
}

const char *view_feature_name (const view_t *self, size_t feature)
{
    CHECK (feature < self->features_count + self->derived_count);
    return feature < self->features_count ? self->features[feature].name
                                          : self->derived[feature - self->features_count].name;
}

int service_role (const service_t *self, text_t name)
{
    for (size_t i = 0; i < self->roles_count; i++) {
        if (text_is (name, self->roles[i].name))
            return (int)i;
    }
    return -1;
}

static int field_named (const field_t *fields, size_t count, text_t name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_is (name, fields[i].name))
            return (int)i;
    }
    return -1;
}

int service_key_field (const service_t *self, text_t name)
{
    return field_named (self->keys, self->keys_count, name);
}

int service_request_field (const service_t *self, text_t name)
{
    return field_named (self->request, self->request_count, name);
}

bool service_reads (const service_t *self, const char *view, uint32_t version)
{
    for (size_t i = 0; i < self->roles_count; i++) {
        const view_t *read = self->roles[i].view;
        if (strcmp (read->name, view) == 0 && (version == 0 || read->version == version))
            return true;
    }
    return false;
}

int stream_field (const stream_t *self, text_t name)
{
    for (size_t i = 0; i < self->fields_count; i++) {
        if (text_is (name, self->fields[i].name))
            return (int)i;
    }
    return -1;
}

bool field_is_called (const field_t *self, text_t column)
{
    if (self->expr != NULL)
        return false;
    if (text_is (column, self->column))
        return true;
    for (size_t i = 0; i < self->aliases_count; i++)
        if (text_is (column, self->aliases[i]))
            return true;
    return false;
}

bool stream_same_key (const stream_t *a, const stream_t *b)
{
    if (strcmp (a->log_name, b->log_name) != 0)
        return false;
    for (size_t i = 0; i < a->key_count; i++)
        if (a->fields[a->key[i]].type != b->fields[b->key[i]].type)
            return false;
    return true;
}

bool stream_key (const stream_t *self, const batch_t *batch, size_t row, buf_t *out)
{
    CHECK (batch->columns == self->fields_count);
    CHECK (row < batch->rows);
    for (size_t i = 0; i < self->key_count; i++) {
        if (!batch->column[self->key[i]].valid[row])
            return false;
    }
    for (size_t i = 0; i < self->key_count; i++) {
        value_t value = column_get (&batch->column[self->key[i]], row);
        key_put (out, &value);
    }
    return true;
}
