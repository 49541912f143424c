#include "fixture.h"

#include "base/number.h"
#include "base/timestamp.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

const char *const field_names[FIELD_COUNT] = {
#define X(name, type) #name,
    FIELD_TABLE (X)
#undef X
};

const type_t field_types[FIELD_COUNT] = {
#define X(name, type) TYPE_##type,
    FIELD_TABLE (X)
#undef X
};

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    (void)arg;
    for (uint32_t k = 0; k < FIELD_COUNT; k++) {
        if (text_is (name, field_names[k])) {
            *column = k;
            return field_types[k];
        }
    }
    return TYPE_NONE;
}

const expr_scope_t fixture_scope = {
    .lookup = lookup,
    .names = field_names,
    .names_count = FIELD_COUNT,
};

expr_t *parse (const char *text)
{
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    error_clear (&error);
    status_t status = expr_parse (text_of (text), &fixture_scope, &expr, &at, &error);
    cr_assert_eq (status, STATUS_OK, "%s: at %zu: %s", text, at, error.text);
    return expr;
}

const char *canonical (const char *text)
{
    static char kept[EXPR_TEXT_MAX + 1];
    expr_t *expr = parse (text);
    buf_t buf;
    buf_init (&buf, EXPR_TEXT_MAX + 1);
    expr_format (expr, &buf);
    snprintf (kept, sizeof kept, "%s", buf_string (&buf));
    buf_release (&buf);
    expr_destroy (&expr);
    return kept;
}

const char *mistake (const char *text, size_t *at)
{
    static error_t error;
    expr_t *expr = NULL;
    error_clear (&error);
    status_t status = expr_parse (text_of (text), &fixture_scope, &expr, at, &error);
    cr_assert_neq (status, STATUS_OK, "'%s' should not parse", text);
    cr_assert_eq (status, error.status);
    cr_assert_null (expr);
    return error.text;
}

static void fill_row (column_t *columns, arena_t *arena)
{
    static const value_t row[FIELD_COUNT] = {
        [FIELD_flag] = { .type = TYPE_BOOL, .i = 1 },
        [FIELD_ok] = { .type = TYPE_BOOL, .null = true },
        [FIELD_i] = { .type = TYPE_INT64, .i = 7 },
        [FIELD_j] = { .type = TYPE_INT64, .i = 3 },
        [FIELD_amount] = { .type = TYPE_FLOAT64, .f = 2.5 },
        [FIELD_f] = { .type = TYPE_FLOAT64, .f = NAN },
        [FIELD_s] = { .type = TYPE_STRING, .s = { "abc", 3 } },
        [FIELD_merchant] = { .type = TYPE_STRING, .null = true },
        [FIELD_ts] = { .type = TYPE_TIMESTAMP, .i = 10 * TIME_SECOND },
        [FIELD_seen] = { .type = TYPE_TIMESTAMP, .null = true },
        [FIELD_d] = { .type = TYPE_DURATION, .i = 2 * TIME_SECOND },
        [FIELD_gap] = { .type = TYPE_DURATION, .null = true },
    };
    for (size_t k = 0; k < FIELD_COUNT; k++) {
        columns[k] = column_new (arena, field_types[k], 1);
        if (!row[k].null)
            column_set (&columns[k], 0, &row[k]);
    }
}

static void print_value (buf_t *out, const column_t *column)
{
    if (!column->valid[0])
        buf_put_string (out, "null");
    else if (column->type == TYPE_BOOL)
        buf_put_string (out, column->i[0] ? "true" : "false");
    else if (column->type == TYPE_FLOAT64)
        number_format_float (out, column->f[0]);
    else if (column->type == TYPE_STRING)
        buf_printf (out, "'" TEXT_FORMAT "'", TEXT_ARGS (column->s[0]));
    else
        buf_printf (out, "%lld", (long long)column->i[0]);
}

const char *result (const char *text)
{
    static char kept[256];
    arena_t *arena = arena_new (4096);
    column_t columns[FIELD_COUNT];
    fill_row (columns, arena);
    expr_t *expr = parse (text);
    column_t column = expr_eval (expr, columns, 1, arena);
    cr_assert_eq (column.type, expr_type (expr));
    buf_t buf;
    buf_init (&buf, sizeof kept - 1);
    print_value (&buf, &column);
    snprintf (kept, sizeof kept, "%s", buf_string (&buf));
    buf_release (&buf);
    expr_destroy (&expr);
    arena_destroy (&arena);
    return kept;
}
