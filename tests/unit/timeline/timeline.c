#include "timeline/timeline.h"

#include "tests/unit/timeline/cases.h"

#include <criterion/criterion.h>

/* Rows [from, to) as a projection that shares memory with the whole. */
static projection_t slice (test_case_t *self, size_t from, size_t to)
{
    size_t *picked = arena_zero (self->arena, to - from + 1, sizeof *picked);
    for (size_t i = from; i < to; i++)
        picked[i - from] = i;
    return case_rows (self, picked, to - from);
}

static void check_query (test_case_t *c, timeline_t *timeline, unsigned keys, size_t added,
                         uint64_t seed)
{
    text_t key = case_key (c, (unsigned)random_below (&c->random, keys));
    int64_t as_of = case_as_of (c);
    answer_t *expected = answer_new (c->plan);
    answer_t *actual = answer_new (c->plan);
    case_answer (c, key, as_of, added, expected);
    if (random_chance (&c->random, 0.5)) { /* which changes nothing; some of them are not there */
        text_t fetched[TIMELINE_FETCHED + 9];
        size_t count = random_below (&c->random, TIMELINE_FETCHED + 10);
        for (size_t i = 0; i < count; i++)
            fetched[i] = case_key (c, (unsigned)random_below (&c->random, 2 * keys));
        timeline_fetch (timeline, fetched, count);
    }
    timeline_merge (timeline, key, as_of, actual);
    cr_assert (case_equal (expected, actual), "seed %lu: %zu rows, as of %ld", (unsigned long)seed,
               added, (long)as_of);
    answer_destroy (&expected);
    answer_destroy (&actual);
}

/* Adds all rows in random steps, with queries between them. */
static void check_case (uint64_t seed, size_t rows, unsigned keys, case_order_t order,
                        size_t queries)
{
    test_case_t c;
    case_init (&c, seed, NULL, rows, keys, order);
    timeline_t *timeline = timeline_new (c.plan);
    size_t added = 0;
    while (added < c.rows.rows) {
        size_t step = 1 + random_below (&c.random, random_chance (&c.random, 0.5) ? 3 : 300);
        size_t to = added + step < c.rows.rows ? added + step : c.rows.rows;
        projection_t part = slice (&c, added, to);
        timeline_add (timeline, &part);
        added = to;
        for (size_t i = 0; i < queries; i++)
            check_query (&c, timeline, keys, added, seed);
        cr_assert_eq (timeline_events (timeline), added);
    }
    for (size_t i = 0; i < 20 * queries; i++)
        check_query (&c, timeline, keys, added, seed);
    timeline_destroy (&timeline);
    case_release (&c);
}

Test (timeline, merges_exactly_the_window_of_keys_with_few_events)
{
    for (uint64_t seed = 0; seed < 60; seed++)
        check_case (seed, 1 + seed * 3, 7, (case_order_t)(seed % ORDERS), 2);
}

Test (timeline, merges_exactly_the_window_of_a_key_with_many_events)
{
    for (uint64_t seed = 1000; seed < 1024; seed++)
        check_case (seed, 3000, 1, (case_order_t)(seed % ORDERS), 1);
}

/* Keys that grow at random leave sizes in which few remain, which are moved. */
Test (timeline, merges_exactly_the_window_of_many_keys_that_grow)
{
    for (uint64_t seed = 1500; seed < 1504; seed++) {
        test_case_t c;
        enum { KEYS = 2500 };
        case_init (&c, seed, "      n: count() over 1s, 2h, lifetime\n      s: sum(b) over 5h\n",
                   40000, KEYS, (case_order_t)(seed % ORDERS));
        timeline_t *timeline = timeline_new (c.plan);
        timeline_add (timeline, &c.rows);
        cr_assert_eq (timeline_keys (timeline), KEYS);
        for (size_t i = 0; i < 300; i++)
            check_query (&c, timeline, KEYS, c.rows.rows, seed);
        timeline_destroy (&timeline);
        case_release (&c);
    }
}

/* Trees of more than two levels: over LEAF_ROWS * NODE_FANOUT rows in one key. */
Test (timeline, merges_exactly_the_window_of_a_deep_tree)
{
    for (uint64_t seed = 2000; seed < 2004; seed++) {
        test_case_t c;
        case_init (&c, seed,
                   "      n: count() over 1s, 7m, 2h, lifetime\n      s: sum(a) over 5h\n", 9000, 1,
                   (case_order_t)(seed % ORDERS));
        timeline_t *timeline = timeline_new (c.plan);
        timeline_add (timeline, &c.rows);
        for (size_t i = 0; i < 40; i++)
            check_query (&c, timeline, 1, c.rows.rows, seed);
        timeline_destroy (&timeline);
        case_release (&c);
    }
}

/* A query fills caches; an event that comes late below them must be in the next answer. */
Test (timeline, a_late_event_is_in_the_next_answer)
{
    test_case_t c;
    case_init (&c, 5, "      n: count()\n      d: approx_count_distinct(b) over 1d\n", 4000, 1,
               ORDER_ASCENDING);
    size_t late[400];
    size_t prompt[4000];
    size_t lates = 0;
    size_t prompts = 0;
    for (size_t i = 0; i < c.rows.rows; i++)
        if (i % 10 == 3)
            late[lates++] = i;
        else
            prompt[prompts++] = i;
    timeline_t *timeline = timeline_new (c.plan);
    answer_t *expected = answer_new (c.plan);
    answer_t *actual = answer_new (c.plan);
    text_t key = case_key (&c, 0);
    int64_t as_of = CASE_START + CASE_RANGE + 1;
    projection_t rows = case_rows (&c, prompt, prompts);
    timeline_add (timeline, &rows);
    for (size_t i = 0; i < prompts; i++)
        answer_add_row (expected, as_of, &c.rows, prompt[i]);
    for (size_t i = 0; i < lates; i++) {
        for (size_t again = 0; again < 3; again++) {
            answer_reset (actual);
            timeline_merge (timeline, key, as_of, actual);
            cr_assert (case_equal (expected, actual), "after %zu late events", i);
        }
        rows = case_rows (&c, &late[i], 1);
        timeline_add (timeline, &rows);
        answer_add_row (expected, as_of, &c.rows, late[i]);
    }
    answer_destroy (&expected);
    answer_destroy (&actual);
    timeline_destroy (&timeline);
    case_release (&c);
}

Test (timeline, strings_outlive_the_rows_they_came_in)
{
    test_case_t c;
    case_init (&c, 6, "      f: first(c)\n      m: min(c) over 5h\n", 300, 1, ORDER_RANDOM);
    timeline_t *timeline = timeline_new (c.plan);
    for (size_t i = 0; i < c.rows.rows; i++) {
        projection_t one = slice (&c, i, i + 1);
        value_t value = column_get (&one.lane[0], 0);
        char bytes[64] = "";
        if (!value.null) {
            memcpy (bytes, value.s.data, value.s.size);
            value.s.data = bytes;
            for (size_t lane = 0; lane < c.plan->lanes_count; lane++)
                column_set (&one.lane[lane], 0, &value);
        }
        timeline_add (timeline, &one);
        memset (bytes, '!', sizeof bytes);
    }
    for (size_t i = 0; i < 50; i++)
        check_query (&c, timeline, 1, c.rows.rows, 6);
    timeline_destroy (&timeline);
    case_release (&c);
}

Test (timeline, a_key_that_is_not_there_adds_nothing)
{
    test_case_t c;
    case_init (&c, 7, NULL, 100, 3, ORDER_ASCENDING);
    timeline_t *timeline = timeline_new (c.plan);
    timeline_add (timeline, &c.rows);
    answer_t *empty = answer_new (c.plan);
    answer_t *actual = answer_new (c.plan);
    timeline_merge (timeline, case_key (&c, 99), CASE_START + CASE_RANGE, actual);
    cr_assert (case_equal (empty, actual));
    cr_assert_eq (timeline_keys (timeline), 3);
    answer_destroy (&empty);
    answer_destroy (&actual);
    timeline_destroy (&timeline);
    cr_assert_null (timeline);
    timeline_destroy (&timeline);
    case_release (&c);
}

/* What is promised of memory: an event that comes in order costs little more than its row. */
Test (timeline, an_event_takes_few_bytes)
{
    test_case_t c;
    case_init (&c, 8, "      n: count()\n      s: sum(a) over 1h\n      m: max(b) over 5h\n", 50000,
               10, ORDER_ASCENDING);
    for (size_t i = 1; i < c.rows.rows; i++)
        if (c.rows.time[i] < c.rows.time[i - 1])
            c.rows.time[i] = c.rows.time[i - 1];
    timeline_t *timeline = timeline_new (c.plan);
    size_t before = timeline_memory (timeline);
    timeline_add (timeline, &c.rows);
    size_t added = timeline_memory (timeline) - before;
    size_t row = 8 + 1 + 2 * 8; /* time, bits, two inputs */
    cr_assert_geq (added, row * c.rows.rows);
    cr_assert_leq (added, row * c.rows.rows * 5 / 4, "%zu bytes", added);
    timeline_destroy (&timeline);
    case_release (&c);
}
