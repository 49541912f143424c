/* Fuzzer of the expression parser and evaluator: whatever the bytes, they are refused with an
 * offset inside them, or evaluate and have a canonical text that parses to the same text again. */
#include "expr/expr.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

enum { ROWS = 5, COLUMNS = 6 };

static const char *const names[COLUMNS] = { "b", "i", "f", "s", "t", "d" };
static const type_t types[COLUMNS] = { TYPE_BOOL,   TYPE_INT64,     TYPE_FLOAT64,
                                       TYPE_STRING, TYPE_TIMESTAMP, TYPE_DURATION };

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    (void)arg;
    for (uint32_t k = 0; k < COLUMNS; k++) {
        *column = k;
        if (text_is (name, names[k]))
            return types[k];
    }
    return TYPE_NONE;
}

/* Row 0 is null; the others are the ends of each type's range and what lies between. */
static void fill (column_t *columns, arena_t *arena)
{
    static const int64_t integers[ROWS] = { 0, INT64_MIN, INT64_MAX, -1, 9007199254740993 };
    static const double floats[ROWS] = { 0, __builtin_nan (""), -0x1p63, 0.5, __builtin_inf () };
    static const char *const strings[ROWS] = { "", "a", "Zz", "\xc3\xa9", "declined" };
    for (size_t k = 0; k < COLUMNS; k++) {
        columns[k] = column_new (arena, types[k], ROWS);
        for (size_t r = 1; r < ROWS; r++) {
            value_t value = { .type = types[k] };
            if (types[k] == TYPE_STRING)
                value.s = text_of (strings[r]);
            else if (types[k] == TYPE_FLOAT64)
                value.f = floats[r];
            else
                value.i = types[k] == TYPE_BOOL ? (int64_t)(r % 2) : integers[r];
            column_set (&columns[k], r, &value);
        }
    }
}

static void evaluate (const expr_t *expr)
{
    arena_t *arena = arena_new (4096);
    column_t columns[COLUMNS];
    fill (columns, arena);
    column_t result = expr_eval (expr, columns, ROWS, arena);
    for (size_t r = 0; r < ROWS; r++) {
        CHECK (result.valid[r] <= 1);
        if (result.type == TYPE_BOOL)
            CHECK (result.i[r] == 0 || result.i[r] == 1);
    }
    arena_destroy (&arena);
}

static void format_again (const expr_t *expr, const expr_scope_t *scope)
{
    buf_t first, second;
    buf_init (&first, EXPR_TEXT_MAX);
    buf_init (&second, EXPR_TEXT_MAX);
    expr_format (expr, &first);
    CHECK (!first.bad);
    expr_t *again = NULL;
    size_t at;
    error_t error;
    text_t text = { (const char *)first.data, (uint32_t)first.size };
    CHECK (expr_parse (text, scope, &again, &at, &error) == STATUS_OK);
    CHECK (expr_type (again) == expr_type (expr));
    expr_format (again, &second);
    CHECK (first.size == second.size);
    CHECK (memcmp (first.data, second.data, first.size) == 0);
    expr_destroy (&again);
    buf_release (&first);
    buf_release (&second);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size > EXPR_TEXT_MAX + 16)
        return 0;
    expr_scope_t scope = { .lookup = lookup, .names = names, .names_count = COLUMNS };
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    text_t text = { (const char *)data, (uint32_t)size };
    if (expr_parse (text, &scope, &expr, &at, &error) != STATUS_OK) {
        CHECK (at <= size);
        CHECK (error.text[0] != '\0');
        return 0;
    }
    evaluate (expr);
    format_again (expr, &scope);
    expr_destroy (&expr);
    return 0;
}
