#include "client/cli/key_file.h"

#include "base/mem.h"
#include "base/timestamp.h"
#include "client/cli/source.h"

#include <inttypes.h>

struct key_file {
    source_t source;
    text_reader_t *reader;
    key_file_columns_t columns;
    bool taken; /* a table is out */
    uint64_t first_row;
    text_t *fields;
    size_t fields_count;
    size_t time_column; /* in the file; its number of columns when there is none */
    value_t *keys;
    int64_t *as_ofs;
    text_t *request_fields;
    size_t requests_count;
    size_t *request_columns; /* in the file; its number of columns: the same in every row */
    value_t *request_values; /* those */
    value_t *requests;
};

value_t request_value (const char *word, text_t *name)
{
    size_t size = strcspn (word, "=");
    *name = (text_t){ word, (uint32_t)size };
    if (word[size] == '\0')
        return (value_t){ .type = TYPE_STRING, .null = true };
    return (value_t){ .type = TYPE_STRING, .s = text_of (word + size + 1) };
}

status_t key_file_open (const char *path, const key_file_columns_t *columns, key_file_t **file,
                        error_t *error)
{
    key_file_t *self = mem_zero (1, sizeof *self);
    self->columns = *columns;
    *file = NULL;
    status_t status = source_open (&self->source, path, "csv", error);
    if (status != STATUS_OK) {
        mem_free (self);
        return status;
    }
    self->reader = text_reader_new (FORMAT_CSV, KEY_FILE_CHUNK);
    self->as_ofs = mem_zero (KEY_FILE_CHUNK, sizeof *self->as_ofs);
    while (columns->requests && columns->requests[self->requests_count])
        self->requests_count++;
    size_t count = self->requests_count;
    self->request_fields = mem_zero (count, sizeof *self->request_fields);
    self->request_columns = mem_zero (count, sizeof *self->request_columns);
    self->request_values = mem_zero (count, sizeof *self->request_values);
    self->requests = mem_zero (count * KEY_FILE_CHUNK, sizeof *self->requests);
    *file = self;
    return STATUS_OK;
}

void key_file_close (key_file_t **self_p)
{
    key_file_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    source_close (&self->source);
    text_reader_destroy (&self->reader);
    mem_free (self->fields);
    mem_free (self->keys);
    mem_free (self->as_ofs);
    mem_free (self->request_fields);
    mem_free (self->request_columns);
    mem_free (self->request_values);
    mem_free (self->requests);
    mem_free (self);
}

static status_t no_column (const key_file_t *self, text_t name, error_t *error)
{
    return error_set (error, STATUS_NOT_FOUND, "%s has no column \"" TEXT_FORMAT "\"",
                      self->source.path, TEXT_ARGS (name));
}

/* Where each value of the request is found. */
static status_t take_request_columns (key_file_t *self, const raw_table_t *table, error_t *error)
{
    for (size_t i = 0; i < self->requests_count; i++) {
        self->request_values[i] =
            request_value (self->columns.requests[i], &self->request_fields[i]);
        size_t column = table->columns_count;
        if (self->request_values[i].null) {
            column = 0;
            while (column < table->columns_count &&
                   !text_equal (table->columns[column], self->request_fields[i]))
                column++;
            if (column == table->columns_count)
                return no_column (self, self->request_fields[i], error);
        }
        self->request_columns[i] = column;
    }
    return STATUS_OK;
}

/* All columns but that of the time and those of the request are fields of the key. */
static bool is_of_key (const key_file_t *self, size_t column)
{
    for (size_t i = 0; i < self->requests_count; i++)
        if (self->request_columns[i] == column)
            return false;
    return column != self->time_column;
}

static status_t take_columns (key_file_t *self, const raw_table_t *table, error_t *error)
{
    if (self->fields)
        return STATUS_OK;
    self->fields = mem_zero (table->columns_count, sizeof *self->fields);
    self->keys = mem_zero (table->columns_count * KEY_FILE_CHUNK, sizeof *self->keys);
    self->time_column = table->columns_count;
    for (size_t c = 0; c < table->columns_count; c++) {
        if (self->columns.time && text_is (table->columns[c], self->columns.time))
            self->time_column = c;
    }
    if (self->columns.time && self->time_column == table->columns_count)
        return no_column (self, text_of (self->columns.time), error);
    status_t status = take_request_columns (self, table, error);
    for (size_t c = 0; c < table->columns_count && status == STATUS_OK; c++) {
        if (is_of_key (self, c))
            self->fields[self->fields_count++] = table->columns[c];
    }
    return status;
}

static value_t value_of (const raw_t *raw)
{
    if (raw->kind == RAW_TEXT)
        return (value_t){ .type = TYPE_STRING, .s = raw->s };
    return (value_t){ .type = TYPE_STRING, .null = true };
}

static status_t take_row (key_file_t *self, const raw_table_t *table, size_t row, error_t *error)
{
    const raw_t *cells = &table->cells[row * table->columns_count];
    size_t field = 0;
    for (size_t c = 0; c < table->columns_count; c++) {
        if (is_of_key (self, c))
            self->keys[row * self->fields_count + field++] = value_of (&cells[c]);
    }
    for (size_t i = 0; i < self->requests_count; i++) {
        size_t column = self->request_columns[i];
        self->requests[row * self->requests_count + i] =
            column < table->columns_count ? value_of (&cells[column]) : self->request_values[i];
    }
    if (!self->columns.time)
        return STATUS_OK;
    const raw_t *time = &cells[self->time_column];
    if (time->kind != RAW_TEXT)
        return error_set (error, STATUS_INVALID, "column %s is empty", self->columns.time);
    return time_parse_argument (time->s, self->columns.now, &self->as_ofs[row], error);
}

status_t key_file_next (key_file_t *self, client_get_t *get, error_t *error)
{
    raw_table_t table;
    uint64_t bad_row;
    if (self->taken)
        text_reader_next (self->reader);
    self->taken = false;
    status_t status =
        source_table (&self->source, self->reader, &table, &self->first_row, &bad_row, error);
    if (status == STATUS_END)
        return status;
    if (status != STATUS_OK)
        return error_prefix (error, "%s", self->source.path);
    self->taken = true;
    status = take_columns (self, &table, error);
    for (size_t row = 0; row < table.rows && status == STATUS_OK; row++) {
        status = take_row (self, &table, row, error);
        if (status != STATUS_OK)
            return error_prefix (error, "%s: row %" PRIu64, self->source.path,
                                 self->first_row + row);
    }
    get->fields = self->fields;
    get->fields_count = self->fields_count;
    get->keys = self->keys;
    get->keys_count = table.rows;
    get->as_ofs = self->columns.time ? self->as_ofs : NULL;
    get->request_fields = self->request_fields;
    get->request_fields_count = self->requests_count;
    get->request = self->requests;
    return status;
}

uint64_t key_file_row (const key_file_t *self)
{
    return self->first_row;
}
