/* layers.c - every aggregate over every kind of window, its events split over the layers.
 *
 * A case is one aggregate over inputs of one type, with or without `by` and `where`, in a view of
 * several windows and delays, of all rows or the newest. Its events are dealt at random to batch
 * view files, epochs of a timeline and loose rows; what these merge to, in any order and by way of
 * partials or not, must be what adding the window's rows one by one to one fresh state gives. */
#include "base/decimal.h"
#include "batchview/batchview.h"
#include "tests/oracle/oracle.h"
#include "tests/rig/cases.h"
#include "tests/unit/batchview/built.h"
#include "tests/unit/batchview/question.h"
#include "timeline/timeline.h"

#include <criterion/criterion.h>
#include <limits.h>

enum {
    FILES_MAX = 2,
    EPOCHS_MAX = 3,
    PARTS_MAX = FILES_MAX + EPOCHS_MAX + 1,
    KEYS = 3,
    EVENTS_MAX = 150,
    EVENTS_LARGE = 4000,
    QUERIES = 12,
};

/* ---- events ---- */

static value_t value_random (random_t *random, arena_t *arena, type_t type, int64_t time)
{
    static const char *const words[] = { "x", "y", "", "longer than sixteen bytes", "x" };
    static const int64_t whole[] = { INT64_MIN, INT64_MAX, 0, 1, -1, 7, 7, INT64_MAX - 1 };
    static const double real[] = { 0.0,    0.1,      -0.1,      1e308, -1e308,
                                   5e-324, INFINITY, -INFINITY, NAN,   1.0 };
    value_t value = { .type = type, .null = random_chance (random, 0.15) };
    char name[16];
    switch (type_family (type)) {
    case TYPE_BOOL:
        value.i = (int64_t)random_below (random, 2);
        break;
    case TYPE_FLOAT64:
        value.f = random_chance (random, 0.2)
                      ? value_float (real[random_below (random, sizeof real / sizeof *real)])
                      : (double)random_below (random, 200) / 8 - 7;
        break;
    case TYPE_STRING:
        (void)snprintf (name, sizeof name, "n%u", (unsigned)random_below (random, 60));
        value.s = random_chance (random, 0.7) ? text_of (words[random_below (random, 5)])
                                              : arena_text (arena, text_of (name));
        break;
    case TYPE_DECIMAL:
        value.d = random_chance (random, 0.1)
                      ? (random_chance (random, 0.5) ? 1 : -1) * (decimal_power (38) - 1)
                      : (int64_t)random_below (random, 2000) - 700;
        break;
    case TYPE_TIMESTAMP:
        value.i = time - (int64_t)random_below (random, 3) * TIME_MINUTE;
        break;
    default:
        value.i = random_chance (random, 0.1) ? whole[random_below (random, 8)]
                                              : (int64_t)random_below (random, 30) - 10;
        break;
    }
    return value;
}

static int64_t time_random (test_case_t *c, size_t row)
{
    random_t *random = &c->random;
    if (row > 0 && random_chance (random, 0.3)) /* a tie, or nearly */
        return c->batch.event_time[random_below (random, row)] + (int64_t)random_below (random, 2);
    int64_t time = CASE_START + (int64_t)random_below (random, (uint64_t)CASE_RANGE);
    return random_chance (random, 0.3) ? time / TIME_HOUR * TIME_HOUR : time;
}

static void event_fill (test_case_t *c, size_t row)
{
    batch_t *batch = &c->batch;
    int64_t time = time_random (c, row);
    for (uint32_t i = 0; i < stream->fields_count; i++) {
        if (!is_input (i))
            continue;
        value_t value = value_random (&c->random, c->arena, fields[i].type, time);
        if (row > 0 && random_chance (&c->random, 0.15))
            value = column_get (&batch->column[i], random_below (&c->random, row));
        if (!value.null)
            column_set (&batch->column[i], row, &value);
    }
    batch->event_time[row] = time;
    batch->ingest_time[row] = time;
    batch->offset[row] = row / 2;
    batch->row[row] = (uint32_t)(row % 2);
    batch->key[row] = case_key (c, (unsigned)random_below (&c->random, KEYS));
}

/* One of a thousand keys, and a string of 800 bytes. */
static void event_enlarge (test_case_t *c, size_t row)
{
    char text[801];
    value_t whole = { .type = TYPE_INT64, .i = (int64_t)random_below (&c->random, 1000) };
    value_t string = { .type = TYPE_STRING };
    (void)snprintf (text, sizeof text, "%0800lld", (long long)random_below (&c->random, 1 << 30));
    string.s = arena_text (c->arena, text_of (text));
    column_set (&c->batch.column[field_of (TYPE_INT64, 0)], row, &whole);
    column_set (&c->batch.column[field_of (TYPE_STRING, 0)], row, &string);
}

static void layers_init (test_case_t *c, uint64_t seed, const question_t *question)
{
    *c = (test_case_t){ .arena = arena_new (64 << 10), .plan = plan_of (question) };
    random_seed (&c->random, seed);
    size_t rows = 1 + random_below (&c->random, random_chance (&c->random, 0.3) ? 12 : EVENTS_MAX);
    rows = question->large ? EVENTS_LARGE : rows;
    c->batch = batch_new (c->arena, c->plan->column_types, c->plan->columns, rows);
    for (size_t i = 0; i < rows; i++) {
        event_fill (c, i);
        if (question->large)
            event_enlarge (c, i);
    }
    c->rows = plan_project (c->plan, &c->batch, c->arena);
    cr_assert_eq (c->rows.rows, rows);
}

/* ---- the layers ---- */

typedef struct layers {
    size_t files;
    built_t built[FILES_MAX];
    batchview_t *view[FILES_MAX];
    batchview_binding_t *binding[FILES_MAX];
    size_t epochs;
    timeline_t *epoch[EPOCHS_MAX];
    projection_t part[PARTS_MAX]; /* the rows of each file, each epoch, and what is loose */
    size_t parts;
} layers_t;

static void file_make (layers_t *self, test_case_t *c, size_t file, int64_t clock_at_cut)
{
    error_t error;
    built_t *built = &self->built[file];
    const projection_t *rows = &self->part[file];
    memory_file_init (&built->file);
    built->sections = built_sections (&c->random);
    built->info = (batchview_info_t){ .view = "v", .version = 7, .partitions = 1 };
    built->info.clock_at_cut = clock_at_cut;
    built->info.latest = INT64_MIN;
    for (size_t i = 0; i < rows->rows; i++)
        if (rows->time[i] <= clock_at_cut && rows->time[i] > built->info.latest)
            built->info.latest = rows->time[i];
    built->covered = *rows;
    cr_assert_eq (built_write (built, c, 1 + random_below (&c->random, 50), &error), STATUS_OK,
                  "%s", error.text);
    self->view[file] = built_open (built);
    self->binding[file] = batchview_bind (self->view[file], c->plan);
}

/* Deals the rows; those of files in their order, the others in any. */
static void layers_deal (layers_t *self, test_case_t *c)
{
    size_t count = c->rows.rows;
    size_t *picked = arena_zero (c->arena, count + 1, sizeof *picked);
    unsigned *to = arena_zero (c->arena, count + 1, sizeof *to);
    for (size_t i = 0; i < count; i++)
        to[i] =
            (unsigned)random_below (&c->random, random_chance (&c->random, 0.5) ? 1 : self->parts);
    built_rows = &c->rows;
    for (unsigned part = 0; part < self->parts; part++) {
        size_t rows = 0;
        for (size_t i = 0; i < count; i++)
            if (to[i] == part)
                picked[rows++] = i;
        for (size_t i = rows; i > 1; i--) {
            size_t other = random_below (&c->random, i), swapped = picked[i - 1];
            picked[i - 1] = picked[other];
            picked[other] = swapped;
        }
        if (part < self->files)
            qsort (picked, rows, sizeof *picked, built_compare);
        self->part[part] = case_rows (c, picked, rows);
    }
}

static void layers_make (layers_t *self, test_case_t *c)
{
    *self = (layers_t){ .files = random_below (&c->random, FILES_MAX + 1),
                        .epochs = random_below (&c->random, EPOCHS_MAX + 1) };
    self->parts = self->files + self->epochs + 1;
    layers_deal (self, c);
    for (size_t i = 0; i < self->files; i++)
        file_make (self, c, i,
                   CASE_START + (int64_t)random_below (&c->random, (uint64_t)CASE_RANGE * 3 / 2));
    for (size_t i = 0; i < self->epochs; i++) {
        self->epoch[i] = timeline_new (c->plan);
        timeline_add (self->epoch[i], &self->part[self->files + i]);
    }
}

static void layers_release (layers_t *self)
{
    for (size_t i = 0; i < self->files; i++) {
        batchview_binding_destroy (&self->binding[i]);
        batchview_unref (&self->view[i]);
        built_release (&self->built[i]);
    }
    for (size_t i = 0; i < self->epochs; i++)
        timeline_destroy (&self->epoch[i]);
}

/* Merges one part; a file that cannot tell leaves it to its rows. Did a file tell? */
static bool part_merge (layers_t *self, size_t part, text_t key, int64_t as_of, answer_t *answer)
{
    error_t error;
    if (part < self->files) {
        bool exact = false;
        status_t status = batchview_merge (self->view[part], self->binding[part], key, as_of,
                                           answer, &exact, &error);
        cr_assert_eq (status, STATUS_OK, "%s", error.text);
        if (exact)
            return true;
    } else if (part < self->files + self->epochs) {
        timeline_merge (self->epoch[part - self->files], key, as_of, answer);
        return false;
    }
    const projection_t *rows = &self->part[part];
    for (size_t i = 0; i < rows->rows; i++)
        if (text_equal (rows->key[i], key))
            answer_add_row (answer, as_of, rows, i);
    return false;
}

/* All parts in any order, each straight or by way of its bytes; returns how many files told. */
static size_t layers_merge (layers_t *self, test_case_t *c, text_t key, int64_t as_of,
                            answer_t *answer)
{
    size_t order[PARTS_MAX];
    size_t exact = 0;
    answer_t *between = answer_new (c->plan);
    buf_t bytes;
    buf_init (&bytes, ANSWER_ENCODED_MAX);
    for (size_t i = 0; i < self->parts; i++) {
        size_t other = random_below (&c->random, i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    for (size_t i = 0; i < self->parts; i++) {
        if (random_chance (&c->random, 0.5)) {
            exact += part_merge (self, order[i], key, as_of, answer);
            continue;
        }
        error_t error;
        answer_reset (between);
        exact += part_merge (self, order[i], key, as_of, between);
        buf_clear (&bytes);
        answer_encode (between, &bytes);
        cr_assert_not (bytes.bad);
        reader_t reader = reader_of (bytes.data, bytes.size);
        cr_assert_eq (answer_merge (answer, &reader, &error), STATUS_OK, "%s", error.text);
        cr_assert_eq (reader_left (&reader), 0);
    }
    buf_release (&bytes);
    answer_destroy (&between);
    return exact;
}

/* ---- the measure ---- */

/* Does the event count for the question, looking at its fields alone? Its inputs. */
static bool event_counts (const test_case_t *c, const question_t *question, uint16_t rows,
                          size_t event, value_t *inputs)
{
    const column_t *columns = c->batch.column;
    if (question->filtered) {
        value_t word = column_get (&columns[field_of (TYPE_STRING, 0)], event);
        if (word.null || !text_is (word.s, "x"))
            return false;
    }
    size_t count = 0;
    if (question->by != TYPE_NONE)
        inputs[count++] = column_get (&columns[field_of (question->by, 0)], event);
    if (question->input != TYPE_NONE)
        inputs[count++] = column_get (&columns[field_of (question->input, 0)], event);
    if (question->second != TYPE_NONE)
        inputs[count++] = column_get (&columns[field_of (question->second, 1)], event);
    for (size_t i = 0; i < count && rows == 0; i++)
        if (inputs[i].null)
            return false;
    return true;
}

static size_t told;    /* by files */
static size_t largest; /* partial */

/* The state of a feature's window, its rows added in any order. */
static void *state_of (test_case_t *c, const question_t *question, const plan_feature_t *feature,
                       text_t key, int64_t as_of)
{
    const plan_cell_t *cell = &c->plan->cells[feature->cell];
    const plan_slot_t *slot = &c->plan->slots[cell->slot];
    int64_t right = as_of - slot->delay;
    size_t count = c->batch.rows;
    size_t start = random_below (&c->random, count);
    size_t step =
        random_chance (&c->random, 0.5) ? 151 : 157; /* primes that are no factors of it */
    void *acc = mem_zero (1, state_size (slot->spec));
    state_init (slot->spec, acc);
    for (size_t i = 0; i < count; i++) {
        size_t event = (start + i * step) % count;
        int64_t time = c->batch.event_time[event];
        bool left = cell->window == WINDOW_LIFETIME || time > right - cell->window;
        value_t inputs[STATE_INPUTS_MAX];
        if (!text_equal (c->batch.key[event], key) || time > right || !left ||
            !event_counts (c, question, slot->spec.rows, event, inputs))
            continue;
        row_place_t place = { time, c->batch.offset[event], c->batch.row[event] };
        state_add (slot->spec, acc, state_inputs (slot->spec) > 0 ? inputs : NULL, &place);
    }
    return acc;
}

/* The oracle's word on it, where it knows the aggregate. */
static void check_oracle (test_case_t *c, const question_t *question, const plan_feature_t *feature,
                          text_t key, int64_t as_of, status_t status, const value_t *actual)
{
    const plan_cell_t *cell = &c->plan->cells[feature->cell];
    const plan_slot_t *slot = &c->plan->slots[cell->slot];
    oracle_event_t *events = arena_zero (c->arena, c->batch.rows, sizeof *events);
    size_t count = 0;
    for (size_t i = 0; i < c->batch.rows; i++) {
        if (!text_equal (c->batch.key[i], key))
            continue;
        value_t *values = arena_zero (c->arena, stream->fields_count, sizeof *values);
        for (size_t f = 0; f < stream->fields_count; f++)
            values[f] = column_get (&c->batch.column[f], i);
        events[count++] = (oracle_event_t){ .key = key,
                                            .time = c->batch.event_time[i],
                                            .offset = c->batch.offset[i],
                                            .row = c->batch.row[i],
                                            .values = values };
    }
    oracle_feature_t asked = {
        .aggregate = aggregate_info (question->aggregate)->word,
        .field = question->input != TYPE_NONE ? (int32_t)field_of (question->input, 0) : -1,
        .second = question->second != TYPE_NONE ? (int32_t)field_of (question->second, 1) : -1,
        .window = cell->window == WINDOW_LIFETIME ? ORACLE_LIFETIME : cell->window,
        .filters = { { field_of (TYPE_STRING, 0),
                       ORACLE_EQ,
                       { .type = TYPE_STRING, .s = { "x", 1 } } } },
        .filters_count = question->filtered,
        .parameter = feature->parameter.type == TYPE_INT64 ? feature->parameter.i : 0,
        .fraction = feature->parameter.type == TYPE_FLOAT64 ? feature->parameter.f : 0,
        .by = question->by != TYPE_NONE ? 1 + field_of (question->by, 0) : 0,
        .keys_max = question->by != TYPE_NONE ? state_keys_max (slot->spec) : 0,
        .rows = slot->spec.rows,
        .arena = c->arena,
    };
    value_t expected;
    status_t word = oracle_value (&asked, events, count, as_of - slot->delay, &expected);
    if (word == STATUS_INVALID) /* an aggregate that it does not know */
        return;
    cr_assert_eq (word, status, "%s: the oracle says otherwise", asked.aggregate);
    cr_assert (status != STATUS_OK || oracle_agree (&expected, actual),
               "%s: the oracle says otherwise", asked.aggregate);
}

static void check_feature (test_case_t *c, const question_t *question, size_t at, text_t key,
                           int64_t as_of, answer_t *answer, uint64_t seed)
{
    const plan_feature_t *feature = &c->plan->features[at];
    const plan_cell_t *cell = &c->plan->cells[feature->cell];
    state_spec_t spec = c->plan->slots[cell->slot].spec;
    int64_t delay = c->plan->slots[cell->slot].delay;
    void *expected = state_of (c, question, feature, key, as_of);
    buf_t left, right;
    buf_init (&left, AGGREGATE_PARTIAL_MAX);
    buf_init (&right, AGGREGATE_PARTIAL_MAX);
    state_encode (spec, expected, &left);
    largest = left.size > largest ? left.size : largest;
    state_encode (spec, answer_cell (answer, feature->cell), &right);
    cr_assert (!left.bad && left.size == right.size &&
                   (left.size == 0 || memcmp (left.data, right.data, left.size) == 0),
               "seed %lu: %s of %s by %s: window %ld delay %ld rows %u, as of %ld",
               (unsigned long)seed, aggregate_info (question->aggregate)->word,
               type_word (question->input), type_word (question->by), (long)cell->window,
               (long)delay, spec.rows, (long)as_of);
    value_t first, second;
    error_t error;
    const final_context_t context = { as_of - delay, cell->window, feature->parameter, c->arena };
    status_t one = state_final (spec, expected, feature->aggregate, &context, &first, &error);
    status_t other = answer_final (answer, at, as_of, c->arena, &second, &error);
    cr_assert_eq (one, other, "seed %lu", (unsigned long)seed);
    cr_assert (one != STATUS_OK || value_equal (&first, &second), "seed %lu: %s",
               (unsigned long)seed, aggregate_info (question->aggregate)->word);
    check_oracle (c, question, feature, key, as_of, other, &second);
    buf_release (&left);
    buf_release (&right);
    state_release (spec, expected);
    mem_free (expected);
}

static size_t asked; /* of files */

static void check_question (const question_t *question, uint64_t seed)
{
    test_case_t c;
    layers_t layers = { .files = 0 };
    layers_init (&c, seed, question);
    layers_make (&layers, &c);
    answer_t *answer = answer_new (c.plan);
    for (unsigned i = 0; i < QUERIES; i++) {
        text_t key = case_key (&c, (unsigned)random_below (&c.random, KEYS + 1));
        int64_t as_of = case_as_of (&c);
        if (layers.files > 0 && random_chance (&c.random, 0.6)) {
            const batchview_info_t *info =
                &layers.built[random_below (&c.random, layers.files)].info;
            bool clock = random_chance (&c.random, 0.5) || info->latest == INT64_MIN;
            as_of = (clock ? info->clock_at_cut : info->latest) +
                    (int64_t)random_below (&c.random, (uint64_t)c.plan->horizon + 1);
        }
        answer_reset (answer);
        told += layers_merge (&layers, &c, key, as_of, answer);
        asked += layers.files;
        for (size_t at = 0; at < c.plan->features_count; at++)
            check_feature (&c, question, at, key, as_of, answer, seed);
    }
    answer_destroy (&answer);
    layers_release (&layers);
    plan_destroy (&c.plan);
    arena_destroy (&c.arena);
}

static size_t wrapped; /* questions with `by` */

/* With and without `where`, with and without `by`. */
static void check_inputs (aggregate_t aggregate, type_t input, type_t second, uint64_t *seed)
{
    static const type_t keys[] = { TYPE_NONE, TYPE_STRING, TYPE_INT64, TYPE_BOOL,
                                   (type_t)(DECIMAL_TYPE_BASE + 2) };
    for (size_t by = 0; by < sizeof keys / sizeof *keys; by++) {
        for (int filtered = 0; filtered < 2; filtered++) {
            question_t question = { aggregate, input, second, keys[by], filtered != 0, false };
            if (!possible (&question, 0))
                continue;
            wrapped += keys[by] != TYPE_NONE;
            for (unsigned i = 0; i < cases (3); i++)
                check_question (&question, (*seed)++);
        }
    }
}

static void check_aggregate (aggregate_t aggregate, uint64_t *seed)
{
    const aggregate_info_t *info = aggregate_info (aggregate);
    if (aggregate_takes (aggregate, TYPE_NONE, TYPE_NONE))
        check_inputs (aggregate, TYPE_NONE, TYPE_NONE, seed);
    for (size_t i = 0; i < TYPES_COUNT; i++) {
        if ((info->inputs & type_bit (TYPES[i])) == 0)
            continue;
        if (info->second == 0)
            check_inputs (aggregate, TYPES[i], TYPE_NONE, seed);
        for (size_t j = 0; j < TYPES_COUNT; j++)
            if ((info->second & type_bit (TYPES[j])) != 0)
                check_inputs (aggregate, TYPES[i], TYPES[j], seed);
    }
}

Test (layers, every_aggregate_over_every_window_is_the_same_however_its_events_are_split)
{
    uint64_t seed = 9000;
    stream_init ();
    told = asked = wrapped = 0;
    for (aggregate_t aggregate = AGGREGATE_NONE + 1; aggregate < AGGREGATE_COUNT_OF; aggregate++)
        check_aggregate (aggregate, &seed);
    cr_assert_gt (wrapped, 0);
    cr_assert_gt (wrapped, 0);
    cr_assert_gt (told, asked / 3, "files answered %zu of %zu", told, asked);
    definitions_destroy (&definitions);
}

/* Partials of more than 64 KiB, whose size takes three bytes, in files and the caches of timelines.
 */
Test (layers, large_partials_are_the_same_however_events_are_split)
{
    question_t question = { AGGREGATE_LAST, TYPE_STRING, TYPE_NONE, TYPE_INT64, false, true };
    stream_init ();
    largest = 0;
    for (uint64_t seed = 8000; seed < 8006; seed++)
        check_question (&question, seed);
    cr_assert_gt (largest, 1 << 16);
    definitions_destroy (&definitions);
}
