/* merge.h - several sorted sources as one.
 *
 * The merge gives all rows in (key, event time, offset, row) order; rows equal in all four come in
 * the order of their sources. Memory is the sources' (two blocks for a run) and one chunk,
 * however many rows a key has. */
#ifndef WEIR_STORAGE_MERGE_H
#define WEIR_STORAGE_MERGE_H

#include "base/status.h"
#include "base/value.h"
#include "storage/run.h"

enum {
    MERGE_SOURCES_MAX = 1024,
    MERGE_CHUNK_ROWS = 8192, /* the default maximum */
};

/* Where sorted rows come from: a run's cursor, or batches in memory. `next` gives the next rows (in
 * order, keys present) or END. What it gave lives until the call after the next one. All batches of
 * all sources have the same columns. Neither field is owned by the merge. */
typedef struct merge_source {
    status_t (*next) (void *self, batch_t *batch, error_t *error);
    void *self;
} merge_source_t;

/* The rest of a cursor as a source; the cursor is borrowed, and not to be moved meanwhile. */
merge_source_t merge_run (run_cursor_t *cursor);

/* One sorted batch in memory as a source. Embed it or keep it beside the batch; it gives the batch
 * once. */
typedef struct merge_memory {
    const batch_t *batch;
    bool given;
} merge_memory_t;
merge_source_t merge_batch (merge_memory_t *memory);

typedef struct merge_options {
    size_t chunk_rows; /* rows that merge_next gives at most; 0 is MERGE_CHUNK_ROWS */
    /* Is a row of source number `source` with this offset kept? NULL keeps all. For loads and
     * ranges of the log that a dataset version does not include. */
    bool (*keep) (void *arg, size_t source, uint64_t offset);
    void *arg;
} merge_options_t;

typedef struct merge merge_t;

/* A merge of `count` sources (0 to MERGE_SOURCES_MAX; the array is copied). It reads the first rows
 * of each, which can fail as the sources do. `options` may be NULL. */
MUST_CHECK status_t merge_new (const merge_source_t *sources, size_t count,
                               const merge_options_t *options, merge_t **merge, error_t *error);
void merge_destroy (merge_t **self_p);

/* The next rows, at least one, or END when there are none left. They may be of many keys, and the
 * next call may go on with the last of them. A chunk can be shorter than the maximum: it ends where
 * a source's memory does.
 *
 * The batch is borrowed: its arrays are partly in `arena` and partly in the sources, and its cells'
 * strings and keys in the sources. All of it lives until the next call, or until the arena is
 * reset, whichever is first; copy what has to stay. CORRUPT when the sources' columns differ. */
MUST_CHECK status_t merge_next (merge_t *self, arena_t *arena, batch_t *batch, error_t *error);

#endif
