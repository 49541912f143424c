/* typed.h - cells of CSV text as what their fields take, for messages: there a number is a number.
 */
#ifndef WEIR_CLI_TYPED_H
#define WEIR_CLI_TYPED_H

#include "feature/definition.h"
#include "intake/intake.h"

/* Replaces, in place, the cells of the stream's bool, int64, float64 and timestamp columns that
 * read as such. Others stay text, and the owner says what is wrong with them. A decimal is always
 * text. */
void type_cells (const stream_t *stream, raw_table_t *table);

#endif
