/* rows.h - a stream of every type, random rows of it, and the ways in which they come in. */
#ifndef WEIR_TESTS_INTAKE_ROWS_H
#define WEIR_TESTS_INTAKE_ROWS_H

#include "base/random.h"
#include "intake/intake.h"

enum { ROWS_FIELDS = 8 };

typedef struct rows {
    definitions_t *definitions;
    const stream_t *stream;
    arena_t *arena;
    random_t random;
    intake_rules_t rules;
    value_t *values; /* ROWS_FIELDS a row, in the stream's order */
    size_t count;
} rows_t;

/* `text` is the YAML of definitions with a stream `events`; NULL is one with a field of every type.
 */
void rows_init (rows_t *self, const char *text, uint64_t seed);
void rows_release (rows_t *self);

/* Random rows that are right. */
void rows_make (rows_t *self, size_t count);

void rows_as_csv (rows_t *self, buf_t *out);
void rows_as_ndjson (rows_t *self, buf_t *out);

/* What came out of a text: accepted values in one array, and what was refused. */
typedef struct taken {
    value_t *values; /* in the fixture's arena */
    size_t rows;
    size_t bad;                  /* records that are not rows */
    size_t refused;              /* rows of wrong values */
    char reason[ERROR_TEXT_MAX]; /* of the first bad or refused one, with its number for a row */
    bool failed;                 /* the header was bad */
} taken_t;

/* Reads the text in chunks of random sizes up to `chunk_max`, with tables of up to `rows_max`. */
taken_t rows_take (rows_t *self, text_format_t format, text_t text, size_t chunk_max,
                   size_t rows_max);

/* As rows_take in one chunk; the reason of the first mistake. In the fixture's arena. */
const char *rows_reason (rows_t *self, text_format_t format, const char *text);

#endif
