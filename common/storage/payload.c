#include "storage/payload.h"

#include "base/check.h"

#include <string.h>

/* Reads a version of at most `most`, the newest that there is of this kind. */
static status_t read_head (reader_t *reader, const char *what, uint8_t most, uint8_t *version,
                           error_t *error)
{
    *version = reader_u8 (reader);
    if (reader->bad)
        return error_set (error, STATUS_CORRUPT, "%s payload is empty", what);
    if (*version < PAYLOAD_VERSION || *version > most)
        return error_set (error, STATUS_VERSION,
                          "%s payload has version %u; this program reads up to %d", what, *version,
                          most);
    return STATUS_OK;
}

static status_t read_end (const reader_t *reader, const char *what, error_t *error)
{
    if (reader->bad || reader_left (reader) > 0)
        return error_set (error, STATUS_CORRUPT, "%s payload is not well formed", what);
    return STATUS_OK;
}

/* Numbers of fields mostly go up by one: stretches of {first, how many}, after their number. */
static size_t stretch_from (const events_payload_t *payload, size_t at)
{
    size_t end = at + 1;
    while (end < payload->ids_count && payload->ids[end] == payload->ids[end - 1] + 1)
        end++;
    return end - at;
}

static void put_ids (const events_payload_t *payload, buf_t *out)
{
    size_t stretches = 0;
    for (size_t at = 0; at < payload->ids_count; at += stretch_from (payload, at))
        stretches++;
    buf_put_varint (out, stretches);
    for (size_t at = 0; at < payload->ids_count; at += stretch_from (payload, at)) {
        buf_put_varint (out, payload->ids[at]);
        buf_put_varint (out, stretch_from (payload, at));
    }
}

static bool has_id (const events_payload_t *payload, uint64_t id)
{
    for (size_t i = 0; i < payload->ids_count; i++)
        if (payload->ids[i] == id)
            return true;
    return false;
}

static void read_ids (reader_t *reader, events_payload_t *payload)
{
    uint64_t stretches = reader_varint (reader);
    for (uint64_t s = 0; s < stretches && !reader->bad; s++) {
        uint64_t first = reader_varint (reader);
        uint64_t count = reader_varint (reader);
        if (count == 0 || count > BLOCK_COLUMNS_MAX - payload->ids_count || first > UINT16_MAX ||
            first + count > UINT16_MAX)
            reader->bad = true;
        for (uint64_t i = 0; i < count && !reader->bad; i++) {
            if (has_id (payload, first + i))
                reader->bad = true;
            payload->ids[payload->ids_count++] = (uint16_t)(first + i);
        }
    }
}

void events_payload_encode (const events_payload_t *payload, buf_t *out)
{
    CHECK (payload->refused_listed <= PAYLOAD_REFUSED_MAX);
    CHECK (payload->refused_listed <= payload->refused_count);
    buf_put_u8 (out, payload->has_ids ? PAYLOAD_VERSION_IDS : PAYLOAD_VERSION);
    buf_put (out, payload->producer, PRODUCER_SIZE);
    buf_put_varint (out, payload->sequence);
    buf_put_varint (out, payload->accepted);
    buf_put_varint (out, payload->refused_count);
    buf_put_varint (out, payload->refused_listed);
    for (uint32_t i = 0; i < payload->refused_listed; i++) {
        buf_put_varint (out, payload->refused[i].row);
        buf_put_text (out, payload->refused[i].reason);
    }
    if (payload->has_ids)
        put_ids (payload, out);
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
    uint8_t version;
    status_t status = read_head (&reader, "an events", PAYLOAD_VERSION_IDS, &version, error);
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
    payload->has_ids = version == PAYLOAD_VERSION_IDS;
    payload->ids_count = 0;
    if (payload->has_ids)
        read_ids (&reader, payload);
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
    buf_put_u8 (out, PAYLOAD_VERSION);
    buf_put_text (out, payload->id);
    buf_put_i64 (out, payload->clock);
    buf_put_text (out, payload->producers);
}

status_t control_payload_decode (text_t bytes, control_payload_t *payload, error_t *error)
{
    reader_t reader = reader_of (bytes.data, bytes.size);
    uint8_t version;
    status_t status = read_head (&reader, "a control", PAYLOAD_VERSION, &version, error);
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
