/* block.c - fuzzes block_decode: bytes as they come, and with a right checksum under them. What
 * decodes must encode again, either way, to a block that decodes to the same number of rows. */
#include "block/block.h"

#include <stdlib.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef status_t encode_t (const batch_t *batch, size_t from, size_t to, buf_t *out,
                           error_t *error);

static void encode_again (const batch_t *batch, encode_t *encode, arena_t *arena)
{
    error_t error;
    buf_t out;
    buf_init (&out, BLOCK_SIZE_MAX);
    status_t status = encode (batch, 0, batch->rows, &out, &error);
    if (status == STATUS_OK) {
        batch_t again;
        status = block_decode (out.data, out.size, arena, NULL, &again, &error);
        if (status != STATUS_OK || again.rows != batch->rows)
            abort ();
    }
    buf_release (&out);
}

static void decode (const uint8_t *bytes, size_t size, const uint64_t *wanted)
{
    error_t error;
    block_header_t header;
    batch_t batch;
    arena_t *arena = arena_new (1 << 16);
    status_t status = block_header_read (bytes, size, &header, &error);
    status = block_decode (bytes, size, arena, wanted, &batch, &error);
    if (status == STATUS_OK && wanted == NULL) {
        encode_again (&batch, block_encode, arena);
        encode_again (&batch, block_encode_dense, arena);
        encode_again (&batch, block_encode_quick, arena);
    }
    arena_destroy (&arena);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    uint64_t wanted[BLOCK_WANTED_WORDS] = { UINT64_C (0x5555555555555555) };
    decode (data, size, NULL);
    if (size < 16)
        return 0;
    uint8_t *sealed = malloc (size);
    if (sealed == NULL)
        return 0;
    memcpy (sealed, data, size);
    uint32_t stated = (uint32_t)size;
    memcpy (sealed + 8, &stated, sizeof stated);
    uint64_t checksum = XXH3_64bits (sealed, size - sizeof checksum);
    memcpy (sealed + size - sizeof checksum, &checksum, sizeof checksum);
    decode (sealed, size, NULL);
    decode (sealed, size, wanted);
    free (sealed);
    return 0;
}
