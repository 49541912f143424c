/* sorter.h - rows gathered in memory, in any order, until they are given out in order or written as
 * a sorted run.
 *
 * A row is kept as one piece of memory (packed.h), near those with keys like its own (parts.h), and
 * these are sorted and written together: sorting costs the memory that rows are fetched from. */
#ifndef WEIR_STORAGE_SORTER_H
#define WEIR_STORAGE_SORTER_H

#include "base/kept.h"
#include "storage/run.h"

typedef struct sorter sorter_t;

/* For rows of these columns (0 to BLOCK_COLUMNS_MAX; copied). Memory of many rows comes from `kept`
 * (NULL: from the system), and goes back there at the end. */
sorter_t *sorter_new (const type_t *types, size_t columns, kept_t *kept);
void sorter_destroy (sorter_t **self_p);

/* Adds rows [from, to) of a batch with keys and the sorter's columns. Everything is copied. */
void sorter_add (sorter_t *self, const batch_t *batch, size_t from, size_t to);
/* The same for rows which[0..count). */
void sorter_add_picked (sorter_t *self, const batch_t *batch, const uint32_t *which, size_t count);

size_t sorter_rows (const sorter_t *self);

/* Bytes that the rows take until they are written, the sorting counted. */
size_t sorter_bytes (const sorter_t *self);

/* The next rows in order, those equal in key, event time, offset and row in the order in which they
 * were added; END when all were given. A batch has RUN_BLOCK_ROWS_MAX rows, the last one the rest.
 * It is borrowed, and lives until the call after the next one. Once this was called only it, clear
 * and destroy may be. `self` is a sorter_t: it fits a merge_source_t. */
MUST_CHECK status_t sorter_next (void *self, batch_t *batch, error_t *error);

/* Was the last row given? */
bool sorter_is_done (const sorter_t *self);

/* Writes all rows in order as a whole, durable run. Only clear and destroy come after that,
 * whatever it returns. Errors are run_writer's. `info` is filled with the schema that was given. */
MUST_CHECK status_t sorter_write (sorter_t *self, fs_t *fs, const char *path,
                                  const run_schema_t *schema, run_info_t *info, error_t *error);

/* Forgets the rows, and keeps the memory for the next ones. */
void sorter_clear (sorter_t *self);

#endif
