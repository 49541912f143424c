/* How a batch becomes a record. */
#include "block/block.h"
#include "intake/intake.h"
#include "intake/logged.h"
#include "speed-worker/shard_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static pending_t *pending_at (shard_t *self, uint64_t offset)
{
    for (pending_t *pending = self->unforwarded; pending; pending = pending->later)
        if (pending->offset == offset)
            return pending;
    for (pending_t *pending = self->pending.head; pending; pending = pending->next)
        if (pending->offset == offset)
            return pending;
    return NULL;
}

/* A batch that is in the log already, or was by the word of its producer: told from what was
 * recorded, once that is durable. */
static void repeat (shard_t *self, const dedupe_outcome_t *recorded, const waiter_t *waiter)
{
    pending_t *pending = pending_at (self, recorded->offset);
    if (pending && pending->waiters_count < WAITERS_MAX) {
        pending->waiters[pending->waiters_count++] = *waiter;
        return;
    }
    if (pending) {
        shard_tell_error (self, waiter, STATUS_BUSY, "the same batch is being written already");
        return;
    }
    if (!self->options.leased (self->options.arg)) {
        shard_tell_error (self, waiter, STATUS_FENCED, "the lease ran out");
        return;
    }
    if (shard_forward_lags (self, recorded->offset)) {
        shard_tell_error (self, waiter, STATUS_BUSY,
                          "the batch is on its way to the logs of other keys; send it again");
        return;
    }
    outcome_t outcome;
    outcome_init (&outcome);
    outcome.accepted = recorded->accepted;
    for (size_t i = 0; i < recorded->refused_listed; i++)
        outcome_refuse (&outcome, recorded->refused[i].row, recorded->refused[i].reason);
    outcome_refuse_unlisted (&outcome,
                             recorded->refused_count - (uint32_t)recorded->refused_listed);
    uint64_t position =
        self->position; /* of an outcome so old that only its being durable is known */
    if (recorded->offset != DEDUPE_NO_OFFSET)
        position = recorded->offset + (recorded->accepted > 0 ? recorded->accepted : 1);
    self->options.tell (self->options.arg, waiter, self->log_name, self->options.partition,
                        STATUS_OK, NULL, &outcome, position);
    outcome_release (&outcome);
}

/* The batch outlives the message that its strings are in. */
static void own_strings (batch_t *batch, arena_t *arena)
{
    for (size_t c = 0; c < batch->columns; c++) {
        if (batch->column[c].type != TYPE_STRING)
            continue;
        for (size_t i = 0; i < batch->rows; i++)
            if (batch->column[c].valid[i])
                batch->column[c].s[i] = arena_text (arena, batch->column[c].s[i]);
    }
}

/* Checks the rows: fills batch and outcome. */
static void check_rows (shard_t *self, pending_t *pending, const shard_append_t *append,
                        int64_t now)
{
    pending->model = model_ref (self->model);
    intake_rules_t rules = { .now = now, .max_ahead = self->options.max_ahead };
    intake_result_t result;
    intake_convert (self->keyed.stream, append->table, append->columns, &rules, pending->arena,
                    &result);
    pending->batch = result.batch;
    pending->outcome.accepted = (uint32_t)result.batch.rows;
    for (size_t i = 0; i < result.refused_count; i++)
        outcome_refuse (&pending->outcome, append->indexes[result.refused[i].row],
                        text_of (result.refused[i].reason));
}

/* Which fields the columns are; fields in the order of their numbers need no telling. */
static void put_ids (const stream_t *stream, events_payload_t *payload)
{
    payload->ids_count = stream->fields_count;
    for (size_t i = 0; i < stream->fields_count; i++) {
        payload->ids[i] = stream->fields[i].id;
        payload->has_ids = payload->has_ids || stream->fields[i].id != i;
    }
}

status_t shard_encode_block (shard_t *self, const batch_t *batch, text_t *block, error_t *error)
{
    batch_t keyless = *batch;
    keyless.key = NULL; /* made again from the fields when it is read */
    buf_clear (&self->block);
    status_t status = block_encode (&keyless, 0, keyless.rows, &self->block, error);
    if (status == STATUS_OK)
        *block = (text_t){ (const char *)self->block.data, (uint32_t)self->block.size };
    return status;
}

static status_t encode_record (shard_t *self, const pending_t *pending,
                               const shard_append_t *append, error_t *error)
{
    events_payload_t payload = {
        .sequence = append->sequence,
        .accepted = pending->outcome.accepted,
        .refused_count = pending->outcome.refused_count,
        .refused_listed = pending->outcome.refused_listed,
    };
    memcpy (payload.producer, append->producer.data, PRODUCER_SIZE);
    memcpy (payload.refused, pending->outcome.refused,
            payload.refused_listed * sizeof payload.refused[0]);
    buf_clear (&self->payload);
    if (payload.accepted > 0) {
        put_ids (self->keyed.stream, &payload);
        status_t status = shard_encode_block (self, &pending->batch, &payload.block, error);
        if (status != STATUS_OK)
            return status;
    }
    events_payload_encode (&payload, &self->payload);
    if (self->payload.bad)
        return error_set (error, STATUS_TOO_LARGE, "the batch is over the limit of %d bytes",
                          LOG_PAYLOAD_MAX);
    return STATUS_OK;
}

status_t shard_write_record (shard_t *self, pending_t *pending, int64_t now, error_t *error)
{
    status_t status = log_append (self->log, pending->kind, self->payload.data, self->payload.size,
                                  pending->count, now, &pending->offset, error);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < pending->batch.rows; i++)
        pending->batch.offset[i] = pending->offset + i;
    pending_push (&self->pending, pending);
    return STATUS_OK;
}

static void take_batch (shard_t *self, const shard_append_t *append, const waiter_t *waiter,
                        int64_t now)
{
    if (self->pending_bytes > PENDING_BYTES_MAX) {
        shard_tell_error (self, waiter, STATUS_BUSY, "the disk is slow; try again later");
        return;
    }
    if (self->forward_bytes > FORWARD_BYTES_MAX) {
        shard_tell_error (self, waiter, STATUS_BUSY,
                          "the logs of other keys lag behind; try again later");
        return;
    }
    pending_t *pending = pending_new (LOG_KIND_EVENTS);
    pending->arena = arena_new (PENDING_CHUNK);
    check_rows (self, pending, append, now);
    if (pending->outcome.refused_count > 0 && !self->options.current (self->options.arg)) {
        /* which may take what is refused here, and an outcome is for ever */
        shard_tell_error (self, waiter, STATUS_UNAVAILABLE,
                          "newer definitions are on their way; send the same batch again");
        pending_release (&pending);
        return;
    }
    pending->count = pending->outcome.accepted > 0 ? pending->outcome.accepted : 1;
    error_t error;
    status_t status = encode_record (self, pending, append, &error);
    if (status == STATUS_OK)
        status = shard_write_record (self, pending, now, &error);
    if (status != STATUS_OK) {
        shard_tell_error (self, waiter, status, error.text);
        pending_release (&pending);
        return;
    }
    own_strings (&pending->batch, pending->arena);
    self->pending_bytes += pending_size (pending);
    pending->waiters[pending->waiters_count++] = *waiter;
    dedupe_outcome_t recorded = {
        .offset = pending->offset,
        .accepted = pending->outcome.accepted,
        .refused_count = pending->outcome.refused_count,
        .refused_listed = pending->outcome.refused_listed,
        .refused = pending->outcome.refused,
    };
    dedupe_record (self->dedupe, append->producer, append->sequence, &recorded);
}

void shard_append (shard_t *self, const shard_append_t *append, const waiter_t *waiter)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    CHECK (self->keyed.primary);
    if (self->state != SHARD_SERVING) {
        shard_tell_error (self, waiter, STATUS_UNAVAILABLE,
                          self->state == SHARD_OPENING ? "the partition is being opened"
                                                       : self->reason);
        return;
    }
    if (!self->options.leased (self->options.arg)) {
        /* nor would the definitions here be those in force */
        shard_tell_error (self, waiter, STATUS_FENCED, "the lease ran out");
        return;
    }
    if (self->forwards_unknown) {
        shard_tell_error (self, waiter, STATUS_UNAVAILABLE,
                          "newer definitions are on their way here; send the same batch again");
        return;
    }
    if (shard_views_misread (self)) {
        shard_tell_error (self, waiter, STATUS_UNAVAILABLE,
                          "a field of the stream is being widened; send the same batch again");
        return;
    }
    if (self->kept_bytes > REBUILD_KEPT_MAX) {
        shard_tell_error (self, waiter, STATUS_BUSY,
                          "views are being built for new definitions; try again later");
        return;
    }
    int64_t now = self->options.env->clock_us (self->options.env);
    dedupe_outcome_t recorded;
    error_t error;
    switch (
        dedupe_check (self->dedupe, append->producer, append->sequence, now, &recorded, &error)) {
    case DEDUPE_NEW:
        take_batch (self, append, waiter, now);
        break;
    case DEDUPE_REPEAT:
        repeat (self, &recorded, waiter);
        break;
    case DEDUPE_BELOW: /* who does not say that it may have forgotten says that it is not in */
        if (append->resumed)
            repeat (self, &recorded, waiter);
        else
            shard_tell_error (self, waiter, STATUS_INVALID, error.text);
        break;
    default:
        shard_tell_error (self, waiter, STATUS_INVALID, error.text);
    }
}

static bool control_pending (const shard_t *self, text_t id)
{
    for (const pending_t *pending = self->pending.head; pending; pending = pending->next)
        if (pending->kind != LOG_KIND_EVENTS && text_is (id, pending->id))
            return true;
    return false;
}

static void encode_forget (shard_t *self, const shard_order_t *order, int64_t now)
{
    forget_payload_t payload = {
        .id = order->id, .clock = now, .key = order->key, .before = order->before
    };
    forget_payload_encode (&payload, &self->payload);
}

static void encode_control (shard_t *self, const shard_order_t *order, int64_t now)
{
    control_payload_t payload = { .id = order->id, .clock = now };
    buf_clear (&self->block);
    if (order->kind == LOG_KIND_CUT) {
        if (self->dedupe) {
            dedupe_expire (self->dedupe, now);
            dedupe_encode (self->dedupe, &self->block);
        } else {
            marks_encode (self->appended_marks, self->options.partitions, &self->block);
        }
        payload.producers =
            (text_t){ .data = (const char *)self->block.data, .size = (uint32_t)self->block.size };
    }
    control_payload_encode (&payload, &self->payload);
}

/* Can it be a record of this log at all? A forget is ordered where the entity's events are sent to,
 * and comes to other keys' logs as they do. */
static bool order_makes_sense (const shard_t *self, const shard_order_t *order)
{
    if (order->id.size == 0 || order->id.size > CONTROL_ID_MAX)
        return false;
    if (order->kind != LOG_KIND_FORGET)
        return true;
    return self->keyed.primary && !self->forwards_unknown && order->key.size > 0 &&
           order->key.size <= KEY_SIZE_MAX &&
           key_partition (key_hash (order->key), self->options.partitions) ==
               self->options.partition;
}

void shard_control (shard_t *self, const shard_order_t *order)
{
    CHECK_OBJECT (self, SHARD_MAGIC);
    if (self->state != SHARD_SERVING || !order_makes_sense (self, order))
        return;
    if (controls_find (&self->controls, order->id) || control_pending (self, order->id))
        return;
    int64_t now = self->options.env->clock_us (self->options.env);
    buf_clear (&self->payload);
    if (order->kind == LOG_KIND_FORGET)
        encode_forget (self, order, now);
    else
        encode_control (self, order, now);
    pending_t *pending = pending_new (order->kind);
    pending->clock = now;
    memcpy (pending->id, order->id.data, order->id.size);
    if (order->kind == LOG_KIND_FORGET) {
        pending->arena = arena_new (FORGET_CHUNK);
        pending->key = arena_text (pending->arena, order->key);
        pending->before = order->before;
    }
    if (order->segment && !self->payload.bad)
        log_begin_segment (self->log);
    error_t error;
    if (self->payload.bad || shard_write_record (self, pending, now, &error) != STATUS_OK) {
        env_log (self->options.env, LOG_WARNING, "%s/%u: control record not appended, trying again",
                 self->log_name, self->options.partition);
        pending_release (&pending);
        return;
    }
    self->pending_bytes += pending_size (pending);
}
