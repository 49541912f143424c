/* send PROJECT STREAM COUNT - sends so many payments, the 100th of each hundred a bad one, and says
 * what came of them. */
#include <weir.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_us (void)
{
    struct timespec now;
    timespec_get (&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static weir_status_t put_payment (weir_sender_t *sender, long i, weir_error_t *error)
{
    char id[32], user[32];
    snprintf (id, sizeof id, "c%ld", i);
    snprintf (user, sizeof user, "u%ld", i % 10);
    const weir_value_t row[] = {
        weir_string (id),
        i % 100 == 99 ? weir_null () : weir_string (user), /* the stream requires a user */
        weir_float (0.5 * (double)(i % 7)),
        weir_timestamp (now_us ()),
    };
    return weir_sender_put (sender, row, -1, error); /* waits when the window is full */
}

static void print_report (weir_sender_t *sender)
{
    const weir_report_t *report = weir_sender_report (sender);
    printf ("%" PRIu64 " rows: %" PRIu64 " accepted, %" PRIu64 " refused\n", report->rows,
            report->accepted, report->refused);
    for (uint64_t i = 0; i < report->refused_rows_count && i < 3; i++)
        printf ("row %" PRIu64 ": %s\n", report->refused_rows[i].row,
                report->refused_rows[i].reason);
    for (uint64_t i = 0; i < report->positions_count; i++)
        printf ("%s/%" PRIu32 " is at %" PRIu64 "\n", report->positions[i].log,
                report->positions[i].partition, report->positions[i].position);
}

int main (int argc, char **argv)
{
    static const char *const columns[] = { "payment_id", "user_id", "amount", "ts" };
    weir_options_t options;
    weir_sender_options_t sending;
    weir_t *weir;
    weir_sender_t *sender = NULL;
    weir_error_t error;
    if (argc != 4) {
        fprintf (stderr, "usage: send PROJECT STREAM COUNT\n");
        return 2;
    }
    weir_options_init (&options);
    options.project = argv[1];
    if (weir_open (&options, &weir, &error) != WEIR_OK) {
        fprintf (stderr, "send: %s\n", error.text);
        return 1;
    }
    weir_sender_options_init (&sending);
    sending.stream = argv[2];
    sending.columns = columns;
    sending.columns_count = 4;
    const long count = strtol (argv[3], NULL, 10);
    weir_status_t status = weir_sender_open (weir, &sending, &sender, &error);
    for (long i = 0; i < count && status == WEIR_OK; i++)
        status = put_payment (sender, i, &error);
    if (status == WEIR_OK)
        status = weir_sender_flush (sender, 60000, &error); /* durable and visible after this */
    if (status == WEIR_OK)
        print_report (sender);
    else
        fprintf (stderr, "send: %s: %s\n", weir_status_word (status), error.text);
    weir_sender_close (&sender);
    weir_close (&weir);
    return status == WEIR_OK ? 0 : 1;
}
