/* kept_rows.h - the best few of all rows, best first: the newest ones of `rows`, and the lists of
 * first_k, last_k, min_k and max_k.
 *
 * Rows are ordered by their place and then their values, or by their values alone; a null is below
 * every value. What is kept is a function of the rows as a multiset: rows that are equal in that
 * order are equal in everything that is kept. */
#ifndef WEIR_AGGREGATE_KEPT_ROWS_H
#define WEIR_AGGREGATE_KEPT_ROWS_H

#include "aggregate/held_value.h"
#include "aggregate/state_ops.h"

enum { KEPT_ROWS_MAX = 1000 };

/* What all states of one spec have in common. */
typedef struct kept_shape {
    type_t type[STATE_INPUTS_MAX];
    uint8_t inputs;
    bool placed;     /* rows are kept with their places, which decide first */
    bool descending; /* the greatest are best */
    bool nulls;      /* there may be some among the values */
    uint16_t limit;  /* rows kept, 1 to KEPT_ROWS_MAX */
} kept_shape_t;

/* The shape of the rows that a spec gives. */
kept_shape_t kept_shape (state_spec_t spec, uint16_t limit);

/* Bytes of a partial at most. */
size_t kept_rows_partial_max (const kept_shape_t *shape);

/* May be moved with memcpy. All 0 is empty. */
typedef struct kept_rows {
    uint8_t *slots;  /* owned */
    uint16_t *order; /* owned: the slots in use, best first, then the free ones */
    uint16_t count;
    uint16_t made; /* slots that were ever in use; their strings keep their memory */
    uint16_t capacity;
} kept_rows_t;

void kept_rows_release (kept_rows_t *self, const kept_shape_t *shape);

/* Bytes on the heap. */
size_t kept_rows_memory (const kept_rows_t *self, const kept_shape_t *shape);

typedef struct kept_row {
    row_place_t place; /* all 0 when rows are not placed */
    value_t value[STATE_INPUTS_MAX];
} kept_row_t;

/* Is a row at this place certainly not among those kept? */
bool kept_rows_is_late (const kept_rows_t *self, const kept_shape_t *shape,
                        const row_place_t *place);

/* Adds a row, copying it. Values are in their stored form. */
void kept_rows_add (kept_rows_t *self, const kept_shape_t *shape, const kept_row_t *row);
void kept_rows_merge (kept_rows_t *self, const kept_shape_t *shape, const kept_rows_t *from);

/* The row that is `at`-th best; strings are borrowed. */
void kept_rows_get (const kept_rows_t *self, const kept_shape_t *shape, uint16_t at,
                    kept_row_t *row);

/* Partial: varint of the number of rows, then the rows, best first. A row is its place when rows
 * are placed (zigzag of the time, which after the first row is a varint of how far it is from the
 * time before; varints of offset and row), then when there may be nulls one byte with bit i set
 * when value i is there, then its values. */
void kept_rows_encode (const kept_rows_t *self, const kept_shape_t *shape, buf_t *out);
bool kept_rows_merge_partial (kept_rows_t *self, const kept_shape_t *shape, text_t partial);

#endif
