/* The real-time views: epochs, bases, definitions, and what queries are told. */
#include "tests/unit/speed-worker/town.h"

static uint64_t any_offset (const town_t *town, const char *id, unsigned user)
{
    uint64_t offset = town_control (town, payments_partition (user, PARTITIONS), id);
    cr_assert_neq (offset, UINT64_MAX, "%s is nowhere", id);
    return offset;
}

static const char *ask_now (town_t *town, unsigned user, uint64_t plan, uint64_t cut)
{
    return town_ask (town, 0, user, plan, cut, town->worker[0].rig.clock);
}

Test (views, a_cut_starts_an_epoch_and_queries_by_the_old_and_the_new_one_are_exact)
{
    town_t town;
    town_init (&town, 30, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 300);
    town_order (&town, "cut-1", true);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 300);
    town_order (&town, "cut-2", true);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 300);
    for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
        int64_t now = town.worker[0].rig.clock;
        town_check_user (&town, 0, user, 0, now);
        town_check_user (&town, 0, user, any_offset (&town, "cut-1", user), now);
        town_check_user (&town, 0, user, any_offset (&town, "cut-2", user), now - TIME_HOUR);
    }
    town_release (&town);
}

Test (views, a_query_by_a_cut_that_is_none_or_by_another_plan_is_stale)
{
    town_t town;
    town_init (&town, 31, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 100);
    cr_assert_str_eq (ask_now (&town, 1, town_plan (1), 0), "ok");
    cr_assert_str_eq (ask_now (&town, 1, town_plan (1), 5), "stale");
    cr_assert_str_eq (ask_now (&town, 1, town_plan (2), 0), "stale");
    town_release (&town);
}

Test (views, a_query_for_a_partition_that_is_elsewhere_is_fenced_and_one_being_opened_unavailable)
{
    town_t town;
    town_init (&town, 32, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town.worker[0].hold_jobs = true;
    town_give_all (&town, 0);
    town_pass (&town, TIME_SECOND);
    cr_assert_str_eq (ask_now (&town, 1, town_plan (1), 0), "unavailable");
    town_give_all (&town, -1);
    town_pass (&town, 2 * TIME_SECOND);
    cr_assert_str_eq (ask_now (&town, 1, town_plan (1), 0), "fenced");
    town_release (&town);
}

Test (views, as_of_times_at_the_ends_of_time_are_refused_or_answered)
{
    town_t town;
    town_init (&town, 33, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 100);
    cr_assert_str_eq (town_ask (&town, 0, 1, town_plan (1), 0, INT64_MIN), "range");
    cr_assert_str_eq (town_ask (&town, 0, 1, town_plan (1), 0, INT64_MAX), "range");
    cr_assert_str_eq (town_ask (&town, 0, 1, town_plan (1), 0, -TIME_EVENT_MAX - 1), "ok");
    cr_assert_str_eq (town_ask (&town, 0, 1, town_plan (1), 0, 2 * TIME_EVENT_MAX), "ok");
    town_release (&town);
}

Test (views, a_base_that_rises_drops_what_is_below_it)
{
    town_t town;
    town_init (&town, 34, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 300);
    town_order (&town, "cut-1", true);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 50);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town.base[p] = town_control (&town, p, "cut-1");
    town_pass (&town, 3 * TIME_SECOND);
    uint64_t events = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const held_t *held = &town.worker[0].held[p];
        cr_assert_eq (held->start, town.base[p]);
        cr_assert_eq (held->cuts_count, 1);
        cr_assert_eq (held->cuts[0], town.base[p]);
        events += held->events;
    }
    cr_assert_eq (events, 50);
    for (unsigned user = 0; user < PAYMENTS_USERS; user++)
        cr_assert_str_eq (ask_now (&town, user, town_plan (1), 0), "stale");
    town_check_all (&town, 0);
    town_release (&town);
}

Test (views, control_records_are_appended_once_also_across_restarts)
{
    town_t town;
    town_init (&town, 35, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 20);
    town_order (&town, "cut-1", true);
    town_order (&town, "load-abc", false);
    town_pass (&town, 5 * TIME_SECOND);
    uint64_t cut[PARTITIONS];
    uint64_t end[PARTITIONS];
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        cut[p] = town_control (&town, p, "cut-1");
        cr_assert_neq (town_control (&town, p, "load-abc"), UINT64_MAX);
        end[p] = town.worker[0].held[p].end;
    }
    worker_kill (&town, 0);
    worker_start (&town, 0);
    town_give_all (&town, 0);
    town_pass (&town, 5 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const held_t *held = &town.worker[0].held[p];
        cr_assert_eq (town_control (&town, p, "cut-1"), cut[p]);
        cr_assert_eq (held->end, end[p]);
        cr_assert_eq (held->controls_count, 2);
        cr_assert_eq (held->cuts_count, 2);
        cr_assert_gt (held->controls[0].clock, 0);
    }
    town_check_all (&town, 0);
    town_release (&town);
}

Test (views, new_definitions_rebuild_the_views_while_events_keep_coming)
{
    town_t town;
    town_init (&town, 36, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 300);
    town_order (&town, "cut-1", true);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 200);
    /* new definitions: the rebuilds are under way, and their jobs do not run yet */
    town.definitions = 2;
    town.worker[0].hold_jobs = true;
    town_pass (&town, 3 * TIME_SECOND);
    size_t rebuilds = rig_env_jobs (&town.worker[0].rig);
    cr_assert_eq (rebuilds, PARTITIONS);
    cr_assert_str_eq (ask_now (&town, 1, town_plan (2), 0), "stale");
    cr_assert_str_eq (ask_now (&town, 1, town_plan (1), 0), "ok", "the old views go on");
    /* meanwhile events and a cut are written: flushes do not wait for the rebuilds */
    payment_t payments[100];
    for (size_t i = 0; i < 100; i++)
        payments[i] =
            payments_random (&town.random, town.worker[0].rig.clock, TIME_HOUR, PARTITIONS);
    town_order (&town, "cut-2", true);
    town_send (&town, 0, payments, 100, ++town.sequence);
    town_pass (&town, 2 * TIME_SECOND);
    for (uint32_t lane = 0; lane < PARTITIONS; lane++) {
        job_t *job;
        while ((job = rig_env_run_lane (&town.worker[0].rig, lane)) != NULL) {
            speed_core_job_done (town.worker[0].core, job);
            speed_core_tick (town.worker[0].core);
        }
    }
    town_run (&town);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &message, payments, 100);
    cr_assert_str_eq (ask_now (&town, 1, town_plan (2), 0), "stale");
    town.worker[0].hold_jobs = false;
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 50);
    for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
        int64_t now = town.worker[0].rig.clock;
        town_check_user (&town, 0, user, 0, now);
        town_check_user (&town, 0, user, any_offset (&town, "cut-1", user), now);
        town_check_user (&town, 0, user, any_offset (&town, "cut-2", user), now);
    }
    town_release (&town);
}

Test (views, a_base_that_rises_during_a_rebuild_waits_with_the_files_and_is_exact)
{
    town_t town;
    town_init (&town, 37, 0);
    town.segment_size = 4096;
    worker_start (&town, 0);
    for (size_t i = 0; i < 8; i++)
        town.producer[i] = (uint8_t)((uint64_t)town.worker[0].rig.clock >> (56 - 8 * i));
    town_pass (&town, 2 * TIME_SECOND);
    for (int i = 0; i < 10; i++)
        town_add (&town, 0, 100);
    town_order (&town, "cut-1", true);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 100);
    town.definitions = 2;
    town.worker[0].hold_jobs = true;
    town_pass (&town, 3 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town.base[p] = town_control (&town, p, "cut-1");
    town_pass (&town, 3 * TIME_SECOND);
    cr_assert_eq (rig_env_jobs (&town.worker[0].rig), 2 * PARTITIONS,
                  "rebuilds and epochs that go, no trims of files yet");
    uint64_t warnings = town.worker[0].rig.warnings;
    town.worker[0].hold_jobs = false;
    town_pass (&town, 3 * TIME_SECOND);
    cr_assert_eq (town.worker[0].rig.warnings, warnings);
    town_check_all (&town, 0);
    /* the trims came: who starts from below finds that the files are gone */
    worker_kill (&town, 0);
    worker_start (&town, 0);
    memset (town.base, 0, sizeof town.base);
    town_give_all (&town, 0);
    town_pass (&town, 3 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert (town_is (&town, p, "failed"));
    town_release (&town);
}

Test (views, a_rebuild_that_fails_is_tried_again_after_a_while)
{
    town_t town;
    town_init (&town, 38, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 100);
    sim_disk_faults_t faults = { .read_error = 1 };
    sim_disk_set_faults (town.disk, &faults);
    town.definitions = 2;
    town_pass (&town, 4 * TIME_SECOND);
    cr_assert_gt (town.worker[0].rig.warnings, 0);
    cr_assert_leq (town.worker[0].rig.warnings, 5 * PARTITIONS);
    cr_assert_str_eq (ask_now (&town, 1, town_plan (2), 0), "stale");
    sim_disk_set_faults (town.disk, &(sim_disk_faults_t){ 0 });
    town_pass (&town, 2 * TIME_SECOND);
    town_check_all (&town, 0);
    town_release (&town);
}

Test (views, definitions_that_leave_a_view_as_it_is_leave_its_timelines_too)
{
    town_t town;
    town_init (&town, 39, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 100);
    town.definitions = 2;
    town_pass (&town, 3 * TIME_SECOND);
    town_check_all (&town, 0);
    town.definitions = 3; /* the same texts under a higher version, but of the view */
    town.worker[0].hold_jobs = true;
    town_pass (&town, 3 * TIME_SECOND);
    cr_assert_eq (rig_env_jobs (&town.worker[0].rig), PARTITIONS,
                  "another version of a view is another view");
    town.worker[0].hold_jobs = false;
    town_pass (&town, 3 * TIME_SECOND);
    town_check_all (&town, 0);
    town_release (&town);
}

static void restart (town_t *town)
{
    worker_kill (town, 0);
    worker_start (town, 0);
    town_give_all (town, 0);
    town_pass (town, 3 * TIME_SECOND);
}

Test (views, go_on_as_they_are_when_a_field_is_added)
{
    town_t town;
    town_init (&town, 43, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 200);
    town.write_definitions = payments_write_wide;
    town.definitions = 2;
    town.worker[0].hold_jobs = true;
    town_pass (&town, 3 * TIME_SECOND);
    cr_assert_eq (rig_env_jobs (&town.worker[0].rig), 0, "the views are built again");
    town.worker[0].hold_jobs = false;
    town_add (&town, 0, 200);
    for (int round = 0; round < 2; round++) {
        for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
            town.definitions = 1; /* as far as the view and what it must be are concerned */
            town_check_user (&town, 0, user, 0, town.worker[0].rig.clock);
            town.definitions = 2;
        }
        restart (&town); /* the log has records of both */
    }
    town_release (&town);
}

/* A row of another column than there was; the same batch each time. */
static void send_note (town_t *town)
{
    wire_writer_t *writer = town->writer;
    static const char *const columns[] = { "note", "ts", "user" };
    wire_begin (writer, MESSAGE_SEND, town->next_id++);
    wire_field_string (writer, "stream", "payments");
    wire_field_bin (writer, "producer", (text_t){ (const char *)town->producer, PRODUCER_SIZE });
    wire_field_uint (writer, "sequence", 901);
    wire_field_uint (writer, "oldest", 901);
    wire_field_list (writer, "columns");
    for (size_t i = 0; i < 3; i++)
        wire_put_string (writer, columns[i]);
    wire_close (writer);
    wire_field_list (writer, "rows");
    wire_open_list (writer);
    wire_put_string (writer, "new");
    wire_put_int (writer, town->worker[0].rig.clock - TIME_SECOND);
    wire_put_string (writer, "ann");
    wire_close (writer);
    wire_close (writer);
    town_tell (town, 0);
    town_run (town);
}

Test (views, rows_are_not_refused_for_good_while_newer_definitions_are_on_their_way)
{
    town_t town;
    town_init (&town, 46, 1);
    town_pass (&town, 2 * TIME_SECOND);
    send_note (&town);
    message_t reply = town_reply (&town, MESSAGE_SEND_OK);
    cr_assert_eq (wire_uint (reply.body, "refused_count", 0), 1, "no such column");
    town_release (&town);
    town_init (&town, 46, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town.write_definitions = payments_write_wide;
    town.definitions = 2;
    town.hold_definitions = true;
    town_pass (&town, TIME_SECOND);
    send_note (&town);
    town_expect_error (&town, STATUS_UNAVAILABLE, "newer definitions");
    town_add (&town, 0, 20); /* what nothing is wrong with is taken */
    town.hold_definitions = false;
    town_pass (&town, 2 * TIME_SECOND);
    send_note (&town);
    reply = town_reply (&town, MESSAGE_SEND_OK);
    cr_assert_eq (wire_uint (reply.body, "accepted", 0), 1);
    town_release (&town);
}

Test (views, of_a_partition_are_built_only_with_the_definitions_of_its_orders)
{
    town_t town;
    town_init (&town, 47, 1);
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 50);
    town.write_definitions = payments_write_wide;
    town.definitions = 2;
    town.hold_definitions = true;
    town_give_all (&town, 0);
    town_pass (&town, 2 * TIME_SECOND);
    cr_assert (town_is (&town, 0, "opening"));
    town.hold_definitions = false;
    town_pass (&town, 2 * TIME_SECOND);
    cr_assert (town_is (&town, 0, "serving"));
    town_release (&town);
}

Test (views, follow_when_a_field_is_widened)
{
    town_t town;
    town_init (&town, 41, 1);
    town.write_definitions = payments_write_widened;
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 200);
    town.definitions = 2;
    town.worker[0].hold_jobs = true;
    town_pass (&town, 3 * TIME_SECOND);
    cr_assert_eq (rig_env_jobs (&town.worker[0].rig), PARTITIONS, "the views are built again");
    payment_t payment =
        payments_random (&town.random, town.worker[0].rig.clock, TIME_HOUR, PARTITIONS);
    town_send (&town, 0, &payment, 1, 900);
    town_run (&town);
    town_expect_error (&town, STATUS_UNAVAILABLE, "is being widened");
    town.worker[0].hold_jobs = false;
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 200);
    town.definitions = 1; /* as far as the view and what it must be are concerned */
    for (unsigned user = 0; user < PAYMENTS_USERS; user++)
        town_check_user (&town, 0, user, 0, town.worker[0].rig.clock);
    town_release (&town);
}

/* ---- what comes from outside ---- */

static uint64_t metric (town_t *town, const char *name)
{
    wire_begin (town->writer, MESSAGE_METRICS, 3);
    town_tell (town, 0);
    town_run (town);
    message_t message = town_reply (town, MESSAGE_METRICS_OK);
    return wire_uint (wire_map (message.body, "values"), name, UINT64_MAX);
}

Test (outside, a_stream_that_does_not_exist_is_answered_with_the_likeliest)
{
    town_t town;
    town_init (&town, 40, 1);
    town_pass (&town, 2 * TIME_SECOND);
    wire_begin (town.writer, MESSAGE_SEND, 4);
    wire_field_string (town.writer, "stream", "paymens");
    wire_field_bin (town.writer, "producer", (text_t){ (const char *)town.producer, 16 });
    wire_field_uint (town.writer, "sequence", 1);
    wire_field_uint (town.writer, "oldest", 1);
    wire_field_list (town.writer, "columns");
    wire_close (town.writer);
    wire_field_list (town.writer, "rows");
    wire_close (town.writer);
    town_tell (&town, 0);
    town_run (&town);
    town_expect_error (&town, STATUS_NOT_FOUND, "did you mean 'payments'?");
    town_release (&town);
}

Test (outside, bytes_that_are_no_message_are_refused_and_counted)
{
    town_t town;
    town_init (&town, 41, 1);
    town_pass (&town, 2 * TIME_SECOND);
    peer_t client = rig_incoming ("client");
    uint8_t bytes[64];
    for (int i = 0; i < 500; i++) {
        size_t size = random_below (&town.random, sizeof bytes);
        for (size_t b = 0; b < size; b++)
            bytes[b] = (uint8_t)random_next (&town.random);
        speed_core_receive (town.worker[0].core, &client, bytes, size);
    }
    town_run (&town);
    while (town_answered (&town))
        town_reply (&town, MESSAGE_ERROR);
    cr_assert_geq (metric (&town, "messages_refused"), 490);
    town_add (&town, 0, 10);
    town_release (&town);
}

/* Whole messages, changed here and there: whatever they say, the worker goes on. */
Test (outside, changed_messages_do_no_harm, .timeout = 120)
{
    town_t town;
    town_init (&town, 42, 2);
    town_give (&town, 1, 1);
    town_pass (&town, 2 * TIME_SECOND);
    peer_t client = rig_incoming ("client");
    peer_t other = peer_of_endpoint ("tcp://w1");
    payment_t payments[5];
    for (int i = 0; i < 2000; i++) {
        for (size_t p = 0; p < 5; p++)
            payments[p] =
                payments_random (&town.random, town.worker[0].rig.clock, TIME_HOUR, PARTITIONS);
        town.worker[0].deaf = true;
        town_send (&town, 0, payments, 5, 1 + random_below (&town.random, 60));
        const void *data;
        size_t size;
        if (i % 3 == 0) {
            wire_begin (town.writer, MESSAGE_APPEND_OK, random_next (&town.random) % 100000);
            wire_field_uint (town.writer, "accepted", UINT64_MAX);
            wire_field_uint (town.writer, "refused_count", 3);
            wire_field_list (town.writer, "refused");
            wire_close (town.writer);
            wire_field_uint (town.writer, "position", 9);
        } else {
            wire_begin (town.writer, MESSAGE_QUERY, 8);
            wire_field_list (town.writer, "questions");
            wire_open_map (town.writer);
            wire_field_uint (town.writer, "id", 8);
            wire_field_string (town.writer, "view", "spend");
            wire_field_string (town.writer, "log", PAYMENTS_LOG);
            wire_field_uint (town.writer, "plan", town_plan (1));
            wire_field_list (town.writer, "parts");
            wire_open_map (town.writer);
            wire_field_uint (town.writer, "partition", random_below (&town.random, 6));
            wire_field_uint (town.writer, "cut", random_below (&town.random, 2));
            wire_field_list (town.writer, "keys");
            wire_put_bin (town.writer, text_of ("nonsense"));
            wire_close (town.writer);
            wire_field_list (town.writer, "as_of");
            wire_put_int (town.writer, (int64_t)random_next (&town.random));
            wire_close (town.writer);
            wire_close (town.writer);
            wire_close (town.writer);
            wire_close (town.writer);
            wire_close (town.writer);
        }
        cr_assert (wire_end (town.writer, &data, &size));
        uint8_t *bytes = mem_alloc (size);
        memcpy (bytes, data, size);
        for (uint64_t edits = random_below (&town.random, 3); edits > 0; edits--)
            bytes[random_below (&town.random, size)] = (uint8_t)random_next (&town.random);
        speed_core_receive (town.worker[0].core, i % 2 ? &client : &other, bytes, size);
        mem_free (bytes);
        town_run (&town);
        while (town.replies) {
            reply_t *reply = town.replies;
            town.replies = reply->next;
            mem_free (reply);
        }
    }
    town.worker[0].deaf = false;
    town_pass (&town, 6 * TIME_SECOND);
    while (town_answered (&town)) {
        reply_t *reply = town.replies;
        town.replies = reply->next;
        mem_free (reply);
    }
    cr_assert_str_eq (town_ask (&town, 0, 1, 0, 0, 0),
                      payments_partition (1, 4) == 1 ? "fenced" : "stale");
    town_release (&town);
}

Test (outside, answers_and_pokes_from_strangers_are_not_answered)
{
    town_t town;
    town_init (&town, 43, 1);
    town_pass (&town, 2 * TIME_SECOND);
    wire_begin (town.writer, MESSAGE_ERROR, 7);
    wire_field_string (town.writer, "status", "busy");
    wire_field_string (town.writer, "text", "go away");
    town_tell (&town, 0);
    wire_begin (town.writer, MESSAGE_POKE, 0);
    town_tell (&town, 0);
    wire_begin (town.writer, MESSAGE_PING_OK, 7);
    wire_field_string (town.writer, "node", "n");
    wire_field_string (town.writer, "kind", "k");
    wire_field_string (town.writer, "cluster", "c");
    wire_field_uint (town.writer, "incarnation", 1);
    town_tell (&town, 0);
    town_run (&town);
    cr_assert_not (town_answered (&town));
    wire_begin (town.writer, MESSAGE_GET, 7);
    wire_field_string (town.writer, "view", "spend");
    wire_field_list (town.writer, "keys");
    wire_close (town.writer);
    town_tell (&town, 0);
    town_run (&town);
    town_expect_error (&town, STATUS_INVALID, "does not answer 'get'");
    town_release (&town);
}

/* An owner that answers an append with an error of status "ok" has not written it. */
Test (outside, an_error_that_says_ok_is_no_acknowledgement)
{
    town_t town;
    town_init (&town, 44, 2);
    town_give_all (&town, 1);
    town_pass (&town, 2 * TIME_SECOND);
    payment_t payment =
        payments_random (&town.random, town.worker[0].rig.clock, TIME_HOUR, PARTITIONS);
    town.worker[1].deaf = true;
    town_send (&town, 0, &payment, 1, 1);
    speed_core_tick (town.worker[0].core);
    rig_message_t *sent = rig_env_take (&town.worker[0].rig);
    message_kind_t kind = MESSAGE_NONE;
    uint64_t id = 0;
    while (sent && kind != MESSAGE_APPEND) {
        cr_assert (wire_peek (sent->data, sent->size, &kind, &id));
        rig_message_free (&sent);
        sent = kind == MESSAGE_APPEND ? NULL : rig_env_take (&town.worker[0].rig);
    }
    cr_assert_eq (kind, MESSAGE_APPEND);
    peer_t owner = peer_of_endpoint ("tcp://w1");
    const void *data;
    size_t size;
    wire_begin (town.writer, MESSAGE_ERROR, id);
    wire_field_string (town.writer, "status", "ok");
    wire_field_string (town.writer, "text", "fine");
    cr_assert (wire_end (town.writer, &data, &size));
    speed_core_receive (town.worker[0].core, &owner, data, size);
    town_run (&town);
    town_expect_error (&town, STATUS_UNAVAILABLE, "fine");
    town_release (&town);
}
