/* The parser: precedence climbing over the lexer's tokens, into the builder. Only what stands
 * inside something else (parentheses, calls, lists) is recursion, so EXPR_DEPTH_MAX bounds it. */
#include "expr/parse.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"

#include <strings.h>

static status_t parse_level (parser_t *self, precedence_t lowest);

bool parser_at_word (const parser_t *self, const char *word)
{
    return self->token.kind == TOKEN_NAME && self->token.text.size == strlen (word) &&
           strncasecmp (self->token.text.data, word, self->token.text.size) == 0;
}

bool parser_at_symbol (const parser_t *self, const char *symbol)
{
    return self->token.kind == TOKEN_SYMBOL && text_is (self->token.text, symbol);
}

bool parser_at_keyword (const parser_t *self)
{
    return self->token.kind == TOKEN_NAME && expr_is_keyword (self->token.text);
}

void parser_advance (parser_t *self)
{
    self->end = self->lexer->at;
    self->token = lexer_next (self->lexer);
}

bool parser_skip_word (parser_t *self, const char *word)
{
    bool found = parser_at_word (self, word);
    if (found)
        parser_advance (self);
    return found;
}

bool parser_skip_symbol (parser_t *self, const char *symbol)
{
    bool found = parser_at_symbol (self, symbol);
    if (found)
        parser_advance (self);
    return found;
}

/* "expected …, found …" at the next token. */
status_t parser_expected (parser_t *self, const char *what)
{
    const token_t *token = &self->token;
    self->builder->at = token->at;
    switch (token->kind) {
    case TOKEN_BAD:
        return error_set (self->error, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token->text));
    case TOKEN_END:
        return error_set (self->error, STATUS_INVALID, "expected %s, found the end", what);
    case TOKEN_STRING:
        return error_set (self->error, STATUS_INVALID, "expected %s, found a string", what);
    default:
        return error_set (self->error, STATUS_INVALID, "expected %s, found %s'%.*s'", what,
                          parser_at_keyword (self) ? "the keyword " : "",
                          token->text.size < 64 ? (int)token->text.size : 64, token->text.data);
    }
}

static status_t enter (parser_t *self)
{
    self->builder->at = self->token.at;
    if (++self->depth > EXPR_DEPTH_MAX)
        return error_set (self->error, STATUS_TOO_LARGE,
                          "parentheses, calls and lists are nested more than %d deep",
                          EXPR_DEPTH_MAX);
    return STATUS_OK;
}

/* One expression inside parentheses, a call or a list. */
status_t parse_nested (parser_t *self)
{
    status_t status = enter (self);
    if (status == STATUS_OK)
        status = parse_level (self, PRECEDENCE_LOWEST);
    self->depth--;
    return status;
}

/* What follows "(": expressions up to ")". */
status_t parse_list (parser_t *self, size_t *count)
{
    *count = 0;
    if (parser_skip_symbol (self, ")"))
        return STATUS_OK;
    do {
        status_t status = parse_nested (self);
        if (status != STATUS_OK)
            return status;
        ++*count;
    } while (parser_skip_symbol (self, ","));
    return parser_skip_symbol (self, ")") ? STATUS_OK : parser_expected (self, "',' or ')'");
}

/* Is the next token, after a minus, the one integer that only fits with it? */
static bool at_least_integer (const parser_t *self)
{
    size_t at = self->token.at;
    text_t text = { self->lexer->source.data + at, (uint32_t)(self->lexer->at - at) };
    return self->token.kind == TOKEN_BAD && text_is (text, "9223372036854775808");
}

/* { "-" } primary. Only the innermost sign can be wrong, so the others need not be told apart. */
static status_t parse_minus (parser_t *self)
{
    size_t first = self->token.at;
    size_t innermost = first;
    size_t count = 0;
    for (; parser_at_symbol (self, "-"); count++) {
        innermost = self->token.at;
        parser_advance (self);
    }
    status_t status;
    if (count > 0 && at_least_integer (self)) {
        value_t value = { .type = TYPE_INT64, .i = INT64_MIN };
        parser_advance (self);
        status = build_literal (self->builder, &value, innermost);
        count--;
    } else {
        status = parse_primary (self);
    }
    for (; count > 0 && status == STATUS_OK; count--) {
        status = build_negate (self->builder, innermost);
        innermost = first;
    }
    return status;
}

/* The binary operator at the next token, BINARY_COUNT when there is none. */
static binary_t at_binary (const parser_t *self)
{
    if (parser_at_symbol (self, "!="))
        return BINARY_UNEQUAL;
    for (binary_t i = 0; i < BINARY_COUNT; i++) {
        if (parser_at_symbol (self, binary_text[i]) || parser_at_word (self, binary_text[i]))
            return i;
    }
    return BINARY_COUNT;
}

static bool at_predicate (const parser_t *self)
{
    binary_t binary = at_binary (self);
    return parser_at_word (self, "is") || parser_at_word (self, "in") ||
           parser_at_word (self, "between") || parser_at_word (self, "not") ||
           (binary != BINARY_COUNT && binary_precedence[binary] == PRECEDENCE_COMPARE);
}

/* After "is": [not] null | [not] distinct from value */
static status_t parse_is (parser_t *self, size_t at)
{
    bool negated = parser_skip_word (self, "not");
    status_t status = STATUS_OK;
    if (parser_skip_word (self, "null")) {
        status = build_is_null (self->builder, at);
    } else if (parser_skip_word (self, "distinct")) {
        if (!parser_skip_word (self, "from"))
            return parser_expected (self, "'from'");
        status = parse_level (self, PRECEDENCE_ADD);
        if (status == STATUS_OK)
            status = build_binary (self->builder, BINARY_DISTINCT, at);
    } else {
        return parser_expected (self, negated ? "'null' or 'distinct from'"
                                              : "'null', 'not null' or '[not] distinct from'");
    }
    return status == STATUS_OK && negated ? build_not (self->builder, at) : status;
}

/* After "in": "(" value { "," value } ")" */
static status_t parse_in (parser_t *self, size_t at)
{
    size_t count = 0;
    if (!parser_skip_symbol (self, "("))
        return parser_expected (self, "'(' and a list after 'in'");
    if (parser_at_symbol (self, ")"))
        return parser_expected (self, "a value");
    status_t status = parse_list (self, &count);
    return status == STATUS_OK ? build_in (self->builder, count, at) : status;
}

/* After "between": value "and" value */
static status_t parse_between (parser_t *self, size_t at)
{
    status_t status = parse_level (self, PRECEDENCE_ADD);
    if (status == STATUS_OK && !parser_skip_word (self, "and"))
        return parser_expected (self, "'and' and the upper bound");
    if (status == STATUS_OK)
        status = parse_level (self, PRECEDENCE_ADD);
    return status == STATUS_OK ? build_between (self->builder, at) : status;
}

/* The right side of a comparison, whose operator is the next token. */
static status_t parse_comparison (parser_t *self, size_t at)
{
    binary_t binary = at_binary (self);
    parser_advance (self);
    status_t status = parse_level (self, PRECEDENCE_ADD);
    return status == STATUS_OK ? build_binary (self->builder, binary, at) : status;
}

/* The operator and right side of a comparison, `is`, `in`, `between` or `like`. */
static status_t parse_predicate (parser_t *self)
{
    size_t at = self->token.at;
    status_t status;
    if (parser_skip_word (self, "is"))
        return parse_is (self, at);
    bool negated = parser_skip_word (self, "not");
    if (parser_skip_word (self, "in"))
        status = parse_in (self, at);
    else if (parser_skip_word (self, "between"))
        status = parse_between (self, at);
    else if (!negated || parser_at_word (self, "like"))
        status = parse_comparison (self, at);
    else
        return parser_expected (self, "'in', 'between' or 'like' after 'not'");
    return status == STATUS_OK && negated ? build_not (self->builder, at) : status;
}

/* A predicate that no other follows. */
static status_t parse_one_predicate (parser_t *self)
{
    status_t status = parse_predicate (self);
    if (status != STATUS_OK || !at_predicate (self))
        return status;
    self->builder->at = self->token.at;
    return error_set (self->error, STATUS_INVALID,
                      "comparisons do not chain; put parentheses around one of them");
}

/* { "not" } comparison. Only the innermost `not` can be wrong. */
static status_t parse_not (parser_t *self)
{
    size_t first = self->token.at;
    size_t innermost = first;
    size_t count = 0;
    for (; parser_at_word (self, "not"); count++) {
        innermost = self->token.at;
        parser_advance (self);
    }
    status_t status = parse_level (self, PRECEDENCE_COMPARE);
    for (; count > 0 && status == STATUS_OK; count--) {
        status = build_not (self->builder, innermost);
        innermost = first;
    }
    return status;
}

/* An operand and all operators after it that bind at least as tightly as `lowest`. */
static status_t parse_level (parser_t *self, precedence_t lowest)
{
    status_t status = lowest <= PRECEDENCE_NOT ? parse_not (self) : parse_minus (self);
    while (status == STATUS_OK) {
        if (lowest <= PRECEDENCE_COMPARE && at_predicate (self)) {
            status = parse_one_predicate (self);
            continue;
        }
        binary_t binary = at_binary (self);
        if (binary == BINARY_COUNT || binary_precedence[binary] < lowest)
            break;
        size_t at = self->token.at;
        parser_advance (self);
        status = parse_level (self, binary_precedence[binary] + 1);
        if (status == STATUS_OK)
            status = build_binary (self->builder, binary, at);
    }
    return status;
}

/* The finished expression; takes the builder's arena and zones. */
static expr_t *finish (builder_t *builder)
{
    CHECK (builder->stack_count == 1);
    expr_t *self = mem_zero (1, sizeof *self);
    self->magic = EXPR_MAGIC;
    self->arena = builder->arena;
    self->nodes_count = builder->nodes_count;
    self->zones_count = builder->zones_count;
    memcpy (self->zones, builder->zones, sizeof self->zones);
    size_t size = builder->nodes_count * sizeof *self->nodes;
    self->nodes = memcpy (arena_alloc (self->arena, size), builder->nodes, size);
    size = builder->args_count * sizeof *self->args;
    self->args = memcpy (arena_alloc (self->arena, size + 1), builder->args, size);
    eval_constants (self);
    return self;
}

/* The canonical text must be one that parses again. */
static status_t check_canonical (const expr_t *expr, error_t *error)
{
    buf_t text;
    buf_init (&text, EXPR_TEXT_MAX);
    expr_format (expr, &text);
    bool fits = !text.bad;
    buf_release (&text);
    if (fits)
        return STATUS_OK;
    return error_set (error, STATUS_TOO_LARGE,
                      "the expression is longer than %d bytes when written out in full",
                      EXPR_TEXT_MAX);
}

/* Parses into `builder` and leaves the lexer before the first token that does not belong. */
static status_t parse_into (builder_t *builder, lexer_t *lexer, const expr_scope_t *scope,
                            error_t *error)
{
    parser_t parser = { .lexer = lexer, .scope = scope, .builder = builder, .error = error };
    parser_advance (&parser);
    size_t start = parser.token.at;
    status_t status = parse_level (&parser, PRECEDENCE_LOWEST);
    if (status != STATUS_OK)
        return status;
    lexer->at = parser.token.at;
    if (parser.end - start <= EXPR_TEXT_MAX)
        return STATUS_OK;
    builder->at = start;
    return error_set (error, STATUS_TOO_LARGE, "the expression is longer than %d bytes",
                      EXPR_TEXT_MAX);
}

status_t expr_parse_prefix (lexer_t *lexer, const expr_scope_t *scope, expr_t **expr, size_t *at,
                            error_t *error)
{
    size_t start = lexer->at;
    builder_t *builder = mem_zero (1, sizeof *builder);
    builder->arena = arena_new (1024);
    builder->error = error;
    *expr = NULL;
    status_t status = parse_into (builder, lexer, scope, error);
    if (status == STATUS_OK) {
        expr_t *self = finish (builder);
        builder->at = start;
        status = check_canonical (self, error);
        if (status == STATUS_OK)
            *expr = self;
        else
            expr_destroy (&self);
    } else {
        for (size_t i = 0; i < builder->zones_count; i++)
            zone_destroy (&builder->zones[i]);
        arena_destroy (&builder->arena);
    }
    if (status != STATUS_OK)
        *at = builder->at;
    mem_free (builder);
    return status;
}

status_t expr_parse (text_t text, const expr_scope_t *scope, expr_t **expr, size_t *at,
                     error_t *error)
{
    *expr = NULL;
    *at = 0;
    if (text.size > EXPR_TEXT_MAX)
        return error_set (error, STATUS_TOO_LARGE, "the expression is longer than %d bytes",
                          EXPR_TEXT_MAX);
    lexer_t lexer = { .source = text, .arena = arena_new (1024) };
    status_t status = expr_parse_prefix (&lexer, scope, expr, at, error);
    if (status == STATUS_OK) {
        token_t token = lexer_next (&lexer);
        if (token.kind != TOKEN_END) {
            *at = token.at;
            expr_destroy (expr);
            status = token.kind == TOKEN_BAD
                         ? error_set (error, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text))
                         : error_set (error, STATUS_INVALID,
                                      "expected an operator or the end after the expression");
        }
    }
    arena_destroy (&lexer.arena);
    return status;
}
