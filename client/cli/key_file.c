#include "client/cli/key_file.h"

#include "base/mem.h"
#include "base/timestamp.h"
#include "client/cli/source.h"

#include <inttypes.h>

struct key_file {
    source_t source;
    text_reader_t *reader;
    const char *time;
    int64_t now;
    bool taken; /* a table is out */
    uint64_t first_row;
    text_t *fields;
    size_t fields_count;
    size_t time_column; /* in the file; its number of columns when there is none */
    value_t *keys;
    int64_t *as_ofs;
};

status_t key_file_open (const char *path, const char *time, int64_t now, key_file_t **file,
                        error_t *error)
{
    key_file_t *self = mem_zero (1, sizeof *self);
    self->time = time;
    self->now = now;
    *file = NULL;
    status_t status = source_open (&self->source, path, "csv", error);
    if (status != STATUS_OK) {
        mem_free (self);
        return status;
    }
    self->reader = text_reader_new (FORMAT_CSV, KEY_FILE_CHUNK);
    self->as_ofs = mem_zero (KEY_FILE_CHUNK, sizeof *self->as_ofs);
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
    mem_free (self);
}

/* All columns but that of the time are fields of the key. */
static status_t take_columns (key_file_t *self, const raw_table_t *table, error_t *error)
{
    if (self->fields)
        return STATUS_OK;
    self->fields = mem_zero (table->columns_count, sizeof *self->fields);
    self->keys = mem_zero (table->columns_count * KEY_FILE_CHUNK, sizeof *self->keys);
    self->time_column = table->columns_count;
    for (size_t c = 0; c < table->columns_count; c++) {
        if (self->time && text_is (table->columns[c], self->time))
            self->time_column = c;
        else
            self->fields[self->fields_count++] = table->columns[c];
    }
    if (self->time && self->time_column == table->columns_count)
        return error_set (error, STATUS_NOT_FOUND, "%s has no column \"%s\"", self->source.path,
                          self->time);
    return STATUS_OK;
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
        if (c != self->time_column)
            self->keys[row * self->fields_count + field++] = value_of (&cells[c]);
    }
    if (!self->time)
        return STATUS_OK;
    const raw_t *time = &cells[self->time_column];
    if (time->kind != RAW_TEXT)
        return error_set (error, STATUS_INVALID, "column %s is empty", self->time);
    return time_parse_argument (time->s, self->now, &self->as_ofs[row], error);
}

status_t key_file_next (key_file_t *self, weir_get_t *get, error_t *error)
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
    get->as_ofs = self->time ? self->as_ofs : NULL;
    return status;
}

uint64_t key_file_row (const key_file_t *self)
{
    return self->first_row;
}
