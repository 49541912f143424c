#include "aggregate/partial.h"

/* May this byte stand at `shift` in a number of `bits` bits? Its bits must fit, and a last byte of
 * 0 would be one too many. */
static bool is_canonical_byte (uint8_t byte, unsigned shift, unsigned bits)
{
    unsigned payload = byte & 0x7fu;
    return shift < bits && (bits - shift >= 7 || payload >> (bits - shift) == 0) &&
           (byte != 0 || shift == 0);
}

uint64_t partial_read_long_varint (reader_t *reader)
{
    uint64_t value = 0;
    const uint8_t *at = reader->at;
    for (unsigned shift = 0; !reader->bad && at < reader->end; shift += 7) {
        uint8_t byte = *at++;
        if (!is_canonical_byte (byte, shift, 64))
            break;
        value |= (uint64_t)(byte & 0x7fu) << shift;
        if (byte < 0x80) {
            reader->at = at;
            return value;
        }
    }
    reader->bad = true;
    return 0;
}

static uint128_t read_wide_varint (reader_t *reader)
{
    uint128_t value = 0;
    const uint8_t *at = reader->at;
    for (unsigned shift = 0; !reader->bad && at < reader->end; shift += 7) {
        uint8_t byte = *at++;
        if (!is_canonical_byte (byte, shift, 128))
            break;
        value |= (uint128_t)(byte & 0x7fu) << shift;
        if (byte < 0x80) {
            reader->at = at;
            return value;
        }
    }
    reader->bad = true;
    return 0;
}

int64_t partial_read_zigzag (reader_t *reader)
{
    uint64_t raw = partial_read_varint (reader);
    return (int64_t)(raw >> 1 ^ (0 - (raw & 1)));
}

void partial_put_int128 (buf_t *out, int128_t value)
{
    uint128_t raw = (uint128_t)value << 1 ^ (value < 0 ? ~(uint128_t)0 : 0);
    if (raw <= UINT64_MAX) {
        buf_put_varint (out, (uint64_t)raw);
        return;
    }
    uint8_t bytes[INT128_SIZE_MAX];
    buf_put (out, bytes, (size_t)(partial_int128_put (bytes, value) - bytes));
}

uint8_t *partial_int128_put (uint8_t *to, int128_t value)
{
    uint128_t raw = (uint128_t)value << 1 ^ (value < 0 ? ~(uint128_t)0 : 0);
    for (; raw >= 0x80; raw >>= 7)
        *to++ = (uint8_t)((unsigned)raw | 0x80u);
    *to++ = (uint8_t)raw;
    return to;
}

int128_t partial_read_int128 (reader_t *reader)
{
    uint128_t raw = read_wide_varint (reader);
    return (int128_t)(raw >> 1 ^ (0 - (raw & 1)));
}
