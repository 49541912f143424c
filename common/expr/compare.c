/* Comparison and three-valued logic. */
#include "base/check.h"
#include "base/decimal.h"
#include "expr/tree.h"

#include <math.h>

#define INLINE static inline __attribute__ ((always_inline))

INLINE int order_int (int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

INLINE int order_float (double a, double b)
{
    if (isnan (a) || isnan (b))
        return isnan (a) - isnan (b);
    return (a > b) - (a < b);
}

int compare_int_float (int64_t a, double b)
{
    if (isnan (b) || b >= 0x1p63)
        return -1;
    if (b < -0x1p63)
        return 1;
    int64_t whole = (int64_t)b; /* towards zero; exact, for b has a fraction only below 2^53 */
    if (a != whole)
        return a < whole ? -1 : 1;
    return order_float ((double)whole, b);
}

static unsigned outcomes_of (binary_t binary)
{
    switch (binary) {
    case BINARY_EQUAL:
        return EQUAL;
    case BINARY_UNEQUAL:
        return LESS | GREATER;
    case BINARY_LESS:
        return LESS;
    case BINARY_LESS_EQUAL:
        return LESS | EQUAL;
    case BINARY_GREATER:
        return GREATER;
    default:
        CHECK (binary == BINARY_GREATER_EQUAL);
        return GREATER | EQUAL;
    }
}

/* -1, 0 or 1. The types are constants where this is inlined. */
INLINE int order_at (const vector_t *a, const vector_t *b, size_t row, type_t left, type_t right)
{
    size_t x = row * a->step;
    size_t y = row * b->step;
    if (left == TYPE_STRING)
        return order_int (text_compare (a->column.s[x], b->column.s[y]), 0);
    if (left == TYPE_FLOAT64 && right == TYPE_FLOAT64)
        return order_float (a->column.f[x], b->column.f[y]);
    if (left == TYPE_FLOAT64)
        return -compare_int_float (b->column.i[y], a->column.f[x]);
    if (right == TYPE_FLOAT64)
        return compare_int_float (a->column.i[x], b->column.f[y]);
    return order_int (a->column.i[x], b->column.i[y]);
}

INLINE void compare_rows (const vector_t *a, const vector_t *b, unsigned outcomes, size_t rows,
                          column_t *out, type_t left, type_t right)
{
    for (size_t r = 0; r < rows; r++) {
        bool valid = a->column.valid[r * a->step] && b->column.valid[r * b->step];
        unsigned outcome = 1u << (order_at (a, b, r, left, right) + 1);
        out->valid[r] = valid;
        out->i[r] = valid && (outcomes & outcome) != 0;
    }
}

/* Most filters compare a string for equality, where sizes tell most of them apart. */
static void equal_strings (const vector_t *a, const vector_t *b, bool equal, size_t rows,
                           column_t *out)
{
    for (size_t r = 0; r < rows; r++) {
        bool valid = a->column.valid[r * a->step] && b->column.valid[r * b->step];
        bool same = text_equal (a->column.s[r * a->step], b->column.s[r * b->step]);
        out->valid[r] = valid;
        out->i[r] = valid && same == equal;
    }
}

static void all_null (column_t *out, size_t rows)
{
    memset (out->valid, 0, rows);
    memset (out->i, 0, rows * sizeof *out->i);
}

/* A decimal beside a number of any type, by value. */
static int order_decimal (const value_t *a, const value_t *b)
{
    if (!type_is_decimal (a->type))
        return -order_decimal (b, a);
    unsigned scale = type_scale (a->type);
    if (b->type == TYPE_FLOAT64)
        return decimal_compare_float (a->d, scale, b->f);
    if (b->type == TYPE_INT64)
        return decimal_compare (a->d, scale, b->i, 0);
    return decimal_compare (a->d, scale, b->d, type_scale (b->type));
}

int compare_values (const value_t *a, const value_t *b)
{
    if (type_is_decimal (a->type) || type_is_decimal (b->type))
        return order_decimal (a, b);
    if (a->type == b->type)
        return value_compare (a, b);
    return a->type == TYPE_INT64 ? compare_int_float (a->i, b->f) : -compare_int_float (b->i, a->f);
}

static void compare_decimals (const vector_t *a, const vector_t *b, unsigned outcomes, size_t rows,
                              column_t *out)
{
    for (size_t r = 0; r < rows; r++) {
        value_t x = column_get (&a->column, r * a->step);
        value_t y = column_get (&b->column, r * b->step);
        bool valid = !x.null && !y.null;
        int order = valid ? order_decimal (&x, &y) : 0;
        out->valid[r] = valid;
        out->i[r] = valid && (outcomes & 1u << ((order > 0) - (order < 0) + 1)) != 0;
    }
}

void compare_vectors (const vector_t *a, const vector_t *b, unsigned outcomes, size_t rows,
                      column_t *out)
{
    type_t left = a->column.type;
    type_t right = b->column.type;
    if (left == TYPE_NONE || right == TYPE_NONE) {
        all_null (out, rows);
    } else if (type_is_decimal (left) || type_is_decimal (right)) {
        compare_decimals (a, b, outcomes, rows, out);
    } else if (left == TYPE_STRING) {
        if (outcomes == EQUAL || outcomes == (LESS | GREATER))
            equal_strings (a, b, outcomes == EQUAL, rows, out);
        else
            compare_rows (a, b, outcomes, rows, out, TYPE_STRING, TYPE_STRING);
    } else if (left == TYPE_FLOAT64 && right == TYPE_FLOAT64) {
        compare_rows (a, b, outcomes, rows, out, TYPE_FLOAT64, TYPE_FLOAT64);
    } else if (left == TYPE_FLOAT64) {
        compare_rows (a, b, outcomes, rows, out, TYPE_FLOAT64, TYPE_INT64);
    } else if (right == TYPE_FLOAT64) {
        compare_rows (a, b, outcomes, rows, out, TYPE_INT64, TYPE_FLOAT64);
    } else {
        compare_rows (a, b, outcomes, rows, out, TYPE_INT64, TYPE_INT64);
    }
}

void eval_compare (const call_t *call, column_t *out)
{
    compare_vectors (call->args[0], call->args[1], outcomes_of (call->node->binary), call->rows,
                     out);
}

void eval_distinct (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    compare_vectors (a, b, LESS | GREATER, call->rows, out);
    for (size_t r = 0; r < call->rows; r++) {
        if (!out->valid[r])
            out->i[r] = a->column.valid[r * a->step] != b->column.valid[r * b->step];
        out->valid[r] = 1;
    }
}

void eval_is_null (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        out->i[r] = !a->column.valid[r * a->step];
        out->valid[r] = 1;
    }
}

/* True when an element is equal, else null when a comparison was, else false. */
void eval_in (const call_t *call, column_t *out)
{
    column_t *equal = call->scratch;
    memset (out->valid, 1, call->rows);
    memset (out->i, 0, call->rows * sizeof *out->i);
    for (size_t k = 1; k < call->count; k++) {
        compare_vectors (call->args[0], call->args[k], EQUAL, call->rows, equal);
        for (size_t r = 0; r < call->rows; r++) {
            out->i[r] |= equal->i[r];
            out->valid[r] &= equal->valid[r];
        }
    }
    for (size_t r = 0; r < call->rows; r++)
        out->valid[r] |= (uint8_t)out->i[r];
}

/* low <= x and x <= high. */
void eval_between (const call_t *call, column_t *out)
{
    const column_t *below = call->scratch;
    compare_vectors (call->args[0], call->args[1], GREATER | EQUAL, call->rows, out);
    compare_vectors (call->args[0], call->args[2], LESS | EQUAL, call->rows, call->scratch);
    for (size_t r = 0; r < call->rows; r++) {
        bool outside = (out->valid[r] && !out->i[r]) || (below->valid[r] && !below->i[r]);
        bool valid = outside || (out->valid[r] && below->valid[r]);
        out->valid[r] = valid;
        out->i[r] = valid && !outside;
    }
}

/* `decides` is the operand that settles the matter alone: false for `and`, true for `or`. */
INLINE void logic (const call_t *call, column_t *out, int64_t decides)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    for (size_t r = 0; r < call->rows; r++) {
        size_t x = r * a->step;
        size_t y = r * b->step;
        bool settled = (a->column.valid[x] && a->column.i[x] == decides) ||
                       (b->column.valid[y] && b->column.i[y] == decides);
        bool valid = settled || (a->column.valid[x] && b->column.valid[y]);
        out->valid[r] = valid;
        out->i[r] = valid && settled == (decides == 1);
    }
}

void eval_and (const call_t *call, column_t *out)
{
    logic (call, out, 0);
}

void eval_or (const call_t *call, column_t *out)
{
    logic (call, out, 1);
}

void eval_not (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        out->i[r] = out->valid[r] && a->column.i[r * a->step] == 0;
}
