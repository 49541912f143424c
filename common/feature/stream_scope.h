/* stream_scope.h - a stream's fields as the names of expressions, and what an expression means. */
#ifndef WEIR_FEATURE_STREAM_SCOPE_H
#define WEIR_FEATURE_STREAM_SCOPE_H

#include "expr/expr.h"
#include "feature/definition.h"

typedef struct stream_scope {
    const stream_t *stream;
    const char *names[FIELDS_MAX];
    expr_scope_t scope; /* points into this structure: do not copy */
} stream_scope_t;

/* Borrows the stream, which must have at most FIELDS_MAX fields. */
void stream_scope_init (stream_scope_t *self, const stream_t *stream);

/* Appends the canonical text of `expr` with the fields called as they were first, and a zero:
 * equal for expressions that differ in what fields are called now, or in their types. */
void stream_put_text (const stream_t *self, const expr_t *expr, buf_t *out);

/* Appends that text, and the types of the fields that it reads in the order of
 * their first names: what the meaning of everything built on it is hashed from. NULL appends that
 * there is none. Where a field stands in the stream does not matter. */
void stream_put_meaning (const stream_t *self, const expr_t *expr, buf_t *out);

/* Do two canonical texts, over two definitions of a stream, mean the same? What fields are called
 * now does not matter, and their types only for `types`. NULL means the same as NULL. */
bool stream_same_meaning (const stream_t *a, const char *text_a, const stream_t *b,
                          const char *text_b, bool types);

/* XXH3-64 of what the stored rows mean. */
uint64_t stream_fingerprint (const stream_t *self);
/* Sets the meanings of the view and its sources: XXH3-64 of what its rows are. It has been checked.
 */
void view_set_meaning (view_t *view);

#endif
