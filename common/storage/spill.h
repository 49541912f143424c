/* spill.h - coded rows (coded.h) put aside on the disk: a temporary file of one task, in blocks.
 *
 * The file has no name any more once it is open: it goes with the process, however that ends. Where
 * its blocks are is in memory alone, with their checksums, which are looked at before a byte is
 * believed. Nothing is synced. */
#ifndef WEIR_STORAGE_SPILL_H
#define WEIR_STORAGE_SPILL_H

#include "base/fs.h"
#include "storage/coded.h"

enum { SPILL_BLOCK = 256 << 10 }; /* bytes of a block; more when one tile is larger */

typedef struct spill_block {
    uint64_t at;
    uint64_t checksum;
    size_t size; /* bytes */
    size_t rows;
    coded_times_t times; /* as they were given with what is in it */
} spill_block_t;

/* Rows, in the order in which they were put. Zeros are an empty list. */
typedef struct spill_list {
    spill_block_t *blocks;
    size_t count;
    size_t room;
    size_t largest; /* bytes of a block */
    size_t rows;
} spill_list_t;

void spill_list_release (spill_list_t *self);

typedef struct spill spill_t;

/* Creates the file and removes its name, which must not be there (EXISTS). `fs` outlives it. */
MUST_CHECK status_t spill_new (fs_t *fs, const char *path, spill_t **spill, error_t *error);
void spill_destroy (spill_t **self_p);

/* Puts whole tiles behind the list's, of so many rows with these times. Of one list after the
 * other: spill_end comes before those of another list, and before these are read. NO_SPACE, IO. */
MUST_CHECK status_t spill_put (spill_t *self, spill_list_t *list, const uint8_t *tiles, size_t size,
                               size_t rows, coded_times_t times, error_t *error);
MUST_CHECK status_t spill_end (spill_t *self, spill_list_t *list, error_t *error);

/* Reads a block, which is whole tiles, to where its size fits. CORRUPT when it is not what was put;
 * IO. */
MUST_CHECK status_t spill_read (spill_t *self, const spill_block_t *block, void *to,
                                error_t *error);

#endif
