/* run_format.h - the run format's numbers and an open run (docs/formats.md). Private to run*.c. */
#ifndef WEIR_STORAGE_RUN_FORMAT_H
#define WEIR_STORAGE_RUN_FORMAT_H

#include "storage/run.h"

#define RUN_MAGIC        UINT32_C (0x4e555257) /* "WRUN" */
#define RUN_FOOTER_MAGIC UINT32_C (0x444e4557) /* "WEND" */

enum {
    RUN_HEADER_FIXED = 28, /* bytes before the log's name */
    RUN_CHECKSUM_SIZE = 8,
    RUN_HEADER_MAX = RUN_HEADER_FIXED + RUN_NAME_MAX + 3 * BLOCK_COLUMNS_MAX + RUN_CHECKSUM_SIZE,
    RUN_FOOTER_SIZE = 84,
    RUN_ENTRY_FIXED = 60, /* bytes of an index entry before its keys */
};

/* A block as the index tells it. Offsets are as written. */
typedef struct run_block {
    uint64_t at;
    uint32_t size;
    uint32_t rows;
    int64_t min_time;
    int64_t max_time;
    uint64_t min_offset;
    uint64_t max_offset;
    uint64_t checksum; /* the block's own */
    text_t first_key;
    text_t last_key;
} run_block_t;

struct run {
    uint32_t magic;
    fs_t *fs;
    file_t *file;
    char *path;
    run_info_t info;
    uint64_t offset_override;
    uint64_t header_size;
    uint8_t *header; /* the log's name is borrowed from it */
    uint8_t *index;  /* the blocks' keys are borrowed from it */
    type_t types[BLOCK_COLUMNS_MAX];
    uint16_t ids[BLOCK_COLUMNS_MAX];
    run_block_t *blocks;
};

/* Lowest and highest of `count` offsets, one at least. */
void run_offset_bounds (const uint64_t *offsets, size_t count, uint64_t *min, uint64_t *max);

/* Reads block `which` into `arena`, its bytes too, checks it against the index, and puts the
 * override in place of its offsets. */
MUST_CHECK status_t run_read_block (const run_t *run, size_t which, arena_t *arena,
                                    const uint64_t *wanted, unsigned leave, batch_t *batch,
                                    error_t *error);

/* The first block that may hold a key that is not before `key`; info.blocks when none does. */
size_t run_find_block (const run_t *run, text_t key);

/* The first row of a sorted batch whose key is not before (or, with `after`, is after) `key`. */
size_t run_find_row (const batch_t *batch, text_t key, bool after);

#endif
