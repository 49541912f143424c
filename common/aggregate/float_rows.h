/* float_rows.h - how many float64s a state holds, and how many of them are not finite.
 *
 * NaN and the infinities are counted, never added: what they do to a result is decided when it is
 * finalised, so that it does not depend on the order. */
#ifndef WEIR_AGGREGATE_FLOAT_ROWS_H
#define WEIR_AGGREGATE_FLOAT_ROWS_H

#include "aggregate/partial.h"

#include <math.h>

typedef struct float_rows {
    uint64_t rows; /* all */
    uint64_t nan;
    uint64_t positive_infinity;
    uint64_t negative_infinity;
} float_rows_t;

enum { FLOAT_ROWS_MAX = 10 + 3 * 9 }; /* bytes in a partial */

/* Counts one row; false when it is finite, so that the caller has a number to add. */
static inline bool float_rows_add (float_rows_t *self, double value)
{
    (void)rows_add (&self->rows, 1);
    if (isfinite (value))
        return false;
    if (isnan (value))
        self->nan++;
    else if (value > 0)
        self->positive_infinity++;
    else
        self->negative_infinity++;
    return true;
}

/* Counts `count` rows, of which `finite` are. */
static inline void float_rows_add_some (float_rows_t *self, const double *values, size_t count,
                                        size_t finite)
{
    if (__builtin_expect (finite == count, 1))
        (void)rows_add (&self->rows, count);
    else
        for (size_t i = 0; i < count; i++)
            (void)float_rows_add (self, values[i]);
}

static inline bool float_rows_finite (const float_rows_t *self)
{
    return (self->nan | self->positive_infinity | self->negative_infinity) == 0;
}

/* The sum of rows of which at least one is not finite. */
double float_rows_sum (const float_rows_t *self);

/* Adds the counts of `from`; false, with nothing changed, when there would be too many rows. */
bool float_rows_merge (float_rows_t *self, const float_rows_t *from);

/* Varint of 2 * rows + (1 when any is not finite), then in that case the varints of the three
 * counts. Reading makes the reader bad when they are not of one to STATE_ROWS_MAX rows. */
void float_rows_encode (const float_rows_t *self, buf_t *out);
float_rows_t float_rows_read (reader_t *reader);

/* How many rows are finite. */
uint64_t float_rows_count_finite (const float_rows_t *self);

#endif
