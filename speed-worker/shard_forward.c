/* The logs of a stream's other keys: what a shard sends to them, and what one of them takes in. */
#include "block/block.h"
#include "speed-worker/shard_state.h"
#include "storage/rows.h"

#include <inttypes.h>
#include <string.h>

/* ---- the source ---- */

static void unlink_pending (shard_t *self, pending_t *pending)
{
    pending_t **at = &self->unforwarded;
    while (*at != pending)
        at = &(*at)->later;
    *at = pending->later;
    if (!pending->later)
        self->unforwarded_last = at;
    self->forward_bytes -= pending_size (pending);
    self->gone_forwarded += pending_size (pending);
}

/* A log of another key has all events of the record. */
static void forward_done (void *shard, void *record)
{
    shard_t *self = shard;
    pending_t *pending = record;
    CHECK (pending->forwards > 0);
    if (--pending->forwards > 0)
        return;
    unlink_pending (self, pending);
    shard_answer_waiters (self, pending);
    pending_release (&pending);
}

static bool forward_send (void *shard, const forward_message_t *message)
{
    shard_t *self = shard;
    return self->options.forward (self->options.arg, message);
}

bool shard_forward (shard_t *self, pending_t *pending)
{
    forget_payload_t forget = { .id = text_of (pending->id),
                                .clock = pending->clock,
                                .key = pending->key,
                                .before = pending->before };
    forward_record_t record = { .offset = pending->offset,
                                .count = pending->count,
                                .batch = &pending->batch,
                                .model = pending->model,
                                .forget = pending->kind == LOG_KIND_FORGET ? &forget : NULL };
    /* linked first: the last forward that is done with it takes it out again */
    for (size_t i = 0; i < self->forwards_count; i++)
        pending->forwards += forward_add (self->forwards[i], &record, pending);
    if (pending->forwards == 0)
        return false;
    pending->holders++;
    pending->later = NULL;
    *self->unforwarded_last = pending;
    self->unforwarded_last = &pending->later;
    self->forward_bytes += pending_size (pending);
    return true;
}

bool shard_forward_lags (const shard_t *self, uint64_t offset)
{
    for (size_t i = 0; i < self->forwards_count; i++)
        if (!forward_caught_up (self->forwards[i]))
            return true;
    for (const pending_t *pending = self->unforwarded; pending; pending = pending->later)
        if (pending->offset == offset)
            return true;
    return false;
}

size_t shard_caught_up (const shard_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->forwards_count; i++)
        count += forward_caught_up (self->forwards[i]);
    return count;
}

uint64_t shard_forward_low (const shard_t *self)
{
    uint64_t low = self->forwards_unknown ? 0 : UINT64_MAX;
    for (size_t i = 0; i < self->forwards_count; i++) {
        uint64_t of_one = forward_low (self->forwards[i]);
        low = of_one < low ? of_one : low;
    }
    return low;
}

static bool is_wanted (const forward_t *forward, const text_t *logs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text_is (logs[i], forward_log_name (forward)))
            return true;
    return false;
}

/* Can the log hold an event that somebody was told is there? */
static bool may_have_events (const shard_t *self)
{
    return self->pending.head || self->position > self->controls.count;
}

/* Logs of other keys go with their stream, or while it has no events. One that is not ordered any
 * more beside this one is another's mistake: what waits for it waits on, until it is ordered again.
 * True: there is such a one. */
static bool drop_unwanted (shard_t *self, const text_t *logs, size_t count)
{
    size_t kept = 0;
    bool missed = false;
    for (size_t i = 0; i < self->forwards_count; i++) {
        bool wanted = is_wanted (self->forwards[i], logs, count);
        if (wanted || may_have_events (self))
            self->forwards[kept++] = self->forwards[i];
        else
            forward_destroy (&self->forwards[i]);
        missed = missed || (!wanted && may_have_events (self));
    }
    self->forwards_count = kept;
    return missed;
}

static bool has_forward (const shard_t *self, text_t log)
{
    for (size_t i = 0; i < self->forwards_count; i++)
        if (text_is (log, forward_log_name (self->forwards[i])))
            return true;
    return false;
}

static void add_forward (shard_t *self, text_t log)
{
    keyed_log_t to;
    if (!model_log (self->model, log, &to) || to.primary) {
        self->forwards_unknown = true; /* until the orders are of these definitions, too */
        return;
    }
    forward_options_t options = {
        .env = self->options.env,
        .cluster_id = self->options.cluster_id,
        .source = self->options.partition,
        .partitions = self->options.partitions,
        .number = self->forwards_made++ % FORWARD_NUMBERS,
        .lane = self->options.lane | FORWARD_LANE,
        .position = self->position,
        .send = forward_send,
        .done = forward_done,
        .arg = self,
    };
    self->forwards = mem_resize (self->forwards, self->forwards_count + 1, sizeof (forward_t *));
    self->forwards[self->forwards_count++] =
        forward_new (&options, self->log_name, to.name, self->model);
}

static void forget_wanted (shard_t *self)
{
    for (size_t i = 0; i < self->wanted_count; i++)
        mem_free (self->wanted[i]);
    mem_free (self->wanted);
    self->wanted = NULL;
    self->wanted_count = 0;
}

static bool wants (const shard_t *self, text_t log)
{
    for (size_t i = 0; i < self->wanted_count; i++)
        if (text_is (log, self->wanted[i]))
            return true;
    return false;
}

static void want (shard_t *self, const text_t *logs, size_t count)
{
    self->wanted = mem_resize (self->wanted, self->wanted_count + count, sizeof (char *));
    for (size_t i = 0; i < count; i++)
        if (!wants (self, logs[i]))
            self->wanted[self->wanted_count++] = mem_string_n (logs[i].data, logs[i].size);
}

void shard_set_forwards (shard_t *self, const text_t *logs, size_t count, bool more)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    CHECK (self->keyed.primary || count == 0);
    if (self->state != SHARD_OPENING) /* what was ordered meanwhile is looked at when it serves */
        forget_wanted (self);
    want (self, logs, count);
    self->forwards_unknown = more;
    if (self->state != SHARD_SERVING)
        return;
    self->forwards_unknown = drop_unwanted (self, logs, count) || more;
    shard_forward_begin (self);
}

void shard_forward_begin (shard_t *self)
{
    for (size_t i = 0; i < self->wanted_count; i++)
        if (!has_forward (self, text_of (self->wanted[i])))
            add_forward (self, text_of (self->wanted[i]));
}

/* A key of a stream without events may go, and orders that leave it out are on their way. */
void shard_forward_set_model (shard_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->forwards_count; i++) {
        keyed_log_t to;
        bool there = model_log (self->model, text_of (forward_log_name (self->forwards[i])), &to);
        if (there && !to.primary && self->keyed.primary) {
            forward_set_model (self->forwards[i], self->model);
            self->forwards[kept++] = self->forwards[i];
        } else {
            forward_destroy (&self->forwards[i]);
        }
    }
    self->forwards_count = kept;
}

int64_t shard_ask (shard_t *self)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    int64_t next = INT64_MAX;
    bool leased = self->forwards_count > 0 && self->options.leased (self->options.arg);
    for (size_t i = 0; i < self->forwards_count; i++) {
        int64_t due = forward_tick (self->forwards[i], leased, self->base);
        next = due < next ? due : next;
    }
    return next;
}

bool shard_forward_job_done (shard_t *self, job_t *job)
{
    for (size_t i = 0; i < self->forwards_count; i++)
        if (forward_job_done (self->forwards[i], job))
            return true;
    return false;
}

bool shard_forward_answered (shard_t *self, uint64_t id, bool good, uint64_t mark)
{
    for (size_t i = 0; i < self->forwards_count; i++)
        if (forward_take (self->forwards[i], id, good, mark))
            return true;
    return false;
}

/* Whoever waits for another key's log is told that nobody knows. */
void shard_forward_end (shard_t *self, const char *reason)
{
    for (pending_t *pending = self->unforwarded; pending; pending = pending->later) {
        for (size_t i = 0; i < pending->waiters_count; i++)
            shard_tell_error (self, &pending->waiters[i], STATUS_UNAVAILABLE, reason);
        pending->waiters_count = 0;
    }
    for (size_t i = 0; i < self->forwards_count; i++)
        forward_destroy (&self->forwards[i]);
    mem_free (self->forwards);
    self->forwards = NULL;
    self->forwards_count = 0;
    forget_wanted (self);
    CHECK (!self->unforwarded);
}

/* ---- the target ---- */

void shard_set_marks (shard_t *self, const uint64_t *marks, uint32_t count)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    for (uint32_t p = 0; self->marks && p < count && p < self->options.partitions; p++) {
        if (marks[p] > self->marks[p])
            self->marks[p] = marks[p];
        if (marks[p] > self->appended_marks[p])
            self->appended_marks[p] = marks[p];
    }
}

static void tell_mark (shard_t *self, uint32_t source, const waiter_t *waiter)
{
    outcome_t none;
    if (!self->options.leased (self->options.arg)) {
        shard_tell_error (self, waiter, STATUS_FENCED, "the lease ran out");
        return;
    }
    outcome_init (&none);
    self->options.tell (self->options.arg, waiter, self->log_name, self->options.partition,
                        STATUS_OK, NULL, &none, self->marks[source]);
    outcome_release (&none);
}

/* What is appended already is told when it is durable. */
static void wait_for_mark (shard_t *self, const forward_message_t *message, const waiter_t *waiter)
{
    for (pending_t *pending = self->pending.head; pending; pending = pending->next) {
        if (!pending_has_mark (pending) || pending->source != message->source ||
            pending->mark < message->to)
            continue;
        if (pending->waiters_count < WAITERS_MAX)
            pending->waiters[pending->waiters_count++] = *waiter;
        else
            shard_tell_error (self, waiter, STATUS_BUSY, "the same events are being written");
        return;
    }
    tell_mark (self, message->source, waiter);
}

/* Both ends have the same definitions: so the columns are those of the stream, in its order. */
static status_t check_columns (const stream_t *stream, const batch_t *batch, error_t *error)
{
    bool good = batch->columns == stream->fields_count;
    for (size_t i = 0; good && i < batch->columns; i++)
        good = batch->column[i].type == stream->fields[i].type;
    return good ? STATUS_OK
                : error_set (error, STATUS_INVALID, "events with other columns than stream %s has",
                             stream->name);
}

/* Every event above the mark must be one of this partition, in the order of the source. */
static status_t check_events (const shard_t *self, const forward_message_t *message,
                              const batch_t *batch, error_t *error)
{
    for (size_t r = 0; r < batch->rows; r++) {
        bool in_order = batch->offset[r] >= message->from && batch->offset[r] < message->to &&
                        (r == 0 || batch->offset[r] > batch->offset[r - 1]);
        bool has_key = batch->key[r].size > 0 || self->keyed.key_count == 0;
        uint32_t partition = key_partition (key_hash (batch->key[r]), self->options.partitions);
        if (!in_order || !has_key || partition != self->options.partition)
            return error_set (error, STATUS_INVALID,
                              "event %zu, at %" PRIu64 " of partition %u, does not belong here", r,
                              batch->offset[r], message->source);
    }
    return STATUS_OK;
}

/* The events above the mark, in the pending's memory. */
static status_t read_events (shard_t *self, const forward_message_t *message, pending_t *pending,
                             error_t *error)
{
    uint64_t mark = self->appended_marks[message->source];
    batch_t *batch = &pending->batch;
    if (message->block.size == 0)
        return STATUS_OK;
    status_t status =
        block_decode (message->block.data, message->block.size, pending->arena, NULL, batch, error);
    if (status != STATUS_OK)
        return status;
    status = check_columns (self->keyed.stream, batch, error);
    if (status != STATUS_OK)
        return status;
    batch_set_keys (&self->keyed, batch, pending->arena);
    status = check_events (self, message, batch, error);
    if (status != STATUS_OK)
        return status;
    size_t known = 0;
    while (known < batch->rows && batch->offset[known] < mark)
        known++;
    if (known > 0)
        *batch = rows_slice (batch, known, batch->rows, pending->arena);
    return STATUS_OK;
}

static status_t encode_forwarded (shard_t *self, const forward_message_t *message,
                                  const pending_t *pending, error_t *error)
{
    forwarded_payload_t payload = { .source = message->source,
                                    .from = self->appended_marks[message->source],
                                    .to = message->to,
                                    .accepted = (uint32_t)pending->batch.rows };
    buf_clear (&self->payload);
    if (payload.accepted > 0) {
        const stream_t *stream = self->keyed.stream;
        payload.ids_count = stream->fields_count;
        for (size_t i = 0; i < stream->fields_count; i++)
            payload.ids[i] = stream->fields[i].id;
        status_t status = shard_encode_block (self, &pending->batch, &payload.block, error);
        if (status != STATUS_OK)
            return status;
    }
    forwarded_payload_encode (&payload, &self->payload);
    if (self->payload.bad)
        return error_set (error, STATUS_TOO_LARGE, "the events are over the limit of %d bytes",
                          LOG_PAYLOAD_MAX);
    return STATUS_OK;
}

static void take_events (shard_t *self, const forward_message_t *message, const waiter_t *waiter)
{
    pending_t *pending = pending_new (LOG_KIND_EVENTS);
    pending->arena = arena_new (PENDING_CHUNK);
    pending->model = model_ref (self->model);
    error_t error;
    status_t status = read_events (self, message, pending, &error);
    if (status == STATUS_OK)
        status = encode_forwarded (self, message, pending, &error);
    pending->source = message->source;
    pending->mark = message->to;
    pending->count = pending->batch.rows > 0 ? (uint32_t)pending->batch.rows : 1;
    if (status == STATUS_OK)
        status = shard_write_record (self, pending, self->options.env->clock_us (self->options.env),
                                     &error);
    if (status != STATUS_OK) {
        shard_tell_error (self, waiter, status, error.text);
        pending_release (&pending);
        return;
    }
    self->pending_bytes += pending_size (pending);
    self->appended_marks[message->source] = message->to;
    pending->waiters[pending->waiters_count++] = *waiter;
}

/* The source's forget, at `to` - 1: from here on, what the log holds of the entity is below it. */
static void take_forget (shard_t *self, const forward_message_t *message, const waiter_t *waiter)
{
    forget_payload_t payload = *message->forget;
    payload.forwarded = true;
    payload.source = message->source;
    payload.from = self->appended_marks[message->source];
    payload.to = message->to;
    buf_clear (&self->payload);
    forget_payload_encode (&payload, &self->payload);
    pending_t *pending = pending_new (LOG_KIND_FORGET);
    pending->arena = arena_new (FORGET_CHUNK);
    pending->key = arena_text (pending->arena, payload.key);
    pending->before = payload.before;
    pending->clock = payload.clock;
    pending->source = message->source;
    pending->mark = message->to;
    memcpy (pending->id, payload.id.data, payload.id.size);
    error_t error;
    status_t status =
        shard_write_record (self, pending, self->options.env->clock_us (self->options.env), &error);
    if (status != STATUS_OK) {
        shard_tell_error (self, waiter, status, error.text);
        pending_release (&pending);
        return;
    }
    self->pending_bytes += pending_size (pending);
    self->appended_marks[message->source] = message->to;
    pending->waiters[pending->waiters_count++] = *waiter;
}

/* May it be taken in now? */
static status_t check_ready (const shard_t *self, const forward_message_t *message, error_t *error)
{
    if (self->state != SHARD_SERVING)
        return error_set (error, STATUS_UNAVAILABLE, "%s",
                          self->state == SHARD_OPENING ? "the partition is being opened"
                                                       : self->reason);
    if (self->keyed.primary || message->source >= self->options.partitions ||
        message->from > message->to)
        return error_set (error, STATUS_INVALID, "%s takes no such events of partition %u",
                          self->log_name, message->source);
    if (message->forget &&
        (message->block.size > 0 || message->to == 0 || message->forget->id.size == 0 ||
         message->forget->id.size > CONTROL_ID_MAX))
        return error_set (error, STATUS_INVALID, "a forget that cannot be one");
    if (message->block.size > 0 && message->definitions != self->model->version)
        return error_set (error, STATUS_UNAVAILABLE, "definitions change just now; ask again");
    if (shard_views_misread (self))
        return error_set (error, STATUS_UNAVAILABLE, "a field of the stream is being widened");
    if (self->pending_bytes > PENDING_BYTES_MAX || self->kept_bytes > REBUILD_KEPT_MAX)
        return error_set (error, STATUS_BUSY, "there is much to do; try again later");
    return STATUS_OK;
}

void shard_take_forwarded (shard_t *self, const forward_message_t *message, const waiter_t *waiter)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    error_t error;
    if (check_ready (self, message, &error) != STATUS_OK) {
        shard_tell_error (self, waiter, error.status, error.text);
        return;
    }
    uint64_t mark = self->appended_marks[message->source];
    if (message->to <= mark)
        wait_for_mark (self, message, waiter);
    else if (message->from > mark)
        tell_mark (self, message->source, waiter); /* what comes between is missing */
    else if (message->forget)
        take_forget (self, message, waiter);
    else
        take_events (self, message, waiter);
}
