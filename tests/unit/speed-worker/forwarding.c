/* Events of a stream in the log of another key: each once, and before it is acknowledged. */
#include "tests/unit/speed-worker/town.h"

#include "intake/logged.h"

#include <string.h>

#define ITEMS_LOG "payments/items"

enum { ITEMS = 2 }; /* the field's place */

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
        cr_assert_lt (tries, 20);
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

/* Counts what partition `p` of the other key's log holds of each accepted event; that it is of the
 * right partition as well. */
static void count_events (town_t *town, const keyed_log_t *log, uint32_t p, arena_t *arena,
                          unsigned *seen)
{
    fs_t *fs = sim_disk_mount (town->disk);
    log_identity_t identity = logged_identity (log, TOWN_CLUSTER_ID, p);
    log_reader_t *reader;
    log_record_t record;
    error_t error;
    uint64_t end = town->other_end[p];
    if (end == 0)
        return;
    status_t status = log_reader_open (fs, logged_dir (arena, "log", log->name, p), &identity,
                                       town->other_base[p], end, &reader, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    while ((status = log_reader_next (reader, &record, &error)) == STATUS_OK) {
        forwarded_payload_t payload;
        batch_t batch;
        batch_t stored;
        if (record.kind != LOG_KIND_EVENTS)
            continue;
        status = logged_forwarded (log, &record, arena, &payload, &batch, &error);
        cr_assert_eq (status, STATUS_OK, "%s", error.text);
        if (payload.accepted == 0)
            continue;
        status =
            block_decode (payload.block.data, payload.block.size, arena, NULL, &stored, &error);
        cr_assert_eq (status, STATUS_OK);
        for (size_t r = 0; r < batch.rows; r++) {
            cr_assert_eq (key_partition (key_hash (batch.key[r]), PARTITIONS), p);
            for (size_t i = 0; i < town->accepted_count; i++) {
                const payment_t *payment = &town->accepted[i];
                bool same =
                    payment->partition == payload.source && payment->offset == stored.offset[r];
                seen[i] += same;
                if (same) {
                    cr_assert_eq (batch.column[ITEMS].i[r], payment->items);
                    cr_assert_eq (batch.event_time[r], payment->time);
                }
            }
        }
    }
    cr_assert_eq (status, STATUS_END, "%s", error.text);
    log_reader_destroy (&reader);
}

/* Those before the first `trimmed` are not in it any more, nor do they come again. */
static void check_once_after (town_t *town, size_t trimmed)
{
    arena_t *arena = arena_new (1 << 16);
    model_t *model = payments_model (1);
    keyed_log_t log;
    cr_assert (model_log (model, text_of (ITEMS_LOG), &log));
    unsigned *seen = mem_zero (town->accepted_count, sizeof *seen);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        count_events (town, &log, p, arena, seen);
    for (size_t i = 0; i < town->accepted_count; i++)
        cr_assert_eq (seen[i], i >= trimmed, "event %zu, at %u/%llu, is there %u times", i,
                      town->accepted[i].partition, (unsigned long long)town->accepted[i].offset,
                      seen[i]);
    mem_free (seen);
    model_unref (&model);
    arena_destroy (&arena);
}

static void check_once (town_t *town)
{
    check_once_after (town, 0);
}

static void begin (town_t *town, uint64_t seed, unsigned workers)
{
    town_init (town, seed, workers);
    town->other_log = ITEMS_LOG;
    town_pass (town, 2 * TIME_SECOND);
}

Test (forwarding, what_is_acknowledged_is_in_the_other_keys_log_once)
{
    town_t town;
    begin (&town, 40, 3);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town_give (&town, p, (int)(p % 3));
    town_pass (&town, 8 * TIME_SECOND);
    for (int i = 0; i < 10; i++)
        town_add (&town, (unsigned)i % 3, 40);
    town_pass (&town, TIME_SECOND);
    check_once (&town);
    town_release (&town);
}

Test (forwarding, an_acknowledgement_waits_for_the_other_key)
{
    town_t town;
    payment_t payments[60];
    begin (&town, 41, 2);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town_give (&town, p, (int)(p % 2));
    town_pass (&town, 8 * TIME_SECOND);
    /* only events of partition 0, which worker 0 owns; their items are anywhere */
    for (size_t i = 0; i < 60; i++)
        do
            make (&town, &payments[i], 1);
        while (payments[i].partition != 0);
    town.worker[1].hold_jobs = true;
    town_send (&town, 0, payments, 60, 1);
    town_pass (&town, TIME_SECOND);
    cr_assert_not (town_answered (&town));
    town.worker[1].hold_jobs = false;
    town_pass (&town, 2 * TIME_SECOND);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &message, payments, 60);
    town_pass (&town, TIME_SECOND);
    check_once (&town);
    town_release (&town);
}

Test (forwarding, a_repeat_of_what_is_on_its_way_waits_or_is_told_to_come_again)
{
    town_t town;
    payment_t payments[30];
    begin (&town, 42, 2);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town_give (&town, p, (int)(p % 2));
    town_pass (&town, 8 * TIME_SECOND);
    make (&town, payments, 30);
    town.worker[1].deaf = true; /* what worker 0 forwards is lost */
    for (size_t i = 0; i < 30; i++)
        while (payments[i].partition % 2 != 0)
            make (&town, &payments[i], 1);
    town_send (&town, 0, payments, 30, 1);
    town_pass (&town, TIME_SECOND);
    cr_assert_not (town_answered (&town));
    town_send (&town, 0, payments, 30, 1);
    town_pass (&town, TIME_SECOND);
    cr_assert_not (town_answered (&town));
    town.worker[1].deaf = false;
    town_pass (&town, 3 * TIME_SECOND);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &message, payments, 30);
    message = town_reply (&town, MESSAGE_SEND_OK);
    cr_assert_eq (wire_uint (message.body, "accepted", 0), 30);
    town_pass (&town, TIME_SECOND);
    check_once (&town);
    town_release (&town);
}

/* Owners are killed at any instant, between any two jobs. */
static void kill_at_random (uint64_t seed)
{
    town_t town;
    payment_t payments[25];
    begin (&town, seed, 3);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town_give (&town, p, (int)(p % 3));
    town_pass (&town, 8 * TIME_SECOND);
    for (uint64_t sequence = 1; sequence <= 8; sequence++) {
        make (&town, payments, 25);
        unsigned victim = (unsigned)random_below (&town.random, 3);
        unsigned other = (victim + 1) % 3;
        town_send (&town, other, payments, 25, sequence);
        town_steps (&town, random_below (&town.random, 40));
        worker_kill (&town, victim);
        while (town_answered (&town)) /* it may have been acknowledged: then it is told again */
            (void)town_reply (&town, town.replies->kind);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            if (town.owner[p] == (int)victim)
                town_give (&town, p, (int)other);
        town_pass (&town, 8 * TIME_SECOND);
        while (town_answered (&town))
            (void)town_reply (&town, town.replies->kind);
        insist (&town, other, payments, 25, sequence);
        worker_start (&town, victim);
        town_give (&town, (uint32_t)random_below (&town.random, PARTITIONS), (int)victim);
        town_pass (&town, 8 * TIME_SECOND);
    }
    town_pass (&town, TIME_SECOND);
    check_once (&town);
    town_release (&town);
}

Test (forwarding, a_crash_at_any_instant_neither_loses_nor_repeats)
{
    for (uint64_t seed = 400; seed < 412; seed++)
        kill_at_random (seed);
}

Test (forwarding, nothing_is_trimmed_that_another_key_lacks_and_marks_come_back_from_a_cut)
{
    town_t town;
    begin (&town, 43, 2);
    town_add (&town, 0, 100);
    town.other_controls = true; /* the other log is cut with this one */
    town_order (&town, "cut-1", true);
    town_pass (&town, 2 * TIME_SECOND);
    size_t before = town.accepted_count;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        town.base[p] = town_control (&town, p, "cut-1");
        cr_assert_neq (town.base[p], UINT64_MAX);
        cr_assert_neq (town.other_cut[p], UINT64_MAX);
        town.other_base[p] = town.other_cut[p];
    }
    town_pass (&town, 2 * TIME_SECOND);
    worker_kill (&town, 0);
    town_give_all (&town, 1);
    town_pass (&town, 8 * TIME_SECOND);
    cr_assert (town_is (&town, 0, "serving"), "%s", town.worker[1].held[0].reason);
    for (int i = 0; i < 5; i++)
        town_add (&town, 1, 40);
    town_pass (&town, TIME_SECOND);
    check_once_after (&town, before);
    town_release (&town);
}

/* A key goes with its stream alone: orders without it were a mistake. */
Test (forwarding, nothing_is_acknowledged_or_appended_while_orders_leave_a_log_out)
{
    town_t town;
    payment_t payments[30];
    begin (&town, 44, 2);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town_give (&town, p, (int)(p % 2));
    town_pass (&town, 8 * TIME_SECOND);
    for (size_t i = 0; i < 30; i++)
        do
            make (&town, &payments[i], 1);
        while (payments[i].partition % 2 != 0);
    town.worker[1].deaf = true;
    town_send (&town, 0, payments, 30, 1);
    town_pass (&town, TIME_SECOND);
    cr_assert_not (town_answered (&town));
    town.other_log = NULL;
    town_pass (&town, 3 * TIME_SECOND);
    town_send (&town, 0, payments, 30, 2);
    town_pass (&town, TIME_SECOND);
    while (town_answered (&town)) /* the second, and the first when whoever took it gave up */
        (void)town_reply (&town, MESSAGE_ERROR);
    town.other_log = ITEMS_LOG;
    town.worker[1].deaf = false;
    town_pass (&town, 2 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++) /* opened again, they need a new epoch */
        town_give (&town, p, (int)(p % 2));
    town_pass (&town, 8 * TIME_SECOND);
    while (town_answered (&town))
        (void)town_reply (&town, town.replies->kind);
    insist (&town, 0, payments, 30, 1);
    town_pass (&town, TIME_SECOND);
    check_once (&town);
    town_release (&town);
}

Test (forwarding, a_key_of_a_stream_without_events_may_go)
{
    town_t town;
    begin (&town, 45, 2);
    town_order (&town, "cut-1", true);
    town_pass (&town, 2 * TIME_SECOND);
    town.other_log = NULL;
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 20);
    town_release (&town);
}
