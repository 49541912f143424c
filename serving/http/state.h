/* state.h - the server from inside. */
#ifndef WEIR_HTTP_STATE_H
#define WEIR_HTTP_STATE_H

#include "serving/http/endpoints.h"
#include "serving/http/limits.h"
#include "serving/http/push.h"
#include "serving/http/tokens.h"

#include <microhttpd.h>
#include <pthread.h>

enum { HTTP_MAGIC = 0x68747470 };

/* A connection, and until when it may go on as it does. */
typedef struct connection connection_t;
struct connection {
    int fd;
    bool cut;
    int64_t deadline_ms;
    connection_t *next;
    connection_t **link;
};

typedef struct tag {
    exchange_t *exchange; /* NULL: free */
    size_t at;
    told_fn *told;
} tag_t;

typedef struct http_counts {
    uint64_t answers[ENDPOINTS][6]; /* by hundreds of their status */
    uint64_t elsewhere;             /* requests of what there is not */
    uint64_t unknown_tokens;        /* and those without */
    uint64_t cut;                   /* connections that took too long */
} http_counts_t;

struct http {
    uint32_t magic;
    http_options_t options;
    char *certificate; /* PEM; NULL: no TLS */
    char *private_key;
    tokens_t *tokens; /* NULL: none are asked for */
    char problem[ERROR_TEXT_MAX];
    int64_t tokens_look_ms;
    struct MHD_Daemon *daemon;
    int epoll; /* of the daemon */
    weir_t *weir;
    int weir_fd;
    int stop_fd;
    pthread_t thread;
    model_t *model;
    bool asks;        /* for the definitions … */
    bool wanted;      /* … or is to */
    uint64_t asked;   /* so often, … */
    int64_t asked_ms; /* … and last then; at first long ago */
    char definitions_problem[ERROR_TEXT_MAX];
    exchange_t *exchanges;
    connection_t *connections;
    size_t connections_count;
    tag_t tags[HTTP_GETS_MAX];
    size_t tags_used;
    exchange_t *line;      /* for gets: the first, … */
    exchange_t *line_last; /* … and the last, if there is one */
    pushes_t *pushes;
    size_t bodies;  /* bytes of them that are held … */
    size_t answers; /* … and of answers */
    int64_t sweep_ms;
    http_counts_t counts;
};

/* ---- listen.c ---- */

/* A socket that listens there. IO and INVALID. */
MUST_CHECK status_t listen_at (const char *address, int *fd, error_t *error);
/* A file as a string; a secret one may be its owner's only. */
MUST_CHECK status_t read_pem (const char *path, bool is_secret, char **text, error_t *error);

/* ---- connections.c ---- */

/* Callbacks of libmicrohttpd, of which the closure is the server. */
enum MHD_Result http_on_request (void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **request);
void http_on_completed (void *cls, struct MHD_Connection *connection, void **request,
                        enum MHD_RequestTerminationCode code);
void http_on_connection (void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_ConnectionNotificationCode code);
/* Cuts those whose time is over. */
void connections_sweep (http_t *self, int64_t now_ms);

/* ---- exchange.c ---- */

exchange_t *exchange_new (http_t *http, struct MHD_Connection *connection);
void exchange_destroy (exchange_t **self_p);
/* Answers everything that waits: the server stops. */
void exchanges_end (http_t *self);
/* Asks for the definitions, when somebody wants them; when next, ms. */
int64_t definitions_step (http_t *self, int64_t now_ms);
/* Lets those in the line ask for whom there is room, and tells those that have waited for too long;
 * when next, ms. */
int64_t line_step (http_t *self, int64_t now_ms);
/* Calls whoever waits for a get. */
void tags_told (http_t *self, const weir_event_t *event);

#endif
