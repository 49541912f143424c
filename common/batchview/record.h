/* record.h - making one key's record: rows become atoms, atoms become suffix partials.
 *
 * Rows come in time order, and are cut into atoms (pieces.h) per group of slots. A key whose rows
 * lie in one place, or are few, is swept backwards over the rows themselves (sweep.h); of one with
 * many, atoms are folded to own partials as the rows come (layer.h), and written in sections when
 * they are more than one holds. So memory follows neither the number of events nor that of atoms.
 * Partials are canonical, and what is in a section follows from the rows alone, so that all ways
 * give the same bytes. */
#ifndef WEIR_BATCHVIEW_RECORD_H
#define WEIR_BATCHVIEW_RECORD_H

#include "batchview/keyrows.h"
#include "batchview/sweep.h"
#include "batchview/viewrows.h"

/* Where sections go: in front of the record. */
typedef struct record_out {
    /* Puts the size of both together and then both; *place is where it begins in the file. */
    status_t (*put) (void *self, const buf_t *head, const buf_t *partials, uint64_t *place,
                     error_t *error);
    void *self;
} record_out_t;

/* What is made of one group of slots. */
typedef struct record_group {
    uint32_t *slot; /* numbers, ascending */
    size_t slots;
    layer_t *layer;   /* of atoms, of sections of these, … */
    size_t layers;    /* in use; at least 1, and it has more than one with sections */
    size_t made;      /* that have been initialised */
    uint64_t written; /* atoms in sections */
    size_t first;     /* atoms before those that were cut of the run last … */
    bool goes_on;     /* … of which the first is one of those before, … */
    size_t end;       /* … and the row behind them */
} record_group_t;

typedef struct record_builder {
    const plan_t *plan;
    const viewfile_header_t *header;
    batchview_sections_t sections;
    record_out_t out;
    keyrows_t rows;           /* those that wait for more */
    const projection_t *run;  /* what atoms that are not folded were cut from */
    state_rows_t *slot_rows;  /* per slot: what it is made of in the run */
    swept_slot_t *swept_slot; /* per slot: for sweeps */
    uint32_t *slot_at;        /* per slot: where it stands in its group */
    record_group_t *group;    /* header->groups, then the one of the future, with all slots */
    viewrows_size_t kept;     /* of records that are rows */
    bool folded;              /* layers have partials */
    void *acc;                /* a set of slot accumulators */
    buf_t key;
    buf_t head;                 /* of the record: what is before the partials, without the size */
    swept_t swept;              /* what is behind */
    batchview_budget_t *budget; /* NULL: none */
    size_t counted;             /* bytes in it that are of this key */
    int64_t time;               /* of the latest row */
} record_builder_t;

/* The atoms of a group that are not in a section. */
static inline track_t *record_atoms (const record_builder_t *self, size_t group)
{
    return &self->group[group].layer[0].track;
}

/* What stands in the record in the end: atoms, or sections of the highest layer. */
static inline const layer_t *record_top (const record_group_t *group)
{
    return &group->layer[group->layers - 1];
}

/* `plan`, `header` and what `out` has must outlive it. */
void record_builder_init (record_builder_t *self, const plan_t *plan,
                          const viewfile_header_t *header, record_out_t out);
void record_builder_release (record_builder_t *self);

/* Bytes of the record that was made, without its size. */
static inline size_t record_size (const record_builder_t *self)
{
    return self->head.size + self->swept.partials.size;
}

/* Do times of the rows, which are events', descend? */
bool record_descends (const projection_t *rows, size_t from, size_t to);

/* Room that the record of a key takes as rows [from, to) themselves, all that it has; 0: it is not
 * kept so. record_keep writes it there and returns where it ends, which may be before. */
size_t record_keeps (const record_builder_t *self, text_t key, const projection_t *rows,
                     size_t from, size_t to);
uint8_t *record_keep (const record_builder_t *self, text_t key, const projection_t *rows,
                      size_t from, size_t to, uint8_t *out);

/* Says which rows record_of is about to be asked for. */
void record_run (record_builder_t *self, const projection_t *rows);
/* Makes the record of a key that has rows [from, to) of them alone; otherwise as what follows. */
MUST_CHECK status_t record_of (record_builder_t *self, size_t from, size_t to, uint64_t *atoms,
                               error_t *error);

/* Begins a key. */
void record_begin (record_builder_t *self, text_t key);
/* Adds rows of it, which may put sections. INVALID when they are not in time order, TOO_LARGE past
 * a limit. */
MUST_CHECK status_t record_add (record_builder_t *self, const projection_t *rows, size_t from,
                                size_t to, error_t *error);
/* Puts what sections there are left, and leaves the record in self->head and self->swept.partials;
 * *atoms is how many there are in it and its sections. */
MUST_CHECK status_t record_end (record_builder_t *self, uint64_t *atoms, error_t *error);

#endif
