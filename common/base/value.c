#include "base/value.h"

#include "base/check.h"
#include "base/decimal.h"

#include <math.h>

const char *type_word (type_t type)
{
    if (type_is_decimal (type))
        return decimal_type_word (type_scale (type));
    switch (type) {
#define X(name, number, word)                                                                      \
    case TYPE_##name:                                                                              \
        return word;
        TYPE_TABLE (X)
#undef X
    case TYPE_NONE:
        break;
    }
    return "none";
}

type_t type_from_word (text_t word)
{
#define X(name, number, spelling)                                                                  \
    if (text_is (word, spelling))                                                                  \
        return TYPE_##name;
    TYPE_TABLE (X)
#undef X
    type_t decimal;
    unsigned precision;
    return decimal_type_parse (word, &decimal, &precision) ? decimal : TYPE_NONE;
}

double value_float (double value)
{
    if (isnan (value)) {
        const uint64_t quiet = UINT64_C (0x7ff8000000000000);
        memcpy (&value, &quiet, sizeof value);
        return value;
    }
    return value == 0 ? 0.0 : value;
}

static int compare_floats (double a, double b)
{
    if (isnan (a) || isnan (b))
        return (isnan (a) != 0) - (isnan (b) != 0);
    return (a > b) - (a < b);
}

int value_compare (const value_t *a, const value_t *b)
{
    CHECK (a->type == b->type);
    CHECK (!a->null && !b->null);
    switch (type_family (a->type)) {
    case TYPE_FLOAT64:
        return compare_floats (a->f, b->f);
    case TYPE_STRING:
        return text_compare (a->s, b->s);
    case TYPE_DECIMAL:
        return (a->d > b->d) - (a->d < b->d);
    default:
        return (a->i > b->i) - (a->i < b->i);
    }
}

static bool all_equal (const value_t *a, const value_t *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!value_equal (&a[i], &b[i]))
            return false;
    return true;
}

static bool lists_equal (const value_list_t *a, const value_list_t *b)
{
    return a->count == b->count && all_equal (a->items, b->items, a->count);
}

static bool maps_equal (const value_map_t *a, const value_map_t *b)
{
    return a->count == b->count && a->capped == b->capped && a->total == b->total &&
           all_equal (a->keys, b->keys, a->count) && all_equal (a->values, b->values, a->count);
}

bool value_equal (const value_t *a, const value_t *b)
{
    if (a->type != b->type || a->null != b->null)
        return false;
    if (a->null)
        return true;
    switch (type_family (a->type)) {
    case TYPE_FLOAT64:
        return memcmp (&a->f, &b->f, sizeof a->f) == 0;
    case TYPE_STRING:
        return text_equal (a->s, b->s);
    case TYPE_DECIMAL:
        return a->d == b->d;
    case TYPE_LIST:
        return lists_equal (a->list, b->list);
    case TYPE_MAP:
        return maps_equal (a->map, b->map);
    default:
        return a->i == b->i;
    }
}

column_t column_new (arena_t *arena, type_t type, size_t rows)
{
    column_t column = { .type = type };
    column.valid = arena_zero (arena, rows, sizeof *column.valid);
    column.data = arena_zero (arena, rows, type_size (type));
    return column;
}

value_t column_get (const column_t *column, size_t row)
{
    value_t value = { .type = column->type, .null = !column->valid[row] };
    switch (type_family (column->type)) {
    case TYPE_FLOAT64:
        value.f = column->f[row];
        break;
    case TYPE_DECIMAL:
        value.d = column->d[row];
        break;
    case TYPE_STRING:
        value.s = column->s[row];
        break;
    default:
        value.i = column->i[row];
        break;
    }
    return value;
}

void column_set (column_t *column, size_t row, const value_t *value)
{
    CHECK (value->null || value->type == column->type);
    column->valid[row] = !value->null;
    switch (type_family (column->type)) {
    case TYPE_FLOAT64:
        column->f[row] = value->null ? 0.0 : value->f;
        break;
    case TYPE_DECIMAL:
        column->d[row] = value->null ? 0 : value->d;
        break;
    case TYPE_STRING:
        column->s[row] = value->null ? (text_t){ NULL, 0 } : value->s;
        break;
    default:
        column->i[row] = value->null ? 0 : value->i;
        break;
    }
}

batch_t batch_new (arena_t *arena, const type_t *types, size_t columns, size_t rows)
{
    batch_t batch = { .rows = rows, .columns = columns };
    batch.column = arena_zero (arena, columns, sizeof *batch.column);
    for (size_t i = 0; i < columns; i++)
        batch.column[i] = column_new (arena, types[i], rows);
    batch.event_time = arena_zero (arena, rows, sizeof *batch.event_time);
    batch.ingest_time = arena_zero (arena, rows, sizeof *batch.ingest_time);
    batch.offset = arena_zero (arena, rows, sizeof *batch.offset);
    batch.row = arena_zero (arena, rows, sizeof *batch.row);
    batch.key = arena_zero (arena, rows, sizeof *batch.key);
    return batch;
}
