/* Training sets: asked for, looked after while somebody asks, and told of. */
#include "coordinator/trainings.h"

#include <string.h>

static const char *const words[] = {
    [TRAINING_CUTTING] = "cutting", [TRAINING_READY] = "ready",   [TRAINING_RUNNING] = "running",
    [TRAINING_DONE] = "done",       [TRAINING_FAILED] = "failed",
};

/* ---- life ---- */

static void destroy (training_t *training)
{
    arena_t *arena = training->arena; /* which it is in */
    arena_destroy (&arena);
}

void trainings_release (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->trainings_count; i++) {
        training_drop_tasks (self, self->trainings[i]);
        destroy (self->trainings[i]);
    }
    mem_free (self->trainings);
    self->trainings = NULL;
    self->trainings_count = 0;
}

void trainings_paths (const coordinator_core_t *self, training_path_f *each, void *arg)
{
    for (size_t i = 0; i < self->trainings_count; i++) {
        const training_t *training = self->trainings[i];
        for (size_t l = 0; l < training->logs_count; l++)
            for (uint32_t p = 0; training->logs[l].parts && p < self->options.partitions; p++)
                for (size_t r = 0; r < training->logs[l].parts[p].runs_count; r++)
                    each (arg, training->logs[l].parts[p].runs[r].path);
        for (size_t r = 0; r < training->roles_count; r++)
            for (size_t p = 0; p < training->roles[r].parts_count; p++)
                if (training->roles[r].parts[p].result)
                    each (arg, training->roles[r].parts[p].result);
    }
}

/* It is no more: its files go, those of the logs that only it needed, too. */
static void end (coordinator_core_t *self, size_t at)
{
    training_t *training = self->trainings[at];
    training_drop_tasks (self, training);
    self->trainings[at] = self->trainings[--self->trainings_count];
    for (size_t r = 0; r < training->roles_count; r++)
        for (size_t p = 0; p < training->roles[r].parts_count; p++) {
            const training_part_t *part = &training->roles[r].parts[p];
            if (part->path && part->path[0] != '\0')
                sweep_leftover (self, part->path);
            if (part->result)
                sweep_leftover (self, part->result);
        }
    sweep_soon (self);
    destroy (training);
}

void trainings_settle (coordinator_core_t *self)
{
    for (size_t i = self->trainings_count; i-- > 0;) {
        training_t *training = self->trainings[i];
        if (core_now (self) >= training->until) {
            env_log (self->env, LOG_WARNING,
                     "training set %" PRIu64 " was given up: nobody asked about it", training->id);
            end (self, i);
        } else if (training->state == TRAINING_CUTTING) {
            training_pin_go_on (self, training);
        }
    }
}

uint64_t trainings_least (const coordinator_core_t *self)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < self->trainings_count; i++)
        least = self->trainings[i]->since < least ? self->trainings[i]->since : least;
    return least;
}

/* ---- asked for ---- */

static bool has_log (const training_t *training, const char *name)
{
    for (size_t i = 0; i < training->logs_count; i++)
        if (strcmp (training->logs[i].name, name) == 0)
            return true;
    return false;
}

/* Those of the view's sources; false when they are too many. */
static bool add_logs (training_t *training, const view_t *view)
{
    for (size_t s = 0; s < view->sources_count; s++) {
        const char *name = view->sources[s].log_name;
        if (has_log (training, name))
            continue;
        if (training->logs_count == TRAINING_LOGS_MAX)
            return false;
        training->logs[training->logs_count++] =
            (training_log_t){ .name = arena_string (training->arena, text_of (name)) };
    }
    return true;
}

static status_t add_views (coordinator_core_t *self, training_t *training, wire_list_t views,
                           error_t *error)
{
    if (views.count == 0 || views.count > TRAINING_ROLES_MAX)
        return error_set (error, STATUS_INVALID, "a training set is of 1 to %d views",
                          TRAINING_ROLES_MAX);
    training->logs = arena_zero (training->arena, TRAINING_LOGS_MAX, sizeof *training->logs);
    _Static_assert(TRAINING_LOGS_MAX >= (int)TRAINING_ROLES_MAX * (int)SOURCES_MAX,
                   "there is room for the logs of all views");
    for (uint32_t i = 0; i < views.count; i++) {
        text_t name = wire_item_text (&views.items[i]);
        const view_t *view = definitions_view (self->definitions, name);
        if (!view)
            return error_set (error, STATUS_NOT_FOUND, "there is no view '" TEXT_FORMAT "'",
                              TEXT_ARGS (name));
        /* which of its versions is to be trained on, the rows say */
        for (size_t v = 0; v < self->definitions->views_count; v++)
            if (strcmp (self->definitions->views[v].name, view->name) == 0 &&
                !add_logs (training, &self->definitions->views[v]))
                return error_set (error, STATUS_TOO_LARGE,
                                  "a training set is of up to %d logs, and the versions of its "
                                  "views are of more",
                                  TRAINING_LOGS_MAX);
    }
    return STATUS_OK;
}

static status_t make (coordinator_core_t *self, const wire_value_t *body, training_t **made,
                      error_t *error)
{
    uint64_t id = 0;
    if (self->trainings_count == TRAININGS_MAX)
        return error_set_retry (error, STATUS_BUSY, 5000,
                                "%d training sets are being made already; ask again later",
                                TRAININGS_MAX);
    status_t status = core_writable (self, error);
    if (status == STATUS_OK && !tasks_take_number (self, &id))
        status = error_set (error, STATUS_UNAVAILABLE, "the catalog cannot be written");
    if (status == STATUS_OK)
        status = fs_make_dir (self->env->fs, TRAINING_DIRECTORY, error);
    if (status != STATUS_OK)
        return status;
    arena_t *arena = arena_new (1 << 14);
    training_t *training = arena_zero (arena, 1, sizeof *training);
    *training = (training_t){ .arena = arena, .id = id, .definitions = self->version, .error = "" };
    status = add_views (self, training, wire_list (body, "views"), error);
    if (status == STATUS_OK)
        status = training_pin_begin (self, training, wire_list (body, "version"), error);
    if (status != STATUS_OK) {
        destroy (training);
        return status;
    }
    self->trainings =
        mem_resize (self->trainings, self->trainings_count + 1, sizeof (training_t *));
    self->trainings[self->trainings_count++] = *made = training;
    env_log (self->env, LOG_INFO, "training set %" PRIu64 " begins", training->id);
    return STATUS_OK;
}

static training_t *find (const coordinator_core_t *self, uint64_t id, size_t *at)
{
    for (*at = 0; *at < self->trainings_count; ++*at)
        if (self->trainings[*at]->id == id)
            return self->trainings[*at];
    return NULL;
}

/* ---- told ---- */

static void write_pinned (coordinator_core_t *self, const training_t *training)
{
    wire_writer_t *writer = self->writer;
    wire_field_list (writer, "pinned");
    for (size_t i = 0; i < training->logs_count && training->state != TRAINING_CUTTING; i++) {
        const training_log_t *log = &training->logs[i];
        if (!log->pinned)
            continue;
        wire_open_map (writer);
        wire_field_string (writer, "log", log->name);
        wire_field_string (writer, "dataset", log->dataset);
        wire_field_uint (writer, "manifest", log->manifest);
        wire_field_list (writer, "positions");
        for (uint32_t p = 0; p < self->options.partitions; p++)
            wire_put_uint (writer, log->positions[p]);
        wire_close (writer);
        wire_field_uint (writer, "unloaded", log->unloaded);
        wire_field_uint (writer, "forgets", log->forgets);
        wire_field_list (writer, "without");
        for (size_t l = 0; l < log->without_count; l++)
            wire_put_string (writer, log->without[l]);
        wire_close (writer);
        wire_close (writer);
    }
    wire_close (writer);
}

static void write_trained (coordinator_core_t *self, const training_t *training)
{
    wire_writer_t *writer = self->writer;
    wire_field_list (writer, "trained");
    for (uint32_t r = 0; training->state == TRAINING_DONE && r < training->roles_count; r++)
        for (size_t p = 0; p < training->roles[r].parts_count; p++) {
            const training_part_t *part = &training->roles[r].parts[p];
            wire_open_map (writer);
            wire_field_uint (writer, "role", r);
            wire_field_uint (writer, "partition", part->partition);
            wire_field_string (writer, "path", part->result);
            wire_field_uint (writer, "rows", part->results);
            wire_close (writer);
        }
    wire_close (writer);
}

/* Rows that are done; what its tasks wait for. */
static uint64_t progress_of (const coordinator_core_t *self, const training_t *training,
                             const char **waits)
{
    uint64_t done = 0;
    for (size_t r = 0; r < training->roles_count; r++)
        for (size_t p = 0; p < training->roles[r].parts_count; p++) {
            const training_part_t *part = &training->roles[r].parts[p];
            done += part->result ? part->results
                    : part->task ? task_progress (part->task, NULL)
                                 : 0;
            const char *its = part->task ? task_waits (self, part->task) : "";
            if (its[0] != '\0')
                *waits = its;
        }
    return done;
}

static void tell (coordinator_core_t *self, const peer_t *from, uint64_t message,
                  const training_t *training)
{
    wire_writer_t *writer = self->writer;
    const char *waits = training->state == TRAINING_CUTTING ? training->waits : "";
    uint64_t done = progress_of (self, training, &waits);
    wire_begin (writer, MESSAGE_TRAINING_OK, message);
    wire_field_uint (writer, "id", training->id);
    wire_field_string (writer, "state", words[training->state]);
    wire_field_uint (writer, "definitions", training->definitions);
    wire_field_uint (writer, "lease_us", (uint64_t)TRAINING_LEASE);
    wire_field_uint (writer, "done", done);
    wire_field_uint (writer, "total", training->rows);
    write_pinned (self, training);
    write_trained (self, training);
    if (waits[0] != '\0')
        wire_field_string (writer, "waits", waits);
    if (training->error[0] != '\0')
        wire_field_string (writer, "error", training->error);
    core_reply (self, from, message);
}

static status_t take_spine (coordinator_core_t *self, training_t *training, wire_list_t spine,
                            error_t *error)
{
    if (training->state == TRAINING_RUNNING || training->state == TRAINING_DONE)
        return STATUS_OK; /* asked again, for the answer was lost */
    if (training->state == TRAINING_FAILED)
        return STATUS_OK;
    if (training->state == TRAINING_CUTTING)
        return error_set (error, STATUS_UNAVAILABLE, "the training set waits for its dataset");
    return training_begin (self, training, spine, error);
}

void training_asked (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    const wire_value_t *body = message->body;
    training_t *training = NULL;
    size_t at = 0;
    error_t error;
    status_t status = STATUS_OK;
    if (!wire_has (body, "id"))
        status = make (self, body, &training, &error);
    else if (!(training = find (self, wire_uint (body, "id", 0), &at)))
        status = error_set (&error, STATUS_NOT_FOUND,
                            "the training set is not known: nobody asked about it for too long, or "
                            "the coordinator was started again");
    else if (wire_has (body, "spine"))
        status = take_spine (self, training, wire_list (body, "spine"), &error);
    if (status != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    training->until = core_now (self) + TRAINING_LEASE;
    if (training->state == TRAINING_CUTTING)
        training_pin_go_on (self, training);
    tell (self, from, message->id, training);
    if (wire_has (body, "id") && wire_bool (body, "end", false))
        end (self, at);
}
