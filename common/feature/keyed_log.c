#include "feature/keyed_log.h"

#include "base/check.h"
#include "feature/stream_scope.h"

#include <xxhash.h>

enum { FINGERPRINT_MAX = 4096 };

static uint64_t fingerprint_of (const keyed_log_t *log)
{
    if (log->primary)
        return log->stream->fingerprint;
    buf_t buf;
    buf_init (&buf, FINGERPRINT_MAX);
    buf_put_string (&buf, "log");
    buf_put_u64 (&buf, log->stream->fingerprint);
    buf_put_text (&buf, text_of (log->name));
    CHECK (!buf.bad);
    uint64_t hash = XXH3_64bits (buf.data, buf.size);
    buf_release (&buf);
    return hash;
}

static bool same_key (const keyed_log_t *log)
{
    const stream_t *stream = log->stream;
    return log->key_count == stream->key_count &&
           (log->key_count == 0 ||
            memcmp (log->key, stream->key, log->key_count * sizeof *log->key) == 0);
}

bool keyed_log_make (const stream_t *stream, const uint32_t *key, size_t key_count,
                     keyed_log_t *log)
{
    CHECK (key_count <= KEY_FIELDS_MAX);
    *log = (keyed_log_t){ .stream = stream, .key_count = key_count };
    for (size_t i = 0; i < key_count; i++)
        log->key[i] = key[i];
    buf_t names;
    buf_init (&names, LOG_KEY_NAMES_MAX + 1);
    for (size_t i = 0; i < key_count; i++)
        buf_printf (&names, "%s%s", i > 0 ? "," : "", stream->fields[key[i]].name);
    if (key_count == 0)
        buf_put_u8 (&names, '_');
    bool good = !names.bad && names.size <= LOG_KEY_NAMES_MAX;
    if (good) {
        buf_t name;
        buf_init (&name, sizeof log->name);
        buf_printf (&name, "%s/%.*s", stream->name, (int)names.size, (const char *)names.data);
        CHECK (!name.bad && name.size < sizeof log->name);
        memcpy (log->name, name.data, name.size);
        buf_release (&name);
        log->primary = same_key (log);
        log->fingerprint = fingerprint_of (log);
    }
    buf_release (&names);
    return good;
}

/* The fields that the name says, "_" or "a,b". */
static bool read_fields (const stream_t *stream, text_t names, uint32_t *key, size_t *count)
{
    *count = 0;
    if (text_is (names, "_"))
        return true;
    while (*count < KEY_FIELDS_MAX) {
        const char *comma = names.size > 0 ? memchr (names.data, ',', names.size) : NULL;
        uint32_t size = comma ? (uint32_t)(comma - names.data) : names.size;
        int field = stream_field (stream, (text_t){ names.data, size });
        if (field < 0)
            return false;
        for (size_t i = 0; i < *count; i++)
            if (key[i] == (uint32_t)field)
                return false;
        key[(*count)++] = (uint32_t)field;
        if (!comma)
            return true;
        names = (text_t){ comma + 1, names.size - size - 1 };
    }
    return false;
}

bool keyed_log_find (const definitions_t *definitions, text_t name, keyed_log_t *log)
{
    const char *slash = name.size > 0 ? memchr (name.data, '/', name.size) : NULL;
    if (!slash)
        return false;
    uint32_t size = (uint32_t)(slash - name.data);
    const stream_t *stream = definitions_stream (definitions, (text_t){ name.data, size });
    uint32_t key[KEY_FIELDS_MAX];
    size_t count;
    if (!stream || !read_fields (stream, (text_t){ slash + 1, name.size - size - 1 }, key, &count))
        return false;
    return keyed_log_make (stream, key, count, log);
}

bool keyed_log_is_of (text_t name, const char *stream)
{
    size_t size = strlen (stream);
    return name.size > size && memcmp (name.data, stream, size) == 0 && name.data[size] == '/';
}

bool keyed_log_key (const keyed_log_t *self, const batch_t *batch, size_t row, buf_t *out)
{
    CHECK (row < batch->rows);
    size_t before = out->size;
    for (size_t i = 0; i < self->key_count; i++)
        if (!batch->column[self->key[i]].valid[row])
            return false;
    for (size_t i = 0; i < self->key_count; i++) {
        value_t value = column_get (&batch->column[self->key[i]], row);
        key_put (out, &value);
    }
    if (!out->bad)
        return true;
    CHECK (!self->primary); /* such a row was refused when it came */
    out->size = before;
    out->bad = false;
    return false;
}
