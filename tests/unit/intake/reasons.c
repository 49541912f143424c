/* What is refused, and what is said of it. */
#include "tests/unit/intake/rows.h"

#include <criterion/criterion.h>

#define HEADER "user_id,n,the amount,good,note,seen,ts\n"

static void expect_in (const char *text, const char *part)
{
    cr_expect (strstr (text, part) != NULL, "'%s' is not in '%s'", part, text);
}

static void expect_reason (text_format_t format, const char *text, const char *reason)
{
    rows_t rows;
    rows_init (&rows, NULL, 1);
    expect_in (rows_reason (&rows, format, text), reason);
    rows_release (&rows);
}

Test (reasons, name_row_column_value_and_what_was_expected)
{
    expect_reason (FORMAT_CSV, HEADER "u,1,2,,,,1\nu,1,abc,,,,1\n",
                   "row 2, column the amount: 'abc' is not a float64");
    expect_reason (FORMAT_CSV, HEADER "u,1.0,2,,,,1\n", "row 1, column n: '1.0' is not an int64");
    expect_reason (FORMAT_CSV, HEADER "u,1,2,yes,,,1\n", "column good: 'yes' is not a bool");
    expect_reason (FORMAT_CSV, HEADER "u,1,2,,,noon,1\n", "column seen: 'noon' is not a timestamp");
    expect_reason (FORMAT_CSV, HEADER "u,\"\",2,,,,1\n", "column n: '' is not an int64");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\",\"ts\":1}\n{\"user_id\":5,\"ts\":1}\n",
                   "row 2, column user_id: 5 is not a string");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\",\"ts\":1,\"n\":2.0}",
                   "column n: 2.0 is not an int64");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\",\"ts\":1,\"n\":\"2\"}",
                   "column n: '2' is not an int64");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\",\"ts\":1,\"n\":[]}",
                   "column n: a list, an object or bytes is not an int64");
}

Test (reasons, say_what_a_decimal_lacks)
{
#define PRICED "user_id,n,price,ts\n"
    expect_reason (FORMAT_CSV, PRICED "u,1,1.00001,1\n",
                   "column price: '1.00001' has more than the 4 digits after the point of a "
                   "decimal(30,4)");
    expect_reason (FORMAT_CSV, PRICED "u,1,1e26,1\n",
                   "column price: '1e26' has more than the 26 digits before the point of a "
                   "decimal(30,4)");
    expect_reason (FORMAT_CSV, PRICED "u,1,12$,1\n", "column price: '12$' is not a decimal(30,4)");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\",\"n\":1,\"ts\":1,\"price\": 0.00005 }\n",
                   "column price: 0.00005 has more than the 4 digits");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\",\"n\":1,\"ts\":1,\"price\":true}\n",
                   "column price: true is not a decimal(30,4)");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\",\"n\":1,\"ts\":1,\"price\":{\"a\":1.5}}\n",
                   "column price: a list, an object or bytes is not a decimal(30,4)");
}

Test (reasons, name_what_is_missing)
{
    expect_reason (FORMAT_CSV, HEADER ",1,2,,,,1\n", "column user_id: null, but the field is req");
    expect_reason (FORMAT_CSV, HEADER "u,1,2,,,,\n", "column ts: null, but it is the event time");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\"}", "row 1, column ts: null");
    expect_reason (FORMAT_CSV, "n,ts\n1,1\n", "column user_id, a required field of stream events");
    expect_reason (FORMAT_CSV, "user_id,n\nu,1\n", "column ts, the event time of stream events");
    expect_reason (FORMAT_CSV, "user_id,ts\nu,1\n", "column n, part of the key of stream events");
}

Test (reasons, name_the_likeliest_column)
{
    expect_reason (FORMAT_CSV, "user_id,n,ts,notes\nu,1,1,\n",
                   "stream events has no column 'notes'; did you mean 'note'?");
    expect_reason (FORMAT_NDJSON,
                   "{\"user_id\":\"u\",\"ts\":1}\n{\"user_id\":\"u\",\"ts\":1,\"god\":true}\n",
                   "row 2, stream events has no column 'god'; did you mean 'good'?");
    expect_reason (FORMAT_CSV, "user_id,n,ts,n\nu,1,1,1\n", "column n is there twice");
}

Test (reasons, say_where_a_text_is_not_csv)
{
    expect_reason (FORMAT_CSV, HEADER "u,1\n", "row 1 has 2 values; the header has 7 columns");
    expect_reason (FORMAT_CSV, HEADER "u,1,2,,,,1,9\n", "row 1 has 8 values");
    expect_reason (FORMAT_CSV, HEADER "u,1\"2,,,,,1\n", "row 1, column n: a value with a quote");
    expect_reason (FORMAT_CSV, HEADER "u,\"1\"2,,,,,1\n", "row 1, column n: a value with a quote");
    expect_reason (FORMAT_CSV, HEADER "u,1,,,\"open,,1\n", "row 1, column note: its quote is not");
    expect_reason (FORMAT_CSV, "", "there is no header");
    expect_reason (FORMAT_CSV, "a,,b\n1,2,3\n", "the header's column 2 has no name");
}

Test (reasons, say_where_a_text_is_not_json)
{
    expect_reason (FORMAT_NDJSON, "{}\n{\"ts\": 1,}\n",
                   "row 1, column user_id: null, but the field is required");
    expect_reason (FORMAT_NDJSON, "{\"ts\": 1,}\n", "row 1, byte 10: not JSON:");
    expect_reason (FORMAT_NDJSON, "[1]\n", "row 1 is not a JSON object");
    expect_reason (FORMAT_NDJSON, "{\"n\":1,\"n\":2}\n", "duplicate object key");
    expect_reason (FORMAT_NDJSON, "{\"user_id\":\"u\",\"ts\":1,\"n\":9223372036854775808}\n",
                   "row 1, column n: 9223372036854775808 is not an int64");
}

Test (reasons, hold_event_times_to_the_clock_and_the_calendar)
{
    expect_reason (FORMAT_CSV, HEADER "u,1,,,,,-1\n", "not within the years 1970 to 9999");
    expect_reason (FORMAT_CSV, HEADER "u,1,,,,,2026-01-01T00:05:00.000001Z\n",
                   "column ts: 2026-01-01T00:05:00.000001Z is more than 5m ahead of the clock");
    rows_t rows;
    rows_init (&rows, NULL, 1);
    cr_expect_str_eq (rows_reason (&rows, FORMAT_CSV, HEADER "u,1,,,,,2026-01-01T00:05:00Z\n"), "");
    rows_release (&rows);
}

Test (reasons, refuse_long_strings_and_keys_and_bytes_that_are_no_text)
{
    rows_t rows;
    rows_init (&rows, NULL, 1);
    buf_t text;
    buf_init (&text, 1 << 20);
    for (int size = STRING_VALUE_MAX; size <= STRING_VALUE_MAX + 1; size++) {
        buf_clear (&text);
        buf_printf (&text, HEADER "u,1,,,%0*d,,1\n", size, 7);
        cr_expect_str_eq (rows_reason (&rows, FORMAT_CSV, buf_string (&text)),
                          size == STRING_VALUE_MAX
                              ? ""
                              : "row 1, column note: '0000000000000000000000000000000000000000...' "
                                "is longer than 4096 bytes");
    }
    /* a type byte and two zeros at the end of the string, and nine bytes of the int64 */
    for (int size = KEY_SIZE_MAX - 12; size <= KEY_SIZE_MAX - 11; size++) {
        buf_clear (&text);
        buf_printf (&text, HEADER "%0*d,1,,,,,1\n", size, 7);
        const char *reason = rows_reason (&rows, FORMAT_CSV, buf_string (&text));
        cr_expect_eq (reason[0] == '\0', size == KEY_SIZE_MAX - 12, "%s", reason);
        if (size > KEY_SIZE_MAX - 12)
            expect_in (reason, "the key is longer than 1024 bytes");
    }
    expect_in (rows_reason (&rows, FORMAT_CSV, HEADER "u,1,,,a\xff z,,1\n"),
               "column note: 'a? z' is not UTF-8 text");
    buf_release (&text);
    rows_release (&rows);
}

Test (intake, goes_on_after_a_bad_record)
{
    static const char csv[] = HEADER "a,1,,,,,1\nb,1\nc,x,,,,,3\nd,\"1\"2,,,,,4\ne,1,,,,,5\n";
    rows_t rows;
    rows_init (&rows, NULL, 1);
    for (size_t chunk = 1; chunk < sizeof csv; chunk++) {
        taken_t taken = rows_take (&rows, FORMAT_CSV, text_of (csv), chunk, 2);
        cr_expect_eq (taken.rows, 2);
        cr_expect_eq (taken.bad, 2);
        cr_expect_eq (taken.refused, 1);
        cr_expect (text_is (taken.values[ROWS_FIELDS].s, "e"));
        cr_expect_str_eq (taken.reason, "row 2 has 2 values; the header has 7 columns");
    }
    rows_release (&rows);
}

Test (intake, goes_on_after_a_record_that_is_too_long)
{
    rows_t rows;
    rows_init (&rows, NULL, 1);
    buf_t text;
    buf_init (&text, 4 * TEXT_LINE_MAX);
    buf_printf (&text, HEADER "a,1,,,,,1\nb,1,,,\"%0*d\nc\",,2\nd,1,,,,,3\n", TEXT_LINE_MAX, 0);
    text_t whole = { .data = (const char *)text.data, .size = (uint32_t)text.size };
    taken_t taken = rows_take (&rows, FORMAT_CSV, whole, 100000, 10);
    cr_expect_eq (taken.rows, 2);
    expect_in (taken.reason, "row 2 is longer than 1048576 bytes; is a quote not closed?");
    buf_clear (&text);
    buf_printf (&text, "{\"user_id\":\"%0*d\"}\n{\"user_id\":\"d\",\"ts\":1}", TEXT_LINE_MAX, 0);
    whole = (text_t){ .data = (const char *)text.data, .size = (uint32_t)text.size };
    taken = rows_take (&rows, FORMAT_NDJSON, whole, 100000, 10);
    cr_expect_eq (taken.rows, 1);
    cr_expect_eq (taken.bad, 1);
    buf_release (&text);
    rows_release (&rows);
}

Test (intake, knows_the_text_of_records_and_the_numbers_of_rows)
{
    static const char csv[] = "\xef\xbb\xbf"
                              "a,b\r\n1,\"x\ny\"\r\n\r\nbad\n3,\n";
    text_reader_t *reader = text_reader_new (FORMAT_CSV, 10);
    size_t taken;
    uint64_t bad_row, first_row;
    error_t error;
    raw_table_t table;
    cr_assert_eq (text_reader_feed (reader, csv, sizeof csv - 1, &taken, &bad_row, &error),
                  STATUS_INVALID);
    cr_expect_eq (bad_row, 2);
    cr_expect (text_is (text_reader_bad (reader), "bad"));
    cr_expect (text_is (text_reader_header (reader), "a,b"));
    cr_assert (text_reader_table (reader, &table, &first_row));
    cr_expect_eq (first_row, 1);
    cr_expect_eq (table.rows, 1);
    cr_expect (text_is (text_reader_record (reader, 0), "1,\"x\ny\""));
    text_reader_next (reader);
    size_t rest = taken;
    cr_assert_eq (
        text_reader_feed (reader, csv + rest, sizeof csv - 1 - rest, &taken, &bad_row, &error),
        STATUS_OK);
    cr_expect_not (text_reader_table (reader, &table, &first_row));
    cr_assert_eq (text_reader_feed (reader, NULL, 0, &taken, &bad_row, &error), STATUS_OK);
    cr_assert (text_reader_table (reader, &table, &first_row));
    cr_expect_eq (first_row, 3);
    cr_expect_eq (table.cells[1].kind, RAW_NULL);
    text_reader_destroy (&reader);
}

Test (intake, takes_the_ingest_time_from_where_the_rules_say)
{
    rows_t rows;
    rows_init (&rows, NULL, 1);
    text_t columns[] = { text_of ("user_id"), text_of ("n"), text_of ("ts"), text_of ("at") };
    raw_t cells[] = { { .kind = RAW_TEXT, .s = text_of ("u") },
                      { .kind = RAW_INT, .i = 1 },
                      { .kind = RAW_INT, .i = 7 },
                      { .kind = RAW_TEXT, .loose = true, .s = text_of ("9") } };
    raw_table_t table = { .columns = columns, .columns_count = 4, .cells = cells, .rows = 1 };
    int32_t map[4];
    intake_result_t result;
    error_t error;
    cr_expect_eq (intake_map_columns (rows.stream, columns, 4, (text_t){ NULL, 0 }, map, &error),
                  STATUS_INVALID);
    cr_assert_eq (intake_map_columns (rows.stream, columns, 4, text_of ("at"), map, &error),
                  STATUS_OK, "%s", error.text);
    intake_convert (rows.stream, &table, map, &rows.rules, rows.arena, &result);
    cr_expect_eq (result.batch.ingest_time[0], rows.rules.now);
    rows.rules.ingest_is_event_time = true;
    intake_convert (rows.stream, &table, map, &rows.rules, rows.arena, &result);
    cr_expect_eq (result.batch.ingest_time[0], 7);
    rows.rules.ingest_column = text_of ("at");
    intake_convert (rows.stream, &table, map, &rows.rules, rows.arena, &result);
    cr_expect_eq (result.batch.ingest_time[0], 9 * TIME_MS);
    cells[3].kind = RAW_NULL;
    intake_convert (rows.stream, &table, map, &rows.rules, rows.arena, &result);
    cr_assert_eq (result.refused_count, 1);
    cr_expect_str_eq (result.refused[0].reason, "column at: null, but it is the ingest time");
    rows_release (&rows);
}
