/* expr.h - the expression language: parsed and typed once, evaluated a column at a time.
 *
 * Grammar and semantics: docs/expressions.md. Null is SQL's (three-valued logic; comparison and
 * arithmetic with null give null; division by zero is null; `/` gives float64; int64 overflow gives
 * null). Strings are compared as bytes. There is one evaluator for every layer. */
#ifndef WEIR_EXPR_EXPR_H
#define WEIR_EXPR_EXPR_H

#include "base/status.h"
#include "base/value.h"

enum {
    EXPR_TEXT_MAX = 4096, /* bytes of source */
    EXPR_NODES_MAX = 512,
    EXPR_DEPTH_MAX = 64, /* parentheses, calls and lists inside one another */
};

typedef struct expr expr_t;

/* What names mean: fields of a stream, features of a view, or whatever columns the caller will
 * have. `lookup` answers the type of `name` and the column that holds it, or TYPE_NONE when it is
 * unknown; `names` lists all for "did you mean". Both live as long as the parse.
 *
 * `now` is a name like others: a scope that knows an as-of time answers TYPE_TIMESTAMP and a column
 * for it, and expr_eval finds it there, in every row; for others it is an error to use it. Dotted
 * names (`sender.amount`) come as one name, with the dots. */
typedef struct expr_scope {
    type_t (*lookup) (const void *arg, text_t name, uint32_t *column);
    const void *arg;
    const char *const *names;
    size_t names_count;
} expr_scope_t;

/* Parses and types all of `text`. On failure the message says what was expected, and *at is the
 * byte offset of the mistake (for file:line:column), `error` the sentence. The expression owns all
 * it needs; free it with expr_destroy. A NULL scope knows no names. Time zones are read from the
 * system here (zone.h), so definitions are parsed at start and never on an event's path. */
MUST_CHECK status_t expr_parse (text_t text, const expr_scope_t *scope, expr_t **expr, size_t *at,
                                error_t *error);
void expr_destroy (expr_t **self_p);

/* The type of the result; TYPE_NONE for a bare `null`. */
type_t expr_type (const expr_t *self);

/* Appends the canonical text: one spelling for every way of writing the same tree (blanks,
 * parentheses, durations in µs, keywords in lower case). Equal canonical texts mean equal
 * expressions; versions are hashed from it. At most EXPR_TEXT_MAX bytes, and it parses again. */
void expr_format (const expr_t *self, buf_t *out);

/* As expr_format, with what `name` says of a column in place of the name that it was written with:
 * for hashing what is meant, which need not parse. A NULL `name` is expr_format. */
void expr_format_as (const expr_t *self, const char *(*name) (const void *arg, uint32_t column),
                     const void *arg, buf_t *out);

/* Calls `each` for every column that the expression reads, once a column. */
void expr_columns (const expr_t *self, void (*each) (void *arg, uint32_t column), void *arg);

/* The column that the expression is the name of, and nothing else; -1: it is something else. */
int32_t expr_column (const expr_t *self);

/* Evaluates for rows [0, rows) of `columns` (indexed as the scope said) into a new column in
 * `arena`. Results may borrow the bytes of input strings and, as long as it lives, of the
 * expression. Cannot fail: what goes wrong for a row is a null. Allocates per call and per 1024
 * rows, never per row. Many threads may evaluate one expression at once. */
column_t expr_eval (const expr_t *self, const column_t *columns, size_t rows, arena_t *arena);

/* A lexer shared with the feature definitions, so that both have one idea of a token. */
typedef enum token_kind {
    TOKEN_END,
    TOKEN_NAME,     /* identifier or keyword, as written */
    TOKEN_INTEGER,  /* value in `i` */
    TOKEN_FLOAT,    /* value in `f` */
    TOKEN_DURATION, /* 7d: µs in `i` */
    TOKEN_STRING,   /* 'it''s', unescaped in `text` (arena) */
    TOKEN_SYMBOL,   /* ( ) , + - * / % = <> != < <= > >= || . */
    TOKEN_BAD,      /* `text` is the reason (static) */
} token_kind_t;

typedef struct token {
    token_kind_t kind;
    text_t text;
    size_t at; /* byte offset of its first byte */
    int64_t i;
    double f;
} token_t;

typedef struct lexer {
    text_t source;
    size_t at;
    arena_t *arena; /* for unescaped strings */
} lexer_t;

token_t lexer_next (lexer_t *lexer);

/* Parses the longest expression that `lexer` stands at and leaves the lexer before the first token
 * that does not belong to it (a comma, a closing parenthesis, `over`). Otherwise as expr_parse. */
MUST_CHECK status_t expr_parse_prefix (lexer_t *lexer, const expr_scope_t *scope, expr_t **expr,
                                       size_t *at, error_t *error);

/* Is the word, in any case, reserved (and, or, not, is, null, distinct, from, in, over, where, by,
 * delay, default, lifetime, rows, true, false, time, case, when, then, else, end, now)? */
bool expr_is_keyword (text_t word);

#endif
