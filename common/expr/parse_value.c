/* What a value can be: literals, names, calls, casts, case. */
#include "base/arena.h"
#include "base/timestamp.h"
#include "expr/parse.h"

#include <strings.h>

/* 0000-01-01T00:00:00Z: literals from here to TIME_EVENT_MAX can be printed and read again. */
#define TIME_LITERAL_MIN INT64_C (-62167219200000000)

static status_t unknown_function (parser_t *self, text_t name, size_t at)
{
    size_t count;
    const char *const *names = function_names (&count);
    const char *hint = function_hint (name);
    const char *nearest = NULL;
    if (hint == NULL)
        nearest = text_nearest (arena_string (self->builder->arena, name), names, count);
    self->builder->at = at;
    return error_set (self->error, STATUS_INVALID, "unknown function '" TEXT_FORMAT "'%s%s%s",
                      TEXT_ARGS (name),
                      hint != NULL      ? "; "
                      : nearest != NULL ? "; did you mean '"
                                        : "",
                      hint != NULL      ? hint
                      : nearest != NULL ? nearest
                                        : "",
                      nearest != NULL ? "'?" : "");
}

/* A type of a cast, as written. */
/* "(" digits "," digits ")" */
static status_t parse_digits (parser_t *self, type_t *type, unsigned *precision)
{
    static const char what[] = "the digits of a decimal, as in decimal(12,2)";
    int64_t numbers[2] = { 0 };
    self->builder->at = self->token.at;
    size_t at = self->token.at;
    if (!parser_skip_symbol (self, "("))
        return parser_expected (self, what);
    for (size_t i = 0; i < 2; i++) {
        if (self->token.kind != TOKEN_INTEGER)
            return parser_expected (self, what);
        numbers[i] = self->token.i;
        parser_advance (self);
        if (!parser_skip_symbol (self, i == 0 ? "," : ")"))
            return parser_expected (self, i == 0 ? "','" : "')'");
    }
    self->builder->at = at;
    if (numbers[0] < 1 || numbers[0] > DECIMAL_DIGITS_MAX || numbers[1] > numbers[0])
        return error_set (self->error, STATUS_INVALID,
                          "a decimal has 1 to %d digits, and not more than that after the point",
                          DECIMAL_DIGITS_MAX);
    *precision = (unsigned)numbers[0];
    *type = type_decimal ((unsigned)numbers[1]);
    return STATUS_OK;
}

static status_t parse_type (parser_t *self, type_t *type, unsigned *precision)
{
    static const char *const others[][2] = {
        { "bigint", "int64" },       { "boolean", "bool" },   { "date", "timestamp" },
        { "datetime", "timestamp" }, { "double", "float64" }, { "float", "float64" },
        { "int", "int64" },          { "integer", "int64" },  { "long", "int64" },
        { "real", "float64" },       { "text", "string" },    { "varchar", "string" },
    };
    static const char *const words[] = { "bool",   "int64",     "float64",
                                         "string", "timestamp", "decimal" };
    if (self->token.kind != TOKEN_NAME)
        return parser_expected (self, "a type");
    char *word = arena_string (self->builder->arena, self->token.text);
    for (char *c = word; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    if (strcmp (word, "decimal") == 0 || strcmp (word, "numeric") == 0) {
        parser_advance (self);
        return parse_digits (self, type, precision);
    }
    *type = type_from_word (text_of (word));
    self->builder->at = self->token.at;
    if (*type == TYPE_DURATION)
        return error_set (self->error, STATUS_INVALID,
                          "cast cannot make a duration; multiply one, as in x * 1s");
    const char *nearest = NULL;
    for (size_t i = 0; i < sizeof others / sizeof *others && nearest == NULL; i++)
        nearest = strcmp (word, others[i][0]) == 0 ? others[i][1] : NULL;
    if (nearest == NULL)
        nearest = text_nearest (word, words, sizeof words / sizeof *words);
    if (*type == TYPE_NONE && nearest != NULL)
        return error_set (self->error, STATUS_INVALID, "unknown type '%.64s'; did you mean '%s'?",
                          word, nearest);
    if (*type == TYPE_NONE)
        return error_set (self->error, STATUS_INVALID,
                          "unknown type '%.64s'; there are bool, int64, float64, decimal, string "
                          "and timestamp",
                          word);
    parser_advance (self);
    return STATUS_OK;
}

/* After "cast(": value "as" type ")" */
static status_t parse_cast (parser_t *self, size_t at)
{
    type_t type = TYPE_NONE;
    unsigned precision = 0;
    status_t status = parse_nested (self);
    if (status == STATUS_OK && !parser_skip_word (self, "as"))
        return parser_expected (self, "'as' and a type");
    if (status == STATUS_OK)
        status = parse_type (self, &type, &precision);
    if (status != STATUS_OK)
        return status;
    return parser_skip_symbol (self, ")") ? build_cast (self->builder, type, precision, at)
                                          : parser_expected (self, "')'");
}

static status_t parse_call (parser_t *self, text_t name, size_t at)
{
    if (name.size == 4 && strncasecmp (name.data, "cast", 4) == 0)
        return parse_cast (self, at);
    const function_t *function = function_find (name);
    if (function == NULL)
        return unknown_function (self, name, at);
    size_t count;
    status_t status = parse_list (self, &count);
    return status == STATUS_OK ? build_call (self->builder, function, count, at) : status;
}

/* { "when" value "then" value } */
static status_t parse_arms (parser_t *self, size_t *arms)
{
    status_t status = STATUS_OK;
    for (*arms = 0; status == STATUS_OK && parser_skip_word (self, "when"); ++*arms) {
        status = parse_nested (self);
        if (status == STATUS_OK && !parser_skip_word (self, "then"))
            return parser_expected (self, "'then'");
        if (status == STATUS_OK)
            status = parse_nested (self);
    }
    if (status == STATUS_OK && *arms == 0)
        return parser_expected (self, "'when'");
    return status;
}

/* After "case": [value] arms ["else" value] "end" */
static status_t parse_case (parser_t *self, size_t at)
{
    size_t arms = 0;
    status_t status = STATUS_OK;
    bool operand = !parser_at_word (self, "when");
    if (operand)
        status = parse_nested (self);
    if (status == STATUS_OK)
        status = parse_arms (self, &arms);
    if (status != STATUS_OK)
        return status;
    bool has_else = parser_skip_word (self, "else");
    if (has_else)
        status = parse_nested (self);
    if (status != STATUS_OK)
        return status;
    if (!parser_skip_word (self, "end"))
        return parser_expected (self, has_else ? "'end'" : "'when', 'else' or 'end'");
    return build_case (self->builder, operand, arms, has_else, at);
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
    if (scope == NULL)
        return error_set (self->error, STATUS_INVALID,
                          "'" TEXT_FORMAT "' is no constant, and no field can be read here",
                          TEXT_ARGS (name));
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
    while (parser_skip_symbol (self, ".")) {
        if (self->token.kind != TOKEN_NAME || parser_at_keyword (self))
            return parser_expected (self, "a name after '.'");
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
        parser_advance (self);
    }
    return STATUS_OK;
}

static status_t parse_time (parser_t *self, size_t at)
{
    if (self->token.kind != TOKEN_STRING)
        return parser_expected (self, "a string after 'time'");
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
    parser_advance (self);
    return build_literal (self->builder, &value, at);
}

/* A name, a call, or a keyword that stands for a value. */
static status_t parse_name (parser_t *self)
{
    static const text_t now = { "now", 3 };
    token_t token = self->token;
    value_t value = { .type = TYPE_BOOL };
    if (parser_at_word (self, "time") || parser_at_word (self, "now")) {
        bool is_time = parser_at_word (self, "time");
        parser_advance (self);
        return is_time ? parse_time (self, token.at) : parse_field (self, now, token.at);
    }
    if (parser_skip_word (self, "case"))
        return parse_case (self, token.at);
    if (parser_at_word (self, "null"))
        value.null = true;
    else if (parser_at_word (self, "true"))
        value.i = 1;
    else if (parser_at_keyword (self) && !parser_at_word (self, "false"))
        return parser_expected (self, "a value");
    parser_advance (self);
    if (expr_is_keyword (token.text))
        return build_literal (self->builder, &value, token.at);
    if (parser_skip_symbol (self, "("))
        return parse_call (self, token.text, token.at);
    text_t name = token.text;
    status_t status = parse_dotted (self, &name);
    return status == STATUS_OK ? parse_field (self, name, token.at) : status;
}

status_t parse_primary (parser_t *self)
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
        parser_advance (self);
        return build_float (self->builder, token.f, token.text, token.at);
    case TOKEN_STRING:
        value.type = TYPE_STRING;
        value.s = token.text;
        break;
    case TOKEN_NAME:
        return parse_name (self);
    default:
        if (!parser_skip_symbol (self, "("))
            return parser_expected (self, "a value");
        status_t status = parse_nested (self);
        if (status != STATUS_OK || parser_skip_symbol (self, ")"))
            return status;
        return parser_expected (self, "')'");
    }
    parser_advance (self);
    return build_literal (self->builder, &value, token.at);
}
