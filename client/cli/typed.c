#include "client/cli/typed.h"

#include "intake/cell.h"

static const field_t *field_of_column (const stream_t *stream, text_t column)
{
    for (size_t i = 0; i < stream->fields_count; i++)
        if (field_is_called (&stream->fields[i], column))
            return &stream->fields[i];
    return NULL;
}

/* A float64 would lose digits. */
static void keep_digits (raw_t *raw)
{
    if (raw->kind == RAW_FLOAT && raw->s.size > 0)
        raw->kind = RAW_TEXT;
}

static void type_cell (const field_t *field, raw_t *raw)
{
    value_t value;
    if (raw->kind != RAW_TEXT || !raw->loose || !cell_value (field, raw, &value))
        return;
    raw->loose = false;
    if (field->type == TYPE_FLOAT64) {
        raw->kind = RAW_FLOAT;
        raw->f = value.f;
    } else {
        raw->kind = field->type == TYPE_BOOL ? RAW_BOOL : RAW_INT;
        raw->i = value.i;
    }
}

static bool is_blank (char c)
{
    return c == ' ' || c == '\t';
}

/* Blanks around a time are for CSV alone. */
static void trim (raw_t *raw)
{
    if (raw->kind != RAW_TEXT || !raw->loose)
        return;
    while (raw->s.size > 0 && is_blank (raw->s.data[0]))
        raw->s = (text_t){ raw->s.data + 1, raw->s.size - 1 };
    while (raw->s.size > 0 && is_blank (raw->s.data[raw->s.size - 1]))
        raw->s.size--;
}

void type_cells (const stream_t *stream, raw_table_t *table)
{
    for (size_t c = 0; c < table->columns_count; c++) {
        const field_t *field = field_of_column (stream, table->columns[c]);
        if (!field || field->type == TYPE_STRING)
            continue;
        for (size_t r = 0; r < table->rows; r++) {
            raw_t *raw = &table->cells[r * table->columns_count + c];
            if (field->type == TYPE_TIMESTAMP)
                trim (raw); /* it stays text: its unit and zone are the owner's to read */
            else if (type_is_decimal (field->type))
                trim (raw), keep_digits (raw);
            else
                type_cell (field, raw);
        }
    }
}
