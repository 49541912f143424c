/* Training sets beside plain evaluation: for each row all events of its key, one by one. */
#include "tests/unit/feature/generate.h"
#include "tests/unit/training/feed.h"

#include "batch-worker/training/spine.h"
#include "batch-worker/training/training.h"
#include "storage/sorter.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { KEYS_FEW = 4 };

/* What is made up for a round. */
typedef struct town {
    random_t random;
    arena_t *arena;
    definitions_t *definitions;
    plan_t *plan;
    batch_t events; /* sorted, as is the spine */
    projection_t rows;
    batch_t spine;
    int32_t request[64];
    int32_t known;
    bool before;
} town_t;

static void read_definitions (town_t *self, text_t text)
{
    definition_file_t file = { "f.yaml", text };
    error_t error;
    status_t status = definitions_read (&file, 1, &self->definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    self->plan = plan_new (&self->definitions->views[0]);
}

/* Shorter than the windows, or longer. */
static void choose_ttl (town_t *self)
{
    if (random_chance (&self->random, 0.4))
        self->plan->ttl = (int64_t)(1 + random_below (&self->random, 300)) * TIME_HOUR;
}

static void make_events (town_t *self, size_t rows)
{
    batch_t batch =
        generate_batch (&self->random, &self->definitions->streams[0], rows, self->arena);
    static const double chances[] = { 0, 0.001, 0.3 };
    static const int64_t delays[] = { TIME_HOUR, 20 * TIME_DAY };
    double late = chances[random_below (&self->random, 3)];
    int64_t most = delays[random_below (&self->random, 2)];
    for (size_t i = 0; i < rows; i++)
        batch.ingest_time[i] =
            batch.event_time[i] + (random_chance (&self->random, late)
                                       ? (int64_t)random_below (&self->random, (uint64_t)most)
                                       : 0);
    self->events = feed_sorted (&batch, self->arena);
    self->rows = plan_project (self->plan, &self->events, self->arena);
}

/* At an event, at the edge of a window of one, or anywhere. */
static int64_t random_time (town_t *self)
{
    random_t *random = &self->random;
    int64_t time = (int64_t)random_below (random, (uint64_t)GENERATE_TIME_MAX);
    if (self->events.rows == 0 || random_chance (random, 0.3))
        return time;
    time = self->events.event_time[random_below (random, self->events.rows)];
    if (self->plan->windows_count > 0 && random_chance (random, 0.4)) {
        int64_t window = self->plan->windows[random_below (random, self->plan->windows_count)];
        time += window == WINDOW_LIFETIME ? 0 : window;
    } else if (random_chance (random, 0.3)) {
        time += self->plan->ttl;
    }
    return time + (int64_t)random_below (random, 3) - (time > 0);
}

static void set_request (town_t *self, batch_t *spine, size_t column, size_t row)
{
    value_t value = { .type = spine->column[column].type, .i = 0 };
    if (random_chance (&self->random, 0.2))
        return;
    if (value.type == TYPE_FLOAT64)
        value.f = random_unit (&self->random) * 10;
    else if (value.type == TYPE_STRING)
        value.s = text_of (random_chance (&self->random, 0.5) ? "x" : "words");
    else
        value.i = (int64_t)random_below (&self->random, 2);
    column_set (&spine->column[column], row, &value);
}

/* Rows of keys that have events, and of some that have none; several of one time. */
static void make_spine (town_t *self, size_t rows)
{
    static const type_t known = TYPE_TIMESTAMP;
    const plan_t *plan = self->plan;
    size_t columns = plan->request_count + 1;
    type_t *types = arena_alloc (self->arena, columns * sizeof *types);
    types[0] = known;
    for (size_t i = 0; i < plan->request_count; i++) {
        types[1 + i] = plan->request_types[i];
        self->request[i] = random_chance (&self->random, 0.2) ? TRAINING_NONE : (int32_t)(1 + i);
    }
    batch_t spine = batch_new (self->arena, types, columns, rows);
    for (size_t i = 0; i < rows; i++) {
        bool never = self->events.rows == 0 || random_chance (&self->random, 0.05);
        spine.key[i] = never ? text_of (random_chance (&self->random, 0.5) ? "" : "\4nobody")
                             : self->events.key[random_below (&self->random, self->events.rows)];
        spine.event_time[i] = i > 0 && random_chance (&self->random, 0.1) ? spine.event_time[i - 1]
                                                                          : random_time (self);
        spine.offset[i] = i;
        value_t time = { .type = known, .i = spine.event_time[i] };
        if (random_chance (&self->random, 0.7))
            time.i += (int64_t)random_below (&self->random, (uint64_t)(6 * TIME_DAY)) - TIME_DAY;
        if (!random_chance (&self->random, 0.1))
            column_set (&spine.column[0], i, &time);
        for (size_t c = 1; c < columns; c++)
            set_request (self, &spine, c, i);
    }
    self->spine = feed_sorted (&spine, self->arena);
}

static town_t town_new (uint64_t seed, size_t events, size_t rows)
{
    town_t self = { .arena = arena_new (1 << 16), .known = TRAINING_NONE };
    random_seed (&self.random, seed);
    buf_t text;
    buf_init (&text, 1 << 16);
    generate_definitions (&self.random, random_chance (&self.random, 0.8), &text);
    read_definitions (&self, (text_t){ buf_string (&text), (uint32_t)text.size });
    choose_ttl (&self);
    buf_release (&text);
    make_events (&self, events);
    make_spine (&self, rows);
    self.before = random_chance (&self.random, 0.5);
    if (random_chance (&self.random, 0.4))
        self.known = 0;
    return self;
}

static void town_release (town_t *self)
{
    plan_destroy (&self->plan);
    definitions_destroy (&self->definitions);
    arena_destroy (&self->arena);
}

/* ---- what is expected ---- */

static int64_t known_of (const town_t *self, size_t row)
{
    const column_t *column = &self->spine.column[0];
    bool all = self->known == TRAINING_NONE || !column->valid[row];
    return all ? INT64_MAX : column->i[row];
}

static void expected_answer (const town_t *self, size_t row, answer_t *answer)
{
    int64_t as_of = self->spine.event_time[row] - (self->before ? 1 : 0);
    answer_reset (answer);
    for (size_t i = 0; i < self->rows.rows; i++)
        if (text_equal (self->rows.key[i], self->spine.key[row]) &&
            self->rows.ingest[i] <= known_of (self, row))
            answer_add_row (answer, as_of, &self->rows, i);
}

static void check_row (const town_t *self, const training_rows_t *got, size_t row, size_t number,
                       answer_t *answer, uint64_t seed)
{
    const plan_t *plan = self->plan;
    arena_t *arena = arena_new (1 << 12);
    uint32_t *all = arena_alloc (arena, plan->features_count * sizeof *all);
    for (size_t f = 0; f < plan->features_count; f++)
        all[f] = (uint32_t)f;
    outcome_task_t *task = outcome_task_new (plan, all, plan->features_count, arena);
    value_t values[64];
    for (size_t i = 0; i < plan->request_count; i++)
        values[i] = self->request[i] == TRAINING_NONE
                        ? (value_t){ .type = plan->request_types[i], .null = true }
                        : column_get (&self->spine.column[self->request[i]], number);
    expected_answer (self, number, answer);
    outcome_key_t key = { .answer = answer,
                          .as_of = self->spine.event_time[number] - (self->before ? 1 : 0),
                          .request = values };
    const outcome_t *expected = outcome_compute (task, &key, 1, arena);
    for (size_t f = 0; f < plan->features_count; f++) {
        const outcome_t *a = outcome_of (got->task, got->outcomes, row - got->from, f);
        const outcome_t *b = outcome_of (task, expected, 0, f);
        cr_assert_eq (a->error == NULL, b->error == NULL, "seed %lu, %s", (unsigned long)seed,
                      plan->features[f].name);
        cr_assert (value_equal (&a->value, &b->value), "seed %lu, row %zu, as of %ld, %s",
                   (unsigned long)seed, number, (long)key.as_of, plan->features[f].name);
    }
    arena_destroy (&arena);
}

/* The spine from where tasks have it: in pieces, gathered in memory, or by what goes to the disk.
 */
typedef struct origin {
    feed_t feed;
    spine_t *spine;
    sorter_t *sorter;
} origin_t;

static merge_source_t origin_init (origin_t *self, town_t *town, size_t most, uint64_t which)
{
    const batch_t *rows = &town->spine;
    type_t types[65];
    *self = (origin_t){ .spine = NULL };
    if (which % 3 == 0)
        return feed_init (&self->feed, &town->random, rows, most);
    for (size_t c = 0; c < rows->columns; c++)
        types[c] = rows->column[c].type;
    if (which % 3 == 1) {
        self->sorter = sorter_new (types, rows->columns, NULL);
        sorter_add (self->sorter, rows, 0, rows->rows);
        return (merge_source_t){ .next = sorter_next, .self = self->sorter };
    }
    uint32_t *all = arena_alloc (town->arena, rows->rows * sizeof *all);
    for (size_t i = 0; i < rows->rows; i++)
        all[i] = (uint32_t)i;
    self->spine = spine_new (types, rows->columns, 0);
    spine_add (self->spine, rows, all, rows->rows);
    return spine_source (self->spine, NULL);
}

static void origin_release (origin_t *self)
{
    feed_release (&self->feed);
    spine_destroy (&self->spine);
    sorter_destroy (&self->sorter);
}

/* Rows come in the order of the spine, each once; every `step`-th one is looked at. */
static void check_town (town_t *self, size_t step, size_t most_events, size_t most_rows,
                        uint64_t seed)
{
    feed_t events;
    origin_t spine;
    training_source_t source = { self->plan,
                                 feed_init (&events, &self->random, &self->events, most_events) };
    training_options_t options = { .sources = &source,
                                   .sources_count = 1,
                                   .spine = origin_init (&spine, self, most_rows, seed),
                                   .request = self->request,
                                   .known = self->known,
                                   .before = self->before,
                                   .memory = 64 << 20 };
    training_t *training = training_new (&options);
    answer_t *answer = answer_new (self->plan);
    size_t number = 0;
    for (;;) {
        training_rows_t rows;
        error_t error;
        status_t status = training_next (training, &rows, &error);
        if (status == STATUS_END)
            break;
        cr_assert_eq (status, STATUS_OK, "seed %lu: %s", (unsigned long)seed, error.text);
        for (size_t r = rows.from; r < rows.to; r++, number++) {
            cr_assert_eq (rows.spine->offset[r], self->spine.offset[number]);
            if (number % step == 0)
                check_row (self, &rows, r, number, answer, seed);
        }
    }
    cr_assert_eq (number, self->spine.rows);
    answer_destroy (&answer);
    training_destroy (&training);
    feed_release (&events);
    origin_release (&spine);
}

Test (training, rows_get_what_their_events_give_one_by_one)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        town_t town = town_new (seed, seed % 90, 1 + seed % 70);
        check_town (&town, 1, 1 + seed % 40, 1 + seed % 30, seed);
        town_release (&town);
    }
}

Test (training, of_keys_with_thousands_of_events_too)
{
    for (uint64_t seed = 1000; seed < 1024; seed++) {
        town_t town = town_new (seed, 12000, 1500);
        check_town (&town, 41, seed / 3 % 2 == 0 ? 700 : 9000, 800, seed);
        town_release (&town);
    }
}

Test (training, a_spine_out_of_order_is_refused)
{
    town_t town = town_new (5, 50, 40);
    batch_t spine = batch_new (town.arena, (type_t[]){ TYPE_TIMESTAMP }, 1, 2);
    for (int what = 0; what < 2; what++) {
        error_t error;
        feed_t events, feed;
        random_t random = town.random;
        spine.key[0] = text_of ("b");
        spine.key[1] = text_of (what == 0 ? "a" : "b");
        spine.event_time[0] = 10;
        spine.event_time[1] = 9;
        training_source_t source = { town.plan, feed_init (&events, &random, &town.events, 10) };
        training_options_t options = { .sources = &source,
                                       .sources_count = 1,
                                       .spine = feed_init (&feed, &random, &spine, 10),
                                       .known = TRAINING_NONE,
                                       .memory = 1 << 20 };
        options.spine = feed_init (&feed, &random, &spine, 2);
        feed.most = 1;
        training_t *training = training_new (&options);
        training_rows_t rows;
        status_t status;
        while ((status = training_next (training, &rows, &error)) == STATUS_OK)
            ;
        cr_expect_eq (status, STATUS_CORRUPT);
        training_destroy (&training);
        feed_release (&events);
        feed_release (&feed);
    }
    town_release (&town);
}

/* One entity with many events, one row after all of them. */
static status_t ask_of_many (const char *feature, int64_t ttl, int64_t *value, error_t *error)
{
    enum { EVENTS = 50000, MEMORY = 256 << 10 };
    town_t town = { .arena = arena_new (1 << 20), .known = TRAINING_NONE };
    char text[256];
    (void)snprintf (text, sizeof text,
                    "streams:\n  s:\n    key: []\n    time: t\n    fields: {t: timestamp}\n"
                    "views:\n  v: {from: s, features: {n: %s}}\n",
                    feature);
    read_definitions (&town, text_of (text));
    town.plan->ttl = ttl;
    batch_t events = batch_new (town.arena, town.plan->column_types, 1, EVENTS);
    batch_t spine = batch_new (town.arena, NULL, 0, 1);
    for (size_t i = 0; i < EVENTS; i++)
        events.event_time[i] = (int64_t)i * TIME_SECOND;
    spine.event_time[0] = EVENTS * TIME_SECOND;
    feed_t feeds[2];
    random_seed (&town.random, 1);
    training_source_t source = { town.plan, feed_init (&feeds[0], &town.random, &events, 700) };
    training_options_t options = { .sources = &source,
                                   .sources_count = 1,
                                   .spine = feed_init (&feeds[1], &town.random, &spine, 1),
                                   .known = TRAINING_NONE,
                                   .memory = MEMORY };
    training_t *training = training_new (&options);
    training_rows_t rows;
    status_t status = training_next (training, &rows, error);
    if (status == STATUS_OK)
        *value = outcome_of (rows.task, rows.outcomes, 0, 0)->value.i;
    training_destroy (&training);
    feed_release (&feeds[0]);
    feed_release (&feeds[1]);
    town_release (&town);
    return status;
}

Test (training, holds_what_the_longest_window_holds_and_no_more)
{
    error_t error;
    int64_t value = 0;
    cr_expect_eq (ask_of_many ("count()", 0, &value, &error), STATUS_OK);
    cr_expect_eq (value, 50000);
    cr_expect_eq (ask_of_many ("count() over 1h", 0, &value, &error), STATUS_OK);
    cr_expect_eq (value, 3599, "the last event is a second before");
    cr_expect_eq (ask_of_many ("count() over 1h", 30 * TIME_DAY, &value, &error), STATUS_OK);
    cr_expect_eq (value, 3599, "a ttl is asked of the latest event, and holds no others");
    cr_assert_eq (ask_of_many ("count() over 30d", 0, &value, &error), STATUS_TOO_LARGE);
    cr_expect_not_null (strstr (error.text, "batch_memory"), "%s", error.text);
}
