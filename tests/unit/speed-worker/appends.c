/* A batch's way: split, appended, flushed, and acknowledged when it is durable and leased. */
#include "tests/unit/speed-worker/town.h"

static void make (town_t *town, payment_t *payments, size_t count)
{
    for (size_t i = 0; i < count; i++)
        payments[i] =
            payments_random (&town->random, town->worker[0].rig.clock, TIME_HOUR, PARTITIONS);
}

Test (appends, ordered_partitions_are_opened_and_reported)
{
    town_t town;
    town_init (&town, 1, 1);
    town.worker[0].hold_jobs = true;
    town_pass (&town, TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert (town_is (&town, p, "opening"));
    town.worker[0].hold_jobs = false;
    town_pass (&town, TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert (town_is (&town, p, "serving"));
    town_add (&town, 0, 100);
    town_add (&town, 0, 1);
    town_check_all (&town, 0);
    town_release (&town);
}

Test (appends, a_partition_is_not_serving_before_the_definitions_of_its_logs_are_there)
{
    town_t town;
    town_init (&town, 2, 1);
    town.definitions = 0;
    town_pass (&town, TIME_SECOND);
    cr_assert (town_is (&town, 0, "opening"));
    payment_t payment;
    make (&town, &payment, 1);
    town_send (&town, 0, &payment, 1, 1);
    town_run (&town);
    town_expect_error (&town, STATUS_UNAVAILABLE, "not known here yet");
    town.definitions = 1;
    town_pass (&town, 2 * TIME_SECOND);
    cr_assert (town_is (&town, 0, "serving"));
    town_release (&town);
}

Test (appends, are_acknowledged_when_durable_and_not_before)
{
    town_t town;
    town_init (&town, 3, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[20];
    make (&town, payments, 20);
    town.worker[0].hold_jobs = true;
    town_send (&town, 0, payments, 20, 1);
    town_run (&town);
    cr_assert_not (town_answered (&town));
    town.worker[0].hold_jobs = false;
    town_run (&town);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &message, payments, 20);
    cr_assert_not (town_answered (&town));
    town_check_all (&town, 0);
    town_release (&town);
}

Test (appends, are_not_visible_before_they_are_durable)
{
    town_t town;
    town_init (&town, 4, 1);
    town_pass (&town, TIME_SECOND);
    town_add (&town, 0, 50);
    payment_t payments[20];
    make (&town, payments, 20);
    town.worker[0].hold_jobs = true;
    town_send (&town, 0, payments, 20, 99);
    town_run (&town);
    town_check_all (&town, 0);
    town_release (&town);
}

Test (appends, are_not_acknowledged_after_the_lease_ran_out)
{
    town_t town;
    town_init (&town, 5, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[20];
    make (&town, payments, 20);
    town.worker[0].cut_off = true;
    town.worker[0].hold_jobs = true;
    town_pass (&town, 5 * TIME_SECOND);
    town_send (&town, 0, payments, 20, 1);
    town_pass (&town, 3 * TIME_SECOND);
    town.worker[0].hold_jobs = false;
    town_run (&town);
    town_expect_error (&town, STATUS_FENCED, "lease ran out");
    cr_assert_str_eq (town_ask (&town, 0, 1, town_plan (1), 0, town.worker[0].rig.clock), "fenced");
    /* a repeat is not told either, until there is a lease again */
    town_send (&town, 0, payments, 20, 1);
    town_run (&town);
    town_expect_error (&town, STATUS_FENCED, "lease ran out");
    town.worker[0].cut_off = false;
    town_pass (&town, TIME_SECOND);
    town_send (&town, 0, payments, 20, 1);
    town_run (&town);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &message, payments, 20);
    town_check_all (&town, 0);
    town_release (&town);
}

Test (appends, of_batches_that_came_together_share_a_flush)
{
    town_t town;
    town_init (&town, 6, 1);
    town_pass (&town, TIME_SECOND);
    town.worker[0].hold_jobs = true;
    payment_t payment;
    make (&town, &payment, 1);
    uint64_t before = sim_disk_calls (town.worker[0].fs);
    for (uint64_t i = 1; i <= 30; i++)
        town_send (&town, 0, &payment, 1, i);
    town_run (&town);
    cr_assert_eq (rig_env_jobs (&town.worker[0].rig), 1);
    town.worker[0].hold_jobs = false;
    town_run (&town);
    for (uint64_t i = 1; i <= 30; i++)
        town_reply (&town, MESSAGE_SEND_OK);
    cr_assert_lt (sim_disk_calls (town.worker[0].fs) - before, 10);
    town_release (&town);
}

Test (appends, a_failed_fsync_ends_the_partition_and_nothing_is_acknowledged)
{
    town_t town;
    town_init (&town, 7, 1);
    town_pass (&town, TIME_SECOND);
    town_add (&town, 0, 50);
    sim_disk_faults_t faults = { .sync_error = 1 };
    sim_disk_set_faults (town.disk, &faults);
    payment_t payment;
    make (&town, &payment, 1);
    uint32_t p = payment.partition;
    town_send (&town, 0, &payment, 1, 77);
    town_run (&town);
    town_expect_error (&town, STATUS_UNAVAILABLE, "partition");
    town_pass (&town, TIME_SECOND);
    cr_assert (town_is (&town, p, "failed"));
    cr_assert_neq (town.worker[0].held[p].reason[0], '\0');
    sim_disk_set_faults (town.disk, &(sim_disk_faults_t){ 0 });
    /* never again under the same epoch */
    town_send (&town, 0, &payment, 1, 77);
    town_pass (&town, TIME_SECOND);
    town_expect_error (&town, STATUS_UNAVAILABLE, "");
    cr_assert (town_is (&town, p, "failed"));
    cr_assert_str_eq (town_ask (&town, 0, payment.user, town_plan (1), 0, town.worker[0].rig.clock),
                      "unavailable");
    /* under a new one, what was acknowledged is there; what was not may be */
    town_give (&town, p, 0);
    town_pass (&town, 2 * TIME_SECOND);
    cr_assert (town_is (&town, p, "serving"), "%s", town.worker[0].held[p].reason);
    town_send (&town, 0, &payment, 1, 77);
    town_run (&town);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &message, &payment, 1);
    town_check_all (&town, 0);
    town_release (&town);
}

Test (appends, a_partition_that_cannot_be_opened_is_failed_until_there_is_a_new_epoch)
{
    town_t town;
    town_init (&town, 8, 1);
    town_pass (&town, TIME_SECOND);
    town_add (&town, 0, 50);
    worker_kill (&town, 0);
    worker_start (&town, 0);
    town_pass (&town, TIME_SECOND); /* under the epoch that it had before */
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert (town_is (&town, p, "failed"));
    size_t calls = sim_disk_calls (town.worker[0].fs);
    town_pass (&town, 5 * TIME_SECOND);
    cr_assert_eq (sim_disk_calls (town.worker[0].fs), calls, "and not tried again");
    town_give_all (&town, 0);
    town_pass (&town, TIME_SECOND);
    town_check_all (&town, 0);
    town_release (&town);
}

Test (appends, over_the_memory_limit_senders_are_told_busy)
{
    town_t town;
    town_init (&town, 9, 0);
    town.memory_limit = 8 << 20;
    worker_start (&town, 0);
    for (size_t i = 0; i < 8; i++)
        town.producer[i] = (uint8_t)((uint64_t)town.worker[0].rig.clock >> (56 - 8 * i));
    town_pass (&town, TIME_SECOND);
    payment_t payments[BATCH_MAX];
    bool busy = false;
    for (uint64_t i = 1; i < 1000 && !busy; i++) {
        make (&town, payments, BATCH_MAX);
        town_send (&town, 0, payments, BATCH_MAX, i);
        town_pass (&town, 250 * TIME_MS);
        busy = town.replies->kind == MESSAGE_ERROR;
        if (!busy)
            town_reply (&town, MESSAGE_SEND_OK);
    }
    cr_assert (busy);
    town_expect_error (&town, STATUS_BUSY, "in memory");
    /* the coordinator can tell, and recompute */
    town_pass (&town, 2 * TIME_SECOND);
    size_t admitted = (size_t)town.memory_limit / 100 * PRESSURE_ADMIT_PERCENT;
    cr_assert_eq (town.worker[0].memory_limit, admitted);
    cr_assert_geq (town.worker[0].memory, admitted / 100 * 95);
    cr_assert_lt (town.worker[0].memory, town.memory_limit);
    town_release (&town);
}

Test (appends, of_batches_that_never_fit_in_memory_are_refused_for_good)
{
    town_t town;
    town_init (&town, 9, 0);
    town.memory_limit = 4 << 10;
    worker_start (&town, 0);
    town_pass (&town, TIME_SECOND);
    payment_t payments[BATCH_MAX];
    make (&town, payments, BATCH_MAX);
    town_send (&town, 0, payments, BATCH_MAX, 1);
    town_run (&town);
    town_expect_error (&town, STATUS_TOO_LARGE, "send fewer rows");
    town_release (&town);
}

/* Batches of one row take more memory than room in the log. */
Test (appends, over_the_limit_of_what_waits_for_the_disk_senders_are_told_busy)
{
    town_t town;
    town_init (&town, 26, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payment;
    make (&town, &payment, 1);
    town.worker[0].hold_jobs = true;
    unsigned sent = 0;
    for (; sent < 4000 && !town_answered (&town); sent++) {
        town.producer[15] = (uint8_t)(sent / 64);
        town_send (&town, 0, &payment, 1, 1 + sent % 64);
        town_run (&town);
    }
    town_expect_error (&town, STATUS_BUSY, "disk");
    town.worker[0].hold_jobs = false;
    town_run (&town);
    for (unsigned i = 1; i < sent; i++)
        town_reply (&town, MESSAGE_SEND_OK);
    town_send (&town, 0, &payment, 1, 1 + (sent - 1) % 64);
    town_run (&town);
    town_reply (&town, MESSAGE_SEND_OK);
    town_release (&town);
}

/* ---- refused rows ---- */

/* Gives a batch whose rows are bad where bad[i]. */
static uint64_t send_some_bad (town_t *town, const payment_t *payments, const bool *bad,
                               size_t count, uint64_t sequence)
{
    wire_writer_t *writer = town->writer;
    wire_begin (writer, MESSAGE_SEND, town->next_id++);
    wire_field_string (writer, "stream", "payments");
    wire_field_bin (writer, "producer", (text_t){ (const char *)town->producer, PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", sequence);
    wire_field_uint (writer, "oldest", sequence);
    wire_field_list (writer, "columns");
    wire_put_string (writer, "ts");
    wire_put_string (writer, "user");
    wire_put_string (writer, "items");
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (size_t i = 0; i < count; i++) {
        wire_open_list (writer);
        wire_put_int (writer, payments[i].time);
        wire_put_string (writer, payments_user (payments[i].user));
        if (bad[i])
            wire_put_string (writer, "many");
        else
            wire_put_int (writer, payments[i].items);
        wire_close (writer);
    }
    wire_close (writer);
    town_tell (town, 0);
    town_run (town);
    return sequence;
}

static void expect_refused (const message_t *message, const bool *bad, size_t count)
{
    uint32_t all = 0;
    wire_list_t refused = wire_list (message->body, "refused");
    for (size_t i = 0; i < count; i++) {
        if (!bad[i])
            continue;
        if (all < refused.count) {
            char reason[256];
            wire_copy (&refused.items[all], "reason", reason, sizeof reason);
            cr_assert_eq (wire_uint (&refused.items[all], "row", UINT64_MAX), i);
            cr_assert_str_eq (reason, "column items: 'many' is not an int64");
        }
        all++;
    }
    cr_assert_eq (refused.count, all < 100 ? all : 100);
    cr_assert_eq (wire_uint (message->body, "refused_count", 0), all);
    cr_assert_eq (wire_uint (message->body, "accepted", 0), count - all);
}

Test (appends, refused_rows_are_told_by_their_places_in_the_batch_and_again_to_a_repeat)
{
    town_t town;
    town_init (&town, 10, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[BATCH_MAX];
    bool bad[BATCH_MAX];
    for (uint64_t sequence = 1; sequence < 20; sequence++) {
        size_t count = 1 + random_below (&town.random, BATCH_MAX);
        make (&town, payments, count);
        double chance = sequence % 4 == 0 ? 1 : random_unit (&town.random);
        for (size_t i = 0; i < count; i++)
            bad[i] = random_chance (&town.random, chance);
        send_some_bad (&town, payments, bad, count, sequence);
        message_t first = town_reply (&town, MESSAGE_SEND_OK);
        expect_refused (&first, bad, count);
        send_some_bad (&town, payments, bad, count, sequence);
        message_t second = town_reply (&town, MESSAGE_SEND_OK);
        expect_refused (&second, bad, count);
        worker_kill (&town, 0);
        worker_start (&town, 0);
        town_give_all (&town, 0);
        town_pass (&town, TIME_SECOND);
        send_some_bad (&town, payments, bad, count, sequence);
        message_t third = town_reply (&town, MESSAGE_SEND_OK);
        expect_refused (&third, bad, count);
    }
    town_release (&town);
}

/* ---- other owners ---- */

Test (appends, parts_of_other_owners_are_passed_on_and_gathered)
{
    town_t town;
    town_init (&town, 11, 3);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town_give (&town, p, (int)(p % 3));
    town_pass (&town, TIME_SECOND);
    town_add (&town, 0, 200);
    town_add (&town, 1, 200);
    town_add (&town, 2, 10);
    for (unsigned user = 0; user < PAYMENTS_USERS; user++)
        town_check_user (&town, payments_partition (user, PARTITIONS) % 3, user, 0,
                         town.worker[0].rig.clock);
    town_release (&town);
}

Test (appends, without_an_answer_from_an_owner_the_sender_is_told_that_nobody_knows)
{
    town_t town;
    town_init (&town, 12, 2);
    town_give (&town, 1, 1);
    town_give (&town, 2, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[100];
    make (&town, payments, 100);
    town.worker[1].deaf = true;
    town_send (&town, 0, payments, 100, 1);
    town_pass (&town, 4 * TIME_SECOND);
    cr_assert_not (town_answered (&town));
    town_pass (&town, 2 * TIME_SECOND);
    town_expect_error (&town, STATUS_TIMEOUT, "send the same batch again");
    town.worker[1].deaf = false;
    town_send (&town, 1, payments, 100, 1);
    town_run (&town);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &message, payments, 100);
    for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
        uint32_t p = payments_partition (user, PARTITIONS);
        town_check_user (&town, p == 1 || p == 2, user, 0, town.worker[0].rig.clock);
    }
    town_release (&town);
}

Test (appends, of_partitions_that_nobody_owns_are_unavailable)
{
    town_t town;
    town_init (&town, 13, 1);
    town_give (&town, 3, -1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[100];
    make (&town, payments, 100);
    town_send (&town, 0, payments, 100, 1);
    town_run (&town);
    town_expect_error (&town, STATUS_UNAVAILABLE, "partition 3: nobody owns it");
    town_release (&town);
}

Test (appends, an_owner_that_is_no_more_says_fenced)
{
    town_t town;
    town_init (&town, 14, 3);
    town_give_all (&town, 1);
    town_pass (&town, TIME_SECOND);
    town.worker[0].cut_off = true; /* and so with old routes */
    town_give_all (&town, 2);
    town_pass (&town, TIME_SECOND);
    payment_t payment;
    make (&town, &payment, 1);
    town_send (&town, 0, &payment, 1, 1);
    town_run (&town);
    town_expect_error (&town, STATUS_FENCED, "is not here");
    town.worker[0].cut_off = false;
    town_pass (&town, TIME_SECOND);
    town_send (&town, 0, &payment, 1, 1);
    town_run (&town);
    town_reply (&town, MESSAGE_SEND_OK);
    town_release (&town);
}

Test (appends, rows_that_belong_to_another_partition_are_refused)
{
    town_t town;
    town_init (&town, 15, 1);
    town_pass (&town, TIME_SECOND);
    wire_writer_t *writer = town.writer;
    uint32_t wrong = (payments_partition (0, PARTITIONS) + 1) % PARTITIONS;
    wire_begin (writer, MESSAGE_APPEND, 5);
    wire_field_string (writer, "stream", "payments");
    wire_field_uint (writer, "partition", wrong);
    wire_field_bin (writer, "producer", (text_t){ (const char *)town.producer, PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", 1);
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
    town_expect_error (&town, STATUS_INVALID, "does not belong to partition");
    town_release (&town);
}
