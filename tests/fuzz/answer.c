/* Fuzzer of encoded answers: whatever the bytes, they are refused as corrupt, or encode again to an
 * encoding that merges to itself, and every feature has a value or a reason. */
#include "feature/answer.h"
#include "tests/fuzz/answer_plan.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void finalise (const answer_t *answer)
{
    for (size_t i = 0; i < answer_plan (answer)->features_count; i++) {
        value_t value;
        error_t error;
        status_t status = answer_final (answer, i, 0, NULL, &value, &error);
        /* sums of no rows at all decode, and are found out here */
        CHECK (status == STATUS_OK || status == STATUS_RANGE || status == STATUS_CORRUPT);
    }
}

static void encode_again (const answer_t *answer)
{
    buf_t first, second;
    buf_init (&first, ANSWER_ENCODED_MAX);
    buf_init (&second, ANSWER_ENCODED_MAX);
    answer_encode (answer, &first);
    CHECK (!first.bad);
    answer_t *other = answer_new (answer_plan (answer));
    reader_t reader = reader_of (first.data, first.size);
    error_t error;
    status_t status = answer_merge (other, &reader, &error);
    CHECK (status == STATUS_OK);
    CHECK (reader_left (&reader) == 0);
    answer_encode (other, &second);
    CHECK (first.size == second.size);
    CHECK (memcmp (first.data, second.data, first.size) == 0);
    answer_destroy (&other);
    buf_release (&first);
    buf_release (&second);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    answer_t *answer = answer_new (answer_plan_once ());
    reader_t reader = reader_of (data, size);
    error_t error;
    status_t status = STATUS_OK;
    /* several encodings one after the other, as the layers send them */
    while (status == STATUS_OK && reader_left (&reader) > 0)
        status = answer_merge (answer, &reader, &error);
    if (status == STATUS_OK) {
        finalise (answer);
        encode_again (answer);
    }
    CHECK (status == STATUS_OK || status == STATUS_CORRUPT);
    answer_destroy (&answer);
    return 0;
}
