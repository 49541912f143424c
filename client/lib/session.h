/* session.h - a client_t from inside. */
#ifndef WEIR_CLIENT_SESSION_H
#define WEIR_CLIENT_SESSION_H

#include "base/random.h"
#include "client/lib/client.h"
#include "transport/transport.h"

enum { CLIENT_MAGIC = 0x77656972, CLIENT_ROLES = 3 };

struct node; /* nodes.h */

typedef struct endpoints {
    char **items;
    bool *ours; /* per item: it has said that it is of our cluster */
    struct node *nodes;
    size_t count;
    size_t next; /* the one that is tried first: it answered last */
} endpoints_t;

/* Somebody who sends and takes messages without waiting: session_pump drives all who joined. */
typedef struct party party_t;
struct party {
    /* Does what is due; returns when next, ms. */
    int64_t (*step) (party_t *self, int64_t now);
    /* Takes an answer; false when it is not to a question of this one. */
    bool (*take) (party_t *self, const message_t *message);
    /* The answer with this id is none: `error` says why. False as above. */
    bool (*spoiled) (party_t *self, uint64_t id, const error_t *error);
    party_t *next;
};

struct client {
    uint32_t magic;
    transport_t *transport; /* made at the first call */
    wire_writer_t *writer;
    wire_writer_t *own_writer;  /* for what we ask of our own accord while `writer` is in use */
    wire_writer_t *ping_writer; /* and while either of them is */
    wire_decoder_t *decoder;
    endpoints_t roles[CLIENT_ROLES];
    uint64_t next_id;
    char *cluster; /* its name; NULL: any */
    char *keys;    /* the directory of keys; NULL: no security */
    bool open;     /* and nodes may be beyond this machine all the same */
    char *secret;  /* our secret key's file */
    int64_t keys_looked_ms;
    bool unreachable;
    bool foreign;
    party_t *parties;
    bool only_serving; /* no other serving node than the one that is known */
    bool halted;       /* the message received last is to stay valid */
    bool ended; /* something of a party has, since the last pump began: nobody is to wait on */
    /* what nodes there are, asked of the coordinators by nodes.c: */
    bool routes_wanted;
    bool routes_told;        /* once, at least */
    uint64_t routes_id;      /* 0: not asked */
    size_t routes_at;        /* the coordinator that is asked next */
    size_t routes_from;      /* that was asked last, … */
    int64_t routes_asked_ms; /* … when … */
    int64_t routes_due_ms;   /* … and not before this again */
    struct gets *single;     /* of client_get; NULL before the first */
};

/* Makes the transport. */
MUST_CHECK status_t session_start (client_t *self, error_t *error);

/* Takes other keys up when their files have changed, looking at most once a second unless `now` is
 * set. True when it did: what was under way may be lost. */
bool session_rekey (client_t *self, bool now);

/* The endpoints of a role, asking the coordinator for them when none are known. UNAVAILABLE when
 * there are none. */
MUST_CHECK status_t session_endpoints (client_t *self, client_role_t role, endpoints_t **endpoints,
                                       error_t *error);

/* Asks the coordinator which nodes there are, of the roles of which none are known yet. */
MUST_CHECK status_t session_refresh (client_t *self, error_t *error);

/* Asks the node at endpoint `at` for its cluster, unless it has said before or any will do. INVALID
 * when it is of another; UNAVAILABLE or TIMEOUT when it does not say. */
MUST_CHECK status_t session_recognize (client_t *self, endpoints_t *endpoints, size_t at,
                                       int timeout_ms, error_t *error);

/* That nobody listens at any endpoint of the role. */
status_t session_cannot_reach (client_t *self, client_role_t role, error_t *error);
/* "a serving node" */
const char *session_role_word (client_role_t role);

/* Only the serving node at this endpoint is known from now on. */
void session_only_serving (client_t *self, const char *endpoint);

/* Adds the nodes of a `routes.ok`: all, or of roles of which none are known. */
void session_take_routes (client_t *self, const message_t *message, bool all);
/* Adds the coordinator that an `error` names as leading, if it names one. */
void session_take_leader (client_t *self, const message_t *message);

/* ---- without waiting for each other ---- */

void session_join (client_t *self, party_t *party);
void session_leave (client_t *self, party_t *party);

/* Has everybody do what is due; returns when next, ms. */
int64_t session_step (client_t *self);
/* The same, then waits at most `wait_ms` for messages and hands them out. */
MUST_CHECK status_t session_pump (client_t *self, int wait_ms, error_t *error);

/* How long to wait before asking again, ms: ever longer, or as long as a node asked for if that is
 * longer, with jitter. */
int64_t session_backoff (random_t *jitter, uint32_t tries, uint64_t asked_ms);

/* The error of an `error` message. */
status_t session_told (const message_t *message, error_t *error);

/* CLOCK_BOOTTIME, ms. */
int64_t session_now_ms (void);

#endif
