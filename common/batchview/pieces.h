/* pieces.h - rows of one key cut into atoms, where an edge of some window may fall between them.
 *
 * A *piece* is the part of an atom that one run of rows holds; a *track* the pieces of one group of
 * slots, or of the events later than the clock at the cut. */
#ifndef WEIR_BATCHVIEW_PIECES_H
#define WEIR_BATCHVIEW_PIECES_H

#include "batchview/viewfile.h"

typedef struct piece {
    int64_t first; /* µs */
    int64_t last;  /* µs */
    uint32_t from; /* rows of the run that it was cut from, while that is there */
    uint32_t count;
    bool starts; /* an atom */
} piece_t;

typedef struct track {
    piece_t *piece;
    size_t pieces;
    size_t capacity;
    size_t atoms;
    bool future;    /* there is an edge between any two times */
    bool collapsed; /* some atom has more than one time */
    int64_t last;   /* time of the latest row */
    viewfile_span_t *span;
    size_t spans;
    size_t span_at; /* spans before it end before `last` */
} track_t;

/* Without spans; `track_release` frees them, too. */
void track_init (track_t *self, bool future);
void track_release (track_t *self);
/* Begins a key. */
void track_clear (track_t *self);
/* Cuts rows [from, to), whose times do not descend and are not before those of rows cut earlier.
 * Costs what there are pieces, and the logarithm of how many rows each has. */
void track_rows (track_t *self, const int64_t *time, size_t from, size_t to);

#endif
