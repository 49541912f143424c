/* keyed.h - integers that follow from the rows' keys and times. Private to the library.
 *
 * Rows of a run are in the order of key and time: within a key times rise, and so do positions,
 * mostly. Positions also follow the time at which events came in, whatever their keys. */
#ifndef WEIR_BLOCK_KEYED_H
#define WEIR_BLOCK_KEYED_H

#include "block/format.h"

/* Appends the event times as steps within keys when they rise in each, else as ints_encode does.
 * Scratch's a is used, and what ints_encode uses. */
encoding_t keyed_times_encode (buf_t *out, const int64_t *values, size_t count,
                               const scratch_t *scratch);

/* Appends positions (offsets or rows) as steps within keys, by their trend over `times`, or as
 * ints_encode does: whichever seems smallest. Scratch's a, b and c are used, and what ints_encode
 * uses. */
encoding_t keyed_positions_encode (buf_t *out, const int64_t *values, const int64_t *times,
                                   size_t count, const scratch_t *scratch);

/* Reads what these two wrote. `times` NULL: no TREND. False when the bytes are not such a sequence.
 */
bool keyed_decode (reader_t *in, encoding_t encoding, const int64_t *times, int64_t *values,
                   size_t count, const scratch_t *scratch);

#endif
