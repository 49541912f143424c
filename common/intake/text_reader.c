/* text_reader.c - chunks of text into records, and records into tables. */
#include "intake/text_rows.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>

enum {
    READER_MAGIC = 0x54584552,
    TABLE_CHUNK = 1 << 18,
    HEADER_CHUNK = 1 << 12,
};

_Static_assert(RAW_NULL == 0, "cells of zeros are nulls");

text_reader_t *text_reader_new (text_format_t format, size_t rows_max)
{
    CHECK (rows_max > 0 && rows_max <= UINT32_MAX);
    text_reader_t *self = mem_zero (1, sizeof *self);
    self->magic = READER_MAGIC;
    self->format = format;
    self->rows_max = rows_max;
    buf_init (&self->record, TEXT_LINE_MAX);
    self->own_arena = arena_new (TABLE_CHUNK);
    self->arena = self->own_arena;
    self->header_arena = arena_new (HEADER_CHUNK);
    self->texts = mem_zero (rows_max, sizeof *self->texts);
    self->columns = mem_zero (TEXT_COLUMNS_MAX, sizeof *self->columns);
    csv_start (self);
    ndjson_start ();
    return self;
}

void text_reader_destroy (text_reader_t **self_p)
{
    text_reader_t *self = *self_p;
    if (!self)
        return;
    CHECK_OBJECT (self, READER_MAGIC);
    csv_stop (self);
    buf_release (&self->record);
    arena_destroy (&self->own_arena);
    arena_destroy (&self->header_arena);
    mem_free (self->texts);
    mem_free (self->columns);
    mem_free (self->cells);
    mem_free (self->named);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

bool text_rows_full (const text_reader_t *self)
{
    return self->closed || self->rows == self->rows_max || self->bytes >= TABLE_BYTES_MAX;
}

void text_rows_add_text (text_reader_t *self, text_t text)
{
    CHECK (!text_rows_full (self));
    if (self->rows == 0)
        self->first_row = self->records + 1;
    self->texts[self->rows++] = text;
    self->bytes += 2 * text.size + self->columns_count * sizeof (raw_t);
    self->records++;
}

void text_rows_add (text_reader_t *self)
{
    text_t text = { .data = (const char *)self->record.data, .size = (uint32_t)self->record.size };
    text_rows_add_text (self, arena_text (self->arena, text));
    buf_clear (&self->record);
}

/* ---- records ---- */

static void drop_byte_order_mark (text_reader_t *self)
{
    static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };
    buf_t *record = &self->record;
    if (!self->started && record->size >= sizeof mark &&
        memcmp (record->data, mark, sizeof mark) == 0) {
        record->size -= sizeof mark;
        memmove (record->data, record->data + sizeof mark, record->size);
    }
    self->started = true;
}

/* Without the line's end. */
static void trim_record (text_reader_t *self)
{
    buf_t *record = &self->record;
    while (record->size > 0 &&
           (record->data[record->size - 1] == '\n' || record->data[record->size - 1] == '\r'))
        record->size--;
}

/* The first bytes of `data` up to the end of the line, or all; CR alone ends a line of CSV. */
static size_t line_size (const text_reader_t *self, const char *data, size_t size, bool *ends)
{
    const char *end = memchr (data, '\n', size);
    size_t line = end != NULL ? (size_t)(end - data) : size;
    const char *cr = self->format == FORMAT_CSV ? memchr (data, '\r', line) : NULL;
    if (cr != NULL)
        end = cr;
    *ends = end != NULL;
    return end != NULL ? (size_t)(end - data) + 1 : size;
}

static status_t end_line (text_reader_t *self, error_t *error)
{
    drop_byte_order_mark (self);
    if (self->format == FORMAT_CSV) {
        bool ends;
        return csv_line (self, &ends, error);
    }
    trim_record (self);
    bool fits;
    status_t status = ndjson_line (self, &fits, error);
    self->held = status == STATUS_OK && !fits;
    self->closed |= self->held;
    return status;
}

static status_t refuse_long (text_reader_t *self, error_t *error)
{
    if (self->format == FORMAT_CSV)
        csv_restart (self);
    return error_set (error, STATUS_INVALID, "row %" PRIu64 " is longer than %d bytes%s",
                      self->records + 1, TEXT_LINE_MAX,
                      self->format == FORMAT_CSV ? "; is a quote not closed?" : "");
}

/* A piece of a line, its end included when `ends`. */
static status_t take_piece (text_reader_t *self, const char *data, size_t size, bool ends,
                            error_t *error)
{
    if (self->skipping) {
        self->skipping = !ends;
        return STATUS_OK;
    }
    if (self->format == FORMAT_CSV && self->record.size == 0 && size == 1 && ends)
        return STATUS_OK; /* an empty line, or the LF of CR LF */
    size_t room = TEXT_LINE_MAX - self->record.size;
    buf_put (&self->record, data, size < room ? size : room);
    if (size > room) {
        self->skipping = !ends;
        return refuse_long (self, error);
    }
    return ends ? end_line (self, error) : STATUS_OK;
}

/* Counts the bad record, and ends the table before it, so that rows in a table follow one by one.
 */
static status_t refuse (text_reader_t *self, uint64_t *bad_row, error_t *error)
{
    status_t status = error->status;
    trim_record (self);
    if (self->format == FORMAT_CSV && !self->has_header) {
        self->failed = true;
        self->failure = *error;
        return status;
    }
    *bad_row = ++self->records;
    self->bad = true;
    self->closed = self->rows > 0;
    return status;
}

static status_t fail_again (const text_reader_t *self, error_t *error)
{
    return error_set (error, self->failure.status, "%s", self->failure.text);
}

/* The last record may lack its line's end. */
static status_t end_input (text_reader_t *self, error_t *error)
{
    self->skipping = false;
    if (text_rows_full (self))
        return STATUS_OK;
    status_t status = STATUS_OK;
    if (self->held || (self->format == FORMAT_NDJSON && self->record.size > 0)) {
        status = end_line (self, error);
    } else if (self->record.size > 0) {
        drop_byte_order_mark (self);
        status = csv_end (self, error);
    }
    if (status != STATUS_OK)
        return status;
    if (self->format == FORMAT_CSV && !self->has_header)
        return error_set (error, STATUS_INVALID, "there is no header: the input is empty");
    self->ended = !self->held;
    return STATUS_OK;
}

static void forget_bad (text_reader_t *self)
{
    if (self->bad)
        buf_clear (&self->record);
    self->bad = false;
}

/* Rows that need no more than a look, up to one that does. */
static size_t take_plain (text_reader_t *self, const char *data, size_t size)
{
    size_t taken = 0;
    size_t row = 1;
    bool is_csv = self->format == FORMAT_CSV;
    bool can_be = is_csv ? self->has_header : self->started;
    if (!can_be || self->record.size > 0 || self->skipping || self->held)
        return 0;
    while (row > 0 && taken < size && !text_rows_full (self)) {
        row = is_csv ? csv_plain (self, data + taken, size - taken)
                     : ndjson_plain (self, data + taken, size - taken);
        taken += row;
    }
    return taken;
}

status_t text_reader_feed (text_reader_t *self, const void *data, size_t size, size_t *taken,
                           uint64_t *bad_row, error_t *error)
{
    CHECK_OBJECT (self, READER_MAGIC);
    CHECK (size == 0 || !self->ended);
    *taken = 0;
    *bad_row = 0;
    if (self->failed)
        return fail_again (self, error);
    forget_bad (self);
    error_t problem = { .status = STATUS_OK };
    status_t status = STATUS_OK;
    if (size == 0)
        status = end_input (self, &problem);
    while (status == STATUS_OK && *taken < size && !text_rows_full (self)) {
        bool ends;
        *taken += take_plain (self, (const char *)data + *taken, size - *taken);
        if (*taken == size || text_rows_full (self))
            break;
        const char *at = (const char *)data + *taken;
        size_t piece = self->held ? 0 : line_size (self, at, size - *taken, &ends);
        status =
            self->held ? end_line (self, &problem) : take_piece (self, at, piece, ends, &problem);
        *taken += piece;
    }
    if (status != STATUS_OK) {
        status = refuse (self, bad_row, &problem);
        (void)error_set (error, status, "%s", problem.text);
    }
    return status;
}

/* ---- tables ---- */

bool text_reader_table (text_reader_t *self, raw_table_t *table, uint64_t *first_row)
{
    CHECK_OBJECT (self, READER_MAGIC);
    if (self->rows == 0 || !(text_rows_full (self) || self->ended))
        return false;
    *table = (raw_table_t){ .columns = self->columns,
                            .columns_count = self->columns_count,
                            .rows = self->rows };
    table->cells = self->format == FORMAT_CSV ? self->cells : ndjson_cells (self);
    *first_row = self->first_row;
    return true;
}

void text_reader_next (text_reader_t *self)
{
    CHECK_OBJECT (self, READER_MAGIC);
    self->rows = 0;
    self->bytes = 0;
    self->closed = false;
    self->cells_count = 0;
    self->named_count = 0;
    if (self->format == FORMAT_NDJSON)
        self->columns_count = 0;
    arena_reset (self->own_arena);
}

text_t text_reader_record (const text_reader_t *self, size_t row)
{
    CHECK (row < self->rows);
    text_t text = self->texts[row];
    while (text.size > 0 && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
        text.size--;
    return text;
}

text_t text_reader_bad (const text_reader_t *self)
{
    if (!self->bad)
        return (text_t){ NULL, 0 };
    return (text_t){ .data = (const char *)self->record.data, .size = (uint32_t)self->record.size };
}

text_t text_reader_header (const text_reader_t *self)
{
    text_t text = self->header;
    while (text.size > 0 && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
        text.size--;
    return text;
}

bool text_reader_columns (const text_reader_t *self, const text_t **columns, size_t *count)
{
    *columns = self->columns;
    *count = self->columns_count;
    return self->format == FORMAT_CSV ? self->has_header : self->columns_count > 0;
}

/* ---- pieces ---- */

void text_reader_use_arena (text_reader_t *self, arena_t *arena)
{
    CHECK_OBJECT (self, READER_MAGIC);
    CHECK (self->rows == 0);
    self->arena = arena;
}

void text_reader_restart (text_reader_t *self, const text_reader_t *head, uint64_t records)
{
    CHECK_OBJECT (self, READER_MAGIC);
    text_reader_next (self);
    buf_clear (&self->record);
    self->records = records;
    self->started = true;
    self->skipping = self->held = self->bad = self->ended = false;
    csv_restart (self);
    if (head == NULL || self->format != FORMAT_CSV)
        return;
    CHECK (head->has_header);
    self->has_header = true;
    self->columns_count = head->columns_count;
    memcpy (self->columns, head->columns, head->columns_count * sizeof *self->columns);
}

void text_reader_end_table (text_reader_t *self)
{
    CHECK_OBJECT (self, READER_MAGIC);
    if (self->held && self->rows == 0) {
        error_t error;
        status_t status = end_line (self, &error);
        CHECK (status == STATUS_OK); /* it was read before */
        CHECK (!self->held);
    }
    if (self->format == FORMAT_CSV && self->has_header && self->parsed > 0)
        csv_restart (self); /* its cells go with the table: the record is parsed again, then */
    self->closed = self->rows > 0;
}

bool text_reader_at_start (const text_reader_t *self)
{
    CHECK_OBJECT (self, READER_MAGIC);
    bool has_begun = self->started && (self->format != FORMAT_CSV || self->has_header);
    bool is_between = (self->record.size == 0 || self->bad) && !self->skipping && !self->held;
    return has_begun && is_between && self->rows == 0;
}

uint64_t text_reader_records (const text_reader_t *self)
{
    CHECK_OBJECT (self, READER_MAGIC);
    return self->records;
}
