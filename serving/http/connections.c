/* connections.c - what libmicrohttpd calls: connections come and go, requests come in pieces. */
#include "serving/http/state.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* ---- connections ---- */

static connection_t *connection_of (struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info (connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void set_deadline (http_t *self, struct MHD_Connection *connection, int64_t in_ms)
{
    connection_t *own = connection_of (connection);
    if (own)
        own->deadline_ms = in_ms < 0 ? INT64_MAX : http_now_ms (self) + in_ms;
}

void http_on_connection (void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_ConnectionNotificationCode code)
{
    http_t *self = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        connection_t *own = mem_zero (1, sizeof *own);
        own->fd = info ? info->connect_fd : -1;
        own->deadline_ms = http_now_ms (self) + HTTP_FIRST_MS;
        own->next = self->connections;
        own->link = &self->connections;
        if (own->next)
            own->next->link = &own->next;
        self->connections = own;
        self->connections_count++;
        *context = own;
        return;
    }
    connection_t *own = *context;
    *context = NULL;
    if (!own)
        return;
    *own->link = own->next;
    if (own->next)
        own->next->link = own->link;
    self->connections_count--;
    mem_free (own);
}

/* libmicrohttpd counts the time since the last byte: who sends one now and then would stay for
 * ever. It sees a connection that is shut down as one that its client has closed. */
void connections_sweep (http_t *self, int64_t now_ms)
{
    for (connection_t *own = self->connections; own; own = own->next) {
        if (own->cut || now_ms < own->deadline_ms)
            continue;
        own->cut = true;
        self->counts.cut++;
        (void)shutdown (own->fd, SHUT_RDWR);
    }
}

/* ---- answers ---- */

static void free_bytes (void *bytes)
{
    mem_free (bytes);
}

static struct MHD_Response *response_of (exchange_t *self)
{
    buf_t *answer = &self->answer;
    if (answer->size == 0)
        return MHD_create_response_from_buffer (0, NULL, MHD_RESPMEM_PERSISTENT);
    uint8_t *bytes = answer->data;
    size_t size = answer->size;
    *answer = (buf_t){ .data = NULL };
    buf_init (answer, HTTP_ANSWER_MAX);
    return MHD_create_response_from_buffer_with_free_callback (size, bytes, free_bytes);
}

static enum MHD_Result queue (exchange_t *self)
{
    struct MHD_Response *response = response_of (self);
    if (!response)
        return MHD_NO;
    if (self->type)
        (void)MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, self->type);
    if (self->retry_s > 0) {
        char seconds[16];
        snprintf (seconds, sizeof seconds, "%u", self->retry_s);
        (void)MHD_add_response_header (response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (self->status == 401)
        (void)MHD_add_response_header (response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (self->closes)
        (void)MHD_add_response_header (response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (self->status == 405)
        (void)MHD_add_response_header (response, MHD_HTTP_HEADER_ALLOW, self->allowed);
    enum MHD_Result queued = MHD_queue_response (self->connection, self->status, response);
    MHD_destroy_response (response);
    set_deadline (self->http, self->connection, HTTP_ANSWER_MS);
    return queued;
}

static void detail (exchange_t *self, unsigned status, const char *text)
{
    buf_printf (&self->answer, "{\"detail\":\"%s\"}", text);
    exchange_answer (self, status, "application/json");
}

/* ---- where a request ends ---- */

/* What its headers say of that. */
typedef struct framing {
    size_t said; /* so often */
    bool chunked;
    bool wrong;
} framing_t;

static enum MHD_Result look_at_header (void *cls, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
    framing_t *self = cls;
    bool chunked = strcasecmp (name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
    (void)kind;
    self->said += chunked || strcasecmp (name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    self->chunked = self->chunked || chunked;
    self->wrong = self->wrong || (chunked && strcasecmp (value, "chunked") != 0) ||
                  name[strcspn (name, " \t")] != '\0';
    return MHD_YES;
}

/* A proxy in front might see the request end elsewhere, and take the rest for another one, which
 * it has not looked at (RFC 9112, 6.3, 11.2). libmicrohttpd goes by one of the headers. */
static bool ends_somewhere (struct MHD_Connection *connection, const char *version)
{
    framing_t framing = { .said = 0 };
    (void)MHD_get_connection_values (connection, MHD_HEADER_KIND, look_at_header, &framing);
    return !framing.wrong && framing.said <= 1 &&
           !(framing.chunked && strcmp (version, MHD_HTTP_VERSION_1_0) == 0);
}

/* ---- requests ---- */

static const char *header_of (struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value (connection, MHD_HEADER_KIND, name);
}

/* Who may not is answered when the body is over, which is not kept: a connection that is closed
 * with bytes unread may take the answer along. */
static void check_token (exchange_t *self)
{
    const http_t *http = self->http;
    if (!http->tokens || self->endpoint->is_public)
        return;
    peer_role_t role =
        tokens_role (http->tokens, header_of (self->connection, MHD_HTTP_HEADER_AUTHORIZATION));
    if (role == ROLE_NONE) {
        self->http->counts.unknown_tokens++;
        detail (self, 401, "Invalid or expired access token.");
    } else if (!access_allows (self->endpoint->access, role)) {
        trouble_t trouble;
        (void)trouble_set (
            &trouble, TROUBLE_PERMISSION, "a token of the role %s may not do %s: it takes %s",
            peer_role_word (role), self->endpoint->path, access_words (self->endpoint->access));
        exchange_trouble (self, &trouble);
    }
}

static void check_body (exchange_t *self)
{
    const char *coding = header_of (self->connection, MHD_HTTP_HEADER_CONTENT_ENCODING);
    if (coding && strcasecmp (coding, "identity") != 0)
        detail (self, 415, "Bodies are not compressed.");
}

/* All but the body is there. */
static enum MHD_Result begin (http_t *http, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, void **request)
{
    exchange_t *self = exchange_new (http, connection);
    *request = self;
    set_deadline (http, connection, HTTP_BODY_MS);
    if (!ends_somewhere (connection, version)) {
        self->closes = true;
        detail (self, 400, "Where the request ends is not certain.");
        return queue (self);
    }
    self->endpoint = endpoint_find (url, method, &self->allowed);
    if (!self->endpoint)
        detail (self, self->allowed ? 405 : 404,
                self->allowed ? "Method Not Allowed" : "Not Found");
    if (!self->answered)
        check_token (self);
    if (!self->answered)
        check_body (self);
    const char *length = header_of (connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    unsigned long long size = length ? strtoull (length, NULL, 10) : 0;
    if (size > HTTP_BODY_MAX && !self->answered)
        detail (self, 413, "The body is over 4 MiB.");
    return size > HTTP_UNREAD_MAX ? queue (self) : MHD_YES;
}

static void take_body (exchange_t *self, const char *data, size_t size)
{
    http_t *http = self->http;
    if (self->answered)
        return;
    if (size > HTTP_BODIES_MAX - http->bodies) {
        trouble_t trouble;
        (void)trouble_set (&trouble, TROUBLE_BUSY, "requests that are coming in take %d MiB",
                           HTTP_BODIES_MAX >> 20);
        exchange_trouble (self, &trouble);
        return;
    }
    if (size > HTTP_BODY_MAX - self->body.size) {
        detail (self, 413, "The body is over 4 MiB.");
        return;
    }
    buf_put (&self->body, data, size);
    http->bodies += size;
}

enum MHD_Result http_on_request (void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **request)
{
    http_t *http = cls;
    exchange_t *self = *request;
    if (!self)
        return begin (http, connection, url, method, version, request);
    if (*size > 0) {
        take_body (self, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (!self->answered)
        self->endpoint->handle (self);
    if (self->answered)
        return queue (self);
    set_deadline (http, connection, -1); /* what it asks has deadlines of its own */
    self->suspended = true;
    MHD_suspend_connection (connection);
    return MHD_YES;
}

void http_on_completed (void *cls, struct MHD_Connection *connection, void **request,
                        enum MHD_RequestTerminationCode code)
{
    exchange_t *self = *request;
    (void)code;
    *request = NULL;
    exchange_destroy (&self);
    set_deadline (cls, connection, HTTP_IDLE_MS);
}
