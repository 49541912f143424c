/* Bodies of POST /push. */
#include "serving/http/push.h"
#include "tests/fuzz/http_model.h"

#include <criterion/criterion.h>

Test (push_bodies, are_rows_of_a_stream)
{
    trouble_t trouble;
    model_t *model = http_model_new ();
    push_rows_t *rows = push_read (
        text_of ("{\"push_source_name\":\"payments\",\"df\":{\"user_id\":[\"a\",null],"
                 "\"amount\":[1,2.5],\"anything\":[true,\"x\"]},\"to\":\"online_and_offline\","
                 "\"allow_registry_cache\":false,\"transform_on_write\":true}"),
        model, &trouble);
    cr_assert_not_null (rows, "%s", trouble.text);
    cr_expect_str_eq (rows->stream, "payments");
    cr_assert (rows->columns.count == 3 && rows->columns.rows == 2);
    cr_expect_str_eq (rows->columns.names[2], "anything");
    cr_expect_str_eq (rows->cells[0].as.text, "a");
    cr_expect (rows->cells[1].type == WEIR_INT64 && rows->cells[1].as.i == 1);
    cr_expect_eq (rows->cells[3].type, WEIR_NULL);
    cr_expect (rows->cells[4].type == WEIR_FLOAT64 && rows->cells[4].as.f == 2.5);
    cr_expect_str_eq (rows->cells[5].as.text, "x");
    push_rows_destroy (&rows);
    model_unref (&model);
}

Test (push_bodies, that_are_wrong_say_where)
{
    static const struct {
        const char *body;
        trouble_kind_t kind;
        const char *place;
    } cases[] = {
        { "{\"df\":{}}", TROUBLE_FORM, "\"push_source_name\"" },
        { "{\"push_source_name\":null,\"df\":{}}", TROUBLE_FORM, "\"push_source_name\"" },
        { "{\"push_source_name\":\"payments\"}", TROUBLE_FORM, "\"df\"" },
        { "{\"push_source_name\":\"payments\",\"df\":[{}]}", TROUBLE_FORM, "\"df\"" },
        { "{\"push_source_name\":\"payments\",\"df\":{\"a\":[{}]}}", TROUBLE_FORM,
          "\"df\",\"a\",0" },
        { "{\"push_source_name\":\"payments\",\"df\":{},\"to\":\"x\"}", TROUBLE_FORM, "\"to\"" },
        { "{\"push_source_name\":\"spend\",\"df\":{}}", TROUBLE_SOURCE, "" },
        { "{\"push_source_name\":\"\",\"df\":{}}", TROUBLE_SOURCE, "" },
    };
    model_t *model = http_model_new ();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        trouble_t trouble = { .kind = TROUBLE_NONE };
        cr_expect_null (push_read (text_of (cases[i].body), model, &trouble));
        cr_expect_eq (trouble.kind, cases[i].kind, "%s: %s", cases[i].body, trouble.text);
        cr_expect_str_eq (trouble.place, cases[i].place, "%s", cases[i].body);
    }
    model_unref (&model);
}
