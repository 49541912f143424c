#include "tests/unit/speed-worker/town.h"

#include "feature/answer.h"
#include "tests/oracle/oracle.h"

#include <stdio.h>

#define COORDINATOR "tcp://coordinator"

/* ---- workers ---- */

void worker_start (town_t *self, unsigned number)
{
    worker_t *worker = &self->worker[number];
    int64_t clock = worker->rig.clock;
    int64_t boot = worker->rig.boot;
    bool loud = worker->rig.loud;
    cr_assert_null (worker->core);
    worker->fs = sim_disk_mount (self->disk);
    rig_env_init (&worker->rig, worker->fs, random_next (&self->random));
    worker->rig.loud = loud;
    if (boot > 0) {
        worker->rig.clock = clock;
        worker->rig.boot = boot;
    }
    snprintf (worker->endpoint, sizeof worker->endpoint, "tcp://w%u", number);
    char name[16];
    snprintf (name, sizeof name, "w%u", number);
    speed_options_t options = {
        .node = name,
        .cluster = "town",
        .cluster_id = TOWN_CLUSTER_ID,
        .partitions = PARTITIONS,
        .endpoint = worker->endpoint,
        .coordinator = peer_of_endpoint (COORDINATOR),
        .max_ahead = 5 * TIME_MINUTE,
        .memory_limit = self->memory_limit,
        .segment_size = self->segment_size,
    };
    worker->core = speed_core_new (&worker->rig.env, &options);
    memset (worker->held, 0, sizeof worker->held);
}

void worker_kill (town_t *self, unsigned number)
{
    worker_t *worker = &self->worker[number];
    sim_disk_fail_after (worker->fs, 0);
    speed_core_destroy (&worker->core);
    int64_t clock = worker->rig.clock;
    int64_t boot = worker->rig.boot;
    rig_env_release (&worker->rig);
    worker->rig.clock = clock;
    worker->rig.boot = boot;
}

void town_init (town_t *self, uint64_t seed, unsigned workers)
{
    *self = (town_t){ .definitions = 1, .routes = 1, .memory_limit = 1 << 30, .next_id = 1000 };
    random_seed (&self->random, seed);
    self->disk = sim_disk_new (seed, 0);
    self->writer = wire_writer_new ();
    self->decoder = wire_decoder_new ();
    for (unsigned i = 0; i < workers; i++)
        worker_start (self, i);
    uint64_t created = (uint64_t)self->worker[0].rig.clock;
    for (size_t i = 0; i < 8; i++)
        self->producer[i] = (uint8_t)(created >> (56 - 8 * i));
    town_give_all (self, 0);
}

void town_release (town_t *self)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (self->worker[i].core)
            worker_kill (self, i);
    while (self->replies) {
        reply_t *reply = self->replies;
        self->replies = reply->next;
        mem_free (reply);
    }
    wire_writer_destroy (&self->writer);
    wire_decoder_destroy (&self->decoder);
    cr_assert_eq (sim_disk_open_files (self->disk), 0);
    sim_disk_destroy (&self->disk);
    mem_free (self->accepted);
}

void town_give (town_t *self, uint32_t partition, int worker)
{
    self->owner[partition] = worker;
    self->epoch[partition]++;
    self->routes++;
}

void town_give_all (town_t *self, int worker)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town_give (self, p, worker);
}

/* ---- the coordinator ---- */

static void note_held_log (held_t *held, const wire_value_t *log)
{
    held->start = wire_uint (log, "start", 0);
    held->end = wire_uint (log, "end", 0);
    held->events = wire_uint (log, "events", 0);
    wire_list_t cuts = wire_list (log, "cuts");
    held->cuts_count = cuts.count;
    for (uint32_t i = 0; i < cuts.count && i < 16; i++)
        held->cuts[i] = wire_item_uint (&cuts.items[i]);
    wire_list_t controls = wire_list (log, "controls");
    held->controls_count = controls.count;
    for (uint32_t i = 0; i < controls.count && i < 16; i++) {
        wire_copy (&controls.items[i], "id", held->controls[i].id, sizeof held->controls[i].id);
        held->controls[i].offset = wire_uint (&controls.items[i], "offset", 0);
        held->controls[i].clock = wire_int (&controls.items[i], "clock", 0);
    }
}

static void note_other_log (town_t *self, uint64_t partition, const wire_value_t *log)
{
    if (!self->other_log || !text_is (wire_text (log, "log"), self->other_log))
        return;
    self->other_end[partition] = wire_uint (log, "end", 0);
    wire_list_t controls = wire_list (log, "controls");
    if (controls.count > 0)
        self->other_cut[partition] = wire_uint (&controls.items[controls.count - 1], "offset", 0);
}

static void note_beat (town_t *self, worker_t *worker, const wire_value_t *beat)
{
    memset (worker->held, 0, sizeof worker->held);
    const wire_value_t *metrics = wire_map (beat, "metrics");
    worker->memory = wire_uint (metrics, "memory", 0);
    worker->memory_limit = wire_uint (metrics, "memory_limit", 0);
    wire_list_t partitions = wire_list (beat, "partitions");
    for (uint32_t i = 0; i < partitions.count; i++) {
        const wire_value_t *entry = &partitions.items[i];
        held_t *held = &worker->held[wire_uint (entry, "partition", 0)];
        held->there = true;
        held->epoch = wire_uint (entry, "epoch", 0);
        wire_copy (entry, "state", held->state, sizeof held->state);
        wire_copy (entry, "reason", held->reason, sizeof held->reason);
        wire_list_t logs = wire_list (entry, "logs");
        if (logs.count > 0)
            note_held_log (held, &logs.items[0]);
        for (uint32_t l = 1; l < logs.count; l++)
            note_other_log (self, wire_uint (entry, "partition", 0), &logs.items[l]);
    }
}

static void write_controls (town_t *self)
{
    wire_writer_t *writer = self->writer;
    for (size_t i = 0; i < self->controls; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "id", self->control[i].id);
        wire_field_string (writer, "kind", self->control[i].cut ? "cut" : "load");
        wire_close (writer);
    }
}

static void write_other_log (town_t *self, uint32_t p)
{
    wire_open_map (self->writer);
    wire_field_string (self->writer, "log", self->other_log);
    wire_field_uint (self->writer, "base", self->other_base[p]);
    wire_field_list (self->writer, "controls");
    if (self->other_controls)
        write_controls (self);
    wire_close (self->writer);
    wire_close (self->writer);
}

static void write_order (town_t *self, uint32_t p)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_uint (writer, "partition", p);
    wire_field_uint (writer, "epoch", self->epoch[p]);
    wire_field_list (writer, "logs");
    wire_open_map (writer);
    wire_field_string (writer, "log", PAYMENTS_LOG);
    wire_field_uint (writer, "base", self->base[p]);
    wire_field_list (writer, "controls");
    write_controls (self);
    wire_close (writer);
    wire_close (writer);
    if (self->other_log)
        write_other_log (self, p);
    wire_close (writer);
    wire_close (writer);
}

static void write_orders (town_t *self, int number, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_BEAT_OK, id);
    wire_field_uint (writer, "lease_us", TOWN_LEASE);
    wire_field_uint (writer, "definitions", self->definitions);
    wire_field_uint (writer, "routes", self->routes);
    wire_field_list (writer, "partitions");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        if (self->owner[p] == number)
            write_order (self, p);
    wire_close (writer);
    wire_field_list (writer, "datasets");
    wire_close (writer);
}

static void write_routes (town_t *self, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_ROUTES_OK, id);
    wire_field_uint (writer, "version", self->routes);
    wire_field_uint (writer, "partitions", PARTITIONS);
    wire_field_list (writer, "owners");
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        if (self->owner[p] < 0)
            continue;
        wire_open_map (writer);
        wire_field_uint (writer, "partition", p);
        wire_field_string (writer, "endpoint", self->worker[self->owner[p]].endpoint);
        wire_field_uint (writer, "epoch", self->epoch[p]);
        wire_close (writer);
    }
    wire_close (writer);
    wire_field_list (writer, "serving");
    wire_close (writer);
    wire_field_list (writer, "speed");
    wire_close (writer);
}

/* Gives the worker what stands in the writer. */
static void give (town_t *self, unsigned number, const peer_t *from)
{
    const void *data;
    size_t size;
    cr_assert (wire_end (self->writer, &data, &size));
    speed_core_receive (self->worker[number].core, from, data, size);
}

static void coordinate (town_t *self, unsigned number, const message_t *message)
{
    peer_t coordinator = peer_of_endpoint (COORDINATOR);
    switch (message->kind) {
    case MESSAGE_BEAT:
        note_beat (self, &self->worker[number], message->body);
        write_orders (self, (int)number, message->id);
        break;
    case MESSAGE_DEFINITIONS:
        if (self->hold_definitions)
            return;
        wire_begin (self->writer, MESSAGE_DEFINITIONS_OK, message->id);
        if (self->write_definitions)
            self->write_definitions (self->writer, self->definitions);
        else
            payments_write_definitions (self->writer, self->definitions);
        break;
    case MESSAGE_ROUTES:
        write_routes (self, message->id);
        break;
    default:
        cr_assert_fail ("a worker asks the coordinator for %s", message_word (message->kind));
    }
    give (self, number, &coordinator);
}

/* ---- the network ---- */

static void keep_reply (town_t *self, const rig_message_t *sent)
{
    reply_t *reply = mem_alloc (sizeof *reply + sent->size);
    reply->next = NULL;
    reply->size = sent->size;
    memcpy (reply->data, sent->data, sent->size);
    cr_assert (wire_peek (sent->data, sent->size, &reply->kind, &reply->id));
    reply_t **last = &self->replies;
    while (*last)
        last = &(*last)->next;
    *last = reply;
}

static int worker_called (const town_t *self, const peer_t *peer)
{
    for (int i = 0; i < WORKERS; i++) {
        if (!self->worker[i].core)
            continue;
        peer_t endpoint = rig_incoming (self->worker[i].endpoint);
        endpoint.incoming = peer->incoming;
        if (peer_equal (peer, &endpoint))
            return i;
    }
    return -1;
}

static void deliver (town_t *self, unsigned from, const rig_message_t *sent)
{
    peer_t coordinator = peer_of_endpoint (COORDINATOR);
    message_t message;
    error_t error;
    status_t status = wire_decode (self->decoder, sent->data, sent->size, &message, &error);
    cr_assert_eq (status, STATUS_OK, "what a worker sends is refused: %s", error.text);
    if (peer_equal (&sent->to, &coordinator)) {
        if (!self->worker[from].cut_off)
            coordinate (self, from, &message);
        return;
    }
    int to = worker_called (self, &sent->to);
    if (to < 0) {
        keep_reply (self, sent);
        return;
    }
    /* a request arrives with a return address; a reply, from the endpoint that was asked */
    peer_t sender = sent->to.incoming ? peer_of_endpoint (self->worker[from].endpoint)
                                      : rig_incoming (self->worker[from].endpoint);
    if (!self->worker[to].deaf && !self->worker[to].stopped && self->worker[to].core)
        speed_core_receive (self->worker[to].core, &sender, sent->data, sent->size);
}

static bool step (town_t *self, unsigned number)
{
    worker_t *worker = &self->worker[number];
    bool any = false;
    rig_message_t *sent;
    if (!worker->core || worker->stopped)
        return false;
    speed_core_tick (worker->core);
    while ((sent = rig_env_take (&worker->rig)) != NULL) {
        deliver (self, number, sent);
        rig_message_free (&sent);
        any = true;
    }
    job_t *job = worker->hold_jobs ? NULL : rig_env_run (&worker->rig);
    if (job)
        speed_core_job_done (worker->core, job);
    return any || job;
}

void town_run (town_t *self)
{
    bool any = true;
    for (int rounds = 0; any; rounds++) {
        cr_assert_lt (rounds, 10000, "it does not come to rest");
        any = false;
        for (unsigned i = 0; i < WORKERS; i++)
            any = step (self, i) || any;
    }
}

void town_steps (town_t *self, uint64_t rounds)
{
    bool any = true;
    for (uint64_t i = 0; i < rounds && any; i++) {
        any = false;
        for (unsigned w = 0; w < WORKERS; w++)
            any = step (self, w) || any;
    }
}

void town_pass (town_t *self, int64_t time_us)
{
    while (time_us > 0) {
        int64_t some = time_us < 100 * TIME_MS ? time_us : 100 * TIME_MS;
        for (unsigned i = 0; i < WORKERS; i++)
            rig_env_pass (&self->worker[i].rig, some);
        time_us -= some;
        town_run (self);
    }
}

bool town_is (const town_t *self, uint32_t partition, const char *state)
{
    int owner = self->owner[partition];
    if (owner < 0)
        return false;
    const held_t *held = &self->worker[owner].held[partition];
    return held->there && held->epoch == self->epoch[partition] && strcmp (held->state, state) == 0;
}

/* ---- the client ---- */

void town_tell (town_t *self, unsigned worker)
{
    peer_t client = rig_incoming ("client");
    give (self, worker, &client);
}

bool town_answered (const town_t *self)
{
    return self->replies != NULL;
}

message_t town_reply (town_t *self, message_kind_t kind)
{
    static uint8_t *kept; /* what the decoder borrows from */
    reply_t *reply = self->replies;
    cr_assert_not_null (reply, "no reply, but %s was expected", message_word (kind));
    self->replies = reply->next;
    mem_free (kept);
    kept = mem_alloc (reply->size);
    memcpy (kept, reply->data, reply->size);
    message_t message;
    error_t error;
    status_t status = wire_decode (self->decoder, kept, reply->size, &message, &error);
    mem_free (reply);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    if (message.kind != kind && message.kind == MESSAGE_ERROR)
        cr_assert_fail ("%s expected, but: " TEXT_FORMAT, message_word (kind),
                        TEXT_ARGS (wire_text (message.body, "text")));
    cr_assert_eq (message.kind, kind, "%s", message_word (message.kind));
    return message;
}

void town_expect_error (town_t *self, status_t status, const char *part_of_text)
{
    message_t message = town_reply (self, MESSAGE_ERROR);
    char text[2048];
    wire_copy (message.body, "text", text, sizeof text);
    cr_assert (text_is (wire_text (message.body, "status"), status_word (status)),
               TEXT_FORMAT ": %s", TEXT_ARGS (wire_text (message.body, "status")), text);
    cr_assert_not_null (strstr (text, part_of_text), "%s", text);
}

static void write_row (wire_writer_t *writer, const payment_t *payment)
{
    wire_open_list (writer);
    wire_put_string (writer, payments_user (payment->user));
    if (payment->no_amount)
        wire_put_nil (writer);
    else
        wire_put_float (writer, payment->amount);
    wire_put_int (writer, payment->items);
    wire_put_int (writer, payment->time);
    wire_close (writer);
}

uint64_t town_write_send (town_t *self, const payment_t *payments, size_t count, uint64_t sequence)
{
    wire_writer_t *writer = self->writer;
    uint64_t id = self->next_id++;
    wire_begin (writer, MESSAGE_SEND, id);
    wire_field_string (writer, "stream", "payments");
    wire_field_bin (writer, "producer", (text_t){ (const char *)self->producer, PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", sequence);
    wire_field_uint (writer, "oldest", self->oldest > 0 ? self->oldest : sequence);
    if (self->resumed)
        wire_field_bool (writer, "resumed", true);
    wire_field_list (writer, "columns");
    wire_put_string (writer, "user");
    wire_put_string (writer, "amount");
    wire_put_string (writer, "items");
    wire_put_string (writer, "ts");
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (size_t i = 0; i < count; i++)
        write_row (writer, &payments[i]);
    wire_close (writer);
    return id;
}

uint64_t town_send (town_t *self, unsigned worker, const payment_t *payments, size_t count,
                    uint64_t sequence)
{
    uint64_t id = town_write_send (self, payments, count, sequence);
    town_tell (self, worker);
    return id;
}

static uint64_t position_of (const message_t *sent_ok, uint32_t partition)
{
    const wire_value_t *positions = wire_map (sent_ok->body, "positions");
    char name[64];
    snprintf (name, sizeof name, PAYMENTS_LOG "/%u", partition);
    return wire_uint (positions, name, UINT64_MAX);
}

void town_note (town_t *self, const message_t *sent_ok, const payment_t *payments, size_t count)
{
    cr_assert_eq (wire_uint (sent_ok->body, "accepted", 0), count);
    self->accepted =
        mem_resize (self->accepted, self->accepted_count + count, sizeof *self->accepted);
    uint64_t next[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        next[p] = position_of (sent_ok, p);
        for (size_t i = 0; i < count; i++)
            next[p] -= payments[i].partition == p;
    }
    for (size_t i = 0; i < count; i++) {
        payment_t *noted = &self->accepted[self->accepted_count++];
        *noted = payments[i];
        noted->offset = next[noted->partition]++;
    }
}

void town_add (town_t *self, unsigned worker, size_t count)
{
    payment_t payments[BATCH_MAX];
    cr_assert_leq (count, BATCH_MAX);
    for (size_t i = 0; i < count; i++)
        payments[i] =
            payments_random (&self->random, self->worker[0].rig.clock, 3 * TIME_HOUR, PARTITIONS);
    uint64_t id = town_send (self, worker, payments, count, ++self->sequence);
    town_run (self);
    message_t message = town_reply (self, MESSAGE_SEND_OK);
    cr_assert_eq (message.id, id);
    town_note (self, &message, payments, count);
}
