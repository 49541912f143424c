/* answers.c - a speed worker's half of a query of many keys: 4 aggregates over 3 windows of keys
 * with some events each, of which there are so many that hardly any is in a cache. The events are
 * of the last --hours (0: of the last minutes, so that all windows hold all of them).
 *
 * A question is of 100 keys at random, whose memory is fetched 32 at a time, as query.c does. */
#include "base/key.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "feature/plan.h"
#include "tests/bench/measure.h"
#include "timeline/reply.h"

#include <stdio.h>

enum { KEYS_ASKED = 100, FETCHED = 32, BATCH = 500 };

#define NOW (INT64_C (1700000000) * TIME_SECOND)

static const char DEFINITION[] = "streams:\n  payments:\n    key: user\n    time: ts\n    fields:\n"
                                 "      user: int64\n      amount: float64\n      fee: float64\n"
                                 "      ts: {type: timestamp, unit: us}\n"
                                 "views:\n  spend:\n    from: payments\n    key: user\n"
                                 "    features:\n"
                                 "      n: count() over 1h, 24h, 7d\n"
                                 "      total: sum(amount) over 1h, 24h, 7d\n"
                                 "      most: max(amount) over 1h, 24h, 7d\n"
                                 "      fees: sum(fee) over 1h, 24h, 7d\n";

typedef struct bench {
    plan_t *plan;
    timeline_t *timeline;
    arena_t *arena;
    random_t random;
    uint64_t keys, rows;
    int64_t range; /* µs before NOW that events are in */
    uint8_t *key;  /* KEY_NUMBER_SIZE bytes each */
} bench_t;

static text_t key_of (const bench_t *self, uint64_t number)
{
    return (text_t){ (const char *)self->key + number * KEY_NUMBER_SIZE, KEY_NUMBER_SIZE };
}

/* Event `turn` of keys from `first` on. */
static projection_t make_batch (bench_t *self, arena_t *arena, uint64_t turn, uint64_t first,
                                size_t rows)
{
    batch_t batch = batch_new (arena, self->plan->column_types, self->plan->columns, rows);
    for (size_t i = 0; i < rows; i++) {
        random_t *random = &self->random;
        value_t amount = { .type = TYPE_FLOAT64,
                           .f = (double)(100 + random_below (random, 90000)) / 100 };
        value_t fee = { .type = TYPE_FLOAT64, .f = (double)(1 + random_below (random, 300)) / 100 };
        column_set (&batch.column[1], i, &amount);
        column_set (&batch.column[2], i, &fee);
        batch.event_time[i] = NOW - self->range + self->range / (int64_t)self->rows * (int64_t)turn;
        batch.ingest_time[i] = batch.event_time[i];
        batch.offset[i] = turn * self->keys + first + i;
        batch.key[i] = key_of (self, first + i);
    }
    return plan_project (self->plan, &batch, arena);
}

/* All keys in turn; nanoseconds for each event that is added. */
static double fill (bench_t *self)
{
    arena_t *arena = arena_new (1 << 20);
    int64_t used = 0;
    for (uint64_t turn = 0; turn < self->rows; turn++) {
        for (uint64_t first = 0; first < self->keys; first += BATCH) {
            arena_reset (arena);
            size_t rows = self->keys - first < BATCH ? self->keys - first : BATCH;
            projection_t batch = make_batch (self, arena, turn, first, rows);
            int64_t start = measure_cpu_ns ();
            timeline_add (self->timeline, &batch);
            used += measure_cpu_ns () - start;
        }
    }
    arena_destroy (&arena);
    return (double)used / (double)(self->keys * self->rows);
}

/* Nanoseconds for each key of a question. */
static double ask (bench_t *self, uint64_t questions)
{
    reply_t *reply = reply_new (self->plan);
    text_t keys[KEYS_ASKED];
    buf_t out;
    buf_init (&out, 1 << 20);
    int64_t used = 0;
    for (uint64_t i = 0; i < questions; i++) {
        for (size_t k = 0; k < KEYS_ASKED; k++)
            keys[k] = key_of (self, random_below (&self->random, self->keys));
        buf_clear (&out);
        int64_t start = measure_cpu_ns ();
        for (size_t from = 0; from < KEYS_ASKED; from += FETCHED) {
            size_t count = KEYS_ASKED - from < FETCHED ? KEYS_ASKED - from : FETCHED;
            timeline_fetch (self->timeline, keys + from, count);
            for (size_t k = from; k < from + count; k++)
                reply_put (reply, &self->timeline, 1, keys[k], NOW, &out);
        }
        used += measure_cpu_ns () - start;
        if (out.bad || out.size < KEYS_ASKED * self->plan->cells_count)
            measure_fail ("the answers do not fit");
    }
    buf_release (&out);
    reply_destroy (&reply);
    return (double)used / (double)(questions * KEYS_ASKED);
}

static void make_keys (bench_t *self)
{
    self->key = arena_alloc (self->arena, self->keys * KEY_NUMBER_SIZE);
    for (uint64_t i = 0; i < self->keys; i++)
        key_put_number (self->key + i * KEY_NUMBER_SIZE, TYPE_INT64, (int64_t)(i * 7919));
}

int main (int argc, char **argv)
{
    bench_t self = { .keys = measure_number (argc, argv, "keys", 100000),
                     .rows = measure_number (argc, argv, "rows", 12),
                     .range = (int64_t)measure_number (argc, argv, "hours", 0) * TIME_HOUR };
    uint64_t questions = measure_number (argc, argv, "questions", 5000);
    uint64_t rounds = measure_number (argc, argv, "rounds", 5);
    definition_file_t file = { "bench.yaml", text_of (DEFINITION) };
    definitions_t *definitions;
    error_t error;
    if (self.range == 0)
        self.range = 10 * TIME_MINUTE;
    if (self.keys == 0 || self.rows == 0 || questions == 0)
        measure_fail ("there must be keys, rows and questions");
    if (definitions_read (&file, 1, &definitions, &error) != STATUS_OK)
        measure_fail ("%s", error.text);
    self.plan = plan_new (definitions_view (definitions, text_of ("spend")));
    self.arena = arena_new (1 << 20);
    random_seed (&self.random, 1);
    make_keys (&self);
    for (uint64_t i = 0; i < rounds; i++) {
        self.timeline = timeline_new (self.plan);
        measure_print ("answers_add_ns", fill (&self));
        measure_print ("answers_bytes_per_key",
                       (double)timeline_memory (self.timeline) / (double)self.keys);
        measure_print ("answers_key_ns", ask (&self, questions));
        timeline_destroy (&self.timeline);
    }
    arena_destroy (&self.arena);
    plan_destroy (&self.plan);
    definitions_destroy (&definitions);
    return 0;
}
