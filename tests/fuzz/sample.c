/* sample.c - fuzzes the decoder of blocks of answers, as whole blocks, and as records whose header
 * and checksums are right: what it takes can be written and is read the same again. */
#include "skew/sample.h"
#include "base/check.h"
#include "base/mem.h"
#include "skew/sample_format.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

enum { ANSWERS_MAX = 64 };

/* As its own block: the answer comes back. */
static void write_again (const sample_block_t *block, const sample_answer_t *answer)
{
    error_t error;
    buf_t bytes, again;
    sample_block_t *copy;
    sample_answer_t found;
    sample_place_t places[SAMPLE_PLACES_MAX];
    sample_writer_t *writer = sample_writer_new ();
    const sample_shape_t *shape = sample_block_shape (block, answer->shape);
    sample_answer_t given = *answer;
    int number = sample_writer_shape (writer, shape);
    CHECK (number == 0);
    given.shape = 0;
    for (size_t i = 0; i < answer->places_count; i++) {
        places[i] = answer->places[i];
        int dataset =
            sample_writer_dataset (writer, sample_block_dataset (block, places[i].dataset));
        CHECK (dataset >= 0);
        places[i].dataset = (uint32_t)dataset;
    }
    given.places = places;
    buf_init (&bytes, 4 << 20);
    buf_init (&again, SAMPLE_BLOCK_MAX);
    if (sample_writer_add (writer, shape, &given)) {
        CHECK (sample_writer_end (writer, &bytes));
        CHECK (sample_block_open (bytes.data, bytes.size, &copy, &error) == STATUS_OK);
        CHECK (sample_block_next (copy, &found, &error) == STATUS_OK);
        CHECK (found.time == answer->time && found.as_of == answer->as_of);
        CHECK (found.flags == answer->flags && found.places_count == answer->places_count);
        for (size_t i = 0; i < shape->features_count; i++) {
            buf_clear (&bytes);
            buf_clear (&again);
            CHECK (sample_put_value (&bytes, &answer->values[i]));
            CHECK (sample_put_value (&again, &found.values[i]));
            CHECK (bytes.size == again.size && memcmp (bytes.data, again.data, again.size) == 0);
        }
        CHECK (sample_block_next (copy, &found, &error) == STATUS_END);
        sample_block_destroy (&copy);
    }
    buf_release (&bytes);
    buf_release (&again);
    sample_writer_destroy (&writer);
}

static void read_block (const uint8_t *data, size_t size)
{
    sample_block_t *block;
    sample_answer_t answer;
    error_t error;
    if (sample_block_open (data, size, &block, &error) != STATUS_OK)
        return;
    for (int i = 0; i < ANSWERS_MAX && sample_block_next (block, &answer, &error) == STATUS_OK; i++)
        write_again (block, &answer);
    sample_block_destroy (&block);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    read_block (data, size);
    if (size > SAMPLE_BLOCK_MAX)
        return 0;
    uint8_t *block = mem_alloc (SAMPLE_HEADER + size + 1);
    if (size > 0)
        memcpy (block + SAMPLE_HEADER, data, size);
    sample_header_put (block, &(sample_header_t){ .size = (uint32_t)(SAMPLE_HEADER + size),
                                                  .unpacked = (uint32_t)size,
                                                  .first = INT64_MIN,
                                                  .last = INT64_MAX });
    read_block (block, SAMPLE_HEADER + size);
    mem_free (block);
    return 0;
}
