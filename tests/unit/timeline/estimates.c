/* What is said of a key's memory beforehand, against what keys take. */
#include "timeline/estimate.h"

#include "tests/rig/cases.h"
#include "tests/unit/timeline/cases.h"

#include <criterion/criterion.h>

/* How many events the keys of a timeline have. */
typedef enum sizes { SIZES_EQUAL, SIZES_SPREAD, SIZES_FEW_LARGE, SIZES } sizes_t;

static const char *const PLANS[] = {
    "      n: count()\n",
    "      n: count() over 1h, 5h, lifetime\n      s: sum(a) over 1h\n      m: max(b) over 5h\n",
    "      l: last(c)\n      s: sum(a * 2) where b > 0 over 1h\n      f: min(c)\n",
    "      a: sum(a)\n      b: sum(b)\n      c: sum(a + b)\n      d: sum(a * b)\n"
    "      e: sum(a - b)\n      f: max(a / b)\n      g: min(b * 3)\n      h: variance(b + 7)\n"
    "      i: mean(a) where c = 'x'\n      j: count(c) where a > 0\n",
};

/* The key of each event: keys in turn, at random, or more seldom the higher their number. */
static unsigned key_of (random_t *random, sizes_t sizes, size_t event, unsigned keys)
{
    if (sizes == SIZES_EQUAL)
        return (unsigned)(event % keys);
    double at = random_unit (random);
    return (unsigned)((sizes == SIZES_SPREAD ? at : at * at * at) * keys);
}

static void check (const char *features, size_t rows, unsigned keys, sizes_t sizes)
{
    test_case_t c;
    case_init (&c, rows + keys, features, rows, 1, ORDER_ASCENDING);
    text_t *key = arena_zero (c.arena, keys, sizeof *key);
    for (unsigned i = 0; i < keys; i++)
        key[i] = case_key (&c, i);
    size_t string_bytes = 0;
    for (size_t i = 0; i < rows; i++) {
        c.rows.key[i] = key[key_of (&c.random, sizes, i, keys)];
        c.rows.time[i] = CASE_START + (int64_t)i;
        string_bytes += column_get (&c.batch.column[CASE_STRING], i).s.size;
    }
    timeline_t *timeline = timeline_new (c.plan);
    timeline_add (timeline, &c.rows);
    double count = (double)timeline_keys (timeline);
    sample_values_t values = { .string_bytes = string_bytes / rows,
                               .distinct = 1,
                               .key_bytes = key[0].size };
    timeline_estimate_t estimate = timeline_estimate (c.plan, (double)rows / count, &values);
    double said = estimate.bytes;
    double is = (double)(timeline_memory (timeline) - estimate.empty_bytes) / count;
    cr_assert (is > 0.75 * said && is < 1.25 * said,
               "%.1f events a key, sizes %d, plan %s: said %.0f, is %.0f", (double)rows / count,
               (int)sizes, features, said, is);
    double parts = estimate.key_bytes + (double)rows / count * estimate.event_bytes;
    cr_assert (fabs (parts - estimate.bytes) < 1e-6 * parts);
    timeline_destroy (&timeline);
    case_release (&c);
}

Test (estimates, a_keys_memory_is_within_a_quarter_of_what_is_said)
{
    static const unsigned keys[] = { 160000, 48000, 12000, 4800, 3600, 1600, 400, 28 };
    for (size_t plan = 0; plan < sizeof PLANS / sizeof *PLANS; plan++)
        for (sizes_t sizes = SIZES_EQUAL; sizes < SIZES; sizes++)
            for (size_t i = 0; i < sizeof keys / sizeof *keys; i += cases_apart (1))
                check (PLANS[plan], 160000, keys[i], sizes);
}
