#include "serving/core.h"

#include "serving/node.h"

enum { OUTCOMES_CHUNK = 64 << 10 };

static void fill_beat (void *core, wire_writer_t *beat)
{
    const serving_core_t *self = core;
    logs_fill_beat (core, beat);
    if (self->samples)
        wire_field_bool (beat, "stale_sample", samples_are_stale (self->samples));
}

static void take_orders (void *core, const wire_value_t *orders)
{
    serving_core_t *self = core;
    routes_want (self->routes, wire_uint (orders, "routes", 0));
    logs_take_orders (self, orders);
    const wire_value_t *skew = wire_map (orders, "skew");
    self->skew_mismatches = skew ? wire_uint (skew, "mismatches", 0) : 0;
    self->skew_alerts = skew ? wire_uint (skew, "alerts", 0) : 0;
}

static void take_model (void *core, model_t *model)
{
    /* queries under way keep theirs; new ones take the member's */
    (void)core;
    (void)model;
}

static const member_ops_t member_callbacks = {
    .fill_beat = fill_beat,
    .orders = take_orders,
    .model = take_model,
};

serving_core_t *serving_core_new (env_t *env, const serving_options_t *options)
{
    CHECK (options->partitions > 0);
    serving_core_t *self = mem_zero (1, sizeof *self);
    self->magic = SERVING_MAGIC;
    self->env = env;
    self->options = *options;
    if (self->options.query_memory == 0)
        self->options.query_memory = QUERY_MEMORY;
    if (self->options.node_memory == 0)
        self->options.node_memory = self->options.query_memory;
    member_options_t member = {
        .node = options->node,
        .kind = "serving",
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
    self->routes = routes_new (env, member_coordinator (self->member), options->partitions);
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
    self->queries = query_table_new (self->options.node_memory);
    self->samples = samples_new (env, &self->options);
    self->outcomes = arena_new (OUTCOMES_CHUNK);
    self->next_id = 1;
    self->slow_last = &self->slow_first;
    return self;
}

void serving_core_destroy (serving_core_t **self_p)
{
    serving_core_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, SERVING_MAGIC);
    while (self->slow_first) {
        history_job_t *job = self->slow_first;
        self->slow_first = job->next;
        history_job_destroy (&job);
    }
    query_table_destroy (&self->queries);
    samples_destroy (&self->samples);
    arena_destroy (&self->outcomes);
    logs_destroy (self);
    routes_destroy (&self->routes);
    member_destroy (&self->member);
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    self->magic = 0;
    mem_free (self);
}

void serving_send (serving_core_t *self, const peer_t *to)
{
    const void *data;
    size_t size;
    if (wire_end (self->writer, &data, &size)) {
        self->env->send (self->env, to, data, size);
        return;
    }
    env_log (self->env, LOG_ERROR, "a message is over the size limit and was not sent");
}

void serving_send_error (serving_core_t *self, const peer_t *to, uint64_t id, const error_t *error)
{
    const void *data;
    size_t size;
    wire_error (self->writer, id, error, &data, &size);
    self->env->send (self->env, to, data, size);
}

static void answer_ping (serving_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_PING_OK, id);
    wire_field_string (self->writer, "node", self->options.node);
    wire_field_string (self->writer, "kind", "serving");
    wire_field_string (self->writer, "cluster", self->options.cluster);
    wire_field_uint (self->writer, "incarnation", member_incarnation (self->member));
    serving_send (self, from);
}

static void answer_metrics (serving_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_METRICS_OK, id);
    wire_field_map (self->writer, "values");
#define X(name) wire_field_uint (self->writer, #name, self->metrics.name);
    SERVING_METRICS (X)
#undef X
    wire_field_uint (self->writer, "queries_under_way", query_count (self->queries));
    wire_field_uint (self->writer, "memory", query_memory (self->queries));
    wire_field_uint (self->writer, "memory_limit", self->options.node_memory);
    wire_field_uint (self->writer, "slow_running", self->slow_running);
    if (self->samples)
        samples_metrics (self->samples, self->writer);
    wire_field_uint (self->writer, "skew_mismatches", self->skew_mismatches);
    wire_field_uint (self->writer, "skew_alerts", self->skew_alerts);
    wire_field_counters (self->writer, self->env);
    wire_close (self->writer);
    serving_send (self, from);
}

static void dispatch (serving_core_t *self, const peer_t *from, const message_t *message)
{
    error_t error;
    switch (message->kind) {
    case MESSAGE_GET:
        get_begin (self, from, message);
        break;
    case MESSAGE_PING:
        answer_ping (self, from, message->id);
        break;
    case MESSAGE_METRICS:
        answer_metrics (self, from, message->id);
        break;
    default:
        self->metrics.messages_refused++;
        if (!message_is_request (message->kind))
            return; /* answers are never answered, or two nodes could go on for ever */
        error_set (&error, STATUS_INVALID, "a serving node does not answer '%s'",
                   message_word (message->kind));
        serving_send_error (self, from, message->id, &error);
    }
}

/* What comes back to us, from a peer that we asked. The coordinator's errors need nothing: what was
 * asked is asked again. */
static void dispatch_reply (serving_core_t *self, const peer_t *from, const message_t *message)
{
    if (member_receive (self->member, from, message))
        return;
    if (routes_receive (self->routes, message) || logs_receive (self, message))
        return;
    if (!member_is_coordinator (self->member, from))
        (void)evaluate_receive (self, message);
}

void serving_core_receive (serving_core_t *self, const peer_t *from, const void *data, size_t size)
{
    CHECK_OBJECT (self, SERVING_MAGIC);
    message_t message;
    error_t error;
    if (wire_decode (self->decoder, data, size, &message, &error) != STATUS_OK) {
        self->metrics.messages_refused++;
        if (message.id != 0 && from->incoming)
            serving_send_error (self, from, message.id, &error);
        return;
    }
    if (from->incoming)
        dispatch (self, from, &message);
    else
        dispatch_reply (self, from, &message);
}

void serving_core_job_done (serving_core_t *self, job_t *job)
{
    CHECK_OBJECT (self, SERVING_MAGIC);
    bool stale = self->samples && samples_are_stale (self->samples);
    bool done = self->samples && samples_job_done (self->samples, job);
    if (stale && !samples_are_stale (self->samples))
        member_beat_soon (self->member); /* somebody waits for it to be told as erased */
    if (!done && !logs_job_done (self, job))
        evaluate_job_done (self, job);
}

int64_t serving_core_tick (serving_core_t *self)
{
    CHECK_OBJECT (self, SERVING_MAGIC);
    int64_t now = self->env->boot_us (self->env);
    int64_t next = evaluate_tick (self, now);
    int64_t logs = logs_tick (self, now);
    int64_t routes = routes_tick (self->routes);
    int64_t beat = member_tick (self->member);
    next = logs < next ? logs : next;
    if (self->samples) {
        int64_t samples = samples_tick (self->samples, now);
        next = samples < next ? samples : next;
    }
    next = routes < next ? routes : next;
    return beat < next ? beat : next;
}
