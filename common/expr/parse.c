/* The parser: precedence climbing over the lexer's tokens, into the builder. Only what stands
 * inside something else (parentheses, calls, lists) is recursion, so EXPR_DEPTH_MAX bounds it. */
#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "expr/build.h"

#include <strings.h>

/* 0000-01-01T00:00:00Z: literals from here to TIME_EVENT_MAX can be printed and read again. */
#define TIME_LITERAL_MIN INT64_C (-62167219200000000)

typedef struct parser {
    lexer_t *lexer;
    token_t token; /* the next one, not yet consumed */
    size_t end;    /* of the last one consumed */
    const expr_scope_t *scope;
    builder_t *builder;
    int depth;
    error_t *error;
} parser_t;

static status_t parse_level (parser_t *self, precedence_t lowest);

static bool at_word (const parser_t *self, const char *word)
{
    return self->token.kind == TOKEN_NAME && self->token.text.size == strlen (word) &&
           strncasecmp (self->token.text.data, word, self->token.text.size) == 0;
}

static bool at_symbol (const parser_t *self, const char *symbol)
{
    return self->token.kind == TOKEN_SYMBOL && text_is (self->token.text, symbol);
}

static bool at_keyword (const parser_t *self)
{
    return self->token.kind == TOKEN_NAME && expr_is_keyword (self->token.text);
}

static void advance (parser_t *self)
{
    self->end = self->lexer->at;
    self->token = lexer_next (self->lexer);
}

static bool skip_word (parser_t *self, const char *word)
{
    bool found = at_word (self, word);
    if (found)
        advance (self);
    return found;
}

static bool skip_symbol (parser_t *self, const char *symbol)
{
    bool found = at_symbol (self, symbol);
    if (found)
        advance (self);
    return found;
}

/* "expected …, found …" at the next token. */
static status_t expected (parser_t *self, const char *what)
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
                          at_keyword (self) ? "the keyword " : "",
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
static status_t parse_nested (parser_t *self)
{
    status_t status = enter (self);
    if (status == STATUS_OK)
        status = parse_level (self, PRECEDENCE_LOWEST);
    self->depth--;
    return status;
}

/* What follows "(": expressions up to ")". */
static status_t parse_list (parser_t *self, size_t *count)
{
    *count = 0;
    if (skip_symbol (self, ")"))
        return STATUS_OK;
    do {
        status_t status = parse_nested (self);
        if (status != STATUS_OK)
            return status;
        ++*count;
    } while (skip_symbol (self, ","));
    return skip_symbol (self, ")") ? STATUS_OK : expected (self, "',' or ')'");
}

static status_t parse_call (parser_t *self, text_t name, size_t at)
{
    const function_t *function = function_find (name);
    if (function == NULL) {
        size_t names_count;
        const char *const *names = function_names (&names_count);
        const char *nearest =
            text_nearest (arena_string (self->builder->arena, name), names, names_count);
        self->builder->at = at;
        return error_set (self->error, STATUS_INVALID, "unknown function '" TEXT_FORMAT "'%s%s%s",
                          TEXT_ARGS (name), nearest != NULL ? "; did you mean '" : "",
                          nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
    }
    size_t count;
    status_t status = parse_list (self, &count);
    return status == STATUS_OK ? build_call (self->builder, function, count, at) : status;
}

static status_t unknown_field (parser_t *self, text_t name, size_t at)
{
    const expr_scope_t *scope = self->scope;
    const char *nearest = NULL;
    if (scope != NULL)
        nearest = text_nearest (arena_string (self->builder->arena, name), scope->names,
                                scope->names_count);
    self->builder->at = at;
    if (text_is (name, "now"))
        return error_set (self->error, STATUS_INVALID, "'now' has no meaning here");
    return error_set (self->error, STATUS_INVALID, "unknown field '" TEXT_FORMAT "'%s%s%s",
                      TEXT_ARGS (name), nearest != NULL ? "; did you mean '" : "",
                      nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static status_t parse_field (parser_t *self, text_t name, size_t at)
{
    uint32_t column = 0;
    type_t type = TYPE_NONE;
    if (self->scope != NULL)
        type = self->scope->lookup (self->scope->arg, name, &column);
    if (type == TYPE_NONE)
        return unknown_field (self, name, at);
    return build_field (self->builder, name, type, column, at);
}

/* name { "." name }, its parts joined in the arena; `name` is the part already read. */
static status_t parse_dotted (parser_t *self, text_t *name)
{
    while (skip_symbol (self, ".")) {
        if (self->token.kind != TOKEN_NAME || at_keyword (self))
            return expected (self, "a name after '.'");
        text_t part = self->token.text;
        if (name->size + part.size + 1 > EXPR_TEXT_MAX) {
            self->builder->at = self->token.at;
            return error_set (self->error, STATUS_TOO_LARGE, "the name is longer than %d bytes",
                              EXPR_TEXT_MAX);
        }
        char *joined = arena_alloc (self->builder->arena, name->size + part.size + 1);
        memcpy (joined, name->data, name->size);
        joined[name->size] = '.';
        memcpy (joined + name->size + 1, part.data, part.size);
        *name = (text_t){ joined, name->size + part.size + 1 };
        advance (self);
    }
    return STATUS_OK;
}

static status_t parse_time (parser_t *self, size_t at)
{
    if (self->token.kind != TOKEN_STRING)
        return expected (self, "a string after 'time'");
    text_t text = self->token.text;
    value_t value = { .type = TYPE_TIMESTAMP };
    self->builder->at = self->token.at;
    bool has_dash = text.size != 0 && memchr (text.data, '-', text.size) != NULL;
    if (!has_dash || text.data[0] == '-') /* an integer would be read, but in which unit? */
        return error_set (self->error, STATUS_INVALID,
                          "a time is written as in time '2026-01-02T00:00:00Z'");
    status_t status = time_parse (text, NULL, UNIT_US, &value.i, self->error);
    if (status != STATUS_OK)
        return status;
    if (value.i < TIME_LITERAL_MIN || value.i > TIME_EVENT_MAX)
        return error_set (self->error, STATUS_RANGE, "the time is not in the years 0000 to 9999");
    advance (self);
    return build_literal (self->builder, &value, at);
}

/* A name, a call, or a keyword that stands for a value. */
static status_t parse_name (parser_t *self)
{
    static const text_t now = { "now", 3 };
    token_t token = self->token;
    value_t value = { .type = TYPE_BOOL };
    if (at_word (self, "time") || at_word (self, "now")) {
        bool is_time = at_word (self, "time");
        advance (self);
        return is_time ? parse_time (self, token.at) : parse_field (self, now, token.at);
    }
    if (at_word (self, "null"))
        value.null = true;
    else if (at_word (self, "true"))
        value.i = 1;
    else if (at_keyword (self) && !at_word (self, "false"))
        return expected (self, "a value");
    advance (self);
    if (expr_is_keyword (token.text))
        return build_literal (self->builder, &value, token.at);
    if (skip_symbol (self, "("))
        return parse_call (self, token.text, token.at);
    text_t name = token.text;
    status_t status = parse_dotted (self, &name);
    return status == STATUS_OK ? parse_field (self, name, token.at) : status;
}

/* Is the next token, after a minus, the one integer that only fits with it? */
static bool at_least_integer (const parser_t *self)
{
    size_t at = self->token.at;
    text_t text = { self->lexer->source.data + at, (uint32_t)(self->lexer->at - at) };
    return self->token.kind == TOKEN_BAD && text_is (text, "9223372036854775808");
}

static status_t parse_primary (parser_t *self)
{
    token_t token = self->token;
    value_t value = { .type = TYPE_NONE };
    switch (token.kind) {
    case TOKEN_INTEGER:
    case TOKEN_DURATION:
        value.type = token.kind == TOKEN_INTEGER ? TYPE_INT64 : TYPE_DURATION;
        value.i = token.i;
        break;
    case TOKEN_FLOAT:
        value.type = TYPE_FLOAT64;
        value.f = value_float (token.f);
        break;
    case TOKEN_STRING:
        value.type = TYPE_STRING;
        value.s = token.text;
        break;
    case TOKEN_NAME:
        return parse_name (self);
    default:
        if (!skip_symbol (self, "("))
            return expected (self, "a value");
        status_t status = parse_nested (self);
        if (status != STATUS_OK || skip_symbol (self, ")"))
            return status;
        return expected (self, "')'");
    }
    advance (self);
    return build_literal (self->builder, &value, token.at);
}

/* { "-" } primary. Only the innermost sign can be wrong, so the others need not be told apart. */
static status_t parse_minus (parser_t *self)
{
    size_t first = self->token.at;
    size_t innermost = first;
    size_t count = 0;
    for (; at_symbol (self, "-"); count++) {
        innermost = self->token.at;
        advance (self);
    }
    status_t status;
    if (count > 0 && at_least_integer (self)) {
        value_t value = { .type = TYPE_INT64, .i = INT64_MIN };
        advance (self);
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
    if (at_symbol (self, "!="))
        return BINARY_UNEQUAL;
    for (binary_t i = 0; i < BINARY_COUNT; i++) {
        if (at_symbol (self, binary_text[i]) || at_word (self, binary_text[i]))
            return i;
    }
    return BINARY_COUNT;
}

static bool at_predicate (const parser_t *self)
{
    binary_t binary = at_binary (self);
    return at_word (self, "is") || at_word (self, "in") || at_word (self, "not") ||
           (binary != BINARY_COUNT && binary_precedence[binary] == PRECEDENCE_COMPARE);
}

/* After "is": [not] null | [not] distinct from value */
static status_t parse_is (parser_t *self, size_t at)
{
    bool negated = skip_word (self, "not");
    status_t status = STATUS_OK;
    if (skip_word (self, "null")) {
        status = build_is_null (self->builder, at);
    } else if (skip_word (self, "distinct")) {
        if (!skip_word (self, "from"))
            return expected (self, "'from'");
        status = parse_level (self, PRECEDENCE_ADD);
        if (status == STATUS_OK)
            status = build_binary (self->builder, BINARY_DISTINCT, at);
    } else {
        return expected (self, negated ? "'null' or 'distinct from'"
                                       : "'null', 'not null' or '[not] distinct from'");
    }
    return status == STATUS_OK && negated ? build_not (self->builder, at) : status;
}

/* After "in": "(" value { "," value } ")" */
static status_t parse_in (parser_t *self, size_t at)
{
    size_t count = 0;
    if (!skip_symbol (self, "("))
        return expected (self, "'(' and a list after 'in'");
    if (at_symbol (self, ")"))
        return expected (self, "a value");
    status_t status = parse_list (self, &count);
    return status == STATUS_OK ? build_in (self->builder, count, at) : status;
}

/* The operator and right side of a comparison, `is` or `in`. */
static status_t parse_predicate (parser_t *self)
{
    size_t at = self->token.at;
    status_t status;
    if (skip_word (self, "is")) {
        status = parse_is (self, at);
    } else if (skip_word (self, "in")) {
        status = parse_in (self, at);
    } else if (skip_word (self, "not")) {
        if (!skip_word (self, "in"))
            return expected (self, "'in' after 'not'");
        status = parse_in (self, at);
        if (status == STATUS_OK)
            status = build_not (self->builder, at);
    } else {
        binary_t binary = at_binary (self);
        advance (self);
        status = parse_level (self, PRECEDENCE_ADD);
        if (status == STATUS_OK)
            status = build_binary (self->builder, binary, at);
    }
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
    for (; at_word (self, "not"); count++) {
        innermost = self->token.at;
        advance (self);
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
            status = parse_predicate (self);
            continue;
        }
        binary_t binary = at_binary (self);
        if (binary == BINARY_COUNT || binary_precedence[binary] < lowest)
            break;
        size_t at = self->token.at;
        advance (self);
        status = parse_level (self, binary_precedence[binary] + 1);
        if (status == STATUS_OK)
            status = build_binary (self->builder, binary, at);
    }
    return status;
}

/* The finished expression; takes the builder's arena. */
static expr_t *finish (builder_t *builder)
{
    CHECK (builder->stack_count == 1);
    expr_t *self = mem_zero (1, sizeof *self);
    self->magic = EXPR_MAGIC;
    self->arena = builder->arena;
    self->nodes_count = builder->nodes_count;
    self->has_in = builder->has_in;
    size_t size = builder->nodes_count * sizeof *self->nodes;
    self->nodes = memcpy (arena_alloc (self->arena, size), builder->nodes, size);
    size = builder->args_count * sizeof *self->args;
    self->args = memcpy (arena_alloc (self->arena, size + 1), builder->args, size);
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
    advance (&parser);
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
