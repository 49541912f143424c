/* parse.h - what the files of the parser share (private): its state, and the next token. */
#ifndef WEIR_EXPR_PARSE_H
#define WEIR_EXPR_PARSE_H

#include "expr/build.h"

typedef struct parser {
    lexer_t *lexer;
    token_t token; /* the next one, not yet consumed */
    size_t end;    /* of the last one consumed */
    const expr_scope_t *scope;
    builder_t *builder;
    int depth;
    error_t *error;
} parser_t;

/* Is the next token this word (in any case), this symbol, any keyword? */
bool parser_at_word (const parser_t *self, const char *word);
bool parser_at_symbol (const parser_t *self, const char *symbol);
bool parser_at_keyword (const parser_t *self);

void parser_advance (parser_t *self);

/* Consumes the next token if it is that. */
bool parser_skip_word (parser_t *self, const char *word);
bool parser_skip_symbol (parser_t *self, const char *symbol);

/* Sets the error "expected …, found …" at the next token. */
MUST_CHECK status_t parser_expected (parser_t *self, const char *what);

/* One expression inside parentheses, a call or a list; the only recursion, to EXPR_DEPTH_MAX. */
MUST_CHECK status_t parse_nested (parser_t *self);

/* What follows "(": expressions up to ")". */
MUST_CHECK status_t parse_list (parser_t *self, size_t *count);

/* A literal, field, call, case, or an expression in parentheses. */
MUST_CHECK status_t parse_primary (parser_t *self);

#endif
