/* number.h - numbers as text, exactly. */
#ifndef WEIR_BASE_NUMBER_H
#define WEIR_BASE_NUMBER_H

#include "base/buf.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* A whole text as a decimal int64; false when it is not one or overflows. */
bool number_parse_int (text_t text, int64_t *value);

/* A whole text as a decimal float64, correctly rounded; also NaN, Infinity, -Infinity, inf, nan in
 * any case; locale-independent. Hex floats are refused. False when it is not a number. */
bool number_parse_float (text_t text, double *value);

/* Appends the shortest text that reads back to the same bits, with ".0" when it would look like an
 * integer: 12.5, 3.0, 1e+300. Non-finite: NaN, Infinity, -Infinity (no quotes). */
void number_format_float (buf_t *out, double value);

/* Appends `text` as a JSON string with its quotes (RFC 8259); bytes that are not UTF-8 become
 * U+FFFD. */
void number_format_json_string (buf_t *out, text_t text);

#endif
