/* query.h - one `get` while its parts are being answered.
 *
 * What is asked for is a view, or a service: views in roles. Each entity that was asked for has a
 * key in each role, and keys are in parts, by role, source of the role's view, and partition. */
#ifndef WEIR_SERVING_QUERY_H
#define WEIR_SERVING_QUERY_H

#include "base/env.h"
#include "feature/outcome.h"
#include "member/model.h"
#include "serving/dataset.h"
#include "wire/wire.h"

enum {
    QUERY_MEMORY = 1 << 30, /* bytes that a query's answers may hold, unless options say else */
    QUERIES_MAX = 1024,     /* under way; over it clients are told `busy` … */
    QUERIES_AT_ONCE = 8,    /* of one client that are asked of owners; its others wait for them */
    QUERIES_SHARE = 256,    /* … and one client is when it has so many and others are about */
    QUERY_ARENA_KEPT = 1 << 20, /* bytes that stay for the next query in a place */
    QUERY_ID_BITS = 40,         /* of a query's id; questions to owners have them and more */
    QUERY_RETRY_MIN = 20,       /* ms, for who is told `busy` */
    QUERY_RETRY_MAX = 2000,
    QUERY_REASON_MAX = 256,
};

/* One entity that was asked for. */
typedef struct query_entity {
    value_t *fields; /* as asked: of the view's or the service's key, and then of the service's
                        request */
    int64_t as_of;   /* µs */
} query_entity_t;

/* An entity as a role sees it. */
typedef struct query_key {
    text_t key; /* encoded; in the query's arena */
    uint32_t role;
    int64_t as_of;      /* µs */
    uint32_t part;      /* among the role's of its first source */
    uint32_t next;      /* the part's next key, UINT32_MAX none */
    value_t *request;   /* the view's request_count values; NULL: all null */
    answer_t **answers; /* one per source of the view, made with its batch part; all are merged into
                           the first in the end */
    size_t memory;      /* bytes that these hold, when they were last looked at */
    uint32_t lost;      /* bit per source: its history cannot be read for this key */
} query_key_t;

typedef enum part_state {
    PART_ASKED,   /* the owner has been asked */
    PART_AGAIN,   /* ask again at `again` */
    PART_DONE,    /* the owner's part is merged */
    PART_REFUSED, /* its owner's answer is too large for a message, and would be again */
} part_state_t;

/* The keys of one partition, in the log of one source of a role's view. */
typedef struct query_part {
    uint32_t role;
    uint32_t source;
    uint32_t partition;
    const char *name; /* "payments/user_id/3"; in the query's arena */
    uint32_t first;   /* its keys, linked in the order asked */
    uint32_t keys_count;
    part_state_t state;
    uint64_t round;   /* of the latest question to its owner … */
    uint64_t ask;     /* … and that question's number … */
    uint64_t message; /* … and the message's, once it is sent */
    uint64_t since;   /* the round in which it was begun: what was asked before is void */
    int64_t again;    /* boot µs */
    int64_t backoff;  /* µs */
    int64_t asked;    /* boot µs */
    bool slow;        /* a history job is under way or waits */
    bool slow_failed;
    bool lost;                     /* the history of some of its keys cannot be read */
    bool begun;                    /* it has a dataset … */
    bool merged;                   /* … whose batch part is in its keys' answers */
    bool filling;                  /* the log lacked events of the stream when it was begun */
    dataset_t *dataset;            /* that its batch part is from */
    uint64_t position;             /* of the owner's answer */
    char reason[QUERY_REASON_MAX]; /* of the latest failure */
} query_part_t;

/* A view that is read: the one that is asked for, or one of those of the service. */
typedef struct query_role {
    uint32_t number; /* of the service's role */
    const view_t *view;
    plan_t *const *plans; /* one per source of the view */
    size_t plans_count;
    const plan_t *plan; /* the first of them */
    uint32_t *features; /* those of the view that are needed */
    uint32_t *inputs;   /* which of the service's plan each of them is; NULL: it is no service */
    size_t features_count;
    outcome_task_t *task; /* those, with all that they need */
    size_t parts_first;   /* all of the first source, then all of the next in the same order */
    size_t parts_each;    /* of one source */
} query_role_t;

/* What is asked for, as one model has it. */
typedef struct query_target {
    const service_t *service; /* NULL: it is a view */
    const plan_t *plan;       /* the service's, or the view's over its first source */
    uint32_t *features;       /* indexes into its features, in the order asked … */
    uint32_t *reads;          /* … and the roles (bit r: the r-th here) whose events each is
                                 made of */
    outcome_task_t *task;     /* those; of a view, that of its role */
    query_role_t *roles;      /* of a service, those that are needed */
    size_t roles_count;
} query_target_t;

typedef struct query {
    uint64_t id; /* 0: free */
    peer_t from;
    uint64_t client_id;
    bool waits;       /* for others of its client: owners have not been asked */
    bool goes_ahead;  /* it is among those whose batch parts may go ahead (ahead.c) */
    int64_t begun;    /* boot µs */
    int64_t deadline; /* boot µs */
    uint64_t round;   /* counts the messages to owners; part of their ids */
    bool refuse_incomplete;
    bool want_batch; /* both, unless the client asks for one layer alone */
    bool want_realtime;
    arena_t *arena;
    model_t *model;
    query_target_t target;
    text_t name;      /* of what is asked for, in the arena: finds it again in a newer model */
    uint32_t version; /* of it, when the client named one; else 0 */
    uint32_t bound;   /* that it was bound to before; 0: it was not */
    text_t *feature_names;
    size_t features_count;
    query_entity_t *entities;
    size_t entities_count;
    query_key_t *keys; /* all of the first role, then all of the next, in the entities' order */
    size_t keys_count;
    size_t memory;  /* of all keys */
    bool too_large; /* that is over the limit: it is refused, and nothing is merged any more */
    bool no_room;   /* so it is, because all queries together are over theirs */
    struct query_table *table;
    query_part_t *parts; /* role by role */
    size_t parts_count;
} query_t;

/* The view of a part, its plan over the part's source, and the dataset's log of it. */
const query_role_t *query_role_of (const query_t *self, const query_part_t *part);
const plan_t *query_plan_of (const query_t *self, const query_part_t *part);
/* An entity as one of the roles sees it. */
query_key_t *query_key_of (const query_t *self, size_t role, size_t entity);
/* The part of a key in the log of a source. */
query_part_t *query_part_of (const query_t *self, const query_key_t *key, size_t source);
/* An empty answer of the key in the log of a source. */
answer_t *query_empty_answer (query_t *self, query_key_t *key, size_t source);
/* Takes away what the key has of answers. */
void query_drop_answers (query_t *self, query_key_t *key);

typedef struct query_table query_table_t;
/* All together may hold `memory` bytes. */
query_table_t *query_table_new (size_t memory);
void query_table_destroy (query_table_t **self_p);

/* A new query with an arena; NULL when there are too many, all together or of this client, or they
 * hold too much. */
query_t *query_new (query_table_t *self, const peer_t *from, int64_t now);
query_t *query_find (query_table_t *self, uint64_t id);
void query_free (query_table_t *self, query_t *query);
/* A query that is ready: does it have to wait for others of its client? Owners answer in the order
 * in which they are asked, so that who asks for much would hold up everybody. */
bool query_must_wait (query_table_t *self, query_t *query);
/* The next one that waits and need not any more; NULL when there is none. */
query_t *query_next (query_table_t *self);
/* How long a query took lately, for who is told to ask again. */
void query_took (query_table_t *self, const query_t *query, int64_t now);
uint32_t query_retry_ms (const query_table_t *self);
size_t query_memory (const query_table_t *self); /* bytes that all hold */
/* After something was merged into the key's answer: does it make the query too large? Or all of
 * them, when there are others. */
void query_measure (query_t *query, query_key_t *key, size_t most);
/* Calls `each` for all that are under way; it may free the one that it is given. */
void query_each (query_table_t *self, void (*each) (void *arg, query_t *query), void *arg);
size_t query_count (const query_table_t *self);

#endif
