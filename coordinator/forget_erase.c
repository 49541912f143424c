/* From the records in the logs to nothing left: the datasets without the entity are all that is
 * served, what is older is gone, and a look at what there is finds nothing. */
#include "coordinator/forgets.h"

#include <stdio.h>
#include <string.h>

static void wait_for (forget_t *forget, const char *what, const char *log)
{
    (void)snprintf (forget->waits, sizeof forget->waits, "%s %s", what, log);
}

/* ---- what has to be gone ---- */

/* Does every answer that is asked for from now on stand on a dataset without it? */
static bool is_served (const coordinator_core_t *self, const log_t *log, const forget_log_t *of_log)
{
    return recompute_is_served (self, log->name, of_log->manifest) &&
           log->kept[0].number >= of_log->manifest;
}

/* Have the owners removed all segments that hold the record or what is before it? */
static bool is_trimmed (const coordinator_core_t *self, const log_t *log,
                        const forget_log_t *of_log)
{
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const partition_t *partition = &self->partitions[p];
        const held_log_t *held = partition_log (partition, log->name);
        if (of_log->places[p].known &&
            (partition->state != HELD_SERVING || !held || held->kept <= of_log->places[p].offset))
            return false;
    }
    return true;
}

/* Were the files removed that only earlier manifests had? Those that tasks below `bound` wrote. */
static bool is_swept (coordinator_core_t *self, forget_t *forget, log_t *log, forget_log_t *of_log)
{
    if (log->swept_manifest >= of_log->manifest && log->swept_least >= of_log->bound)
        return true;
    if (!log->sweep && core_now (self) >= forget->retry_at) {
        log->sweep = true;
        forget->retry_at = core_now (self) + TIME_SECOND;
    }
    return false;
}

static bool is_gone (coordinator_core_t *self, forget_t *forget, forget_log_t *of_log)
{
    log_t *log = log_named (self, text_of (of_log->name));
    if (!log || log->dropped)
        return true;
    if (!log_has_load (log, forget->control)) {
        wait_for (forget, "a recompute of", log->name);
        return false;
    }
    if (of_log->manifest == 0) {
        of_log->manifest = log->manifest.number;
        of_log->dataset = arena_string (forget->arena, text_of (log->manifest.dataset));
    }
    /* at once, before a fold of the new dataset begins: its files need not be looked at */
    if (of_log->bound == 0 && !tasks_next (self, &of_log->bound))
        return false;
    bool gone = false;
    if (!is_served (self, log, of_log))
        wait_for (forget, "serving nodes to take the new dataset of", log->name);
    else if (!is_trimmed (self, log, of_log))
        wait_for (forget, "old segments to be removed of log", log->name);
    else if (!is_swept (self, forget, log, of_log))
        wait_for (forget, "old files to be removed of", log->name);
    else
        gone = true;
    return gone;
}

/* ---- the look at what there is ---- */

/* Is there nothing left to be looked at? Gives out what is. */
static bool is_verified (coordinator_core_t *self, forget_t *forget, forget_log_t *of_log)
{
    bool all = true;
    const log_t *log = log_named (self, text_of (of_log->name));
    for (uint32_t p = 0; log && !log->dropped && p < self->options.partitions; p++) {
        if (of_log->verified[p] || (of_log->primary && p != forget->partition))
            continue;
        all = false;
        if (of_log->tasks[p])
            continue;
        task_t *task = task_new (self);
        if (!task)
            return false; /* the catalog failed */
        task->forget = forget;
        task->log = of_log->name;
        task->partition = p;
        task->retry_at = forget->retry_at;
        task->size = TASK_COST;
        for (size_t i = 0; log->manifest.number > 0 && i < log->manifest.parts[p].runs_count; i++)
            task->size += log->manifest.parts[p].runs[i].rows;
        of_log->tasks[p] = task;
    }
    return all;
}

void erase_go_on (coordinator_core_t *self, forget_t *forget)
{
    error_t error;
    bool done = true;
    bool cleared = forget->state == FORGET_CLEARED;
    bool gone = true;
    for (size_t l = 0; l < forget->logs_count && !cleared; l++)
        gone = is_gone (self, forget, &forget->logs[l]) && gone;
    if (!gone)
        return;
    for (size_t l = 0; l < forget->logs_count && !cleared && !self->doubtful; l++)
        done = is_verified (self, forget, &forget->logs[l]) && done;
    if (!done || self->doubtful) {
        (void)snprintf (forget->waits, sizeof forget->waits, "the files to be looked through");
        return;
    }
    const char *node = cleared ? NULL : forget_samples_wait (self);
    if (node) {
        wait_for (forget, "answers that were kept to be removed at", node);
        return;
    }
    if (core_now (self) < forget->retry_at)
        return;
    status_t status = cleared ? STATUS_OK : forget_samples (self, &error);
    if (status == STATUS_OK)
        status = forget_finish (self, forget, &error);
    if (status != STATUS_OK)
        forget->retry_at = core_now (self) + TIME_SECOND;
}

void forget_not_verified (coordinator_core_t *self, const task_t *task, text_t reason)
{
    forget_t *forget = task->forget;
    char *text = mem_format ("%s/%" PRIu32 " is not looked through: " TEXT_FORMAT, task->log,
                             task->partition, TEXT_ARGS (reason));
    if (strcmp (text, forget->row.error) != 0) {
        env_log (self->env, LOG_ERROR, "forget %s: %s; trying again", forget->row.id, text);
        forget->row.error = arena_string (forget->arena, text_of (text));
    }
    mem_free (text);
}

void forget_verified (coordinator_core_t *self, task_t *task, const wire_value_t *outputs)
{
    forget_t *forget = task->forget;
    forget_log_t *of_log = forget_log (forget, task->log);
    log_t *log = log_named (self, text_of (task->log));
    uint32_t partition = task->partition;
    wire_list_t erased = wire_list (outputs, "erased");
    uint64_t found = erased.count == 1 ? wire_item_uint (&erased.items[0]) : UINT64_MAX;
    CHECK (of_log && of_log->tasks[partition] == task);
    task_remove (self, &of_log->tasks[partition]);
    if (found == 0) {
        of_log->verified[partition] = true;
        forget->row.files += wire_uint (outputs, "files", 0);
        forget->row.scanned += wire_uint (outputs, "rows", 0);
        forget->row.error = "";
        return;
    }
    char *text = mem_format ("%s/%" PRIu32 " still holds it: " TEXT_FORMAT, of_log->name, partition,
                             TEXT_ARGS (wire_text (outputs, "found")));
    env_log (self->env, LOG_ERROR, "forget %s: %s; looking again", forget->row.id, text);
    forget->row.error = arena_string (forget->arena, text_of (text));
    mem_free (text);
    forget->retry_at = core_now (self) + RETRY_LAST;
    of_log->again = true;
    if (log)
        log->sweep = true;
}

/* Those of the dataset, and those of loads that are on their way into one. */
static void write_runs (coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    const catalog_part_t *part = log->manifest.number > 0 ? &log->manifest.parts[partition] : NULL;
    wire_field_list (self->writer, "runs");
    for (size_t i = 0; part && i < part->runs_count; i++)
        orders_write_run (self, &part->runs[i], part->runs[i].offset);
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        const load_log_t *of_log = load_log (load, log->name);
        bool comes = load->state == LOAD_COMMITTING || load->state == LOAD_WAITING;
        if (!comes || !of_log || log_has_load (log, load->row.id))
            continue;
        const placed_t *place = &of_log->places[partition];
        for (size_t r = 0; r < of_log->parts[partition].runs_count; r++)
            orders_write_run (self, &of_log->parts[partition].runs[r],
                              place->known ? place->offset : INT64_MAX);
    }
    wire_close (self->writer);
}

void forget_write_verify (coordinator_core_t *self, const task_t *task)
{
    wire_writer_t *writer = self->writer;
    const forget_t *forget = task->forget;
    const forget_log_t *of_log = forget_log (forget, task->log);
    const log_t *log = log_named (self, text_of (task->log));
    CHECK (of_log && log);
    wire_field_map (writer, "verify");
    wire_field_string (writer, "log", log->name);
    wire_field_uint (writer, "partition", task->partition);
    wire_field_uint (writer, "before_task", of_log->bound);
    write_runs (self, log, task->partition);
    wire_field_bin (writer, "key", forget->key);
    wire_field_uint (writer, "offset", of_log->places[task->partition].offset);
    wire_field_int (writer, "before", forget->row.before);
    wire_close (writer);
}
