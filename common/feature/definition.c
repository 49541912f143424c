/* definition.c - what can be asked of definitions that have been read. */
#include "feature/definition.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"

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

const view_t *definitions_view (const definitions_t *self, text_t name)
{
    for (size_t i = 0; i < self->views_count; i++) {
        if (text_is (name, self->views[i].name))
            return &self->views[i];
    }
    return NULL;
}

const service_t *definitions_service (const definitions_t *self, text_t name)
{
    for (size_t i = 0; i < self->services_count; i++) {
        if (text_is (name, self->services[i].name))
            return &self->services[i];
    }
    return NULL;
}

void definitions_set_version (definitions_t *self, const char *kind, text_t name, uint32_t version)
{
    for (size_t i = 0; i < self->views_count && strcmp (kind, "view") == 0; i++) {
        if (text_is (name, self->views[i].name))
            self->views[i].version = version;
    }
    for (size_t i = 0; i < self->services_count && strcmp (kind, "service") == 0; i++) {
        if (text_is (name, self->services[i].name))
            self->services[i].version = version;
    }
}

bool version_reference (text_t reference, text_t *name, uint32_t *version)
{
    const char *at = reference.size > 0 ? memchr (reference.data, '@', reference.size) : NULL;
    int64_t value = 0;
    *name = reference;
    *version = 0;
    if (at == NULL)
        return true;
    name->size = (uint32_t)(at - reference.data);
    if (reference.size < name->size + 3 || at[1] != 'v')
        return false;
    text_t number = { .data = at + 2, .size = reference.size - name->size - 2 };
    if (!number_parse_int (number, &value) || value < 1 || value > INT32_MAX)
        return false;
    *version = (uint32_t)value;
    return true;
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

bool service_reads (const service_t *self, const char *view)
{
    for (size_t i = 0; i < self->roles_count; i++) {
        if (strcmp (self->roles[i].view->name, view) == 0)
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
