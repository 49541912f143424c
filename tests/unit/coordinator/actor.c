#include "tests/unit/coordinator/actor.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#define OPENING (3 * TIME_MS)

/* ---- the logs ---- */

static played_log_t *played_log (cluster_t *self, uint32_t partition, const char *name)
{
    for (size_t i = 0; i < LOGS_PLAYED; i++) {
        played_log_t *log = &self->logs[partition][i];
        if (log->name[0] == '\0')
            (void)snprintf (log->name, sizeof log->name, "%s", name);
        if (strcmp (log->name, name) == 0)
            return log;
    }
    cr_assert_fail ("too many logs");
    return NULL;
}

static bool log_has (const played_log_t *log, const char *id)
{
    for (size_t i = 0; i < log->controls_count; i++)
        if (strcmp (log->controls[i].id, id) == 0)
            return true;
    return false;
}

static void append_control (cluster_t *self, played_log_t *log, const char *id)
{
    if (log_has (log, id))
        return;
    if (log->controls_count == CONTROLS_PLAYED) /* the oldest was trimmed */
        memmove (log->controls, log->controls + 1, --log->controls_count * sizeof log->controls[0]);
    played_control_t *control = &log->controls[log->controls_count++];
    (void)snprintf (control->id, sizeof control->id, "%s", id);
    control->offset = log->end++;
    control->clock = self->rig.clock;
}

void cluster_send (cluster_t *self, uint64_t events)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        played_log (self, p, PAYMENTS)->end += events;
}

/* ---- what a node says ---- */

const char *actor_partition_state (const cluster_t *self, const played_partition_t *held)
{
    if (held->failed)
        return "failed";
    return self->rig.boot < held->opened + OPENING ? "opening" : "serving";
}

/* Of the payments' own log: all that the other logs lacked is with them. */
static void write_forwarded (cluster_t *self, const played_log_t *logs)
{
    wire_field_list (self->writer, "forwarded");
    for (size_t i = 0; i < LOGS_PLAYED; i++)
        if (logs[i].name[0] != '\0' && strcmp (logs[i].name, PAYMENTS) != 0)
            wire_put_string (self->writer, logs[i].name);
    wire_close (self->writer);
}

static void write_held_log (cluster_t *self, const actor_t *actor, const played_log_t *log,
                            const played_log_t *logs, uint64_t base)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_string (writer, "log", log->name);
    wire_field_uint (writer, "start", 0);
    wire_field_uint (writer, "kept", self->keeps_segments ? 0 : base);
    wire_field_uint (writer, "definitions", actor->rebuilds ? 1 : actor->definitions);
    wire_field_uint (writer, "end", log->end);
    wire_field_list (writer, "cuts");
    wire_close (writer);
    wire_field_list (writer, "controls");
    for (size_t i = 0; i < log->controls_count; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "id", log->controls[i].id);
        wire_field_uint (writer, "offset", log->controls[i].offset);
        wire_field_int (writer, "clock", log->controls[i].clock);
        wire_close (writer);
    }
    wire_close (writer);
    wire_field_uint (writer, "events", log->end);
    wire_field_uint (writer, "memory", 10 * log->end);
    if (logs && strcmp (log->name, PAYMENTS) == 0)
        write_forwarded (self, logs);
    wire_close (writer);
}

static void write_partitions (cluster_t *self, actor_t *actor)
{
    wire_writer_t *writer = self->writer;
    wire_field_list (writer, "partitions");
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const played_partition_t *held = &actor->partitions[p];
        if (!held->held)
            continue;
        wire_open_map (writer);
        wire_field_uint (writer, "partition", p);
        wire_field_uint (writer, "epoch", held->epoch);
        wire_field_string (writer, "state", actor_partition_state (self, held));
        if (held->failed)
            wire_field_string (writer, "reason", "a flush failed");
        wire_field_list (writer, "logs");
        for (size_t i = 0; i < LOGS_PLAYED; i++)
            if (self->logs[p][i].name[0] != '\0' && !held->failed)
                write_held_log (self, actor, &self->logs[p][i],
                                actor->keeps_back ? NULL : self->logs[p], held->base[i]);
        wire_close (writer);
        wire_close (writer);
    }
    wire_close (writer);
}

static void write_tasks (cluster_t *self, const actor_t *actor)
{
    wire_field_list (self->writer, "tasks");
    for (size_t i = 0; i < actor->tasks_count && !actor->forgetful; i++) {
        wire_open_map (self->writer);
        wire_field_uint (self->writer, "task", actor->tasks[i].task);
        wire_field_uint (self->writer, "attempt", actor->tasks[i].attempt);
        wire_field_uint (self->writer, "done", 5);
        wire_field_uint (self->writer, "total", 10);
        if (actor->stubborn)
            wire_field_uint (self->writer, "took", (uint64_t)(10 * TIME_SECOND));
        wire_close (self->writer);
    }
    wire_close (self->writer);
}

static void write_damaged (cluster_t *self, const actor_t *actor)
{
    wire_field_list (self->writer, "damaged");
    for (size_t i = 0; i < actor->datasets_count; i++) {
        if (actor->datasets[i] == 0)
            continue;
        wire_open_map (self->writer);
        wire_field_string (self->writer, "log", actor->dataset_log[i]);
        wire_field_uint (self->writer, "manifest", actor->datasets[i]);
        wire_field_uint (self->writer, "partition", 0);
        wire_field_string (self->writer, "kind", "view");
        wire_field_string (self->writer, "path", "views/x/0/1-1-x.view");
        wire_field_string (self->writer, "reason", "it cannot be read");
        wire_close (self->writer);
    }
    wire_close (self->writer);
}

static void write_datasets (cluster_t *self, const actor_t *actor)
{
    wire_field_list (self->writer, "datasets");
    for (size_t i = 0; i < actor->datasets_count; i++) {
        wire_open_map (self->writer);
        wire_field_string (self->writer, "log", actor->dataset_log[i]);
        wire_field_uint (self->writer, "manifest", actor->datasets[i]);
        wire_close (self->writer);
    }
    wire_close (self->writer);
    if (actor->has_sample)
        wire_field_bool (self->writer, "stale_sample", actor->sample_stale);
    if (actor->damaged)
        write_damaged (self, actor);
}

void cluster_deliver (cluster_t *self, const char *from)
{
    const void *data;
    size_t size;
    cr_assert (wire_end (self->writer, &data, &size));
    if (random_chance (&self->random, self->loss))
        return;
    peer_t peer = rig_incoming (from);
    if (self->core && !self->stopped)
        coordinator_core_receive (self->core, &peer, data, size);
    if (self->second.core && !self->second.stopped)
        coordinator_core_receive (self->second.core, &peer, data, size);
}

void actor_beat (cluster_t *self, actor_t *actor)
{
    wire_writer_t *writer = self->writer;
    uint64_t id = actor->next_id++;
    actor->sent[id % 16] = self->rig.boot;
    actor->next_beat = self->rig.boot + LEASE / 6;
    if (actor->cut_off)
        return;
    wire_begin (writer, MESSAGE_BEAT, id);
    wire_field_string (writer, "node", actor->name);
    wire_field_string (writer, "kind", actor->kind);
    wire_field_uint (writer, "incarnation", actor->incarnation);
    wire_field_string (writer, "cluster", "test");
    if (actor->endpoint[0] != '\0')
        wire_field_string (writer, "endpoint", actor->endpoint);
    if (actor->mark != 0)
        wire_field_uint (writer, "mark", actor->mark);
    wire_field_uint (writer, "definitions", actor->definitions);
    if (strcmp (actor->kind, "speed") == 0) {
        write_partitions (self, actor);
        wire_field_map (writer, "metrics");
        wire_field_uint (writer, "memory", actor->memory);
        wire_field_uint (writer, "memory_limit", actor->memory_limit);
        wire_close (writer);
    } else if (strcmp (actor->kind, "batch") == 0) {
        write_tasks (self, actor);
    } else {
        write_datasets (self, actor);
    }
    cluster_deliver (self, actor->name);
}

/* ---- what a node is told ---- */

static const wire_value_t *order_of (wire_list_t orders, uint32_t partition)
{
    for (uint32_t i = 0; i < orders.count; i++)
        if (wire_uint (&orders.items[i], "partition", UINT64_MAX) == partition)
            return &orders.items[i];
    return NULL;
}

static void open_partition (cluster_t *self, actor_t *actor, uint32_t partition, uint64_t epoch,
                            wire_list_t logs)
{
    played_partition_t *held = &actor->partitions[partition];
    *held = (played_partition_t){ .held = true, .epoch = epoch, .opened = self->rig.boot };
    held->failed = actor->fail_to_open;
    for (uint32_t i = 0; i < logs.count; i++) {
        char name[128];
        wire_copy (&logs.items[i], "log", name, sizeof name);
        played_log_t *log = played_log (self, partition, name);
        if (log->epoch >= epoch)
            held->failed = true; /* fenced */
        else
            log->epoch = epoch;
    }
    actor->next_beat = self->rig.boot;
}

/* It comes to the other logs of the payments as their events do. */
static void forward_forget (cluster_t *self, const char *id)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (size_t i = 0; i < LOGS_PLAYED; i++)
            if (self->logs[p][i].name[0] != '\0' && strcmp (self->logs[p][i].name, PAYMENTS) != 0)
                append_control (self, &self->logs[p][i], id);
}

static void take_logs (cluster_t *self, actor_t *actor, uint32_t partition, wire_list_t logs)
{
    played_partition_t *held = &actor->partitions[partition];
    memset (held->listed, 0, sizeof held->listed);
    for (uint32_t i = 0; i < logs.count; i++) {
        char name[128];
        wire_copy (&logs.items[i], "log", name, sizeof name);
        played_log_t *log = played_log (self, partition, name);
        held->listed[log - self->logs[partition]] = true;
        uint64_t base = wire_uint (&logs.items[i], "base", 0);
        if (log->epoch == 0) /* it is new */
            log->epoch = held->epoch;
        cr_assert_geq (base, held->base[log - self->logs[partition]], "a base went back");
        held->base[log - self->logs[partition]] = base;
        wire_list_t controls = wire_list (&logs.items[i], "controls");
        wire_list_t marks = wire_list (&logs.items[i], "marks");
        for (uint32_t m = 0; m < marks.count && m < PARTITIONS; m++)
            actor->marks[m] = wire_item_uint (&marks.items[m]);
        if (self->rig.boot < held->opened + OPENING || held->failed || log->epoch != held->epoch)
            continue;
        for (uint32_t c = 0; c < controls.count; c++) {
            char id[64];
            wire_copy (&controls.items[c], "id", id, sizeof id);
            bool forget = text_is (wire_text (&controls.items[c], "kind"), "forget");
            if (forget && self->places_no_forgets)
                continue;
            append_control (self, log, id);
            if (forget)
                forward_forget (self, id);
            actor->next_beat = self->rig.boot;
        }
    }
}

static void take_partitions (cluster_t *self, actor_t *actor, wire_list_t orders)
{
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        played_partition_t *held = &actor->partitions[p];
        const wire_value_t *order = order_of (orders, p);
        if (!order && held->held) {
            held->held = false;
            actor->next_beat = self->rig.boot;
        }
        if (!order)
            continue;
        uint64_t epoch = wire_uint (order, "epoch", 0);
        if (!held->held || held->epoch < epoch)
            open_partition (self, actor, p, epoch, wire_list (order, "logs"));
        take_logs (self, actor, p, wire_list (order, "logs"));
    }
}

static void take_datasets (cluster_t *self, actor_t *actor, wire_list_t orders)
{
    for (uint32_t i = 0; i < orders.count; i++) {
        char name[128];
        wire_copy (&orders.items[i], "log", name, sizeof name);
        size_t at = 0;
        while (at < actor->datasets_count && strcmp (actor->dataset_log[at], name) != 0)
            at++;
        if (at == actor->datasets_count) {
            memcpy (actor->dataset_log[at], name, sizeof name);
            actor->datasets_count++;
        }
        uint64_t manifest = wire_uint (&orders.items[i], "manifest", 0);
        actor->filling[at] = wire_bool (&orders.items[i], "filling", false);
        if (actor->stays || actor->datasets[at] == manifest)
            continue;
        actor->datasets[at] = manifest;
        actor->next_beat = self->rig.boot;
    }
}

void actor_take_orders (cluster_t *self, actor_t *actor, const message_t *message)
{
    int64_t sent = actor->sent[message->id % 16];
    uint64_t term = wire_uint (message->body, "term", 0);
    if (term < actor->term)
        return;
    actor->term = term;
    int64_t lease = LEASE_HELD ((int64_t)wire_uint (message->body, "lease_us", 0));
    if (sent + lease > actor->lease_until)
        actor->lease_until = sent + lease;
    if (message->id < actor->orders_id)
        return;
    actor->orders_id = message->id;
    actor->definitions = wire_uint (message->body, "definitions", 0);
    actor->routes = wire_uint (message->body, "routes", 0);
    if (strcmp (actor->kind, "speed") == 0)
        take_partitions (self, actor, wire_list (message->body, "partitions"));
    else if (strcmp (actor->kind, "batch") == 0)
        actor_take_tasks (self, actor, wire_list (message->body, "tasks"));
    else
        take_datasets (self, actor, wire_list (message->body, "datasets"));
    const wire_value_t *skew = wire_map (message->body, "skew");
    actor->skew_told = skew != NULL;
    actor->skew_mismatches = skew ? wire_uint (skew, "mismatches", 0) : 0;
    actor->skew_alerts = skew ? wire_uint (skew, "alerts", 0) : 0;
}
