/* intake.h - raw rows from outside become typed, checked events.
 *
 * CSV, NDJSON and messages give the same thing, a raw_table_t: named columns and rows of raw cells.
 * One function checks it against a stream and makes a batch, so that a load, a send and a sample
 * obey the same rules and say the same reasons. */
#ifndef WEIR_INTAKE_INTAKE_H
#define WEIR_INTAKE_INTAKE_H

#include "base/status.h"
#include "base/value.h"
#include "feature/definition.h"
#include "wire/wire.h"

typedef enum raw_kind {
    RAW_NULL,
    RAW_BOOL,  /* i: 0 or 1 */
    RAW_INT,   /* i */
    RAW_FLOAT, /* f */
    RAW_TEXT,  /* s: typed by the field (a CSV cell, a JSON or msgpack string) */
    RAW_OTHER, /* something that no field takes: an array, a map, bytes */
} raw_kind_t;

typedef struct raw {
    raw_kind_t kind;
    bool loose; /* text of a CSV cell: may also be read as bool, int64, float64 */
    union {
        int64_t i;
        double f;
    };
    text_t s; /* RAW_TEXT: the text. RAW_FLOAT: the number as it was written, empty when it came as
                 the 8 bytes of a float64 */
} raw_t;

typedef struct raw_table {
    text_t *columns;
    size_t columns_count;
    raw_t *cells; /* row by row */
    size_t rows;
} raw_table_t;

typedef struct refused_row {
    uint32_t row;       /* of the raw table */
    const char *reason; /* in the arena */
} refused_row_t;

/* How rows are checked beyond their types. */
typedef struct intake_rules {
    int64_t now;          /* µs: the clock, for max_ahead and as default ingest time */
    int64_t max_ahead;    /* µs; an event time past now + max_ahead is refused */
    text_t ingest_column; /* empty: ingest time is now (sends) or the event time (loads) */
    bool ingest_is_event_time;
} intake_rules_t;

typedef struct intake_result {
    batch_t batch; /* accepted rows; key, event_time, ingest_time filled; offset and row are 0 */
    uint32_t *raw_row; /* per accepted row: its row in the raw table */
    refused_row_t *refused;
    size_t refused_count;
} intake_result_t;

/* What a raw column may be instead of a field of the stream. */
enum {
    COLUMN_IGNORED = -1,
    COLUMN_REFUSED = -2, /* a row that has a value there is refused */
};

/* Columns against the stream: INVALID when the time's column, a column of the key or a required one
 * is missing, when a name is there twice, or when an unknown one is there and the stream refuses
 * unknown (with the likeliest name). Call once per header. `map[i]` is the field of raw column i,
 * or COLUMN_IGNORED. */
MUST_CHECK status_t intake_map_columns (const stream_t *stream, const text_t *columns, size_t count,
                                        text_t ingest_column, int32_t *map, error_t *error);

/* The same where every row names its own columns (NDJSON), and a table's are what any of its rows
 * has: nothing fails as a whole. What the other refuses is left to intake_convert, row by row. */
void intake_map_names (const stream_t *stream, const text_t *columns, size_t count,
                       text_t ingest_column, int32_t *map);

/* Checks and converts all rows. Cannot fail as a whole: bad rows are in `refused` with reasons that
 * name column, value and what was expected. Computed fields are made of the row's others. All
 * results live in `arena` and borrow text from the table and from the stream's definition. */
void intake_convert (const stream_t *stream, const raw_table_t *table, const int32_t *map,
                     const intake_rules_t *rules, arena_t *arena, intake_result_t *result);

/* The key bytes of one raw row (for splitting a batch by partition before it is checked): the same
 * bytes that intake_convert gives, or empty when the row has no valid key. */
text_t intake_raw_key (const stream_t *stream, const raw_table_t *table, const int32_t *map,
                       size_t row, arena_t *arena);

/* The columns and rows of a `send` or `append` message as a raw table in `arena`, borrowing text
 * from the message. INVALID when rows are ragged, a column is there twice, or there are too many
 * columns or cells. */
MUST_CHECK status_t intake_from_wire (wire_list_t columns, wire_list_t rows, arena_t *arena,
                                      raw_table_t *table, error_t *error);

/* ---- text ---- */

typedef enum text_format { FORMAT_CSV, FORMAT_NDJSON } text_format_t;

/* A reader of CSV (RFC 4180, header row, LF or CRLF, "" in quotes) or NDJSON from a stream of
 * chunks. Bytes go in, tables of up to `rows_max` rows come out. */
typedef struct text_reader text_reader_t;

enum {
    TEXT_LINE_MAX = 1 << 20, /* bytes of one record */
    TEXT_COLUMNS_MAX = 1024,
};

text_reader_t *text_reader_new (text_format_t format, size_t rows_max);
void text_reader_destroy (text_reader_t **self_p);

/* Takes bytes. They are copied as needed. Everything is consumed unless the current table becomes
 * full: *taken says how many were. Size 0 is the end of input: call it, taking the tables that are
 * ready, until no table is.
 *
 * INVALID names the record (1 is the first after the header) and column: ragged row, bad quoting,
 * not JSON, longer than TEXT_LINE_MAX. After it the reader stands after the bad record and may go
 * on (`--on-error skip`); *bad_row is its number. It is 0 when the header was bad: nothing can be
 * read then, and every further call fails too. */
MUST_CHECK status_t text_reader_feed (text_reader_t *self, const void *data, size_t size,
                                      size_t *taken, uint64_t *bad_row, error_t *error);
/* Is a table ready (full, cut short before a bad record, or input ended with rows left)? Its memory
 * is the reader's, until text_reader_next. *first_row is the record of its row 0; the others follow
 * one by one. A table is also full when it would take more memory than a few times TEXT_LINE_MAX.
 */
bool text_reader_table (text_reader_t *self, raw_table_t *table, uint64_t *first_row);
/* Done with that table; go on. */
void text_reader_next (text_reader_t *self);
/* The raw text of record `row` of the current table, for a rejects file. */
text_t text_reader_record (const text_reader_t *self, size_t row);
/* The same of the bad record that text_reader_feed told of last, cut to TEXT_LINE_MAX; until the
 * next feed. */
text_t text_reader_bad (const text_reader_t *self);
/* The header of a CSV as it was written, for a rejects file; empty before it is read. */
text_t text_reader_header (const text_reader_t *self);
/* The header of a CSV, once read; NDJSON: the union of names in the current table, first seen
 * first. False when there are none yet. */
bool text_reader_columns (const text_reader_t *self, const text_t **columns, size_t *count);

/* ---- text in pieces that are read apart ---- */

/* Where the text can be cut, so that pieces of it may be read at the same time: the size of a piece
 * of whole records, of at least `bytes` or (nearly) `lines` lines; `data` begins with a record. 0
 * when it has no such end in `size`.
 *
 * For CSV this is a guess: a line ends a record when as many quotes open as close before it in the
 * piece, which bad quoting makes wrong. It is checked by who reads the pieces: the next one begins
 * with a record exactly if text_reader_at_start after this one. */
size_t text_cut (text_format_t format, const char *data, size_t size, size_t bytes, size_t lines);

/* From now on what tables hold is in `arena`, which the caller resets, and in what is fed, which
 * has to stay as long: nothing is copied that need not be. There must be no table under way. */
void text_reader_use_arena (text_reader_t *self, arena_t *arena);
/* Stands at the beginning of a record after `records` others, whatever was read before. `head`
 * (NULL: the reader itself) has read a CSV's header, and outlives the reader. */
void text_reader_restart (text_reader_t *self, const text_reader_t *head, uint64_t records);
/* Makes what rows there are a table, though it is not full. Call it, taking the tables that are
 * ready, until none is. */
void text_reader_end_table (text_reader_t *self);
/* Does a record begin here (after the header, and what begins a text), with no table under way? */
bool text_reader_at_start (const text_reader_t *self);
/* How many records there were, bad ones counted. */
uint64_t text_reader_records (const text_reader_t *self);

#endif
