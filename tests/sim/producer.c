/* A producer: batches in sequence, sent again until they are acknowledged, and sometimes after. */
#include "tests/sim/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/world.h"

#include "base/check.h"
#include "base/mem.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

enum {
    PRODUCER_WINDOW = 64, /* from the oldest unacknowledged sequence to the next one */
    RESEND_WINDOW = 40,   /* an acknowledged batch is sent again only when it is this new */
    ROWS_MAX = 12,
    BATCHES_MAX = 8192,
};

struct sim_producer {
    sim_t *sim;
    sim_client_t *client;
    uint8_t id[PRODUCER_SIZE];
    int64_t skew;
    uint64_t sequence; /* of the newest batch */
    bool stopped;
    unsigned window;
    unsigned unacked;
    sim_batch_t *batches[BATCHES_MAX]; /* by sequence */
    uint64_t oldest_unacked;
};

typedef struct attempt {
    sim_producer_t *producer;
    sim_batch_t *batch;
} attempt_t;

static void send_batch (sim_producer_t *self, sim_batch_t *batch);

/* It lives as long as the run: nobody may be there any more to give it back. */
static attempt_t *new_attempt (sim_producer_t *self, sim_batch_t *batch)
{
    attempt_t *attempt = arena_zero (check_arena (sim_check (self->sim)), 1, sizeof *attempt);
    *attempt = (attempt_t){ self, batch };
    return attempt;
}

static void send_call (sim_t *sim, void *arg)
{
    attempt_t attempt = *(attempt_t *)arg;
    if (!sim_finished (sim))
        send_batch (attempt.producer, attempt.batch);
}

static void send_later (sim_producer_t *self, sim_batch_t *batch, uint64_t most_ms)
{
    attempt_t *attempt = new_attempt (self, batch);
    sim_at (self->sim, sim_now (self->sim) + (int64_t)sim_chosen (self->sim, 10, most_ms) * TIME_MS,
            send_call, attempt);
}

static void acknowledged (sim_producer_t *self, sim_batch_t *batch, const wire_value_t *body)
{
    bool first = !batch->acked;
    bool old = batch->sequence + PRODUCER_WINDOW <= self->sequence;
    if (!first && old)
        return; /* a repeat that came late: its outcome need not be known any more */
    check_acked (sim_check (self->sim), batch, body);
    if (first) {
        self->unacked--;
        while (self->oldest_unacked <= self->sequence && self->batches[self->oldest_unacked]->acked)
            self->oldest_unacked++;
    }
    if (sim_chance (self->sim, 0.1))
        send_later (self, batch, 5000);
}

static void answered (void *arg, const message_t *reply)
{
    attempt_t attempt = *(attempt_t *)arg;
    sim_producer_t *self = attempt.producer;
    if (reply && reply->kind == MESSAGE_SEND_OK)
        acknowledged (self, attempt.batch, reply->body);
    else if (client_may_retry (self->sim, "a batch", reply) && !attempt.batch->acked)
        send_later (self, attempt.batch, reply ? 500 : 50);
}

static void send_batch (sim_producer_t *self, sim_batch_t *batch)
{
    if (batch->acked && batch->sequence + RESEND_WINDOW < self->sequence)
        return;
    const sim_data_t *data = check_data (sim_check (self->sim));
    const stream_t *stream = data->stream[batch->stream];
    wire_writer_t *writer = client_begin (self->client, MESSAGE_SEND);
    wire_field_string (writer, "stream", stream->name);
    wire_field_bin (writer, "producer", (text_t){ (char *)self->id, PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", batch->sequence);
    wire_field_list (writer, "columns");
    for (size_t i = 0; i < stream->fields_count; i++)
        if (data_column (data, batch->stream, batch->used, i))
            wire_put_string (writer, data_column (data, batch->stream, batch->used, i));
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (size_t i = 0; i < batch->count; i++)
        data_write_row (data, batch->stream, batch->used, &batch->rows[i], writer);
    wire_close (writer);
    size_t worker = sim_chosen (self->sim, 0, sim_count (self->sim, ROLE_SPEED) - 1);
    attempt_t *attempt = new_attempt (self, batch);
    client_ask (self->client, sim_node (self->sim, ROLE_SPEED, worker),
                (int64_t)sim_chosen (self->sim, 500, 7000) * TIME_MS, answered, attempt);
}

static void new_batch (sim_producer_t *self)
{
    sim_check_t *check = sim_check (self->sim);
    arena_t *arena = check_arena (check);
    sim_batch_t *batch = arena_zero (arena, 1, sizeof *batch);
    memcpy (batch->producer, self->id, PRODUCER_SIZE);
    batch->sequence = ++self->sequence;
    batch->stream = sim_chance (self->sim, 0.3) ? 1 : 0;
    batch->count = sim_chosen (self->sim, 1, ROWS_MAX);
    batch->rows = arena_zero (arena, batch->count, sizeof *batch->rows);
    batch->used = data_some_steps (check_data (check), self->sim);
    for (size_t i = 0; i < batch->count; i++)
        data_row (check_data (check), self->sim, batch->stream, batch->used,
                  sim_wall (self->sim) + self->skew, false, arena, &batch->rows[i]);
    self->batches[batch->sequence] = batch;
    self->unacked++;
    check_add_batch (check, batch);
    send_batch (self, batch);
    if (sim_chance (self->sim, 0.05)) /* impatient */
        send_batch (self, batch);
}

static void produce (sim_t *sim, void *arg)
{
    sim_producer_t *self = arg;
    if (sim_finished (sim) || self->stopped)
        return;
    if (self->unacked < self->window && self->sequence + 1 < BATCHES_MAX &&
        self->sequence + 1 < self->oldest_unacked + PRODUCER_WINDOW)
        new_batch (self);
    int64_t wait = (int64_t)sim_chosen (sim, 0, 2 * (uint64_t)sim_knobs (sim)->send_every);
    sim_at (sim, sim_now (sim) + wait, produce, self);
}

sim_producer_t *producer_new (sim_t *sim, unsigned number)
{
    sim_producer_t *self = mem_zero (1, sizeof *self);
    char name[32];
    snprintf (name, sizeof name, "producer%u", number);
    self->sim = sim;
    self->client = client_new (sim, name);
    self->window = (unsigned)sim_chosen (sim, 1, PRODUCER_WINDOW);
    self->oldest_unacked = 1;
    self->skew =
        (int64_t)sim_chosen (sim, 0, 2 * (uint64_t)sim_knobs (sim)->skew) - sim_knobs (sim)->skew;
    uint64_t created = htobe64 ((uint64_t)(sim_wall (sim) + self->skew));
    uint64_t noise = random_next (sim_random (sim));
    memcpy (self->id, &created, sizeof created);
    memcpy (self->id + sizeof created, &noise, sizeof noise);
    return self;
}

void producer_destroy (sim_producer_t **self_p)
{
    sim_producer_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    client_destroy (&self->client);
    mem_free (self);
}

void producer_start (sim_producer_t *self)
{
    produce (self->sim, self);
}

void producer_stop (sim_producer_t *self)
{
    self->stopped = true;
}

bool producer_is_done (const sim_producer_t *self)
{
    return self->unacked == 0;
}
