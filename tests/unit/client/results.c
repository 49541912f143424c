/* Answers as JSON. */
#include "client/lib/weir.h"

#include "base/number.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>

static void put_head (wire_writer_t *writer)
{
    static const char *const names[] = { "spend", "n", "seen", "who", "odd", "none", "whole" };
    static const char *const types[] = { "float64", "int64",   "timestamp", "string",
                                         "float64", "float64", "float64" };
    wire_begin (writer, MESSAGE_GET_OK, 1);
    wire_field_string (writer, "view", "user_spend");
    wire_field_string (writer, "version", "v2");
    wire_field_list (writer, "features");
    for (size_t i = 0; i < 7; i++)
        wire_put_string (writer, names[i]);
    wire_close (writer);
    wire_field_list (writer, "types");
    for (size_t i = 0; i < 7; i++)
        wire_put_string (writer, types[i]);
    wire_close (writer);
}

static void put_values (wire_writer_t *writer)
{
    wire_field_list (writer, "values");
    wire_put_float (writer, 12.5);
    wire_put_int (writer, -3);
    wire_put_int (writer, INT64_C (1767323045000000));
    wire_put_string (writer, "a \"b\"\n");
    wire_put_float (writer, -INFINITY);
    wire_put_nil (writer);
    wire_put_float (writer, 3.0);
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
    if (!complete) {
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
    "\"who\":\"a \\\"b\\\"\\n\",\"odd\":\"-Infinity\",\"none\":null,\"whole\":3.0}"
#define HEAD "{\"key\":{\"user_id\":\"u1\"}," FEATURES ",\"as_of\":\"2026-01-02T03:04:05.000001Z\","
#define TAIL                                                                                       \
    ",\"positions\":{\"payments/user_id/"                                                          \
    "3\":1042},\"dataset\":\"d41\",\"versions\":{\"user_spend\":"                                  \
    "\"v2\"}"

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
    weir_result_json (message.body, 0, &out);
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
                 HEAD "\"complete\":false" TAIL ",\"errors\":{\"none\":\"too large\"},"
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
        weir_value_json (&value, &out);
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
