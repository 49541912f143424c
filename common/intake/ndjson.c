/* ndjson.c - a JSON object a line, by jansson. */
#include "intake/text_rows.h"

#include "base/mem.h"

#include <inttypes.h>
#include <jansson.h>

static raw_t raw_of (text_reader_t *self, const json_t *value)
{
    text_t text;
    switch (json_typeof (value)) {
    case JSON_NULL:
        return (raw_t){ .kind = RAW_NULL };
    case JSON_TRUE:
    case JSON_FALSE:
        return (raw_t){ .kind = RAW_BOOL, .i = json_is_true (value) };
    case JSON_INTEGER:
        return (raw_t){ .kind = RAW_INT, .i = json_integer_value (value) };
    case JSON_REAL:
        return (raw_t){ .kind = RAW_FLOAT, .f = json_real_value (value) };
    case JSON_STRING:
        text = (text_t){ json_string_value (value), (uint32_t)json_string_length (value) };
        return (raw_t){ .kind = RAW_TEXT, .s = arena_text (self->arena, text) };
    default:
        return (raw_t){ .kind = RAW_OTHER };
    }
}

/* The number of the table's column, looked for first where it was in other rows. */
static size_t column_of (const text_reader_t *self, const char *name, size_t expected)
{
    text_t text = text_of (name);
    if (expected < self->columns_count && text_equal (self->columns[expected], text))
        return expected;
    for (size_t c = 0; c < self->columns_count; c++)
        if (text_equal (self->columns[c], text))
            return c;
    return self->columns_count;
}

static size_t count_new_names (const text_reader_t *self, json_t *object)
{
    size_t count = 0;
    size_t at = 0;
    const char *name;
    json_t *value;
    json_object_foreach (object, name, value)
    {
        count += column_of (self, name, at++) == self->columns_count;
    }
    return count;
}

static void put_named (text_reader_t *self, size_t column, raw_t raw)
{
    if (self->named_count == self->named_capacity) {
        self->named_capacity = self->named_capacity > 0 ? 2 * self->named_capacity : 1024;
        self->named = mem_resize (self->named, self->named_capacity, sizeof *self->named);
    }
    self->named[self->named_count++] =
        (named_cell_t){ .row = (uint32_t)self->rows, .column = (uint32_t)column, .raw = raw };
    self->bytes += sizeof *self->named;
}

static void take_object (text_reader_t *self, json_t *object)
{
    size_t at = 0;
    const char *name;
    json_t *value;
    json_object_foreach (object, name, value)
    {
        size_t column = column_of (self, name, at++);
        if (column == self->columns_count)
            self->columns[self->columns_count++] = arena_text (self->arena, text_of (name));
        put_named (self, column, raw_of (self, value));
    }
    text_rows_add (self);
}

static bool fits_table (const text_reader_t *self, size_t new_names)
{
    size_t columns = self->columns_count + new_names;
    return columns <= TEXT_COLUMNS_MAX &&
           (self->rows == 0 || (self->rows + 1) * columns <= TABLE_CELLS_MAX);
}

static status_t take_value (text_reader_t *self, json_t *value, bool *fits, error_t *error)
{
    if (!json_is_object (value))
        return error_set (error, STATUS_INVALID,
                          "row %" PRIu64 " is not a JSON object: one is expected on each line",
                          self->records + 1);
    if (json_object_size (value) > TEXT_COLUMNS_MAX)
        return error_set (error, STATUS_INVALID, "row %" PRIu64 " has %zu names, more than %d",
                          self->records + 1, json_object_size (value), TEXT_COLUMNS_MAX);
    *fits = fits_table (self, count_new_names (self, value));
    if (*fits)
        take_object (self, value);
    return STATUS_OK;
}

static bool is_blank (const buf_t *line)
{
    for (size_t i = 0; i < line->size; i++)
        if (line->data[i] != ' ' && line->data[i] != '\t' && line->data[i] != '\r')
            return false;
    return true;
}

status_t ndjson_line (text_reader_t *self, bool *fits, error_t *error)
{
    *fits = true;
    if (is_blank (&self->record)) {
        buf_clear (&self->record);
        return STATUS_OK;
    }
    json_error_t problem;
    json_t *value = json_loadb ((const char *)self->record.data, self->record.size,
                                JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (value == NULL)
        return error_set (error, STATUS_INVALID, "row %" PRIu64 ", byte %d: not JSON: %s",
                          self->records + 1, problem.position, problem.text);
    status_t status = take_value (self, value, fits, error);
    json_decref (value);
    return status;
}

raw_t *ndjson_cells (text_reader_t *self)
{
    raw_t *cells = arena_zero (self->arena, self->rows * self->columns_count, sizeof *cells);
    for (size_t i = 0; i < self->named_count; i++) {
        const named_cell_t *named = &self->named[i];
        cells[named->row * self->columns_count + named->column] = named->raw;
    }
    return cells;
}
