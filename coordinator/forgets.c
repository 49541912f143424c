/* accepted → placing → erasing → erased: an entity's events, and every copy of them. */
#include "coordinator/forgets.h"

#include <string.h>

#define FORGET_RETRY TIME_SECOND

static const char *const words[] = {
    [FORGET_ASKED] = "asked",     [FORGET_ACCEPTED] = "accepted", [FORGET_PLACING] = "placing",
    [FORGET_ERASING] = "erasing", [FORGET_CLEARED] = "cleared",   [FORGET_ERASED] = "erased",
    [FORGET_FAILED] = "failed",
};

static bool state_of (const char *word, forget_state_t *state)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp (words[i], word) == 0) {
            *state = (forget_state_t)i;
            return true;
        }
    return false;
}

bool forget_is_over (const forget_t *self)
{
    return self->state >= FORGET_ERASED;
}

/* ---- life ---- */

forget_t *forget_new (void)
{
    forget_t *self = mem_zero (1, sizeof *self);
    self->arena = arena_new (4096);
    self->shown = "";
    return self;
}

void forget_destroy (forget_t **self_p)
{
    forget_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    arena_destroy (&self->arena);
    mem_free (self);
}

static void remove_tasks (coordinator_core_t *self, forget_t *forget)
{
    for (size_t l = 0; l < forget->logs_count; l++)
        for (uint32_t p = 0; p < self->options.partitions; p++)
            if (forget->logs[l].tasks[p])
                task_remove (self, &forget->logs[l].tasks[p]);
}

void forgets_release (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->forgets_count; i++) {
        forget_t *forget = self->forgets[i];
        remove_tasks (self, forget);
        forget_destroy (&self->forgets[i]);
    }
    mem_free (self->forgets);
    self->forgets = NULL;
    self->forgets_count = 0;
}

void forget_add (coordinator_core_t *self, forget_t *forget)
{
    self->forgets = mem_resize (self->forgets, self->forgets_count + 1, sizeof (forget_t *));
    self->forgets[self->forgets_count++] = forget;
}

forget_t *forget_find (const coordinator_core_t *self, text_t id)
{
    for (size_t i = self->forgets_count; i-- > 0;)
        if (text_is (id, self->forgets[i]->row.id))
            return self->forgets[i];
    return NULL;
}

forget_log_t *forget_log (const forget_t *self, const char *log)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (strcmp (self->logs[i].name, log) == 0)
            return &self->logs[i];
    return NULL;
}

void forget_add_logs (coordinator_core_t *self, forget_t *forget)
{
    uint32_t partitions = self->options.partitions;
    forget->logs = arena_zero (forget->arena, KEYED_LOGS_MAX, sizeof *forget->logs);
    forget->logs_count = 0;
    for (size_t i = 0; i < self->logs_count && forget->logs_count < KEYED_LOGS_MAX; i++) {
        const log_t *log = self->logs[i];
        if (log->dropped || strcmp (log->stream, forget->row.stream) != 0)
            continue;
        forget->logs[forget->logs_count++] = (forget_log_t){
            .name = arena_string (forget->arena, text_of (log->name)),
            .primary = log->primary,
            .places = arena_zero (forget->arena, partitions, sizeof (placed_t)),
            .dataset = "",
            .verified = arena_zero (forget->arena, partitions, sizeof (bool)),
            .tasks = arena_zero (forget->arena, partitions, sizeof (task_t *)),
        };
    }
}

status_t forget_store (coordinator_core_t *self, forget_t *forget, forget_state_t state,
                       error_t *error)
{
    status_t status = core_writable (self, error);
    if (status != STATUS_OK)
        return status;
    catalog_forget_t row = forget->row;
    row.state = words[state];
    status = catalog_put_forget (self->catalog, &row, error);
    if (status != STATUS_OK)
        return core_failed (self, error);
    forget->row = row;
    forget->state = state;
    return STATUS_OK;
}

/* ---- restored ---- */

void forget_copy_row (forget_t *forget, const catalog_forget_t *row)
{
    forget->row = *row;
#define COPY(field) forget->row.field = arena_string (forget->arena, text_of (row->field))
    COPY (id);
    COPY (stream);
    COPY (message);
    COPY (state);
    COPY (error);
    COPY (datasets);
    COPY (after);
#undef COPY
    char *control = mem_format ("forget-%s", row->id);
    forget->control = arena_string (forget->arena, text_of (control));
    mem_free (control);
}

/* Nobody was told that it is accepted. */
status_t forget_drop_asked (coordinator_core_t *self, const char *id, error_t *error)
{
    status_t status = forget_file_remove (self, id, error);
    return status == STATUS_OK ? catalog_drop_forget (self->catalog, id, error) : status;
}

static status_t restore (coordinator_core_t *self, const catalog_forget_t *row, error_t *error)
{
    forget_state_t state;
    if (!state_of (row->state, &state))
        return error_set (error, STATUS_CORRUPT, "a forget is \"%s\" in the catalog", row->state);
    if (state == FORGET_ASKED)
        return forget_drop_asked (self, row->id, error);
    forget_t *forget = forget_new ();
    forget_add (self, forget);
    forget_copy_row (forget, row);
    forget->state = state;
    if (forget_is_over (forget))
        return STATUS_OK;
    status_t status = state == FORGET_CLEARED ? STATUS_OK : forget_file_read (self, forget, error);
    forget->damaged =
        status == STATUS_CORRUPT || status == STATUS_VERSION || status == STATUS_NOT_FOUND;
    if (status != STATUS_OK && !forget->damaged)
        return status;
    forget->partition = key_partition (key_hash (forget->key), self->options.partitions);
    if (forget->state >= FORGET_PLACING)
        forget_add_logs (self, forget);
    return STATUS_OK;
}

/* A coordinator that was stopped while it wrote a key, and replaced, writes it when it wakes: for
 * nobody. */
static void remove_stray (coordinator_core_t *self, const char *name)
{
    error_t error;
    char *id = mem_string_n (name, strnlen (name, FORGET_ID_SIZE));
    const char *end = name + strlen (id);
    const forget_t *forget = forget_find (self, text_of (id));
    bool is_key = forget_is_id (text_of (id)) && (*end == '\0' || strcmp (end, ".tmp") == 0);
    if (is_key && (!forget || forget_is_over (forget)) &&
        forget_file_remove (self, id, &error) != STATUS_OK)
        env_log (self->env, LOG_WARNING, "a key that nobody needs stays: %s", error.text);
    mem_free (id);
}

/* Files are listed first: whichever is there then, of one that is accepted, is of one among the
 * rows. */
status_t forgets_restore (coordinator_core_t *self, arena_t *arena, error_t *error)
{
    catalog_forget_t *rows = NULL;
    const char **names;
    size_t count = 0, names_count;
    status_t status = forget_files (self, arena, &names, &names_count, error);
    if (status == STATUS_OK)
        status = catalog_forgets (self->catalog, arena, &rows, &count, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = restore (self, &rows[i], error);
    for (size_t i = 0; i < names_count && status == STATUS_OK; i++)
        remove_stray (self, names[i]);
    mem_free (names);
    return status;
}

/* A key that has not begun has to wait, and has nothing of it. */
void forgets_restored (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->forgets_count; i++) {
        forget_t *forget = self->forgets[i];
        size_t kept = 0;
        for (size_t l = 0; l < forget->logs_count; l++) {
            const log_t *log = log_named (self, text_of (forget->logs[l].name));
            if (log && log->begun)
                forget->logs[kept++] = forget->logs[l];
        }
        forget->logs_count = kept;
    }
}

/* ---- going on ---- */

static void fail (coordinator_core_t *self, forget_t *forget, const char *why)
{
    error_t error;
    if (core_now (self) < forget->retry_at)
        return;
    remove_tasks (self, forget);
    forget->row.error = why;
    forget->row.finished = self->env->clock_us (self->env);
    status_t status = forget_file_remove (self, forget->row.id, &error);
    if (status == STATUS_OK)
        status = forget_store (self, forget, FORGET_FAILED, &error);
    if (status != STATUS_OK) {
        forget->row.error = "";
        forget->row.finished = 0;
        forget->retry_at = core_now (self) + FORGET_RETRY;
        return;
    }
    forget->key = (text_t){ 0 };
    forget->shown = "";
}

/* May its record go into the log now? Loads and keys that were begun before are through with
 * theirs. */
static bool may_be_placed (const coordinator_core_t *self, const forget_t *forget)
{
    if (!stream_has_begun (self, forget->row.stream))
        return false;
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        if (load->state < LOAD_WAITING && strcmp (load->row.stream, forget->row.stream) == 0 &&
            (load_is_history (load) || forget_comes_after (forget, load)))
            return false;
    }
    return true;
}

static void begin_placing (coordinator_core_t *self, forget_t *forget)
{
    error_t error;
    if (!may_be_placed (self, forget))
        return;
    forget_add_logs (self, forget);
    if (forget_store (self, forget, FORGET_PLACING, &error) == STATUS_OK)
        nodes_poke (self, ROLE_SPEED);
}

/* A batch worker told of it: nothing but what it may have written there is removed. */
static bool is_rejects (const char *path)
{
    return strncmp (path, "incoming/", 9) == 0 && !strchr (path + 9, '/') && path[9] != '.' &&
           path[9] != '\0';
}

/* Of a load that failed nobody told where they are: an attempt that gave them their name may have
 * ended after that. */
static status_t remove_rejected_rows (coordinator_core_t *self, const catalog_load_t *load,
                                      error_t *error)
{
    fs_t *fs = self->env->fs;
    bool told = load->rejects[0] != '\0';
    char *path = told ? mem_string (load->rejects) : mem_format ("incoming/%s.rejects", load->id);
    status_t status = STATUS_OK;
    if (is_rejects (path)) {
        status = fs_remove (fs, path, error);
        if (status == STATUS_OK)
            status = fs_sync_dir (fs, "incoming", error);
    }
    mem_free (path);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* Refused rows of the stream's loads, which may have been the entity's. */
static status_t remove_rejects (coordinator_core_t *self, const forget_t *forget, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < self->loads_count && status == STATUS_OK; i++) {
        load_t *load = self->loads[i];
        if (load->state < LOAD_WAITING || strcmp (load->row.stream, forget->row.stream) != 0)
            continue;
        bool failed = load->state == LOAD_FAILED && load->row.error[0] != '\0' &&
                      strcmp (load->row.error, LOAD_ERROR_FORGOTTEN) != 0;
        if (load->row.rejects[0] == '\0' && !failed)
            continue;
        catalog_load_t row = load->row;
        status = remove_rejected_rows (self, &row, error);
        if (status != STATUS_OK)
            return status;
        row.rejects = "";
        row.error = failed ? LOAD_ERROR_FORGOTTEN : row.error;
        status = catalog_put_load (self->catalog, &row, error);
        if (status != STATUS_OK)
            return core_failed (self, error);
        load->row = row;
    }
    return status;
}

static void begin_erasing (coordinator_core_t *self, forget_t *forget)
{
    error_t error;
    for (size_t l = 0; l < forget->logs_count; l++)
        if (!forget_is_placed (self, forget, &forget->logs[l], NULL))
            return;
    if (core_now (self) < forget->retry_at)
        return;
    if (remove_rejects (self, forget, &error) != STATUS_OK ||
        forget_store (self, forget, FORGET_ERASING, &error) != STATUS_OK)
        forget->retry_at = core_now (self) + FORGET_RETRY;
}

static void go_on (coordinator_core_t *self, forget_t *forget)
{
    const stream_t *stream = definitions_stream (self->definitions, text_of (forget->row.stream));
    if (!stream)
        fail (self, forget,
              "the stream was deleted; what it left below the data directory is to be removed with "
              "the stream's directories");
    else if (forget->damaged)
        fail (self, forget,
              "the file of its key is damaged or missing, as after a restore: ask for it again");
    else if (forget->state == FORGET_ACCEPTED)
        begin_placing (self, forget);
    else if (forget->state == FORGET_PLACING)
        begin_erasing (self, forget);
    else
        erase_go_on (self, forget);
}

/* What is remembered of those that are over is bounded. */
static void drop_oldest (coordinator_core_t *self)
{
    error_t error;
    for (size_t i = 0; i < self->forgets_count && self->forgets_count > FORGETS_MAX; i++) {
        if (!forget_is_over (self->forgets[i]))
            continue;
        if (catalog_drop_forget (self->catalog, self->forgets[i]->row.id, &error) != STATUS_OK) {
            (void)core_failed (self, &error);
            return;
        }
        forget_destroy (&self->forgets[i]);
        self->forgets_count--;
        memmove (self->forgets + i, self->forgets + i + 1,
                 (self->forgets_count - i) * sizeof (forget_t *));
        i--;
    }
}

void forgets_settle (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->forgets_count && !self->doubtful; i++)
        if (!forget_is_over (self->forgets[i]))
            go_on (self, self->forgets[i]);
    if (!self->doubtful)
        drop_oldest (self);
}

/* What was found out lasts before the key goes: whoever finds neither knows of a damage. */
static status_t clear (coordinator_core_t *self, forget_t *forget, error_t *error)
{
    buf_t datasets;
    buf_init (&datasets, KEYED_LOGS_MAX * 2 * (KEYED_LOG_NAME_MAX + 64));
    for (size_t l = 0; l < forget->logs_count; l++)
        buf_printf (&datasets, "%s %s\n", forget->logs[l].name, forget->logs[l].dataset);
    forget->row.datasets =
        arena_string (forget->arena, (text_t){ (char *)datasets.data, (uint32_t)datasets.size });
    buf_release (&datasets);
    return forget_store (self, forget, FORGET_CLEARED, error);
}

status_t forget_finish (coordinator_core_t *self, forget_t *forget, error_t *error)
{
    status_t status = forget->state == FORGET_CLEARED ? STATUS_OK : clear (self, forget, error);
    if (status == STATUS_OK)
        status = forget_file_remove (self, forget->row.id, error);
    if (status != STATUS_OK)
        return status;
    forget->row.finished = self->env->clock_us (self->env);
    status = forget_store (self, forget, FORGET_ERASED, error);
    if (status != STATUS_OK)
        return status;
    forget->key = (text_t){ 0 };
    forget->shown = "";
    forget->waits[0] = '\0';
    for (size_t l = 0; l < forget->logs_count; l++)
        if (catalog_forget_control (self->catalog, forget->logs[l].name, forget->control, error) !=
            STATUS_OK)
            return core_failed (self, error);
    forget->logs_count = 0;
    env_log (self->env, LOG_INFO,
             "forget %s: erased; %" PRIu64 " files with %" PRIu64
             " rows were read and hold nothing of it",
             forget->row.id, forget->row.files, forget->row.scanned);
    return STATUS_OK;
}

/* ---- telling ---- */

static void write_datasets (wire_writer_t *writer, const char *text)
{
    wire_field_list (writer, "datasets");
    while (*text != '\0') {
        const char *blank = strchr (text, ' ');
        const char *end = blank ? strchr (blank, '\n') : NULL;
        if (!end)
            break;
        wire_open_map (writer);
        wire_field_text (writer, "log", (text_t){ text, (uint32_t)(blank - text) });
        wire_field_text (writer, "dataset", (text_t){ blank + 1, (uint32_t)(end - blank - 1) });
        wire_close (writer);
        text = end + 1;
    }
    wire_close (writer);
}

static void write_forget (coordinator_core_t *self, const forget_t *forget)
{
    wire_writer_t *writer = self->writer;
    const catalog_forget_t *row = &forget->row;
    wire_open_map (writer);
    wire_field_string (writer, "id", row->id);
    wire_field_string (writer, "stream", row->stream);
    wire_field_string (writer, "state",
                       words[forget->state == FORGET_CLEARED ? FORGET_ERASING : forget->state]);
    wire_field_int (writer, "created", row->created);
    if (row->finished != 0)
        wire_field_int (writer, "finished", row->finished);
    if (forget->shown[0] != '\0')
        wire_field_string (writer, "key", forget->shown);
    if (row->before != INT64_MAX)
        wire_field_int (writer, "before", row->before);
    if (row->message[0] != '\0')
        wire_field_string (writer, "message", row->message);
    wire_field_uint (writer, "rows", row->rows);
    if (forget->state == FORGET_ERASED) {
        wire_field_uint (writer, "files", row->files);
        wire_field_uint (writer, "scanned", row->scanned);
    }
    if (forget->waits[0] != '\0')
        wire_field_string (writer, "waits", forget->waits);
    if (row->error[0] != '\0')
        wire_field_string (writer, "error", row->error);
    write_datasets (writer, row->datasets);
    wire_close (writer);
}

void forgets_tell (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    text_t id = wire_text (message->body, "id");
    size_t first =
        self->forgets_count > FORGETS_TOLD_MAX ? self->forgets_count - FORGETS_TOLD_MAX : 0;
    wire_begin (self->writer, MESSAGE_FORGETS_OK, message->id);
    wire_field_list (self->writer, "forgets");
    for (size_t i = id.size ? 0 : first; i < self->forgets_count; i++)
        if (id.size == 0 || text_is (id, self->forgets[i]->row.id))
            write_forget (self, self->forgets[i]);
    wire_close (self->writer);
    core_reply (self, from, message->id);
}
