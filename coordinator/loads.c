/* queued → parsing → committing → waiting → visible; unloading → unloaded. */
#include "coordinator/state.h"

#include <string.h>

enum { LOAD_ID_SIZE = 32 }; /* hex digits of an XXH3-128 */

static const char *const words[] = {
    [LOAD_QUEUED] = "queued",       [LOAD_PARSING] = "parsing",   [LOAD_COMMITTING] = "committing",
    [LOAD_WAITING] = "waiting",     [LOAD_VISIBLE] = "visible",   [LOAD_FAILED] = "failed",
    [LOAD_UNLOADING] = "unloading", [LOAD_UNLOADED] = "unloaded",
};

const char *load_word (load_state_t state)
{
    return words[state];
}

bool load_state_of (const char *word, load_state_t *state)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp (words[i], word) == 0) {
            *state = (load_state_t)i;
            return true;
        }
    return false;
}

void load_needs_manifests (const coordinator_core_t *self, load_t *load)
{
    for (size_t l = 0; l < load->logs_count; l++) {
        const log_t *log = log_named (self, text_of (load->logs[l].name));
        load->logs[l].manifest = log ? log->manifest.number : 0;
    }
}

static bool is_served (const coordinator_core_t *self, const load_log_t *log)
{
    return recompute_is_served (self, log->name, log->manifest);
}

const char *load_told (const coordinator_core_t *self, const load_t *load)
{
    for (size_t l = 0; l < load->logs_count; l++) {
        if (load->state == LOAD_VISIBLE && !is_served (self, &load->logs[l]))
            return load_word (LOAD_WAITING);
        if (load->state == LOAD_UNLOADED && !is_served (self, &load->logs[l]))
            return load_word (LOAD_UNLOADING);
    }
    return load->row.state;
}

load_t *load_find (const coordinator_core_t *self, text_t id)
{
    for (size_t i = self->loads_count; i-- > 0;)
        if (text_is (id, self->loads[i]->row.id))
            return self->loads[i];
    return NULL;
}

void load_destroy (load_t **self_p)
{
    load_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    arena_destroy (&self->arena);
    mem_free (self->damaged.reason);
    mem_free (self);
}

load_t *load_new (void)
{
    load_t *load = mem_zero (1, sizeof *load);
    load->arena = arena_new (4096);
    load->logs = arena_zero (load->arena, KEYED_LOGS_MAX, sizeof *load->logs);
    return load;
}

load_log_t *load_log (const load_t *self, const char *log)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (strcmp (self->logs[i].name, log) == 0)
            return &self->logs[i];
    return NULL;
}

load_log_t *load_add_log (load_t *self, const char *log, uint32_t partitions)
{
    CHECK (self->logs_count < KEYED_LOGS_MAX);
    load_log_t *added = &self->logs[self->logs_count++];
    added->name = arena_string (self->arena, text_of (log));
    added->places = arena_zero (self->arena, partitions, sizeof *added->places);
    added->parts = arena_zero (self->arena, partitions, sizeof *added->parts);
    return added;
}

bool load_settled (const coordinator_core_t *self, const load_t *load, const char *except, bool out)
{
    for (size_t i = 0; i < load->logs_count; i++) {
        const log_t *log = log_named (self, text_of (load->logs[i].name));
        if (log && !log->dropped && strcmp (log->name, except) != 0 &&
            log_has_load (log, load->row.id) == out)
            return false;
    }
    return true;
}

/* Durably another state, first in the catalog. On failure nothing has changed here. */
static status_t set_state (coordinator_core_t *self, load_t *load, load_state_t state,
                           error_t *error)
{
    status_t status = core_writable (self, error);
    if (status != STATUS_OK)
        return status;
    catalog_load_t row = load->row;
    row.state = load_word (state);
    status = catalog_put_load (self->catalog, &row, error);
    if (status != STATUS_OK)
        return core_failed (self, error);
    load->row = row;
    load->state = state;
    return STATUS_OK;
}

/* ---- asked for ---- */

static bool is_hash (text_t id)
{
    if (id.size != LOAD_ID_SIZE)
        return false;
    for (uint32_t i = 0; i < id.size; i++)
        if (!strchr ("0123456789abcdef", id.data[i]) || id.data[i] == '\0')
            return false;
    return true;
}

/* Below incoming/, and plain. */
static bool is_incoming (text_t path)
{
    if (path.size <= 9 || memcmp (path.data, "incoming/", 9) != 0 || !text_is_utf8 (path))
        return false;
    text_t name = { path.data + 9, path.size - 9 };
    return memchr (name.data, '/', name.size) == NULL && !text_is (name, ".") &&
           !text_is (name, "..");
}

static status_t check_request (coordinator_core_t *self, const wire_value_t *body,
                               const stream_t **stream, error_t *error)
{
    text_t name = wire_text (body, "stream");
    text_t format = wire_text (body, "format");
    text_t column = wire_text (body, "ingest_time");
    *stream = definitions_stream (self->definitions, name);
    if (!*stream)
        return definitions_no_stream (self->definitions, name, error);
    if (!text_is (format, "csv") && !text_is (format, "ndjson"))
        return error_set (error, STATUS_INVALID,
                          "the format \"" TEXT_FORMAT "\" is neither csv nor ndjson",
                          TEXT_ARGS (format));
    if (!is_hash (wire_text (body, "id")))
        return error_set (error, STATUS_INVALID,
                          "a load's id is the XXH3-128 of its content in lower-case hex");
    if (!is_incoming (wire_text (body, "path")))
        return error_set (error, STATUS_INVALID, "a load's path is a file in incoming/");
    if (wire_has (body, "ingest_time") && column.size == 0)
        return error_set (error, STATUS_INVALID, "the column of ingest times has no name");
    if (self->loads_count >= LOADS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "there are %d loads, the most there can be",
                          LOADS_MAX);
    return STATUS_OK;
}

static bool is_undone (const load_t *load)
{
    return load->state == LOAD_UNLOADING || load->state == LOAD_UNLOADED;
}

/* The id that it gets: the first of <hash>, <hash>.2, .3 … that is not taken. A load that failed
 * has committed nothing, and gives its id to the next try. What is in the stream already comes in
 * once more only with `again`; the same content may well go to several streams. */
static status_t choose_id (coordinator_core_t *self, const wire_value_t *body, char id[64],
                           error_t *error)
{
    text_t hash = wire_text (body, "id");
    text_t stream = wire_text (body, "stream");
    for (uint32_t n = 1; n <= LOADS_MAX + 1; n++) {
        wire_copy (body, "id", id, 64);
        if (n > 1)
            (void)snprintf (id + hash.size, 64 - hash.size, ".%" PRIu32, n);
        const load_t *load = load_find (self, text_of (id));
        if (!load || load->state == LOAD_FAILED)
            return STATUS_OK;
        if (!wire_bool (body, "again", false) && text_is (stream, load->row.stream) &&
            !is_undone (load))
            return error_set (error, STATUS_EXISTS,
                              "the same content was loaded before as \"%s\" (load %s, %s); --again "
                              "loads it once more",
                              load->row.name, load->row.id, load->row.state);
    }
    return error_set (error, STATUS_TOO_LARGE, "it was loaded too often");
}

static status_t file_size (coordinator_core_t *self, const char *path, uint64_t *size,
                           error_t *error)
{
    file_t *file;
    status_t status = fs_open (self->env->fs, path, FS_READ, &file, error);
    if (status == STATUS_OK)
        status = fs_size (self->env->fs, file, size, error);
    fs_close (self->env->fs, &file);
    return status;
}

static void fill_row (coordinator_core_t *self, load_t *load, const wire_value_t *body,
                      const stream_t *stream, const char *id)
{
    arena_t *arena = load->arena;
    load->row = (catalog_load_t){
        .id = arena_string (arena, text_of (id)),
        .stream = arena_string (arena, text_of (stream->name)),
        .log = arena_string (arena, text_of (stream->log_name)),
        .name = arena_string (arena, wire_text (body, "name")),
        .path = arena_string (arena, wire_text (body, "path")),
        .format = arena_string (arena, wire_text (body, "format")),
        .ingest_time = arena_string (arena, wire_text (body, "ingest_time")),
        .skip = wire_bool (body, "skip", false),
        .created = self->env->clock_us (self->env),
        .error = "",
        .rejects = "",
        .runs = "",
    };
}

void load_add (coordinator_core_t *self, load_t *load)
{
    load_t *failed = load_find (self, text_of (load->row.id));
    size_t at = 0;
    while (failed && self->loads[at] != failed)
        at++;
    if (failed) {
        load_destroy (&failed);
        self->loads_count--;
        memmove (self->loads + at, self->loads + at + 1,
                 (self->loads_count - at) * sizeof (load_t *));
    }
    self->loads = mem_resize (self->loads, self->loads_count + 1, sizeof (load_t *));
    self->loads[self->loads_count++] = load;
}

static status_t make_load (coordinator_core_t *self, const wire_value_t *body, char id[64],
                           error_t *error)
{
    const stream_t *stream;
    status_t status = check_request (self, body, &stream, error);
    if (status == STATUS_OK)
        status = choose_id (self, body, id, error);
    if (status == STATUS_OK)
        status = core_writable (self, error);
    if (status != STATUS_OK)
        return status;
    load_t *load = load_new ();
    fill_row (self, load, body, stream, id);
    status = file_size (self, load->row.path, &load->row.bytes_total, error);
    if (status == STATUS_OK)
        status = set_state (self, load, LOAD_QUEUED, error);
    else
        (void)error_prefix (error, "the copy of %s", load->row.name);
    if (status == STATUS_OK)
        load_add (self, load);
    else
        load_destroy (&load);
    return status;
}

void load_asked (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    char id[64];
    error_t error;
    if (make_load (self, message->body, id, &error) != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    wire_begin (self->writer, MESSAGE_LOAD_OK, message->id);
    wire_field_string (self->writer, "id", id);
    core_reply (self, from, message->id);
}

/* ---- undoing ---- */

/* What a key that is newer than the load has of it cannot be told apart from the rest there. */
static status_t check_keys (const coordinator_core_t *self, const load_t *load, error_t *error)
{
    for (size_t i = 0; i < self->logs_count && load->logs_count > 0; i++) {
        const log_t *log = self->logs[i];
        if (!log->dropped && strcmp (log->stream, load->row.stream) == 0 &&
            !load_log (load, log->name))
            return error_set (
                error, STATUS_INVALID,
                "load %s is older than the key of %s, which was made from the history "
                "with the load in it; it cannot be undone any more",
                load->row.id, log->name);
    }
    return STATUS_OK;
}

static status_t unload (coordinator_core_t *self, text_t id, uint64_t *recompute, error_t *error)
{
    load_t *load = load_find (self, id);
    if (!load)
        return error_set (error, STATUS_NOT_FOUND, "there is no load \"" TEXT_FORMAT "\"",
                          TEXT_ARGS (id));
    log_t *log = log_named (self, text_of (load->row.log));
    if (!log || log->dropped)
        return error_set (error, STATUS_INVALID, "the stream of load %s was deleted", load->row.id);
    if (load_is_history (load))
        return error_set (
            error, STATUS_INVALID,
            "load %s is the history of the stream by another key; it cannot be undone",
            load->row.id);
    if (load->state < LOAD_VISIBLE)
        return error_set (error, STATUS_BUSY,
                          "load %s is still %s; it can be undone when it is visible", load->row.id,
                          load->row.state);
    if (load->state == LOAD_FAILED || load->state == LOAD_UNLOADED)
        return error_set (error, STATUS_INVALID, "load %s is %s: there is nothing to undo",
                          load->row.id, load->row.state);
    status_t status = check_keys (self, load, error);
    if (status == STATUS_OK && load->state == LOAD_VISIBLE)
        status = set_state (self, load, LOAD_UNLOADING, error);
    if (status == STATUS_OK)
        status = recompute_request (self, log, "unload", false, recompute, error);
    if (status == STATUS_OK)
        load->recompute = *recompute;
    /* the schedule sees to its other logs */
    return status;
}

void load_unload_asked (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    uint64_t recompute;
    error_t error;
    if (unload (self, wire_text (message->body, "id"), &recompute, &error) != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    wire_begin (self->writer, MESSAGE_UNLOAD_OK, message->id);
    wire_field_uint (self->writer, "recompute", recompute);
    core_reply (self, from, message->id);
}

/* ---- parsing ---- */

bool load_fail (coordinator_core_t *self, load_t *load, const char *reason)
{
    error_t error;
    catalog_load_t before = load->row;
    load->row.error = arena_string (load->arena, text_of (reason));
    if (set_state (self, load, LOAD_FAILED, &error) != STATUS_OK) {
        load->row = before;
        return false;
    }
    env_log (self->env, LOG_ERROR, "load %s (%s) failed: %s", load->row.id, load->row.name,
             load->row.error);
    if (load->task)
        task_remove (self, &load->task);
    if (!load_is_history (load))
        sweep_leftover (self, load->row.path);
    return true;
}

static status_t take_part (coordinator_core_t *self, load_t *load, const wire_value_t *loaded,
                           error_t *error)
{
    uint64_t partition = wire_uint (loaded, "partition", UINT64_MAX);
    wire_list_t runs = wire_list (loaded, "runs");
    char name[KEYED_LOG_NAME_MAX + 1];
    wire_copy (loaded, "log", name, sizeof name);
    load_log_t *log = load_log (load, name);
    if (!log || partition >= self->options.partitions)
        return error_set (error, STATUS_INVALID, "partition %" PRIu64 " of %s", partition, name);
    load_part_t *part = &log->parts[partition];
    part->runs = arena_zero (load->arena, runs.count, sizeof *part->runs);
    part->runs_count = runs.count;
    for (uint32_t i = 0; i < runs.count; i++) {
        const wire_value_t *run = &runs.items[i];
        text_t path = wire_text (run, "path");
        if (!task_path_good (path, "history", log->name, (uint32_t)partition))
            return error_set (error, STATUS_INVALID, "a run at \"" TEXT_FORMAT "\"",
                              TEXT_ARGS (path));
        part->runs[i] = (catalog_run_t){ .path = arena_string (load->arena, path),
                                         .size = wire_uint (run, "size", 0),
                                         .rows = wire_uint (run, "rows", 0),
                                         .offset = UINT64_MAX };
    }
    return STATUS_OK;
}

static status_t take_parts (coordinator_core_t *self, load_t *load, const wire_value_t *outputs,
                            error_t *error)
{
    wire_list_t loaded = wire_list (outputs, "loaded");
    for (size_t l = 0; l < load->logs_count; l++)
        memset (load->logs[l].parts, 0, self->options.partitions * sizeof *load->logs[l].parts);
    for (uint32_t i = 0; i < loaded.count; i++) {
        status_t status = take_part (self, load, &loaded.items[i], error);
        if (status != STATUS_OK)
            return error_prefix (error, "the batch worker reports what it cannot have made");
    }
    return STATUS_OK;
}

static bool has_runs (const coordinator_core_t *self, const load_t *load)
{
    for (size_t l = 0; l < load->logs_count; l++)
        for (uint32_t p = 0; p < self->options.partitions; p++)
            if (load->logs[l].parts[p].runs_count > 0)
                return true;
    return false;
}

status_t load_parsed (coordinator_core_t *self, task_t *task, const wire_value_t *outputs,
                      error_t *error)
{
    load_t *load = task->load;
    CHECK (load->task == task && load->state == LOAD_PARSING);
    if (take_parts (self, load, outputs, error) != STATUS_OK) {
        (void)load_fail (self, load, error->text);
        return STATUS_OK;
    }
    catalog_load_t before = load->row;
    load->row.rows = wire_uint (outputs, "rows", 0);
    load->row.refused = wire_uint (outputs, "refused", 0);
    load->row.rejects = arena_string (load->arena, wire_text (outputs, "rejects"));
    load->row.runs = load_runs_text (load, self->options.partitions);
    /* without a row there is nothing to wait for */
    load_state_t next = has_runs (self, load) ? LOAD_COMMITTING : LOAD_VISIBLE;
    if (set_state (self, load, next, error) != STATUS_OK) {
        load->row = before;
        return error->status;
    }
    load->bytes_done = load->row.bytes_total;
    task_remove (self, &load->task);
    if (!load_is_history (load))
        sweep_leftover (self, load->row.path);
    nodes_poke (self, ROLE_SPEED);
    return STATUS_OK;
}

/* ---- going on ---- */

static bool all_placed (const coordinator_core_t *self, const load_t *load)
{
    for (size_t l = 0; l < load->logs_count; l++)
        for (uint32_t p = 0; p < self->options.partitions; p++)
            if (!load->logs[l].places[p].known)
                return false;
    return true;
}

static void wait_for_recompute (coordinator_core_t *self, load_t *load, log_t *log)
{
    error_t error;
    if (set_state (self, load, LOAD_WAITING, &error) != STATUS_OK)
        return;
    char *reason = mem_format ("load %s", load->row.id);
    /* when this fails, the schedule asks for one, as it does for the other logs */
    if (recompute_request (self, log, reason, false, &load->recompute, &error) != STATUS_OK)
        load->recompute = 0;
    mem_free (reason);
}

/* Runs are written for every key that the stream has now. */
static void start_parsing (coordinator_core_t *self, load_t *load)
{
    if (!stream_has_begun (self, load->row.stream))
        return;
    load->task = task_new (self);
    if (!load->task)
        return;
    load->task->load = load;
    load->logs_count = 0;
    for (size_t i = 0; i < self->logs_count; i++)
        if (load_is_history (load)
                ? strcmp (self->logs[i]->name, load->row.log) == 0
                : !self->logs[i]->dropped && strcmp (self->logs[i]->stream, load->row.stream) == 0)
            (void)load_add_log (load, self->logs[i]->name, self->options.partitions);
    if (!load_is_history (load)) /* how much that is, is not known here */
        load->task->size = load->row.bytes_total * load->logs_count + TASK_COST;
}

/* Has no dataset any of its rows? Of logs that are not known (any more) nothing is. */
static bool is_nowhere (const coordinator_core_t *self, const load_t *load)
{
    for (size_t l = 0; l < load->logs_count; l++) {
        const log_t *log = log_named (self, text_of (load->logs[l].name));
        if (!log || log_has_load (log, load->row.id))
            return false;
    }
    return true;
}

static void go_on (coordinator_core_t *self, load_t *load)
{
    log_t *log = log_named (self, text_of (load->row.log));
    bool gone = !log || log->dropped;
    error_t error;
    if (gone && load_is_history (load)) { /* it is what the log lacks if its stream comes back */
        if (load->task)
            task_remove (self, &load->task);
        return;
    }
    if (gone && (load->state <= LOAD_COMMITTING ||
                 (load->state == LOAD_WAITING && is_nowhere (self, load)))) {
        (void)load_fail (self, load, "the stream was deleted");
        return;
    }
    if (load->state == LOAD_QUEUED && set_state (self, load, LOAD_PARSING, &error) != STATUS_OK)
        return;
    if (load->state == LOAD_PARSING && !load->task)
        start_parsing (self, load);
    if (load->state == LOAD_COMMITTING && all_placed (self, load))
        wait_for_recompute (self, load, log);
}

void loads_settle (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->loads_count && !self->doubtful; i++)
        go_on (self, self->loads[i]);
}
