/* feature_text.h - the one line that says what a feature is:
 *
 *   feature = aggregate "(" arguments ")" [ "where" expression ] [ "by" expression ]
 *             [ "over" window *( "," window ) ] [ "delay" duration ] [ "default" constant ]
 *
 * docs/definitions.md has the whole grammar. */
#ifndef WEIR_FEATURE_FEATURE_TEXT_H
#define WEIR_FEATURE_FEATURE_TEXT_H

#include "expr/expr.h"
#include "feature/definition.h"
#include "feature/result_type.h"

#define WINDOW_MIN  TIME_SECOND
#define WINDOW_MOST (3650 * TIME_DAY)

enum {
    FEATURE_WINDOWS_MAX = 64,
    FEATURE_COUNT_MAX = 1000, /* of rows in a window, and of what a parameter may ask for */
};

typedef struct feature_window {
    const char *written; /* "24h"; "lifetime"; "100 rows in 7d" */
    const char *suffix;  /* what the feature's name ends with: "24h"; "100rows_7d" */
    int64_t window;      /* µs or WINDOW_LIFETIME */
    uint16_t rows;       /* 0: all */
    size_t at;           /* byte offset in the text */
} feature_window_t;

typedef struct feature_text {
    aggregate_t aggregate;
    const char *input;  /* canonical; NULL for count() */
    const char *second; /* canonical; NULL when the aggregate takes one */
    value_t parameter;  /* of type NONE when it takes none */
    const char *filter; /* canonical; NULL without */
    const char *by;     /* canonical; NULL without */
    type_t input_type;
    type_t second_type;
    type_t by_type;
    result_type_t type;
    feature_window_t windows[FEATURE_WINDOWS_MAX];
    size_t windows_count;      /* 0: no `over`, which is the lifetime under the bare name */
    int64_t delay;             /* µs; 0 without */
    const char *delay_written; /* "7d"; NULL without */
    value_t default_value;     /* of type NONE without */
    const char *default_text;  /* canonical; NULL without */
    size_t by_at;              /* byte offset in the text */
} feature_text_t;

/* Reads and types a feature's text; what it makes lives in `arena`. On failure *at is the byte
 * offset of the mistake and the status UNSUPPORTED for what a later version may take. */
MUST_CHECK status_t feature_text_read (text_t text, const expr_scope_t *scope, arena_t *arena,
                                       feature_text_t *feature, size_t *at, error_t *error);

/* Appends the canonical text. */
void feature_text_format (const feature_text_t *self, buf_t *out);

/* The canonical text of an expression, in `arena`. */
const char *expression_text (const expr_t *expr, arena_t *arena);

/* What stands for null where a value of this type is: the value of an expression that reads no
 * field, in `arena`. On failure *at is the byte offset of the mistake. */
MUST_CHECK status_t default_read (text_t text, const result_type_t *type, arena_t *arena,
                                  value_t *value, const char **canonical, size_t *at,
                                  error_t *error);

#endif
