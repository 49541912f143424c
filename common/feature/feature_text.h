/* feature_text.h - the one line that says what a feature is:
 *
 *   feature = aggregate "(" [ expression ] ")" [ "where" expression ] [ "over" window *( "," window
 * ) ] window  = duration | "lifetime"
 */
#ifndef WEIR_FEATURE_FEATURE_TEXT_H
#define WEIR_FEATURE_FEATURE_TEXT_H

#include "expr/expr.h"
#include "feature/definition.h"

#define WINDOW_MIN  TIME_SECOND
#define WINDOW_MOST (3650 * TIME_DAY)

enum { FEATURE_WINDOWS_MAX = 64 };

typedef struct feature_window {
    const char *written; /* "24h"; "lifetime" */
    int64_t window;      /* µs or WINDOW_LIFETIME */
    size_t at;           /* byte offset in the text */
} feature_window_t;

typedef struct feature_text {
    aggregate_t aggregate;
    const char *input;  /* canonical; NULL for count() */
    const char *filter; /* canonical; NULL without */
    feature_window_t windows[FEATURE_WINDOWS_MAX];
    size_t windows_count; /* 0: no `over`, which is the lifetime under the bare name */
} feature_text_t;

/* Reads and types a feature's text; what it makes lives in `arena`. On failure *at is the byte
 * offset of the mistake and the status UNSUPPORTED for what a later version may take. */
MUST_CHECK status_t feature_text_read (text_t text, const expr_scope_t *scope, arena_t *arena,
                                       feature_text_t *feature, size_t *at, error_t *error);

/* Appends the canonical text. */
void feature_text_format (const feature_text_t *self, buf_t *out);

/* The canonical text of an expression, in `arena`. */
const char *expression_text (const expr_t *expr, arena_t *arena);

#endif
