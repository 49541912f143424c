/* query.c - queries against a serving node, in turn with the floor: the same sizes of messages from
 * here to a relay, to an echo, and back.
 *
 * A round is: one asked at a time (latency), --window asked at a time (throughput), and with
 * --open-rate a Poisson stream of requests whose latency counts from when each was due. */
#include "base/mem.h"
#include "base/random.h"
#include "tests/bench/measure.h"
#include "tests/bench/talk.h"
#include "wire/wire.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { REQUESTS = 2048 }; /* prepared, and sent again and again */

typedef struct request {
    void *data;
    size_t size;
} request_t;

typedef struct side {
    const char *name;
    void *socket;
    request_t request[REQUESTS]; /* request i has the id i + 1 */
    size_t next;
    bool is_floor;
} side_t;

typedef struct bench {
    side_t get;
    side_t floor;
    random_t random;
    uint64_t keys;
    uint64_t users;
    uint64_t window;
    uint64_t open_rate;
    double seconds; /* of one slice */
    size_t reply_size;
} bench_t;

/* ---- requests ---- */

static request_t keep (const void *data, size_t size)
{
    request_t request = { mem_alloc (size), size };
    memcpy (request.data, data, size);
    return request;
}

static void prepare_gets (bench_t *self, const char *view)
{
    wire_writer_t *writer = wire_writer_new ();
    const void *data;
    size_t size;
    for (size_t i = 0; i < REQUESTS; i++) {
        wire_begin (writer, MESSAGE_GET, i + 1);
        wire_field_string (writer, "view", view);
        wire_field_list (writer, "keys");
        for (uint64_t k = 0; k < self->keys; k++) {
            wire_open_map (writer);
            wire_field_uint (writer, "user_id",
                             FIRST_USER + random_below (&self->random, self->users));
            wire_close (writer);
        }
        wire_close (writer);
        if (!wire_end (writer, &data, &size))
            measure_fail ("a request of %llu keys is too large", (unsigned long long)self->keys);
        self->get.request[i] = keep (data, size);
    }
    wire_writer_destroy (&writer);
}

/* As large as the queries and their answers. */
static void prepare_floors (bench_t *self)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        size_t size = self->get.request[i].size;
        size = size < sizeof (floor_head_t) ? sizeof (floor_head_t) : size;
        floor_head_t head = { .reply_size = (uint32_t)self->reply_size, .id = i + 1 };
        request_t request = { mem_zero (1, size), size };
        memcpy (request.data, &head, sizeof head);
        self->floor.request[i] = request;
    }
}

/* The id of an answer; ends the program when it is not one. */
static uint64_t answered (const side_t *side, zmq_msg_t *message)
{
    const void *data = zmq_msg_data (message);
    size_t size = zmq_msg_size (message);
    if (side->is_floor) {
        floor_head_t head;
        memcpy (&head, data, sizeof head);
        return head.id;
    }
    message_kind_t kind;
    uint64_t id;
    if (!wire_peek (data, size, &kind, &id) || kind != MESSAGE_GET_OK)
        measure_fail ("a query was refused");
    return id;
}

/* Asks once and looks at the whole answer: complete, and of 12 features. */
static void check_answer (bench_t *self)
{
    zmq_msg_t message;
    message_t decoded;
    error_t error;
    zmq_msg_init (&message);
    talk_send (self->get.socket, self->get.request[0].data, self->get.request[0].size, 0);
    talk_receive (self->get.socket, &message);
    wire_decoder_t *decoder = wire_decoder_new ();
    self->reply_size = zmq_msg_size (&message);
    if (wire_decode (decoder, zmq_msg_data (&message), self->reply_size, &decoded, &error) !=
        STATUS_OK)
        measure_fail ("the answer: %s", error.text);
    if (decoded.kind != MESSAGE_GET_OK)
        measure_fail ("the query was refused: " TEXT_FORMAT,
                      TEXT_ARGS (wire_text (decoded.body, "text")));
    if (wire_list (decoded.body, "features").count != 12)
        measure_fail ("a view of 12 features is needed");
    wire_list_t results = wire_list (decoded.body, "results");
    for (uint32_t i = 0; i < results.count; i++)
        if (!wire_bool (&results.items[i], "complete", false))
            measure_fail ("an answer is incomplete");
    wire_decoder_destroy (&decoder);
    zmq_msg_close (&message);
}

/* ---- slices ---- */

static void ask_next (side_t *side)
{
    const request_t *request = &side->request[side->next++ % REQUESTS];
    talk_send (side->socket, request->data, request->size, 0);
}

static void print_us (const side_t *side, const char *what, double quantile, samples_t *samples)
{
    char name[64];
    snprintf (name, sizeof name, "%s_%s_us", side->name, what);
    measure_print (name, samples_quantile (samples, quantile) / 1e3);
}

/* One at a time. */
static void slice_latency (const bench_t *self, side_t *side, samples_t *samples)
{
    zmq_msg_t message;
    zmq_msg_init (&message);
    int64_t end = measure_now_ns () + (int64_t)(self->seconds * 1e9);
    for (int64_t start = measure_now_ns (); start < end;) {
        ask_next (side);
        talk_receive (side->socket, &message);
        (void)answered (side, &message);
        int64_t now = measure_now_ns ();
        samples_add (samples, (double)(now - start));
        start = now;
    }
    zmq_msg_close (&message);
}

/* `window` at a time; returns requests answered per second. */
static double slice_throughput (const bench_t *self, side_t *side)
{
    zmq_msg_t message;
    uint64_t done = 0;
    zmq_msg_init (&message);
    int64_t start = measure_now_ns ();
    for (uint64_t i = 0; i < self->window; i++)
        ask_next (side);
    while (measure_since (start) < self->seconds) {
        talk_receive (side->socket, &message);
        (void)answered (side, &message);
        ask_next (side);
        done++;
    }
    double rate = (double)done / measure_since (start);
    for (uint64_t i = 0; i < self->window; i++)
        talk_receive (side->socket, &message);
    zmq_msg_close (&message);
    return rate;
}

/* Requests that are due at random times, whether or not those before are answered. */
static void slice_open (bench_t *self, side_t *side, samples_t *samples)
{
    int64_t due[REQUESTS];
    zmq_msg_t message;
    zmq_msg_init (&message);
    size_t count = (size_t)((double)self->open_rate * self->seconds);
    count = count < REQUESTS ? count : REQUESTS;
    zmq_pollitem_t item = { .socket = side->socket, .events = ZMQ_POLLIN };
    size_t sent = 0;
    side->next = 0;
    int64_t next = measure_now_ns ();
    for (size_t done = 0; done < count;) {
        int64_t now = measure_now_ns ();
        if (sent < count && now >= next) {
            due[sent++] = next;
            ask_next (side);
            next -=
                (int64_t)(log (1 - random_unit (&self->random)) / (double)self->open_rate * 1e9);
            continue;
        }
        /* In whole milliseconds the poll would be late: it waits only when there is time. */
        long wait = sent == count ? TALK_PATIENCE_MS : (long)((next - now) / 1000000);
        (void)zmq_poll (&item, 1, wait);
        while (talk_receive_now (side->socket, &message)) {
            uint64_t id = answered (side, &message);
            samples_add (samples, (double)(measure_now_ns () - due[id - 1]));
            done++;
        }
    }
    zmq_msg_close (&message);
}

/* ---- rounds ---- */

static void round_of (bench_t *self)
{
    side_t *sides[] = { &self->get, &self->floor };
    samples_t closed[2] = { { 0 } };
    samples_t open[2] = { { 0 } };
    double rate[2] = { 0 };
    enum { TURNS = 4 };
    for (unsigned turn = 0; turn < TURNS; turn++)
        for (unsigned s = 0; s < 2; s++)
            slice_latency (self, sides[s], &closed[s]);
    for (unsigned s = 0; s < 2; s++)
        rate[s] = slice_throughput (self, sides[s]);
    for (unsigned s = 0; s < 2 && self->open_rate > 0; s++)
        slice_open (self, sides[s], &open[s]);
    for (unsigned s = 0; s < 2; s++) {
        char name[64];
        print_us (sides[s], "p50", 0.5, &closed[s]);
        print_us (sides[s], "p99", 0.99, &closed[s]);
        snprintf (name, sizeof name, "%s_per_s", sides[s]->name);
        measure_print (name, rate[s]);
        if (open[s].count > 0) {
            print_us (sides[s], "open_p50", 0.5, &open[s]);
            print_us (sides[s], "open_p99", 0.99, &open[s]);
        }
        samples_release (&closed[s]);
        samples_release (&open[s]);
    }
}

int main (int argc, char **argv)
{
    static bench_t self;
    const char *serving = measure_option (argc, argv, "serving", NULL);
    const char *floor = measure_option (argc, argv, "floor", NULL);
    if (serving == NULL || floor == NULL)
        measure_fail ("usage: query --serving=ENDPOINT --floor=ENDPOINT [--keys=N] [--users=N] "
                      "[--window=N] [--open-rate=N] [--slice-ms=N] [--rounds=N]");
    self.get = (side_t){ .name = "get", .socket = talk_connect_node (ZMQ_DEALER, serving) };
    self.floor = (side_t){ .name = "floor", .socket = talk_connect (ZMQ_DEALER, floor) };
    self.floor.is_floor = true;
    self.keys = measure_number (argc, argv, "keys", 1);
    self.users = measure_number (argc, argv, "users", 100000);
    self.window = measure_number (argc, argv, "window", 32);
    self.open_rate = measure_number (argc, argv, "open-rate", 0);
    self.seconds = (double)measure_number (argc, argv, "slice-ms", 250) / 1e3;
    random_seed (&self.random, measure_number (argc, argv, "seed", 1));
    prepare_gets (&self, measure_option (argc, argv, "view", "spend"));
    check_answer (&self);
    prepare_floors (&self);
    samples_t warm = { 0 };
    slice_latency (&self, &self.get, &warm);
    slice_latency (&self, &self.floor, &warm);
    samples_release (&warm);
    uint64_t rounds = measure_number (argc, argv, "rounds", 5);
    for (uint64_t i = 0; i < rounds; i++)
        round_of (&self);
    measure_print ("request_bytes", (double)self.get.request[0].size);
    measure_print ("reply_bytes", (double)self.reply_size);
    return 0;
}
