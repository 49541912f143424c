#include "tests/unit/intake/rows.h"

#include "base/decimal.h"
#include "base/number.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#define NOW INT64_C (1767225600000000) /* 2026-01-01 */

static const char every_type[] = "streams:\n"
                                 "  events:\n"
                                 "    key: [user_id, n]\n"
                                 "    time: ts\n"
                                 "    fields:\n"
                                 "      user_id: {type: string, required: true}\n"
                                 "      n: int64\n"
                                 "      amount: {type: float64, column: the amount}\n"
                                 "      good: bool\n"
                                 "      note: string\n"
                                 "      price: decimal(30,4)\n"
                                 "      seen: {type: timestamp, unit: us}\n"
                                 "      ts: {type: timestamp, unit: us}\n";

void rows_init (rows_t *self, const char *text, uint64_t seed)
{
    *self = (rows_t){ .arena = arena_new (1 << 16) };
    definition_file_t file = { "events.yaml", text_of (text ? text : every_type) };
    error_t error;
    cr_assert_eq (definitions_read (&file, 1, &self->definitions, &error), STATUS_OK, "%s",
                  error.text);
    self->stream = definitions_stream (self->definitions, text_of ("events"));
    cr_assert_not_null (self->stream);
    random_seed (&self->random, seed);
    self->rules = (intake_rules_t){ .now = NOW, .max_ahead = 5 * TIME_MINUTE };
}

void rows_release (rows_t *self)
{
    definitions_destroy (&self->definitions);
    arena_destroy (&self->arena);
}

/* ---- random rows ---- */

static text_t random_text (rows_t *self)
{
    static const char *const pieces[] = {
        "a",    "\"",   ",", "\n", "\r\n", " ",      "\xc3\xa9",
        "null", "true", "0", "\\", "\t",   "x\"\"y", "\xf0\x9f\x98\x80"
    };
    buf_t text;
    buf_init (&text, STRING_VALUE_MAX);
    uint64_t count = random_below (&self->random, 6);
    for (uint64_t i = 0; i < count; i++)
        buf_put_string (&text,
                        pieces[random_below (&self->random, sizeof pieces / sizeof *pieces)]);
    text_t copy = arena_text (
        self->arena, (text_t){ .data = (const char *)text.data, .size = (uint32_t)text.size });
    buf_release (&text);
    return copy;
}

static double random_float (rows_t *self)
{
    uint64_t bits = random_next (&self->random);
    double value;
    memcpy (&value, &bits, sizeof value);
    return value_float (random_chance (&self->random, 0.5) ? value : (double)(int8_t)bits);
}

/* Up to 30 digits. */
static int128_t random_unscaled (rows_t *self)
{
    int128_t value = 0;
    for (uint64_t digits = random_below (&self->random, 31); digits > 0; digits--)
        value = 10 * value + (int128_t)random_below (&self->random, 10);
    return random_chance (&self->random, 0.5) ? value : -value;
}

static value_t random_value (rows_t *self, size_t field)
{
    type_t type = self->stream->fields[field].type;
    value_t value = { .type = type };
    if (field != self->stream->time && !self->stream->fields[field].required &&
        random_chance (&self->random, 0.2)) {
        value.null = true;
        return value;
    }
    if (type == TYPE_STRING)
        value.s = random_text (self);
    else if (type == TYPE_FLOAT64)
        value.f = random_float (self);
    else if (type_is_decimal (type))
        value.d = random_unscaled (self);
    else if (type == TYPE_BOOL)
        value.i = (int64_t)random_below (&self->random, 2);
    else if (type == TYPE_INT64)
        value.i = (int64_t)random_next (&self->random) >> random_below (&self->random, 64);
    else
        value.i = (int64_t)random_below (&self->random, (uint64_t)NOW);
    return value;
}

void rows_make (rows_t *self, size_t count)
{
    cr_assert_eq (self->stream->fields_count, ROWS_FIELDS);
    self->count = count;
    self->values = arena_zero (self->arena, count * ROWS_FIELDS, sizeof *self->values);
    for (size_t i = 0; i < count * ROWS_FIELDS; i++)
        self->values[i] = random_value (self, i % ROWS_FIELDS);
}

/* ---- as text ---- */

static void put_quoted (buf_t *out, text_t text)
{
    buf_put_u8 (out, '"');
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            buf_put_u8 (out, '"');
        buf_put_u8 (out, (uint8_t)text.data[i]);
    }
    buf_put_u8 (out, '"');
}

static bool is_plain (text_t text)
{
    for (uint32_t i = 0; i < text.size; i++)
        if (strchr ("\",\r\n", text.data[i]) != NULL)
            return false;
    return text.size > 0;
}

/* In one of the ways that a number may be written in text, JSON's included. */
static void put_decimal (rows_t *self, const value_t *value, buf_t *out)
{
    unsigned scale = type_scale (value->type);
    if (value->d % decimal_power (scale) == 0 && random_chance (&self->random, 0.5)) {
        decimal_format (out, value->d / decimal_power (scale), 0);
    } else if (random_chance (&self->random, 0.3)) {
        decimal_format (out, value->d, 0);
        buf_printf (out, "e-%u", scale);
    } else {
        decimal_format (out, value->d, scale);
        if (random_chance (&self->random, 0.3))
            buf_put_string (out, "000");
    }
}

static void put_csv_value (rows_t *self, const value_t *value, buf_t *out)
{
    if (value->null)
        return;
    if (value->type == TYPE_STRING) {
        if (is_plain (value->s) && random_chance (&self->random, 0.5))
            buf_put (out, value->s.data, value->s.size);
        else
            put_quoted (out, value->s);
    } else if (value->type == TYPE_FLOAT64) {
        number_format_float (out, value->f);
    } else if (type_is_decimal (value->type)) {
        put_decimal (self, value, out);
    } else if (value->type == TYPE_BOOL) {
        buf_put_string (out, value->i ? "true" : "false");
    } else if (value->type == TYPE_TIMESTAMP && random_chance (&self->random, 0.5)) {
        time_format (out, value->i);
    } else {
        buf_printf (out, "%" PRId64, value->i);
    }
}

void rows_as_csv (rows_t *self, buf_t *out)
{
    for (size_t f = 0; f < ROWS_FIELDS; f++)
        buf_printf (out, "%s%s", f > 0 ? "," : "", self->stream->fields[f].column);
    for (size_t i = 0; i < self->count * ROWS_FIELDS; i++) {
        bool first = i % ROWS_FIELDS == 0;
        buf_put_string (out, !first ? "," : random_chance (&self->random, 0.5) ? "\r\n" : "\n");
        put_csv_value (self, &self->values[i], out);
    }
    if (random_chance (&self->random, 0.5))
        buf_put_u8 (out, '\n');
}

static void put_json_value (rows_t *self, const value_t *value, buf_t *out)
{
    if (value->null) {
        buf_put_string (out, "null");
    } else if (value->type == TYPE_STRING) {
        number_format_json_string (out, value->s);
    } else if (value->type == TYPE_FLOAT64) {
        bool finite = value->f - value->f == 0;
        buf_put_string (out, finite ? "" : "\"");
        number_format_float (out, value->f);
        buf_put_string (out, finite ? "" : "\"");
    } else if (type_is_decimal (value->type)) {
        bool quoted = random_chance (&self->random, 0.3);
        buf_put_string (out, quoted ? "\"" : "");
        put_decimal (self, value, out);
        buf_put_string (out, quoted ? "\"" : random_chance (&self->random, 0.2) ? " " : "");
    } else if (value->type == TYPE_TIMESTAMP && random_chance (&self->random, 0.5)) {
        buf_put_u8 (out, '"');
        time_format (out, value->i);
        buf_put_u8 (out, '"');
    } else if (value->type == TYPE_BOOL) {
        buf_put_string (out, value->i ? "true" : "false");
    } else {
        buf_printf (out, "%" PRId64, value->i);
    }
}

void rows_as_ndjson (rows_t *self, buf_t *out)
{
    for (size_t r = 0; r < self->count; r++) {
        bool first = true;
        buf_put_u8 (out, '{');
        size_t turn = (size_t)random_below (&self->random, ROWS_FIELDS);
        for (size_t i = 0; i < ROWS_FIELDS; i++) {
            size_t f = (i + turn) % ROWS_FIELDS;
            const value_t *value = &self->values[r * ROWS_FIELDS + f];
            if (value->null && random_chance (&self->random, 0.5))
                continue;
            buf_printf (out, "%s\"%s\":", first ? "" : ", ", self->stream->fields[f].column);
            put_json_value (self, value, out);
            first = false;
        }
        buf_put_string (out, random_chance (&self->random, 0.1) ? "}\n\n" : "}\n");
    }
}

/* ---- back ---- */

static void note (taken_t *taken, const char *reason)
{
    if (taken->reason[0] == '\0')
        (void)snprintf (taken->reason, sizeof taken->reason, "%s", reason);
}

static void take_result (rows_t *self, taken_t *taken, const intake_result_t *result)
{
    size_t columns = self->stream->fields_count;
    size_t total = taken->rows + result->batch.rows;
    value_t *values = arena_zero (self->arena, total * columns, sizeof *values);
    if (taken->rows > 0)
        memcpy (values, taken->values, taken->rows * columns * sizeof *values);
    for (size_t r = 0; r < result->batch.rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            value_t *value = &values[(taken->rows + r) * columns + c];
            *value = column_get (&result->batch.column[c], r);
            if (value->type == TYPE_STRING && !value->null)
                value->s = arena_text (self->arena, value->s);
        }
        cr_assert_eq (result->batch.event_time[r], result->batch.column[self->stream->time].i[r]);
    }
    taken->values = values;
    taken->rows = total;
}

static void take_table (rows_t *self, taken_t *taken, text_format_t format,
                        const raw_table_t *table, uint64_t first_row)
{
    int32_t map[TEXT_COLUMNS_MAX];
    error_t error;
    text_t ingest = self->rules.ingest_column;
    if (format == FORMAT_NDJSON) {
        intake_map_names (self->stream, table->columns, table->columns_count, ingest, map);
    } else if (intake_map_columns (self->stream, table->columns, table->columns_count, ingest, map,
                                   &error) != STATUS_OK) {
        note (taken, error.text);
        taken->refused += table->rows;
        return;
    }
    arena_t *arena = arena_new (1 << 16);
    intake_result_t result;
    intake_convert (self->stream, table, map, &self->rules, arena, &result);
    cr_assert_eq (result.batch.rows + result.refused_count, table->rows);
    for (size_t i = 0; i < result.batch.rows; i++) {
        text_t key = intake_raw_key (self->stream, table, map, result.raw_row[i], arena);
        cr_assert (text_equal (key, result.batch.key[i]));
    }
    take_result (self, taken, &result);
    taken->refused += result.refused_count;
    if (result.refused_count > 0) {
        error_set (&error, STATUS_INVALID, "row %" PRIu64 ", %s", first_row + result.refused[0].row,
                   result.refused[0].reason);
        note (taken, error.text);
    }
    arena_destroy (&arena);
}

static bool take_tables (rows_t *self, taken_t *taken, text_format_t format, text_reader_t *reader)
{
    raw_table_t table;
    uint64_t first_row;
    bool any = false;
    while (text_reader_table (reader, &table, &first_row)) {
        take_table (self, taken, format, &table, first_row);
        text_reader_next (reader);
        any = true;
    }
    return any;
}

/* Feeds one chunk; false when nothing more can come. */
static bool feed (rows_t *self, taken_t *taken, text_format_t format, text_reader_t *reader,
                  const char *data, size_t size, size_t *used)
{
    error_t error;
    uint64_t bad_row;
    bool good = text_reader_feed (reader, data, size, used, &bad_row, &error) == STATUS_OK;
    bool more = take_tables (self, taken, format, reader) || !good; /* rows before the bad one */
    if (!good) {
        cr_assert_eq (error.status, STATUS_INVALID);
        taken->failed = bad_row == 0;
        taken->bad += bad_row > 0;
        note (taken, error.text);
    }
    return !taken->failed && (size > 0 || more);
}

taken_t rows_take (rows_t *self, text_format_t format, text_t text, size_t chunk_max,
                   size_t rows_max)
{
    taken_t taken = { .rows = 0 };
    text_reader_t *reader = text_reader_new (format, rows_max);
    while (text.size > 0 && !taken.failed) {
        size_t size = 1 + (size_t)random_below (&self->random, chunk_max);
        size = size < text.size ? size : text.size;
        /* a copy, so that reading past the chunk or keeping it is found */
        char *chunk = malloc (size);
        memcpy (chunk, text.data, size);
        size_t used;
        (void)feed (self, &taken, format, reader, chunk, size, &used);
        free (chunk);
        text = (text_t){ text.data + used, text.size - (uint32_t)used };
    }
    size_t used;
    while (!taken.failed && feed (self, &taken, format, reader, NULL, 0, &used))
        ;
    text_reader_destroy (&reader);
    return taken;
}

const char *rows_reason (rows_t *self, text_format_t format, const char *text)
{
    taken_t taken = rows_take (self, format, text_of (text), strlen (text) + 1, 100);
    return arena_string (self->arena, text_of (taken.reason));
}
