/* pump.c - one loop for all who send and take messages over a client's connections. */
#include "client/lib/nodes.h"
#include "client/lib/session.h"

#include "base/check.h"

void session_join (client_t *self, party_t *party)
{
    party->next = self->parties;
    self->parties = party;
}

void session_leave (client_t *self, party_t *party)
{
    party_t **at = &self->parties;
    while (*at && *at != party)
        at = &(*at)->next;
    if (*at)
        *at = party->next;
}

/* Whoever takes a message may leave, or another one join: nobody is looked at after that. */
static void hand_out (client_t *self, const message_t *message, int64_t now)
{
    if (nodes_take (self, message, now))
        return;
    for (party_t *party = self->parties; party; party = party->next)
        if (party->take (party, message))
            return;
}

static void hand_out_spoiled (client_t *self, const void *data, size_t size, const error_t *error)
{
    message_kind_t kind;
    uint64_t id;
    if (!wire_peek (data, size, &kind, &id))
        return;
    for (party_t *party = self->parties; party; party = party->next)
        if (party->spoiled (party, id, error))
            return;
}

int64_t session_step (client_t *self)
{
    int64_t now = session_now_ms ();
    if (session_rekey (self, false))
        nodes_rekeyed (self);
    int64_t next = nodes_step (self, now);
    for (party_t *party = self->parties; party; party = party->next) {
        int64_t due = party->step (party, now);
        next = due < next ? due : next;
    }
    int64_t again = nodes_step (self, now); /* what they have begun */
    return again < next ? again : next;
}

status_t session_pump (client_t *self, int wait_ms, error_t *error)
{
    CHECK_OBJECT (self, CLIENT_MAGIC);
    peer_t from;
    const void *data;
    size_t size;
    status_t status = session_start (self, error);
    if (status != STATUS_OK)
        return status;
    self->ended = false;
    int64_t quiet = session_step (self) - session_now_ms ();
    if (quiet < wait_ms)
        wait_ms = (int)(quiet > 0 ? quiet : 0);
    if (self->ended)
        wait_ms = 0;
    self->halted = false;
    transport_poll (self->transport, wait_ms, NULL, 0, NULL);
    while (!self->halted && transport_receive (self->transport, &from, &data, &size)) {
        message_t message;
        error_t why;
        if (wire_decode (self->decoder, data, size, &message, &why) == STATUS_OK)
            hand_out (self, &message, session_now_ms ());
        else
            hand_out_spoiled (self, data, size, &why);
    }
    return STATUS_OK;
}

int64_t session_backoff (random_t *jitter, uint32_t tries, uint64_t asked_ms)
{
    enum {
        FIRST_MS = 20,
        MOST_MS = 2000,
        ASKED_MAX_MS = 30000, /* longer than that nobody waits because a node says so */
    };
    uint64_t wait = (uint64_t)FIRST_MS << (tries < 7 ? tries : 7);
    wait = wait < MOST_MS ? wait : MOST_MS;
    if (asked_ms > wait)
        wait = asked_ms < ASKED_MAX_MS ? asked_ms : ASKED_MAX_MS;
    return (int64_t)(wait + random_below (jitter, wait / 2 + 1));
}
