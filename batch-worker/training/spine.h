/* spine.h - rows of a spine in memory, gathered in any order and given in that of a training set.
 *
 * A row takes 24 bytes, or 32, its columns, and its key where that is longer than a number's: half
 * of what rows of any kind take (storage/sorter.h, which also goes to the disk). */
#ifndef WEIR_TRAINING_SPINE_H
#define WEIR_TRAINING_SPINE_H

#include "storage/merge.h"

typedef struct spine spine_t;

/* For rows with keys of one log, and columns of these types (copied); about so many rows, or any
 * number: 0 if nothing is known. */
spine_t *spine_new (const type_t *types, size_t columns, size_t rows);
void spine_destroy (spine_t **self_p);

/* Destroys it but for memory that its rows took, of `size` bytes, at least spine_spare: the
 * caller's, to mem_free (NULL if there is none). Memory that the system gives anew is cleared
 * first. */
void *spine_recycle (spine_t **self_p, size_t *size);

/* Adds rows which[0..count) of a batch with keys and these columns: event times are as-of times,
 * offsets numbers of rows, each once and below 2^53. Everything is copied. */
void spine_add (spine_t *self, const batch_t *batch, const uint32_t *which, size_t count);

size_t spine_rows (const spine_t *self);
/* Bytes that it holds. */
size_t spine_bytes (const spine_t *self);

/* Bytes that sorting takes beside the rows. */
size_t spine_spare (const spine_t *self);

/* All rows in (key, as-of, number) order, some thousand at a time; none are added after the first
 * were given. A batch lives until the next one is asked for. Borrows the spine. `spare` is memory
 * of spine_spare bytes, used until the first rows were given; NULL: it takes its own. */
merge_source_t spine_source (spine_t *self, void *spare);

#endif
