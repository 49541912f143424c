/* A view of two streams, one of which has a dataset: every answer is made of both logs. */
#include "tests/oracle/oracle.h"
#include "tests/unit/serving/house.h"

static void start (house_t *house, uint64_t seed)
{
    house_init (house, seed);
    house->moves = true;
    house_add (house, 300);
    house_publish (house, 1, true, false);
    house_add (house, 200);
    house_pass (house, TIME_SECOND);
}

static value_t value_of (const wire_value_t *given)
{
    if (given->type == MSGPACK_OBJECT_NIL)
        return (value_t){ .null = true };
    if (given->type == MSGPACK_OBJECT_FLOAT64)
        return (value_t){ .type = TYPE_FLOAT64, .f = given->via.f64 };
    return (value_t){ .type = TYPE_INT64, .i = wire_item_int (given) };
}

/* The values are those of all payments, `times` over: from the log of payments, of refunds. */
static void check_values (const house_t *house, const wire_value_t *result, unsigned user,
                          size_t times, int64_t as_of)
{
    wire_list_t values = wire_list (result, "values");
    size_t count = times * house->payments_count;
    payment_t *counted = mem_zero (count + 1, sizeof *counted);
    for (size_t i = 0; i < count; i++)
        counted[i] = house->payments[i % house->payments_count];
    cr_assert_eq (values.count, PAYMENTS_FEATURES);
    for (size_t f = 0; f < PAYMENTS_FEATURES; f++) {
        value_t got = value_of (&values.items[f]);
        value_t wanted = payments_expected (1, f, counted, count, user, 0, UINT64_MAX, as_of);
        cr_assert (oracle_agree (&got, &wanted), "feature %zu of %s, %zu times", f,
                   payments_user (user), times);
    }
    mem_free (counted);
}

static bool stands_at (const house_t *house, const wire_value_t *result, const char *log,
                       unsigned user)
{
    char name[64];
    uint32_t partition = payments_partition (user, PARTITIONS);
    (void)snprintf (name, sizeof name, "%s/%u", log, partition);
    return wire_uint (wire_map (result, "positions"), name, 0) == house->next_offset[partition];
}

static wire_list_t ask (house_t *house, int64_t as_of)
{
    house_get (house, "moves", NULL, 0);
    wire_field_int (house->writer, "as_of", as_of);
    house_ask (house);
    house_pass (house, HOUSE_DEADLINE + TIME_SECOND);
    message_t message = house_reply (house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    cr_assert_eq (results.count, PAYMENTS_USERS);
    return results;
}

static void check_both (house_t *house, int64_t as_of, const char *dataset)
{
    wire_list_t results = ask (house, as_of);
    for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
        const wire_value_t *result = &results.items[user];
        cr_assert (wire_bool (result, "complete", false));
        cr_assert_not (wire_has (result, "incomplete"));
        cr_assert_eq (wire_map (result, "positions")->via.map.size, 2);
        cr_assert (stands_at (house, result, "payments/user", user));
        cr_assert (stands_at (house, result, "refunds/user", user));
        cr_assert (text_is (wire_text (result, "dataset"), dataset));
        check_values (house, result, user, 2, as_of);
    }
}

Test (unions, are_answered_from_every_log)
{
    house_t house;
    start (&house, 70);
    check_both (&house, house.rig.clock, "d1,d0");
    check_both (&house, house.rig.clock - 3 * TIME_DAY, "d1,d0");
    /* a part of one log that is begun anew with a newer dataset leaves the other's as it is */
    house_add (&house, 50);
    house_publish (&house, 1, false, false);
    house_add (&house, 50);
    check_both (&house, house.rig.clock, "d1,d0");
    house_pass (&house, 2 * TIME_SECOND);
    check_both (&house, house.rig.clock, "d2,d0");
    house_release (&house);
}

Test (unions, name_the_log_that_an_answer_lacks)
{
    static const char *const logs[] = { "payments/user", "refunds/user" };
    for (int silent = 0; silent < 2; silent++) {
        house_t house;
        start (&house, 71);
        house.silent_log = logs[silent];
        int64_t as_of = house.rig.clock;
        wire_list_t results = ask (&house, as_of);
        for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
            const wire_value_t *result = &results.items[user];
            wire_list_t incomplete = wire_list (result, "incomplete");
            char wanted[64];
            (void)snprintf (wanted, sizeof wanted, "%s/%u", logs[silent],
                            payments_partition (user, PARTITIONS));
            cr_assert_not (wire_bool (result, "complete", true));
            cr_assert_eq (incomplete.count, 1);
            cr_assert (text_is (wire_text (&incomplete.items[0], "log"), wanted));
            cr_assert (stands_at (&house, result, logs[1 - silent], user));
            cr_assert_not (stands_at (&house, result, logs[silent], user));
            if (silent == 1) /* it has published nothing */
                check_values (&house, result, user, 1, as_of);
        }
        house.silent_log = NULL;
        check_both (&house, house.rig.clock, "d1,d0");
        house_release (&house);
    }
}

Test (unions, refuse_as_a_whole_when_one_log_is_lacking)
{
    house_t house;
    start (&house, 72);
    house.silent_log = "refunds/user";
    house_get (&house, "moves", NULL, 0);
    wire_field_bool (house.writer, "refuse_incomplete", true);
    house_ask (&house);
    house_pass (&house, HOUSE_DEADLINE + TIME_SECOND);
    house_expect_error (&house, STATUS_UNAVAILABLE, "refunds/user/");
    house_release (&house);
}

Test (unions, begin_a_damaged_part_anew_and_no_other)
{
    house_t house;
    start (&house, 73);
    int64_t as_of = house.rig.clock;
    house.owners = OWNERS_DAMAGE;
    house_get (&house, "moves", NULL, 0);
    wire_field_int (house.writer, "as_of", as_of);
    house_ask (&house);
    house_pass (&house, 100 * TIME_MS);
    cr_assert_not (house_answered (&house));
    house.owners = OWNERS_ANSWER;
    house_pass (&house, TIME_SECOND);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
        cr_assert (wire_bool (&results.items[user], "complete", false));
        check_values (&house, &results.items[user], user, 2, as_of);
    }
    house_release (&house);
}

Test (unions, are_asked_of_an_owner_in_one_message_however_many_keys)
{
    enum { KEYS = 300 };
    house_t house;
    static const unsigned users[KEYS]; /* all of them the first */
    start (&house, 87);
    uint64_t messages = house.messages, queries = house.queries;
    house_get (&house, "moves", users, KEYS);
    house_ask (&house);
    cr_assert_eq (house.messages, messages + 1);
    cr_assert_eq (house.queries, queries + 2, "of each log");
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    cr_assert_eq (results.count, KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        check_values (&house, &results.items[i], 0, 2, house.rig.clock);
    house_release (&house);
}
