/* What a block is made of stays as it is: files that are written again, on another machine or after
 * an upgrade, are to be the same. */
#include "block/block.h"
#include "tests/unit/block/random_batch.h"

#include <criterion/criterion.h>
#include <lz4.h>
#include <xxhash.h>

enum {
    COLUMNS = 9,
    SYSTEM = 5,     /* columns before the stream's */
    DIRECTORY = 40, /* where it begins, */
    ENTRY = 12,     /* and the size of an entry (docs/formats.md) */
    FLAG_LZ4 = 2,
    ROUNDS = 300,
};

/* The bodies before LZ4, whose output may be another with another version of it, and what the
 * directory says of them. */
static void hash_block (XXH3_state_t *hash, const buf_t *block, size_t entries)
{
    reader_t directory = reader_of (block->data + DIRECTORY, entries * ENTRY);
    uint16_t header_size;
    memcpy (&header_size, block->data + 18, sizeof header_size);
    const uint8_t *body = block->data + header_size;
    for (size_t i = 0; i < entries; i++) {
        uint8_t type = reader_u8 (&directory);
        uint8_t encoding = reader_u8 (&directory);
        uint8_t flags = reader_u8 (&directory);
        (void)reader_u8 (&directory);
        uint32_t raw_size = reader_u32 (&directory);
        uint32_t stored_size = reader_u32 (&directory);
        uint8_t nulls = flags & 1;
        char *raw = malloc (raw_size + 1);
        if ((flags & FLAG_LZ4) == 0)
            memcpy (raw, body, raw_size);
        else
            cr_assert_eq (
                LZ4_decompress_safe ((const char *)body, raw, (int)stored_size, (int)raw_size),
                (int)raw_size);
        XXH3_64bits_update (hash, &type, 1);
        XXH3_64bits_update (hash, &encoding, 1);
        XXH3_64bits_update (hash, &nulls, 1);
        XXH3_64bits_update (hash, &raw_size, sizeof raw_size);
        XXH3_64bits_update (hash, raw, raw_size);
        free (raw);
        body += stored_size;
    }
}

Test (block, bodies_are_the_bytes_that_they_always_were)
{
    random_t random;
    error_t error;
    XXH3_state_t *hash = XXH3_createState ();
    XXH3_64bits_reset (hash);
    random_seed (&random, 5);
    for (int round = 0; round < ROUNDS; round++) {
        arena_t *arena = arena_new (1 << 16);
        type_t types[COLUMNS];
        size_t columns = random_types (&random, types, COLUMNS);
        size_t rows = random_below (&random, round % 20 == 0 ? 3000 : round % 3 == 0 ? 300 : 20);
        batch_t batch = random_batch (&random, arena, types, columns, rows);
        buf_t block;
        buf_init (&block, BLOCK_SIZE_MAX);
        cr_assert_eq (block_encode (&batch, 0, rows, &block, &error), STATUS_OK, "%s", error.text);
        hash_block (hash, &block, SYSTEM + columns);
        buf_release (&block);
        arena_destroy (&arena);
    }
    cr_assert_eq (XXH3_64bits_digest (hash), UINT64_C (0x732a093a725f7ef0));
    XXH3_freeState (hash);
}
