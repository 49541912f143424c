#include "aggregate/partial.h"

static void reader_fail (reader_t *reader)
{
    reader->bad = true;
}

/* Varint of up to `bits` bits. */
static uint128_t read_canonical (reader_t *reader, unsigned bits)
{
    uint128_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = reader_u8 (reader);
        if (reader->bad)
            return 0;
        unsigned payload = byte & 0x7fu;
        bool too_wide = shift >= bits || (bits - shift < 7 && payload >> (bits - shift) != 0);
        if (too_wide || (byte == 0 && shift > 0)) {
            reader_fail (reader);
            return 0;
        }
        value |= (uint128_t)payload << shift;
        if (byte < 0x80)
            return value;
    }
}

uint64_t partial_read_varint (reader_t *reader)
{
    return (uint64_t)read_canonical (reader, 64);
}

int64_t partial_read_zigzag (reader_t *reader)
{
    uint64_t raw = partial_read_varint (reader);
    return (int64_t)(raw >> 1 ^ (0 - (raw & 1)));
}

void partial_put_int128 (buf_t *out, int128_t value)
{
    uint128_t raw = (uint128_t)value << 1 ^ (value < 0 ? ~(uint128_t)0 : 0);
    while (raw >= 0x80) {
        buf_put_u8 (out, (uint8_t)((unsigned)raw | 0x80u));
        raw >>= 7;
    }
    buf_put_u8 (out, (uint8_t)raw);
}

int128_t partial_read_int128 (reader_t *reader)
{
    uint128_t raw = read_canonical (reader, 128);
    return (int128_t)(raw >> 1 ^ (0 - (raw & 1)));
}
