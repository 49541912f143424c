/* Sources that call a field by a former name. */
#include "tests/unit/intake/rows.h"

#include <criterion/criterion.h>

static const char renamed[] = "streams:\n"
                              "  events:\n"
                              "    key: user_id\n"
                              "    time: ts\n"
                              "    fields:\n"
                              "      user_id: {type: string, alias: [uid, 'the user']}\n"
                              "      amount: {type: float64, alias: fee}\n"
                              "      ts: timestamp\n";

static taken_t take (rows_t *rows, text_format_t format, const char *text)
{
    return rows_take (rows, format, text_of (text), 1 << 16, 100);
}

static const value_t *value_at (const rows_t *rows, const taken_t *taken, size_t row, size_t field)
{
    return &taken->values[row * rows->stream->fields_count + field];
}

Test (aliases, name_a_column_of_a_csv)
{
    rows_t rows;
    rows_init (&rows, renamed, 1);
    taken_t taken = take (&rows, FORMAT_CSV, "fee,the user,ts\n1.5,ann,1\n,bob,2\n");
    cr_assert_eq (taken.rows, 2, "%s", taken.reason);
    cr_expect (text_is (value_at (&rows, &taken, 0, 0)->s, "ann"));
    cr_expect_eq (value_at (&rows, &taken, 0, 1)->f, 1.5);
    cr_expect (value_at (&rows, &taken, 1, 1)->null);
    cr_expect (strstr (rows_reason (&rows, FORMAT_CSV, "user_id,uid,ts\na,b,1\n"),
                       "columns user_id and uid are both read as the field user_id"));
    cr_expect (strstr (rows_reason (&rows, FORMAT_CSV, "user,ts\na,1\n"), "no column 'user'"));
    rows_release (&rows);
}

Test (aliases, may_change_from_row_to_row)
{
    rows_t rows;
    rows_init (&rows, renamed, 1);
    taken_t taken = take (&rows, FORMAT_NDJSON,
                          "{\"user_id\":\"a\",\"amount\":1,\"ts\":1}\n"
                          "{\"uid\":\"b\",\"fee\":2,\"ts\":1}\n"
                          "{\"the user\":\"c\",\"fee\":null,\"amount\":3,\"ts\":1}\n"
                          "{\"uid\":\"d\",\"amount\":null,\"fee\":4,\"ts\":1}\n");
    cr_assert_eq (taken.rows, 4, "%s", taken.reason);
    static const char *const users[] = { "a", "b", "c", "d" };
    for (size_t i = 0; i < 4; i++) {
        cr_expect (text_is (value_at (&rows, &taken, i, 0)->s, users[i]));
        cr_expect_eq (value_at (&rows, &taken, i, 1)->f, (double)(i + 1));
    }
    cr_expect (strstr (
        rows_reason (&rows, FORMAT_NDJSON, "{\"uid\":\"d\",\"amount\":1,\"fee\":1,\"ts\":1}\n"),
        "row 1, columns amount and fee are both read as the field amount"));
    rows_release (&rows);
}

Test (aliases, of_the_key_place_a_row_where_the_event_belongs)
{
    rows_t rows;
    rows_init (&rows, renamed, 1);
    text_t columns[] = { text_of ("user_id"), text_of ("ts"), text_of ("uid") };
    raw_t cells[] = {
        { .kind = RAW_TEXT, .s = text_of ("a") },
        { .kind = RAW_INT, .i = 1 },
        { .kind = RAW_NULL },
        { .kind = RAW_NULL },
        { .kind = RAW_INT, .i = 1 },
        { .kind = RAW_TEXT, .s = text_of ("b") },
        { .kind = RAW_NULL },
        { .kind = RAW_INT, .i = 1 },
        { .kind = RAW_NULL },
    };
    raw_table_t table = { columns, 3, cells, 3 };
    int32_t map[3];
    intake_result_t result;
    intake_map_names (rows.stream, columns, 3, (text_t){ 0 }, map);
    intake_convert (rows.stream, &table, map, &rows.rules, rows.arena, &result);
    cr_assert_eq (result.batch.rows, 3);
    for (size_t i = 0; i < 3; i++) {
        text_t key = intake_raw_key (rows.stream, &table, map, i, rows.arena);
        cr_expect (text_equal (key, result.batch.key[i]), "row %zu", i);
        cr_expect_eq (key.size > 0, i < 2);
    }
    rows_release (&rows);
}
