/* random_batch.h - batches of random shape and content, and whether two are the same. For the tests
 * of blocks and runs. */
#ifndef WEIR_TESTS_RANDOM_BATCH_H
#define WEIR_TESTS_RANDOM_BATCH_H

#include "base/decimal.h"
#include "base/key.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "base/value.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

static inline text_t random_text (random_t *random, arena_t *arena)
{
    static const uint32_t sizes[] = { 0, 1, 3, 12, 40 };
    uint32_t size = sizes[random_below (random, 5)];
    char *bytes = arena_alloc (arena, size + 1);
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (char)(random_chance (random, 0.5) ? 'a' : random_below (random, 256));
    return (text_t){ bytes, size };
}

static inline int64_t random_int (random_t *random)
{
    static const int64_t extremes[] = { 0, 1, -1, INT64_MIN, INT64_MAX, INT32_MIN, INT64_MIN + 1 };
    if (random_chance (random, 0.1))
        return extremes[random_below (random, 7)];
    uint64_t bits = random_next (random); /* before the shift: operands have no order */
    return (int64_t)(bits >> random_below (random, 64));
}

static inline double random_float (random_t *random)
{
    static const double extremes[] = { 0.0,      DBL_MAX, -DBL_MAX,  DBL_MIN, 4.9e-324,
                                       INFINITY, NAN,     -INFINITY, 1e22,    0.1 };
    if (random_chance (random, 0.1))
        return value_float (extremes[random_below (random, 10)]);
    if (random_chance (random, 0.5))
        return (double)random_below (random, 100000) / 100.0;
    return random_unit (random) * 1e6 - 5e5;
}

/* Narrower than an int64, or of up to 38 digits. */
static inline int128_t random_unscaled (random_t *random)
{
    int128_t value = random_int (random);
    value >>= random_below (random, 64);
    while (random_chance (random, 0.3) && value < decimal_power (20) && value > -decimal_power (20))
        value = value * decimal_power (18) + (int128_t)random_below (random, 1000);
    return value;
}

static inline value_t random_value (random_t *random, type_t type, arena_t *arena)
{
    value_t value = { .type = type };
    if (type == TYPE_STRING)
        value.s = random_text (random, arena);
    else if (type == TYPE_FLOAT64)
        value.f = random_float (random);
    else if (type_is_decimal (type))
        value.d = random_unscaled (random);
    else if (type == TYPE_BOOL)
        value.i = random_chance (random, 0.5);
    else
        value.i = random_int (random);
    return value;
}

/* Fills a column in one of the ways that the encodings are for. */
static inline void random_column (random_t *random, column_t *column, size_t rows, arena_t *arena)
{
    enum { POOL = 5 };
    value_t pool[POOL];
    for (size_t i = 0; i < POOL; i++)
        pool[i] = random_value (random, column->type, arena);
    uint64_t way = random_below (random, 5);
    double nulls = random_chance (random, 0.5) ? 0 : random_unit (random) * 1.2;
    value_t value = pool[0];
    int64_t step = (int64_t)random_below (random, 1000000);
    for (size_t i = 0; i < rows; i++) {
        if (way == 1)
            value = random_value (random, column->type, arena);
        else if (way == 2)
            value = pool[random_below (random, POOL)];
        else if (way == 3 && random_chance (random, 0.05))
            value = pool[random_below (random, POOL)];
        else if (way == 4 && type_is_decimal (column->type))
            value.d = (int128_t)i * step * 100;
        else if (way == 4 && (column->type == TYPE_INT64 || column->type == TYPE_TIMESTAMP))
            value.i = (int64_t)i * step * 1000 + (int64_t)random_below (random, 3) * 1000;
        value_t cell = value;
        if (random_chance (random, nulls))
            cell = (value_t){ .type = column->type, .null = true };
        column_set (column, i, &cell);
    }
}

static inline batch_t random_batch (random_t *random, arena_t *arena, const type_t *types,
                                    size_t columns, size_t rows)
{
    batch_t batch = batch_new (arena, types, columns, rows);
    for (size_t i = 0; i < columns; i++)
        random_column (random, &batch.column[i], rows, arena);
    uint64_t span = random_below (random, (uint64_t)TIME_EVENT_MAX) + 1;
    uint64_t keys = random_below (random, 30) + 1;
    uint64_t offsets = random_below (random, 1000) + 1;
    bool sent = random_chance (random, 0.5);
    for (size_t i = 0; i < rows; i++) {
        batch.event_time[i] = (int64_t)random_below (random, span);
        batch.ingest_time[i] = sent ? batch.event_time[i] + 5 : random_int (random);
        batch.offset[i] = random_below (random, offsets);
        batch.row[i] = sent ? 0 : (uint32_t)random_next (random);
        char *key = arena_alloc (arena, 32);
        int size = snprintf (key, 32, "k%llu", (unsigned long long)random_below (random, keys));
        batch.key[i] = (text_t){ key, (uint32_t)size };
    }
    return batch;
}

static inline size_t random_types (random_t *random, type_t *types, size_t max)
{
    size_t columns = random_below (random, max + 1);
    for (size_t i = 0; i < columns; i++)
        types[i] = random_chance (random, 0.2)
                       ? type_decimal ((unsigned)random_below (random, DECIMAL_DIGITS_MAX + 1))
                       : (type_t)(TYPE_BOOL + random_below (random, 5));
    return columns;
}

/* Is row i of `a` row j of `b`, all of it but the columns that are NONE in `b`? */
static inline bool rows_are_equal (const batch_t *a, size_t i, const batch_t *b, size_t j)
{
    if (a->columns != b->columns || a->event_time[i] != b->event_time[j] ||
        a->ingest_time[i] != b->ingest_time[j] || a->offset[i] != b->offset[j] ||
        a->row[i] != b->row[j] || !text_equal (a->key[i], b->key[j]))
        return false;
    for (size_t c = 0; c < a->columns; c++) {
        if (b->column[c].type == TYPE_NONE)
            continue;
        value_t x = column_get (&a->column[c], i);
        value_t y = column_get (&b->column[c], j);
        if (!value_equal (&x, &y))
            return false;
    }
    return true;
}

#endif
