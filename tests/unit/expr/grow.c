/* Random trees, typed as docs/expressions.md says, and their text. */
#include "base/timestamp.h"
#include "naive.h"

#include <math.h>

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
    static const char *const strings[] = {
        "",           "a",        "A",
        "ab",         "AB",       "aB",
        "b",          "é",        "É",
        "it's",       "'",        "abc",
        "aé",         "%b",       "a_%",
        "\\%",        "declined", "éaéa",
        " a b ",      "aaabaab",  "12",
        "-3.5",       "1e3",      "True",
        "false",      "NaN",      "中文a",
        "_é",         "-9e999",   "a\\",
        "2026-03-29", "🙂b",    "2026-03-29T12:00:00.5+01:00"
    };
    return text_of (strings[random_below (random, sizeof strings / sizeof *strings)]);
}

value_t random_value (random_t *random, type_t type)
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

type_t random_type (random_t *random)
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
    switch (random_below (random, 9)) {
    case 7:
        tree = tree_of (arena, random_chance (random, 0.5) ? "like" : "not like", TYPE_BOOL, 2);
        tree->child[0] = grow_or_null (random, arena, TYPE_STRING, height);
        tree->child[1] = grow_or_null (random, arena, TYPE_STRING, height);
        return tree;
    case 8:
        tree =
            tree_of (arena, random_chance (random, 0.5) ? "between" : "not between", TYPE_BOOL, 3);
        for (size_t k = 0; k < tree->count; k++)
            tree->child[k] = grow_or_null (random, arena, comparable (random, type), height);
        return tree;
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
    type_t other = type == TYPE_FLOAT64 ? comparable (random, type) : type;
    switch (random_below (random, 5)) {
    case 0: {
        tree_t *tree = tree_of (arena, "neg", type, 1);
        tree->child[0] = grow (random, arena, type, height);
        return tree;
    }
    case 1:
        if (type == TYPE_INT64)
            break;
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

/* ---- functions: result, name, arguments ----
 * b i s t d are types, f an int64 or float64, F a float64, h what has a key encoding, D digits, v
 * the type of the result; Z and U literals. */
static const char *const functions[] = {
    "iabs(i)",           "fabs(F)",
    "dabs(d)",           "ffloor(F)",
    "ifloor(i)",         "fceil(F)",
    "iceil(i)",          "ftrunc(F)",
    "itrunc(i)",         "isign(i)",
    "fsign(F)",          "iround(i)",
    "fround(F)",         "iround(iD)",
    "fround(FD)",        "fround(FD)",
    "imod(ii)",          "fmod(Ff)",
    "fsqrt(f)",          "fexp(f)",
    "fexpm1(f)",         "fln(f)",
    "flog10(f)",         "flog2(f)",
    "flog1p(f)",         "fpow(ff)",
    "fsin(f)",           "fcos(f)",
    "ftan(f)",           "fasin(f)",
    "facos(f)",          "fatan(f)",
    "fatan2(ff)",        "fpi()",
    "bis_nan(f)",        "bis_finite(f)",
    "ilength(s)",        "slower(s)",
    "supper(s)",         "sconcat(sss)",
    "sconcat(s)",        "ssubstring(si)",
    "ssubstring(sii)",   "sleft(si)",
    "sright(si)",        "strim(s)",
    "strim(ss)",         "sltrim(ss)",
    "srtrim(ss)",        "sreplace(sss)",
    "bcontains(ss)",     "bstarts_with(ss)",
    "bends_with(ss)",    "iposition(ss)",
    "ssplit_part(ssi)",  "iyear(t)",
    "iquarter(tZ)",      "imonth(tZ)",
    "iday(tZ)",          "ihour(tZ)",
    "iminute(tZ)",       "isecond(tZ)",
    "iweekday(tZ)",      "bis_weekend(tZ)",
    "iyearday(tZ)",      "iweek(tZ)",
    "iyear(tZ)",         "tdate_trunc(Ut)",
    "ito_unix(t)",       "ito_unix_ms(t)",
    "tfrom_unix(i)",     "tfrom_unix(F)",
    "tfrom_unix_ms(i)",  "tfrom_unix_ms(F)",
    "fto_seconds(d)",    "ihash(hh)",
    "ihash(h)",          "ihash_bucket(hi)",
    "ihash_bucket(hhi)", "ihour(t)",
    "iweek(t)",          "iweekday(t)",
    "iyearday(t)",       "imonth(t)",
    "iquarter(t)",       "iday(t)",
    "iminute(t)",        "isecond(t)",
    "bis_weekend(t)",
};

static const char *const generic[] = { "coalesce(vvv)", "if(bvv)",      "nullif(vv)",  "least(vvv)",
                                       "clamp(vvv)",    "greatest(vv)", "coalesce(v)", "least(v)" };

static type_t type_of_letter (random_t *random, char letter, type_t result)
{
    type_t type;
    switch (letter) {
    case 'b':
        return TYPE_BOOL;
    case 'i':
    case 'D':
        return TYPE_INT64;
    case 'f':
        return comparable (random, TYPE_FLOAT64);
    case 'F':
        return TYPE_FLOAT64;
    case 's':
        return TYPE_STRING;
    case 't':
        return TYPE_TIMESTAMP;
    case 'd':
        return TYPE_DURATION;
    case 'h':
        type = random_type (random);
        return type == TYPE_DURATION ? TYPE_INT64 : type;
    default: /* v */
        return result == TYPE_FLOAT64 ? comparable (random, result) : result;
    }
}

static tree_t *grow_word (random_t *random, arena_t *arena, const char *const *words, size_t count)
{
    tree_t *tree = tree_of (arena, "lit", TYPE_STRING, 0);
    tree->literal =
        (value_t){ .type = TYPE_STRING, .s = text_of (words[random_below (random, count)]) };
    return tree;
}

static tree_t *grow_argument (random_t *random, arena_t *arena, char letter, type_t result,
                              int height)
{
    static const char *const zones[] = { "UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York",
                                         "Australia/Lord_Howe" };
    static const char *const units[] = { "second", "minute", "hour",    "day",
                                         "week",   "month",  "quarter", "year" };
    if (letter == 'Z')
        return grow_word (random, arena, zones, sizeof zones / sizeof *zones);
    if (letter == 'U')
        return grow_word (random, arena, units, sizeof units / sizeof *units);
    if (letter == 'D' && random_chance (random, 0.8)) {
        tree_t *tree = tree_of (arena, "lit", TYPE_INT64, 0);
        tree->literal = (value_t){ .type = TYPE_INT64, .i = (int64_t)random_below (random, 52) };
        tree->literal.i -= 26;
        return tree;
    }
    return grow (random, arena, type_of_letter (random, letter, result), height);
}

/* `shape` is a name and the letters of its arguments. */
static tree_t *grow_shape (random_t *random, arena_t *arena, const char *shape, type_t type,
                           int height)
{
    const char *open = strchr (shape, '(');
    text_t name = { shape, (uint32_t)(open - shape) };
    size_t count = strlen (open) - 2;
    tree_t *tree = tree_of (arena, arena_string (arena, name), type, count);
    tree->call = true;
    for (size_t k = 0; k < count; k++)
        tree->child[k] = grow_argument (random, arena, open[1 + k], type, height);
    size_t first = count > 1 && open[1] == 'b' && open[2] == 'v';
    if (count > 0 && open[1 + first] == 'v') /* or what type would it have? */
        tree->child[first] = grow (random, arena, type, height);
    if (count > 1 && random_chance (random, 0.05) && strchr ("vsh", open[count]) != NULL)
        tree->child[count - 1] = tree_of (arena, "lit", TYPE_NONE, 0);
    return tree;
}

/* One of the functions with that result; NULL when the first choices were not. */
static tree_t *grow_call (random_t *random, arena_t *arena, type_t type, int height)
{
    if (random_chance (random, 0.2))
        return grow_shape (random, arena,
                           generic[random_below (random, sizeof generic / sizeof *generic)], type,
                           height);
    for (int tries = 0; tries < 60; tries++) {
        const char *row = functions[random_below (random, sizeof functions / sizeof *functions)];
        if (type_of_letter (random, row[0] == 'f' ? 'F' : row[0], type) == type)
            return grow_shape (random, arena, row + 1, type, height);
    }
    return NULL;
}

static tree_t *grow_bucketize (random_t *random, arena_t *arena, int height)
{
    static const int64_t ints[] = { -10, 0, 3 };
    static const double floats[] = { -2.5, 0.5, 7.0 };
    bool is_float = random_chance (random, 0.5);
    tree_t *tree = tree_of (arena, "bucketize", TYPE_INT64, 4);
    tree->call = true;
    tree->child[0] = grow (random, arena, comparable (random, TYPE_FLOAT64), height);
    for (size_t k = 1; k < 4; k++) {
        tree_t *edge = tree_of (arena, "lit", is_float ? TYPE_FLOAT64 : TYPE_INT64, 0);
        edge->literal.type = edge->type;
        if (is_float)
            edge->literal.f = floats[k - 1];
        else
            edge->literal.i = ints[k - 1];
        tree->child[k] = edge;
    }
    return tree;
}

static tree_t *grow_case (random_t *random, arena_t *arena, type_t type, int height)
{
    size_t operand = random_below (random, 2);
    size_t arms = 1 + random_below (random, 2);
    size_t has_else = random_below (random, 2);
    type_t compared = random_type (random);
    tree_t *tree = tree_of (arena, "case", type, operand + 2 * arms + has_else);
    tree->operand = operand != 0;
    for (size_t k = 0; k < tree->count; k++) {
        bool is_when = k >= operand && (k - operand) % 2 == 0 && k < operand + 2 * arms;
        type_t wanted = type == TYPE_FLOAT64 ? comparable (random, type) : type;
        if (k < operand || (operand && is_when))
            wanted = comparable (random, compared);
        else if (is_when)
            wanted = TYPE_BOOL;
        tree->child[k] = grow_or_null (random, arena, wanted, height);
    }
    tree->child[operand + 1] = grow (random, arena, type, height);
    return tree;
}

static tree_t *grow_cast (random_t *random, arena_t *arena, type_t type, int height)
{
    static const type_t from[] = { TYPE_BOOL, TYPE_INT64, TYPE_FLOAT64, TYPE_STRING };
    tree_t *tree = tree_of (arena, "cast", type, 1);
    type_t source = from[random_below (random, 4)];
    if (type == TYPE_TIMESTAMP)
        source = random_chance (random, 0.2) ? TYPE_TIMESTAMP : TYPE_STRING;
    else if (type == TYPE_STRING && random_chance (random, 0.3))
        source = TYPE_TIMESTAMP;
    tree->child[0] = grow_or_null (random, arena, source, height);
    return tree;
}

tree_t *grow (random_t *random, arena_t *arena, type_t type, int height)
{
    if (height == 0 || random_chance (random, 0.12))
        return grow_leaf (random, arena, type);
    height--;
    tree_t *call = NULL;
    if (random_chance (random, 0.4))
        call = grow_call (random, arena, type, height);
    if (call != NULL)
        return call;
    if (random_chance (random, 0.12))
        return grow_case (random, arena, type, height);
    if (type != TYPE_DURATION && random_chance (random, 0.12))
        return grow_cast (random, arena, type, height);
    if (type == TYPE_INT64 && random_chance (random, 0.05))
        return grow_bucketize (random, arena, height);
    if (type == TYPE_BOOL)
        return grow_bool (random, arena, height);
    if (is_number (type))
        return grow_number (random, arena, type, height);
    if (type != TYPE_STRING)
        return grow_time (random, arena, type, height);
    return grow_two (random, arena, "||", type, type, type, height);
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

static void write_children (buf_t *out, const tree_t *tree, size_t first)
{
    buf_put_string (out, "(");
    for (size_t k = first; k < tree->count; k++) {
        buf_put_string (out, k > first ? " ,  " : "");
        write_tree (out, tree->child[k]);
    }
    buf_put_string (out, ")");
}

static void write_case (buf_t *out, const tree_t *tree)
{
    buf_put_string (out, "(CASE ");
    size_t k = 0;
    if (tree->operand)
        write_tree (out, tree->child[k++]);
    for (; k + 1 < tree->count; k += 2) {
        buf_put_string (out, " when ");
        write_tree (out, tree->child[k]);
        buf_put_string (out, " then ");
        write_tree (out, tree->child[k + 1]);
    }
    if (k < tree->count) {
        buf_put_string (out, " else ");
        write_tree (out, tree->child[k]);
    }
    buf_put_string (out, " end)");
}

void write_tree (buf_t *out, const tree_t *tree)
{
    if (is_op (tree, "lit")) {
        write_literal (out, tree);
    } else if (is_op (tree, "field")) {
        buf_put_string (out, field_names[tree->field]);
    } else if (is_op (tree, "case")) {
        write_case (out, tree);
    } else if (is_op (tree, "cast")) {
        buf_put_string (out, "cast(");
        write_tree (out, tree->child[0]);
        buf_printf (out, " AS %s)", type_word (tree->type));
    } else if (tree->call) {
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
        if (is_op (tree, "between") || is_op (tree, "not between")) {
            buf_put_string (out, " and ");
            write_tree (out, tree->child[2]);
        }
        buf_put_string (out, ")");
    }
}
