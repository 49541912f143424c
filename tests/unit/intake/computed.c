/* Fields that are computed from the others of an event when it comes in. */
#include "tests/unit/intake/rows.h"

#include <criterion/criterion.h>

static const char definition[] = "streams:\n"
                                 "  events:\n"
                                 "    key: user\n"
                                 "    time: ts\n"
                                 "    unknown: ignore\n"
                                 "    fields:\n"
                                 "      user: string\n"
                                 "      cents: {expr: cast(amount * 100 as int64)}\n"
                                 "      half: {expr: cents / 2}\n"
                                 "      amount: float64\n"
                                 "      ts: timestamp\n"
                                 "      twice: {expr: user || user}\n"
                                 "      kind: {expr: \"case when amount > 2 then 'high' end\"}\n";

enum { USER, CENTS, HALF, AMOUNT, TS, TWICE, KIND, FIELDS };

static const value_t *value_at (const taken_t *taken, size_t row, size_t field)
{
    return &taken->values[row * FIELDS + field];
}

Test (computed, fields_are_made_of_those_of_their_row)
{
    rows_t rows;
    rows_init (&rows, definition, 1);
    taken_t taken = rows_take (
        &rows, FORMAT_CSV, text_of ("user,amount,ts\nann,1.25,1\nbob,x,2\n\"\",,3\ncat,2.5,4\n"),
        1 << 16, 100);
    cr_assert_eq (taken.rows, 3u, "%s", taken.reason);
    cr_assert_eq (taken.refused, 1u);
    cr_expect_eq (value_at (&taken, 0, CENTS)->i, 125);
    cr_expect_eq (value_at (&taken, 0, HALF)->f, 62.5);
    cr_expect (text_is (value_at (&taken, 0, TWICE)->s, "annann"));
    cr_expect (value_at (&taken, 0, KIND)->null);
    cr_expect (value_at (&taken, 1, CENTS)->null);
    cr_expect (value_at (&taken, 1, HALF)->null);
    cr_expect_not (value_at (&taken, 1, TWICE)->null);
    cr_expect_eq (value_at (&taken, 1, TWICE)->s.size, 0u);
    cr_expect_eq (value_at (&taken, 2, CENTS)->i, 250);
    cr_expect (text_is (value_at (&taken, 2, KIND)->s, "high"));
    rows_release (&rows);
}

Test (computed, fields_may_not_be_sent_not_even_where_others_are_ignored)
{
    rows_t rows;
    rows_init (&rows, definition, 1);
    cr_expect_not_null (strstr (rows_reason (&rows, FORMAT_CSV, "user,cents,ts\na,1,1\n"),
                                "column cents: the field is computed, and is not sent"));
    cr_expect_not_null (
        strstr (rows_reason (&rows, FORMAT_NDJSON, "{\"user\":\"a\",\"ts\":1,\"half\":2}\n"),
                "column half: the field is computed, and is not sent"));
    taken_t taken =
        rows_take (&rows, FORMAT_NDJSON,
                   text_of ("{\"user\":\"a\",\"ts\":1,\"half\":null,\"other\":3}\n"), 1 << 16, 100);
    cr_expect_eq (taken.rows, 1u, "%s", taken.reason);
    rows_release (&rows);
}

Test (computed, a_string_that_no_field_can_hold_refuses_the_row)
{
    rows_t rows;
    buf_t text;
    rows_init (&rows, definition, 1);
    buf_init (&text, 1 << 16);
    buf_put_string (&text, "user,ts\n");
    for (int i = 0; i < 1000; i++)
        buf_put_string (&text, "abc");
    buf_put_string (&text, ",1\n");
    taken_t taken = rows_take (
        &rows, FORMAT_CSV, (text_t){ (const char *)text.data, (uint32_t)text.size }, 1 << 16, 100);
    cr_expect_eq (taken.refused, 1u);
    cr_expect_not_null (
        strstr (taken.reason, "field twice: what is computed is longer than 4096 bytes"), "%s",
        taken.reason);
    buf_release (&text);
    rows_release (&rows);
}
