/* Fuzzer of the expression parser and evaluator: whatever the bytes, they are refused with an
 * offset inside them, or evaluate and have a canonical text that parses to the same text again. A
 * first byte that begins no UTF-8 text (0x80 to 0xbf) makes the rest choices of what to write. */
#include "tests/fuzz/expr_text.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "expr/expr.h"

#include <math.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

enum { ROWS = 6, COLUMNS = 7, STRING_MAX = 16384 };

static const char *const names[COLUMNS] = { "b", "i", "f", "s", "t", "d", "m" };
static const type_t types[COLUMNS] = { TYPE_BOOL,
                                       TYPE_INT64,
                                       TYPE_FLOAT64,
                                       TYPE_STRING,
                                       TYPE_TIMESTAMP,
                                       TYPE_DURATION,
                                       (type_t)(DECIMAL_TYPE_BASE + 2) };

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
    static const int64_t integers[ROWS] = { 0,  INT64_MIN,        INT64_MAX,
                                            -1, 9007199254740993, 1774746000000000 };
    static const double floats[ROWS] = { 0, NAN, -0x1p63, 0.5, INFINITY, -1e-320 };
    static const char *const strings[ROWS] = { "", "a", "Zz", "\xc3\xa9", "declined", "1.5" };
    for (size_t k = 0; k < COLUMNS; k++) {
        columns[k] = column_new (arena, types[k], ROWS);
        for (size_t r = 1; r < ROWS; r++) {
            value_t value = { .type = types[k] };
            if (types[k] == TYPE_STRING)
                value.s = text_of (strings[r]);
            else if (types[k] == TYPE_FLOAT64)
                value.f = floats[r];
            else if (type_is_decimal (types[k]))
                value.d = (int128_t)integers[r] * (r % 2 ? INT64_C (1000000000000000000) : 1);
            else
                value.i = types[k] == TYPE_BOOL ? (int64_t)(r % 2) : integers[r];
            column_set (&columns[k], r, &value);
        }
    }
}

/* Canonical floats, UTF-8, and cells of zero where there is null. */
static void check_cell (const column_t *column, size_t row)
{
    value_t value = column_get (column, row);
    CHECK (column->valid[row] <= 1);
    if (value.null)
        CHECK (column->type == TYPE_STRING      ? column->s[row].size == 0
               : type_is_decimal (column->type) ? column->d[row] == 0
                                                : column->i[row] == 0);
    else if (type_is_decimal (column->type))
        CHECK (decimal_fits (value.d));
    else if (column->type == TYPE_BOOL)
        CHECK (value.i == 0 || value.i == 1);
    else if (column->type == TYPE_STRING)
        CHECK (value.s.size <= STRING_MAX && text_is_utf8 (value.s));
    else if (column->type == TYPE_FLOAT64)
        CHECK (memcmp (&value.f, &(double){ value_float (value.f) }, sizeof value.f) == 0);
}

/* All rows at once, and each alone. */
static void evaluate (const expr_t *expr)
{
    arena_t *arena = arena_new (4096);
    column_t columns[COLUMNS];
    fill (columns, arena);
    column_t result = expr_eval (expr, columns, ROWS, arena);
    for (size_t r = 0; r < ROWS; r++) {
        column_t row[COLUMNS];
        for (size_t k = 0; k < COLUMNS; k++) {
            row[k] = column_new (arena, types[k], 1);
            value_t cell = column_get (&columns[k], r);
            column_set (&row[k], 0, &cell);
        }
        column_t alone = expr_eval (expr, row, 1, arena);
        CHECK (result.valid[r] == alone.valid[0]);
        if (result.type == TYPE_NONE)
            continue;
        check_cell (&result, r);
        value_t a = column_get (&result, r), b = column_get (&alone, 0);
        CHECK (value_equal (&a, &b));
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

static void run (text_t text)
{
    expr_scope_t scope = { .lookup = lookup, .names = names, .names_count = COLUMNS };
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    if (expr_parse (text, &scope, &expr, &at, &error) != STATUS_OK) {
        CHECK (at <= text.size);
        CHECK (error.text[0] != '\0');
        return;
    }
    evaluate (expr);
    format_again (expr, &scope);
    expr_destroy (&expr);
}

static void run_made (const uint8_t *data, size_t size)
{
    buf_t text;
    buf_init (&text, 1 << 20);
    maker_t maker = { .choices = reader_of (data, size), .out = &text };
    make_value (&maker, "bifstd"[choose (&maker, 6)]);
    uint8_t *exact = mem_alloc (text.size); /* so that a read past the end is seen */
    memcpy (exact, text.data, text.size);
    run ((text_t){ (const char *)exact, (uint32_t)text.size });
    mem_free (exact);
    buf_release (&text);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size > EXPR_TEXT_MAX + 16)
        return 0;
    if (size > 0 && (data[0] & 0xc0) == 0x80)
        run_made (data + 1, size - 1);
    else
        run ((text_t){ (const char *)data, (uint32_t)size });
    return 0;
}
