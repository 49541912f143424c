/* feature_aggregate.c - a feature's aggregate and its arguments: expressions, then a parameter. */
#include "feature/feature_parse.h"

#include <strings.h>

/* What people call an aggregate elsewhere. */
static const char *aggregate_synonym (const char *word)
{
    static const char *const synonyms[][2] = {
        { "total", "sum" },
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

static const char *in_lower_case (feature_parser_t *parser, text_t name)
{
    char word[NAME_MAX_SIZE];
    for (uint32_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        word[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return arena_string (parser->arena, (text_t){ word, name.size });
}

static status_t fail_aggregate (feature_parser_t *parser, const token_t *token)
{
    size_t count;
    const char *const *words = aggregate_words (&count);
    text_t name = token->text;
    if (name.size > NAME_MAX_SIZE)
        name.size = NAME_MAX_SIZE;
    const char *word = arena_string (parser->arena, name);
    const char *meant = aggregate_synonym (word);
    if (meant == NULL)
        meant = text_nearest (in_lower_case (parser, name), words, count);
    if (meant != NULL)
        return FEATURE_FAIL (parser, token->at, STATUS_INVALID,
                             "unknown aggregate '%s'; did you mean '%s'?", word, meant);
    buf_t all;
    buf_init (&all, ERROR_TEXT_MAX);
    for (size_t i = 0; i < count; i++)
        buf_printf (&all, "%s%s", i > 0 ? ", " : "", words[i]);
    status_t status =
        FEATURE_FAIL (parser, token->at, STATUS_INVALID,
                      "unknown aggregate '%s'; this version has %s", word, buf_string (&all));
    buf_release (&all);
    return status;
}

/* ---- expressions ---- */

/* Of a set of types, without the one that stands for rows. */
static unsigned without_rows (unsigned inputs)
{
    return inputs & ~(1u << TYPE_NONE);
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

static status_t check_input (feature_parser_t *parser, size_t at, unsigned inputs, type_t type)
{
    if (type != TYPE_NONE && (inputs & type_bit (type)))
        return STATUS_OK;
    buf_t types;
    buf_init (&types, 256);
    put_types (without_rows (inputs), &types);
    bool by_cast = type_is_decimal (type) && (inputs & type_bit (TYPE_FLOAT64));
    status_t status =
        FEATURE_FAIL (parser, at, STATUS_INVALID, "%s takes %s, and this is %s%s",
                      aggregate_info (parser->out->aggregate)->word, buf_string (&types),
                      feature_type_word (type), by_cast ? "; cast(x as float64) rounds it" : "");
    buf_release (&types);
    return status;
}

static status_t read_input (feature_parser_t *parser, unsigned inputs, const char **text,
                            type_t *type)
{
    size_t at = feature_peek (parser).at;
    status_t status = feature_read_expression (parser, parser->scope, text, type);
    return status == STATUS_OK ? check_input (parser, at, inputs, *type) : status;
}

/* ---- the parameter ---- */

/* What it is, and an example of it. */
static const char *parameter_words (parameter_kind_t kind)
{
    static const char *const words[] = {
#define X(name, words, in_state) [PARAMETER_##name] = words,
        PARAMETER_TABLE (X)
#undef X
    };
    return words[kind];
}

static const char *parameter_example (parameter_kind_t kind)
{
    switch (kind) {
    case PARAMETER_NONE:
        return "";
    case PARAMETER_STATE_K:
    case PARAMETER_FINAL_K:
        return "10";
    case PARAMETER_FRACTION:
        return "0.95";
    case PARAMETER_STATE_DURATION:
        return "7d";
    }
    return "";
}

/* The token as a parameter of the kind; false when it is none. */
static bool parameter_value (parameter_kind_t kind, const token_t *token, value_t *value)
{
    switch (kind) {
    case PARAMETER_NONE:
        return false;
    case PARAMETER_STATE_K:
    case PARAMETER_FINAL_K:
        *value = (value_t){ .type = TYPE_INT64, .i = token->i };
        return token->kind == TOKEN_INTEGER && token->i >= 1 && token->i <= FEATURE_COUNT_MAX;
    case PARAMETER_FRACTION:
        *value = (value_t){ .type = TYPE_FLOAT64, .f = token->f };
        if (token->kind == TOKEN_INTEGER)
            value->f = (double)token->i;
        return (token->kind == TOKEN_INTEGER || token->kind == TOKEN_FLOAT) && value->f >= 0 &&
               value->f <= 1;
    case PARAMETER_STATE_DURATION:
        *value = (value_t){ .type = TYPE_INT64, .i = token->i };
        return token->kind == TOKEN_DURATION && token->i >= WINDOW_MIN && token->i <= WINDOW_MOST;
    }
    return false;
}

static status_t fail_parameter (feature_parser_t *parser, const token_t *token)
{
    const aggregate_info_t *info = aggregate_info (parser->out->aggregate);
    const char *bounds = info->parameter == PARAMETER_STATE_DURATION ? " from 1s to 3650d" : "";
    return FEATURE_FAIL (parser, token->at, STATUS_INVALID,
                         "%s needs %s%s as its last argument, as in %s(%s%s%s); found %s",
                         info->word, parameter_words (info->parameter), bounds, info->word,
                         parser->out->input != NULL ? "amount" : "",
                         parser->out->input != NULL ? ", " : "",
                         parameter_example (info->parameter), feature_shown (parser, token));
}

static status_t read_parameter (feature_parser_t *parser)
{
    const aggregate_info_t *info = aggregate_info (parser->out->aggregate);
    token_t token = lexer_next (&parser->lexer);
    if (token.kind == TOKEN_BAD)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    if (!parameter_value (info->parameter, &token, &parser->out->parameter))
        return fail_parameter (parser, &token);
    return STATUS_OK;
}

/* ---- the arguments ---- */

/* Is it of the rows themselves when no expression is given? */
static bool takes_rows (const aggregate_info_t *info)
{
    return info->state == STATE_COUNT || info->inputs == 0 || (info->inputs & 1u << TYPE_NONE);
}

/* May an expression be given? */
static bool takes_input (const aggregate_info_t *info)
{
    return without_rows (info->inputs) != 0;
}

static bool skip_comma (feature_parser_t *parser)
{
    token_t token = feature_peek (parser);
    if (!feature_symbol_is (&token, ","))
        return false;
    (void)lexer_next (&parser->lexer);
    return true;
}

/* As in SQL: count(*), count(distinct x). */
static status_t fail_count (feature_parser_t *parser, const token_t *token)
{
    const char *shown = feature_shown (parser, token);
    if (feature_symbol_is (token, "*"))
        return FEATURE_FAIL (parser, token->at, STATUS_INVALID,
                             "expected a value, found %s; all events are counted by count()",
                             shown);
    return FEATURE_FAIL (parser, token->at, STATUS_INVALID,
                         "expected a value, found %s; different values are counted by "
                         "count_distinct(x) and approx_count_distinct(x)",
                         shown);
}

/* The expressions; *comma tells whether one was read after them. */
static status_t read_inputs (feature_parser_t *parser, bool *comma)
{
    feature_text_t *out = parser->out;
    const aggregate_info_t *info = aggregate_info (out->aggregate);
    token_t token = feature_peek (parser);
    *comma = false;
    if (!takes_input (info))
        return STATUS_OK;
    if (feature_symbol_is (&token, ")")) {
        if (takes_rows (info))
            return STATUS_OK;
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                             "%s needs an expression: %s(amount%s%s%s), for example", info->word,
                             info->word, info->second != 0 ? ", price" : "",
                             info->parameter != PARAMETER_NONE ? ", " : "",
                             parameter_example (info->parameter));
    }
    if (info->state == STATE_COUNT &&
        (feature_symbol_is (&token, "*") || feature_word_is (&token, "distinct")))
        return fail_count (parser, &token);
    status_t status = read_input (parser, info->inputs, &out->input, &out->input_type);
    if (status != STATUS_OK)
        return status;
    *comma = skip_comma (parser);
    if (info->second == 0)
        return STATUS_OK;
    token = feature_peek (parser);
    if (!*comma)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                             "%s needs two expressions: %s(amount, price), for example; found %s",
                             info->word, info->word, feature_shown (parser, &token));
    status = read_input (parser, info->second, &out->second, &out->second_type);
    *comma = status == STATUS_OK && skip_comma (parser);
    return status;
}

/* What stands in the aggregate's parentheses, and the closing one. */
static status_t read_arguments (feature_parser_t *parser)
{
    const aggregate_info_t *info = aggregate_info (parser->out->aggregate);
    bool comma;
    status_t status = read_inputs (parser, &comma);
    if (status != STATUS_OK)
        return status;
    token_t token = feature_peek (parser);
    if (info->parameter != PARAMETER_NONE) {
        bool first = parser->out->input == NULL;
        if (!first && !comma)
            return fail_parameter (parser, &token);
        status = read_parameter (parser);
        comma = status == STATUS_OK && skip_comma (parser);
        token = feature_peek (parser);
    }
    if (status != STATUS_OK)
        return status;
    if (comma)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID, "%s takes no further argument",
                             info->word);
    (void)lexer_next (&parser->lexer);
    if (token.kind == TOKEN_BAD)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    if (feature_symbol_is (&token, ")"))
        return STATUS_OK;
    if (!takes_input (info) && info->parameter == PARAMETER_NONE)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                             "%s takes nothing: write %s(); found %s", info->word, info->word,
                             feature_shown (parser, &token));
    return FEATURE_FAIL (parser, token.at, STATUS_INVALID,
                         "expected ')' after the arguments of %s(…), found %s", info->word,
                         feature_shown (parser, &token));
}

static status_t fail_no_aggregate (feature_parser_t *parser, const token_t *token)
{
    return FEATURE_FAIL (parser, token->at, STATUS_INVALID,
                         "a feature begins with an aggregate, as in sum(amount) over 7d; found %s",
                         feature_shown (parser, token));
}

status_t feature_read_aggregate (feature_parser_t *parser)
{
    token_t token = lexer_next (&parser->lexer);
    if (token.kind == TOKEN_BAD)
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID, TEXT_FORMAT, TEXT_ARGS (token.text));
    if (token.kind != TOKEN_NAME)
        return fail_no_aggregate (parser, &token);
    parser->out->aggregate = aggregate_from_word (token.text);
    token_t next = feature_peek (parser);
    if (parser->out->aggregate == AGGREGATE_NONE && feature_symbol_is (&next, "("))
        return fail_aggregate (parser, &token);
    if (parser->out->aggregate == AGGREGATE_NONE)
        return fail_no_aggregate (parser, &token);
    const char *word = aggregate_info (parser->out->aggregate)->word;
    token = lexer_next (&parser->lexer);
    if (!feature_symbol_is (&token, "("))
        return FEATURE_FAIL (parser, token.at, STATUS_INVALID, "expected '(' after '%s', found %s",
                             word, feature_shown (parser, &token));
    return read_arguments (parser);
}
