/* random_history.h - batches as runs have them: in order of key and time. For the tests of blocks.
 */
#ifndef WEIR_TESTS_RANDOM_HISTORY_H
#define WEIR_TESTS_RANDOM_HISTORY_H

#include "tests/unit/block/random_batch.h"

enum {
    HISTORY_ID,
    HISTORY_NAME,
    HISTORY_AMOUNT,
    HISTORY_LATENESS,
    HISTORY_OTHER_TIME,
    HISTORY_DISTANCE,
    HISTORY_FIELDS
};

static const type_t history_types[HISTORY_FIELDS] = { TYPE_INT64, TYPE_STRING,    TYPE_FLOAT64,
                                                      TYPE_INT64, TYPE_TIMESTAMP, TYPE_INT64 };

/* The bytes of a key of an id and a name. */
static inline text_t history_key (arena_t *arena, int64_t id, text_t name)
{
    buf_t out;
    buf_init (&out, KEY_SIZE_MAX);
    key_put (&out, &(value_t){ .type = TYPE_INT64, .i = id });
    key_put (&out, &(value_t){ .type = TYPE_STRING, .s = name });
    text_t key = arena_text (arena, (text_t){ (char *)out.data, (uint32_t)out.size });
    buf_release (&out);
    return key;
}

static inline void history_fill (random_t *random, batch_t *batch, size_t row)
{
    static const int64_t distances[] = { 2176, 215, 406, INT64_MIN, 2345, INT64_MAX };
    column_t *column = batch->column;
    for (size_t c = 0; c < HISTORY_FIELDS; c++)
        column[c].valid[row] = 1;
    column[HISTORY_AMOUNT].f[row] = (double)random_below (random, 100000) / 100.0;
    int64_t most = INT64_C (1) << random_below (random, 9);
    column[HISTORY_LATENESS].i[row] = (int64_t)random_below (random, (uint64_t)most) - most / 2;
    column[HISTORY_OTHER_TIME].i[row] =
        batch->event_time[row] + (int64_t)random_below (random, 5000);
    column[HISTORY_DISTANCE].i[row] = distances[random_below (random, 6)];
}

/* Rows in order of key and time, at positions in the order of time, of keys that come up to `often`
 * times. */
static inline batch_t random_history (random_t *random, arena_t *arena, size_t rows, uint64_t often)
{
    batch_t batch = batch_new (arena, history_types, HISTORY_FIELDS, rows);
    int64_t id = (int64_t)random_below (random, 1000) - 500;
    size_t row = 0;
    while (row < rows) {
        char *name = arena_alloc (arena, 16);
        snprintf (name, 16, "u%08x", (unsigned)(id + 1000));
        text_t key = history_key (arena, id, text_of (name));
        int64_t time = INT64_C (1700000000000000);
        for (uint64_t i = random_below (random, often) + 1; i > 0 && row < rows; i--, row++) {
            time += (int64_t)random_below (random, UINT64_C (3000000000));
            batch.key[row] = key;
            batch.event_time[row] = time;
            batch.ingest_time[row] = time;
            batch.offset[row] =
                (uint64_t)(time - INT64_C (1700000000000000)) / 1000000 + random_below (random, 9);
            batch.column[HISTORY_ID].i[row] = id;
            batch.column[HISTORY_NAME].s[row] = text_of (name);
            history_fill (random, &batch, row);
        }
        id += (int64_t)random_below (random, 20) + 1;
    }
    return batch;
}

#endif
