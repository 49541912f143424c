#include "client/lib/nodes.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    PING_AGAIN_MS = 100, /* doubled each time: the first may have been lost with its handshake */
    PING_GIVEN_UP_MS = 1000, /* without an answer */
    GREET_MS = 300, /* a node that is silent for so long may want a key where we have none */
    PROBE_LOOK_MS = 5,
    DENIED_MS = 500,      /* until one that does not accept our key is tried again */
    SILENT_MAX_MS = 5000, /* that a node is passed over, which is there and does not answer */
    ROUTES_AGAIN_MS = 500,
};

static struct node *node_of (const client_t *self, client_role_t role, size_t at)
{
    CHECK (at < self->roles[role].count);
    return &self->roles[role].nodes[at];
}

void node_release (struct node *node)
{
    probe_destroy (&node->probe);
    mem_free (node->why);
    node->why = NULL;
}

/* ---- what is wrong ---- */

static void pass_over (struct node *node, int64_t until_ms, const error_t *why)
{
    if (!node->why)
        node->why = mem_zero (1, sizeof *node->why);
    *node->why = *why;
    node->pinged = false;
    if (node->bad_until_ms < until_ms)
        node->bad_until_ms = until_ms;
}

static void gone (struct node *node, const char *endpoint, int64_t now)
{
    error_t why;
    (void)error_set (&why, STATUS_UNAVAILABLE,
                     "nobody listens at %s: is the node running? (`weir up` starts all nodes)",
                     endpoint);
    node->suspect = true;
    node->losses++;
    pass_over (node, now + NODES_LOOK_MS + 1, &why);
}

void nodes_silent (client_t *self, client_role_t role, size_t at, int64_t until_ms)
{
    error_t why;
    (void)error_set (&why, STATUS_TIMEOUT, "%s does not answer", self->roles[role].items[at]);
    pass_over (node_of (self, role, at), until_ms, &why);
}

/* The ping of one that is there was not answered. */
static void unanswered (client_t *self, client_role_t role, size_t at, int64_t now)
{
    struct node *node = node_of (self, role, at);
    int64_t wait = NODES_LOOK_MS << (node->pings_unanswered < 5 ? node->pings_unanswered : 5);
    node->pings_unanswered++;
    nodes_silent (self, role, at, now + (wait < SILENT_MAX_MS ? wait : SILENT_MAX_MS));
}

/* ---- finding out ---- */

static void begin_probe (client_t *self, client_role_t role, size_t at, bool greet, int64_t now)
{
    struct node *node = node_of (self, role, at);
    if (!node->probe)
        node->probe = probe_new (self->roles[role].items[at]);
    probe_begin (node->probe, greet);
    node->probing = true;
    node->looked_ms = now;
}

static void send_ping (client_t *self, client_role_t role, size_t at, int64_t now)
{
    const void *data;
    size_t size;
    struct node *node = node_of (self, role, at);
    if (!node->pinged) {
        node->pinged = true;
        node->ping_id = self->next_id++;
        node->pinged_ms = now;
        node->greeted_ms = now + GREET_MS;
    }
    node->ping_again_ms = now + PING_AGAIN_MS + (now - node->pinged_ms);
    wire_begin (self->ping_writer, MESSAGE_PING, node->ping_id);
    CHECK (wire_end (self->ping_writer, &data, &size));
    peer_t peer = peer_of_endpoint (self->roles[role].items[at]);
    transport_send (self->transport, &peer, data, size);
}

static void end_probe (client_t *self, client_role_t role, size_t at, int64_t now)
{
    error_t why;
    struct node *node = node_of (self, role, at);
    const char *endpoint = self->roles[role].items[at];
    probed_t found = probe_look (node->probe);
    if (found == PROBED_NOT_YET)
        return;
    node->probing = false;
    if (found == PROBED_NOBODY) {
        gone (node, endpoint, now);
        return;
    }
    if (found == PROBED_WANTS_KEY) {
        (void)!transport_needs_key (endpoint, &why);
        pass_over (node, now + DENIED_MS, &why);
        return;
    }
    node->suspect = false;
    if (!self->roles[role].ours[at] && !node->pinged)
        send_ping (self, role, at, now);
}

/* A ping is under way. */
static void await_ping (client_t *self, client_role_t role, size_t at, int64_t now)
{
    error_t why;
    struct node *node = node_of (self, role, at);
    peer_t peer = peer_of_endpoint (self->roles[role].items[at]);
    if (transport_trouble (self->transport, &peer, &why) != STATUS_OK) {
        if (session_rekey (self, true)) {
            nodes_rekeyed (self);
            send_ping (self, role, at, now); /* by the keys that we had */
        } else {
            pass_over (node, now + DENIED_MS, &why);
        }
    } else if (now >= node->pinged_ms + PING_GIVEN_UP_MS) {
        unanswered (self, role, at, now);
    } else if (now >= node->ping_again_ms) {
        send_ping (self, role, at, now);
    } else if (!self->keys && now >= node->greeted_ms && !node->probing) {
        node->greeted_ms = now + NODES_NEVER_MS;
        begin_probe (self, role, at, true, now);
    }
}

node_state_t nodes_look (client_t *self, client_role_t role, size_t at, int64_t now)
{
    struct node *node = node_of (self, role, at);
    if (node->bad_until_ms > now)
        return NODE_BAD;
    if (self->roles[role].ours[at] && !node->suspect)
        return NODE_GOOD;
    if (!node->probing && !node->pinged) {
        begin_probe (self, role, at, false, now);
        end_probe (self, role, at, now); /* on this machine it is known at once */
    }
    return node->bad_until_ms > now                       ? NODE_BAD
           : self->roles[role].ours[at] && !node->suspect ? NODE_GOOD
                                                          : NODE_WAITS;
}

void nodes_watch (client_t *self, client_role_t role, size_t at, int64_t sent_ms, int64_t now)
{
    struct node *node = node_of (self, role, at);
    peer_t peer = peer_of_endpoint (self->roles[role].items[at]);
    if (self->keys && transport_broke (self->transport, &peer))
        node->losses++;
    int64_t since = node->heard_ms > sent_ms ? node->heard_ms : sent_ms;
    if (node->probing || now < since + NODES_LOOK_MS || now < node->looked_ms + NODES_LOOK_MS)
        return;
    begin_probe (self, role, at, false, now);
    end_probe (self, role, at, now);
}

uint32_t nodes_losses (const client_t *self, client_role_t role, size_t at)
{
    return node_of (self, role, at)->losses;
}

void nodes_heard (client_t *self, client_role_t role, size_t at, int64_t now)
{
    struct node *node = node_of (self, role, at);
    node->heard_ms = now;
    node->suspect = false;
    node->bad_until_ms = 0;
}

void nodes_rekeyed (client_t *self)
{
    for (unsigned role = 0; role < CLIENT_ROLES; role++)
        for (size_t at = 0; at < self->roles[role].count; at++)
            node_of (self, role, at)->losses++;
}

/* ---- other nodes ---- */

static void ask_routes (client_t *self, int64_t now)
{
    const void *data;
    size_t size;
    const endpoints_t *coordinators = &self->roles[CLIENT_COORDINATOR];
    for (size_t i = 0; i < coordinators->count; i++) {
        size_t at = (self->routes_at + i) % coordinators->count;
        if (nodes_look (self, CLIENT_COORDINATOR, at, now) != NODE_GOOD)
            continue;
        self->routes_at = at + 1; /* the next time another one: this one may stand by */
        self->routes_id = self->next_id++;
        self->routes_from = at;
        self->routes_asked_ms = now;
        self->routes_due_ms = now + ROUTES_AGAIN_MS;
        wire_begin (self->ping_writer, MESSAGE_ROUTES, self->routes_id);
        CHECK (wire_end (self->ping_writer, &data, &size));
        peer_t peer = peer_of_endpoint (coordinators->items[at]);
        transport_send (self->transport, &peer, data, size);
        return;
    }
}

/* Who is asked next at once, when the one that was asked stands by. */
static void take_routes (client_t *self, const message_t *message)
{
    self->routes_id = 0;
    if (message->kind == MESSAGE_ROUTES_OK) {
        session_take_routes (self, message, true);
        self->routes_told = true;
    } else if (message->kind == MESSAGE_ERROR) {
        session_take_leader (self, message);
        if (self->routes_at < self->roles[CLIENT_COORDINATOR].count)
            self->routes_due_ms = 0;
    }
}

/* ---- nobody ---- */

/* How much a trouble says: another cluster, a key, silence, nobody. */
static int weight (const struct node *node)
{
    if (node->foreign)
        return 3;
    return node->why->status == STATUS_DENIED ? 2 : node->why->status == STATUS_TIMEOUT;
}

static status_t tell_worst (client_t *self, client_role_t role, error_t *error)
{
    const struct node *worst = node_of (self, role, 0);
    for (size_t at = 1; at < self->roles[role].count; at++)
        if (weight (node_of (self, role, at)) > weight (worst))
            worst = node_of (self, role, at);
    self->foreign = worst->foreign;
    self->unreachable = weight (worst) < 2;
    if (worst->why->status == STATUS_UNAVAILABLE)
        return session_cannot_reach (self, role, error);
    *error = *worst->why;
    return weight (worst) == 1 ? error_prefix (error, "%s", session_role_word (role))
                               : error->status;
}

status_t nodes_nobody (client_t *self, client_role_t role, int64_t now, error_t *error)
{
    bool waits = false;
    for (size_t at = 0; at < self->roles[role].count; at++)
        waits |= nodes_look (self, role, at, now) != NODE_BAD;
    if (waits)
        return STATUS_OK;
    if (role != CLIENT_COORDINATOR)
        self->routes_wanted = true;
    if (self->roles[role].count > 0)
        return tell_worst (self, role, error);
    if (!self->routes_told)
        return nodes_nobody (self, CLIENT_COORDINATOR, now, error);
    self->unreachable = true;
    return error_set (error, STATUS_UNAVAILABLE, "the cluster has not got %s",
                      session_role_word (role));
}

/* ---- steps ---- */

static int64_t step_node (client_t *self, client_role_t role, size_t at, int64_t now)
{
    struct node *node = node_of (self, role, at);
    int64_t next = now + NODES_NEVER_MS;
    if (node->probing)
        end_probe (self, role, at, now);
    if (node->pinged)
        await_ping (self, role, at, now);
    if (node->pinged && node->ping_again_ms < next)
        next = node->ping_again_ms;
    if (node->pinged && !self->keys && node->greeted_ms < next)
        next = node->greeted_ms;
    if (node->pinged && self->keys && now + NODES_LOOK_MS < next)
        next = now + NODES_LOOK_MS; /* a handshake may have failed */
    if (node->probing && now + PROBE_LOOK_MS < next)
        next = now + PROBE_LOOK_MS;
    return next;
}

int64_t nodes_step (client_t *self, int64_t now)
{
    int64_t next = now + NODES_NEVER_MS;
    if (self->routes_wanted && now >= self->routes_due_ms) {
        ask_routes (self, now);
        self->routes_wanted = false; /* until somebody finds none again */
    }
    if (self->routes_id != 0)
        nodes_watch (self, CLIENT_COORDINATOR, self->routes_from, self->routes_asked_ms, now);
    for (unsigned role = 0; role < CLIENT_ROLES; role++)
        for (size_t at = 0; at < self->roles[role].count; at++) {
            int64_t due = step_node (self, role, at, now);
            next = due < next ? due : next;
        }
    return next;
}

static void take_ping (client_t *self, client_role_t role, size_t at, const message_t *message,
                       int64_t now)
{
    error_t why;
    struct node *node = node_of (self, role, at);
    const char *endpoint = self->roles[role].items[at];
    node->pinged = false;
    node->pings_unanswered = 0;
    nodes_heard (self, role, at, now);
    node->foreign = false;
    if (message->kind != MESSAGE_PING_OK) {
        if (message->kind == MESSAGE_ERROR)
            (void)!session_told (message, &why);
        else
            (void)error_set (&why, STATUS_CORRUPT, "%s answered ping with %s", endpoint,
                             message_word (message->kind));
        pass_over (node, now + DENIED_MS, &why);
        return;
    }
    text_t cluster = wire_text (message->body, "cluster");
    node->foreign = self->cluster && !text_is (cluster, self->cluster);
    if (!node->foreign) {
        self->roles[role].ours[at] = true;
        return;
    }
    (void)error_set (&why, STATUS_INVALID, "%s is cluster '" TEXT_FORMAT "', not '%s'", endpoint,
                     TEXT_ARGS (cluster), self->cluster);
    pass_over (node, now + DENIED_MS, &why);
}

bool nodes_take (client_t *self, const message_t *message, int64_t now)
{
    if (message->id == self->routes_id && self->routes_id != 0) {
        take_routes (self, message);
        return true;
    }
    for (unsigned role = 0; role < CLIENT_ROLES; role++)
        for (size_t at = 0; at < self->roles[role].count; at++) {
            const struct node *node = node_of (self, role, at);
            if (node->pinged && node->ping_id == message->id) {
                take_ping (self, role, at, message, now);
                return true;
            }
        }
    return false;
}
