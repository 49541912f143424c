/* Derived features and request values in a `get`, and maps in its answer. */
#include "feature/answer.h"
#include "intake/given.h"
#include "tests/unit/serving/house.h"

static void start (house_t *house, uint64_t seed)
{
    house_init (house, seed);
    house->definitions = house->owners_definitions = 2;
    house_pass (house, TIME_SECOND);
    house_add (house, 200);
    house_publish (house, 1, true, false);
    house_add (house, 100);
    house_pass (house, TIME_SECOND);
}

static int64_t visits_of (const house_t *house, unsigned user)
{
    value_t count = payments_expected (1, 1, house->payments, house->payments_count, user, 0,
                                       UINT64_MAX, house->rig.clock);
    return count.i;
}

static void ask_features (house_t *house, const char *const *names)
{
    wire_field_list (house->writer, "features");
    for (; *names; names++)
        wire_put_string (house->writer, *names);
    wire_close (house->writer);
}

static const wire_value_t *value_at (const message_t *message, uint32_t result, uint32_t feature)
{
    wire_list_t results = wire_list (message->body, "results");
    cr_assert_lt (result, results.count);
    wire_list_t values = wire_list (&results.items[result], "values");
    cr_assert_lt (feature, values.count);
    return &values.items[feature];
}

Test (derived, features_are_answered_for_each_key_with_its_own_request)
{
    house_t house;
    start (&house, 61);
    static const char *const names[] = { "twice", "noted", "visits", "age", NULL };
    unsigned users[] = { 0, 1, 0 };
    house_get (&house, "visits", users, 3);
    ask_features (&house, names);
    wire_field_list (house.writer, "request");
    wire_open_map (house.writer);
    wire_field_int (house.writer, "extra", 7);
    wire_field_string (house.writer, "note", "hello");
    wire_close (house.writer);
    wire_open_map (house.writer);
    wire_field_string (house.writer, "extra", "-3"); /* a text of it, as the command line sends */
    wire_close (house.writer);
    wire_open_map (house.writer);
    wire_key (house.writer, "note");
    wire_put_nil (house.writer);
    wire_close (house.writer);
    wire_close (house.writer);
    int64_t as_of = house.rig.clock;
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t types = wire_list (message.body, "types");
    cr_expect (text_is (wire_item_text (&types.items[0]), "int64"));
    cr_expect (text_is (wire_item_text (&types.items[3]), "float64"));
    cr_expect_eq (wire_item_int (value_at (&message, 0, 0)), 2 * (visits_of (&house, 0) + 7));
    cr_expect (text_is (wire_item_text (value_at (&message, 0, 1)), "hello"));
    cr_expect_eq (wire_item_int (value_at (&message, 0, 2)), visits_of (&house, 0));
    cr_expect_eq (value_at (&message, 0, 3)->via.f64, (double)(as_of - INT64_C (946684800000000)));
    cr_expect_eq (wire_item_int (value_at (&message, 1, 0)), 2 * (visits_of (&house, 1) - 3));
    cr_expect_eq (value_at (&message, 2, 0)->type, MSGPACK_OBJECT_NIL, "extra is missing");
    cr_expect (text_is (wire_item_text (value_at (&message, 2, 1)), "nothing"));
    house_release (&house);
}

Test (derived, features_of_more_keys_than_are_computed_at_once)
{
    house_t house;
    start (&house, 62);
    enum { KEYS = 150 };
    static const char *const names[] = { "more", NULL };
    unsigned users[KEYS];
    for (unsigned i = 0; i < KEYS; i++)
        users[i] = i % PAYMENTS_USERS;
    house_get (&house, "visits", users, KEYS);
    ask_features (&house, names);
    wire_field_list (house.writer, "request");
    for (unsigned i = 0; i < KEYS; i++) {
        wire_open_map (house.writer);
        wire_field_int (house.writer, "extra", i);
        wire_close (house.writer);
    }
    wire_close (house.writer);
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    for (unsigned i = 0; i < KEYS; i++)
        cr_assert_eq (wire_item_int (value_at (&message, i, 0)),
                      visits_of (&house, users[i]) + (int64_t)i);
    house_release (&house);
}

Test (derived, features_without_a_request_take_all_of_it_as_null)
{
    house_t house;
    start (&house, 63);
    unsigned user = 3;
    static const char *const names[] = { "more", "noted", NULL };
    house_get (&house, "visits", &user, 1);
    ask_features (&house, names);
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    cr_expect_eq (value_at (&message, 0, 0)->type, MSGPACK_OBJECT_NIL);
    cr_expect (text_is (wire_item_text (value_at (&message, 0, 1)), "nothing"));
    house_release (&house);
}

/* One map of a request for one user of the view, as `extra`: value. */
static void ask_with (house_t *house, const char *view, const char *name, const char *value)
{
    unsigned user = 3;
    house_get (house, view, &user, 1);
    wire_field_list (house->writer, "request");
    wire_open_map (house->writer);
    wire_field_string (house->writer, name, value);
    wire_close (house->writer);
    wire_close (house->writer);
    house_ask (house);
}

Test (refused, request_values_that_are_not_known_or_not_of_their_type)
{
    house_t house;
    start (&house, 64);
    ask_with (&house, "visits", "extar", "1");
    house_expect_error (&house, STATUS_NOT_FOUND,
                        "view 'visits' takes no request value 'extar'; did you mean 'extra'?");
    ask_with (&house, "spend", "extra", "1");
    house_expect_error (&house, STATUS_NOT_FOUND,
                        "view 'spend' takes no values of a request, and 'extra' is given");
    ask_with (&house, "visits", "extra", "many");
    house_expect_error (&house, STATUS_INVALID, "request value 'extra' takes a int64");
    unsigned users[] = { 1, 2 };
    house_get (&house, "visits", users, 2);
    wire_field_list (house.writer, "request");
    wire_close (house.writer);
    house_ask (&house);
    house_expect_error (&house, STATUS_INVALID, "2 keys, but the request values of 0");
    house_release (&house);
}

static status_t take_integer (type_t type, unsigned precision, int64_t number, value_t *value)
{
    error_t error;
    field_t field = { .name = "extra", .type = type, .precision = (uint8_t)precision };
    wire_value_t given = { .type = number < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER
                                              : MSGPACK_OBJECT_POSITIVE_INTEGER };
    given.via.i64 = number;
    return given_value (&field, "request value", &given, NULL, value, &error);
}

Test (refused, integers_that_a_field_cannot_hold)
{
    value_t value;
    cr_expect_eq (take_integer (TYPE_FLOAT64, 0, INT64_MAX, &value), STATUS_INVALID);
    cr_expect_eq (take_integer (TYPE_FLOAT64, 0, INT64_MAX - 1023, &value), STATUS_OK);
    cr_expect_eq (value.f, 0x1.fffffffffffffp62);
    cr_expect_eq (take_integer (TYPE_FLOAT64, 0, INT64_MIN, &value), STATUS_OK);
    cr_expect_eq (take_integer (type_decimal (2), 5, -999, &value), STATUS_OK);
    cr_expect (value.d == -99900);
    cr_expect_eq (take_integer (type_decimal (2), 5, 1000, &value), STATUS_INVALID, "six digits");
    cr_expect_eq (take_integer (type_decimal (2), 5, -1000, &value), STATUS_INVALID);
    cr_expect_eq (take_integer (type_decimal (38), 38, 1, &value), STATUS_INVALID);
}

/* Bytes of the answers of so many keys that hold nothing yet. */
static size_t empty_answers (size_t keys)
{
    model_t *model = payments_model (2);
    answer_t *answer = answer_new (model_plan (model, text_of ("visits"), 0));
    size_t bytes = keys * answer_memory (answer);
    answer_destroy (&answer);
    model_unref (&model);
    return bytes;
}

/* From files (definitions 2) or from history (0, which writes none), or only from the owners. */
static void expect_limited (uint64_t seed, uint64_t written_for, bool owners)
{
    house_t house;
    unsigned users[4] = { 0, 1, 2, 3 };
    house_init_limited (&house, seed, empty_answers (4) + 500);
    house.definitions = house.owners_definitions = 2;
    house_pass (&house, TIME_SECOND);
    house_add (&house, 400);
    if (!owners)
        house_publish (&house, written_for, false, false);
    house_pass (&house, TIME_SECOND);
    house_get (&house, "visits", users, 4);
    house_ask (&house);
    house_expect_error (&house, STATUS_TOO_LARGE, "ask for fewer keys or features at a time");
    house_get (&house, "visits", users, 1);
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    cr_expect (wire_bool (&results.items[0], "complete", false));
    unsigned many[4000] = { 0 };
    house_get (&house, "visits", many, 4000);
    house_ask (&house);
    house_expect_error (&house, STATUS_TOO_LARGE, "the states of these keys take over");
    house_release (&house);
}

Test (refused, queries_that_together_are_over_the_limit_of_memory_are_told_when_to_ask_again)
{
    house_t house;
    unsigned users[4] = { 0, 1, 2, 3 };
    house_init_limited (&house, 69, empty_answers (4));
    house.definitions = house.owners_definitions = 2;
    house_pass (&house, TIME_SECOND);
    house.owners = OWNERS_SILENT;
    house_get (&house, "visits", users, 4);
    house_ask (&house);
    house_get (&house, "visits", users, 4);
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_ERROR);
    cr_expect (text_is (wire_text (message.body, "status"), "busy"));
    cr_expect_gt (wire_uint (message.body, "retry_ms", 0), 0);
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS); /* the first one ends */
    (void)house_reply (&house, MESSAGE_GET_OK);
    house.owners = OWNERS_ANSWER;
    house_get (&house, "visits", users, 1);
    house_ask (&house);
    (void)house_reply (&house, MESSAGE_GET_OK);
    house_release (&house);
}

Test (refused, queries_whose_states_are_over_the_limit_of_memory)
{
    expect_limited (66, 2, false);
    expect_limited (67, 0, false);
    expect_limited (68, 0, true);
}

Test (answers, have_a_map_for_a_feature_by_key)
{
    house_t house;
    start (&house, 65);
    static const char *const names[] = { "by_items", NULL };
    unsigned user = 5;
    house_get (&house, "visits", &user, 1);
    ask_features (&house, names);
    house_ask (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t types = wire_list (message.body, "types");
    cr_expect (text_is (wire_item_text (&types.items[0]), "map<int64,int64>"));
    const wire_value_t *map = value_at (&message, 0, 0);
    cr_assert_eq (map->type, MSGPACK_OBJECT_MAP);
    cr_assert_eq (map->via.map.size, 4);
    wire_list_t keys = wire_items (&map->via.map.ptr[0].val);
    wire_list_t values = wire_items (&map->via.map.ptr[1].val);
    uint64_t total = 0;
    cr_assert_eq (keys.count, values.count);
    cr_assert_gt (keys.count, 1);
    for (uint32_t i = 0; i < keys.count; i++) {
        uint64_t expected = 0;
        for (size_t p = 0; p < house.payments_count; p++) {
            const payment_t *payment = &house.payments[p];
            expected += payment->user == user && payment->time <= house.rig.clock &&
                        payment->items == wire_item_int (&keys.items[i]);
        }
        cr_expect (i == 0 || wire_item_int (&keys.items[i - 1]) < wire_item_int (&keys.items[i]));
        cr_expect_eq (wire_item_uint (&values.items[i]), expected);
        total += expected;
    }
    cr_expect_not (map->via.map.ptr[2].val.via.boolean, "it is not capped");
    cr_expect_eq (map->via.map.ptr[3].val.via.u64, total);
    house_release (&house);
}
