/* columns.h - the columns of stored rows, and reading them as those of another definition.
 *
 * Each field of a stream has a number that it keeps; stored rows name their columns by it. Rows are
 * read under a later definition by one rule, and here only: a field without a column is null in
 * every row, an int64 of a field that is float64 by now is widened, as expressions do, and a column
 * of no field is left alone. */
#ifndef WEIR_STORAGE_COLUMNS_H
#define WEIR_STORAGE_COLUMNS_H

#include "base/status.h"
#include "block/block.h"

/* Which columns rows have. */
typedef struct columns {
    const type_t *types;
    const uint16_t *ids; /* the fields' numbers, each once; NULL: 0, 1, 2, … */
    size_t count;        /* at most BLOCK_COLUMNS_MAX */
} columns_t;

/* Are the numbers 0, 1, 2, …? */
bool columns_are_plain (const columns_t *self);
/* The same columns in the same order? */
bool columns_equal (const columns_t *a, const columns_t *b);

/* How rows of some columns become rows of others. */
typedef struct columns_map {
    bool same; /* as they are */
    size_t count;
    type_t types[BLOCK_COLUMNS_MAX];
    int16_t from[BLOCK_COLUMNS_MAX]; /* the column that it is read from; -1: none, null */
    size_t from_count;               /* columns of what is read */
} columns_map_t;

/* STALE when a column cannot be read as its field: then the rows were written under a definition
 * that is newer than `wanted`. */
MUST_CHECK status_t columns_map_make (columns_map_t *self, const columns_t *from,
                                      const columns_t *wanted, error_t *error);

/* What has to be read for the columns in `wanted` (as in block_decode, never NULL) of the result.
 * `read` has BLOCK_WANTED_WORDS words. */
void columns_map_wanted (const columns_map_t *self, const uint64_t *wanted, uint64_t *read);

/* The batch as one of the other columns. It borrows from `batch`; what is made is in `arena`.
 * Columns that were not read have type NONE; so have those without a stored column that are not in
 * `wanted` (NULL: all are). */
batch_t columns_map_apply (const columns_map_t *self, const batch_t *batch, const uint64_t *wanted,
                           arena_t *arena);

#endif
