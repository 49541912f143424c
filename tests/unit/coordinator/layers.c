/* Which layers of a partition a recompute leaves as they are. */
#include "base/timestamp.h"
#include "coordinator/state.h"

#include <criterion/criterion.h>
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
    *self = (pile_t){ .core.version = 1 };
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
        { { 1000, 256, 128, 64, 32, 16, 8, 4, 2 }, 9, 1, 8 }, /* no ninth delta */
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
