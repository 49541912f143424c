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
