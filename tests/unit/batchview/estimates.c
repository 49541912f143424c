/* What is said of a key's bytes in a batch view beforehand, against a file. */
#include "batchview/estimate.h"
#include "batchview/viewfile.h"

#include "tests/unit/batchview/built.h"

#include <criterion/criterion.h>

/* A file of keys with so many events each, at random times of the last ten hours. */
static void check (const char *features, int64_t delay, int64_t horizon, size_t events)
{
    enum { KEYS = 200 };
    test_case_t c;
    built_t built = { .budget = NULL };
    error_t error;
    case_init_delayed (&c, events, features, delay, KEYS * events, 1, ORDER_RANDOM);
    c.plan->horizon = horizon;
    size_t string_bytes = 0;
    for (size_t i = 0; i < c.rows.rows; i++) {
        c.rows.key[i] = case_key (&c, (unsigned)(i % KEYS));
        c.rows.time[i] = CASE_START + (int64_t)random_below (&c.random, (uint64_t)CASE_RANGE);
        string_bytes += column_get (&c.batch.column[CASE_STRING], i).s.size;
    }
    c.rows.time[0] = CASE_START + CASE_RANGE;
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    sample_values_t values = { .string_bytes = string_bytes / c.rows.rows,
                               .distinct = 500,
                               .key_bytes = c.rows.key[0].size };
    batchview_estimate_t estimate;
    cr_assert_eq (
        batchview_estimate (c.plan, (double)events, CASE_RANGE, &values, &estimate, &error),
        STATUS_OK, "%s", error.text);
    viewfile_footer_t footer;
    const uint8_t *data = built.file.bytes.data;
    cr_assert_eq (viewfile_verify (data, built.file.bytes.size, &footer, &error), STATUS_OK);
    double records = (double)(footer.index_at - viewfile_u32 (data + 12));
    double is = records / KEYS + 8 * (double)footer.index_size / KEYS;
    cr_assert (is > 0.7 * estimate.bytes && is < 1.3 * estimate.bytes,
               "%zu events a key, horizon %ld, delay %ld, %s: said %.0f, is %.0f", events,
               (long)horizon, (long)delay, features, estimate.bytes, is);
    built_release (&built);
    case_release (&c);
}

Test (estimates, a_keys_bytes_in_a_file_are_about_what_is_said)
{
    static const char *const plans[] = {
        "      n: count() over 1h, 3h, lifetime\n",
        "      n: count() over 1h\n      s: sum(b) over 1h, 3h\n      l: last(c) over 3h\n",
        "      d: approx_count_distinct(c) over 1h, 3h\n      n: count()\n",
    };
    static const int64_t horizons[] = { TIME_MINUTE, 30 * TIME_MINUTE, TIME_DAY };
    static const size_t events[] = { 1, 8, 40, 300 };
    for (size_t plan = 0; plan < 3; plan++)
        for (size_t h = 0; h < 3; h++)
            for (size_t e = 0; e < 4; e++)
                for (int64_t delay = 0; delay <= TIME_HOUR; delay += TIME_HOUR)
                    check (plans[plan], delay, horizons[h], events[e]);
}

/* Of very many events some are made up, and the rest follows from them. */
Test (estimates, more_events_than_are_made_up_take_as_much_more)
{
    test_case_t c;
    batchview_estimate_t most, more;
    error_t error;
    sample_values_t values = { .string_bytes = 8, .distinct = 100, .key_bytes = 10 };
    case_init (&c, 1, "      n: count() over 1h, lifetime\n", 1, 1, ORDER_ASCENDING);
    double events = BATCHVIEW_ESTIMATE_ROWS_MAX;
    cr_assert_eq (batchview_estimate (c.plan, events, 10 * TIME_DAY, &values, &most, &error),
                  STATUS_OK);
    cr_assert_eq (batchview_estimate (c.plan, 3 * events, 10 * TIME_DAY, &values, &more, &error),
                  STATUS_OK);
    cr_assert (more.bytes > 2.9 * most.bytes && more.bytes < 3 * most.bytes);
    cr_assert (more.atoms > 2.9 * most.atoms && more.atoms < 3 * most.atoms);
    cr_assert_eq (batchview_estimate (c.plan, 1e12, TIME_HOUR, &values, &more, &error),
                  STATUS_TOO_LARGE);
    case_release (&c);
}

/* Far from all edges, a key has one atom however many its events are. */
Test (estimates, events_away_from_edges_cost_nothing)
{
    test_case_t c;
    batchview_estimate_t few, many;
    error_t error;
    sample_values_t values = { .string_bytes = 8, .distinct = 100, .key_bytes = 10 };
    case_init (&c, 1, "      n: count() over 1h, lifetime\n", 1, 1, ORDER_ASCENDING);
    c.plan->horizon = TIME_MINUTE;
    cr_assert_eq (batchview_estimate (c.plan, 1000, 10 * TIME_HOUR, &values, &few, &error),
                  STATUS_OK);
    cr_assert_eq (batchview_estimate (c.plan, 10000, 10 * TIME_HOUR, &values, &many, &error),
                  STATUS_OK);
    cr_assert_lt (few.atoms, 8);
    cr_assert_gt (many.atoms, few.atoms);
    cr_assert_lt (many.atoms, 30);
    batchview_group_t groups[FEATURES_MAX];
    uint16_t of_slot[FEATURES_MAX];
    cr_assert_eq (batchview_groups (c.plan, groups, of_slot), 1);
    cr_assert_eq (groups[0].windows, 1);
    cr_assert_eq (groups[0].spans, 1);
    cr_assert_eq (groups[0].covered, TIME_MINUTE);
    case_release (&c);
}
