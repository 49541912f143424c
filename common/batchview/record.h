/* record.h - making one key's record: rows become atoms, atoms become suffix partials.
 *
 * Rows come in time order. Per group of slots they are cut into *pieces*: the part of an atom that
 * one fill of the row buffer holds. A key with few rows is swept backwards over the rows
 * themselves; a key with many has its pieces folded to own partials whenever the buffer is full, so
 * that memory follows the number of atoms and not the length of the history. Partials are
 * canonical, so both give the same bytes. */
#ifndef WEIR_BATCHVIEW_RECORD_H
#define WEIR_BATCHVIEW_RECORD_H

#include "batchview/keyrows.h"
#include "batchview/viewfile.h"

typedef struct piece {
    int64_t first; /* µs */
    int64_t last;  /* µs */
    uint32_t from; /* rows of the buffer, while it holds them */
    uint32_t count;
    bool starts; /* an atom */
} piece_t;

/* The pieces of one group, or of the events later than the clock at the cut. */
typedef struct track {
    piece_t *piece;
    size_t pieces;
    size_t capacity;
    size_t atoms;
    bool collapsed; /* some atom has more than one time */
    int64_t last;   /* time of the latest row */
    viewfile_span_t *span;
    size_t spans;
    size_t span_at; /* spans before it end before `last` */
} track_t;

typedef struct record_builder {
    const plan_t *plan;
    const viewfile_header_t *header;
    keyrows_t rows;
    track_t *track; /* header->groups, then the one of the future */
    buf_t *own;     /* per slot, then per slot of the future: pieces' own partials, each with its
                       size (u32) after it: they are read backwards */
    bool folded;    /* `own` has pieces */
    void *acc;      /* a set of slot accumulators */
    buf_t key;
    buf_t record;
    batchview_budget_t *budget; /* NULL: none */
    size_t counted;             /* bytes in it that are of this key */
    int64_t time;               /* of the latest row */
} record_builder_t;

/* `plan` and `header` must outlive it. */
void record_builder_init (record_builder_t *self, const plan_t *plan,
                          const viewfile_header_t *header);
void record_builder_release (record_builder_t *self);

/* Begins a key. */
void record_begin (record_builder_t *self, text_t key);
/* Adds rows of it. INVALID when they are not in time order, TOO_LARGE past a limit. */
MUST_CHECK status_t record_add (record_builder_t *self, const projection_t *rows, size_t from,
                                size_t to, error_t *error);
/* Leaves the whole record in self->record; *atoms is how many there are in it. */
MUST_CHECK status_t record_end (record_builder_t *self, uint64_t *atoms, error_t *error);

#endif
