#include "tests/oracle/csv.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

enum { READ_STEP = 16 << 20 };

static status_t slurp (csv_t *self, const char *path, error_t *error)
{
    FILE *file = strcmp (path, "-") == 0 ? stdin : fopen (path, "rb");
    if (file == NULL)
        return error_set_errno (error, errno, "cannot open %s", path);
    size_t capacity = 0;
    size_t got;
    do {
        if (self->size + READ_STEP > capacity) {
            capacity = capacity * 2 + READ_STEP;
            self->bytes = mem_resize (self->bytes, capacity, 1);
        }
        got = fread (self->bytes + self->size, 1, READ_STEP, file);
        self->size += got;
    } while (got > 0);
    bool failed = ferror (file) != 0;
    if (file != stdin)
        fclose (file);
    return failed ? error_set (error, STATUS_IO, "cannot read %s", path) : STATUS_OK;
}

/* A cell in quotes; the text is put together in place. */
static status_t read_quoted (csv_t *self, csv_cell_t *cell, error_t *error)
{
    char *out = self->bytes + ++self->at;
    char *start = out;
    for (; self->at < self->size; self->at++) {
        char byte = self->bytes[self->at];
        if (byte == '"' && (self->at + 1 == self->size || self->bytes[self->at + 1] != '"')) {
            self->at++;
            *cell = (csv_cell_t){ { start, (uint32_t)(out - start) }, true };
            return STATUS_OK;
        }
        self->at += byte == '"';
        self->line += byte == '\n';
        *out++ = byte;
    }
    return error_set (error, STATUS_INVALID, "line %zu: a quote is not closed", self->line);
}

static status_t read_cell (csv_t *self, csv_cell_t *cell, error_t *error)
{
    if (self->at < self->size && self->bytes[self->at] == '"')
        return read_quoted (self, cell, error);
    char *start = self->bytes + self->at;
    while (self->at < self->size && strchr (",\r\n", self->bytes[self->at]) == NULL)
        self->at++;
    *cell = (csv_cell_t){ { start, (uint32_t)(self->bytes + self->at - start) }, false };
    return STATUS_OK;
}

/* One line into `cells`; *count cells. */
static status_t read_line (csv_t *self, csv_cell_t *cells, size_t *count, error_t *error)
{
    *count = 0;
    for (self->line++; *count < CSV_COLUMNS_MAX; self->at++) {
        status_t status = read_cell (self, &cells[(*count)++], error);
        if (status != STATUS_OK)
            return status;
        if (self->at < self->size && self->bytes[self->at] == '\r')
            self->at++;
        if (self->at == self->size)
            return STATUS_OK;
        if (self->bytes[self->at] == '\n') {
            self->at++;
            return STATUS_OK;
        }
        if (self->bytes[self->at] != ',')
            return error_set (error, STATUS_INVALID, "line %zu: text after a quote", self->line);
    }
    return error_set (error, STATUS_TOO_LARGE, "line %zu: too many columns", self->line);
}

status_t csv_open (csv_t *self, const char *path, error_t *error)
{
    *self = (csv_t){ 0 };
    status_t status = slurp (self, path, error);
    return status == STATUS_OK ? read_line (self, self->header, &self->columns, error) : status;
}

void csv_close (csv_t *self)
{
    mem_free (self->bytes);
    *self = (csv_t){ 0 };
}

status_t csv_next (csv_t *self, error_t *error)
{
    if (self->at == self->size)
        return STATUS_END;
    size_t count;
    status_t status = read_line (self, self->row, &count, error);
    if (status == STATUS_OK && count != self->columns)
        return error_set (error, STATUS_INVALID, "line %zu: %zu cells, but the header has %zu",
                          self->line, count, self->columns);
    return status;
}

int csv_column (const csv_t *self, text_t name)
{
    for (size_t i = 0; i < self->columns; i++)
        if (text_equal (self->header[i].text, name))
            return (int)i;
    return -1;
}
