/* trend.h - a line through points, bent at equal distances, and what values are off it. Private to
 * the library. */
#ifndef WEIR_BLOCK_TREND_H
#define WEIR_BLOCK_TREND_H

#include "base/buf.h"

enum { TREND_KNOTS_MAX = 1024 };

/* All arithmetic is modulo 2^64, so that any bytes are a trend. Between its knots k and k + 1,
 * where x - least goes from k << shift to (k + 1) << shift, the line is straight. */
typedef struct trend {
    int64_t least;  /* x */
    unsigned shift; /* at most 63 */
    size_t knots;   /* 2 to TREND_KNOTS_MAX */
    int64_t knot[TREND_KNOTS_MAX];
} trend_t;

/* Lays a trend through the points (x[i], y[i]), with a knot for every 16 of them at most. False
 * when there are too few points, or all have one x. */
bool trend_find (trend_t *self, const int64_t *x, const int64_t *y, size_t count);

/* Sets `least` and checks that `shift` and `knots` are those of a trend over these x. */
bool trend_fits (trend_t *self, const int64_t *x, size_t count);

/* off[i] = y[i] - line (x[i]). */
void trend_take (const trend_t *self, const int64_t *x, const int64_t *y, size_t count,
                 int64_t *off);

/* y[i] += line (x[i]). */
void trend_give (const trend_t *self, const int64_t *x, size_t count, int64_t *y);

#endif
