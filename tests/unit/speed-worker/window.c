/* The 64 sequences that owners tell apart: what is acknowledged is there, whatever a producer sends
 * in which order. */
#include "tests/unit/speed-worker/town.h"

#include "storage/dedupe.h"

static void make (town_t *town, payment_t *payments, size_t count)
{
    for (size_t i = 0; i < count; i++)
        payments[i] =
            payments_random (&town->random, town->worker[0].rig.clock, TIME_HOUR, PARTITIONS);
}

/* Sends payments[sequence], saying that. */
static void send_one (town_t *town, const payment_t *payments, uint64_t sequence, uint64_t oldest)
{
    town->oldest = oldest;
    town_send (town, 0, &payments[sequence], 1, sequence);
    town_run (town);
}

static void expect_taken (town_t *town, const payment_t *payments, uint64_t sequence)
{
    message_t message = town_reply (town, MESSAGE_SEND_OK);
    town_note (town, &message, &payments[sequence], 1);
}

/* Others fill what waits for the disk until a producer of ours is told `busy` for its sequence 1.
 */
static void be_told_busy (town_t *town, const payment_t *payments)
{
    uint8_t ours[PRODUCER_SIZE];
    memcpy (ours, town->producer, sizeof ours);
    town->worker[0].hold_jobs = true;
    unsigned sent = 0;
    for (; sent < 4000 && !town_answered (town); sent++) {
        town->producer[14] = (uint8_t)(1 + sent / 64);
        send_one (town, payments, 1 + sent % 64, 1);
    }
    town_expect_error (town, STATUS_BUSY, "disk");
    memcpy (town->producer, ours, sizeof ours);
    send_one (town, payments, 1, 1);
    town_expect_error (town, STATUS_BUSY, "disk");
    town->worker[0].hold_jobs = false;
    town_run (town);
    for (unsigned i = 0; i + 1 < sent; i++)
        expect_taken (town, payments, 1 + i % 64);
}

enum { SOME = 200 };

/* All of one partition, so that one owner sees every sequence. */
static void make_of_one_user (town_t *town, payment_t *payments)
{
    make (town, payments, SOME);
    for (size_t i = 1; i < SOME; i++) {
        payments[i].user = payments[0].user;
        payments[i].partition = payments[0].partition;
    }
}

Test (window, a_batch_that_was_told_busy_is_there_when_it_is_acknowledged)
{
    town_t town;
    town_init (&town, 31, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[SOME];
    make_of_one_user (&town, payments);
    be_told_busy (&town, payments);
    for (uint64_t sequence = 2; sequence <= 64; sequence++) {
        send_one (&town, payments, sequence, 1);
        expect_taken (&town, payments, sequence);
    }
    for (uint64_t sequence = 65; sequence <= 67; sequence++) {
        send_one (&town, payments, sequence, 1);
        town_expect_error (&town, STATUS_INVALID, "nothing of it was written: send it when");
    }
    town_check_all (&town, 0);
    send_one (&town, payments, 1, 1);
    expect_taken (&town, payments, 1);
    for (uint64_t sequence = 65; sequence <= 67; sequence++) {
        send_one (&town, payments, sequence, 65);
        expect_taken (&town, payments, sequence);
    }
    town_check_all (&town, 0);
    town_release (&town);
}

Test (window, a_batch_that_was_told_busy_is_not_acknowledged_to_who_said_that_it_was)
{
    town_t town;
    town_init (&town, 32, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[SOME];
    make_of_one_user (&town, payments);
    be_told_busy (&town, payments);
    for (uint64_t sequence = 2; sequence <= 65; sequence++) {
        send_one (&town, payments, sequence, sequence);
        expect_taken (&town, payments, sequence);
    }
    send_one (&town, payments, 1, 1); /* as it was sent first */
    town_expect_error (&town, STATUS_INVALID, "as its producer said with 65");
    send_one (&town, payments, 1, 66); /* with what it says now */
    town_expect_error (&town, STATUS_INVALID, "the batch itself or an earlier one");
    town_check_all (&town, 0);
    /* nor by another owner, who knows it from the log */
    worker_kill (&town, 0);
    worker_start (&town, 0);
    town_give_all (&town, 0);
    town_pass (&town, 2 * TIME_SECOND);
    send_one (&town, payments, 1, 1);
    town_expect_error (&town, STATUS_INVALID, "as its producer said with 65");
    town_check_all (&town, 0);
    town_release (&town);
}

/* Its outcome went out of the table with the window, while its record is not durable yet. */
Test (window, a_batch_is_not_acknowledged_while_it_is_written_whatever_came_after_it)
{
    town_t town;
    town_init (&town, 33, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[SOME];
    make_of_one_user (&town, payments);
    town.worker[0].hold_jobs = true;
    send_one (&town, payments, 1, 1);
    send_one (&town, payments, 65, 65);
    send_one (&town, payments, 1, 1);
    town_expect_error (&town, STATUS_INVALID, "as its producer said with 65");
    cr_assert_not (town_answered (&town));
    town.worker[0].hold_jobs = false;
    town_run (&town);
    expect_taken (&town, payments, 1);
    expect_taken (&town, payments, 65);
    town_check_all (&town, 0);
    town_release (&town);
}

/* As `weir send FILE` does, of which all that was saved is that it began. */
Test (window, a_producer_that_resumes_has_all_acknowledged_and_counted_once)
{
    town_t town;
    town_init (&town, 34, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[SOME];
    make_of_one_user (&town, payments);
    for (uint64_t sequence = 1; sequence <= 150; sequence++) {
        send_one (&town, payments, sequence, sequence);
        expect_taken (&town, payments, sequence);
    }
    for (int restart = 0; restart < 2; restart++) {
        town.resumed = true;
        for (uint64_t sequence = 1; sequence <= 150; sequence++) {
            send_one (&town, payments, sequence, sequence);
            message_t message = town_reply (&town, MESSAGE_SEND_OK);
            cr_assert_eq (wire_uint (message.body, "accepted", 99), sequence > 150 - 64);
        }
        town.resumed = false;
        send_one (&town, payments, 86, 86);
        town_expect_error (&town, STATUS_INVALID, "sends `resumed`");
        send_one (&town, payments, 87, 87);
        town_reply (&town, MESSAGE_SEND_OK);
        town_check_all (&town, 0);
        /* from the log the first time, from the table in a cut record the second */
        if (restart == 1)
            break;
        town_order (&town, "cut-1", true);
        town_pass (&town, 3 * TIME_SECOND);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            town.base[p] = town_control (&town, p, "cut-1");
        town.controls = 0;
        town_pass (&town, 3 * TIME_SECOND);
        worker_kill (&town, 0);
        worker_start (&town, 0);
        town_give_all (&town, 0);
        town_pass (&town, 2 * TIME_SECOND);
    }
    town.resumed = true;
    for (uint64_t sequence = 151; sequence < SOME; sequence++) {
        send_one (&town, payments, sequence, 151);
        expect_taken (&town, payments, sequence);
    }
    town_check_all (&town, 0);
    town_release (&town);
}

/* An owner looks itself, whoever passed the batch on. */
Test (window, an_owner_takes_nothing_ahead_of_the_window)
{
    town_t town;
    town_init (&town, 35, 1);
    town_pass (&town, TIME_SECOND);
    wire_writer_t *writer = town.writer;
    wire_begin (writer, MESSAGE_APPEND, 5);
    wire_field_string (writer, "stream", "payments");
    wire_field_uint (writer, "partition", payments_partition (0, PARTITIONS));
    wire_field_bin (writer, "producer", (text_t){ (const char *)town.producer, PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", 65);
    wire_field_uint (writer, "oldest", 1);
    wire_field_list (writer, "columns");
    wire_put_string (writer, "user");
    wire_put_string (writer, "ts");
    wire_close (writer);
    wire_field_list (writer, "indexes");
    wire_put_uint (writer, 0);
    wire_close (writer);
    wire_field_list (writer, "rows");
    wire_open_list (writer);
    wire_put_string (writer, payments_user (0));
    wire_put_int (writer, town.worker[0].rig.clock);
    wire_close (writer);
    wire_close (writer);
    town_tell (&town, 0);
    town_run (&town);
    town_expect_error (&town, STATUS_INVALID, "64 or more past 1");
    town_release (&town);
}
