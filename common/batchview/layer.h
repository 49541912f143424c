/* layer.h - what of one key and group is not written yet: its latest atoms, or, of a key with very
 * many, the latest sections of one layer, which stand for the atoms in them. */
#ifndef WEIR_BATCHVIEW_LAYER_H
#define WEIR_BATCHVIEW_LAYER_H

#include "batchview/pieces.h"

typedef struct layer {
    track_t track;
    size_t slots;
    buf_t *own; /* per slot of the group: the own partials of atoms that are folded, each with
                   its size (u32) after it: they are read backwards */
    uint64_t *section; /* of each atom of a layer above 0: where it begins in the file */
    size_t capacity;
    bool later; /* its first atom is not the key's: a section of it has been written */
} layer_t;

void layer_init (layer_t *self, size_t slots, bool future);
void layer_release (layer_t *self);
/* Begins a key. */
void layer_clear (layer_t *self);
/* Goes on with the key, after what was there has been written. */
void layer_written (layer_t *self);

/* Adds the atom's rows of the run to `acc`; did any count? */
static inline bool layer_add_rows (state_spec_t spec, state_rows_t *rows, const track_atom_t *atom,
                                   void *acc)
{
    rows->from = atom->from;
    rows->to = (size_t)atom->from + atom->count;
    return state_add_rows (spec, acc, rows);
}

/* Appends the own partials of one slot of atoms from `first` on, from the rows that they were cut
 * from; with `goes_on`, what the first of them has there is kept. `slot` counts in the group.
 * CORRUPT is a bug; too much makes own[slot] bad. */
MUST_CHECK status_t layer_fold (layer_t *self, size_t slot, state_spec_t spec, state_rows_t *rows,
                                void *acc, size_t first, bool goes_on, error_t *error);

/* Appends a section that begins at `place` in the file; its partials are appended to `own`, each
 * with layer_put_own. */
void layer_put (layer_t *self, int64_t first, int64_t last, uint64_t place);
void layer_put_own (layer_t *self, size_t slot, text_t partial);

/* Bytes of partials in `own`; of everything. */
size_t layer_own_bytes (const layer_t *self);
size_t layer_bytes (const layer_t *self);

#endif
