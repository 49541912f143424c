/* Replies of a key, against adding its rows one by one and against merging its timelines. */
#include "timeline/reply.h"

#include "tests/unit/timeline/cases.h"

#include <criterion/criterion.h>

enum { EPOCHS_MAX = 4 };

/* Of all kinds: with a quick way and without, large ones, maps, the newest rows. */
static const char *const SPECIAL[] = {
    "count()",
    "count(c)",
    "sum(a)",
    "sum(b)",
    "sum(d)",
    "mean(a) where b > 0",
    "max(a)",
    "min(b)",
    "max(c)",
    "min(d)",
    "any(a > 0)",
    "all(b < 5)",
    "max(ts)",
    "stddev(a)",
    "variance(b) where c = 'x'",
    "variance_pop(d)",
    "first(a)",
    "last(c)",
    "range(b)",
    "skew(b)",
    "correlation(a, b)",
    "slope(b)",
    "age()",
    "interarrival_stddev()",
    "approx_quantile(a, 0.5)",
    "decayed_sum(b, 1h)",
    "decayed_count(2h) where d > b",
    "last_k(c, 3)",
    "first_k(b, 4)",
    "min_k(a, 3)",
    "max_k(d, 2)",
    "count_distinct(c)",
    "histogram(b)",
    "top_k(c, 2) where b is not null",
    "session_count(7m)",
    "approx_count_distinct(c)",
    "sum(b) by c",
    "count() by b",
    "last(d) by c",
    "max(c) where a > 0 by b",
    "count() where a > 0",
    "sum(a * 2)",
};
static const char *const OVER[] = { "",
                                    " over 1s, 90s, 7m, 1h, 2h, 5h, 1d, lifetime",
                                    " over 1h, 5h",
                                    " over 7m, lifetime",
                                    " over 3 rows, 20 rows in 2h",
                                    " over 1 rows, 5h" };

static void special_features (random_t *random, buf_t *yaml)
{
    buf_init (yaml, 4096);
    for (size_t i = 0; i < 1 + random_below (random, 8); i++)
        buf_printf (yaml, "      f%zu: %s%s\n", i,
                    case_pick (random, SPECIAL, sizeof SPECIAL / sizeof *SPECIAL),
                    case_pick (random, OVER, sizeof OVER / sizeof *OVER));
}

typedef struct epochs {
    timeline_t *timeline[EPOCHS_MAX];
    size_t count;
} epochs_t;

/* Deals rows [from, to) to the epochs, at random but in their order. */
static void deal (test_case_t *c, epochs_t *epochs, size_t from, size_t to)
{
    size_t *picked = arena_zero (c->arena, to - from + 1, sizeof *picked);
    size_t *epoch = arena_zero (c->arena, to - from + 1, sizeof *epoch);
    for (size_t i = from; i < to; i++)
        epoch[i - from] = random_below (&c->random, epochs->count);
    for (size_t e = 0; e < epochs->count; e++) {
        size_t count = 0;
        for (size_t i = from; i < to; i++)
            if (epoch[i - from] == e)
                picked[count++] = i;
        projection_t rows = case_rows (c, picked, count);
        timeline_add (epochs->timeline[e], &rows);
    }
}

static bool equal (const buf_t *a, const buf_t *b)
{
    return !a->bad && !b->bad && a->size == b->size &&
           (a->size == 0 || memcmp (a->data, b->data, a->size) == 0);
}

static void check_key (test_case_t *c, epochs_t *epochs, reply_t *reply, text_t key, size_t rows,
                       uint64_t seed)
{
    int64_t as_of = case_as_of (c);
    answer_t *answer = answer_new (c->plan);
    buf_t expected, merged, actual;
    buf_init (&expected, ANSWER_ENCODED_MAX);
    buf_init (&merged, ANSWER_ENCODED_MAX);
    buf_init (&actual, ANSWER_ENCODED_MAX);
    case_answer (c, key, as_of, rows, answer);
    answer_encode (answer, &expected);
    answer_reset (answer);
    for (size_t i = 0; i < epochs->count; i++)
        timeline_merge (epochs->timeline[i], key, as_of, answer);
    answer_encode (answer, &merged);
    buf_put_string (&actual, "before"); /* which stays */
    reply_put (reply, epochs->timeline, epochs->count, key, as_of, &actual);
    cr_assert (memcmp (actual.data, "before", 6) == 0);
    memmove (actual.data, actual.data + 6, actual.size -= 6);
    cr_assert (equal (&expected, &merged), "seed %lu: merged", (unsigned long)seed);
    cr_assert (equal (&expected, &actual), "seed %lu: %zu rows, as of %ld", (unsigned long)seed,
               rows, (long)as_of);
    if (expected.size > 0) { /* where it does not fit, it says so */
        buf_t small;
        buf_init (&small, random_below (&c->random, expected.size));
        reply_put (reply, epochs->timeline, epochs->count, key, as_of, &small);
        cr_assert (small.bad);
        buf_release (&small);
    }
    buf_release (&expected);
    buf_release (&merged);
    buf_release (&actual);
    answer_destroy (&answer);
}

/* As many inputs: rows so wide that leaves, or even a piece of one row, are too large for a page.
 */
static void wide_features (size_t inputs, buf_t *yaml)
{
    buf_init (yaml, DEFINITION_FILE_MAX);
    for (size_t i = 0; i < inputs; i++)
        buf_printf (yaml, "      f%zu: %s + %zu) over 2h\n", i, i % 3 == 0 ? "sum(a" : "max(b", i);
}

/* Of the features, or random ones. */
static void check (uint64_t seed, const char *features, size_t rows, unsigned keys,
                   case_order_t order)
{
    static const int64_t delays[] = { 0, 7 * TIME_MINUTE, 2 * TIME_HOUR };
    random_t random;
    test_case_t c;
    random_seed (&random, seed);
    if (features != NULL)
        case_init_delayed (&c, seed, features, delays[random_below (&random, 3)], rows, keys,
                           order);
    else
        case_init (&c, seed, NULL, rows, keys, order);
    epochs_t epochs = { .count = 1 + random_below (&random, EPOCHS_MAX) };
    for (size_t i = 0; i < epochs.count; i++)
        epochs.timeline[i] = timeline_new (c.plan);
    reply_t *reply = reply_new (c.plan);
    for (size_t from = 0, to; from < c.rows.rows; from = to) {
        to = from + 1 + random_below (&random, c.rows.rows);
        to = to < c.rows.rows ? to : c.rows.rows;
        deal (&c, &epochs, from, to);
        for (unsigned i = 0; i < 8; i++) /* of keys that are not there, too */
            check_key (&c, &epochs, reply,
                       case_key (&c, (unsigned)random_below (&random, keys + 1)), to, seed);
    }
    reply_destroy (&reply);
    cr_assert_null (reply);
    reply_destroy (&reply);
    for (size_t i = 0; i < epochs.count; i++)
        timeline_destroy (&epochs.timeline[i]);
    case_release (&c);
}

static void check_special (uint64_t seed, size_t rows, unsigned keys, case_order_t order)
{
    random_t random;
    buf_t yaml;
    random_seed (&random, seed);
    special_features (&random, &yaml);
    check (seed, buf_string (&yaml), rows, keys, order);
    buf_release (&yaml);
}

Test (replies, are_what_adding_the_rows_gives)
{
    for (uint64_t seed = 0; seed < 300; seed++)
        check (seed, NULL, 1 + seed % 90, 1 + (unsigned)(seed % 5), (case_order_t)(seed % ORDERS));
}

Test (replies, are_so_of_states_of_all_kinds)
{
    for (uint64_t seed = 1000; seed < 1600; seed++)
        check_special (seed, 1 + seed % 90, 1 + (unsigned)(seed % 5),
                       (case_order_t)(seed % ORDERS));
}

/* Some keys have a piece in one epoch and a tree in another. */
Test (replies, are_so_of_keys_with_many_rows)
{
    for (uint64_t seed = 2000; seed < 2030; seed++) {
        check (seed, NULL, 600, 1 + (unsigned)(seed % 3), (case_order_t)(seed % ORDERS));
        check_special (seed, 600, 1 + (unsigned)(seed % 3), (case_order_t)(seed % ORDERS));
    }
}

Test (replies, are_so_of_wide_rows)
{
    static const size_t inputs[] = { 64, 70, 130, 400 };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        buf_t yaml;
        wide_features (inputs[i], &yaml);
        for (uint64_t seed = 3000; seed < 3004; seed++)
            check (seed, buf_string (&yaml), 150, 3, (case_order_t)(seed % ORDERS));
        buf_release (&yaml);
    }
}
