#include "aggregate/float_rows.h"

double float_rows_sum (const float_rows_t *self)
{
    if (self->nan > 0 || (self->positive_infinity > 0 && self->negative_infinity > 0))
        return (double)NAN;
    return self->positive_infinity > 0 ? (double)INFINITY : -(double)INFINITY;
}

bool float_rows_merge (float_rows_t *self, const float_rows_t *from)
{
    if (!rows_add (&self->rows, from->rows))
        return false;
    /* None of these is more than the rows. */
    self->nan += from->nan;
    self->positive_infinity += from->positive_infinity;
    self->negative_infinity += from->negative_infinity;
    return true;
}

void float_rows_encode (const float_rows_t *self, buf_t *out)
{
    bool finite = float_rows_finite (self);
    buf_put_varint (out, self->rows << 1 | (finite ? 0u : 1u));
    if (finite)
        return;
    buf_put_varint (out, self->nan);
    buf_put_varint (out, self->positive_infinity);
    buf_put_varint (out, self->negative_infinity);
}

float_rows_t float_rows_read (reader_t *reader)
{
    float_rows_t self = { 0 };
    uint64_t header = partial_read_varint (reader);
    self.rows = header >> 1;
    bool fits = self.rows > 0;
    if ((header & 1) != 0) {
        self.nan = partial_read_varint (reader);
        self.positive_infinity = partial_read_varint (reader);
        self.negative_infinity = partial_read_varint (reader);
        uint64_t counted = 0;
        fits = fits && rows_add (&counted, self.nan) &&
               rows_add (&counted, self.positive_infinity) &&
               rows_add (&counted, self.negative_infinity) && counted > 0 && counted <= self.rows;
    }
    if (!fits)
        reader->bad = true;
    return self;
}

uint64_t float_rows_count_finite (const float_rows_t *self)
{
    return self->rows - self->nan - self->positive_infinity - self->negative_infinity;
}
