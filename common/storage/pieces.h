/* pieces.h - several lists of rows on the disk, each in order, as one.
 *
 * The order is that of runs; rows equal in key, event time, offset and row come in the order of
 * their lists. Memory is a block and a tile of each list. */
#ifndef WEIR_STORAGE_PIECES_H
#define WEIR_STORAGE_PIECES_H

#include "storage/coded.h"
#include "storage/spill.h"

typedef struct pieces pieces_t;

/* Rows are like those of `like`. All but that outlive it. Reads the first block of each list, of
 * which none is empty. CORRUPT, IO. */
MUST_CHECK status_t pieces_new (spill_t *spill, const gathered_t *like,
                                const spill_list_t *const *lists, size_t count, pieces_t **pieces,
                                error_t *error);
void pieces_destroy (pieces_t **self_p);

/* Rows that follow one another. */
typedef struct pieces_rows {
    const gathered_t *rows;
    const uint32_t *which;
    size_t count; /* 0: there are no more */
} pieces_rows_t;

/* The next rows, `most` at most (1 or more). They live until the next call. CORRUPT, IO. */
MUST_CHECK status_t pieces_next (pieces_t *self, size_t most, pieces_rows_t *rows, error_t *error);

#endif
