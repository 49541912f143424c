#include "feature/feature_parse.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "feature/mistakes.h"

#include <strings.h>

/* ---- what the readers share ---- */

bool feature_word_is (const token_t *token, const char *word)
{
    return token->kind == TOKEN_NAME && token->text.size == strlen (word) &&
           strncasecmp (token->text.data, word, token->text.size) == 0;
}

bool feature_symbol_is (const token_t *token, const char *symbol)
{
    return token->kind == TOKEN_SYMBOL && text_is (token->text, symbol);
}

token_t feature_peek (const feature_parser_t *parser)
{
    lexer_t ahead = parser->lexer;
    return lexer_next (&ahead);
}

text_t feature_token_text (const feature_parser_t *parser, const token_t *token)
{
    lexer_t ahead = parser->lexer;
    ahead.at = token->at;
    (void)lexer_next (&ahead);
    /* the whole of a character that is no token */
    while (ahead.at < ahead.source.size && ((uint8_t)ahead.source.data[ahead.at] & 0xc0) == 0x80)
        ahead.at++;
    return (text_t){ parser->lexer.source.data + token->at, (uint32_t)(ahead.at - token->at) };
}

const char *feature_shown (const feature_parser_t *parser, const token_t *token)
{
    if (token->kind == TOKEN_END)
        return "the end";
    text_t text = mistake_shown (feature_token_text (parser, token));
    char *quoted = arena_alloc (parser->arena, text.size + 3);
    quoted[0] = '\'';
    memcpy (quoted + 1, text.data, text.size);
    memcpy (quoted + 1 + text.size, "\'", 2);
    return quoted;
}

const char *feature_type_word (type_t type)
{
    return type == TYPE_NONE ? "null" : type_word (type);
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

status_t feature_read_expression (feature_parser_t *parser, const expr_scope_t *scope,
                                  const char **text, type_t *type)
{
    expr_t *expr = NULL;
    status_t status = expr_parse_prefix (&parser->lexer, scope, &expr, parser->at, parser->error);
    if (status != STATUS_OK)
        return status;
    *text = expression_text (expr, parser->arena);
    *type = expr_type (expr);
    expr_destroy (&expr);
    return STATUS_OK;
}

/* ---- where, by ---- */

static status_t read_where (feature_parser_t *parser)
{
    size_t at = feature_peek (parser).at;
    type_t type;
    status_t status = feature_read_expression (parser, parser->scope, &parser->out->filter, &type);
    if (status != STATUS_OK)
        return status;
    if (type != TYPE_BOOL)
        return FEATURE_FAIL (parser, at, STATUS_INVALID, "`where` takes a bool, and this is %s",
                             feature_type_word (type));
    return STATUS_OK;
}

static status_t read_by (feature_parser_t *parser)
{
    feature_text_t *out = parser->out;
    out->by_at = feature_peek (parser).at;
    status_t status = feature_read_expression (parser, parser->scope, &out->by, &out->by_type);
    if (status != STATUS_OK)
        return status;
    if (!type_is_field (out->by_type))
        return FEATURE_FAIL (parser, out->by_at, STATUS_INVALID,
                             "`by` takes a field, or an expression of a field's type, and this is "
                             "%s",
                             feature_type_word (out->by_type));
    return STATUS_OK;
}

/* ---- over ---- */

static status_t add_window (feature_parser_t *parser, const feature_window_t *window)
{
    feature_text_t *out = parser->out;
    if (out->windows_count == FEATURE_WINDOWS_MAX)
        return FEATURE_FAIL (parser, window->at, STATUS_INVALID,
                             "too many windows (at most %d); write another feature",
                             FEATURE_WINDOWS_MAX);
    out->windows[out->windows_count++] = *window;
    return STATUS_OK;
}

static status_t check_duration (feature_parser_t *parser, const token_t *token)
{
    if (token->i < WINDOW_MIN || token->i > WINDOW_MOST)
        return FEATURE_FAIL (parser, token->at, STATUS_INVALID,
                             "a window is from 1s to 3650d, or lifetime; found %s",
                             feature_shown (parser, token));
    return STATUS_OK;
}

/* "100 rows [in 7d]", after the number. */
static status_t read_rows (feature_parser_t *parser, const token_t *number)
{
    if (number->i < 1 || number->i > FEATURE_COUNT_MAX)
        return FEATURE_FAIL (parser, number->at, STATUS_INVALID,
                             "a window has 1 to %d rows; found %s", FEATURE_COUNT_MAX,
                             feature_shown (parser, number));
    feature_window_t window = { .window = WINDOW_LIFETIME,
                                .rows = (uint16_t)number->i,
                                .at = number->at };
    buf_t written, suffix;
    buf_init (&written, 128);
    buf_init (&suffix, 128);
    buf_printf (&written, "%u rows", window.rows);
    buf_printf (&suffix, "%urows", window.rows);
    (void)lexer_next (&parser->lexer);
    token_t token = feature_peek (parser);
    status_t status = STATUS_OK;
    if (feature_word_is (&token, "in")) {
        (void)lexer_next (&parser->lexer);
        token = lexer_next (&parser->lexer);
        if (token.kind == TOKEN_DURATION)
            status = check_duration (parser, &token);
        else
            status = FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                                   "expected a duration, as in %u rows in 7d; found %s",
                                   window.rows, feature_shown (parser, &token));
        text_t duration = feature_token_text (parser, &token);
        window.window = token.i;
        buf_printf (&written, " in " TEXT_FORMAT, TEXT_ARGS (duration));
        buf_printf (&suffix, "_" TEXT_FORMAT, TEXT_ARGS (duration));
    }
    if (status == STATUS_OK && (written.bad || suffix.bad))
        status = FEATURE_FAIL (parser, token.at, STATUS_INVALID, "the duration is too long");
    window.written = arena_string (parser->arena, text_of (buf_string (&written)));
    window.suffix = arena_string (parser->arena, text_of (buf_string (&suffix)));
    buf_release (&written);
    buf_release (&suffix);
    return status == STATUS_OK ? add_window (parser, &window) : status;
}

static bool means_lifetime (feature_parser_t *parser, const token_t *token)
{
    static const char *const words[] = { "lifetime" };
    return token->kind == TOKEN_NAME && token->text.size <= NAME_MAX_SIZE &&
           text_nearest (arena_string (parser->arena, token->text), words, 1) != NULL;
}

static status_t read_window (feature_parser_t *parser)
{
    token_t token = lexer_next (&parser->lexer);
    feature_window_t window = { .window = WINDOW_LIFETIME, .at = token.at };
    if (token.kind == TOKEN_BAD)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    if (token.kind == TOKEN_INTEGER) {
        token_t unit = feature_peek (parser);
        if (feature_word_is (&unit, "rows"))
            return read_rows (parser, &token);
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                             "a window needs a unit, as in 30m, 24h, 7d or 100 rows");
    }
    if (feature_word_is (&token, "lifetime")) {
        window.written = window.suffix = "lifetime";
        return add_window (parser, &window);
    }
    if (token.kind != TOKEN_DURATION)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                             "expected a window, as in over 1h, 7d, 100 rows, lifetime; found %s%s",
                             feature_shown (parser, &token),
                             means_lifetime (parser, &token) ? "; did you mean lifetime?" : "");
    status_t status = check_duration (parser, &token);
    window.window = token.i;
    window.written = window.suffix =
        arena_string (parser->arena, feature_token_text (parser, &token));
    return status == STATUS_OK ? add_window (parser, &window) : status;
}

static status_t read_over (feature_parser_t *parser)
{
    for (;;) {
        status_t status = read_window (parser);
        token_t token = feature_peek (parser);
        if (status != STATUS_OK || !feature_symbol_is (&token, ","))
            return status;
        (void)lexer_next (&parser->lexer);
    }
}

/* ---- delay, default ---- */

static status_t read_delay (feature_parser_t *parser)
{
    feature_text_t *out = parser->out;
    token_t token = lexer_next (&parser->lexer);
    if (token.kind == TOKEN_BAD)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    if (token.kind != TOKEN_DURATION || token.i < WINDOW_MIN || token.i > WINDOW_MOST)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                             "`delay` takes a duration from 1s to 3650d, as in over 7d delay 7d; "
                             "found %s",
                             feature_shown (parser, &token));
    out->delay = token.i;
    out->delay_written = arena_string (parser->arena, feature_token_text (parser, &token));
    return STATUS_OK;
}

/* The constant's value as one of the wanted type. */
static status_t default_value (const expr_t *expr, type_t wanted, arena_t *arena, value_t *value,
                               error_t *error)
{
    type_t type = expr_type (expr);
    bool widened = type == TYPE_INT64 && wanted == TYPE_FLOAT64;
    if (type == TYPE_NONE)
        return error_set (error, STATUS_INVALID,
                          "without `default` it is null already: leave this out");
    if (type != wanted && !widened)
        return error_set (error, STATUS_INVALID,
                          "the feature is %s, so its default must be, and this is %s%s",
                          type_word (wanted), type_word (type),
                          wanted == TYPE_TIMESTAMP ? "; write time '2026-01-02T00:00:00Z'" : "");
    column_t column = expr_eval (expr, NULL, 1, arena);
    *value = column_get (&column, 0);
    if (value->null)
        return error_set (error, STATUS_INVALID, "this has no value");
    if (widened)
        *value = (value_t){ .type = TYPE_FLOAT64, .f = (double)value->i };
    if (value->type == TYPE_STRING)
        value->s = arena_text (arena, value->s); /* out of the expression */
    return STATUS_OK;
}

static value_t evaluate_constant (buf_t *text, arena_t *arena)
{
    value_t value = { .null = true };
    expr_t *expr = NULL;
    size_t at;
    error_t error;
    if (expr_parse (text_of (buf_string (text)), NULL, &expr, &at, &error) == STATUS_OK) {
        column_t column = expr_eval (expr, NULL, 1, arena);
        value = column_get (&column, 0);
    }
    expr_destroy (&expr);
    buf_clear (text);
    return value;
}

/* The number that is written as a decimal: exactly, or refused. Its canonical text is that of the
 * value, for a float64 would not have all digits. */
static status_t decimal_default (text_t written, type_t wanted, arena_t *arena, value_t *value,
                                 const char **canonical, error_t *error)
{
    unsigned scale = type_scale (wanted);
    char bytes[DECIMAL_TEXT_MAX];
    buf_t text;
    buf_init (&text, 2 * EXPR_TEXT_MAX);
    buf_printf (&text, "cast(" TEXT_FORMAT " as decimal(38,%u))", TEXT_ARGS (written), scale);
    *value = evaluate_constant (&text, arena);
    bool exact = !value->null && (scale > 0 || value->d == (int64_t)value->d);
    if (exact) {
        text_t digits = decimal_text (value->d, scale, bytes);
        *canonical = arena_string (arena, digits);
        buf_printf (&text, "(" TEXT_FORMAT ") = cast(" TEXT_FORMAT " as decimal(38,%u))",
                    TEXT_ARGS (written), TEXT_ARGS (digits), scale);
        value_t equal = evaluate_constant (&text, arena);
        exact = !equal.null && equal.i != 0;
    }
    buf_release (&text);
    if (exact)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID, "this default has no exact value as %s",
                      type_word (wanted));
}

static bool is_number (type_t type)
{
    return type == TYPE_INT64 || type == TYPE_FLOAT64 || type_is_decimal (type);
}

/* `at` is where the constant begins, to point there at what is wrong with its type. */
static status_t take_default (const expr_t *expr, text_t written, const result_type_t *type,
                              size_t begin, arena_t *arena, value_t *value, const char **canonical,
                              size_t *at, error_t *error)
{
    *at = begin;
    if (type->type == TYPE_LIST || type->type == TYPE_MAP)
        return error_set (error, STATUS_INVALID,
                          "`default` stands for a single value that is null, and this feature is "
                          "a %s",
                          type_word (type->type));
    if (type_is_decimal (type->type) && is_number (expr_type (expr)))
        return decimal_default (written, type->type, arena, value, canonical, error);
    *canonical = expression_text (expr, arena);
    return default_value (expr, type->type, arena, value, error);
}

status_t default_read (text_t text, const result_type_t *type, arena_t *arena, value_t *value,
                       const char **canonical, size_t *at, error_t *error)
{
    expr_t *expr = NULL;
    status_t status = expr_parse (text, NULL, &expr, at, error);
    if (status == STATUS_OK)
        status = take_default (expr, text, type, 0, arena, value, canonical, at, error);
    expr_destroy (&expr);
    return status;
}

static status_t read_default (feature_parser_t *parser)
{
    feature_text_t *out = parser->out;
    size_t begin = feature_peek (parser).at;
    expr_t *expr = NULL;
    status_t status = expr_parse_prefix (&parser->lexer, NULL, &expr, parser->at, parser->error);
    text_t written = { parser->lexer.source.data + begin, (uint32_t)(parser->lexer.at - begin) };
    if (status == STATUS_OK)
        status = take_default (expr, written, &out->type, begin, parser->arena, &out->default_value,
                               &out->default_text, parser->at, parser->error);
    expr_destroy (&expr);
    return status;
}

/* ---- all clauses in their order ---- */

typedef struct clause {
    const char *word;
    status_t (*read) (feature_parser_t *parser);
} clause_t;

static const clause_t clauses[] = {
    { "where", read_where }, { "by", read_by },           { "over", read_over },
    { "delay", read_delay }, { "default", read_default },
};
enum { CLAUSES = sizeof clauses / sizeof *clauses };

/* The clause that a token begins, or CLAUSES. */
static size_t clause_of (const token_t *token)
{
    size_t i = 0;
    while (i < CLAUSES && !feature_word_is (token, clauses[i].word))
        i++;
    return i;
}

/* Clauses may be left out, so one that comes after a later one is twice there or misplaced. */
static status_t fail_clause (feature_parser_t *parser, const token_t *token, const bool *seen)
{
    size_t clause = clause_of (token);
    size_t later = clause + 1;
    while (later < CLAUSES && !seen[later])
        later++;
    if (seen[clause])
        return FEATURE_FAIL (parser, token->at, STATUS_INVALID, "`%s` is given twice",
                             clauses[clause].word);
    CHECK (later < CLAUSES);
    return FEATURE_FAIL (parser, token->at, STATUS_INVALID,
                         "`%s` belongs before `%s`; the order is where, by, over, delay, default",
                         clauses[clause].word, clauses[later].word);
}

/* The clause that was meant, one that may still come; NULL none. */
static const char *meant_clause (feature_parser_t *parser, const token_t *token, size_t next)
{
    static const char *const elsewhere[][2] = {
        { "group", "by" }, { "filter", "where" }, { "having", "where" }, { "window", "over" }
    };
    const char *words[CLAUSES];
    size_t count = 0;
    if (token->kind != TOKEN_NAME || token->text.size > NAME_MAX_SIZE)
        return NULL;
    const char *word = arena_string (parser->arena, token->text);
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strcasecmp (word, elsewhere[i][0]) == 0)
            word = elsewhere[i][1];
    for (; next < CLAUSES; next++)
        words[count++] = clauses[next].word;
    return text_nearest (word, words, count);
}

/* Nothing may follow; says what could have. */
static status_t read_end (feature_parser_t *parser, const bool *seen)
{
    token_t token = feature_peek (parser);
    if (token.kind == TOKEN_END)
        return STATUS_OK;
    if (clause_of (&token) < CLAUSES)
        return fail_clause (parser, &token, seen);
    if (feature_symbol_is (&token, "+") || feature_symbol_is (&token, "-") ||
        feature_symbol_is (&token, "*") || feature_symbol_is (&token, "/") ||
        feature_symbol_is (&token, "%"))
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                             "a feature is one aggregate; arithmetic on features stands in the "
                             "view's `derived`, as in share: spend_1h / spend_7d");
    if (token.kind == TOKEN_BAD)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    size_t next = CLAUSES;
    while (next > 0 && !seen[next - 1])
        next--;
    const char *meant = meant_clause (parser, &token, next);
    buf_t could;
    buf_init (&could, 256);
    if (next > 0 && strcmp (clauses[next - 1].word, "over") == 0)
        buf_put_string (&could, "',' and another window, ");
    for (; next < CLAUSES; next++)
        buf_printf (&could, "`%s`%s", clauses[next].word, next + 1 < CLAUSES ? ", " : " or ");
    status_t status = FEATURE_FAIL (
        parser, token.at, STATUS_INVALID, "expected %sthe end, found %s%s%s%s", buf_string (&could),
        feature_shown (parser, &token), meant != NULL ? "; did you mean `" : "",
        meant != NULL ? meant : "", meant != NULL ? "`?" : "");
    buf_release (&could);
    return status;
}

static status_t read_clauses (feature_parser_t *parser)
{
    bool seen[CLAUSES] = { false };
    for (size_t i = 0; i < CLAUSES; i++) {
        token_t token = feature_peek (parser);
        if (!feature_word_is (&token, clauses[i].word))
            continue;
        seen[i] = true;
        if (clauses[i].read == read_default)
            parser->out->type = result_type_of (parser->out->aggregate, parser->out->input_type,
                                                parser->out->by_type);
        (void)lexer_next (&parser->lexer);
        status_t status = clauses[i].read (parser);
        if (status != STATUS_OK)
            return status;
    }
    return read_end (parser, seen);
}

/* Some aggregates cannot stand under `by` or over rows: their states would be too large. */
static status_t check_states (feature_parser_t *parser)
{
    const feature_text_t *out = parser->out;
    const char *word = aggregate_info (out->aggregate)->word;
    int64_t parameter = out->parameter.type == TYPE_INT64 ? out->parameter.i : 0;
    state_spec_t spec =
        aggregate_spec (out->aggregate, out->input_type, out->second_type, parameter);
    *parser->at = 0;
    if (state_spec_check (spec, parser->error) != STATUS_OK)
        return error_prefix (parser->error, "%s", word);
    spec.by = out->by_type;
    *parser->at = out->by_at;
    if (state_spec_check (spec, parser->error) != STATUS_OK)
        return error_prefix (parser->error, "%s", word);
    for (size_t i = 0; i < out->windows_count; i++) {
        spec.rows = out->windows[i].rows;
        *parser->at = out->windows[i].at;
        if (state_spec_check (spec, parser->error) != STATUS_OK)
            return error_prefix (parser->error, "%s", word);
    }
    return STATUS_OK;
}

status_t feature_text_read (text_t text, const expr_scope_t *scope, arena_t *arena,
                            feature_text_t *feature, size_t *at, error_t *error)
{
    *feature = (feature_text_t){ .aggregate = AGGREGATE_NONE };
    feature_parser_t parser = {
        .lexer = { .source = text, .arena = arena },
        .scope = scope,
        .arena = arena,
        .out = feature,
        .at = at,
        .error = error,
    };
    if (text.size > EXPR_TEXT_MAX)
        return FEATURE_FAIL (&parser, 0, STATUS_INVALID, "the text is too long (at most %d bytes)",
                             EXPR_TEXT_MAX);
    status_t status = feature_read_aggregate (&parser);
    if (status == STATUS_OK)
        status = read_clauses (&parser);
    if (status == STATUS_OK)
        status = check_states (&parser);
    if (status == STATUS_OK)
        feature->type = result_type_of (feature->aggregate, feature->input_type, feature->by_type);
    return status;
}

/* ---- the canonical text ---- */

static void put_parameter (const feature_text_t *self, buf_t *out)
{
    if (self->parameter.type == TYPE_NONE)
        return;
    if (self->input != NULL)
        buf_put_string (out, ", ");
    if (self->parameter.type == TYPE_FLOAT64)
        number_format_float (out, self->parameter.f);
    else if (aggregate_info (self->aggregate)->parameter == PARAMETER_STATE_DURATION)
        duration_format (out, self->parameter.i);
    else
        buf_printf (out, "%lld", (long long)self->parameter.i);
}

void feature_text_format (const feature_text_t *self, buf_t *out)
{
    buf_printf (out, "%s(%s", aggregate_info (self->aggregate)->word,
                self->input != NULL ? self->input : "");
    if (self->second != NULL)
        buf_printf (out, ", %s", self->second);
    put_parameter (self, out);
    buf_put_u8 (out, ')');
    if (self->filter != NULL)
        buf_printf (out, " where %s", self->filter);
    if (self->by != NULL)
        buf_printf (out, " by %s", self->by);
    for (size_t i = 0; i < self->windows_count; i++)
        buf_printf (out, "%s%s", i == 0 ? " over " : ", ", self->windows[i].written);
    if (self->delay_written != NULL)
        buf_printf (out, " delay %s", self->delay_written);
    if (self->default_text != NULL)
        buf_printf (out, " default %s", self->default_text);
}
