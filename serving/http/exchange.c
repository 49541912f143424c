#include "serving/http/exchange.h"
#include "serving/http/state.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "client/api/ask.h"

#include <stdio.h>
#include <string.h>

enum {
    DEFINITIONS_MS = 2000,       /* that they are waited for */
    DEFINITIONS_AGAIN_MS = 300,  /* between two questions for them … */
    DEFINITIONS_FIRST_MS = 1000, /* … and as long as there are none */
};

/* ---- an exchange ---- */

exchange_t *exchange_new (http_t *http, struct MHD_Connection *connection)
{
    exchange_t *self = mem_zero (1, sizeof *self);
    self->http = http;
    self->connection = connection;
    buf_init (&self->body, HTTP_BODY_MAX);
    buf_init (&self->answer, HTTP_ANSWER_MAX);
    self->next = http->exchanges;
    self->link = &http->exchanges;
    if (self->next)
        self->next->link = &self->next;
    http->exchanges = self;
    return self;
}

static void drop_body (exchange_t *self)
{
    CHECK (self->http->bodies >= self->body.size);
    self->http->bodies -= self->body.size;
    buf_release (&self->body);
}

void exchange_destroy (exchange_t **self_p)
{
    exchange_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    if (self->give_up)
        self->give_up (self);
    *self->link = self->next;
    if (self->next)
        self->next->link = self->link;
    drop_body (self);
    CHECK (self->http->answers >= self->answer_room);
    self->http->answers -= self->answer_room;
    buf_release (&self->answer);
    mem_free (self);
}

void exchange_answer (exchange_t *self, unsigned status, const char *type)
{
    CHECK (!self->answered);
    CHECK (!self->work);
    self->answered = true;
    self->waits = 0;
    self->status = status;
    self->type = type;
    self->answer_room = self->answer.capacity;
    self->http->answers += self->answer_room;
    drop_body (self);
    if (self->endpoint)
        self->http->counts.answers[self->endpoint - endpoint_at (0)][status / 100 % 6]++;
    else
        self->http->counts.elsewhere++;
    if (self->suspended)
        MHD_resume_connection (self->connection);
    self->suspended = false;
}

void exchange_trouble (exchange_t *self, const trouble_t *trouble)
{
    buf_release (&self->answer); /* what was begun may be large */
    trouble_write (trouble, &self->answer);
    if (trouble->kind == TROUBLE_BUSY || trouble->kind == TROUBLE_CHANGED)
        self->retry_s = trouble->retry_ms > 1000 ? (trouble->retry_ms + 999) / 1000 : 1;
    exchange_answer (self, trouble_status (trouble), "application/json");
}

void exchanges_end (http_t *self)
{
    trouble_t trouble;
    (void)trouble_set (&trouble, TROUBLE_BUSY, "the node is stopping");
    self->line = NULL;
    for (exchange_t *exchange = self->exchanges; exchange; exchange = exchange->next) {
        if (exchange->give_up)
            exchange->give_up (exchange);
        if (exchange->suspended)
            exchange_trouble (exchange, &trouble);
    }
}

/* ---- what handlers use ---- */

weir_t *http_weir (http_t *self)
{
    return self->weir;
}

int64_t http_now_ms (http_t *self)
{
    return self->options.env->boot_us (self->options.env) / TIME_MS;
}

const char *http_node (const http_t *self)
{
    return self->options.node;
}

bool http_has_tokens (const http_t *self)
{
    return self->tokens != NULL;
}

bool http_has_room (const http_t *self, size_t bytes)
{
    return bytes <= HTTP_ANSWER_SMALL ||
           (self->answers <= HTTP_ANSWERS_MAX && bytes <= HTTP_ANSWERS_MAX - self->answers);
}

struct pushes *http_pushes (http_t *self)
{
    return self->pushes;
}

/* ---- definitions ---- */

const model_t *http_model (const http_t *self)
{
    return self->model;
}

static void tell_problem (http_t *self, const char *problem)
{
    if (problem[0] != '\0' && strcmp (problem, self->definitions_problem) != 0)
        env_log (self->options.env, LOG_WARNING, "http: definitions: %s", problem);
    snprintf (self->definitions_problem, sizeof self->definitions_problem, "%s", problem);
}

static void take_model (http_t *self, const message_t *reply)
{
    model_t *model;
    error_t error;
    if (self->model && self->model->version == wire_uint (reply->body, "version", 0))
        return;
    if (model_from_message (reply->body, &model, &error) != STATUS_OK) {
        tell_problem (self, error.text);
        return;
    }
    model_unref (&self->model);
    self->model = model;
    tell_problem (self, "");
}

/* Whether they came or not: who waited goes on with what there is. */
static void defined (void *arg, const message_t *reply, const error_t *error)
{
    http_t *self = arg;
    self->asks = false;
    if (reply)
        take_model (self, reply);
    else
        tell_problem (self, error->text);
    for (exchange_t *exchange = self->exchanges; exchange; exchange = exchange->next) {
        if (exchange->waits == 0 || exchange->waits > self->asked)
            continue;
        exchange->waits = 0;
        exchange->endpoint->handle (exchange);
    }
}

int64_t definitions_step (http_t *self, int64_t now)
{
    int64_t due = INT64_MAX;
    if (self->asks)
        return due;
    if (self->wanted)
        due = self->asked_ms + DEFINITIONS_AGAIN_MS;
    else if (!self->model)
        due = self->asked_ms + DEFINITIONS_FIRST_MS;
    if (now < due)
        return due;
    self->asks = true;
    self->wanted = false;
    self->asked++;
    self->asked_ms = now;
    api_ask (self->weir, CLIENT_COORDINATOR, MESSAGE_DEFINITIONS, DEFINITIONS_MS, defined, self);
    return INT64_MAX;
}

/* What is under way may have been answered before this request came. */
bool http_refresh (exchange_t *self)
{
    if (self->refreshed)
        return false;
    self->refreshed = true;
    self->waits = self->http->asked + 1;
    self->http->wanted = true;
    return true;
}

/* ---- tags ---- */

/* 0 is none. */
uint64_t http_tag (exchange_t *self, size_t at, told_fn *told)
{
    for (size_t i = 0; i < HTTP_GETS_MAX; i++)
        if (!self->http->tags[i].exchange) {
            self->http->tags[i] = (tag_t){ self, at, told };
            self->http->tags_used++;
            return i + 1;
        }
    return 0;
}

void http_untag (http_t *self, uint64_t tag)
{
    CHECK (tag >= 1 && tag <= HTTP_GETS_MAX);
    self->tags[tag - 1].exchange = NULL;
    self->tags_used--;
}

void tags_told (http_t *self, const weir_event_t *event)
{
    CHECK (event->tag >= 1 && event->tag <= HTTP_GETS_MAX);
    tag_t tag = self->tags[event->tag - 1];
    http_untag (self, event->tag);
    if (tag.exchange)
        tag.told (tag.exchange, tag.at, event);
}

/* ---- the line ---- */

static exchange_t *leave_line (http_t *self)
{
    exchange_t *first = self->line;
    self->line = first->behind;
    first->behind = NULL;
    return first;
}

void http_line_up (exchange_t *self, size_t gets)
{
    http_t *http = self->http;
    self->gets_wanted = gets;
    self->in_line_until_ms = http_now_ms (http) + HTTP_LINE_MS;
    if (http->line)
        http->line_last->behind = self;
    else
        http->line = self;
    http->line_last = self;
    if (http->line == self)
        (void)line_step (http, 0);
}

int64_t line_step (http_t *self, int64_t now_ms)
{
    trouble_t trouble;
    (void)trouble_set (&trouble, TROUBLE_BUSY, "%d queries are under way, and others before this",
                       HTTP_GETS_MAX);
    while (self->line && HTTP_GETS_MAX - self->tags_used >= self->line->gets_wanted)
        features_ask (leave_line (self));
    while (self->line && now_ms >= self->line->in_line_until_ms) {
        exchange_t *late = leave_line (self);
        late->give_up (late);
        exchange_trouble (late, &trouble);
    }
    return self->line ? self->line->in_line_until_ms : INT64_MAX;
}

/* ---- metrics ---- */

static void put_count (const http_t *self, const char *name, const char *type, uint64_t count,
                       buf_t *out)
{
    buf_printf (out, "# TYPE weir_http_%s %s\nweir_http_%s{node=\"%s\"} %llu\n", name, type, name,
                self->options.node, (unsigned long long)count);
}

static size_t suspended_count (const http_t *self)
{
    size_t count = 0;
    for (const exchange_t *exchange = self->exchanges; exchange; exchange = exchange->next)
        count += exchange->suspended;
    return count;
}

void http_write_metrics (const http_t *self, buf_t *out)
{
    buf_put_string (out, "# TYPE weir_http_requests_total counter\n");
    for (size_t i = 0; i < ENDPOINTS; i++)
        for (unsigned k = 0; k < 6; k++)
            if (self->counts.answers[i][k] > 0)
                buf_printf (out,
                            "weir_http_requests_total{node=\"%s\",endpoint=\"%s\",status=\"%uxx\"} "
                            "%llu\n",
                            self->options.node, endpoint_at (i)->name, k,
                            (unsigned long long)self->counts.answers[i][k]);
    put_count (self, "requests_elsewhere_total", "counter", self->counts.elsewhere, out);
    put_count (self, "unknown_tokens_total", "counter", self->counts.unknown_tokens, out);
    put_count (self, "connections_cut_total", "counter", self->counts.cut, out);
    put_count (self, "under_way", "gauge", suspended_count (self), out);
    put_count (self, "pushes", "gauge", pushes_count (self->pushes), out);
    put_count (self, "connections", "gauge", self->connections_count, out);
    put_count (self, "bodies_bytes", "gauge", self->bodies, out);
    put_count (self, "answers_bytes", "gauge", self->answers, out);
}
