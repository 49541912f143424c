/* Rows of results: there and back, and bytes that are none. */
#include "trainset/outcome_row.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <string.h>

enum { ITEMS = 3, KINDS = 8 };

static value_t list_of (arena_t *arena, int64_t first)
{
    value_t *items = arena_zero (arena, ITEMS, sizeof *items);
    value_list_t *list = arena_zero (arena, 1, sizeof *list);
    for (int64_t i = 0; i < ITEMS; i++)
        items[i] = (value_t){ .type = TYPE_INT64, .null = i == 1, .i = i == 1 ? 0 : first + i };
    *list = (value_list_t){ .count = ITEMS, .items = items };
    return (value_t){ .type = TYPE_LIST, .list = list };
}

static value_t map_of (arena_t *arena)
{
    value_t *keys = arena_zero (arena, 2, sizeof *keys);
    value_t *values = arena_zero (arena, 2, sizeof *values);
    value_map_t *map = arena_zero (arena, 1, sizeof *map);
    keys[0] = (value_t){ .type = TYPE_STRING, .s = text_of ("") };
    keys[1] = (value_t){ .type = TYPE_STRING, .s = text_of ("b") };
    values[0] = list_of (arena, 7);
    values[1] = list_of (arena, -9);
    *map = (value_map_t){ 2, keys, values, true, 11 };
    return (value_t){ .type = TYPE_MAP, .map = map };
}

static void make (arena_t *arena, outcome_t *all)
{
    memset (all, 0, KINDS * sizeof *all);
    all[0].value = (value_t){ .type = TYPE_BOOL, .i = 1 };
    all[1].value = (value_t){ .type = TYPE_INT64, .i = INT64_MIN };
    all[2].value = (value_t){ .type = TYPE_FLOAT64, .f = 0.1 };
    all[3].value = (value_t){ .type = type_decimal (2), .d = (int128_t)1 << 100 };
    all[4].value = (value_t){ .type = TYPE_STRING, .s = text_of ("a\xc3\xa9") };
    all[5].value = (value_t){ .type = TYPE_TIMESTAMP, .null = true };
    all[6].value = list_of (arena, 1);
    all[7].value = map_of (arena);
}

static void put_all (const outcome_t *all, buf_t *out)
{
    buf_init (out, OUTCOME_ROW_MAX);
    for (size_t i = 0; i < KINDS; i++)
        outcome_row_put (&all[i], out);
    cr_assert_not (out->bad);
}

Test (outcome_row, comes_back_as_it_was)
{
    arena_t *arena = arena_new (1 << 12);
    outcome_t all[KINDS], got;
    error_t error;
    buf_t row;
    make (arena, all);
    put_all (all, &row);
    reader_t reader = reader_of (row.data, row.size);
    for (size_t i = 0; i < KINDS; i++) {
        status_t status = outcome_row_get (&reader, all[i].value.type, arena, &got, &error);
        cr_assert_eq (status, STATUS_OK, "%zu", i);
        cr_assert (value_equal (&got.value, &all[i].value), "%zu", i);
        cr_assert_null (got.error);
    }
    cr_assert (all[7].value.map->capped && got.value.map->capped);
    cr_assert_eq (got.value.map->total, 11);
    cr_assert_eq (reader_left (&reader), 0);
    buf_release (&row);
    arena_destroy (&arena);
}

Test (outcome_row, says_why_it_could_not_be_computed)
{
    arena_t *arena = arena_new (1 << 12);
    outcome_t wrong = { .value = { .type = TYPE_INT64, .null = true }, .error = "it overflows" };
    outcome_t got;
    error_t error;
    buf_t row;
    buf_init (&row, 1 << 10);
    outcome_row_put (&wrong, &row);
    reader_t reader = reader_of (row.data, row.size);
    cr_assert_eq (outcome_row_get (&reader, TYPE_INT64, arena, &got, &error), STATUS_OK);
    cr_assert (got.value.null);
    cr_assert_str_eq (got.error, "it overflows");
    buf_release (&row);
    arena_destroy (&arena);
}

/* Who reads knows an earlier definition of the feature than who wrote. */
Test (outcome_row, of_another_type_is_told)
{
    arena_t *arena = arena_new (1 << 12);
    outcome_t wide = { .value = { .type = TYPE_FLOAT64, .f = 6 } }, got;
    error_t error;
    buf_t row;
    buf_init (&row, 1 << 10);
    outcome_row_put (&wide, &row);
    reader_t reader = reader_of (row.data, row.size);
    cr_assert_eq (outcome_row_get (&reader, TYPE_INT64, arena, &got, &error), STATUS_STALE);
    cr_assert (strstr (error.text, "float64"));
    buf_release (&row);
    arena_destroy (&arena);
}

/* Cut short anywhere, and with any byte changed, it is read or refused, and nothing else. */
Test (outcome_row, that_is_damaged_does_no_harm)
{
    arena_t *arena = arena_new (1 << 12);
    outcome_t all[KINDS], got;
    error_t error;
    buf_t row;
    random_t random;
    random_seed (&random, 3);
    make (arena, all);
    put_all (all, &row);
    uint8_t *bytes = arena_alloc (arena, row.size);
    size_t refused = 0;
    for (size_t cut = 0; cut < row.size; cut++) {
        reader_t reader = reader_of (row.data, cut);
        status_t status = STATUS_OK;
        for (size_t i = 0; i < KINDS && status == STATUS_OK; i++)
            status = outcome_row_get (&reader, all[i].value.type, arena, &got, &error);
        refused += status == STATUS_CORRUPT;
    }
    cr_assert_eq (refused, row.size);
    for (size_t n = 0; n < 2000; n++) {
        memcpy (bytes, row.data, row.size);
        bytes[random_below (&random, row.size)] = (uint8_t)random_below (&random, 256);
        reader_t reader = reader_of (bytes, row.size);
        for (size_t i = 0; i < KINDS; i++)
            if (outcome_row_get (&reader, all[i].value.type, arena, &got, &error) != STATUS_OK)
                break;
    }
    buf_release (&row);
    arena_destroy (&arena);
}
