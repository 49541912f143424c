/* outcome_row.h - what one row's features came to, as bytes: how batch workers hand it back.
 *
 *     row   = *value
 *     value = type 0                   ; null
 *           / type 1 content
 *           / type 2 text              ; it could not be computed: the reason
 *     type  = a byte, as type_t
 *     content of a bool, int64, timestamp, float64: 8 bytes; of a decimal: 16; of a string: text
 *     content of a list = varint *value
 *     content of a map  = varint capped-u8 total-varint *(key-value value)
 *     text = varint bytes
 *
 * The type is said, because who reads may know another definition of the feature than who wrote: a
 * field that is float64 by now. */
#ifndef WEIR_TRAINSET_OUTCOME_ROW_H
#define WEIR_TRAINSET_OUTCOME_ROW_H

#include "feature/outcome.h"

enum { OUTCOME_ROW_MAX = 8 << 20 }; /* bytes */

/* Appends one. */
void outcome_row_put (const outcome_t *outcome, buf_t *out);

/* Reads one of that type. Strings, lists and maps are in `arena`, or borrowed from the bytes.
 * CORRUPT when they are none; STALE when it is of another type. */
MUST_CHECK status_t outcome_row_get (reader_t *reader, type_t type, arena_t *arena,
                                     outcome_t *outcome, error_t *error);

#endif
