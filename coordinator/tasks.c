/* Work for batch workers: given out, watched, given out again. */
#include "coordinator/skews.h"
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
    self->tasks = mem_resize (self->tasks, self->tasks_count + 1, sizeof (task_t *));
    self->tasks[self->tasks_count++] = task;
    return task;
}

static void drop_attempt (task_t *self, size_t at)
{
    mem_free (self->attempts[at].node);
    self->attempts_count--;
    memmove (self->attempts + at, self->attempts + at + 1,
             (self->attempts_count - at) * sizeof *self->attempts);
    if (self->attempts_count > 0)
        return;
    self->copied = 0;
    self->lost_copy = false;
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
    while (task->attempts_count > 0)
        drop_attempt (task, task->attempts_count - 1);
    mem_free (task->avoid);
    mem_free (task);
}

static uint64_t tasks_end (const coordinator_core_t *self)
{
    return self->task_block * TASK_BLOCK + self->task_used;
}

bool tasks_take_number (coordinator_core_t *self, uint64_t *number)
{
    error_t error;
    return next_number (self, number, &error) == STATUS_OK;
}

bool tasks_next (coordinator_core_t *self, uint64_t *number)
{
    error_t error;
    if (self->task_block == 0 && next_number (self, number, &error) != STATUS_OK)
        return false;
    *number = tasks_end (self);
    return true;
}

uint64_t tasks_least (const coordinator_core_t *self)
{
    uint64_t least = tasks_end (self), training = trainings_least (self);
    least = training < least ? training : least; /* what it reads stays, too */
    for (size_t i = 0; i < self->tasks_count; i++)
        if (!self->tasks[i]->fold && self->tasks[i]->id < least)
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

task_kind_t task_kind (const task_t *self)
{
    return self->load       ? TASK_LOAD
           : self->forget   ? TASK_VERIFY
           : self->training ? TASK_TRAINING
           : self->skew     ? TASK_SKEW
           : self->fold     ? TASK_FOLD
                            : TASK_BUILD;
}

bool task_is_aside (const task_t *self)
{
    return self->fold != NULL || self->training != NULL || self->skew != NULL;
}

bool task_is_given (const task_t *self)
{
    return self->attempts_count > 0;
}

static bool is_at (const attempt_t *self, const node_t *node)
{
    return strcmp (self->node, node->name) == 0 && self->incarnation == node->incarnation;
}

const attempt_t *task_at (const task_t *self, const node_t *node)
{
    for (size_t i = 0; i < self->attempts_count; i++)
        if (is_at (&self->attempts[i], node))
            return &self->attempts[i];
    return NULL;
}

const attempt_t *task_furthest (const task_t *self)
{
    const attempt_t *furthest = NULL;
    for (size_t i = 0; i < self->attempts_count; i++)
        if (furthest == NULL || self->attempts[i].done > furthest->done)
            furthest = &self->attempts[i];
    return furthest;
}

uint64_t task_progress (const task_t *self, uint64_t *total)
{
    uint64_t done = 0, most = 0;
    for (size_t i = 0; i < self->attempts_count; i++) {
        done = self->attempts[i].done > done ? self->attempts[i].done : done;
        most = self->attempts[i].total > most ? self->attempts[i].total : most;
    }
    if (total)
        *total = most;
    return done;
}

size_t tasks_given (const coordinator_core_t *self, const node_t *node, bool aside)
{
    size_t count = 0;
    for (size_t i = 0; i < self->tasks_count; i++)
        for (size_t a = 0; a < self->tasks[i]->attempts_count; a++)
            count += aside == task_is_aside (self->tasks[i]) &&
                     strcmp (self->tasks[i]->attempts[a].node, node->name) == 0;
    return count;
}

/* Is there a live batch worker that runs nothing that it was given up on? */
static bool any_free (const coordinator_core_t *self)
{
    for (size_t i = 0; i < self->nodes_count; i++)
        if (self->nodes[i]->role == ROLE_BATCH && node_alive (self, self->nodes[i]) &&
            self->nodes[i]->given_up == 0)
            return true;
    return false;
}

/* The live batch worker that has least to do, or NULL when all have enough. One where the task
 * failed last comes after all others; one that goes on with what it was given up on gets nothing
 * while there are others. */
static node_t *idlest (const coordinator_core_t *self, const task_t *task)
{
    node_t *idlest = NULL;
    size_t least = 2 * TASKS_PER_NODE;
    bool free = any_free (self);
    for (size_t i = 0; i < self->nodes_count; i++) {
        node_t *node = self->nodes[i];
        if (node->role != ROLE_BATCH || !node_alive (self, node) || (free && node->given_up > 0))
            continue;
        size_t count = tasks_given (self, node, task_is_aside (task));
        if (count >= (task_is_aside (task) ? 1 : TASKS_PER_NODE))
            continue;
        count += task->avoid && strcmp (task->avoid, node->name) == 0 ? TASKS_PER_NODE : 0;
        if (count < least) {
            least = count;
            idlest = node;
        }
    }
    return idlest;
}

void task_give (coordinator_core_t *self, task_t *task, node_t *node)
{
    CHECK (task->attempts_count < ATTEMPTS_MAX);
    task->attempts[task->attempts_count] = (attempt_t){ .number = ++task->last,
                                                        .node = mem_string (node->name),
                                                        .incarnation = node->incarnation,
                                                        .given = core_now (self) };
    task->attempts_count++;
    task->waits[0] = '\0';
    node->poke = true;
}

/* Its worker is gone, or has forgotten it, which says nothing of the task: what is left may be
 * copied to another at once when it is slow. When copies are lost again, they may be what ends
 * workers. */
static void lose_attempt (task_t *task, size_t at)
{
    bool is_copy = at > 0;
    drop_attempt (task, at);
    if (!is_copy || !task->lost_copy)
        task->copied = 0;
    task->lost_copy |= is_copy;
}

static void drop_orphans (coordinator_core_t *self, task_t *task)
{
    for (size_t i = task->attempts_count; i-- > 0;)
        if (!node_of (self, task->attempts[i].node, task->attempts[i].incarnation))
            lose_attempt (task, i);
}

/* Gives those that wait; `waits`: there is no room for more builds and the like, and for more of
 * those aside. */
static void give_waiting (coordinator_core_t *self, bool folds, bool waits[2])
{
    int64_t now = core_now (self);
    for (size_t i = 0; i < self->tasks_count; i++) {
        task_t *task = self->tasks[i];
        bool *wait = &waits[task_is_aside (task)];
        if ((task->fold != NULL) != folds || task_is_given (task) || now < task->retry_at || *wait)
            continue;
        node_t *node = idlest (self, task);
        *wait = node == NULL;
        if (node)
            task_give (self, task, node);
    }
}

void tasks_settle (coordinator_core_t *self)
{
    bool waits[2] = { false, false };
    for (size_t i = 0; i < self->tasks_count; i++)
        drop_orphans (self, self->tasks[i]);
    give_waiting (self, false, waits);
    give_waiting (self, true, waits); /* nobody waits for a fold */
    if (!waits[0])
        stragglers_settle (self);
}

/* ---- what workers say ---- */

static const wire_value_t *listing_of (wire_list_t listed, uint64_t task, uint64_t attempt)
{
    for (uint32_t i = 0; i < listed.count; i++)
        if (wire_uint (&listed.items[i], "task", 0) == task &&
            wire_uint (&listed.items[i], "attempt", 0) == attempt)
            return &listed.items[i];
    return NULL;
}

/* Does the worker still have it? */
static bool take_listing (attempt_t *self, const wire_value_t *listing)
{
    if (!listing)
        return !self->listed || ++self->missing <= TASK_MISSING_MAX;
    self->listed = true;
    self->missing = 0;
    self->done = wire_uint (listing, "done", 0);
    self->total = wire_uint (listing, "total", 0);
    self->rows = wire_uint (listing, "rows", 0);
    self->took = wire_uint (listing, "took", 0);
    return true;
}

/* The task that is told of, and which of its attempts; NULL when that is not known (any more). */
static task_t *task_of (coordinator_core_t *self, const wire_value_t *body, size_t *at)
{
    uint64_t id = wire_uint (body, "task", 0);
    uint64_t number = wire_uint (body, "attempt", 0);
    for (size_t i = 0; i < self->tasks_count; i++)
        for (*at = 0; *at < self->tasks[i]->attempts_count; ++*at)
            if (self->tasks[i]->id == id && self->tasks[i]->attempts[*at].number == number)
                return self->tasks[i];
    return NULL;
}

/* Attempts that are in nobody's books, and are no news of one that has just ended. Folds are in
 * nobody's way. */
static size_t given_up (coordinator_core_t *self, wire_list_t listed)
{
    size_t count = 0, at;
    for (uint32_t i = 0; i < listed.count; i++)
        count += !task_of (self, &listed.items[i], &at) &&
                 !wire_bool (&listed.items[i], "fold", false) &&
                 wire_uint (&listed.items[i], "took", 0) >= SLOW_LEAST;
    return count;
}

void tasks_take (coordinator_core_t *self, node_t *node, wire_list_t listed)
{
    for (size_t i = 0; i < self->tasks_count; i++) {
        task_t *task = self->tasks[i];
        for (size_t a = task->attempts_count; a-- > 0;) {
            attempt_t *attempt = &task->attempts[a];
            if (is_at (attempt, node) &&
                !take_listing (attempt, listing_of (listed, task->id, attempt->number)))
                lose_attempt (task, a);
        }
    }
    node->given_up = given_up (self, listed);
}

/* May it be different another time? */
static bool may_pass (status_t status)
{
    return status == STATUS_IO || status == STATUS_NO_SPACE || status == STATUS_BUSY ||
           status == STATUS_STALE || status == STATUS_TIMEOUT || status == STATUS_UNAVAILABLE ||
           status == STATUS_CANCELLED;
}

static bool has_other_worker (const coordinator_core_t *self, const char *name)
{
    for (size_t i = 0; i < self->nodes_count; i++)
        if (self->nodes[i]->role == ROLE_BATCH && node_alive (self, self->nodes[i]) &&
            strcmp (self->nodes[i]->name, name) != 0)
            return true;
    return false;
}

/* Until somebody makes room, which counts as no failure; another worker may have another disk. */
static void wait_for_room (coordinator_core_t *self, task_t *task, const char *node)
{
    bool elsewhere = !task->avoid && has_other_worker (self, node);
    task->retry_at = core_now (self) + (elsewhere ? 0 : RETRY_NO_SPACE);
}

/* True when it is tried again. */
static bool try_again (coordinator_core_t *self, task_t *task, status_t status, text_t reason)
{
    /* without its history, a key's log would be of no use for ever */
    bool history = task->load && load_is_history (task->load);
    bool passes = may_pass (status) || (task->skew && status == STATUS_NOT_FOUND);
    if (!history && !task->forget && !(passes && task->failures < TASK_FAILURES_MAX))
        return false;
    int64_t wait = RETRY_FIRST << (task->failures < 10 ? task->failures : 10);
    if (history)
        env_log (self->env, LOG_ERROR, "%s for %s, trying again: " TEXT_FORMAT,
                 task->load->row.name, task->load->row.log, TEXT_ARGS (reason));
    if (task->forget && status != STATUS_CANCELLED)
        forget_not_verified (self, task, reason);
    task->retry_at = core_now (self) + (status == STATUS_CANCELLED ? 0 : wait);
    task->failures += status != STATUS_CANCELLED;
    return true;
}

static void task_failed (coordinator_core_t *self, task_t *task, size_t at, status_t status,
                         text_t reason, text_t path)
{
    snprintf (task->waits, sizeof task->waits, TEXT_FORMAT, TEXT_ARGS (reason));
    char *node = mem_string (task->attempts[at].node);
    drop_attempt (task, at);
    bool goes_on = task_is_given (task); /* at another worker */
    if (!goes_on && status == STATUS_NO_SPACE) {
        wait_for_room (self, task, node);
        goes_on = true;
    }
    mem_free (task->avoid);
    task->avoid = node;
    if (goes_on || try_again (self, task, status, reason))
        return;
    char *text = reason.size > 0 ? core_text (reason) : mem_string (status_word (status));
    CHECK (!task->forget);
    if (task->recompute)
        build_failed (self, task, text, path);
    else if (task->fold)
        folds_failed (self, task, text, path);
    else if (task->training)
        training_failed (self, task, text);
    else if (task->skew)
        skew_failed (self, task, text);
    else
        (void)load_fail (self, task->load, text);
    mem_free (text);
}

const char *task_waits (const coordinator_core_t *self, const task_t *task)
{
    bool any = false; /* live batch worker */
    for (size_t i = 0; i < self->nodes_count && !any; i++)
        any = self->nodes[i]->role == ROLE_BATCH && node_alive (self, self->nodes[i]);
    return task->waits[0] != '\0' ? task->waits
           : any || task_is_given (task)
               ? ""
               : "no batch worker is alive: start one, as `weir up -d` does";
}

const char *tasks_wait_for (const coordinator_core_t *self, const recompute_t *recompute,
                            const load_t *load)
{
    for (size_t i = 0; i < self->tasks_count; i++) {
        const task_t *task = self->tasks[i];
        bool is_its = recompute ? task->recompute == recompute : task->load == load;
        const char *waits = is_its ? task_waits (self, task) : "";
        if (waits[0] != '\0')
            return waits;
    }
    return "";
}

static void acknowledge (coordinator_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_TASK_DONE_OK, id);
    core_reply (self, from, id);
}

/* Its workers have something else to do now, or are to stop. */
static void poke_workers (coordinator_core_t *self, const task_t *task)
{
    for (size_t i = 0; i < task->attempts_count; i++) {
        node_t *node = node_named (self, task->attempts[i].node);
        if (node)
            node->poke = true;
    }
}

/* The first attempt that succeeds is the one that counts: the task is no more. */
static status_t task_succeeded (coordinator_core_t *self, task_t *task, size_t at,
                                const wire_value_t *outputs, error_t *error)
{
    straggler_pace (self, task, &task->attempts[at]);
    if (task->recompute)
        build_take (self, task, task->attempts[at].node, outputs);
    else if (task->fold)
        folds_take (self, task, task->attempts[at].node, outputs);
    else if (task->forget)
        forget_verified (self, task, outputs);
    else if (task->training)
        training_take (self, task, outputs);
    else if (task->skew)
        skew_take (self, task, outputs);
    else
        return load_parsed (self, task, outputs, error);
    return STATUS_OK;
}

void task_done (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    const wire_value_t *body = message->body;
    size_t at;
    task_t *task = task_of (self, body, &at);
    if (!task) { /* told again, or of an attempt that was given up, or was second */
        if (wire_has (body, "outputs"))
            sweep_soon (self);
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
    poke_workers (self, task);
    if (status == STATUS_OK && !outputs)
        status = STATUS_INVALID;
    if (status != STATUS_OK) {
        task_failed (self, task, at, status, wire_text (body, "error"),
                     wire_text (body, "damaged"));
    } else if (task_succeeded (self, task, at, outputs, &error) != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    acknowledge (self, from, message->id);
}
