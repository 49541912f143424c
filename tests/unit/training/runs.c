/* Training sets over runs on the disk: several as one, blocks that nobody asks for, and keys that
 * are too large. */
#include "tests/rig/scratch.h"
#include "tests/unit/training/feed.h"

#include "base/key.h"
#include "base/timestamp.h"
#include "batch-worker/training/training.h"
#include "storage/posix_fs.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { KEYS = 12000, EACH = 10, RUNS = 3, COLUMNS = 3 };

static const char DEFINITIONS[] =
    "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: int64, n: int64, t: timestamp}\n"
    "views:\n  v:\n    from: s\n    features:\n"
    "      count: count() over 1d\n      sum: sum(n)\n      last: last(n) over 1h\n";

typedef struct house {
    scratch_t scratch;
    fs_t *fs;
    arena_t *arena;
    definitions_t *definitions;
    plan_t *plan;
    columns_t columns;
    run_t *runs[RUNS];
    run_cursor_t *cursors[RUNS];
    training_run_t of_runs[RUNS];
    merge_source_t sources[RUNS];
    merge_t *merge;
    training_merge_t merged;
    training_place_t place;
} house_t;

static void check (status_t status, const error_t *error)
{
    cr_assert_eq (status, STATUS_OK, "%s", error->text);
}

static text_t key_of (house_t *self, int64_t number)
{
    buf_t out;
    value_t value = { .type = TYPE_INT64, .i = number };
    buf_init (&out, KEY_SIZE_MAX);
    key_put (&out, &value);
    text_t key = arena_text (self->arena, (text_t){ (const char *)out.data, (uint32_t)out.size });
    buf_release (&out);
    return key;
}

/* Event i of a key is at minute i, and is in run i % RUNS; its n is the key's number + i. */
static void write_run (house_t *self, size_t which)
{
    error_t error;
    char name[16];
    run_writer_t *writer;
    run_schema_t schema = { .log = text_of ("s/k"),
                            .partitions = 1,
                            .types = self->columns.types,
                            .ids = self->columns.ids,
                            .columns = self->columns.count };
    batch_t batch = batch_new (self->arena, self->columns.types, COLUMNS, KEYS * EACH);
    size_t rows = 0;
    for (int64_t k = 0; k < KEYS; k++)
        for (int64_t i = (int64_t)which; i < EACH; i += RUNS, rows++) {
            value_t value = { .type = TYPE_INT64, .i = k };
            column_set (&batch.column[0], rows, &value);
            value.i = k + i;
            column_set (&batch.column[1], rows, &value);
            batch.key[rows] = key_of (self, k);
            batch.event_time[rows] = i * TIME_MINUTE;
            batch.ingest_time[rows] = i * TIME_MINUTE;
            batch.offset[rows] = (uint64_t)(k * EACH + i);
            value = (value_t){ .type = TYPE_TIMESTAMP, .i = i * TIME_MINUTE };
            column_set (&batch.column[2], rows, &value);
        }
    (void)snprintf (name, sizeof name, "%zu.run", which);
    check (run_writer_new (self->fs, name, &schema, &writer, &error), &error);
    check (run_writer_add (writer, &batch, 0, rows, &error), &error);
    check (run_writer_finish (writer, NULL, &error), &error);
    run_writer_destroy (&writer);
}

static void house_make (house_t *self)
{
    error_t error;
    *self = (house_t){ .arena = arena_new (1 << 20) };
    scratch_make (&self->scratch);
    check (posix_fs_open (self->scratch.path, &self->fs, &error), &error);
    definition_file_t file = { "f.yaml", text_of (DEFINITIONS) };
    check (definitions_read (&file, 1, &self->definitions, &error), &error);
    self->plan = plan_new (&self->definitions->views[0]);
    self->columns = (columns_t){ self->plan->column_types, self->plan->column_ids, COLUMNS };
    for (size_t r = 0; r < RUNS; r++)
        write_run (self, r);
}

static merge_source_t open_runs (house_t *self)
{
    error_t error;
    self->place.key.size = 0;
    for (size_t r = 0; r < RUNS; r++) {
        char name[16];
        (void)snprintf (name, sizeof name, "%zu.run", r);
        check (run_open (self->fs, name, NULL, &self->runs[r], &error), &error);
        check (run_cursor_new_as (self->runs[r], &self->columns, self->plan->columns_used,
                                  &self->cursors[r], &error),
               &error);
        self->sources[r] = training_run_source (&self->of_runs[r], self->cursors[r], &self->place);
    }
    status_t status = merge_new (self->sources, RUNS, NULL, &self->merge, &error);
    if (status != STATUS_OK)
        return (merge_source_t){ NULL, NULL };
    return training_merge_source (&self->merged, self->merge);
}

static void close_runs (house_t *self)
{
    merge_destroy (&self->merge);
    training_merge_release (&self->merged);
    for (size_t r = 0; r < RUNS; r++) {
        run_cursor_destroy (&self->cursors[r]);
        run_destroy (&self->runs[r]);
    }
}

static void house_release (house_t *self)
{
    plan_destroy (&self->plan);
    definitions_destroy (&self->definitions);
    posix_fs_destroy (&self->fs);
    scratch_remove (&self->scratch);
    arena_destroy (&self->arena);
}

/* A row of every `step`-th key from `first` on, as of minute `minute`; what the pass ended with. */
static status_t ask (house_t *self, int64_t first, int64_t step, int64_t minute, size_t *answered)
{
    size_t rows = (size_t)((KEYS - first + step - 1) / step);
    batch_t spine = batch_new (self->arena, NULL, 0, rows);
    for (size_t i = 0; i < rows; i++) {
        spine.key[i] = key_of (self, first + (int64_t)i * step);
        spine.event_time[i] = minute * TIME_MINUTE;
        spine.offset[i] = i;
    }
    random_t random;
    random_seed (&random, 1);
    feed_t feed;
    training_source_t source = { self->plan, open_runs (self) };
    *answered = 0;
    if (source.events.next == NULL)
        return STATUS_CORRUPT;
    training_options_t options = { .sources = &source,
                                   .sources_count = 1,
                                   .spine = feed_init (&feed, &random, &spine, 50),
                                   .known = TRAINING_NONE,
                                   .memory = 1 << 20,
                                   .place = &self->place };
    training_t *training = training_new (&options);
    training_rows_t got;
    error_t error;
    status_t status;
    while ((status = training_next (training, &got, &error)) == STATUS_OK)
        for (size_t r = got.from; r < got.to; r++, ++*answered) {
            int64_t key = first + (int64_t)got.spine->offset[r] * step;
            int64_t events = minute + 1 < EACH ? minute + 1 : EACH;
            const outcome_t *count = outcome_of (got.task, got.outcomes, r - got.from, 0);
            const outcome_t *sum = outcome_of (got.task, got.outcomes, r - got.from, 1);
            const outcome_t *last = outcome_of (got.task, got.outcomes, r - got.from, 2);
            cr_assert_eq (count->value.i, events);
            cr_assert_eq (sum->value.i, events * key + events * (events - 1) / 2);
            cr_assert_eq (last->value.i, key + events - 1);
        }
    training_destroy (&training);
    feed_release (&feed);
    close_runs (self);
    return status;
}

Test (runs, of_a_partition_are_one_history)
{
    house_t house;
    size_t answered;
    house_make (&house);
    cr_expect_eq (ask (&house, 0, 1, 4, &answered), STATUS_END);
    cr_expect_eq (answered, KEYS);
    cr_expect_eq (ask (&house, 3, 997, 20, &answered), STATUS_END);
    cr_expect_eq (answered, 13);
    house_release (&house);
}

/* Damage in the middle of a run is found by who needs that block, and by nobody else. (The first
 * block is read before any row asks: the merge begins with it.) */
Test (runs, are_not_read_where_no_row_asks)
{
    house_t house;
    size_t answered;
    error_t error;
    house_make (&house);
    run_t *run;
    check (run_open (house.fs, "0.run", NULL, &run, &error), &error);
    cr_assert_gt (run_info (run)->blocks, 3);
    long middle = (long)run_info (run)->size / 2;
    run_destroy (&run);
    FILE *file = fopen (scratch_path (&house.scratch, "0.run"), "r+b");
    cr_assert_not_null (file);
    fseek (file, middle, SEEK_SET);
    int byte = fgetc (file);
    fseek (file, middle, SEEK_SET);
    fputc (byte ^ 1, file);
    fclose (file);
    cr_expect_eq (ask (&house, KEYS - 1, 1, 4, &answered), STATUS_END);
    cr_expect_eq (answered, 1);
    cr_expect_eq (ask (&house, 0, 1, 4, &answered), STATUS_CORRUPT);
    house_release (&house);
}
