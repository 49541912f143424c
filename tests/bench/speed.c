/* speed.c - an event's way through the speed layer's view: a view of 40 features over 4 windows
 * each, keys that are as unequal as they are in life, events projected and added in batches of 500.
 *
 * The keys of the middle are timed apart: by count of keys most are like them, by count of events
 * few are. */
#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "feature/plan.h"
#include "tests/bench/measure.h"
#include "timeline/reply.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    BATCH = 500,
    FEATURES = 40,
    MERCHANTS = 1000,
    AHEAD = 64, /* batches made before the clock runs */
};

#define START (INT64_C (1700000000) * TIME_SECOND)

static const char STREAM[] = "streams:\n  payments:\n    key: user\n    time: ts\n    fields:\n"
                             "      user: int64\n      amount: float64\n      fee: float64\n"
                             "      items: int64\n      merchant: string\n      status: string\n"
                             "      country: string\n      ts: {type: timestamp, unit: us}\n"
                             "views:\n  spend:\n    from: payments\n    key: user\n    features:\n";

static const char *const FEATURE[FEATURES] = {
    "count()",
    "count() where status = 'declined'",
    "count() where amount < 0",
    "count() where amount > 100",
    "count() where country = 'de'",
    "count() where items > 3",
    "count(merchant)",
    "sum(amount)",
    "sum(amount) where status = 'declined'",
    "sum(amount) where amount > 100",
    "sum(amount) where country = 'de'",
    "sum(fee)",
    "sum(fee) where status = 'declined'",
    "sum(items)",
    "sum(items) where amount > 100",
    "sum(amount * fee)",
    "sum(amount - fee)",
    "sum(amount / items)",
    "mean(amount)",
    "mean(amount) where country = 'de'",
    "mean(fee)",
    "mean(items)",
    "mean(amount * 2)",
    "mean(amount / items)",
    "min(amount)",
    "min(amount) where status = 'declined'",
    "min(fee)",
    "min(items)",
    "min(amount - fee)",
    "max(amount)",
    "max(amount) where amount > 100",
    "max(fee)",
    "max(items)",
    "max(amount / items)",
    "stddev(amount)",
    "stddev(amount) where country = 'de'",
    "stddev(fee)",
    "stddev(items)",
    "last(merchant)",
    "last(country) where status = 'declined'",
};

typedef struct bench {
    definitions_t *definitions;
    plan_t *plan;
    timeline_t *timeline;
    random_t random;
    uint64_t keys;
    double *weight; /* sums of the keys' weights up to each */
    text_t *key;
    text_t merchant[MERCHANTS];
    arena_t *arena;  /* keys and words */
    arena_t *events; /* of batches that wait */
    arena_t *scratch;
    batch_t batch[AHEAD];
    uint64_t offset;
    int64_t time;
} bench_t;

static void make_plan (bench_t *self)
{
    buf_t yaml;
    error_t error;
    buf_init (&yaml, DEFINITION_FILE_MAX);
    buf_put_string (&yaml, STREAM);
    for (size_t i = 0; i < FEATURES; i++)
        buf_printf (&yaml, "      f%zu: %s over 1h, 24h, 7d, 30d\n", i, FEATURE[i]);
    definition_file_t file = { "bench.yaml", { buf_string (&yaml), (uint32_t)yaml.size } };
    if (definitions_read (&file, 1, &self->definitions, &error) != STATUS_OK)
        measure_fail ("%s", error.text);
    self->plan = plan_new (definitions_view (self->definitions, text_of ("spend")));
    CHECK (self->plan->features_count == 4 * FEATURES);
    buf_release (&yaml);
}

/* The key of rank r is drawn with weight 1 / (r + 1). */
static void make_keys (bench_t *self)
{
    buf_t bytes;
    char word[32];
    buf_init (&bytes, KEY_SIZE_MAX);
    self->weight = arena_alloc (self->arena, self->keys * sizeof *self->weight);
    self->key = arena_alloc (self->arena, self->keys * sizeof *self->key);
    double sum = 0;
    for (uint64_t i = 0; i < self->keys; i++) {
        value_t user = { .type = TYPE_INT64, .i = (int64_t)(i * 7919 % 1000003) + 100000 };
        buf_clear (&bytes);
        key_put (&bytes, &user);
        self->key[i] =
            arena_text (self->arena, (text_t){ (char *)bytes.data, (uint32_t)bytes.size });
        self->weight[i] = sum += 1 / (double)(i + 1);
    }
    for (size_t i = 0; i < MERCHANTS; i++) {
        (void)snprintf (word, sizeof word, "merchant-%05zu", i);
        self->merchant[i] = arena_text (self->arena, text_of (word));
    }
    buf_release (&bytes);
}

static uint64_t draw_key (bench_t *self)
{
    double at = random_unit (&self->random) * self->weight[self->keys - 1];
    uint64_t low = 0;
    uint64_t high = self->keys - 1;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (self->weight[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put_text (column_t *column, size_t row, text_t text)
{
    value_t value = { .type = TYPE_STRING, .s = text };
    column_set (column, row, &value);
}

static void put_event (bench_t *self, batch_t *batch, size_t row, uint64_t key)
{
    static const char *const statuses[] = { "ok", "ok", "ok", "declined" };
    static const char *const countries[] = { "de", "fr", "us", "br", "in" };
    random_t *random = &self->random;
    value_t amount = { .type = TYPE_FLOAT64, .f = (double)random_below (random, 30000) / 100 - 20 };
    value_t fee = { .type = TYPE_FLOAT64, .f = (double)random_below (random, 300) / 100 };
    value_t items = { .type = TYPE_INT64, .i = 1 + (int64_t)random_below (random, 6) };
    value_t time = { .type = TYPE_TIMESTAMP, .i = self->time };
    if (!random_chance (random, 0.02))
        column_set (&batch->column[1], row, &amount);
    column_set (&batch->column[2], row, &fee);
    column_set (&batch->column[3], row, &items);
    put_text (&batch->column[4], row, self->merchant[random_below (random, MERCHANTS)]);
    put_text (&batch->column[5], row, text_of (statuses[random_below (random, 4)]));
    put_text (&batch->column[6], row, text_of (countries[random_below (random, 5)]));
    column_set (&batch->column[7], row, &time);
    batch->event_time[row] = self->time;
    batch->ingest_time[row] = self->time;
    batch->offset[row] = self->offset++;
    batch->key[row] = self->key[key];
    self->time += TIME_SECOND;
}

/* Sends `events` of keys that `middle` says (all, or those of the middle); nanoseconds for each. */
static double send (bench_t *self, uint64_t events, bool middle)
{
    int64_t used = 0;
    uint64_t sent = 0;
    while (sent < events) {
        arena_reset (self->events);
        for (size_t b = 0; b < AHEAD; b++) {
            self->batch[b] =
                batch_new (self->events, self->plan->column_types, self->plan->columns, BATCH);
            for (size_t row = 0; row < BATCH; row++) {
                uint64_t key =
                    middle ? self->keys * 2 / 5 + random_below (&self->random, self->keys / 5 + 1)
                           : draw_key (self);
                put_event (self, &self->batch[b], row, key);
            }
        }
        int64_t start = measure_cpu_ns ();
        for (size_t b = 0; b < AHEAD; b++) {
            arena_reset (self->scratch);
            projection_t rows = plan_project (self->plan, &self->batch[b], self->scratch);
            timeline_add (self->timeline, &rows);
        }
        used += measure_cpu_ns () - start;
        sent += AHEAD * BATCH;
    }
    return (double)used / (double)sent;
}

/* Answers for keys of the middle, one after the other; nanoseconds for each. */
static double ask (bench_t *self, uint64_t queries)
{
    reply_t *reply = reply_new (self->plan);
    buf_t out;
    buf_init (&out, ANSWER_ENCODED_MAX);
    int64_t start = measure_cpu_ns ();
    for (uint64_t i = 0; i < queries; i++) {
        uint64_t key = self->keys * 2 / 5 + random_below (&self->random, self->keys / 5 + 1);
        buf_clear (&out);
        reply_put (reply, &self->timeline, 1, self->key[key], self->time, &out);
    }
    double used = (double)(measure_cpu_ns () - start);
    buf_release (&out);
    reply_destroy (&reply);
    return used / (double)queries;
}

static void round_run (bench_t *self, uint64_t events)
{
    self->timeline = timeline_new (self->plan);
    self->time = START;
    double all = send (self, events, false);
    double keys = (double)timeline_keys (self->timeline);
    measure_print ("speed_event_ns", all);
    measure_print ("speed_bytes_per_event", (double)timeline_memory (self->timeline) /
                                                (double)timeline_events (self->timeline));
    measure_print ("speed_events_per_key", (double)timeline_events (self->timeline) / keys);
    measure_print ("speed_event_median_key_ns", send (self, events / 8, true));
    measure_print ("speed_answer_median_key_ns", ask (self, events / 20 + 1));
    timeline_destroy (&self->timeline);
}

int main (int argc, char **argv)
{
    bench_t self = { .keys = measure_number (argc, argv, "keys", 100000) };
    uint64_t events = measure_number (argc, argv, "events", 1000000);
    uint64_t rounds = measure_number (argc, argv, "rounds", 5);
    self.arena = arena_new (1 << 20);
    self.events = arena_new (16 << 20);
    self.scratch = arena_new (1 << 20);
    random_seed (&self.random, 1);
    make_plan (&self);
    make_keys (&self);
    for (uint64_t i = 0; i < rounds; i++)
        round_run (&self, events);
    arena_destroy (&self.arena);
    arena_destroy (&self.events);
    arena_destroy (&self.scratch);
    plan_destroy (&self.plan);
    definitions_destroy (&self.definitions);
    return 0;
}
