/* Blocks as runs have them: sorted by key and time, and written in few bytes, or in little time. */
#include "base/mem.h"
#include "block/block.h"
#include "tests/unit/block/random_history.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum {
    ROUNDS = 200,
    COLUMNS = 9,
    SYSTEM = 5,     /* columns before the stream's */
    DIRECTORY = 40, /* where it begins, */
    ENTRY = 12,     /* and the size of an entry (docs/formats.md) */
};

static error_t error;

typedef status_t (encoder_t) (const batch_t *batch, size_t from, size_t to, buf_t *out,
                              error_t *why);

static void encode_by (encoder_t *encoder, const batch_t *batch, buf_t *out)
{
    buf_init (out, BLOCK_SIZE_MAX);
    cr_assert_eq (encoder (batch, 0, batch->rows, out, &error), STATUS_OK, "%s", error.text);
}

static void encode (const batch_t *batch, buf_t *out)
{
    encode_by (block_encode_dense, batch, out);
}

/* From bytes of exactly this size, gone before the batch is looked at. */
static status_t decode (const uint8_t *data, size_t size, arena_t *arena, const uint64_t *wanted,
                        batch_t *batch)
{
    uint8_t *bytes = malloc (size > 0 ? size : 1);
    memcpy (bytes, data, size);
    status_t status = block_decode (bytes, size, arena, wanted, batch, &error);
    free (bytes);
    return status;
}

/* Every row that begins a stretch of equal keys is told, and no other. */
static void keys_are_told (const batch_t *batch)
{
    size_t keys = 0;
    for (size_t i = 0; i < batch->rows; i++)
        if (i == 0 || !text_equal (batch->key[i - 1], batch->key[i])) {
            cr_assert_lt (keys, batch->keys);
            cr_assert_eq (batch->key_start[keys++], i);
        }
    cr_assert_eq (keys, batch->keys);
}

static void comes_back_by (encoder_t *encoder, const batch_t *batch, arena_t *arena)
{
    buf_t block;
    batch_t got;
    encode_by (encoder, batch, &block);
    cr_assert_eq (decode (block.data, block.size, arena, NULL, &got), STATUS_OK, "%s", error.text);
    cr_assert_eq (got.rows, batch->rows);
    for (size_t i = 0; i < got.rows; i++)
        cr_assert (rows_are_equal (batch, i, &got, i), "row %zu", i);
    if (got.key != NULL)
        keys_are_told (&got);
    buf_release (&block);
    if (got.key == NULL)
        return;
    batch_t told = *batch; /* with its stretches of equal keys it is the same block */
    told.key_start = got.key_start;
    told.keys = got.keys;
    buf_t again;
    encode_by (encoder, batch, &block);
    encode_by (encoder, &told, &again);
    cr_assert_eq (block.size, again.size);
    cr_assert_eq (memcmp (block.data, again.data, block.size), 0);
    buf_release (&block);
    buf_release (&again);
}

static void comes_back (const batch_t *batch, arena_t *arena)
{
    comes_back_by (block_encode_dense, batch, arena);
    comes_back_by (block_encode_quick, batch, arena);
}

/* Makes the checksum right again. */
static void seal (buf_t *block)
{
    uint64_t sum = XXH3_64bits (block->data, block->size - 8);
    memcpy (block->data + block->size - 8, &sum, sizeof sum);
}

static unsigned encoding_of (const buf_t *block, size_t entry)
{
    return block->data[DIRECTORY + entry * ENTRY + 1];
}

/* A batch of any shape, or a history, or one with something wrong with its order or its keys. */
static batch_t some_batch (random_t *random, arena_t *arena, size_t most_rows)
{
    type_t any[COLUMNS];
    size_t rows = random_below (random, most_rows + 1);
    if (random_chance (random, 0.3))
        return random_batch (random, arena, any, random_types (random, any, COLUMNS), rows);
    batch_t batch = random_history (random, arena, rows, UINT64_C (1) << random_below (random, 10));
    if (rows == 0 || random_chance (random, 0.5))
        return batch;
    size_t at = random_below (random, rows);
    switch (random_below (random, 6)) {
    case 0:
        batch.event_time[at] = (int64_t)random_below (random, TIME_EVENT_MAX);
        break;
    case 1:
        batch.offset[at] = random_next (random);
        break;
    case 2:
        batch.key[at] = random_text (random, arena);
        break;
    case 3:
        batch.column[HISTORY_ID].i[at]++;
        break;
    case 4:
        batch.column[HISTORY_NAME].s[at] = random_text (random, arena);
        break;
    default:
        batch.ingest_time[at] = random_int (random);
    }
    return batch;
}

/* ---- tests ---- */

Test (dense, what_was_written_is_read)
{
    random_t random;
    random_seed (&random, 11);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < 2 * ROUNDS; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, round % 5 == 0 ? 6000 : 200);
        comes_back (&batch, arena);
    }
    arena_destroy (&arena);
}

Test (dense, columns_of_a_history_have_encodings_of_their_own)
{
    enum { TOKENS = 10, KEY_STEPS = 12, TREND = 13, NUMBERED = 14, OF_KEY = 15, DICTIONARY = 5 };
    random_t random;
    random_seed (&random, 12);
    arena_t *arena = arena_new (1 << 16);
    batch_t batch = random_history (&random, arena, 4000, 20);
    buf_t block;
    encode (&batch, &block);
    cr_expect_eq (encoding_of (&block, 0), KEY_STEPS);
    cr_expect_eq (encoding_of (&block, 2), TREND);
    cr_expect_eq (encoding_of (&block, SYSTEM + HISTORY_ID), OF_KEY);
    cr_expect_eq (encoding_of (&block, SYSTEM + HISTORY_NAME), OF_KEY);
    cr_expect_eq (encoding_of (&block, SYSTEM + HISTORY_LATENESS), TOKENS);
    cr_expect_eq (encoding_of (&block, SYSTEM + HISTORY_DISTANCE), DICTIONARY);
    buf_release (&block);
    /* keys of the id alone */
    for (size_t i = 0; i < batch.rows; i++)
        batch.key[i].size = KEY_NUMBER_SIZE;
    encode (&batch, &block);
    cr_expect_eq (encoding_of (&block, 4), NUMBERED);
    buf_release (&block);
    comes_back (&batch, arena);
    arena_destroy (&arena);
}

/* Numbers of every size, around 0 and above anything, with every scale. */
Test (quick, what_keys_and_times_tell_is_not_stored_and_numbers_are_packed)
{
    enum { PACKED = 4, SCALED = 7, FROM_TIME = 8, NUMBERED = 14, OF_KEY = 15 };
    random_t random;
    random_seed (&random, 12);
    arena_t *arena = arena_new (1 << 16);
    batch_t batch = random_history (&random, arena, 4000, 20);
    for (size_t i = 0; i < batch.rows; i++) {
        batch.key[i].size = KEY_NUMBER_SIZE;
        batch.ingest_time[i] = batch.event_time[i] + 7;
    }
    buf_t block;
    encode_by (block_encode_quick, &batch, &block);
    cr_expect_eq (encoding_of (&block, 0), PACKED);
    cr_expect_eq (encoding_of (&block, 1), FROM_TIME);
    cr_expect_eq (encoding_of (&block, 2), PACKED);
    cr_expect_eq (encoding_of (&block, 4), NUMBERED);
    cr_expect_eq (encoding_of (&block, SYSTEM + HISTORY_ID), OF_KEY);
    cr_expect_eq (encoding_of (&block, SYSTEM + HISTORY_LATENESS), PACKED);
    cr_expect_eq (encoding_of (&block, SYSTEM + HISTORY_AMOUNT), SCALED);
    buf_release (&block);
    arena_destroy (&arena);
}

Test (dense, integers_of_any_spread_come_back)
{
    random_t random;
    random_seed (&random, 13);
    arena_t *arena = arena_new (1 << 16);
    static const type_t one[] = { TYPE_INT64 };
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        size_t rows = 64 + random_below (&random, 400);
        batch_t batch = batch_new (arena, one, 1, rows);
        int64_t *values = batch.column[0].i;
        uint64_t scale = random_next (&random) >> random_below (&random, 64);
        unsigned shift = (unsigned)random_below (&random, 64);
        uint64_t way = random_below (&random, 4);
        for (size_t i = 0; i < rows; i++) {
            uint64_t bits = random_next (&random); /* before the shifts: operands have no order */
            uint64_t number = (bits >> shift) >> random_below (&random, 64 - shift);
            batch.column[0].valid[i] = way != 2 || number % 3 != 0;
            values[i] = (int64_t)(number * scale);
            if (way == 3 && i >= 9)
                values[i] = values[number % 9];
            else if (way == 1 && i > 0)
                values[i] = (int64_t)((uint64_t)values[i] + (uint64_t)values[i - 1]);
            if (batch.column[0].valid[i] == 0)
                values[i] = 0;
            batch.key[i] = text_of ("k");
        }
        comes_back (&batch, arena);
    }
    arena_destroy (&arena);
}

Test (dense, unwanted_columns_are_none_and_the_others_are_read)
{
    random_t random;
    random_seed (&random, 14);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, 300);
        uint64_t wanted[BLOCK_WANTED_WORDS] = { random_next (&random) };
        buf_t block;
        batch_t got;
        encode (&batch, &block);
        cr_assert_eq (decode (block.data, block.size, arena, wanted, &got), STATUS_OK);
        for (size_t i = 0; i < batch.columns; i++)
            cr_assert_eq (got.column[i].type != TYPE_NONE, (wanted[0] >> i & 1) != 0);
        for (size_t i = 0; i < got.rows; i++)
            cr_assert (rows_are_equal (&batch, i, &got, i));
        buf_release (&block);
    }
    arena_destroy (&arena);
}

/* Offsets follow ingest times, which are read for them then, and given to nobody. */
Test (dense, what_is_left_out_is_null_and_the_rest_is_as_it_was)
{
    random_t random;
    random_seed (&random, 19);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, 300);
        unsigned leave = (unsigned)random_below (&random, 4);
        buf_t block;
        batch_t got;
        encode (&batch, &block);
        cr_assert_eq (block_decode_some (block.data, block.size, arena, NULL, leave, &got, &error),
                      STATUS_OK);
        cr_assert_eq (got.ingest_time == NULL, (leave & BLOCK_LEAVE_INGEST_TIME) != 0);
        cr_assert_eq (got.offset == NULL, (leave & BLOCK_LEAVE_POSITION) != 0);
        cr_assert_eq (got.row == NULL, (leave & BLOCK_LEAVE_POSITION) != 0);
        got.ingest_time = got.ingest_time == NULL ? batch.ingest_time : got.ingest_time;
        got.offset = got.offset == NULL ? batch.offset : got.offset;
        got.row = got.row == NULL ? batch.row : got.row;
        for (size_t i = 0; i < got.rows; i++)
            cr_assert (rows_are_equal (&batch, i, &got, i));
        buf_release (&block);
    }
    arena_destroy (&arena);
}

static void *encode_elsewhere (void *data)
{
    buf_t *block = mem_alloc (sizeof *block);
    encode (data, block);
    return block;
}

Test (dense, equal_rows_give_equal_bytes_whatever_the_thread_wrote_before)
{
    random_t random;
    random_seed (&random, 15);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < 20; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, 3000);
        buf_t block;
        pthread_t thread;
        void *other;
        encode (&batch, &block);
        cr_assert_eq (pthread_create (&thread, NULL, encode_elsewhere, &batch), 0);
        cr_assert_eq (pthread_join (thread, &other), 0);
        buf_t *again = other;
        cr_assert_eq (again->size, block.size);
        cr_assert_eq (memcmp (again->data, block.data, block.size), 0);
        buf_release (again);
        mem_free (again);
        buf_release (&block);
    }
    arena_destroy (&arena);
}

Test (dense, every_flipped_bit_and_truncation_is_refused)
{
    random_t random;
    random_seed (&random, 16);
    arena_t *arena = arena_new (1 << 16);
    for (int round = 0; round < 5; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, 150);
        buf_t block;
        batch_t got;
        encode (&batch, &block);
        for (size_t bit = 0; bit < block.size * 8; bit++) {
            block.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            status_t status = decode (block.data, block.size, arena, NULL, &got);
            cr_assert (status == STATUS_CORRUPT || status == STATUS_VERSION, "bit %zu", bit);
            block.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t size = 0; size < block.size; size++)
            cr_assert_eq (decode (block.data, size, arena, NULL, &got), STATUS_CORRUPT);
        buf_release (&block);
    }
    arena_destroy (&arena);
}

/* With the checksum made right again, changed bytes get as far as the codecs: what comes out must
 * be a batch like any other, or CORRUPT. */
Test (dense, sealed_damage_is_refused_or_gives_a_sound_batch)
{
    random_t random;
    random_seed (&random, 17);
    arena_t *arena = arena_new (1 << 16);
    size_t read = 0;
    size_t refused = 0;
    for (int round = 0; round < 3000; round++) {
        arena_reset (arena);
        batch_t batch = some_batch (&random, arena, round % 10 == 0 ? 1500 : 200);
        buf_t block;
        batch_t got;
        encode (&batch, &block);
        for (uint64_t i = random_below (&random, 4) + 1; i > 0; i--)
            block.data[random_below (&random, block.size)] = (uint8_t)random_next (&random);
        seal (&block);
        status_t status = decode (block.data, block.size, arena, NULL, &got);
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

/* The measure that the encodings are there for. */
/* A numbered column is small however much it becomes: a block has one, its keys. */
Test (dense, only_keys_are_numbered)
{
    arena_t *arena = arena_new (4096);
    const type_t types[1] = { TYPE_STRING };
    batch_t batch = batch_new (arena, types, 1, 4);
    for (size_t i = 0; i < 4; i++) {
        char *text = arena_alloc (arena, 9);
        snprintf (text, 9, "user%04zu", i * 37);
        batch.key[i] = batch.column[0].s[i] = (text_t){ text, 8 };
        batch.column[0].valid[i] = 1;
        batch.event_time[i] = batch.ingest_time[i] = (int64_t)i;
    }
    buf_t block;
    batch_t got;
    encode (&batch, &block);
    comes_back (&batch, arena);
    cr_assert_eq (encoding_of (&block, 4), 14);
    for (size_t at = 0; at < 2; at++)
        for (unsigned encoding = 0; encoding < 20; encoding++) {
            uint8_t *cell = &block.data[DIRECTORY + (4 + at) * ENTRY + 1];
            uint8_t before = *cell;
            *cell = (uint8_t)encoding;
            seal (&block);
            status_t status = decode (block.data, block.size, arena, NULL, &got);
            cr_assert (status == STATUS_OK || status == STATUS_CORRUPT || status == STATUS_VERSION);
            cr_assert (at == 0 || encoding != 14 || status == STATUS_CORRUPT);
            *cell = before;
        }
    buf_release (&block);
    arena_destroy (&arena);
}

/* What the reader would refuse is not written. */
Test (dense, long_keys_that_alternate_come_back)
{
    arena_t *arena = arena_new (1 << 20);
    batch_t batch = batch_new (arena, NULL, 0, BLOCK_ROWS_MAX);
    for (size_t i = 0; i < BLOCK_ROWS_MAX; i++) {
        static char key[2][1024];
        key[i % 2][1023] = (char)(i % 2);
        batch.key[i] = (text_t){ key[i % 2], 1024 };
    }
    comes_back (&batch, arena);
    arena_destroy (&arena);
}

Test (dense, a_history_takes_few_bytes)
{
    enum { ROWS = 8192 };
    random_t random;
    random_seed (&random, 18);
    arena_t *arena = arena_new (1 << 20);
    batch_t batch = random_history (&random, arena, ROWS, 39);
    buf_t block;
    encode (&batch, &block);
    /* steps of 32 bits, positions within 9 (4), amounts of 17, lateness of 9 and less (6), another
     * time of 13, one of six distances, and of keys and what follows from them nearly nothing */
    cr_expect_lt (block.size * 8, (size_t)ROWS * (32 + 5 + 17 + 7 + 13 + 3 + 2), "%zu bytes",
                  block.size);
    buf_release (&block);
    arena_destroy (&arena);
}
