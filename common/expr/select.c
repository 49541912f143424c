/* What chooses among its arguments: a row takes the value of one of them, and what the others hold
 * there, a null too, does not matter. */
#include "base/value.h"
#include "expr/tree.h"

#include <math.h>

#define INLINE static inline __attribute__ ((always_inline))

/* Cells are 8 bytes, a text or a decimal. The null literal has no cells of the type of `out`. */
INLINE void take_cell (const vector_t *from, size_t row, column_t *out)
{
    size_t at = row * from->step;
    bool valid = from->column.valid[at];
    out->valid[row] = valid;
    if (out->type == TYPE_STRING)
        out->s[row] = valid ? from->column.s[at] : (text_t){ NULL, 0 };
    else if (type_is_decimal (out->type))
        out->d[row] = valid ? from->column.d[at] : 0;
    else
        out->i[row] = valid ? from->column.i[at] : 0;
}

static void set_nulls (column_t *out, size_t rows)
{
    memset (out->valid, 0, rows);
    memset (out->data, 0, rows * type_size (out->type));
}

static void take_all (const vector_t *from, column_t *out, size_t rows)
{
    for (size_t r = 0; r < rows; r++)
        take_cell (from, r, out);
}

/* The rows in which `condition` is true. */
static void take_where (const column_t *condition, size_t step, const vector_t *from, column_t *out,
                        size_t rows)
{
    for (size_t r = 0; r < rows; r++) {
        if (condition->valid[r * step] && condition->i[r * step])
            take_cell (from, r, out);
    }
}

/* From the last arm to the first, so that the first that holds has the last word. */
void eval_case (const call_t *call, column_t *out)
{
    size_t operand = call->node->operand;
    size_t arms = (call->count - operand) / 2;
    bool has_else = (call->count - operand) % 2 != 0;
    if (has_else)
        take_all (call->args[call->count - 1], out, call->rows);
    else
        set_nulls (out, call->rows);
    for (size_t k = arms; k-- > 0;) {
        const vector_t *when = call->args[operand + 2 * k];
        const vector_t *then = call->args[operand + 2 * k + 1];
        if (operand) {
            compare_vectors (call->args[0], when, EQUAL, call->rows, call->scratch);
            take_where (call->scratch, 1, then, out, call->rows);
        } else {
            take_where (&when->column, when->step, then, out, call->rows);
        }
    }
}

void call_if (const call_t *call, column_t *out)
{
    const vector_t *when = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        bool holds = when->column.valid[r * when->step] && when->column.i[r * when->step];
        take_cell (call->args[holds ? 1 : 2], r, out);
    }
}

/* The first argument that is not null. */
void call_coalesce (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        size_t k = 0;
        while (k + 1 < call->count && !call->args[k]->column.valid[r * call->args[k]->step])
            k++;
        take_cell (call->args[k], r, out);
    }
}

void call_nullif (const call_t *call, column_t *out)
{
    uint8_t valid = 0;
    int64_t cell = 0;
    vector_t none = { .column = { .type = TYPE_NONE, .valid = &valid, .i = &cell } };
    compare_vectors (call->args[0], call->args[1], EQUAL, call->rows, call->scratch);
    take_all (call->args[0], out, call->rows);
    take_where (call->scratch, 1, &none, out, call->rows);
}

INLINE int order_float (double a, double b)
{
    if (isnan (a) || isnan (b))
        return isnan (a) - isnan (b);
    return (a > b) - (a < b);
}

/* Is a cell below one of the same type? The type is a constant where this is inlined. */
INLINE bool is_below (const column_t *a, size_t x, const column_t *b, size_t y, type_t type)
{
    if (type == TYPE_STRING)
        return text_compare (a->s[x], b->s[y]) < 0;
    if (type == TYPE_FLOAT64)
        return order_float (a->f[x], b->f[y]) < 0;
    if (type == TYPE_DECIMAL)
        return a->d[x] < b->d[y];
    return a->i[x] < b->i[y];
}

INLINE void extreme_of (const call_t *call, column_t *out, bool least, type_t type)
{
    take_all (call->args[0], out, call->rows);
    for (size_t k = 1; k < call->count; k++) {
        const vector_t *arg = call->args[k];
        for (size_t r = 0; r < call->rows; r++) {
            size_t at = r * arg->step;
            if (!arg->column.valid[at])
                continue;
            if (!out->valid[r] || (least ? is_below (&arg->column, at, out, r, type)
                                         : is_below (out, r, &arg->column, at, type)))
                take_cell (arg, r, out);
        }
    }
}

static void extreme (const call_t *call, column_t *out, bool least)
{
    if (out->type == TYPE_STRING)
        extreme_of (call, out, least, TYPE_STRING);
    else if (out->type == TYPE_FLOAT64)
        extreme_of (call, out, least, TYPE_FLOAT64);
    else if (type_is_decimal (out->type))
        extreme_of (call, out, least, TYPE_DECIMAL);
    else
        extreme_of (call, out, least, TYPE_INT64);
}

void call_least (const call_t *call, column_t *out)
{
    extreme (call, out, true);
}

void call_greatest (const call_t *call, column_t *out)
{
    extreme (call, out, false);
}

INLINE void clamp_of (const call_t *call, column_t *out, type_t type)
{
    const vector_t *x = call->args[0];
    const vector_t *low = call->args[1];
    const vector_t *high = call->args[2];
    for (size_t r = 0; r < call->rows; r++) {
        size_t at = r * x->step, l = r * low->step, h = r * high->step;
        bool valid = out->valid[r] && !is_below (&high->column, h, &low->column, l, type);
        take_cell (is_below (&x->column, at, &low->column, l, type)    ? low
                   : is_below (&high->column, h, &x->column, at, type) ? high
                                                                       : x,
                   r, out);
        if (valid)
            continue;
        out->valid[r] = 0;
        if (type == TYPE_STRING)
            out->s[r] = (text_t){ NULL, 0 };
        else if (type == TYPE_DECIMAL)
            out->d[r] = 0;
        else
            out->i[r] = 0;
    }
}

/* Null where the bounds are the wrong way round. */
void call_clamp (const call_t *call, column_t *out)
{
    if (out->type == TYPE_STRING)
        clamp_of (call, out, TYPE_STRING);
    else if (out->type == TYPE_FLOAT64)
        clamp_of (call, out, TYPE_FLOAT64);
    else if (type_is_decimal (out->type))
        clamp_of (call, out, TYPE_DECIMAL);
    else
        clamp_of (call, out, TYPE_INT64);
}

/* How many of the edges x is not below. */
void call_bucketize (const call_t *call, column_t *out)
{
    const vector_t *x = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        out->valid[r] = x->column.valid[r * x->step];
        out->i[r] = 0;
    }
    for (size_t k = 1; k < call->count; k++) {
        column_t *reached = call->scratch;
        compare_vectors (x, call->args[k], GREATER | EQUAL, call->rows, reached);
        for (size_t r = 0; r < call->rows; r++)
            out->i[r] += reached->i[r];
    }
}
