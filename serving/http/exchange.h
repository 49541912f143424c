/* exchange.h - one request and its answer, and what the handlers of endpoints use of the server.
 * All of it is of the one thread of HTTP. */
#ifndef WEIR_HTTP_EXCHANGE_H
#define WEIR_HTTP_EXCHANGE_H

#include "base/buf.h"
#include "base/env.h"
#include "client/include/weir.h"
#include "member/model.h"
#include "serving/http/http.h"
#include "serving/http/trouble.h"

struct MHD_Connection;
struct endpoint;

typedef struct exchange exchange_t;
struct exchange {
    http_t *http;
    struct MHD_Connection *connection;
    const struct endpoint *endpoint;
    buf_t body;
    bool suspended;  /* its connection is, until the answer is there */
    bool answered;   /* `status`, `answer` and `type` are its answer */
    bool closes;     /* the connection ends with the answer */
    bool refreshed;  /* it has had the definitions asked for anew */
    uint64_t waits;  /* for the answer to that question for definitions; 0: no */
    unsigned status; /* of HTTP */
    buf_t answer;
    size_t answer_room;  /* bytes of memory that it takes until it is read */
    const char *type;    /* of its content; NULL: none */
    uint32_t retry_s;    /* 0: not told */
    const char *allowed; /* the methods that the path takes, where it takes others */
    void *work;          /* the handler's; given up with `give_up` */
    void (*give_up) (exchange_t *self);
    exchange_t *behind; /* in the line for gets */
    size_t gets_wanted; /* by who is in it */
    int64_t in_line_until_ms;
    exchange_t *next; /* of those that are there */
    exchange_t **link;
};

/* ---- ends ---- */

/* `answer` has been written. Its connection goes on; nothing of the exchange is to be used any
 * more. */
void exchange_answer (exchange_t *self, unsigned status, const char *type);
void exchange_trouble (exchange_t *self, const trouble_t *trouble);

/* ---- what handlers use ---- */

weir_t *http_weir (http_t *self);
int64_t http_now_ms (http_t *self);
const char *http_node (const http_t *self);
bool http_has_tokens (const http_t *self);

/* The definitions; NULL before they were told. Borrowed until the next wait. */
const model_t *http_model (const http_t *self);
/* Asks for the definitions, and begins the exchange again with what has come. False when that was
 * done for it already. */
bool http_refresh (exchange_t *self);

/* Has features_ask called when so many gets are free and nobody is before, which may be at once;
 * who has to wait for too long is told `busy`. */
void http_line_up (exchange_t *self, size_t gets);
void features_ask (exchange_t *self); /* features.c */

/* Is there memory for an answer of so many bytes, beside those that are not read yet? */
bool http_has_room (const http_t *self, size_t bytes);

/* The tag for a get of which `told` is to be called with what comes. 0: no more are possible. */
typedef void told_fn (exchange_t *exchange, size_t at, const weir_event_t *event);
uint64_t http_tag (exchange_t *self, size_t at, told_fn *told);
void http_untag (http_t *self, uint64_t tag);

/* Appends HTTP's own metrics, in Prometheus' form. */
void http_write_metrics (const http_t *self, buf_t *out);

/* The pushes, of push.c. */
struct pushes;
struct pushes *http_pushes (http_t *self);

#endif
