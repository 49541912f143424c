#include "naive.h"

#include <float.h>
#include <math.h>

_Static_assert(LDBL_MANT_DIG >= 64, "the naive comparison needs a type that holds both exactly");

const value_t null_value = { .null = true };

value_t bool_of (bool value)
{
    return (value_t){ .type = TYPE_BOOL, .i = value };
}

value_t float_of (double value)
{
    value = isnan (value) ? (double)NAN : value == 0.0 ? 0.0 : value;
    return (value_t){ .type = TYPE_FLOAT64, .f = isnan (value) ? fabs (value) : value };
}

value_t int_of (__int128 value)
{
    if (value > INT64_MAX || value < INT64_MIN)
        return null_value;
    return (value_t){ .type = TYPE_INT64, .i = (int64_t)value };
}

double number_of (value_t value)
{
    return value.type == TYPE_FLOAT64 ? value.f : (double)value.i;
}

int naive_order (value_t a, value_t b)
{
    if (a.type == TYPE_STRING) {
        uint32_t both = a.s.size < b.s.size ? a.s.size : b.s.size;
        int order = both > 0 ? memcmp (a.s.data, b.s.data, both) : 0;
        return order != 0 ? order : (int)a.s.size - (int)b.s.size;
    }
    long double x = a.type == TYPE_FLOAT64 ? (long double)a.f : (long double)a.i;
    long double y = b.type == TYPE_FLOAT64 ? (long double)b.f : (long double)b.i;
    if (isnan (x))
        return isnan (y) ? 0 : 1;
    if (isnan (y))
        return -1;
    return x < y ? -1 : x > y ? 1 : 0;
}

static value_t naive_arithmetic (const tree_t *tree, value_t a, value_t b)
{
    if (a.null || b.null)
        return null_value;
    bool is_float = a.type == TYPE_FLOAT64 || b.type == TYPE_FLOAT64;
    double x = number_of (a);
    double y = number_of (b);
    switch (tree->op[0]) {
    case '/':
        return y == 0.0 ? null_value : float_of (x / y);
    case '%':
        if (y == 0.0)
            return null_value;
        return is_float ? float_of (fmod (x, y)) : int_of ((__int128)a.i % b.i);
    case '+':
        return is_float ? float_of (x + y) : int_of ((__int128)a.i + b.i);
    case '-':
        return is_float ? float_of (x - y) : int_of ((__int128)a.i - b.i);
    default:
        return is_float ? float_of (x * y) : int_of ((__int128)a.i * b.i);
    }
}

static value_t naive_compare (const tree_t *tree, value_t a, value_t b)
{
    bool distinct = a.null || b.null ? a.null != b.null : naive_order (a, b) != 0;
    if (is_op (tree, "is distinct from"))
        return bool_of (distinct);
    if (is_op (tree, "is not distinct from"))
        return bool_of (!distinct);
    if (a.null || b.null)
        return null_value;
    int order = naive_order (a, b);
    if (is_op (tree, "="))
        return bool_of (order == 0);
    if (is_op (tree, "<>"))
        return bool_of (order != 0);
    if (is_op (tree, "<"))
        return bool_of (order < 0);
    if (is_op (tree, "<="))
        return bool_of (order <= 0);
    return bool_of (is_op (tree, ">") ? order > 0 : order >= 0);
}

static value_t naive_not (value_t a)
{
    return a.null ? null_value : bool_of (!a.i);
}

/* The functions that see to nulls themselves. */
static bool naive_chooser (const tree_t *tree, const value_t *args, value_t *result)
{
    bool least = is_op (tree, "least");
    *result = null_value;
    if (is_op (tree, "coalesce")) {
        for (size_t k = tree->count; k-- > 0;)
            *result = args[k].null ? *result : args[k];
    } else if (is_op (tree, "if")) {
        *result = !args[0].null && args[0].i ? args[1] : args[2];
    } else if (is_op (tree, "nullif")) {
        bool same = !args[0].null && !args[1].null && naive_order (args[0], args[1]) == 0;
        *result = same ? null_value : args[0];
    } else if (least || is_op (tree, "greatest")) {
        for (size_t k = 0; k < tree->count; k++) {
            if (!args[k].null && (result->null || (least ? naive_order (args[k], *result) < 0
                                                         : naive_order (args[k], *result) > 0)))
                *result = args[k];
        }
    } else {
        return false;
    }
    return true;
}

static value_t widened (const tree_t *tree, value_t value)
{
    return tree->type == TYPE_FLOAT64 && !value.null ? float_of (number_of (value)) : value;
}

static value_t naive_function (const tree_t *tree, const value_t *args, arena_t *arena)
{
    value_t result, wide[TREE_CHILDREN_MAX];
    bool same = is_op (tree, "least") || is_op (tree, "greatest") || is_op (tree, "nullif") ||
                is_op (tree, "clamp");
    for (size_t k = 0; k < tree->count; k++)
        wide[k] = same ? widened (tree, args[k]) : args[k];
    if (naive_chooser (tree, wide, &result))
        return widened (tree, result);
    for (size_t k = 0; k < tree->count; k++) {
        if (args[k].null)
            return null_value;
    }
    return naive_call (tree, wide, arena);
}

static value_t naive_strings (const tree_t *tree, const value_t *args, arena_t *arena)
{
    if (args[0].null || args[1].null)
        return null_value;
    if (is_op (tree, "||")) {
        tree_t concat = { .op = "concat", .type = TYPE_STRING, .count = 2 };
        return naive_call (&concat, args, arena);
    }
    value_t like = naive_like (args[0].s, args[1].s);
    return is_op (tree, "like") ? like : naive_not (like);
}

static value_t naive_between (const value_t *args)
{
    value_t below =
        args[0].null || args[1].null ? null_value : bool_of (naive_order (args[0], args[1]) >= 0);
    value_t above =
        args[0].null || args[2].null ? null_value : bool_of (naive_order (args[0], args[2]) <= 0);
    if ((!below.null && !below.i) || (!above.null && !above.i))
        return bool_of (false);
    return below.null || above.null ? null_value : bool_of (true);
}

static value_t naive_case (const tree_t *tree, const value_t *args)
{
    size_t k = tree->operand;
    for (; k + 1 < tree->count; k += 2) {
        bool holds = !args[k].null && args[k].i;
        if (tree->operand)
            holds = !args[0].null && !args[k].null && naive_order (args[0], args[k]) == 0;
        if (holds)
            return widened (tree, args[k + 1]);
    }
    return k < tree->count ? widened (tree, args[k]) : null_value;
}

static value_t naive_in (const tree_t *tree, const value_t *args)
{
    bool unknown = args[0].null;
    for (size_t k = 1; k < tree->count; k++) {
        unknown = unknown || args[k].null;
        if (!args[0].null && !args[k].null && naive_order (args[0], args[k]) == 0)
            return bool_of (true);
    }
    return unknown ? null_value : bool_of (false);
}

static value_t untyped (const tree_t *tree, const column_t *columns, size_t row, arena_t *arena)
{
    if (is_op (tree, "lit"))
        return tree->type == TYPE_NONE ? null_value : tree->literal;
    if (is_op (tree, "field"))
        return column_get (&columns[tree->field], row);
    value_t args[TREE_CHILDREN_MAX] = { 0 };
    for (size_t k = 0; k < tree->count; k++)
        args[k] = naive (tree->child[k], columns, row, arena);
    if (is_op (tree, "and") || is_op (tree, "or")) {
        bool stop = is_op (tree, "or");
        for (size_t k = 0; k < 2; k++) {
            if (!args[k].null && (args[k].i == 1) == stop)
                return bool_of (stop);
        }
        return args[0].null || args[1].null ? null_value : bool_of (!stop);
    }
    if (is_op (tree, "not"))
        return naive_not (args[0]);
    if (is_op (tree, "is null") || is_op (tree, "is not null"))
        return bool_of (args[0].null == is_op (tree, "is null"));
    if (is_op (tree, "in"))
        return naive_in (tree, args);
    if (is_op (tree, "not in"))
        return naive_not (naive_in (tree, args));
    if (is_op (tree, "neg")) {
        if (args[0].null)
            return null_value;
        return args[0].type == TYPE_FLOAT64 ? float_of (-args[0].f) : int_of (-(__int128)args[0].i);
    }
    if (is_op (tree, "between"))
        return naive_between (args);
    if (is_op (tree, "not between"))
        return naive_not (naive_between (args));
    if (is_op (tree, "case"))
        return naive_case (tree, args);
    if (is_op (tree, "cast"))
        return args[0].null ? null_value : naive_cast (tree->type, args[0], arena);
    if (tree->call)
        return naive_function (tree, args, arena);
    if (is_op (tree, "like") || is_op (tree, "not like") || is_op (tree, "||"))
        return naive_strings (tree, args, arena);
    if (tree->type == TYPE_BOOL)
        return naive_compare (tree, args[0], args[1]);
    return naive_arithmetic (tree, args[0], args[1]);
}

value_t naive (const tree_t *tree, const column_t *columns, size_t row, arena_t *arena)
{
    value_t value = untyped (tree, columns, row, arena);
    if (!value.null && (tree->type == TYPE_TIMESTAMP || tree->type == TYPE_DURATION))
        value.type = tree->type; /* arithmetic knows integers only */
    return value;
}
