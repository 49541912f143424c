/* cell.h - one raw cell as a value of a field's type. */
#ifndef WEIR_INTAKE_CELL_H
#define WEIR_INTAKE_CELL_H

#include "intake/intake.h"

/* False when the cell is not what the field takes; cell_reason then says why. A string borrows from
 * the cell. Whether null is allowed is not looked at. */
bool cell_value (const field_t *field, const raw_t *raw, value_t *value);

/* "column amount: 'abc' is not a float64", in `arena`. */
const char *cell_reason (const field_t *field, const raw_t *raw, arena_t *arena);

/* A string in `arena`, formatted; a reason is bounded in length. */
const char *cell_format (arena_t *arena, const char *format, ...) PRINTF_LIKE (2, 3);

/* Appends what may be shown of a user's text: one line, printable, shortened. */
void cell_show (buf_t *out, text_t text);

/* What is said of a column that the stream does not have, with the likeliest name; in `arena`. */
const char *column_unknown (const stream_t *stream, text_t name, arena_t *arena);

#endif
