/* fixture.h - the fields that the tests of expressions use, and short ways to parse and evaluate.
 */
#ifndef WEIR_TESTS_EXPR_FIXTURE_H
#define WEIR_TESTS_EXPR_FIXTURE_H

#include "expr/expr.h"

/* Fields, in the order of their columns: name, type. */
#define FIELD_TABLE(X)                                                                             \
    X (flag, BOOL)                                                                                 \
    X (ok, BOOL)                                                                                   \
    X (i, INT64)                                                                                   \
    X (j, INT64)                                                                                   \
    X (amount, FLOAT64)                                                                            \
    X (f, FLOAT64)                                                                                 \
    X (s, STRING)                                                                                  \
    X (merchant, STRING)                                                                           \
    X (ts, TIMESTAMP)                                                                              \
    X (seen, TIMESTAMP)                                                                            \
    X (d, DURATION)                                                                                \
    X (gap, DURATION)

typedef enum field {
#define X(name, type) FIELD_##name,
    FIELD_TABLE (X)
#undef X
        FIELD_COUNT
} field_t;

extern const char *const field_names[FIELD_COUNT];
extern const type_t field_types[FIELD_COUNT];
extern const expr_scope_t fixture_scope;

/* Parses or fails the test with the message. */
expr_t *parse (const char *text);

/* The canonical text of `text`, in a static buffer; fails the test when it does not parse. */
const char *canonical (const char *text);

/* Parses what must fail; answers the message (static) and where. */
const char *mistake (const char *text, size_t *at);

/* Evaluates an expression over one row: int columns 7 and 3, floats 2.5 and NaN, s 'abc', merchant
 * null, flag true, ok null, ts 10 s, seen null, d 2 s, gap null. As text: "null", "true", "42",
 * "1.5", "'x'", timestamps and durations as µs. Static buffer. */
const char *result (const char *text);

#endif
