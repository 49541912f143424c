#include "block/trend.h"

#include "base/check.h"
#include "base/value.h"

enum {
    POINTS_PER_KNOT = 16,
    KNOTS_MIN = 3,
    FRACTION_BITS = 16,
};

/* The points of a stretch between two knots that are nearest to them. */
typedef struct stretch {
    bool any;
    int64_t first_x;
    int64_t first_y;
    int64_t last_x;
    int64_t last_y;
} stretch_t;

static int64_t find_bounds (const int64_t *x, size_t count, uint64_t *span)
{
    int64_t least = x[0];
    int64_t most = x[0];
    for (size_t i = 1; i < count; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    *span = (uint64_t)most - (uint64_t)least;
    return least;
}

static size_t knots_of (uint64_t span, unsigned shift)
{
    uint64_t stretches = (span >> shift) + 1;
    return stretches < TREND_KNOTS_MAX ? (size_t)stretches + 1 : TREND_KNOTS_MAX + 1;
}

static void find_stretches (const trend_t *self, const int64_t *x, const int64_t *y, size_t count,
                            stretch_t *stretches)
{
    for (size_t i = 0; i < count; i++) {
        stretch_t *at = &stretches[((uint64_t)x[i] - (uint64_t)self->least) >> self->shift];
        if (!at->any || x[i] < at->first_x) {
            at->first_x = x[i];
            at->first_y = y[i];
        }
        if (!at->any || x[i] > at->last_x) {
            at->last_x = x[i];
            at->last_y = y[i];
        }
        at->any = true;
    }
}

/* Where the straight line through the last point before a knot and the first one after it is. The
 * values are of 65 bits at most, and the fraction below 1. */
static int64_t between (const stretch_t *before, const stretch_t *after, uint64_t least,
                        uint64_t place)
{
    if (before == NULL)
        return after->first_y;
    if (after == NULL)
        return before->last_y;
    uint64_t from = (uint64_t)before->last_x - least;
    uint64_t width = (uint64_t)after->first_x - (uint64_t)before->last_x;
    double fraction = (double)(place - from) / (double)width;
    int64_t rise = (int64_t)((uint64_t)after->first_y - (uint64_t)before->last_y);
    int64_t part =
        (int64_t)((int128_t)rise * (int64_t)(fraction * (1 << FRACTION_BITS)) >> FRACTION_BITS);
    return (int64_t)((uint64_t)before->last_y + (uint64_t)part);
}

static void find_knots (trend_t *self, const stretch_t *stretches)
{
    const stretch_t *before = NULL;
    size_t next = 0; /* the first stretch from here on that has points; the last one always has */
    for (size_t k = 0; k < self->knots; k++) {
        next = next < k ? k : next;
        while (next + 1 < self->knots && !stretches[next].any)
            next++;
        const stretch_t *after = next + 1 < self->knots ? &stretches[next] : NULL;
        self->knot[k] = between (before, after, (uint64_t)self->least, (uint64_t)k << self->shift);
        if (k + 1 < self->knots && stretches[k].any)
            before = &stretches[k];
    }
}

bool trend_find (trend_t *self, const int64_t *x, const int64_t *y, size_t count)
{
    size_t most = count / POINTS_PER_KNOT;
    most = most < TREND_KNOTS_MAX ? most : TREND_KNOTS_MAX;
    if (most < KNOTS_MIN)
        return false;
    uint64_t span;
    self->least = find_bounds (x, count, &span);
    self->shift = 0;
    if (span == 0 || span >> 62 != 0)
        return false;
    while (knots_of (span, self->shift) > most)
        self->shift++;
    self->knots = knots_of (span, self->shift);
    stretch_t stretches[TREND_KNOTS_MAX];
    memset (stretches, 0, self->knots * sizeof *stretches);
    find_stretches (self, x, y, count, stretches);
    find_knots (self, stretches);
    return true;
}

bool trend_fits (trend_t *self, const int64_t *x, size_t count)
{
    uint64_t span;
    if (count == 0 || self->shift > 63)
        return false;
    self->least = find_bounds (x, count, &span);
    return knots_of (span, self->shift) == self->knots;
}

/* What a line is followed by: values, which no store of a loop may have changed. */
typedef struct follower {
    const int64_t *knot;
    uint64_t least;
    uint64_t mask; /* of what is between two knots */
    unsigned shift;
    unsigned down; /* shifts what is between two knots to a fraction: one of them is 0 */
    unsigned up;
} follower_t;

static follower_t follower_of (const trend_t *trend)
{
    unsigned shift = trend->shift;
    return (follower_t){ .knot = trend->knot,
                         .least = (uint64_t)trend->least,
                         .mask = (UINT64_C (1) << shift) - 1,
                         .shift = shift,
                         .down = shift > FRACTION_BITS ? shift - FRACTION_BITS : 0,
                         .up = shift > FRACTION_BITS ? 0 : FRACTION_BITS - shift };
}

static inline uint64_t line_at (follower_t self, int64_t x)
{
    uint64_t place = (uint64_t)x - self.least;
    const int64_t *knot = self.knot + (place >> self.shift);
    uint64_t fraction = (place & self.mask) >> self.down << self.up;
    uint64_t rise = (uint64_t)knot[1] - (uint64_t)knot[0];
    return (uint64_t)knot[0] + (uint64_t)((int64_t)(rise * fraction) >> FRACTION_BITS);
}

void trend_take (const trend_t *self, const int64_t *x, const int64_t *y, size_t count,
                 int64_t *off)
{
    follower_t follower = follower_of (self);
    for (size_t i = 0; i < count; i++)
        off[i] = (int64_t)((uint64_t)y[i] - line_at (follower, x[i]));
}

void trend_give (const trend_t *self, const int64_t *x, size_t count, int64_t *y)
{
    follower_t follower = follower_of (self);
    for (size_t i = 0; i < count; i++)
        y[i] = (int64_t)((uint64_t)y[i] + line_at (follower, x[i]));
}
