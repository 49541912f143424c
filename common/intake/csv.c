/* csv.c - RFC 4180 by libcsv, a line at a time, so that the text of every record is known. */
#include "intake/text_rows.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>

enum { CELL_BLOCK = 4096 }; /* bytes by which libcsv's buffer for one cell grows at least */

/* RFC 4180: blanks are part of a value. */
static int is_never_space (unsigned char c)
{
    (void)c;
    return 0;
}

static void *grow (void *memory, size_t size)
{
    return mem_resize (memory, size, 1);
}

void csv_start (text_reader_t *self)
{
    int failed = csv_init (&self->csv, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL);
    CHECK (failed == 0);
    csv_set_space_func (&self->csv, is_never_space);
    csv_set_realloc_func (&self->csv, grow);
    csv_set_free_func (&self->csv, mem_free);
    csv_set_blk_size (&self->csv, CELL_BLOCK);
    self->parsed = 0;
    self->fields = 0;
    self->row_ends = false;
}

void csv_stop (text_reader_t *self)
{
    csv_free (&self->csv);
}

/* Room for so many cells more. */
static void make_room (text_reader_t *self, size_t more)
{
    size_t least = self->cells_count + more;
    if (least <= self->cells_capacity)
        return;
    size_t doubled = self->cells_capacity > 0 ? 2 * self->cells_capacity : 1024;
    self->cells_capacity = doubled > least ? doubled : least;
    self->cells = mem_resize (self->cells, self->cells_capacity, sizeof *self->cells);
}

static void put_cell (text_reader_t *self, raw_t raw)
{
    make_room (self, 1);
    self->cells[self->cells_count++] = raw;
}

static void take_field (void *data, size_t size, void *arg)
{
    text_reader_t *self = arg;
    size_t field = self->fields++;
    text_t text = { .data = data, .size = (uint32_t)size };
    if (!self->has_header) {
        if (field < TEXT_COLUMNS_MAX)
            self->columns[self->columns_count++] = arena_text (self->header_arena, text);
        return;
    }
    if (field >= self->columns_count)
        return; /* counted, and refused at the row's end */
    raw_t raw = { .kind = RAW_NULL };
    if (data != NULL)
        raw = (raw_t){ .kind = RAW_TEXT, .loose = true, .s = arena_text (self->arena, text) };
    put_cell (self, raw);
}

static void take_row_end (int c, void *arg)
{
    (void)c;
    text_reader_t *self = arg;
    self->row_ends = true;
}

/* ---- what is wrong ---- */

/* The row and the column being read: "row 12, column amount: ". */
static status_t prefix_place (text_reader_t *self, error_t *error)
{
    if (!self->has_header)
        return error_prefix (error, "the header, column %zu", self->fields + 1);
    if (self->fields < self->columns_count)
        return error_prefix (error, "row %" PRIu64 ", column " TEXT_FORMAT, self->records + 1,
                             TEXT_ARGS (self->columns[self->fields]));
    return error_prefix (error, "row %" PRIu64 ", column %zu", self->records + 1, self->fields + 1);
}

static status_t refuse_quote (text_reader_t *self, error_t *error)
{
    (void)error_set (error, STATUS_INVALID,
                     "a value with a quote in it must be in quotes, with each quote in it doubled");
    return prefix_place (self, error);
}

static status_t check_header (text_reader_t *self, error_t *error)
{
    if (self->fields > TEXT_COLUMNS_MAX)
        return error_set (error, STATUS_INVALID, "the header has %zu columns, more than %d",
                          self->fields, TEXT_COLUMNS_MAX);
    for (size_t i = 0; i < self->columns_count; i++) {
        if (self->columns[i].size == 0)
            return error_set (error, STATUS_INVALID, "the header's column %zu has no name", i + 1);
        if (!text_is_utf8 (self->columns[i]))
            return error_set (error, STATUS_INVALID,
                              "the name of the header's column %zu is not UTF-8 text", i + 1);
    }
    return STATUS_OK;
}

static status_t check_row (text_reader_t *self, error_t *error)
{
    if (self->fields == self->columns_count)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "row %" PRIu64 " has %zu values; the header has %zu columns",
                      self->records + 1, self->fields, self->columns_count);
}

/* ---- rows ---- */

static void take_header (text_reader_t *self)
{
    self->has_header = true;
    text_t text = { .data = (const char *)self->record.data, .size = (uint32_t)self->record.size };
    self->header = arena_text (self->header_arena, text);
    buf_clear (&self->record);
}

static status_t end_row (text_reader_t *self, error_t *error)
{
    status_t status = self->has_header ? check_row (self, error) : check_header (self, error);
    if (status != STATUS_OK)
        return status;
    if (self->has_header)
        text_rows_add (self);
    else
        take_header (self);
    self->parsed = 0;
    self->fields = 0;
    self->row_ends = false;
    return STATUS_OK;
}

/* Of a bad record the parser knows nothing afterwards. */
void csv_restart (text_reader_t *self)
{
    csv_stop (self);
    csv_start (self);
    if (self->has_header)
        self->cells_count = self->rows * self->columns_count;
}

static status_t parse (text_reader_t *self, error_t *error)
{
    const uint8_t *data = self->record.data + self->parsed;
    size_t size = self->record.size - self->parsed;
    self->parsed = self->record.size;
    /* libcsv's buffer grows by a fixed size, and is copied each time: a quote that nothing closes
     * would be copied for every few lines after it. So it doubles, or takes the whole of this
     * piece. */
    size_t block = csv_get_buffer_size (&self->csv);
    block = block > size ? block : size;
    csv_set_blk_size (&self->csv, block > CELL_BLOCK ? block : CELL_BLOCK);
    if (csv_parse (&self->csv, data, size, take_field, take_row_end, self) != size)
        return refuse_quote (self, error);
    return STATUS_OK;
}

status_t csv_line (text_reader_t *self, bool *ends, error_t *error)
{
    status_t status = parse (self, error);
    *ends = status != STATUS_OK || self->row_ends;
    if (status == STATUS_OK && self->row_ends)
        status = end_row (self, error);
    if (status != STATUS_OK)
        csv_restart (self);
    return status;
}

status_t csv_end (text_reader_t *self, error_t *error)
{
    status_t status = parse (self, error);
    if (status == STATUS_OK && csv_fini (&self->csv, take_field, take_row_end, self) != 0) {
        (void)error_set (error, STATUS_INVALID, "its quote is not closed at the end of the input");
        status = prefix_place (self, error);
    }
    if (status == STATUS_OK)
        status = end_row (self, error);
    if (status != STATUS_OK)
        csv_restart (self);
    return status;
}

/* ---- rows that need no parser ---- */

#define EACH_BYTE UINT64_C (0x0101010101010101)

/* The highest bit of every byte that is less than '-', as are those that end a value or that make
 * it one for the parser. */
static inline uint64_t low_bytes (uint64_t word)
{
    const uint64_t high = EACH_BYTE << 7;
    return ~((word | high) - '-' * EACH_BYTE) & ~word & high;
}

static inline bool is_end (char c)
{
    return c == ',' || c == '\n' || c == '\r' || c == '"';
}

/* The first comma, quote or line's end from `at` on; `size` if there is none. */
static inline size_t value_end (const char *data, size_t at, size_t size)
{
    for (; at + sizeof (uint64_t) <= size; at += sizeof (uint64_t)) {
        uint64_t word;
        memcpy (&word, data + at, sizeof word);
        for (uint64_t low = low_bytes (word); low != 0; low &= low - 1) {
            size_t end = at + (size_t)__builtin_ctzll (low) / 8;
            if (is_end (data[end]))
                return end;
        }
    }
    while (at < size && !is_end (data[at]))
        at++;
    return at;
}

/* The value that begins at `at`, and where it ends; `size` if the parser has to see it. */
static inline size_t plain_value (const char *data, size_t at, size_t size, raw_t *raw)
{
    if (at < size && data[at] == '"') {
        const char *quote = memchr (data + at + 1, '"', size - at - 1);
        size_t end = quote != NULL ? (size_t)(quote - data) : size;
        text_t text = { data + at + 1, (uint32_t)(end - at - 1) };
        *raw = (raw_t){ .kind = RAW_TEXT, .loose = true, .s = text };
        return end < size ? end + 1 : size;
    }
    size_t end = value_end (data, at, size);
    *raw = (raw_t){ .kind = RAW_NULL };
    if (end > at)
        *raw = (raw_t){ .kind = RAW_TEXT, .loose = true, .s = { data + at, (uint32_t)(end - at) } };
    return end;
}

/* The cells of one row, after those that there are; where its line ends, or 0. */
static size_t plain_cells (text_reader_t *self, const char *data, size_t size)
{
    raw_t *cells = self->cells + self->cells_count;
    size_t at = 0;
    for (size_t field = 0; field < self->columns_count; field++) {
        size_t end = plain_value (data, at, size, &cells[field]);
        bool is_last = field + 1 == self->columns_count;
        if (end >= size)
            return 0;
        if (is_last && (data[end] == '\n' || data[end] == '\r'))
            return end;
        if (data[end] != ',')
            return 0;
        at = end + 1;
    }
    return 0;
}

/* Cells point into the record: where it is now. */
static text_t keep_record (text_reader_t *self, text_t record)
{
    if (self->arena != self->own_arena)
        return record;
    text_t kept = arena_text (self->arena, record);
    for (size_t i = 0; i < self->columns_count; i++) {
        text_t *text = &self->cells[self->cells_count + i].s;
        if (text->data != NULL)
            text->data = kept.data + (text->data - record.data);
    }
    return kept;
}

size_t csv_plain (text_reader_t *self, const char *data, size_t size)
{
    if (data[0] == '\n' || data[0] == '\r')
        return 1; /* an empty line, or the LF of CR LF */
    make_room (self, self->columns_count);
    size_t end = plain_cells (self, data, size < TEXT_LINE_MAX ? size : TEXT_LINE_MAX);
    if (end == 0)
        return 0;
    text_t record = keep_record (self, (text_t){ data, (uint32_t)end });
    text_rows_add_text (self, record);
    self->cells_count += self->columns_count;
    return end + 1;
}
