#include "storage/payload.h"

#include "base/check.h"

#include <inttypes.h>
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
/* Columns from `at` on that are fields of rising numbers. */
static size_t stretch_from (const uint16_t *ids, size_t count, size_t at)
{
    size_t end = at + 1;
    while (end < count && ids[end] == ids[end - 1] + 1)
        end++;
    return end - at;
}

static void put_ids (const uint16_t *ids, size_t count, buf_t *out)
{
    size_t stretches = 0;
    for (size_t at = 0; at < count; at += stretch_from (ids, count, at))
        stretches++;
    buf_put_varint (out, stretches);
    for (size_t at = 0; at < count; at += stretch_from (ids, count, at)) {
        buf_put_varint (out, ids[at]);
        buf_put_varint (out, stretch_from (ids, count, at));
    }
}

static bool has_id (const uint16_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Into `ids`, of BLOCK_COLUMNS_MAX; returns how many. */
static size_t read_ids (reader_t *reader, uint16_t *ids)
{
    size_t total = 0;
    uint64_t stretches = reader_varint (reader);
    for (uint64_t s = 0; s < stretches && !reader->bad; s++) {
        uint64_t first = reader_varint (reader);
        uint64_t count = reader_varint (reader);
        if (count == 0 || count > BLOCK_COLUMNS_MAX - total || first > UINT16_MAX ||
            first + count > UINT16_MAX)
            reader->bad = true;
        for (uint64_t i = 0; i < count && !reader->bad; i++) {
            if (has_id (ids, total, first + i))
                reader->bad = true;
            ids[total++] = (uint16_t)(first + i);
        }
    }
    return total;
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
        put_ids (payload->ids, payload->ids_count, out);
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
        payload->ids_count = read_ids (&reader, payload->ids);
    payload->block = reader_text (&reader);
    if ((payload->accepted == 0) != (payload->block.size == 0))
        return error_set (error, STATUS_CORRUPT,
                          "an events payload has %u events in a block of %u bytes",
                          payload->accepted, payload->block.size);
    return read_end (&reader, "an events", error);
}

void forwarded_payload_encode (const forwarded_payload_t *payload, buf_t *out)
{
    CHECK (payload->from < payload->to);
    CHECK (payload->accepted <= payload->to - payload->from);
    buf_put_u8 (out, PAYLOAD_FORWARDED);
    buf_put_varint (out, payload->source);
    buf_put_varint (out, payload->from);
    buf_put_varint (out, payload->to);
    buf_put_varint (out, payload->accepted);
    put_ids (payload->ids, payload->ids_count, out);
    buf_put_text (out, payload->block);
}

status_t forwarded_payload_decode (text_t bytes, forwarded_payload_t *payload, error_t *error)
{
    reader_t reader = reader_of (bytes.data, bytes.size);
    uint8_t version;
    status_t status = read_head (&reader, "a forwarded events", PAYLOAD_FORWARDED, &version, error);
    if (status != STATUS_OK)
        return status;
    payload->source = read_count (&reader);
    payload->from = reader_varint (&reader);
    payload->to = reader_varint (&reader);
    payload->accepted = read_count (&reader);
    payload->ids_count = read_ids (&reader, payload->ids);
    payload->block = reader_text (&reader);
    bool good = version == PAYLOAD_FORWARDED && payload->from < payload->to &&
                payload->accepted <= payload->to - payload->from &&
                (payload->accepted == 0) == (payload->block.size == 0);
    if (!good)
        return error_set (error, STATUS_CORRUPT,
                          "a forwarded events payload has %u events in a block of %u bytes",
                          payload->accepted, payload->block.size);
    return read_end (&reader, "a forwarded events", error);
}

void marks_encode (const uint64_t *marks, uint32_t partitions, buf_t *out)
{
    buf_put_u8 (out, PAYLOAD_VERSION);
    buf_put_varint (out, partitions);
    for (uint32_t p = 0; p < partitions; p++)
        buf_put_varint (out, marks[p]);
}

status_t marks_decode (text_t bytes, uint64_t *marks, uint32_t partitions, error_t *error)
{
    reader_t reader = reader_of (bytes.data, bytes.size);
    uint8_t version;
    status_t status = read_head (&reader, "a marks", PAYLOAD_VERSION, &version, error);
    if (status != STATUS_OK)
        return status;
    uint64_t count = reader_varint (&reader);
    if (!reader.bad && count != partitions)
        return error_set (error, STATUS_CORRUPT, "the marks are of %" PRIu64 " partitions, not %u",
                          count, partitions);
    for (uint32_t p = 0; p < partitions; p++)
        marks[p] = reader_varint (&reader);
    return read_end (&reader, "a marks", error);
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

void forget_payload_encode (const forget_payload_t *payload, buf_t *out)
{
    CHECK (payload->id.size > 0 && payload->id.size <= CONTROL_ID_MAX);
    CHECK (payload->key.size > 0 && payload->key.size <= KEY_SIZE_MAX);
    CHECK (!payload->forwarded || payload->from < payload->to);
    buf_put_u8 (out, PAYLOAD_VERSION);
    buf_put_text (out, payload->id);
    buf_put_i64 (out, payload->clock);
    buf_put_text (out, payload->key);
    buf_put_i64 (out, payload->before);
    buf_put_u8 (out, payload->forwarded);
    if (!payload->forwarded)
        return;
    buf_put_varint (out, payload->source);
    buf_put_varint (out, payload->from);
    buf_put_varint (out, payload->to);
}

status_t forget_payload_decode (text_t bytes, forget_payload_t *payload, error_t *error)
{
    reader_t reader = reader_of (bytes.data, bytes.size);
    uint8_t version;
    status_t status = read_head (&reader, "a forget", PAYLOAD_VERSION, &version, error);
    if (status != STATUS_OK)
        return status;
    *payload = (forget_payload_t){ .id = reader_text (&reader) };
    payload->clock = reader_i64 (&reader);
    payload->key = reader_text (&reader);
    payload->before = reader_i64 (&reader);
    uint8_t forwarded = reader_u8 (&reader);
    payload->forwarded = forwarded == 1;
    if (payload->forwarded) {
        payload->source = read_count (&reader);
        payload->from = reader_varint (&reader);
        payload->to = reader_varint (&reader);
    }
    bool good = forwarded <= 1 && payload->id.size > 0 && payload->id.size <= CONTROL_ID_MAX &&
                payload->key.size > 0 && payload->key.size <= KEY_SIZE_MAX &&
                (!payload->forwarded || payload->from < payload->to);
    if (!good)
        return error_set (error, STATUS_CORRUPT,
                          "a forget payload has an id of %u bytes and a key of %u",
                          payload->id.size, payload->key.size);
    return read_end (&reader, "a forget", error);
}
