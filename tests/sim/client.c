/* Asking: requests, their replies, and what never comes. */
#include "tests/sim/clients.h"
#include "tests/sim/world.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

typedef struct ask {
    uint64_t id;
    void (*done) (void *arg, const message_t *reply);
    void *arg;
    struct ask *next;
} ask_t;

struct sim_client {
    sim_t *sim;
    sim_node_t *node;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
    uint64_t next_id;
    const sim_node_t *leader; /* the coordinator that is asked */
    ask_t *asks;
};

typedef struct deadline {
    sim_client_t *client;
    uint64_t id;
} deadline_t;

/* Takes the request out of the list; false when it has ended. */
static bool take_ask (sim_client_t *self, uint64_t id, ask_t *taken)
{
    for (ask_t **at = &self->asks; *at; at = &(*at)->next) {
        ask_t *ask = *at;
        if (ask->id != id)
            continue;
        *at = ask->next;
        *taken = *ask;
        mem_free (ask);
        return true;
    }
    return false;
}

/* Whom a coordinator that stands by names, or another. */
static void be_referred (sim_client_t *self, const message_t *message)
{
    char endpoint[WIRE_NAME_MAX + 1];
    if (message && (message->kind != MESSAGE_ERROR || !wire_has (message->body, "leader")))
        return;
    if (message)
        wire_copy (message->body, "leader", endpoint, sizeof endpoint);
    const sim_node_t *named = message ? sim_node_of (self->sim, endpoint) : NULL;
    self->leader = named ? named : leaders_any (self->sim, self->leader);
}

static void received (void *arg, const peer_t *from, const void *data, size_t size)
{
    sim_client_t *self = arg;
    (void)from;
    message_t message;
    error_t error;
    if (wire_decode (self->decoder, data, size, &message, &error) != STATUS_OK) {
        sim_fail (self->sim, "a client cannot read an answer: %s", error.text);
        return;
    }
    ask_t ask;
    if (!take_ask (self, message.id, &ask))
        return;
    be_referred (self, &message);
    ask.done (ask.arg, &message);
}

static void expired (sim_t *sim, void *arg)
{
    deadline_t deadline = *(deadline_t *)arg;
    mem_free (arg);
    ask_t ask;
    if (sim_finished (sim) || !take_ask (deadline.client, deadline.id, &ask))
        return;
    be_referred (deadline.client, NULL);
    ask.done (ask.arg, NULL);
}

const sim_node_t *client_coordinator (sim_client_t *self)
{
    if (!self->leader)
        self->leader = leaders_any (self->sim, NULL);
    return self->leader;
}

sim_client_t *client_new (sim_t *sim, const char *name)
{
    sim_client_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    self->node = sim_client_node (sim, name, received, self);
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
    self->next_id = 1;
    return self;
}

void client_destroy (sim_client_t **self_p)
{
    sim_client_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    while (self->asks) {
        ask_t *ask = self->asks;
        self->asks = ask->next;
        mem_free (ask);
    }
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    mem_free (self);
}

wire_writer_t *client_begin (sim_client_t *self, message_kind_t kind)
{
    wire_begin (self->writer, kind, self->next_id);
    return self->writer;
}

void client_ask (sim_client_t *self, const sim_node_t *to, int64_t timeout,
                 void (*done) (void *arg, const message_t *reply), void *arg)
{
    const void *data;
    size_t size;
    bool fits = wire_end (self->writer, &data, &size);
    CHECK (fits);
    ask_t *ask = mem_alloc (sizeof *ask);
    *ask = (ask_t){ self->next_id++, done, arg, self->asks };
    self->asks = ask;
    deadline_t *deadline = mem_alloc (sizeof *deadline);
    *deadline = (deadline_t){ self, ask->id };
    sim_at (self->sim, sim_now (self->sim) + timeout, expired, deadline);
    peer_t peer = peer_of_endpoint (to->endpoint);
    self->node->env.send (&self->node->env, &peer, data, size);
}

status_t client_status (const message_t *reply)
{
    char word[WIRE_NAME_MAX + 1];
    wire_copy (reply->body, "status", word, sizeof word);
    return status_from_word (word);
}

bool client_may_retry (sim_t *sim, const char *what, const message_t *reply)
{
    if (!reply)
        return true;
    CHECK (reply->kind == MESSAGE_ERROR);
    switch (client_status (reply)) {
    case STATUS_BUSY:
    case STATUS_UNAVAILABLE:
    case STATUS_TIMEOUT:
    case STATUS_FENCED:
    case STATUS_STALE:
        return true;
    case STATUS_IO:
    case STATUS_NO_SPACE:
        if (sim_has_bad_disks (sim))
            return true;
        break;
    case STATUS_CORRUPT: /* which is the right answer where bits rot */
        if (sim_knobs (sim)->every[STRIKE_ROT] > 0)
            return true;
        break;
    default:
        break;
    }
    sim_fail (sim, "%s is answered with %s: " TEXT_FORMAT, what,
              status_word (client_status (reply)), TEXT_ARGS (wire_text (reply->body, "text")));
    return false;
}
