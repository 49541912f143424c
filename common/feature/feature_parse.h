/* feature_parse.h - what the files that read a feature's text share (private). */
#ifndef WEIR_FEATURE_FEATURE_PARSE_H
#define WEIR_FEATURE_FEATURE_PARSE_H

#include "feature/feature_text.h"

typedef struct feature_parser {
    lexer_t lexer;
    const expr_scope_t *scope;
    arena_t *arena;
    feature_text_t *out;
    size_t *at; /* of the mistake */
    error_t *error;
} feature_parser_t;

/* Fails at a place. */
#define FEATURE_FAIL(parser, where, status, ...)                                                   \
    (*(parser)->at = (where), error_set ((parser)->error, (status), __VA_ARGS__))

bool feature_word_is (const token_t *token, const char *word);
bool feature_symbol_is (const token_t *token, const char *symbol);

/* The next token, which stays the next. */
token_t feature_peek (const feature_parser_t *parser);

/* The token as written. */
text_t feature_token_text (const feature_parser_t *parser, const token_t *token);

/* What a message shows of a token: "'over'", "the end". */
const char *feature_shown (const feature_parser_t *parser, const token_t *token);

/* One expression as canonical text and type; a NULL scope knows no names. */
MUST_CHECK status_t feature_read_expression (feature_parser_t *parser, const expr_scope_t *scope,
                                             const char **text, type_t *type);

/* "null" for TYPE_NONE. */
const char *feature_type_word (type_t type);

/* ---- feature_aggregate.c ---- */

/* The aggregate and what stands in its parentheses. */
MUST_CHECK status_t feature_read_aggregate (feature_parser_t *parser);

#endif
