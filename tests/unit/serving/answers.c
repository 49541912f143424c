/* What a `get` answers: batch part and the owners' merged, to the bit what the oracle says. */
#include "tests/unit/serving/house.h"

static void ask_all (house_t *house)
{
    house_get (house, "spend", NULL, 0);
    house_ask (house);
}

Test (answers, before_anything_is_published_all_is_the_owners)
{
    house_t house;
    house_init (&house, 1);
    house_add (&house, 300);
    house_pass (&house, TIME_SECOND);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    cr_assert_eq (house.reported, 0);
    house_release (&house);
}

/* Manifest after manifest, of which one has a load and one leaves rows out; all is answered from
 * files and owners. */
static void publish_and_ask (uint64_t seed, bool deltas)
{
    house_t house;
    house_init (&house, seed);
    house.deltas = deltas;
    house_add (&house, 300);
    house_pass (&house, TIME_SECOND);
    for (int i = 0; i < 4; i++) {
        house_publish (&house, 1, i == 2, i == 3);
        house_add (&house, 80);
        house_pass (&house, 2 * TIME_SECOND);
        cr_assert_eq (house.reported, (uint64_t)i + 1);
        ask_all (&house);
        house_check (&house, NULL, 0, NULL);
    }
    cr_assert_eq (house_metric (&house, "slow_keys"), 0, "the files are exact for these");
    house_release (&house);
}

Test (answers, merge_the_files_and_the_owners_events)
{
    publish_and_ask (2, false);
}

Test (answers, merge_a_base_and_a_delta)
{
    publish_and_ask (21, true);
}

Test (answers, as_of_any_time_are_exact_and_the_slow_path_answers_what_files_cannot)
{
    house_t house;
    house_init (&house, 3);
    house_add (&house, 400);
    house_publish (&house, 1, true, true);
    house_add (&house, 100);
    house_pass (&house, TIME_SECOND);
    for (int i = 0; i < 40; i++) {
        unsigned users[PAYMENTS_USERS];
        int64_t as_of[PAYMENTS_USERS];
        size_t count = 1 + random_below (&house.random, PAYMENTS_USERS);
        for (size_t k = 0; k < count; k++) {
            users[k] = (unsigned)random_below (&house.random, PAYMENTS_USERS);
            as_of[k] =
                house.rig.clock + TIME_DAY - (int64_t)random_below (&house.random, 9 * TIME_DAY);
        }
        house_get (&house, "spend", users, count);
        wire_field_list (house.writer, "as_ofs");
        for (size_t k = 0; k < count; k++)
            wire_put_int (house.writer, as_of[k]);
        wire_close (house.writer);
        house_ask (&house);
        house_check (&house, users, count, as_of);
    }
    cr_assert_gt (house_metric (&house, "slow_keys"), 0);
    house_release (&house);
}

Test (answers, a_view_that_has_no_file_yet_is_answered_from_history)
{
    house_t house;
    house_init (&house, 4);
    house_add (&house, 200);
    house_publish (&house, 0, true, true);
    house_add (&house, 50);
    house_pass (&house, TIME_SECOND);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    cr_assert_eq (house_metric (&house, "slow_keys"), PAYMENTS_USERS);
    house_release (&house);
}

/* Asks for all users' features of definitions 1, and perhaps the new one, which must be what it is
 * over all events. */
static void check_grown (house_t *house, bool with_new)
{
    static const char *const names[] = { "n_1h", "n_lifetime", "s_1h", "s_7d", "m_1h", "l" };
    house_get (house, "spend", NULL, 0);
    wire_field_list (house->writer, "features");
    for (size_t i = 0; i < PAYMENTS_FEATURES; i++)
        wire_put_string (house->writer, names[i]);
    if (with_new)
        wire_put_string (house->writer, "least_1h");
    wire_close (house->writer);
    house_ask (house);
    if (!with_new) {
        house_check (house, NULL, 0, NULL);
        return;
    }
    message_t message = house_reply (house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    for (uint32_t user = 0; user < results.count; user++) {
        cr_assert (wire_bool (&results.items[user], "complete", false));
        const wire_value_t *got = &wire_list (&results.items[user], "values").items[6];
        int64_t least = INT64_MAX;
        for (size_t i = 0; i < house->payments_count; i++) {
            const payment_t *payment = &house->payments[i];
            if (payment->user == user && payment->time <= house->rig.clock &&
                payment->time > house->rig.clock - TIME_HOUR && payment->items < least)
                least = payment->items;
        }
        cr_assert_eq (got->type == MSGPACK_OBJECT_NIL ? INT64_MAX : wire_item_int (got), least);
    }
}

Test (answers, a_new_feature_comes_from_history_until_it_is_built_and_the_others_stay_fast)
{
    house_t house;
    house_init (&house, 19);
    house_add (&house, 400);
    house_publish (&house, 1, false, false);
    house_add (&house, 100);
    house_pass (&house, TIME_SECOND);
    house.definitions = house.owners_definitions = PAYMENTS_GROWN;
    house_pass (&house, TIME_SECOND);
    uint64_t before = house_metric (&house, "slow_keys");
    check_grown (&house, false);
    cr_assert_eq (house_metric (&house, "slow_keys"), before);
    check_grown (&house, true);
    cr_assert_eq (house_metric (&house, "slow_keys"), before + PAYMENTS_USERS);
    house_release (&house);
}

Test (answers, before_moves_the_as_of_back_by_a_microsecond)
{
    house_t house;
    house_init (&house, 5);
    house_add (&house, 100);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    /* at the time of an event, with it and without it */
    const payment_t *payment = &house.payments[17];
    int64_t as_of[2] = { payment->time, payment->time - 1 };
    for (int before = 0; before < 2; before++) {
        house_get (&house, "spend", &payment->user, 1);
        wire_field_int (house.writer, "as_of", payment->time);
        wire_field_bool (house.writer, "before", before);
        house_ask (&house);
        house_check (&house, &payment->user, 1, &as_of[before]);
    }
    house_release (&house);
}

Test (answers, an_as_of_may_be_a_text)
{
    house_t house;
    house_init (&house, 6);
    house_add (&house, 100);
    house_pass (&house, TIME_SECOND);
    unsigned user = 3;
    int64_t as_of = house.rig.clock - TIME_HOUR;
    house_get (&house, "spend", &user, 1);
    wire_field_string (house.writer, "as_of", "-1h");
    house_ask (&house);
    house_check (&house, &user, 1, &as_of);
    house_release (&house);
}

Test (answers, each_layer_can_be_asked_alone)
{
    house_t house;
    house_init (&house, 7);
    house_add (&house, 200);
    const manifest_t *manifest = house_publish (&house, 1, false, false);
    house_add (&house, 100);
    house_pass (&house, TIME_SECOND);
    uint64_t queries = house.queries;
    for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
        uint64_t cut = manifest->cut[payments_partition (user, PARTITIONS)];
        house_get (&house, "spend", &user, 1);
        wire_field_string (house.writer, "part", "batch");
        house_ask (&house);
        message_t message = house_reply (&house, MESSAGE_GET_OK);
        wire_list_t results = wire_list (message.body, "results");
        house_check_values (&house, &results.items[0], 1, user, 0, cut, house.rig.clock);
        cr_assert_eq (house.queries, queries, "no owner is asked for that");
    }
    for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
        uint64_t cut = manifest->cut[payments_partition (user, PARTITIONS)];
        house_get (&house, "spend", &user, 1);
        wire_field_string (house.writer, "part", "realtime");
        house_ask (&house);
        message_t message = house_reply (&house, MESSAGE_GET_OK);
        wire_list_t results = wire_list (message.body, "results");
        house_check_values (&house, &results.items[0], 1, user, cut, UINT64_MAX, house.rig.clock);
    }
    house_release (&house);
}

Test (answers, only_the_features_asked_for_in_the_order_asked)
{
    house_t house;
    house_init (&house, 8);
    house_add (&house, 100);
    house_pass (&house, TIME_SECOND);
    unsigned user = 2;
    house_get (&house, "spend@v1", &user, 1);
    wire_field_list (house.writer, "features");
    wire_put_string (house.writer, "l");
    wire_put_string (house.writer, "n_1h");
    wire_close (house.writer);
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t names = wire_list (message.body, "features");
    wire_list_t types = wire_list (message.body, "types");
    wire_list_t values = wire_list (&wire_list (message.body, "results").items[0], "values");
    cr_assert_eq (names.count, 2);
    cr_assert (text_is (wire_item_text (&names.items[0]), "l"));
    cr_assert (text_is (wire_item_text (&names.items[1]), "n_1h"));
    cr_assert (text_is (wire_item_text (&types.items[1]), "int64"));
    value_t count = payments_expected (1, 0, house.payments, house.payments_count, user, 0,
                                       UINT64_MAX, house.rig.clock);
    cr_assert_eq (wire_item_int (&values.items[1]), count.i);
    house_release (&house);
}

Test (answers, no_keys_no_results)
{
    house_t house;
    house_init (&house, 9);
    house_pass (&house, TIME_SECOND);
    unsigned nobody = 0;
    house_get (&house, "spend", &nobody, 0);
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert_eq (wire_list (message.body, "results").count, 0);
    house_release (&house);
}

/* ---- datasets ---- */

Test (datasets, a_damaged_view_is_not_used_and_told_and_its_answers_come_from_history)
{
    house_t house;
    house_init (&house, 10);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house_add (&house, 100);
    house_publish (&house, 1, false, false);
    sim_disk_rot (house.disk, house_path (2, 1, "view"), 8000);
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (house.reported, 2);
    cr_assert_eq (house.damaged_views, 1);
    cr_assert_gt (house.rig.warnings, 0);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    sim_disk_rot (house.disk, house_path (2, 1, "view"), 8000); /* as it was */
    house_pass (&house, 2 * TIME_MINUTE);
    cr_assert_eq (house.reported, 2);
    cr_assert_eq (house.damaged_views, 0);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    house_release (&house);
}

Test (datasets, a_base_without_its_delta_is_not_used)
{
    house_t house;
    house_init (&house, 22);
    house.deltas = true;
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house_add (&house, 100);
    house_publish (&house, 1, false, false);
    sim_disk_rot (house.disk, house_path (2, 1, "delta"), 1600);
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (house.damaged_views, 1);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    cr_assert_gt (house_metric (&house, "slow_keys"), 0);
    house_release (&house);
}

Test (datasets, whose_layers_are_not_those_of_its_files_are_not_used)
{
    house_t house;
    house_init (&house, 23);
    house.deltas = true;
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house_add (&house, 100);
    house_publish (&house, 1, false, false)->bad_layers = true;
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (house.reported, 1);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    house_release (&house);
}

Test (datasets, a_view_that_is_gone_is_not_waited_for)
{
    house_t house;
    error_t error;
    house_init (&house, 14);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    cr_assert_eq (fs_remove (house.rig.env.fs, house_path (1, 1, "view"), &error), STATUS_OK);
    house_pass (&house, 5 * TIME_SECOND);
    cr_assert_eq (house.reported, 1);
    cr_assert_eq (house.damaged_views, 1);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    house_release (&house);
}

Test (datasets, a_run_that_cannot_be_opened_harms_no_answer_that_views_give)
{
    house_t house;
    house_init (&house, 15);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    sim_disk_rot (house.disk, house_path (1, 1, "run"), 40);
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (house.reported, 1);
    cr_assert_eq (house.damaged_runs, 1);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    house_release (&house);
}

Test (datasets, one_that_lacks_a_partition_is_not_used)
{
    house_t house;
    house_init (&house, 11);
    house_add (&house, 200);
    house_pass (&house, TIME_SECOND); /* a lease from before it was published */
    house_publish (&house, 1, false, false)->short_of_one = true;
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (house.reported, 0);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    house_release (&house);
}

Test (datasets, one_of_newer_definitions_waits_for_them)
{
    house_t house;
    house_init (&house, 13);
    house_add (&house, 200);
    house_pass (&house, TIME_SECOND);
    house_publish (&house, 1, false, false)->written_under = PAYMENTS_GROWN;
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (house.reported, 0);
    ask_all (&house);
    house_check (&house, NULL, 0, NULL);
    house.definitions = house.owners_definitions = PAYMENTS_GROWN;
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (house.reported, 1);
    check_grown (&house, false);
    house_release (&house);
}

/* What was published meanwhile users may have been told of: the coordinator waited for nobody. */
Test (datasets, of_before_are_not_answered_from_when_the_lease_ran_out)
{
    house_t house;
    unsigned user = 4;
    house_init (&house, 14);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house.cut_off = true;
    house_pass (&house, HOUSE_LEASE + TIME_SECOND);
    house_publish (&house, 1, false, false);
    house_get (&house, "spend", &user, 1);
    house_ask (&house);
    house_pass (&house, 5 * TIME_SECOND); /* the deadline */
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    cr_expect_not (wire_bool (&results.items[0], "complete", true));
    cr_expect_not_null (strstr (house_reason (&message), "no lease"));
    house_get (&house, "spend", &user, 1);
    house_ask (&house);
    house.cut_off = false;
    house_pass (&house, TIME_SECOND);
    message = house_reply (&house, MESSAGE_GET_OK);
    results = wire_list (message.body, "results");
    cr_expect (wire_bool (&results.items[0], "complete", false));
    cr_expect (text_is (wire_text (&results.items[0], "dataset"), "d2"));
    house_release (&house);
}

/* What users were told before the node came is in the dataset that its first orders name. */
Test (datasets, of_its_first_orders_is_awaited_by_a_node_that_comes)
{
    house_t house;
    unsigned user = 4;
    house_init (&house, 61);
    house_add (&house, 200);
    house_publish (&house, 1, true, false);
    house.hold_jobs = true;
    house_pass (&house, TIME_SECOND);
    int64_t as_of = house.rig.clock;
    house_get (&house, "spend", &user, 1);
    house_ask (&house);
    house_pass (&house, TIME_SECOND);
    cr_assert_not (house_answered (&house));
    house.hold_jobs = false;
    house_pass (&house, 300 * TIME_MS);
    house_check (&house, &user, 1, &as_of);
    house_release (&house);
}

Test (datasets, a_query_keeps_the_one_that_it_began_with)
{
    house_t house;
    house_init (&house, 12);
    house_add (&house, 200);
    house_publish (&house, 0, false, false); /* no view files: history is read by a job */
    house_pass (&house, TIME_SECOND);
    house.hold_jobs = true;
    unsigned user = 4;
    int64_t as_of = house.rig.clock;
    house_get (&house, "spend", &user, 1);
    house_ask (&house);
    cr_assert_not (house_answered (&house));
    /* the job of the query is the first; another manifest comes, and is opened before it runs */
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND + 100 * TIME_MS);
    job_t *open = rig_env_run_lane (&house.rig, 0);
    cr_assert_not_null (open);
    serving_core_job_done (house.core, open);
    house.hold_jobs = false;
    house_run (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    cr_assert (text_is (wire_text (&results.items[0], "dataset"), "d1"));
    cr_assert (wire_bool (&results.items[0], "complete", false));
    house_check_values (&house, &results.items[0], 1, user, 0, UINT64_MAX, as_of);
    house_pass (&house, TIME_SECOND);
    cr_assert_eq (house.reported, 2);
    house_release (&house);
}

/* Runs the open job, so that the latest manifest is in use. */
static void open_latest (house_t *house)
{
    job_t *open = rig_env_run_lane (&house->rig, 0);
    cr_assert_not_null (open);
    serving_core_job_done (house->core, open);
    house_run (house);
}

/* The files of one that is not in use any more are closed by a job, and not while a query has it.
 */
Test (datasets, are_closed_by_a_job_when_nobody_has_them_any_more)
{
    house_t house;
    house_init (&house, 13);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    uint64_t files = sim_disk_open_files (house.disk);
    cr_assert_gt (files, 0);
    house.owners = OWNERS_LATE;
    unsigned user = 4;
    house_get (&house, "spend", &user, 1);
    house_ask (&house);
    house.hold_jobs = true;
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    open_latest (&house);
    cr_assert_eq (rig_env_jobs (&house.rig), 0, "the query has the one before");
    house_answers (&house);
    house_run (&house);
    (void)house_reply (&house, MESSAGE_GET_OK);
    cr_assert_eq (rig_env_jobs (&house.rig), 1);
    cr_assert_eq (sim_disk_open_files (house.disk), 2 * files);
    job_t *closed = rig_env_run (&house.rig);
    cr_assert_eq (sim_disk_open_files (house.disk), files);
    serving_core_job_done (house.core, closed);
    /* and a node that ends meanwhile closes them, too */
    house.owners = OWNERS_ANSWER;
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    open_latest (&house);
    cr_assert_eq (rig_env_jobs (&house.rig), 1);
    house_release (&house);
}

/* As many clients ask for the user in one go. */
static void ask_together (house_t *house, unsigned clients, unsigned user)
{
    for (unsigned i = 0; i < clients; i++) {
        char name[32];
        snprintf (name, sizeof name, "client %u", i);
        peer_t client = rig_incoming (name);
        house_get (house, "spend", &user, 1);
        house_give (house, &client);
    }
    house_run (house);
    for (unsigned i = 0; i < clients; i++)
        house_check (house, &user, 1, NULL);
}

/* What comes in before the core's next tick is asked together, up to so many keys. */
Test (answers, what_clients_ask_at_the_same_time_goes_to_an_owner_in_one_message)
{
    house_t house;
    house_init (&house, 41);
    house_add (&house, 300);
    house_publish (&house, 1, false, false);
    house_add (&house, 100);
    house_pass (&house, TIME_SECOND);
    uint64_t queries = house.queries, messages = house.messages;
    ask_together (&house, 1, 3);
    cr_assert_eq (house.queries, queries + 1);
    cr_assert_eq (house.messages, messages + 1);
    ask_together (&house, 40, 3);
    cr_assert_eq (house.queries, queries + 41);
    cr_assert_eq (house.messages, messages + 2);
    ask_together (&house, 300, 3);
    cr_assert_eq (house.queries, queries + 341);
    cr_assert_eq (house.messages, messages + 2 + 5, "an owner begins before the last one came");
    house_release (&house);
}
