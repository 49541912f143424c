/* node.h - the inside of the serving node's core, for its own files only. */
#ifndef WEIR_SERVING_NODE_H
#define WEIR_SERVING_NODE_H

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "member/member.h"
#include "member/routes.h"
#include "serving/core.h"
#include "serving/dataset.h"
#include "serving/history.h"
#include "serving/query.h"
#include "serving/samples.h"

enum { SERVING_MAGIC = 0x53455256 };

/* A keyed log as far as serving is concerned. */
typedef struct served_log {
    char *name;
    dataset_t *dataset;  /* the one in use */
    dataset_t *retired;  /* those that queries and jobs may still have */
    uint64_t wanted;     /* manifest in the latest orders */
    uint64_t least;      /* manifest in the first orders of the lease */
    uint64_t fetch_id;   /* of the `dataset` question under way, 0 none */
    int64_t fetch_again; /* boot µs */
    bool opening;        /* a job is opening the next one */
    uint64_t failed;     /* manifest that could not be opened the last time; 0 none */
    int64_t heal_at;     /* boot µs: what is not used of the dataset is tried again … */
    int64_t heal_wait;   /* … after so long */
    int64_t scrub_at;    /* boot µs: the next look at what is mapped */
    bool scrubbing;      /* a job is looking */
    bool listed;         /* in the latest orders, which say that it has all … */
    uint64_t filled;     /* … from this manifest on; UINT64_MAX: they do not */
    struct served_log *next;
} served_log_t;

#define SERVING_METRICS(X)                                                                         \
    X (messages_refused)                                                                           \
    X (queries)                                                                                    \
    X (keys)                                                                                       \
    X (slow_keys)                                                                                  \
    X (retries)                                                                                    \
    X (incomplete)                                                                                 \
    X (refused)                                                                                    \
    X (busy)

typedef struct serving_metrics {
#define X(name) uint64_t name;
    SERVING_METRICS (X)
#undef X
} serving_metrics_t;

/* What is asked of an owner: parts of one query, of one role and source, which have the same
 * number. */
typedef struct ask {
    peer_t owner;
    uint64_t query;
    uint64_t round; /* of it, when this was to be asked */
    uint64_t number;
    uint32_t role;
    uint32_t source;
    size_t keys;
} ask_t;

/* What the id of a question says beside its query. */
typedef struct asked {
    uint32_t role;
    uint64_t round;
} asked_t;

#define BACKOFF_FIRST (5 * TIME_MS) /* before an owner is asked again */

enum {
    ASKS_MAX = 64,           /* that wait to be sent … */
    ASKS_TOGETHER_MAX = 256, /* … and with those that one query of several roles or logs adds */
};

/* A query whose batch parts may be to be merged, and when they are at the latest (boot µs). */
typedef struct ahead {
    uint64_t query;
    int64_t due;
} ahead_t;

enum {
    AHEAD_MAX = 2 * QUERIES_MAX,
    AHEAD_MEMORY = 2 << 20, /* bytes of answers under which batch parts go ahead of owners' */
};

struct serving_core {
    uint32_t magic;
    env_t *env;
    serving_options_t options;
    member_t *member;
    routes_t *routes;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
    served_log_t *logs;
    uint64_t lapses; /* of the member, when `least` of the logs was taken from orders */
    query_table_t *queries;
    samples_t *samples;       /* NULL: none are kept */
    uint64_t skew_mismatches; /* what the latest reports say (docs/skew.md) */
    uint64_t skew_alerts;
    ask_t asks[ASKS_TOGETHER_MAX]; /* that wait to be sent */
    size_t asks_count;
    bool asks_together;       /* those that are being added go in one message to each owner */
    uint64_t asked;           /* questions so far … */
    uint64_t messages_asked;  /* … and messages of them */
    ahead_t ahead[AHEAD_MAX]; /* a ring */
    size_t ahead_first;
    size_t ahead_count;
    arena_t *outcomes;         /* of the keys that are being written */
    uint64_t next_id;          /* of questions about datasets */
    history_job_t *slow_first; /* those that wait for one of slow_max places */
    history_job_t **slow_last;
    peer_t slow_from; /* whose was begun last */
    uint32_t slow_running;
    uint32_t slow_started;
    serving_metrics_t metrics;
};

/* ---- core.c ---- */
void serving_send (serving_core_t *self, const peer_t *to);
void serving_send_error (serving_core_t *self, const peer_t *to, uint64_t id, const error_t *error);

/* ---- logs.c ---- */
/* The log's dataset in use (an empty one if the log is new); borrowed. */
dataset_t *logs_dataset (serving_core_t *self, const char *log_name);
/* May the dataset in use be answered from? Not without a lease, and not when the first orders after
 * one that had run out name a later one: meanwhile the coordinator need not have waited for this
 * node when it told users what is visible. */
bool logs_current (serving_core_t *self, const char *log_name);
/* May events be missing in the log of a view's source, which came before there was a view with its
 * key, for who answers from this dataset? What orders say is true from the manifest on that they
 * name, which need not be in use yet. */
bool logs_filling (serving_core_t *self, const view_source_t *source, const dataset_t *dataset);
void logs_take_orders (serving_core_t *self, const wire_value_t *orders);
void logs_fill_beat (serving_core_t *self, wire_writer_t *beat);
/* A file of a dataset turned out to be damaged. */
void logs_give_up (serving_core_t *self, dataset_t *dataset, const batchview_t *file,
                   const char *reason);
bool logs_receive (serving_core_t *self, const message_t *message);
bool logs_job_done (serving_core_t *self, job_t *job);
int64_t logs_tick (serving_core_t *self, int64_t now);
void logs_destroy (serving_core_t *self);

/* ---- get.c ---- */
/* A `get`: checked, resolved and begun. */
void get_begin (serving_core_t *self, const peer_t *from, const message_t *message);

/* ---- target.c ---- */
/* What is asked for, as the model has it: its roles, and of their views what the features need. In
 * the query's arena; NOT_FOUND with the reason when there is no such thing. Where the query has no
 * names of features it gets all. */
MUST_CHECK status_t target_bind (query_t *query, const model_t *model, query_target_t *target,
                                 error_t *error);
/* Is it over the same logs, with keys of the same types and the same requests? */
bool target_same (const query_target_t *a, const query_target_t *b);

/* ---- agree.c ---- */
/* Roles over one partition of a log must stand at one position of it, and all over a log on one
 * dataset: true when those that are done do. Otherwise these are asked for again, together. */
bool agree_or_ask (serving_core_t *self, query_t *query);

/* ---- reply.c ---- */
/* The answer to the client; the query is over. */
void reply_send (serving_core_t *self, query_t *query);

/* ---- asks.c ---- */
/* One question to the owner of `parts[at]`, of every part of that log that is his and for which
 * asking[i] is true; it becomes false. It is sent with others, by asks_send at the latest. */
void asks_add (serving_core_t *self, query_t *query, size_t at, bool *asking);
void asks_send (serving_core_t *self);
/* The query under way whose question has this id, and what of it was asked; NULL: it is over. */
query_t *asks_query (serving_core_t *self, uint64_t id, asked_t *asked);

/* ---- ahead.c ---- */
/* The query's owners have been asked, and it has batch parts to be merged. */
void ahead_add (serving_core_t *self, query_t *query, int64_t now);
/* The next query whose batch parts are to be merged now; NULL when there is none, and then *next is
 * no later than when there is. */
query_t *ahead_take (serving_core_t *self, int64_t now, int64_t *next);

/* ---- evaluate.c ---- */
/* Starts all parts of a query afresh with the picture of this moment. */
void evaluate_start (serving_core_t *self, query_t *query);
/* The answer of an owner, or an error that is not the coordinator's. */
bool evaluate_receive (serving_core_t *self, const message_t *message);
/* A history job is done. */
void evaluate_job_done (serving_core_t *self, job_t *job);
int64_t evaluate_tick (serving_core_t *self, int64_t now);

#endif
