/* deltas.c - what a delta costs beside a base, and answers over a base and eight deltas beside
 * those over a lone base, on the logs that `batch --do=log` left. One thread.
 *
 *   deltas --directory=DIR --partitions=N --clock=µs --stream=FILE --view=FILE
 *          [--rounds=N] [--keys=N] [--questions=N] [--memory-mib=N]
 *
 * A base covers the log but for eight hundredths. In each round the first hundredth after it is
 * built three times, in turn: as a delta, and as part of two bases, one from the base's runs and
 * the new events, and one from the same rows as sorted runs alone. Then all eight deltas stand on
 * the base, and one base is made of the same rows; keys drawn at random are answered from both, in
 * slices that take turns, 12 features of windows up to 7 d; what they say must be equal.
 *
 * The stream's key is one int64 field, and keys are the numbers below --keys. */
#include "base/mem.h"
#include "base/random.h"
#include "batchview/batchview.h"
#include "tests/bench/measure.h"
#include "tests/bench/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTITIONS_LIMIT = 1024,
    DELTAS = 8,
    LAYERS = DELTAS + 1,
    SLICES = 20,     /* of questions, in a round */
    COMPARED = 1000, /* questions of each that both are asked */
};

/* A layer of one partition, as the task that built it has it. */
typedef struct layer {
    task_t *task;
    batchview_t *view;
    batchview_binding_t *binding;
} layer_t;

typedef struct bench {
    orders_t orders;
    random_t random;
    arena_t *arena;
    uint32_t partitions;
    uint64_t *events; /* of each */
    int64_t clock;
    uint64_t memory;
    uint64_t keys;
    uint64_t tasks;
    bool *wanted;  /* cells that are asked for */
    batch_t event; /* whose key is asked for */
    layer_t *lone;
    layer_t (*layers)[LAYERS]; /* of each partition */
} bench_t;

static const char *text_file (bench_t *self, const char *path)
{
    FILE *file = fopen (path, "r");
    char *text = arena_zero (self->arena, 1, 1 << 16);
    if (file == NULL || fread (text, 1, (1 << 16) - 1, file) == 0)
        measure_fail ("%s cannot be read", path);
    fclose (file);
    return text;
}

static void read_counts (bench_t *self, const char *directory)
{
    char path[4096];
    (void)snprintf (path, sizeof path, "%s/partitions", directory);
    char *text = (char *)(uintptr_t)text_file (self, path);
    self->events = arena_zero (self->arena, self->partitions, sizeof *self->events);
    for (uint32_t p = 0; p < self->partitions; p++)
        self->events[p] = strtoull (text, &text, 10);
}

/* ---- builds ---- */

/* The offset below which that many hundredths of a partition's events are. */
static uint64_t cut_of (const bench_t *self, uint32_t partition, unsigned hundredths)
{
    return self->events[partition] * hundredths / 100;
}

static task_t *make_task (bench_t *self, uint32_t partition, unsigned from, unsigned to,
                          const task_runs_t *runs, const int64_t *latest)
{
    orders_build_t build = { .task = ++self->tasks,
                             .partition = partition,
                             .partitions = self->partitions,
                             .from = cut_of (self, partition, from),
                             .cut = cut_of (self, partition, to),
                             .clock = self->clock,
                             .memory = self->memory,
                             .latest = latest };
    if (runs != NULL) {
        build.runs = runs->items;
        build.runs_count = runs->count;
    }
    return orders_task (&self->orders, &build);
}

typedef struct cost {
    double cpu_s;
    double wall_s;
} cost_t;

static void run (task_t *task, cost_t *cost)
{
    int64_t start = measure_now_ns ();
    int64_t cpu = measure_cpu_ns ();
    task->job.run (&task->job);
    cost->cpu_s += (double)(measure_cpu_ns () - cpu) / 1e9;
    cost->wall_s += measure_since (start);
    if (task->status != STATUS_OK)
        measure_fail ("build: %s", task->error.text);
    if (task->views_count != 1)
        measure_fail ("a build made no view");
}

/* Its files as well, but for runs that it was given. */
static void undo (bench_t *self, task_t *task)
{
    orders_t *orders = &self->orders;
    for (size_t i = 0; i < task->written_count; i++)
        orders_must (orders, fs_remove (orders->fs, task->written[i], &orders->error), "remove");
    task_destroy (&task);
}

static void build_bases (bench_t *self)
{
    cost_t cost = { 0 };
    for (uint32_t p = 0; p < self->partitions; p++) {
        self->layers[p][0].task = make_task (self, p, 0, 100 - DELTAS, NULL, NULL);
        run (self->layers[p][0].task, &cost);
    }
}

/* The same new events of all partitions as deltas, and within bases. */
static void round_of_builds (bench_t *self)
{
    enum { TO = 100 - DELTAS + 1 };
    cost_t delta = { 0 }, base = { 0 }, sorted = { 0 };
    uint64_t new_rows = 0, rows = 0;
    for (uint32_t p = 0; p < self->partitions; p++) {
        const task_t *below = self->layers[p][0].task;
        task_t *of_delta = make_task (self, p, TO - 1, TO, NULL, &below->latest);
        run (of_delta, &delta);
        task_t *of_base = make_task (self, p, TO - 1, TO, &below->runs, NULL);
        run (of_base, &base);
        task_t *of_sorted = make_task (self, p, TO, TO, &of_base->runs, NULL);
        run (of_sorted, &sorted);
        new_rows += of_delta->rows;
        rows += of_base->rows;
        undo (self, of_delta);
        undo (self, of_sorted);
        undo (self, of_base);
    }
    measure_print ("new_part", (double)new_rows / (double)rows);
    measure_print ("delta_cpu_s", delta.cpu_s);
    measure_print ("delta_wall_s", delta.wall_s);
    measure_print ("base_cpu_s", base.cpu_s);
    measure_print ("base_wall_s", base.wall_s);
    measure_print ("base_sorted_cpu_s", sorted.cpu_s);
    measure_print ("base_sorted_wall_s", sorted.wall_s);
}

/* ---- answers ---- */

static void open_layer (bench_t *self, layer_t *layer)
{
    orders_t *orders = &self->orders;
    const char *path = layer->task->views[0].path;
    orders_must (orders, batchview_open (orders->fs, path, &layer->view, &orders->error), path);
    layer->binding = batchview_bind_cells (layer->view, orders->model->plans[0], self->wanted);
}

/* All deltas, and the lone base of the same rows. */
static void build_layers (bench_t *self)
{
    cost_t cost = { 0 };
    for (uint32_t p = 0; p < self->partitions; p++) {
        layer_t *layers = self->layers[p];
        task_runs_t runs = { 0 };
        for (unsigned i = 1; i < LAYERS; i++) {
            unsigned to = 100 - DELTAS + i;
            layers[i].task = make_task (self, p, to - 1, to, NULL, &layers[i - 1].task->latest);
            run (layers[i].task, &cost);
        }
        for (unsigned i = 0; i < LAYERS; i++)
            for (size_t r = 0; r < layers[i].task->runs.count; r++)
                task_runs_add (&runs, &layers[i].task->runs.items[r]);
        self->lone[p].task = make_task (self, p, 100, 100, &runs, NULL);
        run (self->lone[p].task, &cost);
        task_runs_release (&runs);
        open_layer (self, &self->lone[p]);
        for (unsigned i = 0; i < LAYERS; i++)
            open_layer (self, &layers[i]);
    }
}

static bool is_asked (const char *feature)
{
    static const char *const ends[] = { "_1h", "_1d", "_7d" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strlen (feature) > 3 && strcmp (feature + strlen (feature) - 3, ends[i]) == 0)
            return true;
    return false;
}

static void choose_cells (bench_t *self)
{
    const plan_t *plan = self->orders.model->plans[0];
    size_t asked = 0;
    self->wanted = arena_zero (self->arena, plan->cells_count, sizeof *self->wanted);
    for (size_t f = 0; f < plan->features_count; f++)
        if (is_asked (plan->features[f].name)) {
            self->wanted[plan->features[f].cell] = true;
            asked++;
        }
    if (asked != 12)
        measure_fail ("%zu features are asked for, not 12", asked);
}

typedef struct question {
    bench_t *bench;
    answer_t *answer;
    arena_t *arena;
    uint64_t sum; /* of the bits of all that was answered */
} question_t;

static void add_layer (question_t *self, const layer_t *layer, text_t key)
{
    bench_t *bench = self->bench;
    orders_t *orders = &bench->orders;
    bool exact;
    orders_must (orders,
                 batchview_merge (layer->view, layer->binding, key, bench->clock, self->answer,
                                  &exact, &orders->error),
                 "answer");
    if (!exact)
        measure_fail ("a file cannot answer a key as of the clock");
}

/* As serving does. */
static void add_layers (question_t *self, const layer_t *layers, text_t key)
{
    uint64_t hash = key_hash (key);
    for (unsigned l = 0; l < LAYERS; l++)
        batchview_fetch_index (layers[l].view, hash);
    for (unsigned l = 0; l < LAYERS; l++)
        batchview_fetch_record (layers[l].view, hash);
    for (unsigned l = 0; l < LAYERS; l++)
        add_layer (self, &layers[l], key);
}

static void finish (question_t *self)
{
    const plan_t *plan = answer_plan (self->answer);
    orders_t *orders = &self->bench->orders;
    for (size_t f = 0; f < plan->features_count; f++) {
        value_t value;
        uint64_t bits = 0;
        if (!is_asked (plan->features[f].name))
            continue;
        orders_must (
            orders,
            answer_final (self->answer, f, self->bench->clock, self->arena, &value, &orders->error),
            plan->features[f].name);
        if (!value.null)
            memcpy (&bits, value.type == TYPE_FLOAT64 ? (const void *)&value.f : &value.i,
                    sizeof bits);
        self->sum = self->sum * 31 + bits + !value.null;
    }
    arena_reset (self->arena);
}

/* Nanoseconds of CPU that so many questions take; the same ones for the same seed. */
static double ask (question_t *self, uint64_t seed, uint64_t count, bool lone)
{
    bench_t *bench = self->bench;
    random_t random;
    buf_t key;
    column_t *field = &bench->event.column[bench->orders.stream->key[0]];
    buf_init (&key, KEY_SIZE_MAX);
    random_seed (&random, seed);
    int64_t start = measure_cpu_ns ();
    for (uint64_t i = 0; i < count; i++) {
        value_t value = { .type = TYPE_INT64, .i = (int64_t)random_below (&random, bench->keys) };
        column_set (field, 0, &value);
        buf_clear (&key);
        if (!keyed_log_key (&bench->orders.log, &bench->event, 0, &key))
            measure_fail ("a key that is none");
        text_t text = { (const char *)key.data, (uint32_t)key.size };
        uint32_t partition = key_partition (key_hash (text), bench->partitions);
        answer_reset (self->answer);
        if (lone)
            add_layer (self, &bench->lone[partition], text);
        if (!lone)
            add_layers (self, bench->layers[partition], text);
        finish (self);
    }
    double took = (double)(measure_cpu_ns () - start);
    buf_release (&key);
    return took;
}

/* Slices of questions in turn. */
static void round_of_answers (bench_t *self, uint64_t questions)
{
    question_t lone = { .bench = self, .arena = arena_new (1 << 16) };
    question_t layered = lone;
    lone.answer = answer_new (self->orders.model->plans[0]);
    layered.answer = answer_new (self->orders.model->plans[0]);
    double of_lone = 0, of_layered = 0;
    for (unsigned i = 0; i < SLICES; i++) {
        /* other keys, or the second one to ask would find them in the cache */
        uint64_t seeds[2] = { random_next (&self->random), random_next (&self->random) };
        of_lone += ask (&lone, seeds[0], questions / SLICES, true);
        of_layered += ask (&layered, seeds[1], questions / SLICES, false);
        lone.sum = layered.sum = 0;
        (void)ask (&lone, seeds[1], COMPARED, true);
        (void)ask (&layered, seeds[1], COMPARED, false);
        if (lone.sum != layered.sum)
            measure_fail ("a base and deltas answer something else than one base");
    }
    measure_print ("answer_base_ns", of_lone / (double)questions);
    measure_print ("answer_8_deltas_ns", of_layered / (double)questions);
    answer_destroy (&lone.answer);
    answer_destroy (&layered.answer);
    arena_destroy (&lone.arena);
}

/* ---- the whole ---- */

static void release_layer (layer_t *layer)
{
    batchview_binding_destroy (&layer->binding);
    batchview_unref (&layer->view);
    task_destroy (&layer->task);
}

static void release (bench_t *self)
{
    for (uint32_t p = 0; p < self->partitions; p++) {
        release_layer (&self->lone[p]);
        for (unsigned i = 0; i < LAYERS; i++)
            release_layer (&self->layers[p][i]);
    }
    orders_release (&self->orders);
    arena_destroy (&self->arena);
}

int main (int argc, char **argv)
{
    static bench_t bench;
    const char *directory = measure_option (argc, argv, "directory", NULL);
    const char *stream = measure_option (argc, argv, "stream", NULL);
    const char *view = measure_option (argc, argv, "view", NULL);
    uint64_t rounds = measure_number (argc, argv, "rounds", 5);
    uint64_t questions = measure_number (argc, argv, "questions", 200000);
    bench.arena = arena_new (1 << 16);
    bench.partitions = (uint32_t)measure_number (argc, argv, "partitions", 8);
    bench.clock = (int64_t)measure_number (argc, argv, "clock", 0);
    bench.memory = measure_number (argc, argv, "memory-mib", 256) << 20;
    bench.keys = measure_number (argc, argv, "keys", 1000000);
    if (directory == NULL || stream == NULL || view == NULL || bench.partitions < 1 ||
        bench.partitions > PARTITIONS_LIMIT)
        measure_fail ("deltas.c says what options there are");
    read_counts (&bench, directory);
    orders_init (&bench.orders, directory, text_file (&bench, stream), text_file (&bench, view));
    random_seed (&bench.random, 1);
    bench.lone = arena_zero (bench.arena, bench.partitions, sizeof *bench.lone);
    bench.layers = arena_zero (bench.arena, bench.partitions, sizeof *bench.layers);
    choose_cells (&bench);
    const plan_t *plan = bench.orders.model->plans[0];
    bench.event = batch_new (bench.arena, plan->column_types, plan->columns, 1);
    build_bases (&bench);
    for (uint64_t i = 0; i < rounds; i++)
        round_of_builds (&bench);
    build_layers (&bench);
    for (uint64_t i = 0; i < rounds; i++)
        round_of_answers (&bench, questions);
    release (&bench);
    return 0;
}
