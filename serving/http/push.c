/* push.c - pushes under way. A stream with its columns has one sender, and so one producer, for all
 * pushes to it: owners remember producers for days. Rows of two pushes are never in one batch, so
 * that a batch's refusals are one push's. */
#include "serving/http/push.h"
#include "serving/http/endpoints.h"
#include "serving/http/limits.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>

enum { NEVER_MS = 1 << 28, CELLS_MAX = 1 << 20 /* of a batch, as the protocol has it */ };

typedef struct refusal {
    uint64_t row;
    char *reason;
} refusal_t;

typedef struct push push_t;
struct push {
    exchange_t *exchange; /* NULL: nobody waits for it any more */
    push_rows_t *rows;    /* NULL: all are with the sender */
    size_t count;         /* rows */
    size_t given;         /* of these: to the sender */
    bool sent;            /* and their last batch has gone */
    uint64_t first_row;   /* as the sender numbers them */
    uint64_t acknowledged;
    uint64_t accepted;
    uint64_t refused;
    refusal_t refusals[WEIR_REFUSED_LISTED];
    size_t refusals_count;
    int64_t deadline_ms;
    push_t *next;
};

typedef struct feed {
    char *stream; /* NULL: none */
    arena_t *names;
    const char **columns;
    size_t columns_count;
    weir_sender_t *sender;
    uint64_t rows; /* given to it */
    push_t *first; /* in the order in which they came */
    push_t *last;
    int64_t used_ms;
} feed_t;

struct pushes {
    feed_t feeds[HTTP_SENDERS_MAX];
    size_t under_way;
};

pushes_t *pushes_new (void)
{
    return mem_zero (1, sizeof (pushes_t));
}

/* ---- ends ---- */

static void unmake (pushes_t *self, push_t *push)
{
    push_rows_destroy (&push->rows);
    for (size_t i = 0; i < push->refusals_count; i++)
        mem_free (push->refusals[i].reason);
    self->under_way--;
    mem_free (push);
}

static void take_out (pushes_t *self, feed_t *feed, push_t *push)
{
    push_t **at = &feed->first, *before = NULL;
    while (*at != push) {
        before = *at;
        at = &before->next;
    }
    *at = push->next;
    if (feed->last == push)
        feed->last = before;
    unmake (self, push);
}

/* Nobody waits any more. Rows that the sender has go on. */
static void give_up (exchange_t *exchange)
{
    push_t *push = exchange->work;
    push->exchange = NULL;
    exchange->work = NULL;
    exchange->give_up = NULL;
}

static void tell_trouble (push_t *push, const trouble_t *trouble)
{
    exchange_t *exchange = push->exchange;
    if (!exchange)
        return;
    give_up (exchange);
    exchange_trouble (exchange, trouble);
}

static void put_refusals (const push_t *push, buf_t *out)
{
    buf_put_string (out, "{\"detail\":[");
    for (size_t i = 0; i < push->refusals_count; i++) {
        buf_printf (out, "%s{\"loc\":[\"body\",\"df\",%llu],\"msg\":", i > 0 ? "," : "",
                    (unsigned long long)push->refusals[i].row);
        number_format_json_string (out, text_of (push->refusals[i].reason));
        buf_put_string (out, ",\"type\":\"value_error\"}");
    }
    buf_printf (out, "],\"accepted\":%llu,\"refused\":%llu}", (unsigned long long)push->accepted,
                (unsigned long long)push->refused);
}

static void finish (push_t *push)
{
    exchange_t *exchange = push->exchange;
    if (!exchange)
        return;
    give_up (exchange);
    if (push->refused > 0)
        put_refusals (push, &exchange->answer);
    exchange_answer (exchange, push->refused > 0 ? 422 : 200,
                     push->refused > 0 ? "application/json" : NULL);
}

static void close_feed (feed_t *feed)
{
    weir_sender_close (&feed->sender);
    arena_destroy (&feed->names);
    mem_free (feed->stream);
    *feed = (feed_t){ .stream = NULL };
}

/* All of its pushes end like this. */
static void fail (pushes_t *self, feed_t *feed, const weir_error_t *error)
{
    trouble_t trouble;
    (void)trouble_told (&trouble, error->status, error->retry_ms, error->text);
    while (feed->first) {
        push_t *push = feed->first;
        feed->first = push->next;
        tell_trouble (push, &trouble);
        unmake (self, push);
    }
    close_feed (feed);
}

void pushes_destroy (pushes_t **self_p)
{
    pushes_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < HTTP_SENDERS_MAX; i++) {
        feed_t *feed = &self->feeds[i];
        feed->sender = NULL; /* it went with its handle */
        while (feed->first) {
            push_t *push = feed->first;
            feed->first = push->next;
            unmake (self, push);
        }
        close_feed (feed);
    }
    mem_free (self);
}

/* ---- feeds ---- */

static bool is_of (const feed_t *feed, const push_rows_t *rows)
{
    if (!feed->stream || strcmp (feed->stream, rows->stream) != 0 ||
        feed->columns_count != rows->columns.count)
        return false;
    for (size_t i = 0; i < feed->columns_count; i++)
        if (strcmp (feed->columns[i], rows->columns.names[i]) != 0)
            return false;
    return true;
}

static bool open_feed (feed_t *feed, size_t at, const push_rows_t *rows, http_t *http,
                       trouble_t *trouble)
{
    weir_sender_options_t options;
    weir_error_t error;
    size_t count = rows->columns.count;
    feed->stream = mem_string (rows->stream);
    feed->names = arena_new (1024);
    feed->columns = arena_zero (feed->names, count, sizeof *feed->columns);
    feed->columns_count = count;
    for (size_t i = 0; i < count; i++)
        feed->columns[i] = arena_string (feed->names, text_of (rows->columns.names[i]));
    weir_sender_options_init (&options);
    options.stream = feed->stream;
    options.columns = feed->columns;
    options.columns_count = count;
    options.batch_rows = (uint32_t)(CELLS_MAX / count);
    if (options.batch_rows > WEIR_BATCH_ROWS_MAX)
        options.batch_rows = WEIR_BATCH_ROWS_MAX;
    options.patience_ms = HTTP_PUSH_MS;
    options.flags = WEIR_SEND_ACKS;
    options.tag = at;
    if (weir_sender_open (http_weir (http), &options, &feed->sender, &error) == WEIR_OK)
        return true;
    close_feed (feed);
    return trouble_told (trouble, error.status, error.retry_ms, error.text);
}

/* That of the stream and columns; a new one takes the place of the one that was idle longest. */
static feed_t *find_feed (pushes_t *self, const push_rows_t *rows, http_t *http, trouble_t *trouble)
{
    feed_t *oldest = NULL;
    for (size_t i = 0; i < HTTP_SENDERS_MAX; i++) {
        feed_t *feed = &self->feeds[i];
        if (is_of (feed, rows))
            return feed;
        if (feed->first)
            continue;
        if (!oldest || feed->used_ms < oldest->used_ms)
            oldest = feed;
    }
    if (!oldest) {
        (void)trouble_set (trouble, TROUBLE_BUSY, "pushes with %d sets of columns are under way",
                           HTTP_SENDERS_MAX);
        return NULL;
    }
    close_feed (oldest);
    size_t at = (size_t)(oldest - self->feeds);
    return open_feed (oldest, at, rows, http, trouble) ? oldest : NULL;
}

/* ---- rows ---- */

/* False when there is no room for more. */
static bool give_rows (feed_t *feed, push_t *push, weir_error_t *error)
{
    error->status = WEIR_OK;
    if (push->given == 0)
        push->first_row = feed->rows;
    while (push->given < push->count) {
        const weir_value_t *row = push->rows->cells + push->given * feed->columns_count;
        if (weir_sender_put (feed->sender, row, 0, error) != WEIR_OK)
            return false;
        push->given++;
        feed->rows++;
    }
    if (weir_sender_push (feed->sender, error) != WEIR_OK)
        return false;
    push_rows_destroy (&push->rows);
    push->sent = true;
    return true;
}

/* One push after the other. The sender's failure, which is told as an event, ends all. */
static void give (pushes_t *self, feed_t *feed)
{
    weir_error_t error;
    for (push_t *push = feed->first; push; push = push->next) {
        if (push->sent || give_rows (feed, push, &error))
            continue;
        if (error.status == WEIR_INVALID) /* a row that no sender takes: there is none in JSON */
            fail (self, feed, &error);
        return;
    }
}

static void take_ack (push_t *push, const weir_ack_t *ack)
{
    push->acknowledged += ack->rows;
    push->accepted += ack->accepted;
    push->refused += ack->refused;
    for (uint64_t i = 0; i < ack->refused_rows_count && push->refusals_count < WEIR_REFUSED_LISTED;
         i++) {
        refusal_t *refusal = &push->refusals[push->refusals_count++];
        refusal->row = ack->refused_rows[i].row - push->first_row;
        refusal->reason = mem_string (ack->refused_rows[i].reason);
    }
}

static void acknowledged (pushes_t *self, feed_t *feed, const weir_ack_t *ack)
{
    for (push_t *push = feed->first; push; push = push->next) {
        if (push->given == 0 || ack->first_row < push->first_row ||
            ack->first_row >= push->first_row + push->given)
            continue;
        take_ack (push, ack);
        if (push->acknowledged < push->count)
            return;
        finish (push);
        take_out (self, feed, push);
        return;
    }
}

void pushes_told (pushes_t *self, http_t *http, const weir_event_t *event)
{
    CHECK (event->tag < HTTP_SENDERS_MAX);
    feed_t *feed = &self->feeds[event->tag];
    feed->used_ms = http_now_ms (http);
    if (event->kind == WEIR_EVENT_ACK)
        acknowledged (self, feed, event->ack);
    else if (event->kind == WEIR_EVENT_FAILED)
        fail (self, feed, event->error);
}

/* Its time is over. Rows that the sender has not got never go there: they would take memory for as
 * long as there is no room for them. */
static void end_late (pushes_t *self, feed_t *feed, push_t *push)
{
    trouble_t trouble;
    (void)trouble_set (&trouble, TROUBLE_LATE,
                       "the events are not acknowledged after %d s: they may get in all the same",
                       HTTP_PUSH_MS / 1000);
    tell_trouble (push, &trouble);
    push->count = push->given;
    push_rows_destroy (&push->rows);
    if (push->acknowledged == push->count)
        take_out (self, feed, push);
}

size_t pushes_count (const pushes_t *self)
{
    return self->under_way;
}

int64_t pushes_step (pushes_t *self, http_t *http)
{
    int64_t now = http_now_ms (http), next = now + NEVER_MS;
    for (size_t i = 0; i < HTTP_SENDERS_MAX; i++) {
        feed_t *feed = &self->feeds[i];
        if (feed->first)
            give (self, feed);
        for (push_t *push = feed->first, *after; push; push = after) {
            after = push->next;
            if (!push->exchange)
                continue;
            if (now >= push->deadline_ms)
                end_late (self, feed, push);
            else if (push->deadline_ms < next)
                next = push->deadline_ms;
        }
    }
    return next;
}

/* ---- the endpoint ---- */

static bool begin (exchange_t *exchange, push_rows_t **rows_p, trouble_t *trouble)
{
    pushes_t *self = http_pushes (exchange->http);
    push_rows_t *rows = *rows_p;
    if (self->under_way == HTTP_PUSHES_MAX)
        return trouble_set (trouble, TROUBLE_BUSY, "%zu pushes are under way", self->under_way);
    feed_t *feed = find_feed (self, rows, exchange->http, trouble);
    if (!feed)
        return false;
    push_t *push = mem_zero (1, sizeof *push);
    push->exchange = exchange;
    push->rows = rows;
    push->count = rows->columns.rows;
    push->deadline_ms = http_now_ms (exchange->http) + HTTP_PUSH_MS;
    *rows_p = NULL;
    exchange->work = push;
    exchange->give_up = give_up;
    if (feed->last && feed->first)
        feed->last->next = push;
    else
        feed->first = push;
    feed->last = push;
    feed->used_ms = http_now_ms (exchange->http);
    self->under_way++;
    give (self, feed);
    return true;
}

void handle_push (exchange_t *exchange)
{
    trouble_t trouble = { .kind = TROUBLE_NONE };
    const model_t *model = http_model (exchange->http);
    text_t body = { (const char *)exchange->body.data, (uint32_t)exchange->body.size };
    push_rows_t *rows = model ? push_read (body, model, &trouble) : NULL;
    if (!model)
        (void)trouble_set (&trouble, TROUBLE_BUSY, "the definitions are not known here yet");
    if (!rows) {
        bool may_be_new = !model || trouble.kind == TROUBLE_SOURCE;
        if (!may_be_new || !http_refresh (exchange))
            exchange_trouble (exchange, &trouble);
    } else if (rows->columns.rows == 0) {
        exchange_answer (exchange, 200, NULL);
    } else if (!begin (exchange, &rows, &trouble)) {
        exchange_trouble (exchange, &trouble);
    }
    push_rows_destroy (&rows);
}
