/* Which layers of a partition a recompute leaves as they are. */
#include "base/random.h"
#include "base/timestamp.h"
#include "coordinator/state.h"

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
} pile_t;

static void pile_init (pile_t *self, const uint64_t *rows, size_t count)
{
    *self = (pile_t){ .core.version = 1, .core.options.partitions = 1 };
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

static size_t kept (const pile_t *self, uint64_t new_rows)
{
    return layers_kept (&self->core, &self->recompute, &self->log, &self->part, CLOCK + TIME_MINUTE,
                        new_rows);
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
        pile_t pile;
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
    pile_t pile;
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

/* Of 17 partitions, the first two that would write a base do; the third waits, within bounds. */
Test (layers, of_other_partitions_wait_while_bases_are_written)
{
    static const uint64_t rows[] = { 100, 50 };
    task_t task = { 0 };
    build_t builds[3] = { { .task = &task }, { .task = &task }, { .kept = 0 } };
    pile_t pile;
    pile_init (&pile, rows, 2);
    pile.core.options.partitions = 17;
    pile.core.options.recompute_every = TIME_HOUR / 2; /* of a horizon of 2 d */
    pile.recompute.builds = builds;
    pile.part.partition = 2;
    cr_assert_eq (kept (&pile, 60), 1); /* 110 on 100 */
    cr_assert_eq (kept (&pile, 149), 1);
    cr_assert_eq (kept (&pile, 150), 0); /* twice as much as it holds */
    builds[1].kept = 1;
    cr_assert_eq (kept (&pile, 60), 0);
    builds[1].kept = 0;
    const coordinator_core_t *core = &pile.core;
    const struct {
        int64_t after;
        int64_t every;
        size_t kept;
    } ages[] = { { TIME_DAY + 1, TIME_HOUR / 2, 2 },
                 { TIME_DAY * 3 / 2, TIME_HOUR / 2, 2 },
                 { TIME_DAY * 3 / 2 + 1, TIME_HOUR / 2, 0 },
                 { TIME_DAY + 1, TIME_HOUR, 0 }, /* the next recompute may be too late */
                 { TIME_DAY + 1, 0, 0 } };
    for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        pile.core.options.recompute_every = ages[i].every;
        cr_expect_eq (
            layers_kept (core, &pile.recompute, &pile.log, &pile.part, CLOCK + ages[i].after, 1),
            ages[i].kept, "age %zu", i);
    }
    pile.recompute.full = true; /* all write bases, whoever else does */
    cr_assert_eq (kept (&pile, 1), 0);
    definitions_destroy (&pile.definitions);
}

Test (layers, all_are_replaced_when_rows_leave_or_it_is_asked_for)
{
    static const uint64_t rows[] = { 1000, 10 };
    pile_t pile;
    pile_init (&pile, rows, 2);
    cr_assert_eq (kept (&pile, 1), 2);
    pile.recompute.full = true;
    cr_assert_eq (kept (&pile, 1), 0);
    pile.recompute = (recompute_t){ .unloaded_count = 1 };
    cr_assert_eq (kept (&pile, 1), 0);
    pile.recompute = (recompute_t){ .forgets_count = 1 };
    cr_assert_eq (kept (&pile, 1), 0);
    pile.recompute = (recompute_t){ 0 };
    cr_assert_eq (layers_kept (&pile.core, &pile.recompute, &pile.log, NULL, CLOCK, 1), 0);
    definitions_destroy (&pile.definitions);
}

Test (layers, all_are_replaced_when_one_lacks_a_view)
{
    static const uint64_t rows[] = { 1000, 10 };
    pile_t pile;
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
    pile_t pile;
    pile_init (&pile, rows, 2);
    const coordinator_core_t *core = &pile.core;
    cr_assert_eq (layers_kept (core, &pile.recompute, &pile.log, &pile.part, CLOCK + TIME_DAY, 1),
                  2);
    cr_assert_eq (
        layers_kept (core, &pile.recompute, &pile.log, &pile.part, CLOCK + TIME_DAY + 1, 1), 0);
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
