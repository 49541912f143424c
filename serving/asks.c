/* Questions to owners. Those that come up together go to an owner in one message: it costs both
 * sides as much as answering some keys does. */
#include "serving/node.h"

enum {
    MESSAGE_KEYS = 128, /* with so many it is sent at once: an owner can begin with them */
    ROUND_BITS = 20,    /* of a question's id … */
    ROLE_BITS = 4,      /* … and these, and the rest is the query's */
    ROUND_MASK = (1 << ROUND_BITS) - 1,
    ROLE_MASK = (1 << ROLE_BITS) - 1,
};

_Static_assert((int)ROLES_MAX <= 1 << ROLE_BITS, "a role's number fits");
_Static_assert((int)QUERY_ID_BITS + (int)ROLE_BITS + (int)ROUND_BITS <= 64, "all fit into an id");

static uint64_t question_id (const ask_t *ask)
{
    return (ask->query << ROLE_BITS | ask->role) << ROUND_BITS | (ask->round & ROUND_MASK);
}

query_t *asks_query (serving_core_t *self, uint64_t id, asked_t *asked)
{
    query_t *query = query_find (self->queries, id >> (ROUND_BITS + ROLE_BITS));
    if (query) {
        asked->role = id >> ROUND_BITS & ROLE_MASK;
        asked->round = (query->round & ~(uint64_t)ROUND_MASK) | (id & ROUND_MASK);
    }
    return query;
}

static bool is_asked (const query_part_t *part, const ask_t *ask)
{
    return part->state == PART_ASKED && part->ask == ask->number;
}

static void write_part (wire_writer_t *writer, const query_t *query, const query_part_t *part)
{
    wire_open_map (writer);
    wire_field_uint (writer, "partition", part->partition);
    wire_field_uint (writer, "cut", part->dataset->parts[part->partition].cut);
    wire_field_list (writer, "keys");
    for (uint32_t i = part->first; i != UINT32_MAX; i = query->keys[i].next)
        wire_put_bin (writer, query->keys[i].key);
    wire_close (writer);
    wire_field_list (writer, "as_of");
    for (uint32_t i = part->first; i != UINT32_MAX; i = query->keys[i].next)
        wire_put_int (writer, query->keys[i].as_of);
    wire_close (writer);
    wire_close (writer);
}

static void write_question (serving_core_t *self, const query_t *query, const ask_t *ask,
                            uint64_t message)
{
    wire_writer_t *writer = self->writer;
    const query_role_t *role = &query->target.roles[ask->role];
    wire_open_map (writer);
    wire_field_uint (writer, "id", question_id (ask));
    wire_field_string (writer, "view", role->view->name);
    wire_field_string (writer, "log", role->plans[ask->source]->log_name);
    wire_field_uint (writer, "plan", role->plans[ask->source]->hash);
    wire_field_list (writer, "parts");
    for (size_t i = 0; i < query->parts_count; i++) {
        if (!is_asked (&query->parts[i], ask))
            continue;
        query->parts[i].message = message;
        write_part (writer, query, &query->parts[i]);
    }
    wire_close (writer);
    wire_close (writer);
}

/* Does the query still wait for what it was to ask? It may be over, or have begun anew. */
static const query_t *asking (serving_core_t *self, const ask_t *ask)
{
    const query_t *query = query_find (self->queries, ask->query);
    for (size_t i = 0; query && i < query->parts_count; i++)
        if (is_asked (&query->parts[i], ask))
            return query;
    return NULL;
}

/* Sends what waits for one owner, and forgets it. */
static void send_to (serving_core_t *self, peer_t owner)
{
    uint64_t message = ++self->messages_asked;
    size_t kept = 0, sent = 0;
    for (size_t i = 0; i < self->asks_count; i++) {
        const ask_t *ask = &self->asks[i];
        if (!peer_equal (&ask->owner, &owner)) {
            self->asks[kept++] = *ask;
            continue;
        }
        const query_t *query = asking (self, ask);
        if (!query)
            continue;
        if (sent++ == 0) {
            wire_begin (self->writer, MESSAGE_QUERY, message);
            wire_field_list (self->writer, "questions");
        }
        write_question (self, query, ask, message);
    }
    self->asks_count = kept;
    if (sent == 0)
        return;
    wire_close (self->writer);
    serving_send (self, &owner);
}

void asks_send (serving_core_t *self)
{
    while (self->asks_count > 0)
        send_to (self, self->asks[0].owner);
}

static size_t keys_for (const serving_core_t *self, const peer_t *owner)
{
    size_t keys = 0;
    for (size_t i = 0; i < self->asks_count; i++)
        if (peer_equal (&self->asks[i].owner, owner))
            keys += self->asks[i].keys;
    return keys;
}

void asks_add (serving_core_t *self, query_t *query, size_t at, bool *asking)
{
    peer_t owner = *routes_owner (self->routes, query->parts[at].partition);
    ask_t ask = { .owner = owner,
                  .query = query->id,
                  .round = query->round,
                  .number = ++self->asked,
                  .role = query->parts[at].role,
                  .source = query->parts[at].source };
    for (size_t i = at; i < query->parts_count; i++) {
        query_part_t *part = &query->parts[i];
        if (!asking[i] || part->role != ask.role || part->source != ask.source ||
            !peer_equal (&owner, routes_owner (self->routes, part->partition)))
            continue;
        asking[i] = false;
        part->ask = ask.number;
        ask.keys += part->keys_count;
    }
    if (self->asks_count >= (self->asks_together ? ASKS_TOGETHER_MAX : ASKS_MAX))
        asks_send (self);
    if (self->asks_together) {
        self->asks[self->asks_count++] = ask;
        return;
    }
    size_t waiting = keys_for (self, &owner);
    if (waiting > 0 && waiting + ask.keys > MESSAGE_KEYS) { /* those do not wait for many more */
        send_to (self, owner);
        waiting = 0;
    }
    self->asks[self->asks_count++] = ask;
    if (waiting + ask.keys >= MESSAGE_KEYS)
        send_to (self, owner);
}
