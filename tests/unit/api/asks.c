/* What weir's own programs ask through a handle, against played nodes. */
#include "client/api/ask.h"
#include "tests/unit/api/played.h"

#include <criterion/criterion.h>
#include <poll.h>

TestSuite (asks, .timeout = 60);

static played_t one, two, coordinator;
static weir_error_t error;

typedef struct told {
    unsigned times;
    uint64_t queries;
    status_t status;
    weir_t *again; /* is asked once more from there */
} told_t;

static void done (void *arg, const message_t *reply, const error_t *why)
{
    told_t *told = arg;
    weir_t *again = told->again;
    told->times++;
    told->status = why->status;
    told->queries = reply ? wire_map (reply->body, "values")->via.map.ptr[0].val.via.u64 : 0;
    told->again = NULL;
    if (again)
        api_ask (again, CLIENT_SERVING, MESSAGE_METRICS, 5000, done, arg);
}

/* By the descriptor, as a loop of its own would. */
static void run_until (weir_t *weir, const told_t *told, unsigned times)
{
    while (told->times < times) {
        weir_event_t *event;
        struct pollfd ready = { .fd = weir_fd (weir), .events = POLLIN };
        cr_assert_eq (poll (&ready, 1, 20000), 1, "the descriptor says when");
        cr_assert_eq (weir_poll (weir, 0, &event, &error), WEIR_OK);
        cr_assert_null (event);
    }
    cr_assert_eq (told->times, times);
}

static void run (weir_t *weir, const told_t *told, unsigned times)
{
    run_until (weir, told, times);
    cr_assert_eq (weir_pending (weir), 0);
}

Test (asks, are_told_and_may_ask_again_when_they_are)
{
    played_start (&one, "one");
    weir_t *weir = played_open (&one, NULL, NULL);
    told_t told = { .again = weir };
    api_ask (weir, CLIENT_SERVING, MESSAGE_METRICS, 5000, done, &told);
    cr_assert_eq (weir_pending (weir), 1);
    run (weir, &told, 2);
    cr_expect (told.status == STATUS_OK && told.queries == 12);
    weir_close (&weir);
    played_stop (&one);
}

Test (asks, pass_over_who_is_silent_or_has_no_answer_and_end_in_time)
{
    played_start (&one, "one");
    played_start (&two, "two");
    weir_t *weir = played_open (&one, &two, NULL);
    told_t told = { .times = 0 };
    atomic_store (&one.node.silent, true);
    api_ask (weir, CLIENT_SERVING, MESSAGE_METRICS, 20000, done, &told);
    run (weir, &told, 1);
    cr_expect (told.status == STATUS_OK && told.queries == 12);
    atomic_store (&two.get_status, "busy");
    api_ask (weir, CLIENT_SERVING, MESSAGE_METRICS, 400, done, &told);
    run (weir, &told, 2);
    cr_expect (told.status == STATUS_BUSY || told.status == STATUS_TIMEOUT);
    atomic_store (&two.get_status, "denied");
    api_ask (weir, CLIENT_SERVING, MESSAGE_METRICS, 20000, done, &told);
    run (weir, &told, 3);
    cr_expect_eq (told.status, STATUS_DENIED);
    atomic_store (&two.get_status, NULL);
    atomic_store (&two.node.silent, true);
    told.again = weir; /* when its time is over it asks again */
    api_ask (weir, CLIENT_SERVING, MESSAGE_METRICS, 300, done, &told);
    run_until (weir, &told, 4);
    cr_expect_neq (told.status, STATUS_OK);
    atomic_store (&two.node.silent, false);
    run (weir, &told, 5);
    cr_expect_eq (told.status, STATUS_OK);
    weir_close (&weir);
    played_stop (&one);
    played_stop (&two);
}

Test (asks, are_not_told_when_the_handle_closes)
{
    told_t told = { .times = 0 };
    weir_t *weir = played_open (NULL, NULL, NULL);
    api_ask (weir, CLIENT_COORDINATOR, MESSAGE_DEFINITIONS, 20000, done, &told);
    weir_close (&weir);
    cr_expect_eq (told.times, 0);
}

Test (asks, of_one_serving_node_only_go_to_no_other)
{
    played_start (&one, "one");
    played_start (&two, "two");
    played_start (&coordinator, "coordinator");
    coordinator.serving[0] = one.node.endpoint;
    coordinator.serving[1] = two.node.endpoint;
    weir_t *weir = played_open (&one, &two, NULL);
    api_ask_only (weir, two.node.endpoint);
    for (unsigned i = 0; i < 20; i++) {
        weir_answer_t *answer;
        cr_assert_eq (weir_get (weir, played_get (1), &answer, &error), WEIR_OK, "%s", error.text);
        weir_answer_destroy (&answer);
    }
    cr_expect_eq (atomic_load (&one.gets), 0);
    cr_expect_eq (atomic_load (&two.gets), 20);
    weir_close (&weir);
    played_stop (&one);
    played_stop (&two);
    played_stop (&coordinator);
}
