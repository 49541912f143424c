/* spine_writer.h - rows of a spine, to be answered: a sorted run for each view and partition. */
#ifndef WEIR_TRAINSET_SPINE_WRITER_H
#define WEIR_TRAINSET_SPINE_WRITER_H

#include "base/fs.h"
#include "trainset/trainset.h"

typedef struct spine_writer spine_writer_t;

typedef struct spine_file {
    uint32_t role;
    uint32_t partition;
    const char *path;
    uint64_t size;
    uint64_t rows;
} spine_file_t;

/* Files are training/<id>-<role>-<partition>.spine, and more while it is at work; `memory` is what
 * rows may take, bytes; the rest is put on the disk. All is borrowed. */
spine_writer_t *spine_writer_new (const trainset_t *set, fs_t *fs, uint64_t id, uint32_t partitions,
                                  uint64_t memory);
/* Files stay when it has ended well, and are removed otherwise. */
void spine_writer_destroy (spine_writer_t **self_p);

/* Adds all rows of a batch of the set's stream, under the next numbers from 0 on. TOO_LARGE: a key
 * is longer than any can be; IO, NO_SPACE. */
MUST_CHECK status_t spine_writer_add (spine_writer_t *self, const batch_t *batch, error_t *error);

uint64_t spine_writer_rows (const spine_writer_t *self);

/* Writes the runs, durably. The list is the writer's. `go_on` (NULL: none) is called now and then,
 * and ends it when it fails. */
MUST_CHECK status_t spine_writer_end (spine_writer_t *self,
                                      status_t (*go_on) (void *arg, error_t *error), void *arg,
                                      const spine_file_t **files, size_t *count, error_t *error);

#endif
