/* Answers: which rows a window holds, and that layers may come in any order. */
#include "tests/unit/feature/generate.h"

#include "feature/answer.h"

#include <criterion/criterion.h>

typedef struct world {
    definitions_t *definitions;
    plan_t *plan;
    arena_t *arena;
    batch_t batch;
    projection_t rows;
} world_t;

static definitions_t *read_text (const char *text)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, text);
    return definitions;
}

static world_t world_new (const char *text)
{
    world_t world = { .definitions = read_text (text), .arena = arena_new (1 << 16) };
    world.plan = plan_new (&world.definitions->views[0]);
    return world;
}

static world_t random_world (random_t *random, size_t rows)
{
    buf_t text;
    buf_init (&text, 1 << 16);
    generate_definitions (random, true, &text);
    world_t world = world_new (buf_string (&text));
    buf_release (&text);
    world.batch = generate_batch (random, &world.definitions->streams[0], rows, world.arena);
    world.rows = plan_project (world.plan, &world.batch, world.arena);
    return world;
}

static void world_release (world_t *world)
{
    plan_destroy (&world->plan);
    definitions_destroy (&world->definitions);
    arena_destroy (&world->arena);
}

static bool same_bytes (const buf_t *a, const buf_t *b)
{
    return a->size == b->size && (a->size == 0 || memcmp (a->data, b->data, a->size) == 0);
}

static void encode (const answer_t *answer, buf_t *out)
{
    buf_clear (out);
    answer_encode (answer, out);
    cr_assert_not (out->bad);
}

Test (answers, a_window_is_open_at_its_left_edge_and_closed_at_its_right)
{
    world_t world = world_new ("streams:\n  s:\n    key: []\n    time: t\n    fields: {t: "
                               "timestamp}\n"
                               "views:\n  v:\n    from: s\n    features:\n"
                               "      n: count() over 1s, 1h, lifetime\n");
    const int64_t as_of = 10 * TIME_DAY;
    const int64_t times[] = { 0,
                              as_of - TIME_HOUR,
                              as_of - TIME_HOUR + 1,
                              as_of - TIME_SECOND,
                              as_of - TIME_SECOND + 1,
                              as_of,
                              as_of + 1 };
    static const type_t types[] = { TYPE_TIMESTAMP };
    world.batch = batch_new (world.arena, types, 1, 7);
    for (size_t i = 0; i < 7; i++)
        world.batch.event_time[i] = times[i];
    world.rows = plan_project (world.plan, &world.batch, world.arena);
    cr_assert_eq (world.rows.rows, 7, "the empty key is a global stream's entity");
    answer_t *answer = answer_new (world.plan);
    for (size_t i = 0; i < 7; i++)
        answer_add_row (answer, as_of, &world.rows, i);
    static const int64_t expected[] = { 2, 4, 6 };
    error_t error;
    for (size_t f = 0; f < 3; f++) {
        value_t value;
        cr_assert_eq (answer_final (answer, f, 0, NULL, &value, &error), STATUS_OK);
        cr_expect_eq (value.i, expected[f], "%s: %ld", world.plan->features[f].name, value.i);
    }
    answer_destroy (&answer);
    cr_expect_null (answer);
    world_release (&world);
}

/* The rows of a cell, one by one, with nothing shared. */
static void expected_cell (const world_t *world, int64_t as_of, const plan_cell_t *cell, buf_t *out)
{
    const plan_slot_t *slot = &world->plan->slots[cell->slot];
    _Alignas(16) uint8_t acc[1 << 16];
    cr_assert_leq (state_size (slot->spec), sizeof acc);
    state_init (slot->spec, acc);
    for (size_t r = 0; r < world->rows.rows; r++) {
        int64_t time = world->rows.time[r];
        bool in = time <= as_of - slot->delay;
        if (cell->window != WINDOW_LIFETIME)
            in = in && as_of - slot->delay - time < cell->window;
        if (in)
            plan_fold_slot (world->plan, cell->slot, acc, &world->rows, r);
    }
    state_encode (slot->spec, acc, out);
    state_release (slot->spec, acc);
}

Test (answers, each_cell_holds_the_rows_of_its_window)
{
    random_t random;
    random_seed (&random, 21);
    buf_t got, expected;
    buf_init (&got, ANSWER_ENCODED_MAX);
    buf_init (&expected, ANSWER_ENCODED_MAX);
    for (int round = 0; round < 200; round++) {
        world_t world = random_world (&random, 60);
        int64_t as_of = (int64_t)random_below (&random, 2400) * TIME_HOUR;
        answer_t *answer = answer_new (world.plan);
        for (size_t r = 0; r < world.rows.rows; r++)
            answer_add_row (answer, as_of, &world.rows, r);
        for (uint32_t c = 0; c < world.plan->cells_count; c++) {
            const plan_cell_t *cell = &world.plan->cells[c];
            buf_clear (&got);
            buf_clear (&expected);
            state_encode (world.plan->slots[cell->slot].spec, answer_cell (answer, c), &got);
            expected_cell (&world, as_of, cell, &expected);
            cr_assert (same_bytes (&got, &expected), "round %d, cell %u", round, c);
        }
        answer_destroy (&answer);
        world_release (&world);
    }
    buf_release (&got);
    buf_release (&expected);
}

Test (answers, merged_in_any_order_from_their_encodings_are_the_same)
{
    enum { LAYERS = 3 };
    random_t random;
    random_seed (&random, 22);
    buf_t whole, part, got;
    buf_init (&whole, ANSWER_ENCODED_MAX);
    buf_init (&part, ANSWER_ENCODED_MAX);
    buf_init (&got, ANSWER_ENCODED_MAX);
    for (int round = 0; round < 200; round++) {
        world_t world = random_world (&random, 60);
        int64_t as_of = (int64_t)random_below (&random, (uint64_t)GENERATE_TIME_MAX);
        answer_t *direct = answer_new (world.plan);
        answer_t *merged = answer_new (world.plan);
        answer_t *layers[LAYERS];
        for (size_t l = 0; l < LAYERS; l++)
            layers[l] = answer_new (world.plan);
        for (size_t r = 0; r < world.rows.rows; r++) {
            answer_add_row (direct, as_of, &world.rows, r);
            answer_add_row (layers[random_below (&random, LAYERS)], as_of, &world.rows, r);
        }
        size_t first = random_below (&random, LAYERS);
        for (size_t l = 0; l < LAYERS; l++) {
            encode (layers[(first + l) % LAYERS], &part);
            reader_t reader = reader_of (part.data, part.size);
            error_t error;
            status_t status = answer_merge (merged, &reader, &error);
            cr_assert_eq (status, STATUS_OK, "%s", error.text);
            cr_assert_eq (reader_left (&reader), 0);
        }
        encode (direct, &whole);
        encode (merged, &got);
        cr_assert (same_bytes (&whole, &got), "round %d", round);
        answer_reset (merged);
        answer_reset (direct);
        encode (merged, &got);
        cr_assert_eq (got.size, 1 + world.plan->cells_count, "an empty cell is one byte");
        answer_destroy (&direct);
        answer_destroy (&merged);
        for (size_t l = 0; l < LAYERS; l++)
            answer_destroy (&layers[l]);
        world_release (&world);
    }
    buf_release (&whole);
    buf_release (&part);
    buf_release (&got);
}

Test (answers, an_encoding_cut_anywhere_is_corrupt)
{
    random_t random;
    random_seed (&random, 23);
    buf_t bytes;
    buf_init (&bytes, ANSWER_ENCODED_MAX);
    world_t world = random_world (&random, 40);
    answer_t *answer = answer_new (world.plan);
    for (size_t r = 0; r < world.rows.rows; r++)
        answer_add_row (answer, GENERATE_TIME_MAX, &world.rows, r);
    encode (answer, &bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        answer_t *other = answer_new (world.plan);
        reader_t reader = reader_of (bytes.data, size);
        error_t error;
        cr_expect_eq (answer_merge (other, &reader, &error), STATUS_CORRUPT);
        answer_destroy (&other);
    }
    answer_destroy (&answer);
    world_release (&world);
    buf_release (&bytes);
}

Test (answers, what_does_not_fit_fails_that_feature_alone)
{
    world_t world = world_new (
        "streams:\n  s:\n    key: []\n    time: t\n    fields: {t: timestamp, b: int64}\n"
        "views:\n  v:\n    from: s\n    features:\n"
        "      total: sum(b)\n      n: count()\n");
    static const type_t types[] = { TYPE_TIMESTAMP, TYPE_INT64 };
    world.batch = batch_new (world.arena, types, 2, 2);
    value_t most = { .type = TYPE_INT64, .i = INT64_MAX };
    column_set (&world.batch.column[1], 0, &most);
    column_set (&world.batch.column[1], 1, &most);
    world.rows = plan_project (world.plan, &world.batch, world.arena);
    answer_t *answer = answer_new (world.plan);
    answer_add_row (answer, TIME_DAY, &world.rows, 0);
    answer_add_row (answer, TIME_DAY, &world.rows, 1);
    value_t value;
    error_t error;
    cr_expect_eq (answer_final (answer, 0, 0, NULL, &value, &error), STATUS_RANGE);
    cr_expect_eq (strncmp (error.text, "total: ", 7), 0, "%s", error.text);
    cr_expect_eq (answer_final (answer, 1, 0, NULL, &value, &error), STATUS_OK);
    cr_expect_eq (value.i, 2);
    answer_destroy (&answer);
    world_release (&world);
}
