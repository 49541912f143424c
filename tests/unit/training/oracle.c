/* Training sets beside the oracle, which shares no code with plans and aggregates; and that no row
 * knows what comes after it. */
#include "tests/oracle/question.h"
#include "tests/unit/training/feed.h"

#include "base/key.h"
#include "base/timestamp.h"
#include "batch-worker/training/training.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* As the page of definitions and the oracle's command line have them; f0, f1, … are their names. */
static const char *const FEATURES[] = {
    "count() over 1h",
    "count() over 7d",
    "count(a) where b > 0 over 3h",
    "count()",
    "sum(a) over 1h",
    "sum(a) over 2d",
    "sum(b) over 30m",
    "sum(b) where c is not null over 1d",
    "sum(a)",
    "mean(a) over 5h",
    "min(a) over 1d",
    "max(b) over 90m",
    "stddev(b) over 12h",
    "first(c) over 6h",
    "last(c) over 1d",
    "last(a)",
    "last_k(b, 3) over 10 rows",
    "sum(b) over 5 rows in 1d",
    "sum(b) by c over 1d",
    "count() by c",
    "count_distinct(b) over 1d",
    "approx_count_distinct(c) over 2d",
    "sum(b) over 1d delay 3h",
    "count() over 1h delay 1h",
};
enum { FEATURE_COUNT = sizeof FEATURES / sizeof *FEATURES };
enum { FIELD_KEY, FIELD_A, FIELD_B, FIELD_C, FIELD_TIME, FIELDS };

#define RANGE (4 * TIME_DAY)

typedef struct event {
    value_t values[FIELDS];
    text_t key;
    int64_t time;
    int64_t ingest;
    uint64_t offset;
    uint32_t row; /* of a load */
    bool loaded;
    size_t stream;
} event_t;

typedef struct row {
    text_t key;
    int64_t as_of;
    int64_t known;
    training_limit_t limits[2]; /* by stream */
} row_t;

typedef struct world {
    random_t random;
    arena_t *arena;
    definitions_t *definitions;
    plan_t *plans[2];
    size_t streams;
    question_t question;
    event_t *events;
    size_t events_count;
    row_t *rows; /* by number */
    size_t rows_count;
    bool with_known;
    bool with_limits; /* in its place */
    bool before;
    int64_t ttl;        /* 0: none */
    offsets_t loads[2]; /* by stream */
} world_t;

/* ---- the world ---- */

static void define (world_t *self)
{
    static const char fields[] = "{k: string, a: float64, b: int64, c: string, t: timestamp}";
    char line[128];
    buf_t text;
    error_t error;
    buf_init (&text, 1 << 16);
    buf_printf (&text, "streams:\n");
    for (int s = 0; s < 2; s++)
        buf_printf (&text, "  s%d:\n    key: k\n    time: t\n    fields: %s\n", s, fields);
    buf_printf (&text, "views:\n  v:\n    from: %s\n    key: k\n",
                self->streams == 2 ? "[s0, s1]" : "s0");
    self->ttl = random_chance (&self->random, 0.4) ? TIME_HOUR : 0;
    if (self->ttl > 0)
        buf_printf (&text, "    ttl: 1h\n");
    buf_printf (&text, "    features:\n");
    status_t status = question_fields (
        &self->question, text_of ("k:string,a:float64,b:int64,c:string,t:timestamp"), &error);
    for (size_t i = 0; i < FEATURE_COUNT && status == STATUS_OK; i++) {
        buf_printf (&text, "      f%zu: %s\n", i, FEATURES[i]);
        (void)snprintf (line, sizeof line, "f%zu: %s", i, FEATURES[i]);
        status =
            question_feature (&self->question, arena_text (self->arena, text_of (line)), &error);
        self->question.features[i].arena = self->arena;
    }
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    definition_file_t file = { "f.yaml", { buf_string (&text), (uint32_t)text.size } };
    status = definitions_read (&file, 1, &self->definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    for (size_t s = 0; s < self->streams; s++)
        self->plans[s] = plan_new_over (&self->definitions->views[0], s);
    cr_assert_eq (self->plans[0]->features_count, FEATURE_COUNT);
    buf_release (&text);
}

static text_t key_of (world_t *self, unsigned number)
{
    char name[16];
    buf_t key;
    (void)snprintf (name, sizeof name, "k%u", number);
    value_t value = { .type = TYPE_STRING, .s = text_of (name) };
    buf_init (&key, KEY_SIZE_MAX);
    key_put (&key, &value);
    text_t copy = arena_text (self->arena, (text_t){ (const char *)key.data, (uint32_t)key.size });
    buf_release (&key);
    return copy;
}

static void make_event (world_t *self, event_t *event, uint64_t number, unsigned keys)
{
    static const char *const words[] = { "x", "y", "z", "" };
    random_t *random = &self->random;
    event->key = key_of (self, (unsigned)random_below (random, keys));
    event->time = TIME_DAY + (int64_t)random_below (random, RANGE);
    if (random_chance (random, 0.5)) /* ties */
        event->time -= event->time % (15 * TIME_MINUTE);
    event->ingest = event->time;
    if (random_chance (random, 0.3)) /* late */
        event->ingest += (int64_t)random_below (random, TIME_DAY);
    event->offset = number;
    event->stream = random_below (random, self->streams);
    event->values[FIELD_KEY] = (value_t){ .type = TYPE_STRING, .s = event->key };
    event->values[FIELD_A] =
        (value_t){ .type = TYPE_FLOAT64, .f = value_float ((random_unit (random) - 0.3) * 100) };
    event->values[FIELD_B] =
        (value_t){ .type = TYPE_INT64, .i = (int64_t)random_below (random, 9) - 3 };
    event->values[FIELD_C] =
        (value_t){ .type = TYPE_STRING, .s = text_of (words[random_below (random, 4)]) };
    event->values[FIELD_TIME] = (value_t){ .type = TYPE_TIMESTAMP, .i = event->time };
    for (size_t f = FIELD_A; f <= FIELD_C; f++)
        if (random_chance (random, 0.15))
            event->values[f] = (value_t){ .type = event->values[f].type, .null = true };
}

static void make_row (world_t *self, row_t *row, unsigned keys)
{
    random_t *random = &self->random;
    const event_t *event = &self->events[random_below (random, self->events_count)];
    row->key = random_chance (random, 0.05) ? key_of (self, keys + 1) : event->key;
    row->as_of = event->time + (int64_t)random_below (random, 3) - 1;
    if (random_chance (random, 0.4))
        row->as_of += (int64_t)(1 + random_below (random, 3)) * TIME_HOUR;
    row->known = INT64_MAX;
    if (self->with_known && random_chance (random, 0.9))
        row->known = row->as_of - TIME_HOUR + (int64_t)random_below (random, 2 * TIME_HOUR);
}

/* Events that share their offset were loaded. */
static void make_loads (world_t *self)
{
    for (size_t i = 0; i + 1 < self->events_count; i++) {
        event_t *event = &self->events[i];
        if (!random_chance (&self->random, 0.05))
            continue;
        size_t rows = 1 + random_below (&self->random, 6);
        for (size_t k = 0; k < rows && i + k < self->events_count; k++) {
            event[k].offset = event->offset;
            event[k].stream = event->stream;
            event[k].row = (uint32_t)k;
            event[k].loaded = true;
        }
        i += rows;
    }
    for (size_t s = 0; s < 2; s++) {
        uint64_t *items = arena_alloc (self->arena, self->events_count * sizeof *items);
        size_t count = 0;
        for (size_t i = 0; i < self->events_count; i++)
            if (self->events[i].loaded && self->events[i].stream == s &&
                (count == 0 || items[count - 1] != self->events[i].offset))
                items[count++] = self->events[i].offset;
        self->loads[s] = (offsets_t){ items, count };
    }
}

/* Below the cut is what a batch view had, without some loads; up to the position what was sent. */
static void make_limits (world_t *self, row_t *row)
{
    for (size_t s = 0; s < 2; s++) {
        training_limit_t *limit = &row->limits[s];
        const offsets_t *loads = &self->loads[s];
        uint64_t *absent = arena_alloc (self->arena, loads->count * sizeof *absent);
        limit->position = random_below (&self->random, self->events_count + 2);
        limit->cut = random_below (&self->random, limit->position + 1);
        for (size_t i = 0; i < loads->count; i++)
            if (loads->items[i] < limit->cut && random_chance (&self->random, 0.1))
                absent[limit->absent.count++] = loads->items[i];
        limit->absent.items = absent;
    }
}

static world_t world_new (uint64_t seed, size_t streams, size_t events, size_t rows, unsigned keys)
{
    world_t self = { .arena = arena_new (1 << 16), .streams = streams };
    random_seed (&self.random, seed);
    define (&self);
    self.with_known = random_chance (&self.random, 0.5);
    self.with_limits = !self.with_known && random_chance (&self.random, 0.6);
    self.before = random_chance (&self.random, 0.5);
    self.events = arena_zero (self.arena, events, sizeof *self.events);
    self.rows = arena_zero (self.arena, rows, sizeof *self.rows);
    self.events_count = events;
    self.rows_count = rows;
    for (size_t i = 0; i < events; i++)
        make_event (&self, &self.events[i], i, keys);
    if (self.with_limits)
        make_loads (&self);
    for (size_t i = 0; i < rows; i++) {
        make_row (&self, &self.rows[i], keys);
        if (self.with_limits)
            make_limits (&self, &self.rows[i]);
    }
    return self;
}

static void world_release (world_t *self)
{
    for (size_t s = 0; s < self->streams; s++)
        plan_destroy (&self->plans[s]);
    definitions_destroy (&self->definitions);
    arena_destroy (&self->arena);
}

/* ---- the training set ---- */

/* A stream's events but those that come at `end` or later. */
static batch_t events_of (world_t *self, size_t stream, int64_t end)
{
    batch_t batch =
        batch_new (self->arena, self->plans[0]->column_types, FIELDS, self->events_count);
    size_t rows = 0;
    for (size_t i = 0; i < self->events_count; i++) {
        const event_t *event = &self->events[i];
        if (event->stream != stream || event->time >= end)
            continue;
        batch.key[rows] = event->key;
        batch.event_time[rows] = event->time;
        batch.ingest_time[rows] = event->ingest;
        batch.offset[rows] = event->offset;
        batch.row[rows] = event->row;
        for (size_t f = 0; f < FIELDS; f++)
            if (!event->values[f].null)
                column_set (&batch.column[f], rows, &event->values[f]);
        rows++;
    }
    batch.rows = rows;
    return feed_sorted (&batch, self->arena);
}

static batch_t spine_of (world_t *self)
{
    static const type_t known = TYPE_TIMESTAMP;
    batch_t spine = batch_new (self->arena, &known, 1, self->rows_count);
    for (size_t i = 0; i < self->rows_count; i++) {
        const row_t *row = &self->rows[i];
        value_t value = { .type = TYPE_TIMESTAMP, .i = row->known };
        spine.key[i] = row->key;
        spine.event_time[i] = row->as_of;
        spine.offset[i] = i;
        if (row->known != INT64_MAX)
            column_set (&spine.column[0], i, &value);
    }
    return feed_sorted (&spine, self->arena);
}

static value_t kept (world_t *self, const value_t *value);

static value_t *kept_all (world_t *self, const value_t *from, size_t count)
{
    value_t *to = arena_alloc (self->arena, count * sizeof *to);
    for (size_t i = 0; i < count; i++)
        to[i] = kept (self, &from[i]);
    return to;
}

/* A copy that outlives the training set's rows. */
static value_t kept (world_t *self, const value_t *value)
{
    value_t copy = *value;
    if (value->null)
        return copy;
    if (value->type == TYPE_STRING)
        copy.s = arena_text (self->arena, value->s);
    if (value->type == TYPE_LIST) {
        value_list_t *list = arena_alloc (self->arena, sizeof *list);
        *list = *value->list;
        list->items = kept_all (self, list->items, list->count);
        copy.list = list;
    }
    if (value->type == TYPE_MAP) {
        value_map_t *map = arena_alloc (self->arena, sizeof *map);
        *map = *value->map;
        map->keys = kept_all (self, map->keys, map->count);
        map->values = kept_all (self, map->values, map->count);
        copy.map = map;
    }
    return copy;
}

static const training_limit_t *limits_of (world_t *self, size_t stream)
{
    training_limit_t *limits = arena_alloc (self->arena, self->rows_count * sizeof *limits);
    for (size_t i = 0; i < self->rows_count; i++)
        limits[i] = self->rows[i].limits[stream];
    return limits;
}

/* Values by number of row, then feature. */
static value_t *compute (world_t *self, int64_t end)
{
    value_t *values = arena_zero (self->arena, self->rows_count * FEATURE_COUNT, sizeof *values);
    batch_t spine = spine_of (self);
    feed_t feeds[3];
    training_source_t sources[2];
    training_stand_t stands[2];
    for (size_t s = 0; s < self->streams; s++) {
        batch_t events = events_of (self, s, end);
        size_t most = 1 + random_below (&self->random, 60);
        sources[s] = (training_source_t){ self->plans[s],
                                          feed_init (&feeds[s], &self->random, &events, most) };
        stands[s] = (training_stand_t){ limits_of (self, s), self->loads[s] };
    }
    training_options_t options = { .sources = sources,
                                   .sources_count = self->streams,
                                   .spine = feed_init (&feeds[2], &self->random, &spine, 100),
                                   .known = self->with_known ? 0 : TRAINING_NONE,
                                   .stands = self->with_limits ? stands : NULL,
                                   .before = self->before,
                                   .memory = 16 << 20 };
    training_t *training = training_new (&options);
    training_rows_t rows;
    error_t error;
    status_t status;
    while ((status = training_next (training, &rows, &error)) == STATUS_OK)
        for (size_t r = rows.from; r < rows.to; r++)
            for (size_t f = 0; f < FEATURE_COUNT; f++) {
                const outcome_t *outcome = outcome_of (rows.task, rows.outcomes, r - rows.from, f);
                cr_assert_null (outcome->error);
                values[rows.spine->offset[r] * FEATURE_COUNT + f] = kept (self, &outcome->value);
            }
    cr_assert_eq (status, STATUS_END, "%s", error.text);
    training_destroy (&training);
    for (size_t s = 0; s < self->streams; s++)
        feed_release (&feeds[s]);
    feed_release (&feeds[2]);
    return values;
}

/* ---- the oracle ---- */

static bool has (const offsets_t *offsets, uint64_t offset)
{
    for (size_t i = 0; i < offsets->count; i++)
        if (offsets->items[i] == offset)
            return true;
    return false;
}

static bool counts (const world_t *self, const row_t *row, const event_t *event)
{
    const training_limit_t *limit = &row->limits[event->stream];
    if (!self->with_limits)
        return event->ingest <= row->known;
    return event->loaded ? event->offset < limit->cut && !has (&limit->absent, event->offset)
                         : event->offset < limit->position;
}

static void check_row (world_t *self, const value_t *values, size_t number)
{
    const row_t *row = &self->rows[number];
    oracle_event_t *events = arena_alloc (self->arena, self->events_count * sizeof *events);
    int64_t as_of = row->as_of - (self->before ? 1 : 0);
    bool expired = self->ttl > 0;
    size_t count = 0;
    for (size_t i = 0; i < self->events_count; i++) {
        const event_t *event = &self->events[i];
        if (text_equal (event->key, row->key) && counts (self, row, event))
            events[count++] = (oracle_event_t){ .key = event->key,
                                                .time = event->time,
                                                .offset = event->offset,
                                                .row = event->row,
                                                .values = event->values };
    }
    for (size_t i = 0; i < count; i++)
        expired &= events[i].time > as_of || events[i].time < as_of - self->ttl;
    for (size_t f = 0; f < FEATURE_COUNT; f++) {
        value_t expected;
        status_t status =
            oracle_value (&self->question.features[f], events, count, as_of, &expected);
        if (expired)
            expected = (value_t){ .null = true };
        cr_assert_eq (status, STATUS_OK, "%s", FEATURES[f]);
        cr_assert (oracle_agree (&expected, &values[number * FEATURE_COUNT + f]), "%s, row %zu",
                   FEATURES[f], number);
    }
}

Test (training, rows_are_what_the_oracle_says)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        world_t world = world_new (seed, 1 + seed % 2, 1 + 7 * seed, 60, 1 + (unsigned)seed % 5);
        const value_t *values = compute (&world, INT64_MAX);
        for (size_t i = 0; i < world.rows_count; i++)
            check_row (&world, values, i);
        world_release (&world);
    }
}

/* Without the events that come at some time or later, rows up to there get the same. */
Test (training, no_row_knows_what_comes_after_it)
{
    for (uint64_t seed = 100; seed < 130; seed++) {
        world_t world = world_new (seed, 1 + seed % 2, 400, 80, 3);
        const value_t *values = compute (&world, INT64_MAX);
        for (int round = 0; round < 6; round++) {
            int64_t end = world.events[random_below (&world.random, 400)].time;
            const value_t *others = compute (&world, end);
            for (size_t i = 0; i < world.rows_count; i++) {
                if (world.before ? world.rows[i].as_of > end : world.rows[i].as_of >= end)
                    continue;
                for (size_t f = 0; f < FEATURE_COUNT; f++)
                    cr_assert (value_equal (&values[i * FEATURE_COUNT + f],
                                            &others[i * FEATURE_COUNT + f]),
                               "seed %lu, %s", (unsigned long)seed, FEATURES[f]);
            }
        }
        world_release (&world);
    }
}
