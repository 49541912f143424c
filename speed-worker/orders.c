#include "speed-worker/worker.h"

#include "speed-worker/lanes.h"

#include <string.h>

void partition_destroy (partition_t **self_p)
{
    partition_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < self->shards_count; i++)
        shard_destroy (&self->shards[i]);
    mem_free (self->shards);
    mem_free (self);
}

/* Whoever hears that a partition failed may give it to somebody else at once: so none of its logs
 * is appended to, answered from or acknowledged when the beat says so. */
void partition_fail (partition_t *self, const shard_t *failed)
{
    self->failed = true;
    for (size_t i = 0; i < self->shards_count; i++)
        if (self->shards[i] != failed)
            shard_give_up (self->shards[i], shard_reason (failed));
}

static shard_t *find_shard (const partition_t *partition, text_t log_name)
{
    for (size_t i = 0; i < partition->shards_count; i++)
        if (text_is (log_name, shard_log_name (partition->shards[i])))
            return partition->shards[i];
    return NULL;
}

shard_t *worker_shard (speed_core_t *self, const char *log_name, uint32_t partition)
{
    if (partition >= self->options.partitions || !self->partitions[partition])
        return NULL;
    return find_shard (self->partitions[partition], text_of (log_name));
}

/* `number`: of the log among those in the orders. */
static void open_shard (speed_core_t *self, partition_t *partition, text_t log_name, uint64_t base,
                        uint32_t number)
{
    model_t *model = member_model (self->member);
    keyed_log_t log;
    /* earlier owners may have written under definitions that are as new as the orders */
    if (!model_log (model, log_name, &log) || !member_model_current (self->member))
        return; /* they are on their way */
    shard_options_t options = {
        .env = self->env,
        .cluster_id = self->options.cluster_id,
        .partition = partition->number,
        .partitions = self->options.partitions,
        .epoch = partition->epoch,
        .base = base,
        .segment_size = self->options.segment_size,
        .max_ahead = self->options.max_ahead,
        .retired = self->retired,
        .tell = ingest_tell,
        .leased = ingest_leased,
        .current = ingest_current,
        .forward = forwarding_send,
        .arg = self,
    };
    options.lane = (number * self->options.partitions + partition->number) % LOG_LANES_MAX;
    partition->shards =
        mem_resize (partition->shards, partition->shards_count + 1, sizeof (shard_t *));
    partition->shards[partition->shards_count++] = shard_new (&options, log.name, model);
}

static void take_control (shard_t *shard, const wire_value_t *control)
{
    text_t kind = wire_text (control, "kind");
    shard_order_t order = { .id = wire_text (control, "id"),
                            .kind = text_is (kind, "cut")      ? LOG_KIND_CUT
                                    : text_is (kind, "forget") ? LOG_KIND_FORGET
                                                               : LOG_KIND_LOAD_COMMIT,
                            .segment = wire_bool (control, "segment", false),
                            .key = wire_text (control, "key"),
                            .before = wire_int (control, "before", INT64_MAX) };
    shard_control (shard, &order);
}

static void order_controls (shard_t *shard, wire_list_t controls)
{
    for (uint32_t i = 0; i < controls.count; i++)
        take_control (shard, &controls.items[i]);
}

static void take_marks (shard_t *shard, wire_list_t marks, arena_t *arena)
{
    uint64_t *values = arena_zero (arena, marks.count, sizeof *values);
    for (uint32_t i = 0; i < marks.count; i++)
        values[i] = wire_item_uint (&marks.items[i]);
    shard_set_marks (shard, values, marks.count);
}

static void take_log (speed_core_t *self, partition_t *partition, const wire_value_t *log,
                      uint32_t number)
{
    text_t name = wire_text (log, "log");
    uint64_t base = wire_uint (log, "base", 0);
    shard_t *shard = find_shard (partition, name);
    if (!shard) {
        open_shard (self, partition, name, base, number);
        if ((shard = find_shard (partition, name)) != NULL)
            take_marks (shard, wire_list (log, "marks"), self->scratch);
        return;
    }
    shard_set_base (shard, base);
    order_controls (shard, wire_list (log, "controls"));
}

/* Events of a stream's own log go to all its other logs. Before the base moves: what they lack is
 * not trimmed. */
static void take_forwards (speed_core_t *self, shard_t *shard, wire_list_t logs)
{
    const model_t *model = member_model (self->member);
    keyed_log_t own;
    if (!model_log (model, text_of (shard_log_name (shard)), &own) || !own.primary)
        return;
    text_t *names = arena_zero (self->scratch, logs.count, sizeof *names);
    size_t count = 0;
    bool more = false;
    for (uint32_t i = 0; i < logs.count; i++) {
        text_t name = wire_text (&logs.items[i], "log");
        keyed_log_t other;
        if (!keyed_log_is_of (name, own.stream->name) || text_is (name, own.name))
            continue;
        if (count < KEYED_LOGS_MAX && model_log (model, name, &other))
            names[count++] = name;
        else
            more = true;
    }
    shard_set_forwards (shard, names, count, more);
}

/* Logs that the orders do not list any more were deleted. */
static void drop_unlisted_shards (partition_t *partition, wire_list_t logs)
{
    size_t kept = 0;
    for (size_t i = 0; i < partition->shards_count; i++) {
        bool listed = false;
        for (uint32_t l = 0; l < logs.count && !listed; l++)
            listed =
                text_is (wire_text (&logs.items[l], "log"), shard_log_name (partition->shards[i]));
        if (listed)
            partition->shards[kept++] = partition->shards[i];
        else
            shard_destroy (&partition->shards[i]);
    }
    partition->shards_count = kept;
}

static void take_partition (speed_core_t *self, const wire_value_t *order)
{
    uint32_t number = (uint32_t)wire_uint (order, "partition", UINT32_MAX);
    uint64_t epoch = wire_uint (order, "epoch", 0);
    if (number >= self->options.partitions || epoch == 0)
        return;
    partition_t **partition = &self->partitions[number];
    if (*partition && (*partition)->epoch > epoch)
        return; /* an older answer that came late */
    if (*partition && (*partition)->epoch < epoch)
        partition_destroy (partition);
    if (!*partition && epoch <= self->let_go[number]) {
        self->asked_back[number] = true;
        member_beat_soon (self->member);
        return;
    }
    if (!*partition) {
        *partition = mem_zero (1, sizeof **partition);
        (*partition)->number = number;
        (*partition)->epoch = epoch;
        member_beat_soon (self->member);
    }
    if ((*partition)->failed)
        return; /* until there is a new epoch */
    wire_list_t logs = wire_list (order, "logs");
    (*partition)->ordered = logs.count;
    drop_unlisted_shards (*partition, logs);
    for (size_t i = 0; i < (*partition)->shards_count; i++)
        take_forwards (self, (*partition)->shards[i], logs);
    for (uint32_t i = 0; i < logs.count; i++)
        take_log (self, *partition, &logs.items[i], i);
    for (size_t i = 0; i < (*partition)->shards_count; i++)
        take_forwards (self, (*partition)->shards[i], logs);
}

/* What was let go under an epoch is not ours under that epoch again: a coordinator that has heard
 * that we do not have it may have given it away. Answers of two coordinators, of which the earlier
 * one has taken it from us, can come in such an order. */
static void let_go (speed_core_t *self, uint32_t number)
{
    self->let_go[number] = self->partitions[number]->epoch;
    partition_destroy (&self->partitions[number]);
    member_beat_soon (self->member);
}

static bool ordered (wire_list_t orders, uint32_t partition)
{
    for (uint32_t i = 0; i < orders.count; i++)
        if (wire_uint (&orders.items[i], "partition", UINT64_MAX) == partition)
            return true;
    return false;
}

void orders_take (void *core, const wire_value_t *orders)
{
    speed_core_t *self = core;
    CHECK_OBJECT (self, SPEED_MAGIC);
    wire_list_t partitions = wire_list (orders, "partitions");
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        self->asked_back[p] = false;
        if (self->partitions[p] && !ordered (partitions, p))
            let_go (self, p);
    }
    for (uint32_t i = 0; i < partitions.count; i++)
        take_partition (self, &partitions.items[i]);
    routes_want (self->routes, wire_uint (orders, "routes", 0));
}

void orders_model (void *core, model_t *model)
{
    speed_core_t *self = core;
    CHECK_OBJECT (self, SPEED_MAGIC);
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        partition_t *partition = self->partitions[p];
        keyed_log_t log;
        for (size_t i = 0; partition && i < partition->shards_count; i++)
            if (model_log (model, text_of (shard_log_name (partition->shards[i])), &log))
                shard_set_model (partition->shards[i], model);
    }
}

static const char *partition_state (const partition_t *partition, const char **reason)
{
    const char *state = partition->shards_count < partition->ordered ? "opening" : "serving";
    for (size_t i = 0; i < partition->shards_count; i++) {
        shard_t *shard = partition->shards[i];
        if (shard_state (shard) == SHARD_FAILED) {
            *reason = shard_reason (shard);
            return "failed";
        }
        if (shard_state (shard) == SHARD_OPENING)
            state = "opening";
    }
    return state;
}

static void write_released (const speed_core_t *self, wire_writer_t *beat, uint32_t number)
{
    wire_open_map (beat);
    wire_field_uint (beat, "partition", number);
    wire_field_uint (beat, "epoch", self->let_go[number]);
    wire_field_string (beat, "state", "released");
    wire_field_list (beat, "logs");
    wire_close (beat);
    wire_close (beat);
}

void orders_fill_beat (void *core, wire_writer_t *beat)
{
    speed_core_t *self = core;
    CHECK_OBJECT (self, SPEED_MAGIC);
    wire_field_list (beat, "partitions");
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const partition_t *partition = self->partitions[p];
        if (self->asked_back[p])
            write_released (self, beat, p);
        if (!partition)
            continue;
        const char *reason = NULL;
        wire_open_map (beat);
        wire_field_uint (beat, "partition", p);
        wire_field_uint (beat, "epoch", partition->epoch);
        wire_field_string (beat, "state", partition_state (partition, &reason));
        if (reason)
            wire_field_string (beat, "reason", reason);
        wire_field_list (beat, "logs");
        for (size_t i = 0; i < partition->shards_count; i++)
            if (shard_state (partition->shards[i]) == SHARD_SERVING)
                shard_write_held (partition->shards[i], beat);
        wire_close (beat);
        wire_close (beat);
    }
    wire_close (beat);
    /* by which the coordinator recomputes early, before senders are told `busy` */
    wire_field_map (beat, "metrics");
    const pressure_t *pressure = worker_pressure (self);
    wire_field_uint (beat, "memory", memory_total (&pressure->memory));
    wire_field_uint (beat, "memory_limit", pressure_admits (pressure));
    wire_close (beat);
}
