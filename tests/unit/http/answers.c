/* Answers in Feast's form: statuses, times, and every kind of value. */
#include "client/api/state.h"
#include "serving/http/endpoints.h"
#include "serving/http/limits.h"
#include "tests/unit/http/house.h"

#include <math.h>
#include <string.h>

typedef struct row {
    int64_t n;
    double total;   /* null when it is negative */
    int64_t latest; /* negative: never */
    bool expired;
    const char *error; /* of the second */
} row_t;

static void put_row (wire_writer_t *writer, const row_t *row)
{
    wire_open_map (writer);
    wire_field_map (writer, "key");
    wire_close (writer);
    wire_field_list (writer, "values");
    wire_put_int (writer, row->n);
    if (row->total < 0)
        wire_put_nil (writer);
    else
        wire_put_float (writer, row->total);
    wire_close (writer);
    wire_field_int (writer, "as_of", 99);
    wire_field_bool (writer, "complete", true);
    wire_field_map (writer, "positions");
    wire_close (writer);
    wire_field_string (writer, "dataset", "d1");
    wire_field_list (writer, "latest");
    wire_put_int (writer, row->latest < 0 ? CLIENT_NEVER : row->latest);
    wire_close (writer);
    if (row->expired) {
        wire_field_list (writer, "expired");
        wire_put_uint (writer, 0);
        wire_close (writer);
    }
    if (row->error) {
        wire_field_map (writer, "errors");
        wire_field_string (writer, "total_7d", row->error);
        wire_close (writer);
    }
    wire_close (writer);
}

/* Of spend:n and spend:total_7d. */
static weir_answer_t *answer_of (const row_t *rows, size_t count)
{
    const void *data;
    size_t size;
    message_t message;
    error_t error;
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    wire_begin (writer, MESSAGE_GET_OK, 1);
    wire_field_string (writer, "view", "spend");
    wire_field_string (writer, "version", "v2");
    wire_field_map (writer, "versions");
    wire_close (writer);
    wire_field_list (writer, "features");
    wire_put_string (writer, "n");
    wire_put_string (writer, "total_7d");
    wire_close (writer);
    wire_field_list (writer, "types");
    wire_put_string (writer, "int64");
    wire_put_string (writer, "float64");
    wire_close (writer);
    wire_field_list (writer, "roles");
    wire_put_string (writer, "spend");
    wire_close (writer);
    wire_field_list (writer, "reads");
    wire_put_uint (writer, 1);
    wire_put_uint (writer, 1);
    wire_close (writer);
    wire_field_list (writer, "results");
    for (size_t i = 0; i < count; i++)
        put_row (writer, &rows[i]);
    wire_close (writer);
    cr_assert (wire_end (writer, &data, &size));
    cr_assert_eq (wire_decode (decoder, data, size, &message, &error), STATUS_OK);
    weir_answer_t *answer = api_answer_new (message.body);
    wire_decoder_destroy (&decoder);
    wire_writer_destroy (&writer);
    return answer;
}

static void check (const char *body, const row_t *rows, size_t count, const char *wanted)
{
    trouble_t trouble;
    buf_t out;
    question_t *question = read_good (body);
    weir_answer_t *answer = answer_of (rows, count);
    buf_init (&out, HTTP_ANSWER_MAX);
    cr_assert (question_answer (question, &answer, &out, &trouble));
    cr_expect_str_eq (buf_string (&out), wanted);
    buf_release (&out);
    weir_answer_destroy (&answer);
    question_destroy (&question);
}

Test (http_answers, have_keys_first_then_features_with_statuses_and_times)
{
    const row_t rows[] = { { 3, 0.5, 1767323045678000, false, NULL },
                           { 2, -1, 1767323045000000, true, NULL },
                           { 0, -1, -1, false, NULL },
                           { 1, -1, 1767323045000001, false, "overflow" },
                           { 1, NAN, 0, false, NULL },
                           { 1, INFINITY, 0, false, NULL } };
    check ("{\"features\":[\"spend:n\",\"spend:total_7d\"],\"entities\":{\"user_id\":"
           "[\"a\",\"\\u00e9\\n\",7,1.0,true,null]}}",
           rows, 6,
           "{\"results\":["
           "{\"values\":[\"a\",\"é\\n\",7,1.0,true,null],"
           "\"statuses\":[\"PRESENT\",\"PRESENT\",\"PRESENT\",\"PRESENT\",\"PRESENT\",\"PRESENT\"],"
           "\"event_timestamps\":[\"1970-01-01T00:00:00Z\",\"1970-01-01T00:00:00Z\","
           "\"1970-01-01T00:00:00Z\",\"1970-01-01T00:00:00Z\",\"1970-01-01T00:00:00Z\","
           "\"1970-01-01T00:00:00Z\"]},"
           "{\"values\":[3,2,0,1,1,1],"
           "\"statuses\":[\"PRESENT\",\"OUTSIDE_MAX_AGE\",\"NOT_FOUND\",\"PRESENT\",\"PRESENT\","
           "\"PRESENT\"],"
           "\"event_timestamps\":[\"2026-01-02T03:04:05.678Z\",\"2026-01-02T03:04:05Z\","
           "\"1970-01-01T00:00:00Z\",\"2026-01-02T03:04:05.000001Z\",\"1970-01-01T00:00:00Z\","
           "\"1970-01-01T00:00:00Z\"]},"
           "{\"values\":[0.5,null,null,null,null,null],"
           "\"statuses\":[\"PRESENT\",\"OUTSIDE_MAX_AGE\",\"NOT_FOUND\",\"INVALID\",\"NULL_VALUE\","
           "\"NULL_VALUE\"],"
           "\"event_timestamps\":[\"2026-01-02T03:04:05.678Z\",\"2026-01-02T03:04:05Z\","
           "\"1970-01-01T00:00:00Z\",\"2026-01-02T03:04:05.000001Z\",\"1970-01-01T00:00:00Z\","
           "\"1970-01-01T00:00:00Z\"]}],"
           "\"metadata\":{\"feature_names\":[\"user_id\",\"n\",\"total_7d\"]}}");
}

Test (http_answers, tell_versions_when_asked_and_have_no_rows_for_none)
{
    const row_t row = { 1, 2, 0, false, NULL };
    check ("{\"features\":[\"spend:n\",\"spend:total_7d\"],\"entities\":{\"user_id\":[1]},"
           "\"full_feature_names\":true,\"include_feature_view_version_metadata\":true}",
           &row, 1,
           "{\"results\":[{\"values\":[1],\"statuses\":[\"PRESENT\"],\"event_timestamps\":"
           "[\"1970-01-01T00:00:00Z\"]},{\"values\":[1],\"statuses\":[\"PRESENT\"],"
           "\"event_timestamps\":[\"1970-01-01T00:00:00Z\"]},{\"values\":[2.0],\"statuses\":"
           "[\"PRESENT\"],\"event_timestamps\":[\"1970-01-01T00:00:00Z\"]}],\"metadata\":{"
           "\"feature_names\":[\"user_id\",\"spend__n\",\"spend__total_7d\"],"
           "\"feature_view_metadata\":[{\"name\":\"spend\",\"version\":2}]}}");
    check ("{\"features\":[\"spend:n\"],\"entities\":{\"user_id\":[]}}", NULL, 0,
           "{\"results\":[{\"values\":[],\"statuses\":[],\"event_timestamps\":[]},"
           "{\"values\":[],\"statuses\":[],\"event_timestamps\":[]}],"
           "\"metadata\":{\"feature_names\":[\"user_id\",\"n\"]}}");
}

Test (http_answers, over_their_limit_are_told_so)
{
    const row_t row = { 1, 2, 0, false, NULL };
    trouble_t trouble;
    buf_t out;
    question_t *question = read_good (
        "{\"features\":[\"spend:n\",\"spend:total_7d\"],\"entities\":{\"user_id\":[1]}}");
    weir_answer_t *answer = answer_of (&row, 1);
    buf_init (&out, 100);
    cr_expect_not (question_answer (question, &answer, &out, &trouble));
    cr_expect_eq (trouble_status (&trouble), 413);
    buf_release (&out);
    weir_answer_destroy (&answer);
    question_destroy (&question);
}

/* ---- troubles ---- */

static void check_written (const trouble_t *trouble, unsigned status, const char *wanted)
{
    buf_t out;
    buf_init (&out, 1 << 16);
    trouble_write (trouble, &out);
    cr_expect_str_eq (buf_string (&out), wanted);
    cr_expect_eq (trouble_status (trouble), status);
    buf_release (&out);
}

Test (troubles, are_json_in_a_string_or_a_list_of_places)
{
    trouble_t trouble;
    (void)trouble_set (&trouble, TROUBLE_VIEW, "Feature view %s does not exist", "a\"b");
    check_written (&trouble, 404,
                   "\"{\\\"module\\\":\\\"feast.errors\\\",\\\"class\\\":"
                   "\\\"FeatureViewNotFoundException\\\",\\\"message\\\":"
                   "\\\"Feature view a\\\\\\\"b does not exist\\\"}\"");
    trouble_place (trouble.place, sizeof trouble.place, "df", "x");
    char place[256];
    memcpy (place, trouble.place, sizeof place);
    (void)trouble_form (&trouble, place, "is %d", 1);
    check_written (&trouble, 422,
                   "{\"detail\":[{\"loc\":[\"body\",\"df\",\"x\"],\"msg\":\"is 1\",\"type\":"
                   "\"value_error\"}]}");
}

Test (troubles, of_nodes_have_the_status_that_says_what_to_do)
{
    static const struct {
        weir_status_t status;
        unsigned http;
    } cases[] = { { WEIR_INVALID, 422 },   { WEIR_NOT_FOUND, 404 },   { WEIR_BUSY, 503 },
                  { WEIR_NO_SPACE, 503 },  { WEIR_UNAVAILABLE, 503 }, { WEIR_TIMEOUT, 504 },
                  { WEIR_TOO_LARGE, 413 }, { WEIR_DENIED, 403 },      { WEIR_CORRUPT, 500 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        trouble_t trouble;
        (void)trouble_told (&trouble, cases[i].status, 5, "why");
        cr_expect_eq (trouble_status (&trouble), cases[i].http);
    }
}

/* ---- the description ---- */

Test (openapi, describes_every_endpoint_and_every_field_of_its_body)
{
    buf_t out;
    buf_init (&out, 1 << 20);
    endpoints_describe (true, &out);
    json_t *root = json_loadb ((const char *)out.data, out.size, 0, NULL);
    cr_assert_not_null (root);
    const json_t *paths = json_object_get (root, "paths");
    cr_assert_eq (json_object_size (paths), ENDPOINTS);
    for (size_t i = 0; i < ENDPOINTS; i++) {
        const char *allowed;
        const endpoint_t *endpoint = endpoint_at (i);
        const json_t *method =
            json_object_get (json_object_get (paths, endpoint->path),
                             strcmp (endpoint->method, "POST") == 0 ? "post" : "get");
        cr_assert_not_null (method);
        cr_expect_eq (json_object_get (method, "security") != NULL, !endpoint->is_public);
        cr_expect_eq (json_object_get (method, "requestBody") != NULL, endpoint->fields != NULL);
        cr_expect_eq (endpoint_find (endpoint->path, endpoint->method, &allowed), endpoint);
        cr_expect_null (endpoint_find (endpoint->path, "PUT", &allowed));
        bool is_get = strcmp (endpoint->method, "GET") == 0;
        cr_expect_str_eq (allowed, is_get ? "GET, HEAD" : "POST");
        cr_expect_eq (endpoint_find (endpoint->path, "HEAD", &allowed), is_get ? endpoint : NULL);
    }
    const json_t *at = json_object_get (paths, "/get-online-features");
    static const char *const way[] = { "post",   "requestBody", "content", "application/json",
                                       "schema", "properties" };
    for (size_t i = 0; i < sizeof way / sizeof *way; i++)
        at = json_object_get (at, way[i]);
    cr_assert_eq (json_object_size (at), question_fields_count);
    for (size_t i = 0; i < question_fields_count; i++)
        cr_expect (json_is_string (
            json_object_get (json_object_get (at, question_fields[i].name), "description")));
    json_decref (root);
    buf_release (&out);
}
