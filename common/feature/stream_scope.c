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

typedef struct columns_seen {
    size_t count;
    const field_t *fields[FIELDS_MAX];
    const stream_t *stream;
} columns_seen_t;

/* Keeps the fields sorted by name. */
static void see_column (void *arg, uint32_t column)
{
    columns_seen_t *seen = arg;
    const field_t *field = &seen->stream->fields[column];
    CHECK (seen->count < FIELDS_MAX);
    size_t at = seen->count++;
    while (at > 0 && strcmp (seen->fields[at - 1]->name, field->name) > 0) {
        seen->fields[at] = seen->fields[at - 1];
        at--;
    }
    seen->fields[at] = field;
}

void stream_put_meaning (const stream_t *self, const expr_t *expr, buf_t *out)
{
    if (expr == NULL) {
        buf_put_u8 (out, 0);
        return;
    }
    buf_put_u8 (out, 1);
    expr_format (expr, out);
    buf_put_u8 (out, 0);
    columns_seen_t seen = { .count = 0, .stream = self };
    expr_columns (expr, see_column, &seen);
    for (size_t i = 0; i < seen.count; i++) {
        buf_put_text (out, text_of (seen.fields[i]->name));
        buf_put_u8 (out, (uint8_t)seen.fields[i]->type);
    }
    buf_put_u8 (out, 0);
}

static void put_field (const field_t *field, buf_t *out)
{
    buf_put_text (out, text_of (field->name));
    buf_put_u8 (out, (uint8_t)field->type);
}

static void put_key_and_time (const stream_t *stream, buf_t *out)
{
    buf_put_varint (out, stream->key_count);
    for (size_t i = 0; i < stream->key_count; i++)
        put_field (&stream->fields[stream->key[i]], out);
    put_field (&stream->fields[stream->time], out);
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
        put_field (&self->fields[i], &buf);
    put_key_and_time (self, &buf);
    return hash_of (&buf);
}

uint64_t view_meaning (const stream_t *stream, const expr_t *where)
{
    buf_t buf;
    buf_init (&buf, MEANING_MAX);
    buf_put_string (&buf, "view");
    buf_put_text (&buf, text_of (stream->name));
    put_key_and_time (stream, &buf);
    stream_put_meaning (stream, where, &buf);
    return hash_of (&buf);
}
