/* run.h - immutable files of events in (key, event time, offset, row) order: the history.
 *
 * A run belongs to one partition of one keyed log. It is written once, in order, and then only
 * read. Its format is described in docs/formats.md. Publishing a run (a temporary name, then
 * fs_rename and fs_sync_dir) is the caller's business. */
#ifndef WEIR_STORAGE_RUN_H
#define WEIR_STORAGE_RUN_H

#include "base/fs.h"
#include "block/block.h"
#include "storage/columns.h"

enum {
    RUN_VERSION = 1,
    RUN_VERSION_IDS = 2, /* of the header, when the columns are not the fields 0, 1, 2, … */
    RUN_BLOCK_ROWS_MAX = 8192,
    RUN_NAME_MAX = 512,          /* bytes of a keyed log's name */
    RUN_BLOCKS_MAX = 1 << 20,    /* blocks in a run */
    RUN_INDEX_MAX = 256 << 20,   /* bytes of a run's index */
    RUN_KEY_ROWS_MAX = 1 << 20,  /* rows that run_key_rows gives at most */
    RUN_KEY_BYTES_MAX = 1 << 28, /* bytes by which run_key_rows lets the arena grow */
};

/* What a run is a run of. */
typedef struct run_schema {
    text_t log;           /* name of the keyed log, 1 to RUN_NAME_MAX bytes */
    uint64_t fingerprint; /* of the stream's definition; the reader's user compares it */
    uint32_t partition;
    uint32_t partitions; /* 1 or more, over `partition` */
    const type_t *types; /* of the columns */
    const uint16_t *ids; /* the columns' fields (columns.h); NULL: 0, 1, 2, … */
    size_t columns;      /* 0 to BLOCK_COLUMNS_MAX */
} run_schema_t;

typedef struct run_info {
    run_schema_t schema; /* borrowed from the run or its writer */
    uint64_t size;       /* bytes of the file */
    uint64_t rows;
    uint32_t blocks;
    int64_t min_time; /* event time; these four are 0 when there are no rows */
    int64_t max_time;
    uint64_t min_offset; /* with offset_override: that offset */
    uint64_t max_offset;
} run_info_t;

/* ---- writing ---- */

typedef struct run_writer run_writer_t;

/* Creates the file `path` (EXISTS when it is there). `fs` outlives the writer; the schema is
 * copied. The caller destroys the writer, after run_writer_finish or without. */
MUST_CHECK status_t run_writer_new (fs_t *fs, const char *path, const run_schema_t *schema,
                                    run_writer_t **writer, error_t *error);

/* Blocks are written in the least time, rather than in few bytes: for a run that is soon merged
 * into another one. Each call of run_writer_add makes one, or more. Before any row is added. */
void run_writer_quick (run_writer_t *self);

/* Adds rows [from, to) of `batch`, which is not needed afterwards. The batch has keys and all
 * columns of the schema. CHECKs that no row comes before the one added last in (key, event time,
 * offset, row) order; equal is allowed. INVALID, TOO_LARGE as block_encode does for a single row;
 * IO, NO_SPACE. After an error only destroy is left. */
MUST_CHECK status_t run_writer_add (run_writer_t *self, const batch_t *batch, size_t from,
                                    size_t to, error_t *error);

/* All rows of the batch, after which none are added: those that are a block by themselves are not
 * copied. The bytes are the same. */
MUST_CHECK status_t run_writer_add_last (run_writer_t *self, const batch_t *batch, error_t *error);

/* Writes what is left, index and footer, syncs the file and its directory, and closes the file. A
 * run without rows is fine. `info` may be NULL; its schema is borrowed from the writer. */
MUST_CHECK status_t run_writer_finish (run_writer_t *self, run_info_t *info, error_t *error);

/* Frees the writer. A file that was not finished is removed (abort). */
void run_writer_destroy (run_writer_t **self_p);

/* ---- reading ---- */

#define RUN_OFFSET_AS_WRITTEN UINT64_MAX

typedef struct run_options {
    /* The offset of every row, in place of the one that was written: rows of a load share the
     * offset of its control record, which is not known when the run is written (they are then
     * written with offset 0). RUN_OFFSET_AS_WRITTEN leaves offsets as they are. */
    uint64_t offset_override;
} run_options_t;

typedef struct run run_t;

/* Opens a run and checks header, footer and index, but not the blocks. `fs` outlives the run;
 * `options` may be NULL. Memory: the index. CORRUPT, VERSION, NOT_FOUND, IO; INVALID for an
 * override over a run whose rows do not all have one offset. The run does not change afterwards, so
 * that cursors and run_key_rows may be used by several threads at once. */
MUST_CHECK status_t run_open (fs_t *fs, const char *path, const run_options_t *options, run_t **run,
                              error_t *error);
void run_destroy (run_t **self_p); /* its cursors go first */

const run_info_t *run_info (const run_t *self);

/* Reads every block and checks it whole: checksums, types, counts, bounds and the order of all
 * rows. CORRUPT, IO. */
MUST_CHECK status_t run_verify (const run_t *self, error_t *error);

/* All rows of one key, into `arena`; `wanted` is as in block_decode. No rows is OK. TOO_LARGE over
 * RUN_KEY_ROWS_MAX rows, or when the arena has grown by RUN_KEY_BYTES_MAX before the
 * key's last block: use a cursor. */
MUST_CHECK status_t run_key_rows (const run_t *self, text_t key, arena_t *arena,
                                  const uint64_t *wanted, batch_t *batch, error_t *error);

/* ---- cursors ---- */

typedef struct run_cursor run_cursor_t;

/* A cursor before the first row. `wanted` as in block_decode; copied. Memory: two blocks. */
run_cursor_t *run_cursor_new (const run_t *run, const uint64_t *wanted);
/* One that gives the rows as others than the run's own columns, of which `wanted` speaks. STALE as
 * in columns_map_make. */
MUST_CHECK status_t run_cursor_new_as (const run_t *run, const columns_t *as,
                                       const uint64_t *wanted, run_cursor_t **cursor,
                                       error_t *error);
void run_cursor_destroy (run_cursor_t **self_p);

/* From the next block on, leaves out what `leave` has bits of (block_decode_some): nobody will look
 * at it. Rows without positions cannot be merged. */
void run_cursor_leave (run_cursor_t *self, unsigned leave);

/* The next rows (what is left of a block; never none), or END. The batch is borrowed: it lives
 * until the call after the next one, so that the one before the newest may still be used. Each
 * block is checked as block_decode does and against the index, not for the order of its rows. */
MUST_CHECK status_t run_cursor_next (run_cursor_t *self, batch_t *batch, error_t *error);

/* Goes to the first row whose key is not before `key`, forward or back; run_cursor_next gives it.
 * Batches handed out before stay as they were. */
MUST_CHECK status_t run_cursor_seek_key (run_cursor_t *self, text_t key, error_t *error);

#endif
