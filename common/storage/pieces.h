/* pieces.h - several lists of packed rows, each in order, as one: on the disk, the last one in
 * memory.
 *
 * The order is that of runs; rows equal in key, event time, offset and row come in the order of
 * their lists. Memory is a block of each list. */
#ifndef WEIR_STORAGE_PIECES_H
#define WEIR_STORAGE_PIECES_H

#include "storage/parts.h"
#include "storage/spill.h"

typedef struct pieces pieces_t;

/* A list in memory: what sorted items stand for. */
typedef struct pieces_memory {
    const parts_t *parts;
    const sort_item_t *items;
    size_t count;
} pieces_memory_t;

/* All of these outlive it. Reads the first block of each list, of which none is empty; `memory` may
 * be. CORRUPT, IO. */
MUST_CHECK status_t pieces_new (spill_t *spill, const packed_t *packed,
                                const spill_list_t *const *lists, size_t count,
                                const pieces_memory_t *memory, pieces_t **pieces, error_t *error);
void pieces_destroy (pieces_t **self_p);

/* The next rows, `most` at most (1 or more); *count is how many, 0 at the end. They live until the
 * next call. CORRUPT, IO. */
MUST_CHECK status_t pieces_next (pieces_t *self, const uint8_t **rows, size_t most, size_t *count,
                                 error_t *error);

/* Rows in memory that were not given yet: the last ones of its items. */
size_t pieces_in_memory (const pieces_t *self);
/* They are in `list` by now, which outlives it, and are not looked at in memory any more. CORRUPT,
 * IO. */
MUST_CHECK status_t pieces_leave_memory (pieces_t *self, const spill_list_t *list, error_t *error);

#endif
