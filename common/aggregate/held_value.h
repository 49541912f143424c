/* held_value.h - one value kept by a state, and its form in a partial. */
#ifndef WEIR_AGGREGATE_HELD_VALUE_H
#define WEIR_AGGREGATE_HELD_VALUE_H

#include "aggregate/aggregate.h"
#include "base/value.h"

#include <math.h>

/* Its type is the spec's input. A string's bytes are owned. */
typedef struct held_value {
    union {
        int64_t i;
        double f;
        unscaled_t d;
        struct {
            char *data;
            uint32_t size;
            uint32_t capacity;
        } s;
    };
} held_value_t;

/* May a value of this type be kept? */
bool held_value_is_type (type_t type);

void held_value_init (held_value_t *self);
void held_value_release (type_t type, held_value_t *self);

/* Is the value certainly what would be kept of it? Spares most rows the copy. */
static inline bool held_value_is_form (const value_t *value)
{
    return value->type == TYPE_FLOAT64  ? value->f < 0 || value->f > 0
           : value->type == TYPE_STRING ? value->s.size <= STRING_VALUE_MAX
                                        : true;
}

/* What would be kept of `value`: floats in the stored form, and strings over STRING_VALUE_MAX
 * bytes, which only expressions make, cut to their longest beginning that fits and ends with a
 * whole UTF-8 character. Borrows its bytes. */
value_t held_value_form (const value_t *value);

/* XXH3-64 of its key encoding (base/key.h), whatever its size; not null. */
uint64_t held_value_hash (const value_t *value);

/* Keeps a copy of `value`, which is in that form. */
void held_value_set (held_value_t *self, const value_t *value);

/* Bytes on the heap. */
static inline size_t held_value_memory (type_t type, const held_value_t *self)
{
    return type == TYPE_STRING ? self->s.capacity : 0;
}

/* The value, borrowing its bytes. */
value_t held_value_get (type_t type, const held_value_t *self);

/* The order of `value` against the held one, as value_compare has it. */
static inline int held_value_order (type_t type, const held_value_t *self, const value_t *value)
{
    if (type_is_decimal (type))
        return (value->d > self->d) - (value->d < self->d);
    if (type != TYPE_STRING && type != TYPE_FLOAT64)
        return (value->i > self->i) - (value->i < self->i);
    if (type == TYPE_FLOAT64 && !isunordered (value->f, self->f))
        return (value->f > self->f) - (value->f < self->f);
    value_t held = held_value_get (type, self);
    return value_compare (value, &held);
}

/* Is the value, in its stored form, the held one? */
static inline bool held_value_is (type_t type, const held_value_t *self, const value_t *value)
{
    if (type == TYPE_STRING)
        return self->s.size == value->s.size &&
               (value->s.size == 0 || memcmp (self->s.data, value->s.data, value->s.size) == 0);
    return held_value_order (type, self, value) == 0;
}

/* bool: one byte, 0 or 1. int64, timestamp: zigzag varint. decimal: zigzag varint of up to 128 bits
 * of the unscaled value. float64: the 8 bytes of IEEE 754, least
 * first; never -0.0, and one NaN. string: varint of the size, then the bytes. Reading makes the
 * reader bad when the form is not canonical; the value borrows the reader's bytes. */
void held_value_encode (type_t type, const held_value_t *self, buf_t *out);
value_t held_value_read (type_t type, reader_t *reader);
void held_value_put (const value_t *value, buf_t *out); /* not null, in its stored form */

/* How many bytes that is of `value`, and at most of a type. */
uint32_t held_value_size (const value_t *value);
uint32_t held_value_size_max (type_t type);

#endif
