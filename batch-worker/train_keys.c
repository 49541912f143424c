/* train_keys.c - all keys of a view in a partition, which had an event by then. */
#include "batch-worker/train.h"

#include "base/mem.h"

enum { KEYS_CHUNK = 1 << 18 };

typedef struct train_keys_side side_t;

/* The keys of rows [from, …) that belong to the view by then, each once. */
static batch_t keys_of (const projection_t *rows, int64_t as_of, arena_t *arena)
{
    batch_t batch = batch_new (arena, NULL, 0, rows->rows + 1);
    size_t count = 0;
    for (size_t r = 0; r < rows->rows; r++) {
        if (rows->time[r] > as_of || (count > 0 && text_equal (rows->key[r], batch.key[count - 1])))
            continue;
        batch.key[count] = arena_text (arena, rows->key[r]);
        batch.event_time[count++] = as_of;
    }
    batch.rows = count;
    return batch;
}

/* The batch before, which the merge may still have, is in the other arena. */
static status_t next_of_side (void *arg, batch_t *batch, error_t *error)
{
    side_t *self = arg;
    self->turn = 1 - self->turn;
    arena_t *arena = self->arenas[self->turn];
    do {
        batch_t read;
        status_t status = task_go_on (self->events->task, error);
        if (status == STATUS_OK)
            status = self->source.next (self->source.self, &read, error);
        if (status != STATUS_OK)
            return status;
        arena_reset (arena);
        projection_t rows = plan_project (self->plan, &read, arena);
        *batch = keys_of (&rows, self->keys->as_of, arena);
    } while (batch->rows == 0);
    return STATUS_OK;
}

status_t train_keys_open (train_keys_t *self, task_t *task, plan_t *const *plans, error_t *error)
{
    const train_order_t *order = &task->train;
    *self = (train_keys_t){ .as_of = order->before ? order->as_of - 1 : order->as_of };
    self->arena = arena_new (KEYS_CHUNK);
    self->given = arena_new (KEYS_CHUNK);
    merge_source_t inputs[TRAINING_SOURCES_MAX];
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < order->sources_count; i++) {
        side_t *side = &self->sides[i];
        self->count++;
        status = train_events_open (&self->events[i], task, &order->sources[i], plans[i], false,
                                    NULL, error);
        *side = (side_t){ .keys = self, .events = &self->events[i], .plan = plans[i] };
        side->arenas[0] = arena_new (KEYS_CHUNK);
        side->arenas[1] = arena_new (KEYS_CHUNK);
        if (status == STATUS_OK)
            side->source = train_events_source (&self->events[i]);
        inputs[i] = (merge_source_t){ .next = next_of_side, .self = side };
    }
    if (status == STATUS_OK)
        status = merge_new (inputs, order->sources_count, NULL, &self->merge, error);
    return status;
}

/* Each key once, whatever source and batch has it. */
static status_t next_of_keys (void *arg, batch_t *batch, error_t *error)
{
    train_keys_t *self = arg;
    arena_reset (self->given);
    do {
        batch_t read;
        arena_reset (self->arena);
        status_t status = merge_next (self->merge, self->arena, &read, error);
        if (status != STATUS_OK)
            return status;
        *batch = batch_new (self->given, NULL, 0, read.rows);
        size_t count = 0;
        for (size_t r = 0; r < read.rows; r++) {
            if (self->any &&
                text_equal (read.key[r], count > 0 ? batch->key[count - 1] : self->last))
                continue;
            self->any = true;
            batch->key[count] = arena_text (self->given, read.key[r]);
            batch->event_time[count] = self->events[0].task->train.as_of;
            batch->offset[count++] = self->rows++;
        }
        batch->rows = count;
        if (count > 0) {
            text_t last = batch->key[count - 1];
            if (last.size > 0)
                memcpy (self->last_bytes, last.data, last.size);
            self->last = (text_t){ (const char *)self->last_bytes, last.size };
        }
    } while (batch->rows == 0);
    return STATUS_OK;
}

merge_source_t train_keys_source (train_keys_t *self)
{
    return (merge_source_t){ .next = next_of_keys, .self = self };
}

void train_keys_release (train_keys_t *self)
{
    merge_destroy (&self->merge);
    for (size_t i = 0; i < self->count; i++) {
        train_events_release (&self->events[i]);
        arena_destroy (&self->sides[i].arenas[0]);
        arena_destroy (&self->sides[i].arenas[1]);
    }
    arena_destroy (&self->arena);
    arena_destroy (&self->given);
    self->count = 0;
}
