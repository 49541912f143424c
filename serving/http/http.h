/* http.h - HTTP on a serving node, as Feast's feature server speaks it: docs/http.md.
 *
 * One thread runs libmicrohttpd and a client of the C library in one loop: a request is parsed,
 * asked of this very serving node over its endpoint as any client would, and its connection
 * suspended until what came of it is an event. So the limits, deadlines and exactness of what is
 * answered are those of the protocol, and nothing is shared with the core's thread. */
#ifndef WEIR_HTTP_HTTP_H
#define WEIR_HTTP_HTTP_H

#include "base/env.h"
#include "base/status.h"
#include "feature/project.h"

typedef struct http http_t;

/* All is borrowed until http_stop. */
typedef struct http_options {
    env_t *env; /* whose clocks and log may be used by any thread */
    const project_t *project;
    const char *address;  /* "host:port", one of project->http.serving */
    const char *endpoint; /* of the serving node */
    const char *node;     /* its name */
} http_options_t;

/* Listens, and answers from then on. INVALID and IO, saying what to do, where certificate, tokens
 * or key are not as they should be or the address cannot be listened at. */
MUST_CHECK status_t http_start (const http_options_t *options, http_t **http, error_t *error);

/* Requests under way are answered with 503, and connections closed. Idempotent. */
void http_stop (http_t **self_p);

#endif
