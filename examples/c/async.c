/* async PROJECT STREAM VIEW FIELD COUNT - sends so many payments and asks for a user's features
 * after each ten of them, from one loop of poll(2) that also does what else a program does. */
#include <weir.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct work {
    weir_t *weir;
    weir_sender_t *sender;
    const char *view, *field;
    long count, put, asked; /* rows, and how many of them and of the gets are given */
    uint64_t acknowledged, refused, answered, failed;
} work_t;

static void take_event (work_t *work, const weir_event_t *event)
{
    switch (event->kind) {
    case WEIR_EVENT_ACK:
        work->acknowledged += event->ack->rows;
        work->refused += event->ack->refused;
        break;
    case WEIR_EVENT_ANSWER:
        work->answered++; /* event->tag says which; the answer goes with the event unless taken */
        if (!event->answer) {
            work->failed++;
            fprintf (stderr, "async: get %" PRIu64 ": %s\n", event->tag, event->error->text);
        }
        break;
    case WEIR_EVENT_FAILED:
        fprintf (stderr, "async: %s\n", event->error->text);
        exit (1);
    }
}

/* Gives as much as the windows take: nothing here waits. */
static weir_status_t give (work_t *work, weir_error_t *error)
{
    char id[32], user[32];
    weir_status_t status = WEIR_OK;
    while (status == WEIR_OK && work->put < work->count) {
        if (work->asked < work->put / 10) {
            weir_get_t get;
            snprintf (user, sizeof user, "u%ld", work->asked % 10);
            weir_value_t key = weir_string (user);
            weir_get_init (&get);
            get.view = work->view;
            get.key_fields = &work->field;
            get.key_fields_count = 1;
            get.keys = &key;
            get.keys_count = 1;
            get.patience_ms = 10000;
            status = weir_get_submit (work->weir, &get, (uint64_t)work->asked, error);
            work->asked += status == WEIR_OK;
            continue;
        }
        snprintf (id, sizeof id, "a%ld", work->put);
        snprintf (user, sizeof user, "u%ld", work->put % 10);
        const weir_value_t row[] = { weir_string (id), weir_string (user), weir_float (1),
                                     weir_timestamp ((int64_t)time (NULL) * 1000000) };
        status = weir_sender_put (work->sender, row, 0, error);
        work->put += status == WEIR_OK;
    }
    if (status == WEIR_OK)
        status = weir_sender_push (work->sender, error); /* the last ones are no whole batch */
    return status == WEIR_BUSY ? WEIR_OK : status;       /* full: go on when something is told */
}

static weir_status_t run (work_t *work, weir_error_t *error)
{
    weir_status_t status = give (work, error);
    while (status == WEIR_OK && weir_pending (work->weir) > 0) {
        struct pollfd ours[] = { { .fd = weir_fd (work->weir), .events = POLLIN }
                                 /* … and what else the program waits for */ };
        (void)poll (ours, 1, -1);
        weir_event_t *event;
        while ((status = weir_poll (work->weir, 0, &event, error)) == WEIR_OK && event) {
            take_event (work, event);
            weir_event_destroy (&event);
        }
        if (status == WEIR_OK)
            status = give (work, error);
    }
    return status;
}

int main (int argc, char **argv)
{
    static const char *const columns[] = { "payment_id", "user_id", "amount", "ts" };
    weir_options_t options;
    weir_sender_options_t sending;
    weir_error_t error;
    work_t work = { 0 };
    if (argc != 6) {
        fprintf (stderr, "usage: async PROJECT STREAM VIEW FIELD COUNT\n");
        return 2;
    }
    work.view = argv[3];
    work.field = argv[4];
    work.count = strtol (argv[5], NULL, 10);
    weir_options_init (&options);
    options.project = argv[1];
    options.gets_max = 32;
    weir_status_t status = weir_open (&options, &work.weir, &error);
    if (status == WEIR_OK) {
        weir_sender_options_init (&sending);
        sending.stream = argv[2];
        sending.columns = columns;
        sending.columns_count = 4;
        sending.batch_rows = 50;
        sending.flags = WEIR_SEND_ACKS;
        status = weir_sender_open (work.weir, &sending, &work.sender, &error);
    }
    if (status == WEIR_OK)
        status = run (&work, &error);
    if (status != WEIR_OK)
        fprintf (stderr, "async: %s: %s\n", weir_status_word (status), error.text);
    printf ("%" PRIu64 " rows acknowledged, %" PRIu64 " refused; %" PRIu64 " answers, %" PRIu64
            " failed\n",
            work.acknowledged, work.refused, work.answered, work.failed);
    weir_close (&work.weir); /* and its sender */
    return status == WEIR_OK && work.failed == 0 ? 0 : 1;
}
