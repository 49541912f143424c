/* sweep.h - the partials that stand in a record or section, in one pass over its atoms for each row
 * of them, latest first. */
#ifndef WEIR_BATCHVIEW_SWEEP_H
#define WEIR_BATCHVIEW_SWEEP_H

#include "batchview/layer.h"

/* What sweeps leave. */
typedef struct swept {
    buf_t partials;
    uint32_t *place; /* of each in it, from 1; 0: it is empty, or not kept */
    size_t places;
    size_t capacity;
    uint32_t *start; /* of the atoms of `cut`: their first rows, and the row behind the last one */
    size_t start_capacity;
    const track_t *cut; /* NULL: none */
} swept_t;

void swept_init (swept_t *self);
void swept_release (swept_t *self);
/* Makes room for so many places, of at most `limit` bytes with the partials; false: they are more.
 */
bool swept_begin (swept_t *self, size_t places, size_t limit);

/* The partial that has place number `index`; empty when there is none. */
text_t swept_partial (const swept_t *self, size_t index);

/* What is swept: a slot's state over a layer. */
typedef struct swept_slot {
    const viewfile_slot_t *info;
    state_spec_t spec;
    void *acc;
    const track_t *track;
    const buf_t *own;   /* partials of its atoms; NULL: of `rows` */
    state_rows_t *rows; /* from which they were cut */
    unsigned layer;     /* 0: they are atoms */
    bool blocks;        /* own partials, whatever the slot's are: of the future's atoms */
    bool skip_first;    /* nothing asks for the first atom */
} swept_slot_t;

/* Fills the next places, for the rows of partials that the slot has in that layer; *total is the
 * place number of that which is of all its atoms. CORRUPT is a bug; too many bytes make
 * out->partials bad. */
MUST_CHECK status_t sweep (const swept_slot_t *slot, swept_t *out, size_t *total, error_t *error);

#endif
