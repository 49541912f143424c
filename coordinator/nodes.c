#include "coordinator/state.h"

#include <string.h>

static const struct {
    const char *word;
    role_t role;
} roles[] = { { "speed", ROLE_SPEED },
              { "batch", ROLE_BATCH },
              { "serving", ROLE_SERVING },
              { "coordinator", ROLE_COORDINATOR } };

const char *role_word (role_t role)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (roles[i].role == role)
            return roles[i].word;
    return "";
}

static bool role_of (text_t word, role_t *role)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (text_is (word, roles[i].word)) {
            *role = roles[i].role;
            return true;
        }
    return false;
}

bool node_alive (const coordinator_core_t *self, const node_t *node)
{
    return core_heard (self) < node->lease_until;
}

node_t *node_named (const coordinator_core_t *self, const char *name)
{
    for (size_t i = 0; i < self->nodes_count; i++)
        if (strcmp (self->nodes[i]->name, name) == 0)
            return self->nodes[i];
    return NULL;
}

node_t *node_of (const coordinator_core_t *self, const char *name, uint64_t incarnation)
{
    node_t *node = node_named (self, name);
    return node && node->incarnation == incarnation && node_alive (self, node) ? node : NULL;
}

static void forget_datasets (node_t *self)
{
    for (size_t i = 0; i < self->datasets_count; i++)
        mem_free (self->datasets[i].log);
    mem_free (self->datasets);
    self->datasets = NULL;
    self->datasets_count = 0;
}

void node_destroy (node_t **self_p)
{
    node_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    forget_datasets (self);
    damage_forget (self);
    mem_free (self->name);
    mem_free (self->endpoint);
    mem_free (self);
}

/* ---- pokes ---- */

void nodes_poke (coordinator_core_t *self, role_t role)
{
    for (size_t i = 0; i < self->nodes_count; i++)
        if (self->nodes[i]->role == role)
            self->nodes[i]->poke = true;
}

void nodes_poke_all (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->nodes_count; i++)
        self->nodes[i]->poke = true;
}

void nodes_poke_peer (coordinator_core_t *self, const peer_t *to, uint64_t mark)
{
    wire_begin (self->writer, MESSAGE_POKE, 0);
    if (mark != 0)
        wire_field_uint (self->writer, "mark", mark);
    core_say (self, to);
}

void nodes_send_pokes (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->nodes_count; i++) {
        node_t *node = self->nodes[i];
        if (node->poke && node_alive (self, node))
            nodes_poke_peer (self, &node->peer, node->proven ? 0 : node->mark);
        node->poke = false;
    }
}

/* ---- who it is ---- */

static bool is_retired (const node_t *self, uint64_t incarnation)
{
    for (size_t i = 0; i < RETIRED_KEPT; i++)
        if (self->retired[i] == incarnation && incarnation != 0)
            return true;
    return false;
}

/* From now on the node is this incarnation; what an earlier one held is given up. */
static void adopt (coordinator_core_t *self, node_t *node, uint64_t incarnation,
                   const char *endpoint)
{
    if (node->incarnation != 0) {
        node->retired[node->retired_next++ % RETIRED_KEPT] = node->incarnation;
        env_log (self->env, LOG_INFO, "%s %s was started again", role_word (node->role),
                 node->name);
    }
    node->incarnation = incarnation;
    node->candidate = 0;
    node->mark = self->env->random (self->env) | 1;
    node->proven = false;
    node->beat_id = 0;
    core_set (&node->endpoint, endpoint);
    forget_datasets (node);
    self->routes_version++;
}

static node_t *node_new (coordinator_core_t *self, const char *name, role_t role)
{
    node_t *node = mem_zero (1, sizeof *node);
    node->name = mem_string (name);
    node->endpoint = mem_string ("");
    node->role = role;
    self->nodes = mem_resize (self->nodes, self->nodes_count + 1, sizeof (node_t *));
    self->nodes[self->nodes_count++] = node;
    env_log (self->env, LOG_INFO, "%s %s joins", role_word (role), name);
    return node;
}

typedef struct beat {
    char name[WIRE_NAME_MAX + 1];
    char endpoint[WIRE_NAME_MAX + 1];
    role_t role;
    uint64_t incarnation;
    uint64_t id;
    uint64_t mark; /* of the latest poke that it got */
} beat_t;

static status_t beat_read (coordinator_core_t *self, const message_t *message, beat_t *beat,
                           error_t *error)
{
    const wire_value_t *body = message->body;
    wire_copy (body, "node", beat->name, sizeof beat->name);
    wire_copy (body, "endpoint", beat->endpoint, sizeof beat->endpoint);
    beat->incarnation = wire_uint (body, "incarnation", 0);
    beat->id = message->id;
    beat->mark = wire_uint (body, "mark", 0);
    if (!text_is (wire_text (body, "cluster"), self->options.cluster))
        return error_set (error, STATUS_INVALID, "this is the coordinator of cluster \"%s\"",
                          self->options.cluster);
    uint64_t place = wire_uint (body, "place", 0);
    if (place != 0 && self->options.place != 0 && place != self->options.place)
        return error_set (error, STATUS_INVALID,
                          "the node works on another data directory than this coordinator (one of "
                          "them was restored from a backup): start it on this one");
    if (!role_of (wire_text (body, "kind"), &beat->role))
        return error_set (error, STATUS_INVALID,
                          "a node is speed, batch, serving or a coordinator that stands by");
    if (beat->name[0] == '\0' || beat->incarnation == 0)
        return error_set (error, STATUS_INVALID, "a node has a name and an incarnation");
    if (beat->role != ROLE_BATCH && beat->endpoint[0] == '\0')
        return error_set (error, STATUS_INVALID, "a %s node has an endpoint",
                          role_word (beat->role));
    return STATUS_OK;
}

/* Does the beat answer a poke that had this mark? Coordinators that stand by are not asked twice:
 * they hold nothing. */
static bool answers_poke (const beat_t *beat, uint64_t mark)
{
    return beat->role == ROLE_COORDINATOR || beat->mark == mark;
}

/* Another incarnation of a node whose lease is good. Only where the endpoint is the same is the
 * earlier process known to be gone. It has to beat twice, the second time with the mark of a poke
 * that it was sent upon the first, with no beat of the present one between: no message of a process
 * that ended long ago has it, however many of them come late. */
static status_t take_over (coordinator_core_t *self, node_t *node, const beat_t *beat,
                           const peer_t *from, bool *known, error_t *error)
{
    if (is_retired (node, beat->incarnation))
        return error_set (error, STATUS_FENCED, "a later %s was started", node->name);
    if (node->role != beat->role || strcmp (node->endpoint, beat->endpoint) != 0)
        return error_set (error, STATUS_EXISTS,
                          "another node is called %s (%s at %s); give this one another name",
                          node->name, role_word (node->role), node->endpoint);
    if (node->candidate == beat->incarnation && beat->id > node->candidate_id &&
        answers_poke (beat, node->candidate_mark)) {
        adopt (self, node, beat->incarnation, beat->endpoint);
        node->proven = true;
        *known = true;
        return STATUS_OK;
    }
    if (node->candidate != beat->incarnation) {
        node->candidate = beat->incarnation;
        node->candidate_id = beat->id;
        node->candidate_mark = self->env->random (self->env) | 1;
    }
    nodes_poke_peer (self, from, node->candidate_mark);
    return STATUS_OK;
}

/* Finds or makes the node. *known is false when it is not (yet) to be answered. */
static status_t identify (coordinator_core_t *self, const beat_t *beat, const peer_t *from,
                          node_t **node, bool *known, error_t *error)
{
    *known = false;
    *node = node_named (self, beat->name);
    if (!*node && self->nodes_count >= NODES_MAX)
        return error_set (error, STATUS_TOO_LARGE, "the cluster has %d nodes, the most it can",
                          NODES_MAX);
    if (!*node)
        *node = node_new (self, beat->name, beat->role);
    node_t *found = *node;
    if (found->incarnation == beat->incarnation) {
        *known = beat->id > found->beat_id;
        return STATUS_OK;
    }
    if (node_alive (self, found))
        return take_over (self, found, beat, from, known, error);
    found->role = beat->role;
    adopt (self, found, beat->incarnation, beat->endpoint);
    *known = true;
    return STATUS_OK;
}

/* ---- what it says ---- */

bool node_informed (const coordinator_core_t *self, const node_t *node)
{
    return node->definitions > 0 || self->version == 0;
}

static uint64_t metric (const wire_value_t *metrics, const char *name)
{
    if (!metrics)
        return 0;
    for (uint32_t i = 0; i < metrics->via.map.size; i++) {
        const msgpack_object_kv *field = &metrics->via.map.ptr[i];
        if (field->key.type == MSGPACK_OBJECT_STR &&
            field->val.type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
            text_is ((text_t){ field->key.via.str.ptr, field->key.via.str.size }, name))
            return field->val.via.u64;
    }
    return 0;
}

static void take_datasets (node_t *node, wire_list_t datasets)
{
    forget_datasets (node);
    node->datasets = mem_zero (datasets.count, sizeof *node->datasets);
    node->datasets_count = datasets.count;
    for (uint32_t i = 0; i < datasets.count; i++) {
        node->datasets[i].log = core_text (wire_text (&datasets.items[i], "log"));
        node->datasets[i].manifest = wire_uint (&datasets.items[i], "manifest", 0);
    }
}

static void take_report (coordinator_core_t *self, node_t *node, const wire_value_t *body)
{
    const wire_value_t *metrics = wire_map (body, "metrics");
    bool informed = node_informed (self, node);
    node->definitions = wire_uint (body, "definitions", 0);
    if (node_informed (self, node) != informed)
        self->routes_version++;
    node->memory = metric (metrics, "memory");
    node->memory_limit = metric (metrics, "memory_limit");
    switch (node->role) {
    case ROLE_SPEED:
        partitions_take (self, node, wire_list (body, "partitions"));
        break;
    case ROLE_BATCH:
        tasks_take (self, node, wire_list (body, "tasks"));
        break;
    case ROLE_SERVING:
        take_datasets (node, wire_list (body, "datasets"));
        damage_take (self, node, wire_list (body, "damaged"));
        node->samples = wire_has (body, "stale_sample");
        node->stale_sample = wire_bool (body, "stale_sample", false);
        break;
    case ROLE_COORDINATOR:
        break;
    }
}

/* What it does not hold is taken for given up, once it is proven that the beat is no old message of
 * a process that has ended. */
static void prove (coordinator_core_t *self, node_t *node, const beat_t *beat)
{
    node->proven = node->proven || answers_poke (beat, node->mark);
    if (node->proven)
        partitions_give_up (self, node);
    else
        node->poke = true;
}

void node_beat (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    beat_t beat;
    error_t error;
    node_t *node = NULL;
    bool known = false;
    status_t status = beat_read (self, message, &beat, &error);
    if (status == STATUS_OK)
        status = identify (self, &beat, from, &node, &known, &error);
    if (status != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    if (!known)
        return;
    bool was_alive = node_alive (self, node);
    node->beat_id = beat.id;
    node->candidate = 0;
    node->peer = *from;
    node->lease_until = core_heard (self) + lease_drifted (self->options.lease);
    if (!was_alive)
        self->routes_version++;
    take_report (self, node, message->body);
    prove (self, node, &beat);
    if (!self->doubtful) {
        partitions_settle (self);
        loads_settle (self);
        recomputes_settle (self);
        tasks_settle (self);
    }
    if (!self->fenced)
        orders_write (self, node, message->id);
}

void nodes_settle (coordinator_core_t *self)
{
    int64_t now = core_heard (self);
    for (size_t i = self->nodes_count; i-- > 0;) {
        node_t *node = self->nodes[i];
        if (now < node->lease_until || node->lease_until == 0)
            continue;
        if (node->datasets_count > 0)
            forget_datasets (node); /* it refreshes before it answers again */
        damage_forget (node);
        if (node->peer.size > 0) {
            env_log (self->env, LOG_WARNING, "%s %s does not beat any more", role_word (node->role),
                     node->name);
            node->peer.size = 0;
            self->routes_version++;
        }
        if (now >= node->lease_until + FORGET_NODES) {
            node_destroy (&self->nodes[i]);
            self->nodes[i] = self->nodes[--self->nodes_count];
        }
    }
}
