#include "base/value.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <math.h>

Test (value, type_words_read_back)
{
    for (int type = TYPE_NONE + 1; type <= TYPE_DURATION; type++)
        cr_assert_eq (type_from_word (text_of (type_word ((type_t)type))), (type_t)type);
    cr_assert_str_eq (type_word (TYPE_NONE), "none");
    cr_assert_eq (type_from_word (text_of ("none")), TYPE_NONE);
    cr_assert_eq (type_from_word (text_of ("int6")), TYPE_NONE);
}

static value_t a_float (double value)
{
    return (value_t){ .type = TYPE_FLOAT64, .f = value_float (value) };
}

Test (value, floats_are_totally_ordered_with_nan_on_top)
{
    const double ascending[] = { -INFINITY, -1, 0, 1, INFINITY, NAN };
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            value_t a = a_float (ascending[i]), b = a_float (ascending[j]);
            cr_assert_eq (value_compare (&a, &b), (i > j) - (i < j));
            cr_assert_eq (value_equal (&a, &b), i == j);
        }
    }
    cr_assert_eq (signbit (value_float (-0.0)), 0);
    cr_assert_eq (signbit (value_float (-NAN)), 0);
}

Test (value, nulls_are_equal_to_nulls_of_their_type_only)
{
    value_t null_int = { .type = TYPE_INT64, .null = true, .i = 5 };
    value_t other_null_int = { .type = TYPE_INT64, .null = true };
    value_t null_text = { .type = TYPE_STRING, .null = true };
    value_t zero = { .type = TYPE_INT64 };
    cr_assert (value_equal (&null_int, &other_null_int));
    cr_assert_not (value_equal (&null_int, &null_text));
    cr_assert_not (value_equal (&other_null_int, &zero));
}

Test (value, a_batch_begins_null_and_keeps_what_is_set)
{
    const type_t types[] = { TYPE_BOOL, TYPE_FLOAT64, TYPE_STRING };
    arena_t *arena = arena_new (128);
    batch_t batch = batch_new (arena, types, 3, 10);
    const value_t values[] = {
        { .type = TYPE_BOOL, .i = 1 },
        { .type = TYPE_FLOAT64, .f = 2.5 },
        { .type = TYPE_STRING, .s = text_of ("x") },
    };
    for (size_t i = 0; i < 3; i++) {
        cr_assert (column_get (&batch.column[i], 9).null);
        column_set (&batch.column[i], 9, &values[i]);
        value_t got = column_get (&batch.column[i], 9);
        cr_assert (value_equal (&got, &values[i]));
        value_t null = { .type = types[i], .null = true, .i = 77 };
        column_set (&batch.column[i], 9, &null);
        got = column_get (&batch.column[i], 9);
        cr_assert (got.null && got.i == 0);
    }
    cr_assert_eq (batch.rows, 10);
    cr_assert_eq (batch.key[9].size, 0);
    cr_assert_eq (batch.event_time[9], 0);
    arena_destroy (&arena);
}
