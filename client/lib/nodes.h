/* nodes.h - which node of a role can be sent to, found out without waiting.
 *
 * A node that is new is looked at (does anybody listen?) and asked for its cluster (`ping`) before
 * anything else is sent to it. One that is silent while something is under way is looked at again;
 * where it is gone, its losses go up: what was under way to it will not be answered. Where no node
 * of a role is known or good, the coordinators are asked for others. */
#ifndef WEIR_CLIENT_NODES_H
#define WEIR_CLIENT_NODES_H

#include "client/lib/session.h"
#include "transport/probe.h"

enum {
    NODES_MAX = 64,           /* of one role */
    NODES_LOOK_MS = 200,      /* so soon a node that died is noticed, and looked at again */
    NODES_NEVER_MS = 1 << 30, /* as a time from now */
};

typedef enum node_state {
    NODE_GOOD,
    NODE_WAITS, /* it is being found out */
    NODE_BAD,   /* passed over for a while */
} node_state_t;

/* What is known of one node, beside its endpoint. */
struct node {
    probe_t *probe; /* NULL before the first */
    bool probing;
    bool suspect; /* it was gone when it was looked at last */
    bool pinged;  /* a ping is under way */
    uint64_t ping_id;
    uint32_t pings_unanswered; /* one after the other, that nobody waits for any more */
    int64_t pinged_ms;         /* the first try of it */
    int64_t ping_again_ms;
    int64_t greeted_ms; /* when it is to be looked at for whether it wants a key */
    int64_t heard_ms;
    int64_t looked_ms;
    int64_t bad_until_ms;
    uint32_t losses;
    error_t *why; /* of being bad; NULL: it never was */
    bool foreign; /* it is of another cluster */
};

/* Finds out; `at` below the count of the role's endpoints. */
node_state_t nodes_look (client_t *self, client_role_t role, size_t at, int64_t now);

/* With no node good: OK as long as it is to be waited for, and asks the coordinators for nodes;
 * otherwise what is wrong, and sets client_unreachable and client_foreign. */
MUST_CHECK status_t nodes_nobody (client_t *self, client_role_t role, int64_t now, error_t *error);

/* Something that was sent at `sent_ms` is not answered yet: looks whether the node is still there.
 * To be called now and then; nodes_losses tells. */
void nodes_watch (client_t *self, client_role_t role, size_t at, int64_t sent_ms, int64_t now);
uint32_t nodes_losses (const client_t *self, client_role_t role, size_t at);

/* An answer came from it. */
void nodes_heard (client_t *self, client_role_t role, size_t at, int64_t now);
/* It said nothing for too long: it is passed over until then. */
void nodes_silent (client_t *self, client_role_t role, size_t at, int64_t until_ms);
/* With other keys every connection may be another. */
void nodes_rekeyed (client_t *self);

/* Goes on with what is being found out; returns when next, ms. */
int64_t nodes_step (client_t *self, int64_t now);
/* Takes the answer to something that was asked here; false when it is to nothing of it. */
bool nodes_take (client_t *self, const message_t *message, int64_t now);

void node_release (struct node *node);

#endif
