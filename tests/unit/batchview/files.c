/* Files of views that are damaged, and how they are written. */
#include "batchview/batchview.h"

#include "batchview/viewfile.h"
#include "tests/unit/batchview/built.h"

#include <criterion/criterion.h>

static const char *const PLAIN = "      n: count() over 1h, 5h, lifetime\n"
                                 "      s: sum(a) where b > 0 over 1h, 5h\n"
                                 "      d: approx_count_distinct(c) over 2h\n"
                                 "      v: variance(a)\n";

/* ---- damage ---- */

static bool opens (memory_file_t *file)
{
    error_t error;
    batchview_t *view = NULL;
    status_t status = batchview_open (&file->fs, "v", &view, &error);
    bool refused = status == STATUS_CORRUPT || status == STATUS_VERSION;
    cr_assert (status == STATUS_OK || refused, "%s", error.text);
    batchview_unref (&view);
    return status == STATUS_OK;
}

Test (batchview, a_changed_byte_anywhere_is_refused)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    case_init (&c, 7, PLAIN, 60, 3, ORDER_LATE);
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE / 2);
    cr_assert (opens (&built.file));
    for (size_t i = 0; i < built.file.bytes.size; i++) {
        uint8_t change = (uint8_t)(1 + random_below (&c.random, 255));
        built.file.bytes.data[i] ^= change;
        cr_assert_not (opens (&built.file), "byte %zu of %zu", i, built.file.bytes.size);
        built.file.bytes.data[i] ^= change;
    }
    built_release (&built);
    case_release (&c);
}

Test (batchview, a_file_cut_short_or_grown_is_refused)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    case_init (&c, 8, PLAIN, 60, 3, ORDER_LATE);
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE / 2);
    size_t size = built.file.bytes.size;
    buf_put_u64 (&built.file.bytes, 0);
    cr_assert_not (opens (&built.file));
    for (size_t left = size - 1; left > 0; left -= left > 300 ? 101 : 1) {
        built.file.bytes.size = left;
        cr_assert_not (opens (&built.file), "%zu of %zu bytes", left, size);
    }
    built.file.bytes.size = 0;
    cr_assert_not (opens (&built.file));
    built_release (&built);
    case_release (&c);
}

/* ---- writing ---- */

Test (batchview, rows_out_of_order_are_refused)
{
    test_case_t c;
    error_t error;
    case_init (&c, 9, PLAIN, 40, 2, ORDER_ASCENDING);
    for (int wrong = 0; wrong < 2; wrong++) {
        built_t built = { .budget = NULL };
        memory_file_init (&built.file);
        built_deal (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
        size_t last = built.covered.rows - 1;
        if (wrong == 0)
            built.covered.time[last] = CASE_START - 1;
        else
            built.covered.key[last] = built.covered.key[0];
        cr_assert_eq (built_write (&built, &c, SIZE_MAX, &error), STATUS_INVALID);
        cr_assert_not (built.file.exists, "an unfinished file is removed");
        built_release (&built);
    }
    case_release (&c);
}

Test (batchview, too_many_future_times_of_a_key_are_an_error)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    error_t error;
    case_init (&c, 10, "      n: count()\n", 70000, 1, ORDER_ASCENDING);
    for (size_t i = 0; i < c.rows.rows; i++)
        c.rows.time[i] = CASE_START + (int64_t)i;
    memory_file_init (&built.file);
    built_deal (&built, &c, UINT64_MAX, CASE_START - 1);
    cr_assert_eq (built_write (&built, &c, SIZE_MAX, &error), STATUS_TOO_LARGE);
    built_release (&built);
    case_release (&c);
}

Test (batchview, a_key_that_needs_more_memory_than_there_is_names_itself_and_gives_it_back)
{
    test_case_t c;
    error_t error;
    case_init (&c, 11, "      n: count() over 1h, 1d\n", 50000, 1, ORDER_ASCENDING);
    for (int enough = 0; enough < 2; enough++) {
        batchview_budget_t budget = { .limit = enough ? 64 << 20 : 256 << 10 };
        built_t built = { .budget = &budget };
        memory_file_init (&built.file);
        built_deal (&built, &c, UINT64_MAX, CASE_START); /* nearly all of them are later */
        status_t status = built_write (&built, &c, SIZE_MAX, &error);
        cr_assert_eq (status, enough ? STATUS_OK : STATUS_TOO_LARGE, "%s", error.text);
        cr_assert (enough || (strstr (error.text, "hash ") && strstr (error.text, "batch_memory")),
                   "%s", error.text);
        cr_assert_eq (built.file.exists, enough);
        cr_assert_eq (budget.used, 0);
        built_release (&built);
    }
    case_release (&c);
}
