/* ndjson_plain.c - lines of NDJSON that need no parser: an object of names and plain values, read
 * where it lies.
 *
 * What it takes is a part of what jansson takes, and gives the same cells; everything else
 * (escapes, names that are not ASCII, nested values, duplicates, mistakes) is left to jansson,
 * which has the reasons. */
#include "intake/text_rows.h"

#include "base/number.h"

#include <math.h>

/* A line while it is read. */
typedef struct line {
    const char *at;
    const char *end;
} line_t;

enum { NAMES_MAX = 128 }; /* of a row; who has more has jansson to look for duplicates */

typedef struct row {
    /* what there was before it, to go back to */
    size_t columns_count;
    size_t named_count;
    size_t bytes;
    size_t past; /* all of its columns so far */
} row_t;

static inline void skip_blanks (line_t *line)
{
    while (line->at < line->end &&
           (*line->at == ' ' || *line->at == '\t' || *line->at == '\r' || *line->at == '\n'))
        line->at++;
}

static inline bool take (line_t *line, char c)
{
    bool is_it = line->at < line->end && *line->at == c;
    line->at += is_it;
    return is_it;
}

/* The first byte from `at` on that ends a string, or makes it one for the parser: a quote, a
 * backslash, a control character. *ascii becomes false if there is another than ASCII before. */
static inline const char *string_end (const char *at, const char *end, bool *ascii)
{
    unsigned char seen = 0;
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= ' ')
        seen |= (unsigned char)*at++;
    *ascii = seen < 0x80;
    return at;
}

/* A string without escapes, after its first quote. */
static inline bool take_string (line_t *line, text_t *text, bool *ascii)
{
    const char *end = string_end (line->at, line->end, ascii);
    *text = (text_t){ line->at, (uint32_t)(end - line->at) };
    line->at = end;
    return take (line, '"');
}

static inline bool take_digits (line_t *line)
{
    const char *from = line->at;
    while (line->at < line->end && *line->at >= '0' && *line->at <= '9')
        line->at++;
    return line->at > from;
}

/* RFC 8259: no leading zeros, digits on both sides of a point. */
static bool take_number (line_t *line, text_t *text)
{
    const char *from = line->at;
    (void)take (line, '-');
    bool good = take (line, '0') || take_digits (line);
    if (good && take (line, '.'))
        good = take_digits (line);
    if (good && (take (line, 'e') || take (line, 'E'))) {
        if (!take (line, '-'))
            (void)take (line, '+');
        good = take_digits (line);
    }
    *text = (text_t){ from, (uint32_t)(line->at - from) };
    return good;
}

/* As raw_of_number of what jansson gives; it refuses what is too large for a float. */
static bool number_value (line_t *line, raw_t *raw)
{
    text_t written;
    *raw = (raw_t){ .kind = RAW_INT };
    if (!take_number (line, &written))
        return false;
    if (number_parse_int (written, &raw->i))
        return true;
    *raw = (raw_t){ .kind = RAW_FLOAT, .s = written };
    return number_parse_float (written, &raw->f) && isfinite (raw->f);
}

static bool take_word (line_t *line, const char *word, size_t size)
{
    if ((size_t)(line->end - line->at) < size || memcmp (line->at, word, size) != 0)
        return false;
    line->at += size;
    return true;
}

static bool take_value (line_t *line, raw_t *raw)
{
    bool ascii;
    if (take (line, '"')) {
        *raw = (raw_t){ .kind = RAW_TEXT };
        return take_string (line, &raw->s, &ascii) && (ascii || text_is_utf8 (raw->s));
    }
    if (take_word (line, "null", 4)) {
        *raw = (raw_t){ .kind = RAW_NULL };
        return true;
    }
    *raw = (raw_t){ .kind = RAW_BOOL, .i = 1 };
    if (take_word (line, "true", 4))
        return true;
    *raw = (raw_t){ .kind = RAW_BOOL, .i = 0 };
    return take_word (line, "false", 5) || number_value (line, raw);
}

/* Has the row a value of that name already? It has not if the column is after all of its others. */
static inline bool is_there (const text_reader_t *self, row_t *row, size_t column)
{
    if (column >= row->past) {
        row->past = column + 1;
        return false;
    }
    for (size_t i = row->named_count; i < self->named_count; i++)
        if (self->named[i].column == column)
            return true;
    return false;
}

static bool take_member (text_reader_t *self, row_t *row, line_t *line)
{
    text_t name;
    raw_t raw;
    bool ascii;
    skip_blanks (line);
    if (!take (line, '"') || !take_string (line, &name, &ascii) || !ascii)
        return false;
    skip_blanks (line);
    if (!take (line, ':'))
        return false;
    skip_blanks (line);
    if (!take_value (line, &raw))
        return false;
    size_t names = self->named_count - row->named_count;
    size_t column = ndjson_column (self, name, names);
    if (column == TEXT_COLUMNS_MAX || names == NAMES_MAX || is_there (self, row, column))
        return false;
    if (column == self->columns_count)
        self->columns[self->columns_count++] = arena_text (self->arena, name);
    ndjson_put (self, column, raw);
    skip_blanks (line);
    return true;
}

static bool take_object (text_reader_t *self, row_t *row, line_t line)
{
    bool good;
    skip_blanks (&line);
    if (!take (&line, '{'))
        return false;
    do
        good = take_member (self, row, &line);
    while (good && take (&line, ','));
    if (!good || !take (&line, '}'))
        return false;
    skip_blanks (&line);
    return line.at == line.end && ndjson_fits (self, 0);
}

/* Cells point into the record: where it is now. */
static text_t keep_record (text_reader_t *self, const row_t *row, text_t record)
{
    if (self->arena != self->own_arena)
        return record;
    text_t kept = arena_text (self->arena, record);
    for (size_t i = row->named_count; i < self->named_count; i++) {
        text_t *text = &self->named[i].raw.s;
        if (text->data != NULL)
            text->data = kept.data + (text->data - record.data);
    }
    return kept;
}

size_t ndjson_plain (text_reader_t *self, const char *data, size_t size)
{
    const char *end = memchr (data, '\n', size < TEXT_LINE_MAX ? size : TEXT_LINE_MAX);
    if (end == NULL)
        return 0;
    row_t row = { self->columns_count, self->named_count, self->bytes, 0 };
    if (!take_object (self, &row, (line_t){ data, end })) {
        self->columns_count = row.columns_count;
        self->named_count = row.named_count;
        self->bytes = row.bytes;
        return 0;
    }
    text_t record = { data, (uint32_t)(end - data) };
    text_rows_add_text (self, keep_record (self, &row, record));
    return record.size + 1;
}
