/* Owners that do not answer, pictures that are old, definitions that change: answered within the
 * deadline, exact or saying that it is not. */
#include "serving/query.h"
#include "tests/unit/serving/house.h"

static const unsigned user = 5;

static void ask_one (house_t *house)
{
    house_get (house, "spend", &user, 1);
    house_ask (house);
}

Test (troubles, an_owner_that_is_silent_makes_the_answer_incomplete_at_the_deadline)
{
    house_t house;
    house_init (&house, 20);
    house_add (&house, 200);
    const manifest_t *manifest = house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    int64_t as_of = house.rig.clock;
    house_get (&house, "spend", &user, 1);
    wire_field_uint (house.writer, "deadline_ms", 700);
    house_ask (&house);
    house_pass (&house, 690 * TIME_MS);
    cr_assert_not (house_answered (&house));
    house_pass (&house, 20 * TIME_MS);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert_str_eq (house_reason (&message), "its owner does not answer");
    uint64_t cut = manifest->cut[payments_partition (user, PARTITIONS)];
    const wire_value_t *result = &wire_list (message.body, "results").items[0];
    house_check_values (&house, result, 1, user, 0, cut, as_of);
    cr_assert_eq (house_metric (&house, "incomplete"), 1);
    cr_assert_eq (house_metric (&house, "queries_under_way"), 0);
    house_release (&house);
}

Test (troubles, who_wants_no_incomplete_answer_gets_an_error)
{
    house_t house;
    house_init (&house, 21);
    house_add (&house, 200);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    house_get (&house, "spend", &user, 1);
    wire_field_bool (house.writer, "refuse_incomplete", true);
    house_ask (&house);
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    house_expect_error (&house, STATUS_UNAVAILABLE, "does not answer");
    house_release (&house);
}

Test (troubles, a_deadline_of_for_ever_is_a_minute)
{
    house_t house;
    house_init (&house, 22);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    house_get (&house, "spend", &user, 1);
    wire_field_uint (house.writer, "deadline_ms", UINT64_MAX / 2 + 7);
    house_ask (&house);
    house_pass (&house, 59 * TIME_SECOND);
    cr_assert_not (house_answered (&house));
    house_pass (&house, TIME_SECOND + 10 * TIME_MS);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    house_reason (&message);
    house_release (&house);
}

Test (troubles, when_nobody_owns_the_partition_it_waits_for_somebody)
{
    house_t house;
    house_init (&house, 23);
    house_add (&house, 200);
    house.nobody = true;
    house_pass (&house, TIME_SECOND);
    int64_t as_of = house.rig.clock;
    ask_one (&house);
    house_pass (&house, 300 * TIME_MS);
    cr_assert_not (house_answered (&house));
    house.nobody = false;
    house.routes++;
    house_pass (&house, 300 * TIME_MS);
    house_check (&house, &user, 1, &as_of);
    house.nobody = true;
    house.routes++;
    house_pass (&house, TIME_SECOND);
    ask_one (&house);
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert_str_eq (house_reason (&message), "nobody owns the partition");
    house_release (&house);
}

Test (troubles, an_old_picture_is_refreshed_and_the_query_asked_again_within_its_deadline)
{
    house_t house;
    house_init (&house, 24);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, 2 * TIME_SECOND);
    house_add (&house, 50);
    /* a newer manifest, of which the node has not heard, and the owners have trimmed */
    house_publish (&house, 1, false, false);
    memcpy (house.base, house.manifest[2].cut, sizeof house.base);
    int64_t as_of = house.rig.clock;
    ask_one (&house);
    cr_assert_not (house_answered (&house));
    house_pass (&house, 200 * TIME_MS);
    house_check (&house, &user, 1, &as_of);
    cr_assert_gt (house_metric (&house, "retries"), 0);
    house_release (&house);
}

Test (troubles, a_picture_that_stays_old_is_said_so)
{
    house_t house;
    house_init (&house, 25);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house.cut_off = true;
    house_publish (&house, 1, false, false);
    memcpy (house.base, house.manifest[2].cut, sizeof house.base);
    ask_one (&house);
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert_str_eq (house_reason (&message), "the picture is old");
    cr_assert_lt (house.queries, 60, "with some time between tries");
    house_release (&house);
}

Test (troubles, a_late_answer_is_as_good_as_a_quick_one)
{
    house_t house;
    house_init (&house, 26);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_LATE;
    int64_t as_of = house.rig.clock;
    ask_one (&house);
    house_pass (&house, 600 * TIME_MS); /* it has been asked again meanwhile */
    cr_assert_gt (house.queries, 1);
    house.owners = OWNERS_SILENT;
    cr_assert_not (house_answered (&house));
    house_answers (&house);
    house_check (&house, &user, 1, &as_of);
    cr_assert_not (house_answered (&house), "and answered once");
    house_release (&house);
}

Test (troubles, history_is_read_once_however_often_the_owner_is_asked)
{
    house_t house;
    house_init (&house, 27);
    house_add (&house, 200);
    house_publish (&house, 0, false, false);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    house.hold_jobs = true;
    int64_t as_of = house.rig.clock;
    ask_one (&house);
    house_pass (&house, TIME_SECOND);
    cr_assert_gt (house.queries, 2);
    cr_assert_eq (house_metric (&house, "slow_keys"), 1);
    cr_assert_eq (rig_env_jobs (&house.rig), 1);
    house.hold_jobs = false;
    house.owners = OWNERS_ANSWER;
    house_pass (&house, 300 * TIME_MS);
    house_check (&house, &user, 1, &as_of);
    house_release (&house);
}

Test (troubles, history_that_is_not_read_in_time_is_said_so)
{
    house_t house;
    house_init (&house, 28);
    house_add (&house, 200);
    house_publish (&house, 0, false, false);
    house_pass (&house, TIME_SECOND);
    house.hold_jobs = true;
    ask_one (&house);
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert_str_eq (house_reason (&message), "history was not read before the deadline");
    house.hold_jobs = false;
    house_run (&house); /* what comes of it now is of no use, and does no harm */
    cr_assert_not (house_answered (&house));
    house_release (&house);
}

Test (troubles, no_more_histories_are_read_at_a_time_than_allowed)
{
    house_t house;
    house_init (&house, 29);
    house_add (&house, 200);
    house_publish (&house, 0, false, false);
    house_pass (&house, TIME_SECOND);
    house.hold_jobs = true;
    int64_t as_of = house.rig.clock;
    for (int i = 0; i < 10; i++)
        ask_one (&house);
    cr_assert_eq (rig_env_jobs (&house.rig), SLOW_MAX);
    house.hold_jobs = false;
    house_run (&house);
    for (int i = 0; i < 10; i++)
        house_check (&house, &user, 1, &as_of);
    house_release (&house);
}

Test (troubles, history_that_is_damaged_is_said_so)
{
    house_t house;
    house_init (&house, 30);
    house_add (&house, 200);
    house_publish (&house, 0, false, false);
    house_pass (&house, TIME_SECOND);
    sim_disk_rot (house.disk, house_path (1, payments_partition (user, PARTITIONS), "run"), 1600);
    ask_one (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert_not_null (strstr (house_reason (&message), "history cannot be read"));
    house_release (&house);
}

Test (troubles, a_damaged_answer_is_dropped_whole_and_asked_for_again)
{
    house_t house;
    house_init (&house, 31);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_add (&house, 200);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_DAMAGE;
    int64_t as_of = house.rig.clock;
    ask_one (&house);
    cr_assert_not (house_answered (&house));
    house.owners = OWNERS_ANSWER;
    house_pass (&house, 200 * TIME_MS);
    house_check (&house, &user, 1, &as_of);
    house_release (&house);
}

Test (troubles, an_owner_that_refuses_the_question_is_quoted)
{
    house_t house;
    house_init (&house, 32);
    house_add (&house, 200);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_REFUSE;
    uint64_t before = house.queries;
    ask_one (&house);
    cr_assert (house_answered (&house), "it would be too large again: nobody waits for that");
    cr_assert_eq (house.queries, before + 1);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert_str_eq (house_reason (&message), "that is too much");
    house_release (&house);
}

/* What the file has is answered all the same, and another query is asked anew. */
Test (troubles, answers_that_are_too_large_for_a_message_are_not_asked_for_again)
{
    house_t house;
    house_init (&house, 36);
    house_add (&house, 200);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_TOO_LARGE;
    uint64_t before = house.queries, incomplete = house_metric (&house, "incomplete");
    ask_one (&house);
    cr_assert (house_answered (&house));
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_expect_str_eq (house_reason (&message), "they are over a limit");
    cr_expect_eq (house.queries, before + 1);
    cr_expect_eq (house_metric (&house, "incomplete"), incomplete + 1);
    house.owners = OWNERS_ANSWER;
    int64_t as_of = house.rig.clock;
    ask_one (&house);
    house_check (&house, &user, 1, &as_of);
    house_release (&house);
}

/* ---- definitions ---- */

Test (troubles, definitions_that_change_under_a_query_are_taken_for_the_whole_of_it)
{
    house_t house;
    house_init (&house, 33);
    house_add (&house, 300);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    house_add (&house, 100);
    house.owners_definitions = 2;
    house_get (&house, "spend", NULL, 0);
    int64_t as_of[PAYMENTS_USERS];
    for (size_t i = 0; i < PAYMENTS_USERS; i++)
        as_of[i] = house.rig.clock;
    house_ask (&house);
    house_pass (&house, 100 * TIME_MS);
    cr_assert_not (house_answered (&house));
    house.definitions = 2;
    house_pass (&house, 500 * TIME_MS);
    house_check (&house, NULL, 0, as_of);
    house_release (&house);
}

/* One of its features is gone, and another stands elsewhere. */
Test (troubles, a_query_that_newer_definitions_cannot_answer_keeps_those_it_began_with)
{
    static const char *const names[] = { "b", "c" };
    house_t house;
    house_init (&house, 35);
    house.shrinks = true;
    house_add (&house, 300);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    house_get (&house, "shrinks", &user, 1);
    wire_field_list (house.writer, "features");
    for (size_t i = 0; i < 2; i++)
        wire_put_string (house.writer, names[i]);
    wire_close (house.writer);
    house_ask (&house);
    house.definitions = 2;
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t told = wire_list (message.body, "features");
    cr_assert_eq (told.count, 2);
    for (uint32_t i = 0; i < 2; i++)
        cr_assert (text_is (wire_item_text (&told.items[i]), names[i]), TEXT_FORMAT,
                   TEXT_ARGS (wire_item_text (&told.items[i])));
    house_release (&house);
}

Test (troubles, a_version_that_was_named_is_not_exchanged_for_another)
{
    house_t house;
    house_init (&house, 34);
    house_add (&house, 300);
    house_pass (&house, TIME_SECOND);
    house.owners_definitions = 2;
    house_get (&house, "spend@v1", &user, 1);
    house_ask (&house);
    house.definitions = 2;
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_assert (text_is (wire_text (message.body, "version"), "v1"));
    house_reason (&message);
    house_get (&house, "spend@v1", &user, 1);
    house_ask (&house);
    house_expect_error (&house, STATUS_NOT_FOUND, "has version v2, not v1");
    house_release (&house);
}

/* ---- what is refused ---- */

Test (refused, without_definitions_nothing_is_known_yet)
{
    house_t house;
    house_init (&house, 40);
    house.cut_off = true;
    house_pass (&house, TIME_SECOND);
    ask_one (&house);
    house_expect_error (&house, STATUS_UNAVAILABLE, "not known here yet");
    house_release (&house);
}

Test (refused, names_that_do_not_exist_are_answered_with_the_likeliest)
{
    house_t house;
    house_init (&house, 41);
    house_pass (&house, TIME_SECOND);
    house_get (&house, "spnd", &user, 1);
    house_ask (&house);
    house_expect_error (&house, STATUS_NOT_FOUND,
                        "there is no view or service 'spnd'; did you mean 'spend'?");
    house_get (&house, "spend", &user, 1);
    wire_field_list (house.writer, "features");
    wire_put_string (house.writer, "n_2h");
    wire_close (house.writer);
    house_ask (&house);
    house_expect_error (&house, STATUS_NOT_FOUND,
                        "view 'spend' has no feature 'n_2h'; did you mean 'n_1h'?");
    wire_begin (house.writer, MESSAGE_GET, 1);
    wire_field_string (house.writer, "view", "spend");
    wire_field_list (house.writer, "keys");
    wire_open_map (house.writer);
    wire_field_string (house.writer, "usr", "ann");
    wire_close (house.writer);
    wire_close (house.writer);
    house_ask (&house);
    house_expect_error (&house, STATUS_NOT_FOUND, "did you mean 'user'?");
    house_release (&house);
}

/* Gives a `get` with one key whose field `user` the caller writes. */
static void begin_key (house_t *house)
{
    wire_begin (house->writer, MESSAGE_GET, 1);
    wire_field_string (house->writer, "view", "spend");
    wire_field_list (house->writer, "keys");
    wire_open_map (house->writer);
}

static void end_key (house_t *house)
{
    wire_close (house->writer);
    wire_close (house->writer);
    house_ask (house);
}

Test (refused, keys_that_are_none)
{
    house_t house;
    house_init (&house, 42);
    house_pass (&house, TIME_SECOND);
    begin_key (&house);
    end_key (&house);
    house_expect_error (&house, STATUS_INVALID, "the key lacks field 'user'");
    begin_key (&house);
    wire_field_int (house.writer, "user", 5);
    end_key (&house);
    house_expect_error (&house, STATUS_INVALID, "key field 'user' takes a string");
    begin_key (&house);
    wire_key (house.writer, "user");
    wire_put_nil (house.writer);
    end_key (&house);
    house_expect_error (&house, STATUS_INVALID, "key field 'user' is null");
    char name[2000];
    memset (name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    begin_key (&house);
    wire_field_string (house.writer, "user", name);
    end_key (&house);
    house_expect_error (&house, STATUS_TOO_LARGE, "over 1024 bytes");
    house_release (&house);
}

Test (refused, versions_times_and_parts_that_are_none)
{
    house_t house;
    house_init (&house, 43);
    house_pass (&house, TIME_SECOND);
    static const char *const views[] = { "spend@",   "spend@v", "spend@1", "spend@v0",
                                         "spend@vx", "@v1",     "@",       "spend@v99999999999" };
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        house_get (&house, views[i], &user, 1);
        house_ask (&house);
        house_reply (&house, MESSAGE_ERROR);
    }
    house_get (&house, "spend@v7", &user, 1);
    house_ask (&house);
    house_expect_error (&house, STATUS_NOT_FOUND, "has version v1, not v7");
    house_get (&house, "spend", &user, 1);
    wire_field_int (house.writer, "as_of", INT64_MIN);
    house_ask (&house);
    house_expect_error (&house, STATUS_RANGE, "out of range");
    house_get (&house, "spend", &user, 1);
    wire_field_bool (house.writer, "as_of", true);
    house_ask (&house);
    house_expect_error (&house, STATUS_INVALID, "as_of is a text or an integer");
    house_get (&house, "spend", &user, 1);
    wire_field_list (house.writer, "as_ofs");
    wire_put_int (house.writer, 1);
    wire_put_int (house.writer, 2);
    wire_close (house.writer);
    house_ask (&house);
    house_expect_error (&house, STATUS_INVALID, "1 keys, but 2 as-of times");
    house_get (&house, "spend", &user, 1);
    wire_field_string (house.writer, "part", "batsh");
    house_ask (&house);
    house_expect_error (&house, STATUS_INVALID, "'batch' and 'realtime'");
    house_release (&house);
}

Test (refused, over_the_limit_of_queries_clients_are_told_busy)
{
    house_t house;
    house_init (&house, 44);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    for (int i = 0; i < 512; i++)
        ask_one (&house);
    cr_assert_not (house_answered (&house));
    ask_one (&house); /* so many are for others */
    house_expect_error (&house, STATUS_BUSY, "512 queries");
    for (int i = 0; i < 512; i++) {
        char name[16];
        snprintf (name, sizeof name, "other-%d", i % 4);
        house_get (&house, "spend", &user, 1);
        house_ask_as (&house, name);
    }
    cr_assert_not (house_answered (&house));
    house_get (&house, "spend", &user, 1);
    house_ask_as (&house, "late");
    message_t refusal = house_reply (&house, MESSAGE_ERROR);
    cr_assert (text_is (wire_text (refusal.body, "status"), "busy"));
    cr_assert_gt (wire_uint (refusal.body, "retry_ms", 0), 0);
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    /* owners were asked for so many of each client; the others' time is over too */
    int answered = 0;
    for (int i = 0; i < 1024; i++) {
        message_kind_t kind;
        uint64_t id;
        cr_assert (house_answered (&house));
        cr_assert (wire_peek (house.replies->data, house.replies->size, &kind, &id));
        answered += kind == MESSAGE_GET_OK;
        (void)house_reply (&house, kind);
    }
    cr_assert_eq (answered, 5 * 8);
    house.owners = OWNERS_ANSWER;
    ask_one (&house);
    house_check (&house, &user, 1, NULL);
    house_release (&house);
}

Test (answers, of_a_client_that_makes_up_return_addresses_wait_as_well)
{
    query_table_t *table = query_table_new (QUERY_MEMORY);
    char name[] = "client-a";
    for (unsigned i = 0; i <= QUERIES_AT_ONCE; i++) {
        name[sizeof name - 2] = (char)('a' + i);
        peer_t from = rig_incoming (name);
        from.connection = sizeof "client" - 1;
        query_t *query = query_new (table, &from, 0);
        cr_assert_not_null (query);
        cr_assert_eq (query_must_wait (table, query), i == QUERIES_AT_ONCE);
    }
    query_table_destroy (&table);
}

Test (answers, of_a_client_that_asks_for_much_wait_for_its_own_and_not_others)
{
    house_t house;
    house_init (&house, 47);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    for (int i = 0; i < 40; i++)
        ask_one (&house);
    house.owners = OWNERS_ANSWER;
    house_get (&house, "spend", &user, 1);
    house_ask_as (&house, "other");
    (void)house_reply (&house, MESSAGE_GET_OK); /* though 32 wait that came before it */
    cr_assert_not (house_answered (&house));
    house_pass (&house, TIME_SECOND); /* the owners are asked again, and then for those */
    for (int i = 0; i < 40; i++)
        (void)house_reply (&house, MESSAGE_GET_OK);
    house_release (&house);
}

Test (refused, bytes_that_are_no_message_and_changed_messages_do_no_harm, .timeout = 120)
{
    house_t house;
    house_init (&house, 45);
    house_add (&house, 30);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND);
    peer_t peers[3] = { rig_incoming ("client"), peer_of_endpoint ("tcp://w0"),
                        peer_of_endpoint ("tcp://coordinator") };
    for (int i = 0; i < 3000; i++) {
        const void *data;
        size_t size;
        house.owners = i % 3 == 1 ? OWNERS_LATE : OWNERS_ANSWER;
        if (i % 3 == 1) { /* an owner's answer, changed */
            ask_one (&house);
            reply_t *late = house.late;
            if (!late)
                continue;
            uint8_t *bytes = mem_alloc (late->size);
            memcpy (bytes, late->data, late->size);
            for (uint64_t edits = 1 + random_below (&house.random, 3); edits > 0; edits--)
                bytes[random_below (&house.random, late->size)] =
                    (uint8_t)random_next (&house.random);
            serving_core_receive (house.core, &late->from, bytes, late->size);
            mem_free (bytes);
            house_answers (&house);
        } else {
            house_get (&house, "spend", &user, 1);
            wire_field_int (house.writer, "as_of", (int64_t)random_next (&house.random));
            cr_assert (wire_end (house.writer, &data, &size));
            uint8_t *bytes = mem_alloc (size);
            memcpy (bytes, data, size);
            for (uint64_t edits = random_below (&house.random, 4); edits > 0; edits--)
                bytes[random_below (&house.random, size)] = (uint8_t)random_next (&house.random);
            serving_core_receive (house.core, &peers[random_below (&house.random, 3)], bytes, size);
            mem_free (bytes);
        }
        house_run (&house);
        while (house.replies) {
            reply_t *reply = house.replies;
            house.replies = reply->next;
            mem_free (reply);
        }
    }
    house.owners = OWNERS_ANSWER;
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    while (house.replies) {
        reply_t *reply = house.replies;
        house.replies = reply->next;
        mem_free (reply);
    }
    ask_one (&house);
    house_check (&house, &user, 1, NULL);
    house_release (&house);
}

Test (refused, a_node_that_goes_leaves_nothing_behind)
{
    house_t house;
    house_init (&house, 46);
    house_add (&house, 100);
    house_publish (&house, 0, false, false);
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    house.hold_jobs = true;
    for (int i = 0; i < 20; i++)
        ask_one (&house);
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND + 200 * TIME_MS);
    cr_assert_gt (rig_env_jobs (&house.rig), SLOW_MAX);
    house_release (&house);
}
