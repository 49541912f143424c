/* record.h - making one key's record: rows become atoms, atoms become suffix partials.
 *
 * Rows come in time order, and are cut into pieces (pieces.h) per group of slots. A key whose rows
 * lie in one place, or are few, is swept backwards over the rows themselves; of one with many,
 * pieces are folded to own partials as the rows come, so that memory follows the number of atoms
 * and not the length of the history. Partials are canonical, so both give the same bytes. */
#ifndef WEIR_BATCHVIEW_RECORD_H
#define WEIR_BATCHVIEW_RECORD_H

#include "batchview/keyrows.h"
#include "batchview/pieces.h"

typedef struct record_builder {
    const plan_t *plan;
    const viewfile_header_t *header;
    keyrows_t rows;          /* those that wait for more */
    const projection_t *run; /* what pieces that are not folded were cut from */
    state_rows_t *slot_rows; /* per slot: what it is made of in the run */
    track_t *track;          /* header->groups, then the one of the future */
    buf_t *own;  /* per slot, then per slot of the future: pieces' own partials, each with its
                    size (u32) after it: they are read backwards */
    bool folded; /* `own` has pieces */
    void *acc;   /* a set of slot accumulators */
    buf_t key;
    buf_t head; /* of the record: what is before the partials, without the size */
    buf_t partials;
    uint32_t *place; /* of partials in it, from 1; 0: it is empty, or not kept */
    size_t place_capacity;
    batchview_budget_t *budget; /* NULL: none */
    size_t counted;             /* bytes in it that are of this key */
    int64_t time;               /* of the latest row */
} record_builder_t;

/* `plan` and `header` must outlive it. */
void record_builder_init (record_builder_t *self, const plan_t *plan,
                          const viewfile_header_t *header);
void record_builder_release (record_builder_t *self);

/* Bytes of the record that was made, without its size. */
static inline size_t record_size (const record_builder_t *self)
{
    return self->head.size + self->partials.size;
}

/* Says which rows record_of is about to be asked for. */
void record_run (record_builder_t *self, const projection_t *rows);
/* Makes the record of a key that has rows [from, to) of them alone; otherwise as what follows. */
MUST_CHECK status_t record_of (record_builder_t *self, size_t from, size_t to, uint64_t *atoms,
                               error_t *error);

/* Begins a key. */
void record_begin (record_builder_t *self, text_t key);
/* Adds rows of it. INVALID when they are not in time order, TOO_LARGE past a limit. */
MUST_CHECK status_t record_add (record_builder_t *self, const projection_t *rows, size_t from,
                                size_t to, error_t *error);
/* Leaves the record in self->head and self->partials; *atoms is how many there are in it. */
MUST_CHECK status_t record_end (record_builder_t *self, uint64_t *atoms, error_t *error);

#endif
