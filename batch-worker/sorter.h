/* sorter.h - rows gathered in memory until they are written as a sorted run. */
#ifndef WEIR_BATCH_WORKER_SORTER_H
#define WEIR_BATCH_WORKER_SORTER_H

#include "storage/run.h"

/* Embedded. Strings and keys are borrowed from the batches that are added, which stay until the
 * sorter is cleared. */
typedef struct sorter {
    batch_t rows; /* room for `capacity` */
    size_t capacity;
} sorter_t;

void sorter_init (sorter_t *self, const type_t *types, size_t columns);
void sorter_release (sorter_t *self);

/* Adds a row of a batch with keys and the sorter's columns. */
void sorter_add (sorter_t *self, const batch_t *batch, size_t row);
/* Adds rows [from, to). */
void sorter_add_rows (sorter_t *self, const batch_t *batch, size_t from, size_t to);

/* Bytes that a row takes until it is written, the sorting counted and its strings not. */
size_t sorter_row_bytes (const sorter_t *self);

/* Writes the rows in order as a whole, durable run. */
MUST_CHECK status_t sorter_write (const sorter_t *self, fs_t *fs, const char *path,
                                  const run_schema_t *schema, run_info_t *info, error_t *error);

/* Forgets the rows. */
void sorter_clear (sorter_t *self);

#endif
