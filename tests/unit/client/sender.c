/* A sender against a speed worker that loses, delays and refuses: every batch is acknowledged once,
 * none is changed, and what is under way fits the window. */
#include "client/lib/client.h"

#include "base/mem.h"
#include "base/random.h"
#include "tests/rig/node.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

TestSuite (sender, .timeout = 120);

enum { BATCHES = 300, ROWS = 3, WINDOW = 8 };

typedef struct worker {
    rig_node_t node;
    unsigned bad_percent; /* of the batches that come are dropped, answered `busy`, or answered
                             twice */
    bool foreign;         /* of another cluster than the project */
    bool refuses;         /* everything, for good */
    uint32_t retry_ms;    /* that goes with `busy`, which is then answered to each batch once */
    int64_t told[BATCHES + 1]; /* ms, when it was */
    bool early;                /* a batch came again before that */
    random_t random;
    unsigned came[BATCHES + 1]; /* by sequence */
    uint64_t low;               /* all below are acknowledged */
    uint64_t highest_oldest;    /* that came with a batch */
    unsigned resumed;           /* batches that said so */
    bool resumes;               /* the sender is told to */
    bool done[BATCHES + 2];
    bool wrong; /* something came that must not */
} worker_t;

static int64_t now_ms (void)
{
    struct timespec now;
    if (clock_gettime (CLOCK_BOOTTIME, &now) != 0)
        abort ();
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void refuse (const rig_reply_t *reply, const message_t *message, const error_t *error)
{
    const void *data;
    size_t size;
    wire_error (reply->writer, message->id, error, &data, &size);
    transport_send (reply->transport, reply->to, data, size);
}

/* False: the batch came again after the time. */
static bool told_to_wait (worker_t *self, const rig_reply_t *reply, const message_t *message,
                          uint64_t sequence)
{
    error_t error;
    if (self->told[sequence] > 0) {
        self->early |= now_ms () < self->told[sequence] + self->retry_ms;
        return false;
    }
    self->told[sequence] = now_ms ();
    (void)error_set_retry (&error, STATUS_NO_SPACE, self->retry_ms, "no room");
    refuse (reply, message, &error);
    return true;
}

static void answer_batch (worker_t *self, const rig_reply_t *reply, const message_t *message)
{
    uint64_t sequence = wire_uint (message->body, "sequence", 0);
    wire_writer_t *writer = reply->writer;
    const void *data;
    size_t size;
    if (self->retry_ms > 0 && told_to_wait (self, reply, message, sequence))
        return;
    if (self->refuses || random_below (&self->random, 100) < self->bad_percent) {
        error_t error;
        if (!self->refuses && random_chance (&self->random, 0.5))
            return;
        error_set (&error, self->refuses ? STATUS_INVALID : STATUS_BUSY, "not now");
        refuse (reply, message, &error);
        return;
    }
    wire_begin (writer, MESSAGE_SEND_OK, message->id);
    wire_field_uint (writer, "accepted", ROWS - 1);
    wire_field_uint (writer, "refused_count", 1);
    wire_field_list (writer, "refused");
    wire_open_map (writer);
    wire_field_uint (writer, "row", sequence % ROWS);
    wire_field_string (writer, "reason", "because");
    wire_close (writer);
    wire_close (writer);
    wire_field_map (writer, "positions");
    wire_close (writer);
    self->wrong |= !wire_end (writer, &data, &size);
    transport_send (reply->transport, reply->to, data, size);
    if (random_below (&self->random, 100) < self->bad_percent)
        transport_send (reply->transport, reply->to, data, size);
    self->done[sequence] = true;
    while (self->done[self->low])
        self->low++;
}

static void take (worker_t *self, const message_t *message)
{
    uint64_t sequence = wire_uint (message->body, "sequence", 0);
    wire_list_t rows = wire_list (message->body, "rows");
    self->wrong |= sequence < 1 || sequence > BATCHES || rows.count != ROWS;
    self->wrong |= sequence >= self->low + WINDOW; /* the oldest one is not acknowledged */
    uint64_t oldest = wire_uint (message->body, "oldest", 0);
    self->wrong |= oldest > self->low || oldest > sequence || sequence >= oldest + WINDOW;
    self->highest_oldest = oldest > self->highest_oldest ? oldest : self->highest_oldest;
    self->resumed += wire_bool (message->body, "resumed", false);
    for (uint32_t r = 0; r < rows.count && !self->wrong; r++) {
        wire_list_t cells = wire_items (&rows.items[r]);
        self->wrong |= cells.count != 1 || cells.items[0].via.u64 != sequence * ROWS + r;
    }
    if (!self->wrong)
        self->came[sequence]++;
}

static void answer (void *arg, const rig_reply_t *reply, const message_t *message)
{
    worker_t *self = arg;
    if (message->kind == MESSAGE_PING) {
        rig_reply_pong (reply, message, "speed", self->foreign ? "shop" : "c");
        return;
    }
    self->wrong |= message->kind != MESSAGE_SEND;
    if (!self->wrong)
        take (self, message);
    if (!self->wrong)
        answer_batch (self, reply, message);
}

typedef struct outcome {
    unsigned acknowledged[BATCHES + 1];
    unsigned waits;
    uint32_t shortest_ms;
    bool wrong;
} outcome_t;

static void waits (void *arg, uint32_t wait_ms, const char *reason)
{
    outcome_t *self = arg;
    self->shortest_ms =
        self->waits == 0 || wait_ms < self->shortest_ms ? wait_ms : self->shortest_ms;
    self->waits++;
    self->wrong |= strcmp (reason, "no room") != 0 && strcmp (reason, "not now") != 0;
}

static void acknowledged (void *arg, const client_acknowledged_t *what)
{
    outcome_t *self = arg;
    self->acknowledged[what->sequence]++;
    self->wrong |= what->tag != 7 * what->sequence || what->rows != ROWS ||
                   what->accepted != ROWS - 1 || what->refused.count != 1 ||
                   wire_uint (&what->refused.items[0], "row", 99) != what->sequence % ROWS;
}

/* A project with one speed worker at the endpoint. */
static client_t *open_weir (const char *endpoint)
{
    project_t *project;
    error_t error;
    char *text = mem_format ("cluster: c\nnodes:\n  speed_workers: %s\n", endpoint);
    cr_assert_eq (project_parse ("/tmp", text_of (text), &project, &error), STATUS_OK, "%s",
                  error.text);
    client_t *weir = client_of_project (project);
    project_destroy (&project);
    mem_free (text);
    return weir;
}

static status_t send_batch (client_sender_t *sender, uint64_t sequence, error_t *error)
{
    text_t column = text_of ("n");
    raw_t cells[ROWS];
    for (size_t r = 0; r < ROWS; r++)
        cells[r] = (raw_t){ .kind = RAW_INT, .i = (int64_t)(sequence * ROWS + r) };
    raw_table_t table = { .columns = &column, .columns_count = 1, .cells = cells, .rows = ROWS };
    return client_sender_send (sender, &table, 7 * sequence, error);
}

static status_t send_all (worker_t *worker, outcome_t *outcome, error_t *error)
{
    worker->low = 1;
    worker->node.answer = answer;
    worker->node.arg = worker;
    rig_node_start (&worker->node, "worker");
    client_t *weir = open_weir (worker->node.endpoint);
    client_sender_options_t options = { .stream = "s",
                                        .first_sequence = 1,
                                        .resumed = worker->resumes,
                                        .unacknowledged = WINDOW,
                                        .answer_ms = worker->retry_ms > 0 ? 5000 : 40,
                                        .acknowledged = acknowledged,
                                        .waits = waits,
                                        .arg = outcome };
    client_sender_t *sender = NULL;
    client_producer_new (options.producer);
    status_t status = client_sender_new (weir, &options, &sender, error);
    for (uint64_t sequence = 1; sequence <= BATCHES && status == STATUS_OK; sequence++)
        status = send_batch (sender, sequence, error);
    if (status == STATUS_OK)
        status = client_sender_flush (sender, error);
    client_sender_destroy (&sender);
    client_close (&weir);
    rig_node_stop (&worker->node);
    return status;
}

Test (sender, gets_every_batch_acknowledged_once_whatever_is_lost)
{
    for (unsigned bad = 0; bad <= 30; bad += 15) {
        worker_t worker = { .bad_percent = bad };
        outcome_t outcome = { 0 };
        error_t error;
        random_seed (&worker.random, bad + 1);
        status_t status = send_all (&worker, &outcome, &error);
        cr_assert_eq (status, STATUS_OK, "%s", error.text);
        cr_assert_not (worker.wrong);
        cr_assert_not (outcome.wrong);
        cr_assert_gt (worker.highest_oldest, BATCHES - WINDOW);
        cr_assert_eq (worker.resumed, 0);
        unsigned again = 0;
        for (uint64_t i = 1; i <= BATCHES; i++) {
            cr_expect_eq (outcome.acknowledged[i], 1, "batch %" PRIu64, i);
            cr_expect_geq (worker.came[i], 1);
            again += worker.came[i] > 1;
        }
        cr_expect (bad == 0 || again > 0, "nothing had to be sent again: the test tests nothing");
    }
}

Test (sender, says_of_every_batch_that_it_resumes)
{
    worker_t worker = { .bad_percent = 15, .resumes = true };
    outcome_t outcome = { 0 };
    error_t error;
    unsigned came = 0;
    random_seed (&worker.random, 1);
    cr_assert_eq (send_all (&worker, &outcome, &error), STATUS_OK, "%s", error.text);
    for (uint64_t i = 1; i <= BATCHES; i++)
        came += worker.came[i];
    cr_expect_not (worker.wrong);
    cr_expect_eq (worker.resumed, came);
}

Test (sender, waits_as_long_as_a_worker_without_room_asks_for)
{
    worker_t worker = { .retry_ms = 100 };
    outcome_t outcome = { 0 };
    error_t error;
    random_seed (&worker.random, 1);
    cr_assert_eq (send_all (&worker, &outcome, &error), STATUS_OK, "%s", error.text);
    cr_expect_not (worker.early);
    cr_expect_not (outcome.wrong);
    cr_expect_eq (outcome.waits, BATCHES);
    cr_expect_geq (outcome.shortest_ms, worker.retry_ms);
    for (uint64_t i = 1; i <= BATCHES; i++) {
        cr_expect_eq (outcome.acknowledged[i], 1, "batch %" PRIu64, i);
        cr_expect_eq (worker.came[i], 2, "batch %" PRIu64, i);
    }
}

Test (sender, ends_with_the_reason_of_a_batch_that_is_refused_as_a_whole)
{
    worker_t worker = { .refuses = true };
    outcome_t outcome = { 0 };
    error_t error;
    status_t status = send_all (&worker, &outcome, &error);
    cr_expect_eq (status, STATUS_INVALID);
    cr_expect_str_eq (error.text, "not now");
}

Test (sender, sends_nothing_to_a_worker_of_another_cluster)
{
    worker_t worker = { .foreign = true };
    outcome_t outcome = { 0 };
    error_t error;
    cr_expect_eq (send_all (&worker, &outcome, &error), STATUS_INVALID);
    cr_expect_not_null (strstr (error.text, " is cluster 'shop', not 'c'"), "%s", error.text);
    cr_expect_eq (worker.came[1], 0);
}

Test (sender, tells_at_once_that_nobody_is_there)
{
    client_t *weir = open_weir ("ipc:///tmp/weir-sender-nobody");
    client_sender_options_t options = { .stream = "s", .first_sequence = 1 };
    client_sender_t *sender;
    error_t error;
    cr_expect_eq (client_sender_new (weir, &options, &sender, &error), STATUS_UNAVAILABLE);
    cr_expect (client_unreachable (weir));
    cr_expect_null (sender);
    client_close (&weir);
}
