/* The tasks of a training set: one for each view of it and partition that has rows. */
#include "coordinator/trainings.h"

#include <string.h>

/* ---- what is asked for ---- */

static const char **copy_names (training_t *training, wire_list_t names, size_t *count)
{
    const char **copies = arena_zero (training->arena, names.count + 1, sizeof (char *));
    for (uint32_t i = 0; i < names.count; i++)
        copies[i] = arena_string (training->arena, wire_item_text (&names.items[i]));
    *count = names.count;
    return copies;
}

/* Below training/, and plain; its name begins with the set's number, as a task's with its own. */
static bool is_its_file (const training_t *training, text_t path)
{
    char prefix[64];
    int size = snprintf (prefix, sizeof prefix, TRAINING_DIRECTORY "/%" PRIu64 "-", training->id);
    return fs_is_path (path) && text_is_utf8 (path) && path.size > (size_t)size &&
           memcmp (path.data, prefix, (size_t)size) == 0 &&
           memchr (path.data + size, '/', path.size - (size_t)size) == NULL;
}

static status_t read_part (coordinator_core_t *self, training_t *training, training_part_t *part,
                           const wire_value_t *map, error_t *error)
{
    text_t path = wire_text (map, "path");
    uint64_t partition = wire_uint (map, "partition", UINT64_MAX);
    if (partition >= self->options.partitions)
        return error_set (error, STATUS_INVALID, "partition %" PRIu64 " of %u", partition,
                          self->options.partitions);
    if (!is_its_file (training, path))
        return error_set (error, STATUS_INVALID,
                          "'" TEXT_FORMAT "' is no file of training set %" PRIu64, TEXT_ARGS (path),
                          training->id);
    *part = (training_part_t){ .partition = (uint32_t)partition,
                               .path = arena_string (training->arena, path),
                               .size = wire_uint (map, "size", 0),
                               .rows = wire_uint (map, "rows", 0) };
    training->rows += part->rows;
    return STATUS_OK;
}

static status_t read_parts (coordinator_core_t *self, training_t *training, training_role_t *role,
                            wire_list_t parts, error_t *error)
{
    status_t status = STATUS_OK;
    size_t count = role->all_keys ? self->options.partitions : parts.count;
    role->parts = arena_zero (training->arena, count + 1, sizeof *role->parts);
    role->parts_count = count;
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++)
        if (role->all_keys)
            role->parts[i] = (training_part_t){ .partition = i, .path = "" };
        else
            status = read_part (self, training, &role->parts[i], &parts.items[i], error);
    return status;
}

/* The logs of the view among the set's. */
static status_t bind_logs (training_t *training, training_role_t *role, const view_t *view,
                           error_t *error)
{
    for (size_t s = 0; s < view->sources_count; s++) {
        uint32_t at = 0;
        while (at < training->logs_count &&
               strcmp (training->logs[at].name, view->sources[s].log_name) != 0)
            at++;
        if (at == training->logs_count)
            return error_set (error, STATUS_STALE, "view %s is none of the training set's",
                              view->name);
        role->logs[role->logs_count++] = at;
    }
    return STATUS_OK;
}

static status_t read_role (coordinator_core_t *self, training_t *training, training_role_t *role,
                           const wire_value_t *map, error_t *error)
{
    text_t name = wire_text (map, "view");
    uint64_t version = wire_uint (map, "version", 0);
    const view_t *view = version > 0 && version <= UINT32_MAX
                             ? definitions_view_version (self->definitions, name, (uint32_t)version)
                             : NULL;
    if (!view)
        return error_set (error, STATUS_STALE, "there is no view " TEXT_FORMAT "@v%" PRIu64,
                          TEXT_ARGS (name), version);
    role->view = arena_string (training->arena, name);
    role->version = (uint32_t)version;
    role->features = copy_names (training, wire_list (map, "features"), &role->features_count);
    role->request = copy_names (training, wire_list (map, "request"), &role->request_count);
    role->known = wire_bool (map, "known", false);
    role->before = wire_bool (map, "before", false);
    role->all_keys = wire_has (map, "as_of");
    role->as_of = wire_int (map, "as_of", 0);
    status_t status = bind_logs (training, role, view, error);
    return status == STATUS_OK ? read_parts (self, training, role, wire_list (map, "parts"), error)
                               : status;
}

/* ---- tasks ---- */

/* What it reads: its rows, and those of the history. */
static uint64_t size_of (const training_t *training, const training_role_t *role,
                         const training_part_t *part)
{
    uint64_t size = part->rows + TASK_COST;
    for (size_t l = 0; l < role->logs_count; l++) {
        const catalog_part_t *of = &training->logs[role->logs[l]].parts[part->partition];
        for (size_t r = 0; r < of->runs_count; r++)
            size += of->runs[r].rows;
    }
    return size;
}

static status_t make_tasks (coordinator_core_t *self, training_t *training, error_t *error)
{
    for (size_t r = 0; r < training->roles_count; r++)
        for (size_t p = 0; p < training->roles[r].parts_count; p++) {
            training_part_t *part = &training->roles[r].parts[p];
            part->task = task_new (self);
            if (!part->task)
                return error_set (error, STATUS_UNAVAILABLE, "the catalog cannot be written");
            part->task->training = training;
            part->task->partition = part->partition;
            part->task->size = size_of (training, &training->roles[r], part);
        }
    return STATUS_OK;
}

void training_drop_tasks (coordinator_core_t *self, training_t *training)
{
    for (size_t r = 0; r < training->roles_count; r++)
        for (size_t p = 0; p < training->roles[r].parts_count; p++)
            if (training->roles[r].parts[p].task)
                task_remove (self, &training->roles[r].parts[p].task);
    nodes_poke (self, ROLE_BATCH);
}

void training_fail (coordinator_core_t *self, training_t *training, const char *reason)
{
    training->error = arena_string (training->arena, text_of (reason));
    training->state = TRAINING_FAILED;
    env_log (self->env, LOG_WARNING, "training set %" PRIu64 " failed: %s", training->id,
             training->error);
    training_drop_tasks (self, training);
}

static void end_if_done (training_t *training)
{
    for (size_t r = 0; r < training->roles_count; r++)
        for (size_t p = 0; p < training->roles[r].parts_count; p++)
            if (!training->roles[r].parts[p].result)
                return;
    training->state = TRAINING_DONE;
}

status_t training_begin (coordinator_core_t *self, training_t *training, wire_list_t spine,
                         error_t *error)
{
    status_t status = STATUS_OK;
    if (training->definitions != self->version)
        status = error_set (error, STATUS_STALE,
                            "the definitions have changed since the training set was begun");
    if (status == STATUS_OK && spine.count > TRAINING_ROLES_MAX)
        status = error_set (error, STATUS_TOO_LARGE, "a spine is of at most %d roles",
                            TRAINING_ROLES_MAX);
    if (status == STATUS_OK)
        training->roles = arena_zero (training->arena, spine.count + 1, sizeof *training->roles);
    for (uint32_t i = 0; status == STATUS_OK && i < spine.count; i++, training->roles_count++)
        status = read_role (self, training, &training->roles[i], &spine.items[i], error);
    if (status == STATUS_OK)
        status = make_tasks (self, training, error);
    if (status != STATUS_OK) {
        training_fail (self, training, error->text);
        return status;
    }
    training->state = TRAINING_RUNNING;
    end_if_done (training); /* a spine without rows */
    return STATUS_OK;
}

/* ---- what comes of them ---- */

training_part_t *training_part_of (training_t *training, const task_t *task, uint32_t *role)
{
    for (*role = 0; *role < training->roles_count; ++*role)
        for (size_t p = 0; p < training->roles[*role].parts_count; p++)
            if (training->roles[*role].parts[p].task == task)
                return &training->roles[*role].parts[p];
    CHECK (false);
    return NULL;
}

/* Below training/, under the task's number. */
static bool is_result (const task_t *task, text_t path)
{
    char prefix[64];
    int size = snprintf (prefix, sizeof prefix, TRAINING_DIRECTORY "/%" PRIu64 "-", task->id);
    return fs_is_path (path) && text_is_utf8 (path) && path.size > (size_t)size &&
           memcmp (path.data, prefix, (size_t)size) == 0 &&
           memchr (path.data + size, '/', path.size - (size_t)size) == NULL;
}

void training_take (coordinator_core_t *self, task_t *task, const wire_value_t *outputs)
{
    training_t *training = task->training;
    uint32_t role;
    training_part_t *part = training_part_of (training, task, &role);
    wire_list_t runs = wire_list (outputs, "runs");
    uint64_t rows = wire_uint (outputs, "rows", 0);
    bool good = runs.count == 1 && is_result (task, wire_text (&runs.items[0], "path")) &&
                (training->roles[role].all_keys || rows == part->rows);
    if (!good) {
        training_fail (self, training, "a batch worker reports what it cannot have made");
        return;
    }
    part->result = arena_string (training->arena, wire_text (&runs.items[0], "path"));
    part->results = rows;
    task_remove (self, &part->task);
    end_if_done (training);
}

void training_failed (coordinator_core_t *self, task_t *task, const char *reason)
{
    training_t *training = task->training;
    char *text = mem_format ("partition %" PRIu32 ": %s", task->partition, reason);
    training_fail (self, training, text);
    mem_free (text);
}

/* ---- the fields of its task ---- */

static void write_names (wire_writer_t *writer, const char *field, const char *const *names,
                         size_t count)
{
    wire_field_list (writer, field);
    for (size_t i = 0; i < count; i++)
        wire_put_string (writer, names[i]);
    wire_close (writer);
}

static void write_source (coordinator_core_t *self, const training_log_t *log, uint32_t partition)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_string (writer, "log", log->name);
    wire_field_uint (writer, "position", log->positions[partition]);
    orders_write_runs (self, log->parts[partition].runs, log->parts[partition].runs_count,
                       &log->parts[partition]);
    wire_close (writer);
}

void training_write (coordinator_core_t *self, const task_t *task)
{
    wire_writer_t *writer = self->writer;
    uint32_t number;
    const training_part_t *part = training_part_of (task->training, task, &number);
    const training_role_t *role = &task->training->roles[number];
    wire_field_map (writer, "train");
    wire_field_string (writer, "view", role->view);
    wire_field_uint (writer, "version", role->version);
    write_names (writer, "features", role->features, role->features_count);
    write_names (writer, "request", role->request, role->request_count);
    wire_field_bool (writer, "known", role->known);
    wire_field_bool (writer, "before", role->before);
    if (role->all_keys)
        wire_field_int (writer, "as_of", role->as_of);
    wire_field_uint (writer, "partition", part->partition);
    wire_field_string (writer, "spine", part->path);
    wire_field_uint (writer, "rows", part->rows);
    wire_close (writer);
    wire_field_list (writer, "sources");
    for (size_t i = 0; i < role->logs_count; i++)
        write_source (self, &task->training->logs[role->logs[i]], part->partition);
    wire_close (writer);
}
