/* Which layers of a partition a recompute leaves as they are. */
#include "base/random.h"
#include "base/timestamp.h"
#include "coordinator/state.h"
#include "tests/rig/cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

enum { LAYERS = 12 };

#define CLOCK INT64_C (1767225600000000) /* 2026-01-01 */

static const char definitions_text[] =
    "streams:\n  pay:\n    key: user\n    time: ts\n    fields:\n      user: string\n"
    "      ts: {type: timestamp, unit: us}\n"
    "views:\n  spend:\n    from: pay\n    horizon: 2d\n    features:\n      n: count() over 1h\n"
    "  other:\n    from: pay\n    horizon: 6d\n    features:\n      n: count() over 1h\n";

/* A log with one partition, whose layers have these rows each, one run and a file of both views. */
typedef struct pile {
    coordinator_core_t core;
    definitions_t *definitions;
    uint64_t plans[2][SOURCES_MAX];
    log_t log;
    recompute_t recompute;
    catalog_part_t part;
    catalog_layer_t layers[LAYERS];
    catalog_run_t runs[LAYERS];
    catalog_view_file_t views[2 * LAYERS];
} test_pile_t;

static void pile_init (test_pile_t *self, const uint64_t *rows, size_t count)
{
    *self = (test_pile_t){ .core.version = 1,
                           .core.options.partitions = 1,
                           .core.options.fold_least = UINT64_MAX };
    definition_file_t file = { "test.yaml", text_of (definitions_text) };
    error_t error;
    cr_assert_eq (definitions_read (&file, 1, &self->definitions, &error), STATUS_OK, "%s",
                  error.text);
    uint32_t version = self->definitions->views[0].version;
    self->core.definitions = self->definitions;
    self->core.plans = self->plans;
    self->log.name = (char *)(uintptr_t)self->definitions->streams[0].log_name;
    self->log.stream = (char *)(uintptr_t) "pay";
    self->log.built_definitions = 1;
    self->log.manifest =
        (catalog_manifest_t){ .number = 1, .parts = &self->part, .parts_count = 1 };
    self->part = (catalog_part_t){ .layers = self->layers,
                                   .layers_count = count,
                                   .runs = self->runs,
                                   .runs_count = count,
                                   .views = self->views,
                                   .views_count = 2 * count };
    for (size_t i = 0; i < count; i++) {
        self->layers[i] = (catalog_layer_t){ .clock = CLOCK + (int64_t)i,
                                             .latest = CLOCK - TIME_HOUR,
                                             .runs_count = 1,
                                             .views_count = 2 };
        self->runs[i].rows = rows[i];
        self->views[2 * i] = (catalog_view_file_t){ .view = "spend", .version = version };
        self->views[2 * i + 1] = (catalog_view_file_t){ .view = "other", .version = version };
    }
}

static size_t kept_at (const test_pile_t *self, const catalog_part_t *part, int64_t clock,
                       uint64_t new_rows)
{
    layers_plan_t plan =
        layers_plan (&self->core, &self->recompute, &self->log, part, clock, new_rows, 0, true);
    cr_assert_eq (plan.fold_end, 0);
    return plan.kept;
}

static size_t kept (const test_pile_t *self, uint64_t new_rows)
{
    return kept_at (self, &self->part, CLOCK + TIME_MINUTE, new_rows);
}

Test (layers, stay_below_those_that_are_no_larger_than_what_comes)
{
    static const struct {
        uint64_t rows[LAYERS];
        size_t count;
        uint64_t more;
        size_t kept;
    } cases[] = {
        { { 100 }, 1, 1, 1 },
        { { 100 }, 1, 99, 1 },
        { { 100 }, 1, 100, 0 }, /* as much as the base has: a base */
        { { 100 }, 1, 0, 1 },
        { { 0 }, 1, 0, 1 },
        { { 0 }, 1, 1, 0 },
        { { 100, 1 }, 2, 1, 1 },
        { { 100, 2 }, 2, 1, 2 },
        { { 100, 2, 1 }, 3, 1, 1 }, /* 1 and 1, and then 2 and 2 */
        { { 100, 8, 4 }, 3, 1, 3 },
        { { 100, 8, 4 }, 3, 4, 1 },
        { { 100, 40, 20 }, 3, 50, 0 }, /* all that is new: more than the base */
        { { 1000, 256, 128, 64, 32, 16, 8, 4 }, 8, 1, 8 },
        { { 100, 51, 40 }, 3, 10, 0 }, /* the base, although 51 and 40 might stay */
        { { 1000, 50, 40 }, 3, 10, 1 },
        { { 1000, 51, 40 }, 3, 10, 3 },
        { { 9999, 512, 255, 127, 63, 31, 15, 7, 3 }, 9, 1, 1 }, /* no ninth delta: 502 on 512 */
        { { 9999, 999, 256, 64, 32, 16, 8, 4, 2 }, 9, 1, 3 },   /* 63 on 64 */
        { { 1000, 256, 128, 64, 32, 16, 8, 4, 2 }, 9, 0, 9 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_pile_t pile;
        pile_init (&pile, cases[i].rows, cases[i].count);
        cr_expect_eq (kept (&pile, cases[i].more), cases[i].kept, "case %zu: %zu", i,
                      kept (&pile, cases[i].more));
        definitions_destroy (&pile.definitions);
    }
}

/* A dataset that grows by random amounts, of a few rows or a good part of the whole. */
typedef struct growth {
    uint64_t rows[LAYERS];
    size_t layers;
    uint64_t least; /* that came at once */
    uint64_t most;
    uint64_t total;
    uint64_t folds; /* of the rows that came first: how often their base was */
} growth_t;

/* The least growth of a fold among nine layers that are each larger than all above it, and of which
 * what is new is a part of at most `parts`. */
static double least_growth (double parts)
{
    double step = pow (parts, 1.0 / 8);
    return step <= 2 ? 2 : step / (step - 1);
}

static void grow (growth_t *self, uint64_t rows)
{
    test_pile_t pile;
    pile_init (&pile, self->rows, self->layers);
    size_t stay = self->layers == 0 ? 0 : kept (&pile, rows);
    definitions_destroy (&pile.definitions);
    cr_assert_leq (stay, 8, "%zu layers stay below a new one", stay);
    uint64_t fold = rows;
    for (size_t i = stay; i < self->layers; i++)
        fold += self->rows[i];
    self->least = rows < self->least ? rows : self->least;
    self->total += rows;
    for (size_t i = stay; i < self->layers; i++) {
        double growth = (double)fold / (double)self->rows[i];
        double least = least_growth ((double)self->total / (double)self->least);
        cr_assert_geq (growth * 1.000001, least, "%f < %f", growth, least);
    }
    self->folds += stay == 0 && self->layers > 0;
    self->layers = stay;
    self->rows[self->layers++] = fold;
    uint64_t above = 0;
    for (size_t i = self->layers; i-- > 0; above += self->rows[i])
        cr_assert_gt (self->rows[i], above, "layer %zu", i);
    cr_assert_eq (above, self->total);
}

/* However much comes each time: there are eight deltas at most, each layer is larger than all above
 * it, and a row's layer grows by a factor whenever it is written again. So that happens a
 * logarithmic number of times; to those of a base, log2 of how many there are. */
Test (layers, grow_by_a_factor_whenever_they_are_written_again)
{
    random_t random;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        random_seed (&random, seed);
        growth_t growth = { .least = UINT64_MAX };
        unsigned spread = 1 + (unsigned)random_below (&random, 20); /* bits between amounts */
        uint64_t first = 1 + random_below (&random, UINT64_C (1) << random_below (&random, 30));
        grow (&growth, first);
        for (unsigned i = 0; i < 150; i++)
            grow (&growth,
                  1 + random_below (&random, UINT64_C (1) << random_below (&random, spread)));
        cr_assert_leq ((double)growth.folds, log2 ((double)growth.total / (double)first),
                       "seed %llu", (unsigned long long)seed);
    }
}

Test (layers, all_are_replaced_when_rows_leave_or_it_is_asked_for)
{
    static const uint64_t rows[] = { 1000, 10 };
    test_pile_t pile;
    pile_init (&pile, rows, 2);
    cr_assert_eq (kept (&pile, 1), 2);
    pile.recompute.full = true;
    cr_assert_eq (kept (&pile, 1), 0);
    pile.recompute = (recompute_t){ .unloaded_count = 1 };
    cr_assert_eq (kept (&pile, 1), 0);
    pile.recompute = (recompute_t){ .forgets_count = 1 };
    cr_assert_eq (kept (&pile, 1), 0);
    pile.recompute = (recompute_t){ 0 };
    cr_assert_eq (kept_at (&pile, NULL, CLOCK, 1), 0);
    definitions_destroy (&pile.definitions);
}

Test (layers, all_are_replaced_when_one_lacks_a_view)
{
    static const uint64_t rows[] = { 1000, 10 };
    test_pile_t pile;
    pile_init (&pile, rows, 2);
    pile.core.version = 2;
    cr_assert_null (layers_view_missing (&pile.core, &pile.log));
    pile.views[2].view = "gone"; /* of the delta */
    cr_assert_str_eq (layers_view_missing (&pile.core, &pile.log), "spend");
    cr_assert_eq (kept (&pile, 1), 0);
    pile.log.built_definitions = 2; /* a build of the same definitions left it out: for a reason */
    cr_assert_null (layers_view_missing (&pile.core, &pile.log));
    cr_assert_eq (kept (&pile, 1), 2);
    definitions_destroy (&pile.definitions);
}

Test (layers, all_are_replaced_when_the_base_is_half_a_horizon_behind)
{
    static const uint64_t rows[] = { 1000, 10 };
    test_pile_t pile;
    pile_init (&pile, rows, 2);
    cr_assert_eq (kept_at (&pile, &pile.part, CLOCK + TIME_DAY, 1), 2);
    cr_assert_eq (kept_at (&pile, &pile.part, CLOCK + TIME_DAY + 1, 1), 0);
    pile.layers[1].latest = pile.layers[0].latest + TIME_DAY;
    cr_assert_eq (kept (&pile, 1), 2);
    pile.layers[1].latest++;
    cr_assert_eq (kept (&pile, 1), 0);
    pile.layers[0].latest = INT64_MIN; /* unknown */
    cr_assert_eq (kept (&pile, 1), 0);
    pile.layers[1].latest = INT64_MIN;
    cr_assert_eq (kept (&pile, 1), 2);
    definitions_destroy (&pile.definitions);
}

/* ---- folds ---- */

Test (layers, are_folded_apart_when_there_is_much_more_of_them_than_is_new)
{
    static const struct {
        uint64_t rows[LAYERS];
        size_t count;
        uint64_t more;
        size_t pinned;
        bool may_fold;
        layers_plan_t plan;
    } cases[] = {
        /* nothing is to be folded */
        { { 1000 }, 1, 10, 0, true, { 1, 0, 0 } },
        /* at most four times what is new: by the recompute itself */
        { { 1000, 20, 10, 10 }, 4, 10, 0, true, { 1, 0, 0 } },
        { { 1000, 24, 10, 10 }, 4, 10, 0, true, { 4, 1, 4 } },
        { { 1000, 600, 390 }, 3, 10, 0, true, { 3, 0, 3 } },
        /* one layer gains nothing by it */
        { { 9999, 4000, 1500, 700, 300, 130, 61, 30, 29 }, 9, 1, 0, true, { 7, 0, 0 } },
        { { 9999, 4000, 1500, 700, 300, 130, 60, 30, 29 }, 9, 1, 0, true, { 8, 6, 8 } },
        /* meanwhile those above go on, and those in it stay */
        { { 1000, 600, 390, 10 }, 4, 10, 3, false, { 3, 0, 0 } },
        { { 1000, 600, 390, 20 }, 4, 10, 3, false, { 4, 0, 0 } },
        { { 1000, 600, 390 }, 3, 2000, 3, false, { 3, 0, 0 } },
        { { 9999, 512, 255, 127, 63, 31, 15, 7, 3 }, 9, 1, 6, false, { 6, 0, 0 } },
        { { 9999, 512, 255, 127, 63, 31, 15, 7, 3 }, 9, 0, 6, false, { 9, 0, 0 } },
        /* with nine, the upper three make room for more that come while the others are folded */
        { { 9999, 512, 255, 127, 63, 31, 15, 7, 3 }, 9, 1, 0, true, { 6, 1, 6 } },
        /* one that is made is not published yet: the next recompute begins another, or, where no
         * more may come, this one folds some itself */
        { { 1000, 600, 390 }, 3, 10, 0, false, { 3, 0, 0 } },
        { { 9999, 512, 255, 127, 63, 31, 15, 7, 3 }, 9, 1, 0, false, { 1, 0, 0 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_pile_t pile;
        pile_init (&pile, cases[i].rows, cases[i].count);
        pile.core.options.fold_least = 0;
        layers_plan_t plan =
            layers_plan (&pile.core, &pile.recompute, &pile.log, &pile.part, CLOCK + TIME_MINUTE,
                         cases[i].more, cases[i].pinned, cases[i].may_fold);
        cr_expect (plan.kept == cases[i].plan.kept && plan.fold_first == cases[i].plan.fold_first &&
                       plan.fold_end == cases[i].plan.fold_end,
                   "case %zu: %zu, %zu to %zu", i, plan.kept, plan.fold_first, plan.fold_end);
        definitions_destroy (&pile.definitions);
    }
}

Test (layers, are_folded_into_a_base_when_that_is_old)
{
    static const uint64_t rows[] = { 1000, 10 };
    test_pile_t pile;
    pile_init (&pile, rows, 2);
    pile.core.options.fold_least = 100;
    for (uint64_t more = 0; more < 2; more++) {
        layers_plan_t plan = layers_plan (&pile.core, &pile.recompute, &pile.log, &pile.part,
                                          CLOCK + TIME_DAY + 1, more, 0, true);
        cr_assert_eq (plan.kept, 2);
        cr_assert_eq (plan.fold_first, 0);
        cr_assert_eq (plan.fold_end, 2);
    }
    pile.part.layers_count = 1; /* a base alone, too */
    layers_plan_t plan = layers_plan (&pile.core, &pile.recompute, &pile.log, &pile.part,
                                      CLOCK + TIME_DAY + 1, 1, 0, true);
    cr_assert_eq (plan.kept, 1);
    cr_assert_eq (plan.fold_end, 1);
    pile.recompute.full = true;
    plan = layers_plan (&pile.core, &pile.recompute, &pile.log, &pile.part, CLOCK, 1, 1, false);
    cr_assert_eq (plan.kept, 0); /* whatever is pinned */
    definitions_destroy (&pile.definitions);
}

/* A dataset to which the same number of rows comes again and again, while each fold takes as long
 * as some of these: never more than eight deltas, and each row is written a logarithmic number of
 * times, by recomputes at most so much at a time. */
typedef struct arrivals {
    uint64_t rows[LAYERS];
    size_t layers;
    size_t first, end; /* of the fold; none: equal */
    unsigned left;     /* recomputes until it is made */
    uint64_t written;
} arrivals_t;

static void splice (arrivals_t *self)
{
    for (size_t i = self->first + 1; i < self->end; i++)
        self->rows[self->first] += self->rows[i];
    size_t above = self->layers - self->end;
    memmove (self->rows + self->first + 1, self->rows + self->end, above * sizeof *self->rows);
    self->layers = self->first + 1 + above;
    self->first = self->end = 0;
}

static void come (arrivals_t *self, uint64_t rows, random_t *random)
{
    if (self->end > 0 && self->left-- == 0)
        splice (self);
    test_pile_t pile;
    pile_init (&pile, self->rows, self->layers);
    pile.core.options.fold_least = 0;
    layers_plan_t plan = layers_plan (&pile.core, &pile.recompute, &pile.log, &pile.part,
                                      CLOCK + TIME_MINUTE, rows, self->end, self->end == 0);
    definitions_destroy (&pile.definitions);
    cr_assert_geq (plan.kept, self->end);
    cr_assert_leq (plan.kept, 8, "%zu layers stay below a new one", plan.kept);
    uint64_t fold = rows;
    for (size_t i = plan.kept; i < self->layers; i++)
        fold += self->rows[i];
    self->written += fold;
    if (plan.fold_end > 0) {
        cr_assert_eq (self->end, 0);
        cr_assert_leq (plan.fold_end, plan.kept);
        self->first = plan.fold_first;
        self->end = plan.fold_end;
        self->left = (unsigned)random_below (random, 20);
        for (size_t i = self->first; i < self->end; i++)
            self->written += self->rows[i];
    }
    self->layers = plan.kept;
    self->rows[self->layers++] = fold;
}

Test (layers, are_few_and_seldom_written_while_folds_are_under_way)
{
    enum { TIMES = 1000, ROWS = 100 };
    random_t random;
    for (uint64_t seed = 1; seed <= cases (20); seed++) {
        random_seed (&random, seed);
        arrivals_t arrivals = { .layers = 1, .rows = { ROWS } };
        for (unsigned i = 0; i < TIMES; i++)
            come (&arrivals, ROWS, &random);
        double often = (double)arrivals.written / (ROWS * TIMES);
        cr_assert_leq (often, log2 (TIMES) + 4, "seed %llu: each row is written %.1f times",
                       (unsigned long long)seed, often);
    }
}
