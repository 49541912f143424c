#include "client/lib/gets.h"
#include "client/lib/nodes.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

enum {
    GETS_MAGIC = 0x67657473,
    TIME_MS_DEFAULT = 10000,  /* without a deadline of its own */
    GRACE_MS = 1000,          /* past the deadline that the serving node keeps */
    INSIST_SECURED_MS = 2000, /* a node that takes another key listens again within this */
    LOOK_AGAIN_MS = 50,       /* while nobody listens */
};

typedef struct slot {
    bool used;
    bool under_way; /* with `node` */
    bool rekeyed;   /* asked again once because of a key */
    uint64_t id;
    uint64_t tag;
    size_t keys;
    size_t node;
    uint32_t losses; /* of the node, when it was sent */
    uint32_t tries;
    int64_t sent_ms;
    int64_t due_ms;  /* to be sent, when it is not under way */
    int64_t half_ms; /* then another node is asked too */
    int64_t deadline_ms;
    int64_t patient_ms; /* until then that nobody can answer is not the end … */
    int64_t insist_ms;  /* … and until then not that nobody listens */
    buf_t bytes;
} slot_t;

struct gets {
    party_t party; /* first: a party is its gets */
    uint32_t magic;
    client_t *client;
    gets_done_fn *done;
    void *arg;
    size_t most;
    size_t used;
    slot_t *slots;
    unsigned asked[NODES_MAX]; /* under way, by node */
    random_t jitter;
};

/* ---- ends ---- */

static void set_down (gets_t *self, slot_t *slot)
{
    if (slot->under_way && slot->node < NODES_MAX)
        self->asked[slot->node]--;
    slot->under_way = false;
}

static void end (gets_t *self, slot_t *slot, const message_t *reply, const error_t *error)
{
    uint64_t tag = slot->tag;
    set_down (self, slot);
    slot->used = false;
    self->used--;
    self->client->ended = true;
    buf_clear (&slot->bytes);
    self->done (self->arg, tag, reply, error);
}

static void end_late (gets_t *self, slot_t *slot)
{
    error_t error;
    self->client->unreachable = true;
    const endpoints_t *serving = &self->client->roles[CLIENT_SERVING];
    (void)error_set (&error, STATUS_TIMEOUT, "%s%s%s did not answer in time",
                     session_role_word (CLIENT_SERVING), slot->tries > 0 ? " at " : "",
                     slot->tries > 0 ? serving->items[slot->node] : "");
    end (self, slot, NULL, &error);
}

/* ---- sending ---- */

/* The good node that we have asked for least: of equals, the one that answered last. */
static bool choose (gets_t *self, const slot_t *slot, int64_t now, size_t *chosen)
{
    const endpoints_t *serving = &self->client->roles[CLIENT_SERVING];
    bool found = false;
    for (size_t i = 0; i < serving->count; i++) {
        size_t at = (serving->next + i) % serving->count;
        bool again = slot->under_way && at == slot->node;
        if (again || nodes_look (self->client, CLIENT_SERVING, at, now) != NODE_GOOD)
            continue;
        if (!found || self->asked[at] < self->asked[*chosen])
            *chosen = at;
        found = true;
    }
    return found;
}

static void transmit_to (gets_t *self, slot_t *slot, size_t at, int64_t now)
{
    peer_t peer = peer_of_endpoint (self->client->roles[CLIENT_SERVING].items[at]);
    set_down (self, slot);
    transport_send (self->client->transport, &peer, slot->bytes.data, slot->bytes.size);
    slot->under_way = true;
    slot->node = at;
    slot->losses = nodes_losses (self->client, CLIENT_SERVING, at);
    slot->sent_ms = now;
    slot->tries++;
    self->asked[at]++;
}

/* To a node, when one is found; that there is none may be the end. */
static void transmit (gets_t *self, slot_t *slot, int64_t now)
{
    size_t at;
    error_t error;
    if (choose (self, slot, now, &at)) {
        transmit_to (self, slot, at, now);
        return;
    }
    status_t status = nodes_nobody (self->client, CLIENT_SERVING, now, &error);
    int64_t until = status == STATUS_UNAVAILABLE ? slot->insist_ms : slot->patient_ms;
    bool final = status != STATUS_OK && status != STATUS_TIMEOUT && now >= until;
    if (final || (self->client->foreign && status == STATUS_INVALID))
        end (self, slot, NULL, &error);
    else
        slot->due_ms = status == STATUS_OK ? now : now + LOOK_AGAIN_MS;
}

static void wait_and_ask_again (gets_t *self, slot_t *slot, int64_t now, uint64_t asked_ms)
{
    set_down (self, slot);
    slot->due_ms = now + session_backoff (&self->jitter, slot->tries, asked_ms);
}

/* Is what it was sent to still there? Has it taken half the time? */
static void watch (gets_t *self, slot_t *slot, int64_t now)
{
    size_t other;
    nodes_watch (self->client, CLIENT_SERVING, slot->node, slot->sent_ms, now);
    if (nodes_losses (self->client, CLIENT_SERVING, slot->node) != slot->losses) {
        set_down (self, slot);
        slot->due_ms = now;
    } else if (now >= slot->half_ms) {
        slot->half_ms = slot->deadline_ms;
        if (choose (self, slot, now, &other))
            transmit_to (self, slot, other, now);
    }
}

static int64_t next_of (const slot_t *slot, int64_t now)
{
    int64_t next = slot->under_way ? now + NODES_LOOK_MS : slot->due_ms;
    if (slot->under_way && slot->half_ms < next)
        next = slot->half_ms;
    if (next <= now) /* it waits for what is found out of the nodes, which has a time of its own */
        next = now + LOOK_AGAIN_MS;
    return next < slot->deadline_ms ? next : slot->deadline_ms;
}

static int64_t step (party_t *party, int64_t now)
{
    gets_t *self = (gets_t *)party;
    CHECK_OBJECT (self, GETS_MAGIC);
    int64_t next = now + NODES_NEVER_MS;
    for (size_t i = 0; i < self->most && self->used > 0; i++) {
        slot_t *slot = &self->slots[i];
        if (slot->used && slot->under_way)
            watch (self, slot, now);
        if (slot->used && now >= slot->deadline_ms)
            end_late (self, slot);
        if (slot->used && !slot->under_way && now >= slot->due_ms)
            transmit (self, slot, now);
        if (slot->used && next_of (slot, now) < next)
            next = next_of (slot, now);
    }
    return next;
}

/* ---- answers ---- */

static slot_t *slot_of (gets_t *self, uint64_t id)
{
    for (size_t i = 0; i < self->most; i++)
        if (self->slots[i].used && self->slots[i].id == id)
            return &self->slots[i];
    return NULL;
}

static bool is_passing (status_t status)
{
    return status == STATUS_BUSY || status == STATUS_NO_SPACE || status == STATUS_UNAVAILABLE ||
           status == STATUS_TIMEOUT || status == STATUS_STALE || status == STATUS_FENCED;
}

/* A refusal. What is not accepted may be so with the keys that are in the files now. */
static void take_error (gets_t *self, slot_t *slot, const message_t *message, int64_t now)
{
    error_t error;
    status_t status = session_told (message, &error);
    if (status == STATUS_DENIED && !slot->rekeyed && session_rekey (self->client, true)) {
        nodes_rekeyed (self->client);
        slot->rekeyed = true;
        set_down (self, slot);
        slot->due_ms = now;
    } else if (is_passing (status) && now < slot->patient_ms) {
        wait_and_ask_again (self, slot, now, error.retry_ms);
    } else {
        end (self, slot, NULL, &error);
    }
}

static bool take (party_t *party, const message_t *message)
{
    gets_t *self = (gets_t *)party;
    CHECK_OBJECT (self, GETS_MAGIC);
    error_t error;
    slot_t *slot = slot_of (self, message->id);
    if (!slot)
        return false;
    int64_t now = session_now_ms ();
    nodes_heard (self->client, CLIENT_SERVING, slot->node, now);
    if (message->kind == MESSAGE_ERROR) {
        take_error (self, slot, message, now);
        return true;
    }
    self->client->roles[CLIENT_SERVING].next = slot->node;
    error_clear (&error);
    status_t status = STATUS_OK;
    if (message->kind != MESSAGE_GET_OK)
        status = error_set (&error, STATUS_CORRUPT, "%s answered get with %s",
                            session_role_word (CLIENT_SERVING), message_word (message->kind));
    else
        status = client_check_results (message->body, slot->keys, &error);
    end (self, slot, status == STATUS_OK ? message : NULL, &error);
    return true;
}

static bool spoiled (party_t *party, uint64_t id, const error_t *why)
{
    gets_t *self = (gets_t *)party;
    slot_t *slot = slot_of (self, id);
    if (!slot)
        return false;
    error_t error = *why;
    (void)!error_prefix (&error, "the reply of %s", session_role_word (CLIENT_SERVING));
    end (self, slot, NULL, &error);
    return true;
}

/* ---- the outside ---- */

gets_t *gets_new (client_t *client, size_t most, gets_done_fn *done, void *arg)
{
    CHECK (most > 0 && most <= GETS_MAX);
    gets_t *self = mem_zero (1, sizeof *self);
    self->party = (party_t){ .step = step, .take = take, .spoiled = spoiled };
    self->magic = GETS_MAGIC;
    self->client = client;
    self->done = done;
    self->arg = arg;
    self->most = most;
    self->slots = mem_zero (most, sizeof *self->slots);
    for (size_t i = 0; i < most; i++)
        buf_init (&self->slots[i].bytes, WIRE_MESSAGE_MAX);
    random_seed (&self->jitter, (uint64_t)session_now_ms ());
    session_join (client, &self->party);
    return self;
}

void gets_destroy (gets_t **self_p)
{
    gets_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, GETS_MAGIC);
    session_leave (self->client, &self->party);
    for (size_t i = 0; i < self->most; i++)
        buf_release (&self->slots[i].bytes);
    mem_free (self->slots);
    self->magic = 0;
    mem_free (self);
}

size_t gets_under_way (const gets_t *self)
{
    return self->used;
}

static slot_t *free_slot (gets_t *self)
{
    for (size_t i = 0; i < self->most; i++)
        if (!self->slots[i].used)
            return &self->slots[i];
    return NULL;
}

static bool encode (gets_t *self, const client_get_t *get, slot_t *slot)
{
    const void *data;
    size_t size;
    wire_writer_t *writer = self->client->own_writer;
    slot->id = self->client->next_id++;
    wire_begin (writer, MESSAGE_GET, slot->id);
    client_put_get (writer, get);
    if (!wire_end (writer, &data, &size))
        return false;
    buf_clear (&slot->bytes);
    buf_put (&slot->bytes, data, size);
    return !slot->bytes.bad;
}

status_t gets_submit (gets_t *self, const client_get_t *get, uint64_t tag, error_t *error)
{
    CHECK_OBJECT (self, GETS_MAGIC);
    status_t status = session_start (self->client, error);
    if (status != STATUS_OK)
        return status;
    slot_t *slot = free_slot (self);
    if (!slot)
        return error_set (error, STATUS_BUSY, "%zu queries are under way", self->used);
    if (!encode (self, get, slot))
        return error_set (error, STATUS_TOO_LARGE, "the request is over the limit of a message");
    int64_t now = session_now_ms (), time = TIME_MS_DEFAULT;
    if (get->deadline_ms > 0)
        time = (int64_t)get->deadline_ms + GRACE_MS;
    slot->patient_ms = now + get->patience_ms;
    slot->insist_ms = slot->patient_ms;
    if (self->client->keys && get->patience_ms < INSIST_SECURED_MS)
        slot->insist_ms = now + INSIST_SECURED_MS;
    slot->deadline_ms = now + time + get->patience_ms;
    slot->half_ms = now + time / 2;
    slot->used = true;
    slot->under_way = false;
    slot->rekeyed = false;
    slot->tag = tag;
    slot->keys = get->keys_count;
    slot->tries = 0;
    slot->due_ms = now;
    self->used++;
    self->client->unreachable = false;
    self->client->foreign = false;
    return STATUS_OK;
}
