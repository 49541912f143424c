/* Bodies of POST /get-online-features: what they ask of which view, and what is wrong with them. */
#include "serving/http/limits.h"
#include "tests/unit/http/house.h"

#include "base/mem.h"

#include <string.h>

Test (questions, ask_each_view_once_in_the_order_asked)
{
    question_t *question = read_good (
        "{\"features\":[\"spend:total_7d\",\"pairs:above\",\"spend:total_1h\",\"everything:n_all\"]"
        ","
        "\"entities\":{\"least\":[0.5,null],\"user_id\":[\"a\",\"b\"],\"shop\":[1,2]},\"more\":0}");
    cr_assert_eq (question->rows, 2);
    cr_assert_eq (question->views_count, 3);
    const question_view_t *spend = &question->views[0], *pairs = &question->views[1];
    cr_expect_str_eq (spend->reference, "spend");
    cr_assert_eq (spend->features_count, 2);
    cr_expect_str_eq (spend->features[1], "total_1h");
    cr_assert_eq (spend->key_count, 1);
    cr_expect_str_eq (spend->keys[1].as.text, "b");
    cr_assert_eq (pairs->key_count, 2);
    cr_expect_str_eq (pairs->key_fields[1], "shop");
    cr_expect_str_eq (pairs->keys[2].as.text, "b");
    cr_expect (pairs->keys[3].type == WEIR_INT64 && pairs->keys[3].as.i == 2);
    cr_assert_eq (pairs->request_count, 1);
    cr_expect (pairs->request[0].as.f == 0.5 && pairs->request[1].type == WEIR_NULL);
    cr_expect_eq (question->views[2].key_count, 0);
    cr_assert_eq (question->features_count, 4);
    cr_expect (question->features[2].view == 0 && question->features[2].feature == 1);
    cr_expect_str_eq (question->features[3].name, "n_all");
    question_destroy (&question);
    cr_expect_null (question);
}

Test (questions, call_features_by_their_view_when_told)
{
    question_t *question =
        read_good ("{\"features\":[\"spend:n\",\"pairs:n\"],\"full_feature_names\":true,"
                   "\"entities\":{\"user_id\":[],\"shop\":[]}}");
    cr_expect_eq (question->rows, 0);
    cr_expect_str_eq (question->features[0].name, "spend__n");
    cr_expect_str_eq (question->features[1].name, "pairs__n");
    question_destroy (&question);
}

Test (questions, need_no_entity_for_a_view_without_a_key)
{
    question_t *question = read_good ("{\"features\":[\"everything:n_all\"],\"entities\":{}}");
    cr_expect_eq (question->rows, 1);
    question_destroy (&question);
    question = read_good ("{\"features\":[\"spend@v2:n\"],\"entities\":{\"user_id\":[true]}}");
    cr_expect_str_eq (question->views[0].reference, "spend@v2");
    question_destroy (&question);
}

Test (questions, of_a_service_ask_it_as_a_whole)
{
    question_t *question =
        read_good ("{\"feature_service\":\"model@v3\",\"features\":null,\"full_feature_names\":"
                   "true,\"entities\":{"
                   "\"amount\":[1.5,2],\"seller_id\":[\"s\",\"t\"],\"buyer_id\":[\"a\",\"b\"]}}");
    cr_assert_eq (question->views_count, 1);
    const question_view_t *service = &question->views[0];
    cr_expect_str_eq (service->reference, "model@v3");
    cr_assert_eq (service->features_count, 7);
    cr_expect_str_eq (service->features[5], "who=a:b");
    cr_expect_str_eq (service->features[0], "buyer:total_7d");
    cr_assert_eq (service->key_count, 2);
    cr_expect_str_eq (service->keys[2].as.text, service->key_fields[0][0] == 'b' ? "b" : "t");
    cr_assert_eq (service->request_count, 1);
    cr_expect (service->request[0].as.f == 1.5);
    static const char *const names[] = { "buyer__total_7d", "seller__n", "buyer__n", "amount",
                                         "ratio",           "who=a:b",   "who=c" };
    cr_assert_eq (question->features_count, 7);
    for (size_t i = 0; i < 7; i++) {
        cr_expect_str_eq (question->features[i].name, names[i]);
        cr_expect_eq (question->features[i].feature, i);
    }
    cr_expect (question->repeated[0], "amount is answered as a feature");
    cr_expect_not (question->repeated[1]);
    question_destroy (&question);
}

#define USER "\"entities\":{\"user_id\":[\"a\"]}"

Test (questions, that_are_wrong_say_where)
{
    static const struct {
        const char *body;
        trouble_kind_t kind;
        const char *place;
    } cases[] = {
        { "", TROUBLE_FORM, "" },
        { "{", TROUBLE_FORM, "" },
        { "[]", TROUBLE_FORM, "" },
        { "null", TROUBLE_FORM, "" },
        { "{} x", TROUBLE_FORM, "" },
        { "{\"entities\":{},\"entities\":{}}", TROUBLE_FORM, "" },
        { "{\"entities\":{\"user_id\":[\"\\u0000\"]}}", TROUBLE_FORM, "" },
        { "{\"entities\":{\"user_id\":[\"\xff\"]}}", TROUBLE_FORM, "" },
        { "{\"entities\":{\"user_id\":[99999999999999999999]}}", TROUBLE_FORM, "" },
        { "{\"features\":[\"spend:n\"]}", TROUBLE_FORM, "\"entities\"" },
        { "{\"features\":[\"spend:n\"],\"entities\":[]}", TROUBLE_FORM, "\"entities\"" },
        { "{\"features\":[\"spend:n\"],\"entities\":{\"user_id\":1}}", TROUBLE_FORM,
          "\"entities\"" },
        { "{\"features\":[\"spend:n\"],\"entities\":{\"\":[1]}}", TROUBLE_FORM, "\"entities\"" },
        { "{\"features\":[\"spend:n\"],\"entities\":{\"user_id\":[[]]}}", TROUBLE_FORM,
          "\"entities\",\"user_id\",0" },
        { "{\"features\":[\"spend:n\"],\"entities\":{\"a\\\"b\":[1,{}]}}", TROUBLE_FORM,
          "\"entities\",\"a\\\"b\",1" },
        { "{\"features\":[\"spend:n\"],\"entities\":{\"user_id\":[1],\"shop\":[]}}", TROUBLE_FORM,
          "\"entities\",\"shop\"" },
        { "{\"features\":[\"spend:n\"],\"entities\":{\"shop\":[1]}}", TROUBLE_FORM,
          "\"entities\",\"user_id\"" },
        { "{\"features\":1," USER "}", TROUBLE_FORM, "\"features\"" },
        { "{\"features\":null," USER "}", TROUBLE_FORM, "\"features\"" },
        { "{\"features\":[1]," USER "}", TROUBLE_FORM, "\"features\"" },
        { "{\"features\":[]," USER "}", TROUBLE_FORM, "\"features\"" },
        { "{" USER "}", TROUBLE_FORM, "\"features\"" },
        { "{\"features\":[\"spend\"]," USER "}", TROUBLE_FORM, "\"features\"" },
        { "{\"features\":[\":n\"]," USER "}", TROUBLE_FORM, "\"features\"" },
        { "{\"features\":[\"spend:\"]," USER "}", TROUBLE_FORM, "\"features\"" },
        { "{\"features\":[\"spend:n\"],\"full_feature_names\":1," USER "}", TROUBLE_FORM,
          "\"full_feature_names\"" },
        { "{\"features\":[\"spnd:n\"]," USER "}", TROUBLE_VIEW, "" },
        { "{\"features\":[\"spend@v1:n\"]," USER "}", TROUBLE_VERSION, "" },
        { "{\"features\":[\"spend@:n\"]," USER "}", TROUBLE_VERSION, "" },
        { "{\"features\":[\"spend:m\"]," USER "}", TROUBLE_FEATURE, "" },
        { "{\"features\":[\"spend:n\",\"spend:n\"]," USER "}", TROUBLE_COLLISION, "" },
        { "{\"features\":[\"spend:n\",\"pairs:n\"],\"entities\":{\"user_id\":[1],\"shop\":[1]}}",
          TROUBLE_COLLISION, "" },
        { "{\"feature_service\":\"model\",\"entities\":{\"buyer_id\":[1],\"seller_id\":[1]}}",
          TROUBLE_COLLISION, "" },
        { "{\"feature_service\":\"model\",\"entities\":{\"buyer_id\":[1]}}", TROUBLE_FORM,
          "\"entities\",\"seller_id\"" },
        { "{\"feature_service\":\"model@v1\",\"entities\":{\"buyer_id\":[1],\"seller_id\":[1]}}",
          TROUBLE_VERSION, "" },
        { "{\"feature_service\":\"s\",\"features\":[\"spend:n\"]," USER "}", TROUBLE_SERVICE, "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        trouble_t trouble = read_bad (text_of (cases[i].body));
        cr_expect_eq (trouble.kind, cases[i].kind, "%s: %s", cases[i].body, trouble.text);
        cr_expect_str_eq (trouble.place, cases[i].place, "%s", cases[i].body);
    }
}

/* A name of so many bytes that are escaped and of others: six bytes each, and one. */
static void check_place_of (size_t escaped, size_t plain)
{
    buf_t body, told;
    buf_init (&body, 4096);
    buf_init (&told, 4096);
    buf_put_string (&body, "{\"features\":[\"spend:n\"],\"entities\":{\"");
    for (size_t i = 0; i < escaped; i++)
        buf_put_string (&body, "\\u0001");
    for (size_t i = 0; i < plain; i++)
        buf_put_u8 (&body, 'a');
    buf_put_string (&body, "\":[[]]}}");
    trouble_t trouble = read_bad ((text_t){ (const char *)body.data, (uint32_t)body.size });
    trouble_write (&trouble, &told);
    json_t *root = json_loadb ((const char *)told.data, told.size, 0, NULL);
    cr_assert_not_null (root, "%zu and %zu: %s", escaped, plain, buf_string (&told));
    json_decref (root);
    buf_release (&body);
    buf_release (&told);
}

Test (questions, are_answered_with_json_whatever_the_names_in_them)
{
    for (size_t escaped = 0; escaped < 64; escaped++)
        for (size_t plain = 1; plain <= 6; plain++)
            check_place_of (escaped, plain);
}

/* `start`, then so often `item` with commas between, then `end`. */
static char *repeated (const char *start, const char *item, size_t count, const char *end)
{
    buf_t out;
    buf_init (&out, 64 << 20);
    buf_put_string (&out, start);
    for (size_t i = 0; i < count; i++)
        buf_printf (&out, "%s%s", i > 0 ? "," : "", item);
    buf_put_string (&out, end);
    char *text = mem_string (buf_string (&out));
    buf_release (&out);
    return text;
}

Test (questions, over_a_limit_are_refused)
{
    const char *start = "{\"features\":[\"spend:n\"],\"entities\":{\"user_id\":[";
    char *body = repeated (start, "1", HTTP_REQUEST_ROWS_MAX, "]}}");
    question_t *question = read_good (body);
    cr_expect_eq (question->rows, HTTP_REQUEST_ROWS_MAX);
    question_destroy (&question);
    mem_free (body);
    body = repeated (start, "1", HTTP_REQUEST_ROWS_MAX + 1, "]}}");
    cr_expect_str_eq (read_bad (text_of (body)).place, "\"entities\"");
    mem_free (body);
    body = repeated ("{\"entities\":{},\"features\":[", "\"everything:n_all\"",
                     HTTP_REQUEST_FEATURES_MAX + 1, "]}");
    cr_expect_str_eq (read_bad (text_of (body)).place, "\"features\"");
    mem_free (body);
    body = repeated ("{\"entities\":{},\"features\":[", "\"everything:n_all\"",
                     HTTP_REQUEST_FEATURES_MAX, "]}");
    cr_expect_eq (read_bad (text_of (body)).kind, TROUBLE_COLLISION);
    mem_free (body);
}

Test (questions, as_deep_as_any_stack_are_refused)
{
    size_t size = 4 << 20;
    char *body = mem_alloc (size);
    memset (body, '[', size);
    cr_expect_eq (read_bad ((text_t){ body, (uint32_t)size }).kind, TROUBLE_FORM);
    for (size_t i = 0; i + 5 <= size; i += 5)
        memcpy (body + i, "{\"a\":", 5);
    cr_expect_eq (read_bad ((text_t){ body, (uint32_t)size }).kind, TROUBLE_FORM);
    mem_free (body);
}
