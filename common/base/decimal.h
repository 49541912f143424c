/* decimal.h - decimal numbers of up to 38 digits: an integer number of units of the last digit, and
 * a scale, the number of digits after the point, that stands beside it. 1050 of scale 2 is 10.50.
 * Everything here is exact or rounded once. */
#ifndef WEIR_BASE_DECIMAL_H
#define WEIR_BASE_DECIMAL_H

#include "base/buf.h"
#include "base/value.h"

/* 10^digits, of 0 to 38 digits. */
int128_t decimal_power (unsigned digits);

/* Has it at most 38 digits? */
bool decimal_fits (int128_t value);

/* What a text lacks to be a decimal of so many digits. */
typedef enum decimal_fault {
    DECIMAL_GOOD,
    DECIMAL_NO_NUMBER,
    DECIMAL_TOO_FINE, /* digits other than 0 past the scale */
    DECIMAL_TOO_LONG, /* more digits than the precision */
} decimal_fault_t;

/* A whole text as a decimal of `precision` digits, `scale` of them after the point: a sign, digits
 * with or without a point, an exponent. Its value is kept exactly or refused; zeros at either end
 * do not count. */
decimal_fault_t decimal_parse (text_t text, unsigned precision, unsigned scale, unscaled_t *value);

/* The same at the least scale that the text needs: 10.50 has scale 2. False when it is no number,
 * or has over 38 digits so. */
bool decimal_parse_literal (text_t text, type_t *type, unscaled_t *value);

enum { DECIMAL_TEXT_MAX = DECIMAL_DIGITS_MAX + 4 };

/* The same as decimal_format appends, written into `bytes` of DECIMAL_TEXT_MAX. */
text_t decimal_text (int128_t value, unsigned scale, char *bytes);

/* Appends the text with exactly `scale` digits after the point, and no point for none: 10.50,
 * -0.05, 7. */
void decimal_format (buf_t *out, int128_t value, unsigned scale);

/* The order of two decimals by value: negative, 0 or positive. */
int decimal_compare (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale);

/* The same beside a float64, by exact value; NaN is above all numbers. */
int decimal_compare_float (int128_t a, unsigned scale, double b);

/* The same value at another scale. Where digits are dropped it is rounded to the nearest, halves
 * away from zero. False when it has over 38 digits then. */
bool decimal_rescale (int128_t value, unsigned from, unsigned to, unscaled_t *out);

/* ---- arithmetic; false when the exact result has over 38 digits ---- */

/* At the larger of the two scales. */
bool decimal_add (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale, unscaled_t *out);
/* At the sum of the scales. */
bool decimal_multiply (int128_t a, int128_t b, unscaled_t *out);
/* At the larger of the two scales, with the sign of `a`; false also when `b` is 0. */
bool decimal_remainder (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale,
                        unscaled_t *out);

/* Rounding to a number of digits after the point, or (negative) to a power of ten before it, at the
 * same scale. */
typedef enum decimal_rounding {
    DECIMAL_DOWN,    /* towards minus infinity */
    DECIMAL_UP,      /* towards infinity */
    DECIMAL_TO_ZERO, /* */
    DECIMAL_NEAREST, /* halves away from zero */
} decimal_rounding_t;
bool decimal_round (int128_t value, unsigned scale, int64_t digits, decimal_rounding_t rounding,
                    unscaled_t *out);

/* ---- conversion ---- */

/* The nearest float64, ties to even. */
double decimal_to_float (int128_t value, unsigned scale);

/* The nearest decimal, halves away from zero. False when it has over 38 digits, or is no number. */
bool decimal_of_float (double value, unsigned scale, unscaled_t *out);

/* Reads "decimal(12,2)"; blanks may stand around its numbers. False when it is not one with 1 to 38
 * digits, and a scale of at most as many. */
bool decimal_type_parse (text_t text, type_t *type, unsigned *precision);

/* "decimal(38,2)". Static storage. */
const char *decimal_type_word (unsigned scale);

#endif
