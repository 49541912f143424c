/* ints.h - sequences of int64 as bytes. Private to the library.
 *
 * A sequence is a column of integers, or a part of another encoding (sizes, codes, run lengths). */
#ifndef WEIR_BLOCK_INTS_H
#define WEIR_BLOCK_INTS_H

#include "block/format.h"

/* Appends values[0..count) in the encoding that is estimated to be smallest, and returns it.
 * Scratch's a, b, d and tokens are used; `values` must be none of them. */
encoding_t ints_encode (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch);

/* Bytes that ints_put would take, about. */
size_t ints_estimate (const int64_t *values, size_t count, const scratch_t *scratch);

/* Are all of them the same? True for none. */
bool ints_are_equal (const int64_t *values, size_t count);

/* Reads `count` values. False when the bytes are not such a sequence. Scratch's a, b and tokens are
 * used; `values` must be none of them. */
bool ints_decode (reader_t *in, encoding_t encoding, int64_t *values, size_t count,
                  const scratch_t *scratch);

/* The same for a sequence inside another encoding: an encoding byte comes first, and neither RUNS
 * nor DICTIONARY is used, so that of scratch only d and tokens are. */
void ints_put (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch);
/* ints_put for values that are differences themselves. */
void ints_put_alone (buf_t *out, const int64_t *values, size_t count, const scratch_t *scratch);
bool ints_get (reader_t *in, int64_t *values, size_t count, const scratch_t *scratch);

/* x with x * odd = 1 modulo 2^64: what `odd` divides without a rest is divided by a multiplication.
 */
uint64_t ints_inverse_of_odd (uint64_t odd);

#endif
