/* Folds: layers of a partition that become one, a base or a larger delta, in a task of their own
 * while recomputes go on above them (docs/coordination.md, "Bases and deltas").
 *
 * A fold is in memory only: after a restart it is planned anew, and its files are nobody's. What it
 * made counts from the next recompute's publish on. */
#include "coordinator/state.h"

#include <string.h>

/* What is made is published with others of the log, within this. */
#define MADE_WAITS TIME_MINUTE

struct fold {
    log_t *log;
    uint32_t partition;
    size_t first; /* layers [first, end) of the current manifest, and of those that follow … */
    size_t end;   /* … for these keep them */
    arena_t *arena;
    catalog_part_t part; /* cut and clock of the layer; what is left out; its inputs' runs */
    int64_t below;       /* latest event of what is below it; INT64_MIN: it is a base */
    task_t *task;        /* NULL: it is made */
    uint64_t definitions;
    catalog_part_t made; /* that layer, or none, for it has no rows … */
    int64_t made_at;     /* … boot µs */
};

/* ---- what there is ---- */

static bool is_given (const fold_t *self)
{
    return self && (!self->task || task_is_given (self->task));
}

size_t folds_pinned (const log_t *log, uint32_t partition)
{
    const fold_t *fold = log->folds[partition];
    return is_given (fold) && fold->task ? fold->end : 0;
}

bool folds_may_begin (const coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    return !is_given (log->folds[partition]) && !put_off_rests (self, &log->fold);
}

const catalog_part_t *folds_made (const log_t *log, uint32_t partition)
{
    const fold_t *fold = log->folds[partition];
    return fold && !fold->task ? &fold->made : NULL;
}

uint64_t folds_definitions (const log_t *log, uint32_t partition)
{
    return log->folds[partition]->definitions;
}

/* Together with others of the log that are being made, unless these take long. */
bool folds_wait (const coordinator_core_t *self, const log_t *log)
{
    int64_t now = core_now (self);
    bool others = false;
    int64_t longest = -1;
    for (uint32_t p = 0; p < log->partitions; p++) {
        const fold_t *fold = log->folds[p];
        others = others || (fold && fold->task && task_is_given (fold->task));
        if (folds_made (log, p) && now - fold->made_at > longest)
            longest = now - fold->made_at;
    }
    return longest >= 0 && now >= log->started + EARLY_INTERVAL &&
           (!others || longest > MADE_WAITS);
}

const catalog_part_t *folds_present (const log_t *log, uint32_t partition, arena_t *arena)
{
    if (log->manifest.number == 0)
        return NULL;
    const catalog_part_t *present = &log->manifest.parts[partition];
    if (!folds_made (log, partition))
        return present;
    const fold_t *fold = log->folds[partition];
    catalog_part_t *part = arena_zero (arena, 1, sizeof *part);
    part->partition = partition;
    part->cut = present->cut;
    part->clock = present->clock;
    part->excluded = present->excluded;
    part->excluded_count = present->excluded_count;
    part_add_layers (part, present, 0, fold->first, arena);
    part_add_layers (part, &fold->made, 0, fold->made.layers_count, arena);
    part_add_layers (part, present, fold->end, present->layers_count, arena);
    return part;
}

/* ---- beginning and ending ---- */

void folds_drop (coordinator_core_t *self, log_t *log, uint32_t partition)
{
    fold_t *fold = log->folds[partition];
    log->folds[partition] = NULL;
    if (!fold)
        return;
    if (fold->task) {
        if (task_is_given (fold->task))
            nodes_poke (self, ROLE_BATCH);
        task_remove (self, &fold->task);
    }
    arena_destroy (&fold->arena);
    mem_free (fold);
    log->sweep = true; /* it may have files */
}

void folds_forget (coordinator_core_t *self, log_t *log)
{
    for (uint32_t p = 0; p < log->partitions; p++)
        folds_drop (self, log, p);
}

void folds_settle (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (self->logs[i]->dropped)
            folds_forget (self, self->logs[i]);
}

/* What it is made of: as the current manifest has it, which is what no recompute under way
 * replaces.
 */
static void plan (fold_t *self, int64_t clock, const layers_plan_t *plan)
{
    const catalog_part_t *present = &self->log->manifest.parts[self->partition];
    arena_destroy (&self->arena);
    self->arena = arena_new (1 << 12);
    self->first = plan->fold_first;
    self->end = plan->fold_end;
    self->below = self->first > 0 ? present->layers[self->first - 1].latest : INT64_MIN;
    self->part = (catalog_part_t){ .partition = self->partition,
                                   .cut = present->layers[self->end - 1].cut,
                                   .clock = clock,
                                   .excluded_count = present->excluded_count };
    self->part.excluded = arena_zero (self->arena, present->excluded_count, sizeof (uint64_t));
    for (size_t i = 0; i < present->excluded_count; i++)
        self->part.excluded[i] = present->excluded[i];
    part_add_layers (&self->part, present, self->first, self->end, self->arena);
    self->task->size = TASK_COST;
    for (size_t i = 0; i < self->part.runs_count; i++)
        self->task->size += self->part.runs[i].rows;
}

static fold_t *fold_new (coordinator_core_t *self, log_t *log, uint32_t partition)
{
    task_t *task = task_new (self);
    if (!task)
        return NULL;
    fold_t *fold = mem_zero (1, sizeof *fold);
    *fold = (fold_t){ .log = log, .partition = partition, .task = task };
    task->fold = fold;
    task->partition = partition;
    log->folds[partition] = fold;
    return fold;
}

bool folds_begin (coordinator_core_t *self, log_t *log, uint32_t partition, int64_t clock,
                  const layers_plan_t *layers)
{
    fold_t *fold = log->folds[partition];
    if (layers->fold_end == layers->fold_first) {
        if (fold && fold->task && layers->kept < fold->end)
            folds_drop (self, log, partition);
        return true;
    }
    if (!fold)
        fold = fold_new (self, log, partition);
    if (!fold)
        return false;
    CHECK (!is_given (fold));
    fold->definitions = fold->task->definitions = self->version;
    plan (fold, clock, layers);
    return true;
}

/* ---- what came of it ---- */

void folds_take (coordinator_core_t *self, task_t *task, const char *node,
                 const wire_value_t *outputs)
{
    fold_t *fold = task->fold;
    catalog_layer_t layer = { .cut = fold->part.cut, .clock = fold->part.clock };
    error_t error;
    fold->made.partition = fold->partition;
    status_t status =
        part_add_outputs (&fold->made, fold->log->name, layer, outputs, fold->arena, &error);
    if (status == STATUS_OK && fold->first > 0 && fold->made.runs_count == 0)
        fold->made.layers_count = 0; /* of a delta nothing is left */
    if (status != STATUS_OK) {
        env_log (self->env, LOG_ERROR, "the batch worker %s reports what it cannot have made: %s",
                 node, error.text);
        folds_drop (self, fold->log, fold->partition);
        return;
    }
    put_off (self, &fold->log->fold, NULL);
    fold->made_at = core_now (self);
    env_log (self->env, LOG_INFO, "layers %zu to %zu of %s/%" PRIu32 " are folded", fold->first,
             fold->end - 1, fold->log->name, fold->partition);
    stuck_views (fold->log, fold->partition, fold->first, wire_list (outputs, "left_out"));
    task_remove (self, &fold->task);
}

/* Without a layer that is at fault, deltas go on as before, and another one is begun later. */
void folds_failed (coordinator_core_t *self, task_t *task, const char *reason, text_t path)
{
    fold_t *fold = task->fold;
    log_t *log = fold->log;
    uint32_t partition = fold->partition;
    if (stuck_would (log, partition, path)) {
        stuck_note (self, log, partition, reason, path);
    } else {
        char *text = mem_format ("partition %" PRIu32 ": %s", partition, reason);
        put_off (self, &log->fold, text);
        env_log (self->env, LOG_WARNING, "a fold of %s is put off: %s", log->name, text);
        mem_free (text);
        for (uint32_t p = 0; p < log->partitions; p++) /* it may be the same with these */
            if (log->folds[p] && !is_given (log->folds[p]))
                folds_drop (self, log, p);
    }
    folds_drop (self, log, partition);
}

/* ---- telling ---- */

void folds_write (coordinator_core_t *self, const fold_t *fold)
{
    const catalog_part_t *part = &fold->part;
    orders_begin_build (self, fold->log->name, part, part->cut);
    orders_write_runs (self, part->runs, part->runs_count, part);
    if (fold->first > 0)
        wire_field_int (self->writer, "latest", fold->below);
    wire_close (self->writer);
}

void folds_tell (coordinator_core_t *self, const log_t *log)
{
    uint64_t count = 0;
    uint64_t done = 0;
    uint64_t total = 0;
    const char *waits = put_off_rests (self, &log->fold) ? log->fold.reason : "";
    for (uint32_t p = 0; p < log->partitions; p++) {
        const fold_t *fold = log->folds[p];
        if (!fold || !fold->task)
            continue;
        uint64_t of_task = 0;
        uint64_t so_far = task_progress (fold->task, &of_task);
        count++;
        done += so_far;
        total += of_task > 0 ? of_task : fold->task->size - TASK_COST;
        const char *its = task_waits (self, fold->task);
        waits = its[0] ? its : waits;
    }
    if (count == 0 && waits[0] == '\0')
        return;
    wire_field_map (self->writer, "folds");
    wire_field_uint (self->writer, "partitions", count);
    wire_field_uint (self->writer, "done", done);
    wire_field_uint (self->writer, "total", total);
    if (waits[0] != '\0')
        wire_field_string (self->writer, "waits", waits);
    wire_close (self->writer);
}
