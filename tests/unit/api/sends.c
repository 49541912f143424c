/* Rows through the C library, against a played speed worker. */
#include "tests/unit/api/played.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

TestSuite (sends, .timeout = 120);

static played_t worker, serving;
static weir_t *weir;
static weir_error_t error;

static weir_sender_options_t options_of (uint32_t batch_rows, uint32_t window, uint32_t flags)
{
    static const char *const columns[] = { "id", "amount" };
    weir_sender_options_t options;
    weir_sender_options_init (&options);
    options.stream = "payments";
    options.columns = columns;
    options.columns_count = 2;
    options.batch_rows = batch_rows;
    options.window = window;
    options.linger_ms = 10000; /* batches are what the test makes them */
    options.flags = flags;
    options.tag = 42;
    return options;
}

static weir_sender_t *open_sender (const weir_sender_options_t *options)
{
    weir_sender_t *sender;
    cr_assert_eq (weir_sender_open (weir, options, &sender, &error), WEIR_OK, "%s", error.text);
    return sender;
}

static weir_status_t put (weir_sender_t *sender, int64_t i, int timeout_ms)
{
    const weir_value_t row[] = { weir_int (i), weir_float (0.5) };
    return weir_sender_put (sender, row, timeout_ms, &error);
}

Test (sends, are_acknowledged_in_batches_and_reported)
{
    played_start (&worker, "speed");
    atomic_store (&worker.refuse, 4);
    weir = played_open (NULL, NULL, &worker);
    const weir_sender_options_t options = options_of (10, 4, 0);
    weir_sender_t *sender = open_sender (&options);
    for (int64_t i = 0; i < 995; i++)
        cr_assert_eq (put (sender, i, -1), WEIR_OK, "%s", error.text);
    cr_assert_eq (weir_sender_flush (sender, -1, &error), WEIR_OK, "%s", error.text);
    const weir_report_t *report = weir_sender_report (sender);
    cr_expect_eq (report->rows, 995);
    cr_expect_eq (report->acknowledged, 995);
    cr_expect_eq (report->refused, 99 * 3 + 2);
    cr_expect_eq (report->accepted, 995 - report->refused);
    cr_assert_eq (report->refused_rows_count, WEIR_REFUSED_LISTED);
    cr_expect_str_eq (report->refused_rows[0].reason, "bad");
    cr_assert_eq (report->positions_count, 2);
    cr_expect_str_eq (report->positions[0].log, "payments/user_id");
    cr_expect (report->positions[0].partition == 0 && report->positions[0].position == 7);
    cr_expect (report->positions[1].partition == 1 && report->positions[1].position == 10000);
    cr_expect_eq (atomic_load (&worker.rows), 995);
    cr_expect_eq (weir_pending (weir), 0, "no event was asked for");
    cr_assert_eq (weir_sender_flush (sender, 0, &error), WEIR_OK, "again");
    weir_sender_close (&sender);
    weir_close (&weir);
    played_stop (&worker);
}

Test (sends, are_told_one_acknowledgement_each_where_that_is_asked_for)
{
    uint64_t rows = 0, events = 0;
    bool seen[100] = { false };
    played_start (&worker, "speed");
    atomic_store (&worker.refuse, 7);
    weir = played_open (NULL, NULL, &worker);
    const weir_sender_options_t options = options_of (10, 4, WEIR_SEND_ACKS);
    weir_sender_t *sender = open_sender (&options);
    for (int64_t i = 0; i < 1000 || weir_pending (weir) > 0;) {
        weir_event_t *event;
        weir_status_t status = WEIR_OK;
        while (i < 1000 && status == WEIR_OK) {
            status = put (sender, i, 0);
            i += status == WEIR_OK;
        }
        cr_assert (status == WEIR_OK || status == WEIR_BUSY, "%s", error.text);
        cr_assert_leq (weir_pending (weir), 5, "the window, and the batch that is gathered");
        cr_assert_eq (weir_poll (weir, -1, &event, &error), WEIR_OK);
        if (!event)
            continue;
        cr_assert_eq (event->kind, WEIR_EVENT_ACK);
        cr_assert (event->tag == 42 && event->status == WEIR_OK);
        const weir_ack_t *ack = event->ack;
        cr_assert (ack->rows == 10 && ack->accepted == 8 && ack->refused == 2);
        cr_assert_eq (ack->first_row % 10, 0);
        cr_assert_not (seen[ack->first_row / 10]);
        seen[ack->first_row / 10] = true;
        cr_assert_eq (ack->sequence, ack->first_row / 10 + 1);
        cr_assert_eq (ack->refused_rows_count, 2);
        cr_assert_eq (ack->refused_rows[1].row, ack->first_row + 7);
        cr_assert_eq (ack->positions_count, 2);
        cr_assert_eq (ack->positions[0].position, 100 * ack->sequence);
        rows += ack->rows;
        events++;
        weir_event_destroy (&event);
    }
    cr_expect (rows == 1000 && events == 100, "%" PRIu64 " rows, %" PRIu64 " events", rows, events);
    weir_close (&weir); /* and its sender */
    played_stop (&worker);
}

/* Who does not collect is told so, and what was acknowledged takes up no more than the window. */
Test (sends, stop_at_the_window_while_nothing_is_collected)
{
    weir_event_t *event;
    weir_status_t status = WEIR_OK;
    int64_t taken = 0;
    played_start (&worker, "speed");
    weir = played_open (NULL, NULL, &worker);
    const weir_sender_options_t options = options_of (5, 3, WEIR_SEND_ACKS);
    weir_sender_t *sender = open_sender (&options);
    for (; taken < 1000 && status == WEIR_OK; taken++)
        status = put (sender, taken, -1); /* waits for the cluster, but not for us */
    cr_assert_eq (status, WEIR_BUSY);
    cr_expect_not_null (strstr (error.text, "not collected"), "%s", error.text);
    cr_expect_leq (taken, 5 * (3 + 1) + 1);
    cr_assert_eq (weir_sender_flush (sender, -1, &error), WEIR_BUSY);
    for (uint64_t collected = 0; collected < (uint64_t)taken - 1;) {
        cr_assert_eq (weir_poll (weir, 5000, &event, &error), WEIR_OK);
        cr_assert_not_null (event);
        collected += event->ack->rows;
        weir_event_destroy (&event);
    }
    cr_assert_eq (weir_sender_flush (sender, -1, &error), WEIR_OK, "%s", error.text);
    weir_close (&weir);
    played_stop (&worker);
}

Test (sends, say_when_the_window_is_full)
{
    weir_status_t status = WEIR_OK;
    int64_t taken = 0;
    played_start (&worker, "speed");
    weir = played_open (NULL, NULL, &worker);
    const weir_sender_options_t options = options_of (5, 2, 0);
    weir_sender_t *sender = open_sender (&options);
    cr_assert_eq (put (sender, 0, 0), WEIR_OK);
    cr_assert_eq (weir_sender_flush (sender, -1, &error), WEIR_OK); /* the worker is known */
    atomic_store (&worker.node.silent, true);
    for (; taken < 1000 && status == WEIR_OK; taken++)
        status = put (sender, taken, 0);
    cr_assert_eq (status, WEIR_BUSY);
    cr_expect_eq (taken, 5 * (2 + 1) + 1, "two batches are under way, one is full");
    cr_expect_eq (weir_sender_push (sender, &error), WEIR_BUSY);
    cr_expect_eq (put (sender, 0, 50), WEIR_BUSY);
    cr_expect_eq (weir_sender_flush (sender, 50, &error), WEIR_TIMEOUT);
    cr_expect_eq (weir_pending (weir), 3);
    atomic_store (&worker.node.silent, false);
    cr_assert_eq (weir_sender_flush (sender, -1, &error), WEIR_OK, "%s", error.text);
    cr_expect_eq (weir_sender_report (sender)->acknowledged, 16);
    weir_close (&weir);
    played_stop (&worker);
}

Test (sends, go_on_with_another_worker_or_the_same_when_it_is_back)
{
    played_start (&worker, "speed");
    weir = played_open (NULL, NULL, &worker);
    const weir_sender_options_t options = options_of (5, 4, 0);
    weir_sender_t *sender = open_sender (&options);
    cr_assert_eq (put (sender, 0, 0), WEIR_OK);
    cr_assert_eq (weir_sender_flush (sender, -1, &error), WEIR_OK);
    played_stop (&worker);
    for (int64_t i = 0; i < 20; i++)
        cr_assert_eq (put (sender, i, 0), WEIR_OK, "%s", error.text);
    cr_assert_eq (weir_sender_flush (sender, 300, &error), WEIR_TIMEOUT, "nobody is there");
    played_start (&worker, "speed");
    cr_assert_eq (weir_sender_flush (sender, -1, &error), WEIR_OK, "%s", error.text);
    cr_expect_eq (weir_sender_report (sender)->acknowledged, 21);
    weir_close (&weir);
    played_stop (&worker);
}

Test (sends, that_are_refused_as_a_whole_end_the_sender_and_it_is_told_once)
{
    weir_event_t *event;
    unsigned failures = 0;
    played_start (&worker, "speed");
    atomic_store (&worker.send_status, "not-found");
    weir = played_open (NULL, NULL, &worker);
    const weir_sender_options_t options = options_of (5, 4, WEIR_SEND_ACKS);
    weir_sender_t *sender = open_sender (&options);
    for (int64_t i = 0; i < 10; i++)
        cr_assert_eq (put (sender, i, 0), WEIR_OK, "%s", error.text);
    do {
        cr_assert_eq (weir_poll (weir, -1, &event, &error), WEIR_OK);
        if (!event)
            continue;
        cr_assert_eq (event->kind, WEIR_EVENT_FAILED);
        cr_assert (event->tag == 42 && event->status == WEIR_NOT_FOUND);
        cr_assert_str_eq (event->error->text, "as played");
        weir_event_destroy (&event);
        failures++;
    } while (weir_pending (weir) > 0);
    cr_expect_eq (failures, 1);
    cr_expect_eq (put (sender, 1, -1), WEIR_NOT_FOUND);
    cr_expect_eq (weir_sender_flush (sender, -1, &error), WEIR_NOT_FOUND);
    weir_sender_close (&sender);
    weir_close (&weir);
    played_stop (&worker);
}

Test (sends, give_up_when_patience_is_over)
{
    weir = played_open (NULL, NULL, NULL);
    weir_sender_options_t options = options_of (5, 4, 0);
    options.patience_ms = 200;
    weir_sender_t *sender = open_sender (&options);
    cr_assert_eq (put (sender, 1, -1), WEIR_OK);
    cr_assert_eq (weir_sender_flush (sender, -1, &error), WEIR_UNAVAILABLE);
    cr_expect_not_null (strstr (error.text, "not acknowledged"), "%s", error.text);
    weir_close (&weir);
}

/* Linger alone sends a batch that is not whole. */
Test (sends, wait_no_longer_than_they_may_for_a_whole_batch)
{
    played_start (&worker, "speed");
    weir = played_open (NULL, NULL, &worker);
    weir_sender_options_t options = options_of (1000, 4, WEIR_SEND_ACKS);
    options.linger_ms = 20;
    weir_sender_t *sender = open_sender (&options);
    int fd = weir_fd (weir);
    for (int64_t i = 0; i < 3; i++) {
        weir_event_t *event = NULL;
        cr_assert_eq (put (sender, i, 0), WEIR_OK);
        while (!event) {
            struct pollfd item = { .fd = fd, .events = POLLIN };
            cr_assert_eq (poll (&item, 1, 5000), 1);
            cr_assert_eq (weir_poll (weir, 0, &event, &error), WEIR_OK);
        }
        cr_assert_eq (event->ack->rows, 1);
        weir_event_destroy (&event);
    }
    weir_close (&weir);
    played_stop (&worker);
}

/* Two senders and gets on one handle, each told what is its own. */
Test (sends, and_gets_go_together_on_one_handle)
{
    weir_answer_t *answer;
    played_start (&worker, "speed");
    played_start (&serving, "serving");
    weir = played_open (&serving, NULL, &worker);
    const weir_sender_options_t options = options_of (7, 4, 0);
    weir_sender_t *a = open_sender (&options), *b = open_sender (&options);
    for (int64_t i = 0; i < 700; i++) {
        cr_assert_eq (put (a, i, -1), WEIR_OK, "%s", error.text);
        cr_assert_eq (put (b, i, -1), WEIR_OK, "%s", error.text);
        if (i % 10 == 0) {
            cr_assert_eq (weir_get (weir, played_get (2), &answer, &error), WEIR_OK, "%s",
                          error.text);
            weir_answer_destroy (&answer);
        }
    }
    cr_assert_eq (weir_sender_flush (a, -1, &error), WEIR_OK);
    weir_sender_close (&a);
    cr_assert_eq (weir_sender_flush (b, -1, &error), WEIR_OK);
    cr_expect_eq (weir_sender_report (b)->acknowledged, 700);
    cr_expect_eq (atomic_load (&worker.rows), 1400);
    weir_close (&weir);
    played_stop (&worker);
    played_stop (&serving);
}
