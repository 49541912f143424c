/* Which events a training set is of: a dataset of each log, and a position in each partition. */
#include "coordinator/forgets.h"
#include "coordinator/trainings.h"

#include <stdlib.h>
#include <string.h>

/* ---- what there is beside the rows below the positions ---- */

static bool is_pending (const forget_t *forget)
{
    return forget->state != FORGET_FAILED;
}

/* Erasures of the stream that were asked for by now. */
static uint64_t forgets_of (const coordinator_core_t *self, const log_t *log)
{
    uint64_t count = 0;
    for (size_t i = 0; i < self->forgets_count; i++)
        count += is_pending (self->forgets[i]) &&
                 strcmp (self->forgets[i]->row.stream, log->stream) == 0;
    return count;
}

/* One that the log's dataset still has the entity of; NULL. */
static const forget_t *forget_waited_for (const coordinator_core_t *self, const log_t *log)
{
    for (size_t i = 0; i < self->forgets_count; i++) {
        const forget_t *forget = self->forgets[i];
        if (strcmp (forget->row.stream, log->stream) == 0 && !forget_is_over (forget) &&
            forget->state < FORGET_CLEARED && !log_has_load (log, forget->control))
            return forget;
    }
    return NULL;
}

static bool is_named (const training_log_t *log, const char *load)
{
    return ids_has (log->without, log->without_count, load);
}

/* Has the load a place below the positions in some partition? */
static bool is_below (const coordinator_core_t *self, const training_log_t *pin, const load_t *load)
{
    const load_log_t *log = load_log (load, pin->name);
    for (uint32_t p = 0; log && p < self->options.partitions; p++)
        if (log->places[p].known && log->places[p].offset < pin->positions[p])
            return true;
    return false;
}

static bool is_undone (const load_t *load, const log_t *log)
{
    return load->state == LOAD_UNLOADED ||
           (load->state == LOAD_UNLOADING && !log_has_load (log, load->row.id));
}

/* Loads whose rows were below the positions, and are not there any more. */
static uint64_t count_unloaded (const coordinator_core_t *self, const training_log_t *pin,
                                const log_t *log)
{
    uint64_t count = 0;
    for (size_t i = 0; i < self->loads_count; i++)
        count += is_undone (self->loads[i], log) && is_below (self, pin, self->loads[i]) &&
                 !is_named (pin, self->loads[i]->row.id);
    return count;
}

/* Loads that have a place below the positions somewhere, and are not in the dataset (yet): a later
 * one that has them is read without. */
static void find_without (coordinator_core_t *self, training_t *training, training_log_t *pin,
                          const log_t *log)
{
    pin->without = arena_zero (training->arena, self->loads_count + 1, sizeof (char *));
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        if (is_below (self, pin, load) && !is_undone (load, log) &&
            !log_has_load (log, load->row.id))
            ids_add (&pin->without, &pin->without_count, load->row.id, training->arena);
    }
}

/* ---- the files ---- */

static void copy_part (const coordinator_core_t *self, training_t *training, training_log_t *pin,
                       const catalog_part_t *part)
{
    catalog_part_t *to = &pin->parts[part->partition];
    *to = (catalog_part_t){ .partition = part->partition, .cut = part->cut };
    to->runs = arena_zero (training->arena, part->runs_count + 1, sizeof *to->runs);
    for (size_t i = 0; i < part->runs_count; i++) {
        to->runs[to->runs_count++] = part_copy_run (&part->runs[i], training->arena);
        pin->bytes += part->runs[i].size;
    }
    to->excluded = arena_zero (training->arena, part->excluded_count + pin->without_count + 1,
                               sizeof *to->excluded);
    for (size_t i = 0; i < part->excluded_count; i++)
        to->excluded[to->excluded_count++] = part->excluded[i];
    for (size_t i = 0; i < pin->without_count; i++) {
        const load_t *load = load_find (self, text_of (pin->without[i]));
        const load_log_t *of_log = load ? load_log (load, pin->name) : NULL;
        if (of_log && of_log->places[part->partition].known)
            to->excluded[to->excluded_count++] = of_log->places[part->partition].offset;
    }
}

static void pin_files (const coordinator_core_t *self, training_t *training, training_log_t *pin,
                       const log_t *log)
{
    pin->parts = arena_zero (training->arena, self->options.partitions, sizeof *pin->parts);
    for (uint32_t p = 0; p < self->options.partitions; p++)
        copy_part (self, training, pin, &log->manifest.parts[p]);
    pin->pinned = true;
}

/* ---- the newest dataset ---- */

/* Does the current manifest reach up to where the recompute cut? */
static bool reaches (const coordinator_core_t *self, const recompute_t *recompute, const log_t *log,
                     uint32_t *partition)
{
    for (*partition = 0; *partition < self->options.partitions; ++*partition)
        if (!recompute->cuts[*partition].known ||
            log->manifest.parts[*partition].cut < recompute->cuts[*partition].offset)
            return false;
    return true;
}

static void pin_current (coordinator_core_t *self, training_t *training, training_log_t *pin,
                         const log_t *log)
{
    pin->manifest = log->manifest.number;
    pin->dataset = arena_string (training->arena, text_of (log->manifest.dataset));
    for (uint32_t p = 0; p < self->options.partitions; p++)
        pin->positions[p] = log->manifest.parts[p].cut;
    find_without (self, training, pin, log);
    pin->unloaded = count_unloaded (self, pin, log);
    pin->forgets = forgets_of (self, log);
    pin_files (self, training, pin, log);
}

/* Of a log that is filled: else the cut may be below what is still on its way to it. */
static status_t ask_for_cut (coordinator_core_t *self, training_log_t *pin, log_t *log,
                             error_t *error)
{
    status_t status =
        recompute_request (self, log, "a training set", false, &pin->recompute, error);
    if (status == STATUS_OK)
        recompute_find (self, pin->recompute)->asked = true;
    return status;
}

/* Its recompute is over, one way or the other. */
static void end_cut (coordinator_core_t *self, training_t *training, training_log_t *pin,
                     log_t *log, const recompute_t *recompute)
{
    uint32_t partition = 0;
    error_t error;
    char *why = NULL;
    if (recompute && recompute->state != RECOMPUTE_FAILED &&
        !reaches (self, recompute, log, &partition))
        why = mem_format ("%s, partition %" PRIu32 ": %s", log->name, partition,
                          log->stuck[partition].reason ? log->stuck[partition].reason
                                                       : "it could not be built");
    else if (!recompute || recompute->state == RECOMPUTE_FAILED)
        why = mem_format ("recompute of %s: %s", log->name,
                          recompute ? recompute->error : "it is not known any more");
    if (why && ++pin->failures >= TRAINING_CUTS_MAX)
        training_fail (self, training, why);
    else if (why && ask_for_cut (self, pin, log, &error) != STATUS_OK)
        training_fail (self, training, error.text);
    else if (!why)
        pin->reached = true;
    mem_free (why);
}

static void wait_for (training_t *training, const char *what)
{
    (void)snprintf (training->waits, sizeof training->waits, "%s", what);
}

/* What its recompute, or the one before it, waits for: "" when it is under way. */
static const char *waits_of (const coordinator_core_t *self, const recompute_t *recompute)
{
    const recompute_t *running = recompute_running (self, recompute->log);
    const char *its = tasks_wait_for (self, recompute, NULL);
    if (recompute->error[0] != '\0')
        return recompute->error;
    return its[0] != '\0' || !running ? its : tasks_wait_for (self, running, NULL);
}

/* Has the log's current dataset what was acknowledged before, and no entity that is to go? */
static bool is_ready (coordinator_core_t *self, training_t *training, training_log_t *pin)
{
    log_t *log = log_named (self, text_of (pin->name));
    if (!log || log->dropped) {
        training_fail (self, training, "a stream of it was deleted");
        return false;
    }
    if (!log->begun || !log_is_filled (self, log)) {
        wait_for (training, "a view's key is new: events of before are on their way to it");
        return false;
    }
    error_t error;
    if (pin->recompute == 0 && ask_for_cut (self, pin, log, &error) != STATUS_OK) {
        training_fail (self, training, error.text);
        return false;
    }
    const recompute_t *recompute = recompute_find (self, pin->recompute);
    if (!pin->reached && recompute && recompute->state < RECOMPUTE_PUBLISHED) {
        wait_for (training, waits_of (self, recompute));
        return false;
    }
    if (!pin->reached)
        end_cut (self, training, pin, log, recompute);
    if (pin->reached && forget_waited_for (self, log)) {
        wait_for (training, "an entity is being erased");
        return false;
    }
    return pin->reached;
}

/* All logs at once: while it waits for an entity to be erased it holds no files, which another
 * entity's erasure, that the first may stand behind, would wait for. */
void training_pin_go_on (coordinator_core_t *self, training_t *training)
{
    bool all = true;
    wait_for (training, "");
    for (size_t i = 0; i < training->logs_count && training->state == TRAINING_CUTTING; i++)
        all = is_ready (self, training, &training->logs[i]) && all;
    if (!all || training->state != TRAINING_CUTTING || !tasks_take_number (self, &training->since))
        return; /* the catalog failed, if it is that: again later */
    for (size_t i = 0; i < training->logs_count; i++)
        pin_current (self, training, &training->logs[i],
                     log_named (self, text_of (training->logs[i].name)));
    training->state = TRAINING_READY;
}

/* ---- an earlier dataset ---- */

static status_t gone (const training_log_t *pin, error_t *error, const char *what)
{
    return error_set (error, STATUS_INVALID,
                      "%s: %s since the version was made: what it needs is not there any more, "
                      "and it cannot be made again",
                      pin->name, what);
}

static status_t read_pinned (coordinator_core_t *self, training_t *training, training_log_t *pin,
                             const wire_value_t *pinned, error_t *error)
{
    wire_list_t positions = wire_list (pinned, "positions");
    wire_list_t without = wire_list (pinned, "without");
    if (positions.count != self->options.partitions)
        return error_set (error, STATUS_INVALID,
                          "the version has %u partitions of %s, and there are %u: it is of "
                          "another cluster",
                          positions.count, pin->name, self->options.partitions);
    pin->dataset = arena_string (training->arena, wire_text (pinned, "dataset"));
    pin->manifest = wire_uint (pinned, "manifest", 0);
    pin->unloaded = wire_uint (pinned, "unloaded", 0);
    pin->forgets = wire_uint (pinned, "forgets", 0);
    for (uint32_t p = 0; p < positions.count; p++)
        pin->positions[p] = wire_item_uint (&positions.items[p]);
    pin->without = arena_zero (training->arena, without.count + 1, sizeof (char *));
    for (uint32_t i = 0; i < without.count; i++)
        pin->without[pin->without_count++] =
            arena_string (training->arena, wire_item_text (&without.items[i]));
    return STATUS_OK;
}

static status_t check_pinned (coordinator_core_t *self, const training_log_t *pin, const log_t *log,
                              error_t *error)
{
    bool there = log->manifest.number >= pin->manifest && log->manifest.number > 0;
    for (uint32_t p = 0; there && p < self->options.partitions; p++)
        there = log->manifest.parts[p].cut >= pin->positions[p];
    if (!there)
        return error_set (error, STATUS_INVALID,
                          "%s: there is no dataset %s here: the version is of another cluster, or "
                          "from after the backup that this one was restored from",
                          pin->name, pin->dataset);
    if (forgets_of (self, log) != pin->forgets)
        return gone (pin, error, "an entity was erased");
    if (count_unloaded (self, pin, log) != pin->unloaded)
        return gone (pin, error, "a load was undone");
    return STATUS_OK;
}

static status_t pin_version (coordinator_core_t *self, training_t *training, training_log_t *pin,
                             wire_list_t version, error_t *error)
{
    for (uint32_t i = 0; i < version.count; i++) {
        if (!text_is (wire_text (&version.items[i], "log"), pin->name))
            continue;
        const log_t *log = log_named (self, text_of (pin->name));
        status_t status = read_pinned (self, training, pin, &version.items[i], error);
        if (status == STATUS_OK)
            status = check_pinned (self, pin, log, error);
        if (status == STATUS_OK)
            pin_files (self, training, pin, log);
        return status;
    }
    return error_set (error, STATUS_INVALID, "the version says nothing of %s", pin->name);
}

status_t training_pin_begin (coordinator_core_t *self, training_t *training, wire_list_t version,
                             error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < training->logs_count; i++) {
        training_log_t *pin = &training->logs[i];
        log_t *log = log_named (self, text_of (pin->name));
        pin->positions =
            arena_zero (training->arena, self->options.partitions, sizeof *pin->positions);
        if (!log || log->dropped)
            status = error_set (error, STATUS_UNAVAILABLE, "there is no log %s yet", pin->name);
        else if (version.count > 0)
            status = pin_version (self, training, pin, version, error);
        else if (log->begun && log_is_filled (self, log))
            status = ask_for_cut (self, pin, log, error);
    }
    training->state = version.count > 0 ? TRAINING_READY : TRAINING_CUTTING;
    training->since = version.count > 0 ? training->id : UINT64_MAX;
    return status;
}
