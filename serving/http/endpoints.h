/* endpoints.h - the one table of what HTTP answers: what dispatches requests and writes
 * /openapi.json. */
#ifndef WEIR_HTTP_ENDPOINTS_H
#define WEIR_HTTP_ENDPOINTS_H

#include "serving/http/exchange.h"
#include "serving/http/form.h"
#include "wire/roles.h"

/* name, method, path, is it for everybody?, otherwise for whom, fields of the body or NULL and how
 * many, what it does */
#define ENDPOINT_TABLE(X)                                                                          \
    X (features, "POST", "/get-online-features", false, ACCESS_READERS, question_fields,           \
       question_fields_count, "Features of entities, as Feast's feature server gives them.")       \
    X (push, "POST", "/push", false, ACCESS_PRODUCERS, push_fields, push_fields_count,             \
       "Events of a stream, which are durable and in every answer when this is answered with "     \
       "200.")                                                                                     \
    X (health, "GET", "/health", true, ACCESS_ANYONE, NULL, 0,                                     \
       "200 when the node answers, otherwise 503.")                                                \
    X (metrics, "GET", "/metrics", false, ACCESS_READERS, NULL, 0,                                 \
       "What the node counts, for Prometheus.")                                                    \
    X (openapi, "GET", "/openapi.json", true, ACCESS_ANYONE, NULL, 0, "This description.")

typedef struct endpoint {
    const char *name;
    const char *method;
    const char *path;
    bool is_public;
    access_t access;
    const form_field_t *fields;
    size_t fields_count;
    const char *about;
    void (*handle) (exchange_t *exchange); /* its body is all there */
} endpoint_t;

enum {
#define X(name, method, path, is_public, access, fields, count, about) ENDPOINT_##name,
    ENDPOINT_TABLE (X)
#undef X
        ENDPOINTS
};

/* NULL when there is none of that number, below ENDPOINTS. */
const endpoint_t *endpoint_at (size_t at);

/* That of a path and a method (HEAD is GET); NULL otherwise. `*allowed` are the methods that the
 * path takes, as the header Allow has them; NULL when there is no such path. */
const endpoint_t *endpoint_find (const char *path, const char *method, const char **allowed);

/* Appends the description of all of them: OpenAPI 3. */
void endpoints_describe (bool with_tokens, buf_t *out);

/* The handlers. */
#define X(name, method, path, is_public, access, fields, count, about)                             \
    void handle_##name (exchange_t *exchange);
ENDPOINT_TABLE (X)
#undef X

#endif
