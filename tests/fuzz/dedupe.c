/* dedupe.c - fuzzes the producer table's decoder: what it takes can be asked, changed, and written
 * and read again. */
#include "storage/dedupe.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size < PRODUCER_SIZE)
        return 0;
    text_t producer = { (const char *)data, PRODUCER_SIZE };
    text_t bytes = { (const char *)data + PRODUCER_SIZE, (uint32_t)(size - PRODUCER_SIZE) };
    error_t error;
    dedupe_t *table = dedupe_new ();
    if (dedupe_decode (bytes, table, &error) == STATUS_OK) {
        dedupe_outcome_t outcome = { .offset = UINT64_MAX - 1 };
        dedupe_outcome_t found;
        for (uint64_t sequence = 0; sequence < 200; sequence += 13)
            if (dedupe_check (table, producer, sequence, TIME_EVENT_MAX / 2, &found, &error) ==
                DEDUPE_NEW)
                dedupe_record (table, producer, sequence, &outcome);
        dedupe_record (table, producer, UINT64_MAX, &outcome);
        buf_t buf;
        buf_init (&buf, DEDUPE_ENCODED_MAX);
        dedupe_encode (table, &buf);
        CHECK (!buf.bad);
        size_t producers = dedupe_producers (table);
        bytes = (text_t){ (const char *)buf.data, (uint32_t)buf.size };
        CHECK (dedupe_decode (bytes, table, &error) == STATUS_OK);
        CHECK (dedupe_producers (table) == producers);
        buf_release (&buf);
    }
    dedupe_expire (table, TIME_EVENT_MAX);
    dedupe_destroy (&table);
    return 0;
}
