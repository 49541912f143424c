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

/* Appends the canonical text of `expr`, and the types of the fields that it reads in the order of
 * their names: what the meaning of everything built on it is hashed from. NULL appends that there
 * is none. Where a field stands in the stream does not matter. */
void stream_put_meaning (const stream_t *self, const expr_t *expr, buf_t *out);

/* XXH3-64: of what the stored rows mean, of what the view's rows are. */
uint64_t stream_fingerprint (const stream_t *self);
uint64_t view_meaning (const stream_t *stream, const expr_t *where);

#endif
