/* ingest.c - batches of 500 events of 100 bytes to a speed worker, pipelined; and beside it, in the
 * same round, the same bytes written to a file with an fdatasync for each batch.
 *
 * With --seconds=N: a stream of such events, of now, for so long, and no file. What the worker has
 * no room for (`busy`) is sent again. Prints how many events were acknowledged. */
#include "base/mem.h"
#include "base/random.h"
#include "client/lib/weir.h"
#include "tests/bench/measure.h"
#include "tests/bench/talk.h"
#include "wire/wire.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_ROWS = 500,
    IN_FLIGHT_MAX = 64,
};

typedef struct request {
    void *data;
    size_t size;
} request_t;

typedef struct bench {
    void *socket;
    random_t random;
    uint64_t batches; /* of one round */
    uint64_t in_flight;
    uint64_t users;
    uint64_t sequence;
    int64_t time_us; /* of the next event */
    char producer[16];
    request_t *request;
    int64_t *sent;
} bench_t;

static int64_t wall_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- requests, made before the clock runs ---- */

static void put_words (bench_t *self, wire_writer_t *writer, size_t size)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char text[64];
    for (size_t i = 0; i < size; i++)
        text[i] = letters[random_below (&self->random, sizeof letters - 1)];
    wire_put_text (writer, (text_t){ text, (uint32_t)size });
}

/* 1 byte of list, 5 of user_id, 9 each of amount and ts, and texts of 1 + 19, 1 + 9, and 2 + 44. */
static void put_event (bench_t *self, wire_writer_t *writer)
{
    uint64_t user = random_below (&self->random, self->users);
    wire_open_list (writer);
    wire_put_uint (writer, FIRST_USER + user);
    wire_put_float (writer, (double)random_below (&self->random, 100000) / 100);
    wire_put_int (writer, self->time_us);
    put_words (self, writer, 19);
    put_words (self, writer, 9);
    put_words (self, writer, 44);
    wire_close (writer);
    self->time_us += 50;
}

/* What goes with a sequence as the oldest that may not be acknowledged: it is sent no sooner
 * (send_all, has_room). So it can be written before it is known which one that is. */
static uint64_t oldest_with (uint64_t sequence)
{
    return sequence < WEIR_UNACKNOWLEDGED_MAX ? 1 : sequence - WEIR_UNACKNOWLEDGED_MAX + 1;
}

static request_t make_request (bench_t *self, wire_writer_t *writer)
{
    static const char *const columns[] = {
        "user_id", "amount", "ts", "merchant", "status", "memo"
    };
    const void *data;
    size_t size;
    wire_begin (writer, MESSAGE_SEND, ++self->sequence);
    wire_field_string (writer, "stream", "payments");
    wire_field_bin (writer, "producer", (text_t){ self->producer, sizeof self->producer });
    wire_field_uint (writer, "sequence", self->sequence);
    wire_field_uint (writer, "oldest", oldest_with (self->sequence));
    wire_field_list (writer, "columns");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        wire_put_string (writer, columns[i]);
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (unsigned i = 0; i < BATCH_ROWS; i++)
        put_event (self, writer);
    wire_close (writer);
    if (!wire_end (writer, &data, &size))
        measure_fail ("a batch is too large");
    request_t request = { mem_alloc (size), size };
    memcpy (request.data, data, size);
    return request;
}

static void make_requests (bench_t *self)
{
    wire_writer_t *writer = wire_writer_new ();
    for (uint64_t i = 0; i < self->batches; i++)
        self->request[i] = make_request (self, writer);
    wire_writer_destroy (&writer);
}

/* ---- rounds ---- */

static void check_ack (wire_decoder_t *decoder, zmq_msg_t *message)
{
    message_t decoded;
    error_t error;
    if (wire_decode (decoder, zmq_msg_data (message), zmq_msg_size (message), &decoded, &error) !=
        STATUS_OK)
        measure_fail ("an acknowledgement: %s", error.text);
    if (decoded.kind != MESSAGE_SEND_OK)
        measure_fail ("a batch was refused: " TEXT_FORMAT,
                      TEXT_ARGS (wire_text (decoded.body, "text")));
    if (wire_uint (decoded.body, "accepted", 0) != BATCH_ROWS)
        measure_fail ("rows were refused");
}

static double send_all (bench_t *self, wire_decoder_t *decoder, samples_t *acks)
{
    uint64_t first = self->sequence - self->batches + 1;
    uint64_t sent = 0, oldest = 0; /* of this round, and not acknowledged */
    bool *acknowledged = mem_zero (self->batches, sizeof *acknowledged);
    zmq_msg_t message;
    zmq_msg_init (&message);
    int64_t start = measure_now_ns ();
    for (uint64_t done = 0; done < self->batches; done++) {
        for (; sent < self->batches && sent < oldest + self->in_flight; sent++) {
            self->sent[sent] = measure_now_ns ();
            talk_send (self->socket, self->request[sent].data, self->request[sent].size, 0);
        }
        talk_receive (self->socket, &message);
        int64_t now = measure_now_ns ();
        message_kind_t kind;
        uint64_t id = 0;
        if (!wire_peek (zmq_msg_data (&message), zmq_msg_size (&message), &kind, &id) ||
            id < first || id >= first + sent)
            measure_fail ("an answer to nothing");
        check_ack (decoder, &message);
        acknowledged[id - first] = true;
        while (oldest < sent && acknowledged[oldest])
            oldest++;
        samples_add (acks, (double)(now - self->sent[id - first]));
    }
    double seconds = measure_since (start);
    zmq_msg_close (&message);
    mem_free (acknowledged);
    return (double)(self->batches * BATCH_ROWS) / seconds;
}

/* The same bytes to a file, synced for each batch; events per second. */
static double write_all (const bench_t *self, const char *path, samples_t *syncs)
{
    int file = open (path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0)
        measure_fail ("cannot write %s", path);
    int64_t start = measure_now_ns ();
    for (uint64_t i = 0; i < self->batches; i++) {
        int64_t from = measure_now_ns ();
        const request_t *request = &self->request[i];
        if (write (file, request->data, request->size) != (ssize_t)request->size ||
            fdatasync (file) != 0)
            measure_fail ("cannot write %s", path);
        samples_add (syncs, (double)(measure_now_ns () - from));
    }
    double seconds = measure_since (start);
    close (file);
    unlink (path);
    return (double)(self->batches * BATCH_ROWS) / seconds;
}

static void round_of (bench_t *self, wire_decoder_t *decoder, const char *path)
{
    samples_t acks = { 0 };
    samples_t syncs = { 0 };
    make_requests (self);
    measure_print ("ingest_per_s", send_all (self, decoder, &acks));
    measure_print ("ack_p50_ms", samples_quantile (&acks, 0.5) / 1e6);
    measure_print ("ack_p99_ms", samples_quantile (&acks, 0.99) / 1e6);
    measure_print ("fdatasync_per_s", write_all (self, path, &syncs));
    measure_print ("fdatasync_p50_ms", samples_quantile (&syncs, 0.5) / 1e6);
    measure_print ("fdatasync_p99_ms", samples_quantile (&syncs, 0.99) / 1e6);
    for (uint64_t i = 0; i < self->batches; i++)
        mem_free (self->request[i].data);
    samples_release (&acks);
    samples_release (&syncs);
}

/* ---- a stream ---- */

/* A number that takes 8 bytes after its type, wherever it stands in the message. */
static void patch (request_t *request, uint64_t from, uint64_t to)
{
    uint8_t old[8], new[8];
    for (unsigned i = 0; i < 8; i++) {
        old[i] = (uint8_t)(from >> (56 - 8 * i));
        new[i] = (uint8_t)(to >> (56 - 8 * i));
    }
    uint8_t *at = request->data;
    uint8_t *end = at + request->size;
    while ((at = memmem (at, (size_t)(end - at), old, sizeof old)) != NULL) {
        memcpy (at, new, sizeof new);
        at += sizeof new;
    }
}

/* A batch under way, made once and sent again with other numbers and times. */
typedef struct slot {
    request_t request;
    uint64_t sequence; /* in it */
    int64_t time_us;   /* of its first event */
    bool busy;         /* to be sent again as it is */
    bool under_way;    /* sent, and not answered */
} slot_t;

static void patch_times (slot_t *slot)
{
    int64_t now = wall_us () - BATCH_ROWS;
    uint8_t *at = slot->request.data;
    uint8_t *end = at + slot->request.size;
    for (int64_t i = 0; i < BATCH_ROWS; i++) {
        uint64_t time = (uint64_t)(slot->time_us + 50 * i);
        uint8_t bytes[8];
        for (unsigned b = 0; b < 8; b++)
            bytes[b] = (uint8_t)(time >> (56 - 8 * b));
        at = memmem (at, (size_t)(end - at), bytes, sizeof bytes);
        if (at == NULL)
            measure_fail ("an event's time is not where it was");
        time = (uint64_t)(now + 50 * (i - BATCH_ROWS));
        for (unsigned b = 0; b < 8; b++)
            at[b] = (uint8_t)(time >> (56 - 8 * b));
        at += sizeof bytes;
    }
    slot->time_us = now - 50 * BATCH_ROWS;
}

static void send_slot (bench_t *self, slot_t *slot)
{
    if (!slot->busy) {
        patch (&slot->request, slot->sequence, ++self->sequence);
        patch (&slot->request, oldest_with (slot->sequence), oldest_with (self->sequence));
        slot->sequence = self->sequence;
        patch_times (slot);
    }
    slot->busy = false;
    slot->under_way = true;
    talk_send (self->socket, slot->request.data, slot->request.size, 0);
}

/* Takes one answer; the slot that it is of. */
static slot_t *take_answer (bench_t *self, wire_decoder_t *decoder, slot_t *slots,
                            zmq_msg_t *message)
{
    message_t decoded;
    error_t error;
    talk_receive (self->socket, message);
    if (wire_decode (decoder, zmq_msg_data (message), zmq_msg_size (message), &decoded, &error) !=
        STATUS_OK)
        measure_fail ("an acknowledgement: %s", error.text);
    slot_t *slot = NULL;
    for (uint64_t i = 0; i < self->in_flight; i++)
        if (slots[i].sequence == decoded.id)
            slot = &slots[i];
    if (slot == NULL)
        measure_fail ("an answer to nothing");
    slot->under_way = false;
    slot->busy =
        decoded.kind == MESSAGE_ERROR && text_is (wire_text (decoded.body, "status"), "busy");
    if (!slot->busy && decoded.kind != MESSAGE_SEND_OK)
        measure_fail ("a batch was refused: " TEXT_FORMAT,
                      TEXT_ARGS (wire_text (decoded.body, "text")));
    return slot;
}

/* May another batch be sent? Not further than owners tell repeats apart from the oldest that is not
 * acknowledged: it would be refused. */
static bool has_room (const bench_t *self, const slot_t *slots)
{
    uint64_t oldest = self->sequence + 1;
    for (uint64_t i = 0; i < self->in_flight; i++)
        if ((slots[i].under_way || slots[i].busy) && slots[i].sequence < oldest)
            oldest = slots[i].sequence;
    return self->sequence + 1 - oldest < WEIR_UNACKNOWLEDGED_MAX;
}

/* Sends what can be; how many. */
static uint64_t send_slots (bench_t *self, slot_t *slots)
{
    uint64_t sent = 0;
    for (uint64_t i = 0; i < self->in_flight; i++)
        if (!slots[i].under_way && (slots[i].busy || has_room (self, slots))) {
            send_slot (self, &slots[i]);
            sent++;
        }
    return sent;
}

static void stream (bench_t *self, wire_decoder_t *decoder, uint64_t seconds)
{
    slot_t *slots = mem_zero (self->in_flight, sizeof *slots);
    wire_writer_t *writer = wire_writer_new ();
    self->sequence = UINT64_C (1) << 40; /* any number as long; the first are smaller */
    for (uint64_t i = 0; i < self->in_flight; i++) {
        slots[i].time_us = self->time_us;
        slots[i].request = make_request (self, writer);
        slots[i].sequence = self->sequence;
    }
    wire_writer_destroy (&writer);
    zmq_msg_t message;
    zmq_msg_init (&message);
    uint64_t acknowledged = 0, put_off = 0;
    int64_t start = measure_now_ns ();
    uint64_t under_way = send_slots (self, slots);
    while (under_way > 0) {
        slot_t *slot = take_answer (self, decoder, slots, &message);
        acknowledged += slot->busy ? 0 : BATCH_ROWS;
        put_off += slot->busy;
        under_way--;
        if (measure_since (start) >= (double)seconds)
            continue;
        if (slot->busy) { /* a moment, or until the next answer */
            zmq_pollitem_t item = { .socket = self->socket, .events = ZMQ_POLLIN };
            (void)zmq_poll (&item, 1, 1);
        }
        under_way += send_slots (self, slots);
    }
    measure_print ("stream_per_s", (double)acknowledged / measure_since (start));
    measure_print ("stream_events", (double)acknowledged);
    measure_print ("stream_put_off", (double)put_off);
    zmq_msg_close (&message);
    for (uint64_t i = 0; i < self->in_flight; i++)
        mem_free (slots[i].request.data);
    mem_free (slots);
}

int main (int argc, char **argv)
{
    static bench_t self;
    const char *speed = measure_option (argc, argv, "speed", NULL);
    if (speed == NULL)
        measure_fail ("usage: ingest --speed=ENDPOINT [--batches=N] [--in-flight=N] [--users=N] "
                      "[--rounds=N] [--file=PATH]");
    const char *path = measure_option (argc, argv, "file", "raw-fdatasync");
    self.batches = measure_number (argc, argv, "batches", 400);
    self.in_flight = measure_number (argc, argv, "in-flight", 16);
    self.users = measure_number (argc, argv, "users", 100000);
    if (self.in_flight > IN_FLIGHT_MAX)
        measure_fail ("at most %d batches may be in flight", IN_FLIGHT_MAX);
    self.time_us = wall_us () - INT64_C (3600) * 1000000;
    self.socket = talk_connect_node (ZMQ_DEALER, speed);
    self.request = mem_zero (self.batches, sizeof *self.request);
    self.sent = mem_zero (self.batches, sizeof *self.sent);
    uint64_t created = (uint64_t)wall_us ();
    for (unsigned i = 0; i < 8; i++)
        self.producer[i] = (char)(created >> (56 - 8 * i));
    if (getrandom (self.producer + 8, 8, 0) != 8)
        measure_fail ("no random bytes");
    random_seed (&self.random, created);
    wire_decoder_t *decoder = wire_decoder_new ();
    uint64_t rounds = measure_number (argc, argv, "rounds", 5);
    uint64_t seconds = measure_number (argc, argv, "seconds", 0);
    if (seconds > 0) {
        stream (&self, decoder, seconds);
        rounds = 0;
    }
    for (uint64_t i = 0; i < rounds; i++)
        round_of (&self, decoder, path);
    wire_decoder_destroy (&decoder);
    return 0;
}
