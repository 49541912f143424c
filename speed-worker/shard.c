#include "speed-worker/shard.h"

#include "intake/intake.h"
#include "speed-worker/shard_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void pending_push (pending_list_t *list, pending_t *pending)
{
    pending->next = NULL;
    *list->tail = pending;
    list->tail = &pending->next;
}

pending_t *pending_pop (pending_list_t *list)
{
    pending_t *pending = list->head;
    if (!pending)
        return NULL;
    list->head = pending->next;
    if (!list->head)
        list->tail = &list->head;
    return pending;
}

size_t pending_size (const pending_t *self)
{
    return sizeof *self + (self->arena ? arena_held (self->arena) : 0);
}

pending_t *pending_new (log_kind_t kind)
{
    pending_t *self = mem_zero (1, sizeof *self);
    self->kind = kind;
    self->count = 1;
    self->holders = 1;
    outcome_init (&self->outcome);
    return self;
}

void pending_release (pending_t **self_p)
{
    pending_t *self = *self_p;
    *self_p = NULL;
    CHECK (self->holders > 0);
    if (--self->holders > 0)
        return;
    arena_destroy (&self->arena);
    model_unref (&self->model);
    outcome_release (&self->outcome);
    mem_free (self);
}

/* ---- life ---- */

static void start_replay (shard_t *self, uint64_t epoch)
{
    CHECK (self->replay == NULL);
    replay_t *replay = replay_new (self->options.env->fs, self->log_name, self->model);
    replay->cluster_id = self->options.cluster_id;
    replay->partition = self->options.partition;
    replay->partitions = self->options.partitions;
    replay->epoch = epoch;
    replay->segment_size = self->options.segment_size;
    replay->base = self->base;
    replay->to = self->position;
    replay->job.lane = epoch ? self->options.lane : self->options.lane | REBUILD_LANE;
    self->replay = replay;
    self->options.env->submit (self->options.env, &replay->job);
}

shard_t *shard_new (const shard_options_t *options, const char *log_name, model_t *model)
{
    shard_t *self = mem_zero (1, sizeof *self);
    self->magic = SHARD_MAGIC;
    self->options = *options;
    self->log_name = mem_string (log_name);
    self->state = SHARD_OPENING;
    self->base = options->base;
    self->pending.tail = &self->pending.head;
    self->kept.tail = &self->kept.head;
    buf_init (&self->payload, LOG_PAYLOAD_MAX);
    buf_init (&self->block, LOG_PAYLOAD_MAX);
    self->model = model_ref (model);
    self->unforwarded_last = &self->unforwarded;
    bool found = model_log (model, text_of (log_name), &self->keyed);
    CHECK (found);
    if (!self->keyed.primary) {
        self->marks = mem_zero (options->partitions, sizeof *self->marks);
        self->appended_marks = mem_zero (options->partitions, sizeof *self->appended_marks);
    }
    start_replay (self, options->epoch);
    return self;
}

void shard_tell_error (shard_t *self, const waiter_t *waiter, status_t status, const char *reason)
{
    self->options.tell (self->options.arg, waiter, self->log_name, self->options.partition, status,
                        reason, NULL, 0);
}

static void drop_pending (shard_t *self, const char *reason)
{
    pending_t *pending;
    while ((pending = pending_pop (&self->pending)) != NULL) {
        for (size_t i = 0; i < pending->waiters_count; i++)
            shard_tell_error (self, &pending->waiters[i], STATUS_UNAVAILABLE, reason);
        pending_release (&pending);
    }
    self->pending_bytes = 0;
}

static void drop_kept (shard_t *self)
{
    pending_t *pending;
    while ((pending = pending_pop (&self->kept)) != NULL)
        pending_release (&pending);
    self->kept_bytes = 0;
}

/* They are asked no more. */
static void retire_views (shard_t *self)
{
    epochs_t *epochs = realtime_dissolve (&self->realtime);
    retired_take (self->options.retired, &epochs, self->realtime_model, RETIRED_REPLACED);
    model_unref (&self->realtime_model);
}

static void trim_views (shard_t *self)
{
    epochs_t *epochs = realtime_trim (self->realtime, self->base);
    retired_take (self->options.retired, &epochs, self->realtime_model, RETIRED_TRIMMED);
}

void shard_destroy (shard_t **self_p)
{
    shard_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, SHARD_MAGIC);
    drop_pending (self, "the partition is given to another worker");
    shard_forward_end (self, "the partition is given to another worker");
    drop_kept (self);
    retire_views (self);
    model_unref (&self->model);
    dedupe_destroy (&self->dedupe);
    log_destroy (&self->log);
    controls_release (&self->controls);
    mem_free (self->marks);
    mem_free (self->appended_marks);
    buf_release (&self->payload);
    buf_release (&self->block);
    mem_free (self->log_name);
    self->magic = 0;
    mem_free (self);
}

void shard_fail (shard_t *self, const error_t *error)
{
    if (self->state == SHARD_FAILED)
        return;
    self->state = SHARD_FAILED;
    snprintf (self->reason, sizeof self->reason, "%s", error->text);
    env_log (self->options.env, LOG_ERROR, "%s/%u: %s", self->log_name, self->options.partition,
             error->text);
    drop_pending (self, error->text);
    shard_forward_end (self, error->text);
}

void shard_give_up (shard_t *self, const char *reason)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    error_t error;
    (void)error_set (&error, STATUS_UNAVAILABLE, "%s", reason);
    shard_fail (self, &error);
}

/* ---- opening and rebuilding ---- */

/* A batch may have been checked under earlier or, while a rebuild waits, newer definitions. */
static void add_to_views (shard_t *self, const pending_t *pending)
{
    keyed_log_t log;
    if (pending->batch.rows == 0)
        return;
    bool found = model_log (pending->model, text_of (self->log_name), &log);
    CHECK (found);
    realtime_add (self->realtime, log.stream, &pending->batch);
}

static void adopt_views (shard_t *self, replay_t *replay)
{
    retire_views (self);
    self->realtime = replay->realtime;
    self->realtime_model = replay->model;
    replay->realtime = NULL;
    replay->model = NULL;
    pending_t *pending;
    while ((pending = pending_pop (&self->kept)) != NULL) {
        if (pending->kind == LOG_KIND_EVENTS)
            add_to_views (self, pending);
        else
            realtime_cut (self->realtime, pending->offset);
        pending_release (&pending);
    }
    self->kept_bytes = 0;
    trim_views (self);
}

static void opened (shard_t *self, replay_t *replay)
{
    self->log = replay->log;
    self->dedupe = replay->dedupe;
    self->controls = replay->controls;
    self->position = replay->to;
    replay->log = NULL;
    replay->dedupe = NULL;
    replay->controls = (controls_t){ 0 };
    for (uint32_t p = 0; self->marks && p < self->options.partitions; p++) {
        if (replay->marks[p] > self->marks[p])
            self->marks[p] = replay->marks[p];
        self->appended_marks[p] = self->marks[p];
    }
    self->state = SHARD_SERVING;
    self->trim_due = true; /* of what earlier owners left, though the base may never rise */
    adopt_views (self, replay);
    shard_forward_begin (self);
    env_log (self->options.env, LOG_INFO,
             "%s/%u: serving, epoch %" PRIu64 ", offsets %" PRIu64 " to %" PRIu64 ", %" PRIu64
             " events in real-time views",
             self->log_name, self->options.partition, self->options.epoch, self->base,
             self->position, realtime_events (self->realtime));
}

static void replay_done (shard_t *self)
{
    replay_t *replay = self->replay;
    self->replay = NULL;
    bool opening = self->state == SHARD_OPENING;
    if (replay->status == STATUS_OK && opening)
        opened (self, replay);
    else if (replay->status == STATUS_OK && self->state == SHARD_SERVING)
        adopt_views (self, replay);
    else if (opening)
        shard_fail (self, &replay->error);
    else if (replay->status != STATUS_OK) {
        env_log (self->options.env, LOG_WARNING, "%s/%u: views not rebuilt, trying again: %s",
                 self->log_name, self->options.partition, replay->error.text);
        self->rebuild_at = self->options.env->boot_us (self->options.env) + REBUILD_RETRY;
    }
    drop_kept (self);
    replay_destroy (&replay);
}

/* Has a field been widened since that model? Its plans cannot read what is written now. */
static bool cannot_read (const shard_t *self, const model_t *model)
{
    keyed_log_t log;
    if (!model_log (model, text_of (self->log_name), &log))
        return true;
    const stream_t *present = self->keyed.stream;
    if (log.stream == present)
        return false;
    for (size_t i = 0; i < present->fields_count; i++)
        for (size_t k = 0; k < log.stream->fields_count; k++)
            if (log.stream->fields[k].id == present->fields[i].id &&
                log.stream->fields[k].type != present->fields[i].type)
                return true;
    return false;
}

bool shard_views_misread (const shard_t *self)
{
    return cannot_read (self, self->realtime_model) ||
           (self->replay && cannot_read (self, self->replay->model));
}

/* Do the views differ from those that the definitions in force ask for? */
static bool views_outdated (const shard_t *self)
{
    if (self->model == self->realtime_model)
        return false;
    if (shard_views_misread (self))
        return true;
    size_t wanted = 0;
    for (size_t i = 0; i < self->model->plans_count; i++) {
        const plan_t *plan = self->model->plans[i];
        if (strcmp (plan->log_name, self->log_name) != 0)
            continue;
        wanted++;
        const plan_t *have = model_plan_over (self->realtime_model, text_of (plan->view),
                                              plan->version, text_of (self->log_name));
        if (!have || have->hash != plan->hash)
            return true;
    }
    for (size_t i = 0; i < self->realtime_model->plans_count; i++)
        if (strcmp (self->realtime_model->plans[i]->log_name, self->log_name) == 0)
            wanted--;
    return wanted != 0;
}

void shard_set_model (shard_t *self, model_t *model)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    bool found = model_log (model, text_of (self->log_name), &self->keyed);
    CHECK (found);
    model_ref (model);
    model_unref (&self->model);
    self->model = model;
    shard_forward_set_model (self);
}

/* ---- flushing ---- */

static void apply (shard_t *self, pending_t *pending)
{
    if (pending->kind == LOG_KIND_EVENTS)
        add_to_views (self, pending);
    if (pending->kind == LOG_KIND_CUT)
        realtime_cut (self->realtime, pending->offset);
    if (pending->kind != LOG_KIND_EVENTS)
        controls_add (&self->controls, text_of (pending->id), pending->offset, pending->clock);
    if (self->marks && pending_has_mark (pending))
        self->marks[pending->source] = pending->mark;
    self->position = pending->offset + pending->count;
}

/* A rebuild under way needs what changes the views. */
static void keep (shard_t *self, pending_t *pending)
{
    bool views_change = pending->kind == LOG_KIND_CUT || pending->batch.rows > 0;
    if (!self->replay || !views_change)
        return;
    pending->holders++;
    self->kept_bytes += pending_size (pending);
    pending_push (&self->kept, pending);
}

void shard_answer_waiters (shard_t *self, const pending_t *pending)
{
    bool leased = self->options.leased (self->options.arg);
    bool re_keyed = self->marks && pending_has_mark (pending);
    uint64_t position = re_keyed ? self->marks[pending->source] : pending->offset + pending->count;
    for (size_t i = 0; i < pending->waiters_count; i++)
        if (leased)
            self->options.tell (self->options.arg, &pending->waiters[i], self->log_name,
                                self->options.partition, STATUS_OK, NULL, &pending->outcome,
                                position);
        else
            shard_tell_error (self, &pending->waiters[i], STATUS_FENCED,
                              "the lease ran out before the acknowledgement");
}

static void flush_done (shard_t *self)
{
    error_t error;
    if (log_flush_end (self->log, &self->flush, &error) != STATUS_OK) {
        shard_fail (self, &error);
        return;
    }
    uint64_t durable = log_durable (self->log);
    while (self->pending.head && self->pending.head->offset < durable) {
        pending_t *pending = pending_pop (&self->pending);
        self->pending_bytes -= pending_size (pending);
        self->gone_flushed += pending_size (pending);
        apply (self, pending);
        keep (self, pending);
        if (!shard_forward (self, pending))
            shard_answer_waiters (self, pending);
        pending_release (&pending);
    }
}

static void trim_done (shard_t *self)
{
    error_t error;
    if (log_trim_end (self->log, &self->trim, &error) == STATUS_OK)
        return;
    env_log (self->options.env, LOG_WARNING, "%s/%u: not trimmed, trying again later: %s",
             self->log_name, self->options.partition, error.text);
    self->trim_due = true;
}

bool shard_job_done (shard_t *self, job_t *job)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    if (self->replay && job == &self->replay->job)
        replay_done (self);
    else if (self->flush && job == log_flush_job (self->flush))
        flush_done (self);
    else if (self->trim && job == log_trim_job (self->trim))
        trim_done (self);
    else
        return shard_forward_job_done (self, job);
    return true;
}

void shard_tick (shard_t *self)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    if (self->state != SHARD_SERVING)
        return;
    if (!self->flush && (self->flush = log_flush_begin (self->log)) != NULL) {
        job_t *job = log_flush_job (self->flush);
        job->lane = self->options.lane;
        self->options.env->submit (self->options.env, job);
    }
    if (!self->replay && views_outdated (self) &&
        self->options.env->boot_us (self->options.env) >= self->rebuild_at)
        start_replay (self, 0);
}

/* A rebuild reads from an older base: its files stay until it is done. So do events that logs of
 * other keys do not have yet. */
static void start_trim (shard_t *self)
{
    uint64_t low = shard_forward_low (self);
    uint64_t below = low < self->base ? low : self->base;
    if (below > self->trimmed)
        self->trim_due = true;
    if (!self->trim_due || self->trim || self->replay)
        return;
    self->trim_due = false;
    self->trimmed = below;
    if ((self->trim = log_trim_begin (self->log, below)) == NULL)
        return;
    job_t *job = log_trim_job (self->trim);
    job->lane = self->options.lane | TRIM_LANE;
    job->behind = true;
    self->options.env->submit (self->options.env, job);
}

void shard_set_base (shard_t *self, uint64_t base)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    if (self->state != SHARD_SERVING)
        return;
    if (base > self->base && base <= self->position) {
        self->base = base;
        self->trim_due = true;
        trim_views (self);
        controls_trim (&self->controls, base);
    }
    start_trim (self);
}

/* ---- what others see ---- */

shard_state_t shard_state (const shard_t *self)
{
    return self->state;
}

const char *shard_reason (const shard_t *self)
{
    return self->reason;
}

const char *shard_log_name (const shard_t *self)
{
    return self->log_name;
}

realtime_t *shard_realtime (shard_t *self)
{
    return self->state == SHARD_SERVING ? self->realtime : NULL;
}

uint64_t shard_position (const shard_t *self)
{
    return self->position;
}

void shard_measure (const shard_t *self, memory_t *memory)
{
    if (self->realtime)
        memory->views += realtime_memory (self->realtime);
    if (self->replay)
        memory->building += atomic_load (&self->replay->building);
    memory->waiting += self->pending_bytes;
    memory->kept += self->kept_bytes;
    memory->forwards += self->forward_bytes;
    for (size_t i = 0; i < self->forwards_count; i++)
        memory->forwards += forward_memory (self->forwards[i]);
    if (self->dedupe)
        memory->producers += dedupe_memory (self->dedupe);
    memory->logs += self->payload.capacity + self->block.capacity;
    if (self->log)
        memory->logs += log_memory (self->log);
    memory->flushed += self->gone_flushed;
    memory->forwarded += self->gone_forwarded;
}

size_t shard_memory (const shard_t *self)
{
    memory_t memory = { 0 };
    shard_measure (self, &memory);
    return memory_total (&memory);
}

size_t shard_controls (const shard_t *self)
{
    return self->controls.count;
}

static void write_cut (void *arg, uint64_t cut)
{
    wire_put_uint (arg, cut);
}

void shard_write_held (shard_t *self, wire_writer_t *beat)
{
    bool serving = self->state == SHARD_SERVING;
    wire_open_map (beat);
    wire_field_string (beat, "log", self->log_name);
    wire_field_uint (beat, "start", self->base);
    wire_field_uint (beat, "end", self->position);
    wire_field_list (beat, "cuts");
    if (serving)
        realtime_cuts (self->realtime, write_cut, beat);
    wire_close (beat);
    wire_field_list (beat, "controls");
    for (size_t i = 0; i < self->controls.count; i++) {
        wire_open_map (beat);
        wire_field_string (beat, "id", self->controls.items[i].id);
        wire_field_uint (beat, "offset", self->controls.items[i].offset);
        wire_field_int (beat, "clock", self->controls.items[i].clock);
        wire_close (beat);
    }
    wire_close (beat);
    if (serving)
        wire_field_uint (beat, "kept", log_start (self->log));
    if (serving)
        wire_field_uint (beat, "definitions",
                         (views_outdated (self) ? self->realtime_model : self->model)->version);
    wire_field_uint (beat, "events", serving ? realtime_events (self->realtime) : 0);
    wire_field_uint (beat, "memory", shard_memory (self));
    wire_field_uint (beat, "keys", serving ? realtime_keys (self->realtime) : 0);
    if (self->forwards_count > 0) {
        wire_field_list (beat, "forwarded");
        for (size_t i = 0; i < self->forwards_count; i++)
            if (forward_caught_up (self->forwards[i]))
                wire_put_string (beat, forward_log_name (self->forwards[i]));
        wire_close (beat);
    }
    wire_close (beat);
}
