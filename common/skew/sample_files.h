/* sample_files.h - the files of sampled answers: samples/<node>/<number>.sample, segments of blocks
 * (docs/formats.md, Sample). One node writes its own; others read. Nothing is synced: what a crash
 * of the machine takes is a part of a sample. */
#ifndef WEIR_SKEW_SAMPLE_FILES_H
#define WEIR_SKEW_SAMPLE_FILES_H

#include "base/fs.h"
#include "skew/sample.h"

#define SAMPLES_DIR "samples"

enum {
    SAMPLE_SEGMENT_HEADER = 40,   /* bytes */
    SAMPLE_SEGMENT_MAX = 8 << 20, /* bytes, and what the last block is more */
    SAMPLE_SEGMENTS_MAX = 65536,  /* of a node */
};

/* ---- writing ---- */

typedef struct sample_log_options {
    fs_t *fs;
    const char *node; /* copied */
    uint64_t place;   /* of the data directory */
    uint32_t partitions;
    uint64_t size_max; /* bytes of all segments; the oldest go */
    int64_t keep;      /* µs: older segments go */
} sample_log_options_t;

typedef struct sample_log sample_log_t;

/* Touches no file yet. */
sample_log_t *sample_log_new (const sample_log_options_t *options);
void sample_log_destroy (sample_log_t **self_p);

/* Appends a block, as of the wall clock `now`, after what is old or too much was removed. The first
 * time it takes up what there is: the tail of the last segment that is no block is cut off. After
 * an error the next call begins anew. Blocks. */
MUST_CHECK status_t sample_log_append (sample_log_t *self, const void *block, size_t size,
                                       int64_t now, error_t *error);

/* Removes all segments, durably. Blocks. */
MUST_CHECK status_t sample_log_remove (sample_log_t *self, error_t *error);

/* ---- reading ---- */

/* Paths of all nodes' segments, by node, the oldest first; in `arena`. None is OK. */
MUST_CHECK status_t sample_list (fs_t *fs, arena_t *arena, const char ***paths, size_t *count,
                                 error_t *error);

typedef struct sample_segment sample_segment_t;

/* INVALID when it is of another data directory or number of partitions, CORRUPT, VERSION. */
MUST_CHECK status_t sample_segment_open (fs_t *fs, const char *path, uint64_t place,
                                         uint32_t partitions, sample_segment_t **segment,
                                         error_t *error);
void sample_segment_destroy (sample_segment_t **self_p);
/* The next block with answers given at `since` or later, which the caller destroys; END at the end
 * of the file, and at what is no block: that is told by sample_segment_torn. */
MUST_CHECK status_t sample_segment_next (sample_segment_t *self, int64_t since,
                                         sample_block_t **block, error_t *error);
/* Bytes at the end that are no block; 0: it ended well. */
uint64_t sample_segment_torn (const sample_segment_t *self);
/* Where the block that is next begins. */
uint64_t sample_segment_at (const sample_segment_t *self);

#endif
