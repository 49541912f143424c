#include "serving/http/endpoints.h"

#include "base/check.h"
#include "base/number.h"
#include "base/version.h"
#include "serving/http/push.h"
#include "serving/http/question.h"

#include <string.h>

/* Counts of fields are constants of other files, which no initialiser may be made of. */
static const endpoint_t endpoints[] = {
#define X(name, method, path, is_public, access, fields, count, about)                             \
    { #name, method, path, is_public, access, fields, 0, about, handle_##name },
    ENDPOINT_TABLE (X)
#undef X
};

static size_t fields_of (size_t at)
{
    const size_t counts[] = {
#define X(name, method, path, is_public, access, fields, count, about) count,
        ENDPOINT_TABLE (X)
#undef X
    };
    return counts[at];
}

const endpoint_t *endpoint_at (size_t at)
{
    return at < ENDPOINTS ? &endpoints[at] : NULL;
}

const endpoint_t *endpoint_find (const char *path, const char *method, const char **allowed)
{
    *allowed = NULL;
    for (size_t i = 0; i < ENDPOINTS; i++) {
        if (strcmp (path, endpoints[i].path) != 0)
            continue;
        bool is_get = strcmp (endpoints[i].method, "GET") == 0;
        *allowed = is_get ? "GET, HEAD" : endpoints[i].method;
        bool same = strcmp (method, endpoints[i].method) == 0;
        return same || (is_get && strcmp (method, "HEAD") == 0) ? &endpoints[i] : NULL;
    }
    return NULL;
}

/* ---- OpenAPI ---- */

static void put_text (buf_t *out, const char *name, const char *text)
{
    buf_printf (out, "\"%s\":", name);
    number_format_json_string (out, text_of (text));
}

static void describe_body (size_t at, buf_t *out)
{
    const endpoint_t *self = &endpoints[at];
    size_t count = fields_of (at), required = 0;
    buf_put_string (out, "\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{"
                         "\"schema\":{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < count; i++) {
        const char *schema = form_schema (self->fields[i].type);
        size_t size = strlen (schema) - 1; /* its last brace comes after the description */
        buf_printf (out, "%s\"%s\":%.*s,", i > 0 ? "," : "", self->fields[i].name, (int)size,
                    schema);
        put_text (out, "description", self->fields[i].about);
        buf_put_u8 (out, '}');
    }
    buf_put_string (out, "},\"required\":[");
    for (size_t i = 0; i < count; i++)
        if (self->fields[i].required)
            buf_printf (out, "%s\"%s\"", required++ > 0 ? "," : "", self->fields[i].name);
    buf_put_string (out, "]}}}},");
}

static void describe (size_t at, bool with_tokens, buf_t *out)
{
    const endpoint_t *self = &endpoints[at];
    buf_printf (out, "%s\"%s\":{\"%s\":{", at > 0 ? "," : "", self->path,
                strcmp (self->method, "POST") == 0 ? "post" : "get");
    put_text (out, "operationId", self->name);
    buf_put_u8 (out, ',');
    put_text (out, "summary", self->about);
    buf_put_u8 (out, ',');
    if (with_tokens && !self->is_public) {
        buf_put_string (out, "\"security\":[{\"bearer\":[]}],");
        put_text (out, "description", access_words (self->access));
        buf_put_u8 (out, ',');
    }
    if (self->fields)
        describe_body (at, out);
    buf_put_string (out, "\"responses\":{\"200\":{\"description\":\"It went well.\"},"
                         "\"default\":{\"description\":\"What is wrong: docs/http.md\"}}}}");
}

void endpoints_describe (bool with_tokens, buf_t *out)
{
    buf_printf (out,
                "{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"weir\",\"version\":\"%s\"},"
                "\"paths\":{",
                WEIR_VERSION);
    for (size_t i = 0; i < ENDPOINTS; i++)
        describe (i, with_tokens, out);
    buf_put_u8 (out, '}');
    if (with_tokens)
        buf_put_string (out, ",\"components\":{\"securitySchemes\":{\"bearer\":{\"type\":"
                             "\"http\",\"scheme\":\"bearer\"}}}");
    buf_put_u8 (out, '}');
}
