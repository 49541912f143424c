/* docs/expressions.md against the library: its examples and mistakes are what happens, and what it
 * lists is what there is. The page is read as it stands, so the tables are its test cases. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "fixture.h"
#include "page.h"

#include "expr/functions.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <strings.h>

#define TYPE_MONEY (type_t) (DECIMAL_TYPE_BASE + 2)

/* The row that the page speaks of. */
#define SAMPLE_TABLE(X)                                                                            \
    X (amount, FLOAT64)                                                                            \
    X (price, MONEY)                                                                               \
    X (n, INT64)                                                                                   \
    X (status, STRING)                                                                             \
    X (merchant, STRING)                                                                           \
    X (ts, TIMESTAMP)                                                                              \
    X (now, TIMESTAMP)

enum {
#define X(name, type) SAMPLE_##name,
    SAMPLE_TABLE (X)
#undef X
        SAMPLE_COUNT
};

static const char *const sample_names[SAMPLE_COUNT] = {
#define X(name, type) #name,
    SAMPLE_TABLE (X)
#undef X
};

static const type_t sample_types[SAMPLE_COUNT] = {
#define X(name, type) TYPE_##type,
    SAMPLE_TABLE (X)
#undef X
};

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    (void)arg;
    for (uint32_t k = 0; k < SAMPLE_COUNT; k++) {
        *column = k;
        if (text_is (name, sample_names[k]))
            return sample_types[k];
    }
    return TYPE_NONE;
}

static const expr_scope_t sample_scope = {
    .lookup = lookup,
    .names = sample_names,
    .names_count = SAMPLE_COUNT,
};

/* Two rows, of which the first is the page's: the second is all nulls. */
static void fill_sample (column_t *columns, arena_t *arena)
{
    int64_t ts = 0, now = 0;
    error_t error;
    cr_assert_eq (time_parse (text_of ("2026-03-29T12:34:56.789Z"), NULL, UNIT_US, &ts, &error),
                  STATUS_OK);
    cr_assert_eq (time_parse (text_of ("2026-04-01"), NULL, UNIT_US, &now, &error), STATUS_OK);
    for (size_t k = 0; k < SAMPLE_COUNT; k++)
        columns[k] = column_new (arena, sample_types[k], 2);
    column_set (&columns[SAMPLE_amount], 0, &(value_t){ .type = TYPE_FLOAT64, .f = 2.5 });
    column_set (&columns[SAMPLE_price], 0, &(value_t){ .type = TYPE_MONEY, .d = 1050 });
    column_set (&columns[SAMPLE_n], 0, &(value_t){ .type = TYPE_INT64, .i = 7 });
    column_set (&columns[SAMPLE_status], 0,
                &(value_t){ .type = TYPE_STRING, .s = text_of ("declined") });
    column_set (&columns[SAMPLE_ts], 0, &(value_t){ .type = TYPE_TIMESTAMP, .i = ts });
    column_set (&columns[SAMPLE_now], 0, &(value_t){ .type = TYPE_TIMESTAMP, .i = now });
}

/* The first row's value; its strings live as long as the arena. */
static value_t evaluate (const char *text, arena_t *arena)
{
    column_t columns[SAMPLE_COUNT];
    fill_sample (columns, arena);
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    cr_assert_eq (expr_parse (text_of (text), &sample_scope, &expr, &at, &error), STATUS_OK,
                  "%s: at %zu: %s", text, at, error.text);
    column_t column = expr_eval (expr, columns, 2, arena);
    value_t value = column_get (&column, 0);
    if (value.type == TYPE_STRING && !value.null)
        value.s = arena_text (arena, value.s);
    expr_destroy (&expr);
    return value;
}

Test (docs, examples_give_what_the_page_says)
{
    page_t *page = page_read ("docs/expressions.md");
    arena_t *arena = arena_new (1 << 16);
    size_t count = 0;
    const char *cells[PAGE_CELLS_MAX];
    page_seek_table (page, "| expression | result |");
    while (page_next_row (page, cells)) {
        value_t got = evaluate (cells[0], arena);
        value_t wanted = evaluate (cells[1], arena);
        cr_assert_eq (got.null, wanted.null, "%s is not %s", cells[0], cells[1]);
        cr_assert (got.null || value_equal (&got, &wanted), "%s is not %s", cells[0], cells[1]);
        count++;
    }
    cr_assert_gt (count, 120u);
    arena_destroy (&arena);
    page_destroy (&page);
}

Test (docs, mistakes_are_told_as_the_page_says)
{
    page_t *page = page_read ("docs/expressions.md");
    size_t count = 0;
    const char *cells[PAGE_CELLS_MAX];
    page_seek_table (page, "| expression | at | message |");
    while (page_next_row (page, cells)) {
        expr_t *expr = NULL;
        size_t at = SIZE_MAX;
        error_t error;
        cr_assert_neq (expr_parse (text_of (cells[0]), &sample_scope, &expr, &at, &error),
                       STATUS_OK, "%s", cells[0]);
        cr_assert_str_eq (error.text, cells[2], "%s: %s", cells[0], error.text);
        cr_assert_eq (at, (size_t)atoi (cells[1]), "%s: at %zu", cells[0], at);
        count++;
    }
    cr_assert_gt (count, 60u);
    page_destroy (&page);
}

/* Does the page call the function, in a row of a table of functions or of its examples? */
static void expect_documented (page_t *page, const char *name, const char *arguments)
{
    char *call = mem_format ("`%s(%s)`", name, arguments);
    cr_assert (page_has (page, call), "the page does not have %s", call);
    mem_free (call);
    char *use = mem_format ("%s(", name);
    cr_assert (page_has_row (page, "| expression | result |", use), "%s has no example", name);
    mem_free (use);
}

Test (docs, every_function_is_described_with_its_arguments_and_has_an_example)
{
    page_t *page = page_read ("docs/expressions.md");
#define X(name, arguments, signature, nulls) expect_documented (page, #name, arguments);
    FUNCTION_TABLE (X)
#undef X
    page_destroy (&page);
}

static bool is_function (text_t name)
{
    static const char *const names[] = {
#define X(name, arguments, signature, nulls) #name,
        FUNCTION_TABLE (X)
#undef X
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (text_is (name, names[i]))
            return true;
    }
    return false;
}

/* Every `name(` in code of the first column. */
static size_t expect_functions (const char *cell)
{
    size_t count = 0;
    for (const char *open = strchr (cell, '('); open != NULL; open = strchr (open + 1, '(')) {
        const char *start = open;
        while (start > cell && (start[-1] == '_' || (start[-1] >= '0' && start[-1] <= '9') ||
                                (start[-1] >= 'a' && start[-1] <= 'z')))
            start--;
        cr_assert (is_function ((text_t){ start, (uint32_t)(open - start) }), "%s", cell);
        count++;
    }
    return count;
}

Test (docs, every_function_that_is_described_exists)
{
    page_t *page = page_read ("docs/expressions.md");
    size_t count = 0, functions = 0;
    const char *cells[PAGE_CELLS_MAX];
    page_seek_table (page, "| function | takes | gives |");
    while (page_next_row (page, cells))
        count += expect_functions (cells[0]);
#define X(name, arguments, signature, nulls) functions++;
    FUNCTION_TABLE (X)
#undef X
    cr_assert_eq (count, functions);
    page_destroy (&page);
}

/* `alias` is read as `name`: both words stand in one row of the page, and a call with no arguments
 * is refused in the name of the function. */
static void expect_alias (page_t *page, const char *alias, const char *name)
{
    char *call = mem_format ("%s(1, 2, 3, 4, 5 = 5, '', true)", alias);
    size_t at;
    const char *message = mistake (call, &at);
    cr_assert (strncmp (message, name, strlen (name)) == 0, "%s: %s", alias, message);
    mem_free (call);
    char *first = mem_format ("| `%s` |", name);
    char *other = mem_format ("`%s`", alias);
    cr_assert (page_has_line (page, first, other), "%s is not listed for %s", alias, name);
    mem_free (first);
    mem_free (other);
}

Test (docs, every_alias_is_listed_and_only_those)
{
    page_t *page = page_read ("docs/expressions.md");
    size_t aliases = 0, listed = 0;
#define X(alias, name)                                                                             \
    expect_alias (page, #alias, #name);                                                            \
    aliases++;
    ALIAS_TABLE (X)
#undef X
    const char *cells[PAGE_CELLS_MAX];
    page_seek_table (page, "| function | also |");
    while (page_next_row (page, cells)) {
        listed++;
        for (const char *c = cells[1]; *c != '\0'; c++)
            listed += *c == ',';
    }
    cr_assert_eq (listed, aliases);
    page_destroy (&page);
}

Test (docs, every_name_that_is_refused_with_a_hint_is_listed)
{
    page_t *page = page_read ("docs/expressions.md");
#define X(name, hint)                                                                              \
    {                                                                                              \
        size_t at;                                                                                 \
        const char *message = mistake (#name "(i)", &at);                                          \
        cr_assert_str_eq (message, "unknown function '" #name "'; " hint);                         \
        cr_assert_eq (at, 0u);                                                                     \
        cr_assert (page_has_word (page, "## Other names", #name), #name " is not listed");         \
    }
    HINT_TABLE (X)
#undef X
    page_destroy (&page);
}

Test (docs, every_keyword_is_listed)
{
    page_t *page = page_read ("docs/expressions.md");
    static const char *const words[] = { "and",  "by",   "case",  "default",  "delay", "distinct",
                                         "else", "end",  "false", "from",     "in",    "is",
                                         "not",  "now",  "null",  "lifetime", "or",    "over",
                                         "rows", "then", "time",  "true",     "when",  "where" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        cr_assert (expr_is_keyword (text_of (words[i])));
        cr_assert (page_has_word (page, "Keywords, which cannot be names", words[i]));
    }
    page_destroy (&page);
}
