/* tokens.h - integers as classes of size, packed by how often each comes, and the bits below.
 * Private to the library.
 *
 * A number is told by a token, one of 240, and the bits that the token leaves open: numbers of
 * which the small are many, or that lie around a value, take little more than their entropy. */
#ifndef WEIR_BLOCK_TOKENS_H
#define WEIR_BLOCK_TOKENS_H

#include "block/format.h"

/* How a value is a number that is not negative: (value - base) / scale, or value / scale with the
 * sign in the lowest bit. */
typedef struct tokens_form {
    int64_t base;
    uint64_t scale; /* divides every value - base; 1 or more */
    bool zigzag;    /* base is 0 then */
} tokens_form_t;

/* Can values from `min`, which is the base, to `max` be told? Not numbers of over 60 bits. */
bool tokens_fit (int64_t min, int64_t max, const tokens_form_t *form);

/* Bytes that tokens_put would take, about, from some of the values, which fit. */
size_t tokens_estimate (const int64_t *values, size_t count, const tokens_form_t *form);

/* Appends values[0..count), which fit. `tokens` has room for `count`. */
void tokens_put (buf_t *out, const int64_t *values, size_t count, const tokens_form_t *form,
                 uint8_t *tokens);

/* Reads `count` values. False when the bytes are not such a sequence. */
bool tokens_get (reader_t *in, int64_t *values, size_t count, uint8_t *tokens);

#endif
