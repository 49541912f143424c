/* column.h - the values of one column as bytes. Private to the library.
 *
 * Only what is not null is in a body; the bitmap of what is valid stands before it. */
#ifndef WEIR_BLOCK_COLUMN_H
#define WEIR_BLOCK_COLUMN_H

#include "block/format.h"

/* Appends rows [from, to) of a column as a body and fills the entry's type, encoding and flags. */
void column_encode (buf_t *out, const column_t *column, size_t from, size_t to,
                    const scratch_t *scratch, column_entry_t *entry);

/* Reads a body of `rows` values of entry->type into the column's arrays, which are there. Strings
 * borrow the body's bytes. False when the bytes are not such a body. */
bool column_decode (reader_t *in, const column_entry_t *entry, size_t rows,
                    const scratch_t *scratch, column_t *column);

#endif
