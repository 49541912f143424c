#include "batch-worker/core.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "batch-worker/task.h"
#include "member/member.h"

#include <inttypes.h>

enum {
    BATCH_MAGIC = 0x42415443,
    TASKS_MAX = 64,  /* run at the same time */
    HELD_MAX = 1024, /* tasks held: running, or done and not yet acknowledged */
    SETTLED_KEPT =
        1024,         /* ended tasks that are remembered, so that late orders do not revive them */
    UNLISTED_MAX = 3, /* orders without a finished task, after which its result is given up */
};

#define REPORT_INTERVAL TIME_SECOND
#define KEPT_TIME       TIME_MINUTE /* after the last task, that memory is kept for the next one */

typedef struct held {
    task_t *task;
    uint32_t lane;
    bool running;
    int64_t started;      /* boot µs */
    unsigned unlisted;    /* orders in a row that did not name it */
    uint64_t report_id;   /* of the task.done; 0: none yet */
    int64_t report_again; /* boot µs */
} held_t;

typedef struct settled {
    uint64_t task;
    uint64_t attempt;
    bool acknowledged;
} settled_t;

/* what it counts */
#define BATCH_METRICS(X)                                                                           \
    X (messages_refused)                                                                           \
    X (tasks_started)                                                                              \
    X (tasks_done)                                                                                 \
    X (tasks_failed)                                                                               \
    X (tasks_cancelled)                                                                            \
    X (rows_built)                                                                                 \
    X (rows_loaded)                                                                                \
    X (rows_trained)                                                                               \
    X (rows_refused)

struct batch_core {
    uint32_t magic;
    env_t *env;
    batch_options_t options;
    task_setting_t setting;
    member_t *member;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
    held_t held[HELD_MAX];
    size_t held_count;
    size_t running;
    bool lane_used[TASKS_MAX + 1]; /* the last is the fold's */
    settled_t settled[SETTLED_KEPT];
    uint64_t settled_count;
    uint64_t next_id;
    int64_t idle_since; /* boot µs at which the last task ended; 0: nothing is kept */
#define X(name) uint64_t name;
    BATCH_METRICS (X)
#undef X
};

/* ---- sending ---- */

static void send_written (batch_core_t *self, const peer_t *to)
{
    const void *data;
    size_t size;
    bool ended = wire_end (self->writer, &data, &size);
    CHECK (ended);
    self->env->send (self->env, to, data, size);
}

static void send_error (batch_core_t *self, const peer_t *to, uint64_t id, const error_t *error)
{
    const void *data;
    size_t size;
    wire_error (self->writer, id, error, &data, &size);
    self->env->send (self->env, to, data, size);
}

/* ---- tasks ---- */

static const settled_t *find_settled (const batch_core_t *self, uint64_t task, uint64_t attempt)
{
    uint64_t kept = self->settled_count < SETTLED_KEPT ? self->settled_count : SETTLED_KEPT;
    for (uint64_t i = 0; i < kept; i++)
        if (self->settled[i].task == task && self->settled[i].attempt == attempt)
            return &self->settled[i];
    return NULL;
}

static held_t *find_held (batch_core_t *self, uint64_t task, uint64_t attempt)
{
    for (size_t i = 0; i < self->held_count; i++)
        if (self->held[i].task->id == task && self->held[i].task->attempt == attempt)
            return &self->held[i];
    return NULL;
}

static void drop (batch_core_t *self, held_t *held)
{
    CHECK (!held->running);
    task_destroy (&held->task);
    *held = self->held[--self->held_count];
}

/* Drops a finished task. Its attempt is never run again: the files may be published. */
static void settle (batch_core_t *self, held_t *held, bool was_acknowledged)
{
    self->settled[self->settled_count++ % SETTLED_KEPT] = (settled_t){
        .task = held->task->id, .attempt = held->task->attempt, .acknowledged = was_acknowledged
    };
    drop (self, held);
}

/* Where it may run now; false: nowhere. What recomputes wait for never waits for a fold, or for a
 * training set. */
static bool find_lane (const batch_core_t *self, const wire_value_t *order, uint32_t *lane)
{
    uint32_t end = self->options.tasks_max;
    *lane = 0;
    if (text_is (wire_text (order, "kind"), TASK_FOLD) ||
        text_is (wire_text (order, "kind"), TASK_TRAIN_WORD) ||
        text_is (wire_text (order, "kind"), TASK_SKEW_WORD))
        *lane = end++;
    while (*lane < end && self->lane_used[*lane])
        ++*lane;
    return *lane < end;
}

static void start_task (batch_core_t *self, const wire_value_t *order, uint32_t lane)
{
    held_t *held = &self->held[self->held_count++];
    task_setting_t setting = self->setting;
    if (lane == self->options.tasks_max)
        setting.memory_limit = self->options.fold_memory;
    *held = (held_t){ .task = task_new (&setting, member_model (self->member), order),
                      .lane = lane,
                      .running = true,
                      .started = self->env->boot_us (self->env) };
    self->lane_used[held->lane] = true;
    self->running++;
    self->tasks_started++;
    held->task->job.lane = held->lane;
    held->task->job.behind = !wire_bool (order, "urgent", false);
    env_log (self->env, LOG_INFO, "task %" PRIu64 " (attempt %" PRIu64 ", " TEXT_FORMAT ") starts",
             held->task->id, held->task->attempt, TEXT_ARGS (wire_text (order, "kind")));
    member_beat_soon (self->member);
    self->env->submit (self->env, &held->task->job);
}

static bool is_listed (wire_list_t orders, const task_t *task)
{
    for (uint32_t i = 0; i < orders.count; i++)
        if (wire_uint (&orders.items[i], "task", 0) == task->id &&
            wire_uint (&orders.items[i], "attempt", 0) == task->attempt)
            return true;
    return false;
}

/* What is not listed is not wanted any more. Orders can overtake each other, so a result that the
 * coordinator may not know of yet is given up only after some of them. */
static void drop_unlisted (batch_core_t *self, wire_list_t orders)
{
    for (size_t i = self->held_count; i-- > 0;) {
        held_t *held = &self->held[i];
        held->unlisted = is_listed (orders, held->task) ? 0 : held->unlisted + 1;
        if (held->unlisted == 0)
            continue;
        if (held->running)
            atomic_store (&held->task->cancelled, true);
        else if (held->unlisted >= UNLISTED_MAX)
            settle (self, held, false);
    }
}

/* The coordinator still waits for an attempt whose result was given up: it must give another one.
 */
static void report_given_up (batch_core_t *self, const settled_t *settled)
{
    wire_begin (self->writer, MESSAGE_TASK_DONE, self->next_id++);
    wire_field_uint (self->writer, "task", settled->task);
    wire_field_uint (self->writer, "attempt", settled->attempt);
    wire_field_string (self->writer, "status", status_word (STATUS_CANCELLED));
    wire_field_string (self->writer, "error", "the result was given up: orders did not list it");
    send_written (self, member_coordinator (self->member));
}

static void take_order (batch_core_t *self, const wire_value_t *order)
{
    uint64_t task = wire_uint (order, "task", 0);
    uint64_t attempt = wire_uint (order, "attempt", 0);
    const settled_t *settled = find_settled (self, task, attempt);
    if (settled && !settled->acknowledged)
        report_given_up (self, settled);
    if (settled || find_held (self, task, attempt))
        return;
    if (wire_uint (order, "definitions", 0) > member_model (self->member)->version)
        return; /* the definitions are on their way */
    uint32_t lane;
    if (self->held_count < HELD_MAX && find_lane (self, order, &lane))
        start_task (self, order, lane); /* otherwise it is listed again next time */
}

static void take_orders (void *core, const wire_value_t *body)
{
    batch_core_t *self = core;
    CHECK_OBJECT (self, BATCH_MAGIC);
    wire_list_t orders = wire_list (body, "tasks");
    drop_unlisted (self, orders);
    for (uint32_t i = 0; i < orders.count; i++)
        take_order (self, &orders.items[i]);
}

static void take_model (void *core, model_t *model)
{
    (void)core; /* tasks that run keep theirs; those that wait are listed again */
    (void)model;
}

static void fill_beat (void *core, wire_writer_t *beat)
{
    batch_core_t *self = core;
    CHECK_OBJECT (self, BATCH_MAGIC);
    int64_t now = self->env->boot_us (self->env);
    wire_field_list (beat, "tasks");
    for (size_t i = 0; i < self->held_count; i++) {
        task_t *task = self->held[i].task;
        wire_open_map (beat);
        wire_field_uint (beat, "task", task->id);
        wire_field_uint (beat, "attempt", task->attempt);
        wire_field_uint (beat, "done", atomic_load (&task->done));
        wire_field_uint (beat, "total", atomic_load (&task->total));
        wire_field_uint (beat, "rows", atomic_load (&task->taken));
        if (self->held[i].lane == self->options.tasks_max)
            wire_field_bool (beat, "fold", true);
        if (self->held[i].running)
            wire_field_uint (beat, "took", (uint64_t)(now - self->held[i].started));
        wire_close (beat);
    }
    wire_close (beat);
}

/* ---- reports ---- */

static void begin_report (batch_core_t *self, const held_t *held, status_t status,
                          const char *reason)
{
    wire_begin (self->writer, MESSAGE_TASK_DONE, held->report_id);
    wire_field_uint (self->writer, "task", held->task->id);
    wire_field_uint (self->writer, "attempt", held->task->attempt);
    wire_field_string (self->writer, "status", status_word (status));
    if (reason != NULL)
        wire_field_string (self->writer, "error", reason);
}

static void report (batch_core_t *self, held_t *held, int64_t now)
{
    const task_t *task = held->task;
    const void *data;
    size_t size;
    if (held->report_id == 0)
        held->report_id = self->next_id++;
    held->report_again = now + REPORT_INTERVAL;
    bool good = task->status == STATUS_OK;
    begin_report (self, held, task->status, good ? NULL : task->error.text);
    const char *damaged = good ? NULL : task_damaged (task);
    if (damaged)
        wire_field_string (self->writer, "damaged", damaged);
    if (good) {
        wire_field_map (self->writer, "outputs");
        task_put_outputs (task, self->writer);
        wire_close (self->writer);
    }
    if (!wire_end (self->writer, &data, &size)) {
        begin_report (self, held, STATUS_TOO_LARGE, "the list of its files is over a limit");
        bool ended = wire_end (self->writer, &data, &size);
        CHECK (ended);
    }
    self->env->send (self->env, member_coordinator (self->member), data, size);
}

static void count_ended (batch_core_t *self, const task_t *task)
{
    if (task->status == STATUS_CANCELLED) {
        self->tasks_cancelled++;
    } else if (task->status != STATUS_OK) {
        self->tasks_failed++;
        env_log (self->env, LOG_ERROR, "task %" PRIu64 " failed: %s", task->id, task->error.text);
    } else {
        self->tasks_done++;
        if (task->kind == TASK_TRAIN)
            self->rows_trained += task->rows;
        else if (task->kind == TASK_BUILD || task->kind == TASK_LOAD)
            *(task->kind == TASK_BUILD ? &self->rows_built : &self->rows_loaded) += task->rows;
        self->rows_refused += task->refused;
        for (size_t i = 0; i < task->left_out_count; i++)
            env_log (self->env, LOG_ERROR,
                     "task %" PRIu64 ": view %s has no file of " TEXT_FORMAT
                     "/%u, and is answered from history: %s",
                     task->id, task->left_out[i].view, TEXT_ARGS (task->build.log),
                     task->build.partition, task->left_out[i].reason);
        env_log (self->env, LOG_INFO, "task %" PRIu64 " is done: %" PRIu64 " rows", task->id,
                 task->rows);
    }
}

void batch_core_job_done (batch_core_t *self, job_t *job)
{
    CHECK_OBJECT (self, BATCH_MAGIC);
    held_t *held = self->held;
    while (held < self->held + self->held_count && &held->task->job != job)
        held++;
    CHECK (held < self->held + self->held_count);
    held->running = false;
    self->lane_used[held->lane] = false;
    self->running--;
    count_ended (self, held->task);
    self->idle_since = self->env->boot_us (self->env);
    member_beat_soon (self->member); /* there may be more to do */
    if (held->task->status == STATUS_CANCELLED)
        drop (self, held); /* its files are gone: it may come again */
    else
        report (self, held, self->env->boot_us (self->env));
}

/* ---- messages ---- */

static void acknowledged (batch_core_t *self, const message_t *message)
{
    for (size_t i = 0; i < self->held_count; i++) {
        held_t *held = &self->held[i];
        if (held->running || held->report_id != message->id)
            continue;
        if (message->kind == MESSAGE_TASK_DONE_OK)
            settle (self, held, true);
        else
            env_log (self->env, LOG_WARNING, "the coordinator refused a report: " TEXT_FORMAT,
                     TEXT_ARGS (wire_text (message->body, "text")));
        return;
    }
}

static void answer_ping (batch_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_PING_OK, id);
    wire_field_string (self->writer, "node", self->options.node);
    wire_field_string (self->writer, "kind", "batch");
    wire_field_string (self->writer, "cluster", self->options.cluster);
    wire_field_uint (self->writer, "incarnation", member_incarnation (self->member));
    send_written (self, from);
}

static void answer_metrics (batch_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_METRICS_OK, id);
    wire_field_map (self->writer, "values");
#define X(name) wire_field_uint (self->writer, #name, self->name);
    BATCH_METRICS (X)
#undef X
    wire_field_uint (self->writer, "tasks_running", self->running);
    wire_field_counters (self->writer, self->env);
    wire_close (self->writer);
    send_written (self, from);
}

static void answer (batch_core_t *self, const peer_t *from, const message_t *message)
{
    if (message->kind == MESSAGE_PING) {
        answer_ping (self, from, message->id);
    } else if (message->kind == MESSAGE_METRICS) {
        answer_metrics (self, from, message->id);
    } else {
        error_t error;
        self->messages_refused++;
        (void)error_set (&error, STATUS_INVALID, "a batch worker does not answer '%s'",
                         message_word (message->kind));
        send_error (self, from, message->id, &error);
    }
}

void batch_core_receive (batch_core_t *self, const peer_t *from, const void *data, size_t size)
{
    CHECK_OBJECT (self, BATCH_MAGIC);
    message_t message;
    error_t error;
    if (wire_decode (self->decoder, data, size, &message, &error) != STATUS_OK) {
        self->messages_refused++;
        if (message.id != 0)
            send_error (self, from, message.id, &error);
        return;
    }
    if (from->incoming)
        answer (self, from, &message);
    else if (!member_receive (self->member, from, &message) &&
             member_is_coordinator (self->member, from) &&
             (message.kind == MESSAGE_TASK_DONE_OK || message.kind == MESSAGE_ERROR))
        acknowledged (self, &message);
}

/* Gives memory back that no task has wanted for a while; returns when to look again. */
static int64_t trim (batch_core_t *self, int64_t now)
{
    if (self->running > 0 || self->idle_since == 0)
        return INT64_MAX;
    if (now < self->idle_since + KEPT_TIME)
        return self->idle_since + KEPT_TIME;
    kept_trim (self->setting.kept);
    self->idle_since = 0;
    return INT64_MAX;
}

int64_t batch_core_tick (batch_core_t *self)
{
    CHECK_OBJECT (self, BATCH_MAGIC);
    int64_t now = self->env->boot_us (self->env);
    int64_t next = member_tick (self->member);
    int64_t again = trim (self, now);
    next = again < next ? again : next;
    for (size_t i = 0; i < self->held_count; i++) {
        held_t *held = &self->held[i];
        if (held->running)
            continue;
        if (now >= held->report_again)
            report (self, held, now);
        next = held->report_again < next ? held->report_again : next;
    }
    return next;
}

/* ---- life ---- */

static const member_ops_t member_callbacks = {
    .fill_beat = fill_beat,
    .orders = take_orders,
    .model = take_model,
};

batch_core_t *batch_core_new (env_t *env, const batch_options_t *options)
{
    CHECK (options->partitions > 0);
    CHECK (options->tasks_max > 0 && options->tasks_max <= TASKS_MAX);
    batch_core_t *self = mem_zero (1, sizeof *self);
    self->magic = BATCH_MAGIC;
    self->env = env;
    self->options = *options;
    self->setting = (task_setting_t){ .fs = env->fs,
                                      .cluster_id = options->cluster_id,
                                      .place = options->place,
                                      .thresholds = { .psi = options->skew_psi,
                                                      .ks = options->skew_ks,
                                                      .null_rate = options->skew_null_rate },
                                      .partitions = options->partitions,
                                      .max_ahead = options->max_ahead,
                                      .memory_limit = options->memory_limit,
                                      .disk_reserve = options->disk_reserve,
                                      .threads = options->threads,
                                      .data = options->data ? mem_string (options->data) : NULL };
    /* as much as all tasks gather rows in */
    self->setting.kept =
        kept_new (task_gathers (options->memory_limit) * options->tasks_max / KEPT_PIECE);
    member_options_t member = { .node = options->node,
                                .kind = "batch",
                                .cluster = options->cluster,
                                .place = options->place,
                                .coordinator = options->coordinator,
                                .standbys = options->standbys,
                                .standbys_count = options->standbys_count };
    self->member = member_new (env, &member, &member_callbacks, self);
    self->options.node = member_options (self->member)->node;
    self->options.cluster = member_options (self->member)->cluster;
    self->options.standbys = member_options (self->member)->standbys;
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
    self->next_id = 1;
    return self;
}

void batch_core_stop (batch_core_t *self)
{
    CHECK_OBJECT (self, BATCH_MAGIC);
    for (size_t i = 0; i < self->held_count; i++)
        if (self->held[i].running)
            atomic_store (&self->held[i].task->cancelled, true);
}

void batch_core_destroy (batch_core_t **self_p)
{
    batch_core_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, BATCH_MAGIC);
    batch_core_stop (self);
    for (size_t i = 0; i < self->held_count; i++)
        if (!self->held[i].running) /* else the shell gives it back by discard */
            task_destroy (&self->held[i].task);
    member_destroy (&self->member);
    mem_free ((void *)(uintptr_t)self->setting.data);
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    kept_unref (&self->setting.kept);
    self->magic = 0;
    mem_free (self);
}
