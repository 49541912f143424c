/* Memory from the catalog: at the start, and after a failure left in doubt what it holds. */
#include "coordinator/skews.h"
#include "coordinator/state.h"

#include <stdlib.h>
#include <string.h>

void core_forget (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->recomputes_count; i++) {
        recompute_forget_builds (self, self->recomputes[i]);
        recompute_destroy (&self->recomputes[i]);
    }
    mem_free (self->recomputes);
    self->recomputes = NULL;
    self->recomputes_count = 0;
    for (size_t i = 0; i < self->loads_count; i++) {
        if (self->loads[i]->task)
            task_remove (self, &self->loads[i]->task);
        load_destroy (&self->loads[i]);
    }
    mem_free (self->loads);
    self->loads = NULL;
    self->loads_count = 0;
    for (size_t i = 0; i < self->logs_count; i++)
        folds_forget (self, self->logs[i]);
    forgets_release (self);
    trainings_release (self);
    skews_interrupt (self);
    CHECK (self->tasks_count == 0);
    mem_free (self->tasks);
    self->tasks = NULL;
    for (size_t i = 0; i < self->logs_count; i++)
        log_destroy (&self->logs[i]);
    mem_free (self->logs);
    self->logs = NULL;
    self->logs_count = 0;
    definitions_unload (self);
}

void core_forget_all (coordinator_core_t *self)
{
    core_forget (self);
    backups_release (self);
    skews_release (self);
    for (size_t i = 0; i < self->nodes_count; i++)
        node_destroy (&self->nodes[i]);
    mem_free (self->nodes);
    self->nodes = NULL;
    self->nodes_count = 0;
    for (size_t i = 0; i < self->leftovers_count; i++)
        mem_free ((void *)(uintptr_t)self->leftovers[i]);
    mem_free (self->leftovers);
    self->leftovers = NULL;
    self->leftovers_count = 0;
    for (uint32_t p = 0; self->partitions && p < self->options.partitions; p++)
        partition_release (&self->partitions[p]);
    mem_free (self->partitions);
    self->partitions = NULL;
}

/* ---- partitions ---- */

/* What the catalog says, where it is not what is known here. Whoever the catalog names may have
 * been promised the partition; nobody else was, because the one before had given it up. */
static void restore_partition (coordinator_core_t *self, const catalog_assignment_t *row)
{
    partition_t *partition = &self->partitions[row->partition];
    if (row->epoch == partition->epoch)
        return;
    core_set (&partition->node, row->node);
    core_set (&partition->endpoint, row->endpoint);
    core_set (&partition->reason, "");
    partition->epoch = row->epoch;
    partition->incarnation = row->incarnation;
    partition->leased_until = core_now (self) + lease_drifted (self->lead.earlier_lease);
    partition->reported = partition->releasing = partition->free = false;
    partition->state = HELD_UNKNOWN;
    self->routes_version++;
}

static void restore_partitions (coordinator_core_t *self, const catalog_assignment_t *rows,
                                size_t count)
{
    if (!self->partitions) {
        self->partitions = mem_zero (self->options.partitions, sizeof *self->partitions);
        for (uint32_t p = 0; p < self->options.partitions; p++)
            self->partitions[p] = (partition_t){ .number = p,
                                                 .node = mem_string (""),
                                                 .endpoint = mem_string (""),
                                                 .reason = mem_string ("") };
    }
    for (size_t i = 0; i < count; i++)
        if (rows[i].partition < self->options.partitions)
            restore_partition (self, &rows[i]);
    for (uint32_t p = 0; p < self->options.partitions; p++)
        self->partitions[p].unsure = false;
}

/* ---- work ---- */

static status_t restore_recomputes (coordinator_core_t *self, arena_t *arena, error_t *error)
{
    catalog_recompute_t *rows;
    size_t count;
    status_t status =
        catalog_recomputes (self->catalog, FINISHED_KEPT, arena, &rows, &count, error);
    if (status != STATUS_OK)
        return status;
    self->recomputes = mem_zero (count, sizeof (recompute_t *));
    for (size_t i = 0; i < count; i++) {
        recompute_state_t state;
        if (!recompute_state_of (rows[i].state, &state))
            return error_set (error, STATUS_CORRUPT, "a recompute is \"%s\" in the catalog",
                              rows[i].state);
        recompute_t *recompute = mem_zero (1, sizeof *recompute);
        self->recomputes[self->recomputes_count++] = recompute;
        recompute->id = rows[i].id;
        recompute->log = mem_string (rows[i].log);
        recompute->reason = mem_string (rows[i].reason);
        recompute->error = mem_string (rows[i].error);
        recompute->state = state;
        recompute->created = rows[i].created;
        recompute->finished = rows[i].finished;
        recompute->manifest = rows[i].manifest;
        recompute->full = rows[i].full;
        recompute->cuts = mem_zero (self->options.partitions, sizeof *recompute->cuts);
        recompute->behind = mem_zero (self->options.partitions, sizeof *recompute->behind);
    }
    return STATUS_OK;
}

static status_t restore_loads (coordinator_core_t *self, arena_t *arena, error_t *error)
{
    catalog_load_t *rows;
    size_t count;
    status_t status = catalog_loads (self->catalog, arena, &rows, &count, error);
    if (status != STATUS_OK)
        return status;
    self->loads = mem_zero (count, sizeof (load_t *));
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        load_t *load = load_new ();
        self->loads[self->loads_count++] = load;
        load->row = rows[i]; /* its texts are in the arena of all, and copied next */
#define COPY(field) load->row.field = arena_string (load->arena, text_of (rows[i].field))
        COPY (id);
        COPY (stream);
        COPY (log);
        COPY (name);
        COPY (path);
        COPY (format);
        COPY (ingest_time);
        COPY (error);
        COPY (rejects);
        COPY (runs);
#undef COPY
        if (!load_state_of (rows[i].state, &load->state))
            return error_set (error, STATUS_CORRUPT, "a load is \"%s\" in the catalog",
                              rows[i].state);
        load->row.state = load_word (load->state);
        status = load_runs_read (load, self->options.partitions, error);
        if (load->state == LOAD_VISIBLE || load->state == LOAD_UNLOADED)
            load_needs_manifests (self, load); /* or earlier ones */
    }
    return status;
}

static void restore_control (coordinator_core_t *self, const catalog_control_t *row)
{
    placed_t *places = NULL;
    if (strncmp (row->id, "load-", 5) == 0) {
        load_t *load = load_find (self, text_of (row->id + 5));
        load_log_t *log = load ? load_log (load, row->log) : NULL;
        places = log ? log->places : NULL;
    } else if (strncmp (row->id, "cut-", 4) == 0) {
        recompute_t *recompute = recompute_find (self, strtoull (row->id + 4, NULL, 10));
        bool of_log = recompute && strcmp (recompute->log, row->log) == 0;
        places = of_log ? recompute->cuts : NULL;
        if (of_log && recompute->state == RECOMPUTE_QUEUED)
            recompute_start (self, recompute); /* it was under way */
    }
    if (row->partition < self->options.partitions) {
        placed_t *place = forgets_place (self, row->log, row->partition, text_of (row->id), false);
        if (place)
            *place = (placed_t){ .known = true, .offset = row->offset, .clock = row->clock };
    }
    if (places && row->partition < self->options.partitions)
        places[row->partition] =
            (placed_t){ .known = true, .offset = row->offset, .clock = row->clock };
}

static status_t restore_controls (coordinator_core_t *self, arena_t *arena, error_t *error)
{
    catalog_control_t *rows;
    size_t count;
    status_t status = catalog_controls (self->catalog, arena, &rows, &count, error);
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        restore_control (self, &rows[i]);
    return status;
}

/* The schedule goes on from the latest recompute, as far as the wall clock can be believed. */
static void restore_schedule (coordinator_core_t *self)
{
    int64_t clock = self->env->clock_us (self->env);
    for (size_t i = 0; i < self->recomputes_count; i++) {
        const recompute_t *recompute = self->recomputes[i];
        log_t *log = log_named (self, text_of (recompute->log));
        int64_t ago = clock - recompute->created;
        if (log && ago >= 0)
            log->started =
                core_now (self) -
                (ago < self->options.recompute_every ? ago : self->options.recompute_every);
    }
}

static status_t read_all (coordinator_core_t *self, arena_t *arena, error_t *error)
{
    status_t status = definitions_load (self, error);
    if (status == STATUS_OK)
        status = restore_recomputes (self, arena, error);
    if (status == STATUS_OK)
        status = restore_loads (self, arena, error);
    if (status == STATUS_OK)
        status = forgets_restore (self, arena, error);
    if (status == STATUS_OK)
        status = restore_controls (self, arena, error);
    if (status == STATUS_OK)
        forgets_restored (self);
    return status;
}

status_t core_restore (coordinator_core_t *self, error_t *error)
{
    /* All or nothing: until everything was read, what was known stays. */
    coordinator_core_t next = *self;
    next.objects_arena = NULL;
    next.objects = NULL;
    next.definitions = NULL;
    next.plans = NULL;
    next.logs = NULL;
    next.recomputes = NULL;
    next.loads = NULL;
    next.forgets = NULL;
    next.forgets_count = 0;
    next.trainings = NULL;
    next.trainings_count = 0;
    next.tasks = NULL;
    next.objects_count = next.logs_count = next.recomputes_count = 0;
    next.loads_count = next.tasks_count = 0;
    next.skews = NULL; /* they are not of the catalog */
    next.skews_count = 0;
    arena_t *arena = arena_new (1 << 16);
    catalog_assignment_t *rows;
    size_t count;
    status_t status = catalog_assignments (self->catalog, arena, &rows, &count, error);
    if (status == STATUS_OK)
        status = read_all (&next, arena, error);
    if (status == STATUS_OK) {
        backups_end (self); /* they begin again */
        next.pins_count = 0;
        skews_hand_on (self, &next);
        core_forget (self);
        *self = next;
        restore_partitions (self, rows, count);
        restore_schedule (self);
        sweep_copies (self);
        nodes_poke_all (self);
    } else {
        core_forget (&next);
    }
    arena_destroy (&arena);
    return status;
}
