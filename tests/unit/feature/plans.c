/* Plans: what is shared, what a projection holds, and how rows are folded. */
#include "tests/unit/feature/generate.h"

#include "base/mem.h"
#include "feature/plan.h"

#include <criterion/criterion.h>

#define HEAD                                                                                       \
    "streams:\n  s:\n    key: k\n    time: t\n    fields:\n      k: string\n      a: float64\n"    \
    "      b: int64\n      t: timestamp\n"                                                         \
    "views:\n  v:\n    from: s\n"

static definitions_t *read_text (const char *text)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, text);
    return definitions;
}

static plan_t *plan_of (const char *text)
{
    definitions_t *definitions = read_text (text);
    plan_t *plan = plan_new (&definitions->views[0]);
    definitions_destroy (&definitions); /* the plan stands alone */
    return plan;
}

Test (plans, sum_and_mean_of_one_window_share_a_cell)
{
    plan_t *plan = plan_of (HEAD "    features:\n"
                                 "      s: sum(a + b) over 1h, 7d\n"
                                 "      m: mean(( a+b )) over 60m\n"
                                 "      n: count() over 1h\n"
                                 "      p: sum(a + b) where b > 1 over 1h\n"
                                 "      q: max(a) where (b>1)\n");
    cr_expect_eq (plan->lanes_count, 2);
    cr_expect_eq (plan->filters_count, 1);
    cr_expect_eq (plan->slots_count, 4);
    cr_expect_eq (plan->cells_count, 5);
    cr_expect_eq (plan->features_count, 6);
    cr_expect_eq (plan->features[0].cell, plan->features[2].cell);
    cr_expect_neq (plan->features[0].aggregate, plan->features[2].aggregate);
    cr_expect_eq (plan->windows_count, 3);
    cr_expect_eq (plan->windows[0], TIME_HOUR);
    cr_expect_eq (plan->windows[2], WINDOW_LIFETIME);
    cr_expect_eq (plan->columns_used[0], 6, "a and b, not k and t");
    plan_destroy (&plan);
    cr_expect_null (plan);
}

Test (plans, a_ttl_is_no_part_of_any_state)
{
    plan_t *with = plan_of (HEAD "    ttl: 1d\n    features:\n      s: sum(a) over 1h\n");
    plan_t *without = plan_of (HEAD "    features:\n      s: sum(a) over 1h\n");
    cr_expect_eq (with->ttl, TIME_DAY);
    cr_expect_eq (without->ttl, 0);
    cr_expect_eq (with->hash, without->hash);
    plan_destroy (&with);
    plan_destroy (&without);
}

Test (plans, features_are_of_events_unless_they_are_derived_from_none)
{
    plan_t *plan = plan_of (HEAD "    request: {r: float64}\n    features:\n      s: sum(a)\n"
                                 "    derived:\n      far: near + r\n      near: s + 1\n"
                                 "      big: r > 5\n      bigger: big or r > 9\n");
    static const bool expected[] = { true, true, true, false, false };
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq (plan->features[i].of_events, expected[i], "%s", plan->features[i].name);
    plan_destroy (&plan);
}

Test (plans, type_of_a_feature_is_that_of_its_aggregate_or_input)
{
    plan_t *plan = plan_of (HEAD "    features:\n"
                                 "      n: count(a)\n      s: sum(b)\n      m: mean(b)\n"
                                 "      l: last(t)\n      f: first(k)\n");
    static const type_t expected[] = { TYPE_INT64, TYPE_INT64, TYPE_FLOAT64, TYPE_TIMESTAMP,
                                       TYPE_STRING };
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq (plan->features[i].type.type, expected[i]);
    cr_expect_eq (plan_feature_index (plan, text_of ("m")), 2);
    cr_expect_eq (plan_feature_index (plan, text_of ("mm")), -1);
    plan_destroy (&plan);
}

Test (plans, nearest_feature_is_suggested)
{
    plan_t *plan = plan_of (HEAD "    features:\n      spend: sum(a) over 7d, 30d\n");
    cr_expect_str_eq (plan_nearest_feature (plan, text_of ("spnd_7d")), "spend_7d");
    cr_expect_null (plan_nearest_feature (plan, text_of ("")));
    cr_expect_null (plan_nearest_feature (plan, text_of ("nothing_like_it")));
    plan_destroy (&plan);
}

Test (plans, places_are_aligned_and_do_not_overlap)
{
    random_t random;
    random_seed (&random, 11);
    for (int round = 0; round < 100; round++) {
        buf_t text;
        buf_init (&text, 1 << 16);
        generate_definitions (&random, true, &text);
        plan_t *plan = plan_of (buf_string (&text));
        size_t end = 0;
        for (size_t i = 0; i < plan->cells_count; i++) {
            const plan_cell_t *cell = &plan->cells[i];
            cr_assert_eq (cell->place % 16, 0);
            cr_assert_geq (cell->place, end);
            end = cell->place + state_size (plan->slots[cell->slot].spec);
            bool ordered =
                i == 0 || plan->cells[i - 1].slot < cell->slot ||
                (plan->cells[i - 1].slot == cell->slot && plan->cells[i - 1].window < cell->window);
            cr_assert (ordered);
        }
        cr_assert_leq (end, plan->cells_size);
        plan_destroy (&plan);
        buf_release (&text);
    }
}

Test (plans, of_a_definition_and_of_its_canonical_text_are_equal)
{
    random_t random;
    random_seed (&random, 12);
    for (int round = 0; round < 500; round++) {
        buf_t text;
        buf_init (&text, 1 << 16);
        generate_definitions (&random, random_chance (&random, 0.8), &text);
        definitions_t *first = read_text (buf_string (&text));
        definition_file_t files[] = { { "s.yaml", text_of (first->streams[0].text) },
                                      { "v.yaml", text_of (first->views[0].text) } };
        definitions_t *second = NULL;
        error_t error;
        status_t status = definitions_read (files, 2, &second, &error);
        cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, first->views[0].text);
        cr_assert_str_eq (second->views[0].text, first->views[0].text);
        plan_t *a = plan_new (&first->views[0]);
        plan_t *b = plan_new (&second->views[0]);
        cr_assert_eq (a->hash, b->hash, "%s", buf_string (&text));
        cr_assert_eq (a->features_count, b->features_count);
        for (size_t i = 0; i < a->features_count; i++) {
            cr_assert_str_eq (a->features[i].name, b->features[i].name);
            cr_assert_eq (a->features[i].cell, b->features[i].cell);
        }
        plan_destroy (&a);
        plan_destroy (&b);
        definitions_destroy (&first);
        definitions_destroy (&second);
        buf_release (&text);
    }
}

/* The batch's row alone. */
static batch_t single_row (const batch_t *batch, size_t row, arena_t *arena)
{
    type_t types[FIELDS_MAX];
    for (size_t c = 0; c < batch->columns; c++)
        types[c] = batch->column[c].type;
    batch_t one = batch_new (arena, types, batch->columns, 1);
    for (size_t c = 0; c < batch->columns; c++) {
        value_t value = column_get (&batch->column[c], row);
        if (!value.null)
            column_set (&one.column[c], 0, &value);
    }
    return one;
}

static bool is_true (const expr_t *expr, const batch_t *one, arena_t *arena)
{
    column_t result = expr_eval (expr, one->column, 1, arena);
    return result.valid[0] && result.i[0] != 0;
}

static void check_row (const plan_t *plan, const batch_t *batch, size_t from,
                       const projection_t *rows, size_t to, arena_t *arena)
{
    batch_t one = single_row (batch, from, arena);
    cr_assert_eq (rows->time[to], batch->event_time[from]);
    cr_assert_eq (rows->offset[to], batch->offset[from]);
    cr_assert_eq (rows->row[to], batch->row[from]);
    cr_assert (text_equal (rows->key[to], batch->key[from]));
    for (size_t l = 0; l < plan->lanes_count; l++) {
        column_t expected = expr_eval (plan->lanes[l], one.column, 1, arena);
        value_t a = column_get (&rows->lane[l], to);
        value_t b = column_get (&expected, 0);
        cr_assert (value_equal (&a, &b));
    }
    for (size_t f = 0; f < plan->filters_count; f++)
        cr_assert_eq (rows->filter[f][to], is_true (plan->filters[f], &one, arena));
}

Test (plans, projection_is_what_each_row_alone_gives)
{
    random_t random;
    random_seed (&random, 13);
    for (int round = 0; round < 200; round++) {
        buf_t text;
        buf_init (&text, 1 << 16);
        generate_definitions (&random, random_chance (&random, 0.8), &text);
        definitions_t *definitions = read_text (buf_string (&text));
        plan_t *plan = plan_new (&definitions->views[0]);
        arena_t *arena = arena_new (1 << 16);
        size_t count = random_below (&random, 40);
        batch_t batch = generate_batch (&random, &definitions->streams[0], count, arena);
        projection_t rows = plan_project (plan, &batch, arena);
        size_t to = 0;
        for (size_t r = 0; r < count; r++) {
            batch_t one = single_row (&batch, r, arena);
            bool in = plan->where == NULL || is_true (plan->where, &one, arena);
            if (!in || (plan->keyed && batch.key[r].size == 0))
                continue;
            cr_assert_lt (to, rows.rows);
            check_row (plan, &batch, r, &rows, to, arena);
            to++;
        }
        cr_assert_eq (to, rows.rows);
        arena_destroy (&arena);
        plan_destroy (&plan);
        definitions_destroy (&definitions);
        buf_release (&text);
    }
}

Test (plans, columns_that_nothing_reads_are_not_touched)
{
    plan_t *plan = plan_of (HEAD "    where: b > 1\n    features:\n      s: sum(a)\n");
    arena_t *arena = arena_new (4096);
    static const type_t types[] = { TYPE_STRING, TYPE_FLOAT64, TYPE_INT64, TYPE_TIMESTAMP };
    batch_t batch = batch_new (arena, types, 4, 2);
    value_t b = { .type = TYPE_INT64, .i = 2 }, a = { .type = TYPE_FLOAT64, .f = 2.5 };
    column_set (&batch.column[2], 1, &b);
    column_set (&batch.column[1], 1, &a);
    batch.key[0] = batch.key[1] = text_of ("k");
    batch.column[0].valid = NULL;
    batch.column[0].s = NULL;
    batch.column[3].valid = NULL;
    batch.column[3].i = NULL;
    projection_t rows = plan_project (plan, &batch, arena);
    cr_assert_eq (rows.rows, 1);
    cr_expect_eq (rows.lane[0].f[0], 2.5);
    cr_expect (plan_row_counts (plan, 0, &rows, 0));
    arena_destroy (&arena);
    plan_destroy (&plan);
}

Test (plans, folding_all_slots_is_folding_each)
{
    random_t random;
    random_seed (&random, 14);
    for (int round = 0; round < 100; round++) {
        buf_t text, all, each;
        buf_init (&text, 1 << 16);
        buf_init (&all, 1 << 20);
        buf_init (&each, 1 << 20);
        generate_definitions (&random, true, &text);
        definitions_t *definitions = read_text (buf_string (&text));
        plan_t *plan = plan_new (&definitions->views[0]);
        arena_t *arena = arena_new (1 << 16);
        batch_t batch = generate_batch (&random, &definitions->streams[0], 50, arena);
        projection_t rows = plan_project (plan, &batch, arena);
        void *slots = mem_alloc (plan->slots_size);
        plan_slots_init (plan, slots);
        for (int again = 0; again < 2; again++) {
            plan_slots_reset (plan, slots);
            for (size_t r = 0; r < rows.rows; r++)
                plan_fold (plan, slots, &rows, r);
        }
        for (uint32_t s = 0; s < plan->slots_count; s++) {
            const plan_slot_t *slot = &plan->slots[s];
            void *acc = mem_alloc (state_size (slot->spec));
            state_init (slot->spec, acc);
            for (size_t r = rows.rows; r-- > 0;)
                plan_fold_slot (plan, s, acc, &rows, r);
            buf_clear (&all);
            buf_clear (&each);
            state_encode (slot->spec, (uint8_t *)slots + slot->place, &all);
            state_encode (slot->spec, acc, &each);
            cr_assert_eq (all.size, each.size);
            cr_assert (all.size == 0 || memcmp (all.data, each.data, all.size) == 0);
            state_release (slot->spec, acc);
            mem_free (acc);
        }
        plan_slots_release (plan, slots);
        mem_free (slots);
        arena_destroy (&arena);
        plan_destroy (&plan);
        definitions_destroy (&definitions);
        buf_release (&text);
        buf_release (&all);
        buf_release (&each);
    }
}
