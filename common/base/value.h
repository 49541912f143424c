/* value.h - types, values, columns and batches of events: the shapes in which data moves. */
#ifndef WEIR_BASE_VALUE_H
#define WEIR_BASE_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are stored in files: never renumber. name, number, word in YAML */
#define TYPE_TABLE(X)                                                                              \
    X (BOOL, 1, "bool")                                                                            \
    X (INT64, 2, "int64")                                                                          \
    X (FLOAT64, 3, "float64")                                                                      \
    X (STRING, 4, "string")                                                                        \
    X (TIMESTAMP, 5, "timestamp") /* int64 µs since 1970-01-01 UTC */                             \
    X (DURATION, 6, "duration")   /* int64 µs; in expressions only, never a field */

typedef enum type {
    TYPE_NONE = 0,
#define X(name, number, word) TYPE_##name = number,
    TYPE_TABLE (X)
#undef X
} type_t;

/* The type's word (static), "none" for TYPE_NONE; and back, TYPE_NONE when there is no such word.
 */
const char *type_word (type_t type);
type_t type_from_word (text_t word);

/* One typed value. A string's bytes belong to whoever made the value. BOOL, INT64, TIMESTAMP and
 * DURATION are all in `i` (a bool is 0 or 1). A float is never -0.0 and has one NaN: see
 * value_float. */
typedef struct value {
    type_t type;
    bool null;
    union {
        int64_t i;
        double f;
        text_t s;
    };
} value_t;

/* The stored form of a float: -0.0 becomes 0.0, every NaN the one quiet NaN 0x7ff8000000000000. */
double value_float (double value);

/* The total order within one type: false < true, numbers by value with NaN above all others,
 * strings by bytes. Neither may be null. Negative, 0 or positive. */
int value_compare (const value_t *a, const value_t *b);

/* Same type, both null or the same bits. */
bool value_equal (const value_t *a, const value_t *b);

/* A column of `rows` values (the count is held by the owner). valid[i] is 1 where there is a value,
 * 0 where null; the value of a null is 0 or the empty text. */
typedef struct column {
    type_t type;
    uint8_t *valid;
    union {
        int64_t *i; /* BOOL, INT64, TIMESTAMP, DURATION */
        double *f;
        text_t *s;
        void *data;
    };
} column_t;

/* A column of `rows` nulls in `arena`. */
column_t column_new (arena_t *arena, type_t type, size_t rows);

/* Reads a cell; a string is borrowed. */
value_t column_get (const column_t *column, size_t row);

/* Writes a cell; a string's bytes are borrowed, not copied. */
void column_set (column_t *column, size_t row, const value_t *value);

/* Events of one stream, in the stream's field order. Every array has `rows` entries. All memory is
 * in the arena that the batch was made in. */
typedef struct batch {
    size_t rows;
    size_t columns;
    column_t *column;
    int64_t *event_time;  /* µs; 1970 to 9999 */
    int64_t *ingest_time; /* µs */
    uint64_t *offset;     /* position: offset … */
    uint32_t *row;        /* … and row: 0 for events sent, the row of its load otherwise */
    text_t *key;          /* the encoded entity key (key.h) */
} batch_t;

/* A batch of `rows` rows of nulls and zeros, for columns of the given types. */
batch_t batch_new (arena_t *arena, const type_t *types, size_t columns, size_t rows);

#endif
