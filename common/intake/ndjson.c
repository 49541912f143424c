/* ndjson.c - a JSON object a line, by jansson. */
#include "intake/text_rows.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>

/* A number from its text: an integer when it is written as one and fits, else a float that keeps
 * its text for a decimal. */
static raw_t raw_of_number (text_reader_t *self, const json_t *value, text_t written)
{
    raw_t raw = { .kind = RAW_INT };
    if (number_parse_int (written, &raw.i))
        return raw;
    return (raw_t){ .kind = RAW_FLOAT,
                    .f = json_real_value (value),
                    .s = arena_text (self->arena, written) };
}

/* `written` is the value's text if it is a number. */
static raw_t raw_of (text_reader_t *self, const json_t *value, text_t written)
{
    text_t text;
    switch (json_typeof (value)) {
    case JSON_NULL:
        return (raw_t){ .kind = RAW_NULL };
    case JSON_TRUE:
    case JSON_FALSE:
        return (raw_t){ .kind = RAW_BOOL, .i = json_is_true (value) };
    case JSON_REAL: /* an integer too: see ndjson_line */
        return raw_of_number (self, value, written);
    case JSON_STRING:
        text = (text_t){ json_string_value (value), (uint32_t)json_string_length (value) };
        return (raw_t){ .kind = RAW_TEXT, .s = arena_text (self->arena, text) };
    default:
        return (raw_t){ .kind = RAW_OTHER };
    }
}

size_t ndjson_column (const text_reader_t *self, text_t text, size_t expected)
{
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
        count += ndjson_column (self, text_of (name), at++) == self->columns_count;
    }
    return count;
}

void ndjson_put (text_reader_t *self, size_t column, raw_t raw)
{
    if (self->named_count == self->named_capacity) {
        self->named_capacity = self->named_capacity > 0 ? 2 * self->named_capacity : 1024;
        self->named = mem_resize (self->named, self->named_capacity, sizeof *self->named);
    }
    self->named[self->named_count++] =
        (named_cell_t){ .row = (uint32_t)self->rows, .column = (uint32_t)column, .raw = raw };
    self->bytes += sizeof *self->named;
}

/* ---- where the values of an object stand, in text that jansson has found to be one ---- */

static text_t skip_blanks (text_t text)
{
    while (text.size > 0 && memchr (" \t\r\n", text.data[0], 4) != NULL)
        text = (text_t){ text.data + 1, text.size - 1 };
    return text;
}

/* Bytes of the string, with its quotes, that the text begins with. */
static uint32_t string_size (text_t text)
{
    uint32_t at = 1;
    while (at < text.size && text.data[at] != '"')
        at += text.data[at] == '\\' ? 2 : 1;
    return at < text.size ? at + 1 : text.size;
}

/* Bytes of the value that the text begins with: up to a comma or bracket outside of it. */
static uint32_t value_size (text_t text)
{
    uint32_t at = 0;
    size_t depth = 0;
    while (at < text.size) {
        char c = text.data[at];
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            break;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at += c == '"' ? string_size ((text_t){ text.data + at, text.size - at }) : 1;
    }
    return at;
}

/* The next member's value, without blanks after it; *rest begins after `{` or a value. */
static text_t next_value (text_t *rest)
{
    text_t text = skip_blanks (*rest);
    if (text.size > 0 && text.data[0] == ',')
        text = skip_blanks ((text_t){ text.data + 1, text.size - 1 });
    uint32_t name = string_size (text);
    text = skip_blanks ((text_t){ text.data + name, text.size - name });
    CHECK (text.size > 0 && text.data[0] == ':');
    text = skip_blanks ((text_t){ text.data + 1, text.size - 1 });
    uint32_t size = value_size (text);
    *rest = (text_t){ text.data + size, text.size - size };
    while (size > 0 && memchr (" \t\r\n", text.data[size - 1], 4) != NULL)
        size--;
    return (text_t){ text.data, size };
}

static void take_object (text_reader_t *self, json_t *object)
{
    size_t at = 0;
    const char *name;
    json_t *value;
    text_t rest = { (const char *)self->record.data, (uint32_t)self->record.size };
    rest = skip_blanks (rest);
    rest = (text_t){ rest.data + 1, rest.size - 1 };
    json_object_foreach (object, name, value)
    {
        size_t column = ndjson_column (self, text_of (name), at++);
        if (column == self->columns_count)
            self->columns[self->columns_count++] = arena_text (self->arena, text_of (name));
        ndjson_put (self, column, raw_of (self, value, next_value (&rest)));
    }
    text_rows_add (self);
}

bool ndjson_fits (const text_reader_t *self, size_t new_names)
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
    *fits = ndjson_fits (self, count_new_names (self, value));
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

static void use_our_memory (void)
{
    json_set_alloc_funcs (mem_alloc, mem_free);
}

void ndjson_start (void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK (pthread_once (&once, use_our_memory) == 0);
}

status_t ndjson_line (text_reader_t *self, bool *fits, error_t *error)
{
    *fits = true;
    if (is_blank (&self->record)) {
        buf_clear (&self->record);
        return STATUS_OK;
    }
    /* Integers as reals, so that those wider than an int64 are no mistake of syntax: numbers are
     * read from the text. */
    json_error_t problem;
    json_t *value =
        json_loadb ((const char *)self->record.data, self->record.size,
                    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &problem);
    if (value == NULL)
        return error_set (error, STATUS_INVALID, "row %" PRIu64 ", byte %d: not JSON: %s",
                          self->records + 1, problem.position, problem.text);
    status_t status = take_value (self, value, fits, error);
    json_decref (value);
    return status;
}

raw_t *ndjson_cells (text_reader_t *self)
{
    raw_t *cells = arena_zero (self->own_arena, self->rows * self->columns_count, sizeof *cells);
    for (size_t i = 0; i < self->named_count; i++) {
        const named_cell_t *named = &self->named[i];
        cells[named->row * self->columns_count + named->column] = named->raw;
    }
    return cells;
}
