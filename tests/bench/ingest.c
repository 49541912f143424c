/* ingest.c - batches of events of 100 bytes to a speed worker, pipelined, of several sizes in turn;
 * and beside each, in the same round, the same bytes written to a file with an fdatasync for each
 * batch, and copied in memory.
 *
 *   --sizes=ROWS:IN_FLIGHT:BATCHES,…   what a round is made of
 *
 * With --seconds=N: a stream of such events, of now, for so long (stream.h), and no rounds. */
#include "base/mem.h"
#include "tests/bench/hdr/hdr.h"
#include "tests/bench/measure.h"
#include "tests/bench/producer.h"
#include "tests/bench/stream.h"
#include "tests/bench/talk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZES_MAX = 8 };

typedef struct batch_size {
    char name[48]; /* ROWSxIN_FLIGHT */
    uint64_t rows, in_flight, batches;
    hdr_t *acks, *syncs;         /* of a round … */
    hdr_t *all_acks, *all_syncs; /* … and of all */
} batch_size_t;

typedef struct bench {
    producer_t producer;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
    clocks_t clocks; /* of the speed worker */
    batch_size_t size[SIZES_MAX];
    size_t sizes;
    const char *file;         /* NULL: weir alone */
    batch_request_t *request; /* of one round of one size */
    int64_t *sent;
} bench_t;

static void print_of (const batch_size_t *size, const char *what, double value)
{
    char name[96];
    (void)snprintf (name, sizeof name, "%s_%s", size->name, what);
    measure_print (name, value);
}

static double per_second (const batch_size_t *size, int64_t start)
{
    return (double)(size->batches * size->rows) / measure_since (start);
}

/* ---- weir ---- */

static void check_ack (bench_t *self, zmq_msg_t *message, uint64_t rows)
{
    message_t decoded;
    error_t error;
    if (wire_decode (self->decoder, zmq_msg_data (message), zmq_msg_size (message), &decoded,
                     &error) != STATUS_OK)
        measure_fail ("an acknowledgement: %s", error.text);
    if (decoded.kind != MESSAGE_SEND_OK)
        measure_fail ("a batch was refused: " TEXT_FORMAT,
                      TEXT_ARGS (wire_text (decoded.body, "text")));
    if (wire_uint (decoded.body, "accepted", 0) != rows)
        measure_fail ("rows were refused");
}

/* The place in the round of the batch that this acknowledges. */
static uint64_t place_of (zmq_msg_t *message, uint64_t first, uint64_t sent)
{
    message_kind_t kind;
    uint64_t id = 0;
    if (!wire_peek (zmq_msg_data (message), zmq_msg_size (message), &kind, &id) || id < first ||
        id >= first + sent)
        measure_fail ("an answer to nothing");
    return id - first;
}

static double send_all (bench_t *self, const batch_size_t *size)
{
    uint64_t first = self->producer.sequence - size->batches + 1;
    uint64_t sent = 0, oldest = 0; /* of this round, and not acknowledged */
    bool *acknowledged = mem_zero (size->batches, sizeof *acknowledged);
    zmq_msg_t message;
    zmq_msg_init (&message);
    int64_t start = measure_now_ns ();
    for (uint64_t done = 0; done < size->batches; done++) {
        for (; sent < size->batches && sent < oldest + size->in_flight; sent++) {
            self->sent[sent] = measure_now_ns ();
            talk_send (self->producer.socket, self->request[sent].data, self->request[sent].size,
                       0);
        }
        talk_receive (self->producer.socket, &message);
        int64_t now = measure_now_ns ();
        uint64_t place = place_of (&message, first, sent);
        check_ack (self, &message, size->rows);
        acknowledged[place] = true;
        while (oldest < sent && acknowledged[oldest])
            oldest++;
        hdr_record (size->acks, now - self->sent[place]);
    }
    double rate = per_second (size, start);
    zmq_msg_close (&message);
    mem_free (acknowledged);
    return rate;
}

/* ---- floors ---- */

/* The same bytes to a file, synced for each batch. */
static double write_all (const bench_t *self, const batch_size_t *size)
{
    int file = open (self->file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0)
        measure_fail ("cannot write %s", self->file);
    int64_t start = measure_now_ns ();
    for (uint64_t i = 0; i < size->batches; i++) {
        int64_t from = measure_now_ns ();
        const batch_request_t *request = &self->request[i];
        if (write (file, request->data, request->size) != (ssize_t)request->size ||
            fdatasync (file) != 0)
            measure_fail ("cannot write %s", self->file);
        hdr_record (size->syncs, measure_now_ns () - from);
    }
    double rate = per_second (size, start);
    close (file);
    unlink (self->file);
    return rate;
}

/* The same bytes to memory that was written before. */
static double copy_all (const bench_t *self, const batch_size_t *size)
{
    size_t most = 0;
    for (uint64_t i = 0; i < size->batches; i++)
        most = self->request[i].size > most ? self->request[i].size : most;
    char *copy = mem_alloc (most);
    memset (copy, 1, most);
    int64_t start = measure_now_ns ();
    for (uint64_t i = 0; i < size->batches; i++) {
        memcpy (copy, self->request[i].data, self->request[i].size);
        __asm__ volatile("" : : "r"(copy) : "memory"); /* it is read, for all the compiler knows */
    }
    double rate = per_second (size, start);
    mem_free (copy);
    return rate;
}

/* ---- rounds ---- */

static void print_ms (const batch_size_t *size, const char *what, const hdr_t *latency)
{
    char name[48];
    (void)snprintf (name, sizeof name, "%s_p50_ms", what);
    print_of (size, name, (double)hdr_quantile (latency, 0.5) / 1e6);
    (void)snprintf (name, sizeof name, "%s_p99_ms", what);
    print_of (size, name, (double)hdr_quantile (latency, 0.99) / 1e6);
}

static void round_of (bench_t *self, batch_size_t *size)
{
    self->request = mem_zero (size->batches, sizeof *self->request);
    self->sent = mem_zero (size->batches, sizeof *self->sent);
    for (uint64_t i = 0; i < size->batches; i++)
        self->request[i] = producer_make (&self->producer, self->writer, size->rows);
    int64_t used = measure_clocks_ns (&self->clocks);
    print_of (size, "ingest_per_s", send_all (self, size));
    used = measure_clocks_ns (&self->clocks) - used;
    if (used > 0)
        print_of (size, "ingest_per_cpu_s",
                  (double)(size->batches * size->rows) / (double)used * 1e9);
    print_ms (size, "ack", size->acks);
    if (self->file != NULL) {
        print_of (size, "fdatasync_per_s", write_all (self, size));
        print_ms (size, "fdatasync", size->syncs);
        print_of (size, "memcpy_per_s", copy_all (self, size));
    }
    for (uint64_t i = 0; i < size->batches; i++)
        mem_free (self->request[i].data);
    mem_free (self->request);
    mem_free (self->sent);
    hdr_add (size->all_acks, size->acks);
    hdr_add (size->all_syncs, size->syncs);
    hdr_clear (size->acks);
    hdr_clear (size->syncs);
}

static void read_sizes (bench_t *self, const char *text)
{
    while (*text != 0) {
        unsigned long long rows, in_flight, batches;
        int used = 0;
        if (self->sizes == SIZES_MAX ||
            sscanf (text, "%llu:%llu:%llu%n", &rows, &in_flight, &batches, &used) != 3 ||
            rows == 0 || batches == 0 || in_flight == 0 || in_flight > PRODUCER_UNACKNOWLEDGED_MAX)
            measure_fail ("--sizes=ROWS:IN_FLIGHT:BATCHES,…: at most %d, with at most %d in flight",
                          SIZES_MAX, PRODUCER_UNACKNOWLEDGED_MAX);
        batch_size_t *size = &self->size[self->sizes++];
        (void)snprintf (size->name, sizeof size->name, "%llux%llu", rows, in_flight);
        size->rows = rows;
        size->in_flight = in_flight;
        size->batches = batches;
        size->acks = hdr_new ();
        size->syncs = hdr_new ();
        size->all_acks = hdr_new ();
        size->all_syncs = hdr_new ();
        text += used + (text[used] == ',');
    }
}

static void write_text (const hdr_t *latency, const char *directory, const char *name,
                        const char *what)
{
    char path[512];
    (void)snprintf (path, sizeof path, "%s/ingest-%s-%s.hgrm", directory, name, what);
    if (hdr_count (latency) > 0 && !hdr_write (latency, path))
        measure_fail ("cannot write %s", path);
}

static void end_sizes (bench_t *self, const char *directory)
{
    for (size_t i = 0; i < self->sizes; i++) {
        batch_size_t *size = &self->size[i];
        if (directory != NULL) {
            write_text (size->all_acks, directory, size->name, "ack");
            write_text (size->all_syncs, directory, size->name, "fdatasync");
        }
        hdr_destroy (&size->acks);
        hdr_destroy (&size->syncs);
        hdr_destroy (&size->all_acks);
        hdr_destroy (&size->all_syncs);
    }
}

int main (int argc, char **argv)
{
    static bench_t self;
    const char *speed = measure_option (argc, argv, "speed", NULL);
    if (speed == NULL)
        measure_fail ("usage: ingest --speed=ENDPOINT [--speed-pids=N] [--sizes=ROWS:IN_FLIGHT:"
                      "BATCHES,…] [--users=N] [--in-turn=yes] [--rounds=N] [--file=PATH] "
                      "[--histograms=DIRECTORY], or --seconds=N [--rate=N]");
    self.file = measure_option (argc, argv, "file", NULL);
    self.clocks = measure_clocks (measure_option (argc, argv, "speed-pids", NULL));
    producer_init (&self.producer, speed, measure_number (argc, argv, "users", 100000),
                   measure_option (argc, argv, "in-turn", NULL) != NULL);
    read_sizes (&self, measure_option (argc, argv, "sizes", "500:16:400"));
    self.decoder = wire_decoder_new ();
    self.writer = wire_writer_new ();
    uint64_t rounds = measure_number (argc, argv, "rounds", 5);
    uint64_t seconds = measure_number (argc, argv, "seconds", 0);
    if (seconds > 0) {
        stream_run (&self.producer, seconds, self.size[0].rows, self.size[0].in_flight,
                    measure_number (argc, argv, "rate", 0));
        rounds = 0;
    }
    for (uint64_t i = 0; i < rounds; i++)
        for (size_t s = 0; s < self.sizes; s++)
            round_of (&self, &self.size[(i + s) % self.sizes]);
    end_sizes (&self, measure_option (argc, argv, "histograms", NULL));
    wire_decoder_destroy (&self.decoder);
    wire_writer_destroy (&self.writer);
    return 0;
}
