/* When a log is recomputed without being asked for. */
#include "coordinator/state.h"

#include <string.h>

uint64_t schedule_uncovered (const log_t *log, const partition_t *partition)
{
    const held_log_t *held = partition_log (partition, log->name);
    if (!held)
        return 0;
    uint64_t cut = log->manifest.number > 0 ? log->manifest.parts[partition->number].cut : 0;
    if (held->end <= cut)
        return 0;
    uint64_t records = 0;
    for (size_t i = 0; i < held->controls_count; i++)
        records += held->controls[i] >= cut;
    uint64_t above = held->end - cut;
    return above > records ? above - records : 0;
}

bool schedule_has_new (const coordinator_core_t *self, const log_t *log)
{
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (schedule_uncovered (log, &self->partitions[p]) > 0 && !stuck_holds (self, log, p))
            return true;
    return false;
}

static int64_t due_at (const coordinator_core_t *self, const log_t *log)
{
    return log->started + self->options.recompute_every;
}

int64_t schedule_next (const coordinator_core_t *self)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; self->options.recompute_every > 0 && i < self->logs_count; i++)
        if (due_at (self, self->logs[i]) < next)
            next = due_at (self, self->logs[i]);
    return next;
}

/* Is an owner of some of the log's events short of memory? */
static bool memory_is_short (const coordinator_core_t *self, const log_t *log)
{
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const partition_t *partition = &self->partitions[p];
        const node_t *node = node_of (self, partition->node, partition->incarnation);
        if (!node || node->memory_limit == 0 || schedule_uncovered (log, partition) == 0 ||
            stuck_holds (self, log, p))
            continue;
        if (node->memory / MEMORY_HIGH_PERCENT >= node->memory_limit / 100)
            return true;
    }
    return false;
}

/* Would the owner of some of the log's events need seconds to replay them? */
static bool replay_is_long (const coordinator_core_t *self, const log_t *log)
{
    for (size_t i = 0; i < self->nodes_count; i++) {
        const node_t *node = self->nodes[i];
        uint64_t events = 0;
        for (uint32_t p = 0; node->role == ROLE_SPEED && p < self->options.partitions; p++)
            if (partition_listed (&self->partitions[p], node) && !stuck_holds (self, log, p))
                events += schedule_uncovered (log, &self->partitions[p]);
        if (events >= REPLAY_EVENTS)
            return true;
    }
    return false;
}

bool schedule_is_urgent (const coordinator_core_t *self, const char *log_name)
{
    const log_t *log = log_named (self, text_of (log_name));
    return log && (memory_is_short (self, log) || replay_is_long (self, log));
}

static const load_t *waiting_load (const coordinator_core_t *self, const log_t *log)
{
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        bool there = log_has_load (log, load->row.id);
        bool out =
            load->state == LOAD_UNLOADING && (there || load_settled (self, load, log->name, true));
        bool in = load->state == LOAD_WAITING && !there && !put_off_rests (self, &load->damaged);
        if (load_log (load, log->name) && ((out && !put_off_rests (self, &log->leave)) ||
                                           (in && !put_off_rests (self, &log->join))))
            return load;
    }
    return NULL;
}

/* An entity that may be erased from it now; NULL. */
static const char *waiting_forget (const coordinator_core_t *self, const log_t *log)
{
    return put_off_rests (self, &log->leave) ? NULL : forgets_reason (self, log);
}

bool schedule_brings (const coordinator_core_t *self, const log_t *log)
{
    return waiting_load (self, log) || waiting_forget (self, log);
}

static bool is_scheduled (const coordinator_core_t *self, const log_t *log)
{
    for (size_t i = 0; i < self->recomputes_count; i++)
        if (self->recomputes[i]->state <= RECOMPUTE_BUILDING &&
            strcmp (self->recomputes[i]->log, log->name) == 0)
            return true;
    return false;
}

/* Why the log should be recomputed now; NULL: it should not. The caller frees. */
static char *reason_for (const coordinator_core_t *self, log_t *log)
{
    int64_t now = core_now (self);
    if (log->dropped || !log->begun || now < log->retry_at || is_scheduled (self, log))
        return NULL;
    const load_t *load = waiting_load (self, log);
    if (load)
        return mem_format ("%s %s", load->state == LOAD_WAITING ? "load" : "unload", load->row.id);
    const char *forget = waiting_forget (self, log);
    if (forget)
        return mem_format ("forget %s", forget);
    const char *view = layers_view_missing (self, log);
    if (view)
        return mem_format ("view %s has no file", view);
    log->built_definitions = self->version; /* no need to look again before they change */
    uint32_t stuck = stuck_due (self, log);
    if (stuck < self->options.partitions)
        return mem_format ("partition %" PRIu32 " is tried again", stuck);
    if (folds_wait (self, log))
        return mem_string ("layers were folded");
    bool early = now >= log->started + EARLY_INTERVAL;
    if (early && memory_is_short (self, log))
        return mem_string ("memory is short");
    if (early && replay_is_long (self, log))
        return mem_string ("many events are new");
    if (self->options.recompute_every > 0 && now >= due_at (self, log) &&
        schedule_has_new (self, log))
        return mem_string ("schedule");
    return NULL;
}

void schedule_settle (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->logs_count && !self->doubtful; i++) {
        char *reason = reason_for (self, self->logs[i]);
        if (!reason)
            continue;
        uint64_t id;
        error_t error;
        /* a catalog that failed is tried again later */
        (void)!recompute_request (self, self->logs[i], reason, false, &id, &error);
        mem_free (reason);
    }
}
