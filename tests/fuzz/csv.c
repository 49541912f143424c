/* Files from users: whatever the bytes are and however they are cut, CSV gives rows or says which
 * record is bad, and goes on. */
#include "tests/fuzz/text.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    fuzz_text (FORMAT_CSV, data, size);
    return 0;
}
