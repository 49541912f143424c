/* Answers as JSON. */
#include "client/lib/client.h"

#include "base/number.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>

static void put_head (wire_writer_t *writer)
{
    static const char *const names[] = {
        "spend", "n", "seen", "who", "odd", "none", "whole", "paid"
    };
    static const char *const types[] = { "float64", "int64",   "timestamp", "string",
                                         "float64", "float64", "float64",   "decimal(38,2)" };
    wire_begin (writer, MESSAGE_GET_OK, 1);
    wire_field_string (writer, "view", "user_spend");
    wire_field_string (writer, "version", "v2");
    wire_field_map (writer, "versions");
    wire_field_string (writer, "user_spend", "v2");
    wire_close (writer);
    wire_field_list (writer, "features");
    for (size_t i = 0; i < 8; i++)
        wire_put_string (writer, names[i]);
    wire_close (writer);
    wire_field_list (writer, "types");
    for (size_t i = 0; i < 8; i++)
        wire_put_string (writer, types[i]);
    wire_close (writer);
    wire_field_list (writer, "roles");
    wire_put_string (writer, "user_spend");
    wire_close (writer);
    wire_field_list (writer, "reads");
    wire_close (writer);
}

static void put_values (wire_writer_t *writer)
{
    value_t paid = { .type = type_decimal (2), .d = -105 };
    wire_field_list (writer, "values");
    wire_put_float (writer, 12.5);
    wire_put_int (writer, -3);
    wire_put_int (writer, INT64_C (1767323045000000));
    wire_put_string (writer, "a \"b\"\n");
    wire_put_float (writer, -INFINITY);
    wire_put_nil (writer);
    wire_put_float (writer, 3.0);
    wire_put_value (writer, &paid);
    wire_close (writer);
}

static void put_result (wire_writer_t *writer, bool complete)
{
    wire_open_map (writer);
    wire_field_map (writer, "key");
    wire_field_string (writer, "user_id", "u1");
    wire_close (writer);
    put_values (writer);
    wire_field_int (writer, "as_of", INT64_C (1767323045000001));
    wire_field_bool (writer, "complete", complete);
    wire_field_map (writer, "positions");
    wire_field_uint (writer, "payments/user_id/3", 1042);
    wire_close (writer);
    wire_field_string (writer, "dataset", "d41");
    wire_field_list (writer, "latest");
    wire_put_int (writer, INT64_C (1767323045000000));
    wire_close (writer);
    if (!complete) {
        wire_field_list (writer, "expired");
        wire_put_uint (writer, 0);
        wire_close (writer);
        wire_field_map (writer, "errors");
        wire_field_string (writer, "none", "too large");
        wire_close (writer);
        wire_field_list (writer, "incomplete");
        wire_open_map (writer);
        wire_field_string (writer, "log", "payments/user_id/3");
        wire_field_string (writer, "reason", "no owner");
        wire_close (writer);
        wire_close (writer);
    }
    wire_close (writer);
}

#define FEATURES                                                                                   \
    "\"features\":{\"spend\":12.5,\"n\":-3,\"seen\":\"2026-01-02T03:04:05.000000Z\","              \
    "\"who\":\"a "                                                                                 \
    "\\\"b\\\"\\n\",\"odd\":\"-Infinity\",\"none\":null,\"whole\":3.0,\"paid\":\"-1.05\"}"
#define HEAD "{\"key\":{\"user_id\":\"u1\"}," FEATURES ",\"as_of\":\"2026-01-02T03:04:05.000001Z\","
#define TAIL                                                                                       \
    ",\"positions\":{\"payments/user_id/"                                                          \
    "3\":1042},\"dataset\":\"d41\",\"versions\":{\"user_spend\":"                                  \
    "\"v2\"},\"latest\":{\"user_spend\":\"2026-01-02T03:04:05.000000Z\"}"

static void expect_json (bool complete, const char *expected)
{
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    message_t message;
    error_t error;
    const void *data;
    size_t size;
    buf_t out;
    buf_init (&out, 1 << 16);
    put_head (writer);
    wire_field_list (writer, "results");
    put_result (writer, complete);
    wire_close (writer);
    cr_assert (wire_end (writer, &data, &size));
    cr_assert_eq (wire_decode (decoder, data, size, &message, &error), STATUS_OK, "%s", error.text);
    client_result_json (message.body, 0, &out);
    cr_expect_str_eq (buf_string (&out), expected);
    buf_release (&out);
    wire_decoder_destroy (&decoder);
    wire_writer_destroy (&writer);
}

Test (results, are_one_object_with_every_feature)
{
    expect_json (true, HEAD "\"complete\":true" TAIL "}");
}

Test (results, say_what_is_missing_and_what_failed)
{
    expect_json (false,
                 HEAD "\"complete\":false" TAIL
                      ",\"expired\":[\"user_spend\"],\"errors\":{\"none\":\"too large\"},"
                      "\"incomplete\":[{\"log\":\"payments/user_id/3\",\"reason\":\"no owner\"}]}");
}

Test (values, of_floats_read_back_to_the_same_bits)
{
    random_t random;
    buf_t out;
    random_seed (&random, 5);
    buf_init (&out, 4096);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_next (&random);
        value_t value = { .type = TYPE_FLOAT64 };
        memcpy (&value.f, &bits, sizeof bits);
        value.f = value_float (value.f);
        double back = 0;
        buf_clear (&out);
        client_value_json (&value, &out);
        const char *text = buf_string (&out);
        if (!isfinite (value.f)) {
            cr_expect (text[0] == '"', "%s", text);
            continue;
        }
        cr_expect (number_parse_float (text_of (text), &back), "%s", text);
        cr_expect_eq (memcmp (&back, &value.f, sizeof back), 0, "%s", text);
        cr_expect (strpbrk (text, ".e") != NULL, "%s looks like an integer", text);
    }
    buf_release (&out);
}

/* ---- lists and maps ---- */

static void put_map (wire_writer_t *writer, bool capped)
{
    wire_open_map (writer);
    wire_field_list (writer, "keys");
    wire_put_string (writer, "a");
    wire_put_string (writer, "b \"c\"");
    wire_close (writer);
    wire_field_list (writer, "values");
    wire_put_float (writer, 1.5);
    wire_put_int (writer, 2);
    wire_close (writer);
    wire_field_bool (writer, "capped", capped);
    wire_field_uint (writer, "total", 17);
    wire_close (writer);
}

static void put_times (wire_writer_t *writer)
{
    wire_open_map (writer);
    wire_field_list (writer, "keys");
    wire_put_int (writer, 0);
    wire_put_int (writer, INT64_C (86400000000));
    wire_close (writer);
    wire_field_list (writer, "values");
    wire_open_list (writer);
    wire_put_int (writer, 1);
    wire_close (writer);
    wire_open_list (writer);
    wire_close (writer);
    wire_close (writer);
    wire_field_bool (writer, "capped", false);
    wire_field_uint (writer, "total", 2);
    wire_close (writer);
}

static const char *const many_types[] = {
    "list<timestamp>",    "map<string,float64>", "map<timestamp,list<int64>>",
    "map<float64,int64>", "map<string,float64>", "list<int64>",
    "map<string,int64>"
};
enum { MANY = sizeof many_types / sizeof *many_types };

/* The last two are not what their types say. */
static void put_many (wire_writer_t *writer)
{
    wire_field_list (writer, "values");
    wire_open_list (writer);
    wire_put_int (writer, 0);
    wire_put_nil (writer);
    wire_close (writer);
    put_map (writer, true);
    put_times (writer);
    wire_open_map (writer);
    wire_field_list (writer, "keys");
    wire_put_float (writer, 0.5);
    wire_put_float (writer, INFINITY);
    wire_close (writer);
    wire_field_list (writer, "values");
    wire_put_int (writer, 1);
    wire_put_int (writer, 2);
    wire_close (writer);
    wire_field_bool (writer, "capped", false);
    wire_field_uint (writer, "total", 3);
    wire_close (writer);
    put_map (writer, false);
    wire_put_int (writer, 3);
    wire_open_map (writer);
    wire_field_list (writer, "keys");
    wire_put_string (writer, "a");
    wire_close (writer);
    wire_field_list (writer, "values");
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
}

static const message_t *many_message (wire_writer_t *writer, wire_decoder_t *decoder,
                                      message_t *message)
{
    static const char *const names[MANY] = { "l", "m", "t", "f", "whole", "no", "short" };
    const void *data;
    size_t size;
    error_t error;
    wire_begin (writer, MESSAGE_GET_OK, 1);
    wire_field_string (writer, "view", "v");
    wire_field_string (writer, "version", "v1");
    wire_field_map (writer, "versions");
    wire_field_string (writer, "v", "v1");
    wire_close (writer);
    wire_field_list (writer, "features");
    for (size_t i = 0; i < MANY; i++)
        wire_put_string (writer, names[i]);
    wire_close (writer);
    wire_field_list (writer, "types");
    for (size_t i = 0; i < MANY; i++)
        wire_put_string (writer, many_types[i]);
    wire_close (writer);
    wire_field_list (writer, "roles");
    wire_put_string (writer, "v");
    wire_close (writer);
    wire_field_list (writer, "reads");
    wire_close (writer);
    wire_field_list (writer, "results");
    wire_open_map (writer);
    wire_field_map (writer, "key");
    wire_close (writer);
    put_many (writer);
    wire_field_int (writer, "as_of", 0);
    wire_field_bool (writer, "complete", true);
    wire_field_map (writer, "positions");
    wire_close (writer);
    wire_field_string (writer, "dataset", "d");
    wire_field_list (writer, "latest");
    wire_put_int (writer, CLIENT_NEVER);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    cr_assert (wire_end (writer, &data, &size));
    cr_assert_eq (wire_decode (decoder, data, size, message, &error), STATUS_OK, "%s", error.text);
    return message;
}

Test (results, have_lists_and_maps_of_the_types_that_they_name)
{
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    arena_t *arena = arena_new (4096);
    message_t message;
    many_message (writer, decoder, &message);
    value_t list = client_result_value (message.body, 0, 0, arena);
    cr_assert_eq (list.type, TYPE_LIST);
    cr_assert_eq (list.list->count, 2);
    cr_expect_eq (list.list->items[0].type, TYPE_TIMESTAMP);
    cr_expect (list.list->items[1].null);
    value_t map = client_result_value (message.body, 0, 1, arena);
    cr_assert_eq (map.type, TYPE_MAP);
    cr_assert_eq (map.map->count, 2);
    cr_expect (text_is (map.map->keys[0].s, "a"));
    cr_expect_eq (map.map->values[1].type, TYPE_FLOAT64, "an integer where a float is named");
    cr_expect_eq (map.map->values[1].f, 2.0);
    cr_expect_eq (map.map->total, 17);
    cr_expect (client_value_capped (&map));
    value_t nested = client_result_value (message.body, 0, 2, arena);
    cr_expect_eq (nested.map->keys[1].type, TYPE_TIMESTAMP);
    cr_expect_eq (nested.map->values[0].list->items[0].i, 1);
    cr_expect_not (client_value_capped (&nested));
    for (uint32_t i = 5; i < MANY; i++)
        cr_expect (client_result_value (message.body, 0, i, arena).null, "%s", many_types[i]);
    arena_destroy (&arena);
    wire_decoder_destroy (&decoder);
    wire_writer_destroy (&writer);
}

Test (results, with_maps_that_lack_keys_say_so)
{
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    message_t message;
    buf_t out;
    buf_init (&out, 1 << 16);
    many_message (writer, decoder, &message);
    client_result_json (message.body, 0, &out);
    cr_expect_str_eq (
        buf_string (&out),
        "{\"key\":{},\"features\":{\"l\":[\"1970-01-01T00:00:00.000000Z\",null],"
        "\"m\":{\"a\":1.5,\"b \\\"c\\\"\":2.0},"
        "\"t\":{\"1970-01-01T00:00:00.000000Z\":[1],\"1970-01-02T00:00:00.000000Z\":[]},"
        "\"f\":{\"0.5\":1,\"Infinity\":2},\"whole\":{\"a\":1.5,\"b \\\"c\\\"\":2.0},"
        "\"no\":null,\"short\":null},\"as_of\":\"1970-01-01T00:00:00.000000Z\","
        "\"complete\":true,\"positions\":{},\"dataset\":\"d\",\"versions\":{\"v\":\"v1\"},"
        "\"latest\":{\"v\":null},\"capped\":{\"m\":{\"keys\":2,\"total\":17}}}");
    buf_release (&out);
    wire_decoder_destroy (&decoder);
    wire_writer_destroy (&writer);
}
