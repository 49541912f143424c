/* What a batch worker of a cluster.h plays: it takes tasks from its orders, and tells them done. */
#include "tests/unit/coordinator/actor.h"

#include "coordinator/state.h"

#include "base/mem.h"
#include "feature/plan.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- orders ---- */

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

static void take_train (const wire_value_t *order, played_task_t *task)
{
    const wire_value_t *train = wire_map (order, "train");
    const wire_value_t *source = wire_list (order, "sources").items;
    task->partition = (uint32_t)wire_uint (train, "partition", 0);
    task->rows = wire_uint (train, "rows", 0);
    task->cut = wire_uint (source, "position", 0);
    task->runs = wire_list (source, "runs").count;
    task->excluded = wire_list (source, "excluded").count;
}

static void take_load (const wire_value_t *order, played_task_t *task)
{
    wire_list_t logs = wire_list (wire_map (order, "load"), "logs");
    wire_copy (wire_map (order, "load"), "stream", task->log, sizeof task->log);
    task->history = wire_list (order, "history").count;
    for (uint32_t i = 0; i < logs.count && i < LOGS_PLAYED; i++) {
        text_t name = wire_item_text (&logs.items[i]);
        memcpy (task->logs[i], name.data, name.size);
        task->logs_count++;
    }
}

/* Its parts are of one log, which is what the tests have. */
static void take_skew (const wire_value_t *order, played_task_t *task)
{
    const wire_value_t *skew = wire_map (order, "skew");
    wire_list_t parts = wire_list (order, "parts");
    wire_copy (skew, "name", task->name, sizeof task->name);
    if (wire_has (skew, "training"))
        wire_copy (skew, "training", task->training, sizeof task->training);
    task->since = wire_int (skew, "since", 0);
    task->parts = parts.count;
    for (uint32_t i = 0; i < parts.count; i++) {
        const wire_value_t *part = &parts.items[i];
        wire_copy (part, "log", task->log, sizeof task->log);
        task->manifest = wire_uint (part, "manifest", 0);
        task->removed = wire_uint (part, "removed", 0);
        task->cut = wire_uint (part, "cut", 0);
        task->runs += wire_list (part, "runs").count;
        task->excluded += wire_list (part, "excluded").count;
        task->loads += wire_list (part, "loads").count;
    }
}

static void take_build (const cluster_t *self, const wire_value_t *order, played_task_t *task)
{
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

static void take_task (cluster_t *self, actor_t *actor, const wire_value_t *order)
{
    uint64_t id = wire_uint (order, "task", 0);
    uint64_t attempt = wire_uint (order, "attempt", 0);
    played_task_t *task = task_known (actor, id, attempt);
    if (!task) {
        cr_assert_lt (actor->tasks_count, TASKS_PLAYED);
        task = &actor->tasks[actor->tasks_count++];
        *task = (played_task_t){ .task = id,
                                 .attempt = attempt,
                                 .urgent = wire_bool (order, "urgent", false),
                                 .load = wire_has (order, "load") };
        task->verify = wire_has (order, "verify");
        task->train = wire_has (order, "train");
        task->skew = wire_has (order, "skew");
        if (task->verify)
            wire_copy (wire_map (order, "verify"), "log", task->log, sizeof task->log);
        else if (task->train)
            take_train (order, task);
        else if (task->skew)
            take_skew (order, task);
        else if (task->load)
            take_load (order, task);
        else
            take_build (self, order, task);
    }
    task->listed = true;
}

void actor_take_tasks (cluster_t *self, actor_t *actor, wire_list_t orders)
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

static void write_looked (cluster_t *self, const actor_t *actor)
{
    wire_writer_t *writer = self->writer;
    wire_field_map (writer, "skew");
    wire_field_string (writer, "report", actor->report ? actor->report : "{}");
    wire_field_uint (writer, "compared", actor->compared);
    wire_field_uint (writer, "mismatches", actor->mismatches);
    wire_field_uint (writer, "late", actor->late);
    wire_field_list (writer, "alerts");
    for (size_t i = 0; i < actor->alerts; i++)
        wire_put_string (writer, "total: PSI is 0.3");
    wire_close (writer);
    wire_close (writer);
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
        else if (task->skew && !actor->tells_nothing)
            write_looked (self, actor);
        else if (task->skew)
            ;
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
    return !task->load && !task->verify && !task->train && !task->skew && task->from == task->cut;
}

void actor_work (cluster_t *self, actor_t *actor)
{
    for (size_t i = 0; i < actor->tasks_count && !actor->lazy && !actor->cut_off; i++)
        if ((actor->keeps_folds && is_fold (&actor->tasks[i])) ||
            (actor->keeps_trains && actor->tasks[i].train) ||
            (actor->keeps_skews && actor->tasks[i].skew))
            continue;
        else if (!actor->tasks[i].done || random_chance (&self->random, 0.1))
            tell_done (self, actor, &actor->tasks[i]); /* now and then once more */
}
