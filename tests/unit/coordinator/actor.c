#include "tests/unit/coordinator/actor.h"

#include "coordinator/state.h"

#include "base/mem.h"
#include "feature/plan.h"

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

static played_task_t *task_known (actor_t *actor, uint64_t task, uint64_t attempt)
{
    for (size_t i = 0; i < actor->tasks_count; i++)
        if (actor->tasks[i].task == task && actor->tasks[i].attempt == attempt)
            return &actor->tasks[i];
    return NULL;
}

/* Does the build read a run, or a part of the log, that is damaged? */
static bool is_spoilt (const cluster_t *self, const played_task_t *task, wire_list_t runs)
{
    for (uint32_t i = 0; i < runs.count; i++)
        if (text_is (wire_text (&runs.items[i], "path"), self->damaged))
            return true;
    return self->damaged_logs[task->partition] && task->from < task->cut;
}

static void take_task (cluster_t *self, actor_t *actor, const wire_value_t *order)
{
    uint64_t id = wire_uint (order, "task", 0);
    uint64_t attempt = wire_uint (order, "attempt", 0);
    played_task_t *task = task_known (actor, id, attempt);
    if (!task) {
        cr_assert_lt (actor->tasks_count, TASKS_PLAYED);
        task = &actor->tasks[actor->tasks_count++];
        *task = (played_task_t){ .task = id, .attempt = attempt, .load = wire_has (order, "load") };
        task->verify = wire_has (order, "verify");
        task->train = wire_has (order, "train");
        if (task->verify) {
            wire_copy (wire_map (order, "verify"), "log", task->log, sizeof task->log);
        } else if (task->train) {
            const wire_value_t *train = wire_map (order, "train");
            task->partition = (uint32_t)wire_uint (train, "partition", 0);
            task->rows = wire_uint (train, "rows", 0);
            task->cut = wire_uint (wire_list (order, "sources").items, "position", 0);
            task->runs = wire_list (wire_list (order, "sources").items, "runs").count;
            task->excluded = wire_list (wire_list (order, "sources").items, "excluded").count;
        } else if (task->load) {
            wire_list_t logs = wire_list (wire_map (order, "load"), "logs");
            wire_copy (wire_map (order, "load"), "stream", task->log, sizeof task->log);
            task->history = wire_list (order, "history").count;
            for (uint32_t i = 0; i < logs.count && i < LOGS_PLAYED; i++) {
                text_t name = wire_item_text (&logs.items[i]);
                memcpy (task->logs[i], name.data, name.size);
                task->logs_count++;
            }
        } else {
            const wire_value_t *build = wire_map (order, "build");
            wire_copy (build, "log", task->log, sizeof task->log);
            task->partition = (uint32_t)wire_uint (build, "partition", 0);
            task->from = wire_uint (build, "from", 0);
            task->cut = wire_uint (build, "cut", 0);
            task->runs = wire_list (build, "runs").count;
            task->excluded = wire_list (build, "excluded").count;
            task->forgets = wire_list (build, "forgets").count;
            task->spoilt = is_spoilt (self, task, wire_list (build, "runs"));
        }
    }
    task->listed = true;
}

static void take_tasks (cluster_t *self, actor_t *actor, wire_list_t orders)
{
    for (size_t i = 0; i < actor->tasks_count; i++)
        actor->tasks[i].listed = false;
    for (uint32_t i = 0; i < orders.count; i++)
        take_task (self, actor, &orders.items[i]);
    size_t kept = 0;
    for (size_t i = 0; i < actor->tasks_count; i++)
        if (actor->tasks[i].listed || actor->stubborn)
            actor->tasks[kept++] = actor->tasks[i];
    actor->tasks_count = kept;
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
        take_tasks (self, actor, wire_list (message->body, "tasks"));
    else
        take_datasets (self, actor, wire_list (message->body, "datasets"));
}

/* ---- work ---- */

void cluster_put_file (cluster_t *self, const char *path)
{
    error_t error;
    char *directory = mem_string (path);
    *strrchr (directory, '/') = '\0';
    /* where the disk fails just now, the file is not there: nobody here reads it */
    if (fs_make_dir (self->rig.env.fs, directory, &error) == STATUS_OK)
        (void)!fs_replace (self->rig.env.fs, path, "x", 1, &error);
    mem_free (directory);
}

static void write_run (cluster_t *self, const char *log, uint32_t partition,
                       const played_task_t *task)
{
    char path[256];
    (void)snprintf (path, sizeof path, "history/%s/%u/%" PRIu64 "-%" PRIu64 "-%s0.run", log,
                    partition, task->task, task->attempt, task->load ? "load-" : "");
    cluster_put_file (self, path);
    wire_open_map (self->writer);
    wire_field_string (self->writer, "path", path);
    wire_field_uint (self->writer, "size", 1);
    wire_field_uint (self->writer, "rows", 7);
    wire_close (self->writer);
}

static uint64_t plan_hash (void)
{
    definition_file_t file = { "test.yaml", text_of (payments_definitions) };
    definitions_t *definitions;
    error_t error;
    cr_assert_eq (definitions_read (&file, 1, &definitions, &error), STATUS_OK, "%s", error.text);
    plan_t *plan = plan_new (&definitions->views[0]);
    uint64_t hash = plan->hash;
    plan_destroy (&plan);
    definitions_destroy (&definitions);
    return hash;
}

static void write_view (cluster_t *self, const played_task_t *task, uint32_t version, uint64_t plan)
{
    char path[256];
    (void)snprintf (path, sizeof path, "views/%s/%u/%" PRIu64 "-%" PRIu64 "-spend@v%u.view",
                    task->log, task->partition, task->task, task->attempt, version);
    cluster_put_file (self, path);
    wire_open_map (self->writer);
    wire_field_string (self->writer, "view", "spend");
    wire_field_uint (self->writer, "version", version);
    wire_field_uint (self->writer, "plan", plan);
    wire_field_string (self->writer, "path", path);
    wire_field_uint (self->writer, "size", 1);
    wire_close (self->writer);
}

/* Version 1 as it is in `payments_definitions`, and later ones that the cluster has. */
static void write_views (cluster_t *self, const played_task_t *task)
{
    write_view (self, task, 1, plan_hash ());
    if (!self->core || !self->core->definitions) /* those that it had are of version 1 */
        return;
    const definitions_t *definitions = self->core->definitions;
    for (size_t v = 0; v < definitions->views_count; v++)
        if (strcmp (definitions->views[v].name, "spend") == 0 && definitions->views[v].version > 1)
            write_view (self, task, definitions->views[v].version, self->core->plans[v][0]);
}

static void write_built (cluster_t *self, const played_task_t *task)
{
    if (task->forgets > 0) {
        wire_field_list (self->writer, "erased");
        for (size_t i = 0; i < task->forgets; i++)
            wire_put_uint (self->writer, 2);
        wire_close (self->writer);
    }
    wire_field_list (self->writer, "runs");
    write_run (self, task->log, task->partition, task);
    wire_close (self->writer);
    wire_field_list (self->writer, "views");
    write_views (self, task);
    wire_close (self->writer);
}

static void write_loaded (cluster_t *self, const played_task_t *task)
{
    wire_field_list (self->writer, "loaded");
    for (size_t l = 0; l < task->logs_count; l++)
        for (uint32_t p = 0; p < PARTITIONS; p++) {
            wire_open_map (self->writer);
            wire_field_string (self->writer, "log", task->logs[l]);
            wire_field_uint (self->writer, "partition", p);
            wire_field_list (self->writer, "runs");
            write_run (self, task->logs[l], p, task);
            wire_close (self->writer);
            wire_close (self->writer);
        }
    wire_close (self->writer);
}

static void write_verified (cluster_t *self)
{
    wire_field_list (self->writer, "erased");
    wire_put_uint (self->writer, self->left);
    wire_close (self->writer);
    wire_field_uint (self->writer, "files", 3);
    if (self->left > 0)
        wire_field_string (self->writer, "found", "history/payments/user_id/0/1-1-0.run");
}

static void write_trained (cluster_t *self, const played_task_t *task)
{
    char path[256];
    (void)snprintf (path, sizeof path, "training/%" PRIu64 "-%" PRIu64 ".result", task->task,
                    task->attempt);
    cluster_put_file (self, path);
    wire_field_list (self->writer, "runs");
    wire_open_map (self->writer);
    wire_field_string (self->writer, "path", path);
    wire_field_uint (self->writer, "size", 1);
    wire_field_uint (self->writer, "rows", task->rows);
    wire_close (self->writer);
    wire_close (self->writer);
}

static void tell_done (cluster_t *self, actor_t *actor, played_task_t *task)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_TASK_DONE, actor->next_id++);
    wire_field_uint (writer, "task", task->task);
    wire_field_uint (writer, "attempt", task->attempt);
    const char *fails_with = task->spoilt ? "corrupt" : actor->fails_with;
    wire_field_string (writer, "status", fails_with ? fails_with : "ok");
    if (task->spoilt) {
        wire_field_string (writer, "error", "block 3 is damaged");
        if (self->damaged[0] != '\0')
            wire_field_string (writer, "damaged", self->damaged);
    } else if (fails_with) {
        wire_field_string (writer, "error", "it did not work");
    } else {
        wire_field_map (writer, "outputs");
        if (task->verify)
            write_verified (self);
        else if (task->train)
            write_trained (self, task);
        else if (task->load)
            write_loaded (self, task);
        else
            write_built (self, task);
        wire_field_uint (writer, "rows", task->train ? task->rows : 7);
        wire_close (writer);
    }
    task->done = true;
    cluster_deliver (self, actor->name);
}

static bool is_fold (const played_task_t *task)
{
    return !task->load && !task->verify && !task->train && task->from == task->cut;
}

void actor_work (cluster_t *self, actor_t *actor)
{
    for (size_t i = 0; i < actor->tasks_count && !actor->lazy && !actor->cut_off; i++)
        if ((actor->keeps_folds && is_fold (&actor->tasks[i])) ||
            (actor->keeps_trains && actor->tasks[i].train))
            continue;
        else if (!actor->tasks[i].done || random_chance (&self->random, 0.1))
            tell_done (self, actor, &actor->tasks[i]); /* now and then once more */
}
