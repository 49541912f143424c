/* Ranges of events from a tree of partials, beside the events one by one. */
#include "tests/unit/feature/generate.h"

#include "batch-worker/training/ranges.h"

#include <criterion/criterion.h>

enum { EVENTS = 9000, LET_GO = 3000, LOAD_EACH = 97, LOADS = EVENTS / LOAD_EACH };

typedef struct grove {
    random_t random;
    arena_t *arena;
    definitions_t *definitions;
    plan_t *plan;
    event_rows_t events;
    uint64_t loads[LOADS]; /* offsets that are of loads */
} grove_t;

static int compare_times (const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* Events of one entity in order; ingest times go up, nearly. */
static grove_t grove_new (uint64_t seed)
{
    static const char text[] =
        "streams:\n  s:\n    key: []\n    time: t\n"
        "    fields: {a: float64, b: int64, c: string, t: timestamp}\n"
        "views:\n  v:\n    from: s\n    features:\n"
        "      n: count()\n      sum: sum(a)\n      last: last(c)\n      some: sum(b) where a > 0\n"
        "      words: count() by c\n      newest: sum(b) over 5 rows\n";
    grove_t self = { .arena = arena_new (1 << 16) };
    definition_file_t file = { "f.yaml", text_of (text) };
    error_t error;
    random_seed (&self.random, seed);
    status_t status = definitions_read (&file, 1, &self.definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    self.plan = plan_new (&self.definitions->views[0]);
    batch_t batch =
        generate_batch (&self.random, &self.definitions->streams[0], EVENTS, self.arena);
    qsort (batch.event_time, EVENTS, sizeof *batch.event_time, compare_times);
    for (size_t i = 0; i < LOADS; i++)
        self.loads[i] = i * LOAD_EACH;
    for (size_t i = 0; i < EVENTS; i++) /* offsets go up, nearly */
        batch.offset[i] =
            random_chance (&self.random, 0.001) ? random_below (&self.random, EVENTS) : i;
    for (size_t i = 0; i < EVENTS; i++)
        batch.ingest_time[i] = (int64_t)i + (random_chance (&self.random, 0.001)
                                                 ? (int64_t)random_below (&self.random, EVENTS)
                                                 : 0);
    self.events.rows = plan_project (self.plan, &batch, self.arena);
    self.events.whole = arena_zero (self.arena, self.plan->slots_count, sizeof (bool));
    self.events.end = EVENTS;
    return self;
}

static void grove_release (grove_t *self)
{
    plan_destroy (&self->plan);
    definitions_destroy (&self->definitions);
    arena_destroy (&self->arena);
}

/* Does the event count, said in other words? */
static bool counts (const event_rows_t *events, size_t row, int64_t known,
                    const training_limit_t *limit)
{
    if (!limit)
        return events->rows.ingest[row] <= known;
    uint64_t offset = events->rows.offset[row];
    bool loaded = offset % LOAD_EACH == 0 && offset / LOAD_EACH < LOADS;
    if (!loaded)
        return offset < limit->position;
    for (size_t i = 0; i < limit->absent.count; i++)
        if (limit->absent.items[i] == offset)
            return false;
    return offset < limit->cut;
}

static void check_latest (grove_t *self, ranges_t *ranges, uint64_t from, uint64_t to,
                          int64_t known, const training_limit_t *limit)
{
    uint64_t got = limit ? ranges_latest_limited (ranges, &self->events, from, to, limit)
                         : ranges_latest_known (ranges, &self->events, from, to, known);
    uint64_t expected = to;
    while (expected > from &&
           !counts (&self->events, event_row (&self->events, expected - 1), known, limit))
        expected--;
    cr_assert_eq (got, expected > from ? expected : 0, "%lu to %lu, known %ld", from, to, known);
}

static void check_range (grove_t *self, ranges_t *ranges, uint32_t slot, uint64_t from, uint64_t to,
                         int64_t known, const training_limit_t *limit)
{
    state_spec_t spec = self->plan->slots[slot].spec;
    void *got = arena_alloc (self->arena, state_size (spec));
    void *expected = arena_alloc (self->arena, state_size (spec));
    buf_t a, b;
    buf_init (&a, AGGREGATE_PARTIAL_MAX);
    buf_init (&b, AGGREGATE_PARTIAL_MAX);
    state_init (spec, got);
    state_init (spec, expected);
    if (limit)
        ranges_add_limited (ranges, slot, got, &self->events, from, to, limit);
    else if (known == INT64_MAX)
        ranges_add (ranges, slot, got, &self->events, from, to);
    else
        ranges_add_known (ranges, slot, got, &self->events, from, to, known);
    for (uint64_t n = from; n < to; n++) {
        size_t row = event_row (&self->events, n);
        if (counts (&self->events, row, known, limit))
            plan_fold_slot (self->plan, slot, expected, &self->events.rows, row);
    }
    state_encode (spec, got, &a);
    state_encode (spec, expected, &b);
    cr_assert_eq (a.size, b.size, "slot %u, %lu to %lu, known %ld", slot, from, to, known);
    cr_assert (a.size == 0 || memcmp (a.data, b.data, a.size) == 0);
    state_release (spec, got);
    state_release (spec, expected);
    buf_release (&a);
    buf_release (&b);
}

static void check_ranges (grove_t *self, ranges_t *ranges, int rounds)
{
    random_t *random = &self->random;
    const event_rows_t *events = &self->events;
    uint64_t count = events->end - events->first;
    for (int i = 0; i < rounds; i++) {
        uint64_t from = events->first + random_below (random, count);
        uint64_t to = from + random_below (random, events->end - from + 1);
        uint32_t slot = (uint32_t)random_below (random, self->plan->slots_count);
        uint64_t any = events->first + random_below (random, count);
        if (random_chance (random, 0.5)) /* the last one of a leaf */
            any = (any | (RANGES_LEAF - 1)) < events->end ? any | (RANGES_LEAF - 1) : any;
        size_t row = event_row (events, any);
        int64_t known = events->rows.ingest[row] + (int64_t)random_below (random, 3) - 1;
        check_range (self, ranges, slot, from, to, i % 3 == 0 ? INT64_MAX : known, NULL);
        check_latest (self, ranges, from, to, known - (i % 2) * TIME_DAY, NULL);
    }
}

/* Partials that are forgotten again and again make no difference. */
Test (ranges, are_what_their_events_give_one_by_one)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        grove_t grove = grove_new (seed);
        ranges_t *ranges = ranges_new (grove.plan, seed == 4 ? 1000 : 1 << 20);
        check_ranges (&grove, ranges, 150);
        grove.events.first = LET_GO;
        grove.events.at = LET_GO;
        ranges_let_go (ranges, LET_GO);
        check_ranges (&grove, ranges, 150);
        cr_expect_gt (ranges_memory (ranges), 0);
        ranges_destroy (&ranges);
        grove_release (&grove);
    }
}

static void check_limits (grove_t *self, ranges_t *ranges, int rounds)
{
    random_t *random = &self->random;
    uint64_t count = self->events.end - self->events.first;
    for (int i = 0; i < rounds; i++) {
        uint64_t from = self->events.first + random_below (random, count);
        uint64_t to = from + random_below (random, self->events.end - from + 1);
        uint32_t slot = (uint32_t)random_below (random, self->plan->slots_count);
        uint64_t absent = LOAD_EACH * random_below (random, LOADS);
        training_limit_t limit = { .position = random_below (random, EVENTS + EVENTS / 4) };
        limit.cut = limit.position - random_below (random, limit.position + 1) / (1 + (i & 7));
        if (absent < limit.cut && i % 4 == 0)
            limit.absent = (offsets_t){ &absent, 1 };
        check_range (self, ranges, slot, from, to, INT64_MAX, &limit);
        check_latest (self, ranges, from, to, INT64_MAX, &limit);
    }
}

Test (ranges, hold_what_counts_at_a_position)
{
    for (uint64_t seed = 11; seed <= 14; seed++) {
        grove_t grove = grove_new (seed);
        ranges_t *ranges = ranges_new (grove.plan, seed == 14 ? 1000 : 1 << 20);
        ranges_by_offset (ranges, (offsets_t){ grove.loads, LOADS });
        check_limits (&grove, ranges, 150);
        grove.events.first = LET_GO;
        grove.events.at = LET_GO;
        ranges_let_go (ranges, LET_GO);
        check_limits (&grove, ranges, 150);
        ranges_destroy (&ranges);
        grove_release (&grove);
    }
}
