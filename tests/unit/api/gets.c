/* Queries through the C library, against played serving nodes. */
#include "tests/unit/api/played.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <time.h>

TestSuite (gets, .timeout = 120);

static played_t one, two, coordinator;
static weir_error_t error;

static int64_t now_ms (void)
{
    struct timespec now;
    cr_assert_eq (clock_gettime (CLOCK_BOOTTIME, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void check_values (const weir_answer_t *answer, size_t key)
{
    const weir_value_t *v = weir_answer_value (answer, key, 0);
    cr_expect (v->type == WEIR_INT64 && v->as.i == (int64_t)key);
    v = weir_answer_value (answer, key, 1);
    cr_expect (v->type == WEIR_FLOAT64 && v->as.f == 0.5);
    v = weir_answer_value (answer, key, 2);
    cr_expect (v->type == WEIR_STRING && v->size == 4 && strcmp (v->as.text, "text") == 0);
    v = weir_answer_value (answer, key, 3);
    cr_expect (v->type == WEIR_BOOL && v->as.i == 1);
    v = weir_answer_value (answer, key, 4);
    cr_expect (v->type == WEIR_TIMESTAMP && v->as.i == 1767323045000000);
    v = weir_answer_value (answer, key, 5);
    cr_expect (v->type == WEIR_DECIMAL && strcmp (v->as.text, "-12.50") == 0);
    v = weir_answer_value (answer, key, 6);
    cr_expect (v->type == WEIR_LIST && v->size == 2 && v->as.items[1].as.i == 2);
    v = weir_answer_value (answer, key, 7);
    cr_assert (v->type == WEIR_MAP && v->as.map->count == 2);
    cr_expect (v->as.map->capped == 1 && v->as.map->total == 9);
    cr_expect_str_eq (v->as.map->keys[1].as.text, "b");
    cr_expect_str_eq (v->as.map->values[0].as.text, "1.50");
    cr_expect_eq (v->as.map->values[1].type, WEIR_NULL);
    v = weir_answer_value (answer, key, 8);
    cr_expect_eq (v->type, WEIR_NULL);
}

Test (gets, give_values_by_type_with_what_goes_with_them)
{
    weir_answer_t *answer;
    played_start (&one, "one");
    weir_t *weir = played_open (&one, NULL, NULL);
    cr_assert_eq (weir_get (weir, played_get (2), &answer, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq (error.status, WEIR_OK);
    weir_close (&weir); /* the answer stays */
    cr_assert_eq (weir_answer_keys (answer), 2);
    cr_assert_eq (weir_answer_features (answer), 9);
    cr_expect_str_eq (weir_answer_view (answer), "user_spend");
    cr_expect_str_eq (weir_answer_version (answer), "v1");
    cr_expect_str_eq (weir_answer_version_of (answer, "user_spend"), "v1");
    cr_expect_str_eq (weir_answer_version_of (answer, "other_view"), "v3");
    cr_expect_null (weir_answer_version_of (answer, "odd"), "it is no text");
    cr_expect_null (weir_answer_version_of (answer, "nothing"));
    cr_expect_str_eq (weir_answer_feature (answer, 5), "d");
    cr_expect_str_eq (weir_answer_type (answer, 5), "decimal(38,2)");
    check_values (answer, 0);
    check_values (answer, 1);
    cr_expect_str_eq (weir_answer_error (answer, 0, 8), "overflow");
    cr_expect_null (weir_answer_error (answer, 0, 0));
    cr_expect (weir_answer_complete (answer, 0));
    cr_expect_not (weir_answer_complete (answer, 1));
    cr_expect_null (weir_answer_missing (answer, 0, 0));
    cr_expect_str_eq (weir_answer_missing (answer, 1, 0), "payments/user_id/3: gone");
    cr_expect_null (weir_answer_missing (answer, 1, 1));
    cr_expect_eq (weir_answer_as_of (answer, 1), 77);
    cr_expect_str_eq (weir_answer_dataset (answer, 1), "d41");
    cr_assert_eq (weir_answer_positions (answer, 1), 1);
    const weir_position_t *position = weir_answer_position (answer, 1, 0);
    cr_expect_str_eq (position->log, "payments/user_id");
    cr_expect (position->partition == 3 && position->position == 1042);
    cr_expect_null (weir_answer_value (answer, 2, 0));
    cr_expect_null (weir_answer_value (answer, 0, 9));
    cr_expect_null (weir_answer_position (answer, 0, 1));
    weir_answer_destroy (&answer);
    cr_expect_null (answer);
    weir_answer_destroy (&answer);
    played_stop (&one);
}

Test (gets, say_whose_events_are_known_and_of_when)
{
    weir_answer_t *answer;
    played_start (&one, "one");
    weir_t *weir = played_open (&one, NULL, NULL);
    cr_assert_eq (weir_get (weir, played_get (3), &answer, &error), WEIR_OK, "%s", error.text);
    weir_close (&weir);
    int64_t time = 1;
    enum { BOTH, SECOND, NONE, FIRST };
    cr_assert_eq (weir_answer_roles (answer), 2);
    cr_expect_str_eq (weir_answer_role (answer, 1), "receiver");
    cr_expect_null (weir_answer_role (answer, 2));
    cr_expect (weir_answer_role_time (answer, 2, 0, &time) && time == 72);
    cr_expect_not (weir_answer_role_time (answer, 1, 0, &time), "it is never seen");
    cr_expect_not (weir_answer_role_time (answer, 0, 2, &time));
    cr_expect_eq (weir_answer_presence (answer, 0, BOTH), WEIR_SEEN);
    cr_expect_eq (weir_answer_presence (answer, 0, SECOND), WEIR_NEVER_SEEN);
    cr_expect_eq (weir_answer_presence (answer, 1, BOTH), WEIR_NEVER_SEEN);
    cr_expect_eq (weir_answer_presence (answer, 1, NONE), WEIR_SEEN, "it is of the request");
    cr_expect_eq (weir_answer_presence (answer, 2, FIRST), WEIR_EXPIRED);
    cr_expect_eq (weir_answer_presence (answer, 2, BOTH), WEIR_EXPIRED);
    cr_expect_eq (weir_answer_presence (answer, 3, BOTH), WEIR_SEEN, "there is no such key");
    cr_expect (weir_answer_event_time (answer, 0, BOTH, &time) && time == 70);
    cr_expect (weir_answer_event_time (answer, 2, FIRST, &time) && time == 72);
    cr_expect_not (weir_answer_event_time (answer, 0, SECOND, &time));
    cr_expect_not (weir_answer_event_time (answer, 0, NONE, &time));
    weir_answer_destroy (&answer);
    played_stop (&one);
}

/* Submits up to `count` and collects all; how many were answered. */
static unsigned ask_many (weir_t *weir, unsigned count)
{
    unsigned asked = 0, answered = 0, full = 0;
    bool seen[256] = { false };
    cr_assert_leq (count, 256);
    while (asked < count || weir_pending (weir) > 0) {
        weir_event_t *event;
        weir_status_t status = WEIR_OK;
        while (asked < count && status == WEIR_OK) {
            status = weir_get_submit (weir, played_get (1 + asked % 3), asked, &error);
            asked += status == WEIR_OK;
        }
        if (status == WEIR_BUSY)
            cr_assert_eq (weir_pending (weir), 8, "gets_max");
        full += status == WEIR_BUSY;
        cr_assert_eq (weir_poll (weir, -1, &event, &error), WEIR_OK, "%s", error.text);
        if (!event)
            continue;
        cr_assert_eq (event->kind, WEIR_EVENT_ANSWER);
        cr_assert_eq (event->status, event->error->status);
        cr_assert_lt (event->tag, asked);
        cr_assert_not (seen[event->tag], "told twice");
        seen[event->tag] = true;
        if (event->answer)
            cr_assert_eq (weir_answer_keys (event->answer), 1 + event->tag % 3);
        answered += event->answer != NULL;
        weir_event_destroy (&event);
        cr_assert_null (event);
    }
    cr_assert (count < 9 || full > 0, "the window was never full: the test tests nothing");
    return answered;
}

Test (gets, several_at_a_time_go_to_all_serving_nodes_within_the_window)
{
    played_start (&one, "one");
    played_start (&two, "two");
    weir_t *weir = played_open (&one, &two, NULL);
    cr_assert_eq (ask_many (weir, 200), 200);
    /* a node that the machine gives no time has half of the window, and no more is dealt to it */
    cr_expect_geq (atomic_load (&one.gets), 4);
    cr_expect_geq (atomic_load (&two.gets), 4);
    cr_expect_eq (atomic_load (&one.gets) + atomic_load (&two.gets), 200);
    cr_expect_eq (weir_pending (weir), 0);
    weir_close (&weir);
    played_stop (&one);
    played_stop (&two);
}

/* The other one answers; it is noticed well before the time of a get is over. */
Test (gets, of_a_node_that_is_gone_are_asked_of_another)
{
    played_start (&one, "one");
    played_start (&two, "two");
    weir_t *weir = played_open (&one, &two, NULL);
    cr_assert_eq (ask_many (weir, 20), 20);
    for (unsigned i = 0; i < 8; i++) { /* half of them will never be answered there */
        atomic_store (&one.node.silent, true);
        cr_assert_eq (weir_get_submit (weir, played_get (1), i, &error), WEIR_OK);
    }
    weir_event_t *event;
    cr_assert_eq (weir_poll (weir, 20, &event, &error), WEIR_OK);
    weir_event_destroy (&event);
    played_stop (&one);
    int64_t start = now_ms ();
    for (unsigned answered = 0; weir_pending (weir) > 0;) {
        cr_assert_eq (weir_poll (weir, -1, &event, &error), WEIR_OK);
        if (event)
            cr_assert_not_null (event->answer, "%u answered, then %s", answered,
                                event->error->text);
        answered += event != NULL;
        weir_event_destroy (&event);
    }
    cr_expect_lt (now_ms () - start, 4000);
    cr_assert_eq (ask_many (weir, 20), 20);
    weir_close (&weir);
    played_stop (&two);
}

/* One that is stopped takes connections and says nothing: another is asked at half the time. */
Test (gets, of_a_node_that_is_silent_are_asked_of_another)
{
    weir_answer_t *answer;
    played_start (&one, "one");
    played_start (&two, "two");
    weir_t *weir = played_open (&one, &two, NULL);
    cr_assert_eq (ask_many (weir, 20), 20);
    atomic_store (&one.node.silent, true);
    for (int i = 0; i < 4; i++) {
        weir_get_t get = *played_get (1);
        get.deadline_ms = 500;
        cr_assert_eq (weir_get (weir, &get, &answer, &error), WEIR_OK, "%s", error.text);
        weir_answer_destroy (&answer);
    }
    atomic_store (&two.node.silent, true);
    weir_get_t get = *played_get (1);
    get.deadline_ms = 100;
    cr_assert_eq (weir_get (weir, &get, &answer, &error), WEIR_TIMEOUT);
    cr_expect_null (answer);
    weir_close (&weir);
    played_stop (&one);
    played_stop (&two);
}

Test (gets, of_a_cluster_that_is_down_fail_at_once_and_with_patience_wait_for_it)
{
    weir_answer_t *answer;
    played_start (&one, "one");
    played_stop (&one); /* its endpoint is known */
    weir_t *weir = played_open (&one, NULL, NULL);
    int64_t start = now_ms ();
    cr_assert_eq (weir_get (weir, played_get (1), &answer, &error), WEIR_UNAVAILABLE);
    cr_expect_not_null (strstr (error.text, one.node.endpoint), "%s", error.text);
    cr_expect_lt (now_ms () - start, 2000);
    weir_get_t get = *played_get (1);
    get.patience_ms = 30000;
    cr_assert_eq (weir_get_submit (weir, &get, 5, &error), WEIR_OK);
    weir_event_t *event;
    cr_assert_eq (weir_poll (weir, 500, &event, &error), WEIR_OK);
    cr_assert_null (event);
    played_start (&one, "one");
    cr_assert_eq (weir_poll (weir, -1, &event, &error), WEIR_OK);
    cr_assert_not_null (event);
    cr_assert_not_null (event->answer, "%s", event->error->text);
    weir_event_destroy (&event);
    weir_close (&weir);
    played_stop (&one);
}

Test (gets, that_are_refused_tell_why_and_with_patience_ask_again)
{
    weir_answer_t *answer;
    played_start (&one, "one");
    atomic_store (&one.get_status, "busy");
    weir_t *weir = played_open (&one, NULL, NULL);
    cr_assert_eq (weir_get (weir, played_get (1), &answer, &error), WEIR_BUSY);
    cr_expect_eq (error.retry_ms, 3);
    cr_expect_str_eq (error.text, "as played");
    weir_get_t get = *played_get (1);
    get.patience_ms = 30000;
    atomic_store (&one.get_status_times, 3);
    cr_assert_eq (weir_get (weir, &get, &answer, &error), WEIR_OK, "%s", error.text);
    weir_answer_destroy (&answer);
    cr_expect_eq (atomic_load (&one.gets), 5);
    atomic_store (&one.get_status, "not-found");
    cr_assert_eq (weir_get (weir, &get, &answer, &error), WEIR_NOT_FOUND);
    cr_expect_eq (atomic_load (&one.gets), 6, "which patience does not mend");
    weir_close (&weir);
    played_stop (&one);
}

Test (gets, are_not_sent_to_a_node_of_another_cluster)
{
    weir_answer_t *answer;
    one.cluster = "shop";
    played_start (&one, "one");
    weir_t *weir = played_open (&one, NULL, NULL);
    cr_assert_eq (weir_get (weir, played_get (1), &answer, &error), WEIR_INVALID);
    cr_expect_not_null (strstr (error.text, "is cluster 'shop', not 'c'"), "%s", error.text);
    cr_expect_eq (atomic_load (&one.gets), 0);
    weir_close (&weir);
    played_stop (&one);
}

Test (gets, find_serving_nodes_through_a_coordinator)
{
    weir_options_t options;
    weir_answer_t *answer;
    weir_t *weir;
    played_start (&one, "one");
    played_start (&coordinator, "coordinator");
    coordinator.serving[0] = "no endpoint";
    coordinator.serving[1] = one.node.endpoint;
    const char *endpoints[] = { "ipc:///tmp/weir-api-nobody", coordinator.node.endpoint };
    weir_options_init (&options);
    options.coordinators = endpoints;
    options.coordinators_count = 2;
    options.cluster = "c";
    cr_assert_eq (weir_open (&options, &weir, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq (weir_get (weir, played_get (1), &answer, &error), WEIR_OK, "%s", error.text);
    weir_answer_destroy (&answer);
    played_stop (&coordinator);
    cr_assert_eq (weir_get (weir, played_get (1), &answer, &error), WEIR_OK, "%s", error.text);
    weir_answer_destroy (&answer);
    weir_close (&weir);
    played_stop (&one);
}

Test (gets, find_another_serving_node_when_the_known_one_is_gone_for_good)
{
    weir_options_t options;
    weir_answer_t *answer;
    weir_t *weir;
    played_start (&one, "one");
    played_start (&two, "two");
    played_start (&coordinator, "coordinator");
    coordinator.serving[0] = one.node.endpoint;
    const char *endpoint = coordinator.node.endpoint;
    weir_options_init (&options);
    options.coordinators = &endpoint;
    options.coordinators_count = 1;
    cr_assert_eq (weir_open (&options, &weir, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq (weir_get (weir, played_get (1), &answer, &error), WEIR_OK, "%s", error.text);
    weir_answer_destroy (&answer);
    coordinator.serving[0] = two.node.endpoint;
    played_stop (&one);
    weir_get_t get = *played_get (1);
    get.patience_ms = 20000;
    cr_assert_eq (weir_get (weir, &get, &answer, &error), WEIR_OK, "%s", error.text);
    weir_answer_destroy (&answer);
    cr_expect_eq (atomic_load (&two.gets), 1);
    weir_close (&weir);
    played_stop (&two);
    played_stop (&coordinator);
}

/* Whatever comes is an answer that can be read through, or an error. */
Test (gets, with_damaged_replies_end_all_the_same)
{
    unsigned good = 0, bad = 0;
    played_start (&one, "one");
    atomic_store (&one.damage, 90);
    weir_t *weir = played_open (&one, NULL, NULL);
    for (unsigned i = 0; i < 3000; i++) {
        weir_answer_t *answer;
        weir_get_t get = *played_get (1 + i % 5);
        get.deadline_ms = 1;
        weir_status_t status = weir_get (weir, &get, &answer, &error);
        cr_assert_eq (status == WEIR_OK, answer != NULL);
        good += status == WEIR_OK;
        bad += status != WEIR_OK;
        for (size_t key = 0; answer && key < weir_answer_keys (answer); key++)
            for (size_t f = 0; f < weir_answer_features (answer); f++) {
                const weir_value_t *value = weir_answer_value (answer, key, f);
                if (value->type == WEIR_STRING || value->type == WEIR_DECIMAL)
                    cr_assert_eq (value->as.text[value->size], '\0');
            }
        weir_answer_destroy (&answer);
    }
    cr_expect (good > 100 && bad > 500, "%u good, %u bad", good, bad);
    weir_close (&weir);
    played_stop (&one);
}

/* The descriptor alone says when there is something to do. */
Test (gets, get_on_in_an_event_loop_that_waits_for_the_descriptor_alone)
{
    unsigned answered = 0, idle = 0;
    weir_event_t *event;
    played_start (&one, "one");
    weir_t *weir = played_open (&one, NULL, NULL);
    int fd = weir_fd (weir);
    cr_assert_geq (fd, 0);
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 8; i++)
            cr_assert_eq (weir_get_submit (weir, played_get (1), i, &error), WEIR_OK, "%s",
                          error.text);
        while (weir_pending (weir) > 0) {
            struct pollfd item = { .fd = fd, .events = POLLIN };
            unsigned before = answered;
            cr_assert_eq (poll (&item, 1, 5000), 1, "it would wait for ever");
            cr_assert_eq (weir_fd (weir), fd);
            while (weir_poll (weir, 0, &event, &error) == WEIR_OK && event) {
                answered += event->answer != NULL;
                weir_event_destroy (&event);
            }
            idle += answered == before;
        }
    }
    cr_expect_eq (answered, 400);
    cr_expect_lt (idle, 50 * 8 * 10, "it does not spin");
    struct pollfd item = { .fd = fd, .events = POLLIN };
    while (poll (&item, 1, 0) == 1 && weir_poll (weir, 0, &event, &error) == WEIR_OK)
        cr_assert_null (event);
    cr_expect_eq (poll (&item, 1, 300), 0, "nothing is under way, and nothing to do");
    weir_close (&weir);
    played_stop (&one);
}

Test (gets, under_way_are_given_up_at_close)
{
    weir_event_t *event, *kept = NULL;
    played_start (&one, "one");
    weir_t *weir = played_open (&one, NULL, NULL);
    cr_assert_eq (weir_get_submit (weir, played_get (1), 1, &error), WEIR_OK);
    while (!kept)
        cr_assert_eq (weir_poll (weir, -1, &kept, &error), WEIR_OK);
    atomic_store (&one.node.silent, true);
    for (unsigned i = 0; i < 8; i++)
        cr_assert_eq (weir_get_submit (weir, played_get (1), i, &error), WEIR_OK);
    cr_assert_eq (weir_poll (weir, 20, &event, &error), WEIR_OK);
    weir_event_destroy (&event);
    weir_close (&weir);
    cr_expect_null (weir);
    cr_expect_eq (weir_answer_keys (kept->answer), 1, "what the caller holds stays");
    weir_event_destroy (&kept);
    played_stop (&one);
}

/* A get that is waited for goes past others that are under way, which are told later. */
Test (gets, waited_for_and_told_go_together)
{
    weir_answer_t *answer;
    played_start (&one, "one");
    weir_t *weir = played_open (&one, NULL, NULL);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 8; i++)
            cr_assert_eq (weir_get_submit (weir, played_get (1), i, &error), WEIR_OK);
        cr_assert_eq (weir_get_submit (weir, played_get (1), 9, &error), WEIR_BUSY);
        cr_assert_eq (weir_get (weir, played_get (3), &answer, &error), WEIR_OK);
        cr_assert_eq (weir_answer_keys (answer), 3);
        weir_answer_destroy (&answer);
        for (unsigned told = 0; told < 8;) {
            weir_event_t *event;
            cr_assert_eq (weir_poll (weir, -1, &event, &error), WEIR_OK);
            told += event && event->answer;
            weir_event_destroy (&event);
        }
        cr_assert_eq (weir_pending (weir), 0);
    }
    weir_close (&weir);
    played_stop (&one);
}
