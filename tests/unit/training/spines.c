/* Spines in memory: what was gathered comes back in order, whatever its keys are. */
#include "tests/unit/training/feed.h"

#include "base/key.h"
#include "base/mem.h"
#include "batch-worker/training/spine.h"

#include <criterion/criterion.h>

enum { ROWS_MOST = 6000 };

/* How keys look: numbers, numbers and the empty key, texts of any size. */
typedef enum keys { KEYS_NUMBERS, KEYS_SOME_EMPTY, KEYS_TEXTS } keys_t;

static text_t random_key (random_t *random, keys_t keys, arena_t *arena)
{
    char text[64];
    size_t size =
        random_below (random, 3) == 0 ? random_below (random, 60) : random_below (random, 5);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + random_below (random, 2));
    value_t number = { .type = TYPE_INT64, .i = (int64_t)random_below (random, 200) - 100 };
    value_t string = { .type = TYPE_STRING, .s = { text, (uint32_t)size } };
    buf_t out;
    buf_init (&out, KEY_SIZE_MAX);
    if (random_chance (random, 0.05))
        number.i = INT64_MIN; /* whose bytes are zeros */
    if (keys == KEYS_NUMBERS || (keys != KEYS_TEXTS && random_chance (random, 0.9)))
        key_put (&out, &number);
    else if (keys == KEYS_TEXTS)
        key_put (&out, &string);
    text_t key = arena_text (arena, (text_t){ (const char *)out.data, (uint32_t)out.size });
    buf_release (&out);
    return key;
}

static const type_t types[] = { TYPE_FLOAT64, TYPE_STRING };

static batch_t random_rows (random_t *random, keys_t keys, size_t columns, size_t rows,
                            arena_t *arena)
{
    batch_t batch = batch_new (arena, types, columns, rows);
    for (size_t i = 0; i < rows; i++) {
        batch.key[i] = random_key (random, keys, arena);
        batch.event_time[i] = (int64_t)random_below (random, 50);
        batch.offset[i] = i;
        value_t number = { .type = TYPE_FLOAT64, .f = (double)i };
        value_t text = { .type = TYPE_STRING, .s = batch.key[i] };
        if (columns > 0)
            column_set (&batch.column[0], i, &number);
        if (columns > 1 && random_chance (random, 0.7))
            column_set (&batch.column[1], i, &text);
    }
    return batch;
}

static void add_all (random_t *random, spine_t *spine, const batch_t *batch, arena_t *arena)
{
    uint32_t *which = arena_alloc (arena, batch->rows * sizeof *which);
    for (size_t i = 0; i < batch->rows; i++) { /* in any order */
        size_t at = random_below (random, i + 1);
        which[i] = which[at];
        which[at] = (uint32_t)i;
    }
    for (size_t from = 0, rows; from < batch->rows; from += rows) {
        rows = 1 + random_below (random, batch->rows - from);
        spine_add (spine, batch, which + from, rows);
    }
}

static void check_rows (const batch_t *expected, size_t from, const batch_t *got)
{
    for (size_t i = 0; i < got->rows; i++) {
        cr_assert (text_equal (expected->key[from + i], got->key[i]));
        cr_assert_eq (expected->event_time[from + i], got->event_time[i]);
        cr_assert_eq (expected->offset[from + i], got->offset[i], "row %zu", from + i);
        for (size_t c = 0; c < got->columns; c++) {
            value_t a = column_get (&expected->column[c], from + i);
            value_t b = column_get (&got->column[c], i);
            cr_assert (value_equal (&a, &b));
        }
    }
}

Test (spine, gives_what_was_gathered_in_order)
{
    random_t random;
    random_seed (&random, 7);
    for (int round = 0; round < 60; round++) {
        arena_t *arena = arena_new (1 << 16);
        size_t rows = random_below (&random, round % 3 == 0 ? ROWS_MOST : 40);
        size_t columns = (size_t)round / 3 % 3;
        batch_t batch = random_rows (&random, (keys_t)(round % 3), columns, rows, arena);
        batch_t sorted = feed_sorted (&batch, arena);
        spine_t *spine = spine_new (types, columns, random_below (&random, 100));
        batch_t got;
        error_t error;
        size_t from = 0;
        status_t status;
        add_all (&random, spine, &batch, arena);
        cr_assert_eq (spine_rows (spine), rows);
        cr_assert_geq (spine_bytes (spine), rows * 24);
        void *spare = round % 2 == 0 ? arena_alloc (arena, spine_spare (spine)) : NULL;
        merge_source_t source = spine_source (spine, spare);
        for (; (status = source.next (source.self, &got, &error)) == STATUS_OK; from += got.rows)
            check_rows (&sorted, from, &got);
        cr_assert_eq (status, STATUS_END);
        cr_assert_eq (from, rows);
        size_t spare_size = spine_spare (spine), size;
        uint8_t *memory = spine_recycle (&spine, &size);
        cr_assert_null (spine);
        cr_assert_geq (size, spare_size);
        for (size_t i = 0; i < size; i++)
            memory[i] = 0xff; /* all of it is the caller's: the sanitizers look */
        mem_free (memory);
        arena_destroy (&arena);
    }
}
