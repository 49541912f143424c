#include "block/block.h"
#include "tests/unit/block/random_batch.h"

#include <criterion/criterion.h>
#include <xxhash.h>

enum { ROUNDS = 400, COLUMNS = 9 };

static error_t error;

static batch_t some_batch (random_t *random, arena_t *arena, size_t most_rows)
{
    type_t types[COLUMNS];
    size_t columns = random_types (random, types, COLUMNS);
    return random_batch (random, arena, types, columns, random_below (random, most_rows + 1));
}

static void encode (const batch_t *batch, size_t from, size_t to, buf_t *out)
{
    buf_init (out, BLOCK_SIZE_MAX);
    status_t status = block_encode (batch, from, to, out, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
}

static void decode (const buf_t *block, arena_t *arena, const uint64_t *wanted, batch_t *batch)
{
    /* bytes of exactly this size, gone before the batch is looked at: what reads past them or
     * borrows them is found by the sanitizer */
    uint8_t *bytes = malloc (block->size);
    memcpy (bytes, block->data, block->size);
    status_t status = block_decode (bytes, block->size, arena, wanted, batch, &error);
    free (bytes);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
}

/* Puts a right checksum under bytes that were changed, so that what reads them is tested. */
static void seal (uint8_t *bytes, size_t size)
{
    uint64_t checksum = XXH3_64bits (bytes, size - sizeof checksum);
    memcpy (bytes + size - sizeof checksum, &checksum, sizeof checksum);
}

Test (block, what_was_written_is_read)
{
    random_t random;
    random_seed (&random, 1);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, round % 10 == 0 ? 3000 : 60);
        size_t from = random_below (&random, batch.rows + 1);
        size_t to = from + random_below (&random, batch.rows - from + 1);
        buf_t block;
        encode (&batch, from, to, &block);
        batch_t got;
        decode (&block, arena, NULL, &got);
        cr_assert_eq (got.rows, to - from);
        cr_assert_eq (got.columns, batch.columns);
        for (size_t i = 0; i < batch.columns; i++)
            cr_assert_eq (got.column[i].type, batch.column[i].type);
        for (size_t i = 0; i < got.rows; i++)
            cr_assert (rows_are_equal (&batch, from + i, &got, i), "round %d row %zu", round, i);
        buf_release (&block);
    }
    arena_destroy (&arena);
}

Test (block, unwanted_columns_are_none_and_the_others_are_read)
{
    random_t random;
    random_seed (&random, 2);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, 50);
        buf_t block;
        encode (&batch, 0, batch.rows, &block);
        uint64_t wanted[BLOCK_WANTED_WORDS] = { random_next (&random) };
        batch_t got;
        decode (&block, arena, wanted, &got);
        cr_assert_eq (got.columns, batch.columns);
        for (size_t i = 0; i < batch.columns; i++) {
            bool is_wanted = (wanted[0] >> i & 1) != 0;
            cr_assert_eq (got.column[i].type, is_wanted ? batch.column[i].type : TYPE_NONE);
            cr_assert_eq (got.column[i].valid != NULL, is_wanted);
            cr_assert_eq (got.column[i].data != NULL, is_wanted);
        }
        for (size_t i = 0; i < got.rows; i++)
            cr_assert (rows_are_equal (&batch, i, &got, i));
        buf_release (&block);
    }
    arena_destroy (&arena);
}

Test (block, header_tells_rows_types_times_and_keys)
{
    random_t random;
    random_seed (&random, 3);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, 50);
        buf_t block;
        encode (&batch, 0, batch.rows, &block);
        size_t size = block.size;
        buf_release (&block);
        buf_init (&block, BLOCK_SIZE_MAX);
        buf_put_string (&block, "before");
        cr_assert_eq (block_encode (&batch, 0, batch.rows, &block, &error), STATUS_OK);
        buf_put_string (&block, "after");
        block_header_t header;
        cr_assert_eq (block_header_read (block.data + 6, block.size - 6, &header, &error),
                      STATUS_OK);
        cr_assert_eq (header.size, size);
        cr_assert_eq (header.rows, batch.rows);
        cr_assert_eq (header.columns, batch.columns);
        cr_assert (header.has_keys);
        for (size_t i = 0; i < batch.columns; i++)
            cr_assert_eq (header.type[i], batch.column[i].type);
        bool min_found = batch.rows == 0 && header.min_time == 0;
        bool max_found = batch.rows == 0 && header.max_time == 0;
        for (size_t i = 0; i < batch.rows; i++) {
            cr_assert_leq (header.min_time, batch.event_time[i]);
            cr_assert_geq (header.max_time, batch.event_time[i]);
            min_found |= header.min_time == batch.event_time[i];
            max_found |= header.max_time == batch.event_time[i];
        }
        cr_assert (min_found && max_found);
        if (batch.rows > 0) {
            cr_assert (text_equal (header.first_key, batch.key[0]));
            cr_assert (text_equal (header.last_key, batch.key[batch.rows - 1]));
        }
        buf_release (&block);
    }
    arena_destroy (&arena);
}

Test (block, keys_may_be_left_out)
{
    random_t random;
    random_seed (&random, 4);
    arena_t *arena = arena_new (1 << 16);
    type_t types[] = { TYPE_INT64 };
    batch_t batch = random_batch (&random, arena, types, 1, 20);
    batch.key = NULL;
    buf_t block;
    encode (&batch, 0, 20, &block);
    batch_t got;
    decode (&block, arena, NULL, &got);
    cr_assert_null (got.key);
    cr_assert_eq (got.rows, 20);
    for (size_t i = 0; i < 20; i++)
        cr_assert_eq (got.offset[i], batch.offset[i]);
    buf_release (&block);
    arena_destroy (&arena);
}

Test (block, null_cells_come_back_as_zero_and_empty)
{
    arena_t *arena = arena_new (1 << 16);
    type_t types[] = { TYPE_INT64, TYPE_FLOAT64, TYPE_STRING, TYPE_BOOL };
    batch_t batch = batch_new (arena, types, 4, 3);
    for (size_t c = 0; c < 4; c++)
        batch.column[c].valid[1] = 1;
    batch.column[0].i[0] = 7; /* what stands in a null cell is not stored */
    batch.column[1].f[0] = 7;
    batch.column[2].s[0] = text_of ("seven");
    batch.column[2].s[1] = text_of ("here");
    batch.column[3].i[2] = 1;
    buf_t block;
    encode (&batch, 0, 3, &block);
    batch_t got;
    decode (&block, arena, NULL, &got);
    for (size_t row = 0; row < 3; row += 2) {
        for (size_t c = 0; c < 4; c++)
            cr_assert_eq (got.column[c].valid[row], 0);
        cr_assert_eq (got.column[0].i[row], 0);
        cr_assert_eq (got.column[1].i[row], 0);
        cr_assert_eq (got.column[2].s[row].size, 0);
        cr_assert_eq (got.column[3].i[row], 0);
    }
    cr_assert (text_is (got.column[2].s[1], "here"));
    buf_release (&block);
    arena_destroy (&arena);
}

Test (block, floats_are_stored_in_their_one_form)
{
    arena_t *arena = arena_new (1 << 16);
    type_t types[] = { TYPE_FLOAT64 };
    batch_t batch = batch_new (arena, types, 1, 2);
    memset (batch.column[0].valid, 1, 2);
    batch.column[0].f[0] = -0.0;
    batch.column[0].f[1] = -(double)NAN;
    buf_t block;
    encode (&batch, 0, 2, &block);
    batch_t got;
    decode (&block, arena, NULL, &got);
    cr_assert_eq (got.column[0].i[0], 0);
    cr_assert_eq (got.column[0].i[1], INT64_C (0x7ff8000000000000));
    buf_release (&block);
    arena_destroy (&arena);
}

Test (block, every_flipped_bit_is_refused)
{
    random_t random;
    random_seed (&random, 5);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < 20; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, 30);
        buf_t block;
        encode (&batch, 0, batch.rows, &block);
        for (size_t bit = 0; bit < block.size * 8; bit++) {
            block.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            batch_t got;
            status_t status = block_decode (block.data, block.size, arena, NULL, &got, &error);
            cr_assert (status == STATUS_CORRUPT || status == STATUS_VERSION, "bit %zu: %s", bit,
                       status_word (status));
            block.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        buf_release (&block);
    }
    arena_destroy (&arena);
}

Test (block, every_truncation_and_extension_is_refused)
{
    random_t random;
    random_seed (&random, 6);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < 20; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, 30);
        buf_t block;
        encode (&batch, 0, batch.rows, &block);
        for (size_t size = 0; size < block.size; size++) {
            uint8_t *bytes = malloc (size > 0 ? size : 1);
            memcpy (bytes, block.data, size);
            batch_t got;
            cr_assert_eq (block_decode (bytes, size, arena, NULL, &got, &error), STATUS_CORRUPT);
            free (bytes);
        }
        buf_put_u8 (&block, 0);
        batch_t got;
        cr_assert_eq (block_decode (block.data, block.size, arena, NULL, &got, &error),
                      STATUS_CORRUPT);
        buf_release (&block);
    }
    arena_destroy (&arena);
}

/* With the checksum made right again, changed bytes get as far as the codecs: what comes out must
 * be a batch like any other, or CORRUPT. */
Test (block, sealed_damage_is_refused_or_gives_a_sound_batch)
{
    random_t random;
    random_seed (&random, 7);
    arena_t *arena = arena_new (1 << 16);
    size_t read = 0;
    size_t refused = 0;
    for (int round = 0; round < 4000; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, round % 50 == 0 ? 1000 : 30);
        buf_t block;
        encode (&batch, 0, batch.rows, &block);
        for (uint64_t i = random_below (&random, 4) + 1; i > 0; i--)
            block.data[random_below (&random, block.size)] = (uint8_t)random_next (&random);
        seal (block.data, block.size);
        uint8_t *bytes = malloc (block.size);
        memcpy (bytes, block.data, block.size);
        batch_t got;
        status_t status = block_decode (bytes, block.size, arena, NULL, &got, &error);
        free (bytes);
        refused += status != STATUS_OK;
        read += status == STATUS_OK;
        if (status == STATUS_OK) /* touches every cell, and would abort on what is not a batch */
            for (size_t i = 0; i < got.rows; i++)
                cr_assert (rows_are_equal (&got, i, &got, i));
        buf_release (&block);
    }
    cr_assert_gt (read, 100);
    cr_assert_gt (refused, 100);
    arena_destroy (&arena);
}

Test (block, limits_are_refused_and_leave_the_buffer_as_it_was)
{
    arena_t *arena = arena_new (1 << 16);
    type_t types[] = { TYPE_STRING };
    batch_t batch = batch_new (arena, types, 1, BLOCK_ROWS_MAX + 1);
    buf_t block;
    buf_init (&block, BLOCK_SIZE_MAX);
    buf_put_string (&block, "before");
    cr_assert_eq (block_encode (&batch, 0, BLOCK_ROWS_MAX + 1, &block, &error), STATUS_TOO_LARGE);
    cr_assert_eq (block_encode (&batch, 1, BLOCK_ROWS_MAX + 1, &block, &error), STATUS_OK);
    block.size = 6;
    /* twenty texts of 1 MiB are over 16 MiB even though they compress well */
    char *large = arena_zero (arena, 1, 1 << 20);
    for (size_t i = 0; i < 20; i++) {
        batch.column[0].valid[i] = 1;
        large[i] = (char)i;
        batch.column[0].s[i] = (text_t){ large, (uint32_t)((1 << 20) - i) };
    }
    cr_assert_eq (block_encode (&batch, 0, 20, &block, &error), STATUS_TOO_LARGE);
    cr_assert_eq (block.size, 6);
    cr_assert_eq (block_encode (&batch, 0, 10, &block, &error), STATUS_OK);
    batch.event_time[3] = TIME_EVENT_MAX + 1;
    cr_assert_eq (block_encode (&batch, 3, 4, &block, &error), STATUS_INVALID);
    buf_release (&block);
    arena_destroy (&arena);
}

/* 8192 rows of what the encodings are for must come out small: the measure that the format is there
 * for. */
Test (block, usual_columns_take_few_bytes)
{
    enum { ROWS = 8192 };
    random_t random;
    random_seed (&random, 8);
    arena_t *arena = arena_new (1 << 20);
    type_t types[] = { TYPE_STRING, TYPE_STRING, TYPE_FLOAT64, TYPE_BOOL };
    batch_t batch = batch_new (arena, types, 4, ROWS);
    static const char *merchants[] = { "grocer", "books", "fuel", "rail", "cinema" };
    for (size_t i = 0; i < ROWS; i++) {
        char *key = arena_alloc (arena, 32);
        int size = snprintf (key, 32, "user_%08zu", i / 20);
        batch.key[i] = (text_t){ key, (uint32_t)size };
        batch.event_time[i] = (int64_t)random_below (&random, 30 * 86400000LL) * 1000;
        batch.ingest_time[i] = batch.event_time[i];
        batch.row[i] = (uint32_t)random_below (&random, 20000000);
        batch.column[0].s[i] = batch.key[i];
        batch.column[1].s[i] = text_of (merchants[random_below (&random, 5)]);
        batch.column[2].f[i] = (double)random_below (&random, 100000) / 100.0;
        batch.column[3].i[i] = random_chance (&random, 0.5);
        for (size_t c = 0; c < 4; c++)
            batch.column[c].valid[i] = 1;
    }
    buf_t block;
    encode (&batch, 0, ROWS, &block);
    /* two times of 32 bits, row of 25, amount of 17, merchant of 3, bool of 1, and a little */
    cr_expect_lt (block.size * 8, (size_t)ROWS * (32 + 32 + 25 + 17 + 3 + 1 + 10), "%zu bytes",
                  block.size);
    buf_release (&block);
    arena_destroy (&arena);
}
