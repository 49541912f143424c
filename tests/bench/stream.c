#include "tests/bench/stream.h"

#include "base/mem.h"
#include "tests/bench/measure.h"
#include "tests/bench/talk.h"

#include <string.h>

/* A batch under way, made once and sent again with other numbers and times. */
typedef struct slot {
    batch_request_t request;
    uint64_t sequence; /* in it */
    int64_t time_us;   /* of its first event */
    bool busy;         /* to be sent again as it is */
    bool under_way;    /* sent, and not answered */
} slot_t;

typedef struct stream {
    producer_t *producer;
    wire_decoder_t *decoder;
    slot_t *slots;
    uint64_t rows, in_flight, rate;
    int64_t start, end; /* ns */
    uint64_t sent, under_way, acknowledged, put_off;
} stream_t;

static void put_number (uint8_t bytes[8], uint64_t number)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

/* A number that takes 8 bytes after its type, wherever it stands in the message. */
static void patch (batch_request_t *request, uint64_t from, uint64_t to)
{
    uint8_t old[8], new[8];
    put_number (old, from);
    put_number (new, to);
    uint8_t *at = request->data;
    uint8_t *end = at + request->size;
    while ((at = memmem (at, (size_t)(end - at), old, sizeof old)) != NULL) {
        memcpy (at, new, sizeof new);
        at += sizeof new;
    }
}

static void patch_times (slot_t *slot, uint64_t rows)
{
    int64_t first = producer_now_us () - EVENT_STEP_US * (int64_t)rows;
    uint8_t *at = slot->request.data;
    uint8_t *end = at + slot->request.size;
    for (int64_t i = 0; i < (int64_t)rows; i++) {
        uint8_t old[8];
        put_number (old, (uint64_t)(slot->time_us + EVENT_STEP_US * i));
        at = memmem (at, (size_t)(end - at), old, sizeof old);
        if (at == NULL)
            measure_fail ("an event's time is not where it was");
        put_number (at, (uint64_t)(first + EVENT_STEP_US * i));
        at += sizeof old;
    }
    slot->time_us = first;
}

static void send_slot (stream_t *self, slot_t *slot)
{
    producer_t *producer = self->producer;
    if (!slot->busy) {
        patch (&slot->request, slot->sequence, ++producer->sequence);
        patch (&slot->request, producer_oldest (slot->sequence),
               producer_oldest (producer->sequence));
        slot->sequence = producer->sequence;
        patch_times (slot, self->rows);
        self->sent++;
    }
    slot->busy = false;
    slot->under_way = true;
    self->under_way++;
    talk_send (producer->socket, slot->request.data, slot->request.size, 0);
}

/* Looks at one answer. */
static void take_answer (stream_t *self, zmq_msg_t *message)
{
    message_t decoded;
    error_t error;
    if (wire_decode (self->decoder, zmq_msg_data (message), zmq_msg_size (message), &decoded,
                     &error) != STATUS_OK)
        measure_fail ("an acknowledgement: %s", error.text);
    slot_t *slot = NULL;
    for (uint64_t i = 0; i < self->in_flight; i++)
        if (self->slots[i].sequence == decoded.id)
            slot = &self->slots[i];
    if (slot == NULL)
        measure_fail ("an answer to nothing");
    slot->under_way = false;
    slot->busy =
        decoded.kind == MESSAGE_ERROR && text_is (wire_text (decoded.body, "status"), "busy");
    if (!slot->busy && decoded.kind != MESSAGE_SEND_OK)
        measure_fail ("a batch was refused: " TEXT_FORMAT,
                      TEXT_ARGS (wire_text (decoded.body, "text")));
    self->under_way--;
    self->put_off += slot->busy;
    self->acknowledged += slot->busy ? 0 : self->rows;
}

/* May another batch be sent? Not further than owners tell repeats apart from the oldest that is not
 * acknowledged: it would be refused. */
static bool has_room (const stream_t *self)
{
    uint64_t next = self->producer->sequence + 1, oldest = next;
    for (uint64_t i = 0; i < self->in_flight; i++)
        if ((self->slots[i].under_way || self->slots[i].busy) && self->slots[i].sequence < oldest)
            oldest = self->slots[i].sequence;
    return producer_has_room (oldest, next);
}

/* ns until the next batch is due. */
static int64_t until_due (const stream_t *self)
{
    if (self->rate == 0)
        return 0;
    double due = (double)(self->sent * self->rows) / (double)self->rate * 1e9;
    int64_t left = self->start + (int64_t)due - measure_now_ns ();
    return left > 0 ? left : 0;
}

static void send_slots (stream_t *self)
{
    for (uint64_t i = 0; i < self->in_flight; i++) {
        slot_t *slot = &self->slots[i];
        if (!slot->under_way && (slot->busy || (has_room (self) && until_due (self) == 0)))
            send_slot (self, slot);
    }
}

/* Sends what can be and takes the answers that are there; waits while there is nothing to do. */
static void step (stream_t *self, zmq_msg_t *message)
{
    zmq_pollitem_t item = { .socket = self->producer->socket, .events = ZMQ_POLLIN };
    uint64_t busy = self->put_off;
    if (measure_now_ns () < self->end)
        send_slots (self);
    long wait = TALK_PATIENCE_MS;
    if (self->rate > 0 && measure_now_ns () < self->end)
        wait = (long)(until_due (self) / 1000000) + 1;
    if (zmq_poll (&item, 1, wait) == 0 && wait == TALK_PATIENCE_MS)
        measure_fail ("no answer within %d ms", TALK_PATIENCE_MS);
    while (talk_receive_now (self->producer->socket, message))
        take_answer (self, message);
    if (self->put_off > busy) /* a moment, or until the next answer */
        (void)zmq_poll (&item, 1, 1);
}

void stream_run (producer_t *producer, uint64_t seconds, uint64_t rows, uint64_t in_flight,
                 uint64_t rate)
{
    stream_t self = { .producer = producer, .rows = rows, .in_flight = in_flight, .rate = rate };
    wire_writer_t *writer = wire_writer_new ();
    zmq_msg_t message;
    zmq_msg_init (&message);
    self.decoder = wire_decoder_new ();
    self.slots = mem_zero (in_flight, sizeof *self.slots);
    producer->sequence = UINT64_C (1) << 40; /* any number as long; the first are smaller */
    for (uint64_t i = 0; i < in_flight; i++) {
        self.slots[i].time_us = producer->time_us;
        self.slots[i].request = producer_make (producer, writer, rows);
        self.slots[i].sequence = producer->sequence;
    }
    self.start = measure_now_ns ();
    self.end = self.start + (int64_t)seconds * 1000000000;
    while (self.under_way > 0 || measure_now_ns () < self.end)
        step (&self, &message);
    measure_print ("stream_per_s", (double)self.acknowledged / measure_since (self.start));
    measure_print ("stream_events", (double)self.acknowledged);
    measure_print ("stream_put_off", (double)self.put_off);
    for (uint64_t i = 0; i < in_flight; i++)
        mem_free (self.slots[i].request.data);
    mem_free (self.slots);
    wire_decoder_destroy (&self.decoder);
    wire_writer_destroy (&writer);
    zmq_msg_close (&message);
}
