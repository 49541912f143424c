#include "client/lib/session.h"
#include "client/lib/gets.h"
#include "client/lib/nodes.h"

#include "base/check.h"
#include "base/mem.h"
#include "feature/endpoint.h"

#include <stdlib.h>
#include <time.h>

enum { COORDINATORS_KNOWN_MAX = 16, ASK_AGAIN_MS = 50 };

/* A node that takes another key listens again within this. */
enum { LISTENS_AGAIN_MS = 2000 };

static const char *const role_words[CLIENT_ROLES] = { "the coordinator", "a serving node",
                                                      "a speed worker" };

/* ---- opening and closing ---- */

static void endpoints_clear (endpoints_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        mem_free (self->items[i]);
        node_release (&self->nodes[i]);
    }
    mem_free (self->items);
    mem_free (self->ours);
    mem_free (self->nodes);
    *self = (endpoints_t){ 0 };
}

static void endpoints_add (endpoints_t *self, text_t endpoint)
{
    self->items = mem_resize (self->items, self->count + 1, sizeof *self->items);
    self->ours = mem_resize (self->ours, self->count + 1, sizeof *self->ours);
    self->nodes = mem_resize (self->nodes, self->count + 1, sizeof *self->nodes);
    self->nodes[self->count] = (struct node){ 0 };
    self->ours[self->count] = false;
    self->items[self->count++] = mem_string_n (endpoint.data, endpoint.size);
}

static client_t *session_new (void)
{
    client_t *self = mem_zero (1, sizeof *self);
    self->magic = CLIENT_MAGIC;
    self->writer = wire_writer_new ();
    self->own_writer = wire_writer_new ();
    self->ping_writer = wire_writer_new ();
    self->decoder = wire_decoder_new ();
    self->next_id = 1;
    return self;
}

client_t *client_of_project (const project_t *project)
{
    client_t *self = session_new ();
    for (size_t i = 0; i < project->coordinators_count; i++)
        endpoints_add (&self->roles[CLIENT_COORDINATOR], text_of (project->coordinators[i]));
    self->cluster = mem_string (project->cluster);
    self->open = project->open;
    if (project->keys)
        self->keys = mem_string (project->keys);
    for (size_t i = 0; i < project->serving_count; i++)
        endpoints_add (&self->roles[CLIENT_SERVING], text_of (project->serving[i]));
    for (size_t i = 0; i < project->speed_workers_count; i++)
        endpoints_add (&self->roles[CLIENT_SPEED], text_of (project->speed_workers[i]));
    return self;
}

status_t client_open (const char *directory, client_t **weir, error_t *error)
{
    project_t *project;
    *weir = NULL;
    status_t status = project_read (directory, &project, error);
    if (status != STATUS_OK)
        return status;
    *weir = client_of_project (project);
    project_destroy (&project);
    return STATUS_OK;
}

status_t client_connect_any (const char *const *coordinators, size_t count, const char *cluster,
                             const char *keys, client_t **client, error_t *error)
{
    *client = NULL;
    if (count == 0 || count > COORDINATORS_KNOWN_MAX)
        return error_set (error, STATUS_INVALID, "a cluster has 1 to %d coordinators",
                          COORDINATORS_KNOWN_MAX);
    for (size_t i = 0; i < count; i++) {
        text_t endpoint = text_of (coordinators[i]);
        status_t status = endpoint_check (endpoint, error);
        if (status == STATUS_OK)
            status = endpoint_check_reach (endpoint, keys != NULL, error);
        if (status != STATUS_OK)
            return error_prefix (error, "%s", coordinators[i]);
    }
    *client = session_new ();
    for (size_t i = 0; i < count; i++)
        endpoints_add (&(*client)->roles[CLIENT_COORDINATOR], text_of (coordinators[i]));
    (*client)->cluster = cluster ? mem_string (cluster) : NULL;
    (*client)->keys = keys ? mem_string (keys) : NULL;
    return STATUS_OK;
}

status_t client_connect (const char *coordinator, client_t **client, error_t *error)
{
    return client_connect_any (&coordinator, 1, NULL, NULL, client, error);
}

status_t client_connect_secured (const char *coordinator, const char *keys, const char *key,
                                 client_t **client, error_t *error)
{
    status_t status = client_connect_any (&coordinator, 1, NULL, keys, client, error);
    if (status == STATUS_OK)
        client_use_key (*client, key);
    return status;
}

void client_use_key (client_t *self, const char *key)
{
    CHECK_OBJECT (self, CLIENT_MAGIC);
    mem_free (self->secret);
    self->secret = key ? mem_string (key) : NULL;
}

void client_close (client_t **self_p)
{
    client_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, CLIENT_MAGIC);
    gets_destroy (&self->single);
    transport_destroy (&self->transport);
    wire_writer_destroy (&self->writer);
    wire_writer_destroy (&self->own_writer);
    wire_writer_destroy (&self->ping_writer);
    wire_decoder_destroy (&self->decoder);
    for (size_t i = 0; i < CLIENT_ROLES; i++)
        endpoints_clear (&self->roles[i]);
    mem_free (self->cluster);
    mem_free (self->keys);
    mem_free (self->secret);
    self->magic = 0;
    mem_free (self);
}

bool client_unreachable (const client_t *self)
{
    return self->unreachable;
}

bool client_foreign (const client_t *self)
{
    return self->foreign;
}

int64_t session_now_ms (void)
{
    struct timespec now;
    CHECK (clock_gettime (CLOCK_BOOTTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- keys ---- */

static void choose_secret (client_t *self)
{
    const char *given = getenv ("WEIR_KEY");
    if (self->secret)
        return;
    self->secret =
        given && *given ? mem_string (given) : mem_format ("%s/client.secret", self->keys);
}

status_t session_start (client_t *self, error_t *error)
{
    keyring_t *keyring = NULL;
    if (self->transport)
        return STATUS_OK;
    if (self->keys) {
        choose_secret (self);
        if (keyring_read (self->keys, self->secret, &keyring, error) == STATUS_NOT_FOUND)
            return error_prefix (error, "the cluster has security on, and this needs a key (`weir "
                                        "keygen client --role admin` makes one; --key and WEIR_KEY "
                                        "name another)");
        if (!keyring)
            return error->status;
        self->keys_looked_ms = session_now_ms ();
    }
    return transport_new_secured (NULL, &keyring, &self->transport, error);
}

status_t client_check_keys (client_t *self, error_t *error)
{
    CHECK_OBJECT (self, CLIENT_MAGIC);
    return session_start (self, error);
}

bool session_rekey (client_t *self, bool now)
{
    enum { LOOK_EVERY_MS = 1000 };
    int64_t time = session_now_ms ();
    keyring_t *keyring = NULL;
    error_t error;
    if (!self->transport || !self->keys || (!now && time < self->keys_looked_ms + LOOK_EVERY_MS))
        return false;
    self->keys_looked_ms = time;
    /* files that are half changed are looked at again */
    if (!keyring_changed (transport_keyring (self->transport)) ||
        keyring_read (self->keys, self->secret, &keyring, &error) != STATUS_OK)
        return false;
    return transport_rekey (self->transport, &keyring, &error) == STATUS_OK;
}

/* ---- asking ---- */

/* A message, and who may answer it. */
typedef struct request {
    message_kind_t kind;
    const void *data;
    size_t size;
    endpoints_t *endpoints;
    client_role_t role;
} request_t;

typedef struct answer {
    const void *data;
    size_t size;
} answer_t;

wire_writer_t *client_begin (client_t *self, message_kind_t kind)
{
    CHECK_OBJECT (self, CLIENT_MAGIC);
    wire_begin (self->writer, kind, self->next_id++);
    return self->writer;
}

status_t session_told (const message_t *message, error_t *error)
{
    char word[WIRE_NAME_MAX + 1];
    wire_copy (message->body, "status", word, sizeof word);
    status_t status = status_from_word (word);
    if (status == STATUS_OK || status == STATUS_END)
        status = STATUS_INVALID;
    text_t text = wire_text (message->body, "text");
    uint64_t retry_ms = wire_uint (message->body, "retry_ms", 0);
    return error_set_retry (error, status, retry_ms < UINT32_MAX ? (uint32_t)retry_ms : UINT32_MAX,
                            TEXT_FORMAT, TEXT_ARGS (text));
}

const char *session_role_word (client_role_t role)
{
    return role_words[role];
}

status_t session_cannot_reach (client_t *self, client_role_t role, error_t *error)
{
    const endpoints_t *endpoints = &self->roles[role];
    buf_t list;
    self->unreachable = true;
    buf_init (&list, ERROR_TEXT_MAX / 2);
    for (size_t i = 0; i < endpoints->count; i++)
        buf_printf (&list, "%s%s", i > 0 ? ", " : "", endpoints->items[i]);
    status_t status =
        error_set (error, STATUS_UNAVAILABLE,
                   "cannot reach %s at %s: is the cluster up? start it with `weir up -d`",
                   role_words[role], list.bad ? endpoints->items[0] : buf_string (&list));
    buf_release (&list);
    return status;
}

static status_t unreachable (client_t *self, client_role_t role, status_t status, error_t *error)
{
    self->unreachable = true;
    if (status == STATUS_TIMEOUT)
        return error_prefix (error, "%s", role_words[role]);
    (void)!session_cannot_reach (self, role, error);
    error->status = status;
    return status;
}

status_t session_recognize (client_t *self, endpoints_t *endpoints, size_t at, int timeout_ms,
                            error_t *error)
{
    const void *data, *bytes;
    size_t size, bytes_size;
    message_t reply;
    if (!self->cluster || endpoints->ours[at])
        return STATUS_OK;
    wire_begin (self->ping_writer, MESSAGE_PING, self->next_id++);
    CHECK (wire_end (self->ping_writer, &data, &size));
    status_t status = transport_request (self->transport, endpoints->items[at], data, size,
                                         timeout_ms, &bytes, &bytes_size, error);
    if (status == STATUS_OK)
        status = wire_decode (self->decoder, bytes, bytes_size, &reply, error);
    if (status != STATUS_OK)
        return status;
    if (reply.kind == MESSAGE_ERROR)
        return session_told (&reply, error);
    if (reply.kind != MESSAGE_PING_OK)
        return error_set (error, STATUS_CORRUPT, "%s answered ping with %s", endpoints->items[at],
                          message_word (reply.kind));
    text_t cluster = wire_text (reply.body, "cluster");
    self->foreign = !text_is (cluster, self->cluster);
    if (self->foreign)
        return error_set (error, STATUS_INVALID, "%s is cluster '" TEXT_FORMAT "', not '%s'",
                          endpoints->items[at], TEXT_ARGS (cluster), self->cluster);
    endpoints->ours[at] = true;
    return STATUS_OK;
}

/* Does asking twice do no harm? */
static bool only_reads (message_kind_t kind)
{
    return kind == MESSAGE_GET || kind == MESSAGE_STATUS || kind == MESSAGE_LOADS ||
           kind == MESSAGE_RECOMPUTES || kind == MESSAGE_FORGETS || kind == MESSAGE_ROUTES ||
           kind == MESSAGE_DEFINITIONS || kind == MESSAGE_VERSIONS || kind == MESSAGE_METRICS ||
           kind == MESSAGE_PING;
}

/* What a coordinator names is checked before a peer is made of it. */
static bool is_good_name (text_t endpoint)
{
    error_t ignored;
    return endpoint.size <= PEER_SIZE_MAX && endpoint_check (endpoint, &ignored) == STATUS_OK;
}

void session_take_leader (client_t *self, const message_t *message)
{
    endpoints_t *endpoints = &self->roles[CLIENT_COORDINATOR];
    error_t ignored;
    text_t leader = wire_text (message->body, "leader");
    bool may_be_far = self->keys || self->open;
    bool known = endpoints->count >= COORDINATORS_KNOWN_MAX || !is_good_name (leader) ||
                 endpoint_check_reach (leader, may_be_far, &ignored) != STATUS_OK;
    for (size_t i = 0; i < endpoints->count && !known; i++)
        known = text_is (leader, endpoints->items[i]);
    if (!known)
        endpoints_add (endpoints, leader);
}

/* A coordinator that does not lead has carried nothing out. Where it says that another one leads,
 * that one is asked too from now on. */
static bool stands_by (client_t *self, const answer_t *answer, error_t *error)
{
    message_t message;
    error_t ignored;
    if (wire_decode (self->decoder, answer->data, answer->size, &message, &ignored) != STATUS_OK ||
        message.kind != MESSAGE_ERROR || !wire_has (message.body, "leader"))
        return false;
    (void)!session_told (&message, error);
    session_take_leader (self, &message);
    return true;
}

/* How a round over all ended. */
typedef struct round {
    bool known;    /* what is to be said, by `status` */
    bool standing; /* somebody was there, but none that leads */
    status_t status;
} round_t;

/* One after the other, from the one that answered last on. Who is not there, or does not lead, is
 * passed over; who does not answer is so only where asking twice does no harm. */
static round_t ask_each (client_t *self, const request_t *request, answer_t *answer, int timeout_ms,
                         error_t *error)
{
    round_t round = { .status = STATUS_UNAVAILABLE };
    endpoints_t *endpoints = request->endpoints;
    bool harmless = only_reads (request->kind);
    if (request->role == CLIENT_COORDINATOR && harmless && endpoints->count > 1)
        timeout_ms = timeout_ms / 3 + 1; /* one that is stopped must not use up the time of all */
    for (size_t i = 0; i < endpoints->count; i++) {
        size_t at = (endpoints->next + i) % endpoints->count;
        status_t now = session_recognize (self, endpoints, at, timeout_ms, error);
        bool asked = now == STATUS_OK;
        if (asked)
            now =
                transport_request (self->transport, endpoints->items[at], request->data,
                                   request->size, timeout_ms, &answer->data, &answer->size, error);
        if (now == STATUS_OK && request->role == CLIENT_COORDINATOR &&
            stands_by (self, answer, error)) {
            round.standing = true;
            continue;
        }
        if (now == STATUS_OK)
            endpoints->next = at;
        if (now != STATUS_UNAVAILABLE)
            round.status = now;
        round.known = now == STATUS_OK || now == STATUS_DENIED || self->foreign;
        if (round.known || (now == STATUS_TIMEOUT && asked && !harmless))
            return round;
    }
    return round;
}

/* A node that takes another key breaks its connections off and listens nowhere for an instant: with
 * keys, a query is asked again. And where a coordinator stands by, one is going to lead: that is
 * waited for. */
static status_t ask (client_t *self, const request_t *request, answer_t *answer, int timeout_ms,
                     error_t *error)
{
    int64_t asked = session_now_ms ();
    int64_t deadline = asked + timeout_ms;
    int64_t left = timeout_ms;
    for (;;) {
        round_t round = ask_each (self, request, answer, (int)left, error);
        if (round.known)
            return round.status;
        int64_t now = session_now_ms ();
        left = deadline - now;
        bool nobody = round.status == STATUS_UNAVAILABLE;
        /* with little time left, the one that stood by may not have answered in what there was */
        bool late = left <= 0 && only_reads (request->kind);
        bool taken_over = round.standing && (nobody || late);
        bool listens_again =
            nobody && self->keys && only_reads (request->kind) && now < asked + LISTENS_AGAIN_MS;
        bool rekeyed =
            round.status == STATUS_TIMEOUT && request->role == CLIENT_SERVING && self->keys;
        if (taken_over && left <= 0) {
            self->unreachable = true;
            return error_set (error, STATUS_UNAVAILABLE, "no coordinator leads just now, of %zu",
                              request->endpoints->count);
        }
        if ((!taken_over && !rekeyed && !listens_again) || left <= 0)
            return unreachable (self, request->role, round.status, error);
        if (nobody)
            transport_poll (self->transport, ASK_AGAIN_MS, NULL, 0, NULL);
    }
}

/* What is not accepted may be so with the keys that are in the files now. */
static status_t ask_with_keys (client_t *self, const request_t *request, int timeout_ms,
                               message_t *reply, error_t *error)
{
    answer_t answer;
    for (bool again = false;; again = true) {
        status_t status = ask (self, request, &answer, timeout_ms, error);
        if (status == STATUS_OK) {
            status = wire_decode (self->decoder, answer.data, answer.size, reply, error);
            if (status != STATUS_OK)
                return error_prefix (error, "the reply of %s", role_words[request->role]);
            if (reply->kind == MESSAGE_ERROR)
                status = session_told (reply, error);
        }
        if (status != STATUS_DENIED || again || !session_rekey (self, true))
            return status;
    }
}

static status_t exchange (client_t *self, wire_writer_t *writer, endpoints_t *endpoints,
                          client_role_t role, int timeout_ms, message_t *reply, error_t *error)
{
    const void *data;
    size_t size;
    message_kind_t kind;
    uint64_t id;
    self->unreachable = false;
    self->foreign = false;
    if (!wire_end (writer, &data, &size))
        return error_set (error, STATUS_TOO_LARGE, "the request is over the limit of a message");
    CHECK (wire_peek (data, size, &kind, &id));
    (void)session_rekey (self, false);
    const request_t request = {
        .data = data, .size = size, .kind = kind, .endpoints = endpoints, .role = role
    };
    status_t status = ask_with_keys (self, &request, timeout_ms, reply, error);
    if (status != STATUS_OK)
        return status;
    if (reply->kind != message_reply (kind))
        return error_set (error, STATUS_CORRUPT, "%s answered %s with %s", role_words[role],
                          message_word (kind), message_word (reply->kind));
    return STATUS_OK;
}

static bool is_known (const endpoints_t *endpoints, text_t name)
{
    for (size_t i = 0; i < endpoints->count; i++)
        if (text_is (name, endpoints->items[i]))
            return true;
    return false;
}

/* Those that are known stay, and where they are: who is under way goes by their numbers. */
static void take_names (endpoints_t *endpoints, wire_list_t names)
{
    for (uint32_t i = 0; i < names.count && endpoints->count < NODES_MAX; i++) {
        text_t name = wire_item_text (&names.items[i]);
        if (is_good_name (name) && !is_known (endpoints, name))
            endpoints_add (endpoints, name);
    }
}

void session_only_serving (client_t *self, const char *endpoint)
{
    endpoints_clear (&self->roles[CLIENT_SERVING]);
    endpoints_add (&self->roles[CLIENT_SERVING], text_of (endpoint));
    self->only_serving = true;
}

void session_take_routes (client_t *self, const message_t *message, bool all)
{
    endpoints_t *serving = &self->roles[CLIENT_SERVING], *speed = &self->roles[CLIENT_SPEED];
    if (!self->only_serving && (all || serving->count == 0))
        take_names (serving, wire_list (message->body, "serving"));
    if (all || speed->count == 0)
        take_names (speed, wire_list (message->body, "speed"));
}

status_t session_refresh (client_t *self, error_t *error)
{
    message_t reply;
    status_t status = session_start (self, error);
    if (status != STATUS_OK)
        return status;
    wire_begin (self->own_writer, MESSAGE_ROUTES, self->next_id++);
    status = exchange (self, self->own_writer, &self->roles[CLIENT_COORDINATOR], CLIENT_COORDINATOR,
                       CLIENT_TIMEOUT_MS, &reply, error);
    if (status != STATUS_OK)
        return status;
    session_take_routes (self, &reply, false);
    return STATUS_OK;
}

status_t session_endpoints (client_t *self, client_role_t role, endpoints_t **endpoints,
                            error_t *error)
{
    *endpoints = &self->roles[role];
    if ((*endpoints)->count > 0)
        return STATUS_OK;
    status_t status = session_refresh (self, error);
    if (status == STATUS_OK && (*endpoints)->count == 0) {
        self->unreachable = true;
        status =
            error_set (error, STATUS_UNAVAILABLE, "the cluster has not got %s", role_words[role]);
    }
    return status;
}

status_t client_call (client_t *self, client_role_t role, int timeout_ms, message_t *reply,
                      error_t *error)
{
    CHECK_OBJECT (self, CLIENT_MAGIC);
    endpoints_t *endpoints;
    status_t status = session_start (self, error);
    if (status == STATUS_OK)
        status = session_endpoints (self, role, &endpoints, error);
    if (status == STATUS_OK)
        status = exchange (self, self->writer, endpoints, role, timeout_ms, reply, error);
    return status;
}
