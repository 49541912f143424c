/* queued → cutting → building → published → trimmed, one under way per log.
 *
 * The catalog knows of a recompute as queued until it is published or has failed: whether it was
 * cut is in its control records, and what was built counts only through the publish. So after a
 * restart a recompute goes on from its cuts, and builds again. */
#include "coordinator/state.h"

#include <string.h>

static const char *const words[] = {
    [RECOMPUTE_QUEUED] = "queued",     [RECOMPUTE_CUTTING] = "cutting",
    [RECOMPUTE_BUILDING] = "building", [RECOMPUTE_PUBLISHED] = "published",
    [RECOMPUTE_TRIMMED] = "trimmed",   [RECOMPUTE_FAILED] = "failed",
};

const char *recompute_word (recompute_state_t state)
{
    return words[state];
}

bool recompute_state_of (const char *word, recompute_state_t *state)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp (words[i], word) == 0) {
            *state = (recompute_state_t)i;
            return true;
        }
    return false;
}

static bool is_under_way (const recompute_t *self)
{
    return self->state == RECOMPUTE_CUTTING || self->state == RECOMPUTE_BUILDING;
}

recompute_t *recompute_find (const coordinator_core_t *self, uint64_t id)
{
    for (size_t i = 0; i < self->recomputes_count; i++)
        if (self->recomputes[i]->id == id)
            return self->recomputes[i];
    return NULL;
}

recompute_t *recompute_running (const coordinator_core_t *self, const char *log)
{
    for (size_t i = 0; i < self->recomputes_count; i++)
        if (is_under_way (self->recomputes[i]) && strcmp (self->recomputes[i]->log, log) == 0)
            return self->recomputes[i];
    return NULL;
}

/* A manifest is published before serving nodes have it in use, and trimmed when all have. */
bool recompute_is_served (const coordinator_core_t *self, const char *log, uint64_t manifest)
{
    for (size_t i = 0; i < self->recomputes_count; i++) {
        const recompute_t *recompute = self->recomputes[i];
        if (recompute->state == RECOMPUTE_PUBLISHED && recompute->manifest <= manifest &&
            strcmp (recompute->log, log) == 0)
            return false;
    }
    return true;
}

static recompute_t *queued (const coordinator_core_t *self, const char *log)
{
    for (size_t i = 0; i < self->recomputes_count; i++)
        if (self->recomputes[i]->state == RECOMPUTE_QUEUED &&
            strcmp (self->recomputes[i]->log, log) == 0)
            return self->recomputes[i];
    return NULL;
}

void recompute_destroy (recompute_t **self_p)
{
    recompute_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    mem_free (self->log);
    mem_free (self->reason);
    mem_free (self->error);
    mem_free (self->cuts);
    mem_free (self->behind);
    arena_destroy (&self->arena);
    mem_free (self);
}

status_t recompute_store (coordinator_core_t *self, recompute_t *recompute, error_t *error)
{
    recompute_state_t state =
        is_under_way (recompute) ? RECOMPUTE_QUEUED : recompute->state; /* as said above */
    catalog_recompute_t row = { .id = recompute->id,
                                .log = recompute->log,
                                .reason = recompute->reason,
                                .state = recompute_word (state),
                                .created = recompute->created,
                                .finished = recompute->finished,
                                .error = recompute->error,
                                .manifest = recompute->manifest,
                                .full = recompute->full };
    status_t status = catalog_put_recompute (self->catalog, &row, error);
    if (status == STATUS_OK)
        recompute->id = row.id;
    return status;
}

/* ---- asking for one ---- */

static void forget_finished (coordinator_core_t *self)
{
    size_t finished = 0;
    for (size_t i = 0; i < self->recomputes_count; i++)
        finished += self->recomputes[i]->state >= RECOMPUTE_TRIMMED;
    for (size_t i = 0; i < self->recomputes_count && finished > FINISHED_KEPT; i++) {
        if (self->recomputes[i]->state < RECOMPUTE_TRIMMED)
            continue;
        recompute_destroy (&self->recomputes[i]);
        self->recomputes_count--;
        memmove (self->recomputes + i, self->recomputes + i + 1,
                 (self->recomputes_count - i) * sizeof (recompute_t *));
        finished--;
        i--;
    }
}

/* One that waits already is to write bases. */
static status_t make_full (coordinator_core_t *self, recompute_t *waiting, error_t *error)
{
    waiting->full = true;
    status_t status = recompute_store (self, waiting, error);
    if (status == STATUS_OK)
        return status;
    waiting->full = false;
    return core_failed (self, error);
}

status_t recompute_request (coordinator_core_t *self, log_t *log, const char *reason, bool full,
                            uint64_t *id, error_t *error)
{
    recompute_t *waiting = queued (self, log->name);
    if (waiting)
        *id = waiting->id;
    if (waiting && (waiting->full || !full))
        return STATUS_OK;
    status_t status = core_writable (self, error);
    if (status != STATUS_OK)
        return status;
    if (waiting)
        return make_full (self, waiting, error);
    recompute_t *recompute = mem_zero (1, sizeof *recompute);
    recompute->log = mem_string (log->name);
    recompute->reason = mem_string (reason);
    recompute->error = mem_string ("");
    recompute->full = full;
    recompute->created = self->env->clock_us (self->env);
    recompute->cuts = mem_zero (self->options.partitions, sizeof *recompute->cuts);
    recompute->behind = mem_zero (self->options.partitions, sizeof *recompute->behind);
    status = recompute_store (self, recompute, error);
    if (status != STATUS_OK) {
        recompute_destroy (&recompute);
        return core_failed (self, error);
    }
    forget_finished (self);
    self->recomputes =
        mem_resize (self->recomputes, self->recomputes_count + 1, sizeof (recompute_t *));
    self->recomputes[self->recomputes_count++] = recompute;
    *id = recompute->id;
    env_log (self->env, LOG_INFO, "recompute %" PRIu64 " of %s: %s", recompute->id, log->name,
             reason);
    return STATUS_OK;
}

static void tell_ids (coordinator_core_t *self, const peer_t *from, uint64_t message,
                      const uint64_t *ids, size_t count)
{
    wire_begin (self->writer, MESSAGE_RECOMPUTE_OK, message);
    wire_field_list (self->writer, "ids");
    for (size_t i = 0; i < count; i++)
        wire_put_uint (self->writer, ids[i]);
    wire_close (self->writer);
    core_reply (self, from, message);
}

void recompute_asked (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    text_t stream = wire_text (message->body, "stream");
    bool all = !wire_has (message->body, "stream");
    bool full = wire_bool (message->body, "full", false);
    uint64_t *ids = mem_zero (self->logs_count, sizeof *ids);
    size_t count = 0;
    error_t error;
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < self->logs_count; i++) {
        log_t *log = self->logs[i];
        if (log->dropped || !log->begun || (!all && !text_is (stream, log->stream)))
            continue;
        status = recompute_request (self, log, full ? "asked for, full" : "asked for", full,
                                    &ids[count], &error);
        if (status == STATUS_OK)
            recompute_find (self, ids[count])->asked = true;
        count++;
    }
    if (status == STATUS_OK && !all && count == 0)
        status = definitions_no_stream (self->definitions, stream, &error);
    if (status == STATUS_OK)
        tell_ids (self, from, message->id, ids, count);
    else
        core_reply_error (self, from, message->id, &error);
    mem_free (ids);
}

void ids_add (const char ***list, size_t *count, const char *id, arena_t *arena)
{
    (*list)[(*count)++] = arena_string (arena, text_of (id));
}

bool ids_has (const char *const *list, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp (list[i], id) == 0)
            return true;
    return false;
}

bool recompute_brings (const recompute_t *self)
{
    return self->loads_count + self->unloaded_count + self->forgets_count > 0;
}

bool recompute_leaves_out (const recompute_t *self)
{
    return self->unloaded_count + self->forgets_count > 0;
}

/* ---- going on ---- */

/* Those that are stuck stay as they are, unless all are to be tried. */
static void hold_stuck (coordinator_core_t *self, recompute_t *recompute, const log_t *log)
{
    bool any = false;
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        recompute->behind[p] = !recompute->asked && stuck_holds (self, log, p);
        any = any || recompute->behind[p];
    }
    if (any && schedule_brings (self, log))
        memset (recompute->behind, 0, self->options.partitions * sizeof *recompute->behind);
}

void recompute_start (coordinator_core_t *self, recompute_t *recompute)
{
    log_t *log = log_named (self, text_of (recompute->log));
    recompute->state = RECOMPUTE_CUTTING;
    if (log) {
        log->started = core_now (self);
        hold_stuck (self, recompute, log);
    }
    nodes_poke (self, ROLE_SPEED);
}

static bool all_cut (const coordinator_core_t *self, const recompute_t *recompute)
{
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (!recompute->cuts[p].known && !recompute->behind[p])
            return false;
    return true;
}

static bool all_built (const coordinator_core_t *self, const recompute_t *recompute)
{
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (!recompute->builds[p].finished)
            return false;
    return true;
}

void recompute_forget_builds (coordinator_core_t *self, recompute_t *recompute)
{
    for (uint32_t p = 0; recompute->builds && p < self->options.partitions; p++)
        if (recompute->builds[p].task)
            task_remove (self, &recompute->builds[p].task);
    recompute->builds = NULL;
    recompute->loads = recompute->unloaded = NULL;
    recompute->forgets = NULL;
    recompute->loads_count = recompute->unloaded_count = recompute->forgets_count = 0;
    arena_destroy (&recompute->arena);
}

/* Where it cut is of no use to anybody any more. */
static void forget_cut (coordinator_core_t *self, const recompute_t *recompute)
{
    error_t error;
    char *cut = mem_format ("cut-%" PRIu64, recompute->id);
    if (catalog_forget_control (self->catalog, recompute->log, cut, &error) != STATUS_OK)
        (void)core_failed (self, &error);
    mem_free (cut);
}

/* The reason may be one of the recompute's own. */
void recompute_fail (coordinator_core_t *self, recompute_t *recompute, const char *reason)
{
    error_t error;
    if (core_writable (self, &error) != STATUS_OK)
        return; /* it will fail again */
    recompute_state_t before = recompute->state;
    recompute->state = RECOMPUTE_FAILED;
    recompute->finished = self->env->clock_us (self->env);
    core_set (&recompute->error, reason);
    if (recompute_store (self, recompute, &error) != STATUS_OK) {
        recompute->state = before;
        recompute->finished = 0;
        (void)core_failed (self, &error);
        return;
    }
    env_log (self->env, LOG_ERROR, "recompute %" PRIu64 " of %s failed: %s", recompute->id,
             recompute->log, recompute->error);
    recompute_forget_builds (self, recompute);
    forget_cut (self, recompute);
    log_t *log = log_named (self, text_of (recompute->log));
    if (!log)
        return;
    unsigned doublings = log->failures < 16 ? log->failures : 16;
    int64_t wait = RETRY_LAST << doublings;
    log->retry_at = core_now (self) + (wait < BACKOFF_LAST ? wait : BACKOFF_LAST);
    log->failures++;
    log->sweep = true;
    nodes_poke (self, ROLE_BATCH);
}

static void go_on (coordinator_core_t *self, recompute_t *recompute)
{
    const log_t *log = log_named (self, text_of (recompute->log));
    if (recompute->state <= RECOMPUTE_BUILDING && (!log || log->dropped)) {
        recompute_fail (self, recompute, "the stream was deleted");
        return;
    }
    if (recompute->state == RECOMPUTE_QUEUED && !recompute_running (self, recompute->log))
        recompute_start (self, recompute);
    if (recompute->state == RECOMPUTE_CUTTING && all_cut (self, recompute))
        build_begin (self, recompute);
    if (recompute->state == RECOMPUTE_BUILDING && all_built (self, recompute) &&
        core_now (self) >= recompute->retry_at && !keys_need_dataset (self, log))
        build_publish (self, recompute);
}

void recomputes_settle (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->recomputes_count && !self->doubtful; i++)
        go_on (self, self->recomputes[i]);
}
