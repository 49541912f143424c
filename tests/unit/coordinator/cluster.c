#include "tests/unit/coordinator/actor.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

const char *const payments_definitions = "streams:\n"
                                         "  payments:\n"
                                         "    key: user_id\n"
                                         "    time: ts\n"
                                         "    fields:\n"
                                         "      user_id: string\n"
                                         "      amount: float64\n"
                                         "      ts: timestamp\n"
                                         "views:\n"
                                         "  spend:\n"
                                         "    from: payments\n"
                                         "    features:\n"
                                         "      total: sum(amount) over 1h\n";

/* ---- life ---- */

static void start_core (cluster_t *self)
{
    error_t error;
    error_clear (&error);
    cr_assert_eq (coordinator_core_new (&self->rig.env, &self->options, &self->core, &error),
                  STATUS_OK, "%s", error.text);
    self->next_tick = 0;
}

void cluster_init (cluster_t *self, uint64_t seed, int64_t recompute_every)
{
    *self = (cluster_t){ 0 };
    self->disk = sim_disk_new (seed, 0);
    rig_env_init (&self->rig, sim_disk_fs (self->disk), seed);
    random_seed (&self->random, seed);
    self->options = (coordinator_options_t){ .node = "coordinator",
                                             .endpoint = "tcp://coordinator",
                                             .cluster = "test",
                                             .partitions = PARTITIONS,
                                             .lease = LEASE,
                                             .recompute_every = recompute_every,
                                             .catalog_path = "catalog.db" };
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
    self->next_id = 1;
    start_core (self);
}

void cluster_add_second (cluster_t *self)
{
    played_second_t *second = &self->second;
    error_t error;
    error_clear (&error);
    rig_env_init (&second->rig, sim_disk_mount (self->disk), random_next (&self->random));
    second->rig.boot = self->rig.boot + 1000 * TIME_SECOND;
    second->rig.clock = self->rig.clock - TIME_HOUR;
    second->options = self->options;
    second->options.node = "coordinator-2";
    second->options.endpoint = "tcp://coordinator-2";
    cr_assert_eq (coordinator_core_new (&second->rig.env, &second->options, &second->core, &error),
                  STATUS_OK, "%s", error.text);
    second->next_tick = 0;
    second->stopped = false;
}

void cluster_end (cluster_t *self, bool second)
{
    coordinator_core_destroy (second ? &self->second.core : &self->core);
    if (second)
        rig_env_release (&self->second.rig);
    else {
        rig_env_forget (&self->rig);
        rig_env_drop_jobs (&self->rig);
    }
}

void cluster_release (cluster_t *self)
{
    coordinator_core_destroy (&self->core);
    if (self->second.core)
        cluster_end (self, true);
    rig_message_free (&self->reply);
    rig_env_release (&self->rig);
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    cr_assert_eq (sim_disk_open_files (self->disk), 0);
    sim_disk_destroy (&self->disk);
}

void cluster_restart (cluster_t *self)
{
    coordinator_core_destroy (&self->core);
    rig_env_forget (&self->rig);
    rig_env_drop_jobs (&self->rig);
    sim_disk_crash (self->disk, &self->random);
    sim_disk_set_faults (self->disk, &(sim_disk_faults_t){ 0 });
    start_core (self);
}

void actor_restart (cluster_t *self, actor_t *actor)
{
    actor_t fresh = { .name = actor->name,
                      .kind = actor->kind,
                      .there = true,
                      .incarnation = ++self->incarnations,
                      .next_id = 1 };
    memcpy (fresh.endpoint, actor->endpoint, sizeof fresh.endpoint);
    *actor = fresh;
}

actor_t *cluster_add (cluster_t *self, const char *name, const char *kind)
{
    cr_assert_lt (self->actors_count, ACTORS_MAX);
    actor_t *actor = &self->actors[self->actors_count++];
    actor->name = name;
    actor->kind = kind;
    if (strcmp (kind, "batch") != 0)
        (void)snprintf (actor->endpoint, sizeof actor->endpoint, "tcp://%s", name);
    actor_restart (self, actor);
    return actor;
}

/* ---- messages ---- */

static void hear (cluster_t *self, const rig_message_t *sent)
{
    message_t message;
    error_t error;
    for (size_t i = 0; i < self->actors_count; i++) {
        actor_t *actor = &self->actors[i];
        peer_t peer = rig_incoming (actor->name);
        if (!peer_equal (&peer, &sent->to) || !actor->there || actor->cut_off)
            continue;
        cr_assert_eq (wire_decode (self->decoder, sent->data, sent->size, &message, &error),
                      STATUS_OK, "%s", error.text);
        if (message.kind == MESSAGE_POKE) {
            actor->next_beat = self->rig.boot;
            actor->mark = wire_uint (message.body, "mark", actor->mark);
        } else if (message.kind == MESSAGE_BEAT_OK)
            actor_take_orders (self, actor, &message);
    }
}

/* One coordinator's beat to the other. */
static void hear_standby (cluster_t *self, const rig_message_t *sent, bool from_second)
{
    const coordinator_options_t *to = from_second ? &self->options : &self->second.options;
    coordinator_core_t *core = from_second ? self->core : self->second.core;
    bool stopped = from_second ? self->stopped : self->second.stopped;
    if (sent->to.incoming || !core || stopped)
        return;
    peer_t peer = peer_of_endpoint (to->endpoint);
    peer_t from = rig_incoming (from_second ? self->second.options.node : self->options.node);
    if (peer_equal (&peer, &sent->to))
        coordinator_core_receive (core, &from, sent->data, sent->size);
}

static void hear_all (cluster_t *self)
{
    rig_message_t *sent;
    for (int second = 0; second < 2; second++)
        while ((sent = rig_env_take (second ? &self->second.rig : &self->rig)) != NULL) {
            if (self->caller && peer_equal (&sent->to, self->caller) && !self->reply) {
                self->reply = sent;
                continue;
            }
            if (!random_chance (&self->random, self->loss)) {
                hear (self, sent);
                hear_standby (self, sent, second);
            }
            rig_message_free (&sent);
        }
}

/* ---- time ---- */

static bool is_leased (const cluster_t *self, const actor_t *actor)
{
    return actor->there && self->rig.boot < actor->lease_until;
}

static bool acts_for (const cluster_t *self, const actor_t *actor, uint32_t partition)
{
    return strcmp (actor->kind, "speed") == 0 && is_leased (self, actor) &&
           actor->partitions[partition].held && !actor->partitions[partition].failed;
}

static void check_owners (const cluster_t *self)
{
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const actor_t *owner = NULL;
        for (size_t i = 0; i < self->actors_count; i++) {
            if (!acts_for (self, &self->actors[i], p))
                continue;
            cr_assert_null (owner, "%s and %s both own partition %u", owner ? owner->name : "",
                            self->actors[i].name, p);
            owner = &self->actors[i];
        }
    }
}

size_t actor_serves (const cluster_t *self, const actor_t *actor)
{
    size_t count = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        count += acts_for (self, actor, p) &&
                 strcmp (actor_partition_state (self, &actor->partitions[p]), "serving") == 0;
    return count;
}

static void step_second (cluster_t *self)
{
    played_second_t *second = &self->second;
    job_t *job;
    if (!second->core)
        return;
    rig_env_pass (&second->rig, STEP);
    if (second->stopped)
        return;
    if (second->rig.boot >= second->next_tick)
        second->next_tick = coordinator_core_tick (second->core);
    while ((job = rig_env_run (&second->rig)) != NULL)
        coordinator_core_job_done (second->core, job);
}

static void step (cluster_t *self)
{
    rig_env_pass (&self->rig, STEP);
    if (self->core && !self->stopped && self->rig.boot >= self->next_tick)
        self->next_tick = coordinator_core_tick (self->core);
    job_t *job;
    while (!self->stopped && (job = rig_env_run (&self->rig)) != NULL)
        coordinator_core_job_done (self->core, job);
    step_second (self);
    hear_all (self);
    for (size_t i = 0; i < self->actors_count; i++) {
        actor_t *actor = &self->actors[i];
        if (!actor->there)
            continue;
        actor_work (self, actor);
        if (self->rig.boot >= actor->next_beat)
            actor_beat (self, actor);
        hear_all (self);
        check_owners (self);
    }
}

void cluster_run (cluster_t *self, int64_t time_us)
{
    for (int64_t passed = 0; passed < time_us; passed += STEP)
        step (self);
}

int64_t cluster_until (cluster_t *self, bool (*condition) (cluster_t *self), int64_t most,
                       const char *what)
{
    int64_t passed = 0;
    for (; !condition (self); passed += STEP) {
        cr_assert_lt (passed, most, "%s does not come about", what);
        step (self);
    }
    return passed;
}

/* ---- a client ---- */

wire_writer_t *call_begin (cluster_t *self, message_kind_t kind)
{
    wire_begin (self->writer, kind, self->next_id++);
    return self->writer;
}

/* Asks one of them; false when it does not lead. */
static bool call_one (cluster_t *self, bool second, const peer_t *peer, const void *data,
                      size_t size, message_t *message)
{
    coordinator_core_t *core = second ? self->second.core : self->core;
    if (!core || (second ? self->second.stopped : self->stopped))
        return false;
    rig_message_free (&self->reply);
    self->caller = peer;
    coordinator_core_receive (core, peer, data, size);
    self->caller = NULL;
    rig_message_t *sent;
    while ((sent = rig_env_take (second ? &self->second.rig : &self->rig)) != NULL) {
        if (peer_equal (&sent->to, peer) && !self->reply) {
            self->reply = sent;
            continue;
        }
        hear (self, sent);
        rig_message_free (&sent);
    }
    cr_assert_not_null (self->reply, "no reply");
    error_t error;
    cr_assert_eq (
        wire_decode (self->decoder, self->reply->data, self->reply->size, message, &error),
        STATUS_OK, "%s", error.text);
    return message->kind != MESSAGE_ERROR || !wire_has (message->body, "leader");
}

message_t call_as (cluster_t *self, const char *name)
{
    const void *written;
    size_t size;
    message_t message = { 0 };
    hear_all (self); /* what was sent before */
    cr_assert (wire_end (self->writer, &written, &size));
    void *data = mem_alloc (size); /* others may write while this one is stopped */
    memcpy (data, written, size);
    peer_t peer = rig_incoming (name);
    if (!call_one (self, false, &peer, data, size, &message) && self->second.core)
        (void)call_one (self, true, &peer, data, size, &message);
    mem_free (data);
    return message;
}

message_t call_end (cluster_t *self)
{
    return call_as (self, "client");
}

static void write_file (wire_writer_t *writer, const char *text)
{
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "test.yaml");
    wire_field_string (writer, "text", text);
    wire_close (writer);
    wire_close (writer);
}

uint64_t cluster_apply (cluster_t *self, const char *text)
{
    write_file (call_begin (self, MESSAGE_APPLY), text);
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_APPLY_OK, TEXT_FORMAT,
                  TEXT_ARGS (wire_text (reply.body, "text")));
    return wire_uint (reply.body, "version", 0);
}

static uint64_t recompute (cluster_t *self, bool full)
{
    wire_field_bool (call_begin (self, MESSAGE_RECOMPUTE), "full", full);
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_RECOMPUTE_OK);
    wire_list_t ids = wire_list (reply.body, "ids");
    cr_assert_geq (ids.count, 1);
    return wire_item_uint (&ids.items[0]);
}

uint64_t cluster_recompute (cluster_t *self)
{
    return recompute (self, false);
}

uint64_t cluster_recompute_full (cluster_t *self)
{
    return recompute (self, true);
}

static const char *state_of (const wire_value_t *item)
{
    static char state[32];
    wire_copy (item, "state", state, sizeof state);
    return state;
}

const char *cluster_recompute_state (cluster_t *self, uint64_t id)
{
    wire_writer_t *writer = call_begin (self, MESSAGE_RECOMPUTES);
    wire_field_list (writer, "ids");
    wire_put_uint (writer, id);
    wire_close (writer);
    message_t reply = call_end (self);
    wire_list_t list = wire_list (reply.body, "recomputes");
    return list.count == 1 ? state_of (&list.items[0]) : "";
}

const char *cluster_load_state (cluster_t *self, const char *id)
{
    wire_field_string (call_begin (self, MESSAGE_LOADS), "id", id);
    message_t reply = call_end (self);
    wire_list_t list = wire_list (reply.body, "loads");
    return list.count == 1 ? state_of (&list.items[0]) : "";
}

/* A status has maps of any fields. */
static const wire_value_t *any_field (const wire_value_t *map, const char *name)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *field = &map->via.map.ptr[i];
        if (text_is ((text_t){ field->key.via.str.ptr, field->key.via.str.size }, name))
            return &field->val;
    }
    cr_assert_fail ("no field %s", name);
    return NULL;
}

uint64_t cluster_log_number (cluster_t *self, uint32_t partition, const char *field)
{
    call_begin (self, MESSAGE_STATUS);
    message_t reply = call_end (self);
    wire_list_t logs = wire_list (reply.body, "logs");
    cr_assert_geq (logs.count, 1);
    const wire_value_t *partitions = any_field (&logs.items[0], "partitions");
    return any_field (&partitions->via.array.ptr[partition], field)->via.u64;
}

uint64_t cluster_manifest (cluster_t *self)
{
    wire_field_string (call_begin (self, MESSAGE_DATASET), "log", PAYMENTS);
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_DATASET_OK);
    cr_assert_eq (wire_list (reply.body, "partitions").count, PARTITIONS);
    return wire_uint (reply.body, "manifest", 0);
}

const char *cluster_load (cluster_t *self, char digit)
{
    static char id[33];
    char path[64];
    memset (id, digit, 32);
    (void)snprintf (path, sizeof path, "incoming/%s", id);
    cluster_put_file (self, path);
    wire_writer_t *writer = call_begin (self, MESSAGE_LOAD);
    wire_field_string (writer, "stream", "payments");
    wire_field_string (writer, "path", path);
    wire_field_string (writer, "id", id);
    wire_field_string (writer, "name", "payments.csv");
    wire_field_string (writer, "format", "csv");
    message_t reply = call_end (self);
    cr_assert_eq (reply.kind, MESSAGE_LOAD_OK, TEXT_FORMAT,
                  TEXT_ARGS (wire_text (reply.body, "text")));
    return id;
}
