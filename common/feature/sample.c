#include "feature/sample.h"

#include "base/random.h"
#include "base/timestamp.h"

#include <stdio.h>
#include <string.h>

/* The string with a number, of `size` bytes unless the number alone is longer. */
static text_t word (uint64_t number, size_t size, arena_t *arena)
{
    char digits[24];
    size_t length = (size_t)snprintf (digits, sizeof digits, "%llu", (unsigned long long)number);
    size_t total = size > length ? size : length;
    char *text = arena_alloc (arena, total);
    memset (text, 'x', total);
    memcpy (text + total - length, digits, length);
    return (text_t){ text, (uint32_t)total };
}

static void lane_fill (column_t *lane, const projection_t *rows, const sample_values_t *values,
                       random_t *random, arena_t *arena)
{
    for (size_t i = 0; i < rows->rows; i++) {
        value_t value = { .type = lane->type };
        switch (type_family (lane->type)) {
        case TYPE_BOOL:
            value.i = (int64_t)random_below (random, 2);
            break;
        case TYPE_FLOAT64: /* as amounts of money are */
            value.f = (double)random_below (random, 1000000) / 100;
            break;
        case TYPE_DECIMAL:
            value.d = (int64_t)random_below (random, 1000000);
            break;
        case TYPE_STRING:
            value.s = word (random_below (random, values->distinct), values->string_bytes, arena);
            break;
        case TYPE_TIMESTAMP:
            value.i =
                rows->time[i] - (int64_t)random_below (random, values->distinct) * TIME_SECOND;
            break;
        default:
            value.i = (int64_t)random_below (random, values->distinct);
            break;
        }
        column_set (lane, i, &value);
    }
}

projection_t plan_sample (const plan_t *plan, size_t rows, int64_t first, int64_t last,
                          const sample_values_t *values, arena_t *arena)
{
    projection_t out = { .rows = rows };
    random_t random;
    random_seed (&random, 1);
    out.time = arena_zero (arena, rows, sizeof *out.time);
    out.offset = arena_zero (arena, rows, sizeof *out.offset);
    out.row = arena_zero (arena, rows, sizeof *out.row);
    out.key = arena_zero (arena, rows, sizeof *out.key);
    out.lane = arena_zero (arena, plan->lanes_count, sizeof *out.lane);
    out.filter = arena_zero (arena, plan->filters_count, sizeof *out.filter);
    text_t key = word (0, values->key_bytes, arena);
    for (size_t i = 0; i < rows; i++) {
        double part = rows > 1 ? (double)i / (double)(rows - 1) : 1;
        out.time[i] = first + (int64_t)((double)(last - first) * part);
        out.offset[i] = 1000000 + i;
        out.key[i] = key;
    }
    for (size_t i = 0; i < plan->lanes_count; i++) {
        out.lane[i] = column_new (arena, expr_type (plan->lanes[i]), rows);
        lane_fill (&out.lane[i], &out, values, &random, arena);
    }
    for (size_t i = 0; i < plan->filters_count; i++) {
        out.filter[i] = arena_alloc (arena, rows);
        memset (out.filter[i], 1, rows);
    }
    return out;
}
