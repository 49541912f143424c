/* text.h - the two fuzzers of text: reads it whole and in pieces, converts the rows, and compares
 * what came of it. The first byte says how it is cut. */
#ifndef WEIR_TESTS_FUZZ_TEXT_H
#define WEIR_TESTS_FUZZ_TEXT_H

#include "base/check.h"
#include "intake/intake.h"

typedef struct fuzz_count {
    uint64_t accepted;
    uint64_t refused;
    uint64_t bad;
} fuzz_count_t;

static inline stream_t fuzz_stream (field_t fields[4])
{
    fields[0] = (field_t){ .name = "a", .column = "a", .type = TYPE_STRING };
    fields[1] = (field_t){ .name = "b", .column = "b", .type = TYPE_FLOAT64 };
    fields[2] = (field_t){ .name = "t", .column = "t", .type = TYPE_TIMESTAMP, .unit = UNIT_MS };
    fields[3] = (field_t){ .name = "d", .column = "d", .type = type_decimal (4), .precision = 30 };
    return (
        stream_t){ .name = "s", .fields = fields, .fields_count = 4, .key_count = 1, .time = 2 };
}

static inline void fuzz_table (const stream_t *stream, const raw_table_t *table,
                               fuzz_count_t *count)
{
    int32_t map[TEXT_COLUMNS_MAX];
    intake_rules_t rules = { .now = TIME_EVENT_MAX };
    intake_result_t result;
    arena_t *arena = arena_new (1 << 12);
    intake_map_names (stream, table->columns, table->columns_count, (text_t){ NULL, 0 }, map);
    intake_convert (stream, table, map, &rules, arena, &result);
    CHECK (result.batch.rows + result.refused_count == table->rows);
    count->accepted += result.batch.rows;
    count->refused += result.refused_count;
    arena_destroy (&arena);
}

/* False when nothing more can come. */
static inline bool fuzz_feed (text_reader_t *reader, const stream_t *stream, const uint8_t *data,
                              size_t size, size_t *taken, fuzz_count_t *count)
{
    raw_table_t table;
    uint64_t bad_row, first_row;
    error_t error;
    bool good = text_reader_feed (reader, data, size, taken, &bad_row, &error) == STATUS_OK;
    bool more = !good;
    while (text_reader_table (reader, &table, &first_row)) {
        for (size_t i = 0; i < table.rows; i++)
            (void)text_reader_record (reader, i);
        fuzz_table (stream, &table, count);
        text_reader_next (reader);
        more = true;
    }
    count->bad += !good;
    return (good || bad_row > 0) && (size > 0 || more);
}

static inline fuzz_count_t fuzz_read (text_format_t format, const uint8_t *data, size_t size,
                                      size_t chunk, size_t rows_max)
{
    field_t fields[4];
    stream_t stream = fuzz_stream (fields);
    fuzz_count_t count = { .bad = 0 };
    text_reader_t *reader = text_reader_new (format, rows_max);
    size_t at = 0, taken;
    bool more = true;
    while (more && at < size) {
        more = fuzz_feed (reader, &stream, data + at, size - at < chunk ? size - at : chunk, &taken,
                          &count);
        at += taken;
    }
    while (more)
        more = fuzz_feed (reader, &stream, NULL, 0, &taken, &count);
    text_reader_destroy (&reader);
    return count;
}

static inline void fuzz_text (text_format_t format, const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    size_t cut = data[0];
    fuzz_count_t whole = fuzz_read (format, data + 1, size - 1, size, 4096);
    fuzz_count_t pieces = fuzz_read (format, data + 1, size - 1, 1 + cut % 16, 1 + cut / 16);
    CHECK (whole.accepted == pieces.accepted);
    CHECK (whole.refused == pieces.refused);
    CHECK (whole.bad == pieces.bad);
}

#endif
