#include "feature/stream_scope.h"

#include "base/check.h"

#include <xxhash.h>

/* Canonical texts are bounded by the reader's EXPR_TEXT_MAX, names by NAME_MAX_SIZE. */
enum { MEANING_MAX = 1 << 20 };

static type_t lookup_field (const void *arg, text_t name, uint32_t *column)
{
    const stream_t *stream = arg;
    int index = stream_field (stream, name);
    if (index < 0)
        return TYPE_NONE;
    *column = (uint32_t)index;
    return stream->fields[index].type;
}

void stream_scope_init (stream_scope_t *self, const stream_t *stream)
{
    CHECK (stream->fields_count <= FIELDS_MAX);
    self->stream = stream;
    for (size_t i = 0; i < stream->fields_count; i++)
        self->names[i] = stream->fields[i].name;
    self->scope = (expr_scope_t){
        .lookup = lookup_field,
        .arg = stream,
        .names = self->names,
        .names_count = stream->fields_count,
    };
}

static void put_field (const field_t *field, const char *name, buf_t *out)
{
    buf_put_text (out, text_of (name));
    buf_put_u8 (out, (uint8_t)field->type);
}

typedef struct columns_seen {
    size_t count;
    const field_t *fields[FIELDS_MAX];
    const stream_t *stream;
} columns_seen_t;

/* Keeps the fields sorted by their first names. */
static void see_column (void *arg, uint32_t column)
{
    columns_seen_t *seen = arg;
    const field_t *field = &seen->stream->fields[column];
    CHECK (seen->count < FIELDS_MAX);
    size_t at = seen->count++;
    while (at > 0 && strcmp (seen->fields[at - 1]->origin, field->origin) > 0) {
        seen->fields[at] = seen->fields[at - 1];
        at--;
    }
    seen->fields[at] = field;
}

static const char *origin_of (const void *arg, uint32_t column)
{
    const stream_t *stream = arg;
    return stream->fields[column].origin;
}

void stream_put_text (const stream_t *self, const expr_t *expr, buf_t *out)
{
    if (expr != NULL)
        expr_format_as (expr, origin_of, self, out);
    buf_put_u8 (out, 0);
}

void stream_put_meaning (const stream_t *self, const expr_t *expr, buf_t *out)
{
    if (expr == NULL) {
        buf_put_u8 (out, 0);
        return;
    }
    buf_put_u8 (out, 1);
    stream_put_text (self, expr, out);
    columns_seen_t seen = { .count = 0, .stream = self };
    expr_columns (expr, see_column, &seen);
    for (size_t i = 0; i < seen.count; i++) {
        put_field (seen.fields[i], seen.fields[i]->origin, out);
    }
    buf_put_u8 (out, 0);
}

static void put_key_and_time (const stream_t *stream, const uint32_t *key, size_t key_count,
                              buf_t *out)
{
    buf_put_varint (out, key_count);
    for (size_t i = 0; i < key_count; i++) {
        const field_t *field = &stream->fields[key[i]];
        put_field (field, field->origin, out);
    }
    put_field (&stream->fields[stream->time], stream->fields[stream->time].origin, out);
}

static void put_parsed (const stream_t *stream, const char *text, bool types, buf_t *out)
{
    stream_scope_t scope;
    expr_t *expr = NULL;
    size_t at;
    error_t error;
    stream_scope_init (&scope, stream);
    status_t status = expr_parse (text_of (text), &scope.scope, &expr, &at, &error);
    CHECK (status == STATUS_OK); /* it has been checked */
    if (types)
        stream_put_meaning (stream, expr, out);
    else
        stream_put_text (stream, expr, out);
    expr_destroy (&expr);
}

bool stream_same_meaning (const stream_t *a, const char *text_a, const stream_t *b,
                          const char *text_b, bool types)
{
    if (text_a == NULL || text_b == NULL)
        return text_a == text_b;
    buf_t x;
    buf_t y;
    buf_init (&x, MEANING_MAX);
    buf_init (&y, MEANING_MAX);
    put_parsed (a, text_a, types, &x);
    put_parsed (b, text_b, types, &y);
    bool same = x.size == y.size && memcmp (x.data, y.data, x.size) == 0;
    buf_release (&x);
    buf_release (&y);
    return same;
}

static uint64_t hash_of (buf_t *buf)
{
    CHECK (!buf->bad);
    uint64_t hash = XXH3_64bits (buf->data, buf->size);
    buf_release (buf);
    return hash;
}

uint64_t stream_fingerprint (const stream_t *self)
{
    buf_t buf;
    buf_init (&buf, MEANING_MAX);
    buf_put_string (&buf, "stream");
    buf_put_text (&buf, text_of (self->name));
    buf_put_varint (&buf, self->fields_count);
    for (size_t i = 0; i < self->fields_count; i++)
        put_field (&self->fields[i], self->fields[i].name, &buf);
    buf_put_varint (&buf, self->key_count);
    for (size_t i = 0; i < self->key_count; i++)
        put_field (&self->fields[self->key[i]], self->fields[self->key[i]].name, &buf);
    put_field (&self->fields[self->time], self->fields[self->time].name, &buf);
    return hash_of (&buf);
}

static uint64_t source_meaning (const view_t *view, const view_source_t *source)
{
    const stream_t *stream = source->stream;
    buf_t buf;
    buf_init (&buf, MEANING_MAX);
    buf_put_string (&buf, "view");
    buf_put_text (&buf, text_of (stream->name));
    put_key_and_time (stream, source->key, view->key_count, &buf);
    if (view->where != NULL)
        put_parsed (stream, view->where, true, &buf);
    else
        stream_put_meaning (stream, NULL, &buf);
    return hash_of (&buf);
}

void view_set_meaning (view_t *view)
{
    buf_t buf;
    buf_init (&buf, MEANING_MAX);
    buf_put_string (&buf, "union");
    for (size_t i = 0; i < view->sources_count; i++) {
        view->sources[i].meaning = source_meaning (view, &view->sources[i]);
        buf_put_u64 (&buf, view->sources[i].meaning);
    }
    uint64_t together = hash_of (&buf);
    view->meaning = view->sources_count == 1 ? view->sources[0].meaning : together;
}
