/* csv.h - a whole CSV file in memory, read plainly: a header, quotes, doubled quotes. */
#ifndef WEIR_ORACLE_CSV_H
#define WEIR_ORACLE_CSV_H

#include "base/status.h"
#include "base/text.h"

#include <stddef.h>
#include <stdio.h>

enum { CSV_COLUMNS_MAX = 256 };

typedef struct csv_cell {
    text_t text;
    bool quoted; /* "" is the empty string, an empty cell without quotes is null */
} csv_cell_t;

typedef struct csv {
    char *bytes; /* the file; cells point into it */
    size_t size;
    size_t at;
    size_t line;
    csv_cell_t header[CSV_COLUMNS_MAX];
    csv_cell_t row[CSV_COLUMNS_MAX];
    size_t columns;
} csv_t;

/* Reads `path` ("-": standard input) and its header. End with csv_close, whatever this answers. */
MUST_CHECK status_t csv_open (csv_t *self, const char *path, error_t *error);
void csv_close (csv_t *self);

/* The next row, in self->row; the bytes live until csv_close. END after the last. */
MUST_CHECK status_t csv_next (csv_t *self, error_t *error);

/* Index of a column, or -1. */
int csv_column (const csv_t *self, text_t name);

#endif
