/* cases.h - random plans and events, and the plainest way to answer from them: the measure that
 * timelines and batch views are held to. */
#ifndef WEIR_TESTS_TIMELINE_CASES_H
#define WEIR_TESTS_TIMELINE_CASES_H

#include "base/key.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "feature/answer.h"
#include "feature/definition.h"
#include "feature/plan.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CASE_START (INT64_C (1700000000) * TIME_SECOND)
#define CASE_RANGE (10 * TIME_HOUR) /* events are in [CASE_START, CASE_START + CASE_RANGE] */

/* How event times come. */
typedef enum case_order {
    ORDER_ASCENDING,
    ORDER_LATE,
    ORDER_RANDOM,
    ORDER_DESCENDING
} case_order_t;
enum { ORDERS = 4 };

typedef struct test_case {
    random_t random;
    definitions_t *definitions;
    plan_t *plan;
    arena_t *arena;
    batch_t batch;
    projection_t rows;
} test_case_t;

enum { CASE_KEY, CASE_FLOAT, CASE_INT, CASE_STRING, CASE_DECIMAL, CASE_TIME, CASE_FIELDS };

static inline const char *case_pick (random_t *random, const char *const *words, size_t count)
{
    return words[random_below (random, count)];
}

/* A feature of random aggregate, filter and windows. */
static inline void case_feature (random_t *random, buf_t *yaml, unsigned number)
{
    static const char *const aggregates[] = { "count()",
                                              "count(a)",
                                              "count(c)",
                                              "sum(a)",
                                              "sum(b)",
                                              "mean(a)",
                                              "min(a)",
                                              "min(c)",
                                              "max(b)",
                                              "max(c)",
                                              "variance(a)",
                                              "stddev(b)",
                                              "first(c)",
                                              "last(a)",
                                              "sum(a * 2)",
                                              "last(c)",
                                              "first(b)",
                                              "max(ts)",
                                              "approx_count_distinct(c)",
                                              "approx_count_distinct(b)",
                                              "count(d)",
                                              "min(d)",
                                              "max(d)",
                                              "last(d)",
                                              "sum(d)",
                                              "mean(d)",
                                              "variance_pop(d)",
                                              "approx_count_distinct(d)" };
    static const char *const filters[] = {
        "", "", " where a > 0", " where c = 'x'", " where b is not null", " where d > b"
    };
    static const char *const windows[] = { "1s", "90s", "7m", "1h", "2h", "5h", "1d", "lifetime" };
    buf_printf (yaml, "      f%u: %s%s", number,
                case_pick (random, aggregates, sizeof aggregates / sizeof *aggregates),
                case_pick (random, filters, sizeof filters / sizeof *filters));
    bool any = false;
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        if (!random_chance (random, 0.35))
            continue;
        buf_printf (yaml, "%s%s", any ? ", " : " over ", windows[i]);
        any = true;
    }
    buf_printf (yaml, "\n");
}

/* Gives features of the view a delay: every second one this one, or if it is negative, in half of
 * the cases some of them a random one. */
static inline void case_delay (test_case_t *self, int64_t delay)
{
    static const int64_t delays[] = { TIME_SECOND, 7 * TIME_MINUTE, TIME_HOUR, 3 * TIME_HOUR };
    const view_t *view = definitions_view (self->definitions, text_of ("v"));
    bool at_random = delay < 0 && random_chance (&self->random, 0.5);
    for (size_t i = 0; i < view->features_count; i++) {
        if (at_random && random_chance (&self->random, 0.4))
            view->features[i].delay = delays[random_below (&self->random, 4)];
        else if (delay > 0 && i % 2 == 0)
            view->features[i].delay = delay;
    }
}

static inline void case_plan (test_case_t *self, const char *features, int64_t delay)
{
    buf_t yaml;
    buf_init (&yaml, DEFINITION_FILE_MAX);
    buf_printf (&yaml, "streams:\n  s:\n    key: k\n    time: ts\n    fields:\n"
                       "      k: string\n      a: float64\n      b: int64\n      c: string\n"
                       "      d: decimal(30,4)\n"
                       "      ts: {type: timestamp, unit: us}\n"
                       "views:\n  v:\n    from: s\n    key: k\n");
    if (features == NULL && random_chance (&self->random, 0.3))
        buf_printf (&yaml, "    where: b is distinct from 3\n");
    if (features == NULL && random_chance (&self->random, 0.3))
        buf_printf (&yaml, "    ttl: 90m\n");
    buf_printf (&yaml, "    features:\n");
    if (features != NULL)
        buf_put_string (&yaml, features);
    for (unsigned i = 0; features == NULL && i < 1 + random_below (&self->random, 6); i++)
        case_feature (&self->random, &yaml, i);
    definition_file_t file = { "case.yaml", { buf_string (&yaml), (uint32_t)yaml.size } };
    error_t error;
    status_t status = definitions_read (&file, 1, &self->definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, buf_string (&yaml));
    case_delay (self, delay);
    self->plan = plan_new (definitions_view (self->definitions, text_of ("v")));
    buf_release (&yaml);
}

static inline int64_t case_time (test_case_t *self, case_order_t order, size_t row, size_t rows)
{
    random_t *random = &self->random;
    int64_t place = CASE_RANGE * (int64_t)row / (int64_t)rows;
    int64_t anywhere = (int64_t)random_below (random, (uint64_t)CASE_RANGE + 1);
    if (row > 0 && random_chance (random, 0.1)) /* at the time of an earlier event, or just by it */
        return self->batch.event_time[random_below (random, row)] +
               (int64_t)random_below (random, 2);
    if (random_chance (random, 0.1))
        place = place / TIME_HOUR * TIME_HOUR;
    switch (order) {
    case ORDER_ASCENDING:
        return CASE_START + place;
    case ORDER_LATE:
        return CASE_START + (random_chance (random, 0.1) ? anywhere : place);
    case ORDER_DESCENDING:
        return CASE_START + CASE_RANGE - place;
    default:
        return CASE_START + anywhere;
    }
}

static inline double case_float (random_t *random)
{
    static const double odd[] = { 0.0, 1.0, -1.0, 0.1, 1e300, -1e300, 5e-324, INFINITY, -INFINITY };
    if (random_chance (random, 0.1))
        return odd[random_below (random, sizeof odd / sizeof *odd)];
    if (random_chance (random, 0.01))
        return value_float (NAN);
    return ldexp (random_unit (random) - 0.5, (int)random_below (random, 40) - 20);
}

/* The key of entity `number`, in the case's arena. */
static inline text_t case_key (test_case_t *self, unsigned number)
{
    char name[32];
    (void)snprintf (name, sizeof name, "k%05u", number);
    value_t value = { .type = TYPE_STRING, .s = text_of (name) };
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    key_put (&key, &value);
    text_t copy = arena_text (self->arena, (text_t){ (char *)key.data, (uint32_t)key.size });
    buf_release (&key);
    return copy;
}

static inline void case_fill (test_case_t *self, size_t row, unsigned keys, int64_t time)
{
    static const char *const words[] = { "x", "y", "", "longer than sixteen bytes", "zz", "x0" };
    random_t *random = &self->random;
    batch_t *batch = &self->batch;
    value_t a = { .type = TYPE_FLOAT64, .f = case_float (random) };
    value_t b = { .type = TYPE_INT64, .i = (int64_t)random_below (random, 9) - 2 };
    value_t c = { .type = TYPE_STRING };
    value_t d = { .type = type_decimal (4), .d = (int64_t)(row * 7919 % 100000) - 30000 };
    value_t ts = { .type = TYPE_TIMESTAMP, .i = time };
    char name[16];
    (void)snprintf (name, sizeof name, "n%u", (unsigned)random_below (random, 500));
    c.s = random_chance (random, 0.5)
              ? text_of (words[random_below (random, sizeof words / sizeof *words)])
              : arena_text (self->arena, text_of (name));
    if (!random_chance (random, 0.1))
        column_set (&batch->column[CASE_FLOAT], row, &a);
    if (!random_chance (random, 0.1))
        column_set (&batch->column[CASE_INT], row, &b);
    if (!random_chance (random, 0.1))
        column_set (&batch->column[CASE_STRING], row, &c);
    if (row % 11 == 5)
        d.d *= INT64_C (1000000000000000000);
    if (row % 10 != 3)
        column_set (&batch->column[CASE_DECIMAL], row, &d);
    column_set (&batch->column[CASE_TIME], row, &ts);
    batch->event_time[row] = time;
    batch->ingest_time[row] = time;
    batch->offset[row] = row / 3;
    batch->row[row] = (uint32_t)(row % 3);
    batch->key[row] = case_key (self, (unsigned)random_below (random, keys));
}

/* A random plan (or one of the `features`, as YAML, every second one with that delay) and `rows`
 * events of `keys` entities. */
static inline void case_init_delayed (test_case_t *self, uint64_t seed, const char *features,
                                      int64_t delay, size_t rows, unsigned keys, case_order_t order)
{
    *self = (test_case_t){ .arena = arena_new (64 << 10) };
    random_seed (&self->random, seed);
    case_plan (self, features, delay);
    self->batch = batch_new (self->arena, self->plan->column_types, self->plan->columns, rows);
    for (size_t i = 0; i < rows; i++)
        case_fill (self, i, keys, case_time (self, order, i, rows));
    self->rows = plan_project (self->plan, &self->batch, self->arena);
}

static inline void case_init (test_case_t *self, uint64_t seed, const char *features, size_t rows,
                              unsigned keys, case_order_t order)
{
    case_init_delayed (self, seed, features, features == NULL ? -1 : 0, rows, keys, order);
}

static inline void case_release (test_case_t *self)
{
    plan_destroy (&self->plan);
    definitions_destroy (&self->definitions);
    arena_destroy (&self->arena);
}

/* Some rows of a projection as one of their own; `picked` has the indexes. */
static inline projection_t case_rows (test_case_t *self, const size_t *picked, size_t count)
{
    const plan_t *plan = self->plan;
    projection_t out = { .rows = count };
    out.lane = arena_zero (self->arena, plan->lanes_count + 1, sizeof *out.lane);
    out.filter = arena_zero (self->arena, plan->filters_count + 1, sizeof *out.filter);
    out.time = arena_zero (self->arena, count + 1, sizeof *out.time);
    out.offset = arena_zero (self->arena, count + 1, sizeof *out.offset);
    out.row = arena_zero (self->arena, count + 1, sizeof *out.row);
    out.key = arena_zero (self->arena, count + 1, sizeof *out.key);
    for (size_t i = 0; i < plan->lanes_count; i++)
        out.lane[i] = column_new (self->arena, self->rows.lane[i].type, count);
    for (size_t i = 0; i < plan->filters_count; i++)
        out.filter[i] = arena_zero (self->arena, count + 1, 1);
    for (size_t r = 0; r < count; r++) {
        size_t from = picked[r];
        out.time[r] = self->rows.time[from];
        out.offset[r] = self->rows.offset[from];
        out.row[r] = self->rows.row[from];
        out.key[r] = self->rows.key[from];
        for (size_t i = 0; i < plan->filters_count; i++)
            out.filter[i][r] = self->rows.filter[i][from];
        for (size_t i = 0; i < plan->lanes_count; i++) {
            value_t value = column_get (&self->rows.lane[i], from);
            column_set (&out.lane[i], r, &value);
        }
    }
    return out;
}

/* An as-of that is likely to matter: at a window edge or an event, just by one, or anywhere. */
static inline int64_t case_as_of (test_case_t *self)
{
    random_t *random = &self->random;
    const plan_t *plan = self->plan;
    if (self->rows.rows > 0 && random_chance (random, 0.7)) {
        int64_t time = self->rows.time[random_below (random, self->rows.rows)];
        const plan_cell_t *cell = &plan->cells[random_below (random, plan->cells_count)];
        time += plan->slots[cell->slot].delay;
        if (cell->window != WINDOW_LIFETIME && random_chance (random, 0.6))
            time += cell->window;
        return time + (int64_t)random_below (random, 3) - 1;
    }
    return CASE_START - TIME_HOUR +
           (int64_t)random_below (random, (uint64_t)(CASE_RANGE + 30 * TIME_HOUR));
}

/* Adds the rows of `key` with index below `rows`, one by one. */
static inline void case_answer (const test_case_t *self, text_t key, int64_t as_of, size_t rows,
                                answer_t *answer)
{
    for (size_t i = 0; i < rows && i < self->rows.rows; i++)
        if (text_equal (self->rows.key[i], key))
            answer_add_row (answer, as_of, &self->rows, i);
}

static inline bool case_equal (const answer_t *a, const answer_t *b)
{
    buf_t left;
    buf_t right;
    buf_init (&left, ANSWER_ENCODED_MAX);
    buf_init (&right, ANSWER_ENCODED_MAX);
    answer_encode (a, &left);
    answer_encode (b, &right);
    bool equal = !left.bad && !right.bad && left.size == right.size &&
                 (left.size == 0 || memcmp (left.data, right.data, left.size) == 0);
    buf_release (&left);
    buf_release (&right);
    return equal;
}

#endif
