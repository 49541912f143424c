/* sender.c - batches of events, several under way, each until it is acknowledged.
 *
 * Slots are a ring by sequence: a sequence is sent only when the one `slots_count` before it is
 * acknowledged, so that all that is unacknowledged fits the window in which the owners tell
 * sequences apart. */
#include "client/lib/nodes.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

#include <inttypes.h>
#include <sys/random.h>
#include <time.h>

enum {
    SENDER_MAGIC = 0x73656e64,
    DEFAULT_UNACKNOWLEDGED = 16,
    DEFAULT_PATIENCE_MS = 60000,
    DEFAULT_ANSWER_MS = 6000, /* longer than a speed worker takes to give up itself */
    BUSY_PATIENCE = 10, /* times as long as others one waits for those who say that they are */
    WAIT_MAX_MS = 60000,
    LOOK_MS = 50, /* while a worker is looked for */
};

typedef struct slot {
    bool used;
    bool under_way; /* sent, and not answered */
    uint64_t sequence;
    uint64_t id;
    uint64_t tag;
    uint32_t rows;
    uint32_t tries;
    size_t worker;   /* that it was sent to last … */
    uint32_t losses; /* … and what had been lost there until then */
    int64_t sent_ms;
    int64_t due_ms; /* when it is (next) to be sent, or sent again for want of an answer */
    buf_t bytes;    /* the message */
} slot_t;

struct client_sender {
    party_t party; /* first: a party is its sender */
    uint32_t magic;
    client_t *client;
    client_sender_options_t options;
    char *stream;
    uint64_t next_sequence;
    slot_t slots[CLIENT_UNACKNOWLEDGED_MAX];
    uint32_t slots_used;
    int64_t progress_ms; /* when something was acknowledged last, or the sender was idle */
    int64_t busy_ms;     /* when a worker said last that it has no room */
    random_t jitter;
    status_t failed;
    error_t failure;   /* what ended it */
    error_t complaint; /* the last reason to try again */
};

static int64_t step (party_t *party, int64_t now);
static bool take (party_t *party, const message_t *message);
static bool spoiled (party_t *party, uint64_t id, const error_t *error);

void client_producer_new (uint8_t producer[CLIENT_PRODUCER_SIZE])
{
    struct timespec now;
    CHECK (clock_gettime (CLOCK_REALTIME, &now) == 0);
    uint64_t time = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    for (size_t i = 0; i < sizeof time; i++)
        producer[i] = (uint8_t)(time >> (56 - 8 * i));
    CHECK (getrandom (producer + sizeof time, CLIENT_PRODUCER_SIZE - sizeof time, 0) ==
           CLIENT_PRODUCER_SIZE - sizeof time);
}

/* ---- making and ending ---- */

static status_t outcome (const client_sender_t *self, error_t *error)
{
    return self->failed == STATUS_OK ? STATUS_OK
                                     : error_set (error, self->failed, "%s", self->failure.text);
}

/* Is anybody there at all? Who is slow may still come to it. */
static status_t find_worker (client_t *client, error_t *error)
{
    int64_t deadline = session_now_ms () + CLIENT_TIMEOUT_MS;
    status_t status = session_pump (client, 0, error);
    while (status == STATUS_OK) {
        int64_t now = session_now_ms ();
        for (size_t at = 0; at < client->roles[CLIENT_SPEED].count; at++)
            if (nodes_look (client, CLIENT_SPEED, at, now) == NODE_GOOD)
                return STATUS_OK;
        status = nodes_nobody (client, CLIENT_SPEED, now, error);
        if (status == STATUS_OK && now >= deadline)
            return error_set (error, STATUS_TIMEOUT, "the coordinator does not answer");
        if (status == STATUS_OK)
            status = session_pump (client, LOOK_MS, error);
        else if (client->roles[CLIENT_SPEED].count > 0 && status != STATUS_UNAVAILABLE)
            return client->foreign ? status : STATUS_OK;
    }
    return status;
}

client_sender_t *client_sender_begin (client_t *client, const client_sender_options_t *options)
{
    CHECK (options->unacknowledged <= CLIENT_UNACKNOWLEDGED_MAX);
    CHECK (options->first_sequence > 0);
    client_sender_t *self = mem_zero (1, sizeof *self);
    self->party = (party_t){ .step = step, .take = take, .spoiled = spoiled };
    self->magic = SENDER_MAGIC;
    self->client = client;
    self->options = *options;
    self->stream = mem_string (options->stream);
    if (self->options.unacknowledged == 0)
        self->options.unacknowledged = DEFAULT_UNACKNOWLEDGED;
    if (self->options.patience_ms == 0)
        self->options.patience_ms = DEFAULT_PATIENCE_MS;
    if (self->options.answer_ms == 0)
        self->options.answer_ms = DEFAULT_ANSWER_MS;
    self->next_sequence = options->first_sequence;
    self->progress_ms = session_now_ms ();
    random_seed (&self->jitter, (uint64_t)self->progress_ms);
    for (uint32_t i = 0; i < self->options.unacknowledged; i++)
        buf_init (&self->slots[i].bytes, WIRE_MESSAGE_MAX);
    (void)error_set (&self->complaint, STATUS_TIMEOUT, "no speed worker answers");
    session_join (client, &self->party);
    return self;
}

status_t client_sender_new (client_t *client, const client_sender_options_t *options,
                            client_sender_t **sender, error_t *error)
{
    *sender = NULL;
    client->unreachable = false;
    client->foreign = false;
    status_t status = find_worker (client, error);
    if (status == STATUS_OK)
        *sender = client_sender_begin (client, options);
    return status;
}

void client_sender_destroy (client_sender_t **self_p)
{
    client_sender_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, SENDER_MAGIC);
    for (uint32_t i = 0; i < self->options.unacknowledged; i++)
        buf_release (&self->slots[i].bytes);
    mem_free (self->stream);
    session_leave (self->client, &self->party);
    self->magic = 0;
    mem_free (self);
}

static status_t fail (client_sender_t *self, const error_t *error)
{
    if (self->failed == STATUS_OK) {
        self->failed = error->status;
        self->failure = *error;
        self->client->ended = true;
    }
    return self->failed;
}

/* ---- encoding ---- */

static void put_raw (wire_writer_t *writer, const raw_t *raw)
{
    switch (raw->kind) {
    case RAW_NULL:
        wire_put_nil (writer);
        break;
    case RAW_BOOL:
        wire_put_bool (writer, raw->i != 0);
        break;
    case RAW_INT:
        wire_put_int (writer, raw->i);
        break;
    case RAW_FLOAT:
        wire_put_float (writer, raw->f);
        break;
    case RAW_TEXT:
        wire_put_text (writer, raw->s);
        break;
    case RAW_OTHER: /* what no field takes either, so that the row is refused where all are */
        wire_open_list (writer);
        wire_close (writer);
        break;
    }
}

/* The oldest sequence that is not acknowledged: that of `slot`, which is to be the newest, or an
 * earlier one. When the batch is sent again it may be a later one, and what was said stays true. */
static uint64_t oldest_sequence (const client_sender_t *self, const slot_t *slot)
{
    uint64_t oldest = slot->sequence;
    for (uint32_t i = 0; i < self->options.unacknowledged; i++)
        if (self->slots[i].used && self->slots[i].sequence < oldest)
            oldest = self->slots[i].sequence;
    return oldest;
}

static bool encode (client_sender_t *self, const raw_table_t *rows, slot_t *slot)
{
    wire_writer_t *writer = self->client->own_writer;
    const void *data;
    size_t size;
    slot->id = self->client->next_id++;
    wire_begin (writer, MESSAGE_SEND, slot->id);
    wire_field_string (writer, "stream", self->stream);
    wire_field_bin (writer, "producer",
                    (text_t){ (const char *)self->options.producer, CLIENT_PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", slot->sequence);
    wire_field_uint (writer, "oldest", oldest_sequence (self, slot));
    if (self->options.resumed)
        wire_field_bool (writer, "resumed", true);
    wire_field_list (writer, "columns");
    for (size_t c = 0; c < rows->columns_count; c++)
        wire_put_text (writer, rows->columns[c]);
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (size_t r = 0; r < rows->rows; r++) {
        wire_open_list (writer);
        for (size_t c = 0; c < rows->columns_count; c++)
            put_raw (writer, &rows->cells[r * rows->columns_count + c]);
        wire_close (writer);
    }
    wire_close (writer);
    if (!wire_end (writer, &data, &size))
        return false;
    buf_clear (&slot->bytes);
    buf_put (&slot->bytes, data, size);
    return !slot->bytes.bad;
}

/* ---- sending and answers ---- */

/* After a wait that doubles, or that a worker asked for if that is longer, with jitter: and to the
 * next worker. */
static void try_again (client_sender_t *self, slot_t *slot, int64_t now, uint64_t asked_ms)
{
    slot->due_ms = now + session_backoff (&self->jitter, slot->tries++, asked_ms);
    slot->under_way = false;
}

/* No worker is good just now. */
static void find_none (client_sender_t *self, slot_t *slot, int64_t now)
{
    error_t error;
    status_t status = nodes_nobody (self->client, CLIENT_SPEED, now, &error);
    if (status == STATUS_OK) {
        slot->due_ms = now; /* one is being found out */
    } else if (self->client->foreign) {
        (void)fail (self, &error);
    } else {
        self->complaint = error;
        try_again (self, slot, now, 0);
    }
}

static void transmit (client_sender_t *self, slot_t *slot, int64_t now)
{
    const endpoints_t *endpoints = &self->client->roles[CLIENT_SPEED];
    size_t first = (size_t)(slot->sequence + slot->tries);
    for (size_t i = 0; i < endpoints->count; i++) {
        size_t at = (first + i) % endpoints->count;
        if (nodes_look (self->client, CLIENT_SPEED, at, now) != NODE_GOOD)
            continue;
        peer_t peer = peer_of_endpoint (endpoints->items[at]);
        transport_send (self->client->transport, &peer, slot->bytes.data, slot->bytes.size);
        slot->worker = at;
        slot->losses = nodes_losses (self->client, CLIENT_SPEED, at);
        slot->under_way = true;
        slot->sent_ms = now;
        slot->due_ms = now + self->options.answer_ms;
        return;
    }
    find_none (self, slot, now);
}

static slot_t *slot_of_id (client_sender_t *self, uint64_t id)
{
    for (uint32_t i = 0; i < self->options.unacknowledged; i++)
        if (self->slots[i].used && self->slots[i].id == id)
            return &self->slots[i];
    return NULL;
}

static void acknowledge (client_sender_t *self, slot_t *slot, const message_t *message)
{
    client_acknowledged_t what = { .sequence = slot->sequence,
                                   .tag = slot->tag,
                                   .rows = slot->rows,
                                   .accepted = wire_uint (message->body, "accepted", 0),
                                   .refused_count = wire_uint (message->body, "refused_count", 0),
                                   .refused = wire_list (message->body, "refused"),
                                   .positions = wire_map (message->body, "positions") };
    slot->used = false;
    self->slots_used--;
    self->progress_ms = session_now_ms ();
    if (self->options.acknowledged)
        self->options.acknowledged (self->options.arg, &what);
}

static bool has_no_room (status_t status)
{
    return status == STATUS_BUSY || status == STATUS_NO_SPACE;
}

static bool is_passing (status_t status)
{
    return has_no_room (status) || status == STATUS_UNAVAILABLE || status == STATUS_TIMEOUT ||
           status == STATUS_FENCED || status == STATUS_STALE;
}

static void take_error (client_sender_t *self, slot_t *slot, const message_t *message)
{
    error_t error;
    status_t status = session_told (message, &error);
    if (status == STATUS_DENIED && session_rekey (self->client, true)) {
        nodes_rekeyed (self->client);
        status = STATUS_UNAVAILABLE; /* by the key that we had */
    }
    if (!is_passing (status)) {
        (void)fail (self, &error);
        return;
    }
    int64_t now = session_now_ms ();
    self->complaint = error;
    if (has_no_room (status))
        self->busy_ms = now;
    if (!slot->under_way)
        return;
    try_again (self, slot, now, error.retry_ms);
    if (has_no_room (status) && self->options.waits)
        self->options.waits (self->options.arg, (uint32_t)(slot->due_ms - now), error.text);
}

static bool take (party_t *party, const message_t *message)
{
    client_sender_t *self = (client_sender_t *)party;
    slot_t *slot = slot_of_id (self, message->id);
    if (!slot)
        return false; /* the answer to an earlier try, or to none of ours */
    if (slot->under_way)
        nodes_heard (self->client, CLIENT_SPEED, slot->worker, session_now_ms ());
    if (message->kind == MESSAGE_SEND_OK)
        acknowledge (self, slot, message);
    else if (message->kind == MESSAGE_ERROR)
        take_error (self, slot, message);
    return true;
}

/* The batch is sent again when its time is up. */
static bool spoiled (party_t *party, uint64_t id, const error_t *error)
{
    (void)error;
    return slot_of_id ((client_sender_t *)party, id) != NULL;
}

static status_t check_patience (client_sender_t *self)
{
    int64_t now = session_now_ms (), waited = now - self->progress_ms;
    int64_t patience = self->options.patience_ms;
    if (self->slots_used == 0 || waited < patience)
        return STATUS_OK;
    if (self->busy_ms > 0 && now - self->busy_ms < patience && waited < BUSY_PATIENCE * patience)
        return STATUS_OK; /* they are there, and say when there will be room */
    error_t error;
    error_set (&error, STATUS_UNAVAILABLE, "%u batches were not acknowledged for %" PRId64 " s: %s",
               self->slots_used, waited / 1000, self->complaint.text);
    self->client->unreachable = true;
    return fail (self, &error);
}

static void step_slot (client_sender_t *self, slot_t *slot, int64_t now)
{
    if (slot->under_way) {
        nodes_watch (self->client, CLIENT_SPEED, slot->worker, slot->sent_ms, now);
        if (nodes_losses (self->client, CLIENT_SPEED, slot->worker) != slot->losses)
            try_again (self, slot, now, 0); /* what is under way to it will not be answered */
    }
    if (slot->due_ms <= now && slot->under_way) {
        /* it is there and says nothing: others first, for as long as this has taken */
        nodes_silent (self->client, CLIENT_SPEED, slot->worker, now + self->options.answer_ms);
        try_again (self, slot, now, 0);
    }
    if (slot->due_ms <= now)
        transmit (self, slot, now);
}

/* Sends what is due. */
static int64_t step (party_t *party, int64_t now)
{
    client_sender_t *self = (client_sender_t *)party;
    CHECK_OBJECT (self, SENDER_MAGIC);
    int64_t next = now + (self->slots_used > 0 ? NODES_LOOK_MS : NODES_NEVER_MS);
    for (uint32_t i = 0; i < self->options.unacknowledged && self->failed == STATUS_OK; i++) {
        slot_t *slot = &self->slots[i];
        if (!slot->used)
            continue;
        step_slot (self, slot, now);
        if (slot->due_ms > now && slot->due_ms < next)
            next = slot->due_ms;
    }
    if (self->failed == STATUS_OK)
        (void)check_patience (self);
    return next;
}

bool client_sender_has_room (const client_sender_t *self)
{
    CHECK_OBJECT (self, SENDER_MAGIC);
    return !self->slots[self->next_sequence % self->options.unacknowledged].used;
}

uint32_t client_sender_under_way (const client_sender_t *self)
{
    CHECK_OBJECT (self, SENDER_MAGIC);
    return self->slots_used;
}

status_t client_sender_state (const client_sender_t *self, error_t *error)
{
    CHECK_OBJECT (self, SENDER_MAGIC);
    return outcome (self, error);
}

status_t client_sender_pump (client_sender_t *self, int wait_ms, error_t *error)
{
    CHECK_OBJECT (self, SENDER_MAGIC);
    status_t status = session_pump (self->client, self->slots_used > 0 ? wait_ms : 0, error);
    if (status != STATUS_OK)
        return status;
    if (self->failed == STATUS_OK && self->options.stopped &&
        self->options.stopped (self->options.arg))
        return error_set (error, STATUS_CANCELLED, "stopped");
    return outcome (self, error);
}

status_t client_sender_send (client_sender_t *self, const raw_table_t *rows, uint64_t tag,
                             error_t *error)
{
    CHECK_OBJECT (self, SENDER_MAGIC);
    slot_t *slot = &self->slots[self->next_sequence % self->options.unacknowledged];
    status_t status = client_sender_pump (self, 0, error);
    while (status == STATUS_OK && slot->used)
        status = client_sender_pump (self, WAIT_MAX_MS, error);
    if (status != STATUS_OK)
        return status;
    if (rows->rows == 0 || rows->rows * rows->columns_count > WIRE_CELLS_MAX)
        return error_set (error, STATUS_INVALID,
                          "a batch has at least one row and at most %d values", WIRE_CELLS_MAX);
    slot->sequence = self->next_sequence;
    if (!encode (self, rows, slot))
        return error_set (error, STATUS_TOO_LARGE, "a batch is over the limit of a message");
    if (self->slots_used == 0)
        self->progress_ms = session_now_ms ();
    self->next_sequence++;
    slot->used = true;
    slot->tag = tag;
    slot->rows = (uint32_t)rows->rows;
    slot->tries = 0;
    slot->under_way = false;
    self->slots_used++;
    transmit (self, slot, session_now_ms ());
    return STATUS_OK;
}

status_t client_sender_flush (client_sender_t *self, error_t *error)
{
    status_t status = outcome (self, error);
    while (status == STATUS_OK && self->slots_used > 0)
        status = client_sender_pump (self, WAIT_MAX_MS, error);
    return status;
}
