#include "storage/payload.h"

#include "base/check.h"

#include <string.h>

static void put_head (buf_t *out)
{
    buf_put_u8 (out, PAYLOAD_VERSION);
}

static status_t read_head (reader_t *reader, const char *what, error_t *error)
{
    uint8_t version = reader_u8 (reader);
    if (reader->bad)
        return error_set (error, STATUS_CORRUPT, "%s payload is empty", what);
    if (version != PAYLOAD_VERSION)
        return error_set (error, STATUS_VERSION, "%s payload has version %u; this program reads %d",
                          what, version, PAYLOAD_VERSION);
    return STATUS_OK;
}

static status_t read_end (const reader_t *reader, const char *what, error_t *error)
{
    if (reader->bad || reader_left (reader) > 0)
        return error_set (error, STATUS_CORRUPT, "%s payload is not well formed", what);
    return STATUS_OK;
}

void events_payload_encode (const events_payload_t *payload, buf_t *out)
{
    CHECK (payload->refused_listed <= PAYLOAD_REFUSED_MAX);
    CHECK (payload->refused_listed <= payload->refused_count);
    put_head (out);
    buf_put (out, payload->producer, PRODUCER_SIZE);
    buf_put_varint (out, payload->sequence);
    buf_put_varint (out, payload->accepted);
    buf_put_varint (out, payload->refused_count);
    buf_put_varint (out, payload->refused_listed);
    for (uint32_t i = 0; i < payload->refused_listed; i++) {
        buf_put_varint (out, payload->refused[i].row);
        buf_put_text (out, payload->refused[i].reason);
    }
    buf_put_text (out, payload->block);
}

static uint32_t read_count (reader_t *reader)
{
    uint64_t count = reader_varint (reader);
    if (count > UINT32_MAX)
        reader->bad = true;
    return (uint32_t)count;
}

status_t events_payload_decode (text_t bytes, events_payload_t *payload, error_t *error)
{
    reader_t reader = reader_of (bytes.data, bytes.size);
    status_t status = read_head (&reader, "an events", error);
    if (status != STATUS_OK)
        return status;
    const uint8_t *producer = reader_bytes (&reader, PRODUCER_SIZE);
    if (producer)
        memcpy (payload->producer, producer, PRODUCER_SIZE);
    payload->sequence = reader_varint (&reader);
    payload->accepted = read_count (&reader);
    payload->refused_count = read_count (&reader);
    payload->refused_listed = read_count (&reader);
    if (payload->refused_listed > PAYLOAD_REFUSED_MAX ||
        payload->refused_listed > payload->refused_count)
        return error_set (error, STATUS_CORRUPT, "an events payload lists too many refused rows");
    for (uint32_t i = 0; i < payload->refused_listed; i++) {
        payload->refused[i].row = read_count (&reader);
        payload->refused[i].reason = reader_text (&reader);
    }
    payload->block = reader_text (&reader);
    if ((payload->accepted == 0) != (payload->block.size == 0))
        return error_set (error, STATUS_CORRUPT,
                          "an events payload has %u events in a block of %u bytes",
                          payload->accepted, payload->block.size);
    return read_end (&reader, "an events", error);
}

void control_payload_encode (const control_payload_t *payload, buf_t *out)
{
    CHECK (payload->id.size > 0);
    CHECK (payload->id.size <= CONTROL_ID_MAX);
    put_head (out);
    buf_put_text (out, payload->id);
    buf_put_i64 (out, payload->clock);
    buf_put_text (out, payload->producers);
}

status_t control_payload_decode (text_t bytes, control_payload_t *payload, error_t *error)
{
    reader_t reader = reader_of (bytes.data, bytes.size);
    status_t status = read_head (&reader, "a control", error);
    if (status != STATUS_OK)
        return status;
    payload->id = reader_text (&reader);
    payload->clock = reader_i64 (&reader);
    payload->producers = reader_text (&reader);
    if (payload->id.size == 0 || payload->id.size > CONTROL_ID_MAX)
        return error_set (error, STATUS_CORRUPT, "a control payload has an id of %u bytes",
                          payload->id.size);
    return read_end (&reader, "a control", error);
}
