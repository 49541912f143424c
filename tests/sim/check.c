#include "tests/sim/shadow.h"

#include "tests/sim/world.h"

#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

sim_check_t *check_new (sim_t *sim)
{
    sim_check_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    self->arena = arena_new (1 << 16);
    self->scratch = arena_new (1 << 16);
    self->decoder = wire_decoder_new ();
    self->fs = sim_disk_mount (sim_disk (sim));
    self->data = data_new ();
    for (size_t l = 0; l < DATA_LOGS; l++)
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
            shadow_t *shadow = &self->shadows[l][p];
            shadow->log = l;
            shadow->history = UINT64_MAX;
            shadow->partition = p;
            snprintf (shadow->dir, sizeof shadow->dir, "log/%.40s/%u", self->data->log[l].name, p);
        }
    return self;
}

void check_destroy (sim_check_t **self_p)
{
    sim_check_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t s = 0; s < DATA_LOGS; s++)
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
            mem_free (self->shadows[s][p].origins);
            mem_free (self->shadows[s][p].records);
            mem_free (self->shadows[s][p].events);
            mem_free (self->shadows[s][p].controls);
        }
    for (size_t l = 0; l < DATA_LOGS; l++)
        mem_free (self->history_loads[l]);
    for (sim_dataset_t *dataset = self->datasets; dataset; dataset = dataset->next) {
        mem_free (dataset->loads);
        mem_free (dataset->runs);
        mem_free (dataset->views);
    }
    data_destroy (&self->data);
    wire_decoder_destroy (&self->decoder);
    arena_destroy (&self->arena);
    arena_destroy (&self->scratch);
    mem_free (self);
}

const sim_data_t *check_data (const sim_check_t *self)
{
    return self->data;
}

void check_allow (sim_check_t *self, unsigned steps)
{
    self->data->usable |= steps;
}

arena_t *check_arena (sim_check_t *self)
{
    return self->arena;
}

void check_calm (sim_check_t *self)
{
    if (self->calm++ == 0)
        sim_disk_calm (self->sim, true);
}

void check_calm_over (sim_check_t *self)
{
    if (--self->calm == 0)
        sim_disk_calm (self->sim, false);
}

/* ---- what nodes tell each other ---- */

/* Nobody gets an epoch that another node has had; and nobody gets a partition while the lease of
 * another lasts, so that from then on only the new owner may answer for it. */
static void take_epoch (sim_check_t *self, const sim_node_t *to, uint64_t partition, uint64_t epoch)
{
    if (partition >= SIM_PARTITIONS || epoch >= EPOCHS_MAX) {
        sim_fail (self->sim, "%s gets partition %" PRIu64 " with epoch %" PRIu64, to->name,
                  partition, epoch);
        return;
    }
    char *given = self->given[partition][epoch];
    if (given[0] == '\0')
        snprintf (given, sizeof self->given[partition][epoch], "%.15s", to->name);
    else if (strcmp (given, to->name) != 0)
        sim_fail (self->sim, "partition %" PRIu64 ": epoch %" PRIu64 " was given to %s and to %s",
                  partition, epoch, given, to->name);
    sim_owner_t *owner = &self->answered[partition];
    if (epoch > owner->epoch && strcmp (owner->node, to->name) != 0) {
        owner->epoch = epoch;
        snprintf (owner->node, sizeof owner->node, "%s", to->name);
    }
}

/* Where a log of a new key begins. That is a cut of the stream's own log, which nobody else need
 * have told of: its dataset may not be in use yet. */
static void take_marks (sim_check_t *self, shadow_t *shadow, wire_list_t marks)
{
    size_t own = self->data->log_stream[shadow->log];
    for (uint32_t s = 0; s < marks.count && s < SIM_PARTITIONS; s++) {
        shadow->begin[s] = wire_item_uint (&marks.items[s]);
        if (shadow->marks[s] < shadow->begin[s])
            shadow->marks[s] = shadow->begin[s];
        shadow_sync (self, &self->shadows[own][s], shadow->begin[s]);
    }
}

/* No stream goes here, so no log does that was in orders once: owners would not wait for it. */
static void take_logs (sim_check_t *self, const sim_node_t *to, uint64_t partition,
                       wire_list_t logs)
{
    bool listed[DATA_LOGS] = { false };
    for (uint32_t l = 0; l < logs.count; l++) {
        int log = shadow_log (self, wire_text (&logs.items[l], "log"));
        if (log >= 0)
            listed[log] = true;
    }
    for (size_t log = 0; log < DATA_LOGS; log++) {
        if (self->ordered[log] && !listed[log])
            sim_fail (self->sim, "orders for partition %" PRIu64 " of %s leave out the log %s",
                      partition, to->name, self->data->log[log].name);
        self->ordered[log] = self->ordered[log] || listed[log];
    }
}

static void take_orders (sim_check_t *self, const sim_node_t *to, const wire_value_t *body)
{
    wire_list_t partitions = wire_list (body, "partitions");
    for (uint32_t i = 0; i < partitions.count; i++) {
        uint64_t partition = wire_uint (&partitions.items[i], "partition", UINT64_MAX);
        take_epoch (self, to, partition, wire_uint (&partitions.items[i], "epoch", 0));
        wire_list_t logs = wire_list (&partitions.items[i], "logs");
        take_logs (self, to, partition, logs);
        for (uint32_t l = 0; l < logs.count; l++) {
            int log = shadow_log (self, wire_text (&logs.items[l], "log"));
            uint64_t base = wire_uint (&logs.items[l], "base", 0);
            if (log < 0 || partition >= SIM_PARTITIONS)
                continue;
            shadow_t *shadow = &self->shadows[log][partition];
            if (base > shadow->base)
                shadow->base = base;
            take_marks (self, shadow, wire_list (&logs.items[l], "marks"));
        }
    }
}

static void take_tasks (sim_check_t *self, const wire_value_t *body)
{
    wire_list_t tasks = wire_list (body, "tasks");
    for (uint32_t i = 0; i < tasks.count; i++) {
        const wire_value_t *load = wire_map (&tasks.items[i], "load");
        if (load && wire_has (&tasks.items[i], "history"))
            history_take (self, load, wire_list (&tasks.items[i], "history"));
    }
}

/* Once there is a newer owner of a partition, an older one must not answer. */
static void take_query_answer (sim_check_t *self, const sim_node_t *from, const wire_value_t *body)
{
    wire_list_t parts = wire_list (body, "parts");
    for (uint32_t i = 0; i < parts.count; i++) {
        uint64_t partition = wire_uint (&parts.items[i], "partition", UINT64_MAX);
        if (partition >= SIM_PARTITIONS || !text_is (wire_text (&parts.items[i], "status"), "ok"))
            continue;
        uint64_t epoch = self->held[from->number].epoch[partition];
        sim_owner_t *owner = &self->answered[partition];
        if (epoch < owner->epoch)
            sim_fail (self->sim,
                      "partition %" PRIu64 ": %s answers as its owner with epoch %" PRIu64
                      " when %s has it with epoch %" PRIu64,
                      partition, from->name, epoch, owner->node, owner->epoch);
        owner->epoch = epoch;
        snprintf (owner->node, sizeof owner->node, "%s", from->name);
    }
}

void check_sent (sim_check_t *self, const sim_node_t *from, const sim_node_t *to, const void *data,
                 size_t size)
{
    message_t message;
    error_t error;
    if (wire_decode (self->decoder, data, size, &message, &error) != STATUS_OK) {
        sim_fail (self->sim, "%s sends %s what no one can read: %s", from->name, to->name,
                  error.text);
        return;
    }
    if (message.kind == MESSAGE_BEAT_OK)
        leaders_take_answer (self, from, message.body);
    if (message.kind == MESSAGE_BEAT && from->role == ROLE_SPEED)
        leaders_take_beat (self, from, &message);
    else if (message.kind == MESSAGE_BEAT_OK && to->role == ROLE_SPEED)
        take_orders (self, to, message.body);
    else if (message.kind == MESSAGE_BEAT_OK && to->role == ROLE_BATCH)
        take_tasks (self, message.body);
    else if (message.kind == MESSAGE_QUERY_OK)
        take_query_answer (self, from, message.body);
    else if (message.kind == MESSAGE_DEFINITIONS_OK)
        versions_take_definitions (self, from, message.body);
    else if (message.kind == MESSAGE_DATASET_OK)
        dataset_take (self, message.body);
}

/* What a speed worker now believes to own: epochs only grow, and late orders with older ones are
 * ignored. */
void check_received (sim_check_t *self, const sim_node_t *to, const void *data, size_t size)
{
    message_kind_t kind;
    uint64_t id;
    message_t message;
    error_t error;
    if (to->role != ROLE_SPEED || !wire_peek (data, size, &kind, &id) || kind != MESSAGE_BEAT_OK ||
        wire_decode (self->decoder, data, size, &message, &error) != STATUS_OK)
        return;
    leaders_take_orders (self, to, &message);
    sim_held_t *held = &self->held[to->number];
    if (held->incarnation != to->incarnation)
        *held = (sim_held_t){ .incarnation = to->incarnation };
    wire_list_t partitions = wire_list (message.body, "partitions");
    for (uint32_t i = 0; i < partitions.count; i++) {
        uint64_t partition = wire_uint (&partitions.items[i], "partition", UINT64_MAX);
        uint64_t epoch = wire_uint (&partitions.items[i], "epoch", 0);
        if (partition < SIM_PARTITIONS && epoch > held->epoch[partition])
            held->epoch[partition] = epoch;
    }
}

void check_before_remove (sim_check_t *self, const char *path)
{
    shadow_t *shadow = self ? shadow_of (self, path) : NULL;
    if (shadow)
        shadow_sync (self, shadow, shadow->base);
}

/* ---- batches and loads ---- */

void check_add_batch (sim_check_t *self, sim_batch_t *batch)
{
    batch->next = self->batches;
    self->batches = batch;
}

void check_add_load (sim_check_t *self, sim_load_t *load)
{
    for (size_t l = 0; l < DATA_LOGS; l++)
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++)
            load->offset[l][p] = UINT64_MAX;
    load->asked = sim_now (self->sim);
    load->next = self->loads;
    self->loads = load;
}

static void read_outcome (const wire_value_t *body, sim_outcome_t *outcome)
{
    wire_list_t refused = wire_list (body, "refused");
    *outcome = (sim_outcome_t){ .accepted = wire_uint (body, "accepted", 0),
                                .refused_count = wire_uint (body, "refused_count", 0),
                                .listed = refused.count };
    for (uint32_t i = 0; i < refused.count && i < PAYLOAD_REFUSED_MAX; i++) {
        text_t reason = wire_text (&refused.items[i], "reason");
        outcome->refused[i] = (uint32_t)wire_uint (&refused.items[i], "row", 0);
        outcome->reason[i] = XXH3_64bits (reason.data, reason.size);
    }
}

static void take_positions (sim_check_t *self, const sim_batch_t *batch, const wire_value_t *body)
{
    const wire_value_t *positions = wire_map (body, "positions");
    const stream_t *stream = self->data->stream[batch->stream];
    for (uint32_t i = 0; i < positions->via.map.size; i++) {
        text_t name = wire_item_text (&positions->via.map.ptr[i].key);
        uint64_t position = wire_item_uint (&positions->via.map.ptr[i].val);
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
            char expected[64];
            snprintf (expected, sizeof expected, "%s/%u", stream->log_name, p);
            shadow_t *shadow = &self->shadows[batch->stream][p];
            if (!text_is (name, expected))
                continue;
            if (position > shadow->acked)
                shadow->acked = position;
            shadow_sync (self, shadow, position);
        }
    }
}

void check_acked (sim_check_t *self, sim_batch_t *batch, const wire_value_t *body)
{
    sim_outcome_t outcome;
    read_outcome (body, &outcome);
    if (batch->acked && memcmp (&batch->outcome, &outcome, sizeof outcome) != 0)
        sim_fail (self->sim,
                  "batch %" PRIu64 " of %s is told another outcome than before: %" PRIu64
                  " accepted, %" PRIu64 " refused, then %" PRIu64 " and %" PRIu64,
                  batch->sequence, self->data->stream[batch->stream]->name, batch->outcome.accepted,
                  batch->outcome.refused_count, outcome.accepted, outcome.refused_count);
    if (!batch->acked)
        batch->ack = ++self->acks;
    batch->acked = true;
    batch->outcome = outcome;
    take_positions (self, batch, body);
    if (sim_failed (self->sim))
        return;
    if (outcome.accepted != batch->accepted_in_log ||
        outcome.refused_count != batch->refused_in_log)
        sim_fail (self->sim,
                  "batch %" PRIu64 " of %s was acknowledged with %" PRIu64 " accepted and %" PRIu64
                  " refused, but the log has %" PRIu64 " and %" PRIu64,
                  batch->sequence, self->data->stream[batch->stream]->name, outcome.accepted,
                  outcome.refused_count, batch->accepted_in_log, batch->refused_in_log);
}

void check_floor (const sim_check_t *self, sim_floor_t *floor)
{
    for (size_t l = 0; l < DATA_LOGS; l++)
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
            floor->position[l][p] = self->shadows[l][p].acked;
            floor->answered[l][p] = self->shadows[l][p].answered;
        }
    floor->acks = self->acks;
    floor->asked = sim_now (self->sim);
}

/* ---- the end ---- */

void check_logs (sim_check_t *self)
{
    for (size_t s = 0; s < DATA_LOGS; s++)
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++)
            shadow_reread (self, &self->shadows[s][p]);
}

void check_end (sim_check_t *self)
{
    size_t rows = 0;
    for (const sim_batch_t *batch = self->batches; batch; batch = batch->next) {
        rows += batch->count;
        if (batch->lost && !batch->acked)
            continue;
        if (!batch->acked)
            sim_fail (self->sim, "batch %" PRIu64 " was never acknowledged", batch->sequence);
        else if (batch->accepted_in_log + batch->refused_in_log != batch->count)
            sim_fail (self->sim, "batch %" PRIu64 " has %zu rows, and the logs speak of %" PRIu64,
                      batch->sequence, batch->count,
                      batch->accepted_in_log + batch->refused_in_log);
    }
    check_logs (self);
    dataset_verify (self);
    sim_log (self->sim, "%zu rows sent, %" PRIu64 " answers checked", rows, self->answers);
}
