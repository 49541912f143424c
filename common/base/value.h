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
    X (DURATION, 6, "duration")   /* int64 µs; in expressions only, never a field */              \
    X (DECIMAL, 7, "decimal")     /* all of the decimals below; no value's or field's own type */  \
    X (LIST, 8, "list")           /* of values; a result of some aggregates, never a field */      \
    X (MAP, 9, "map")             /* from values to values; likewise */

typedef enum __attribute__ ((packed)) type {
    TYPE_NONE = 0,
#define X(name, number, word) TYPE_##name = number,
    TYPE_TABLE (X)
#undef X
} type_t;

/* Exact decimal numbers of up to 38 digits (decimal.h): every scale, the number of digits after the
 * point, is a type of its own, so that whatever carries a type carries the scale. In files it is
 * the number 64 + scale. How many digits a field takes (its precision) is the field's alone. */
enum {
    DECIMAL_DIGITS_MAX = 38, /* and so the largest scale */
    DECIMAL_TYPE_BASE = 64,
};

static inline type_t type_decimal (unsigned scale)
{
    return (type_t)(DECIMAL_TYPE_BASE + scale);
}

static inline bool type_is_decimal (type_t type)
{
    return (unsigned)type - DECIMAL_TYPE_BASE <= DECIMAL_DIGITS_MAX;
}

/* Of a decimal. */
static inline unsigned type_scale (type_t type)
{
    return (unsigned)type - DECIMAL_TYPE_BASE;
}

/* DECIMAL for every decimal, any other type itself: what a switch over types takes. */
static inline type_t type_family (type_t type)
{
    return type_is_decimal (type) ? TYPE_DECIMAL : type;
}

/* The family's bit in a set of types. */
static inline unsigned type_bit (type_t type)
{
    return 1u << type_family (type);
}

/* The type's word (static), "none" for TYPE_NONE, "decimal(38,2)" for a decimal of scale 2. */
const char *type_word (type_t type);
/* The type of a word, TYPE_NONE when there is none. A decimal may have any precision from its scale
 * to 38. */
type_t type_from_word (text_t word);

/* Can a field, a key or an input of an aggregate be of this type? */
static inline bool type_is_field (type_t type)
{
    return (type >= TYPE_BOOL && type <= TYPE_TIMESTAMP) || type_is_decimal (type);
}

typedef __int128 int128_t;
typedef unsigned __int128 uint128_t;
/* A decimal's number of units of its last digit; at 8 bytes, so that values stay small. */
typedef int128_t unscaled_t __attribute__ ((aligned (8)));

typedef struct value_list value_list_t;
typedef struct value_map value_map_t;

/* One typed value. A string's bytes, a list and a map belong to whoever made the value. BOOL,
 * INT64, TIMESTAMP and DURATION are all in `i` (a bool is 0 or 1). A float is never -0.0 and has
 * one NaN: see value_float. */
typedef struct value {
    type_t type;
    bool null;
    union {
        int64_t i;
        double f;
        unscaled_t d; /* decimals; below 10^38 */
        text_t s;
        const value_list_t *list;
        const value_map_t *map;
    };
} value_t;

struct value_list {
    size_t count;
    const value_t *items; /* of one type, none null unless the aggregate says so */
};

/* Keys are of one type, none null, ascending by value_compare, each once. */
struct value_map {
    size_t count;
    const value_t *keys;
    const value_t *values;
    bool capped;    /* there were more keys than are kept */
    uint64_t total; /* rows of all keys, those that are not kept included */
};

/* The stored form of a float: -0.0 becomes 0.0, every NaN the one quiet NaN 0x7ff8000000000000. */
double value_float (double value);

/* The total order within one type: false < true, numbers by value with NaN above all others,
 * strings by bytes. Neither may be null, a list or a map. Negative, 0 or positive. */
int value_compare (const value_t *a, const value_t *b);

/* Same type, both null or the same bits; lists and maps item by item. */
bool value_equal (const value_t *a, const value_t *b);

/* A column of `rows` values (the count is held by the owner). valid[i] is 1 where there is a value,
 * 0 where null; the value of a null is 0 or the empty text. */
typedef struct column {
    type_t type;
    uint8_t *valid;
    union {
        int64_t *i; /* BOOL, INT64, TIMESTAMP, DURATION */
        double *f;
        unscaled_t *d;
        text_t *s;
        void *data;
    };
} column_t;

/* Bytes of a cell in `data`. */
static inline size_t type_size (type_t type)
{
    return type == TYPE_STRING || type_is_decimal (type) ? 16 : 8;
}
_Static_assert(sizeof (text_t) == 16 && sizeof (unscaled_t) == 16, "the wide cells");

/* Copies a cell's content, not its validity, between columns of one type. */
static inline void column_copy (column_t *to, size_t at, const column_t *from, size_t row)
{
    if (type_size (to->type) == 16)
        memcpy ((uint8_t *)to->data + 16 * at, (const uint8_t *)from->data + 16 * row, 16);
    else
        to->i[at] = from->i[row]; /* a float's bits too */
}

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
    uint32_t *key_start;  /* first rows of stretches of equal keys, … */
    size_t keys;          /* … and how many; NULL and 0: they are not told */
} batch_t;

/* A batch of `rows` rows of nulls and zeros, for columns of the given types. */
batch_t batch_new (arena_t *arena, const type_t *types, size_t columns, size_t rows);

#endif
