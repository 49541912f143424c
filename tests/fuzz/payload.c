/* What stands inside the log's records, as a replay reads it. The first byte chooses: the payload
 * of events, of events forwarded to another key's log, of a control or a forget, marks, or a whole
 * record of events of a stream, once as it is and once with the checksum of its block made right.
 */
#include "base/check.h"
#include "base/mem.h"
#include "block/block.h"
#include "intake/logged.h"
#include "tests/fuzz/answer_plan.h"

#include <xxhash.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void read_events (text_t bytes)
{
    events_payload_t payload;
    events_payload_t again;
    error_t error;
    if (events_payload_decode (bytes, &payload, &error) != STATUS_OK)
        return;
    CHECK (payload.refused_listed <= PAYLOAD_REFUSED_MAX);
    CHECK (payload.refused_listed <= payload.refused_count);
    buf_t out;
    buf_init (&out, LOG_PAYLOAD_MAX);
    events_payload_encode (&payload, &out);
    CHECK (!out.bad);
    text_t written = { (const char *)out.data, (uint32_t)out.size };
    CHECK (events_payload_decode (written, &again, &error) == STATUS_OK);
    CHECK (again.sequence == payload.sequence);
    CHECK (again.accepted == payload.accepted);
    CHECK (text_equal (again.block, payload.block));
    buf_release (&out);
}

static void read_control (text_t bytes)
{
    control_payload_t payload;
    error_t error;
    if (control_payload_decode (bytes, &payload, &error) != STATUS_OK)
        return;
    CHECK (payload.id.size <= CONTROL_ID_MAX);
    buf_t out;
    buf_init (&out, LOG_PAYLOAD_MAX);
    control_payload_encode (&payload, &out);
    control_payload_t again;
    text_t written = { (const char *)out.data, (uint32_t)out.size };
    CHECK (control_payload_decode (written, &again, &error) == STATUS_OK);
    CHECK (text_equal (again.id, payload.id));
    CHECK (text_equal (again.producers, payload.producers));
    buf_release (&out);
}

static void read_forget (text_t bytes)
{
    forget_payload_t payload;
    forget_payload_t again;
    error_t error;
    if (forget_payload_decode (bytes, &payload, &error) != STATUS_OK)
        return;
    CHECK (payload.id.size <= CONTROL_ID_MAX && payload.key.size <= KEY_SIZE_MAX);
    buf_t out;
    buf_init (&out, 2 * KEY_SIZE_MAX);
    forget_payload_encode (&payload, &out);
    CHECK (!out.bad);
    text_t written = { (const char *)out.data, (uint32_t)out.size };
    CHECK (forget_payload_decode (written, &again, &error) == STATUS_OK);
    CHECK (text_equal (again.id, payload.id) && text_equal (again.key, payload.key));
    CHECK (again.forwarded == payload.forwarded && again.to == payload.to);
    buf_release (&out);
}

static void read_forwarded (text_t bytes)
{
    forwarded_payload_t payload;
    forwarded_payload_t again;
    error_t error;
    if (forwarded_payload_decode (bytes, &payload, &error) != STATUS_OK)
        return;
    CHECK (payload.from < payload.to);
    buf_t out;
    buf_init (&out, LOG_PAYLOAD_MAX);
    forwarded_payload_encode (&payload, &out);
    text_t written = { (const char *)out.data, (uint32_t)out.size };
    CHECK (forwarded_payload_decode (written, &again, &error) == STATUS_OK);
    CHECK (again.source == payload.source && again.from == payload.from && again.to == payload.to);
    CHECK (text_equal (again.block, payload.block));
    buf_release (&out);
}

static void read_marks (text_t bytes)
{
    uint64_t marks[4];
    uint64_t again[4];
    error_t error;
    if (marks_decode (bytes, marks, 4, &error) != STATUS_OK)
        return;
    buf_t out;
    buf_init (&out, 256);
    marks_encode (marks, 4, &out);
    text_t written = { (const char *)out.data, (uint32_t)out.size };
    CHECK (marks_decode (written, again, 4, &error) == STATUS_OK);
    CHECK (memcmp (marks, again, sizeof marks) == 0);
    buf_release (&out);
}

static void read_record (const uint8_t *bytes, size_t size)
{
    const definitions_t *definitions = answer_definitions_once ();
    keyed_log_t log;
    CHECK (keyed_log_find (definitions, text_of (definitions->streams[0].log_name), &log));
    events_payload_t payload;
    batch_t batch;
    error_t error;
    arena_t *arena = arena_new (1 << 14);
    log_record_t record = {
        .kind = LOG_KIND_EVENTS, .count = 1, .offset = 9, .payload = bytes, .size = (uint32_t)size
    };
    text_t text = { (const char *)bytes, (uint32_t)size };
    if (events_payload_decode (text, &payload, &error) == STATUS_OK && payload.accepted > 0)
        record.count = payload.accepted;
    if (logged_events (&log, &record, arena, &payload, &batch, &error) == STATUS_OK) {
        CHECK (batch.rows == payload.accepted);
        for (size_t i = 0; i < batch.rows; i++)
            CHECK (batch.offset[i] == 9 + i);
        (void)plan_project (answer_plan_once (), &batch, arena);
    }
    arena_destroy (&arena);
}

static void seal_block (uint8_t *bytes, size_t size)
{
    events_payload_t payload;
    error_t error;
    text_t text = { (const char *)bytes, (uint32_t)size };
    if (events_payload_decode (text, &payload, &error) != STATUS_OK || payload.block.size < 16)
        return;
    uint8_t *block = bytes + (payload.block.data - text.data);
    uint32_t stated = payload.block.size;
    memcpy (block + 8, &stated, sizeof stated);
    uint64_t checksum = XXH3_64bits (block, stated - sizeof checksum);
    memcpy (block + stated - sizeof checksum, &checksum, sizeof checksum);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    text_t rest = { (const char *)data + 1, (uint32_t)size - 1 };
    if (data[0] % 5 == 0)
        read_events (rest);
    else if (data[0] % 5 == 1) {
        read_control (rest);
        read_forget (rest); /* which begins alike */
    } else if (data[0] % 5 == 3)
        read_forwarded (rest);
    else if (data[0] % 5 == 4)
        read_marks (rest);
    else {
        uint8_t *copy = mem_alloc (rest.size);
        memcpy (copy, rest.data, rest.size);
        read_record (copy, rest.size);
        seal_block (copy, rest.size);
        read_record (copy, rest.size);
        mem_free (copy);
    }
    return 0;
}
