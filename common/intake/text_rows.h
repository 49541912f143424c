/* text_rows.h - the inside of a text_reader_t, for its own files: the records of a text so far, and
 * the table that is being filled. */
#ifndef WEIR_INTAKE_TEXT_ROWS_H
#define WEIR_INTAKE_TEXT_ROWS_H

#include "intake/intake.h"

#include <csv.h>

enum {
    TABLE_BYTES_MAX = 16 << 20, /* text and cells of a table, after which it is full */
    TABLE_CELLS_MAX = 1 << 20,  /* rows x columns of an NDJSON table */
};

/* A cell of an NDJSON row, which does not have every column of its table. */
typedef struct named_cell {
    uint32_t row;
    uint32_t column;
    raw_t raw;
} named_cell_t;

struct text_reader {
    uint32_t magic;
    text_format_t format;
    size_t rows_max;

    /* the text */
    buf_t record;     /* the record being read, as far as it is here */
    uint64_t records; /* complete ones so far, bad ones counted, a header not */
    bool started;     /* something was read: no byte order mark any more */
    bool skipping;    /* to the end of a line that is too long */
    bool held;        /* `record` is complete, and for the next table */
    bool bad;         /* `record` is the bad one that was told of */
    bool ended;       /* no more input */
    bool failed;      /* the header was bad */
    error_t failure;  /* then */

    /* the table */
    arena_t *arena;     /* of the texts in the table: own_arena, or the caller's: then what is fed
                           stays too */
    arena_t *own_arena; /* of what goes with the table */
    text_t *texts;      /* rows_max: the records */
    size_t rows;
    uint64_t first_row; /* number of the record that is row 0 */
    size_t bytes;
    bool closed;     /* full before its time */
    text_t *columns; /* TEXT_COLUMNS_MAX; names are in the header's arena (CSV) or the table's */
    size_t columns_count;
    raw_t *cells; /* CSV: rows x columns, and those of the row being read */
    size_t cells_count;
    size_t cells_capacity;

    /* CSV */
    struct csv_parser csv;
    size_t parsed; /* bytes of `record` that the parser has had */
    size_t fields; /* of the row being read */
    bool row_ends;
    bool has_header;
    arena_t *header_arena;
    text_t header; /* as written */

    /* NDJSON */
    named_cell_t *named;
    size_t named_count;
    size_t named_capacity;
};

/* A complete record that is good becomes a row. */
void text_rows_add (text_reader_t *self);
/* The same of one that was fed as a whole: `text` is the record, in the arena or fed to stay. */
void text_rows_add_text (text_reader_t *self, text_t text);
/* Is there room for another record in the table? */
bool text_rows_full (const text_reader_t *self);

/* ---- csv.c ---- */

void csv_start (text_reader_t *self);
void csv_stop (text_reader_t *self);
/* Starts anew at the beginning of a record: the cells of one under way go. */
void csv_restart (text_reader_t *self);
/* Takes one row that `data`, where a record begins, has whole, if it is plainly a good one: quotes
 * are around values only, and the rest is as in the header. The bytes that were taken; 0: csv_line
 * has to see. */
size_t csv_plain (text_reader_t *self, const char *data, size_t size);
/* Parses what is new in self->record, which ends with a line's end or at the end of the input.
 * *ends: the record does too, and was added. INVALID, and the parser starts anew. */
MUST_CHECK status_t csv_line (text_reader_t *self, bool *ends, error_t *error);
MUST_CHECK status_t csv_end (text_reader_t *self, error_t *error);

/* ---- ndjson.c ---- */

/* From then on jansson's memory is base/mem.h's: out of it, the process ends. By itself jansson
 * would say that a good row is bad. */
void ndjson_start (void);
/* Takes the line in self->record; *fits is false when it is for the next table. INVALID. */
MUST_CHECK status_t ndjson_line (text_reader_t *self, bool *fits, error_t *error);
/* Takes the line that `data` begins with, if it is plainly a good row that fits the table. The
 * bytes that were taken; 0: ndjson_line has to see. */
size_t ndjson_plain (text_reader_t *self, const char *data, size_t size);
/* The number of the table's column, looked for first where it was in other rows; columns_count if
 * there is none. */
size_t ndjson_column (const text_reader_t *self, text_t text, size_t expected);
/* Adds a cell to the row being read, whose names all are columns. */
void ndjson_put (text_reader_t *self, size_t column, raw_t raw);
/* Is there room in the table for one row more with so many names that are new? */
bool ndjson_fits (const text_reader_t *self, size_t new_names);
/* The cells of the table, row by row, until the next one. */
raw_t *ndjson_cells (text_reader_t *self);

#endif
