/* sorter.h - rows gathered in memory, in any order, until they are given out in order or written as
 * a sorted run.
 *
 * The newest rows are kept as they came (gathered.h): all of them while they are no more than a
 * near cache holds. Then they are coded in few bytes (coded.h), near those with keys like their own
 * (parts.h), and those of a range of keys are taken back, sorted and given together: what sorting
 * costs is the memory that rows are put into and fetched from. */
#ifndef WEIR_STORAGE_SORTER_H
#define WEIR_STORAGE_SORTER_H

#include "base/kept.h"
#include "storage/run.h"

typedef struct sorter sorter_t;

/* For rows of these columns (0 to BLOCK_COLUMNS_MAX; copied). Memory of many rows comes from `kept`
 * (NULL: from the system), and goes back there at the end. */
sorter_t *sorter_new (const type_t *types, size_t columns, kept_t *kept);
void sorter_destroy (sorter_t **self_p);

/* Takes memory at once for so many rows that are about to be added, unless they are many. */
void sorter_expect (sorter_t *self, size_t rows);

/* Adds rows [from, to) of a batch with keys and the sorter's columns. Everything is copied. */
void sorter_add (sorter_t *self, const batch_t *batch, size_t from, size_t to);
/* The same for rows which[0..count). */
void sorter_add_picked (sorter_t *self, const batch_t *batch, const uint32_t *which, size_t count);

size_t sorter_rows (const sorter_t *self);

/* Bytes that rows in memory take until they are given, the sorting counted. */
size_t sorter_bytes (const sorter_t *self);
/* The same of so many rows (as many as there are, or more) if all were like those in memory, of
 * which there are some. */
double sorter_bytes_of (const sorter_t *self, size_t rows);
/* Rows in memory, given or not. */
size_t sorter_held (const sorter_t *self);

/* Lets rows be put on the disk: into a temporary file at `path` (as spill_new has it), which is
 * made when the first are. Parts of the rows come back from it one at a time when they are given,
 * which takes about `memory` bytes, or that of two blocks (spill.h), besides rows that are in
 * memory. `fs` outlives the sorter. */
void sorter_set_aside (sorter_t *self, fs_t *fs, const char *path, size_t memory);

/* Puts the rows that are in memory there. At any time: more may be added, or given, in the same
 * order as ever. When rows are being given, memory is given back with the call after the next one
 * of sorter_next, since they may be borrowed from it. After an error only clear and destroy are
 * left. EXISTS, NO_SPACE, IO, CORRUPT. */
MUST_CHECK status_t sorter_spill (sorter_t *self, error_t *error);

/* Are there keys whose rows take as much as `memory`, sorting counted? Then put these there, before
 * any are given: others are not the worse for them. */
bool sorter_has_large (const sorter_t *self);
MUST_CHECK status_t sorter_spill_large (sorter_t *self, error_t *error);

/* How many rows are given at a time, 1 or more: before any are. */
void sorter_gives (sorter_t *self, size_t rows);

/* The next rows in order, those equal in key, event time, offset and row in the order in which they
 * were added; END when all were given. A batch has RUN_BLOCK_ROWS_MAX rows, or as many as _gives
 * said, the last one the rest. It is borrowed, and lives until the call after the next one. Once
 * this was called only it, spill, clear and destroy may be. `self` is a sorter_t: it fits a
 * merge_source_t. CORRUPT, IO, NO_SPACE: of rows that are on the disk. */
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
