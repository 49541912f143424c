/* Column evaluation against the naive evaluation of each row. */
#include "base/mem.h"
#include "expr/functions.h"
#include "naive.h"

#include <criterion/criterion.h>

enum { ROWS_MAX = 2500 };

/* How often each function was called in a tree, and had a value that is not null for a row. */
static struct {
    const char *name;
    size_t trees, values;
} functions[] = {
#define X(name, arguments, signature, nulls) { #name, 0, 0 },
    FUNCTION_TABLE (X)
#undef X
};

enum { FUNCTIONS = sizeof functions / sizeof *functions };

static void note_functions (const tree_t *tree, const column_t *columns, size_t rows,
                            arena_t *arena)
{
    for (size_t k = 0; k < tree->count; k++)
        note_functions (tree->child[k], columns, rows, arena);
    for (size_t i = 0; i < FUNCTIONS && tree->call; i++) {
        if (!is_op (tree, functions[i].name))
            continue;
        functions[i].trees++;
        for (size_t r = 0; r < rows && r < 3; r++)
            functions[i].values += !naive (tree, columns, r, arena).null;
    }
}

static void fill_columns (random_t *random, column_t *columns, size_t rows, arena_t *arena)
{
    for (size_t k = 0; k < FIELD_COUNT; k++) {
        columns[k] = column_new (arena, field_types[k], rows);
        for (size_t r = 0; r < rows; r++) {
            value_t value = random_value (random, field_types[k]);
            if (!random_chance (random, 0.15))
                column_set (&columns[k], r, &value);
        }
    }
}

static void expect_rows (const tree_t *tree, const char *text, const column_t *columns, size_t rows,
                         arena_t *arena)
{
    expr_t *expr = parse (text);
    cr_assert_eq (expr_type (expr), tree->type, "%s", text);
    column_t got = expr_eval (expr, columns, rows, arena);
    for (size_t r = 0; r < rows; r++) {
        value_t wanted = naive (tree, columns, r, arena);
        value_t cell = column_get (&got, r);
        cr_assert_eq (cell.null, wanted.null, "row %zu of %zu: %s", r, rows, text);
        wanted.type = tree->type;
        if (!wanted.null)
            cr_assert (value_equal (&cell, &wanted), "row %zu of %zu: %s", r, rows, text);
        else if (tree->type == TYPE_STRING)
            cr_assert_eq (got.s[r].size, 0u);
        else
            cr_assert_eq (got.i[r], 0);
    }
    expr_destroy (&expr);
}

Test (property, columns_evaluate_to_what_a_naive_evaluation_says_for_each_row)
{
    random_t random;
    random_seed (&random, 7);
    arena_t *arena = arena_new (1 << 16);
    size_t evaluated = 0;
    for (int round = 0; round < 3000; round++) {
        arena_reset (arena);
        column_t columns[FIELD_COUNT];
        size_t rows =
            round % 100 == 0 ? random_below (&random, ROWS_MAX) : random_below (&random, 40);
        fill_columns (&random, columns, rows, arena);
        tree_t *tree = grow (&random, arena, random_type (&random), 4);
        buf_t buf;
        buf_init (&buf, 1 << 16);
        write_tree (&buf, tree);
        const char *text = buf_string (&buf);
        expr_t *expr = NULL;
        size_t at;
        error_t error;
        status_t status = expr_parse (text_of (text), &fixture_scope, &expr, &at, &error);
        if (status != STATUS_TOO_LARGE) { /* the canonical text can be over the limit */
            expr_destroy (&expr);
            expect_rows (tree, text, columns, rows, arena);
            char *first = mem_string (canonical (text));
            cr_assert_str_eq (canonical (first), first);
            expect_rows (tree, first, columns, rows, arena);
            mem_free (first);
            note_functions (tree, columns, rows, arena);
            evaluated++;
        }
        buf_release (&buf);
    }
    arena_destroy (&arena);
    cr_assert_gt (evaluated, 2900u);
    for (size_t i = 0; i < FUNCTIONS; i++)
        cr_assert (functions[i].trees > 15 && functions[i].values > 15, "%s: %zu trees, %zu values",
                   functions[i].name, functions[i].trees, functions[i].values);
}
