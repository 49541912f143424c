/* Rows of one definition read under another. */
#include "tests/unit/storage/run_fixture.h"

#include "storage/log.h"
#include "storage/payload.h"

#include <criterion/criterion.h>
#include <string.h>

enum { ROUNDS = 150, IDS = 40 };

static error_t error;

/* Different numbers in any order, mostly 0, 1, 2, … */
static void random_ids (random_t *random, uint16_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ids[i] = (uint16_t)i;
    if (random_chance (random, 0.3))
        return;
    for (size_t i = 0; i < count; i++)
        ids[i] = (uint16_t)(ids[i] * (IDS / count) + random_below (random, IDS / count));
    for (size_t i = count; i > 1; i--) {
        size_t other = random_below (random, i);
        uint16_t id = ids[i - 1];
        ids[i - 1] = ids[other];
        ids[other] = id;
    }
}

/* Another definition: some fields as they were, some widened, some gone, some new. */
static size_t random_columns (random_t *random, const run_schema_t *stored, type_t *types,
                              uint16_t *ids)
{
    size_t count = 0;
    for (size_t i = 0; i < stored->columns; i++) {
        if (random_chance (random, 0.2))
            continue;
        bool widens = stored->types[i] == TYPE_INT64 && random_chance (random, 0.5);
        types[count] = widens ? TYPE_FLOAT64 : stored->types[i];
        ids[count++] = stored->ids[i];
    }
    for (uint16_t id = IDS; id < IDS + random_below (random, 4); id++) {
        size_t at = random_below (random, count + 1);
        memmove (types + at + 1, types + at, (count - at) * sizeof *types);
        memmove (ids + at + 1, ids + at, (count - at) * sizeof *ids);
        types[at] = random_chance (random, 0.5) ? TYPE_STRING : TYPE_INT64;
        ids[at] = id;
        count++;
    }
    return count;
}

static value_t expected_value (const batch_t *batch, size_t row, const run_schema_t *stored,
                               type_t type, uint16_t id)
{
    for (size_t i = 0; i < stored->columns; i++) {
        if (stored->ids[i] != id)
            continue;
        value_t value = column_get (&batch->column[i], row);
        if (value.type == TYPE_INT64 && type == TYPE_FLOAT64)
            return value.null ? (value_t){ .type = type, .null = true }
                              : (value_t){ .type = type, .f = (double)value.i };
        return value;
    }
    return (value_t){ .type = type, .null = true };
}

static void expect_rows (run_cursor_t *cursor, const batch_t *batch, const run_schema_t *stored,
                         const columns_t *as, const uint64_t *wanted)
{
    batch_t got;
    size_t row = 0;
    while (run_cursor_next (cursor, &got, &error) == STATUS_OK) {
        cr_assert_eq (got.columns, as->count);
        for (size_t i = 0; i < got.rows; i++, row++) {
            cr_assert_eq (got.event_time[i], batch->event_time[row]);
            cr_assert (text_equal (got.key[i], batch->key[row]));
            for (size_t c = 0; c < as->count; c++) {
                if (wanted && (wanted[c / 64] >> c % 64 & 1) == 0)
                    continue;
                value_t value = column_get (&got.column[c], i);
                value_t expected = expected_value (batch, row, stored, as->types[c], as->ids[c]);
                cr_assert (value_equal (&value, &expected), "row %zu, column %zu", row, c);
            }
        }
    }
    cr_assert_eq (row, batch->rows);
}

Test (columns, of_a_run_are_read_as_those_of_another_definition)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        run_fixture_t fixture;
        run_fixture_init (&fixture, seed);
        uint16_t stored[FIXTURE_COLUMNS];
        random_ids (&fixture.random, stored, fixture.columns);
        fixture.schema.ids = stored;
        batch_t batch = run_fixture_sorted (&fixture, random_below (&fixture.random, 300), false);
        run_fixture_write (&fixture, "a", &batch);
        run_t *run = run_fixture_open (&fixture, "a", RUN_OFFSET_AS_WRITTEN);
        cr_assert_eq (run_info (run)->schema.columns, fixture.columns);
        for (size_t i = 0; i < fixture.columns; i++)
            cr_assert_eq (run_info (run)->schema.ids[i], stored[i]);
        type_t types[FIXTURE_COLUMNS + 4];
        uint16_t ids[FIXTURE_COLUMNS + 4];
        columns_t as = { types, ids,
                         random_columns (&fixture.random, &fixture.schema, types, ids) };
        uint64_t some[BLOCK_WANTED_WORDS] = { random_next (&fixture.random) };
        const uint64_t *wanted = seed % 2 == 0 ? NULL : some;
        run_cursor_t *cursor;
        cr_assert_eq (run_cursor_new_as (run, &as, wanted, &cursor, &error), STATUS_OK, "%s",
                      error.text);
        expect_rows (cursor, &batch, &fixture.schema, &as, wanted);
        run_cursor_destroy (&cursor);
        run_destroy (&run);
        run_fixture_release (&fixture);
    }
}

Test (columns, that_became_narrower_belong_to_older_definitions)
{
    static const type_t types[] = { TYPE_FLOAT64, TYPE_STRING };
    static const type_t narrow[] = { TYPE_INT64, TYPE_STRING };
    columns_t from = { types, NULL, 2 };
    columns_t as = { narrow, NULL, 2 };
    columns_map_t map;
    cr_expect_eq (columns_map_make (&map, &from, &as, &error), STATUS_STALE);
    cr_expect_eq (columns_map_make (&map, &as, &from, &error), STATUS_OK);
}

Test (columns, of_a_record_are_told_unless_they_are_plain)
{
    random_t random;
    random_seed (&random, 5);
    for (int round = 0; round < 500; round++) {
        events_payload_t payload = { .sequence = 7, .accepted = 1, .block = text_of ("block") };
        events_payload_t got;
        payload.ids_count = 1 + random_below (&random, 20);
        payload.has_ids = round % 4 != 0;
        random_ids (&random, payload.ids, payload.ids_count);
        buf_t out;
        buf_init (&out, LOG_PAYLOAD_MAX);
        events_payload_encode (&payload, &out);
        text_t bytes = { (const char *)out.data, (uint32_t)out.size };
        cr_assert_eq (events_payload_decode (bytes, &got, &error), STATUS_OK, "%s", error.text);
        cr_assert_eq (got.has_ids, payload.has_ids);
        cr_assert (text_equal (got.block, payload.block));
        cr_assert_eq (got.ids_count, payload.has_ids ? payload.ids_count : 0);
        for (size_t i = 0; i < got.ids_count; i++)
            cr_assert_eq (got.ids[i], payload.ids[i]);
        buf_release (&out);
    }
}

static void expect_damage (const uint8_t *ids, size_t size)
{
    events_payload_t payload = { .sequence = 1, .has_ids = true };
    events_payload_t got;
    buf_t out;
    buf_init (&out, LOG_PAYLOAD_MAX);
    events_payload_encode (&payload, &out);
    out.size -= 2; /* no stretches, no block */
    buf_put (&out, ids, size);
    buf_put_u8 (&out, 0);
    text_t bytes = { (const char *)out.data, (uint32_t)out.size };
    cr_expect_eq (events_payload_decode (bytes, &got, &error), STATUS_CORRUPT);
    buf_release (&out);
}

#define DAMAGE(...)                                                                                \
    expect_damage ((const uint8_t[]){ __VA_ARGS__ }, sizeof ((const uint8_t[]){ __VA_ARGS__ }))

Test (columns, of_a_record_that_are_damaged_are_refused)
{
    DAMAGE (1, 0, 0);             /* none in a stretch */
    DAMAGE (2, 0, 2, 1, 1);       /* one twice */
    DAMAGE (1, 0, 0x81, 2);       /* 257 */
    DAMAGE (1, 0xff, 0xff, 3, 2); /* past the last number */
    DAMAGE (1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2); /* 2^64 - 1 */
    DAMAGE (0xff, 0xff, 0xff, 0xff, 0x0f); /* stretches that are not there */
}
