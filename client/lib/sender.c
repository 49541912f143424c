/* sender.c - batches of events, several under way, each until it is acknowledged.
 *
 * Slots are a ring by sequence: a sequence is sent only when the one `slots_count` before it is
 * acknowledged, so that all that is unacknowledged fits the window in which the owners tell
 * sequences apart. */
#include "client/lib/session.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"
#include "transport/probe.h"

#include <inttypes.h>
#include <sys/random.h>
#include <time.h>

enum {
    SENDER_MAGIC = 0x73656e64,
    DEFAULT_UNACKNOWLEDGED = 16,
    DEFAULT_PATIENCE_MS = 60000,
    DEFAULT_ANSWER_MS = 6000, /* longer than a speed worker takes to give up itself */
    BACKOFF_FIRST_MS = 20,
    BACKOFF_MAX_MS = 2000,
    ASKED_MAX_MS = 30000, /* longer than that nobody waits because a worker says so */
    BUSY_PATIENCE = 10,   /* times as long as others one waits for those who say that they are */
    WAIT_MAX_MS = 60000,
    PROBE_EVERY_MS = 200, /* while batches are under way: so soon a worker that died is noticed */
    RECOGNIZE_MS = 1000,  /* for a worker to say which cluster it is of */
};

/* A speed worker, as it looks from here. */
typedef struct worker {
    int64_t probed_ms;
    int64_t bad_until_ms; /* it is passed over until then */
} worker_t;

typedef struct slot {
    bool used;
    bool under_way; /* sent, and not answered */
    uint64_t sequence;
    uint64_t id;
    uint64_t tag;
    uint32_t rows;
    uint32_t tries;
    size_t worker;  /* that it was sent to last */
    int64_t due_ms; /* when it is (next) to be sent, or sent again for want of an answer */
    buf_t bytes;    /* the message */
} slot_t;

struct client_sender {
    uint32_t magic;
    client_t *weir;
    client_sender_options_t options;
    char *stream;
    worker_t *workers; /* as many as there are endpoints of speed workers */
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

static status_t no_worker (client_t *weir, const endpoints_t *workers, error_t *error)
{
    weir->unreachable = true;
    return error_set (error, STATUS_UNAVAILABLE,
                      "cannot reach a speed worker at %s%s: is the cluster up? start it with "
                      "`weir up -d`",
                      workers->items[0], workers->count > 1 ? " or the others" : "");
}

/* Is anybody there at all? */
static status_t find_worker (client_t *weir, error_t *error)
{
    endpoints_t *workers;
    status_t status = session_start (weir, error);
    if (status == STATUS_OK)
        status = session_endpoints (weir, CLIENT_SPEED, &workers, error);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < workers->count; i++)
        if (endpoint_may_answer (workers->items[i])) {
            status = session_recognize (weir, workers, i, RECOGNIZE_MS, error);
            return weir->foreign ? status : STATUS_OK; /* who is slow may still come to it */
        }
    return no_worker (weir, workers, error);
}

status_t client_sender_new (client_t *weir, const client_sender_options_t *options,
                            client_sender_t **sender, error_t *error)
{
    CHECK (options->unacknowledged <= CLIENT_UNACKNOWLEDGED_MAX);
    CHECK (options->first_sequence > 0);
    *sender = NULL;
    weir->unreachable = false;
    weir->foreign = false;
    status_t status = find_worker (weir, error);
    if (status != STATUS_OK)
        return status;
    client_sender_t *self = mem_zero (1, sizeof *self);
    self->magic = SENDER_MAGIC;
    self->weir = weir;
    self->options = *options;
    self->stream = mem_string (options->stream);
    self->workers = mem_zero (weir->roles[CLIENT_SPEED].count, sizeof *self->workers);
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
    error_set (&self->complaint, STATUS_TIMEOUT, "no speed worker answers");
    *sender = self;
    return STATUS_OK;
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
    mem_free (self->workers);
    self->magic = 0;
    mem_free (self);
}

static status_t fail (client_sender_t *self, const error_t *error)
{
    if (self->failed == STATUS_OK) {
        self->failed = error->status;
        self->failure = *error;
    }
    return self->failed;
}

static status_t outcome (const client_sender_t *self, error_t *error)
{
    return self->failed == STATUS_OK ? STATUS_OK
                                     : error_set (error, self->failed, "%s", self->failure.text);
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
    wire_writer_t *writer = self->weir->own_writer;
    const void *data;
    size_t size;
    slot->id = self->weir->next_id++;
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
    uint32_t shift = slot->tries < 7 ? slot->tries : 7;
    uint64_t wait = (uint64_t)BACKOFF_FIRST_MS << shift;
    if (wait > BACKOFF_MAX_MS)
        wait = BACKOFF_MAX_MS;
    if (asked_ms > wait)
        wait = asked_ms < ASKED_MAX_MS ? asked_ms : ASKED_MAX_MS;
    wait += random_below (&self->jitter, wait / 2 + 1);
    slot->tries++;
    slot->under_way = false;
    slot->due_ms = now + (int64_t)wait;
}

/* What is under way to a worker will not be answered. */
static void lose (client_sender_t *self, size_t at, int64_t now)
{
    for (uint32_t i = 0; i < self->options.unacknowledged; i++)
        if (self->slots[i].used && self->slots[i].under_way && self->slots[i].worker == at)
            try_again (self, &self->slots[i], now, 0);
}

/* Is it worth sending to? Looked at again every now and then. What is under way to one that has
 * just gone is due elsewhere. */
static bool is_good (client_sender_t *self, size_t at, int64_t now)
{
    worker_t *worker = &self->workers[at];
    if (now - worker->probed_ms >= PROBE_EVERY_MS) {
        worker->probed_ms = now;
        peer_t peer = peer_of_endpoint (self->weir->roles[CLIENT_SPEED].items[at]);
        if (transport_broke (self->weir->transport, &peer))
            lose (self, at, now);
        if (!endpoint_may_answer (self->weir->roles[CLIENT_SPEED].items[at])) {
            worker->bad_until_ms = now + PROBE_EVERY_MS + 1; /* until it is looked at again */
            lose (self, at, now);
        }
    }
    if (worker->bad_until_ms > now)
        return false;
    error_t error;
    if (session_recognize (self->weir, &self->weir->roles[CLIENT_SPEED], at, RECOGNIZE_MS,
                           &error) == STATUS_OK)
        return true;
    worker->bad_until_ms = now + PROBE_EVERY_MS + 1;
    if (self->weir->foreign)
        (void)fail (self, &error);
    return false;
}

static void transmit (client_sender_t *self, slot_t *slot, int64_t now)
{
    const endpoints_t *endpoints = &self->weir->roles[CLIENT_SPEED];
    size_t at = (size_t)((slot->sequence + slot->tries) % endpoints->count), tried = 0;
    for (; tried < endpoints->count && !is_good (self, at, now); tried++)
        at = (at + 1) % endpoints->count;
    if (tried == endpoints->count) {
        try_again (self, slot, now, 0);
        return;
    }
    peer_t peer = peer_of_endpoint (endpoints->items[at]);
    transport_send (self->weir->transport, &peer, slot->bytes.data, slot->bytes.size);
    slot->worker = at;
    slot->under_way = true;
    slot->due_ms = now + self->options.answer_ms;
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
                                   .refused = wire_list (message->body, "refused") };
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

static void take_reply (client_sender_t *self, const void *data, size_t size)
{
    message_t message;
    error_t error;
    if (wire_decode (self->weir->decoder, data, size, &message, &error) != STATUS_OK)
        return; /* the batch is sent again when its time is up */
    slot_t *slot = slot_of_id (self, message.id);
    if (!slot)
        return; /* the answer to an earlier try, or to none of ours */
    if (message.kind == MESSAGE_SEND_OK) {
        acknowledge (self, slot, &message);
        return;
    }
    if (message.kind != MESSAGE_ERROR)
        return;
    status_t status = session_told (&message, &error);
    if (status == STATUS_DENIED && session_rekey (self->weir, true))
        status = STATUS_UNAVAILABLE; /* by the key that we had */
    if (is_passing (status)) {
        self->complaint = error;
        if (has_no_room (status))
            self->busy_ms = session_now_ms ();
        if (!slot->under_way)
            return;
        int64_t now = session_now_ms ();
        try_again (self, slot, now, error.retry_ms);
        if (has_no_room (status) && self->options.waits)
            self->options.waits (self->options.arg, (uint32_t)(slot->due_ms - now), error.text);
    } else {
        (void)fail (self, &error);
    }
}

/* Sends what is due; returns how long nothing else will be, ms. */
static int64_t send_due (client_sender_t *self)
{
    int64_t now = session_now_ms ();
    int64_t next = now + PROBE_EVERY_MS;
    for (uint32_t i = 0; i < self->options.unacknowledged; i++) {
        slot_t *slot = &self->slots[i];
        if (!slot->used)
            continue;
        if (slot->under_way)
            (void)is_good (self, slot->worker, now);
        if (slot->due_ms <= now && slot->under_way) {
            /* it is there and says nothing: others first, for as long as this has taken */
            self->workers[slot->worker].bad_until_ms = now + self->options.answer_ms;
            try_again (self, slot, now, 0);
        }
        if (slot->due_ms <= now)
            transmit (self, slot, now);
        if (slot->due_ms < next)
            next = slot->due_ms;
    }
    return next - now;
}

/* With other keys every connection may be another. */
static void take_keys (client_sender_t *self)
{
    if (!session_rekey (self->weir, false))
        return;
    for (size_t at = 0; at < self->weir->roles[CLIENT_SPEED].count; at++)
        lose (self, at, session_now_ms ());
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
    self->weir->unreachable = true;
    return fail (self, &error);
}

status_t client_sender_pump (client_sender_t *self, int wait_ms, error_t *error)
{
    CHECK_OBJECT (self, SENDER_MAGIC);
    peer_t from;
    const void *data;
    size_t size;
    take_keys (self);
    int64_t quiet = send_due (self);
    if (quiet < wait_ms)
        wait_ms = (int)(quiet > 0 ? quiet : 0);
    if (self->slots_used == 0)
        wait_ms = 0;
    transport_poll (self->weir->transport, wait_ms, NULL, 0, NULL);
    while (transport_receive (self->weir->transport, &from, &data, &size))
        take_reply (self, data, size);
    if (self->failed == STATUS_OK)
        (void)check_patience (self);
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
