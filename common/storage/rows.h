/* rows.h - parts of batches, and the order of their rows. */
#ifndef WEIR_STORAGE_ROWS_H
#define WEIR_STORAGE_ROWS_H

#include "base/value.h"

/* Negative, 0 or positive as row `i` of `a` comes before, with or after row `j` of `b` in (key,
 * event time, offset, row) order. */
int rows_compare (const batch_t *a, size_t i, const batch_t *b, size_t j);

/* Are the keys of the two rows the same? Quick for rows that share their key's bytes. */
bool rows_same_key (const batch_t *a, size_t i, const batch_t *b, size_t j);

/* Rows [from, to) of `batch` as a batch. Everything but the array of columns, which is in `arena`,
 * is borrowed from `batch`. Columns of type NONE stay so, and so does a NULL key. */
batch_t rows_slice (const batch_t *batch, size_t from, size_t to, arena_t *arena);

/* A copy in `arena` that borrows nothing. */
batch_t rows_copy (const batch_t *batch, arena_t *arena);

/* A row of one of several batches. */
typedef struct rows_place {
    uint32_t batch;
    uint32_t row;
} rows_place_t;

/* A new batch in `arena` of the rows at `places`. Strings and keys are borrowed from the batches,
 * which have the same columns; columns of type NONE stay so. */
batch_t rows_pick (const batch_t *batches, const rows_place_t *places, size_t count,
                   arena_t *arena);

#endif
