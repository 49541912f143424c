/* Loads and builds: what is in the views is what was sent and loaded, once. */
#include "batch-worker/tiers.h"
#include "tests/unit/batch-worker/worker.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

enum { LARGE = 64 << 20, TINY = 1 };

/* What the coordinator keeps of a partition. */
typedef struct dataset {
    struct output_run runs[EVENT_RUNS_MAX];
    size_t runs_count;
    uint64_t cut;
} dataset_t;

static outputs_t load_file (worker_t *worker, const char *path, const char *format)
{
    load_wish_t wish = {
        .task = worker->next_task++, .attempt = 1, .path = path, .id = "abc", .format = format
    };
    outputs_t outputs = worker_load (worker, &wish);
    cr_assert_str_eq (outputs.status, "ok", "%s", outputs.error);
    return outputs;
}

/* Commits a load: its runs join the dataset at the offset of its control record. */
static void commit_load (worker_t *worker, dataset_t *datasets, const outputs_t *loaded, int load,
                         uint64_t offsets[PARTITIONS])
{
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        offsets[p] = worker_control (worker, p, LOG_KIND_LOAD_COMMIT, load);
        for (size_t i = 0; i < loaded->runs_count; i++) {
            if (loaded->runs[i].partition != p)
                continue;
            dataset_t *dataset = &datasets[p];
            dataset->runs[dataset->runs_count] = loaded->runs[i];
            dataset->runs[dataset->runs_count++].offset = offsets[p];
        }
    }
}

/* Cuts and builds a partition, and holds its views against brute force. */
static outputs_t recompute (worker_t *worker, dataset_t *dataset, uint32_t partition,
                            const uint64_t *excluded, int excluded_load)
{
    build_wish_t wish = { .task = worker->next_task++,
                          .attempt = 1,
                          .partition = partition,
                          .from = dataset->cut,
                          .cut = worker_control (worker, partition, LOG_KIND_CUT, -1),
                          .clock = CLOCK,
                          .runs = dataset->runs,
                          .runs_count = dataset->runs_count,
                          .excluded = excluded,
                          .excluded_count = excluded ? 1 : 0 };
    outputs_t outputs = worker_build (worker, &wish);
    cr_assert_str_eq (outputs.status, "ok", "%s", outputs.error);
    cr_assert_eq (outputs.views_count, worker->era == ERA_BEFORE ? 0 : 2);
    cr_assert_leq (outputs.runs_count, TIERS_RUNS_MAX);
    for (size_t i = 0; i < outputs.views_count; i++)
        worker_expect_view (worker, &outputs.views[i], partition, wish.cut, CLOCK, excluded_load);
    memcpy (dataset->runs, outputs.runs, sizeof dataset->runs);
    dataset->runs_count = outputs.runs_count;
    dataset->cut = wish.cut;
    return outputs;
}

static void expect_dataset (uint64_t seed, uint64_t memory_limit)
{
    worker_t worker;
    dataset_t datasets[PARTITIONS] = { 0 };
    uint64_t first[PARTITIONS], second[PARTITIONS];
    worker_init (&worker, seed, memory_limit);
    worker_send (&worker, 300);
    worker_file (&worker, "incoming/a.csv", FORMAT_CSV, 400, 0);
    outputs_t loaded = load_file (&worker, "incoming/a.csv", "csv");
    cr_expect_eq (loaded.rows, 400);
    cr_expect_eq (loaded.refused, 0);
    commit_load (&worker, datasets, &loaded, 0, first);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        (void)recompute (&worker, &datasets[p], p, NULL, -1);
    worker_send (&worker, 200);
    worker_file (&worker, "incoming/b.ndjson", FORMAT_NDJSON, 150, 1);
    loaded = load_file (&worker, "incoming/b.ndjson", "ndjson");
    commit_load (&worker, datasets, &loaded, 1, second);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        (void)recompute (&worker, &datasets[p], p, NULL, -1);
    /* the first load is undone, and then nothing happens but a cut */
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        (void)recompute (&worker, &datasets[p], p, &first[p], 0);
        (void)recompute (&worker, &datasets[p], p, &first[p], 0);
    }
    worker_release (&worker);
}

Test (datasets, hold_what_was_sent_and_loaded)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        expect_dataset (seed, LARGE);
}

Test (datasets, are_the_same_when_memory_is_short)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        expect_dataset (seed, TINY);
}

static void expect_same_bytes (size_t sent)
{
    text_t bytes[2][2];
    for (int round = 0; round < 2; round++) {
        worker_t worker;
        dataset_t datasets[PARTITIONS] = { 0 };
        uint64_t offsets[PARTITIONS];
        worker_init (&worker, 11, round == 0 ? LARGE : TINY);
        worker_file (&worker, "incoming/a.csv", FORMAT_CSV, 300, 0);
        outputs_t loaded = load_file (&worker, "incoming/a.csv", "csv");
        commit_load (&worker, datasets, &loaded, 0, offsets);
        worker_send (&worker, sent);
        outputs_t outputs = recompute (&worker, &datasets[1], 1, NULL, -1);
        for (int v = 0; v < 2; v++) {
            text_t file = worker_read (&worker, outputs.views[v].path);
            char *copy = malloc (file.size);
            memcpy (copy, file.data, file.size);
            bytes[round][v] = (text_t){ copy, file.size };
        }
        worker_release (&worker);
    }
    for (int v = 0; v < 2; v++) {
        cr_expect (text_equal (bytes[0][v], bytes[1][v]));
        free ((void *)(uintptr_t)bytes[0][v].data);
        free ((void *)(uintptr_t)bytes[1][v].data);
    }
}

Test (datasets, have_views_of_the_same_bytes_however_they_were_built)
{
    expect_same_bytes (500);
}

/* So many events of each user near window edges that these are written in sections. */
enum { MANY = 44000 };

Test (datasets, of_keys_with_many_events_have_views_of_the_same_bytes)
{
    expect_same_bytes (MANY);
}

/* One layer of partition 1: from the last cut on, or with the runs of others. */
static outputs_t build_layer (worker_t *worker, uint64_t from, uint64_t cut,
                              const struct output_run *runs, size_t runs_count,
                              const int64_t *latest)
{
    build_wish_t wish = { .task = worker->next_task++,
                          .attempt = 1,
                          .partition = 1,
                          .from = from,
                          .cut = cut,
                          .clock = CLOCK,
                          .latest = latest,
                          .runs = runs,
                          .runs_count = runs_count };
    outputs_t outputs = worker_build (worker, &wish);
    cr_assert_str_eq (outputs.status, "ok", "%s", outputs.error);
    return outputs;
}

/* Each delta has that part of the base's events. */
static void expect_same_bases (size_t sent, size_t part)
{
    enum { DELTAS = 3 };
    worker_t worker;
    struct output_run runs[EVENT_RUNS_MAX];
    size_t runs_count = 0;
    uint64_t cut = 0;
    int64_t latest = INT64_MIN;
    worker_init (&worker, 12, LARGE);
    for (int i = 0; i <= DELTAS; i++) { /* a base, and deltas above it */
        worker_send (&worker, i == 0 ? sent : sent / part);
        uint64_t from = cut;
        cut = worker_control (&worker, 1, LOG_KIND_CUT, -1);
        outputs_t layer = build_layer (&worker, from, cut, NULL, 0, i == 0 ? NULL : &latest);
        cr_assert_geq (layer.latest, latest);
        cr_assert_eq (layer.runs_count, 1);
        cr_assert_eq (layer.views_count, 2);
        latest = layer.latest;
        runs[runs_count++] = layer.runs[0];
    }
    outputs_t fold = build_layer (&worker, cut, cut, runs + 1, DELTAS, &latest);
    cr_assert_eq (fold.runs_count, 1); /* of a delta */
    cr_assert_eq (fold.runs[0].rows, runs[1].rows + runs[2].rows + runs[3].rows);
    outputs_t merged = build_layer (&worker, cut, cut, runs, runs_count, NULL);
    cr_assert_eq (merged.runs_count, 2); /* the large one, and what is merged of the others */
    runs[1] = fold.runs[0];
    outputs_t of_fold = build_layer (&worker, cut, cut, runs, 2, NULL);
    cr_assert_eq (of_fold.runs_count, 2);
    outputs_t at_once = build_layer (&worker, 0, cut, NULL, 0, NULL);
    cr_assert_eq (merged.latest, latest);
    cr_assert_eq (at_once.latest, latest);
    for (int v = 0; v < 2; v++) {
        worker_expect_view (&worker, &merged.views[v], 1, cut, CLOCK, -1);
        text_t expected = worker_read (&worker, at_once.views[v].path);
        cr_expect (text_equal (worker_read (&worker, merged.views[v].path), expected));
        cr_expect (text_equal (worker_read (&worker, of_fold.views[v].path), expected));
    }
    worker_release (&worker);
}

Test (datasets, have_bases_of_the_same_bytes_whatever_deltas_came_before)
{
    expect_same_bases (300, 8);
}

Test (datasets, of_keys_with_many_events_have_bases_of_the_same_bytes_whatever_deltas_came_before)
{
    expect_same_bases (MANY, 8);
}

Test (datasets, have_bases_of_the_same_bytes_when_deltas_had_runs_that_were_written_quickly)
{
    expect_same_bases (3000, 24);
}

/* A base, a delta above it, and a base of both and of what is new: the same files, however much of
 * the log's rows fits into memory. */
Test (datasets, have_runs_and_views_of_the_same_bytes_whatever_fits_into_memory)
{
    enum { LAYERS = 3 };
    struct layer_files {
        text_t run, views[2];
    } files[2][LAYERS];
    worker_t workers[2];
    for (int w = 0; w < 2; w++) {
        worker_t *worker = &workers[w];
        uint64_t cut[LAYERS];
        outputs_t layers[LAYERS];
        worker_init (worker, 15, w == 0 ? LARGE : TINY);
        for (int i = 0; i < LAYERS; i++) {
            worker_send (worker, i == 1 ? 100 : 300);
            cut[i] = worker_control (worker, 1, LOG_KIND_CUT, -1);
        }
        layers[0] = build_layer (worker, 0, cut[0], NULL, 0, NULL);
        layers[1] = build_layer (worker, cut[0], cut[1], NULL, 0, &layers[0].latest);
        struct output_run runs[2] = { layers[0].runs[0], layers[1].runs[0] };
        layers[2] = build_layer (worker, cut[1], cut[2], runs, 2, NULL);
        for (int i = 0; i < LAYERS; i++) {
            cr_assert_eq (layers[i].runs_count, 1);
            if (i != 1)
                worker_expect_view (worker, &layers[i].views[0], 1, cut[i], CLOCK, -1);
            files[w][i].run = worker_read (worker, layers[i].runs[0].path);
            for (int v = 0; v < 2; v++)
                files[w][i].views[v] = worker_read (worker, layers[i].views[v].path);
        }
    }
    for (int i = 0; i < LAYERS; i++) {
        cr_expect (text_equal (files[0][i].run, files[1][i].run), "layer %d", i);
        for (int v = 0; v < 2; v++)
            cr_expect (text_equal (files[0][i].views[v], files[1][i].views[v]));
    }
    for (int w = 0; w < 2; w++)
        worker_release (&workers[w]);
}

/* The clock of a cut may be behind that of the cut before, under which later events were covered.
 */
Test (datasets, stand_a_clock_that_goes_back)
{
    worker_t worker;
    worker_init (&worker, 14, LARGE);
    worker_send (&worker, 50);
    int64_t latest = CLOCK + TIME_HOUR;
    uint64_t cut = worker_control (&worker, 1, LOG_KIND_CUT, -1);
    outputs_t delta = build_layer (&worker, 0, cut, NULL, 0, &latest);
    cr_assert_eq (delta.latest, latest);
    cr_assert_eq (delta.views_count, 2);
    worker_release (&worker);
}

Test (datasets, have_no_files_for_a_delta_of_nothing)
{
    worker_t worker;
    worker_init (&worker, 13, LARGE);
    worker_send (&worker, 50);
    uint64_t cut = worker_control (&worker, 1, LOG_KIND_CUT, -1);
    outputs_t base = build_layer (&worker, 0, cut, NULL, 0, NULL);
    uint64_t next = worker_control (&worker, 1, LOG_KIND_CUT, -1);
    outputs_t delta = build_layer (&worker, cut, next, NULL, 0, &base.latest);
    cr_assert_eq (delta.runs_count, 0);
    cr_assert_eq (delta.views_count, 0);
    worker_release (&worker);
}

/* Log and runs of two definitions, read and merged under the later one. */
static void expect_evolved (uint64_t seed, uint64_t memory_limit, int rounds)
{
    worker_t worker;
    dataset_t datasets[PARTITIONS] = { 0 };
    uint64_t offsets[PARTITIONS];
    worker_init (&worker, seed, memory_limit);
    worker.era = ERA_BEFORE;
    for (int round = 0; round < rounds; round++) {
        worker_send (&worker, 100);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            (void)recompute (&worker, &datasets[p], p, NULL, -1);
    }
    worker_file (&worker, "incoming/a.csv", FORMAT_CSV, 200, 0);
    outputs_t loaded = load_file (&worker, "incoming/a.csv", "csv");
    worker_send (&worker, 100);
    worker.era = ERA_AFTER;
    commit_load (&worker, datasets, &loaded, 0, offsets);
    worker_send (&worker, 100);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        (void)recompute (&worker, &datasets[p], p, NULL, -1);
    worker_file (&worker, "incoming/b.csv", FORMAT_CSV, 50, 1);
    loaded = load_file (&worker, "incoming/b.csv", "csv");
    commit_load (&worker, datasets, &loaded, 1, offsets);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        (void)recompute (&worker, &datasets[p], p, NULL, -1);
        (void)recompute (&worker, &datasets[p], p, NULL, -1);
    }
    worker_release (&worker);
}

Test (datasets, of_earlier_definitions_are_read_under_later_ones)
{
    for (uint64_t seed = 21; seed <= 23; seed++) {
        expect_evolved (seed, LARGE, 2);
        expect_evolved (seed, TINY, 1);
        expect_evolved (seed, LARGE, 12); /* more runs than a partition keeps: they are merged */
    }
}

Test (datasets, may_be_empty)
{
    worker_t worker;
    dataset_t dataset = { .cut = 0 };
    worker_init (&worker, 1, LARGE);
    outputs_t outputs = recompute (&worker, &dataset, 0, NULL, -1);
    cr_expect_eq (outputs.runs_count, 0);
    cr_expect_eq (outputs.rows, 0);
    worker_release (&worker);
}

Test (loads, name_row_and_column_of_what_is_wrong)
{
    static const char text[] = "user,amount,note,ts\nu1,1,x,5\nu2,abc,x,5\n";
    worker_t worker;
    worker_init (&worker, 1, LARGE);
    worker_write (&worker, "incoming/a.csv", text_of (text));
    load_wish_t wish = {
        .task = 1, .attempt = 1, .path = "incoming/a.csv", .id = "abc", .format = "csv"
    };
    outputs_t outputs = worker_load (&worker, &wish);
    cr_expect_str_eq (outputs.status, "invalid");
    cr_expect_str_eq (outputs.error, "row 2, column amount: 'abc' is not a float64");
    worker_write (&worker, "incoming/b.csv", text_of ("user,amuont,note,ts\n"));
    wish = (load_wish_t){
        .task = 2, .attempt = 1, .path = "incoming/b.csv", .id = "b", .format = "csv", .skip = true
    };
    outputs = worker_load (&worker, &wish);
    cr_expect_str_eq (outputs.error, "stream pay has no column 'amuont'; did you mean 'amount'?");
    wish = (load_wish_t){
        .task = 3, .attempt = 1, .path = "incoming/none.csv", .id = "c", .format = "csv"
    };
    outputs = worker_load (&worker, &wish);
    cr_expect_str_eq (outputs.status, "not-found");
    worker_release (&worker);
}

/* A load of one user's events at more times after the build's clock than a view's file holds; those
 * of amounts over 0, which view `large` has, are few. */
Test (datasets, a_view_that_one_key_is_too_large_for_is_left_out_and_the_others_are_there)
{
    enum { EVENTS = 65536 + 40 };
    worker_t worker;
    dataset_t datasets[PARTITIONS] = { 0 };
    uint64_t offsets[PARTITIONS];
    buf_t text;
    worker_init (&worker, 5, LARGE);
    buf_init (&text, 1 << 24);
    buf_put_string (&text, "user,amount,note,ts\n");
    for (int64_t i = 0; i < EVENTS; i++)
        buf_printf (&text, "u1,%d,,%" PRId64 "\n", i % 100 == 0 ? 1 : -1, CLOCK - i);
    worker_write (&worker, "incoming/a.csv", text_of (buf_string (&text)));
    buf_release (&text);
    outputs_t loaded = load_file (&worker, "incoming/a.csv", "csv");
    cr_assert_eq (loaded.rows, EVENTS);
    commit_load (&worker, datasets, &loaded, 0, offsets);
    uint32_t partition = loaded.runs[0].partition;
    build_wish_t wish = { .task = worker.next_task++,
                          .attempt = 1,
                          .partition = partition,
                          .cut = worker_control (&worker, partition, LOG_KIND_CUT, -1),
                          .clock = CLOCK - TIME_DAY,
                          .runs = datasets[partition].runs,
                          .runs_count = datasets[partition].runs_count };
    outputs_t outputs = worker_build (&worker, &wish);
    cr_assert_str_eq (outputs.status, "ok", "%s", outputs.error);
    cr_expect_eq (outputs.rows, EVENTS);
    cr_assert_eq (outputs.views_count, 1);
    cr_expect_str_eq (outputs.views[0].view, "large");
    cr_expect_neq (outputs.left_out[0], '\0');
    cr_expect_str_neq (outputs.left_out, "large");
    cr_expect_neq (outputs.why[0], '\0');
    cr_expect_gt (worker_read (&worker, outputs.views[0].path).size, EVENTS / 100 * 8);
    worker_release (&worker);
}

static void expect_skipped (const char *format, const char *text, const char *rejects)
{
    worker_t worker;
    worker_init (&worker, 1, LARGE);
    worker_write (&worker, "incoming/a", text_of (text));
    load_wish_t wish = {
        .task = 1, .attempt = 1, .path = "incoming/a", .id = "abc", .format = format, .skip = true
    };
    outputs_t outputs = worker_load (&worker, &wish);
    cr_expect_str_eq (outputs.status, "ok", "%s", outputs.error);
    cr_expect_eq (outputs.rows, 2);
    cr_expect_eq (outputs.refused, 3);
    cr_expect_str_eq (outputs.rejects, "incoming/abc.rejects");
    cr_expect (text_is (worker_read (&worker, outputs.rejects), rejects));
    /* rows keep their numbers in the file */
    run_t *run;
    error_t error;
    uint32_t last = 0;
    for (size_t i = 0; i < outputs.runs_count; i++) {
        cr_assert_eq (run_open (worker.fs, outputs.runs[i].path, NULL, &run, &error), STATUS_OK);
        run_cursor_t *cursor = run_cursor_new (run, NULL);
        batch_t batch;
        while (run_cursor_next (cursor, &batch, &error) == STATUS_OK)
            for (size_t r = 0; r < batch.rows; r++)
                last = batch.row[r] > last ? batch.row[r] : last;
        run_cursor_destroy (&cursor);
        run_destroy (&run);
    }
    cr_expect_eq (last, 4);
    worker_release (&worker);
}

Test (loads, put_aside_what_is_refused)
{
    expect_skipped ("csv",
                    "user,amount,note,ts\nu1,1,x,5\nu2,abc,x,5\nbad\nu3,\"q\"\"\",,1\nu4,1,,6",
                    "user,amount,note,ts\nu2,abc,x,5\nbad\nu3,\"q\"\"\",,1\n");
    expect_skipped ("ndjson",
                    "{\"user\":\"u\",\"ts\":5}\n{\"user\":5,\"ts\":5}\nnot json\n\n{\"x\":1}\n"
                    "{\"ts\":6}\n",
                    "{\"user\":5,\"ts\":5}\nnot json\n{\"x\":1}\n");
}
