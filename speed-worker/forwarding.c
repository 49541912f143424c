/* Questions of shards to the partitions of other keys' logs, here or at another worker. */
#include "speed-worker/worker.h"

#include <inttypes.h>

/* ---- the source ---- */

/* Producers are told `busy` first: there is room beyond their limit for what they have sent. */
static void take (speed_core_t *self, shard_t *target, const forward_message_t *message,
                  const waiter_t *waiter)
{
    error_t error;
    if (message->block.size > 0 && pressure_views_full (worker_pressure (self)))
        forwarding_tell (self, waiter, STATUS_BUSY, "the real-time views are at their memory limit",
                         0);
    else if (message->block.size > 0 &&
             space_take (self->space, message->block.size, &error) != STATUS_OK)
        forwarding_tell (self, waiter, error.status, error.text, 0);
    else
        shard_take_forwarded (target, message, waiter);
}

bool forwarding_send (void *core, const forward_message_t *message)
{
    speed_core_t *self = core;
    CHECK_OBJECT (self, SPEED_MAGIC);
    shard_t *target = worker_shard (self, message->log, message->partition);
    if (target) {
        waiter_t waiter = { .id = message->id, .forward = true, .here = true };
        take (self, target, message, &waiter);
        return true;
    }
    const peer_t *owner = routes_owner (self->routes, message->partition);
    if (owner->size == 0 || self->partitions[message->partition])
        return false; /* or it is ours, and not opened yet */
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_FORWARD, message->id);
    wire_field_string (writer, "log", message->log);
    wire_field_uint (writer, "partition", message->partition);
    wire_field_uint (writer, "source", message->source);
    wire_field_uint (writer, "from", message->from);
    wire_field_uint (writer, "to", message->to);
    wire_field_bin (writer, "block", message->block);
    wire_field_uint (writer, "definitions", message->definitions);
    if (message->forget) {
        wire_field_map (writer, "forget");
        wire_field_text (writer, "id", message->forget->id);
        wire_field_bin (writer, "key", message->forget->key);
        wire_field_int (writer, "before", message->forget->before);
        wire_field_int (writer, "clock", message->forget->clock);
        wire_close (writer);
    }
    worker_send (self, owner);
    return true;
}

static bool take_answer (speed_core_t *self, uint64_t id, bool good, uint64_t mark)
{
    uint32_t source;
    uint32_t number;
    if (!forward_of_id (id, &source, &number))
        return false;
    partition_t *partition = source < self->options.partitions ? self->partitions[source] : NULL;
    for (size_t i = 0; partition && i < partition->shards_count; i++)
        if (shard_forward_answered (partition->shards[i], id, good, mark))
            break;
    return true;
}

bool forwarding_answered (speed_core_t *self, const message_t *message)
{
    bool good = message->kind == MESSAGE_FORWARD_OK;
    if (!good && message->kind != MESSAGE_ERROR)
        return false;
    return take_answer (self, message->id, good, good ? wire_uint (message->body, "mark", 0) : 0);
}

/* ---- the target ---- */

void forwarding_take (speed_core_t *self, const peer_t *from, const message_t *message)
{
    const wire_value_t *body = message->body;
    char log[WIRE_NAME_MAX + 1];
    wire_copy (body, "log", log, sizeof log);
    uint64_t partition = wire_uint (body, "partition", UINT64_MAX);
    forward_message_t question = {
        .log = log,
        .partition = (uint32_t)partition,
        .source = (uint32_t)wire_uint (body, "source", UINT32_MAX),
        .from = wire_uint (body, "from", 0),
        .to = wire_uint (body, "to", 0),
        .block = wire_text (body, "block"),
        .definitions = wire_uint (body, "definitions", 0),
        .id = message->id,
    };
    const wire_value_t *forgotten = wire_map (body, "forget");
    forget_payload_t forget = { 0 };
    if (forgotten) {
        forget = (forget_payload_t){ .id = wire_text (forgotten, "id"),
                                     .clock = wire_int (forgotten, "clock", 0),
                                     .key = wire_text (forgotten, "key"),
                                     .before = wire_int (forgotten, "before", INT64_MAX) };
        question.forget = &forget;
    }
    shard_t *shard =
        partition < self->options.partitions ? worker_shard (self, log, (uint32_t)partition) : NULL;
    if (!shard) {
        error_t error;
        (void)error_set (&error, STATUS_FENCED, "partition %" PRIu64 " of %s is not here",
                         partition, log);
        worker_send_error (self, from, message->id, &error);
        return;
    }
    waiter_t waiter = { .from = *from, .id = message->id, .forward = true };
    take (self, shard, &question, &waiter);
}

void forwarding_tell (speed_core_t *self, const waiter_t *waiter, status_t status,
                      const char *reason, uint64_t mark)
{
    self->metrics.forwards_taken += status == STATUS_OK;
    if (waiter->here) {
        (void)take_answer (self, waiter->id, status == STATUS_OK, mark);
    } else if (status == STATUS_OK) {
        wire_begin (self->writer, MESSAGE_FORWARD_OK, waiter->id);
        wire_field_uint (self->writer, "mark", mark);
        worker_send (self, &waiter->from);
    } else {
        error_t error;
        (void)error_set_retry (
            &error, status, status == STATUS_BUSY ? pressure_retry_ms (worker_pressure (self)) : 0,
            "%s", reason);
        worker_send_error (self, &waiter->from, waiter->id, &error);
    }
}
