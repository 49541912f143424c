/* pieces.h - rows of one key cut into atoms, where an edge of some window may fall between them.
 *
 * A *piece* is the part of an atom that one run of rows holds; a *track* the atoms of one group of
 * slots, or of the events later than the clock at the cut. */
#ifndef WEIR_BATCHVIEW_PIECES_H
#define WEIR_BATCHVIEW_PIECES_H

#include "batchview/viewfile.h"

typedef struct track_atom {
    int64_t first; /* µs */
    int64_t last;  /* µs */
    uint32_t from; /* its latest piece: rows of the run that it was cut from, while that is there */
    uint32_t count;
} track_atom_t;

typedef struct track {
    track_atom_t *atom;
    size_t atoms;
    size_t capacity;
    bool future;    /* there is an edge between any two times */
    bool collapsed; /* some atom has more than one time */
    viewfile_span_t *span;
    size_t spans;
    size_t span_at; /* spans before it end before the latest row */
} track_t;

/* Without spans; `track_release` frees them, too. */
void track_init (track_t *self, bool future);
void track_release (track_t *self);
/* Begins a key, or goes on with one, from an atom's beginning on, without the atoms before it. */
void track_clear (track_t *self);

/* Cuts rows [from, to), whose times do not descend and are not before those of rows cut earlier, up
 * to the first that begins an atom past the `most`-th; returns which that is, or `to`. The first
 * row may be of the atom that was the latest one: *goes_on. Costs what there are atoms, and the
 * logarithm of how many rows each has. */
size_t track_rows (track_t *self, const int64_t *time, size_t from, size_t to, size_t most,
                   bool *goes_on);

/* Appends one that was not cut here: a section, which stands in place of an atom. */
void track_put (track_t *self, int64_t first, int64_t last);

/* The time of the latest row; INT64_MIN without atoms. */
static inline int64_t track_last (const track_t *self)
{
    return self->atoms > 0 ? self->atom[self->atoms - 1].last : INT64_MIN;
}

#endif
