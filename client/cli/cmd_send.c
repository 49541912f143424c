/* weir send - streams events to the speed layer. */
#include "client/cli/incoming.h"
#include "client/cli/producer.h"
#include "client/cli/registered.h"
#include "client/cli/terminal.h"
#include "client/cli/typed.h"

#include "base/mem.h"
#include "base/number.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH_ROWS = 500,
    LIVE_ROWS = 20, /* of a batch from a pipe, which may be slow */
    UNDER_WAY = 16,
    TOLD_MAX = 20, /* refused rows that are told one by one */
    STALLED_MS = 5000,
    SAVE_EVERY_MS = 1000,
    IDLE_MS = 20,
};

typedef struct wanted {
    const char *format, *batch;
    bool again, in_order;
    int64_t batch_rows;
} wanted_t;

typedef struct sending {
    call_t *call;
    const stream_t *stream;
    registered_t registered;
    source_t source;
    text_reader_t *reader;
    client_sender_t *sender;
    producer_t producer;
    bool resumed;        /* the producer was used before */
    char *state_path;    /* NULL: nothing is remembered */
    uint64_t done_early; /* a bit per batch after producer.acknowledged, that was acknowledged */
    struct {
        uint64_t accepted, refused, earlier;
    } early[CLIENT_UNACKNOWLEDGED_MAX]; /* by sequence: the outcomes of these */
    uint64_t next_sequence;             /* of the next batch in the file */
    uint64_t bad_records;               /* that are no rows at all */
    uint64_t told;
    uint64_t rows; /* acknowledged in this run */
    int64_t start_ms;
    int64_t saved_ms;
    int64_t stalled_ms;    /* since when there was no room; 0: nothing waited for any */
    uint64_t stalled_rows; /* acknowledged then */
    bool stalled_told;
    error_t save_error;
} sending_t;

/* ---- what comes back ---- */

static void tell_row (sending_t *self, uint64_t row, text_t reason)
{
    if (self->told++ > TOLD_MAX)
        return;
    progress_end ();
    if (self->told > TOLD_MAX)
        fprintf (stderr, "weir send: more rows are refused; they are counted only\n");
    else
        fprintf (stderr, "%s: row %" PRIu64 ": " TEXT_FORMAT "\n", self->source.path, row,
                 TEXT_ARGS (reason));
}

static void save (sending_t *self, bool now)
{
    int64_t time = monotonic_ms ();
    if (!self->state_path || (!now && time - self->saved_ms < SAVE_EVERY_MS))
        return;
    self->saved_ms = time;
    if (producer_write (self->state_path, &self->producer, now, &self->save_error) == STATUS_OK)
        error_clear (&self->save_error);
}

/* Batches are acknowledged in any order; what is remembered is a beginning of the file. */
static void acknowledged (void *arg, const client_acknowledged_t *what)
{
    sending_t *self = arg;
    producer_t *producer = &self->producer;
    size_t slot = what->sequence % CLIENT_UNACKNOWLEDGED_MAX;
    for (uint32_t i = 0; i < what->refused.count; i++)
        tell_row (self, what->tag + wire_uint (&what->refused.items[i], "row", 0),
                  wire_text (&what->refused.items[i], "reason"));
    self->rows += what->rows;
    self->early[slot].accepted = what->accepted;
    self->early[slot].refused = what->refused_count;
    uint64_t told = what->accepted + what->refused_count;
    self->early[slot].earlier = told < what->rows ? what->rows - told : 0;
    self->done_early |= UINT64_C (1) << (what->sequence - producer->acknowledged - 1);
    for (; self->done_early & 1; self->done_early >>= 1) {
        slot = ++producer->acknowledged % CLIENT_UNACKNOWLEDGED_MAX;
        producer->accepted += self->early[slot].accepted;
        producer->refused += self->early[slot].refused;
        producer->earlier += self->early[slot].earlier;
    }
    save (self, false);
    int64_t took = monotonic_ms () - self->start_ms;
    buf_t rate;
    buf_init (&rate, 64);
    format_count (&rate, took > 0 ? (double)self->rows * 1000 / (double)took : 0);
    progress ("%" PRIu64 " events, %s/s", producer->accepted, buf_string (&rate));
    buf_release (&rate);
}

/* Where no progress is shown, who reads the output later has to learn why nothing went on. */
static void tell_stalled (sending_t *self, const char *reason)
{
    int64_t now = monotonic_ms ();
    if (self->stalled_ms == 0 || self->stalled_rows != self->rows) {
        self->stalled_ms = now;
        self->stalled_rows = self->rows;
        self->stalled_told = false;
    } else if (!self->stalled_told && now - self->stalled_ms >= STALLED_MS) {
        self->stalled_told = true;
        fprintf (stderr, "weir send: no room, waiting: %s\n", reason);
    }
}

static void waits (void *arg, uint32_t wait_ms, const char *reason)
{
    sending_t *self = arg;
    if (!isatty (STDERR_FILENO))
        tell_stalled (self, reason);
    progress ("%" PRIu64 " events; no room, again in %.1f s: %.70s", self->producer.accepted,
              (double)wait_ms / 1000, reason);
}

static bool stopped (void *arg)
{
    (void)arg;
    return interrupt_came ();
}

/* ---- the producer ---- */

static void new_producer (sending_t *self, const wanted_t *wanted)
{
    self->producer = (producer_t){ .batch_rows = (uint32_t)wanted->batch_rows };
    client_producer_new (self->producer.id);
}

static status_t too_old (const sending_t *self, error_t *error)
{
    buf_t when;
    buf_init (&when, 64);
    time_format (&when, producer_created (&self->producer));
    status_t status =
        error_set (error, STATUS_INVALID,
                   "sending %s was begun at %s and interrupted after batch %" PRIu64
                   "; that is too long ago for going on. --again sends all of it as new events",
                   self->source.path, buf_string (&when), self->producer.acknowledged);
    buf_release (&when);
    return status;
}

/* The producer that was remembered for this content, or a new one. */
static status_t find_producer (sending_t *self, const wanted_t *wanted, error_t *error)
{
    char hash[33];
    new_producer (self, wanted);
    if (self->source.total == 0) /* a pipe cannot be read twice */
        return STATUS_OK;
    status_t status = content_hash (self->source.path, hash, error);
    if (status != STATUS_OK)
        return status;
    self->state_path = producer_path (self->call->project->data, self->stream->name, hash);
    if (!wanted->again) {
        status = producer_read (self->state_path, &self->producer, error);
        if (status == STATUS_OK && !self->producer.done &&
            clock_us () - producer_created (&self->producer) > PRODUCER_AGE_MAX)
            return too_old (self, error);
        self->resumed = status == STATUS_OK;
        if (status != STATUS_NOT_FOUND)
            return status;
        new_producer (self, wanted);
    }
    return producer_write (self->state_path, &self->producer, true, error);
}

/* ---- the file ---- */

/* A batch of the file, unless an earlier run has sent it already. */
static status_t take_batch (sending_t *self, raw_table_t *table, uint64_t first_row, error_t *error)
{
    uint64_t sequence = self->next_sequence++;
    if (sequence <= self->producer.acknowledged)
        return STATUS_OK;
    type_cells (self->stream, table);
    return client_sender_send (self->sender, table, first_row, error);
}

/* While a pipe is quiet, what is under way is seen to. */
static status_t await_input (void *arg, error_t *error)
{
    sending_t *self = arg;
    struct pollfd input = { .fd = self->source.fd, .events = POLLIN };
    status_t status = STATUS_OK;
    while (status == STATUS_OK && poll (&input, 1, IDLE_MS) <= 0) /* a signal ends it, too */
        status = client_sender_pump (self->sender, 0, error);
    return status;
}

static status_t send_all (sending_t *self, error_t *error)
{
    status_t status = STATUS_OK;
    while (status == STATUS_OK) {
        raw_table_t table;
        uint64_t first_row, bad_row;
        status = source_table (&self->source, self->reader, &table, &first_row, &bad_row, error);
        if (status == STATUS_OK) {
            status = take_batch (self, &table, first_row, error);
            text_reader_next (self->reader);
        } else if (status == STATUS_INVALID && bad_row > 0) {
            self->bad_records++;
            tell_row (self, bad_row, text_of (reason_in_row (bad_row, error->text)));
            status = STATUS_OK;
        } else if (status == STATUS_INVALID) {
            status = error_prefix (error, "%s", self->source.path);
        }
    }
    if (status == STATUS_END)
        status = client_sender_flush (self->sender, error);
    return status;
}

static status_t begin (sending_t *self, bool in_order, error_t *error)
{
    self->next_sequence = 1;
    self->reader = text_reader_new (self->source.format, self->producer.batch_rows);
    client_sender_options_t options = { .stream = self->stream->name,
                                        .first_sequence = self->producer.acknowledged + 1,
                                        .resumed = self->resumed,
                                        .unacknowledged = in_order ? 1 : UNDER_WAY,
                                        .acknowledged = acknowledged,
                                        .waits = waits,
                                        .stopped = stopped,
                                        .arg = self };
    memcpy (options.producer, self->producer.id, sizeof options.producer);
    self->start_ms = monotonic_ms ();
    self->source.idle = await_input;
    self->source.idle_arg = self;
    self->source.is_live = true;
    return client_sender_new (self->call->weir, &options, &self->sender, error);
}

/* ---- the command ---- */

static status_t find_stream (sending_t *self, const char *name, error_t *error)
{
    status_t status = registered_read (self->call, &self->registered, error);
    if (status != STATUS_OK)
        return status;
    const definitions_t *definitions = self->registered.definitions;
    self->stream = definitions_stream (definitions, text_of (name));
    if (self->stream)
        return STATUS_OK;
    return definitions_no_stream (definitions, text_of (name), error);
}

static int summarise (sending_t *self, bool before)
{
    uint64_t refused = self->producer.refused + self->bad_records;
    double took = (double)(monotonic_ms () - self->start_ms) / 1000;
    progress_end ();
    if (self->call->json)
        printf ("{\"accepted\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"sent_before\":%s}\n",
                self->producer.accepted, refused, before ? "true" : "false");
    else if (before)
        printf ("%s was sent before: %" PRIu64 " event%s accepted, %" PRIu64
                " refused; --again sends it as new events\n",
                self->source.path, self->producer.accepted, plural (self->producer.accepted),
                refused);
    else
        printf ("%" PRIu64 " event%s accepted, %" PRIu64 " refused, in %.1f s\n",
                self->producer.accepted, plural (self->producer.accepted), refused, took);
    if (self->producer.earlier > 0)
        fprintf (stderr,
                 "%" PRIu64 " more were acknowledged before; which of them were accepted is "
                 "not remembered\n",
                 self->producer.earlier);
    if (self->save_error.text[0])
        fprintf (stderr, "weir send: %s\n", self->save_error.text);
    return refused > 0 ? EXIT_FAILED : EXIT_DONE;
}

static int interrupted (const sending_t *self)
{
    progress_end ();
    if (self->state_path)
        fprintf (stderr, "weir send: stopped after batch %" PRIu64 "; the same command goes on\n",
                 self->producer.acknowledged);
    else
        fprintf (stderr, "weir send: stopped; %" PRIu64 " event%s accepted\n",
                 self->producer.accepted, self->producer.accepted == 1 ? " was" : "s were");
    return EXIT_INTERRUPTED;
}

static int send_file (sending_t *self, const wanted_t *wanted)
{
    error_t error;
    status_t status = find_producer (self, wanted, &error);
    if (status == STATUS_OK && self->producer.done)
        return summarise (self, true);
    if (status == STATUS_OK && self->producer.acknowledged > 0)
        fprintf (stderr, "going on after batch %" PRIu64 "\n", self->producer.acknowledged);
    if (status == STATUS_OK)
        status = begin (self, wanted->in_order, &error);
    interrupt_waits ();
    if (status == STATUS_OK)
        status = send_all (self, &error);
    if (status == STATUS_OK) {
        self->producer.done = true;
        self->producer.refused += self->bad_records;
        self->bad_records = 0;
    }
    if (self->sender)
        save (self, true);
    if (status == STATUS_CANCELLED)
        return interrupted (self);
    return status == STATUS_OK ? summarise (self, false) : call_failed (self->call, &error);
}

static int run (call_t *call)
{
    wanted_t wanted = { .batch_rows = BATCH_ROWS };
    const option_spec_t specs[] = {
        { 'f', "format", "FORMAT", "csv or ndjson (default: by ending or content)", &wanted.format,
          NULL },
        { 0, "batch", "ROWS", "rows in one message (default: 500; of stdin 20)", &wanted.batch,
          NULL },
        { 0, "again", NULL, "as new events, also if the file was sent before", NULL,
          &wanted.again },
        { 0, "in-order", NULL,
          "one batch after the other: first and last at equal times go by order", NULL,
          &wanted.in_order },
    };
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (wanted.batch &&
        !call_number (call, "batch", wanted.batch, WIRE_ELEMENTS_MAX, &wanted.batch_rows))
        return EXIT_USAGE;
    if (!call_weir (call))
        return EXIT_FAILED;
    const char *path = call->words_count > 1 ? call->words[1] : "-";
    sending_t *self = mem_zero (1, sizeof *self);
    self->call = call;
    self->source.fd = -1;
    error_t error;
    status_t status = find_stream (self, call->words[0], &error);
    if (status == STATUS_OK)
        status = source_open (&self->source, path, wanted.format, &error);
    if (status == STATUS_OK && self->source.total == 0 && !wanted.batch)
        wanted.batch_rows = LIVE_ROWS;
    exit_status = status == STATUS_OK ? send_file (self, &wanted) : call_failed (call, &error);
    client_sender_destroy (&self->sender);
    text_reader_destroy (&self->reader);
    source_close (&self->source);
    registered_release (&self->registered);
    mem_free (self->state_path);
    mem_free (self);
    return exit_status;
}

const command_t command_send = {
    .name = "send",
    .group = "Events",
    .operands = "STREAM [FILE]",
    .purpose = "Streams events in, and returns when all are acknowledged",
    .details = "Without FILE, or with -, reads stdin. A file that was interrupted goes on where it "
               "was, and "
               "one that was\nsent is not sent twice, unless --again. Rows that break a rule are "
               "refused one "
               "by one; then the exit\nstatus is 1.",
    .examples = "  weir send payments live.ndjson\n"
                "  weir generate payments --live --rate 50 | weir send payments -",
    .least = 1,
    .most = 2,
    .run = run,
};
