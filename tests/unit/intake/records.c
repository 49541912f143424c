/* Records of the log under other definitions than they were written with. */
#include "block/block.h"
#include "feature/schema.h"
#include "intake/logged.h"

#include <criterion/criterion.h>
#include <string.h>

#define STREAM(fields) "streams:\n  s:\n    key: k\n    time: t\n    fields:\n" fields

static error_t error;

static definitions_t *read_text (const char *text, const char *fields)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    cr_assert_eq (definitions_read (&file, 1, &definitions, &error), STATUS_OK, "%s", error.text);
    if (fields) {
        schema_t schema;
        arena_t *arena = arena_new (1 << 12);
        cr_assert_eq (schema_read (text_of (fields), arena, &schema, &error), STATUS_OK);
        cr_assert_eq (schema_take (&schema, definitions, &definitions->streams[0], &error),
                      STATUS_OK, "%s", error.text);
        arena_destroy (&arena);
    }
    return definitions;
}

/* One event of {k: string, a: int64, b: float64, t} as a record's payload. */
static void write_record (buf_t *out, arena_t *arena)
{
    static const type_t types[] = { TYPE_STRING, TYPE_INT64, TYPE_FLOAT64, TYPE_TIMESTAMP };
    batch_t batch = batch_new (arena, types, 4, 1);
    value_t values[] = { { .type = TYPE_STRING, .s = text_of ("ann") },
                         { .type = TYPE_INT64, .i = INT64_MAX },
                         { .type = TYPE_FLOAT64, .f = 2.5 },
                         { .type = TYPE_TIMESTAMP, .i = 77 } };
    for (size_t i = 0; i < 4; i++)
        column_set (&batch.column[i], 0, &values[i]);
    batch.event_time[0] = 77;
    batch.key = NULL;
    buf_t block;
    buf_init (&block, BLOCK_SIZE_MAX);
    cr_assert_eq (block_encode (&batch, 0, 1, &block, &error), STATUS_OK, "%s", error.text);
    events_payload_t payload = { .sequence = 1, .accepted = 1 };
    payload.block = (text_t){ (const char *)block.data, (uint32_t)block.size };
    events_payload_encode (&payload, out);
    buf_release (&block);
}

static status_t read_record (const definitions_t *definitions, arena_t *arena, batch_t *batch)
{
    buf_t payload;
    buf_init (&payload, LOG_PAYLOAD_MAX);
    write_record (&payload, arena);
    log_record_t record = { .kind = LOG_KIND_EVENTS,
                            .offset = 5,
                            .count = 1,
                            .payload = payload.data,
                            .size = (uint32_t)payload.size };
    events_payload_t decoded;
    keyed_log_t log;
    cr_assert (keyed_log_find (definitions, text_of (definitions->streams[0].log_name), &log));
    status_t status = logged_events (&log, &record, arena, &decoded, batch, &error);
    buf_release (&payload);
    return status;
}

Test (records, are_read_as_the_fields_of_now)
{
    arena_t *arena = arena_new (1 << 14);
    definitions_t *definitions =
        read_text (STREAM ("      c: string\n      b: float64\n      k: string\n"
                           "      aa: {type: float64, alias: a}\n      t: timestamp\n"),
                   "next 5\n4 string nullable c c\n2 float64 nullable b b\n0 string nullable k k\n"
                   "1 float64 nullable aa a\n3 timestamp time t t\n");
    batch_t batch;
    cr_assert_eq (read_record (definitions, arena, &batch), STATUS_OK, "%s", error.text);
    cr_assert_eq (batch.columns, 5);
    cr_expect (column_get (&batch.column[0], 0).null);
    cr_expect_eq (column_get (&batch.column[1], 0).f, 2.5);
    cr_expect_eq (column_get (&batch.column[3], 0).f, 0x1p63);
    cr_expect_eq (column_get (&batch.column[4], 0).i, 77);
    cr_expect_gt (batch.key[0].size, 0);
    definitions_destroy (&definitions);
    arena_destroy (&arena);
}

/* The stream was thought to have no events when its fields were replaced, and one was on its way:
 * it is there, and what was given up is nobody else's. */
Test (records, of_fields_that_were_given_up_are_not_read_as_those_of_the_same_name)
{
    arena_t *arena = arena_new (1 << 14);
    definitions_t *definitions = read_text (
        STREAM ("      k: int64\n      a: string\n      b: float64\n      t: timestamp\n"),
        "next 6\n4 int64 nullable k k#4\n5 string nullable a a#5\n"
        "2 float64 nullable b b\n3 timestamp time t t\n");
    batch_t batch;
    cr_assert_eq (read_record (definitions, arena, &batch), STATUS_OK, "%s", error.text);
    cr_assert_eq (batch.rows, 1);
    cr_expect (column_get (&batch.column[0], 0).null);
    cr_expect (column_get (&batch.column[1], 0).null);
    cr_expect_eq (column_get (&batch.column[2], 0).f, 2.5);
    cr_expect_eq (batch.key[0].size, 0, "it is of no entity of now");
    definitions_destroy (&definitions);
    arena_destroy (&arena);
}

Test (records, of_newer_definitions_are_not_read)
{
    arena_t *arena = arena_new (1 << 14);
    definitions_t *definitions = read_text (
        STREAM ("      k: string\n      a: int64\n      b: int64\n      t: timestamp\n"), NULL);
    batch_t batch;
    cr_expect_eq (read_record (definitions, arena, &batch), STATUS_STALE);
    definitions_destroy (&definitions);
    arena_destroy (&arena);
}
