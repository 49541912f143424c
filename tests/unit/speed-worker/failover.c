/* Owners die and others take over on the same disk: what was acknowledged is there, once. */
#include "tests/unit/speed-worker/town.h"

#include <inttypes.h>

static void make (town_t *town, payment_t *payments, size_t count)
{
    for (size_t i = 0; i < count; i++)
        payments[i] =
            payments_random (&town->random, town->worker[0].rig.clock, TIME_HOUR, PARTITIONS);
}

/* Sends until it is acknowledged, as a client does, and notes it. */
static void insist (town_t *town, unsigned worker, const payment_t *payments, size_t count,
                    uint64_t sequence)
{
    for (int tries = 0;; tries++) {
        cr_assert_lt (tries, 10);
        town_send (town, worker, payments, count, sequence);
        town_pass (town, 6 * TIME_SECOND);
        cr_assert (town_answered (town));
        if (town->replies->kind == MESSAGE_SEND_OK)
            break;
        town_reply (town, MESSAGE_ERROR);
    }
    message_t message = town_reply (town, MESSAGE_SEND_OK);
    town_note (town, &message, payments, count);
}

Test (failover, a_batch_sent_again_while_it_is_written_counts_once_and_both_are_told)
{
    town_t town;
    town_init (&town, 20, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payments[50];
    make (&town, payments, 50);
    town.worker[0].hold_jobs = true;
    uint64_t first = town_send (&town, 0, payments, 50, 1);
    town_run (&town);
    uint64_t second = town_send (&town, 0, payments, 50, 1);
    town_run (&town);
    cr_assert_not (town_answered (&town));
    town.worker[0].hold_jobs = false;
    town_run (&town);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    cr_assert_eq (message.id, first);
    town_note (&town, &message, payments, 50);
    message = town_reply (&town, MESSAGE_SEND_OK);
    cr_assert_eq (message.id, second);
    cr_assert_eq (wire_uint (message.body, "accepted", 0), 50);
    uint64_t third = town_send (&town, 0, payments, 50, 1);
    town_run (&town);
    message = town_reply (&town, MESSAGE_SEND_OK);
    cr_assert_eq (message.id, third);
    town_check_all (&town, 0);
    town_release (&town);
}

Test (failover, of_more_repeats_than_are_kept_the_rest_are_told_busy)
{
    town_t town;
    town_init (&town, 21, 1);
    town_pass (&town, TIME_SECOND);
    payment_t payment;
    make (&town, &payment, 1);
    town.worker[0].hold_jobs = true;
    for (int i = 0; i < 10; i++)
        town_send (&town, 0, &payment, 1, 1);
    town_run (&town);
    town_expect_error (&town, STATUS_BUSY, "being written");
    town_expect_error (&town, STATUS_BUSY, "being written");
    town.worker[0].hold_jobs = false;
    town_run (&town);
    for (int i = 0; i < 8; i++)
        town_reply (&town, MESSAGE_SEND_OK);
    town_release (&town);
}

/* Power is lost at some call of the disk, with a batch under way; another worker takes over, and
 * the client sends again. */
static void crash_once (uint64_t seed)
{
    town_t town;
    town_init (&town, seed, 2);
    town_pass (&town, TIME_SECOND);
    for (int i = 0; i < 3; i++)
        town_add (&town, 0, 1 + random_below (&town.random, 40));
    payment_t payments[40];
    make (&town, payments, 40);
    sim_disk_fail_after (town.worker[0].fs, random_below (&town.random, 12));
    town_send (&town, 0, payments, 40, 50);
    town_run (&town);
    bool told = town_answered (&town) && town.replies->kind == MESSAGE_SEND_OK;
    worker_kill (&town, 0);
    sim_disk_crash (town.disk, &town.random);
    /* what it had open is gone with the power: worker 1 starts anew too */
    worker_kill (&town, 1);
    worker_start (&town, 1);
    town_give_all (&town, 1);
    town_pass (&town, 2 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert (town_is (&town, p, "serving"), "seed %llu: %s", (unsigned long long)seed,
                   town.worker[1].held[p].reason);
    if (town_answered (&town)) {
        message_t message = town_reply (&town, told ? MESSAGE_SEND_OK : MESSAGE_ERROR);
        if (told)
            town_note (&town, &message, payments, 40);
    }
    size_t before = town.accepted_count;
    insist (&town, 1, payments, 40, 50);
    if (told) { /* the same positions as the first time */
        for (size_t i = 0; i < 40; i++)
            cr_assert_eq (town.accepted[before + i].offset, town.accepted[before - 40 + i].offset);
        town.accepted_count -= 40;
    }
    town_check_all (&town, 1);
    town_add (&town, 1, 30);
    town_check_all (&town, 1);
    town_release (&town);
}

Test (failover, a_power_cut_at_any_call_loses_nothing_acknowledged_and_doubles_nothing,
      .timeout = 120)
{
    for (uint64_t seed = 100; seed < 160; seed++)
        crash_once (seed);
}

Test (failover, a_worker_that_was_replaced_acknowledges_nothing_more)
{
    town_t town;
    town_init (&town, 22, 2);
    town_pass (&town, TIME_SECOND);
    town_add (&town, 0, 50);
    /* worker 0 hears nothing; when its lease has run out, worker 1 gets all */
    town.worker[0].cut_off = true;
    town_pass (&town, TOWN_LEASE + TIME_SECOND);
    town_give_all (&town, 1);
    town_pass (&town, 2 * TIME_SECOND);
    payment_t payments[30];
    make (&town, payments, 30);
    town_send (&town, 0, payments, 30, 60);
    town_run (&town);
    town_expect_error (&town, STATUS_FENCED, "");
    for (unsigned user = 0; user < PAYMENTS_USERS; user++)
        cr_assert_str_eq (town_ask (&town, 0, user, town_plan (1), 0, town.worker[0].rig.clock),
                          "fenced");
    /* what it wrote is void: sent to the new owner it is new */
    insist (&town, 1, payments, 30, 60);
    town_check_all (&town, 1);
    /* and it takes its orders again when it hears them */
    town.worker[0].cut_off = false;
    town_pass (&town, 2 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_not (town.worker[0].held[p].there);
    town_add (&town, 0, 20);
    town_check_all (&town, 1);
    town_release (&town);
}

static void write_with_refunds (wire_writer_t *writer, uint64_t version)
{
    payments_write_definitions_and (writer, version, "refunds",
                                    "streams:\n  refunds:\n    key: user\n    time: ts\n"
                                    "    fields:\n      user: {type: string, required: true}\n"
                                    "      ts: {type: timestamp, unit: us}\n");
}

static void send_refund (town_t *town, unsigned user)
{
    wire_writer_t *writer = town->writer;
    wire_begin (writer, MESSAGE_SEND, town->next_id++);
    wire_field_string (writer, "stream", "refunds");
    wire_field_bin (writer, "producer", (text_t){ (const char *)town->producer, PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", 1);
    wire_field_uint (writer, "oldest", 1);
    wire_field_list (writer, "columns");
    wire_put_string (writer, "user");
    wire_put_string (writer, "ts");
    wire_close (writer);
    wire_field_list (writer, "rows");
    wire_open_list (writer);
    wire_put_string (writer, payments_user (user));
    wire_put_int (writer, town->worker[0].rig.clock);
    wire_close (writer);
    wire_close (writer);
    town_tell (town, 0);
}

/* The coordinator gives a partition that failed to somebody else at once. */
typedef struct stop {
    town_t *town;
    payment_t payments[20];
    bool came;
} stop_t;

/* Worker 0 is stopped for longer than its lease: worker 1 gets all, and acknowledges. */
static void while_stopped (void *arg)
{
    stop_t *stop = arg;
    town_t *town = stop->town;
    stop->came = true;
    town->worker[0].stopped = true;
    town_pass (town, TOWN_LEASE + TIME_SECOND);
    town_give_all (town, 1);
    town_pass (town, 2 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert (town_is (town, p, "serving"), "%s", town->worker[1].held[p].reason);
    insist (town, 1, stop->payments, 20, 70);
    town->worker[0].stopped = false;
}

/* SIGSTOP before that call of the disk, in the middle of writing a batch and a cut. False when it
 * does not come to it. */
static bool stop_in_a_write (uint64_t calls)
{
    town_t town;
    stop_t stop = { .town = &town };
    payment_t payments[40];
    town_init (&town, 300 + calls, 2);
    town_pass (&town, TIME_SECOND);
    town_add (&town, 0, 50);
    make (&town, payments, 40);
    make (&town, stop.payments, 20);
    town_order (&town, "cut-1", true);
    sim_disk_stop_after (town.worker[0].fs, calls, while_stopped, &stop);
    town_send (&town, 0, payments, 40, 60);
    town_run (&town);
    if (!stop.came) {
        town_release (&town);
        return false;
    }
    /* it went on, under a lease that has ended, beside a new owner */
    if (town_answered (&town)) {
        cr_assert_eq (town.replies->kind, MESSAGE_ERROR, "stopped at call %" PRIu64, calls);
        town_reply (&town, MESSAGE_ERROR);
    }
    for (unsigned user = 0; user < PAYMENTS_USERS; user++)
        cr_assert_str_neq (town_ask (&town, 0, user, town_plan (1), 0, town.worker[0].rig.clock),
                           "ok");
    town_pass (&town, 6 * TIME_SECOND);
    if (town_answered (&town))
        town_reply (&town, MESSAGE_ERROR);
    insist (&town, 1, payments, 40, 60); /* whatever became of it, it counts once */
    town_check_all (&town, 1);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_neq (town_control (&town, p, "cut-1"), UINT64_MAX);
    /* and so it is in the log */
    worker_kill (&town, 1);
    sim_disk_crash (town.disk, &town.random);
    worker_kill (&town, 0);
    worker_start (&town, 0);
    town_give_all (&town, 0);
    town_pass (&town, 2 * TIME_SECOND);
    town_check_all (&town, 0);
    town_release (&town);
    return true;
}

Test (failover, an_owner_stopped_within_a_write_says_nothing_of_it_when_it_goes_on, .timeout = 120)
{
    uint64_t calls = 0;
    while (stop_in_a_write (calls))
        calls++;
    cr_assert_geq (calls, 8, "only %" PRIu64 " calls", calls);
}

Test (failover, where_one_log_failed_the_partitions_other_logs_have_ended_too)
{
    town_t town;
    town_init (&town, 25, 2);
    town.write_definitions = write_with_refunds;
    town.other_log = "refunds/user";
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 50);
    payment_t payment;
    make (&town, &payment, 1);
    uint32_t p = payment.partition;
    sim_disk_set_faults (town.disk, &(sim_disk_faults_t){ .sync_error = 1 });
    send_refund (&town, payment.user);
    town_run (&town);
    town_expect_error (&town, STATUS_UNAVAILABLE, "partition");
    sim_disk_set_faults (town.disk, &(sim_disk_faults_t){ 0 });
    town_pass (&town, TIME_SECOND);
    cr_assert (town_is (&town, p, "failed"));
    /* it has told; worker 1 is the owner, and worker 0 has not heard of that */
    town.worker[0].cut_off = true;
    town_give (&town, p, 1);
    town_pass (&town, TIME_SECOND);
    cr_assert (town_is (&town, p, "serving"), "%s", town.worker[1].held[p].reason);
    insist (&town, 1, &payment, 1, 70);
    cr_assert_str_eq (town_ask (&town, 0, payment.user, town_plan (1), 0, town.worker[0].rig.clock),
                      "unavailable");
    town_send (&town, 0, &payment, 1, 71);
    town_run (&town);
    town_expect_error (&town, STATUS_UNAVAILABLE, "");
    town_check_user (&town, 1, payment.user, 0, town.worker[1].rig.clock);
    town_release (&town);
}

static void count_file (void *arg, const char *name)
{
    (void)name;
    ++*(unsigned *)arg;
}

Test (failover, openings_of_an_idle_log_leave_no_more_and_more_segments)
{
    town_t town;
    town_init (&town, 27, 1);
    town_pass (&town, 2 * TIME_SECOND);
    for (int i = 0; i < 20; i++) {
        town_give_all (&town, 0);
        town_pass (&town, 3 * TIME_SECOND);
    }
    unsigned files = 0;
    error_t error;
    status_t status =
        fs_list (town.worker[0].fs, "log/" PAYMENTS_LOG "/0", count_file, &files, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    cr_assert_leq (files, 2);
    town_add (&town, 0, 50);
    town_check_all (&town, 0);
    town_release (&town);
}

Test (failover, a_release_tells_those_who_wait)
{
    town_t town;
    town_init (&town, 23, 2);
    town_pass (&town, TIME_SECOND);
    payment_t payments[30];
    make (&town, payments, 30);
    town.worker[0].hold_jobs = true;
    town_send (&town, 0, payments, 30, 1);
    town_run (&town);
    town_give_all (&town, -1);
    town_pass (&town, TIME_SECOND);
    town_expect_error (&town, STATUS_UNAVAILABLE, "another worker");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_not (town.worker[0].held[p].there, "and reports them no more");
    town.worker[0].hold_jobs = false;
    town_run (&town);
    town_give_all (&town, 1);
    town_pass (&town, 2 * TIME_SECOND);
    insist (&town, 0, payments, 30, 1);
    town_check_all (&town, 1);
    town_release (&town);
}

Test (failover, the_producer_table_survives_cuts_and_trims)
{
    town_t town;
    town_init (&town, 24, 2);
    town.segment_size = 4096;
    worker_kill (&town, 0);
    worker_start (&town, 0);
    town_give_all (&town, 0);
    town_pass (&town, TIME_SECOND);
    payment_t payments[60];
    make (&town, payments, 60);
    uint64_t sequence = ++town.sequence;
    town_send (&town, 0, payments, 60, sequence);
    town_run (&town);
    message_t first = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &first, payments, 60);
    for (int i = 0; i < 20; i++)
        town_add (&town, 0, 60);
    town_order (&town, "cut-1", true);
    town_pass (&town, 2 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        town.base[p] = town_control (&town, p, "cut-1");
        cr_assert_neq (town.base[p], UINT64_MAX);
    }
    town.controls = 0;
    town_pass (&town, 3 * TIME_SECOND);
    town_add (&town, 0, 30);
    worker_kill (&town, 0);
    town_give_all (&town, 1);
    town_pass (&town, 2 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        cr_assert (town_is (&town, p, "serving"), "%s", town.worker[1].held[p].reason);
        cr_assert_eq (town.worker[1].held[p].start, town.base[p]);
    }
    size_t before = town.accepted_count;
    town_send (&town, 1, payments, 60, sequence);
    town_run (&town);
    message_t again = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &again, payments, 60);
    for (size_t i = 0; i < 60; i++)
        cr_assert_eq (town.accepted[before + i].offset, town.accepted[i].offset);
    town.accepted_count = before;
    town_check_all (&town, 1);
    town_release (&town);
}

/* Random days: batches, repeats, power cuts, moves, cuts and trims; in the end all answers are
 * those of what was acknowledged. */
static void random_day (uint64_t seed)
{
    town_t town;
    town_init (&town, seed, 2);
    town_pass (&town, 2 * TIME_SECOND);
    unsigned cuts = 0;
    for (int i = 0; i < 40; i++) {
        unsigned owner = (unsigned)town.owner[0];
        switch (random_below (&town.random, 8)) {
        case 0: /* the owner dies, the other takes over */
            worker_kill (&town, owner);
            worker_start (&town, owner);
            town_give_all (&town, 1 - (int)owner);
            town_pass (&town, 2 * TIME_SECOND);
            break;
        case 1: { /* a cut */
            char id[16];
            snprintf (id, sizeof id, "cut-%u", ++cuts);
            town.controls = 0;
            town_order (&town, id, true);
            town_pass (&town, 3 * TIME_SECOND);
            break;
        }
        case 2: /* the base rises */
            for (uint32_t p = 0; p < PARTITIONS; p++) {
                const held_t *held = &town.worker[owner].held[p];
                if (held->cuts_count > 0)
                    town.base[p] = held->cuts[random_below (&town.random, held->cuts_count)];
            }
            town_pass (&town, 2 * TIME_SECOND);
            break;
        case 3: /* everybody loses power */
            worker_kill (&town, 0);
            worker_kill (&town, 1);
            sim_disk_crash (town.disk, &town.random);
            worker_start (&town, 0);
            worker_start (&town, 1);
            town_give_all (&town, (int)owner);
            town_pass (&town, 2 * TIME_SECOND);
            break;
        default:
            town_add (&town, (unsigned)random_below (&town.random, 2),
                      1 + random_below (&town.random, 80));
        }
    }
    town_check_all (&town, (unsigned)town.owner[0]);
    town_release (&town);
}

Test (failover, after_any_day_the_answers_are_those_of_what_was_acknowledged, .timeout = 240)
{
    for (uint64_t seed = 200; seed < 220; seed++)
        random_day (seed);
}

/* A coordinator that has heard of a release may have given the partition away when its own orders,
 * of before, arrive. */
Test (failover, an_epoch_that_was_let_go_is_not_taken_again)
{
    town_t town;
    town_init (&town, 22, 1);
    town_pass (&town, TIME_SECOND);
    cr_assert (town_is (&town, 2, "serving"));
    town.owner[2] = -1;
    town_pass (&town, TOWN_LEASE);
    cr_assert_not (town.worker[0].held[2].there);
    town.owner[2] = 0;
    town_pass (&town, TOWN_LEASE);
    cr_assert (town_is (&town, 2, "released"));
    cr_assert_eq (town.worker[0].held[2].epoch, town.epoch[2]);
    cr_assert (town_is (&town, 1, "serving"));
    town.owner[2] = -1;
    town_pass (&town, TOWN_LEASE);
    cr_assert_not (town.worker[0].held[2].there);
    town_give (&town, 2, 0);
    town_pass (&town, TOWN_LEASE);
    cr_assert (town_is (&town, 2, "serving"));
    town_check_all (&town, 0);
    town_release (&town);
}
