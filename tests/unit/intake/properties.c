/* What goes in comes out, whatever way it came and however it was cut. */
#include "tests/unit/intake/rows.h"

#include <criterion/criterion.h>

enum { ROUNDS = 60, TEXT_MAX = 1 << 22 };

static void expect_same (const rows_t *rows, const taken_t *taken, uint64_t seed)
{
    cr_assert_eq (taken->bad + taken->refused, 0, "seed %lu: %s", seed, taken->reason);
    cr_assert_eq (taken->rows, rows->count, "seed %lu", seed);
    for (size_t i = 0; i < rows->count * ROWS_FIELDS; i++)
        cr_assert (value_equal (&rows->values[i], &taken->values[i]), "seed %lu: row %zu, field %s",
                   seed, i / ROWS_FIELDS, rows->stream->fields[i % ROWS_FIELDS].name);
}

static void expect_text_round_trip (text_format_t format, uint64_t seed)
{
    rows_t rows;
    rows_init (&rows, NULL, seed);
    rows_make (&rows, 1 + (size_t)random_below (&rows.random, 200));
    buf_t text;
    buf_init (&text, TEXT_MAX);
    if (format == FORMAT_CSV)
        rows_as_csv (&rows, &text);
    else
        rows_as_ndjson (&rows, &text);
    text_t whole = { .data = (const char *)text.data, .size = (uint32_t)text.size };
    size_t chunk_max = 1 + (size_t)random_below (&rows.random, seed % 2 ? 8 : 5000);
    size_t rows_max = 1 + (size_t)random_below (&rows.random, 64);
    taken_t taken = rows_take (&rows, format, whole, chunk_max, rows_max);
    expect_same (&rows, &taken, seed);
    buf_release (&text);
    rows_release (&rows);
}

Test (intake, csv_gives_the_values_that_were_written)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        expect_text_round_trip (FORMAT_CSV, seed);
}

Test (intake, ndjson_gives_the_values_that_were_written)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        expect_text_round_trip (FORMAT_NDJSON, seed);
}

static void write_send (rows_t *rows, wire_writer_t *writer)
{
    wire_begin (writer, MESSAGE_SEND, 1);
    wire_field_string (writer, "stream", "events");
    wire_field_bin (writer, "producer", text_of ("0123456789abcdef"));
    wire_field_uint (writer, "sequence", 1);
    wire_field_uint (writer, "oldest", 1);
    wire_field_list (writer, "columns");
    for (size_t f = 0; f < ROWS_FIELDS; f++)
        wire_put_string (writer, rows->stream->fields[f].column);
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (size_t r = 0; r < rows->count; r++) {
        wire_open_list (writer);
        for (size_t f = 0; f < ROWS_FIELDS; f++)
            wire_put_value (writer, &rows->values[r * ROWS_FIELDS + f]);
        wire_close (writer);
    }
    wire_close (writer);
}

Test (intake, messages_give_the_values_that_were_written)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        rows_t rows;
        rows_init (&rows, NULL, seed);
        rows_make (&rows, (size_t)random_below (&rows.random, 100));
        wire_writer_t *writer = wire_writer_new ();
        wire_decoder_t *decoder = wire_decoder_new ();
        write_send (&rows, writer);
        const void *data;
        size_t size;
        message_t message;
        error_t error;
        cr_assert (wire_end (writer, &data, &size));
        cr_assert_eq (wire_decode (decoder, data, size, &message, &error), STATUS_OK, "%s",
                      error.text);
        raw_table_t table;
        cr_assert_eq (intake_from_wire (wire_list (message.body, "columns"),
                                        wire_list (message.body, "rows"), rows.arena, &table,
                                        &error),
                      STATUS_OK);
        int32_t map[ROWS_FIELDS];
        cr_assert_eq (intake_map_columns (rows.stream, table.columns, table.columns_count,
                                          (text_t){ NULL, 0 }, map, &error),
                      STATUS_OK, "%s", error.text);
        intake_result_t result;
        intake_convert (rows.stream, &table, map, &rows.rules, rows.arena, &result);
        cr_assert_eq (result.batch.rows, rows.count);
        for (size_t i = 0; i < rows.count * ROWS_FIELDS; i++) {
            value_t value = column_get (&result.batch.column[i % ROWS_FIELDS], i / ROWS_FIELDS);
            cr_assert (value_equal (&value, &rows.values[i]));
        }
        wire_decoder_destroy (&decoder);
        wire_writer_destroy (&writer);
        rows_release (&rows);
    }
}

/* Bytes that look like text of the format often enough to get anywhere. */
static text_t random_bytes (rows_t *rows, text_format_t format)
{
    static const char *const csv[] = { "\"",
                                       "\"\"",
                                       ",",
                                       "\n",
                                       "\r",
                                       "a",
                                       "1",
                                       "ts",
                                       "user_id",
                                       "\xff",
                                       "user_id,n,the amount,good,note,seen,ts\n",
                                       "u,1,2.5,true,x,,1\n",
                                       "" };
    static const char *const json[] = { "{",
                                        "}",
                                        "\"ts\":",
                                        "1",
                                        ",",
                                        "\n",
                                        "\"user_id\":",
                                        "\"u\"",
                                        "[",
                                        "]",
                                        "1e999",
                                        "9223372036854775808",
                                        "\xff",
                                        "{\"ts\": 1, \"user_id\": \"u\"}\n" };
    buf_t out;
    buf_init (&out, TEXT_MAX);
    if (format == FORMAT_CSV && random_chance (&rows->random, 0.8))
        buf_put_string (&out, csv[10]);
    for (uint64_t n = random_below (&rows->random, 200); n > 0; n--) {
        uint64_t pick = random_below (&rows->random, 13);
        buf_put_string (&out, format == FORMAT_CSV ? csv[pick] : json[pick]);
    }
    text_t text = arena_text (
        rows->arena, (text_t){ .data = (const char *)out.data, .size = (uint32_t)out.size });
    buf_release (&out);
    return text;
}

/* The same rows, bad records and reasons however the bytes are cut. */
static void expect_chunks_do_not_matter (text_format_t format)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        rows_t rows;
        rows_init (&rows, NULL, seed);
        text_t text = random_bytes (&rows, format);
        taken_t whole = rows_take (&rows, format, text, text.size + 1, 1000);
        taken_t cut = rows_take (&rows, format, text, 1 + seed % 7, 1 + seed % 5);
        cr_assert_eq (whole.rows, cut.rows, "seed %lu", seed);
        cr_assert_eq (whole.bad, cut.bad, "seed %lu", seed);
        cr_assert_eq (whole.refused, cut.refused, "seed %lu", seed);
        cr_assert_eq (whole.failed, cut.failed, "seed %lu", seed);
        cr_assert_str_eq (whole.reason, cut.reason, "seed %lu", seed);
        rows_release (&rows);
    }
}

Test (intake, chunks_of_csv_do_not_matter)
{
    expect_chunks_do_not_matter (FORMAT_CSV);
}

Test (intake, chunks_of_ndjson_do_not_matter)
{
    expect_chunks_do_not_matter (FORMAT_NDJSON);
}
