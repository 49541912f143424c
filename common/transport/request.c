/* request.c - one question, one answer. */
#include "transport/transport_state.h"

#include "base/check.h"
#include "transport/probe.h"
#include "wire/wire.h"

#include <string.h>

/* A handshake is broken off by a node that just then starts, stops or takes another key, too: so
 * each server is tried so often before it is told that it is none of them. */
enum { ROUNDS = 3 };

/* Who never answered and is silent for so long is looked at: it may want a key, where we have none.
 */
enum { SILENT_MS = 300 };

typedef enum outcome {
    OUTCOME_ANSWERED, /* what came is in self->part */
    OUTCOME_LATE,
    OUTCOME_LOST,    /* the connection that it went over */
    OUTCOME_REFUSED, /* it went over none: the handshake failed, or would without keys */
} outcome_t;

/* Waits until something can be received, or something happens to the connection. */
static void wait_for_news (transport_t *self, line_t *line, int64_t left)
{
    zmq_pollitem_t items[] = { { .socket = line->socket, .events = ZMQ_POLLIN },
                               { .socket = line->monitor, .events = ZMQ_POLLIN } };
    (void)zmq_poll (items, line->monitor ? 2 : 1, (long)left);
    line_look (self, line);
}

/* Waits for the message with the id. */
static outcome_t await (transport_t *self, line_t *line, uint64_t id, int64_t deadline)
{
    for (;;) {
        peer_t from;
        message_kind_t kind;
        uint64_t got;
        taken_t taken = line_take (self, line, false, &from);
        if (taken == TAKEN_MESSAGE &&
            wire_peek (zmq_msg_data (&self->part), zmq_msg_size (&self->part), &kind, &got) &&
            got == id)
            return OUTCOME_ANSWERED;
        int64_t left = deadline - connections_now_ms ();
        if (taken != TAKEN_NOTHING)
            continue;
        if (line->lost)
            return OUTCOME_LOST;
        if (line->failed || line->failures >= ROUNDS)
            return OUTCOME_REFUSED;
        if (left <= 0)
            return OUTCOME_LATE;
        wait_for_news (self, line, left);
    }
}

/* Sends, and sends again as long as a handshake failed before it can have gone out and there is
 * another server that it may be. */
static outcome_t exchange (transport_t *self, line_t *line, uint64_t id, const void *data,
                           size_t size, int64_t deadline)
{
    size_t tries = self->keyring ? keyring_servers (self->keyring) * ROUNDS : 0;
    for (;;) {
        line->used = ++self->sends;
        line->drained = false;
        line->lost = false;
        if (zmq_send (line->socket, data, size, ZMQ_DONTWAIT) < 0)
            return OUTCOME_LATE;
        outcome_t outcome = await (self, line, id, deadline);
        if (outcome != OUTCOME_REFUSED || line->denied || tries-- <= 1)
            return outcome;
        line->again_ms = 0;
        if (!line_retry (self, line))
            return outcome;
        line->failures = 0; /* this one's */
    }
}

/* libzmq does not say that the other side wants keys where we have none: it connects again and
 * again, or, where it saw that side's greeting in time, gives the connection up, and nothing can be
 * sent. Who is silent is looked at ever less often: a slow machine may keep the first look from
 * seeing. */
static outcome_t ask (transport_t *self, line_t *line, const char *endpoint, uint64_t id,
                      const void *data, size_t size, int64_t deadline)
{
    int64_t silent_ms = SILENT_MS, now = connections_now_ms ();
    if (self->keyring || line->answered || now + silent_ms >= deadline)
        return exchange (self, line, id, data, size, deadline);
    outcome_t outcome = exchange (self, line, id, data, size, now + silent_ms);
    bool is_sent = connections_now_ms () >= now + silent_ms;
    if (outcome == OUTCOME_LATE && !is_sent && endpoint_wants_key (endpoint))
        return OUTCOME_REFUSED;
    while (outcome == OUTCOME_LATE && is_sent) {
        if (endpoint_wants_key (endpoint))
            return OUTCOME_REFUSED;
        silent_ms *= 2;
        now = connections_now_ms ();
        if (now + silent_ms >= deadline)
            return await (self, line, id, deadline);
        outcome = await (self, line, id, now + silent_ms);
    }
    return outcome;
}

status_t transport_needs_key (const char *endpoint, error_t *error)
{
    return error_set (error, STATUS_DENIED,
                      "who listens at %s wants a key, and none is set: the cluster has security "
                      "on; put `security: {keys: DIR}` into weir.yaml, with a secret key and "
                      "the nodes' public one in DIR; see docs/security.md",
                      endpoint);
}

static status_t denied (const transport_t *self, const char *endpoint, bool known, error_t *error)
{
    if (!self->keyring)
        return transport_needs_key (endpoint, error);
    if (known)
        return error_set (
            error, STATUS_DENIED,
            "%s does not accept this key (public key %s): its operator has to put it "
            "into keys/accepted, which nodes read once a second; see docs/security.md",
            endpoint, keyring_own (self->keyring)->public);
    return error_set (error, STATUS_DENIED,
                      "who listens at %s has none of the %zu nodes' keys in keys/accepted, or no "
                      "security at all; see docs/security.md",
                      endpoint, keyring_servers (self->keyring));
}

static status_t nobody_trusted (const transport_t *self, error_t *error)
{
    return error_set (error, STATUS_DENIED,
                      "no node is trusted: keys/accepted has no NAME.node.pub%s%s; see "
                      "docs/security.md",
                      keyring_complaint (self->keyring)[0] ? " that can be used: " : "",
                      keyring_complaint (self->keyring));
}

status_t transport_trouble (const transport_t *self, const peer_t *endpoint, error_t *error)
{
    char name[PEER_SIZE_MAX + 1];
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    if (!self->keyring)
        return STATUS_OK;
    if (keyring_servers (self->keyring) == 0)
        return nobody_trusted (self, error);
    memcpy (name, endpoint->bytes, endpoint->size);
    name[endpoint->size] = '\0';
    for (size_t i = 1; i < self->count; i++) {
        const line_t *line = &self->lines[i];
        if (!peer_equal (&line->endpoint, endpoint) || line->proven)
            continue;
        if (line->denied || line->failures >= ROUNDS * keyring_servers (self->keyring))
            return denied (self, name, line->denied, error);
    }
    return STATUS_OK;
}

static status_t unreachable (const char *endpoint, error_t *error)
{
    return error_set (error, STATUS_UNAVAILABLE,
                      "nobody listens at %s: is the node running? (`weir up` starts all nodes)",
                      endpoint);
}

status_t transport_request (transport_t *self, const char *endpoint, const void *data, size_t size,
                            int timeout_ms, const void **reply, size_t *reply_size, error_t *error)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    message_kind_t kind;
    uint64_t id;
    size_t length = strlen (endpoint);
    CHECK (wire_peek (data, size, &kind, &id));
    if (length == 0 || length > PEER_SIZE_MAX)
        return error_set (error, STATUS_INVALID, "an endpoint has 1 to %d bytes", PEER_SIZE_MAX);
    size_t lines = self->count;
    peer_t peer = peer_of_endpoint (endpoint);
    line_t *line = line_to (self, &peer);
    if (!line && self->keyring && keyring_servers (self->keyring) == 0)
        return nobody_trusted (self, error);
    if (!line)
        return error_set (error, STATUS_INVALID,
                          "\"%s\" is no endpoint: expected tcp://host:port or ipc://path",
                          endpoint);
    size_t at = (size_t)(line - self->lines);
    if (self->count > lines && !endpoint_may_answer (endpoint)) {
        line_drop (self, at);
        return unreachable (endpoint, error);
    }
    int64_t deadline = connections_now_ms () + timeout_ms;
    outcome_t outcome = ask (self, line, endpoint, id, data, size, deadline);
    if (outcome == OUTCOME_ANSWERED) {
        line->answered = true;
        *reply = zmq_msg_data (&self->part);
        *reply_size = zmq_msg_size (&self->part);
        return STATUS_OK;
    }
    bool known = line->denied;
    /* A request still in the queue must not be carried out long after it was given up. */
    line_drop (self, at);
    if (outcome == OUTCOME_REFUSED)
        return denied (self, endpoint, known, error);
    if (!endpoint_may_answer (endpoint))
        return unreachable (endpoint, error);
    if (outcome == OUTCOME_LOST)
        return error_set (error, STATUS_TIMEOUT,
                          "the connection to %s was lost before it answered; the request may have "
                          "been carried out",
                          endpoint);
    return error_set (error, STATUS_TIMEOUT, "%s did not answer within %d ms", endpoint,
                      timeout_ms);
}
