#include "feature/feature_text.h"

#include "base/check.h"
#include "feature/mistakes.h"

#include <strings.h>

typedef struct parser {
    lexer_t lexer;
    const expr_scope_t *scope;
    arena_t *arena;
    feature_text_t *out;
    size_t *at; /* of the mistake */
    error_t *error;
} parser_t;

/* Fails at a place. */
#define FAIL(parser, where, status, ...)                                                           \
    (*(parser)->at = (where), error_set ((parser)->error, (status), __VA_ARGS__))

static bool word_is (const token_t *token, const char *word)
{
    return token->kind == TOKEN_NAME && token->text.size == strlen (word) &&
           strncasecmp (token->text.data, word, token->text.size) == 0;
}

static bool symbol_is (const token_t *token, const char *symbol)
{
    return token->kind == TOKEN_SYMBOL && text_is (token->text, symbol);
}

static token_t peek (const parser_t *parser)
{
    lexer_t ahead = parser->lexer;
    return lexer_next (&ahead);
}

/* The token as written. */
static text_t token_text (const parser_t *parser, const token_t *token)
{
    lexer_t ahead = parser->lexer;
    ahead.at = token->at;
    (void)lexer_next (&ahead);
    /* the whole of a character that is no token */
    while (ahead.at < ahead.source.size && ((uint8_t)ahead.source.data[ahead.at] & 0xc0) == 0x80)
        ahead.at++;
    return (text_t){ parser->lexer.source.data + token->at, (uint32_t)(ahead.at - token->at) };
}

/* What a message shows of a token: "'over'", "the end". */
static const char *shown (const parser_t *parser, const token_t *token)
{
    if (token->kind == TOKEN_END)
        return "the end";
    text_t text = mistake_shown (token_text (parser, token));
    char *quoted = arena_alloc (parser->arena, text.size + 3);
    quoted[0] = '\'';
    memcpy (quoted + 1, text.data, text.size);
    memcpy (quoted + 1 + text.size, "\'", 2);
    return quoted;
}

const char *expression_text (const expr_t *expr, arena_t *arena)
{
    buf_t buf;
    buf_init (&buf, EXPR_TEXT_MAX + 1);
    expr_format (expr, &buf);
    CHECK (!buf.bad);
    const char *text = arena_string (arena, (text_t){ (const char *)buf.data, (uint32_t)buf.size });
    buf_release (&buf);
    return text;
}

/* One expression as canonical text and type. */
static status_t read_expression (parser_t *parser, const char **text, type_t *type)
{
    expr_t *expr = NULL;
    status_t status =
        expr_parse_prefix (&parser->lexer, parser->scope, &expr, parser->at, parser->error);
    if (status != STATUS_OK)
        return status;
    *text = expression_text (expr, parser->arena);
    *type = expr_type (expr);
    expr_destroy (&expr);
    return STATUS_OK;
}

/* What people call an aggregate elsewhere. */
static const char *aggregate_synonym (const char *word)
{
    static const char *const synonyms[][2] = {
        { "total", "sum" },
        { "count_distinct", "approx_count_distinct" },
        { "hll", "approx_count_distinct" },
        { "median", "approx_median" },
        { "quantile", "approx_quantile" },
        { "percentile", "approx_quantile" },
    };
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        if (strcasecmp (word, synonyms[i][0]) == 0)
            return synonyms[i][1];
    }
    return NULL;
}

static status_t fail_aggregate (parser_t *parser, const token_t *token)
{
    size_t count;
    const char *const *words = aggregate_words (&count);
    text_t name = token->text;
    if (name.size > NAME_MAX_SIZE)
        name.size = NAME_MAX_SIZE;
    const char *word = arena_string (parser->arena, name);
    const char *meant = aggregate_synonym (word);
    if (meant == NULL)
        meant = text_nearest (word, words, count);
    if (meant != NULL)
        return FAIL (parser, token->at, STATUS_INVALID,
                     "unknown aggregate '%s'; did you mean '%s'?", word, meant);
    buf_t all;
    buf_init (&all, ERROR_TEXT_MAX);
    for (size_t i = 0; i < count; i++)
        buf_printf (&all, "%s%s", i > 0 ? ", " : "", words[i]);
    status_t status = FAIL (parser, token->at, STATUS_INVALID,
                            "unknown aggregate '%s'; this version has %s", word, buf_string (&all));
    buf_release (&all);
    return status;
}

/* "int64 or float64" */
static void put_types (unsigned inputs, buf_t *out)
{
    unsigned left = inputs;
    for (unsigned type = 0; left != 0; type++) {
        if (!(left & 1u << type))
            continue;
        left &= ~(1u << type);
        const char *between = left == inputs - (1u << type) ? "" : left == 0 ? " or " : ", ";
        buf_printf (out, "%s%s", between, type_word ((type_t)type));
    }
}

static status_t check_input (parser_t *parser, size_t at, type_t type)
{
    const aggregate_info_t *info = aggregate_info (parser->out->aggregate);
    if (type != TYPE_NONE && (info->inputs & 1u << type))
        return STATUS_OK;
    buf_t types;
    buf_init (&types, 256);
    put_types (info->inputs, &types);
    status_t status = FAIL (parser, at, STATUS_INVALID, "%s takes %s, and this is %s", info->word,
                            buf_string (&types), type == TYPE_NONE ? "null" : type_word (type));
    buf_release (&types);
    return status;
}

/* What stands in the aggregate's parentheses, and the closing one. */
static status_t read_input (parser_t *parser)
{
    const char *word = aggregate_info (parser->out->aggregate)->word;
    token_t token = peek (parser);
    if (!symbol_is (&token, ")")) {
        size_t at = token.at;
        type_t type;
        status_t status = read_expression (parser, &parser->out->input, &type);
        if (status == STATUS_OK)
            status = check_input (parser, at, type);
        if (status != STATUS_OK)
            return status;
    } else if (aggregate_info (parser->out->aggregate)->state != STATE_COUNT) {
        return FAIL (parser, token.at, STATUS_INVALID,
                     "%s needs an expression: %s(amount), for example", word, word);
    }
    token = lexer_next (&parser->lexer);
    if (symbol_is (&token, ","))
        return FAIL (parser, token.at, STATUS_INVALID, "%s takes one expression", word);
    if (token.kind == TOKEN_BAD)
        return FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    if (!symbol_is (&token, ")"))
        return FAIL (parser, token.at, STATUS_INVALID,
                     "expected ')' after the expression in %s(…), found %s", word,
                     shown (parser, &token));
    return STATUS_OK;
}

static status_t fail_no_aggregate (parser_t *parser, const token_t *token)
{
    return FAIL (parser, token->at, STATUS_INVALID,
                 "a feature begins with an aggregate, as in sum(amount) over 7d; found %s",
                 shown (parser, token));
}

static status_t read_aggregate (parser_t *parser)
{
    token_t token = lexer_next (&parser->lexer);
    if (token.kind == TOKEN_BAD)
        return FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    if (token.kind != TOKEN_NAME)
        return fail_no_aggregate (parser, &token);
    parser->out->aggregate = aggregate_from_word (token.text);
    token_t next = peek (parser);
    if (parser->out->aggregate == AGGREGATE_NONE && symbol_is (&next, "("))
        return fail_aggregate (parser, &token);
    if (parser->out->aggregate == AGGREGATE_NONE)
        return fail_no_aggregate (parser, &token);
    const aggregate_info_t *info = aggregate_info (parser->out->aggregate);
    const char *word = info->word;
    if (info->inputs == 0 || info->second != 0 || info->parameter != PARAMETER_NONE)
        return FAIL (parser, token.at, STATUS_UNSUPPORTED,
                     "this version does not support %s in a feature", word);
    token = lexer_next (&parser->lexer);
    if (!symbol_is (&token, "("))
        return FAIL (parser, token.at, STATUS_INVALID, "expected '(' after '%s', found %s", word,
                     shown (parser, &token));
    return read_input (parser);
}

static status_t read_filter (parser_t *parser)
{
    token_t token = peek (parser);
    if (!word_is (&token, "where"))
        return STATUS_OK;
    (void)lexer_next (&parser->lexer);
    size_t at = peek (parser).at;
    type_t type;
    status_t status = read_expression (parser, &parser->out->filter, &type);
    if (status != STATUS_OK)
        return status;
    if (type != TYPE_BOOL)
        return FAIL (parser, at, STATUS_INVALID, "`where` takes a bool, and this is %s",
                     type == TYPE_NONE ? "null" : type_word (type));
    return STATUS_OK;
}

static status_t add_window (parser_t *parser, const token_t *token, int64_t window)
{
    feature_text_t *out = parser->out;
    if (out->windows_count == FEATURE_WINDOWS_MAX)
        return FAIL (parser, token->at, STATUS_INVALID,
                     "too many windows (at most %d); write another feature", FEATURE_WINDOWS_MAX);
    const char *written = window == WINDOW_LIFETIME
                              ? "lifetime"
                              : arena_string (parser->arena, token_text (parser, token));
    out->windows[out->windows_count++] = (feature_window_t){
        .written = written,
        .window = window,
        .at = token->at,
    };
    return STATUS_OK;
}

static status_t read_window (parser_t *parser)
{
    token_t token = lexer_next (&parser->lexer);
    if (token.kind == TOKEN_BAD)
        return FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    if (word_is (&token, "lifetime"))
        return add_window (parser, &token, WINDOW_LIFETIME);
    if (token.kind == TOKEN_DURATION) {
        if (token.i < WINDOW_MIN || token.i > WINDOW_MOST)
            return FAIL (parser, token.at, STATUS_INVALID,
                         "a window is from 1s to 3650d, or lifetime; found %s",
                         shown (parser, &token));
        return add_window (parser, &token, token.i);
    }
    if (token.kind == TOKEN_INTEGER) {
        token_t unit = peek (parser);
        if (word_is (&unit, "rows"))
            return FAIL (parser, token.at, STATUS_UNSUPPORTED,
                         "this version does not support windows of rows; windows are durations");
        return FAIL (parser, token.at, STATUS_INVALID,
                     "a window needs a unit, as in 30m, 24h or 7d");
    }
    return FAIL (parser, token.at, STATUS_INVALID,
                 "expected a window, as in over 1h, 7d, lifetime; found %s",
                 shown (parser, &token));
}

static status_t read_windows (parser_t *parser)
{
    token_t token = peek (parser);
    if (!word_is (&token, "over"))
        return STATUS_OK;
    do {
        (void)lexer_next (&parser->lexer); /* over, or a comma */
        status_t status = read_window (parser);
        if (status != STATUS_OK)
            return status;
        token = peek (parser);
    } while (symbol_is (&token, ","));
    return STATUS_OK;
}

/* Nothing may follow; says what was probably meant. */
static status_t read_end (parser_t *parser)
{
    static const char *const later[] = { "by", "delay", "default" };
    token_t token = peek (parser);
    if (token.kind == TOKEN_END)
        return STATUS_OK;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        if (word_is (&token, later[i]))
            return FAIL (parser, token.at, STATUS_UNSUPPORTED,
                         "this version does not support `%s` in a feature", later[i]);
    }
    if (symbol_is (&token, "+") || symbol_is (&token, "-") || symbol_is (&token, "*") ||
        symbol_is (&token, "/") || symbol_is (&token, "%"))
        return FAIL (parser, token.at, STATUS_UNSUPPORTED,
                     "this version does not support arithmetic on features; a feature is one "
                     "aggregate");
    if (word_is (&token, "where"))
        return FAIL (parser, token.at, STATUS_INVALID,
                     "`where` comes once, before `over`: sum(amount) where amount > 0 over 7d");
    if (token.kind == TOKEN_BAD)
        return FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    return FAIL (parser, token.at, STATUS_INVALID, "expected %s, found %s",
                 parser->out->windows_count > 0 ? "',' and another window, or the end"
                                                : "`where`, `over` or the end",
                 shown (parser, &token));
}

status_t feature_text_read (text_t text, const expr_scope_t *scope, arena_t *arena,
                            feature_text_t *feature, size_t *at, error_t *error)
{
    *feature = (feature_text_t){ .aggregate = AGGREGATE_NONE };
    parser_t parser = {
        .lexer = { .source = text, .arena = arena },
        .scope = scope,
        .arena = arena,
        .out = feature,
        .at = at,
        .error = error,
    };
    if (text.size > EXPR_TEXT_MAX)
        return FAIL (&parser, 0, STATUS_INVALID, "the text is too long (at most %d bytes)",
                     EXPR_TEXT_MAX);
    status_t status = read_aggregate (&parser);
    if (status == STATUS_OK)
        status = read_filter (&parser);
    if (status == STATUS_OK)
        status = read_windows (&parser);
    if (status == STATUS_OK)
        status = read_end (&parser);
    return status;
}

void feature_text_format (const feature_text_t *self, buf_t *out)
{
    buf_printf (out, "%s(%s)", aggregate_info (self->aggregate)->word,
                self->input != NULL ? self->input : "");
    if (self->filter != NULL)
        buf_printf (out, " where %s", self->filter);
    for (size_t i = 0; i < self->windows_count; i++)
        buf_printf (out, "%s%s", i == 0 ? " over " : ", ", self->windows[i].written);
}
