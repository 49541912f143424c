/* keys.h - the keys of a block's rows, and the columns that are fields of them. Private to the
 * library. */
#ifndef WEIR_BLOCK_KEYS_H
#define WEIR_BLOCK_KEYS_H

#include "block/format.h"

/* Fills starts[] with the first row of each stretch of equal keys, and returns how many there are.
 */
size_t keys_find_starts (const text_t *keys, size_t rows, uint32_t *starts);

/* Appends keys, of which scratch knows the stretches, as NUMBERED when they are of one size and
 * differ in their last 8 bytes alone; else as texts_encode does. All of scratch is used. */
encoding_t keys_encode (buf_t *out, const text_t *keys, size_t count, const scratch_t *scratch);

/* Reads NUMBERED; the texts are in scratch's arena. False when the bytes are not such a sequence.
 */
bool keys_decode_numbered (reader_t *in, text_t *texts, size_t count, const scratch_t *scratch);

/* Appends where in the rows' keys the values of a column without nulls are, when they all are.
 * Scratch knows the keys. */
bool keys_put_field (buf_t *out, type_t type, const void *values, size_t count,
                     const scratch_t *scratch);

/* Reads what that wrote: text_t, which borrow the keys' bytes, for strings, int64_t for others.
 * False when the bytes are not such a place, or the keys have no such field there. */
bool keys_get_field (reader_t *in, type_t type, void *values, size_t count,
                     const scratch_t *scratch);

#endif
