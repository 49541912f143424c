/* Views by other keys than their stream's. */
#include "tests/unit/serving/house.h"

static message_t ask (house_t *house, const char *field, int64_t value, message_kind_t kind)
{
    wire_writer_t *writer = house->writer;
    wire_begin (writer, MESSAGE_GET, house->next_id++);
    wire_field_string (writer, "view", "by_items");
    wire_field_list (writer, "keys");
    wire_open_map (writer);
    wire_field_int (writer, field, value);
    wire_close (writer);
    wire_close (writer);
    wire_field_string (writer, "part", "batch"); /* which is empty, and needs no owner */
    house_ask (house);
    return house_reply (house, kind);
}

static void start (house_t *house, uint64_t seed)
{
    house_init (house, seed);
    house->other_key = true;
    house->definitions = 2;
    house_pass (house, TIME_SECOND);
}

Test (keys, of_a_view_are_asked_for_and_told)
{
    house_t house;
    start (&house, 60);
    house.told = true;
    house_pass (&house, 2 * TIME_SECOND);
    message_t message = ask (&house, "items", 7, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    cr_assert_eq (results.count, 1);
    cr_assert_eq (wire_int (wire_map (&results.items[0], "key"), "items", 0), 7);
    cr_assert (wire_bool (&results.items[0], "complete", false));
    const wire_value_t *positions = wire_map (&results.items[0], "positions");
    cr_assert_eq (positions->via.map.size, 1);
    text_t log = wire_item_text (&positions->via.map.ptr[0].key);
    cr_assert_eq (log.size, strlen ("payments/items/0"));
    cr_assert_eq (memcmp (log.data, "payments/items/", strlen ("payments/items/")), 0);
    message = ask (&house, "user", 7, MESSAGE_ERROR);
    char text[512];
    wire_copy (message.body, "text", text, sizeof text);
    cr_assert_not_null (strstr (text, "'user' is not a field of the view's key"), "%s", text);
    house_release (&house);
}

/* Until it is said that nothing is missing, something may be. */
Test (keys, whose_log_is_filling_have_no_complete_answers)
{
    house_t house;
    start (&house, 61);
    message_t message = ask (&house, "items", 7, MESSAGE_GET_OK);
    cr_assert_not_null (strstr (house_reason (&message), "the view's key is new"));
    house.told = house.filling = true;
    house_pass (&house, 2 * TIME_SECOND);
    message = ask (&house, "items", 7, MESSAGE_GET_OK);
    cr_assert_not_null (strstr (house_reason (&message), "the view's key is new"));
    house.filling = false;
    house_pass (&house, 2 * TIME_SECOND);
    message = ask (&house, "items", 7, MESSAGE_GET_OK);
    cr_assert (wire_bool (&wire_list (message.body, "results").items[0], "complete", false));
    house_release (&house);
}

/* A key that went while its stream had no events may be back with a history, and its log is not
 * what it was, whether the orders in between were heard or not. */
Test (keys, whose_log_begins_anew_have_no_complete_answers)
{
    for (int heard = 0; heard < 2; heard++) {
        house_t house;
        start (&house, 62);
        house.told = true;
        house_pass (&house, 2 * TIME_SECOND);
        message_t message = ask (&house, "items", 7, MESSAGE_GET_OK);
        cr_assert (wire_bool (&wire_list (message.body, "results").items[0], "complete", false));
        house.told = !heard;
        house.filling = true;
        house_pass (&house, 2 * TIME_SECOND);
        message = ask (&house, "items", 7, MESSAGE_GET_OK);
        cr_assert_not_null (strstr (house_reason (&message), "the view's key is new"));
        house_release (&house);
    }
}

/* That nothing is missing is said of a manifest, which must be in use first. */
Test (keys, whose_log_was_filled_have_complete_answers_once_its_dataset_is_in_use)
{
    house_t house;
    start (&house, 62);
    house.told = house.filling = true;
    house_pass (&house, 2 * TIME_SECOND);
    house.filling = false;
    house.other_ordered = 1;
    house_pass (&house, 2 * TIME_SECOND);
    message_t message = ask (&house, "items", 7, MESSAGE_GET_OK);
    cr_assert_not_null (strstr (house_reason (&message), "the view's key is new"));
    house.other_told = true;
    house_pass (&house, 2 * TIME_SECOND);
    message = ask (&house, "items", 7, MESSAGE_GET_OK);
    const wire_value_t *result = &wire_list (message.body, "results").items[0];
    cr_assert (wire_bool (result, "complete", false));
    cr_assert (text_is (wire_text (result, "dataset"), "d1"));
    house_release (&house);
}
