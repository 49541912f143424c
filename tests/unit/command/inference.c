/* Streams guessed from samples. */
#include "client/cli/inference.h"

#include <criterion/criterion.h>
#include <string.h>

static raw_table_t table_of (text_reader_t *reader, const char *text)
{
    raw_table_t table;
    size_t taken;
    uint64_t bad_row, first_row;
    error_t error;
    cr_assert_eq (text_reader_feed (reader, text, strlen (text), &taken, &bad_row, &error),
                  STATUS_OK, "%s", error.text);
    cr_assert_eq (text_reader_feed (reader, NULL, 0, &taken, &bad_row, &error), STATUS_OK);
    cr_assert (text_reader_table (reader, &table, &first_row));
    return table;
}

/* What is guessed is a definition, and takes every row of the sample. */
static definitions_t *infer (text_format_t format, const char *text, buf_t *yaml)
{
    definitions_t *definitions = NULL;
    error_t error;
    text_reader_t *reader = text_reader_new (format, 1000);
    raw_table_t sample = table_of (reader, text);
    buf_init (yaml, 1 << 20);
    status_t status = infer_stream (&sample, "things", yaml, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    definition_file_t file = { "f", { (const char *)yaml->data, (uint32_t)yaml->size } };
    status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, buf_string (yaml));
    const stream_t *stream = definitions_stream (definitions, text_of ("things"));
    int32_t map[64];
    arena_t *arena = arena_new (1 << 16);
    intake_result_t result;
    intake_rules_t rules = { .ingest_is_event_time = true, .now = INT64_MAX / 2 };
    status = intake_map_columns (stream, sample.columns, sample.columns_count, (text_t){ NULL, 0 },
                                 map, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    intake_convert (stream, &sample, map, &rules, arena, &result);
    cr_expect_eq (result.refused_count, 0, "%s",
                  result.refused_count > 0 ? result.refused[0].reason : "");
    arena_destroy (&arena);
    text_reader_destroy (&reader);
    return definitions;
}

static type_t type_of (const stream_t *stream, const char *name)
{
    int at = stream_field (stream, text_of (name));
    return at < 0 ? TYPE_NONE : stream->fields[at].type;
}

Test (inference, finds_types_time_and_key_of_a_csv)
{
    buf_t yaml;
    definitions_t *definitions = infer (FORMAT_CSV,
                                        "id,user id,amount,count,ok,happened,at_ms,empty,select\n"
                                        "a1,u1,1.5,1,true,2026-01-02 03:04:05,1767323045000,,x\n"
                                        "a2,u2,2,2,false,2026-01-02 03:04:06,1767323046000,,y\n"
                                        "a3,u1,,3,,2026-01-02 03:04:07,1767323047000,,z\n"
                                        "a4,u1,NaN,4,true,2026-01-02 03:04:08,1767323047000,,z\n"
                                        "a5,u2,-1e3,5,true,2026-01-02 03:04:09,1767323047000,,z\n"
                                        "a6,u2,0,6,true,2026-01-02,1767323047000,,z\n",
                                        &yaml);
    const stream_t *stream = &definitions->streams[0];
    cr_expect_eq (type_of (stream, "id"), TYPE_STRING);
    cr_expect_eq (type_of (stream, "user_id"), TYPE_STRING);
    cr_expect_eq (type_of (stream, "amount"), TYPE_FLOAT64);
    cr_expect_eq (type_of (stream, "count"), TYPE_INT64);
    cr_expect_eq (type_of (stream, "ok"), TYPE_BOOL);
    cr_expect_eq (type_of (stream, "happened"), TYPE_TIMESTAMP);
    cr_expect_eq (type_of (stream, "at_ms"), TYPE_TIMESTAMP);
    cr_expect_str_eq (stream->fields[stream->key[0]].name, "user_id");
    cr_expect_str_eq (stream->fields[stream->key[0]].column, "user id");
    definitions_destroy (&definitions);
    buf_release (&yaml);
}

Test (inference, takes_json_types_as_they_are)
{
    buf_t yaml;
    definitions_t *definitions =
        infer (FORMAT_NDJSON,
               "{\"device\": 7, \"ts\": 1767323045, \"v\": 1, \"code\": \"12\"}\n"
               "{\"device\": 8, \"ts\": 1767323046, \"v\": 1.5, \"code\": \"13\"}\n",
               &yaml);
    const stream_t *stream = &definitions->streams[0];
    cr_expect_eq (type_of (stream, "v"), TYPE_FLOAT64);
    cr_expect_eq (type_of (stream, "code"), TYPE_STRING);
    cr_expect_eq (type_of (stream, "ts"), TYPE_TIMESTAMP);
    cr_expect_eq (stream->fields[stream->time].unit, UNIT_S);
    cr_expect_str_eq (stream->fields[stream->key[0]].name, "device");
    definitions_destroy (&definitions);
    buf_release (&yaml);
}

Test (inference, says_that_there_is_no_time)
{
    text_reader_t *reader = text_reader_new (FORMAT_CSV, 10);
    raw_table_t sample = table_of (reader, "a,b\n1,x\n");
    buf_t yaml;
    error_t error;
    buf_init (&yaml, 4096);
    cr_expect_eq (infer_stream (&sample, "s", &yaml, &error), STATUS_INVALID);
    cr_expect (strstr (error.text, "event time"));
    buf_release (&yaml);
    text_reader_destroy (&reader);
}

Test (inference, names_are_identifiers)
{
    char name[NAME_MAX_SIZE + 1];
    infer_name ("/data/2026-taxi trips.csv.gz", name, sizeof name);
    cr_expect_str_eq (name, "c2026_taxi_trips");
    infer_name ("---", name, sizeof name);
    cr_expect_str_eq (name, "c");
}
