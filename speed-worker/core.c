#include "speed-worker/core.h"

#include "speed-worker/lanes.h"
#include "speed-worker/worker.h"

#include <string.h>

enum { SCRATCH_CHUNK = 1 << 20 };

static const member_ops_t member_callbacks = {
    .fill_beat = orders_fill_beat,
    .orders = orders_take,
    .model = orders_model,
};

speed_core_t *speed_core_new (env_t *env, const speed_options_t *options)
{
    CHECK (options->partitions > 0);
    CHECK (options->partitions <= REQUEST_PARTS_MAX);
    speed_core_t *self = mem_zero (1, sizeof *self);
    self->magic = SPEED_MAGIC;
    self->env = env;
    self->options = *options;
    member_options_t member = {
        .node = options->node,
        .kind = "speed",
        .cluster = options->cluster,
        .place = options->place,
        .endpoint = options->endpoint,
        .coordinator = options->coordinator,
        .standbys = options->standbys,
        .standbys_count = options->standbys_count,
    };
    self->member = member_new (env, &member, &member_callbacks, self);
    const member_options_t *kept = member_options (self->member);
    self->options.node = kept->node;
    self->options.cluster = kept->cluster;
    self->options.endpoint = kept->endpoint;
    self->options.standbys = kept->standbys;
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
    self->partitions = mem_zero (options->partitions, sizeof (partition_t *));
    self->let_go = mem_zero (options->partitions, sizeof *self->let_go);
    self->asked_back = mem_zero (options->partitions, sizeof *self->asked_back);
    self->routes = routes_new (env, member_coordinator (self->member), options->partitions);
    self->requests = request_table_new ();
    pressure_init (&self->pressure, options->memory_limit);
    self->space = space_new (env, options->disk_reserve, SPACE_LANE);
    self->retired = retired_new (env, RETIRED_LANE);
    self->scratch = arena_new (SCRATCH_CHUNK);
    return self;
}

void speed_core_destroy (speed_core_t **self_p)
{
    speed_core_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, SPEED_MAGIC);
    retired_close (self->retired);
    for (uint32_t p = 0; p < self->options.partitions; p++)
        partition_destroy (&self->partitions[p]);
    retired_destroy (&self->retired);
    mem_free (self->partitions);
    mem_free (self->let_go);
    mem_free (self->asked_back);
    routes_destroy (&self->routes);
    request_table_destroy (&self->requests);
    space_destroy (&self->space);
    member_destroy (&self->member);
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    arena_destroy (&self->scratch);
    self->magic = 0;
    mem_free (self);
}

void worker_send (speed_core_t *self, const peer_t *to)
{
    const void *data;
    size_t size;
    if (wire_end (self->writer, &data, &size))
        self->env->send (self->env, to, data, size);
    else
        env_log (self->env, LOG_ERROR, "a message is over the size limit and was not sent");
}

void worker_send_error (speed_core_t *self, const peer_t *to, uint64_t id, const error_t *error)
{
    const void *data;
    size_t size;
    wire_error (self->writer, id, error, &data, &size);
    self->env->send (self->env, to, data, size);
}

static void answer_ping (speed_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_PING_OK, id);
    wire_field_string (self->writer, "node", self->options.node);
    wire_field_string (self->writer, "kind", "speed");
    wire_field_string (self->writer, "cluster", self->options.cluster);
    wire_field_uint (self->writer, "incarnation", member_incarnation (self->member));
    worker_send (self, from);
}

static void answer_metrics (speed_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_METRICS_OK, id);
    wire_field_map (self->writer, "values");
#define X(name) wire_field_uint (self->writer, #name, self->metrics.name);
    SPEED_METRICS (X)
#undef X
    const pressure_t *pressure = worker_pressure (self);
#define X(name) wire_field_uint (self->writer, "memory_" #name, pressure->memory.name);
    MEMORY_TABLE (X)
#undef X
    wire_field_uint (self->writer, "memory", memory_total (&pressure->memory));
    wire_field_uint (self->writer, "memory_admits", pressure_admits (pressure));
    wire_field_uint (self->writer, "memory_limit", pressure->limit);
    if (space_free (self->space) != UINT64_MAX)
        wire_field_uint (self->writer, "disk_free", space_free (self->space));
    wire_field_uint (self->writer, "disk_reserve", self->options.disk_reserve);
    wire_field_counters (self->writer, self->env);
    wire_close (self->writer);
    worker_send (self, from);
}

/* What comes back to us, from a peer that we asked. */
static void dispatch_reply (speed_core_t *self, const message_t *message)
{
    if (routes_receive (self->routes, message))
        return;
    if (forwarding_answered (self, message))
        return;
    if (message->kind == MESSAGE_APPEND_OK || message->kind == MESSAGE_ERROR)
        ingest_append_answered (self, message);
}

static void refuse (speed_core_t *self, const peer_t *from, const message_t *message)
{
    error_t error;
    self->metrics.messages_refused++;
    if (!message_is_request (message->kind))
        return; /* answers are never answered, or two nodes could go on for ever */
    error_set (&error, STATUS_INVALID, "a speed worker does not answer '%s'",
               message_word (message->kind));
    worker_send_error (self, from, message->id, &error);
}

static void dispatch (speed_core_t *self, const peer_t *from, const message_t *message)
{
    switch (message->kind) {
    case MESSAGE_SEND:
        ingest_send (self, from, message);
        break;
    case MESSAGE_APPEND:
        ingest_append (self, from, message);
        break;
    case MESSAGE_FORWARD:
        forwarding_take (self, from, message);
        break;
    case MESSAGE_QUERY:
        query_answer (self, from, message);
        break;
    case MESSAGE_PING:
        answer_ping (self, from, message->id);
        break;
    case MESSAGE_METRICS:
        answer_metrics (self, from, message->id);
        break;
    default:
        refuse (self, from, message);
    }
}

void speed_core_receive (speed_core_t *self, const peer_t *from, const void *data, size_t size)
{
    CHECK_OBJECT (self, SPEED_MAGIC);
    message_t message;
    error_t error;
    message_kind_t kind;
    uint64_t id;
    if (from->incoming && wire_peek (data, size, &kind, &id) &&
        ingest_refused (self, from, kind, id, size))
        return;
    if (wire_decode (self->decoder, data, size, &message, &error) != STATUS_OK) {
        self->metrics.messages_refused++;
        if (message.id != 0 && from->incoming)
            worker_send_error (self, from, message.id, &error);
        return;
    }
    arena_reset (self->scratch);
    if (from->incoming)
        dispatch (self, from, &message);
    else if (!member_receive (self->member, from, &message))
        dispatch_reply (self, &message);
}

void speed_core_job_done (speed_core_t *self, job_t *job)
{
    CHECK_OBJECT (self, SPEED_MAGIC);
    if (space_job_done (self->space, job) || retired_job_done (self->retired, job))
        return;
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        partition_t *partition = self->partitions[p];
        for (size_t i = 0; partition && i < partition->shards_count; i++) {
            shard_t *shard = partition->shards[i];
            shard_state_t before = shard_state (shard);
            size_t controls_before = shard_controls (shard);
            if (!shard_job_done (shard, job))
                continue;
            if (shard_state (shard) == SHARD_FAILED && before != SHARD_FAILED)
                partition_fail (partition, shard);
            if (shard_state (shard) != before || shard_controls (shard) != controls_before)
                member_beat_soon (self->member); /* the coordinator waits for this */
            return;
        }
    }
    job->discard (job); /* of a shard that is gone */
}

/* What one shard asks of another goes with the flush that the other begins next. */
static int64_t tick_shards (speed_core_t *self)
{
    int64_t next = INT64_MAX;
    size_t caught_up = 0;
    for (uint32_t p = 0; p < self->options.partitions; p++)
        for (size_t i = 0; self->partitions[p] && i < self->partitions[p]->shards_count; i++) {
            int64_t due = shard_ask (self->partitions[p]->shards[i]);
            next = due < next ? due : next;
            caught_up += shard_caught_up (self->partitions[p]->shards[i]);
        }
    if (caught_up != self->caught_up)
        member_beat_soon (self->member); /* until it is told, answers are not complete */
    self->caught_up = caught_up;
    for (uint32_t p = 0; p < self->options.partitions; p++)
        for (size_t i = 0; self->partitions[p] && i < self->partitions[p]->shards_count; i++)
            shard_tick (self->partitions[p]->shards[i]);
    return next;
}

int64_t speed_core_tick (speed_core_t *self)
{
    CHECK_OBJECT (self, SPEED_MAGIC);
    int64_t now = self->env->boot_us (self->env);
    int64_t due = tick_shards (self);
    int64_t next = ingest_expire (self, now);
    int64_t look = space_tick (self->space);
    next = due < next ? due : next;
    next = look < next ? look : next;
    int64_t routes = routes_tick (self->routes);
    int64_t beat = member_tick (self->member);
    next = routes < next ? routes : next;
    return beat < next ? beat : next;
}
