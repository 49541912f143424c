#include "coordinator/skews.h"

#include "coordinator/forgets.h"
#include "coordinator/state.h"

#include <string.h>

#define INCOMING "incoming/"

enum { ORDER_MAX = 4 << 20 }; /* bytes */

/* ---- their life ---- */

static void drop_alerts (skew_t *self)
{
    for (size_t i = 0; i < self->alerts_count; i++)
        mem_free (self->alerts[i]);
    mem_free (self->alerts);
    self->alerts = NULL;
    self->alerts_count = 0;
}

static void drop (coordinator_core_t *self, size_t at)
{
    skew_t *skew = self->skews[at];
    self->skews_count--;
    memmove (self->skews + at, self->skews + at + 1, (self->skews_count - at) * sizeof (skew_t *));
    drop_alerts (skew);
    mem_free (skew->name);
    mem_free (skew->training);
    mem_free (skew->error);
    mem_free (skew->report);
    mem_free (skew);
}

/* Its copy of a training set is not needed any more. */
static void end (coordinator_core_t *self, skew_t *skew)
{
    if (skew->training[0] != '\0')
        sweep_leftover (self, skew->training);
}

static skew_t *find (const coordinator_core_t *self, uint64_t id)
{
    for (size_t i = 0; i < self->skews_count; i++)
        if (self->skews[i]->id == id)
            return self->skews[i];
    return NULL;
}

void skews_interrupt (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->skews_count; i++) {
        skew_t *skew = self->skews[i];
        if (skew->task == NULL)
            continue;
        task_remove (self, &skew->task);
        core_set (&skew->error, "the coordinator could not write for a while; ask again");
        end (self, skew);
    }
}

void skews_hand_on (coordinator_core_t *self, coordinator_core_t *next)
{
    skews_interrupt (self);
    next->skews = self->skews;
    next->skews_count = self->skews_count;
    next->leftovers = self->leftovers; /* there may be more now */
    next->leftovers_count = self->leftovers_count;
    next->leftovers_later = self->leftovers_later;
}

void skews_release (coordinator_core_t *self)
{
    while (self->skews_count > 0)
        drop (self, self->skews_count - 1);
    mem_free (self->skews);
    self->skews = NULL;
}

/* ---- beginning ---- */

/* What the name means now: the active version, or the one that it says. */
static bool find_target (const coordinator_core_t *self, text_t reference, const view_t **view,
                         const service_t **service)
{
    text_t name;
    uint32_t version;
    error_t error;
    return self->definitions != NULL && version_reference (reference, &name, &version) &&
           definitions_find (self->definitions, name, version, view, service, &error) == STATUS_OK;
}

static bool is_known (const coordinator_core_t *self, text_t name)
{
    const view_t *view;
    const service_t *service;
    return find_target (self, name, &view, &service);
}

/* Does one of the view's sources read the log? */
static bool reads (const view_t *view, const char *log)
{
    for (size_t i = 0; i < view->sources_count; i++)
        if (strcmp (view->sources[i].log_name, log) == 0)
            return true;
    return false;
}

static bool is_read (const coordinator_core_t *self, text_t name, const char *log)
{
    const view_t *view;
    const service_t *service;
    if (!find_target (self, name, &view, &service))
        return false;
    if (view != NULL && reads (view, log))
        return true;
    for (size_t r = 0; service != NULL && r < service->roles_count; r++)
        if (reads (service->roles[r].view, log))
            return true;
    return false;
}

/* Bytes of the order, about. It is in each answer to the worker's beats, with others. */
static uint64_t order_bytes (const coordinator_core_t *self, text_t name)
{
    enum { EACH = 128, OFFSET = 9, RUN = 160 };
    uint64_t bytes = 0;
    for (size_t i = 0; i < self->logs_count; i++) {
        const log_t *log = self->logs[i];
        if (log->dropped || !is_read (self, name, log->name))
            continue;
        bytes += (EACH + OFFSET * (uint64_t)self->loads_count) * self->options.partitions;
        for (size_t p = 0; p < log->manifest.parts_count; p++)
            bytes += log->manifest.parts[p].runs_count * (uint64_t)RUN +
                     log->manifest.parts[p].excluded_count * (uint64_t)OFFSET;
    }
    return bytes;
}

static size_t under_way (const coordinator_core_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->skews_count; i++)
        count += self->skews[i]->task != NULL;
    return count;
}

/* Is it the latest report of its name? */
static bool is_latest (const coordinator_core_t *self, size_t at)
{
    if (self->skews[at]->report == NULL)
        return false;
    for (size_t i = at + 1; i < self->skews_count; i++)
        if (self->skews[i]->report && strcmp (self->skews[i]->name, self->skews[at]->name) == 0)
            return false;
    return true;
}

/* The oldest that is over goes: of those that are nobody's latest report, if there are any. */
static void make_room (coordinator_core_t *self)
{
    for (int latest = 0; latest < 2; latest++)
        for (size_t i = 0; i < self->skews_count && self->skews_count >= SKEWS_MAX; i++)
            if (self->skews[i]->task == NULL && (latest || !is_latest (self, i)))
                drop (self, i--);
}

static status_t begin (coordinator_core_t *self, const wire_value_t *body, skew_t **begun,
                       error_t *error)
{
    text_t name = wire_text (body, "name");
    text_t training = wire_text (body, "training");
    status_t status = core_writable (self, error);
    if (status != STATUS_OK)
        return status;
    if (!is_known (self, name)) {
        const char *nearest =
            self->definitions ? definitions_nearest_answer (self->definitions, name) : NULL;
        return error_set (error, STATUS_NOT_FOUND,
                          "there is no view or service '" TEXT_FORMAT "'%s%s%s", TEXT_ARGS (name),
                          nearest ? "; did you mean '" : "", nearest ? nearest : "",
                          nearest ? "'?" : "");
    }
    if (training.size > 0 && (training.size <= strlen (INCOMING) ||
                              memcmp (training.data, INCOMING, strlen (INCOMING)) != 0))
        return error_set (error, STATUS_INVALID, "a training set is copied below " INCOMING);
    if (under_way (self) >= SKEWS_UNDER_WAY)
        return error_set (error, STATUS_BUSY, "%d looks at answers are under way; ask again",
                          SKEWS_UNDER_WAY);
    if (order_bytes (self, name) > ORDER_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "there are too many partitions, runs and loads for one order; a full "
                          "recompute makes runs fewer");
    task_t *task = task_new (self);
    if (task == NULL)
        return error_set (error, STATUS_UNAVAILABLE, "the coordinator cannot write just now");
    make_room (self);
    skew_t *skew = mem_zero (1, sizeof *skew);
    skew->id = (self->incarnation >> 20 << 20) + ++self->next_skew;
    skew->name = core_text (name);
    skew->training = core_text (training);
    skew->since = wire_int (body, "since", 0);
    skew->created = self->env->clock_us (self->env);
    skew->task = task;
    task->skew = skew;
    self->skews = mem_resize (self->skews, self->skews_count + 1, sizeof (skew_t *));
    self->skews[self->skews_count++] = skew;
    *begun = skew;
    return STATUS_OK;
}

static void tell (coordinator_core_t *self, const peer_t *from, uint64_t id, const skew_t *skew)
{
    wire_writer_t *writer = self->writer;
    uint64_t total = 0;
    uint64_t done = skew->task ? task_progress (skew->task, &total) : 0;
    wire_begin (writer, MESSAGE_SKEW_OK, id);
    wire_field_uint (writer, "id", skew->id);
    wire_field_string (writer, "state", skew->task ? "running" : skew->error ? "failed" : "done");
    wire_field_uint (writer, "done", done);
    wire_field_uint (writer, "total", total);
    if (skew->error)
        wire_field_string (writer, "error", skew->error);
    else if (skew->task && task_waits (self, skew->task)[0] != '\0')
        wire_field_string (writer, "error", task_waits (self, skew->task));
    if (skew->report)
        wire_field_string (writer, "report", skew->report);
    core_reply (self, from, id);
}

void skew_asked (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    const wire_value_t *body = message->body;
    error_t error;
    skew_t *skew = NULL;
    status_t status = STATUS_OK;
    if (!wire_has (body, "id"))
        status = begin (self, body, &skew, &error);
    else if ((skew = find (self, wire_uint (body, "id", 0))) == NULL)
        status = error_set (&error, STATUS_NOT_FOUND,
                            "it is not known any more: the coordinator was started again, or many "
                            "came after it; ask anew");
    if (status == STATUS_OK)
        tell (self, from, message->id, skew);
    else
        core_reply_error (self, from, message->id, &error);
}

/* ---- the order ---- */

/* The latest manifest with which rows went that an earlier one may have had: loads that were
 * undone, entities that were erased. What is not known (after a restart) is taken for the latest.
 */
static uint64_t removed_with (const coordinator_core_t *self, const log_t *log)
{
    uint64_t removed = 0;
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        const load_log_t *of_log = load_log (load, log->name);
        if (load->state == LOAD_UNLOADED && of_log && of_log->manifest > removed)
            removed = of_log->manifest;
        /* it went with a manifest that not all serving nodes have in use, or not all of its logs */
        if (load->state == LOAD_UNLOADING && of_log && !log_has_load (log, load->row.id))
            removed = log->manifest.number;
    }
    for (size_t i = 0; i < self->forgets_count; i++) {
        const forget_t *forget = self->forgets[i];
        const forget_log_t *of_log = forget_log (forget, log->name);
        if (!log_has_load (log, forget->control))
            continue;
        uint64_t manifest =
            of_log && of_log->manifest > 0 ? of_log->manifest : log->manifest.number;
        removed = manifest > removed ? manifest : removed;
    }
    return removed;
}

static void write_loads (coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    wire_field_list (self->writer, "loads");
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_log_t *of_log = load_log (self->loads[i], log->name);
        if (of_log && of_log->places[partition].known)
            wire_put_uint (self->writer, of_log->places[partition].offset);
    }
    wire_close (self->writer);
}

static void write_log (coordinator_core_t *self, const log_t *log)
{
    wire_writer_t *writer = self->writer;
    uint64_t removed = removed_with (self, log);
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const catalog_part_t empty = { .partition = p };
        const catalog_part_t *part = log->manifest.number > 0 ? &log->manifest.parts[p] : &empty;
        wire_open_map (writer);
        wire_field_string (writer, "log", log->name);
        wire_field_uint (writer, "manifest", log->manifest.number);
        wire_field_uint (writer, "removed", removed);
        wire_field_uint (writer, "partition", p);
        wire_field_uint (writer, "cut", part->cut);
        orders_write_runs (self, part->runs, part->runs_count, part);
        write_loads (self, log, p);
        wire_close (writer);
    }
}

void skew_write (coordinator_core_t *self, const task_t *task)
{
    wire_writer_t *writer = self->writer;
    const skew_t *skew = task->skew;
    wire_field_map (writer, "skew");
    wire_field_string (writer, "name", skew->name);
    wire_field_int (writer, "since", skew->since);
    if (skew->training[0] != '\0')
        wire_field_string (writer, "training", skew->training);
    wire_close (writer);
    wire_field_list (writer, "parts");
    for (size_t i = 0; i < self->logs_count; i++)
        if (!self->logs[i]->dropped && is_read (self, text_of (skew->name), self->logs[i]->name))
            write_log (self, self->logs[i]);
    wire_close (writer);
}

/* ---- what comes of it ---- */

void skew_failed (coordinator_core_t *self, task_t *task, const char *reason)
{
    skew_t *skew = task->skew;
    env_log (self->env, LOG_WARNING, "the look at answers of %s failed: %s", skew->name, reason);
    core_set (&skew->error, reason);
    task_remove (self, &skew->task);
    end (self, skew);
}

void skew_take (coordinator_core_t *self, task_t *task, const wire_value_t *outputs)
{
    skew_t *skew = task->skew;
    const wire_value_t *found = wire_map (outputs, "skew");
    if (found == NULL) {
        skew_failed (self, task, "the task told nothing");
        return;
    }
    wire_list_t alerts = wire_list (found, "alerts");
    size_t count = alerts.count < SKEW_ALERTS_KEPT ? alerts.count : SKEW_ALERTS_KEPT;
    skew->report = core_text (wire_text (found, "report"));
    skew->compared = wire_uint (found, "compared", 0);
    skew->mismatches = wire_uint (found, "mismatches", 0);
    skew->late = wire_uint (found, "late", 0);
    skew->alerts = mem_zero (count + 1, sizeof (char *));
    skew->alerts_count = count;
    for (size_t i = 0; i < count; i++) {
        skew->alerts[i] = core_text (wire_item_text (&alerts.items[i]));
        env_log (self->env, LOG_WARNING, "skew of %s: %s", skew->name, skew->alerts[i]);
    }
    task_remove (self, &skew->task);
    end (self, skew);
}

/* ---- status ---- */

/* Of what was deleted or retired nobody can look at answers again: it alerts nobody. While the
 * definitions cannot be read, that is not known. */
static bool is_told (const coordinator_core_t *self, size_t at)
{
    return is_latest (self, at) &&
           (self->definitions == NULL || is_known (self, text_of (self->skews[at]->name)));
}

bool skews_totals (const coordinator_core_t *self, uint64_t *mismatches, uint64_t *alerts)
{
    bool any = false;
    *mismatches = *alerts = 0;
    for (size_t i = 0; i < self->skews_count; i++) {
        if (!is_told (self, i))
            continue;
        any = true;
        *mismatches += self->skews[i]->mismatches;
        *alerts += self->skews[i]->alerts_count;
    }
    return any;
}

void skews_tell (coordinator_core_t *self)
{
    wire_writer_t *writer = self->writer;
    uint64_t mismatches, alerts;
    if (!skews_totals (self, &mismatches, &alerts))
        return;
    wire_field_list (writer, "skew");
    for (size_t i = 0; i < self->skews_count; i++) {
        const skew_t *skew = self->skews[i];
        if (!is_told (self, i))
            continue;
        wire_open_map (writer);
        wire_field_string (writer, "name", skew->name);
        wire_field_int (writer, "time", skew->created);
        wire_field_uint (writer, "compared", skew->compared);
        wire_field_uint (writer, "mismatches", skew->mismatches);
        wire_field_uint (writer, "late", skew->late);
        wire_field_list (writer, "alerts");
        for (size_t a = 0; a < skew->alerts_count; a++)
            wire_put_string (writer, skew->alerts[a]);
        wire_close (writer);
        wire_close (writer);
    }
    wire_close (writer);
}
