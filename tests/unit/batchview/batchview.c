#include "batchview/batchview.h"

#include "batchview/viewfile.h"
#include "storage/posix_fs.h"
#include "tests/unit/batchview/built.h"

#include <criterion/criterion.h>
#include <unistd.h>

static const char *const PLAIN = "      n: count() over 1h, 5h, lifetime\n"
                                 "      s: sum(a) where b > 0 over 1h, 5h\n"
                                 "      d: approx_count_distinct(c) over 2h\n"
                                 "      v: variance(a)\n";

static const char *const MORE = "      n: count() over 1h, 5h, lifetime\n"
                                "      s: sum(a) where b > 0 over 1h, 5h\n"
                                "      new: last(a) over 1h, 2h\n"
                                "      d: approx_count_distinct(c) over 2h\n"
                                "      v: variance(a)\n      other: last(b)\n";

/* One query against the file and the rest, and against every row one by one. Was it exact? */
typedef struct query {
    test_case_t *c;
    const built_t *built;
    const batchview_t *view;
    const batchview_binding_t *binding;
    answer_t *expected;
    answer_t *actual;
} query_t;

static void query_init (query_t *self, test_case_t *c, const built_t *built,
                        const batchview_t *view)
{
    *self = (query_t){ .c = c, .built = built, .view = view };
    self->binding = batchview_bind (view, c->plan);
    self->expected = answer_new (c->plan);
    self->actual = answer_new (c->plan);
}

static void query_release (query_t *self)
{
    batchview_binding_t *binding = NULL;
    memcpy (&binding, &self->binding, sizeof binding);
    batchview_binding_destroy (&binding);
    answer_destroy (&self->expected);
    answer_destroy (&self->actual);
}

static bool query_run (query_t *self, text_t key, int64_t as_of)
{
    error_t error;
    bool exact = false;
    answer_reset (self->expected);
    answer_reset (self->actual);
    status_t status =
        batchview_merge (self->view, self->binding, key, as_of, self->actual, &exact, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    if (!exact) {
        cr_assert (case_equal (self->expected, self->actual), "an inexact merge left something");
        return false;
    }
    const projection_t *rest = &self->built->rest;
    for (size_t i = 0; i < rest->rows; i++)
        if (text_equal (rest->key[i], key))
            answer_add_row (self->actual, as_of, rest, i);
    case_answer (self->c, key, as_of, SIZE_MAX, self->expected);
    cr_assert (case_equal (self->expected, self->actual), "as of %ld, latest %ld, clock %ld",
               (long)as_of, (long)self->built->info.latest, (long)self->built->info.clock_at_cut);
    return true;
}

/* A time at, or just by, an event or a place where a window's edge meets one; in the span that
 * begins at `start`. */
static int64_t time_in_span (test_case_t *c, int64_t start)
{
    int64_t horizon = c->plan->horizon;
    for (unsigned tries = 0; tries < 10; tries++) {
        int64_t time = case_as_of (c);
        if (time >= start && time <= start + horizon)
            return time;
    }
    switch (random_below (&c->random, 4)) {
    case 0:
        return start;
    case 1:
        return start + horizon;
    default:
        return start + (int64_t)random_below (&c->random, (uint64_t)horizon + 1);
    }
}

static void case_check_delayed (uint64_t seed, size_t rows, unsigned keys, const char *features,
                                int64_t delay)
{
    test_case_t c;
    case_init_delayed (&c, seed, features, delay, rows, keys, (case_order_t)(seed % ORDERS));
    static const int64_t horizons[] = { 1, TIME_MINUTE, 40 * TIME_MINUTE, TIME_DAY };
    c.plan->horizon = horizons[random_below (&c.random, 4)];
    uint64_t cut = random_below (&c.random, rows / 3 + 2);
    int64_t clock_at_cut =
        CASE_START + (int64_t)random_below (&c.random, (uint64_t)CASE_RANGE * 3 / 2);
    built_t built = { .sections = built_sections (&c.random) };
    built_init (&built, &c, cut, clock_at_cut);
    batchview_t *view = built_open (&built);
    query_t query;
    query_init (&query, &c, &built, view);
    for (unsigned i = 0; i < 60; i++) {
        text_t key = case_key (&c, (unsigned)random_below (&c.random, keys + 1));
        cr_assert (query_run (&query, key, time_in_span (&c, clock_at_cut)), "seed %lu: clock span",
                   (unsigned long)seed);
        if (built.info.latest != INT64_MIN)
            cr_assert (query_run (&query, key, time_in_span (&c, built.info.latest)),
                       "seed %lu: latest span", (unsigned long)seed);
        query_run (&query, key, case_as_of (&c));
        cr_assert (query_run (&query, key, CASE_START + CASE_RANGE + 3 * TIME_DAY),
                   "seed %lu: all windows are empty", (unsigned long)seed);
    }
    query_release (&query);
    batchview_unref (&view);
    built_release (&built);
    case_release (&c);
}

static void case_check (uint64_t seed, size_t rows, unsigned keys, const char *features)
{
    case_check_delayed (seed, rows, keys, features, features == NULL ? -1 : 0);
}

Test (batchview, with_the_rest_gives_exactly_what_all_rows_give)
{
    for (uint64_t seed = 0; seed < 150; seed++)
        case_check (seed, 1 + 2 * seed, 5, NULL);
}

/* More rows of a key than the writer buffers. */
Test (batchview, keys_with_many_events_give_exactly_what_all_rows_give)
{
    for (uint64_t seed = 500; seed < 512; seed++)
        case_check (seed, 5000, 1 + (unsigned)(seed % 3), NULL);
}

Test (batchview, large_states_are_answered_from_checkpoints)
{
    for (uint64_t seed = 600; seed < 612; seed++)
        case_check (seed, 400, 2,
                    "      d: approx_count_distinct(c) over 7m, 1h, 5h\n"
                    "      l: approx_count_distinct(b)\n");
}

Test (batchview, delayed_windows_are_answered_from_blocks)
{
    static const int64_t delays[] = { TIME_SECOND, TIME_HOUR, 6 * TIME_HOUR };
    for (uint64_t seed = 650; seed < 680; seed++)
        case_check_delayed (seed, 40 * (seed - 640), 2,
                            "      d: approx_count_distinct(c) over 7m, 1h, 5h\n"
                            "      s: sum(a) over 90s, lifetime\n"
                            "      l: last(c)\n"
                            "      n: count() where b > 0 over 2h\n",
                            delays[seed % 3]);
}

/* Every window has ended by then, but which event was the latest is not known inside an atom. */
Test (batchview, delayed_windows_are_exact_from_the_latest_event_on)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    case_init_delayed (&c, 14, "      n: count() over 3h\n", TIME_HOUR, 3000, 1, ORDER_RANDOM);
    c.plan->horizon = 10 * TIME_HOUR;
    for (size_t i = 0; i < c.rows.rows; i++) /* all in four hours */
        c.rows.time[i] = CASE_START + (c.rows.time[i] - CASE_START) * 2 / 5;
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    batchview_t *view = built_open (&built);
    query_t query;
    query_init (&query, &c, &built, view);
    int64_t latest = built.info.latest;
    cr_assert (query_run (&query, case_key (&c, 0), latest));
    size_t inside = 0;
    for (int64_t before = 0; before < 40 * TIME_MINUTE; before += TIME_MINUTE)
        inside += !query_run (&query, case_key (&c, 0), latest - before);
    cr_assert_gt (inside, 0);
    query_release (&query);
    batchview_unref (&view);
    built_release (&built);
    case_release (&c);
}

/* Few events at whole seconds, and every as-of at whole and half seconds: each meeting of an edge
 * with an event, an atom, a span or the clock comes up. */
static void check_every_second (uint64_t seed)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    if (seed % 2 == 1)
        built.sections = (batchview_sections_t){
            .atoms = 1 + seed / 2 % 5, .sections = 2 + seed / 10 % 3, .least = 2, .bytes = 1 << 20
        };
    case_init_delayed (&c, seed,
                       seed % 2 == 0 ? "      n: count() over 3s, 10s\n      m: max(b) over 10s\n"
                                     : "      n: count() over 2s, 20s, lifetime\n"
                                       "      d: approx_count_distinct(b) over 2s, 20s\n",
                       seed % 3 == 0 ? 0 : (int64_t)(seed % 17) * TIME_SECOND, 1 + seed % 24, 1,
                       ORDER_RANDOM);
    for (size_t i = 0; i < c.rows.rows; i++)
        c.rows.time[i] = CASE_START + (int64_t)random_below (&c.random, 40) * TIME_SECOND;
    c.plan->horizon = (int64_t)random_below (&c.random, 6) * TIME_SECOND;
    int64_t clock_at_cut = CASE_START + (int64_t)random_below (&c.random, 60) * TIME_SECOND;
    built_init (&built, &c, random_below (&c.random, 2) == 0 ? 4 : UINT64_MAX, clock_at_cut);
    batchview_t *view = built_open (&built);
    query_t query;
    query_init (&query, &c, &built, view);
    int64_t latest = built.info.latest == INT64_MIN ? clock_at_cut : built.info.latest;
    int64_t horizon = c.plan->horizon;
    for (int64_t half = -4; half < 200; half++) {
        int64_t as_of = CASE_START + half * TIME_SECOND / 2;
        bool exact = query_run (&query, case_key (&c, 0), as_of);
        bool expected = (as_of >= latest && as_of <= latest + horizon) ||
                        (as_of >= clock_at_cut && as_of <= clock_at_cut + horizon) ||
                        as_of >= CASE_START + 80 * TIME_SECOND;
        cr_assert (exact || !expected, "seed %lu: half second %ld", (unsigned long)seed,
                   (long)half);
    }
    query_release (&query);
    batchview_unref (&view);
    built_release (&built);
    case_release (&c);
}

Test (batchview, edges_that_meet_events_are_exact)
{
    for (uint64_t seed = 3000; seed < 3400; seed++)
        check_every_second (seed);
}

/* Builds the rows of `c`, in sections of some size, with a key's rows handed over `parts` at a
 * time. */
static void check_same_bytes (test_case_t *c, size_t parts, int64_t clock_at_cut)
{
    built_t whole = { .sections = built_sections (&c->random) };
    built_t split = { .sections = whole.sections };
    error_t error;
    built_init (&whole, c, UINT64_MAX, clock_at_cut);
    memory_file_init (&split.file);
    built_deal (&split, c, UINT64_MAX, clock_at_cut);
    cr_assert_eq (built_write (&split, c, parts, &error), STATUS_OK);
    cr_assert_eq (whole.file.bytes.size, split.file.bytes.size);
    cr_assert (memcmp (whole.file.bytes.data, split.file.bytes.data, whole.file.bytes.size) == 0);
    built_release (&whole);
    built_release (&split);
}

Test (batchview, equal_rows_give_equal_bytes_however_they_are_handed_over)
{
    for (uint64_t seed = 700; seed < 708; seed++) {
        test_case_t c;
        case_init (&c, seed, NULL, 4000, 1 + (unsigned)seed % 3, ORDER_RANDOM);
        for (size_t parts = 1; parts < 4000; parts = parts * 5 + 2)
            check_same_bytes (&c, parts, CASE_START + CASE_RANGE / 2);
        case_release (&c);
    }
}

/* Keys with few rows, some of which are kept as rows and some as partials; at whole seconds, so
 * that they are often just at the edge of what a window can reach. */
Test (batchview, keys_with_few_rows_give_equal_bytes_however_they_are_handed_over)
{
    static const char *const features[] = {
        "      n: count() over 3s, 10s\n      m: max(b) where b > 0 over 10s\n",
        "      n: count() over 2s, 20s, lifetime\n      d: approx_count_distinct(b) over 2s, 20s\n"
        "      v: variance(a) over 5s\n      f: first(b)\n",
        NULL,
    };
    for (uint64_t seed = 4000; seed < 4600; seed++) {
        test_case_t c;
        int64_t delay = seed % 3 == 0 ? (int64_t)(seed % 17) * TIME_SECOND : 0;
        case_init_delayed (&c, seed, features[seed % 4 % 3], delay, 1 + seed % 40, 30,
                           ORDER_RANDOM);
        for (size_t i = 0; i < c.rows.rows; i++)
            c.rows.time[i] = CASE_START + (int64_t)random_below (&c.random, 40) * TIME_SECOND;
        c.plan->horizon = (int64_t)random_below (&c.random, 6) * TIME_SECOND;
        check_same_bytes (&c, 1, CASE_START + (int64_t)random_below (&c.random, 60) * TIME_SECOND);
        case_release (&c);
    }
}

Test (batchview, says_what_it_is)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    case_init (&c, 1, PLAIN, 300, 9, ORDER_LATE);
    built_init (&built, &c, 80, CASE_START + CASE_RANGE);
    batchview_t *view = built_open (&built);
    const batchview_info_t *info = batchview_info (view);
    cr_assert_str_eq (info->view, "v");
    cr_assert_eq (info->version, 7);
    cr_assert_eq (info->plan_hash, c.plan->hash);
    cr_assert_eq (info->partition, 3);
    cr_assert_eq (info->partitions, 8);
    cr_assert_eq (info->cut, 80);
    cr_assert_eq (info->clock_at_cut, built.info.clock_at_cut);
    cr_assert_eq (info->latest, built.info.latest);
    cr_assert_eq (info->keys, 9);
    cr_assert_eq (info->events, built.covered.rows);
    cr_assert_gt (info->atoms, info->keys);
    batchview_unref (&view);
    cr_assert_null (view);
    batchview_unref (&view);
    built_release (&built);
    case_release (&c);
}

Test (batchview, without_any_key_opens_and_adds_nothing)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    case_init (&c, 2, PLAIN, 50, 3, ORDER_LATE);
    built_init (&built, &c, 0, CASE_START);
    cr_assert_eq (built.covered.rows, 0);
    batchview_t *view = built_open (&built);
    query_t query;
    query_init (&query, &c, &built, view);
    cr_assert (query_run (&query, case_key (&c, 1), CASE_START));
    query_release (&query);
    batchview_unref (&view);
    built_release (&built);
    case_release (&c);
}

/* History far from any window's edge is one atom, however long it is. */
Test (batchview, history_away_from_window_edges_is_collapsed)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    case_init (&c, 3, "      n: count() over 1h, lifetime\n", 20000, 1, ORDER_ASCENDING);
    c.plan->horizon = TIME_MINUTE;
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    batchview_t *view = built_open (&built);
    cr_assert_lt (batchview_info (view)->atoms, 120);
    cr_assert_lt (built.file.bytes.size, 4000);
    batchview_unref (&view);
    built_release (&built);
    case_release (&c);
}

Test (batchview, an_edge_inside_a_collapsed_atom_is_not_exact)
{
    test_case_t c;
    built_t built = { .budget = NULL };
    case_init (&c, 4, "      n: count() over 1h, lifetime\n", 2000, 1, ORDER_ASCENDING);
    c.plan->horizon = TIME_MINUTE;
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE + TIME_HOUR / 2);
    batchview_t *view = built_open (&built);
    query_t query;
    query_init (&query, &c, &built, view);
    int64_t latest = built.info.latest;
    cr_assert (query_run (&query, case_key (&c, 0), latest + TIME_MINUTE));
    cr_assert_not (query_run (&query, case_key (&c, 0), latest + 10 * TIME_MINUTE));
    cr_assert_not (query_run (&query, case_key (&c, 0), latest - 1));
    query_release (&query);
    batchview_unref (&view);
    built_release (&built);
    case_release (&c);
}

Test (batchview, a_plan_with_a_slot_that_the_file_lacks_is_not_exact)
{
    test_case_t c;
    test_case_t more;
    built_t built = { .budget = NULL };
    case_init (&c, 5, PLAIN, 100, 2, ORDER_LATE);
    case_init (&more, 5, "      n: count() over 5h\n      new: max(a) over 1h\n", 0, 1, ORDER_LATE);
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    batchview_t *view = built_open (&built);
    query_t query;
    query_init (&query, &more, &built, view);
    cr_assert_not (query_run (&query, case_key (&c, 0), built.info.clock_at_cut));
    cr_assert_not (query_run (&query, case_key (&c, 99), built.info.clock_at_cut));
    query_release (&query);
    batchview_unref (&view);
    built_release (&built);
    case_release (&more);
    case_release (&c);
}

Test (batchview, only_the_cells_that_are_wanted_are_merged_and_must_be_exact)
{
    test_case_t c;
    test_case_t more;
    built_t built = { .budget = NULL };
    case_init (&c, 5, PLAIN, 100, 2, ORDER_LATE);
    case_init (&more, 5, MORE, 100, 2, ORDER_LATE);
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    batchview_t *view = built_open (&built);
    int64_t as_of = built.info.clock_at_cut + TIME_HOUR;
    random_t random;
    random_seed (&random, 8);
    for (int round = 0; round < 100; round++) {
        bool wanted[FEATURES_MAX] = { false };
        bool there = true;
        answer_t *answer = answer_new (more.plan);
        answer_t *expected = answer_new (more.plan);
        for (uint32_t i = 0; i < more.plan->cells_count; i++)
            wanted[i] = random_chance (&random, 0.3);
        for (uint32_t i = 0; i < more.plan->cells_count; i++) {
            uint64_t hash = more.plan->slots[more.plan->cells[i].slot].hash;
            bool found = false;
            for (size_t s = 0; s < c.plan->slots_count; s++)
                found = found || c.plan->slots[s].hash == hash;
            there = there && (found || !wanted[i]);
        }
        batchview_binding_t *binding = batchview_bind_cells (view, more.plan, wanted);
        bool exact;
        error_t error;
        cr_assert_eq (
            batchview_merge (view, binding, case_key (&c, 1), as_of, answer, &exact, &error),
            STATUS_OK);
        cr_assert_eq (exact, there);
        if (exact)
            case_answer (&more, case_key (&c, 1), as_of, SIZE_MAX, expected);
        for (uint32_t i = 0; i < more.plan->cells_count; i++) {
            const plan_slot_t *slot = &more.plan->slots[more.plan->cells[i].slot];
            if (!wanted[i])
                state_reset (slot->spec, answer_cell (expected, i));
        }
        cr_assert (case_equal (expected, answer));
        batchview_binding_destroy (&binding);
        answer_destroy (&answer);
        answer_destroy (&expected);
    }
    batchview_unref (&view);
    built_release (&built);
    case_release (&more);
    case_release (&c);
}

Test (batchview, a_plan_with_fewer_features_in_another_order_is_answered)
{
    test_case_t c;
    test_case_t fewer;
    built_t built = { .budget = NULL };
    case_init (&c, 6, PLAIN, 100, 2, ORDER_LATE);
    case_init (&fewer, 6, "      d: approx_count_distinct(c) over 2h\n      n: count() over 5h\n",
               100, 2, ORDER_LATE);
    cr_assert_neq (fewer.plan->hash, c.plan->hash);
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    batchview_t *view = built_open (&built);
    answer_t *answer = answer_new (fewer.plan);
    answer_t *expected = answer_new (fewer.plan);
    batchview_binding_t *binding = batchview_bind (view, fewer.plan);
    bool exact = false;
    error_t error;
    int64_t as_of = built.info.clock_at_cut + TIME_HOUR;
    for (size_t i = 0; i < c.batch.rows; i++) /* the same events, through the other plan */
        for (int field = 0; field < CASE_FIELDS; field++) {
            value_t value = column_get (&c.batch.column[field], i);
            column_set (&fewer.batch.column[field], i, &value);
            fewer.batch.event_time[i] = c.batch.event_time[i];
            fewer.batch.key[i] = c.batch.key[i];
        }
    fewer.rows = plan_project (fewer.plan, &fewer.batch, fewer.arena);
    case_answer (&fewer, case_key (&c, 1), as_of, SIZE_MAX, expected);
    cr_assert_eq (batchview_merge (view, binding, case_key (&c, 1), as_of, answer, &exact, &error),
                  STATUS_OK);
    cr_assert (exact);
    cr_assert (case_equal (expected, answer));
    batchview_binding_destroy (&binding);
    cr_assert_null (binding);
    answer_destroy (&answer);
    answer_destroy (&expected);
    batchview_unref (&view);
    built_release (&built);
    case_release (&fewer);
    case_release (&c);
}

Test (batchview, is_written_once_and_read_from_a_real_disk)
{
    char root[] = "/tmp/weir-batchview-XXXXXX";
    cr_assert_not_null (mkdtemp (root));
    fs_t *fs = NULL;
    error_t error;
    test_case_t c;
    built_t built = { .budget = NULL };
    case_init (&c, 11, PLAIN, 30000, 5000, ORDER_LATE);
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    cr_assert_eq (posix_fs_open (root, &fs, &error), STATUS_OK);
    batchview_writer_t *writer = NULL;
    uint64_t size = 0;
    cr_assert_eq (batchview_writer_new (fs, "v", c.plan, &built.info, &writer, &error), STATUS_OK);
    for (size_t i = 0; i < built.covered.rows; i++)
        cr_assert_eq (batchview_writer_add (writer, &built.covered, i, i + 1, &error), STATUS_OK);
    cr_assert_eq (batchview_writer_finish (writer, &size, &error), STATUS_OK);
    batchview_writer_destroy (&writer);
    cr_assert_eq (batchview_writer_new (fs, "v", c.plan, &built.info, &writer, &error),
                  STATUS_EXISTS);
    batchview_t *view = NULL;
    cr_assert_eq (batchview_open (fs, "v", &view, &error), STATUS_OK, "%s", error.text);
    query_t query;
    query_init (&query, &c, &built, view);
    for (unsigned i = 0; i < 200; i++)
        cr_assert (query_run (&query, case_key (&c, i * 25), built.info.latest + TIME_MINUTE));
    query_release (&query);
    batchview_unref (&view);
    cr_assert_eq (fs_remove (fs, "v", &error), STATUS_OK);
    posix_fs_destroy (&fs);
    cr_assert_eq (rmdir (root), 0);
    built_release (&built);
    case_release (&c);
}
