/* Column evaluation against a second evaluation, which walks a tree of its own making row by row
 * and shares no code with the library: it is written for being plainly right. */
#include "base/mem.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

_Static_assert(LDBL_MANT_DIG >= 64, "the naive comparison needs a type that holds both exactly");

enum { TREE_CHILDREN_MAX = 4, ROWS_MAX = 2500 };

typedef struct tree {
    const char *op; /* "lit", "field", "neg", "not", an operator, or a function's name */
    type_t type;    /* TYPE_NONE: the null literal */
    size_t count;
    struct tree *child[TREE_CHILDREN_MAX];
    value_t literal;
    field_t field;
} tree_t;

/* ---- random values ---- */

static int64_t random_int (random_t *random)
{
    static const int64_t special[] = { 0,
                                       1,
                                       -1,
                                       2,
                                       3,
                                       INT64_MAX,
                                       INT64_MIN,
                                       INT64_MAX - 1,
                                       1LL << 53,
                                       (1LL << 53) + 1,
                                       -(1LL << 53) - 1,
                                       1LL << 62,
                                       7,
                                       -7 };
    if (random_chance (random, 0.5))
        return special[random_below (random, sizeof special / sizeof *special)];
    return (int64_t)random_below (random, 21) - 10;
}

static double random_float (random_t *random)
{
    static const double special[] = { 0.5,  -0.5,     1e300, -1e300, 0x1p63, -0x1p63, 0x1p53,
                                      -7.5, INFINITY, NAN,   0.0,    2.0,    1e-310 };
    if (random_chance (random, 0.5))
        return special[random_below (random, sizeof special / sizeof *special)];
    double value = random_chance (random, 0.3) ? (double)random_int (random)
                                               : (double)random_below (random, 9) - 4.0;
    return value == 0.0 ? 0.0 : value;
}

static text_t random_string (random_t *random)
{
    static const char *const strings[] = { "",  "a", "A",    "ab", "AB",  "aB", "b",
                                           "é", "É", "it's", "'",  "abc", "aé", "declined" };
    return text_of (strings[random_below (random, sizeof strings / sizeof *strings)]);
}

static value_t random_value (random_t *random, type_t type)
{
    value_t value = { .type = type };
    if (type == TYPE_BOOL)
        value.i = random_chance (random, 0.5);
    else if (type == TYPE_FLOAT64)
        value.f = random_float (random);
    else if (type == TYPE_STRING)
        value.s = random_string (random);
    else
        value.i = random_int (random);
    return value;
}

/* A value that can be written as a literal. */
static value_t random_literal (random_t *random, type_t type)
{
    value_t value = random_value (random, type);
    if (type == TYPE_FLOAT64 && !isfinite (value.f))
        value.f = 2.25;
    if (type == TYPE_TIMESTAMP)
        value.i = (int64_t)random_below (random, 100000) * TIME_SECOND;
    if (type == TYPE_DURATION && value.i < 0)
        value.i = 1;
    return value;
}

/* ---- random trees ---- */

static tree_t *tree_of (arena_t *arena, const char *op, type_t type, size_t count)
{
    tree_t *tree = arena_zero (arena, 1, sizeof *tree);
    tree->op = op;
    tree->type = type;
    tree->count = count;
    return tree;
}

static tree_t *grow (random_t *random, arena_t *arena, type_t type, int height);

static tree_t *grow_leaf (random_t *random, arena_t *arena, type_t type)
{
    if (random_chance (random, 0.3)) {
        tree_t *tree = tree_of (arena, "lit", type, 0);
        tree->literal = random_literal (random, type);
        return tree;
    }
    tree_t *tree = tree_of (arena, "field", type, 0);
    do
        tree->field = (field_t)random_below (random, FIELD_COUNT);
    while (field_types[tree->field] != type);
    return tree;
}

/* One that is the null literal now and then, for where the types of others decide. */
static tree_t *grow_or_null (random_t *random, arena_t *arena, type_t type, int height)
{
    if (random_chance (random, 0.07))
        return tree_of (arena, "lit", TYPE_NONE, 0);
    return grow (random, arena, type, height);
}

static type_t random_type (random_t *random)
{
    return field_types[random_below (random, FIELD_COUNT)];
}

static bool is_number (type_t type)
{
    return type == TYPE_INT64 || type == TYPE_FLOAT64;
}

/* `type`, or the other kind of number. */
static type_t comparable (random_t *random, type_t type)
{
    if (!is_number (type) || random_chance (random, 0.5))
        return type;
    return type == TYPE_INT64 ? TYPE_FLOAT64 : TYPE_INT64;
}

static tree_t *grow_bool (random_t *random, arena_t *arena, int height)
{
    static const char *const compare[] = {
        "=", "<>", "<", "<=", ">", ">=", "is distinct from", "is not distinct from"
    };
    type_t type = random_type (random);
    tree_t *tree;
    switch (random_below (random, 7)) {
    case 0:
        tree = tree_of (arena, random_chance (random, 0.5) ? "and" : "or", TYPE_BOOL, 2);
        tree->child[0] = grow_or_null (random, arena, TYPE_BOOL, height);
        tree->child[1] = grow_or_null (random, arena, TYPE_BOOL, height);
        return tree;
    case 1:
        tree = tree_of (arena, "not", TYPE_BOOL, 1);
        tree->child[0] = grow_or_null (random, arena, TYPE_BOOL, height);
        return tree;
    case 2:
        tree =
            tree_of (arena, random_chance (random, 0.5) ? "is null" : "is not null", TYPE_BOOL, 1);
        tree->child[0] = grow_or_null (random, arena, type, height);
        return tree;
    case 3:
        tree = tree_of (arena, random_chance (random, 0.5) ? "in" : "not in", TYPE_BOOL,
                        2 + random_below (random, 3));
        for (size_t k = 0; k < tree->count; k++)
            tree->child[k] = grow_or_null (random, arena, comparable (random, type), height);
        return tree;
    case 4:
        tree = tree_of (arena, "starts_with", TYPE_BOOL, 2);
        tree->child[0] = grow_or_null (random, arena, TYPE_STRING, height);
        tree->child[1] = grow_or_null (random, arena, TYPE_STRING, height);
        return tree;
    default:
        tree = tree_of (arena, compare[random_below (random, 8)], TYPE_BOOL, 2);
        tree->child[0] = grow_or_null (random, arena, type, height);
        tree->child[1] = grow_or_null (random, arena, comparable (random, type), height);
        return tree;
    }
}

static tree_t *grow_two (random_t *random, arena_t *arena, const char *op, type_t type, type_t left,
                         type_t right, int height)
{
    tree_t *tree = tree_of (arena, op, type, 2);
    tree->child[0] = grow (random, arena, left, height);
    tree->child[1] = left == type && right == type ? grow_or_null (random, arena, right, height)
                                                   : grow (random, arena, right, height);
    return tree;
}

static tree_t *grow_number (random_t *random, arena_t *arena, type_t type, int height)
{
    static const char *const ops[] = { "+", "-", "*", "%" };
    static const char *const calls[] = { "neg", "abs", "floor" };
    type_t other = type == TYPE_FLOAT64 ? comparable (random, type) : type;
    switch (random_below (random, 5)) {
    case 0: {
        tree_t *tree = tree_of (arena, calls[random_below (random, 3)], type, 1);
        tree->child[0] = grow (random, arena, type, height);
        return tree;
    }
    case 1:
        if (type == TYPE_INT64)
            break;
        if (random_chance (random, 0.5)) {
            tree_t *tree = tree_of (arena, "sqrt", type, 1);
            tree->child[0] = grow_or_null (random, arena, comparable (random, type), height);
            return tree;
        }
        if (random_chance (random, 0.3))
            return grow_two (random, arena, "/", type, TYPE_DURATION, TYPE_DURATION, height);
        return grow_two (random, arena, "/", type, comparable (random, type),
                         comparable (random, type), height);
    default:
        break;
    }
    const char *op = ops[random_below (random, 4)];
    if (random_chance (random, 0.5))
        return grow_two (random, arena, op, type, type, other, height);
    return grow_two (random, arena, op, type, other, type, height);
}

static tree_t *grow_time (random_t *random, arena_t *arena, type_t type, int height)
{
    if (type == TYPE_TIMESTAMP) {
        if (random_chance (random, 0.3))
            return grow_two (random, arena, "+", type, TYPE_DURATION, TYPE_TIMESTAMP, height);
        return grow_two (random, arena, random_chance (random, 0.5) ? "+" : "-", type,
                         TYPE_TIMESTAMP, TYPE_DURATION, height);
    }
    switch (random_below (random, 5)) {
    case 0:
        return grow_two (random, arena, "-", type, TYPE_TIMESTAMP, TYPE_TIMESTAMP, height);
    case 1:
        return grow_two (random, arena, "*", type, TYPE_DURATION, TYPE_INT64, height);
    case 2:
        return grow_two (random, arena, "*", type, TYPE_INT64, TYPE_DURATION, height);
    default:
        return grow_two (random, arena, random_chance (random, 0.5) ? "+" : "-", type,
                         TYPE_DURATION, TYPE_DURATION, height);
    }
}

static tree_t *grow_coalesce (random_t *random, arena_t *arena, type_t type, int height)
{
    tree_t *tree = tree_of (arena, "coalesce", type, 1 + random_below (random, 3));
    for (size_t k = 0; k < tree->count; k++)
        tree->child[k] = grow_or_null (
            random, arena, type == TYPE_FLOAT64 ? comparable (random, type) : type, height);
    tree->child[0] = grow (random, arena, type, height);
    return tree;
}

static tree_t *grow (random_t *random, arena_t *arena, type_t type, int height)
{
    if (height == 0 || random_chance (random, 0.15))
        return grow_leaf (random, arena, type);
    height--;
    if (random_chance (random, 0.1))
        return grow_coalesce (random, arena, type, height);
    if (type == TYPE_BOOL)
        return grow_bool (random, arena, height);
    if (is_number (type))
        return grow_number (random, arena, type, height);
    if (type != TYPE_STRING)
        return grow_time (random, arena, type, height);
    tree_t *tree = tree_of (arena, random_chance (random, 0.5) ? "lower" : "upper", type, 1);
    tree->child[0] = grow_or_null (random, arena, type, height);
    return tree;
}

/* ---- trees as text ---- */

static void write_literal (buf_t *out, const tree_t *tree)
{
    const value_t *value = &tree->literal;
    switch (tree->type) {
    case TYPE_NONE:
        buf_put_string (out, "null");
        break;
    case TYPE_BOOL:
        buf_put_string (out, value->i ? "TRUE" : "false");
        break;
    case TYPE_FLOAT64:
        buf_printf (out, "%.17e", value->f);
        break;
    case TYPE_STRING:
        buf_put_u8 (out, '\'');
        for (uint32_t k = 0; k < value->s.size; k++)
            buf_printf (out, "%s%c", value->s.data[k] == '\'' ? "'" : "", value->s.data[k]);
        buf_put_u8 (out, '\'');
        break;
    case TYPE_TIMESTAMP:
        buf_put_string (out, "time '");
        time_format (out, value->i);
        buf_put_string (out, "'");
        break;
    default:
        buf_printf (out, "%lld%s", (long long)value->i, tree->type == TYPE_INT64 ? "" : "us");
        break;
    }
}

static bool is_call (const tree_t *tree)
{
    static const char *const calls[] = { "abs",  "coalesce",    "floor", "lower",
                                         "sqrt", "starts_with", "upper" };
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        if (strcmp (tree->op, calls[k]) == 0)
            return true;
    }
    return false;
}

static bool is_op (const tree_t *tree, const char *op)
{
    return strcmp (tree->op, op) == 0;
}

static void write_tree (buf_t *out, const tree_t *tree);

static void write_children (buf_t *out, const tree_t *tree, size_t first)
{
    buf_put_string (out, "(");
    for (size_t k = first; k < tree->count; k++) {
        buf_put_string (out, k > first ? " ,  " : "");
        write_tree (out, tree->child[k]);
    }
    buf_put_string (out, ")");
}

/* With all parentheses there can be: what the library leaves out of them is tested by parsing the
 * canonical text. */
static void write_tree (buf_t *out, const tree_t *tree)
{
    if (is_op (tree, "lit")) {
        write_literal (out, tree);
    } else if (is_op (tree, "field")) {
        buf_put_string (out, field_names[tree->field]);
    } else if (is_call (tree)) {
        buf_put_string (out, tree->op);
        write_children (out, tree, 0);
    } else if (is_op (tree, "neg") || is_op (tree, "not")) {
        buf_printf (out, "(%s ", is_op (tree, "neg") ? "-" : "NOT");
        write_tree (out, tree->child[0]);
        buf_put_string (out, ")");
    } else {
        buf_put_string (out, "(");
        write_tree (out, tree->child[0]);
        buf_printf (out, " %s ", tree->op);
        if (is_op (tree, "in") || is_op (tree, "not in"))
            write_children (out, tree, 1);
        else if (tree->count > 1)
            write_tree (out, tree->child[1]);
        buf_put_string (out, ")");
    }
}

/* ---- the naive evaluation ---- */

static const value_t null_value = { .null = true };

static value_t bool_of (bool value)
{
    return (value_t){ .type = TYPE_BOOL, .i = value };
}

static value_t float_of (double value)
{
    value = isnan (value) ? (double)NAN : value == 0.0 ? 0.0 : value;
    return (value_t){ .type = TYPE_FLOAT64, .f = isnan (value) ? fabs (value) : value };
}

static value_t int_of (__int128 value)
{
    if (value > INT64_MAX || value < INT64_MIN)
        return null_value;
    return (value_t){ .type = TYPE_INT64, .i = (int64_t)value };
}

static double number_of (value_t value)
{
    return value.type == TYPE_FLOAT64 ? value.f : (double)value.i;
}

static int naive_order (value_t a, value_t b)
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

static value_t naive_call (const tree_t *tree, const value_t *args, arena_t *arena)
{
    if (is_op (tree, "coalesce")) {
        for (size_t k = 0; k < tree->count; k++) {
            if (!args[k].null)
                return tree->type == TYPE_FLOAT64 ? float_of (number_of (args[k])) : args[k];
        }
        return null_value;
    }
    for (size_t k = 0; k < tree->count; k++) {
        if (args[k].null)
            return null_value;
    }
    value_t a = args[0];
    bool is_float = a.type == TYPE_FLOAT64;
    if (is_op (tree, "abs"))
        return is_float ? float_of (a.f < 0 ? -a.f : a.f) : int_of (a.i < 0 ? -(__int128)a.i : a.i);
    if (is_op (tree, "floor"))
        return is_float ? float_of (floor (a.f)) : a;
    if (is_op (tree, "sqrt"))
        return number_of (a) < 0 ? null_value : float_of (sqrt (number_of (a)));
    if (is_op (tree, "starts_with"))
        return bool_of (
            a.s.size >= args[1].s.size &&
            (args[1].s.size == 0 || memcmp (a.s.data, args[1].s.data, args[1].s.size) == 0));
    char *copy = arena_string (arena, a.s);
    for (char *c = copy; *c != '\0'; c++) {
        if (is_op (tree, "lower") && *c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        else if (is_op (tree, "upper") && *c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    }
    a.s = text_of (copy);
    return a;
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

static value_t naive (const tree_t *tree, const column_t *columns, size_t row, arena_t *arena)
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
    if (is_call (tree))
        return naive_call (tree, args, arena);
    if (tree->type == TYPE_BOOL)
        return naive_compare (tree, args[0], args[1]);
    return naive_arithmetic (tree, args[0], args[1]);
}

/* ---- the properties ---- */

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
            evaluated++;
        }
        buf_release (&buf);
    }
    arena_destroy (&arena);
    cr_assert_gt (evaluated, 2900u);
}
