#include "batchview/viewrows.h"

#include "aggregate/partial.h"
#include "base/decimal.h"

#include <string.h>

/* ---- writing ---- */

static size_t cell_size_max (type_t type)
{
    switch (type_family (type)) {
    case TYPE_FLOAT64:
        return sizeof (double);
    case TYPE_DECIMAL:
        return INT128_SIZE_MAX;
    default:
        return VARINT_SIZE_MAX; /* of a string it is the size */
    }
}

viewrows_size_t viewrows_size_of (const viewfile_header_t *header)
{
    viewrows_size_t size = { .all = header->filters + header->lanes,
                             .each = header->positions ? 2 * VARINT_SIZE_MAX : 0 };
    size.all += sizeof (uint64_t); /* ages are written as 8 bytes of which few count */
    size.each += sizeof (uint64_t);
    for (size_t i = 0; i < header->lanes; i++) {
        size.each += cell_size_max (header->lane_type[i]);
        size.strings |= header->lane_type[i] == TYPE_STRING;
    }
    return size;
}

size_t viewrows_room (const viewrows_size_t *size, const viewfile_header_t *header,
                      const projection_t *rows, size_t from, size_t to)
{
    size_t room = size->all + size->each * (to - from);
    for (size_t i = 0; size->strings && i < header->lanes; i++) {
        const column_t *lane = &rows->lane[i];
        for (size_t row = from; lane->type == TYPE_STRING && row < to; row++)
            room += lane->valid[row] ? lane->s[row].size : 0;
    }
    return room;
}

static uint8_t *put_bits (const uint8_t *flags, size_t count, uint8_t *out)
{
    unsigned bits = 0;
    for (size_t i = 0; i < count; i++)
        bits |= (flags[i] != 0 ? 1u : 0u) << i;
    *out = (uint8_t)bits;
    return out + 1;
}
_Static_assert(BATCHVIEW_ROWS_MAX <= 8, "a bit for each row in a byte");

static inline uint8_t *put_cell (const column_t *lane, size_t row, uint8_t *out)
{
    text_t text;
    if (lane->type == TYPE_FLOAT64) { /* as most are */
        memcpy (out, &lane->f[row], sizeof (double));
        return out + sizeof (double);
    }
    switch (type_family (lane->type)) {
    case TYPE_DECIMAL:
        return partial_int128_put (out, lane->d[row]);
    case TYPE_STRING:
        text = lane->s[row];
        out = varint_put (out, text.size);
        if (text.size > 0)
            memcpy (out, text.data, text.size);
        return out + text.size;
    default:
        return varint_put (out, zigzag_of (lane->i[row]));
    }
}

uint8_t *viewrows_put (const viewfile_header_t *header, const projection_t *rows, size_t from,
                       size_t to, unsigned age_bytes, uint8_t *out)
{
    for (size_t i = from; i < to; i++, out += age_bytes) {
        uint64_t age = viewfile_age (header, rows->time[i]);
        memcpy (out, &age, sizeof age);
    }
    for (size_t i = from; header->positions && i < to; i++)
        out = varint_put (varint_put (out, rows->offset[i]), rows->row[i]);
    for (size_t i = 0; i < header->filters; i++)
        out = put_bits (rows->filter[i] + from, to - from, out);
    for (size_t i = 0; i < header->lanes; i++) {
        const column_t *lane = &rows->lane[i];
        out = put_bits (lane->valid + from, to - from, out);
        for (size_t row = from; row < to; row++)
            if (lane->valid[row])
                out = put_cell (lane, row, out);
    }
    return out;
}

/* ---- reading ---- */

/* False: bits are set that no row has. */
static bool read_bits (reader_t *reader, size_t count, uint8_t *flags)
{
    unsigned bits = reader_u8 (reader);
    for (size_t i = 0; i < count; i++)
        flags[i] = bits >> i & 1;
    return bits >> count == 0;
}

/* False: there is no such value. */
static bool read_cell (column_t *lane, size_t row, reader_t *reader)
{
    switch (type_family (lane->type)) {
    case TYPE_FLOAT64:
        lane->f[row] = reader_f64 (reader);
        return true;
    case TYPE_DECIMAL:
        lane->d[row] = partial_read_int128 (reader);
        return decimal_fits (lane->d[row]);
    case TYPE_STRING:
        lane->s[row] = reader_text (reader);
        return true;
    default:
        lane->i[row] = reader_zigzag (reader);
        return lane->type != TYPE_BOOL || (lane->i[row] & ~INT64_C (1)) == 0;
    }
}

static column_t lane_of (viewrows_t *self, const viewfile_header_t *header, size_t lane)
{
    return (column_t){ .type = header->lane_type[lane],
                       .valid = self->valid[lane],
                       .data = self->cell[lane] };
}

static bool read_lane (viewrows_t *self, const viewfile_header_t *header, size_t number,
                       reader_t *reader)
{
    column_t lane = lane_of (self, header, number);
    if (!read_bits (reader, self->count, lane.valid))
        return false;
    for (size_t row = 0; row < self->count; row++)
        if (lane.valid[row] && (!read_cell (&lane, row, reader) || reader->bad))
            return false;
    return true;
}

static bool read_places (viewrows_t *self, const viewfile_header_t *header, unsigned age_bytes,
                         reader_t *reader)
{
    bool fits = true;
    for (size_t i = 0; i < self->count; i++) {
        uint64_t age = 0;
        const uint8_t *bytes = reader_bytes (reader, age_bytes);
        if (bytes != NULL)
            memcpy (&age, bytes, age_bytes);
        self->time[i] = viewfile_time (header, age);
        fits &= i == 0 || self->time[i - 1] <= self->time[i];
    }
    for (size_t i = 0; i < self->count; i++) {
        uint64_t row = 0;
        self->offset[i] = header->positions ? reader_varint (reader) : 0;
        row = header->positions ? reader_varint (reader) : 0;
        self->row[i] = (uint32_t)row;
        fits &= row <= UINT32_MAX;
    }
    return fits;
}

bool viewrows_read (const viewfile_header_t *header, viewfile_shape_t shape, reader_t *reader,
                    viewrows_t *self)
{
    self->count = shape.rows;
    bool fits = read_places (self, header, shape.age_bytes, reader);
    for (size_t i = 0; fits && i < header->filters; i++)
        fits = read_bits (reader, self->count, self->filter[i]);
    for (size_t i = 0; fits && i < header->lanes; i++)
        fits = read_lane (self, header, i, reader);
    return fits && !reader->bad && reader_left (reader) == 0;
}

void viewrows_inputs (viewrows_t *self, const viewfile_header_t *header,
                      const viewfile_slot_t *slot, viewrows_inputs_t *inputs)
{
    inputs->rows =
        (state_rows_t){ .filter = slot->filter > 0 ? self->filter[slot->filter - 1] : NULL,
                        .time = self->time,
                        .offset = self->offset,
                        .row = self->row };
    for (uint16_t k = 0; k < slot->inputs; k++) {
        inputs->lane[k] = lane_of (self, header, slot->lane[k]);
        inputs->rows.lane[k] = &inputs->lane[k];
    }
}

size_t viewrows_to (const viewrows_t *self, int64_t time)
{
    size_t to = 0;
    while (to < self->count && self->time[to] <= time)
        to++;
    return to;
}
