/* Runs stay few, and rows are rewritten a logarithmic number of times, whatever sizes come. */
#include "batch-worker/tiers.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 256 };

Test (tiers, merge_what_is_no_larger_than_all_smaller_ones_and_dust)
{
    static const struct {
        uint64_t rows[10];
        size_t count;
        size_t merged;
    } cases[] = {
        { { 0 }, 0, 0 },
        { { 5 }, 1, 0 },
        { { 5, 5 }, 2, 2 },
        { { 5, 6 }, 2, 0 },
        { { 5, 5, 11 }, 3, 2 },
        { { 5, 5, 10 }, 3, 3 },
        { { 1, 2, 4, 8, 16 }, 5, 0 },
        { { 1, 2, 3, 8, 16 }, 5, 3 },
        { { 1, 2, 4, 8, 15 }, 5, 5 },
        { { 1, 2, 1000 }, 3, 2 },           /* dust: 3 of 1003 */
        { { 1, 2, 4, 8, 1000 }, 5, 4 },     /* 15 of 1015 */
        { { 1, 2, 4, 8, 16, 1000 }, 6, 4 }, /* 31 of 1031 are more than dust */
        { { 10, 10, 10, 10, 10, 1000 }, 6, 5 },
        { { 0, 0, 7 }, 3, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq (tiers_merged (cases[i].rows, cases[i].count), cases[i].merged,
                      "case %zu: %zu", i, tiers_merged (cases[i].rows, cases[i].count));
}

/* ---- a base that grows ---- */

typedef struct run {
    uint64_t rows;
    uint64_t first;    /* rows of the smallest run that came into it */
    uint64_t rewrites; /* by growth, of those of its rows that most befell */
} run_t;

typedef struct base {
    run_t runs[RUNS_MAX];
    size_t count;
    uint64_t read; /* by all builds */
    uint64_t dust; /* rewritten as such */
} base_t;

static int compare_rows (const void *a, const void *b)
{
    const run_t *x = a;
    const run_t *y = b;
    return (x->rows > y->rows) - (x->rows < y->rows);
}

/* One build, with the runs that have been added. */
static void rebuild (base_t *self)
{
    uint64_t rows[RUNS_MAX];
    uint64_t all = 0;
    qsort (self->runs, self->count, sizeof *self->runs, compare_rows);
    for (size_t i = 0; i < self->count; i++)
        all += rows[i] = self->runs[i].rows;
    self->read += all;
    size_t merged = tiers_merged (rows, self->count);
    cr_assert_neq (merged, 1);
    if (merged == 0)
        return;
    run_t one = { .first = UINT64_MAX };
    for (size_t i = 0; i < merged; i++)
        one.rows += rows[i];
    bool is_dust = one.rows <= all / TIERS_DUST_PART;
    for (size_t i = 0; i < merged; i++) {
        const run_t *run = &self->runs[i];
        cr_assert (is_dust || one.rows >= 2 * run->rows || i + 1 < merged);
        uint64_t rewrites = run->rewrites + !is_dust;
        one.rewrites = rewrites > one.rewrites ? rewrites : one.rewrites;
        one.first = run->first < one.first ? run->first : one.first;
    }
    self->dust += is_dust ? one.rows : 0;
    memmove (self->runs + 1, self->runs + merged, (self->count - merged) * sizeof *self->runs);
    self->runs[0] = one;
    self->count -= merged - 1;
}

static void expect_few (const base_t *self, uint64_t seed)
{
    uint64_t smaller = 0;
    cr_assert_leq (self->count, TIERS_RUNS_MAX, "seed %llu", (unsigned long long)seed);
    for (size_t i = 0; i < self->count; smaller += self->runs[i++].rows)
        cr_assert_gt (self->runs[i].rows, smaller);
    for (size_t i = 0; i < self->count; i++)
        cr_assert_leq ((double)self->runs[i].rewrites,
                       log2 ((double)self->runs[i].rows / (double)self->runs[i].first) + 1,
                       "seed %llu: %llu rewrites of a run of %llu", (unsigned long long)seed,
                       (unsigned long long)self->runs[i].rewrites,
                       (unsigned long long)self->runs[i].rows);
    cr_assert_leq (self->dust, self->read / TIERS_DUST_PART);
}

Test (tiers, leave_few_runs_and_rewrite_rows_seldom_whatever_comes)
{
    random_t random;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        base_t base = { .count = 0 };
        random_seed (&random, seed);
        uint64_t bits = 1 + random_below (&random, 30);
        uint64_t at_once = 1 + random_below (&random, random_chance (&random, 0.2) ? 100 : 9);
        bool even = random_chance (&random, 0.3); /* all runs of one size */
        for (unsigned build = 0; build < 200; build++) {
            for (uint64_t i = random_below (&random, at_once + 1); i > 0; i--) {
                uint64_t rows =
                    even ? UINT64_C (1) << bits
                         : 1 + random_below (&random, UINT64_C (1) << random_below (&random, bits));
                base.runs[base.count++] = (run_t){ .rows = rows, .first = rows };
            }
            rebuild (&base);
            expect_few (&base, seed);
        }
    }
}
