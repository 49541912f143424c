#include "wide.h"

#include "base/key.h"
#include "base/mem.h"

#include <criterion/criterion.h>

enum { PARTS_MAX = 6 };

wide_t *wide_random (random_t *random, arena_t *arena, state_spec_t spec,
                     const wide_profile_t *profile, size_t count)
{
    wide_t *rows = arena_zero (arena, count + 1, sizeof *rows);
    for (unsigned k = 0; k < state_inputs (spec); k++) {
        bool is_key = k == 0 && spec.by != TYPE_NONE;
        size_t pool = is_key ? profile->keys : count;
        row_t *values =
            rows_random (random, arena, (state_spec_t){ .input = state_input_type (spec, k) },
                         profile->values, pool);
        for (size_t i = 0; i < count; i++) {
            size_t from = is_key ? (size_t)random_below (random, pool) : i;
            rows[i].value[k] = values[from].value;
            if (random_chance (random, profile->nulls))
                rows[i].value[k] = (value_t){ .type = state_input_type (spec, k), .null = true };
        }
    }
    for (size_t i = 0; i < count; i++)
        rows[i].place = (row_place_t){ .time = (int64_t)random_below (random, 1 + count / 3) - 2,
                                       .offset = random_below (random, 3),
                                       .row = (uint32_t)i };
    return rows;
}

void wide_shuffle (random_t *random, wide_t *rows, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)random_below (random, i);
        wide_t row = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = row;
    }
}

static bool counts (state_spec_t spec, const wide_t *row)
{
    for (unsigned k = 0; k < state_inputs (spec); k++)
        if (row->value[k].null && !state_takes_nulls (spec))
            return false;
    return true;
}

void wide_add (state_spec_t spec, void *acc, const wide_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (counts (spec, &rows[i]))
            state_add (spec, acc, state_inputs (spec) == 0 ? NULL : rows[i].value, &rows[i].place);
}

static void merge_by_bytes (state_spec_t spec, void *acc, const void *from)
{
    buf_t bytes;
    error_t error;
    buf_init (&bytes, AGGREGATE_PARTIAL_MAX);
    text_t partial = accumulator_partial (spec, from, &bytes);
    cr_assert_eq (state_merge_partial (spec, acc, partial, &error), STATUS_OK, "%s", error.text);
    buf_release (&bytes);
}

void *wide_tree (state_spec_t spec, random_t *random, const wide_t *rows, size_t count)
{
    void *part[PARTS_MAX];
    size_t parts = 1 + (size_t)random_below (random, PARTS_MAX), from = 0;
    for (size_t i = 0; i < parts; i++) {
        size_t to = i + 1 == parts ? count : from + (size_t)random_below (random, count - from + 1);
        part[i] = accumulator_new (spec);
        wide_add (spec, part[i], rows + from, to - from);
        from = to;
    }
    for (; parts > 1; parts--) {
        size_t a = (size_t)random_below (random, parts - 1);
        if (random_chance (random, 0.5))
            state_merge (spec, part[a], part[parts - 1]);
        else
            merge_by_bytes (spec, part[a], part[parts - 1]);
        accumulator_destroy (spec, &part[parts - 1]);
    }
    return part[0];
}

/* The rows as columns, with others between them that the filter takes away. */
static state_rows_t as_columns (state_spec_t spec, arena_t *arena, const wide_t *rows, size_t count)
{
    column_t *lane = arena_zero (arena, STATE_INPUTS_MAX, sizeof *lane);
    size_t size = 2 * count + 1;
    int64_t *time = arena_zero (arena, size, sizeof *time);
    uint64_t *offset = arena_zero (arena, size, sizeof *offset);
    uint32_t *row = arena_zero (arena, size, sizeof *row);
    uint8_t *filter = arena_zero (arena, size, sizeof *filter);
    state_rows_t columns = {
        .filter = filter, .time = time, .offset = offset, .row = row, .to = 2 * count
    };
    for (unsigned k = 0; k < state_inputs (spec); k++) {
        lane[k] = column_new (arena, state_input_type (spec, k), size);
        columns.lane[k] = &lane[k];
    }
    for (size_t i = 0; i < 2 * count; i++) {
        const wide_t *from = &rows[i / 2];
        time[i] = from->place.time;
        offset[i] = from->place.offset + i % 2;
        row[i] = from->place.row;
        filter[i] = i % 2 == 0;
        for (unsigned k = 0; k < state_inputs (spec); k++)
            column_set (&lane[k], i, &from->value[k]);
    }
    return columns;
}

static void check_columns (state_spec_t spec, random_t *random, const wide_t *rows, size_t count,
                           text_t partial, const char *what)
{
    arena_t *arena = arena_new (1 << 16);
    state_rows_t tail = as_columns (spec, arena, rows, count), head = tail;
    head.to = tail.from = (size_t)random_below (random, 2 * count + 1);
    void *acc = accumulator_new (spec);
    bool any = state_add_rows (spec, acc, &head);
    any |= state_add_rows (spec, acc, &tail);
    cr_assert_eq (any, partial.size > 0, "%s", what);
    buf_t bytes;
    buf_init (&bytes, AGGREGATE_PARTIAL_MAX);
    cr_assert (text_equal (partial, accumulator_partial (spec, acc, &bytes)), "%s", what);
    buf_release (&bytes);
    accumulator_destroy (spec, &acc);
    arena_destroy (&arena);
}

void *wide_check (state_spec_t spec, aggregate_t aggregate, const final_context_t *context,
                  random_t *random, wide_t *rows, size_t count, const char *what, status_t *status,
                  value_t *value)
{
    error_t error;
    buf_t one, other;
    buf_init (&one, AGGREGATE_PARTIAL_MAX);
    buf_init (&other, AGGREGATE_PARTIAL_MAX);
    cr_assert_eq (state_spec_check (spec, &error), STATUS_OK, "%s: %s", what, error.text);
    void *acc = accumulator_new (spec);
    wide_add (spec, acc, rows, count);
    text_t partial = accumulator_partial (spec, acc, &one);
    cr_assert (state_is_large (spec) || partial.size <= AGGREGATE_SMALL_MAX, "%s", what);
    cr_assert_eq (state_is_empty (spec, acc), partial.size == 0, "%s", what);
    void *held = accumulator_new (spec); /* which *value may borrow from */
    wide_add (spec, held, rows, count);
    *status = state_final (spec, held, aggregate, context, value, &error);
    for (int i = 0; i < 3; i++) {
        wide_shuffle (random, rows, count);
        void *tree = wide_tree (spec, random, rows, count);
        cr_assert (text_equal (partial, accumulator_partial (spec, tree, &other)), "%s", what);
        value_t again;
        cr_assert_eq (state_final (spec, tree, aggregate, context, &again, &error), *status, "%s",
                      what);
        cr_assert (*status != STATUS_OK || value_equal (value, &again), "%s", what);
        accumulator_destroy (spec, &tree);
    }
    state_reset (spec, acc);
    cr_assert (state_is_empty (spec, acc), "%s", what);
    wide_add (spec, acc, rows, count);
    cr_assert (text_equal (partial, accumulator_partial (spec, acc, &other)), "%s", what);
    check_columns (spec, random, rows, count, partial, what);
    accumulator_destroy (spec, &acc);
    buf_release (&one);
    buf_release (&other);
    return held;
}

/* Every answer that can be had of the state. */
static void finish_all (state_spec_t spec, const void *acc)
{
    arena_t *arena = arena_new (1 << 14);
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
        if (!spec_is_of (spec, (aggregate_t)i))
            continue;
        value_t fraction = { .type = TYPE_FLOAT64, .f = 0.25 };
        final_context_t context = { .window = INT64_MAX,
                                    .parameter = spec_parameter ((aggregate_t)i, &fraction),
                                    .arena = arena };
        value_t value;
        error_t error;
        status_t status = state_final (spec, acc, (aggregate_t)i, &context, &value, &error);
        cr_assert (status == STATUS_OK || status == STATUS_RANGE || status == STATUS_TOO_LARGE ||
                   status == STATUS_CORRUPT);
    }
    arena_destroy (&arena);
}

bool wide_take_bytes (state_spec_t spec, const uint8_t *data, size_t size)
{
    error_t error;
    /* in memory of just that size, so that reading past it is noticed */
    char *copy = mem_alloc (size);
    memcpy (copy, data, size);
    text_t partial = { copy, (uint32_t)size };
    void *acc = accumulator_new (spec);
    status_t status = state_merge_partial (spec, acc, partial, &error);
    cr_assert (status == STATUS_OK || status == STATUS_CORRUPT);
    if (status == STATUS_OK) {
        buf_t out;
        buf_init (&out, AGGREGATE_PARTIAL_MAX);
        cr_assert (text_equal (partial, accumulator_partial (spec, acc, &out)),
                   "kind %d over %s by %s", (int)spec.kind, type_word (spec.input),
                   type_word (spec.by));
        buf_release (&out);
        finish_all (spec, acc);
        void *twice = accumulator_new (spec);
        state_merge (spec, twice, acc);
        state_merge (spec, twice, acc);
        finish_all (spec, twice);
        accumulator_destroy (spec, &twice);
    }
    accumulator_destroy (spec, &acc);
    mem_free (copy);
    return status == STATUS_OK;
}

void wide_damage (state_spec_t spec, random_t *random, text_t partial, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        uint8_t *copy = mem_alloc (partial.size + 2u);
        memcpy (copy, partial.data, partial.size);
        for (uint64_t flips = 1 + random_below (random, 3); flips > 0; flips--)
            copy[random_below (random, partial.size)] ^= (uint8_t)(1u << random_below (random, 8));
        wide_take_bytes (spec, copy, partial.size);
        wide_take_bytes (spec, copy, 1 + (size_t)random_below (random, partial.size));
        copy[partial.size] = (uint8_t)random_below (random, 2);
        wide_take_bytes (spec, copy, partial.size + 1u);
        mem_free (copy);
    }
}

bool wide_is_less (const value_t *a, const value_t *b)
{
    if (a->type == TYPE_FLOAT64)
        return __builtin_isnan (b->f) ? !__builtin_isnan (a->f) : a->f < b->f;
    if (type_is_decimal (a->type))
        return a->d < b->d;
    if (a->type != TYPE_STRING)
        return a->i < b->i;
    uint32_t common = a->s.size < b->s.size ? a->s.size : b->s.size;
    int order = common == 0 ? 0 : memcmp (a->s.data, b->s.data, common);
    return order < 0 || (order == 0 && a->s.size < b->s.size);
}
