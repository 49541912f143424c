#include "client/api/ask.h"
#include "client/api/state.h"
#include "client/lib/nodes.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    ASK_MAGIC = 0x61736b73,
    LOOK_AGAIN_MS = 50,    /* while nobody is found */
    ASK_ANOTHER_MS = 1000, /* of who says nothing */
};

typedef struct ask ask_t;
struct ask {
    party_t party; /* first: a party is its ask */
    uint32_t magic;
    weir_t *weir;
    client_role_t role;
    message_kind_t kind;
    ask_done_fn *done;
    void *arg;
    uint64_t id; /* 0: not under way */
    size_t next; /* of the role's nodes: that is asked next … */
    size_t at;   /* … and that was asked last */
    uint32_t losses;
    int64_t sent_ms;
    int64_t due_ms; /* when it is to be sent (again) */
    int64_t deadline_ms;
    error_t complaint; /* why there is no answer yet */
    bool over;
    bool untold; /* its time was over; told from api_asks_sweep */
    ask_t *others;
};

/* ---- ends ---- */

/* What is over is unmade by asks_sweep: a party must not go while parties are gone through. */
static void end (ask_t *self, const message_t *reply, const error_t *error)
{
    self->over = true;
    self->weir->client->ended = true;
    self->done (self->arg, reply, error);
}

static void unmake (ask_t *self)
{
    session_leave (self->weir->client, &self->party);
    self->magic = 0;
    mem_free (self);
}

void api_asks_sweep (weir_t *weir)
{
    for (ask_t **at = &weir->asks; *at;) {
        ask_t *ask = *at;
        if (ask->over) {
            *at = ask->others;
            if (ask->untold)
                ask->done (ask->arg, NULL, &ask->complaint);
            unmake (ask);
            at = &weir->asks; /* who was told may have asked again */
        } else {
            at = &ask->others;
        }
    }
}

bool api_asks_untold (const weir_t *weir)
{
    for (const ask_t *ask = weir->asks; ask; ask = ask->others)
        if (ask->untold)
            return true;
    return false;
}

void api_asks_close (weir_t *weir)
{
    while (weir->asks) {
        ask_t *ask = weir->asks;
        weir->asks = ask->others;
        unmake (ask);
    }
}

size_t api_asks_pending (const weir_t *weir)
{
    size_t count = 0;
    for (const ask_t *ask = weir->asks; ask; ask = ask->others)
        count += !ask->over || ask->untold;
    return count;
}

/* ---- sending ---- */

static void transmit_to (ask_t *self, size_t at, int64_t now)
{
    const void *data;
    size_t size;
    client_t *client = self->weir->client;
    peer_t peer = peer_of_endpoint (client->roles[self->role].items[at]);
    self->id = client->next_id++;
    self->at = at;
    self->next = at + 1;
    self->losses = nodes_losses (client, self->role, at);
    self->sent_ms = now;
    self->due_ms = now + ASK_ANOTHER_MS;
    wire_begin (client->own_writer, self->kind, self->id);
    CHECK (wire_end (client->own_writer, &data, &size));
    transport_send (client->transport, &peer, data, size);
}

static void transmit (ask_t *self, int64_t now)
{
    error_t why;
    client_t *client = self->weir->client;
    size_t count = client->roles[self->role].count;
    for (size_t i = 0; i < count; i++) {
        size_t at = (self->next + i) % count;
        if (nodes_look (client, self->role, at, now) == NODE_GOOD) {
            transmit_to (self, at, now);
            return;
        }
    }
    if (nodes_nobody (client, self->role, now, &why) != STATUS_OK)
        self->complaint = why;
    self->due_ms = now + LOOK_AGAIN_MS;
}

static int64_t step (party_t *party, int64_t now)
{
    ask_t *self = (ask_t *)party;
    CHECK_OBJECT (self, ASK_MAGIC);
    if (!self->over && now >= self->deadline_ms) {
        self->over = true;
        self->untold = true;
        self->weir->client->ended = true;
    }
    if (self->over)
        return now + NODES_NEVER_MS;
    if (self->id != 0) {
        nodes_watch (self->weir->client, self->role, self->at, self->sent_ms, now);
        if (nodes_losses (self->weir->client, self->role, self->at) != self->losses)
            self->due_ms = now;
    }
    if (now >= self->due_ms) {
        self->id = 0;
        transmit (self, now);
    }
    int64_t next = self->id != 0 ? now + NODES_LOOK_MS : self->due_ms;
    next = self->due_ms < next ? self->due_ms : next;
    return next < self->deadline_ms ? next : self->deadline_ms;
}

/* ---- answers ---- */

static bool is_final (status_t status)
{
    return status == STATUS_DENIED || status == STATUS_VERSION || status == STATUS_INVALID ||
           status == STATUS_UNSUPPORTED;
}

static void take_error (ask_t *self, const message_t *message, int64_t now)
{
    error_t error;
    client_t *client = self->weir->client;
    status_t status = session_told (message, &error);
    if (wire_has (message->body, "leader"))
        session_take_leader (client, message);
    if (status == STATUS_DENIED && session_rekey (client, true)) {
        nodes_rekeyed (client);
        status = STATUS_UNAVAILABLE; /* by the key that we had */
    }
    if (is_final (status)) {
        end (self, NULL, &error);
        return;
    }
    self->complaint = error;
    self->id = 0;
    self->due_ms = now + LOOK_AGAIN_MS;
}

static bool take (party_t *party, const message_t *message)
{
    ask_t *self = (ask_t *)party;
    CHECK_OBJECT (self, ASK_MAGIC);
    error_t error;
    if (self->over || self->id == 0 || message->id != self->id)
        return false;
    int64_t now = session_now_ms ();
    nodes_heard (self->weir->client, self->role, self->at, now);
    if (message->kind == MESSAGE_ERROR) {
        take_error (self, message, now);
    } else if (message->kind == message_reply (self->kind)) {
        error_clear (&error);
        end (self, message, &error);
    } else {
        (void)error_set (&error, STATUS_CORRUPT, "%s answered %s with %s",
                         session_role_word (self->role), message_word (self->kind),
                         message_word (message->kind));
        end (self, NULL, &error);
    }
    return true;
}

static bool spoiled (party_t *party, uint64_t id, const error_t *why)
{
    ask_t *self = (ask_t *)party;
    error_t error = *why;
    if (self->over || self->id == 0 || id != self->id)
        return false;
    (void)!error_prefix (&error, "the reply of %s", session_role_word (self->role));
    end (self, NULL, &error);
    return true;
}

/* ---- the outside ---- */

void api_ask (weir_t *weir, client_role_t role, message_kind_t kind, int timeout_ms,
              ask_done_fn *done, void *arg)
{
    CHECK_OBJECT (weir, HANDLE_MAGIC);
    int64_t now = session_now_ms ();
    ask_t *self = mem_zero (1, sizeof *self);
    self->party = (party_t){ .step = step, .take = take, .spoiled = spoiled };
    self->magic = ASK_MAGIC;
    self->weir = weir;
    self->role = role;
    self->kind = kind;
    self->done = done;
    self->arg = arg;
    self->due_ms = now;
    self->deadline_ms = now + timeout_ms;
    (void)error_set (&self->complaint, STATUS_TIMEOUT, "%s did not answer in time",
                     session_role_word (role));
    self->others = weir->asks;
    weir->asks = self;
    session_join (weir->client, &self->party);
    api_arm (weir);
}

void api_ask_only (weir_t *weir, const char *serving)
{
    CHECK_OBJECT (weir, HANDLE_MAGIC);
    session_only_serving (weir->client, serving);
}
