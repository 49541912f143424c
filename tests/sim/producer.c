/* A producer: batches in sequence, sent again until they are acknowledged, and sometimes after.
 *
 * One that is forgetful ends at times: of what was acknowledged it knows what it had saved, and
 * sends the rest again. One that runs ahead sends what is not in its window yet, too. One that is
 * untrue says that batches are acknowledged which are not: these it may lose, but none of them is
 * acknowledged then and not there, as none of anybody is. */
#include "tests/sim/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/world.h"

#include "base/check.h"
#include "base/mem.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PRODUCER_WINDOW = 64, /* from the oldest unacknowledged sequence to the next one */
    RESEND_WINDOW = 40,   /* an acknowledged batch is sent again only when it is this new */
    AHEAD = 40,
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
    unsigned ahead; /* it sends so many more than it may, or may by what it says */
    bool untrue;
    unsigned life;
    int64_t ends_at;  /* this one does; INT64_MAX never */
    uint64_t saved;   /* that all up to there are acknowledged */
    uint64_t next;    /* to be sent in this life */
    unsigned unacked; /* sent in it, and not known as acknowledged */
    uint64_t oldest_unacked;
    sim_batch_t *batches[BATCHES_MAX]; /* by sequence */
    bool known[BATCHES_MAX];           /* that they are acknowledged, or lost */
    uint64_t said[BATCHES_MAX];        /* with it, as the oldest */
};

typedef struct attempt {
    sim_producer_t *producer;
    sim_batch_t *batch;
    unsigned life;
    bool wrong; /* what is said with it breaks the protocol */
} attempt_t;

static void send_batch (sim_producer_t *self, sim_batch_t *batch);

/* It lives as long as the run: nobody may be there any more to give it back. */
static attempt_t *new_attempt (sim_producer_t *self, sim_batch_t *batch)
{
    attempt_t *attempt = arena_zero (check_arena (sim_check (self->sim)), 1, sizeof *attempt);
    *attempt = (attempt_t){ .producer = self, .batch = batch, .life = self->life };
    return attempt;
}

static void send_call (sim_t *sim, void *arg)
{
    attempt_t attempt = *(attempt_t *)arg;
    if (!sim_finished (sim) && attempt.life == attempt.producer->life)
        send_batch (attempt.producer, attempt.batch);
}

static void send_later (sim_producer_t *self, sim_batch_t *batch, uint64_t most_ms)
{
    attempt_t *attempt = new_attempt (self, batch);
    sim_at (self->sim, sim_now (self->sim) + (int64_t)sim_chosen (self->sim, 10, most_ms) * TIME_MS,
            send_call, attempt);
}

/* ---- what comes back ---- */

/* What earlier lives had sent already. */
static void send_again (sim_producer_t *self)
{
    while (self->next <= self->sequence && self->unacked < PRODUCER_WINDOW &&
           self->next < self->oldest_unacked + PRODUCER_WINDOW) {
        self->unacked++;
        send_batch (self, self->batches[self->next++]);
    }
}

static void know (sim_producer_t *self, const sim_batch_t *batch)
{
    if (self->known[batch->sequence])
        return;
    self->known[batch->sequence] = true;
    self->unacked--;
    while (self->oldest_unacked < self->next && self->known[self->oldest_unacked])
        self->oldest_unacked++;
    if (self->ends_at < INT64_MAX && sim_chance (self->sim, 0.02))
        self->saved = self->oldest_unacked - 1;
    send_again (self);
}

static void acknowledged (sim_producer_t *self, sim_batch_t *batch, const wire_value_t *body)
{
    bool old = batch->sequence + PRODUCER_WINDOW <= self->sequence;
    bool known = self->known[batch->sequence];
    if (!batch->acked || !old) /* else its outcome need not be known any more */
        check_acked (sim_check (self->sim), batch, body);
    know (self, batch);
    if ((!known || !old) && sim_chance (self->sim, 0.1))
        send_later (self, batch, 5000);
}

static void answered (void *arg, const message_t *reply)
{
    attempt_t attempt = *(attempt_t *)arg;
    sim_producer_t *self = attempt.producer;
    sim_batch_t *batch = attempt.batch;
    if (attempt.life != self->life)
        return;
    bool good = reply && reply->kind == MESSAGE_SEND_OK;
    bool invalid = reply && !good && client_status (reply) == STATUS_INVALID;
    if (good && attempt.wrong)
        sim_fail (self->sim, "batch %" PRIu64 " is acknowledged, and was sent ahead of its window",
                  batch->sequence);
    else if (good)
        acknowledged (self, batch, reply->body);
    else if (invalid && self->untrue) {
        batch->lost = batch->lost || !self->known[batch->sequence];
        know (self, batch);
    } else if (invalid && self->known[batch->sequence])
        return; /* an old one, which others have overtaken */
    else if (((invalid && attempt.wrong) || client_may_retry (self->sim, "a batch", reply)) &&
             !self->known[batch->sequence])
        send_later (self, batch, reply ? 500 : 50);
}

/* ---- sending ---- */

/* What is said with a batch. One that is known as acknowledged is sent as it was before. */
static uint64_t oldest_to_say (sim_producer_t *self, const sim_batch_t *batch)
{
    if (self->known[batch->sequence])
        return self->said[batch->sequence];
    if (self->untrue)
        return sim_chosen (self->sim, self->oldest_unacked, batch->sequence + 1);
    return self->oldest_unacked;
}

static void write_batch (sim_producer_t *self, const sim_batch_t *batch, uint64_t oldest)
{
    const sim_data_t *data = check_data (sim_check (self->sim));
    const stream_t *stream = data->stream[batch->stream];
    wire_writer_t *writer = client_begin (self->client, MESSAGE_SEND);
    wire_field_string (writer, "stream", stream->name);
    wire_field_bin (writer, "producer", (text_t){ (char *)self->id, PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", batch->sequence);
    wire_field_uint (writer, "oldest", oldest);
    if (self->life > 0)
        wire_field_bool (writer, "resumed", true);
    wire_field_list (writer, "columns");
    for (size_t i = 0; i < stream->fields_count; i++)
        if (data_column (data, batch->stream, batch->used, i))
            wire_put_string (writer, data_column (data, batch->stream, batch->used, i));
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (size_t i = 0; i < batch->count; i++)
        data_write_row (data, batch->stream, batch->used, &batch->rows[i], writer);
    wire_close (writer);
}

static void send_batch (sim_producer_t *self, sim_batch_t *batch)
{
    uint64_t sequence = batch->sequence;
    if (self->known[sequence] && (batch->lost || sequence + RESEND_WINDOW < self->sequence))
        return;
    uint64_t oldest = oldest_to_say (self, batch);
    write_batch (self, batch, oldest);
    size_t worker = sim_chosen (self->sim, 0, sim_count (self->sim, ROLE_SPEED) - 1);
    attempt_t *attempt = new_attempt (self, batch);
    attempt->wrong = oldest > sequence || sequence - oldest >= PRODUCER_WINDOW;
    batch->sent = batch->sent || !attempt->wrong;
    self->said[sequence] = oldest;
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
    self->next = batch->sequence + 1;
    self->unacked++;
    check_add_batch (check, batch);
    send_batch (self, batch);
    if (sim_chance (self->sim, 0.05)) /* impatient */
        send_batch (self, batch);
}

/* It is another process from now on, which knows what the last one had saved. */
static void end_life (sim_producer_t *self)
{
    self->life++;
    self->next = self->oldest_unacked = self->saved + 1;
    self->unacked = 0;
    for (uint64_t sequence = self->next; sequence <= self->sequence; sequence++)
        self->known[sequence] = false;
}

static void draw_end (sim_producer_t *self)
{
    int64_t mean = sim_knobs (self->sim)->forgetful;
    self->ends_at = INT64_MAX;
    if (mean > 0 && !self->untrue)
        self->ends_at =
            sim_now (self->sim) + (int64_t)sim_chosen (self->sim, 0, 2 * (uint64_t)mean);
}

static void produce (sim_t *sim, void *arg)
{
    sim_producer_t *self = arg;
    if (sim_finished (sim) || (self->stopped && self->next > self->sequence))
        return;
    if (!self->stopped && sim_now (sim) >= self->ends_at) {
        end_life (self);
        draw_end (self);
    }
    if (self->next <= self->sequence)
        send_again (self);
    else if (self->unacked < self->window && self->sequence + 1 < BATCHES_MAX &&
             self->next < self->oldest_unacked + PRODUCER_WINDOW + self->ahead)
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
    self->oldest_unacked = self->next = 1;
    self->untrue = sim_knobs (sim)->untrue && number == sim_knobs (sim)->producers;
    if (self->untrue || (sim_knobs (sim)->ahead && number == 1)) {
        self->ahead = AHEAD;
        self->window = PRODUCER_WINDOW + AHEAD;
    }
    draw_end (self);
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
    return self->unacked == 0 && self->next > self->sequence;
}
