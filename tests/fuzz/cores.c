/* Messages that are well-formed and mean harm, in the middle of conversations between the four
 * cores: whatever they say, no core fails. Each four bytes of the input change one message
 * (tests/fuzz/town). */
#include "tests/fuzz/town/town.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

enum { EDITS_MAX = 24 };

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    town_edit_t edits[EDITS_MAX];
    size_t count = 0;
    for (; count < EDITS_MAX && (count + 1) * 4 <= size; count++, data += 4)
        edits[count] = (town_edit_t){ .message = (uint16_t)(data[0] | (data[1] & 3) << 8),
                                      .value = data[2],
                                      .how = data[3] };
    town_run (edits, count, getenv ("WEIR_LOUD") != NULL);
    return 0;
}
