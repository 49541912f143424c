#include "base/arena.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "expr/expr.h"

#include <math.h>
#include <strings.h>

#define KEYWORD_TABLE(X)                                                                           \
    X (and)                                                                                        \
    X (by)                                                                                         \
    X (case)                                                                                       \
    X (default)                                                                                    \
    X (delay)                                                                                      \
    X (distinct)                                                                                   \
    X (else)                                                                                       \
    X (end)                                                                                        \
    X (false)                                                                                      \
    X (from)                                                                                       \
    X (in)                                                                                         \
    X (is)                                                                                         \
    X (lifetime)                                                                                   \
    X (not )                                                                                       \
    X (now)                                                                                        \
    X (null)                                                                                       \
    X (or)                                                                                         \
    X (over)                                                                                       \
    X (rows)                                                                                       \
    X (then)                                                                                       \
    X (time)                                                                                       \
    X (true)                                                                                       \
    X (when)                                                                                       \
    X (where)

static bool is_blank (char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit (char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name_part (char c)
{
    return is_letter (c) || is_digit (c) || c == '_';
}

bool expr_is_keyword (text_t word)
{
    static const char *const keywords[] = {
#define X(word) #word,
        KEYWORD_TABLE (X)
#undef X
    };
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strlen (keywords[i]) == word.size &&
            strncasecmp (keywords[i], word.data, word.size) == 0)
            return true;
    }
    return false;
}

/* The byte `ahead` of the lexer, NUL past the end. */
static char peek (const lexer_t *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->source.size ? lexer->source.data[at] : '\0';
}

static text_t text_since (const lexer_t *lexer, size_t at)
{
    return (text_t){ lexer->source.data + at, (uint32_t)(lexer->at - at) };
}

static token_t bad (size_t at, const char *reason)
{
    return (token_t){ .kind = TOKEN_BAD, .text = text_of (reason), .at = at };
}

static void skip_name_parts (lexer_t *lexer)
{
    while (is_name_part (peek (lexer, 0)))
        lexer->at++;
}

static void skip_digits (lexer_t *lexer)
{
    while (is_digit (peek (lexer, 0)))
        lexer->at++;
}

/* The µs of a unit, 0 when there is no such unit. */
static int64_t unit_of (text_t word)
{
    static const struct {
        const char *word;
        int64_t us;
    } units[] = {
        { "us", TIME_US },  { "ms", TIME_MS }, { "s", TIME_SECOND }, { "m", TIME_MINUTE },
        { "h", TIME_HOUR }, { "d", TIME_DAY }, { "w", TIME_WEEK },
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (text_is (word, units[i].word))
            return units[i].us;
    }
    return 0;
}

static token_t lex_duration (lexer_t *lexer, size_t at)
{
    text_t digits = text_since (lexer, at);
    size_t unit_at = lexer->at;
    skip_name_parts (lexer);
    int64_t unit = unit_of (text_since (lexer, unit_at));
    if (unit == 0)
        return bad (at, "a number must not run into a name; the units of a duration are us, ms, s, "
                        "m, h, d and w");
    token_t token = { .kind = TOKEN_DURATION, .at = at, .text = text_since (lexer, at) };
    int64_t number;
    if (!number_parse_int (digits, &number) || __builtin_mul_overflow (number, unit, &token.i))
        return bad (at, "the duration is too long (at most 2^63 - 1 microseconds)");
    return token;
}

static token_t lex_float (lexer_t *lexer, size_t at)
{
    token_t token = { .kind = TOKEN_FLOAT, .at = at, .text = text_since (lexer, at) };
    if (is_name_part (peek (lexer, 0))) {
        skip_name_parts (lexer);
        return bad (at, "a number must not run into a name");
    }
    if (!number_parse_float (token.text, &token.f) || !isfinite (token.f))
        return bad (at, "the number is too large for a float64");
    return token;
}

static token_t lex_number (lexer_t *lexer, size_t at)
{
    bool is_float = false;
    skip_digits (lexer);
    if (peek (lexer, 0) == '.' && is_digit (peek (lexer, 1))) {
        is_float = true;
        lexer->at++;
        skip_digits (lexer);
    }
    if (peek (lexer, 0) == 'e' || peek (lexer, 0) == 'E') {
        size_t sign = peek (lexer, 1) == '+' || peek (lexer, 1) == '-';
        if (is_digit (peek (lexer, 1 + sign))) {
            is_float = true;
            lexer->at += 1 + sign;
            skip_digits (lexer);
        }
    }
    if (is_float)
        return lex_float (lexer, at);
    if (is_name_part (peek (lexer, 0)))
        return lex_duration (lexer, at);
    token_t token = { .kind = TOKEN_INTEGER, .at = at, .text = text_since (lexer, at) };
    if (!number_parse_int (token.text, &token.i))
        return bad (at, "the integer does not fit into an int64");
    return token;
}

static token_t lex_string (lexer_t *lexer, size_t at)
{
    size_t quotes = 0;
    lexer->at++;
    for (;; lexer->at++) {
        if (lexer->at >= lexer->source.size)
            return bad (at, "the string has no closing quote");
        if (lexer->source.data[lexer->at] != '\'')
            continue;
        if (peek (lexer, 1) != '\'')
            break;
        quotes++;
        lexer->at++;
    }
    lexer->at++;
    text_t raw = { lexer->source.data + at + 1, (uint32_t)(lexer->at - at - 2) };
    if (!text_is_utf8 (raw))
        return bad (at, "the string is not UTF-8");
    char *data = arena_alloc (lexer->arena, raw.size + 1);
    token_t token = { .kind = TOKEN_STRING,
                      .at = at,
                      .text = { data, (uint32_t)(raw.size - quotes) } };
    for (uint32_t i = 0; i < raw.size; i++) {
        *data++ = raw.data[i];
        if (raw.data[i] == '\'')
            i++;
    }
    return token;
}

static token_t lex_symbol (lexer_t *lexer, size_t at)
{
    char c = peek (lexer, 0);
    char next = peek (lexer, 1);
    lexer->at++;
    switch (c) {
    case '<':
        lexer->at += next == '=' || next == '>';
        break;
    case '>':
        lexer->at += next == '=';
        break;
    case '!':
        if (next != '=')
            return bad (at, "unexpected character; negation is written 'not'");
        lexer->at++;
        break;
    case '=':
        if (next == '=') {
            lexer->at++;
            return bad (at, "equality is written '='");
        }
        break;
    case '&':
        return bad (at, "unexpected character; both at once is written 'and'");
    case '|':
        if (next != '|')
            return bad (at, "unexpected character; strings are joined by '||'");
        lexer->at++;
        break;
    case '"':
        return bad (at, "strings are written in single quotes");
    case '_':
        skip_name_parts (lexer);
        return bad (at, "a name begins with a letter");
    default:
        if (c == '\0' || strchr ("(),+-*/%.", c) == NULL)
            return bad (at, "unexpected character");
        break;
    }
    return (token_t){ .kind = TOKEN_SYMBOL, .text = text_since (lexer, at), .at = at };
}

token_t lexer_next (lexer_t *lexer)
{
    while (is_blank (peek (lexer, 0)))
        lexer->at++;
    size_t at = lexer->at;
    if (at >= lexer->source.size)
        return (token_t){ .kind = TOKEN_END, .at = at };
    char c = peek (lexer, 0);
    if (is_digit (c))
        return lex_number (lexer, at);
    if (c == '\'')
        return lex_string (lexer, at);
    if (!is_letter (c))
        return lex_symbol (lexer, at);
    skip_name_parts (lexer);
    return (token_t){ .kind = TOKEN_NAME, .text = text_since (lexer, at), .at = at };
}
