#include "base/mem.h"
#include "base/random.h"
#include "fixture.h"

#include <criterion/criterion.h>

#define CANONICAL(text, wanted) cr_assert_str_eq (canonical (text), wanted)

/* The text fails with a message that contains `words`, pointing at `where`. */
#define MISTAKE(text, where, words)                                                                \
    do {                                                                                           \
        size_t at_ = 0;                                                                            \
        const char *message_ = mistake (text, &at_);                                               \
        cr_assert (strstr (message_, words) != NULL, "%s: %s", text, message_);                    \
        cr_assert_eq (at_, (size_t)(where), "%s: %s at %zu", text, message_, at_);                 \
    } while (0)

Test (parse, operators_bind_as_in_sql)
{
    CANONICAL ("i+j*2-i", "i + j * 2 - i");
    CANONICAL ("(i + j) * 2", "(i + j) * 2");
    CANONICAL ("i - (j - 2)", "i - (j - 2)");
    CANONICAL ("(i - j) - 2", "i - j - 2");
    CANONICAL ("i / (j / 2)", "i / (j / 2)");
    CANONICAL ("-i * j", "-i * j");
    CANONICAL ("-(i * j)", "-(i * j)");
    CANONICAL ("flag or ok and not i = j", "flag or ok and not i = j");
    CANONICAL ("(flag or ok) and i = j", "(flag or ok) and i = j");
    CANONICAL ("not (flag and ok)", "not (flag and ok)");
    CANONICAL ("(not flag) = ok", "(not flag) = ok");
    CANONICAL ("not flag = ok", "not flag = ok");
    CANONICAL ("flag and (ok and flag)", "flag and (ok and flag)");
    CANONICAL ("i + 1 in (j, j + 1)", "i + 1 in (j, j + 1)");
    CANONICAL ("i + 1 is null", "i + 1 is null");
    CANONICAL ("(i is null) = (j is null)", "(i is null) = (j is null)");
}

Test (parse, every_way_of_writing_a_tree_has_one_canonical_text)
{
    CANONICAL ("  ((i))+\n\t( j ) ", "i + j");
    CANONICAL ("i != j", "i <> j");
    CANONICAL ("i IS NOT NULL", "i is not null");
    CANONICAL ("not (i is null)", "i is not null");
    CANONICAL ("not i in (1,2)", "i not in (1, 2)");
    CANONICAL ("i Not In (1,2)", "i not in (1, 2)");
    CANONICAL ("i is not distinct from j", "i is not distinct from j");
    CANONICAL ("d > 1h", "d > 3600000000us");
    CANONICAL ("d > 60m", "d > 3600000000us");
    CANONICAL ("ts > time '2026-01-02'", "ts > time '2026-01-02T00:00:00.000000Z'");
    CANONICAL ("TRUE and False or Null", "true and false or null");
    CANONICAL ("COALESCE(s,'it''s')", "coalesce(s, 'it''s')");
    CANONICAL ("- 5", "-5");
    CANONICAL ("CASE WHEN flag THEN i ELSE j END", "case when flag then i else j end");
    CANONICAL ("case i when 1 then (s) when 2 then 'x' end",
               "case i when 1 then s when 2 then 'x' end");
    CANONICAL ("(case when flag then i end) + 1", "case when flag then i end + 1");
    CANONICAL ("not (i between 1 and 2)", "i not between 1 and 2");
    CANONICAL ("(i + 1) BETWEEN (j) AND (j * 2)", "i + 1 between j and j * 2");
    CANONICAL ("i between 1 and 2 and flag", "i between 1 and 2 and flag");
    CANONICAL ("flag = (i between 1 and 2)", "flag = (i between 1 and 2)");
    CANONICAL ("not (s like 'a')", "s not like 'a'");
    CANONICAL ("s||'a'||merchant", "s || 'a' || merchant");
    CANONICAL ("s || ('a' || merchant)", "s || ('a' || merchant)");
    CANONICAL ("Cast( i AS Float64 )", "cast(i as float64)");
    CANONICAL ("SUBSTR(s,1)", "substring(s, 1)");
    CANONICAL ("1+1", "1 + 1");
    CANONICAL ("PI()", "pi()");
    CANONICAL ("-(5)", "-5");
    CANONICAL ("- - 5", "5");
    CANONICAL ("-0.0", "0.0");
    CANONICAL ("1e3", "1000.0");
    CANONICAL ("i - -5", "i - -5");
    CANONICAL ("-9223372036854775808", "-9223372036854775808");
    CANONICAL ("-(-9223372036854775808)", "--9223372036854775808");
    CANONICAL ("--9223372036854775808", "--9223372036854775808");
}

Test (parse, a_mistake_is_pointed_at_and_named)
{
    MISTAKE ("", 0, "expected a value, found the end");
    MISTAKE ("i +", 3, "expected a value, found the end");
    MISTAKE ("i j", 2, "expected an operator or the end");
    MISTAKE ("(i", 2, "expected ')', found the end");
    MISTAKE ("i + )", 4, "expected a value, found ')'");
    MISTAKE ("1 + amout", 4, "unknown field 'amout'; did you mean 'amount'?");
    MISTAKE ("qqqqqq", 0, "unknown field 'qqqqqq'");
    MISTAKE ("lowr(s)", 0, "unknown function 'lowr'; did you mean 'lower'?");
    MISTAKE ("now - ts", 0, "'now' has no meaning here");
    MISTAKE ("i = over", 4, "found the keyword 'over'");
    MISTAKE ("i is 5", 5, "'null'");
    MISTAKE ("i is distinct 5", 14, "'from'");
    MISTAKE ("i not 5", 6, "expected 'in', 'between' or 'like' after 'not'");
    MISTAKE ("i in ()", 6, "expected a value");
    MISTAKE ("i in 5", 5, "'(' and a list");
    MISTAKE ("i < j < 5", 6, "comparisons do not chain");
    MISTAKE ("i = j is null", 6, "comparisons do not chain");
    MISTAKE ("i == 5", 2, "equality is written '='");
    MISTAKE ("s = \"x\"", 4, "single quotes");
    MISTAKE ("s = 'x", 4, "no closing quote");
    MISTAKE ("s = '\xff'", 4, "not UTF-8");
    MISTAKE ("!flag", 0, "'not'");
    MISTAKE ("i + 9223372036854775808", 4, "does not fit");
    MISTAKE ("f + 1e999", 4, "too large");
    MISTAKE ("d + 99999999999999w", 4, "too long");
    MISTAKE ("d + 7days", 4, "units");
    MISTAKE ("f + 1.5x", 4, "run into a name");
    MISTAKE ("ts > time 5", 10, "a string after 'time'");
    MISTAKE ("ts > time '5'", 10, "a time is written");
    MISTAKE ("ts > time '2026-13-01'", 10, "");
    MISTAKE ("i.", 2, "a name after '.'");
    MISTAKE ("i.j", 0, "unknown field 'i.j'");
    MISTAKE ("_x", 0, "begins with a letter");
}

Test (parse, a_type_error_says_both_types_and_points_at_the_operator)
{
    MISTAKE ("s + i", 2, "'+' cannot combine string and int64");
    MISTAKE ("ts + seen", 3, "'+' cannot combine timestamp and timestamp");
    MISTAKE ("d - ts", 2, "'-' cannot combine duration and timestamp");
    MISTAKE ("d * 1.5", 2, "'*' cannot combine duration and float64");
    MISTAKE ("d / 2", 2, "'/' cannot combine duration and int64");
    MISTAKE ("i + flag", 2, "int64 and bool");
    MISTAKE ("s = i", 2, "'=' cannot compare string with int64");
    MISTAKE ("ts > '2026-01-01'", 3, "time '2026-01-02T00:00:00Z'");
    MISTAKE ("i in (1, 'x')", 9, "'in' cannot compare int64 with string");
    MISTAKE ("i is distinct from s", 2, "int64 with string");
    MISTAKE ("flag and i", 5, "'and' takes bool and bool, not bool and int64");
    MISTAKE ("flag and not i", 9, "'not' takes bool, not int64");
    MISTAKE ("-s", 0, "'-' cannot take string");
    MISTAKE ("sqrt(s)", 5, "sqrt takes float64, not string");
    MISTAKE ("abs(flag)", 4, "abs takes int64, float64, decimal or duration, not bool");
    MISTAKE ("coalesce(i, f, s)", 15, "float64 and string");
    MISTAKE ("coalesce()", 0, "at least 1 argument, not 0");
    MISTAKE ("starts_with(s)", 0, "starts_with takes 2 arguments, not 1");
    MISTAKE ("lower(s, s)", 0, "lower takes 1 argument, not 2");
}

Test (parse, types_follow_the_rules)
{
    static const struct {
        const char *text;
        type_t type;
    } cases[] = {
        { "i + j", TYPE_INT64 },
        { "i + f", TYPE_FLOAT64 },
        { "i / j", TYPE_FLOAT64 },
        { "i % j", TYPE_INT64 },
        { "i % f", TYPE_FLOAT64 },
        { "ts - seen", TYPE_DURATION },
        { "ts - d", TYPE_TIMESTAMP },
        { "d + ts", TYPE_TIMESTAMP },
        { "d / gap", TYPE_FLOAT64 },
        { "d * 3", TYPE_DURATION },
        { "3 * d", TYPE_DURATION },
        { "d + gap", TYPE_DURATION },
        { "i < f", TYPE_BOOL },
        { "null", TYPE_NONE },
        { "-null", TYPE_NONE },
        { "null + null", TYPE_NONE },
        { "null / null", TYPE_FLOAT64 },
        { "null + i", TYPE_INT64 },
        { "null - d", TYPE_DURATION },
        { "ts - null", TYPE_DURATION },
        { "ts + null", TYPE_TIMESTAMP },
        { "null = null", TYPE_BOOL },
        { "coalesce(null, i)", TYPE_INT64 },
        { "coalesce(i, f)", TYPE_FLOAT64 },
        { "coalesce(null)", TYPE_NONE },
        { "floor(i)", TYPE_INT64 },
        { "floor(f)", TYPE_FLOAT64 },
        { "sqrt(i)", TYPE_FLOAT64 },
        { "abs(d)", TYPE_DURATION },
        { "lower(null)", TYPE_STRING },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        expr_t *expr = parse (cases[k].text);
        cr_assert_eq (expr_type (expr), cases[k].type, "%s is %s", cases[k].text,
                      type_word (expr_type (expr)));
        expr_destroy (&expr);
        cr_assert_null (expr);
    }
}

/* `count` times `before`, then `middle`, then `count` times `after`. The caller frees. */
static char *nested (const char *before, const char *middle, const char *after, size_t count)
{
    size_t size = count * (strlen (before) + strlen (after)) + strlen (middle) + 1;
    char *text = mem_zero (size, 1);
    for (size_t k = 0; k < count; k++)
        strcat (text, before);
    strcat (text, middle);
    for (size_t k = 0; k < count; k++)
        strcat (text, after);
    return text;
}

static void limit (const char *before, const char *middle, const char *after, size_t most,
                   const char *words)
{
    char *text = nested (before, middle, after, most);
    canonical (text);
    mem_free (text);
    text = nested (before, middle, after, most + 1);
    size_t at;
    const char *message = mistake (text, &at);
    cr_assert (strstr (message, words) != NULL, "%s", message);
    mem_free (text);
}

Test (parse, limits_hold_and_are_named)
{
    limit ("(", "i", ")", EXPR_DEPTH_MAX, "nested more than 64 deep");
    limit ("abs(", "i", ")", EXPR_DEPTH_MAX, "nested more than 64 deep");
    limit ("case when flag then ", "i", " end", EXPR_DEPTH_MAX, "nested more than 64 deep");
    limit ("case ", "i", " when 1 then 2 end", EXPR_DEPTH_MAX, "nested more than 64 deep");
    limit ("cast(", "i", " as int64)", EXPR_DEPTH_MAX, "nested more than 64 deep");
    limit ("s||", "s", "", (EXPR_NODES_MAX - 1) / 2, "more than 512 operators and operands");
    limit ("i+", "i", "", (EXPR_NODES_MAX - 1) / 2, "more than 512 operators and operands");
    limit ("not ", "flag", "", EXPR_NODES_MAX - 1, "more than 512 operators and operands");
    limit (" ", "i", "", EXPR_TEXT_MAX - 1, "longer than 4096 bytes");
    limit ("i-(", "i", ")", EXPR_DEPTH_MAX, "nested more than 64 deep");
    limit ("-", "5", "", EXPR_TEXT_MAX - 1, "longer than 4096 bytes");
}

Test (parse, time_zones_are_counted_once_each)
{
    static const char *const zones[] = {
        "UTC",           "Europe/Berlin",   "Europe/Paris",     "Europe/London", "Europe/Rome",
        "Europe/Madrid", "Asia/Tokyo",      "Asia/Kolkata",     "Asia/Dubai",    "Asia/Seoul",
        "Africa/Cairo",  "America/Chicago", "America/New_York", "America/Lima",  "Pacific/Apia",
        "Asia/Shanghai", "Asia/Singapore"
    };
    enum { ZONES = sizeof zones / sizeof *zones };
    cr_assert_eq (ZONES, 17);
    for (size_t most = 16; most <= ZONES; most++) {
        buf_t text;
        buf_init (&text, EXPR_TEXT_MAX);
        for (size_t k = 0; k < 2 * most; k++)
            buf_printf (&text, "%shour(ts, '%s')", k > 0 ? " + " : "", zones[k % most]);
        if (most == 16)
            canonical (buf_string (&text));
        else
            MISTAKE (buf_string (&text),
                     strstr (buf_string (&text), "'Asia/Singapore'") - (const char *)text.data,
                     "more than 16 different time zones");
        buf_release (&text);
    }
}

Test (parse, a_canonical_text_that_would_be_too_long_is_refused)
{
    char *text = nested ("1w+1w+", "1w", "", 125);
    size_t at;
    cr_assert (strstr (mistake (text, &at), "written out in full") != NULL);
    mem_free (text);
}

Test (parse, a_prefix_ends_where_the_definition_goes_on)
{
    static const char *const rests[] = { "over 1h, 7d", "where i > 0", "by merchant", "delay 7d",
                                         "default 0",   ", 0.5)",      ") over 1h" };
    arena_t *arena = arena_new (1024);
    for (size_t k = 0; k < sizeof rests / sizeof *rests; k++) {
        char *text = mem_format ("sum(i + j*2 %s", rests[k]);
        lexer_t lexer = { .source = text_of (text), .at = 4, .arena = arena };
        expr_t *expr = NULL;
        size_t at;
        error_t error;
        cr_assert_eq (expr_parse_prefix (&lexer, &fixture_scope, &expr, &at, &error), STATUS_OK);
        cr_assert_eq (lexer.at, 12u);
        token_t token = lexer_next (&lexer);
        cr_assert_eq (token.at, 12u);
        expr_destroy (&expr);
        mem_free (text);
    }
    arena_destroy (&arena);
}

Test (parse, a_prefix_may_be_a_case_or_a_range)
{
    static const char *const texts[] = { "case when flag then i else 0 end", "i between 1 and 2",
                                         "s not like 'a' and flag" };
    arena_t *arena = arena_new (1024);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        char *text = mem_format ("%s over 7d", texts[k]);
        lexer_t lexer = { .source = text_of (text), .arena = arena };
        expr_t *expr = NULL;
        size_t at;
        error_t error;
        cr_assert_eq (expr_parse_prefix (&lexer, &fixture_scope, &expr, &at, &error), STATUS_OK);
        cr_assert_eq (lexer.at, strlen (texts[k]) + 1);
        expr_destroy (&expr);
        mem_free (text);
    }
    arena_destroy (&arena);
}

Test (parse, a_prefix_reports_offsets_in_the_whole_text)
{
    arena_t *arena = arena_new (1024);
    lexer_t lexer = { .source = text_of ("sum(i + s) over 1h"), .at = 4, .arena = arena };
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    cr_assert_eq (expr_parse_prefix (&lexer, &fixture_scope, &expr, &at, &error), STATUS_INVALID);
    cr_assert_eq (at, 6u);
    cr_assert_null (expr);
    arena_destroy (&arena);
}

static type_t any_lookup (const void *arg, text_t name, uint32_t *column)
{
    (void)arg;
    *column = 0;
    return text_is (name, "now") || text_is (name, "sender.seen") ? TYPE_TIMESTAMP : TYPE_NONE;
}

Test (parse, now_and_dotted_names_are_asked_of_the_scope)
{
    expr_scope_t scope = { .lookup = any_lookup };
    expr_t *expr = NULL;
    size_t at;
    error_t error;
    cr_assert_eq (expr_parse (text_of ("(NOW - sender . seen) / 1d"), &scope, &expr, &at, &error),
                  STATUS_OK);
    buf_t buf;
    buf_init (&buf, 1000);
    expr_format (expr, &buf);
    cr_assert_str_eq (buf_string (&buf), "(now - sender.seen) / 86400000000us");
    buf_release (&buf);
    expr_destroy (&expr);
    cr_assert_eq (expr_parse (text_of ("1 + x"), NULL, &expr, &at, &error), STATUS_INVALID);
    cr_assert_eq (expr_parse (text_of ("1 + 2"), NULL, &expr, &at, &error), STATUS_OK);
    expr_destroy (&expr);
    expr_destroy (&expr);
}

static void note (void *arg, uint32_t column)
{
    unsigned *seen = arg;
    cr_assert_eq (*seen & (1u << column), 0u);
    *seen |= 1u << column;
}

Test (parse, columns_are_listed_once)
{
    expr_t *expr = parse ("i + j > i or coalesce(s, s) = 'x'");
    unsigned seen = 0;
    expr_columns (expr, note, &seen);
    cr_assert_eq (seen, 1u << FIELD_i | 1u << FIELD_j | 1u << FIELD_s);
    expr_destroy (&expr);
}

Test (parse, tokens_carry_their_values)
{
    arena_t *arena = arena_new (1024);
    lexer_t lexer = { .source = text_of ("x7 12 1.5e-3 90s 'it''s' <> ( \"?"), .arena = arena };
    token_t token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_NAME && text_is (token.text, "x7"));
    token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_INTEGER && token.i == 12 && token.at == 3);
    token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_FLOAT && token.f == 1.5e-3);
    token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_DURATION && token.i == INT64_C (90000000));
    token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_STRING && text_is (token.text, "it's"));
    token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_SYMBOL && text_is (token.text, "<>"));
    token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_SYMBOL && text_is (token.text, "("));
    token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_BAD && token.text.size > 0);
    token = lexer_next (&lexer);
    cr_assert (token.kind == TOKEN_BAD);
    cr_assert_eq (lexer_next (&lexer).kind, TOKEN_END);
    cr_assert_eq (lexer_next (&lexer).kind, TOKEN_END);
    arena_destroy (&arena);
}

Test (parse, keywords_are_reserved_in_any_case)
{
    cr_assert (expr_is_keyword (text_of ("over")));
    cr_assert (expr_is_keyword (text_of ("OVER")));
    cr_assert (!expr_is_keyword (text_of ("overs")));
    cr_assert (!expr_is_keyword (text_of ("ove")));
    cr_assert (!expr_is_keyword (text_of ("coalesce")));
    cr_assert (!expr_is_keyword (text_of ("")));
}

/* Text made of pieces that are nearly right gets deep into the parser; bytes test the lexer. */
static size_t random_text (random_t *random, char *text, size_t max)
{
    static const char *const pieces[] = { "i",
                                          "j",
                                          "s",
                                          "f",
                                          "ts ",
                                          "d",
                                          "(",
                                          ")",
                                          ",",
                                          " and ",
                                          " or ",
                                          "not ",
                                          "-",
                                          "+",
                                          "*",
                                          "/",
                                          "%",
                                          "=",
                                          "<>",
                                          " is ",
                                          "null",
                                          " in ",
                                          "in(",
                                          "time ",
                                          "'x'",
                                          "'2026-01-01'",
                                          "7d",
                                          "1.5",
                                          "12",
                                          "coalesce(",
                                          "abs(",
                                          ".",
                                          "now",
                                          "distinct from ",
                                          "9223372036854775808",
                                          "true",
                                          "flag",
                                          "'",
                                          "\xc3" };
    size_t size = 0;
    size_t count = random_below (random, 30);
    for (size_t k = 0; k < count; k++) {
        char byte[2] = { (char)random_below (random, 256), 0 };
        const char *piece = random_chance (random, 0.03)
                                ? byte
                                : pieces[random_below (random, sizeof pieces / sizeof *pieces)];
        if (size + strlen (piece) > max)
            break;
        memcpy (text + size, piece, strlen (piece));
        size += strlen (piece);
    }
    return size;
}

Test (parse, random_text_is_parsed_or_refused_and_what_parses_formats_the_same_again)
{
    random_t random;
    random_seed (&random, 20260102);
    size_t parsed = 0;
    for (int round = 0; round < 60000; round++) {
        char text[512];
        size_t size = random_text (&random, text, sizeof text);
        char *exact = mem_string_n (text, size); /* so that a read past the end is seen */
        expr_t *expr = NULL;
        size_t at = 0;
        error_t error;
        text_t source = { exact, (uint32_t)size };
        if (expr_parse (source, &fixture_scope, &expr, &at, &error) == STATUS_OK) {
            parsed++;
            buf_t buf;
            buf_init (&buf, EXPR_TEXT_MAX + 1);
            expr_format (expr, &buf);
            char *first = mem_string (buf_string (&buf));
            cr_assert_str_eq (canonical (first), first);
            mem_free (first);
            buf_release (&buf);
            expr_destroy (&expr);
        } else {
            cr_assert_leq (at, size);
            cr_assert_neq (error.text[0], '\0');
        }
        mem_free (exact);
    }
    cr_assert_gt (parsed, 500u);
}
