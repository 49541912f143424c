/* Work for batch workers: given out, watched, given out again. */
#include "coordinator/state.h"

#include <string.h>

/* Each number of the catalog stands for a block, so that a recompute of many partitions does not
 * write once for each. */
static status_t next_number (coordinator_core_t *self, uint64_t *number, error_t *error)
{
    if (self->task_block == 0 || self->task_used == TASK_BLOCK) {
        uint64_t block;
        status_t status = core_writable (self, error);
        if (status != STATUS_OK)
            return status;
        status = catalog_next_task (self->catalog, &block, error);
        if (status != STATUS_OK)
            return core_failed (self, error);
        self->task_block = block;
        self->task_used = 0;
    }
    *number = self->task_block * TASK_BLOCK + self->task_used++;
    return STATUS_OK;
}

task_t *task_new (coordinator_core_t *self)
{
    uint64_t number = 0;
    error_t error;
    if (next_number (self, &number, &error) != STATUS_OK)
        return NULL;
    task_t *task = mem_zero (1, sizeof *task);
    task->id = number;
    task->definitions = self->version;
    task->node = mem_string ("");
    self->tasks = mem_resize (self->tasks, self->tasks_count + 1, sizeof (task_t *));
    self->tasks[self->tasks_count++] = task;
    return task;
}

void task_remove (coordinator_core_t *self, task_t **task_p)
{
    task_t *task = *task_p;
    *task_p = NULL;
    for (size_t i = 0; i < self->tasks_count; i++)
        if (self->tasks[i] == task) {
            self->tasks_count--;
            memmove (self->tasks + i, self->tasks + i + 1,
                     (self->tasks_count - i) * sizeof (task_t *));
            break;
        }
    mem_free (task->node);
    mem_free (task);
}

bool tasks_next (coordinator_core_t *self, uint64_t *number)
{
    error_t error;
    if (self->task_block == 0 && next_number (self, number, &error) != STATUS_OK)
        return false;
    *number = self->task_block * TASK_BLOCK + self->task_used;
    return true;
}

uint64_t tasks_least (const coordinator_core_t *self)
{
    uint64_t least = self->task_block * TASK_BLOCK + self->task_used;
    for (size_t i = 0; i < self->tasks_count; i++)
        if (self->tasks[i]->id < least)
            least = self->tasks[i]->id;
    return least;
}

bool task_path_good (text_t path, const char *directory, const char *log, uint32_t partition)
{
    char *prefix = mem_format ("%s/%s/%" PRIu32 "/", directory, log, partition);
    size_t size = strlen (prefix);
    bool good = path.size > size && memcmp (path.data, prefix, size) == 0 && text_is_utf8 (path);
    mem_free (prefix);
    if (!good)
        return false;
    text_t name = { path.data + size, path.size - (uint32_t)size };
    return memchr (name.data, '/', name.size) == NULL && !text_is (name, ".") &&
           !text_is (name, "..");
}

/* ---- giving ---- */

static bool is_given (const task_t *self)
{
    return self->node[0] != '\0';
}

static void take_back (task_t *self)
{
    core_set (&self->node, "");
    self->listed = false;
    self->missing = 0;
    self->done = self->total = 0;
}

static size_t given_to (const coordinator_core_t *self, const node_t *node)
{
    size_t count = 0;
    for (size_t i = 0; i < self->tasks_count; i++)
        count += strcmp (self->tasks[i]->node, node->name) == 0;
    return count;
}

/* The live batch worker that has least to do, or NULL when all have enough. */
static node_t *idlest (const coordinator_core_t *self)
{
    node_t *idlest = NULL;
    size_t least = TASKS_PER_NODE;
    for (size_t i = 0; i < self->nodes_count; i++) {
        node_t *node = self->nodes[i];
        if (node->role != ROLE_BATCH || !node_alive (self, node))
            continue;
        size_t count = given_to (self, node);
        if (count < least) {
            least = count;
            idlest = node;
        }
    }
    return idlest;
}

static void give (task_t *task, node_t *node)
{
    core_set (&task->node, node->name);
    task->incarnation = node->incarnation;
    task->attempt++;
    task->listed = false;
    task->missing = 0;
    node->poke = true;
}

void tasks_settle (coordinator_core_t *self)
{
    int64_t now = core_now (self);
    for (size_t i = 0; i < self->tasks_count; i++) {
        task_t *task = self->tasks[i];
        if (is_given (task) && !node_of (self, task->node, task->incarnation))
            take_back (task); /* its worker is gone */
    }
    for (size_t i = 0; i < self->tasks_count; i++) {
        task_t *task = self->tasks[i];
        if (is_given (task) || now < task->retry_at)
            continue;
        node_t *node = idlest (self);
        if (!node)
            return;
        give (task, node);
    }
}

/* ---- what workers say ---- */

static const wire_value_t *listing_of (wire_list_t listed, const task_t *task)
{
    for (uint32_t i = 0; i < listed.count; i++)
        if (wire_uint (&listed.items[i], "task", 0) == task->id &&
            wire_uint (&listed.items[i], "attempt", 0) == task->attempt)
            return &listed.items[i];
    return NULL;
}

void tasks_take (coordinator_core_t *self, const node_t *node, wire_list_t listed)
{
    for (size_t i = 0; i < self->tasks_count; i++) {
        task_t *task = self->tasks[i];
        if (strcmp (task->node, node->name) != 0 || task->incarnation != node->incarnation)
            continue;
        const wire_value_t *listing = listing_of (listed, task);
        if (listing) {
            task->listed = true;
            task->missing = 0;
            task->done = wire_uint (listing, "done", 0);
            task->total = wire_uint (listing, "total", 0);
        } else if (task->listed && ++task->missing > TASK_MISSING_MAX) {
            take_back (task); /* it has forgotten it */
        }
    }
}

static task_t *task_of (coordinator_core_t *self, const wire_value_t *body)
{
    uint64_t id = wire_uint (body, "task", 0);
    uint64_t attempt = wire_uint (body, "attempt", 0);
    for (size_t i = 0; i < self->tasks_count; i++)
        if (self->tasks[i]->id == id && self->tasks[i]->attempt == attempt &&
            is_given (self->tasks[i]))
            return self->tasks[i];
    return NULL;
}

/* May it be different another time? */
static bool may_pass (status_t status)
{
    return status == STATUS_IO || status == STATUS_NO_SPACE || status == STATUS_BUSY ||
           status == STATUS_STALE || status == STATUS_TIMEOUT || status == STATUS_UNAVAILABLE ||
           status == STATUS_CANCELLED;
}

static void task_failed (coordinator_core_t *self, task_t *task, status_t status, text_t reason)
{
    /* without its history, a key's log would be of no use for ever */
    bool history = task->load && load_is_history (task->load);
    snprintf (task->waits, sizeof task->waits, TEXT_FORMAT, TEXT_ARGS (reason));
    if (status == STATUS_NO_SPACE) { /* until somebody makes room: it counts as no failure */
        task->retry_at = core_now (self) + RETRY_NO_SPACE;
        take_back (task);
        return;
    }
    if (history || task->forget || (may_pass (status) && task->failures < TASK_FAILURES_MAX)) {
        int64_t wait = RETRY_FIRST << (task->failures < 10 ? task->failures : 10);
        if (history)
            env_log (self->env, LOG_ERROR, "%s for %s, trying again: " TEXT_FORMAT,
                     task->load->row.name, task->load->row.log, TEXT_ARGS (reason));
        if (task->forget && status != STATUS_CANCELLED)
            forget_not_verified (self, task, reason);
        task->retry_at = core_now (self) + (status == STATUS_CANCELLED ? 0 : wait);
        task->failures += status != STATUS_CANCELLED;
        take_back (task);
        return;
    }
    char *text = reason.size > 0 ? core_text (reason) : mem_string (status_word (status));
    CHECK (!task->forget);
    if (task->recompute)
        recompute_fail (self, task->recompute, text);
    else
        (void)load_fail (self, task->load, text);
    mem_free (text);
}

const char *tasks_wait_for (const coordinator_core_t *self, const recompute_t *recompute,
                            const load_t *load)
{
    for (size_t i = 0; i < self->tasks_count; i++) {
        const task_t *task = self->tasks[i];
        bool is_its = recompute ? task->recompute == recompute : task->load == load;
        if (is_its && task->waits[0] != '\0')
            return task->waits;
    }
    return "";
}

static void acknowledge (coordinator_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_TASK_DONE_OK, id);
    core_reply (self, from, id);
}

void task_done (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    const wire_value_t *body = message->body;
    task_t *task = task_of (self, body);
    if (!task) { /* told again, or of an attempt that was given up */
        acknowledge (self, from, message->id);
        return;
    }
    error_t error;
    if (core_writable (self, &error) != STATUS_OK) {
        core_reply_error (self, from, message->id, &error); /* it is told again */
        return;
    }
    char word[32];
    wire_copy (body, "status", word, sizeof word);
    status_t status = status_from_word (word);
    const wire_value_t *outputs = wire_map (body, "outputs");
    node_t *node = node_named (self, task->node);
    if (node)
        node->poke = true; /* there may be more for it */
    if (status == STATUS_OK && !outputs)
        status = STATUS_INVALID;
    if (status != STATUS_OK)
        task_failed (self, task, status, wire_text (body, "error"));
    else if (task->recompute)
        build_take (self, task, outputs);
    else if (task->forget)
        forget_verified (self, task, outputs);
    else if (load_parsed (self, task, outputs, &error) != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    acknowledge (self, from, message->id);
}
